//! `perms policy reach`: what a domain may do, and what it may become.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;
use serde_json::json;

use super::super::error::CliError;
use super::what_if::WhatIf;
use super::{Asked, class, ty, wrapped};
use crate::report::{Format, escape};
use crate::selinux::policy::{ClassId, DomainTransition, Policy, TypeId};

/// Show what a domain may do, and which domains it may become
///
/// By class and permission. Rules in force only; attributes stand as rules have
/// them unless --expand is given. Constraints may still deny part.
///
/// Examples:
///   perms policy reach httpd_t
///   perms policy reach httpd_t -c tcp_socket --expand
///   perms policy reach --with 'type app_t, domain' app_t
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct ReachArgs {
    /// Type that acts
    source: String,
    /// Only these classes
    #[arg(short, long, value_delimiter = ',')]
    class: Vec<String>,
    /// Name the types that attributes stand for
    #[arg(long)]
    expand: bool,
    /// Only what it may become
    #[arg(long)]
    transitions: bool,
    #[command(flatten)]
    pub(super) what_if: WhatIf,
}

/// For each class and set of permissions, the targets.
type ByPermissions<'p> = BTreeMap<(&'p str, String), Vec<&'p str>>;

pub(super) fn run(asked: &Asked<'_>, args: &ReachArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let policy = &asked.policy;
    let source = ty(policy, &args.source)?;
    let classes = args.class.iter().map(|c| class(policy, c)).collect::<Result<Vec<_>, _>>()?;
    let view = asked.view();
    let mut table = view.reach(source);
    table.retain(|(class, _), _| classes.is_empty() || classes.contains(class));
    if args.expand {
        let mut expanded: BTreeMap<(ClassId, TypeId), u32> = BTreeMap::new();
        for ((class, target), vector) in table {
            for member in policy.expand(target) {
                *expanded.entry((class, member)).or_insert(0) |= vector;
            }
        }
        table = expanded;
    }
    let mut grouped = ByPermissions::new();
    if !args.transitions {
        for ((class, target), vector) in &table {
            let key = (policy.classes().name(*class), policy.vector_text(*class, *vector));
            grouped.entry(key).or_default().push(policy.types().name(*target));
        }
    }
    let transitions =
        if classes.is_empty() || args.transitions { view.transitions(source) } else { Vec::new() };
    if asked.format == Format::Json {
        return json(asked, &grouped, &transitions, out);
    }
    asked.head(out)?;
    let name = escape(&args.source);
    if !args.transitions {
        writeln!(out, "{name} may, by rules in force:")?;
    }
    let mut last = "";
    for ((class, permissions), targets) in &mut grouped {
        if *class != last {
            writeln!(out, "{}", escape(class))?;
            last = class;
        }
        targets.sort_unstable();
        writeln!(out, "  {}  on", escape(permissions))?;
        write!(out, "{}", wrapped(targets, 6))?;
    }
    if !transitions.is_empty() {
        writeln!(out, "{name} may become:")?;
    }
    for t in &transitions {
        writeln!(out, "  {}  {}", escape(policy.types().name(t.to)), by(policy, t))?;
    }
    Ok(())
}

/// By what a transition happens.
fn by(policy: &Policy, transition: &DomainTransition) -> String {
    let named = |automatic: bool| {
        let some = transition.programs.iter().filter(|(_, a)| *a == automatic);
        some.map(|(p, _)| escape(policy.types().name(*p))).collect::<Vec<_>>()
    };
    let mut ways = Vec::new();
    let (automatic, asked) = (named(true), named(false));
    if !automatic.is_empty() {
        ways.push(format!("by executing {}", automatic.join(" ")));
    }
    if !asked.is_empty() {
        ways.push(format!("by executing {}, if it asks for it (setexeccon)", asked.join(" ")));
    }
    if transition.dynamic {
        ways.push("at any time (setcon)".to_owned());
    }
    if ways.is_empty() {
        return "allowed, but no program leads there".to_owned();
    }
    ways.join("; ")
}

fn json(
    asked: &Asked<'_>,
    grouped: &ByPermissions<'_>,
    transitions: &[DomainTransition],
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let name = |t| asked.policy.types().name(t);
    let access: Vec<_> = grouped
        .iter()
        .map(|((class, permissions), targets)| {
            let permissions: Vec<&str> =
                permissions.split_whitespace().filter(|w| !matches!(*w, "{" | "}")).collect();
            json!({ "class": class, "permissions": permissions, "targets": targets })
        })
        .collect();
    let transitions: Vec<_> = transitions
        .iter()
        .map(|t| {
            let programs: Vec<_> =
                t.programs.iter().map(|(p, a)| json!({ "type": name(*p), "automatic": a })).collect();
            json!({ "to": name(t.to), "programs": programs, "dynamic": t.dynamic })
        })
        .collect();
    asked.json(out, "policy-reach", json!({ "access": access, "transitions": transitions }))
}
