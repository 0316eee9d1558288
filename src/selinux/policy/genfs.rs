//! Contexts of files on file systems that hold no labels (`genfscon`).

use super::context::Context;
use super::cursor::{Cursor, Result, Sink};
use super::id::{ClassId, Id};

/// A path on one type of file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenfsPath {
    /// From the file system's root; everything below it too.
    pub path: Box<[u8]>,
    /// Only files of this class.
    pub class: Option<ClassId>,
    /// Its context.
    pub context: Context,
}

/// A type of file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genfs {
    /// Such as `proc`.
    pub fstype: Box<[u8]>,
    /// In the file's order; the kernel takes the longest that fits.
    pub paths: Vec<GenfsPath>,
}

impl Genfs {
    pub(super) const MIN_SIZE: usize = 8;

    pub(super) fn read(c: &mut Cursor<'_>, mls: bool) -> Result<Self> {
        let len = c.u32()?;
        let fstype = c.file_name(len, "a file system")?;
        let count = c.count(8 + Context::MIN_SIZE, "paths")?;
        let mut paths = Vec::with_capacity(count);
        for _ in 0..count {
            let len = c.u32()?;
            let path = c.file_name(len, "a path")?;
            let class = ClassId::new(c.u32()?);
            paths.push(GenfsPath { path, class, context: Context::read(c, mls)? });
        }
        Ok(Self { fstype, paths })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.count(self.fstype.len());
        out.bytes(&self.fstype);
        out.count(self.paths.len());
        for p in &self.paths {
            out.count(p.path.len());
            out.bytes(&p.path);
            out.u32(p.class.map_or(0, Id::get));
            p.context.write(out);
        }
    }
}
