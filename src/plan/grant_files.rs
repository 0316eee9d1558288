//! What sudoers and doas.conf have in common: whose rules, what differs, and the change of a whole file.

use std::path::PathBuf;

use super::change::{Change, Image};
use super::item::{Fix, Item, Sign};
use super::names::Names;
use crate::grants::identity::Identity;
use crate::host::grants::SUDOERS_D;
use crate::host::{FileState, Host};
use crate::manifest::Manifest;
use crate::report::{Finding, Origin};

/// The items of one sort of grant file.
pub(super) struct Items {
    area: &'static str,
    pub(super) list: Vec<Item>,
}

impl Items {
    /// None yet.
    pub(super) fn of(area: &'static str) -> Self {
        Items { area, list: Vec::new() }
    }

    /// What `apply` does not mend.
    pub(super) fn attention(
        &mut self,
        app: usize,
        subject: impl Into<String>,
        origin: Option<&Origin>,
        f: Finding,
        fix: Fix,
    ) {
        let item = Item::attention(app, self.area, f, fix).named(subject);
        self.list.push(Item { origin: origin.cloned(), ..item });
    }

    /// What a file's new content mends.
    pub(super) fn content(
        &mut self,
        app: usize,
        sign: Sign,
        subject: impl Into<String>,
        origin: Option<&Origin>,
        details: Vec<String>,
        f: Finding,
    ) {
        self.list.push(Item {
            app,
            sign,
            area: self.area,
            subject: subject.into(),
            origin: origin.cloned(),
            details,
            findings: vec![f],
            fix: Fix::Content,
        });
    }
}

/// Looks of a sudoers fragment, as sudo and visudo want them.
pub(super) const MODE: u16 = 0o440;

/// The account of an application as the grant files see it now (its groups are those it has, declared or not), or as it
/// will be if it is to be made.
pub(super) fn identity(m: &Manifest, host: &Host, names: &Names) -> Identity {
    let name = &m.app.user.name.value;
    if host.accounts.user(name).is_some() {
        return host.accounts.identity(name);
    }
    let mut who = Identity::new(name.clone(), names.uid(name));
    if let Some(creds) = names.credentials(name) {
        for gid in std::iter::once(creds.gid).chain(creds.groups) {
            who = who.with_group(names.show_group(gid), Some(gid));
        }
    }
    who
}

/// A difference of two texts as lines with `+` and `-`.
pub(super) fn diff(before: &[u8], after: &[u8]) -> Vec<String> {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    similar::TextDiff::from_lines(before.as_ref(), after.as_ref())
        .iter_all_changes()
        .filter_map(|c| {
            let sign = match c.tag() {
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
                similar::ChangeTag::Equal => return None,
            };
            Some(format!("{sign} {}", c.value().trim_end()))
        })
        .filter(|l| l.len() > 2 && !l.starts_with("+ #"))
        .collect()
}

/// A change of a whole file; none if it cannot be looked at (which is said elsewhere).
pub(super) fn content_change(host: &Host, path: PathBuf, text: Option<Vec<u8>>) -> Option<(PathBuf, Change)> {
    let found = host.root.resolve(&path).ok();
    // The change is made to what the path leads to, not to a link on the way.
    let real = match &found {
        Some(r) => r.path.clone(),
        None => {
            let folder = host.root.resolve(path.parent()?).ok()?.path;
            folder.join(path.file_name()?)
        }
    };
    let before = match found {
        Some(r) => {
            let state = FileState::read(&r.handle, &r.meta).ok()?;
            Some(Image { content: r.handle.read(64 << 20).ok()?, state })
        }
        None => None,
    };
    let own = real.starts_with(SUDOERS_D) && before.is_none();
    let state = match &before {
        Some(b) => {
            let private = real.starts_with(SUDOERS_D);
            FileState {
                uid: 0,
                gid: 0,
                mode: if private { MODE } else { b.state.mode },
                acl: if private { None } else { b.state.acl.clone() },
                ..b.state.clone()
            }
        }
        None => FileState {
            uid: 0,
            gid: 0,
            mode: if own { MODE } else { 0o400 },
            acl: None,
            default_acl: None,
            label: None,
        },
    };
    let after = text.map(|content| Image { content, state });
    Some((real.clone(), Change::Content { path: real, before, after }))
}
