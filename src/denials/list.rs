//! Distinct denials, each in its place in memory from when it is first seen.

use std::fmt;

use super::denial::{Denial, DenialKey};

/// How many lie in memory side by side: large enough that asking for it is nothing, small enough not to be waste.
const BLOCK: usize = 64;

/// Denials by number. None is ever moved: there is no second copy while the list grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbered {
    blocks: Vec<Vec<Denial>>,
}

impl Numbered {
    pub(super) fn len(&self) -> usize {
        self.blocks.len().saturating_sub(1) * BLOCK + self.blocks.last().map_or(0, Vec::len)
    }

    /// Its number; `None` if there are too many.
    pub(super) fn push(&mut self, denial: Denial) -> Option<u32> {
        let number = u32::try_from(self.len()).ok()?;
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(denial),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(denial);
                self.blocks.push(block);
            }
        }
        Some(number)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Denial> {
        let number = usize::try_from(number).ok()?;
        self.blocks.get(number / BLOCK)?.get(number % BLOCK)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Denial> {
        let number = usize::try_from(number).ok()?;
        self.blocks.get_mut(number / BLOCK)?.get_mut(number % BLOCK)
    }

    pub(super) fn into_all(self) -> impl Iterator<Item = Denial> {
        self.blocks.into_iter().flatten()
    }
}

/// Distinct denials in the order of their keys.
#[derive(Clone, Default)]
pub struct Denials {
    all: Numbered,
    /// Their numbers; what is not among them was left out.
    order: Vec<u32>,
}

impl fmt::Debug for Denials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

impl Denials {
    /// Those of `all` that `order` names: sorted, each key once.
    pub(super) fn new(all: Numbered, order: Vec<u32>) -> Denials {
        Denials { all, order }
    }

    /// Sorts them; what is of one denial becomes one.
    pub(super) fn sorted(mut all: Numbered) -> Denials {
        let mut numbers: Vec<u32> = (0..u32::try_from(all.len()).unwrap_or(u32::MAX)).collect();
        numbers.sort_by_key(|number| all.get(*number).map(|d| &d.key));
        let mut order: Vec<u32> = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(denial) = all.get(number) else { continue };
            let same =
                order.last().copied().filter(|last| all.get(*last).is_some_and(|l| l.key == denial.key));
            let Some(same) = same else {
                order.push(number);
                continue;
            };
            let denial = denial.clone();
            if let Some(first) = all.get_mut(same) {
                first.merge(denial);
            }
        }
        Denials { all, order }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &Denial> {
        self.order.iter().filter_map(|number| self.all.get(*number))
    }

    /// Changes each.
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Denial)) {
        for number in &self.order {
            if let Some(denial) = self.all.get_mut(*number) {
                change(denial);
            }
        }
    }

    /// Leaves out those that are not wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Denial) -> bool) {
        let all = &self.all;
        self.order.retain(|number| all.get(*number).is_some_and(&mut wanted));
    }

    /// Takes others.
    pub(super) fn merge(&mut self, other: &Denials) {
        let old = std::mem::take(&mut self.order);
        let mut order = Vec::with_capacity(old.len() + other.order.len());
        let mut rest = old.as_slice();
        for denial in other.values() {
            let before = rest.partition_point(|number| self.key(*number) < Some(&denial.key));
            order.extend_from_slice(rest.get(..before).unwrap_or_default());
            rest = rest.get(before..).unwrap_or_default();
            match rest.first().filter(|number| self.key(**number) == Some(&denial.key)) {
                Some(same) => {
                    if let Some(mine) = self.all.get_mut(*same) {
                        mine.merge(denial.clone());
                    }
                }
                None => order.extend(self.all.push(denial.clone())),
            }
        }
        order.extend_from_slice(rest);
        self.order = order;
    }

    fn key(&self, number: u32) -> Option<&DenialKey> {
        self.all.get(number).map(|denial| &denial.key)
    }
}
