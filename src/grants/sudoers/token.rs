//! The tokens of sudoers, and how far each reaches: pure functions over the bytes ahead.
//!
//! Where several tokens could start at the same place, sudo's scanner takes the longest, and of equally long ones the
//! one named first. The functions here answer "how many bytes", 0 for "none".

use super::ast::{Bytes, DigestKind};

/// A token. What a word or a command says, the lexer holds until the next token is asked for: most tokens say nothing but
/// what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Word,
    Alias,
    Group,
    Netgroup,
    Address,
    All,
    Command,
    Digest,
    Variable,
    Include,
    IncludeDir,
    Defaults(DefaultsKind),
    AliasWord(super::ast::AliasKind),
    Tag(Tag),
    Option(OptionWord),
    Sha(DigestKind),
    Colon,
    Equals,
    Comma,
    Bang,
    Plus,
    Minus,
    Open,
    Close,
    Newline,
    /// A mistake that the scanner itself sees.
    Error(Slip),
    /// A byte that begins nothing.
    NoMatch,
    /// The end of the last file.
    End,
}

/// The mistakes of [`Token::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slip {
    Continuation,
    EmptyNetgroup,
    EmptyGroup,
    Address,
    OpenString,
    Comment,
    OpenRegex,
    EmptyString,
}

impl Slip {
    /// As sudo says it.
    pub(super) fn why(self) -> &'static str {
        match self {
            Slip::Continuation => "invalid line continuation",
            Slip::EmptyNetgroup => "empty netgroup",
            Slip::EmptyGroup => "empty group",
            Slip::Address => "invalid IPv6 address",
            Slip::OpenString => "unexpected line break in a quoted string",
            Slip::Comment => "syntax error",
            Slip::OpenRegex => "unterminated regular expression",
            Slip::EmptyString => "empty string",
        }
    }
}

/// Which `Defaults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DefaultsKind {
    All,
    User,
    Runas,
    Host,
    Command,
}

/// A tag, with whether it is the positive form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Nopasswd(bool),
    Noexec(bool),
    Intercept(bool),
    Setenv(bool),
    LogOutput(bool),
    LogInput(bool),
    Mail(bool),
    Follow(bool),
}

/// The word before `=` of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionWord {
    Timeout,
    Notbefore,
    Notafter,
    Cwd,
    Chroot,
    Role,
    Type,
    Apparmor,
}

/// The tag of a word.
pub(super) fn tag(word: &[u8]) -> Option<Tag> {
    Some(match word {
        b"NOPASSWD" => Tag::Nopasswd(true),
        b"PASSWD" => Tag::Nopasswd(false),
        b"NOEXEC" => Tag::Noexec(true),
        b"EXEC" => Tag::Noexec(false),
        b"INTERCEPT" => Tag::Intercept(true),
        b"NOINTERCEPT" => Tag::Intercept(false),
        b"SETENV" => Tag::Setenv(true),
        b"NOSETENV" => Tag::Setenv(false),
        b"LOG_OUTPUT" => Tag::LogOutput(true),
        b"NOLOG_OUTPUT" => Tag::LogOutput(false),
        b"LOG_INPUT" => Tag::LogInput(true),
        b"NOLOG_INPUT" => Tag::LogInput(false),
        b"MAIL" => Tag::Mail(true),
        b"NOMAIL" => Tag::Mail(false),
        b"FOLLOW" => Tag::Follow(true),
        b"NOFOLLOW" => Tag::Follow(false),
        _ => return None,
    })
}

/// Option words.
pub(super) const OPTIONS: &[(&[u8], OptionWord)] = &[
    (b"TIMEOUT", OptionWord::Timeout),
    (b"NOTBEFORE", OptionWord::Notbefore),
    (b"NOTAFTER", OptionWord::Notafter),
    (b"CWD", OptionWord::Cwd),
    (b"CHROOT", OptionWord::Chroot),
    (b"ROLE", OptionWord::Role),
    (b"TYPE", OptionWord::Type),
    (b"APPARMOR_PROFILE", OptionWord::Apparmor),
];

/// The byte at `i`.
pub(super) fn at(b: &[u8], i: usize) -> Option<u8> {
    b.get(i).copied()
}

/// The bytes from `i`.
pub(super) fn from(b: &[u8], i: usize) -> &[u8] {
    b.get(i..).unwrap_or(&[])
}

/// The bytes up to `n`.
pub(super) fn upto(b: &[u8], n: usize) -> &[u8] {
    b.get(..n).unwrap_or(b)
}

