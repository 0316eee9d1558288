//! Sudoers: our reader, decisions, edits and fragments against sudo and visudo themselves.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends at a surprise"
)]

mod support;

#[path = "sudoers/edits.rs"]
mod edits;
#[path = "sudoers/facts.rs"]
mod facts;
#[path = "sudoers/fragments.rs"]
mod fragments;
#[path = "sudoers/generate.rs"]
mod generate;
#[path = "sudoers/harness.rs"]
mod harness;
#[path = "sudoers/hostile.rs"]
mod hostile;
#[path = "sudoers/oracle.rs"]
mod oracle;
#[path = "sudoers/rs.rs"]
mod rs;
#[path = "sudoers/visudo.rs"]
mod visudo;
