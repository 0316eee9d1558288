//! `[[selinux.module]]` × the modules of the policy store, by content.

use std::collections::{BTreeSet, HashMap};

use super::accounts::finding;
use super::change::{Change, ModuleBuild, ModuleImage, StoreEdit};
use super::item::{Fix, Sign};
use super::store::Comparison;
use crate::host::selinux::Selinux;
use crate::host::store_modules::StoreModule;
use crate::manifest::{Manifest, ModuleLanguage, ModuleRule};
use crate::report::codes::{label, module as codes};
use crate::report::{Class, Code, Finding, nearest};
use crate::selinux::module::installed::{self, PRIORITY, heading};
use crate::sys::Root;

/// Modules up to this priority are a distribution's: its policy, and packages that extend it.
const DISTRIBUTION: u16 = 200;

/// The types and booleans that the declared modules define: other rules may name them before they are installed.
pub(super) fn coming(manifests: &[Manifest]) -> BTreeSet<String> {
    let modules = manifests.iter().filter_map(|m| m.selinux.as_ref()).flat_map(|s| &s.modules);
    modules.flat_map(|m| &m.sources).flat_map(|s| installed::defined(s.language.word(), &s.text)).collect()
}

/// Compares all declared modules with the store's.
pub(super) fn compare(c: &mut Comparison<'_>, manifests: &[Manifest]) {
    let mut declared: BTreeSet<&str> = BTreeSet::new();
    for (app, m) in manifests.iter().enumerate() {
        for rule in m.selinux.iter().flat_map(|s| &s.modules) {
            declared.insert(&rule.name.value);
            module(c, app, m, rule);
        }
    }
    undeclared(c, manifests, &declared);
}

fn module(c: &mut Comparison<'_>, app: usize, m: &Manifest, rule: &ModuleRule) {
    let name = &rule.name.value;
    let place = format!("module {name}");
    let origin = &rule.name.origin;
    let tell = |code: Code, class: Class, is: String, should: &str| -> Finding {
        finding(m, code, class, &place, Some(origin)).is(is, should)
    };
    let others = c.selinux.modules().iter().filter(|o| o.name == *name && o.priority != PRIORITY);
    for other in others {
        let p = other.priority;
        let (f, fix) = if p <= DISTRIBUTION {
            let f = tell(
                &codes::HIDES,
                Class::Wrong,
                format!("the policy has a module of this name (priority {p})"),
                "a name of its own",
            )
            .why(format!("at priority {PRIORITY} it would take that one's place, with all its rules"))
            .remedy("give the module, and its files, another name");
            (f, Fix::Blocked)
        } else if p > PRIORITY {
            let f = tell(
                &codes::HIDDEN,
                Class::Wrong,
                format!("another one, at priority {p}, is in force in its place"),
                "in force",
            )
            .remedy(format!("semodule -X {p} -r {name}"));
            (f, Fix::ByHand)
        } else {
            // One that was installed by hand: ours takes its place.
            continue;
        };
        let blocked = matches!(fix, Fix::Blocked);
        c.push(app, Sign::Attention, place.clone(), f, fix, origin);
        if blocked {
            return;
        }
    }
    let there = c.selinux.module(name, PRIORITY);
    if c.selinux.modules().iter().any(|o| o.name == *name && o.disabled) {
        let f = tell(&codes::DISABLED, Class::Wrong, "disabled (semodule -d)".into(), "enabled")
            .remedy("perms apply");
        let edits = vec![StoreEdit::Enable { module: name.clone() }];
        c.push(app, Sign::Change, place.clone(), f, Fix::Changes(vec![Change::Store { edits }]), origin);
    }
    if lacks_types(c, app, m, rule) {
        return;
    }
    let build = ModuleBuild {
        app: m.app.name.value.clone(),
        sources: rule.sources.iter().map(|s| (s.language.word().to_owned(), s.text.clone())).collect(),
        built: None,
    };
    let files: Vec<&str> = rule.sources.iter().map(|s| s.file.value.as_str()).collect();
    let should = format!("built from {}", files.join(" and "));
    let before = match there.map(|t| image(c, t)).transpose() {
        Ok(before) => before,
        Err(why) => {
            let f = tell(&codes::UNCHECKED, Class::Unchecked, format!("not known: {why}"), &should)
                .remedy("run as root");
            return c.push(app, Sign::Attention, place, f, Fix::ByHand, origin);
        }
    };
    let (code, class, is): (Code, _, _) = match before.as_ref().map(|b| heading(&b.content)) {
        None => (&codes::MISSING, Class::Missing, "not in the policy store".to_owned()),
        Some(None) => {
            (&codes::ALTERED, Class::Wrong, format!("one that perms did not install (priority {PRIORITY})"))
        }
        Some(Some(h)) if !h.whole => {
            (&codes::ALTERED, Class::Wrong, "changed since perms installed it".to_owned())
        }
        Some(Some(h)) if h.sources != build.digest() => {
            (&codes::OLDER, Class::Wrong, "built from another text of its source".to_owned())
        }
        Some(Some(_)) => return,
    };
    let sign = if before.is_some() { Sign::Change } else { Sign::Add };
    let f = tell(code, class, is, &should).remedy("perms apply");
    let edits = vec![StoreEdit::Module { name: name.clone(), before, after: Some(build) }];
    c.push(app, sign, place, f, Fix::Changes(vec![Change::Store { edits }]), origin);
}

