//! One question through every layer: may this user do that, and who may?
//!
//! ```text
//! path ─► walk (as the kernel resolves it) ─► files: parents, mount, attributes, mode, ACL, capabilities
//!                                          └► domain: the SELinux policy, where a domain is given
//! command ─► run: sudo, doas, or by oneself
//! every account, rule and domain ─► who
//! ```
//!
//! An [`Answer`] is a list of [`Step`]s, one for each thing that was asked on the way, each with the line, entry or rule
//! that decides. Nothing is changed; of files that are executed the first two bytes are read.

mod answer;
pub mod domain;
mod explain;
pub mod files;
mod known_names;
pub mod lint_doas;
mod lint_rule;
pub mod lint_sudo;
pub mod programs;
pub mod run;
mod walk;
pub mod who;

pub use answer::{Answer, Layer, Object, Step, Verdict};
pub use domain::Domain;
pub use files::{Action, Asker, may};
