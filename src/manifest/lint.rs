//! Risks in a valid manifest: what it grants that is more than it looks. Each can be accepted, with a reason.

use std::collections::HashSet;
use std::path::Path;

use super::model::{
    Acceptance, Access, AclWho, Args, CommandRule, Grantor, Login, Manifest, ModeSpec, PathRule,
};
use super::text::quoted;
use crate::grants::daemons::{DAEMONS, Daemon, root_place};
use crate::grants::programs::{Arguments, Class};
use crate::report::codes::{Code, manifest as codes, path, sudo};
use crate::report::{Diagnostic, Origin, Spanned};

/// What is looked for here. Other codes are those of the audit, which knows itself what was accepted in vain.
static LOOKED_FOR: [Code; 12] = [
    &path::DAEMON_CONFIG_AND_RELOAD,
    &path::WRITE_IS_ROOT,
    &sudo::ANY_TARGET,
    &sudo::FILE_READER,
    &sudo::FILE_WRITER,
    &sudo::HOOK_RUNNER,
    &sudo::INTERACTIVE_ESCAPE,
    &sudo::JOINED_ARGUMENTS,
    &sudo::LITERAL_WILDCARD,
    &sudo::NO_PASSWORD_POSSIBLE,
    &sudo::SHELL,
    &sudo::SPACE_IN_COMMAND,
];

/// All risks that are not accepted, and all acceptances of risks that are not there.
pub(super) fn lint(manifest: &Manifest) -> Vec<Diagnostic> {
    let reloads = DAEMONS
        .iter()
        .map(|daemon| {
            let reload = manifest.commands.iter().find(|c| {
                let vector = c.run.value.iter().map(|w| w.value.as_str());
                let command = c.run.value.first().map_or("", |w| w.value.as_str());
                is_root(c) && daemon.reloaded_by(command, vector.skip(1), c.args == Args::Any)
            });
            (daemon, reload)
        })
        .filter_map(|(daemon, reload)| Some((daemon, reload?, reload?.run.origin.line())))
        .collect();
    let login_line = manifest.app.user.login.as_ref().map_or(0, |l| l.origin.line());
    let mut lint = Lint { manifest, found: Vec::new(), used: HashSet::new(), reloads, login_line };
    for command in &manifest.commands {
        lint.command(command);
    }
    for rule in &manifest.paths {
        lint.path(rule);
    }
    lint.unused();
    lint.found
}

struct Lint<'m> {
    manifest: &'m Manifest,
    found: Vec<Diagnostic>,
    /// Acceptances that accepted something, by their place.
    used: HashSet<usize>,
    /// The daemons that a command reloads as root, with the first such command and its line.
    reloads: Vec<(&'static Daemon, &'m CommandRule, usize)>,
    /// The line that says how the account may be entered, if one does.
    login_line: usize,
}

