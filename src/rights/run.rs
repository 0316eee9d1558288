//! May a user run a command as somebody: by sudo, by doas, or, as oneself, by executing it.

use std::path::{Path, PathBuf};

use super::answer::{Answer, Layer, Step, Verdict};
use super::files::{Action, Asker, may};
use super::programs::HostPrograms;
use crate::grants::doas;
use crate::grants::identity::Identity;
use crate::grants::polkit::UnitJob;
use crate::grants::sudoers::{
    Behaviour, Grant, GrantCommand, Outcome, Password, Question, Reading, RsPolicy, Target, ThisHost, Tree,
    decide, default_target, rules_for,
};
use crate::host::Host;
use crate::host::grants::{DOAS_CONF, HostFiles, SUDOERS};
use crate::host::polkit;
use crate::host::sudo::{Dialect, Sudo};

/// Where a command without a folder is looked for, as sudo does without a `secure_path`.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Largest doas.conf that is read.
const LIMIT: u64 = 64 << 20;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Command<'a> {
    /// As whom; `None`: whom sudo takes where nobody is named, which is root as a rule.
    pub target: Option<&'a str>,
    /// The host on which; `None`: the one that is looked at.
    pub host: Option<&'a str>,
    /// The sudo whose way of deciding is asked for; `None`: the one that the host has.
    pub dialect: Option<Dialect>,
    /// The command as typed.
    pub command: &'a str,
    /// Its arguments.
    pub args: &'a [&'a str],
}

/// The sudoers policy of a host.
pub fn sudoers(host: &Host, short_name: &str) -> Tree {
    let reading = Reading { host: short_name.as_bytes().to_vec(), ..Reading::default() };
    Tree::read(&HostFiles::new(&host.root), Path::new(SUDOERS), &reading)
}

/// doas.conf of a host; `None` if there is none, else why it cannot be read.
pub fn doas_conf(host: &Host) -> Option<Result<doas::File, String>> {
    match host.root.read(Path::new(DOAS_CONF), LIMIT) {
        Ok(text) => Some(Ok(doas::File::parse(DOAS_CONF, text))),
        Err(e) if e.is_not_found() => None,
        Err(e) => Some(Err(e.to_string())),
    }
}

/// Answers. One route is enough; the command must be there.
pub fn may_run(host: &Host, user: &str, command: &Command<'_>) -> Answer {
    let who = host.accounts.identity(user);
    let here = this_host(command.host.unwrap_or(&host.name), command.host.is_none());
    let path = located(host, command.command);
    let mut routes = Vec::new();
    let target_is = |name: &str| command.target == Some(name);
    if target_is(user)
        && let Some(asker) = Asker::of_user(&host.accounts, user)
    {
        // As oneself no rule is needed.
        return may(
            host,
            &asker,
            Action::Execute,
            path.as_deref().unwrap_or(Path::new(command.command)),
            None,
        );
    }
    routes.extend(by_sudo(host, &who, &here, command, path.as_deref()));
    routes.extend(by_doas(host, &who, command));
    let mut verdict = routes.iter().fold(Verdict::No, |v, s| v.or(s.verdict));
    if routes.is_empty() {
        let why = "there is neither sudo's policy nor doas's";
        routes.push(Step::new(Layer::Object, SUDOERS, "run", Verdict::No, why));
    }
    if path.is_none() {
        let why = "there is no such command: sudo and doas look for it before they run it";
        routes.push(Step::new(Layer::Object, command.command, "run", Verdict::No, why));
        verdict = Verdict::No;
    }
    if let Some(note) = by_polkit(host, &who, command)
        && let Some(last) = routes.last_mut()
    {
        last.notes.push(note);
    }
    Answer { verdict, steps: routes, path }
}

/// That polkit lets the user have systemd do it, called without sudo: what is asked about is to run it as somebody else.
fn by_polkit(host: &Host, who: &Identity, asked: &Command<'_>) -> Option<String> {
    let vector: Vec<&str> = std::iter::once(asked.command).chain(asked.args.iter().copied()).collect();
    let job = UnitJob::of(&vector).ok()?;
    let groups: Vec<&str> = who.groups.iter().map(|(g, _)| g.as_str()).collect();
    for file in polkit::all(&host.root).0 {
        for rule in &file.rules {
            let does = rule.jobs().iter().any(|(unit, verb)| *unit == job.unit && *verb == job.verb);
            if let Some(named) = rule.names(&who.name, &groups).filter(|_| does) {
                let how = if rule.free { "" } else { ", after their own password" };
                let at = file.path.display();
                return Some(format!(
                    "without sudo, polkit lets {} do it{how}: {at}:{}",
                    who.name, named.line
                ));
            }
        }
    }
    None
}

fn this_host(name: &str, local: bool) -> ThisHost {
    let mut host = ThisHost::named(name);
    // Rules by address are rare; what they are about is not known elsewhere.
    if !local {
        host.addresses = None;
    }
    host
}

