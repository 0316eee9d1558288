//! sudoers and doas.conf, checked as a whole off to the side.
use super::ApplyError;
use crate::plan::Plan;
use crate::sys::Root;
pub(super) fn check(_root: &Root, _plan: &Plan) -> Result<Vec<String>, ApplyError> {
    Ok(Vec::new())
}
pub(super) fn check_after(_root: &Root, _plan: &Plan) -> Result<(), ApplyError> {
    Ok(())
}
