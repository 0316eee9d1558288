//! Booleans, ports and label specifications × the policy store, changed in one transaction.

use std::collections::BTreeSet;

use super::accounts::finding;
use super::change::{Change, StoreEdit};
use super::item::{Fix, Item, Sign};
use super::{customizations, modules, specifications};
use crate::host::Host;
use crate::host::selinux::{Selinux, Store};
use crate::manifest::{BooleanRule, Manifest, PortProtocol, PortRule, SelinuxRules};
use crate::report::codes::label as codes;
use crate::report::{Class, Finding, Origin, Spanned, nearest};
use crate::selinux::policy::{Policy, TypeKind};

/// Compares what is declared of SELinux with the host: the mode, the domain, and what the policy store holds.
pub(super) fn compare_store(manifests: &[Manifest], host: &Host, selinux: &Selinux) -> Vec<Item> {
    let mut c = Comparison { host, selinux, coming: modules::coming(manifests), items: Vec::new() };
    for (app, m) in manifests.iter().enumerate() {
        let Some(rules) = &m.selinux else { continue };
        c.mode(app, m, rules);
        if !rules.in_store() && (rules.domain.is_none() || selinux.store == Store::Absent) {
            continue;
        }
        match &selinux.store {
            Store::Ready => match selinux.policy(&host.root) {
                Ok(policy) => {
                    c.rules(app, m, rules, policy);
                    customizations::declared(&mut c, app, m, rules, manifests, policy);
                }
                Err(why) => c.unchecked(app, m, rules, why),
            },
            Store::Absent => c.unchecked(app, m, rules, "there is no SELinux policy store here"),
            Store::Unreadable(why) => c.unchecked(app, m, rules, why),
        }
    }
    if selinux.store == Store::Ready
        && let Ok(policy) = selinux.policy(&host.root)
    {
        specifications::compare(&mut c, manifests, policy);
        modules::compare(&mut c, manifests);
        customizations::undeclared(&mut c, manifests, policy);
    }
    c.items
}

