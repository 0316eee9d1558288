//! What is risky or in vain in single rules of sudoers: names that nobody has, commands that give more than they seem to, commands
//! that others can replace.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use rayon::prelude::*;
use smallvec::{SmallVec, smallvec};

use super::known_names::{Unknown, account};
use super::lint_sudo::{Note, Policy};
use super::walk::{End, Passed, Seen, Way, walk};
use crate::grants::acl::{Perms, Tag};
use crate::grants::programs::Class;
use crate::grants::sudoers::ast::{
    Command, CommandPath, CommandSpec, Few, Item, Member, Setenv, Span, User, UserSpec,
};
use crate::grants::sudoers::bytes::Bytes;
use crate::grants::sudoers::grants::{each_command, way};
use crate::host::code::code_of_open;
use crate::report::codes::sudo as codes;
use crate::report::{Code, Diagnostic};
use crate::sys::Kind;

/// Fewer rules than this are not divided between processors.
const PART: usize = 500;

/// What is found in every rule, in the order of the policy, in parts.
pub(super) fn all(policy: &Policy<'_>, unknown: &Unknown) -> Vec<Vec<Diagnostic>> {
    let (objects, folders) = (Objects::default(), Mutex::default());
    let rules: Vec<_> = policy.placed.tree.specs().collect();
    let lint = |part: &[_]| Lint::part(policy, unknown, &objects, &folders, part);
    if rules.len() <= PART { vec![lint(&rules)] } else { rules.par_chunks(PART).map(lint).collect() }
}

/// A command on the host.
#[derive(Debug)]
struct Object {
    exists: bool,
    /// Who else can change it; `None`: nobody.
    writer: Option<String>,
}

/// Ids of those who may write a command anyway.
type Trusted = SmallVec<[u32; 2]>;

/// What is known of commands, by those who may write them anyway, and their path.
type Objects<'t> = Mutex<HashMap<(Trusted, &'t [u8]), Arc<Object>, RandomState>>;

/// Folders by device and inode: the path, and who else can change what is in them.
type Folders = HashMap<(Trusted, (u64, u64)), (PathBuf, Option<String>), RandomState>;

/// Whom a command may be run as.
struct Targets<'t> {
    names: Few<Cow<'t, str>>,
    /// For messages.
    whom: Cow<'t, str>,
    anybody: bool,
}

impl<'t> Targets<'t> {
    fn of(spec: &'t CommandSpec) -> Targets<'t> {
        let Some(runas) = &spec.settings.runas else {
            return Targets { names: smallvec!["root".into()], whom: "root".into(), anybody: false };
        };
        let mut names = Few::new();
        let mut anybody = false;
        for m in runas.users.iter().filter(|m| !m.negated) {
            match &m.value {
                User::All => {
                    anybody = true;
                    break;
                }
                User::Word(w) | User::Group(w) | User::Alias(w) | User::Netgroup(w) => {
                    names.push(w.lossy());
                }
                User::Myself => {}
            }
        }
        let whom = match &*names {
            _ if anybody => "anybody".into(),
            [one] => one.clone(),
            several => several.join(", ").into(),
        };
        Targets { names, whom, anybody }
    }
}

struct Lint<'l, 't> {
    policy: &'l Policy<'t>,
    unknown: &'l Unknown,
    objects: &'l Objects<'t>,
    folders: &'l Mutex<Folders>,
    found: Vec<Diagnostic>,
}

impl<'l, 't> Lint<'l, 't> {
    fn part(
        policy: &'l Policy<'t>,
        unknown: &'l Unknown,
        objects: &'l Objects<'t>,
        folders: &'l Mutex<Folders>,
        rules: &[(usize, &'t Item, &'t UserSpec)],
    ) -> Vec<Diagnostic> {
        let mut lint = Lint { policy, unknown, objects, folders, found: Vec::new() };
        rules.iter().for_each(|(file, _, spec)| lint.entry(*file, spec));
        lint.found
    }

    fn raise(
        &mut self,
        code: Code,
        (file, span): (usize, Span),
        message: String,
        label: &'static str,
        notes: Vec<Note>,
    ) {
        self.found.extend(self.policy.placed.finding(code, file, span, message, label, notes));
    }

    fn entry(&mut self, file: usize, spec: &'t UserSpec) {
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
        self.raise(&codes::UNKNOWN_NAME, (file, m.span), message, "nobody now", Vec::new());
    }

    fn command(&mut self, file: usize, spec: &'t CommandSpec) {
        let at = (file, spec.command.span);
        if spec.command.negated {
            let message = "an exception does not fence in what is allowed".to_owned();
            let why = ("why", "a copy of the command, or a shell, is another path".into());
            self.raise(&codes::NEGATED_COMMAND, at, message, "taken out by path only", vec![why]);
            return;
        }
        let targets = Targets::of(spec);
        let all = matches!(&spec.command.value, Command::All(_));
        if spec.settings.tags.setenv == Setenv::Yes && !all {
            let message = format!("the caller chooses the environment of a command as {}", targets.whom);
            self.raise(&codes::SETENV, at, message, "SETENV", Vec::new());
        }
        if targets.anybody && !all {
            let message = "this command may be run as any user".to_owned();
            let note = ("narrower", "(root), or the one user that is meant".into());
            self.raise(&codes::ANY_TARGET, at, message, "as anybody", vec![note]);
        }
        let mut seen = SmallVec::new();
        each_command(self.policy.placed.tree, &spec.command, |negated, command, _| {
            if let (false, Command::Path(command)) = (negated, command) {
                self.one(at, command, &targets, &mut seen);
            }
        });
    }

