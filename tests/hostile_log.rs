//! Nobody writes rules through the log: each mistake that other converters make, once; and a property: no value that
//! somebody else wrote moves a rule, only the evidence that is shown (escaped).
//!
//! PERMS_CASES sets how many generated logs there are.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write as _};
use std::process::{Command, Stdio};

use clap::Parser as _;
use perms::cli::{learn as learn_command, why as why_command};
use perms::denials::input::Source;
use perms::learn;
use support::commands::{Learn, Why};
use support::policy::Random;

/// `perms learn --no-policy ARGUMENTS` with a log on standard input: what it said, and the status.
fn learn(arguments: &[&str], log: &[u8]) -> (String, u8) {
    let args =
        Learn::try_parse_from(["learn", "--no-policy"].iter().chain(arguments).chain(&["-"])).unwrap().args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(log.to_vec()));
    let status = learn_command::run(&args, &[], Some(stdin), &mut out, &mut err).unwrap();
    out.extend(err);
    (String::from_utf8(out).unwrap(), status)
}

fn why(log: &[u8]) -> String {
    let args = Why::try_parse_from(["why", "--no-policy", "-"]).unwrap().args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(log.to_vec()));
    why_command::run(&args, &[], Some(stdin), &mut out, &mut err).unwrap();
    String::from_utf8(out).unwrap()
}

/// The rules that a log gives, a line each.
fn rules(log: &[u8]) -> BTreeSet<String> {
    let (said, _) = learn(&[], log);
    // What is remarked on a rule comes after it.
    let rules = said.lines().map(str::trim).filter(|l| l.starts_with("allow "));
    rules.map(|l| l.split_once("  (").map_or(l, |(rule, _)| rule).to_owned()).collect()
}

const TAIL: &str =
    "scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:etc_t:s0 tclass=file permissive=0";

fn avc(fields: &str) -> String {
    format!("type=AVC msg=audit(1795243565.012:1): avc:  denied  {{ read }} for  pid=7 {fields} {TAIL}\n")
}

fn one() -> BTreeSet<String> {
    BTreeSet::from(["allow httpd_t etc_t:file read;".to_owned()])
}

#[test]
fn nothing_to_read_is_said_and_is_no_success_where_it_should_be() {
    let (said, status) = learn(&[], b"");
    assert!(said.contains("No denial was found.") && status == 0, "{said}");
    let (said, status) = learn(&[], b"<html>\nno log at all\n</html>\n");
    assert!(said.contains("nothing in the input could be understood") && status == 1, "{said}");
    // Only malformed records, and a good one among them: each is counted and shown with its line.
    let bad = "type=AVC msg=audit(1.0:1): avc:  denied  { read for pid=1\n";
    let (said, status) = learn(&[], bad.as_bytes());
    assert!(said.contains("1 line could not be read") && status == 1, "{said}");
    let (said, status) = learn(&[], (bad.to_owned() + &avc("comm=\"a\"")).as_bytes());
    assert!(said.contains("standard input:1: no permissions in braces"), "{said}");
    assert!(said.contains("allow httpd_t etc_t:file read;") && status == 0, "{said}");
}

#[test]
fn records_that_are_no_denials_or_not_whole_give_no_rule() {
    for (what, log) in [
        ("granted", avc("comm=\"a\"").replace("denied", "granted")),
        ("an unknown class", avc("comm=\"a\"").replace("tclass=file", "tclass=nosuchclass")),
        ("a class cut short", avc("comm=\"a\"").replace("tclass=file permissive=0\n", "tclass=fil")),
        ("an unknown permission", avc("comm=\"a\"").replace("{ read }", "{ frobnicate }")),
        ("no context", avc("comm=\"a\"").replace("tcontext=system_u:object_r:etc_t:s0", "tcontext=?")),
        ("AppArmor's", "type=AVC msg=audit(1.0:1): apparmor=\"DENIED\" operation=\"open\" profile=\"x\" name=\"/etc/shadow\" pid=1 comm=\"a\" requested_mask=\"r\" denied_mask=\"r\"\n".to_owned()),
        ("a label that the policy does not know", avc("comm=\"a\"").replace('\n', " trawcon=\"u:object_r:gone_t:s0\"\n")),
    ] {
        assert_eq!(rules(log.as_bytes()), BTreeSet::new(), "{what}");
        assert!(!learn(&[], log.as_bytes()).0.is_empty(), "{what}");
    }
    // Both forms of a refusal are told, and neither is an allow rule.
    for refusal in [
        "op=security_compute_sid invalid_context=u:r:t:s0 scontext=u:r:a_t:s0 tcontext=u:object_r:b_exec_t:s0 tclass=process",
        "security_compute_sid:  invalid context u:r:t:s0 for scontext=u:r:a_t:s0 tcontext=u:object_r:b_exec_t:s0 tclass=process",
    ] {
        let log = format!("type=SELINUX_ERR msg=audit(1795243565.012:1): {refusal}\n");
        let (said, _) = learn(&[], log.as_bytes());
        assert!(said.contains("rule::invalid-context") && rules(log.as_bytes()).is_empty(), "{said}");
    }
}

