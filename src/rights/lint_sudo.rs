//! What is risky or in vain in a sudoers policy, each with its line and what would be better. Of single rules: `lint_rule`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::known_names::Unknown;
use super::lint_rule;
use super::programs::HostPrograms;
use crate::grants::programs::Table;
use crate::grants::sudoers::ast::{Change, Command, Item, ItemKind, Scope, Span, User};
use crate::grants::sudoers::{Check, Problem, ProblemKind, Reading, RsPolicy, Tree, check};
use crate::host::Host;
use crate::host::grants::HostFiles;
use crate::host::sudo::{Dialect, Sudo, Version};
use crate::report::codes::sudo as codes;
use crate::report::{Code, Diagnostic, Severity};
use crate::sys::Root;

/// Reads a policy that begins at this file of the host of this name.
pub fn read(root: &Root, host: &str, main: &Path) -> Tree {
    Tree::read(&HostFiles::new(root), main, &reading(host))
}

fn reading(host: &str) -> Reading {
    let short = host.split('.').next().unwrap_or_default();
    Reading { host: short.as_bytes().to_vec(), ..Reading::default() }
}

/// What is wrong with a policy by itself, with no look at the host or at risks: what `visudo -c` refuses or warns of, files
/// that sudo passes over, and with the dialect of sudo-rs what that makes nothing of. It begins at this file of the host of
/// this name.
pub fn mistakes(root: &Root, host: &str, main: &Path, dialect: Dialect) -> Vec<Diagnostic> {
    let mut found = match dialect {
        Dialect::Rs => {
            let tree = read(root, host, main);
            let placed = Placed::whole(&tree);
            let mut found = problems(&placed, check(placed.tree));
            found.extend(left_out(root, &placed));
            found
        }
        // Each entry for itself, which is all that it takes, and far less memory.
        Dialect::Classic => {
            let (mut check, mut accepted) = (Check::default(), Accepted::default());
            let mut look = |tree: &Tree, file: usize, item: &Item| {
                check.entry(tree, file, item);
                accepted.entry(tree, file, item);
            };
            let files = HostFiles::new(root);
            let tree = Tree::look_through(&files, main, &reading(host), &mut look);
            problems(&Placed { tree: &tree, accepted }, check.finish(&tree))
        }
    };
    in_order(&mut found);
    found
}

/// Lints a policy of the host. `dialect`: as this sudo, not as the one that is there.
pub fn sudoers(host: &Host, tree: &Tree, programs: &Table, dialect: Option<Dialect>) -> Vec<Diagnostic> {
    let sudo = Sudo::find(&host.root);
    let dialect = dialect.or(sudo.as_ref().map(|s| s.dialect)).unwrap_or(Dialect::Classic);
    let policy = Policy { host, placed: Placed::whole(tree), programs, dialect };
    let whole = || {
        let before = problems(&policy.placed, check(tree));
        let mut lint = Lint { policy: &policy, found: Vec::new() };
        lint.defaults();
        lint.versions(sudo.as_ref());
        if dialect == Dialect::Rs {
            lint.found.extend(left_out(&host.root, &policy.placed));
        }
        (before, lint.found)
    };
    let rules = || lint_rule::all(&policy, &Unknown::of(tree, &host.accounts));
    let ((mut found, after), of_rules) = rayon::join(whole, rules);
    found.extend(of_rules.into_iter().flatten());
    found.extend(after);
    in_order(&mut found);
    found
}

/// By file and place; several of one place stay in the order in which they were found.
fn in_order(found: &mut [Diagnostic]) {
    found.sort_by(|a, b| {
        // Most are of one file, and paths are compared part by part.
        let same = std::sync::Arc::ptr_eq(&a.origin.source, &b.origin.source);
        let files = if same { std::cmp::Ordering::Equal } else { a.origin.path().cmp(b.origin.path()) };
        files.then(a.origin.start.cmp(&b.origin.start))
    });
}

/// Where risks are accepted: `# perms: accept CODE: REASON` on a line by itself is for the entry below it.
#[derive(Debug, Default)]
struct Accepted {
    /// By the file and the first byte of an entry: its end, the codes.
    entries: BTreeMap<(usize, usize), (usize, Vec<String>)>,
    /// A file, and what the comments above its next entry accept.
    above: (usize, Vec<String>),
}

impl Accepted {
    /// Those of a whole policy.
    fn of(tree: &Tree) -> Self {
        let mut accepted = Accepted::default();
        tree.look(&mut |tree, file, item| accepted.entry(tree, file, item));
        accepted
    }

    /// Looks at the next entry, in the order of the file.
    fn entry(&mut self, tree: &Tree, number: usize, item: &Item) {
        let Some(file) = tree.files.get(number) else { return };
        let (of, above) = &mut self.above;
        if *of != number {
            above.clear();
            *of = number;
        }
        match item.kind {
            ItemKind::Blank => {
                let text = file.bytes(item.span).trim_ascii();
                if text.is_empty() {
                    above.clear();
                    return;
                }
                // Before it is made text: most comments accept nothing.
                if memchr::memmem::find(text, ACCEPT.as_bytes()).is_none() {
                    return;
                }
                let text = String::from_utf8_lossy(text);
                let accept = text.trim_start_matches('#').trim().strip_prefix(ACCEPT);
                // A reason must be given.
                let code =
                    accept.and_then(|a| a.trim().split_once(": ")).filter(|(_, r)| !r.trim().is_empty());
                above.extend(code.map(|(code, _)| code.trim().to_owned()));
            }
            _ if above.is_empty() => {}
            _ => {
                let codes = std::mem::take(above);
                self.entries.insert((number, item.span.start), (item.span.end, codes));
            }
        }
    }

