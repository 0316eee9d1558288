//! A path resolved as the kernel resolves it for anybody: every link is followed, whoever made it, since nothing is
//! changed here. `..` and absolute links stay beneath the root.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::grants::acl::Acl;
use crate::sys::root::components;
use crate::sys::{Handle, Kind, Meta, Root};

/// As path_resolution(7) has it.
const MAX_LINKS: usize = 40;

/// Something that was come by.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) handle: Handle,
    pub(super) meta: Meta,
}

impl Seen {
    fn new(path: PathBuf, handle: Handle) -> io::Result<Seen> {
        let meta = handle.meta()?;
        Ok(Seen { path, handle, meta })
    }

    fn again(&self) -> Seen {
        Seen { path: self.path.clone(), handle: self.handle.duplicate(), meta: self.meta }
    }

    /// The access ACL; also one that is stored out of order, which the kernel goes by all the same.
    pub(super) fn acl(&self) -> io::Result<Option<Acl>> {
        if self.meta.kind == Kind::Link {
            return Ok(None);
        }
        let Some(bytes) = self.handle.access_acl()? else { return Ok(None) };
        let parsed = Acl::parse_xattr(&bytes);
        parsed.map(|p| Some(p.acl)).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
    }

    /// With the bits of its kind, as `st_mode`.
    pub(super) fn full_mode(&self) -> u32 {
        let kind: u32 = match self.meta.kind {
            Kind::Directory => 0o040_000,
            Kind::Link => 0o120_000,
            Kind::Pipe => 0o010_000,
            Kind::Socket => 0o140_000,
            Kind::Block => 0o060_000,
            Kind::Character => 0o020_000,
            Kind::File => 0o100_000,
        };
        kind | u32::from(self.meta.mode)
    }
}

/// What was passed on the way.
#[derive(Debug)]
pub(super) enum Passed {
    /// A folder in which a name was looked up; each once.
    Folder(Seen),
    /// A link that was followed, with the folder that it is in.
    Link(Seen, Meta),
}

/// Where the way ended.
#[derive(Debug)]
pub(super) enum End {
    /// At this object. The folder that it is in, but for the root.
    Found(Seen, Option<Seen>),
    /// The last name is not there, in this folder.
    Missing(PathBuf, Seen),
    /// A name before the last is not there, a folder is none, or there are too many links.
    Broken(PathBuf, &'static str),
    /// It cannot be looked at.
    Failed(PathBuf, io::Error),
}

/// The way.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) passed: Vec<Passed>,
    pub(super) end: End,
}

/// Resolves an absolute path; `follow`: a link at its end too.
pub(super) fn walk(root: &Root, path: &Path, follow: bool) -> Way {
    let mut passed = Vec::new();
    let end = go(root, path, follow, &mut passed).unwrap_or_else(|(at, error)| match error.kind() {
        io::ErrorKind::NotADirectory => End::Broken(at, "is not a folder"),
        _ => End::Failed(at, error),
    });
    Way { passed, end }
}

fn go(root: &Root, path: &Path, follow: bool, passed: &mut Vec<Passed>) -> Result<End, (PathBuf, io::Error)> {
    let top = || {
        let found =
            root.resolve_link(Path::new("/")).map_err(|e| (PathBuf::from("/"), io::Error::from(e)))?;
        Seen::new(PathBuf::from("/"), found.handle).map_err(|e| (PathBuf::from("/"), e))
    };
    let mut here = top()?;
    let mut above: Vec<Seen> = Vec::new();
    let mut todo = components(path);
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if here.meta.kind != Kind::Directory {
            return Ok(End::Broken(here.path, "is not a folder"));
        }
        let known = |p: &Passed| matches!(p, Passed::Folder(s) if s.path == here.path);
        if !passed.iter().any(known) {
            passed.push(Passed::Folder(here.again()));
        }
        if name == ".." {
            if let Some(folder) = above.pop() {
                here = folder;
            }
            continue;
        }
        let at = here.path.join(&name);
        let child = match here.handle.open_child(&name) {
            Ok(handle) => Seen::new(at.clone(), handle).map_err(|e| (at, e))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound && todo.is_empty() => {
                return Ok(End::Missing(at, here));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(End::Broken(at, "does not exist")),
            Err(e) => return Err((at, e)),
        };
        if child.meta.kind == Kind::Link && (follow || !todo.is_empty()) {
            links += 1;
            if links > MAX_LINKS {
                return Ok(End::Broken(child.path, "leads through too many links"));
            }
            let target = child.handle.link_target().map_err(|e| (child.path.clone(), e))?;
            let target = PathBuf::from(OsString::from_vec(target));
            passed.push(Passed::Link(child, here.meta));
            if target.is_absolute() {
                above.clear();
                here = top()?;
            }
            todo.extend(components(&target));
            continue;
        }
        above.push(std::mem::replace(&mut here, child));
    }
    Ok(End::Found(here, above.pop()))
}
