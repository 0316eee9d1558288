//! The scanner: bytes to tokens, in the states that sudo's own scanner has, since what a byte means depends on them.
//!
//! The states and the order of the rules follow the scanner of sudo 1.9.13 (plugins/sudoers/toke.l) and the sudoers
//! manual. The scanner runs across files: an entry whose file ends in a backslash goes on in the next one.

use std::sync::Arc;

use super::ast::{AliasKind, Bytes, DigestKind, Span};
use super::scan::{Rule, Scan, State};
use super::token::{
    self, DefaultsKind, OptionWord, Slip, Token, at, blank, from, run, unescape, unescape_path, upto,
};

/// A text as sudo's scanner is given it: lines cut at a NUL byte, the last one ended by a newline.
#[derive(Debug)]
pub(super) struct Cooked {
    pub(super) bytes: Arc<Vec<u8>>,
    /// For each line that was cut: where the next one begins here, and there.
    jumps: Vec<(usize, usize)>,
    raw_len: usize,
}

impl Cooked {
    pub(super) fn new(raw: Arc<Vec<u8>>) -> Self {
        let raw_len = raw.len();
        let mut jumps = Vec::new();
        if raw.last().is_none_or(|&c| c == b'\n') && memchr::memchr(0, &raw).is_none() {
            return Cooked { bytes: raw, jumps, raw_len };
        }
        let mut bytes = Vec::with_capacity(raw.len() + 1);
        let mut read = 0;
        for line in raw.split_inclusive(|&c| c == b'\n') {
            read += line.len();
            match line.iter().position(|&c| c == 0) {
                Some(n) => {
                    bytes.extend_from_slice(upto(line, n));
                    bytes.push(b'\n');
                    jumps.push((bytes.len(), read));
                }
                None => {
                    bytes.extend_from_slice(line);
                    if line.last() != Some(&b'\n') {
                        bytes.push(b'\n');
                    }
                }
            }
        }
        Cooked { bytes: Arc::new(bytes), jumps, raw_len }
    }

    /// The place in the file of a place here.
    pub(super) fn raw(&self, cooked: usize) -> usize {
        if self.jumps.is_empty() {
            return cooked.min(self.raw_len);
        }
        let before = self.jumps.partition_point(|&(c, _)| c <= cooked);
        let (c, r) = before.checked_sub(1).and_then(|i| self.jumps.get(i)).copied().unwrap_or((0, 0));
        (r + (cooked - c)).min(self.raw_len)
    }
}

/// One file being scanned.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its number in the tree.
    pub(super) file: usize,
    pub(super) text: Cooked,
    pub(super) pos: usize,
    pub(super) line_start: bool,
}

impl Frame {
    pub(super) fn new(file: usize, text: Cooked) -> Self {
        Frame { file, text, pos: 0, line_start: true }
    }
}

/// The scanner's state, shared by all files of a tree.
#[derive(Debug)]
pub(super) struct Lexer {
    pub(super) state: State,
    before_string: State,
    before_path: State,
    pub(super) continued: bool,
    pub(super) saw_space: bool,
    digest: DigestKind,
    string: Option<Vec<u8>>,
    /// Whether a command is being put together, its path in `value`.
    pub(super) in_command: bool,
    /// Its arguments so far, if there are any; the memory is used again for the next command.
    pub(super) joined: Vec<u8>,
    pub(super) has_args: bool,
    /// What the last token says, if it is a word or a command: for whoever takes it before the next one.
    pub(super) value: Bytes,
    /// The arguments of the command that it is.
    pub(super) args: Option<Bytes>,
    /// Where the token that is being put together began.
    pub(super) began: Option<usize>,
    /// Where the command that is being put together ended so far: blanks after it are not part of it.
    pub(super) ended: usize,
    apparmor: bool,
    /// A `sudoedit` with a path before it was met (its place): visudo refuses it, sudo reads `sudoedit`.
    pub(super) sudoedit_with_path: Option<usize>,
}

impl Lexer {
    /// `apparmor`: sudo was built with AppArmor, so `APPARMOR_PROFILE` is a word of its own.
    pub(super) fn new(apparmor: bool) -> Self {
        Lexer {
            state: State::Initial,
            before_string: State::Initial,
            before_path: State::Initial,
            continued: false,
            saw_space: false,
            digest: DigestKind::Sha256,
            string: None,
            in_command: false,
            joined: Vec::new(),
            has_args: false,
            value: Bytes::EMPTY,
            args: None,
            began: None,
            ended: 0,
            apparmor,
            sudoedit_with_path: None,
        }
    }

