//! One chunk of a source → an account of each of its lines; which of them are denials; where the other records of
//! events are.
//!
//! Most lines of an audit log are records of events without a denial: of them only the envelope is read ([`quick`]),
//! by the same rules as everywhere ([`record::line`]), and a number that tells their event (the tag) is noted.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::changes::Changes;
use super::input::{self, Block};
use super::json;
use super::kind::Kind;
use super::log_line;
use super::record::{self, Channel, EventId, Line, Record, TextLine};
use super::tally::{Place, SetAside, Tally};
use super::time::{Clock, When};
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
    /// What else is known of the records of the index.
    heads: Vec<Head>,
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
    /// Of a line in the plainest envelope: what is known of it, and its time.
    head: Option<(Head, u64)>,
}

/// What is known of a line in the plainest envelope.
#[derive(Debug, Clone, Copy)]
struct Head {
    kind: Kind,
    /// Where the body begins.
    body: u8,
    /// Length of the line.
    len: u32,
}

impl Head {
    fn new(kind: Kind, body: usize, line: &[u8]) -> Option<Head> {
        Some(Head { kind, body: u8::try_from(body).ok()?, len: u32::try_from(line.len()).ok()? })
    }

    /// What follows the envelope, with what auditd added.
    fn text<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let text = record::trim(line).get(usize::from(self.body)..)?;
        Some(text.strip_prefix(b" ").unwrap_or(text))
    }

    /// The record; what it says of time and event is left out.
    fn record<'a>(&self, line: &'a [u8]) -> Option<Record<'a>> {
        Some(log_line::bare(self.kind, self.text(line)?, Channel::Auditd))
    }
}

/// Added to where a SYSCALL record begins.
pub(super) const CALL: u32 = 1 << 31;

/// Added to where a PROCTITLE record begins, which ends an event.
pub(super) const END: u32 = 1 << 30;

/// How many denials of a chunk may have lost their events at its two ends.
const MOST_CUT_OFF: usize = 8;

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
    /// In milliseconds; `None` where the serial number is 0, by which nothing is known to be of the same event.
    time: Option<u64>,
}

impl Before {
    fn none() -> Self {
        Before { stamp: [0; 40], len: 0, tag: 0, time: None }
    }
}

/// What [`quick`] tells of a line.
#[derive(Debug)]
struct Quick {
    kind: Kind,
    tag: u32,
    /// Whether the line before is of the same event.
    same: bool,
    /// Where the body begins.
    body: usize,
}

/// The kind and the event of a record in the plainest envelope, `type=T msg=audit(SEC.MS:SERIAL):`; `None` for everything
/// else, which [`record::line`] is to read.
fn quick(text: &[u8], before: &mut Before) -> Option<Quick> {
    let rest = text.strip_prefix(b"type=")?;
    let space = rest.iter().take(41).position(|b| *b == b' ')?;
    let (name, rest) = rest.split_at_checked(space)?;
    let stamp = rest.strip_prefix(b" msg=audit(")?;
    let kind = Kind::by_name(name)?;
    let start = 16 + space;
    if before.len > 0 && stamp.starts_with(before.stamp.get(..before.len)?) {
        return Some(Quick { kind, tag: before.tag, same: true, body: start + before.len });
    }
    let (time, len) = time_of(stamp)?;
    let (serial, serial_len) = digits(stamp.get(len..)?, 18)?;
    let len = len + serial_len;
    stamp.get(len..)?.strip_prefix(b"):")?;
    before.tag = tag(EventId { time, serial, node: 0 });
    before.time = (serial != 0).then_some(time);
    before.len = len + 2;
    for (mine, b) in before.stamp.iter_mut().zip(stamp.get(..before.len)?) {
        *mine = *b;
    }
    Some(Quick { kind, tag: before.tag, same: false, body: start + before.len })
}

