//! The scanner's short way: what most of a policy is (words, commands and what stands between them, without escapes) is read
//! without weighing all rules. What it finds, and the state that it leaves, are what the rules would come to; the test below
//! holds the two together.

use super::ast::{Bytes, Span};
use super::lexer::{Frame, Lexer};
use super::scan::State;
use super::token::{self, OPTIONS, Token, at, blank, from, run, upto};

impl Lexer {
    /// What most of a policy is: words, commands and what stands between them, without escapes. What it finds, and what state
    /// it leaves, is what [`by_rules`](Self::by_rules) would; `None`: that goes on from where this stopped.
    #[inline]
    pub(super) fn short(&mut self, frame: &mut Frame) -> Option<(Token, Span)> {
        if self.state != State::Initial || self.began.is_some() {
            return None;
        }
        let text = &frame.text;
        // At the start of a line blanks may belong to a word that is only one there.
        if !frame.line_start {
            let blanks = run(from(&text.bytes, frame.pos), blank);
            frame.pos += blanks;
            self.saw_space |= blanks > 0;
        }
        let start = frame.pos;
        let rest = from(&text.bytes, start);
        let (token, len) = match *rest.first()? {
            b'\n' => {
                self.in_command = false;
                self.continued = false;
                (Token::Newline, 1)
            }
            b'(' => (Token::Open, 1),
            b')' => (Token::Close, 1),
            b',' => (Token::Comma, 1),
            b'=' => (Token::Equals, 1),
            b'/' => return self.short_command(frame),
            b'A'..=b'Z' => self.capitals(rest)?,
            b'%' => {
                let len = 1 + token::plain_word(from(rest, 1)).filter(|n| *n > 0)?;
                self.value = upto(rest, len).into();
                (Token::Group, len)
            }
            // The beginning of a digest, perhaps, or of `sudoedit`.
            b's' if matches!(at(rest, 1), Some(b'h' | b'u')) => return None,
            b'a'..=b'z' => {
                let len = token::plain_word(rest)?;
                let word = upto(rest, len);
                // The beginning of an address, perhaps.
                if at(rest, len) == Some(b':') && word.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.value = word.into();
                (Token::Word, len)
            }
            _ => return None,
        };
        frame.pos += len;
        frame.line_start = token == Token::Newline;
        Some((token, Span::new(text.raw(start), text.raw(frame.pos))))
    }

    /// A word in capitals that goes on in nothing else, and how long it is.
    #[inline(never)]
    fn capitals(&mut self, rest: &[u8]) -> Option<(Token, usize)> {
        let len = token::alias(rest);
        if token::plain_word(rest) != Some(len) {
            return None;
        }
        let word = upto(rest, len);
        if word == b"ALL" {
            return Some((Token::All, len));
        }
        let colon = len + run(from(rest, len), blank);
        if at(rest, colon) == Some(b':') {
            if let Some(tag) = token::tag(word) {
                return Some((Token::Tag(tag), colon + 1));
            }
            // The beginning of an address, perhaps.
            if colon == len && word.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
        }
        if OPTIONS.iter().any(|(name, _)| *name == word) {
            return None;
        }
        self.value = word.into();
        Some((Token::Alias, len))
    }

