//! May they? The decision as sudo makes it: the last command that matches, of the last entry that matches.

use super::ast::{ItemKind, Scope, Settings, User, UserSpec};
use super::command::{Asked, Behaviour, Programs};
use super::grants::RuleRef;
use super::matching::{Matcher, Rules, ThisHost, same};
use super::runas::Runas;
use super::tree::Tree;
use super::verdict::{Doubt, Verdict};
use crate::grants::identity::Identity;

/// As whom a command is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Nobody named: the `runas_default` user, which is root unless a Defaults says otherwise. The identity is what
    /// that account is; its name must be the one that [`default_target`] gives.
    Default(Identity),
    /// `-u USER`, perhaps with `-g GROUP`.
    User(Identity, Option<(String, Option<u32>)>),
    /// `-g GROUP` alone: as oneself, with another group.
    Group(String, Option<u32>),
}

/// A question to a policy.
pub struct Question<'a> {
    /// Who asks.
    pub who: &'a Identity,
    /// Where.
    pub host: &'a ThisHost,
    /// As whom.
    pub target: &'a Target,
    /// The command's path as sudo found it (absolute), or `sudoedit` or `list`.
    pub command: &'a [u8],
    /// Its arguments.
    pub args: &'a [&'a [u8]],
    /// The file system.
    pub programs: &'a dyn Programs,
    /// The version of sudo.
    pub behaviour: Behaviour,
    /// Now, in seconds since 1970; `None` if that is not known.
    pub now: Option<i64>,
}

/// What sudo decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Yes, no, or not certain.
    pub outcome: Outcome,
    /// The command that decides: the last that matches for certain; `None` if none does.
    pub rule: Option<RuleRef>,
    /// What holds for the command by that rule.
    pub settings: Option<Settings>,
    /// Whether a password is asked for, if it is allowed.
    pub password: Password,
}

impl Decision {
    /// Certainly allowed.
    pub fn allowed(&self) -> bool {
        self.outcome == Outcome::Allowed
    }
}

/// The outcome of a [`Decision`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It may be run.
    Allowed,
    /// It may not.
    Denied,
    /// That depends on what is not known here: rules that may decide otherwise, last first, with the reason.
    Uncertain(Vec<(RuleRef, Doubt)>),
}

/// Whether a password is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Password {
    /// It is.
    Asked,
    /// Not: by `NOPASSWD`.
    Tag,
    /// Not: by `Defaults !authenticate`.
    Defaults,
    /// Not: who asks is in the `exempt_group`.
    ExemptGroup,
    /// Not: root asks, or the target is the caller.
    Same,
}

/// The name of the account that commands are run as where no `-u` is given.
pub fn default_target(tree: &Tree, who: &Identity, host: &ThisHost) -> String {
    String::from_utf8_lossy(&super::defaults::rules(tree, who, host).runas_default).into_owned()
}

/// Decides one question.
pub fn decide(tree: &Tree, q: &Question) -> Decision {
    Session::new(tree, q.who, q.host).decide(q)
}

/// Somebody on a host before a policy: what does not depend on the command is worked out once, for many questions.
#[derive(Debug)]
pub struct Session<'t> {
    tree: &'t Tree,
    rules: Rules,
    /// The entries that can apply, by their place in the order of reading.
    specs: Vec<usize>,
}

