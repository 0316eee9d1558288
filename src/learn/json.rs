//! The report for programs. Its schema is `docs/schema/learn.schema.json`.
//!
//! Texts are raw here, as JSON strings; bytes that are not UTF-8 are written `\xNN`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Advice, Caution, Group, Learned, Lesson, Owner, Refused, text, why};
use crate::denials::denial::{Counts, Sample};
use crate::denials::tally::Tally;
use crate::report::escape_bytes;

/// Version of the form.
pub const VERSION: u32 = 1;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    version: u32,
    command: &'static str,
    /// The policy that was read: none in this form.
    policy: Option<String>,
    sources: Vec<String>,
    lines: Tally,
    distinct: usize,
    first: Option<u64>,
    last: Option<u64>,
    cautions: Vec<Finding>,
    groups: Vec<GroupOut>,
    refusals: Vec<RefusalOut>,
    unread: Vec<Finding>,
    unread_by_code: BTreeMap<&'static str, u64>,
    errors: Vec<String>,
}

/// The parts of a finding, the same everywhere.
#[derive(Debug, Serialize)]
struct Finding {
    code: &'static str,
    place: String,
    reason: String,
    remedy: String,
}

#[derive(Debug, Serialize)]
struct GroupOut {
    kind: &'static str,
    name: String,
    times: u64,
    files: Vec<String>,
    rules: Vec<RuleOut>,
    denials: Vec<DenialOut>,
    refusals: Vec<RefusalOut>,
}

#[derive(Debug, Serialize)]
struct RuleOut {
    source: String,
    target: String,
    class: String,
    permissions: Vec<String>,
    ioctls: Vec<u16>,
    nlmsgs: Vec<u16>,
    language: &'static str,
}

#[derive(Debug, Serialize)]
struct DenialOut {
    source: String,
    target: String,
    class: String,
    permissions: Vec<String>,
    unknown_permissions: Vec<String>,
    times: u64,
    records: Counts,
    permissive: u64,
    forgeable: bool,
    first: Option<u64>,
    last: Option<u64>,
    place: String,
    rule: bool,
    ioctls: Vec<u16>,
    nlmsgs: Vec<u16>,
    ports: Vec<u16>,
    programs: Values,
    commands: Values,
    users: Values,
    objects: Values,
    wanted: Values,
    syscalls: Values,
    hosts: Values,
    findings: Vec<Finding>,
}

/// A sample.
#[derive(Debug, Serialize)]
struct Values {
    values: Vec<Value>,
    more: bool,
}

#[derive(Debug, Serialize)]
struct Value {
    value: String,
    times: u64,
}

#[derive(Debug, Serialize)]
struct RefusalOut {
    times: u64,
    first: Option<u64>,
    last: Option<u64>,
    finding: Finding,
}

/// Makes the report. `files` names the module files of each group, written or not.
pub fn report(command: &'static str, lesson: &Lesson<'_>, files: &[Vec<String>]) -> Report {
    let log = lesson.log;
    let (first, last) = text::period(log.denials.values().map(|d| &d.seen));
    let none = Vec::new();
    Report {
        version: VERSION,
        command,
        policy: None,
        sources: log.sources.clone(),
        lines: log.tally.clone(),
        distinct: log.denials.len(),
        first,
        last,
        cautions: lesson.cautions.iter().map(caution).collect(),
        groups: lesson
            .groups
            .iter()
            .enumerate()
            .map(|(i, g)| group(lesson, g, files.get(i).unwrap_or(&none)))
            .collect(),
        refusals: lesson.other_refusals.iter().map(refusal).collect(),
        unread: log
            .set_aside
            .lines
            .iter()
            .map(|(place, reason)| {
                let index = usize::try_from(place.source).unwrap_or(usize::MAX);
                Finding {
                    code: reason.code.id,
                    place: format!("{}:{}", log.sources.get(index).map_or("?", String::as_str), place.line),
                    reason: reason.text.clone(),
                    remedy: format!("perms explain {}", reason.code.id),
                }
            })
            .collect(),
        unread_by_code: log.set_aside.by_code.clone(),
        errors: log.errors.iter().map(ToString::to_string).collect(),
    }
}

fn caution(caution: &Caution) -> Finding {
    Finding {
        code: caution.code.id,
        place: "the whole log".to_owned(),
        reason: caution.text.clone(),
        remedy: format!("perms explain {}", caution.code.id),
    }
}

fn group(lesson: &Lesson<'_>, group: &Group<'_>, files: &[String]) -> GroupOut {
    let rules = [("te", &group.te), ("cil", &group.cil)];
    GroupOut {
        kind: match group.owner {
            Owner::All(_) => "all",
            Owner::App(_) => "application",
            Owner::Domain(_) => "domain",
        },
        name: group.owner.title().to_owned(),
        times: group.times(),
        files: files.to_vec(),
        rules: rules
            .into_iter()
            .flat_map(|(language, set)| set.iter().map(move |(rule, grant)| (language, rule, grant)))
            .map(|(language, rule, grant)| RuleOut {
                source: rule.source.to_string(),
                target: rule.target_text().to_owned(),
                class: rule.class.to_string(),
                permissions: strings(&grant.permissions),
                ioctls: grant.ioctls.iter().copied().collect(),
                nlmsgs: grant.nlmsgs.iter().copied().collect(),
                language,
            })
            .collect(),
        denials: group.denials.iter().map(|d| denial(lesson, d)).collect(),
        refusals: group.refusals.iter().map(refusal).collect(),
    }
}

fn denial(lesson: &Lesson<'_>, learned: &Learned<'_>) -> DenialOut {
    let d = learned.denial;
    let e = &d.evidence;
    let place = why::place(lesson, d);
    DenialOut {
        source: d.key.source.to_string(),
        target: d.key.target.to_string(),
        class: d.key.class.to_string(),
        permissions: strings(&d.key.permissions),
        unknown_permissions: strings(&d.unknown),
        times: d.seen.counts.least(),
        records: d.seen.counts,
        permissive: d.permissive,
        forgeable: d.seen.counts.forgeable(),
        first: d.seen.first,
        last: d.seen.last,
        rule: learned.has_rule(),
        ioctls: d.ioctls.iter().copied().collect(),
        nlmsgs: d.nlmsgs.iter().copied().collect(),
        ports: e.ports.iter().copied().collect(),
        programs: values(&e.programs),
        commands: values(&e.commands),
        users: values(&e.users),
        objects: values(&e.objects),
        wanted: values(&e.wanted),
        syscalls: values(&e.syscalls),
        hosts: values(&e.hosts),
        findings: learned.advice.iter().map(|a| advice(a, &place)).collect(),
        place,
    }
}

fn refusal(refused: &Refused<'_>) -> RefusalOut {
    RefusalOut {
        times: refused.seen.counts.least(),
        first: refused.seen.first,
        last: refused.seen.last,
        finding: advice(&refused.advice, ""),
    }
}

fn advice(advice: &Advice, place: &str) -> Finding {
    Finding {
        code: advice.code.id,
        place: place.to_owned(),
        reason: advice.text.clone(),
        remedy: advice.next.clone(),
    }
}

fn values(sample: &Sample) -> Values {
    Values {
        values: sample
            .values
            .iter()
            .map(|(v, times)| Value { value: escape_bytes(v), times: *times })
            .collect(),
        more: sample.more,
    }
}

fn strings<'a>(names: impl IntoIterator<Item = &'a crate::selinux::module::Name>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}
