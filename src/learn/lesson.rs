//! What a log teaches: groups of denials, each with advice and rules, and cautions about the whole.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::denials::denial::Seen;
use crate::denials::refusal::Refusal;
use crate::denials::{Denial, Log};
use crate::manifest::Manifest;
use crate::report::Code;
use crate::report::codes::log::{FORGEABLE, LOST_RECORDS, OLD_POLICY, PERMISSIVE, UNKNOWN_PERMISSION};
use crate::selinux::interfaces::Headers;
use crate::selinux::module::te::Form;
use crate::selinux::module::{Content, Grant, Name, Rule, parse};
use crate::selinux::policy::OverlayError;

use super::advice::{self, Advice, Advisor, Topics};
use super::causes::{Judge, Judged, refused};
use super::ground::Ground;
use super::group::{self, Owner};
use super::interfaces::{self, Call, Known, TooWide};
use super::places::{self, FileSpec, NewType};
use super::replay::{self, CallProof, Fixes, Proof, Replay};
use super::sum::{Period, Sum};
use super::surplus;
use super::verdict::{Remedy, Verdict};
use super::{cover, text};

/// How denials are turned into rules.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One module of this name for all denials, instead of one for each application or domain.
    pub name: Option<Name>,
    /// Write `allowxperm` rules for ioctl commands and netlink messages.
    pub xperms: bool,
    /// Take each permission out in turn and find the denial that returns.
    pub prove: bool,
    /// The form of `.te` modules.
    pub form: Form,
    /// Interfaces of the reference policy, called in place of rules where they open little else.
    pub interfaces: Option<Rc<Headers>>,
    /// Modules whose content is kept: each is merged with the group's whose module has its name.
    pub merge: Vec<parse::Module>,
    /// For a report that shows remedies: causes and evidence are told only of denials that need somebody's hand, or that
    /// stay denied. Half of the work on a long log would be texts that nobody sees.
    pub brief: bool,
    /// The process ends with the report: what was found out on the way is not freed piece by piece.
    pub ends: bool,
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
    /// What the policy said; `None` where none was read.
    pub judgement: Option<Judgement>,
    /// Modules to merge with that no group has.
    pub unmerged: Vec<Name>,
    /// First and last time of all denials.
    pub period: Period,
}

/// What the policy said of a whole log.
#[derive(Debug)]
pub struct Judgement {
    /// The policy's file.
    pub policy: String,
    /// Why that one.
    pub reason: &'static str,
    /// The policy's version.
    pub version: u32,
    /// Whether it has levels.
    pub mls: bool,
    /// The specifications' file, or why there are none; `None` where no path asked for them.
    pub labels: Option<Result<String, String>>,
    /// How many files of the host were counted by their labels, and whether these are all; `None` where none were.
    pub files: Option<(u64, bool)>,
    /// How the denials fare with all remedies.
    pub replay: Replay,
    /// Booleans to set.
    pub booleans: BTreeMap<String, bool>,
    /// The proof that no permission is too much, where it was asked for.
    pub proofs: Option<Vec<Proof>>,
    /// The same for the interfaces that are called.
    pub call_proofs: Vec<CallProof>,
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
    /// The module's version.
    pub version: String,
    /// The denials, each with its advice.
    pub denials: Vec<Learned<'a>>,
    /// SELINUX_ERR records of the same domains.
    pub refusals: Vec<Refused<'a>>,
    /// What a `.te` module says.
    pub te: Content,
    /// What needs CIL, for its names.
    pub cil: Content,
    /// Types that the module makes.
    pub new_types: Vec<NewType>,
    /// Specifications of the module's `.fc`.
    pub specs: BTreeSet<FileSpec>,
    /// Interfaces that are called in place of rules.
    pub calls: Vec<Call>,
    /// Some interfaces that would do, and open too much.
    pub too_wide: Vec<TooWide>,
    /// What else became possible, a line each.
    pub surplus: Vec<String>,
    /// How many such lines were left out ([`Options::brief`]).
    pub surplus_left: usize,
    /// What a module that is merged with said before.
    pub kept: Content,
    /// Its denials summed up.
    pub sum: Sum<'a>,
    /// The rules that denials needed so far: those on one access follow each other.
    growing: Vec<(Rule, Grant)>,
    /// The number of the access that the last of these is on, and its permissions.
    open: (usize, Vec<Name>),
}

