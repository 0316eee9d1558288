//! How much memory logs take: as their distinct denials demand, however long they are, and however long a line is.
//!
//! A test binary of its own: what it measures is the whole process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::Path;

use clap::Parser as _;
use perms::cli::learn;
use perms::denials::input::Source;
use perms::denials::{Options, read};
use support::commands::Learn;

#[path = "../benches/support/audit_log.rs"]
mod audit_log;

const MIB: u64 = 1 << 20;

/// The most memory that this process had at once since the last [`anew`], in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The peak starts anew at what is in use.
fn anew() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

/// A log that is made as it is read.
struct Made {
    generator: audit_log::Generator,
    lines: u64,
    text: String,
    at: usize,
}

impl Made {
    fn new(lines: u64, percent: u64, distinct: u64) -> Made {
        Made { generator: audit_log::Generator::new(percent, distinct, 1), lines, text: String::new(), at: 0 }
    }
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            while self.text.len() < 1 << 14 && self.lines > 0 {
                let lines = u64::try_from(self.generator.event(&mut self.text)).unwrap();
                self.lines = self.lines.saturating_sub(lines);
            }
        }
        let mut rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let n = rest.read(buffer)?;
        self.at += n;
        Ok(n)
    }
}

fn cases() -> u64 {
    std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000)
}

/// One after the other: they measure the same process.
#[test]
fn memory_is_bounded_by_the_distinct_denials() {
    // A log three times as long with the same denials.
    let distinct = cases();
    let used: Vec<u64> = [5, 15]
        .map(|times| {
            let before = anew();
            let log = read(
                &[Source::Stdin],
                Some(Box::new(Made::new(distinct * times, 100, distinct))),
                Options::default(),
            );
            assert_eq!(log.tally.sum(), log.tally.lines);
            peak() - before
        })
        .into();
    eprintln!("{distinct} distinct: {used:?}");
    // Nothing new comes but more of the kinds of evidence that are kept.
    assert!(used.iter().all(|n| *n < 24 * MIB + distinct * 3000), "{used:?}");

    // A line of 100 MB, or of as much as is proportionate.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let length = distinct * 25_000;
    let (mut one, mut two) = (String::new(), String::new());
    let mut generator = audit_log::Generator::new(100, 10, 1);
    generator.event(&mut one);
    generator.event(&mut two);
    write!(two, "type=AVC msg=audit(1.000:1): avc:  denied").unwrap();
    file.write_all(one.as_bytes()).unwrap();
    std::io::copy(&mut std::io::repeat(b'A').take(length), &mut file).unwrap();
    file.write_all(b"\n").unwrap();
    file.write_all(two.as_bytes()).unwrap();
    let before = anew();
    let log = read(&[Source::File(file.path().to_owned())], None, Options::default());
    assert_eq!((log.tally.lines, log.tally.denials, log.tally.set_aside), (12, 2, 2));
    let used = peak() - before;
    assert!(used < 8 * MIB, "a line of {length} bytes took {used}");

    // The whole command, with a policy: each denial judged and replayed.
    let policy = "/etc/selinux/default/policy/policy.33";
    if !Path::new(policy).exists() {
        support::skip("needs a policy (selinux-policy-default)");
        return;
    }
    let args = Learn::try_parse_from(["learn", "--policy", policy]).unwrap().args;
    let before = anew();
    let log = Box::new(Made::new(distinct * 25, 100, distinct));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(learn::run(&args, &[], Some(log), &mut out, &mut err).unwrap(), 0);
    let used = peak() - before;
    eprintln!("{distinct} distinct, judged: {used}");
    assert!(String::from_utf8(out).unwrap().contains("Replayed"));
    // 64 MiB at 20,000.
    assert!(used < 32 * MIB + distinct * 1678, "{distinct} distinct took {used}");
}
