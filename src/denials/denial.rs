//! Distinct denials, with counts and evidence that stays small however often they come.
//!
//! Everything here can be merged in any order with the same result: sums, extremes, sets, and samples that keep the
//! first values in sorting order.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Context;
use super::event::Facts;
use super::record::Channel;
use super::tally::Place;
use crate::selinux::module::Name;

/// What makes a denial distinct.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DenialKey {
    /// The process (or whatever acted).
    pub source: Arc<Context>,
    /// The object.
    pub target: Arc<Context>,
    /// The object's class.
    pub class: Name,
    /// Permissions, sorted; never empty.
    pub permissions: Arc<[Name]>,
    /// The target's label on disk, where the policy does not know it (`trawcon=`).
    pub unknown_label: Option<Box<[u8]>>,
}

/// How many values a sample keeps.
const KEPT: usize = 12;

/// Longest value kept; the rest is cut off.
const LONGEST: usize = 1024;

/// How many unknown permissions of a denial are kept: the first in sorting order.
const UNKNOWN: usize = 100;

/// Some of the values seen: the first ones in sorting order, each with how often it came.
///
/// A value that was once pushed out stays out, because the values that pushed it out stay: so the counts of those
/// kept are exact, whatever the order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample(Values);

/// A value, and how often it came.
type Counted = (Arc<[u8]>, u64);

/// Most samples hold none or one: these have no memory of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Values {
    #[default]
    None,
    One(Counted),
    Several(Box<Several>),
}

/// What is neither none nor one that is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Several {
    /// In order.
    values: Vec<Counted>,
    /// Whether there were more.
    more: bool,
}

impl Sample {
    /// Takes a value.
    pub fn add(&mut self, value: &[u8]) {
        self.add_times(value, 1);
    }

    /// Takes a value that came so often.
    pub(super) fn add_times(&mut self, value: &[u8], times: u64) {
        self.add_made(value, times, |value| value.into());
    }

    /// The same; `make` gives the memory of a value that is kept.
    pub(super) fn add_made(&mut self, value: &[u8], times: u64, make: impl FnOnce(&[u8]) -> Arc<[u8]>) {
        let value = value.get(..LONGEST).unwrap_or(value);
        match &mut self.0 {
            Values::None => self.0 = Values::One((make(value), times)),
            Values::One((only, count)) if **only == *value => *count = count.saturating_add(times),
            Values::One(_) => self.several(|several| several.add(value, times, make)),
            Values::Several(several) => several.add(value, times, make),
        }
    }

    /// Goes on with memory of its own.
    fn several(&mut self, change: impl FnOnce(&mut Several)) {
        let mut several = match std::mem::take(&mut self.0) {
            Values::None => Box::default(),
            Values::One(one) => Box::new(Several { values: vec![one], more: false }),
            Values::Several(several) => several,
        };
        change(&mut several);
        self.0 = Values::Several(several);
    }

    /// Takes another sample.
    pub fn merge(&mut self, other: Sample) {
        if matches!(self.0, Values::None) {
            *self = other;
            return;
        }
        let take = |mine: &mut Sample, (value, times): Counted| {
            mine.add_made(&Arc::clone(&value), times, |_| value);
        };
        match other.0 {
            Values::None => {}
            Values::One(one) => take(self, one),
            Values::Several(several) => {
                if several.more {
                    self.set_more();
                }
                several.values.into_iter().for_each(|one| take(self, one));
            }
        }
    }

    /// Notes that there were more than are kept.
    pub(super) fn set_more(&mut self) {
        self.several(|several| several.more = true);
    }

    /// Whether there were more than are kept.
    pub fn more(&self) -> bool {
        matches!(&self.0, Values::Several(several) if several.more)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.values().len()
    }

    fn values(&self) -> &[Counted] {
        match &self.0 {
            Values::None => &[],
            Values::One(one) => std::slice::from_ref(one),
            Values::Several(several) => &several.values,
        }
    }

    /// The values, each with how often it came.
    pub fn counted(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.values().iter().map(|(v, n)| (&**v, *n))
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.counted().map(|(v, _)| v)
    }
}

