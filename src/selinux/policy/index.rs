//! What makes decisions fast: rules by target and class, transitions in order.
//!
//! A decision asks for the rules of (any of a type's attributes) × (any of another's) × class. The targets' lists are
//! short; so the index leads from a target and a class to a stretch of entries, and each entry's source is looked up
//! in a set of bits that the decision makes once. Sizes follow the number of rules, never products of ids that a
//! hostile file could choose.

use super::database::Policy;
use super::id::{ClassId, TypeId};
use super::rule_tables::Runs;
use super::rules::Rule;

/// A rule where the index needs it: 8 bytes, of which a decision looks at some hundred.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    class: u16,
    pub(super) source: u16,
    /// The rule's number.
    pub(super) rule: u32,
}

/// Entries by target, then class, then as in the policy.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleIndex {
    /// For each target's number, where its entries end; they start where the entries of the number before end.
    ends: Vec<u32>,
    entries: Vec<Entry>,
    /// What is a target in some rule, 64 at a time; bit 0 is type 1. Few attributes are.
    written: Vec<u64>,
}

impl RuleIndex {
    /// Entries of rules about exactly this target (type or attribute) and class.
    #[inline]
    pub(super) fn get(&self, target: TypeId, class: ClassId) -> impl Iterator<Item = &Entry> {
        let end = |number: usize| self.ends.get(number).map_or(0, |n| *n as usize);
        let all = self.entries.get(end(target.index())..end(target.index() + 1)).unwrap_or_default();
        let class = class.get();
        let first = if all.len() <= 16 { 0 } else { all.partition_point(|e| u32::from(e.class) < class) };
        let rest = all.get(first..).unwrap_or_default().iter();
        rest.skip_while(move |e| u32::from(e.class) < class).take_while(move |e| u32::from(e.class) == class)
    }

    /// Which of the 64 types and attributes from `word * 64` on are targets in some rule.
    #[inline]
    pub(super) fn written(&self, word: u32) -> u64 {
        self.written.get(word as usize).copied().unwrap_or(0)
    }

    /// Sorts by counting (how many there are was counted when they were read): by class, then by target. What is equal
    /// stays in the policy's order.
    pub(super) fn build(data: &[u8], runs: &Runs, mut by_class: Places, mut by_target: Places) -> Self {
        let written = by_target.in_use();
        by_class.sum();
        by_target.sum();
        let mut sorted = vec![ByClass::default(); runs.total()];
        let mut number = 0;
        runs.each(data, |rule| {
            let [source, target, class, _] = rule.head();
            by_class.place(class.into(), &mut sorted, ByClass { target, source, rule: number });
            number += 1;
        });
        let mut entries = vec![Entry::default(); sorted.len()];
        let mut start = 0;
        // Classes may have greater numbers; rules have 16 bits for them.
        for (class, end) in (0..=u16::MAX).zip(&by_class.0) {
            for ByClass { target, source, rule } in sorted.get(start..*end as usize).unwrap_or_default() {
                let entry = Entry { class, source: *source, rule: *rule };
                by_target.place((*target).into(), &mut entries, entry);
            }
            start = *end as usize;
        }
        Self { ends: by_target.0, entries, written }
    }
}

/// A rule on the way to its entry.
#[derive(Debug, Clone, Copy, Default)]
struct ByClass {
    target: u16,
    source: u16,
    rule: u32,
}

/// The numbers of all rules by source, and where those of each source's number end.
pub(super) fn by_source(data: &[u8], runs: &Runs, greatest: u32) -> (Vec<u32>, Vec<u32>) {
    let mut places = Places::new(greatest);
    let source = |rule: &Rule| -> usize {
        let [source, ..] = rule.head();
        source.into()
    };
    runs.each(data, |rule| places.count(source(&rule)));
    places.sum();
    let mut numbers = vec![0; runs.total()];
    let mut number = 0;
    runs.each(data, |rule| {
        places.place(source(&rule), &mut numbers, number);
        number += 1;
    });
    (numbers, places.0)
}

/// How often each number comes up; then where the next of each number goes; then where those of each end.
pub(super) struct Places(Vec<u32>);

impl Places {
    pub(super) fn new(greatest: u32) -> Self {
        Self(vec![0; greatest as usize + 1])
    }

    #[inline]
    pub(super) fn count(&mut self, number: usize) {
        if let Some(n) = self.0.get_mut(number) {
            *n += 1;
        }
    }

    #[inline]
    pub(super) fn take_back(&mut self, number: usize) {
        if let Some(n) = self.0.get_mut(number) {
            *n -= 1;
        }
    }

    /// The numbers that came up, 64 at a time; bit 0 is 1.
    fn in_use(&self) -> Vec<u64> {
        let counts = self.0.get(1..).unwrap_or_default();
        let word = |counts: &[u32]| counts.iter().rev().fold(0, |word, n| word << 1 | u64::from(*n != 0));
        counts.chunks(64).map(word).collect()
    }

    fn sum(&mut self) {
        let mut sum = 0;
        for n in &mut self.0 {
            sum += std::mem::replace(n, sum);
        }
    }

    #[inline]
    fn place<T>(&mut self, number: usize, list: &mut [T], item: T) {
        if let Some(place) = self.0.get_mut(number) {
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
    pub(super) fn build(policy: &Policy, rules: RuleIndex) -> Self {
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
