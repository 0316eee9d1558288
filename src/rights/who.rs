//! Who may do something to a path: everybody, users, groups, who becomes one of them by sudo or doas, and domains.

use std::path::Path;

use super::answer::{Answer, Step, Verdict};
use super::domain::{Labels, Wanted};
use super::files::{Action, Asker, class, may_on};
use super::programs::HostPrograms;
use super::run::{doas_conf, sudoers};
use super::walk::{End, Seen, Way, walk};
use crate::grants::access::{CapSet, Credentials};
use crate::grants::doas;
use crate::grants::identity::Identity;
use crate::grants::programs::{Arguments, Class, Program, Table, Way as ProgramWay};
use crate::grants::sudoers::{Grant, Outcome, Question, Target, ThisHost, Tree, decide, rules_for};
use crate::host::Host;
use crate::host::sudo::Sudo;

/// An id that no account has, to ask for everybody else.
const NOBODY: u32 = u32::MAX - 1;

/// Somebody who may, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// User, group or domain.
    pub name: String,
    /// The shortest reason: the entry, rule or line.
    pub reason: String,
    /// Of a group: its members, primary ones too.
    pub members: Vec<String>,
}

/// The answer to [`who_can`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// Why all others may too; `None` if they may not.
    pub everybody: Option<String>,
    /// Accounts that may (where everybody may: none).
    pub users: Vec<Entry>,
    /// Where everybody may: accounts that may not.
    pub excepted: Vec<Entry>,
    /// Groups whose entry grants it.
    pub groups: Vec<Entry>,
    /// Accounts that may not themselves, and become by a rule of sudo or doas one that may.
    pub routes: Vec<Entry>,
    /// Domains, where a policy is asked.
    pub domains: Vec<Entry>,
    /// What could not be known.
    pub unknown: Vec<String>,
    /// Why nobody may at all: the object is not there, or a layer that stops everybody.
    pub nobody: Option<String>,
}

/// Asks for every account of the host.
pub fn who_can(
    host: &Host,
    action: Action,
    path: &Path,
    programs: &Table,
    labels: Option<&Labels<'_>>,
) -> Who {
    let way = walk(&host.root, path, action.follows());
    let mut who = Who::default();
    let ask = |uid: u32, gid: u32, name: &str| {
        let credentials = Credentials { uid, gid, groups: Vec::new(), capabilities: CapSet::NONE };
        may_on(host, &Asker { name: name.to_owned(), credentials }, action, &way, None)
    };
    let other = ask(NOBODY, NOBODY, "nobody");
    if other.verdict == Verdict::Yes {
        who.everybody = other.deciding().map(|s| s.by.clone());
    }
    let mut able = Vec::new();
    for user in host.accounts.users() {
        let Some(asker) = Asker::of_user(&host.accounts, &user.name) else { continue };
        let answer = may_on(host, &asker, action, &way, None);
        match (answer.verdict, &who.everybody) {
            (Verdict::Yes, _) => {
                if who.everybody.is_none() {
                    who.users.push(entry(&user.name, &answer));
                }
                able.push(user.name.clone());
            }
            (Verdict::No, Some(_)) => who.excepted.push(entry(&user.name, &answer)),
            (Verdict::No, None) => {}
            (Verdict::Unknown, _) => {
                let why = answer.deciding().map_or_else(String::new, |s| format!("{}: {}", s.at, s.by));
                if !who.unknown.contains(&why) {
                    who.unknown.push(why);
                }
            }
        }
    }
    if who.everybody.is_none() {
        who.groups(host, |gid| ask(NOBODY, gid, "nobody"));
        who.routes(host, action, path, &able, programs);
    }
    if able.is_empty() && who.everybody.is_none() {
        // Root is stopped by few things: what stops it stops everybody.
        let root = Credentials::of_user(0, 0, Vec::new());
        let answer = may_on(host, &Asker { name: "root".to_owned(), credentials: root }, action, &way, None);
        let stops = |s: &&Step| s.verdict == Verdict::No;
        who.nobody = answer.steps.iter().find(stops).map(|s| format!("{}: {}", s.at, s.by));
    }
    if let Some(labels) = labels {
        who.domains(action, &way, labels);
    }
    who
}

