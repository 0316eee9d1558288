//! A plan as text and as JSON.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use crate::escalation::{Step, Way};
use crate::plan::{Fix, Item, Plan, Sign};
use crate::report::escape::{escape, escape_path};
use crate::report::findings::{JSON_VERSION, JsonFinding, JsonPlace};
use crate::report::style::Paint;
use crate::report::{Diagnostic, Finding};

/// Where the manifest line of an item is put.
const WIDTH: usize = 100;

/// Writes a plan for people.
pub(super) fn human(
    out: &mut dyn Write,
    plan: &Plan,
    warnings: &[Diagnostic],
    paint: Paint,
) -> io::Result<()> {
    for (app, m) in plan.manifests.iter().enumerate() {
        let items: Vec<&Item> = plan.items.iter().filter(|i| i.app == app).collect();
        let risks: Vec<&Diagnostic> = warnings.iter().filter(|d| d.origin.source == m.source).collect();
        let ways: Vec<&Way> = plan.ways_to_tell().filter(|(a, _)| *a == app).map(|(_, w)| w).collect();
        if items.is_empty() && risks.is_empty() && ways.is_empty() {
            continue;
        }
        let path = escape_path(&m.source.path);
        writeln!(out, "{}  {}", paint.bold(&escape(&m.app.name.value)), paint.faint(&format!("({path})")))?;
        let width = items.iter().map(|i| i.area.len()).max().unwrap_or(0);
        for i in items {
            item(out, i, width, paint)?;
        }
        for r in risks {
            writeln!(out, "  {} {}", paint.bad("risk"), escape(&r.message))?;
            for (kind, text) in &r.notes {
                writeln!(out, "       {kind}: {}", escape(text))?;
            }
            writeln!(out, "       line {}; perms explain {}", r.origin.line(), r.code.id)?;
        }
        for w in ways {
            way(out, w, paint)?;
        }
        writeln!(out)?;
    }
    for (n, app) in (plan.manifests.len()..).zip(&plan.orphans) {
        writeln!(out, "{}  {}", paint.bold(&escape(app)), paint.faint("(its manifest is gone)"))?;
        let items: Vec<&Item> = plan.items.iter().filter(|i| i.app == n).collect();
        let width = items.iter().map(|i| i.area.len()).max().unwrap_or(0);
        for i in items {
            item(out, i, width, paint)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn item(out: &mut dyn Write, i: &Item, width: usize, paint: Paint) -> io::Result<()> {
    let mark = i.sign.mark().to_string();
    let mark = match i.sign {
        Sign::Add => paint.good(&mark),
        Sign::Change => paint.change(&mark),
        Sign::Remove | Sign::Attention => paint.bad(&mark),
    };
    let subject = escape(&i.subject);
    let place = i.origin.as_ref().map_or("undeclared".to_owned(), |o| format!("line {}", o.line()));
    let used = 2 + 2 + width + 2 + subject.chars().count();
    let pad = WIDTH.saturating_sub(used + place.len()).max(2);
    writeln!(out, "  {mark} {:width$}  {subject}{:pad$}{}", i.area, "", paint.faint(&place))?;
    for d in &i.details {
        let text = escape(d);
        let text = match text.chars().next() {
            Some('+') => paint.good(&text),
            Some('-') => paint.bad(&text),
            _ => text,
        };
        writeln!(out, "    {:width$}  {text}", "")?;
    }
    Ok(())
}

/// The way of an account to root.
fn way(out: &mut dyn Write, way: &Way, paint: Paint) -> io::Result<()> {
    let head = paint.bad("risk");
    writeln!(out, "  {head} {} can become root {}", escape(&way.user), way.count())?;
    for (n, step) in (1..).zip(&way.steps) {
        writeln!(out, "       {n}. {}", escape(&step.show()))?;
    }
    let codes: BTreeSet<&str> = way.steps.iter().map(|s| s.code.id).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    writeln!(out, "       perms explain {}", codes.join(", "))
}

/// Writes a plan one thing a line.
pub(super) fn plain(out: &mut dyn Write, plan: &Plan, warnings: &[Diagnostic]) -> io::Result<()> {
    for i in &plan.items {
        let app = plan.app_name(i.app);
        let place = i.origin.as_ref().map_or("undeclared".to_owned(), |o| format!("line {}", o.line()));
        writeln!(
            out,
            "{app}: {} {} {} ({place}): {}",
            sign_word(i.sign),
            i.area,
            escape(&i.subject),
            escape(&i.details.join("; "))
        )?;
    }
    for (app, w) in plan.ways_to_tell() {
        let app = plan.app_name(app);
        let steps: Vec<String> = (1..).zip(&w.steps).map(|(n, s)| format!("{n}. {}", s.show())).collect();
        writeln!(
            out,
            "{app}: risk root::path user {}: can become root {}: {}",
            escape(&w.user),
            w.count(),
            escape(&steps.join("; "))
        )?;
    }
    for r in warnings {
        writeln!(
            out,
            "risk {}: {} ({}:{})",
            r.code.id,
            escape(&r.message),
            escape_path(r.origin.path()),
            r.origin.line()
        )?;
    }
    Ok(())
}

fn sign_word(s: Sign) -> &'static str {
    match s {
        Sign::Add => "add",
        Sign::Change => "change",
        Sign::Remove => "remove",
        Sign::Attention => "attention",
    }
}

/// `3 to add, 1 to change, 1 to remove`.
pub(super) fn counts(plan: &Plan) -> String {
    let count = |s: Sign| plan.items.iter().filter(|i| i.sign == s).count();
    let words: Vec<String> = [
        (count(Sign::Add), "to add"),
        (count(Sign::Change), "to change"),
        (count(Sign::Remove), "to remove"),
        (count(Sign::Attention), "for you to look at"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    words.join(", ")
}

/// Writes a plan as one JSON object; docs/schema/plan.schema.json describes it.
pub(super) fn json(out: &mut dyn Write, plan: &Plan, warnings: &[Diagnostic]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Report<'a> {
        version: u32,
        kind: &'static str,
        status: u8,
        items: Vec<JsonItem<'a>>,
        risks: Vec<Risk<'a>>,
        ways: Vec<JsonWay<'a>>,
    }
    #[derive(Serialize)]
    struct JsonWay<'a> {
        app: &'a str,
        user: &'a str,
        steps: Vec<JsonStep<'a>>,
    }
    #[derive(Serialize)]
    struct JsonStep<'a> {
        what: &'a str,
        code: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        manifest: Option<JsonPlace>,
        #[serde(skip_serializing_if = "Option::is_none")]
        place: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct JsonItem<'a> {
        app: &'a str,
        sign: Sign,
        area: &'a str,
        subject: &'a str,
        manifest: Option<JsonPlace>,
        details: &'a [String],
        by: &'static str,
        findings: Vec<JsonFinding<'a>>,
    }
    #[derive(Serialize)]
    struct Risk<'a> {
        code: &'a str,
        message: &'a str,
        manifest: JsonPlace,
    }
    let items = plan.items.iter().map(|i| JsonItem {
        app: plan.app_name(i.app),
        sign: i.sign,
        area: i.area,
        subject: &i.subject,
        manifest: i.origin.as_ref().map(JsonPlace::of),
        details: &i.details,
        by: match i.fix {
            Fix::Changes(_) | Fix::Content => "apply",
            Fix::ByHand => "hand",
            Fix::Blocked => "blocked",
        },
        findings: i.findings.iter().map(|f: &Finding| JsonFinding::of(f)).collect(),
    });
    let risks = warnings.iter().map(|w| Risk {
        code: w.code.id,
        message: &w.message,
        manifest: JsonPlace::of(&w.origin),
    });
    fn json_step(s: &Step) -> JsonStep<'_> {
        JsonStep {
            what: &s.what,
            code: s.code.id,
            manifest: s.origin.as_ref().map(JsonPlace::of),
            place: s.place.as_deref(),
        }
    }
    let ways = plan.ways.iter().map(|(app, w)| JsonWay {
        app: plan.app_name(*app),
        user: &w.user,
        steps: w.steps.iter().map(json_step).collect(),
    });
    let report = Report {
        version: JSON_VERSION,
        kind: "plan",
        status: plan.status(),
        items: items.collect(),
        risks: risks.collect(),
        ways: ways.collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}
