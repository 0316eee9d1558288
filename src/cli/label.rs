//! `perms label`: which SELinux context a file should have, which it has, and why.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::label_show::{Shown, Tally};
use crate::host::contexts::file_kind;
use crate::report::escape::escape_path;
use crate::report::{Format, escape, escape_bytes};
use crate::selinux::contexts::{Answer, FileContexts, FileKind, Lookups, Precedence, compare};
use crate::sys::scan::Start;
use crate::sys::{HIDDEN, Root};

pub(crate) mod load;
mod tree;

/// Show which SELinux context files should have, which they have, and why
///
/// For each PATH: the context that file_contexts and the files next to it give
/// it, the one on disk, the line that decided, the other lines whose pattern
/// matches, and the path that was looked up if it is another
/// (file_contexts.subs). The answers are those of libselinux, by the rules of the
/// version that is installed beneath the root: they changed with 3.8 and with
/// 3.9.
///
/// A file is wrong if it has another type than expected, or no label. As with
/// restorecon, another user, role or level is shown but not wrong, nor is a type
/// that administrators may choose (customizable_types); --full counts both.
///
/// Exit status: 0 all as expected; 1 an error stopped the work; 2 wrong usage;
/// else the sum of 4 (a label is wrong) and 16 (something could not be checked: a
/// file that cannot be read or is not there, a specification that cannot be
/// understood).
///
/// With --stdin: for each line of standard input, a path that need not exist, one
/// line `PATH<TAB>CONTEXT`, or `<<none>>` in place of the context where there is
/// none (`<<unknown>>` where it cannot be told). Bytes of a path that are not fit
/// for a line are shown as escapes (\n, \t, \xNN, and \\ for a backslash). With
/// -0, paths and lines end in a NUL, and paths come out as they went in.
///
/// Examples:
///   perms label /srv/app/manage.py
///   perms label -R /srv /var/www
///   find /srv -print0 | perms label --stdin -0 --kind file
///   perms label --contexts ./file_contexts --precedence 3.4 --stdin < paths
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Files and directories.
    #[arg(value_name = "PATH", required_unless_present = "stdin")]
    pub paths: Vec<PathBuf>,
    /// Everything below each PATH too; then only what is not as expected is shown, sorted by path, and a count.
    #[arg(short = 'R', long, conflicts_with = "stdin")]
    pub recursive: bool,
    /// Compare whole contexts, not only types.
    #[arg(long, conflicts_with = "stdin")]
    pub full: bool,
    /// Read paths from standard input.
    #[arg(long, conflicts_with = "paths")]
    pub stdin: bool,
    /// Paths on standard input, and lines on standard output, end in a NUL.
    #[arg(short = '0', long = "null", requires = "stdin")]
    pub null: bool,
    /// The kind of the files on standard input; without it specifications for any kind are asked.
    #[arg(long, value_enum, requires = "stdin")]
    pub kind: Option<Kind>,
    /// Specifications in this file and in those next to it (.homedirs, .local, .subs, .subs_dist), instead of the host's.
    #[arg(long, value_name = "FILE")]
    pub contexts: Option<PathBuf>,
    /// The rules of this version of libselinux, such as 3.4, instead of the one that is installed.
    #[arg(long, value_name = "VERSION", value_parser = precedence)]
    pub precedence: Option<Precedence>,
    /// Form of the report: that of the common option.
    #[arg(skip)]
    pub format: Format,
    /// The tree: that of the common option.
    #[arg(skip)]
    pub root: PathBuf,
}

/// A kind of file, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A regular file
    File,
    /// A directory
    Dir,
    /// A symbolic link
    Link,
    /// A character device
    Char,
    /// A block device
    Block,
    /// A socket
    Socket,
    /// A named pipe
    Pipe,
}

impl Kind {
    fn file_kind(self) -> FileKind {
        match self {
            Kind::File => FileKind::File,
            Kind::Dir => FileKind::Directory,
            Kind::Link => FileKind::Link,
            Kind::Char => FileKind::Character,
            Kind::Block => FileKind::Block,
            Kind::Socket => FileKind::Socket,
            Kind::Pipe => FileKind::Pipe,
        }
    }
}