impl Several {
    fn add(&mut self, value: &[u8], times: u64, make: impl FnOnce(&[u8]) -> Arc<[u8]>) {
        let full = self.values.len() >= KEPT;
        if full && self.values.last().is_some_and(|(last, _)| *value > **last) {
            self.more = true;
            return;
        }
        match self.values.binary_search_by(|(kept, _)| (**kept).cmp(value)) {
            Ok(at) => {
                if let Some((_, count)) = self.values.get_mut(at) {
                    *count = count.saturating_add(times);
                }
            }
            Err(at) => {
                self.more |= full;
                if at < KEPT {
                    self.values.truncate(KEPT - 1);
                    self.values.reserve_exact(1);
                    self.values.insert(at, (make(value), times));
                }
            }
        }
    }
}

/// Values that many denials have in common (programs, users, system calls): one piece of memory for all of them.
#[derive(Debug, Default)]
pub(super) struct Shared {
    values: HashSet<Arc<[u8]>, RandomState>,
    /// When to look for values that no sample keeps any more.
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

/// Who, with what, on what. Written by whoever ran the program; only ever shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Programs (paths, else short names).
    pub programs: Sample,
    /// Command lines.
    pub commands: Sample,
    /// Users, by name or number.
    pub users: Sample,
    /// Who had logged in to start the programs.
    pub logins: Sample,
    /// Services that they are of.
    pub units: Sample,
    /// Objects: paths, names, addresses, messages.
    pub objects: Sample,
    /// What the programs asked for, where that is another path.
    pub wanted: Sample,
    /// Whose the objects are that refused root: `PATH mode 0600 uid 33 gid 33`.
    pub owners: Sample,
    /// System calls and how they ended.
    pub syscalls: Sample,
    /// Hosts.
    pub hosts: Sample,
    /// Ports of name_bind and name_connect.
    pub ports: BTreeSet<u16>,
}

impl Evidence {
    fn merge(&mut self, other: Evidence) {
        self.programs.merge(other.programs);
        self.commands.merge(other.commands);
        self.users.merge(other.users);
        self.logins.merge(other.logins);
        self.units.merge(other.units);
        self.objects.merge(other.objects);
        self.wanted.merge(other.wanted);
        self.owners.merge(other.owners);
        self.syscalls.merge(other.syscalls);
        self.hosts.merge(other.hosts);
        self.ports.extend(other.ports);
    }
}

/// How often a denial was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// In audit.log.
    pub auditd: u64,
    /// In the kernel's log.
    pub kernel: u64,
    /// In the journal.
    pub journal: u64,
    /// In a daemon's log.
    pub daemon: u64,
}

impl Counts {
    /// How often it happened at the least: the same denial may come through several channels, so the most that one
    /// of them has.
    pub fn least(&self) -> u64 {
        self.auditd.max(self.kernel).max(self.journal).max(self.daemon)
    }

    /// Records in all channels.
    pub fn records(&self) -> u64 {
        let sum = self.auditd.saturating_add(self.kernel);
        sum.saturating_add(self.journal).saturating_add(self.daemon)
    }

    /// Whether all of it could have been written by any local user.
    pub fn forgeable(&self) -> bool {
        self.auditd == 0 && self.kernel == 0
    }

    fn one(&mut self, channel: Channel) {
        *match channel {
            Channel::Auditd => &mut self.auditd,
            Channel::Kernel => &mut self.kernel,
            Channel::Journal => &mut self.journal,
            Channel::Daemon => &mut self.daemon,
        } += 1;
    }

    fn add(&mut self, other: Counts) {
        self.auditd = self.auditd.saturating_add(other.auditd);
        self.kernel = self.kernel.saturating_add(other.kernel);
        self.journal = self.journal.saturating_add(other.journal);
        self.daemon = self.daemon.saturating_add(other.daemon);
    }
}

/// When something happened, and where it is first written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often.
    pub counts: Counts,
    /// First time, in milliseconds since 1970; `None` if no line tells.
    pub first: Option<u64>,
    /// Last time.
    pub last: Option<u64>,
    /// The first place in the sources' order.
    pub place: Option<Place>,
}

impl Seen {
    /// Takes an occurrence.
    pub fn one(&mut self, channel: Channel, time: Option<u64>, place: Place) {
        self.counts.one(channel);
        self.at(time, time, Some(place));
    }

