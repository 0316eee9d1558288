//! Explanations hold what they say: each cause is one of libsepol's, and each change that is offered does what it says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::HashMap;
use std::path::Path;

use perms::selinux::policy::{
    Change, ClassId, CondNode, Context, Level, New, OBJECT_R, Policy, Range, RuleKind, TypeId, TypeKind,
    Whose,
};

const POLICIES: [&str; 3] = [
    "tests/policies/features.33",
    "/etc/selinux/default/policy/policy.33",
    "/etc/selinux/mls/policy/policy.33",
];

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn level(&mut self, policy: &Policy) -> Level {
        let all: Vec<_> = policy.sensitivities().iter().map(|s| s.level.clone()).collect();
        let mut level = self.pick(&all).clone();
        let own: Vec<u32> = level.categories.iter().collect();
        let n = self.below(3);
        level.categories = (0..n).filter(|_| !own.is_empty()).map(|_| *self.pick(&own)).collect();
        level
    }

    /// A context whose parts exist; whether they go together does not matter to explanations.
    fn context(&mut self, policy: &Policy, ty: TypeId) -> Context {
        let users: Vec<_> = policy.users().iter().map(|u| u.id).collect();
        let roles: Vec<_> = policy.roles().iter().map(|r| r.id).collect();
        let range = policy.mls().then(|| {
            let (a, b) = (self.level(policy), self.level(policy));
            if b.dominates(&a) { Range::new(a, b) } else { Range::single(a) }
        });
        let role = if self.below(2) == 0 { OBJECT_R } else { *self.pick(&roles) };
        Context { user: *self.pick(&users), role, ty, range }
    }
}

fn each_case(cases: usize, test: impl Fn(&Policy, &mut Random, &Context, &Context, ClassId, u32)) {
    for path in POLICIES {
        if !Path::new(path).exists() {
            support::skip(&format!("needs {path}"));
            continue;
        }
        let policy = Policy::open(Path::new(path)).unwrap();
        let mut random = Random(0x1234_5678_9abc_def1);
        let all: Vec<_> = policy
            .rules()
            .iter()
            .chain(
                policy
                    .conditionals()
                    .iter()
                    .flat_map(|c| policy.branch(c, true).iter().chain(policy.branch(c, false).iter())),
            )
            .filter(|r| r.kind() == RuleKind::Allow)
            .collect();
        for n in 0..cases {
            // Mostly near a rule, for elsewhere there is nothing but "no rule".
            let rule = if n % 3 == 0 {
                *random.pick(&all)
            } else {
                all[all.len() - 1 - random.below(all.len() / 4)]
            };
            let (s, t) = (policy.expand(rule.source().unwrap()), policy.expand(rule.target().unwrap()));
            if s.is_empty() || t.is_empty() {
                continue;
            }
            let (s, t) = (*random.pick(&s), *random.pick(&t));
            let (s, t) = (random.context(&policy, s), random.context(&policy, t));
            let class = rule.class().unwrap();
            let bits: Vec<u32> = policy.permissions(class).map(|p| 1 << p.bit).collect();
            let granted: Vec<u32> =
                bits.iter().copied().filter(|b| rule.permissions().unwrap() & b != 0).collect();
            let vector = if n % 2 == 0 {
                *random.pick(&granted)
            } else {
                *random.pick(&granted) | *random.pick(&bits)
            };
            test(&policy, &mut random, &s, &t, class, vector);
        }
    }
}

#[test]
fn causes_are_there_if_and_only_if_something_is_denied() {
    each_case(1200, |policy, _, s, t, class, vector| {
        let view = policy.view();
        let access = view.access(s, t, class);
        let e = view.explain(s, t, class, vector);
        assert_eq!(e.allowed, vector & access.allowed);
        let causes = e.no_rule
            | e.constraints.iter().fold(0, |v, c| v | c.permissions)
            | e.role
            | e.bounds.as_ref().map_or(0, |(v, _)| *v);
        assert_eq!(causes, vector & !access.allowed, "{} {}", policy.context_text(s), policy.context_text(t));
    });
}

#[test]
fn every_set_of_booleans_allows_and_none_of_it_can_be_left_out() {
    each_case(90, |policy, _, s, t, class, vector| {
        let view = policy.view();
        let allows = |changes: &[(perms::selinux::policy::BooleanId, bool)]| {
            let mut view = view.clone();
            changes.iter().for_each(|(b, state)| view.set_boolean(*b, *state));
            view.explain(s, t, class, vector).no_rule == 0
        };
        for change in view.boolean_changes(s.ty, t.ty, class, vector) {
            assert!(change.changes.iter().all(|(b, state)| view.boolean(*b) != *state));
            assert!(allows(&change.changes));
            for i in 0..change.changes.len() {
                let mut fewer = change.changes.clone();
                fewer.remove(i);
                assert!(!allows(&fewer));
            }
        }
    });
}

