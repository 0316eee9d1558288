//! `perms check [MANIFEST…]`: reads manifests and says everything that is wrong or risky in them. Changes nothing.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::manifest::{self, Loaded};
use crate::report::escape::escape_path;
use crate::report::format::Format;
use crate::report::{Severity, escape, render_diagnostic};

/// Check manifests: all mistakes at once, each with its line
///
/// Reads the manifests and nothing else. Exit status: 0 if they can be used (there may be warnings), 1 if not.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Manifests, or folders of them, instead of the folder of manifests
    #[arg(value_name = "MANIFEST")]
    named: Vec<PathBuf>,
}

/// Runs it as a command.
pub(super) fn command(
    ui: &mut super::ui::Ui,
    common: &super::Common,
    args: CheckArgs,
) -> Result<u8, super::error::CliError> {
    let paths = if args.named.is_empty() { vec![super::load::folder(common)?] } else { args.named };
    Ok(run(&paths, ui.format, ui.paint.colour, &mut *ui.out)?)
}

/// Version of the JSON form, which docs/schema/check.schema.json describes; it changes when a reader of an older one could be misled.
const JSON_VERSION: u32 = 1;

/// Reads the files, and of folders every `*.toml` in them, and writes what was found. `colour`: with ANSI escapes, in
/// the human form.
///
/// The exit status: 0 if there are no errors (there may be warnings), 1 if there are, or something could not be read.
///
/// # Errors
/// Those of writing.
pub fn run(manifests: &[PathBuf], format: Format, colour: bool, out: &mut dyn Write) -> io::Result<u8> {
    let loaded = manifest::load_all(manifests);
    match format {
        Format::Human | Format::Plain => {
            for diagnostic in &loaded.diagnostics {
                let text = match format {
                    Format::Plain => render_diagnostic::plain(diagnostic),
                    _ => render_diagnostic::human(diagnostic, colour),
                };
                writeln!(out, "{text}")?;
            }
            for (path, error) in &loaded.unreadable {
                writeln!(out, "error: cannot read {}: {}\n", escape_path(path), escape(&reason(error)))?;
            }
            writeln!(out, "{}", summary(manifests, &loaded))?;
        }
        Format::Json => {
            let (errors, warnings) = counts(&loaded);
            let unreadable: Vec<_> = loaded
                .unreadable
                .iter()
                .map(|(path, error)| json!({ "file": escape_path(path), "reason": reason(error) }))
                .collect();
            let report = json!({
                "version": JSON_VERSION,
                "kind": "check",
                "diagnostics": loaded.diagnostics.iter().map(render_diagnostic::json).collect::<Vec<_>>(),
                "unreadable": unreadable,
                "summary": {
                    "errors": errors,
                    "warnings": warnings,
                    "manifests": loaded.files + loaded.unreadable.len(),
                    "valid": loaded.manifests.len(),
                },
            });
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
        }
    }
    Ok(u8::from(loaded.has_errors()))
}

/// Errors (each thing that could not be read is one) and warnings.
fn counts(loaded: &Loaded) -> (usize, usize) {
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    (errors + loaded.unreadable.len(), loaded.diagnostics.len() - errors)
}

fn summary(asked: &[PathBuf], loaded: &Loaded) -> String {
    let (errors, warnings) = counts(loaded);
    let all = loaded.files + loaded.unreadable.len();
    if all == 0 {
        let places: Vec<_> = asked.iter().map(|p| escape_path(p)).collect();
        return format!("No manifests in {}.", places.join(", "));
    }
    if errors + warnings == 0 {
        return match all {
            1 => "1 manifest is valid.".to_owned(),
            n => format!("{n} manifests are valid."),
        };
    }
    let concerned: BTreeSet<&Path> = loaded
        .diagnostics
        .iter()
        .map(|d| d.origin.path())
        .chain(loaded.unreadable.iter().map(|(path, _)| path.as_path()))
        .collect();
    let mut found = Vec::new();
    for (count, word) in [(errors, "error"), (warnings, "warning")] {
        match count {
            0 => {}
            1 => found.push(format!("1 {word}")),
            n => found.push(format!("{n} {word}s")),
        }
    }
    let manifests = if all == 1 { "manifest" } else { "manifests" };
    format!("{} in {} of {all} {manifests}. Nothing was changed.", found.join(", "), concerned.len())
}

/// Without the number that Rust puts after the words.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
