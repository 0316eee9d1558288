//! `perms learn --summary` and `--merge`: whatever way logs are cut and put together again, the same comes out; and a
//! summary that somebody made up does no harm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use perms::denials::input::Source;
use perms::denials::{Log, Options, read, summary};
use perms::learn;
use proptest::prelude::*;

/// Events of all samples: records that belong together, of which logs are made. Where two samples have an event of the
/// same time and number, one is left out: in logs read together they would be one event, and in summaries they are two.
static EVENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut events = Vec::new();
    let mut stamps = HashSet::new();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir("audit-samples").unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    for folder in folders {
        let mut bytes = Vec::new();
        if let Ok(file) = std::fs::File::open(folder.join("log.gz")) {
            flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        } else {
            bytes = std::fs::read(folder.join("log")).unwrap_or_default();
        }
        let mut by_event: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (number, line) in bytes.split(|b| *b == b'\n').enumerate().take(3000) {
            let stamp = line.windows(6).position(|w| w == b"audit(").and_then(|at| {
                let rest = &line[at..];
                Some(rest[..rest.iter().position(|b| *b == b')')?].to_vec())
            });
            // In the journal's text, records of one event have one time, and no number.
            let journal =
                || line.windows(6).any(|w| w == b" audit").then(|| line[..line.len().min(26)].to_vec());
            let stamp = stamp.or_else(journal);
            let event = by_event.entry(stamp.unwrap_or_else(|| number.to_be_bytes().to_vec())).or_default();
            event.extend_from_slice(line);
            event.push(b'\n');
        }
        events.extend(
            by_event
                .into_iter()
                .filter_map(|(stamp, event)| (stamp.len() == 8 || stamps.insert(stamp)).then_some(event)),
        );
    }
    assert!(events.len() > 2000);
    events
});

fn told(log: &Log) -> String {
    let lesson = learn::learn(log, &[], &learn::Options::default());
    let report = serde_json::to_string(&learn::json::report("learn", &lesson, &[])).unwrap();
    format!("{report}\n{:?}\n{:?}\n{:?}", log.tally, log.changes, log.set_aside)
}

/// A log as a summary, and that read again.
fn through(log: &Log) -> Log {
    let mut text = Vec::new();
    summary::write(log, "", &mut text).unwrap();
    let (log, errors) = summary::read("s", &text[..], 10);
    assert!(errors.is_empty(), "{errors:?}\n{}", String::from_utf8_lossy(&text));
    log
}

fn cases() -> u32 {
    std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Logs of several hosts, each as a summary, summaries of summaries, in any order: as if read together.
    #[test]
    fn merged_summaries_say_what_the_logs_together_say(
        parts in prop::collection::vec((0usize..10_000, 1usize..120), 1..6),
        order in any::<prop::sample::Index>(),
        pairs in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut sources = Vec::new();
        for (number, (from, count)) in parts.iter().enumerate() {
            let from = from % EVENTS.len();
            let events = &EVENTS[from..(from + count).min(EVENTS.len())];
            let path = dir.path().join(format!("host{number}.log"));
            std::fs::write(&path, events.concat()).unwrap();
            sources.push(Source::File(path));
        }
        let whole = read(&sources, None, Options::default());
        let mut summaries: Vec<Log> = sources
            .iter()
            .map(|source| through(&read(std::slice::from_ref(source), None, Options::default())))
            .collect();
        let n = summaries.len();
        summaries.rotate_left(order.index(n));
        if pairs && n > 1 {
            let last = summaries.split_off(n / 2);
            summaries = vec![through(&Log::merged(summaries, 10)), through(&Log::merged(last, 10))];
        }
        prop_assert_eq!(told(&Log::merged(summaries, 10)), told(&whole));
    }

    /// A summary with bytes changed is read as far as it can be, without a panic, and what is wrong is said.
    #[test]
    fn a_made_up_summary_does_no_harm(from in 0usize..10_000, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let from = from % EVENTS.len();
        let bytes = EVENTS[from..(from + 60).min(EVENTS.len())].concat();
        let log = read(&[Source::Stdin], Some(Box::new(std::io::Cursor::new(bytes))), Options::default());
        let mut text = Vec::new();
        summary::write(&log, "host", &mut text).unwrap();
        for (at, byte) in &changes {
            let at = at.index(text.len());
            text[at] = *byte;
        }
        let (log, _) = summary::read("s", &text[..], 10);
        let lesson = learn::learn(&log, &[], &learn::Options::default());
        for group in &lesson.groups {
            for (rule, _) in group.te.rules.iter() {
                prop_assert!(rule.in_te());
            }
        }
        let _ = told(&Log::merged(vec![log], 10));
    }
}

