//! Names to ids, with the accounts that the plan itself will make.

use std::collections::BTreeMap;

use crate::grants::access::{CapSet, Credentials};
use crate::host::Accounts;

/// The accounts as they will be when the plan is carried out.
#[derive(Debug, Default)]
pub struct Names {
    /// Users: uid, primary gid, all gids.
    users: BTreeMap<String, (u32, u32, Vec<u32>)>,
    groups: BTreeMap<String, u32>,
    shown_users: BTreeMap<u32, String>,
    shown_groups: BTreeMap<u32, String>,
}

impl Names {
    /// What is there now.
    pub fn new(accounts: &Accounts) -> Self {
        let mut names = Names::default();
        for g in accounts.groups() {
            names.add_group(&g.name, g.gid);
        }
        let mut memberships: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for g in accounts.groups() {
            for m in &g.members {
                memberships.entry(m).or_default().push(g.gid);
            }
        }
        for u in accounts.users() {
            // The first line of a name counts, as for getpwnam(3).
            if !names.users.contains_key(&u.name) {
                let groups = memberships.get(u.name.as_str()).cloned().unwrap_or_default();
                names.add_user(&u.name, u.uid, u.gid, groups);
            }
        }
        names
    }

    /// Adds or replaces a group.
    pub fn add_group(&mut self, name: &str, gid: u32) {
        self.groups.entry(name.to_owned()).or_insert(gid);
        self.shown_groups.entry(gid).or_insert_with(|| name.to_owned());
    }

    /// Adds or replaces a user.
    pub fn add_user(&mut self, name: &str, uid: u32, gid: u32, groups: Vec<u32>) {
        self.users.insert(name.to_owned(), (uid, gid, groups));
        self.shown_users.entry(uid).or_insert_with(|| name.to_owned());
    }

    /// The uid of a name, or of a number in a string.
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.get(name).map(|u| u.0).or_else(|| name.parse().ok())
    }

    /// The gid of a name, or of a number in a string.
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied().or_else(|| name.parse().ok())
    }

    /// A name for a uid, else the number.
    pub fn show_user(&self, uid: u32) -> String {
        self.shown_users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    /// A name for a gid, else the number.
    pub fn show_group(&self, gid: u32) -> String {
        self.shown_groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }

    /// What a process of the user is allowed by, without any capability.
    pub fn credentials(&self, name: &str) -> Option<Credentials> {
        let (uid, gid, groups) = self.users.get(name)?;
        Some(Credentials { uid: *uid, gid: *gid, groups: groups.clone(), capabilities: CapSet::default() })
    }
}
