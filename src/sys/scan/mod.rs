//! The walk over large trees: many threads, each object looked at once, with all that rights depend on.
//!
//! For each object two system calls are made, and one more for each attribute that it has: `statx` below the handle of
//! its folder, and one listing of its extended attributes. Nothing is opened but folders, no link is followed, and no
//! path longer than one name is ever given to the kernel: each thread has a working folder of its own (unshare(2),
//! `CLONE_FS`), as attributes cannot be asked below a handle before Linux 6.13. Where that is not allowed (some
//! containers) they are asked through `/proc/self/fd/N/NAME`, which takes twice as long.
//!
//! The tree may change, and its owners may be hostile. A folder that is another by the time it is opened, or that lies
//! on another mount, is not read. Depth is not bounded: folders above wait closed when there are too many, and are found
//! again by their numbers, going up by `..` or down by name, whichever is nearer. Names and folders that wait take as
//! much memory as their names. What could not be looked at is told to the visitor, never left out.
//!
//! | file | what it does |
//! |---|---|
//! | `folder` | a folder on the way: its name, the folder above, its handle while it is needed |
//! | `queue` | the work that is left, shared by the threads |
//! | `attributes` | what an object's extended attributes say |
//! | `worker` | one thread |

mod attributes;
mod folder;
mod queue;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::mounts::{Mount, Mounts};
use super::{Handle, Meta};

pub use attributes::Attributes;

/// Where a walk begins.
#[derive(Debug)]
pub struct Start {
    /// Its path, as it is to be told.
    pub path: PathBuf,
    /// It.
    pub handle: Handle,
}

/// One object.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// What it is.
    pub meta: Meta,
    /// What its extended attributes say.
    pub attributes: &'a Attributes,
    /// The mount that it lies on, where that is known.
    pub mount: Option<&'a Mount>,
    /// Levels below the start (which is 0).
    pub depth: usize,
    /// Who can come to it, by the modes of the folders from the start to it.
    pub pass: Pass,
}

/// Who can pass through folders, by their modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pass {
    /// Everybody.
    Everybody,
    /// Some: owners that are not root, groups, or whom an ACL names.
    Some,
    /// Root alone.
    Root,
}

/// What sees the objects. Each thread has one of its own.
pub trait Visit: Send {
    /// Looks at one object; whether what is in it is to be looked at. A folder comes before what is in it; beyond that
    /// there is no order.
    fn see(&mut self, seen: &Seen<'_>) -> bool;

    /// A mount below the start, before it is looked at: whether to look at it and what is in it.
    fn enter(&mut self, path: &[u8], mount: Option<&Mount>) -> bool;

    /// Something could not be looked at.
    fn failed(&mut self, path: &[u8], error: io::Error);
}

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Threads; none for as many as there are processors.
    pub threads: Option<NonZeroUsize>,
    /// Folders that may be open at a time, beside one for each thread.
    pub open: usize,
    /// Whether each thread may take a working folder of its own; without it attributes take twice as long.
    pub own_folder: bool,
    /// Whether labels are wanted; without it objects below the starts are seen without.
    pub labels: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { threads: None, open: 256, own_folder: true, labels: true }
    }
}

/// More threads do not help: they wait for the same disk and the same locks of the kernel.
const MOST_THREADS: usize = 16;
/// How often the caller is told of progress.
const BEAT: Duration = Duration::from_millis(100);

/// Walks everything at and below the starts. `visitor` makes the visitor of each thread; they come back in the end. `tick`
/// is called on this thread, with how many objects were seen since the last call.
pub fn scan<V: Visit>(
    starts: Vec<Start>,
    options: Options,
    visitor: &(dyn Fn() -> V + Sync),
    tick: &dyn Fn(u64),
) -> Vec<V> {
    let threads = options
        .threads
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, |n| n.get().min(MOST_THREADS));
    let mounts = Mounts::read().unwrap_or_default();
    let budget = folder::Budget::new(options.open);
    let queue = queue::Queue::new(threads);
    let counted = AtomicU64::new(0);
    let mut visitors = Vec::with_capacity(threads + 1);
    let mut first = worker::Worker::new(&queue, &budget, &mounts, &counted, visitor(), options, false);
    for start in starts {
        first.start(start);
    }
    visitors.push(first.into_visitor());
    if queue.is_empty() {
        tick(counted.load(Ordering::Relaxed));
        return visitors;
    }
    std::thread::scope(|scope| {
        let run = || {
            let own = options.own_folder;
            let mut worker = worker::Worker::new(&queue, &budget, &mounts, &counted, visitor(), options, own);
            worker.run();
            worker.into_visitor()
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let mut told = 0;
        while !queue.wait(BEAT) {
            let now = counted.load(Ordering::Relaxed);
            tick(now - told);
            told = now;
        }
        for handle in handles {
            match handle.join() {
                Ok(visitor) => visitors.push(visitor),
                // What it saw is lost: that must not pass for nothing.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        tick(counted.load(Ordering::Relaxed) - told);
    });
    visitors
}
