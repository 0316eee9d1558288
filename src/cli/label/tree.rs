//! `perms label -R`: whole trees, looked at once by all processors; what is not as expected is shown, sorted by path.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::load::Loaded;
use super::{Args, Shown, Tally, UNCHECKED, quick};
use crate::host::contexts::file_kind;
use crate::host::selinux::is_active;
use crate::report::escape::escape_path;
use crate::report::{Format, escape};
use crate::selinux::contexts::Lookups;
use crate::sys::mounts::{Class, Mount};
use crate::sys::scan::{Options, Seen, Start, Visit, scan};
use crate::sys::{HIDDEN, Root};

/// So many findings are kept to be sorted; where there are more they are shown in batches.
const BATCH: usize = 100_000;

/// What was found and is not shown yet: path and text.
type Found = Mutex<Vec<(Vec<u8>, String)>>;

struct Look<'a> {
    args: &'a Args,
    loaded: &'a Loaded,
    lookups: Lookups<'a>,
    /// What the kernel says in place of a label that it does not tell.
    hidden: Option<&'a [u8]>,
    /// Whether file systems say that they keep labels (`seclabel`): SELinux runs, and this is the host.
    active: bool,
    found: &'a Found,
    tally: Tally,
    status: u8,
    unread: Vec<(PathBuf, String)>,
    left_out: Vec<(PathBuf, String)>,
}

impl Visit for Look<'_> {
    fn see(&mut self, seen: &Seen<'_>) -> bool {
        let path = Path::new(OsStr::from_bytes(seen.path));
        let label = seen.attributes.label();
        if label.is_some() && label == self.hidden {
            self.unread.push((path.to_owned(), HIDDEN.to_owned()));
            return true;
        }
        let kind = file_kind(seen.meta.kind);
        let (status, quiet) =
            quick(self.args, &mut self.lookups, self.loaded, path, kind, label, &mut self.tally);
        self.status |= status;
        if !quiet {
            let label = label.map(<[u8]>::to_vec);
            let shown = Shown::of(path, kind, label, &mut self.lookups, self.loaded);
            let text = match self.args.format {
                Format::Json => shown.json().to_string(),
                _ => shown.line(),
            };
            self.found.lock().unwrap_or_else(PoisonError::into_inner).push((seen.path.to_vec(), text));
        }
        true
    }

    fn enter(&mut self, path: &[u8], mount: Option<&Mount>) -> bool {
        let Some(mount) = mount else { return true };
        if mount.keeps_labels(self.active) && (self.active || mount.class() != Class::Pseudo) {
            return true;
        }
        let why = match mount.one_label() {
            true => "mounted with one label for all".to_owned(),
            false => format!("{} keeps no labels of its own", mount.kind),
        };
        self.left_out.push((PathBuf::from(OsStr::from_bytes(path)), why));
        false
    }

    fn failed(&mut self, path: &[u8], error: io::Error) {
        self.unread.push((PathBuf::from(OsStr::from_bytes(path)), error.to_string()));
    }
}

/// Looks at everything at and below the starts. What they come to is added to `tally`; the status is returned.
pub(super) fn show(
    args: &Args,
    root: &Root,
    loaded: &Loaded,
    starts: Vec<Start>,
    tally: &mut Tally,
    (out, err): (&mut dyn Write, &mut dyn Write),
    tick: &dyn Fn(u64),
) -> io::Result<u8> {
    let found = Found::default();
    let active = is_active(root);
    let look = || Look {
        args,
        loaded,
        lookups: loaded.contexts.lookups(),
        hidden: root.hidden_label(),
        active,
        found: &found,
        tally: Tally::default(),
        status: 0,
        unread: Vec::new(),
        left_out: Vec::new(),
    };
    let writing = std::cell::RefCell::new((out, Ok(())));
    let shown = std::cell::Cell::new(tally.shown);
    let write = |least: usize| {
        let mut batch = {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if found.len() < least { Vec::new() } else { std::mem::take(&mut *found) }
        };
        batch.sort_unstable();
        let (out, result) = &mut *writing.borrow_mut();
        for (_, text) in batch {
            if result.is_err() {
                break;
            }
            *result = match args.format {
                Format::Json => write!(out, "{}{text}", if shown.get() == 0 { "" } else { "," }),
                _ => writeln!(out, "{text}"),
            };
            shown.set(shown.get() + 1);
        }
    };
    let looks = scan(starts, Options::default(), &look, &|more| {
        tick(more);
        write(BATCH);
    });
    write(0);
    let (_, result) = writing.into_inner();
    result?;
    let (mut status, mut unread, mut left_out) = (0, Vec::new(), Vec::new());
    for look in looks {
        tally.add(&look.tally);
        status |= look.status;
        unread.extend(look.unread);
        left_out.extend(look.left_out);
    }
    unread.sort_unstable();
    left_out.sort_unstable();
    for (path, why) in unread {
        writeln!(err, "error: {}: {}", escape_path(&path), escape(&why))?;
        status |= UNCHECKED;
    }
    for (path, why) in left_out {
        writeln!(err, "note: {} is left out: {}", escape_path(&path), escape(&why))?;
    }
    Ok(status)
}
