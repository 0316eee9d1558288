//! Which of the scanner's rules matches the bytes ahead, and how far: the longest, of equally long ones the one named first.
//!
//! The states and the order of the rules follow the scanner of sudo 1.9.13 (plugins/sudoers/toke.l). Nothing is changed here:
//! the lexer carries out what is found.

use super::ast::DigestKind;
use super::token::{self, OPTIONS, OptionWord, at, blank, from, run, upto};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Initial,
    GotDefs,
    GotCommand,
    GotRegex,
    StartDefs,
    InDefs,
    InString,
    WantDigest,
    GotInclude,
    ExpectPath,
}

/// What a rule says to do with what it matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Comma,
    DefsBlank,
    Digest { hexadecimal: bool },
    Include { dir: bool, keep: usize },
    Defaults,
    AliasWord,
    Tag(token::Tag),
    EmptyGroup,
    Netgroup,
    Group,
    Address { six: bool },
    All,
    Option(OptionWord),
    Alias,
    DefsCommand,
    Sha(DigestKind),
    Sudoedit,
    ExpectedPath,
    Path,
    Regex,
    Quote,
    Word,
    Char(u8),
    Bang,
    Newline,
    Blank,
    Continuation,
    Comment,
    Any,
    Variable,
    Value,
    PlusEquals,
    MinusEquals,
    StringBody,
    StringContinuation,
    StringBackslash,
    GlobEscape,
    SpecialEscape,
    CommandEnd,
    Arg,
    RegexEscape,
    RegexStop,
    RegexEnd,
    RegexBody,
    IncludePath,
}

/// The longest match so far.
pub(super) struct Best {
    pub(super) len: usize,
    pub(super) rule: Rule,
}

impl Best {
    fn offer(&mut self, len: usize, rule: Rule) {
        if len > self.len {
            self.len = len;
            self.rule = rule;
        }
    }
}

/// What the rules that apply depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    pub(super) state: State,
    /// Whether `APPARMOR_PROFILE` is a word of its own.
    pub(super) apparmor: bool,
}

impl Scan {
    /// The rule that wins.
    pub(super) fn find(self, b: &[u8], line_start: bool) -> Best {
        let mut best = Best { len: 0, rule: Rule::Any };
        match self.state {
            State::Initial | State::GotDefs | State::WantDigest | State::ExpectPath => {
                self.weigh_inclusive(b, line_start, &mut best);
            }
            State::StartDefs => {
                best.offer(run(b, |c| c.is_ascii_lowercase() || c == b'_'), Rule::Variable);
            }
            State::InDefs => {
                match at(b, 0) {
                    Some(c @ (b',' | b'=')) => best.offer(1, Rule::Char(c)),
                    Some(b'"') => best.offer(1, Rule::Quote),
                    Some(b'+') if at(b, 1) == Some(b'=') => best.offer(2, Rule::PlusEquals),
                    Some(b'-') if at(b, 1) == Some(b'=') => best.offer(2, Rule::MinusEquals),
                    _ => {}
                }
                best.offer(token::value(b), Rule::Value);
            }
            State::InString => {
                let n = token::continuation(b);
                if n > 0 {
                    best.offer(n + run(from(b, n), blank), Rule::StringContinuation);
                }
                match at(b, 0) {
                    Some(b'"') => best.offer(1, Rule::Quote),
                    Some(b'\\') => best.offer(1, Rule::StringBackslash),
                    _ => {}
                }
                best.offer(string_body(b), Rule::StringBody);
            }
            State::GotCommand => {
                match (at(b, 0), at(b, 1)) {
                    (Some(b'\\'), Some(b'*' | b'?' | b'[' | b']' | b'!' | b'^')) => {
                        best.offer(2, Rule::GlobEscape)
                    }
                    (Some(b'\\'), Some(b':' | b'\\' | b',' | b'=' | b' ' | b'\t' | b'#')) => {
                        best.offer(2, Rule::SpecialEscape);
                    }
                    (Some(b'#' | b':' | b',' | b'=' | b'\r' | b'\n'), _) => best.offer(1, Rule::CommandEnd),
                    _ => {}
                }
                best.offer(token::args(b), Rule::Arg);
            }
            State::GotRegex => {
                match (at(b, 0), at(b, 1)) {
                    (Some(b'\\'), Some(c)) if c != b'\r' && c != b'\n' => best.offer(2, Rule::RegexEscape),
                    (Some(b'#' | b'\r' | b'\n'), _) => best.offer(1, Rule::RegexStop),
                    (Some(b'$'), _) => best.offer(1, Rule::RegexEnd),
                    _ => {}
                }
                let body = |c: u8| !matches!(c, b'#' | b'\\' | b'\r' | b'\n' | b'$');
                best.offer(run(b, body), Rule::RegexBody);
            }
            State::GotInclude => {
                best.offer(token::include_path(b), Rule::IncludePath);
                if at(b, 0) == Some(b'"') {
                    best.offer(1, Rule::Quote);
                }
            }
        }
        best.offer(run(b, |c| c == b'!'), Rule::Bang);
        best.offer(token::newline(b), Rule::Newline);
        best.offer(run(b, blank), Rule::Blank);
        best.offer(token::continuation(b), Rule::Continuation);
        if matches!(self.state, State::Initial | State::StartDefs | State::InDefs) {
            best.offer(token::comment(b), Rule::Comment);
        }
        best.offer(1, Rule::Any);
        best
    }

