//! The report for people.
//!
//! Everything that came from the log passes `escape` on its way out.

use std::collections::HashSet;
use std::io::{self, Write};

use super::{Advice, Group, Lesson, Refused};
use crate::denials::Values;
use crate::denials::tally::Tally;
pub use crate::report::numbers::{count, len, thousands};
use crate::report::style::Paint;
use crate::report::{Code, Format, escape, escape_bytes};
use crate::selinux::module::te;

/// How much of a long list is shown.
pub(super) const SHOWN: usize = 5;

/// How a report looks.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Its form.
    pub format: Format,
    /// Its colours.
    pub paint: Paint,
}

/// Said once in every report of this form.
const NO_POLICY: &str =
    "No policy was read: what it allows already, its constraints and its booleans are not known.";

/// A point in time (milliseconds since 1970) as `2026-11-21 06:49:56 UTC`.
pub fn time(ms: u64) -> String {
    let stamp = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(|| "an impossible time".to_owned(), |s| s.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// From the one to the other, the day said once where it is the same.
pub fn span(first: u64, last: u64) -> String {
    let (from, to) = (time(first), time(last));
    if from == to {
        return to;
    }
    let from = from.trim_end_matches(" UTC");
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((day, _)), Some((other, clock))) if day == other => format!("{from} to {clock}"),
        _ => format!("{from} to {to}"),
    }
}

/// How a report begins: what was read, the policy or that there is none (where there is a denial to judge by one), and
/// what to be careful about.
pub fn opening(out: &mut dyn Write, lesson: &Lesson<'_>, format: Format) -> io::Result<()> {
    head(out, lesson, format)?;
    meanwhile(out, lesson)?;
    match &lesson.judgement {
        _ if lesson.log.denials.is_empty() => {}
        None => writeln!(out, "{}", hanging(NO_POLICY, 0, 2, format))?,
        Some(judgement) => {
            let labels = match &judgement.labels {
                Some(Ok(name)) => format!("; specifications {name}"),
                Some(Err(error)) => format!("; no specifications of file contexts: {error}"),
                None => String::new(),
            };
            let files = match judgement.files {
                Some((seen, true)) => format!("; {} counted by their labels", count(seen, "file", "files")),
                Some((seen, false)) => {
                    format!("; {} counted by their labels, not all", count(seen, "file", "files"))
                }
                None => String::new(),
            };
            let line = format!(
                "policy {} ({}), version {}{}{files}",
                escape(&judgement.policy),
                judgement.reason,
                judgement.version,
                escape(&labels)
            );
            writeln!(out, "{}", hanging(&line, 0, 2, format))?;
        }
    }
    cautions(out, lesson, format)
}

/// What the log held, in a line or two.
fn head(out: &mut dyn Write, lesson: &Lesson<'_>, format: Format) -> io::Result<()> {
    let log = lesson.log;
    let mut line = format!(
        "{}, {}, {} distinct",
        count(log.tally.lines, "line", "lines"),
        count(log.tally.denials, "denial", "denials"),
        thousands(len(log.denials.len())),
    );
    if let (Some(first), Some(last)) = (lesson.period.first, lesson.period.last) {
        line.push_str(&format!(", {}", span(first, last)));
    }
    writeln!(out, "{}", hanging(&line, 0, 2, format))?;
    let t = &log.tally;
    let rest: Vec<String> = [
        (t.left_out, "denial left out by the filters", "denials left out by the filters"),
        (t.refusals, "refusal without a permission", "refusals without a permission"),
        (t.granted, "access granted and audited", "accesses granted and audited"),
        (t.notices, "notice of policy, mode or a boolean", "notices of policy, mode and booleans"),
        (t.other_modules, "record of AppArmor or IPE", "records of AppArmor or IPE"),
        (t.other_records, "other audit record", "other audit records"),
        (t.text, "other log line", "other log lines"),
        (t.separators, "separator", "separators"),
        (t.set_aside, "not read", "not read"),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, one, many)| count(n, one, many))
    .collect();
    if !rest.is_empty() {
        let line = format!("the other lines: {}", rest.join(", "));
        writeln!(out, "{}", hanging(&line, 0, 2, format))?;
    }
    Ok(())
}

/// What changed in the time of the log.
fn meanwhile(out: &mut dyn Write, lesson: &Lesson<'_>) -> io::Result<()> {
    let history = &lesson.log.changes.history;
    if lesson.log.denials.is_empty() || history.is_empty() {
        return Ok(());
    }
    let rest = history.len().saturating_sub(SHOWN);
    let mut list: Vec<String> =
        history.iter().skip(rest).map(|(at, change)| format!("{} {change}", time(*at))).collect();
    if rest > 0 {
        list.insert(0, count(len(rest), "change", "changes") + " before");
    }
    for (i, one) in list.iter().enumerate() {
        writeln!(out, "{:<11}{one}", if i == 0 { "meanwhile:" } else { "" })?;
    }
    Ok(())
}

