//! The whole plan: everything that differs, in order, and the changes that mend it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::change::Change;
use super::item::{Fix, Item};
use super::label_rules::Rules;
use super::{Names, accounts, grants, home, labels, orphans, path_items, paths, store};
use crate::escalation::{Way, World, sudo_tree};
use crate::host::Host;
use crate::host::selinux::Selinux;
use crate::manifest::Manifest;
use crate::report::codes::{excess, root as root_codes};
use crate::report::{Class, Finding};

/// What differs between manifests and a host, and how it is mended.
#[derive(Debug)]
pub struct Plan {
    /// The manifests.
    pub manifests: Vec<Manifest>,
    /// What differs, by application and in the order of its manifest.
    pub items: Vec<Item>,
    /// Whole files that are rewritten (sudoers, doas.conf), each once whatever the number of items behind it.
    pub contents: BTreeMap<PathBuf, Change>,
    /// How each application's user can become root, where it can and its manifest does not accept that: the index of the
    /// manifest, and the shortest way.
    pub ways: Vec<(usize, Way)>,
    /// Files looked at.
    pub seen: usize,
    /// Applications whose manifests are gone, and that have something left; items' `app` goes on here after the manifests.
    pub orphans: Vec<String>,
}

impl Plan {
    /// Compares manifests with a host. `tick` is called with how many files were looked at
    /// since its last call.
    pub fn make(manifests: Vec<Manifest>, host: &mut Host, tick: &dyn Fn(u64)) -> Plan {
        Plan::of(manifests, host, false, tick)
    }

    /// As [`Plan::make`], of all manifests that there are: what `perms` wrote for any other application goes.
    pub fn make_whole(manifests: Vec<Manifest>, host: &mut Host, tick: &dyn Fn(u64)) -> Plan {
        Plan::of(manifests, host, true, tick)
    }

    fn of(manifests: Vec<Manifest>, host: &mut Host, whole: bool, tick: &dyn Fn(u64)) -> Plan {
        let mut names = Names::new(&host.accounts);
        let mut items = accounts::compare_accounts(&manifests, &mut host.accounts, &mut names);
        let mut homes = home::compare_homes(&manifests, host, &names);
        let to_make = home::to_make(&mut homes);
        let selinux = match manifests.iter().any(|m| m.selinux.is_some()) {
            true => Selinux::observe(&host.root),
            false => Selinux::default(),
        };
        let rules = Rules::new(&manifests, host, &selinux);
        let (diffs, others) = paths::compare_paths(&manifests, host, &names, to_make, rules.as_ref(), tick);
        items.extend(homes);
        items.extend(rules.iter().flat_map(|r| labels::items(r, &others, &manifests, host, &selinux)));
        let seen = diffs.seen;
        items.extend(path_items::items(&manifests, diffs, &names));
        items.extend(store::compare_store(&manifests, host, &selinux));
        let (grant_items, mut contents) = grants::compare_grants(&manifests, host, &names);
        items.extend(grant_items);
        let orphans = match whole {
            true => orphans::find(&manifests, host, &mut contents),
            false => orphans::Orphans::default(),
        };
        items.extend(orphans.items);
        items.sort_by_key(|i| (i.app, i.origin.as_ref().map_or(usize::MAX, |o| o.start)));
        let ways = ways(&manifests, host);
        Plan { manifests, items, contents, ways, seen, orphans: orphans.apps }
    }

    /// All changes, in the order in which they are made.
    pub fn changes(&self) -> Vec<Change> {
        let mut store = Vec::new();
        let mut changes: Vec<Change> = Vec::new();
        for c in self.items.iter().flat_map(|i| match &i.fix {
            Fix::Changes(c) => c.as_slice(),
            _ => &[],
        }) {
            match c {
                // One transaction for the whole store.
                Change::Store { edits } => store.extend(edits.iter().cloned()),
                c => changes.push(c.clone()),
            }
        }
        if !store.is_empty() {
            changes.push(Change::Store { edits: store });
        }
        changes.extend(self.contents.values().cloned());
        // Folders before what lies in them, whatever the order of manifests and their lines.
        changes.sort_by(|a, b| {
            let made = |c: &Change| matches!(c, Change::Make { .. }).then(|| c.path().map(Path::to_owned));
            (a.rank(), made(a)).cmp(&(b.rank(), made(b)))
        });
        changes
    }

    /// Items that stop the whole plan from being carried out.
    pub fn blocked(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|i| matches!(i.fix, Fix::Blocked))
    }

    /// The ways to root that are news: a rule that nobody declared says of itself what it comes to.
    pub fn ways_to_tell(&self) -> impl Iterator<Item = (usize, &Way)> {
        self.ways.iter().filter(|(app, w)| !is_told(&self.items, *app, w)).map(|(app, w)| (*app, w))
    }

    /// The names of the applications.
    pub fn apps(&self) -> Vec<String> {
        self.manifests.iter().map(|m| m.app.name.value.clone()).chain(self.orphans.iter().cloned()).collect()
    }

    /// The name of the application with this index.
    pub fn app_name(&self, app: usize) -> &str {
        let gone =
            || app.checked_sub(self.manifests.len()).and_then(|n| self.orphans.get(n)).map(String::as_str);
        self.manifests.get(app).map(|m| m.app.name.value.as_str()).or_else(gone).unwrap_or_default()
    }

    /// All findings, the most telling first within each application.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.items.iter().flat_map(|i| &i.findings).collect();
        all.sort_by_key(|f| {
            let rank = match f.class {
                Class::Excess => 0,
                Class::Wrong => 1,
                Class::Missing => 2,
                Class::Risk => 3,
                Class::Unchecked => 4,
            };
            (&f.app, rank)
        });
        all
    }

    /// The exit status that the findings come to: 4 missing or wrong, 8 excess, 16 not checked, added up.
    pub fn status(&self) -> u8 {
        self.items.iter().flat_map(|i| &i.findings).fold(0, |bits, f| bits | f.class.exit_bit())
    }
}

/// How the applications' users can become root, on the host as it is and by what is declared.
fn ways(manifests: &[Manifest], host: &Host) -> Vec<(usize, Way)> {
    let world = World::new(host, manifests, sudo_tree(host));
    let accepts = |m: &Manifest| m.app.accept.iter().any(|a| a.code.id == root_codes::PATH.id);
    let apps = manifests.iter().enumerate().filter(|(_, m)| !accepts(m));
    apps.filter_map(|(app, m)| Some((app, world.of_app(m)?))).collect()
}

/// Whether a way of one step is an undeclared rule that is an item anyway, with what it comes to.
fn is_told(items: &[Item], app: usize, way: &Way) -> bool {
    let [step] = way.steps.as_slice() else { return false };
    let Some(place) = step.place.as_ref().filter(|_| step.code.id != excess::WEAK_COMMAND.id) else {
        return false;
    };
    let file = place.rsplit_once(':').map_or(place.as_str(), |(file, _)| file);
    let findings = items.iter().filter(|i| i.app == app).flat_map(|i| &i.findings);
    findings.into_iter().any(|f| f.place == *place || f.place == file)
}
