//! What a log held, small enough to be sent on: JSON Lines, one denial a line. Its schema is
//! `docs/schema/summary.schema.json`.
//!
//! Summaries of several hosts (or of one host's logs, one by one) are put together to what all the logs together would
//! have given, in whatever order. A summary may have been written by anybody: every name in it is checked as a log's
//! is, nothing in it sizes an allocation, and a line that is not as it should be is said and left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Context;
use super::changes::{Change, Changes};
use super::denial::{Counts, Denial, DenialKey, Seen};
use super::list::{Denials, Numbered};
use super::refusal::{self, Refusal};
use super::scan::Log;
use super::tally::{Place, Reason, SetAside, Tally};
use crate::report::codes;
use crate::selinux::module::{Name, classes};

/// Version of the form.
pub const VERSION: u32 = 1;

/// Longest line that is taken.
const LONGEST_LINE: u64 = 1 << 20;

/// Most sources of a summary, and most lines shown as unread, that are kept.
const MOST_SOURCES: usize = 100_000;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    perms_summary: u32,
    sources: Vec<String>,
    lines: Tally,
    lost: u64,
    unread_by_code: BTreeMap<String, u64>,
    changes: ChangesOut,
    /// How many lines of denials and refusals follow.
    denials: usize,
    refusals: usize,
    unread: usize,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct ChangesOut {
    policy_loads: SeenOut,
    permissive: SeenOut,
    enforcing: SeenOut,
    boots: SeenOut,
    booleans: Vec<(String, Option<u64>, bool)>,
    history: Vec<(u64, String, Option<bool>)>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct SeenOut {
    auditd: u64,
    kernel: u64,
    journal: u64,
    daemon: u64,
    first: Option<u64>,
    last: Option<u64>,
    /// Source, line.
    place: Option<(u32, u64)>,
}

/// Any further line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Line {
    Denial(Box<DenialOut>),
    Refusal { what: RefusalOut, seen: SeenOut },
    Unread { place: (u32, u64), code: String, reason: String },
}

#[derive(Debug, Serialize, Deserialize)]
struct DenialOut {
    source: String,
    target: String,
    class: String,
    permissions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown_label: Option<Value>,
    seen: SeenOut,
    permissive: u64,
    #[serde(default)]
    enforced: u64,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ioctls: BTreeSet<u16>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    nlmsgs: BTreeSet<u16>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ports: BTreeSet<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown_permissions: Vec<String>,
    /// By name: values with how often each came, and whether there were more.
    samples: BTreeMap<String, (Vec<(Value, u64)>, bool)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum RefusalOut {
    InvalidContext { context: Value, source: String, target: String, class: String },
    BoundedTransition { old: String, new: String },
    ValidateTransition { old: String, new: String, task: String, class: String },
    Bounds { source: String, target: String, class: String },
    UnknownLabel { operation: Value, context: Value },
}

/// A string, or (as the journal does) numbers where it is not UTF-8.
fn bytes_out(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(bytes.to_vec()),
    }
}

fn bytes_in(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(list) => list.iter().map(|n| n.as_u64().and_then(|n| u8::try_from(n).ok())).collect(),
        _ => None,
    }
}

impl From<&Seen> for SeenOut {
    fn from(seen: &Seen) -> Self {
        let Counts { auditd, kernel, journal, daemon } = seen.counts;
        let place = seen.place.map(|p| (p.source, p.line));
        SeenOut { auditd, kernel, journal, daemon, first: seen.first, last: seen.last, place }
    }
}

impl SeenOut {
    fn seen(&self, sources: u32) -> Seen {
        let SeenOut { auditd, kernel, journal, daemon, first, last, place } = *self;
        let place = place.filter(|(source, _)| *source < sources);
        Seen {
            counts: Counts { auditd, kernel, journal, daemon },
            first,
            last,
            place: place.map(|(source, line)| Place { source, line }),
        }
    }
}

