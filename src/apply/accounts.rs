//! Changes to accounts: by the host's own useradd, usermod and groupadd; by [`super::account_files`] in a copy whose
//! owners are only kept beside it, where those tools would refuse to work, and where they do not know `--prefix`.

use std::collections::BTreeSet;

use super::{ApplyError, account_files};
use crate::host::Accounts;
use crate::plan::UserState;
use crate::sys::{Root, run};

fn tool(root: &Root, tool: &str, args: &[String]) -> Result<(), ApplyError> {
    let mut all = Vec::new();
    if !root.is_host() {
        // Not --root: that would run the code and the configuration of the tree as root of this host.
        all.extend(["--prefix".to_owned(), root.path().display().to_string()]);
    }
    all.extend_from_slice(args);
    let what = format!("{tool} {}", all.join(" "));
    let ended = run::run(tool, &all, b"").map_err(|e| ApplyError::new(what.clone(), e))?;
    if ended.success { Ok(()) } else { Err(ApplyError::new(what, ended.said())) }
}

fn read(root: &Root) -> Result<Accounts, ApplyError> {
    Accounts::read(root).map_err(|e| ApplyError::new("reading the accounts", e))
}

/// Makes a group.
pub(super) fn make_group(root: &Root, name: &str, gid: u32) -> Result<(), ApplyError> {
    if let Some(g) = read(root)?.group(name) {
        return if g.gid == gid {
            Ok(())
        } else {
            Err(ApplyError::new(format!("group {name}"), format!("it has come to be, with gid {}", g.gid)))
        };
    }
    if root.keeps_owners_beside() {
        return account_files::add_group(root, name, gid);
    }
    tool(root, "groupadd", &["--gid".into(), gid.to_string(), name.into()])
}

/// Deletes a group, if it is there with this gid.
pub(super) fn delete_group(root: &Root, name: &str, gid: u32) -> Result<(), ApplyError> {
    match read(root)?.group(name) {
        Some(g) if g.gid == gid => {}
        _ => return Ok(()),
    }
    if root.keeps_owners_beside() {
        return account_files::remove_group(root, name);
    }
    tool(root, "groupdel", &[name.into()])
}

/// Makes a user, without a home folder (that is a change of its own), its password locked.
pub(super) fn make_user(root: &Root, name: &str, u: &UserState) -> Result<(), ApplyError> {
    if let Some(is) = read(root)?.user(name) {
        return if is.uid == u.uid {
            Ok(())
        } else {
            Err(ApplyError::new(format!("user {name}"), format!("it has come to be, with uid {}", is.uid)))
        };
    }
    if root.keeps_owners_beside() {
        return account_files::add_user(root, name, u);
    }
    let mut args: Vec<String> = vec![
        "--uid".into(),
        u.uid.to_string(),
        "--gid".into(),
        u.gid.to_string(),
        "--no-create-home".into(),
        "--no-user-group".into(),
        "--home-dir".into(),
        u.home.clone(),
        "--shell".into(),
        u.shell.clone(),
    ];
    if u.system {
        args.push("--system".into());
    }
    if !u.groups.is_empty() {
        args.extend(["--groups".into(), join(&u.groups)]);
    }
    args.push(name.into());
    tool(root, "useradd", &args)
}

/// Deletes a user that [`make_user`] made. `userdel` also deletes a group of the user's name; one that was there before
/// is made again.
pub(super) fn delete_user(root: &Root, name: &str, uid: u32) -> Result<(), ApplyError> {
    let before = read(root)?;
    match before.user(name) {
        Some(u) if u.uid == uid => {}
        _ => return Ok(()),
    }
    if root.keeps_owners_beside() {
        return account_files::remove_user(root, name);
    }
    tool(root, "userdel", &[name.into()])?;
    if let Some(g) = before.group(name)
        && read(root)?.group(name).is_none()
    {
        tool(root, "groupadd", &["--gid".into(), g.gid.to_string(), name.into()])?;
    }
    Ok(())
}

/// Takes a user from one state to another.
pub(super) fn change_user(
    root: &Root,
    name: &str,
    from: &UserState,
    to: &UserState,
) -> Result<(), ApplyError> {
    if read(root)?.user(name).is_none_or(|u| u.uid != from.uid) {
        return Err(ApplyError::new(format!("user {name}"), "it has changed since the plan was made")
            .remedy("run perms plan again"));
    }
    if root.keeps_owners_beside() || !root.is_host() {
        return account_files::change_user(root, name, to);
    }
    let mut args: Vec<String> = Vec::new();
    if from.home != to.home {
        args.extend(["--home".into(), to.home.clone()]);
    }
    if from.shell != to.shell {
        args.extend(["--shell".into(), to.shell.clone()]);
    }
    if from.gid != to.gid {
        args.extend(["--gid".into(), to.gid.to_string()]);
    }
    if from.groups != to.groups {
        args.extend(["--groups".into(), join(&to.groups)]);
    }
    if from.locked != to.locked {
        args.push(if to.locked { "--lock" } else { "--unlock" }.into());
    }
    if args.is_empty() {
        return Ok(());
    }
    args.push(name.into());
    tool(root, "usermod", &args)
}

fn join(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}
