//! The one walk over everything declared: each object is looked at once, by all processors, for owner, mode, ACL and
//! label together, and compared with what all lines that speak of it demand.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::file::{Demand, Difference, Reason, compare};
use super::label_rules::{Asker, Decides, Rule, Rules};
use super::labels::{Others, wanted};
use super::paths::{Compiled, FileDiff, PathTrouble, Trouble, other_names};
use super::readers::Owned;
use crate::host::FileState;
use crate::report::Origin;
use crate::sys::mounts::Mount;
use crate::sys::scan::{Options, Seen, Start, Visit, scan};
use crate::sys::{Handle, Kind, Meta};

/// Folders deeper than this below a declared one are told of instead of entered: each file in them would have to be
/// reached by as many steps again when it is changed.
const MAX_DEPTH: usize = 512;

/// Who must be able to pass through a folder, and for which manifest's sake.
pub(super) type Searches = BTreeMap<PathBuf, Vec<(usize, Demand)>>;

/// Everything that is demanded of files that are there.
pub(super) struct Declared<'d, 'l, 'm> {
    /// Rules on paths, sorted by path.
    pub(super) rules: &'d [Compiled],
    /// Folders on the way to declared paths.
    pub(super) searches: &'d Searches,
    /// What the kernel says in place of a label that it does not tell.
    pub(super) hidden: Option<&'d [u8]>,
    /// Rules on labels.
    pub(super) labels: Option<&'l Rules<'m>>,
    /// The folders, without links, that the labels' patterns begin with, sorted, none in another; with a rule each.
    pub(super) stems: Vec<(PathBuf, &'l Rule<'m>)>,
}

/// What was seen.
#[derive(Default)]
pub(super) struct Found<'l, 'm> {
    /// Files that differ.
    pub(super) files: BTreeMap<PathBuf, FileDiff>,
    /// What could not be looked at.
    pub(super) troubles: Vec<PathTrouble>,
    /// Folders of `searches` that were on the way.
    pub(super) reached: Vec<PathBuf>,
    /// Files that their reader owns.
    pub(super) owned: Owned,
    /// Files of which a declared specification speaks, and another decides.
    pub(super) others: Others<'l, 'm>,
    /// Objects looked at.
    pub(super) seen: usize,
}

/// Where the walk begins: a declared path, or the folder that a label's pattern begins with.
pub(super) struct Top {
    /// It, without links.
    pub(super) path: PathBuf,
    /// It.
    pub(super) handle: Handle,
    /// Whether all below it is declared too.
    pub(super) deep: bool,
}

