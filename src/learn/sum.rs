//! What a report says of many denials together, summed up while they are at hand: each lies in memory for itself, and to
//! visit all of them once more for every figure would take longer than the rest.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use rustc_hash::FxHashMap;

use crate::denials::denial::Seen;
use crate::denials::{Denial, Values};
use crate::selinux::module::Name;

/// What was denied: class and permissions.
pub(super) type What<'a> = (&'a Name, &'a [Name]);

/// First and last time, in milliseconds since 1970; `None` where no line tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// The first.
    pub first: Option<u64>,
    /// The last.
    pub last: Option<u64>,
}

impl Period {
    /// Takes times into account.
    pub(super) fn add(&mut self, seen: &Seen) {
        self.first = match (self.first, seen.first) {
            (Some(mine), Some(other)) => Some(mine.min(other)),
            (mine, other) => mine.or(other),
        };
        // Nothing is less than any time.
        self.last = self.last.max(seen.last);
    }
}

/// Denials summed up.
#[derive(Debug, Default)]
pub struct Sum<'a> {
    /// How often they were recorded, at the least.
    pub times: u64,
    /// From when to when.
    pub period: Period,
    /// By where class and permissions lie in memory, as in the log: not for every denial a text to be hashed.
    denied: FxHashMap<[usize; 2], (What<'a>, u64)>,
    pub(super) programs: Gathered<'a>,
    pub(super) objects: Gathered<'a>,
}

impl<'a> Sum<'a> {
    pub(super) fn add(&mut self, denial: &'a Denial) {
        let times = denial.seen.counts.least();
        self.times = self.times.saturating_add(times);
        self.period.add(&denial.seen);
        let (class, permissions) = (&denial.key.class, &*denial.key.permissions);
        let place = [class.as_str().as_ptr().addr(), permissions.as_ptr().addr()];
        let (_, sum) = self.denied.entry(place).or_insert(((class, permissions), 0));
        *sum = sum.saturating_add(times);
        self.programs.add(denial.evidence.programs());
        self.objects.add(denial.evidence.objects.values());
    }

    /// What was denied, each once with how often.
    pub(super) fn denied(&self) -> Vec<(What<'a>, u64)> {
        let mut all: HashMap<What<'a>, u64, RandomState> = HashMap::default();
        for (what, times) in self.denied.values() {
            let sum = all.entry(*what).or_default();
            *sum = sum.saturating_add(*times);
        }
        all.into_iter().collect()
    }
}

/// Gathered of many samples, with how often each came.
#[derive(Debug, Default)]
pub(super) struct Gathered<'a> {
    /// As they come, each with a hash, so that those that differ need not be looked at again.
    list: Vec<(u64, &'a [u8], u64)>,
    /// Whether samples were cut.
    pub(super) more: bool,
    hasher: RandomState,
}

impl<'a> Gathered<'a> {
    fn add(&mut self, sample: Values<'a>) {
        self.more |= sample.more();
        for (value, times) in sample.counted() {
            match self.list.last_mut() {
                // Where all are by one program, its name is there once.
                Some((_, last, sum)) if std::ptr::eq(*last, value) => *sum = sum.saturating_add(times),
                _ => self.list.push((self.hasher.hash_one(value), value, times)),
            }
        }
    }

    /// Each value once, with how often.
    pub(super) fn counted(&self) -> Vec<(&'a [u8], u64)> {
        let mut places: FxHashMap<u64, u32> = FxHashMap::default();
        let mut all: Vec<(&'a [u8], u64)> = Vec::with_capacity(self.list.len());
        // Different values of one hash: there are hardly any.
        let mut others: HashMap<&'a [u8], u64, RandomState> = HashMap::default();
        for (hash, value, times) in &self.list {
            let place = *places.entry(*hash).or_insert_with(|| {
                all.push((value, 0));
                u32::try_from(all.len() - 1).unwrap_or(u32::MAX)
            });
            let sum = match all.get_mut(place as usize) {
                Some((first, sum)) if first == value => sum,
                _ => others.entry(value).or_default(),
            };
            *sum = sum.saturating_add(*times);
        }
        all.extend(others);
        all
    }
}
