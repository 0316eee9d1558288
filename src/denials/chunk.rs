//! One chunk of a source → an account of each of its lines; which of them are denials; where the other records of
//! events are.
//!
//! Most lines of an audit log are records of events without a denial: of them only the envelope is read ([`quick`]),
//! by the same rules as everywhere ([`record::line`]), and a number that tells their event (the tag) is noted.

use std::sync::LazyLock;

use memchr::memmem::FinderRev;

use super::changes::Changes;
use super::input::{self, Block};
use super::json;
use super::kind::Kind;
use super::log_line;
use super::record::{self, Channel, EventId, Line, Record, TextLine};
use super::tally::{Place, SetAside, Tally};
use super::time::Clock;
use crate::report::codes::log::{LONG_LINE, UNREAD_LINE};

/// A chunk that was read. Lines are counted from 0 in it.
pub(super) struct Chunk {
    pub(super) block: Block,
    /// Lines made from JSON; offsets past the block's end point here.
    pub(super) extra: Vec<u8>,
    /// Denials and SELINUX_ERR records.
    pub(super) main: Vec<Main>,
    /// Other records of events: the event's tag, and where the line begins with [`CALL`] or [`END`].
    pub(super) index: Vec<(u32, u32)>,
    /// How many lines were what; denials are not in it yet.
    pub(super) tally: Tally,
    /// Lines that could not be read.
    pub(super) set_aside: SetAside,
    /// What changed.
    pub(super) changes: Changes,
    /// Lines that say that records were lost.
    pub(super) lost: u64,
}

/// A line that is to be joined with its event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Main {
    pub(super) start: u32,
    /// In the chunk, from 0.
    pub(super) line: u32,
    /// The tag of its event; `None` if it has none, or the records of its event tell nothing.
    pub(super) tag: Option<u32>,
    /// A number that is mostly the same for the same denial: to part the work by.
    pub(super) shard: u32,
    /// Whether it has its line end.
    pub(super) ended: bool,
    /// Where in the index the other records of its event are, if the event is whole and its lines follow each other,
    /// all in the plainest envelope: then nothing is to be looked for.
    pub(super) run: Option<(u32, u32)>,
}

/// Added to where a SYSCALL record begins.
pub(super) const CALL: u32 = 1 << 31;

/// Added to where a PROCTITLE record begins, which ends an event.
pub(super) const END: u32 = 1 << 30;

fn entry(kind: Kind, tag: u32, start: u32) -> (u32, u32) {
    let flag = match kind {
        Kind::Syscall => CALL,
        Kind::Proctitle => END,
        _ => 0,
    };
    (tag, flag | start)
}

/// A number that tells events apart well enough to look further.
pub(super) fn tag(id: EventId) -> u32 {
    let mixed = (id.time ^ id.serial.rotate_left(40) ^ id.node).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(mixed >> 32).unwrap_or(0)
}

/// The stamp of the line before: the records of an event follow each other.
struct Before {
    /// `SEC.MS:SERIAL):`
    stamp: [u8; 40],
    len: usize,
    tag: u32,
}

impl Before {
    fn none() -> Self {
        Before { stamp: [0; 40], len: 0, tag: 0 }
    }
}

/// The kind and the event of a record in the plainest envelope, `type=T msg=audit(SEC.MS:SERIAL):`, and whether the line
/// before is of the same event; `None` for everything else, which [`record::line`] is to read.
fn quick(text: &[u8], before: &mut Before) -> Option<(Kind, u32, bool)> {
    let rest = text.strip_prefix(b"type=")?;
    let space = rest.iter().take(41).position(|b| *b == b' ')?;
    let (name, rest) = rest.split_at_checked(space)?;
    let stamp = rest.strip_prefix(b" msg=audit(")?;
    let kind = Kind::by_name(name)?;
    if before.len > 0 && stamp.starts_with(before.stamp.get(..before.len)?) {
        return Some((kind, before.tag, true));
    }
    let digits = |text: &[u8], most: usize| -> Option<(u64, usize)> {
        let mut n = 0u64;
        let mut len = 0;
        for b in text.iter().take(most + 1) {
            if !b.is_ascii_digit() {
                break;
            }
            n = n * 10 + u64::from(b - b'0');
            len += 1;
        }
        (len > 0 && len <= most).then_some((n, len))
    };
    let (seconds, len) = digits(stamp, 12)?;
    let rest = stamp.get(len..)?.strip_prefix(b".")?;
    let (ms, 3) = digits(rest, 3)? else { return None };
    let rest = rest.get(3..)?.strip_prefix(b":")?;
    let (serial, serial_len) = digits(rest, 18)?;
    rest.get(serial_len..)?.strip_prefix(b"):")?;
    before.tag = tag(EventId { time: seconds * 1000 + ms, serial, node: 0 });
    before.len = len + 5 + serial_len + 2;
    before.stamp.get_mut(..before.len)?.copy_from_slice(stamp.get(..before.len)?);
    Some((kind, before.tag, false))
}

