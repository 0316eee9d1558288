//! `perms policy why`: why a context may not do something to another, exactly.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use super::super::error::CliError;
use super::what_if::WhatIf;
use super::{Asked, class, conditioned_json, conditioned_text, permissions};
use crate::report::{Format, escape};
use crate::selinux::policy::{Context, ContextError, Explanation, FailedConstraint, View};

/// Explain why a context may, or may not, do something to another
///
/// Names every cause: no rule (with the nearest ones), constraints with the parts
/// that fail and the smallest changes that would satisfy them, roles, bounds; and
/// the smallest sets of booleans that would allow it.
///
/// Exit status: 0 allowed, 4 denied.
///
/// Examples:
///   perms policy why system_u:system_r:httpd_t:s0 system_u:object_r:shadow_t:s0 file read
///   perms policy why --set httpd_can_network_connect=on CONTEXT CONTEXT tcp_socket name_connect
///   perms policy why --with 'allow httpd_t shadow_t:file read' CONTEXT CONTEXT file read
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct WhyArgs {
    /// Context that acts
    source: String,
    /// Context that is acted upon
    target: String,
    /// Its class
    class: String,
    /// Permissions, all of them
    #[arg(required = true, value_name = "PERMISSION", value_delimiter = ',')]
    permissions: Vec<String>,
    #[command(flatten)]
    pub(super) what_if: WhatIf,
}

/// How many rules that come near are shown of each sort.
const NEAREST: usize = 5;

pub(super) fn run(asked: &Asked<'_>, args: &WhyArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let policy = &asked.policy;
    let context = |text: &str| {
        policy.parse_context(text).map_err(|e| {
            let form = matches!(e, ContextError::Form { .. });
            let error = CliError::new(escape(&e.to_string()));
            if form { error.hint("a whole context is needed, as `ps -Z` and `ls -Z` show it") } else { error }
        })
    };
    let (source, target) = (context(&args.source)?, context(&args.target)?);
    let class = class(policy, &args.class)?;
    let vector = permissions(policy, class, &args.permissions)?;
    let view = asked.view();
    let explanation = view.explain(&source, &target, class, vector);
    let allowed = explanation.allowed == vector;
    let story = Story { view: &view, source: &source, target: &target, class, explanation: &explanation };
    if asked.format == Format::Json {
        asked.json(out, "policy-why", story.json())?;
    } else {
        asked.head(out)?;
        story.text(out)?;
    }
    Ok(if allowed { 0 } else { 4 })
}

struct Story<'a, 'p> {
    view: &'a View<'p>,
    source: &'a Context,
    target: &'a Context,
    class: crate::selinux::policy::ClassId,
    explanation: &'a Explanation<'p>,
}

