//! What a policy store holds of local changes beside modules and specifications of files: nodes, interfaces, logins,
//! permissive domains and dontaudit as declared; and what touches an application without being declared.

use std::collections::BTreeSet;

use super::accounts::finding;
use super::change::{Change, StoreEdit};
use super::item::{Fix, Sign};
use super::store::{Comparison, port_range, protocol};
use crate::host::policy_store::{context_field, same_node};
use crate::host::stale::stale;
use crate::manifest::{LoginRule, Manifest, SelinuxRules};
use crate::report::codes::label as codes;
use crate::report::{Class, Origin, Spanned, nearest};
use crate::selinux::policy::{Policy, TypeId};

/// Compares what one application declares.
pub(super) fn declared(
    c: &mut Comparison<'_>,
    app: usize,
    m: &Manifest,
    rules: &SelinuxRules,
    manifests: &[Manifest],
    policy: &Policy,
) {
    for rule in &rules.nodes {
        if c.unknown_type(app, m, &rule.setype, policy, &["node_type"]) {
            continue;
        }
        let (address, mask) = (rule.address.value.to_string(), rule.mask().to_string());
        let protocol = if rule.address.value.is_ipv4() { "ipv4" } else { "ipv6" };
        let local = c.selinux.local_nodes().iter().rev().find(|n| same_node(n, protocol, &address, &mask));
        let before = local.map(|n| n.context.clone());
        let setype = c.selinux.real_type(&c.host.root, &rule.setype.value);
        let edit = StoreEdit::Node {
            protocol: protocol.into(),
            address,
            mask,
            before: before.clone(),
            setype: setype.clone(),
        };
        let place = format!("node {}/{}", rule.address.value, rule.prefix);
        typed(c, app, m, place, before, &setype, edit, &rule.address.origin);
    }
    for rule in &rules.interfaces {
        if c.unknown_type(app, m, &rule.setype, policy, &["netif_type"]) {
            continue;
        }
        let name = &rule.name.value;
        let local = c.selinux.local_interfaces().iter().find(|i| i.name == *name);
        let before = local.map(|i| i.context.clone());
        let setype = c.selinux.real_type(&c.host.root, &rule.setype.value);
        let edit =
            StoreEdit::Interface { name: name.clone(), before: before.clone(), setype: setype.clone() };
        typed(c, app, m, format!("interface {name}"), before, &setype, edit, &rule.name.origin);
    }
    for rule in &rules.logins {
        login(c, app, m, rule, manifests, policy);
    }
    for domain in &rules.permissive {
        permissive(c, app, m, domain, policy);
    }
    if let Some(said) = &rules.dontaudit
        && c.selinux.no_dontaudit == said.value
    {
        let word = |on: bool| if on { "kept out of the log" } else { "logged" };
        let f = finding(m, &codes::DONTAUDIT, Class::Wrong, "dontaudit", Some(&said.origin))
            .is(format!("harmless denials are {}", word(!said.value)), word(said.value))
            .remedy("perms apply");
        let edits = vec![StoreEdit::Dontaudit { value: said.value }];
        c.push(
            app,
            Sign::Change,
            "dontaudit".into(),
            f,
            Fix::Changes(vec![Change::Store { edits }]),
            &said.origin,
        );
    }
}

/// A node or an interface.
#[expect(clippy::too_many_arguments, reason = "one line of a plan, each part of it")]
fn typed(
    c: &mut Comparison<'_>,
    app: usize,
    m: &Manifest,
    place: String,
    before: Option<String>,
    setype: &str,
    edit: StoreEdit,
    origin: &Origin,
) {
    if before.as_ref().is_some_and(|b| context_field(b, 2) == setype) {
        return;
    }
    let (sign, class) = match &before {
        None => (Sign::Add, Class::Missing),
        Some(_) => (Sign::Change, Class::Wrong),
    };
    let is = before.unwrap_or_else(|| "no local definition".to_owned());
    let f = finding(m, &codes::NETWORK, class, &place, Some(origin)).is(is, setype).remedy("perms apply");
    c.push(app, sign, place, f, Fix::Changes(vec![Change::Store { edits: vec![edit] }]), origin);
}