    /// A command from its path on.
    #[inline(never)]
    fn short_command(&mut self, frame: &mut Frame) -> Option<(Token, Span)> {
        let text = &frame.text;
        let start = frame.pos;
        let rest = from(&text.bytes, start);
        let len = token::plain_path(rest)?;
        let path = upto(rest, len);
        if path.ends_with(b"/") || path.ends_with(b"/sudoedit") {
            return None;
        }
        self.value = path.into();
        // Arguments with one space between them are taken as they stand; those with more are for the rules to join.
        let (mut first, mut pos) = (None, start + len);
        let end = loop {
            let blanks = run(from(&text.bytes, pos), blank);
            let next = from(&text.bytes, pos + blanks);
            match next.first() {
                Some(b'\n' | b',' | b':') => {
                    self.saw_space |= blanks > 0;
                    break Some(pos + blanks);
                }
                None | Some(b'=' | b'#' | b'\\' | b'\r') => break None,
                Some(b'^') if first.is_none() => break None,
                Some(_) if first.is_some() && (blanks != 1 || at(&text.bytes, pos) != Some(b' ')) => {
                    break None;
                }
                Some(_) => {
                    first = first.or(Some(pos + blanks));
                    pos += blanks + token::args(next);
                    self.saw_space = false;
                }
            }
        };
        let args = first.map(|first| upto(from(&text.bytes, first), pos - first));
        frame.line_start = false;
        self.ended = pos;
        if let Some(end) = end {
            frame.pos = end;
            (self.in_command, self.has_args) = (false, false);
            self.args = args.map(Bytes::from);
            return Some((Token::Command, Span::new(text.raw(start), text.raw(pos))));
        }
        frame.pos = pos;
        self.began = Some(start);
        self.in_command = true;
        self.has_args = args.is_some();
        self.joined.clear();
        self.joined.extend_from_slice(args.unwrap_or_default());
        self.state = State::GotCommand;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::lexer::Cooked;
    use super::*;

    /// The short way finds what the rules find, and leaves the scanner as they leave it.
    #[test]
    fn what_is_found_shortly_is_what_the_rules_find() {
        let pieces: [&[u8]; 64] = [
            b"ALL",
            b"A",
            b"ABC",
            b"APP1",
            b"a",
            b"f0",
            b"be",
            b"s",
            b"sudoedit",
            b"sha256",
            b"user1",
            b"%",
            b"%g",
            b"%:",
            b"#",
            b"-1",
            b"1",
            b"10.0.0.1",
            b":",
            b"::1",
            b"/",
            b"/usr/bin/id",
            b"/usr/bin/",
            b"/bin/sudoedit",
            b"\\",
            b",",
            b"=",
            b"!",
            b"(",
            b")",
            b"\"",
            b" ",
            b" ",
            b" ",
            b"  ",
            b"\t",
            b"\n",
            b"\n",
            b"\r\n",
            b"\r",
            b">",
            b"NOPASSWD:",
            b"NOPASSWD",
            b"EXEC :",
            b"CWD=",
            b"TYPE",
            b"TIMEOUT",
            b"_",
            b".",
            b"*",
            b"^a$",
            b"$",
            b"+",
            b"@include",
            b"Defaults",
            b"Cmnd_Alias",
            b"\xff",
            b"\0",
            b"\"\"",
            b"-u",
            b"x=1",
            b" /bin/a b c",
            b"=/bin/a b",
            b"\\\n",
        ];
        // Numbers in no order, the same each time.
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut shortly = 0;
        for _ in 0..40_000 {
            let text: Vec<u8> = (0..2 + next(9)).flat_map(|_| pieces[next(pieces.len())]).copied().collect();
            let new = || (Lexer::new(true), Frame::new(0, Cooked::new(Arc::new(text.to_vec()))));
            let ((mut one, mut here), (mut other, mut there)) = (new(), new());
            loop {
                let found = one.short(&mut here);
                shortly += usize::from(found.is_some());
                let found = found.or_else(|| one.by_rules(&mut here));
                let by_rules = other.by_rules(&mut there);
                let left = |l: &Lexer, f: &Frame| {
                    let text = (l.value.clone(), l.args.clone(), l.sudoedit_with_path);
                    (
                        text,
                        l.state,
                        l.saw_space,
                        l.continued,
                        l.in_command,
                        l.has_args,
                        l.began,
                        f.pos,
                        f.line_start,
                    )
                };
                let seen = String::from_utf8_lossy(&text);
                assert_eq!(found, by_rules, "{seen:?}");
                assert_eq!(left(&one, &here), left(&other, &there), "{seen:?} {found:?}");
                if found.is_none() {
                    break;
                }
            }
        }
        assert!(shortly > 40_000, "{shortly}");
    }
}
