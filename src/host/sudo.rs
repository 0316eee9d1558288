//! Which sudo a host has: Todd Miller's or sudo-rs, and its version, read off the program itself.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::grants::sudoers::Behaviour;
use crate::sys::Root;

pub use crate::grants::sudoers::Dialect;

/// Programs larger than this are not read.
const LIMIT: u64 = 64 << 20;

/// The sudo of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sudo {
    /// Where it is, links resolved.
    pub path: PathBuf,
    /// Which.
    pub dialect: Dialect,
    /// Its version: `1.9.13p3`, `0.2.15`.
    pub version: Option<Version>,
}

/// A version: three numbers and, in the original, a patch level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32, pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)?;
        if self.3 > 0 { write!(f, "p{}", self.3) } else { Ok(()) }
    }
}

impl Version {
    /// `1.9.13p3`, `0.2.15`; `None` for what is no version of that form.
    pub fn parse(text: &str) -> Option<Version> {
        let (numbers, patch) = match text.split_once('p') {
            Some((numbers, patch)) => (numbers, patch.parse().ok()?),
            None => (text, 0),
        };
        let mut numbers = numbers.split('.').map(|n| n.parse::<u32>().ok());
        let version = Version(numbers.next()??, numbers.next()??, numbers.next()??, patch);
        numbers.next().is_none().then_some(version)
    }
}

impl Sudo {
    /// Finds it beneath a root; `None` if there is none in the usual places.
    pub fn find(root: &Root) -> Option<Sudo> {
        ["/usr/bin/sudo", "/usr/local/bin/sudo", "/bin/sudo"].iter().find_map(|path| {
            let found = root.resolve(Path::new(path)).ok()?;
            let program = found.handle.read(LIMIT).ok()?;
            let rs = memchr::memmem::find(&program, b"sudo-rs").is_some();
            let dialect = if rs { Dialect::Rs } else { Dialect::Classic };
            Some(Sudo { path: found.path, dialect, version: version(&program, dialect) })
        })
    }

    /// How the original of this version decides; the older way where the version is not known.
    pub fn behaviour(&self) -> Behaviour {
        match self.version {
            Some(v) if v >= Version(1, 9, 14, 0) => Behaviour::Sudo1914,
            _ => Behaviour::Sudo1913,
        }
    }
}

/// The version in a program's strings: the original has it as a string of its own, sudo-rs in the paths of its sources or
/// in a message.
fn version(program: &[u8], dialect: Dialect) -> Option<Version> {
    match dialect {
        Dialect::Classic => memchr::memmem::find_iter(program, b"\x001.").find_map(|at| {
            let text = program.get(at + 1..at + 20)?;
            let text = std::str::from_utf8(text.split(|b| *b == 0).next()?).ok()?;
            Version::parse(text).filter(|v| v.1 >= 7)
        }),
        Dialect::Rs => memchr::memmem::find_iter(program, b"sudo-rs").find_map(|at| {
            let after = program.get(at + b"sudo-rs".len()..at + 24)?;
            let after = after.strip_prefix(b"-").or_else(|| after.strip_prefix(b" "))?;
            let end = after.iter().position(|b| !b.is_ascii_digit() && *b != b'.')?;
            Version::parse(std::str::from_utf8(after.get(..end)?).ok()?)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert!(Version::parse("1.9.13p3").unwrap() < Version::parse("1.9.17").unwrap());
        assert!(Version::parse("1.9.17p1").unwrap() > Version::parse("1.9.17").unwrap());
        assert_eq!(Version::parse("1.9.13p3").unwrap().to_string(), "1.9.13p3");
        for text in ["", "1.9", "1.9.x", "1.2.3.4", "1.9.13b1"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_version_is_found_among_strings() {
        let classic = b"x\0Sudo version %s\0" as &[u8];
        let program = [classic, b"1.4.x\x001.9.13p3\0tail that is long enough for the window"].concat();
        assert_eq!(version(&program, Dialect::Classic), Some(Version(1, 9, 13, 3)));
        let rs = b"/registry/sudo-rs-0.2.15/src/sudoers/tokens.rs and a tail";
        assert_eq!(version(rs, Dialect::Rs), Some(Version(0, 2, 15, 0)));
        assert_eq!(version(b"sudo-rs", Dialect::Rs), None);
    }
}
