//! POSIX extended regular expressions, as sudo gives them to regcomp(3), in terms of a linear-time engine.
//!
//! What the two engines understand differently is translated; what has no translation (back-references, constructs
//! that POSIX leaves undefined) is refused, so that a caller says "not known" instead of guessing.

/// sudo's own limit on the length of a regular expression.
pub const LONGEST: usize = 1024;

/// Why a regular expression is not evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// sudo itself refuses it: it matches nothing.
    Invalid,
    /// It may be right, but has no translation.
    NotLinear,
}

/// A compiled expression.
///
/// # Errors
/// [`Refusal`].
pub fn compile(pattern: &[u8]) -> Result<regex::bytes::Regex, Refusal> {
    if pattern.len() > LONGEST {
        return Err(Refusal::Invalid);
    }
    // A `(?i)` at the start, after the `^`, asks for no regard to case.
    let (fold, pattern) = match pattern {
        [b'^', b'(', b'?', b'i', b')', rest @ ..] => (true, [b"^", rest].concat()),
        [b'(', b'?', b'i', b')', rest @ ..] => (true, rest.to_vec()),
        p => (false, p.to_vec()),
    };
    let translated = Translator { input: &pattern, pos: 0, out: String::new() }.run()?;
    regex::bytes::RegexBuilder::new(&translated)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(fold)
        .size_limit(4 << 20)
        .dfa_size_limit(4 << 20)
        .nest_limit(100)
        .build()
        .map_err(|_| Refusal::NotLinear)
}

struct Translator<'p> {
    input: &'p [u8],
    pos: usize,
    out: String,
}