/// Writes what `log` holds. `host` comes before the names of the sources, so that those of several hosts are told from
/// each other.
///
/// # Errors
/// What writing gives.
pub fn write(log: &Log, host: &str, out: &mut dyn Write) -> io::Result<()> {
    let changes = &log.changes;
    let head = Head {
        perms_summary: VERSION,
        sources: log
            .sources
            .iter()
            .map(|s| if host.is_empty() { s.clone() } else { format!("{host}:{s}") })
            .collect(),
        lines: log.tally.clone(),
        lost: log.lost,
        unread_by_code: log.set_aside.by_code.iter().map(|(code, n)| ((*code).to_owned(), *n)).collect(),
        changes: ChangesOut {
            policy_loads: (&changes.policy_loads).into(),
            permissive: (&changes.permissive).into(),
            enforcing: (&changes.enforcing).into(),
            boots: (&changes.boots).into(),
            booleans: changes.booleans.iter().map(|(name, (t, set))| (name.to_string(), *t, *set)).collect(),
            history: changes.history.iter().map(|(t, change)| history_out(*t, change)).collect(),
        },
        denials: log.denials.len(),
        refusals: log.refusals.len(),
        unread: log.set_aside.lines.len(),
    };
    let mut line = |value: &dyn erased::Line| -> io::Result<()> {
        value.write(out)?;
        out.write_all(b"\n")
    };
    line(&head)?;
    for denial in log.denials.values() {
        line(&Line::Denial(Box::new(denial_out(denial))))?;
    }
    for (refusal, seen) in &log.refusals {
        line(&Line::Refusal { what: refusal_out(refusal), seen: seen.into() })?;
    }
    for (place, reason) in &log.set_aside.lines {
        line(&Line::Unread {
            place: (place.source, place.line),
            code: reason.code.id.to_owned(),
            reason: reason.text.clone(),
        })?;
    }
    Ok(())
}

/// What can be written as a line.
mod erased {
    pub(super) trait Line {
        fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()>;
    }

    impl<T: serde::Serialize> Line for T {
        fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
            serde_json::to_writer(out, self).map_err(Into::into)
        }
    }
}

fn history_out(time: u64, change: &Change) -> (u64, String, Option<bool>) {
    let (what, set) = match change {
        Change::Boot => ("=boot".to_owned(), None),
        Change::PolicyLoad => ("=policy-load".to_owned(), None),
        Change::Mode(enforcing) => ("=enforcing".to_owned(), Some(*enforcing)),
        Change::Boolean(name, set) => (name.to_string(), Some(*set)),
    };
    (time, what, set)
}

fn history_in((time, what, set): &(u64, String, Option<bool>)) -> Option<(u64, Change)> {
    let change = match (what.as_str(), set) {
        ("=boot", None) => Change::Boot,
        ("=policy-load", None) => Change::PolicyLoad,
        ("=enforcing", Some(set)) => Change::Mode(*set),
        (name, Some(set)) => Change::Boolean(Name::new(name)?, *set),
        _ => return None,
    };
    Some((*time, change))
}

fn denial_out(denial: &Denial) -> DenialOut {
    DenialOut {
        source: denial.key.source.to_string(),
        target: denial.key.target.to_string(),
        class: denial.key.class.to_string(),
        permissions: denial.key.permissions.iter().map(ToString::to_string).collect(),
        unknown_label: denial.key.unknown_label.as_deref().map(bytes_out),
        seen: (&denial.seen).into(),
        permissive: denial.permissive,
        enforced: denial.enforced,
        ioctls: BTreeSet::clone(&denial.ioctls),
        nlmsgs: BTreeSet::clone(&denial.nlmsgs),
        ports: BTreeSet::clone(&denial.evidence.ports),
        unknown_permissions: denial.unknown.iter().map(ToString::to_string).collect(),
        samples: denial
            .evidence
            .samples()
            .into_iter()
            .filter(|(_, sample)| !sample.is_empty())
            .map(|(name, sample)| {
                let values = sample.counted().map(|(v, n)| (bytes_out(v), n)).collect();
                (name.to_owned(), (values, sample.more()))
            })
            .collect(),
    }
}

fn refusal_out(refusal: &Refusal) -> RefusalOut {
    let text = Context::to_string;
    match refusal {
        Refusal::InvalidContext { context, source, target, class } => RefusalOut::InvalidContext {
            context: bytes_out(context),
            source: text(source),
            target: text(target),
            class: class.to_string(),
        },
        Refusal::BoundedTransition { old, new } => {
            RefusalOut::BoundedTransition { old: text(old), new: text(new) }
        }
        Refusal::ValidateTransition { old, new, task, class } => RefusalOut::ValidateTransition {
            old: text(old),
            new: text(new),
            task: text(task),
            class: class.to_string(),
        },
        Refusal::Bounds { source, target, class } => {
            RefusalOut::Bounds { source: text(source), target: text(target), class: class.to_string() }
        }
        Refusal::UnknownLabel { operation, context } => {
            RefusalOut::UnknownLabel { operation: bytes_out(operation), context: bytes_out(context) }
        }
    }
}

