//! What is risky or in vain in a sudoers policy, each with its line and what would be better.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::known_names::{Unknown, account};
use super::programs::HostPrograms;
use super::walk::{End, Passed, Seen, Way, walk};
use crate::grants::acl::{Perms, Tag};
use crate::grants::programs::{Class, Table};
use crate::grants::sudoers::ast::{
    Change, Command, CommandSpec, ItemKind, Member, Scope, Setenv, Span, User, UserSpec,
};
use crate::grants::sudoers::grants::expand;
use crate::grants::sudoers::{GrantCommand, ProblemKind, Reading, RsPolicy, Tree, check};
use crate::host::Host;
use crate::host::code::code_of;
use crate::host::grants::HostFiles;
use crate::host::sudo::{Dialect, Sudo, Version};
use crate::report::codes::sudo as codes;
use crate::report::{Code, Diagnostic, Severity};

/// Lints a policy that begins at this file of the host.
pub fn sudoers(host: &Host, main: &Path, programs: &Table, dialect: Option<Dialect>) -> Vec<Diagnostic> {
    let short = host.name.split('.').next().unwrap_or_default();
    let reading = Reading { host: short.as_bytes().to_vec(), ..Reading::default() };
    let tree = Tree::read(&HostFiles::new(&host.root), main, &reading);
    let sudo = Sudo::find(&host.root);
    let dialect = dialect.or(sudo.as_ref().map(|s| s.dialect)).unwrap_or(Dialect::Classic);
    let files = HostPrograms::new(&host.root);
    let mut lint = Lint {
        host,
        tree: &tree,
        programs,
        dialect,
        found: Vec::new(),
        unknown: Unknown::of(&tree, &host.accounts),
        objects: HashMap::new(),
        accepted: accepted(&tree),
    };
    lint.problems();
    for (number, _, spec) in tree.specs() {
        lint.entry(number, spec);
    }
    lint.defaults();
    lint.versions(sudo.as_ref());
    if dialect == Dialect::Rs {
        for p in RsPolicy::new(&tree, &files).problems() {
            let what =
                if p.dropped { "sudo-rs leaves this entry out" } else { "sudo-rs passes over a part of it" };
            lint.raise(&codes::SUDO_RS, p.file, p.span, format!("{what}: {}", p.message), "here", &[]);
        }
    }
    let mut found = lint.found;
    found.sort_by(|a, b| (a.origin.path(), a.origin.start).cmp(&(b.origin.path(), b.origin.start)));
    found
}

/// Where risks are accepted: by file and the byte at which the accepting comment ends, the codes.
type Accepted = HashSet<(usize, usize, String)>;

/// `# perms: accept CODE: REASON` on a line by itself is for the entry below it.
fn accepted(tree: &Tree) -> Accepted {
    let mut all = Accepted::new();
    for (number, file) in tree.files.iter().enumerate() {
        let mut above: Vec<String> = Vec::new();
        for item in &file.items {
            let text = file.show(item.span);
            match item.kind {
                ItemKind::Blank if text.trim().is_empty() => above.clear(),
                ItemKind::Blank => {
                    let accept = text.trim().trim_start_matches('#').trim().strip_prefix("perms: accept ");
                    // A reason must be given.
                    let code =
                        accept.and_then(|a| a.trim().split_once(": ")).filter(|(_, r)| !r.trim().is_empty());
                    above.extend(code.map(|(code, _)| code.trim().to_owned()));
                }
                _ => {
                    all.extend(above.drain(..).map(|code| (number, item.span.start, code)));
                }
            }
        }
    }
    all
}

/// A command on the host.
#[derive(Debug, Clone)]
struct Object {
    exists: bool,
    /// Who else can change it; `None`: nobody.
    writer: Option<String>,
}

struct Lint<'a> {
    host: &'a Host,
    tree: &'a Tree,
    programs: &'a Table,
    dialect: Dialect,
    found: Vec<Diagnostic>,
    unknown: Unknown,
    /// What is known of a command, by those who may write it anyway, and its path.
    objects: HashMap<Vec<u32>, HashMap<String, Object>>,
    accepted: Accepted,
}

