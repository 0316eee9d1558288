//! Which mode held when something was denied: whether it was stopped, or logged and let through.
//!
//! Records say so themselves since Linux 3.17 (`permissive=`), for the domain and all of SELinux alike; the log's changes
//! of mode tell the two apart, and speak for older records.

use crate::denials::{Denial, Log};

/// What became of a denied access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It was stopped.
    Enforcing,
    /// It was logged and let through.
    Permissive,
    /// Now the one, now the other.
    Both,
    /// Nothing tells.
    Unknown,
}

impl Mode {
    /// A word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Enforcing => "enforcing",
            Mode::Permissive => "permissive",
            Mode::Both => "both",
            Mode::Unknown => "unknown",
        }
    }
}

/// The mode of a denial, and how that is known, in a few words.
pub fn of(log: &Log, denial: &Denial) -> (Mode, String) {
    let then = [denial.seen.first, denial.seen.last].map(|t| t.and_then(|t| log.changes.enforcing(t)));
    let enforcing = if then[0] == then[1] { then[0] } else { None };
    let (passed, stopped) = (denial.permissive, denial.enforced);
    let (mode, text) = match (passed, stopped, enforcing) {
        (0, 0, Some(true)) => (Mode::Enforcing, "enforcing, by the log's changes of mode: stopped"),
        (0, 0, Some(false)) => (Mode::Permissive, "permissive, by the log's changes of mode: let through"),
        (0, 0, None) => (Mode::Unknown, "the record does not say whether it was stopped"),
        (0, _, _) => (Mode::Enforcing, "enforcing: stopped"),
        (_, 0, Some(true)) => {
            (Mode::Permissive, "permissive, the domain alone while SELinux was enforcing: let through")
        }
        (_, 0, Some(false)) => (Mode::Permissive, "permissive, all of SELinux: let through"),
        (_, 0, None) => (Mode::Permissive, "permissive, the domain or all of SELinux: let through"),
        _ => {
            let text = format!(
                "both: let through {}, stopped {}",
                super::text::count(passed, "time", "times"),
                super::text::count(stopped, "time", "times")
            );
            return (Mode::Both, text);
        }
    };
    (mode, text.to_owned())
}
