//! `perms policy search`: rules that fit.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::report::{Format, escape, escape_bytes};
use crate::selinux::policy::{Found, Party, Policy, Query, RuleKind, View};

use super::super::error::CliError;
use super::what_if::WhatIf;
use super::{Asked, boolean, class, ty, unknown};

/// Find rules
///
/// Shows each rule that fits everything that is given. A type stands for itself and for the attributes that it has, an
/// attribute for the types that have it; --direct takes rules only as they are written.
///
/// Examples:
///   perms policy search -s httpd_t -t shadow_t
///   perms policy search --kind allow -s httpd_t -c tcp_socket -p name_connect
///   perms policy search -b httpd_can_network_connect
///   perms policy search --kind type_transition -s init_t --new httpd_t
///   perms policy search --with 'type app_t, domain' -s app_t
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct SearchArgs {
    /// Kinds of rules; all where none is given
    #[arg(long, value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Type or attribute that acts
    #[arg(short, long, value_name = "TYPE")]
    source: Option<String>,
    /// Type or attribute that is acted upon
    #[arg(short, long, value_name = "TYPE")]
    target: Option<String>,
    /// Object classes, any of them
    #[arg(short, long, value_delimiter = ',')]
    class: Vec<String>,
    /// Permissions, any of them
    #[arg(short, long, value_delimiter = ',', value_name = "PERMISSION")]
    permission: Vec<String>,
    /// Only rules with all of the permissions
    #[arg(long)]
    all_permissions: bool,
    /// Type that the rule gives to what is made
    #[arg(long, value_name = "TYPE")]
    new: Option<String>,
    /// Booleans, any of which decides whether the rule holds
    #[arg(short, long, value_delimiter = ',')]
    boolean: Vec<String>,
    /// Ioctl command or message type, or a range of them: 0x5401, 0x8900-0x89ff
    #[arg(short = 'x', long, value_name = "COMMAND")]
    command: Option<String>,
    /// Take source and target as they are written in rules, attributes not expanded
    #[arg(long)]
    direct: bool,
    /// Only rules that hold with the booleans as the policy has them, or as --set says
    #[arg(long)]
    enabled: bool,
    /// One line for each pair of types, attributes expanded
    #[arg(long)]
    expand: bool,
    #[command(flatten)]
    pub(super) what_if: WhatIf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Allow,
    Auditallow,
    Dontaudit,
    TypeTransition,
    TypeMember,
    TypeChange,
    Allowxperm,
    Auditallowxperm,
    Dontauditxperm,
}

impl Kind {
    fn rule(self) -> RuleKind {
        match self {
            Kind::Allow => RuleKind::Allow,
            Kind::Auditallow => RuleKind::AuditAllow,
            Kind::Dontaudit => RuleKind::DontAudit,
            Kind::TypeTransition => RuleKind::Transition,
            Kind::TypeMember => RuleKind::Member,
            Kind::TypeChange => RuleKind::Change,
            Kind::Allowxperm => RuleKind::AllowX,
            Kind::Auditallowxperm => RuleKind::AuditAllowX,
            Kind::Dontauditxperm => RuleKind::DontAuditX,
        }
    }
}

pub(super) fn run(asked: &Asked<'_>, args: &SearchArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let policy = &asked.policy;
    let query = query(policy, args)?;
    let view = asked.view();
    let mut lines = Vec::new();
    for found in policy.search(&query) {
        let condition = match found {
            Found::Rule(_, Some((i, branch))) => policy
                .conditionals()
                .get(i)
                .map(|c| (policy.condition_text(c), branch, view.is_true(c) == branch)),
            _ => None,
        };
        if args.enabled && condition.as_ref().is_some_and(|(.., holds)| !holds) {
            continue;
        }
        for rule in show(policy, &view, &found, args.expand, &query) {
            lines.push(Line { rule, condition: condition.clone() });
        }
    }
    lines.sort();
    if asked.format == Format::Json {
        let rules: Vec<_> = lines
            .iter()
            .map(|l| match &l.condition {
                Some((text, branch, holds)) => {
                    json!({ "rule": l.rule, "condition": text, "when": branch, "holds": holds })
                }
                None => json!({ "rule": l.rule, "holds": true }),
            })
            .collect();
        return asked.json(out, &json!({ "policy": asked.head_json(), "rules": rules }));
    }
    asked.head(out)?;
    for line in &lines {
        write!(out, "{}", escape(&line.rule))?;
        if let Some((text, branch, holds)) = &line.condition {
            let now = if *holds { "on" } else { "off" };
            write!(out, "  [ {} ]:{branch}, {now} now", escape(text))?;
        }
        writeln!(out)?;
    }
    let s = if lines.len() == 1 { "" } else { "s" };
    writeln!(out, "{} rule{s}", lines.len())?;
    Ok(())
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    rule: String,
    /// Text, whether it must be true, whether the rule holds now.
    condition: Option<(String, bool, bool)>,
}

