//! Which denial belongs to which application.
//!
//! A manifest's application is known by its domain (`selinux.domain`) and its user. Several applications may share a
//! domain (all of a web server's are `httpd_t`): then the user decides. What belongs to no application is sorted by
//! domain.

use std::collections::BTreeSet;

use super::{Group, Options};
use crate::denials::Denial;
use crate::manifest::Manifest;
use crate::selinux::module::Name;

/// Whose denials they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// One module was asked for.
    All(Name),
    /// A manifest's application.
    App(String),
    /// A domain.
    Domain(Name),
}

impl Owner {
    /// The module's name: that of the application or domain, as far as the module language can write it.
    pub fn module_name(&self) -> Name {
        match self {
            Owner::All(name) => name.clone(),
            other => Name::for_module(other.title()),
        }
    }

    /// What it is called in a report.
    pub fn title(&self) -> &str {
        match self {
            Owner::All(name) | Owner::Domain(name) => name.as_str(),
            Owner::App(app) => app,
        }
    }
}

/// The owners of a denial; several if several applications ran into it.
pub fn owners(denial: &Denial, manifests: &[Manifest], options: &Options) -> Vec<Owner> {
    if let Some(name) = &options.name {
        return vec![Owner::All(name.clone())];
    }
    let domain = denial.key.source.kind.as_str();
    let of_domain: Vec<&Manifest> = manifests
        .iter()
        .filter(|m| m.selinux.as_ref().and_then(|s| s.domain.as_ref()).is_some_and(|d| d.value == domain))
        .collect();
    let users = &denial.evidence.users;
    let by_user = |m: &&Manifest| users.iter().any(|user| is_user(m, user));
    let apps: Vec<&Manifest> = match of_domain.as_slice() {
        // Without a domain of its own, a confined program is known by its user. A user that every program may have
        // tells nothing.
        [] => manifests.iter().filter(|m| m.app.user.name.value != "root").filter(by_user).collect(),
        [only] => vec![only],
        several => several.iter().copied().filter(by_user).collect(),
    };
    if apps.is_empty() {
        return vec![Owner::Domain(denial.key.source.kind.clone())];
    }
    let names: BTreeSet<&str> = apps.iter().map(|m| m.app.name.value.as_str()).collect();
    names.into_iter().map(|n| Owner::App(n.to_owned())).collect()
}

fn is_user(manifest: &Manifest, user: &[u8]) -> bool {
    let rule = &manifest.app.user;
    rule.name.value.as_bytes() == user
        || rule.uid.as_ref().is_some_and(|uid| uid.value.to_string().as_bytes() == user)
}

/// The owner of what concerns a domain alone.
pub fn domain_owner(domain: &Name, options: &Options) -> Owner {
    match &options.name {
        Some(name) => Owner::All(name.clone()),
        None => Owner::Domain(domain.clone()),
    }
}

/// Gives modules of the same name different ones.
pub fn name_modules(groups: &mut [Group<'_>]) {
    let mut taken: BTreeSet<Name> = BTreeSet::new();
    for group in groups {
        let base = group.module.clone();
        let mut number = 2u32;
        while !taken.insert(group.module.clone()) {
            group.module = Name::for_module(&format!("{base}_{number}"));
            number += 1;
        }
    }
}
