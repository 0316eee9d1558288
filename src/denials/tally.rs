//! The account of every line read: what it was, or why it was set aside.

use std::collections::BTreeMap;

use crate::report::Code;

/// How many lines were what. The parts sum to [`Tally::lines`].
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// All lines.
    pub lines: u64,
    /// Denials.
    pub denials: u64,
    /// Denials and refusals that the filters left out.
    pub left_out: u64,
    /// Accesses that were granted and audited.
    pub granted: u64,
    /// SELINUX_ERR records.
    pub refusals: u64,
    /// Policy loads, changes of mode and of booleans, and what object managers say of them.
    pub notices: u64,
    /// Records of AppArmor and IPE.
    pub other_modules: u64,
    /// Other audit records, of the same events or of no interest here.
    pub other_records: u64,
    /// Lines of syslog, the journal or the kernel log without an audit record.
    pub text: u64,
    /// Empty lines and separators.
    pub separators: u64,
    /// Lines that could not be read.
    pub set_aside: u64,
}

impl Tally {
    /// The parts, [`Tally::lines`] being their sum.
    fn parts(&mut self) -> [&mut u64; 10] {
        let Tally {
            lines: _,
            denials,
            left_out,
            granted,
            refusals,
            notices,
            other_modules,
            other_records,
            text,
            separators,
            set_aside,
        } = self;
        [
            denials,
            left_out,
            granted,
            refusals,
            notices,
            other_modules,
            other_records,
            text,
            separators,
            set_aside,
        ]
    }

    /// Adds another account. (A summary may hold any numbers: nothing overflows.)
    pub fn add(&mut self, other: &Tally) {
        self.lines = self.lines.saturating_add(other.lines);
        let mut other = other.clone();
        for (mine, theirs) in self.parts().into_iter().zip(other.parts()) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// Audit records that were understood.
    pub fn understood(&self) -> u64 {
        let rest = self.text.saturating_add(self.separators).saturating_add(self.set_aside);
        self.sum().saturating_sub(rest)
    }

    /// The sum of the parts; it is [`Tally::lines`].
    pub fn sum(&self) -> u64 {
        self.clone().parts().into_iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// Why a line was set aside. The text may quote the line; renderers escape it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: Code,
    /// The reason.
    pub text: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Reason { code, text: text.into() }
    }
}

/// A line: which source, which line of it (from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index into the list of sources.
    pub source: u32,
    /// From 1.
    pub line: u64,
}

/// The first lines that were set aside, up to a number, and how many there were for each code.
#[derive(Debug, Clone, Default)]
pub struct SetAside {
    /// How many are kept.
    pub limit: usize,
    /// Those kept: the first ones.
    pub lines: BTreeMap<Place, Reason>,
    /// All, by code.
    pub by_code: BTreeMap<&'static str, u64>,
}

impl SetAside {
    /// Keeps up to `limit` lines.
    pub fn new(limit: usize) -> Self {
        SetAside { limit, ..SetAside::default() }
    }

    /// Takes a line; `reason` is made only if it is kept.
    pub fn push(&mut self, place: Place, code: Code, reason: impl FnOnce() -> String) {
        self.push_times(place, code, 1, reason);
    }

    /// Takes some lines of one kind, the first of which is at `place`.
    pub(super) fn push_times(
        &mut self,
        place: Place,
        code: Code,
        times: u64,
        reason: impl FnOnce() -> String,
    ) {
        let count = self.by_code.entry(code.id).or_default();
        *count = count.saturating_add(times);
        self.keep_made(place, || Reason { code, text: reason() });
    }

    /// Takes another list.
    pub fn merge(&mut self, other: SetAside) {
        for (code, count) in other.by_code {
            let mine = self.by_code.entry(code).or_default();
            *mine = mine.saturating_add(count);
        }
        for (place, reason) in other.lines {
            self.keep(place, reason);
        }
    }

    /// Keeps a line that was counted, if it is one of the first.
    pub(super) fn keep(&mut self, place: Place, reason: Reason) {
        self.keep_made(place, || reason);
    }

    fn keep_made(&mut self, place: Place, reason: impl FnOnce() -> Reason) {
        if self.keeps(place) {
            self.lines.insert(place, reason());
            self.trim();
        }
    }

    /// Counts places from elsewhere.
    pub(super) fn shift(&mut self, place: impl Fn(Place) -> Place) {
        let lines = std::mem::take(&mut self.lines);
        self.lines = lines.into_iter().map(|(at, reason)| (place(at), reason)).collect();
    }

    fn keeps(&self, place: Place) -> bool {
        self.lines.len() < self.limit || self.lines.last_key_value().is_some_and(|(last, _)| place < *last)
    }

    fn trim(&mut self) {
        while self.lines.len() > self.limit {
            self.lines.pop_last();
        }
    }
}
