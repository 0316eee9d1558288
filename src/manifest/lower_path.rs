//! `[[path]]`: from the spanned tree to [`PathRule`]s.

use std::collections::HashMap;
use std::path::PathBuf;

use toml::de::DeValue;

use super::keys;
use super::lower::acceptances;
use super::model::{Access, AclEntry, AclWho, FileKind, ModeSpec, PathRule};
use super::text;
use super::tree::{Reader, Sink};
use crate::report::codes::manifest as code;
use crate::report::{Diagnostic, Origin, Spanned};

/// All `[[path]]` tables. `user` is the application's, if it could be read.
pub(super) fn paths(sink: &mut Sink, root: &Reader<'_>, user: Option<&str>) -> Vec<PathRule> {
    let mut rules = Vec::new();
    let mut seen: HashMap<PathBuf, Origin> = HashMap::new();
    for table in root.tables("path", &keys::PATH_TABLE) {
        let Some(rule) = rule(sink, &table, user) else { continue };
        if let Some(first) = seen.get(&rule.path.value) {
            let message = format!("`{}` is declared twice", rule.path.value.display());
            sink.push(
                Diagnostic::new(&code::DUPLICATE_PATH, message, rule.path.origin.clone(), "declared again")
                    .note("first", sink.line(first))
                    .note("help", "say everything about a path in one `[[path]]`"),
            );
        }
        seen.entry(rule.path.value.clone()).or_insert_with(|| rule.path.origin.clone());
        rules.push(rule);
    }
    rules
}

fn rule(sink: &mut Sink, table: &Reader<'_>, user: Option<&str>) -> Option<PathRule> {
    let path = table.text("path").and_then(|(t, span)| sink.value(span, text::path(t)));
    let access = word(sink, table, "access", |t| match t {
        "read" => Some(Access::Read),
        "write" => Some(Access::Write),
        _ => None,
    });
    let kind = word(sink, table, "kind", |t| match t {
        "file" => Some(FileKind::File),
        "directory" => Some(FileKind::Directory),
        _ => None,
    });
    let create = flag(sink, table, "create");
    let recursive = flag(sink, table, "recursive");
    let owner = table.text("owner").and_then(|(t, span)| sink.value(span, text::name_or_number(t)));
    let group = table.text("group").and_then(|(t, span)| sink.value(span, text::name_or_number(t)));
    let mode = mode(sink, table);
    let acl = entries(sink, table, "acl");
    let default_acl = entries(sink, table, "default_acl");
    let accept = acceptances(sink, table);

    nothing_declared(sink, table);
    incomplete_create(sink, table);
    if kind.as_ref().is_some_and(|k| k.value == FileKind::File) {
        for key in ["recursive", "default_acl"] {
            if table.value(key).is_some_and(|v| v.get_ref().as_bool() != Some(false)) {
                let origin = sink.origin(table.key_span(key).unwrap_or_default());
                let message = format!("`{key}` is for folders");
                sink.push(Diagnostic::new(
                    &code::NEEDS_DIRECTORY,
                    message,
                    origin,
                    "but `kind` says `\"file\"`",
                ));
            }
        }
    } else if recursive.as_ref().is_some_and(|r| r.value) {
        octal_recursive(sink, mode.as_ref());
    }
    if access.is_some() {
        for entry in [&acl, &default_acl].into_iter().flatten().flat_map(|list| &list.value) {
            own_entry(sink, entry, user);
        }
    }
    Some(PathRule {
        origin: sink.origin(table.span.clone()),
        path: path?,
        access,
        kind,
        create,
        recursive,
        owner,
        group,
        mode,
        acl,
        default_acl,
        accept,
    })
}

fn word<T>(sink: &Sink, table: &Reader<'_>, key: &str, read: fn(&str) -> Option<T>) -> Option<Spanned<T>> {
    let (text, span) = table.text(key)?;
    Some(Spanned::new(read(text)?, sink.origin(span)))
}

fn flag(sink: &Sink, table: &Reader<'_>, key: &str) -> Option<Spanned<bool>> {
    let (flag, span) = table.flag(key)?;
    Some(Spanned::new(flag, sink.origin(span)))
}

