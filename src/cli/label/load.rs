//! The specifications of a host, found and read.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::selinux::Selinux;
use crate::selinux::contexts::compare::{self, Comparison, customizable_types};
use crate::selinux::contexts::homes::{self, Homes};
use crate::selinux::contexts::{FileContexts, Files, Precedence, Text};
use crate::sys::{ResolveError, Root};

/// Largest file of specifications, and largest library, that is read.
const LIMIT: u64 = 64 << 20;

/// Where libraries are.
const LIBRARY_FOLDERS: [&str; 4] = ["/usr/lib64", "/lib64", "/usr/lib", "/lib"];

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The specifications.
    pub(crate) contexts: FileContexts,
    /// Types that restorecon leaves as they are.
    pub(crate) customizable: Vec<Vec<u8>>,
    /// What should be said of how it was found.
    pub(crate) note: Option<String>,
}

/// Reads a file; `None` if it is not there.
type Read<'a> = dyn Fn(&Path) -> io::Result<Option<Vec<u8>>> + 'a;

/// Reads the host's specifications, or those of `file`.
pub(crate) fn load(root: &Root, file: Option<&Path>, precedence: Option<Precedence>) -> io::Result<Loaded> {
    let found = precedence.or_else(|| installed(root));
    let note = found.is_none().then(|| {
        format!(
            "no libselinux was found beneath the root: answers are by the rules of {}; --precedence chooses others",
            Precedence::default()
        )
    });
    let (name, read): (PathBuf, &Read<'_>) = match file {
        Some(file) => (file.to_owned(), &|path| match std::fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            other => Ok(Some(other?)),
        }),
        None => (folder(root)?.join("file_contexts"), &|path| match root.read(path, LIMIT) {
            Err(ResolveError::NotFound { .. }) => Ok(None),
            other => Ok(Some(other?)),
        }),
    };
    let next_to_it = |suffix: &str| {
        let mut path = name.clone().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    let mut texts = Vec::new();
    for suffix in ["", ".homedirs", ".local", ".subs", ".subs_dist"] {
        let path = next_to_it(suffix);
        let bytes = read(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        texts.push(bytes.map(|bytes| (Arc::<str>::from(path.display().to_string()), bytes)));
    }
    if texts.first().is_none_or(Option::is_none) {
        let what = match read(&next_to_it(".bin")) {
            Ok(Some(_)) => "is only there compiled (.bin), which cannot be read; the text is needed",
            _ => "does not exist; --contexts names another file",
        };
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: {what}", name.display())));
    }
    let has_homes = texts.get(1).is_some_and(Option::is_some);
    let own = file.filter(|_| !has_homes).and(texts.first_mut()).and_then(Option::as_mut);
    let templates = own.and_then(|(_, bytes)| take_templates(bytes));
    let mut texts = texts.iter().map(|t| t.as_ref().map(|(name, bytes)| Text::new(Arc::clone(name), bytes)));
    let mut next = || texts.next().flatten();
    let (main, mut homedirs, local) = (next(), next(), next());
    if let (Some((text, numbers)), Some(main)) = (&templates, &main) {
        homedirs = Some(Text::made_of(main.name(), text, numbers));
    }
    let files = Files { main, homedirs, local, subs: next(), subs_dist: next() };
    let contexts = FileContexts::new(files, found.unwrap_or_default());
    let customizable = folder(root)
        .ok()
        .and_then(|f| root.read(&f.parent()?.join("customizable_types"), LIMIT).ok())
        .map(|text| customizable_types(&text).into_iter().map(<[u8]>::to_vec).collect())
        .unwrap_or_default();
    Ok(Loaded { contexts, customizable, note })
}

/// Takes the lines for homes (`HOME_DIR` …) out of a policy's own specifications and expands them for homes below
/// /home. What is installed has them in .homedirs. (The older form, `USER`, may well be part of a path: it stays.)
fn take_templates(main: &mut Vec<u8>) -> Option<(Vec<u8>, Vec<u32>)> {
    let text = std::str::from_utf8(main).ok()?.to_owned();
    let template = |line: &str| {
        homes::is_template(line)
            && ["HOME_DIR", "HOME_ROOT", "%{USERID}", "%{USERNAME}"].iter().any(|word| line.contains(word))
    };
    if !text.lines().any(template) {
        return None;
    }
    let only = |wanted: bool| {
        let lines = text.lines().map(|line| if template(line) == wanted { line } else { "" });
        lines.collect::<Vec<_>>().join("\n")
    };
    *main = only(false).into_bytes();
    let homes = Homes { roots: vec!["/home".to_owned()], ..Homes::default() };
    let (numbers, lines): (Vec<u32>, Vec<String>) = homes.expand(&only(true)).into_iter().unzip();
    Some((lines.join("\n").into_bytes(), numbers))
}

/// The folder of file_contexts of the configured policy.
fn folder(root: &Root) -> io::Result<PathBuf> {
    match Selinux::observe(root).policy_type {
        Some(policy) => Ok(Path::new("/etc/selinux").join(policy).join("contexts/files")),
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "/etc/selinux/config names no policy (SELINUXTYPE); --contexts names a file of specifications",
        )),
    }
}

/// The rules of the library that is installed beneath the root.
fn installed(root: &Root) -> Option<Precedence> {
    let mut folders: Vec<PathBuf> = LIBRARY_FOLDERS.iter().map(PathBuf::from).collect();
    for folder in LIBRARY_FOLDERS.map(Path::new) {
        // Debian's multiarch: /usr/lib/x86_64-linux-gnu.
        let names = root.names(folder).unwrap_or_default();
        let triplet = |n: &std::ffi::OsString| memchr::memmem::find(n.as_bytes(), b"-linux-").is_some();
        folders.extend(names.iter().filter(|n| triplet(n)).map(|n| folder.join(n)));
    }
    folders
        .iter()
        .filter_map(|f| root.read(&f.join("libselinux.so.1"), LIMIT).ok())
        .find_map(|library| Precedence::of_library(&library))
}

/// How the label on disk compares; `None` if there is none.
pub(crate) fn verdict(is: Option<&[u8]>, should: &[u8], customizable: &[Vec<u8>]) -> Option<Comparison> {
    let custom = |ty: &[u8]| customizable.iter().any(|c| c == ty);
    is.map(|is| compare::compare(is, should, custom))
}
