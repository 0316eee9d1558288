//! What changed in the time of a log: boots, policy loads, the mode, booleans.

use std::collections::{BTreeMap, BTreeSet};

use super::denial::Seen;
use super::fields;
use super::kind::Kind;
use super::record::Record;
use super::tally::Place;
use crate::selinux::module::Name;

/// Changes of policy, mode and booleans in the time of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The policy was loaded.
    pub policy_loads: Seen,
    /// SELinux became permissive.
    pub permissive: Seen,
    /// SELinux became enforcing.
    pub enforcing: Seen,
    /// The host was started.
    pub boots: Seen,
    /// Booleans set, each with the last time and value.
    pub booleans: BTreeMap<Name, (Option<u64>, bool)>,
    /// All of it in the order of time (milliseconds since 1970): the last [`KEPT`].
    pub history: BTreeSet<(u64, Change)>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// The host was started.
    Boot,
    /// The policy was loaded.
    PolicyLoad,
    /// SELinux became enforcing (true) or permissive.
    Mode(bool),
    /// A boolean was set.
    Boolean(Name, bool),
}

/// How many changes are kept: the last ones.
pub const KEPT: usize = 1000;

/// How many booleans are kept; a policy has some 350.
const BOOLEANS: usize = 10_000;

impl Changes {
    /// Takes a record; whether it is SELinux's (another module's is not taken).
    pub(super) fn take(&mut self, record: &Record<'_>, time: Option<u64>, place: Place) -> bool {
        let value = |key: &[u8]| fields::fields(record.body).find(|f| f.key == key).map(|f| f.value);
        if value(b"lsm").is_some_and(|lsm| lsm != b"selinux") {
            return false;
        }
        let channel = record.channel;
        let change = match record.kind {
            // What an object manager says of it (type 2310) begins with its process.
            Kind::PolicyLoad if !record.body.starts_with(b"pid=") => {
                self.policy_loads.one(channel, time, place);
                Change::PolicyLoad
            }
            Kind::Boot => {
                self.boots.one(channel, time, place);
                Change::Boot
            }
            Kind::Status => match value(b"enforcing") {
                Some(b"0") => {
                    self.permissive.one(channel, time, place);
                    Change::Mode(false)
                }
                Some(b"1") => {
                    self.enforcing.one(channel, time, place);
                    Change::Mode(true)
                }
                _ => return true,
            },
            Kind::Boolean => match (value(b"bool").and_then(Name::from_bytes), value(b"val")) {
                (Some(name), Some(set)) => {
                    let set = set == b"1";
                    self.boolean(name.clone(), (time, set));
                    Change::Boolean(name, set)
                }
                _ => return true,
            },
            _ => return true,
        };
        if let Some(time) = time {
            self.history.insert((time, change));
            self.trim();
        }
        true
    }

    pub(super) fn boolean(&mut self, name: Name, set: (Option<u64>, bool)) {
        if self.booleans.len() < BOOLEANS || self.booleans.contains_key(&name) {
            let last = self.booleans.entry(name).or_default();
            *last = (*last).max(set);
        }
    }

    pub(super) fn trim(&mut self) {
        while self.history.len() > KEPT {
            self.history.pop_first();
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }

    /// Takes others.
    pub fn merge(&mut self, other: Changes) {
        for (mine, theirs) in [
            (&mut self.policy_loads, &other.policy_loads),
            (&mut self.permissive, &other.permissive),
            (&mut self.enforcing, &other.enforcing),
            (&mut self.boots, &other.boots),
        ] {
            mine.merge(theirs);
        }
        for (name, set) in other.booleans {
            self.boolean(name, set);
        }
        self.history.extend(other.history);
        self.trim();
    }

    /// Counts places of sources and lines from elsewhere.
    pub(super) fn shift(&mut self, place: impl Fn(Place) -> Place) {
        for seen in [&mut self.policy_loads, &mut self.permissive, &mut self.enforcing, &mut self.boots] {
            seen.place = seen.place.map(&place);
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::Boot => f.write_str("the host was started"),
            Change::PolicyLoad => f.write_str("the policy was loaded"),
            Change::Mode(true) => f.write_str("SELinux became enforcing"),
            Change::Mode(false) => f.write_str("SELinux became permissive"),
            Change::Boolean(name, set) => write!(f, "{name} became {}", if *set { "on" } else { "off" }),
        }
    }
}

impl Changes {
    /// What changed after `time`, each only as it was last.
    pub fn after(&self, time: u64) -> Vec<(u64, &Change)> {
        let mut list: Vec<(u64, &Change)> = Vec::new();
        for (at, change) in self.history.iter().filter(|(at, _)| *at > time) {
            let same = |other: &Change| match (other, change) {
                (Change::Boolean(a, _), Change::Boolean(b, _)) => a == b,
                _ => std::mem::discriminant(other) == std::mem::discriminant(change),
            };
            list.retain(|(_, other)| !same(other));
            list.push((*at, change));
        }
        list
    }

    /// Whether SELinux was enforcing at `time`, if the log tells.
    pub fn enforcing(&self, time: u64) -> Option<bool> {
        let modes = self.history.iter().filter_map(|(at, change)| match change {
            Change::Mode(enforcing) => Some((*at, *enforcing)),
            _ => None,
        });
        let mut last = None;
        for (at, enforcing) in modes {
            if at > time {
                // Before a change it was the other way.
                return last.or(Some(!enforcing));
            }
            last = Some(enforcing);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_when_and_what_changed_since() {
        let name = Name::new("b").unwrap();
        let mut changes = Changes::default();
        changes.history.extend([
            (10, Change::Mode(false)),
            (20, Change::Boolean(name.clone(), true)),
            (30, Change::Mode(true)),
            (40, Change::Boolean(name.clone(), false)),
        ]);
        assert_eq!(
            [5, 10, 29, 30, 99].map(|t| changes.enforcing(t)),
            [true, false, false, true, true].map(Some)
        );
        let later = [Change::Mode(true), Change::Boolean(name, false)];
        assert_eq!(changes.after(10), [(30, &later[0]), (40, &later[1])]);
        assert_eq!(Changes::default().enforcing(1), None);
    }
}
