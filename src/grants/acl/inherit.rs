//! What the kernel makes of an ACL when the mode changes and when a file is created.

use super::{Acl, Perms, Tag};

impl Acl {
    /// What `chmod` makes of it: the group's bits become the mask where there is one, and otherwise the owning group's
    /// entry (`__posix_acl_chmod_masq` in Linux's fs/posix_acl.c).
    pub fn chmod(&mut self, mode: u16) {
        let [owner, group, other] = Perms::of_mode(mode);
        self.put(Tag::UserObj, owner);
        self.put(if self.mask().is_some() { Tag::Mask } else { Tag::GroupObj }, group);
        self.put(Tag::Other, other);
    }

    /// The access ACL of a file or folder that is created with `mode` (as given to open(2), the umask does not count) in
    /// a folder whose default ACL this is. A new folder has this as its default ACL too
    /// (`posix_acl_create_masq` in Linux's fs/posix_acl.c).
    pub fn inherited(&self, mode: u16) -> Acl {
        let mut acl = self.clone();
        let [owner, group, other] = Perms::of_mode(mode);
        let class = if acl.mask().is_some() { Tag::Mask } else { Tag::GroupObj };
        for (tag, limit) in [(Tag::UserObj, owner), (class, group), (Tag::Other, other)] {
            if let Some(perms) = acl.get(tag) {
                acl.put(tag, perms & limit);
            }
        }
        acl
    }
}
