//! The regular expressions of file_contexts: PCRE2's dialect read, and written again in Rust's.
//!
//! libselinux compiles `^PATTERN$` by PCRE2 with `PCRE2_DOTALL` and nothing else (libselinux `regex.c`), on bytes. The
//! two dialects look alike and differ in many places, so nothing is passed on unread: each construct is either
//! known to mean the same set of texts, and is written out in a canonical form, or it is refused by name
//! ([`Refusal`]). A whole text is matched or not, so laziness and captures do not matter.

use std::fmt::Write as _;

/// Groups in groups: PCRE2's own limit (`parens_nest_limit`).
const MAX_NESTING: usize = 250;
/// Atoms after counted repetition is written out. Real specifications have some hundred.
const MAX_SIZE: usize = 20_000;

/// Why a pattern was not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Byte offset in the pattern.
    pub(super) at: usize,
    /// What it is.
    pub(super) what: String,
    /// What PCRE2 makes of it.
    pub(super) verdict: Verdict,
}

/// What PCRE2 makes of a pattern that is not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It takes it.
    Valid,
    /// It may refuse it.
    Open,
    /// It refuses it; libselinux then answers no look-up that comes across it.
    Invalid,
}

/// A pattern taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// In Rust's dialect with the flags `s-u`, without anchors: it is to match the whole path.
    pub(super) regex: String,
    /// The one text that it matches, where there is just one.
    pub(super) literal: Option<Vec<u8>>,
    /// Whether alternatives at the top (`/a|/b`) make it match in the middle of a path.
    pub(super) loose: bool,
    /// Atoms, repetition written out: what it costs in an automaton.
    pub(super) size: usize,
}

/// Reads a pattern.
///
/// `^` and `$` are put around the pattern without a group, as libselinux does (SELinuxProject/selinux#544): of `/a|/b`
/// the first alternative is free at its end, the second at its start.
pub(super) fn read(pattern: &[u8]) -> Result<Pattern, Refusal> {
    let mut reader =
        Reader { text: pattern, at: 0, depth: 0, groups: 0, names: Vec::new(), reference: None, soft: None };
    let mut branches = Vec::new();
    loop {
        let from_start = reader.eat(b'^');
        let branch = reader.branch()?;
        let to_end = reader.eat(b'$');
        branches.push((from_start, branch, to_end));
        match reader.peek() {
            None => break,
            Some(b'|') => reader.at += 1,
            Some(_) => return Err(reader.invalid(reader.at, "a `)` that closes nothing")),
        }
    }
    if let Some((number, at)) = reader.reference
        && number > reader.groups
    {
        return Err(reader.invalid(at, "a backreference to a group that there is not"));
    }
    if let Some(soft) = reader.soft.take() {
        return Err(soft);
    }
    let last = branches.len() - 1;
    let size = branches.iter().map(|(_, b, _)| b.size + 2).sum::<usize>();
    if size > MAX_SIZE {
        return Err(reader.refuse(0, "more repetition than is sensible"));
    }
    let loose = last > 0;
    let literal = match branches.as_mut_slice() {
        [(_, branch, _)] => branch.literal.take(),
        _ => None,
    };
    let mut regex = String::new();
    for (i, (from_start, branch, to_end)) in branches.iter().enumerate() {
        regex.push_str(if i > 0 { "|" } else { "" });
        regex.push_str(if i > 0 && !from_start { ".*" } else { "" });
        regex.push_str(&branch.regex);
        regex.push_str(if i < last && !to_end { ".*" } else { "" });
    }
    Ok(Pattern { regex, literal, loose, size })
}

/// A part of a pattern, in Rust's dialect.
struct Part {
    regex: String,
    literal: Option<Vec<u8>>,
    size: usize,
}

/// One item that a quantifier may follow.
enum Item {
    Part(Part),
    /// A comment: nothing.
    Nothing,
}

