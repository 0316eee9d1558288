//! Who may do something, what a domain may do, and what it may become: by the rules alone, over all users, roles and
//! levels. Constraints may deny part of it; which ones touch it is said by [`Policy::constrained`].

use std::collections::BTreeMap;

use super::decide::View;
use super::explain::Conditioned;
use super::id::{ClassId, TypeId};
use super::rules::RuleKind;
use super::{Policy, TypeKind};

/// A type that may, and the rules by which it may.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The type.
    pub source: TypeId,
    /// Each rule with what of the asked permissions it allows, and whether it is in force.
    pub rules: Vec<(Conditioned, u32, bool)>,
}

/// What a domain may become, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainTransition {
    /// The domain it may enter.
    pub to: TypeId,
    /// The programs' types by which it may: it may execute them, and they are entry points of the domain. With each,
    /// whether a `type_transition` rule makes it happen without being asked for.
    pub programs: Vec<(TypeId, bool)>,
    /// Whether it may also go there without executing anything (`dyntransition`).
    pub dynamic: bool,
}

impl<'p> View<'p> {
    /// The types that may do any of `permissions` to `target`, by rules in force and by rules that are turned off.
    pub fn who_can(&self, target: TypeId, class: ClassId, permissions: u32) -> Vec<Grant> {
        let policy = self.policy();
        let mut by_source: BTreeMap<TypeId, Vec<(Conditioned, u32, bool)>> = BTreeMap::new();
        for (found, holds) in self.conditioned() {
            let rule = found.rule;
            let grants = rule.permissions().unwrap_or(0) & permissions;
            let (Some(source), Some(on)) = (rule.source(), rule.target()) else { continue };
            if rule.kind() != RuleKind::Allow
                || grants == 0
                || rule.class() != Some(class)
                || !policy.covers(on, target)
            {
                continue;
            }
            for member in policy.expand(source) {
                by_source.entry(member).or_default().push((found, grants, holds));
            }
        }
        by_source.into_iter().map(|(source, rules)| Grant { source, rules }).collect()
    }

    /// What rules in force let `source` do: for each class and written target (type or attribute), the permissions.
    pub fn reach(&self, source: TypeId) -> BTreeMap<(ClassId, TypeId), u32> {
        let policy = self.policy();
        let mut out = BTreeMap::new();
        for (found, holds) in self.conditioned() {
            let rule = found.rule;
            let (Some(s), Some(target), Some(class)) = (rule.source(), rule.target(), rule.class()) else {
                continue;
            };
            if holds && rule.kind() == RuleKind::Allow && policy.covers(s, source) {
                *out.entry((class, target)).or_insert(0) |= rule.permissions().unwrap_or(0);
            }
        }
        out
    }

    /// The domains that `source` may become.
    pub fn transitions(&self, source: TypeId) -> Vec<DomainTransition> {
        let policy = self.policy();
        let (Some(process), Some(file)) = (policy.classes().id("process"), policy.classes().id("file"))
        else {
            return Vec::new();
        };
        let bit = |class, name| policy.permission(class, name).unwrap_or(0);
        let (transition, dynamic) = (bit(process, "transition"), bit(process, "dyntransition"));
        let (execute, entrypoint) = (bit(file, "execute"), bit(file, "entrypoint"));
        let types = |wanted: u32, of: &dyn Fn(TypeId, TypeId) -> u32| -> Vec<TypeId> {
            let all = policy.types().iter().filter(|t| t.kind == TypeKind::Type).map(|t| t.id);
            all.filter(|t| wanted != 0 && of(source, *t) & wanted != 0).collect()
        };
        let on_process = |s, t| self.by_rules(s, t, process).allowed;
        let on_file = |s, t| self.by_rules(s, t, file).allowed;
        let programs = types(execute, &on_file);
        types(transition | dynamic, &on_process)
            .into_iter()
            .filter(|to| *to != source)
            .map(|to| {
                let access = on_process(source, to);
                let enters = |program: &&TypeId| on_file(to, **program) & entrypoint != 0;
                let automatic =
                    |program| self.type_by_rule(RuleKind::Transition, source, program, process) == Some(to);
                let entered: Vec<(TypeId, bool)> = if access & transition != 0 {
                    programs.iter().filter(enters).map(|p| (*p, automatic(*p))).collect()
                } else {
                    Vec::new()
                };
                DomainTransition { to, programs: entered, dynamic: access & dynamic != 0 }
            })
            .collect()
    }
}

impl Policy {
    /// How many constraints of a class touch these permissions.
    pub fn constrained(&self, class: ClassId, permissions: u32) -> usize {
        let constraints = self.classes().get(class).map_or(&[][..], |c| &c.constraints);
        constraints.iter().filter(|c| c.permissions & permissions != 0).count()
    }
}
