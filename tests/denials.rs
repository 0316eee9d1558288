//! The reader of audit logs against inputs that nobody would write by hand: mutated real lines, hostile values, logs
//! cut and split in every way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write as _};
use std::path::PathBuf;
use std::sync::LazyLock;

use perms::denials::input::{self, Source};
use perms::denials::{Log, Options, read};
use perms::learn;
use proptest::prelude::*;

fn read_bytes(bytes: &[u8]) -> Log {
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(bytes.to_vec()));
    read(&[Source::Stdin], Some(stdin), Options::default())
}

fn look(format: perms::report::Format) -> learn::text::Look {
    learn::text::Look { format, paint: perms::report::style::Paint::PLAIN }
}

/// Rules as text.
fn rules(log: &Log) -> BTreeSet<String> {
    let lesson = learn::learn(log, &[], &learn::Options::default());
    let sets = lesson.groups.iter().flat_map(|g| [&g.te, &g.cil]);
    sets.flat_map(|set| set.rules.iter())
        .map(|(rule, grant)| format!("{rule:?} {:?} {:?}", grant.permissions, grant.ioctls))
        .collect()
}

/// Everything that is told of a log, as text.
fn told(log: &Log) -> String {
    format!("{:?}\n{:?}\n{:?}\n{:?}\n{:?}", log.tally, log.denials, log.refusals, log.changes, log.set_aside)
}

/// Lines of all samples that are not compressed.
static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut lines = Vec::new();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir("audit-samples").unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    for folder in folders {
        let bytes = std::fs::read(folder.join("log")).unwrap_or_default();
        lines.extend(bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec));
    }
    assert!(lines.len() > 1000);
    lines
});

#[derive(Debug, Clone)]
enum Mutation {
    Set(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Cut(usize),
    Double(usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = 0usize..2000;
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        prop::sample::select(vec![
            b" scontext=a:b:c_t:s0 tcontext=a:b:d_t:s0 tclass=file".to_vec(),
            b"\"".to_vec(),
            b"'".to_vec(),
            b"\x1d".to_vec(),
            b"{ read }".to_vec(),
            b"avc:  denied  ".to_vec(),
            b"msg='".to_vec(),
            b"\n".to_vec(),
            b"=".to_vec(),
            "é→".as_bytes().to_vec(),
        ]),
    ];
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(a, b)| Mutation::Set(a, b)),
        (at.clone(), 1usize..60).prop_map(|(a, n)| Mutation::Remove(a, n)),
        (at.clone(), piece).prop_map(|(a, p)| Mutation::Insert(a, p)),
        at.clone().prop_map(Mutation::Cut),
        (at, 1usize..200).prop_map(|(a, n)| Mutation::Double(a, n)),
    ]
}

