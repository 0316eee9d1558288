//! Types, their other names, and attributes.

use compact_str::CompactString;

use super::cursor::{Cursor, Result, Sink};
use super::id::{Id, TypeId, TypeTag};
use super::mls::id;
use super::symbols::Symbol;

/// What a record among the types is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// A type under its own name.
    Type,
    /// Another name of the type of this number.
    Alias,
    /// An attribute: a name for a set of types.
    Attribute,
}

/// A type, another name of one, or an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// Its name.
    pub name: CompactString,
    /// Its number; of an alias, the type's.
    pub id: TypeId,
    /// What it is.
    pub kind: TypeKind,
    /// The type that may do all that this one may (`typebounds`).
    pub bounds: Option<TypeId>,
    /// As in the file: compilers differ in whether an attribute is marked as a primary name too.
    pub(super) properties: u32,
}

impl Symbol for Type {
    type Tag = TypeTag;
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> Id<TypeTag> {
        self.id
    }
    fn is_alias(&self) -> bool {
        self.kind == TypeKind::Alias
    }
}

impl Type {
    pub(super) const MIN_SIZE: usize = 16 + 1;

    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let at = c.offset();
        let [len, value, properties, bounds] = c.u32s()?;
        let kind = match properties {
            0 => TypeKind::Alias,
            1 => TypeKind::Type,
            2 | 3 => TypeKind::Attribute,
            _ => return c.fail(at + 8, "0 (alias), 1 (type), 2 or 3 (attribute)", properties),
        };
        let id = id(c, at + 4, value, "a type")?;
        Ok(Self { name: c.name(len, "a type")?, id, kind, bounds: TypeId::new(bounds), properties })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.count(self.name.len());
        out.u32s(&[self.id.get(), self.properties, self.bounds.map_or(0, Id::get)]);
        out.bytes(self.name.as_bytes());
    }
}
