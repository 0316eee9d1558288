//! Searches, equal to those of setools: `PERMS_CASES` random ones (40 for each policy without it).

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

use perms::selinux::policy::{Found, Party, Policy, Query, RuleKind, Symbol as _, Type};
use serde_json::{Value, json};
use support::policy::Random;

const POLICIES: [&str; 3] = [
    "tests/policies/features.29",
    "/etc/selinux/default/policy/policy.33",
    "/etc/selinux/mls/policy/policy.33",
];

const KINDS: [RuleKind; 9] = [
    RuleKind::Allow,
    RuleKind::AuditAllow,
    RuleKind::DontAudit,
    RuleKind::Transition,
    RuleKind::Member,
    RuleKind::Change,
    RuleKind::AllowX,
    RuleKind::AuditAllowX,
    RuleKind::DontAuditX,
];

/// A query, mostly about what a rule that there is says, and the same for setools.
fn query(policy: &Policy, random: &mut Random) -> (Query, Value) {
    let rule = random.rule(policy);
    let records: Vec<&Type> = policy.types().records().iter().collect();
    let party = |random: &mut Random, written| {
        if random.one_in(3) {
            return (None, None);
        }
        let id = match random.below(8) {
            0 => random.pick(&records).id,
            1 => written,
            _ => {
                let members = policy.expand(written);
                if members.is_empty() { written } else { *random.pick(&members) }
            }
        };
        let direct = random.one_in(4);
        (Some(if direct { Party::Written(id) } else { Party::About(id) }), Some(policy.types().name(id)))
    };
    let (source, source_name) = party(random, rule.source().unwrap());
    let (target, target_name) = party(random, rule.target().unwrap());
    let mut classes = vec![rule.class().unwrap()];
    while random.one_in(4) {
        classes.push(random.pick(&policy.classes().iter().map(|c| c.id).collect::<Vec<_>>()).to_owned());
    }
    let kinds =
        if random.one_in(5) { vec![*random.pick(&KINDS), *random.pick(&KINDS)] } else { vec![rule.kind()] };
    let mut permissions: Vec<String> = Vec::new();
    if random.one_in(2) {
        let names: Vec<&str> = policy.permissions(classes[0]).map(|p| &*p.name).collect();
        (0..=random.below(2)).for_each(|_| permissions.push((*random.pick(&names)).to_owned()));
    }
    let all_permissions = random.one_in(3);
    let new_type = (kinds[0].gives_type() && random.one_in(2)).then(|| rule.new_type()).flatten();
    let mut booleans = Vec::new();
    if random.one_in(8) {
        booleans.push(random.pick(&policy.booleans().iter().map(|b| b.id).collect::<Vec<_>>()).to_owned());
    }
    let asked = json!({
        "kinds": kinds.iter().map(|k| k.as_str()).collect::<Vec<_>>(),
        "source": source_name,
        "source_direct": matches!(source, Some(Party::Written(_))),
        "target": target_name,
        "target_direct": matches!(target, Some(Party::Written(_))),
        "classes": classes.iter().map(|c| policy.classes().name(*c)).collect::<Vec<_>>(),
        "permissions": permissions,
        "all": all_permissions,
        "new": new_type.map(|t| policy.types().name(t)),
        "booleans": booleans.iter().map(|b| policy.booleans().name(*b)).collect::<Vec<_>>(),
    });
    let query = Query {
        kinds,
        source,
        target,
        classes,
        permissions,
        all_permissions,
        new_type,
        booleans,
        commands: None,
    };
    (query, asked)
}

/// The query as setools takes it: an attribute that no type has is no criterion for it (it asks for the length).
fn without_empty_attributes(policy: &Policy, query: &Query) -> Query {
    let there = |party: &Option<Party>| {
        (*party).filter(|p| {
            let (Party::Written(id) | Party::About(id)) = p;
            !policy.expand(*id).is_empty()
        })
    };
    Query { source: there(&query.source), target: there(&query.target), ..query.clone() }
}

/// A rule's text with what stands in braces in order, so that two writers can be compared.
fn ordered(text: &str) -> String {
    let mut words: Vec<&str> = text.trim_end_matches(';').split_whitespace().collect();
    if let Some(open) = words.iter().position(|w| *w == "{") {
        let close = words.len() - 1;
        words[open + 1..close].sort_unstable();
    }
    words.join(" ")
}

