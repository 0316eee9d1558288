//! What has been found so far, in one lane of the work; lanes merge in any order.
//!
//! What decides a denial (contexts, class and permissions, a label on disk) is checked once and then known by a number,
//! and a denial by the numbers of its parts: so that most records cost a few look-ups, and a distinct denial no texts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::avc::{self, Author, Avc, Body, Verdict};
use super::changes::Changes;
use super::chunk::Chunk;
use super::denial::{Denial, Seen, Shared};
use super::event::{self, Memory};
use super::fields;
use super::filter::Filter;
use super::input::InputError;
use super::parts::{Not, Part, Parts};
use super::record::{Kind, Record};
use super::refusal::{self, Refusal};
use super::scan::{Log, Options};
use super::tally::{Place, SetAside, Tally};
use super::time::Clock;
use crate::report::Code;
use crate::report::codes::log::{BAD_RECORD, TOO_MANY};

/// Most distinct denials that are kept apart; further ones are set aside. No host comes near it.
pub(super) const MOST: usize = 1_000_000;

/// What one lane has found.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) tally: Tally,
    clock: Clock,
    filter: Filter,
    parts: Parts,
    /// Where each distinct denial is in `denials`; `None`: it is not wanted.
    slots: HashMap<Part, Option<u32>, RandomState>,
    /// Each in its place to the end, however often the list grows or is sorted.
    denials: Vec<(Part, Box<Denial>)>,
    shared: Shared,
    memory: Memory,
    refusals: BTreeMap<Refusal, Seen>,
    changes: Changes,
    pub(super) lost: u64,
    set_aside: SetAside,
    pub(super) errors: Vec<(u32, InputError)>,
}

impl Collected {
    pub(super) fn new(options: &Options) -> Self {
        Collected {
            tally: Tally::default(),
            clock: options.clock.clone(),
            filter: options.filter.clone(),
            parts: Parts::default(),
            slots: HashMap::default(),
            denials: Vec::new(),
            shared: Shared::default(),
            memory: Memory::default(),
            refusals: BTreeMap::new(),
            changes: Changes::default(),
            lost: 0,
            set_aside: SetAside::new(options.keep_set_aside),
            errors: Vec::new(),
        }
    }

    /// Takes the account of a chunk.
    pub(super) fn chunk(&mut self, chunk: &mut Chunk) {
        self.tally.add(&chunk.tally);
        self.set_aside.merge(std::mem::take(&mut chunk.set_aside));
        if !chunk.changes.is_empty() {
            self.changes.merge(std::mem::take(&mut chunk.changes));
        }
        self.lost += chunk.lost;
    }

    /// Sets a line aside.
    pub(super) fn put_aside(&mut self, place: Place, code: Code, reason: impl FnOnce() -> String) {
        self.tally.set_aside += 1;
        self.set_aside.push(place, code, reason);
    }

