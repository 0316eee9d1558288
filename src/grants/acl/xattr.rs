//! The bytes of `system.posix_acl_access` and `system.posix_acl_default`, version 2, little-endian: a u32 version, then
//! entries of u16 tag, u16 permissions, u32 id (linux/posix_acl_xattr.h).

use super::{Acl, AclError, Entry, Perms, Problem, Tag};

/// The extended attribute of an access ACL.
pub const XATTR_ACCESS: &str = "system.posix_acl_access";
/// The extended attribute of a default ACL; only folders have one.
pub const XATTR_DEFAULT: &str = "system.posix_acl_default";

const VERSION: u32 = 2;
/// The id of entries that take none (`ACL_UNDEFINED_ID`).
const NO_ID: u32 = u32::MAX;

/// An ACL read from bytes, and what is odd about the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The ACL, in order and without duplicates; it grants what the kernel grants by the bytes, but for what
    /// [`Problem::Duplicate`] says of groups.
    pub acl: Acl,
    /// Why the bytes are not what [`Acl::to_xattr`] gives; empty if they are.
    pub problems: Vec<Problem>,
}

impl Acl {
    /// Reads the value of an ACL attribute. Errors where the kernel refuses to store it (`posix_acl_from_xattr` and
    /// `posix_acl_valid` in Linux's fs/posix_acl.c).
    pub fn parse_xattr(bytes: &[u8]) -> Result<Parsed, AclError> {
        let (header, rest) = bytes.split_first_chunk::<4>().ok_or(AclError::Length(bytes.len()))?;
        let version = u32::from_le_bytes(*header);
        if version != VERSION {
            return Err(AclError::Version(version));
        }
        let (raw, remainder) = rest.as_chunks::<8>();
        if !remainder.is_empty() {
            return Err(AclError::Length(bytes.len()));
        }
        if raw.is_empty() {
            return Err(AclError::Empty);
        }
        let mut stored = Vec::with_capacity(raw.len());
        let mut problems = Vec::new();
        for (index, &[t0, t1, p0, p1, i0, i1, i2, i3]) in raw.iter().enumerate() {
            let id = u32::from_le_bytes([i0, i1, i2, i3]);
            let tag = match u16::from_le_bytes([t0, t1]) {
                0x01 => Tag::UserObj,
                0x02 => Tag::User(id),
                0x04 => Tag::GroupObj,
                0x08 => Tag::Group(id),
                0x10 => Tag::Mask,
                0x20 => Tag::Other,
                tag => return Err(AclError::UnknownTag { index, tag }),
            };
            let perms = match (p0, p1) {
                (0..=7, 0) => Perms::from_bits(p0),
                _ => return Err(AclError::UnknownPerms { index, perms: u16::from_le_bytes([p0, p1]) }),
            };
            if !tag.is_named() && id != NO_ID {
                problems.push(Problem::StrayId { index, tag, id });
            }
            stored.push((index, Entry { tag, perms }));
        }
        check_order(&stored, &mut problems)?;
        // Stable: of duplicates the first stays the first.
        stored.sort_by_key(|(_, e)| e.tag);
        let mut entries: Vec<Entry> = Vec::with_capacity(stored.len());
        let mut duplicates = Vec::new();
        for (index, e) in stored {
            match entries.last_mut() {
                Some(last) if last.tag == e.tag => {
                    if matches!(e.tag, Tag::Group(_)) {
                        last.perms |= e.perms;
                    }
                    duplicates.push((index, e));
                }
                _ => entries.push(e),
            }
        }
        let acl = Acl::from_entries(entries)?;
        for (index, Entry { tag, perms }) in duplicates {
            problems.push(Problem::Duplicate { index, tag, perms, kept: acl.get(tag).unwrap_or(perms) });
        }
        Ok(Parsed { acl, problems })
    }

    /// The value of an ACL attribute. For an access ACL that [`Acl::is_minimal`] the kernel sets the mode and stores
    /// nothing more.
    pub fn to_xattr(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 8 * self.entries.len());
        out.extend(VERSION.to_le_bytes());
        for Entry { tag, perms } in &self.entries {
            let (tag, id): (u16, u32) = match *tag {
                Tag::UserObj => (0x01, NO_ID),
                Tag::User(uid) => (0x02, uid),
                Tag::GroupObj => (0x04, NO_ID),
                Tag::Group(gid) => (0x08, gid),
                Tag::Mask => (0x10, NO_ID),
                Tag::Other => (0x20, NO_ID),
            };
            out.extend(tag.to_le_bytes());
            out.extend(u16::from(perms.bits()).to_le_bytes());
            out.extend(id.to_le_bytes());
        }
        out
    }
}

/// The kernel's demand: kinds in their order, each that is not named once; ids in any order.
fn check_order(stored: &[(usize, Entry)], problems: &mut Vec<Problem>) -> Result<(), AclError> {
    for ((_, before), (index, e)) in stored.iter().zip(stored.iter().skip(1)) {
        let (index, tag) = (*index, e.tag);
        if rank(before.tag) > rank(tag) {
            return Err(AclError::Order { index, tag });
        }
        if before.tag == tag && !tag.is_named() {
            return Err(AclError::Duplicate(tag));
        }
        if before.tag > tag {
            problems.push(Problem::Unsorted { index, tag });
        }
    }
    Ok(())
}

fn rank(tag: Tag) -> u8 {
    match tag {
        Tag::UserObj => 0,
        Tag::User(_) => 1,
        Tag::GroupObj => 2,
        Tag::Group(_) => 3,
        Tag::Mask => 4,
        Tag::Other => 5,
    }
}
