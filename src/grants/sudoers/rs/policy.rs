//! Entries of the tree, read again by the rules of sudo-rs.

use std::sync::Arc;

use super::aliases::Aliases;
use super::words::{self, Command, Name, Refused};
use crate::grants::sudoers::ast::{
    self, AliasKind, Bytes, Host, Item, ItemKind, Member, Members, OptionValues, Privilege, Settings, Span,
    User, UserSpec,
};
use crate::grants::sudoers::command::Programs;
use crate::grants::sudoers::grants::RuleRef;
use crate::grants::sudoers::tree::{File, ProblemKind, Tree};

/// At most so many members a list has.
const LONGEST_LIST: usize = 127;
/// Names that no alias may have.
const RESERVED: [&str; 8] = ["ALL", "CHROOT", "CWD", "NOTAFTER", "NOTBEFORE", "ROLE", "TIMEOUT", "TYPE"];

/// The Defaults that sudo-rs 0.2.15 knows; a few of them it passes over without a word.
const DEFAULTS: [&str; 34] = [
    "always_query_group_plugin",
    "always_set_home",
    "apparmor_profile",
    "editor",
    "env_check",
    "env_delete",
    "env_editor",
    "env_keep",
    "env_reset",
    "fqdn",
    "ignore_dot",
    "insults",
    "lecture",
    "log_allowed",
    "log_denied",
    "mail_badpass",
    "mailerpath",
    "match_group_by_gid",
    "noexec",
    "noninteractive_auth",
    "passwd_timeout",
    "passwd_tries",
    "pwfeedback",
    "rootpw",
    "runcwd",
    "secure_path",
    "setenv",
    "targetpw",
    "timestamp_timeout",
    "umask",
    "umask_override",
    "use_pty",
    "verifypw",
    "visiblepw",
];

/// An entry that sudo-rs leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsProblem {
    /// Number of the file in [`Tree::files`].
    pub file: usize,
    /// The entry.
    pub span: Span,
    /// Why: one line, lower case, no period. It may quote untrusted text.
    pub message: String,
    /// Whether the entry is left out; else only a tag of it has no effect.
    pub dropped: bool,
}

/// A word of a list.
#[derive(Debug, Clone)]
pub(super) enum Meta<T> {
    All,
    Alias(Bytes),
    Only(T),
}

/// A member of a list.
#[derive(Debug, Clone)]
pub(super) struct Qualified<T> {
    pub(super) negated: bool,
    pub(super) meta: Meta<T>,
}

/// A user, or users.
#[derive(Debug, Clone)]
pub(super) enum Users {
    User(Name),
    Group(Name),
    /// Of a group plugin: nobody.
    Nobody,
}

/// `(users : groups)`.
#[derive(Debug, Clone)]
pub(super) struct Runas {
    pub(super) users: Vec<Qualified<Users>>,
    pub(super) groups: Vec<Qualified<Name>>,
}

/// One command of a rule.
#[derive(Debug, Clone)]
pub(super) struct CommandSpec {
    pub(super) rule: RuleRef,
    pub(super) runas: Option<Runas>,
    pub(super) settings: Settings,
    pub(super) command: Qualified<Command>,
}

/// `users hosts = commands`.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) users: Vec<Qualified<Users>>,
    pub(super) hosts: Vec<Qualified<String>>,
    pub(super) commands: Vec<CommandSpec>,
}

/// A policy as sudo-rs has it.
#[derive(Debug, Default)]
pub struct RsPolicy {
    pub(super) rules: Vec<Rule>,
    pub(super) users: Aliases<Users>,
    pub(super) runas: Aliases<Users>,
    pub(super) hosts: Aliases<String>,
    pub(super) commands: Aliases<Command>,
    problems: Vec<RsProblem>,
}

impl RsPolicy {
    /// What sudo-rs makes of a policy; commands are looked up in `programs`.
    pub fn new(tree: &Tree, programs: &dyn Programs) -> RsPolicy {
        let mut policy = RsPolicy::default();
        for &(number, item) in &tree.specs {
            let Some((file, entry)) = tree.files.get(number).and_then(|f| Some((f, f.items.get(item)?)))
            else {
                continue;
            };
            let ItemKind::UserSpec(spec) = &entry.kind else { continue };
            // The original keeps what stands before a mistake; sudo-rs keeps nothing of the entry.
            let inside = |at: usize| entry.span.range().contains(&at);
            let broken = tree
                .problems
                .iter()
                .find(|p| p.file == Some(number) && p.kind == ProblemKind::Syntax && inside(p.span.start));
            if let Some(broken) = broken {
                policy.problem(number, entry, broken.message.clone());
                continue;
            }
            match rules(file, (number, item), spec, programs) {
                Ok(rules) => policy.rules.extend(rules),
                Err(message) => policy.problem(number, entry, message),
            }
        }
        for (number, file) in tree.files.iter().enumerate() {
            for entry in &file.items {
                match &entry.kind {
                    ItemKind::Aliases(list) => {
                        if let Err(message) = policy.aliases(file, list, programs) {
                            policy.problem(number, entry, message);
                        }
                    }
                    ItemKind::UserSpec(spec) => policy.ignored_tags(number, entry, spec),
                    ItemKind::Defaults(line) => policy.unknown_defaults(number, entry, line),
                    _ => {}
                }
            }
        }
        policy.users.order();
        policy.runas.order();
        policy.hosts.order();
        policy.commands.order();
        policy
    }

