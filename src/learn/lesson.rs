//! What a log teaches: groups of denials, each with advice and rules, and cautions about the whole.

use std::collections::BTreeMap;

use crate::denials::denial::Seen;
use crate::denials::refusal::Refusal;
use crate::denials::{Denial, Log};
use crate::manifest::Manifest;
use crate::report::Code;
use crate::report::codes::log::{FORGEABLE, LOST_RECORDS, OLD_POLICY, PERMISSIVE, UNKNOWN_PERMISSION};
use crate::selinux::module::{Name, Rule, RuleSet};

use super::advice::{self, Advice};
use super::group::{self, Owner};
use super::text;

/// How denials are turned into rules.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One module of this name for all denials, instead of one for each application or domain.
    pub name: Option<Name>,
    /// Write `allowxperm` rules for ioctl commands and netlink messages.
    pub xperms: bool,
}

/// What was learnt from a log.
#[derive(Debug)]
pub struct Lesson<'a> {
    /// The log.
    pub log: &'a Log,
    /// What holds for the whole log.
    pub cautions: Vec<Caution>,
    /// Applications and domains, in order.
    pub groups: Vec<Group<'a>>,
    /// Refusals that belong to no domain.
    pub other_refusals: Vec<Refused<'a>>,
}

/// A caution about the whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caution {
    /// The code.
    pub code: Code,
    /// What is the case.
    pub text: String,
}

/// The denials of one application or domain, and its module.
#[derive(Debug)]
pub struct Group<'a> {
    /// Whose they are.
    pub owner: Owner,
    /// The module's name.
    pub module: Name,
    /// The denials, each with its advice.
    pub denials: Vec<Learned<'a>>,
    /// SELINUX_ERR records of the same domains.
    pub refusals: Vec<Refused<'a>>,
    /// Rules for a `.te` module.
    pub te: RuleSet,
    /// Rules with names that only CIL can write.
    pub cil: RuleSet,
}

/// A denial with its advice.
#[derive(Debug)]
pub struct Learned<'a> {
    /// The denial.
    pub denial: &'a Denial,
    /// What to look at.
    pub advice: Vec<Advice>,
}

impl Learned<'_> {
    /// Whether a rule is written for it.
    pub fn has_rule(&self) -> bool {
        self.advice.iter().all(|a| !a.instead_of_rule)
    }

    /// The rule that would allow it.
    pub fn rule(&self) -> Rule {
        let key = &self.denial.key;
        Rule::new(key.source.kind.clone(), key.target.kind.clone(), key.class.clone())
    }
}

/// A SELINUX_ERR record with its advice.
#[derive(Debug)]
pub struct Refused<'a> {
    /// What was refused.
    pub refusal: &'a Refusal,
    /// How often and when.
    pub seen: &'a Seen,
    /// What helps.
    pub advice: Advice,
}

/// Sorts the denials of `log` to the applications of `manifests` and to domains, gives advice, and makes rules.
pub fn learn<'a>(log: &'a Log, manifests: &[Manifest], options: &Options) -> Lesson<'a> {
    let mut groups: BTreeMap<Owner, Group<'a>> = BTreeMap::new();
    for denial in log.denials.values() {
        for owner in group::owners(denial, manifests, options) {
            let advice = advice::denial(denial);
            let group = groups.entry(owner.clone()).or_insert_with(|| Group::new(owner));
            group.add(Learned { denial, advice });
        }
    }
    let mut other_refusals = Vec::new();
    for (refusal, seen) in &log.refusals {
        let refused = || Refused { refusal, seen, advice: advice::refusal(refusal) };
        match advice::refused_domain(refusal) {
            Some(domain) => {
                let owner = group::domain_owner(domain, options);
                groups.entry(owner.clone()).or_insert_with(|| Group::new(owner)).refusals.push(refused());
            }
            None => other_refusals.push(refused()),
        }
    }
    let mut groups: Vec<Group<'a>> = groups.into_values().collect();
    group::name_modules(&mut groups);
    Lesson { log, cautions: cautions(log), groups, other_refusals }
}

impl<'a> Group<'a> {
    fn new(owner: Owner) -> Self {
        let module = owner.module_name();
        Group {
            owner,
            module,
            denials: Vec::new(),
            refusals: Vec::new(),
            te: RuleSet::default(),
            cil: RuleSet::default(),
        }
    }

    fn add(&mut self, learned: Learned<'a>) {
        if learned.has_rule() {
            let rule = learned.rule();
            let set = if rule.in_te() { &mut self.te } else { &mut self.cil };
            let grant = set.grant(rule);
            grant.permissions.extend(learned.denial.key.permissions.iter().cloned());
            grant.ioctls.extend(&learned.denial.ioctls);
            grant.nlmsgs.extend(&learned.denial.nlmsgs);
            grant.remarks.extend(learned.advice.iter().filter_map(Advice::remark));
        }
        self.denials.push(learned);
    }

    /// How often its denials were recorded, at the least.
    pub fn times(&self) -> u64 {
        self.denials.iter().map(|d| d.denial.seen.counts.least()).sum()
    }
}

/// What is to be said once of the whole log.
fn cautions(log: &Log) -> Vec<Caution> {
    let mut list = Vec::new();
    let mut say = |code, text: String| list.push(Caution { code, text });
    let distinct = |n: usize| text::count(text::len(n), "distinct denial", "distinct denials");
    let permissive = log.denials.values().filter(|d| d.permissive > 0).count();
    if permissive > 0 {
        say(
            &PERMISSIVE,
            format!("{} let through (permissive): counts say nothing of frequency", distinct(permissive)),
        );
    }
    if log.lost > 0 {
        say(
            &LOST_RECORDS,
            format!(
                "{} that audit records were lost: denials may be missing",
                text::count(log.lost, "line says", "lines say")
            ),
        );
    }
    let forgeable = log.denials.values().filter(|d| d.seen.counts.forgeable()).count();
    if forgeable > 0 {
        say(
            &FORGEABLE,
            format!(
                "{} only in lines that any local user can write: to be checked first",
                distinct(forgeable)
            ),
        );
    }
    if let Some(load) = log.changes.policy_loads.last {
        let older = log.denials.values().filter(|d| d.seen.last.is_some_and(|t| t < load)).count();
        if older > 0 {
            let when = text::time(load);
            say(&OLD_POLICY, format!("{} from before the policy was last loaded ({when})", distinct(older)));
        }
    }
    let unknown = log.denials.values().filter(|d| !d.unknown.is_empty()).count();
    if unknown > 0 {
        say(
            &UNKNOWN_PERMISSION,
            format!("{} with a permission that is not known; the rules are without it", distinct(unknown)),
        );
    }
    list
}