#[test]
fn what_is_not_utf8_or_very_long_is_read() {
    let mut log = avc("comm=\"a\"").into_bytes();
    log.extend(b"type=USER_LOGIN caf\xe9 \x00\x1b[2J\r\n\xff\xfe\n");
    assert_eq!(rules(&log), one());
    let long = avc(&format!("comm={} name=\"x\"", "41".repeat(2_000_000)));
    assert_eq!(rules((long + &avc("comm=\"b\"")).as_bytes()), one());
}

#[test]
fn what_others_wrote_moves_nothing() {
    // A file name in hexadecimal that reads as a record: raw, and as `ausearch -i` shows it.
    for text in [
        "x { execmod entrypoint } y",
        "x avc:  granted  { write } y",
        "x tclass=process scontext=a:b:evil_t:s0",
    ] {
        let hex: String = text.bytes().map(|b| format!("{b:02X}")).collect();
        assert_eq!(rules(avc(&format!("comm=\"a\" name={hex}")).as_bytes()), one(), "{text}");
        let shown = format!(
            "type=AVC msg=audit(11/21/26 06:46:05.012:1) : avc:  denied  {{ read }} for  pid=7 comm=a name={text} dev=\"vda\" ino=9 {TAIL}\n"
        );
        let found = rules(shown.as_bytes());
        assert!(found.is_empty() || found == one(), "{text}: {found:?}");
    }
    // Command lines of USER_AVC records, as systemd quotes them: not at all.
    for line in [
        "systemctl status { start stop enable } x",
        "systemctl x granted y",
        "a\" scontext=a:b:evil_t:s0 tclass=file exe=\"",
    ] {
        let log = format!(
            "type=USER_AVC msg=audit(1795244006.144:1): pid=1 uid=0 auid=1 ses=1 subj=system_u:system_r:init_t:s0 \
             msg='avc:  denied  {{ status }} for auid=1000 uid=1000 gid=1000 cmdline=\"{line}\" function=\"f\" \
             scontext=staff_u:staff_r:staff_t:s0 tcontext=system_u:object_r:systemd_unit_t:s0 tclass=service permissive=0  \
             exe=\"/usr/lib/systemd/systemd\" sauid=0 hostname=? addr=? terminal=?'\n"
        );
        let expected = BTreeSet::from(["allow staff_t systemd_unit_t:service status;".to_owned()]);
        let found = rules(log.as_bytes());
        assert!(found == expected || line.contains('"') && found.is_empty(), "{line}: {found:?}");
    }
}

#[test]
fn a_module_is_written_once_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    // Nothing usable: no file.
    let (_, status) =
        learn(&["-o", folder, "--name", "m5"], b"type=DAEMON_START msg=audit(1.0:1): op=start\n");
    assert_eq!((status, std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    // Twice into the same folder: replaced, not appended to; and in the same order every time.
    let log: String = ["usr_t", "var_t", "etc_t"].map(|t| avc("comm=\"a\"").replace("etc_t", t)).concat();
    let mut texts = BTreeSet::new();
    for _ in 0..3 {
        let (said, status) = learn(&["-o", folder, "--name", "m5"], log.as_bytes());
        assert_eq!(status, 0, "{said}");
        texts.insert(std::fs::read_to_string(dir.path().join("m5.te")).unwrap());
    }
    assert_eq!(texts.len(), 1);
    assert_eq!(texts.first().unwrap().matches("module m5").count(), 1);
}

#[test]
fn equal_and_permissive_records_are_told_apart() {
    let log = avc("comm=\"a\"").repeat(3) + &avc("comm=\"a\"").replace("permissive=0", "permissive=1");
    let (said, _) = learn(&[], log.as_bytes());
    assert!(said.contains("4 denials, 1 distinct") && said.contains("log::permissive"), "{said}");
    assert!(why(log.as_bytes()).contains("let through 1 time, stopped 3 times"));
}

/// A reader that goes away is no error, and nothing is written about it.
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let log: String = (0..3000).map(|i| avc("comm=\"a\"").replace("etc_t", &format!("t{i}_t"))).collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_perms"))
        .args(["why", "--no-policy", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    stdin.write_all(log.as_bytes()).unwrap();
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.is_empty() && !said.contains("panick"), "{said} {:?}", out.status);
}

/// A policy that is none, or is not there: said, with its name.
#[test]
fn a_policy_that_is_none_is_an_error_in_words() {
    for policy in ["/etc/passwd", "/nonexistent", "/"] {
        let args = Learn::try_parse_from(["learn", "--policy", policy, "-"]).unwrap().args;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(avc("comm=\"a\"").into_bytes()));
        let status = learn_command::run(&args, &[], Some(stdin), &mut out, &mut err).unwrap();
        let said = String::from_utf8(err).unwrap() + &String::from_utf8(out).unwrap();
        assert!(said.contains(policy), "{policy}: {said}");
        assert!(status == 1 || said.contains("No policy was read"), "{policy}: {said}");
    }
}