/// A record in the plainest envelope that was found to be one; what it says of time and event is left out, being that
/// of the denial it belongs to.
pub(super) fn plain(line: &[u8]) -> Option<Record<'_>> {
    let (name, _) = record::split_space(line.strip_prefix(b"type=")?)?;
    let end = memchr::memchr(b')', line)?;
    let body = record::trim(line).get(end + 2..)?;
    Some(log_line::bare(Kind::by_name(name)?, body.strip_prefix(b" ").unwrap_or(body), Channel::Auditd))
}

/// Lines of one event that follow each other: where its denials and its other records begin, and what was among them.
struct Run {
    main: usize,
    index: usize,
    flags: u32,
}

/// How many lines are kept to be shown, and how wall clocks are read.
pub(super) struct How<'a> {
    pub(super) keep: usize,
    pub(super) clock: &'a Clock,
    pub(super) source: u32,
}

impl Chunk {
    /// Accounts for every line of `block`.
    pub(super) fn scan(block: Block, how: &How<'_>) -> Chunk {
        let mut chunk = Chunk {
            block: Block::default(),
            extra: Vec::new(),
            main: Vec::new(),
            index: Vec::with_capacity(block.text().len() / 256),
            tally: Tally::default(),
            set_aside: SetAside::new(how.keep),
            changes: Changes::default(),
            lost: 0,
        };
        let bytes = block.text();
        let mut before = Before::none();
        let mut at = 0;
        let mut others = 0;
        let mut number = 0u32;
        let mut run = Run { main: 0, index: 0, flags: 0 };
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let (len, ended) = match memchr::memchr(b'\n', rest) {
                Some(len) => (len, true),
                None => (rest.len(), false),
            };
            let line = rest.get(..len).unwrap_or_default();
            let start = u32::try_from(at).unwrap_or(u32::MAX);
            let found = quick(line, &mut before);
            if !matches!(found, Some((_, _, true))) {
                chunk.whole(&run);
                run = Run { main: chunk.main.len(), index: chunk.index.len(), flags: 0 };
                if found.is_none() {
                    before = Before::none();
                }
            }
            match found {
                Some((kind, tag, _)) if kind.tells_of_event() => {
                    others += 1;
                    let entry = entry(kind, tag, start);
                    run.flags |= entry.1;
                    chunk.index.push(entry);
                }
                Some((Kind::Other, ..)) => others += 1,
                Some((Kind::Avc, tag, _)) => {
                    let tag = Some(tag);
                    chunk.main.push(Main { start, line: number, tag, shard: shard(line), ended, run: None });
                }
                _ => chunk.line(line, start, number, ended, bytes.len(), how),
            }
            number += 1;
            at += len + 1;
        }
        chunk.whole(&run);
        chunk.tally.other_records += others;
        if let Some(length) = block.long_line {
            let place = Place { source: how.source, line: u64::from(number) };
            chunk.put_aside(place, &LONG_LINE, || format!("a line of {length} bytes"));
            number += 1;
        }
        chunk.tally.lines = u64::from(number);
        chunk.block = block;
        chunk
    }

    /// Notes for the denials of a run that their event is whole, if it is.
    fn whole(&mut self, run: &Run) {
        let both = CALL | END;
        if run.flags & both == both
            && let (Ok(from), Ok(to)) = (u32::try_from(run.index), u32::try_from(self.index.len()))
        {
            let mains = self.main.get_mut(run.main..).unwrap_or_default();
            mains.iter_mut().filter(|main| main.tag.is_some()).for_each(|main| main.run = Some((from, to)));
        }
    }

    fn put_aside(&mut self, place: Place, code: crate::report::Code, reason: impl FnOnce() -> String) {
        self.tally.set_aside += 1;
        self.set_aside.push(place, code, reason);
    }

    /// Any line.
    fn line(&mut self, text: &[u8], start: u32, number: u32, ended: bool, length: usize, how: &How<'_>) {
        let place = Place { source: how.source, line: u64::from(number) };
        if text.len() > input::LONGEST_LINE {
            return self.put_aside(place, &LONG_LINE, || format!("a line of {} bytes", text.len()));
        }
        let mut start = start;
        let made;
        let text = if let Some(object) = json::object(text) {
            match json::to_line(object) {
                json::Json::Record(line) => {
                    start = u32::try_from(length + self.extra.len()).unwrap_or(u32::MAX);
                    self.extra.extend_from_slice(&line);
                    self.extra.push(b'\n');
                    made = line;
                    made.as_slice()
                }
                json::Json::Other => {
                    self.tally.text += 1;
                    return;
                }
                json::Json::LeftOut => {
                    let reason = "journalctl left out the message, for its length: `journalctl --all` has it";
                    return self.put_aside(place, &UNREAD_LINE, || reason.to_owned());
                }
                json::Json::Bad => object,
            }
        } else {
            text
        };
        match record::line(text) {
            Line::Separator => self.tally.separators += 1,
            Line::Text(kind) => {
                self.tally.text += 1;
                self.lost += u64::from(kind == TextLine::Lost);
            }
            Line::Unread(reason) => self.put_aside(place, &UNREAD_LINE, || reason.to_owned()),
            Line::Record(record) => self.record(
                &record,
                text,
                Main { start, line: number, tag: None, shard: 0, ended, run: None },
                place,
                how,
            ),
        }
    }

    fn record(&mut self, record: &Record<'_>, text: &[u8], mut main: Main, place: Place, how: &How<'_>) {
        match record.kind {
            Kind::Avc | Kind::UserAvc | Kind::SelinuxErr => {
                main.tag = record.id.filter(|_| record.kind == Kind::Avc).map(tag);
                main.shard = shard(text);
                self.main.push(main);
            }
            Kind::PolicyLoad | Kind::Status | Kind::Boolean | Kind::Boot => {
                let time = how.clock.millis(record.when);
                if self.changes.take(record, time, place) {
                    self.tally.notices += 1;
                } else {
                    self.tally.other_modules += 1;
                }
            }
            Kind::Ipe => self.tally.other_modules += 1,
            _ => {
                self.tally.other_records += 1;
                if let Some(id) = record.id.filter(|_| record.kind.tells_of_event()) {
                    self.index.push(entry(record.kind, tag(id), main.start));
                }
            }
        }
    }

    /// The records of a run.
    pub(super) fn run(&self, (from, to): (u32, u32)) -> impl Iterator<Item = Record<'_>> {
        let at = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let entries = self.index.get(at(from)..at(to)).unwrap_or_default();
        entries.iter().filter_map(|(_, start)| plain(self.text(*start)))
    }

    /// The line that begins at `start` (as in the index, too), without its line end.
    pub(super) fn text(&self, start: u32) -> &[u8] {
        let start = usize::try_from(start & !(CALL | END)).unwrap_or(usize::MAX);
        let own = self.block.text();
        let rest = match start.checked_sub(own.len()) {
            None => own.get(start..),
            Some(start) => self.extra.get(start..),
        };
        let rest = rest.unwrap_or_default();
        rest.get(..memchr::memchr(b'\n', rest).unwrap_or(rest.len())).unwrap_or_default()
    }
}

