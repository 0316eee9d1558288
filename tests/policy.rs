//! The policy reader and its decisions, against files compiled by secilc and answers given by libsepol.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use perms::selinux::policy::{ClassId, Command, Context, New, Policy, RuleKind, Rules};

const FIXTURES: &str = "tests/policies";
const DEBIAN: [&str; 2] = ["/etc/selinux/default/policy/policy.33", "/etc/selinux/mls/policy/policy.33"];

/// Our own small policies, by file name.
fn fixtures() -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(FIXTURES)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e.to_str().unwrap().parse::<u32>().is_ok()))
        .collect();
    found.sort();
    assert!(found.len() >= 15, "{found:?}");
    found
}

fn is_xen(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().contains("xen")
}

/// Debian's policies, where they are installed.
fn debian() -> Vec<PathBuf> {
    DEBIAN
        .iter()
        .map(PathBuf::from)
        .filter(|p| p.exists() || support::skip(&format!("needs {}", p.display())))
        .collect()
}

fn version(path: &Path) -> u32 {
    path.extension().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn every_policy_is_written_back_byte_for_byte() {
    for path in fixtures().into_iter().filter(|p| !is_xen(p)).chain(debian()) {
        let bytes = std::fs::read(&path).unwrap();
        let policy = Policy::read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(policy.version(), version(&path));
        assert!(policy.write() == bytes, "{} differs", path.display());
    }
}

#[test]
fn a_policy_for_xen_is_refused_by_name() {
    for path in fixtures().into_iter().filter(|p| is_xen(p)) {
        let error = Policy::read(&std::fs::read(&path).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a policy for Linux (`SE Linux`), found one for Xen (`XenFlask`) at offset 4 in section header"
        );
    }
}

/// One `.decisions.tsv` beside a policy: each line what libsepol answers.
#[test]
fn every_decision_is_libsepols() {
    let mut files = 0;
    for path in fixtures() {
        let table = path.with_extension(format!("{}.decisions.tsv", version(&path)));
        let Ok(table) = std::fs::read_to_string(&table) else { continue };
        files += 1;
        let policy = Policy::read(&std::fs::read(&path).unwrap()).unwrap();
        let view = policy.view();
        let mut contexts: BTreeMap<&str, Context> = BTreeMap::new();
        let mut decisions = 0;
        for (n, line) in table.lines().enumerate().filter(|(_, l)| !l.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            if let ["invalid", context] = fields[..] {
                assert!(policy.parse_context(context).is_err(), "{}:{}", path.display(), n + 1);
                continue;
            }
            let [source, target, class, allowed, audit_allow, audit_deny, transition, member, change] =
                fields[..]
            else {
                panic!("{}:{}: {line}", path.display(), n + 1)
            };
            for text in [source, target] {
                contexts.entry(text).or_insert_with(|| policy.parse_context(text).unwrap());
            }
            let (source, target) = (&contexts[source], &contexts[target]);
            let class = policy.classes().id(class).unwrap();
            let access = view.access(source, target, class);
            let ours = [
                policy.permission_names(class, access.allowed).join(","),
                format!("{:08x}", access.audit_allow),
                format!("{:08x}", access.audit_deny),
                new(&policy, New::Created, source, target, class),
                new(&policy, New::Member, source, target, class),
                new(&policy, New::Changed, source, target, class),
            ];
            let theirs = [allowed, audit_allow, audit_deny, transition, member, change];
            assert_eq!(ours, theirs, "{}:{}: {line}", path.display(), n + 1);
            decisions += 1;
        }
        assert!(decisions > 1000);
    }
    assert!(files >= 2);
}

/// The context as text, `-` where it would be invalid.
fn new(policy: &Policy, new: New, source: &Context, target: &Context, class: ClassId) -> String {
    let context = policy.view().new_context_by(Rules::Libsepol, new, source, target, class, None);
    if policy.check_context(&context).is_ok() { policy.context_text(&context) } else { "-".to_owned() }
}

/// Between two types any rule of extended permissions filters, also one that only silences or reports.
#[test]
fn any_rule_of_extended_permissions_filters() {
    let policy = Policy::read(&std::fs::read("tests/policies/features.33").unwrap()).unwrap();
    let ty = |name| policy.types().id(name).unwrap();
    let (source, target, class) = (ty("app_t"), ty("shadow_t"), policy.classes().id("file").unwrap());
    let context = |text| policy.parse_context(text).unwrap();
    let (s, t) = (context("sys_u:app_r:app_t:s0"), context("sys_u:object_r:shadow_t:s0"));
    let ioctl = policy.permission(class, "ioctl").unwrap();
    let asked = |kind: Option<RuleKind>, command| {
        let mut overlay = policy.overlay();
        overlay.add_rule(RuleKind::Allow, source, target, class, ioctl).unwrap();
        if let Some(kind) = kind {
            overlay.add_commands(kind, (source, target, class), false, &[(0x5401, 0x5401)]).unwrap();
        }
        let policy = overlay.finish().unwrap();
        policy.view().extended_access(&s, &t, class, Command::Ioctl(command))
    };
    assert!(asked(None, 0x5401).allowed);
    let listed = asked(Some(RuleKind::AllowX), 0x5401);
    assert!(listed.allowed && listed.filtered && !asked(Some(RuleKind::AllowX), 0x5402).allowed);
    for kind in [RuleKind::AuditAllowX, RuleKind::DontAuditX] {
        for command in [0x5401, 0x5402] {
            let access = asked(Some(kind), command);
            assert!(access.permission && access.filtered && !access.allowed, "{kind:?} {command:#x}");
            // A denial is reported unless this very command is silenced.
            assert_eq!(access.audited, !(kind == RuleKind::DontAuditX && command == 0x5401));
        }
    }
}
