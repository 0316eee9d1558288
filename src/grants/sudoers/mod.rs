//! sudoers: the policy of sudo, read without loss, asked, edited and written.
//!
//! ```text
//! files ─► token, short, scan, lexer ─► parser, include ─► Tree ─► rules_for   what applies to somebody
//!                                               │            ├───► decide      may they, as sudo decides
//!                                               │            ├───► edit        take a rule out
//!                                               ▼            └───► check_copy, survivors   before a change is put in place
//!                                             check          what visudo refuses, entry by entry
//! rules ─► fragment                              a file of our own
//! ```
//!
//! The grammar is that of sudo 1.9.17 (the sudoers manual, and plugins/sudoers in sudo's sources for what the manual
//! leaves open); where a mistake stands, sudo's recovery is followed, so that what is read here is what sudo reads.

pub mod ast;
pub mod bytes;
pub mod check;
pub mod check_copy;
pub mod command;
pub mod decide;
mod defaults;
pub mod edit;
pub mod ere;
pub mod files;
pub mod fnmatch;
pub mod fragment;
pub mod grants;
mod include;
mod lexer;
pub mod matching;
mod parser;
pub mod rs;
mod runas;
mod scan;
mod short;
pub mod survivors;
mod token;
pub mod tree;
pub mod values;
pub mod verdict;

pub use check::{Check, check};
pub use check_copy::{CopyError, CopyFile, rewritten_for_check, rewritten_text};
pub use command::{Behaviour, NoPrograms, Programs};
pub use decide::{Decision, Outcome, Password, Question, Session, Target, decide, default_target};
pub use edit::{Removal, remove_entries, remove_entry};
pub use files::{FileText, Files, FilesError, Folder, MemoryFiles};
pub use fragment::{FragmentArgs, FragmentError, FragmentRule, fragment, is_read_name, joins_ambiguously};
pub use grants::{Grant, GrantCommand, MatchedHost, MatchedUser, RuleRef, rules_for};
pub use matching::ThisHost;
pub use rs::{Dialect, RsPolicy, RsProblem};
pub use survivors::{FullRoot, full_root_identities};
pub use tree::{File, Ignored, IgnoredReason, Problem, ProblemKind, Reading, Tree};
pub use verdict::{Doubt, Verdict};
