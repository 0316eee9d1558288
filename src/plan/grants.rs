//! `[[command]]` × sudoers, doas.conf and polkit's rules: what they have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::accounts::finding;
use super::{Change, Fix, Item, Names, doas, polkit, sudo};
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
    let (more, rules) = polkit::compare(manifests, host);
    items.extend(more);
    contents.extend(rules);
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
            items.push(Item::attention(app, "user", f, Fix::Blocked));
        }
    }
    items
}
