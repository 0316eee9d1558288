//! `[app.user]` and `[[group]]` × the account files.

use std::collections::BTreeSet;

use super::change::{Change, UserState};
use super::item::{Fix, Item, Sign};
use super::names::Names;
use crate::host::{Accounts, Password};
use crate::manifest::{GroupRule, Login, Manifest, UserRule};
use crate::report::codes::account as codes;
use crate::report::{Class, Code, Finding, Origin};

/// The shell of an account that nobody logs in to.
const NOLOGIN: &str = "/usr/sbin/nologin";
/// The shell of a new account that the manifest does not give one.
const DEFAULT_SHELL: &str = "/bin/sh";

/// Compares the declared accounts with those that are there. `names` learns the accounts that will be made.
pub(super) fn compare_accounts(
    manifests: &[Manifest],
    accounts: &mut Accounts,
    names: &mut Names,
) -> Vec<Item> {
    let mut p = Planner { accounts, names, items: Vec::new(), new_uids: Vec::new(), new_gids: Vec::new() };
    for (app, m) in manifests.iter().enumerate() {
        for g in &m.groups {
            p.group(app, m, g);
        }
    }
    for (app, m) in manifests.iter().enumerate() {
        p.user(app, m);
    }
    p.items
}

struct Planner<'a> {
    accounts: &'a mut Accounts,
    names: &'a mut Names,
    items: Vec<Item>,
    new_uids: Vec<u32>,
    new_gids: Vec<u32>,
}

