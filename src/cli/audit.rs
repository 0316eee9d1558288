//! `perms audit`: findings and exit status, for cron.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::ui::Ui;
use super::{Common, load};
use crate::audit;
use crate::report::{Format, findings};

/// Verify that the host is as declared and no wider; made for cron
///
/// Prints nothing and exits with 0 when it is. Else one finding for each thing that is missing, wrong or in excess; the
/// exit status sums what kinds there were: 4 missing or wrong, 8 excess, 16 not checked. Writes nothing: the kernel holds it
/// to that where it can (Landlock).
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Manifests, or folders of them, instead of the folder of manifests
    #[arg(value_name = "MANIFEST")]
    pub(super) named: Vec<PathBuf>,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: AuditArgs) -> Result<u8, CliError> {
    audit::promise_not_to_write();
    let mut loaded = load::load(ui, common, &args.named)?;
    let progress = ui.progress("files");
    let report = audit::audit(loaded.manifests, &mut loaded.host, &|| progress.tick());
    drop(progress);
    let list = report.findings();
    match ui.format {
        Format::Human => findings::human(&mut *ui.out, &list, ui.paint)?,
        Format::Plain => findings::plain(&mut *ui.out, &list)?,
        Format::Json => findings::json(&mut *ui.out, &list, report.status())?,
    }
    Ok(report.status())
}