/// Exit status: a label is not as expected.
const WRONG: u8 = 4;
/// Exit status: something could not be checked.
const UNCHECKED: u8 = 16;
/// A path on standard input may be this long.
const MAX_PATH: u64 = 1 << 16;
/// Problems in specifications that are shown.
const MAX_PROBLEMS: usize = 20;

fn precedence(text: &str) -> Result<Precedence, String> {
    Precedence::of_version_text(text)
        .ok_or_else(|| "expected a version of libselinux, such as `3.4`".to_owned())
}

/// Runs the command. `stdin` stands for standard input; `None` is the process's own. `tick` is called with how many files
/// of a tree were looked at since its last call.
///
/// # Errors
/// What writing to `out` and `err` gives, and a root or specifications that cannot be read.
pub fn run(
    args: &Args,
    stdin: Option<Box<dyn Read>>,
    out: &mut dyn Write,
    err: &mut dyn Write,
    tick: &dyn Fn(u64),
) -> io::Result<u8> {
    let root = Root::open(&args.root)
        .map_err(|e| io::Error::new(e.kind(), format!("--root {}: {e}", args.root.display())))?;
    let loaded = load::load(&root, args.contexts.as_deref(), args.precedence)?;
    let contexts = &loaded.contexts;
    let mut status = 0;
    for problem in contexts.problems().iter().take(MAX_PROBLEMS) {
        writeln!(err, "error: {}", escape(&problem.to_string()))?;
    }
    if let Some(more) = contexts.problems().len().checked_sub(MAX_PROBLEMS).filter(|n| *n > 0) {
        writeln!(err, "error: {more} more problems in the specifications")?;
    }
    if contexts.problems().iter().any(|p| p.refused) {
        writeln!(err, "libselinux refuses a file with such a line whole: nothing would be labelled by it")?;
        status |= UNCHECKED;
    }
    if args.stdin {
        let stdin = stdin.unwrap_or_else(|| Box::new(io::stdin().lock()));
        return Ok(status | answer_all(args, contexts, stdin, out)?);
    }
    Ok(status | show_all(args, &root, &loaded, out, err, tick)?)
}

