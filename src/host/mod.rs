//! What is there: accounts, files, sudoers, doas, SELinux state. This room only reads.

pub mod accounts;
pub mod code;
pub mod contexts;
pub mod files;
pub mod grants;
pub mod homes;
pub mod jobs;
pub mod policy_store;
pub mod polkit;
pub mod selinux;
pub mod stale;
pub mod store_modules;
pub mod sudo;

use crate::sys::{ResolveError, Root};

pub use accounts::{Accounts, Group, Password, User};
pub use files::FileState;

/// A host (or a tree in its place) that is looked at.
#[derive(Debug)]
pub struct Host {
    /// The tree.
    pub root: Root,
    /// Its accounts.
    pub accounts: Accounts,
    /// Its name, as sudo's host lists are matched against.
    pub name: String,
}

impl Host {
    /// Looks at the host in `root`.
    pub fn observe(root: Root) -> Result<Self, ResolveError> {
        let accounts = Accounts::read(&root)?;
        let name = host_name(&root);
        Ok(Host { root, accounts, name })
    }
}

/// The name of the host in `root`, as far as it says one.
pub fn host_name(root: &Root) -> String {
    if root.is_host() {
        return rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    let text = root.read(std::path::Path::new("/etc/hostname"), 4096).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .map(str::trim)
        .find(|l| !l.is_empty())
        .unwrap_or("localhost")
        .to_owned()
}