/// A number of the contexts that a line ends in.
fn shard(line: &[u8]) -> u32 {
    static SCONTEXT: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(b"scontext="));
    let at = SCONTEXT.rfind(line).unwrap_or(0);
    let tail = line.get(at..).unwrap_or_default();
    let tail = tail.get(..tail.len().min(160)).unwrap_or_default();
    let (words, rest) = tail.as_chunks::<8>();
    let mix = |h: u64, w: u64| (h ^ w).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    let hash = words.iter().fold(0, |h, w| mix(h, u64::from_le_bytes(*w)));
    let hash = rest.iter().fold(hash, |h, b| mix(h, u64::from(*b)));
    u32::try_from(hash >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_way_says_what_the_whole_way_says() {
        let mut before = Before::none();
        let mut check = |text: &[u8]| {
            let fast = quick(text, &mut before);
            if let Some((kind, number, _)) = fast {
                let Line::Record(record) = record::line(text) else { panic!("{}", text.escape_ascii()) };
                assert_eq!((kind, number), (record.kind, tag(record.id.unwrap())), "{}", text.escape_ascii());
                let plain = plain(text).unwrap();
                let all = |r: &Record<'_>| format!("{:?}", (r.kind, r.channel, r.node, r.body, r.enriched));
                assert_eq!(all(&plain), all(&record), "{}", text.escape_ascii());
                assert_eq!((record.interpreted, record.tag_pid), (false, None));
            }
            fast.is_some()
        };
        assert!(check(b"type=SYSCALL msg=audit(1795243796.744:2285): a=b"));
        assert!(check(b"type=PATH msg=audit(1795243796.744:2285): a=b"));
        assert!(check(b"type=PATH msg=audit(1795243796.744:22855): a=b"));
        assert!(!check(b"type=SYSCALL msg=audit(1795243796.744:2285) : a=b"));
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for folder in std::fs::read_dir("audit-samples").unwrap() {
            let log = std::fs::read(folder.unwrap().path().join("log")).unwrap_or_default();
            lines.extend(log.split(|b| *b == b'\n').map(<[u8]>::to_vec));
        }
        let mut dice = 7u32;
        for line in &lines {
            check(line);
            // The same with a byte of its head changed, or cut.
            for _ in 0..20 {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let mut other = line.clone();
                let at = usize::try_from(dice >> 8).unwrap() % 64;
                if let Some(b) = other.get_mut(at) {
                    *b = b"0 :.)(a\x00\xff="[usize::try_from(dice >> 4).unwrap() % 10];
                }
                check(&other);
                other.truncate(at);
                check(&other);
            }
        }
    }
}