struct Reader<'p> {
    text: &'p [u8],
    at: usize,
    depth: usize,
    /// Capturing groups so far, and their names.
    groups: usize,
    names: Vec<Vec<u8>>,
    /// The highest backreference.
    reference: Option<(usize, usize)>,
    /// The first thing that PCRE2 takes and we do not; reading goes on, to see whether the rest is valid.
    soft: Option<Refusal>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[expect(clippy::unused_self, reason = "reads as the reader's verdict")]
    fn refuse(&self, at: usize, what: impl Into<String>) -> Refusal {
        Refusal { at, what: what.into(), verdict: Verdict::Open }
    }

    /// Notes what is valid and not taken over.
    fn note(&mut self, at: usize, what: impl Into<String>) {
        if self.soft.is_none() {
            self.soft = Some(Refusal { at, what: what.into(), verdict: Verdict::Valid });
        }
    }

    #[expect(clippy::unused_self, reason = "reads as the reader's verdict")]
    fn invalid(&self, at: usize, what: impl Into<String>) -> Refusal {
        Refusal { at, what: what.into(), verdict: Verdict::Invalid }
    }

    /// Items up to `|`, `)`, the end or, outside groups, a `$` before either.
    fn branch(&mut self) -> Result<Part, Refusal> {
        let mut whole = Part { regex: String::new(), literal: Some(Vec::new()), size: 0 };
        while let Some(byte) = self.peek() {
            let start = self.at;
            let item = match byte {
                b'|' | b')' => break,
                b'$' if self.depth == 0 && matches!(self.rest(), [b'$'] | [b'$', b'|', ..]) => break,
                b'^' | b'$' => {
                    self.note(start, format!("a `{}` inside the pattern", char::from(byte)));
                    self.at += 1;
                    Item::Nothing
                }
                b'*' | b'+' | b'?' => {
                    return Err(self.invalid(start, format!("a `{}` that repeats nothing", char::from(byte))));
                }
                b'(' => self.group()?,
                b'[' => Item::Part(set_part(&self.set()?)),
                b'.' => {
                    self.at += 1;
                    Item::Part(Part { regex: ".".to_owned(), literal: None, size: 1 })
                }
                b'\\' => self.escape()?,
                b'{' if self.counts()?.is_some() => {
                    return Err(self.invalid(start, "a `{` that repeats nothing"));
                }
                _ => {
                    self.at += 1;
                    Item::Part(byte_part(byte))
                }
            };
            if let Item::Part(part) = item {
                let part = self.quantified(part)?;
                whole.regex.push_str(&part.regex);
                whole.size = whole.size.saturating_add(part.size);
                match (&mut whole.literal, part.literal) {
                    (Some(all), Some(more)) => all.extend(more),
                    (all, _) => *all = None,
                }
                if whole.size > MAX_SIZE {
                    return Err(self.refuse(start, "more repetition than is sensible"));
                }
            } else if matches!(self.peek(), Some(b'*' | b'+' | b'?' | b'{')) {
                return Err(self.refuse(self.at, "a quantifier after what has no width"));
            }
        }
        Ok(whole)
    }

    /// `part` with the quantifier that follows it.
    fn quantified(&mut self, part: Part) -> Result<Part, Refusal> {
        let start = self.at;
        let (least, most) = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => match self.counts()? {
                Some((least, most, _)) => (least, most),
                None => return Ok(part),
            },
            _ => return Ok(part),
        };
        self.at += match self.peek() {
            Some(b'{') => self.counts()?.map_or(1, |(_, _, len)| len),
            _ => 1,
        };
        if self.eat(b'+') {
            self.note(start, "a possessive quantifier");
        } else {
            self.eat(b'?'); // lazy: the same texts
        }
        if matches!(self.peek(), Some(b'*' | b'+' | b'?'))
            || self.peek() == Some(b'{') && self.counts()?.is_some()
        {
            return Err(self.refuse(self.at, "a quantifier on a quantifier"));
        }
        let times = most.map_or(least + 1, |m| m.max(1)).max(1);
        let mut regex = part.regex;
        match (least, most) {
            (0, None) => regex.push('*'),
            (1, None) => regex.push('+'),
            (0, Some(1)) => regex.push('?'),
            (n, None) => _ = write!(regex, "{{{n},}}"),
            (n, Some(m)) => _ = write!(regex, "{{{n},{m}}}"),
        }
        Ok(Part { regex, literal: None, size: part.size.saturating_add(1).saturating_mul(times) })
    }

    /// The counts at a `{`: least, most, and how long they are; `None` where the `{` is just a character.
    fn counts(&self) -> Result<Option<(usize, Option<usize>, usize)>, Refusal> {
        let Some(close) = self.rest().iter().position(|b| *b == b'}') else { return Ok(None) };
        let inner = self.rest().get(1..close).unwrap_or_default();
        let number = |digits: &[u8]| -> Option<usize> {
            let text = std::str::from_utf8(digits).ok()?;
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().unwrap_or(usize::MAX))
        };
        let digits = |d: &[u8]| !d.is_empty() && d.iter().all(u8::is_ascii_digit);
        let (least, most) = match inner.iter().position(|b| *b == b',') {
            None if digits(inner) => (number(inner), Some(number(inner))),
            None => return Ok(None),
            Some(comma) => {
                let (low, high) = inner.split_at(comma);
                let high = high.get(1..).unwrap_or_default();
                match (digits(low), high.is_empty(), digits(high)) {
                    (true, true, _) => (number(low), None),
                    (true, _, true) => (number(low), Some(number(high))),
                    (false, _, true) if low.is_empty() => {
                        return Err(
                            self.refuse(self.at, "`{,N}`, a text before PCRE2 10.43 and a repetition since")
                        );
                    }
                    _ => return Ok(None),
                }
            }
        };
        let (least, most) = (least.unwrap_or(usize::MAX), most.map(|m| m.unwrap_or(usize::MAX)));
        if least > 65535 || most.is_some_and(|m| m > 65535) {
            return Err(self.invalid(self.at, "a repetition of more than 65535"));
        }
        if most.is_some_and(|m| m < least) {
            return Err(self.invalid(self.at, "a repetition whose bounds are in the wrong order"));
        }
        Ok(Some((least, most, close + 1)))
    }

    fn group(&mut self) -> Result<Item, Refusal> {
        let start = self.at;
        let rest = self.rest();
        if rest.starts_with(b"(*") {
            return Err(self.refuse(start, "a verb `(*…)`"));
        }
        if rest.starts_with(b"(?#") {
            let Some(close) = rest.iter().position(|b| *b == b')') else {
                return Err(self.invalid(start, "a comment without an end"));
            };
            self.at += close + 1;
            return Ok(Item::Nothing);
        }
        self.at += match rest.get(1..) {
            Some([b'?', b':', ..]) => 3,
            Some([b'?', tail @ ..]) => {
                let valid = matches!(tail, [b'=' | b'!' | b'>' | b'|', ..]);
                match (refused_group(tail), group_name(tail)) {
                    (Some(what), _) if valid => {
                        self.note(start, what);
                        3
                    }
                    (Some(what), _) => return Err(self.refuse(start, what)),
                    (None, Some((skip, len))) => {
                        let name = tail.get(skip..skip + len).unwrap_or_default().to_vec();
                        if self.names.contains(&name) {
                            return Err(self.refuse(start, "two groups of the same name"));
                        }
                        self.names.push(name);
                        self.groups += 1;
                        2 + skip + len + 1
                    }
                    (None, None) => return Err(self.invalid(start, "an unknown kind of group")),
                }
            }
            _ => {
                self.groups += 1;
                1
            }
        };
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.invalid(start, format!("more than {MAX_NESTING} groups in each other")));
        }
        let mut regex = String::from("(?:");
        let mut size = 1usize;
        loop {
            let branch = self.branch()?;
            regex.push_str(&branch.regex);
            size = size.saturating_add(branch.size).saturating_add(1);
            match self.peek() {
                Some(b'|') => {
                    self.at += 1;
                    regex.push('|');
                }
                Some(_) => break,
                None => return Err(self.invalid(start, "a `(` that is not closed")),
            }
        }
        self.at += 1;
        self.depth -= 1;
        regex.push(')');
        Ok(Item::Part(Part { regex, literal: None, size }))
    }

    /// An escape outside brackets.
    fn escape(&mut self) -> Result<Item, Refusal> {
        let start = self.at;
        self.at += 1;
        let Some(byte) = self.peek() else {
            // It would escape the `$` that libselinux adds.
            return Err(self.refuse(start, "a `\\` at the end"));
        };
        if let Some(set) = type_set(byte) {
            self.at += 1;
            return Ok(Item::Part(set_part(&set)));
        }
        if byte == b'N' && !self.rest().starts_with(b"N{") {
            self.at += 1;
            return Ok(Item::Part(set_part(&Set::of(|b| b != b'\n'))));
        }
        if let Some(byte) = self.character_escape()? {
            return Ok(Item::Part(byte_part(byte)));
        }
        let quoted = self.rest().strip_prefix(b"Q").and_then(|q| memchr::memmem::find(q, b"\\E"));
        let one_digit = byte.is_ascii_digit() && !self.rest().get(1).is_some_and(u8::is_ascii_digit);
        match (byte, quoted) {
            (b'b' | b'B' | b'A' | b'Z' | b'z' | b'G' | b'K', _) => self.at += 1,
            (b'1'..=b'9', _) if one_digit => {
                let number = usize::from(byte - b'0');
                if self.reference.is_none_or(|(n, _)| n < number) {
                    self.reference = Some((number, start));
                }
                self.note(start, escape_name(byte));
                self.at += 1;
                return Ok(Item::Part(set_part(&Set::default())));
            }
            (_, Some(len)) => self.at += len + 3,
            _ => return Err(self.refuse(start, escape_name(byte))),
        }
        self.note(start, escape_name(byte));
        Ok(Item::Nothing)
    }

    /// The single character that an escape stands for, the `\` being read; `None` if it is something else.
    fn character_escape(&mut self) -> Result<Option<u8>, Refusal> {
        let start = self.at - 1;
        let Some(byte) = self.peek() else { return Ok(None) };
        let character = match byte {
            b'a' => 7,
            b'e' => 27,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let hex: Vec<u8> = self
                    .rest()
                    .iter()
                    .skip(1)
                    .take_while(|b| b.is_ascii_hexdigit())
                    .take(2)
                    .copied()
                    .collect();
                let value = std::str::from_utf8(&hex).ok().and_then(|h| u8::from_str_radix(h, 16).ok());
                return match value {
                    Some(value) if hex.len() == 2 => {
                        self.at += 3;
                        Ok(Some(value))
                    }
                    _ => Err(self.refuse(start, "a `\\x` without two hexadecimal digits")),
                };
            }
            b if b.is_ascii_alphanumeric() => return Ok(None),
            b => b,
        };
        self.at += 1;
        Ok(Some(character))
    }

    /// A class in brackets.
    fn set(&mut self) -> Result<Set, Refusal> {
        let start = self.at;
        if class_end(self.rest()).is_some() {
            return Err(self.invalid(start, "a class such as `[:alpha:]` outside brackets"));
        }
        self.at += 1;
        let negated = self.eat(b'^');
        let mut set = Set::default();
        let mut first = true;
        // The last single character, which a `-` could make a range of; and whether the last item was a class.
        let mut before: Option<u8> = None;
        let mut after_class = false;
        loop {
            let at = self.at;
            let Some(byte) = self.peek() else {
                return Err(self.invalid(start, "a `[` that is not closed"));
            };
            if byte == b']' && !first {
                self.at += 1;
                break;
            }
            first = false;
            if byte == b'-' && self.rest().get(1) != Some(&b']') {
                if after_class {
                    return Err(self.refuse(at, "a `-` beside a class in brackets"));
                }
                if let Some(low) = before.take() {
                    self.at += 1;
                    let high = match self.set_item()? {
                        SetItem::Byte(high) => high,
                        SetItem::Class(_) => return Err(self.refuse(at, "a `-` beside a class in brackets")),
                    };
                    if high < low {
                        return Err(self.invalid(at, "a range in brackets whose ends are in the wrong order"));
                    }
                    (low..=high).for_each(|b| set.add(b));
                    continue;
                }
            }
            match self.set_item()? {
                SetItem::Byte(b) => {
                    set.add(b);
                    before = Some(b);
                    after_class = false;
                }
                SetItem::Class(class) => {
                    set.add_all(&class);
                    before = None;
                    after_class = true;
                }
            }
        }
        Ok(if negated { Set::of(|b| !set.has(b)) } else { set })
    }

    fn set_item(&mut self) -> Result<SetItem, Refusal> {
        let start = self.at;
        match self.peek() {
            None => Err(self.invalid(start, "a `[` that is not closed")),
            Some(b'[') if matches!(self.rest().get(1), Some(b':' | b'.' | b'=')) => self.posix_class(),
            Some(b'\\') => {
                self.at += 1;
                let Some(byte) = self.peek() else {
                    return Err(self.invalid(start, "a `[` that is not closed"));
                };
                if let Some(class) = type_set(byte) {
                    self.at += 1;
                    return Ok(SetItem::Class(class));
                }
                if byte == b'b' {
                    self.at += 1;
                    return Ok(SetItem::Byte(8));
                }
                match self.character_escape()? {
                    Some(byte) => Ok(SetItem::Byte(byte)),
                    None => Err(self.refuse(start, escape_name(byte))),
                }
            }
            Some(byte) => {
                self.at += 1;
                Ok(SetItem::Byte(byte))
            }
        }
    }

    /// `[:alpha:]` and the like, at its `[`.
    fn posix_class(&mut self) -> Result<SetItem, Refusal> {
        let start = self.at;
        let rest = self.rest();
        let mark = rest.get(1).copied().unwrap_or_default();
        let Some(end) = class_end(rest) else {
            self.at += 1;
            return Ok(SetItem::Byte(b'['));
        };
        let name = rest.get(2..end).unwrap_or_default();
        if mark != b':' {
            return Err(self.invalid(start, "a collating element in brackets"));
        }
        let (negated, name) = match name {
            [b'^', name @ ..] => (true, name),
            name => (false, name),
        };
        // `[[:x]` and `[:x]…:]`: where the name is no name, PCRE2 goes by rules of its own.
        let Some(class) = posix_set(name) else {
            return Err(self.refuse(start, "an unknown class `[:…:]`"));
        };
        self.at += end + 2;
        Ok(SetItem::Class(if negated { Set::of(|b| !class.has(b)) } else { class }))
    }
}

