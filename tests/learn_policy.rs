//! `perms learn` and `perms why` with Debian's policy behind them: golden reports of every sample (`policy.txt` and
//! `policy-why.txt` in its folder), audit2allow and audit2why as oracles, modules through the compilers, minimal
//! covers, and that no untrusted value moves a rule.
//!
//! PERMS_CASES sets how many generated cases there are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use perms::cli::{learn as learn_command, why as why_command};
use perms::denials::input::Source;
use perms::denials::{Log, read};
use perms::learn::verdict::Remedy;
use perms::learn::{self, Ground, Labels, Lesson, text};
use perms::report::Format;
use perms::report::style::Paint;
use perms::selinux::contexts::{Files, Precedence, Sections, Text};
use perms::selinux::module::te::Form;
use perms::selinux::policy::{Policy, TypeKind};
use support::commands::{Learn, Why};
use support::policy::Random;

const POLICY: &str = "/etc/selinux/default/policy/policy.33";
const CONTEXTS: &str = "/etc/selinux/default/contexts/files/file_contexts";

/// Whether Debian's policy is there; skips aloud.
fn policy_is_there() -> bool {
    Path::new(POLICY).exists() || support::skip("needs a policy (selinux-policy-default)")
}

fn cases(usual: usize) -> usize {
    std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn ground() -> Ground {
    let load = || {
        let bytes = std::fs::read(CONTEXTS).map_err(|e| e.to_string())?;
        let files = Files::only(Text::new(CONTEXTS, &bytes));
        let contexts = Sections::new(files, Precedence::Before3_8);
        Ok(Labels::new(contexts, BTreeSet::new(), CONTEXTS.to_owned()))
    };
    Ground::new(Policy::open(Path::new(POLICY)).unwrap(), POLICY.to_owned(), "named", Box::new(load))
}

fn log_of(text: &[u8]) -> Log {
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(text.to_vec()));
    read(&[Source::Stdin], Some(stdin), perms::denials::Options::default())
}

/// Samples: name, folder, log (relative, as golden files have it).
fn samples() -> Vec<(String, PathBuf, PathBuf)> {
    let mut list = Vec::new();
    for entry in std::fs::read_dir("audit-samples").unwrap() {
        let dir = entry.unwrap().path();
        let Some(log) = ["log", "log.gz"].map(|l| dir.join(l)).into_iter().find(|l| l.is_file()) else {
            continue;
        };
        list.push((dir.file_name().unwrap().to_str().unwrap().to_owned(), dir, log));
    }
    list.sort();
    assert!(list.len() >= 60);
    list
}

/// Whether a log is compared with tools that take minutes for large ones: those only where PERMS_CASES asks for more.
fn is_small(log: &Path) -> bool {
    std::env::var_os("PERMS_CASES").is_some() || std::fs::metadata(log).unwrap().len() < 150_000
}

fn bytes_of(log: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(log).unwrap();
    if log.extension().is_some() {
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    } else {
        std::io::BufReader::new(file).read_to_end(&mut bytes).unwrap();
    }
    bytes
}

/// The report of `perms learn --prove`, and that of `perms why`.
fn reports(lesson: &Lesson<'_>) -> (String, String) {
    let look = text::Look { format: Format::Human, paint: Paint::PLAIN };
    let (mut learn, mut why) = (Vec::new(), Vec::new());
    text::opening(&mut learn, lesson, Format::Human).unwrap();
    text::opening(&mut why, lesson, Format::Human).unwrap();
    for group in &lesson.groups {
        text::group(&mut learn, group, &[], look).unwrap();
        for denial in &group.denials {
            learn::why::denial(&mut why, lesson, denial, look).unwrap();
        }
    }
    text::refusals(&mut learn, &lesson.other_refusals, Format::Human).unwrap();
    learn::text_fixes::replay(&mut learn, lesson.judgement.as_ref().unwrap(), look).unwrap();
    (String::from_utf8(learn).unwrap(), String::from_utf8(why).unwrap())
}

