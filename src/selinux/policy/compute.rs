//! The context that a new process or object gets, or that a relabelling or a polyinstantiated directory takes
//! (`security_compute_sid` and `mls_compute_sid` in security/selinux/ss).

use super::bitmap::Bitmap;
use super::classes::{DefaultFrom, DefaultRange};
use super::context::Context;
use super::decide::View;
use super::id::{ClassId, OBJECT_R, TypeId};
use super::mls::{Level, Range};
use super::rules::RuleKind;

/// What a new context is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum New {
    /// A new process or object (`type_transition` and the like).
    Created,
    /// A member of a polyinstantiated directory (`type_member`).
    Member,
    /// What a relabelling by a login program would take (`type_change`).
    Changed,
}

/// Whose way of doing it: they differ for sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Rules {
    /// The kernel's: a socket takes role, type and range of its process.
    #[default]
    Kernel,
    /// libsepol's: a socket is an object like others.
    Libsepol,
}

impl View<'_> {
    /// The context of what `source` makes in (or of) `target`, by the kernel's rules; `name` is the last component
    /// of a new file's path. It may be invalid: [`check_context`](super::Policy::check_context) tells.
    pub fn new_context(
        &self,
        new: New,
        source: &Context,
        target: &Context,
        class: ClassId,
        name: Option<&[u8]>,
    ) -> Context {
        self.new_context_by(Rules::Kernel, new, source, target, class, name)
    }

    /// As [`View::new_context`], by the rules of one or the other.
    pub fn new_context_by(
        &self,
        rules: Rules,
        new: New,
        source: &Context,
        target: &Context,
        class: ClassId,
        name: Option<&[u8]>,
    ) -> Context {
        let policy = self.policy();
        let known = policy.classes().get(class);
        let defaults = known.map(|c| c.defaults).unwrap_or_default();
        let like_process = policy.index.process == Some(class)
            || (rules == Rules::Kernel && known.is_some_and(|c| is_socket(&c.name)));

        let user = match (new, defaults.user) {
            (New::Member, _) | (_, Some(DefaultFrom::Target)) => target.user,
            _ => source.user,
        };
        let mut role = match defaults.role {
            Some(DefaultFrom::Source) => source.role,
            Some(DefaultFrom::Target) => target.role,
            None if like_process => source.role,
            None => OBJECT_R,
        };
        let by_name = name.and_then(|n| self.type_by_name(source.ty, target.ty, class, n));
        let kind = match new {
            New::Created => RuleKind::Transition,
            New::Member => RuleKind::Member,
            New::Changed => RuleKind::Change,
        };
        let ty = by_name.or_else(|| self.type_by_rule(kind, source.ty, target.ty, class));
        let ty = ty.unwrap_or(match defaults.ty {
            Some(DefaultFrom::Source) => source.ty,
            Some(DefaultFrom::Target) => target.ty,
            None if like_process => source.ty,
            None => target.ty,
        });
        if new == New::Created
            && let Some(new_role) = self.role_by_rule(source, target, class)
        {
            role = new_role;
        }
        let range = match (&source.range, &target.range) {
            (Some(s), Some(t)) => {
                let default = defaults.range;
                Some(self.range(new, (source.ty, s), (target.ty, t), class, default, like_process))
            }
            _ => None,
        };
        Context { user, role, ty, range }
    }

    /// The type that a `type_transition`, `type_member` or `type_change` rule in force gives.
    pub fn type_by_rule(
        &self,
        kind: RuleKind,
        source: TypeId,
        target: TypeId,
        class: ClassId,
    ) -> Option<TypeId> {
        let policy = self.policy();
        let entries = policy.index.rules.get(target, class);
        let mut fitting = entries
            .filter(|e| u32::from(e.source) == source.get())
            .filter_map(|e| policy.rule(e.rule))
            .filter(|(rule, gate)| rule.kind() == kind && self.is_open(*gate));
        // A rule without a condition comes first in its group, and before any with one.
        fitting.next().and_then(|(rule, _)| rule.new_type())
    }

    /// The type that a `type_transition` by name gives.
    pub fn type_by_name(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        name: &[u8],
    ) -> Option<TypeId> {
        let policy = self.policy();
        let rule = |i: &u32| policy.name_transitions.get(*i as usize);
        let key = (target, class, name);
        let order = &policy.index.names;
        let first = order.partition_point(|i| rule(i).is_some_and(|t| (t.target, t.class, &*t.name) < key));
        let same =
            order.iter().skip(first).map_while(|i| rule(i).filter(|t| (t.target, t.class, &*t.name) == key));
        same.into_iter().find_map(|t| t.outcome(source))
    }

    fn role_by_rule(&self, source: &Context, target: &Context, class: ClassId) -> Option<super::RoleId> {
        let policy = self.policy();
        let rule = |i: &u32| policy.role_transitions.get(*i as usize);
        let key = (source.role, target.ty);
        let order = &policy.index.role_transitions;
        let first = order.partition_point(|i| rule(i).is_some_and(|t| (t.role, t.ty) < key));
        let mut same = order.iter().skip(first).map_while(|i| rule(i).filter(|t| (t.role, t.ty) == key));
        same.find(|t| t.class.or(policy.index.process) == Some(class)).map(|t| t.new_role)
    }

    fn range_by_rule(&self, source: TypeId, target: TypeId, class: ClassId) -> Option<&Range> {
        let policy = self.policy();
        let rule = |i: &u32| policy.range_transitions.get(*i as usize);
        let key = (source, target, class);
        let order = &policy.index.ranges;
        let found = order.partition_point(|i| rule(i).is_some_and(|t| (t.source, t.target, t.class) < key));
        order.get(found).and_then(rule).filter(|t| (t.source, t.target, t.class) == key).map(|t| &t.range)
    }

    fn range(
        &self,
        new: New,
        (source_type, source): (TypeId, &Range),
        (target_type, target): (TypeId, &Range),
        class: ClassId,
        default: Option<DefaultRange>,
        like_process: bool,
    ) -> Range {
        let low = |r: &Range| Range::single(r.low.clone());
        let high = |r: &Range| Range::single(r.high().clone());
        match new {
            New::Created => {
                if let Some(range) = self.range_by_rule(source_type, target_type, class) {
                    return range.clone();
                }
                match default {
                    Some(DefaultRange::SourceLow) => return low(source),
                    Some(DefaultRange::SourceHigh) => return high(source),
                    Some(DefaultRange::SourceLowHigh) => return source.clone(),
                    Some(DefaultRange::TargetLow) => return low(target),
                    Some(DefaultRange::TargetHigh) => return high(target),
                    Some(DefaultRange::TargetLowHigh) => return target.clone(),
                    Some(DefaultRange::Glblub) => return glblub(source, target),
                    None => {}
                }
            }
            New::Changed => {}
            New::Member => return low(source),
        }
        if like_process { source.clone() } else { low(source) }
    }
}

/// Whether the kernel takes objects of this class for sockets: its list has those of its own classes whose names end
/// so (scripts/selinux/genheaders). Policies still declare two that it gave up; some call them obsolete by now.
fn is_socket(class: &str) -> bool {
    const GIVEN_UP: [&str; 2] = ["netlink_firewall_socket", "netlink_ip6fw_socket"];
    class.ends_with("socket") && !GIVEN_UP.contains(&class.strip_prefix("obsolete_").unwrap_or(class))
}

/// The greatest of the lows and the least of the highs, with the categories of both.
fn glblub(a: &Range, b: &Range) -> Range {
    let both = |x: &Bitmap, y: &Bitmap| x.intersection(y);
    let low = Level {
        sensitivity: a.low.sensitivity.max(b.low.sensitivity),
        categories: both(&a.low.categories, &b.low.categories),
    };
    let high = Level {
        sensitivity: a.high().sensitivity.min(b.high().sensitivity),
        categories: both(&a.high().categories, &b.high().categories),
    };
    Range::new(low, high)
}
