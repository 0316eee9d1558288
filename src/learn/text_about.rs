//! What an application ran into, before what helps: what was denied and how often, by which programs, on what.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::io::{self, Write};

use super::Group;
use super::sum::{Gathered, What};
use super::text::{Look, SHOWN, WIDTH, len, thousands};
use crate::report::{Format, escape_bytes};

/// Three lines at most, each the most frequent first.
pub(super) fn about(out: &mut dyn Write, group: &Group<'_>, look: Look) -> io::Result<()> {
    let text = |(class, permissions): &What<'_>| {
        let permissions: Vec<&str> = permissions.iter().map(|p| p.as_str()).collect();
        Cow::Owned(format!("{class} {}", permissions.join(" ")))
    };
    list(out, "denied", &most(group.sum.denied(), text, false), look)?;
    list(out, "program", &of(&group.sum.programs), look)?;
    list(out, "object", &of(&group.sum.objects), look)
}

/// The values of all the group's denials.
fn of<'a>(values: &Gathered<'a>) -> Vec<String> {
    let text = |value: &&'a [u8]| match std::str::from_utf8(value) {
        // Nothing in it is to be escaped: then it is compared without a copy.
        Ok(text) if value.iter().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(b)) => {
            Cow::Borrowed(text)
        }
        _ => Cow::Owned(escape_bytes(value)),
    };
    most(values.counted(), text, values.more)
}

/// The most frequent values with their counts (where these differ), and how many more there are: at least, where samples were
/// cut (`more`).
fn most<'a, T>(all: Vec<(T, u64)>, text: impl Fn(&T) -> Cow<'a, str>, more: bool) -> Vec<String> {
    let rest = all.len().saturating_sub(SHOWN);
    let alike = all.windows(2).all(|w| matches!(w, [(_, a), (_, b)] if a == b));
    // Few are shown of many: the texts are made of those that come into question.
    let mut first: Vec<(String, u64)> = Vec::with_capacity(SHOWN + 1);
    for (value, times) in &all {
        if first.len() == SHOWN && first.last().is_some_and(|(_, least)| times < least) {
            continue;
        }
        let text = text(value);
        let at = first.partition_point(|(t, n)| (Reverse(n), t.as_str()) < (Reverse(times), &*text));
        if at < SHOWN {
            first.truncate(SHOWN - 1);
            first.insert(at, (text.into_owned(), *times));
        }
    }
    let mut shown: Vec<String> = first
        .into_iter()
        .map(|(value, times)| if alike { value } else { format!("{value} ({})", thousands(times)) })
        .collect();
    match (rest, more) {
        (0, false) => {}
        (0, true) => shown.push("and more".to_owned()),
        (rest, _) => {
            let least = if more { "at least " } else { "" };
            shown.push(format!("and {least}{} more", thousands(len(rest))));
        }
    }
    shown
}

/// A list under its name, in as many lines as it takes; in one where it is read by a program.
fn list(out: &mut dyn Write, name: &str, values: &[String], look: Look) -> io::Result<()> {
    let mut line = format!("  {name:<9} ");
    let indent = line.len();
    for (i, value) in values.iter().enumerate() {
        let comma = if i + 1 < values.len() { "," } else { "" };
        let width = value.chars().count() + comma.len() + 1;
        let begun = line.len() > indent;
        if begun && look.format != Format::Plain && line.chars().count() + width > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(indent);
        }
        line.push_str(value);
        line.push_str(comma);
        line.push(' ');
    }
    if values.is_empty() { Ok(()) } else { writeln!(out, "{}", line.trim_end()) }
}
