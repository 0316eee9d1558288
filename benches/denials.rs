//! Reading speed: a log made here, of the shape of a busy server's (a fifth of the events are denials), through all
//! of `denials::read`.

use std::fmt::Write as _;
use std::io::Cursor;

use divan::counter::BytesCount;
use perms::denials::input::Source;
use perms::denials::{Options, read};

fn main() {
    divan::main();
}

/// A small generator of numbers (xorshift), so that every run reads the same log.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// About `lines` lines in events of SYSCALL, CWD, PATH, PROCTITLE, of which `percent` in a hundred begin with an AVC out
/// of `distinct` kinds.
fn log(lines: usize, percent: u64, distinct: u64) -> Vec<u8> {
    const ENRICHED: &str = "\x1dARCH=x86_64 SYSCALL=openat AUID=\"unset\" UID=\"www-data\" GID=\"www-data\"";
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut text = String::new();
    let mut written = 0;
    let mut serial = 1000u64;
    while written < lines {
        serial += 1;
        let id = format!("audit({}.{:03}:{serial})", 1_795_243_565 + serial / 100, serial % 1000);
        let pid = 300 + dice.below(30_000);
        if dice.below(100) < percent {
            let kind = dice.below(distinct);
            let permission = match kind % 5 {
                0 => "read",
                1 => "write",
                2 => "open",
                3 => "getattr",
                _ => "read open",
            };
            let _ = writeln!(
                text,
                "type=AVC msg={id}: avc:  denied  {{ {permission} }} for  pid={pid} comm=\"worker-{}\" name=\"f{}\" \
                 dev=\"vda\" ino={pid} scontext=system_u:system_r:app{}_t:s0 tcontext=system_u:object_r:data{}_t:s0 \
                 tclass=file permissive=0",
                kind % 9,
                dice.below(100_000),
                kind % 50,
                kind / 50,
            );
            written += 1;
        }
        let _ = writeln!(
            text,
            "type=SYSCALL msg={id}: arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=564d8601b2e4 a2=7fff397606e0 \
             a3=0 items=1 ppid=486 pid={pid} auid=4294967295 uid=33 gid=33 euid=33 suid=33 fsuid=33 egid=33 sgid=33 fsgid=33 \
             tty=(none) ses=4294967295 comm=\"worker\" exe=\"/usr/sbin/worker\" subj=system_u:system_r:app_t:s0 \
             key=(null){ENRICHED}\ntype=CWD msg={id}: cwd=\"/\"\ntype=PATH msg={id}: item=0 name=\"/srv/data/f{pid}\" \
             inode={pid} dev=fe:00 mode=0100644 ouid=0 ogid=0 rdev=00:00 obj=system_u:object_r:data_t:s0 nametype=NORMAL \
             cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\x1dOUID=\"root\" OGID=\"root\"\ntype=PROCTITLE msg={id}: \
             proctitle=6E67696E783A20776F726B65722070726F63657373"
        );
        written += 4;
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
