//! Names that the policy does not have: a rule on them would not load.

use std::rc::Rc;

use super::judge::Numbers;
use super::{Judge, Question};
use crate::denials::{Denial, DenialKey};
use crate::learn::verdict::{Remedy, Verdict};
use crate::report::codes::rule::UNKNOWN_NAME;
use crate::report::nearest;
use crate::selinux::policy::{Command, Context, Policy, Symbol as _, TypeKind};

/// The denial in the policy's numbers, or that it has none.
pub(super) fn question(judge: &mut Judge<'_>, denial: &Denial) -> Result<Question, Box<Verdict>> {
    let ground = judge.ground;
    let policy = &ground.policy;
    let key = &denial.key;
    let same = |k: &DenialKey| k.source == key.source && k.target == key.target && k.class == key.class;
    if judge.last.as_ref().is_none_or(|last| !same(&last.key)) {
        judge.last = Some(numbers(judge, key)?);
    }
    let Some(Numbers { source, target, class, types_only, .. }) = &judge.last else {
        return Err(unknown(policy, "source", key.source.kind.as_str()));
    };
    let (class, types_only) = (*class, *types_only);
    let vector = judge.vector(class, &key.permissions);
    if vector == 0 {
        let name = key.permissions.first().map_or("?", |p| p.as_str());
        let near = nearest(name, policy.permissions(class).map(|p| &*p.name));
        let of = format!("permission of class `{}`", key.class);
        return Err(missing(&of, name, near, Vec::new()));
    }
    let mut commands = Vec::new();
    if !(denial.ioctls.is_empty() && denial.nlmsgs.is_empty()) {
        let has = |name| policy.permission(class, name).is_some_and(|b| b & vector != 0);
        if has("ioctl") {
            commands.extend(denial.ioctls.iter().map(|c| Command::Ioctl(*c)));
        }
        if has("nlmsg") {
            commands.extend(denial.nlmsgs.iter().map(|c| Command::Netlink(*c)));
        }
    }
    Ok(Question { source: Rc::clone(source), target: Rc::clone(target), class, vector, commands, types_only })
}

/// Contexts and class in the policy's numbers.
fn numbers(judge: &mut Judge<'_>, key: &DenialKey) -> Result<Numbers, Box<Verdict>> {
    let policy = &judge.ground.policy;
    let exact = judge.context(&key.source).zip(judge.context(&key.target));
    let contexts = [("source", &key.source), ("target", &key.target)];
    // Whose parts are all known has a type that is.
    for (whose, context) in contexts.into_iter().filter(|_| exact.is_none()) {
        let known = policy.types().find(context.kind.as_str()).filter(|t| t.kind != TypeKind::Attribute);
        if known.is_none() {
            return Err(unknown(policy, whose, context.kind.as_str()));
        }
    }
    let last = judge.last.as_ref().filter(|last| last.key.class == key.class).map(|last| last.class);
    let Some(class) = last.or_else(|| policy.classes().id(key.class.as_str())) else {
        let near = nearest(key.class.as_str(), policy.classes().iter().map(|c| c.name()));
        return Err(missing("class", key.class.as_str(), near, Vec::new()));
    };
    let types_only = exact.is_none();
    let (source, target) = match exact {
        Some(both) => both,
        // The types are known (looked at above); the rest stands for nothing.
        None => match (by_type(policy, &key.source), by_type(policy, &key.target)) {
            (Some(source), Some(target)) => (judge.one(source), judge.one(target)),
            _ => return Err(unknown(policy, "source", key.source.kind.as_str())),
        },
    };
    Ok(Numbers { key: key.clone(), source, target, class, types_only })
}

/// A context of this type, with the user, role and range of the kernel's own.
fn by_type(policy: &Policy, context: &crate::denials::Context) -> Option<Context> {
    let ty = policy.type_id(context.kind.as_str())?;
    let any = &policy.object_contexts().initial_sids.first()?.context;
    Some(Context { ty, ..any.clone() })
}

fn unknown(policy: &Policy, whose: &str, name: &str) -> Box<Verdict> {
    let types = policy.types().records().iter().filter(|t| t.kind != TypeKind::Attribute);
    let near = nearest(name, types.map(|t| t.name()));
    missing(&format!("type (of the {whose})"), name, near, vec!["a rule on it would not load".to_owned()])
}

fn missing(kind: &str, name: &str, near: Option<&str>, evidence: Vec<String>) -> Box<Verdict> {
    let mut steps = vec![
        "install the module that defines it, or learn with the policy of the host that wrote the log: --policy FILE"
            .to_owned(),
    ];
    steps.extend(near.map(|near| format!("the nearest name that the policy has is `{near}`")));
    Box::new(Verdict {
        code: &UNKNOWN_NAME,
        cause: format!("the policy has no {kind} `{name}`"),
        evidence,
        remedy: Remedy::ByHand { steps },
        not: Vec::new(),
    })
}

/// What of the record the policy does not know, although it could be judged.
pub(super) fn remarks(judge: &Judge<'_>, denial: &Denial, q: &Question, evidence: &mut Vec<String>) {
    let policy = &judge.ground.policy;
    let key = &denial.key;
    let all_known = q.vector.count_ones() as usize == key.permissions.len();
    for name in key.permissions.iter().filter(|_| !all_known) {
        if policy.permission(q.class, name.as_str()).is_none() {
            evidence.push(format!("the policy's class `{}` has no permission `{name}`: left out", key.class));
        }
    }
    if q.types_only {
        evidence.push(
            "users, roles or levels in the record are not those of the policy: constraints were not looked at"
                .to_owned(),
        );
    }
}
