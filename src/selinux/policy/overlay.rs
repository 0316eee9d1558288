//! What if: a policy with rules, types and booleans added, in memory.
//!
//! The result is a policy like any other: it decides, explains itself, and can be written. It is made by writing and
//! reading it, so that it is as valid as one from a file; that takes a few milliseconds, whatever is added.

use std::collections::HashMap;

use super::booleans::Boolean;
use super::conditionals::{CondNode, Conditional};
use super::database::Policy;
use super::error::ReadError;
use super::id::{BooleanId, ClassId, RoleId, TypeId};
use super::name_transitions::NameTransition;
use super::role_rules::RoleAllow;
use super::rule_tables::Written;
use super::rules::{Extended, ExtendedKind, Rule, RuleKind};
use super::types::{Type, TypeKind};

/// Why something cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// The name is there already.
    #[error("the policy has `{0}` already")]
    Exists(String),
    /// Not a type, or not an attribute, where one is needed.
    #[error("`{name}` is no {wanted}")]
    Kind {
        /// As it is named.
        name: String,
        /// `type` or `attribute`.
        wanted: &'static str,
    },
    /// The format has no more numbers, or the version cannot hold it.
    #[error("a policy of version {version} cannot hold {what}")]
    Full {
        /// The policy's version.
        version: u32,
        /// What does not fit.
        what: &'static str,
    },
    /// What was added makes no valid policy.
    #[error("the policy with it is not valid: {0}")]
    Invalid(ReadError),
    /// A `type_transition` (and the like) for the same source, target and class gives another type already.
    #[error("a rule gives `{0}` already")]
    Conflict(String),
}

/// A copy of a policy to which things are added.
#[derive(Debug)]
pub struct Overlay {
    policy: Policy,
    added: Vec<Written>,
    /// By a conditional's index, while it is true.
    under: Vec<(usize, Rule)>,
}

impl Policy {
    /// Starts a copy of this policy with things added.
    pub fn overlay(&self) -> Overlay {
        Overlay { policy: self.clone(), added: Vec::new(), under: Vec::new() }
    }
}

type Result<T> = std::result::Result<T, OverlayError>;

impl Overlay {
    /// The policy so far, to look names up in; its decisions do not know of what was added.
    pub fn so_far(&self) -> &Policy {
        &self.policy
    }

    /// Adds a type.
    ///
    /// # Errors
    /// The name is taken, or there are 65,535 types and attributes.
    pub fn add_type(&mut self, name: &str) -> Result<TypeId> {
        self.add_symbol(name, TypeKind::Type)
    }

    /// Adds an attribute.
    ///
    /// # Errors
    /// The name is taken, or there are 65,535 types and attributes.
    pub fn add_attribute(&mut self, name: &str) -> Result<TypeId> {
        self.add_symbol(name, TypeKind::Attribute)
    }

    fn add_symbol(&mut self, name: &str, kind: TypeKind) -> Result<TypeId> {
        if self.policy.types.greatest() >= u32::from(u16::MAX) {
            return Err(self.full("more types"));
        }
        let properties = if kind == TypeKind::Attribute { 2 } else { 1 };
        let make = |id| Type { name: name.into(), id, kind, bounds: None, properties };
        let id = self.policy.types.add(make).ok_or_else(|| OverlayError::Exists(name.to_owned()))?;
        self.policy.type_attributes.push(&std::iter::once(id.bit()).collect());
        Ok(id)
    }

    /// Gives a type an attribute.
    ///
    /// # Errors
    /// One is not what it must be.
    pub fn give_attribute(&mut self, ty: TypeId, attribute: TypeId) -> Result<()> {
        self.must_be(ty, TypeKind::Type)?;
        self.must_be(attribute, TypeKind::Attribute)?;
        self.policy.type_attributes = self.policy.type_attributes.with(ty.index(), attribute.bit());
        // Constraints and roles hold attributes expanded; the former also as written.
        self.policy.expand_in_constraints(ty, attribute);
        Ok(())
    }