    /// Takes others.
    pub fn merge(&mut self, other: &Seen) {
        self.counts.add(other.counts);
        self.at(other.first, other.last, other.place);
    }

    fn at(&mut self, first: Option<u64>, last: Option<u64>, place: Option<Place>) {
        self.first = [self.first, first].into_iter().flatten().min();
        self.last = [self.last, last].into_iter().flatten().max();
        self.place = [self.place, place].into_iter().flatten().min();
    }
}

/// A distinct denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What was denied.
    pub key: Arc<DenialKey>,
    /// How often and when.
    pub seen: Seen,
    /// How many of the records say `permissive=1`: logged, and let through.
    pub permissive: u64,
    /// How many say `permissive=0`: stopped. Old kernels and some object managers do not say.
    pub enforced: u64,
    /// Commands of ioctl.
    pub ioctls: BTreeSet<u16>,
    /// Netlink message types.
    pub nlmsgs: BTreeSet<u16>,
    /// Permissions in the record that no kernel is known to have for this class.
    pub unknown: BTreeSet<Name>,
    /// Who, with what, on what.
    pub evidence: Evidence,
}

impl Denial {
    /// A denial that has not been seen yet.
    pub fn new(key: impl Into<Arc<DenialKey>>) -> Self {
        let key = key.into();
        Denial {
            key,
            seen: Seen::default(),
            permissive: 0,
            enforced: 0,
            ioctls: BTreeSet::new(),
            nlmsgs: BTreeSet::new(),
            unknown: BTreeSet::new(),
            evidence: Evidence::default(),
        }
    }

    /// Takes what is known of one occurrence.
    pub(super) fn note(&mut self, facts: &Facts<'_>, host: Option<&[u8]>, shared: &mut Shared) {
        let e = &mut self.evidence;
        let common = [
            (&mut e.programs, facts.program.as_deref()),
            (&mut e.commands, facts.command.as_deref()),
            (&mut e.users, facts.user.as_deref()),
            (&mut e.logins, facts.login.as_deref()),
            (&mut e.units, facts.unit.as_deref()),
            (&mut e.syscalls, facts.syscall.as_deref().map(str::as_bytes)),
            (&mut e.hosts, host),
        ];
        for (sample, value) in common {
            if let Some(value) = value {
                sample.add_made(value, 1, |value| shared.get(value));
            }
        }
        let own = [
            (&mut e.objects, facts.object.as_deref()),
            (&mut e.wanted, facts.wanted.as_deref()),
            (&mut e.owners, facts.owner.as_deref()),
        ];
        for (sample, value) in own {
            if let Some(value) = value {
                sample.add(value);
            }
        }
        self.evidence.ports.extend(facts.port);
        self.ioctls.extend(facts.ioctl);
        self.nlmsgs.extend(facts.nlmsg);
    }

    /// Takes permissions that no kernel is known to have for the class.
    pub(super) fn unknown(&mut self, names: BTreeSet<Name>) {
        self.unknown.extend(names);
        while self.unknown.len() > UNKNOWN {
            self.unknown.pop_last();
        }
    }

    /// Takes another account of the same denial.
    pub fn merge(&mut self, other: Denial) {
        self.seen.merge(&other.seen);
        self.permissive = self.permissive.saturating_add(other.permissive);
        self.enforced = self.enforced.saturating_add(other.enforced);
        self.ioctls.extend(other.ioctls);
        self.nlmsgs.extend(other.nlmsgs);
        self.unknown(other.unknown);
        self.evidence.merge(other.evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn samples_are_the_same_in_whatever_order(
            mut values in prop::collection::vec(0u8..40, 0..200), cut in 0usize..200, turn in any::<bool>()
        ) {
            let fill = |list: &[u8]| {
                let mut s = Sample::default();
                for v in list {
                    s.add(&[*v]);
                }
                s
            };
            let whole = fill(&values);
            if turn {
                values.reverse();
            }
            let (a, b) = values.split_at(cut.min(values.len()));
            let mut parts = fill(b);
            parts.merge(fill(a));
            prop_assert_eq!(whole, parts);
        }
    }
}
