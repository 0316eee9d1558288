//! What is risky or in vain in a doas.conf, each with its line and what would be better.

use std::path::Path;
use std::sync::Arc;

use crate::grants::doas::{Action, File, Names as _, Rule};
use crate::grants::programs::{Arguments, Class, Table};
use crate::host::Host;
use crate::report::codes::{doas as codes, sudo};
use crate::report::{Code, Diagnostic, Origin, Source};

/// Lints a doas.conf.
pub fn doas(host: &Host, path: &Path, text: &[u8], programs: &Table) -> Vec<Diagnostic> {
    let file = File::parse(path, text);
    // Bytes that are not UTF-8 are shown as one character each, so that places stay right.
    let shown: String = text.utf8_chunks().fold(String::new(), |mut all, chunk| {
        all.push_str(chunk.valid());
        all.extend(chunk.invalid().iter().map(|_| '?'));
        all
    });
    let source = Source::new(path.to_owned(), shown);
    let mut lint = Lint { host, file: &file, source, programs, found: Vec::new() };
    for m in &file.mistakes {
        let start = text
            .split_inclusive(|b| *b == b'\n')
            .take(m.line.saturating_sub(1))
            .map(<[u8]>::len)
            .sum::<usize>();
        let at = (start + m.column.saturating_sub(1)).min(text.len());
        let origin = Origin::new(&lint.source, at..at);
        let note = "doas runs nothing for anybody while there is a mistake";
        lint.found
            .push(Diagnostic::new(&codes::BROKEN, m.message.clone(), origin, "here").note("note", note));
    }
    let rules: Vec<(usize, &Rule)> = file.rules().collect();
    for (n, (item, rule)) in rules.iter().enumerate() {
        lint.rule(*item, rule, rules.get(..n).unwrap_or_default());
    }
    lint.found.sort_by_key(|d| d.origin.start);
    lint.found
}

