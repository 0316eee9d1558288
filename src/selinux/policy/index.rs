//! What makes decisions fast: rules by target and class, attributes as lists, transitions in order.
//!
//! A decision asks for the rules of (any of a type's attributes) × (any of another's) × class. The targets' lists are
//! short; so the index leads from a target and a class to a stretch of entries, and each entry's source is looked up
//! in a set of bits that the decision makes once. Sizes follow the number of rules, never products of ids that a
//! hostile file could choose.

use super::database::Policy;
use super::id::{ClassId, TypeId};
use super::rules::Rule;

/// Which conditional branch an entry hangs on: 0 none; else 1 + twice the conditional's index, + 1 for the false
/// branch.
pub(super) type Gate = u32;

/// A rule where the index needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) source: u16,
    /// [`super::RuleKind`] as a number.
    pub(super) kind: u16,
    pub(super) data: u32,
    pub(super) gate: Gate,
}

/// Entries by target, then class.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleIndex {
    /// For each target's number, where its groups start; one more at the end.
    targets: Vec<u32>,
    /// The class of each group; ascending within a target.
    classes: Vec<u16>,
    /// Where each group's entries start; one more at the end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
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

    /// All groups of a target: class and entries.
    pub(super) fn of_target(&self, target: TypeId) -> impl Iterator<Item = (ClassId, &[Entry])> {
        let (first, last) = self.groups(target).unwrap_or((0, 0));
        (first..last).filter_map(|i| Some((ClassId::new((*self.classes.get(i)?).into())?, self.group(i))))
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

    /// Sorts by counting: first by class, then, keeping that order, by target.
    fn build<'a>(types: u32, classes: u32, rules: impl Iterator<Item = (&'a Rule, Gate)> + Clone) -> Self {
        let class_order = order(classes, rules.clone().map(|(r, _)| r.raw().2));
        let list: Vec<(&Rule, Gate)> = rules.collect();
        let by_class: Vec<(&Rule, Gate)> =
            class_order.iter().filter_map(|i| list.get(*i as usize).copied()).collect();
        let target_order = order(types, by_class.iter().map(|(r, _)| r.raw().1));
        let mut out = Self {
            targets: vec![0; types as usize + 2],
            classes: Vec::new(),
            starts: Vec::new(),
            entries: Vec::with_capacity(list.len()),
        };
        let mut last = None;
        for i in target_order {
            let Some((rule, gate)) = by_class.get(i as usize) else { continue };
            let (source, target, class, kind) = rule.raw();
            if last != Some((target, class)) {
                last = Some((target, class));
                out.classes.push(class);
                out.starts.push(len(&out.entries));
                // Counted in the slot after the target's; summed up below.
                if let Some(n) = out.targets.get_mut(usize::from(target) + 1) {
                    *n += 1;
                }
            }
            out.entries.push(Entry { source, kind, data: rule.data(), gate: *gate });
        }
        out.starts.push(len(&out.entries));
        let mut sum = 0;
        for n in &mut out.targets {
            sum += *n;
            *n = sum;
        }
        out.classes.shrink_to_fit();
        out.starts.shrink_to_fit();
        out
    }
}

/// Positions in ascending order of their keys (at most `greatest`), equal keys in their own order.
fn order(greatest: u32, keys: impl Iterator<Item = u16> + Clone) -> Vec<u32> {
    let mut next = vec![0u32; greatest as usize + 2];
    let mut n = 0usize;
    for key in keys.clone() {
        n += 1;
        if let Some(slot) = next.get_mut(usize::from(key) + 1) {
            *slot += 1;
        }
    }
    let mut sum = 0;
    for slot in &mut next {
        sum += *slot;
        *slot = sum;
    }
    let mut out = vec![0u32; n];
    for (position, key) in (0u32..).zip(keys) {
        if let Some(slot) = next.get_mut(usize::from(key)) {
            if let Some(place) = out.get_mut(*slot as usize) {
                *place = position;
            }
            *slot += 1;
        }
    }
    out
}

fn len<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// All indexes of a policy.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Rules of permissions, extended ones too.
    pub(super) access: RuleIndex,
    /// Rules that give a type.
    pub(super) types: RuleIndex,
    /// Where each type's list in `attribute_list` starts; one more at the end.
    attribute_starts: Vec<u32>,
    /// Attributes of each type and itself, as numbers (not bits).
    attribute_list: Vec<u16>,
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
        let always = policy.rules.iter().map(|r| (r, 0));
        let conditional = (0u32..).zip(&policy.conditionals).flat_map(|(i, c)| {
            let (yes, no) = (1 + 2 * i, 2 + 2 * i);
            c.when_true.iter().map(move |r| (r, yes)).chain(c.when_false.iter().map(move |r| (r, no)))
        });
        let all = always.chain(conditional);
        let gives_type = |r: &Rule| r.raw().3 & 0x70 != 0;
        let (types, classes) = (policy.types.greatest(), policy.classes.greatest());
        let access = RuleIndex::build(types, classes, all.clone().filter(|(r, _)| !gives_type(r)));
        let by_type = RuleIndex::build(types, classes, all.filter(|(r, _)| gives_type(r)));

        let mut attribute_starts = Vec::with_capacity(policy.type_attributes.len() + 1);
        let mut attribute_list = Vec::new();
        for (bit, attributes) in (0u32..).zip(&policy.type_attributes) {
            attribute_starts.push(len(&attribute_list));
            let own = std::iter::once(bit).filter(|b| !attributes.contains(*b));
            let numbers = own.chain(attributes.iter()).filter_map(|b| u16::try_from(b + 1).ok());
            attribute_list.extend(numbers);
        }
        attribute_starts.push(len(&attribute_list));
        attribute_list.shrink_to_fit();

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
            access,
            types: by_type,
            attribute_starts,
            attribute_list,
            names,
            ranges,
            role_transitions,
            process,
            process_transition: bit("transition") | bit("dyntransition"),
        }
    }

    /// The numbers of a type's attributes, and its own.
    #[inline]
    pub(super) fn attributes(&self, ty: TypeId) -> &[u16] {
        let i = ty.index();
        match (self.attribute_starts.get(i), self.attribute_starts.get(i + 1)) {
            (Some(a), Some(b)) => self.attribute_list.get(*a as usize..*b as usize).unwrap_or_default(),
            _ => &[],
        }
    }
}
