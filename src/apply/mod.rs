//! Carrying a plan out: everything checked first, journalled, then changed; undone where one change fails.

mod account_files;
mod accounts;
mod execute;
mod files;
mod grants;
pub mod journal;
mod lock;
mod modules;
mod preflight;
mod rollback;
mod store;
mod transaction;

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
    /// The change was refused before it was begun, because the host is not as the plan saw it: there is nothing to undo.
    refused: bool,
}

impl ApplyError {
    fn new(what: impl Into<String>, why: impl ToString) -> Self {
        ApplyError { what: what.into(), why: why.to_string(), remedy: None, refused: false }
    }

    fn refused(self) -> Self {
        ApplyError { refused: true, ..self }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Refuses what changes the policy store of another tree than the host's: semanage knows no other.
fn only_the_host(root: &crate::sys::Root) -> Result<(), ApplyError> {
    if root.is_host() {
        return Ok(());
    }
    Err(ApplyError::new("the SELinux policy store", "only the running host's is changed"))
}