/// Answers each path of standard input.
fn answer_all(
    args: &Args,
    contexts: &FileContexts,
    stdin: Box<dyn Read>,
    out: &mut dyn Write,
) -> io::Result<u8> {
    use io::BufRead as _;
    let mut status = 0;
    let mut lookups = contexts.lookups();
    let mut input = io::BufReader::with_capacity(1 << 16, stdin);
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let end = if args.null { 0 } else { b'\n' };
    let kind = args.kind.map(Kind::file_kind);
    let mut path = Vec::new();
    for number in 1u64.. {
        path.clear();
        if (&mut input).take(MAX_PATH).read_until(end, &mut path)? == 0 {
            break;
        }
        if path.last() == Some(&end) {
            path.pop();
        } else if path.len() as u64 == MAX_PATH {
            out.flush()?;
            let what = format!("path {number} of standard input is longer than {MAX_PATH} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let answer = lookups.lookup(&path, kind);
        let context = match answer {
            Answer::Context(spec) => spec.context.as_deref().unwrap_or_default(),
            Answer::LeaveAlone(_) | Answer::Unspecified => "<<none>>",
            Answer::Undecided(_) => {
                status |= UNCHECKED;
                "<<unknown>>"
            }
        };
        match (args.null, plain(&path)) {
            (true, _) | (_, true) => out.write_all(&path)?,
            _ => out.write_all(escape_bytes(&path).as_bytes())?,
        }
        out.write_all(b"\t")?;
        out.write_all(context.as_bytes())?;
        out.write_all(&[end])?;
    }
    out.flush()?;
    Ok(status)
}

/// Whether a path needs no escapes.
fn plain(path: &[u8]) -> bool {
    path.iter().all(|b| (0x20..0x7f).contains(b) && *b != b'\\')
}

/// Shows each path, or what is wrong below it.
fn show_all(
    args: &Args,
    root: &Root,
    loaded: &load::Loaded,
    out: &mut dyn Write,
    err: &mut dyn Write,
    tick: &dyn Fn(u64),
) -> io::Result<u8> {
    let mut lookups = loaded.contexts.lookups();
    let mut status = 0;
    let mut tally = Tally::default();
    if args.format == Format::Json {
        let rules = serde_json::Value::from(loaded.contexts.precedence().to_string());
        let from = serde_json::Value::from(loaded.rules.as_str());
        write!(
            out,
            "{{\"version\":1,\"kind\":\"label\",\"rules\":{rules},\"rules_from\":{from},\"files\":["
        )?;
    } else if let Some(note) = &loaded.note {
        writeln!(err, "note: {}", escape(note))?;
    }
    let mut starts = Vec::new();
    for path in &args.paths {
        let path = if path.is_absolute() || !root.is_host() {
            path.clone()
        } else {
            std::env::current_dir()?.join(path)
        };
        let resolved = match root.resolve_link(&path) {
            Ok(resolved) => resolved,
            Err(e) => {
                // What should be there can be told all the same.
                let shown = Shown::absent(&path, &e.to_string(), &mut lookups, loaded);
                shown.write(out, args.format, &mut tally)?;
                status |= UNCHECKED;
                continue;
            }
        };
        if args.recursive {
            starts.push(Start { path: resolved.path, handle: resolved.handle });
            continue;
        }
        let label = match resolved.handle.label(&resolved.meta) {
            Ok(label) if label.is_some() && label.as_deref() == root.hidden_label() => {
                Err(io::Error::other(HIDDEN))
            }
            label => label,
        };
        let label = match label {
            Ok(label) => label,
            Err(e) => {
                writeln!(err, "error: {}: {}", escape_path(&resolved.path), escape(&e.to_string()))?;
                status |= UNCHECKED;
                continue;
            }
        };
        let kind = file_kind(resolved.meta.kind);
        status |= quick(args, &mut lookups, loaded, &resolved.path, kind, label.as_deref(), &mut tally).0;
        Shown::of(&resolved.path, kind, label, &mut lookups, loaded).write(out, args.format, &mut tally)?;
    }
    if args.recursive {
        status |= tree::show(args, root, loaded, starts, &mut tally, (&mut *out, &mut *err), tick)?;
    }
    if args.format == Format::Json {
        writeln!(out, "],{}}}", tally.json())?;
    } else if args.recursive {
        writeln!(out, "{}", tally.text())?;
    }
    if args.format == Format::Human && !args.recursive && loaded.note.is_none() {
        writeln!(err, "rules: {}, {}", loaded.contexts.precedence(), escape(&loaded.rules))?;
    }
    Ok(status)
}

/// Counts a file; the status it brings, and whether there is nothing to say of it.
fn quick(
    args: &Args,
    lookups: &mut Lookups<'_>,
    loaded: &load::Loaded,
    path: &Path,
    kind: FileKind,
    label: Option<&[u8]>,
    tally: &mut Tally,
) -> (u8, bool) {
    use std::os::unix::ffi::OsStrExt as _;
    tally.files += 1;
    match lookups.lookup(path.as_os_str().as_bytes(), Some(kind)) {
        Answer::Undecided(_) => {
            tally.undecided += 1;
            (UNCHECKED, false)
        }
        Answer::Unspecified | Answer::LeaveAlone(_) => {
            tally.unspecified += 1;
            (0, true)
        }
        Answer::Context(spec) => {
            let should = spec.context.as_deref().unwrap_or_default();
            let verdict = load::verdict(label, should.as_bytes(), &loaded.customizable);
            let wrong = tally.count(verdict, args.full);
            (if wrong { WRONG } else { 0 }, verdict == Some(compare::Comparison::Equal) || !wrong)
        }
    }
}
