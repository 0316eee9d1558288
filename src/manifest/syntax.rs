//! Mistakes in the TOML itself, said in the words of a manifest.

use std::ops::Range;
use std::sync::Arc;

use super::text::quoted;
use crate::report::codes::manifest as codes;
use crate::report::{Diagnostic, Origin, Source};

/// What the parser found wrong at `span` (the whole text where it does not say), as a diagnostic.
pub(super) fn diagnostic(source: &Arc<Source>, message: &str, span: Option<Range<usize>>) -> Diagnostic {
    let at = span.clone().unwrap_or(0..0);
    let origin = Origin::new(source, at.clone());
    if message == "duplicate key" {
        let key = source.text.get(at).unwrap_or_default();
        return Diagnostic::new(
            &codes::DUPLICATE_KEY,
            format!("the key `{key}` is written twice"),
            origin,
            "written again",
        )
        .note("help", "an array of tables has two brackets: `[[path]]`; of a plain key, leave one");
    }
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (message, None),
    };
    let line = line_of(&source.text, at.start);
    let value = value_at(&source.text, at.start);
    let plain = |message: &str, label: &str| Diagnostic::new(&codes::SYNTAX, message, origin.clone(), label);
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
        "carriage return must be followed by newline" => plain("a carriage return that ends no line", "here"),
        "recursion limit" | "cannot recurse further; max recursion depth met" => {
            plain("nested too deeply", "no manifest is so deep")
        }
        _ => {
            let label = match expected {
                None | Some("nothing") => "not expected here".to_owned(),
                Some(expected) => format!("expected {}", alternatives(expected)),
            };
            plain(what, &label)
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

fn line_of(text: &str, offset: usize) -> &str {
    let start = text.get(..offset).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
    text.get(start..).and_then(|t| t.lines().next()).unwrap_or_default()
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