impl Story<'_, '_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let policy = self.view.policy();
        let e = self.explanation;
        let names = |vector| escape(&policy.permission_names(self.class, vector).join(", "));
        let denied = e.requested & !e.allowed;
        if e.allowed != 0 {
            writeln!(out, "allowed  {}", names(e.allowed))?;
        }
        if denied == 0 {
            return self.granting(out);
        }
        let mode = if e.permissive { ", and let through: the type is permissive" } else { "" };
        writeln!(out, "denied   {}{mode}", names(denied))?;
        if e.no_rule != 0 {
            writeln!(out, "  no rule allows {}", names(e.no_rule))?;
            self.nearest(out)?;
        }
        for failed in &e.constraints {
            self.constraint(out, failed)?;
        }
        if e.role != 0 {
            let role = |c: &Context| escape(policy.roles().name(c.role));
            writeln!(
                out,
                "  the role {} may not become {}: `allow {} {};` is missing",
                role(self.source),
                role(self.target),
                role(self.source),
                role(self.target)
            )?;
        }
        if let Some((vector, bound)) = &e.bounds {
            let (ty, bound) = (policy.types().name(self.source.ty), policy.types().name(bound.ty));
            writeln!(
                out,
                "  {} is bounded by {}, which lacks {}",
                escape(ty),
                escape(bound),
                names(*vector)
            )?;
        }
        for change in self.changes() {
            writeln!(out, "  {}", escape(&change))?;
        }
        let silent = denied & !e.audited;
        if silent != 0 {
            writeln!(out, "  not reported in the log: {} (dontaudit)", names(silent))?;
        }
        Ok(())
    }

    /// The rules by which it is allowed.
    fn granting(&self, out: &mut dyn Write) -> io::Result<()> {
        let policy = self.view.policy();
        for grant in self.view.who_can(self.target.ty, self.class, self.explanation.requested) {
            for (rule, _, holds) in grant.rules.iter().filter(|r| grant.source == self.source.ty && r.2) {
                writeln!(out, "  {}", conditioned_text(policy, rule, *holds))?;
            }
        }
        Ok(())
    }

    fn nearest(&self, out: &mut dyn Write) -> io::Result<()> {
        let policy = self.view.policy();
        let (s, t) = (self.source.ty, self.target.ty);
        let near = self.view.nearest(s, t, self.class, self.explanation.no_rule, NEAREST);
        let sorts = [
            ("turned off", &near.turned_off, false),
            ("other permissions", &near.other_permissions, true),
            ("other targets", &near.other_targets, true),
        ];
        for (what, rules, holds) in sorts {
            for rule in rules {
                writeln!(out, "    {what}: {}", conditioned_text(policy, rule, holds))?;
            }
        }
        Ok(())
    }

    fn constraint(&self, out: &mut dyn Write, failed: &FailedConstraint<'_>) -> io::Result<()> {
        let policy = self.view.policy();
        let names = policy.permission_names(self.class, failed.permissions).join(", ");
        writeln!(out, "  a constraint denies {}; no allow rule helps", escape(&names))?;
        writeln!(out, "    {}", escape(&failed.tree.to_string()))?;
        for way in failed.ways.iter().take(NEAREST) {
            let leaves: Vec<String> = way
                .iter()
                .map(|leaf| {
                    let holds = if leaf.holds { "holds" } else { "fails" };
                    format!("{} {holds}", leaf.text)
                })
                .collect();
            writeln!(out, "    {}", escape(&leaves.join(", ")))?;
            for leaf in way {
                for change in leaf.changes(self.source, self.target) {
                    writeln!(out, "      {}", escape(&policy.change_text(&change)))?;
                }
            }
        }
        Ok(())
    }

    fn changes(&self) -> Vec<String> {
        let policy = self.view.policy();
        let (s, t) = (self.source.ty, self.target.ty);
        let changes = self.view.boolean_changes(s, t, self.class, self.explanation.requested);
        let one = |c: &crate::selinux::policy::BooleanChange| {
            let set: Vec<String> = c
                .changes
                .iter()
                .map(|(b, state)| {
                    format!("{} {}", policy.booleans().name(*b), if *state { "on" } else { "off" })
                })
                .collect();
            let others = if c.opens == 1 { "access" } else { "accesses" };
            format!("boolean: {}: a rule would allow it, and {} other {others}", set.join(" and "), c.opens)
        };
        changes.iter().map(one).collect()
    }

    fn json(&self) -> Value {
        let policy = self.view.policy();
        let e = self.explanation;
        let names = |vector| policy.permission_names(self.class, vector);
        let (s, t) = (self.source.ty, self.target.ty);
        let near = self.view.nearest(s, t, self.class, e.no_rule, NEAREST);
        let rules =
            |list: &[_], holds| list.iter().map(|r| conditioned_json(policy, r, holds)).collect::<Vec<_>>();
        let constraints: Vec<Value> = e
            .constraints
            .iter()
            .map(|c| {
                let ways: Vec<Value> = c
                    .ways
                    .iter()
                    .map(|way| {
                        let leaf = |l: &crate::selinux::policy::Leaf<'_>| {
                            let changes = l.changes(self.source, self.target);
                            let changes: Vec<_> = changes.iter().map(|c| policy.change_text(c)).collect();
                            json!({ "expression": l.text, "holds": l.holds, "changes": changes })
                        };
                        way.iter().map(leaf).collect()
                    })
                    .collect();
                json!({ "permissions": names(c.permissions), "expression": c.tree.to_string(), "ways": ways })
            })
            .collect();
        let booleans: Vec<Value> = self
            .view
            .boolean_changes(s, t, self.class, e.requested)
            .iter()
            .map(|c| {
                let set: serde_json::Map<_, _> = c
                    .changes
                    .iter()
                    .map(|(b, state)| (policy.booleans().name(*b).to_owned(), json!(state)))
                    .collect();
                json!({ "set": set, "opens": c.opens })
            })
            .collect();
        json!({
            "source": policy.context_text(self.source),
            "target": policy.context_text(self.target),
            "class": policy.classes().name(self.class),
            "allowed": names(e.allowed),
            "denied": names(e.requested & !e.allowed),
            "permissive": e.permissive,
            "reported": names(e.audited),
            "no_rule": {
                "permissions": names(e.no_rule),
                "turned_off": rules(&near.turned_off, false),
                "other_permissions": rules(&near.other_permissions, true),
                "other_targets": rules(&near.other_targets, true),
            },
            "constraints": constraints,
            "role": names(e.role),
            "bounds": e.bounds.as_ref().map(|(v, c)| json!({ "by": policy.types().name(c.ty), "lacks": names(*v) })),
            "booleans": booleans,
        })
    }
}
