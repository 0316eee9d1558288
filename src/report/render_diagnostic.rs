//! Diagnostics as text for a terminal, as plain sentences, and as JSON.
//!
//! What comes from a manifest may be hostile: everything is escaped here, and only an excerpt of the line is handed to
//! the drawing, short and free of anything that is not printable.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::escape::{escape_path, push_with};
use super::{Diagnostic, Origin, Severity};

/// How many characters of a line are shown; of a longer one, the part around the place.
const SHOWN: usize = 120;

/// Of a long line, how many characters before the place are shown.
const BEFORE: usize = 40;

/// As a compiler shows it: message, place, the line with what is wrong underlined, notes. With a final newline.
pub fn human(diagnostic: &Diagnostic, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    // Lines are cut to size here, where the place in them is known.
    let renderer = renderer.term_width(16 * SHOWN);
    let excerpt = Excerpt::of(&diagnostic.origin);
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = escape_path(diagnostic.origin.path());
    let annotation = AnnotationKind::Primary.span(excerpt.span.clone()).label(shown(&diagnostic.label));
    let snippet = Snippet::source(excerpt.text.as_str())
        .path(path.as_str())
        .line_start(excerpt.line)
        .annotation(annotation);
    let title = level.primary_title(shown(&diagnostic.message)).id(diagnostic.code.id);
    let mut group: Group<'_> = title.element(snippet);
    for (kind, text) in &diagnostic.notes {
        group = group.element(Level::NOTE.with_name(*kind).message(shown(text)));
    }
    let mut text = renderer.render(&[group]);
    text.push('\n');
    put_column(&mut text, &path, &excerpt);
    text
}

/// Puts the column of the source where the drawing has that of the excerpt (which may be cut, or hold escapes).
fn put_column(text: &mut String, path: &str, excerpt: &Excerpt) {
    let before = excerpt.text.get(..excerpt.span.start).unwrap_or_default().chars().count();
    let drawn = format!("{path}:{}:{}", excerpt.line, before + 1);
    let title = text.find('\n').unwrap_or(0);
    if let Some(at) = text.get(title..).and_then(|t| t.find(&drawn)).map(|i| i + title) {
        text.replace_range(at..at + drawn.len(), &format!("{path}:{}:{}", excerpt.line, excerpt.column));
    }
}

/// In sentences, a line each, for screen readers and for grep. With a final newline.
pub fn plain(diagnostic: &Diagnostic) -> String {
    let mut out = String::with_capacity(512);
    push_plain(&mut out, diagnostic);
    out
}

/// Adds what [`plain`] gives: of thousands, one text.
pub fn push_plain(out: &mut String, diagnostic: &Diagnostic) {
    let excerpt = Excerpt::of(&diagnostic.origin);
    let mut say = |parts: &[&str]| {
        for part in parts {
            push(out, part, "\\t");
        }
        out.push('\n');
    };
    say(&[word(diagnostic.severity), " ", diagnostic.code.id, ": ", &diagnostic.message]);
    let file = escape_path(diagnostic.origin.path());
    say(&["  file ", &file, ", line ", &excerpt.line.to_string(), ", column ", &excerpt.column.to_string()]);
    if !excerpt.text.trim().is_empty() {
        say(&["  the line: ", excerpt.text.trim()]);
    }
    match excerpt.text.get(excerpt.span.clone()).unwrap_or_default().trim() {
        "" => say(&["  here: ", &diagnostic.label]),
        there => say(&["  at ", there, ": ", &diagnostic.label]),
    }
    for (kind, text) in &diagnostic.notes {
        say(&["  ", kind, ": ", text]);
    }
}

/// As an object: `code`, `severity`, `message`, `file`, `line` and `column` (from 1, in characters), `end` (`line` and
/// `column`, one past the last character), `label`, `notes` (each `kind` and `text`). Texts are as they are: JSON has
/// its own escapes; a `file` whose name is not UTF-8 has `\xNN` for such bytes.
pub fn json(diagnostic: &Diagnostic) -> Value {
    let origin = &diagnostic.origin;
    let (line, column) = origin.source.position(origin.start);
    let (end_line, end_column) = origin.source.position(origin.end);
    let file = match origin.path().to_str() {
        Some(path) => path.to_owned(),
        None => escape_path(origin.path()),
    };
    let notes: Vec<_> =
        diagnostic.notes.iter().map(|(kind, text)| json!({ "kind": kind, "text": text })).collect();
    json!({
        "code": diagnostic.code.id,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": file,
        "line": line,
        "column": column,
        "end": { "line": end_line, "column": end_column },
        "label": diagnostic.label,
        "notes": notes,
    })
}

/// A text on one line, safe for a terminal. Unlike in [`escape`], a backslash is itself: texts hold regular expressions
/// and TOML, which are there to be copied.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push(&mut out, text, "\\t");
    out
}

/// The word for a severity.
fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// One line of a source, fit to be shown, and the place in it.
struct Excerpt {
    line: usize,
    column: usize,
    text: String,
    /// Bytes of `text`.
    span: Range<usize>,
}

