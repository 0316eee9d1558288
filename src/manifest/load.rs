//! Files and folders of manifests, read; every mistake in every one of them gathered.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::tree::Sink;
use super::{Manifest, across, keys, lint, lower, lower_store, shape, syntax};
use crate::grants::programs::{self, Table};
use crate::report::codes::manifest as codes;
use crate::report::{Diagnostic, Origin, Severity, Source};

/// The largest manifest that is read, in bytes. Nesting needs no limit of our own: the parser stops at 80 levels and
/// 80 parts of a key, and what is read of the tree is as deep as the table of keys.
pub const LARGEST: u64 = 1 << 20;

/// How many diagnostics of one manifest are kept; of the others only the number is said.
const MOST_DIAGNOSTICS: usize = 100;

/// What came of reading manifests.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The valid ones, in the order in which they were read.
    pub manifests: Vec<Manifest>,
    /// Mistakes and risks, file by file; what concerns several manifests comes last.
    pub diagnostics: Vec<Diagnostic>,
    /// Files and folders that could not be read.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// How many files were read, valid or not.
    pub files: usize,
}

impl Loaded {
    /// Whether anything is so wrong that nothing may be done on the strength of these manifests.
    pub fn has_errors(&self) -> bool {
        !self.unreadable.is_empty() || self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

/// Reads one manifest from its text. It is there if the diagnostics hold no error.
pub fn parse(source: &Arc<Source>) -> (Option<Manifest>, Vec<Diagnostic>) {
    parse_with(source, &Arc::new(programs::built_in().clone()))
}

/// As [`parse`], with what is known of programs.
pub fn parse_with(source: &Arc<Source>, programs: &Arc<Table>) -> (Option<Manifest>, Vec<Diagnostic>) {
    let mut sink = Sink::new(source);
    let readable = syntax::read(source);
    sink.syntax(readable.errors, readable.guessed);
    let (root, errors) = DeTable::parse_recoverable(&readable.text);
    let end = source.text.lines().next().map_or(0, str::len);
    shape::check(&mut sink, root.get_ref(), &keys::ROOT, 0..end);
    let manifest = lower::manifest(&mut sink, root.get_ref(), programs);
    let (mut diagnostics, dropped) = sink.finish();
    let broken = !errors.is_empty() || dropped > 0 || !diagnostics.is_empty();
    let manifest = manifest.filter(|_| !broken);
    if let Some(manifest) = &manifest {
        diagnostics.extend(lint::lint(manifest));
        diagnostics.sort_by_key(|d| d.origin.start);
    }
    let more = diagnostics.len().saturating_sub(MOST_DIAGNOSTICS) + dropped;
    if more > 0 {
        // Errors stay before warnings, so that what is left out never is the only error.
        diagnostics.sort_by_key(|d| (d.severity != Severity::Error, d.origin.start));
        diagnostics.truncate(MOST_DIAGNOSTICS);
        if let Some(last) = diagnostics.pop() {
            diagnostics.push(last.note("more", format!("{more} more of this file are not shown")));
        }
    }
    (manifest, diagnostics)
}

/// Reads one manifest. It is there if the diagnostics hold no error.
///
/// # Errors
/// The file cannot be read, is no file, or is larger than [`LARGEST`].
pub fn load(path: &Path) -> io::Result<(Option<Manifest>, Vec<Diagnostic>)> {
    load_with(path, &Arc::new(programs::built_in().clone()))
}

/// Name of the file in a folder of manifests that adds to what is known of programs ([`Table::extended`]).
pub const PROGRAMS: &str = "programs.table";

/// What is known of programs where a folder of manifests is used: the built-in table, and the folder's own.
///
/// # Errors
/// The folder's table is there and cannot be read, or a line of it cannot be understood.
pub fn programs_of(folder: &Path) -> io::Result<Arc<Table>> {
    let built_in = programs::built_in();
    let path = folder.join(PROGRAMS);
    let meta = match std::fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Arc::new(built_in.clone())),
        other => other?,
    };
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file of at most 1 MiB"));
    }
    let table = built_in.extended(&std::fs::read_to_string(&path)?).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        io::Error::new(io::ErrorKind::InvalidData, errors.join("; "))
    })?;
    Ok(Arc::new(table))
}

