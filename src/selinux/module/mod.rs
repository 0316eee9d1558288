//! The module language: which names it can write, and modules as `.te` and `.cil` text.

pub mod classes;
pub mod content;
pub mod installed;
pub mod name;
pub mod parse;
pub mod rules;
pub mod te;

pub use content::{Content, Statement};
pub use name::Name;
pub use rules::{Grant, Rule, RuleSet, Target};