/// Pieces of what somebody may write who wants a rule.
const PIECES: &[&str] = &[
    "{ execmod entrypoint }",
    "avc:  granted  { write } for",
    "avc:  denied  { reboot } for",
    " scontext=u:r:evil_t:s0 tcontext=u:r:evil_t:s0 tclass=process permissive=0",
    "tclass=system",
    "type=AVC msg=audit(1795243565.012:1): ",
    "\n",
    "\u{1d}",
    "'\"",
    " trawcon=u:r:evil_t:s0",
    "\u{1b}[2J",
    "$(id)",
    "../../etc/shadow",
    "/etc/passwd",
    "\0",
    "caf\u{e9}",
    ") ; allow evil_t self:process execmem;",
];

fn hostile(random: &mut Random) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..random.below(4) {
        value.extend(random.pick(PIECES).as_bytes());
        if random.one_in(3) {
            value.push(random.below(256) as u8);
        }
    }
    value
}

/// As the kernel and auditd write a value: in quotes, or in hexadecimal where it holds anything that could be structure.
fn encoded(value: &[u8]) -> String {
    if !value.is_empty() && value.iter().all(|b| b.is_ascii_graphic() && *b != b'"') {
        format!("\"{}\"", String::from_utf8_lossy(value))
    } else {
        value.iter().map(|b| format!("{b:02X}")).collect()
    }
}

/// An event with all the records that a denial is joined with; `value` gives what somebody else wrote in each place.
fn event(serial: usize, denied: (&str, &str, &str), value: &mut dyn FnMut() -> Vec<u8>) -> String {
    let (target, class, permission) = denied;
    let mut v = || encoded(&value());
    let at = format!("msg=audit(1795243565.012:{serial}):");
    format!(
        "type=AVC {at} avc:  denied  {{ {permission} }} for  pid=7 comm={} name={} dev=\"vda\" ino=9 \
         scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:{target}:s0 tclass={class} permissive=0\n\
         type=SYSCALL {at} arch=c000003e syscall=257 success=no exit=-13 a0=1 items=1 pid=7 auid=1 uid=33 comm={} exe={} key={}\n\
         type=CWD {at} cwd={}\n\
         type=PATH {at} item=0 name={} inode=8 dev=fe:00 mode=040755 ouid=33 ogid=0 nametype=PARENT\n\
         type=PATH {at} item=1 name={} inode=9 dev=fe:00 mode=0100644 ouid=33 ogid=0 nametype=NORMAL\n\
         type=EXECVE {at} argc=2 a0={} a1={}\n\
         type=SOCKADDR {at} saddr={}\n\
         type=PROCTITLE {at} proctitle={}\n",
        v(),
        v(),
        v(),
        v(),
        v(),
        v(),
        v(),
        v(),
        v(),
        v(),
        v(),
        v(),
    )
}

#[test]
fn no_value_that_somebody_else_wrote_moves_a_rule() {
    let mut random = Random::new();
    let cases = std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    for _ in 0..cases {
        let (mut plain, mut moved) = (String::new(), String::new());
        for serial in 1..=3 {
            let target = *random.pick(&["etc_t", "var_t", "shadow_t", "httpd_t"]);
            let (class, permission) = *random.pick(&[
                ("file", "read"),
                ("file", "create"),
                ("dir", "add_name"),
                ("tcp_socket", "name_bind"),
                ("capability", "dac_override"),
            ]);
            let denied = (target, class, permission);
            plain.push_str(&event(serial, denied, &mut || b"x".to_vec()));
            moved.push_str(&event(serial, denied, &mut || hostile(&mut random)));
        }
        let of = |text: &str| {
            let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(text.as_bytes().to_vec()));
            perms::denials::read(&[Source::Stdin], Some(stdin), perms::denials::Options::default())
        };
        let (plain, moved_log) = (of(&plain), of(&moved));
        let options = learn::Options { xperms: true, ..learn::Options::default() };
        let lessons = [&plain, &moved_log].map(|log| learn::learn(log, &[], &options));
        let content = |lesson: &learn::Lesson<'_>| -> Vec<_> {
            lesson.groups.iter().map(|g| (g.module.clone(), g.te.clone(), g.cil.clone())).collect()
        };
        assert_eq!(content(&lessons[0]), content(&lessons[1]), "{moved}");
        assert_eq!(plain.tally.denials, moved_log.tally.denials, "{moved}");
        // What is shown is escaped, and what is written holds none of it.
        let shown = why(moved.as_bytes());
        assert!(!shown.contains('\u{1b}') && !shown.contains('\0') && !shown.contains('\u{1d}'), "{shown}");
        for group in &lessons[1].groups {
            for file in learn::module::files(&lessons[1], group, &options) {
                assert!(file.text.is_ascii() && !file.text.contains("evil"), "{}", file.text);
            }
        }
    }
}
