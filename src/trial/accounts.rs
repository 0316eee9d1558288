//! Stand-ins for accounts that the manifests name and the host does not have.

use std::collections::BTreeSet;

use crate::host::Accounts;
use crate::manifest::{AclWho, Manifest};

/// Lines to add to the copy's passwd and group.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// Names of users.
    pub(super) users: Vec<String>,
    /// Names of groups.
    pub(super) groups: Vec<String>,
}

/// Names that are only named, not declared, and not there.
pub(super) fn missing(manifests: &[Manifest], accounts: &Accounts) -> StandIns {
    let mut users = BTreeSet::new();
    let mut groups = BTreeSet::new();
    for m in manifests {
        let user = &m.app.user;
        if !user.managed {
            users.insert(user.name.value.clone());
        }
        groups.extend(user.groups.iter().chain(&user.group).map(|g| g.value.clone()));
        users.extend(m.commands.iter().map(|c| c.runas.value.clone()));
        for p in &m.paths {
            users.extend(p.owner.iter().map(|o| o.value.clone()));
            groups.extend(p.group.iter().map(|g| g.value.clone()));
            for e in p.acl.iter().chain(&p.default_acl).flat_map(|a| &a.value) {
                match &e.value.who {
                    AclWho::User(u) => users.insert(u.clone()),
                    AclWho::Group(g) => groups.insert(g.clone()),
                };
            }
        }
    }
    for m in manifests {
        if m.app.user.managed {
            users.remove(&m.app.user.name.value);
            groups.remove(&m.app.user.name.value);
        }
        for g in &m.groups {
            groups.remove(&g.name.value);
        }
    }
    StandIns {
        users: users.into_iter().filter(|u| u != "ALL" && accounts.uid_of(u).is_none()).collect(),
        groups: groups.into_iter().filter(|g| accounts.gid_of(g).is_none()).collect(),
    }
}
