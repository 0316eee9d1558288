//! What an application may only read, it cannot change in another way either: it owns none of it, and cannot put
//! another in its place.
//!
//! `access = "read"` takes away what groups and others give (a named entry comes before them). Two ways are left that no
//! entry stands in: an owner may change the mode and the ACL whatever they say, and who may write a folder may rename
//! what lies in it, whoever owns that. Both are decisions about owners, which perms does not take by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::file::{Demand, What};
use super::paths::{PathTrouble, Trouble};
use crate::grants::access::{Credentials, Object, create, delete};
use crate::host::FileState;
use crate::manifest::{Access, PathRule};
use crate::report::Origin;
use crate::report::codes::path as codes;
use crate::sys::{Handle, Kind, Meta, Resolved};

/// Files that their reader owns, by the line that lets it read: how many, the first, and whose manifest it is.
#[derive(Debug, Default)]
pub(super) struct Owned(BTreeMap<usize, (usize, Origin, PathBuf, usize)>);

impl Owned {
    /// Looks at a file under its demands, from the widest path to the narrowest; `uid` is its owner.
    pub(super) fn look(&mut self, app: usize, path: &std::path::Path, uid: u32, demands: &[&Demand]) {
        let declared = demands.iter().rev().find_map(|d| match d.what {
            What::Owner(uid) => Some(uid),
            _ => None,
        });
        let uid = declared.unwrap_or(uid);
        if demands.iter().any(|d| matches!(d.what, What::ToleratesOwner)) {
            return;
        }
        let of = |access| {
            demands.iter().find(
                move |d| matches!(&d.what, What::Access(c, a) if *a == access && c.uid == uid && uid != 0),
            )
        };
        if let Some(reads) = of(Access::Read)
            && of(Access::Write).is_none()
        {
            let (_, _, first, files) = self
                .0
                .entry(reads.origin.start)
                .or_insert_with(|| (app, reads.origin.clone(), path.to_owned(), 0));
            *files += 1;
            if path < first.as_path() {
                path.clone_into(first);
            }
        }
    }

    /// Those that another thread saw.
    pub(super) fn add(&mut self, more: Owned) {
        for (line, (app, origin, path, files)) in more.0 {
            let (_, _, first, all) = self.0.entry(line).or_insert_with(|| (app, origin, path.clone(), 0));
            *all += files;
            if path < *first {
                *first = path;
            }
        }
    }

    /// What was found, a trouble for each line.
    pub(super) fn troubles(self) -> Vec<PathTrouble> {
        self.0
            .into_values()
            .map(|(app, origin, path, files)| PathTrouble {
                app,
                origin,
                path,
                trouble: Trouble::OwnedByReader { files },
            })
            .collect()
    }
}

/// The nearest folder on the way to the rule's path in which `user`, the application's, can put another in its place: where
/// it may only read the path, or where the path is declared to be somebody else's.
pub(super) fn replaceable(
    app: usize,
    rule: &PathRule,
    user: Option<&Credentials>,
    found: &Resolved,
    demands: &[Demand],
) -> Option<PathTrouble> {
    let reads = demands.iter().find_map(|d| match &d.what {
        What::Access(c, Access::Read) if c.uid != 0 => Some((c, &d.origin)),
        _ => None,
    });
    let not_its = || {
        let user = user.filter(|c| c.uid != 0 && rule.access.is_none())?;
        demands.iter().find_map(|d| match &d.what {
            What::Owner(uid) if *uid != user.uid => Some((user, &d.origin)),
            _ => None,
        })
    };
    let (reader, origin) = reads.or_else(not_its)?;
    if rule.accept.iter().any(|a| a.code.id == codes::REPLACEABLE.id) {
        return None;
    }
    // From the path itself upwards: the nearest folder is the one to look at first.
    let mut child = Looked::at(&found.handle, &found.meta)?;
    for (path, handle) in found.parents.iter().rev() {
        let folder = Looked::at(handle, &handle.meta().ok()?)?;
        if folder.lets_replace(reader, &child) {
            return Some(PathTrouble {
                app,
                origin: origin.clone(),
                path: rule.path.value.clone(),
                trouble: Trouble::Replaceable { folder: path.clone() },
            });
        }
        child = folder;
    }
    None
}

/// A file or folder as the kernel decides about it.
struct Looked {
    state: FileState,
    kind: Kind,
}

impl Looked {
    fn at(handle: &Handle, meta: &Meta) -> Option<Looked> {
        Some(Looked { state: FileState::read(handle, meta).ok()?, kind: meta.kind })
    }

    fn object(&self) -> Object<'_> {
        let kind = if self.kind == Kind::Directory { 0o040_000 } else { 0o100_000 };
        let mode = kind | u32::from(self.state.mode);
        Object { uid: self.state.uid, gid: self.state.gid, mode, acl: self.state.acl.as_ref() }
    }

    fn lets_replace(&self, who: &Credentials, child: &Looked) -> bool {
        let (folder, child) = (self.object(), child.object());
        // The owner of a folder gives himself the right to write it.
        let own = self.state.uid == who.uid;
        own || (create(who, &folder).allowed && delete(who, &folder, &child).allowed)
    }
}
