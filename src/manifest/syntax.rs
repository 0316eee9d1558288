//! Mistakes in the TOML itself, said in the words of a manifest.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::text::quoted;
use crate::report::codes::manifest as codes;
use crate::report::{Diagnostic, Origin, Source};

/// What can be read of a text, and what is wrong with the rest.
pub(super) struct Readable<'s> {
    /// The text, with spaces where it cannot be read; every other byte is in its place.
    pub(super) text: Cow<'s, str>,
    /// The errors, at most one a line.
    pub(super) errors: Vec<Diagnostic>,
    /// Parts of the text that cannot be relied on.
    pub(super) guessed: Vec<Range<usize>>,
}

/// Finds all syntax errors. A bracket that is not closed swallows the text to its end: then its section is taken out
/// and the others are read without it.
pub(super) fn read(source: &Arc<Source>) -> Readable<'_> {
    /// How many sections may be taken out.
    const ROUNDS: usize = 8;
    /// A text with more errors is no manifest, and each costs a look at its line.
    const MOST: usize = 1000;
    let mut readable =
        Readable { text: Cow::Borrowed(&source.text), errors: Vec::new(), guessed: Vec::new() };
    let mut lines = HashSet::new();
    for _ in 0..ROUNDS {
        let errors: Vec<(String, Option<Range<usize>>)> = {
            let (_, errors) = DeTable::parse_recoverable(&readable.text);
            errors.iter().take(MOST).map(|e| (e.message().to_owned(), e.span())).collect()
        };
        let swallowed = swallowed(&errors);
        for (message, span) in errors {
            let at = span.as_ref().map_or(0, |s| s.start);
            let begins_swallowed = swallowed.as_ref().is_some_and(|r| r.start == at);
            if swallowed.as_ref().is_some_and(|r| r.contains(&at) || r.end == at) && !begins_swallowed {
                continue;
            }
            let line = line_at(&source.text, at);
            if lines.insert(line.start) {
                let mut d = diagnostic(source, &message, span);
                if begins_swallowed {
                    d = d.note("or", "the bracket before this is not closed");
                }
                readable.errors.push(d);
            }
            readable.guessed.push(match source.text.get(line.clone()) {
                // Under a header that cannot be read, keys belong to nobody knows what.
                Some(header) if header.trim_start().starts_with('[') => {
                    line.start..section_end(&source.text, line.end)
                }
                _ => line,
            });
        }
        let Some(swallowed) = swallowed else { break };
        let section =
            section_start(&source.text, swallowed.start)..section_end(&source.text, swallowed.start);
        readable.text = Cow::Owned(blank(&readable.text, section.clone()));
        readable.guessed.push(section);
    }
    readable
}

/// From the first place inside a bracket where its closing was missed, to where the parser gave up.
fn swallowed(errors: &[(String, Option<Range<usize>>)]) -> Option<Range<usize>> {
    let begins = |what: &[&str]| {
        let places = errors.iter().filter(|(m, _)| what.iter().any(|w| m.starts_with(w)));
        places.filter_map(|(_, span)| Some(span.as_ref()?.start)).min()
    };
    let end = begins(&["unclosed array,", "unclosed inline table"])?;
    let begin = begins(&["missing comma", "missing key"])?;
    (begin < end).then_some(begin..end)
}

/// The text with spaces in a part of it; line ends stay.
fn blank(text: &str, part: Range<usize>) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.char_indices() {
        if part.contains(&i) && c != '\n' {
            out.extend(std::iter::repeat_n(' ', c.len_utf8()));
        } else {
            out.push(c);
        }
    }
    out
}

/// The line around an offset, without its end.
fn line_at(text: &str, offset: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let offset = offset.min(bytes.len());
    let start = bytes.get(..offset).and_then(|b| memchr::memrchr(b'\n', b)).map_or(0, |i| i + 1);
    let end = bytes.get(offset..).and_then(|b| memchr::memchr(b'\n', b)).map_or(bytes.len(), |i| offset + i);
    start..end
}

/// Where the line after the last header before an offset begins.
fn section_start(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    let header = match before.rfind("\n[") {
        Some(i) => i + 1,
        None if before.starts_with('[') => 0,
        None => return 0,
    };
    line_at(text, header).end.min(offset)
}

/// Where the next header begins, from the end of a line on.
fn section_end(text: &str, from: usize) -> usize {
    text.get(from..).and_then(|t| t.find("\n[")).map_or(text.len(), |i| from + i)
}

