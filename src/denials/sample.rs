//! Some of the values that were seen, as evidence: bounded, and the same in whatever order they came.

use std::sync::Arc;

/// How many values a sample keeps.
const KEPT: usize = 12;

/// Longest value kept; the rest is cut off.
const LONGEST: usize = 1024;

/// What is kept of a value.
pub(super) fn cut(value: &[u8]) -> &[u8] {
    value.get(..LONGEST).unwrap_or(value)
}

/// Some of the values seen: the first ones in sorting order, each with how often it came.
///
/// A value that was once pushed out stays out, because the values that pushed it out stay: so the counts of those
/// kept are exact, whatever the order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample(Kept);

/// A value, and how often it came.
type Counted = (Arc<[u8]>, u64);

/// Most samples hold none or one: these have no memory of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    None,
    One(Counted),
    Several(Box<Several>),
}

/// What is neither none nor one that is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Several {
    /// In order.
    values: Vec<Counted>,
    /// Whether there were more.
    more: bool,
}

impl Sample {
    /// One value that came so often.
    pub(super) fn of(value: Arc<[u8]>, times: u64) -> Sample {
        Sample(Kept::One((value, times)))
    }

    /// Takes a value.
    pub fn add(&mut self, value: &[u8]) {
        self.add_times(value, 1);
    }

    /// Takes a value that came so often.
    pub(super) fn add_times(&mut self, value: &[u8], times: u64) {
        self.add_made(value, times, |value| value.into());
    }

    /// The same; `make` gives the memory of a value that is kept.
    pub(super) fn add_made(&mut self, value: &[u8], times: u64, make: impl FnOnce(&[u8]) -> Arc<[u8]>) {
        let value = cut(value);
        match &mut self.0 {
            Kept::None => self.0 = Kept::One((make(value), times)),
            Kept::One((only, count)) if **only == *value => *count = count.saturating_add(times),
            Kept::One(_) => self.several(|several| several.add(value, times, make)),
            Kept::Several(several) => several.add(value, times, make),
        }
    }

    /// Goes on with memory of its own.
    fn several(&mut self, change: impl FnOnce(&mut Several)) {
        let mut several = match std::mem::take(&mut self.0) {
            Kept::None => Box::default(),
            Kept::One(one) => Box::new(Several { values: vec![one], more: false }),
            Kept::Several(several) => several,
        };
        change(&mut several);
        self.0 = Kept::Several(several);
    }

    /// Takes another sample.
    pub fn merge(&mut self, other: Sample) {
        if matches!(self.0, Kept::None) {
            *self = other;
            return;
        }
        let take = |mine: &mut Sample, (value, times): Counted| {
            mine.add_made(&Arc::clone(&value), times, |_| value);
        };
        match other.0 {
            Kept::None => {}
            Kept::One(one) => take(self, one),
            Kept::Several(several) => {
                if several.more {
                    self.set_more();
                }
                several.values.into_iter().for_each(|one| take(self, one));
            }
        }
    }

    /// Notes that there were more than are kept.
    pub(super) fn set_more(&mut self) {
        self.several(|several| several.more = true);
    }

    /// What is to be seen of it.
    pub fn values(&self) -> Values<'_> {
        match &self.0 {
            Kept::None => Values::default(),
            Kept::One((value, times)) => Values::one(value, *times),
            Kept::Several(several) => Values { one: None, several: &several.values, more: several.more },
        }
    }

    /// Whether there were more than are kept.
    pub fn more(&self) -> bool {
        self.values().more
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values().is_empty()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.values().len()
    }

    /// The values, each with how often it came.
    pub fn counted(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.values().counted()
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.values().iter()
    }
}

impl Several {
    fn add(&mut self, value: &[u8], times: u64, make: impl FnOnce(&[u8]) -> Arc<[u8]>) {
        let full = self.values.len() >= KEPT;
        if full && self.values.last().is_some_and(|(last, _)| *value > **last) {
            self.more = true;
            return;
        }
        match self.values.binary_search_by(|(kept, _)| (**kept).cmp(value)) {
            Ok(at) => {
                if let Some((_, count)) = self.values.get_mut(at) {
                    *count = count.saturating_add(times);
                }
            }
            Err(at) => {
                self.more |= full;
                if at < KEPT {
                    self.values.truncate(KEPT - 1);
                    self.values.reserve_exact(1);
                    self.values.insert(at, (make(value), times));
                }
            }
        }
    }
}

/// The values of a sample, wherever they are kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    one: Option<(&'a [u8], u64)>,
    several: &'a [Counted],
    more: bool,
}

impl<'a> Values<'a> {
    pub(super) fn one(value: &'a [u8], times: u64) -> Self {
        Values { one: Some((value, times)), several: &[], more: false }
    }

    /// Whether there were more than are kept.
    pub fn more(self) -> bool {
        self.more
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// How many are kept.
    pub fn len(self) -> usize {
        self.several.len() + usize::from(self.one.is_some())
    }

    /// The values, each with how often it came.
    pub fn counted(self) -> impl Iterator<Item = (&'a [u8], u64)> {
        self.one.into_iter().chain(self.several.iter().map(|(v, n)| (&**v, *n)))
    }

    /// The values.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.counted().map(|(v, _)| v)
    }
}

impl<'a> From<&'a Sample> for Values<'a> {
    fn from(sample: &'a Sample) -> Self {
        sample.values()
    }
}

impl PartialEq for Values<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.more == other.more && self.counted().eq(other.counted())
    }
}

impl Eq for Values<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn samples_are_the_same_in_whatever_order(
            mut values in prop::collection::vec(0u8..40, 0..200), cut in 0usize..200, turn in any::<bool>()
        ) {
            let fill = |list: &[u8]| {
                let mut s = Sample::default();
                for v in list {
                    s.add(&[*v]);
                }
                s
            };
            let whole = fill(&values);
            if turn {
                values.reverse();
            }
            let (a, b) = values.split_at(cut.min(values.len()));
            let mut parts = fill(b);
            parts.merge(fill(a));
            prop_assert_eq!(whole, parts);
        }
    }
}