enum SetItem {
    Byte(u8),
    Class(Set),
}

/// A set of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Set([u128; 2]);

impl Set {
    fn of(belongs: impl Fn(u8) -> bool) -> Set {
        let mut set = Set::default();
        (0..=255).filter(|b| belongs(*b)).for_each(|b| set.add(b));
        set
    }

    fn add(&mut self, byte: u8) {
        let [low, high] = &mut self.0;
        *(if byte < 128 { low } else { high }) |= 1 << (byte & 127);
    }

    fn add_all(&mut self, other: &Set) {
        let ([a, b], [c, d]) = (&mut self.0, other.0);
        *a |= c;
        *b |= d;
    }

    fn has(&self, byte: u8) -> bool {
        let [low, high] = self.0;
        (if byte < 128 { low } else { high }) >> (byte & 127) & 1 == 1
    }
}

fn set_part(set: &Set) -> Part {
    let mut regex = String::from("[");
    let mut byte = 0u16;
    while byte < 256 {
        let has = |b: u16| u8::try_from(b).is_ok_and(|b| set.has(b));
        if !has(byte) {
            byte += 1;
            continue;
        }
        let low = byte;
        while has(byte) {
            byte += 1;
        }
        let _ = write!(regex, "\\x{low:02x}-\\x{:02x}", byte - 1);
    }
    regex.push(']');
    if regex == "[]" {
        // A class that holds nothing, such as `[^\d\D]`.
        regex = r"[a&&b]".to_owned();
    }
    Part { regex, literal: None, size: 1 }
}

