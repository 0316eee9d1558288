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

use perms::selinux::policy::{ClassId, Context, New, Policy, Range, RoleId, Rules, Type, TypeId, TypeKind};
use support::policy::Random;

/// Ours are those that Debian 12's libsepol can read; newer versions have its answers beside them (tests/policy.rs).
const POLICIES: [&str; 13] = [
    "/etc/selinux/default/policy/policy.33",
    "/etc/selinux/mls/policy/policy.33",
    "tests/policies/features.24",
    "tests/policies/features.25",
    "tests/policies/features.26",
    "tests/policies/features.27",
    "tests/policies/features.28",
    "tests/policies/features.29",
    "tests/policies/features.30",
    "tests/policies/features.31",
    "tests/policies/features.32",
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
        // Ours are small and many: less of each does.
        let cases = if path.starts_with("tests/") { cases() / 10 } else { cases() };
        let batches = cases.div_ceil(BATCH);
        let mut allowed = 0;
        for batch in 0..batches {
            // Every type comes up in some batch, unless there are very few.
            let size = types.len().div_ceil(batches).clamp(300, 1500);
            let types: Vec<&Type> = types.iter().cycle().skip(batch * size).take(size).copied().collect();
            allowed += compare_batch(path, policy, &mut random, &types, BATCH.min(cases));
        }
        let all = batches * BATCH.min(cases);
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
        contexts.extend(parsed.map(|c| (text.clone(), c)));
    }
    assert!(contexts.len() > 100, "{path}: only {} valid contexts", contexts.len());

    let classes: Vec<ClassId> = policy.classes().iter().map(|c| c.id).collect();
    let mut asked = Vec::new();
    while asked.len() < cases {
        asked.push(if asked.len() % 2 == 0 {
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
        });
    }
    compare(path, policy, &contexts, asked)
}

/// Asks libsepol for decisions and new contexts: by source, target and class. How many allow something.
fn compare(
    path: &str,
    policy: &Policy,
    contexts: &[(String, Context)],
    asked: Vec<(usize, usize, ClassId)>,
) -> usize {
    let mut questions: String = contexts.iter().map(|(t, _)| format!("C {t}\n")).collect();
    for (s, t, class) in &asked {
        questions.push_str(&format!("D {s} {t} {}\n", class.get()));
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

/// Every pair (all with `PERMS_CASES` of a million) of contexts at the edges, for every class: those of the initial SIDs, and of each user the first and the
/// last role and type that go together, at its lowest level and over its whole range.
#[test]
fn boundary_decisions_and_transitions_are_libsepols() {
    each_policy(|path, policy| {
        let mut contexts: Vec<Context> =
            policy.object_contexts().initial_sids.iter().map(|s| s.context.clone()).collect();
        for user in policy.users().iter() {
            let ranges = match &user.mls {
                None => vec![None],
                Some((range, _)) => vec![Some(range.clone()), Some(Range::single(range.low.clone()))],
            };
            let roles: Vec<_> = user.roles.iter().filter_map(RoleId::from_bit).collect();
            let (first, last) = (roles.first().copied(), roles.last().copied());
            for role in [first, last].into_iter().flatten() {
                let types = &policy.roles().get(role).unwrap().types;
                for ty in [types.iter().next(), types.last()].into_iter().flatten() {
                    for range in &ranges {
                        let (user, ty) = (user.id, TypeId::from_bit(ty).unwrap());
                        contexts.push(Context { user, role, ty, range: range.clone() });
                    }
                }
            }
        }
        contexts.retain(|c| policy.check_context(c).is_ok());
        let mut contexts: Vec<(String, Context)> =
            contexts.into_iter().map(|c| (policy.context_text(&c), c)).collect();
        contexts.sort_by(|a, b| a.0.cmp(&b.0));
        contexts.dedup_by(|a, b| a.0 == b.0);
        let pairs = (0..contexts.len()).flat_map(|s| (0..contexts.len()).map(move |t| (s, t)));
        let classes: Vec<ClassId> = policy.classes().iter().map(|c| c.id).collect();
        let asked = pairs.flat_map(|(s, t)| classes.iter().map(move |c| (s, t, *c)));
        // A tenth of a whole policy's, a prime's way apart, unless all are asked for.
        let step = if path.starts_with("tests/") || cases() >= 1_000_000 { 1 } else { 11 };
        let asked: Vec<_> = asked.step_by(step).collect();
        let (all, allowed) = (asked.len(), compare(path, policy, &contexts, asked));
        eprintln!("{path}: {all} decisions at the edges equal, {allowed} of them allow something");
    });
}

/// The differences that docs/reference-quirks.md lists: where one disappears, it is taken off the list.
#[test]
fn what_libsepol_does_otherwise_it_still_does() {
    let path = "/etc/selinux/default/policy/policy.33";
    if oracle().is_none() || !Path::new(path).exists() {
        support::skip(&format!("needs {path}"));
        return;
    }
    let policy = Policy::open(Path::new(path)).unwrap();
    let (source, target) = ("system_u:system_r:httpd_t:s0", "system_u:object_r:etc_t:s0");
    let (s, t) = (policy.parse_context(source).unwrap(), policy.parse_context(target).unwrap());
    let class = policy.classes().id("tcp_socket").unwrap();
    let genfs = policy.genfs().iter().find(|g| &*g.fstype == b"proc").unwrap();
    let longest = genfs.paths.iter().max_by_key(|p| p.path.len()).unwrap();
    let below = String::from_utf8(longest.path.to_vec()).unwrap();
    let file = policy.classes().id("file").unwrap();
    let questions = format!(
        "C {source}\nC {target}\nD 0 1 {0}\nG proc {1} {below}\nG proc {1} /{below}\n",
        class.get(),
        file.get()
    );
    let answers = ask(path, questions);
    // A socket is its process's for the kernel, an object like others for libsepol.
    let made =
        |rules| policy.context_text(&policy.view().new_context_by(rules, New::Created, &s, &t, class, None));
    assert_eq!(made(Rules::Kernel), source);
    assert_eq!(made(Rules::Libsepol), "system_u:object_r:etc_t:s0");
    assert_eq!(answers[2].split(' ').nth(3), Some("system_u:object_r:etc_t:s0"), "{}", answers[2]);
    // Slashes in front of a path are one for the kernel, and a path that fits nothing below for libsepol.
    let ours = policy.genfs_path(b"proc", format!("/{below}").as_bytes(), Some(file));
    assert_eq!(ours, Some(&longest.context));
    assert_eq!(answers[3], policy.context_text(&longest.context));
    assert_ne!(answers[4], answers[3]);
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
