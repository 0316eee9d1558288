//! Where sudoers texts come from: a trait that the caller implements (a host beneath a root, a copy), and one in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file with what sudo asks of its owner and mode before it trusts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// The contents, shared and never copied (which `Arc<[u8]>` would do once, when it is made).
    pub bytes: Arc<Vec<u8>>,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl FileText {
    /// A text as `visudo` would leave it: root's, 0440.
    pub fn trusted(bytes: impl Into<Vec<u8>>) -> Self {
        FileText { bytes: Arc::new(bytes.into()), uid: 0, gid: 0, mode: 0o440 }
    }
}

/// A folder: owner, mode, and the names in it, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// The names of its entries, without `.` and `..`.
    pub names: Vec<Vec<u8>>,
}

/// Why a file or folder could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// There is none.
    #[error("no such file or folder")]
    NotFound,
    /// It is of another kind: a folder where a file was asked for, or the reverse.
    #[error("not a file of the kind that sudo reads")]
    WrongKind,
    /// Anything else, as the system says it.
    #[error("{0}")]
    Other(String),
}

/// The files that a tree is read from. Paths are those that the sudoers texts name; the implementation decides where
/// they lie. Symbolic links are followed, as sudo follows them.
pub trait Files {
    /// A regular file.
    ///
    /// # Errors
    /// [`FilesError`]; for something that is not a regular file [`FilesError::WrongKind`].
    fn read(&self, path: &Path) -> Result<FileText, FilesError>;

    /// A folder's entries.
    ///
    /// # Errors
    /// [`FilesError`]; for something that is not a folder [`FilesError::WrongKind`].
    fn list(&self, dir: &Path) -> Result<Folder, FilesError>;
}

/// Files in memory, for tests and for what-if questions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryFiles {
    /// The files. A folder is there if a file below it is.
    pub files: BTreeMap<PathBuf, FileText>,
}

impl MemoryFiles {
    /// None yet.
    pub fn new() -> Self {
        MemoryFiles::default()
    }

    /// The same with one more file, root's and 0440.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), FileText::trusted(text));
        self
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> Result<FileText, FilesError> {
        let path = tidy(path);
        if let Some(f) = self.files.get(&path) {
            return Ok(f.clone());
        }
        if self.files.keys().any(|k| k.starts_with(&path)) {
            return Err(FilesError::WrongKind);
        }
        Err(FilesError::NotFound)
    }

    fn list(&self, dir: &Path) -> Result<Folder, FilesError> {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tidy(dir);
        if self.files.contains_key(&dir) {
            return Err(FilesError::WrongKind);
        }
        let mut names = std::collections::BTreeSet::new();
        for path in self.files.keys() {
            if let Some(first) = path.strip_prefix(&dir).ok().and_then(|r| r.components().next()) {
                names.insert(first.as_os_str().as_bytes().to_vec());
            }
        }
        if names.is_empty() {
            return Err(FilesError::NotFound);
        }
        Ok(Folder { uid: 0, gid: 0, mode: 0o755, names: names.into_iter().collect() })
    }
}

/// A path without doubled and trailing slashes.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}
