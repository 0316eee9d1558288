//! Allow rules, merged and in a fixed order.

use std::collections::btree_map::Entry;
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

    /// Takes many rules, mostly in order.
    pub fn put_all(&mut self, rules: Vec<(Rule, Grant)>) {
        let in_order = rules.windows(2).all(|two| matches!(two, [(a, _), (b, _)] if a < b));
        if in_order && self.rules.is_empty() {
            self.rules = rules.into_iter().collect();
        } else {
            rules.into_iter().for_each(|(rule, grant)| self.put(rule, grant));
        }
    }

    /// Takes a rule.
    pub fn put(&mut self, rule: Rule, grant: Grant) {
        match self.rules.entry(rule) {
            Entry::Vacant(free) => _ = free.insert(grant),
            Entry::Occupied(mut mine) => {
                let mine = mine.get_mut();
                mine.permissions.extend(grant.permissions);
                mine.ioctls.extend(grant.ioctls);
                mine.nlmsgs.extend(grant.nlmsgs);
                mine.remarks.extend(grant.remarks);
                mine.filtered |= grant.filtered;
            }
        }
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

    /// Whether a `.te` module can hold all of them. Neighbours have names in common.
    fn all_in_te(&self) -> bool {
        let mut last: Option<&Rule> = None;
        self.rules.keys().all(|rule| {
            let same = |of: fn(&Rule) -> &Name| last.is_some_and(|last| of(last) == of(rule));
            let target = match &rule.target {
                Target::Itself => true,
                target @ Target::Type(name) => last.is_some_and(|l| l.target == *target) || name.in_te(),
            };
            let source = same(|r| &r.source) || rule.source.in_te();
            let class = same(|r| &r.class) || rule.class.in_te();
            last = Some(rule);
            source && target && class
        })
    }

    /// Those that a `.te` module can hold, and those that need CIL.
    pub fn split(self) -> (RuleSet, RuleSet) {
        if self.all_in_te() {
            return (self, RuleSet::default());
        }
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
