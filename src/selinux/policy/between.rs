//! The rules between types, found by the index: cheap enough to be asked for every denial of a log.

use std::collections::BTreeMap;

use super::bitmap::Bitmap;
use super::decide::{View, with_members};
use super::id::{ClassId, TypeId};
use super::index::Entry;
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
            self.each_about(target, class, |target, entry| {
                let grants = entry.kind() == RuleKind::Allow && entry.data & permissions != 0;
                if grants
                    && members.contains(entry.source)
                    && self.is_open(entry.gate())
                    && let Some(source) = TypeId::new(entry.source.into())
                {
                    let condition = entry.gate().checked_sub(1).map(|g| (g as usize / 2, g % 2 == 0));
                    found.push(Granting { source, target, permissions: entry.data, condition });
                }
            });
        });
        found.sort_by_key(|g| std::cmp::Reverse((g.permissions & permissions).count_ones()));
        found
    }

    /// The types that rules in force let do any of `permissions` to a target; bit 0 is type 1.
    pub fn sources_allowed(&self, target: TypeId, class: ClassId, permissions: u32) -> Bitmap {
        let mut written: BTreeMap<u16, u32> = BTreeMap::new();
        self.each_about(target, class, |_, entry| {
            if entry.kind() == RuleKind::Allow && entry.data & permissions != 0 && self.is_open(entry.gate())
            {
                *written.entry(entry.source).or_default() |= entry.data;
            }
        });
        let sources = written.keys().filter_map(|n| TypeId::new((*n).into()));
        sources.flat_map(|s| self.policy().expand(s)).map(|t| t.bit()).collect()
    }

    /// Calls for each rule, in force or not, whose target is this type or one of its attributes, with the target as
    /// it is written.
    fn each_about(&self, target: TypeId, class: ClassId, mut call: impl FnMut(TypeId, &Entry)) {
        for written in self.policy().attributes(target) {
            for entry in self.policy().index.rules.get(written, class) {
                call(written, entry);
            }
        }
    }
}
