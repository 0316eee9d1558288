//! Interfaces of the reference policy in place of rules: the fewest that say what is needed and little else.
//!
//! An interface is taken for whole rules only, and only if it opens at most [`MOST_FOR_EACH`] other accesses for each that
//! is needed. It is not taken if it does more than allow the domain something (transitions, attributes, rules for others),
//! or if it would let files be changed where the log asked for no change. What is refused for opening too much is said.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::causes::Judge;
use super::{Group, types};
use crate::report::codes::rule::GENERIC_TYPE;
use crate::selinux::interfaces::{Allow, DOMAIN, Headers, Interface, Set, Statements};
use crate::selinux::module::{Name, Rule, RuleSet, Target};
use crate::selinux::policy::{ClassId, Policy, TypeId};

/// How many other accesses (type, class, permission) an interface may open for each that is needed. Interfaces that read
/// the files of one type open some ten; those about attributes (all files, all ports) thousands.
pub const MOST_FOR_EACH: usize = 10;

/// Interfaces about more than this are not looked at: none that passes the bound has so many.
const MOST_ENTRIES: usize = 2000;

/// How many that were refused are told of.
const REFUSED: usize = 3;

/// An interface called for a domain.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub name: Name,
    /// The domain.
    pub source: Name,
    /// The rules that it stands for.
    pub covers: RuleSet,
    /// All that it opens which the policy does not allow yet.
    pub rules: RuleSet,
    /// How many accesses that is beside those that are needed.
    pub opens: usize,
}

impl Call {
    /// `NAME(DOMAIN)`
    pub fn text(&self) -> String {
        format!("{}({})", self.name, self.source)
    }
}

/// An interface that would do, and opens too much.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TooWide {
    /// How many other accesses it would open.
    pub opens: usize,
    /// How many are needed.
    pub needed: usize,
    /// Whether it would let files be changed, which nothing asked for.
    pub changes: bool,
    /// `NAME(DOMAIN)`
    pub call: String,
}

/// One line of an interface in the policy's numbers: the target (a type, an attribute, or none for the domain itself),
/// class, permissions, and whether it holds only by the state of booleans.
type Entry = (Option<TypeId>, ClassId, u32, bool);

/// The interfaces that may be taken, in the policy's numbers.
pub struct Known<'h> {
    all: Vec<(&'h Interface, Vec<Entry>)>,
    /// By what they allow for certain.
    by: FxHashMap<(Option<TypeId>, ClassId), Vec<usize>>,
    /// The types of each attribute that they name.
    members: FxHashMap<TypeId, Vec<TypeId>>,
}

impl<'h> Known<'h> {
    /// Looks at all of them.
    pub fn new(policy: &Policy, headers: &'h Headers) -> Self {
        let mut all = Vec::new();
        let mut by: FxHashMap<_, Vec<usize>> = FxHashMap::default();
        let mut members = FxHashMap::default();
        for interface in &headers.usable {
            let mut entries = Vec::new();
            if resolve(policy, &interface.statements, false, &mut entries).is_none() {
                continue;
            }
            for target in entries.iter().filter_map(|e| e.0) {
                members.entry(target).or_insert_with(|| policy.expand(target));
            }
            for (target, class, ..) in entries.iter().filter(|e| !e.3) {
                let list = by.entry((*target, *class)).or_default();
                if list.last() != Some(&all.len()) {
                    list.push(all.len());
                }
            }
            all.push((interface, entries));
        }
        Known { all, by, members }
    }
}

/// The entries of statements; `None` where they do what is not taken, or require what is not there.
fn resolve(policy: &Policy, statements: &Statements, conditional: bool, into: &mut Vec<Entry>) -> Option<()> {
    let there = statements.needs.iter().all(|need| match need.kind.as_str() {
        "type" | "attribute" => need.name == DOMAIN || policy.type_id(&need.name).is_some(),
        "class" => policy.classes().id(&need.name).is_some(),
        "role" => policy.roles().id(&need.name).is_some(),
        "bool" => policy.booleans().id(&need.name).is_some(),
        _ => true,
    });
    if !there || !statements.others.is_empty() {
        return None;
    }
    for allow in &statements.allows {
        rule(policy, allow, conditional, into)?;
    }
    for block in &statements.optional {
        // Without what it requires it is not there; what it does otherwise counts.
        let before = into.len();
        let needs_only = Statements { needs: block.needs.clone(), ..Statements::default() };
        if resolve(policy, &needs_only, conditional, into).is_some() {
            resolve(policy, block, conditional, into)?;
        } else {
            into.truncate(before);
        }
    }
    for block in &statements.conditional {
        resolve(policy, block, true, into)?;
    }
    Some(())
}

