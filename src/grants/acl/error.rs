//! What is wrong with an ACL (it is none), and what is odd about one (the kernel takes it, other tools do not).

use std::fmt;

use super::{Perms, Tag};

/// Bytes or a text that are no ACL, or entries that the kernel would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// Shorter than its four-byte header, or not a whole number of eight-byte entries after it.
    #[error("expected a 4-byte header and entries of 8 bytes, found {0} bytes")]
    Length(usize),
    /// The header's version is not 2.
    #[error("expected ACL version 2, found {0}")]
    Version(u32),
    /// A header and no entries. As a value to set it removes an ACL.
    #[error("the ACL has no entries")]
    Empty,
    /// A tag that is none of 1, 2, 4, 8, 16, 32.
    #[error("entry {index}: expected a tag of 1, 2, 4, 8, 16 or 32, found {tag}")]
    UnknownTag {
        /// Counted from 0.
        index: usize,
        /// As stored.
        tag: u16,
    },
    /// Bits beside r, w, x.
    #[error("entry {index}: expected permissions of at most 7, found {perms}")]
    UnknownPerms {
        /// Counted from 0.
        index: usize,
        /// As stored.
        perms: u16,
    },
    /// Kinds of entries in an order that the kernel refuses.
    #[error("entry {index} (`{tag}:`) is out of order")]
    Order {
        /// Counted from 0.
        index: usize,
        /// For whom.
        tag: Tag,
    },
    /// Two entries for the same, where neither is the kernel's choice.
    #[error("more than one entry `{0}:`")]
    Duplicate(Tag),
    /// No entry for the owner, the owning group or others, or no mask beside named entries.
    #[error("expected an entry `{0}:`, found none")]
    Missing(Tag),
    /// A named entry whose id is 0xffffffff: an id that this user namespace has no number for (a container that sees
    /// an ACL of its host), so that who it is for cannot be known, nor the ACL be written back.
    #[error("the entry `{0}:` is for an id that has no number in this user namespace")]
    Unmapped(Tag),
    /// A text that is no ACL.
    #[error("line {line}, entry {entry}: {what}")]
    Text {
        /// Counted from 1.
        line: usize,
        /// Counted from 1 over the whole text.
        entry: usize,
        /// What was expected and found.
        what: String,
    },
}

/// Something that the kernel accepts in a stored ACL, and that libacl, `setfacl` and most readers do not: who is meant
/// to get what is then not what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A second entry for the same user or group. For a user the kernel uses the first; for a group each one counts, and
    /// the ACL has the union of all (which differs in one thing: a request for rights of two of them at once).
    Duplicate {
        /// Counted from 0, as stored.
        index: usize,
        /// For whom.
        tag: Tag,
        /// What this entry says.
        perms: Perms,
        /// What the ACL has for it.
        kept: Perms,
    },
    /// An id lower than that of the entry of the same kind before it.
    Unsorted {
        /// Counted from 0, as stored.
        index: usize,
        /// For whom.
        tag: Tag,
    },
    /// An id on an entry that takes none; the kernel looks past it.
    StrayId {
        /// Counted from 0, as stored.
        index: usize,
        /// For whom.
        tag: Tag,
        /// As stored.
        id: u32,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Duplicate { index, tag: tag @ Tag::User(_), perms, kept } => write!(
                f,
                "entry {index}: `{tag}:` is there twice; the kernel uses the first ({kept}), not this one ({perms})"
            ),
            Problem::Duplicate { index, tag, perms, kept } => {
                write!(
                    f,
                    "entry {index}: `{tag}:` is there twice, here with {perms}; together they give {kept}"
                )
            }
            Problem::Unsorted { index, tag } => {
                write!(f, "entry {index}: `{tag}:` is out of order by its id")
            }
            Problem::StrayId { index, tag, id } => {
                write!(f, "entry {index}: `{tag}:` has the id {id}, which means nothing")
            }
        }
    }
}
