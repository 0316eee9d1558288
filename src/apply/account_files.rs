//! The account files edited directly: in the throw-away copy of `perms try`, where an unprivileged user has no useradd
//! that would work, and for what usermod(8) cannot do with `--prefix` (it looks groups up on the wrong host, shadow
//! 4.13). On the running host its own tools do this.

use std::path::Path;

use super::ApplyError;
use crate::plan::UserState;
use crate::sys::Root;
use crate::sys::write::{Looks, replace};

const LIMIT: u64 = 64 << 20;

/// Rewrites one of the account files line by line.
fn edit(root: &Root, file: &str, f: impl FnOnce(Vec<String>) -> Vec<String>) -> Result<(), ApplyError> {
    let path = Path::new("/etc").join(file);
    let error = |e: &dyn ToString| ApplyError::new(path.display().to_string(), e.to_string());
    let found = match root.open_exact(&path) {
        Ok(found) => found,
        Err(e) if e.is_not_found() => return Ok(()),
        Err(e) => return Err(error(&e)),
    };
    let (handle, meta) = found;
    let text = handle.read(LIMIT).map_err(|e| error(&e))?;
    let lines: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    let mut new = f(lines).join("\n");
    new.push('\n');
    let (folder, name) = root.open_folder_of(&path).map_err(|e| error(&e))?;
    let looks =
        Looks { uid: meta.uid, gid: meta.gid, mode: meta.mode, acl: None, default_acl: None, label: None };
    replace(&folder, name, new.as_bytes(), &looks).map_err(|e| error(&e))
}

fn push(line: String) -> impl FnOnce(Vec<String>) -> Vec<String> {
    move |mut lines| {
        lines.push(line);
        lines
    }
}

fn without(name: &str) -> impl Fn(Vec<String>) -> Vec<String> + '_ {
    move |lines| lines.into_iter().filter(|l| l.split(':').next() != Some(name)).collect()
}

pub(super) fn add_group(root: &Root, name: &str, gid: u32) -> Result<(), ApplyError> {
    edit(root, "group", push(format!("{name}:x:{gid}:")))
}

pub(super) fn remove_group(root: &Root, name: &str) -> Result<(), ApplyError> {
    edit(root, "group", without(name))
}

pub(super) fn add_user(root: &Root, name: &str, u: &UserState) -> Result<(), ApplyError> {
    edit(root, "passwd", push(format!("{name}:x:{}:{}::{}:{}", u.uid, u.gid, u.home, u.shell)))?;
    edit(root, "shadow", push(format!("{name}:!:19000:0:99999:7:::")))?;
    set_memberships(root, name, u)
}

pub(super) fn remove_user(root: &Root, name: &str) -> Result<(), ApplyError> {
    edit(root, "passwd", without(name))?;
    edit(root, "shadow", without(name))?;
    for file in ["group", "gshadow"] {
        edit(root, file, |lines| lines.into_iter().map(|l| with_member(&l, name, |_| false)).collect())?;
    }
    Ok(())
}

pub(super) fn change_user(root: &Root, name: &str, u: &UserState) -> Result<(), ApplyError> {
    edit(root, "passwd", |lines| lines.into_iter().map(|l| with_state(&l, name, u)).collect())?;
    edit(root, "shadow", |lines| lines.into_iter().map(|l| lock(&l, name, u.locked)).collect())?;
    set_memberships(root, name, u)
}

fn set_memberships(root: &Root, name: &str, u: &UserState) -> Result<(), ApplyError> {
    for file in ["group", "gshadow"] {
        edit(root, file, |lines| {
            lines.into_iter().map(|l| with_member(&l, name, |g| u.groups.contains(g))).collect()
        })?;
    }
    Ok(())
}

/// The line of passwd with the declared fields; password and comment stay.
fn with_state(line: &str, name: &str, u: &UserState) -> String {
    let fields: Vec<&str> = line.split(':').collect();
    match fields.as_slice() {
        [user, password, _, _, comment, _, _] if *user == name => {
            format!("{user}:{password}:{}:{}:{comment}:{}:{}", u.uid, u.gid, u.home, u.shell)
        }
        _ => line.to_owned(),
    }
}

/// The line of a group with `name` as a member or not.
fn with_member(line: &str, name: &str, member: impl Fn(&str) -> bool) -> String {
    let fields: Vec<&str> = line.split(':').collect();
    let [group, password, gid, members] = fields.as_slice() else { return line.to_owned() };
    if members.split(',').any(|m| m == name) == member(group) {
        return line.to_owned();
    }
    let mut list: Vec<&str> = members.split(',').filter(|m| !m.is_empty() && *m != name).collect();
    if member(group) {
        list.push(name);
    }
    format!("{group}:{password}:{gid}:{}", list.join(","))
}

/// The line of shadow with the password locked or not, as usermod(8) does it: by a `!` before it.
fn lock(line: &str, name: &str, locked: bool) -> String {
    let Some((user, rest)) = line.split_once(':').filter(|(u, _)| *u == name) else { return line.to_owned() };
    match (rest.strip_prefix('!'), locked) {
        (None, true) => format!("{user}:!{rest}"),
        (Some(rest), false) => format!("{user}:{rest}"),
        _ => line.to_owned(),
    }
}
