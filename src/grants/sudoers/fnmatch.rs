//! fnmatch(3) as the C library does it in the C locale, in which sudo matches, without its exponential cases.

/// What the pattern may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// `FNM_PATHNAME`: wildcards do not match `/`.
    pub pathname: bool,
    /// `FNM_PERIOD`: a leading period (of each path component with `pathname`) is matched by a period only.
    pub period: bool,
    /// `FNM_CASEFOLD`.
    pub fold: bool,
}

/// Whether `text` as a whole matches `pattern`.
pub fn fnmatch(pattern: &[u8], text: &[u8], flags: Flags) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after giving the last `*` one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            None if t == text.len() => return true,
            None => None,
            Some(b'*') => {
                if leading_period(text, t, flags) {
                    None
                } else {
                    retry = Some((p + 1, t));
                    p += 1;
                    continue;
                }
            }
            Some(_) => one(pattern, p, text, t, flags),
        };
        if let Some(next) = step {
            p = next;
            t += 1;
            continue;
        }
        // Of several `*` only the last need be widened: a shorter match of an earlier one leaves more to match.
        match retry {
            Some((after, from))
                if from < text.len() && !(flags.pathname && text.get(from) == Some(&b'/')) =>
            {
                retry = Some((after, from + 1));
                p = after;
                t = from + 1;
            }
            _ => return false,
        }
    }
}

/// Whether a wildcard at `t` would have to match a leading period.
fn leading_period(text: &[u8], t: usize, flags: Flags) -> bool {
    let starts = t == 0 || (flags.pathname && text.get(t - 1) == Some(&b'/'));
    flags.period && starts && text.get(t) == Some(&b'.')
}

/// Matches the pattern's element at `p` with the byte at `t`; where the next element begins, if it matches.
fn one(pattern: &[u8], p: usize, text: &[u8], t: usize, flags: Flags) -> Option<usize> {
    let c = *text.get(t)?;
    match *pattern.get(p)? {
        b'?' => {
            if (flags.pathname && c == b'/') || leading_period(text, t, flags) {
                None
            } else {
                Some(p + 1)
            }
        }
        b'[' => {
            if (flags.pathname && c == b'/') || leading_period(text, t, flags) {
                return literal(b'[', c, flags)
                    .then_some(p + 1)
                    .filter(|_| bracket_end(pattern, p).is_none());
            }
            match bracket(pattern, p, c, flags) {
                Bracket::Matches(next) => Some(next),
                Bracket::Fails => None,
                // Not closed: an ordinary `[`.
                Bracket::Literal => literal(b'[', c, flags).then_some(p + 1),
            }
        }
        b'\\' => {
            let escaped = *pattern.get(p + 1)?;
            literal(escaped, c, flags).then_some(p + 2)
        }
        other => literal(other, c, flags).then_some(p + 1),
    }
}

fn literal(pattern: u8, c: u8, flags: Flags) -> bool {
    fold(pattern, flags) == fold(c, flags)
}

fn fold(c: u8, flags: Flags) -> u8 {
    if flags.fold { c.to_ascii_lowercase() } else { c }
}

enum Bracket {
    Matches(usize),
    Fails,
    Literal,
}

/// Whether the bracket at `p` is closed.
fn bracket_end(pattern: &[u8], p: usize) -> Option<usize> {
    match bracket(pattern, p, 0, Flags::default()) {
        Bracket::Matches(n) => Some(n),
        Bracket::Fails => Some(p),
        Bracket::Literal => None,
    }
}

/// A bracket expression and a byte. In the C locale ranges are of bytes, and a collating element or an equivalence
/// class is the byte itself.
fn bracket(pattern: &[u8], p: usize, c: u8, flags: Flags) -> Bracket {
    let folded = fold(c, flags);
    let mut i = p + 1;
    let negated = matches!(pattern.get(i), Some(b'!' | b'^'));
    if negated {
        i += 1;
    }
    let mut found = false;
    let mut first = true;
    loop {
        let Some(&b) = pattern.get(i) else { return Bracket::Literal };
        if b == b']' && !first {
            i += 1;
            break;
        }
        first = false;
        if b == b'/' && flags.pathname {
            return Bracket::Fails;
        }
        if b == b'['
            && pattern.get(i + 1) == Some(&b':')
            && let Some((name, next)) = named(pattern, i, b':')
        {
            match class(name, c, flags) {
                Some(yes) => found |= yes,
                None => return Bracket::Fails,
            }
            i = next;
            continue;
        }
        let Some((low, next)) = element(pattern, i) else { return Bracket::Literal };
        let Some(low) = low else { return Bracket::Fails };
        i = next;
        if pattern.get(i) == Some(&b'-') && pattern.get(i + 1).is_some_and(|&n| n != b']') {
            let Some((high, next)) = element(pattern, i + 1) else { return Bracket::Literal };
            let Some(high) = high else { return Bracket::Fails };
            i = next;
            found |= (low..=high).contains(&c) || (fold(low, flags)..=fold(high, flags)).contains(&folded);
        } else {
            found |= fold(low, flags) == folded;
        }
    }
    if found == negated { Bracket::Fails } else { Bracket::Matches(i) }
}