fn entry(name: &str, answer: &Answer) -> Entry {
    let reason = answer.deciding().map_or_else(String::new, |s| match answer.verdict {
        Verdict::Yes => s.by.clone(),
        _ => format!("{}: {}", s.at, s.by),
    });
    Entry { name: name.to_owned(), reason, members: Vec::new() }
}

impl Who {
    fn groups(&mut self, host: &Host, ask: impl Fn(u32) -> Answer) {
        for group in host.accounts.groups() {
            let answer = ask(group.gid);
            if answer.verdict != Verdict::Yes {
                continue;
            }
            let primary = host.accounts.users().iter().filter(|u| u.gid == group.gid).map(|u| &u.name);
            let mut members: Vec<String> = group.members.iter().chain(primary).cloned().collect();
            members.sort();
            members.dedup();
            self.groups.push(Entry { members, ..entry(&group.name, &answer) });
        }
    }

    fn routes(&mut self, host: &Host, action: Action, path: &Path, able: &[String], programs: &Table) {
        let here = ThisHost::named(&host.name);
        let tree = sudoers(host, &here.short);
        let sudo = Sudo::find(&host.root);
        let doas = doas_conf(host).and_then(Result::ok).filter(|f| f.mistakes.is_empty());
        let route =
            Route { host, here: &here, tree: &tree, sudo: sudo.as_ref(), action, path, able, programs };
        for user in host.accounts.users().iter().filter(|u| !able.contains(&u.name)) {
            let who = host.accounts.identity(&user.name);
            let found = route.by_sudo(&who).or_else(|| route.by_doas(&who, doas.as_ref()?));
            self.routes.extend(found.map(|reason| Entry {
                name: user.name.clone(),
                reason,
                members: Vec::new(),
            }));
        }
    }

    fn domains(&mut self, action: Action, way: &Way, labels: &Labels<'_>) {
        let Some((object, wanted)) = asked_of(action, &way.end) else { return };
        match labels.domains(&object.path, &object.handle, &object.meta, &wanted) {
            Ok(found) => {
                let one = |(name, reason)| Entry { name, reason, members: Vec::new() };
                self.domains = found.into_iter().map(one).collect();
            }
            Err(why) => self.unknown.push(format!("{}: {why}", object.path.display())),
        }
    }
}

/// The object whose label decides most of an action, and what is asked of it.
fn asked_of(action: Action, end: &End) -> Option<(&Seen, Wanted<'static>)> {
    let in_folder: &[&str] = &["write", "search", "add_name"];
    let (object, folder) = match end {
        End::Found(object, folder) => (object, folder.as_ref()),
        End::Missing(_, folder) if action == Action::Create => {
            return Some((folder, Wanted::new("dir", in_folder)));
        }
        _ => return None,
    };
    let is_folder = object.meta.kind == crate::sys::Kind::Directory;
    let kind = class(object.meta.kind);
    Some(match action {
        Action::Read => (object, Wanted::new(kind, &["read", "open"])),
        Action::Write if is_folder => (object, Wanted::new("dir", in_folder)),
        Action::Write => (object, Wanted::new(kind, &["write", "open"])),
        Action::Execute => (object, Wanted::new(kind, &["execute"])),
        Action::Search => (object, Wanted::new("dir", &["search"])),
        Action::Create => (object, Wanted::new("dir", in_folder)),
        Action::Delete => (folder?, Wanted::new("dir", &["write", "search", "remove_name"])),
        Action::Chmod => (object, Wanted::new(kind, &["setattr"])),
    })
}

/// How somebody who may not gets there.
struct Route<'a> {
    host: &'a Host,
    here: &'a ThisHost,
    tree: &'a Tree,
    sudo: Option<&'a Sudo>,
    action: Action,
    path: &'a Path,
    /// Who may.
    able: &'a [String],
    programs: &'a Table,
}

