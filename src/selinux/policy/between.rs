//! The rules between types, found by the index: cheap enough to be asked for every denial of a log.

use std::collections::BTreeSet;

use super::bitmap::Bitmap;
use super::decide::{View, with_members};
use super::id::{ClassId, TypeId};
use super::rule_tables::Gate;
use super::rules::RuleKind;

/// A rule that grants, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granting {
    /// Type or attribute.
    pub source: TypeId,
    /// Type or attribute.
    pub target: TypeId,
    /// All permissions of the rule.
    pub permissions: u32,
    /// Its conditional's place among [`Policy::conditionals`](super::Policy::conditionals), and whether it must be
    /// true.
    pub condition: Option<(usize, bool)>,
}

impl View<'_> {
    /// What rules in force allow; constraints, roles and bounds are left aside.
    pub fn allowed_by_rules(&self, source: TypeId, target: TypeId, class: ClassId) -> u32 {
        self.by_rules(source, target, class).allowed
    }

    /// The `allow` rules in force that grant part of `permissions`, those that grant most first.
    pub fn granting(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        permissions: u32,
    ) -> Vec<Granting> {
        let mut found = Vec::new();
        with_members(self.policy(), source, |members| {
            let members = |number| members.contains(number);
            self.each_grant(target, class, permissions, members, |source, target, granted, gate| {
                // An odd gate is a conditional's true branch.
                let condition = gate.checked_sub(1).map(|g| (g as usize / 2, g % 2 == 0));
                found.push(Granting { source, target, permissions: granted, condition });
            });
        });
        found.sort_by_key(|g| std::cmp::Reverse((g.permissions & permissions).count_ones()));
        found
    }

    /// The types that rules in force let do any of `permissions` to a target; bit 0 is type 1.
    pub fn sources_allowed(&self, target: TypeId, class: ClassId, permissions: u32) -> Bitmap {
        let mut written = BTreeSet::new();
        let anyone = |_| true;
        self.each_grant(target, class, permissions, anyone, |source, _, _, _| {
            written.insert(source);
        });
        written.into_iter().flat_map(|s| self.policy().expand(s)).map(|t| t.bit()).collect()
    }

    /// Calls for each `allow` rule in force that grants part of `permissions` on this type or one of its attributes,
    /// to a source that is wanted: with source and target as they are written, its permissions, and the branch that it
    /// hangs on.
    fn each_grant(
        &self,
        target: TypeId,
        class: ClassId,
        permissions: u32,
        wanted: impl Fn(u16) -> bool,
        mut call: impl FnMut(TypeId, TypeId, u32, Gate),
    ) {
        let policy = self.policy();
        let is_written = |ty: &TypeId| {
            let bit = ty.bit();
            policy.index.rules.written(bit / 64) >> (bit % 64) & 1 != 0
        };
        for written in policy.attributes(target).filter(is_written) {
            for entry in policy.index.rules.get(written, class).filter(|e| wanted(e.source)) {
                let Some((rule, gate)) = policy.rule(entry.rule) else { continue };
                if rule.kind() == RuleKind::Allow
                    && let (Some(source), Some(granted)) = (rule.source(), rule.permissions())
                    && granted & permissions != 0
                    && self.is_open(gate)
                {
                    call(source, written, granted, gate);
                }
            }
        }
    }
}
