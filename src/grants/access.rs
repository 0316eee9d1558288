//! The kernel's decision on one file or folder: mode, ACL and mask, groups, capabilities, and the sticky bit.
//!
//! As `generic_permission`, `acl_permission_check` and `may_delete` in Linux's fs/namei.c and `posix_acl_permission` in
//! fs/posix_acl.c. Not decided here: SELinux and other security modules, read-only and noexec mounts, immutable and
//! append-only files, the `protected_*` sysctls, and what a file system decides itself (NFS, FUSE).

use std::fmt;

use super::acl::{Acl, Entry, Perms, Tag};

/// A capability that file access turns on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Read, write and search anything; execute what anyone may.
    DacOverride = 1,
    /// Read any file, list and search any folder.
    DacReadSearch = 2,
    /// What else only the owner may: change the mode and ACL, delete in a sticky folder.
    Fowner = 3,
}

impl Capability {
    /// `CAP_DAC_OVERRIDE`
    pub const fn name(self) -> &'static str {
        match self {
            Capability::DacOverride => "CAP_DAC_OVERRIDE",
            Capability::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Capability::Fowner => "CAP_FOWNER",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Capabilities as the kernel numbers them: bit n is capability n, as in `CapEff` of /proc/PID/status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapSet(u64);

impl CapSet {
    /// None: a process of an ordinary user.
    pub const NONE: CapSet = CapSet(0);
    /// All: an unconfined process of root.
    pub const ALL: CapSet = CapSet(u64::MAX);

    /// The set of these bits.
    pub const fn from_bits(bits: u64) -> CapSet {
        CapSet(bits)
    }

    /// With one more.
    pub const fn with(self, capability: Capability) -> CapSet {
        CapSet(self.0 | 1 << capability as u8)
    }

    /// Whether it holds the capability.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }
}

/// What the kernel goes by of a process: its file-system uid and gid (the effective ones, unless set apart), its
/// supplementary groups, its effective capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups, in any order.
    pub groups: Vec<u32>,
    /// Effective capabilities.
    pub capabilities: CapSet,
}

impl Credentials {
    /// As a session of that user has them: all capabilities for uid 0 and none for anybody else.
    pub fn of_user(uid: u32, gid: u32, groups: Vec<u32>) -> Credentials {
        Credentials { uid, gid, groups, capabilities: if uid == 0 { CapSet::ALL } else { CapSet::NONE } }
    }

    /// Whether the process is of this group.
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// What the kernel goes by of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// With the type's bits, as `st_mode`.
    pub mode: u32,
    /// The access ACL, where one is stored.
    pub acl: Option<&'a Acl>,
}

impl Object<'_> {
    /// Whether it is a folder.
    pub const fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Whether only owners may delete in it.
    pub const fn is_sticky(&self) -> bool {
        self.mode & 0o1000 != 0
    }

    /// Owner, group class, others.
    fn classes(&self) -> [Perms; 3] {
        let [_, _, high, low] = self.mode.to_be_bytes();
        Perms::of_mode(u16::from_be_bytes([high, low]))
    }
}

/// A group of the process that an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMatch {
    /// The owning group, or the group that is named.
    pub gid: u32,
    /// The entry, before the mask.
    pub entry: Entry,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum By {
    /// Nothing was asked for.
    Nothing,
    /// A capability; owner, ACL and mode would have denied.
    Capability(Capability),
    /// The process is the owner's: only the owner's bits count.
    Owner,
    /// The ACL names the user.
    NamedUser(u32),
    /// Entries of groups that the process is of: the one that grants the whole request, or, when none does, all.
    Group(Vec<GroupMatch>),
    /// Nothing names the process or its groups.
    Other,
    /// Being the owner of the file, as sticky folders and changes of mode ask for.
    FileOwner,
    /// Being the owner of the sticky folder.
    FolderOwner,
    /// The sticky folder: neither it nor the file is the process's.
    Sticky,
}

