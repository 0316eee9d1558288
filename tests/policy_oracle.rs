//! Decisions, transitions and look-ups over Debian's whole policies, equal to libsepol's.
//!
//! `PERMS_CASES` sets how many random decisions are compared for each policy (20,000 without it).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use perms::selinux::policy::{ClassId, Context, New, Policy, Rules, Type, TypeKind};
use support::policy::Random;

const POLICIES: [&str; 4] = [
    "/etc/selinux/default/policy/policy.33",
    "/etc/selinux/mls/policy/policy.33",
    "tests/policies/features.33",
    "tests/policies/features-nomls.33",
];

/// The harness, compiled once.
fn oracle() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if !support::have("cc") {
            return None;
        }
        if !Path::new("/usr/include/sepol/policydb/services.h").exists() {
            support::skip("needs libsepol-dev");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let out = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(dir.path().join("oracle"))
            .args(["tests/harness/sepol_oracle.c", "-l:libsepol.a"])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Some(dir)
    });
    static PATH: OnceLock<std::path::PathBuf> = OnceLock::new();
    built.as_ref().map(|dir| &**PATH.get_or_init(|| dir.path().join("oracle")))
}

/// Asks all questions at once; the answers, one a line.
fn ask(policy: &str, questions: String) -> Vec<String> {
    let mut child = Command::new(oracle().unwrap())
        .arg(policy)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let answers = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    answers
}

fn each_policy(test: impl Fn(&str, &Policy)) {
    if oracle().is_none() {
        return;
    }
    for path in POLICIES {
        if !Path::new(path).exists() {
            support::skip(&format!("needs {path}"));
            continue;
        }
        test(path, &Policy::read(&std::fs::read(path).unwrap()).unwrap());
    }
}

