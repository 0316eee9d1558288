//! Names of a policy as a user gives them, with the nearest one where there is none; conditions as text.

use super::super::error::CliError;
use crate::report::escape;
use crate::report::nearest::near;
use crate::selinux::policy::{BooleanId, ClassId, Conditioned, Policy, Symbol as _, TypeId};

/// A type or attribute by name.
pub(super) fn ty(policy: &Policy, name: &str) -> Result<TypeId, CliError> {
    let known = || policy.types().records().iter().map(|t| t.name());
    policy.type_id(name).ok_or_else(|| unknown("type", name, known()))
}

/// A class by name.
pub(super) fn class(policy: &Policy, name: &str) -> Result<ClassId, CliError> {
    let known = || policy.classes().iter().map(|c| c.name());
    policy.classes().id(name).ok_or_else(|| unknown("class", name, known()))
}

/// A boolean by name.
pub(super) fn boolean(policy: &Policy, name: &str) -> Result<BooleanId, CliError> {
    let known = || policy.booleans().iter().map(|b| b.name());
    policy.booleans().id(name).ok_or_else(|| unknown("boolean", name, known()))
}

/// Permissions of a class by name.
pub(super) fn permissions(policy: &Policy, class: ClassId, names: &[String]) -> Result<u32, CliError> {
    let known = || policy.permissions(class).map(|p| &*p.name);
    names.iter().try_fold(0, |vector, name| {
        let bit = policy.permission(class, name).ok_or_else(|| unknown("permission", name, known()))?;
        Ok(vector | bit)
    })
}

/// Names in lines of a hundred columns, escaped, each line behind so many spaces and with its end.
pub(super) fn wrapped(names: &[&str], indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for name in names.iter().map(|n| escape(n)) {
        let wide = name.chars().count();
        if column == 0 || column + 1 + wide > 100 {
            if column != 0 {
                out.push('\n');
            }
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(&name);
        column += wide;
    }
    if column != 0 {
        out.push('\n');
    }
    out
}

/// A rule with its condition, escaped.
pub(super) fn conditioned_text(policy: &Policy, found: &Conditioned, holds: bool) -> String {
    let rule = escape(&policy.rule_text(&found.rule));
    match found.condition.and_then(|(i, branch)| Some((policy.conditionals().get(i)?, branch))) {
        Some((conditional, branch)) => {
            let now = if holds { "on" } else { "off" };
            format!("{rule}  [ {} ]:{branch}, {now} now", escape(&policy.condition_text(conditional)))
        }
        None => rule,
    }
}

/// The same for programs.
pub(super) fn conditioned_json(policy: &Policy, found: &Conditioned, holds: bool) -> serde_json::Value {
    let rule = policy.rule_text(&found.rule);
    match found.condition.and_then(|(i, branch)| Some((policy.conditionals().get(i)?, branch))) {
        Some((conditional, branch)) => {
            let condition = policy.condition_text(conditional);
            serde_json::json!({ "rule": rule, "condition": condition, "when": branch, "holds": holds })
        }
        None => serde_json::json!({ "rule": rule, "holds": holds }),
    }
}

/// What is said where the policy lacks a name: the name and the nearest ones.
pub(super) fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> CliError {
    let near: Vec<String> = near(name, known).iter().map(|k| format!("`{k}`")).collect();
    let error = CliError::new(format!("the policy has no {kind} `{name}`"));
    if near.is_empty() { error } else { error.hint(format!("did you mean {}?", near.join(" or "))) }
}
