//! Rules that hold while an expression over booleans is true, or false.

use std::ops::Range;

use super::cursor::{Cursor, Result, Sink};
use super::id::BooleanId;
use super::mls::flag;
use super::rule_tables::{Gate, Tables};

/// How deep the kernel's stack is when it evaluates an expression (`COND_EXPR_MAXDEPTH`).
const MAX_DEPTH: usize = 10;

/// The longest expression that is read; those in use have some 10 steps.
const MAX_STEPS: usize = 1000;

/// One step of an expression in postfix order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CondNode {
    /// A boolean's state.
    Boolean(BooleanId),
    /// `!`
    Not,
    /// `||`
    Or,
    /// `&&`
    And,
    /// `^`
    Xor,
    /// `==`
    Eq,
    /// `!=`
    Neq,
}

/// Two tables of rules (see [`Policy::branch`](super::Policy::branch)) and what decides between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditional {
    /// What the expression was when the file was written.
    pub state: bool,
    /// In postfix order; valid: no step lacks its operands, and one value remains.
    pub expression: Vec<CondNode>,
    /// The runs of its rules while it is true.
    pub(super) when_true: Range<u32>,
    /// The runs of its rules while it is false.
    pub(super) when_false: Range<u32>,
}

impl Conditional {
    /// The expression's value for these states of the booleans.
    pub fn evaluate(&self, state: impl Fn(BooleanId) -> bool) -> bool {
        // The stack is a number, its top the lowest bit: at most 10 deep.
        let mut stack = 0u32;
        for node in &self.expression {
            match node {
                CondNode::Boolean(b) => stack = stack << 1 | u32::from(state(*b)),
                CondNode::Not => stack ^= 1,
                CondNode::Or | CondNode::And | CondNode::Xor | CondNode::Eq | CondNode::Neq => {
                    let (top, below) = (stack & 1, stack >> 1 & 1);
                    let value = match node {
                        CondNode::Or => top | below,
                        CondNode::And => top & below,
                        CondNode::Eq => u32::from(top == below),
                        _ => top ^ below,
                    };
                    stack = stack >> 2 << 1 | value;
                }
            }
        }
        stack & 1 != 0
    }

    /// The booleans of the expression, each once.
    pub fn booleans(&self) -> Vec<BooleanId> {
        let mut out: Vec<_> = self
            .expression
            .iter()
            .filter_map(|n| match n {
                CondNode::Boolean(b) => Some(*b),
                _ => None,
            })
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    pub(super) const MIN_SIZE: usize = 16;

    pub(super) fn read(
        c: &mut Cursor<'_>,
        index: Gate,
        tables: &mut Tables<'_>,
        has_boolean: &dyn Fn(u32) -> bool,
    ) -> Result<Self> {
        let at = c.offset();
        let state = c.u32()?;
        let state = flag(c, at, state)?;
        let count = c.count(8, "steps of a condition")?;
        if count > MAX_STEPS {
            return c.fail(at + 4, format!("at most {MAX_STEPS} steps of a condition"), count);
        }
        let mut expression = Vec::with_capacity(count);
        let mut depth = 0;
        for _ in 0..count {
            let at = c.offset();
            let [kind, boolean] = c.u32s()?;
            let node = match (kind, BooleanId::new(boolean)) {
                (1, Some(b)) if has_boolean(boolean) && depth < MAX_DEPTH => {
                    depth += 1;
                    CondNode::Boolean(b)
                }
                (2, None) if depth >= 1 => CondNode::Not,
                (3..=7, None) if depth >= 2 => {
                    depth -= 1;
                    match kind {
                        3 => CondNode::Or,
                        4 => CondNode::And,
                        5 => CondNode::Xor,
                        6 => CondNode::Eq,
                        _ => CondNode::Neq,
                    }
                }
                _ => {
                    let found = format!("{kind} and {boolean} where it holds {depth}");
                    return c.fail(at, "a condition's step that fits the stack of 10", found);
                }
            };
            expression.push(node);
        }
        if depth != 1 {
            return c.fail(at, "a condition that leaves one value", format!("{depth} values"));
        }
        let extended_here = tables.version() >= 34;
        Ok(Self {
            state,
            expression,
            when_true: tables.read_table(c, 1 + 2 * index, extended_here)?,
            when_false: tables.read_table(c, 2 + 2 * index, extended_here)?,
        })
    }

    /// Writes what comes before its tables.
    pub(super) fn write_expression(&self, out: &mut Sink) {
        out.u32(self.state.into());
        out.count(self.expression.len());
        for node in &self.expression {
            let (kind, boolean) = match node {
                CondNode::Boolean(b) => (1, b.get()),
                CondNode::Not => (2, 0),
                CondNode::Or => (3, 0),
                CondNode::And => (4, 0),
                CondNode::Xor => (5, 0),
                CondNode::Eq => (6, 0),
                CondNode::Neq => (7, 0),
            };
            out.u32s(&[kind, boolean]);
        }
    }
}
