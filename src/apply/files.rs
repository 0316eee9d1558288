//! Changes to files: made on the open object, after a look that it is still what the plan saw.

use std::io;
use std::path::Path;

use super::ApplyError;
use crate::grants::acl::{Acl, Perms, Tag};
use crate::host::FileState;
use crate::plan::Image;
use crate::sys::write::{self, Looks};
use crate::sys::{Handle, Kind, Meta, ResolveError, Root};

/// Largest file whose content is compared and kept.
const LIMIT: u64 = 64 << 20;

fn failed(path: &Path) -> impl Fn(io::Error) -> ApplyError + '_ {
    move |e| ApplyError::new(path.display().to_string(), e)
}

fn not_as_planned(path: &Path, why: &str) -> ApplyError {
    ApplyError::new(path.display().to_string(), why)
        .refused()
        .remedy("run perms plan again and look at what has changed")
}

/// Takes an object from one state to another. With `lenient`, it may also be in one between, as after a run that was
/// cut off. Says whether anything had to be done.
pub(super) fn set_state(
    root: &Root,
    path: &Path,
    object: u64,
    from: &FileState,
    to: &FileState,
    lenient: bool,
) -> Result<bool, ApplyError> {
    let (handle, meta) = root.open_exact(path).map_err(|e| not_as_planned(path, &e.to_string()))?;
    // Of the same looks and yet another: moved or linked here by whoever may write the folder, to have its rights changed.
    if meta.id.1 != object {
        return Err(not_as_planned(path, "another file has its name since the plan was made"));
    }
    let is = FileState::read(&handle, &meta).map_err(failed(path))?;
    if is == *to {
        return Ok(false);
    }
    if is != *from && !(lenient && between(&is, from, to)) {
        return Err(not_as_planned(path, "it has changed since the plan was made"));
    }
    put(&handle, &meta, &is, to).map_err(failed(path))?;
    let meta = handle.meta().map_err(failed(path))?;
    let now = FileState::read(&handle, &meta).map_err(failed(path))?;
    if now != *to {
        return Err(ApplyError::new(path.display().to_string(), "the file system did not keep what was set"));
    }
    Ok(true)
}

/// Each part is as before or as after.
fn between(is: &FileState, a: &FileState, b: &FileState) -> bool {
    [a.uid, b.uid].contains(&is.uid)
        && [a.gid, b.gid].contains(&is.gid)
        && [&a.label, &b.label].contains(&&is.label)
        && [a, b].iter().any(|s| same_named(&is.full_acl(), &s.full_acl()))
        && [&a.default_acl, &b.default_acl].contains(&&is.default_acl)
}

/// Whether the entries of named users and groups are the same: what `put` leaves in between differs in the others only.
fn same_named(a: &Acl, b: &Acl) -> bool {
    a.named().eq(b.named()) || !a.has_named()
}

/// In an order in which nobody has at any moment what he has neither before nor after: where the owner changes, first
/// what the old and the new owner, group and others have in common, then the owner (which takes setuid bits away), then
/// mode and ACL, which are one to the kernel, then the rest.
fn put(handle: &Handle, meta: &Meta, is: &FileState, to: &FileState) -> io::Result<()> {
    let set_acl = |acl: &Acl| write::set_access_acl(handle, Some(&acl.to_xattr()));
    let chown = (is.uid, is.gid) != (to.uid, to.gid);
    if chown && meta.kind != Kind::Link {
        let (mut common, new) = (is.full_acl(), to.full_acl());
        for tag in [Tag::UserObj, Tag::GroupObj, Tag::Other] {
            let both =
                common.effective(tag).unwrap_or(Perms::NONE) & new.effective(tag).unwrap_or(Perms::NONE);
            common.set(tag, both);
        }
        if is.acl.is_some() {
            set_acl(&common)?;
        } else {
            write::chmod(handle, (is.mode & to.mode & 0o7000) | common.mode_bits())?;
        }
    }
    if chown {
        write::chown(handle, to.uid, to.gid)?;
    }
    if meta.kind != Kind::Link {
        // An ACL that says no more than a mode is stored as one: never taken off by itself, which would leave its mask
        // behind as the owning group's right.
        if is.acl.is_some() || to.acl.is_some() {
            set_acl(&to.full_acl())?;
        }
        if handle.meta()?.mode != to.mode {
            write::chmod(handle, to.mode)?;
        }
        if is.default_acl != to.default_acl {
            let bytes = to.default_acl.as_ref().map(crate::grants::acl::Acl::to_xattr);
            write::set_default_acl(handle, bytes.as_deref())?;
        }
    }
    if is.label != to.label {
        write::set_label(handle, to.label.as_deref())?;
    }
    Ok(())
}

