//! Sets of small numbers, as the policy has them: 64 bits at a time, empty stretches left out.

use super::cursor::{Cursor, Result, Sink};

/// 64 bits from `word * 64` on; never all zero. The bits lie in two halves so that a node has no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Node {
    word: u32,
    low: u32,
    high: u32,
}

impl Node {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
    fn new(word: u32, bits: u64) -> Self {
        Self { word, low: bits as u32, high: (bits >> 32) as u32 }
    }

    #[inline]
    fn decode(bytes: &[u8; 12]) -> Self {
        let [s0, s1, s2, s3, l0, l1, l2, l3, h0, h1, h2, h3] = *bytes;
        Self {
            word: u32::from_le_bytes([s0, s1, s2, s3]) / 64,
            low: u32::from_le_bytes([l0, l1, l2, l3]),
            high: u32::from_le_bytes([h0, h1, h2, h3]),
        }
    }

    #[inline]
    fn bits(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

/// A bitmap's nodes in the file, checked.
fn rows<'a>(c: &mut Cursor<'a>) -> Result<&'a [[u8; 12]]> {
    let at = c.offset();
    let [size, high, count] = c.u32s()?;
    if size != 64 {
        return c.fail(at, "a bitmap of 64 bits a node", size);
    }
    let count = c.check_count(at + 8, count, 12, "bitmap nodes")?;
    let first = c.offset();
    let rows: &[[u8; 12]] = c.bytes(count * 12)?.as_chunks().0;
    let mut next = 0;
    for (i, [s0, s1, s2, s3, bits @ ..]) in rows.iter().enumerate() {
        let start = u32::from_le_bytes([*s0, *s1, *s2, *s3]);
        if start % 64 != 0 || start < next || start == u32::MAX - 63 {
            let at = first + i * 12;
            return c.fail(at, format!("a first bit that is a multiple of 64 from {next} on"), start);
        }
        if *bits == [0; 8] {
            return c.fail(first + i * 12 + 4, "a bitmap node that is not empty", 0);
        }
        next = start + 64;
    }
    if high != next {
        return c.fail(at + 4, format!("{next} as the bitmap's end"), high);
    }
    Ok(rows)
}

/// Many sets side by side, in one piece of memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Bitmaps {
    nodes: Vec<Node>,
    /// Where each one's nodes end.
    ends: Vec<u32>,
}

impl Bitmaps {
    /// Reads so many.
    pub(super) fn read(c: &mut Cursor<'_>, count: u32) -> Result<Self> {
        // What is left of the file at most.
        let mut out = Self { nodes: Vec::with_capacity(c.rest().len() / 12), ends: Vec::new() };
        for _ in 0..count {
            let rows = rows(c)?;
            out.nodes.extend(rows.iter().map(Node::decode));
            out.end();
        }
        Ok(out)
    }

    fn end(&mut self) {
        // As many as there are bytes in a file of less than 4 GiB.
        self.ends.push(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
    }

    pub(super) fn push(&mut self, set: &Bitmap) {
        self.nodes.extend_from_slice(&set.0);
        self.end();
    }

    /// One of them, by position.
    #[inline]
    pub(super) fn get(&self, i: usize) -> Option<Bits<'_>> {
        let end = *self.ends.get(i)? as usize;
        let start = if i == 0 { 0 } else { *self.ends.get(i - 1)? as usize };
        Some(Bits(self.nodes.get(start..end)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Bits<'_>> {
        (0..self.ends.len()).filter_map(|i| self.get(i))
    }

    /// The same with a number more in one of them.
    pub(super) fn with(&self, position: usize, bit: u32) -> Self {
        let mut out = Self::default();
        for (i, set) in self.iter().enumerate() {
            let mut set = Bitmap(set.0.into());
            if i == position {
                set.insert(bit);
            }
            out.push(&set);
        }
        out
    }
}

/// A set that lies somewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a>(&'a [Node]);

/// A set of numbers from 0 on (the kernel's `ebitmap`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitmap(Box<[Node]>);

impl Bitmap {
    /// Bytes of the smallest one in the file.
    pub(super) const MIN_SIZE: usize = 12;

    /// As a set that lies somewhere.
    #[inline]
    fn as_bits(&self) -> Bits<'_> {
        Bits(&self.0)
    }

    /// Whether `bit` is in the set.
    #[inline]
    pub fn contains(&self, bit: u32) -> bool {
        self.as_bits().contains(bit)
    }

    /// All numbers in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.as_bits().iter()
    }

    /// How many numbers are in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|n| n.bits().count_ones() as usize).sum()
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The greatest number in the set.
    pub fn last(&self) -> Option<u32> {
        self.as_bits().last()
    }

    /// Whether every number of `other` is in this set.
    pub fn contains_all(&self, other: &Bitmap) -> bool {
        let mut ours = self.0.iter();
        other.0.iter().all(|theirs| {
            ours.by_ref()
                .find(|n| n.word >= theirs.word)
                .is_some_and(|n| n.word == theirs.word && theirs.bits() & !n.bits() == 0)
        })
    }

    /// What is in both.
    pub fn intersection(&self, other: &Bitmap) -> Bitmap {
        self.combine(other, |a, b| a & b)
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &Bitmap) -> Bitmap {
        self.combine(other, |a, b| a & !b)
    }

    /// What is in either.
    pub fn union(&self, other: &Bitmap) -> Bitmap {
        self.combine(other, |a, b| a | b)
    }

