//! Denials and the other records of their events, wherever these are.
//!
//! Records of an event are found by its tag in an index of each chunk. A denial is joined with those in its own round
//! of chunks and a little before; where the system call or the command line (which ends an event) is not among them,
//! it stays open, and later rounds add what they hold of it. At the end of a source, what is still open is looked up
//! in the beginnings and ends of the other sources: logs are rotated in the middle of events.

use std::collections::VecDeque;

use rayon::prelude::*;

use super::chunk::{self, Chunk, Main};
use super::collect::Collected;
use super::kind::Kind;
use super::record::{self, EventId, Line, Record};
use super::tally::Place;

/// Most records of an event that are looked at. The kernel writes a few dozen at the most; a log that was made up
/// might hold a million of one event, and a million denials of it.
const MOST_OF_EVENT: usize = 32;

/// Most denials that wait for the rest of their events; the oldest are then taken as they are.
const MOST_OPEN: usize = 1024;

/// Most bytes of an event that are kept while it is waited for.
const MOST_KEPT: usize = 16 << 10;

/// How many of a source's first denials are kept open to its end, for the source before may hold their events.
const FIRST: usize = 32;

/// A denial whose event is not whole yet, with what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Open {
    line: Box<[u8]>,
    id: EventId,
    tag: u32,
    shard: u32,
    ended: bool,
    place: Place,
    /// Of the first of its source.
    first: bool,
    /// Lines of its event.
    records: Vec<Box<[u8]>>,
    kept: usize,
    has_call: bool,
    has_end: bool,
}

impl Open {
    fn take(&mut self, text: &[u8]) {
        if self.records.len() < MOST_OF_EVENT
            && self.kept + text.len() <= MOST_KEPT
            && let Line::Record(record) = record::line(text)
            && record.id == Some(self.id)
        {
            self.kept += text.len();
            self.has_call |= record.kind == Kind::Syscall;
            self.has_end |= record.kind == Kind::Proctitle;
            self.records.push(text.into());
        }
    }

    fn whole(&self) -> bool {
        self.has_call && self.has_end
    }

    fn settle(&self, lane: &mut Collected) {
        let Line::Record(record) = record::line(&self.line) else { return };
        let others: Vec<Record<'_>> = self
            .records
            .iter()
            .filter_map(|text| match record::line(text) {
                Line::Record(record) => Some(record),
                _ => None,
            })
            .collect();
        lane.main(&record, &others, self.place, self.ended);
    }
}

/// Which tags are looked for, and a number for each.
struct Wanted {
    /// Bits by the lowest 16 of a tag.
    filter: Vec<u64>,
    tags: Vec<u32>,
}

impl Wanted {
    fn new(tags: impl Iterator<Item = u32>) -> Self {
        let mut tags: Vec<u32> = tags.collect();
        tags.sort_unstable();
        tags.dedup();
        let mut filter = vec![0u64; if tags.is_empty() { 0 } else { 1024 }];
        for tag in &tags {
            if let Some(word) = filter.get_mut(usize::try_from(tag >> 6 & 1023).unwrap_or(0)) {
                *word |= 1 << (tag & 63);
            }
        }
        Wanted { filter, tags }
    }

    fn number(&self, tag: u32) -> Option<usize> {
        let word = self.filter.get(usize::try_from(tag >> 6 & 1023).ok()?)?;
        if word >> (tag & 63) & 1 == 0 {
            return None;
        }
        self.tags.binary_search(&tag).ok()
    }

    /// The records of these events, event by event.
    fn hits(&self, chunks: &[&(u64, Chunk)], side_by_side: bool) -> Vec<Hit> {
        if self.tags.is_empty() {
            return Vec::new();
        }
        let of = |(number, (_, chunk)): (usize, &&(u64, Chunk))| {
            let found =
                chunk.index.iter().filter_map(|(tag, start)| Some((self.number(*tag)?, number, *start)));
            found.collect::<Vec<Hit>>()
        };
        let mut hits: Vec<Hit> = if side_by_side {
            chunks.par_iter().enumerate().map(of).flatten_iter().collect()
        } else {
            chunks.iter().enumerate().flat_map(of).collect()
        };
        hits.sort_unstable();
        hits
    }
}

/// A record of a wanted event: the event's number, the chunk, and where the line begins.
type Hit = (usize, usize, u32);

const BOTH: u32 = chunk::CALL | chunk::END;

/// Whether lane `number` of `count` is to do this.
fn of_lane(shard: u32, number: usize, count: usize) -> bool {
    usize::try_from(shard).unwrap_or(0) % count == number
}

