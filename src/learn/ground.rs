//! What denials are judged by: the policy, the specifications of file contexts, and what is known of the host.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

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
    /// How many specifications give each type.
    pub by_type: BTreeMap<String, u64>,
}

impl Labels {
    /// The specifications of `name`.
    pub fn new(contexts: Sections, customizable: BTreeSet<String>, name: String) -> Self {
        let mut counted: HashMap<&str, u64, RandomState> = HashMap::default();
        for context in contexts.specs().filter_map(|s| s.context.as_deref()) {
            if let Some(ty) = context.split(':').nth(2) {
                *counted.entry(ty).or_default() += 1;
            }
        }
        let by_type = counted.into_iter().map(|(ty, n)| (ty.to_owned(), n)).collect();
        Labels { contexts, customizable, name, by_type }
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
