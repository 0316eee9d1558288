//! `[[path]]` × the file system: one walk over everything declared, each file compared with all that is demanded of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{Demand, Reason, What, compare};
use super::names::Names;
use super::readers;
use crate::grants::acl::Tag;
use crate::host::{FileState, Host};
use crate::manifest::{AclEntry, AclWho, FileKind, Manifest, PathRule};
use crate::report::Origin;
use crate::sys::walk::{Entry, walk};
use crate::sys::{Handle, Kind, Meta, ResolveError, Resolved};

/// A file that is not as demanded.
#[derive(Debug, Clone)]
pub struct FileDiff {
    /// Index of the manifest whose rule is the narrowest on it.
    pub app: usize,
    /// The rule's line.
    pub rule: Origin,
    /// The declared path it lies at or below, without links.
    pub top: PathBuf,
    /// It, as seen from inside the root, without links.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its inode number; 0 if it is to be made.
    pub object: u64,
    /// Why it is not as demanded, sorted.
    pub reasons: Vec<Reason>,
    /// What it was; none if it is to be made.
    pub before: Option<FileState>,
    /// What it is to be.
    pub after: FileState,
    /// It has other names, which may lie outside: it is not changed.
    pub linked: bool,
}

/// A declared path that cannot be dealt with.
#[derive(Debug)]
pub struct PathTrouble {
    /// Index of the manifest.
    pub app: usize,
    /// The line.
    pub origin: Origin,
    /// The path.
    pub path: PathBuf,
    /// What is the matter.
    pub trouble: Trouble,
}

/// What is the matter with a declared path.
#[derive(Debug)]
pub enum Trouble {
    /// It does not exist and is not to be made.
    Missing(PathBuf),
    /// It is something else than declared.
    Kind {
        /// What it is.
        is: Kind,
    },
    /// A link on the way that somebody else could have placed.
    Untrusted(ResolveError),
    /// It could not be looked at.
    Unreadable(String),
    /// It lies below a declared path and could not be looked at. Whoever may write there can bring that about (a folder
    /// too deep, a file system of his own), so it stops nothing else.
    UnreadableBelow(String),
    /// Files that their reader owns: he can change them, whatever their rights say.
    OwnedByReader {
        /// How many, the first among them.
        files: usize,
    },
    /// A folder on the way in which the reader can put another in the place of what he may only read.
    Replaceable {
        /// It.
        folder: PathBuf,
    },
    /// A name that no account has.
    UnknownName {
        /// `user` or `group`.
        what: &'static str,
        /// It.
        name: String,
    },
}

/// What the walk found.
#[derive(Debug, Default)]
pub struct PathDiffs {
    /// Files that differ, by path.
    pub files: BTreeMap<PathBuf, FileDiff>,
    /// Paths that could not be dealt with.
    pub troubles: Vec<PathTrouble>,
    /// Files looked at.
    pub seen: usize,
}

/// One rule, resolved.
struct Compiled {
    app: usize,
    origin: Origin,
    path: PathBuf,
    kind: Kind,
    recursive: bool,
    demands: Vec<Demand>,
    /// A file with several names: device and inode number, as more than one of them may be declared.
    linked: Option<(u64, u64)>,
}