/// The command's path as sudo finds it, its own links not resolved.
fn located(host: &Host, command: &str) -> Option<PathBuf> {
    let there = |p: &Path| matches!(super::walk::walk(&host.root, p, true).end, super::walk::End::Found(..));
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|p| p.is_absolute() && there(p));
    }
    PATH.iter().map(|dir| Path::new(dir).join(command)).find(|p| there(p))
}

/// The user that a name stands for, to sudo and doas: by name, or `#UID`.
fn target_identity(host: &Host, name: &str) -> Identity {
    match name.strip_prefix('#').and_then(|n| n.parse::<u32>().ok()) {
        Some(uid) => {
            let known = host.accounts.users().iter().find(|u| u.uid == uid);
            known.map_or_else(|| Identity::new(name, Some(uid)), |u| host.accounts.identity(&u.name))
        }
        None => host.accounts.identity(name),
    }
}

fn by_sudo(
    host: &Host,
    who: &Identity,
    here: &ThisHost,
    asked: &Command<'_>,
    path: Option<&Path>,
) -> Vec<Step> {
    let tree = sudoers(host, &here.short);
    let missing = tree.files.is_empty();
    if missing && host.root.resolve(Path::new(SUDOERS)).is_err_and(|e| e.is_not_found()) {
        return Vec::new();
    }
    let found = Sudo::find(&host.root);
    let dialect = asked.dialect.or(found.as_ref().map(|s| s.dialect)).unwrap_or(Dialect::Classic);
    let behaviour = found.as_ref().map_or(Behaviour::default(), Sudo::behaviour);
    let default = default_target(&tree, who, here);
    let name = asked.target.unwrap_or(&default);
    let what = format!("run as {name} by {}", if dialect == Dialect::Rs { "sudo-rs" } else { "sudo" });
    if missing || tree.fatal {
        let why = tree.problems.first().map_or_else(|| "it cannot be read".to_owned(), |p| p.message.clone());
        let verdict = if tree.fatal { Verdict::No } else { Verdict::Unknown };
        return vec![Step::new(Layer::Sudo, SUDOERS, what, verdict, why)];
    }
    let target = match asked.target {
        None => Target::Default(target_identity(host, &default)),
        Some(name) => Target::User(target_identity(host, name), None),
    };
    let command = path.map_or_else(|| asked.command.as_bytes(), |p| p.as_os_str().as_encoded_bytes());
    let args: Vec<&[u8]> = asked.args.iter().map(|a| a.as_bytes()).collect();
    let programs = HostPrograms::new(&host.root);
    let question = Question {
        who,
        host: here,
        target: &target,
        command,
        args: &args,
        programs: &programs,
        behaviour,
        now: Some(jiff::Timestamp::now().as_second()),
    };
    let decision = match dialect {
        Dialect::Classic => decide(&tree, &question),
        Dialect::Rs => RsPolicy::new(&tree, &programs).decide(&question),
    };
    let grants = rules_for(&tree, who, here);
    let grant_of = |rule| grants.iter().find(|g| g.rule == rule);
    let place = |g: &Grant| format!("{}:{}", g.path.display(), g.line);
    let by = decision.rule.and_then(grant_of);
    let step = match &decision.outcome {
        Outcome::Allowed => {
            let at = by.map_or_else(|| SUDOERS.to_owned(), place);
            let text = by.map_or_else(String::new, |g| words(&g.text));
            let step = Step::new(Layer::Sudo, at, what, Verdict::Yes, text);
            let password = password(decision.password, &who.name);
            let joined = by.is_some_and(|g| g.commands.iter().any(|c| exact(c).is_some_and(|a| a.len() > 1)));
            let step = step.note(password);
            if joined && asked.args.iter().any(|a| a.contains(' ')) {
                step.note("sudo joins the arguments by spaces before it compares them")
            } else {
                step
            }
        }
        Outcome::Uncertain(rules) => {
            let mut step = Step::new(Layer::Sudo, SUDOERS, what, Verdict::Unknown, "rules that may apply");
            for (rule, doubt) in rules {
                if let Some(g) = grant_of(*rule) {
                    step = step.note(format!("{} {}: {doubt}", place(g), g.command_text.trim()));
                }
            }
            step
        }
        Outcome::Denied => {
            let (at, why, notes) = match by {
                Some(g) => (place(g), format!("the rule takes it away: {}", words(&g.text)), Vec::new()),
                None => {
                    let mut near = near_misses(&grants, asked, name, &programs, command);
                    let first = if near.is_empty() { None } else { Some(near.remove(0)) };
                    let none = || (SUDOERS.to_owned(), format!("no rule gives {} this", who.name));
                    let (at, why) = first.unwrap_or_else(none);
                    let notes = near.into_iter().take(4).map(|(at, why)| format!("{at}: {why}")).collect();
                    (at, why, notes)
                }
            };
            let mut step = Step::new(Layer::Sudo, at, what, Verdict::No, why);
            step.notes = notes;
            step
        }
    };
    vec![step]
}

/// The arguments of a rule where they are fixed.
fn exact(command: &GrantCommand) -> Option<Vec<String>> {
    let args = command.command.as_ref()?.args.as_ref()?;
    let text = String::from_utf8_lossy(args);
    if text == "\"\"" {
        return Some(Vec::new());
    }
    let pattern = text.contains(['*', '?', '[', '\\']) || text.starts_with('^');
    (!pattern).then(|| text.split(' ').map(str::to_owned).collect())
}

