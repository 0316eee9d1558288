//! The report for programs. Its schema is `docs/schema/learn.schema.json`.
//!
//! Texts are raw here, as JSON strings; bytes that are not UTF-8 are written `\xNN`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fixes::Fix;
use super::interfaces::{self, TooWide};
use super::replay::{CallProof, Proof, Replay};
use super::verdict::{Not, Place, Remedy, Verdict};
use super::{Advice, Caution, Group, Judgement, Learned, Lesson, Owner, Refused, fixes, mode, why};
use crate::denials;
use crate::denials::denial::Counts;
use crate::denials::tally::Tally;
use crate::report::escape_bytes;
use crate::selinux::module::te;

/// Version of the form.
pub const VERSION: u32 = 1;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    version: u32,
    command: &'static str,
    /// The policy that was read.
    policy: Option<PolicyOut>,
    replay: Option<Replay>,
    booleans: BTreeMap<String, bool>,
    proofs: Option<Vec<Proof>>,
    interface_proofs: Vec<CallProof>,
    sources: Vec<String>,
    lines: Tally,
    distinct: usize,
    first: Option<u64>,
    last: Option<u64>,
    changes: Vec<ChangeOut>,
    cautions: Vec<Finding>,
    groups: Vec<GroupOut>,
    refusals: Vec<RefusalOut>,
    unread: Vec<Finding>,
    unread_by_code: BTreeMap<&'static str, u64>,
    errors: Vec<String>,
}

/// A boot, policy load, or change of mode or boolean.
#[derive(Debug, Serialize)]
struct ChangeOut {
    time: u64,
    what: String,
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
    fixes: Vec<Fix>,
    rules: Vec<RuleOut>,
    statements: Vec<String>,
    types: Vec<TypeOut>,
    interfaces: Vec<CallOut>,
    interfaces_too_wide: Vec<TooWide>,
    surplus: Vec<String>,
    denials: Vec<DenialOut>,
    refusals: Vec<RefusalOut>,
}

