//! A policy store to change: a copy of this machine's, in a mount namespace of its own, with files where the kernel's
//! selinuxfs would be. So `perms` and semanage work on it as on a host with SELinux, but for loading the policy; that is
//! left to the virtual machine.

use std::path::Path;
use std::process::{Command, Output};

/// The store's copy.
pub struct Store {
    tree: tempfile::TempDir,
}

/// Puts the copies in place of the host's own, which the namespace alone sees.
const ENTER: &str = r##"
set -e
mount --bind var/lib /var/lib
mount --bind srv /srv
mount --bind etc /etc
mount -t tmpfs none /sys/fs
mkdir -p /sys/fs/selinux/booleans
echo 1 > /sys/fs/selinux/enforce
set +e
cd /
"##;

impl Store {
    /// A fresh copy; none where it cannot be had (which is said).
    pub fn new() -> Option<Store> {
        for tool in ["semanage", "semodule", "checkmodule", "semodule_package", "unshare"] {
            if !super::have(tool) {
                return None;
            }
        }
        let there = Path::new("/var/lib/selinux/default/active").exists();
        if !rustix::process::geteuid().is_root() || !there {
            super::skip("needs root and selinux-policy-default");
            return None;
        }
        let store = Store { tree: tempfile::tempdir().unwrap() };
        let made = store.run(
            "mkdir -p var/lib/perms srv; chmod 700 var/lib/perms; cp -a /etc .; cp -a /var/lib/selinux var/lib/; mkdir -p etc/perms.d
             sed -i s/^SELINUX=.*/SELINUX=enforcing/ etc/selinux/config; mount --bind srv srv",
        );
        if !made.status.success() {
            super::skip(&format!("needs a mount namespace: {}", String::from_utf8_lossy(&made.stderr)));
            return None;
        }
        Some(store)
    }

    /// Writes a manifest or a source beside it.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.tree.path().join("etc/perms.d").join(name), text).unwrap();
    }

    /// The tree that holds the copies.
    pub fn path(&self) -> &Path {
        self.tree.path()
    }

    /// Runs lines of bash where the copies are the host's; `perms` is the program under test.
    pub fn bash(&self, script: &str) -> Output {
        let perms = env!("CARGO_BIN_EXE_perms");
        self.run(&format!("{ENTER}perms() {{ {perms} \"$@\"; }}; export -f perms\n{script}"))
    }

    fn run(&self, script: &str) -> Output {
        let mut command = Command::new("unshare");
        command.args(["-m", "bash", "-c", script]).current_dir(self.tree.path());
        command.output().unwrap()
    }
}

/// What a run said, for a failed test.
pub fn said(out: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n--- stdout\n{}--- stderr\n{}", out.status, text(&out.stdout), text(&out.stderr))
}
