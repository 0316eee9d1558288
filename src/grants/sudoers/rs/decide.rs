//! The decision as sudo-rs makes it: the last command that matches, of all rules for the user and host.

use super::aliases::{contains, matches};
use super::policy::{RsPolicy, Runas, Users};
use super::words::{Args, Command, Name, canonical};
use crate::grants::identity::Identity;
use crate::grants::sudoers::decide::{Decision, Outcome, Password, Question, Target};

/// As whom: the user, and the group with its name where it has one.
struct As<'a> {
    user: &'a Identity,
    group: (Option<&'a str>, Option<u32>),
}

impl RsPolicy {
    /// Decides. `behaviour` and `now` of the question are the original's and not looked at.
    pub fn decide(&self, q: &Question<'_>) -> Decision {
        let denied =
            Decision { outcome: Outcome::Denied, rule: None, settings: None, password: Password::Asked };
        let primary = |who: &'_ Identity| who.primary().map(|(n, g)| (n.clone(), *g));
        let owned;
        let target = match q.target {
            Target::Default(user) | Target::User(user, None) => {
                owned = primary(user);
                As { user, group: owned.as_ref().map_or((None, None), |(n, g)| (Some(n.as_str()), *g)) }
            }
            Target::User(user, Some((name, gid))) => As { user, group: (Some(name), *gid) },
            Target::Group(name, gid) => As { user: q.who, group: (Some(name), *gid) },
        };
        let command = canonical(q.command, q.programs).unwrap_or_else(|| q.command.to_vec());
        let (Ok(command), Ok(args)) = (
            std::str::from_utf8(&command),
            q.args.iter().map(|a| std::str::from_utf8(a)).collect::<Result<Vec<_>, _>>(),
        ) else {
            return denied;
        };
        let is_command = |c: &Command| fits(c, command, &args);
        let commands = self.commands.found(is_command);
        let users = self.users.found(|u| is_user(u, q.who));
        let hosts = self.hosts.found(|h| *h == q.host.full);
        let runas_users = self.runas.found(|u| is_user(u, target.user));
        let runas_groups =
            self.runas.found(|u| matches!(u, Users::User(name) if is_group(name, target.group)));
        let in_own = in_group(target.user, target.group.1);
        let same = same_user(target.user, q.who);
        let by_runas = |runas: &Option<Runas>| match runas {
            None => is_root(target.user) && in_own,
            Some(r) => {
                let user_fits = (same && (!in_own || r.users.is_empty()))
                    || contains(&r.users, |u| is_user(u, target.user), &runas_users);
                let group_fits = in_own || contains(&r.groups, |g| is_group(g, target.group), &runas_groups);
                user_fits && group_fits
            }
        };
        let mut decided = None;
        for rule in &self.rules {
            if !contains(&rule.users, |u| is_user(u, q.who), &users)
                || !contains(&rule.hosts, |h| *h == q.host.full, &hosts)
            {
                continue;
            }
            for spec in rule.commands.iter().filter(|c| by_runas(&c.runas)) {
                if let Some(takes_in) = matches(&spec.command, &is_command, &commands) {
                    decided = Some((spec, takes_in));
                }
            }
        }
        let Some((spec, allowed)) = decided else { return denied };
        let password = if is_root(q.who) || same && in_group(q.who, target.group.1) {
            Password::Same
        } else if spec.settings.tags.nopasswd == Some(true) {
            Password::Tag
        } else {
            Password::Asked
        };
        Decision {
            outcome: if allowed { Outcome::Allowed } else { Outcome::Denied },
            rule: Some(spec.rule),
            settings: Some(spec.settings.clone()),
            password,
        }
    }
}

fn fits(c: &Command, path: &str, args: &[&str]) -> bool {
    c.path.fits(path)
        && match &c.args {
            Args::Exact(list) => list.iter().eq(args.iter()),
            Args::Prefix(list) => list.len() <= args.len() && list.iter().zip(args).all(|(a, b)| a == b),
        }
}

fn is_root(user: &Identity) -> bool {
    user.uid == Some(0)
}

fn same_user(a: &Identity, b: &Identity) -> bool {
    match (a.uid, b.uid) {
        (Some(a), Some(b)) => a == b,
        _ => a.name == b.name,
    }
}

fn in_group(user: &Identity, gid: Option<u32>) -> bool {
    gid.is_some_and(|gid| user.in_gid(gid) == Some(true))
}

fn is_user(u: &Users, who: &Identity) -> bool {
    match u {
        Users::User(Name::Name(name)) => *name == who.name,
        Users::User(Name::Id(uid)) => who.uid == Some(*uid),
        Users::Group(Name::Name(name)) => who.in_group(name),
        Users::Group(Name::Id(gid)) => who.in_gid(*gid) == Some(true),
        Users::Nobody => false,
    }
}

fn is_group(name: &Name, (group, gid): (Option<&str>, Option<u32>)) -> bool {
    match name {
        Name::Name(n) => group == Some(n),
        Name::Id(id) => gid == Some(*id),
    }
}
