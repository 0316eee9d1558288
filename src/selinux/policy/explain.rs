//! Why a permission is denied, exactly, and what the smallest changes would be.
//!
//! The causes are those that the kernel's decision has, each by itself: that one is there does not hide another (an
//! `allow` rule alone does not help where a constraint denies too).

use super::constraint_eval::{Parties, holds};
use super::constraint_tree::{Leaf, Tree};
use super::context::Context;
use super::decide::View;
use super::id::{ClassId, TypeId};
use super::rules::{Rule, RuleKind};

/// Everything that stands between a source and permissions on a target.
#[derive(Debug, Clone)]
pub struct Explanation<'p> {
    /// What was asked for.
    pub requested: u32,
    /// What of it is allowed.
    pub allowed: u32,
    /// What of it no rule in force allows.
    pub no_rule: u32,
    /// Constraints that deny part of it: all that fail for what is requested, also where a rule lacks as well.
    pub constraints: Vec<FailedConstraint<'p>>,
    /// What of it needs a role `allow` rule that is not there.
    pub role: u32,
    /// What of it the bounds of the source's type (the context here) do not have.
    pub bounds: Option<(u32, Context)>,
    /// Whether the denial is let through: the source's type is permissive.
    pub permissive: bool,
    /// What of the denied would be reported; the rest is silenced by `dontaudit` rules.
    pub audited: u32,
}

/// A constraint that does not hold.
#[derive(Debug, Clone)]
pub struct FailedConstraint<'p> {
    /// What of the requested it denies.
    pub permissions: u32,
    /// The expression, each part with whether it holds.
    pub tree: Tree<'p>,
    /// The smallest sets of leaves by whose turning it would hold, shortest first; at most [`WAYS`].
    ///
    /// [`WAYS`]: super::WAYS
    pub ways: Vec<Vec<Leaf<'p>>>,
}

/// A rule with the condition that it hangs on.
#[derive(Debug, Clone, Copy)]
pub struct Conditioned {
    /// The rule.
    pub rule: Rule,
    /// Its conditional's place among [`Policy::conditionals`](super::Policy::conditionals), and whether it must be
    /// true.
    pub condition: Option<(usize, bool)>,
}

/// What comes near to a rule that is missing.
#[derive(Debug, Clone, Default)]
pub struct Nearest {
    /// Rules in force for the same source, target and class with other permissions.
    pub other_permissions: Vec<Conditioned>,
    /// Rules in force for the same source, class and one of the permissions, on other targets.
    pub other_targets: Vec<Conditioned>,
    /// Rules that would allow it and are turned off.
    pub turned_off: Vec<Conditioned>,
}

impl<'p> View<'p> {
    /// Says why `requested` permissions of `class` are denied, or that they are not.
    pub fn explain(
        &self,
        source: &Context,
        target: &Context,
        class: ClassId,
        requested: u32,
    ) -> Explanation<'p> {
        let rules = self.by_rules(source.ty, target.ty, class);
        let access = self.access(source, target, class);
        let bounds = self.bounds(source, target).and_then(|(bound, on)| {
            let missing = requested & !self.access(&bound, &on, class).allowed;
            (missing != 0).then_some((missing, bound))
        });
        Explanation {
            requested,
            allowed: requested & access.allowed,
            no_rule: requested & !rules.allowed,
            constraints: self.failed_constraints(source, target, class, requested),
            role: self.denied_by_roles(source, target, class, requested),
            bounds,
            permissive: access.permissive,
            audited: if access.never_audit { 0 } else { requested & !access.allowed & access.audit_deny },
        }
    }

    /// The constraints that do not hold and touch a requested permission.
    fn failed_constraints(
        &self,
        source: &Context,
        target: &Context,
        class: ClassId,
        requested: u32,
    ) -> Vec<FailedConstraint<'p>> {
        let policy = self.policy();
        let Some(class) = policy.classes().get(class) else { return Vec::new() };
        let touching = class.constraints.iter().filter(|c| c.permissions & requested != 0);
        let parties = Parties { source, target, process: None };
        // Few fail: a tree, with all its texts, is made only of those.
        touching
            .filter(|constraint| !holds(policy, constraint, &parties))
            .filter_map(|constraint| {
                let tree = Tree::new(policy, constraint, source, target, None)?;
                let ways = tree.ways();
                Some(FailedConstraint { permissions: constraint.permissions & requested, tree, ways })
            })
            .collect()
    }

    /// What rules come near to allowing this; at most `limit` of each sort.
    pub fn nearest(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        requested: u32,
        limit: usize,
    ) -> Nearest {
        let policy = self.policy();
        let mut out = Nearest::default();
        for (found, holds) in self.conditioned() {
            let rule = found.rule;
            let (Some(s), Some(t)) = (rule.source(), rule.target()) else { continue };
            if rule.kind() != RuleKind::Allow || rule.class() != Some(class) || !policy.covers(s, source) {
                continue;
            }
            let grants = rule.permissions().unwrap_or(0) & requested != 0;
            let list = match (policy.covers(t, target), grants, holds) {
                (true, true, false) => &mut out.turned_off,
                (true, false, true) => &mut out.other_permissions,
                (false, true, true) => &mut out.other_targets,
                _ => continue,
            };
            if list.len() < limit {
                list.push(found);
            }
        }
        out
    }

    /// Every rule with its condition and whether it is in force.
    pub(super) fn conditioned(&self) -> impl Iterator<Item = (Conditioned, bool)> {
        let policy = self.policy();
        let always = policy.rules().iter().map(|rule| (Conditioned { rule, condition: None }, true));
        let states: Vec<bool> = policy.conditionals().iter().map(|c| self.is_true(c)).collect();
        let conditional = policy.conditionals().iter().enumerate().zip(states).flat_map(|((i, c), state)| {
            let of = move |branch: bool| {
                move |rule| (Conditioned { rule, condition: Some((i, branch)) }, state == branch)
            };
            policy.branch(c, true).iter().map(of(true)).chain(policy.branch(c, false).iter().map(of(false)))
        });
        always.chain(conditional)
    }
}
