//! What denials are judged by: the policy, the specifications of file contexts, and what is known of the host.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use super::files::{Counted, Tree};
use crate::selinux::contexts::Sections;
use crate::selinux::policy::Policy;

/// How the specifications are read, when the first path asks for them.
pub type LoadLabels = Box<dyn Fn() -> Result<Labels, String>>;

/// What denials are judged by.
pub struct Ground {
    /// The policy, booleans in the states that hold.
    pub policy: Policy,
    /// Where it was read from.
    pub path: String,
    /// Why from there, in a few words.
    pub reason: &'static str,
    /// Booleans whose states were set apart from those in the policy file, with the state.
    pub booleans: BTreeMap<String, bool>,
    /// The host's files, where they may be counted.
    pub tree: Option<Tree>,
    counted: OnceCell<Option<Counted>>,
    load: LoadLabels,
    labels: OnceCell<Result<Labels, String>>,
}

/// The specifications of file contexts.
#[derive(Debug)]
pub struct Labels {
    /// They.
    pub contexts: Sections,
    /// Types that restorecon leaves as they are.
    pub customizable: BTreeSet<String>,
    /// Where they were read from.
    pub name: String,
    /// How many specifications give each type, counted when this is first asked.
    by_type: OnceLock<HashMap<Box<[u8]>, u64, RandomState>>,
}

impl Labels {
    /// The specifications of `name`.
    pub fn new(contexts: Sections, customizable: BTreeSet<String>, name: String) -> Self {
        Labels { contexts, customizable, name, by_type: OnceLock::new() }
    }

    /// How many specifications give a type; `None` where none does.
    pub fn giving(&self, ty: &str) -> Option<u64> {
        self.by_type.get_or_init(|| self.count()).get(ty.as_bytes()).copied()
    }

    fn count(&self) -> HashMap<Box<[u8]>, u64, RandomState> {
        let mut counted: HashMap<Box<[u8]>, u64, RandomState> = HashMap::default();
        let third = |context: &'_ [u8]| -> Option<(usize, usize)> {
            let mut colons = context.iter().enumerate().filter(|(_, b)| **b == b':').map(|(at, _)| at);
            let start = colons.nth(1)? + 1;
            Some((start, colons.next().unwrap_or(context.len())))
        };
        let types = self.contexts.contexts().filter_map(|context| {
            let (start, end) = third(context)?;
            context.get(start..end)
        });
        let mut add = |ty: &[u8], n| match counted.get_mut(ty) {
            Some(count) => *count += n,
            None => _ = counted.insert(ty.into(), n),
        };
        // Neighbours mostly give the same.
        let mut last: (&[u8], u64) = (b"", 0);
        for ty in types {
            if ty != last.0 {
                let (ty, n) = std::mem::replace(&mut last, (ty, 0));
                add(ty, n);
            }
            last.1 += 1;
        }
        add(last.0, last.1);
        counted.retain(|_, n| *n > 0);
        counted
    }
}

impl Ground {
    /// A policy from `path`, and how specifications are read.
    pub fn new(policy: Policy, path: String, reason: &'static str, load: LoadLabels) -> Self {
        Ground {
            policy,
            path,
            reason,
            booleans: BTreeMap::new(),
            tree: None,
            counted: OnceCell::new(),
            load,
            labels: OnceCell::new(),
        }
    }

    /// The specifications, read when this is first called; `None` where there are none.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.get_or_init(|| (self.load)()).as_ref().ok()
    }

    /// How many files on this host have each type, counted when this is first called; `None` where they may not be.
    pub fn files(&self) -> Option<&Counted> {
        self.counted.get_or_init(|| self.tree.as_ref().and_then(Tree::count)).as_ref()
    }

    /// What was counted; `None` as long as nothing asked for it.
    pub fn counted(&self) -> Option<&Counted> {
        self.counted.get().and_then(Option::as_ref)
    }

    /// Where the specifications were read from, or why none were; `None` as long as nothing asked for them.
    pub fn labels_read(&self) -> Option<Result<&str, &str>> {
        self.labels.get().map(|l| l.as_ref().map(|l| &*l.name).map_err(|e| &**e))
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("path", &self.path)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
