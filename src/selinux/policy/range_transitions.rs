//! `range_transition`: the range that a new process or object gets.

use super::cursor::{Cursor, Result, Sink};
use super::id::{ClassId, TypeId};
use super::mls::{Range, id};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeTransition {
    /// Type of who makes it.
    pub source: TypeId,
    /// Type of the program or of the directory.
    pub target: TypeId,
    /// Class of what is made.
    pub class: ClassId,
    /// The range it gets.
    pub range: Range,
}

impl RangeTransition {
    pub(super) const MIN_SIZE: usize = 12 + Range::MIN_SIZE;

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [source, target, class] = c.u32s()?;
        let (source, target) = (id(c, at, source, "a type")?, id(c, at + 4, target, "a type")?);
        let class = id(c, at + 8, class, "a class")?;
        match Range::read(c, true)? {
            Some(range) => Ok(Self { source, target, class, range }),
            None => c.fail(at + 12, "a range", "none"),
        }
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.u32s(&[self.source.get(), self.target.get(), self.class.get()]);
        Range::write(Some(&self.range), out);
    }
}
