//! What the tests share: finding tools, and skipping aloud.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::new_without_default,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise, says what it skips, and uses its own part of this"
)]

pub mod tree;

use std::io::Write as _;
use std::path::{Path, PathBuf};

pub mod commands;
pub mod policy;
pub mod schema;
pub mod store;
pub mod vm;

/// Whether the program `tool` is there. In CI a missing tool fails the test; elsewhere it is said, counted (in the
/// file that `PERMS_SKIPS` names) and `false`, upon which the test returns.
pub fn have(tool: &str) -> bool {
    if which(tool).is_some() {
        return true;
    }
    skip(&format!("needs {tool}"))
}

/// Skips the running test: fails in CI, is said and counted elsewhere. Always `false`.
pub fn skip(reason: &str) -> bool {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("CI").is_none(), "in CI no test is skipped: {name} {reason}");
    let line = format!("SKIPPED {name}: {reason}\n");
    eprint!("{line}");
    if let Some(file) = std::env::var_os("PERMS_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    false
}

/// The program's path, looked for in PATH and where Debian keeps administrators' tools.
pub fn which(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|d| d.join(tool))
        .find(|p| p.is_file())
}

/// Compares `actual` with the golden file, or writes it where `WRITE_GOLDEN` is set.
#[track_caller]
pub fn golden(file: &Path, actual: &str) {
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(file, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(file)
        .unwrap_or_else(|e| panic!("{}: {e}; WRITE_GOLDEN=1 writes it", file.display()));
    assert!(
        expected == actual,
        "{} differs (WRITE_GOLDEN=1 rewrites it)\n--- expected\n{expected}\n--- actual\n{actual}",
        file.display()
    );
}

/// Compiles a module with checkmodule and semodule_package, with the `.fc` beside it if there is one; both must accept it.
#[track_caller]
pub fn compile_te(te: &Path) {
    let beside = |extension: &str| te.with_extension(extension).to_str().unwrap().to_owned();
    let (module, package, fc) = (beside("mod"), beside("pp"), beside("fc"));
    let tool = |name: &str, args: &[&str]| {
        let out = std::process::Command::new(which(name).unwrap()).args(args).output().unwrap();
        assert!(
            out.status.success(),
            "{name} {}: {}\n{}",
            te.display(),
            String::from_utf8_lossy(&out.stderr),
            std::fs::read_to_string(te).unwrap()
        );
    };
    tool("checkmodule", &["-M", "-m", "-o", &module, te.to_str().unwrap()]);
    let mut args = vec!["-o", &package, "-m", &module];
    if Path::new(&fc).exists() {
        args.extend(["-f", &fc]);
    }
    tool("semodule_package", &args);
}
