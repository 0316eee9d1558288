//! `perms rollback`: undoing a run, and the list of runs.

use clap::Args;

use super::Common;
use super::error::CliError;
use super::ui::Ui;
use crate::apply;
use crate::report::{Format, escape};
use crate::sys::Root;

/// Undo a run of apply from its journal
///
/// Each change is undone only where the host still is as the run left it; what somebody changed since is left alone and said.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The run, whole or its last four digits [default: the newest that is not undone]
    #[arg(value_name = "RUN")]
    pub(super) run: Option<String>,
    /// List the runs
    #[arg(long, conflicts_with = "run")]
    pub(super) list: bool,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: RollbackArgs) -> Result<u8, CliError> {
    let root = super::load::root(common)?;
    if args.list {
        return list(ui, &root);
    }
    let report = apply::rollback(&root, args.run.as_deref())?;
    if ui.format == Format::Json {
        let report = serde_json::json!({
            "version": crate::report::findings::JSON_VERSION, "kind": "rollback", "run": report.run,
            "undone": report.undone, "kept": report.kept,
            "failed": report.failed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        writeln!(ui.out, "{report:#}")?;
    } else {
        for k in &report.kept {
            writeln!(ui.out, "kept: {}", escape(k))?;
        }
        for f in &report.failed {
            writeln!(ui.err, "{}: {}", ui.err_paint.bad("not undone"), escape(&f.to_string()))?;
        }
        writeln!(ui.out, "Run {}: {} changes undone.", report.run, report.undone)?;
    }
    Ok(u8::from(!report.failed.is_empty()))
}

fn list(ui: &mut Ui, root: &Root) -> Result<u8, CliError> {
    let names = apply::journal::runs(root)?;
    if ui.format == Format::Human && names.is_empty() {
        writeln!(ui.out, "There are no runs.")?;
    }
    let mut status = 0;
    for n in names {
        // One that cannot be read does not hide the others.
        let run = match apply::journal::read(root, &n) {
            Ok(run) => run,
            Err(e) => {
                writeln!(ui.out, "{}  {}", escape(&n), escape(&e.to_string()))?;
                status = 1;
                continue;
            }
        };
        let end = match run.end {
            Some(apply::journal::End::Applied) => "applied",
            Some(apply::journal::End::Undone) => "failed and undone",
            Some(apply::journal::End::RolledBack) => "rolled back",
            None => "cut off: perms rollback brings back what was there",
        };
        writeln!(
            ui.out,
            "{n}  {:>6} changes  {}  {end}",
            run.changes.len(),
            escape(&run.header.apps.join(", "))
        )?;
    }
    Ok(status)
}
