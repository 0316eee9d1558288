//! Changes to accounts: by the host's own useradd, usermod and groupadd; by [`super::account_files`] in any other tree.

use std::collections::BTreeSet;

use super::{ApplyError, account_files};
use crate::host::{Accounts, Password};
use crate::plan::UserState;
use crate::sys::{Root, run};

fn tool(tool: &str, args: &[String]) -> Result<(), ApplyError> {
    let what = format!("{tool} {}", args.join(" "));
    let ended = run::run(tool, args, b"").map_err(|e| ApplyError::new(what.clone(), e))?;
    if ended.success { Ok(()) } else { Err(ApplyError::new(what, ended.said())) }
}

fn read(root: &Root) -> Result<Accounts, ApplyError> {
    Accounts::read(root).map_err(|e| ApplyError::new("reading the accounts", e))
}

/// Makes a group.
pub(super) fn make_group(root: &Root, name: &str, gid: u32) -> Result<(), ApplyError> {
    if let Some(g) = read(root)?.group(name) {
        let why = format!("it has come to be, with gid {}", g.gid);
        return Err(ApplyError::new(format!("group {name}"), why).refused().remedy("run perms plan again"));
    }
    if !root.is_host() {
        return account_files::add_group(root, name, gid);
    }
    tool("groupadd", &["--gid".into(), gid.to_string(), name.into()])
}

/// Deletes a group, if it is there with this gid.
pub(super) fn delete_group(root: &Root, name: &str, gid: u32) -> Result<(), ApplyError> {
    match read(root)?.group(name) {
        Some(g) if g.gid == gid => {}
        _ => return Ok(()),
    }
    if !root.is_host() {
        return account_files::remove_group(root, name);
    }
    tool("groupdel", &[name.into()])
}

/// Makes a user, without a home folder (that is a change of its own), its password locked.
pub(super) fn make_user(root: &Root, name: &str, u: &UserState) -> Result<(), ApplyError> {
    if let Some(is) = read(root)?.user(name) {
        let why = format!("it has come to be, with uid {}", is.uid);
        return Err(ApplyError::new(format!("user {name}"), why).refused().remedy("run perms plan again"));
    }
    if !root.is_host() {
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
    tool("useradd", &args)?;
    // A group may still list an account of this name that is long gone; useradd leaves that, and the new one would have it.
    if read(root)?.supplementary(name) != u.groups {
        tool("usermod", &["--groups".into(), join(&u.groups), name.into()])?;
    }
    Ok(())
}

/// Deletes a user that [`make_user`] made. `userdel` also deletes a group of the user's name; one that was there before
/// is made again.
pub(super) fn delete_user(root: &Root, name: &str, uid: u32) -> Result<(), ApplyError> {
    let before = read(root)?;
    match before.user(name) {
        Some(u) if u.uid == uid => {}
        // A run that was cut off may have got no further than shadow.
        None if !root.is_host() => {}
        _ => return Ok(()),
    }
    if !root.is_host() {
        return account_files::remove_user(root, name);
    }
    tool("userdel", &[name.into()])?;
    if let Some(g) = before.group(name)
        && read(root)?.group(name).is_none()
    {
        tool("groupadd", &["--gid".into(), g.gid.to_string(), name.into()])?;
    }
    Ok(())
}

/// What is there of a user, as far as a plan speaks of it.
pub(super) fn state(accounts: &Accounts, name: &str) -> Option<UserState> {
    let u = accounts.user(name)?;
    Some(UserState {
        uid: u.uid,
        gid: u.gid,
        home: u.home.clone(),
        shell: u.shell.clone(),
        groups: accounts.supplementary(name),
        locked: accounts.password(name) == Password::Locked,
        system: false,
    })
}

/// Each part is as before or as after (a tool that was cut off may have done a part of its work).
fn between(is: &UserState, a: &UserState, b: &UserState) -> bool {
    is.uid == a.uid
        && [a.gid, b.gid].contains(&is.gid)
        && [&a.home, &b.home].contains(&&is.home)
        && [&a.shell, &b.shell].contains(&&is.shell)
        && [a.locked, b.locked].contains(&is.locked)
        && is.groups.iter().all(|g| a.groups.contains(g) || b.groups.contains(g))
        && a.groups.intersection(&b.groups).all(|g| is.groups.contains(g))
}

/// Takes a user from one state to another.
pub(super) fn change_user(
    root: &Root,
    name: &str,
    from: &UserState,
    to: &UserState,
) -> Result<(), ApplyError> {
    let is = state(&read(root)?, name);
    if is.as_ref().is_none_or(|is| !between(is, from, to)) {
        return Err(ApplyError::new(format!("user {name}"), "it has changed since")
            .refused()
            .remedy("run perms plan again and look at what has changed"));
    }
    if !root.is_host() {
        return account_files::change_user(root, name, from, to);
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
    tool("usermod", &args)
}

fn join(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}
