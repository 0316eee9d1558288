//! Sources → account, denials, and the rest; in parallel.
//!
//! Each source is read in rounds of chunks. The chunks of a round are read and scanned side by side ([`super::chunk`]);
//! then its denials are joined with their events, again side by side ([`super::join`]). Everything that is found can be
//! added in any order ([`super::denial`]) and a round is the same however many processors there are, so the result
//! does not depend on them. Logs that are short are read chunk by chunk by one thread, each chunk joined while it is still in
//! the processor's cache: that is sooner done than others are awake. Only where records are mixed, in rounds as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use rayon::prelude::*;

use super::changes::Changes;
use super::chunk::{Chunk, How};
use super::collect::Collected;
use super::denial::Seen;
use super::filter::Filter;
use super::input::{self, Block, Blocks, InputError, Job, Source};
use super::join::{self, Edges, Joiner, Open};
use super::list::Denials;
use super::refusal::Refusal;
use super::tally::{Place, SetAside, Tally};
use super::time::Clock;

/// How a log is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many of the lines that could not be read are kept to be shown.
    pub keep_set_aside: usize,
    /// How wall clocks are read.
    pub clock: Clock,
    /// Which denials are wanted.
    pub filter: Filter,
}

impl Default for Options {
    fn default() -> Self {
        Options { keep_set_aside: 10, clock: Clock::default(), filter: Filter::default() }
    }
}

/// What was found in all sources.
#[derive(Debug, Default)]
pub struct Log {
    /// The sources, in the order that [`Place::source`] counts them: that of their names.
    pub sources: Vec<String>,
    /// The account of all lines.
    pub tally: Tally,
    /// Distinct denials.
    pub denials: Denials,
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

impl Log {
    /// Leaves out the denials whose contexts or class `filter` does not want.
    pub fn leave_out(&mut self, filter: &Filter) {
        let tally = &mut self.tally;
        self.denials.retain(|denial| {
            let key = &denial.key;
            let wanted = filter.key(&key.source, &key.target, key.class.as_str());
            if !wanted {
                let records = denial.seen.counts.records();
                tally.denials = tally.denials.saturating_sub(records);
                tally.left_out = tally.left_out.saturating_add(records);
            }
            wanted
        });
    }

    /// Puts logs together. The sources come in the order of their names, and those of one name are one.
    pub fn merged(logs: Vec<Log>, keep_set_aside: usize) -> Log {
        let mut all = Log { set_aside: SetAside::new(keep_set_aside), ..Log::default() };
        let names: BTreeSet<&String> = logs.iter().flat_map(|log| &log.sources).collect();
        all.sources = names.into_iter().cloned().collect();
        for mut log in logs {
            let numbers: Vec<u32> = log
                .sources
                .iter()
                .map(|name| u32::try_from(all.sources.partition_point(|n| n < name)).unwrap_or(u32::MAX))
                .collect();
            let place = |place: Place| {
                let at = usize::try_from(place.source).unwrap_or(usize::MAX);
                Place { source: numbers.get(at).copied().unwrap_or(u32::MAX), ..place }
            };
            log.denials.each(|denial| denial.seen.place = denial.seen.place.map(place));
            for seen in log.refusals.values_mut() {
                seen.place = seen.place.map(place);
            }
            log.changes.shift(place);
            log.set_aside.shift(place);
            log.sources.clone_from(&all.sources);
            all.errors.append(&mut log.errors);
            all.add(&log);
        }
        all
    }