fn byte_part(byte: u8) -> Part {
    let mut regex = String::new();
    if byte.is_ascii_alphanumeric() || b"/_-,:@%=~ ".contains(&byte) {
        regex.push(char::from(byte));
    } else {
        let _ = write!(regex, "\\x{byte:02x}");
    }
    Part { regex, literal: Some(vec![byte]), size: 1 }
}

/// `\d` and its like, by PCRE2's built-in tables.
fn type_set(letter: u8) -> Option<Set> {
    let horizontal = |b: u8| matches!(b, b'\t' | b' ' | 0xa0);
    let vertical = |b: u8| matches!(b, 10..=13 | 0x85);
    Some(match letter {
        b'd' => Set::of(|b| b.is_ascii_digit()),
        b'D' => Set::of(|b| !b.is_ascii_digit()),
        b's' => Set::of(is_space),
        b'S' => Set::of(|b| !is_space(b)),
        b'w' => Set::of(is_word),
        b'W' => Set::of(|b| !is_word(b)),
        b'h' => Set::of(horizontal),
        b'H' => Set::of(|b| !horizontal(b)),
        b'v' => Set::of(vertical),
        b'V' => Set::of(|b| !vertical(b)),
        _ => return None,
    })
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the name in `[:name:]` (or `[.x.]`, `[=x=]`) ends, if `text` begins with such; as PCRE2 looks for it.
fn class_end(text: &[u8]) -> Option<usize> {
    let [b'[', mark @ (b':' | b'.' | b'='), ..] = text else { return None };
    let mut at = 2;
    loop {
        match (text.get(at)?, text.get(at + 1)?) {
            (b'\\', b']' | b'\\') => at += 2,
            (b']', _) => return None,
            (b'[', next) if next == mark => return None,
            (byte, b']') if byte == mark => return Some(at),
            _ => at += 1,
        }
    }
}

fn posix_set(name: &[u8]) -> Option<Set> {
    Some(match name {
        b"alnum" => Set::of(|b| b.is_ascii_alphanumeric()),
        b"alpha" => Set::of(|b| b.is_ascii_alphabetic()),
        b"ascii" => Set::of(|b| b.is_ascii()),
        b"blank" => Set::of(|b| matches!(b, b' ' | b'\t')),
        b"cntrl" => Set::of(|b| b.is_ascii_control()),
        b"digit" => Set::of(|b| b.is_ascii_digit()),
        b"graph" => Set::of(|b| b.is_ascii_graphic()),
        b"lower" => Set::of(|b| b.is_ascii_lowercase()),
        b"print" => Set::of(|b| b.is_ascii_graphic() || b == b' '),
        b"punct" => Set::of(|b| b.is_ascii_punctuation()),
        b"space" => Set::of(is_space),
        b"upper" => Set::of(|b| b.is_ascii_uppercase()),
        b"word" => Set::of(is_word),
        b"xdigit" => Set::of(|b| b.is_ascii_hexdigit()),
        _ => return None,
    })
}

/// What a group of this kind is called, if it cannot be taken over; `tail` is what follows `(?`.
fn refused_group(tail: &[u8]) -> Option<&'static str> {
    Some(match tail {
        [b'=' | b'!' | b'*', ..] => "look-ahead",
        [b'<', b'=' | b'!' | b'*', ..] => "look-behind",
        [b'>', ..] => "an atomic group",
        [b'|', ..] => "a branch reset group",
        [b'(', ..] => "a conditional group",
        [b'R' | b'&' | b'0'..=b'9', ..] | [b'P', b'>', ..] | [b'+' | b'-', b'0'..=b'9', ..] => "recursion",
        [b'P', b'=', ..] => "a backreference",
        [b'C', ..] => "a callout",
        [b'^' | b'-' | b'i' | b'm' | b's' | b'x' | b'n' | b'U' | b'J' | b'a' | b'r' | b')', ..] => {
            "options inside the pattern"
        }
        _ => return None,
    })
}