/// A denial with its advice.
#[derive(Debug)]
pub struct Learned<'a> {
    /// The denial.
    pub denial: &'a Denial,
    /// Its place in the log's order, from 0 on.
    pub number: usize,
    /// What to look at.
    pub advice: Vec<Advice>,
    /// Cause and remedy, where a policy was read.
    pub verdict: Option<Rc<Verdict>>,
}

impl Learned<'_> {
    /// Whether an `allow` rule on its types is written for it.
    pub fn has_rule(&self) -> bool {
        match &self.verdict {
            Some(verdict) => matches!(verdict.remedy, Remedy::Allow { .. }),
            None => self.advice.iter().all(|a| !a.instead_of_rule),
        }
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

/// Sorts the denials of `log` to the applications of `manifests` and to domains, gives advice, and makes rules,
/// without a policy.
pub fn learn<'a>(log: &'a Log, manifests: &[Manifest], options: &Options) -> Lesson<'a> {
    judge(log, manifests, options, None)
}

/// The same, and finds the cause of each denial in the policy.
pub fn judge<'a>(
    log: &'a Log,
    manifests: &[Manifest],
    options: &Options,
    ground: Option<&Ground>,
) -> Lesson<'a> {
    let lesson = judged(
        log,
        manifests,
        options,
        ground.map(|g| if options.brief { Judge::brief(g) } else { Judge::new(g) }),
    );
    let untold = |j: &Judgement| j.replay.remain.iter().any(|(_, why)| why.is_empty());
    if options.brief && lesson.judgement.as_ref().is_some_and(untold) {
        // What no remedy helps is told with its cause; it is rare.
        drop(lesson);
        return judged(log, manifests, options, ground.map(Judge::new));
    }
    lesson
}

fn judged<'a>(
    log: &'a Log,
    manifests: &[Manifest],
    options: &Options,
    mut judge: Option<Judge<'_>>,
) -> Lesson<'a> {
    let Met { met, judged, runs, mut groups, cautions, period } =
        Met::all(log, manifests, options, judge.as_mut());
    let mut settled = judge.as_mut().map(|judge| Settled::new(judge, &met, judged, &runs));
    let mut start = 0;
    for run in &runs {
        let denials = met.get(start..run.end).unwrap_or_default();
        for (number, met) in (start..).zip(denials) {
            let verdict = settled.as_ref().and_then(|s| s.judged.get(number)).map(|j| &j.verdict);
            for at in &run.groups {
                let Some((_, group)) = groups.get_mut(*at) else { continue };
                let advice = advice_on(met, verdict.map(|v| &**v));
                let learned = Learned { denial: met.denial, number, advice, verdict: verdict.cloned() };
                group.add(learned, met.access);
            }
        }
        start = run.end;
    }
    let mut groups: BTreeMap<Owner, Group<'a>> = groups.into_iter().collect();
    groups.values_mut().for_each(Group::settle);
    let mut other_refusals = Vec::new();
    for (refusal, seen) in &log.refusals {
        let (advice, statement) = match &judge {
            Some(judge) => refused::judge(judge, refusal),
            None => (advice::refusal(refusal), None),
        };
        let refused = Refused { refusal, seen, advice };
        match advice::refused_domain(refusal) {
            Some(domain) => {
                let owner = group::domain_owner(domain, options);
                let group = groups.entry(owner.clone()).or_insert_with(|| Group::new(owner));
                group.refusals.push(refused);
                group.te.statements.extend(statement);
            }
            None => other_refusals.push(refused),
        }
    }
    for (module, new) in settled.iter_mut().flat_map(|s| s.new_types.iter()) {
        if let Some(group) = groups.values_mut().find(|g| g.module == *module) {
            group.make(new.clone());
        }
    }
    let mut groups: Vec<Group<'a>> = groups.into_values().collect();
    let mut unmerged = Vec::new();
    for module in &options.merge {
        match groups.iter_mut().find(|g| g.module == module.name) {
            Some(group) => group.keep(module),
            None => unmerged.push(module.name.clone()),
        }
    }
    for group in &mut groups {
        let whole = std::mem::take(&mut group.te);
        (group.te, group.cil) = whole.split();
    }
    group::name_modules(&mut groups);
    if let (Some(judge), Some(headers)) = (&judge, &options.interfaces) {
        let known = Known::new(&judge.ground().policy, headers);
        groups.iter_mut().for_each(|group| interfaces::cover(judge, &known, group));
    }
    let judgement = judge.zip(settled).map(|(judge, settled)| {
        for group in &mut groups {
            let most = if options.brief { text::SHOWN } else { usize::MAX };
            (group.surplus, group.surplus_left) = surplus::lines(&judge, group, most);
        }
        let judgement = settled.judgement(&judge, &groups, options);
        if options.ends {
            std::mem::forget(judge);
        }
        judgement
    });
    Lesson { log, cautions, groups, other_refusals, judgement, unmerged, period }
}