    /// Adds what another log of the same sources holds.
    pub fn add(&mut self, other: &Log) {
        self.sources.clone_from(&other.sources);
        self.tally.add(&other.tally);
        self.denials.merge(&other.denials);
        for (refusal, seen) in &other.refusals {
            self.refusals.entry(refusal.clone()).or_default().merge(seen);
        }
        self.changes.merge(other.changes.clone());
        self.lost = self.lost.saturating_add(other.lost);
        self.set_aside.limit = self.set_aside.limit.max(other.set_aside.limit);
        self.set_aside.merge(other.set_aside.clone());
    }
}

/// Chunks of a round.
const ROUND: usize = 16;

/// Files that together are no longer are read by one thread.
const SHORT: u64 = 32 << 20;

/// Chunks that stay at hand for the events of the next round.
const BEHIND: usize = 4;

/// Most of a source's beginning (and of its end) that is kept for events across sources, and of all together.
const EDGE: usize = 64 << 10;
const EDGES: usize = 8 << 20;

/// Reads all `sources`. `stdin` is what stands for standard input.
pub fn read(sources: &[Source], stdin: Option<Box<dyn Read + Send>>, options: Options) -> Log {
    let options = &options;
    let mut sources = sources.to_vec();
    sources.sort_by_key(Source::name);
    let stdin = std::sync::Mutex::new(stdin);
    let take_stdin = |source: &Source| match source {
        Source::Stdin => stdin.lock().ok().and_then(|mut s| s.take()),
        Source::File(_) => None,
    };
    let edge = match sources.len() {
        0 | 1 => 0,
        n => EDGE.min(EDGES / n),
    };
    let (round, lanes) =
        if are_short(&sources) { (1, 1) } else { (ROUND, rayon::current_num_threads().clamp(1, ROUND)) };
    let one = |(index, source): (usize, &Source)| {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        match input::open(source, take_stdin(source)) {
            Ok(blocks) => read_source(source, blocks, round, Reader::new(number, options, lanes, edge)),
            Err(error) => {
                let mut done = Done::new(options);
                done.found.errors.push((number, error));
                done
            }
        }
    };
    let all = if lanes == 1 {
        sources.iter().enumerate().map(one).reduce(Done::merged).unwrap_or_else(|| Done::new(options))
    } else {
        sources.par_iter().enumerate().map(one).reduce(|| Done::new(options), Done::merged)
    };
    let Done { mut found, open, mut edges } = all;
    edges.sort_by_key(|edge| edge.source);
    join::across(open, &edges, &mut found, &options.clock);
    found.into_log(sources.iter().map(Source::name).collect())
}

/// Whether these are files, and not much to read. (What is packed is longer than it looks.)
fn are_short(sources: &[Source]) -> bool {
    let length = |source: &Source| match source {
        Source::Stdin => None,
        Source::File(path) => {
            std::fs::metadata(path).ok().filter(|about| about.is_file()).map(|about| about.len())
        }
    };
    let all = sources.iter().map(length).try_fold(0u64, |all, length| Some(all.saturating_add(length?)));
    all.is_some_and(|all| all <= SHORT)
}

/// What was found in some sources.
struct Done {
    found: Collected,
    open: Vec<Open>,
    edges: Vec<Edges>,
}

impl Done {
    fn new(options: &Options) -> Self {
        Done { found: Collected::new(options), open: Vec::new(), edges: Vec::new() }
    }