impl Route<'_> {
    /// Whether a way of a program does it.
    fn serves(&self, way: &ProgramWay) -> bool {
        match way.class {
            Class::Shell | Class::Interactive | Class::Command | Class::Hook => true,
            Class::Write => !matches!(self.action, Action::Execute | Action::Search),
            Class::Read => self.action == Action::Read,
        }
    }

    /// Whether a program with fixed arguments does it: one that reads or writes a file and is given this one.
    fn serves_exact(&self, program: &Program, args: &[&str]) -> bool {
        let path = self.path.to_string_lossy();
        args.contains(&path.as_ref())
            && program.ways.iter().any(|w| match w.class {
                Class::Write => matches!(self.action, Action::Write | Action::Chmod),
                Class::Read => self.action == Action::Read,
                _ => false,
            })
    }

    fn by_sudo(&self, who: &Identity) -> Option<String> {
        let grants = rules_for(self.tree, who, self.here);
        for grant in grants.iter().rev().filter(|g| !g.negated && g.matched.doubt.is_none()) {
            for command in grant.commands.iter().filter(|c| !c.negated) {
                let (path, args): (String, Vec<String>) = match &command.command {
                    None => ("/bin/sh".to_owned(), Vec::new()),
                    Some(c) => {
                        let path = String::from_utf8_lossy(&c.path).into_owned();
                        let text = c.args.as_ref().map(|a| String::from_utf8_lossy(a).into_owned());
                        let args = text.filter(|t| t != "\"\"").unwrap_or_default();
                        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
                        let words: Vec<&str> = args.iter().map(String::as_str).collect();
                        let open = command.way(self.programs).is_some_and(|(_, w)| self.serves(w));
                        let program = self.programs.find(&path);
                        if !open && !program.is_some_and(|p| self.serves_exact(p, &words)) {
                            continue;
                        }
                        (path, args)
                    }
                };
                if let Some(target) = self.target(who, &path, &args) {
                    return Some(self.reason(grant, &target));
                }
            }
        }
        None
    }

    /// The first of those who may as whom sudo lets the command run.
    fn target(&self, who: &Identity, path: &str, args: &[String]) -> Option<String> {
        let args: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
        let programs = HostPrograms::new(&self.host.root);
        let found = self.able.iter().find(|name| {
            let target = Target::User(self.host.accounts.identity(name), None);
            let question = Question {
                who,
                host: self.here,
                target: &target,
                command: path.as_bytes(),
                args: &args,
                programs: &programs,
                behaviour: self.sudo.map_or_else(Default::default, Sudo::behaviour),
                now: Some(jiff::Timestamp::now().as_second()),
            };
            decide(self.tree, &question).outcome == Outcome::Allowed
        });
        found.cloned()
    }

    fn reason(&self, grant: &Grant, target: &str) -> String {
        format!("by sudo as {target}: {}, {}:{}", grant.command_text.trim(), grant.path.display(), grant.line)
    }

    fn by_doas(&self, who: &Identity, file: &doas::File) -> Option<String> {
        let names = &self.host.accounts;
        let rules = doas::rules_for(file, who, names);
        for (_, rule) in rules.iter().rev().filter(|(_, r)| r.action == doas::Action::Permit) {
            let command = match &rule.command {
                None => "/bin/sh".to_owned(),
                Some(c) => String::from_utf8_lossy(c).into_owned(),
            };
            let args: Option<Vec<String>> = match &rule.command {
                None => Some(Vec::new()),
                Some(_) => rule
                    .args
                    .as_ref()
                    .map(|a| a.iter().map(|a| String::from_utf8_lossy(a).into_owned()).collect()),
            };
            let words: Vec<&str> = args.iter().flatten().map(String::as_str).collect();
            let arguments = if args.is_some() { Arguments::Exact(&words) } else { Arguments::Any };
            let program = self.programs.find(&command);
            let serves = program.is_some_and(|p| {
                p.open(arguments).any(|w| self.serves(w)) || args.is_some() && self.serves_exact(p, &words)
            });
            if rule.command.is_some() && !serves {
                continue;
            }
            let bytes: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
            let target = self.able.iter().find(|name| {
                let target = self.host.accounts.identity(name);
                doas::decide(file, who, &target, command.as_bytes(), &bytes, names).allowed
            });
            if let Some(target) = target {
                let text = if rule.command.is_some() { command.as_str() } else { "any command" };
                return Some(format!("by doas as {target}: {text}, {}:{}", file.path.display(), rule.line));
            }
        }
        None
    }
}
