//! Ports without a type of their own.

use std::rc::Rc;

use super::{Judge, Question, boolean};
use crate::denials::Denial;
use crate::learn::verdict::{Not, Remedy, Verdict};
use crate::learn::{text, types};
use crate::report::codes::rule::{ALLOWED_TODAY, GENERIC_PORT};
use crate::selinux::policy::{Context, TypeId};

/// How many other types are named.
const OTHERS: usize = 3;

pub(super) fn judge(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
) -> Option<(Verdict, Option<Rc<Context>>)> {
    let is = judge.ty(q.target.ty);
    if !types::GENERIC_PORTS.contains(&is) {
        return None;
    }
    let policy = &judge.ground.policy;
    let has = |name| policy.permission(q.class, name).is_some_and(|b| b & q.vector != 0);
    if !(has("name_bind") || has("name_connect")) {
        return None;
    }
    let ports: Vec<u16> = denial.evidence.ports.iter().copied().collect();
    let (protocol, number) = protocol(denial.key.class.as_str())?;
    if ports.is_empty() {
        return None;
    }
    if let Some(verdict) = labelled_since(judge, q, &ports, number) {
        return Some((verdict, None));
    }
    let candidates = candidates(judge, q);
    let ((best, users), others) = candidates.split_first()?;
    let ty = judge.ty(*best).to_owned();
    let numbers: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let mut not: Vec<Not> = others
        .iter()
        .take(OTHERS)
        .map(|(ty, users)| Not {
            remedy: format!("the port type {}", judge.ty(*ty)),
            why: users_text(*users),
        })
        .collect();
    let missing = boolean::missing(judge, q);
    not.push(Not {
        remedy: format!("a rule: {}", judge.rule_text(q, missing)),
        why: format!("it would open every port labelled {is}"),
    });
    if let Some((set, opens)) = judge.boolean_choices(q).first() {
        not.push(Not { remedy: boolean::set_text(&judge.named(set)), why: boolean::opens_text(*opens) });
    }
    let after = Context { ty: *best, ..Context::clone(&q.target) }.into();
    let verdict = Verdict {
        code: &GENERIC_PORT,
        cause: match numbers.as_slice() {
            [one] => format!("{protocol} {one} has no type of its own, but {is}"),
            many => format!("{protocol} {} have no types of their own, but {is}", many.join(", ")),
        },
        evidence: judge
            .granting(q, *best, q.vector)
            .map(|r| format!("may: {r}"))
            .into_iter()
            .chain([users_text(*users)])
            .collect(),
        remedy: Remedy::Port { protocol, ports, ty },
        not,
    };
    Some((verdict, Some(after)))
}

/// The protocol of a socket class: its name, and its number.
fn protocol(class: &str) -> Option<(&'static str, u32)> {
    Some(match class {
        "tcp_socket" => ("tcp", 6),
        "udp_socket" => ("udp", 17),
        "dccp_socket" => ("dccp", 33),
        "sctp_socket" => ("sctp", 132),
        _ => return None,
    })
}

/// The ports have types by now, with which it is allowed.
fn labelled_since(judge: &Judge<'_>, q: &Question, ports: &[u16], number: u32) -> Option<Verdict> {
    let policy = &judge.ground.policy;
    let mut evidence = Vec::new();
    for port in ports {
        let found = policy.port(number, *port)?;
        let asked = Question { target: judge.one(found.context.clone()), ..q.clone() };
        if found.context.ty == q.target.ty || judge.allowed(&asked) != (q.vector, true) {
            return None;
        }
        evidence.push(format!("port {port} is {} by now", judge.ty(found.context.ty)));
    }
    Some(Verdict {
        code: &ALLOWED_TODAY,
        cause: "the policy allows this today: the ports were given a type since".to_owned(),
        evidence,
        remedy: Remedy::Nothing,
        not: Vec::new(),
    })
}

/// The types of ports that the source may use as asked, each with how many domains may: those of its own family
/// first, then those that fewest may use. Only a family's for connecting, for any other would say that the port is
/// what it is not.
fn candidates(judge: &mut Judge<'_>, q: &Question) -> Vec<(TypeId, usize)> {
    let policy = &judge.ground.policy;
    let domain = judge.ty(q.source.ty);
    let stem = domain.strip_suffix("_t").unwrap_or(domain);
    let usual = types::port_type(domain);
    let family =
        |name: &str| Some(name) == usual || name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('_'));
    let connects = policy.permission(q.class, "name_connect").is_some_and(|b| b & q.vector != 0);
    let mut all: Vec<&Context> = policy.object_contexts().ports.iter().map(|p| &p.context).collect();
    all.sort_by_key(|c| c.ty);
    all.dedup_by_key(|c| c.ty);
    let mut found = Vec::new();
    for context in all {
        let name = judge.ty(context.ty);
        if types::GENERIC_PORTS.contains(&name) || connects && !family(name) {
            continue;
        }
        let asked = Question { target: judge.one(context.clone()), ..q.clone() };
        if judge.allowed(&asked) == (q.vector, true) {
            let users = judge.sources(context.ty, q.class, q.vector).len();
            found.push((Some(name) != usual, !family(name), users, context.ty));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, _, users, ty)| (ty, users)).collect()
}

fn users_text(users: usize) -> String {
    format!("{} may use ports of that type", text::count(text::len(users), "domain", "domains"))
}