/// One end of a range: a byte, an escaped byte, `[.x.]` or `[=x=]`. `None` inside: a name of more than one byte.
fn element(pattern: &[u8], i: usize) -> Option<(Option<u8>, usize)> {
    match pattern.get(i)? {
        b'\\' => Some((Some(*pattern.get(i + 1)?), i + 2)),
        b'[' if matches!(pattern.get(i + 1), Some(b'.' | b'=')) => {
            let kind = *pattern.get(i + 1)?;
            match named(pattern, i, kind) {
                Some((&[one], next)) => Some((Some(one), next)),
                Some((_, next)) => Some((None, next)),
                None => Some((Some(b'['), i + 1)),
            }
        }
        &b => Some((Some(b), i + 1)),
    }
}

/// The name in `[:name:]`, `[.name.]`, `[=name=]` at `i`, and what comes after.
fn named(pattern: &[u8], i: usize, kind: u8) -> Option<(&[u8], usize)> {
    let rest = pattern.get(i + 2..)?;
    let end = rest.windows(2).position(|w| w == [kind, b']'])?;
    Some((rest.get(..end)?, i + 2 + end + 2))
}

/// Whether `c` is of the class; `None` if there is no such class.
fn class(name: &[u8], c: u8, flags: Flags) -> Option<bool> {
    Some(match name {
        b"alpha" => c.is_ascii_alphabetic(),
        b"digit" => c.is_ascii_digit(),
        b"alnum" => c.is_ascii_alphanumeric(),
        b"upper" => c.is_ascii_uppercase() || (flags.fold && c.is_ascii_lowercase()),
        b"lower" => c.is_ascii_lowercase() || (flags.fold && c.is_ascii_uppercase()),
        b"space" => c.is_ascii_whitespace() || c == 0x0b,
        b"blank" => c == b' ' || c == b'\t',
        b"punct" => c.is_ascii_punctuation(),
        b"print" => (0x20..0x7f).contains(&c),
        b"graph" => c.is_ascii_graphic(),
        b"cntrl" => c.is_ascii_control(),
        b"xdigit" => c.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(p: &str, t: &str) -> bool {
        fnmatch(p.as_bytes(), t.as_bytes(), Flags::default())
    }

    fn path(p: &str, t: &str) -> bool {
        fnmatch(p.as_bytes(), t.as_bytes(), Flags { pathname: true, ..Flags::default() })
    }

    #[test]
    fn wildcards() {
        assert!(plain("*", "") && plain("a*c", "abbc") && !plain("a*c", "abb"));
        assert!(plain("/var/log/messages*", "/var/log/messages /etc/shadow"), "S3: spaces and slashes too");
        assert!(path("/usr/bin/*", "/usr/bin/who") && !path("/usr/bin/*", "/usr/bin/X11/xterm"));
        assert!(!path("a?b", "a/b") && !path("a[/]b", "a/b") && plain("a[/]b", "a/b"));
        assert!(plain("[[:alpha:]]*", "x1") && !plain("[[:alpha:]]", "1"));
        assert!(plain("[!a-c]", "d") && !plain("[^a-c]", "b") && plain("[]a]", "]"));
        assert!(plain("\\*", "*") && !plain("\\*", "x") && !plain("a\\", "a\\"));
        assert!(plain("[a", "[a") && plain("[a\\]b]", "]"));
        assert!(plain("*a*b*c*", "xxaxxbxxcxx") && !plain("*a*b*c*", "xxcxxbxxa"));
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern = "*a".repeat(200);
        let text = "a".repeat(5_000);
        let began = std::time::Instant::now();
        assert!(plain(&pattern, &text));
        assert!(!plain(&format!("{pattern}b"), &text));
        assert!(began.elapsed().as_secs() < 5);
    }
}
