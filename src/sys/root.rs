//! The tree that `perms` works on (`/`, or `--root DIR`), and paths resolved beneath it.
//!
//! A path is resolved one component at a time. A symbolic link is followed only if nobody but a
//! trusted user (root, or whoever runs `perms`) could have put it there: it belongs to one, and all folders
//! above it belong to one and cannot be written by others. Absolute links
//! start again at the root, `..` stops at it, so nothing outside is ever reached.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::{Beside, Handle, Kind, Meta};

/// Stands for the owner in [`ResolveError::UntrustedLink`] where the folder's mode or ACL lets others write.
const SOMEBODY: u32 = u32::MAX;
/// Links followed before a path is given up, as in path_resolution(7).
const MAX_LINKS: usize = 40;

/// The tree that is looked at and changed.
#[derive(Debug)]
pub struct Root {
    dir: Handle,
    path: PathBuf,
    trusted: Vec<u32>,
    hidden_label: Option<Vec<u8>>,
}

/// A path resolved to an object.
#[derive(Debug)]
pub struct Resolved {
    /// The object.
    pub handle: Handle,
    /// What it was when it was opened.
    pub meta: Meta,
    /// Its path below the root with all links resolved; absolute, as seen from inside.
    pub path: PathBuf,
    /// Every folder passed on the way (links' folders too), the root first.
    pub parents: Vec<(PathBuf, Handle)>,
    /// The folders whose being closed to others made the links on the way believable.
    pub relied: Vec<PathBuf>,
}

/// Why a path could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A component does not exist.
    #[error("`{}` does not exist", .at.display())]
    NotFound {
        /// The first component that is missing.
        at: PathBuf,
    },
    /// A link that somebody else could have placed.
    #[error("`{}` is a symbolic link that {} could have placed: not followed", .at.display(), whoever(*.owner))]
    UntrustedLink {
        /// The link.
        at: PathBuf,
        /// Who could have.
        owner: u32,
    },
    /// A link that is believed only as long as a folder stays as it is, which is to be opened to others.
    #[error("`{}` leads through a symbolic link, which others can replace once they may write `{}`", .path.display(), .folder.display())]
    LinkIsOpened {
        /// The path.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A component that is used as a folder and is none.
    #[error("`{}` is not a directory", .at.display())]
    NotADirectory {
        /// It.
        at: PathBuf,
    },
    /// Too many links.
    #[error("too many levels of symbolic links at `{}`", .at.display())]
    Loop {
        /// Where it was given up.
        at: PathBuf,
    },
    /// The path is not absolute.
    #[error("`{}` is not an absolute path", .at.display())]
    Relative {
        /// It.
        at: PathBuf,
    },
    /// Anything else.
    #[error("`{}`: {error}", .at.display())]
    Io {
        /// Where.
        at: PathBuf,
        /// What.
        error: io::Error,
    },
}

/// The running policy's context for what has no valid one.
fn unlabeled() -> Option<Vec<u8>> {
    let mut context = std::fs::read("/sys/fs/selinux/initial_contexts/unlabeled").ok()?;
    while matches!(context.last(), Some(0 | b'\n')) {
        context.pop();
    }
    Some(context)
}

/// Why a label that is [hidden](Root::hidden_label) is not told.
pub const HIDDEN: &str =
    "the running kernel's policy does not have it, and tells it to nobody without SELinux's mac_admin";

fn whoever(owner: u32) -> String {
    if owner == SOMEBODY {
        return "whoever may write a folder above it".to_owned();
    }
    format!("uid {owner}")
}

impl ResolveError {
    /// Whether nothing is there (as opposed to: it could not be looked at).
    pub fn is_not_found(&self) -> bool {
        matches!(self, ResolveError::NotFound { .. })
    }

