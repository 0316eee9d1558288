//! Which role may follow which.

use super::cursor::{Cursor, Result, Sink};
use super::id::{ClassId, Id, RoleId, TypeId};
use super::mls::id;

/// `role_transition`: a process or object of a class gets another role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleTransition {
    /// Role of who makes it.
    pub role: RoleId,
    /// Type of the program or of the directory.
    pub ty: TypeId,
    /// Role that it gets.
    pub new_role: RoleId,
    /// Class of what is made; `None`, before version 26, is `process`.
    pub class: Option<ClassId>,
}

impl RoleTransition {
    pub(super) fn read(c: &mut Cursor<'_>, version: u32) -> Result<Self> {
        let at = c.offset();
        let [role, ty, new_role] = c.u32s()?;
        let class = if version >= 26 {
            let class = c.u32()?;
            Some(id(c, at + 12, class, "a class")?)
        } else {
            None
        };
        Ok(Self {
            role: id(c, at, role, "a role")?,
            ty: id(c, at + 4, ty, "a type")?,
            new_role: id(c, at + 8, new_role, "a role")?,
            class,
        })
    }

    pub(super) fn write(&self, out: &mut Sink, version: u32) {
        out.u32s(&[self.role.get(), self.ty.get(), self.new_role.get()]);
        if version >= 26 {
            out.u32(self.class.map_or(0, Id::get));
        }
    }
}

/// `allow ROLE NEW`: a process may change its role so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleAllow {
    /// Before.
    pub role: RoleId,
    /// After.
    pub new_role: RoleId,
}

impl RoleAllow {
    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [role, new_role] = c.u32s()?;
        Ok(Self { role: id(c, at, role, "a role")?, new_role: id(c, at + 4, new_role, "a role")? })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.u32s(&[self.role.get(), self.new_role.get()]);
    }
}
