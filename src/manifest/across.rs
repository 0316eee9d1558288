//! What several manifests say of one thing: they must be able to be true together.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use super::Manifest;
use super::model::{AclEntry, PathRule, PortProtocol, SelinuxRules};
use crate::report::codes::{Code, manifest as codes};
use crate::report::{Diagnostic, Origin, Spanned};

/// Every contradiction between valid manifests, each cited at the later one.
pub(super) fn check(manifests: &[Manifest]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut apps = First::default();
    let mut users = First::default();
    for m in manifests {
        let name = &m.app.name;
        if let Some((first, _)) = apps.other(name.value.clone(), &name.origin, ()) {
            let message = format!("two manifests for the application `{}`", name.value);
            found.push(
                at(&codes::DUPLICATE_APP, message, &name.origin, "named again", &first)
                    .note("why", "each would take back what the other declares"),
            );
        }
        let user = &m.app.user;
        if !user.managed {
            continue;
        }
        if let Some((first, _)) = users.other(user.name.value.clone(), &user.name.origin, ()) {
            let message = format!("two manifests manage the account `{}`", user.name.value);
            found.push(
                at(&codes::DUPLICATE_USER, message, &user.name.origin, "managed here too", &first)
                    .note("help", format!("in one of them write only `user = \"{}\"`", user.name.value)),
            );
        }
    }
    groups(manifests, &mut found);
    paths(manifests, &mut found);
    selinux(manifests, &mut found);
    found
}

fn at(
    code: Code,
    message: String,
    origin: &Origin,
    label: impl Into<Cow<'static, str>>,
    first: &Origin,
) -> Diagnostic {
    let first = format!("{}:{}", first.path().display(), first.line());
    Diagnostic::new(code, message, origin.clone(), label).note("first", first)
}

fn contradiction(message: String, origin: &Origin, there: impl Display, first: &Origin) -> Diagnostic {
    at(&codes::CONTRADICTION, message, origin, format!("{there} there"), first)
        .note("why", "both cannot be so; each `perms apply` would undo the other's part")
}

/// Where something was said first.
struct First<K, V>(HashMap<K, (Origin, V)>);

impl<K, V> Default for First<K, V> {
    fn default() -> Self {
        First(HashMap::new())
    }
}

impl<K: Hash + Eq, V: Clone> First<K, V> {
    /// What was said of `key` before in another manifest; else remembers this.
    fn other(&mut self, key: K, origin: &Origin, value: V) -> Option<(Origin, V)> {
        match self.0.get(&key) {
            Some((first, _)) if std::sync::Arc::ptr_eq(&first.source, &origin.source) => None,
            Some(first) => Some(first.clone()),
            None => {
                self.0.insert(key, (origin.clone(), value));
                None
            }
        }
    }
}

fn groups(manifests: &[Manifest], found: &mut Vec<Diagnostic>) {
    let mut gids = First::default();
    for rule in manifests.iter().flat_map(|m| &m.groups) {
        let Some(gid) = &rule.gid else { continue };
        if let Some((first, other)) = gids.other(rule.name.value.clone(), &gid.origin, gid.value)
            && other != gid.value
        {
            let message = format!("the group `{}` has two numbers", rule.name.value);
            found.push(contradiction(message, &gid.origin, other, &first));
        }
    }
}

fn paths(manifests: &[Manifest], found: &mut Vec<Diagnostic>) {
    let mut said = First::default();
    for rule in manifests.iter().flat_map(|m| &m.paths) {
        for (key, value, shown, origin) in exact(rule) {
            if let Some((first, (other, there))) =
                said.other((&rule.path.value, key), origin, (value.clone(), shown))
                && other != value
            {
                let message =
                    format!("two manifests, two values of `{key}` for `{}`", rule.path.value.display());
                found.push(contradiction(message, origin, there, &first));
            }
        }
    }
}

/// The exact forms of a rule: the key, a form to compare, a form to show, and the place.
fn exact(rule: &PathRule) -> Vec<(&'static str, String, String, &Origin)> {
    let mut said = Vec::new();
    for (key, value) in [("owner", &rule.owner), ("group", &rule.group)] {
        if let Some(value) = value {
            said.push((key, value.value.clone(), format!("`{}`", value.value), &value.origin));
        }
    }
    if let Some(mode) = &rule.mode {
        let written = mode.origin.source.text.get(mode.origin.span()).unwrap_or_default();
        said.push(("mode", format!("{:?}", mode.value), format!("`{written}`"), &mode.origin));
    }
    if let Some(kind) = &rule.kind {
        said.push(("kind", format!("{:?}", kind.value), "the other".to_owned(), &kind.origin));
    }
    for (key, acl) in [("acl", &rule.acl), ("default_acl", &rule.default_acl)] {
        if let Some(acl) = acl {
            said.push((key, entries(acl), "other entries".to_owned(), &acl.origin));
        }
    }
    said
}

