//! Rules that are there and turned off: the booleans that turn them on.
//!
//! A boolean is the policy's own switch, made for a purpose and kept by its authors. It is worth opening something more
//! than was asked for, but not anything: some open the network to hundreds of domains for one connection. The bound is
//! [`MOST_FOR_EACH`], taken over the whole log (`cover`): beyond it the rule is the remedy, and the boolean what is worse.

use std::rc::Rc;

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
    let choices = judge.boolean_choices(q);
    let (set, _) = choices.first()?;
    verdict(judge, q, set)
}

/// The verdict where this set of booleans is taken.
pub(in crate::learn) fn chosen(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
    set: &[(BooleanId, bool)],
) -> Option<Verdict> {
    let mut verdict = verdict(judge, q, set)?;
    if !judge.is_brief() {
        names::remarks(judge, denial, q, &mut verdict.evidence);
    }
    Some(verdict)
}

fn verdict(judge: &mut Judge<'_>, q: &Question, taken: &[(BooleanId, bool)]) -> Option<Verdict> {
    let choices = judge.boolean_choices(q);
    let opens = choices.iter().find(|(set, _)| set == taken)?.1;
    let set = judge.named(taken);
    if judge.is_brief() {
        return Some(Verdict::brief(&BOOLEAN, Remedy::Booleans { set, opens }));
    }
    let missing = missing(judge, q);
    let mut not = others(judge, &choices, taken);
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
    (set, opens): (&[(BooleanId, bool)], usize),
    needed: usize,
) -> Rc<Verdict> {
    let mut found = judge.beyond_booleans(denial, q);
    if judge.is_brief() {
        return found;
    }
    let verdict = Rc::make_mut(&mut found);
    let why = format!(
        "{}, and {} needed: more than {MOST_FOR_EACH} for each",
        opens_text(opens),
        if needed == 1 { "1 is".to_owned() } else { format!("{} are", text::thousands(text::len(needed))) }
    );
    let mut named = judge.named(set);
    named.sort();
    verdict.not.push(Not { remedy: set_text(&named), why });
    let choices = judge.boolean_choices(q);
    verdict.not.extend(others(judge, &choices, set));
    names::remarks(judge, denial, q, &mut verdict.evidence);
    found
}

/// The first of the other sets.
fn others(judge: &Judge<'_>, choices: &[Ranked], taken: &[(BooleanId, bool)]) -> Vec<Not> {
    let others = choices.iter().filter(|(set, _)| set != taken).take(OTHERS);
    others.map(|(set, opens)| Not { remedy: set_text(&judge.named(set)), why: opens_text(*opens) }).collect()
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
    q.vector & !judge.about(q).rules
}

/// A set of booleans in order, each with its new state, and how many other accesses it opens.
pub(in crate::learn) type Ranked = (Vec<(BooleanId, bool)>, usize);
