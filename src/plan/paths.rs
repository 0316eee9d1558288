//! `[[path]]` and `[[selinux.label]]` × the file system: what is declared becomes demands on paths, one walk compares
//! each file with all that is demanded of it, and what is not there is to be made.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{Demand, Reason, What, compare};
use super::label_rules::Rules;
use super::labels;
use super::look::{Declared, Looked, Searches, Top, look_at};
use super::names::Names;
use super::readers;
use crate::grants::acl::Tag;
use crate::host::{FileState, Host};
use crate::manifest::{AclEntry, AclWho, FileKind, Manifest, PathRule};
use crate::report::Origin;
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
pub(super) struct Compiled {
    pub(super) app: usize,
    pub(super) origin: Origin,
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) recursive: bool,
    pub(super) demands: Vec<Demand>,
    /// A file with several names: device and inode number, as more than one of them may be declared.
    pub(super) linked: Option<(u64, u64)>,
}

/// Compares everything declared with what is there.
///
/// `homes` are the folders that are to be made beside those declared, with their states, which learn here who must pass
/// through them. What is declared of labels that something else decides comes back with what differs.
pub(super) fn compare_paths<'a, 'm>(
    manifests: &[Manifest],
    host: &Host,
    names: &Names,
    homes: BTreeMap<PathBuf, &mut FileState>,
    labels: Option<&'a Rules<'m>>,
    tick: &dyn Fn(u64),
) -> (PathDiffs, labels::Others<'a, 'm>) {
    let mut diffs = PathDiffs::default();
    let mut searches = Searches::new();
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
                let user = names.credentials(&manifest.app.user.name.value);
                diffs.troubles.extend(readers::replaceable(app, rule, user.as_ref(), &r, &demands));
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
    // Of two rules on one path the recursive one first.
    starts.sort_by(|a, b| (&a.0.path, !a.0.recursive).cmp(&(&b.0.path, !b.0.recursive)));
    let (rules, handles): (Vec<Compiled>, Vec<Option<Handle>>) = starts.into_iter().unzip();
    let (stems, label_tops) = labels::tops(labels, host, &mut diffs.troubles);
    let declared =
        Declared { rules: &rules, searches: &searches, hidden: host.root.hidden_label(), labels, stems };
    let mut reached: Vec<PathBuf> = Vec::new();
    let mut tops = label_tops;
    for (rule, handle) in rules.iter().zip(handles) {
        match handle {
            None => {
                make_new(&declared, rule, &mut diffs);
                reached.push(rule.path.clone());
            }
            Some(handle) => {
                tops.push(Top { path: rule.path.clone(), handle, deep: rule.recursive });
            }
        }
    }
    let found = look_at(&declared, tops, tick);
    diffs.files.extend(found.files);
    diffs.seen += found.seen;
    diffs.troubles.extend(found.owned.troubles());
    diffs.troubles.extend(found.troubles);
    if let Some(labels) = labels {
        labels::label_new_files(&mut labels.asker(), &mut diffs);
    }
    let others = found.others;
    for path in reached.into_iter().chain(found.reached) {
        searches.remove(&path);
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
    (diffs, others)
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
pub(super) fn other_names(meta: &Meta) -> Option<(u64, u64)> {
    (meta.kind != Kind::Directory && meta.links > 1).then_some(meta.id)
}

/// Whoever is given a right on a path must be able to reach it.
fn add_searches<'p>(
    searches: &mut Searches,
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

/// What is declared and not there, as it is to be made.
fn make_new(declared: &Declared<'_, '_, '_>, rule: &Compiled, diffs: &mut PathDiffs) {
    let kind = rule.kind;
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    let blank = FileState { uid: 0, gid: 0, mode, acl: None, default_acl: None, label: None };
    let (mut demands, narrowest) = declared.rules_on(&rule.path, None);
    demands.extend(declared.searches.get(&rule.path).into_iter().flatten().map(|(_, d)| d));
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

/// The folders on the way that no declared path holds.
fn visit_parents(host: &Host, searches: Searches, diffs: &mut PathDiffs) {
    for (path, wanted) in searches {
        let Some((app, first)) = wanted.first() else { continue };
        let demands: Vec<&Demand> = wanted.iter().map(|(_, d)| d).collect();
        let looked = host.root.resolve(&path).map_err(io::Error::from).and_then(|r| {
            let before = FileState::read(&r.handle, &r.meta)?;
            let looked = Looked { path: &path, kind: r.meta.kind, meta: &r.meta, before };
            Ok(looked.differs(&demands, (*app, &first.origin, &path), None))
        });
        match looked {
            Ok(Some(diff)) => {
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