/// Looks at all of them. `tick` is called with how many objects were looked at since its last call.
pub(super) fn look_at<'l, 'm>(
    declared: &Declared<'_, 'l, 'm>,
    mut tops: Vec<Top>,
    tick: &dyn Fn(u64),
) -> Found<'l, 'm> {
    // What lies in a folder that is looked at whole is seen with it.
    tops.sort_by(|a, b| (&a.path, !a.deep).cmp(&(&b.path, !b.deep)));
    let mut whole: Option<PathBuf> = None;
    let mut last: Option<PathBuf> = None;
    let mut starts = Vec::new();
    for top in tops {
        if last.as_ref() == Some(&top.path) || whole.as_ref().is_some_and(|w| top.path.starts_with(w)) {
            continue;
        }
        if top.deep {
            whole = Some(top.path.clone());
        }
        last = Some(top.path.clone());
        starts.push(Start { path: top.path, handle: top.handle });
    }
    let mut found = Found::default();
    for look in scan(starts, Options::default(), &|| Look::new(declared), tick) {
        found.add(look.found);
    }
    // The threads' order is nobody's concern.
    found.troubles.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl<'l, 'm> Found<'l, 'm> {
    fn add(&mut self, other: Found<'l, 'm>) {
        self.files.extend(other.files);
        self.troubles.extend(other.troubles);
        self.reached.extend(other.reached);
        self.owned.add(other.owned);
        self.others.merge(other.others);
        self.seen += other.seen;
    }
}

impl<'d, 'l, 'm> Declared<'d, 'l, 'm> {
    /// The rules on `path`, from the widest to the narrowest, and their demands.
    ///
    /// Of a file with several names (`linked`), those on its other declared names too: it has but one mode.
    pub(super) fn rules_on(
        &self,
        path: &Path,
        linked: Option<(u64, u64)>,
    ) -> (Vec<&'d Demand>, Option<&'d Compiled>) {
        let mut demands = Vec::new();
        let mut narrowest = None;
        let others: Vec<&Path> = match linked {
            Some(_) => self.rules.iter().filter(|r| r.linked == linked).map(|r| r.path.as_path()).collect(),
            None => Vec::new(),
        };
        let on = |r: &Compiled, path: &Path| r.path == path || (r.recursive && path.starts_with(&r.path));
        // They are sorted by path, so a prefix comes before what it is a prefix of.
        for r in self.rules {
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

    /// A label rule of the stem that `path` lies at or below.
    fn label_rule(&self, path: &Path) -> Option<&(PathBuf, &'l Rule<'m>)> {
        self.stems.iter().find(|(stem, _)| path.starts_with(stem))
    }

    /// Whether something declared lies below a folder.
    fn any_below(&self, folder: &Path) -> bool {
        let below = |path: &Path| path.starts_with(folder) && path != folder;
        let from = self.rules.partition_point(|r| r.path.as_path() <= folder);
        let search = self.searches.range::<Path, _>((Bound::Excluded(folder), Bound::Unbounded)).next();
        self.rules.get(from).is_some_and(|r| below(&r.path))
            || search.is_some_and(|(path, _)| below(path))
            || self.stems.iter().any(|(stem, _)| below(stem))
    }
}

/// One object with all that is demanded of it.
pub(super) struct Looked<'l> {
    pub(super) path: &'l Path,
    pub(super) kind: Kind,
    pub(super) meta: &'l Meta,
    pub(super) before: FileState,
}

impl Looked<'_> {
    /// How it differs from what the demands and a label rule want, under the rule of `whose`.
    pub(super) fn differs(
        self,
        demands: &[&Demand],
        (app, rule, top): (usize, &Origin, &Path),
        label: Option<Reason>,
    ) -> Option<FileDiff> {
        let (mut reasons, mut after) = compare(self.kind, &self.before, demands);
        if let Some(reason) = label {
            if let Difference::Label { should, .. } = &reason.what {
                after.label = Some(should.clone());
            }
            reasons.push(reason);
        }
        if reasons.is_empty() {
            return None;
        }
        // Below a declared folder a name could have been put there to have another file's rights changed. Declared by its
        // own path it is meant, whatever other names it has.
        let device = matches!(self.kind, Kind::Block | Kind::Character);
        let linked = top != self.path && (other_names(self.meta).is_some() || device);
        Some(FileDiff {
            app,
            rule: rule.clone(),
            top: top.to_owned(),
            path: self.path.to_owned(),
            kind: self.kind,
            object: self.meta.id.1,
            reasons,
            before: Some(self.before),
            after,
            linked,
        })
    }
}

/// What holds for all that lies directly in a folder, where nothing declared lies below it.
struct Folder<'d> {
    path: Vec<u8>,
    demands: Vec<&'d Demand>,
    rule: Option<&'d Compiled>,
    labelled: bool,
}

/// What one thread does.
struct Look<'d, 'l, 'm> {
    declared: &'d Declared<'d, 'l, 'm>,
    asker: Option<Asker<'l, 'm>>,
    /// That of the object looked at last.
    folder: Option<Folder<'d>>,
    found: Found<'l, 'm>,
}

impl<'d, 'l, 'm> Look<'d, 'l, 'm> {
    fn new(declared: &'d Declared<'d, 'l, 'm>) -> Self {
        let asker = declared.labels.map(Rules::asker);
        Look { declared, asker, folder: None, found: Found::default() }
    }

    /// Learns what holds for the objects of a folder, if that is the same for all.
    fn enter_folder(&mut self, folder: &Path) {
        let bytes = folder.as_os_str().as_bytes();
        if self.folder.as_ref().is_some_and(|f| f.path == bytes) {
            return;
        }
        self.folder = (!self.declared.any_below(folder)).then(|| {
            let over: Vec<&Compiled> =
                self.declared.rules.iter().filter(|r| r.recursive && folder.starts_with(&r.path)).collect();
            Folder {
                path: bytes.to_vec(),
                demands: over.iter().flat_map(|r| &r.demands).filter(|d| d.deep).collect(),
                rule: over.last().copied(),
                labelled: self.declared.label_rule(folder).is_some(),
            }
        });
    }

