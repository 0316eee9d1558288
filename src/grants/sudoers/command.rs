//! What: a command of sudoers against a command as it was asked for.
//!
//! A path matches if the base names are the same and both are the same file; a path with wildcards is expanded on the
//! file system; a folder stands for the files directly in it (plugins/sudoers/match_command.c). The file system is the
//! caller's: a host beneath a root, or none at all.

use super::ast::{Command, CommandPath, Digest, Member, Members};
use super::ere::{self, Refusal};
use super::fnmatch::{Flags, fnmatch};
use super::matching::{Matcher, Role, has_meta};
use super::verdict::{Doubt, Verdict, last_match};

/// The file system that commands are looked up in.
pub trait Programs {
    /// Device and inode of the file at `path`, links followed; `None` if there is none.
    fn identity(&self, path: &[u8]) -> Option<(u64, u64)>;

    /// The names in a folder, hidden ones included, `.` and `..` not; empty if it cannot be read.
    fn names(&self, dir: &[u8]) -> Vec<Vec<u8>>;

    /// The folder's path without links; `None` if it is not there.
    fn canonical(&self, dir: &[u8]) -> Option<Vec<u8>>;

    /// Whether the file has this digest; `None` if that is not known.
    fn has_digest(&self, path: &[u8], digest: &Digest) -> Option<bool>;
}

/// No file system: paths are compared as text. For questions about commands that need not be there.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrograms;

impl Programs for NoPrograms {
    fn identity(&self, _: &[u8]) -> Option<(u64, u64)> {
        None
    }

    fn names(&self, _: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn canonical(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn has_digest(&self, _: &[u8], _: &Digest) -> Option<bool> {
        None
    }
}

/// How sudo's versions differ in their decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Behaviour {
    /// 1.9.13 and before: a command is the same if base name and file are; runas lists are matched by the older rules.
    #[default]
    Sudo1913,
    /// 1.9.14 and later: the folder must be the same too, links resolved, so that a hard link elsewhere does not match.
    Sudo1914,
}

/// A command as it was asked for.
pub(super) struct Asked<'a> {
    /// The path that sudo found, or `sudoedit` or `list`.
    pub(super) path: &'a [u8],
    /// The arguments joined by spaces; `None` without any.
    pub(super) args: Option<Vec<u8>>,
    pub(super) programs: &'a dyn Programs,
    pub(super) behaviour: Behaviour,
    identity: Option<(u64, u64)>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        path: &'a [u8],
        args: &[&[u8]],
        programs: &'a dyn Programs,
        behaviour: Behaviour,
    ) -> Self {
        let args = if args.is_empty() { None } else { Some(args.join(&b' ')) };
        Asked { path, args, programs, behaviour, identity: programs.identity(path) }
    }

    fn base(&self) -> &[u8] {
        base(self.path)
    }

    /// Whether the file at `path` is the one asked for; without a file system, whether the paths are the same.
    fn is(&self, path: &[u8]) -> bool {
        if self.behaviour == Behaviour::Sudo1914 {
            let ours = self.programs.canonical(folder(self.path));
            let theirs = self.programs.canonical(folder(path));
            if ours.is_some() && theirs.is_some() && ours != theirs {
                return false;
            }
        }
        match (self.identity, self.programs.identity(path)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.path == path,
            _ => false,
        }
    }

    /// Whether the arguments are those of the rule.
    fn args_match(&self, command: &CommandPath) -> Verdict {
        let Some(pattern) = &command.args else { return Verdict::ALLOW };
        if pattern == b"\"\"" {
            return Verdict::of(self.args.is_none());
        }
        let args = self.args.as_deref().unwrap_or(b"");
        if pattern.starts_with(b"^") && pattern.ends_with(b"$") {
            return regex(pattern, args);
        }
        let flags = Flags { pathname: command.path == b"sudoedit", ..Flags::default() };
        Verdict::of(fnmatch(pattern, args, flags))
    }

    /// Whether the file at `path` has one of the digests.
    fn digest(&self, path: &[u8], digests: &[Digest]) -> Verdict {
        if digests.is_empty() {
            return Verdict::ALLOW;
        }
        let mut known = true;
        for d in digests {
            match self.programs.has_digest(path, d) {
                Some(true) => return Verdict::ALLOW,
                Some(false) => {}
                None => known = false,
            }
        }
        if known { Verdict::NONE } else { Verdict::maybe(Doubt::Digest) }
    }
}

/// The last component.
fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|&c| c == b'/').next().unwrap_or(path)
}

/// All but the last component.
fn folder(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&c| c == b'/') {
        Some(0) => b"/",
        Some(n) => path.get(..n).unwrap_or(b""),
        None => b".",
    }
}

fn regex(pattern: &[u8], text: &[u8]) -> Verdict {
    match ere::compile(pattern) {
        Ok(r) => Verdict::of(r.is_match(text)),
        Err(Refusal::Invalid) => Verdict::NONE,
        Err(Refusal::NotLinear) => Verdict::maybe(Doubt::Regex),
    }
}

/// Both must hold.
fn both(a: Verdict, b: impl FnOnce() -> Verdict) -> Verdict {
    if !a.allow {
        return Verdict::NONE;
    }
    let b = b();
    if !b.allow {
        return Verdict::NONE;
    }
    Verdict { allow: true, deny: false, none: a.none || b.none, doubt: a.doubt.or(b.doubt) }
}

