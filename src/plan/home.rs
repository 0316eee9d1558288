//! The home folders of managed accounts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::accounts::finding;
use super::change::Change;
use super::item::{Fix, Item, Sign};
use super::names::Names;
use crate::host::{FileState, Host};
use crate::manifest::Manifest;
use crate::report::Class;
use crate::report::codes::path as codes;

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

/// A declared home that is not there is made, owned by its user, unless a `[[path]]` declares it.
pub(super) fn compare_homes(manifests: &[Manifest], host: &Host, names: &Names) -> Vec<Item> {
    let mut items = Vec::new();
    for (app, m) in manifests.iter().enumerate() {
        let user = &m.app.user;
        let Some(home) = user.home.as_ref().filter(|_| user.managed) else { continue };
        if home.value == *"/nonexistent"
            || manifests.iter().flat_map(|m| &m.paths).any(|p| p.path.value == home.value)
        {
            continue;
        }
        let Err(error) = host.root.resolve(&home.value) else { continue };
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
