//! What a policy gives somebody: every rule that applies, with its place, and what it says in full.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use smallvec::SmallVec;

use super::ast::{
    AliasKind, Bytes, Command, CommandPath, CommandSpec, Host, Member, Members, Settings, Span, User,
    UserSpec,
};
use super::matching::{ALIAS_DEPTH, Matcher, ThisHost};
use super::tree::Tree;
use super::verdict::{Doubt, Verdict};
use crate::grants::identity::Identity;
use crate::grants::programs::{Arguments, Program, Table, Way};

/// Where in a [`Tree`] a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleRef {
    /// Number of the file in [`Tree::files`].
    pub file: usize,
    /// Number of the entry in [`super::tree::File::items`].
    pub item: usize,
    /// Number of the `hosts = commands` in the entry.
    pub privilege: usize,
    /// Number of the command in that.
    pub command: usize,
}

/// One command of one user specification that applies to somebody on a host: one right, or (negated) one exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where it is in the tree.
    pub rule: RuleRef,
    /// The file's path.
    pub path: PathBuf,
    /// The line on which the user specification begins, from 1.
    pub line: usize,
    /// The bytes of the whole user specification, newline included.
    pub span: Span,
    /// The user specification as written, without the newline.
    pub text: Arc<str>,
    /// The bytes of this command, from what stands before it to its last argument.
    pub command_span: Span,
    /// This command as written, with its own runas list, options and tags.
    pub command_text: String,
    /// How the user list matches.
    pub matched: MatchedUser,
    /// How the host list matches.
    pub host: MatchedHost,
    /// Runas, tags and options that hold, handed on along the list as sudo does.
    pub settings: Settings,
    /// Whether it takes away instead of giving.
    pub negated: bool,
    /// What may be run: one, or what the alias holds.
    pub commands: Vec<GrantCommand>,
}

/// One command that a grant stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantCommand {
    /// Whether an odd number of `!` lies between the grant and it (the grant's own not counted).
    pub negated: bool,
    /// `None`: `ALL`.
    pub command: Option<CommandPath>,
    /// The aliases that lead to it, outermost first.
    pub via: Vec<String>,
}

impl GrantCommand {
    /// [`way`] of the command.
    pub fn way<'t>(&self, programs: &'t Table) -> Option<(&'t Program, &'t Way)> {
        way(self.command.as_ref()?, programs)
    }

    /// The command and its arguments as in sudoers.
    pub fn show(&self) -> String {
        match &self.command {
            None => "ALL".to_owned(),
            Some(c) => {
                let mut text = String::from_utf8_lossy(&c.path).into_owned();
                if let Some(args) = &c.args {
                    text.push(' ');
                    text.push_str(&String::from_utf8_lossy(args));
                }
                text
            }
        }
    }
}

/// The strongest way in which a command gives more than it seems to. Arguments with a wildcard, or of a regular
/// expression, are taken for any.
pub fn way<'t>(command: &CommandPath, programs: &'t Table) -> Option<(&'t Program, &'t Way)> {
    let path = std::str::from_utf8(&command.path).ok()?;
    let program = programs.find(path)?;
    let with = |arguments: Arguments<'_>| program.strongest(arguments).map(|way| (program, way));
    let Some(args) = &command.args else { return with(Arguments::Any) };
    let text = args.lossy();
    if text == "\"\"" {
        return with(Arguments::Exact(&[]));
    }
    if text.starts_with('^') && text.ends_with('$') {
        return with(Arguments::Any);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return with(Arguments::Any),
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    let words: SmallVec<[&str; 8]> = plain.split(' ').collect();
    with(Arguments::Exact(&words))
}

/// How a user list matched somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedUser {
    /// Number of the deciding member in the list.
    pub member: usize,
    /// Whether the member names this account alone, by name or uid (not a group, an alias, `ALL`).
    pub personal: bool,
    /// The words that lead to it: aliases, outermost first, then the member itself as in sudoers.
    pub by: Vec<String>,
    /// Why it is not certain; `None` where it is.
    pub doubt: Option<Doubt>,
}

