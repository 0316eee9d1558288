//! Who, with what, on what: the evidence of a denial.
//!
//! Program, command line, user and the like are the same for most denials of a program, and for all records of most
//! denials: such a set of values lies in memory once, and a denial only says which it is and how often.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::hash::BuildHasher as _;
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::call::place;
use super::event::Facts;
use super::sample::{Sample, Values, cut};

/// A set that mostly is empty: then it has no memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::box_collection,
    reason = "a third of the size where there is none, in every denial three times"
)]
pub struct Few<T>(Option<Box<BTreeSet<T>>>);

impl<T: 'static> Few<T> {
    const NONE: &'static BTreeSet<T> = &BTreeSet::new();
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(None)
    }
}

impl<T: 'static> Deref for Few<T> {
    type Target = BTreeSet<T>;

    fn deref(&self) -> &BTreeSet<T> {
        self.0.as_deref().unwrap_or(Self::NONE)
    }
}

impl<T: Ord> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.0.get_or_insert_default().extend(values);
        }
    }
}

impl<'a, T: 'static> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::collections::btree_set::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Ord> Few<T> {
    /// Takes another set, and keeps the first values in sorting order, so many.
    pub(super) fn merge(&mut self, other: Few<T>, most: usize) {
        let Some(other) = other.0 else { return };
        let mine = self.0.get_or_insert_default();
        mine.extend(*other);
        while mine.len() > most {
            mine.pop_last();
        }
    }
}

impl<T: Ord> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Few::default();
        few.extend(values);
        few
    }
}

/// What is told of who did it: program, command line, user, login, unit, system call, host.
pub(super) type Told<'a> = [Option<&'a [u8]>; 7];

/// What is told by `facts`.
fn told<'a>(facts: &'a Facts<'_>, host: Option<&'a [u8]>) -> Told<'a> {
    [
        facts.program.as_deref(),
        facts.command.as_deref(),
        facts.user.as_deref(),
        facts.login.as_deref(),
        facts.unit.as_deref(),
        facts.syscall.as_deref().map(str::as_bytes),
        host,
    ]
}

/// The same, kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Common([Option<Arc<[u8]>>; 7]);

impl Common {
    fn is(&self, told: &Told<'_>) -> bool {
        self.0.iter().zip(told).all(|(mine, told)| mine.as_deref() == told.map(cut))
    }
}

/// Who it was.
#[derive(Debug, Clone, Default)]
enum Who {
    #[default]
    Nobody,
    /// The same each time, so often.
    Same(Arc<Common>, u64),
    /// Not always the same.
    Apart(Box<[Sample; 7]>),
}

impl Who {
    fn take(&mut self, same: Arc<Common>, times: u64) {
        match self {
            Who::Nobody => *self = Who::Same(same, times),
            Who::Same(mine, count) if Arc::ptr_eq(mine, &same) || *mine == same => {
                *count = count.saturating_add(times);
            }
            _ => {
                for (sample, value) in self.apart().iter_mut().zip(&same.0) {
                    if let Some(value) = value {
                        sample.add_made(value, times, |_| Arc::clone(value));
                    }
                }
            }
        }
    }

    /// One sample of each kind.
    fn apart(&mut self) -> &mut [Sample; 7] {
        let samples = match std::mem::take(self) {
            Who::Apart(samples) => samples,
            Who::Nobody => Box::default(),
            Who::Same(same, times) => Box::new(same.0.each_ref().map(|value| {
                value.as_ref().map(|value| Sample::of(Arc::clone(value), times)).unwrap_or_default()
            })),
        };
        *self = Who::Apart(samples);
        match self {
            Who::Apart(samples) => samples,
            // It was made just now.
            other => other.apart(),
        }
    }

    fn values(&self, which: usize) -> Values<'_> {
        match self {
            Who::Nobody => Values::default(),
            Who::Same(same, times) => {
                let value = same.0.get(which).and_then(Option::as_deref);
                value.map(|value| Values::one(value, *times)).unwrap_or_default()
            }
            Who::Apart(samples) => samples.get(which).map(Sample::values).unwrap_or_default(),
        }
    }
}

