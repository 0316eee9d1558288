//! `[[command]]`: from the spanned tree to [`CommandRule`]s.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::keys;
use super::lower::acceptances;
use super::model::{Args, CommandRule, Grantor};
use super::text;
use super::tree::{Flaw, Reader, Sink};
use crate::grants::polkit::UnitJob;
use crate::report::codes::manifest as code;
use crate::report::{Diagnostic, Origin, Spanned};

/// Where a relative command is looked for, to say what was probably meant.
const SEARCHED: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// The longest word that doas reads: its lexer's buffer is 1024 bytes with the NUL (OpenDoas, parse.y).
const LONGEST_DOAS_WORD: usize = 1023;

/// All `[[command]]` tables.
pub(super) fn commands(sink: &mut Sink, root: &Reader<'_>) -> Vec<CommandRule> {
    let mut rules = Vec::new();
    let mut seen: HashMap<(Vec<String>, Args, String, Grantor), Origin> = HashMap::new();
    for table in root.tables("command", &keys::COMMAND) {
        let Some(rule) = rule(sink, &table) else { continue };
        let vector: Vec<String> = rule.run.value.iter().map(|a| a.value.clone()).collect();
        let same = (vector, rule.args, rule.runas.value.clone(), rule.with);
        if let Some(first) = seen.get(&same) {
            let origin = rule.run.origin.clone();
            let d = Diagnostic::new(
                &code::DUPLICATE_COMMAND,
                "this command is declared twice",
                origin,
                "declared again",
            );
            let line = sink.line(first);
            sink.push(d.note("first", line));
        }
        seen.entry(same).or_insert_with(|| rule.run.origin.clone());
        rules.push(rule);
    }
    rules
}

fn rule(sink: &mut Sink, table: &Reader<'_>) -> Option<CommandRule> {
    let run = run(sink, table);
    let args = match table.text("args") {
        Some(("any", _)) => Args::Any,
        _ => Args::Exact,
    };
    let runas = match table.text("as") {
        Some((t, span)) => sink.value(span, text::name(t)),
        None => Some(Spanned::new("root".to_owned(), sink.origin(table.span.clone()))),
    };
    let with = match table.text("with") {
        Some(("doas", _)) => Grantor::Doas,
        Some(("polkit", _)) => Grantor::Polkit,
        _ => Grantor::Sudo,
    };
    let nopasswd = table.flag("nopasswd").is_some_and(|(b, _)| b);
    let digest = table.text("digest").and_then(|(t, span)| sink.value(span, digest(t, with)));
    let accept = acceptances(sink, table);
    if let (Some(run), Args::Any) = (&run, args) {
        args_twice(sink, run);
    }
    if let Some(run) = &run {
        match with {
            Grantor::Doas => not_in_doas(sink, run),
            Grantor::Polkit => not_in_polkit(sink, run, args, runas.as_ref()),
            Grantor::Sudo => not_in_sudo(sink, run),
        }
    }
    let origin = sink.origin(table.span.clone());
    Some(CommandRule { origin, run: run?, args, runas: runas?, with, digest, nopasswd, accept })
}

/// `sha256:…`, for sudo only.
fn digest(text: &str, with: Grantor) -> Result<String, Flaw> {
    match with {
        Grantor::Sudo => {}
        Grantor::Doas => {
            return Err(Flaw::new(&code::NOT_IN_DOAS, "doas knows no digests", "for sudo only"));
        }
        Grantor::Polkit => {
            return Err(Flaw::new(&code::NOT_IN_POLKIT, "polkit knows no digests", "for sudo only"));
        }
    }
    crate::grants::sudoers::fragment::digest(text)
        .map_err(|e| Flaw::new(&code::BAD_VALUE, e.why, "`sha256sum FILE` prints one"))
}

fn run(sink: &mut Sink, table: &Reader<'_>) -> Option<Spanned<Vec<Spanned<String>>>> {
    let value = table.value("run")?;
    let (texts, span) = table.texts("run")?;
    let count = texts.len();
    let mut vector = Vec::with_capacity(count);
    for (i, (written, span)) in texts.into_iter().enumerate() {
        let read =
            if i == 0 { command(written) } else { text::no_control(written).map(|()| written.to_owned()) };
        vector.extend(sink.value(span, read));
    }
    if value.get_ref().as_array().is_some_and(|a| a.is_empty()) {
        let message = "`run` names no command";
        let d = Diagnostic::new(&code::EMPTY_RUN, message, sink.origin(span), "empty");
        sink.push(d.note(
            "help",
            "its absolute path, then each argument: `run = [\"/usr/bin/systemctl\", \"reload\", \"nginx\"]`",
        ));
        return None;
    }
    // A vector with a hole in it is another command.
    (vector.len() == count && count > 0).then(|| Spanned::new(vector, sink.origin(span)))
}