/// Blank: space or tab.
pub(super) fn blank(c: u8) -> bool {
    c == b' ' || c == b'\t'
}

/// How many bytes from the start satisfy `f`.
pub(super) fn run(b: &[u8], f: impl Fn(u8) -> bool) -> usize {
    b.iter().position(|&c| !f(c)).unwrap_or(b.len())
}

/// A word: anything but the special characters; a backslash takes the next byte with it, but not a tab or newline.
pub(super) fn word(b: &[u8]) -> usize {
    let mut i = 0;
    loop {
        i += run(from(b, i), |c| IN_WORD.has(c));
        match (at(b, i), at(b, i + 1)) {
            (Some(b'\\'), Some(n)) if n != b'\t' && n != b'\n' => i += 2,
            _ => return i,
        }
    }
}

/// A [`word`], which may be empty; `None` if there is an escape in it.
pub(super) fn plain_word(b: &[u8]) -> Option<usize> {
    let n = run(b, |c| IN_WORD.has(c));
    (at(b, n) != Some(b'\\')).then_some(n)
}

/// A set of bytes: all but these.
struct Set([bool; 256]);

impl Set {
    const fn but(stops: &[u8]) -> Set {
        let mut set = [true; 256];
        let mut rest = stops;
        while let [stop, more @ ..] = rest {
            // No index in a constant's making can be out of 256.
            #[expect(
                clippy::indexing_slicing,
                reason = "a byte is below 256, and get_mut is no constant function"
            )]
            {
                set[*stop as usize] = false;
            }
            rest = more;
        }
        Set(set)
    }

    fn has(&self, c: u8) -> bool {
        self.0.get(usize::from(c)).copied().unwrap_or_default()
    }
}

/// What a word goes on with, without an escape; a path; the arguments of a command.
static IN_WORD: Set = Set::but(b"\\#>!=:,() \t\r\n\"");
static IN_PATH: Set = Set::but(b"\\,:= \t\r\n#");
static IN_ARGS: Set = Set::but(b"#\\:, \t\r\n");

/// A stretch of a command's arguments without blanks or escapes.
pub(super) fn args(b: &[u8]) -> usize {
    run(b, |c| IN_ARGS.has(c))
}

/// `#` and a number.
pub(super) fn id(b: &[u8]) -> usize {
    if at(b, 0) != Some(b'#') {
        return 0;
    }
    let sign = usize::from(at(b, 1) == Some(b'-'));
    let digits = run(from(b, 1 + sign), |c| c.is_ascii_digit());
    if digits == 0 { 0 } else { 1 + sign + digits }
}

/// A path: `/` and at least one more byte.
pub(super) fn path(b: &[u8]) -> usize {
    if at(b, 0) != Some(b'/') {
        return 0;
    }
    let mut i = 1;
    loop {
        i += run(from(b, i), |c| IN_PATH.has(c));
        match (at(b, i), at(b, i + 1)) {
            (Some(b'\\'), Some(b',' | b':' | b'=' | b' ' | b'\t' | b'#')) => i += 2,
            _ => break,
        }
    }
    if i == 1 { 0 } else { i }
}

/// A [`path`] after whose first byte there is no escape; `None` if there is one, or no path.
pub(super) fn plain_path(b: &[u8]) -> Option<usize> {
    let n = 1 + run(from(b, 1), |c| IN_PATH.has(c));
    (n > 1 && at(b, n) != Some(b'\\')).then_some(n)
}

/// A regular expression: `^` up to a `$`; `\$` may be inside or end it, and it is taken to the later of the two.
pub(super) fn regex(b: &[u8]) -> usize {
    if at(b, 0) != Some(b'^') {
        return 0;
    }
    let mut end = 0;
    let mut i = 1;
    while let Some(c) = at(b, i) {
        match c {
            b'\\' => match at(b, i + 1) {
                Some(b'$') => {
                    i += 2;
                    end = i;
                }
                Some(b'#') => i += 2,
                _ => i += 1,
            },
            b'$' => return i + 1,
            b'#' | b'\r' | b'\n' => break,
            _ => i += 1,
        }
    }
    end
}

/// The value of a `Defaults` parameter.
pub(super) fn value(b: &[u8]) -> usize {
    let mut i = 0;
    while let Some(c) = at(b, i) {
        match c {
            b'\\' => match at(b, i + 1) {
                Some(n) if n != b'\r' && n != b'\n' => i += 2,
                _ => break,
            },
            b'!' if i == 0 => break,
            b'#' | b'=' | b',' | b' ' | b'\t' | b'\r' | b'\n' | b'"' => break,
            _ => i += 1,
        }
    }
    i
}

