//! Security contexts: user, role, type, range.

use super::cursor::{Cursor, Result, Sink};
use super::id::{RoleId, TypeId, UserId};
use super::mls::{Range, id};

/// A security context in one policy's numbers. It exists only for names that the policy has; whether the policy lets
/// these go together is another question ([`Policy::check_context`](super::Policy::check_context)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context {
    /// SELinux user.
    pub user: UserId,
    /// Role.
    pub role: RoleId,
    /// Type.
    pub ty: TypeId,
    /// Levels; `None` in a policy without MLS, and only there.
    pub range: Option<Range>,
}

impl Context {
    pub(super) const MIN_SIZE: usize = 12 + Range::MIN_SIZE;

    pub(super) fn read(c: &mut Cursor<'_>, mls: bool) -> Result<Self> {
        let at = c.offset();
        let [user, role, ty] = c.u32s()?;
        Ok(Self {
            user: id(c, at, user, "a user")?,
            role: id(c, at + 4, role, "a role")?,
            ty: id(c, at + 8, ty, "a type")?,
            range: Range::read(c, mls)?,
        })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.u32s(&[self.user.get(), self.role.get(), self.ty.get()]);
        Range::write(self.range.as_ref(), out);
    }
}
