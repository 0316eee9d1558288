//! One run at a time.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::ApplyError;
use crate::sys::write::{Looks, make_directories, open_lock_file};
use crate::sys::{Handle, Meta, Root};

/// Where `perms` keeps what it must remember.
pub(super) const STATE: &str = "/var/lib/perms";
/// Looks of the folders there: the journal holds file contents that only root may read.
pub(super) const PRIVATE: Looks<'static> =
    Looks { uid: 0, gid: 0, mode: 0o700, acl: None, default_acl: None, label: None };

/// Holds the lock until it is dropped.
pub(super) struct Lock(#[expect(dead_code, reason = "dropping it gives the lock back")] OwnedFd);

/// Opens a folder of the state, and makes it if it is not there. Whoever may write it can have `rollback` make any change
/// as root, so one that others may write is refused.
pub(super) fn state_folder(root: &Root, path: &Path) -> std::io::Result<Handle> {
    make_directories(root, path, &PRIVATE)?;
    let found = root.resolve(path)?;
    only_ours(root, &found.meta)
        .map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    Ok(found.handle)
}

/// Refuses what others than root (or whoever runs `perms`) could have written.
pub(super) fn only_ours(root: &Root, meta: &Meta) -> std::io::Result<()> {
    if root.trusts(meta.uid) && meta.mode & 0o022 == 0 {
        return Ok(());
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::PermissionDenied,
        format!("owner {}, mode {:04o}: others could have written it", meta.uid, meta.mode),
    ))
}

/// Takes the lock.
pub(super) fn take(root: &Root) -> Result<Lock, ApplyError> {
    let error = |e: std::io::Error| ApplyError::new(format!("taking the lock in {STATE}"), e);
    let folder = state_folder(root, Path::new(STATE)).map_err(error)?;
    let fd = open_lock_file(&folder, OsStr::new("lock")).map_err(error)?;
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(fd)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(ApplyError::new("taking the lock", "another run of perms holds it")
                .remedy("wait for it to end"))
        }
        Err(e) => Err(error(e.into())),
    }
}
