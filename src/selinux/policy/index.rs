//! What makes decisions fast: rules by target and class, transitions in order.
//!
//! A decision asks for the rules of (any of a type's attributes) × (any of another's) × class. The targets' lists are
//! short; so the index leads from a target and a class to a stretch of entries, and each entry's source is looked up
//! in a set of bits that the decision makes once. Sizes follow the number of rules, never products of ids that a
//! hostile file could choose.

use super::database::Policy;
use super::id::{ClassId, TypeId};
use super::rules::{Rule, RuleKind};

/// Which conditional branch an entry hangs on: 0 none; else 1 + twice the conditional's index, + 1 for the false
/// branch.
pub(super) type Gate = u32;

/// A rule where the index needs it: 12 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    pub(super) source: u16,
    class: u16,
    pub(super) data: u32,
    /// Four bits of kind, then the gate.
    kind_and_gate: u32,
}

impl Entry {
    fn new(rule: &Rule, gate: Gate) -> Self {
        let (source, _, class, _) = rule.raw();
        let kind = u32::from(rule.kind().code());
        Self { source, class, data: rule.data(), kind_and_gate: gate << 4 | kind }
    }

    #[inline]
    pub(super) fn kind(&self) -> RuleKind {
        #[expect(clippy::cast_possible_truncation, reason = "four bits")]
        RuleKind::from_code(self.kind_and_gate as u8 & 15)
    }

    #[inline]
    pub(super) fn gate(&self) -> Gate {
        self.kind_and_gate >> 4
    }
}

/// Entries by target, then class, then as in the policy.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleIndex {
    /// For each target's number, where its groups start; one more at the end.
    targets: Vec<u32>,
    /// The class of each group; ascending within a target.
    classes: Vec<u16>,
    /// Where each group's entries start; one more at the end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// What is a target in some rule, 64 at a time; bit 0 is type 1. Few attributes are.
    written: Vec<u64>,
}

impl RuleIndex {
    /// Entries of rules about exactly this target (type or attribute) and class.
    #[inline]
    pub(super) fn get(&self, target: TypeId, class: ClassId) -> &[Entry] {
        let Some((first, last)) = self.groups(target) else { return &[] };
        let Some(classes) = self.classes.get(first..last) else { return &[] };
        let found = if classes.len() <= 16 {
            classes.iter().position(|c| u32::from(*c) == class.get())
        } else {
            classes.binary_search_by_key(&class.get(), |c| u32::from(*c)).ok()
        };
        found.map_or(&[], |i| self.group(first + i))
    }

    /// Which of the 64 types and attributes from `word * 64` on are targets in some rule.
    #[inline]
    pub(super) fn written(&self, word: u32) -> u64 {
        self.written.get(word as usize).copied().unwrap_or(0)
    }

    fn groups(&self, target: TypeId) -> Option<(usize, usize)> {
        let t = target.get() as usize;
        Some((*self.targets.get(t)? as usize, *self.targets.get(t + 1)? as usize))
    }

