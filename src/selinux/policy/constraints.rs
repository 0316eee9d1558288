//! Constraints: expressions over two contexts (and, on relabelling, the process's) that must hold.

use super::bitmap::Bitmap;
use super::cursor::{Cursor, Result, Sink};

/// How deep the kernel's stack is when it evaluates an expression (`CEXPR_MAXDEPTH`).
const MAX_DEPTH: usize = 5;

/// The longest expression that is read. Those in use have some 50 steps; what walks a tree of them must not run deep.
const MAX_STEPS: usize = 1000;

/// The parts of a context or of two ranges that a leaf compares; the numbers are the format's (`CEXPR_*`).
pub mod attr {
    /// The user.
    pub const USER: u32 = 1;
    /// The role.
    pub const ROLE: u32 = 2;
    /// The type.
    pub const TYPE: u32 = 4;
    /// Of the target and not of the source.
    pub const TARGET: u32 = 8;
    /// Of the process that relabels.
    pub const XTARGET: u32 = 16;
    /// The source's low level against the target's low level.
    pub const L1L2: u32 = 32;
    /// The source's low level against the target's high level.
    pub const L1H2: u32 = 64;
    /// The source's high level against the target's low level.
    pub const H1L2: u32 = 128;
    /// The source's high level against the target's high level.
    pub const H1H2: u32 = 256;
    /// The source's low level against its high level.
    pub const L1H1: u32 = 512;
    /// The target's low level against its high level.
    pub const L2H2: u32 = 1024;
}

/// How a leaf compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `==`
    Eq,
    /// `!=`
    Neq,
    /// `dom`
    Dom,
    /// `domby`
    DomBy,
    /// `incomp`
    Incomp,
}

impl Op {
    fn decode(value: u32) -> Option<Self> {
        Some(match value {
            1 => Op::Eq,
            2 => Op::Neq,
            3 => Op::Dom,
            4 => Op::DomBy,
            5 => Op::Incomp,
            _ => return None,
        })
    }

    fn encode(self) -> u32 {
        match self {
            Op::Eq => 1,
            Op::Neq => 2,
            Op::Dom => 3,
            Op::DomBy => 4,
            Op::Incomp => 5,
        }
    }

    /// As the policy language writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Eq => "==",
            Op::Neq => "!=",
            Op::Dom => "dom",
            Op::DomBy => "domby",
            Op::Incomp => "incomp",
        }
    }
}

/// The names of a leaf as they were written, attributes not expanded (from version 29 on).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TypeSet {
    /// Types and attributes.
    pub types: Bitmap,
    /// Types and attributes that are taken away.
    pub negated: Bitmap,
    /// 1 is `*`, 2 is `~`.
    pub flags: u32,
}

/// What a leaf compares with names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Names {
    /// Users, roles or types, expanded.
    pub set: Bitmap,
    /// As written.
    pub written: TypeSet,
}

/// One step of an expression in postfix order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// Turns what is on top.
    Not,
    /// Both of the two on top.
    And,
    /// Either of the two on top.
    Or,
    /// Compares two parts of the contexts; see [`attr`].
    Attr {
        /// `USER`, `ROLE`, `TYPE` or a pair of levels.
        attr: u32,
        /// How.
        op: Op,
    },
    /// Compares a part of one context with names.
    Names {
        /// `USER`, `ROLE` or `TYPE`, and whose.
        attr: u32,
        /// Equal (among the names) or not.
        op: Op,
        /// The names.
        names: Box<Names>,
    },
}

/// Permissions that are taken away where the expression does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Constraint {
    /// Access vector of the class; without meaning in a `validatetrans`.
    pub permissions: u32,
    /// In postfix order; valid: no step lacks its operands, and one value remains.
    pub nodes: Vec<Node>,
}

impl Constraint {
    pub(super) const MIN_SIZE: usize = 8;

    pub(super) fn read_list(
        c: &mut Cursor<'_>,
        count: usize,
        version: u32,
        validatetrans: bool,
    ) -> Result<Vec<Self>> {
        (0..count).map(|_| Self::read(c, version, validatetrans)).collect()
    }