    /// Whether the look was refused for want of permission.
    pub fn is_denied(&self) -> bool {
        matches!(self, ResolveError::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl From<ResolveError> for io::Error {
    fn from(e: ResolveError) -> Self {
        let kind = match &e {
            ResolveError::NotFound { .. } => io::ErrorKind::NotFound,
            ResolveError::Io { error, .. } => error.kind(),
            _ => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, e.to_string())
    }
}

impl Root {
    /// Opens `dir` as the root.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::with_beside(dir, None)
    }

    /// Opens `dir` as the root of a copy whose owners or labels are kept beside it.
    pub fn with_beside(dir: &Path, beside: Option<Arc<Beside>>) -> io::Result<Self> {
        let fd = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = std::fs::canonicalize(dir)?;
        let me = rustix::process::geteuid().as_raw();
        let trusted = if me == 0 { vec![0] } else { vec![0, me] };
        let another = path != Path::new("/") && !beside.as_ref().is_some_and(|b| b.labels);
        let hidden_label = another.then(unlabeled).flatten();
        Ok(Root { dir: Handle::new(fd, beside), path, trusted, hidden_label })
    }

    /// What the running kernel says in place of a label that its policy does not have, to whoever lacks SELinux's
    /// capability2 mac_admin (`selinux_inode_getsecurity` in security/selinux/hooks.c). None on the host itself, where
    /// that is what counts, and where no kernel with SELinux runs. In the tree of another system a file that seems to
    /// have it may have the label that it should.
    pub fn hidden_label(&self) -> Option<&[u8]> {
        self.hidden_label.as_deref()
    }

    /// Whether this is the running system's own root.
    pub fn is_host(&self) -> bool {
        self.path == Path::new("/")
    }

    /// The root's own path, for messages and for tools that take a `--root`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where `path` (as seen from inside) lies as seen from outside; text only, for messages.
    pub fn outside(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether what belongs to `uid` may be trusted not to be a trap.
    pub fn trusts(&self, uid: u32) -> bool {
        self.trusted.contains(&uid)
    }

    /// Whether a folder of this owner and mode is closed to all but trusted users. The group's digit is the mask of an ACL
    /// where there is one: named users may write then.
    pub fn closed(&self, uid: u32, mode: u16) -> bool {
        self.trusts(uid) && mode & 0o022 == 0
    }

    /// Resolves an absolute path, following a link at its end too.
    pub fn resolve(&self, path: &Path) -> Result<Resolved, ResolveError> {
        self.resolve_to(path, true)
    }

    /// Resolves an absolute path, without following a link at its end.
    pub fn resolve_link(&self, path: &Path) -> Result<Resolved, ResolveError> {
        self.resolve_to(path, false)
    }

    fn resolve_to(&self, path: &Path, follow_last: bool) -> Result<Resolved, ResolveError> {
        if !path.is_absolute() {
            return Err(ResolveError::Relative { at: path.to_owned() });
        }
        let io_at = |at: &Path| {
            let at = at.to_owned();
            move |error: io::Error| ResolveError::Io { at, error }
        };
        let root = self.dir.duplicate();
        let mut meta = root.meta().map_err(io_at(path))?;
        // The folders from the root to where we are: what `..` goes back along.
        let mut trail: Vec<(PathBuf, Handle, Meta)> = Vec::new();
        let mut parents: Vec<(PathBuf, Handle)> = Vec::new();
        let mut relied: Vec<PathBuf> = Vec::new();
        let mut at = PathBuf::from("/");
        let mut here = root;
        let mut todo: Vec<OsString> = components(path);
        let mut links = 0;
        // Whether the way led back, by a link or by `..`: only then does it come through a folder twice.
        let mut back = false;
        while let Some(name) = todo.pop() {
            if name == ".." {
                back = true;
                if let Some((p, h, m)) = trail.pop() {
                    (at, here, meta) = (p, h, m);
                }
                continue;
            }
            if meta.kind != Kind::Directory {
                return Err(ResolveError::NotADirectory { at });
            }
            let child_path = at.join(&name);
            let child = here.open_child(&name).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => ResolveError::NotFound { at: child_path.clone() },
                io::ErrorKind::NotADirectory => ResolveError::NotADirectory { at: at.clone() },
                _ => ResolveError::Io { at: child_path.clone(), error },
            })?;
            let child_meta = child.meta().map_err(io_at(&child_path))?;
            if !back || !parents.iter().any(|(p, _)| *p == at) {
                parents.push((at.clone(), here.duplicate()));
            }
            if child_meta.kind == Kind::Link && (follow_last || !todo.is_empty()) {
                back = true;
                links += 1;
                if links > MAX_LINKS {
                    return Err(ResolveError::Loop { at: child_path });
                }
                let folders = trail.iter().map(|(_, _, m)| m).chain([&meta]);
                if let Some(owner) = self.could_have_placed(folders, &child_meta) {
                    return Err(ResolveError::UntrustedLink { at: child_path, owner });
                }
                relied.extend(trail.iter().map(|(p, _, _)| p.clone()).chain([at.clone()]));
                let target =
                    PathBuf::from(OsString::from_vec(child.link_target().map_err(io_at(&child_path))?));
                if target.is_absolute() {
                    trail.clear();
                    here = self.dir.duplicate();
                    meta = here.meta().map_err(io_at(path))?;
                    at = PathBuf::from("/");
                }
                todo.extend(components(&target));
                continue;
            }
            trail.push((at, here, meta));
            (at, here, meta) = (child_path, child, child_meta);
        }
        Ok(Resolved { handle: here, meta, path: at, parents, relied })
    }

    /// An untrusted user who could have put this link where it is found below these folders, if there is one
    /// ([`SOMEBODY`] if it is not known who). That the link is a trusted user's is not enough: whoever may write two
    /// folders can move a link, or a folder with a link in it, from one to the other. That holds in a sticky folder too,
    /// into which anybody can move names.
    fn could_have_placed<'m>(&self, folders: impl Iterator<Item = &'m Meta>, link: &Meta) -> Option<u32> {
        if !self.trusts(link.uid) {
            return Some(link.uid);
        }
        for folder in folders {
            if !self.closed(folder.uid, folder.mode) {
                return Some(if self.trusts(folder.uid) { SOMEBODY } else { folder.uid });
            }
        }
        None
    }

