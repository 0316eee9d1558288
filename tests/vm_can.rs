//! The attempt itself is the judge: what processes of several users in several domains could do under enforcing is what
//! `perms can --domain` says.
//!
//! `PERMS_CASES` attempts (800 without it) in the virtual machine, with a policy module of random rules (`PERMS_SEED`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::path::Path;
use std::time::Duration;

use support::vm::{RunSpec, Vm};

#[test]
fn what_can_be_done_under_enforcing_is_what_is_said() {
    let Some(vm) = Vm::get() else { return };
    let number = |name: &str, unless: u32| std::env::var(name).map_or(unless, |n| n.parse().unwrap());
    let count = number("PERMS_CASES", 800);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/can_vm.py");
    let command = format!("python3 /run/can_vm.py {count} {}", number("PERMS_SEED", 1));
    let spec = RunSpec::script(&command).put(script, "/run/can_vm.py").timeout(Duration::from_secs(3600));
    let output = vm.run(&spec);
    output.expect(0);
    let words: Vec<&str> = output.stdout.split_whitespace().collect();
    let counted =
        |n: usize| words.get(n).and_then(|w| w.parse::<u32>().ok()).unwrap_or_else(|| panic!("{output}"));
    let (made, allowed, wrong) = (counted(0), counted(2), counted(4));
    assert_eq!(wrong, 0, "{output}");
    assert!(made >= count && allowed > made / 20 && allowed < made * 19 / 20, "{output}");
}
