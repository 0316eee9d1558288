//! Reading speed: a log made here, of the shape of a busy server's (a fifth of the events are denials), through all
//! of `denials::read`.

use std::io::Cursor;

use divan::counter::BytesCount;
use perms::denials::input::Source;
use perms::denials::{Options, read};

#[path = "support/audit_log.rs"]
mod audit_log;

fn main() {
    divan::main();
}

/// About `lines` lines.
fn log(lines: usize, percent: u64, distinct: u64) -> Vec<u8> {
    let mut generator = audit_log::Generator::new(percent, distinct, 1);
    let mut text = String::new();
    let mut written = 0;
    while written < lines {
        written += generator.event(&mut text);
    }
    text.into_bytes()
}

fn bench(bencher: divan::Bencher<'_, '_>, percent: u64, distinct: u64) {
    let lines = std::env::var("BENCH_LINES").ok().and_then(|l| l.parse().ok()).unwrap_or(400_000);
    let bytes = log(lines, percent, distinct);
    bencher
        .counter(BytesCount::new(bytes.len()))
        .with_inputs(|| Box::new(Cursor::new(bytes.clone())))
        .bench_values(|reader| {
            let log = read(&[Source::Stdin], Some(reader), Options::default());
            assert_eq!(log.tally.sum(), log.tally.lines);
            log
        });
}

#[divan::bench(sample_count = 10)]
fn without_a_denial(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, 0, 1);
}

#[divan::bench(sample_count = 10)]
fn a_fifth_denied_50_kinds(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, 20, 50);
}

#[divan::bench(sample_count = 10)]
fn a_fifth_denied_5000_kinds(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, 20, 5000);
}

#[divan::bench(sample_count = 10)]
fn all_denied_5000_kinds(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, 100, 5000);
}