/// Rules for the same command that do not fit: where they are, and why not.
fn near_misses(
    grants: &[Grant],
    asked: &Command<'_>,
    target: &str,
    programs: &HostPrograms<'_>,
    command: &[u8],
) -> Vec<(String, String)> {
    use crate::grants::sudoers::Programs as _;
    let id = programs.identity(command);
    let mut near = Vec::new();
    for g in grants.iter().rev().filter(|g| !g.negated) {
        for c in g.commands.iter().filter(|c| !c.negated) {
            let at = format!("{}:{}", g.path.display(), g.line);
            let runas = crate::grants::sudoers::grants::show_runas(&g.settings, "root");
            let Some(path) = &c.command else {
                near.push((at, format!("the rule is for the targets {runas}, not for {target}")));
                continue;
            };
            let same = path.path == command || (id.is_some() && programs.identity(&path.path) == id);
            if !same {
                continue;
            }
            let why = match (&path.args, exact(c)) {
                (None, _) => format!("the rule is for the targets {runas}, not for {target}"),
                (_, Some(args)) if args.iter().map(String::as_str).eq(asked.args.iter().copied()) => {
                    format!("the rule is for the targets {runas}, not for {target}")
                }
                (_, Some(args)) if args.is_empty() => "the rule takes no arguments".to_owned(),
                (_, Some(args)) => {
                    let args: Vec<String> = args.iter().map(|a| format!("`{a}`")).collect();
                    format!("the rule takes the arguments {} and no others", args.join(" "))
                }
                (Some(pattern), None) => {
                    let pattern = String::from_utf8_lossy(pattern);
                    format!(
                        "the rule takes arguments that fit `{pattern}`, which these do not, or another target"
                    )
                }
            };
            near.push((at, why));
        }
    }
    near
}

/// A rule on one line, with single blanks.
fn words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().filter(|w| *w != "\\").collect();
    words.join(" ")
}

fn password(password: Password, user: &str) -> String {
    match password {
        Password::Asked => format!("asks for {user}'s password"),
        Password::Tag => "no password: NOPASSWD".to_owned(),
        Password::Defaults => "no password: Defaults !authenticate".to_owned(),
        Password::ExemptGroup => "no password: the exempt_group".to_owned(),
        Password::Same => "no password: as oneself, or as root already".to_owned(),
    }
}

fn by_doas(host: &Host, who: &Identity, asked: &Command<'_>) -> Option<Step> {
    let target = asked.target.unwrap_or("root");
    let what = format!("run as {target} by doas");
    let file = match doas_conf(host)? {
        Ok(file) => file,
        Err(e) => return Some(Step::new(Layer::Doas, DOAS_CONF, what, Verdict::Unknown, e)),
    };
    if let Some(m) = file.mistakes.first() {
        let at = format!("{DOAS_CONF}:{}", m.line);
        let why = format!("doas runs nothing while there is a mistake: {}", m.message);
        return Some(Step::new(Layer::Doas, at, what, Verdict::No, why));
    }
    let names = &host.accounts;
    let target = target_identity(host, target);
    let args: Vec<&[u8]> = asked.args.iter().map(|a| a.as_bytes()).collect();
    let decision = doas::decide(&file, who, &target, asked.command.as_bytes(), &args, names);
    let text = |rule: &doas::Rule| format!("{DOAS_CONF}:{}", rule.line);
    Some(match decision.rule {
        Some((item, rule)) if decision.allowed => {
            let password = if decision.nopass {
                "no password: nopass".to_owned()
            } else {
                format!("asks for {}'s password", who.name)
            };
            Step::new(Layer::Doas, text(rule), what, Verdict::Yes, line(&file, item)).note(password)
        }
        Some((item, rule)) => Step::new(Layer::Doas, text(rule), what, Verdict::No, line(&file, item)),
        None => {
            let near = file.rules().rev().find(|(_, r)| {
                r.command.as_ref().is_some_and(|c| base(c) == base(asked.command.as_bytes()))
                    && doas::rules_for(&file, who, names).iter().any(|(_, own)| own == r)
            });
            match near {
                Some((item, rule)) => {
                    let spelling = rule.command.as_ref().is_some_and(|c| c != asked.command.as_bytes());
                    let step = Step::new(Layer::Doas, text(rule), what, Verdict::No, line(&file, item));
                    if spelling {
                        step.note("doas compares the command as it is typed")
                    } else {
                        step.note("arguments or target are others")
                    }
                }
                None => {
                    let why = format!("no rule gives {} this", who.name);
                    Step::new(Layer::Doas, DOAS_CONF, what, Verdict::No, why)
                }
            }
        }
    })
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

/// An entry of doas.conf as written.
fn line(file: &doas::File, item: usize) -> String {
    let text = file.items.get(item).and_then(|i| file.text.get(i.span.clone()));
    String::from_utf8_lossy(text.unwrap_or_default()).trim().to_owned()
}
