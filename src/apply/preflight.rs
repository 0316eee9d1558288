//! Everything that can be known before the first change is made.

use super::{ApplyError, grants, store};
use crate::plan::{Change, Plan};
use crate::sys::Root;

/// Checks that the changes can be made. Returns what was checked, for the user.
pub(super) fn check(
    root: &Root,
    plan: &Plan,
    changes: &[Change],
) -> Result<(Vec<String>, grants::Before), ApplyError> {
    let blocked: Vec<String> =
        plan.blocked().flat_map(|i| &i.findings).map(|f| format!("{}: {}", f.place, f.is)).collect();
    if !blocked.is_empty() {
        return Err(ApplyError::new("nothing was changed", blocked.join("; ")).remedy("see perms plan"));
    }
    if !rustix::process::geteuid().is_root() && !root.keeps_owners_beside() {
        return Err(ApplyError::new("nothing was changed", "only root can apply").remedy("sudo perms apply"));
    }
    read_only(root, changes)?;
    store::check(root, changes)?;
    grants::check(root, plan)
}

/// No file system that is to be changed may be mounted read-only.
fn read_only(root: &Root, changes: &[Change]) -> Result<(), ApplyError> {
    let mut last = None;
    for path in changes.iter().filter_map(Change::path) {
        let Some(folder) = path.parent() else { continue };
        if last == Some(folder) {
            continue;
        }
        last = Some(folder);
        let Ok(resolved) = root.resolve(folder) else { continue };
        if resolved.handle.read_only().unwrap_or(false) {
            return Err(ApplyError::new(path.display().to_string(), "its file system is mounted read-only")
                .remedy("nothing was changed; mount it writable first"));
        }
    }
    Ok(())
}
