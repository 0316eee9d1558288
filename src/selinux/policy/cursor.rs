//! Reading and writing the format's little-endian numbers, texts and counts.

use std::borrow::Cow;

use compact_str::CompactString;

use super::error::ReadError;

pub(super) type Result<T> = std::result::Result<T, ReadError>;

/// A place in the file, with the section's name for errors.
pub(super) struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
    section: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, section: "header" }
    }

    /// What follows belongs to this section.
    pub(super) fn section(&mut self, name: &'static str) {
        self.section = name;
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    #[cold]
    pub(super) fn fail<T>(
        &self,
        offset: usize,
        expected: impl Into<Cow<'static, str>>,
        found: impl ToString,
    ) -> Result<T> {
        Err(ReadError { expected: expected.into(), found: found.to_string(), offset, section: self.section })
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest().first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => self.short(N),
        }
    }

    #[cold]
    fn short<T>(&self, wanted: usize) -> Result<T> {
        self.fail(self.at, format!("{wanted} more bytes"), format!("{}", self.rest().len()))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.rest().get(..len) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => self.short(len),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// `N` numbers that stand side by side.
    pub(super) fn u32s<const N: usize>(&mut self) -> Result<[u32; N]> {
        let Some((numbers, _)) = self.rest().split_at_checked(4 * N) else { return self.short(4 * N) };
        let mut out = [0; N];
        for (slot, bytes) in out.iter_mut().zip(numbers.as_chunks().0) {
            *slot = u32::from_le_bytes(*bytes);
        }
        self.at += 4 * N;
        Ok(out)
    }

    /// Moves on by so many bytes, or to the end where there are fewer.
    pub(super) fn skip(&mut self, len: usize) {
        self.at += len.min(self.rest().len());
    }

    /// A number of items of at least `min_size` bytes each; refused where so many cannot follow, so that a count may
    /// size an allocation.
    pub(super) fn count(&mut self, min_size: usize, what: &'static str) -> Result<usize> {
        let at = self.at;
        let n = self.u32()?;
        self.check_count(at, n, min_size, what)
    }

    pub(super) fn check_count(
        &self,
        at: usize,
        n: u32,
        min_size: usize,
        what: &'static str,
    ) -> Result<usize> {
        let most = self.rest().len() / min_size;
        let n = n as usize;
        if n > most {
            return self.fail(at, format!("at most {most} {what} in the bytes that are left"), n);
        }
        Ok(n)
    }

    /// A symbol's name of `len` bytes.
    pub(super) fn name(&mut self, len: u32, what: &'static str) -> Result<CompactString> {
        let at = self.at;
        let bytes = self.bytes(len as usize)?;
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.is_empty() && !has_control(bytes) => Ok(text.into()),
            _ => self.fail(at, format!("the name of {what}"), Quoted(bytes)),
        }
    }

    /// A file's or a path's name of `len` bytes; any bytes but NUL.
    pub(super) fn file_name(&mut self, len: u32, what: &'static str) -> Result<Box<[u8]>> {
        let at = self.at;
        let bytes = self.bytes(len as usize)?;
        if bytes.contains(&0) {
            return self.fail(at, format!("the name of {what}"), Quoted(bytes));
        }
        Ok(bytes.into())
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<()> {
        match self.rest().len() {
            0 => Ok(()),
            n => self.fail(self.at, "the end of the policy", format!("{n} more bytes")),
        }
    }
}

/// Looks at all bytes, which is quicker than to stop at the first.
#[inline]
fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, b| found | (*b < 0x20) | (*b == 0x7f))
}

/// Bytes of the file in an error: the beginning, in backticks, what is not UTF-8 as U+FFFD.
struct Quoted<'a>(&'a [u8]);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.0.get(..40).unwrap_or(self.0);
        let more = if shown.len() < self.0.len() { "…" } else { "" };
        write!(f, "`{}{more}`", String::from_utf8_lossy(shown).escape_debug())
    }
}

/// What is written back.
#[derive(Default)]
pub(super) struct Sink(pub(super) Vec<u8>);

impl Sink {
    pub(super) fn u8(&mut self, v: u8) {
        self.0.push(v);
    }

    pub(super) fn u16(&mut self, v: u16) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    pub(super) fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    pub(super) fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    pub(super) fn u32s(&mut self, values: &[u32]) {
        for v in values {
            self.u32(*v);
        }
    }

    /// A count. What is in memory came from u32 counts or from an edit bounded by u16 ids, so it always fits.
    pub(super) fn count(&mut self, n: usize) {
        self.u32(u32::try_from(n).unwrap_or(u32::MAX));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}