    fn one(
        &mut self,
        at: (usize, Span),
        command: &'t CommandPath,
        targets: &Targets<'t>,
        seen: &mut SmallVec<[Code; 4]>,
    ) {
        let path = command.path.lossy();
        if matches!(&*command.path, b"sudoedit" | b"list") || path.starts_with('^') {
            return;
        }
        let whom = &targets.whom;
        let mut raise =
            |this: &mut Self, code: Code, message: String, label: &'static str, notes: Vec<Note>| {
                if !seen.contains(&code) {
                    seen.push(code);
                    this.raise(code, at, message, label, notes);
                }
            };
        let name = path.rsplit('/').next().unwrap_or_default();
        let arguments = command.args.as_ref().map(Bytes::lossy);
        let regex = arguments.as_ref().is_some_and(|a| a.starts_with('^') && a.ends_with('$'));
        let wild = !regex && arguments.as_ref().is_some_and(|a| wildcard(a));
        match way(command, self.policy.programs) {
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
                    notes.push(("narrower", format!("{path} {}", program.narrower.join(" ")).into()));
                }
                raise(self, code, format!("{what}: {}", way.how), "as this rule lets it be called", notes);
            }
            None if arguments.is_none() && !path.ends_with('/') => {
                let narrower = format!("{path} \"\" takes no arguments; or name those that are meant");
                raise(
                    self,
                    &codes::ANY_ARGUMENTS,
                    format!("`{name}` may be run with any arguments"),
                    "none named",
                    vec![("narrower", narrower.into())],
                );
            }
            None => {}
        }
        if wild {
            let why = "sudo compares the arguments as one text: `*` matches spaces and slashes too";
            let message = format!("the wildcard in the arguments of `{name}` takes further arguments");
            raise(
                self,
                &codes::WILDCARD_ARGUMENTS,
                message,
                "not within one word",
                vec![("why", why.into())],
            );
        }
        if path.contains(['*', '?', '[']) {
            return;
        }
        let object = self.object(&command.path, targets);
        if !object.exists {
            let message = format!("there is no {path}");
            raise(self, &codes::MISSING_COMMAND, message, "nothing now", Vec::new());
        }
        if let Some(who) = &object.writer {
            let message = format!("{who}: that is anything as {whom}");
            raise(self, &codes::WRITABLE_COMMAND, message, "can be replaced", Vec::new());
        }
    }

    /// Whether a command is there, and who beside root and the targets can change it, a folder above it, or what else its
    /// code comes from.
    fn object(&self, path: &'t [u8], targets: &Targets<'t>) -> Arc<Object> {
        let end = path.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
        let path = path.get(..end).unwrap_or(path);
        let accounts = &self.policy.host.accounts;
        let mut trusted: Trusted = targets.names.iter().filter_map(|t| accounts.uid_of(t)).collect();
        trusted.push(0);
        let key = (trusted, path);
        // What one thread knows is good for all; a thread that panicked with the lock has not left it half written.
        if let Some(known) = self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let trusted = &*key.0;
        let root = &self.policy.host.root;
        let at = Path::new(OsStr::from_bytes(path));
        let way = walk(root, at, true);
        let mut writer = self.writer_of(&way, trusted);
        let exists = match &way.end {
            End::Found(file, _) => Some(file),
            _ => None,
        };
        if let (Some(file), None) = (exists, &writer) {
            let code = code_of_open(root, at, Some(&file.handle));
            writer = code.iter().skip(1).find_map(|at| self.writer_of(&walk(root, at, true), trusted));
        }
        let found = Arc::new(Object { exists: exists.is_some(), writer });
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&found));
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

    /// Who can change this object. Of folders it is remembered: those of programs are few.
    fn open_to(&self, seen: &Seen, trusted: &[u32]) -> Option<String> {
        if seen.meta.kind != Kind::Directory {
            return self.look_at(seen, trusted);
        }
        let key = (Trusted::from_slice(trusted), seen.meta.id);
        let known =
            |f: &Folders| f.get(&key).filter(|(path, _)| *path == seen.path).map(|(_, who)| who.clone());
        if let Some(who) = known(&self.folders.lock().unwrap_or_else(PoisonError::into_inner)) {
            return who;
        }
        let who = self.look_at(seen, trusted);
        let entry = (seen.path.clone(), who.clone());
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).insert(key, entry);
        who
    }

    fn look_at(&self, seen: &Seen, trusted: &[u32]) -> Option<String> {
        let at = seen.path.display();
        let accounts = &self.policy.host.accounts;
        if !trusted.contains(&seen.meta.uid) {
            return Some(format!("{at} belongs to {}", accounts.user_name(seen.meta.uid)));
        }
        if seen.meta.mode & 0o1000 != 0 && seen.meta.kind == Kind::Directory && seen.meta.mode & 0o002 == 0 {
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
