//! The `key=value` fields of a record's body.
//!
//! As written by the kernel, a value is bare (up to a space), or in double quotes, or in upper-case hexadecimal if
//! it holds a quote, a space, a control character or a byte that is not ASCII: so a plain reading from left to right
//! cannot be led astray by what a value says. `ausearch -i` decodes the values and loses the quotes; there a value
//! is read up to the next key that the record type is known to have, and nothing that decides is taken from it.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The key; empty for a bare word.
    pub key: &'a [u8],
    /// The value without its quotes.
    pub value: &'a [u8],
    /// Whether it was in double quotes: then it is never hexadecimal.
    pub quoted: bool,
    /// Offset of the key in the text.
    pub start: usize,
    /// Offset after the value (and its closing quote).
    pub end: usize,
}

/// The fields of `text` from left to right, quotes respected.
pub fn fields(text: &[u8]) -> Fields<'_> {
    Fields { text, at: 0 }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.iter().position(|b| !matches!(b, b' ' | b','))?;
        let rest = self.text.get(start..)?;
        // Keys and most values are so short that no search is worth its beginning.
        let word = rest.iter().position(|b| matches!(b, b'=' | b' ')).unwrap_or(rest.len());
        if rest.get(word) != Some(&b'=') {
            self.at = start + word;
            return Some(Field { key: b"", value: rest.get(..word)?, quoted: false, start, end: self.at });
        }
        let key = rest.get(..word)?;
        let value = rest.get(word + 1..)?;
        let (value, quoted, len) = match value.strip_prefix(b"\"").and_then(|v| Some((v, memchr(b'"', v)?))) {
            Some((inner, close)) => (inner.get(..close)?, true, close + 2),
            None => {
                let len = word_len(value);
                (value.get(..len)?, false, len)
            }
        };
        self.at = start + word + 1 + len;
        Some(Field { key, value, quoted, start, end: self.at })
    }
}

/// Reads fields in the order in which the kernel writes them: what a reader of all fields would find, where it is so.
#[derive(Debug, Clone, Copy)]
pub(super) struct InOrder<'a>(pub(super) &'a [u8]);

impl<'a> InOrder<'a> {
    /// The value of `key` (with its `=`), if that is what comes next, whether in quotes or not.
    #[inline]
    pub(super) fn next<const N: usize>(&mut self, key: &'static [u8; N]) -> Option<Field<'a>> {
        let (found, rest) = self.0.strip_prefix(b" ").unwrap_or(self.0).split_first_chunk::<N>()?;
        if found != key {
            return None;
        }
        let (value, quoted, rest) = match rest.strip_prefix(b"\"") {
            None => {
                let (value, rest) = rest.split_at_checked(word_len(rest))?;
                (value, false, rest)
            }
            Some(inner) => {
                let (value, rest) = inner.split_at_checked(quote(inner)?)?;
                (value, true, rest.get(1..)?)
            }
        };
        // Whatever follows must be another field, or the end.
        if !rest.is_empty() && !matches!(rest, [b' ', next, ..] if !matches!(next, b' ' | b',')) {
            return None;
        }
        self.0 = rest;
        let key = key.strip_suffix(b"=")?;
        Some(Field { key, value, quoted, start: 0, end: 0 })
    }
}

/// A byte eight times.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Where the first of eight bytes is that is below `bound` (1 to 128): with the borrow, a bit may be set behind the first
/// alone.
fn first_below(bytes: u64, bound: u64) -> Option<usize> {
    let below = bytes.wrapping_sub(EACH * bound) & !bytes & (EACH * 0x80);
    (below != 0).then(|| (below.trailing_zeros() / 8) as usize)
}

/// Where the first of eight bytes is that is this one.
fn first_of(eight: &[u8; 8], byte: u8) -> Option<usize> {
    first_below(u64::from_le_bytes(*eight) ^ (EACH * u64::from(byte)), 1)
}

/// Where the next quote is, which mostly is near.
fn quote(text: &[u8]) -> Option<usize> {
    for (number, eight) in text.as_chunks::<8>().0.iter().take(3).enumerate() {
        if let Some(at) = first_of(eight, b'"') {
            return Some(number * 8 + at);
        }
    }
    memchr(b'"', text)
}

/// How far it is to the next space, quote, control character or `!`.
pub(super) fn plain_len(text: &[u8]) -> usize {
    len_until(text, |eight| first_below(u64::from_le_bytes(*eight), 0x23), |byte| byte < 0x23)
}

/// How far it is to the next space.
fn word_len(text: &[u8]) -> usize {
    len_until(text, |eight| first_of(eight, b' '), |byte| byte == b' ')
}

/// How far it is to what is looked for. Most words are so short that no search is worth its beginning: eight bytes at a time.
#[inline]
fn len_until(
    text: &[u8],
    of_eight: impl Fn(&[u8; 8]) -> Option<usize>,
    of_one: impl Fn(u8) -> bool,
) -> usize {
    let (eights, rest) = text.as_chunks::<8>();
    let mut len = 0;
    for eight in eights {
        if let Some(at) = of_eight(eight) {
            return len + at;
        }
        len += 8;
    }
    len + rest.iter().position(|byte| of_one(*byte)).unwrap_or(rest.len())
}

impl<'a> Field<'a> {
    /// The value as it is, `?` and `(null)` as nothing: of what is never written in hexadecimal, as numbers are.
    pub fn plain(&self) -> Option<&'a [u8]> {
        (!matches!(self.value, b"" | b"?" | b"(null)" | b"(none)")).then_some(self.value)
    }

