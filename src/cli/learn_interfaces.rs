//! `perms learn --interfaces`: the host's headers of the reference policy, read. What cannot be read is told; rules are
//! written in its place.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::report::escape;
use crate::report::escape::escape_path;
use crate::selinux::interfaces::{HeaderFile, Headers};
use crate::sys::Root;

/// Where distributions put the headers.
pub(super) const FOLDER: &str = "/usr/share/selinux/devel/include";

/// Largest header that is read; Debian's largest has 120 kB.
const LARGEST: u64 = 4 << 20;
/// Most bytes of all headers.
const MOST_BYTES: usize = 64 << 20;
/// Most files.
const MOST_FILES: usize = 10_000;

/// Reads the headers in `folder`; `None` where there are none, which is said.
pub(super) fn read(root: &Path, folder: &Path, err: &mut dyn Write) -> io::Result<Option<Headers>> {
    let (files, unread) = match files(root, folder) {
        Ok(found) => found,
        Err(error) => {
            writeln!(
                err,
                "warning: no interfaces: {}: {}; rules are written in their place (selinux-policy-dev or \
                 selinux-policy-devel brings the headers)",
                escape_path(folder),
                escape(&error)
            )?;
            return Ok(None);
        }
    };
    let headers = Headers::new(folder.display().to_string(), files, unread);
    if let Some(first) = headers.unread.first() {
        let n = headers.unread.len();
        writeln!(err, "warning: {n} of the headers could not be read, the first: {}", escape(first))?;
    }
    if let Some((name, reason)) = headers.flawed.first() {
        let n = headers.flawed.len();
        writeln!(
            err,
            "note: {n} of {} interfaces are not understood and not used, the first: {}: {}",
            headers.interfaces,
            escape(name),
            escape(reason)
        )?;
    }
    if headers.usable.is_empty() {
        writeln!(err, "warning: {} holds no interface that can be used", escape_path(folder))?;
        return Ok(None);
    }
    Ok(Some(headers))
}

type Found = (Vec<HeaderFile>, Vec<String>);

fn files(root: &Path, folder: &Path) -> Result<Found, String> {
    let root = if root.as_os_str().is_empty() { Path::new("/") } else { root };
    let root = Root::open(root).map_err(|e| e.to_string())?;
    let folder = std::path::absolute(folder).map_err(|e| e.to_string())?;
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    let mut left = MOST_BYTES;
    let mut take = |path: PathBuf, name: String| match root.read(&path, LARGEST) {
        Ok(text) if text.len() <= left && files.len() < MOST_FILES => {
            left -= text.len();
            files.push(HeaderFile { path: name, text });
        }
        Ok(_) => unread.push(format!("{name}: more than {MOST_FILES} files or {MOST_BYTES} bytes")),
        Err(error) => unread.push(error.to_string()),
    };
    for name in root.names(&folder).map_err(|e| e.to_string())? {
        let path = folder.join(&name);
        let name = name.to_string_lossy().into_owned();
        if name == "build.conf" {
            take(path, name);
            continue;
        }
        // What is no folder holds no headers.
        let Ok(inside) = root.names(&path) else { continue };
        let extension = if name == "support" { "spt" } else { "if" };
        for file in inside.into_iter().filter(|f| Path::new(f).extension().is_some_and(|e| e == extension)) {
            let shown = format!("{name}/{}", file.to_string_lossy());
            take(path.join(file), shown);
        }
    }
    Ok((files, unread))
}
