//! What has been found so far, in one lane of the work; lanes merge in any order.
//!
//! What decides a denial (contexts, class and permissions, a label on disk) is checked once and then known by a number,
//! and a denial by the numbers of its parts: so that most records cost a few look-ups, and a distinct denial no texts.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::avc::{self, Author, Avc, Body, Verdict};
use super::changes::Changes;
use super::chunk::Chunk;
use super::denial::{Denial, Seen};
use super::event::{self, Memory};
use super::evidence::Commons;
use super::fields;
use super::filter::Filter;
use super::input::InputError;
use super::kind::Kind;
use super::list::{Denials, Numbered};
use super::parts::{Not, Part, Parts};
use super::path::{self, Object};
use super::record::{Channel, Record};
use super::refusal::{self, Refusal};
use super::scan::{Log, Options};
use super::tally::{Place, SetAside, Tally};
use super::time::Clock;
use super::usual;
use crate::report::Code;
use crate::report::codes::log::{BAD_RECORD, TOO_MANY};

/// Most distinct denials that are kept apart; further ones are set aside. No host comes near it.
pub(super) const MOST: usize = 1_000_000;

/// The numbers in the order of what stands before them.
fn in_order<T: Ord>(mut ranked: Vec<(T, u32)>) -> Vec<u32> {
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, number)| number).collect()
}

/// In place of a number: the denial is not wanted.
const UNWANTED: u32 = u32::MAX;

/// What one lane has found.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) tally: Tally,
    clock: Clock,
    filter: Filter,
    parts: Parts,
    /// The number of each distinct denial, or [`UNWANTED`].
    slots: HashMap<Part, u32, RandomState>,
    /// What each is, by number.
    of: Vec<Part>,
    denials: Numbered,
    commons: Commons,
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
            of: Vec::new(),
            denials: Numbered::default(),
            commons: Commons::default(),
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
        let Some(denial) = self.denials.get_mut(slot) else {
            self.tally.left_out += 1;
            return;
        };
        denial.unknown(unknown);
        let time = self.clock.millis(record.when);
        let permissive = avc.permissive == Some(true);
        let facts = event::facts(avc, record, others, &mut self.memory);
        if self.filter.time(time) && self.filter.mode(permissive) && self.filter.facts(&facts) {
            self.tally.denials += 1;
            denial.one(record.channel, time, place, avc.permissive);
            denial.note(&facts, record.node, &mut self.commons);
        } else {
            self.tally.left_out += 1;
        }
    }

    /// The same for an event of the form that most have, at `time`: its denial's text, and the other records' kinds and
    /// texts. `None`: nothing was taken, and any form may be read.
    pub(super) fn usual<'a>(
        &mut self,
        text: &'a [u8],
        others: impl Iterator<Item = (Kind, &'a [u8])>,
        time: u64,
        place: Place,
    ) -> Option<()> {
        if self.filter.asks_facts() {
            return None;
        }
        let denied = usual::denied(text)?;
        let part = self.parts.known(&denied)?;
        let others = usual::others(others, &mut self.memory, &mut self.commons)?;
        let slot = self.slot(part)?;
        let wanted = self.filter.time(Some(time)) && self.filter.mode(denied.permissive);
        let Some(denial) = self.denials.get_mut(slot).filter(|_| wanted) else {
            self.tally.left_out += 1;
            return Some(());
        };
        let about = self.parts.about(part);
        let object = Object {
            name: denied.name.and_then(|field| field.decoded()),
            path: denied.path.and_then(|field| field.decoded()),
            inode: denied.inode,
            entry: about.entry,
            made: about.made,
        };
        let own = object.path.clone().or_else(|| object.name.clone());
        let cwd = others.cwd.as_deref();
        let owner = if about.owner { path::owner(&others.paths, cwd) } else { None };
        let (is, asked) = path::choose_path(own, &object, &others.paths, cwd);
        self.tally.denials += 1;
        denial.one(Channel::Auditd, Some(time), place, Some(denied.permissive));
        denial.evidence.who(others.who);
        denial.evidence.object(is.as_deref(), asked.as_deref(), owner.as_deref());
        Some(())
    }

    fn too_many(&mut self, place: Place) {
        self.put_aside(place, &TOO_MANY, || format!("more than {MOST} distinct denials"));
    }

    /// The number of the denial of these parts (it is made if it is new), or [`UNWANTED`]; `None` if there are too many.
    fn slot(&mut self, part: Part) -> Option<u32> {
        if let Some(slot) = self.slots.get(&part) {
            return Some(*slot);
        }
        if self.slots.len() >= MOST {
            return None;
        }
        let key = self.parts.key(part)?;
        let wanted = self.filter.key(&key.source, &key.target, key.class.as_str());
        let slot = if wanted { self.push(part, Denial::new(key))? } else { UNWANTED };
        self.slots.insert(part, slot);
        Some(slot)
    }

    fn push(&mut self, part: Part, denial: Denial) -> Option<u32> {
        self.of.push(part);
        self.denials.push(denial)
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
        if other.of.len() > self.of.len() {
            std::mem::swap(self, &mut other);
        }
        self.tally.add(&other.tally);
        let numbers = self.parts.take(&other.parts);
        for (part, denial) in other.of.into_iter().zip(other.denials.into_all()) {
            let part = numbers.part(part);
            // Most are of one lane alone.
            if let Some(part) = part
                && self.slots.len() < MOST
                && !self.slots.contains_key(&part)
            {
                if let Some(slot) = self.push(part, denial) {
                    self.slots.insert(part, slot);
                }
                continue;
            }
            let slot = part.and_then(|part| self.slot(part));
            match slot.and_then(|slot| self.denials.get_mut(slot)) {
                Some(mine) => mine.merge(denial),
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
            denials: Denials::default(),
            refusals: self.refusals,
            changes: self.changes,
            lost: self.lost,
            set_aside: self.set_aside,
            errors: self.errors.into_iter().map(|(_, e)| e).collect(),
        };
        // The order of the texts, without comparing them.
        let ranks = self.parts.ranks();
        let found = |number: &u32| self.denials.get(*number).is_some_and(|d| d.seen.counts.records() > 0);
        let all = || self.of.iter().zip(0u32..).filter(|(_, number)| found(number));
        let short: Option<Vec<(u64, u32)>> = all().map(|(part, n)| Some((ranks.short(*part)?, n))).collect();
        let order = match short {
            Some(short) => in_order(short),
            None => in_order(all().map(|(part, number)| (ranks.of(*part), number)).collect()),
        };
        log.denials = Denials::new(self.denials, order);
        log
    }
}
