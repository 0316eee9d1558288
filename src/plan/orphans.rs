//! What `perms` wrote for applications whose manifests are not there any more: fragments of sudoers, blocks of doas.conf, rules of
//! polkit, modules. Told from others' by the heading that `perms` puts on what is its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::change::{Change, StoreEdit};
use super::grant_files::{content_change, diff, header};
use super::item::{Fix, Item, Sign};
use super::modules;
use crate::grants::doas;
use crate::grants::sudoers::Files as _;
use crate::host::Host;
use crate::host::grants::{DOAS_CONF, HostFiles, SUDOERS_D};
use crate::host::polkit::{RULES_D, own_path};
use crate::host::selinux::Selinux;
use crate::manifest::Manifest;
use crate::report::codes::{doas as doas_codes, module, polkit, sudo};
use crate::report::{Class, Code, Finding};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// The applications that are gone; an item's `app` is its place here, after all manifests.
    pub(super) apps: Vec<String>,
    pub(super) items: Vec<Item>,
}

/// Looks for what is left. `contents` are the files that the plan rewrites anyway, and gets those that go.
///
/// Only for a plan of all manifests: of one that was named, the others are not gone.
pub(super) fn find(manifests: &[Manifest], host: &Host, contents: &mut BTreeMap<PathBuf, Change>) -> Orphans {
    let known: BTreeSet<&str> = manifests.iter().map(|m| m.app.name.value.as_str()).collect();
    let mut f = Finder { known, first: manifests.len(), host, found: Orphans::default() };
    f.files(SUDOERS_D, "# ", "sudo", &sudo::LEFT_OVER, contents, |app| Path::new(SUDOERS_D).join(app));
    f.files(RULES_D, "// ", "polkit", &polkit::LEFT_OVER, contents, own_path);
    f.blocks(contents);
    f.modules();
    f.found
}

struct Finder<'a> {
    known: BTreeSet<&'a str>,
    /// The number of manifests.
    first: usize,
    host: &'a Host,
    found: Orphans,
}

impl Finder<'_> {
    fn push(
        &mut self,
        app: &str,
        area: &'static str,
        code: Code,
        place: String,
        details: Vec<String>,
        fix: Fix,
    ) {
        let apps = &mut self.found.apps;
        let n = apps.iter().position(|a| a == app).unwrap_or_else(|| {
            apps.push(app.to_owned());
            apps.len() - 1
        });
        let f = Finding::new(code, Class::Excess, app, &place)
            .is("there", format!("not there: no manifest is named {app}"))
            .remedy("perms apply removes it; or put the manifest back");
        self.found.items.push(Item {
            app: self.first + n,
            sign: Sign::Remove,
            area,
            subject: place,
            origin: None,
            details,
            findings: vec![f],
            fix,
        });
    }

    /// Whole files of one folder.
    fn files(
        &mut self,
        folder: &str,
        comment: &str,
        area: &'static str,
        code: Code,
        contents: &mut BTreeMap<PathBuf, Change>,
        path_of: impl Fn(&str) -> PathBuf,
    ) {
        let files = HostFiles::new(&self.host.root);
        let Ok(list) = files.list(Path::new(folder)) else { return };
        for name in &list.names {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let path = Path::new(folder).join(name);
            let Ok(text) = files.read(&path) else { continue };
            // The application's name stands in the heading, and gives the file its name.
            let Some(app) = named(&text.bytes, comment).filter(|app| path_of(app) == path) else { continue };
            if self.known.contains(app.as_str()) {
                continue;
            }
            contents.extend(content_change(self.host, path.clone(), None));
            self.push(&app, area, code, path.display().to_string(), diff(&text.bytes, b""), Fix::Content);
        }
    }

    fn blocks(&mut self, contents: &mut BTreeMap<PathBuf, Change>) {
        let real = self.host.root.resolve(Path::new(DOAS_CONF)).map_or_else(|_| DOAS_CONF.into(), |r| r.path);
        let planned = match contents.get(&real) {
            Some(Change::Content { after, .. }) => after.as_ref().map(|a| a.content.clone()),
            _ => HostFiles::new(&self.host.root).read(Path::new(DOAS_CONF)).ok().map(|t| t.bytes.to_vec()),
        };
        let Some(mut text) = planned else { return };
        let mut changed = false;
        for app in doas::block_names(&text) {
            if self.known.contains(app.as_str()) {
                continue;
            }
            // Markers that do not pair are told where a manifest needs the file.
            let (Ok(Some(range)), Ok(new)) = (doas::find_block(&text, &app), doas::remove_block(&text, &app))
            else {
                continue;
            };
            let details = diff(text.get(range).unwrap_or_default(), b"");
            let place = format!("{DOAS_CONF}, block of {app}");
            self.push(&app, "doas", &doas_codes::LEFT_OVER, place, details, Fix::Content);
            text = new;
            changed = true;
        }
        if changed {
            contents.extend(content_change(self.host, PathBuf::from(DOAS_CONF), Some(text)));
        }
    }

    fn modules(&mut self) {
        let selinux = Selinux::observe(&self.host.root);
        for (name, app, image) in modules::of_perms(&selinux, &self.host.root) {
            if !self.known.contains(app.as_str()) {
                let edits = vec![StoreEdit::Module { name: name.clone(), before: Some(image), after: None }];
                let fix = Fix::Changes(vec![Change::Store { edits }]);
                self.push(&app, "module", &module::UNDECLARED, format!("module {name}"), Vec::new(), fix);
            }
        }
    }
}

/// The application that the first line of a file says it was written for.
fn named(text: &[u8], comment: &str) -> Option<String> {
    let line = std::str::from_utf8(text.split(|b| *b == b'\n').next()?).ok()?;
    let app = line.strip_prefix(comment)?.strip_prefix("perms: ")?.split_once(". ")?.0;
    line.strip_prefix(comment)?.starts_with(&header(app)).then(|| app.to_owned())
}
