//! The throw-away copy that `perms try` works on, and the drift that it can be broken with.
//!
//! The copy holds what the manifests name: the account files, sudoers and doas.conf, the declared paths with the folders
//! above them, and the commands. What an unprivileged user cannot really do there (give a file away, set a label) is kept
//! beside it; what the host does not have, or does not show, has a stand-in; both are said.

mod accounts;
mod copy;
mod drift;

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::manifest::Manifest;
use crate::sys::{Beside, Handle, Root};

pub use drift::{Drift, make_drift};

/// A throw-away copy.
#[derive(Debug)]
pub struct Trial {
    /// Its root.
    pub root: Root,
    /// What stands in for what is not there, and what is kept beside it, for the user.
    pub notes: Vec<String>,
}

/// Makes a copy of what `manifests` name of `host`, in the empty folder `into`.
pub fn make(host: &Root, manifests: &[Manifest], into: &Path) -> io::Result<Trial> {
    let beside = what_must_be_kept_beside(into)?;
    let mut notes = Vec::new();
    match (beside.owners, beside.labels) {
        (true, _) => {
            notes.push("not root: owners and labels are not set but kept beside the copy".to_owned())
        }
        (false, true) => notes.push("labels cannot be set here: they are kept beside the copy".to_owned()),
        _ => {}
    }
    let root = Root::with_beside(into, Some(beside))?;
    let mut copy = copy::Copy::new(host, &root, notes);
    copy.etc(manifests)?;
    for m in manifests {
        copy.manifest(m)?;
    }
    let notes = copy.into_notes();
    Ok(Trial { root, notes })
}

/// Tries what this process may do in the folder: the copy is made with what works.
fn what_must_be_kept_beside(folder: &Path) -> io::Result<Arc<Beside>> {
    let root = Root::open(folder)?;
    let here: Handle = root.resolve(Path::new("/")).map_err(io::Error::from)?.handle;
    let meta = here.meta()?;
    let owners = crate::sys::write::chown(&here, meta.uid ^ 1, meta.gid).is_err();
    if !owners {
        crate::sys::write::chown(&here, meta.uid, meta.gid)?;
    }
    let labels = crate::sys::write::set_label(&here, Some(b"system_u:object_r:tmp_t:s0")).is_err();
    if !labels {
        let _ = crate::sys::write::set_label(&here, None);
    }
    crate::sys::write::set_access_acl(&here, Some(&probe_acl(meta.uid))).map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("{} takes no ACLs: name another folder with TMPDIR ({e})", folder.display()),
        )
    })?;
    crate::sys::write::set_access_acl(&here, None)?;
    crate::sys::write::chmod(&here, 0o755)?;
    Ok(Beside::new(owners, labels))
}

fn probe_acl(uid: u32) -> Vec<u8> {
    use crate::grants::acl::{Acl, Perms, Tag};
    let mut acl = Acl::from_mode(0o700);
    acl.set(Tag::User(uid), Perms::RWX);
    acl.to_xattr()
}