/// How a host list matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedHost {
    /// The deciding member as in sudoers, aliases before it.
    pub by: Vec<String>,
    /// Whether it is `ALL` hosts.
    pub all: bool,
    /// Why it is not certain; `None` where it is.
    pub doubt: Option<Doubt>,
}

/// Every rule that applies to `who` on `host`, in the order of reading; also those of which it is not certain, with
/// the doubt told. Rules that only take away are there too, negated.
pub fn rules_for(tree: &Tree, who: &Identity, host: &ThisHost) -> Vec<Grant> {
    let mut grants = Vec::new();
    if tree.fatal {
        return grants;
    }
    let rules = super::defaults::rules(tree, who, host);
    let matcher = Matcher::new(tree, host, rules);
    for ((file, item, spec), &(_, number)) in tree.specs().zip(&tree.specs) {
        let verdict = matcher.users(&spec.users, who);
        if !verdict.allow {
            continue;
        }
        let Some(matched) = explain_user(&matcher, spec, who) else { continue };
        let matched = MatchedUser { doubt: verdict.doubt, ..matched };
        let Some(entry) = Entry::new(tree, file, item.span) else { continue };
        for (p, privilege) in spec.privileges.iter().enumerate() {
            let hosts = matcher.hosts(&privilege.hosts);
            if !hosts.allow {
                continue;
            }
            let host = explain_host(&matcher, &privilege.hosts);
            for (c, command) in privilege.commands.iter().enumerate() {
                let rule = RuleRef { file, item: number, privilege: p, command: c };
                let host = MatchedHost { doubt: hosts.doubt, ..host.clone() };
                grants.extend(grant(tree, rule, &entry, command, matched.clone(), host));
            }
        }
    }
    grants
}

fn grant(
    tree: &Tree,
    rule: RuleRef,
    entry: &Entry,
    command: &CommandSpec,
    matched: MatchedUser,
    host: MatchedHost,
) -> Option<Grant> {
    let file = tree.files.get(rule.file)?;
    Some(Grant {
        rule,
        path: file.path.clone(),
        line: entry.line,
        span: entry.span,
        text: Arc::clone(&entry.text),
        command_span: command.span,
        command_text: file.show(command.span),
        matched,
        host,
        settings: command.settings.clone(),
        negated: command.command.negated,
        commands: expand(tree, &command.command),
    })
}

/// A user specification, for all grants that come of it.
struct Entry {
    span: Span,
    line: usize,
    text: Arc<str>,
}

impl Entry {
    fn new(tree: &Tree, file: usize, span: Span) -> Option<Entry> {
        let file = tree.files.get(file)?;
        let text = file.show(span);
        let lead = text.len() - text.trim_start().len();
        Some(Entry { span, line: file.position(span.start + lead).0, text: Arc::from(text.trim()) })
    }
}

/// The commands behind a member, aliases resolved, as [`each_command`] finds them.
pub fn expand(tree: &Tree, member: &Member<Command>) -> Vec<GrantCommand> {
    let mut out = Vec::new();
    each_command(tree, member, |negated, command, via| {
        let command = match command {
            Command::All(digests) if digests.is_empty() => None,
            Command::All(digests) => {
                Some(CommandPath { path: b"ALL".into(), args: None, digests: digests.clone() })
            }
            Command::Path(c) => Some(c.clone()),
            Command::Alias(_) => return,
        };
        let via = via.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        out.push(GrantCommand { negated, command, via });
    });
    out
}

/// Calls `each` for every command behind a member (no alias is among them): whether an odd number of `!` lies between, the
/// command, and the aliases that lead to it, outermost first. Each alias is resolved once for either sign, so that aliases
/// of aliases cannot blow up; that loses nothing but repetitions.
pub fn each_command<'t>(
    tree: &'t Tree,
    member: &'t Member<Command>,
    mut each: impl FnMut(bool, &'t Command, &[&'t Bytes]),
) {
    if !matches!(member.value, Command::Alias(_)) {
        each(false, &member.value, &[]);
        return;
    }
    let mut seen = HashSet::with_hasher(foldhash::fast::RandomState::default());
    let mut via: Vec<&Bytes> = Vec::new();
    // A stack of what is still to be resolved, the next one last, with the number of aliases above it.
    let mut work = vec![(&member.value, false, 0)];
    while let Some((command, negated, depth)) = work.pop() {
        via.truncate(depth);
        let Command::Alias(name) = command else {
            each(negated, command, &via);
            continue;
        };
        if depth >= ALIAS_DEPTH || !seen.insert((name, negated)) {
            continue;
        }
        if let Some(Members::Commands(list)) =
            tree.alias(AliasKind::Command, name).map(|placed| &placed.alias.members)
        {
            via.push(name);
            work.extend(list.iter().rev().map(|m| (&m.value, negated ^ m.negated, depth + 1)));
        }
    }
}

