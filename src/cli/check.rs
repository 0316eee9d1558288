//! `perms check [MANIFEST…]`: reads manifests and says everything that is wrong or risky in them. Changes nothing.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::json;

use crate::host::host_name;
use crate::host::polkit::{Sort, sort};
use crate::host::sudo::Dialect;
use crate::manifest::{self, Loaded};
use crate::report::escape::escape_path;
use crate::report::format::Format;
use crate::report::{Diagnostic, Severity, codes, escape, render_diagnostic};
use crate::rights::{lint_doas, lint_sudo};

/// Find every mistake and risk in manifests, sudoers and doas.conf
///
/// Reads and changes nothing. A file named doas.conf is read as doas reads it; one named sudoers, or in a folder of that name
/// with .d, as sudo does, with everything that it includes; all others are manifests. In sudoers and doas.conf a comment
/// above an entry accepts a risk: `# perms: accept CODE: REASON`.
///
/// Exit status: 0 if they can be used (there may be warnings), 1 if not.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Manifests, folders of them, sudoers, doas.conf, instead of the folder of manifests
    #[arg(value_name = "FILE")]
    named: Vec<PathBuf>,
    /// Mistakes alone, as `visudo -c` has them: whether the files can be used, with no look at risks
    #[arg(long)]
    no_risks: bool,
    /// Check sudoers for this sudo, whichever is there
    #[arg(long, value_name = "WHICH", value_enum)]
    sudo: Option<super::can::WhichSudo>,
}

/// Runs it as a command.
pub(super) fn command(
    ui: &mut super::ui::Ui,
    common: &super::Common,
    args: CheckArgs,
) -> Result<u8, super::error::CliError> {
    let named = if args.named.is_empty() { vec![super::load::folder(common)?] } else { args.named };
    let (grants, manifests): (Vec<_>, Vec<_>) = named.into_iter().partition(|p| grant_file(p).is_some());
    let mut loaded = manifest::load_all(&manifests);
    if !grants.is_empty() {
        let root = super::load::root(common)?;
        let dialect = args.sudo.map(super::can::WhichSudo::dialect);
        // What risks are looked for with: the accounts, and what is known of programs.
        let mut host = None;
        for path in &grants {
            let path = super::can::absolute(common, path)?;
            let doas = grant_file(&path) == Some(Grants::Doas);
            if host.is_none() && (doas || !args.no_risks) {
                let observed = crate::host::Host::observe(super::load::root(common)?)?;
                host = Some((observed, programs(common, &mut loaded)?));
            }
            let found = match &host {
                Some((host, programs)) if doas => {
                    root.read(&path, LARGEST_DOAS).map(|text| lint_doas::doas(host, &path, &text, programs))
                }
                Some((host, programs)) if !args.no_risks => root.resolve(&path).map(|_| {
                    // The process ends soon: to give back the memory of every word takes as long as a fifth of all this.
                    let policy = ManuallyDrop::new(lint_sudo::read(&root, &host.name, &path));
                    lint_sudo::sudoers(host, &policy, programs, dialect)
                }),
                _ => root.resolve(&path).map(|_| {
                    lint_sudo::mistakes(&root, &host_name(&root), &path, dialect.unwrap_or(Dialect::Classic))
                }),
            };
            match found {
                Ok(found) => {
                    loaded.files += 1;
                    loaded.diagnostics.extend(found);
                }
                // The path is said with it.
                Err(e) if e.is_not_found() => {
                    loaded
                        .unreadable
                        .push((path, io::Error::new(io::ErrorKind::NotFound, "there is no such file")));
                }
                Err(e) => loaded.unreadable.push((path, e.into())),
            }
        }
    }
    if args.no_risks {
        // Of sudoers none were looked for.
        let of_sudoers = [&codes::sudo::BROKEN, &codes::sudo::IGNORED_FRAGMENT, &codes::sudo::SUDO_RS];
        let stays =
            |d: &Diagnostic| d.severity == Severity::Error || of_sudoers.iter().any(|c| c.id == d.code.id);
        loaded.diagnostics.retain(stays);
    }
    let asked: Vec<PathBuf> = manifests.into_iter().chain(grants.clone()).collect();
    let what = if grants.is_empty() { "manifest" } else { "file" };
    let status = show(&asked, what, &loaded, ui.format, ui.paint.colour, &mut *ui.out)?;
    if ui.format == Format::Human && !args.no_risks {
        offers(ui, common, &loaded)?;
    }
    // As above: the memory of thousands of findings.
    std::mem::forget(loaded);
    Ok(status)
}

