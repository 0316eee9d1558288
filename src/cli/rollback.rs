//! `perms rollback`: undoing a run, and the list of runs.

use clap::Args;

use super::Common;
use super::error::CliError;
use super::ui::Ui;
use crate::apply::{self, journal};
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
        writeln!(ui.out, "Run {}: {} undone.", report.run, super::apply::changed(report.undone))?;
    }
    Ok(u8::from(!report.failed.is_empty()))
}

/// A run in the list; `run` alone if its journal cannot be read.
#[derive(Debug, serde::Serialize)]
struct Listed {
    run: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<usize>,
    apps: Vec<String>,
    /// How it ended; none if it was cut off.
    end: Option<journal::End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn list(ui: &mut Ui, root: &Root) -> Result<u8, CliError> {
    let runs: Vec<Listed> = journal::runs(root)?
        .into_iter()
        // One that cannot be read does not hide the others.
        .map(|name| match journal::read(root, &name) {
            Ok(run) => Listed {
                run: name,
                changes: Some(run.changes.len()),
                apps: run.header.apps,
                end: run.end,
                error: None,
            },
            Err(e) => {
                Listed { run: name, changes: None, apps: Vec::new(), end: None, error: Some(e.to_string()) }
            }
        })
        .collect();
    if ui.format == Format::Json {
        let report = serde_json::json!({
            "version": crate::report::findings::JSON_VERSION, "kind": "runs", "runs": runs,
        });
        writeln!(ui.out, "{report:#}")?;
    } else if ui.format == Format::Human && runs.is_empty() {
        writeln!(ui.out, "There are no runs.")?;
    } else {
        for r in &runs {
            let Some(changes) = r.changes else {
                writeln!(ui.out, "{}  {}", escape(&r.run), escape(r.error.as_deref().unwrap_or_default()))?;
                continue;
            };
            let end = match r.end {
                Some(journal::End::Applied) => "applied",
                Some(journal::End::Undone) => "failed and undone",
                Some(journal::End::RolledBack) => "rolled back",
                None => "cut off: perms rollback brings back what was there",
            };
            let unit = if changes == 1 { "change " } else { "changes" };
            writeln!(
                ui.out,
                "{}  {changes:>6} {unit}  {}  {end}",
                escape(&r.run),
                escape(&r.apps.join(", "))
            )?;
        }
    }
    Ok(u8::from(runs.iter().any(|r| r.error.is_some())))
}