    /// Whether this code is accepted at a place of a file.
    fn has(&self, code: Code, file: usize, place: usize) -> bool {
        let before = self.entries.range(..=(file, place)).next_back();
        before.is_some_and(|((of, _), (end, codes))| {
            *of == file && place < *end && codes.iter().any(|c| c == code.id)
        })
    }
}

/// What a comment that accepts a risk begins with, after its `#`.
const ACCEPT: &str = "perms: accept ";

/// A policy, and what it is looked at with.
pub(super) struct Policy<'a> {
    pub(super) host: &'a Host,
    pub(super) placed: Placed<'a>,
    pub(super) programs: &'a Table,
    dialect: Dialect,
}

/// A policy in which findings have their place.
pub(super) struct Placed<'a> {
    pub(super) tree: &'a Tree,
    accepted: Accepted,
}

/// A further line of a finding: its kind, and the text.
pub(super) type Note = (&'static str, Cow<'static, str>);

impl<'a> Placed<'a> {
    fn whole(tree: &'a Tree) -> Self {
        Placed { tree, accepted: Accepted::of(tree) }
    }

    /// A finding at a place, unless it is accepted there.
    pub(super) fn finding(
        &self,
        code: Code,
        file: usize,
        span: Span,
        message: String,
        label: &'static str,
        notes: Vec<Note>,
    ) -> Option<Diagnostic> {
        let found = self.tree.files.get(file)?;
        if self.accepted.has(code, file, span.start) {
            return None;
        }
        // Without the end of the line.
        let span = Span::new(span.start, span.start + found.bytes(span).trim_ascii_end().len());
        let mut d = Diagnostic::new(code, message, found.origin(span), label);
        d.notes = notes;
        Some(d)
    }
}

/// What sudo or visudo complain of themselves, and files that sudo does not read.
fn problems(placed: &Placed<'_>, of_check: Vec<Problem>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for p in placed.tree.problems.iter().chain(&of_check) {
        let Some(file) = p.file else { continue };
        let note = match p.kind {
            ProblemKind::Syntax => "sudo leaves this entry out; the others stand",
            ProblemKind::Fatal | ProblemKind::Limit => "sudo runs nothing for anybody",
            ProblemKind::Alias | ProblemKind::VisudoRefuses => "sudo goes on; visudo refuses the file",
            ProblemKind::Defaults => "sudo passes over it; visudo refuses the file",
            ProblemKind::Untrusted | ProblemKind::Include => "sudo does not read what is included here",
            ProblemKind::Warning => "visudo warns of it",
        };
        let notes = vec![("note", note.into())];
        let mut d = placed.finding(&codes::BROKEN, file, p.span, p.message.clone(), "here", notes);
        if let (ProblemKind::Warning, Some(d)) = (p.kind, &mut d) {
            d.severity = Severity::Warning;
        }
        found.extend(d);
    }
    for ignored in &placed.tree.ignored {
        let Some(file) = placed.tree.files.first() else { continue };
        let message = format!("{} is not read: {}", ignored.path.display(), ignored.reason);
        let span = Span::new(0, file.text.iter().position(|b| *b == b'\n').unwrap_or(0));
        let code = &codes::IGNORED_FRAGMENT;
        found.extend(placed.finding(code, 0, span, message, "by this policy", Vec::new()));
    }
    found
}

/// What is found in the policy as a whole.
struct Lint<'a> {
    policy: &'a Policy<'a>,
    found: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn raise(
        &mut self,
        code: Code,
        file: usize,
        span: Span,
        message: String,
        label: &'static str,
        notes: Vec<Note>,
    ) {
        self.found.extend(self.policy.placed.finding(code, file, span, message, label, notes));
    }

    fn defaults(&mut self) {
        for (file, _, line) in self.policy.placed.tree.defaults() {
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
                            Vec::new(),
                        );
                    }
                    (b"setenv", false) if s.change == Change::On => {
                        let message = "every caller chooses the environment".to_owned();
                        self.raise(&codes::SETENV, file, s.span, message, "for all rules", Vec::new());
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
                if self.policy.dialect == Dialect::Classic =>
            {
                *v
            }
            _ => return,
        };
        let mut found: Vec<(usize, Span, &str, Version)> = Vec::new();
        for (file, _, spec) in self.policy.placed.tree.specs() {
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
                    ("note", "distributions close holes without changing the number: see theirs".into());
                self.raise(&codes::OLD_VERSION, file, span, message, "opens it", vec![note]);
            }
        }
    }
}

/// What sudo-rs makes nothing of.
fn left_out(root: &Root, placed: &Placed<'_>) -> Vec<Diagnostic> {
    let files = HostPrograms::new(root);
    let policy = RsPolicy::new(placed.tree, &files);
    let found = policy.problems().iter().filter_map(|p| {
        let what =
            if p.dropped { "sudo-rs leaves this entry out" } else { "sudo-rs passes over a part of it" };
        let message = format!("{what}: {}", p.message);
        placed.finding(&codes::SUDO_RS, p.file, p.span, message, "here", Vec::new())
    });
    found.collect()
}