/// What a change of booleans opens, counted access by access.
#[test]
fn what_a_boolean_opens_is_counted_as_if_one_by_one() {
    let (mut counted, mut many) = (0, 0);
    for path in POLICIES.map(Path::new).iter().filter(|p| p.exists()) {
        let policy = Policy::open(path).unwrap();
        let view = policy.view();
        for (nth, boolean) in policy.booleans().iter().enumerate() {
            let change = [(boolean.id, !view.boolean(boolean.id))];
            let mut after = view.clone();
            after.set_boolean(boolean.id, !view.boolean(boolean.id));
            // A rule laid over is no opening.
            let mut over = view.clone();
            let changed = policy.conditionals().iter().filter(|c| after.is_true(c) != view.is_true(c));
            let rules: Vec<_> = changed
                .flat_map(|c| policy.branch(c, after.is_true(c)).iter())
                .filter(|r| r.kind() == RuleKind::Allow)
                .map(|r| (policy.expand(r.source().unwrap()), policy.expand(r.target().unwrap()), r))
                .collect();
            // The widest are many; some of them will do.
            let pairs: usize = rules.iter().map(|(sources, targets, _)| sources.len() * targets.len()).sum();
            if pairs > 2_000 && nth % 16 != 0 {
                continue;
            }
            let mut new: HashMap<(TypeId, TypeId, ClassId), u32> = HashMap::new();
            for (sources, targets, rule) in &rules {
                for (source, target) in sources.iter().flat_map(|s| targets.iter().map(move |t| (*s, *t))) {
                    let permissions = rule.permissions().unwrap();
                    *new.entry((source, target, rule.class().unwrap())).or_default() |= permissions;
                }
            }
            let mut opens = 0;
            let mut opens_over = 0;
            for ((source, target, class), permissions) in &new {
                let left = permissions & !view.allowed_by_rules(*source, *target, *class);
                opens += left.count_ones() as usize;
                opens_over += left.count_ones() as usize;
                if target.get() % 7 == 0 && left != 0 && opens % 3 == 0 {
                    over.lay_over(*source, *target, *class, left & left.wrapping_neg());
                    opens_over -= 1;
                }
            }
            let name = &boolean.name;
            assert_eq!(view.opened_by_changes(&change), opens, "{name} in {}", path.display());
            assert_eq!(over.opened_by_changes(&change), opens_over, "{name} in {}", path.display());
            counted += 1;
            many += usize::from(opens > 1_000);
        }
    }
    assert!(counted > 500 && many > 5, "{counted} {many}");
}

/// Of a failing constraint, every way to satisfy it that is a change of levels alone is tried, and satisfies it.
#[test]
fn levels_that_are_offered_satisfy_the_constraint() {
    let tried = std::sync::atomic::AtomicUsize::new(0);
    each_case(1200, |policy, _, s, t, class, vector| {
        let view = policy.view();
        for failed in view.explain(s, t, class, vector).constraints {
            assert!(!failed.ways.is_empty(), "{}", failed.tree);
            for way in failed.ways.iter().filter(|w| w.len() == 1) {
                for change in way[0].changes(s, t) {
                    let (mut s, mut t) = (s.clone(), t.clone());
                    let changed = match &change {
                        Change::Low(w, l) | Change::High(w, l) => {
                            let context = if *w == Whose::Source { &mut s } else { &mut t };
                            let range = context.range.clone().unwrap();
                            let is_low = matches!(change, Change::Low(..));
                            context.range = Some(if is_low {
                                Range::new(l.clone(), range.high().clone())
                            } else {
                                Range::new(range.low.clone(), l.clone())
                            });
                            true
                        }
                        _ => false,
                    };
                    if changed {
                        tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let constraint = policy.classes().get(class).unwrap().constraints.iter();
                        let held = constraint
                            .filter_map(|c| perms::selinux::policy::Tree::new(policy, c, &s, &t, None))
                            .filter(|tree| tree.to_string() == failed.tree.to_string())
                            .all(|tree| tree.holds());
                        // A single leaf may depend on the level in others of the same expression too.
                        if !failed.tree.to_string().contains(" and ") {
                            assert!(held, "{}: {change:?}", failed.tree);
                        }
                    }
                }
            }
        }
    });
    assert!(tried.into_inner() > 100);
}