fn ours(policy: &Policy, query: &Query) -> Vec<(String, Vec<String>, Option<bool>)> {
    let mut out: Vec<_> = policy
        .search(query)
        .iter()
        .map(|found| match found {
            Found::Rule(rule, condition) => {
                let booleans =
                    condition.map(|(i, _)| policy.conditionals()[i].booleans()).unwrap_or_default();
                let mut booleans: Vec<String> =
                    booleans.iter().map(|b| policy.booleans().name(*b).to_owned()).collect();
                booleans.sort();
                (ordered(&policy.rule_text(rule)), booleans, condition.map(|(_, branch)| branch))
            }
            Found::Name(rule, source, new) => {
                let ty = |t| policy.types().name(t);
                let class = policy.classes().get(rule.class).unwrap().name();
                let name = String::from_utf8_lossy(&rule.name);
                let (s, t, new) = (ty(*source), ty(rule.target), ty(*new));
                (format!("type_transition {s} {t}:{class} {new} {name}"), Vec::new(), None)
            }
        })
        .collect();
    out.sort();
    out
}

/// Our small policy without what Debian 12's tools do not know: message types, the capability for them, neveraudit.
fn with_extended_permissions(dir: &Path) -> Option<String> {
    if !support::have("secilc") {
        return None;
    }
    let unknown = ["(nlmsg netlink_route_socket", "netlink_xperm", "neveraudit"];
    let text = std::fs::read_to_string("tests/policies/features.cil").unwrap();
    let text: String =
        text.lines().filter(|l| !unknown.iter().any(|u| l.contains(u))).map(|l| format!("{l}\n")).collect();
    let (source, binary) = (dir.join("features.cil"), dir.join("policy.33"));
    std::fs::write(&source, text).unwrap();
    let run =
        Command::new("secilc").args(["-c", "33", "-f", "/dev/null", "-o"]).arg(&binary).arg(&source).status();
    assert!(run.unwrap().success());
    Some(binary.to_str().unwrap().to_owned())
}

#[test]
fn every_search_finds_what_setools_finds() {
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|p| {
        let found = Command::new(p).args(["-c", "import setools"]).stderr(Stdio::null()).status();
        found.is_ok_and(|s| s.success())
    });
    let Some(python) = python else {
        support::skip("needs python3-setools");
        return;
    };
    let cases = std::env::var("PERMS_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    let dir = tempfile::tempdir().unwrap();
    let extended = with_extended_permissions(dir.path());
    for path in POLICIES.into_iter().chain(extended.as_deref()) {
        if !Path::new(path).exists() {
            support::skip(&format!("needs {path}"));
            continue;
        }
        let policy = Policy::open(Path::new(path)).unwrap();
        let mut random = Random::new();
        let (queries, asked): (Vec<Query>, Vec<Value>) =
            (0..cases).map(|_| query(&policy, &mut random)).unzip();
        let mut child = Command::new(python)
            .args(["tests/harness/sesearch_oracle.py", path])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text: String = asked.iter().map(|a| format!("{a}\n")).collect();
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let mut found = 0;
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        for (query, asked) in queries.iter().zip(&asked) {
            let answer = answers.next().unwrap_or_else(|| panic!("{path}: no answer to {asked}")).unwrap();
            let answer: Vec<(String, Vec<String>, Option<bool>)> = serde_json::from_str(&answer).unwrap();
            let mut theirs: Vec<_> =
                answer.into_iter().map(|(text, b, w)| (ordered(&text).replace('"', ""), b, w)).collect();
            theirs.sort();
            let ours = ours(&policy, &without_empty_attributes(&policy, query));
            found += ours.len();
            if ours != theirs {
                let extra: Vec<_> = ours.iter().filter(|r| !theirs.contains(r)).take(5).collect();
                let missing: Vec<_> = theirs.iter().filter(|r| !ours.contains(r)).take(5).collect();
                panic!("{path}: {asked}\nonly ours: {extra:#?}\nonly theirs: {missing:#?}");
            }
        }
        writer.join().unwrap().unwrap();
        assert!(child.wait().unwrap().success());
        eprintln!("{path}: {cases} searches equal, {found} rules found");
    }
}