impl<'t> Session<'t> {
    /// Prepares the questions of this account on this host; those of others must not be asked.
    pub fn new(tree: &'t Tree, who: &Identity, host: &ThisHost) -> Session<'t> {
        let rules = super::defaults::rules(tree, who, host);
        // A Defaults that is bound to the target or the command may change how names are compared.
        let renames = tree.defaults().any(|(_, _, line)| {
            let bound = matches!(line.scope, Scope::Runas(_) | Scope::Commands(_));
            bound && line.settings.iter().any(|s| MATCHING.iter().any(|name| s.name == *name))
        });
        let m = Matcher::new(tree, host, rules.clone());
        let can_apply = |spec: &UserSpec| {
            renames
                || m.users(&spec.users, who).allow && spec.privileges.iter().any(|p| m.hosts(&p.hosts).allow)
        };
        let specs =
            tree.specs().enumerate().filter(|(_, (_, _, spec))| can_apply(spec)).map(|(n, _)| n).collect();
        Session { tree, rules, specs }
    }

    /// The entries that can apply, in the order of reading.
    fn specs(&self) -> impl DoubleEndedIterator<Item = (usize, usize, &'t UserSpec)> {
        self.specs.iter().filter_map(|n| {
            let &(file, item) = self.tree.specs.get(*n)?;
            match &self.tree.files.get(file)?.items.get(item)?.kind {
                ItemKind::UserSpec(spec) => Some((file, item, &**spec)),
                _ => None,
            }
        })
    }

    /// Decides a question.
    pub fn decide(&self, q: &Question) -> Decision {
        decide_among(self, q)
    }
}

/// The Defaults that change how names of users, groups and netgroups are compared.
const MATCHING: [&[u8]; 4] =
    [b"case_insensitive_user", b"case_insensitive_group", b"use_netgroups", b"group_plugin"];

fn decide_among(session: &Session<'_>, q: &Question) -> Decision {
    let tree = session.tree;
    let denied = Decision { outcome: Outcome::Denied, rule: None, settings: None, password: Password::Asked };
    if tree.fatal {
        return denied;
    }
    let asked = Asked::new(q.command, q.args, q.programs, q.behaviour);
    let mut m = Matcher::new(tree, q.host, session.rules.clone());
    let target = Runas::new(q);
    bound_defaults(&mut m, &target, &asked);
    let mut doubts: Vec<(RuleRef, Doubt, Verdict)> = Vec::new();
    let decided = 'found: {
        for (file, item, spec) in session.specs().rev() {
            let users = m.users(&spec.users, q.who);
            if !users.allow {
                continue;
            }
            for (p, privilege) in spec.privileges.iter().enumerate().rev() {
                let hosts = m.hosts(&privilege.hosts);
                if !hosts.allow {
                    continue;
                }
                for (c, command) in privilege.commands.iter().enumerate().rev() {
                    let s = &command.settings;
                    let time = in_time(s, q.now);
                    let runas = target.matches(&m, s);
                    if !time.allow || !runas.allow {
                        continue;
                    }
                    let mut v = m.command(&command.command, &asked);
                    if s.options.chroot.is_some() || m.rules.chroot {
                        v = Verdict { none: true, doubt: Some(Doubt::Chroot), ..v };
                        if !v.allow && !v.deny {
                            v = Verdict::maybe(Doubt::Chroot).negate(command.command.negated);
                        }
                    }
                    let gates = [users, hosts, time, runas];
                    let unsure = gates.iter().find_map(|g| g.doubt);
                    v.none |= gates.iter().any(|g| g.is_uncertain());
                    v.doubt = v.doubt.or(unsure);
                    if !v.allow && !v.deny {
                        continue;
                    }
                    let rule = RuleRef { file, item, privilege: p, command: c };
                    if v.is_uncertain() {
                        doubts.push((rule, v.doubt.unwrap_or(Doubt::Depth), v));
                        if !v.none {
                            break 'found None;
                        }
                        continue;
                    }
                    break 'found Some((rule, s.clone(), v.is_allow()));
                }
            }
        }
        None
    };
    let certain = decided.as_ref().is_some_and(|d| d.2);
    // A rule that may match changes nothing where it would decide as the next one does.
    let differ: Vec<(RuleRef, Doubt)> = doubts
        .into_iter()
        .filter(|(_, _, v)| if certain { v.deny } else { v.allow })
        .map(|(r, d, _)| (r, d))
        .collect();
    let outcome = match (differ.is_empty(), certain) {
        (false, _) => Outcome::Uncertain(differ),
        (true, true) => Outcome::Allowed,
        (true, false) => Outcome::Denied,
    };
    match decided {
        None => Decision { outcome, ..denied },
        Some((rule, settings, _)) => {
            let password = password(&m, q, &target, &settings);
            Decision { outcome, rule: Some(rule), settings: Some(settings), password }
        }
    }
}

/// Applies the Defaults of the target user, then those of the command.
fn bound_defaults(m: &mut Matcher, target: &Runas, asked: &Asked) {
    for by_command in [false, true] {
        for (file, item) in &m.tree.defaults {
            let Some(item) = m.tree.files.get(*file).and_then(|f| f.items.get(*item)) else { continue };
            let ItemKind::Defaults(line) = &item.kind else { continue };
            let bound = match &line.scope {
                Scope::Runas(list) if !by_command => target.bound(m, list).is_allow(),
                Scope::Commands(list) if by_command => m.commands(list, asked).is_allow(),
                _ => false,
            };
            if bound {
                super::defaults::apply(line, false, &mut m.rules);
            }
        }
        m.forget();
    }
}

/// Whether the rule holds now.
fn in_time(s: &Settings, now: Option<i64>) -> Verdict {
    let mut v = Verdict::ALLOW;
    for (moment, after) in [(s.options.notbefore, false), (s.options.notafter, true)] {
        let Some(moment) = moment else { continue };
        let Some(now) = now else { return Verdict::maybe(Doubt::Time) };
        // Zones reach from 12 hours behind UTC to 14 hours before it.
        let slack = if moment.local { 14 * 3600 } else { 0 };
        let early = now < moment.seconds;
        if (now - moment.seconds).abs() < slack {
            v = Verdict::maybe(Doubt::Time);
        } else if early != after && now != moment.seconds {
            return Verdict::NONE;
        }
    }
    v
}

fn password(m: &Matcher, q: &Question, target: &Runas, settings: &Settings) -> Password {
    match settings.tags.nopasswd {
        Some(true) => return Password::Tag,
        None if !m.rules.authenticate => return Password::Defaults,
        _ => {}
    }
    let in_target_group = target.group.is_none_or(|(name, _)| q.who.in_group(name));
    // An empty runas list makes the caller the target.
    let by_empty_list =
        settings.runas.as_ref().is_some_and(|r| r.users.iter().all(|u| u.value == User::Myself));
    let oneself = (by_empty_list || (q.who.uid.is_some() && q.who.uid == target.user.uid)) && in_target_group;
    if q.who.uid == Some(0) || oneself {
        return Password::Same;
    }
    match &m.rules.exempt_group {
        Some(g) if q.who.groups.iter().any(|(n, _)| same(g, n.as_bytes(), m.rules.fold_groups)) => {
            Password::ExemptGroup
        }
        _ => Password::Asked,
    }
}
