//! A policy from a file: compressed or not, named or found.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::database::{NEWEST, OLDEST, Policy};
use super::error::OpenError;

/// No policy is larger (the largest in use have some 10 MB); what decompresses to more is refused.
const LIMIT: u64 = 256 << 20;

/// Where a policy was found, and why there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The file that was asked for.
    Named(PathBuf),
    /// What the running kernel has loaded.
    Kernel(PathBuf),
    /// The newest of the configured type under /etc/selinux.
    Store(PathBuf),
}

impl Origin {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Origin::Named(p) | Origin::Kernel(p) | Origin::Store(p) => p,
        }
    }

    /// Why this file, in a few words.
    pub fn reason(&self) -> &'static str {
        match self {
            Origin::Named(_) => "named",
            Origin::Kernel(_) => "loaded by the running kernel",
            Origin::Store(_) => "the newest of the configured type",
        }
    }
}

/// Finds the policy to speak of: `named`, else the running kernel's, else the newest under the configured type; below
/// `root`, whose kernel is not running, the last only.
///
/// # Errors
/// There is none; the error says where it was looked for.
pub fn locate(named: Option<&Path>, root: Option<&Path>) -> Result<Origin, OpenError> {
    if let Some(path) = named {
        return Ok(Origin::Named(path.to_owned()));
    }
    let mut tried = Vec::new();
    if root.is_none() {
        for path in ["/sys/fs/selinux/policy", "/selinux/policy"].map(PathBuf::from) {
            if File::open(&path).is_ok() {
                return Ok(Origin::Kernel(path));
            }
        }
        tried.push("the running kernel gives none (/sys/fs/selinux/policy)".to_owned());
    }
    let base = root.unwrap_or(Path::new("/")).join("etc/selinux");
    let config = base.join("config");
    let ty = std::fs::read_to_string(&config).ok().and_then(|text| selinux_type(&text));
    match ty {
        None => tried.push(format!("`{}` names no SELINUXTYPE", config.display())),
        Some(ty) => {
            let dir = base.join(ty).join("policy");
            let newest = newest_in(&dir);
            match newest {
                Some(path) => return Ok(Origin::Store(path)),
                None => tried.push(format!("`{}` has no policy.N", dir.display())),
            }
        }
    }
    Err(OpenError::NoPolicy { tried: tried.join(", ") })
}

/// The value of SELINUXTYPE, where it is the name of a folder and no more.
fn selinux_type(config: &str) -> Option<String> {
    let values = config.lines().filter_map(|l| l.trim().strip_prefix("SELINUXTYPE"));
    let mut values = values.filter_map(|l| l.trim_start().strip_prefix('='));
    let last = values.next_back()?.trim();
    let plain = last.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (plain && !last.is_empty() && !last.starts_with('.')).then(|| last.to_owned())
}

/// The `policy.N` of the greatest version that can be read.
fn newest_in(dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?.filter_map(Result::ok);
    let versions = entries.filter_map(|e| {
        let name = e.file_name();
        name.to_str()?.strip_prefix("policy.")?.parse::<u32>().ok()
    });
    let newest = versions.filter(|v| (OLDEST..=NEWEST).contains(v)).max()?;
    Some(dir.join(format!("policy.{newest}")))
}

impl Policy {
    /// Reads a policy from a file, which may be compressed by bzip2 or gzip.
    ///
    /// # Errors
    /// The file cannot be read, is far too large, or is no valid policy.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let data = read_file(path)?;
        Policy::read_owned(data).map_err(|error| OpenError::Read { path: path.to_owned(), error })
    }
}

/// The bytes of a file, decompressed where they begin as bzip2 or gzip do.
///
/// # Errors
/// The file cannot be read, or holds more than any policy does.
pub fn read_file(path: &Path) -> Result<Vec<u8>, OpenError> {
    let failed = |error| OpenError::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let data = read_limited(file).map_err(failed)?;
    let plain = match data.as_deref() {
        Some([b'B', b'Z', b'h', ..]) => {
            read_limited(bzip2::read::MultiBzDecoder::new(data.as_deref().unwrap_or_default()))
                .map_err(failed)?
        }
        Some([0x1f, 0x8b, ..]) => {
            read_limited(flate2::read::MultiGzDecoder::new(data.as_deref().unwrap_or_default()))
                .map_err(failed)?
        }
        _ => data,
    };
    plain.ok_or_else(|| OpenError::TooLarge { path: path.to_owned(), limit: LIMIT })
}

/// All bytes; `None` where there are more than the limit.
fn read_limited(input: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    let read = input.take(LIMIT + 1).read_to_end(&mut out)?;
    out.shrink_to_fit();
    Ok((read as u64 <= LIMIT).then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_type_is_a_folder_and_no_more() {
        assert_eq!(selinux_type("# x\nSELINUX=enforcing\nSELINUXTYPE=mls \n").as_deref(), Some("mls"));
        assert_eq!(selinux_type("SELINUXTYPE = targeted\nSETLOCALDEFS=0").as_deref(), Some("targeted"));
        assert_eq!(selinux_type("SELINUXTYPE=../../tmp"), None);
        assert_eq!(selinux_type("SELINUX=disabled"), None);
    }

    #[test]
    fn below_a_root_the_newest_readable_version_is_found() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("etc/selinux/targeted/policy");
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["policy.9", "policy.31", "policy.33", "policy.99", "policy.33.bak"] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        let error = locate(None, Some(root.path())).unwrap_err().to_string();
        assert!(error.contains("names no SELINUXTYPE"), "{error}");
        std::fs::write(root.path().join("etc/selinux/config"), "SELINUXTYPE=targeted").unwrap();
        assert_eq!(locate(None, Some(root.path())).unwrap(), Origin::Store(dir.join("policy.33")));
    }
}
