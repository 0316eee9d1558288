//! A folder on the way: its name, the folder above it, and its handle while that is needed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

use super::Pass;
use crate::sys::Beside;

/// How many folders may be open.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    open: AtomicUsize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Budget {
        let most = match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            // Half of what the process may have: the rest is for others.
            Some(limit) => most.min(usize::try_from(limit / 2).unwrap_or(most)),
            None => most,
        };
        Budget { most, open: AtomicUsize::new(0) }
    }

    fn is_spent(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.most
    }
}

/// What tells a folder from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) mount: u64,
}

impl Identity {
    /// That of an open folder.
    pub(super) fn of(fd: &OwnedFd) -> io::Result<Identity> {
        Ok(Self::and_pass(fd)?.0)
    }

    /// That of an open folder, and who can pass through it.
    pub(super) fn and_pass(fd: &OwnedFd) -> io::Result<(Identity, Pass)> {
        let mask = StatxFlags::INO | StatxFlags::MODE | StatxFlags::UID | StatxFlags::MNT_ID;
        let st = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, mask)?;
        let pass = match (st.stx_mode & 0o011, st.stx_uid) {
            (x, _) if x & 0o001 != 0 => Pass::Everybody,
            // The group's digit is the mask of an ACL where there is one.
            (0, 0) => Pass::Root,
            _ => Pass::Some,
        };
        Ok((Identity::of_statx(&st), pass))
    }

    pub(super) fn of_statx(st: &rustix::fs::Statx) -> Identity {
        // Before Linux 5.8 there is no mount's number; the device tells most.
        let known = st.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        Identity {
            device: rustix::fs::makedev(st.stx_dev_major, st.stx_dev_minor),
            inode: st.stx_ino,
            mount: if known { st.stx_mnt_id } else { 0 },
        }
    }

    /// Whether both lie on the same mount, as far as can be told.
    pub(super) fn same_mount(&self, other: &Identity) -> bool {
        (self.device, self.mount) == (other.device, other.mount)
    }
}

/// A folder whose objects are being looked at, or wait to be.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) above: Option<Arc<Folder>>,
    /// Its name in the folder above; the whole path of a start.
    pub(super) name: CString,
    pub(super) depth: usize,
    pub(super) identity: Identity,
    pub(super) beside: Option<Arc<Beside>>,
    /// Who can come to what is in it: whoever every folder from the start on lets pass.
    pub(super) pass: Pass,
    fd: Mutex<Option<Arc<OwnedFd>>>,
    /// Those who need the handle.
    holds: AtomicUsize,
}

impl Drop for Folder {
    /// The folders above go one by one: a chain of millions dropped at once would take the stack.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(folder) = above {
            above = Arc::into_inner(folder).and_then(|mut f| f.above.take());
        }
    }
}

impl Folder {
    pub(super) fn new(
        above: Option<Arc<Folder>>,
        name: CString,
        (identity, pass): (Identity, Pass),
        beside: Option<Arc<Beside>>,
    ) -> Folder {
        let depth = above.as_ref().map_or(0, |a| a.depth + 1);
        let pass = above.as_ref().map_or(pass, |a| a.pass.max(pass));
        Folder {
            above,
            name,
            depth,
            identity,
            beside,
            pass,
            fd: Mutex::new(None),
            holds: AtomicUsize::new(0),
        }
    }

    fn fd(&self) -> Option<Arc<OwnedFd>> {
        self.fd.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, fd: &Arc<OwnedFd>, budget: &Budget) {
        let mut place = self.fd.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            budget.open.fetch_add(1, Ordering::Relaxed);
            *place = Some(Arc::clone(fd));
        }
    }

    /// Closes it. A start stays open as long as anything below it is known: every way down begins there.
    fn close(&self, budget: &Budget) {
        if self.above.is_none() {
            return;
        }
        if self.fd.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            budget.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The need of a folder's handle. While somebody has it the folder stays open, unless too many are.
#[derive(Debug)]
pub(super) struct Hold<'b> {
    pub(super) folder: Arc<Folder>,
    budget: &'b Budget,
}

impl<'b> Hold<'b> {
    pub(super) fn new(folder: Arc<Folder>, budget: &'b Budget) -> Hold<'b> {
        folder.holds.fetch_add(1, Ordering::Relaxed);
        Hold { folder, budget }
    }

    pub(super) fn again(&self) -> Hold<'b> {
        Hold::new(Arc::clone(&self.folder), self.budget)
    }

    /// Keeps the handle for those who need it.
    pub(super) fn keep(&self, fd: &Arc<OwnedFd>) {
        self.folder.put(fd, self.budget);
    }

    /// Nobody works in it just now: it is closed if too many are open.
    pub(super) fn rest(&self) {
        if self.budget.is_spent() {
            self.folder.close(self.budget);
        }
    }

    /// The handle; opened again if it was closed. `last` is where this thread was just now.
    pub(super) fn open(&self, last: Option<&(Arc<Folder>, Arc<OwnedFd>)>) -> io::Result<Arc<OwnedFd>> {
        if let Some(fd) = self.folder.fd() {
            return Ok(fd);
        }
        let fd = self.reopen(last)?;
        self.keep(&fd);
        Ok(fd)
    }

    fn reopen(&self, last: Option<&(Arc<Folder>, Arc<OwnedFd>)>) -> io::Result<Arc<OwnedFd>> {
        // The way down: from the nearest folder above that is open.
        let mut names: Vec<Arc<Folder>> = Vec::new();
        let mut at = Arc::clone(&self.folder);
        let from = loop {
            if let Some(fd) = at.fd() {
                break Some(fd);
            }
            names.push(Arc::clone(&at));
            match &at.above {
                Some(above) => at = Arc::clone(above),
                None => break None,
            }
        };
        // The way up, if this thread comes from below.
        if let Some((below, fd)) = last
            && let Some(steps) = below.depth.checked_sub(self.folder.depth)
            && (from.is_none() || steps <= names.len())
            && is_above(&self.folder, below, steps)
            && let Ok(fd) = climb(fd, steps)
            && Identity::of(&fd)? == self.folder.identity
        {
            return Ok(Arc::new(fd));
        }
        let mut fd = from.ok_or_else(moved)?;
        for folder in names.iter().rev() {
            let next = open_folder(&fd, &folder.name)?;
            if Identity::of(&next)? != folder.identity {
                return Err(moved());
            }
            fd = Arc::new(next);
        }
        Ok(fd)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if self.folder.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.folder.close(self.budget);
        }
    }
}

pub(super) fn moved() -> io::Error {
    io::Error::other("it was moved while it was being looked at")
}

fn is_above(folder: &Arc<Folder>, below: &Arc<Folder>, steps: usize) -> bool {
    let mut at = below;
    for _ in 0..steps {
        match &at.above {
            Some(above) => at = above,
            None => return false,
        }
    }
    Arc::ptr_eq(at, folder)
}

fn climb(fd: &OwnedFd, steps: usize) -> io::Result<OwnedFd> {
    let mut at = open_folder(fd, if steps == 0 { c"." } else { c".." })?;
    for _ in 1..steps {
        at = open_folder(&at, c"..")?;
    }
    Ok(at)
}

/// Opens a folder for reading; a link is none.
pub(super) fn open_folder(at: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}
