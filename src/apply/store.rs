//! The SELinux policy store, changed in one transaction.

use super::ApplyError;
use crate::sys::{Root, run};

/// Puts lines through `semanage import`, which commits all of them or none.
pub(super) fn import(root: &Root, lines: &[String]) -> Result<(), ApplyError> {
    if lines.is_empty() {
        return Ok(());
    }
    if !root.is_host() {
        return Err(ApplyError::new("the SELinux policy store", "only the running host's is changed"));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    let what = "semanage import";
    let ended = run::run("semanage", &["import"], text.as_bytes())
        .map_err(|e| ApplyError::new(what, e).remedy("install policycoreutils-python-utils"))?;
    if ended.success {
        return Ok(());
    }
    // It commits all of the lines or none: there is nothing to take back.
    Err(ApplyError::new(what, ended.said()).refused())
}
