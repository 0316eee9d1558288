//! Few booleans for many denials: where several sets would do for one, the one that others need anyway is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::causes::{Judge, Judged};
use super::verdict::Remedy;
use crate::denials::Denial;
use crate::report::codes::rule::DAC_OVERRIDE;

/// Chooses among the sets of booleans that would do, and returns all that are to be set.
pub fn settle(judge: &mut Judge<'_>, judged: &mut [Judged]) -> BTreeMap<String, bool> {
    type Set = BTreeSet<(String, bool)>;
    let mut choices: Vec<(usize, Vec<(Set, usize)>)> = Vec::new();
    for (at, one) in judged.iter().enumerate() {
        if matches!(one.verdict.remedy, Remedy::Booleans { .. })
            && let Some(question) = &one.question
        {
            let sets = judge.boolean_choices(question).into_iter();
            choices.push((at, sets.map(|(set, opens)| (set.into_iter().collect(), opens)).collect()));
        }
    }
    // Who has no choice goes first.
    choices.sort_by_key(|(at, sets)| (sets.len(), *at));
    let mut chosen: BTreeMap<String, bool> = BTreeMap::new();
    for (at, sets) in choices {
        let is_chosen = |(set, _): &&(Set, usize)| set.iter().all(|(name, on)| chosen.get(name) == Some(on));
        let agrees =
            |(set, _): &&(Set, usize)| set.iter().all(|(name, on)| chosen.get(name).is_none_or(|c| c == on));
        let taken = sets.iter().find(is_chosen).or_else(|| sets.iter().find(agrees)).cloned();
        let Some((set, opens)) = taken else { continue };
        chosen.extend(set.iter().cloned());
        if let Some(one) = judged.get_mut(at) {
            Rc::make_mut(&mut one.verdict).remedy =
                Remedy::Booleans { set: set.into_iter().collect(), opens };
        }
    }
    chosen
}

/// What is asked only because something else was denied: for reading, the kernel asks for `dac_read_search` first,
/// and for `dac_override` only where that is denied.
pub fn follow_ups(denials: &[&Denial], judged: &mut [Judged]) {
    let is = |denial: &Denial, permission: &str| {
        let class = denial.key.class.as_str();
        let mut all = denial.key.permissions.iter();
        matches!(class, "capability" | "cap_userns") && all.all(|p| p.as_str() == permission)
    };
    for (at, denial) in denials.iter().enumerate().filter(|(_, d)| is(d, "dac_override")) {
        let first = |other: &&&Denial| {
            is(other, "dac_read_search")
                && other.key.source == denial.key.source
                && other.key.class == denial.key.class
                && other.evidence.owners == denial.evidence.owners
                && other.evidence.wanted == denial.evidence.wanted
                && other.evidence.syscalls == denial.evidence.syscalls
                && other.seen.counts == denial.seen.counts
        };
        if denials.iter().any(|other| first(&other))
            && let Some(one) = judged.get_mut(at)
            && one.verdict.code == &DAC_OVERRIDE
        {
            let verdict = Rc::make_mut(&mut one.verdict);
            verdict.cause =
                "asked only because dac_read_search was denied just before: with that it is not asked"
                    .to_owned();
            verdict.remedy = Remedy::Nothing;
        }
    }
}
