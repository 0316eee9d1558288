//! The home folders of managed accounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accounts::finding;
use super::change::Change;
use super::item::{Fix, Item, Sign};
use super::names::Names;
use crate::host::{FileState, Host};
use crate::manifest::Manifest;
use crate::report::codes::path as codes;
use crate::report::{Class, Spanned};
use crate::sys::{Kind, Resolved};

/// Rights of a new home folder: its owner's alone.
const MODE: u16 = 0o700;

/// The homes that are to be made, by path.
pub(super) fn to_make(items: &mut [Item]) -> BTreeMap<PathBuf, &mut FileState> {
    items
        .iter_mut()
        .filter_map(|i| match &mut i.fix {
            Fix::Changes(changes) => Some(changes),
            _ => None,
        })
        .flatten()
        .filter_map(|c| match c {
            Change::Make { path, state, .. } => Some((path.clone(), state)),
            _ => None,
        })
        .collect()
}

/// A declared home that is not there is made, owned by its user; one that is there is its user's (or root's) and nobody
/// else's to write. A home that a `[[path]]` declares is as that says.
pub(super) fn compare_homes(manifests: &[Manifest], host: &Host, names: &Names) -> Vec<Item> {
    let mut items = Vec::new();
    for (app, m) in manifests.iter().enumerate() {
        let user = &m.app.user;
        let Some(home) = user.home.as_ref().filter(|_| user.managed) else { continue };
        if home.value.as_path() == Path::new("/nonexistent")
            || manifests.iter().flat_map(|m| &m.paths).any(|p| p.path.value == home.value)
        {
            continue;
        }
        let error = match host.root.resolve(&home.value) {
            Ok(found) => {
                items.extend(compare_home(app, m, home, &found, names));
                continue;
            }
            Err(e) => e,
        };
        let place = home.value.display().to_string();
        let f = finding(m, &codes::MISSING, Class::Missing, &place, Some(&home.origin))
            .is("not there", "a home folder");
        let creds = names.credentials(&user.name.value);
        let parent = home.value.parent().map(|p| host.root.resolve(p));
        let (f, fix, sign, details) = match (creds, parent) {
            (Some(creds), Some(Ok(parent))) if error.is_not_found() => {
                let path = parent.path.join(home.value.file_name().unwrap_or_default());
                let state = FileState {
                    uid: creds.uid,
                    gid: creds.gid,
                    mode: MODE,
                    acl: None,
                    default_acl: None,
                    label: None,
                };
                let details = vec![format!("folder {MODE:04o} {}", user.name.value)];
                let change = Change::Make { path, directory: true, state };
                (f.remedy("perms apply makes it"), Fix::Changes(vec![change]), Sign::Add, details)
            }
            // The account could not be planned: that is said already.
            (None, _) => continue,
            _ => {
                let details = vec![error.to_string()];
                (
                    f.is(error.to_string(), "a home folder").remedy("make the folder above it"),
                    Fix::Blocked,
                    Sign::Attention,
                    details,
                )
            }
        };
        items.push(Item {
            app,
            sign,
            area: "home",
            subject: place,
            origin: Some(home.origin.clone()),
            details,
            findings: vec![f],
            fix,
        });
    }
    items
}

/// What is wrong with a home that is there. Whoever writes a home writes the profile and the ssh keys in it, and is that
/// user at the next login.
fn compare_home(
    app: usize,
    m: &Manifest,
    home: &Spanned<PathBuf>,
    found: &Resolved,
    names: &Names,
) -> Option<Item> {
    let user = &m.app.user.name.value;
    let creds = names.credentials(user)?;
    let place = home.value.display().to_string();
    let wrong = |code, is: String, should: &str| {
        finding(m, code, Class::Wrong, &place, Some(&home.origin))
            .is(is, should)
            .why("whoever writes a home writes the profile and the ssh keys in it, and is that user at the next login")
    };
    let state = FileState::read(&found.handle, &found.meta).ok()?;
    if state.uid != creds.uid && state.uid != 0 {
        let f = wrong(
            &codes::WRONG_OWNER,
            format!("of {}", names.show_user(state.uid)),
            &format!("of {user}, or of root"),
        )
        .remedy(format!("chown {user} {place}, if it is this user's; declare it with [[path]] if not"));
        return Some(Item::attention(app, "home", f, Fix::ByHand));
    }
    // A group of the user's own, as most hosts make it, lets nobody else in.
    let group_writes = state.mode & 0o020 != 0 && state.gid != creds.gid && state.gid != 0;
    if !group_writes && state.mode & 0o002 == 0 {
        return None;
    }
    let who = if state.mode & 0o002 != 0 {
        "everybody may write it".to_owned()
    } else {
        format!("group {} may write it", names.show_group(state.gid))
    };
    let after = FileState { mode: state.mode & !if group_writes { 0o022 } else { 0o002 }, ..state.clone() };
    let f = wrong(&codes::WRONG_MODE, format!("{:04o}: {who}", state.mode), "its user's alone to write");
    if state.acl.is_some() || state.uid == 0 || found.meta.kind != Kind::Directory {
        let f = f.remedy("take the right away, or declare the home with [[path]]");
        return Some(Item::attention(app, "home", f, Fix::ByHand));
    }
    let details = vec![format!("mode {:04o} → {:04o}: {who}", state.mode, after.mode)];
    let change = Change::State { path: found.path.clone(), object: found.meta.id.1, before: state, after };
    Some(Item {
        app,
        sign: Sign::Change,
        area: "home",
        subject: place.clone(),
        origin: Some(home.origin.clone()),
        details,
        findings: vec![f.remedy("perms apply takes it away; or declare the home with [[path]]")],
        fix: Fix::Changes(vec![change]),
    })
}
