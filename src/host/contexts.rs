//! file_contexts and what lies next to it, as a host (or an image) has them; and which libselinux will read them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::selinux::contexts::{FileKind, Files, Precedence, Text};
use crate::sys::{Kind, Root};

/// Largest file of specifications, and largest library, that is read.
const LIMIT: u64 = 64 << 20;

/// Where libraries are.
const LIBRARY_FOLDERS: [&str; 4] = ["/usr/lib64", "/lib64", "/usr/lib", "/lib"];

/// The library that looks specifications up beneath a root, and its rules: its file tells its version by the names of
/// the functions' versions. None if there is none (or a path to it cannot be followed).
pub fn library(root: &Root) -> Option<(Precedence, PathBuf)> {
    let mut folders: Vec<PathBuf> = LIBRARY_FOLDERS.iter().map(PathBuf::from).collect();
    for folder in LIBRARY_FOLDERS.map(Path::new) {
        // Debian's multiarch: /usr/lib/x86_64-linux-gnu.
        let names = root.names(folder).unwrap_or_default();
        let triplet = |n: &std::ffi::OsString| memchr::memmem::find(n.as_bytes(), b"-linux-").is_some();
        folders.extend(names.iter().filter(|n| triplet(n)).map(|n| folder.join(n)));
    }
    folders.iter().map(|f| f.join("libselinux.so.1")).find_map(|file| {
        let library = root.read(&file, LIMIT).ok()?;
        Some((Precedence::of_library(&library)?, file))
    })
}

/// The kind of a file as specifications name it.
pub fn file_kind(kind: Kind) -> FileKind {
    match kind {
        Kind::File => FileKind::File,
        Kind::Directory => FileKind::Directory,
        Kind::Link => FileKind::Link,
        Kind::Pipe => FileKind::Pipe,
        Kind::Socket => FileKind::Socket,
        Kind::Block => FileKind::Block,
        Kind::Character => FileKind::Character,
    }
}

/// The files of a policy's specifications. What is not there, or cannot be read, is absent.
#[derive(Debug, Default)]
pub struct ContextFiles {
    /// file_contexts, .homedirs, .local, .subs, .subs_dist: each with its path.
    texts: [Option<(Arc<str>, Vec<u8>)>; 5],
}

impl ContextFiles {
    /// Reads those of the policy of this name beneath a root.
    pub fn read(root: &Root, policy: &str) -> ContextFiles {
        let folder = Path::new("/etc/selinux").join(policy).join("contexts/files");
        let texts = ["", ".homedirs", ".local", ".subs", ".subs_dist"].map(|suffix| {
            let path = folder.join(format!("file_contexts{suffix}"));
            let bytes = root.read(&path, LIMIT).ok()?;
            Some((Arc::from(path.display().to_string()), bytes))
        });
        ContextFiles { texts }
    }

    /// The policy's own file_contexts.
    pub fn main(&self) -> &[u8] {
        let [main, ..] = &self.texts;
        main.as_ref().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default()
    }

    /// The text of .local.
    pub fn local(&self) -> String {
        let [_, _, local, ..] = &self.texts;
        local.as_ref().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }

    /// All of them, with `main` in place of file_contexts and `local` in place of .local.
    pub fn with<'t>(&'t self, main: &'t [u8], local: &'t str) -> Files<'t> {
        let [of_policy, homedirs, of_host, ..] = &self.texts;
        let named = |there: &Option<(Arc<str>, Vec<u8>)>, usual: &str, bytes: &'t [u8]| {
            Some(Text::new(
                there.as_ref().map_or_else(|| Arc::from(usual), |(name, _)| Arc::clone(name)),
                bytes,
            ))
        };
        let main = named(of_policy, "file_contexts", main);
        let local = named(of_host, "file_contexts.local", local.as_bytes());
        Files { main, homedirs: text(homedirs), local, ..self.substitutions() }
    }

    /// Only those that put one path in another's place.
    pub fn substitutions(&self) -> Files<'_> {
        let [.., subs, subs_dist] = &self.texts;
        Files { subs: text(subs), subs_dist: text(subs_dist), ..Files::default() }
    }
}

fn text(read: &Option<(Arc<str>, Vec<u8>)>) -> Option<Text<'_>> {
    read.as_ref().map(|(name, bytes)| Text::new(Arc::clone(name), bytes))
}