/// A comparison under way.
pub(super) struct Comparison<'a> {
    pub(super) host: &'a Host,
    pub(super) selinux: &'a Selinux,
    /// Types and booleans that declared modules define: they are there when what names them is applied.
    pub(super) coming: BTreeSet<String>,
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
            count(usize::from(rules.domain.is_some()), "domain"),
            count(rules.booleans.len(), "boolean"),
            count(rules.ports.len(), "port"),
            count(rules.labels.len(), "label specification"),
            count(rules.nodes.len() + rules.interfaces.len(), "network definition"),
            count(rules.logins.len(), "login"),
            count(rules.permissive.len(), "permissive domain"),
            count(rules.modules.len(), "module"),
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

    /// Adds an item of one finding.
    pub(super) fn push(
        &mut self,
        app: usize,
        sign: Sign,
        subject: String,
        f: Finding,
        fix: Fix,
        origin: &Origin,
    ) {
        let mut details = vec![format!("is {}; should be {}", f.is, f.should)];
        if sign == Sign::Attention {
            details.extend(f.why.clone());
            details.push(f.remedy.clone());
        }
        self.items.push(Item {
            app,
            sign,
            area: "selinux",
            subject,
            origin: Some(origin.clone()),
            details,
            findings: vec![f],
            fix,
        });
    }

    /// Adds an item of one finding, about what no manifest declares.
    pub(super) fn push_undeclared(&mut self, app: usize, sign: Sign, subject: String, f: Finding, fix: Fix) {
        let mut details = vec![format!("is {}; should be {}", f.is, f.should)];
        details.extend(f.why.clone());
        details.push(f.remedy.clone());
        let item =
            Item { app, sign, area: "selinux", subject, origin: None, details, findings: vec![f], fix };
        self.items.push(item);
    }

    /// Whether SELinux enforces. An absent configuration is of a host without SELinux, of which `unchecked` speaks.
    fn mode(&mut self, app: usize, m: &Manifest, rules: &SelinuxRules) {
        let mut is = Vec::new();
        if self.selinux.enforcing == Some(false) {
            is.push("permissive now".to_owned());
        }
        if let Some(mode) = self.selinux.configured.as_deref().filter(|mode| *mode != "enforcing") {
            is.push(format!("SELINUX={mode} in /etc/selinux/config"));
        }
        if is.is_empty() {
            return;
        }
        let f = finding(m, &codes::NOT_ENFORCING, Class::Wrong, "SELinux", Some(&rules.origin))
            .is(is.join(", "), "enforcing, now and after the next boot")
            .why("what is declared confines nothing")
            .remedy("setenforce 1, and SELINUX=enforcing in /etc/selinux/config");
        self.push(app, Sign::Attention, "SELinux's mode".into(), f, Fix::ByHand, &rules.origin);
    }

    fn rules(&mut self, app: usize, m: &Manifest, rules: &SelinuxRules, policy: &Policy) {
        if let Some(domain) = &rules.domain {
            let said = rules.permissive.iter().any(|p| p.value == domain.value);
            self.domain(app, m, domain, said, policy);
        }
        for b in &rules.booleans {
            self.boolean(app, m, b, policy);
        }
        for p in &rules.ports {
            self.port(app, m, p, policy);
        }
    }

    fn domain(
        &mut self,
        app: usize,
        m: &Manifest,
        domain: &Spanned<String>,
        declared_permissive: bool,
        policy: &Policy,
    ) {
        if self.unknown_type(app, m, domain, policy, &["domain"]) {
            return;
        }
        let name = &domain.value;
        if declared_permissive || !policy.types().id(name).is_some_and(|t| policy.is_permissive(t)) {
            return;
        }
        let place = format!("domain {name}");
        let setype = self.selinux.real_type(&self.host.root, name);
        let f = finding(m, &codes::PERMISSIVE_DOMAIN, Class::Wrong, &place, Some(&domain.origin))
            .is("permissive: denials are logged, nothing is stopped", "enforcing, or declared permissive");
        if self.selinux.permissive_module(&setype).is_some() {
            let edits = vec![StoreEdit::Permissive { domain: setype, value: false }];
            let fix = Fix::Changes(vec![Change::Store { edits }]);
            return self.push(app, Sign::Change, place, f.remedy("perms apply"), fix, &domain.origin);
        }
        let f = f.remedy("take `permissive` out of the module that says it");
        self.push(app, Sign::Attention, place, f, Fix::ByHand, &domain.origin);
    }

    /// Reports a type that the policy does not have, or that has none of these attributes (as far as the policy has
    /// such attributes at all). Nothing is applied before that is mended: semanage and the kernel would refuse it.
    pub(super) fn unknown_type(
        &mut self,
        app: usize,
        m: &Manifest,
        name: &Spanned<String>,
        policy: &Policy,
        attributes: &[&str],
    ) -> bool {
        let types = policy.types();
        let ids: Vec<_> = attributes.iter().filter_map(|a| types.id(a)).collect();
        let fits = |id| ids.is_empty() || ids.iter().any(|a| policy.covers(*a, id));
        let place = format!("type {}", name.value);
        let is = match types.find(&name.value) {
            None if self.coming.contains(&name.value) => return false,
            None => "unknown to the policy",
            Some(t) if t.kind == TypeKind::Attribute => "an attribute, a name for many types",
            Some(t) if fits(t.id) => return false,
            Some(_) => "a type of another sort",
        };
        let candidates = types
            .records()
            .iter()
            .filter(|t| t.kind != TypeKind::Attribute && fits(t.id))
            .map(|t| t.name.as_ref());
        let hint = match nearest(&name.value, candidates) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "mend the name, or install the module that defines it".to_owned(),
        };
        let f = finding(m, &codes::UNKNOWN_NAME, Class::Wrong, &place, Some(&name.origin))
            .is(is, format!("a type with the attribute {}", attributes.join(" or ")))
            .remedy(hint);
        self.push(app, Sign::Attention, place, f, Fix::Blocked, &name.origin);
        true
    }

    fn boolean(&mut self, app: usize, m: &Manifest, rule: &BooleanRule, policy: &Policy) {
        let (value, origin) = (rule.value, &rule.name.origin);
        let name = self.selinux.real_boolean(&rule.name.value);
        let word = |v: bool| if v { "on" } else { "off" };
        let place = format!("boolean {}", rule.name.value);
        let running = self.selinux.running_boolean(&self.host.root, name);
        let boot = policy.booleans().find(name).map(|b| b.state);
        let (Some(running), Some(boot)) = (running, boot) else {
            if self.coming.contains(name) {
                let f = finding(m, &codes::BOOLEAN, Class::Wrong, &place, Some(origin))
                    .is("not there before its module is installed", word(value))
                    .remedy("perms apply");
                let edits =
                    vec![StoreEdit::Boolean { name: name.to_owned(), running: value, local: None, value }];
                return self.push(
                    app,
                    Sign::Add,
                    place,
                    f,
                    Fix::Changes(vec![Change::Store { edits }]),
                    origin,
                );
            }
            let names = policy.booleans().records().iter().map(|b| b.name.as_ref());
            let remedy = match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "mend the name: getsebool -a lists all".to_owned(),
            };
            let f = finding(m, &codes::UNKNOWN_NAME, Class::Wrong, &place, Some(origin))
                .is("unknown to the policy", word(value))
                .remedy(remedy);
            return self.push(app, Sign::Attention, place, f, Fix::Blocked, origin);
        };
        if running == value && boot == value {
            return;
        }
        let f = finding(m, &codes::BOOLEAN, Class::Wrong, &place, Some(origin))
            .is(format!("{} now, {} after the next boot", word(running), word(boot)), word(value))
            .remedy("perms apply");
        let local = self.selinux.local_boolean(name);
        let edits = vec![StoreEdit::Boolean { name: name.to_owned(), running, local, value }];
        self.push(app, Sign::Change, place, f, Fix::Changes(vec![Change::Store { edits }]), origin);
    }

    fn port(&mut self, app: usize, m: &Manifest, rule: &PortRule, policy: &Policy) {
        if self.unknown_type(app, m, &rule.setype, policy, &["port_type"]) {
            return;
        }
        let (protocol, number) = protocol(rule.protocol);
        let setype = self.selinux.real_type(&self.host.root, &rule.setype.value);
        let range = port_range(rule.low, rule.high);
        let place = format!("port {protocol} {range}");
        let types = port_types(policy, number, rule.low, rule.high);
        let local = self.selinux.local_port(protocol, rule.low, rule.high);
        if types.iter().all(|t| *t == Some(setype.as_str())) {
            return;
        }
        let is: Vec<&str> = types.iter().map(|t| t.unwrap_or("no definition of its own")).collect();
        let f = finding(m, &codes::PORT, Class::Missing, &place, Some(&rule.origin))
            .is(is.join(", "), setype.clone())
            .remedy("perms apply");
        let in_the_way = self.selinux.local_ports().iter().find(|p| {
            p.protocol == protocol
                && p.low <= rule.high
                && rule.low <= p.high
                && (p.low, p.high) != (rule.low, rule.high)
        });
        if let Some(p) = in_the_way {
            let other = port_range(p.low, p.high);
            let f = f
                .why(format!(
                    "the local definition of {other} ({}) overlaps, which semanage refuses",
                    p.setype()
                ))
                .remedy(format!("semanage port -d -p {protocol} {other}; or declare {other}"));
            return self.push(app, Sign::Attention, place, f, Fix::Blocked, &rule.origin);
        }
        let edits = vec![StoreEdit::Port {
            protocol: protocol.to_owned(),
            low: rule.low,
            high: rule.high,
            before: local.map(|p| p.context.clone()),
            setype,
        }];
        self.push(app, Sign::Add, place, f, Fix::Changes(vec![Change::Store { edits }]), &rule.origin);
    }
}

