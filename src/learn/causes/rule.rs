//! A rule is missing: the last cause, when nothing better explains the denial.

use std::rc::Rc;

use super::{Judge, Question, boolean};
use crate::denials::Denial;
use crate::learn::verdict::{Remedy, Verdict};
use crate::report::codes::rule::NO_RULE;

pub(super) fn judge(judge: &mut Judge<'_>, denial: &Denial, q: &Question) -> Rc<Verdict> {
    let missing = boolean::missing(judge, q);
    if q.commands.is_empty() && judge.is_brief() {
        let key = (q.class, missing);
        if let Some(known) = judge.rules.get(&key) {
            return Rc::clone(known);
        }
        let permissions = judge.permissions(denial, q, missing);
        let verdict = Rc::new(Verdict::brief(&NO_RULE, Remedy::Allow { permissions, filtered: false }));
        judge.rules.insert(key, Rc::clone(&verdict));
        return verdict;
    }
    let policy = &judge.ground.policy;
    let (source, target) = (judge.ty(q.source.ty), judge.ty(q.target.ty));
    let class = policy.classes().name(q.class);
    // Where rules filter commands already, the permission alone lets none of the denied ones pass.
    let filters = || {
        let netlink = policy.permission(q.class, "nlmsg").is_some_and(|b| b & missing != 0);
        judge.view.allowed_commands(q.source.ty, q.target.ty, q.class, netlink).is_some()
    };
    let filtered = !q.commands.is_empty() && filters();
    let permissions = judge.permissions(denial, q, missing);
    if judge.is_brief() {
        return Verdict::brief(&NO_RULE, Remedy::Allow { permissions, filtered }).into();
    }
    let mut evidence = Vec::new();
    let has = judge.about(q).rules;
    if has & q.vector != 0 {
        evidence.push(format!("allowed already: {}", policy.vector_text(q.class, has & q.vector)));
    } else if has != 0 {
        evidence.push(format!("{source} may {} there", policy.vector_text(q.class, has)));
    }
    if filtered {
        evidence.push("the policy filters commands there: an allowxperm rule is needed too".to_owned());
    }
    let lacking = policy.vector_text(q.class, missing);
    let lacking = lacking.trim_matches(['{', '}', ' ']);
    let object = if source == target { "(itself)".to_owned() } else { format!("of type {target}") };
    Verdict {
        code: &NO_RULE,
        cause: format!("no rule gives {source} `{lacking}` on {class} {object}"),
        evidence,
        remedy: Remedy::Allow { permissions, filtered },
        not: Vec::new(),
    }
    .into()
}