impl Lint<'_> {
    /// Adds a risk, unless one of the tables that it comes from, or the application, accepts it.
    fn raise(&mut self, diagnostic: Diagnostic, tables: &[&[Acceptance]]) {
        let accepting = tables.iter().copied().flatten().chain(&self.manifest.app.accept);
        let before = self.used.len();
        let mut accepted = false;
        for acceptance in accepting.filter(|a| a.code == diagnostic.code) {
            self.used.insert(acceptance.origin.start);
            accepted = true;
        }
        debug_assert!(accepted || self.used.len() == before);
        if !accepted {
            let how = format!("accept = {{ \"{}\" = \"reason\" }}", diagnostic.code.id);
            self.found.push(diagnostic.note("or accept it", how));
        }
    }

    fn command(&mut self, rule: &CommandRule) {
        let accept: &[&[Acceptance]] = &[&rule.accept];
        let Some((command, args)) = rule.run.value.split_first() else { return };
        let program = command.value.rsplit('/').next().unwrap_or_default();
        let at = |code: Code, message: String, origin: &Origin, label: &'static str| {
            Diagnostic::new(code, message, origin.clone(), label)
        };

        if rule.runas.value == "ALL" {
            let message = format!("`{program}` may be run as any user");
            let d = at(&sudo::ANY_TARGET, message, &rule.runas.origin, "root, and everybody else");
            self.raise(d.note("narrower", "as = \"root\", or the one user that is meant"), accept);
        }

        let login = self.manifest.app.user.login.as_ref();
        if login.is_some_and(|l| !rule.nopasswd && l.value != Login::Password) {
            let message = format!("`{program}` asks for a password, and the account has none");
            let d = at(&sudo::NO_PASSWORD_POSSIBLE, message, &rule.run.origin, "nobody can run this");
            let why = format!(
                "line {} gives the account no password; sudo and doas ask for the caller's",
                self.login_line
            );
            self.raise(d.note("why", why).note("help", "nopasswd = true"), accept);
        }

        // By polkit nothing that the user starts runs as somebody else.
        if rule.with != Grantor::Polkit {
            self.program(rule, command, args);
        }

        if command.value.contains(' ') {
            let words: Vec<_> = command.value.split_whitespace().map(quoted).collect();
            let d = at(
                &sudo::SPACE_IN_COMMAND,
                "the command's path holds a space".to_owned(),
                &command.origin,
                "one path",
            );
            self.raise(
                d.note("help", format!("if these are arguments: run = [{}]", words.join(", "))),
                accept,
            );
        }
        for word in rule.run.value.iter().filter(|w| w.value.contains('*')) {
            let message = format!("the `*` in `{}` stands for itself", word.value);
            let d = at(&sudo::LITERAL_WILDCARD, message, &word.origin, "no wildcard");
            self.raise(
                d.note("why", "in sudoers a `*` matches spaces and slashes too: `/var/log/*` is any file, and any argument")
                    .note("help", "declare a command for each value"),
                accept,
            );
        }
        if rule.with == Grantor::Sudo {
            for word in args.iter().filter(|w| w.value.is_empty() || w.value.contains(' ')) {
                let (message, label) = if word.value.is_empty() {
                    ("sudo cannot tell an empty argument from a space in the next", "empty")
                } else {
                    ("sudo cannot tell this argument from several", "a space in it")
                };
                let d = at(&sudo::JOINED_ARGUMENTS, message.to_owned(), &word.origin, label);
                let why =
                    "sudo joins the arguments by spaces before it compares them: another vector passes too";
                self.raise(
                    d.note("why", why).note("help", "with = \"doas\" compares each argument by itself"),
                    accept,
                );
            }
        }
    }

    /// What the table of programs says of the command.
    fn program(&mut self, rule: &CommandRule, command: &Spanned<String>, args: &[Spanned<String>]) {
        let Some(known) = self.manifest.programs.find(&command.value) else { return };
        let given: Vec<&str> = args.iter().map(|a| a.value.as_str()).collect();
        let arguments = if rule.args == Args::Any { Arguments::Any } else { Arguments::Exact(&given) };
        let Some(way) = known.strongest(arguments) else { return };
        let program = command.value.rsplit('/').next().unwrap_or_default();
        let (whom, files) = if is_root(rule) {
            ("root".to_owned(), "root".to_owned())
        } else {
            (format!("a shell as `{}`", rule.runas.value), format!("`{}`", rule.runas.value))
        };
        let (code, message, label) = match way.class {
            Class::Shell => (&sudo::SHELL, format!("`{program}` is {whom}"), "whatever else is declared"),
            Class::Interactive => {
                (&sudo::INTERACTIVE_ESCAPE, format!("`{program}` is {whom}"), "whatever its arguments")
            }
            Class::Command | Class::Hook => {
                (&sudo::HOOK_RUNNER, format!("`{program}` with any arguments is {whom}"), "any arguments")
            }
            Class::Write => {
                let message = format!("`{program}` with any arguments is the right to write {files}'s files");
                (&sudo::FILE_WRITER, message, "any arguments")
            }
            Class::Read => {
                let message = format!("`{program}` with any arguments is the right to read {files}'s files");
                (&sudo::FILE_READER, message, "any arguments")
            }
        };
        let message = format!("{message}: {}", way.how);
        let mut d = Diagnostic::new(code, message, command.origin.clone(), label);
        if !known.narrower.is_empty() {
            let words = std::iter::once(&command.value).chain(&known.narrower);
            let run: Vec<_> = words.map(|w| quoted(w)).collect();
            d = d.note("narrower", format!("run = [{}]", run.join(", ")));
        } else if way.class == Class::Shell {
            d = d.note("narrower", "declare the commands that are needed, each with its arguments");
        }
        self.raise(d, &[&rule.accept]);
    }

    fn path(&mut self, rule: &PathRule) {
        let manifest = self.manifest;
        if !writes(manifest, rule) {
            return;
        }
        let user = &manifest.app.user.name.value;
        let path = &rule.path.value;
        if let Some((place, why)) = root_place(path) {
            let message = format!("`{user}` is root: it writes `{}`", path.display());
            let label =
                if path.starts_with(place) { why.to_owned() } else { format!("{place} is below, and {why}") };
            let d = Diagnostic::new(&path::WRITE_IS_ROOT, message, rule.path.origin.clone(), label);
            self.raise(d, &[&rule.accept]);
            return;
        }
        for (daemon, reload, line) in self.reloads.clone() {
            let Some(folder) = daemon.configured_in(path) else { continue };
            let inside = if path.starts_with(folder) { path.display() } else { Path::new(folder).display() };
            let message = format!("`{user}` can become root in two steps");
            let label = format!("writes the configuration of {}", daemon.name);
            let d =
                Diagnostic::new(&path::DAEMON_CONFIG_AND_RELOAD, message, rule.path.origin.clone(), label)
                    .note("first", format!("it writes {inside}, where {}", daemon.how))
                    .note("then", format!("line {line}: {} reads that as root", daemon.name));
            self.raise(d, &[&rule.accept, &reload.accept]);
        }
    }

    /// Acceptances of risks that are looked for here, and that are not there.
    fn unused(&mut self) {
        let manifest = self.manifest;
        let all = (manifest.paths.iter().map(|p| &p.accept))
            .chain(manifest.commands.iter().map(|c| &c.accept))
            .chain([&manifest.app.accept]);
        for acceptance in all.flatten() {
            let looked_for = LOOKED_FOR.iter().any(|c| c.id == acceptance.code.id);
            if looked_for && !self.used.contains(&acceptance.origin.start) {
                let message = format!("`{}` is accepted, and is not there", acceptance.code.id);
                let d = Diagnostic::new(
                    &codes::UNUSED_ACCEPT,
                    message,
                    acceptance.origin.clone(),
                    "accepts nothing",
                );
                self.found.push(d.note("help", "leave it out, or put it on the table that has the risk"));
            }
        }
    }
}