/// Compares everything declared with what is there.
///
/// `homes` are the folders that are to be made beside those declared, with their states, which learn here who must pass
/// through them.
pub fn compare_paths(
    manifests: &[Manifest],
    host: &Host,
    names: &Names,
    homes: BTreeMap<PathBuf, &mut FileState>,
    tick: &dyn Fn(),
) -> PathDiffs {
    let mut diffs = PathDiffs::default();
    let mut searches: BTreeMap<PathBuf, Vec<(usize, Demand)>> = BTreeMap::new();
    // Paths that were reached through links, and the folders that have to stay closed for that.
    let mut relied: Vec<(PathTrouble, Vec<PathBuf>)> = Vec::new();
    let mut starts: Vec<(Compiled, Option<Handle>)> = Vec::new();
    let mut order: Vec<(usize, &PathRule)> =
        manifests.iter().enumerate().flat_map(|(app, m)| m.paths.iter().map(move |r| (app, r))).collect();
    order.sort_by(|a, b| a.1.path.value.cmp(&b.1.path.value));
    // Folders that are to be made, so that what lies in them can be made too.
    let mut made: BTreeSet<PathBuf> = homes.keys().cloned().collect();
    for (app, rule) in order {
        let Some(manifest) = manifests.get(app) else { continue };
        let demands = match demands(manifest, rule, names) {
            Ok(d) => d,
            Err((what, name, origin)) => {
                let trouble = Trouble::UnknownName { what, name };
                diffs.troubles.push(PathTrouble { app, origin, path: rule.path.value.clone(), trouble });
                continue;
            }
        };
        let trouble = |trouble| PathTrouble {
            app,
            origin: rule.path.origin.clone(),
            path: rule.path.value.clone(),
            trouble,
        };
        match find(host, &rule.path.value, rule, &made) {
            Ok(Found::There(r)) => {
                if let Some(kind) = &rule.kind
                    && (kind.value == FileKind::Directory) != (r.meta.kind == Kind::Directory)
                {
                    diffs.troubles.push(trouble(Trouble::Kind { is: r.meta.kind }));
                    continue;
                }
                if !r.relied.is_empty() {
                    relied.push((trouble(Trouble::Missing(PathBuf::new())), r.relied.clone()));
                }
                add_searches(&mut searches, app, &demands, names, r.parents.iter().map(|(p, _)| p));
                diffs.troubles.extend(readers::replaceable(app, rule, &r, &demands));
                starts.push((compiled(app, rule, r.path.clone(), &r.meta, demands), Some(r.handle)));
            }
            Ok(Found::ToMake(path, parents)) => {
                add_searches(&mut searches, app, &demands, names, parents.iter());
                let kind = match rule.kind.as_ref().map(|k| k.value) {
                    Some(FileKind::File) => Kind::File,
                    _ => Kind::Directory,
                };
                if kind == Kind::Directory {
                    made.insert(path.clone());
                }
                starts.push((
                    Compiled {
                        app,
                        origin: rule.origin.clone(),
                        recursive: recursive(rule, kind),
                        path,
                        kind,
                        demands,
                        linked: None,
                    },
                    None,
                ));
            }
            Err(t) => diffs.troubles.push(trouble(t)),
        }
    }
    // Of two rules on one path the recursive one first: the walk goes as deep as the first.
    starts.sort_by(|a, b| (&a.0.path, !a.0.recursive).cmp(&(&b.0.path, !b.0.recursive)));
    let (rules, mut handles): (Vec<Compiled>, Vec<Option<Handle>>) = starts.into_iter().unzip();
    for (i, rule) in rules.iter().enumerate() {
        let handle = handles.get_mut(i).and_then(Option::take);
        let covered = rules.iter().enumerate().any(|(j, r)| {
            (j != i && r.recursive && rule.path.starts_with(&r.path) && r.path != rule.path)
                || (j < i && r.path == rule.path)
        });
        match handle {
            None => make_new(&rules, rule, &mut searches, &mut diffs),
            Some(handle) if !covered => visit(&rules, rule, handle, &mut searches, &mut diffs, tick),
            _ => {}
        }
    }
    for (path, state) in homes {
        let wanted = searches.remove(&path).unwrap_or_default();
        let demands: Vec<&Demand> = wanted.iter().map(|(_, d)| d).collect();
        *state = compare(Kind::Directory, state, &demands).1;
    }
    visit_parents(host, searches, &mut diffs);
    for (trouble, folders) in relied {
        let opened =
            |p: &PathBuf| diffs.files.get(p).is_some_and(|d| !host.root.closed(d.after.uid, d.after.mode));
        if let Some(at) = folders.into_iter().find(opened) {
            let e = ResolveError::LinkIsOpened { path: trouble.path.clone(), folder: at };
            diffs.troubles.push(PathTrouble { trouble: Trouble::Untrusted(e), ..trouble });
        }
    }
    // One change of a file, by whichever of its names comes first.
    let mut seen = BTreeSet::new();
    diffs.files.retain(|_, d| d.before.is_none() || d.linked || seen.insert(d.object));
    diffs
}

enum Found {
    There(Resolved),
    ToMake(PathBuf, Vec<PathBuf>),
}

