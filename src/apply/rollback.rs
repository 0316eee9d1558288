//! Undoing a run from its journal.

use std::collections::BTreeSet;
use std::path::Path;

use super::{ApplyError, execute, journal, lock};
use crate::plan::Change;
use crate::sys::{Root, write};

/// What a rollback did.
#[derive(Debug)]
pub struct RolledBack {
    /// The run.
    pub run: String,
    /// Changes that are undone.
    pub undone: usize,
    /// What was kept, and why.
    pub kept: Vec<String>,
    /// Changes that could not be undone.
    pub failed: Vec<ApplyError>,
}

/// Undoes a run: the one that `name` names (whole, or by its last four digits), else the newest that is not undone.
///
/// Each change is undone only if what is there is what the run made of it: what somebody changed since is left alone
/// and said.
pub fn rollback(root: &Root, name: Option<&str>) -> Result<RolledBack, ApplyError> {
    let _lock = lock::take(root)?;
    let run = find(root, name)?;
    let mut report =
        RolledBack { run: run.header.run.clone(), undone: 0, kept: Vec::new(), failed: Vec::new() };
    for change in run.changes.iter().rev() {
        match execute::undo(root, change) {
            Ok(None) => report.undone += 1,
            Ok(Some(kept)) => report.kept.push(kept),
            Err(e) => report.failed.push(e),
        }
    }
    sweep(root, &run);
    if report.failed.is_empty() {
        journal::end(root, &report.run, journal::End::RolledBack)?;
    }
    Ok(report)
}

/// Takes away the half-written files of a run that was killed. What cannot be is no harm: they are skipped by all that
/// read those folders, and the next run takes them away.
fn sweep(root: &Root, run: &journal::Run) {
    let mut folders: BTreeSet<&Path> = BTreeSet::new();
    for change in &run.changes {
        match change {
            Change::Group { .. } | Change::User { .. } => folders.insert(Path::new("/etc")),
            Change::Make { path, .. } | Change::Content { path, .. } => {
                path.parent().is_some_and(|p| folders.insert(p))
            }
            _ => false,
        };
    }
    for folder in folders {
        if let Ok((handle, _)) = root.open_exact(folder) {
            let _ = write::sweep(&handle);
        }
    }
}

fn find(root: &Root, name: Option<&str>) -> Result<journal::Run, ApplyError> {
    let names = journal::runs(root)?;
    if let Some(wanted) = name {
        let found: Vec<&String> = names
            .iter()
            .filter(|n| *n == wanted || n.rsplit_once('-').is_some_and(|(_, digits)| digits == wanted))
            .collect();
        return match found.as_slice() {
            [one] => {
                let run = journal::read(root, one)?;
                match run.end {
                    Some(journal::End::RolledBack | journal::End::Undone) => {
                        Err(ApplyError::new(format!("run {one}"), "it is undone already"))
                    }
                    _ => Ok(run),
                }
            }
            [] => Err(ApplyError::new(format!("run {wanted}"), "there is no such run").remedy(format!(
                "runs: {}",
                if names.is_empty() { "none".into() } else { names.join(", ") }
            ))),
            _ => Err(ApplyError::new(format!("run {wanted}"), "more than one run ends in these digits")
                .remedy("give its whole name")),
        };
    }
    for n in names.iter().rev() {
        let run = journal::read(root, n)?;
        if !matches!(run.end, Some(journal::End::RolledBack | journal::End::Undone)) {
            return Ok(run);
        }
    }
    Err(ApplyError::new("rollback", "there is no run to undo"))
}
