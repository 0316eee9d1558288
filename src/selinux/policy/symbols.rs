//! A table of named symbols: in the file's order, by number and by name.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use super::bitmap::Bitmap;
use super::cursor::{Cursor, Result, Sink};
use super::id::Id;

/// What a table of symbols needs to know of each.
pub trait Symbol {
    /// What tells its ids from those of others.
    type Tag;
    /// Its name.
    fn name(&self) -> &str;
    /// Its number.
    fn id(&self) -> Id<Self::Tag>;
    /// Whether the name is another name of a symbol that has one.
    fn is_alias(&self) -> bool {
        false
    }
}

/// Symbols of one kind.
#[derive(Debug, Clone)]
pub struct Symbols<S> {
    /// The greatest number; there may be gaps below.
    greatest: u32,
    /// As in the file.
    records: Vec<S>,
    /// Position in `records` plus one, by number less one; 0 is a gap.
    by_id: Vec<u32>,
    /// Whether there are no gaps.
    dense: bool,
    by_name: NameTable,
}

impl<S: Symbol> Symbols<S> {
    /// The symbol with this number.
    pub fn get(&self, id: Id<S::Tag>) -> Option<&S> {
        let position = self.by_id.get(id.index()).copied().filter(|p| *p != 0)?;
        self.records.get(position as usize - 1)
    }

    /// The name of this number, `?` where there is none (which a valid policy never refers to).
    pub fn name(&self, id: Id<S::Tag>) -> &str {
        self.get(id).map_or("?", Symbol::name)
    }

    /// The symbol of this name, which may be an alias.
    pub fn find(&self, name: &str) -> Option<&S> {
        // A few are looked through sooner than a name is hashed.
        if self.records.len() <= 8 {
            return self.records.iter().find(|r| r.name() == name);
        }
        let position = self.by_name.find(name, |i| self.records.get(i as usize).map(Symbol::name))?;
        self.records.get(position as usize)
    }

    /// The number of this name.
    pub fn id(&self, name: &str) -> Option<Id<S::Tag>> {
        self.find(name).map(Symbol::id)
    }

    /// All, with aliases, as in the file.
    pub fn records(&self) -> &[S] {
        &self.records
    }

    /// All by number, without aliases.
    pub fn iter(&self) -> impl Iterator<Item = &S> {
        self.by_id.iter().filter(|p| **p != 0).filter_map(|p| self.records.get(*p as usize - 1))
    }

