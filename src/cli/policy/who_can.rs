//! `perms policy who-can`: which types may, and by which rules.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::super::error::CliError;
use super::what_if::WhatIf;
use super::{Asked, class, conditioned_json, conditioned_text, permissions, ty, wrapped};
use crate::report::{Format, escape};

/// Show which types may do something to a type, and by which rules
///
/// Rules only: constraints (levels, roles, users) may still deny it to some
/// contexts, and how many of them touch the permission is said at the end.
///
/// Examples:
///   perms policy who-can shadow_t file read
///   perms policy who-can http_port_t tcp_socket name_bind
///   perms policy who-can --set httpd_enable_homedirs=on user_home_t file read
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct WhoCanArgs {
    /// Type that is acted upon
    target: String,
    /// Its class
    class: String,
    /// Permissions, any of them
    #[arg(required = true, value_name = "PERMISSION", value_delimiter = ',')]
    permissions: Vec<String>,
    /// Also rules that a boolean turns off
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub(super) what_if: WhatIf,
}

pub(super) fn run(asked: &Asked<'_>, args: &WhoCanArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let policy = &asked.policy;
    let target = ty(policy, &args.target)?;
    let class_id = class(policy, &args.class)?;
    let vector = permissions(policy, class_id, &args.permissions)?;
    let view = asked.view();
    let mut grants = view.who_can(target, class_id, vector);
    for grant in &mut grants {
        grant.rules.retain(|(_, _, holds)| args.all || *holds);
    }
    grants.retain(|g| !g.rules.is_empty());
    grants.sort_by_key(|g| policy.types().name(g.source));
    let constraints = policy.constrained(class_id, vector);

    if asked.format == Format::Json {
        let types: Vec<_> = grants
            .iter()
            .map(|g| {
                let rules: Vec<_> =
                    g.rules.iter().map(|(rule, _, holds)| conditioned_json(policy, rule, *holds)).collect();
                json!({ "type": policy.types().name(g.source), "rules": rules })
            })
            .collect();
        return asked.json(out, "policy-who-can", json!({ "types": types, "constraints": constraints }));
    }
    asked.head(out)?;
    let what = args.permissions.iter().map(|p| escape(p)).collect::<Vec<_>>().join(" or ");
    let (target, class) = (escape(&args.target), escape(&args.class));
    let s = if grants.len() == 1 { "" } else { "s" };
    writeln!(out, "{} type{s} may {what} on {class} of {target}", grants.len())?;
    // Types that may by the same rules are said together, in the order of the first of each.
    let mut groups: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for grant in &grants {
        let rules: Vec<String> =
            grant.rules.iter().map(|(rule, _, holds)| conditioned_text(policy, rule, *holds)).collect();
        let name = policy.types().name(grant.source);
        match groups.iter_mut().find(|(known, _)| *known == rules) {
            Some((_, types)) => types.push(name),
            None => groups.push((rules, vec![name])),
        }
    }
    for (rules, types) in &groups {
        write!(out, "{}", wrapped(types, 2))?;
        for rule in rules {
            writeln!(out, "      {rule}")?;
        }
    }
    if constraints > 0 {
        let s = if constraints == 1 { "" } else { "s" };
        writeln!(out, "{constraints} constraint{s} on user, role, type or level may still deny it")?;
    }
    Ok(())
}