fn rule(policy: &Policy, allow: &Allow, conditional: bool, into: &mut Vec<Entry>) -> Option<()> {
    let plain = |set: &Set| !set.wide && set.without.is_empty();
    let source = plain(&allow.source) && allow.source.names.as_slice() == [DOMAIN];
    if !source || !plain(&allow.class) || !plain(&allow.permissions) || allow.target.wide {
        return None;
    }
    let mut targets: BTreeSet<Option<TypeId>> = BTreeSet::new();
    for name in &allow.target.names {
        match name.as_str() {
            "self" | DOMAIN => {
                targets.insert(None);
            }
            name if allow.target.without.is_empty() => {
                targets.insert(Some(policy.type_id(name)?));
            }
            name => targets.extend(policy.expand(policy.type_id(name)?).into_iter().map(Some)),
        }
    }
    for name in &allow.target.without {
        for ty in policy.type_id(name).into_iter().flat_map(|ty| policy.expand(ty)) {
            targets.remove(&Some(ty));
        }
    }
    for class in allow.class.names.iter().filter_map(|c| policy.classes().id(c)) {
        let names = allow.permissions.names.iter();
        let vector = names.filter_map(|p| policy.permission(class, p)).fold(0, |a, b| a | b);
        into.extend(targets.iter().filter(|_| vector != 0).map(|t| (*t, class, vector, conditional)));
        if into.len() > MOST_ENTRIES {
            return None;
        }
    }
    Some(())
}

/// What a domain needs: by type and class, with the rule.
type Needs<'g> = BTreeMap<(TypeId, ClassId), (&'g Rule, u32)>;

/// Replaces rules of the group by calls, as many as an interface within the bound says.
pub fn cover(judge: &Judge<'_>, known: &Known<'_>, group: &mut Group<'_>) {
    let policy = &judge.ground().policy;
    let mut by_source: BTreeMap<Name, Needs<'_>> = BTreeMap::new();
    for (rule, grant) in group.te.rules.iter() {
        // A rule on some commands is narrower than any interface, and a dangerous one is to be seen.
        let generic = |remark: &String| remark.starts_with(GENERIC_TYPE.id);
        if grant.filtered || !grant.ioctls.is_empty() || !grant.remarks.iter().all(generic) {
            continue;
        }
        let Some((_, target, class)) = super::replay::ids(policy, rule) else { continue };
        let names = grant.permissions.iter().filter_map(|p| policy.permission(class, p.as_str()));
        let vector = names.fold(0, |a, b| a | b);
        if vector.count_ones() as usize == grant.permissions.len() {
            by_source.entry(rule.source.clone()).or_default().insert((target, class), (rule, vector));
        }
    }
    let (mut calls, mut refused) = (Vec::new(), BTreeSet::new());
    for (source, needs) in by_source {
        choose(judge, known, &source, needs, &mut calls, &mut refused);
    }
    for call in &calls {
        let covered: Vec<Rule> = call.covers.iter().map(|(rule, _)| rule.clone()).collect();
        group.te.rules.retain(|rule| !covered.contains(rule));
        group.te.calls.insert((call.name.clone(), call.source.clone()));
    }
    group.calls = calls;
    group.too_wide = refused.into_iter().take(REFUSED).collect();
}

/// What an interface would do.
struct Offer {
    at: usize,
    /// Keys of the needs that it covers whole.
    covers: Vec<(TypeId, ClassId)>,
    /// The same, and what another call covers already.
    whole: Vec<(TypeId, ClassId)>,
    needed: usize,
    opened: BTreeMap<(TypeId, ClassId), u32>,
    opens: usize,
}

fn choose(
    judge: &Judge<'_>,
    known: &Known<'_>,
    source: &Name,
    mut needs: Needs<'_>,
    calls: &mut Vec<Call>,
    refused: &mut BTreeSet<TooWide>,
) {
    let policy = &judge.ground().policy;
    let Some(domain) = policy.type_id(source.as_str()) else { return };
    let all = needs.clone();
    let mut taken: Vec<Offer> = Vec::new();
    loop {
        let candidates: BTreeSet<usize> = needs
            .keys()
            .flat_map(|(target, class)| {
                let own = (*target == domain).then_some((None, *class));
                policy.attributes(*target).map(|written| (Some(written), *class)).chain(own)
            })
            .flat_map(|key| known.by.get(&key).into_iter().flatten().copied())
            .collect();
        let offers = candidates.into_iter().filter_map(|at| offer(judge, known, domain, &needs, &all, at));
        let (within, beyond): (Vec<Offer>, Vec<Offer>) = offers.partition(|o| {
            o.opens <= o.needed.saturating_mul(MOST_FOR_EACH) && !changes_more(policy, o, &all)
        });
        // Most for what it opens; of equals, the one that covers most, then the first by name.
        let best = within.into_iter().min_by(|a, b| {
            let (left, right) = ((a.opens + 1) * b.needed, (b.opens + 1) * a.needed);
            left.cmp(&right).then(b.needed.cmp(&a.needed)).then(a.at.cmp(&b.at))
        });
        let Some(best) = best else {
            let told = beyond.into_iter().filter_map(|o| {
                let call = format!("{}({source})", known.all.get(o.at)?.0.name);
                Some(TooWide {
                    opens: o.opens,
                    needed: o.needed,
                    changes: changes_more(policy, &o, &all),
                    call,
                })
            });
            refused.extend(told);
            break;
        };
        needs.retain(|key, _| !best.covers.contains(key));
        taken.push(best);
    }
    for offer in without_idle(taken) {
        calls.extend(call(policy, known, source, &all, &offer));
    }
}

