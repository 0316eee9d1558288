//! The SELinux policy store, changed in one transaction; and the running values of booleans.
//!
//! Which `semanage` command an edit takes depends on what is there when it is made or undone, so the store is looked at
//! just before. What semanage needs that it does not say: `-a` for what the policy itself has is refused, `-m` for what
//! nobody has; a boolean is taken out of the store only with all others (`boolean -D`), which are then put back.

use std::collections::{BTreeMap, BTreeSet};

use super::ApplyError;
use crate::host::policy_store::LocalContext;
use crate::host::selinux::Selinux;
use crate::plan::change::kind_option;
use crate::plan::{Change, StoreEdit};
use crate::sys::{Root, run};

const IMPORT: &str = "semanage import";

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
        .filter_map(|e| if let StoreEdit::Port { protocol, .. } = e { Some(protocol.as_str()) } else { None })
        .collect();
    for protocol in protocols {
        if run::run("getent", &["protocols", protocol], b"").is_ok_and(|e| !e.success) {
            return Err(why(format!(
                "the host does not know the protocol `{protocol}`, which semanage needs for ports"
            ))
            .remedy("install netbase (Debian) or setup (Fedora, RHEL), which bring /etc/protocols"));
        }
    }
    Ok(())
}

fn only_the_host(root: &Root) -> Result<(), ApplyError> {
    if root.is_host() {
        return Ok(());
    }
    Err(ApplyError::new("the SELinux policy store", "only the running host's is changed"))
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
        }
    }
    t.commit()
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
        }
    }
    t.commit()?;
    Ok((!kept.is_empty()).then(|| kept.join("; ")))
}

/// Whether a specification is of this type and level.
fn is(c: &LocalContext, setype: &str, level: Option<&str>) -> bool {
    c.setype() == setype && level.is_none_or(|l| c.level() == Some(l))
}

/// What one `semanage import` and one `setsebool` will do.
struct Transaction<'a> {
    root: &'a Root,
    host: &'a Selinux,
    lines: Vec<String>,
    /// Booleans to be set in the store.
    booleans: BTreeMap<String, bool>,
    /// Booleans to be taken out of it.
    forgotten: BTreeSet<String>,
    /// Running values that booleans shall have afterwards.
    running: BTreeMap<String, bool>,
}

impl<'a> Transaction<'a> {
    fn new(root: &'a Root, host: &'a Selinux) -> Self {
        Transaction {
            root,
            host,
            lines: Vec::new(),
            booleans: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            running: BTreeMap::new(),
        }
    }

    /// The value that a boolean has after the next boot.
    fn stored(&self, name: &str) -> Option<bool> {
        self.host.policy(self.root).ok()?.booleans().find(name).map(|b| b.state)
    }

    fn has_base(&self, pattern: &str, files: Option<char>) -> bool {
        self.host.base_context(self.root, pattern, files).is_some()
    }

    fn set_port(&mut self, protocol: &str, low: u16, high: u16, setype: &str, level: Option<&str>) {
        // The policy's list holds the local ones too.
        let number = match protocol {
            "tcp" => 6,
            "udp" => 17,
            "dccp" => 33,
            _ => 132,
        };
        let there = self.host.policy(self.root).is_ok_and(|p| {
            p.object_contexts().ports.iter().any(|p| (p.protocol, p.low, p.high) == (number, low, high))
        });
        let verb = if there { "-m" } else { "-a" };
        let level = level.map_or_else(String::new, |l| format!(" -r {l}"));
        self.lines.push(format!("port {verb} -t {setype}{level} -p {protocol} {low}-{high}"));
    }

    fn set_context(
        &mut self,
        pattern: &str,
        files: Option<char>,
        setype: &str,
        level: Option<&str>,
        there: bool,
    ) {
        let verb = if there { "-m" } else { "-a" };
        let level = level.map_or_else(String::new, |l| format!(" -r {l}"));
        let kind = kind_option(files);
        self.lines.push(format!("fcontext {verb} -f {kind} -t {setype}{level} '{pattern}'"));
    }

    fn delete_context(&mut self, pattern: &str, files: Option<char>) {
        self.lines.push(format!("fcontext -d -f {} '{pattern}'", kind_option(files)));
    }

    /// Carries it out, and leaves the running values of all other booleans as they are.
    fn commit(mut self) -> Result<(), ApplyError> {
        let mut set = self.booleans.clone();
        if !self.forgotten.is_empty() {
            self.lines.push("boolean -D".to_owned());
            for (name, value) in self.host.local_booleans() {
                if !self.forgotten.contains(name) {
                    set.entry(name.clone()).or_insert(*value);
                }
            }
        }
        // `-m` sets the running value too.
        for (name, value) in &set {
            if let Some(running) = self.host.running_boolean(self.root, name) {
                self.running.entry(name.clone()).or_insert(running);
            }
            self.lines.push(format!("boolean -m -{} {name}", u8::from(*value)));
        }
        if self.lines.is_empty() && self.running.is_empty() {
            return Ok(());
        }
        only_the_host(self.root)?;
        if !self.lines.is_empty() {
            let mut text = self.lines.join("\n");
            text.push('\n');
            carried_out(IMPORT, run::run("semanage", &["import"], text.as_bytes()))?;
        }
        let wrong: Vec<String> = self
            .running
            .iter()
            .filter(|(name, value)| {
                self.host.running_boolean(self.root, name).is_some_and(|now| now != **value)
            })
            .map(|(name, value)| format!("{name}={}", u8::from(*value)))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        carried_out("setsebool", run::run("setsebool", &wrong, b""))
    }
}

fn carried_out(what: &str, ended: std::io::Result<run::Ended>) -> Result<(), ApplyError> {
    let ended = ended.map_err(|e| {
        ApplyError::new(what, e).remedy("install policycoreutils and policycoreutils-python-utils")
    })?;
    if ended.success { Ok(()) } else { Err(ApplyError::new(what, ended.said())) }
}