impl Planner<'_> {
    fn group(&mut self, app: usize, m: &Manifest, rule: &GroupRule) {
        let name = &rule.name.value;
        if let Some(gid) = self.names.gid(name).filter(|_| self.known_group(name)) {
            if let Some(wanted) = rule.gid.as_ref().filter(|w| w.value != gid) {
                let f = finding(
                    m,
                    &codes::WRONG_GROUP,
                    Class::Wrong,
                    &format!("group {name}"),
                    Some(&wanted.origin),
                )
                .is(format!("gid {gid}"), format!("gid {}", wanted.value))
                .remedy(
                    "perms never changes a gid, because files belong to the old one: groupmod -g, and chgrp",
                );
                self.attention(app, "group", name, &wanted.origin, f, Fix::ByHand);
            }
            return;
        }
        let gid = match &rule.gid {
            Some(g) => Some(g.value),
            None => self.accounts.next_gid(rule.system, None, &self.new_gids),
        };
        let taken = rule.gid.as_ref().and_then(|g| {
            let there = self.accounts.groups().iter().find(|o| o.gid == g.value).map(|o| o.name.clone());
            there.or_else(|| self.new_gids.contains(&g.value).then(|| "another new group".to_owned()))
        });
        if let (Some(other), Some(g)) = (taken, &rule.gid) {
            let f =
                finding(m, &codes::MISSING_GROUP, Class::Missing, &format!("group {name}"), Some(&g.origin))
                    .is("not there", "there")
                    .remedy(format!("gid {} belongs to {other}: declare another", g.value));
            return self.attention(app, "group", name, &g.origin, f, Fix::Blocked);
        }
        self.make_group(app, m, name, gid, &rule.origin);
    }

    fn known_group(&mut self, name: &str) -> bool {
        if self.accounts.look_elsewhere_for_group(name)
            && let Some(g) = self.accounts.group(name)
        {
            self.names.add_group(name, g.gid);
        }
        self.accounts.group(name).is_some()
    }

    fn make_group(
        &mut self,
        app: usize,
        m: &Manifest,
        name: &str,
        gid: Option<u32>,
        origin: &Origin,
    ) -> Option<u32> {
        let f = finding(m, &codes::MISSING_GROUP, Class::Missing, &format!("group {name}"), Some(origin))
            .is("not there", "there")
            .remedy("perms apply makes it");
        let Some(gid) = gid else {
            self.attention(
                app,
                "group",
                name,
                origin,
                f.remedy("no id is free in the range of login.defs"),
                Fix::Blocked,
            );
            return None;
        };
        self.new_gids.push(gid);
        self.names.add_group(name, gid);
        self.items.push(Item {
            app,
            sign: Sign::Add,
            area: "group",
            subject: format!("{name} (gid {gid})"),
            origin: Some(origin.clone()),
            details: Vec::new(),
            findings: vec![f],
            fix: Fix::Changes(vec![Change::Group { name: name.to_owned(), gid }]),
        });
        Some(gid)
    }

    fn attention(
        &mut self,
        app: usize,
        area: &'static str,
        subject: &str,
        origin: &Origin,
        f: Finding,
        fix: Fix,
    ) {
        let item = Item::attention(app, area, f, fix).named(subject);
        self.items.push(Item { origin: Some(origin.clone()), ..item });
    }

    fn user(&mut self, app: usize, m: &Manifest) {
        let rule = &m.app.user;
        let name = &rule.name.value;
        let elsewhere = self.accounts.look_elsewhere_for_user(name);
        if let Some(u) = self.accounts.user(name).filter(|_| elsewhere) {
            let groups =
                self.accounts.supplementary(name).iter().filter_map(|g| self.accounts.gid_of(g)).collect();
            self.names.add_user(name, u.uid, u.gid, groups);
        }
        if !rule.managed {
            if self.accounts.user(name).is_none() {
                let f = finding(
                    m,
                    &codes::MISSING_USER,
                    Class::Missing,
                    &format!("user {name}"),
                    Some(&rule.name.origin),
                )
                .is("not there", "there")
                .remedy("install what brings the account, or declare it as a table: [app.user]");
                self.attention(app, "user", name, &rule.name.origin, f, Fix::Blocked);
            }
            return;
        }
        if elsewhere {
            let f = finding(m, &codes::ELSEWHERE, Class::Wrong, &format!("user {name}"), Some(&rule.origin))
                .is("known to the name service only", "in /etc/passwd")
                .remedy(format!("name it without managing it: user = \"{name}\""));
            self.attention(app, "user", name, &rule.origin, f, Fix::Blocked);
            return;
        }
        let Some(groups) = self.declared_groups(app, m, rule) else { return };
        match self.accounts.user(name).cloned() {
            None => self.make_user(app, m, rule, groups),
            Some(u) => self.change_user(app, m, rule, &groups, &u),
        }
    }

    /// The declared supplementary groups, all of which must be there by now.
    fn declared_groups(&mut self, app: usize, m: &Manifest, rule: &UserRule) -> Option<BTreeSet<String>> {
        let mut all = true;
        for g in rule.groups.iter().chain(&rule.group) {
            let own =
                rule.group.as_ref().is_none_or(|p| p.value == rule.name.value) && g.value == rule.name.value;
            if !own && self.names.gid(&g.value).is_none() && !self.known_group(&g.value) {
                let f = finding(
                    m,
                    &codes::MISSING_GROUP,
                    Class::Missing,
                    &format!("group {}", g.value),
                    Some(&g.origin),
                )
                .is("not there", "there")
                .remedy("declare it with [[group]], or install what brings it");
                self.attention(app, "group", &g.value, &g.origin, f, Fix::Blocked);
                all = false;
            }
        }
        all.then(|| rule.groups.iter().map(|g| g.value.clone()).collect())
    }

    fn make_user(&mut self, app: usize, m: &Manifest, rule: &UserRule, groups: BTreeSet<String>) {
        let name = &rule.name.value;
        let f = finding(m, &codes::MISSING_USER, Class::Missing, &format!("user {name}"), Some(&rule.origin))
            .is("not there", "there")
            .remedy("perms apply makes it");
        let uid = match &rule.uid {
            Some(u) => Some(u.value),
            None => self.accounts.next_uid(rule.system, &self.new_uids),
        };
        let Some(uid) = uid else {
            let f = f.remedy("no id is free in the range of login.defs");
            return self.attention(app, "user", name, &rule.origin, f, Fix::Blocked);
        };
        let there = self.accounts.users().iter().find(|u| u.uid == uid).map(|u| u.name.clone());
        let new = self.new_uids.contains(&uid).then(|| "another new account".to_owned());
        if let Some(other) = there.or(new) {
            let f = f.remedy(format!("uid {uid} belongs to {other}: declare another"));
            return self.attention(app, "user", name, &rule.origin, f, Fix::Blocked);
        }
        let primary = rule.group.as_ref().map_or(name, |g| &g.value);
        let gid = match self.names.gid(primary) {
            Some(g) => Some(g),
            None => {
                let gid = self.accounts.next_gid(rule.system, Some(uid), &self.new_gids);
                self.make_group(app, m, primary, gid, &rule.origin)
            }
        };
        let Some(gid) = gid else { return };
        self.new_uids.push(uid);
        let gids = groups.iter().filter_map(|g| self.names.gid(g)).collect();
        self.names.add_user(name, uid, gid, gids);
        let after = UserState {
            uid,
            gid,
            home: rule
                .home
                .as_ref()
                .map_or_else(|| format!("/home/{name}"), |h| h.value.display().to_string()),
            shell: declared_shell(rule).unwrap_or_else(|| DEFAULT_SHELL.to_owned()),
            groups,
            locked: !matches!(rule.login.as_ref().map(|l| l.value), Some(Login::Password)),
            system: rule.system,
        };
        let mut details =
            vec![format!("uid {uid}, home {}, shell {}, password locked", after.home, after.shell)];
        if !after.groups.is_empty() {
            details.push(format!("groups {}", join(&after.groups)));
        }
        self.items.push(Item {
            app,
            sign: Sign::Add,
            area: "user",
            subject: name.clone(),
            origin: Some(rule.origin.clone()),
            details,
            findings: vec![f],
            fix: Fix::Changes(vec![Change::User { name: name.clone(), before: None, after }]),
        });
    }

    fn change_user(
        &mut self,
        app: usize,
        m: &Manifest,
        rule: &UserRule,
        groups: &BTreeSet<String>,
        is: &crate::host::User,
    ) {
        let name = &rule.name.value;
        let place = format!("user {name}");
        let password = self.accounts.password(name);
        let before = UserState {
            uid: is.uid,
            gid: is.gid,
            home: is.home.clone(),
            shell: is.shell.clone(),
            groups: self.accounts.supplementary(name),
            locked: password == Password::Locked,
            system: rule.system,
        };
        let mut after = before.clone();
        let mut findings = Vec::new();
        let mut details = Vec::new();
        let mut by_hand = Vec::new();
        let mut wrong = |origin: &Origin, what: &str, is: &str, should: &str| {
            findings.push(
                finding(m, &codes::WRONG_USER, Class::Wrong, &place, Some(origin))
                    .is(format!("{what} {is}"), format!("{what} {should}"))
                    .remedy("perms apply"),
            );
            details.push(format!("{what} {is} → {should}"));
        };
        if let Some(h) = rule.home.as_ref().filter(|h| h.value.as_os_str() != before.home.as_str()) {
            after.home = h.value.display().to_string();
            wrong(&h.origin, "home", &before.home, &after.home);
        }
        let shell_origin = rule.shell.as_ref().map(|s| &s.origin).or(rule.login.as_ref().map(|l| &l.origin));
        if let Some(shell) =
            declared_shell(rule).filter(|s| *s != before.shell && !same_nologin(s, &before.shell))
        {
            after.shell = shell;
            wrong(shell_origin.unwrap_or(&rule.origin), "shell", &before.shell, &after.shell);
        }
        if let Some(g) = &rule.group
            && let Some(gid) = self.names.gid(&g.value).filter(|gid| *gid != before.gid)
        {
            after.gid = gid;
            wrong(&g.origin, "primary group", &self.names.show_group(before.gid), &g.value);
        } else if rule.group.is_none() && self.names.gid(name).is_some_and(|gid| gid != before.gid) {
            // Unless told, the primary group is the user's own: another is a right that nobody declared.
            after.gid = self.names.gid(name).unwrap_or(before.gid);
            let is = self.names.show_group(before.gid);
            findings.push(
                finding(m, &codes::UNDECLARED_GROUP, Class::Excess, &place, Some(&rule.groups_origin))
                    .is(format!("primary group {is}"), format!("primary group {name}"))
                    .remedy(format!("perms apply; or declare it: group = \"{is}\"")),
            );
            details.push(format!("primary group {is} → {name}"));
        } else if rule.group.is_none() && self.names.gid(name).is_none() && before.gid < 1000 {
            let is = self.names.show_group(before.gid);
            by_hand.push(
                finding(m, &codes::UNDECLARED_GROUP, Class::Excess, &place, Some(&rule.groups_origin))
                    .is(format!("primary group {is}"), format!("a primary group of its own, {name}"))
                    .remedy(format!(
                        "declare it: group = \"{is}\"; or [[group]] name = \"{name}\", and perms apply"
                    )),
            );
        }
        if let Some(u) = rule.uid.as_ref().filter(|u| u.value != is.uid) {
            by_hand.push(
                finding(m, &codes::WRONG_USER, Class::Wrong, &place, Some(&u.origin))
                    .is(format!("uid {}", is.uid), format!("uid {}", u.value))
                    .remedy("perms never changes a uid, because files belong to the old one: usermod -u, and chown"),
            );
        }
        let login = rule.login.as_ref().filter(|l| l.value != Login::Password);
        match password {
            Password::Set | Password::Empty if login.is_some() => {
                after.locked = true;
                let origin = login.map(|l| &l.origin);
                findings.push(
                    finding(m, &codes::UNLOCKED, Class::Excess, &place, origin)
                        .is(
                            if password == Password::Set {
                                "a password opens it"
                            } else {
                                "it has an empty password"
                            },
                            "locked",
                        )
                        .remedy("perms apply locks it"),
                );
                details.push("password locked".to_owned());
            }
            Password::Unknown if login.is_some() => by_hand.push(
                finding(m, &codes::UNCHECKED_PASSWORD, Class::Unchecked, &place, login.map(|l| &l.origin))
                    .is("not known: /etc/shadow cannot be read", "locked")
                    .remedy("run as root"),
            ),
            _ => {}
        }
        for g in before.groups.difference(groups) {
            findings.push(
                finding(m, &codes::UNDECLARED_GROUP, Class::Excess, &place, Some(&rule.groups_origin))
                    .is(format!("in group {g}"), "not in it")
                    .remedy(format!("perms apply takes it out; or declare it: groups = [\"{g}\", …]")),
            );
            details.push(format!("- group {g}"));
        }
        for g in groups.difference(&before.groups) {
            let origin = rule.groups.iter().find(|d| d.value == *g).map(|d| &d.origin);
            findings.push(
                finding(m, &codes::MISSING_MEMBERSHIP, Class::Missing, &place, origin)
                    .is(format!("not in group {g}"), "in it")
                    .remedy("perms apply"),
            );
            details.push(format!("+ group {g}"));
        }
        after.groups.clone_from(groups);
        let gids = after.groups.iter().filter_map(|g| self.names.gid(g)).collect();
        self.names.add_user(name, after.uid, after.gid, gids);
        if !findings.is_empty() {
            self.items.push(Item {
                app,
                sign: Sign::Change,
                area: "user",
                subject: name.clone(),
                origin: findings.first().and_then(|f| f.origin.clone()),
                details,
                findings,
                fix: Fix::Changes(vec![Change::User { name: name.clone(), before: Some(before), after }]),
            });
        }
        for f in by_hand {
            let origin = f.origin.clone().unwrap_or_else(|| rule.origin.clone());
            self.attention(app, "user", name, &origin, f, Fix::ByHand);
        }
    }
}

fn declared_shell(rule: &UserRule) -> Option<String> {
    match (&rule.shell, rule.login.as_ref().map(|l| l.value)) {
        (Some(s), _) => Some(s.value.display().to_string()),
        (None, Some(Login::None)) => Some(NOLOGIN.to_owned()),
        _ => None,
    }
}

/// nologin lies in /sbin or /usr/sbin, and `false` serves as well.
fn same_nologin(declared: &str, is: &str) -> bool {
    declared == NOLOGIN
        && matches!(is, "/sbin/nologin" | "/usr/sbin/nologin" | "/bin/false" | "/usr/bin/false")
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A finding of an application, to be filled in.
pub(super) fn finding(
    m: &Manifest,
    code: Code,
    class: Class,
    place: &str,
    origin: Option<&Origin>,
) -> Finding {
    Finding { origin: origin.cloned(), ..Finding::new(code, class, &m.app.name.value, place) }
}