/// What the parser found wrong at `span` (the whole text where it does not say), as a diagnostic.
fn diagnostic(source: &Arc<Source>, message: &str, span: Option<Range<usize>>) -> Diagnostic {
    let at = span.clone().unwrap_or(0..0);
    let origin = Origin::new(source, at.clone());
    if message == "duplicate key" {
        let key = source.text.get(at.clone()).unwrap_or_default();
        let header =
            source.text.get(line_at(&source.text, at.start)).is_some_and(|l| l.trim_start().starts_with('['));
        let message = format!("the key `{key}` is written twice");
        let d = Diagnostic::new(&codes::DUPLICATE_KEY, message, origin, "written again");
        return match header {
            true => d.note("help", "for several tables of one kind, two brackets: `[[path]]`"),
            false => d.note("help", "leave one of them"),
        };
    }
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (message, None),
    };
    let line = source.text.get(line_at(&source.text, at.start)).unwrap_or_default();
    let value = value_at(&source.text, at.start);
    let plain =
        |message: &str, label: &'static str| Diagnostic::new(&codes::SYNTAX, message, origin.clone(), label);
    match what {
        "unexpected leading zero" => {
            let whole = number_around(&source.text, at.start);
            let digits = source.text.get(whole.clone()).unwrap_or_default();
            let octal = digits.trim_start_matches('0');
            let mut d = plain("a number cannot begin with 0 in TOML", "begins with 0");
            d.origin = Origin::new(source, whole);
            if line.trim_start().starts_with("mode") {
                d.note(
                    "help",
                    format!(
                        "write a mode as `\"{digits}\"` or `0o{}`",
                        if octal.is_empty() { "0" } else { octal }
                    ),
                )
            } else {
                d.note(
                    "help",
                    format!(
                        "write `{}`, or `{}` in quotes",
                        if octal.is_empty() { "0" } else { octal },
                        quoted(digits)
                    ),
                )
            }
        }
        "string values must be quoted" if value.is_empty() => {
            plain("a key without a value", "a value is missing here")
        }
        "string values must be quoted" if matches!(value, "yes" | "no" | "on" | "off") => {
            let meant = if matches!(value, "yes" | "on") { "true" } else { "false" };
            plain("a string must be in quotes", "not a TOML value").note("help", format!("write `{meant}`"))
        }
        "string values must be quoted" => plain("a string must be in quotes", "not in quotes")
            .note("help", format!("write `{}`", quoted(value))),
        "key with no value" if line.trim_start().contains(':') && !line.contains('=') => {
            plain("a key without a value", "`=` was expected here")
                .note("help", "TOML writes `key = value`, not `key: value`")
        }
        "key with no value" => plain("a key without a value", "`=` and a value were expected here"),
        "missing escaped value" => {
            let escaped = source
                .text
                .get(at.start..)
                .and_then(|t| t.chars().next())
                .map(String::from)
                .unwrap_or_default();
            plain("a backslash begins an escape in a string in double quotes", "no escape")
                .note("help", format!("for a backslash write `\\\\{escaped}`, or put the string in single quotes: `'…\\{escaped}…'`"))
        }
        "carriage return must be followed by newline" => plain("a carriage return that ends no line", "here"),
        "recursion limit" | "cannot recurse further; max recursion depth met" => {
            plain("nested too deeply", "no manifest is so deep")
        }
        _ => {
            let label = match expected {
                None | Some("nothing") => "not expected here".to_owned(),
                Some(expected) => format!("expected {}", alternatives(expected)),
            };
            Diagnostic::new(&codes::SYNTAX, what, origin.clone(), label)
        }
    }
}

/// `a, b, c` as `a, b or c`.
fn alternatives(expected: &str) -> String {
    match expected.rsplit_once(", ") {
        Some((first, last)) => format!("{first} or {last}"),
        None => expected.to_owned(),
    }
}

/// The bare value that begins at an offset: to the comment or the end of the line.
fn value_at(text: &str, offset: usize) -> &str {
    let rest = text.get(offset..).and_then(|t| t.lines().next()).unwrap_or_default();
    rest.split(['#', ',', ']', '}']).next().unwrap_or_default().trim()
}

/// The number of which the byte at an offset is a digit.
fn number_around(text: &str, offset: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let digit = |i: &usize| bytes.get(*i).is_some_and(u8::is_ascii_digit);
    let mut start = offset;
    while start > 0 && digit(&(start - 1)) {
        start -= 1;
    }
    let end = (offset..).find(|i| !digit(i)).unwrap_or(offset);
    start..end
}
