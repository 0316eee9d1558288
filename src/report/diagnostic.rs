//! A diagnostic: one mistake or risk in a text that somebody wrote, shown as a compiler would.

use std::borrow::Cow;

use super::{Code, Origin, Severity};

/// A message about a place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// What is the matter, in one line without a period.
    pub message: String,
    /// The place.
    pub origin: Origin,
    /// What is said at the place itself.
    pub label: Cow<'static, str>,
    /// Further lines, each with its kind (`why`, `help`, `narrower`, `note` …).
    pub notes: Vec<(&'static str, Cow<'static, str>)>,
}

impl Diagnostic {
    /// A diagnostic with the code's own severity.
    pub fn new(
        code: Code,
        message: impl Into<String>,
        origin: Origin,
        label: impl Into<Cow<'static, str>>,
    ) -> Self {
        Diagnostic {
            code,
            severity: code.severity,
            message: message.into(),
            origin,
            label: label.into(),
            notes: Vec::new(),
        }
    }

    /// Adds a line.
    #[must_use]
    pub fn note(mut self, kind: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        self.notes.push((kind, text.into()));
        self
    }
}