/// What is known of programs: what is built in, and what the host's folder of manifests adds. Where that cannot be read, it is
/// noted.
fn programs(
    common: &super::Common,
    loaded: &mut Loaded,
) -> Result<Arc<crate::grants::programs::Table>, super::error::CliError> {
    let folder = super::load::folder(common)?;
    Ok(manifest::load::programs_of(&folder).unwrap_or_else(|e| {
        loaded.unreadable.push((folder.join(manifest::load::PROGRAMS), e));
        Arc::new(crate::grants::programs::built_in().clone())
    }))
}

/// What polkit could grant more narrowly than sudo does, where the host has one that can.
fn offers(
    ui: &mut super::ui::Ui,
    common: &super::Common,
    loaded: &Loaded,
) -> Result<(), super::error::CliError> {
    let commands = loaded.manifests.iter().flat_map(|m| &m.commands);
    let offers: Vec<_> = commands.filter_map(|c| Some((c, crate::plan::polkit_offer(c)?))).collect();
    if offers.is_empty() || sort(&super::load::root(common)?) != Some(Sort::Rules) {
        return Ok(());
    }
    for (c, offer) in offers {
        let place = format!("{}:{}", escape_path(c.run.origin.path()), c.run.origin.line());
        writeln!(ui.out, "note: {place}: {}", escape(&offer))?;
    }
    Ok(())
}

/// Largest doas.conf that is read.
const LARGEST_DOAS: u64 = 64 << 20;

/// The files of grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grants {
    Sudoers,
    Doas,
}

/// What a file is by its name; `None`: a manifest.
fn grant_file(path: &Path) -> Option<Grants> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().and_then(Path::file_name).is_some_and(|f| f == "sudoers.d");
    match name {
        "doas.conf" => Some(Grants::Doas),
        "sudoers" | "sudoers-rs" => Some(Grants::Sudoers),
        _ if folder && !name.ends_with(".toml") => Some(Grants::Sudoers),
        _ => None,
    }
}

/// Version of the JSON form, which docs/schema/check.schema.json describes; it changes when a reader of an older one could be misled.
const JSON_VERSION: u32 = 1;

/// How many findings one processor makes a text of, and of how many the text is in memory at once.
const PART: usize = 256;
const ROUND: usize = 64 * PART;

/// Reads the files, and of folders every `*.toml` in them, and writes what was found. `colour`: with ANSI escapes, in
/// the human form.
///
/// The exit status: 0 if there are no errors (there may be warnings), 1 if there are, or something could not be read.
///
/// # Errors
/// Those of writing.
pub fn run(manifests: &[PathBuf], format: Format, colour: bool, out: &mut dyn Write) -> io::Result<u8> {
    show(manifests, "manifest", &manifest::load_all(manifests), format, colour, out)
}

/// Writes what was found; `what` names the sort of file.
fn show(
    asked: &[PathBuf],
    what: &str,
    loaded: &Loaded,
    format: Format,
    colour: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    match format {
        Format::Human | Format::Plain => {
            let render = |some: &[Diagnostic]| {
                let mut text = String::new();
                for diagnostic in some {
                    match format {
                        Format::Plain => render_diagnostic::push_plain(&mut text, diagnostic),
                        _ => text.push_str(&render_diagnostic::human(diagnostic, colour)),
                    }
                    text.push('\n');
                }
                text
            };
            for round in loaded.diagnostics.chunks(ROUND) {
                let texts: Vec<String> = match round.len() {
                    ..=PART => vec![render(round)],
                    _ => round.par_chunks(PART).map(render).collect(),
                };
                texts.iter().try_for_each(|text| out.write_all(text.as_bytes()))?;
            }
            for (path, error) in &loaded.unreadable {
                writeln!(out, "error: cannot read {}: {}\n", escape_path(path), escape(&reason(error)))?;
            }
            writeln!(out, "{}", summary(asked, what, loaded))?;
        }
        Format::Json => {
            let (errors, warnings) = counts(loaded);
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

fn summary(asked: &[PathBuf], what: &str, loaded: &Loaded) -> String {
    let (errors, warnings) = counts(loaded);
    let all = loaded.files + loaded.unreadable.len();
    if all == 0 {
        let places: Vec<_> = asked.iter().map(|p| escape_path(p)).collect();
        return format!("No {what}s in {}.", places.join(", "));
    }
    if errors + warnings == 0 {
        return match all {
            1 => format!("1 {what} is valid."),
            n => format!("{n} {what}s are valid."),
        };
    }
    let concerned: BTreeSet<&Path> = loaded
        .diagnostics
        .chunk_by(|a, b| Arc::ptr_eq(&a.origin.source, &b.origin.source))
        .filter_map(|of_one| of_one.first().map(|d| d.origin.path()))
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
    let files = if all == 1 { what.to_owned() } else { format!("{what}s") };
    format!("{} in {} of {all} {files}. Nothing was changed.", found.join(", "), concerned.len())
}

/// Without the number that Rust puts after the words.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
