//! polkit: the rules file that lets a user tell systemd one thing about one unit, and what rules of others let a user do.
//!
//! systemd asks polkit for `org.freedesktop.systemd1.manage-units` whoever calls `systemctl` and is not root, and tells it the
//! unit and the verb (since version 226). A rule that compares both is narrower than one of sudo: nothing runs as root that
//! the caller started, and no argument can be added.

mod job;
mod read;
mod write;

pub use job::{NoJob, UnitJob};
pub use read::{Named, Rule, pkla, rules};
pub use write::{Rights, rules_file};

/// What systemd asks for before it starts, stops or reloads a unit.
pub const MANAGE_UNITS: &str = "org.freedesktop.systemd1.manage-units";
