//! Booleans, ports and label specifications × the policy store, changed in one transaction.

use super::accounts::finding;
use super::change::Change;
use super::item::{Fix, Item, Sign};
use crate::host::Host;
use crate::host::selinux::{Port, Selinux, Store};
use crate::manifest::{LabelRule, Manifest, PortProtocol, PortRule, SelinuxRules};
use crate::report::codes::label as codes;
use crate::report::{Class, Finding, Origin};

/// Compares what is declared of the policy store with what it holds.
pub(super) fn compare_store(manifests: &[Manifest], host: &Host) -> Vec<Item> {
    let declared = || {
        manifests
            .iter()
            .enumerate()
            .filter_map(|(app, m)| m.selinux.as_ref().map(|s| (app, m, s)))
            .filter(|(_, _, s)| !(s.booleans.is_empty() && s.ports.is_empty() && s.labels.is_empty()))
    };
    if declared().next().is_none() {
        return Vec::new();
    }
    let selinux = Selinux::observe(&host.root);
    let mut c = Comparison { host, selinux: &selinux, all_ports: None, items: Vec::new() };
    for (app, m, rules) in declared() {
        match &selinux.store {
            Store::Ready => c.rules(app, m, rules),
            Store::Absent => c.unchecked(app, m, rules, "there is no SELinux policy store here"),
            Store::Unreadable(why) => c.unchecked(app, m, rules, why),
        }
    }
    c.items
}

struct Comparison<'a> {
    host: &'a Host,
    selinux: &'a Selinux,
    all_ports: Option<Result<Vec<Port>, String>>,
    items: Vec<Item>,
}