fn is_root(rule: &CommandRule) -> bool {
    matches!(rule.runas.value.as_str(), "root" | "ALL")
}

/// Whether the application's user can write the path, by what is declared of it.
pub fn writes(manifest: &Manifest, rule: &PathRule) -> bool {
    let user = &manifest.app.user;
    let in_group = |name: &str| {
        let primary = user.group.as_ref().map_or(&user.name.value, |g| &g.value);
        name == primary || user.groups.iter().any(|g| g.value == name)
    };
    let (group_writes, other_writes) = match rule.mode.as_ref().map(|m| m.value) {
        Some(ModeSpec::Octal(bits)) => (bits & 0o020 != 0, bits & 0o002 != 0),
        Some(ModeSpec::Symbolic { group, other, .. }) => (group.write, other.write),
        None => (false, false),
    };
    rule.access.as_ref().is_some_and(|a| a.value == Access::Write)
        // An owner can give itself the right.
        || rule.owner.as_ref().is_some_and(|o| o.value == user.name.value)
        || (group_writes && rule.group.as_ref().is_some_and(|g| in_group(&g.value)))
        || other_writes
        || rule.acl.iter().flat_map(|acl| &acl.value).any(|entry| {
            entry.value.perms.write
                && match &entry.value.who {
                    AclWho::User(name) => *name == user.name.value,
                    AclWho::Group(name) => in_group(name),
                }
        })
}