    /// The content of a regular file, at most `limit` bytes.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ResolveError> {
        let r = self.resolve(path)?;
        r.handle.read(limit).map_err(|error| ResolveError::Io { at: path.to_owned(), error })
    }

    /// The names in a folder, sorted.
    pub fn names(&self, path: &Path) -> Result<Vec<OsString>, ResolveError> {
        let r = self.resolve(path)?;
        r.handle.names().map_err(|error| ResolveError::Io { at: path.to_owned(), error })
    }

    pub(super) fn beside(&self) -> Option<&Arc<Beside>> {
        self.dir.beside()
    }

    /// Whether owners are only kept beside the files.
    pub fn keeps_owners_beside(&self) -> bool {
        self.beside().is_some_and(|b| b.owners)
    }

    /// Whether labels are only kept beside the files.
    pub fn keeps_labels_beside(&self) -> bool {
        self.beside().is_some_and(|b| b.labels)
    }
}

/// The components of a path, last first, without the root and `.`.
pub(crate) fn components(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|c| match c {
            Component::Normal(n) => Some(n.to_owned()),
            Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
            _ => None,
        })
        .collect()
}

impl Root {
    /// Opens a path that is known to be free of links: any link on the way is an error, whoever made it. For changes
    /// to what was resolved before, since a name could have been replaced by a link in between.
    pub fn open_exact(&self, path: &Path) -> Result<(Handle, Meta), ResolveError> {
        let io_at = |at: &Path| {
            let at = at.to_owned();
            move |error: io::Error| match error.kind() {
                io::ErrorKind::NotFound => ResolveError::NotFound { at },
                _ => ResolveError::Io { at, error },
            }
        };
        let mut here = self.dir.duplicate();
        let mut meta = here.meta().map_err(io_at(path))?;
        let mut at = PathBuf::from("/");
        for c in path.components() {
            let name = match c {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => name,
                _ => return Err(ResolveError::Relative { at: path.to_owned() }),
            };
            if meta.kind == Kind::Link {
                return Err(ResolveError::UntrustedLink { at, owner: meta.uid });
            }
            at.push(name);
            here = here.open_child(name).map_err(io_at(&at))?;
            meta = here.meta().map_err(io_at(&at))?;
        }
        Ok((here, meta))
    }

    /// The folder of a path that is known to be free of links, and the last name in it.
    pub fn open_folder_of<'p>(&self, path: &'p Path) -> Result<(Handle, &'p OsStr), ResolveError> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok((self.open_exact(parent)?.0, name)),
            _ => Err(ResolveError::Relative { at: path.to_owned() }),
        }
    }
}

impl Root {
    /// What is kept beside this tree, for a second [`Root`] on it.
    pub fn share_beside(&self) -> Option<Arc<Beside>> {
        self.beside().cloned()
    }
}