fn mutate(line: &mut Vec<u8>, mutation: &Mutation) {
    let n = line.len();
    let place = |at: usize| if n == 0 { 0 } else { at % n };
    match mutation {
        Mutation::Set(at, b) => {
            if n > 0 {
                line[place(*at)] = *b;
            }
        }
        Mutation::Remove(at, len) => {
            let from = place(*at);
            line.drain(from..(from + len).min(n));
        }
        Mutation::Insert(at, piece) => {
            let at = place(*at);
            line.splice(at..at, piece.iter().copied());
        }
        Mutation::Cut(at) => line.truncate(place(*at)),
        Mutation::Double(at, len) => {
            let from = place(*at);
            let piece = line[from..(from + len).min(n)].to_vec();
            line.splice(from..from, piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens to a log, nothing panics, every line is accounted for, and every module that comes of it
    /// holds nothing but names, numbers and our own words.
    #[test]
    fn mutated_logs_are_read_to_the_last_line(
        start in 0usize..100_000,
        count in 1usize..30,
        mutations in prop::collection::vec((0usize..30, mutation()), 0..12),
        end in any::<bool>(),
    ) {
        let from = start % LINES.len();
        let mut lines: Vec<Vec<u8>> = LINES[from..(from + count).min(LINES.len())].to_vec();
        for (line, mutation) in &mutations {
            let n = lines.len();
            mutate(&mut lines[line % n], mutation);
        }
        let mut bytes = lines.join(&b'\n');
        if end {
            bytes.push(b'\n');
        }
        let expected = bytes.split(|b| *b == b'\n').count() - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
        let log = read_bytes(&bytes);
        prop_assert_eq!(log.tally.lines, expected as u64);
        prop_assert_eq!(log.tally.sum(), log.tally.lines);
        prop_assert_eq!(log.set_aside.by_code.values().sum::<u64>(), log.tally.set_aside);
        let options = learn::Options { xperms: true, ..Default::default() };
        let lesson = learn::learn(&log, &[], &options);
        for group in &lesson.groups {
            for file in learn::module::files(&lesson, group, &options) {
                for line in file.text.lines().filter(|l| !l.starts_with(['#', ';']) || file.name.ends_with(".cil")) {
                    let fine = |c: char| c.is_ascii_alphanumeric() || " \t_-.;:{}(),`".contains(c);
                    prop_assert!(line.chars().all(fine), "{}: {}", file.name, line);
                }
                prop_assert!(file.text.is_ascii());
            }
        }
        let mut out = Vec::new();
        for group in &lesson.groups {
            learn::text::group(&mut out, group, &[], look(perms::report::Format::Human)).unwrap();
            for learned in &group.denials {
                learn::why::denial(&mut out, &lesson, learned, look(perms::report::Format::Plain)).unwrap();
            }
        }
        let text = String::from_utf8(out).unwrap();
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "a control character reaches the terminal");
    }
}

/// A value as the kernel writes it.
fn kernel_encoded(value: &[u8]) -> String {
    if value.iter().any(|b| *b == b'"' || *b < 0x21 || *b > 0x7e) {
        value.iter().map(|b| format!("{b:02X}")).collect()
    } else {
        format!("\"{}\"", String::from_utf8_lossy(value))
    }
}

/// Values that try to look like structure.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>().prop_filter("no line end", |b| *b != b'\n'), 0..10),
        prop::sample::select(
            [
                " ", "\"", "'", "\x1d", "\x1dA=", "=", "{ execmod entrypoint }", "} { ", "granted", "avc:  denied  { reboot } for ",
                " scontext=a:b:evil_t:s0 ", "tcontext=a:b:shadow_t:s0 ", "tclass=process ", "permissive=1 ", "permissive=0'",
                "scontext=a:b:evil_t:s0 tcontext=a:b:shadow_t:s0 tclass=process permissive=1 exe=\"/x\" sauid=0",
                "scontext=a:b:evil_t:s0 tcontext=a:b:shadow_t:s0 tclass=file\x1dUID=\"root\"",
                "scontext=a:b:evil_t:s0 tcontext=a:b:shadow_t:s0 tclass=file'\x1d",
                "ioctlcmd=0x1 ", "msg='", "type=AVC msg=audit(1.000:1): ", "trawcon=x ", "apparmor=",
            ]
            .map(|s| s.as_bytes().to_vec())
            .to_vec()
        ),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

const TRUE: &str =
    "scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:data_t:s0 tclass=file permissive=0";

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// What a program or a file is called changes no rule: not in the kernel's own form, not as `ausearch -i` prints
    /// it, not in what an object manager wrote (which may at worst be set aside).
    #[test]
    fn no_untrusted_value_changes_the_rules(comm in hostile(), name in hostile(), exe in hostile(), line in hostile()) {
        let plain = format!("type=AVC msg=audit(1.000:1): avc:  denied  {{ ioctl }} for  pid=1 ioctlcmd=0x5401 {TRUE}\n");
        let expected = rules(&read_bytes(plain.as_bytes()));
        prop_assert_eq!(expected.len(), 1);

        let raw = format!(
            "type=AVC msg=audit(1.000:1): avc:  denied  {{ ioctl }} for  pid=1 comm={} path={} dev=\"vda\" ino=1 \
             ioctlcmd=0x5401 {TRUE}\ntype=SYSCALL msg=audit(1.000:1): arch=c000003e syscall=16 success=no exit=-13 uid=0 \
             comm={0} exe={} key=(null)\ntype=PROCTITLE msg=audit(1.000:1): proctitle={}\n",
            kernel_encoded(&comm), kernel_encoded(&name), kernel_encoded(&exe), kernel_encoded(&line),
        );
        let log = read_bytes(raw.as_bytes());
        prop_assert_eq!(log.tally.denials, 1);
        prop_assert_eq!(&rules(&log), &expected);

        let mut interpreted = b"type=AVC msg=audit(11/21/26 06:49:56.744:2285) : avc:  denied  { ioctl } for  pid=1 comm=".to_vec();
        interpreted.extend(&comm);
        interpreted.extend(b" path=");
        interpreted.extend(&name);
        interpreted.extend(format!(" dev=\"vda\" ino=1 ioctlcmd=0x5401 {TRUE} \n").bytes());
        let log = read_bytes(&interpreted);
        prop_assert_eq!(log.tally.denials, 1);
        prop_assert_eq!(&rules(&log), &expected);

        let mut user = b"type=USER_AVC msg=audit(1.000:1): pid=1 uid=0 auid=1 ses=1 subj=a:b:c:s0 msg='avc:  denied  { ioctl } for uid=1 cmdline=\"".to_vec();
        user.extend(&line);
        user.extend(format!("\" function=\"f\" {TRUE}  exe=\"/usr/lib/systemd/systemd\" sauid=0 hostname=? addr=? terminal=?'\n").bytes());
        let log = read_bytes(&user);
        // No ioctl command is believed here.
        let expected: BTreeSet<String> = expected.iter().map(|r| r.replace("21505", "")).collect();
        let got = rules(&log);
        prop_assert!(got == expected || (got.is_empty() && log.tally.set_aside == 1), "{:?}", got);
    }
}

/// A real log, bigger than a block, with an event across the border.
fn long_log() -> Vec<u8> {
    let sample = std::fs::File::open("audit-samples/probe-daemons/log.gz").unwrap();
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(sample).read_to_end(&mut bytes).unwrap();
    bytes.repeat(4)
}

/// How often each line of the samples is changed; PERMS_CASES raises it.
fn rounds() -> usize {
    std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(14)
}

/// A line changed in the way that `round` tells, at a place that `dice` tells.
fn changed(line: &[u8], round: usize, dice: &mut u64) -> Vec<u8> {
    let mut below = |n: usize| {
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        usize::try_from(*dice % u64::try_from(n.max(1)).unwrap()).unwrap()
    };
    let mut line = line.to_vec();
    let at = below(line.len() + 1);
    let insert = |line: &mut Vec<u8>, piece: &[u8]| drop(line.splice(at..at, piece.iter().copied()));
    match round % 14 {
        0 => line.truncate(at),
        1 => drop(line.drain(..at)),
        2 => line.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << below(8)),
        3 => insert(&mut line, b"\0"),
        4 => insert(&mut line, b"\xff\xc0\xaf"),
        5 => insert(&mut line, b"name=0A747970653D415643"),
        6 => insert(&mut line, b"\ntype=AVC "),
        // A field twice.
        7 => {
            let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
            let double = [b" ", fields[below(fields.len())]].concat();
            insert(&mut line, &double);
        }
        8 => {
            let end = (at + below(60)).min(line.len());
            line.drain(at..end);
        }
        9 => insert(&mut line, b"\""),
        10 => insert(&mut line, b"\x1d"),
        11 => insert(&mut line, b" scontext=a:b:c_t:s0 tcontext=a:b:d_t:s0 tclass=file"),
        12 => insert(&mut line, b"}"),
        // As long as no kernel's; now and then longer than what is read.
        _ => insert(&mut line, &b"A".repeat(if below(400) == 0 { input::LONGEST_LINE } else { 10_000 })),
    }
    line
}

