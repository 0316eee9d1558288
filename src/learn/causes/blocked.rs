//! Constraints, roles and bounds: no allow rule helps. The part that fails is named, with the smallest change.

use std::rc::Rc;

use super::{Judge, Question, label};
use crate::denials::Denial;
use crate::learn::advice::shell_word;
use crate::learn::verdict::{Not, Remedy, Verdict};
use crate::report::codes::rule::{BOUNDS, CONSTRAINT, LEVEL, ROLE};
use crate::selinux::module::{Name, Statement};
use crate::selinux::policy::{
    Change, Context, Explanation, FailedConstraint, Leaf, Level, Range, TypeId, TypeKind, Whose,
};

pub(super) fn judge(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
) -> Option<(Verdict, Option<Rc<Context>>)> {
    if q.types_only {
        return None;
    }
    let about = judge.about(q);
    let barriers = about.barriers;
    let blocks = barriers.constraints | barriers.roles | barriers.bounds & about.rules;
    if blocks & q.vector & !about.allowed(false) == 0 {
        return None;
    }
    let e = judge.view.explain(&q.source, &q.target, q.class, q.vector);
    let denied = q.vector & !e.allowed;
    let by_constraints = e.constraints.iter().fold(0, |a, c| a | c.permissions);
    let by_bounds = e.bounds.as_ref().map_or(0, |(v, _)| *v & !e.no_rule);
    let blocked = (by_constraints | e.role | by_bounds) & denied;
    if blocked == 0 {
        return None;
    }
    let policy = &judge.ground.policy;
    let names = policy.vector_text(q.class, blocked);
    let mut verdict = if by_constraints & denied != 0 {
        constraints(judge, denial, q, &e, &names)
    } else if e.role != 0 {
        role(judge, q)
    } else {
        bounds(judge, q, &e)
    };
    if e.no_rule & denied != 0 {
        let rule = judge.rule_text(q, e.no_rule & denied);
        verdict.evidence.push(format!("no rule allows it either: {rule} is needed besides"));
    } else {
        let rule = judge.rule_text(q, blocked);
        verdict
            .not
            .push(Not { remedy: format!("a rule: {rule}"), why: "the policy has it already".to_owned() });
    }
    // Where the file has another context than it should have, the right one may do.
    let mut after = None;
    if let Some((relabel, context)) = label::right_context(judge, denial, q) {
        if let Remedy::ByHand { steps } = &verdict.remedy {
            verdict.not.extend(
                steps
                    .iter()
                    .map(|s| Not { remedy: s.clone(), why: "the specified label is enough".to_owned() }),
            );
        }
        verdict.remedy = relabel;
        after = Some(context);
    }
    Some((verdict, after))
}

fn constraints(
    judge: &Judge<'_>,
    denial: &Denial,
    q: &Question,
    e: &Explanation<'_>,
    names: &str,
) -> Verdict {
    let policy = &judge.ground.policy;
    let mut evidence = Vec::new();
    let mut steps = Vec::new();
    let mut not = Vec::new();
    let mut statement = None;
    let mut level = false;
    let mut leaves = Vec::new();
    for failed in &e.constraints {
        evidence.push(format!("constraint: {}", failed.tree));
        let Some((best, others)) = ranked_ways(failed, q) else { continue };
        for leaf in &best {
            let state = if leaf.holds { "holds" } else { "fails" };
            leaves.push(format!("`{}` {state}", leaf.text));
            let changes = leaf.changes(&q.source, &q.target);
            level |= changes.iter().any(|c| matches!(c, Change::Low(..) | Change::High(..)));
            let given = || given_attribute(judge, q, &changes);
            if let ([_], [_], Some(given)) = (best.as_slice(), e.constraints.as_slice(), given()) {
                statement = Some(given);
            }
            steps.extend(changes.iter().map(|c| step(judge, denial, q, c)));
        }
        for way in others.iter().take(2) {
            let texts: Vec<String> = way
                .iter()
                .flat_map(|l| l.changes(&q.source, &q.target))
                .map(|c| policy.change_text(&c))
                .collect();
            not.push(Not { remedy: texts.join(", or "), why: "it changes more than this access".to_owned() });
        }
    }
    steps.dedup();
    let range = |r: &Option<Range>| r.as_ref().map(|r| policy.range_text(r));
    let who = match (range(&q.source.range), range(&q.target.range)) {
        (Some(s), Some(t)) if level => format!("{s} may not {names} {t}"),
        _ => format!("a constraint denies {names}"),
    };
    Verdict {
        code: if level { &LEVEL } else { &CONSTRAINT },
        cause: format!("no allow rule helps: {who}; {}", leaves.join(", ")),
        evidence,
        remedy: statement.map_or(Remedy::ByHand { steps }, Remedy::Statement),
        not,
    }
}