/// What is joined in one source.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    open: VecDeque<Open>,
    /// Open ones that stay so to the end.
    held: Vec<Open>,
    seen: usize,
}

impl Joiner {
    /// Joins the denials of `new`; `old` is what was read before them. Each chunk has the number of its first line.
    pub(super) fn round(
        &mut self,
        old: &[(u64, Chunk)],
        new: &[(u64, Chunk)],
        source: u32,
        lanes: &mut [Collected],
    ) {
        // Most events are whole, and nothing is looked for. The others: where each is among the denials, and in which chunk.
        let mut apart: Vec<(usize, usize, Main)> = Vec::new();
        let mut all = 0;
        for (at, (_, chunk)) in (old.len()..).zip(new) {
            let mains = chunk.main.iter().enumerate().filter(|(_, main)| main.run.is_none());
            apart.extend(mains.map(|(order, main)| (all + order, at, *main)));
            all += chunk.main.len();
        }
        if all == 0 && self.open.is_empty() && self.held.is_empty() {
            return;
        }
        let waiting = self.open.iter().chain(&self.held);
        let tags = apart.iter().filter_map(|(_, _, main)| main.tag);
        let wanted = Wanted::new(tags.chain(waiting.map(|open| open.tag)));
        let chunks: Vec<&(u64, Chunk)> = old.iter().chain(new).collect();
        let hits = wanted.hits(&chunks, lanes.len() > 1);
        let of = |tag: u32| -> &[Hit] {
            let Some(number) = wanted.number(tag) else { return &[] };
            let from = hits.partition_point(|hit| hit.0 < number);
            let rest = hits.get(from..).unwrap_or_default();
            let to = rest.iter().take(MOST_OF_EVENT).take_while(|hit| hit.0 == number).count();
            rest.get(..to).unwrap_or_default()
        };
        let text = |hit: &Hit| chunks.get(hit.1).map_or(&b""[..], |(_, chunk)| chunk.text(hit.2));

        for open in self.open.iter_mut().chain(&mut self.held) {
            for hit in of(open.tag).iter().filter(|hit| hit.1 >= old.len()) {
                open.take(text(hit));
            }
        }

        let first = FIRST.saturating_sub(self.seen);
        self.seen += all;
        let count = lanes.len().max(1);
        let whole = |at: usize, main: &Main| {
            main.tag.is_none_or(|tag| of(tag).iter().fold(0, |all, hit| all | hit.2) & BOTH == BOTH)
                // No kernel writes such a line; there may be many.
                || chunks.get(at).is_none_or(|(_, chunk)| chunk.text(main.start).len() > MOST_KEPT)
        };
        let join = |at: usize, main: &Main, lane: &mut Collected| {
            let Some((first_line, chunk)) = chunks.get(at) else { return };
            let Some(record) = chunk.record_of(main) else { return };
            let hits = main.tag.map_or(&[][..], of).iter();
            let others: Vec<Record<'_>> = hits
                .filter_map(|hit| match record::line(text(hit)) {
                    Line::Record(other) if other.id == record.id => Some(other),
                    _ => None,
                })
                .collect();
            let place = Place { source, line: first_line + u64::from(main.line) };
            lane.main(&record, &others, place, main.ended);
        };
        let mut waiting: Vec<usize> = each_lane(lanes, |number, lane| {
            for (first_line, chunk) in new {
                let mains = chunk.main.iter().filter(|main| of_lane(main.shard, number, count));
                for (main, run) in mains.filter_map(|main| Some((main, main.run?))) {
                    let place = Place { source, line: first_line + u64::from(main.line) };
                    join_run(chunk, main, run, place, lane);
                }
            }
            let mut waiting = Vec::new();
            for (index, (_, at, main)) in
                apart.iter().enumerate().filter(|(_, (_, _, main))| of_lane(main.shard, number, count))
            {
                if whole(*at, main) {
                    join(*at, main, lane);
                } else {
                    waiting.push(index);
                }
            }
            waiting
        });
        waiting.sort_unstable();
        // Not all can wait.
        let surplus = waiting.len().saturating_sub(MOST_OPEN);
        let waiting = waiting.into_iter().filter_map(|index| apart.get(index));
        let (now, later): (Vec<_>, Vec<_>) =
            waiting.enumerate().partition(|(i, (order, ..))| *i < surplus && *order >= first);
        if !now.is_empty() {
            each_lane(lanes, |number, lane| -> Vec<()> {
                for (_, (_, at, main)) in &now {
                    if of_lane(main.shard, number, count) {
                        join(*at, main, lane);
                    }
                }
                Vec::new()
            });
        }
        let opened = later.into_iter().filter_map(|(_, (order, at, main))| {
            let (first_line, chunk) = chunks.get(*at)?;
            let line = chunk.text(main.start);
            let Line::Record(record) = record::line(line) else { return None };
            let mut open = Open {
                line: line.into(),
                id: record.id?,
                tag: main.tag?,
                shard: main.shard,
                ended: main.ended,
                place: Place { source, line: first_line + u64::from(main.line) },
                first: *order < first,
                records: Vec::new(),
                kept: 0,
                has_call: false,
                has_end: false,
            };
            of(open.tag).iter().for_each(|hit| open.take(text(hit)));
            Some(open)
        });

        let (whole, waiting): (VecDeque<Open>, VecDeque<Open>) =
            std::mem::take(&mut self.open).into_iter().partition(Open::whole);
        self.open = waiting;
        let mut settled: Vec<Open> = whole.into();
        self.held.retain_mut(|open| {
            let keep = !open.whole();
            if !keep {
                settled.push(open.clone());
            }
            keep
        });
        self.open.extend(opened);
        while self.open.len() > MOST_OPEN {
            match self.open.pop_front() {
                Some(open) if open.first => self.held.push(open),
                Some(open) => settled.push(open),
                None => break,
            }
        }
        settle(&settled, lanes);
    }