fn find(host: &Host, path: &Path, rule: &PathRule, made: &BTreeSet<PathBuf>) -> Result<Found, Trouble> {
    let error = match host.root.resolve(path) {
        Ok(r) => return Ok(Found::There(r)),
        Err(e) => e,
    };
    match error {
        ResolveError::NotFound { at } => {
            if !rule.create.as_ref().is_some_and(|c| c.value) {
                return Err(Trouble::Missing(at));
            }
            to_make(host, path, made, at)
        }
        e @ ResolveError::UntrustedLink { .. } => Err(Trouble::Untrusted(e)),
        e => Err(Trouble::Unreadable(e.to_string())),
    }
}

/// What is to be made: the folder above it is there, or is to be made itself.
fn to_make(host: &Host, path: &Path, made: &BTreeSet<PathBuf>, at: PathBuf) -> Result<Found, Trouble> {
    for above in path.ancestors().skip(1) {
        let found = match host.root.resolve(above) {
            Ok(found) if found.meta.kind == Kind::Directory => found,
            Ok(r) => return Err(Trouble::Unreadable(format!("`{}` is not a directory", r.path.display()))),
            Err(e) if e.is_not_found() => continue,
            Err(e @ ResolveError::UntrustedLink { .. }) => return Err(Trouble::Untrusted(e)),
            Err(e) => return Err(Trouble::Unreadable(e.to_string())),
        };
        let mut parents: Vec<PathBuf> = found.parents.into_iter().map(|(p, _)| p).collect();
        let mut here = found.path;
        for name in path.strip_prefix(above).unwrap_or(Path::new("")) {
            parents.push(here.clone());
            here = here.join(name);
        }
        let missing = parents.iter().skip_while(|p| host.root.resolve(p).is_ok());
        let all_made = missing.into_iter().all(|p| made.contains(p));
        return if all_made { Ok(Found::ToMake(here, parents)) } else { Err(Trouble::Missing(at)) };
    }
    Err(Trouble::Missing(at))
}

fn recursive(rule: &PathRule, kind: Kind) -> bool {
    kind == Kind::Directory && rule.recursive.as_ref().map_or(rule.access.is_some(), |r| r.value)
}

fn compiled(app: usize, rule: &PathRule, path: PathBuf, meta: &Meta, demands: Vec<Demand>) -> Compiled {
    let (kind, recursive) = (meta.kind, recursive(rule, meta.kind));
    Compiled { app, origin: rule.origin.clone(), path, kind, recursive, demands, linked: other_names(meta) }
}

/// What tells a file that has several names, if it has.
fn other_names(meta: &Meta) -> Option<(u64, u64)> {
    (meta.kind != Kind::Directory && meta.links > 1).then_some(meta.id)
}

/// Whoever is given a right on a path must be able to reach it.
fn add_searches<'p>(
    searches: &mut BTreeMap<PathBuf, Vec<(usize, Demand)>>,
    app: usize,
    demands: &[Demand],
    names: &Names,
    parents: impl Iterator<Item = &'p PathBuf>,
) {
    let reaching: Vec<Demand> = demands
        .iter()
        .filter_map(|d| {
            let creds = match &d.what {
                What::Access(creds, _) => Some(creds.clone()),
                What::Entry(Tag::User(uid), _) => names.credentials(&names.show_user(*uid)),
                _ => None,
            };
            Some(Demand { origin: d.origin.clone(), what: What::Search(creds?), deep: false })
        })
        .collect();
    for p in parents {
        searches.entry(p.clone()).or_default().extend(reaching.iter().map(|d| (app, d.clone())));
    }
}

