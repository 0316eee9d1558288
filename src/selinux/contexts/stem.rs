//! The folders that a pattern begins with, by which libselinux sorts its specifications beforehand.
//!
//! This is more than a matter of speed: a specification whose folders are not those of the path is not tried,
//! also where its pattern would match (`/srv/?x` never finds `/srvx`), and since 3.8 the folders' depth decides when a
//! `<<none>>` ends the search.

use super::precedence::Precedence;

/// Depth of the tree since 3.8 (`SPEC_NODE_MAX_DEPTH`).
const MAX_DEPTH: u8 = 3;

/// What is known of a pattern before it is compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stem {
    /// The path must begin with this; empty where the pattern says so itself.
    pub(super) guard: Box<[u8]>,
    /// Folders, at most three; before 3.8 always 0.
    pub(super) depth: u8,
    /// The pattern counts as literal.
    pub(super) literal: bool,
}

/// Looks at a pattern. `loose` is whether it may match in the middle of a path.
pub(super) fn stem(pattern: &[u8], precedence: Precedence, loose: bool) -> Stem {
    match precedence {
        Precedence::Before3_8 => before_3_8(pattern, loose),
        Precedence::V3_8 | Precedence::Since3_9 => since_3_8(pattern, loose),
    }
}

fn before_3_8(pattern: &[u8], loose: bool) -> Stem {
    let mut literal = true;
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b => literal &= !is_meta(*b),
        }
    }
    let second = pattern.iter().skip(1).position(|b| *b == b'/').map(|i| i + 1);
    let folder = second.and_then(|i| pattern.get(..=i)).filter(|f| !f.iter().any(|b| is_meta(*b)));
    let guard = folder.filter(|f| loose || !says_so_itself(pattern, f)).unwrap_or_default();
    Stem { guard: guard.into(), depth: 0, literal }
}

fn since_3_8(pattern: &[u8], loose: bool) -> Stem {
    if unescape(pattern).is_some() {
        return Stem { literal: true, ..Stem::default() };
    }
    let mut guard = b"/".to_vec();
    let mut depth = 0;
    let mut plain = true;
    // The first byte is taken for a `/` unseen.
    let mut at = 0;
    while depth < MAX_DEPTH {
        let rest = pattern.get(at + 1..).unwrap_or_default();
        let Some(len) = rest.iter().position(|b| *b == b'/') else { break };
        if len == 0 {
            plain = false;
            at += 1;
            continue;
        }
        let Some(name) = rest.get(..len).and_then(unescape) else { break };
        guard.extend(name);
        guard.push(b'/');
        at += len + 1;
        depth += 1;
    }
    let head = pattern.get(..=at).unwrap_or_default();
    if depth == 0 || plain && !loose && says_so_itself(pattern, head) {
        guard.clear();
    }
    Stem { guard: guard.into(), depth, literal: false }
}

/// Whether what matches `pattern` can only begin with `head`, the bytes that it begins with, up to a `/`.
fn says_so_itself(pattern: &[u8], head: &[u8]) -> bool {
    let next = pattern.get(head.len());
    head.starts_with(b"/") && !head.contains(&b'\\') && !matches!(next, Some(b'?' | b'*' | b'{'))
}

/// The text of a pattern that has no metacharacter and escapes only what it may (since 3.8).
pub(super) fn unescape(pattern: &[u8]) -> Option<Vec<u8>> {
    let closes = |b: u8| matches!(b, b']' | b')' | b'}');
    let mut text = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b if is_meta(b) || closes(b) => return None,
            b'\\' => {
                let escaped = bytes.next()?;
                if !(is_meta(escaped) || closes(escaped) || matches!(escaped, b'-' | b'_' | b',')) {
                    return None;
                }
                text.push(escaped);
            }
            b => text.push(b),
        }
    }
    Some(text)
}

fn is_meta(byte: u8) -> bool {
    b".^$?*+|[({".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(pattern: &str, precedence: Precedence) -> String {
        let s = stem(pattern.as_bytes(), precedence, pattern.contains('|'));
        format!("{} {} {}", String::from_utf8_lossy(&s.guard), s.depth, s.literal)
    }

    #[test]
    fn folders_before_3_8() {
        for (pattern, expected) in [
            ("/srv/app/.*", " 0 false"),
            ("/srv/?x", "/srv/ 0 false"),
            ("/srv/a|/b", "/srv/ 0 false"),
            ("/srv(/.*)?", " 0 false"),
            ("/a\\-b/c", "/a\\-b/ 0 true"),
            ("/a\\.b/c", " 0 true"),
            ("/srv/a]", " 0 true"),
        ] {
            assert_eq!(show(pattern, Precedence::Before3_8), expected, "{pattern}");
        }
    }

    #[test]
    fn folders_since_3_8() {
        for (pattern, expected) in [
            ("/srv/app/.*", " 2 false"),
            ("/a/b/c/d/e.*", " 3 false"),
            ("/srv/?x", "/srv/ 1 false"),
            ("/srv/a|/b", "/srv/ 1 false"),
            ("/srv(/.*)?", " 0 false"),
            ("/a\\-b/c.*", "/a-b/ 1 false"),
            ("/a\\.b/c", " 0 true"),
            ("/srv/a]", " 1 false"),
            ("/a\\d/c", " 0 false"),
            ("//srv/x.*", "/srv/ 1 false"),
        ] {
            assert_eq!(show(pattern, Precedence::Since3_9), expected, "{pattern}");
        }
    }
}