    /// What is open at the end.
    pub(super) fn left(self) -> Vec<Open> {
        self.held.into_iter().chain(self.open).collect()
    }

    /// Whether anything is open.
    pub(super) fn is_waiting(&self) -> bool {
        !self.open.is_empty() || !self.held.is_empty()
    }
}

fn settle(settled: &[Open], lanes: &mut [Collected]) {
    if settled.is_empty() {
        return;
    }
    let count = lanes.len().max(1);
    each_lane(lanes, |number, lane| -> Vec<()> {
        for open in settled.iter().filter(|o| of_lane(o.shard, number, count)) {
            open.settle(lane);
        }
        Vec::new()
    });
}

/// Does its share in each lane, side by side where there are several.
fn each_lane<T: Send>(
    lanes: &mut [Collected],
    work: impl Fn(usize, &mut Collected) -> Vec<T> + Sync,
) -> Vec<T> {
    match lanes {
        [lane] => work(0, lane),
        lanes => {
            lanes.par_iter_mut().enumerate().flat_map_iter(|(number, lane)| work(number, lane)).collect()
        }
    }
}

/// Joins a denial whose event is whole.
fn join_run(chunk: &Chunk, main: &Main, run: (u32, u32), place: Place, lane: &mut Collected) {
    let usual = chunk.text_of(main).and_then(|(text, time)| {
        let others = chunk.texts(run).take(MOST_OF_EVENT);
        lane.usual(text, others, time, place)
    });
    if usual.is_none()
        && let Some(record) = chunk.record_of(main)
    {
        let others: Vec<Record<'_>> = chunk.run(run).take(MOST_OF_EVENT).collect();
        lane.main(&record, &others, place, main.ended);
    }
}

/// The beginning and the end of a source: whole lines.
pub(super) struct Edges {
    pub(super) source: u32,
    pub(super) lines: Vec<u8>,
}

/// Looks for the events of what is `open` in the edges of the other sources, and settles it.
pub(super) fn across(mut open: Vec<Open>, edges: &[Edges], into: &mut Collected, clock: &super::time::Clock) {
    if open.is_empty() {
        return;
    }
    let wanted = Wanted::new(open.iter().map(|o| o.tag));
    let mut by_tag: Vec<Vec<usize>> = vec![Vec::new(); wanted.tags.len()];
    for (i, open) in open.iter().enumerate() {
        if let Some(list) = wanted.number(open.tag).and_then(|n| by_tag.get_mut(n)) {
            list.push(i);
        }
    }
    for edge in edges {
        let block = super::input::Block::new(edge.lines.clone());
        let chunk = Chunk::scan(block, &chunk::How { keep: 0, clock, source: edge.source, shards: false });
        for (tag, start) in &chunk.index {
            for i in wanted.number(*tag).and_then(|n| by_tag.get(n)).into_iter().flatten() {
                if let Some(open) = open.get_mut(*i).filter(|o| o.place.source != edge.source) {
                    open.take(chunk.text(*start));
                }
            }
        }
    }
    settle(&open, std::slice::from_mut(into));
}