    /// The entries that it leaves out, and the tags that have no effect.
    pub fn problems(&self) -> &[RsProblem] {
        &self.problems
    }

    fn problem(&mut self, file: usize, entry: &Item, message: String) {
        self.problems.push(RsProblem { file, span: entry.span, message, dropped: true });
    }

    fn ignored_tags(&mut self, file: usize, entry: &Item, spec: &UserSpec) {
        let mut found = Vec::new();
        for command in spec.privileges.iter().flat_map(|p| &p.commands) {
            let tags = &command.written.tags;
            let ignored = [
                (tags.log_input.is_some(), "LOG_INPUT"),
                (tags.log_output.is_some(), "LOG_OUTPUT"),
                (tags.mail.is_some(), "MAIL"),
                (tags.follow == Some(true), "FOLLOW"),
            ];
            found.extend(ignored.iter().filter(|(there, _)| *there).map(|(_, name)| *name));
        }
        found.dedup();
        if !found.is_empty() {
            let message = format!("{} has no effect", found.join(", "));
            self.problems.push(RsProblem { file, span: entry.span, message, dropped: false });
        }
    }

    /// Settings that sudo-rs does not know, of which it complains at every call.
    fn unknown_defaults(&mut self, file: usize, entry: &Item, line: &ast::Defaults) {
        let known = |name: &[u8]| DEFAULTS.iter().any(|d| d.as_bytes() == name);
        let names: Vec<_> = line
            .settings
            .iter()
            .filter(|s| !known(&s.name))
            .map(|s| format!("`{}`", String::from_utf8_lossy(&s.name)))
            .collect();
        if !names.is_empty() {
            let message =
                format!("Defaults {} is not known to it, which it says at every call", names.join(", "));
            self.problems.push(RsProblem { file, span: entry.span, message, dropped: false });
        }
    }

    /// All definitions of a line, or none.
    fn aliases(
        &mut self,
        file: &File,
        list: &[Arc<ast::Alias>],
        programs: &dyn Programs,
    ) -> Result<(), Refused> {
        let mut staged: (Vec<_>, Vec<_>, Vec<_>, Vec<_>) = Default::default();
        for alias in list {
            if RESERVED.iter().any(|r| alias.name == r.as_bytes()) {
                return Err(format!("`{}` cannot be an alias", String::from_utf8_lossy(&alias.name)));
            }
            let name = alias.name.clone();
            match (&alias.members, alias.kind) {
                (Members::Users(list), AliasKind::Runas) => staged.1.push((name, users(file, list)?)),
                (Members::Users(list), _) => staged.0.push((name, users(file, list)?)),
                (Members::Hosts(list), _) => staged.2.push((name, hosts(file, list)?)),
                (Members::Commands(list), _) => {
                    length(list)?;
                    let list: Result<Vec<_>, _> = list.iter().map(|m| command(file, m, programs)).collect();
                    staged.3.push((name, list?));
                }
            }
        }
        self.users.extend(staged.0);
        self.runas.extend(staged.1);
        self.hosts.extend(staged.2);
        self.commands.extend(staged.3);
        Ok(())
    }
}

fn length<T>(list: &[T]) -> Result<(), Refused> {
    if list.len() > LONGEST_LIST {
        Err(format!("more than {LONGEST_LIST} members in a list"))
    } else {
        Ok(())
    }
}

/// The bytes of a member without what negates it.
fn bare<'f, T>(file: &'f File, m: &Member<T>) -> &'f [u8] {
    let mut raw = file.bytes(m.span);
    while let [b'!' | b' ' | b'\t', rest @ ..] = raw {
        raw = rest;
    }
    raw
}