    /// A denial or a SELINUX_ERR record, with the other records of its event.
    pub(super) fn main(&mut self, record: &Record<'_>, others: &[Record<'_>], place: Place, ended: bool) {
        if record.kind == Kind::SelinuxErr {
            return self.refusal(record, place);
        }
        let (text, author) = match record.kind {
            Kind::Avc if record.interpreted => (record.body, Author::Program),
            Kind::Avc => (record.body, Author::Kernel),
            _ if record.body.starts_with(b"avc:") => (record.body, Author::Program),
            _ => match fields::message(record.body) {
                Some(text) => (text, Author::Program),
                None => return self.put_aside(place, &BAD_RECORD, || "no whole `msg='…'`".to_owned()),
            },
        };
        match avc::parse(text, author, ended) {
            Body::AppArmor => self.tally.other_modules += 1,
            Body::Notice => self.tally.notices += 1,
            Body::Bad((code, reason)) => self.put_aside(place, code, || reason.to_owned()),
            Body::Avc(avc) if avc.verdict == Verdict::Granted => self.tally.granted += 1,
            Body::Avc(avc) => self.denial(&avc, record, others, place),
        }
    }

    fn denial(&mut self, avc: &Avc<'_>, record: &Record<'_>, others: &[Record<'_>], place: Place) {
        let (part, unknown) = match self.parts.of(avc) {
            Ok(known) => known,
            Err(Not::Bad(bad)) => return self.put_aside(place, bad.code(avc), || bad.reason(avc)),
            Err(Not::Full) => return self.too_many(place),
        };
        let Some(slot) = self.slot(part) else { return self.too_many(place) };
        let Some((_, denial)) = slot.and_then(|slot| self.denials.get_mut(slot)) else {
            self.tally.left_out += 1;
            return;
        };
        denial.unknown(unknown);
        let time = self.clock.millis(record.when);
        let permissive = avc.permissive == Some(true);
        let facts = event::facts(avc, record, others, &mut self.memory);
        if self.filter.time(time) && self.filter.mode(permissive) && self.filter.facts(&facts) {
            self.tally.denials += 1;
            denial.seen.one(record.channel, time, place);
            denial.permissive += u64::from(permissive);
            denial.enforced += u64::from(avc.permissive == Some(false));
            denial.note(&facts, record.node, &mut self.shared);
        } else {
            self.tally.left_out += 1;
        }
    }

    fn too_many(&mut self, place: Place) {
        self.put_aside(place, &TOO_MANY, || format!("more than {MOST} distinct denials"));
    }

    /// Where the denial of these parts is kept (it is made if it is new); `Some(None)` if it is not wanted, `None` if
    /// there are too many.
    fn slot(&mut self, part: Part) -> Option<Option<usize>> {
        let slot = match self.slots.get(&part) {
            Some(slot) => *slot,
            None if self.slots.len() >= MOST => return None,
            None => {
                let key = self.parts.key(part)?;
                let slot = if self.filter.key(&key.source, &key.target, key.class.as_str()) {
                    let slot = u32::try_from(self.denials.len()).ok()?;
                    self.denials.push((part, Denial::new(key).into()));
                    Some(slot)
                } else {
                    None
                };
                self.slots.insert(part, slot);
                slot
            }
        };
        Some(slot.and_then(|slot| usize::try_from(slot).ok()))
    }

    fn refusal(&mut self, record: &Record<'_>, place: Place) {
        // An object manager's word on it is not the kernel's.
        if record.body.starts_with(b"pid=") || record.body.starts_with(b"user pid=") {
            self.tally.notices += 1;
            return;
        }
        let time = self.clock.millis(record.when);
        match refusal::parse(record.body) {
            Ok(_) if !self.filter.time(time) => self.tally.left_out += 1,
            Ok(refusal) if self.refusals.len() < MOST || self.refusals.contains_key(&refusal) => {
                self.tally.refusals += 1;
                self.refusals.entry(refusal).or_default().one(record.channel, time, place);
            }
            Ok(_) => self.put_aside(place, &TOO_MANY, || format!("more than {MOST} distinct refusals")),
            Err(reason) => self.put_aside(place, &BAD_RECORD, || reason.to_owned()),
        }
    }

    /// Both together.
    pub(super) fn merged(mut self, other: Collected) -> Collected {
        self.merge(other);
        self
    }

    /// Takes what another lane found.
    pub(super) fn merge(&mut self, mut other: Collected) {
        if other.denials.len() > self.denials.len() {
            std::mem::swap(self, &mut other);
        }
        self.tally.add(&other.tally);
        let numbers = self.parts.take(&other.parts);
        for (part, denial) in other.denials {
            let part = numbers.part(part);
            // Most are of one lane alone.
            if let Some(part) = part
                && self.slots.len() < MOST
                && !self.slots.contains_key(&part)
                && let Ok(slot) = u32::try_from(self.denials.len())
            {
                self.slots.insert(part, Some(slot));
                self.denials.push((part, denial));
                continue;
            }
            let slot = part.and_then(|part| self.slot(part)).flatten();
            match slot.and_then(|slot| self.denials.get_mut(slot)) {
                Some((_, mine)) => mine.merge(*denial),
                // Only of made-up logs: what is beyond the bound is not kept, but counted.
                None => {
                    let records = denial.seen.counts.records();
                    self.tally.denials -= records;
                    self.tally.set_aside += records;
                    let Some(place) = denial.seen.place else { continue };
                    self.set_aside.push_times(place, &TOO_MANY, records, || {
                        format!("more than {MOST} distinct denials")
                    });
                }
            }
        }
        for (refusal, seen) in other.refusals {
            self.refusals.entry(refusal).or_default().merge(&seen);
        }
        self.changes.merge(other.changes);
        self.lost += other.lost;
        self.set_aside.merge(other.set_aside);
        self.errors.extend(other.errors);
    }

    /// Gives up memory that only reading on would need.
    pub(super) fn trim(&mut self) {
        self.memory = Memory::default();
    }

    /// The result. Sources come in the order of their names, so that it does not matter in which they were named.
    pub(super) fn into_log(mut self, sources: Vec<String>) -> Log {
        self.errors.sort_by_key(|(source, _)| *source);
        let mut log = Log {
            sources,
            tally: self.tally,
            denials: BTreeMap::new(),
            refusals: self.refusals,
            changes: self.changes,
            lost: self.lost,
            set_aside: self.set_aside,
            errors: self.errors.into_iter().map(|(_, e)| e).collect(),
        };
        // In order already, a map is made of them without comparing texts.
        let ranks = self.parts.ranks();
        self.denials.sort_by_cached_key(|(part, _)| ranks.of(*part));
        (self.slots, self.parts, self.shared) = Default::default();
        let found = self.denials.into_iter().map(|(_, denial)| denial);
        let found = found.filter(|d| d.seen.counts.records() > 0);
        log.denials = found.map(|d| (Arc::clone(&d.key), d)).collect();
        log
    }
}
