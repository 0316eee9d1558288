//! What else became possible: by rules, booleans and attributes, in numbers of files, ports and domains.

use std::collections::BTreeSet;

use super::causes::Judge;
use super::text;
use super::{Group, interfaces, types};
use crate::selinux::module::{Grant, Rule, Statement, Target};
use crate::selinux::policy::RuleKind;

/// What objects a line is about; in the order of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Objects {
    Every,
    Labelled,
    Itself,
    Ports,
}

/// A line for each type of objects that the group's rules open, beside the paths that were denied; and for each
/// statement. Types that the module makes open nothing else. Of more than `most` lines the others are only counted.
pub fn lines(judge: &Judge<'_>, group: &Group<'_>, most: usize) -> (Vec<String>, usize) {
    let policy = &judge.ground().policy;
    let mut out = Vec::new();
    let mut by_target: Vec<((&str, Objects, &str), &Rule, &Grant)> = Vec::new();
    let made: BTreeSet<&str> = group.new_types.iter().map(|t| t.name.as_str()).collect();
    let is_port = |ty: &str| {
        policy.type_id(ty).is_some_and(|t| policy.object_contexts().ports.iter().any(|p| p.context.ty == t))
    };
    for (rule, grant) in group.te.rules.iter().chain(group.cil.rules.iter()) {
        let class = rule.class.as_str();
        let target = match &rule.target {
            Target::Itself => rule.source.as_str(),
            Target::Type(name) => name.as_str(),
        };
        if made.contains(target) {
            continue;
        }
        let objects = if types::FILES.contains(&class) {
            Objects::Labelled
        } else if class.ends_with("_socket") && is_port(target) {
            Objects::Ports
        } else if matches!(rule.target, Target::Itself) {
            Objects::Itself
        } else {
            Objects::Every
        };
        by_target.push(((rule.source.as_str(), objects, target), rule, grant));
    }
    // Rules come in order, mostly this one.
    by_target.sort_by_key(|(about, ..)| *about);
    for call in &group.calls {
        let more = interfaces::surplus(call);
        out.push(match more.is_empty() {
            true => format!("by {}: nothing else", call.text()),
            false => format!("by {}: {}", call.text(), more.join(", ")),
        });
    }
    let mut left = 0;
    for rules in by_target.chunk_by(|(a, ..), (b, ..)| a == b) {
        let Some(((source, objects, target), ..)) = rules.first() else { continue };
        let (source, objects, target) = (*source, *objects, *target);
        // Even if it is not shown, the report says by what it was counted.
        let count = |ty: &str| judge.objects(ty).map_or_else(String::new, |n| format!(" ({n})"));
        if out.len() >= most {
            if objects == Objects::Labelled && judge.ground().labels_read().is_none() {
                count(target);
            }
            left += 1;
            continue;
        }
        let what = match objects {
            Objects::Labelled => format!("everything labelled {target}{}", count(target)),
            Objects::Ports => {
                let id = policy.type_id(target);
                let ports = policy.object_contexts().ports.iter().filter(|p| Some(p.context.ty) == id);
                let ranges = text::count(text::len(ports.count()), "range", "ranges");
                format!("ports of type {target} ({ranges})")
            }
            Objects::Itself => "itself".to_owned(),
            Objects::Every => format!("every process and object of type {target}"),
        };
        let permissions: BTreeSet<String> = rules
            .iter()
            .map(|(_, rule, grant)| {
                let names: Vec<&str> = grant.permissions.iter().map(|p| p.as_str()).collect();
                format!("{} {{ {} }}", rule.class, names.join(" "))
            })
            .collect();
        let list: Vec<String> = permissions.into_iter().collect();
        out.push(format!("{source} to {what}: {}", list.join(", ")));
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
    (out, left)
}