/// Where a group's name begins and how long it is, in `<name>`, `'name'` or `P<name>`.
fn group_name(tail: &[u8]) -> Option<(usize, usize)> {
    let (skip, close) = match tail {
        [b'P', b'<', ..] => (2, b'>'),
        [b'<', ..] => (1, b'>'),
        [b'\'', ..] => (1, b'\''),
        _ => return None,
    };
    let name = tail.get(skip..)?;
    let len = name.iter().position(|b| *b == close)?;
    let name = name.get(..len)?;
    let good = (1..=32).contains(&len) && name.iter().all(|b| is_word(*b)) && !name.first()?.is_ascii_digit();
    good.then_some((skip, len))
}

/// What an escape is called that is not taken over.
fn escape_name(letter: u8) -> String {
    let what = match letter {
        b'0' | b'o' => "an octal escape",
        b'1'..=b'9' | b'g' | b'k' => "a backreference",
        b'b' | b'B' => "a word boundary",
        b'A' | b'Z' | b'z' | b'G' => "an anchor",
        b'Q' | b'E' => "a quotation",
        b'K' => "a reset of the match's start",
        b'p' | b'P' | b'X' => "a Unicode property",
        b'C' => "a single code unit",
        b'R' => "a line break",
        b'c' => "a control character",
        b'N' => "a character by name",
        _ => "an unknown escape",
    };
    format!("{what} `\\{}`", char::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(pattern: &str) -> String {
        read(pattern.as_bytes()).unwrap_or_else(|e| panic!("{pattern}: {e:?}")).regex
    }

    fn refused(pattern: &str) -> String {
        read(pattern.as_bytes()).map(|p| p.regex).unwrap_err().what
    }

    #[test]
    fn what_means_the_same_is_taken_over() {
        assert_eq!(regex("/srv(/.*)?"), "/srv(?:/.*)?");
        assert_eq!(regex("/a\\.b\\-c"), "/a\\x2eb-c");
        assert_eq!(regex("^/x.+?$"), "/x.+");
        assert_eq!(regex("/[a-c]{2,}[]x]"), "/[\\x61-\\x63]{2,}[\\x5d-\\x5d\\x78-\\x78]");
        assert_eq!(regex("/a{x}{"), "/a\\x7bx\\x7d\\x7b");
        assert_eq!(regex("/(?<n>a|b)(?#c)c"), "/(?:a|b)c");
        assert_eq!(regex("/a|/b$|^/c"), "/a.*|.*/b|/c");
        assert_eq!(regex("/[[:digit:]-]"), "/[\\x2d-\\x2d\\x30-\\x39]");
    }

    #[test]
    fn one_text_is_known_as_such() {
        assert_eq!(read(b"/a\\.b").unwrap().literal.unwrap(), b"/a.b");
        assert_eq!(read(b"/a.b").unwrap().literal, None);
        assert!(read(b"/a|/b").unwrap().loose);
    }

    #[test]
    fn what_rust_lacks_or_reads_otherwise_is_refused_by_name() {
        for (pattern, what) in [
            ("/a(?=b)", "look-ahead"),
            ("/a(?<!b)c", "look-behind"),
            ("/(a)\\1", "a backreference `\\1`"),
            ("/(?P<n>a)(?P=n)", "a backreference"),
            ("/a++", "a possessive quantifier"),
            ("/a{2}+", "a possessive quantifier"),
            ("/(?>a)", "an atomic group"),
            ("/\\Qa.b\\E", "a quotation `\\Q`"),
            ("/(?i)a", "options inside the pattern"),
            ("/(?-s:.)", "options inside the pattern"),
            ("/a\\Kb", "a reset of the match's start `\\K`"),
            ("/(a(?R)?)", "recursion"),
            ("/(a(?1)?)", "recursion"),
            ("/\\pL", "a Unicode property `\\p`"),
            ("/a\\b", "a word boundary `\\b`"),
            ("/a$b", "a `$` inside the pattern"),
            ("/(a$)", "a `$` inside the pattern"),
            ("/a^b", "a `^` inside the pattern"),
            ("/a\\", "a `\\` at the end"),
            ("/(*COMMIT)a", "a verb `(*…)`"),
            ("/(?|a|b)", "a branch reset group"),
            ("/(?(1)a)", "a conditional group"),
            ("/a{,3}", "`{,N}`, a text before PCRE2 10.43 and a repetition since"),
            ("/a{2}{3}", "a quantifier on a quantifier"),
            ("/[\\d-z]", "a `-` beside a class in brackets"),
            ("/((a{100}){100}){100}", "more repetition than is sensible"),
            ("/\\2(a)", "a backreference to a group that there is not"),
            ("/(?=a)(", "a `(` that is not closed"),
            ("/(?<n>a)(?<n>b)", "two groups of the same name"),
            ("/^*", "a quantifier after what has no width"),
            ("/(a", "a `(` that is not closed"),
            ("/a)", "a `)` that closes nothing"),
            ("/[a", "a `[` that is not closed"),
            ("/[z-a]", "a range in brackets whose ends are in the wrong order"),
            ("/a{3,2}", "a repetition whose bounds are in the wrong order"),
            ("/a|*", "a `*` that repeats nothing"),
            ("/[:alpha:]", "a class such as `[:alpha:]` outside brackets"),
            ("/[[.x.]]", "a collating element in brackets"),
        ] {
            assert_eq!(refused(pattern), what, "{pattern}");
        }
        assert!(refused(&"(".repeat(100_000)).contains("groups in each other"));
    }
}
