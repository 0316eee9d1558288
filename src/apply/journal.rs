//! The journal: every change of a run, with what was there before, on the disk before the first is made.
//!
//! `/var/lib/perms/journal/RUN.jsonl` holds a header and one line a change; `RUN.end` says how the run ended and is
//! written when it has. A journal without an end is of a run that was cut off: any of its changes may have been made
//! or not, which `rollback` finds out by looking.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ApplyError;
use super::lock::{PRIVATE, STATE, only_ours, state_folder};
use crate::plan::Change;
use crate::sys::write::{Looks, replace};
use crate::sys::{ResolveError, Root};

/// Journals larger than this are refused.
const LIMIT: u64 = 4 << 30;
const FILE: Looks<'static> = Looks { mode: 0o600, ..PRIVATE };

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// The run's name.
    pub run: String,
    /// The applications concerned.
    pub apps: Vec<String>,
    /// Number of changes that follow.
    pub changes: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// All changes were made.
    Applied,
    /// A change failed, and those before it were undone.
    Undone,
    /// `perms rollback` undid it.
    RolledBack,
}

/// A run as the journal has it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its first line.
    pub header: Header,
    /// Its changes, in the order in which they are made.
    pub changes: Vec<Change>,
    /// How it ended; none if it was cut off.
    pub end: Option<End>,
}

fn folder() -> PathBuf {
    Path::new(STATE).join("journal")
}

/// A name for a run that begins now: time in UTC and four digits, which alone name it in `perms rollback`. Names sort as
/// the runs follow each other, also within a second, and when the clock was put back.
pub fn new_name(root: &Root) -> Result<String, ApplyError> {
    use std::hash::{BuildHasher as _, Hasher as _};
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S");
    let random = std::hash::RandomState::new().build_hasher().finish() & 0xffff;
    let name = format!("{now}-{random:04x}");
    Ok(match runs(root)?.pop() {
        Some(last) if last >= name => after(&last),
        _ => name,
    })
}

/// The name that follows another.
fn after(last: &str) -> String {
    let next = last.rsplit_once('-').and_then(|(time, digits)| {
        let digits = u16::from_str_radix(digits, 16).ok()?.checked_add(1)?;
        Some(format!("{time}-{digits:04x}"))
    });
    next.unwrap_or_else(|| format!("{last}-0000"))
}

/// Writes the journal of a run that is about to begin. When it returns, the journal is on the disk.
pub fn begin(root: &Root, run: &str, apps: Vec<String>, changes: &[Change]) -> Result<(), ApplyError> {
    let error = |e: &dyn ToString| {
        ApplyError::new("writing the journal", e.to_string())
            .remedy(format!("nothing was changed; {} needs room and must be writable", folder().display()))
    };
    let header = Header { version: 1, run: run.to_owned(), apps, changes: changes.len() };
    let mut text = serde_json::to_vec(&header).map_err(|e| error(&e))?;
    text.push(b'\n');
    for c in changes {
        serde_json::to_writer(&mut text, c).map_err(|e| error(&e))?;
        text.push(b'\n');
    }
    write(root, run, "jsonl", &text).map_err(|e| error(&e))
}

/// Notes how a run ended.
pub fn end(root: &Root, run: &str, end: End) -> Result<(), ApplyError> {
    let text = serde_json::to_vec(&end).unwrap_or_default();
    write(root, run, "end", &text).map_err(|e| ApplyError::new("noting the end of the run", e))
}

fn write(root: &Root, run: &str, extension: &str, text: &[u8]) -> io::Result<()> {
    let folder = state_folder(root, &folder())?;
    replace(&folder, &OsString::from(format!("{run}.{extension}")), text, &FILE)
}

/// What somebody else could have written is not read: a journal says what root is to do.
fn read_ours(root: &Root, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let folder = root.resolve(&folder())?;
    let file = folder.handle.open_child(OsStr::new(name))?;
    for meta in [&folder.meta, &file.meta()?] {
        only_ours(root, meta)?;
    }
    file.read(limit)
}

/// The names of all runs, oldest first.
pub fn runs(root: &Root) -> Result<Vec<String>, ApplyError> {
    let names = match root.names(&folder()) {
        Ok(names) => names,
        Err(ResolveError::NotFound { .. }) => return Ok(Vec::new()),
        Err(e) => return Err(ApplyError::new("reading the journal", e).remedy("run as root")),
    };
    Ok(names.iter().filter_map(|n| n.to_str()?.strip_suffix(".jsonl").map(str::to_owned)).collect())
}

/// The newest run, if it was cut off: its journal has no end. (Of an older one the newer runs made an end.)
pub fn cut_off(root: &Root) -> Result<Option<String>, ApplyError> {
    let Some(newest) = runs(root)?.pop() else { return Ok(None) };
    let ended = root
        .names(&folder())
        .is_ok_and(|names| names.iter().any(|n| n.to_str() == Some(&format!("{newest}.end"))));
    Ok((!ended).then_some(newest))
}

/// Reads a run.
pub fn read(root: &Root, run: &str) -> Result<Run, ApplyError> {
    let what = || format!("reading the journal of run {run}");
    let text = read_ours(root, &format!("{run}.jsonl"), LIMIT).map_err(|e| ApplyError::new(what(), e))?;
    let mut lines = text.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let header: Header = lines
        .next()
        .ok_or_else(|| ApplyError::new(what(), "it is empty"))
        .and_then(|l| serde_json::from_slice(l).map_err(|e| ApplyError::new(what(), e)))?;
    if header.version != 1 {
        return Err(ApplyError::new(what(), format!("version {} is not known", header.version))
            .remedy("use the version of perms that wrote it"));
    }
    let changes: Vec<Change> = lines
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()
        .map_err(|e| ApplyError::new(what(), e))?;
    if changes.len() != header.changes {
        return Err(ApplyError::new(what(), "it is cut short"));
    }
    let end = read_ours(root, &format!("{run}.end"), 4096).ok().and_then(|t| serde_json::from_slice(&t).ok());
    Ok(Run { header, changes, end })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_follow_each_other() {
        for (last, next) in [
            ("2026-11-21T10:04:11-7f3a", "2026-11-21T10:04:11-7f3b"),
            ("2026-11-21T10:04:11-ffff", "2026-11-21T10:04:11-ffff-0000"),
        ] {
            assert_eq!(super::after(last), next);
            assert!(*next > *last);
        }
    }
}