#[test]
fn reports_are_as_in_the_golden_files() {
    if !policy_is_there() {
        return;
    }
    let ground = ground();
    for (name, dir, log) in samples() {
        let (sources, _) = perms::denials::input::sources(std::slice::from_ref(&log));
        let log = read(&sources, None, perms::denials::Options::default());
        let options = learn::Options { prove: log.denials.len() <= 300, ..learn::Options::default() };
        let lesson = learn::judge(&log, &[], &options, Some(&ground));
        let (report, why) = reports(&lesson);
        assert!(!report.contains("not needed:"), "{name}: a permission is not needed\n{report}");
        support::golden(&dir.join("policy.txt"), &report);
        // Without the texts that this report does not show.
        let brief = learn::Options { brief: true, ..options };
        let short = learn::judge(&log, &[], &brief, Some(&ground));
        assert_eq!(reports(&short).0, report, "{name}");
        let golden = dir.join("policy-why.txt");
        if golden.exists() {
            support::golden(&golden, &why);
        }
    }
}

/// The whole command, as it is typed: the policy named, the specifications found beside it.
#[test]
fn the_command_says_what_it_judged_by() {
    if !policy_is_there() {
        return;
    }
    let log = "audit-samples/nginx-content/log";
    let run = |arguments: &[&str]| {
        let args = Learn::try_parse_from(["learn"].iter().chain(arguments).chain(&[log])).unwrap().args;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = learn_command::run(&args, &[], None, &mut out, &mut err).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
    };
    let (out, err, status) = run(&["--policy", POLICY]);
    assert!(out.contains(POLICY) && out.contains("contexts/files/file_contexts"), "{out}");
    assert!(out.contains("restorecon") && (err.as_str(), status) == ("", 0), "{out}{err}");
    let (out, _, status) = run(&["--no-policy"]);
    assert!(out.contains("No policy was read") && status == 0, "{out}");
    let (_, err, status) = run(&["--policy", "/nonexistent/policy.33"]);
    assert!(err.contains("/nonexistent/policy.33") && status == 1, "{err}");
    // One denial pasted on standard input: the whole story.
    let args = Why::try_parse_from(["why", "--policy", POLICY]).unwrap().args;
    let pasted = record(1, "httpd_t", "httpd_t", "process", &["execmem"], "comm=\"php\"");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(pasted));
    assert_eq!(why_command::run(&args, &[], Some(stdin), &mut out, &mut err).unwrap(), 0);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("fix       setsebool -P httpd_execmem on") && out.contains("  not "), "{out}");
}

#[test]
fn merging_keeps_every_rule() {
    if !policy_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], text: &str| {
        let args =
            Learn::try_parse_from(["learn", "--policy", POLICY, "--name", "app"].iter().chain(arguments));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(text.to_owned()));
        let status = learn_command::run(&args.unwrap().args, &[], Some(stdin), &mut out, &mut err).unwrap();
        (String::from_utf8(out).unwrap() + &String::from_utf8(err).unwrap(), status)
    };
    let (first, second) = (dir.path().join("1"), dir.path().join("2"));
    let one = record(1, "httpd_t", "shadow_t", "file", &["read"], "comm=\"a\"");
    let two = record(2, "httpd_t", "httpd_t", "capability2", &["syslog"], "comm=\"a\"");
    let (said, status) = run(&["-o", first.to_str().unwrap()], &one);
    assert_eq!(status, 0, "{said}");
    let te = first.join("app.te");
    let (said, status) =
        run(&["-o", second.to_str().unwrap(), "--into", te.to_str().unwrap(), "--prove"], &two);
    assert_eq!(status, 0, "{said}");
    let text = std::fs::read_to_string(second.join("app.te")).unwrap();
    for part in
        ["module app 1.1;", "allow httpd_t shadow_t:file read;", "allow httpd_t self:capability2 syslog;"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(said.contains("1 is kept, which was there before"), "{said}");
    // What cannot be kept whole is not touched.
    std::fs::write(&te, "module app 1.0;\noptional_policy(`x')\n").unwrap();
    let (said, status) = run(&["--into", te.to_str().unwrap()], &two);
    assert!(status == 1 && said.contains("line 2"), "{said}");
}

