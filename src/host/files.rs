//! The state of one file that `perms` declares and restores: owner, mode, ACLs, label.

use std::io;

use serde::{Deserialize, Serialize};

use crate::grants::acl::{Acl, Perms, Tag};
use crate::sys::scan::Attributes;
use crate::sys::{Handle, Kind, Meta};

/// Owner, permission bits, ACLs and label of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// The twelve permission bits as `stat` shows them: with an ACL, the group's three are its mask.
    pub mode: u16,
    /// The access ACL, where it says more than the mode.
    #[serde(with = "acl_text", default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
    /// The default ACL of a folder.
    #[serde(with = "acl_text", default, skip_serializing_if = "Option::is_none")]
    pub default_acl: Option<Acl>,
    /// The SELinux context, where there is one.
    #[serde(with = "crate::report::lossless::option", default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Vec<u8>>,
}

impl FileState {
    /// Reads the state of an open object; `meta` is its own.
    ///
    /// # Errors
    /// An attribute cannot be read, or an ACL is not one that `perms` can keep (`InvalidData`).
    pub fn read(handle: &Handle, meta: &Meta) -> io::Result<Self> {
        let (acl, default_acl) = match meta.kind {
            Kind::Link => (None, None),
            Kind::Directory => {
                (parse(handle.access_acl()?.as_deref())?, parse(handle.default_acl()?.as_deref())?)
            }
            _ => (parse(handle.access_acl()?.as_deref())?, None),
        };
        Ok(FileState {
            uid: meta.uid,
            gid: meta.gid,
            mode: meta.mode,
            acl: acl.filter(|a| !a.is_minimal()),
            default_acl,
            label: handle.label(meta)?,
        })
    }

    /// The state of an object that a scan saw.
    ///
    /// # Errors
    /// An ACL is not one that `perms` can keep (`InvalidData`).
    pub fn of(meta: &Meta, attributes: &Attributes) -> io::Result<Self> {
        let acl = |bytes: Option<&[u8]>| parse(bytes.filter(|_| meta.kind != Kind::Link));
        Ok(FileState {
            uid: meta.uid,
            gid: meta.gid,
            mode: meta.mode,
            acl: acl(attributes.access_acl())?.filter(|a| !a.is_minimal()),
            default_acl: acl(attributes.default_acl())?,
            label: attributes.label().map(<[u8]>::to_vec),
        })
    }

    /// The access ACL, made from the mode where none is stored.
    pub fn full_acl(&self) -> Acl {
        self.acl.clone().unwrap_or_else(|| Acl::from_mode(self.mode))
    }

    /// Puts an access ACL in place, with the mode bits that follow from it.
    pub fn set_acl(&mut self, acl: Acl) {
        self.mode = (self.mode & 0o7000) | acl.mode_bits();
        self.acl = Some(acl).filter(|a| !a.is_minimal());
    }

    /// Whether somebody has an execute bit by mode: what `X` asks (the named entries and the mask do not count,
    /// they are what `X` is used to decide).
    pub fn any_execute(&self) -> bool {
        let acl = self.full_acl();
        [Tag::UserObj, Tag::GroupObj, Tag::Other]
            .into_iter()
            .filter_map(|t| acl.effective(t))
            .any(|p| p.contains(Perms::X))
    }
}

fn parse(bytes: Option<&[u8]>) -> io::Result<Option<Acl>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let parsed =
        Acl::parse_xattr(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
    Ok(Some(parsed.acl))
}

mod acl_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::grants::acl::Acl;

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(acl: &Option<Acl>, s: S) -> Result<S::Ok, S::Error> {
        match acl {
            Some(acl) => s.collect_str(acl),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Acl>, D::Error> {
        Option::<String>::deserialize(d)?.map(|t| t.parse().map_err(D::Error::custom)).transpose()
    }
}