impl Matcher<'_> {
    /// A command list (of an alias, of a Defaults).
    pub(super) fn commands(&self, list: &[Member<Command>], asked: &Asked) -> Verdict {
        last_match(list.iter().rev().map(|m| self.command(m, asked)))
    }

    /// One command.
    pub(super) fn command(&self, m: &Member<Command>, asked: &Asked) -> Verdict {
        let v = match &m.value {
            Command::All(digests) => asked.digest(asked.path, digests),
            Command::Alias(name) => self
                .follow(Role::Command, name, |members| match members {
                    Members::Commands(list) => self.commands(list, asked),
                    _ => Verdict::NONE,
                })
                .unwrap_or(Verdict::NONE),
            Command::Path(c) => self.path(c, asked),
        };
        v.negate(m.negated)
    }

    fn path(&self, c: &CommandPath, asked: &Asked) -> Verdict {
        if c.path.first() == Some(&b'^') {
            if asked.path.first() != Some(&b'/') {
                return Verdict::NONE;
            }
            return both(regex(&c.path, asked.path), || {
                both(asked.args_match(c), || asked.digest(asked.path, &c.digests))
            });
        }
        if c.path.first() != Some(&b'/') {
            // The built-ins, by name.
            return both(Verdict::of(c.path == asked.path), || asked.args_match(c));
        }
        if asked.path.first() != Some(&b'/') {
            return Verdict::NONE;
        }
        if has_meta(&c.path) {
            let flags = Flags { pathname: true, ..Flags::default() };
            if self.rules.fast_glob {
                return both(Verdict::of(fnmatch(&c.path, asked.path, flags)), || {
                    both(asked.args_match(c), || asked.digest(asked.path, &c.digests))
                });
            }
            let Some(found) = glob_match(&c.path, asked) else { return Verdict::NONE };
            return both(asked.args_match(c), || asked.digest(&found, &c.digests));
        }
        if c.path.last() == Some(&b'/') {
            let file = [&*c.path, asked.base()].concat();
            return both(Verdict::of(in_folder(&c.path, &file, asked)), || asked.digest(&file, &c.digests));
        }
        if base(&c.path) != asked.base() || !asked.is(&c.path) {
            return Verdict::NONE;
        }
        both(asked.args_match(c), || asked.digest(&c.path, &c.digests))
    }
}

/// Whether `file`, made of the rule's folder and the base name asked for, is what is asked for.
fn in_folder(dir: &[u8], file: &[u8], asked: &Asked) -> bool {
    if asked.identity.is_none() {
        let dir = dir.strip_suffix(b"/").unwrap_or(dir);
        return folder(asked.path) == dir;
    }
    asked.is(file)
}

/// The file that glob(3) finds for the pattern and that is the one asked for: the path as asked if the pattern gives
/// it, else one with the same base name.
fn glob_match(pattern: &[u8], asked: &Asked) -> Option<Vec<u8>> {
    if asked.identity.is_none() {
        let flags = Flags { pathname: true, period: true, fold: false };
        return fnmatch(pattern, asked.path, flags).then(|| asked.path.to_vec());
    }
    let is_folder = pattern.last() == Some(&b'/');
    let pattern_base = base(pattern);
    if !is_folder && !has_meta(pattern_base) && pattern_base != asked.base() {
        return None;
    }
    let mut found = glob(pattern, asked);
    // A path that is given exactly is compared alone.
    if !is_folder && found.iter().any(|f| f == asked.path) {
        return Some(asked.path.to_vec());
    }
    if is_folder {
        for f in &mut found {
            f.extend_from_slice(asked.base());
        }
    }
    found.into_iter().find(|f| base(f) == asked.base() && asked.is(f))
}

/// How many paths a pattern may stand for on the way; a bound on hostile trees.
const GLOB_MOST: usize = 65_536;

/// The paths that the pattern gives, as glob(3); of the last component only such as have the base name asked for.
fn glob(pattern: &[u8], asked: &Asked) -> Vec<Vec<u8>> {
    let flags = Flags { period: true, ..Flags::default() };
    let parts: Vec<&[u8]> = pattern.split(|&c| c == b'/').collect();
    let mut paths: Vec<Vec<u8>> = vec![Vec::new()];
    let last = parts.len().saturating_sub(1);
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            for p in &mut paths {
                p.push(b'/');
            }
        }
        if part.is_empty() {
            continue;
        }
        let mut next = Vec::new();
        for p in &paths {
            if next.len() >= GLOB_MOST {
                break;
            }
            if !has_meta(part) {
                next.push([p, *part].concat());
            } else if n == last {
                if fnmatch(part, asked.base(), flags) {
                    next.push([p, asked.base()].concat());
                }
            } else {
                let mut names = asked.programs.names(p);
                names.extend([b".".to_vec(), b"..".to_vec()]);
                next.extend(
                    names.into_iter().filter(|m| fnmatch(part, m, flags)).map(|m| [&**p, &*m].concat()),
                );
            }
        }
        paths = next;
    }
    paths.retain(|p| asked.programs.identity(p).is_some());
    paths
}