fn login(
    c: &mut Comparison<'_>,
    app: usize,
    m: &Manifest,
    rule: &LoginRule,
    manifests: &[Manifest],
    policy: &Policy,
) {
    let name = &rule.name.value;
    let place = format!("login {name}");
    let origin = &rule.name.origin;
    if policy.users().find(&rule.user.value).is_none() {
        let hint = nearest(&rule.user.value, policy.users().records().iter().map(|u| u.name.as_ref()));
        let f = finding(
            m,
            &codes::UNKNOWN_NAME,
            Class::Wrong,
            &format!("SELinux user {}", rule.user.value),
            Some(&rule.user.origin),
        )
        .is("unknown to the policy", "an SELinux user")
        .remedy(
            hint.map_or_else(|| "semanage user -l lists them".into(), |n| format!("did you mean `{n}`?")),
        );
        return c.push(app, Sign::Attention, place, f, Fix::Blocked, &rule.user.origin);
    }
    let known = match name.strip_prefix('%') {
        _ if name == "__default__" => true,
        Some(group) => {
            c.host.accounts.group(group).is_some()
                || manifests.iter().flat_map(|m| &m.groups).any(|g| g.name.value == group)
        }
        None => {
            c.host.accounts.user(name).is_some()
                || manifests.iter().any(|m| m.app.user.managed && m.app.user.name.value == *name)
        }
    };
    if !known {
        let f = finding(m, &codes::UNKNOWN_NAME, Class::Wrong, &place, Some(origin))
            .is("no account of that name", "a user of this host, or `%GROUP`")
            .why("semanage refuses it")
            .remedy("make the account first, or mend the name");
        return c.push(app, Sign::Attention, place, f, Fix::Blocked, origin);
    }
    let now = c.selinux.login(name);
    let range = rule.range.as_ref().map(|r| r.value.as_str());
    if now.is_some_and(|l| l.user == rule.user.value && range.is_none_or(|r| l.range == r)) {
        return;
    }
    let text = |user: &str, range: Option<&str>| match range.filter(|r| !r.is_empty()) {
        Some(range) => format!("{user}:{range}"),
        None => user.to_owned(),
    };
    let is = now.map_or_else(|| "not mapped".to_owned(), |l| text(&l.user, Some(&l.range)));
    let class = if now.is_some() { Class::Wrong } else { Class::Missing };
    let sign = if now.is_some() { Sign::Change } else { Sign::Add };
    let local = c.selinux.local_logins().iter().find(|l| l.name == *name);
    let edits = vec![StoreEdit::Login {
        name: name.clone(),
        before: local.map(|l| (l.user.clone(), l.range.clone())),
        user: rule.user.value.clone(),
        range: range.map(str::to_owned),
    }];
    let f = finding(m, &codes::LOGIN, class, &place, Some(origin))
        .is(is, text(&rule.user.value, range))
        .remedy("perms apply");
    c.push(app, sign, place, f, Fix::Changes(vec![Change::Store { edits }]), origin);
}

/// A domain that is declared permissive.
fn permissive(c: &mut Comparison<'_>, app: usize, m: &Manifest, domain: &Spanned<String>, policy: &Policy) {
    if c.unknown_type(app, m, domain, policy, &["domain"])
        || policy.types().id(&domain.value).is_some_and(|t| policy.is_permissive(t))
    {
        return;
    }
    let place = format!("domain {}", domain.value);
    let f = finding(m, &codes::NOT_PERMISSIVE, Class::Wrong, &place, Some(&domain.origin))
        .is("enforcing", "permissive, as declared")
        .remedy("perms apply");
    let setype = c.selinux.real_type(&c.host.root, &domain.value);
    let edits = vec![StoreEdit::Permissive { domain: setype, value: true }];
    c.push(app, Sign::Change, place, f, Fix::Changes(vec![Change::Store { edits }]), &domain.origin);
}

/// Local changes that no manifest declares and that touch an application: a port of a type that it declares, a boolean
/// that opens or closes something to its domain, a login of its user; and dontaudit rules switched off.
pub(super) fn undeclared(c: &mut Comparison<'_>, manifests: &[Manifest], policy: &Policy) {
    cut_off(c, manifests);
    ports(c, manifests);
    booleans(c, manifests, policy);
    logins(c, manifests);
    let with_rules = || manifests.iter().enumerate().filter_map(|(i, m)| Some((i, m, m.selinux.as_ref()?)));
    let said = with_rules().any(|(_, _, rules)| rules.dontaudit.is_some());
    if c.selinux.no_dontaudit
        && !said
        && let Some((app, m, rules)) = with_rules().next()
    {
        let f = finding(m, &codes::DONTAUDIT, Class::Wrong, "dontaudit", Some(&rules.origin))
            .is("switched off (semodule -DB): all denials are logged", "on, or declared off")
            .why("the log fills with what the policy calls harmless")
            .remedy("semodule -B; or declare it: dontaudit = false");
        c.push_undeclared(app, Sign::Attention, "dontaudit".into(), f, Fix::ByHand);
    }
}

