//! Commands that an account may run as another: by sudo, by doas, and as a manifest declares them.

use std::path::Path;

use super::Step;
use crate::grants::doas;
use crate::grants::identity::Identity;
use crate::grants::programs::{self, Class, Table};
use crate::grants::sudoers::ast::User;
use crate::grants::sudoers::{Grant, ThisHost, Tree, rules_for};
use crate::host::polkit::RuleFile;
use crate::host::{Accounts, Password};
use crate::manifest::{Acceptance, Args, CommandRule, KeptRule, Manifest};
use crate::report::Origin;
use crate::report::codes::{Code, excess, sudo};

/// The arguments that may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Any, or some part is the caller's choice.
    Any,
    /// Exactly these.
    Exact(Vec<String>),
}

/// A command that an account may run as another.
#[derive(Debug, Clone)]
pub struct Right {
    /// Its path; none for every command.
    pub command: Option<String>,
    /// Its arguments.
    pub arguments: Arguments,
    /// The user that it is run as; none for everybody.
    pub target: Option<u32>,
    /// The manifest line that gives it.
    pub origin: Option<Origin>,
    /// `FILE:LINE` that gives it.
    pub place: Option<String>,
    /// Codes that are accepted for it.
    pub accepted: Vec<Code>,
}

impl Right {
    /// Those of a manifest's user.
    pub(super) fn declared(m: &Manifest, accounts: &Accounts) -> Vec<Right> {
        let right = |c: &CommandRule| {
            let (command, args) = c.run.value.split_first()?;
            let arguments = match c.args {
                Args::Any => Arguments::Any,
                Args::Exact => Arguments::Exact(args.iter().map(|a| a.value.clone()).collect()),
            };
            let target = match c.runas.value.as_str() {
                "ALL" => None,
                name => Some(accounts.uid_of(name)?),
            };
            let accepted = |list: &[Acceptance]| list.iter().map(|a| a.code).collect::<Vec<_>>();
            Some(Right {
                command: Some(command.value.clone()),
                arguments,
                target,
                origin: Some(c.run.origin.clone()),
                place: None,
                accepted: accepted(&c.accept),
            })
        };
        m.commands.iter().filter_map(right).collect()
    }

    /// Those that sudo gives. Rules that ask for a password are none for who has no password.
    ///
    /// What is in `kept` is declared, wherever it stands.
    pub(super) fn by_sudo(
        tree: &Tree,
        who: &Identity,
        here: &ThisHost,
        accounts: &Accounts,
        kept: &[KeptRule],
    ) -> Vec<Right> {
        let locked = accounts.password(&who.name) == Password::Locked;
        let mut rights: Vec<Right> = Vec::new();
        for g in rules_for(tree, who, here) {
            if g.negated {
                // What a later line takes back altogether; of anything narrower a copy or another spelling is left.
                if g.commands.iter().any(|c| c.command.is_none() && !c.negated) {
                    rights.clear();
                }
                continue;
            }
            if locked && g.settings.tags.nopasswd == Some(false) {
                continue;
            }
            let place = format!("{}:{}", g.path.display(), g.line);
            let origin = kept.iter().find(|k| k.is(&g.path, &g.text)).map(|k| k.text.origin.clone());
            for target in targets(&g, who, accounts) {
                for c in g.commands.iter().filter(|c| !c.negated) {
                    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                    let arguments = match c.command.as_ref().and_then(|c| c.args.as_ref()) {
                        None => Arguments::Any,
                        Some(args) => exact(&text(args)),
                    };
                    rights.push(Right {
                        command: c.command.as_ref().map(|c| text(&c.path)),
                        arguments,
                        target,
                        origin: origin.clone(),
                        place: Some(place.clone()),
                        accepted: Vec::new(),
                    });
                }
            }
        }
        rights
    }

    /// Those that doas gives.
    pub(super) fn by_doas(
        file: &doas::File,
        path: &Path,
        who: &Identity,
        names: &dyn doas::Names,
        accounts: &Accounts,
        kept: &[KeptRule],
    ) -> Vec<Right> {
        if !file.mistakes.is_empty() {
            return Vec::new();
        }
        let locked = accounts.password(&who.name) == Password::Locked;
        let text = |b: &Vec<u8>| String::from_utf8_lossy(b).into_owned();
        let mut rights: Vec<Right> = Vec::new();
        for (n, rule) in doas::rules_for(file, who, names) {
            if rule.action == doas::Action::Deny {
                if rule.command.is_none() && rule.target.is_none() {
                    rights.clear();
                }
                continue;
            }
            if locked && !rule.options.nopass {
                continue;
            }
            let target = match &rule.target {
                None => None,
                Some(name) => match accounts.uid_of(&text(name)) {
                    Some(uid) => Some(uid),
                    None => continue,
                },
            };
            rights.push(Right {
                command: rule.command.as_ref().map(text),
                arguments: match (&rule.command, &rule.args) {
                    (Some(_), Some(args)) => Arguments::Exact(args.iter().map(text).collect()),
                    _ => Arguments::Any,
                },
                target,
                origin: kept.iter().find(|k| k.is(path, &file.show(n))).map(|k| k.text.origin.clone()),
                place: Some(format!("{}:{}", path.display(), rule.line)),
                accepted: Vec::new(),
            });
        }
        rights
    }

