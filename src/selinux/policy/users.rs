//! SELinux users: which roles they may have, and in which range of levels.

use compact_str::CompactString;

use super::bitmap::Bitmap;
use super::cursor::{Cursor, Result, Sink};
use super::id::{Id, UserId, UserTag};
use super::mls::{Level, Range, id};
use super::symbols::Symbol;

/// A user, the roles it may have and the range it may move in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: CompactString,
    /// Its number.
    pub id: UserId,
    /// The user whose roles bound this one's.
    pub bounds: Option<UserId>,
    /// Roles that a context of this user may have.
    pub roles: Bitmap,
    /// Where the levels of its contexts must lie, and the level it logs in at; `None` without MLS.
    pub mls: Option<(Range, Level)>,
}

impl Symbol for User {
    type Tag = UserTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<UserTag> {
        self.id
    }
}

impl User {
    pub(super) const MIN_SIZE: usize = 12 + 1 + Bitmap::MIN_SIZE + Range::MIN_SIZE + 4 + Bitmap::MIN_SIZE;

    pub(super) fn read(c: &mut Cursor<'_>, mls: bool) -> Result<Self> {
        let at = c.offset();
        let [len, value, bounds] = c.u32s()?;
        let id = id(c, at + 4, value, "a user")?;
        let name = c.name(len, "a user")?;
        let roles = Bitmap::read(c)?;
        let mls = match Range::read(c, mls)? {
            Some(range) => Some((range, Level::read(c)?)),
            None => {
                let at = c.offset();
                let level = (c.u32()?, Bitmap::read(c)?);
                if level != (0, Bitmap::default()) {
                    return c.fail(at, "an empty level, for the policy has no MLS", "a level");
                }
                None
            }
        };
        Ok(Self { name, id, bounds: UserId::new(bounds), roles, mls })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.count(self.name.len());
        out.u32s(&[self.id.get(), self.bounds.map_or(0, Id::get)]);
        out.bytes(self.name.as_bytes());
        self.roles.write(out);
        Range::write(self.mls.as_ref().map(|(range, _)| range), out);
        match &self.mls {
            Some((_, level)) => level.write(out),
            None => {
                out.u32(0);
                Bitmap::default().write(out);
            }
        }
    }
}
