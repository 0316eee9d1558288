//! Root refused by a file's owner and mode, who would need a capability to pass: the file is what is wrong.

use super::{Judge, Question, boolean};
use crate::denials::Denial;
use crate::learn::verdict::{Not, Remedy, Verdict};
use crate::report::codes::rule::{DAC_OVERRIDE, DAC_READ_SEARCH};

/// How many objects are named.
const SHOWN: usize = 4;

pub(super) fn judge(judge: &Judge<'_>, denial: &Denial, q: &Question) -> Option<Verdict> {
    if !matches!(denial.key.class.as_str(), "capability" | "cap_userns") {
        return None;
    }
    let policy = &judge.ground.policy;
    let bit = |name| policy.permission(q.class, name).unwrap_or(0);
    let (over, read) = (bit("dac_override"), bit("dac_read_search"));
    // With other capabilities in the same record, owner and mode are not the whole story.
    if q.vector & (over | read) == 0 || q.vector & !(over | read) != 0 {
        return None;
    }
    let objects: Vec<&[u8]> =
        denial.evidence.owners.iter().chain(denial.evidence.wanted.iter()).take(SHOWN).collect();
    let owners: Vec<String> =
        denial.evidence.owners.iter().take(SHOWN).map(|o| String::from_utf8_lossy(o).into_owned()).collect();
    // The kernel asks for dac_read_search first where something is only read: with that alone it does not ask on.
    let reading = q.vector & read != 0;
    let smallest = if reading { read } else { over };
    let rule = judge.rule_text(q, smallest);
    let code = if reading { &DAC_READ_SEARCH } else { &DAC_OVERRIDE };
    let does = if reading { "reading or searching" } else { "what it wanted" };
    let not = vec![Not {
        remedy: format!("a rule: {rule}"),
        why: "it would lift owner and mode of every file for this domain".to_owned(),
    }];
    let mut evidence: Vec<String> = owners.iter().map(|o| format!("refused there: {o}")).collect();
    if objects.is_empty() {
        // Without a path nobody can mend the file; the rule is the only thing to offer, and it is marked.
        evidence.push(
            "the log does not name the file: with a rule for auditd (auditctl -w /etc/shadow -p w) it would"
                .to_owned(),
        );
        let permissions = judge.permissions(denial, q, boolean::missing(judge, q));
        return Some(Verdict {
            code,
            cause: format!("root was refused {does} by a file's owner and mode"),
            evidence,
            remedy: Remedy::Allow { permissions, filtered: false },
            not: Vec::new(),
        });
    }
    let mut steps: Vec<String> = owners.iter().map(|o| mend(o, reading)).collect();
    if steps.is_empty() {
        let wanted = denial.evidence.wanted.iter().take(SHOWN);
        steps.extend(wanted.filter_map(crate::learn::advice::shell_word).map(|w| format!("namei -l {w}")));
    }
    steps.push(format!("only if the program must pass whatever the owner is: {rule}"));
    Some(Verdict {
        code,
        cause: format!("root was refused {does} by a file's owner and mode"),
        evidence,
        remedy: Remedy::ByHand { steps },
        not,
    })
}

/// What to do about an object, as the log has it: `PATH mode 0600 uid 33 gid 33`.
fn mend(owner: &str, reading: bool) -> String {
    let path = owner.split(" mode ").next().unwrap_or(owner);
    let word = crate::learn::advice::shell_word(path.as_bytes()).unwrap_or_else(|| "PATH".to_owned());
    let access = if reading { "r-X" } else { "rwX" };
    format!("setfacl -m u:root:{access} {word}; or give it to root, or to a group that the program has")
}