/// An upper-case name.
pub(super) fn alias(b: &[u8]) -> usize {
    match at(b, 0) {
        Some(c) if c.is_ascii_uppercase() => {
            run(b, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
        }
        _ => 0,
    }
}

/// The path of an include: up to white space that no backslash escapes.
pub(super) fn include_path(b: &[u8]) -> usize {
    let space = |c: u8| matches!(c, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    match at(b, 0) {
        Some(c) if c != b'"' && !space(c) => {}
        _ => return 0,
    }
    let mut i = 0;
    while let Some(c) = at(b, i) {
        if c == b'\\' && at(b, i + 1).is_some_and(blank) && i > 0 {
            i += 2;
        } else if space(c) {
            break;
        } else {
            i += 1;
        }
    }
    i
}

/// A comment from its `#` to the end of its line; a number after the `#` would make it a user id.
pub(super) fn comment(b: &[u8]) -> usize {
    if at(b, 0) != Some(b'#') {
        return 0;
    }
    let starts = match (at(b, 1), at(b, 2)) {
        (Some(b'-'), Some(c)) => c != b'\r' && c != b'\n' && !c.is_ascii_digit(),
        (Some(c), _) => c != b'\r' && c != b'\n' && c != b'-' && !c.is_ascii_digit(),
        (None, _) => false,
    };
    if starts {
        let n = run(b, |c| c != b'\n');
        return n + usize::from(at(b, n) == Some(b'\n'));
    }
    match (at(b, 1), at(b, 2)) {
        (Some(b'\r'), Some(b'\n')) => 3,
        (Some(b'\n'), _) => 2,
        _ => 1,
    }
}

/// A backslash that continues the line: blanks may stand between it and the newline.
pub(super) fn continuation(b: &[u8]) -> usize {
    if at(b, 0) != Some(b'\\') {
        return 0;
    }
    let n = 1 + run(from(b, 1), blank);
    match newline(from(b, n)) {
        0 => 0,
        m => n + m,
    }
}

/// A newline, with its carriage return if it has one.
pub(super) fn newline(b: &[u8]) -> usize {
    match (at(b, 0), at(b, 1)) {
        (Some(b'\n'), _) => 1,
        (Some(b'\r'), Some(b'\n')) => 2,
        _ => 0,
    }
}

/// A decimal number up to 255 as sudo spells it (at most three digits); the longest.
fn octet(b: &[u8]) -> usize {
    let digits = run(upto(b, 3), |c| c.is_ascii_digit());
    if digits < 3 {
        return digits;
    }
    let value = upto(b, 3).iter().fold(0u32, |v, c| v * 10 + u32::from(c - b'0'));
    if value <= 255 { 3 } else { 2 }
}

/// An IPv4 address.
fn ipv4(b: &[u8]) -> usize {
    let mut n = octet(b);
    if n == 0 {
        return 0;
    }
    for _ in 0..3 {
        if at(b, n) != Some(b'.') {
            return 0;
        }
        match octet(from(b, n + 1)) {
            0 => return 0,
            m => n += 1 + m,
        }
    }
    n
}

/// Something of the shape of an IPv6 address; whether it is one is asked afterwards.
fn ipv6(b: &[u8]) -> usize {
    let hex = |b: &[u8]| run(upto(b, 4), |c| c.is_ascii_hexdigit());
    let mut ends = Vec::new();
    let mut i = 0;
    while ends.len() < 7 {
        let h = hex(from(b, i));
        if at(b, i + h) != Some(b':') {
            break;
        }
        i += h + 1;
        ends.push(i);
    }
    if ends.len() < 2 {
        return 0;
    }
    let plain = i + hex(from(b, i));
    let mixed = ends
        .iter()
        .skip(1)
        .take(5)
        .filter(|&&e| at(b, e) == Some(b':'))
        .map(|&e| (e, ipv4(from(b, e + 1))))
        .filter(|&(_, n)| n > 0)
        .map(|(e, n)| e + 1 + n)
        .max();
    plain.max(mixed.unwrap_or(0))
}

/// The number of bits after a `/`.
fn bits(b: &[u8], most: u32) -> usize {
    let mut best = 0;
    for n in 1..=run(upto(b, 3), |c| c.is_ascii_digit()) {
        let digits = upto(b, n);
        let value = digits.iter().fold(0u32, |v, c| v * 10 + u32::from(c - b'0'));
        // Two-digit IPv4 masks may have a leading zero only as sudo's pattern has it: `[12]?[0-9]|3[0-2]`.
        if value <= most && (n == 1 || digits.first() != Some(&b'0')) {
            best = n;
        }
    }
    best
}

/// An address with or without a mask: its length, and whether it is an IPv6 one.
pub(super) fn address(b: &[u8]) -> (usize, bool) {
    let four = ipv4(b);
    let mut four_best = four;
    if four > 0 && at(b, four) == Some(b'/') {
        let rest = from(b, four + 1);
        let mask = ipv4(rest).max(bits(rest, 32));
        if mask > 0 {
            four_best = four + 1 + mask;
        }
    }
    let six = ipv6(b);
    let mut six_best = six;
    if six > 0 && at(b, six) == Some(b'/') {
        let rest = from(b, six + 1);
        let mask = ipv6(rest).max(bits(rest, 128));
        if mask > 0 {
            six_best = six + 1 + mask;
        }
    }
    if four_best >= six_best { (four_best, false) } else { (six_best, true) }
}

/// An IPv6 address may have `::` once in the address and once in the mask.
pub(super) fn ipv6_valid(b: &[u8]) -> bool {
    b.split(|&c| c == b'/').all(|part| part.windows(2).filter(|w| w == b"::").count() <= 1)
}

/// Resolves the escapes of a word: `\xHH` is a byte, any other `\c` is `c`.
pub(super) fn unescape(b: &[u8]) -> Bytes {
    if memchr::memchr(b'\\', b).is_none() {
        return b.into();
    }
    let mut out = Vec::with_capacity(b.len());
    let mut i = 0;
    while let Some(c) = at(b, i) {
        if c == b'\\' && i + 1 < b.len() {
            let byte = match (at(b, i + 1), at(b, i + 2).and_then(hex), at(b, i + 3).and_then(hex)) {
                (Some(b'x'), Some(h), Some(l)) => Some(h * 16 + l),
                _ => None,
            };
            if let Some(v) = byte {
                out.push(v);
                i += 4;
            } else {
                out.extend(at(b, i + 1));
                i += 2;
            }
        } else {
            out.push(c);
            i += 1;
        }
    }
    out.into()
}

fn hex(c: u8) -> Option<u8> {
    char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Resolves in a command's path only the escapes of characters that are special in sudoers.
pub(super) fn unescape_path(b: &[u8]) -> Bytes {
    if memchr::memchr(b'\\', b).is_none() {
        return b.into();
    }
    let mut out = Vec::with_capacity(b.len());
    let mut i = 0;
    while let Some(c) = at(b, i) {
        match at(b, i + 1) {
            Some(n @ (b',' | b':' | b'=' | b' ' | b'\t' | b'#')) if c == b'\\' => {
                out.push(n);
                i += 2;
            }
            _ => {
                out.push(c);
                i += 1;
            }
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(word(b"dep ALL"), 3);
        assert_eq!(word(b"do\\ main\\\\u x"), 11);
        assert_eq!(word(b"a\\\nb"), 1);
        assert_eq!(id(b"#-1 "), 3);
        assert_eq!(id(b"#x"), 0);
        assert_eq!(path(b"/ "), 0);
        assert_eq!(path(b"/bin/a\\,b,c"), 9);
        assert_eq!(regex(b"^a b, c$ d"), 8);
        assert_eq!(regex(b"^a\\$b$"), 6);
        assert_eq!(regex(b"^a\\$ b"), 4);
        assert_eq!(regex(b"^a#b$"), 0);
        assert_eq!(comment(b"#x\ny"), 3);
        assert_eq!(comment(b"#1\n"), 1);
        assert_eq!(comment(b"#\r\n"), 3);
        assert_eq!(continuation(b"\\ \t\r\nx"), 5);
        assert_eq!(address(b"10.0.0.1/24x"), (11, false));
        assert_eq!(address(b"256.0.0.1"), (0, false));
        assert_eq!(address(b"fe80::1/64 "), (10, true));
        assert_eq!(address(b"::1"), (3, true));
        assert_eq!(address(b"ab:cd"), (0, false));
        assert!(!ipv6_valid(b"1::2::3") && ipv6_valid(b"1::2/ff::"));
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(b"d\\x65p\\ \\q\\"), b"dep q\\");
        assert_eq!(unescape_path(b"/a\\,b\\*\\#"), b"/a,b\\*#");
    }
}
