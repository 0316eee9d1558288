//! What two policies say differently, by names: numbers, order and spelling by attributes do not count.
//!
//! Everything but rules of permissions is compared as statements, one text for each. Rules of permissions are compared
//! by what they mean: a rule of one policy counts as missing in the other only where some pair of its types lacks a
//! permission there, so that a rule written by attribute equals the same rules written by type.

use std::collections::{BTreeMap, BTreeSet};

use super::constraint_tree::Tree;
use super::constraints::Constraint;
use super::database::Policy;
use super::decide::with_members;
use super::id::{ClassId, TypeId};
use super::rule_tables::Gate;
use super::rules::{Rule, RuleKind};
use super::symbols::Symbol;
use super::types::TypeKind;
use super::{DefaultFrom, DefaultRange, FsUseKind, capability_name, commands_text};

/// What two policies say differently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// By area, such as `types` or `allow`: what only the first says, and what only the second says.
    pub areas: Vec<(&'static str, Vec<String>, Vec<String>)>,
}

impl Difference {
    /// Whether both say the same.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }
}

impl Policy {
    /// What this policy and another say differently; areas without a difference are left out.
    pub fn difference(&self, other: &Policy) -> Difference {
        let (ours, theirs) = (statements(self), statements(other));
        let mut areas = Vec::new();
        for (area, first) in &ours {
            let empty = BTreeSet::new();
            let second = theirs.get(area).unwrap_or(&empty);
            let only =
                |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
            areas.push((*area, only(first, second), only(second, first)));
        }
        for (area, kind) in [
            ("allow", RuleKind::Allow),
            ("auditallow", RuleKind::AuditAllow),
            ("dontaudit", RuleKind::DontAudit),
        ] {
            let (first, second) = (written(self, kind), written(other, kind));
            areas.push((
                area,
                missing(self, &first, other, &second, kind),
                missing(other, &second, self, &first, kind),
            ));
        }
        areas.retain(|(_, first, second)| !(first.is_empty() && second.is_empty()));
        Difference { areas }
    }
}

/// A rule of permissions by names, with its condition; and its permissions.
type Written = BTreeMap<(String, String, String, String), (BTreeSet<String>, TypeId, TypeId, ClassId)>;

fn written(policy: &Policy, kind: RuleKind) -> Written {
    let mut out = Written::new();
    each_conditioned(policy, |rule, condition| {
        let (Some(s), Some(t), Some(class)) = (rule.source(), rule.target(), rule.class()) else { return };
        let Some(vector) = rule.permissions().filter(|_| rule.kind() == kind) else { return };
        let name = |t| policy.types().name(t).to_owned();
        let key = (name(s), name(t), policy.classes().name(class).to_owned(), condition.to_owned());
        let entry = out.entry(key).or_insert_with(|| (BTreeSet::new(), s, t, class));
        entry.0.extend(policy.permission_names(class, vector).into_iter().map(str::to_owned));
    });
    out
}