    /// The rules of the states in which entries are read.
    fn weigh_inclusive(self, b: &[u8], line_start: bool, best: &mut Best) {
        let initial = self.state == State::Initial;
        let defs = self.state == State::GotDefs;
        if defs {
            let n = run(b, blank);
            if at(b, n) == Some(b',') {
                best.offer(n + 1 + run(from(b, n + 1), blank), Rule::Comma);
            }
            best.offer(n, Rule::DefsBlank);
        }
        if self.state == State::WantDigest {
            best.offer(run(b, |c| c.is_ascii_hexdigit()), Rule::Digest { hexadecimal: true });
            let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
            best.offer(run(b, base64), Rule::Digest { hexadecimal: false });
        }
        let first = at(b, 0).unwrap_or_default();
        if initial {
            if first == b'@' {
                for (word, dir) in [(&b"@include"[..], false), (b"@includedir", true)] {
                    if b.starts_with(word) {
                        best.offer(word.len(), Rule::Include { dir, keep: word.len() });
                    }
                }
            }
            if line_start {
                if first == b'#' {
                    for (word, dir) in [(&b"#include"[..], false), (b"#includedir", true)] {
                        if b.starts_with(word) && at(b, word.len()).is_some_and(blank) {
                            let n = run(b, |c| c != b'\n');
                            let n = n + usize::from(at(b, n) == Some(b'\n'));
                            best.offer(n, Rule::Include { dir, keep: word.len() });
                        }
                    }
                }
                if matches!(at(b, run(b, blank)), Some(b'D' | b'H' | b'C' | b'U' | b'R')) {
                    best.offer(defaults_word(b), Rule::Defaults);
                    best.offer(alias_word(b), Rule::AliasWord);
                }
            }
        }
        // Words in capitals: what begins otherwise is spared the comparison with each.
        if first.is_ascii_uppercase() {
            let word = run(b, |c| c.is_ascii_uppercase() || c == b'_');
            if let Some(tag) = token::tag(upto(b, word)) {
                let n = word + run(from(b, word), blank);
                if at(b, n) == Some(b':') {
                    best.offer(n + 1, Rule::Tag(tag));
                }
            }
        }
        match at(b, 0) {
            Some(b'+') => {
                if initial || defs {
                    best.offer(1, Rule::EmptyGroup);
                }
                match token::word(from(b, 1)) {
                    0 => {}
                    n => best.offer(1 + n, Rule::Netgroup),
                }
            }
            Some(b'%') => {
                let colon = usize::from(at(b, 1) == Some(b':'));
                if initial || defs {
                    best.offer(1 + colon, Rule::EmptyGroup);
                }
                let rest = from(b, 1 + colon);
                match token::word(rest).max(token::id(rest)) {
                    0 => {}
                    n => best.offer(1 + colon + n, Rule::Group),
                }
            }
            _ => {}
        }
        if first.is_ascii_hexdigit() || first == b':' {
            let (n, six) = token::address(b);
            best.offer(n, Rule::Address { six });
        }
        if first.is_ascii_uppercase() {
            if b.starts_with(b"ALL") {
                best.offer(3, Rule::All);
            }
            if initial {
                for &(word, option) in OPTIONS {
                    if b.starts_with(word) && (option != OptionWord::Apparmor || self.apparmor) {
                        best.offer(word.len(), Rule::Option(option));
                    }
                }
            }
            best.offer(token::alias(b), Rule::Alias);
        }
        let sudoedit = if b.starts_with(b"sudoedit") { 8 } else { 0 };
        if defs {
            best.offer(token::path(b).max(token::regex(b)).max(sudoedit), Rule::DefsCommand);
        }
        if first == b's' {
            for kind in [DigestKind::Sha224, DigestKind::Sha256, DigestKind::Sha384, DigestKind::Sha512] {
                if b.starts_with(kind.word().as_bytes()) {
                    best.offer(kind.word().len(), Rule::Sha(kind));
                }
            }
        }
        best.offer(sudoedit, Rule::Sudoedit);
        if self.state == State::ExpectPath {
            best.offer(token::path(b).max(token::word(b)), Rule::ExpectedPath);
        }
        best.offer(token::path(b), Rule::Path);
        best.offer(token::regex(b), Rule::Regex);
        if initial || defs {
            if at(b, 0) == Some(b'"') {
                best.offer(1, Rule::Quote);
            }
            best.offer(token::id(b).max(token::word(b)), Rule::Word);
        }
        if let Some(c @ (b'(' | b')' | b',' | b'=' | b':')) = at(b, 0) {
            best.offer(1, Rule::Char(c));
        }
    }
}

/// The inside of a string: anything but a quote, a backslash or the end of the line; `\"` is a quote.
fn string_body(b: &[u8]) -> usize {
    let mut i = 0;
    while let Some(c) = at(b, i) {
        match c {
            b'\\' if at(b, i + 1) == Some(b'"') => i += 2,
            b'"' | b'\r' | b'\n' | b'\\' => break,
            _ => i += 1,
        }
    }
    i
}

/// `Defaults`, and if it is bound, up to the end of the first word that it is bound to.
fn defaults_word(b: &[u8]) -> usize {
    let n = run(b, blank);
    if !from(b, n).starts_with(b"Defaults") {
        return 0;
    }
    let n = n + b"Defaults".len();
    if !matches!(at(b, n), Some(b':' | b'@' | b'>' | b'!')) {
        return n;
    }
    let mut i = n + 1 + run(from(b, n + 1), blank);
    i += run(from(b, i), |c| c == b'!');
    i += usize::from(at(b, i) == Some(b'"'));
    match token::id(from(b, i)).max(token::word(from(b, i))) {
        0 => n,
        m => i + m,
    }
}

/// The word that begins alias definitions.
fn alias_word(b: &[u8]) -> usize {
    let n = run(b, blank);
    [&b"Host_Alias"[..], b"Cmnd_Alias", b"Cmd_Alias", b"User_Alias", b"Runas_Alias"]
        .iter()
        .find(|w| from(b, n).starts_with(w))
        .map_or(0, |w| n + w.len())
}