type Key = (String, String, String);

/// `allow` rules of audit2allow's output, one a permission.
fn allow_rules(text: &str) -> BTreeSet<(Key, String)> {
    let mut all = BTreeSet::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("allow ") else { continue };
        let Some((head, permissions)) = rest.split_once(':') else { continue };
        let (source, target) = head.split_once(' ').unwrap();
        let (class, permissions) = permissions.split_once(' ').unwrap();
        let permissions = permissions.trim_matches(|c: char| matches!(c, '{' | '}' | ';' | ' '));
        let target = if target == "self" { source } else { target };
        let key = (source.to_owned(), target.to_owned(), class.to_owned());
        all.extend(permissions.split_whitespace().map(|p| (key.clone(), p.to_owned())));
    }
    all
}

/// Our `allow` rules on types that are not the module's own, one a permission.
fn our_rules(lesson: &Lesson<'_>) -> BTreeSet<(Key, String)> {
    let mut all = BTreeSet::new();
    for group in &lesson.groups {
        let made: BTreeSet<&str> = group.new_types.iter().map(|t| t.name.as_str()).collect();
        for (rule, grant) in group.te.rules.iter().chain(group.cil.rules.iter()) {
            let target = match rule.target_text() {
                "self" => rule.source.as_str(),
                other => other,
            };
            if !made.contains(target) {
                let key = (rule.source.to_string(), target.to_owned(), rule.class.to_string());
                all.extend(grant.permissions.iter().map(|p| (key.clone(), p.to_string())));
            }
        }
    }
    all
}

/// Whether a permission that the oracle allows has, in the report, something better than a rule, or a reason for none.
fn has_reason(lesson: &Lesson<'_>, (source, target, class): &Key, permission: &str) -> bool {
    lesson.groups.iter().flat_map(|g| &g.denials).any(|d| {
        let key = &d.denial.key;
        let about = key.source.kind.as_str() == source
            && key.target.kind.as_str() == target
            && key.class.as_str() == class
            && key.permissions.iter().any(|p| p.as_str() == permission);
        let verdict = d.verdict.as_ref().unwrap();
        about
            && match &verdict.remedy {
                // Of a rule that is written, only what is allowed today may be left out.
                Remedy::Allow { permissions, .. } => {
                    let already = verdict.evidence.iter().any(|e| e.starts_with("allowed already: "));
                    already && permissions.iter().all(|p| p.as_str() != permission)
                }
                _ => !verdict.cause.is_empty(),
            }
    })
}

/// Samples on which audit2allow allows what we have no denial for: its mistakes (docs/reference-quirks.md). The test
/// fails when a listed difference is gone.
const THEIRS_ALONE: &[&str] = &[
    "cut-last-line",
    "interpreted-injection",
    "kernel-two-contexts",
    "unknown-class",
    "user-avc-full-buffer",
    "user-avc-injection",
];
/// Samples in which it misses rules that we write (of the journal's JSON it finds only what looks like a line of a log).
const OURS_ALONE: &[&str] = &["journal-json-variants", "not-utf8", "old-kernels"];

