//! One transaction on the policy store: the lines of one `semanage import`, and one `setsebool` for running values.
//!
//! semanage refuses to name a type or a boolean that the policy does not have, and looks before it begins. So what names
//! something that a module of the same run brings goes into an import of its own, after the first.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Work, for_semanage};
use super::{ApplyError, only_the_host};
use crate::host::policy_store::same_node;
use crate::host::selinux::Selinux;
use crate::plan::change::kind_option;
use crate::selinux::module::installed::PRIORITY;
use crate::sys::{Root, run};

const IMPORT: &str = "semanage import";

/// What one `semanage import` and one `setsebool` will do.
pub(super) struct Transaction<'a> {
    root: &'a Root,
    host: &'a Selinux,
    pub(super) lines: Vec<String>,
    /// What names something that the first import brings.
    later: Vec<String>,
    /// What the store holds is to be installed, whatever else is done.
    pub(super) rebuild: bool,
    /// Where the files of modules are until they are installed.
    work: Option<Work>,
    /// Booleans to be set in the store.
    pub(super) booleans: BTreeMap<String, bool>,
    /// Booleans to be taken out of it.
    pub(super) forgotten: BTreeSet<String>,
    /// Running values that booleans shall have afterwards.
    pub(super) running: BTreeMap<String, bool>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(root: &'a Root, host: &'a Selinux) -> Self {
        Transaction {
            root,
            host,
            lines: Vec::new(),
            later: Vec::new(),
            rebuild: false,
            work: None,
            booleans: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            running: BTreeMap::new(),
        }
    }

    /// The value that a boolean has after the next boot.
    pub(super) fn stored(&self, name: &str) -> Option<bool> {
        self.host.policy(self.root).ok()?.booleans().find(name).map(|b| b.state)
    }

    pub(super) fn has_base(&self, pattern: &str, files: Option<char>) -> bool {
        self.host.base_context(self.root, pattern, files).is_some()
    }

    pub(super) fn set_port(
        &mut self,
        protocol: &str,
        low: u16,
        high: u16,
        setype: &str,
        level: Option<&str>,
    ) {
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
        self.named(setype, format!("port {verb} -t {setype}{level} -p {protocol} {low}-{high}"));
    }

    pub(super) fn set_context(
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
        self.named(setype, format!("fcontext {verb} -f {kind} -t {setype}{level} '{pattern}'"));
    }

    /// Adds a line that names a type.
    fn named(&mut self, setype: &str, line: String) {
        let known = self.host.policy(self.root).is_ok_and(|p| p.types().find(setype).is_some());
        let lines = if known || setype == "<<none>>" { &mut self.lines } else { &mut self.later };
        lines.push(line);
    }

    pub(super) fn set_node(
        &mut self,
        protocol: &str,
        address: &str,
        mask: &str,
        setype: &str,
        level: Option<&str>,
    ) {
        let local = self.host.local_nodes();
        let verb = if local.iter().any(|n| same_node(n, protocol, address, mask)) { "-m" } else { "-a" };
        let level = level.map_or_else(String::new, |l| format!(" -r {l}"));
        self.named(setype, format!("node {verb} -M {mask} -p {protocol} -t {setype}{level} {address}"));
    }

    pub(super) fn set_interface(&mut self, name: &str, setype: &str, level: Option<&str>) {
        let local = self.host.local_interfaces().iter().any(|i| i.name == name);
        let of_policy = self
            .host
            .policy(self.root)
            .is_ok_and(|p| p.object_contexts().interfaces.iter().any(|i| *i.name == *name.as_bytes()));
        let verb = if local || of_policy { "-m" } else { "-a" };
        let level = level.map_or_else(String::new, |l| format!(" -r {l}"));
        self.named(setype, format!("interface {verb} -t {setype}{level} {name}"));
    }

    pub(super) fn set_login(&mut self, name: &str, user: &str, range: Option<&str>) {
        let verb = if self.host.login(name).is_some() { "-m" } else { "-a" };
        let range = range.map_or_else(String::new, |r| format!(" -r {r}"));
        self.lines.push(format!("login {verb} -s {user}{range} {name}"));
    }

    pub(super) fn set_permissive(&mut self, domain: &str, value: bool) {
        match (self.host.permissive_module(domain), value) {
            (None, true) => self.named(domain, format!("permissive -a {domain}")),
            // `permissive -d` would look for it at the priority of the last `module` line.
            (Some(m), false) => self.lines.push(format!("module -P {} -r {}", m.priority, m.name)),
            _ => {}
        }
    }

    pub(super) fn set_dontaudit(&mut self, value: bool) {
        if self.host.no_dontaudit == value {
            self.lines.push(format!("dontaudit {}", if value { "on" } else { "off" }));
        }
    }

    pub(super) fn set_enabled(&mut self, module: &str, value: bool) {
        if self.host.modules().iter().any(|m| m.name == module && m.disabled == value) {
            self.lines.push(format!("module {} {module}", if value { "-e" } else { "-d" }));
        }
    }

    /// Installs a module at our priority.
    pub(super) fn install(&mut self, name: &str, language: &str, content: &[u8]) -> Result<(), ApplyError> {
        let work = match &mut self.work {
            Some(work) => work,
            none => none.insert(Work::new(self.root)?),
        };
        let path = work.write(&format!("{name}.{language}"), content)?;
        for_semanage(self.root, self.host, &path)?;
        self.lines.push(format!("module -P {PRIORITY} -a {path}"));
        Ok(())
    }

    /// Removes a module at our priority.
    pub(super) fn remove(&mut self, name: &str) {
        self.lines.push(format!("module -P {PRIORITY} -r {name}"));
    }

    pub(super) fn delete_context(&mut self, pattern: &str, files: Option<char>) {
        self.lines.push(format!("fcontext -d -f {} '{pattern}'", kind_option(files)));
    }

    /// Carries it out, and leaves the running values of all other booleans as they are.
    pub(super) fn commit(mut self) -> Result<(), ApplyError> {
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
            let known = self.host.policy(self.root).is_ok_and(|p| p.booleans().find(name).is_some());
            let lines = if known { &mut self.lines } else { &mut self.later };
            lines.push(format!("boolean -m -{} {name}", u8::from(*value)));
        }
        if !self.rebuild && self.lines.is_empty() && self.later.is_empty() && self.running.is_empty() {
            return Ok(());
        }
        only_the_host(self.root)?;
        if self.rebuild {
            carried_out("semodule -B", run::run("semodule", &["-B"], b""))?;
        }
        // The priority of a `module` line holds for the rest of the import, and a permissive domain is a module too.
        self.lines.sort_by_key(|l| !l.starts_with("permissive "));
        for lines in [&self.lines, &self.later].into_iter().filter(|l| !l.is_empty()) {
            let mut text = lines.join("\n");
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