fn mode(sink: &mut Sink, table: &Reader<'_>) -> Option<Spanned<ModeSpec>> {
    let value = table.value("mode")?;
    match value.get_ref() {
        DeValue::String(t) => sink.value(value.span(), text::mode(t)),
        DeValue::Integer(n) => sink.value(value.span(), text::mode_number(n)),
        _ => None,
    }
}

fn entries(sink: &mut Sink, table: &Reader<'_>, key: &str) -> Option<Spanned<Vec<Spanned<AclEntry>>>> {
    let (texts, span) = table.texts(key)?;
    let mut entries: Vec<Spanned<AclEntry>> = Vec::with_capacity(texts.len());
    let mut seen: HashMap<AclWho, Origin> = HashMap::new();
    for (written, span) in texts {
        let Some(entry) = sink.value(span, text::acl_entry(written)) else { continue };
        if let Some(first) = seen.get(&entry.value.who) {
            let who = match &entry.value.who {
                AclWho::User(name) => format!("the user `{name}`"),
                AclWho::Group(name) => format!("the group `{name}`"),
            };
            let message = format!("two entries for {who}");
            let d = Diagnostic::new(&code::DUPLICATE_ACL_ENTRY, message, entry.origin.clone(), "the second");
            let line = sink.line(first);
            sink.push(d.note("first", line));
            continue;
        }
        seen.insert(entry.value.who.clone(), entry.origin.clone());
        entries.push(entry);
    }
    Some(Spanned::new(entries, sink.origin(span)))
}

/// Judged by what is written, not by what could be read: a mistake was reported already.
fn nothing_declared(sink: &mut Sink, table: &Reader<'_>) {
    let says = ["access", "owner", "group", "mode", "acl", "default_acl", "create"];
    if says.iter().all(|key| table.value(key).is_none()) && !table.has_unknown() {
        let origin = sink.origin(table.span.clone());
        let message = "this `[[path]]` declares nothing";
        sink.absent(
            Diagnostic::new(&code::NOTHING_DECLARED, message, origin, "no right is given or fixed")
                .note(
                    "help",
                    "say what the application can do there: `access = \"read\"` or `access = \"write\"`",
                )
                .note("or", "fix it: `owner`, `group`, `mode`, `acl`, `default_acl`"),
        );
    }
}

fn incomplete_create(sink: &mut Sink, table: &Reader<'_>) {
    let Some((true, span)) = table.flag("create") else { return };
    for (key, example) in [("kind", "kind = \"directory\""), ("mode", "mode = \"0750\"")] {
        if table.value(key).is_none() {
            let message = format!("`create` needs `{key}`");
            let label = match key {
                "kind" => "a file or a folder?",
                _ => "with which rights?",
            };
            sink.absent(
                Diagnostic::new(&code::INCOMPLETE_CREATE, message, sink.origin(span.clone()), label)
                    .note("help", format!("such as `{example}`")),
            );
        }
    }
}

fn octal_recursive(sink: &mut Sink, mode: Option<&Spanned<ModeSpec>>) {
    let Some(Spanned { value: ModeSpec::Octal(bits), origin }) = mode else { return };
    let letters = |shift: u16| {
        let bits = bits >> shift;
        let mut text = String::new();
        for (bit, letters) in [(4, "r"), (2, "w")] {
            if bits & bit != 0 {
                text.push_str(letters);
            }
        }
        if bits & 5 != 0 {
            text.push('X');
        }
        text
    };
    let message = "one octal mode cannot be right for folders and files alike";
    let label = if bits & 0o111 == 0 {
        "no folder below could be entered"
    } else {
        "every file below would be executable"
    };
    let mut d = Diagnostic::new(&code::OCTAL_RECURSIVE, message, origin.clone(), label);
    let symbolic = format!("mode = \"u={},g={},o={}\"", letters(6), letters(3), letters(0));
    d = d.note("help", format!("`{symbolic}`: `X` is `x` where it belongs"));
    sink.push(d);
}

fn own_entry(sink: &mut Sink, entry: &Spanned<AclEntry>, user: Option<&str>) {
    let AclWho::User(name) = &entry.value.who else { return };
    if Some(name.as_str()) == user {
        let message = format!("`access` gives `{name}` its entry already");
        sink.push(
            Diagnostic::new(
                &code::ACL_AND_ACCESS,
                message,
                entry.origin.clone(),
                "and this would be a second",
            )
            .note("help", "leave this entry out, or `access`"),
        );
    }
}
