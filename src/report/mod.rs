//! What `perms` says: finding codes, the places they point at, and how they are shown.
//!
//! Everything a user reads that is not a command's plain answer is a [`Diagnostic`] (about a text
//! that somebody wrote: a manifest, a sudoers file) or a [`Finding`] (about a host).

pub mod codes;
pub mod diagnostic;
pub mod escape;
pub mod finding;
pub mod findings;
pub mod format;
pub mod lossless;
pub mod nearest;
pub mod numbers;
pub mod render_diagnostic;
pub mod source;
pub mod style;

pub use codes::{Code, Severity};
pub use diagnostic::Diagnostic;
pub use escape::{escape, escape_bytes};
pub use finding::{Class, Finding};
pub use format::Format;
pub use nearest::nearest;
pub use source::{Origin, Source, Spanned};
