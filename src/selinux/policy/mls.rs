//! Sensitivities, categories, levels and ranges.

use compact_str::CompactString;

use super::bitmap::Bitmap;
use super::cursor::{Cursor, Result, Sink};
use super::id::{CategoryId, CategoryTag, Id, SensitivityId, SensitivityTag};
use super::symbols::Symbol;

/// A sensitivity, or another name of one, with the categories that may go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sensitivity {
    /// Its name.
    pub name: CompactString,
    /// Its number, and all categories it may have.
    pub level: Level,
    /// Whether it is another name of the sensitivity of this number.
    pub alias: bool,
}

impl Symbol for Sensitivity {
    type Tag = SensitivityTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<SensitivityTag> {
        self.level.sensitivity
    }
    fn is_alias(&self) -> bool {
        self.alias
    }
}

impl Sensitivity {
    pub(super) const MIN_SIZE: usize = 8 + 1 + 4 + Bitmap::MIN_SIZE;

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [len, alias] = c.u32s()?;
        let alias = flag(c, at + 4, alias)?;
        Ok(Self { name: c.name(len, "a sensitivity")?, level: Level::read(c)?, alias })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.count(self.name.len());
        out.u32(self.alias.into());
        out.bytes(self.name.as_bytes());
        self.level.write(out);
    }
}

/// A category, or another name of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Its name.
    pub name: CompactString,
    /// Its number.
    pub id: CategoryId,
    /// Whether it is another name of the category of this number.
    pub alias: bool,
}

impl Symbol for Category {
    type Tag = CategoryTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<CategoryTag> {
        self.id
    }
    fn is_alias(&self) -> bool {
        self.alias
    }
}

impl Category {
    pub(super) const MIN_SIZE: usize = 12 + 1;

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [len, value, alias] = c.u32s()?;
        let alias = flag(c, at + 8, alias)?;
        let id = id(c, at + 4, value, "a category")?;
        Ok(Self { name: c.name(len, "a category")?, id, alias })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.count(self.name.len());
        out.u32s(&[self.id.get(), self.alias.into()]);
        out.bytes(self.name.as_bytes());
    }
}

/// A sensitivity and a set of categories (bit 0 is category 1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level {
    /// How secret.
    pub sensitivity: SensitivityId,
    /// Which compartments.
    pub categories: Bitmap,
}

impl Level {
    /// Whether this level is at least as high, and has all of the other's categories.
    pub fn dominates(&self, other: &Level) -> bool {
        self.sensitivity >= other.sensitivity && self.categories.contains_all(&other.categories)
    }

    /// Whether neither dominates.
    pub fn incomparable(&self, other: &Level) -> bool {
        !self.dominates(other) && !other.dominates(self)
    }

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let value = c.u32()?;
        Ok(Self { sensitivity: id(c, at, value, "a sensitivity")?, categories: Bitmap::read(c)? })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.u32(self.sensitivity.get());
        self.categories.write(out);
    }
}

/// From a low level to a high one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// Also called the current level, or the effective one.
    pub low: Level,
    /// Also called the clearance; `None` where it is the same.
    pub high: Option<Level>,
}

impl Range {
    /// From `low` to `high`.
    pub fn new(low: Level, high: Level) -> Self {
        let high = Some(high).filter(|h| *h != low);
        Self { low, high }
    }

    /// Low and high the same.
    pub fn single(level: Level) -> Self {
        Self { low: level, high: None }
    }

    /// The high level.
    #[inline]
    pub fn high(&self) -> &Level {
        self.high.as_ref().unwrap_or(&self.low)
    }

    /// Whether the other range lies within this one.
    pub fn contains(&self, other: &Range) -> bool {
        other.low.dominates(&self.low) && self.high().dominates(other.high())
    }

    /// Reads one: number of levels (1 or 2), their sensitivities, their categories. In a policy without MLS, where
    /// it stands too, it says nothing and is `None`.
    pub(super) fn read(c: &mut Cursor<'_>, mls: bool) -> Result<Option<Self>> {
        let at = c.offset();
        let levels = c.u32()?;
        if !mls {
            let found = (levels, c.u32()?, Bitmap::read(c)?);
            return if found == (1, 0, Bitmap::default()) {
                Ok(None)
            } else {
                c.fail(at, "an empty range, for the policy has no MLS", "a level")
            };
        }
        if !matches!(levels, 1 | 2) {
            return c.fail(at, "a range of 1 or 2 levels", levels);
        }
        let value = c.u32()?;
        let low = id(c, at + 4, value, "a sensitivity")?;
        let high = if levels == 2 {
            let value = c.u32()?;
            Some(id(c, at + 8, value, "a sensitivity")?)
        } else {
            None
        };
        let low = Level { sensitivity: low, categories: Bitmap::read(c)? };
        let high = match high {
            Some(sensitivity) => Some(Level { sensitivity, categories: Bitmap::read(c)? }),
            None => None,
        };
        if high.as_ref() == Some(&low) {
            return c.fail(at, "a range of 1 level, for both are the same", 2);
        }
        Ok(Some(Self { low, high }))
    }

    pub(super) const MIN_SIZE: usize = 8 + Bitmap::MIN_SIZE;

    pub(super) fn write(range: Option<&Self>, out: &mut Sink) {
        let Some(range) = range else {
            out.u32s(&[1, 0]);
            return Bitmap::default().write(out);
        };
        match &range.high {
            Some(high) => {
                out.u32s(&[2, range.low.sensitivity.get(), high.sensitivity.get()]);
                range.low.categories.write(out);
                high.categories.write(out);
            }
            None => {
                out.u32s(&[1, range.low.sensitivity.get()]);
                range.low.categories.write(out);
            }
        }
    }
}

/// A number that must not be 0.
pub(super) fn id<T>(c: &Cursor<'_>, at: usize, value: u32, what: &'static str) -> Result<Id<T>> {
    match Id::new(value) {
        Some(id) => Ok(id),
        None => c.fail(at, format!("the number of {what}, from 1 on"), value),
    }
}

/// A number that is 0 or 1.
pub(super) fn flag(c: &Cursor<'_>, at: usize, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => c.fail(at, "0 or 1", value),
    }
}
