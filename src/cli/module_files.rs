//! Module files in the folder that `perms learn -o` names.
//!
//! A file that `perms learn` did not write is never overwritten: the first line tells.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::learn::module::{MARK, ModuleFile};

/// Why a module's file was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// There is a file of that name which `perms learn` did not make.
    #[error("`{}` is there and was not made by perms learn: it is left as it is", .0.display())]
    Foreign(PathBuf),
    /// It failed.
    #[error("cannot write `{}`: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes `files` into `folder`, which is made if it is not there. Each file is replaced whole or not at all. Nothing
/// is written if any of them is somebody else's.
pub(super) fn write(folder: &Path, files: &[ModuleFile]) -> Result<Vec<PathBuf>, WriteError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| WriteError::Io { path, error }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    for file in files {
        let path = folder.join(&file.name);
        if !may_replace(&path).map_err(failed(&path))? {
            return Err(WriteError::Foreign(path));
        }
    }
    let mut written = Vec::new();
    for file in files {
        let path = folder.join(&file.name);
        let put = || {
            let mut new = tempfile::Builder::new().prefix(".perms-").tempfile_in(folder)?;
            new.write_all(file.text.as_bytes())?;
            let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            new.as_file().set_permissions(readable)?;
            new.as_file().sync_all()?;
            new.persist(&path).map_err(|e| e.error)?;
            Ok(())
        };
        put().map_err(failed(&path))?;
        written.push(path);
    }
    Ok(written)
}

/// Whether there is nothing at `path`, or a file of ours.
fn may_replace(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
        Ok(meta) if !meta.is_file() => Ok(false),
        Ok(_) => {
            let mut start = Vec::new();
            std::fs::File::open(path)?.take(256).read_to_end(&mut start)?;
            let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
            Ok([b"# ", b"; "].iter().any(|mark| line.strip_prefix(*mark) == Some(MARK.as_bytes())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ours = ModuleFile { name: "a.te".into(), text: format!("# {MARK}\nmodule a 1.0;\n") };
        let other = ModuleFile { name: "b.te".into(), text: format!("# {MARK}\n") };
        write(dir.path(), std::slice::from_ref(&ours)).unwrap();
        write(dir.path(), std::slice::from_ref(&ours)).unwrap();
        std::fs::write(dir.path().join("b.te"), "mine\n").unwrap();
        let error =
            write(dir.path(), &[ModuleFile { text: "new".into(), ..ours.clone() }, other]).unwrap_err();
        assert!(matches!(error, WriteError::Foreign(_)));
        assert_eq!(std::fs::read_to_string(dir.path().join("a.te")).unwrap(), ours.text, "all or nothing");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("c.te")).unwrap();
        assert!(!may_replace(&dir.path().join("c.te")).unwrap());
    }
}
