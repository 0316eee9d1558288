//! Few booleans for many denials: where several sets would do for one, the one that others need anyway is taken. And
//! none that opens far more than all of them need: then rules are the remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::causes::{Judge, Judged, boolean};
use super::verdict::Remedy;
use crate::denials::Denial;
use crate::report::codes::rule::DAC_OVERRIDE;
use crate::selinux::policy::{ClassId, TypeId};

type Set = BTreeSet<(String, bool)>;

/// A denial that booleans would allow: its place, and the sets that would, the best first, each with what it opens.
type Choice = (usize, Vec<(Set, usize)>);

/// Chooses among the sets of booleans that would do, and returns all that are to be set.
pub fn settle(judge: &mut Judge<'_>, denials: &[&Denial], judged: &mut [Judged]) -> BTreeMap<String, bool> {
    let mut choices: Vec<Choice> = Vec::new();
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
    let mut wide: BTreeMap<Set, Use> = BTreeMap::new();
    let taken = loop {
        let taken = pick(&choices, &wide);
        let found = too_wide(judge, judged, &taken);
        if found.is_empty() {
            break taken;
        }
        wide.extend(found);
    };
    for (at, sets) in &choices {
        let (Some(one), Some(denial)) = (judged.get_mut(*at), denials.get(*at)) else { continue };
        let Some(question) = &one.question else { continue };
        let verdict = match taken.get(at) {
            Some((set, _)) => boolean::chosen(judge, denial, question, &listed(set)),
            None => sets.iter().find_map(|(set, _)| Some((set, wide.get(set)?))).map(|(set, found)| {
                boolean::too_wide(judge, denial, question, (&listed(set), found.opens), found.needed)
            }),
        };
        if let Some(verdict) = verdict {
            one.verdict = Rc::new(verdict);
        }
    }
    taken.into_values().flat_map(|(set, _)| set).collect()
}

fn listed(set: &Set) -> Vec<(String, bool)> {
    set.iter().cloned().collect()
}

/// A set for each denial: one that others need anyway, else the best that does not contradict them.
fn pick(choices: &[Choice], wide: &BTreeMap<Set, Use>) -> BTreeMap<usize, (Set, usize)> {
    let mut chosen: BTreeMap<String, bool> = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for (at, sets) in choices {
        let narrow = || sets.iter().filter(|(set, _)| !wide.contains_key(set));
        let is_chosen = |(set, _): &&(Set, usize)| set.iter().all(|(name, on)| chosen.get(name) == Some(on));
        let agrees =
            |(set, _): &&(Set, usize)| set.iter().all(|(name, on)| chosen.get(name).is_none_or(|c| c == on));
        let Some(one) = narrow().find(is_chosen).or_else(|| narrow().find(agrees)).cloned() else { continue };
        chosen.extend(one.0.iter().cloned());
        taken.insert(*at, one);
    }
    taken
}

/// What one set of booleans is for.
struct Use {
    opens: usize,
    /// How many accesses the log asks of it.
    needed: usize,
}

/// The sets that open more than [`boolean::MOST_FOR_EACH`] other accesses for each that is needed.
fn too_wide(
    judge: &Judge<'_>,
    judged: &[Judged],
    taken: &BTreeMap<usize, (Set, usize)>,
) -> BTreeMap<Set, Use> {
    // The same access may be asked with several contexts.
    type Needed = BTreeMap<(TypeId, TypeId, ClassId), u32>;
    let mut uses: BTreeMap<&Set, (usize, Needed)> = BTreeMap::new();
    for (at, (set, opens)) in taken {
        let Some(q) = judged.get(*at).and_then(|one| one.question.as_ref()) else { continue };
        let (most, needed) = uses.entry(set).or_default();
        *most = (*most).max(*opens);
        *needed.entry((q.source.ty, q.target.ty, q.class)).or_default() |= boolean::missing(judge, q);
    }
    let counted = uses.into_iter().map(|(set, (opens, needed))| {
        let needed = needed.values().map(|v| v.count_ones() as usize).sum();
        (set.clone(), Use { opens, needed })
    });
    counted.filter(|(_, u)| u.opens > u.needed.saturating_mul(boolean::MOST_FOR_EACH)).collect()
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