    /// Adds a number.
    pub fn insert(&mut self, bit: u32) {
        if !self.contains(bit) {
            *self = self.union(&std::iter::once(bit).collect());
        }
    }

    fn combine(&self, other: &Bitmap, op: impl Fn(u64, u64) -> u64) -> Bitmap {
        let mut out = Vec::with_capacity(self.0.len().max(other.0.len()));
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let word = match (ours.peek(), theirs.peek()) {
                (None, None) => break,
                (Some(a), None) => a.word,
                (None, Some(b)) => b.word,
                (Some(a), Some(b)) => a.word.min(b.word),
            };
            let a = ours.next_if(|n| n.word == word).map_or(0, |n| n.bits());
            let b = theirs.next_if(|n| n.word == word).map_or(0, |n| n.bits());
            let bits = op(a, b);
            if bits != 0 {
                out.push(Node::new(word, bits));
            }
        }
        Bitmap(out.into())
    }

    /// Reads one: u32 bits per node (64), highest bit (a multiple of 64), number of nodes; each u32 first bit and u64.
    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let rows = rows(c)?;
        let mut nodes = Vec::with_capacity(rows.len());
        nodes.extend(rows.iter().map(Node::decode));
        Ok(Self(nodes.into()))
    }

    pub(super) fn write(&self, out: &mut Sink) {
        self.as_bits().write(out);
    }
}

impl<'a> Bits<'a> {
    #[inline]
    pub(super) fn contains(self, bit: u32) -> bool {
        let word = bit / 64;
        // Dense from 0 on, as most are, the node is where its number says.
        let node = match self.0.get(word as usize) {
            Some(node) if node.word == word => node,
            _ => match self.0.binary_search_by_key(&word, |n| n.word) {
                Ok(i) => match self.0.get(i) {
                    Some(node) => node,
                    None => return false,
                },
                Err(_) => return false,
            },
        };
        node.bits() >> (bit % 64) & 1 != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> + 'a {
        self.0.iter().flat_map(|n| {
            let mut bits = n.bits();
            std::iter::from_fn(move || {
                if bits == 0 {
                    return None;
                }
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                Some(n.word * 64 + bit)
            })
        })
    }

    /// 64 numbers at a time: which 64, and the set's bits among them, never none.
    #[inline]
    pub(super) fn words(self) -> impl Iterator<Item = (u32, u64)> + 'a {
        self.0.iter().map(|n| (n.word, n.bits()))
    }

    #[inline]
    pub(super) fn last(self) -> Option<u32> {
        self.0.last().map(|n| n.word * 64 + 63 - n.bits().leading_zeros())
    }

    pub(super) fn write(self, out: &mut Sink) {
        let high = self.0.last().map_or(0, |n| n.word * 64 + 64);
        out.u32s(&[64, high]);
        out.count(self.0.len());
        for n in self.0 {
            out.u32(n.word * 64);
            out.u64(n.bits());
        }
    }
}

impl FromIterator<u32> for Bitmap {
    fn from_iter<I: IntoIterator<Item = u32>>(iter: I) -> Self {
        let mut bits: Vec<u32> = iter.into_iter().collect();
        bits.sort_unstable();
        let mut nodes: Vec<Node> = Vec::new();
        for bit in bits {
            let (word, mask) = (bit / 64, 1u64 << (bit % 64));
            match nodes.last_mut() {
                Some(n) if n.word == word => *n = Node::new(word, n.bits() | mask),
                _ => nodes.push(Node::new(word, mask)),
            }
        }
        Self(nodes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = BTreeSet<u32>> {
        prop::collection::btree_set(0u32..700, 0..60)
    }

    proptest! {
        #[test]
        fn a_bitmap_is_a_set(a in set(), b in set()) {
            let (x, y): (Bitmap, Bitmap) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(x.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(x.len(), a.len());
            prop_assert_eq!(x.last(), a.last().copied());
            prop_assert!((0..800).all(|i| x.contains(i) == a.contains(&i)));
            prop_assert_eq!(x.contains_all(&y), a.is_superset(&b));
            prop_assert_eq!(x.intersection(&y), a.intersection(&b).copied().collect());
            prop_assert_eq!(x.difference(&y), a.difference(&b).copied().collect());
            prop_assert_eq!(x.union(&y), a.union(&b).copied().collect());
            let mut sink = Sink::default();
            x.write(&mut sink);
            prop_assert_eq!(Bitmap::read(&mut Cursor::new(&sink.0)).unwrap(), x);
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let read = |numbers: &[u32]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            Bitmap::read(&mut Cursor::new(&bytes)).unwrap_err().to_string()
        };
        assert_eq!(
            read(&[32, 0, 0]),
            "expected a bitmap of 64 bits a node, found 32 at offset 0 in section header"
        );
        assert_eq!(
            read(&[64, 64, u32::MAX]),
            "expected at most 0 bitmap nodes in the bytes that are left, found 4294967295 at offset 8 in section header"
        );
        assert!(read(&[64, 64, 1, 0, 0, 0]).starts_with("expected a bitmap node that is not empty"));
        assert!(read(&[64, 128, 1, 0, 1, 0]).starts_with("expected 64 as the bitmap's end, found 128"));
        assert!(read(&[64, 64, 1, 0xffff_ffc0, 1, 0]).starts_with("expected a first bit"));
        assert!(read(&[64, 128, 2, 64, 1, 0, 0, 1, 0]).starts_with("expected a first bit"));
    }
}
