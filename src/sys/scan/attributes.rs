//! What an object's extended attributes say: one listing, then each that is there and matters.

use std::ffi::CStr;
use std::io;

use rustix::io::Errno;

use crate::sys::Handle;
use crate::sys::handle::{ACL_ACCESS, ACL_DEFAULT, LABEL};

/// Longest list of names and longest value that the kernel takes (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const MOST: usize = 1 << 16;
/// What nearly all have room in.
const USUAL: usize = 1024;

/// The attributes of one object that rights depend on, as stored. Empty: it has none.
#[derive(Debug, Default)]
pub struct Attributes {
    label: Vec<u8>,
    access_acl: Vec<u8>,
    default_acl: Vec<u8>,
    capability: Vec<u8>,
    /// Whether its file system has extended attributes at all.
    supported: bool,
}

impl Attributes {
    /// The SELinux context, without a final NUL.
    pub fn label(&self) -> Option<&[u8]> {
        some(&self.label)
    }

    /// The access ACL.
    pub fn access_acl(&self) -> Option<&[u8]> {
        some(&self.access_acl)
    }

    /// The default ACL of a folder.
    pub fn default_acl(&self) -> Option<&[u8]> {
        some(&self.default_acl)
    }

    /// `security.capability`.
    pub fn capability(&self) -> Option<&[u8]> {
        some(&self.capability)
    }

    /// Whether its file system has extended attributes at all.
    pub fn supported(&self) -> bool {
        self.supported
    }

    /// Those of an open object.
    pub(super) fn of_handle(handle: &Handle) -> io::Result<Attributes> {
        let read = |name: &str| Ok::<_, io::Error>(handle.xattr(name)?.unwrap_or_default());
        let mut label = read(LABEL)?;
        if label.last() == Some(&0) {
            label.pop();
        }
        let (access_acl, default_acl) = (read(ACL_ACCESS)?, read(ACL_DEFAULT)?);
        Ok(Attributes {
            label,
            access_acl,
            default_acl,
            capability: read("security.capability")?,
            supported: true,
        })
    }

    /// What is kept beside the file instead of in it.
    pub(super) fn replace_label(&mut self, label: Option<Vec<u8>>) {
        self.label = label.unwrap_or_default();
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.label.clear();
        self.access_acl.clear();
        self.default_acl.clear();
        self.capability.clear();
        self.supported = false;
    }
}

fn some(value: &[u8]) -> Option<&[u8]> {
    (!value.is_empty()).then_some(value)
}

/// Reads attributes, with room for them.
#[derive(Debug)]
pub(super) struct Reader {
    names: Vec<u8>,
    value: Vec<u8>,
    labels: bool,
}

impl Reader {
    /// `labels`: read them too. Nearly every object has one, and each costs a call.
    pub(super) fn new(labels: bool) -> Reader {
        Reader { names: vec![0; USUAL], value: vec![0; USUAL], labels }
    }

    /// Reads those of `path`, without following it if it is a link.
    pub(super) fn read(&mut self, path: &CStr, into: &mut Attributes) -> Result<(), Errno> {
        into.clear();
        let len = match grow(&mut self.names, |room| rustix::fs::llistxattr(path, room)) {
            Ok(len) => len,
            // The file system has none.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
            Err(e) => return Err(e),
        };
        into.supported = true;
        let names = self.names.get(..len).unwrap_or_default();
        for name in names.split_inclusive(|b| *b == 0) {
            let place = match name {
                b"security.selinux\0" if self.labels => &mut into.label,
                b"system.posix_acl_access\0" => &mut into.access_acl,
                b"system.posix_acl_default\0" => &mut into.default_acl,
                b"security.capability\0" => &mut into.capability,
                _ => continue,
            };
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            let len = match grow(&mut self.value, |room| rustix::fs::lgetxattr(path, name, room)) {
                Ok(len) => len,
                // Taken away since it was listed.
                Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
                Err(e) => return Err(e),
            };
            place.extend_from_slice(self.value.get(..len).unwrap_or_default());
        }
        if into.label.last() == Some(&0) {
            into.label.pop();
        }
        Ok(())
    }
}

/// Calls with the room there is, and with all that could be needed where that is too little.
fn grow(room: &mut Vec<u8>, mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<usize, Errno> {
    match call(room) {
        Err(Errno::RANGE) if room.len() < MOST => {
            room.resize(MOST, 0);
            call(room)
        }
        other => other,
    }
}
