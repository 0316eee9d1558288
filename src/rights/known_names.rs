//! Which of the users and groups that a sudoers policy names there are: by the account files, and where those do not know a
//! name, by whatever else the host asks (a directory, a cache).

use std::collections::HashSet;

use crate::grants::sudoers::Tree;
use crate::grants::sudoers::ast::{AliasKind, Member, User};
use crate::host::accounts::Accounts;

/// The names that accounts and groups have, in lower case: sudo does not tell cases apart
/// (`case_insensitive_user`, `case_insensitive_group`).
#[derive(Debug)]
pub(super) struct Known {
    users: HashSet<String>,
    groups: HashSet<String>,
}

/// The account (`true`: the group) whose name a member stands for, if it is one that can be looked up. `group`: it stands in a
/// list of groups.
pub(super) fn account(user: &User, group: bool) -> Option<(bool, &[u8])> {
    match user {
        User::Word(w) if !w.starts_with(b"#") => Some((group, w)),
        User::Alias(w) => Some((false, w)),
        User::Group(g) => match g.get(1..).unwrap_or_default() {
            [b'#' | b':', ..] => None,
            name => Some((true, name)),
        },
        _ => None,
    }
}

impl Known {
    /// What there is of all names in the policy.
    pub(super) fn of(tree: &Tree, accounts: &Accounts) -> Known {
        let lower = |name: &str| name.to_ascii_lowercase();
        let mut known = Known {
            users: accounts.users().iter().map(|u| lower(&u.name)).collect(),
            groups: accounts.groups().iter().map(|g| lower(&g.name)).collect(),
        };
        let mut unknown: [HashSet<String>; 2] = Default::default();
        let mut note = |m: &Member<User>, group: bool| {
            let defined = |a: &[u8]| {
                [AliasKind::User, AliasKind::Runas].iter().any(|kind| tree.alias(*kind, a).is_some())
            };
            let named = match &m.value {
                User::Alias(a) if defined(a) => None,
                value => account(value, group),
            };
            if let Some((group, name)) = named.filter(|(group, name)| !known.has(*group, &text(name)))
                && let [users, groups] = &mut unknown
            {
                if group { groups } else { users }.insert(text(name));
            }
        };
        for (_, _, spec) in tree.specs() {
            spec.users.iter().for_each(|m| note(m, false));
            for runas in
                spec.privileges.iter().flat_map(|p| &p.commands).filter_map(|c| c.written.runas.as_ref())
            {
                runas.users.iter().for_each(|m| note(m, false));
                runas.groups.iter().for_each(|m| note(m, true));
            }
        }
        let [users, groups] = unknown;
        for (group, names) in [(false, users), (true, groups)] {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let found = accounts.found_elsewhere(group, &names);
            let all = if group { &mut known.groups } else { &mut known.users };
            all.extend(found.iter().map(|n| lower(n)));
        }
        known
    }

    /// Whether there is a user, or a group, of this name.
    pub(super) fn has(&self, group: bool, name: &str) -> bool {
        let names = if group { &self.groups } else { &self.users };
        names.contains(name) || names.contains(&name.to_ascii_lowercase())
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
