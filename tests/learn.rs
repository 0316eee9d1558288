//! `perms learn` and `perms why` over every folder of audit-samples/, against golden files and against checkmodule,
//! semodule_package and audit2allow.
//!
//! A new folder there is a new test: `log` or `log.gz`, `README.md`, `learn.txt` (and `why.txt`, if it is there:
//! an empty file asks for it), `te/`; `options` holds further arguments; `same-rules-as` names a sample with the same
//! rules. WRITE_GOLDEN=1 writes the golden files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use perms::cli::{learn, why};
use perms::denials::input::Source::Stdin;
use perms::denials::time::Clock;
use perms::manifest::Manifest;
use perms::report::{Format, Source};
use support::commands::{Learn, Why};

/// Output, errors, exit status. `--format` is an option of the whole command line.
type Ended = (String, String, u8);

fn format_of(arguments: &[&str]) -> Format {
    match arguments {
        ["--json", ..] => Format::Json,
        ["--plain", ..] => Format::Plain,
        _ => Format::Human,
    }
}

/// The day on which most samples were recorded.
fn clock() -> Clock {
    Clock { now: 1_795_262_400_000, zone: jiff::tz::TimeZone::UTC }
}

fn run_learn(arguments: &[&str], stdin: &[u8]) -> Ended {
    let format = format_of(arguments);
    let rest = arguments.iter().filter(|a| !matches!(**a, "--json" | "--plain"));
    let mut args = Learn::try_parse_from(["learn", "--no-policy"].iter().chain(rest)).unwrap().args;
    args.format = format;
    args.input.clock = Some(clock());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(stdin.to_vec()));
    let status = learn::run(&args, &[], Some(stdin), &mut out, &mut err).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
}

fn run_why(arguments: &[&str], stdin: &[u8]) -> Ended {
    let format = format_of(arguments);
    let rest = arguments.iter().filter(|a| !matches!(**a, "--json" | "--plain"));
    let mut args = Why::try_parse_from(["why", "--no-policy"].iter().chain(rest)).unwrap().args;
    args.format = format;
    args.input.clock = Some(clock());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(stdin.to_vec()));
    let status = why::run(&args, &[], Some(stdin), &mut out, &mut err).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
}

fn golden_text((out, err, status): Ended) -> String {
    format!("{out}{err}exit status {status}\n")
}

struct Sample {
    name: String,
    dir: PathBuf,
    log: String,
    options: Vec<String>,
}

impl Sample {
    fn learn(&self, more: &[&str]) -> Ended {
        let mut arguments: Vec<&str> = more.to_vec();
        arguments.extend(self.options.iter().map(String::as_str));
        arguments.push(&self.log);
        run_learn(&arguments, b"")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.learn(&["--json"]).0).unwrap()
    }
}

