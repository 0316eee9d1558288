//! What has been found so far, in one lane of the work; lanes merge in any order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Context;
use super::avc::{self, Author, Avc, Body, Verdict};
use super::changes::Changes;
use super::chunk::Chunk;
use super::denial::{Denial, DenialKey, Seen};
use super::event;
use super::fields;
use super::filter::Filter;
use super::input::InputError;
use super::record::{Kind, Record};
use super::refusal::{self, Refusal};
use super::scan::{Log, Options};
use super::tally::{Place, Reason, SetAside, Tally};
use super::time::Clock;
use crate::report::Code;
use crate::report::codes::log::{BAD_CONTEXT, BAD_RECORD, TOO_MANY, UNKNOWN_CLASS, UNKNOWN_PERMISSION};
use crate::selinux::module::{Name, classes};

/// Most distinct denials that are kept apart; further ones are set aside. No host comes near it.
const MOST: usize = 1_000_000;

/// What one lane has found.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) tally: Tally,
    clock: Clock,
    filter: Filter,
    /// From what decides a denial, as written, to what it is: so that each is checked once.
    known: HashMap<Box<[u8]>, Known>,
    /// Where each distinct denial is in `denials`.
    slots: HashMap<DenialKey, usize>,
    denials: Vec<Denial>,
    refusals: BTreeMap<Refusal, Seen>,
    changes: Changes,
    pub(super) lost: u64,
    set_aside: SetAside,
    pub(super) errors: Vec<(u32, InputError)>,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Known {
    Denial(usize),
    LeftOut,
    Bad(Reason),
}

impl Collected {
    pub(super) fn new(options: &Options) -> Self {
        Collected {
            tally: Tally::default(),
            clock: options.clock.clone(),
            filter: options.filter.clone(),
            known: HashMap::new(),
            slots: HashMap::new(),
            denials: Vec::new(),
            refusals: BTreeMap::new(),
            changes: Changes::default(),
            lost: 0,
            set_aside: SetAside::new(options.keep_set_aside),
            errors: Vec::new(),
            scratch: Vec::new(),
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
        let mut raw = std::mem::take(&mut self.scratch);
        raw.clear();
        let label = avc.trawcon.map_or(&b""[..], |f| f.value);
        for part in [avc.scontext, avc.tcontext, avc.tclass, avc.permissions.trim_ascii(), label] {
            raw.extend_from_slice(part);
            raw.push(0);
        }
        if !self.known.contains_key(raw.as_slice()) {
            if self.known.len() >= MOST {
                self.scratch = raw;
                return self.put_aside(place, &TOO_MANY, || format!("more than {MOST} distinct denials"));
            }
            let known = match check(avc) {
                Ok((key, _)) if !self.filter.key(&key.source, &key.target, key.class.as_str()) => {
                    Known::LeftOut
                }
                Ok((key, unknown)) => {
                    let slot = self.slot(key);
                    if let Some(denial) = self.denials.get_mut(slot) {
                        denial.unknown.extend(unknown);
                    }
                    Known::Denial(slot)
                }
                Err(reason) => Known::Bad(reason),
            };
            self.known.insert(raw.as_slice().into(), known);
        }
        match self.known.get(raw.as_slice()) {
            Some(Known::Denial(slot)) => {
                let time = self.clock.millis(record.when);
                let permissive = avc.permissive == Some(true);
                let facts = event::facts(avc, record, others);
                if self.filter.time(time) && self.filter.mode(permissive) && self.filter.facts(&facts) {
                    self.tally.denials += 1;
                    if let Some(denial) = self.denials.get_mut(*slot) {
                        denial.seen.one(record.channel, time, place);
                        denial.permissive += u64::from(permissive);
                        denial.note(&facts, record.node);
                    }
                } else {
                    self.tally.left_out += 1;
                }
            }
            Some(Known::LeftOut) => self.tally.left_out += 1,
            Some(Known::Bad(reason)) => {
                self.tally.set_aside += 1;
                self.set_aside.push(place, reason.code, || reason.text.clone());
            }
            None => {}
        }
        self.scratch = raw;
    }

    /// Where the denial `key` is kept; it is made if it is new.
    fn slot(&mut self, key: DenialKey) -> usize {
        let next = self.denials.len();
        let slot = *self.slots.entry(key.clone()).or_insert(next);
        if slot == next {
            self.denials.push(Denial::new(key));
        }
        slot
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
    pub(super) fn merge(&mut self, other: Collected) {
        self.tally.add(&other.tally);
        for denial in other.denials {
            let slot = self.slot(denial.key.clone());
            if let Some(mine) = self.denials.get_mut(slot) {
                mine.merge(denial);
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
        self.known = HashMap::new();
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
        self.slots = HashMap::new();
        let found = self.denials.into_iter().filter(|d| d.seen.counts.records() > 0);
        log.denials = found.map(|d| (d.key.clone(), d)).collect();
        log
    }
}

/// Checks every name in a denial.
fn check(avc: &Avc<'_>) -> Result<(DenialKey, BTreeSet<Name>), Reason> {
    let lossy = |b: &[u8]| String::from_utf8_lossy(b.get(..200).unwrap_or(b)).into_owned();
    let context = |which: &str, text: &[u8]| {
        Context::parse(text).ok_or_else(|| {
            Reason::new(&BAD_CONTEXT, format!("the {which} context `{}` is none", lossy(text)))
        })
    };
    let source = context("source", avc.scontext)?;
    let target = context("target", avc.tcontext)?;
    let class_text = lossy(avc.tclass);
    let class = Name::from_bytes(avc.tclass).filter(|c| classes::is_class(c.as_str())).ok_or_else(|| {
        let hint =
            classes::nearest_class(&class_text).map(|c| format!(", did you mean `{c}`?")).unwrap_or_default();
        Reason::new(&UNKNOWN_CLASS, format!("no class is called `{class_text}`{hint}"))
    })?;
    let mut permissions = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    let mut first_bad = None;
    for word in avc.permissions.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()) {
        match Name::from_bytes(word) {
            Some(name) if classes::has_permission(class.as_str(), name.as_str()) => {
                permissions.insert(name);
            }
            other => {
                first_bad.get_or_insert_with(|| lossy(word));
                unknown.extend(other);
            }
        }
    }
    if permissions.is_empty() {
        let Some(bad) = first_bad else {
            return Err(Reason::new(&BAD_RECORD, "no permission in the braces"));
        };
        let hint = classes::nearest_permission(class.as_str(), &bad)
            .map(|p| format!(", did you mean `{p}`?"))
            .unwrap_or_default();
        return Err(Reason::new(
            &UNKNOWN_PERMISSION,
            format!("the class `{class}` has no permission `{bad}`{hint}"),
        ));
    }
    let unknown_label = avc.trawcon.and_then(|f| f.decoded()).map(|l| l.iter().copied().take(1024).collect());
    let permissions = permissions.into_iter().collect();
    Ok((DenialKey { source, target, class, permissions, unknown_label }, unknown))
}
