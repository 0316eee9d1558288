//! A constraint's expression as a tree: what it says, which parts hold, and what would have to change.

use std::fmt;

use super::bitmap::Bitmap;
use super::constraint_eval::{Parties, leaf_holds, levels};
use super::constraints::{Constraint, Names, Node, Op, attr};
use super::context::Context;
use super::database::Policy;
use super::id::{RoleId, TypeId, UserId};
use super::mls::Level;

/// The most ways that are listed to make an expression hold.
pub const WAYS: usize = 64;

/// An expression, each leaf with whether it holds.
#[derive(Debug, Clone)]
pub enum Tree<'p> {
    /// A comparison.
    Leaf(Leaf<'p>),
    /// Not this.
    Not(Box<Tree<'p>>),
    /// Both.
    And(Box<Tree<'p>>, Box<Tree<'p>>),
    /// Either.
    Or(Box<Tree<'p>>, Box<Tree<'p>>),
}

/// A comparison, as the policy language writes it.
#[derive(Debug, Clone)]
pub struct Leaf<'p> {
    /// Such as `l1 dom l2` or `t1 == mlsfileread`.
    pub text: String,
    /// Whether it holds for the contexts.
    pub holds: bool,
    /// What it is about.
    pub node: &'p Node,
}

/// Whose context, in a constraint's words: 1, 2 or 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Who acts; on relabelling, the old context.
    Source,
    /// Who is acted upon; on relabelling, the new context.
    Target,
    /// Who relabels.
    Process,
}

/// A change of a context, or of what the policy says of its parts, by which a leaf turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another low level.
    Low(Whose, Level),
    /// Another high level.
    High(Whose, Level),
    /// A type that has one of these attributes or is one of these types; or none of them.
    Type(Whose, Vec<TypeId>, bool),
    /// One of these roles; or none of them.
    Role(Whose, Vec<RoleId>, bool),
    /// One of these users; or none of them.
    User(Whose, Vec<UserId>, bool),
    /// Both sides the same user, role or type (`user` …); or not the same.
    Same(&'static str, bool),
    /// A role dominance that would have to be another.
    Dominance,
    /// Any other level on either side.
    OtherLevels,
}

impl<'p> Tree<'p> {
    /// The tree of a constraint for these contexts; `None` never happens for a valid policy's.
    pub fn new(
        policy: &'p Policy,
        constraint: &'p Constraint,
        source: &Context,
        target: &Context,
        process: Option<&Context>,
    ) -> Option<Self> {
        let parties = Parties { source, target, process };
        Self::build(policy, constraint, |leaf| leaf_holds(policy, leaf, &parties))
    }

    /// The tree with whatever `holds` says of each leaf.
    pub(super) fn build(
        policy: &'p Policy,
        constraint: &'p Constraint,
        holds: impl Fn(&Node) -> bool,
    ) -> Option<Self> {
        let mut stack: Vec<Tree<'p>> = Vec::new();
        for node in &constraint.nodes {
            let tree = match node {
                Node::Not => Tree::Not(Box::new(stack.pop()?)),
                Node::And => {
                    let right = stack.pop()?;
                    Tree::And(Box::new(stack.pop()?), Box::new(right))
                }
                Node::Or => {
                    let right = stack.pop()?;
                    Tree::Or(Box::new(stack.pop()?), Box::new(right))
                }
                leaf => Tree::Leaf(Leaf { text: leaf_text(policy, leaf), holds: holds(leaf), node: leaf }),
            };
            stack.push(tree);
        }
        stack.pop()
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        match self {
            Tree::Leaf(leaf) => leaf.holds,
            Tree::Not(a) => !a.holds(),
            Tree::And(a, b) => a.holds() && b.holds(),
            Tree::Or(a, b) => a.holds() || b.holds(),
        }
    }