/// A later choice may cover all that an earlier one was taken for: then that is not needed any more.
fn without_idle(mut taken: Vec<Offer>) -> Vec<Offer> {
    let mut at = 0;
    while let Some(offer) = taken.get(at) {
        let others = || taken.iter().enumerate().filter(|(other, _)| *other != at);
        if offer.covers.iter().all(|key| others().any(|(_, o)| o.whole.contains(key))) {
            let idle = taken.remove(at);
            for key in idle.covers {
                if let Some(other) = taken.iter_mut().find(|o| o.whole.contains(&key)) {
                    other.covers.push(key);
                }
            }
        } else {
            at += 1;
        }
    }
    taken
}

fn call(policy: &Policy, known: &Known<'_>, source: &Name, all: &Needs<'_>, offer: &Offer) -> Option<Call> {
    let names = |class: ClassId, vector: u32| {
        policy.permission_names(class, vector).into_iter().filter_map(Name::new).collect::<Vec<_>>()
    };
    let mut covers = RuleSet::default();
    for key in &offer.covers {
        if let Some((rule, vector)) = all.get(key) {
            covers.add((*rule).clone(), names(key.1, *vector));
        }
    }
    let mut rules = RuleSet::default();
    for ((target, class), vector) in &offer.opened {
        let [target, class_name] =
            [policy.types().name(*target), policy.classes().name(*class)].map(Name::new);
        rules.add(Rule::new(source.clone(), target?, class_name?), names(*class, *vector));
    }
    let name = Name::new(&known.all.get(offer.at)?.0.name)?;
    Some(Call { name, source: source.clone(), covers, rules, opens: offer.opens })
}

/// What the interface would cover of `needs`, and what it would open beside all that is needed.
fn offer(
    judge: &Judge<'_>,
    known: &Known<'_>,
    domain: TypeId,
    needs: &Needs<'_>,
    all: &Needs<'_>,
    at: usize,
) -> Option<Offer> {
    let (_, entries) = known.all.get(at)?;
    let mut certain: BTreeMap<(TypeId, ClassId), u32> = BTreeMap::new();
    let mut opened: BTreeMap<(TypeId, ClassId), u32> = BTreeMap::new();
    for (target, class, vector, conditional) in entries {
        let own = [domain];
        let targets = match target {
            None => &own[..],
            Some(written) => known.members.get(written)?,
        };
        for target in targets {
            let key = (*target, *class);
            *opened.entry(key).or_default() |= vector;
            if !conditional && all.contains_key(&key) {
                *certain.entry(key).or_default() |= vector;
            }
        }
    }
    for ((target, class), vector) in &mut opened {
        *vector &= !judge.view().allowed_by_rules(domain, *target, *class);
    }
    opened.retain(|_, vector| *vector != 0);
    let whole: Vec<(TypeId, ClassId)> = all
        .iter()
        .filter(|(key, (_, vector))| certain.get(key).is_some_and(|v| v & vector == *vector))
        .map(|(key, _)| *key)
        .collect();
    let covers: Vec<(TypeId, ClassId)> = whole.iter().copied().filter(|k| needs.contains_key(k)).collect();
    let needed: usize =
        covers.iter().filter_map(|k| needs.get(k)).map(|(_, v)| v.count_ones() as usize).sum();
    let beside = |(key, vector): (&(TypeId, ClassId), &u32)| {
        (vector & !all.get(key).map_or(0, |(_, v)| *v)).count_ones() as usize
    };
    let opens = opened.iter().map(beside).sum();
    (needed > 0).then_some(Offer { at, covers, whole, needed, opened, opens })
}

/// Whether files could be changed although nothing that it covers is a change.
fn changes_more(policy: &Policy, offer: &Offer, all: &Needs<'_>) -> bool {
    let changes = |class: ClassId, vector: u32| {
        types::FILES.contains(&policy.classes().name(class))
            && policy.permission_names(class, vector).iter().any(|p| types::CHANGES.contains(p))
    };
    let asked = offer.covers.iter().any(|key| all.get(key).is_some_and(|(_, v)| changes(key.1, *v)));
    let beside = |(key, vector): (&(TypeId, ClassId), &u32)| {
        changes(key.1, vector & !all.get(key).map_or(0, |(_, v)| *v))
    };
    !asked && offer.opened.iter().any(beside)
}

/// What a call opens beside what is needed, in the words of rules.
pub fn surplus(call: &Call) -> Vec<String> {
    let mut out = Vec::new();
    for (rule, grant) in call.rules.iter() {
        let covered = call.covers.iter().find(|(r, _)| *r == rule).map(|(_, g)| &g.permissions);
        let more: Vec<&str> = grant
            .permissions
            .iter()
            .filter(|p| covered.is_none_or(|c| !c.contains(*p)))
            .map(Name::as_str)
            .collect();
        if !more.is_empty() {
            let target = match &rule.target {
                Target::Itself => "self",
                Target::Type(name) => name.as_str(),
            };
            out.push(format!("{target}:{} {{ {} }}", rule.class, more.join(" ")));
        }
    }
    out
}
