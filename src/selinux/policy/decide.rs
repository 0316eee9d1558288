//! Access decisions, in the kernel's order (`context_struct_compute_av` in security/selinux/ss/services.c): rules over
//! all attributes of both types, constraints, roles, bounds.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustc_hash::FxHashMap;

use super::conditionals::Conditional;
use super::constraint_eval::{Parties, holds};
use super::context::Context;
use super::database::Policy;
use super::id::{BooleanId, ClassId, TypeId};
use super::openings::Having;
use super::rule_tables::Gate;
use super::rules::{Rule, RuleKind};

/// A decision on all permissions of a class at once; a bit is a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// What is allowed.
    pub allowed: u32,
    /// What is reported although allowed.
    pub audit_allow: u32,
    /// What is reported when denied; a `dontaudit` rule clears bits.
    pub audit_deny: u32,
    /// Denials are reported and let through: the source's type is permissive.
    pub permissive: bool,
    /// Denials are never reported (version 35).
    pub never_audit: bool,
}

/// A policy with its booleans in certain states: what decisions are made by.
#[derive(Debug, Clone)]
pub struct View<'p> {
    policy: &'p Policy,
    /// By boolean, from 0 on.
    states: Vec<bool>,
    /// By gate.
    gates: Vec<bool>,
    /// Rules that are laid over the policy's, by what they are about.
    over: FxHashMap<About, u32>,
    /// What rules said of types that were asked about before, where that is remembered.
    known: Option<Known>,
    /// The types that have each attribute, once that is asked for.
    having: OnceLock<Option<Arc<Having>>>,
}

/// What is remembered; a copy of a view remembers its own.
#[derive(Debug, Default)]
struct Known(Mutex<FxHashMap<About, Access>>);

impl Clone for Known {
    fn clone(&self) -> Self {
        Known::default()
    }
}

/// Source type, target type and class.
type About = (TypeId, TypeId, ClassId);

/// Most decisions that are remembered.
const REMEMBERED: usize = 1 << 14;

impl Policy {
    /// The policy with the booleans as the file has them.
    pub fn view(&self) -> View<'_> {
        let mut states = vec![false; self.booleans.greatest() as usize];
        for boolean in self.booleans.iter() {
            if let Some(slot) = states.get_mut(boolean.id.index()) {
                *slot = boolean.state;
            }
        }
        View::with_states(self, states)
    }
}

impl Policy {
    /// Calls for a type itself and for those of its attributes that are targets in some rule, until told that it is enough.
    #[inline]
    pub(super) fn each_written(&self, ty: TypeId, mut go_on: impl FnMut(TypeId) -> bool) {
        let attributes = self.type_attributes.get(ty.index());
        // Files have each type among its own attributes; what is made in memory may not.
        if attributes.is_none_or(|a| !a.contains(ty.bit())) && !go_on(ty) {
            return;
        }
        for (word, bits) in attributes.into_iter().flat_map(|a| a.words()) {
            let mut bits = bits & self.index.rules.written(word);
            while bits != 0 {
                if let Some(attribute) = TypeId::from_bit(word * 64 + bits.trailing_zeros())
                    && !go_on(attribute)
                {
                    return;
                }
                bits &= bits - 1;
            }
        }
    }
}

impl<'p> View<'p> {
    /// The policy with these states, by boolean from 0 on.
    pub(super) fn with_states(policy: &'p Policy, states: Vec<bool>) -> Self {
        let (gates, over, having) = Default::default();
        let mut view = View { policy, states, gates, over, known: None, having };
        view.evaluate();
        view
    }

    /// Remembers from now on what rules say of types that were asked about: for whoever asks often about the same ones.
    pub fn remember(&mut self) {
        self.known = Some(Known::default());
    }

    /// Lays an `allow` rule between two types (no attributes) over the policy: decisions of this view go by it as by the
    /// policy's own.
    pub fn lay_over(&mut self, source: TypeId, target: TypeId, class: ClassId, permissions: u32) {
        *self.over.entry((source, target, class)).or_default() |= permissions;
        self.forget();
    }

