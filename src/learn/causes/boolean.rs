//! Rules that are there and turned off: the booleans that turn them on.

use super::{Judge, Question, listed};
use crate::learn::text;
use crate::learn::verdict::{Not, Remedy, Verdict};
use crate::report::codes::rule::BOOLEAN;
use crate::selinux::policy::BooleanId;

/// How many other sets are listed.
const OTHERS: usize = 3;

pub(super) fn judge(judge: &mut Judge<'_>, q: &Question) -> Option<Verdict> {
    let missing = missing(judge, q);
    let sets = ranked(judge, q, missing);
    let ((set, opens), others) = sets.split_first()?;
    let names = |set: &[(BooleanId, bool)]| -> Vec<(String, bool)> {
        let booleans = judge.ground.policy.booleans();
        set.iter().map(|(b, on)| (booleans.name(*b).to_owned(), *on)).collect()
    };
    let mut not: Vec<Not> = others
        .iter()
        .take(OTHERS)
        .map(|(set, opens)| Not { remedy: set_text(&names(set)), why: opens_text(*opens) })
        .collect();
    not.push(Not {
        remedy: format!("a rule: {}", judge.rule_text(q, missing)),
        why: "it would say again what the policy has a switch for".to_owned(),
    });
    let set = names(set);
    let states: Vec<String> =
        set.iter().map(|(n, on)| format!("{n} is {}", if *on { "off" } else { "on" })).collect();
    Some(Verdict {
        code: &BOOLEAN,
        cause: format!("a rule for this is there and turned off: {}", listed(&states)),
        evidence: vec![opens_text(*opens)],
        remedy: Remedy::Booleans { set, opens: *opens },
        not,
    })
}

/// `the boolean X on`
pub(super) fn set_text(set: &[(String, bool)]) -> String {
    let one = |(name, on): &(String, bool)| format!("{name} {}", if *on { "on" } else { "off" });
    let all: Vec<String> = set.iter().map(one).collect();
    format!("the boolean{} {}", if all.len() == 1 { "" } else { "s" }, listed(&all))
}

pub(super) fn opens_text(opens: usize) -> String {
    match opens {
        0 => "it opens nothing else".to_owned(),
        n => format!("it opens {}", text::count(text::len(n), "other access", "other accesses")),
    }
}

/// What no rule allows.
pub(super) fn missing(judge: &Judge<'_>, q: &Question) -> u32 {
    q.vector & !judge.view.allowed_by_rules(q.source.ty, q.target.ty, q.class)
}

/// A set of booleans, each with its new state, and how many other accesses it opens.
pub(super) type Ranked = (Vec<(BooleanId, bool)>, usize);

/// The sets that would let rules allow all of `vector`: few booleans first, then those that open least; what turns
/// a boolean off comes last, for it is on to protect something.
pub(super) fn ranked(judge: &mut Judge<'_>, q: &Question, vector: u32) -> Vec<Ranked> {
    if vector == 0 {
        return Vec::new();
    }
    let sets = judge.boolean_sets(q, vector);
    let own = vector.count_ones() as usize;
    let mut ranked: Vec<Ranked> =
        sets.iter().map(|set| (set.clone(), judge.opens(set).saturating_sub(own))).collect();
    ranked.sort_by_key(|(set, opens)| (set.iter().any(|(_, on)| !on), set.len(), *opens));
    ranked
}
