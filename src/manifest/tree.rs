//! The spanned tree of one manifest, and where mistakes in it are gathered.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use super::keys::Table;
use crate::report::{Code, Diagnostic, Origin, Source, Spanned};

/// A value of the tree.
pub(super) type Value<'t> = TomlSpanned<DeValue<'t>>;

/// Gathers what is wrong with one manifest.
pub(super) struct Sink {
    pub(super) source: Arc<Source>,
    diagnostics: Vec<Diagnostic>,
    /// Lines (their first bytes) with a syntax error: what was read from them is the parser's guess.
    guessed: HashSet<usize>,
}

impl Sink {
    pub(super) fn new(source: &Arc<Source>) -> Self {
        Sink { source: Arc::clone(source), diagnostics: Vec::new(), guessed: HashSet::new() }
    }

    /// The place of a range of bytes.
    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        Origin::new(&self.source, span)
    }

    /// Adds a syntax error; no mistake in meaning will be reported on its line.
    pub(super) fn syntax(&mut self, diagnostic: Diagnostic) {
        let line = self.line_start(diagnostic.origin.start);
        // A value that is missing at the end of a line is often an error at the start of the next.
        self.guessed.insert(line);
        self.diagnostics.push(diagnostic);
    }

    /// Whether the text has syntax errors, so that what seems absent may only be unreadable.
    pub(super) fn is_broken(&self) -> bool {
        !self.guessed.is_empty()
    }

    /// Adds a mistake in meaning, unless it is about what the parser guessed.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if !self.is_broken() || !self.guessed.contains(&self.line_start(diagnostic.origin.start)) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds a mistake that consists of something being absent, unless it may be there, unreadable.
    pub(super) fn absent(&mut self, diagnostic: Diagnostic) {
        if !self.is_broken() {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds what a reader of a value found, and gives the value if it was right.
    pub(super) fn value<T>(&mut self, span: Range<usize>, read: Result<T, Flaw>) -> Option<Spanned<T>> {
        let origin = self.origin(span);
        match read {
            Ok(value) => Some(Spanned::new(value, origin)),
            Err(flaw) => {
                self.push(flaw.at(origin));
                None
            }
        }
    }

    /// All that was gathered, in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|d| (d.origin.start, d.origin.end));
        self.diagnostics
    }

    fn line_start(&self, offset: usize) -> usize {
        let before = self.source.text.as_bytes().get(..offset).unwrap_or_default();
        memchr::memrchr(b'\n', before).map_or(0, |i| i + 1)
    }
}

/// What is wrong with a value, wherever it stands.
#[derive(Debug)]
pub(super) struct Flaw {
    code: Code,
    message: String,
    label: String,
    notes: Vec<(&'static str, String)>,
}

impl Flaw {
    pub(super) fn new(code: Code, message: impl Into<String>, label: impl Into<String>) -> Self {
        Flaw { code, message: message.into(), label: label.into(), notes: Vec::new() }
    }

    pub(super) fn note(mut self, kind: &'static str, text: impl Into<String>) -> Self {
        self.notes.push((kind, text.into()));
        self
    }

    pub(super) fn at(self, origin: Origin) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.code, self.message, origin, self.label);
        diagnostic.notes = self.notes;
        diagnostic
    }
}

/// One table of the tree, read key by key. A value whose shape is not that of [`super::keys`] reads as absent: it was
/// reported by [`super::shape::check`].
#[derive(Clone)]
pub(super) struct Reader<'t> {
    table: &'t DeTable<'t>,
    keys: &'static Table,
    /// Place of the header, or of the whole inline table.
    pub(super) span: Range<usize>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, keys: &'static Table, span: Range<usize>) -> Self {
        Reader { table, keys, span }
    }

    /// The value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&'t Value<'t>> {
        debug_assert!(self.keys.key(key).is_some(), "`{key}` is in the table of keys");
        self.table.get(key)
    }

    /// Place of a key.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(k, _)| k.span())
    }

    pub(super) fn text(&self, key: &str) -> Option<(&'t str, Range<usize>)> {
        let value = self.value(key)?;
        Some((value.get_ref().as_str()?, value.span()))
    }

    pub(super) fn flag(&self, key: &str) -> Option<(bool, Range<usize>)> {
        let value = self.value(key)?;
        Some((value.get_ref().as_bool()?, value.span()))
    }

    pub(super) fn table(&self, key: &str, keys: &'static Table) -> Option<Reader<'t>> {
        let value = self.value(key)?;
        Some(Reader::new(value.get_ref().as_table()?, keys, value.span()))
    }

    /// The tables of an array of tables.
    pub(super) fn tables(&self, key: &str, keys: &'static Table) -> Vec<Reader<'t>> {
        let elements = self.value(key).and_then(|v| v.get_ref().as_array());
        elements
            .into_iter()
            .flat_map(|a| a.iter())
            .filter_map(|v| Some(Reader::new(v.get_ref().as_table()?, keys, v.span())))
            .collect()
    }

    /// The strings of an array, and its place.
    pub(super) fn texts(&self, key: &str) -> Option<(Vec<(&'t str, Range<usize>)>, Range<usize>)> {
        let value = self.value(key)?;
        let elements = value.get_ref().as_array()?;
        let texts = elements.iter().filter_map(|v| Some((v.get_ref().as_str()?, v.span()))).collect();
        Some((texts, value.span()))
    }

    /// The entries of a table with free keys, in the order of the text.
    pub(super) fn entries(&self, key: &str) -> Vec<(&'t str, Range<usize>, &'t Value<'t>)> {
        let table = self.value(key).and_then(|v| v.get_ref().as_table());
        let mut entries: Vec<_> = table
            .into_iter()
            .flat_map(|t| t.iter())
            .map(|(k, v)| (k.get_ref().as_ref(), k.span(), v))
            .collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        entries
    }
}