/// A denial, and what is known of it from when it was at hand.
struct OneMet<'a> {
    denial: &'a Denial,
    /// Goes up from one source, target and class to the next.
    access: usize,
    /// What may have to be said of it.
    topics: Topics,
}

/// Denials that follow each other and have the same owners.
struct Run {
    /// The number of the first denial behind it.
    end: usize,
    owners: Rc<[Owner]>,
    /// The places of the owners' groups.
    groups: Vec<usize>,
}

impl Run {
    /// The module that what is made for these denials belongs to.
    fn module(&self) -> Option<Name> {
        self.owners.first().map(Owner::module_name)
    }
}

/// All denials of a log, each looked at once: judged, and summed up by owners. They lie in memory one by one, so that
/// every look at all of them takes long.
struct Met<'a> {
    met: Vec<OneMet<'a>>,
    judged: Vec<Judged>,
    runs: Vec<Run>,
    groups: Vec<(Owner, Group<'a>)>,
    cautions: Vec<Caution>,
    period: Period,
}

impl<'a> Met<'a> {
    fn all(
        log: &'a Log,
        manifests: &[Manifest],
        options: &Options,
        mut judge: Option<&mut Judge<'_>>,
    ) -> Self {
        let count = log.denials.len();
        let mut met: Vec<OneMet<'a>> = Vec::with_capacity(count);
        let mut judged = Vec::with_capacity(if judge.is_some() { count } else { 0 });
        let (mut runs, mut groups): (Vec<Run>, Vec<(Owner, Group<'a>)>) = (Vec::new(), Vec::new());
        let mut places: BTreeMap<Owner, usize> = BTreeMap::new();
        let (mut advisor, mut careful, mut all) = (Advisor::default(), Careful::default(), Period::default());
        for denial in log.denials.values() {
            let denial: &'a Denial = denial;
            let key = &denial.key;
            let last = met.last().map(|last| (last.access, &last.denial.key));
            // Without manifests the owners are those of the denial before, if that was of the same domain.
            let same_domain = last.is_some_and(|(_, k)| k.source.kind == key.source.kind);
            let access = match last {
                Some((access, k))
                    if same_domain && k.target.kind == key.target.kind && k.class == key.class =>
                {
                    access
                }
                last => last.map_or(0, |(access, _)| access + 1),
            };
            if !(same_domain && manifests.is_empty()) {
                let owners = group::owners(denial, manifests, options);
                if runs.last().is_none_or(|run| *run.owners != *owners) {
                    let mut place = |owner: &Owner| {
                        *places.entry(owner.clone()).or_insert_with(|| {
                            groups.push((owner.clone(), Group::new(owner.clone())));
                            groups.len() - 1
                        })
                    };
                    let of = owners.iter().map(&mut place).collect();
                    runs.push(Run { end: met.len(), owners: owners.into(), groups: of });
                }
            }
            if let Some(run) = runs.last_mut() {
                run.end += 1;
                for at in &run.groups {
                    if let Some((_, group)) = groups.get_mut(*at) {
                        group.sum.add(denial);
                    }
                }
            }
            all.add(&denial.seen);
            careful.look(log, denial);
            if let Some(judge) = &mut judge {
                judged.push(judge.judge(denial));
            }
            met.push(OneMet { denial, access, topics: advisor.topics(key) });
        }
        Met { met, judged, runs, groups, cautions: careful.cautions(log), period: all }
    }
}

/// Verdicts on all denials of a log, those that go together settled together.
struct Settled {
    judged: Vec<Judged>,
    new_types: Vec<(Name, NewType)>,
    booleans: BTreeMap<String, bool>,
}

impl Settled {
    fn new(judge: &mut Judge<'_>, met: &[OneMet<'_>], mut judged: Vec<Judged>, runs: &[Run]) -> Self {
        let denials: Vec<&Denial> = met.iter().map(|one| one.denial).collect();
        let module = |at: usize| runs.get(runs.partition_point(|run| run.end <= at)).and_then(Run::module);
        let new_types = places::settle(judge, &denials, &mut judged, &module);
        let booleans = cover::settle(judge, &denials, &mut judged);
        cover::follow_ups(&denials, &mut judged);
        Settled { judged, new_types, booleans }
    }

    /// Replays all of it.
    fn judgement(self, judge: &Judge<'_>, groups: &[Group<'_>], options: &Options) -> Judgement {
        let parts: Vec<&Content> = groups.iter().flat_map(|g| [&g.te, &g.cil]).collect();
        let mut kept = Content::default();
        groups.iter().for_each(|g| kept.merge(g.kept.clone()));
        let calls: Vec<&Call> = groups.iter().flat_map(|g| &g.calls).collect();
        let types: Vec<NewType> = self.new_types.into_iter().map(|(_, t)| t).collect();
        let fixes = Fixes {
            parts: &parts,
            whole: OnceCell::new(),
            kept: &kept,
            calls: &calls,
            types: &types,
            booleans: &self.booleans,
            xperms: options.xperms,
        };
        let mut replay = replay::replay(judge, &self.judged, &fixes);
        let prove = || {
            let calls = replay::prove_calls(judge, &self.judged, &fixes)?;
            Ok::<_, OverlayError>((replay::prove(judge, &self.judged, &fixes)?, calls))
        };
        let (proofs, call_proofs) = match options.prove.then(prove).transpose() {
            Ok(proofs) => proofs.map_or((None, Vec::new()), |(rules, calls)| (Some(rules), calls)),
            Err(error) => {
                replay.failed = Some(error.to_string());
                (None, Vec::new())
            }
        };
        if options.ends {
            std::mem::forget(self.judged);
        }
        let ground = judge.ground();
        let owned = |labels: Result<&str, &str>| labels.map(str::to_owned).map_err(str::to_owned);
        Judgement {
            policy: ground.path.clone(),
            reason: ground.reason,
            version: ground.policy.version(),
            mls: ground.policy.mls(),
            labels: ground.labels_read().map(owned),
            files: ground.counted().map(|c| (c.seen, c.whole)),
            replay,
            booleans: self.booleans,
            proofs,
            call_proofs,
        }
    }
}