/// Who, with what, on what. Written by whoever ran the program; only ever shown.
#[derive(Clone, Default)]
pub struct Evidence {
    who: Who,
    /// Objects: paths, names, addresses, messages.
    pub objects: Sample,
    /// What the programs asked for, where that is another path.
    pub wanted: Sample,
    /// Whose the objects are that refused root: `PATH mode 0600 uid 33 gid 33`.
    pub owners: Sample,
    /// Ports of name_bind and name_connect.
    pub ports: Few<u16>,
}

impl Evidence {
    /// Programs (paths, else short names).
    pub fn programs(&self) -> Values<'_> {
        self.who.values(0)
    }

    /// Command lines.
    pub fn commands(&self) -> Values<'_> {
        self.who.values(1)
    }

    /// Users, by name or number.
    pub fn users(&self) -> Values<'_> {
        self.who.values(2)
    }

    /// Who had logged in to start the programs.
    pub fn logins(&self) -> Values<'_> {
        self.who.values(3)
    }

    /// Services that they are of.
    pub fn units(&self) -> Values<'_> {
        self.who.values(4)
    }

    /// System calls and how they ended.
    pub fn syscalls(&self) -> Values<'_> {
        self.who.values(5)
    }

    /// Hosts.
    pub fn hosts(&self) -> Values<'_> {
        self.who.values(6)
    }

    /// All that is kept as samples, by name.
    pub(super) fn samples(&self) -> [(&'static str, Values<'_>); 10] {
        [
            ("programs", self.programs()),
            ("commands", self.commands()),
            ("users", self.users()),
            ("logins", self.logins()),
            ("units", self.units()),
            ("syscalls", self.syscalls()),
            ("hosts", self.hosts()),
            ("objects", self.objects.values()),
            ("wanted", self.wanted.values()),
            ("owners", self.owners.values()),
        ]
    }

    /// The same, to be filled.
    pub(super) fn samples_mut(&mut self) -> [(&'static str, &mut Sample); 10] {
        let [programs, commands, users, logins, units, syscalls, hosts] = self.who.apart();
        [
            ("programs", programs),
            ("commands", commands),
            ("users", users),
            ("logins", logins),
            ("units", units),
            ("syscalls", syscalls),
            ("hosts", hosts),
            ("objects", &mut self.objects),
            ("wanted", &mut self.wanted),
            ("owners", &mut self.owners),
        ]
    }

    /// Takes what is known of one occurrence.
    pub(super) fn note(&mut self, facts: &Facts<'_>, host: Option<&[u8]>, commons: &mut Commons) {
        let told = told(facts, host);
        match &mut self.who {
            Who::Nobody => self.who = Who::Same(commons.get(&told), 1),
            Who::Same(same, times) if same.is(&told) => *times = times.saturating_add(1),
            who => {
                for (sample, value) in who.apart().iter_mut().zip(told) {
                    if let Some(value) = value {
                        sample.add_made(value, 1, |value| commons.shared.get(value));
                    }
                }
            }
        }
        self.object(facts.object.as_deref(), facts.wanted.as_deref(), facts.owner.as_deref());
        self.ports.extend(facts.port);
    }

    /// The same, of an occurrence of which is known who it was.
    pub(super) fn who(&mut self, who: Arc<Common>) {
        self.who.take(who, 1);
    }

    /// Takes what it was about.
    pub(super) fn object(&mut self, is: Option<&[u8]>, wanted: Option<&[u8]>, owner: Option<&[u8]>) {
        for (sample, value) in
            [(&mut self.objects, is), (&mut self.wanted, wanted), (&mut self.owners, owner)]
        {
            if let Some(value) = value {
                sample.add(value);
            }
        }
    }

    pub(super) fn merge(&mut self, other: Evidence) {
        match other.who {
            Who::Nobody => {}
            Who::Same(same, times) => self.who.take(same, times),
            Who::Apart(samples) => {
                for (mine, theirs) in self.who.apart().iter_mut().zip(*samples) {
                    mine.merge(theirs);
                }
            }
        }
        self.objects.merge(other.objects);
        self.wanted.merge(other.wanted);
        self.owners.merge(other.owners);
        self.ports.merge(other.ports, usize::MAX);
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = self.samples().into_iter().filter(|(_, values)| !values.is_empty() || values.more());
        f.debug_map().entries(samples).entry(&"ports", &*self.ports).finish()
    }
}

