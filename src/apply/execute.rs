//! The run itself.

use super::{ApplyError, accounts, files, grants, journal, lock, modules, preflight, store};
use crate::plan::{Change, Plan};
use crate::sys::Root;

/// What a run did.
#[derive(Debug)]
pub struct Done {
    /// The run's name, for `perms rollback`.
    pub run: String,
    /// The changes made.
    pub changes: usize,
    /// What was checked on the way, for the user.
    pub checked: Vec<String>,
}

/// Carries out the changes of a plan: checked, journalled, made. If one fails, those before it are undone.
///
/// # Errors
/// What could not be done, and whether the host is as it was.
pub fn apply(root: &Root, plan: &Plan) -> Result<Done, ApplyError> {
    let mut changes = plan.changes();
    let (checked, before) = preflight::check(root, plan, &changes)?;
    let _lock = lock::take(root)?;
    modules::build(root, &mut changes)?;
    let run = journal::new_name(root)?;
    journal::begin(root, &run, plan.apps(), &changes)?;
    for (i, change) in changes.iter().enumerate() {
        if let Err(e) = make(root, change) {
            // A change that was refused was not begun: what is there is another's, and not ours to take back.
            let begun = if e.refused { i } else { i + 1 };
            return Err(take_back(root, &run, changes.get(..begun).unwrap_or(&changes), e));
        }
    }
    if let Err(e) = grants::check_after(root, &before) {
        return Err(take_back(root, &run, &changes, e));
    }
    journal::end(root, &run, journal::End::Applied)?;
    Ok(Done { run, changes: changes.len(), checked })
}

fn take_back(root: &Root, run: &str, made: &[Change], error: ApplyError) -> ApplyError {
    let mut left = Vec::new();
    for change in made.iter().rev() {
        match undo(root, change) {
            Ok(None) => {}
            Ok(Some(kept)) => left.push(kept),
            Err(e) => left.push(e.to_string()),
        }
    }
    let note = if left.is_empty() {
        let _ = journal::end(root, run, journal::End::Undone);
        "what had been changed was undone: the host is as it was".to_owned()
    } else {
        format!("not everything could be undone: {}; then: perms rollback {run}", left.join("; "))
    };
    let remedy = match error.remedy {
        Some(r) => format!("{r}; {note}"),
        None => note,
    };
    ApplyError { remedy: Some(remedy), ..error }
}

/// Makes one change.
fn make(root: &Root, change: &Change) -> Result<(), ApplyError> {
    match change {
        Change::Group { name, gid } => accounts::make_group(root, name, *gid),
        Change::User { name, before: None, after } => accounts::make_user(root, name, after),
        Change::User { name, before: Some(before), after } => {
            accounts::change_user(root, name, before, after)
        }
        Change::Make { path, directory, state } => files::make(root, path, *directory, state),
        Change::State { path, object, before, after } => {
            files::set_state(root, path, *object, before, after, false).map(|_| ())
        }
        Change::Content { path, before, after } => {
            files::set_content(root, path, before.as_ref(), after.as_ref()).map(|_| ())
        }
        Change::Store { edits } => store::make(root, edits),
    }
}

/// Undoes one change, whether it was made, half made, or not made. Returns what was kept on purpose, and why.
pub(super) fn undo(root: &Root, change: &Change) -> Result<Option<String>, ApplyError> {
    match change {
        Change::Group { name, gid } => accounts::delete_group(root, name, *gid).map(|()| None),
        Change::User { name, before: None, after } => {
            accounts::delete_user(root, name, after.uid).map(|()| None)
        }
        Change::User { name, before: Some(before), after } => {
            accounts::change_user(root, name, after, before).map(|()| None)
        }
        Change::Make { path, directory, .. } => files::unmake(root, path, *directory),
        Change::State { path, object, before, after } => {
            match files::set_state(root, path, *object, after, before, true) {
                Ok(_) => Ok(None),
                Err(e) if root.open_exact(path).is_err_and(|r| r.is_not_found()) => {
                    Ok(Some(format!("{} is gone ({e})", path.display())))
                }
                Err(e) => Err(e),
            }
        }
        Change::Content { path, before, after } => {
            files::set_content(root, path, after.as_ref(), before.as_ref()).map(|_| None)
        }
        Change::Store { edits } => store::undo(root, edits),
    }
}
