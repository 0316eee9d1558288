//! What else became possible: by rules, booleans and attributes, in numbers of files, ports and domains.

use std::collections::{BTreeMap, BTreeSet};

use super::causes::Judge;
use super::text;
use super::{Group, interfaces, types};
use crate::selinux::module::{Statement, Target};
use crate::selinux::policy::RuleKind;

/// A line for each type of objects that the group's rules open, beside the paths that were denied; and for each
/// statement. Types that the module makes open nothing else.
pub fn lines(judge: &mut Judge<'_>, group: &Group<'_>) -> Vec<String> {
    let policy = &judge.ground().policy;
    let mut out = Vec::new();
    let mut by_target: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let made: BTreeSet<&str> = group.new_types.iter().map(|t| t.name.as_str()).collect();
    for (rule, grant) in group.te.rules.iter().chain(group.cil.rules.iter()) {
        let class = rule.class.as_str();
        let target = match &rule.target {
            Target::Itself => rule.source.as_str(),
            Target::Type(name) => name.as_str(),
        };
        if made.contains(target) {
            continue;
        }
        let names: Vec<&str> = grant.permissions.iter().map(|p| p.as_str()).collect();
        let what = if types::FILES.contains(&class) {
            let objects = judge.objects(target).map_or_else(String::new, |n| format!(" ({n})"));
            (format!("{} to", rule.source), format!("everything labelled {target}{objects}"))
        } else if class.ends_with("_socket") && policy.type_id(target).is_some_and(|t| is_port(judge, t)) {
            let id = policy.type_id(target);
            let ports = policy.object_contexts().ports.iter().filter(|p| Some(p.context.ty) == id);
            let ranges = text::count(text::len(ports.count()), "range", "ranges");
            (format!("{} to", rule.source), format!("ports of type {target} ({ranges})"))
        } else if matches!(rule.target, Target::Itself) {
            (format!("{} to", rule.source), "itself".to_owned())
        } else {
            (format!("{} to", rule.source), format!("every process and object of type {target}"))
        };
        let names = names.join(" ");
        by_target.entry(what).or_default().insert(format!("{class} {{ {names} }}"));
    }
    for call in &group.calls {
        let more = interfaces::surplus(call);
        out.push(match more.is_empty() {
            true => format!("by {}: nothing else", call.text()),
            false => format!("by {}: {}", call.text(), more.join(", ")),
        });
    }
    for ((who, what), permissions) in by_target {
        let list: Vec<String> = permissions.into_iter().collect();
        out.push(format!("{who} {what}: {}", list.join(", ")));
    }
    let statements = group.te.statements.iter().chain(&group.cil.statements);
    for statement in statements {
        out.push(match statement {
            Statement::TypeAttribute { ty, attribute } => {
                let id = policy.type_id(attribute.as_str());
                let of = |r: &crate::selinux::policy::Rule| {
                    r.kind() == RuleKind::Allow && (r.source() == id || r.target() == id)
                };
                let rules = policy.rules().iter().filter(of).count();
                let rules = text::count(text::len(rules), "rule", "rules");
                format!("{ty} gets all that {attribute} has: {rules}, and what constraints except it from")
            }
            Statement::RoleTypes { role, ty } => format!("processes of role {role} may have the type {ty}"),
            Statement::RoleAllow { from, to } => format!("processes may go from role {from} to {to}"),
        });
    }
    out
}

fn is_port(judge: &Judge<'_>, ty: crate::selinux::policy::TypeId) -> bool {
    judge.ground().policy.object_contexts().ports.iter().any(|p| p.context.ty == ty)
}