/// Every line of every sample, changed in every way: each is in the account once, with a reason where it was set
/// aside; and a summary has the same account.
#[test]
fn every_line_of_the_samples_changed_in_every_way_is_accounted_for() {
    let mut dice = 0x9e37_79b9_7f4a_7c15;
    for round in 0..rounds() {
        // Some lines together, as a log has them.
        for lines in LINES.chunks(64) {
            let mut bytes = Vec::new();
            for line in lines {
                bytes.extend(changed(line, round, &mut dice));
                bytes.push(b'\n');
            }
            let expected = u64::try_from(bytes.iter().filter(|b| **b == b'\n').count()).unwrap();
            let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(bytes));
            let options = Options { keep_set_aside: usize::MAX, ..Options::default() };
            let log = read(&[Source::Stdin], Some(stdin), options);
            assert_eq!(log.tally.lines, expected);
            assert_eq!(log.tally.sum(), expected);
            assert_eq!(log.set_aside.by_code.values().sum::<u64>(), log.tally.set_aside);
            assert_eq!(u64::try_from(log.set_aside.lines.len()).unwrap(), log.tally.set_aside);
            assert!(log.set_aside.lines.values().all(|reason| !reason.text.is_empty()));
            let mut summary = Vec::new();
            perms::denials::summary::write(&log, "", &mut summary).unwrap();
            let (again, errors) = perms::denials::summary::read("s", summary.as_slice(), usize::MAX);
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(again.tally, log.tally);
            assert_eq!(again.set_aside.by_code, log.set_aside.by_code);
        }
    }
}

