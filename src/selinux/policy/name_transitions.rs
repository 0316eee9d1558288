//! `type_transition` by the last component of the new file's name.

use super::bitmap::Bitmap;
use super::cursor::{Cursor, Result, Sink};
use super::id::{ClassId, TypeId};
use super::mls::id;

/// New types for files of one name and class in directories of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTransition {
    /// The last component of the path.
    pub name: Box<[u8]>,
    /// Type of the directory.
    pub target: TypeId,
    /// Class of what is made.
    pub class: ClassId,
    /// For each set of source types (bit 0 is type 1), the new type. Before version 33 the file has each source by
    /// itself: one set, one source.
    pub outcomes: Vec<(Bitmap, TypeId)>,
}

impl NameTransition {
    /// The new type for this source.
    pub fn outcome(&self, source: TypeId) -> Option<TypeId> {
        self.outcomes.iter().find(|(s, _)| s.contains(source.bit())).map(|(_, new)| *new)
    }

    pub(super) fn min_size(version: u32) -> usize {
        if version >= 33 { 16 } else { 20 }
    }

    pub(super) fn read(c: &mut Cursor<'_>, version: u32) -> Result<Self> {
        let len = c.u32()?;
        let name = c.file_name(len, "a file")?;
        let at = c.offset();
        if version < 33 {
            let [source, target, class, new] = c.u32s()?;
            let source: TypeId = id(c, at, source, "a type")?;
            let new = id(c, at + 12, new, "a type")?;
            return Ok(Self {
                name,
                target: id(c, at + 4, target, "a type")?,
                class: id(c, at + 8, class, "a class")?,
                outcomes: vec![(std::iter::once(source.bit()).collect(), new)],
            });
        }
        let [target, class] = c.u32s()?;
        let target = id(c, at, target, "a type")?;
        let class = id(c, at + 4, class, "a class")?;
        let count = c.count(Bitmap::MIN_SIZE + 4, "name transitions")?;
        let mut outcomes = Vec::with_capacity(count);
        for _ in 0..count {
            let sources = Bitmap::read(c)?;
            let at = c.offset();
            let new = c.u32()?;
            outcomes.push((sources, id(c, at, new, "a type")?));
        }
        Ok(Self { name, target, class, outcomes })
    }

    pub(super) fn write(&self, out: &mut Sink, version: u32) {
        if version < 33 {
            for (sources, new) in &self.outcomes {
                for source in sources.iter() {
                    out.count(self.name.len());
                    out.bytes(&self.name);
                    out.u32s(&[source + 1, self.target.get(), self.class.get(), new.get()]);
                }
            }
            return;
        }
        out.count(self.name.len());
        out.bytes(&self.name);
        out.u32s(&[self.target.get(), self.class.get()]);
        out.count(self.outcomes.len());
        for (sources, new) in &self.outcomes {
            sources.write(out);
            out.u32(new.get());
        }
    }
}