/// What holds for the whole log.
fn cautions(out: &mut dyn Write, lesson: &Lesson<'_>, format: Format) -> io::Result<()> {
    for caution in &lesson.cautions {
        let line = format!("caution[{}]: {}", caution.code.id, escape(&caution.text));
        writeln!(out, "{}", hanging(&line, 0, 2, format))?;
    }
    Ok(())
}

/// One application or domain.
pub fn group(out: &mut dyn Write, group: &Group<'_>, files: &[String], look: Look) -> io::Result<()> {
    let kind = match &group.owner {
        super::Owner::All(_) => "all denials in one module",
        super::Owner::App(_) => "application",
        super::Owner::Domain(_) => "domain",
    };
    write!(out, "\n{} ({kind}): ", look.paint.bold(&escape(group.owner.title())))?;
    let mut parts = Vec::new();
    if !group.denials.is_empty() {
        let distinct = thousands(len(group.denials.len()));
        parts.push(format!("{distinct} distinct, {}", count(group.times(), "time", "times")));
    }
    if !group.refusals.is_empty() {
        parts.push(count(len(group.refusals.len()), "refusal", "refusals"));
    }
    let period = group.period();
    if let (Some(first), Some(last)) = (period.first, period.last) {
        parts.push(span(first, last));
    }
    writeln!(out, "{}", parts.join(", "))?;
    super::text_about::about(out, group, look)?;
    if group.denials.iter().all(|d| d.verdict.is_none()) {
        for (code, items) in by_code(group.denials.iter().flat_map(|d| &d.advice)) {
            advice(out, code, &items, look.format)?;
        }
        refusals(out, &group.refusals, look.format)?;
        let without = group.denials.iter().filter(|d| !d.has_rule()).count();
        if without > 0 {
            writeln!(out, "  no rule for {without} of them: see above")?;
        }
    } else {
        super::text_fixes::fixes(out, group, look)?;
        refusals(out, &group.refusals, look.format)?;
    }
    rules(out, group, files, look)
}

/// The rules of a group, and where they were written to.
fn rules(out: &mut dyn Write, group: &Group<'_>, files: &[String], look: Look) -> io::Result<()> {
    let all = || group.te.rules.iter().chain(group.cil.rules.iter());
    let silent = || group.te.silent.iter().chain(group.cil.silent.iter());
    let rules = group.te.rules.len() + group.cil.rules.len();
    let silenced = group.te.silent.len() + group.cil.silent.len();
    let arrow = if look.format == Format::Plain { "in" } else { "→" };
    let to = if files.is_empty() { String::new() } else { format!(" {arrow} {}", escape(&files.join(", "))) };
    if rules > 0 {
        writeln!(out, "  {}{to}", count(len(rules), "rule", "rules"))?;
        for (rule, grant) in all().take(SHOWN * 4) {
            let marks: Vec<&str> = grant.remarks.iter().filter_map(|r| r.split(": ").next()).collect();
            let marks = if marks.is_empty() {
                String::new()
            } else {
                format!("  {}", look.paint.change(&format!("({})", marks.join(", "))))
            };
            writeln!(out, "    {}{marks}", te::one_line(rule, &grant.permissions))?;
        }
        more(out, "    ", rules, SHOWN * 4, "rules, in the module")?;
    }
    let calls = group.calls.len();
    if calls > 0 {
        let covered: usize = group.calls.iter().map(|c| c.covers.len()).sum();
        writeln!(
            out,
            "  {} for {}{}",
            count(len(calls), "interface", "interfaces"),
            count(len(covered), "rule", "rules"),
            if rules == 0 { to.as_str() } else { "" }
        )?;
        for call in group.calls.iter().take(SHOWN * 4) {
            let opens = count(len(call.opens), "other access", "other accesses");
            writeln!(out, "    {}  {}", call.text(), look.paint.faint(&format!("(opens {opens})")))?;
        }
        more(out, "    ", calls, SHOWN * 4, "interfaces, in the module")?;
    }
    for wide in &group.too_wide {
        writeln!(
            out,
            "    {} {}: it would open {} for {} needed{}",
            look.paint.faint("not"),
            wide.call,
            count(len(wide.opens), "other access", "other accesses"),
            thousands(len(wide.needed)),
            if wide.changes { ", and let files be changed" } else { "" }
        )?;
    }
    if silenced > 0 {
        let to = if rules + calls == 0 { to.as_str() } else { "" };
        writeln!(
            out,
            "  {} that need nothing{to}",
            count(len(silenced), "rule silences accesses", "rules silence accesses")
        )?;
        for (rule, grant) in silent().take(SHOWN) {
            let line = te::one_line(rule, &grant.permissions);
            writeln!(out, "    {}", line.replacen("allow", "dontaudit", 1))?;
        }
        more(out, "    ", silenced, SHOWN, "of this kind, in the module")?;
    }
    for line in group.surplus.iter().take(SHOWN) {
        writeln!(out, "    {} {}", look.paint.faint("opens"), folded(&escape(line), 10, look.format))?;
    }
    more(out, "    ", group.surplus.len() + group.surplus_left, SHOWN, "; --format json has all")
}

