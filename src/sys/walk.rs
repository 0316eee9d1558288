//! The walk over a tree by folder handles: no path is looked up twice, no link is followed.

use std::io;
use std::path::{Path, PathBuf};

use super::{Handle, Kind, Meta};

/// Folders deeper than this are not entered: a handle is held open for each level.
const MAX_DEPTH: usize = 512;

/// One object on the way.
#[derive(Debug)]
pub struct Entry {
    /// Its path as seen from inside the root.
    pub path: PathBuf,
    /// It.
    pub handle: Handle,
    /// What it was when it was opened.
    pub meta: Meta,
    /// Levels below the start (which is 0).
    pub depth: usize,
}

/// Walks everything at and below `start`, folders before what is in them, names in order.
///
/// `visit` is called for each object and says whether to go into it; `failed` for each that could not be looked at.
pub fn walk(
    path: &Path,
    start: Handle,
    visit: &mut dyn FnMut(&Entry) -> bool,
    failed: &mut dyn FnMut(&Path, io::Error),
) {
    let entry = match start.meta() {
        Ok(meta) => Entry { path: path.to_owned(), handle: start, meta, depth: 0 },
        Err(e) => return failed(path, e),
    };
    step(entry, visit, failed);
}

fn step(entry: Entry, visit: &mut dyn FnMut(&Entry) -> bool, failed: &mut dyn FnMut(&Path, io::Error)) {
    if !visit(&entry) || entry.meta.kind != Kind::Directory {
        return;
    }
    if entry.depth >= MAX_DEPTH {
        return failed(&entry.path, io::Error::other(format!("more than {MAX_DEPTH} levels deep")));
    }
    let names = match entry.handle.names() {
        Ok(names) => names,
        Err(e) => return failed(&entry.path, e),
    };
    for name in names {
        let path = entry.path.join(&name);
        let opened = entry.handle.open_child(&name).and_then(|h| Ok((h.meta()?, h)));
        match opened {
            Ok((meta, handle)) => step(Entry { path, handle, meta, depth: entry.depth + 1 }, visit, failed),
            // Gone since the folder was read: as if it had never been there.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => failed(&path, e),
        }
    }
}
