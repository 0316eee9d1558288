//! Rules that are there and turned off: the booleans that turn them on.
//!
//! A boolean is the policy's own switch, made for a purpose and kept by its authors. It is worth opening something more
//! than was asked for, but not anything: some open the network to hundreds of domains for one connection. The bound is
//! [`MOST_FOR_EACH`], taken over the whole log (`cover`): beyond it the rule is the remedy, and the boolean what is worse.

use super::{Judge, Question, listed, names};
use crate::denials::Denial;
use crate::learn::text;
use crate::learn::verdict::{Not, Remedy, Verdict};
use crate::report::codes::rule::BOOLEAN;
use crate::selinux::policy::BooleanId;

/// How many other sets are listed.
const OTHERS: usize = 3;

/// How many other accesses (source type, target type, class, permission) a set of booleans may open for each access that
/// the log asks of it. Those made for one purpose open up to some dozens; those for many domains open thousands.
pub const MOST_FOR_EACH: usize = 100;

pub(super) fn judge(judge: &mut Judge<'_>, q: &Question) -> Option<Verdict> {
    let (set, _) = judge.boolean_choices(q).into_iter().next()?;
    verdict(judge, q, &set)
}

/// The verdict where this set of booleans is taken.
pub(in crate::learn) fn chosen(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
    set: &[(String, bool)],
) -> Option<Verdict> {
    let mut verdict = verdict(judge, q, set)?;
    names::remarks(judge, denial, q, &mut verdict.evidence);
    Some(verdict)
}

fn verdict(judge: &mut Judge<'_>, q: &Question, taken: &[(String, bool)]) -> Option<Verdict> {
    let missing = missing(judge, q);
    let same = |set: &[(String, bool)]| set.len() == taken.len() && set.iter().all(|one| taken.contains(one));
    let (mine, others): (Vec<_>, Vec<_>) =
        judge.boolean_choices(q).into_iter().partition(|(set, _)| same(set));
    let (set, opens) = mine.into_iter().next()?;
    let mut not: Vec<Not> = others
        .iter()
        .take(OTHERS)
        .map(|(set, opens)| Not { remedy: set_text(set), why: opens_text(*opens) })
        .collect();
    not.push(Not {
        remedy: format!("a rule: {}", judge.rule_text(q, missing)),
        why: "it would open nothing else, but say again what the policy has a switch for".to_owned(),
    });
    let states: Vec<String> =
        set.iter().map(|(n, on)| format!("{n} is {}", if *on { "off" } else { "on" })).collect();
    Some(Verdict {
        code: &BOOLEAN,
        cause: format!("a rule for this is there and turned off: {}", listed(&states)),
        evidence: vec![opens_text(opens)],
        remedy: Remedy::Booleans { set, opens },
        not,
    })
}

/// What helps where the booleans would open too much: `opens` other accesses for `needed`. They stay under it as worse.
pub(in crate::learn) fn too_wide(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
    (set, opens): (&[(String, bool)], usize),
    needed: usize,
) -> Verdict {
    let mut verdict = judge.beyond_booleans(denial, q);
    let why = format!(
        "{}, and {} needed: more than {MOST_FOR_EACH} for each",
        opens_text(opens),
        if needed == 1 { "1 is".to_owned() } else { format!("{} are", text::thousands(text::len(needed))) }
    );
    verdict.not.push(Not { remedy: set_text(set), why });
    let same = |other: &[(String, bool)]| other.len() == set.len() && other.iter().all(|o| set.contains(o));
    let others = judge.boolean_choices(q).into_iter().filter(|(other, _)| !same(other)).take(OTHERS);
    verdict.not.extend(others.map(|(other, opens)| Not { remedy: set_text(&other), why: opens_text(opens) }));
    names::remarks(judge, denial, q, &mut verdict.evidence);
    verdict
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
pub(in crate::learn) fn missing(judge: &Judge<'_>, q: &Question) -> u32 {
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