/// What is wrong with a summary.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// It is none.
    #[error(
        "`{name}` is no summary of this version: its first line is to be `{{\"perms_summary\":{VERSION},…`"
    )]
    Head {
        /// Of the file.
        name: String,
    },
    /// A line is not as it should be, and was left out.
    #[error("{name}:{line}: {reason}; the line is left out")]
    Line {
        /// Of the file.
        name: String,
        /// Which line.
        line: u64,
        /// Why.
        reason: String,
    },
    /// It has not as many lines as it says, or its counts do not add up.
    #[error("`{name}` is not whole: {reason}")]
    Cut {
        /// Of the file.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// Reading it failed.
    #[error("cannot read `{name}`: {error}")]
    Io {
        /// Of the file.
        name: String,
        /// Why.
        error: io::Error,
    },
}

/// Reads a summary, called `name` in errors. What can be read is, whatever is wrong elsewhere.
pub fn read(name: &str, input: impl Read, keep_set_aside: usize) -> (Log, Vec<SummaryError>) {
    let mut errors = Vec::new();
    let mut input = BufReader::new(input);
    let mut number = 0;
    let head = match next_line(&mut input) {
        Ok(Some(line)) => serde_json::from_slice::<Head>(&line).ok(),
        Ok(None) => None,
        Err(error) => {
            errors.push(SummaryError::Io { name: name.to_owned(), error });
            return (Log::default(), errors);
        }
    };
    let Some(head) = head.filter(|h| h.perms_summary == VERSION && h.sources.len() <= MOST_SOURCES) else {
        errors.push(SummaryError::Head { name: name.to_owned() });
        return (Log::default(), errors);
    };
    let mut log = Log { set_aside: SetAside::new(keep_set_aside), ..Log::default() };
    let sources = u32::try_from(head.sources.len()).unwrap_or(u32::MAX);
    log.changes = changes_in(&head.changes, sources);
    log.lost = head.lost;
    for (code, count) in &head.unread_by_code {
        if let Some(code) = codes::find(code) {
            log.set_aside.by_code.insert(code.id, *count);
        }
    }
    let (mut denials, mut refusals, mut unread) = (0usize, 0usize, 0usize);
    let mut found = Numbered::default();
    loop {
        number += 1;
        let mut bad = |reason: String| {
            errors.push(SummaryError::Line { name: name.to_owned(), line: number + 1, reason });
        };
        let line = match next_line(&mut input) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                errors.push(SummaryError::Io { name: name.to_owned(), error });
                break;
            }
        };
        match serde_json::from_slice::<Line>(&line) {
            Ok(Line::Denial(out)) => match denial_in(&out, sources) {
                Ok(denial) => {
                    denials += 1;
                    found.push(denial);
                }
                Err(reason) => bad(reason),
            },
            Ok(Line::Refusal { what, seen }) => match refusal_in(&what) {
                Some(refusal) => {
                    refusals += 1;
                    log.refusals.entry(refusal).or_default().merge(&seen.seen(sources));
                }
                None => bad("a refusal with a name that is none".to_owned()),
            },
            Ok(Line::Unread { place: (source, line), code, reason }) => {
                unread += 1;
                if let Some(code) = codes::find(&code).filter(|_| source < sources) {
                    let place = Place { source, line };
                    let text: String = reason.chars().take(1000).collect();
                    log.set_aside.keep(place, Reason::new(code, text));
                }
            }
            Err(error) => bad(error.to_string()),
        }
    }
    log.denials = Denials::sorted(found);
    let records = |n: u64, d: &Denial| n.saturating_add(d.seen.counts.records());
    let counted = log.denials.values().fold(0, records);
    let cut = if (denials, refusals, unread) != (head.denials, head.refusals, head.unread) {
        Some("lines are missing".to_owned())
    } else if counted != head.lines.denials || head.lines.sum() != head.lines.lines {
        Some("its counts do not add up".to_owned())
    } else {
        None
    };
    if let Some(reason) = cut {
        errors.push(SummaryError::Cut { name: name.to_owned(), reason });
    }
    log.sources = head.sources;
    log.tally = head.lines;
    (log, errors)
}

