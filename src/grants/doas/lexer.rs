//! The words of doas.conf, as OpenBSD's and OpenDoas's scanner splits them.

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word that is one of [`KEYWORDS`].
    Keyword(Keyword),
    /// Any other word, quotes and escapes resolved.
    Word(Vec<u8>),
    Open,
    Close,
    Newline,
    End,
}

/// The words with a meaning of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Permit,
    Deny,
    As,
    Cmd,
    Args,
    Nopass,
    Persist,
    Keepenv,
    Setenv,
    Nolog,
}

pub(super) const KEYWORDS: &[(&[u8], Keyword)] = &[
    (b"permit", Keyword::Permit),
    (b"deny", Keyword::Deny),
    (b"as", Keyword::As),
    (b"cmd", Keyword::Cmd),
    (b"args", Keyword::Args),
    (b"nopass", Keyword::Nopass),
    (b"persist", Keyword::Persist),
    (b"keepenv", Keyword::Keepenv),
    (b"setenv", Keyword::Setenv),
    (b"nolog", Keyword::Nolog),
];

/// The longest word is one byte shorter: doas has a buffer of this size.
pub(super) const WORD_MAX: usize = 1024;

/// The scanner.
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    pub(super) pos: usize,
    /// Mistakes that the scanner itself finds: where, and what.
    pub(super) mistakes: Vec<(usize, &'static str)>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Lexer { text, pos: 0, mistakes: Vec::new() }
    }

    fn at(&self, i: usize) -> Option<u8> {
        self.text.get(i).copied()
    }

    /// The next token, and where it begins.
    pub(super) fn next(&mut self) -> (Token, usize) {
        // A word after a line that was continued is never a keyword: doas forgets to forget the newline.
        let mut plain = true;
        loop {
            while matches!(self.at(self.pos), Some(b' ' | b'\t')) {
                self.pos += 1;
            }
            let start = self.pos;
            let single = match self.at(start) {
                None => return (Token::End, start),
                Some(b'\n') => Token::Newline,
                Some(b'{') => Token::Open,
                Some(b'}') => Token::Close,
                Some(b'#') => {
                    while !matches!(self.at(self.pos), None | Some(b'\n')) {
                        self.pos += 1;
                    }
                    if self.at(self.pos).is_none() {
                        return (Token::End, start);
                    }
                    Token::Newline
                }
                Some(_) => match self.word(plain) {
                    Some(token) => return (token, start),
                    None => {
                        plain = false;
                        continue;
                    }
                },
            };
            self.pos += 1;
            return (single, start);
        }
    }

    /// A word. `None` if nothing came of it but an escaped newline.
    fn word(&mut self, mut plain: bool) -> Option<Token> {
        let start = self.pos;
        let mut word = Vec::new();
        let (mut escape, mut quotes, mut quoted) = (false, false, false);
        let mut quote_at = start;
        loop {
            let Some(c) = self.at(self.pos) else {
                if escape {
                    self.mistakes.push((self.pos, "unterminated escape"));
                }
                if quotes {
                    self.mistakes.push((quote_at, "unterminated quotes"));
                }
                break;
            };
            match c {
                0 => {
                    self.mistakes.push((self.pos, "unallowed character NUL"));
                    escape = false;
                    self.pos += 1;
                    continue;
                }
                b'\\' => {
                    escape = !escape;
                    if escape {
                        self.pos += 1;
                        continue;
                    }
                }
                b'\n' => {
                    if quotes {
                        self.mistakes.push((quote_at, "unterminated quotes"));
                    }
                    if !escape {
                        break;
                    }
                    plain = false;
                    escape = false;
                    self.pos += 1;
                    continue;
                }
                b'{' | b'}' | b'#' | b' ' | b'\t' if !escape && !quotes => break,
                b'"' if !escape => {
                    quotes = !quotes;
                    if quotes {
                        plain = false;
                        quoted = true;
                        quote_at = self.pos;
                    }
                    self.pos += 1;
                    continue;
                }
                _ => {}
            }
            word.push(c);
            if word.len() == WORD_MAX {
                self.mistakes.push((start, "too long line"));
                word.clear();
            }
            escape = false;
            self.pos += 1;
        }
        if word.is_empty() {
            if self.at(self.pos).is_none() {
                // doas takes the end of the file for the end of the rule, even after an empty pair of quotes.
                return Some(Token::End);
            }
            if !quoted {
                return None;
            }
        }
        if plain && let Some((_, k)) = KEYWORDS.iter().find(|(w, _)| *w == word) {
            return Some(Token::Keyword(*k));
        }
        Some(Token::Word(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Token> {
        let mut l = Lexer::new(text.as_bytes());
        std::iter::from_fn(|| match l.next().0 {
            Token::End => None,
            t => Some(t),
        })
        .collect()
    }

    #[test]
    fn quoting() {
        let w = |s: &str| Token::Word(s.as_bytes().to_vec());
        assert_eq!(words("a\"b c\"\\\"d \\\n x\"\" \"\"\n"), [w("ab c\"d"), w("x"), w(""), Token::Newline]);
        assert_eq!(
            words("\"as\" as \\as\n"),
            [w("as"), Token::Keyword(Keyword::As), Token::Keyword(Keyword::As), Token::Newline]
        );
        assert_eq!(
            words("a#b\nc{d}\n"),
            [w("a"), Token::Newline, w("c"), Token::Open, w("d"), Token::Close, Token::Newline]
        );
        assert_eq!(words("\"a\\\\b\"\n"), [w("a\\b"), Token::Newline]);
    }
}
