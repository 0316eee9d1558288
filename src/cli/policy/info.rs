//! `perms policy info`: what the policy is and how much it holds.

use std::io::Write;

use serde_json::json;

use crate::report::{Format, escape};
use crate::selinux::policy::{RuleKind, Symbol as _, TypeKind, capability_name};

use super::super::error::CliError;
use super::Asked;

pub(super) fn run(asked: &Asked<'_>, out: &mut dyn Write) -> Result<(), CliError> {
    let policy = &asked.policy;
    let of = |kind| policy.types().records().iter().filter(|t| t.kind == kind).count();
    let branches = |c| policy.branch(c, true).iter().chain(policy.branch(c, false).iter());
    let conditional = || policy.conditionals().iter().flat_map(branches);
    let rules =
        |kind: RuleKind| policy.rules().iter().chain(conditional()).filter(|r| r.kind() == kind).count();
    let contexts = policy.object_contexts();
    let counts: Vec<(&str, usize)> = vec![
        ("classes", policy.classes().iter().count()),
        ("types", of(TypeKind::Type)),
        ("attributes", of(TypeKind::Attribute)),
        ("aliases", of(TypeKind::Alias)),
        ("roles", policy.roles().iter().count()),
        ("users", policy.users().iter().count()),
        ("booleans", policy.booleans().iter().count()),
        ("sensitivities", policy.sensitivities().iter().count()),
        ("categories", policy.categories().iter().count()),
        ("allow rules", rules(RuleKind::Allow)),
        ("auditallow rules", rules(RuleKind::AuditAllow)),
        ("dontaudit rules", rules(RuleKind::DontAudit)),
        ("allowxperm rules", rules(RuleKind::AllowX)),
        ("auditallowxperm rules", rules(RuleKind::AuditAllowX)),
        ("dontauditxperm rules", rules(RuleKind::DontAuditX)),
        ("type_transition rules", rules(RuleKind::Transition)),
        (
            "type_transition rules by name",
            policy.name_transitions().iter().flat_map(|t| &t.outcomes).map(|(s, _)| s.len()).sum(),
        ),
        ("type_member rules", rules(RuleKind::Member)),
        ("type_change rules", rules(RuleKind::Change)),
        ("of these under a condition", conditional().count()),
        ("conditions", policy.conditionals().len()),
        ("role allow rules", policy.role_allows().len()),
        ("role_transition rules", policy.role_transitions().len()),
        ("range_transition rules", policy.range_transitions().len()),
        ("constraints", policy.classes().iter().map(|c| c.constraints.len()).sum()),
        ("validatetrans rules", policy.classes().iter().map(|c| c.validatetrans.len()).sum()),
        ("initial SIDs", contexts.initial_sids.len()),
        ("fs_use statements", contexts.fs_uses.len()),
        ("genfscon statements", policy.genfs().iter().map(|g| g.paths.len()).sum()),
        ("portcon statements", contexts.ports.len()),
        ("netifcon statements", contexts.interfaces.len()),
        ("nodecon statements", contexts.nodes4.len() + contexts.nodes6.len()),
        ("ibpkeycon statements", contexts.ib_pkeys.len()),
        ("ibendportcon statements", contexts.ib_end_ports.len()),
    ];
    let mls = if policy.mls() { "enabled" } else { "disabled" };
    let unknown = policy.handle_unknown().as_str();
    let capabilities: Vec<String> = policy
        .capabilities()
        .iter()
        .map(|n| capability_name(n).map_or_else(|| format!("unknown ({n})"), str::to_owned))
        .collect();
    let marked = |test: &dyn Fn(_) -> bool| -> Vec<&str> {
        policy.types().iter().filter(|t| test(t.id)).map(|t| t.name()).collect()
    };
    let permissive = marked(&|t| policy.is_permissive(t));
    let never_audited = marked(&|t| policy.is_never_audited(t));
    let on = policy.booleans().iter().filter(|b| b.state).count();

    if asked.format == Format::Json {
        let counts: serde_json::Map<_, _> =
            counts.iter().map(|(name, n)| (name.replace(' ', "_"), json!(n))).collect();
        return asked.json(
            out,
            "policy-info",
            json!({
                "mls": policy.mls(),
                "handle_unknown": unknown,
                "capabilities": capabilities,
                "permissive": permissive,
                "never_audited": never_audited,
                "booleans_on": on,
                "counts": counts,
            }),
        );
    }
    asked.head(out)?;
    writeln!(out, "  MLS {mls}; what the policy does not know is handled by: {unknown}")?;
    writeln!(out, "  capabilities: {}", none_or(&capabilities))?;
    writeln!(out, "  permissive types: {}", none_or(&permissive))?;
    if !never_audited.is_empty() {
        writeln!(out, "  never audited types: {}", none_or(&never_audited))?;
    }
    writeln!(out)?;
    for (name, n) in counts.iter().filter(|(_, n)| *n != 0) {
        let more = if *name == "booleans" { format!(" ({on} on)") } else { String::new() };
        writeln!(out, "{n:>9}  {name}{more}")?;
    }
    Ok(())
}

fn none_or<S: AsRef<str>>(names: &[S]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|n| escape(n.as_ref())).collect::<Vec<_>>().join(", ")
}
