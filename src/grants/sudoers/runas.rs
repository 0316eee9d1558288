//! As whom: runas lists against the target that was asked for.
//!
//! sudo 1.9.14 changed how they are matched (plugins/sudoers/match.c, `runaslist_matches`). Before, a caller who only
//! changes the group needed no place in the user list, a rule without any runas list took any group, and an alias in
//! either list was matched as a whole runas specification of its own. Debian 12 has the older, so both are here.

use super::ast::{Member, Members, Settings, User};
use super::command::Behaviour;
use super::decide::{Question, Target};
use super::matching::{Matcher, Role};
use super::verdict::{Doubt, Verdict, last_match};
use crate::grants::identity::Identity;

/// The target as sudo sets it up.
pub(super) struct Runas<'q> {
    pub(super) who: &'q Identity,
    pub(super) user: &'q Identity,
    pub(super) group: Option<(&'q str, Option<u32>)>,
    user_named: bool,
    behaviour: Behaviour,
}

impl<'q> Runas<'q> {
    pub(super) fn new(q: &Question<'q>) -> Self {
        let (user, group, user_named) = match q.target {
            Target::Default(user) => (user, None, false),
            Target::User(user, group) => (user, group.as_ref().map(|(n, g)| (&**n, *g)), true),
            Target::Group(name, gid) => (q.who, Some((&**name, *gid)), false),
        };
        Runas { who: q.who, user, group, user_named, behaviour: q.behaviour }
    }

    /// A command's runas list.
    pub(super) fn matches(&self, m: &Matcher, s: &Settings) -> Verdict {
        let Some(runas) = &s.runas else { return self.lists(m, None, None) };
        // `(: group)` had no user list at all before 1.9.14.
        let no_users = self.behaviour == Behaviour::Sudo1913
            && !runas.groups.is_empty()
            && runas.users.iter().all(|u| u.value == User::Myself);
        let users = if no_users { None } else { Some(&*runas.users) };
        self.lists(m, users, if runas.groups.is_empty() { None } else { Some(&*runas.groups) })
    }

    /// The list that a Defaults is bound to.
    pub(super) fn bound(&self, m: &Matcher, list: &[Member<User>]) -> Verdict {
        self.lists(m, Some(list), None)
    }

    fn lists(&self, m: &Matcher, users: Option<&[Member<User>]>, groups: Option<&[Member<User>]>) -> Verdict {
        match self.behaviour {
            Behaviour::Sudo1913 => self.older(m, users, groups),
            Behaviour::Sudo1914 => self.newer(m, users, groups),
        }
    }

    fn is_oneself(&self) -> bool {
        self.user.name == self.who.name
    }

    fn older(&self, m: &Matcher, users: Option<&[Member<User>]>, groups: Option<&[Member<User>]>) -> Verdict {
        let mut user = Verdict::NONE;
        if self.user_named || self.group.is_none() {
            if users.is_none() && groups.is_none() {
                return m.word(&m.rules.runas_default, self.user);
            }
            let alias = |members: &Members| match members {
                Members::Users(list) => self.older(m, Some(list), Some(&[])),
                _ => Verdict::NONE,
            };
            let myself = !self.user_named || self.is_oneself();
            user = self.user_list(m, users.unwrap_or(&[]), myself, &alias);
        }
        let Some((name, gid)) = self.group else { return user };
        if user.none && self.is_oneself() {
            // Only the group changes.
            user = Verdict { allow: true, none: false, ..user };
        }
        let alias = |members: &Members| match members {
            Members::Users(list) => self.older(m, Some(&[]), Some(list)),
            _ => Verdict::NONE,
        };
        combine(user, self.group_list(m, groups.unwrap_or(&[]), name, gid, &alias))
    }

    fn newer(&self, m: &Matcher, users: Option<&[Member<User>]>, groups: Option<&[Member<User>]>) -> Verdict {
        let user = match users {
            Some(list) => self.newer_users(m, list),
            None => m.word(&m.rules.runas_default, self.user),
        };
        let Some((name, gid)) = self.group else { return user };
        combine(user, self.newer_groups(m, groups.unwrap_or(&[]), name, gid))
    }

    fn newer_users(&self, m: &Matcher, list: &[Member<User>]) -> Verdict {
        let myself = (!self.user_named && self.group.is_some()) || self.is_oneself();
        self.user_list(m, list, myself, &|members| match members {
            Members::Users(list) => self.newer_users(m, list),
            _ => Verdict::NONE,
        })
    }

    fn newer_groups(&self, m: &Matcher, list: &[Member<User>], name: &str, gid: Option<u32>) -> Verdict {
        self.group_list(m, list, name, gid, &|members| match members {
            Members::Users(list) => self.newer_groups(m, list, name, gid),
            _ => Verdict::NONE,
        })
    }

    fn user_list(
        &self,
        m: &Matcher,
        list: &[Member<User>],
        myself: bool,
        alias: &dyn Fn(&Members) -> Verdict,
    ) -> Verdict {
        last_match(list.iter().rev().map(|member| {
            let v = match &member.value {
                User::Myself => Verdict::of(myself),
                User::Alias(name) => {
                    m.follow(Role::Runas, name, alias).unwrap_or_else(|| m.word(name, self.user))
                }
                other => m.plain(other, self.user),
            };
            v.negate(member.negated)
        }))
    }

    /// The group part: one of the list, or one that the target is in anyway.
    fn group_list(
        &self,
        m: &Matcher,
        list: &[Member<User>],
        name: &str,
        gid: Option<u32>,
        alias: &dyn Fn(&Members) -> Verdict,
    ) -> Verdict {
        let group = Identity::new("", None).with_group(name, gid);
        let listed = last_match(list.iter().rev().map(|member| {
            let v = match &member.value {
                User::All => Verdict::ALLOW,
                User::Word(w) => m.group(w, &group),
                User::Alias(w) => m.follow(Role::RunasGroup, w, alias).unwrap_or_else(|| m.group(w, &group)),
                _ => Verdict::NONE,
            };
            v.negate(member.negated)
        }));
        if !listed.none {
            return listed;
        }
        let own = match gid {
            Some(gid) => match self.user.in_gid(gid) {
                Some(yes) => Verdict::of(yes),
                None => Verdict::maybe(Doubt::GroupId),
            },
            None => Verdict::of(self.user.in_group(name)),
        };
        last_match([listed, own].into_iter())
    }
}

/// User part and group part: a denial of either denies; else both must say the same.
fn combine(user: Verdict, group: Verdict) -> Verdict {
    let outcomes = |v: Verdict| [(v.allow, Verdict::ALLOW), (v.deny, Verdict::DENY), (v.none, Verdict::NONE)];
    let mut sum = Verdict { allow: false, deny: false, none: false, doubt: None };
    for (_, u) in outcomes(user).into_iter().filter(|o| o.0) {
        for (_, g) in outcomes(group).into_iter().filter(|o| o.0) {
            if u.deny || g.deny {
                sum.deny = true;
            } else if u.allow && g.allow {
                sum.allow = true;
            } else {
                sum.none = true;
            }
        }
    }
    if sum.is_uncertain() {
        sum.doubt = user.doubt.or(group.doubt);
    }
    sum
}