impl Comparison<'_> {
    fn unchecked(&mut self, app: usize, m: &Manifest, rules: &SelinuxRules, why: &str) {
        let count = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            n => Some(format!("{n} {what}s")),
        };
        let what: Vec<String> = [
            count(rules.booleans.len(), "boolean"),
            count(rules.ports.len(), "port"),
            count(rules.labels.len(), "label specification"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let f =
            finding(m, &codes::UNCHECKED, Class::Unchecked, "the SELinux policy store", Some(&rules.origin))
                .is(format!("not known: {why}"), format!("{} as declared", what.join(", ")))
                .remedy(
                    "run on a host with SELinux, as root; labels on files are checked and set all the same",
                );
        self.push(app, Sign::Attention, "the policy store".into(), f, Fix::ByHand, &rules.origin);
    }

    fn push(&mut self, app: usize, sign: Sign, subject: String, f: Finding, fix: Fix, origin: &Origin) {
        self.items.push(Item {
            app,
            sign,
            area: "selinux",
            subject,
            origin: Some(origin.clone()),
            details: vec![format!("is {}; should be {}", f.is, f.should)],
            findings: vec![f],
            fix,
        });
    }

    fn rules(&mut self, app: usize, m: &Manifest, rules: &SelinuxRules) {
        for b in &rules.booleans {
            self.boolean(app, m, &b.name.value, b.value, &b.name.origin);
        }
        for p in &rules.ports {
            self.port(app, m, p);
        }
        for l in &rules.labels {
            self.context(app, m, l);
        }
    }

    fn boolean(&mut self, app: usize, m: &Manifest, name: &str, value: bool, origin: &Origin) {
        let running = self.selinux.running_boolean(&self.host.root, name);
        let stored = self.selinux.stored_boolean(name);
        let word = |v: bool| if v { "on" } else { "off" };
        let place = format!("boolean {name}");
        let f = finding(m, &codes::BOOLEAN, Class::Wrong, &place, Some(origin));
        let Some(running) = running else {
            let f = f
                .is("the policy has no such boolean", word(value))
                .remedy("mend the name: getsebool -a lists all");
            return self.push(app, Sign::Attention, place, f, Fix::Blocked, origin);
        };
        // Never set in the store, it is what the policy gives it, which the kernel shows until somebody sets it for now only.
        let stored_value = stored.unwrap_or(running);
        if running == value && stored_value == value {
            return;
        }
        let f = f
            .is(format!("{} now, {} in the policy store", word(running), word(stored_value)), word(value))
            .remedy("perms apply");
        let line = |v: bool| format!("boolean -m -{} {name}", u8::from(v));
        let change = Change::Store { lines: vec![line(value)], undo: vec![line(stored_value)] };
        self.push(app, Sign::Change, place, f, Fix::Changes(vec![change]), origin);
    }

    fn port(&mut self, app: usize, m: &Manifest, rule: &PortRule) {
        let protocol = protocol_word(rule.protocol);
        let range =
            if rule.low == rule.high { rule.low.to_string() } else { format!("{}-{}", rule.low, rule.high) };
        let setype = &rule.setype.value;
        let exact = |p: &&Port| p.protocol == protocol && p.low == rule.low && p.high == rule.high;
        let local = self.selinux.local_ports().iter().find(exact).cloned();
        if local.as_ref().is_some_and(|p| p.setype == *setype) {
            return;
        }
        let selinux = self.selinux;
        let all = self.all_ports.get_or_insert_with(|| selinux.all_ports());
        let place = format!("port {protocol} {range}");
        let f = finding(m, &codes::PORT, Class::Missing, &place, Some(&rule.origin));
        let defined = match all {
            Ok(all) => all.iter().find(exact).cloned(),
            Err(why) => {
                let f = Finding { class: Class::Unchecked, code: &codes::UNCHECKED, ..f }
                    .is(format!("not known: semanage port -l: {why}"), setype.clone())
                    .remedy("run as root");
                return self.push(app, Sign::Attention, place, f, Fix::ByHand, &rule.origin);
            }
        };
        if defined.as_ref().is_some_and(|p| p.setype == *setype) {
            return;
        }
        let is = defined.as_ref().map_or("no definition of its own".to_owned(), |p| p.setype.clone());
        let verb = if defined.is_some() { "-m" } else { "-a" };
        let undo = match &local {
            Some(p) => format!("port -m -t {} -p {protocol} {range}", p.setype),
            None => format!("port -d -p {protocol} {range}"),
        };
        let change = Change::Store {
            lines: vec![format!("port {verb} -t {setype} -p {protocol} {range}")],
            undo: vec![undo],
        };
        let f = f.is(is, setype.clone()).remedy("perms apply");
        self.push(app, Sign::Add, place, f, Fix::Changes(vec![change]), &rule.origin);
    }

    fn context(&mut self, app: usize, m: &Manifest, rule: &LabelRule) {
        let files = rule.files.as_ref().map(|f| f.value);
        let pattern = &rule.paths.value;
        let setype = &rule.setype.value;
        let local = self.selinux.local_context(pattern, files).cloned();
        if local.as_ref().is_some_and(|c| c.setype.as_ref() == Some(setype)) {
            return;
        }
        let place = format!("specification {pattern}");
        let f = finding(m, &codes::LIVE_ONLY, Class::Missing, &place, Some(&rule.paths.origin))
            .is(
                local
                    .as_ref()
                    .and_then(|c| c.setype.clone())
                    .map_or("not in the policy store".to_owned(), |t| t),
                format!("{setype} in the policy store"),
            )
            .why("the next relabel would take the labels away")
            .remedy("perms apply");
        if pattern.contains(['\'', '\n']) {
            let f = f.remedy("semanage cannot be given a pattern with a quote: add it by hand");
            return self.push(app, Sign::Attention, place, f, Fix::ByHand, &rule.paths.origin);
        }
        let letter = match files {
            None => 'a',
            Some('-') => 'f',
            Some(c) => c,
        };
        let level = rule.level.as_ref().map_or(String::new(), |l| format!(" -r '{}'", l.value));
        let line = |verb: &str, t: &str| format!("fcontext {verb} -f {letter} -t '{t}'{level} '{pattern}'");
        let (lines, undo) = match local.and_then(|c| c.setype) {
            Some(old) => (vec![line("-m", setype)], vec![line("-m", &old)]),
            None => (vec![line("-a", setype)], vec![format!("fcontext -d -f {letter} '{pattern}'")]),
        };
        self.push(
            app,
            Sign::Add,
            place,
            f,
            Fix::Changes(vec![Change::Store { lines, undo }]),
            &rule.paths.origin,
        );
    }
}

fn protocol_word(p: PortProtocol) -> &'static str {
    match p {
        PortProtocol::Tcp => "tcp",
        PortProtocol::Udp => "udp",
        PortProtocol::Sctp => "sctp",
        PortProtocol::Dccp => "dccp",
    }
}