/// Advice on a denial that the policy's verdict leaves standing: the dangers of a rule that is written.
fn advice_on(met: &OneMet<'_>, verdict: Option<&Verdict>) -> Vec<Advice> {
    match verdict.map(|verdict| &verdict.remedy) {
        None => met.topics.on(met.denial),
        // The policy was asked about the others.
        Some(Remedy::Allow { filtered, .. }) => met.topics.unanswered(*filtered).on(met.denial),
        Some(_) => Vec::new(),
    }
}

impl<'a> Group<'a> {
    fn new(owner: Owner) -> Self {
        let module = owner.module_name();
        Group {
            owner,
            module,
            version: super::module::VERSION.to_owned(),
            denials: Vec::new(),
            refusals: Vec::new(),
            te: Content::default(),
            cil: Content::default(),
            new_types: Vec::new(),
            specs: BTreeSet::new(),
            calls: Vec::new(),
            too_wide: Vec::new(),
            surplus: Vec::new(),
            surplus_left: 0,
            kept: Content::default(),
            sum: Sum::default(),
            growing: Vec::new(),
            open: (0, Vec::new()),
        }
    }

    fn add(&mut self, learned: Learned<'a>, access: usize) {
        let remedy = learned.verdict.as_ref().map(|v| &v.remedy);
        match remedy {
            None if learned.has_rule() => {
                self.allow(&learned, access, &learned.denial.key.permissions, false);
            }
            Some(Remedy::Allow { permissions, filtered }) => {
                self.allow(&learned, access, permissions, *filtered);
            }
            Some(Remedy::Silence { permissions }) => {
                self.te.silent.add(learned.rule(), permissions.iter().cloned());
            }
            Some(Remedy::Statement(statement)) => {
                self.te.statements.insert(statement.clone());
            }
            _ => {}
        }
        self.denials.push(learned);
    }

