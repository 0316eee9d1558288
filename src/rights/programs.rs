//! Commands of sudoers looked up beneath a root, links followed as sudo follows them.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use super::walk::{End, Seen, walk};
use crate::grants::sudoers::Programs;
use crate::grants::sudoers::ast::{Digest, DigestKind};
use crate::sys::Root;

/// Programs larger than this are not read for their digest.
const LIMIT: u64 = 1 << 30;

/// The files beneath a root.
pub struct HostPrograms<'a> {
    root: &'a Root,
}

impl<'a> HostPrograms<'a> {
    /// Those beneath this root.
    pub fn new(root: &'a Root) -> Self {
        HostPrograms { root }
    }

    fn look(&self, path: &[u8]) -> Option<Seen> {
        match walk(self.root, Path::new(OsStr::from_bytes(path)), true).end {
            End::Found(seen, _) => Some(seen),
            _ => None,
        }
    }
}

impl Programs for HostPrograms<'_> {
    fn identity(&self, path: &[u8]) -> Option<(u64, u64)> {
        self.look(path).map(|s| s.meta.id)
    }

    fn names(&self, dir: &[u8]) -> Vec<Vec<u8>> {
        let names = self.look(dir).and_then(|s| s.handle.names().ok()).unwrap_or_default();
        names.into_iter().map(std::ffi::OsString::into_vec).collect()
    }

    fn canonical(&self, dir: &[u8]) -> Option<Vec<u8>> {
        self.look(dir).map(|s| s.path.into_os_string().into_vec())
    }

    fn has_digest(&self, path: &[u8], digest: &Digest) -> Option<bool> {
        let content = self.look(path)?.handle.read(LIMIT).ok()?;
        let wanted = digest.bytes()?;
        let found = match digest.kind {
            DigestKind::Sha224 => Sha224::digest(&content).to_vec(),
            DigestKind::Sha256 => Sha256::digest(&content).to_vec(),
            DigestKind::Sha384 => Sha384::digest(&content).to_vec(),
            DigestKind::Sha512 => Sha512::digest(&content).to_vec(),
        };
        Some(found == wanted)
    }
}
