//! The specifications of a host, found and read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::contexts;
use crate::host::homes::homes as homes_of;
use crate::host::selinux::Selinux;
use crate::selinux::contexts::compare::{self, Comparison, customizable_types};
use crate::selinux::contexts::homes::{self, Homes};
use crate::selinux::contexts::{FileContexts, Files, Precedence, Text};
use crate::sys::{ResolveError, Root};

/// Largest file of specifications that is read.
const LIMIT: u64 = 64 << 20;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Loaded<C = FileContexts> {
    /// The specifications.
    pub(crate) contexts: C,
    /// Types that restorecon leaves as they are.
    pub(crate) customizable: Vec<Vec<u8>>,
    /// What should be said of how it was found.
    pub(crate) note: Option<String>,
    /// Where the rules by which it answers come from.
    pub(crate) rules: String,
    /// What the policy store has.
    pub(crate) store: InStore,
}

/// The specifications in the policy store, from which those in /etc/selinux are made anew with each change.
#[derive(Debug)]
pub(crate) enum InStore {
    /// Not asked for, or not there.
    Absent,
    /// It cannot be read, and why.
    Unreadable(String),
    /// The same, byte for byte.
    Same,
    /// Others: somebody changed one of the two by hand.
    Other(Box<FileContexts>),
}

/// Reads a file; `None` if it is not there.
type Read<'a> = dyn Fn(&Path) -> io::Result<Option<Vec<u8>>> + 'a;

/// Reads the host's specifications, or those of `file`.
pub(crate) fn load(root: &Root, file: Option<&Path>, precedence: Option<Precedence>) -> io::Result<Loaded> {
    load_as(root, file, precedence, FileContexts::new)
}

/// The same, made of the files by `make`.
pub(crate) fn load_as<C>(
    root: &Root,
    file: Option<&Path>,
    precedence: Option<Precedence>,
    make: impl FnOnce(Files<'_>, Precedence) -> C,
) -> io::Result<Loaded<C>> {
    let library = precedence.is_none().then(|| contexts::library(root)).flatten();
    let found = precedence.or(library.as_ref().map(|(rules, _)| *rules));
    let rules = match (&library, precedence) {
        (_, Some(_)) => "asked for".to_owned(),
        (Some((_, path)), None) => format!("found in {}", path.display()),
        (None, None) => "no library was found".to_owned(),
    };
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
    let store = match file {
        Some(_) => InStore::Absent,
        None => in_store(root, &texts, found.unwrap_or_default()),
    };
    let has_homes = texts.get(1).is_some_and(Option::is_some);
    let own = file.filter(|_| !has_homes).and(texts.first_mut()).and_then(Option::as_mut);
    let templates = own.and_then(|(_, bytes)| {
        take_templates(bytes, &|| match Selinux::policy_type(root) {
            Some(policy) => homes_of(root, &policy),
            None => Homes { roots: vec!["/home".to_owned()], ..Homes::default() },
        })
    });
    let mut texts = texts.into_iter().map(|t| t.map(|(name, bytes)| Text::new(name, bytes)));
    let mut next = || texts.next().flatten();
    let (main, mut homedirs, local) = (next(), next(), next());
    if let (Some((text, numbers)), Some(main)) = (templates, &main) {
        homedirs = Some(Text::made_of(main.name(), text, numbers));
    }
    let files = Files { main, homedirs, local, subs: next(), subs_dist: next() };
    let contexts = make(files, found.unwrap_or_default());
    let customizable = folder(root)
        .ok()
        .and_then(|f| root.read(&f.parent()?.join("customizable_types"), LIMIT).ok())
        .map(|text| customizable_types(&text).into_iter().map(<[u8]>::to_vec).collect())
        .unwrap_or_default();
    Ok(Loaded { contexts, customizable, note, rules, store })
}

/// What the store of the configured policy has, beside the texts that are installed.
fn in_store(root: &Root, installed: &[Option<(Arc<str>, Vec<u8>)>], precedence: Precedence) -> InStore {
    let Some(policy) = Selinux::policy_type(root) else { return InStore::Absent };
    let folder = Path::new("/var/lib/selinux").join(policy).join("active");
    match root.names(&folder) {
        Err(e) if e.is_not_found() => return InStore::Absent,
        Err(e) => return InStore::Unreadable(e.to_string()),
        Ok(_) => {}
    }
    let mut texts = Vec::new();
    for name in ["file_contexts", "file_contexts.homedirs", "file_contexts.local", "file_contexts.subs"] {
        let path = folder.join(name);
        match root.read(&path, LIMIT) {
            Ok(bytes) => texts.push(Some((Arc::<str>::from(path.display().to_string()), bytes))),
            Err(ResolveError::NotFound { .. }) => texts.push(None),
            Err(e) => return InStore::Unreadable(e.to_string()),
        }
    }
    let bytes =
        |t: &Option<(Arc<str>, Vec<u8>)>| t.as_ref().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
    if texts.iter().zip(installed).all(|(there, here)| bytes(there) == bytes(here)) {
        return InStore::Same;
    }
    let mut all = texts
        .iter()
        .chain(installed.get(4))
        .map(|t| t.as_ref().map(|(name, bytes)| Text::new(Arc::clone(name), bytes)));
    let mut next = || all.next().flatten();
    let files = Files { main: next(), homedirs: next(), local: next(), subs: next(), subs_dist: next() };
    InStore::Other(Box::new(FileContexts::new(files, precedence)))
}

/// Takes the lines for homes (`HOME_DIR` …) out of a policy's own specifications and expands them for the homes
/// and logins of the host (of /home, where there is no policy). What is installed has them in .homedirs. (The older form, `USER`, may well be part of a path: it stays.)
fn take_templates(main: &mut Vec<u8>, homes: &dyn Fn() -> Homes) -> Option<(Vec<u8>, Vec<u32>)> {
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
    let (numbers, lines): (Vec<u32>, Vec<String>) = homes().expand(&only(true)).into_iter().unzip();
    Some((lines.join("\n").into_bytes(), numbers))
}

/// The folder of file_contexts of the configured policy.
fn folder(root: &Root) -> io::Result<PathBuf> {
    match Selinux::policy_type(root) {
        Some(policy) => Ok(Path::new("/etc/selinux").join(policy).join("contexts/files")),
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "/etc/selinux/config names no policy (SELINUXTYPE); --contexts names a file of specifications",
        )),
    }
}

/// How the label on disk compares; `None` if there is none.
pub(crate) fn verdict(is: Option<&[u8]>, should: &[u8], customizable: &[Vec<u8>]) -> Option<Comparison> {
    let custom = |ty: &[u8]| customizable.iter().any(|c| c == ty);
    is.map(|is| compare::compare(is, should, custom))
}
