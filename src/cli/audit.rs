//! `perms audit`: findings and exit status, for cron.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::label::load as specifications;
use super::ui::Ui;
use super::{Common, load};
use crate::audit::whole::{Labels, Whole, look_at_all};
use crate::audit::{self, ACCEPTED, Accepted, Audit};
use crate::host::selinux::is_active;
use crate::report::Format;
use crate::report::escape::{escape, escape_path};
use crate::report::findings::{self, Administrator, Extent, LeftOut};

/// Verify that the host is as declared and no wider; made for cron
///
/// Prints nothing and exits with 0 when it is. Else one finding for each thing that is missing, wrong or in excess; the
/// exit status sums what kinds there were: 4 missing or wrong, 8 excess, 16 not checked. Writes nothing: the kernel holds it
/// to that where it can (Landlock).
///
/// With --all every file of the host is looked at, on all processors: labels, set-id programs and capabilities, ACL
/// entries, what everybody or an application can write, secrets that everybody can read. File systems of the kernel's and
/// of other hosts are left out, and said. What is meant is accepted in the manifest that it concerns, or in accepted.table
/// beside the manifests: `CODE PLACE | REASON`, a line each.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Manifests, or folders of them, instead of the folder of manifests
    #[arg(value_name = "MANIFEST")]
    pub(super) named: Vec<PathBuf>,
    /// Look at the whole host, whatever is declared
    #[arg(long)]
    pub(super) all: bool,
    /// With --all: compare whole labels, not types alone
    #[arg(long, requires = "all")]
    pub(super) full_labels: bool,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: AuditArgs) -> Result<u8, CliError> {
    audit::promise_not_to_write();
    let mut loaded = match args.all && args.named.is_empty() && !load::has_manifests(common)? {
        true => load::without_manifests(common)?,
        false => load::load(ui, common, &args.named)?,
    };
    let accepted = accepted(ui, common)?;
    let progress = ui.progress("files");
    let mut report = audit::audit(
        loaded.manifests,
        load::is_all(common, &args.named),
        &mut loaded.host,
        &accepted,
        &|more| {
            progress.add(more);
        },
    );
    let mut whole = None;
    if args.all {
        report.add_host(&loaded.host, &accepted);
        let specifications = specifications::load(&loaded.host.root, None, None);
        let labels = specifications.as_ref().ok().map(|s| Labels {
            contexts: &s.contexts,
            customizable: &s.customizable,
            full: args.full_labels,
            active: is_active(&loaded.host.root),
            hidden: loaded.host.root.hidden_label(),
        });
        let mut seen = look_at_all(report.manifests(), &loaded.host, labels, &|n| progress.add(n))
            .map_err(std::io::Error::from)?;
        report.add(std::mem::take(&mut seen.findings), &accepted);
        if let Err(e) = &specifications {
            seen.left_out.push((PathBuf::from("SELinux labels"), e.to_string()));
        }
        whole = Some(seen);
    }
    drop(progress);
    let extent = whole.map(|w| extent(w, &mut report));
    let list = report.findings();
    match ui.format {
        Format::Human => findings::human(&mut *ui.out, &list, ui.paint)?,
        Format::Plain => findings::plain(&mut *ui.out, &list)?,
        Format::Json => findings::json(&mut *ui.out, &list, report.status(), extent.as_ref())?,
    }
    if let Some(extent) = extent.filter(|_| ui.format == Format::Human) {
        findings::human_extent(&mut *ui.out, &extent, ui.paint)?;
    }
    Ok(report.status())
}

fn extent(whole: Whole, report: &mut Audit) -> Extent {
    let administrators = std::mem::take(&mut report.administrators);
    Extent {
        seen: whole.seen,
        unread: whole.unread,
        accepted: report.accepted,
        left_out: whole
            .left_out
            .into_iter()
            .map(|(path, why)| LeftOut { path: path.display().to_string(), why })
            .collect(),
        administrators: administrators.into_iter().map(|(user, by)| Administrator { user, by }).collect(),
    }
}

/// What the host accepts.
fn accepted(ui: &mut Ui, common: &Common) -> Result<Accepted, CliError> {
    let path = load::folder(common)?.join(ACCEPTED);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Accepted::default());
        }
        Err(e) => return Err(CliError::new(format!("{}: {e}", path.display()))),
    };
    load::trusted_on_host(common, &path)?;
    Accepted::parse(&text).map_err(|errors| {
        for e in &errors {
            let _ = writeln!(ui.err, "error: {}:{}: {}", escape_path(&path), e.line, escape(&e.what));
        }
        CliError::said()
    })
}