    /// The next token of `frame` and where it is; `None` at the end of the file.
    #[inline]
    pub(super) fn next(&mut self, frame: &mut Frame) -> Option<(Token, Span)> {
        if let Some(found) = self.short(frame) {
            return Some(found);
        }
        self.by_rules(frame)
    }

    /// The next token by all the rules that apply. (By itself, so that what needs no rules is not slowed by the room that these take.)
    #[inline(never)]
    pub(super) fn by_rules(&mut self, frame: &mut Frame) -> Option<(Token, Span)> {
        let text = &frame.text;
        loop {
            // As the rule for blanks has it, which is plain where words and commands are read.
            if !frame.line_start && matches!(self.state, State::Initial | State::GotCommand) {
                let blanks = run(from(&text.bytes, frame.pos), blank);
                frame.pos += blanks;
                self.saw_space |= blanks > 0;
            }
            let rest = from(&text.bytes, frame.pos);
            if rest.is_empty() {
                return None;
            }
            let best = Scan { state: self.state, apparmor: self.apparmor }.find(rest, frame.line_start);
            let matched = upto(rest, best.len);
            let start = frame.pos;
            frame.line_start = matched.last() == Some(&b'\n');
            let mut used = best.len;
            let token = self.act(best.rule, matched, start, &mut used, &mut frame.line_start);
            frame.pos += used;
            if let Some(token) = token {
                // A command or a string began before its last piece; if that was in another file, it begins here.
                let began = self.began.take().filter(|&b| b <= start).unwrap_or(start);
                let end = match token {
                    Token::Command if used == 0 && self.ended > began => self.ended,
                    _ => frame.pos,
                };
                return Some((token, Span::new(text.raw(began), text.raw(end))));
            }
            if matches!(
                best.rule,
                Rule::Sudoedit
                    | Rule::Path
                    | Rule::Regex
                    | Rule::Arg
                    | Rule::GlobEscape
                    | Rule::SpecialEscape
            ) && used > 0
            {
                self.ended = frame.pos;
            }
        }
    }

