//! Root equivalence: which accounts can become which others, in how many steps, and by what.
//!
//! The graph's nodes are accounts; an edge is a way from one to another, of one step or of two that only lead somewhere
//! together (writing a daemon's configuration, and having it reloaded). Edges are found when they are asked for, and the
//! search is for the shortest way, so that only what some account can really do is looked at.
//!
//! ```text
//! sudo, doas, declared commands ─► rights ─┐
//! root's places, jobs, homes ────► facts  ─┼─► graph ─► the shortest way of each account
//! memberships ───────────────────► groups ─┘
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `chain` | who can change what a path leads to: the file, or a folder on the way |
//! | `rights` | commands that an account may run as another |
//! | `facts` | paths by which whoever writes them becomes somebody |
//! | `groups` | groups whose members are as good as root |
//! | `graph` | the search |

mod chain;
mod facts;
mod graph;
mod groups;
mod rights;

use crate::report::{Code, Origin};

pub use chain::{Chain, Writer};
pub use facts::{Fact, Facts};
pub use graph::{Ways, World, sudo_tree};
pub use groups::as_good_as_root;
pub use rights::{Arguments, Right};

/// One step of a way.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is done, after the account's name: "writes /etc/cron.d: cron runs what it says as root".
    pub what: String,
    /// The manifest line that makes it possible.
    pub origin: Option<Origin>,
    /// What on the host makes it possible: a path, `FILE:LINE`.
    pub place: Option<String>,
    /// The code of the risk.
    pub code: Code,
}

impl Step {
    /// The step with the line behind it, for people: `(line 9)` of the manifest, `(FILE:LINE)` of the host.
    pub fn show(&self) -> String {
        match (&self.origin, &self.place) {
            (Some(origin), _) => format!("{} (line {})", self.what, origin.line()),
            (None, Some(place)) => format!("{} ({place})", self.what),
            (None, None) => self.what.clone(),
        }
    }
}

/// How an account becomes root.
#[derive(Debug, Clone)]
pub struct Way {
    /// The account.
    pub user: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Way {
    /// Whether every step is declared in a manifest.
    pub fn is_declared(&self) -> bool {
        self.steps.iter().all(|s| s.origin.is_some())
    }

    /// `in 2 steps`.
    pub fn count(&self) -> String {
        match self.steps.len() {
            1 => "in 1 step".to_owned(),
            n => format!("in {n} steps"),
        }
    }
}