fn cases() -> usize {
    std::env::var("PERMS_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(20_000)
}

/// Cases of one run of the harness: libsepol looks its contexts up one by one, so that many of them make it slow.
const BATCH: usize = 5000;

#[test]
fn random_decisions_and_transitions_are_libsepols() {
    each_policy(|path, policy| {
        let mut random = Random::new();
        let types: Vec<&Type> = policy.types().iter().filter(|t| t.kind == TypeKind::Type).collect();
        let batches = cases().div_ceil(BATCH);
        let mut allowed = 0;
        for batch in 0..batches {
            // Every type comes up in some batch, unless there are very few.
            let size = types.len().div_ceil(batches).clamp(300, 1500);
            let types: Vec<&Type> = types.iter().cycle().skip(batch * size).take(size).copied().collect();
            allowed += compare_batch(path, policy, &mut random, &types, BATCH.min(cases()));
        }
        let all = batches * BATCH.min(cases());
        eprintln!("{path}: {all} decisions equal, {allowed} of them allow something");
    });
}

fn compare_batch(path: &str, policy: &Policy, random: &mut Random, types: &[&Type], cases: usize) -> usize {
    let mut texts: Vec<String> = types.iter().map(|t| random.context(policy, Some(t))).collect();
    let wanted = texts.len() + 300;
    while texts.len() < wanted {
        texts.push(random.context(policy, None));
    }
    let questions = texts.iter().map(|t| format!("C {t}\n")).collect();
    let mut contexts = Vec::new();
    for (text, answer) in texts.iter().zip(ask(path, questions)) {
        let parsed = policy.parse_context(text);
        assert_eq!(parsed.is_ok(), answer != "invalid", "{path}: {text}: {parsed:?}");
        contexts.extend(parsed.map(|c| (text, c)));
    }
    assert!(contexts.len() > 100, "{path}: only {} valid contexts", contexts.len());

    let classes: Vec<ClassId> = policy.classes().iter().map(|c| c.id).collect();
    let mut questions: String = contexts.iter().map(|(t, _)| format!("C {t}\n")).collect();
    let mut asked = Vec::new();
    while asked.len() < cases {
        let case = if asked.len() % 2 == 0 {
            // At random: mostly nothing is allowed.
            let (s, t) = (random.below(contexts.len()), random.below(contexts.len()));
            (s, if random.below(5) == 0 { s } else { t }, *random.pick(&classes))
        } else {
            // Where a rule is.
            let rule = random.rule(policy);
            let mut of = |written| {
                let start = random.below(contexts.len());
                let mut all = (0..contexts.len()).map(|i| (start + i) % contexts.len());
                all.find(|i| policy.covers(written, contexts[*i].1.ty))
            };
            let (Some(s), Some(t)) = (of(rule.source().unwrap()), of(rule.target().unwrap())) else {
                continue;
            };
            (s, t, rule.class().unwrap())
        };
        questions.push_str(&format!("D {} {} {}\n", case.0, case.1, case.2.get()));
        asked.push(case);
    }
    let view = policy.view();
    let show = |new, s: &Context, t: &Context, class| {
        let made = view.new_context_by(Rules::Libsepol, new, s, t, class, None);
        if policy.check_context(&made).is_ok() { policy.context_text(&made) } else { "-".into() }
    };
    let mut allowed = 0;
    let answers = ask(path, questions);
    for ((s, t, class), answer) in asked.into_iter().zip(&answers[contexts.len()..]) {
        let (source, target) = (&contexts[s].1, &contexts[t].1);
        let access = view.access(source, target, class);
        let ours = format!(
            "{:08x} {:08x} {:08x} {} {} {}",
            access.allowed,
            access.audit_allow,
            access.audit_deny,
            show(New::Created, source, target, class),
            show(New::Member, source, target, class),
            show(New::Changed, source, target, class),
        );
        allowed += usize::from(access.allowed != 0);
        let class = policy.classes().name(class);
        assert_eq!(&ours, answer, "{path}: {} {} {class}", contexts[s].0, contexts[t].0);
    }
    allowed
}

/// libsepol answers with the initial SID's context where no statement fits; so its number in the kernel is asked too.
#[test]
fn contexts_of_ports_nodes_interfaces_and_file_systems_are_libsepols() {
    const FS_UNLABELED: u32 = 3;
    const PORT: u32 = 9;
    const NETIF: u32 = 10;
    const NETMSG: u32 = 11;
    const NODE: u32 = 12;
    // Our small policies number their initial SIDs otherwise.
    each_policy(|path, policy| {
        if path.starts_with("tests/") {
            return;
        }
        let mut random = Random::new();
        let text = |c: Option<&Context>| c.map_or("-".to_owned(), |c| policy.context_text(c));
        let or = |c: Option<&Context>, sid| text(c.or_else(|| policy.initial_context(sid)));
        let mut questions = String::new();
        let mut ours = Vec::new();
        let mut add = |question: String, answer: String| {
            questions.push_str(&question);
            questions.push('\n');
            ours.push((question, answer));
        };
        for protocol in [6u32, 17, 33, 132] {
            for port in (0..=65535u16).step_by(if protocol == 6 { 1 } else { 7 }) {
                let answer = or(policy.port(protocol, port).map(|p| &p.context), PORT);
                add(format!("P {protocol} {port}"), answer);
            }
        }
        for _ in 0..3000 {
            let mut n = || random.below(1 << 16) as u16;
            let v4 = std::net::Ipv4Addr::from(u32::from(n()) << 16 | u32::from(n()));
            let mut v6 = [0; 8].map(|_| n());
            match n() % 4 {
                0 => v6[0] = 0xfe80,
                1 => v6 = [0; 8],
                2 => v6[..6].copy_from_slice(&[0, 0, 0, 0, 0, 0xffff]),
                _ => v6[0] = 0xff00 | v6[0] & 0xff,
            }
            for address in
                [v4.into(), std::net::Ipv6Addr::from(v6).into(), [127, 0, 0, v4.octets()[0]].into()]
            {
                add(format!("N {address}"), or(policy.node(address), NODE));
            }
        }
        for name in ["lo", "eth0", "none"] {
            let (a, b) = policy.interface(name.as_bytes()).unzip();
            add(format!("I {name}"), format!("{} {}", or(a, NETIF), or(b, NETMSG)));
        }
        let mut types: Vec<String> = vec!["nosuchfs".into()];
        types
            .extend(policy.object_contexts().fs_uses.iter().map(|f| String::from_utf8_lossy(&f.name).into()));
        types.extend(policy.genfs().iter().map(|g| String::from_utf8_lossy(&g.fstype).into()));
        for fstype in &types {
            let answer = policy.file_system(fstype.as_bytes());
            let behaviour = match answer.kind {
                perms::selinux::policy::FsUseKind::Xattr => 1,
                perms::selinux::policy::FsUseKind::Trans => 2,
                perms::selinux::policy::FsUseKind::Task => 3,
                perms::selinux::policy::FsUseKind::Genfs => 4,
                _ => 5,
            };
            let context = if behaviour == 5 { or(None, FS_UNLABELED) } else { text(answer.context) };
            add(format!("U {fstype}"), format!("{behaviour} {context}"));
        }
        let classes = ["file", "dir", "lnk_file", "chr_file"].map(|c| policy.classes().id(c).unwrap());
        for genfs in policy.genfs() {
            for statement in &genfs.paths {
                let own = String::from_utf8_lossy(&statement.path).into_owned();
                for suffix in ["", "x", "/x", "/sys/net"] {
                    for class in classes {
                        let fstype = String::from_utf8_lossy(&genfs.fstype);
                        let path = format!("{own}{suffix}");
                        if path.starts_with("//") {
                            continue; // libsepol 3.4 takes the path as it is; the kernel drops slashes.
                        }
                        let answer = policy.genfs_path(&genfs.fstype, path.as_bytes(), Some(class));
                        let unlabeled = || policy.initial_context(FS_UNLABELED);
                        add(format!("G {fstype} {} {path}", class.get()), text(answer.or_else(unlabeled)));
                    }
                }
            }
        }
        let answers = ask(path, questions);
        assert_eq!(answers.len(), ours.len());
        for ((question, ours), theirs) in ours.iter().zip(&answers) {
            assert_eq!(ours, theirs, "{path}: {question}");
        }
        eprintln!("{path}: {} look-ups equal", ours.len());
    });
}