    fn must_be(&self, ty: TypeId, kind: TypeKind) -> Result<()> {
        if self.policy.types.get(ty).is_some_and(|t| t.kind == kind) {
            return Ok(());
        }
        let wanted = if kind == TypeKind::Attribute { "attribute" } else { "type" };
        Err(OverlayError::Kind { name: self.policy.types.name(ty).to_owned(), wanted })
    }

    /// Adds a boolean in a state.
    ///
    /// # Errors
    /// The name is taken.
    pub fn add_boolean(&mut self, name: &str, state: bool) -> Result<BooleanId> {
        let make = |id| Boolean { name: name.into(), id, state };
        self.policy.booleans.add(make).ok_or_else(|| OverlayError::Exists(name.to_owned()))
    }

    /// Lets contexts of a role have a type.
    pub fn give_role(&mut self, role: RoleId, ty: TypeId) {
        if let Some(role) = self.policy.roles.get_mut(role) {
            role.types.insert(ty.bit());
        }
    }

    /// Lets a process change its role.
    pub fn allow_role(&mut self, role: RoleId, new_role: RoleId) {
        let rule = RoleAllow { role, new_role };
        if !self.policy.role_allows.contains(&rule) {
            self.policy.role_allows.push(rule);
        }
    }

    /// Makes a type permissive.
    pub fn make_permissive(&mut self, ty: TypeId) {
        self.policy.permissive.insert(ty.get());
    }

    /// Adds an `allow`, `auditallow` or `dontaudit` rule; other kinds say no permissions and are left out.
    ///
    /// # Errors
    /// A number is greater than rules can hold.
    pub fn add_rule(
        &mut self,
        kind: RuleKind,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        permissions: u32,
    ) -> Result<()> {
        if kind.gives_type() || kind.is_extended() || permissions == 0 {
            return Ok(());
        }
        let rule = Rule::of_permissions(kind, source, target, class, permissions);
        self.added.push((rule.ok_or_else(|| self.full("numbers over 65,535 in rules"))?, None));
        Ok(())
    }

    /// Adds a rule of permissions under a condition (postfix, as in [`Conditional`]), in force while it is true.
    ///
    /// # Errors
    /// A number is greater than rules can hold.
    pub fn add_conditional_rule(
        &mut self,
        condition: &[CondNode],
        kind: RuleKind,
        (source, target, class): (TypeId, TypeId, ClassId),
        permissions: u32,
    ) -> Result<()> {
        let rule = Rule::of_permissions(kind, source, target, class, permissions);
        let rule = rule.ok_or_else(|| self.full("numbers over 65,535 in rules"))?;
        let known = self.policy.conditionals.iter().enumerate().find(|(_, c)| c.expression == condition);
        if let Some((index, known)) = known {
            self.under.push((index, rule.under_condition(known.state)));
            return Ok(());
        }
        let mut conditional =
            Conditional { state: false, expression: condition.to_vec(), when_true: 0..0, when_false: 0..0 };
        let booleans = &self.policy.booleans;
        conditional.state = conditional.evaluate(|b| booleans.get(b).is_some_and(|b| b.state));
        self.under.push((self.policy.conditionals.len(), rule.under_condition(conditional.state)));
        self.policy.conditionals.push(conditional);
        Ok(())
    }

    /// Adds a rule of extended permissions: commands as ranges, first and last.
    ///
    /// # Errors
    /// The version has none, or a number is greater than rules can hold.
    pub fn add_commands(
        &mut self,
        kind: RuleKind,
        (source, target, class): (TypeId, TypeId, ClassId),
        netlink: bool,
        commands: &[(u16, u16)],
    ) -> Result<()> {
        if self.policy.version < 30 || !kind.is_extended() {
            return Err(self.full("extended permissions"));
        }
        let of = if netlink { ExtendedKind::Netlink } else { ExtendedKind::IoctlFunction };
        for extended in Extended::of_commands(of, commands) {
            let rule = Rule::of_data(kind, source, target, class, 0);
            let rule = rule.ok_or_else(|| self.full("numbers over 65,535 in rules"))?;
            self.added.push((rule, Some(extended)));
        }
        Ok(())
    }