/// Rules of `policy` that `other` lacks: for some pair of types, some permission.
fn missing(policy: &Policy, rules: &Written, other: &Policy, same: &Written, kind: RuleKind) -> Vec<String> {
    let conditions = conditions(other);
    let mut out = Vec::new();
    for (key, (permissions, source, target, class)) in rules {
        let known = same.get(key).map(|(p, ..)| p);
        let candidates: BTreeSet<&String> =
            permissions.iter().filter(|p| known.is_none_or(|k| !k.contains(*p))).collect();
        // A rule that is written in both still means more here where an attribute has more types here; that is said
        // by the attributes.
        if candidates.is_empty() {
            continue;
        }
        let gates = conditions.get(&key.3).map_or(&[][..], Vec::as_slice);
        let mut lacking: BTreeSet<&String> = BTreeSet::new();
        let other_class = other.classes().id(policy.classes().name(*class));
        let bits: Vec<(&String, Option<u32>)> =
            candidates.iter().map(|p| (*p, other_class.and_then(|c| other.permission(c, p)))).collect();
        let sources = policy.expand(*source);
        let targets = policy.expand(*target);
        'pairs: for s in &sources {
            for t in &targets {
                let theirs = |t: TypeId| other.types().find(policy.types().name(t)).map(Symbol::id);
                let vector = match (theirs(*s), theirs(*t), other_class) {
                    (Some(s), Some(t), Some(class)) => granted(other, kind, s, t, class, gates),
                    _ => 0,
                };
                lacking
                    .extend(bits.iter().filter(|(_, b)| b.is_none_or(|b| vector & b == 0)).map(|(p, _)| *p));
                if lacking.len() == bits.len() {
                    break 'pairs;
                }
            }
        }
        if !lacking.is_empty() {
            let names: Vec<&str> = lacking.iter().map(|p| p.as_str()).collect();
            let names =
                if let [one] = names[..] { one.to_owned() } else { format!("{{ {} }}", names.join(" ")) };
            let condition = if key.3.is_empty() { String::new() } else { format!(" [ {} ]", key.3) };
            out.push(format!("{} {} {}:{} {names};{condition}", kind.as_str(), key.0, key.1, key.2));
        }
    }
    out
}

/// What the rules of one kind say of two types, without a condition or under one of these.
fn granted(
    policy: &Policy,
    kind: RuleKind,
    source: TypeId,
    target: TypeId,
    class: ClassId,
    gates: &[Gate],
) -> u32 {
    let mut out = 0;
    with_members(policy, source, |members| {
        for on in policy.attributes(target) {
            for entry in policy.index.rules.get(on, class) {
                if members.contains(entry.source)
                    && let Some((rule, gate)) = policy.rule(entry.rule)
                    && rule.kind() == kind
                    && (gate == 0 || gates.contains(&gate))
                {
                    out |= rule.permissions().unwrap_or(0);
                }
            }
        }
    });
    out
}

/// The gates of each condition, by its text and what it must be.
fn conditions(policy: &Policy) -> BTreeMap<String, Vec<Gate>> {
    let mut out: BTreeMap<String, Vec<Gate>> = BTreeMap::new();
    for (i, conditional) in (0u32..).zip(policy.conditionals()) {
        for (branch, gate) in [(true, 1 + 2 * i), (false, 2 + 2 * i)] {
            out.entry(format!("{} is {branch}", policy.condition_text(conditional))).or_default().push(gate);
        }
    }
    out
}

/// Calls for each rule with its condition's text, empty where it has none.
fn each_conditioned(policy: &Policy, mut call: impl FnMut(&Rule, &str)) {
    policy.rules().iter().for_each(|r| call(&r, ""));
    for conditional in policy.conditionals() {
        let text = policy.condition_text(conditional);
        for branch in [true, false] {
            let text = format!("{text} is {branch}");
            policy.branch(conditional, branch).iter().for_each(|r| call(&r, &text));
        }
    }
}

