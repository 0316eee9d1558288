//! Policy packages (`.pp`): what kind of module they hold, and the file contexts in them.
//!
//! The module itself is not expanded: it has no decisions of its own before it is linked. What is read is what others
//! need of it: name, version, kind, and the text of its file contexts.

use super::cursor::{Cursor, Result};
use super::error::ReadError;

const PACKAGE: u32 = 0xf97c_ff8f;
const MODULE: u32 = 0xf97c_ff8d;
const FILE_CONTEXTS: u32 = 0xf97c_ff90;
/// What a package holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The module in it.
    pub module: Module,
    /// Text of the file contexts in it; empty where it has none.
    pub file_contexts: Vec<u8>,
}

/// A module's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Whether it is the base module.
    pub base: bool,
    /// Name; empty for a base module.
    pub name: Box<str>,
    /// The module's own version; empty where it has none.
    pub version: Box<str>,
    /// Version of the format, 4 to 24.
    pub format: u32,
    /// Whether it was compiled with MLS.
    pub mls: bool,
}

/// Whether the bytes begin as a package does.
pub fn is_package(data: &[u8]) -> bool {
    data.first_chunk() == Some(&PACKAGE.to_le_bytes())
}

/// Whether the bytes begin as a module (`.mod`) does.
pub fn is_module(data: &[u8]) -> bool {
    data.first_chunk() == Some(&MODULE.to_le_bytes())
}

impl Package {
    /// Reads a package from its (uncompressed) bytes: magic, version 1, number of sections, their offsets, and there
    /// each section with a magic of its own.
    ///
    /// # Errors
    /// Where a byte is not what the format has there.
    pub fn read(data: &[u8]) -> std::result::Result<Self, ReadError> {
        let mut c = Cursor::new(data);
        c.section("package");
        let [magic, version] = c.u32s()?;
        if magic != PACKAGE {
            return c.fail(0, format!("the number {PACKAGE:#x} of a policy package"), format!("{magic:#x}"));
        }
        if version != 1 {
            return c.fail(4, "version 1 of policy packages", version);
        }
        let count = c.count(4, "sections")?;
        let mut starts = Vec::with_capacity(count);
        for _ in 0..count {
            starts.push(c.u32()? as usize);
        }
        let mut module = None;
        let mut file_contexts = None;
        for (i, start) in starts.iter().enumerate() {
            let end = starts.get(i + 1).copied().unwrap_or(data.len());
            let Some(bytes) = data.get(*start..end) else {
                return c.fail(
                    12 + 4 * i,
                    "sections in order within the package",
                    format!("{start} to {end}"),
                );
            };
            let mut s = Cursor::new(bytes);
            s.section("section of a package");
            match s.u32()? {
                MODULE if module.is_none() => module = Some(Module::read(&mut s)?),
                FILE_CONTEXTS if file_contexts.is_none() => file_contexts = Some(s.rest().to_vec()),
                // Seusers, users' extras, netfilter contexts: 91, 92, 93.
                m if m & 0xffff_fff0 == FILE_CONTEXTS && m != FILE_CONTEXTS => {}
                m => return s.fail(*start, "one module, one list of file contexts", format!("{m:#x}")),
            }
        }
        match module {
            Some(module) => Ok(Self { module, file_contexts: file_contexts.unwrap_or_default() }),
            None => c.fail(8, "a module in the package", "none"),
        }
    }
}

impl Module {
    /// Reads a module's head from its bytes (`.mod`), the magic included.
    ///
    /// # Errors
    /// Where a byte is not what the format has there.
    pub fn parse(data: &[u8]) -> std::result::Result<Self, ReadError> {
        let mut c = Cursor::new(data);
        c.section("module");
        let magic = c.u32()?;
        if magic != MODULE {
            return c.fail(0, format!("the number {MODULE:#x} of a policy module"), format!("{magic:#x}"));
        }
        Self::read(&mut c)
    }

    /// What follows the magic: target's name, kind (1 base, 2 module), format, configuration, numbers of symbol tables
    /// and object contexts; for a module, name and version.
    fn read(c: &mut Cursor<'_>) -> Result<Self> {
        c.section("module");
        let at = c.offset();
        let len = c.u32()?;
        let target = c.bytes(len as usize)?;
        if target != b"SE Linux Module" && target != b"SE Linux" {
            return c.fail(at, "the name `SE Linux Module`", String::from_utf8_lossy(target).escape_debug());
        }
        let at = c.offset();
        let [kind, format, config, _symbols, _contexts] = c.u32s()?;
        let base = match kind {
            1 => true,
            2 => false,
            _ => return c.fail(at, "1 (base) or 2 (module)", kind),
        };
        if !(4..=24).contains(&format) {
            return c.fail(at + 4, "a module's format from 4 to 24", format);
        }
        let (mut name, mut version) = (Box::default(), Box::default());
        if !base {
            let len = c.u32()?;
            name = c.name(len, "a module")?.into();
            let len = c.u32()?;
            version = c.name(len, "a module's version")?.into();
        }
        Ok(Self { base, name, version, format, mls: config & 1 != 0 })
    }
}