    fn forget(&mut self) {
        if let Some(known) = &mut self.known {
            known.0.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// The policy that is looked at.
    pub fn policy(&self) -> &'p Policy {
        self.policy
    }

    /// The types that have each attribute, found out once; `None` for a policy that was made by hand.
    pub(super) fn having(&self) -> Option<&Having> {
        self.having.get_or_init(|| Having::new(self.policy).map(Arc::new)).as_deref()
    }

    /// Whether a boolean is on.
    pub fn boolean(&self, boolean: BooleanId) -> bool {
        self.states.get(boolean.index()).copied().unwrap_or(false)
    }

    /// Turns a boolean on or off, in this view only.
    pub fn set_boolean(&mut self, boolean: BooleanId, state: bool) {
        if let Some(slot) = self.states.get_mut(boolean.index()) {
            *slot = state;
        }
        self.evaluate();
    }

    /// Whether a conditional's expression is true now.
    pub fn is_true(&self, conditional: &Conditional) -> bool {
        conditional.evaluate(|b| self.boolean(b))
    }

    fn evaluate(&mut self) {
        let mut gates = Vec::with_capacity(1 + 2 * self.policy.conditionals.len());
        gates.push(true);
        for conditional in &self.policy.conditionals {
            let value = self.is_true(conditional);
            gates.extend([value, !value]);
        }
        self.gates = gates;
        self.forget();
    }

    #[inline]
    pub(super) fn is_open(&self, gate: Gate) -> bool {
        gate == 0 || self.gates.get(gate as usize).copied().unwrap_or(false)
    }

    /// Decides on every permission of `class`.
    pub fn access(&self, source: &Context, target: &Context, class: ClassId) -> Access {
        let mut access = self.bounded(source, target, class);
        access.permissive = self.policy.is_permissive(source.ty);
        access.never_audit = self.policy.is_never_audited(source.ty);
        access
    }

    fn bounded(&self, source: &Context, target: &Context, class: ClassId) -> Access {
        let mut access = self.by_rules(source.ty, target.ty, class);
        access.allowed &= !self.denied_by_constraints(source, target, class, access.allowed);
        access.allowed &= !self.denied_by_roles(source, target, class, access.allowed);
        access.allowed &= !self.denied_by_bounds(source, target, class, access.allowed);
        access
    }

    /// What the rules alone say.
    pub(super) fn by_rules(&self, source: TypeId, target: TypeId, class: ClassId) -> Access {
        let Some(known) = &self.known else { return self.find_rules(source, target, class) };
        let about = (source, target, class);
        let known = || known.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(access) = known().get(&about) {
            return *access;
        }
        let access = self.find_rules(source, target, class);
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(about, access);
        access
    }

    fn find_rules(&self, source: TypeId, target: TypeId, class: ClassId) -> Access {
        let mut access = Access {
            allowed: 0,
            audit_allow: 0,
            audit_deny: u32::MAX,
            permissive: false,
            never_audit: false,
        };
        self.each_rule(source, target, class, |rule| match rule.kind() {
            RuleKind::Allow => access.allowed |= rule.data(),
            RuleKind::AuditAllow => access.audit_allow |= rule.data(),
            RuleKind::DontAudit => access.audit_deny &= rule.data(),
            _ => {}
        });
        access
    }

    /// Calls for each rule in force, of any kind, about these types and this class, attributes included.
    #[inline]
    pub(super) fn each_rule(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        mut call: impl FnMut(Rule),
    ) {
        self.each_entry(source, target, class, |rule, gate| {
            if self.is_open(gate) {
                call(rule);
            }
        });
        let over = self.laid_over(source, target, class);
        if let Some(rule) = Rule::of_permissions(RuleKind::Allow, source, target, class, over)
            && over != 0
        {
            call(rule);
        }
    }

    /// What rules allow that are laid over the policy's.
    pub(super) fn laid_over(&self, source: TypeId, target: TypeId, class: ClassId) -> u32 {
        if self.over.is_empty() {
            return 0;
        }
        self.over.get(&(source, target, class)).copied().unwrap_or(0)
    }

    /// All of what is laid over that is about this source.
    pub(super) fn laid_over_for(&self, source: TypeId) -> impl Iterator<Item = (TypeId, ClassId, u32)> {
        let of_source = self.over.iter().filter(move |((s, ..), _)| *s == source);
        of_source.map(|((_, target, class), permissions)| (*target, *class, *permissions))
    }

    /// The same for every rule, in force or not, with the branch that it hangs on.
    #[inline]
    pub(super) fn each_entry(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        mut call: impl FnMut(Rule, Gate),
    ) {
        let index = &self.policy.index;
        with_members(self.policy, source, |members| {
            self.policy.each_written(target, |target| {
                for entry in index.rules.get(target, class) {
                    if members.contains(entry.source)
                        && let Some((rule, gate)) = self.policy.rule(entry.rule)
                    {
                        call(rule, gate);
                    }
                }
                true
            });
        });
    }

    /// Which of these permissions constraints take away.
    pub(super) fn denied_by_constraints(
        &self,
        source: &Context,
        target: &Context,
        class: ClassId,
        allowed: u32,
    ) -> u32 {
        let mut left = allowed;
        let Some(class) = self.policy.classes.get(class) else { return 0 };
        let parties = Parties { source, target, process: None };
        for constraint in &class.constraints {
            if constraint.permissions & left != 0 && !holds(self.policy, constraint, &parties) {
                left &= !constraint.permissions;
            }
        }
        allowed & !left
    }

    /// Which of these permissions need a role `allow` rule that is not there.
    pub(super) fn denied_by_roles(
        &self,
        source: &Context,
        target: &Context,
        class: ClassId,
        allowed: u32,
    ) -> u32 {
        let index = &self.policy.index;
        let denied = allowed & index.process_transition;
        if index.process != Some(class) || denied == 0 || source.role == target.role {
            return 0;
        }
        let mut rules = self.policy.role_allows.iter();
        if rules.any(|r| r.role == source.role && r.new_role == target.role) { 0 } else { denied }
    }

    /// Which of these permissions the bounds of the source's type do not have.
    pub(super) fn denied_by_bounds(
        &self,
        source: &Context,
        target: &Context,
        class: ClassId,
        allowed: u32,
    ) -> u32 {
        match self.bounds(source, target) {
            // Not deep: a policy whose bounds lie deeper than 4 is not valid.
            Some((source, target)) => allowed & !self.bounded(&source, &target, class).allowed,
            None => 0,
        }
    }

    /// The contexts whose access bounds this one's.
    pub(super) fn bounds(&self, source: &Context, target: &Context) -> Option<(Context, Context)> {
        let of = |ty| self.policy.types.get(ty).and_then(|t| t.bounds);
        let bound = of(source.ty)?;
        let source = Context { ty: bound, ..source.clone() };
        let target = Context { ty: of(target.ty).unwrap_or(target.ty), ..target.clone() };
        Some((source, target))
    }

    /// Whether an object of `class` may be relabelled from `old` to `new` by `process` (`validatetrans`).
    pub fn may_relabel(&self, old: &Context, new: &Context, process: &Context, class: ClassId) -> bool {
        let parties = Parties { source: old, target: new, process: Some(process) };
        let class = self.policy.classes.get(class);
        class.is_none_or(|c| c.validatetrans.iter().all(|v| holds(self.policy, v, &parties)))
    }
}

/// A type's attributes and itself as a set; bit 0 is type 1.
pub(super) struct Members<'a>(&'a [u64]);

