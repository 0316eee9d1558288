//! Who can change what a path leads to: by writing the file, or by putting another in the place of it, or of a folder on
//! the way.

use std::path::{Path, PathBuf};

use crate::grants::access::{Credentials, Object, create, delete, permission};
use crate::grants::acl::Perms;
use crate::host::FileState;
use crate::sys::{Handle, Kind, Meta, ResolveError, Root};

/// A path as it is found on the host: the folders on the way, and what it leads to.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The path as asked for.
    pub path: PathBuf,
    folders: Vec<Link>,
    /// What is there; none where nothing is.
    last: Option<Link>,
    /// The owner of a link on the way that root did not place.
    placed: Option<(PathBuf, u32)>,
}

#[derive(Debug, Clone)]
struct Link {
    path: PathBuf,
    kind: Kind,
    state: FileState,
}

/// By what somebody can change what a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The file or folder that can be written.
    pub at: PathBuf,
    /// "owns it", "may write it".
    pub how: &'static str,
}

impl Link {
    fn new(path: &Path, handle: &Handle, meta: &Meta) -> Option<Link> {
        Some(Link { path: path.to_owned(), kind: meta.kind, state: FileState::read(handle, meta).ok()? })
    }

    fn object(&self) -> Object<'_> {
        let type_bits = if self.kind == Kind::Directory { 0o040_000 } else { 0o100_000 };
        let s = &self.state;
        Object { uid: s.uid, gid: s.gid, mode: type_bits | u32::from(s.mode), acl: s.acl.as_ref() }
    }

    /// Whether nobody but root can write it.
    fn closed(&self) -> bool {
        self.state.uid == 0 && self.state.mode & 0o022 == 0
    }
}

impl Chain {
    /// Follows a path; none if it cannot be looked at (which is nobody's right to write it).
    pub fn follow(root: &Root, path: &Path) -> Option<Chain> {
        let new = |folders, last, placed| Some(Chain { path: path.to_owned(), folders, last, placed });
        match root.resolve(path) {
            Ok(r) => {
                let folders =
                    r.parents.iter().filter_map(|(p, h)| Link::new(p, h, &h.meta().ok()?)).collect();
                new(folders, Link::new(&r.path, &r.handle, &r.meta), None)
            }
            Err(ResolveError::NotFound { .. }) => {
                let above = path.ancestors().skip(1).find_map(|p| root.resolve(p).ok())?;
                let mut folders: Vec<Link> =
                    above.parents.iter().filter_map(|(p, h)| Link::new(p, h, &h.meta().ok()?)).collect();
                folders.extend(Link::new(&above.path, &above.handle, &above.meta));
                new(folders, None, None)
            }
            Err(ResolveError::UntrustedLink { at, owner }) if owner != u32::MAX => {
                new(Vec::new(), None, Some((at, owner)))
            }
            Err(_) => None,
        }
    }

    /// What it leads to, with links resolved.
    pub fn real(&self) -> &Path {
        self.last.as_ref().map_or(&self.path, |l| &l.path)
    }

    /// Whether there is anything.
    pub fn exists(&self) -> bool {
        self.last.is_some()
    }

    /// Whether nobody but root could change what it leads to: there is nothing to ask then.
    pub fn is_closed(&self) -> bool {
        self.placed.is_none() && self.folders.iter().chain(&self.last).all(Link::closed)
    }

    /// Whether this account can read what it leads to.
    pub fn reader(&self, who: &Credentials) -> bool {
        let passes = |f: &Link| permission(who, &f.object(), Perms::X).allowed;
        self.placed.is_none()
            && self.folders.iter().all(passes)
            && self.last.as_ref().is_some_and(|l| permission(who, &l.object(), Perms::R).allowed)
    }

    /// Whether this account can execute what it leads to, and as whom it then runs by its set-user-ID bit.
    pub fn set_uid(&self, who: &Credentials) -> Option<u32> {
        let last = self.last.as_ref().filter(|l| l.kind == Kind::File && l.state.mode & 0o4000 != 0)?;
        let passes = |f: &Link| permission(who, &f.object(), Perms::X).allowed;
        let may = self.placed.is_none()
            && self.folders.iter().all(passes)
            && permission(who, &last.object(), Perms::X).allowed;
        may.then_some(last.state.uid)
    }

    /// By what this account can change what it leads to, if it can: the file itself before folders on the way.
    pub fn writer(&self, who: &Credentials) -> Option<Writer> {
        if let Some((at, owner)) = &self.placed {
            return (*owner == who.uid).then(|| Writer { at: at.clone(), how: "owns the link" });
        }
        let mut reached = 0;
        for folder in &self.folders {
            if !permission(who, &folder.object(), Perms::X).allowed && folder.state.uid != who.uid {
                break;
            }
            reached += 1;
        }
        let all = reached == self.folders.len();
        if let Some(last) = self.last.as_ref().filter(|_| all) {
            let told = |how| Some(Writer { at: last.path.clone(), how });
            if last.state.uid == who.uid {
                return told("owns");
            }
            if permission(who, &last.object(), Perms::W).allowed {
                return told("may write");
            }
        }
        // The folder nearest to the file first.
        for n in (0..reached).rev() {
            let Some(folder) = self.folders.get(n) else { continue };
            let told = |how| Some(Writer { at: folder.path.clone(), how });
            if folder.state.uid == who.uid {
                return told("owns");
            }
            let next = self.folders.get(n + 1).or(self.last.as_ref());
            // The next folder of the way is not below this one where a link led elsewhere.
            let next = next.filter(|l| l.path.parent() == Some(folder.path.as_path()));
            let may = match next {
                Some(next) => delete(who, &folder.object(), &next.object()).allowed,
                None => create(who, &folder.object()).allowed && folder.state.mode & 0o1000 == 0,
            };
            if may {
                return told("may write");
            }
        }
        None
    }
}
