//! Findings as text, for people and for screen readers, and as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::escape::{escape, escape_path};
use super::numbers::{count, len, thousands};
use super::style::Paint;
use super::{Class, Finding, Origin};

/// Version of the JSON form; a change that breaks readers raises it.
pub const JSON_VERSION: u32 = 1;
/// Findings of one code and class of one application beyond this many are only counted in the text for people.
const SHOWN: usize = 12;

/// Writes findings for people: counts by application, then each with its place, its reason and its remedy.
pub fn human(out: &mut dyn Write, findings: &[&Finding], paint: Paint) -> io::Result<()> {
    let mut apps: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for f in findings {
        apps.entry(&f.app).or_default().push(f);
    }
    for (app, findings) in &apps {
        writeln!(out, "{}: {}", paint.bold(&escape(app)), counts(findings))?;
    }
    for findings in apps.values() {
        let mut shown: BTreeMap<(&str, Class), usize> = BTreeMap::new();
        for f in findings {
            let n = shown.entry((f.code.id, f.class)).or_default();
            *n += 1;
            if *n <= SHOWN {
                writeln!(out)?;
                one(out, f, paint)?;
            }
        }
        for ((code, class), n) in shown {
            if n > SHOWN {
                writeln!(
                    out,
                    "\n{} more {}[{code}]; --format json or plain lists all",
                    n - SHOWN,
                    class.word()
                )?;
            }
        }
    }
    Ok(())
}

fn one(out: &mut dyn Write, f: &Finding, paint: Paint) -> io::Result<()> {
    let head = format!("{}[{}]", f.class.word(), f.code.id);
    let head = match f.class {
        Class::Excess | Class::Risk => paint.bad(&head),
        Class::Wrong | Class::Missing => paint.change(&head),
        Class::Unchecked => paint.faint(&head),
    };
    writeln!(out, "{head}  {}", paint.bold(&escape(&f.place)))?;
    writeln!(out, "  is {}", escape(&f.is))?;
    writeln!(out, "  should be {}{}", escape(&f.should), cite(f.origin.as_ref()))?;
    if let Some(why) = &f.why {
        writeln!(out, "  {}", escape(why))?;
    }
    for (n, step) in (1..).zip(&f.steps) {
        writeln!(out, "    {n}. {}", escape(step))?;
    }
    writeln!(out, "  remedy: {}", escape(&f.remedy))
}

/// ` (FILE:LINE)` of the manifest.
fn cite(origin: Option<&Origin>) -> String {
    origin.map_or_else(String::new, |o| format!("  ({}:{})", escape_path(o.path()), o.line()))
}

/// `1 excess, 2 wrong`.
pub fn counts(findings: &[&Finding]) -> String {
    let mut counts: BTreeMap<Class, usize> = BTreeMap::new();
    for f in findings {
        *counts.entry(f.class).or_default() += 1;
    }
    let order = [Class::Excess, Class::Wrong, Class::Missing, Class::Risk, Class::Unchecked];
    let words: Vec<String> =
        order.iter().filter_map(|c| counts.get(c).map(|n| format!("{n} {}", c.word()))).collect();
    if words.is_empty() { "as declared".to_owned() } else { words.join(", ") }
}

/// Writes findings one a line, without drawing or colour: `APP: CLASS CODE PLACE: is …; should be …; remedy: …`.
pub fn plain(out: &mut dyn Write, findings: &[&Finding]) -> io::Result<()> {
    for f in findings {
        writeln!(
            out,
            "{}: {} {} {}: is {}{}; should be {}{}; remedy: {}",
            escape(&f.app),
            f.class.word(),
            f.code.id,
            escape(&f.place),
            escape(&f.is),
            (1..).zip(&f.steps).map(|(n, s)| format!("; {n}. {}", escape(s))).collect::<String>(),
            escape(&f.should),
            cite(f.origin.as_ref()),
            escape(&f.remedy)
        )?;
    }
    Ok(())
}

/// A place in a manifest.
#[derive(Debug, Serialize)]
pub struct JsonPlace {
    file: String,
    line: usize,
    column: usize,
}

impl JsonPlace {
    /// The place of an origin.
    pub fn of(origin: &Origin) -> Self {
        JsonPlace { file: escape_path(origin.path()), line: origin.line(), column: origin.column() }
    }
}

/// A finding.
#[derive(Debug, Serialize)]
pub struct JsonFinding<'a> {
    code: &'static str,
    class: Class,
    app: &'a str,
    place: &'a str,
    is: &'a str,
    should: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    steps: &'a [String],
    remedy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<JsonPlace>,
}

impl<'a> JsonFinding<'a> {
    /// A finding.
    pub fn of(f: &'a Finding) -> Self {
        JsonFinding {
            code: f.code.id,
            class: f.class,
            app: &f.app,
            place: &f.place,
            is: &f.is,
            should: &f.should,
            why: f.why.as_deref(),
            steps: &f.steps,
            remedy: &f.remedy,
            manifest: f.origin.as_ref().map(JsonPlace::of),
        }
    }
}

/// What a look at a whole host covered.
#[derive(Debug, Default, Serialize)]
pub struct Extent {
    /// Objects looked at.
    pub seen: u64,
    /// Objects that could not be looked at.
    pub unread: u64,
    /// Findings that are accepted.
    pub accepted: usize,
    /// Mounts and trees that were not looked at, and why.
    pub left_out: Vec<LeftOut>,
    /// Accounts that may run anything as root.
    pub administrators: Vec<Administrator>,
}

/// A mount or tree that was not looked at.
#[derive(Debug, Serialize)]
pub struct LeftOut {
    /// It.
    pub path: String,
    /// Why.
    pub why: String,
}

/// An account that may run anything as root.
#[derive(Debug, Serialize)]
pub struct Administrator {
    /// It.
    pub user: String,
    /// What lets it.
    pub by: String,
}

/// Writes findings as one JSON object; docs/schema/findings.schema.json describes it.
pub fn json(
    out: &mut dyn Write,
    findings: &[&Finding],
    status: u8,
    extent: Option<&Extent>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Report<'a> {
        version: u32,
        kind: &'static str,
        status: u8,
        findings: Vec<JsonFinding<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extent: Option<&'a Extent>,
    }
    let report = Report {
        version: JSON_VERSION,
        kind: "audit",
        status,
        findings: findings.iter().map(|f| JsonFinding::of(f)).collect(),
        extent,
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

/// Writes what a look at a whole host covered, for people.
pub fn human_extent(out: &mut dyn Write, extent: &Extent, paint: Paint) -> io::Result<()> {
    let mut words = vec![format!("{} looked at", count(extent.seen, "file", "files"))];
    if extent.unread > 0 {
        words.push(format!("{} could not be", thousands(extent.unread)));
    }
    if extent.accepted > 0 {
        words.push(format!("{} accepted", count(len(extent.accepted), "finding", "findings")));
    }
    writeln!(out, "\n{}.", words.join(", "))?;
    if !extent.administrators.is_empty() {
        let list: Vec<String> =
            extent.administrators.iter().map(|a| format!("{} ({})", a.user, a.by)).collect();
        writeln!(out, "Administrators, who may run anything as root: {}.", escape(&list.join(", ")))?;
    }
    if !extent.left_out.is_empty() {
        writeln!(out, "Left out:")?;
        let width = extent.left_out.iter().map(|l| l.path.chars().count()).max().unwrap_or(0).min(40);
        for l in &extent.left_out {
            writeln!(out, "  {:width$}  {}", escape(&l.path), paint.faint(&escape(&l.why)))?;
        }
    }
    Ok(())
}
