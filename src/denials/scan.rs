//! Sources → account, denials, and the rest; in parallel.
//!
//! Each source is read in blocks. Blocks are scanned side by side: every line is accounted for, denials are noted,
//! and the other records of events are indexed by event. Then, again side by side, each denial is joined with the
//! records of its event in its own block and the two next to it, and added to what is known. Everything added can be
//! added in any order ([`super::denial`]), so the result does not depend on the number of processors.

use std::collections::BTreeMap;
use std::io::{self, Read};

use rayon::prelude::*;

use super::collect::Collected;
use super::denial::{Denial, DenialKey, Seen};
use super::input::{self, Block, Blocks, InputError, Source};
use super::json;
use super::record::{self, EventId, Kind, Line, Record, TextLine};
use super::refusal::Refusal;
use super::tally::{Place, SetAside, Tally};
use crate::report::codes::log::{LONG_LINE, UNREAD_LINE};
use crate::selinux::module::Name;

/// How a log is read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many of the lines that could not be read are kept to be shown.
    pub keep_set_aside: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { keep_set_aside: 10 }
    }
}

/// What was found in all sources.
#[derive(Debug, Default)]
pub struct Log {
    /// The sources, in the order that [`Place::source`] counts them.
    pub sources: Vec<String>,
    /// The account of all lines.
    pub tally: Tally,
    /// Distinct denials.
    pub denials: BTreeMap<DenialKey, Denial>,
    /// Distinct SELINUX_ERR records.
    pub refusals: BTreeMap<Refusal, Seen>,
    /// What changed meanwhile.
    pub changes: Changes,
    /// How many lines say that records were lost or held back.
    pub lost: u64,
    /// Lines that could not be read.
    pub set_aside: SetAside,
    /// Sources that could not be read.
    pub errors: Vec<InputError>,
}

/// Changes of policy, mode and booleans in the time of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The policy was loaded.
    pub policy_loads: Seen,
    /// SELinux became permissive.
    pub permissive: Seen,
    /// SELinux became enforcing.
    pub enforcing: Seen,
    /// Booleans set, each with the last time and value.
    pub booleans: BTreeMap<Name, (Option<u64>, bool)>,
}

/// Reads all `sources`. `stdin` is what stands for standard input.
pub fn read(sources: &[Source], stdin: Option<Box<dyn Read + Send>>, options: Options) -> Log {
    let stdin = std::sync::Mutex::new(stdin);
    let take_stdin = |source: &Source| match source {
        Source::Stdin => stdin.lock().ok().and_then(|mut s| s.take()),
        Source::File(_) => None,
    };
    let collected = sources
        .par_iter()
        .enumerate()
        .map(|(index, source)| {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            match input::open(source, take_stdin(source)) {
                Ok(blocks) => read_source(source, number, blocks, options),
                Err(error) => {
                    let mut c = Collected::new(options.keep_set_aside);
                    c.errors.push((number, error));
                    c
                }
            }
        })
        .reduce(|| Collected::new(options.keep_set_aside), Collected::merged);
    collected.into_log(sources.iter().map(Source::name).collect())
}

/// Most records of an event that are looked at. The kernel writes a few dozen at the most; a log that was made up
/// might hold a million of one event, and a million denials of it.
const MOST_OF_EVENT: usize = 100;

/// A block that was scanned, and not yet joined.
struct Scanned {
    source: u32,
    block: Block,
    /// Lines made from JSON; offsets past the block's end point here.
    extra: Vec<u8>,
    /// Denials and SELINUX_ERR records.
    main: Vec<Main>,
    /// Other records of events, sorted by event.
    index: Vec<(EventId, Span)>,
    /// The account, and what needs no joining.
    rest: Collected,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
struct Main {
    span: Span,
    line: u64,
    ended: bool,
}

impl Scanned {
    fn text(&self, span: Span) -> &[u8] {
        let n = self.block.bytes.len();
        let whole = if span.start < n {
            self.block.bytes.get(span.start..span.end)
        } else {
            self.extra.get(span.start - n..span.end - n)
        };
        whole.unwrap_or_default()
    }

    /// The other records of event `id` in this block, the first [`MOST_OF_EVENT`].
    fn others(&self, id: EventId) -> impl Iterator<Item = Record<'_>> {
        let from = self.index.partition_point(|(other, _)| *other < id);
        self.index
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(move |(other, _)| *other == id)
            .take(MOST_OF_EVENT)
            .filter_map(|(_, span)| match record::line(self.text(*span)) {
                Line::Record(r) => Some(r),
                _ => None,
            })
    }
}

fn read_source(source: &Source, number: u32, mut blocks: Blocks, options: Options) -> Collected {
    let lanes = rayon::current_num_threads().max(1);
    let mut lane: Vec<Collected> = (0..lanes).map(|_| Collected::new(options.keep_set_aside)).collect();
    let mut error = None;
    // The window: the block before (joined already), the blocks to join, the block after (not joined yet).
    let mut window: Vec<Scanned> = Vec::new();
    let mut joined = 0;
    let mut batch = next_batch(&mut blocks, lanes, &mut error);
    while !batch.is_empty() {
        let (scanned, next) = rayon::join(
            || batch.into_par_iter().map(|block| scan(block, number, options)).collect::<Vec<_>>(),
            || next_batch(&mut blocks, lanes, &mut error),
        );
        batch = next;
        window.extend(scanned);
        let until = if batch.is_empty() { window.len() } else { window.len().saturating_sub(1) };
        let window_ref = window.as_slice();
        lane.par_iter_mut().enumerate().for_each(|(i, lane)| {
            for at in (joined..until).skip(i).step_by(lanes) {
                join(window_ref, at, lane);
            }
        });
        for done in window.get_mut(joined..until).unwrap_or_default() {
            let rest = std::mem::replace(&mut done.rest, Collected::new(0));
            if let Some(first) = lane.first_mut() {
                first.merge(rest);
            }
        }
        let drop = until.saturating_sub(1);
        window.drain(..drop.min(window.len()));
        joined = until - drop;
    }
    let mut all =
        lane.into_iter().reduce(Collected::merged).unwrap_or_else(|| Collected::new(options.keep_set_aside));
    if let Some(error) = error {
        let lines = blocks.lines();
        all.errors.push((number, InputError::Read { source_name: source.name(), lines, error }));
    }
    all
}