impl Translator<'_> {
    fn peek(&self) -> Option<u8> {
        self.input.get(self.pos).copied()
    }

    fn run(mut self) -> Result<String, Refusal> {
        let mut open = 0usize;
        // Whether a repetition may follow: after an atom that has none yet.
        let mut atom = false;
        while let Some(c) = self.peek() {
            self.pos += 1;
            match c {
                b'\\' => {
                    let Some(e) = self.peek() else { return Err(Refusal::Invalid) };
                    self.pos += 1;
                    match e {
                        // GNU's classes and word boundaries mean the same here, but for `\<`, `\>`, `` \` `` and `\'`.
                        b'w' | b'W' => self.class(if e == b'w' { "[0-9A-Za-z_]" } else { "[^0-9A-Za-z_]" }),
                        b's' | b'S' => self.class(if e == b's' { r"[\t-\r ]" } else { r"[^\t-\r ]" }),
                        b'1'..=b'9' | b'b' | b'B' | b'<' | b'>' | b'`' | b'\'' => {
                            return Err(Refusal::NotLinear);
                        }
                        _ => self.literal(e),
                    }
                    atom = true;
                }
                b'[' => {
                    self.bracket()?;
                    atom = true;
                }
                b'(' => {
                    open += 1;
                    self.out.push_str("(?:");
                    atom = false;
                }
                b')' if open > 0 => {
                    open -= 1;
                    self.out.push(')');
                    atom = true;
                }
                b')' => {
                    // Alone it is itself.
                    self.literal(b')');
                    atom = true;
                }
                b'|' => {
                    self.out.push('|');
                    atom = false;
                }
                b'^' | b'$' => {
                    self.out.push(char::from(c));
                    if c == b'$' && matches!(self.peek(), Some(b'*' | b'+' | b'?' | b'{')) {
                        return Err(Refusal::NotLinear);
                    }
                    atom = false;
                }
                // sudo refuses two repetitions in a row, the C library one at the start of anything.
                b'*' | b'+' | b'?' | b'{' if !atom => return Err(Refusal::Invalid),
                b'*' | b'+' | b'?' => {
                    self.out.push(char::from(c));
                    atom = false;
                }
                b'{' => {
                    self.interval()?;
                    atom = false;
                }
                b'.' => {
                    self.out.push('.');
                    atom = true;
                }
                _ => {
                    self.literal(c);
                    atom = true;
                }
            }
        }
        if open > 0 { Err(Refusal::Invalid) } else { Ok(self.out) }
    }

    fn class(&mut self, class: &str) {
        self.out.push_str(class);
    }

    fn literal(&mut self, c: u8) {
        self.out.push_str(&format!("\\x{c:02x}"));
    }

    /// `{n}`, `{n,}`, `{n,m}`, `{,m}`.
    fn interval(&mut self) -> Result<(), Refusal> {
        let rest = self.input.get(self.pos..).unwrap_or(&[]);
        let end = rest.iter().position(|&c| c == b'}').ok_or(Refusal::NotLinear)?;
        let inner = std::str::from_utf8(rest.get(..end).unwrap_or(&[])).map_err(|_| Refusal::NotLinear)?;
        let (low, high) = inner.split_once(',').map_or((inner, None), |(l, h)| (l, Some(h)));
        let number = |t: &str| match t.parse::<u16>() {
            Ok(n) if n <= 255 => Ok(n),
            _ => Err(Refusal::NotLinear),
        };
        let low = if low.is_empty() && high.is_some() { 0 } else { number(low)? };
        match high {
            None => self.out.push_str(&format!("{{{low}}}")),
            Some("") => self.out.push_str(&format!("{{{low},}}")),
            Some(h) => {
                let high = number(h)?;
                if high < low {
                    return Err(Refusal::Invalid);
                }
                self.out.push_str(&format!("{{{low},{high}}}"));
            }
        }
        self.pos += end + 1;
        Ok(())
    }

    /// A bracket expression: no escapes inside; `]` first is itself.
    fn bracket(&mut self) -> Result<(), Refusal> {
        let mut items = String::new();
        let negated = self.peek() == Some(b'^');
        if negated {
            self.pos += 1;
        }
        let mut first = true;
        loop {
            let Some(c) = self.peek() else { return Err(Refusal::Invalid) };
            if c == b']' && !first {
                self.pos += 1;
                break;
            }
            first = false;
            let rest = self.input.get(self.pos..).unwrap_or(&[]);
            if rest.starts_with(b"[:") {
                let end = rest.windows(2).position(|w| w == b":]").ok_or(Refusal::Invalid)?;
                let name =
                    rest.get(2..end).and_then(|n| std::str::from_utf8(n).ok()).ok_or(Refusal::Invalid)?;
                const NAMES: [&str; 12] = [
                    "alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print", "graph",
                    "cntrl", "xdigit",
                ];
                if !NAMES.contains(&name) {
                    return Err(Refusal::Invalid);
                }
                items.push_str(&format!("[:{name}:]"));
                self.pos += end + 2;
                continue;
            }
            let low = self.element()?;
            let next = self.input.get(self.pos + 1).copied();
            if self.peek() == Some(b'-') && next.is_some_and(|n| n != b']') {
                self.pos += 1;
                let high = self.element()?;
                if high < low {
                    return Err(Refusal::Invalid);
                }
                items.push_str(&format!("\\x{low:02x}-\\x{high:02x}"));
            } else {
                items.push_str(&format!("\\x{low:02x}"));
            }
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(&items);
        self.out.push(']');
        Ok(())
    }

    /// A byte of a bracket expression; in the C locale a collating element or equivalence class is one byte.
    fn element(&mut self) -> Result<u8, Refusal> {
        let rest = self.input.get(self.pos..).unwrap_or(&[]);
        for (open, close) in [(b"[.", b".]"), (b"[=", b"=]")] {
            if rest.starts_with(open) {
                let end = rest.windows(2).skip(2).position(|w| w == close).ok_or(Refusal::Invalid)? + 2;
                let [one] = rest.get(2..end).unwrap_or(&[]) else { return Err(Refusal::NotLinear) };
                self.pos += end + 2;
                return Ok(*one);
            }
        }
        self.pos += 1;
        rest.first().copied().ok_or(Refusal::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(p: &str, t: &str) -> bool {
        compile(p.as_bytes()).unwrap().is_match(t.as_bytes())
    }

    #[test]
    fn posix_meanings() {
        assert!(matches("^reload nginx(\\.service)?$", "reload nginx.service"));
        assert!(!matches("^reload nginx(\\.service)?$", "reload nginxXservice"));
        assert!(matches("^[]\\]+$", "\\]") && !matches("^[]a]$", "\\"));
        assert!(matches("^[[:alpha:]_-]{2,3}$", "a-_") && !matches("^[[:alpha:]]{,2}$", "abc"));
        assert!(matches("^[&&a~~-]$", "&") && matches("^a)$", "a)"));
        assert!(matches("^(?i)ABC$", "abc"));
        assert!(!matches("^a$", "a\n") && matches("^.$", "\n"));
    }

    #[test]
    fn what_is_not_linear_or_not_defined_is_refused() {
        for p in ["^(a)\\1$", "^*a$", "^a**$", "^(*a)$", "^\\bx$", "^a{300}$"] {
            assert!(compile(p.as_bytes()).is_err(), "{p}");
        }
        assert_eq!(compile(&[b'a'; 1025]).unwrap_err(), Refusal::Invalid);
        assert_eq!(compile(b"^(a$").unwrap_err(), Refusal::Invalid);
        let bomb = format!("^{}a{}$", "(".repeat(100), "){255}".repeat(100));
        assert!(compile(bomb.as_bytes()).is_err());
    }
}
