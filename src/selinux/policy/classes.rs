//! Object classes, the permissions they have, and the sets of permissions that they share.

use compact_str::CompactString;

use super::constraints::Constraint;
use super::cursor::{Cursor, Result, Sink};
use super::id::{ClassId, ClassTag, CommonId, CommonTag, Id};
use super::mls::id;
use super::symbols::Symbol;

/// A permission's name and its bit in an access vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Its name.
    pub name: CompactString,
    /// From 0 to 31.
    pub bit: u8,
}

/// Permissions in the file's order, and the number of bits that the class has in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    greatest: u32,
    list: Vec<Permission>,
}

impl Permissions {
    /// In the file's order.
    pub fn list(&self) -> &[Permission] {
        &self.list
    }

    fn read(c: &mut Cursor<'_>, at: usize, greatest: u32, count: usize) -> Result<Self> {
        if greatest > 32 {
            return c.fail(at, "at most 32 permissions", greatest);
        }
        let mut list: Vec<Permission> = Vec::with_capacity(count);
        for _ in 0..count {
            let at = c.offset();
            let [len, value] = c.u32s()?;
            let name = c.name(len, "a permission")?;
            let bit = match u8::try_from(value) {
                Ok(v @ 1..=32) if u32::from(v) <= greatest => v - 1,
                _ => return c.fail(at + 4, format!("a permission's number up to {greatest}"), value),
            };
            if list.iter().any(|p| p.bit == bit || p.name == name) {
                return c.fail(at, "each permission once", format!("`{name}`, {value} again"));
            }
            list.push(Permission { name, bit });
        }
        Ok(Self { greatest, list })
    }

    fn write(&self, out: &mut Sink) {
        for p in &self.list {
            out.count(p.name.len());
            out.u32(u32::from(p.bit) + 1);
            out.bytes(p.name.as_bytes());
        }
    }
}

/// Permissions that several classes share (`common file { … }`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// Its name.
    pub name: CompactString,
    /// Its number.
    pub id: CommonId,
    /// What it has; their bits come first in each class.
    pub permissions: Permissions,
}

impl Symbol for Common {
    type Tag = CommonTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<CommonTag> {
        self.id
    }
}

impl Common {
    pub(super) const MIN_SIZE: usize = 16 + 1;

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [len, value, greatest, count] = c.u32s()?;
        let id = id(c, at + 4, value, "a common")?;
        let name = c.name(len, "a common")?;
        let count = c.check_count(at + 12, count, 9, "permissions")?;
        Ok(Self { name, id, permissions: Permissions::read(c, at + 8, greatest, count)? })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.count(self.name.len());
        out.u32s(&[self.id.get(), self.permissions.greatest]);
        out.count(self.permissions.list.len());
        out.bytes(self.name.as_bytes());
        self.permissions.write(out);
    }
}

/// From which context a new object takes its user, role or type (`default_user` …).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultFrom {
    /// The process that makes it.
    Source,
    /// What it is made in.
    Target,
}

/// From which context a new object takes which part of its range (`default_range`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultRange {
    /// `source low`
    SourceLow,
    /// `source high`
    SourceHigh,
    /// `source low-high`
    SourceLowHigh,
    /// `target low`
    TargetLow,
    /// `target high`
    TargetHigh,
    /// `target low-high`
    TargetLowHigh,
    /// `glblub`: the greatest low and the least high of both
    Glblub,
}

/// How a class's new objects are labelled where no rule says it; `None` is the kernel's own choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defaults {
    /// From version 27 on.
    pub user: Option<DefaultFrom>,
    /// From version 27 on.
    pub role: Option<DefaultFrom>,
    /// From version 28 on.
    pub ty: Option<DefaultFrom>,
    /// From version 27 on; glblub from 32 on.
    pub range: Option<DefaultRange>,
}

const RANGES: [DefaultRange; 7] = [
    DefaultRange::SourceLow,
    DefaultRange::SourceHigh,
    DefaultRange::SourceLowHigh,
    DefaultRange::TargetLow,
    DefaultRange::TargetHigh,
    DefaultRange::TargetLowHigh,
    DefaultRange::Glblub,
];