/// A view with rules laid over it decides as the policy with the rules in it, remembering or not.
#[test]
fn rules_laid_over_decide_as_rules_of_the_policy() {
    each_case(3, |policy, random, s, t, class, vector| {
        let types: Vec<_> =
            policy.types().iter().filter(|t| t.kind == TypeKind::Type).map(|t| t.id).collect();
        let (mut overlay, mut view) = (policy.overlay(), policy.view());
        view.remember();
        let mut about = vec![(s.ty, t.ty, class, vector)];
        for _ in 0..5 {
            let class = ClassId::new(1 + random.below(policy.classes().greatest() as usize) as u32).unwrap();
            about.push((*random.pick(&types), *random.pick(&types), class, 1 << random.below(8)));
        }
        for (source, target, class, vector) in &about {
            // What was asked before must not stand in the way.
            view.allowed_by_rules(*source, *target, *class);
            if policy.classes().get(*class).is_some() {
                overlay.add_rule(RuleKind::Allow, *source, *target, *class, *vector).unwrap();
                view.lay_over(*source, *target, *class, *vector);
            }
        }
        let result = overlay.finish().unwrap();
        let with = result.view();
        for _ in 0..300 {
            let (source, target, class, _) = *random.pick(&about);
            let (a, b) = (random.context(policy, source), random.context(policy, target));
            let another = *random.pick(&types);
            let other = if random.below(2) == 0 { b } else { random.context(policy, another) };
            if policy.classes().get(class).is_some() {
                let (mine, theirs) = (view.access(&a, &other, class), with.access(&a, &other, class));
                assert_eq!(mine, theirs);
            }
        }
    });
}

/// What is added to a policy holds, nothing else changes, and the result is a policy that can be written and read.
#[test]
fn an_overlay_adds_what_it_says_and_no_more() {
    each_case(3, |policy, random, s, t, class, vector| {
        let mut overlay = policy.overlay();
        let new = overlay.add_type("overlay_new_t").unwrap();
        let boolean = overlay.add_boolean("overlay_new_boolean", false).unwrap();
        assert!(overlay.add_type("overlay_new_t").is_err());
        overlay.give_role(s.role, new);
        overlay.add_rule(RuleKind::Allow, s.ty, t.ty, class, vector).unwrap();
        overlay.add_rule(RuleKind::Allow, new, t.ty, class, 1).unwrap();
        overlay.add_rule(RuleKind::DontAudit, new, t.ty, class, 2).unwrap();
        overlay
            .add_conditional_rule(&[CondNode::Boolean(boolean)], RuleKind::Allow, (new, new, class), vector)
            .unwrap();
        overlay.add_transition(RuleKind::Transition, (new, t.ty, class), s.ty, None).unwrap();
        overlay.add_transition(RuleKind::Transition, (new, t.ty, class), new, Some(b"named")).unwrap();
        let attribute = policy.types().iter().find(|t| t.kind == TypeKind::Attribute).unwrap().id;
        overlay.give_attribute(new, attribute).unwrap();
        let result = overlay.finish().unwrap();

        let bytes = result.write();
        let read = Policy::read(&bytes).unwrap_or_else(|e| panic!("{e}"));
        assert!(read.write() == bytes);
        let (before, mut after) = (policy.view(), result.view());
        assert_eq!(after.explain(s, t, class, vector).no_rule, 0);
        let own = Context { ty: new, ..s.clone() };
        assert_eq!(after.explain(&own, t, class, 1).no_rule, 0);
        assert_eq!(after.access(&own, t, class).audit_deny & 2, 0);
        assert!(result.covers(attribute, new));
        assert_eq!(after.new_context(New::Created, &own, t, class, None).ty, s.ty);
        assert_eq!(after.new_context(New::Created, &own, t, class, Some(b"named")).ty, new);
        after.set_boolean(boolean, true);
        assert_eq!(after.explain(&own, &own, class, vector).no_rule, 0);
        // Anything else is as it was.
        let types: Vec<_> =
            policy.types().iter().filter(|t| t.kind == TypeKind::Type).map(|t| t.id).collect();
        for _ in 0..300 {
            let (a, b) = (*random.pick(&types), *random.pick(&types));
            let (a, b) = (random.context(policy, a), random.context(policy, b));
            let other = ClassId::new(1 + random.below(policy.classes().greatest() as usize) as u32).unwrap();
            if (a.ty, b.ty) != (s.ty, t.ty) && result.types().get(a.ty).is_none_or(|t| t.bounds.is_none()) {
                assert_eq!(before.access(&a, &b, other), after.access(&a, &b, other));
            }
        }
        let difference = policy.difference(&result);
        for (area, removed, added) in &difference.areas {
            assert!(removed.is_empty(), "{area}: {removed:?}");
            assert!(added.len() < 8, "{area}: {added:?}");
        }
        assert!(difference.areas.iter().any(|(a, ..)| *a == "types"));
        assert!(policy.difference(policy).is_empty());
    });
}