/// Everything but rules of permissions as statements, by area.
fn statements(policy: &Policy) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut out: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for area in AREAS {
        out.insert(area, BTreeSet::new());
    }
    let mut say = |area: &'static str, text: String| {
        out.entry(area).or_default().insert(text);
    };
    let ty = |t| policy.types().name(t);
    let role = |r| policy.roles().name(r);
    let class = |c| policy.classes().name(c);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    say("policy", format!("handle_unknown {}", policy.handle_unknown().as_str()));
    say("policy", format!("mls {}", policy.mls()));
    for n in policy.capabilities().iter() {
        let name = capability_name(n).map_or_else(|| n.to_string(), str::to_owned);
        say("policy", format!("policycap {name};"));
    }
    for c in policy.classes().iter() {
        say("classes", format!("class {}", c.name));
        for p in policy.permissions(c.id) {
            say("permissions", format!("class {} {}", c.name, p.name));
        }
        for (word, list) in [("constrain", &c.constraints), ("validatetrans", &c.validatetrans)] {
            for constraint in list {
                say("constraints", constraint_text(policy, word, c.id, constraint));
            }
        }
        let from = |f| if f == DefaultFrom::Source { "source" } else { "target" };
        let d = c.defaults;
        for (what, f) in [("user", d.user), ("role", d.role), ("type", d.ty)] {
            if let Some(f) = f {
                say("defaults", format!("default_{what} {} {};", c.name, from(f)));
            }
        }
        if let Some(range) = d.range {
            say("defaults", format!("default_range {} {};", c.name, range_word(range)));
        }
    }
    for t in policy.types().records() {
        match t.kind {
            TypeKind::Type => say("types", format!("type {}", t.name)),
            TypeKind::Alias => say("types", format!("typealias {} alias {}", ty(t.id), t.name)),
            TypeKind::Attribute => say("attributes", format!("attribute {}", t.name)),
        }
        if let Some(bounds) = t.bounds {
            say("types", format!("typebounds {} {}", ty(bounds), t.name));
        }
    }
    for t in policy.types().iter().filter(|t| t.kind == TypeKind::Type) {
        for attribute in policy.attributes(t.id).filter(|a| *a != t.id) {
            say("attributes", format!("typeattribute {} {}", t.name, ty(attribute)));
        }
        if policy.is_permissive(t.id) {
            say("permissive", format!("permissive {}", t.name));
        }
        if policy.is_never_audited(t.id) {
            say("permissive", format!("neveraudit {}", t.name));
        }
    }
    for r in policy.roles().iter() {
        say("roles", format!("role {}", r.name));
        for t in r.types.iter().filter_map(TypeId::from_bit) {
            say("roles", format!("role {} types {}", r.name, ty(t)));
        }
    }
    for u in policy.users().iter() {
        let range = u
            .mls
            .as_ref()
            .map(|(r, l)| format!(" level {} range {}", policy.level_text(l), policy.range_text(r)));
        say("users", format!("user {}{}", u.name, range.unwrap_or_default()));
        for r in u.roles.iter().filter_map(super::RoleId::from_bit) {
            say("users", format!("user {} roles {}", u.name, role(r)));
        }
    }
    for b in policy.booleans().iter() {
        say("booleans", format!("bool {} {}", b.name, b.state));
    }
    for s in policy.sensitivities().iter() {
        say("levels", format!("level {}", policy.level_text(&s.level)));
    }
    for c in policy.categories().iter() {
        say("levels", format!("category {}", c.name));
    }
    each_conditioned(policy, |rule, condition| {
        let condition = if condition.is_empty() { String::new() } else { format!(" [ {condition} ]") };
        if rule.kind().gives_type() {
            say("type transitions", format!("{}{condition}", policy.rule_text(rule)));
        } else if let (Some(extended), Some(s), Some(t), Some(c)) =
            (policy.extended(rule), rule.source(), rule.target(), rule.class())
        {
            for range in extended.ranges() {
                let (kind, commands) = (rule.kind().as_str(), commands_text(&[range]));
                say(
                    "extended permissions",
                    format!("{kind} {} {}:{} {commands};{condition}", ty(s), ty(t), class(c)),
                );
            }
        }
    });
    for t in policy.name_transitions() {
        for (sources, new) in &t.outcomes {
            for s in sources.iter().filter_map(TypeId::from_bit) {
                let (s, target, c, new) = (ty(s), ty(t.target), class(t.class), ty(*new));
                say(
                    "type transitions",
                    format!("type_transition {s} {target}:{c} {new} \"{}\";", text(&t.name)),
                );
            }
        }
    }
    for r in policy.role_allows() {
        say("role rules", format!("allow {} {};", role(r.role), role(r.new_role)));
    }
    for r in policy.role_transitions() {
        let class = r.class.map_or("process", class);
        say(
            "role rules",
            format!("role_transition {} {}:{class} {};", role(r.role), ty(r.ty), role(r.new_role)),
        );
    }
    for r in policy.range_transitions() {
        let (s, t, c) = (ty(r.source), ty(r.target), class(r.class));
        say("range transitions", format!("range_transition {s} {t}:{c} {};", policy.range_text(&r.range)));
    }
    let contexts = policy.object_contexts();
    let context = |c| policy.context_text(c);
    for s in &contexts.initial_sids {
        say("initial SIDs", format!("sid {} {}", s.sid, context(&s.context)));
    }
    for p in &contexts.ports {
        say("portcon", format!("portcon {} {}-{} {}", p.protocol, p.low, p.high, context(&p.context)));
    }
    for (word, list) in [("netifcon", &contexts.interfaces), ("fscon", &contexts.file_systems)] {
        for n in list {
            say(
                "netifcon",
                format!("{word} {} {} {}", text(&n.name), context(&n.context), context(&n.second)),
            );
        }
    }
    for n in &contexts.nodes4 {
        say("nodecon", format!("nodecon {} {} {}", n.address, n.mask, context(&n.context)));
    }
    for n in &contexts.nodes6 {
        say("nodecon", format!("nodecon {} {} {}", n.address, n.mask, context(&n.context)));
    }
    for f in &contexts.fs_uses {
        let kind = match f.kind {
            FsUseKind::Xattr => "xattr",
            FsUseKind::Trans => "trans",
            FsUseKind::Task => "task",
            _ => "other",
        };
        say("fs_use", format!("fs_use_{kind} {} {};", text(&f.name), context(&f.context)));
    }
    for g in policy.genfs() {
        for p in &g.paths {
            let class = p.class.map_or(String::new(), |c| format!(" {}", class(c)));
            say(
                "genfscon",
                format!("genfscon {} {}{class} {}", text(&g.fstype), text(&p.path), context(&p.context)),
            );
        }
    }
    for k in &contexts.ib_pkeys {
        say(
            "ibpkeycon",
            format!("ibpkeycon {:02x?} {:#x}-{:#x} {}", k.prefix, k.low, k.high, context(&k.context)),
        );
    }
    for e in &contexts.ib_end_ports {
        say("ibpkeycon", format!("ibendportcon {} {} {}", text(&e.name), e.port, context(&e.context)));
    }
    out
}

