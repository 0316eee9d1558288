//! The shape of a manifest, checked against the table of keys: keys that are not known, keys that are missing, values
//! of the wrong type, words that are none of those allowed.

use std::collections::HashSet;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::keys::{Absent, Key, Shape, Table, list};
use super::text::quoted;
use super::tree::{Sink, Value};
use crate::report::Diagnostic;
use crate::report::codes::manifest as codes;
use crate::report::nearest;

/// Reports every mistake of shape in `table`, at `span`, and in all below it. The depth is that of the table of keys,
/// whatever the depth of the text.
pub(super) fn check(sink: &mut Sink, table: &DeTable<'_>, keys: &'static Table, span: Range<usize>) {
    let mut meant = HashSet::new();
    for (name, value) in table {
        match keys.key(name.get_ref()) {
            Some(key) => check_value(sink, key, value),
            None => meant.extend(unknown(sink, name.get_ref(), keys, name.span())),
        }
    }
    for key in keys.keys {
        // A misspelt key was reported already.
        if key.absent == Absent::Required && !table.contains_key(key.name) && !meant.contains(key.name) {
            let origin = sink.origin(span.clone());
            let message = format!("{} needs the key `{}`", shown(keys), key.name);
            sink.absent(
                Diagnostic::new(&codes::MISSING_KEY, message, origin, format!("`{}` is missing", key.name))
                    .note("help", format!("`{}` takes {}", key.name, key.shape.expected())),
            );
        }
    }
}

/// A table's header, as it stands in a sentence.
fn shown(table: &Table) -> String {
    if table.header.contains(' ') { table.header.to_owned() } else { format!("`{}`", table.header) }
}

/// Reports a key that is not known, and gives the one that was probably meant.
fn unknown(sink: &mut Sink, name: &str, keys: &'static Table, span: Range<usize>) -> Option<&'static str> {
    let near = nearest(name, keys.keys.iter().map(|k| k.name));
    let label = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("not a key of {}", shown(keys)),
    };
    let origin = sink.origin(span);
    let mut diagnostic = Diagnostic::new(&codes::UNKNOWN_KEY, format!("unknown key `{name}`"), origin, label);
    if near.is_none() {
        let known: Vec<_> = keys.keys.iter().map(|k| format!("`{}`", k.name)).collect();
        diagnostic = diagnostic.note("help", format!("{} has the keys {}", shown(keys), known.join(", ")));
    }
    sink.push(diagnostic);
    near
}

fn check_value(sink: &mut Sink, key: &'static Key, value: &Value<'_>) {
    match (&key.shape, value.get_ref()) {
        (Shape::Text(_) | Shape::Mode | Shape::Port | Shape::TextOrTable(..), DeValue::String(_))
        | (Shape::Whole { .. } | Shape::Mode | Shape::Port, DeValue::Integer(_))
        | (Shape::Bool, DeValue::Boolean(_)) => {}
        (Shape::Texts(_), DeValue::Array(elements)) => {
            for element in elements.iter().filter(|e| !e.get_ref().is_str()) {
                wrong_type(sink, key, element, Some("a string"));
            }
        }
        (Shape::Word(words), DeValue::String(word)) => {
            if !words.iter().any(|(w, _)| w == word) {
                wrong_word(sink, key, words, word, value.span());
            }
        }
        (Shape::Table(table) | Shape::TextOrTable(_, table), DeValue::Table(found)) => {
            check(sink, found, table, value.span());
        }
        (Shape::Tables(table), DeValue::Array(elements)) => {
            for element in elements.iter() {
                match element.get_ref() {
                    DeValue::Table(found) => check(sink, found, table, element.span()),
                    _ => wrong_type(sink, key, element, Some("a table")),
                }
            }
        }
        (Shape::Flags(_), DeValue::Table(found)) => {
            for (_, element) in found.iter().filter(|(_, v)| !v.get_ref().is_bool()) {
                wrong_type(sink, key, element, Some("`true` or `false`"));
            }
        }
        (Shape::Reasons, DeValue::Table(found)) => {
            for (_, element) in found.iter().filter(|(_, v)| !v.get_ref().is_str()) {
                wrong_type(sink, key, element, Some("a reason in a string"));
            }
        }
        _ => wrong_type(sink, key, value, None),
    }
}