    fn read(c: &mut Cursor<'_>, version: u32, validatetrans: bool) -> Result<Self> {
        let at = c.offset();
        let permissions = c.u32()?;
        let count = c.count(12, "steps of a constraint")?;
        if count > MAX_STEPS {
            return c.fail(at + 4, format!("at most {MAX_STEPS} steps of a constraint"), count);
        }
        let mut nodes = Vec::with_capacity(count);
        let mut depth = 0;
        for _ in 0..count {
            let at = c.offset();
            let node = Node::read(c, version, validatetrans)?;
            match node {
                Node::Not if depth >= 1 => {}
                Node::And | Node::Or if depth >= 2 => depth -= 1,
                Node::Attr { .. } | Node::Names { .. } if depth < MAX_DEPTH => depth += 1,
                _ => {
                    let found = format!("one where it holds {depth}");
                    return c.fail(at, "a step that fits the stack of 5", found);
                }
            }
            nodes.push(node);
        }
        if depth != 1 {
            return c.fail(at, "an expression that leaves one value", format!("{depth} values"));
        }
        Ok(Self { permissions, nodes })
    }

    pub(super) fn write_list(list: &[Self], out: &mut Sink, version: u32) {
        for constraint in list {
            out.u32(constraint.permissions);
            out.count(constraint.nodes.len());
            for node in &constraint.nodes {
                node.write(out, version);
            }
        }
    }
}

impl Node {
    fn read(c: &mut Cursor<'_>, version: u32, validatetrans: bool) -> Result<Self> {
        let at = c.offset();
        let [kind, attr, op] = c.u32s()?;
        let known_op = Op::decode(op);
        match (kind, attr, known_op) {
            (1, 0, _) if op == 0 => Ok(Node::Not),
            (2, 0, _) if op == 0 => Ok(Node::And),
            (3, 0, _) if op == 0 => Ok(Node::Or),
            (1..=3, ..) => c.fail(at + 4, "0 and 0 after `not`, `and`, `or`", format!("{attr} and {op}")),
            (4, attr::USER | attr::TYPE, Some(op @ (Op::Eq | Op::Neq))) => Ok(Node::Attr { attr, op }),
            (4, attr::ROLE, Some(op)) => Ok(Node::Attr { attr, op }),
            (4, attr::L1L2 | attr::L1H2 | attr::H1L2 | attr::H1H2 | attr::L1H1 | attr::L2H2, Some(op)) => {
                Ok(Node::Attr { attr, op })
            }
            (4, ..) => {
                c.fail(at + 4, "two parts of contexts and how to compare them", format!("{attr}, {op}"))
            }
            (5, _, Some(op @ (Op::Eq | Op::Neq))) => {
                let whose = attr & !(attr::USER | attr::ROLE | attr::TYPE);
                let what = attr & (attr::USER | attr::ROLE | attr::TYPE);
                let whose_is_known = match whose {
                    0 | attr::TARGET => true,
                    attr::XTARGET => validatetrans,
                    _ => false,
                };
                if !matches!(what, attr::USER | attr::ROLE | attr::TYPE) || !whose_is_known {
                    return c.fail(at + 4, "a user, role or type of a context", attr);
                }
                let set = Bitmap::read(c)?;
                let written = if version >= 29 {
                    TypeSet { types: Bitmap::read(c)?, negated: Bitmap::read(c)?, flags: c.u32()? }
                } else {
                    TypeSet::default()
                };
                Ok(Node::Names { attr, op, names: Box::new(Names { set, written }) })
            }
            (5, ..) => c.fail(at + 8, "1 (equal) or 2 (not equal) for names", op),
            _ => c.fail(at, "a constraint's step from 1 to 5", kind),
        }
    }

    fn write(&self, out: &mut Sink, version: u32) {
        match self {
            Node::Not => out.u32s(&[1, 0, 0]),
            Node::And => out.u32s(&[2, 0, 0]),
            Node::Or => out.u32s(&[3, 0, 0]),
            Node::Attr { attr, op } => out.u32s(&[4, *attr, op.encode()]),
            Node::Names { attr, op, names } => {
                out.u32s(&[5, *attr, op.encode()]);
                names.set.write(out);
                if version >= 29 {
                    names.written.types.write(out);
                    names.written.negated.write(out);
                    out.u32(names.written.flags);
                }
            }
        }
    }
}
