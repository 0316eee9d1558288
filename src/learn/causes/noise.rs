//! What no program needs: descriptors that it was handed, what the kernel only asks for, well-known probes.

use std::collections::BTreeSet;

use super::{Judge, Question, boolean};
use crate::denials::Denial;
use crate::learn::advice;
use crate::learn::verdict::{Not, Remedy, Verdict};
use crate::report::codes::rule::{INHERITED, PROBE};

/// What is asked for by the way, and nothing fails when it is denied: class, permission, and the system call that it
/// comes with where others of the same permission matter.
const PROBES: &[(&str, &str, Option<&str>, &str)] = &[
    ("process", "siginh", None, "signal state is reset on a change of domain, as it should be"),
    ("process", "rlimitinh", None, "limits are reset on a change of domain, as they should be"),
    ("process", "noatsecure", None, "the environment is cleaned on a change of domain, as it should be"),
    ("capability2", "block_suspend", None, "epoll asks for it by the way; without it the program works"),
    (
        "capability",
        "net_admin",
        Some("setsockopt"),
        "a larger socket buffer than allowed was asked for; the allowed one is given",
    ),
    ("capability", "sys_ptrace", Some("readlink"), "it looked at other processes in /proc"),
    ("capability", "sys_ptrace", Some("readlinkat"), "it looked at other processes in /proc"),
];

pub(super) fn judge(judge: &Judge<'_>, denial: &Denial, q: &Question) -> Option<Verdict> {
    let inherited = advice::inherited(denial);
    if !inherited && !PROBES.iter().any(|(class, ..)| *class == denial.key.class.as_str()) {
        return None;
    }
    let missing = boolean::missing(judge, q);
    let permissions = judge.permissions(denial, q, missing);
    let rule = || Not {
        remedy: format!("a rule: {}", judge.rule_text(q, missing)),
        why: "the program works without it".to_owned(),
    };
    let silence = |code, cause: String, permissions| Verdict {
        code,
        cause,
        evidence: Vec::new(),
        remedy: Remedy::Silence { permissions },
        not: vec![rule()],
    };
    if inherited {
        let cause = "it came while the program was started, on what its parent had open: it was handed it";
        return Some(silence(&INHERITED, cause.to_owned(), permissions));
    }
    let calls: BTreeSet<&[u8]> =
        denial.evidence.syscalls().iter().filter_map(|c| c.split(|b| *b == b' ').next()).collect();
    let why = |p: &str| {
        let known = PROBES.iter().find(|(class, permission, call, _)| {
            *class == denial.key.class.as_str()
                && *permission == p
                && call.is_none_or(|c| !calls.is_empty() && calls.iter().all(|is| *is == c.as_bytes()))
        });
        known.map(|(_, _, _, why)| *why)
    };
    let whys: Option<Vec<&str>> = permissions.iter().map(|p| why(p.as_str())).collect();
    let whys = whys.filter(|w| !w.is_empty())?;
    let cause = format!("a probe that may fail: {}", whys.first().copied().unwrap_or_default());
    Some(silence(&PROBE, cause, permissions))
}
