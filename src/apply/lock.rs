//! One run at a time.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::ApplyError;
use crate::sys::Root;
use crate::sys::write::{Looks, make_directories};

/// Where `perms` keeps what it must remember.
pub(super) const STATE: &str = "/var/lib/perms";
/// Looks of the folders there: the journal holds file contents that only root may read.
pub(super) const PRIVATE: Looks<'static> =
    Looks { uid: 0, gid: 0, mode: 0o700, acl: None, default_acl: None, label: None };

/// Holds the lock until it is dropped.
pub(super) struct Lock(#[expect(dead_code, reason = "dropping it gives the lock back")] OwnedFd);

/// Takes the lock.
pub(super) fn take(root: &Root) -> Result<Lock, ApplyError> {
    let error = |e: std::io::Error| ApplyError::new(format!("taking the lock in {STATE}"), e);
    make_directories(root, Path::new(STATE), &PRIVATE).map_err(error)?;
    let outside = root.outside(Path::new(STATE)).join("lock");
    let fd = rustix::fs::open(
        &outside,
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o600),
    )
    .map_err(|e| error(e.into()))?;
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(fd)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(ApplyError::new("taking the lock", "another run of perms holds it")
                .remedy("wait for it to end"))
        }
        Err(e) => Err(error(e.into())),
    }
}
