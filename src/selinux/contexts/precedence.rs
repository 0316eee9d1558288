//! Which specification decides where several match: the rules changed with libselinux's versions.

use std::fmt;

use memchr::memmem;

/// The rules by libselinux's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precedence {
    /// Before 3.8: literal patterns before all others, then the last line that matches.
    Before3_8,
    /// 3.8: patterns in a tree of folders. A literal decides by file kind, then by order; substitutions are tried
    /// from the first line on.
    V3_8,
    /// Since 3.9: as 3.8, but among equal literals `.local` comes before `.homedirs` before file_contexts, and
    /// substitutions are tried from the last line on, as before 3.8.
    #[default]
    Since3_9,
}

impl Precedence {
    /// The rules of a version.
    pub fn of_version(major: u32, minor: u32) -> Precedence {
        match (major, minor) {
            (..=2, _) | (3, ..=7) => Precedence::Before3_8,
            (3, 8) => Precedence::V3_8,
            _ => Precedence::Since3_9,
        }
    }

    /// The rules of a version as a package manager writes it: `3.4`, `3.4-1+b6`, `3.8.1-1.fc42`, `1:3.9`.
    pub fn of_version_text(text: &str) -> Option<Precedence> {
        let text = text.split_once(':').map_or(text, |(_, version)| version);
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let (major, minor) =
            (numbers.next()?.parse().ok()?, numbers.next().unwrap_or("0").parse().unwrap_or(0));
        Some(Precedence::of_version(major, minor))
    }

    /// The rules of a library file, libselinux.so.1. Its soname never changes, but each version that adds functions
    /// also adds a symbol version, and 3.8 and 3.9 both did (libselinux.map). `None` if it is another library.
    pub fn of_library(file: &[u8]) -> Option<Precedence> {
        let has = |version: &str| memmem::find(file, format!("\0{version}\0").as_bytes()).is_some();
        if !file.starts_with(b"\x7fELF") || !has("LIBSELINUX_1.0") {
            return None;
        }
        Some(match (has("LIBSELINUX_3.9"), has("LIBSELINUX_3.8")) {
            (true, _) => Precedence::Since3_9,
            (false, true) => Precedence::V3_8,
            _ => Precedence::Before3_8,
        })
    }
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precedence::Before3_8 => "libselinux before 3.8",
            Precedence::V3_8 => "libselinux 3.8",
            Precedence::Since3_9 => "libselinux since 3.9",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_package_managers_write_them() {
        for (text, precedence) in [
            ("3.4-1+b6", Precedence::Before3_8),
            ("2.9", Precedence::Before3_8),
            ("3.8.1-1", Precedence::V3_8),
            ("1:3.9-2.fc43", Precedence::Since3_9),
            ("3.11", Precedence::Since3_9),
            ("4", Precedence::Since3_9),
        ] {
            assert_eq!(Precedence::of_version_text(text), Some(precedence), "{text}");
        }
        assert_eq!(Precedence::of_version_text("new"), None);
    }

    #[test]
    fn a_library_tells_its_version() {
        let library = |versions: &str| [b"\x7fELF\0", versions.replace(' ', "\0").as_bytes(), b"\0"].concat();
        let of = |versions: &str| Precedence::of_library(&library(versions));
        assert_eq!(of("LIBSELINUX_1.0 LIBSELINUX_3.4"), Some(Precedence::Before3_8));
        assert_eq!(of("LIBSELINUX_1.0 LIBSELINUX_3.8"), Some(Precedence::V3_8));
        assert_eq!(of("LIBSELINUX_1.0 LIBSELINUX_3.8 LIBSELINUX_3.9"), Some(Precedence::Since3_9));
        assert_eq!(of("GLIBC_2.2.5"), None);
    }
}
