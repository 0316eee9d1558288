//! Changes to an ACL that give one principal a right and nobody else any.

use super::{Acl, Perms, Tag};

/// What [`Acl::grant`] did beside the entry that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// Entries that a wider mask would have widened, taken down to what they had in effect.
    pub clamped: Vec<Change>,
    /// Named users and groups that had the right of others (`from`), because the old mask was `---` and the kernel looked
    /// past the ACL, and now have less (`to`): that of their own entry, or others' own, if that is what was changed.
    pub lost: Vec<Change>,
}

/// What a principal had, and has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// For whom.
    pub tag: Tag,
    /// What it was.
    pub from: Perms,
    /// What it is.
    pub to: Perms,
}

impl Acl {
    /// Sets the entry for `tag` so that its effective right is exactly `perms`, and widens the mask where that needs it
    /// without widening anybody else: entries that the old mask cut are taken down to their effective right first.
    /// (`setfacl -m` recomputes the mask without that, and so brings back rights that a `chmod` had taken away.)
    ///
    /// Afterwards the ACL is in force wherever that makes a difference (see [`Acl::in_force`]), because an entry of
    /// `---` would otherwise give the right of others. If it was not in force before, nobody else gains by that, but named
    /// principals may lose the right of others; the answer says which.
    ///
    /// Exactly, not at least: a user whom the ACL newly names no longer has what groups or others gave, nor do members of a
    /// group what others gave. Who shall keep that asks for it too (`access::rights` of the user, or the right of others).
    ///
    /// `Mask` is nobody, nor is the id `u32::MAX`: nothing changes then.
    pub fn grant(&mut self, tag: Tag, perms: Perms) -> Granted {
        let old_mask = self.mask();
        let had = self.get(Tag::Other).unwrap_or(Perms::NONE);
        let was_skipped = self.has_named() && !self.in_force();
        let mut granted = Granted::default();
        match tag {
            Tag::Mask | Tag::User(u32::MAX) | Tag::Group(u32::MAX) => return granted,
            Tag::UserObj => self.put(tag, perms),
            Tag::Other => {
                self.put(tag, perms);
                if was_skipped && !perms.is_empty() {
                    granted.clamped = self.clamp(None);
                    self.put(Tag::Mask, self.covering_mask(old_mask));
                }
            }
            Tag::User(_) | Tag::GroupObj | Tag::Group(_) => {
                granted.clamped = self.clamp(Some(tag));
                self.put(tag, perms);
                if self.has_named() || old_mask.is_some() {
                    self.put(Tag::Mask, self.covering_mask(old_mask));
                }
            }
        }
        if was_skipped {
            let others = self.get(Tag::Other).filter(|_| !self.in_force());
            granted.lost = self
                .named()
                .map(|e| Change { tag: e.tag, from: had, to: others.unwrap_or(e.perms) })
                .filter(|c| c.tag != tag && !c.to.contains(c.from))
                .collect();
        }
        granted
    }

    /// Takes the mask to the union of the entries that it cuts, without changing what anyone has: each is taken down to
    /// its effective right first. Without named entries the mask goes. A mask of `---` stays, as the kernel looks past
    /// the ACL then, and one that alone keeps the ACL in force stays too.
    pub fn normalise(&mut self) {
        let Some(mask) = self.mask() else { return };
        self.clamp(None);
        if !self.has_named() {
            self.remove(Tag::Mask);
        } else if !mask.is_empty() {
            self.put(Tag::Mask, self.covering_mask(Some(mask)));
        }
    }

    /// Takes every entry that the mask cuts, but `except`, down to its effective right.
    fn clamp(&mut self, except: Option<Tag>) -> Vec<Change> {
        let Some(mask) = self.mask() else { return Vec::new() };
        let mut changes = Vec::new();
        for e in self.entries.iter_mut().filter(|e| e.tag.is_masked() && Some(e.tag) != except) {
            let to = e.perms & mask;
            if to != e.perms {
                changes.push(Change { tag: e.tag, from: e.perms, to });
                e.perms = to;
            }
        }
        changes
    }

    /// The smallest mask that cuts no entry. Where no entry has any right, an empty mask would take the ACL out of force
    /// and give named users the right of others; it is `old` then, or else as wide as others' (which widens nobody: no
    /// entry has anything to let through).
    pub(super) fn covering_mask(&self, old: Option<Perms>) -> Perms {
        let union =
            self.entries.iter().filter(|e| e.tag.is_masked()).fold(Perms::NONE, |all, e| all | e.perms);
        let other = self.get(Tag::Other).unwrap_or(Perms::NONE);
        if !union.is_empty() || other.is_empty() || !self.has_named() {
            return union;
        }
        old.filter(|m| !m.is_empty()).unwrap_or(other)
    }
}
