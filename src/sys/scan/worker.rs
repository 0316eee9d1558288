//! One thread of the walk.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, RawDir, Statx, StatxAttributes, StatxFlags};

use super::attributes::{Attributes, Reader};
use super::folder::{Budget, Folder, Hold, Identity, moved, open_folder};
use super::queue::{Job, Names, Queue};
use super::{Options, Pass, Seen, Start, Visit};
use crate::sys::mounts::{Mount, Mounts};
use crate::sys::{Beside, Kind, Meta};

/// Room for one reading of a folder.
const ROOM: usize = 1 << 16;
/// Names in a folder that are worth giving away half of.
const WORTH: usize = 128;
/// Objects are counted in steps of this many.
const STEP: u64 = 256;

pub(super) struct Worker<'b, 's, V> {
    queue: &'s Queue<'b>,
    budget: &'b Budget,
    mounts: &'s Mounts,
    counted: &'s AtomicU64,
    uncounted: u64,
    visitor: V,
    /// Whether this thread has a working folder of its own.
    own_folder: bool,
    reader: Reader,
    attributes: Attributes,
    path: Path,
    /// The folder that this thread was in last.
    last: Option<(Arc<Folder>, Arc<OwnedFd>)>,
}

/// The path of the folder at hand, put together as the thread moves about.
#[derive(Debug, Default)]
struct Path {
    text: Vec<u8>,
    /// The folders from the start to here, each with the length of its path.
    chain: Vec<(Arc<Folder>, usize)>,
}

impl Path {
    /// Moves to a folder: back to where both ways part, and on from there.
    fn move_to(&mut self, folder: &Arc<Folder>) {
        let mut way = Vec::new();
        let mut at = Some(folder);
        while let Some(here) = at {
            if self.chain.get(here.depth).is_some_and(|(f, _)| Arc::ptr_eq(f, here)) {
                break;
            }
            way.push(Arc::clone(here));
            at = here.above.as_ref();
        }
        self.chain.truncate(at.map_or(0, |here| here.depth + 1));
        self.text.truncate(self.chain.last().map_or(0, |(_, len)| *len));
        for here in way.into_iter().rev() {
            self.push_name(&here.name);
            self.chain.push((here, self.text.len()));
        }
    }

    fn push_name(&mut self, name: &CStr) {
        if !self.text.is_empty() && !self.text.ends_with(b"/") {
            self.text.push(b'/');
        }
        self.text.extend_from_slice(name.to_bytes());
    }

    /// Calls with the path of a name in the folder at hand.
    fn with<T>(&mut self, name: &CStr, f: impl FnOnce(&[u8]) -> T) -> T {
        let len = self.text.len();
        self.push_name(name);
        let result = f(&self.text);
        self.text.truncate(len);
        result
    }
}

impl<'b, 's, V: Visit> Worker<'b, 's, V> {
    pub(super) fn new(
        queue: &'s Queue<'b>,
        budget: &'b Budget,
        mounts: &'s Mounts,
        counted: &'s AtomicU64,
        visitor: V,
        options: Options,
        own_folder: bool,
    ) -> Self {
        Worker {
            queue,
            budget,
            mounts,
            counted,
            uncounted: 0,
            visitor,
            own_folder: own_folder && own_working_folder(),
            reader: Reader::new(options.labels),
            attributes: Attributes::default(),
            path: Path::default(),
            last: None,
        }
    }

    pub(super) fn into_visitor(self) -> V {
        self.counted.fetch_add(self.uncounted, Ordering::Relaxed);
        self.visitor
    }

    fn count(&mut self, more: u64) {
        self.uncounted += more;
        if self.uncounted >= STEP {
            self.counted.fetch_add(self.uncounted, Ordering::Relaxed);
            self.uncounted = 0;
        }
    }

    /// Looks at a start, and puts what is in it into the queue.
    pub(super) fn start(&mut self, start: Start) {
        let path = start.path.as_os_str().as_bytes();
        if let Err(e) = self.try_start(&start) {
            self.visitor.failed(path, e);
        }
    }