/// A change of the store that did not reach the rest of the host.
fn cut_off(c: &mut Comparison<'_>, manifests: &[Manifest]) {
    let mut with_rules = manifests.iter().enumerate().filter_map(|(i, m)| Some((i, m, m.selinux.as_ref()?)));
    let Some((app, m, rules)) = with_rules.find(|(_, _, rules)| rules.in_store() || rules.domain.is_some())
    else {
        return;
    };
    let Some(what) = stale(&c.host.root, c.selinux) else { return };
    let f = finding(m, &codes::NOT_INSTALLED, Class::Wrong, "the policy store", Some(&rules.origin))
        .is(what, "installed and loaded")
        .why("a change of the policy was cut off, or a file was changed by hand")
        .remedy("perms apply");
    let fix = Fix::Changes(vec![Change::Store { edits: vec![StoreEdit::Rebuild] }]);
    c.push_undeclared(app, Sign::Change, "the policy store".into(), f, fix);
}

fn ports(c: &mut Comparison<'_>, manifests: &[Manifest]) {
    let all = || {
        manifests
            .iter()
            .enumerate()
            .flat_map(|(i, m)| m.selinux.iter().flat_map(move |s| s.ports.iter().map(move |p| (i, m, p))))
    };
    for local in c.selinux.local_ports() {
        // One that overlaps a declared one is told of there.
        let declared = all().any(|(_, _, p)| {
            protocol(p.protocol).0 == local.protocol && p.low <= local.high && local.low <= p.high
        });
        if declared {
            continue;
        }
        let touched =
            all().find(|(_, _, p)| c.selinux.real_type(&c.host.root, &p.setype.value) == local.setype());
        let Some((app, m, _)) = touched else { continue };
        let range = port_range(local.low, local.high);
        let place = format!("port {} {range}", local.protocol);
        let f = finding(m, &codes::UNDECLARED_CHANGE, Class::Excess, &place, None)
            .is(
                format!("{} in the policy store: a type that this application's ports have", local.setype()),
                "not there, or declared",
            )
            .remedy(format!(
                "semanage port -d -p {} {range}; or declare it in some manifest",
                local.protocol
            ));
        c.push_undeclared(app, Sign::Attention, place, f, Fix::ByHand);
    }
}

fn booleans(c: &mut Comparison<'_>, manifests: &[Manifest], policy: &Policy) {
    let declared: BTreeSet<&str> = manifests
        .iter()
        .filter_map(|m| m.selinux.as_ref())
        .flat_map(|s| s.booleans.iter().map(|b| c.selinux.real_boolean(&b.name.value)))
        .collect();
    let domains: Vec<(usize, &Manifest, TypeId)> = manifests
        .iter()
        .enumerate()
        .filter_map(|(i, m)| Some((i, m, policy.types().id(&m.selinux.as_ref()?.domain.as_ref()?.value)?)))
        .collect();
    for (name, value) in c.selinux.local_booleans() {
        if declared.contains(name.as_str()) || domains.is_empty() {
            continue;
        }
        let Some(default) = c.selinux.default_boolean(&c.host.root, name).filter(|d| d != value) else {
            continue;
        };
        let Some(id) = policy.booleans().id(name) else { continue };
        let touched = domains.iter().find(|(_, _, domain)| {
            policy.conditionals().iter().filter(|c| c.booleans().contains(&id)).any(|c| {
                let mut rules = policy.branch(c, true).iter().chain(policy.branch(c, false).iter());
                rules.any(|r| r.source().is_some_and(|s| policy.covers(s, *domain)))
            })
        });
        let Some((app, m, domain)) = touched else { continue };
        let word = |on: bool| if on { "on" } else { "off" };
        let place = format!("boolean {name}");
        let f = finding(m, &codes::UNDECLARED_CHANGE, Class::Excess, &place, None)
            .is(
                format!("{}; the policy's own is {}", word(*value), word(default)),
                "the policy's own, or declared",
            )
            .why(format!("it changes what {} may do", policy.types().name(*domain)))
            .remedy(format!(
                "setsebool -P {name} {}; or declare it: booleans = {{ {name} = {value} }}",
                word(default)
            ));
        c.push_undeclared(*app, Sign::Attention, place, f, Fix::ByHand);
    }
}

fn logins(c: &mut Comparison<'_>, manifests: &[Manifest]) {
    let declared: BTreeSet<&str> = manifests
        .iter()
        .filter_map(|m| m.selinux.as_ref())
        .flat_map(|s| s.logins.iter().map(|l| l.name.value.as_str()))
        .collect();
    for local in c.selinux.local_logins().iter().filter(|l| !declared.contains(l.name.as_str())) {
        let of = |m: &Manifest| m.selinux.is_some() && m.app.user.name.value == local.name;
        let Some((app, m)) = manifests.iter().enumerate().find(|(_, m)| of(m)) else { continue };
        let place = format!("login {}", local.name);
        let f = finding(m, &codes::UNDECLARED_CHANGE, Class::Excess, &place, None)
            .is(format!("{}:{} in the policy store", local.user, local.range), "not there, or declared")
            .remedy(format!("semanage login -d {}; or declare it: logins = [{{ … }}]", local.name));
        c.push_undeclared(app, Sign::Attention, place, f, Fix::ByHand);
    }
}