fn query(policy: &Policy, args: &SearchArgs) -> Result<Query, CliError> {
    let ty = |name: &str| ty(policy, name);
    let party = |name: &Option<String>| match name {
        None => Ok(None),
        Some(name) if args.direct => ty(name).map(|t| Some(Party::Written(t))),
        Some(name) => ty(name).map(|t| Some(Party::About(t))),
    };
    let mut classes = Vec::new();
    for name in &args.class {
        classes.push(class(policy, name)?);
    }
    for name in &args.permission {
        let all =
            || policy.classes().iter().map(|c| c.id).filter(|c| classes.is_empty() || classes.contains(c));
        if !all().any(|c| policy.permission(c, name).is_some()) {
            return Err(unknown(
                "permission",
                name,
                all().flat_map(|c| policy.permissions(c)).map(|p| &*p.name),
            ));
        }
    }
    let mut booleans = Vec::new();
    for name in &args.boolean {
        booleans.push(boolean(policy, name)?);
    }
    Ok(Query {
        kinds: args.kind.iter().map(|k| k.rule()).collect(),
        source: party(&args.source)?,
        target: party(&args.target)?,
        classes,
        permissions: args.permission.clone(),
        all_permissions: args.all_permissions,
        new_type: args.new.as_deref().map(ty).transpose()?,
        booleans,
        commands: args.command.as_deref().map(commands).transpose()?,
    })
}

/// `0x5401` or `0x8900-0x89ff`; decimal numbers too.
pub(super) fn commands(text: &str) -> Result<(u16, u16), CliError> {
    let number = |t: &str| match t.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => t.parse().ok(),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(CliError::new(format!("`{text}` is no command of 16 bits, nor a range of them"))),
    }
}

/// A rule's text; one for each pair of types where it is to be expanded.
fn show(policy: &Policy, view: &View<'_>, found: &Found<'_>, expand: bool, query: &Query) -> Vec<String> {
    match found {
        Found::Name(rule, source, new) => {
            let name = |t| policy.types().name(t);
            let class = policy.classes().name(rule.class);
            let file = escape_bytes(&rule.name);
            let (s, t, new) = (name(*source), name(rule.target), name(*new));
            vec![format!("type_transition {s} {t}:{class} {new} \"{file}\";")]
        }
        Found::Rule(rule, _) if !expand => vec![policy.rule_text(rule)],
        Found::Rule(rule, _) => {
            let (Some(source), Some(target)) = (rule.source(), rule.target()) else { return Vec::new() };
            let of = |written, party: Option<Party>| {
                let all = policy.expand(written).into_iter();
                let wanted = move |t: &_| match party {
                    Some(Party::About(asked)) => policy.covers(asked, *t),
                    _ => true,
                };
                all.filter(wanted).collect::<Vec<_>>()
            };
            let text = policy.rule_text(rule);
            let rest = text.split_once(':').map_or("", |(_, rest)| rest);
            let kind = rule.kind().as_str();
            let name = |t| view.policy().types().name(t);
            let targets = of(target, query.target);
            of(source, query.source)
                .into_iter()
                .flat_map(|s| targets.iter().map(move |t| (s, *t)))
                .map(|(s, t)| format!("{kind} {} {}:{rest}", name(s), name(t)))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_number_or_a_range() {
        assert_eq!(commands("0x5401").unwrap(), (0x5401, 0x5401));
        assert_eq!(commands("0x8900-0x89ff").unwrap(), (0x8900, 0x89ff));
        assert_eq!(commands("16").unwrap(), (16, 16));
        for wrong in ["", "x", "0x12345", "5-3", "-"] {
            assert!(commands(wrong).is_err(), "{wrong}");
        }
    }
}
