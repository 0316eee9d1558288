//! sudoers as sudo-rs reads it and decides by it, where that is not what the original does.
//!
//! sudo-rs (0.2) knows a part of the language. An entry that holds something else (a regular expression, a digest, a
//! netgroup, an address, a wildcard among the arguments, `ROLE=` …) is left out, with a message at every call; the rest
//! stands. What stands is compared otherwise: arguments one by one, host names as they are, paths with the links of their
//! folders resolved, an alias that is not defined as nobody.
//!
//! Entries are taken from the [`Tree`](super::Tree) that the original's grammar gives; each word is read again by the rules
//! of sudo-rs. What the original cannot read at all is not looked at (docs/reference-quirks.md).

mod aliases;
mod decide;
mod glob;
mod policy;
mod words;

pub use policy::{RsPolicy, RsProblem};

/// The two programs that go by the name of sudo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// The original.
    #[default]
    Classic,
    /// The one in Rust, which Ubuntu has since 25.10.
    Rs,
}