    fn allow(&mut self, learned: &Learned<'_>, access: usize, permissions: &[Name], filtered: bool) {
        if self.growing.is_empty() || self.open.0 != access {
            self.close();
            self.open.0 = access;
            self.growing.push((learned.rule(), Grant::default()));
        }
        let Some((_, grant)) = self.growing.last_mut() else { return };
        for name in permissions {
            if self.open.1.contains(name) {
                continue;
            }
            self.open.1.push(name.clone());
        }
        let has = |name: &str| permissions.iter().any(|p| p.as_str() == name);
        if has("ioctl") {
            grant.ioctls.extend(&learned.denial.ioctls);
        }
        if has("nlmsg") {
            grant.nlmsgs.extend(&learned.denial.nlmsgs);
        }
        grant.filtered |= filtered;
        grant.remarks.extend(learned.advice.iter().filter_map(Advice::remark));
    }

    /// No more permissions come to the last of the growing rules.
    fn close(&mut self) {
        if let Some((_, grant)) = self.growing.last_mut() {
            grant.permissions = self.open.1.drain(..).collect();
        }
    }

    /// Puts the rules that denials needed to the others.
    fn settle(&mut self) {
        self.close();
        self.te.rules.put_all(std::mem::take(&mut self.growing));
    }

    /// Takes what a module said before; the version grows where anything is new.
    fn keep(&mut self, module: &parse::Module) {
        let mut whole = module.content.clone();
        whole.merge(std::mem::take(&mut self.te));
        let same = whole == module.content;
        self.version = if same { module.version.clone() } else { parse::next_version(&module.version) };
        self.te = whole;
        self.kept.merge(module.content.clone());
    }

    /// Makes a type: its rules and specifications are the module's.
    fn make(&mut self, new: NewType) {
        self.te.types.insert(new.name.clone(), new.attributes.clone());
        for (rule, permissions) in &new.rules {
            self.te.rules.add(rule.clone(), permissions.iter().cloned());
        }
        self.specs.extend(new.specs.iter().cloned());
        self.new_types.push(new);
    }

    /// How often its denials were recorded, at the least.
    pub fn times(&self) -> u64 {
        self.sum.times
    }

    /// First and last time of its denials and refusals.
    pub fn period(&self) -> Period {
        let mut all = self.sum.period;
        self.refusals.iter().for_each(|refused| all.add(refused.seen));
        all
    }
}

/// What is to be said once of the whole log: of how many denials.
#[derive(Default)]
struct Careful {
    permissive: usize,
    forgeable: usize,
    older: usize,
    unknown: usize,
}

impl Careful {
    fn look(&mut self, log: &Log, denial: &Denial) {
        let seen = &denial.seen;
        let loaded = log.changes.policy_loads.last;
        self.permissive += usize::from(denial.permissive > 0);
        self.forgeable += usize::from(seen.counts.forgeable());
        self.older += usize::from(loaded.zip(seen.last).is_some_and(|(load, last)| last < load));
        self.unknown += usize::from(!denial.unknown.is_empty());
    }

    fn cautions(&self, log: &Log) -> Vec<Caution> {
        let mut list = Vec::new();
        let mut say = |code, text: String| list.push(Caution { code, text });
        let distinct = |n: usize| text::count(text::len(n), "distinct denial", "distinct denials");
        if self.permissive > 0 {
            let denials = distinct(self.permissive);
            say(&PERMISSIVE, format!("{denials} let through (permissive): counts say nothing of frequency"));
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
        if self.forgeable > 0 {
            let denials = distinct(self.forgeable);
            say(
                &FORGEABLE,
                format!("{denials} only in lines that any local user can write: to be checked first"),
            );
        }
        if let Some(load) = log.changes.policy_loads.last.filter(|_| self.older > 0) {
            let (denials, when) = (distinct(self.older), text::time(load));
            say(&OLD_POLICY, format!("{denials} from before the policy was last loaded ({when})"));
        }
        if self.unknown > 0 {
            let denials = distinct(self.unknown);
            say(
                &UNKNOWN_PERMISSION,
                format!("{denials} with a permission that is not known; the rules are without it"),
            );
        }
        list
    }
}