impl Defaults {
    fn from(c: &mut Cursor<'_>) -> Result<Option<DefaultFrom>> {
        let at = c.offset();
        match c.u32()? {
            0 => Ok(None),
            1 => Ok(Some(DefaultFrom::Source)),
            2 => Ok(Some(DefaultFrom::Target)),
            other => c.fail(at, "a default of 0, 1 (source) or 2 (target)", other),
        }
    }

    fn range(c: &mut Cursor<'_>) -> Result<Option<DefaultRange>> {
        let at = c.offset();
        match c.u32()? {
            0 => Ok(None),
            n => match RANGES.get(n as usize - 1) {
                Some(range) => Ok(Some(*range)),
                None => c.fail(at, "a default range from 0 to 7", n),
            },
        }
    }

    fn write_from(from: Option<DefaultFrom>, out: &mut Sink) {
        out.u32(match from {
            None => 0,
            Some(DefaultFrom::Source) => 1,
            Some(DefaultFrom::Target) => 2,
        });
    }
}

/// An object class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: CompactString,
    /// Its number.
    pub id: ClassId,
    /// The permissions it shares with others.
    pub common: Option<CompactString>,
    /// Its own permissions.
    pub permissions: Permissions,
    /// What takes permissions away (`constrain`, `mlsconstrain`).
    pub constraints: Vec<Constraint>,
    /// What relabelling must satisfy (`validatetrans`, `mlsvalidatetrans`).
    pub validatetrans: Vec<Constraint>,
    /// How new objects are labelled.
    pub defaults: Defaults,
}

impl Symbol for Class {
    type Tag = ClassTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<ClassTag> {
        self.id
    }
}

impl Class {
    pub(super) const MIN_SIZE: usize = 24 + 1 + 4;

    pub(super) fn read(c: &mut Cursor<'_>, version: u32) -> Result<Self> {
        let at = c.offset();
        let [len, common_len, value, greatest, count, constraints] = c.u32s()?;
        let id = id(c, at + 8, value, "a class")?;
        let name = c.name(len, "a class")?;
        let common = if common_len == 0 { None } else { Some(c.name(common_len, "a common")?) };
        let count = c.check_count(at + 16, count, 9, "permissions")?;
        let permissions = Permissions::read(c, at + 12, greatest, count)?;
        let constraints = c.check_count(at + 20, constraints, Constraint::MIN_SIZE, "constraints")?;
        let constraints = Constraint::read_list(c, constraints, version, false)?;
        let count = c.count(Constraint::MIN_SIZE, "constraints")?;
        let validatetrans = Constraint::read_list(c, count, version, true)?;
        let mut defaults = Defaults::default();
        if version >= 27 {
            defaults.user = Defaults::from(c)?;
            defaults.role = Defaults::from(c)?;
            defaults.range = Defaults::range(c)?;
        }
        if version >= 28 {
            defaults.ty = Defaults::from(c)?;
        }
        Ok(Self { name, id, common, permissions, constraints, validatetrans, defaults })
    }

    pub(super) fn write(&self, out: &mut Sink, version: u32) {
        out.count(self.name.len());
        out.count(self.common.as_ref().map_or(0, |n| n.len()));
        out.u32s(&[self.id.get(), self.permissions.greatest]);
        out.count(self.permissions.list.len());
        out.count(self.constraints.len());
        out.bytes(self.name.as_bytes());
        out.bytes(self.common.as_ref().map_or(&[], |n| n.as_bytes()));
        self.permissions.write(out);
        Constraint::write_list(&self.constraints, out, version);
        out.count(self.validatetrans.len());
        Constraint::write_list(&self.validatetrans, out, version);
        if version >= 27 {
            Defaults::write_from(self.defaults.user, out);
            Defaults::write_from(self.defaults.role, out);
            let range = self.defaults.range;
            out.count(range.and_then(|r| RANGES.iter().position(|x| *x == r)).map_or(0, |i| i + 1));
        }
        if version >= 28 {
            Defaults::write_from(self.defaults.ty, out);
        }
    }
}