/// `element` is what an element of the value must be, where it is an element that is wrong.
fn wrong_type(sink: &mut Sink, key: &Key, value: &Value<'_>, element: Option<&str>) {
    let message = match element {
        Some(element) => format!("each value in `{}` is {element}", key.name),
        None => format!("`{}` takes {}", key.name, key.shape.expected()),
    };
    let found = match value.get_ref() {
        DeValue::Array(_) | DeValue::Integer(_) => format!("this is an {}", value.get_ref().type_str()),
        found => format!("this is a {}", found.type_str()),
    };
    let mut diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message, sink.origin(value.span()), found);
    if let Some(meant) = meant(key, value.get_ref(), element.is_some()) {
        diagnostic = diagnostic.note("help", meant);
    }
    sink.push(diagnostic);
}

/// What the value would be in the right form, where that is plain.
fn meant(key: &Key, value: &DeValue<'_>, is_element: bool) -> Option<String> {
    let name = key.name;
    match (&key.shape, value) {
        (Shape::Bool | Shape::Flags(_), DeValue::String(s)) if matches!(s.as_ref(), "true" | "false") => {
            Some(format!("write it without quotes: `{s}`"))
        }
        (Shape::Texts(_), DeValue::String(s)) if name == "run" && s.contains(' ') => {
            let words: Vec<_> = s.split_whitespace().map(quoted).collect();
            Some(format!("write each argument by itself: `run = [{}]`", words.join(", ")))
        }
        (Shape::Texts(_), DeValue::String(s)) => Some(format!("write `{name} = [{}]`", quoted(s))),
        (Shape::Texts(_) | Shape::Text(_), DeValue::Integer(n)) => {
            Some(format!("write it in quotes: `\"{n}\"`"))
        }
        (Shape::Texts(_), DeValue::Boolean(b)) if is_element => {
            Some(format!("write it in quotes: `\"{b}\"`"))
        }
        (Shape::Whole { .. }, DeValue::String(s))
            if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Some(format!("write it without quotes: `{s}`"))
        }
        (Shape::Tables(t), DeValue::Table(_)) if t.header.starts_with("[[") => {
            Some(format!("write the header with two brackets: `{}`", t.header))
        }
        (Shape::Tables(_), DeValue::Table(_)) => Some("put it in brackets: `[{ … }]`".to_owned()),
        (Shape::Table(t), DeValue::Array(_)) => {
            Some(format!("write the header with one bracket: `{}`", t.header))
        }
        (Shape::Word(_), DeValue::Array(_)) if name == "args" => {
            Some("arguments belong in `run`, after the command's path; then leave `args` out".to_owned())
        }
        _ => None,
    }
}

fn wrong_word(sink: &mut Sink, key: &Key, words: &[(&str, &str)], found: &str, span: Range<usize>) {
    // `args` is not a choice: the one word that it takes must be said aloud.
    let code = match key.name {
        "args" => &codes::BAD_ARGS,
        "protocol" => &codes::BAD_PORT,
        _ => &codes::BAD_VALUE,
    };
    let near = nearest(found, words.iter().map(|(w, _)| *w));
    let label = match near {
        Some(near) => format!("did you mean `\"{near}\"`?"),
        None => format!("not {}", list(words.iter().map(|(w, _)| format!("`\"{w}\"`")))),
    };
    let message = format!("`{}` takes {}", key.name, key.shape.expected());
    let mut diagnostic = Diagnostic::new(code, message, sink.origin(span), label);
    if key.name == "args" {
        diagnostic =
            diagnostic.note("help", "arguments that are exact belong in `run`; then leave `args` out");
    }
    sink.push(diagnostic);
}
