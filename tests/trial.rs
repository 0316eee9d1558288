//! `perms try` on every template there is, as root and as nobody.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::tree::{Said, run};

/// The templates, found on the disk.
fn templates() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy-templates");
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path().join("manifest.toml"))
        .filter(|m| m.is_file())
        .collect();
    all.sort();
    assert!(all.len() >= 3, "{all:?}");
    all
}

fn perms() -> &'static str {
    env!("CARGO_BIN_EXE_perms")
}

#[test]
fn every_template_is_without_mistakes_and_risks_are_accepted() {
    for t in templates() {
        let said = run(Command::new(perms()).arg("check").arg(&t));
        // Where this host's polkit could grant something more narrowly, that is offered.
        let words: Vec<&str> = said.out.lines().filter(|l| !l.starts_with("note: ")).collect();
        assert_eq!((said.status, &*words), (0, &["1 manifest is valid."][..]), "{}", t.display());
    }
}

#[test]
fn every_template_is_applied_audited_broken_and_put_right_in_a_copy() {
    for t in templates() {
        let said = run(Command::new(perms()).arg("try").arg(&t).arg("--with-drift"));
        assert_eq!(said.status, 0, "{}\n{}\n{}", t.display(), said.out, said.err);
        let found = |codes: &[&str]| codes.iter().any(|c| said.out.contains(&format!("[{c}")));
        for codes in [
            ["sudo::undeclared-rule", "doas::undeclared-rule"].as_slice(),
            &["acl::", "path::wrong-mode", "path::wrong-owner"],
        ] {
            assert!(found(codes), "{}: none of {codes:?}\n{}", t.display(), said.out);
        }
        // Each finding cites the manifest's line.
        for should in said.out.lines().filter(|l| l.starts_with("  should be ")) {
            assert!(should.contains("manifest.toml:"), "{should}");
        }
    }
}

#[test]
fn it_needs_no_root_and_says_what_it_keeps_beside_the_copy() {
    if !rustix::process::geteuid().is_root() {
        return support_nobody(Command::new(perms()));
    }
    if !support::have("setpriv") {
        return;
    }
    // Where nobody can reach it, whatever the checkout's own mode.
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("perms");
    std::fs::copy(perms(), &binary).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
    support_nobody(command);
}

fn support_nobody(mut command: Command) {
    let dir = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let manifest = dir.path().join("deployer.toml");
    std::fs::copy(
        templates().into_iter().find(|t| t.ends_with("deployer/manifest.toml")).unwrap(),
        &manifest,
    )
    .unwrap();
    let said: Said = run(command.arg("try").arg(&manifest).arg("--with-drift").current_dir("/"));
    assert_eq!(said.status, 0, "{}\n{}", said.out, said.err);
    assert!(said.out.contains("kept beside the copy"), "{}", said.out);
    assert!(said.out.contains("acl::masked") && said.out.contains("acl::missing-entry"), "{}", said.out);
}

#[test]
fn the_host_is_not_touched() {
    let before = std::fs::read("/etc/passwd").unwrap();
    let template = templates().remove(0);
    let said = run(Command::new(perms()).arg("try").arg(&template).arg("--keep"));
    assert_eq!(before, std::fs::read("/etc/passwd").unwrap());
    let kept = said.out.lines().find_map(|l| l.strip_prefix("The copy is kept in ")).unwrap();
    assert!(Path::new(kept).join("etc/passwd").is_file());
    std::fs::remove_dir_all(kept).unwrap();
}