    fn try_start(&mut self, start: &Start) -> io::Result<()> {
        let path = start.path.as_os_str().as_bytes();
        let meta = start.handle.meta()?;
        self.attributes = Attributes::of_handle(&start.handle)?;
        if let Some(b) = start.handle.beside().filter(|b| b.labels) {
            self.attributes.replace_label(b.get(meta.id).label);
        }
        self.count(1);
        let fd = start.handle.fd().try_clone_to_owned()?;
        let (identity, pass) = Identity::and_pass(&fd)?;
        let mount = self.mounts.find(identity.mount, identity.device);
        let seen = Seen { path, meta, attributes: &self.attributes, mount, depth: 0, pass: Pass::Everybody };
        if !self.visitor.see(&seen) || meta.kind != Kind::Directory {
            return Ok(());
        }
        let name = CString::new(path).map_err(io::Error::other)?;
        let folder = Folder::new(None, name, (identity, pass), start.handle.beside().cloned());
        let hold = Hold::new(Arc::new(folder), self.budget);
        hold.keep(&Arc::new(open_folder(&fd, c".")?));
        self.queue.push(Job::Read(hold));
        Ok(())
    }

    /// Works until nothing is left.
    pub(super) fn run(&mut self) {
        let _abandon = Abandon(self.queue);
        while let Some(job) = self.queue.take() {
            match job {
                Job::Read(hold) => self.read(&hold),
                Job::Folders(hold, names) => self.next_folder(hold, names),
                Job::Objects(hold, names) => self.objects_of(&hold, &names),
            }
        }
    }

    /// Goes into the last of some folders; the others stay for whoever is free.
    fn next_folder(&mut self, hold: Hold<'b>, mut names: Names) {
        let Some(name) = names.pop() else { return };
        let opened = hold.open(self.last.as_ref()).and_then(|above| {
            let fd = open_folder(&above, &name)?;
            let looks = Identity::and_pass(&fd)?;
            Ok((fd, looks))
        });
        let above = Arc::clone(&hold.folder);
        if names.is_empty() {
            drop(hold);
        } else {
            hold.rest();
            self.queue.push(Job::Folders(hold, names));
        }
        let (fd, (identity, pass)) = match opened {
            Ok(opened) => opened,
            Err(e) => return self.failed_in(&above, &name, e),
        };
        // Told of when it was looked at. What is mounted over it since then, or put in its place, was not.
        if !identity.same_mount(&above.identity) && !self.enters(&above, &name, &identity) {
            return;
        }
        let beside = above.beside.clone();
        let folder = Arc::new(Folder::new(Some(above), name, (identity, pass), beside));
        let hold = Hold::new(folder, self.budget);
        hold.keep(&Arc::new(fd));
        self.read(&hold);
        hold.rest();
    }

    fn failed_in(&mut self, folder: &Arc<Folder>, name: &CStr, error: io::Error) {
        // Gone since the folder was read: as if it had never been there.
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        self.path.move_to(folder);
        let visitor = &mut self.visitor;
        self.path.with(name, |path| visitor.failed(path, error));
    }

    fn enters(&mut self, above: &Arc<Folder>, name: &CStr, identity: &Identity) -> bool {
        self.path.move_to(above);
        let mount = self.mounts.find(identity.mount, identity.device);
        let visitor = &mut self.visitor;
        self.path.with(name, |path| visitor.enter(path, mount))
    }

    /// Reads a folder and looks at everything in it.
    fn read(&mut self, hold: &Hold<'b>) {
        let fd = match hold.open(self.last.as_ref()) {
            Ok(fd) => fd,
            Err(e) => return self.failed_at(hold, e),
        };
        if !self.enter_folder(hold, &fd) {
            return;
        }
        let mut room = [MaybeUninit::<u8>::uninit(); ROOM];
        let mut dir = RawDir::new(&*fd, &mut room);
        let (mut names, mut folders) = (Names::default(), Names::default());
        loop {
            names.clear();
            // One filling of the room at a time.
            let mut end = false;
            loop {
                match dir.next() {
                    None => end = true,
                    Some(Err(e)) => {
                        self.visitor.failed(&self.path.text, e.into());
                        end = true;
                    }
                    Some(Ok(entry)) => {
                        let name = entry.file_name();
                        if name != c"." && name != c".." {
                            names.push(name, entry.ino());
                        }
                    }
                }
                if end || dir.is_buffer_empty() {
                    break;
                }
            }
            names.sort();
            while names.len() > WORTH && self.queue.hungry() {
                hold.keep(&fd);
                self.queue.push(Job::Objects(hold.again(), names.split()));
            }
            self.objects(hold, &fd, &names, &mut folders);
            if end {
                break;
            }
        }
        self.leave(hold, &fd, folders);
    }

    fn failed_at(&mut self, hold: &Hold<'b>, error: io::Error) {
        self.path.move_to(&hold.folder);
        self.visitor.failed(&self.path.text, error);
    }