struct Lint<'a> {
    host: &'a Host,
    file: &'a File,
    source: Arc<Source>,
    programs: &'a Table,
    found: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn raise(
        &mut self,
        code: Code,
        item: usize,
        message: String,
        label: &'static str,
        notes: &[(&'static str, String)],
    ) {
        let Some(entry) = self.file.items.get(item) else { return };
        // `# perms: accept CODE: REASON` on the lines above.
        let above = self.file.items.get(..item).unwrap_or_default().iter().rev();
        let comments =
            above.take_while(|i| i.rule.is_none()).filter_map(|i| self.file.text.get(i.span.clone()));
        for text in comments {
            let text = String::from_utf8_lossy(text);
            let accepts = text.lines().any(|l| {
                let accept = l.trim().trim_start_matches('#').trim().strip_prefix("perms: accept ");
                let parts = accept.and_then(|a| a.trim().split_once(": "));
                parts.is_some_and(|(c, reason)| c.trim() == code.id && !reason.trim().is_empty())
            });
            if accepts {
                return;
            }
        }
        let text = self.file.text.get(entry.span.clone()).unwrap_or_default();
        let lead = text.len() - text.trim_ascii_start().len();
        let start = entry.span.start + lead;
        let end = start + text.trim_ascii().len();
        let mut d = Diagnostic::new(code, message, Origin::new(&self.source, start..end), label);
        d.notes.extend(notes.iter().map(|(kind, text)| (*kind, text.clone().into())));
        self.found.push(d);
    }

    fn rule(&mut self, item: usize, rule: &Rule, before: &[(usize, &Rule)]) {
        self.names(item, rule);
        let text = |w: &[u8]| String::from_utf8_lossy(w).into_owned();
        let command = rule.command.as_deref().map(text);
        if rule.action == Action::Deny {
            if let Some(c) = &command {
                let message = format!("only what is typed as `{c}` is denied");
                self.raise(&codes::DENIED_COMMAND, item, message, "one spelling", &[]);
            }
            return;
        }
        if rule.identity == b"root" || rule.identity == b"0" {
            return;
        }
        let whom = rule.target.as_deref().map_or_else(|| "anybody".to_owned(), text);
        if rule.target.is_none() {
            let message = "this rule is for every target, root among them".to_owned();
            self.raise(&codes::ANY_TARGET, item, message, "no `as`", &[("narrower", "as root".to_owned())]);
        }
        if rule.options.keepenv {
            let message = format!("the caller's environment reaches what runs as {whom}");
            let note = ("narrower", "setenv { NAME … }".to_owned());
            self.raise(&codes::KEEPENV, item, message, "keepenv", &[note]);
        }
        match &command {
            None => {
                let message = format!("this rule is every command as {whom}");
                self.raise(&codes::ANY_COMMAND, item, message, "no `cmd`", &[]);
            }
            Some(c) => self.command(item, rule, c, &whom),
        }
        let covered = before.iter().rev().find(|(_, old)| {
            old.action == Action::Permit
                && old.identity == rule.identity
                && (rule.target.is_none() || rule.target == old.target)
                && (rule.command.is_none()
                    || rule.command == old.command && (rule.args.is_none() || rule.args == old.args))
                && (old.options.nopass && !rule.options.nopass
                    || old.options.persist && !rule.options.persist
                    || old.options.keepenv && !rule.options.keepenv
                    || old.options.setenv.is_some() && rule.options.setenv.is_none())
        });
        if let Some((_, old)) = covered {
            let message = format!("this rule takes the options of line {} away", old.line);
            self.raise(&codes::LOST_OPTIONS, item, message, "the last that matches decides", &[]);
        }
    }

    fn command(&mut self, item: usize, rule: &Rule, command: &str, whom: &str) {
        if !command.starts_with('/') {
            let message = format!("only what is typed as `{command}` is permitted");
            self.raise(&codes::RELATIVE_COMMAND, item, message, "no path", &[]);
        }
        let args: Option<Vec<String>> =
            rule.args.as_ref().map(|a| a.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect());
        let words: Vec<&str> = args.iter().flatten().map(String::as_str).collect();
        let arguments = if args.is_some() { Arguments::Exact(&words) } else { Arguments::Any };
        let name = command.rsplit('/').next().unwrap_or_default();
        match self.programs.find(command).and_then(|p| p.strongest(arguments)) {
            Some(way) => {
                let (code, what): (Code, _) = match way.class {
                    Class::Shell => (&sudo::SHELL, format!("`{name}` is {whom}")),
                    Class::Interactive => (&sudo::INTERACTIVE_ESCAPE, format!("`{name}` is {whom}")),
                    Class::Command | Class::Hook => {
                        (&sudo::HOOK_RUNNER, format!("`{name}` runs any command as {whom}"))
                    }
                    Class::Write => (&sudo::FILE_WRITER, format!("`{name}` writes any file as {whom}")),
                    Class::Read => (&sudo::FILE_READER, format!("`{name}` reads any file as {whom}")),
                };
                let message = format!("{what}: {}", way.how);
                self.raise(code, item, message, "as this rule lets it be called", &[]);
            }
            None if args.is_none() => {
                let message = format!("`{name}` may be run with any arguments");
                self.raise(&codes::ANY_ARGUMENTS, item, message, "no `args`", &[]);
            }
            None => {}
        }
    }

    fn names(&mut self, item: usize, rule: &Rule) {
        let host = self.host;
        let names = &host.accounts;
        let mut unknown = Vec::new();
        let identity = String::from_utf8_lossy(&rule.identity).into_owned();
        match identity.strip_prefix(':') {
            Some(g) if names.gid(g).is_none() && g.parse::<u32>().is_err() => {
                unknown.push(("group", g.to_owned()))
            }
            None if names.uid(&identity).is_none() && identity.parse::<u32>().is_err() => {
                unknown.push(("user", identity.clone()));
            }
            _ => {}
        }
        if let Some(target) = &rule.target {
            let target = String::from_utf8_lossy(target).into_owned();
            if names.uid(&target).is_none() && target.parse::<u32>().is_err() {
                unknown.push(("user", target));
            }
        }
        for (what, name) in unknown {
            self.raise(&codes::UNKNOWN_NAME, item, format!("there is no {what} `{name}`"), "nobody now", &[]);
        }
    }
}