fn load_with(path: &Path, programs: &Arc<Table>) -> io::Result<(Option<Manifest>, Vec<Diagnostic>)> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB: no manifest is"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let (mut manifest, mut diagnostics) = parse_with(&Source::new(path, text), programs);
            let unread = manifest.as_mut().map(lower_store::read_sources).unwrap_or_default();
            if !unread.is_empty() {
                manifest = None;
                diagnostics.extend(unread);
            }
            Ok((manifest, diagnostics))
        }
        Err(error) => Ok((None, vec![not_utf8(path, bytes, error.valid_up_to())])),
    }
}

/// The first byte that is not UTF-8. The source is shown with replacement characters, of which the first is there.
fn not_utf8(path: &Path, bytes: &[u8], at: usize) -> Diagnostic {
    let source = Source::new(path, String::from_utf8_lossy(bytes));
    let byte = bytes.get(at).copied().unwrap_or_default();
    let origin = Origin::new(&source, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
    Diagnostic::new(&codes::NOT_UTF8, "the file is not UTF-8", origin, format!("the byte 0x{byte:02x}"))
        .note("at", format!("byte {at} of the file, counted from 0"))
        .note("help", "save it as UTF-8: `iconv -f LATIN1 -t UTF-8 FILE`, if it is Latin-1")
}

/// Reads files, and of folders every `*.toml` in them, sorted by name (hidden files and folders below are left out).
/// A file that is named twice is read once. What [`PROGRAMS`] in a manifest's folder says of programs holds for it.
pub fn load_all(paths: &[PathBuf]) -> Loaded {
    let mut loaded = Loaded::default();
    let mut seen = Seen::default();
    for path in paths {
        if path.is_dir() {
            match manifests_in(path) {
                Ok(files) => {
                    for file in files {
                        // A pipe in a folder would be waited on for ever.
                        let regular = file.metadata().and_then(|m| match m.is_file() {
                            true => Ok(()),
                            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
                        });
                        match regular {
                            Ok(()) => read(&mut loaded, &mut seen, &file),
                            Err(error) => loaded.unreadable.push((file, error)),
                        }
                    }
                }
                Err(error) => loaded.unreadable.push((path.clone(), error)),
            }
        } else {
            read(&mut loaded, &mut seen, path);
        }
    }
    let between = across::check(&loaded.manifests);
    loaded.diagnostics.extend(between);
    loaded
}

/// Reads every `*.toml` in a folder, as [`load_all`] does.
pub fn load_dir(dir: &Path) -> Loaded {
    load_all(&[dir.to_owned()])
}

/// What was read already.
#[derive(Default)]
struct Seen {
    files: HashSet<PathBuf>,
    /// By folder of manifests.
    programs: HashMap<PathBuf, Arc<Table>>,
}

fn read(loaded: &mut Loaded, seen: &mut Seen, path: &Path) {
    if !seen.files.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned())) {
        return;
    }
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let programs = seen.programs.entry(folder.to_owned()).or_insert_with(|| {
        programs_of(folder).unwrap_or_else(|error| {
            loaded.unreadable.push((folder.join(PROGRAMS), error));
            Arc::new(programs::built_in().clone())
        })
    });
    match load_with(path, programs) {
        Ok((manifest, diagnostics)) => {
            loaded.files += 1;
            loaded.manifests.extend(manifest);
            loaded.diagnostics.extend(diagnostics);
        }
        Err(error) => loaded.unreadable.push((path.to_owned(), error)),
    }
}

fn manifests_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|n| n.as_bytes().starts_with(b"."));
        if !hidden && path.extension() == Some(OsStr::new("toml")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
