//! An ACL as text: the short form on one line, the long one as `getfacl -n` prints it to a pipe, and reading of both.
//!
//! ```text
//! short   user::rw-,user:1000:rw-,group::r--,mask::r--,other::r--
//! long    user::rw-
//!         user:1000:rw-<TAB>#effective:r--
//!         group::r--
//!         mask::r--
//!         other::r--
//! ```
//!
//! Reading takes what acl_from_text(3) takes, but only numeric ids: `u`, `g`, `m`, `o` for the kinds, `rw` for `rw-`,
//! one colon or two after `mask` and `other`, spaces around fields, `#` to the end of the line.

use std::fmt;
use std::str::FromStr;

use super::{Acl, AclError, Entry, Perms, Tag};

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tag::UserObj => f.write_str("user:"),
            Tag::User(uid) => write!(f, "user:{uid}"),
            Tag::GroupObj => f.write_str("group:"),
            Tag::Group(gid) => write!(f, "group:{gid}"),
            Tag::Mask => f.write_str("mask:"),
            Tag::Other => f.write_str("other:"),
        }
    }
}

/// `user:1000:rw-`
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tag, self.perms)
    }
}

/// The short form.
impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, e) in self.entries().iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{e}")?;
        }
        Ok(())
    }
}

/// The long form: one entry a line, with the effective right where the mask cuts it.
#[derive(Debug, Clone, Copy)]
pub struct Long<'a> {
    acl: &'a Acl,
    prefix: &'static str,
}

impl Acl {
    /// The long form of an access ACL.
    pub fn long(&self) -> Long<'_> {
        Long { acl: self, prefix: "" }
    }

    /// The long form of a default ACL: each line begins with `default:`.
    pub fn long_default(&self) -> Long<'_> {
        Long { acl: self, prefix: "default:" }
    }
}

impl fmt::Display for Long<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for e in self.acl.entries() {
            write!(f, "{}{e}", self.prefix)?;
            let effective = self.acl.effective(e.tag).unwrap_or(e.perms);
            if effective != e.perms {
                write!(f, "\t#effective:{effective}")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl FromStr for Acl {
    type Err = AclError;

    fn from_str(text: &str) -> Result<Acl, AclError> {
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            for field in line.split(',').map(str::trim).filter(|f| !f.is_empty()) {
                let entry = parse_entry(field).map_err(|what| AclError::Text {
                    line: number + 1,
                    entry: entries.len() + 1,
                    what,
                })?;
                entries.push(entry);
            }
        }
        if entries.is_empty() {
            return Err(AclError::Empty);
        }
        Acl::from_entries(entries)
    }
}

impl FromStr for Perms {
    type Err = String;

    /// `rwx`, `r--`, `rw`, `-`: each of r, w, x at most once, in any order, with any `-`; at least one character.
    fn from_str(text: &str) -> Result<Perms, String> {
        let mut perms = Perms::NONE;
        for c in text.chars() {
            let one = match c {
                'r' => Perms::R,
                'w' => Perms::W,
                'x' => Perms::X,
                '-' => continue,
                _ => return Err(format!("expected permissions such as `r-x`, found `{text}`")),
            };
            if perms.contains(one) {
                return Err(format!("`{c}` is there twice in `{text}`"));
            }
            perms |= one;
        }
        if text.is_empty() || text.chars().count() > 3 {
            return Err(format!("expected permissions such as `r-x`, found `{text}`"));
        }
        Ok(perms)
    }
}

fn parse_entry(field: &str) -> Result<Entry, String> {
    let parts: Vec<&str> = field.split(':').map(str::trim).collect();
    let (kind, qualifier, perms) = match *parts.as_slice() {
        [kind @ ("mask" | "m" | "other" | "o"), perms] => (kind, "", perms),
        [kind, qualifier, perms] => (kind, qualifier, perms),
        _ => return Err(format!("expected `kind:id:permissions`, found `{field}`")),
    };
    let tag = match (kind, qualifier) {
        ("user" | "u", "") => Tag::UserObj,
        ("user" | "u", uid) => Tag::User(parse_id(uid)?),
        ("group" | "g", "") => Tag::GroupObj,
        ("group" | "g", gid) => Tag::Group(parse_id(gid)?),
        ("mask" | "m", "") => Tag::Mask,
        ("other" | "o", "") => Tag::Other,
        ("mask" | "m" | "other" | "o", id) => return Err(format!("`{kind}` takes no id, found `{id}`")),
        _ => return Err(format!("expected `user`, `group`, `mask` or `other`, found `{kind}`")),
    };
    Ok(Entry { tag, perms: perms.parse()? })
}

/// A uid or gid; only digits, as `+5` is nobody's way to write one.
fn parse_id(text: &str) -> Result<u32, String> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("expected a numeric id, found `{text}`"));
    }
    text.parse().map_err(|_| format!("expected an id below 4294967295, found `{text}`"))
}