#[test]
fn what_audit2allow_allows_is_allowed_or_has_a_reason_and_nothing_else_is() {
    if !support::have("audit2allow") || !policy_is_there() {
        return;
    }
    let ground = ground();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, _, log) in samples().into_iter().filter(|(_, _, log)| is_small(log)) {
        let bytes = bytes_of(&log);
        let plain = dir.path().join("log");
        std::fs::write(&plain, &bytes).unwrap();
        let out = Command::new("audit2allow").args(["-p", POLICY, "-i"]).arg(&plain).output().unwrap();
        let theirs = allow_rules(&String::from_utf8_lossy(&out.stdout));
        let log = log_of(&bytes);
        let lesson = learn::judge(&log, &[], &learn::Options::default(), Some(&ground));
        let ours = our_rules(&lesson);
        let missing: Vec<_> =
            theirs.difference(&ours).filter(|(key, p)| !has_reason(&lesson, key, p)).collect();
        let more: Vec<_> = ours.difference(&theirs).collect();
        if THEIRS_ALONE.contains(&name.as_str()) == missing.is_empty() {
            wrong.push(format!("{name}: without a reason we do not allow {missing:?}"));
        }
        if OURS_ALONE.contains(&name.as_str()) == more.is_empty() {
            wrong.push(format!("{name}: it does not allow {more:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What audit2why says of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Theirs {
    Allowed,
    NoRule,
    Boolean,
    Constraint,
    Role,
}

/// The reasons by (source type, target type, class, permissions).
fn audit2why(text: &str) -> BTreeMap<(Key, Vec<String>), Theirs> {
    let mut all = BTreeMap::new();
    let mut record = None;
    for line in text.lines() {
        if line.contains("avc: ") && line.contains("scontext=") {
            let field = |name: &str| line.split_once(name)?.1.split_whitespace().next().map(str::to_owned);
            let ty = |name: &str| field(name)?.split(':').nth(2).map(str::to_owned);
            let braces = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
            let mut permissions: Vec<String> =
                braces.map(|(p, _)| p.split_whitespace().map(str::to_owned).collect()).unwrap_or_default();
            permissions.sort();
            record = ty("scontext=")
                .zip(ty("tcontext="))
                .zip(field("tclass="))
                .map(|((s, t), c)| ((s, t, c), permissions));
        }
        let reason = if line.contains("would be allowed by active policy") {
            Theirs::Allowed
        } else if line.contains("Missing type enforcement") {
            Theirs::NoRule
        } else if line.contains("boolean") && line.contains("was set incorrectly")
            || line.contains("One of the following booleans")
        {
            Theirs::Boolean
        } else if line.contains("Policy constraint violation") {
            Theirs::Constraint
        } else if line.contains("Missing role allow rule") {
            Theirs::Role
        } else {
            continue;
        };
        if let Some(record) = record.take() {
            all.insert(record, reason);
        }
    }
    all
}

#[test]
fn audit2why_says_the_same_of_every_record() {
    if !support::have("audit2why") || !policy_is_there() {
        return;
    }
    let ground = ground();
    let dir = tempfile::tempdir().unwrap();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    let mut seen = BTreeSet::new();
    for (name, _, log) in samples() {
        // In these it takes contexts and permissions from what others wrote.
        if THEIRS_ALONE.contains(&name.as_str()) || name == "not-utf8" || !is_small(&log) {
            continue;
        }
        let bytes = bytes_of(&log);
        let plain = dir.path().join("log");
        std::fs::write(&plain, &bytes).unwrap();
        let out = Command::new("audit2why").args(["-p", POLICY, "-i"]).arg(&plain).output().unwrap();
        let theirs = audit2why(&String::from_utf8_lossy(&out.stdout));
        let log = log_of(&bytes);
        let lesson = learn::judge(&log, &[], &learn::Options::default(), Some(&ground));
        for denial in lesson.groups.iter().flat_map(|g| &g.denials) {
            let key = &denial.denial.key;
            let about = (key.source.kind.to_string(), key.target.kind.to_string(), key.class.to_string());
            let permissions: Vec<String> = key.permissions.iter().map(ToString::to_string).collect();
            let Some(theirs) = theirs.get(&(about, permissions)) else { continue };
            let verdict = denial.verdict.as_ref().unwrap();
            compared += 1;
            seen.insert(theirs.clone());
            let boolean = verdict.not.iter().any(|n| n.remedy.contains("boolean"))
                || matches!(verdict.remedy, Remedy::Booleans { .. });
            let by_a_set = match &verdict.remedy {
                Remedy::Booleans { set, .. } => set.len() > 1,
                _ => false,
            };
            let blocked =
                matches!(verdict.code.id, "rule::level" | "rule::constraint" | "rule::role" | "rule::bounds");
            let allowed = matches!(verdict.code.id, "rule::allowed-today" | "rule::filtered");
            let agrees = match theirs {
                Theirs::Allowed => allowed,
                // It finds single booleans only, and speaks of a missing rule before a constraint.
                Theirs::NoRule => !allowed && (!boolean || by_a_set),
                Theirs::Boolean => boolean,
                Theirs::Constraint | Theirs::Role => blocked,
            };
            if !agrees {
                wrong.push(format!(
                    "{name}: {theirs:?}, ours {} {:?}\n  {key:?}",
                    verdict.code.id, verdict.remedy
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 300 && seen.len() >= 3, "{compared} {seen:?}");
}

/// Writes a group's files and compiles them.
fn compile(files: &[perms::learn::module::ModuleFile]) {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        std::fs::write(dir.path().join(&file.name), &file.text).unwrap();
    }
    for te in files.iter().filter(|f| f.name.ends_with(".te")) {
        support::compile_te(&dir.path().join(&te.name));
    }
}

#[test]
fn every_module_compiles() {
    if !support::have("checkmodule") || !support::have("semodule_package") || !policy_is_there() {
        return;
    }
    let ground = ground();
    let mut with_contexts = 0;
    for (_, _, log) in samples() {
        let log = log_of(&bytes_of(&log));
        let options = learn::Options { xperms: true, ..learn::Options::default() };
        let lesson = learn::judge(&log, &[], &options, Some(&ground));
        let all: Vec<_> =
            lesson.groups.iter().flat_map(|g| learn::module::files(&lesson, g, &options)).collect();
        with_contexts += all.iter().filter(|f| f.name.ends_with(".fc")).count();
        compile(&all);
    }
    assert!(with_contexts > 0, "no sample makes a type");
}

/// An AVC record.
fn record(
    serial: usize,
    source: &str,
    target: &str,
    class: &str,
    permissions: &[&str],
    fields: &str,
) -> String {
    format!(
        "type=AVC msg=audit(1795243565.012:{serial}): avc:  denied  {{ {} }} for  pid=7 {fields} \
         scontext=system_u:system_r:{source}:s0 tcontext=system_u:object_r:{target}:s0 tclass={class} permissive=0\n",
        permissions.join(" ")
    )
}

/// Random denials near Debian's rules: types, a class and some of its permissions.
fn denials(policy: &Policy, random: &mut Random, many: usize) -> String {
    let types: Vec<&str> = policy
        .types()
        .iter()
        .filter(|t| t.kind == TypeKind::Type && !t.name.contains('.'))
        .map(|t| &*t.name)
        .collect();
    let classes: Vec<_> = policy.classes().iter().map(|c| (c.id, c.name.to_string())).collect();
    let common = ["file", "dir", "tcp_socket", "process", "capability"];
    let domains: Vec<&str> = types
        .iter()
        .filter(|t| ["httpd_t", "sshd_t", "named_t", "initrc_t", "user_t"].contains(t))
        .copied()
        .collect();
    let mut text = String::new();
    for serial in 1..=many {
        let wanted = *random.pick(&common);
        let (id, class) = if random.one_in(4) {
            random.pick(&classes).clone()
        } else {
            classes.iter().find(|(_, n)| n == wanted).unwrap().clone()
        };
        let all: Vec<&str> = policy.permissions(id).map(|p| &*p.name).collect();
        if all.is_empty() {
            continue;
        }
        let permissions: BTreeSet<&str> = (0..=random.below(4)).map(|_| *random.pick(&all)).collect();
        let permissions: Vec<&str> = permissions.into_iter().collect();
        let source = if random.one_in(2) { *random.pick(&domains) } else { *random.pick(&types) };
        let target = if random.one_in(3) { source } else { *random.pick(&types) };
        text.push_str(&record(serial, source, target, &class, &permissions, "comm=\"a\""));
    }
    text
}

#[test]
fn rules_are_a_minimal_cover_and_each_permission_is_proved() {
    if !policy_is_there() {
        return;
    }
    let ground = ground();
    let mut random = Random::new();
    let mut proved = 0;
    for _ in 0..cases(4) {
        let log = log_of(denials(&ground.policy, &mut random, 60).as_bytes());
        let options = learn::Options { prove: true, ..learn::Options::default() };
        let lesson = learn::judge(&log, &[], &options, Some(&ground));
        let judgement = lesson.judgement.as_ref().unwrap();
        assert_eq!(judgement.replay.failed, None);
        // Whatever has a rule, a boolean, a label or a statement as remedy is allowed with it.
        let remain: BTreeSet<usize> = judgement.replay.remain.iter().map(|(n, _)| *n).collect();
        for denial in lesson.groups.iter().flat_map(|g| &g.denials) {
            let verdict = denial.verdict.as_ref().unwrap();
            let stays = matches!(verdict.remedy, Remedy::ByHand { .. } | Remedy::Silence { .. });
            // A statement mends one of several causes: the others are said.
            let may = stays || matches!(verdict.remedy, Remedy::Statement(_));
            assert!(may || !remain.contains(&denial.number), "{:?}\n{verdict:?}", denial.denial.key);
        }
        // And nothing can be left out.
        for proof in judgement.proofs.as_ref().unwrap() {
            assert!(proof.returns.is_some() || proof.kept, "{} is not needed", proof.text);
            proved += 1;
        }
    }
    assert!(proved > 50, "{proved}");
}

/// A value in the kernel's way of writing it.
fn encoded(value: &[u8]) -> String {
    if value.iter().all(|b| b.is_ascii_graphic() && *b != b'"') {
        format!("\"{}\"", String::from_utf8_lossy(value))
    } else {
        value.iter().map(|b| format!("{b:02X}")).collect()
    }
}

const HOSTILE: &[&str] = &[
    "{ execmod entrypoint }",
    "avc:  granted  { write } for",
    "scontext=u:r:evil_t:s0 tcontext=u:r:evil_t:s0 tclass=process",
    "/srv/evil/index.html",
    "/srv/www/x;rm -rf /",
    "/srv/a b/c",
    "/srv/\u{1b}[2J/x",
    "/var/lib/../../etc/shadow",
    "/data/(.*)/page",
    "x\nallow evil_t evil_t:process execmem;",
    "/data/`id`/$(id)/page",
    "/srv/app/site\") allow a b:c d; (\"",
    "/data/caf\u{e9}/page",
    "",
];

#[test]
fn no_untrusted_value_moves_a_rule() {
    if !policy_is_there() {
        return;
    }
    let ground = ground();
    let mut random = Random::new();
    let options = learn::Options { xperms: true, ..learn::Options::default() };
    for _ in 0..cases(12) {
        let mut lines = [Vec::new(), Vec::new(), Vec::new()];
        for serial in 1..=6 {
            let target = *random.pick(&["var_t", "default_t", "user_home_t", "etc_t", "shadow_t", "httpd_t"]);
            let (class, all): (_, &[&str]) = *random.pick(&[
                ("file", &["read", "write", "getattr"][..]),
                ("dir", &["search", "write", "add_name"][..]),
            ]);
            let permissions = [*random.pick(all)];
            let mut value = random.pick(HOSTILE).as_bytes().to_vec();
            for _ in 0..random.below(4) {
                value.push(random.below(256) as u8);
            }
            let value = encoded(&value);
            let fields = [
                "comm=\"a\"".to_owned(),
                // What is no path: it moves nothing at all.
                format!("comm={value} name={}", encoded(b"x").replace('/', "")),
                // What may be one: it may turn a rule into something better, never into another rule.
                format!("comm={value} path={value} dev=\"vda\" ino=9"),
            ];
            for (lines, fields) in lines.iter_mut().zip(fields) {
                lines.extend(record(serial, "httpd_t", target, class, &permissions, &fields).into_bytes());
            }
        }
        let logs = lines.map(|l| log_of(&l));
        let [plain, named, pathed] = [0, 1, 2].map(|i| learn::judge(&logs[i], &[], &options, Some(&ground)));
        assert_eq!(our_rules(&plain), our_rules(&named));
        let more: Vec<_> = our_rules(&pathed).difference(&our_rules(&plain)).cloned().collect();
        assert!(more.is_empty(), "a path made rules: {more:?}");
        let mut files = Vec::new();
        for group in &pathed.groups {
            // Types that the module makes are named by the module alone.
            for (i, new) in group.new_types.iter().enumerate() {
                let number = if i == 0 { String::new() } else { (i + 1).to_string() };
                let ends = ["content", "rw_content"].map(|end| format!("httpd_{end}{number}_t"));
                let known = group.new_types.iter().map(|t| t.name.as_str()).collect::<Vec<_>>();
                assert!(ends.contains(&new.name.to_string()) || known.len() > 1, "{known:?}");
                assert!(new.name.as_str().starts_with("httpd_"), "{}", new.name);
            }
            files.extend(learn::module::files(&pathed, group, &options));
        }
        for file in &files {
            assert!(file.text.is_ascii() && !file.text.contains('\u{1b}'), "{}", file.text);
            if file.name.ends_with(".fc") {
                for line in file.text.lines().filter(|l| !l.starts_with('#')) {
                    assert!(line.split_whitespace().count() <= 3, "{line}");
                    assert!(line.contains("  system_u:object_r:httpd_"), "{line}");
                }
            }
        }
        if support::which("checkmodule").is_some() && random.one_in(6) {
            compile(&files);
        }
    }
}

#[test]
fn modules_for_the_reference_policy_build_with_its_makefile() {
    let makefile = "/usr/share/selinux/devel/Makefile";
    if !policy_is_there() {
        return;
    }
    if !Path::new(makefile).exists() {
        support::skip("needs the policy's headers (selinux-policy-dev)");
        return;
    }
    let ground = ground();
    let path = "path=\"/data/app/state/x\" dev=\"vda\" ino=9";
    let text = record(1, "dmesg_t", "default_t", "file", &["write"], path)
        + &record(2, "dmesg_t", "dmesg_t", "process", &["execmem"], "comm=\"a\"");
    let log = log_of(text.as_bytes());
    let options = learn::Options { form: Form::PolicyModule, ..learn::Options::default() };
    let lesson = learn::judge(&log, &[], &options, Some(&ground));
    let files: Vec<_> =
        lesson.groups.iter().flat_map(|g| learn::module::files(&lesson, g, &options)).collect();
    let kinds: BTreeSet<&str> =
        files.iter().filter_map(|f| f.name.rsplit_once('.')).map(|(_, k)| k).collect();
    assert_eq!(kinds, BTreeSet::from(["fc", "if", "te"]), "{files:#?}");
    let dir = tempfile::tempdir().unwrap();
    for file in &files {
        std::fs::write(dir.path().join(&file.name), &file.text).unwrap();
    }
    let out =
        Command::new("make").args(["-f", makefile, "dmesg_t.pp"]).current_dir(dir.path()).output().unwrap();
    assert!(
        out.status.success() && dir.path().join("dmesg_t.pp").exists(),
        "{}\n{}\n{files:#?}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}
