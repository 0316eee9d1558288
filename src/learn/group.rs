//! Which denial belongs to which application.
//!
//! A manifest's application is known by its domain (`selinux.domain`), its user, its units and its executables. Several
//! applications may share a domain (all of a web server's are `httpd_t`): then, one after the other, the unit, the user
//! and the executable decide. What belongs to no application is sorted by domain.
//!
//! Unit and user are the kernel's word, or the journal's. A command line and a short name (`comm`) are anybody's, and decide
//! nothing. The path of an executable is what the process's own root shows: whoever may make a namespace chooses it. So it
//! tells apart those who share a domain, and finds what has no domain declared; it takes nothing into the module of an
//! application that has a domain, and is not in it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

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
    let apps: Vec<&Manifest> = match of_domain.as_slice() {
        // Without a domain of its own, a confined program is known by what else is its own. A user that every program
        // may have tells nothing.
        [] => told_apart(denial, &manifests.iter().collect::<Vec<_>>()),
        [only] => vec![only],
        several => told_apart(denial, several),
    };
    if apps.is_empty() {
        return vec![Owner::Domain(denial.key.source.kind.clone())];
    }
    let names: BTreeSet<&str> = apps.iter().map(|m| m.app.name.value.as_str()).collect();
    names.into_iter().map(|n| Owner::App(n.to_owned())).collect()
}

/// The applications whose it is: by the unit where the log has one of theirs, else by the user, else by the executable.
fn told_apart<'m>(denial: &Denial, manifests: &[&'m Manifest]) -> Vec<&'m Manifest> {
    let e = &denial.evidence;
    let by = |is: &dyn Fn(&Manifest) -> bool| -> Vec<&'m Manifest> {
        manifests.iter().copied().filter(|m| is(m)).collect()
    };
    let unit = |m: &Manifest| m.app.units.iter().any(|u| e.units().iter().any(|v| is_unit(&u.value, v)));
    let user = |m: &Manifest| m.app.user.name.value != "root" && e.users().iter().any(|u| is_user(m, u));
    let program = |m: &Manifest| {
        let own = |path: &Path| e.programs().iter().any(|p| p == path.as_os_str().as_bytes());
        let elsewhere = m
            .selinux
            .as_ref()
            .and_then(|s| s.domain.as_ref())
            .is_some_and(|d| d.value != denial.key.source.kind.as_str());
        !elsewhere && m.app.executables.iter().any(|path| own(&path.value))
    };
    let ways: [&dyn Fn(&Manifest) -> bool; 3] = [&unit, &user, &program];
    ways.into_iter().map(by).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Whether a unit is this one, or an instance of this template (`app@.service`).
fn is_unit(declared: &str, unit: &[u8]) -> bool {
    if declared.as_bytes() == unit {
        return true;
    }
    let Some((stem, kind)) = declared.split_once("@.") else { return false };
    let instance = unit.strip_prefix(stem.as_bytes()).and_then(|rest| rest.strip_prefix(b"@"));
    instance.is_some_and(|rest| rest.strip_suffix(kind.as_bytes()).is_some_and(|r| r.ends_with(b".")))
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
