//! `perms plan`: what differs, and what apply would do.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::ui::Ui;
use super::{Common, load, show_plan};
use crate::plan::Plan;
use crate::report::numbers::{count, len};
use crate::report::{Diagnostic, Format};

/// Show what differs from the manifests, and what apply would do about it
///
/// Changes nothing. Exit status as for audit: 0 when there is nothing to do.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Manifests, or folders of them, instead of the folder of manifests
    #[arg(value_name = "MANIFEST")]
    pub(super) named: Vec<PathBuf>,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: PlanArgs) -> Result<u8, CliError> {
    let mut loaded = load::load(ui, common, &args.named)?;
    let progress = ui.progress("files");
    let make = if load::is_all(common, &args.named) { Plan::make_whole } else { Plan::make };
    let plan = make(loaded.manifests, &mut loaded.host, &|more| progress.add(more));
    drop(progress);
    show(ui, &plan, &loaded.warnings)?;
    if ui.format == Format::Human {
        if plan.items.is_empty() {
            writeln!(ui.out, "{}", nothing_to_do(&plan))?;
        } else {
            writeln!(
                ui.out,
                "Plan: {}. Nothing was changed{}",
                show_plan::counts(&plan),
                if plan.blocked().next().is_some() {
                    ", and apply will change nothing until what is marked ! is mended."
                } else {
                    ": perms apply to go on."
                }
            )?;
        }
    }
    Ok(plan.status())
}

/// Writes the plan in the form that is asked for.
pub(super) fn show(ui: &mut Ui, plan: &Plan, warnings: &[Diagnostic]) -> Result<(), CliError> {
    match ui.format {
        Format::Human => show_plan::human(&mut *ui.out, plan, warnings, ui.paint)?,
        Format::Plain => show_plan::plain(&mut *ui.out, plan, warnings)?,
        Format::Json => show_plan::json(&mut *ui.out, plan, warnings)?,
    }
    Ok(())
}

/// What is said when the host is as declared.
pub(super) fn nothing_to_do(plan: &Plan) -> String {
    format!(
        "In accordance: {}, {} looked at. There is nothing to change.",
        count(len(plan.manifests.len()), "manifest", "manifests"),
        count(len(plan.seen), "file", "files")
    )
}
