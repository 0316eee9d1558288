//! Replay: all remedies laid over the policy in memory, and every denial asked again.
//!
//! And the proof that none of it is too much: each permission is taken out in turn, and the denial that comes back is
//! shown. Rules on different types do not touch each other, so that one policy serves to take one permission out of
//! each of many rules at once; what bounds another type is taken alone.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;

use super::causes::{After, Judge, Judged, Question, answer, commands_pass};
use super::interfaces::Call;
use super::places::NewType;
use super::verdict::Remedy;
use crate::selinux::module::{Content, Name, Rule, Statement, Target};
use crate::selinux::policy::{
    ClassId, Context, Overlay, OverlayError, Policy, RuleKind, TypeId, TypeKind, View,
};

/// How the denials fare with all remedies applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Distinct denials that were asked again.
    pub asked: usize,
    /// Those that are allowed now.
    pub allowed: usize,
    /// Those that are not reported any more (`dontaudit`), and stay denied.
    pub silenced: usize,
    /// Those that would not be asked any more, for what was asked before them is allowed.
    pub moot: usize,
    /// Those that stay denied, by their place in the log's order, with the reason.
    pub remain: Vec<(usize, String)>,
    /// The policy with the rules could not be made: why. Then nothing was replayed.
    pub failed: Option<String>,
}

/// A permission of a rule, and the denial that returns without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The rule.
    #[serde(skip)]
    pub rule: Rule,
    /// `allow a b:c p;`
    pub text: String,
    /// The permission.
    pub permission: Name,
    /// What returns: the denial's place in the log's order; `None` where nothing does.
    pub returns: Option<usize>,
    /// It was there before: in the module that is merged with, or on the shared type before the object got a type
    /// of its own.
    pub kept: bool,
}

/// What is laid over the policy.
#[derive(Debug)]
pub struct Fixes<'a> {
    /// What each module says.
    pub parts: &'a [&'a Content],
    /// All of it together, once it is asked for.
    pub whole: OnceCell<Content>,
    /// What modules that are merged with said before.
    pub kept: &'a Content,
    /// Interfaces that modules call.
    pub calls: &'a [&'a Call],
    /// Types that modules make.
    pub types: &'a [NewType],
    /// Booleans to set.
    pub booleans: &'a BTreeMap<String, bool>,
    /// Whether rules on commands are written although the policy does not ask for them.
    pub xperms: bool,
}

impl Fixes<'_> {
    /// The modules' content together.
    pub fn content(&self) -> &Content {
        self.whole.get_or_init(|| {
            let mut whole = Content::default();
            self.parts.iter().for_each(|part| whole.merge(Content::clone(part)));
            whole
        })
    }
}

/// A permission that is left out.
type Without<'a> = BTreeMap<&'a Rule, &'a Name>;

/// Asks with the fixes applied.
fn with_fixes<T>(
    judge: &Judge<'_>,
    fixes: &Fixes<'_>,
    without: &Without<'_>,
    ask: impl FnOnce(&View<'_>) -> T,
) -> Result<T, OverlayError> {
    if let Some(view) = laid_over(judge, fixes, without) {
        return Ok(ask(&view));
    }
    let policy = patched(judge, fixes, without, None)?;
    Ok(ask(&view(judge, &policy, fixes)))
}

/// The policy as it is, with the fixes laid over its decisions: where they are nothing but booleans and `allow` rules
/// between types, which is most often so. `None` where a policy must be made with them.
fn laid_over<'g>(judge: &Judge<'g>, fixes: &Fixes<'_>, without: &Without<'_>) -> Option<View<'g>> {
    let mut view = judge.view().clone();
    let policy = view.policy();
    let is_new = |name: &Name| policy.types().find(name.as_str()).is_none();
    let is_plain = |part: &&Content| part.statements.is_empty() && !part.types.keys().any(is_new);
    if !fixes.calls.is_empty() || !fixes.parts.iter().all(is_plain) {
        return None;
    }
    let grants = || fixes.parts.iter().flat_map(|part| part.rules.iter());
    let commands = grants().any(|(_, grant)| !grant.ioctls.is_empty() || !grant.nlmsgs.is_empty());
    if commands && (fixes.xperms || grants().any(|(_, grant)| grant.filtered)) {
        return None;
    }
    for (name, state) in fixes.booleans {
        if let Some(boolean) = policy.booleans().id(name) {
            view.set_boolean(boolean, *state);
        }
    }
    let is_type = |ty: TypeId| policy.types().get(ty).is_some_and(|t| t.kind == TypeKind::Type);
    let mut known = Ids::default();
    for (rule, grant) in grants() {
        let Some((source, target, class)) = known.of(policy, rule) else { continue };
        if !is_type(source) || !is_type(target) {
            return None;
        }
        let out = without.get(rule).copied();
        let bits = grant.permissions.iter().filter(|p| Some(*p) != out);
        let bits = bits.filter_map(|p| judge.bit(class, p));
        view.lay_over(source, target, class, bits.fold(0, |a, b| a | b));
    }
    Some(view)
}

