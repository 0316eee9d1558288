//! What was seen, gathered: of each kind the number and the first few paths, so that a million files wrong in the same
//! way take no more room, and no more lines, than one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::secrets::Secret;
use crate::grants::acl::{Perms, Tag};
use crate::sys::Kind;

/// Paths of one kind that are told one by one; of more, only their number and what they have in common.
pub(super) const SHOWN: usize = 12;
/// Kinds that are kept apart. Owners of files could make more, by entries for ever other numbers.
const MOST: usize = 4096;

/// What is the matter with an object. Objects with the same are told together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sight {
    /// It runs as its owner, its group, or both.
    SetId { user: Option<u32>, group: Option<u32> },
    /// It has these capabilities, or an attribute that says something else.
    Capability(Option<Vec<String>>),
    /// Everybody may write it.
    WorldWritable(KindWord),
    /// Everybody may use the disk.
    OpenDisk,
    /// An application's user may write it.
    Writable { app: usize },
    /// An entry that nobody declared.
    Entry { default: bool, tag: Tag, perms: Perms },
    /// An ACL that is none.
    BadAcl,
    /// Everybody may read it, and by its name it is a secret.
    Secret(Secret),
    /// Somebody else than root may write what root acts on.
    RootPlace { place: &'static str, uid: u32, gid: u32, mode: u16 },
    /// It has another label than it should have.
    Label { is: Option<Vec<u8>>, should: Vec<u8>, user_and_level: bool },
    /// Which label it should have cannot be told.
    Undecided,
    /// It could not be looked at, for this reason.
    Unread(String),
    /// Kinds beyond those that are kept apart.
    Other,
}

/// A kind of object, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KindWord {
    Folder,
    File,
}

impl KindWord {
    pub(super) fn of(kind: Kind) -> KindWord {
        if kind == Kind::Directory { KindWord::Folder } else { KindWord::File }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            KindWord::Folder => "folder",
            KindWord::File => "file",
        }
    }
}

/// Objects of which the same is the matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    /// How many.
    pub(super) count: u64,
    /// The first of them by path, each with owner and mode.
    pub(super) first: BTreeMap<Vec<u8>, (u32, u16)>,
    /// What their paths have in common.
    common: Option<Vec<u8>>,
}

impl Group {
    fn add(&mut self, path: &[u8], owner: (u32, u16)) {
        self.count += 1;
        self.join(path);
        let last = self.first.last_key_value().map(|(p, _)| p.as_slice());
        if self.first.len() < SHOWN || last.is_some_and(|last| path < last) {
            self.first.insert(path.to_vec(), owner);
            if self.first.len() > SHOWN {
                self.first.pop_last();
            }
        }
    }

    fn join(&mut self, path: &[u8]) {
        match &mut self.common {
            None => self.common = Some(path.to_vec()),
            Some(common) => {
                let same = common.iter().zip(path).take_while(|(a, b)| a == b).count();
                common.truncate(same);
            }
        }
    }

    fn merge(&mut self, other: Group) {
        self.count += other.count;
        if let Some(common) = &other.common {
            self.join(common);
        }
        self.first.extend(other.first);
        while self.first.len() > SHOWN {
            self.first.pop_last();
        }
    }

    /// The folder that all lie in.
    pub(super) fn folder(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let common = self.common.as_deref().unwrap_or(b"/");
        let end = common.iter().rposition(|b| *b == b'/').map_or(0, |at| at.max(1));
        PathBuf::from(std::ffi::OsStr::from_bytes(common.get(..end).unwrap_or(b"/")))
    }
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Sights {
    groups: BTreeMap<Sight, Group>,
}

impl Sights {
    pub(super) fn add(&mut self, sight: Sight, path: &[u8], owner: (u32, u16)) {
        let known = self.groups.len() < MOST || self.groups.contains_key(&sight);
        self.groups.entry(if known { sight } else { Sight::Other }).or_default().add(path, owner);
    }

    pub(super) fn merge(&mut self, other: Sights) {
        for (sight, group) in other.groups {
            self.groups.entry(sight).or_default().merge(group);
        }
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Sight, Group)> {
        self.groups.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn many_of_a_kind_are_counted_and_the_first_are_kept_whatever_the_order() {
        let mut halves = [Sights::default(), Sights::default()];
        for n in (0..100u32).rev() {
            let half = &mut halves[usize::from(n % 3 == 0)];
            half.add(Sight::OpenDisk, format!("/srv/tree/f{n:03}").as_bytes(), (n, 0));
        }
        let [mut all, other] = halves;
        all.merge(other);
        let (_, group) = all.into_iter().next().unwrap();
        assert_eq!((group.count, group.first.len()), (100, SHOWN));
        assert!(group.first.keys().next().unwrap().ends_with(b"f000"));
        assert!(group.first.keys().last().unwrap().ends_with(b"f011"));
        assert_eq!(group.folder(), Path::new("/srv/tree"));
    }

    #[test]
    fn kinds_that_others_make_up_are_bounded() {
        let mut sights = Sights::default();
        for n in 0..10_000 {
            let entry = Sight::Entry { default: false, tag: Tag::User(n), perms: Perms::R };
            sights.add(entry, b"/x", (0, 0));
        }
        let groups: Vec<_> = sights.into_iter().collect();
        assert!(groups.len() <= MOST + 1);
        assert_eq!(groups.iter().map(|(_, g)| g.count).sum::<u64>(), 10_000);
    }
}
