//! Texts that findings point into, and places in them.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A text as it was read, with the path it is cited by.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user named it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    /// Wraps `text`, read from `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let lines = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Arc::new(Source { path: path.into(), lines: lines.collect(), text })
    }

    /// The line (from 1) of a byte offset, and the byte at which it begins.
    pub fn line_of(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        (line, line.checked_sub(1).and_then(|n| self.lines.get(n)).copied().unwrap_or(0))
    }

    /// Line (from 1) and column (from 1, in characters) of a byte offset; an offset past the end is the end.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let (line, start) = self.line_of(end);
        let column = self.text.get(start..end).unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

/// A range of bytes in a [`Source`]: what a finding cites as its cause.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The text.
    pub source: Arc<Source>,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Origin {
    /// The place `span` in `source`.
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        Origin { source: Arc::clone(source), start: span.start, end: span.end.max(span.start) }
    }

    /// The path of the text.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Line, from 1.
    pub fn line(&self) -> usize {
        self.source.position(self.start).0
    }

    /// Column, from 1, in characters.
    pub fn column(&self) -> usize {
        self.source.position(self.start).1
    }

    /// The bytes covered.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.start);
        write!(f, "{}:{line}:{column}", self.source.path.display())
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> Spanned<T> {
    /// `value`, written at `origin`.
    pub fn new(value: T, origin: Origin) -> Self {
        Spanned { value, origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_survive_any_offset() {
        let s = Source::new("x", "a\nbé c\n");
        assert_eq!(s.position(0), (1, 1));
        assert_eq!(s.position(2), (2, 1));
        assert_eq!(s.position(4), (2, 2), "inside a character: its start");
        assert_eq!(s.position(5), (2, 3));
        assert_eq!(s.position(1000), (3, 1));
    }
}
