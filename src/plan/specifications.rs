//! `[[selinux.label]]` × the specifications in the policy store: what restorecon and the next relabel go by.

use std::path::{Path, PathBuf};

use regex::bytes::Regex;

use super::accounts::finding;
use super::change::{Change, StoreEdit};
use super::item::{Fix, Sign};
use super::labels::{literal, looked_up_elsewhere, matcher, stem};
use super::store::Comparison;
use crate::host::policy_store::LocalContext;
use crate::manifest::{LabelRule, Manifest};
use crate::report::codes::label as codes;
use crate::report::{Class, Finding};
use crate::selinux::policy::Policy;

/// A declared specification.
pub(super) struct Declared<'m> {
    pub(super) app: usize,
    pub(super) m: &'m Manifest,
    pub(super) rule: &'m LabelRule,
    /// The type under its real name.
    pub(super) setype: String,
    pub(super) stem: PathBuf,
}

impl Declared<'_> {
    pub(super) fn pattern(&self) -> &str {
        &self.rule.paths.value
    }

    pub(super) fn files(&self) -> Option<char> {
        self.rule.files.as_ref().map(|f| f.value)
    }

    pub(super) fn level(&self) -> Option<&str> {
        self.rule.level.as_ref().map(|l| l.value.as_str())
    }

    fn is(&self, c: &LocalContext) -> bool {
        c.setype() == self.setype && self.level().is_none_or(|l| c.level() == Some(l))
    }

    fn place(&self) -> String {
        format!("specification {}", self.pattern())
    }
}

/// Compares all declared specifications with the store's.
pub(super) fn compare(c: &mut Comparison<'_>, manifests: &[Manifest], policy: &Policy) {
    let mut all: Vec<Declared<'_>> = Vec::new();
    for (app, m) in manifests.iter().enumerate() {
        for rule in m.selinux.iter().flat_map(|s| &s.labels) {
            if c.unknown_type(app, m, &rule.setype, policy, &["file_type", "device_node"])
                || unknown_level(c, app, m, rule, policy)
            {
                continue;
            }
            let stem = stem(&rule.paths.value);
            // Which is said with the labels.
            if looked_up_elsewhere(&stem, c.host, c.selinux).is_some() {
                continue;
            }
            let setype = c.selinux.real_type(&c.host.root, &rule.setype.value);
            all.push(Declared { app, m, rule, setype, stem });
        }
    }
    let local = c.selinux.local_contexts();
    let standing = stand(&all, local, |d| c.selinux.base_context(&c.host.root, d.pattern(), d.files()));
    for (d, s) in all.iter().zip(&standing) {
        let there = s.there.and_then(|at| local.get(at));
        if !s.in_base && (s.last || there.is_none_or(|l| !d.is(l))) {
            change(c, d, there, s.last);
        }
    }
    let positions: Vec<Option<usize>> = standing.iter().map(|s| s.position).collect();
    undeclared(c, &all, &positions);
}

/// Where a declared specification stands among the local ones, or will.
pub(super) struct Standing {
    /// Its number there now.
    pub(super) there: Option<usize>,
    /// The policy itself has it, so that it is not needed there.
    pub(super) in_base: bool,
    /// It is there, and has to be put after others that would decide in its place.
    pub(super) last: bool,
    /// Its number there then; none if it is not there.
    position: Option<usize>,
}