/// The command itself: an absolute path in its plain form.
fn command(written: &str) -> Result<String, Flaw> {
    text::no_control(written)?;
    if written.is_empty() {
        return Err(Flaw::new(&code::EMPTY_RUN, "`run` names no command", "empty"));
    }
    if !written.starts_with('/') {
        let label = match found(written) {
            Some(path) => format!("found at {}", path.display()),
            None => "no absolute path".to_owned(),
        };
        let why = "sudo and doas would search the caller's PATH";
        return Err(
            Flaw::new(&code::RELATIVE_COMMAND, "a command needs an absolute path", label).note("why", why)
        );
    }
    let path = text::path(written)?;
    // Valid UTF-8, as it came from a string.
    Ok(path.to_string_lossy().into_owned())
}

/// An executable of this name on this machine.
fn found(name: &str) -> Option<PathBuf> {
    if name.contains('/') || name.contains(' ') || name.len() > 255 {
        return None;
    }
    let executable =
        |p: &PathBuf| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    SEARCHED.iter().map(|d| Path::new(d).join(name)).find(executable)
}

fn args_twice(sink: &mut Sink, run: &Spanned<Vec<Spanned<String>>>) {
    let [_, first, ..] = run.value.as_slice() else { return };
    let message = "`args = \"any\"` and arguments in `run`";
    sink.push(
        Diagnostic::new(&code::ARGS_TWICE, message, first.origin.clone(), "exactly this, or anything?").note(
            "help",
            "for exactly these arguments leave `args` out; for any, leave only the path in `run`",
        ),
    );
}

fn not_in_doas(sink: &mut Sink, run: &Spanned<Vec<Spanned<String>>>) {
    for word in run.value.iter().filter(|w| w.value.len() > LONGEST_DOAS_WORD) {
        let message = "doas.conf cannot hold this argument";
        let label = format!("{} bytes; doas reads at most {LONGEST_DOAS_WORD}", word.value.len());
        sink.push(
            Diagnostic::new(&code::NOT_IN_DOAS, message, word.origin.clone(), label)
                .note("help", "put it in a script that only root can write, and declare that"),
        );
    }
}

/// Only what systemd asks polkit for by itself.
fn not_in_polkit(
    sink: &mut Sink,
    run: &Spanned<Vec<Spanned<String>>>,
    args: Args,
    runas: Option<&Spanned<String>>,
) {
    let mut wrong = |message: String, origin: &Origin, label: &'static str| {
        let d = Diagnostic::new(&code::NOT_IN_POLKIT, message, origin.clone(), label);
        sink.push(d.note(
            "help",
            "`with = \"sudo\"`, or `run = [\"/usr/bin/systemctl\", \"reload\", \"UNIT\"]` as root",
        ));
    };
    if args == Args::Any {
        return wrong("polkit cannot grant any arguments".to_owned(), &run.origin, "with any arguments");
    }
    let vector: Vec<&str> = run.value.iter().map(|w| w.value.as_str()).collect();
    if let Err(e) = UnitJob::of(&vector) {
        wrong(format!("polkit cannot grant this command: {e}"), &run.origin, "not `systemctl VERB UNIT`");
    }
    if let Some(other) = runas.filter(|r| r.value != "root") {
        let message = format!("polkit cannot let it run as `{}`: systemd does it, as root", other.value);
        wrong(message, &other.origin, "not root");
    }
}

/// A rule that ends in an escaped blank is a syntax error in sudoers (1.9.13), and an empty last argument would be one.
fn not_in_sudo(sink: &mut Sink, run: &Spanned<Vec<Spanned<String>>>) {
    let [_, .., last] = run.value.as_slice() else { return };
    if last.value.is_empty() || last.value.ends_with(' ') {
        let label =
            if last.value.is_empty() { "empty, and the last" } else { "ends in a space, and is the last" };
        let message = "sudoers cannot hold this argument";
        sink.push(Diagnostic::new(&code::NOT_IN_SUDO, message, last.origin.clone(), label).note(
            "help",
            "`with = \"doas\"`, or put it in a script that only root can write, and declare that",
        ));
    }
}
