//! The virtual machine itself: the program starts in it, SELinux is enforcing, and what goes in comes out.

mod support;

use std::process::Command;
use std::time::Duration;

use support::vm::{RunSpec, Vm};

#[test]
fn perms_starts_in_the_guest() {
    let Some(vm) = Vm::get() else { return };
    let options = ["--version", "--help"];
    let guest =
        vm.steps(RunSpec::argv([]), options.map(|o| format!("perms {o}")).each_ref().map(String::as_str));
    for (option, guest) in options.iter().zip(guest) {
        let here = Command::new(env!("CARGO_BIN_EXE_perms")).arg(option).output().unwrap();
        assert_eq!(guest.expect(0).stdout, String::from_utf8_lossy(&here.stdout), "perms {option}");
    }
}

#[test]
fn selinux_is_enforcing() {
    let Some(vm) = Vm::get() else { return };
    let output = vm.run(&RunSpec::script(
        "getenforce; id -Z; systemctl start nginx; ps -o label= -C nginx | sort -u
         fetch() { curl --silent --output /dev/null --write-out '%{http_code}\\n' http://127.0.0.1/page; }
         echo page > /home/alice/page; mv /home/alice/page /var/www/html/; fetch
         restorecon /var/www/html/page; fetch",
    ));
    let lines: Vec<&str> = output.expect(0).stdout.lines().map(str::trim).collect();
    let root = "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023";
    let nginx = "system_u:system_r:httpd_t:s0";
    // A file that anybody may read keeps the label of a home, which hides it from nginx, until it is relabelled.
    assert_eq!(lines, ["Enforcing", root, nginx, "404", "200"], "{output}");
}

#[test]
fn files_variables_and_statuses_pass() {
    let Some(vm) = Vm::get() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "one\n").unwrap();
    let spec = RunSpec::script("cat /srv/in; echo two >&2; printf '%s' \"$WORD\" > /srv/out; exit 41")
        .put(folder.path().join("in"), "/srv/in")
        .get("/srv/out", folder.path().join("out"))
        .env("WORD", "three words, one=variable");
    let output = vm.run(&spec);
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (41, "one\n", "two\n"));
    assert_eq!(std::fs::read_to_string(folder.path().join("out")).unwrap(), "three words, one=variable");
}

#[test]
fn a_command_that_hangs_is_ended() {
    let Some(vm) = Vm::get() else { return };
    let output = vm.run(&RunSpec::argv(["sleep", "100"]).timeout(Duration::from_secs(2)));
    assert_eq!(output.status, 124, "{output}");
}

#[test]
fn steps_are_told_apart() {
    let Some(vm) = Vm::get() else { return };
    // semodule may not write to files of ours: its list comes through a pipe.
    let steps = ["touch /srv/made; exit 3", "ls /srv; echo aside >&2", "semodule -l", "kill -9 $$"];
    let [made, listed, modules, killed] = vm.steps(RunSpec::argv([]), steps);
    assert_eq!(made.status, 3);
    assert_eq!((listed.stdout.as_str(), listed.stderr.as_str(), listed.status), ("made\n", "aside\n", 0));
    assert!(modules.stdout.lines().any(|m| m == "apache"), "{modules}");
    assert_eq!(killed.status, 137);
}