    /// The smallest sets of leaves by whose turning a failing expression would hold, shortest first.
    pub fn ways(&self) -> Vec<Vec<Leaf<'p>>> {
        let mut ways = self.turn(true);
        ways.sort_by_key(Vec::len);
        let mut out: Vec<Vec<Leaf<'p>>> = Vec::new();
        for way in ways {
            let has = |leaf: &Leaf<'_>| way.iter().any(|l| std::ptr::eq(l.node, leaf.node));
            if !out.iter().any(|smaller| smaller.iter().all(has)) {
                out.push(way);
            }
        }
        out
    }

    /// Sets of leaves to turn so that the value becomes `wanted`; an empty set where it is so already.
    fn turn(&self, wanted: bool) -> Vec<Vec<Leaf<'p>>> {
        if self.holds() == wanted {
            return vec![Vec::new()];
        }
        let mut out = match (self, wanted) {
            (Tree::Leaf(leaf), _) => vec![vec![leaf.clone()]],
            (Tree::Not(a), _) => a.turn(!wanted),
            // All parts must turn.
            (Tree::And(a, b), true) | (Tree::Or(a, b), false) => {
                let (left, right) = (a.turn(wanted), b.turn(wanted));
                let pairs = left.iter().flat_map(|x| right.iter().map(move |y| (x, y)));
                pairs.take(WAYS).map(|(x, y)| [x.clone(), y.clone()].concat()).collect()
            }
            // Either part is enough.
            (Tree::And(a, b), false) | (Tree::Or(a, b), true) => {
                let mut left = a.turn(wanted);
                left.extend(b.turn(wanted));
                left
            }
        };
        out.sort_by_key(Vec::len);
        out.truncate(WAYS);
        out
    }
}

/// As the policy language writes it, with all parentheses that its meaning needs.
impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |tree: &Tree<'_>, parent: &Tree<'_>, f: &mut fmt::Formatter<'_>| {
            let same = std::mem::discriminant(tree) == std::mem::discriminant(parent);
            match tree {
                Tree::Leaf(_) | Tree::Not(_) => write!(f, "{tree}"),
                _ if same => write!(f, "{tree}"),
                _ => write!(f, "( {tree} )"),
            }
        };
        match self {
            Tree::Leaf(leaf) => f.write_str(&leaf.text),
            Tree::Not(a) => write!(f, "not ( {a} )"),
            Tree::And(a, b) => {
                part(a, self, f)?;
                f.write_str(" and ")?;
                part(b, self, f)
            }
            Tree::Or(a, b) => {
                part(a, self, f)?;
                f.write_str(" or ")?;
                part(b, self, f)
            }
        }
    }
}

impl Leaf<'_> {
    /// What would turn this leaf, each by itself enough: the smallest changes.
    pub fn changes(&self, source: &Context, target: &Context) -> Vec<Change> {
        match self.node {
            Node::Attr { attr: attr::USER, op } => vec![Change::Same("user", wants_same(*op, self.holds))],
            Node::Attr { attr: attr::TYPE, op } => vec![Change::Same("type", wants_same(*op, self.holds))],
            Node::Attr { attr: attr::ROLE, op: op @ (Op::Eq | Op::Neq) } => {
                vec![Change::Same("role", wants_same(*op, self.holds))]
            }
            Node::Attr { attr: attr::ROLE, .. } => vec![Change::Dominance],
            Node::Attr { attr: pair, op } => match (&source.range, &target.range) {
                (Some(s), Some(t)) if !self.holds => {
                    let (a, b) = levels(*pair, s, t);
                    level_changes(*pair, *op, a, b)
                }
                _ => vec![Change::OtherLevels],
            },
            Node::Names { attr, op, names } => {
                let whose = if attr & attr::TARGET != 0 {
                    Whose::Target
                } else if attr & attr::XTARGET != 0 {
                    Whose::Process
                } else {
                    Whose::Source
                };
                let wanted = wants_same(*op, self.holds);
                if attr & attr::USER != 0 {
                    vec![Change::User(whose, ids(&names.set, UserId::from_bit), wanted)]
                } else if attr & attr::ROLE != 0 {
                    vec![Change::Role(whose, ids(&names.set, RoleId::from_bit), wanted)]
                } else {
                    vec![Change::Type(whose, ids(written(names), TypeId::from_bit), wanted)]
                }
            }
            Node::Not | Node::And | Node::Or => Vec::new(),
        }
    }
}