    fn group(&self, i: usize) -> &[Entry] {
        match (self.starts.get(i), self.starts.get(i + 1)) {
            (Some(a), Some(b)) => self.entries.get(*a as usize..*b as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Sorts by counting into targets, then each target's few entries by class, keeping the policy's order.
    fn build(policy: &Policy) -> Self {
        let mut by_target = Counts::new(policy.types.greatest());
        let mut total = 0;
        each_list(policy, |rules, _| {
            total += rules.len();
            rules.iter().for_each(|rule| by_target.count(rule.raw().1));
        });
        let mut entries = vec![Entry::default(); total];
        by_target.sum();
        each_list(policy, |rules, gate| {
            for rule in rules {
                by_target.place(rule.raw().1, &mut entries, Entry::new(rule, gate));
            }
        });
        // Now each target's slot says where its entries end.
        let mut out = Self { written: vec![0; by_target.0.len().div_ceil(64)], ..Self::default() };
        let mut start = 0;
        for (number, end) in by_target.0.iter().enumerate() {
            if let Some(bit) = number.checked_sub(1).filter(|_| *end != start)
                && let Some(word) = out.written.get_mut(bit / 64)
            {
                *word |= 1 << (bit % 64);
            }
            out.targets.push(len(&out.classes));
            let group = entries.get_mut(start as usize..*end as usize).unwrap_or_default();
            group.sort_by_key(|e| e.class);
            let mut last = None;
            for (i, entry) in (start..).zip(group) {
                if last != Some(entry.class) {
                    last = Some(entry.class);
                    out.classes.push(entry.class);
                    out.starts.push(i);
                }
            }
            start = *end;
        }
        out.targets.push(len(&out.classes));
        out.starts.push(start);
        out.classes.shrink_to_fit();
        out.starts.shrink_to_fit();
        out.entries = entries;
        out
    }
}

/// Calls for each list of rules with the gate that it hangs on.
fn each_list(policy: &Policy, mut call: impl FnMut(&[Rule], Gate)) {
    call(&policy.rules, 0);
    for (i, conditional) in (0u32..).zip(&policy.conditionals) {
        call(&conditional.when_true, 1 + 2 * i);
        call(&conditional.when_false, 2 + 2 * i);
    }
}

/// How often each number comes up; then, where the next item of each number goes.
struct Counts(Vec<u32>);

impl Counts {
    fn new(greatest: u32) -> Self {
        Self(vec![0; greatest as usize + 1])
    }

    fn count(&mut self, number: u16) {
        if let Some(n) = self.0.get_mut(usize::from(number)) {
            *n += 1;
        }
    }

    /// From counts to where each number's items start.
    fn sum(&mut self) {
        let mut sum = 0;
        for n in &mut self.0 {
            sum += std::mem::replace(n, sum);
        }
    }

    /// Puts an item at its number's place and moves the place on.
    fn place<T>(&mut self, number: u16, list: &mut [T], item: T) {
        if let Some(place) = self.0.get_mut(usize::from(number)) {
            if let Some(slot) = list.get_mut(*place as usize) {
                *slot = item;
            }
            *place += 1;
        }
    }
}

fn len<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// All indexes of a policy.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// All rules of the tables.
    pub(super) rules: RuleIndex,
    /// Of `name_transitions`, by target, class and name.
    pub(super) names: Vec<u32>,
    /// Of `range_transitions`, by source, target and class.
    pub(super) ranges: Vec<u32>,
    /// Of `role_transitions`, by role and type.
    pub(super) role_transitions: Vec<u32>,
    /// The class `process`.
    pub(super) process: Option<ClassId>,
    /// `transition` and `dyntransition` of `process`.
    pub(super) process_transition: u32,
}

impl Index {
    pub(super) fn build(policy: &Policy) -> Self {
        let rules = RuleIndex::build(policy);
        let mut names: Vec<u32> = (0..len(&policy.name_transitions)).collect();
        names.sort_by_key(|i| policy.name_transitions.get(*i as usize).map(|t| (t.target, t.class, &t.name)));
        let mut ranges: Vec<u32> = (0..len(&policy.range_transitions)).collect();
        ranges.sort_by_key(|i| {
            policy.range_transitions.get(*i as usize).map(|t| (t.source, t.target, t.class))
        });
        let mut role_transitions: Vec<u32> = (0..len(&policy.role_transitions)).collect();
        role_transitions.sort_by_key(|i| policy.role_transitions.get(*i as usize).map(|t| (t.role, t.ty)));

        let process = policy.classes.id("process");
        let bit = |name| process.and_then(|c| policy.permission(c, name)).unwrap_or(0);
        Self {
            rules,
            names,
            ranges,
            role_transitions,
            process,
            process_transition: bit("transition") | bit("dyntransition"),
        }
    }
}