    fn object(&mut self, seen: &Seen<'_>, path: &Path) -> io::Result<()> {
        let alone = seen.depth > 0 && other_names(&seen.meta).is_none();
        if let (true, Some(folder)) = (alone, path.parent()) {
            self.enter_folder(folder);
        }
        let whole = self.declared;
        let (looked_up, searched);
        let (demands, rule, labelled) = match self.folder.as_ref().filter(|_| alone) {
            Some(f) => {
                (f.demands.as_slice(), f.rule.map(|r| (r.app, &r.origin, r.path.as_path())), f.labelled)
            }
            None => {
                let (mut demands, rule) = whole.rules_on(path, other_names(&seen.meta));
                searched = whole.searches.get(path);
                demands.extend(searched.into_iter().flatten().map(|(_, d)| d));
                if searched.is_some() {
                    self.found.reached.push(path.to_owned());
                }
                looked_up = demands;
                let rule = rule.map(|r| (r.app, &r.origin, r.path.as_path()));
                let first = searched.and_then(|s| s.first()).map(|(app, d)| (*app, &d.origin, path));
                (looked_up.as_slice(), rule.or(first), whole.label_rule(path).is_some())
            }
        };
        // The owner of a link cannot lead it elsewhere.
        if let Some((app, ..)) = rule.filter(|_| seen.meta.kind != Kind::Link) {
            self.found.owned.look(app, path, seen.meta.uid, demands);
        }
        let mut label = None;
        if labelled && let Some(asker) = &mut self.asker {
            match asker.ask(path, seen.meta.kind) {
                None => {}
                Some(Decides::Declared(rule)) => {
                    let is = seen.attributes.label();
                    let should = wanted(is, rule);
                    if is.is_some() && is == whole.hidden {
                        self.found.others.add_hidden(rule, path);
                    } else if is != Some(should.as_slice()) {
                        let what = Difference::Label { is: is.map(<[u8]>::to_vec), should };
                        label = Some((rule, Reason { origin: Some(rule.rule.setype.origin.clone()), what }));
                    }
                }
                Some(other) => self.found.others.add(other, path),
            }
        }
        let whose = rule.or_else(|| label.as_ref().map(|(r, _)| (r.app, &r.rule.origin, r.stem.as_path())));
        let Some(whose) = whose.filter(|_| !demands.is_empty() || label.is_some()) else { return Ok(()) };
        let before = FileState::of(&seen.meta, seen.attributes)?;
        let looked = Looked { path, kind: seen.meta.kind, meta: &seen.meta, before };
        if let Some(diff) = looked.differs(demands, whose, label.map(|(_, reason)| reason)) {
            self.found.files.insert(path.to_owned(), diff);
        }
        Ok(())
    }

    fn trouble(&mut self, path: &Path, error: &io::Error) {
        let rule = self.declared.rules_on(path, None).1.map(|r| (r.app, &r.origin, r.path == path));
        let label = || self.declared.label_rule(path).map(|(_, r)| (r.app, &r.rule.paths.origin, false));
        let Some((app, origin, itself)) = rule.or_else(label) else { return };
        let what = error.to_string();
        let trouble = if itself { Trouble::Unreadable(what) } else { Trouble::UnreadableBelow(what) };
        self.found.troubles.push(PathTrouble { app, origin: origin.clone(), path: path.to_owned(), trouble });
    }
}

impl Visit for Look<'_, '_, '_> {
    fn see(&mut self, seen: &Seen<'_>) -> bool {
        let path = Path::new(OsStr::from_bytes(seen.path));
        self.found.seen += 1;
        if let Err(e) = self.object(seen, path) {
            self.trouble(path, &e);
        }
        if seen.meta.kind != Kind::Directory {
            return false;
        }
        if seen.depth >= MAX_DEPTH {
            self.trouble(path, &io::Error::other(format!("more than {MAX_DEPTH} levels deep")));
            return false;
        }
        // Below a start everything is declared, or it would not have been entered.
        seen.depth > 0
            || self.declared.label_rule(path).is_some()
            || self.declared.rules.iter().any(|r| r.recursive && r.path == path)
    }

    fn enter(&mut self, _: &[u8], _: Option<&Mount>) -> bool {
        true
    }

    fn failed(&mut self, path: &[u8], error: io::Error) {
        self.trouble(Path::new(OsStr::from_bytes(path)), &error);
    }
}
