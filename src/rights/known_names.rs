//! Which of the users and groups that a sudoers policy names there are: by the account files, and where those do not know a
//! name, by whatever else the host asks (a directory, a cache).

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::grants::sudoers::Tree;
use crate::grants::sudoers::ast::{AliasKind, Member, User};
use crate::host::accounts::Accounts;

type Names = HashSet<String, RandomState>;

/// The names in a policy that nobody has.
#[derive(Debug)]
pub(super) struct Unknown {
    users: Names,
    groups: Names,
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

impl Unknown {
    /// Those of all names in the policy. Cases are not told apart, as by sudo (`case_insensitive_user`,
    /// `case_insensitive_group`).
    pub(super) fn of(tree: &Tree, accounts: &Accounts) -> Unknown {
        let mut unknown = Unknown { users: Names::default(), groups: Names::default() };
        let mut note = |m: &Member<User>, group: bool| {
            let defined = |a: &[u8]| {
                [AliasKind::User, AliasKind::Runas].iter().any(|kind| tree.alias(*kind, a).is_some())
            };
            let Some((group, name)) = account(&m.value, group) else { return };
            let exact = std::str::from_utf8(name).is_ok_and(|n| match group {
                true => accounts.group(n).is_some(),
                false => accounts.user(n).is_some(),
            });
            if exact || matches!(&m.value, User::Alias(a) if defined(a)) {
                return;
            }
            let names = if group { &mut unknown.groups } else { &mut unknown.users };
            names.insert(String::from_utf8_lossy(name).into_owned());
        };
        for (_, _, spec) in tree.specs() {
            spec.users.iter().for_each(|m| note(m, false));
            let commands = spec.privileges.iter().flat_map(|p| &p.commands);
            for runas in commands.filter_map(|c| c.written.runas.as_ref()) {
                runas.users.iter().for_each(|m| note(m, false));
                runas.groups.iter().for_each(|m| note(m, true));
            }
        }
        let (users, groups) = (accounts.users().iter(), accounts.groups().iter());
        retain(&mut unknown.users, users.map(|u| &*u.name), |names| accounts.found_elsewhere(false, names));
        retain(&mut unknown.groups, groups.map(|g| &*g.name), |names| accounts.found_elsewhere(true, names));
        unknown
    }

    /// Whether there is no user, or no group, of this name.
    pub(super) fn has(&self, group: bool, name: &[u8]) -> bool {
        let names = if group { &self.groups } else { &self.users };
        if names.is_empty() {
            return false;
        }
        std::str::from_utf8(name)
            .map_or_else(|_| names.contains(&*String::from_utf8_lossy(name)), |name| names.contains(name))
    }
}

/// Keeps what neither these names nor those found elsewhere cover, whatever the case.
fn retain<'n>(
    names: &mut Names,
    here: impl Iterator<Item = &'n str>,
    elsewhere: impl Fn(&[&str]) -> Vec<String>,
) {
    if names.is_empty() {
        return;
    }
    let here: HashSet<String> = here.map(str::to_ascii_lowercase).collect();
    names.retain(|n| !here.contains(&n.to_ascii_lowercase()));
    let left: Vec<&str> = names.iter().map(String::as_str).collect();
    let found: HashSet<String> = elsewhere(&left).iter().map(|n| n.to_ascii_lowercase()).collect();
    names.retain(|n| !found.contains(&n.to_ascii_lowercase()));
}
