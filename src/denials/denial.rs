//! Distinct denials, with counts and evidence that stays small however often they come.
//!
//! Everything here can be merged in any order with the same result: sums, extremes, sets, and samples that keep the
//! first values in sorting order.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Context;
use super::event::Facts;
use super::evidence::{Commons, Evidence, Few};
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

/// How many unknown permissions of a denial are kept: the first in sorting order.
const UNKNOWN: usize = 100;

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
        self.first = of_both(self.first, first, u64::min);
        self.last = of_both(self.last, last, u64::max);
        self.place = of_both(self.place, place, Place::min);
    }
}

fn of_both<T>(one: Option<T>, other: Option<T>, choose: impl Fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, None) => one,
        (None, other) => other,
    }
}

/// A distinct denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What was denied.
    pub key: DenialKey,
    /// How often and when.
    pub seen: Seen,
    /// How many of the records say `permissive=1`: logged, and let through.
    pub permissive: u64,
    /// How many say `permissive=0`: stopped. Old kernels and some object managers do not say.
    pub enforced: u64,
    /// Commands of ioctl.
    pub ioctls: Few<u16>,
    /// Netlink message types.
    pub nlmsgs: Few<u16>,
    /// Permissions in the record that no kernel is known to have for this class.
    pub unknown: Few<Name>,
    /// Who, with what, on what.
    pub evidence: Evidence,
}

impl Denial {
    /// A denial that has not been seen yet.
    pub fn new(key: DenialKey) -> Self {
        Denial {
            key,
            seen: Seen::default(),
            permissive: 0,
            enforced: 0,
            ioctls: Few::default(),
            nlmsgs: Few::default(),
            unknown: Few::default(),
            evidence: Evidence::default(),
        }
    }

    /// Takes when it happened, and whether it was let through or stopped, as far as the record tells.
    pub(super) fn one(
        &mut self,
        channel: Channel,
        time: Option<u64>,
        place: Place,
        permissive: Option<bool>,
    ) {
        self.seen.one(channel, time, place);
        self.permissive += u64::from(permissive == Some(true));
        self.enforced += u64::from(permissive == Some(false));
    }

    /// Takes what is known of one occurrence.
    pub(super) fn note(&mut self, facts: &Facts<'_>, host: Option<&[u8]>, commons: &mut Commons) {
        self.evidence.note(facts, host, commons);
        self.ioctls.extend(facts.ioctl);
        self.nlmsgs.extend(facts.nlmsg);
    }

    /// Takes permissions that no kernel is known to have for the class.
    pub(super) fn unknown(&mut self, names: BTreeSet<Name>) {
        if !names.is_empty() {
            self.unknown.merge(names.into_iter().collect(), UNKNOWN);
        }
    }

    /// Takes another account of the same denial.
    pub fn merge(&mut self, other: Denial) {
        self.seen.merge(&other.seen);
        self.permissive = self.permissive.saturating_add(other.permissive);
        self.enforced = self.enforced.saturating_add(other.enforced);
        self.ioctls.merge(other.ioctls, usize::MAX);
        self.nlmsgs.merge(other.nlmsgs, usize::MAX);
        self.unknown.merge(other.unknown, UNKNOWN);
        self.evidence.merge(other.evidence);
    }
}