/// The kernel's answer and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was asked for.
    pub want: Perms,
    /// Whether it is granted.
    pub allowed: bool,
    /// What decided.
    pub by: By,
    /// The entry that decided, where it is one: of the owner, of a named user, of others, or the first of the groups'.
    /// Without an ACL, what the mode says in an entry's form.
    pub entry: Option<Entry>,
    /// The mask, where it cut or could cut that entry.
    pub mask: Option<Perms>,
    /// There is an ACL, and the kernel looked past it because the mask is `---`.
    pub acl_skipped: bool,
}

impl Decision {
    fn new(want: Perms, allowed: bool, by: By) -> Decision {
        Decision { want, allowed, by, entry: None, mask: None, acl_skipped: false }
    }

    fn with_entry(self, tag: Tag, perms: Perms, mask: Option<Perms>) -> Decision {
        Decision { entry: Some(Entry { tag, perms }), mask, ..self }
    }
}

/// What decided, in one line: `user:1000:rw- #effective:r--`, `CAP_DAC_OVERRIDE`, `group::r--, group:50:-w-`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |f: &mut fmt::Formatter<'_>, e: Entry| {
            write!(f, "{e}")?;
            match self.mask {
                Some(mask) if !mask.contains(e.perms) => write!(f, " #effective:{}", e.perms & mask),
                _ => Ok(()),
            }
        };
        match &self.by {
            By::Nothing => f.write_str("nothing is asked for")?,
            By::Capability(capability) => write!(f, "{capability}")?,
            By::FileOwner => f.write_str("owner of the file")?,
            By::FolderOwner => f.write_str("owner of the sticky folder")?,
            By::Sticky => f.write_str("sticky folder: only the owner of the file or of the folder")?,
            By::Owner | By::NamedUser(_) | By::Other => {
                if let Some(e) = self.entry {
                    entry(f, e)?;
                }
            }
            By::Group(matches) => {
                for (i, found) in matches.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    entry(f, found.entry)?;
                }
            }
        }
        if self.acl_skipped {
            f.write_str(" (the mask is ---, so the kernel looks past the ACL)")?;
        }
        Ok(())
    }
}

/// May this process do all of `want` to this object at once?
pub fn permission(creds: &Credentials, object: &Object<'_>, want: Perms) -> Decision {
    let decision = discretionary(creds, object, want);
    if decision.allowed {
        return decision;
    }
    match overriding(creds.capabilities, object, want) {
        Some(capability) => Decision::new(want, true, By::Capability(capability)),
        None => decision,
    }
}

/// As [`permission`], without regard to capabilities: what owner, mode and ACL say.
pub fn discretionary(creds: &Credentials, object: &Object<'_>, want: Perms) -> Decision {
    if want.is_empty() {
        return Decision::new(want, true, By::Nothing);
    }
    let [owner, group, other] = object.classes();
    if creds.uid == object.uid {
        let allowed = owner.contains(want);
        return Decision::new(want, allowed, By::Owner).with_entry(Tag::UserObj, owner, None);
    }
    let mut acl_skipped = false;
    if let Some(acl) = object.acl {
        if !group.is_empty() {
            return by_acl(creds, object, acl, want);
        }
        acl_skipped = true;
    }
    let decision = if creds.in_group(object.gid) {
        let entry = Entry { tag: Tag::GroupObj, perms: group };
        let matches = vec![GroupMatch { gid: object.gid, entry }];
        Decision::new(want, group.contains(want), By::Group(matches)).with_entry(entry.tag, group, None)
    } else {
        Decision::new(want, other.contains(want), By::Other).with_entry(Tag::Other, other, None)
    };
    Decision { acl_skipped, ..decision }
}