    /// Carries a rule out: changes state, and gives a token or none. `used` is how much of the match is consumed.
    fn act(
        &mut self,
        rule: Rule,
        m: &[u8],
        start: usize,
        used: &mut usize,
        line_start: &mut bool,
    ) -> Option<Token> {
        match rule {
            Rule::Comma => Some(Token::Comma),
            Rule::DefsBlank => {
                self.state = State::StartDefs;
                None
            }
            Rule::Digest { hexadecimal } => self.digest(m, hexadecimal),
            Rule::Include { dir, keep } => {
                if self.continued {
                    return Some(Token::Error(Slip::Continuation));
                }
                *used = keep;
                *line_start = false;
                self.state = State::GotInclude;
                Some(if dir { Token::IncludeDir } else { Token::Include })
            }
            Rule::Defaults => self.defaults(m, used),
            Rule::AliasWord => {
                if self.continued {
                    return Some(Token::Error(Slip::Continuation));
                }
                Some(Token::AliasWord(match from(m, run(m, blank)).first() {
                    Some(b'H') => AliasKind::Host,
                    Some(b'C') => AliasKind::Command,
                    Some(b'U') => AliasKind::User,
                    _ => AliasKind::Runas,
                }))
            }
            Rule::Tag(tag) => Some(Token::Tag(tag)),
            Rule::EmptyGroup => Some(Token::Error(if m.first() == Some(&b'+') {
                Slip::EmptyNetgroup
            } else {
                Slip::EmptyGroup
            })),
            Rule::Netgroup => self.says(Token::Netgroup, unescape(m)),
            Rule::Group => self.says(Token::Group, unescape(m)),
            Rule::Address { six } => {
                if six && !token::ipv6_valid(m) {
                    return Some(Token::Error(Slip::Address));
                }
                self.says(Token::Address, m.into())
            }
            Rule::All => Some(Token::All),
            Rule::Option(option) => {
                if matches!(option, OptionWord::Cwd | OptionWord::Chroot) {
                    self.before_path = self.state;
                    self.state = State::ExpectPath;
                }
                Some(Token::Option(option))
            }
            Rule::Alias => self.says(Token::Alias, m.into()),
            Rule::DefsCommand => self.whole_command(m, start),
            Rule::Sha(kind) => {
                self.digest = kind;
                self.state = State::WantDigest;
                Some(Token::Sha(kind))
            }
            Rule::Path if m.last() == Some(&b'/') => self.whole_command(m, start),
            Rule::Sudoedit | Rule::Path | Rule::Regex => {
                self.began = Some(start);
                self.value = self.path(m, start);
                self.in_command = true;
                self.joined.clear();
                self.has_args = false;
                self.state = State::GotCommand;
                None
            }
            Rule::ExpectedPath => {
                self.state = self.before_path;
                self.says(Token::Word, unescape(m))
            }
            Rule::Quote => self.quote(start),
            Rule::Word => self.says(Token::Word, unescape(m)),
            Rule::Char(c) => {
                if self.state == State::InDefs && c == b',' {
                    self.state = State::StartDefs;
                }
                Some(match c {
                    b'(' => Token::Open,
                    b')' => Token::Close,
                    b',' => Token::Comma,
                    b'=' => Token::Equals,
                    _ => Token::Colon,
                })
            }
            Rule::Bang => (m.len() % 2 == 1).then_some(Token::Bang),
            Rule::Newline => {
                self.began = None;
                if self.state == State::InString {
                    *used = 0;
                    self.string = None;
                    self.state = State::Initial;
                    return Some(Token::Error(Slip::OpenString));
                }
                self.in_command = false;
                self.state = State::Initial;
                self.continued = false;
                Some(Token::Newline)
            }
            Rule::Blank => {
                self.saw_space = true;
                None
            }
            Rule::Continuation => {
                self.saw_space = true;
                self.continued = true;
                None
            }
            Rule::Comment => {
                if m.last() != Some(&b'\n') {
                    return Some(Token::Error(Slip::Comment));
                }
                self.state = State::Initial;
                self.continued = false;
                Some(Token::Newline)
            }
            Rule::Any => Some(Token::NoMatch),
            Rule::Variable => {
                self.state = State::InDefs;
                self.says(Token::Variable, m.into())
            }
            Rule::Value => self.says(Token::Word, unescape(m)),
            Rule::PlusEquals => Some(Token::Plus),
            Rule::MinusEquals => Some(Token::Minus),
            Rule::StringBody => {
                self.string.get_or_insert_default().extend_from_slice(&unescape(m));
                None
            }
            Rule::StringBackslash => {
                self.string.get_or_insert_default().push(b'\\');
                None
            }
            Rule::StringContinuation => {
                self.continued = true;
                None
            }
            Rule::GlobEscape => self.arg(m, true),
            Rule::SpecialEscape => self.arg(from(m, 1), true),
            Rule::CommandEnd => {
                *used = 0;
                *line_start = false;
                self.finish_command()
            }
            Rule::Arg => {
                let first = self.in_command && !self.has_args;
                if first && m.first() == Some(&b'^') {
                    *used = 0;
                    *line_start = false;
                    self.state = State::GotRegex;
                    return None;
                }
                self.arg(m, true)
            }
            Rule::RegexEscape => self.arg(m, false),
            Rule::RegexStop => {
                *used = 0;
                *line_start = false;
                self.state = State::Initial;
                self.began = None;
                Some(Token::Error(Slip::OpenRegex))
            }
            Rule::RegexEnd => {
                self.arg(b"$", false);
                self.continued = false;
                self.finish_command()
            }
            Rule::RegexBody => {
                let skip = if std::mem::take(&mut self.continued) { run(m, blank) } else { 0 };
                self.arg(from(m, skip), false)
            }
            Rule::IncludePath => {
                self.state = State::Initial;
                self.says(Token::Word, unescape(m))
            }
        }
    }

    /// A token that says something.
    fn says(&mut self, token: Token, value: Bytes) -> Option<Token> {
        self.value = value;
        Some(token)
    }

    /// A command that takes no arguments.
    fn whole_command(&mut self, m: &[u8], start: usize) -> Option<Token> {
        self.args = None;
        let path = self.path(m, start);
        self.says(Token::Command, path)
    }

    fn finish_command(&mut self) -> Option<Token> {
        self.state = State::Initial;
        if !std::mem::take(&mut self.in_command) {
            self.value = Bytes::EMPTY;
            self.has_args = false;
        }
        self.args = std::mem::take(&mut self.has_args).then(|| Bytes::from(self.joined.as_slice()));
        Some(Token::Command)
    }

    /// Adds to the arguments, after a space if blanks were seen since the last addition.
    fn arg(&mut self, more: &[u8], spaced: bool) -> Option<Token> {
        if more.is_empty() {
            return None;
        }
        let space = spaced && self.saw_space;
        if self.in_command {
            if self.has_args && space {
                self.joined.push(b' ');
            }
            self.joined.extend_from_slice(more);
            self.has_args = true;
        }
        if spaced {
            self.saw_space = false;
        }
        None
    }

