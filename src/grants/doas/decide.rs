//! The decision as doas makes it: the last rule that matches, and all of it.

use super::parse::{Action, File, Rule};
use crate::grants::identity::Identity;

/// Names to numbers, as the host's account database has them.
pub trait Names {
    /// The uid of a user.
    fn uid(&self, name: &str) -> Option<u32>;
    /// The gid of a group.
    fn gid(&self, name: &str) -> Option<u32>;
}

/// No account database: names are compared as names, numbers as numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn uid(&self, _: &str) -> Option<u32> {
        None
    }

    fn gid(&self, _: &str) -> Option<u32> {
        None
    }
}

/// What doas decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'f> {
    /// Whether the command may be run.
    pub allowed: bool,
    /// The rule that decides and the number of its item; none where no rule matches.
    pub rule: Option<(usize, &'f Rule)>,
    /// Whether it may be run without a password.
    pub nopass: bool,
}

/// Whether `who` may run `command` with `args` as `target`. `command` is as typed: doas compares it so.
pub fn decide<'f>(
    file: &'f File,
    who: &Identity,
    target: &Identity,
    command: &[u8],
    args: &[&[u8]],
    names: &dyn Names,
) -> Decision<'f> {
    let rule = if file.mistakes.is_empty() {
        file.rules().rev().find(|(_, r)| {
            is_for(r, who, names)
                && r.target.as_ref().is_none_or(|t| user(t, target, names))
                && r.command.as_ref().is_none_or(|c| c == command)
                && (r.command.is_none() || r.args.as_ref().is_none_or(|a| a.iter().eq(args.iter())))
        })
    } else {
        None
    };
    let allowed = rule.is_some_and(|(_, r)| r.action == Action::Permit);
    Decision { allowed, rule, nopass: allowed && rule.is_some_and(|(_, r)| r.options.nopass) }
}

/// The rules that are for `who`, for it alone or for one of its groups, each with the number of its item. A file with
/// mistakes grants nothing; its rules are listed all the same.
pub fn rules_for<'f>(file: &'f File, who: &Identity, names: &dyn Names) -> Vec<(usize, &'f Rule)> {
    file.rules().filter(|(_, r)| is_for(r, who, names)).collect()
}

fn is_for(rule: &Rule, who: &Identity, names: &dyn Names) -> bool {
    match rule.identity.strip_prefix(b":") {
        None => user(&rule.identity, who, names),
        Some(group) => {
            let Ok(group) = std::str::from_utf8(group) else { return false };
            if who.in_group(group) {
                return true;
            }
            let known = names.gid(group);
            known.or_else(|| number(group)).is_some_and(|gid| who.in_gid(gid) == Some(true))
        }
    }
}

/// Whether a rule's user is `who`: by uid where the name has one, else by the number that it is.
fn user(word: &[u8], who: &Identity, names: &dyn Names) -> bool {
    let Ok(word) = std::str::from_utf8(word) else { return false };
    if word == who.name {
        return true;
    }
    names.uid(word).or_else(|| number(word)).is_some_and(|uid| who.uid == Some(uid))
}

/// A number as strtonum(3) reads it, 0 to the largest id.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    text.parse().ok().filter(|&n: &u32| n != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_decides_with_all_its_options() {
        let f = File::parse("d", "permit nopass a\npermit a cmd /bin/ls args\ndeny :g as root\n");
        let a = Identity::new("a", Some(1)).with_group("g", Some(7));
        let root = Identity::new("root", Some(0));
        let bin = Identity::new("bin", Some(2));
        assert!(!decide(&f, &a, &root, b"/bin/id", &[], &NoNames).allowed);
        let d = decide(&f, &a, &bin, b"/bin/ls", &[], &NoNames);
        assert!(d.allowed && !d.nopass);
        assert!(decide(&f, &a, &bin, b"/bin/ls", &[b"x"], &NoNames).nopass);
        assert_eq!(rules_for(&f, &a, &NoNames).len(), 3);
    }
}