    /// The value as the program meant it: hexadecimal decoded, `?` and `(null)` as nothing.
    pub fn decoded(&self) -> Option<Cow<'a, [u8]>> {
        if self.quoted {
            return Some(Cow::Borrowed(self.value));
        }
        match self.value {
            b"" | b"?" | b"(null)" | b"(none)" => None,
            value => Some(unhex(value).map_or(Cow::Borrowed(value), Cow::Owned)),
        }
    }

    /// The value as a number.
    pub fn number(&self) -> Option<u64> {
        super::record::number(self.value)
    }
}

/// Bytes of a hexadecimal value; `None` if it is none.
pub fn unhex(value: &[u8]) -> Option<Vec<u8>> {
    if value.is_empty() || !value.len().is_multiple_of(2) {
        return None;
    }
    let (pairs, _) = value.as_chunks::<2>();
    let mut bytes = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        bytes.push(nibble(*high)? << 4 | nibble(*low)?);
    }
    Some(bytes)
}

fn nibble(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// Fields of an interpreted record: each value runs up to the next of `keys`.
///
/// A value that itself holds ` key=` is read short, and gives a field that nobody wrote: what decides anything is taken from where
/// no such value stands before it.
pub fn interpreted<'a>(text: &'a [u8], keys: &[&[u8]], mut each: impl FnMut(&'a [u8], &'a [u8])) {
    let mut open: Option<(&'a [u8], usize)> = None;
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let key = keys.iter().find(|k| rest.starts_with(k) && rest.get(k.len()) == Some(&b'='));
        if let Some(key) = key {
            if let Some((key, start)) = open.take() {
                each(key, value_between(text, start, at));
            }
            let start = at + key.len() + 1;
            open = Some((text.get(at..at + key.len()).unwrap_or_default(), start));
        }
        // The next place where a key may begin: after a space.
        match memchr(b' ', rest) {
            Some(space) => at += space + 1,
            None => break,
        }
    }
    if let Some((key, start)) = open {
        each(key, value_between(text, start, text.len()));
    }
}

fn value_between(text: &[u8], start: usize, end: usize) -> &[u8] {
    let value = text.get(start..end).unwrap_or_default().trim_ascii_end();
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

/// The text in the `msg='…'` of a record that a program sent; `None` if there is no `msg='`, or no closing quote.
pub fn message(body: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(body, b"msg='")?;
    let text = body.get(at + 5..)?;
    // The closing quote is the last one: what is inside may hold others.
    text.get(..memchr::memrchr(b'\'', text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<(String, String)> {
        let s = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        fields(text.as_bytes()).map(|f| (s(f.key), s(&f.decoded().unwrap_or_default()))).collect()
    }

    #[test]
    fn quotes_hexadecimal_and_bare_values() {
        let f =
            list(r#"pid=1 comm="a b=c" name=2F612062 exe="2F61" key=(null) dev=fe:00 word x="unclosed y=2"#);
        let expected = [
            ("pid", "1"),
            ("comm", "a b=c"),
            ("name", "/a b"),
            ("exe", "2F61"),
            ("key", ""),
            ("dev", "fe:00"),
            ("", "word"),
            ("x", "\"unclosed"),
            ("y", "2"),
        ];
        assert_eq!(f, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn interpreted_values_run_to_the_next_known_key() {
        let mut got = Vec::new();
        interpreted(b"item=0 name=/a b c inode=5 nametype=NORMAL", &[b"item", b"name", b"inode"], |k, v| {
            got.push((k, v));
        });
        assert_eq!(got, [(&b"item"[..], &b"0"[..]), (b"name", b"/a b c"), (b"inode", b"5 nametype=NORMAL")]);
    }
}
