//! The account files edited directly: in any tree but the running host's own. useradd and usermod would work there with
//! `--prefix` only, by path and through whatever links the tree holds, which may lead out of it (and usermod looks groups
//! up on the wrong host, shadow 4.13). On the running host its own tools do this.

use std::path::Path;

use super::ApplyError;
use crate::host::FileState;
use crate::plan::UserState;
use crate::sys::Root;
use crate::sys::write::{Looks, replace};

const LIMIT: u64 = 64 << 20;

type Line = Vec<u8>;

/// Rewrites one of the account files line by line; what `f` leaves as it is stays byte for byte.
fn edit(root: &Root, file: &str, f: impl FnOnce(Vec<Line>) -> Vec<Line>) -> Result<(), ApplyError> {
    let path = Path::new("/etc").join(file);
    let error = |e: &dyn ToString| ApplyError::new(path.display().to_string(), e.to_string());
    let found = match root.resolve(&path) {
        Ok(found) => found,
        Err(e) if e.is_not_found() => return Ok(()),
        Err(e) => return Err(error(&e)),
    };
    let text = found.handle.read(LIMIT).map_err(|e| error(&e))?;
    let lines: Vec<Line> = match text.strip_suffix(b"\n").unwrap_or(&text) {
        b"" => Vec::new(),
        text => text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect(),
    };
    let new = f(lines.clone());
    if new == lines {
        return Ok(());
    }
    let mut new = new.join(&b'\n');
    if !new.is_empty() {
        new.push(b'\n');
    }
    let state = FileState::read(&found.handle, &found.meta).map_err(|e| error(&e))?;
    let acl = state.acl.as_ref().map(crate::grants::acl::Acl::to_xattr);
    let looks = Looks {
        uid: state.uid,
        gid: state.gid,
        mode: state.mode,
        acl: acl.as_deref(),
        default_acl: None,
        label: state.label.as_deref(),
    };
    let (folder, name) = root.open_folder_of(&found.path).map_err(|e| error(&e))?;
    replace(&folder, name, &new, &looks).map_err(|e| error(&e))
}

/// Adds a line, in the place of any of the same name that was left behind: the first of a name is the one that counts.
fn push(line: String) -> impl FnOnce(Vec<Line>) -> Vec<Line> {
    move |mut lines| {
        lines.retain(|l| name_of(l) != name_of(line.as_bytes()));
        lines.push(line.into_bytes());
        lines
    }
}

/// The first field of a line.
fn name_of(line: &[u8]) -> &[u8] {
    line.split(|b| *b == b':').next().unwrap_or_default()
}

fn without(name: &str) -> impl Fn(Vec<Line>) -> Vec<Line> + '_ {
    move |lines| lines.into_iter().filter(|l| name_of(l) != name.as_bytes()).collect()
}

/// Changes the fields of the lines that have this number of them; the others stay as they are.
fn with_fields<const N: usize>(lines: Vec<Line>, mut f: impl FnMut(&mut [Vec<u8>; N])) -> Vec<Line> {
    let change = |line: Line| {
        let fields: Vec<Vec<u8>> = line.split(|b| *b == b':').map(<[u8]>::to_vec).collect();
        match <[Vec<u8>; N]>::try_from(fields) {
            Ok(mut fields) => {
                f(&mut fields);
                fields.join(&b':')
            }
            Err(_) => line,
        }
    };
    lines.into_iter().map(change).collect()
}

pub(super) fn add_group(root: &Root, name: &str, gid: u32) -> Result<(), ApplyError> {
    edit(root, "group", push(format!("{name}:x:{gid}:")))?;
    edit(root, "gshadow", push(format!("{name}:!::")))
}

pub(super) fn remove_group(root: &Root, name: &str) -> Result<(), ApplyError> {
    edit(root, "group", without(name))?;
    edit(root, "gshadow", without(name))
}

pub(super) fn add_user(root: &Root, name: &str, u: &UserState) -> Result<(), ApplyError> {
    // shadow first: an account is never there without its lock.
    edit(root, "shadow", push(format!("{name}:!:19000:0:99999:7:::")))?;
    edit(root, "passwd", push(format!("{name}:x:{}:{}::{}:{}", u.uid, u.gid, u.home, u.shell)))?;
    set_memberships(root, name, u)
}

pub(super) fn remove_user(root: &Root, name: &str) -> Result<(), ApplyError> {
    edit(root, "passwd", without(name))?;
    edit(root, "shadow", without(name))?;
    members(root, name, |_| false)
}

pub(super) fn change_user(
    root: &Root,
    name: &str,
    from: &UserState,
    to: &UserState,
) -> Result<(), ApplyError> {
    edit(root, "passwd", |lines| {
        with_fields(lines, |[user, password, uid, gid, _, home, shell]: &mut [Vec<u8>; 7]| {
            if user == name.as_bytes() {
                // A password that stands here is the one that counts.
                if from.locked != to.locked && password != b"x" {
                    *password = locked(password, to.locked);
                }
                *uid = to.uid.to_string().into_bytes();
                *gid = to.gid.to_string().into_bytes();
                *home = to.home.clone().into_bytes();
                *shell = to.shell.clone().into_bytes();
            }
        })
    })?;
    if from.locked != to.locked {
        edit(root, "shadow", |lines| lines.into_iter().map(|l| lock(l, name, to.locked)).collect())?;
    }
    set_memberships(root, name, to)
}

fn set_memberships(root: &Root, name: &str, u: &UserState) -> Result<(), ApplyError> {
    members(root, name, |group| std::str::from_utf8(group).is_ok_and(|g| u.groups.contains(g)))
}

/// Makes `name` a member of each group or not; the order of the other members stays.
fn members(root: &Root, name: &str, wanted: impl Fn(&[u8]) -> bool) -> Result<(), ApplyError> {
    for file in ["group", "gshadow"] {
        edit(root, file, |lines| {
            with_fields(lines, |[group, _, _, list]: &mut [Vec<u8>; 4]| {
                let wanted = wanted(group);
                let is = list.split(|b| *b == b',').any(|m| m == name.as_bytes());
                if is == wanted {
                    return;
                }
                let mut new: Vec<&[u8]> =
                    list.split(|b| *b == b',').filter(|m| !m.is_empty() && *m != name.as_bytes()).collect();
                if wanted {
                    new.push(name.as_bytes());
                }
                *list = new.join(&b',');
            })
        })?;
    }
    Ok(())
}

/// The line of shadow with the password locked or not.
fn lock(line: Line, name: &str, lock: bool) -> Line {
    let Some(rest) = line.strip_prefix(name.as_bytes()).and_then(|l| l.strip_prefix(b":")) else {
        return line;
    };
    [name.as_bytes(), b":", &locked(rest, lock)].concat()
}

/// A password (and what follows it) locked or not, as usermod(8) does it: by a `!` before it.
fn locked(password: &[u8], lock: bool) -> Vec<u8> {
    match (password.strip_prefix(b"!"), lock) {
        (None, true) => [b"!", password].concat(),
        (Some(password), false) => password.to_vec(),
        _ => password.to_vec(),
    }
}
