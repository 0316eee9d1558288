//! Whether a constraint's expression holds (`constraint_expr_eval` in security/selinux/ss/services.c).

use super::constraints::{Constraint, Node, Op, attr};
use super::context::Context;
use super::database::Policy;
use super::id::RoleId;
use super::mls::{Level, Range};

/// The contexts that a constraint speaks of.
pub(super) struct Parties<'a> {
    /// `u1 r1 t1 l1 h1`; on relabelling, the old context.
    pub(super) source: &'a Context,
    /// `u2 r2 t2 l2 h2`; on relabelling, the new context.
    pub(super) target: &'a Context,
    /// `u3 r3 t3`: who relabels.
    pub(super) process: Option<&'a Context>,
}

/// Whether the whole expression holds.
pub(super) fn holds(policy: &Policy, constraint: &Constraint, parties: &Parties<'_>) -> bool {
    // The stack is a number, its top the lowest bit: at most 5 deep in a valid policy.
    let mut stack = 0u32;
    for node in &constraint.nodes {
        match node {
            Node::Not => stack ^= 1,
            Node::And => stack = stack >> 1 & (stack | !1),
            Node::Or => stack = stack >> 1 | (stack & 1),
            leaf => stack = stack << 1 | u32::from(leaf_holds(policy, leaf, parties)),
        }
    }
    stack & 1 != 0
}

/// Whether one leaf holds; operators hold nothing.
pub(super) fn leaf_holds(policy: &Policy, node: &Node, parties: &Parties<'_>) -> bool {
    let (s, t) = (parties.source, parties.target);
    match node {
        Node::Attr { attr, op } => match *attr {
            attr::USER => equal(*op, s.user == t.user),
            attr::TYPE => equal(*op, s.ty == t.ty),
            attr::ROLE => roles(policy, *op, s.role, t.role),
            pair => match (&s.range, &t.range) {
                (Some(source), Some(target)) => {
                    let (a, b) = levels(pair, source, target);
                    compare(*op, a, b)
                }
                // Without MLS all levels are the same.
                _ => matches!(op, Op::Eq | Op::Dom | Op::DomBy),
            },
        },
        Node::Names { attr, op, names } => {
            let whose = if attr & attr::TARGET != 0 {
                Some(t)
            } else if attr & attr::XTARGET != 0 {
                parties.process
            } else {
                Some(s)
            };
            let Some(whose) = whose else { return false };
            let bit = if attr & attr::USER != 0 {
                whose.user.bit()
            } else if attr & attr::ROLE != 0 {
                whose.role.bit()
            } else {
                whose.ty.bit()
            };
            equal(*op, names.set.contains(bit))
        }
        Node::Not | Node::And | Node::Or => false,
    }
}

fn equal(op: Op, equal: bool) -> bool {
    match op {
        Op::Eq => equal,
        _ => !equal,
    }
}

fn roles(policy: &Policy, op: Op, a: RoleId, b: RoleId) -> bool {
    let dominates = |x: RoleId, y: RoleId| policy.roles.get(x).is_some_and(|x| x.dominates.contains(y.bit()));
    match op {
        Op::Eq => a == b,
        Op::Neq => a != b,
        Op::Dom => dominates(a, b),
        Op::DomBy => dominates(b, a),
        Op::Incomp => !dominates(a, b) && !dominates(b, a),
    }
}

/// The two levels that a leaf compares.
pub(super) fn levels<'a>(pair: u32, source: &'a Range, target: &'a Range) -> (&'a Level, &'a Level) {
    match pair {
        attr::L1L2 => (&source.low, &target.low),
        attr::L1H2 => (&source.low, target.high()),
        attr::H1L2 => (source.high(), &target.low),
        attr::H1H2 => (source.high(), target.high()),
        attr::L1H1 => (&source.low, source.high()),
        _ => (&target.low, target.high()),
    }
}

fn compare(op: Op, a: &Level, b: &Level) -> bool {
    match op {
        Op::Eq => a == b,
        Op::Neq => a != b,
        Op::Dom => a.dominates(b),
        Op::DomBy => b.dominates(a),
        Op::Incomp => a.incomparable(b),
    }
}
