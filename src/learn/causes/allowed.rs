//! What the policy allows today: the policy, a boolean or a label was changed since, or the policy read is another.

use super::{Judge, Question};
use crate::denials::Denial;
use crate::learn::verdict::{Remedy, Verdict};
use crate::report::codes::rule::{ALLOWED_TODAY, FILTERED};
use crate::selinux::policy::{Command, commands_text};

pub(super) fn judge(judge: &Judge<'_>, denial: &Denial, q: &Question) -> Option<Verdict> {
    let (allowed, commands) = judge.allowed(q);
    if allowed != q.vector {
        return None;
    }
    if !commands {
        return Some(filtered(judge, denial, q));
    }
    if judge.is_brief() {
        return Some(Verdict::brief(&ALLOWED_TODAY, Remedy::Nothing));
    }
    let mut evidence: Vec<String> = judge.granting(q, q.target.ty, q.vector).into_iter().collect();
    if denial.permissive > 0 {
        evidence.push("the record is of permissive mode".to_owned());
    }
    Some(Verdict {
        code: &ALLOWED_TODAY,
        cause: "the policy allows this today: the policy, a boolean or a label was changed since".to_owned(),
        evidence,
        remedy: Remedy::Nothing,
        not: Vec::new(),
    })
}

/// The permission is there, but not for these commands.
fn filtered(judge: &Judge<'_>, denial: &Denial, q: &Question) -> Verdict {
    let netlink = q.commands.iter().any(|c| matches!(c, Command::Netlink(_)));
    let passes = judge.view.allowed_commands(q.source.ty, q.target.ty, q.class, netlink).unwrap_or_default();
    let name = if netlink { "nlmsg" } else { "ioctl" };
    let bit = judge.ground.policy.permission(q.class, name).unwrap_or(0);
    Verdict {
        code: &FILTERED,
        cause: judge.told(|| format!("`{name}` is allowed, but not this command")),
        evidence: judge.told(|| vec![format!("allowxperm rules let pass {}", commands_text(&passes))]),
        remedy: Remedy::Allow { permissions: judge.permissions(denial, q, bit), filtered: true },
        not: Vec::new(),
    }
}