/// Numbers of names, by which rules follow each other in order: most have those of the one before.
#[derive(Default)]
struct Ids<'a> {
    source: Option<(&'a Name, TypeId)>,
    target: Option<(&'a Name, TypeId)>,
    classes: Vec<(&'a Name, ClassId)>,
}

impl<'a> Ids<'a> {
    /// As [`ids`].
    fn of(&mut self, policy: &Policy, rule: &'a Rule) -> Option<(TypeId, TypeId, ClassId)> {
        let find = |last: &mut Option<(&'a Name, TypeId)>, name: &'a Name| match last {
            Some((known, ty)) if *known == name => Some(*ty),
            last => Some(last.insert((name, policy.type_id(name.as_str())?)).1),
        };
        let source = find(&mut self.source, &rule.source)?;
        let target = match &rule.target {
            Target::Itself => source,
            Target::Type(name) => find(&mut self.target, name)?,
        };
        let class = match self.classes.iter().find(|(known, _)| **known == rule.class) {
            Some((_, class)) => *class,
            None => {
                let class = policy.classes().id(rule.class.as_str())?;
                self.classes.push((&rule.class, class));
                class
            }
        };
        Some((source, target, class))
    }
}

/// The policy with the fixes, but for the call of this number.
fn patched(
    judge: &Judge<'_>,
    fixes: &Fixes<'_>,
    without: &Without<'_>,
    call: Option<usize>,
) -> Result<Policy, OverlayError> {
    let mut overlay = judge.ground().policy.overlay();
    for (name, attributes) in &fixes.content().types {
        if overlay.so_far().types().find(name.as_str()).is_some() {
            continue;
        }
        let ty = overlay.add_type(name.as_str())?;
        for attribute in attributes {
            if let Some(attribute) = overlay.so_far().type_id(attribute.as_str()) {
                overlay.give_attribute(ty, attribute)?;
            }
        }
    }
    for statement in &fixes.content().statements {
        add_statement(&mut overlay, statement)?;
    }
    for (_, call) in fixes.calls.iter().enumerate().filter(|(at, _)| Some(*at) != call) {
        for (rule, grant) in call.rules.iter() {
            let Some(about) = ids(overlay.so_far(), rule) else { continue };
            let bits = grant.permissions.iter();
            let bits = bits.filter_map(|p| overlay.so_far().permission(about.2, p.as_str()));
            let vector = bits.fold(0, |a, b| a | b);
            overlay.add_rule(RuleKind::Allow, about.0, about.1, about.2, vector)?;
        }
    }
    for (kind, rules) in
        [(RuleKind::Allow, &fixes.content().rules), (RuleKind::DontAudit, &fixes.content().silent)]
    {
        for (rule, grant) in rules.iter() {
            let Some(about) = ids(overlay.so_far(), rule) else { continue };
            let out = without.get(rule).copied();
            let bits = grant.permissions.iter().filter(|p| Some(*p) != out);
            let bits = bits.filter_map(|p| overlay.so_far().permission(about.2, p.as_str()));
            let vector = bits.fold(0, |a, b| a | b);
            overlay.add_rule(kind, about.0, about.1, about.2, vector)?;
            if kind != RuleKind::Allow || !(grant.filtered || fixes.xperms) {
                continue;
            }
            for (netlink, numbers) in [(false, &grant.ioctls), (true, &grant.nlmsgs)] {
                // Those on netlink messages are written only where the policy asks for them.
                let without = out.is_some_and(|p| p.as_str() == if netlink { "nlmsg" } else { "ioctl" });
                if !numbers.is_empty() && !without && (!netlink || grant.filtered) {
                    let ranges = crate::selinux::module::rules::ranges(numbers);
                    overlay.add_commands(RuleKind::AllowX, about, netlink, &ranges)?;
                }
            }
        }
    }
    overlay.finish()
}

fn add_statement(overlay: &mut Overlay, statement: &Statement) -> Result<(), OverlayError> {
    let policy = overlay.so_far();
    let role = |name: &Name| policy.roles().id(name.as_str());
    let ty = |name: &Name| policy.type_id(name.as_str());
    match statement {
        Statement::RoleTypes { role: r, ty: t } => {
            if let (Some(role), Some(ty)) = (role(r), ty(t)) {
                overlay.give_role(role, ty);
            }
        }
        Statement::RoleAllow { from, to } => {
            if let (Some(from), Some(to)) = (role(from), role(to)) {
                overlay.allow_role(from, to);
            }
        }
        Statement::TypeAttribute { ty: t, attribute } => {
            if let (Some(ty), Some(attribute)) = (ty(t), ty(attribute)) {
                overlay.give_attribute(ty, attribute)?;
            }
        }
    }
    Ok(())
}

pub(super) fn ids(policy: &Policy, rule: &Rule) -> Option<(TypeId, TypeId, ClassId)> {
    let source = policy.type_id(rule.source.as_str())?;
    let target = match &rule.target {
        Target::Itself => source,
        Target::Type(name) => policy.type_id(name.as_str())?,
    };
    Some((source, target, policy.classes().id(rule.class.as_str())?))
}

/// The policy's booleans as they are, with those of the fixes set.
fn view<'p>(judge: &Judge<'_>, policy: &'p Policy, fixes: &Fixes<'_>) -> View<'p> {
    let mut view = policy.view();
    for (name, state) in judge.ground().booleans.iter().chain(fixes.booleans) {
        if let Some(boolean) = policy.booleans().id(name) {
            view.set_boolean(boolean, *state);
        }
    }
    view
}

/// The denial as it would be asked after its remedy; several where its objects get different types.
fn after(policy: &Policy, judged: &Judged) -> Vec<Question> {
    let Some(question) = &judged.question else { return Vec::new() };
    let with = |target: Rc<Context>| Question { target, ..question.clone() };
    match &judged.after {
        After::Same => vec![question.clone()],
        After::Context(context) => vec![with(Rc::clone(context))],
        After::Types(types) => types
            .iter()
            .filter_map(|t| policy.type_id(t.as_str()))
            .map(|ty| with(Context { ty, ..Context::clone(&question.target) }.into()))
            .collect(),
    }
}

fn passes(view: &View<'_>, judged: &Judged) -> bool {
    if let (After::Same, Some(q)) = (&judged.after, &judged.question) {
        return answer(view, q) == (q.vector, true);
    }
    let asked = after(view.policy(), judged);
    !asked.is_empty() && asked.iter().all(|q| answer(view, q) == (q.vector, true))
}

/// Whether each passes. Where the rules of the policy itself are looked at in another light (booleans set, rules laid over),
/// what was found out about them before still holds.
fn passing(judge: &Judge<'_>, view: &View<'_>, judged: &[Judged]) -> Vec<bool> {
    let same_policy = std::ptr::eq(view.policy(), judge.view().policy());
    let one = |one: &Judged| {
        let target = match (&one.after, &one.question) {
            (After::Same, Some(q)) => Some((q, &q.target)),
            (After::Context(context), Some(q)) => Some((q, context)),
            _ => None,
        };
        match target {
            // What bounds a source may have got rules too.
            Some((q, target))
                if same_policy
                    && (q.commands.is_empty() || Rc::ptr_eq(target, &q.target))
                    && !view.is_bounded(q.source.ty) =>
            {
                let about = judge.about_target(q, target);
                let rules = view.in_force(&about.between);
                let allowed = if q.types_only { rules } else { rules & !about.barriers.all() };
                q.vector & allowed == q.vector && commands_pass(view, q)
            }
            _ => passes(view, one),
        }
    };
    judged.iter().map(one).collect()
}

/// Asks every denial again, with all fixes applied.
pub fn replay(judge: &Judge<'_>, judged: &[Judged], fixes: &Fixes<'_>) -> Replay {
    let mut out = Replay { asked: judged.len(), ..Replay::default() };
    let asked = with_fixes(judge, fixes, &Without::new(), |view| passing(judge, view, judged));
    let passing = match asked {
        Ok(passing) => passing,
        Err(error) => {
            out.failed = Some(error.to_string());
            return out;
        }
    };
    for (at, (one, passes)) in judged.iter().zip(passing).enumerate() {
        if passes {
            out.allowed += 1;
        } else if matches!(one.verdict.remedy, Remedy::Silence { .. }) {
            out.silenced += 1;
        } else if matches!(one.verdict.remedy, Remedy::Nothing) {
            out.moot += 1;
        } else {
            out.remain.push((at, one.verdict.cause.clone()));
        }
    }
    out
}

/// Takes each permission of each rule out in turn, and finds the denial that returns.
///
/// # Errors
/// The policy with the rules cannot be made.
pub fn prove(judge: &Judge<'_>, judged: &[Judged], fixes: &Fixes<'_>) -> Result<Vec<Proof>, OverlayError> {
    let nothing = Without::new();
    with_fixes(judge, fixes, &nothing, |with_all| prove_by(judge, judged, fixes, with_all))?
}

fn prove_by(
    judge: &Judge<'_>,
    judged: &[Judged],
    fixes: &Fixes<'_>,
    with_all: &View<'_>,
) -> Result<Vec<Proof>, OverlayError> {
    let (whole, passing) = (with_all.policy(), passing(judge, with_all, judged));
    // Which denials a rule may be needed for: those asked with its types and class.
    let mut about: BTreeMap<(TypeId, TypeId, ClassId), Vec<usize>> = BTreeMap::new();
    for (at, one) in judged.iter().enumerate().filter(|(at, _)| passing.get(*at) == Some(&true)) {
        for q in after(whole, one) {
            about.entry((q.source.ty, q.target.ty, q.class)).or_default().push(at);
        }
    }
    let mut proofs = Vec::new();
    let mut round = 0;
    loop {
        // The permission of this number of every rule; a bounding type's come one by one, after the others.
        let mut out = Without::new();
        for (rule, grant) in fixes.content().rules.iter() {
            if let Some(permission) = grant.permissions.iter().nth(round) {
                out.insert(rule, permission);
            }
        }
        if out.is_empty() {
            break;
        }
        let (bounding, free): (Without<'_>, Without<'_>) =
            out.into_iter().partition(|(rule, _)| bounds_another(whole, rule));
        let alone = bounding.into_iter().map(|one| Without::from([one]));
        for without in std::iter::once(free).chain(alone).filter(|w| !w.is_empty()) {
            let returning = with_fixes(judge, fixes, &without, |view| {
                let denied = |at: &&usize| judged.get(**at).is_some_and(|j| !passes(view, j));
                let return_of = |rule: &&Rule| {
                    let own = ids(view.policy(), rule).and_then(|key| about.get(&key));
                    let found = own.and_then(|list| list.iter().find(denied).copied());
                    match found {
                        None if bounds_another(whole, rule) => about.values().flatten().find(denied).copied(),
                        found => found,
                    }
                };
                without.keys().map(return_of).collect::<Vec<_>>()
            })?;
            for ((rule, permission), returns) in without.into_iter().zip(returning) {
                let of_type = |t: &&NewType| t.kept.get(rule).is_some_and(|k| k.contains(permission));
                let before =
                    fixes.kept.rules.iter().any(|(r, g)| r == rule && g.permissions.contains(permission));
                proofs.push(Proof {
                    text: crate::selinux::module::te::one_line(rule, &[permission.clone()].into()),
                    rule: rule.clone(),
                    permission: permission.clone(),
                    returns,
                    kept: before || fixes.types.iter().any(|t| of_type(&t)),
                });
            }
        }
        round += 1;
    }
    proofs.sort_by(|a, b| (&a.rule, &a.permission).cmp(&(&b.rule, &b.permission)));
    Ok(proofs)
}

/// An interface that is called, and the denial that returns without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallProof {
    /// `NAME(DOMAIN)`
    pub call: String,
    /// What returns: the denial's place in the log's order; `None` where nothing does.
    pub returns: Option<usize>,
}

/// Takes each call out in turn, and finds the denial that returns.
///
/// # Errors
/// The policy with the rules cannot be made.
pub fn prove_calls(
    judge: &Judge<'_>,
    judged: &[Judged],
    fixes: &Fixes<'_>,
) -> Result<Vec<CallProof>, OverlayError> {
    let passing = with_fixes(judge, fixes, &Without::new(), |view| passing(judge, view, judged))?;
    let mut proofs = Vec::new();
    for (at, call) in fixes.calls.iter().enumerate() {
        let policy = patched(judge, fixes, &Without::new(), Some(at))?;
        let view = view(judge, &policy, fixes);
        let mut all = judged.iter().zip(&passing);
        let returns = all.position(|(one, passed)| *passed && !passes(&view, one));
        proofs.push(CallProof { call: call.text(), returns });
    }
    Ok(proofs)
}

/// Whether a rule's source bounds another type, whose access depends on it.
fn bounds_another(policy: &Policy, rule: &Rule) -> bool {
    let source = policy.type_id(rule.source.as_str());
    source.is_some() && policy.types().iter().any(|t| t.bounds == source)
}