impl Excerpt {
    /// The line in which a place begins. A place that goes on over several lines is shown to the end of the first.
    fn of(origin: &Origin) -> Excerpt {
        let (line, column) = origin.source.position(origin.start);
        let source = origin.source.text.as_str();
        let mut start = origin.start.min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        let (before, after) = source.split_at(start);
        let before = before.rsplit('\n').next().unwrap_or_default();
        let after = after.split('\n').next().unwrap_or_default();
        let after = after.strip_suffix('\r').unwrap_or(after);
        let covered = origin.end.saturating_sub(start);

        let mut text = String::new();
        let length = before.chars().count();
        let skipped = match length {
            n if n + nth_and_number(after, SHOWN).1 <= SHOWN => 0,
            n => n.saturating_sub(BEFORE),
        };
        if skipped > 0 {
            text.push('…');
        }
        push(&mut text, before.get(nth(before, skipped)..).unwrap_or_default(), TAB);
        let from = text.len();
        let (visible, hidden) = after.split_at(nth(after, SHOWN.saturating_sub(length - skipped)));
        let mut covered = covered.min(visible.len());
        while !visible.is_char_boundary(covered) {
            covered += 1;
        }
        let (there, behind) = visible.split_at(covered);
        push(&mut text, there, TAB);
        let to = text.len();
        push(&mut text, behind, TAB);
        if !hidden.is_empty() {
            text.push('…');
        }
        Excerpt { line, column, text, span: from..to }
    }
}

/// The byte at which the character of this number begins, or the end.
fn nth(text: &str, number: usize) -> usize {
    nth_and_number(text, number).0
}

/// That, and how many characters come before it.
fn nth_and_number(text: &str, number: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    match bytes.get(..number) {
        Some(head) if head.is_ascii() => (number, number),
        None if bytes.is_ascii() => (text.len(), text.len()),
        _ => {
            let at = text.char_indices().nth(number).map_or(text.len(), |(at, _)| at);
            (at, text.get(..at).unwrap_or(text).chars().count())
        }
    }
}

/// How a tab is drawn in an excerpt.
const TAB: &str = "    ";

/// A part of a line, as it can be shown, with this for a tab. A backslash is itself: the line is to look as it was written.
fn push(out: &mut String, text: &str, tab: &str) {
    push_with(out, text, |out, c| {
        match c {
            '\t' => out.push_str(tab),
            '\\' => out.push(c),
            '\n' => out.push_str("\\n"),
            _ => out.push_str("\\r"),
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Source;
    use crate::report::codes::manifest::UNKNOWN_KEY;

    fn show(text: &str, span: Range<usize>) -> String {
        let source = Source::new("m.toml", text);
        human(&Diagnostic::new(&UNKNOWN_KEY, "message", Origin::new(&source, span), "label"), false)
    }

    #[test]
    fn the_line_is_shown_with_what_is_wrong_underlined() {
        assert_eq!(
            show("a = 1\nacess = 2\n", 6..11),
            "error[manifest::unknown-key]: message\n --> m.toml:2:1\n  |\n2 | acess = 2\n  | ^^^^^ label\n"
        );
    }

    #[test]
    fn tabs_and_carriage_returns_and_wide_characters_do_not_shift_the_mark() {
        assert!(show("\tacess = 2\r\n", 1..6).contains("1 |     acess = 2\n  |     ^^^^^ label"));
        assert!(show("\tacess = 2\r\n", 1..6).contains("m.toml:1:2\n"));
        assert!(show("ä = 1; b = 2\n", 8..9).contains("1 | ä = 1; b = 2\n  |        ^ label"));
        assert!(show("名 b", 4..5).contains("1 | 名 b\n  |    ^ label"), "{}", show("名 b", 4..5));
    }

    #[test]
    fn a_terminal_is_told_nothing_by_the_line() {
        let shown = show("x = \"\u{1b}[2J\u{202e}\u{9b}\"\n", 4..14);
        assert!(shown.contains("1 | x = \"\\x1b[2J\\u{202e}\\u{9b}\"\n"), "{shown}");
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}WRONG{}", "a".repeat(100_000), "b".repeat(100_000));
        let shown = show(&text, 100_000..100_005);
        assert!(shown.len() < 600 && shown.contains("aWRONGb") && shown.contains("…"), "{shown}");
        assert!(shown.contains("m.toml:1:100001"));
        let source = Source::new("m.toml", text.as_str());
        let d = Diagnostic::new(&UNKNOWN_KEY, "message", Origin::new(&source, 100_000..100_005), "label");
        assert!(human(&d, true).contains("m.toml:1:100001"), "in colour, too");
        let whole = show(&text, 0..200_005);
        assert!(whole.len() < 600, "{whole}");
    }

    #[test]
    fn any_place_in_any_text_can_be_shown() {
        for text in ["", "\n", "a", "é\r\n\t", "\u{feff}x\n\n\n"] {
            for start in 0..text.len() + 3 {
                for end in start..text.len() + 3 {
                    let d = Diagnostic::new(
                        &UNKNOWN_KEY,
                        "",
                        Origin::new(&Source::new("p", text), start..end),
                        "",
                    );
                    assert!(!human(&d, true).is_empty() && !plain(&d).is_empty());
                    assert!(json(&d)["line"].is_u64());
                }
            }
        }
    }
}
