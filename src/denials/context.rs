//! Security contexts: `user:role:type[:range]`.

use std::fmt;

use compact_str::CompactString;

use crate::selinux::module::Name;

/// A security context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context {
    /// SELinux user.
    pub user: Name,
    /// Role.
    pub role: Name,
    /// Type (of a process: its domain).
    pub kind: Name,
    /// Level or range, as written; `None` in a policy without levels. It has no space and no quote.
    pub range: Option<CompactString>,
}

impl Context {
    /// Takes the text of a context.
    pub fn parse(text: &[u8]) -> Option<Context> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(4, ':');
        let mut name = || Name::new(parts.next()?);
        let (user, role, kind) = (name()?, name()?, name()?);
        let range = match parts.next() {
            None => None,
            Some(range) if is_range(range) => Some(range.into()),
            Some(_) => return None,
        };
        Some(Context { user, role, kind, range })
    }

    /// The low and the high level; both are the same if only one is written.
    pub fn levels(&self) -> Option<(Level<'_>, Level<'_>)> {
        let range = self.range.as_deref()?;
        match range.split_once('-') {
            Some((low, high)) => Some((Level::parse(low)?, Level::parse(high)?)),
            None => {
                let level = Level::parse(range)?;
                Some((level, level))
            }
        }
    }
}

/// A level: `s0:c1,c3.c5`.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a> {
    sensitivity: u32,
    categories: &'a str,
}

impl<'a> Level<'a> {
    fn parse(text: &'a str) -> Option<Level<'a>> {
        let (sensitivity, categories) = text.split_once(':').unwrap_or((text, ""));
        let sensitivity = sensitivity.strip_prefix('s')?.parse().ok()?;
        Some(Level { sensitivity, categories })
    }

    /// Whether this level dominates `other`: no lower sensitivity, and all its categories. `None` if the categories
    /// are not of the form `cN`.
    pub fn dominates(self, other: Level<'_>) -> Option<bool> {
        let mine: Vec<_> = self.ranges().collect::<Option<_>>()?;
        let theirs: Vec<_> = other.ranges().collect::<Option<_>>()?;
        let all = theirs.iter().all(|(low, high)| covered(&mine, *low, *high));
        Some(self.sensitivity >= other.sensitivity && all)
    }

    fn ranges(self) -> impl Iterator<Item = Option<(u32, u32)>> {
        self.categories.split(',').filter(|c| !c.is_empty()).map(|part| {
            let number = |c: &str| c.strip_prefix('c')?.parse::<u32>().ok();
            match part.split_once('.') {
                Some((a, b)) => Some((number(a)?, number(b)?)),
                None => number(part).map(|n| (n, n)),
            }
        })
    }
}

/// Whether `ranges` together hold all of `low..=high`.
fn covered(ranges: &[(u32, u32)], mut low: u32, high: u32) -> bool {
    while let Some((_, end)) = ranges.iter().find(|(a, b)| *a <= low && low <= *b) {
        if *end >= high {
            return true;
        }
        low = end + 1;
    }
    false
}

/// A range as the kernel writes it, or a name that mcstrans gave it: no space, quote or control character.
fn is_range(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 4096
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b',' | b'.' | b'-' | b'_'))
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.user, self.role, self.kind)?;
        match &self.range {
            Some(range) => write!(f, ":{range}"),
            None => Ok(()),
        }
    }
}

impl serde::Serialize for Context {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_and_their_levels() {
        let c = Context::parse(b"system_u:system_r:httpd_t:s0-s0:c0.c1023").unwrap();
        assert_eq!(c.to_string(), "system_u:system_r:httpd_t:s0-s0:c0.c1023");
        assert!(Context::parse(b"u:r:t").is_some());
        for bad in ["", "u:r", "u:r:", "u::t", "u:r:t:", "u:r:t:s0 x", "u:r:t;:s0", "?", "caf\u{e9}:r:t"] {
            assert!(Context::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        let dominates = |a: &str, b: &str| Level::parse(a).unwrap().dominates(Level::parse(b).unwrap());
        assert_eq!(dominates("s0:c0.c1023", "s0:c5,c9"), Some(true));
        assert_eq!(dominates("s0:c1", "s0:c1,c2"), Some(false));
        assert_eq!(dominates("s0:c1,c2.c4", "s0:c1.c3"), Some(true));
        assert_eq!(dominates("s0", "s1"), Some(false));
        assert_eq!(dominates("s0:zebra", "s0"), None);
    }
}
