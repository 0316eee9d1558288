//! `perms explain`: the page behind a code.

use clap::Args;

use super::error::CliError;
use super::ui::Ui;
use crate::report::codes;

/// Print the page behind a finding's code
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The code, as sudo::undeclared-rule; none lists all
    #[arg(value_name = "CODE")]
    pub(super) code: Option<String>,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, args: ExplainArgs) -> Result<u8, CliError> {
    let Some(wanted) = args.code else {
        let width = codes::all().map(|c| c.id.len()).max().unwrap_or(0);
        for c in codes::all() {
            writeln!(ui.out, "{:width$}  {}", c.id, c.summary)?;
        }
        return Ok(0);
    };
    if let Some(c) = codes::find(&wanted) {
        writeln!(ui.out, "{}: {}\n\n{}", ui.paint.bold(c.id), c.summary, c.page.trim_end())?;
        return Ok(0);
    }
    let name = wanted.rsplit("::").next().unwrap_or(&wanted);
    let near: Vec<&str> = codes::all().map(|c| c.id).filter(|id| id.contains(name)).collect();
    let error = CliError::new(format!("there is no code `{wanted}`"));
    Err(if near.is_empty() {
        error.hint("perms explain lists all")
    } else {
        error.hint(format!("did you mean {}?", near.join(", ")))
    })
}