    /// All numbers in use.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        (1..).zip(&self.by_id).filter(|(_, p)| **p != 0).map(|(number, _)| number)
    }

    /// The greatest number.
    pub fn greatest(&self) -> u32 {
        self.greatest
    }

    /// Whether every number up to the greatest is in use.
    pub(super) fn is_dense(&self) -> bool {
        self.dense
    }

    /// Whether all of a set of numbers less one are in use.
    pub(super) fn has_bits(&self, set: &Bitmap) -> bool {
        if self.dense {
            return set.last().is_none_or(|bit| bit < self.greatest);
        }
        set.iter().all(|bit| self.has(bit + 1))
    }

    /// Whether a number is in use.
    #[inline(always)]
    pub fn has(&self, value: u32) -> bool {
        value != 0 && self.by_id.get(value as usize - 1).is_some_and(|p| *p != 0)
    }

    /// Reads a table: greatest number, number of records, records of at least `min_size` bytes.
    pub(super) fn read<'a>(
        c: &mut Cursor<'a>,
        min_size: usize,
        what: &'static str,
        mut read: impl FnMut(&mut Cursor<'a>) -> Result<S>,
    ) -> Result<Self> {
        let at = c.offset();
        let greatest = c.u32()?;
        let count = c.count(min_size, what)?;
        // Aliases aside, each number has a record. A gap is possible, a million of them is no policy.
        if greatest as usize > count + (1 << 16) {
            return c.fail(at, format!("a greatest number near the {count} {what}"), greatest);
        }
        let mut records = Vec::with_capacity(count);
        let mut by_id = vec![0; greatest as usize];
        let mut by_name = NameTable::with_capacity(count);
        for position in 0..count {
            let at = c.offset();
            let record = read(c)?;
            let value = record.id().get();
            let Some(slot) = by_id.get_mut(value as usize - 1) else {
                return c.fail(at, format!("a number of {what} up to {greatest}"), value);
            };
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            if !record.is_alias() {
                if *slot != 0 {
                    return c.fail(at, format!("each number of {what} once"), format!("{value} again"));
                }
                *slot = position + 1;
            }
            records.push(record);
            let name_of = |i: u32| records.get(i as usize).map(Symbol::name);
            if !by_name.insert(position, name_of) {
                let name = name_of(position).unwrap_or_default();
                return c.fail(at, format!("each name of {what} once"), format!("`{name}` again"));
            }
        }
        for record in records.iter().filter(|r| r.is_alias()) {
            if by_id.get(record.id().index()).is_none_or(|p| *p == 0) {
                return c.fail(at, format!("{what} for each alias"), format!("none for `{}`", record.name()));
            }
        }
        let dense = !by_id.contains(&0);
        Ok(Self { greatest, records, by_id, dense, by_name })
    }

    pub(super) fn write(&self, out: &mut Sink, mut write: impl FnMut(&S, &mut Sink)) {
        out.u32(self.greatest);
        out.count(self.records.len());
        for record in &self.records {
            write(record, out);
        }
    }

    /// Adds a symbol with the next number; `None` where the name is taken.
    pub(super) fn add(&mut self, make: impl FnOnce(Id<S::Tag>) -> S) -> Option<Id<S::Tag>> {
        let id = Id::from_bit(self.greatest)?;
        let record = make(id);
        if self.find(record.name()).is_some() {
            return None;
        }
        let position = u32::try_from(self.records.len()).ok()?;
        self.records.push(record);
        self.by_id.push(position + 1);
        self.greatest += 1;
        let records = &self.records;
        self.by_name.insert(position, |i| records.get(i as usize).map(Symbol::name));
        Some(id)
    }

    pub(super) fn get_mut(&mut self, id: Id<S::Tag>) -> Option<&mut S> {
        let position = self.by_id.get(id.index()).copied().filter(|p| *p != 0)?;
        self.records.get_mut(position as usize - 1)
    }
}

/// Positions by name: open addressing, hashed with a key of this process (the names are the file's author's choice).
#[derive(Debug, Clone)]
struct NameTable {
    /// Half a hash and position plus one; 0 is free. A power of two, at most two thirds full.
    slots: Vec<(u32, u32)>,
    used: usize,
    hasher: RandomState,
}

impl NameTable {
    fn with_capacity(n: usize) -> Self {
        let slots = (n * 3 / 2 + 2).next_power_of_two();
        Self { slots: vec![(0, 0); slots], used: 0, hasher: RandomState::default() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "half a hash")]
    fn hash(&self, name: &str) -> u32 {
        self.hasher.hash_one(name.as_bytes()) as u32
    }

    fn find<'a>(&self, name: &str, name_of: impl Fn(u32) -> Option<&'a str>) -> Option<u32> {
        self.seek(self.hash(name), |position| name_of(position) == Some(name)).ok()
    }

    /// The position under this hash that is the one, or the free slot where it would be.
    #[inline]
    fn seek(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> std::result::Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots.get(at) {
                None | Some((_, 0)) => return Err(at),
                Some((h, position)) if *h == hash && is_it(position - 1) => return Ok(position - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Whether the name was new.
    fn insert<'a>(&mut self, position: u32, name_of: impl Fn(u32) -> Option<&'a str> + Copy) -> bool {
        let Some(name) = name_of(position) else { return false };
        let hash = self.hash(name);
        let Err(free) = self.seek(hash, |other| name_of(other) == Some(name)) else { return false };
        if (self.used + 1) * 3 > self.slots.len() * 2 {
            let more = vec![(0, 0); self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, more).into_iter().filter(|s| s.1 != 0) {
                self.place(slot);
            }
            self.place((hash, position + 1));
        } else if let Some(slot) = self.slots.get_mut(free) {
            *slot = (hash, position + 1);
        }
        self.used += 1;
        true
    }

    fn place(&mut self, slot: (u32, u32)) {
        if let Err(free) = self.seek(slot.0, |_| false)
            && let Some(place) = self.slots.get_mut(free)
        {
            *place = slot;
        }
    }
}