    /// Looks at some objects of a folder.
    fn objects_of(&mut self, hold: &Hold<'b>, names: &Names) {
        let fd = match hold.open(self.last.as_ref()) {
            Ok(fd) => fd,
            Err(e) => return self.failed_at(hold, e),
        };
        if !self.enter_folder(hold, &fd) {
            return;
        }
        let mut folders = Names::default();
        self.objects(hold, &fd, names, &mut folders);
        self.leave(hold, &fd, folders);
    }

    fn enter_folder(&mut self, hold: &Hold<'b>, fd: &Arc<OwnedFd>) -> bool {
        self.path.move_to(&hold.folder);
        if self.own_folder
            && let Err(e) = rustix::process::fchdir(&**fd)
        {
            self.visitor.failed(&self.path.text, e.into());
            return false;
        }
        true
    }

    fn leave(&mut self, hold: &Hold<'b>, fd: &Arc<OwnedFd>, folders: Names) {
        if !folders.is_empty() {
            hold.keep(fd);
            self.queue.push(Job::Folders(hold.again(), folders));
        }
        self.last = Some((Arc::clone(&hold.folder), Arc::clone(fd)));
    }

    /// Looks at objects of the folder at hand; which of them are folders to go into is added to `folders`.
    fn objects(&mut self, hold: &Hold<'b>, fd: &Arc<OwnedFd>, names: &Names, folders: &mut Names) {
        let mount = self.mounts.find(hold.folder.identity.mount, hold.folder.identity.device);
        let way = (!self.own_folder).then(|| format!("/proc/self/fd/{}/", fd.as_raw_fd()).into_bytes());
        for name in names.iter() {
            match self.object(hold, fd, name, way.as_deref(), mount) {
                Ok(true) => folders.push(name, 0),
                Ok(false) => {}
                Err(e) => self.failed_in(&hold.folder, name, e),
            }
        }
        self.count(names.len() as u64);
    }

    /// Looks at one object; whether it is a folder to go into.
    fn object(
        &mut self,
        hold: &Hold<'b>,
        fd: &OwnedFd,
        name: &CStr,
        way: Option<&[u8]>,
        mount: Option<&Mount>,
    ) -> io::Result<bool> {
        let folder = &hold.folder;
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let st = rustix::fs::statx(fd, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
        let identity = Identity::of_statx(&st);
        let meta = meta(&st, identity, folder.beside.as_deref());
        let mut mount = mount;
        if !identity.same_mount(&folder.identity) {
            mount = self.mounts.find(identity.mount, identity.device);
            let visitor = &mut self.visitor;
            if !self.path.with(name, |path| visitor.enter(path, mount)) {
                return Ok(false);
            }
        }
        match way {
            None => self.reader.read(name, &mut self.attributes)?,
            Some(way) => {
                let path = [way, name.to_bytes_with_nul()].concat();
                let path = CStr::from_bytes_with_nul(&path).map_err(|_| moved())?;
                self.reader.read(path, &mut self.attributes)?;
            }
        }
        if let Some(b) = folder.beside.as_ref().filter(|b| b.labels) {
            self.attributes.replace_label(b.get(meta.id).label);
        }
        let (visitor, attributes, depth) = (&mut self.visitor, &self.attributes, folder.depth + 1);
        let pass = folder.pass;
        let into =
            self.path.with(name, |path| visitor.see(&Seen { path, meta, attributes, mount, depth, pass }));
        // What is mounted only when it is entered stays as it is.
        let automount = st.stx_attributes.contains(StatxAttributes::AUTOMOUNT);
        Ok(into && meta.kind == Kind::Directory && !automount)
    }
}

/// A thread that ends before its time must not leave the others waiting.
struct Abandon<'b, 's>(&'s Queue<'b>);

impl Drop for Abandon<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

fn meta(st: &Statx, identity: Identity, beside: Option<&Beside>) -> Meta {
    let id = (identity.device, identity.inode);
    let own = (st.stx_uid, st.stx_gid);
    let (uid, gid) = match beside {
        Some(b) if b.owners => b.get(id).owner.unwrap_or(own),
        _ => own,
    };
    Meta {
        kind: Kind::of_mode(u32::from(st.stx_mode)),
        uid,
        gid,
        mode: st.stx_mode & 0o7777,
        links: u64::from(st.stx_nlink),
        id,
        size: st.stx_size,
    }
}

/// Gives this thread a working folder of its own; whether that was allowed.
fn own_working_folder() -> bool {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of another flag, FILES; FS shares no descriptors"
    )]
    rustix::thread::unshare(rustix::thread::UnshareFlags::FS).is_ok()
}