    fn merged(mut self, other: Done) -> Done {
        self.found.merge(other.found);
        self.open.extend(other.open);
        self.edges.extend(other.edges);
        self
    }
}

fn read_source(source: &Source, mut blocks: Blocks, round: usize, mut reader: Reader) -> Done {
    let number = reader.source;
    let mut error = None;
    let mut pool = Vec::new();
    let mut jobs = next_jobs(&mut blocks, round, &mut pool, &mut error);
    while !jobs.is_empty() {
        let mut read;
        if reader.lanes.len() == 1 {
            read = reader.load_here(jobs);
            if round < ROUND && read.iter().flatten().any(Chunk::is_mixed) {
                // Records may be far from their denials: a round as long as that of any other log.
                let more = next_jobs(&mut blocks, ROUND - round, &mut pool, &mut error);
                read.append(&mut reader.load_here(more));
            }
            jobs = next_jobs(&mut blocks, round, &mut pool, &mut error);
        } else {
            let spare = std::mem::take(&mut reader.spare);
            // A stream is read on while what was read is scanned; each part of a file is read by whoever scans it.
            let next = || next_jobs(&mut blocks, round, &mut pool, &mut error);
            (read, jobs) = rayon::join(|| reader.load(jobs, spare), next);
        }
        if let Some(failed) = reader.take(read) {
            error = Some(failed);
            break;
        }
        if matches!(blocks, Blocks::Stream(_)) {
            pool.append(&mut reader.spare);
        }
    }
    let lines = reader.lines;
    let mut done = reader.finish();
    if let Some(error) = error {
        done.found.errors.push((number, InputError::Read { source_name: source.name(), lines, error }));
    }
    done
}

/// The blocks of a round, or fewer at the end.
fn next_jobs(
    blocks: &mut Blocks,
    round: usize,
    pool: &mut Vec<Vec<u8>>,
    error: &mut Option<io::Error>,
) -> Vec<Job> {
    let mut jobs = Vec::new();
    while jobs.len() < round {
        match blocks.next_job(pool) {
            Ok(Some(job)) => jobs.push(job),
            Ok(None) => break,
            Err(e) => {
                *error = Some(e);
                break;
            }
        }
    }
    jobs
}

/// Reads one source, round by round.
pub(super) struct Reader {
    source: u32,
    options: Options,
    edge: usize,
    lanes: Vec<Collected>,
    joiner: Joiner,
    /// The last chunks, each with the number of its first line.
    behind: Vec<(u64, Chunk)>,
    /// Lines read.
    lines: u64,
    /// Memory of chunks that are done with.
    spare: Vec<Vec<u8>>,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Reader {
    pub(super) fn new(source: u32, options: &Options, lanes: usize, edge: usize) -> Self {
        Reader {
            source,
            options: options.clone(),
            edge,
            lanes: (0..lanes).map(|_| Collected::new(options)).collect(),
            joiner: Joiner::default(),
            behind: Vec::new(),
            lines: 0,
            spare: Vec::new(),
            head: Vec::new(),
            tail: Vec::new(),
        }
    }

    fn load(&self, jobs: Vec<Job>, spare: Vec<Vec<u8>>) -> Vec<io::Result<Chunk>> {
        let Options { keep_set_aside: keep, clock, .. } = &self.options;
        let how = How { keep: *keep, clock, source: self.source, shards: self.lanes.len() > 1 };
        let buffers = spare.into_iter().chain(std::iter::repeat_with(Vec::new));
        let work: Vec<(Job, Vec<u8>)> = jobs.into_iter().zip(buffers).collect();
        let load = |(job, buffer): (Job, Vec<u8>)| Ok(Chunk::scan(job.load(buffer)?, &how));
        if self.lanes.len() > 1 {
            work.into_par_iter().map(load).collect()
        } else {
            work.into_iter().map(load).collect()
        }
    }

    fn load_here(&mut self, jobs: Vec<Job>) -> Vec<io::Result<Chunk>> {
        let rest = self.spare.len().saturating_sub(jobs.len());
        let spare = self.spare.split_off(rest);
        self.load(jobs, spare)
    }

    /// Takes lines that follow what was read.
    pub(super) fn feed(&mut self, bytes: Vec<u8>) {
        let chunks = self.load(vec![Job::Read(Block::new(bytes))], Vec::new());
        let _ = self.take(chunks);
    }

    /// Takes a round; the error that broke it off.
    fn take(&mut self, chunks: Vec<io::Result<Chunk>>) -> Option<io::Error> {
        let mut new: Vec<(u64, Chunk)> = Vec::new();
        let mut failed = None;
        for chunk in chunks {
            let mut chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            let first = self.lines + 1;
            self.lines += chunk.tally.lines;
            self.keep_edges(&chunk);
            let shift = |place: Place| Place { line: place.line + first, ..place };
            chunk.set_aside.shift(shift);
            chunk.changes.shift(shift);
            if let Some(lane) = self.lanes.first_mut() {
                lane.chunk(&mut chunk);
            }
            new.push((first, chunk));
        }
        self.joiner.round(&self.behind, &new, self.source, &mut self.lanes);
        let mut all = std::mem::take(&mut self.behind);
        all.append(&mut new);
        let keep = all.split_off(all.len().saturating_sub(BEHIND));
        self.behind = keep;
        self.spare.extend(all.into_iter().map(|(_, chunk)| chunk.block.into_buffer()));
        failed
    }

    fn keep_edges(&mut self, chunk: &Chunk) {
        if self.edge == 0 {
            return;
        }
        let mut text = chunk.block.text();
        if self.head.len() < self.edge {
            let room = self.edge - self.head.len();
            let cut = text.get(..room.min(text.len())).unwrap_or_default();
            let end = memchr::memrchr(b'\n', cut).map_or(0, |at| at + 1);
            self.head.extend_from_slice(text.get(..end).unwrap_or_default());
            text = text.get(end..).unwrap_or_default();
        }
        let text = text.get(text.len().saturating_sub(self.edge)..).unwrap_or_default();
        self.tail.extend_from_slice(text);
        let surplus = self.tail.len().saturating_sub(self.edge);
        self.tail.drain(..surplus);
    }

    /// Whether a denial waits for the rest of its event.
    pub(super) fn is_waiting(&self) -> bool {
        self.joiner.is_waiting()
    }

    fn finish(self) -> Done {
        let mut found =
            self.lanes.into_iter().reduce(Collected::merged).unwrap_or_else(|| Collected::new(&self.options));
        found.trim();
        let mut open = self.joiner.left();
        let mut edges = Vec::new();
        if self.edge == 0 {
            join::across(open, &[], &mut found, &self.options.clock);
            open = Vec::new();
        } else {
            // What begins in the middle of a line is no line.
            let from = memchr::memchr(b'\n', &self.tail).map_or(self.tail.len(), |at| at + 1);
            let mut lines = self.head;
            if lines.last().is_some_and(|b| *b != b'\n') {
                lines.push(b'\n');
            }
            lines.extend_from_slice(self.tail.get(from..).unwrap_or_default());
            edges.push(Edges { source: self.source, lines });
        }
        Done { found, open, edges }
    }

    /// Takes the denials that wait as they are.
    pub(super) fn settle(&mut self) {
        let open = std::mem::take(&mut self.joiner).left();
        if let Some(lane) = self.lanes.first_mut() {
            join::across(open, &[], lane, &self.options.clock);
        }
    }

    /// What was found since the last time.
    pub(super) fn drain(&mut self) -> Collected {
        let options = &self.options;
        let lanes = self.lanes.iter_mut().map(|lane| std::mem::replace(lane, Collected::new(options)));
        lanes.reduce(Collected::merged).unwrap_or_else(|| Collected::new(options))
    }
}