    /// Adds a `type_transition`, `type_member` or `type_change` rule; a transition may be for one name only.
    ///
    /// # Errors
    /// Another type is given already, or the version or the numbers cannot hold it.
    pub fn add_transition(
        &mut self,
        kind: RuleKind,
        (source, target, class): (TypeId, TypeId, ClassId),
        new: TypeId,
        name: Option<&[u8]>,
    ) -> Result<()> {
        let Some(name) = name else {
            if !kind.gives_type() {
                return Ok(());
            }
            let same = |r: &Rule| {
                (r.source(), r.target(), r.class(), r.kind())
                    == (Some(source), Some(target), Some(class), kind)
            };
            let mut all = self.policy.rules().iter().chain(self.added.iter().map(|(r, _)| *r));
            let there = all.find(same).and_then(|r| r.new_type());
            drop(all);
            return match there {
                Some(there) if there == new => Ok(()),
                Some(there) => Err(OverlayError::Conflict(self.policy.types.name(there).to_owned())),
                None => {
                    let rule = Rule::of_data(kind, source, target, class, new.get());
                    self.added.push((rule.ok_or_else(|| self.full("numbers over 65,535 in rules"))?, None));
                    Ok(())
                }
            };
        };
        if self.policy.version < 25 {
            return Err(self.full("transitions by name"));
        }
        let key = |t: &NameTransition| t.target == target && t.class == class && *t.name == *name;
        let same = || self.policy.name_transitions.iter().filter(|t| key(t));
        match same().find_map(|t| t.outcome(source)) {
            Some(there) if there == new => return Ok(()),
            Some(there) => return Err(OverlayError::Conflict(self.policy.types.name(there).to_owned())),
            None => {}
        }
        let outcome = (std::iter::once(source.bit()).collect(), new);
        let shared = self.policy.version >= 33;
        let known = self.policy.name_transitions.iter_mut().find(|t| shared && key(t));
        match known {
            Some(known) => match known.outcomes.iter_mut().find(|(_, n)| *n == new) {
                Some((sources, _)) => sources.insert(source.bit()),
                None => known.outcomes.push(outcome),
            },
            None => {
                let rule = NameTransition { name: name.into(), target, class, outcomes: vec![outcome] };
                self.policy.name_transitions.push(rule);
            }
        }
        Ok(())
    }

    /// The policy with everything added.
    ///
    /// # Errors
    /// It is not valid.
    pub fn finish(self) -> Result<Policy> {
        let known = self.policy.rules().iter().map(|r| (r, self.policy.extended(&r)));
        let mut rules: Vec<Written> = Vec::with_capacity(self.policy.rules().len() + self.added.len());
        rules.extend(known);
        // The kernel takes each pair of types and class once for each kind: what is there already is widened.
        let mut places: HashMap<(u16, u16, u16, u16), Option<usize>> = HashMap::new();
        for (rule, _) in self.added.iter().filter(|(r, _)| r.permissions().is_some()) {
            places.insert(rule.raw(), None);
        }
        for (i, (rule, _)) in rules.iter().enumerate() {
            if let Some(place) = places.get_mut(&rule.raw()) {
                *place = Some(i);
            }
        }
        for added in self.added {
            let place = places.get_mut(&added.0.raw());
            match place.as_ref().and_then(|p| **p).and_then(|i| rules.get_mut(i)) {
                Some((known, _)) => known.widen(&added.0),
                None => {
                    if let Some(place) = place {
                        *place = Some(rules.len());
                    }
                    rules.push(added);
                }
            }
        }
        let under = |index: usize| {
            let here = self.under.iter().filter(|(i, _)| *i == index);
            here.map(|(_, rule)| (*rule, None)).collect::<Vec<_>>()
        };
        let bytes = self.policy.write_with(&rules, under);
        Policy::read_owned(bytes).map_err(OverlayError::Invalid)
    }

    fn full(&self, what: &'static str) -> OverlayError {
        OverlayError::Full { version: self.policy.version, what }
    }
}