/// Makes an empty file or folder.
pub(super) fn make(root: &Root, path: &Path, directory: bool, state: &FileState) -> Result<(), ApplyError> {
    let (folder, name) =
        root.open_folder_of(path).map_err(|e| ApplyError::new(path.display().to_string(), e))?;
    let (acl, default_acl) = bytes(state);
    let looks = looks(state, acl.as_deref(), default_acl.as_deref());
    let made = if directory {
        write::make_directory(&folder, name, &looks)
    } else {
        write::make_file(&folder, name, b"", &looks)
    };
    made.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => not_as_planned(path, "it has come to be since the plan was made"),
        _ => failed(path)(e),
    })
}

/// Takes away what [`make`] made, if it is still empty. Says why not otherwise.
pub(super) fn unmake(root: &Root, path: &Path, directory: bool) -> Result<Option<String>, ApplyError> {
    let (folder, name) = match root.open_folder_of(path) {
        Ok(f) => f,
        Err(ResolveError::NotFound { .. }) => return Ok(None),
        Err(e) => return Err(ApplyError::new(path.display().to_string(), e)),
    };
    let meta = match folder.open_child(name).and_then(|h| h.meta()) {
        Ok(m) => m,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(path)(e)),
    };
    let kept = |why: &str| Ok(Some(format!("{} is kept: {why}", path.display())));
    if (meta.kind == Kind::Directory) != directory {
        return kept("it is something else now");
    }
    if directory {
        return match write::remove_directory(&folder, name) {
            Ok(()) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => kept("there is something in it"),
            Err(e) => Err(failed(path)(e)),
        };
    }
    if meta.size > 0 {
        return kept("there is something in it");
    }
    write::remove_file(&folder, name).map_err(failed(path))?;
    Ok(None)
}

/// The content and state of a file, `None` if it is not there.
fn image(root: &Root, path: &Path) -> Result<Option<Image>, ApplyError> {
    let (handle, meta) = match root.open_exact(path) {
        Ok(found) => found,
        Err(ResolveError::NotFound { .. }) => return Ok(None),
        Err(e) => return Err(ApplyError::new(path.display().to_string(), e)),
    };
    let content = handle.read(LIMIT).map_err(failed(path))?;
    let state = FileState::read(&handle, &meta).map_err(failed(path))?;
    Ok(Some(Image { content, state }))
}

/// Replaces a file's content (or makes it, or deletes it). Says whether anything had to be done.
pub(super) fn set_content(
    root: &Root,
    path: &Path,
    from: Option<&Image>,
    to: Option<&Image>,
) -> Result<bool, ApplyError> {
    let is = image(root, path)?;
    if same(is.as_ref(), to) {
        return Ok(false);
    }
    if !same(is.as_ref(), from) {
        return Err(not_as_planned(path, "its content has changed since the plan was made"));
    }
    let (folder, name) =
        root.open_folder_of(path).map_err(|e| ApplyError::new(path.display().to_string(), e))?;
    match to {
        None => write::remove_file(&folder, name),
        Some(to) => {
            let (acl, _) = bytes(&to.state);
            write::replace(&folder, name, &to.content, &looks(&to.state, acl.as_deref(), None))
        }
    }
    .map_err(failed(path))?;
    Ok(true)
}

/// A label that is not said is whatever the kernel gives.
fn same(a: Option<&Image>, b: Option<&Image>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let label = a.state.label == b.state.label || a.state.label.is_none() || b.state.label.is_none();
            let without = |s: &FileState| FileState { label: None, ..s.clone() };
            a.content == b.content && label && without(&a.state) == without(&b.state)
        }
        _ => false,
    }
}

fn bytes(state: &FileState) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let to = crate::grants::acl::Acl::to_xattr;
    (state.acl.as_ref().map(to), state.default_acl.as_ref().map(to))
}

fn looks<'a>(state: &'a FileState, acl: Option<&'a [u8]>, default_acl: Option<&'a [u8]>) -> Looks<'a> {
    Looks {
        uid: state.uid,
        gid: state.gid,
        mode: state.mode,
        acl,
        default_acl,
        label: state.label.as_deref(),
    }
}
