//! Any bytes are a log: every line is accounted for, and the same however the log is cut into sources and read.

#![no_main]

use std::io::{Cursor, Read};

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use perms::denials::input::Source;
use perms::denials::time::Clock;
use perms::denials::{Log, Options, read, record};

fn log(bytes: &[u8]) -> Log {
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(bytes.to_vec()));
    let clock = Clock { now: 1_795_262_400_000, zone: TimeZone::UTC };
    read(&[Source::Stdin], Some(stdin), Options { clock, ..Options::default() })
}

fuzz_target!(|bytes: &[u8]| {
    let whole = log(bytes);
    let lines = bytes.split(|b| *b == b'\n').count() - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
    assert_eq!(whole.tally.lines, lines as u64, "a line was lost");
    assert_eq!(whole.tally.sum(), whole.tally.lines, "a line is in no account");
    assert_eq!(whole.set_aside.by_code.values().sum::<u64>(), whole.tally.set_aside);
    let counted: u64 = whole.denials.values().map(|d| d.seen.counts.records()).sum();
    assert_eq!(counted, whole.tally.denials, "a denial was lost");
    // Each line by itself is what it is in company, but for a line end that is not there.
    let mut parts = perms::denials::tally::Tally::default();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        parts.add(&log(line).tally);
        let _ = record::line(line);
    }
    assert_eq!(parts, whole.tally);
});