    /// Those that rules of polkit give: `systemctl VERB UNIT`, where they say both.
    pub(super) fn by_polkit(files: &[RuleFile], who: &Identity, accounts: &Accounts) -> Vec<Right> {
        let locked = accounts.password(&who.name) == Password::Locked;
        let groups: Vec<&str> = who.groups.iter().map(|(g, _)| g.as_str()).collect();
        let mut rights = Vec::new();
        for file in files {
            for rule in file.rules.iter().filter(|r| r.free || (r.grants && !locked)) {
                let Some(named) = rule.names(&who.name, &groups) else { continue };
                rights.extend(rule.jobs().into_iter().map(|(unit, verb)| Right {
                    command: Some("systemctl".to_owned()),
                    arguments: Arguments::Exact(vec![verb, unit]),
                    target: Some(0),
                    origin: None,
                    place: Some(format!("{}:{}", file.path.display(), named.line)),
                    accepted: Vec::new(),
                }));
            }
        }
        rights
    }

    /// The files that it lets one edit as the target (sudoedit): none within for any file. `None`: it is another command.
    pub(super) fn edits(&self) -> Option<Option<&[String]>> {
        let command = self.command.as_deref()?;
        (command == "sudoedit").then_some(match &self.arguments {
            Arguments::Any => None,
            Arguments::Exact(files) => Some(files.as_slice()),
        })
    }

    /// Whether it is the right to run everything.
    pub fn is_everything(&self) -> bool {
        self.command.is_none()
    }

    /// The step by which it makes the caller the target, if it does.
    pub(super) fn step(&self, target: &str, table: &Table) -> Option<Step> {
        let step = |what: String, code: Code| {
            (!self.accepted.contains(&code)).then(|| Step {
                what,
                origin: self.origin.clone(),
                place: self.place.clone(),
                code,
            })
        };
        let Some(command) = &self.command else {
            return step(format!("may run anything as {target}"), &excess::RULE);
        };
        let program = table.find(command)?;
        let given: Vec<&str> = match &self.arguments {
            Arguments::Any => Vec::new(),
            Arguments::Exact(args) => args.iter().map(String::as_str).collect(),
        };
        let (asked, how) = match &self.arguments {
            Arguments::Any => (programs::Arguments::Any, " with any arguments"),
            Arguments::Exact(_) => (programs::Arguments::Exact(&given), ""),
        };
        let way = program.strongest(asked).filter(|w| w.class.is_account())?;
        let code: Code = match way.class {
            Class::Shell => &sudo::SHELL,
            Class::Interactive => &sudo::INTERACTIVE_ESCAPE,
            _ => &sudo::HOOK_RUNNER,
        };
        step(format!("runs {command}{how} as {target}: {}", way.how), code)
    }
}

/// The users that a rule lets one become: everybody (`None`) if root is among them, else each account that is.
fn targets(g: &Grant, who: &Identity, accounts: &Accounts) -> Vec<Option<u32>> {
    let Some(runas) = &g.settings.runas else { return vec![Some(0)] };
    let all = runas.users.iter().any(|m| !m.negated && matches!(m.value, User::All));
    let named = |u: &User| match u {
        User::Word(w) | User::Alias(w) => {
            let word = String::from_utf8_lossy(w.as_ref()).into_owned();
            accounts.uid_of(word.strip_prefix('#').unwrap_or(&word))
        }
        User::Myself => who.uid,
        _ => None,
    };
    let denied: Vec<u32> = runas.users.iter().filter(|m| m.negated).filter_map(|m| named(&m.value)).collect();
    if all {
        // `ALL, !root` leaves everybody else.
        return match denied.contains(&0) {
            false => vec![None],
            true => accounts
                .users()
                .iter()
                .filter(|u| u.uid != 0 && !denied.contains(&u.uid))
                .map(|u| Some(u.uid))
                .collect(),
        };
    }
    runas.users.iter().filter(|m| !m.negated).filter_map(|m| named(&m.value)).map(Some).collect()
}

/// The arguments of a sudo rule: exact if nothing in them is a pattern.
fn exact(args: &str) -> Arguments {
    if args == "\"\"" {
        return Arguments::Exact(Vec::new());
    }
    if args.starts_with('^') || args.contains(['*', '?', '[']) {
        return Arguments::Any;
    }
    Arguments::Exact(args.split(' ').map(|a| a.replace('\\', "")).collect())
}