impl Lint<'_> {
    fn raise(
        &mut self,
        code: Code,
        file: usize,
        span: Span,
        message: String,
        label: &str,
        notes: &[(&'static str, String)],
    ) {
        let Some(found) = self.tree.files.get(file) else { return };
        let after = found.items.partition_point(|i| i.span.start <= span.start);
        let entry = after.checked_sub(1).and_then(|i| found.items.get(i));
        let entry = entry.filter(|i| i.span.range().contains(&span.start));
        let start = entry.map_or(span.start, |i| i.span.start);
        if !self.accepted.is_empty() && self.accepted.contains(&(file, start, code.id.to_owned())) {
            return;
        }
        // Without the end of the line.
        let span = Span::new(span.start, span.start + found.bytes(span).trim_ascii_end().len());
        let mut d = Diagnostic::new(code, message, found.origin(span), label);
        d.notes.extend(notes.iter().cloned());
        self.found.push(d);
    }

    /// What sudo or visudo complain of themselves, and files that sudo does not read.
    fn problems(&mut self) {
        let all: Vec<_> = self.tree.problems.iter().cloned().chain(check(self.tree)).collect();
        for p in all {
            let Some(file) = p.file else { continue };
            let note = match p.kind {
                ProblemKind::Syntax => "sudo leaves this entry out; the others stand",
                ProblemKind::Fatal | ProblemKind::Limit => "sudo runs nothing for anybody",
                ProblemKind::Alias | ProblemKind::VisudoRefuses => "sudo goes on; visudo refuses the file",
                ProblemKind::Defaults => "sudo passes over it; visudo refuses the file",
                ProblemKind::Untrusted | ProblemKind::Include => "sudo does not read what is included here",
                ProblemKind::Warning => "visudo warns of it",
            };
            let before = self.found.len();
            self.raise(&codes::BROKEN, file, p.span, p.message.clone(), "here", &[("note", note.to_owned())]);
            if p.kind == ProblemKind::Warning
                && let Some(d) = self.found.get_mut(before)
            {
                d.severity = Severity::Warning;
            }
        }
        for ignored in self.tree.ignored.clone() {
            let Some(file) = self.tree.files.first() else { continue };
            let message = format!("{} is not read: {}", ignored.path.display(), ignored.reason);
            let span = Span::new(0, file.text.iter().position(|b| *b == b'\n').unwrap_or(0));
            self.raise(&codes::IGNORED_FRAGMENT, 0, span, message, "by this policy", &[]);
        }
    }

    fn entry(&mut self, file: usize, spec: &UserSpec) {
        let root_alone = |m: &Member<User>| matches!(&m.value, User::Word(w) if w == b"root" || w == b"#0");
        if spec.users.iter().all(root_alone) {
            return;
        }
        for m in &spec.users {
            self.name(file, m, false);
        }
        for command in spec.privileges.iter().flat_map(|p| &p.commands) {
            if let Some(runas) = &command.written.runas {
                runas.users.iter().for_each(|m| self.name(file, m, false));
                runas.groups.iter().for_each(|m| self.name(file, m, true));
            }
            self.command(file, command);
        }
    }

    /// A name that nobody has.
    fn name(&mut self, file: usize, m: &Member<User>, group: bool) {
        let Some((named_group, name)) = account(&m.value, group) else { return };
        if !self.unknown.has(named_group, name) {
            return;
        }
        let name = String::from_utf8_lossy(name);
        let what = match (&m.value, named_group) {
            (User::Alias(_), _) => "user or alias",
            (_, true) => "group",
            (_, false) => "user",
        };
        let message = format!("there is no {what} `{name}`");
        self.raise(&codes::UNKNOWN_NAME, file, m.span, message, "nobody now", &[]);
    }

    fn command(&mut self, file: usize, spec: &CommandSpec) {
        let span = spec.command.span;
        let (targets, any_target) = self.targets(spec);
        let whom = if any_target { "anybody".to_owned() } else { targets.join(", ") };
        if spec.command.negated {
            let message = "an exception does not fence in what is allowed".to_owned();
            let why = ("why", "a copy of the command, or a shell, is another path".to_owned());
            self.raise(&codes::NEGATED_COMMAND, file, span, message, "taken out by path only", &[why]);
            return;
        }
        let all = matches!(&spec.command.value, Command::All(_));
        if spec.settings.tags.setenv == Setenv::Yes && !all {
            let message = format!("the caller chooses the environment of a command as {whom}");
            self.raise(&codes::SETENV, file, span, message, "SETENV", &[]);
        }
        if any_target && !all {
            let message = "this command may be run as any user".to_owned();
            let note = ("narrower", "(root), or the one user that is meant".to_owned());
            self.raise(&codes::ANY_TARGET, file, span, message, "as anybody", &[note]);
        }
        let mut seen = Vec::new();
        for c in expand(self.tree, &spec.command).iter().filter(|c| !c.negated) {
            self.one(file, span, c, &whom, &targets, &mut seen);
        }
    }

    /// The users that a command may be run as, and whether that is anybody.
    fn targets(&self, spec: &CommandSpec) -> (Vec<String>, bool) {
        let Some(runas) = &spec.settings.runas else { return (vec!["root".to_owned()], false) };
        let mut names = Vec::new();
        for m in runas.users.iter().filter(|m| !m.negated) {
            match &m.value {
                User::All => return (names, true),
                User::Word(w) => names.push(String::from_utf8_lossy(w).into_owned()),
                User::Group(w) | User::Alias(w) | User::Netgroup(w) => {
                    names.push(String::from_utf8_lossy(w).into_owned());
                }
                User::Myself => {}
            }
        }
        (names, false)
    }

    fn one(
        &mut self,
        file: usize,
        span: Span,
        c: &GrantCommand,
        whom: &str,
        targets: &[String],
        seen: &mut Vec<Code>,
    ) {
        let Some(command) = &c.command else { return };
        let path = String::from_utf8_lossy(&command.path).into_owned();
        if matches!(&*command.path, b"sudoedit" | b"list" | b"ALL") || path.starts_with('^') {
            return;
        }
        let mut raise =
            |this: &mut Self, code: Code, message: String, label: &str, notes: &[(&'static str, String)]| {
                if !seen.contains(&code) {
                    seen.push(code);
                    this.raise(code, file, span, message, label, notes);
                }
            };
        let name = path.rsplit('/').next().unwrap_or_default();
        let program = c.way(self.programs);
        let arguments = command.args.as_ref().map(|a| String::from_utf8_lossy(a).into_owned());
        let regex = arguments.as_ref().is_some_and(|a| a.starts_with('^') && a.ends_with('$'));
        let wild = !regex && arguments.as_ref().is_some_and(|a| wildcard(a));
        match program {
            Some((program, way)) => {
                let (code, what): (Code, _) = match way.class {
                    Class::Shell => (&codes::SHELL, format!("`{name}` is {whom}")),
                    Class::Interactive => (&codes::INTERACTIVE_ESCAPE, format!("`{name}` is {whom}")),
                    Class::Command | Class::Hook => {
                        (&codes::HOOK_RUNNER, format!("`{name}` runs any command as {whom}"))
                    }
                    Class::Write => (&codes::FILE_WRITER, format!("`{name}` writes any file as {whom}")),
                    Class::Read => (&codes::FILE_READER, format!("`{name}` reads any file as {whom}")),
                };
                let mut notes = Vec::new();
                if !program.narrower.is_empty() {
                    notes.push(("narrower", format!("{path} {}", program.narrower.join(" "))));
                }
                raise(self, code, format!("{what}: {}", way.how), "as this rule lets it be called", &notes);
            }
            None if arguments.is_none() && !path.ends_with('/') => {
                let note =
                    ("narrower", format!("{path} \"\" takes no arguments; or name those that are meant"));
                raise(
                    self,
                    &codes::ANY_ARGUMENTS,
                    format!("`{name}` may be run with any arguments"),
                    "none named",
                    &[note],
                );
            }
            None => {}
        }
        if wild {
            let why = (
                "why",
                "sudo compares the arguments as one text: `*` matches spaces and slashes too".to_owned(),
            );
            let message = format!("the wildcard in the arguments of `{name}` takes further arguments");
            raise(self, &codes::WILDCARD_ARGUMENTS, message, "not within one word", &[why]);
        }
        if path.contains(['*', '?', '[']) {
            return;
        }
        let object = self.object(path.trim_end_matches('/'), targets);
        if !object.exists {
            let message = format!("there is no {path}");
            raise(self, &codes::MISSING_COMMAND, message, "nothing now", &[]);
        }
        if let Some(who) = object.writer {
            let message = format!("{who}: that is anything as {whom}");
            raise(self, &codes::WRITABLE_COMMAND, message, "can be replaced", &[]);
        }
    }

    /// Whether a command is there, and who beside root and the targets can change it, a folder above it, or what else its
    /// code comes from.
    fn object(&mut self, path: &str, targets: &[String]) -> Object {
        let mut trusted: Vec<u32> = targets.iter().filter_map(|t| self.host.accounts.uid_of(t)).collect();
        trusted.push(0);
        if let Some(known) = self.objects.get(&trusted).and_then(|by| by.get(path)) {
            return known.clone();
        }
        let way = walk(&self.host.root, Path::new(path), true);
        let exists = matches!(way.end, End::Found(..));
        let mut writer = self.writer_of(&way, &trusted);
        if exists && writer.is_none() {
            let code = code_of(&self.host.root, Path::new(path));
            let mut rest = code.iter().skip(1);
            writer = rest.find_map(|at| self.writer_of(&walk(&self.host.root, at, true), &trusted));
        }
        let found = Object { exists, writer };
        self.objects.entry(trusted).or_default().insert(path.to_owned(), found.clone());
        found
    }

    /// Who can change what is at the end of a way, or a folder on it.
    fn writer_of(&self, way: &Way, trusted: &[u32]) -> Option<String> {
        let folders = way.passed.iter().filter_map(|p| match p {
            Passed::Folder(folder) => Some(folder),
            Passed::Link(..) => None,
        });
        let last = match &way.end {
            End::Found(object, _) => Some(object),
            _ => None,
        };
        folders.chain(last).find_map(|seen| self.open_to(seen, trusted))
    }

    fn open_to(&self, seen: &Seen, trusted: &[u32]) -> Option<String> {
        let at = seen.path.display();
        let accounts = &self.host.accounts;
        if !trusted.contains(&seen.meta.uid) {
            return Some(format!("{at} belongs to {}", accounts.user_name(seen.meta.uid)));
        }
        if seen.meta.mode & 0o1000 != 0
            && seen.meta.kind == crate::sys::Kind::Directory
            && seen.meta.mode & 0o002 == 0
        {
            return None;
        }
        if seen.meta.mode & 0o002 != 0 {
            return Some(format!("everybody can write {at}"));
        }
        let acl = seen.acl().ok().flatten();
        let group_writes = match &acl {
            Some(acl) => acl.effective(Tag::GroupObj).is_some_and(|p| p.contains(Perms::W)),
            None => seen.meta.mode & 0o020 != 0,
        };
        if group_writes && seen.meta.gid != 0 {
            return Some(format!("group {} can write {at}", accounts.group_name(seen.meta.gid)));
        }
        let named = acl.iter().flat_map(|a| a.entries()).find(|e| match e.tag {
            Tag::User(uid) => !trusted.contains(&uid),
            Tag::Group(gid) => gid != 0,
            _ => false,
        } && acl.as_ref().and_then(|a| a.effective(e.tag)).is_some_and(|p| p.contains(Perms::W)));
        named.map(|e| match e.tag {
            Tag::User(uid) => format!("{} can write {at}", accounts.user_name(uid)),
            Tag::Group(gid) => format!("group {} can write {at}", accounts.group_name(gid)),
            _ => format!("others can write {at}"),
        })
    }

    fn defaults(&mut self) {
        let lines: Vec<_> = self.tree.defaults().map(|(f, item, d)| (f, item.span, d.clone())).collect();
        for (file, _, line) in lines {
            for s in &line.settings {
                let off = s.change == Change::Off;
                match (&*s.name, off) {
                    (b"authenticate", true) => {
                        let whom = match line.scope {
                            Scope::All => "every rule",
                            Scope::Users(_) => "every rule of these users",
                            Scope::Hosts(_) => "every rule on these hosts",
                            Scope::Runas(_) => "every rule as these users",
                            Scope::Commands(_) => "these commands",
                        };
                        let message = format!("{whom} without a tag asks for no password");
                        self.raise(
                            &codes::NO_AUTHENTICATION,
                            file,
                            s.span,
                            message,
                            "unless PASSWD: says otherwise",
                            &[],
                        );
                    }
                    (b"setenv", false) if s.change == Change::On => {
                        let message = "every caller chooses the environment".to_owned();
                        self.raise(&codes::SETENV, file, s.span, message, "for all rules", &[]);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Holes of older versions, where a rule opens them.
    fn versions(&mut self, sudo: Option<&Sudo>) {
        let version = match sudo {
            Some(Sudo { dialect: Dialect::Classic, version: Some(v), .. })
                if self.dialect == Dialect::Classic =>
            {
                *v
            }
            _ => return,
        };
        let mut found: Vec<(usize, Span, &str, Version)> = Vec::new();
        for (file, _, spec) in self.tree.specs() {
            for privilege in &spec.privileges {
                use crate::grants::sudoers::ast::Host as Where;
                let narrow = privilege.hosts.iter().find(|h| !matches!(h.value, Where::All));
                found.extend(narrow.map(|h| (file, h.span, "CVE-2025-32462", Version(1, 9, 17, 1))));
                for c in &privilege.commands {
                    let runas = c.written.runas.as_ref();
                    let all =
                        runas.is_some_and(|r| r.users.iter().any(|m| m.value == User::All && !m.negated));
                    let but = runas.and_then(|r| r.users.iter().find(|m| m.negated));
                    if let (true, Some(m)) = (all, but) {
                        found.push((file, m.span, "CVE-2019-14287", Version(1, 8, 28, 0)));
                    }
                    if matches!(&c.command.value, Command::Path(p) if p.path == b"sudoedit") {
                        found.push((file, c.command.span, "CVE-2023-22809", Version(1, 9, 12, 2)));
                    }
                }
            }
        }
        let first = Span::new(0, 0);
        found.push((0, first, "CVE-2021-3156", Version(1, 9, 5, 2)));
        found.push((0, first, "CVE-2025-32463", Version(1, 9, 17, 1)));
        let mut told = HashSet::new();
        for (file, span, hole, fixed) in found {
            // -R came with 1.9.14.
            let since = if hole == "CVE-2025-32463" { Version(1, 9, 14, 0) } else { Version(0, 0, 0, 0) };
            if version < fixed && version >= since && told.insert(hole) {
                let message = format!("sudo {version} may have {hole}, closed in {fixed}");
                let note =
                    ("note", "distributions close holes without changing the number: see theirs".to_owned());
                self.raise(&codes::OLD_VERSION, file, span, message, "opens it", &[note]);
            }
        }
    }
}

/// Whether arguments hold a wildcard that is not escaped.
fn wildcard(args: &str) -> bool {
    let mut chars = args.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' => return true,
            _ => {}
        }
    }
    false
}
