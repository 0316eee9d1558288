//! Which booleans would let rules allow what they do not, and what else they would open.
//!
//! The rules that matter are found by the index: asking costs microseconds, so that thousands of denials can be asked
//! about. What else a change opens is another matter (`openings`); whoever asks for many remembers it
//! ([`View::opened_by_changes`]).

use super::between::Between;
use super::decide::View;
use super::id::{BooleanId, ClassId, TypeId};
use super::rule_tables::Gate;

/// States of booleans that would let a rule allow what is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BooleanChange {
    /// What to change, each with its new state; none of them can be left out.
    pub changes: Vec<(BooleanId, bool)>,
    /// How many other accesses (a source type, a target type, a class and a permission, as rules write them) it would
    /// open.
    pub opens: usize,
}

impl<'p> View<'p> {
    /// The smallest sets of boolean changes by which rules would allow all of `requested` (what constraints, roles and
    /// bounds deny stays denied): none of a set can be left out, sets of few changes first, then those that open
    /// least. Conditions whose expressions have more booleans than `MOST` are passed over.
    pub fn boolean_changes(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        requested: u32,
    ) -> Vec<BooleanChange> {
        let between = self.policy().between(source, target, class);
        let missing = (requested & !self.in_force(&between)).count_ones() as usize;
        let sets = self.boolean_sets(&between, requested).into_iter();
        let mut out: Vec<BooleanChange> = sets
            .map(|changes| {
                let opens = self.opened_by_changes(&changes).saturating_sub(missing);
                BooleanChange { changes, opens }
            })
            .collect();
        out.sort_by_key(|c| (c.changes.len(), c.opens));
        out
    }

    /// The sets of [`View::boolean_changes`], without what else they open, smaller ones first.
    pub fn boolean_sets(&self, between: &Between, requested: u32) -> Vec<Vec<(BooleanId, bool)>> {
        let conditional = |gate: Gate| {
            let at = gate.checked_sub(1)? as usize;
            Some((self.policy().conditionals().get(at / 2)?, at.is_multiple_of(2)))
        };
        let missing = requested & !self.in_force(between);
        let can_grant = between.branches.iter().fold(0, |all, (_, grants)| all | grants & missing);
        if missing == 0 || can_grant != missing {
            return Vec::new();
        }
        // Which booleans matter: those of conditions with a rule that grants part of what is missing.
        let granting = between.branches.iter().filter(|(_, grants)| grants & missing != 0);
        let mut booleans: Vec<BooleanId> = granting
            .filter_map(|(gate, _)| conditional(*gate))
            .flat_map(|(conditional, _)| conditional.booleans())
            .collect();
        booleans.sort_unstable();
        booleans.dedup();
        let allowed_with = |set: &[BooleanId]| {
            let open = between.branches.iter().filter(|(gate, _)| {
                conditional(*gate).is_some_and(|(conditional, branch)| {
                    conditional.evaluate(|b| self.boolean(b) != set.contains(&b)) == branch
                })
            });
            open.fold(between.always, |all, (_, grants)| all | grants)
        };
        let mut found: Vec<Vec<BooleanId>> = Vec::new();
        for size in 1..=MOST.min(booleans.len()) {
            // Large sets only of few booleans, so that the work stays small.
            if size > 2 && booleans.len() > 24 {
                break;
            }
            each_set(&booleans, size, &mut |set| {
                if found.iter().any(|smaller| smaller.iter().all(|b| set.contains(b))) {
                    return;
                }
                if requested & !allowed_with(set) == 0 {
                    found.push(set.to_vec());
                }
            });
        }
        found.into_iter().map(|set| set.into_iter().map(|b| (b, !self.boolean(b))).collect()).collect()
    }

    /// How many accesses (a source type, a target type, a class and a permission, types expanded) booleans in these
    /// states would open.
    pub fn opened_by_changes(&self, changes: &[(BooleanId, bool)]) -> usize {
        let set: Vec<BooleanId> =
            changes.iter().filter(|(b, state)| self.boolean(*b) != *state).map(|(b, _)| *b).collect();
        self.opened_by(&self.with_changed(&set))
    }

    fn with_changed(&self, set: &[BooleanId]) -> View<'p> {
        let mut states: Vec<bool> = Vec::new();
        for n in 1..=self.policy().booleans().greatest() {
            let Some(b) = BooleanId::new(n) else { continue };
            states.push(self.boolean(b) != set.contains(&b));
        }
        View::with_states(self.policy(), states)
    }
}

/// The most booleans that are changed together.
const MOST: usize = 4;

/// Calls for each subset of `size`.
fn each_set(all: &[BooleanId], size: usize, call: &mut impl FnMut(&[BooleanId])) {
    fn go(rest: &[BooleanId], size: usize, set: &mut Vec<BooleanId>, call: &mut impl FnMut(&[BooleanId])) {
        if size == 0 {
            return call(set);
        }
        for (i, b) in rest.iter().enumerate() {
            set.push(*b);
            go(rest.get(i + 1..).unwrap_or_default(), size - 1, set, call);
            set.pop();
        }
    }
    go(all, size, &mut Vec::new(), call);
}