    /// A command's path; a path to `sudoedit` means the built-in.
    fn path(&mut self, m: &[u8], start: usize) -> Bytes {
        let path = unescape_path(m);
        if path.first() == Some(&b'/') && path.ends_with(b"/sudoedit") {
            self.sudoedit_with_path = Some(start);
            return b"sudoedit".into();
        }
        path
    }

    fn digest(&mut self, m: &[u8], hexadecimal: bool) -> Option<Token> {
        let n = self.digest.bytes();
        let wanted = if hexadecimal {
            2 * n
        } else if m.last() == Some(&b'=') {
            4 * n.div_ceil(3)
        } else {
            (4 * n).div_ceil(3)
        };
        self.state = State::Initial;
        if m.len() == wanted { self.says(Token::Digest, m.into()) } else { None }
    }

    fn defaults(&mut self, m: &[u8], used: &mut usize) -> Option<Token> {
        if self.continued {
            return Some(Token::Error(Slip::Continuation));
        }
        self.state = State::GotDefs;
        let n = run(m, blank) + b"Defaults".len();
        let kind = match at(m, n) {
            Some(b':') => DefaultsKind::User,
            Some(b'>') => DefaultsKind::Runas,
            Some(b'@') => DefaultsKind::Host,
            Some(b'!') => DefaultsKind::Command,
            _ => return Some(Token::Defaults(DefaultsKind::All)),
        };
        *used = n + 1 + run(from(m, n + 1), blank);
        Some(Token::Defaults(kind))
    }

    /// A quotation mark: begins a string, or ends it.
    fn quote(&mut self, start: usize) -> Option<Token> {
        if self.state != State::InString {
            self.began = Some(start);
            self.string = None;
            self.before_string = if self.state == State::GotInclude { State::Initial } else { self.state };
            self.state = State::InString;
            return None;
        }
        self.state = self.before_string;
        let Some(s) = self.string.take() else {
            return Some(Token::Error(Slip::EmptyString));
        };
        if matches!(self.state, State::Initial | State::GotDefs) {
            match (s.first(), s.len()) {
                (Some(b'%'), n) if n == 1 || s == b"%:" => return Some(Token::Error(Slip::EmptyGroup)),
                (Some(b'%'), _) => return self.says(Token::Group, s.into()),
                (Some(b'+'), 1) => return Some(Token::Error(Slip::EmptyNetgroup)),
                (Some(b'+'), _) => return self.says(Token::Netgroup, s.into()),
                _ => {}
            }
        }
        self.says(Token::Word, s.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token, with what it says if it is a word or a command.
    fn tokens(text: &[u8]) -> Vec<(Token, Vec<u8>, Option<Vec<u8>>)> {
        let mut lexer = Lexer::new(true);
        let mut frame = Frame::new(0, Cooked::new(Arc::new(text.to_vec())));
        let mut all = Vec::new();
        while let Some((token, _)) = lexer.next(&mut frame) {
            all.push((token, lexer.value.to_vec(), lexer.args.as_ref().map(|a| a.to_vec())));
        }
        all
    }

    #[test]
    fn arguments_end_where_sudo_ends_them() {
        let command = |args: &[u8]| (Token::Command, b"/bin/a".to_vec(), Some(args.to_vec()));
        let t = tokens(b"u ALL=/bin/a b\\,c  d=e#f\n");
        assert!(t.contains(&command(b"b,c d=e")), "{t:?}");
        let t = tokens(b"u ALL=/bin/a ^b, c$, /bin/d\n");
        assert!(t.contains(&command(b"^b, c$")), "{t:?}");
    }

    #[test]
    fn a_nul_ends_the_line_and_places_stay_right() {
        let text = b"a ALL=ALL\0 junk\nb ALL=ALL";
        let mut lexer = Lexer::new(true);
        let mut frame = Frame::new(0, Cooked::new(Arc::new(text.to_vec())));
        let mut words = Vec::new();
        let mut last = Span::default();
        while let Some((token, span)) = lexer.next(&mut frame) {
            words.extend((token == Token::Word).then(|| (lexer.value.to_vec(), span)));
            last = span;
        }
        let (_, b) = words.iter().find(|(w, _)| w == b"b").unwrap();
        assert_eq!(&text[b.range()], b"b");
        assert_eq!(last.end, text.len());
    }
}