/// `80`, or `8000-8010`, as semanage takes it.
pub(super) fn port_range(low: u16, high: u16) -> String {
    if low == high { low.to_string() } else { format!("{low}-{high}") }
}

/// The types that the kernel gives the ports of a range, each once; none for those of no definition.
fn port_types(policy: &Policy, protocol: u32, low: u16, high: u16) -> Vec<Option<&str>> {
    // The first definition that fits decides, so the answer can change only where one begins or ends.
    let mut points = vec![low];
    for p in policy.object_contexts().ports.iter().filter(|p| p.protocol == protocol) {
        points.extend([Some(p.low), p.high.checked_add(1)].into_iter().flatten());
    }
    points.retain(|p| (low..=high).contains(p));
    points.sort_unstable();
    points.dedup();
    let mut types = Vec::new();
    for point in points {
        let found = policy.port(protocol, point).map(|p| policy.types().name(p.context.ty));
        if !types.contains(&found) {
            types.push(found);
        }
    }
    types
}

/// The word for semanage and the number in the policy.
pub(super) fn protocol(p: PortProtocol) -> (&'static str, u32) {
    match p {
        PortProtocol::Tcp => ("tcp", 6),
        PortProtocol::Udp => ("udp", 17),
        PortProtocol::Dccp => ("dccp", 33),
        PortProtocol::Sctp => ("sctp", 132),
    }
}
