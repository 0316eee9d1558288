//! `[[command]]` × sudoers and doas.conf: what both have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::accounts::finding;
use super::{Change, Fix, Item, Names, Sign, doas, sudo};
use crate::grants::identity::Identity;
use crate::host::Host;
use crate::manifest::Manifest;
use crate::report::Class;
use crate::report::codes::account as codes;

/// Compares the declared commands with what the host grants. Whole files that are to be rewritten come back by path.
pub(super) fn compare_grants(
    manifests: &[Manifest],
    host: &Host,
    names: &Names,
) -> (Vec<Item>, BTreeMap<PathBuf, Change>) {
    let (mut items, mut contents) = sudo::compare(manifests, host, names);
    items.extend(unknown_targets(manifests, host, names));
    let (more, doas) = doas::compare(manifests, host, names);
    items.extend(more);
    contents.extend(doas);
    (items, contents)
}

/// Commands that are to be run as somebody who is not there: sudo and doas take such a rule without a word.
fn unknown_targets(manifests: &[Manifest], host: &Host, names: &Names) -> Vec<Item> {
    let mut items = Vec::new();
    for (app, m) in manifests.iter().enumerate() {
        for c in &m.commands {
            let name = &c.runas.value;
            let mut accounts = host.accounts.clone();
            if name == "ALL" || names.uid(name).is_some() || accounts.look_elsewhere_for_user(name) {
                continue;
            }
            let f = finding(
                m,
                &codes::MISSING_USER,
                Class::Missing,
                &format!("user {name}"),
                Some(&c.runas.origin),
            )
            .is("not there", "there: a command is to be run as it")
            .remedy("make the account first, or mend the name");
            items.push(Item {
                app,
                sign: Sign::Attention,
                area: "user",
                subject: name.clone(),
                origin: Some(c.runas.origin.clone()),
                details: vec![format!("is {}; should be {}", f.is, f.should), f.remedy.clone()],
                findings: vec![f],
                fix: Fix::Blocked,
            });
        }
    }
    items
}

/// The account of an application as the grant files see it now (its groups are those it has, declared or not), or as it
/// will be if it is to be made.
pub(super) fn identity(m: &Manifest, host: &Host, names: &Names) -> Identity {
    let name = &m.app.user.name.value;
    let mut who = Identity::new(name.clone(), names.uid(name));
    if let Some(user) = host.accounts.user(name) {
        who.uid = Some(user.uid);
        who = who.with_group(host.accounts.group_name(user.gid), Some(user.gid));
        for g in host.accounts.supplementary(name) {
            let gid = host.accounts.gid_of(&g);
            who = who.with_group(g, gid);
        }
        return who;
    }
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