/// The member that decides for `who`, and the words that lead to it.
fn explain_user(matcher: &Matcher, spec: &UserSpec, who: &Identity) -> Option<MatchedUser> {
    let (member, m) = spec.users.iter().enumerate().rev().find(|(_, m)| matcher.user(m, who).allow)?;
    let personal = matches!(m.value, User::Word(_)) && !m.negated;
    let mut by = Vec::new();
    let mut at = m;
    let mut seen: HashSet<&Bytes> = HashSet::new();
    loop {
        by.push(user_word(at));
        let User::Alias(name) = &at.value else { break };
        let list = matcher.tree.alias(AliasKind::User, name).map(|p| &p.alias.members);
        let Some(Members::Users(list)) = list else { break };
        if !seen.insert(name) {
            break;
        }
        match list.iter().rev().find(|m| matcher.user(m, who) != Verdict::NONE) {
            Some(inner) => at = inner,
            None => break,
        }
    }
    Some(MatchedUser { member, personal, by, doubt: None })
}

fn explain_host(matcher: &Matcher, hosts: &[Member<Host>]) -> MatchedHost {
    let mut by = Vec::new();
    let mut all = false;
    let mut list = hosts;
    let mut seen: HashSet<&Bytes> = HashSet::new();
    while let Some(m) = list.iter().rev().find(|m| matcher.host_member(m) != Verdict::NONE) {
        by.push(host_word(m));
        match &m.value {
            Host::All => {
                all = !m.negated;
                break;
            }
            Host::Alias(name) if seen.insert(name) => {
                match matcher.tree.alias(AliasKind::Host, name).map(|p| &p.alias.members) {
                    Some(Members::Hosts(inner)) => list = inner,
                    _ => break,
                }
            }
            _ => break,
        }
    }
    MatchedHost { by, all, doubt: None }
}

/// A member of a user list as in sudoers, escapes left out.
pub fn user_word(m: &Member<User>) -> String {
    let word = match &m.value {
        User::All => "ALL".into(),
        User::Myself => "".into(),
        User::Word(w) | User::Group(w) | User::Netgroup(w) | User::Alias(w) => String::from_utf8_lossy(w),
    };
    format!("{}{word}", if m.negated { "!" } else { "" })
}

/// A member of a host list as in sudoers, escapes left out.
pub fn host_word(m: &Member<Host>) -> String {
    let word = match &m.value {
        Host::All => "ALL".into(),
        Host::Word(w) | Host::Address(w) | Host::Netgroup(w) | Host::Alias(w) => String::from_utf8_lossy(w),
    };
    format!("{}{word}", if m.negated { "!" } else { "" })
}

/// A runas specification as in sudoers, `(users : groups)`; the default user where there is none.
pub fn show_runas(settings: &Settings, default: &str) -> String {
    let Some(runas) = &settings.runas else { return format!("({default})") };
    let list = |l: &[Member<User>]| l.iter().map(user_word).collect::<Vec<_>>().join(", ");
    if runas.groups.is_empty() {
        format!("({})", list(&runas.users))
    } else {
        format!("({} : {})", list(&runas.users), list(&runas.groups))
    }
}

impl Grant {
    /// The user specification that it is part of.
    pub fn entry<'t>(&self, tree: &'t Tree) -> Option<&'t UserSpec> {
        match &tree.files.get(self.rule.file)?.items.get(self.rule.item)?.kind {
            super::ast::ItemKind::UserSpec(spec) => Some(spec),
            _ => None,
        }
    }
}

impl Default for ThisHost {
    fn default() -> Self {
        ThisHost::named("localhost")
    }
}
