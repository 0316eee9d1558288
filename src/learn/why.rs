//! The story of each denial: who, what, how often, when, by which program, on which path, and what next.

use std::io::{self, Write};

use super::{Learned, Lesson, text};
use crate::denials::Denial;
use crate::report::{Format, escape};
use crate::selinux::module::te;

/// Tells of one denial.
pub fn denial(
    out: &mut dyn Write,
    lesson: &Lesson<'_>,
    learned: &Learned<'_>,
    format: Format,
) -> io::Result<()> {
    let denial = learned.denial;
    let key = &denial.key;
    let e = &denial.evidence;
    let permissions: Vec<&str> = key.permissions.iter().map(|p| p.as_str()).collect();
    let object = match text::sample(&e.objects, 1) {
        one if one.is_empty() => String::new(),
        one => format!(" {one}"),
    };
    let itself = if key.source.kind == key.target.kind { ", itself" } else { "" };
    let verdict = match denial.permissive {
        0 => "was denied",
        n if n >= denial.seen.counts.records() => "would be denied (permissive)",
        _ => "was denied (sometimes permissive)",
    };
    write!(
        out,
        "\n{} {verdict} `{}` on {}{object} ({}{itself}), {}",
        key.source.kind,
        permissions.join(" "),
        key.class,
        key.target.kind,
        text::count(denial.seen.counts.least(), "time", "times"),
    )?;
    match (denial.seen.first, denial.seen.last) {
        (Some(first), Some(last)) => writeln!(out, ", {}", text::span(first, last))?,
        _ => writeln!(out)?,
    }
    line(out, "program", &text::sample(&e.programs, 4))?;
    line(out, "command", &text::sample(&e.commands, 3))?;
    line(out, "user", &text::sample(&e.users, 6))?;
    let arrow = |s: String| if format == Format::Plain { s.replace('→', "gave") } else { s };
    line(out, "call", &arrow(text::sample(&e.syscalls, 4)))?;
    if e.objects.values.len() > 1 || e.objects.more {
        line(out, "objects", &text::sample(&e.objects, 8))?;
    }
    line(out, "asked for", &text::sample(&e.wanted, 4))?;
    line(out, "host", &text::sample(&e.hosts, 6))?;
    line(out, "source", &key.source.to_string())?;
    line(out, "target", &key.target.to_string())?;
    line(out, "first in", &place(lesson, denial))?;
    if !denial.unknown.is_empty() {
        let names: Vec<&str> = denial.unknown.iter().map(|n| n.as_str()).collect();
        line(out, "unknown", &format!("permissions {} [log::unknown-permission]", names.join(" ")))?;
    }
    if learned.advice.is_empty() {
        line(out, "cause", "no rule allows it, as far as can be told without the policy")?;
    }
    for advice in &learned.advice {
        line(out, "cause", &format!("{} [{}]", escape(&advice.text), advice.code.id))?;
        line(out, "next", &escape(&advice.next))?;
    }
    if learned.has_rule() {
        let set = key.permissions.iter().cloned().collect();
        let last = if learned.advice.is_empty() { "rule" } else { "else rule" };
        line(out, last, &te::one_line(&learned.rule(), &set))?;
    } else {
        line(out, "rule", "none: it would not help, or open too much")?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(out, "  {name:<9} {text}") }
}

/// `FILE:LINE` of the first record.
pub fn place(lesson: &Lesson<'_>, denial: &Denial) -> String {
    let Some(place) = denial.seen.place else { return String::new() };
    let index = usize::try_from(place.source).unwrap_or(usize::MAX);
    let source = lesson.log.sources.get(index).map_or("?", String::as_str);
    format!("{}:{}", escape(source), place.line)
}