/// An interface that is called in place of rules.
#[derive(Debug, Serialize)]
struct CallOut {
    call: String,
    rules: Vec<String>,
    opens: usize,
    surplus: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PolicyOut {
    path: String,
    reason: &'static str,
    version: u32,
    specifications: Option<String>,
    specifications_error: Option<String>,
    /// The files that were counted by their labels.
    files: Option<FilesOut>,
}

#[derive(Debug, Serialize)]
struct FilesOut {
    seen: u64,
    whole: bool,
}

/// A type that the module makes.
#[derive(Debug, Serialize)]
struct TypeOut {
    name: String,
    attributes: Vec<String>,
    specifications: Vec<String>,
}

/// Cause and remedy of a denial.
#[derive(Debug, Serialize)]
struct VerdictOut {
    code: &'static str,
    cause: String,
    evidence: Vec<String>,
    remedy: RemedyOut,
    not: Vec<Not>,
}

#[derive(Debug, Default, Serialize)]
struct RemedyOut {
    kind: &'static str,
    steps: Vec<String>,
    permissions: Vec<String>,
    filtered: bool,
    paths: Vec<String>,
    more_paths: bool,
    below: Option<BelowOut>,
    #[serde(rename = "type")]
    ty: Option<String>,
    places: Vec<Place>,
    protocol: Option<&'static str>,
    ports: Vec<u16>,
    booleans: BTreeMap<String, bool>,
    opens: Option<usize>,
}

/// Files below a folder of this host whose labels are wrong.
#[derive(Debug, Serialize)]
struct BelowOut {
    folder: String,
    wrong: u64,
    whole: bool,
}

#[derive(Debug, Serialize)]
struct RuleOut {
    kind: &'static str,
    source: String,
    target: String,
    class: String,
    permissions: Vec<String>,
    ioctls: Vec<u16>,
    nlmsgs: Vec<u16>,
    filtered: bool,
    language: &'static str,
}

#[derive(Debug, Serialize)]
struct DenialOut {
    number: usize,
    verdict: Option<VerdictOut>,
    source: String,
    target: String,
    class: String,
    permissions: Vec<String>,
    unknown_permissions: Vec<String>,
    times: u64,
    records: Counts,
    permissive: u64,
    enforced: u64,
    mode: &'static str,
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
    logins: Values,
    units: Values,
    objects: Values,
    wanted: Values,
    owners: Values,
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
    let none = Vec::new();
    Report {
        version: VERSION,
        command,
        policy: lesson.judgement.as_ref().map(policy),
        replay: lesson.judgement.as_ref().map(|j| j.replay.clone()),
        booleans: lesson.judgement.as_ref().map(|j| j.booleans.clone()).unwrap_or_default(),
        proofs: lesson.judgement.as_ref().and_then(|j| j.proofs.clone()),
        interface_proofs: lesson.judgement.as_ref().map(|j| j.call_proofs.clone()).unwrap_or_default(),
        sources: log.sources.clone(),
        lines: log.tally.clone(),
        distinct: log.denials.len(),
        first: lesson.period.first,
        last: lesson.period.last,
        changes: log
            .changes
            .history
            .iter()
            .map(|(time, change)| ChangeOut { time: *time, what: change.to_string() })
            .collect(),
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
    let contents = [("te", &group.te), ("cil", &group.cil)];
    let sets = contents
        .into_iter()
        .flat_map(|(language, c)| [("allow", language, &c.rules), ("dontaudit", language, &c.silent)]);
    GroupOut {
        kind: match group.owner {
            Owner::All(_) => "all",
            Owner::App(_) => "application",
            Owner::Domain(_) => "domain",
        },
        name: group.owner.title().to_owned(),
        times: group.times(),
        files: files.to_vec(),
        fixes: fixes::fixes(group),
        rules: sets
            .flat_map(|(kind, language, set)| {
                set.iter().map(move |(rule, grant)| (kind, language, rule, grant))
            })
            .map(|(kind, language, rule, grant)| RuleOut {
                kind,
                source: rule.source.to_string(),
                target: rule.target_text().to_owned(),
                class: rule.class.to_string(),
                permissions: strings(&grant.permissions),
                ioctls: grant.ioctls.iter().copied().collect(),
                nlmsgs: grant.nlmsgs.iter().copied().collect(),
                filtered: grant.filtered,
                language,
            })
            .collect(),
        statements: contents.iter().flat_map(|(_, c)| &c.statements).map(ToString::to_string).collect(),
        types: group
            .new_types
            .iter()
            .map(|t| TypeOut {
                name: t.name.to_string(),
                attributes: strings(&t.attributes),
                specifications: t
                    .specs
                    .iter()
                    .map(|s| format!("{} {} {}", s.pattern, s.kind, s.context))
                    .collect(),
            })
            .collect(),
        interfaces: group
            .calls
            .iter()
            .map(|call| CallOut {
                call: call.text(),
                rules: call.covers.iter().map(|(rule, g)| te::one_line(rule, &g.permissions)).collect(),
                opens: call.opens,
                surplus: interfaces::surplus(call),
            })
            .collect(),
        interfaces_too_wide: group.too_wide.clone(),
        surplus: group.surplus.clone(),
        denials: group.denials.iter().map(|d| denial(lesson, d)).collect(),
        refusals: group.refusals.iter().map(refusal).collect(),
    }
}

fn policy(judgement: &Judgement) -> PolicyOut {
    let labels = judgement.labels.as_ref();
    PolicyOut {
        path: judgement.policy.clone(),
        reason: judgement.reason,
        version: judgement.version,
        specifications: labels.and_then(|l| l.as_ref().ok().cloned()),
        specifications_error: labels.and_then(|l| l.as_ref().err().cloned()),
        files: judgement.files.map(|(seen, whole)| FilesOut { seen, whole }),
    }
}

fn verdict(verdict: &Verdict) -> VerdictOut {
    let mut remedy =
        RemedyOut { kind: verdict.remedy.word(), steps: verdict.remedy.steps(), ..RemedyOut::default() };
    match &verdict.remedy {
        Remedy::Nothing | Remedy::ByHand { .. } | Remedy::Statement(_) => {}
        Remedy::Relabel { paths, more, to, below, .. } => {
            remedy.below = below.as_ref().map(|b| BelowOut {
                folder: escape_bytes(&b.folder),
                wrong: b.wrong,
                whole: b.whole,
            });
            remedy.paths = paths.iter().map(|p| escape_bytes(p)).collect();
            remedy.more_paths = *more;
            remedy.ty = Some(to.clone());
        }
        Remedy::Places(places) => remedy.places.clone_from(places),
        Remedy::Port { protocol, ports, ty } => {
            remedy.protocol = Some(protocol);
            remedy.ports.clone_from(ports);
            remedy.ty = Some(ty.clone());
        }
        Remedy::Booleans { set, opens } => {
            remedy.booleans = set.iter().cloned().collect();
            remedy.opens = Some(*opens);
        }
        Remedy::Silence { permissions } => remedy.permissions = strings(permissions),
        Remedy::Allow { permissions, filtered } => {
            remedy.permissions = strings(permissions);
            remedy.filtered = *filtered;
        }
    }
    VerdictOut {
        code: verdict.code.id,
        cause: verdict.cause.clone(),
        evidence: verdict.evidence.clone(),
        remedy,
        not: verdict.not.clone(),
    }
}

fn denial(lesson: &Lesson<'_>, learned: &Learned<'_>) -> DenialOut {
    let d = learned.denial;
    let e = &d.evidence;
    let place = why::place(lesson, d);
    DenialOut {
        number: learned.number,
        verdict: learned.verdict.as_deref().map(verdict),
        source: d.key.source.to_string(),
        target: d.key.target.to_string(),
        class: d.key.class.to_string(),
        permissions: strings(&*d.key.permissions),
        unknown_permissions: strings(&d.unknown),
        times: d.seen.counts.least(),
        records: d.seen.counts,
        permissive: d.permissive,
        enforced: d.enforced,
        mode: mode::of(lesson.log, d).0.word(),
        forgeable: d.seen.counts.forgeable(),
        first: d.seen.first,
        last: d.seen.last,
        rule: learned.has_rule(),
        ioctls: d.ioctls.iter().copied().collect(),
        nlmsgs: d.nlmsgs.iter().copied().collect(),
        ports: e.ports.iter().copied().collect(),
        programs: values(e.programs()),
        commands: values(e.commands()),
        users: values(e.users()),
        logins: values(e.logins()),
        units: values(e.units()),
        objects: values(&e.objects),
        wanted: values(&e.wanted),
        owners: values(&e.owners),
        syscalls: values(e.syscalls()),
        hosts: values(e.hosts()),
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

fn values<'a>(sample: impl Into<denials::Values<'a>>) -> Values {
    let sample = sample.into();
    Values {
        values: sample.counted().map(|(v, times)| Value { value: escape_bytes(v), times }).collect(),
        more: sample.more(),
    }
}

fn strings<'a>(names: impl IntoIterator<Item = &'a crate::selinux::module::Name>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}