/// The best way to make a constraint hold, and the others: levels first, then users and roles, then attributes,
/// which give a type more than this one access.
fn ranked_ways<'p>(
    failed: &FailedConstraint<'p>,
    q: &Question,
) -> Option<(Vec<Leaf<'p>>, Vec<Vec<Leaf<'p>>>)> {
    let weight = |leaf: &Leaf<'_>| {
        let of = |change: &Change| match change {
            Change::Low(..) | Change::High(..) => 0u32,
            Change::Same(..) => 1,
            Change::Role(_, _, true) | Change::User(_, _, true) => 2,
            Change::Type(Whose::Source, _, true) => 3,
            Change::Type(_, _, true) | Change::OtherLevels => 4,
            _ => 6,
        };
        leaf.changes(&q.source, &q.target).iter().map(of).min().unwrap_or(9)
    };
    let mut ways = failed.ways.clone();
    ways.sort_by_key(|way| (way.iter().map(weight).max(), way.len()));
    let mut ways = ways.into_iter();
    Some((ways.next()?, ways.collect()))
}

/// Where an attribute of the source is what a constraint asks for: the statement that gives it.
fn given_attribute(judge: &Judge<'_>, q: &Question, changes: &[Change]) -> Option<Statement> {
    let policy = &judge.ground.policy;
    let [Change::Type(Whose::Source, types, true)] = changes else { return None };
    let is_attribute = |t: &&TypeId| policy.types().get(**t).is_some_and(|t| t.kind == TypeKind::Attribute);
    // The one that fewest types have gives least away.
    let fewest = |t: &&TypeId| policy.expand(**t).len();
    let attribute = types.iter().filter(is_attribute).min_by_key(fewest)?;
    let name = |t: TypeId| Name::new(judge.ty(t));
    Some(Statement::TypeAttribute { ty: name(q.source.ty)?, attribute: name(*attribute)? })
}

/// A change as something to do.
fn step(judge: &Judge<'_>, denial: &Denial, q: &Question, change: &Change) -> String {
    let policy = &judge.ground.policy;
    let (whose, range) = match change {
        Change::Low(whose, level) => (
            whose,
            of(q, *whose).map(|r| {
                if r.high.is_none() { Range::single(level.clone()) } else { joined(level, r.high()) }
            }),
        ),
        Change::High(whose, level) => (
            whose,
            of(q, *whose)
                .map(|r| if r.high.is_none() { Range::single(level.clone()) } else { joined(&r.low, level) }),
        ),
        other => return policy.change_text(other),
    };
    let Some(range) = range.map(|r| policy.range_text(&r)) else { return policy.change_text(change) };
    match whose {
        Whose::Source => {
            let c = &denial.key.source;
            format!(
                "give the process the level {range} (of a unit: SELinuxContext={}:{}:{}:{range})",
                c.user, c.role, c.kind
            )
        }
        _ => match label::paths(denial).as_slice() {
            [one] => match shell_word(one) {
                Some(word) => format!("chcon -l {range} {word}"),
                None => format!("chcon -l {range} PATH"),
            },
            [] => format!("give the target the level {range}"),
            _ => format!("chcon -l {range} PATH, for each path"),
        },
    }
}

fn of(q: &Question, whose: Whose) -> Option<&Range> {
    match whose {
        Whose::Source => q.source.range.as_ref(),
        Whose::Target => q.target.range.as_ref(),
        Whose::Process => None,
    }
}

/// A range of these levels, or the new one alone where they make none.
fn joined(low: &Level, high: &Level) -> Range {
    if high.dominates(low) { Range::new(low.clone(), high.clone()) } else { Range::single(low.clone()) }
}

fn role(judge: &Judge<'_>, q: &Question) -> Verdict {
    let policy = &judge.ground.policy;
    let (from, to) = (policy.roles().name(q.source.role), policy.roles().name(q.target.role));
    let statement = Name::new(from).zip(Name::new(to)).map(|(from, to)| Statement::RoleAllow { from, to });
    Verdict {
        code: &ROLE,
        cause: format!("the role {from} may not become {to}"),
        evidence: vec![format!("the policy has no `allow {from} {to};`")],
        remedy: statement.map_or(Remedy::ByHand { steps: Vec::new() }, Remedy::Statement),
        not: Vec::new(),
    }
}

fn bounds(judge: &Judge<'_>, q: &Question, e: &Explanation<'_>) -> Verdict {
    let policy = &judge.ground.policy;
    let (missing, bound) = match &e.bounds {
        Some((missing, bound)) => (*missing, judge.ty(bound.ty)),
        None => (0, "?"),
    };
    let names = policy.vector_text(q.class, missing);
    let (source, target) = (judge.ty(q.source.ty), judge.ty(q.target.ty));
    let class = policy.classes().name(q.class);
    Verdict {
        code: &BOUNDS,
        cause: format!("{source} is bounded by {bound}, which lacks {names}"),
        evidence: vec![format!("typebounds {bound} {source};")],
        remedy: Remedy::ByHand { steps: vec![format!("allow {bound} {target}:{class} {names};")] },
        not: Vec::new(),
    }
}