type UnknownName = (&'static str, String, Origin);

/// What a rule demands, with names made ids.
fn demands(manifest: &Manifest, rule: &PathRule, names: &Names) -> Result<Vec<Demand>, UnknownName> {
    let mut out = Vec::new();
    let told = rule.recursive.as_ref().map(|r| r.value);
    let mut demand = |origin: &Origin, what| {
        let by_default =
            rule.access.is_some() && !matches!(what, What::Owner(_) | What::Group(_) | What::Mode(_));
        out.push(Demand { origin: origin.clone(), what, deep: told.unwrap_or(by_default) });
    };
    let user = &manifest.app.user;
    if let Some(a) = &rule.access {
        let creds = names
            .credentials(&user.name.value)
            .ok_or_else(|| ("user", user.name.value.clone(), user.name.origin.clone()))?;
        demand(&a.origin, What::Access(creds, a.value));
    }
    if let Some(o) = &rule.owner {
        let uid = names.uid(&o.value).ok_or_else(|| ("user", o.value.clone(), o.origin.clone()))?;
        demand(&o.origin, What::Owner(uid));
    }
    if let Some(g) = &rule.group {
        let gid = names.gid(&g.value).ok_or_else(|| ("group", g.value.clone(), g.origin.clone()))?;
        demand(&g.origin, What::Group(gid));
    }
    if let Some(m) = &rule.mode {
        demand(&m.origin, What::Mode(m.value));
    }
    let tag = |e: &AclEntry, origin: &Origin| match &e.who {
        AclWho::User(n) => names.uid(n).map(Tag::User).ok_or_else(|| ("user", n.clone(), origin.clone())),
        AclWho::Group(n) => names.gid(n).map(Tag::Group).ok_or_else(|| ("group", n.clone(), origin.clone())),
    };
    for e in rule.acl.iter().flat_map(|a| &a.value) {
        demand(&e.origin, What::Entry(tag(&e.value, &e.origin)?, e.value.perms));
    }
    for e in rule.default_acl.iter().flat_map(|a| &a.value) {
        demand(&e.origin, What::DefaultEntry(tag(&e.value, &e.origin)?, e.value.perms));
    }
    if rule.accept.iter().any(|a| a.code.id == crate::report::codes::acl::UNDECLARED_ENTRY.id) {
        demand(&rule.origin, What::ToleratesEntries);
    }
    if rule.accept.iter().any(|a| a.code.id == crate::report::codes::path::OWNED_BY_READER.id) {
        demand(&rule.origin, What::ToleratesOwner);
    }
    Ok(out)
}

/// The rules on `path`, from the widest to the narrowest, and their demands.
///
/// Of a file with several names (`linked`), those on its other declared names too: it has but one mode.
fn rules_on<'r>(
    rules: &'r [Compiled],
    path: &Path,
    linked: Option<(u64, u64)>,
) -> (Vec<&'r Demand>, Option<&'r Compiled>) {
    let mut demands = Vec::new();
    let mut narrowest = None;
    let others: Vec<&Path> = match linked {
        Some(_) => rules.iter().filter(|r| r.linked == linked).map(|r| r.path.as_path()).collect(),
        None => Vec::new(),
    };
    let on = |r: &Compiled, path: &Path| r.path == path || (r.recursive && path.starts_with(&r.path));
    // `rules` is sorted by path, so a prefix comes before what it is a prefix of.
    for r in rules {
        if on(r, path) {
            narrowest = Some(r);
        } else if !others.iter().any(|other| on(r, other)) {
            continue;
        }
        let itself = r.path == path || others.contains(&r.path.as_path());
        demands.extend(r.demands.iter().filter(|d| d.deep || itself));
    }
    (demands, narrowest)
}

fn visit(
    rules: &[Compiled],
    start: &Compiled,
    handle: Handle,
    searches: &mut BTreeMap<PathBuf, Vec<(usize, Demand)>>,
    diffs: &mut PathDiffs,
    tick: &dyn Fn(),
) {
    let mut failures: Vec<(PathBuf, io::Error)> = Vec::new();
    // Most trees are under one rule alone: then there is nothing to look up on the way.
    let alone = rules.iter().filter(|r| r.path.starts_with(&start.path)).count() == 1;
    let below: Vec<&Demand> = start.demands.iter().filter(|d| d.deep).collect();
    let mut failed = |p: &Path, e: io::Error| failures.push((p.to_owned(), e));
    let mut unreadable: Vec<(PathBuf, io::Error)> = Vec::new();
    let mut owned = readers::Owned::default();
    let mut each = |entry: &Entry| {
        tick();
        diffs.seen += 1;
        let extra = searches.remove(&entry.path).unwrap_or_default();
        let looked_up;
        let (mut demands, rule) = if alone && start.recursive && entry.depth > 0 {
            (below.clone(), start)
        } else {
            looked_up = rules_on(rules, &entry.path, other_names(&entry.meta));
            (looked_up.0, looked_up.1.unwrap_or(start))
        };
        demands.extend(extra.iter().map(|(_, d)| d));
        // The owner of a link cannot lead it elsewhere.
        if entry.meta.kind != Kind::Link {
            owned.look(rule.app, &entry.path, entry.meta.uid, &demands);
        }
        match look(entry, &demands) {
            Ok(Some(mut diff)) => {
                diff.app = rule.app;
                diff.rule = rule.origin.clone();
                diff.top.clone_from(&rule.path);
                // Declared by its own path, it is meant whatever other names it has.
                diff.linked &= rule.path != entry.path;
                diffs.files.insert(entry.path.clone(), diff);
            }
            Ok(None) => {}
            Err(e) => unreadable.push((entry.path.clone(), e)),
        }
        start.recursive
    };
    walk(&start.path, handle, &mut each, &mut failed);
    diffs.troubles.extend(owned.troubles());
    for (path, e) in unreadable.into_iter().chain(failures) {
        let trouble = match path == start.path {
            true => Trouble::Unreadable(e.to_string()),
            false => Trouble::UnreadableBelow(e.to_string()),
        };
        diffs.troubles.push(PathTrouble { app: start.app, origin: start.origin.clone(), path, trouble });
    }
}