fn users(file: &File, list: &[Member<User>]) -> Result<Vec<Qualified<Users>>, Refused> {
    length(list)?;
    list.iter()
        .map(|m| {
            let raw = bare(file, m);
            let meta = match &m.value {
                User::All => Meta::All,
                User::Myself => return Err("an empty member".to_owned()),
                User::Alias(name) => Meta::Alias(name.clone()),
                User::Netgroup(_) => return Err("netgroups are not supported".to_owned()),
                User::Group(g) => match g.get(1..).unwrap_or_default() {
                    [b':', rest @ ..] => {
                        words::name(rest, raw)?;
                        Meta::Only(Users::Nobody)
                    }
                    rest => Meta::Only(Users::Group(words::name(rest, raw)?)),
                },
                User::Word(w) => Meta::Only(Users::User(words::name(w, raw)?)),
            };
            Ok(Qualified { negated: m.negated, meta })
        })
        .collect()
}

fn groups(file: &File, list: &[Member<User>]) -> Result<Vec<Qualified<Name>>, Refused> {
    length(list)?;
    list.iter()
        .map(|m| {
            let raw = bare(file, m);
            let meta = match &m.value {
                User::All => Meta::All,
                User::Alias(name) => Meta::Alias(name.clone()),
                User::Word(w) if !raw.contains(&b'"') => Meta::Only(words::name(w, raw)?),
                _ => return Err("a group in the runas list is a name or a number".to_owned()),
            };
            Ok(Qualified { negated: m.negated, meta })
        })
        .collect()
}

fn hosts(file: &File, list: &[Member<Host>]) -> Result<Vec<Qualified<String>>, Refused> {
    length(list)?;
    list.iter()
        .map(|m| {
            let meta = match &m.value {
                Host::All => Meta::All,
                Host::Alias(name) => Meta::Alias(name.clone()),
                Host::Word(w) => Meta::Only(words::host(w, bare(file, m))?),
                Host::Address(_) => return Err("hosts cannot be given by address".to_owned()),
                Host::Netgroup(_) => return Err("netgroups are not supported".to_owned()),
            };
            Ok(Qualified { negated: m.negated, meta })
        })
        .collect()
}

fn command(
    file: &File,
    m: &Member<ast::Command>,
    programs: &dyn Programs,
) -> Result<Qualified<Command>, Refused> {
    let meta = match &m.value {
        ast::Command::All(digests) if digests.is_empty() => Meta::All,
        ast::Command::Alias(name) => Meta::Alias(name.clone()),
        ast::Command::Path(c) if c.digests.is_empty() => Meta::Only(words::command(bare(file, m), programs)?),
        _ => return Err("digests are not supported".to_owned()),
    };
    Ok(Qualified { negated: m.negated, meta })
}

/// One rule for each `hosts = commands`.
fn rules(
    file: &File,
    (number, item): (usize, usize),
    spec: &UserSpec,
    programs: &dyn Programs,
) -> Result<Vec<Rule>, Refused> {
    let users = users(file, &spec.users)?;
    length(&spec.privileges)?;
    let one = |(p, privilege): (usize, &Privilege)| {
        let hosts = hosts(file, &privilege.hosts)?;
        length(&privilege.commands)?;
        let mut runas = None;
        let mut commands = Vec::new();
        for (c, spec) in privilege.commands.iter().enumerate() {
            supported(&spec.written)?;
            if let Some(written) = &spec.written.runas {
                let named = |m: &&Member<User>| m.value != User::Myself;
                let list: Vec<Member<User>> = written.users.iter().filter(named).cloned().collect();
                runas =
                    Some(Runas { users: self::users(file, &list)?, groups: groups(file, &written.groups)? });
            }
            let rule = RuleRef { file: number, item, privilege: p, command: c };
            let command = command(file, &spec.command, programs)?;
            commands.push(CommandSpec {
                rule,
                runas: runas.clone(),
                settings: spec.settings.clone(),
                command,
            });
        }
        Ok(Rule { users: users.clone(), hosts, commands })
    };
    spec.privileges.iter().enumerate().map(one).collect()
}

/// Whether all that stands before a command is known to sudo-rs.
fn supported(written: &Settings) -> Result<(), Refused> {
    let OptionValues { cwd, chroot, role, setype, timeout, notbefore, notafter, .. } = &*written.options;
    let not = [
        (chroot.is_some(), "CHROOT"),
        (role.is_some(), "ROLE"),
        (setype.is_some(), "TYPE"),
        (timeout.is_some(), "TIMEOUT"),
        (notbefore.is_some(), "NOTBEFORE"),
        (notafter.is_some(), "NOTAFTER"),
        (written.tags.intercept == Some(true), "INTERCEPT"),
    ];
    if let Some((_, name)) = not.iter().find(|(there, _)| *there) {
        return Err(format!("{name} is not supported"));
    }
    match cwd.as_deref() {
        Some(b"*") | None => Ok(()),
        Some([b'/' | b'~', rest @ ..]) if !rest.contains(&b'*') => Ok(()),
        Some(_) => Err("CWD is an absolute path, one that begins with `~`, or `*`".to_owned()),
    }
}
