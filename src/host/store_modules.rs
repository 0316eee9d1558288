//! The modules of a policy store: `modules/PRIORITY/NAME/{cil,hll,lang_ext}`, and `modules/disabled/NAME`.
//!
//! What was installed is in `hll` (a `.pp`, say), or in `cil` where it was CIL; bzip2 unless semanage.conf says
//! `bzip-blocksize=0`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::sys::{ResolveError, Root};

/// The largest module that is read, as it is stored and unpacked.
const LIMIT: u64 = 64 << 20;

/// A module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreModule {
    /// Its name.
    pub name: String,
    /// Of several of one name the greatest is in force: a distribution's have 100, `semodule -i` gives 400.
    pub priority: u16,
    /// `semodule -d` keeps it out of the policy (whatever the priority).
    pub disabled: bool,
    folder: PathBuf,
}

impl StoreModule {
    /// Its language: `cil`, `pp`.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn language(&self, root: &Root) -> Result<String, String> {
        let text = root.read(&self.folder.join("lang_ext"), 256).map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// What was installed, unpacked, and its language.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn content(&self, root: &Root) -> Result<(String, Vec<u8>), String> {
        let language = self.language(root)?;
        let file = self.folder.join(if language == "cil" { "cil" } else { "hll" });
        let stored = root.read(&file, LIMIT).map_err(|e| e.to_string())?;
        let unpacked = unpack(&stored).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok((language, unpacked))
    }
}

/// Content as it was before it was packed.
fn unpack(stored: &[u8]) -> std::io::Result<Vec<u8>> {
    if !stored.starts_with(b"BZh") {
        return Ok(stored.to_vec());
    }
    let mut out = Vec::new();
    bzip2::read::MultiBzDecoder::new(stored).take(LIMIT + 1).read_to_end(&mut out)?;
    if out.len() as u64 > LIMIT {
        return Err(std::io::Error::other("it unpacks to more than 64 MiB"));
    }
    Ok(out)
}

/// All modules of the store in `folder`, by name, those in force first.
pub(super) fn list(root: &Root, folder: &Path) -> Result<Vec<StoreModule>, ResolveError> {
    let top = folder.join("modules");
    let names = |folder: &Path| match root.names(folder) {
        Err(e) if e.is_not_found() => Ok(Vec::new()),
        other => other,
    };
    let text = |name: &std::ffi::OsString| name.to_str().map(str::to_owned);
    let disabled: BTreeSet<String> = names(&top.join("disabled"))?.iter().filter_map(text).collect();
    let mut modules = Vec::new();
    for priority in names(&top)? {
        let Some(number) = priority.to_str().and_then(|p| p.parse::<u16>().ok()) else { continue };
        let folder = top.join(&priority);
        for name in names(&folder)?.iter().filter_map(text) {
            let folder = folder.join(&name);
            modules.push(StoreModule { disabled: disabled.contains(&name), priority: number, folder, name });
        }
    }
    modules.sort_by(|a, b| (&a.name, b.priority).cmp(&(&b.name, a.priority)));
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn packed_and_plain_contents() {
        let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
        packer.write_all(b"(type a_t)\n").unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(unpack(&packed).unwrap(), b"(type a_t)\n");
        assert_eq!(unpack(b"(type a_t)\n").unwrap(), b"(type a_t)\n");
        assert!(unpack(&packed[..20]).is_err());
    }
}