/// Refusals, which no rule mends.
pub fn refusals(out: &mut dyn Write, list: &[Refused<'_>], format: Format) -> io::Result<()> {
    for (code, items) in by_code(list.iter().map(|r| &r.advice)) {
        advice(out, code, &items, format)?;
    }
    Ok(())
}

/// Advice, in the order in which each code first comes.
fn by_code<'a>(all: impl Iterator<Item = &'a Advice>) -> Vec<(Code, Vec<&'a Advice>)> {
    let mut list: Vec<(Code, Vec<&'a Advice>)> = Vec::new();
    for one in all {
        match list.iter_mut().find(|(code, _)| *code == one.code) {
            Some((_, items)) => items.push(one),
            None => list.push((one.code, vec![one])),
        }
    }
    list
}

fn advice(out: &mut dyn Write, code: Code, items: &[&Advice], format: Format) -> io::Result<()> {
    writeln!(out, "  {}: {} ({})", code.id, code.summary, thousands(len(items.len())))?;
    let arrow = if format == Format::Plain { "next:" } else { "→" };
    let mut seen = HashSet::new();
    let distinct: Vec<&&Advice> = items.iter().filter(|item| seen.insert((&item.text, &item.next))).collect();
    let mut said = None;
    let mut shown = distinct.iter().take(SHOWN).peekable();
    while let Some(item) = shown.next() {
        if said.replace(&item.text) != Some(&item.text) {
            writeln!(out, "    {}", folded(&escape(&item.text), 4, format))?;
        }
        // The same step for several: once, below them.
        if shown.peek().is_none_or(|following| following.next != item.next) {
            writeln!(out, "    {arrow} {}", escape(&item.next))?;
        }
    }
    more(out, "    ", distinct.len(), SHOWN, "of this kind; perms why shows each")
}

pub(super) fn more(
    out: &mut dyn Write,
    indent: &str,
    all: usize,
    shown: usize,
    what: &str,
) -> io::Result<()> {
    match all.checked_sub(shown) {
        Some(rest) if rest > 0 => {
            let space = if what.starts_with(';') { "" } else { " " };
            writeln!(out, "{indent}and {} more{space}{what}", thousands(len(rest)))
        }
        _ => Ok(()),
    }
}

/// Columns that a line takes before it goes on in the next, where it is no command to be pasted.
pub(super) const WIDTH: usize = 80;

/// A text that begins `indent` columns into its line, broken between words before it grows longer than [`WIDTH`]; the lines
/// that follow begin where it began. What a program or a screen reader takes is left in one line.
pub(super) fn folded(text: &str, indent: usize, format: Format) -> String {
    hanging(text, indent, indent, format)
}

/// The same for a text that begins at column `start`; the lines that follow begin at `indent`.
pub(super) fn hanging(text: &str, start: usize, indent: usize, format: Format) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = start;
    for (i, word) in text.split(' ').enumerate() {
        // Colours take no room.
        let coloured = word.matches('\u{1b}').count() * 4;
        let width = word.chars().count().saturating_sub(coloured);
        if i > 0 && format != Format::Plain && column + 1 + width > WIDTH && column > indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if i > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out
}

/// Values of a sample, in a line.
pub fn sample<'a>(values: impl Into<Values<'a>>, at_most: usize) -> String {
    let values = values.into();
    let mut list: Vec<String> = values.iter().take(at_most).map(escape_bytes).collect();
    let hidden = values.len().saturating_sub(at_most);
    if values.more() {
        list.push("and more".to_owned());
    } else if hidden > 0 {
        list.push(format!("and {hidden} more"));
    }
    list.join(", ")
}

/// Lines that could not be read.
pub fn unread(out: &mut dyn Write, lesson: &Lesson<'_>, command: &str) -> io::Result<()> {
    let log = lesson.log;
    let shown = &log.set_aside.lines;
    if log.tally.set_aside > 0 {
        writeln!(out, "\n{} could not be read:", count(log.tally.set_aside, "line", "lines"))?;
        for (place, reason) in shown {
            let index = usize::try_from(place.source).unwrap_or(usize::MAX);
            let source = log.sources.get(index).map_or("?", String::as_str);
            writeln!(
                out,
                "  {}:{}: {} [{}]",
                escape(source),
                place.line,
                escape(&reason.text),
                reason.code.id
            )?;
        }
        let rest = log.tally.set_aside.saturating_sub(len(shown.len()));
        if rest > 0 {
            writeln!(out, "  and {} more: {command} --show-unread", thousands(rest))?;
        }
    }
    Ok(())
}

/// Whether nothing at all could be understood: no audit record, and no line of a log either.
pub fn nothing_understood(tally: &Tally) -> bool {
    tally.set_aside > 0 && tally.understood() + tally.text == 0
}