impl PartialEq for Evidence {
    fn eq(&self, other: &Self) -> bool {
        self.samples() == other.samples() && self.ports == other.ports
    }
}

impl Eq for Evidence {}

/// Values that many denials have in common (programs, users, system calls): one piece of memory for all of them, and for
/// those that come together.
#[derive(Debug, Default)]
pub(super) struct Commons {
    shared: Shared,
    /// The last of each hash: a table without chains.
    table: Vec<Option<Arc<Common>>>,
    /// The same by the numbers of a system call and a command line.
    pairs: Vec<Option<(Pair, Arc<Common>)>>,
    state: RandomState,
}

/// The numbers of a system call and of a command line that are remembered.
pub(super) type Pair = (u32, u32);

impl Commons {
    /// What was told, kept.
    pub(super) fn get(&mut self, told: &Told<'_>) -> Arc<Common> {
        let make = |shared: &mut Shared| Arc::new(Common(told.map(|v| v.map(|v| shared.get(cut(v))))));
        match place(&mut self.table, self.state.hash_one(told)) {
            Some(Some(known)) if known.is(told) => Arc::clone(known),
            Some(place) => Arc::clone(place.insert(make(&mut self.shared))),
            None => make(&mut self.shared),
        }
    }

    /// What was told by a system call and a command line.
    pub(super) fn pair(&mut self, pair: Pair, told: &Told<'_>) -> Arc<Common> {
        let mixed = u64::from(pair.0).wrapping_mul(31).wrapping_add(u64::from(pair.1));
        if let Some(Some((known, common))) = place(&mut self.pairs, mixed)
            && *known == pair
        {
            return Arc::clone(common);
        }
        let common = self.get(told);
        if let Some(place) = place(&mut self.pairs, mixed) {
            *place = Some((pair, Arc::clone(&common)));
        }
        common
    }
}

#[derive(Debug, Default)]
struct Shared {
    values: HashSet<Arc<[u8]>, RandomState>,
    /// When to look for values that nothing keeps any more.
    sweep: usize,
}

impl Shared {
    fn get(&mut self, value: &[u8]) -> Arc<[u8]> {
        if let Some(known) = self.values.get(value) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.sweep {
            self.values.retain(|v| Arc::strong_count(v) > 1);
            self.sweep = self.values.len() * 2 + 1024;
        }
        let new: Arc<[u8]> = value.into();
        self.values.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whether they lie in memory together or apart, and in whatever order they came.
        #[test]
        fn who_it_was_is_told_as_by_samples_apart(
            list in prop::collection::vec(prop::array::uniform7(0u8..3), 0..12), cut in 0usize..12
        ) {
            let mut commons = Commons::default();
            let mut plain = <[Sample; 7]>::default();
            let (mut first, mut second) = (Evidence::default(), Evidence::default());
            for (number, values) in list.iter().enumerate() {
                let values = values.map(|v| [v]);
                let told = values.each_ref().map(|v| (v[0] > 0).then_some(v.as_slice()));
                let to = if number < cut { &mut first } else { &mut second };
                to.who(commons.get(&told));
                for (sample, value) in plain.iter_mut().zip(told) {
                    value.into_iter().for_each(|value| sample.add(value));
                }
            }
            let mut turned = second.clone();
            turned.merge(first.clone());
            first.merge(second);
            prop_assert_eq!(&first, &turned);
            for ((_, mine), plain) in first.samples().into_iter().zip(&plain) {
                prop_assert_eq!(mine, plain.values());
            }
        }
    }
}