/// `SEC.MS:` in milliseconds, and its length.
fn time_of(stamp: &[u8]) -> Option<(u64, usize)> {
    // Ten digits, from 2001 to 2286.
    if let [a, b, c, d, e, f, g, h, i @ b'0'..=b'9', j @ b'0'..=b'9', b'.', rest @ ..] = stamp
        && let Some(eight) = eight_digits([*a, *b, *c, *d, *e, *f, *g, *h])
        && let [x @ b'0'..=b'9', y @ b'0'..=b'9', z @ b'0'..=b'9', b':', ..] = rest
    {
        let n = [i, j, x, y, z].into_iter().fold(eight, |n, b| n * 10 + u64::from(b - b'0'));
        return Some((n, 15));
    }
    let (seconds, len) = digits(stamp, 12)?;
    let rest = stamp.get(len..)?.strip_prefix(b".")?;
    let (ms, 3) = digits(rest, 3)? else { return None };
    rest.get(3..)?.strip_prefix(b":")?;
    Some((seconds * 1000 + ms, len + 5))
}

/// A number of eight digits, the first in the lowest byte.
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let x = u64::from_le_bytes(text);
    // Both the byte and the byte plus six are in the row of `0`.
    if x & HIGH != ZEROS || x.wrapping_add(0x0606_0606_0606_0606) & HIGH != ZEROS {
        return None;
    }
    // Two by two, then four by four, then all.
    let x = (x & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(10 << 8 | 1) >> 8;
    let x = (x & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 << 16 | 1) >> 16;
    Some((x & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// A number at the beginning, of so many digits at the most, and how many it has.
fn digits(text: &[u8], most: usize) -> Option<(u64, usize)> {
    let mut n = 0u64;
    let mut len = 0;
    for b in text.iter().take(most + 1) {
        if !b.is_ascii_digit() {
            break;
        }
        n = n.wrapping_mul(10).wrapping_add(u64::from(b - b'0'));
        len += 1;
    }
    (len > 0 && len <= most).then_some((n, len))
}

/// Lines of one event that follow each other: where its denials and its other records begin, and what was among them.
#[derive(Default)]
struct Run {
    main: usize,
    index: usize,
    flags: u32,
    /// One of its lines cannot be read by its head.
    headless: bool,
}

/// How many lines are kept to be shown, and how wall clocks are read.
pub(super) struct How<'a> {
    pub(super) keep: usize,
    pub(super) clock: &'a Clock,
    pub(super) source: u32,
    /// Whether the work is to be parted.
    pub(super) shards: bool,
}

impl Chunk {
    /// Accounts for every line of `block`.
    pub(super) fn scan(block: Block, how: &How<'_>) -> Chunk {
        let mut chunk = Chunk {
            block: Block::default(),
            extra: Vec::new(),
            main: Vec::new(),
            index: Vec::with_capacity(block.text().len() / 256),
            heads: Vec::with_capacity(block.text().len() / 256),
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
        let mut run = Run::default();
        let ends = memchr::memchr_iter(b'\n', bytes).chain(std::iter::once(bytes.len()));
        for end in ends {
            let Some(line) = bytes.get(at..end) else { break };
            let ended = end < bytes.len();
            if line.is_empty() && !ended {
                break;
            }
            let start = u32::try_from(at).unwrap_or(u32::MAX);
            let found = quick(line, &mut before);
            if found.as_ref().is_none_or(|found| !found.same) {
                chunk.whole(&run);
                run = Run { main: chunk.main.len(), index: chunk.index.len(), ..Run::default() };
                if found.is_none() {
                    before = Before::none();
                }
            }
            match found {
                Some(Quick { kind: Kind::Other, .. }) => others += 1,
                Some(Quick { kind, tag, body, .. }) if kind.tells_of_event() => {
                    others += 1;
                    let entry = entry(kind, tag, start);
                    run.flags |= entry.1;
                    chunk.index.push(entry);
                    run.headless |= chunk.push_head(Head::new(kind, body, line));
                }
                Some(Quick { kind: Kind::Avc, tag, body, .. }) => {
                    let head = Head::new(Kind::Avc, body, line).zip(before.time);
                    let (tag, shard) = (Some(tag), if how.shards { shard(line) } else { 0 });
                    chunk.main.push(Main { start, line: number, tag, shard, ended, run: None, head });
                }
                _ => chunk.line(line, start, number, ended, bytes.len(), how),
            }
            number += 1;
            at = end + 1;
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
            && !run.headless
            && let (Ok(from), Ok(to)) = (u32::try_from(run.index), u32::try_from(self.index.len()))
        {
            let mains = self.main.get_mut(run.main..).unwrap_or_default();
            mains.iter_mut().filter(|main| main.tag.is_some()).for_each(|main| main.run = Some((from, to)));
        }
    }

    /// Whether there was none.
    fn push_head(&mut self, head: Option<Head>) -> bool {
        self.heads.push(head.unwrap_or(Head { kind: Kind::Other, body: 0, len: 0 }));
        head.is_none()
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
                Main { start, line: number, tag: None, shard: 0, ended, run: None, head: None },
                place,
                how,
            ),
        }
    }

    fn record(&mut self, record: &Record<'_>, text: &[u8], mut main: Main, place: Place, how: &How<'_>) {
        match record.kind {
            Kind::Avc | Kind::UserAvc | Kind::SelinuxErr => {
                main.tag = record.id.filter(|_| record.kind == Kind::Avc).map(tag);
                main.shard = if how.shards { shard(text) } else { 0 };
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
                    self.push_head(None);
                }
            }
        }
    }

    /// Whether more of its denials are not together with their events than are cut off at its ends.
    pub(super) fn is_mixed(&self) -> bool {
        self.main.iter().filter(|main| main.run.is_none() && main.tag.is_some()).nth(MOST_CUT_OFF).is_some()
    }

    /// The records of a run.
    pub(super) fn run(&self, run: (u32, u32)) -> impl Iterator<Item = Record<'_>> {
        self.of_run(run).filter_map(|(head, line)| head.record(line))
    }

    /// The same as kinds and texts.
    pub(super) fn texts(&self, run: (u32, u32)) -> impl Iterator<Item = (Kind, &[u8])> {
        self.of_run(run).filter_map(|(head, line)| Some((head.kind, head.text(line)?)))
    }

    fn of_run(&self, (from, to): (u32, u32)) -> impl Iterator<Item = (&Head, &[u8])> {
        let at = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let entries = self.index.get(at(from)..at(to)).unwrap_or_default();
        let heads = self.heads.get(at(from)..at(to)).unwrap_or_default();
        entries
            .iter()
            .zip(heads)
            .filter_map(|((_, start), head)| Some((head, self.of_block(*start, head.len)?)))
    }

    /// The text and the time of a denial whose event is whole.
    pub(super) fn text_of(&self, main: &Main) -> Option<(&[u8], u64)> {
        let (head, time) = main.head.filter(|_| main.run.is_some() && main.ended)?;
        Some((head.text(self.of_block(main.start, head.len)?)?, time))
    }

    /// The record of a denial or a refusal.
    pub(super) fn record_of(&self, main: &Main) -> Option<Record<'_>> {
        // What is joined otherwise is compared by its event.
        if let (Some((head, time)), Some(_)) = (main.head, main.run) {
            let record = head.record(self.of_block(main.start, head.len)?)?;
            return Some(Record { when: When::Exact(time), ..record });
        }
        match record::line(self.text(main.start)) {
            Line::Record(record) => Some(record),
            _ => None,
        }
    }

    fn of_block(&self, start: u32, len: u32) -> Option<&[u8]> {
        let start = usize::try_from(start & !(CALL | END)).ok()?;
        self.block.text().get(start..)?.get(..usize::try_from(len).ok()?)
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
    static SCONTEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"scontext="));
    let tail = line.get(line.len().saturating_sub(240)..).unwrap_or_default();
    let tail = tail.get(SCONTEXT.find(tail).unwrap_or(0)..).unwrap_or_default();
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
            if let Some(fast) = &fast {
                let Line::Record(record) = record::line(text) else { panic!("{}", text.escape_ascii()) };
                let id = record.id.unwrap();
                assert_eq!((fast.kind, fast.tag), (record.kind, tag(id)), "{}", text.escape_ascii());
                assert_eq!(before.time, (id.serial != 0).then_some(id.time));
                assert_eq!(record.when, When::Exact(id.time));
                let plain = Head::new(fast.kind, fast.body, text).unwrap().record(text).unwrap();
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
