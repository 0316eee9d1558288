//! `perms apply`: the plan, the question, the run.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::ui::Ui;
use super::{Common, load, plan, show_plan};
use crate::apply;
use crate::plan::Plan;
use crate::report::Format;
use crate::report::numbers::{count, len};

/// Make the host as declared
///
/// Shows the plan, asks (or takes --yes), checks everything that can be checked beforehand (sudoers with visudo, as a whole,
/// in a copy), writes a journal of what is there, and then makes the changes. If one fails, all are undone.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// Manifests, or folders of them, instead of the folder of manifests
    #[arg(value_name = "MANIFEST")]
    pub(super) named: Vec<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: ApplyArgs) -> Result<u8, CliError> {
    let mut loaded = load::load(ui, common, &args.named)?;
    let progress = ui.progress("files");
    let make = if load::is_all(common, &args.named) { Plan::make_whole } else { Plan::make };
    let plan = make(loaded.manifests, &mut loaded.host, &|more| progress.add(more));
    drop(progress);
    let changes = plan.changes().len();
    if ui.format != Format::Json || changes == 0 {
        plan::show(ui, &plan, &loaded.warnings)?;
    }
    if plan.blocked().next().is_some() {
        return Err(CliError::new(
            "nothing was changed: what is marked ! in the plan has to be mended first",
        ));
    }
    if changes == 0 {
        if ui.format == Format::Human {
            let line = if plan.items.is_empty() {
                plan::nothing_to_do(&plan)
            } else {
                "There is nothing that perms changes; what is marked ! is for you to look at.".to_owned()
            };
            writeln!(ui.out, "{line}")?;
        }
        return Ok(plan.status());
    }
    if !args.yes {
        let question = format!("Apply {} ({})?", show_plan::counts(&plan), changed(changes));
        match ui.ask(&question)? {
            Some(true) => {}
            Some(false) => {
                writeln!(ui.out, "Nothing was changed.")?;
                return Ok(1);
            }
            None => {
                return Err(CliError::new("nothing was changed: there is no terminal to ask on")
                    .hint("perms apply --yes"));
            }
        }
    }
    // What cannot be shown is not done.
    ui.out.flush()?;
    let done = apply::apply(&loaded.host.root, &plan)?;
    match ui.format {
        Format::Json => {
            let report = serde_json::json!({
                "version": crate::report::findings::JSON_VERSION, "kind": "apply", "run": done.run,
                "changes": done.changes, "checked": done.checked,
            });
            writeln!(ui.out, "{report:#}")?;
        }
        _ => {
            let digits = done.run.rsplit_once('-').map_or(done.run.as_str(), |(_, d)| d);
            let checked = if done.checked.is_empty() {
                String::new()
            } else {
                format!(" ({})", done.checked.join("; "))
            };
            writeln!(ui.out, "{} {}{checked}", ui.paint.good("done"), changed(done.changes))?;
            writeln!(ui.out, "Run {}. Undo: perms rollback {digits}", done.run)?;
        }
    }
    // What is left is what perms does not change by itself.
    Ok(plan
        .items
        .iter()
        .filter(|i| matches!(i.fix, crate::plan::Fix::ByHand))
        .flat_map(|i| &i.findings)
        .fold(0, |bits, f| bits | f.class.exit_bit()))
}

/// `1 change`, `2 changes`.
pub(super) fn changed(n: usize) -> String {
    count(len(n), "change", "changes")
}
