//! The rules between types, found by the index: cheap enough to be asked for every denial of a log.

use std::collections::BTreeSet;

use super::bitmap::Bitmap;
use super::context::Context;
use super::database::Policy;
use super::decide::{Members, View, with_members};
use super::id::{ClassId, TypeId};
use super::rule_tables::Gate;
use super::rules::RuleKind;

/// A rule that grants, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granting {
    /// Type or attribute.
    pub source: TypeId,
    /// Type or attribute.
    pub target: TypeId,
    /// All permissions of the rule.
    pub permissions: u32,
    /// Its conditional's place among [`Policy::conditionals`](super::Policy::conditionals), and whether it must be
    /// true.
    pub condition: Option<(usize, bool)>,
}

/// What `allow` rules between two types and a class say, by what they hang on: asked for once, it answers for every set
/// of permissions and every state of the booleans.
#[derive(Debug, Clone)]
pub struct Between {
    about: (TypeId, TypeId, ClassId),
    /// What is allowed whatever the booleans are.
    pub(super) always: u32,
    /// What branches of conditionals allow.
    pub(super) branches: Vec<(Gate, u32)>,
}

impl Between {
    /// Whether no rule between them hangs on a condition.
    pub fn is_unconditional(&self) -> bool {
        self.branches.is_empty()
    }
}

/// The `allow` rules on a target and a class, whatever their sources: for whoever asks about one target many times.
#[derive(Debug, Clone)]
pub struct OnTarget {
    target: TypeId,
    class: ClassId,
    /// Source as it is written (its number), branch, permissions.
    rules: Vec<(u16, Gate, u32)>,
}

/// A type's attributes and itself.
#[derive(Debug, Clone)]
pub struct Attributes {
    ty: TypeId,
    words: Vec<u64>,
}

impl OnTarget {
    /// Those of the rules whose source this type is.
    pub fn by(&self, source: &Attributes) -> Between {
        let members = Members::of(&source.words);
        let mut found =
            Between { about: (source.ty, self.target, self.class), always: 0, branches: Vec::new() };
        for (written, gate, permissions) in &self.rules {
            if members.contains(*written) {
                match gate {
                    0 => found.always |= permissions,
                    _ => found.branches.push((*gate, *permissions)),
                }
            }
        }
        found
    }
}

impl Policy {
    /// A type's attributes and itself.
    pub fn all_attributes(&self, ty: TypeId) -> Attributes {
        Attributes { ty, words: with_members(self, ty, |members| members.words().to_vec()) }
    }

    /// All `allow` rules between two types and a class, in force or not.
    pub fn between(&self, source: TypeId, target: TypeId, class: ClassId) -> Between {
        self.on_target(target, class).by(&self.all_attributes(source))
    }

    /// The `allow` rules on a target and a class.
    pub fn on_target(&self, target: TypeId, class: ClassId) -> OnTarget {
        let mut rules = Vec::new();
        self.each_written(target, |written| {
            for entry in self.index.rules.get(written, class) {
                if let Some((rule, gate)) = self.rule(entry.rule)
                    && rule.kind() == RuleKind::Allow
                {
                    rules.push((entry.source, gate, rule.data()));
                }
            }
            true
        });
        OnTarget { target, class, rules }
    }
}

/// What denies permissions that rules allow, each for itself, of all permissions of the class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Barriers {
    /// Constraints that do not hold.
    pub constraints: u32,
    /// Role `allow` rules that are not there.
    pub roles: u32,
    /// Bounds of the source's type.
    pub bounds: u32,
}

impl Barriers {
    /// What any of them denies.
    pub fn all(self) -> u32 {
        self.constraints | self.roles | self.bounds
    }
}

impl View<'_> {
    /// What of it is in force in this view (of the same policy), with what is laid over: the same as
    /// [`View::allowed_by_rules`].
    pub fn in_force(&self, between: &Between) -> u32 {
        let (source, target, class) = between.about;
        let open = between.branches.iter().filter(|(gate, _)| self.is_open(*gate));
        let always = between.always | self.laid_over(source, target, class);
        open.fold(always, |all, (_, permissions)| all | permissions)
    }

    /// Whether a source's access is bounded by that of another type.
    pub fn is_bounded(&self, source: TypeId) -> bool {
        self.policy().types().get(source).is_some_and(|t| t.bounds.is_some())
    }

    /// What stands between two contexts beside rules.
    pub fn barriers(&self, source: &Context, target: &Context, class: ClassId) -> Barriers {
        Barriers {
            constraints: self.denied_by_constraints(source, target, class, u32::MAX),
            roles: self.denied_by_roles(source, target, class, u32::MAX),
            bounds: self.denied_by_bounds(source, target, class, u32::MAX),
        }
    }

    /// What rules in force allow; constraints, roles and bounds are left aside.
    pub fn allowed_by_rules(&self, source: TypeId, target: TypeId, class: ClassId) -> u32 {
        self.by_rules(source, target, class).allowed
    }

    /// The `allow` rules in force that grant part of `permissions`, those that grant most first.
    pub fn granting(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        permissions: u32,
    ) -> Vec<Granting> {
        let mut found = Vec::new();
        with_members(self.policy(), source, |members| {
            let members = |number| members.contains(number);
            self.each_grant(target, class, permissions, members, |source, target, granted, gate| {
                // An odd gate is a conditional's true branch.
                let condition = gate.checked_sub(1).map(|g| (g as usize / 2, g % 2 == 0));
                found.push(Granting { source, target, permissions: granted, condition });
            });
        });
        found.sort_by_key(|g| std::cmp::Reverse((g.permissions & permissions).count_ones()));
        found
    }

    /// The types that rules in force let do any of `permissions` to a target; bit 0 is type 1.
    pub fn sources_allowed(&self, target: TypeId, class: ClassId, permissions: u32) -> Bitmap {
        let mut written = BTreeSet::new();
        let anyone = |_| true;
        self.each_grant(target, class, permissions, anyone, |source, _, _, _| {
            written.insert(source);
        });
        written.into_iter().flat_map(|s| self.policy().expand(s)).map(|t| t.bit()).collect()
    }

    /// Calls for each `allow` rule in force that grants part of `permissions` on this type or one of its attributes,
    /// to a source that is wanted: with source and target as they are written, its permissions, and the branch that it
    /// hangs on.
    fn each_grant(
        &self,
        target: TypeId,
        class: ClassId,
        permissions: u32,
        wanted: impl Fn(u16) -> bool,
        mut call: impl FnMut(TypeId, TypeId, u32, Gate),
    ) {
        let policy = self.policy();
        let is_written = |ty: &TypeId| {
            let bit = ty.bit();
            policy.index.rules.written(bit / 64) >> (bit % 64) & 1 != 0
        };
        for written in policy.attributes(target).filter(is_written) {
            for entry in policy.index.rules.get(written, class).filter(|e| wanted(e.source)) {
                let Some((rule, gate)) = policy.rule(entry.rule) else { continue };
                if rule.kind() == RuleKind::Allow
                    && let (Some(source), Some(granted)) = (rule.source(), rule.permissions())
                    && granted & permissions != 0
                    && self.is_open(gate)
                {
                    call(source, written, granted, gate);
                }
            }
        }
    }
}
