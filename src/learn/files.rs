//! Files of this host, counted by their labels: what a rule on a type opens, and what else below a folder is wrong.
//!
//! One walk by many threads for all types, and a small one for each folder that is asked about. The time is bounded
//! unless no bound is asked for; what was not seen by then makes the figure an `at least`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::ground::Labels;
use crate::selinux::contexts::compare::{Comparison, compare};
use crate::selinux::contexts::{Answer, FileKind, Lookups};
use crate::sys::mounts::{Class, Mount, Mounts};
use crate::sys::scan::{Options, Seen, Start, Visit, scan};
use crate::sys::{Kind, Root};

/// How many files have each type.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// By type.
    pub by_type: BTreeMap<String, u64>,
    /// Objects that were looked at.
    pub seen: u64,
    /// Whether all were: the time may have run out, or something could not be read.
    pub whole: bool,
}

/// Files below a folder whose labels are not those of the specifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Below {
    /// The folder.
    pub folder: Box<[u8]>,
    /// How many files.
    pub wrong: u64,
    /// Whether all were looked at.
    pub whole: bool,
}

/// The files of a host, or of a tree that stands for one.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    /// How long counting may take.
    most: Option<Duration>,
}

impl Tree {
    /// The files below `root`; `None` if they have no labels, or none can be read.
    pub fn labelled(root: Root, most: Option<Duration>) -> Option<Tree> {
        let has = |path: &str| {
            let found = root.resolve(Path::new(path)).ok()?;
            found.handle.label(&found.meta).ok().flatten().filter(|l| !l.is_empty())
        };
        // Where SELinux never ran there is nothing to count.
        (has("/").is_some() || has("/etc").is_some()).then_some(Tree { root, most })
    }

    /// Counts them all.
    pub fn count(&self) -> Option<Counted> {
        let end = self.most.map(|most| Instant::now() + most);
        let mounts = Mounts::read().unwrap_or_default();
        let start = self.start(Path::new("/"))?;
        let new = || Counter {
            mounts: &mounts,
            end,
            late: false,
            seen: 0,
            failed: false,
            by_type: FxHashMap::default(),
        };
        let mut all = Counted { whole: true, ..Counted::default() };
        for counter in scan(vec![start], Options::default(), &new, &|_| {}) {
            all.seen += counter.seen;
            all.whole &= !counter.late && !counter.failed;
            for (label, n) in counter.by_type {
                let ty = label.split(|b| *b == b':').nth(2).unwrap_or(&label);
                *all.by_type.entry(String::from_utf8_lossy(ty).into_owned()).or_default() += n;
            }
        }
        Some(all)
    }

    /// The files below `folder` whose types are not as the specifications say.
    pub fn wrong_below(&self, labels: &Labels, folder: &[u8]) -> Option<Below> {
        let end = self.most.map(|most| Instant::now() + most);
        let mounts = Mounts::read().unwrap_or_default();
        let start = self.start(Path::new(OsStr::from_bytes(folder)))?;
        let new = || Checker {
            mounts: &mounts,
            labels,
            lookups: labels.contexts.whole().lookups(),
            end,
            late: false,
            wrong: 0,
            seen: 0,
            failed: false,
        };
        let mut below = Below { folder: folder.into(), wrong: 0, whole: true };
        for checker in scan(vec![start], Options::default(), &new, &|_| {}) {
            below.wrong += checker.wrong;
            below.whole &= !checker.late && !checker.failed;
        }
        Some(below)
    }

    fn start(&self, path: &Path) -> Option<Start> {
        let handle = self.root.resolve(path).ok()?.handle;
        Some(Start { path: PathBuf::from(path), handle })
    }
}

/// Whether the files of a mount are this host's own, and not shown elsewhere too.
fn is_own(mounts: &Mounts, mount: Option<&Mount>) -> bool {
    mount.is_some_and(|m| m.class() == Class::Local && mounts.shown_before(m).is_none())
}

/// Whether the time is over. Asked for each object; the clock is looked at now and then.
fn is_late(end: Option<Instant>, seen: u64, late: &mut bool) -> bool {
    if seen.is_multiple_of(64) && end.is_some_and(|end| Instant::now() >= end) {
        *late = true;
    }
    *late
}

/// Most labels that are told from each other: hosts have some thousands, and a tree may be hostile.
const MOST_LABELS: usize = 100_000;

/// One thread that counts.
struct Counter<'a> {
    mounts: &'a Mounts,
    end: Option<Instant>,
    late: bool,
    seen: u64,
    failed: bool,
    /// By whole label.
    by_type: FxHashMap<Box<[u8]>, u64>,
}

impl Visit for Counter<'_> {
    fn see(&mut self, seen: &Seen<'_>) -> bool {
        self.seen += 1;
        if is_late(self.end, self.seen, &mut self.late) {
            return false;
        }
        if let Some(label) = seen.attributes.label() {
            let full = self.by_type.len() >= MOST_LABELS;
            match self.by_type.get_mut(label) {
                Some(n) => *n += 1,
                None if full => self.failed = true,
                None => {
                    self.by_type.insert(label.into(), 1);
                }
            }
        }
        true
    }

    fn enter(&mut self, _: &[u8], mount: Option<&Mount>) -> bool {
        is_own(self.mounts, mount)
    }

    fn failed(&mut self, _: &[u8], _: io::Error) {
        self.failed = true;
    }
}

/// One thread that compares.
struct Checker<'a> {
    mounts: &'a Mounts,
    labels: &'a Labels,
    lookups: Lookups<'a>,
    end: Option<Instant>,
    late: bool,
    wrong: u64,
    seen: u64,
    failed: bool,
}

impl Visit for Checker<'_> {
    fn see(&mut self, seen: &Seen<'_>) -> bool {
        self.seen += 1;
        if is_late(self.end, self.seen, &mut self.late) {
            return false;
        }
        let kind = u8::try_from(seen.meta.kind.letter()).ok().and_then(FileKind::of_letter);
        if let (Some(label), Answer::Context(spec)) =
            (seen.attributes.label(), self.lookups.lookup(seen.path, kind))
            && let Some(should) = &spec.context
        {
            let customizable =
                |ty: &[u8]| std::str::from_utf8(ty).is_ok_and(|ty| self.labels.customizable.contains(ty));
            let is = compare(label, should.as_bytes(), customizable);
            self.wrong += u64::from(is == Comparison::Wrong);
        }
        seen.meta.kind == Kind::Directory
    }

    fn enter(&mut self, _: &[u8], mount: Option<&Mount>) -> bool {
        is_own(self.mounts, mount)
    }

    fn failed(&mut self, _: &[u8], _: io::Error) {
        self.failed = true;
    }
}
