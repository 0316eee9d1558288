//! sudoers and doas.conf as a host has them, or as it would with some files rewritten.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::grants::sudoers::{FileText, Files, FilesError, Folder};
use crate::sys::{Kind, ResolveError, Root};

/// Files larger than this are not read.
const LIMIT: u64 = 64 << 20;
/// Where sudo's policy begins.
pub const SUDOERS: &str = "/etc/sudoers";
/// Where fragments lie.
pub const SUDOERS_D: &str = "/etc/sudoers.d";
/// Where doas's policy lies.
pub const DOAS_CONF: &str = "/etc/doas.conf";

/// The files beneath a root, some of them with another content than they have (or none).
#[derive(Debug)]
pub struct HostFiles<'a> {
    root: &'a Root,
    instead: BTreeMap<PathBuf, Option<FileText>>,
}

impl<'a> HostFiles<'a> {
    /// The files as they are.
    pub fn new(root: &'a Root) -> Self {
        HostFiles { root, instead: BTreeMap::new() }
    }

    /// Reads `path` as this, or as not being there.
    pub fn instead(&mut self, path: PathBuf, text: Option<FileText>) {
        self.instead.insert(path, text);
    }
}

impl Files for HostFiles<'_> {
    fn read(&self, path: &Path) -> Result<FileText, FilesError> {
        if let Some(text) = self.instead.get(path) {
            return text.clone().ok_or(FilesError::NotFound);
        }
        let r = self.root.resolve(path).map_err(error)?;
        if r.meta.kind != Kind::File {
            return Err(FilesError::WrongKind);
        }
        let bytes = r.handle.read(LIMIT).map_err(|e| FilesError::Other(e.to_string()))?;
        Ok(FileText {
            bytes: Arc::new(bytes),
            uid: r.meta.uid,
            gid: r.meta.gid,
            mode: u32::from(r.meta.mode),
        })
    }

    fn list(&self, dir: &Path) -> Result<Folder, FilesError> {
        let r = self.root.resolve(dir).map_err(error)?;
        if r.meta.kind != Kind::Directory {
            return Err(FilesError::WrongKind);
        }
        let names = r.handle.names().map_err(|e| FilesError::Other(e.to_string()))?;
        let mut names: Vec<Vec<u8>> = names.into_iter().map(OsStringExt::into_vec).collect();
        for (path, text) in &self.instead {
            let Some(name) = path.file_name().filter(|_| path.parent() == Some(dir)) else { continue };
            let name = name.to_owned().into_vec();
            names.retain(|n| *n != name);
            if text.is_some() {
                names.push(name);
            }
        }
        Ok(Folder { uid: r.meta.uid, gid: r.meta.gid, mode: u32::from(r.meta.mode), names })
    }
}

fn error(e: ResolveError) -> FilesError {
    if e.is_not_found() { FilesError::NotFound } else { FilesError::Other(e.to_string()) }
}