fn entries(acl: &Spanned<Vec<Spanned<AclEntry>>>) -> String {
    let mut entries: Vec<String> = acl.value.iter().map(|e| format!("{:?}", e.value)).collect();
    entries.sort();
    entries.join(" ")
}

fn selinux(manifests: &[Manifest], found: &mut Vec<Diagnostic>) {
    let mut booleans = First::default();
    let mut labels = First::default();
    let mut modules = First::default();
    let mut values = First::default();
    let mut ports: Vec<(PortProtocol, u16, u16, &Spanned<String>)> = Vec::new();
    for rules in manifests.iter().filter_map(|m| m.selinux.as_ref()) {
        for rule in &rules.booleans {
            if let Some((first, other)) = booleans.other(&rule.name.value, &rule.name.origin, rule.value)
                && other != rule.value
            {
                let message = format!("the boolean `{}` is both true and false", rule.name.value);
                found.push(contradiction(message, &rule.name.origin, other, &first));
            }
        }
        for rule in &rules.labels {
            let level = rule.level.as_ref().map(|l| l.value.as_str());
            let label = (rule.setype.value.as_str(), level);
            let key = (&rule.paths.value, rule.files.as_ref().map(|f| f.value));
            if let Some((first, other)) = labels.other(key, &rule.paths.origin, label)
                && other != label
            {
                let message = format!("`{}` has two labels", rule.paths.value);
                let there = match other {
                    (setype, Some(level)) => format!("`{setype}:{level}`"),
                    (setype, None) => format!("`{setype}`"),
                };
                found.push(contradiction(message, &rule.paths.origin, there, &first));
            }
        }
        for rule in &rules.modules {
            if let Some((first, ())) = modules.other(&rule.name.value, &rule.name.origin, ()) {
                let message = format!("two manifests for the module `{}`", rule.name.value);
                found.push(contradiction(message, &rule.name.origin, "the other", &first));
            }
        }
        for (what, name, value, origin) in named(rules) {
            if let Some((first, other)) = values.other((what, name.clone()), origin, value.clone())
                && other != value
            {
                let message = format!("the {what}{name} is two things");
                found.push(contradiction(message, origin, format!("`{other}`"), &first));
            }
        }
        ports.extend(rules.ports.iter().map(|r| (r.protocol, r.low, r.high, &r.setype)));
    }
    // Sorted, each is compared with the widest one before it.
    ports.sort_by_key(|&(protocol, low, high, _)| (protocol, low, high));
    let mut widest: Option<(PortProtocol, u16, u16, &Spanned<String>)> = None;
    for port in ports {
        match widest {
            Some(other) if other.0 == port.0 && port.1 <= other.2 => {
                // Within one manifest it was reported as a duplicate.
                if port.3.value != other.3.value {
                    let message = format!("port {} has two types", port.1);
                    let there = format!("`{}`", other.3.value);
                    found.push(contradiction(message, &port.3.origin, there, &other.3.origin));
                }
                if port.2 > other.2 {
                    widest = Some(port);
                }
            }
            _ => widest = Some(port),
        }
    }
}

/// What has one value on a host: what it is, its name, its value, and the place.
fn named(rules: &SelinuxRules) -> Vec<(&'static str, String, String, &Origin)> {
    let mut said = Vec::new();
    for rule in &rules.nodes {
        let name = format!("`{}/{}`", rule.address.value, rule.prefix);
        said.push(("node ", name, rule.setype.value.clone(), &rule.address.origin));
    }
    for rule in &rules.interfaces {
        said.push((
            "interface ",
            format!("`{}`", rule.name.value),
            rule.setype.value.clone(),
            &rule.name.origin,
        ));
    }
    for rule in &rules.logins {
        let range = rule.range.as_ref().map(|r| format!(":{}", r.value)).unwrap_or_default();
        let value = format!("{}{range}", rule.user.value);
        said.push(("login ", format!("`{}`", rule.name.value), value, &rule.name.origin));
    }
    if let Some(said_so) = &rules.dontaudit {
        said.push(("switch ", "`dontaudit`".to_owned(), said_so.value.to_string(), &said_so.origin));
    }
    said
}
