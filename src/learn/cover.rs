//! Few booleans for many denials: where several sets would do for one, the one that others need anyway is taken. And
//! none that opens far more than all of them need: then rules are the remedy.

use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::causes::boolean::Ranked;
use super::causes::{Judge, Judged, boolean};
use super::verdict::Remedy;
use crate::denials::Denial;
use crate::report::codes::rule::DAC_OVERRIDE;
use crate::selinux::policy::{BooleanId, ClassId, TypeId};

/// Booleans in order, each with its new state.
type Set = [(BooleanId, bool)];

/// A denial that booleans would allow.
struct Choice {
    /// Its place.
    at: usize,
    /// The sets that would, the best first, each with what it opens.
    sets: Rc<[Ranked]>,
    /// Which of them is taken.
    taken: Option<usize>,
}

impl Choice {
    fn taken(&self) -> Option<&Ranked> {
        self.sets.get(self.taken?)
    }
}

/// Chooses among the sets of booleans that would do, and returns all that are to be set.
pub fn settle(judge: &mut Judge<'_>, denials: &[&Denial], judged: &mut [Judged]) -> BTreeMap<String, bool> {
    let mut choices: Vec<Choice> = Vec::new();
    for (at, one) in judged.iter().enumerate() {
        if matches!(one.verdict.remedy, Remedy::Booleans { .. })
            && let Some(question) = &one.question
        {
            choices.push(Choice { at, sets: judge.boolean_choices(question), taken: None });
        }
    }
    // Who has no choice goes first.
    choices.sort_by_key(|choice| (choice.sets.len(), choice.at));
    let mut wide: FxHashMap<Box<Set>, Use> = FxHashMap::default();
    loop {
        pick(&mut choices, &wide);
        let found = too_wide(judge, judged, &choices);
        if found.is_empty() {
            break;
        }
        wide.extend(found);
    }
    for choice in &choices {
        let (Some(one), Some(denial)) = (judged.get_mut(choice.at), denials.get(choice.at)) else { continue };
        let Some(question) = &one.question else { continue };
        let verdict = match choice.taken() {
            Some((set, _)) => boolean::chosen(judge, denial, question, set).map(Rc::new),
            None => {
                let found = choice.sets.iter().find_map(|(set, _)| Some((set, wide.get(set.as_slice())?)));
                found.map(|(set, found)| {
                    boolean::too_wide(judge, denial, question, (set, found.opens), found.needed)
                })
            }
        };
        if let Some(verdict) = verdict {
            one.verdict = verdict;
        }
    }
    choices.iter().filter_map(Choice::taken).flat_map(|(set, _)| judge.named(set)).collect()
}

/// A set for each denial: one that others need anyway, else the best that does not contradict them.
fn pick(choices: &mut [Choice], wide: &FxHashMap<Box<Set>, Use>) {
    let mut chosen: FxHashMap<BooleanId, bool> = FxHashMap::default();
    for choice in choices {
        let narrow = |set: &Set| !wide.contains_key(set);
        let is_chosen = |set: &Set| set.iter().all(|(b, on)| chosen.get(b) == Some(on));
        let agrees = |set: &Set| set.iter().all(|(b, on)| chosen.get(b).is_none_or(|c| c == on));
        let sets = || choice.sets.iter();
        let one = sets().position(|(set, _)| is_chosen(set) && narrow(set));
        choice.taken = one.or_else(|| sets().position(|(set, _)| agrees(set) && narrow(set)));
        if let Some((set, _)) = choice.taken() {
            chosen.extend(set.iter().copied());
        }
    }
}

/// What one set of booleans is for.
struct Use {
    opens: usize,
    /// How many accesses the log asks of it.
    needed: usize,
}

/// The sets that open more than [`boolean::MOST_FOR_EACH`] other accesses for each that is needed.
fn too_wide(judge: &Judge<'_>, judged: &[Judged], choices: &[Choice]) -> Vec<(Box<Set>, Use)> {
    // The same access may be asked with several contexts.
    type Needed = FxHashMap<(TypeId, TypeId, ClassId), u32>;
    let mut uses: FxHashMap<&Set, (usize, Needed)> = FxHashMap::default();
    for choice in choices {
        let Some((set, opens)) = choice.taken() else { continue };
        let Some(q) = judged.get(choice.at).and_then(|one| one.question.as_ref()) else { continue };
        let (most, needed) = uses.entry(set).or_default();
        *most = (*most).max(*opens);
        *needed.entry((q.source.ty, q.target.ty, q.class)).or_default() |= boolean::missing(judge, q);
    }
    let counted = uses.into_iter().map(|(set, (opens, needed))| {
        let needed = needed.values().map(|v| v.count_ones() as usize).sum();
        (set.into(), Use { opens, needed })
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
    for at in 0..judged.len() {
        // The verdict is at hand, the denial may not be.
        let asked = judged.get(at).is_some_and(|one| one.verdict.code == &DAC_OVERRIDE);
        let Some(denial) = denials.get(at).filter(|d| asked && is(d, "dac_override")) else { continue };
        let first = |other: &&&Denial| {
            is(other, "dac_read_search")
                && other.key.source == denial.key.source
                && other.key.class == denial.key.class
                && other.evidence.owners == denial.evidence.owners
                && other.evidence.wanted == denial.evidence.wanted
                && other.evidence.syscalls() == denial.evidence.syscalls()
                && other.seen.counts == denial.seen.counts
        };
        if denials.iter().any(|other| first(&other))
            && let Some(one) = judged.get_mut(at)
        {
            let verdict = Rc::make_mut(&mut one.verdict);
            verdict.cause =
                "asked only because dac_read_search was denied just before: with that it is not asked"
                    .to_owned();
            verdict.remedy = Remedy::Nothing;
        }
    }
}
