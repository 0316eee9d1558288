//! The SELinux policy store, changed in one transaction; and the running values of booleans.
//!
//! Which `semanage` command an edit takes depends on what is there when it is made or undone, so the store is looked at
//! just before. What semanage needs that it does not say: `-a` for what the policy itself has is refused, `-m` for what
//! nobody has; a boolean is taken out of the store only with all others (`boolean -D`), which are then put back.

use std::collections::BTreeSet;

use super::transaction::Transaction;
use super::{ApplyError, modules, only_the_host};
use crate::host::policy_store::{LocalContext, context_field, same_node};
use crate::host::selinux::Selinux;
use crate::plan::{Change, ModuleBuild, StoreEdit};
use crate::sys::{Root, run};

/// Checks that the tools for the changes to the store are there.
pub(super) fn check(root: &Root, changes: &[Change]) -> Result<(), ApplyError> {
    let edits =
        || changes.iter().flat_map(|c| if let Change::Store { edits } = c { edits.as_slice() } else { &[] });
    if edits().next().is_none() {
        return Ok(());
    }
    only_the_host(root)?;
    let why = |why: String| ApplyError::new("nothing was changed", why);
    if run::find("semanage").is_none() {
        return Err(why("`semanage` is not installed, and the policy store has to be changed".into())
            .remedy("install policycoreutils-python-utils (Fedora, RHEL, Debian)"));
    }
    if edits().any(|e| matches!(e, StoreEdit::Boolean { .. })) && run::find("setsebool").is_none() {
        return Err(why("`setsebool` is not installed".into()).remedy("install policycoreutils"));
    }
    // semanage asks for a protocol's number, for the audit log, and dies where nobody knows it.
    let protocols: BTreeSet<&str> = edits()
        .filter_map(|e| match e {
            StoreEdit::Port { protocol, .. } => Some(protocol.as_str()),
            // Of `ipv4` it knows the number itself.
            StoreEdit::Node { protocol, .. } if protocol != "ipv4" => Some(protocol.as_str()),
            _ => None,
        })
        .collect();
    for protocol in protocols {
        if run::run("getent", &["protocols", protocol], b"").is_ok_and(|e| !e.success) {
            return Err(why(format!(
                "the host does not know the protocol `{protocol}`, which semanage needs for ports and nodes"
            ))
            .remedy("install netbase (Debian) or setup (Fedora, RHEL), which bring /etc/protocols"));
        }
    }
    Ok(())
}

/// Makes edits that are not there yet.
pub(super) fn make(root: &Root, edits: &[StoreEdit]) -> Result<(), ApplyError> {
    let host = Selinux::observe(root);
    let mut t = Transaction::new(root, &host);
    for e in edits {
        match e {
            StoreEdit::Boolean { name, value, .. } => {
                if t.stored(name) != Some(*value) {
                    t.booleans.insert(name.clone(), *value);
                }
                t.running.insert(name.clone(), *value);
            }
            StoreEdit::Port { protocol, low, high, setype, .. } => {
                if host.local_port(protocol, *low, *high).is_none_or(|p| p.setype() != setype) {
                    t.set_port(protocol, *low, *high, setype, None);
                }
            }
            StoreEdit::Context { pattern, files, setype, level, last, .. } => {
                let level = level.as_deref();
                let now = host.local_context(pattern, *files);
                if *last && now.is_some() {
                    t.delete_context(pattern, *files);
                    // Then as if it were new, with the level that it had.
                    let level = level.or_else(|| now.and_then(LocalContext::level));
                    t.set_context(pattern, *files, setype, level, t.has_base(pattern, *files));
                } else if now.is_none_or(|c| !is(c, setype, level)) {
                    let there = now.is_some() || t.has_base(pattern, *files);
                    t.set_context(pattern, *files, setype, level, there);
                }
            }
            StoreEdit::Node { protocol, address, mask, setype, .. } => {
                if node(&host, protocol, address, mask).is_none_or(|c| context_field(c, 2) != setype) {
                    t.set_node(protocol, address, mask, setype, None);
                }
            }
            StoreEdit::Interface { name, setype, .. } => {
                if interface(&host, name).is_none_or(|c| context_field(c, 2) != setype) {
                    t.set_interface(name, setype, None);
                }
            }
            StoreEdit::Login { name, user, range, .. } => {
                let now = login(&host, name);
                if now.is_none_or(|(u, r)| u != user || range.as_ref().is_some_and(|range| r != range)) {
                    t.set_login(name, user, range.as_deref());
                }
            }
            StoreEdit::Permissive { domain, value } => t.set_permissive(domain, *value),
            StoreEdit::Dontaudit { value } => t.set_dontaudit(*value),
            StoreEdit::Rebuild => t.rebuild = true,
            StoreEdit::Enable { module } => t.set_enabled(module, true),
            StoreEdit::Module { name, before: _, after } => {
                let now = modules::there(root, &host, name);
                if modules::is_made(now.as_ref(), after.as_ref()) {
                    continue;
                }
                match after {
                    Some(ModuleBuild { built: Some(text), .. }) => t.install(name, "cil", text.as_bytes())?,
                    Some(_) => return Err(ApplyError::new(format!("module {name}"), "it was not built")),
                    None => t.remove(name),
                }
            }
        }
    }
    t.commit()?;
    installed(root, edits)
}

