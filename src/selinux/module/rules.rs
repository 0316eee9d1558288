//! Allow rules, merged and in a fixed order.

use std::collections::{BTreeMap, BTreeSet};

use super::Name;

/// What a rule is about: the source itself, or a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// `self`.
    Itself,
    /// A type.
    Type(Name),
}

/// One rule: source, target, class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The domain.
    pub source: Name,
    /// The object's type.
    pub target: Target,
    /// The object's class.
    pub class: Name,
}

impl Rule {
    /// The rule for `source` on `target`, which is `self` if they are one.
    pub fn new(source: Name, target: Name, class: Name) -> Self {
        let target = if source == target { Target::Itself } else { Target::Type(target) };
        Rule { source, target, class }
    }

    /// The target as it is written.
    pub fn target_text(&self) -> &str {
        match &self.target {
            Target::Itself => "self",
            Target::Type(name) => name.as_str(),
        }
    }

    /// Whether a `.te` module can hold it.
    pub fn in_te(&self) -> bool {
        let target = match &self.target {
            Target::Itself => true,
            Target::Type(name) => name.in_te(),
        };
        self.source.in_te() && target && self.class.in_te()
    }
}

/// What a rule allows, and what is to be remarked on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Permissions.
    pub permissions: BTreeSet<Name>,
    /// Commands of `ioctl` that were denied; a rule on them is written only if asked for.
    pub ioctls: BTreeSet<u16>,
    /// Message types of `nlmsg` likewise.
    pub nlmsgs: BTreeSet<u16>,
    /// The policy filters commands (or message types) between these types: without an `allowxperm` rule on those above
    /// none of them passes, so that one is written whether asked for or not.
    pub filtered: bool,
    /// Remarks: fixed texts and names only, for they are written into the module.
    pub remarks: BTreeSet<String>,
}

/// A set of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSet {
    rules: BTreeMap<Rule, Grant>,
}

impl RuleSet {
    /// The grant of `rule`, made if it is not there.
    pub fn grant(&mut self, rule: Rule) -> &mut Grant {
        self.rules.entry(rule).or_default()
    }

    /// All rules in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Rule, &Grant)> {
        self.rules.iter()
    }

    /// Keeps only the rules that `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&Rule) -> bool) {
        self.rules.retain(|rule, _| keep(rule));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Those that a `.te` module can hold, and those that need CIL.
    pub fn split(self) -> (RuleSet, RuleSet) {
        let (te, cil) = self.rules.into_iter().partition(|(rule, _)| rule.in_te());
        (RuleSet { rules: te }, RuleSet { rules: cil })
    }
}

impl IntoIterator for RuleSet {
    type Item = (Rule, Grant);
    type IntoIter = std::collections::btree_map::IntoIter<Rule, Grant>;
    fn into_iter(self) -> Self::IntoIter {
        self.rules.into_iter()
    }
}

/// Numbers as ranges, ends included.
pub fn ranges(numbers: &BTreeSet<u16>) -> Vec<(u16, u16)> {
    let mut out: Vec<(u16, u16)> = Vec::new();
    for &n in numbers {
        match out.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(n) => *end = n,
            _ => out.push((n, n)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_ranges() {
        let set = |v: &[u16]| v.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(ranges(&set(&[1, 2, 3, 5, 0xffff, 0xfffe])), [(1, 3), (5, 5), (0xfffe, 0xffff)]);
        assert!(ranges(&set(&[])).is_empty());
    }
}