fn look(entry: &Entry, demands: &[&Demand]) -> io::Result<Option<FileDiff>> {
    let before = FileState::read(&entry.handle, &entry.meta)?;
    let (reasons, after) = compare(entry.meta.kind, &before, demands);
    if reasons.is_empty() {
        return Ok(None);
    }
    // Below a declared folder a name could have been put there to have another file's rights changed.
    let linked = entry.depth > 0 && entry.meta.kind != Kind::Directory && entry.meta.links > 1;
    let device = matches!(entry.meta.kind, Kind::Block | Kind::Character);
    Ok(Some(FileDiff {
        app: 0,
        rule: demands.first().map_or_else(no_origin, |d| d.origin.clone()),
        top: PathBuf::new(),
        path: entry.path.clone(),
        kind: entry.meta.kind,
        object: entry.meta.id.1,
        reasons,
        before: Some(before),
        after,
        linked: linked || (device && entry.depth > 0),
    }))
}

fn no_origin() -> Origin {
    Origin::new(&crate::report::Source::new("", ""), 0..0)
}

fn make_new(
    rules: &[Compiled],
    rule: &Compiled,
    searches: &mut BTreeMap<PathBuf, Vec<(usize, Demand)>>,
    diffs: &mut PathDiffs,
) {
    let kind = rule.kind;
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    let blank = FileState { uid: 0, gid: 0, mode, acl: None, default_acl: None, label: None };
    let extra = searches.remove(&rule.path).unwrap_or_default();
    let (mut demands, narrowest) = rules_on(rules, &rule.path, None);
    demands.extend(extra.iter().map(|(_, d)| d));
    let (reasons, after) = compare(kind, &blank, &demands);
    let rule = narrowest.unwrap_or(rule);
    diffs.files.insert(
        rule.path.clone(),
        FileDiff {
            app: rule.app,
            rule: rule.origin.clone(),
            top: rule.path.clone(),
            path: rule.path.clone(),
            kind,
            object: 0,
            reasons,
            before: None,
            after,
            linked: false,
        },
    );
}

fn visit_parents(host: &Host, searches: BTreeMap<PathBuf, Vec<(usize, Demand)>>, diffs: &mut PathDiffs) {
    for (path, wanted) in searches {
        let Some((app, first)) = wanted.first() else { continue };
        let demands: Vec<&Demand> = wanted.iter().map(|(_, d)| d).collect();
        let looked = host.root.resolve(&path).map_err(io::Error::from).and_then(|r| {
            let Resolved { handle, meta, .. } = r;
            look(&entry_at(&path, handle, meta), &demands)
        });
        match looked {
            Ok(Some(mut diff)) => {
                diff.app = *app;
                diff.top.clone_from(&path);
                diffs.files.insert(path, diff);
            }
            Ok(None) => {}
            Err(e) => diffs.troubles.push(PathTrouble {
                app: *app,
                origin: first.origin.clone(),
                path,
                trouble: Trouble::Unreadable(e.to_string()),
            }),
        }
    }
}

fn entry_at(path: &Path, handle: Handle, meta: Meta) -> Entry {
    Entry { path: path.to_owned(), handle, meta, depth: 0 }
}