/// A line without its end; `None` at the end.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if u64::try_from(line.len()).unwrap_or(u64::MAX) >= LONGEST_LINE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of more than a megabyte"));
    } else if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(line))
}

fn context(text: &str) -> Result<Context, String> {
    Context::parse(text.as_bytes()).ok_or_else(|| format!("the context `{text}` is none"))
}

fn class(text: &str) -> Option<Name> {
    Name::new(text).filter(|c| classes::is_class(c.as_str()))
}

fn denial_in(out: &DenialOut, sources: u32) -> Result<Denial, String> {
    let class = class(&out.class).ok_or_else(|| format!("no class is called `{}`", out.class))?;
    let mut permissions = BTreeSet::new();
    for permission in &out.permissions {
        let name = Name::new(permission).filter(|p| classes::has_permission(class.as_str(), p.as_str()));
        permissions
            .insert(name.ok_or_else(|| format!("the class `{class}` has no permission `{permission}`"))?);
    }
    if permissions.is_empty() {
        return Err("a denial of no permission".to_owned());
    }
    let label = out.unknown_label.as_ref().and_then(bytes_in);
    let key = DenialKey {
        source: context(&out.source)?.into(),
        target: context(&out.target)?.into(),
        class,
        permissions: permissions.into_iter().collect(),
        unknown_label: label.map(|l| l.into_iter().take(1024).collect()),
    };
    let mut denial = Denial::new(key);
    denial.seen = out.seen.seen(sources);
    denial.permissive = out.permissive;
    denial.enforced = out.enforced;
    denial.ioctls.extend(out.ioctls.iter().copied());
    denial.nlmsgs.extend(out.nlmsgs.iter().copied());
    denial.unknown = out.unknown_permissions.iter().take(100).filter_map(|p| Name::new(p)).collect();
    denial.evidence.ports.extend(out.ports.iter().copied());
    for (name, sample) in denial.evidence.samples_mut() {
        if let Some((values, more)) = out.samples.get(name) {
            for (value, times) in values {
                let value = bytes_in(value).ok_or("a value that is neither text nor bytes")?;
                sample.add_times(&value, *times);
            }
            if *more {
                sample.set_more();
            }
        }
    }
    Ok(denial)
}

fn refusal_in(out: &RefusalOut) -> Option<Refusal> {
    let context = |text: &str| Context::parse(text.as_bytes());
    let short =
        |value: &Value, most: usize| bytes_in(value).map(|b| b.into_iter().take(most).collect::<Box<[u8]>>());
    Some(match out {
        RefusalOut::InvalidContext { context: invalid, source, target, class } => Refusal::InvalidContext {
            context: short(invalid, refusal::LONGEST)?,
            source: context(source)?,
            target: context(target)?,
            class: Name::new(class)?,
        },
        RefusalOut::BoundedTransition { old, new } => {
            Refusal::BoundedTransition { old: context(old)?, new: context(new)? }
        }
        RefusalOut::ValidateTransition { old, new, task, class } => Refusal::ValidateTransition {
            old: context(old)?,
            new: context(new)?,
            task: context(task)?,
            class: Name::new(class)?,
        },
        RefusalOut::Bounds { source, target, class } => {
            Refusal::Bounds { source: context(source)?, target: context(target)?, class: Name::new(class)? }
        }
        RefusalOut::UnknownLabel { operation, context } => Refusal::UnknownLabel {
            operation: short(operation, 64)?,
            context: short(context, refusal::LONGEST)?,
        },
    })
}

fn changes_in(out: &ChangesOut, sources: u32) -> Changes {
    let mut changes = Changes {
        policy_loads: out.policy_loads.seen(sources),
        permissive: out.permissive.seen(sources),
        enforcing: out.enforcing.seen(sources),
        boots: out.boots.seen(sources),
        ..Changes::default()
    };
    for (name, time, set) in &out.booleans {
        if let Some(name) = Name::new(name) {
            changes.boolean(name, (*time, *set));
        }
    }
    changes.history.extend(out.history.iter().filter_map(history_in));
    changes.trim();
    changes
}
