//! Which SELinux context a file should have: file_contexts and what lies next to it, answered as libselinux answers.
//!
//! ```
//! use perms::selinux::contexts::{Answer, FileContexts, FileKind, Files, Precedence, Text};
//!
//! let specs = b"/srv(/.*)?  system_u:object_r:srv_t:s0\n/srv/app/.*\\.py  --  system_u:object_r:app_exec_t:s0\n";
//! let contexts = FileContexts::new(Files::only(Text::new("file_contexts", specs)), Precedence::Since3_9);
//! assert!(contexts.problems().is_empty());
//! let mut lookup = contexts.lookups();
//! let Answer::Context(spec) = lookup.lookup(b"/srv/app/manage.py", Some(FileKind::File)) else { panic!() };
//! assert_eq!(spec.context.as_deref(), Some("system_u:object_r:app_exec_t:s0"));
//! assert_eq!(spec.place.to_string(), "file_contexts:2");
//! ```
//!
//! | file | what it is for |
//! |---|---|
//! | [`spec`] | one line of file_contexts |
//! | `pattern` | its regular expression: PCRE2's dialect in Rust's, or refused by name |
//! | `stem` | the folders that a pattern begins with |
//! | [`subs`] | path equivalence |
//! | [`precedence`] | libselinux's versions, which differ |
//! | `automaton` | one automaton for all patterns |
//! | [`database`] | all files together, and problems in them |
//! | [`lookup`] | the look-up, and its explanation |
//! | [`sections`] | only what could decide about the paths that are asked about |
//! | [`homes`] | templates of home directories, as genhomedircon expands them |
//! | [`compare`] | a context on disk beside the expected one |

mod automaton;
pub mod compare;
pub mod database;
pub mod homes;
pub mod lookup;
mod pattern;
pub mod precedence;
pub mod sections;
pub mod spec;
mod stem;
pub mod subs;

pub use compare::{Comparison, compare};
pub use database::{FileContexts, Files, Text};
pub use lookup::{Answer, Explanation, Lookups};
pub use precedence::Precedence;
pub use sections::{SectionLookups, Sections};
pub use spec::{FileKind, Place, Problem, Spec};
pub use subs::Substitution;