/// As many blocks as there are processors, or fewer at the end.
fn next_batch(blocks: &mut Blocks, count: usize, error: &mut Option<io::Error>) -> Vec<Block> {
    let mut batch = Vec::new();
    while batch.len() < count {
        match blocks.next_block() {
            Ok(Some(block)) => batch.push(block),
            Ok(None) => break,
            Err(e) => {
                *error = Some(e);
                break;
            }
        }
    }
    batch
}

/// Accounts for every line of a block.
fn scan(block: Block, source: u32, options: Options) -> Scanned {
    let mut s = Scanned {
        source,
        block,
        extra: Vec::new(),
        main: Vec::new(),
        index: Vec::new(),
        rest: Collected::new(options.keep_set_aside),
    };
    let bytes = std::mem::take(&mut s.block.bytes);
    let mut number = s.block.first_line;
    let mut start = 0;
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let (len, ended) = match memchr::memchr(b'\n', rest) {
            Some(at) => (at, true),
            None => (rest.len(), false),
        };
        let span = Span { start, end: start + len };
        one_line(
            &mut s,
            rest.get(..len).unwrap_or_default(),
            bytes.len(),
            Main { span, line: number, ended },
        );
        number += 1;
        start += len + 1;
    }
    if let Some(length) = s.block.long_line {
        s.rest.tally.lines += 1;
        s.rest.put_aside(Place { source, line: number }, &LONG_LINE, || format!("a line of {length} bytes"));
    }
    s.block.bytes = bytes;
    if !s.index.is_sorted_by_key(|(id, _)| *id) {
        s.index.sort_by_key(|(id, _)| *id);
    }
    s
}

fn one_line(s: &mut Scanned, text: &[u8], block_length: usize, mut main: Main) {
    s.rest.tally.lines += 1;
    let place = Place { source: s.source, line: main.line };
    if text.len() > input::LONGEST_LINE {
        let length = text.len();
        s.rest.put_aside(place, &LONG_LINE, || format!("a line of {length} bytes"));
        return;
    }
    let made;
    let text = if text.first() == Some(&b'{') {
        match json::to_line(text) {
            json::Json::Record(line) => {
                made = line;
                let start = block_length + s.extra.len();
                s.extra.extend_from_slice(&made);
                main.span = Span { start, end: start + made.len() };
                made.as_slice()
            }
            json::Json::Other => {
                s.rest.tally.text += 1;
                return;
            }
            json::Json::Bad => text,
        }
    } else {
        text
    };
    match record::line(text) {
        Line::Separator => s.rest.tally.separators += 1,
        Line::Text(kind) => {
            s.rest.tally.text += 1;
            s.rest.lost += u64::from(kind == TextLine::Lost);
        }
        Line::Unread(reason) => s.rest.put_aside(place, &UNREAD_LINE, || reason.to_owned()),
        Line::Record(record) => match record.kind {
            Kind::Avc | Kind::UserAvc | Kind::SelinuxErr => s.main.push(main),
            Kind::Syscall
            | Kind::Path
            | Kind::Cwd
            | Kind::Proctitle
            | Kind::Sockaddr
            | Kind::Execve
            | Kind::AvcPath => {
                s.rest.tally.other_records += 1;
                if let Some(id) = record.id {
                    s.index.push((id, main.span));
                }
            }
            Kind::PolicyLoad | Kind::Status | Kind::Boolean => s.rest.change(&record, place),
            Kind::Ipe => s.rest.tally.other_modules += 1,
            Kind::Other => s.rest.tally.other_records += 1,
        },
    }
}

/// Joins the denials of `window[at]` with their events and adds them to `lane`.
fn join(window: &[Scanned], at: usize, lane: &mut Collected) {
    let Some(this) = window.get(at) else { return };
    let before = at.checked_sub(1).and_then(|i| window.get(i));
    let after = window.get(at + 1);
    let mut others: Vec<Record<'_>> = Vec::new();
    for main in &this.main {
        let Line::Record(record) = record::line(this.text(main.span)) else { continue };
        others.clear();
        if let Some(id) = record.id
            && record.kind == Kind::Avc
        {
            others.extend(this.others(id));
            // The system call comes first and the command line last; without both, part of the event may be in a
            // neighbour.
            let has = |kind| others.iter().any(|r| r.kind == kind);
            if !has(Kind::Syscall) || !has(Kind::Proctitle) {
                for neighbour in [before, after].into_iter().flatten() {
                    others.extend(neighbour.others(id));
                }
            }
        }
        let place = Place { source: this.source, line: main.line };
        lane.main(&record, &others, place, main.ended);
    }
}