/// Says which types a module requires and nobody has: semanage would only say in which line of what it made of it.
fn lacks_types(c: &mut Comparison<'_>, app: usize, m: &Manifest, rule: &ModuleRule) -> bool {
    let te = rule.sources.iter().filter(|s| s.language == ModuleLanguage::Te);
    let required: BTreeSet<String> = te.flat_map(|s| installed::required(&s.text)).collect();
    let Ok(policy) = c.selinux.policy(&c.host.root) else { return false };
    let lacking: Vec<(String, Option<String>)> = required
        .into_iter()
        .filter(|t| policy.types().find(t).is_none() && !c.coming.contains(t))
        .map(|t| {
            let near =
                nearest(&t, policy.types().records().iter().map(|r| r.name.as_ref())).map(str::to_owned);
            (t, near)
        })
        .collect();
    for (name, near) in &lacking {
        let place = format!("module {}: type {name}", rule.name.value);
        let f = finding(m, &label::UNKNOWN_NAME, Class::Wrong, &place, Some(&rule.name.origin))
            .is("required by the module and unknown to the policy", "a type that the policy has")
            .remedy(near.as_ref().map_or_else(
                || "mend the name, or install the module that defines it".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ));
        c.push(app, Sign::Attention, place, f, Fix::Blocked, &rule.name.origin);
    }
    !lacking.is_empty()
}

/// The modules that perms installed: name, application, and what is there.
pub(super) fn of_perms(selinux: &Selinux, root: &Root) -> Vec<(String, String, ModuleImage)> {
    let at_ours = selinux.modules().iter().filter(|m| m.priority == PRIORITY);
    at_ours
        .filter_map(|m| {
            let (language, content) = m.content(root).ok()?;
            let app = heading(&content)?.app;
            Some((m.name.clone(), app, ModuleImage { language, content }))
        })
        .collect()
}

fn image(c: &Comparison<'_>, module: &StoreModule) -> Result<ModuleImage, String> {
    let (language, content) = module.content(&c.host.root)?;
    Ok(ModuleImage { language, content })
}

/// Modules at our priority that no manifest declares: those that perms installed for one of these applications are
/// removed, of others that speak of an application's domain it is said.
fn undeclared(c: &mut Comparison<'_>, manifests: &[Manifest], declared: &BTreeSet<&str>) {
    let apps: HashMap<&str, usize> =
        manifests.iter().enumerate().map(|(i, m)| (m.app.name.value.as_str(), i)).collect();
    for module in c.selinux.modules().iter().filter(|m| m.priority == PRIORITY) {
        if declared.contains(module.name.as_str()) {
            continue;
        }
        let Ok(image) = image(c, module) else { continue };
        let place = format!("module {}", module.name);
        if let Some(h) = heading(&image.content) {
            let Some(app) = apps.get(h.app.as_str()).copied() else { continue };
            let Some(m) = manifests.get(app) else { continue };
            let f = finding(m, &codes::UNDECLARED, Class::Excess, &place, None)
                .is("installed by perms for this application", "not there, or declared")
                .remedy("perms apply removes it; or declare it: [[selinux.module]]");
            let edits =
                vec![StoreEdit::Module { name: module.name.clone(), before: Some(image), after: None }];
            c.push_undeclared(app, Sign::Remove, place, f, Fix::Changes(vec![Change::Store { edits }]));
            continue;
        }
        let speaks = |m: &Manifest| {
            let domain = m.selinux.as_ref().and_then(|s| s.domain.as_ref());
            domain.is_some_and(|d| has_word(&image.content, d.value.as_bytes()))
        };
        let Some((app, m)) = manifests.iter().enumerate().find(|(_, m)| speaks(m)) else { continue };
        let f = finding(m, &codes::UNDECLARED, Class::Excess, &place, None)
            .is(
                format!("installed at priority {PRIORITY}, not by perms, and speaks of the domain"),
                "not there, or declared",
            )
            .remedy(format!("semodule -X {PRIORITY} -r {}; or declare it: [[selinux.module]]", module.name));
        c.push_undeclared(app, Sign::Attention, place, f, Fix::ByHand);
    }
}

/// Whether a name stands in a text by itself.
fn has_word(text: &[u8], name: &[u8]) -> bool {
    let part = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    memchr::memmem::find_iter(text, name).any(|at| {
        let before = at.checked_sub(1).and_then(|i| text.get(i));
        !part(before) && !part(text.get(at + name.len()))
    })
}