#[test]
fn what_is_wrong_with_a_summary_is_said() {
    let denial = |more: &str| {
        format!(
            "{{\"is\":\"denial\",\"source\":\"u:r:a_t:s0\",\"target\":\"u:r:b_t:s0\",\"class\":\"file\",\"permissions\":[\"read\"],\
             \"seen\":{{\"auditd\":18446744073709551615,\"kernel\":0,\"journal\":0,\"daemon\":0}},\"permissive\":0,\"samples\":{{}}{more}}}\n"
        )
    };
    let seen = "{\"auditd\":0,\"kernel\":0,\"journal\":0,\"daemon\":0}";
    let head = |denials: usize| {
        format!(
            "{{\"perms_summary\":1,\"sources\":[\"a\"],\"lines\":{{\"lines\":18446744073709551615,\"denials\":18446744073709551615,\
             \"left_out\":0,\"granted\":0,\"refusals\":0,\"notices\":0,\"other_modules\":0,\"other_records\":0,\"text\":0,\
             \"separators\":0,\"set_aside\":0}},\"lost\":0,\"unread_by_code\":{{}},\"changes\":{{\"policy_loads\":{seen},\
             \"permissive\":{seen},\"enforcing\":{seen},\"boots\":{seen},\"booleans\":[],\"history\":[]}},\"denials\":{denials},\
             \"refusals\":0,\"unread\":0}}\n"
        )
    };
    let said = |text: &str| -> Vec<String> {
        summary::read("web1.jsonl", text.as_bytes(), 10).1.iter().map(ToString::to_string).collect()
    };
    assert!(said(&(head(1) + &denial(""))).is_empty());
    // Twice the largest number is still the largest number.
    let (log, errors) = summary::read("s", (head(2) + &denial("") + &denial("")).as_bytes(), 10);
    assert!(errors.is_empty() && log.denials.len() == 1);
    assert_eq!(log.denials.values().next().unwrap().seen.counts.least(), u64::MAX);
    assert!(said("")[0].contains("is no summary"));
    assert!(said("type=AVC msg=audit(1.000:1): avc:  denied\n")[0].contains("is no summary"));
    assert!(said(&head(1).replace("summary\":1", "summary\":2"))[0].contains("is no summary"));
    assert!(said(&head(1))[0].contains("lines are missing"));
    assert!(
        said(&(head(1) + &denial("").replace("\"file\"", "\"fil\"")))[0]
            .contains("web1.jsonl:2: no class is called `fil`")
    );
    assert!(
        said(&(head(1) + &denial("").replace("[\"read\"]", "[\"execmod entrypoint\"]")))[0]
            .contains("has no permission")
    );
    assert!(said(&(head(1) + &denial("").replace("a_t:s0", "a_t:s0 x")))[0].contains("context"));
    assert!(said(&(head(1) + "{}\n" + &denial("")))[0].starts_with("web1.jsonl:2:"));
    assert!(said(&(head(1) + &"x".repeat(3 << 20)))[0].contains("more than a megabyte"));
}

#[test]
fn every_line_is_as_the_schema_says() {
    let mut schema = support::schema::read("summary");
    schema.as_object_mut().unwrap().remove("anyOf");
    let (sources, _) = perms::denials::input::sources(&[PathBuf::from("audit-samples")]);
    let log = read(&sources, None, Options::default());
    let mut text = Vec::new();
    summary::write(&log, "web1", &mut text).unwrap();
    for (number, line) in String::from_utf8(text).unwrap().lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let of = if number == 0 { "head".to_owned() } else { value["is"].as_str().unwrap().to_owned() };
        schema["$ref"] = format!("#/$defs/{of}").into();
        support::schema::check(&schema, &value, &format!("line {}", number + 1));
    }
}

/// Root who wrote a summary to /dev/null had a regular file there afterwards, for the whole host.
#[test]
fn a_pipe_or_a_device_is_written_into_and_stays_what_it_is() {
    use std::os::unix::fs::FileTypeExt as _;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    let sample = std::fs::read_dir("audit-samples")
        .unwrap()
        .map(|e| e.unwrap().path().join("log"))
        .find(|p| p.is_file())
        .unwrap();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_perms"))
        .arg("learn")
        .arg(&sample)
        .arg("--summary")
        .arg(&pipe)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(std::fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(reader.join().unwrap().starts_with("{\"perms_summary\":"));
}