#[test]
fn the_number_of_processors_and_the_cutting_change_nothing() {
    let bytes = long_log();
    assert!(bytes.len() > 8 * input::CHUNK);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = pool(1).install(|| told(&read_bytes(&bytes)));
    for threads in [2, 3, 7] {
        assert!(pool(threads).install(|| told(&read_bytes(&bytes))) == one, "{threads} threads");
    }
    // A file that is short is read chunk by chunk.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.log");
    std::fs::write(&file, &bytes).unwrap();
    assert!(told(&read(&[Source::File(file)], None, Options::default())) == one, "a file");
}

#[test]
fn files_together_are_as_one_and_compression_is_found_by_content() {
    let bytes = std::fs::read("audit-samples/nginx-content/log").unwrap();
    let half = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(19).unwrap().0 + 1;
    let dir = tempfile::tempdir().unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&bytes[..half]).unwrap();
    std::fs::write(dir.path().join("audit.log.2"), gz.finish().unwrap()).unwrap();
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(&bytes[half..]).unwrap();
    std::fs::write(dir.path().join("audit.log.1.txt"), bz.finish().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("endless")).unwrap();
    let (sources, errors) = input::sources(&[dir.path().to_path_buf()]);
    assert!(errors.is_empty() && sources.len() == 2, "links in a folder are not followed");
    let parts = read(&sources, None, Options::default());
    let whole = read_bytes(&bytes);
    assert_eq!(parts.tally, whole.tally);
    assert_eq!(rules(&parts), rules(&whole));
}

#[test]
fn an_event_across_blocks_is_joined() {
    let avc = "type=AVC msg=audit(1.000:5): avc:  denied  { read } for  pid=1 comm=\"a\" name=\"x\" dev=\"vda\" ino=7 \
               scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file permissive=0\n";
    let rest = "type=SYSCALL msg=audit(1.000:5): arch=c000003e syscall=257 success=no exit=-13 uid=0 comm=\"a\" exe=\"/usr/bin/whole\"\n\
                type=PATH msg=audit(1.000:5): item=0 name=\"/srv/x\" inode=7 nametype=NORMAL\n\
                type=PROCTITLE msg=audit(1.000:5): proctitle=\"whole\"\n";
    let filler = "type=BPF msg=audit(2.000:6): prog-id=1 op=LOAD\n";
    // Distances in lines, and whether the denial comes first; from right behind each other to many rounds apart.
    for (first, second, apart) in [(avc, rest, 30_000_000), (rest, avc, input::CHUNK)] {
        for at in [0, input::CHUNK - 10, 16 * input::CHUNK - 300] {
            for distance in [0, 200, input::CHUNK / 2, apart] {
                let mut bytes = filler.repeat(at / filler.len()).into_bytes();
                bytes.extend(first.bytes());
                bytes.extend(filler.repeat(distance / filler.len()).bytes());
                bytes.extend(second.bytes());
                bytes.extend(filler.repeat(1000).bytes());
                let log = read_bytes(&bytes);
                let evidence = &log.denials.values().next().unwrap().evidence;
                let told = |s: perms::denials::Values<'_>| s.iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
                assert_eq!(told(evidence.programs()), [b"/usr/bin/whole"], "{at} {distance}");
                assert_eq!(told(evidence.objects.values()), [b"/srv/x"], "{at} {distance}");
            }
        }
    }
}

#[test]
fn the_same_denial_through_two_channels_counts_once() {
    let avc = "avc:  denied  { read } for  pid=1 comm=\"a\" scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file permissive=0";
    let text = format!(
        "Nov 21 06:54:47.351000 vm audit[1]: AVC {avc}\nNov 21 06:54:47.38 vm kernel: audit: type=1400 audit(1.000:5): {avc}\n"
    );
    let log = read_bytes(text.as_bytes());
    assert_eq!(log.tally.denials, 2);
    let counts = log.denials.values().next().unwrap().seen.counts;
    assert_eq!((counts.least(), counts.records(), counts.forgeable()), (1, 2, false));
}
