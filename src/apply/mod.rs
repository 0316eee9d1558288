//! Carrying a plan out: everything checked first, journalled, then changed; undone where one change fails.

mod account_files;
mod accounts;
mod execute;
mod files;
mod grants;
pub mod journal;
mod lock;
mod preflight;
mod rollback;
mod store;

pub use execute::{Done, apply};
pub use rollback::{RolledBack, rollback};

/// Why a plan was not carried out, or not undone.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct ApplyError {
    /// What was being done.
    pub what: String,
    /// What went wrong.
    pub why: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl ApplyError {
    fn new(what: impl Into<String>, why: impl ToString) -> Self {
        ApplyError { what: what.into(), why: why.to_string(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