/// semanage says nothing where it could not install a module and goes on, so it is looked for.
fn installed(root: &Root, edits: &[StoreEdit]) -> Result<(), ApplyError> {
    let mut host = None;
    for edit in edits {
        let StoreEdit::Module { name, after, .. } = edit else { continue };
        let host = host.get_or_insert_with(|| Selinux::observe(root));
        if !modules::is_made(modules::there(root, host, name).as_ref(), after.as_ref()) {
            return Err(ApplyError::new(
                format!("module {name}"),
                "semanage did not install it and did not say why",
            )
            .remedy("semodule -X 500 -i on what `semodule_package` made of it tells more"));
        }
    }
    Ok(())
}

/// The context of a local node.
fn node<'a>(host: &'a Selinux, protocol: &str, address: &str, mask: &str) -> Option<&'a String> {
    let all = host.local_nodes().iter();
    all.rev().find(|n| same_node(n, protocol, address, mask)).map(|n| &n.context)
}

/// The context of a local interface.
fn interface<'a>(host: &'a Selinux, name: &str) -> Option<&'a String> {
    host.local_interfaces().iter().find(|i| i.name == name).map(|i| &i.context)
}

/// User and range of a local login.
fn login<'a>(host: &'a Selinux, name: &str) -> Option<(&'a String, &'a String)> {
    host.local_logins().iter().find(|l| l.name == name).map(|l| (&l.user, &l.range))
}