/// Whether equality is wanted for a leaf to turn.
fn wants_same(op: Op, holds: bool) -> bool {
    (op == Op::Eq) != holds
}

/// The smallest changes of one level or the other by which the comparison would hold.
fn level_changes(pair: u32, op: Op, a: &Level, b: &Level) -> Vec<Change> {
    let raised = |x: &Level, y: &Level| Level {
        sensitivity: x.sensitivity.max(y.sensitivity),
        categories: x.categories.union(&y.categories),
    };
    let lowered = |x: &Level, y: &Level| Level {
        sensitivity: x.sensitivity.min(y.sensitivity),
        categories: x.categories.intersection(&y.categories),
    };
    let (new_a, new_b) = match op {
        Op::Eq => (b.clone(), a.clone()),
        Op::Dom => (raised(a, b), lowered(b, a)),
        Op::DomBy => (lowered(a, b), raised(b, a)),
        Op::Neq | Op::Incomp => return vec![Change::OtherLevels],
    };
    use Whose::{Source, Target};
    type Make = fn(Whose, Level) -> Change;
    let (first, second): (Make, Make) = match pair {
        attr::L1L2 => (Change::Low, Change::Low),
        attr::L1H2 | attr::L1H1 | attr::L2H2 => (Change::Low, Change::High),
        attr::H1L2 => (Change::High, Change::Low),
        _ => (Change::High, Change::High),
    };
    let (left, right) = match pair {
        attr::L1H1 => (Source, Source),
        attr::L2H2 => (Target, Target),
        _ => (Source, Target),
    };
    vec![first(left, new_a), second(right, new_b)]
}

fn ids<T>(set: &Bitmap, id: impl Fn(u32) -> Option<T>) -> Vec<T> {
    set.iter().filter_map(id).collect()
}

/// Types as they were written where the policy says it and that says all, else expanded.
fn written(names: &Names) -> &Bitmap {
    let w = &names.written;
    if !w.types.is_empty() && w.negated.is_empty() && w.flags == 0 { &w.types } else { &names.set }
}

fn leaf_text(policy: &Policy, node: &Node) -> String {
    match node {
        Node::Attr { attr, op } => {
            let (a, b) = match *attr {
                attr::USER => ("u1", "u2"),
                attr::ROLE => ("r1", "r2"),
                attr::TYPE => ("t1", "t2"),
                attr::L1L2 => ("l1", "l2"),
                attr::L1H2 => ("l1", "h2"),
                attr::H1L2 => ("h1", "l2"),
                attr::H1H2 => ("h1", "h2"),
                attr::L1H1 => ("l1", "h1"),
                _ => ("l2", "h2"),
            };
            format!("{a} {} {b}", op.as_str())
        }
        Node::Names { attr, op, names } => {
            let number = if attr & attr::TARGET != 0 {
                2
            } else if attr & attr::XTARGET != 0 {
                3
            } else {
                1
            };
            let (letter, listed): (char, Vec<&str>) = if attr & attr::USER != 0 {
                ('u', ids(&names.set, UserId::from_bit).into_iter().map(|u| policy.users().name(u)).collect())
            } else if attr & attr::ROLE != 0 {
                ('r', ids(&names.set, RoleId::from_bit).into_iter().map(|r| policy.roles().name(r)).collect())
            } else {
                let types = ids(written(names), TypeId::from_bit);
                ('t', types.into_iter().map(|t| policy.types().name(t)).collect())
            };
            let listed = match &listed[..] {
                [one] => (*one).to_owned(),
                many => format!("{{ {} }}", many.join(" ")),
            };
            format!("{letter}{number} {} {listed}", op.as_str())
        }
        Node::Not | Node::And | Node::Or => String::new(),
    }
}
