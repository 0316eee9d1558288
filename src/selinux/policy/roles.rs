//! Roles: which types a context of a role may have, and which roles dominate which.

use compact_str::CompactString;

use super::bitmap::Bitmap;
use super::cursor::{Cursor, Result, Sink};
use super::id::{Id, RoleId, RoleTag};
use super::mls::id;
use super::symbols::Symbol;

/// A role and the types it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: CompactString,
    /// Its number.
    pub id: RoleId,
    /// The role whose types bound this one's.
    pub bounds: Option<RoleId>,
    /// Roles it dominates, itself too.
    pub dominates: Bitmap,
    /// Types that a context of this role may have.
    pub types: Bitmap,
}

impl Symbol for Role {
    type Tag = RoleTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<RoleTag> {
        self.id
    }
}

impl Role {
    pub(super) const MIN_SIZE: usize = 12 + 1 + 2 * Bitmap::MIN_SIZE;

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [len, value, bounds] = c.u32s()?;
        let id = id(c, at + 4, value, "a role")?;
        let name = c.name(len, "a role")?;
        Ok(Self {
            name,
            id,
            bounds: RoleId::new(bounds),
            dominates: Bitmap::read(c)?,
            types: Bitmap::read(c)?,
        })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.count(self.name.len());
        out.u32s(&[self.id.get(), self.bounds.map_or(0, Id::get)]);
        out.bytes(self.name.as_bytes());
        self.dominates.write(out);
        self.types.write(out);
    }
}