/// Where each stands: the last that fits a file decides, so of two that are declared the later has to stand later.
pub(super) fn stand<'b>(
    all: &[Declared<'_>],
    local: &[LocalContext],
    base: impl Fn(&Declared<'_>) -> Option<&'b LocalContext>,
) -> Vec<Standing> {
    let mut end = local.len();
    let mut standing: Vec<Standing> = Vec::new();
    for (i, d) in all.iter().enumerate() {
        let there = local.iter().rposition(|l| l.pattern == d.pattern() && l.files == d.files());
        let last = there.is_some_and(|at| {
            let mut earlier = all.iter().zip(&standing).take(i);
            earlier.any(|(e, s)| s.position.is_some_and(|p| p > at) && overlap(e, d))
        });
        // The policy's own come before all local ones.
        let in_base = there.is_none()
            && base(d).is_some_and(|b| d.is(b))
            && !all.iter().zip(&standing).take(i).any(|(e, s)| s.position.is_some() && overlap(e, d));
        let new = there.is_none() && !in_base || last;
        let position = if new { Some(end) } else { there };
        end += usize::from(new);
        standing.push(Standing { there, in_base, last, position });
    }
    standing
}

fn unknown_level(
    c: &mut Comparison<'_>,
    app: usize,
    m: &Manifest,
    rule: &LabelRule,
    policy: &Policy,
) -> bool {
    let Some(level) = &rule.level else { return false };
    let context = format!("system_u:object_r:{}:{}", rule.setype.value, level.value);
    let Err(e) = policy.parse_context(&context) else { return false };
    let place = format!("level {}", level.value);
    let f = finding(m, &codes::UNKNOWN_NAME, Class::Wrong, &place, Some(&level.origin))
        .is("unknown to the policy, or not for this type", "a level that the policy has")
        .why(e.to_string())
        .remedy("mend the level");
    c.push(app, Sign::Attention, place, f, Fix::Blocked, &level.origin);
    true
}

/// Whether there may be files that both fit and that they label differently.
fn overlap(a: &Declared<'_>, b: &Declared<'_>) -> bool {
    a.setype != b.setype
        && (a.files().is_none() || b.files().is_none() || a.files() == b.files())
        && (a.stem.starts_with(&b.stem) || b.stem.starts_with(&a.stem))
}

/// Adds, changes or moves a specification.
fn change(c: &mut Comparison<'_>, d: &Declared<'_>, there: Option<&LocalContext>, last: bool) {
    let is = match there {
        None => "not in the policy store".to_owned(),
        Some(l) if d.is(l) => "in the policy store, before one that decides in its place".to_owned(),
        Some(l) => format!("{} in the policy store", l.context.as_deref().unwrap_or("<<none>>")),
    };
    let should = match d.level() {
        Some(level) => format!("{}:{level} in the policy store", d.setype),
        None => format!("{} in the policy store", d.setype),
    };
    let origin = &d.rule.paths.origin;
    let f = finding(d.m, &codes::LIVE_ONLY, Class::Missing, &d.place(), Some(origin))
        .is(is, should)
        .why("the next relabel would take the labels away")
        .remedy("perms apply");
    let sign = if there.is_some() { Sign::Change } else { Sign::Add };
    if let Some(why) = cannot_be_said(d.pattern()) {
        return c.push(d.app, Sign::Attention, d.place(), f.remedy(why), Fix::Blocked, origin);
    }
    let edits = vec![StoreEdit::Context {
        pattern: d.pattern().to_owned(),
        files: d.files(),
        before: there.map(|l| l.context.clone().unwrap_or_else(|| "<<none>>".to_owned())),
        setype: d.setype.clone(),
        level: d.level().map(str::to_owned),
        last,
    }];
    c.push(d.app, sign, d.place(), f, Fix::Changes(vec![Change::Store { edits }]), origin);
}

/// Why a pattern cannot go through `semanage import`, or would harm there.
fn cannot_be_said(pattern: &str) -> Option<&'static str> {
    if pattern.contains(['\'', '"']) {
        return Some("semanage import cannot be given a quote: write `.` for it");
    }
    // One such line, and libselinux refuses to read the file.
    (!pattern.is_ascii())
        .then_some("libselinux takes ASCII only: write `.` for each byte of other characters")
}

/// Local specifications that nobody declared and that decide on declared paths.
fn undeclared(c: &mut Comparison<'_>, all: &[Declared<'_>], positions: &[Option<usize>]) {
    let local = c.selinux.local_contexts();
    for (at, l) in local.iter().enumerate() {
        if all.iter().any(|d| d.pattern() == l.pattern && d.files() == l.files) {
            continue;
        }
        let its_stem = stem(&l.pattern);
        let regex = matcher(&l.pattern);
        let found = all.iter().zip(positions).find(|(d, position)| {
            let kinds = d.files().is_none() || l.files.is_none() || d.files() == l.files;
            let decides = literal(&l.pattern) && !literal(d.pattern())
                || literal(&l.pattern) == literal(d.pattern()) && position.is_none_or(|p| p < at);
            kinds && decides && d.setype != l.setype() && meets(l, &its_stem, regex.as_ref(), d)
        });
        let Some((d, _)) = found else { continue };
        let place = format!("specification {}", l.pattern);
        let f: Finding = finding(d.m, &codes::UNDECLARED, Class::Excess, &place, Some(&d.rule.paths.origin))
            .is(
                format!("{} in the policy store, deciding before `{}`", l.setype(), d.pattern()),
                "not there, or declared",
            )
            .why("the next relabel would follow it")
            .remedy(format!(
                "semanage fcontext -d -f {} '{}'; or declare it",
                super::change::kind_option(l.files),
                l.pattern
            ));
        c.push(d.app, Sign::Attention, place, f, Fix::ByHand, &d.rule.paths.origin);
    }
}

/// Whether a local specification speaks of paths of a declared one.
fn meets(l: &LocalContext, its_stem: &Path, regex: Option<&Regex>, d: &Declared<'_>) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let fits = |r: &Regex, p: &Path| r.is_match(p.as_os_str().as_bytes());
    if its_stem.starts_with(&d.stem) {
        // A path of its own below: the declared one has to fit it, if it can be told.
        return !literal(&l.pattern) || matcher(d.pattern()).is_none_or(|r| fits(&r, its_stem));
    }
    // An expression that cannot be read here is taken to fit: better said once too often.
    d.stem.starts_with(its_stem)
        && regex.is_none_or(|r| fits(r, &d.stem) || fits(r, &d.stem.join("perms-looks-here")))
}