/// Undoes edits, made or not, whose outcome is still there. Returns what somebody changed since, which is kept.
pub(super) fn undo(root: &Root, edits: &[StoreEdit]) -> Result<Option<String>, ApplyError> {
    let host = Selinux::observe(root);
    let mut t = Transaction::new(root, &host);
    let mut kept = Vec::new();
    for e in edits.iter().rev() {
        match e {
            StoreEdit::Boolean { name, running, local, value } => {
                match host.local_boolean(name) {
                    now if now == *local => {}
                    Some(now) if now == *value => match local {
                        Some(old) => {
                            t.booleans.insert(name.clone(), *old);
                        }
                        None => {
                            t.forgotten.insert(name.clone());
                        }
                    },
                    _ => {
                        kept.push(format!("boolean {name} was changed since"));
                        continue;
                    }
                }
                if host.running_boolean(root, name) == Some(*value) {
                    t.running.insert(name.clone(), *running);
                }
            }
            StoreEdit::Port { protocol, low, high, before, setype } => {
                let now = host.local_port(protocol, *low, *high);
                match (now, before) {
                    (now, before) if now.map(|p| &p.context) == before.as_ref() => {}
                    (Some(now), Some(before)) if now.setype() == setype => {
                        let mut old = before.splitn(4, ':').skip(2);
                        let setype = old.next().unwrap_or_default();
                        t.set_port(protocol, *low, *high, setype, old.next());
                    }
                    (Some(now), None) if now.setype() == setype => {
                        t.lines.push(format!("port -d -p {protocol} {low}-{high}"));
                    }
                    _ => kept.push(format!("port {protocol} {low}-{high} was changed since")),
                }
            }
            StoreEdit::Context { pattern, files, before, setype, level, .. } => {
                let now = host.local_context(pattern, *files);
                let text = now.map(|c| c.context.as_deref().unwrap_or("<<none>>"));
                match (now, before) {
                    _ if text == before.as_deref() => {}
                    (Some(now), Some(before)) if is(now, setype, level.as_deref()) => {
                        let mut old = before.splitn(4, ':').skip(2);
                        let setype = old.next().unwrap_or("<<none>>");
                        t.set_context(pattern, *files, setype, old.next(), true);
                    }
                    (Some(now), None) if is(now, setype, level.as_deref()) => {
                        t.delete_context(pattern, *files);
                    }
                    _ => kept.push(format!("specification {pattern} was changed since")),
                }
            }
            StoreEdit::Node { protocol, address, mask, before, setype } => {
                match (node(&host, protocol, address, mask), before) {
                    (now, before) if now == before.as_ref() => {}
                    (Some(now), before) if context_field(now, 2) == setype => match before {
                        Some(old) => {
                            t.set_node(protocol, address, mask, context_field(old, 2), level_of(old));
                        }
                        None => t.lines.push(format!("node -d -M {mask} -p {protocol} {address}")),
                    },
                    _ => kept.push(format!("node {address} was changed since")),
                }
            }
            StoreEdit::Interface { name, before, setype } => match (interface(&host, name), before) {
                (now, before) if now == before.as_ref() => {}
                (Some(now), before) if context_field(now, 2) == setype => match before {
                    Some(old) => t.set_interface(name, context_field(old, 2), level_of(old)),
                    None => t.lines.push(format!("interface -d {name}")),
                },
                _ => kept.push(format!("interface {name} was changed since")),
            },
            StoreEdit::Login { name, before, user, range } => {
                let now = login(&host, name);
                match (now, before) {
                    (now, before) if now == before.as_ref().map(|(u, r)| (u, r)) => {}
                    (Some((u, r)), before) if u == user && range.as_ref().is_none_or(|range| r == range) => {
                        match before {
                            Some((user, range)) => {
                                t.set_login(name, user, Some(range.as_str()).filter(|r| !r.is_empty()));
                            }
                            None => t.lines.push(format!("login -d {name}")),
                        }
                    }
                    _ => kept.push(format!("login {name} was changed since")),
                }
            }
            StoreEdit::Permissive { domain, value } => t.set_permissive(domain, !*value),
            StoreEdit::Dontaudit { value } => t.set_dontaudit(!*value),
            // What the store holds now is what belongs there.
            StoreEdit::Rebuild => {}
            StoreEdit::Enable { module } => t.set_enabled(module, false),
            StoreEdit::Module { name, before, after } => {
                let now = modules::there(root, &host, name);
                match before {
                    _ if now == *before => {}
                    before if modules::is_made(now.as_ref(), after.as_ref()) => match before {
                        Some(old) => t.install(name, &old.language, &old.content)?,
                        None => t.remove(name),
                    },
                    _ => kept.push(format!("module {name} was changed since")),
                }
            }
        }
    }
    t.commit()?;
    Ok((!kept.is_empty()).then(|| kept.join("; ")))
}

/// Whether a specification is of this type and level.
fn is(c: &LocalContext, setype: &str, level: Option<&str>) -> bool {
    c.setype() == setype && level.is_none_or(|l| c.level() == Some(l))
}

/// The level of a context.
fn level_of(context: &str) -> Option<&str> {
    Some(context_field(context, 3)).filter(|l| !l.is_empty())
}
