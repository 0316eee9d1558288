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

    fn bits(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

/// A set of numbers from 0 on (the kernel's `ebitmap`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitmap(Box<[Node]>);

impl Bitmap {
    /// Bytes of the smallest one in the file.
    pub(super) const MIN_SIZE: usize = 12;

    /// Whether `bit` is in the set.
    #[inline]
    pub fn contains(&self, bit: u32) -> bool {
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

    /// All numbers in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
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
    pub(super) fn words(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.0.iter().map(|n| (n.word, n.bits()))
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
        self.0.last().map(|n| n.word * 64 + 63 - n.bits().leading_zeros())
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
        let at = c.offset();
        let [size, high, count] = c.u32s()?;
        if size != 64 {
            return c.fail(at, "a bitmap of 64 bits a node", size);
        }
        let count = c.check_count(at + 8, count, 12, "bitmap nodes")?;
        let mut nodes = Vec::with_capacity(count);
        let mut next = 0;
        for _ in 0..count {
            let at = c.offset();
            let start = c.u32()?;
            let bits = c.u64()?;
            if start % 64 != 0 || start < next || start == u32::MAX - 63 {
                return c.fail(at, format!("a first bit that is a multiple of 64 from {next} on"), start);
            }
            if bits == 0 {
                return c.fail(at + 4, "a bitmap node that is not empty", 0);
            }
            next = start + 64;
            nodes.push(Node::new(start / 64, bits));
        }
        if high != next {
            return c.fail(at + 4, format!("{next} as the bitmap's end"), high);
        }
        Ok(Self(nodes.into()))
    }

    pub(super) fn write(&self, out: &mut Sink) {
        let high = self.0.last().map_or(0, |n| n.word * 64 + 64);
        out.u32s(&[64, high]);
        out.count(self.0.len());
        for n in &self.0 {
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
