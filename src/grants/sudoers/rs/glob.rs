//! Patterns of paths as sudo-rs compares them: `*`, `?` and `[…]` within a component, `**` for whole ones.

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    Sequence,
    /// `**/` or a `/**` at the end.
    Recursive,
    /// Ranges, and whether they are what must not be.
    Within(Vec<(char, char)>, bool),
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    /// Reads a pattern; `None` if it is none.
    pub(super) fn new(pattern: &str) -> Option<Glob> {
        let chars: Vec<char> = pattern.chars().collect();
        let at = |i: usize| chars.get(i).copied();
        let mut tokens = Vec::new();
        let mut i = 0;
        while let Some(c) = at(i) {
            match c {
                '?' => {
                    tokens.push(Token::Any);
                    i += 1;
                }
                '*' => {
                    let start = i;
                    while at(i) == Some('*') {
                        i += 1;
                    }
                    match i - start {
                        1 => tokens.push(Token::Sequence),
                        2 => {
                            // Whole components only.
                            let begins = start == 0 || at(start - 1) == Some('/');
                            match at(i) {
                                Some('/') if begins => i += 1,
                                None if begins => {}
                                _ => return None,
                            }
                            if tokens.last() != Some(&Token::Recursive) {
                                tokens.push(Token::Recursive);
                            }
                        }
                        _ => return None,
                    }
                }
                '[' => {
                    let (negated, first) =
                        if at(i + 1) == Some('!') { (true, i + 2) } else { (false, i + 1) };
                    // A `]` that comes first stands for itself.
                    let end = (first + 1..chars.len()).find(|&j| at(j) == Some(']'))?;
                    let inner = chars.get(first..end)?;
                    tokens.push(Token::Within(ranges(inner), negated));
                    i = end + 1;
                }
                c => {
                    tokens.push(Token::Char(c));
                    i += 1;
                }
            }
        }
        Some(Glob { tokens })
    }

    /// Whether a path fits. The work is the product of both lengths at most.
    pub(super) fn fits(&self, path: &str) -> bool {
        let chars: Vec<char> = path.chars().collect();
        // What tokens could come next, by place in the tokens.
        let mut states = vec![false; self.tokens.len() + 1];
        if let Some(first) = states.first_mut() {
            *first = true;
        }
        self.skip(&mut states, true);
        for &c in &chars {
            let mut next = vec![false; states.len()];
            for (i, token) in self.tokens.iter().enumerate() {
                if !states.get(i).copied().unwrap_or(false) {
                    continue;
                }
                let (stays, goes) = match token {
                    Token::Char(t) => (false, *t == c),
                    Token::Any => (false, c != '/'),
                    Token::Sequence => (c != '/', false),
                    Token::Recursive => (true, false),
                    Token::Within(ranges, negated) => {
                        let inside = ranges.iter().any(|(a, b)| *a <= c && c <= *b);
                        (false, c != '/' && inside != *negated)
                    }
                };
                if stays && let Some(s) = next.get_mut(i) {
                    *s = true;
                }
                if goes && let Some(s) = next.get_mut(i + 1) {
                    *s = true;
                }
            }
            states = next;
            self.skip(&mut states, c == '/');
        }
        states.last().copied().unwrap_or(false)
    }

    /// Sequences may be empty; whole components end after a slash.
    fn skip(&self, states: &mut [bool], after_slash: bool) {
        for (i, token) in self.tokens.iter().enumerate() {
            let last = i + 1 == self.tokens.len();
            let empty = match token {
                Token::Sequence => true,
                Token::Recursive => after_slash || last,
                _ => false,
            };
            if empty
                && states.get(i).copied().unwrap_or(false)
                && let Some(s) = states.get_mut(i + 1)
            {
                *s = true;
            }
        }
    }
}

fn ranges(inner: &[char]) -> Vec<(char, char)> {
    let mut out = Vec::new();
    let mut rest = inner;
    loop {
        rest = match rest {
            [a, '-', b, after @ ..] => {
                out.push((*a, *b));
                after
            }
            [a, after @ ..] => {
                out.push((*a, *a));
                after
            }
            [] => return out,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn patterns_stay_within_a_component() {
        for (pattern, path, fits) in [
            ("/usr/bin/*", "/usr/bin/ls", true),
            ("/usr/bin/*", "/usr/bin/a/b", false),
            ("/usr/bin/l?", "/usr/bin/ls", true),
            ("/usr/bin/[a-l]s", "/usr/bin/ls", true),
            ("/usr/bin/[!a-l]s", "/usr/bin/ls", false),
            ("/usr/**/ls", "/usr/bin/ls", true),
            ("/usr/**/ls", "/usr/ls", true),
            ("/usr/**/ls", "/usr/bin/als", false),
            ("/usr/**", "/usr/bin/ls", true),
            ("/a/[]]", "/a/]", true),
            ("/a/\\*", "/a/\\x", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().fits(path), fits, "{pattern} {path}");
        }
        for bad in ["/a/***", "/a/b**", "/a/**b", "/a/[b", "/a/[]"] {
            assert!(Glob::new(bad).is_none(), "{bad}");
        }
    }
}