/// `posix_acl_permission`.
fn by_acl(creds: &Credentials, object: &Object<'_>, acl: &Acl, want: Perms) -> Decision {
    let mask = acl.mask();
    let cut = |perms: Perms| mask.map_or(perms, |m| perms & m);
    if let Some(perms) = acl.get(Tag::User(creds.uid)) {
        let allowed = cut(perms).contains(want);
        return Decision::new(want, allowed, By::NamedUser(creds.uid)).with_entry(
            Tag::User(creds.uid),
            perms,
            mask,
        );
    }
    let mut matches = Vec::new();
    for &entry in acl.entries() {
        let gid = match entry.tag {
            Tag::GroupObj => object.gid,
            Tag::Group(gid) => gid,
            _ => continue,
        };
        if !creds.in_group(gid) {
            continue;
        }
        let found = GroupMatch { gid, entry };
        // One entry must grant the whole request: read by one and write by another is not both.
        if cut(entry.perms).contains(want) {
            return Decision::new(want, true, By::Group(vec![found])).with_entry(
                entry.tag,
                entry.perms,
                mask,
            );
        }
        matches.push(found);
    }
    match matches.first() {
        Some(&GroupMatch { entry, .. }) => {
            Decision::new(want, false, By::Group(matches)).with_entry(entry.tag, entry.perms, mask)
        }
        None => {
            let other = acl.get(Tag::Other).unwrap_or(Perms::NONE);
            Decision::new(want, other.contains(want), By::Other).with_entry(Tag::Other, other, None)
        }
    }
}

/// The capability that grants what owner, mode and ACL do not.
fn overriding(capabilities: CapSet, object: &Object<'_>, want: Perms) -> Option<Capability> {
    let reads = if object.is_dir() { !want.contains(Perms::W) } else { want == Perms::R };
    if reads && capabilities.has(Capability::DacReadSearch) {
        return Some(Capability::DacReadSearch);
    }
    // Nobody executes a file that has no execute bit at all; the mode's, in which the mask stands for the group.
    let executable = object.is_dir() || !want.contains(Perms::X) || object.mode & 0o111 != 0;
    (executable && capabilities.has(Capability::DacOverride)).then_some(Capability::DacOverride)
}

/// Every single right that is granted. All of them in one request can still be denied, where one group's entry grants
/// one and another's the other.
pub fn rights(creds: &Credentials, object: &Object<'_>) -> Perms {
    Perms::RWX
        .singles()
        .filter(|&want| permission(creds, object, want).allowed)
        .fold(Perms::NONE, |all, p| all | p)
}

/// May this process go through all of these folders, in order? The first that stops it, by its place in `folders`.
pub fn search(creds: &Credentials, folders: &[Object<'_>]) -> Result<(), (usize, Decision)> {
    for (i, folder) in folders.iter().enumerate() {
        let decision = permission(creds, folder, Perms::X);
        if !decision.allowed {
            return Err((i, decision));
        }
    }
    Ok(())
}

/// May this process make something new in this folder? Write and search on it at once.
pub fn create(creds: &Credentials, folder: &Object<'_>) -> Decision {
    permission(creds, folder, Perms::WX)
}

/// May this process delete or rename this object in this folder, or rename another over it? As [`create`], and where the
/// folder is sticky it must own the object or the folder (or hold `CAP_FOWNER`). The object's own mode does not count,
/// but for a folder that is moved to another: that takes write on the moved folder as well ([`permission`]).
pub fn delete(creds: &Credentials, folder: &Object<'_>, object: &Object<'_>) -> Decision {
    let decision = create(creds, folder);
    if !decision.allowed || !folder.is_sticky() {
        return decision;
    }
    if creds.uid == object.uid {
        Decision { by: By::FileOwner, ..decision }
    } else if creds.uid == folder.uid {
        Decision { by: By::FolderOwner, ..decision }
    } else if creds.capabilities.has(Capability::Fowner) {
        Decision { by: By::Capability(Capability::Fowner), ..decision }
    } else {
        Decision { by: By::Sticky, allowed: false, ..decision }
    }
}

/// May this process change the object's mode and ACLs? Its owner may, and who holds `CAP_FOWNER`.
pub fn change_mode(creds: &Credentials, object: &Object<'_>) -> Decision {
    let by = |allowed, by| Decision::new(Perms::NONE, allowed, by);
    if creds.uid == object.uid {
        by(true, By::FileOwner)
    } else if creds.capabilities.has(Capability::Fowner) {
        by(true, By::Capability(Capability::Fowner))
    } else {
        by(false, By::FileOwner)
    }
}
