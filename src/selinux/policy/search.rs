//! Rules that fit: by kind, source, target, class, permission, new type, boolean, command.

use super::database::Policy;
use super::id::{BooleanId, ClassId, TypeId};
use super::name_transitions::NameTransition;
use super::rules::{ExtendedKind, Rule, RuleKind};

/// What a rule's source or target must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// A rule about any type that this type is, or that this attribute has.
    About(TypeId),
    /// A rule that is written with this very type or attribute.
    Written(TypeId),
}

/// What is looked for; what is empty or `None` fits everything.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Any of these kinds.
    pub kinds: Vec<RuleKind>,
    /// Who acts.
    pub source: Option<Party>,
    /// Who is acted upon.
    pub target: Option<Party>,
    /// Any of these classes.
    pub classes: Vec<ClassId>,
    /// Any of these permissions, by name; a rule of extended permissions has `ioctl` or `nlmsg`.
    pub permissions: Vec<String>,
    /// All of them instead of any.
    pub all_permissions: bool,
    /// The type that the rule gives, or one that has this attribute.
    pub new_type: Option<TypeId>,
    /// Under a condition over any of these.
    pub booleans: Vec<BooleanId>,
    /// Extended permissions: any command of this range.
    pub commands: Option<(u16, u16)>,
}

/// A rule that fits.
#[derive(Debug, Clone, Copy)]
pub enum Found<'p> {
    /// A rule of the table, and, of a conditional rule, the conditional's place among
    /// [`Policy::conditionals`] and whether the rule holds while it is true.
    Rule(Rule, Option<(usize, bool)>),
    /// A `type_transition` by name: of one source, the new type.
    Name(&'p NameTransition, TypeId, TypeId),
}

impl Policy {
    /// All rules that fit, those without a condition first, in the policy's order.
    pub fn search(&self, query: &Query) -> Vec<Found<'_>> {
        let filter = Filter::new(self, query);
        let always = self.rules().iter().map(|r| (r, None));
        let conditional = self.conditionals.iter().enumerate().flat_map(|(i, c)| {
            let yes = self.branch(c, true).iter().map(move |r| (r, Some((i, true))));
            yes.chain(self.branch(c, false).iter().map(move |r| (r, Some((i, false)))))
        });
        let mut found: Vec<Found<'_>> = always
            .chain(conditional)
            .filter(|(rule, condition)| filter.fits(rule, *condition))
            .map(|(rule, condition)| Found::Rule(rule, condition))
            .collect();
        filter.names(&mut found);
        found
    }

    /// By number of what a rule is written with: whether it is about this.
    fn party(&self, party: Option<Party>) -> Option<Vec<bool>> {
        let mut set = vec![false; self.types.greatest() as usize + 1];
        let mut add = |ty: TypeId| {
            if let Some(slot) = set.get_mut(ty.get() as usize) {
                *slot = true;
            }
        };
        match party? {
            Party::Written(ty) => add(ty),
            Party::About(ty) => {
                self.expand(ty).into_iter().for_each(|member| self.attributes(member).for_each(&mut add));
            }
        }
        Some(set)
    }
}

struct Filter<'p, 'q> {
    policy: &'p Policy,
    query: &'q Query,
    source: Option<Vec<bool>>,
    target: Option<Vec<bool>>,
    new_type: Option<Vec<TypeId>>,
    /// The wanted permissions of each class, by number; `None` where a class lacks one that it must have.
    vectors: Vec<Option<u32>>,
}

impl<'p, 'q> Filter<'p, 'q> {
    fn new(policy: &'p Policy, query: &'q Query) -> Self {
        let vector = |class: ClassId| {
            let bits: Vec<Option<u32>> =
                query.permissions.iter().map(|p| policy.permission(class, p)).collect();
            if query.all_permissions && bits.contains(&None) {
                return None;
            }
            Some(bits.into_iter().flatten().fold(0, |a, b| a | b))
        };
        let vectors = (1..=policy.classes.greatest()).map(|n| ClassId::new(n).and_then(vector)).collect();
        Self {
            policy,
            query,
            source: policy.party(query.source),
            target: policy.party(query.target),
            new_type: query.new_type.map(|t| policy.expand(t)),
            vectors,
        }
    }

    fn fits(&self, rule: &Rule, condition: Option<(usize, bool)>) -> bool {
        let query = self.query;
        let kind = rule.kind();
        let (Some(source), Some(target), Some(class)) = (rule.source(), rule.target(), rule.class()) else {
            return false;
        };
        (query.kinds.is_empty() || query.kinds.contains(&kind))
            && is_in(self.source.as_deref(), source)
            && is_in(self.target.as_deref(), target)
            && (query.classes.is_empty() || query.classes.contains(&class))
            && (query.permissions.is_empty() || self.has_permissions(rule, class))
            && (query.commands.is_none_or(|range| self.has_command(rule, range)))
            && self.new_type.as_ref().is_none_or(|n| rule.new_type().is_some_and(|t| n.contains(&t)))
            && (query.booleans.is_empty() || self.has_boolean(condition))
    }

    fn has_permissions(&self, rule: &Rule, class: ClassId) -> bool {
        if let Some(extended) = self.policy.extended(rule) {
            let own = if extended.kind == ExtendedKind::Netlink { "nlmsg" } else { "ioctl" };
            let mut wanted = self.query.permissions.iter();
            return if self.query.all_permissions {
                wanted.all(|p| p == own)
            } else {
                wanted.any(|p| p == own)
            };
        }
        match (rule.permissions(), self.vectors.get(class.index()).copied().flatten()) {
            (Some(vector), Some(wanted)) if self.query.all_permissions => wanted & !vector == 0,
            (Some(vector), Some(wanted)) => wanted & vector != 0,
            _ => false,
        }
    }

    fn has_command(&self, rule: &Rule, (first, last): (u16, u16)) -> bool {
        let ranges = self.policy.extended(rule).map(|e| e.ranges()).unwrap_or_default();
        ranges.iter().any(|(a, b)| *a <= last && first <= *b)
    }

    fn has_boolean(&self, condition: Option<(usize, bool)>) -> bool {
        let conditional = condition.and_then(|(i, _)| self.policy.conditionals.get(i));
        conditional.is_some_and(|c| c.booleans().iter().any(|b| self.query.booleans.contains(b)))
    }

    /// Transitions by name, one for each source.
    fn names(&self, found: &mut Vec<Found<'p>>) {
        let query = self.query;
        let about_rules =
            query.permissions.is_empty() && query.commands.is_none() && query.booleans.is_empty();
        if !about_rules || !(query.kinds.is_empty() || query.kinds.contains(&RuleKind::Transition)) {
            return;
        }
        for rule in &self.policy.name_transitions {
            if !is_in(self.target.as_deref(), rule.target)
                || !(query.classes.is_empty() || query.classes.contains(&rule.class))
            {
                continue;
            }
            for (sources, new) in &rule.outcomes {
                if self.new_type.as_ref().is_some_and(|n| !n.contains(new)) {
                    continue;
                }
                let sources = sources.iter().filter_map(TypeId::from_bit);
                let fitting = sources.filter(|s| is_in(self.source.as_deref(), *s));
                found.extend(fitting.map(|s| Found::Name(rule, s, *new)));
            }
        }
    }
}

fn is_in(set: Option<&[bool]>, ty: TypeId) -> bool {
    set.is_none_or(|s| s.get(ty.get() as usize).copied().unwrap_or(false))
}
