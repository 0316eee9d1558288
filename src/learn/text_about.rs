//! What an application ran into, before what helps: what was denied and how often, by which programs, on what.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Group;
use super::text::{Look, SHOWN, WIDTH, len, thousands};
use crate::denials::denial::{Evidence, Sample};
use crate::report::{Format, escape_bytes};

/// Three lines at most, each the most frequent first.
pub(super) fn about(out: &mut dyn Write, group: &Group<'_>, look: Look) -> io::Result<()> {
    let mut denied: BTreeMap<String, u64> = BTreeMap::new();
    for learned in &group.denials {
        let key = &learned.denial.key;
        let permissions: Vec<&str> = key.permissions.iter().map(|p| p.as_str()).collect();
        let times = denied.entry(format!("{} {}", key.class, permissions.join(" "))).or_default();
        *times = times.saturating_add(learned.denial.seen.counts.least());
    }
    list(out, "denied", &most(denied.into_iter().collect(), false), look)?;
    list(out, "program", &of(group, |e| &e.programs), look)?;
    list(out, "object", &of(group, |e| &e.objects), look)
}

/// The values of all the group's denials.
fn of(group: &Group<'_>, sample: impl Fn(&Evidence) -> &Sample) -> Vec<String> {
    let mut all: BTreeMap<&[u8], u64> = BTreeMap::new();
    let mut more = false;
    for learned in &group.denials {
        let sample = sample(&learned.denial.evidence);
        more |= sample.more;
        for (value, times) in sample.counted() {
            let sum = all.entry(value).or_default();
            *sum = sum.saturating_add(times);
        }
    }
    most(all.into_iter().map(|(value, times)| (escape_bytes(value), times)).collect(), more)
}

/// The most frequent values with their counts (where these differ), and how many more there are: at least, where samples were cut (`more`).
fn most(mut all: Vec<(String, u64)>, more: bool) -> Vec<String> {
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest = all.len().saturating_sub(SHOWN);
    let alike = all.windows(2).all(|w| matches!(w, [(_, a), (_, b)] if a == b));
    let mut shown: Vec<String> = all
        .into_iter()
        .take(SHOWN)
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
