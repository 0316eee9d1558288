//! The reference of all keys in Markdown, from the table of keys: the generated part of `docs/manifest.md`.

use std::fmt::Write as _;

use super::keys::{Absent, Key, ROOT, Shape, Table};

/// A section for each table, in the order of the manifest.
pub fn reference() -> String {
    let mut out = String::new();
    section(&mut out, &ROOT);
    out
}

fn section(out: &mut String, table: &'static Table) {
    if table.header.starts_with('[') || table.header.contains('.') {
        let _ = write!(out, "### `{}`\n\n{}\n\n", table.header, table.doc);
        for key in table.keys {
            entry(out, key);
        }
        out.push('\n');
    }
    for key in table.keys {
        if let Shape::Table(below) | Shape::TextOrTable(_, below) | Shape::Tables(below) = &key.shape {
            section(out, below);
        }
    }
}

fn entry(out: &mut String, key: &Key) {
    let takes = match key.shape {
        Shape::Word(_) => "One of the words below".to_owned(),
        _ => format!("Takes {}", key.shape.expected()),
    };
    let _ = write!(out, "- **`{}`**: {}.\n  {takes}. ", key.name, key.doc);
    let _ = match key.absent {
        Absent::Required => writeln!(out, "Required."),
        Absent::Nothing => writeln!(out, "Unless written, nothing is declared."),
        Absent::Default(what) => writeln!(out, "Unless written: {what}."),
    };
    if let Shape::Word(words) = &key.shape {
        for (word, meaning) in *words {
            let _ = writeln!(out, "  - `\"{word}\"`: {meaning}.");
        }
    }
}
