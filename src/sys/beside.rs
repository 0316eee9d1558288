//! What an unprivileged user cannot really do in a copy, kept beside it: owners and labels by inode.
//!
//! `perms try` runs without root. There, an owner or a security label that is "set" on a file of
//! the throw-away copy is remembered here and given back when the file is looked at, as fakeroot does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Device and inode number.
pub type FileId = (u64, u64);

/// What is remembered about one file.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Owner and owning group.
    pub owner: Option<(u32, u32)>,
    /// The value of `security.selinux`.
    pub label: Option<Vec<u8>>,
}

/// Owners and labels beside the files.
#[derive(Debug, Default)]
pub struct Beside {
    files: Mutex<HashMap<FileId, Kept>>,
    /// Owners are kept here rather than set.
    pub owners: bool,
    /// Labels are kept here rather than set.
    pub labels: bool,
}

impl Beside {
    /// Keeps owners, labels, or both.
    pub fn new(owners: bool, labels: bool) -> Arc<Self> {
        Arc::new(Beside { files: Mutex::default(), owners, labels })
    }

    /// What is kept about a file.
    pub fn get(&self, id: FileId) -> Kept {
        self.with(|files| files.get(&id).cloned().unwrap_or_default())
    }

    /// Keeps an owner.
    pub fn set_owner(&self, id: FileId, uid: u32, gid: u32) {
        self.with(|files| files.entry(id).or_default().owner = Some((uid, gid)));
    }

    /// Keeps a label, or forgets it.
    pub fn set_label(&self, id: FileId, label: Option<Vec<u8>>) {
        self.with(|files| files.entry(id).or_default().label = label);
    }

    /// Forgets a file that is deleted: its inode number may be used again.
    pub fn forget(&self, id: FileId) {
        self.with(|files| files.remove(&id));
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<FileId, Kept>) -> T) -> T {
        f(&mut self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