/// All samples. Paths are relative to the package, where tests run, so that golden files hold them.
fn samples() -> Vec<Sample> {
    let mut list = Vec::new();
    for entry in std::fs::read_dir("audit-samples").unwrap() {
        let dir = entry.unwrap().path();
        if !dir.is_dir() {
            continue;
        }
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let log = ["log", "log.gz"].map(|l| dir.join(l)).into_iter().find(|l| l.is_file());
        let log = log.unwrap_or_else(|| panic!("{name} has no log"));
        assert!(dir.join("README.md").is_file(), "{name} does not say what it is");
        let options = std::fs::read_to_string(dir.join("options")).unwrap_or_default();
        list.push(Sample {
            name,
            log: log.to_str().unwrap().to_owned(),
            options: options.split_whitespace().map(str::to_owned).collect(),
            dir,
        });
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(list.len() >= 60, "samples are missing");
    list
}

/// Rules of a JSON report: (source, target, class) → permissions.
fn rules(report: &serde_json::Value) -> BTreeMap<(String, String, String), BTreeSet<String>> {
    let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
    let mut all: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for rule in report["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap()) {
        let key = (text(&rule["source"]), text(&rule["target"]), text(&rule["class"]));
        all.entry(key).or_default().extend(rule["permissions"].as_array().unwrap().iter().map(text));
    }
    all
}

#[test]
fn reports_are_as_in_the_golden_files() {
    for sample in samples() {
        support::golden(&sample.dir.join("learn.txt"), &golden_text(sample.learn(&[])));
        let why = sample.dir.join("why.txt");
        if why.exists() {
            support::golden(&why, &golden_text(run_why(&[&sample.log], b"")));
        }
    }
}

#[test]
fn modules_are_as_in_the_golden_files() {
    for sample in samples() {
        let written = tempfile::tempdir().unwrap();
        sample.learn(&["-o", written.path().to_str().unwrap()]);
        let expected = sample.dir.join("te");
        let list = |dir: &Path| -> BTreeSet<String> {
            let entries = std::fs::read_dir(dir).into_iter().flatten();
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        let names = list(written.path());
        if std::env::var_os("WRITE_GOLDEN").is_some() {
            let _ = std::fs::remove_dir_all(&expected);
            if !names.is_empty() {
                std::fs::create_dir(&expected).unwrap();
            }
        } else {
            assert_eq!(list(&expected), names, "{}", sample.name);
        }
        for name in names {
            let text = std::fs::read_to_string(written.path().join(&name)).unwrap();
            support::golden(&expected.join(&name), &text);
        }
    }
}

#[test]
fn every_line_is_accounted_for() {
    for sample in samples() {
        let lines = sample.json()["lines"].as_object().unwrap().clone();
        let of = |key: &str| lines[key].as_u64().unwrap();
        let parts: u64 = lines.keys().filter(|k| *k != "lines").map(|k| of(k)).sum();
        assert_eq!(of("lines"), parts, "{}", sample.name);
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&sample.log).unwrap();
        if sample.log.ends_with(".gz") {
            flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        } else {
            std::io::BufReader::new(file).read_to_end(&mut bytes).unwrap();
        }
        let counted =
            bytes.split(|b| *b == b'\n').count() - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
        assert_eq!(of("lines"), counted as u64, "{}", sample.name);
    }
}

#[test]
fn the_same_events_in_another_form_give_the_same_rules() {
    let mut seen = 0;
    for sample in samples() {
        if let Ok(other) = std::fs::read_to_string(sample.dir.join("same-rules-as")) {
            let other = samples().into_iter().find(|s| s.name == other.trim()).unwrap();
            assert_eq!(rules(&sample.json()), rules(&other.json()), "{}", sample.name);
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn every_module_is_accepted_by_checkmodule_and_semodule_package() {
    if !support::have("checkmodule") || !support::have("semodule_package") {
        return;
    }
    for sample in samples() {
        let dir = tempfile::tempdir().unwrap();
        for extra in [&[][..], &["--xperms"], &["--name", "all_of_it"]] {
            if sample.options.iter().any(|o| extra.contains(&o.as_str())) {
                continue;
            }
            sample.learn(&[extra, &["-o", dir.path().to_str().unwrap()]].concat());
        }
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let te = entry.unwrap().path();
            if te.extension().is_some_and(|e| e == "te") {
                support::compile_te(&te);
            }
        }
    }
}

#[test]
fn cil_modules_are_accepted_by_secilc() {
    if !support::have("secilc") {
        return;
    }
    let sample = samples().into_iter().find(|s| s.name == "dotted-and-reserved").unwrap();
    let dir = tempfile::tempdir().unwrap();
    sample.learn(&["--xperms", "-o", dir.path().to_str().unwrap()]);
    let mut found = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "cil") {
            continue;
        }
        found += 1;
        let base = dir.path().join("base.policy");
        std::fs::write(
            &base,
            "(class file (read write))(classorder (file))(sid kernel)(sidorder (kernel))(user u)(role r)(type t)\
             (userrole u r)(roletype r t)(sensitivity s0)(sensitivityorder (s0))(level l (s0))(levelrange lr (l l))\
             (userlevel u l)(userrange u lr)(sidcontext kernel (u r t lr))(type range)(type httpd_t)(type var_log_t)\
             (type mysqld_db_t)(block mybox (type process))(allow t t (file (read)))",
        )
        .unwrap();
        let out = Command::new(support::which("secilc").unwrap())
            .args(["-M", "1", "-o", "/dev/null", "-f", "/dev/null"])
            .args([&base, &path])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    assert!(found > 0);
}

#[test]
fn the_module_of_the_wsgi_case_is_as_written_by_hand() {
    let log = "host=web1 type=AVC msg=audit(1416000000.123:456): avc:  denied  { execmem } for  pid=1 comm=\"httpd\" \
               scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:system_r:httpd_t:s0 tclass=process\n";
    let dir = tempfile::tempdir().unwrap();
    let (_, err, status) =
        run_learn(&["--name", "wsgi", "-o", dir.path().to_str().unwrap(), "-"], log.as_bytes());
    assert_eq!((err.as_str(), status), ("", 0));
    let text = std::fs::read_to_string(dir.path().join("wsgi.te")).unwrap();
    let words: Vec<&str> =
        text.lines().filter(|l| !l.starts_with('#')).flat_map(str::split_whitespace).collect();
    assert_eq!(
        words.join(" "),
        "module wsgi 1.0; require { type httpd_t; class process execmem; } allow httpd_t self:process execmem;"
    );
    // Equivalent by the compiler, too: the same binary module as from the text written by hand.
    if !support::have("checkmodule") {
        return;
    }
    let hand = tempfile::tempdir().unwrap();
    let by_hand = hand.path().join("wsgi.te");
    std::fs::write(&by_hand, "module wsgi 1.0; require { type httpd_t; class process execmem; } allow httpd_t self:process execmem;").unwrap();
    let ours = dir.path().join("wsgi.te");
    for te in [&by_hand, &ours] {
        let out = Command::new(support::which("checkmodule").unwrap())
            .args(["-M", "-m", "-o"])
            .args([&te.with_extension("mod"), te])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    // The binary holds the line numbers of its source file: compare what secilc's language says of it where the
    // converter is there, else the sizes.
    let bytes = |te: &Path| std::fs::read(te.with_extension("mod")).unwrap().len();
    assert_eq!(bytes(&by_hand), bytes(&ours));
}

/// Rules of audit2allow's output.
fn allow_rules(text: &str) -> BTreeMap<(String, String, String), BTreeSet<String>> {
    let mut all: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("allow ") else { continue };
        let (head, permissions) = rest.split_once(':').unwrap();
        let (source, target) = head.split_once(' ').unwrap();
        let (class, permissions) = permissions.split_once(' ').unwrap();
        let permissions = permissions.trim_matches(|c: char| matches!(c, '{' | '}' | ';' | ' '));
        all.entry((source.to_owned(), target.to_owned(), class.to_owned()))
            .or_default()
            .extend(permissions.split_whitespace().map(str::to_owned));
    }
    all
}

/// Samples on which audit2allow says something else, and why that is its mistake (or a policy's, which this form of
/// `learn` does not read). The test fails when a listed difference is gone.
const DIFFERENT: &[(&str, &str)] = &[
    ("android", "it drops types that the policy given with -p does not have"),
    ("android-forms", "the same"),
    ("cut-last-line", "it takes `tclass=process` of a cut line"),
    ("dotted-and-reserved", "it drops types that the policy given with -p does not have"),
    ("interpreted-injection", "it takes permissions and contexts from file names"),
    ("ioctl", "it drops `nlmsg`, which the policy given with -p does not have"),
    ("ioctl-xperms", "the same"),
    (
        "journal-json-variants",
        "it reads no message that is a list of numbers, or begins with `avc:` after JSON's quote",
    ),
    ("kernel-two-contexts", "it takes one of two sets of contexts"),
    ("not-utf8", "it dies of the first byte that is not UTF-8"),
    ("old-kernels", "it drops contexts without a level, which the policy given with -p does not take"),
    ("trawcon", "it writes rules on unlabeled_t"),
    ("unknown-class", "it writes a rule on a class that does not exist"),
    ("user-avc-full-buffer", "it takes forged contexts"),
    ("user-avc-injection", "it takes permissions from command lines, and loses a denial"),
];

#[test]
fn audit2allow_gives_the_same_rules() {
    let policy = "/etc/selinux/default/policy/policy.33";
    if !support::have("audit2allow") {
        return;
    }
    if !Path::new(policy).exists() {
        support::skip("needs a policy (selinux-policy-default)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for sample in samples() {
        let plain = dir.path().join("log");
        let mut bytes = std::fs::read(&sample.log).unwrap();
        if sample.log.ends_with(".gz") {
            bytes.clear();
            let file = std::fs::File::open(&sample.log).unwrap();
            flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        }
        std::fs::write(&plain, bytes).unwrap();
        let out = Command::new("audit2allow").args(["-p", policy, "-i"]).arg(&plain).output().unwrap();
        let theirs = allow_rules(&String::from_utf8_lossy(&out.stdout));
        let ours = rules(&sample.json());
        let listed = DIFFERENT.iter().any(|(name, _)| *name == sample.name);
        if listed == (ours == theirs) {
            wrong.push(format!("{} (listed: {listed})\n  ours   {ours:?}\n  theirs {theirs:?}", sample.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn manifest(text: &str) -> Manifest {
    let source = Source::new("/etc/perms.d/app.toml", text);
    let (manifest, diagnostics) = perms::manifest::load::parse(&source);
    manifest.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// A denial of `domain`, with the user as auditd writes it.
fn denial(serial: u32, domain: &str, uid: u32, user: &str, target: &str) -> String {
    format!(
        "type=AVC msg=audit(1795243565.012:{serial}): avc:  denied  {{ read }} for  pid=7 comm=\"gunicorn\" name=\"x\" \
         dev=\"vda\" ino=9 scontext=system_u:system_r:{domain}:s0 tcontext=system_u:object_r:{target}:s0 tclass=file \
         permissive=0\ntype=SYSCALL msg=audit(1795243565.012:{serial}): arch=c000003e syscall=257 success=no exit=-13 \
         pid=7 uid={uid} comm=\"gunicorn\" exe=\"/usr/bin/python3\" key=(null)\x1dARCH=x86_64 SYSCALL=openat UID=\"{user}\"\n"
    )
}

#[test]
fn denials_are_sorted_to_the_applications_of_the_manifests() {
    let manifests = [
        manifest("[app]\nname = \"bornhack\"\nuser = \"bornhack\"\n[selinux]\ndomain = \"httpd_t\"\n"),
        manifest("[app]\nname = \"bar\"\nuser = { uid = 2002 }\n[selinux]\ndomain = \"httpd_t\"\n"),
        manifest("[app]\nname = \"mailer\"\nuser = \"mailer\"\n[selinux]\ndomain = \"mailer_t\"\n"),
        manifest("[app]\nname = \"plain\"\nuser = \"plain\"\n"),
    ];
    let log = [
        denial(1, "httpd_t", 2001, "bornhack", "a_t"),
        denial(2, "httpd_t", 2002, "unknown(2002)", "b_t"),
        denial(3, "httpd_t", 33, "www-data", "c_t"),
        denial(4, "mailer_t", 0, "root", "d_t"),
        denial(5, "initrc_t", 999, "plain", "e_t"),
        denial(6, "httpd_t", 2001, "bornhack", "f_t"),
        denial(7, "httpd_t", 2002, "bar", "f_t"),
    ]
    .concat();
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(log));
    let log = perms::denials::read(&[Stdin], Some(stdin), perms::denials::Options::default());
    let lesson = perms::learn::learn(&log, &manifests, &perms::learn::Options::default());
    let groups: Vec<(String, String)> = lesson
        .groups
        .iter()
        .map(|g| {
            let targets: Vec<&str> = g.te.rules.iter().map(|(rule, _)| rule.target_text()).collect();
            (format!("{:?}", g.owner), targets.join(" "))
        })
        .collect();
    let expected = [
        ("App(\"bar\")", "b_t f_t"),
        ("App(\"bornhack\")", "a_t f_t"),
        ("App(\"mailer\")", "d_t"),
        ("App(\"plain\")", "e_t"),
        ("Domain(httpd_t)", "c_t"),
    ];
    assert_eq!(groups, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn what_goes_wrong_is_said_and_is_the_exit_status() {
    let good = denial(1, "httpd_t", 33, "www-data", "a_t");
    let (out, err, status) = run_learn(&["/nonexistent/audit.log", "-"], good.as_bytes());
    assert_eq!(status, 1);
    assert!(err.contains("cannot open `/nonexistent/audit.log`"), "{err}");
    assert!(out.contains("allow httpd_t a_t:file read;"), "the rest is read all the same: {out}");

    let dir = tempfile::tempdir().unwrap();
    let (_, err, status) = run_why(&[dir.path().to_str().unwrap()], b"");
    assert!(status == 1 && err.contains("there is no file in the folder"), "{err}");

    // A module of somebody else's is left alone, and nothing is written beside it.
    let theirs = dir.path().join("httpd_t.te");
    std::fs::write(&theirs, "module httpd_t 9.0;\n").unwrap();
    let both = good + &denial(2, "ftpd_t", 33, "www-data", "a_t");
    let (_, err, status) = run_learn(&["-o", dir.path().to_str().unwrap(), "-"], both.as_bytes());
    assert!(status == 1 && err.contains("was not made by perms learn"), "{err}");
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "module httpd_t 9.0;\n");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    for bad in ["a b", "user", "1x", "", "x.y", "x;"] {
        assert!(Learn::try_parse_from(["learn", "--name", bad]).is_err(), "{bad}");
    }
}

#[test]
fn the_plain_form_draws_nothing() {
    for sample in samples() {
        let (out, _, _) = sample.learn(&["--plain"]);
        let (why, _, _) = run_why(&["--plain", &sample.log], b"");
        assert!(!out.contains('→') && !why.contains('→'), "{}", sample.name);
    }
}

#[test]
fn a_log_made_to_take_long_does_not() {
    // All records of one event, which each denial would be joined with: hours, if it were.
    let part = denial(1, "httpd_t", 33, "www-data", "a_t");
    let log = part.repeat(20_000);
    let (out, _, status) = run_learn(&["-"], log.as_bytes());
    assert!(status == 0 && out.contains("20,000 denials, 1 distinct"), "{out}");
}