impl<'a> Members<'a> {
    /// The set of these words, as [`Members::words`] gave them.
    pub(super) fn of(words: &'a [u64]) -> Members<'a> {
        Members(words)
    }

    /// Its words; bit 0 of the first is type 1.
    pub(super) fn words(&self) -> &'a [u64] {
        self.0
    }

    #[inline]
    pub(super) fn contains(&self, number: u16) -> bool {
        let bit = number.wrapping_sub(1);
        self.0.get(usize::from(bit / 64)).is_some_and(|w| w >> (bit % 64) & 1 != 0)
    }
}

/// How many words of the set live on the stack; policies in use have some 5,000 types.
const ON_STACK: usize = 128;

/// Makes the set of a type's attributes.
#[inline]
pub(super) fn with_members<T>(policy: &Policy, ty: TypeId, call: impl FnOnce(&Members<'_>) -> T) -> T {
    let words = policy.types.greatest() as usize / 64 + 1;
    let mut on_stack = [0; ON_STACK];
    let mut on_heap;
    let set = match on_stack.get_mut(..words) {
        Some(set) => set,
        None => {
            on_heap = vec![0; words];
            &mut on_heap[..]
        }
    };
    for (word, bits) in policy.type_attributes.get(ty.index()).into_iter().flat_map(|b| b.words()) {
        if let Some(slot) = set.get_mut(word as usize) {
            *slot = bits;
        }
    }
    if let Some(slot) = set.get_mut(ty.index() / 64) {
        *slot |= 1 << (ty.index() % 64);
    }
    call(&Members(set))
}
