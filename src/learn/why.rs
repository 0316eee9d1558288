//! The story of each denial: who, what, how often, when, by which program, on which path, and what next.

use std::io::{self, Write};

use super::mode::{self, Mode};
use super::text::Look;
use super::verdict::{Remedy, Verdict};
use super::{Learned, Lesson, text};
use crate::denials::Denial;
use crate::report::{Format, escape};
use crate::selinux::module::te;

/// Tells of one denial.
pub fn denial(out: &mut dyn Write, lesson: &Lesson<'_>, learned: &Learned<'_>, look: Look) -> io::Result<()> {
    let format = look.format;
    let denial = learned.denial;
    let key = &denial.key;
    let e = &denial.evidence;
    let permissions: Vec<&str> = key.permissions.iter().map(|p| p.as_str()).collect();
    let object = match text::sample(&e.objects, 1) {
        one if one.is_empty() => String::new(),
        one => format!(" {one}"),
    };
    let itself = if key.source.kind == key.target.kind { ", itself" } else { "" };
    let (mode, how) = mode::of(lesson.log, denial);
    let verdict = match mode {
        Mode::Enforcing | Mode::Unknown => "was denied",
        Mode::Permissive => "would be denied (permissive)",
        Mode::Both => "was denied (sometimes permissive)",
    };
    let mut head = format!(
        "{} {verdict} `{}` on {}{object} ({}{itself}), {}",
        look.paint.bold(key.source.kind.as_str()),
        permissions.join(" "),
        key.class,
        key.target.kind,
        text::count(denial.seen.counts.least(), "time", "times"),
    );
    if let (Some(first), Some(last)) = (denial.seen.first, denial.seen.last) {
        head.push_str(&format!(", {}", text::span(first, last)));
    }
    writeln!(out, "\n{}", text::hanging(&head, 0, 2, look.format))?;
    line(out, look, "program", &text::sample(e.programs(), 4))?;
    line(out, look, "command", &text::sample(e.commands(), 3))?;
    line(out, look, "user", &text::sample(e.users(), 6))?;
    let arrow = |s: String| if format == Format::Plain { s.replace('→', "gave") } else { s };
    line(out, look, "login", &text::sample(e.logins(), 4))?;
    line(out, look, "unit", &text::sample(e.units(), 4))?;
    line(out, look, "call", &arrow(text::sample(e.syscalls(), 4)))?;
    if e.objects.len() > 1 || e.objects.more() {
        line(out, look, "objects", &text::sample(&e.objects, 8))?;
    }
    line(out, look, "asked for", &text::sample(&e.wanted, 4))?;
    line(out, look, "host", &text::sample(e.hosts(), 6))?;
    line(out, look, "source", &key.source.to_string())?;
    line(out, look, "target", &key.target.to_string())?;
    line(out, look, "mode", &how)?;
    line(out, look, "first in", &place(lesson, denial))?;
    if let Some(last) = denial.seen.last {
        let since = lesson.log.changes.after(last);
        let since: Vec<String> =
            since.iter().map(|(at, change)| format!("{change} ({})", text::time(*at))).collect();
        line(out, look, "since", &since.join(", "))?;
    }
    if !denial.unknown.is_empty() {
        let names: Vec<&str> = denial.unknown.iter().map(|n| n.as_str()).collect();
        line(out, look, "unknown", &format!("permissions {} [log::unknown-permission]", names.join(" ")))?;
    }
    match &learned.verdict {
        Some(verdict) => judged(out, learned, verdict, look),
        None => unjudged(out, learned, look),
    }
}

/// Cause, remedy, and what is worse.
fn judged(out: &mut dyn Write, learned: &Learned<'_>, verdict: &Verdict, look: Look) -> io::Result<()> {
    let cause = look.paint.change(&escape(&verdict.cause));
    line(out, look, "cause", &format!("{cause} [{}]", verdict.code.id))?;
    for one in &verdict.evidence {
        line(out, look, "", &escape(one))?;
    }
    let fix = |text: &str| look.paint.good(&super::text_fixes::shown(text));
    let steps = verdict.remedy.steps();
    match &verdict.remedy {
        Remedy::Allow { permissions, filtered } => {
            let mut text = te::one_line(&learned.rule(), &permissions.iter().cloned().collect());
            if *filtered {
                text.push_str(" and allowxperm on the commands");
            }
            whole(out, "fix", &fix(&text))?;
        }
        Remedy::Silence { permissions } => {
            let text = te::one_line(&learned.rule(), &permissions.iter().cloned().collect());
            whole(out, "fix", &fix(&text.replacen("allow", "dontaudit", 1)))?;
        }
        Remedy::Nothing => line(out, look, "fix", "nothing is needed")?,
        Remedy::ByHand { .. } => {
            for (i, step) in steps.iter().enumerate() {
                whole(out, if i == 0 { "fix" } else { "or" }, &fix(step))?;
            }
        }
        Remedy::Places(places) => {
            for place in places.iter().filter(|p| p.new) {
                let text =
                    format!("a type of its own, {}: perms learn -o DIR makes the module, then", place.ty);
                whole(out, "fix", &fix(&text))?;
            }
            let first = if places.iter().any(|p| p.new) { "" } else { "fix" };
            for (i, step) in steps.iter().enumerate() {
                whole(out, if i == 0 { first } else { "" }, &fix(step))?;
            }
        }
        _ => {
            for (i, step) in steps.iter().enumerate() {
                whole(out, if i == 0 { "fix" } else { "" }, &fix(step))?;
            }
            if let Remedy::Relabel { below: Some(below), force, .. } = &verdict.remedy {
                whole(out, "", &super::text_fixes::shown(&below.text(*force)))?;
            }
        }
    }
    for advice in &learned.advice {
        line(
            out,
            look,
            "danger",
            &look.paint.bad(&format!("{} [{}]", escape(&advice.text), advice.code.id)),
        )?;
        line(out, look, "", &escape(&advice.next))?;
    }
    for not in &verdict.not {
        line(out, look, "not", &format!("{}: {}", escape(&not.remedy), escape(&not.why)))?;
    }
    Ok(())
}

/// What can be told without a policy.
fn unjudged(out: &mut dyn Write, learned: &Learned<'_>, look: Look) -> io::Result<()> {
    let key = &learned.denial.key;
    if learned.advice.is_empty() {
        line(out, look, "cause", "no rule allows it, as far as can be told without the policy")?;
    }
    for advice in &learned.advice {
        line(out, look, "cause", &format!("{} [{}]", escape(&advice.text), advice.code.id))?;
        whole(out, "next", &escape(&advice.next))?;
    }
    if learned.has_rule() {
        let set = key.permissions.iter().cloned().collect();
        let last = if learned.advice.is_empty() { "rule" } else { "else rule" };
        whole(out, last, &te::one_line(&learned.rule(), &set))?;
    } else {
        line(out, look, "rule", "none: it would not help, or open too much")?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, look: Look, name: &str, text: &str) -> io::Result<()> {
    whole(out, name, &text::folded(text, 12, look.format))
}

/// A line that is pasted, and not broken.
fn whole(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(out, "  {name:<9} {text}") }
}

/// `FILE:LINE` of the first record.
pub fn place(lesson: &Lesson<'_>, denial: &Denial) -> String {
    let Some(place) = denial.seen.place else { return String::new() };
    let index = usize::try_from(place.source).unwrap_or(usize::MAX);
    let source = lesson.log.sources.get(index).map_or("?", String::as_str);
    format!("{}:{}", escape(source), place.line)
}