/// The areas that statements belong to; each is there for both policies, were it empty.
const AREAS: [&str; 23] = [
    "policy",
    "classes",
    "permissions",
    "constraints",
    "defaults",
    "types",
    "attributes",
    "permissive",
    "roles",
    "users",
    "booleans",
    "levels",
    "extended permissions",
    "type transitions",
    "role rules",
    "range transitions",
    "initial SIDs",
    "portcon",
    "netifcon",
    "nodecon",
    "fs_use",
    "genfscon",
    "ibpkeycon",
];

fn constraint_text(policy: &Policy, word: &str, class: ClassId, constraint: &Constraint) -> String {
    let expression = Tree::build(policy, constraint, |_| false).map(|t| t.to_string()).unwrap_or_default();
    let name = policy.classes().name(class);
    let permissions = policy.vector_text(class, constraint.permissions);
    if word == "validatetrans" {
        return format!("{word} {name} ( {expression} );");
    }
    format!("{word} {name} {permissions} ( {expression} );")
}

fn range_word(range: DefaultRange) -> &'static str {
    match range {
        DefaultRange::SourceLow => "source low",
        DefaultRange::SourceHigh => "source high",
        DefaultRange::SourceLowHigh => "source low-high",
        DefaultRange::TargetLow => "target low",
        DefaultRange::TargetHigh => "target high",
        DefaultRange::TargetLowHigh => "target low-high",
        DefaultRange::Glblub => "glblub",
    }
}
