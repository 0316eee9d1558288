//! The spanned tree of one manifest, and where mistakes in it are gathered.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use super::keys::Table;
use crate::report::{Code, Diagnostic, Origin, Source, Spanned};

/// A string of the tree, and its place.
pub(super) type Placed<'t> = (&'t str, Range<usize>);

/// A value of the tree.
pub(super) type Value<'t> = TomlSpanned<DeValue<'t>>;

/// How many diagnostics of one manifest are kept; a hostile text could hold hundreds of thousands of mistakes.
const MOST: usize = 1000;

/// Gathers what is wrong with one manifest.
pub(super) struct Sink {
    pub(super) source: Arc<Source>,
    diagnostics: Vec<Diagnostic>,
    /// How many were not kept.
    dropped: usize,
    /// Parts of the text that the parser guessed, because of a syntax error; sorted, apart from each other.
    guessed: Vec<Range<usize>>,
}

impl Sink {
    pub(super) fn new(source: &Arc<Source>) -> Self {
        Sink { source: Arc::clone(source), diagnostics: Vec::new(), dropped: 0, guessed: Vec::new() }
    }

    /// The place of a range of bytes.
    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        Origin::new(&self.source, span)
    }

    /// Adds all syntax errors; `guessed` are the parts of the text that cannot be relied on because of them.
    pub(super) fn syntax(&mut self, errors: Vec<Diagnostic>, mut guessed: Vec<Range<usize>>) {
        for error in errors {
            self.keep(error);
        }
        guessed.sort_by_key(|r| (r.start, r.end));
        for part in guessed {
            match self.guessed.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => self.guessed.push(part),
            }
        }
    }

    /// Whether the text has syntax errors, so that what seems absent may only be unreadable.
    pub(super) fn is_broken(&self) -> bool {
        !self.guessed.is_empty()
    }

    /// Adds a mistake in meaning, unless it is about what the parser guessed.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        let at = diagnostic.origin.start;
        let next = self.guessed.partition_point(|r| r.start <= at);
        let guess = next.checked_sub(1).and_then(|i| self.guessed.get(i));
        if guess.is_none_or(|r| at > r.end) {
            self.keep(diagnostic);
        }
    }

    /// Adds a mistake that consists of something being absent, unless it may be there, unreadable.
    pub(super) fn absent(&mut self, diagnostic: Diagnostic) {
        if !self.is_broken() {
            self.keep(diagnostic);
        }
    }

    /// `line N`, of where something was said first. Finding a line takes a look at the whole text before it, so of
    /// diagnostics that will not be kept nothing is looked for.
    pub(super) fn line(&self, first: &Origin) -> String {
        if self.diagnostics.len() < MOST { format!("line {}", first.line()) } else { String::new() }
    }

    fn keep(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MOST {
            self.diagnostics.push(diagnostic);
        } else {
            self.dropped += 1;
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

    /// All that was gathered, in the order of the text, and how many more there were.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, usize) {
        self.diagnostics.sort_by_key(|d| (d.origin.start, d.origin.end));
        (self.diagnostics, self.dropped)
    }
}

/// What is wrong with a value, wherever it stands.
#[derive(Debug)]
pub(super) struct Flaw {
    code: Code,
    message: String,
    label: String,
    notes: Vec<(&'static str, Cow<'static, str>)>,
}

impl Flaw {
    pub(super) fn new(code: Code, message: impl Into<String>, label: impl Into<String>) -> Self {
        Flaw { code, message: message.into(), label: label.into(), notes: Vec::new() }
    }

    pub(super) fn note(mut self, kind: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
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

    /// Whether it has keys that are not known: what seems absent may only be misspelt.
    pub(super) fn has_unknown(&self) -> bool {
        self.table.keys().any(|k| self.keys.key(k.get_ref()).is_none())
    }

    pub(super) fn text(&self, key: &str) -> Option<Placed<'t>> {
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
    pub(super) fn texts(&self, key: &str) -> Option<(Vec<Placed<'t>>, Range<usize>)> {
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
