//! Booleans, which turn conditional rules on and off.

use compact_str::CompactString;

use super::cursor::{Cursor, Result, Sink};
use super::id::{BooleanId, BooleanTag, Id};
use super::mls::{flag, id};
use super::symbols::Symbol;

/// A boolean and its state in the policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boolean {
    /// Its name.
    pub name: CompactString,
    /// Its number.
    pub id: BooleanId,
    /// On or off, as the file says.
    pub state: bool,
}

impl Symbol for Boolean {
    type Tag = BooleanTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<BooleanTag> {
        self.id
    }
}

impl Boolean {
    pub(super) const MIN_SIZE: usize = 12 + 1;

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [value, state, len] = c.u32s()?;
        let id = id(c, at, value, "a boolean")?;
        let state = flag(c, at + 4, state)?;
        Ok(Self { name: c.name(len, "a boolean")?, id, state })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.u32s(&[self.id.get(), self.state.into()]);
        out.count(self.name.len());
        out.bytes(self.name.as_bytes());
    }
}
