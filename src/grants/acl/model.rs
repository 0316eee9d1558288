//! The ACL itself: its entries, what they give, and plain changes to one of them.

use super::{AclError, Perms};

/// Whom an entry is for. Its order is the kernel's: owner, named users, owning group, named groups, mask, others; named
/// ones by id (`posix_acl_valid` in Linux's fs/posix_acl.c demands the order of kinds, libacl that of ids too).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// The owner.
    UserObj,
    /// The user of this uid.
    User(u32),
    /// The owning group.
    GroupObj,
    /// The group of this gid.
    Group(u32),
    /// No one: the most that named users, the owning group and named groups get.
    Mask,
    /// Everyone whom no other entry is for.
    Other,
}

impl Tag {
    /// Whether it is a named user or a named group.
    pub const fn is_named(self) -> bool {
        matches!(self, Tag::User(_) | Tag::Group(_))
    }

    /// Whether the mask cuts it: named users, the owning group, named groups (the group class).
    pub const fn is_masked(self) -> bool {
        matches!(self, Tag::User(_) | Tag::GroupObj | Tag::Group(_))
    }
}

/// One entry of an ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// For whom.
    pub tag: Tag,
    /// Which rights, before the mask.
    pub perms: Perms,
}

/// An access or default ACL that the kernel and libacl accept.
///
/// INVARIANT: `entries` is sorted by tag without duplicates, holds `UserObj`, `GroupObj` and `Other`, holds `Mask` if
/// any named entry, and no id is `u32::MAX`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acl {
    pub(super) entries: Vec<Entry>,
}

impl Acl {
    /// The ACL that says no more than the nine lowest bits of `mode`.
    pub fn from_mode(mode: u16) -> Acl {
        let [owner, group, other] = Perms::of_mode(mode);
        Acl {
            entries: vec![
                Entry { tag: Tag::UserObj, perms: owner },
                Entry { tag: Tag::GroupObj, perms: group },
                Entry { tag: Tag::Other, perms: other },
            ],
        }
    }

    /// The ACL of these entries, in any order. An error if two are for the same, the owner, owning group or others lack
    /// one, a named entry has no mask beside it, or an id is `u32::MAX` (which stands for "none").
    pub fn from_entries(mut entries: Vec<Entry>) -> Result<Acl, AclError> {
        entries.sort_by_key(|e| e.tag);
        for (a, b) in entries.iter().zip(entries.iter().skip(1)) {
            if a.tag == b.tag {
                return Err(AclError::Duplicate(a.tag));
            }
        }
        let acl = Acl { entries };
        for tag in [Tag::UserObj, Tag::GroupObj, Tag::Other] {
            if acl.get(tag).is_none() {
                return Err(AclError::Missing(tag));
            }
        }
        if acl.has_named() && acl.mask().is_none() {
            return Err(AclError::Missing(Tag::Mask));
        }
        match acl.entries.iter().find(|e| matches!(e.tag, Tag::User(u32::MAX) | Tag::Group(u32::MAX))) {
            Some(e) => Err(AclError::Unmapped(e.tag)),
            None => Ok(acl),
        }
    }

    /// All entries, in the kernel's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries of named users and named groups, in the kernel's order.
    pub fn named(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().copied().filter(|e| e.tag.is_named())
    }

    /// Whether any entry is for a named user or group.
    pub fn has_named(&self) -> bool {
        self.named().next().is_some()
    }

    /// Whether the nine bits of the mode say it all: the kernel then stores only the mode, and reading the attribute
    /// gives ENODATA. A mask without named entries is more than that: it is stored.
    pub fn is_minimal(&self) -> bool {
        self.entries.len() == 3
    }

    /// The entry for exactly this tag, before the mask.
    pub fn get(&self, tag: Tag) -> Option<Perms> {
        let at = self.entries.binary_search_by_key(&tag, |e| e.tag).ok()?;
        self.entries.get(at).map(|e| e.perms)
    }

    /// The mask, if there is one.
    pub fn mask(&self) -> Option<Perms> {
        self.get(Tag::Mask)
    }

    /// The entry for this tag after the mask. What the kernel grants by it while [`Acl::in_force`].
    pub fn effective(&self, tag: Tag) -> Option<Perms> {
        let perms = self.get(tag)?;
        match self.mask() {
            Some(mask) if tag.is_masked() => Some(perms & mask),
            _ => Some(perms),
        }
    }

    /// Whether the kernel looks at the named entries of an access ACL at all. With an empty group class in the mode
    /// (which shows the mask) it does not: `acl_permission_check` in Linux's fs/namei.c skips the ACL, named users and
    /// members of named groups fall to the owning group's empty right or else to *others*.
    pub fn in_force(&self) -> bool {
        self.group_class() != Perms::NONE
    }

    /// The nine bits that `stat` shows; the group's are the mask where there is one.
    pub fn mode_bits(&self) -> u16 {
        let bits = |tag| u16::from(self.get(tag).unwrap_or(Perms::NONE).bits());
        bits(Tag::UserObj) << 6 | u16::from(self.group_class().bits()) << 3 | bits(Tag::Other)
    }

    /// Whether any entry has `x`, the mask's too: what `setfacl` takes `X` on a file to mean.
    pub fn any_execute(&self) -> bool {
        self.entries.iter().any(|e| e.perms.contains(Perms::X))
    }

    /// Sets one entry as it stands, adding it if need be; nothing else changes, except that the first named entry brings
    /// a mask with it that cuts nobody. See [`Acl::grant`] for a right that is in force whatever the mask.
    /// An id of `u32::MAX` is nobody's and changes nothing.
    pub fn set(&mut self, tag: Tag, perms: Perms) {
        if matches!(tag, Tag::User(u32::MAX) | Tag::Group(u32::MAX)) {
            return;
        }
        self.put(tag, perms);
        if tag.is_named() && self.mask().is_none() {
            let mask = self.covering_mask(None);
            self.put(Tag::Mask, mask);
        }
    }

    /// Removes an entry and says what it was. The owner's, owning group's and others' stay, and a mask stays while there
    /// are named entries: `None`. A mask goes without widening the owning group, which keeps its effective right.
    pub fn remove(&mut self, tag: Tag) -> Option<Perms> {
        match tag {
            Tag::UserObj | Tag::GroupObj | Tag::Other => return None,
            Tag::Mask if self.has_named() => return None,
            Tag::Mask => {
                if let Some(group) = self.effective(Tag::GroupObj) {
                    self.put(Tag::GroupObj, group);
                }
            }
            Tag::User(_) | Tag::Group(_) => {}
        }
        let at = self.entries.binary_search_by_key(&tag, |e| e.tag).ok()?;
        Some(self.entries.remove(at).perms)
    }

    /// The group's bits of the mode: the mask, or the owning group's entry.
    fn group_class(&self) -> Perms {
        self.mask().or_else(|| self.get(Tag::GroupObj)).unwrap_or(Perms::NONE)
    }

    /// Sets or inserts at the entry's place, keeping the order.
    pub(super) fn put(&mut self, tag: Tag, perms: Perms) {
        match self.entries.binary_search_by_key(&tag, |e| e.tag) {
            Ok(at) => {
                if let Some(e) = self.entries.get_mut(at) {
                    e.perms = perms;
                }
            }
            Err(at) => self.entries.insert(at, Entry { tag, perms }),
        }
    }
}
