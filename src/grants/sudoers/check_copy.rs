//! The policy as a copy in another place, for `visudo -c -f COPY/sudoers`: texts whose includes point into the copy.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::ast::{Include, ItemKind};
use super::include::expand;
use super::tree::{File, Tree};

/// One file of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFile {
    /// The path that sudo reads.
    pub original: PathBuf,
    /// Where the copy lies.
    pub copy: PathBuf,
    /// What to write there.
    pub text: Vec<u8>,
}

/// Why no copy can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` has no spelling in an include: choose another place for the copy", path.display())]
pub struct CopyError {
    /// The path in the copy.
    pub path: PathBuf,
}

/// The files of `tree` with every include, of files and of folders, pointing to where `map` says. For the files of an
/// include folder `map` must keep folder and name together.
///
/// # Errors
/// [`CopyError`] if `map` gives a path that an include cannot name.
pub fn rewritten_for_check(tree: &Tree, map: &dyn Fn(&Path) -> PathBuf) -> Result<Vec<CopyFile>, CopyError> {
    let mut out: Vec<CopyFile> = Vec::new();
    for file in &tree.files {
        if out.iter().any(|c| c.original == file.path) {
            continue;
        }
        let text = rewritten(file, &tree.reading.host, map)?;
        out.push(CopyFile { original: file.path.clone(), copy: map(&file.path), text });
    }
    Ok(out)
}

/// A text that is not in the tree yet (a new fragment, an edited file), rewritten likewise.
///
/// # Errors
/// [`CopyError`].
pub fn rewritten_text(
    tree: &Tree,
    path: &Path,
    text: &[u8],
    map: &dyn Fn(&Path) -> PathBuf,
) -> Result<Vec<u8>, CopyError> {
    let read = Tree::read_text(path, text, &tree.reading);
    match read.files.first() {
        Some(file) => rewritten(file, &tree.reading.host, map),
        None => Ok(text.to_vec()),
    }
}

fn rewritten(file: &File, host: &[u8], map: &dyn Fn(&Path) -> PathBuf) -> Result<Vec<u8>, CopyError> {
    let mut text = Vec::with_capacity(file.text.len());
    let mut done = 0;
    for include in file.items.iter().filter_map(|i| match &i.kind {
        ItemKind::Include(include) => Some(include),
        _ => None,
    }) {
        let Include { path, path_span, .. } = include;
        let Some(real) = expand(path, &file.path, host) else { continue };
        text.extend_from_slice(file.text.get(done..path_span.start).unwrap_or(&[]));
        text.extend_from_slice(&spelled(&map(&real))?);
        done = path_span.end;
    }
    text.extend_from_slice(file.text.get(done..).unwrap_or(&[]));
    Ok(text)
}

/// A path as an include names it: white space and backslashes escaped.
fn spelled(path: &Path) -> Result<Vec<u8>, CopyError> {
    let bytes = path.as_os_str().as_bytes();
    // `%h` would be replaced, and other white space than blanks cannot be escaped.
    let bad =
        bytes.windows(2).any(|w| w == b"%h") || bytes.iter().any(|c| c.is_ascii_control() && *c != b'\t');
    if bad || !path.is_absolute() {
        return Err(CopyError { path: path.to_owned() });
    }
    let mut out = Vec::with_capacity(bytes.len());
    for &c in bytes {
        if matches!(c, b' ' | b'\t' | b'\\') {
            out.push(b'\\');
        }
        out.push(c);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::sudoers::{MemoryFiles, Reading};

    #[test]
    fn includes_point_into_the_copy_and_all_else_is_kept() {
        let files = MemoryFiles::new()
            .with(
                "/etc/sudoers",
                "a ALL=ALL # x\n@include sudoers.%h # y\n#includedir \"/etc/sudoers.d\"\nb ALL=ALL\n",
            )
            .with("/etc/sudoers.web", "c ALL=ALL\n")
            .with("/etc/sudoers.d/d", "d ALL=ALL\n");
        let reading = Reading { host: b"web".to_vec(), ..Reading::default() };
        let tree = Tree::read(&files, Path::new("/etc/sudoers"), &reading);
        assert_eq!(tree.problems, []);
        let into = |p: &Path| Path::new("/tmp/a b").join(p.strip_prefix("/").unwrap());
        let copy = rewritten_for_check(&tree, &into).unwrap();
        assert_eq!(copy.len(), 3);
        assert_eq!(
            String::from_utf8(copy[0].text.clone()).unwrap(),
            "a ALL=ALL # x\n@include /tmp/a\\ b/etc/sudoers.web # y\n#includedir /tmp/a\\ b/etc/sudoers.d\nb ALL=ALL\n"
        );
        assert_eq!(copy[2].copy, Path::new("/tmp/a b/etc/sudoers.d/d"));
        let copied = copy.iter().fold(MemoryFiles::new(), |f, c| f.with(c.copy.clone(), c.text.clone()));
        let again = Tree::read(&copied, Path::new("/tmp/a b/etc/sudoers"), &reading);
        assert_eq!((again.problems.len(), again.specs().count()), (0, 4));
    }
}
