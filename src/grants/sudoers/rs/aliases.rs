//! Aliases of one kind: the first definition of a name counts, one that is not defined is nobody, one within itself has
//! no members there.

use crate::grants::sudoers::ast::Bytes;
use std::collections::HashMap;

use super::policy::{Meta, Qualified};

/// The aliases of one kind.
#[derive(Debug)]
pub(super) struct Aliases<T> {
    list: Vec<(Bytes, Vec<Qualified<T>>)>,
    /// Those that are used by others before them.
    order: Vec<usize>,
}

impl<T> Default for Aliases<T> {
    fn default() -> Self {
        Aliases { list: Vec::new(), order: Vec::new() }
    }
}

/// What an alias says of something: that it is in it, or that it is expressly not.
pub(super) type Found<'a> = HashMap<&'a [u8], bool>;

impl<T> Aliases<T> {
    pub(super) fn extend(&mut self, more: Vec<(Bytes, Vec<Qualified<T>>)>) {
        self.list.extend(more);
    }

    /// Sorts them, once all are there.
    pub(super) fn order(&mut self) {
        let mut by_name: HashMap<&[u8], usize> = HashMap::new();
        for (i, (name, _)) in self.list.iter().enumerate() {
            by_name.entry(name).or_insert(i);
        }
        let mut seen = vec![false; self.list.len()];
        let mut order = Vec::new();
        for (i, (name, _)) in self.list.iter().enumerate() {
            if by_name.get(&**name) != Some(&i) {
                continue;
            }
            // Depth first, by a stack of our own: what others wrote decides how deep.
            let mut stack = vec![(i, 0)];
            if std::mem::replace(seen.get_mut(i).unwrap_or(&mut true), true) {
                continue;
            }
            while let Some((at, next)) = stack.pop() {
                let members = self.list.get(at).map(|(_, m)| m.as_slice()).unwrap_or_default();
                let Some(member) = members.get(next) else {
                    order.push(at);
                    continue;
                };
                stack.push((at, next + 1));
                if let Meta::Alias(name) = &member.meta
                    && let Some(&to) = by_name.get(&**name)
                    && let Some(slot) = seen.get_mut(to)
                    && !std::mem::replace(slot, true)
                {
                    stack.push((to, 0));
                }
            }
        }
        self.order = order;
    }

    /// What each alias says of what `fits`.
    pub(super) fn found(&self, fits: impl Fn(&T) -> bool) -> Found<'_> {
        let mut found = Found::new();
        for (name, members) in self.order.iter().filter_map(|i| self.list.get(*i)) {
            let (none, all) = last(members.iter(), &fits, &found);
            if none {
                found.insert(name, true);
            } else if !all {
                // Not in it even if everything were: it is expressly taken out.
                found.insert(name, false);
            }
        }
        found
    }
}

/// Whether the last member that matches takes in, where none before has, and where all were before.
fn last<'a, T: 'a>(
    members: impl Iterator<Item = &'a Qualified<T>>,
    fits: &impl Fn(&T) -> bool,
    aliases: &Found<'_>,
) -> (bool, bool) {
    let mut decided = None;
    for m in members {
        decided = matches(m, fits, aliases).or(decided);
    }
    (decided.unwrap_or(false), decided.unwrap_or(true))
}

/// Whether a member takes in (true) or out; `None` if it does not match.
pub(super) fn matches<T>(m: &Qualified<T>, fits: &impl Fn(&T) -> bool, aliases: &Found<'_>) -> Option<bool> {
    match &m.meta {
        Meta::All => Some(!m.negated),
        Meta::Only(x) if fits(x) => Some(!m.negated),
        Meta::Only(_) => None,
        Meta::Alias(name) => aliases.get(&**name).map(|inside| *inside != m.negated),
    }
}

/// Whether a list takes something in.
pub(super) fn contains<T>(list: &[Qualified<T>], fits: impl Fn(&T) -> bool, aliases: &Found<'_>) -> bool {
    last(list.iter(), &fits, aliases).0
}
