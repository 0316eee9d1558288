//! One line of file_contexts: `PATTERN [-- | -d | -c | -b | -p | -l | -s] CONTEXT|<<none>>`.
//!
//! Lines are read as libselinux's `label_support.c` and `label_file.h` read them. libselinux refuses a whole file for
//! one bad line; here each bad line is reported with its number, and the others are used.

use std::fmt;
use std::sync::Arc;

use super::database::Text;

/// A field as long as this is refused (`UINT16_MAX`).
const MAX_FIELD: usize = 65_535;

/// The kind of a file, as far as specifications tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// `-d`
    Directory,
    /// `-c`
    Character,
    /// `-b`
    Block,
    /// `-s`
    Socket,
    /// `-p`
    Pipe,
    /// `-l`
    Link,
    /// `--`, a regular file. (The order of the variants is that of libselinux 3.8, which sorts by it.)
    File,
}

impl FileKind {
    /// The kind with this letter: `-` for a regular file, else as in `ls -l`.
    pub fn of_letter(letter: u8) -> Option<FileKind> {
        Some(match letter {
            b'-' => FileKind::File,
            b'd' => FileKind::Directory,
            b'l' => FileKind::Link,
            b'p' => FileKind::Pipe,
            b's' => FileKind::Socket,
            b'b' => FileKind::Block,
            b'c' => FileKind::Character,
            _ => return None,
        })
    }

    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            FileKind::File => '-',
            FileKind::Directory => 'd',
            FileKind::Link => 'l',
            FileKind::Pipe => 'p',
            FileKind::Socket => 's',
            FileKind::Block => 'b',
            FileKind::Character => 'c',
        }
    }
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named to us.
    pub file: Arc<str>,
    /// The line, from 1 on.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The pattern as written (ASCII).
    pub pattern: Arc<str>,
    /// The kind of files it is for; `None` for all.
    pub kind: Option<FileKind>,
    /// The context; `None` for `<<none>>`, which says that such files are to be left as they are.
    pub context: Option<Arc<str>>,
    /// Where it is written.
    pub place: Place,
    /// The file's rank: 0 file_contexts, 1 its `.homedirs`, 2 its `.local`.
    pub input: u8,
}

impl fmt::Display for Spec {
    /// As it is written: fields parted by two spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)?;
        if let Some(kind) = self.kind {
            write!(f, "  -{}", kind.letter())?;
        }
        write!(f, "  {}", self.context.as_deref().unwrap_or("<<none>>"))
    }
}

/// Something wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what libselinux makes of it.
    pub what: String,
    /// libselinux refuses the whole file because of it.
    pub refused: bool,
}

/// Reads a file of specifications.
pub(super) fn read(text: &Text<'_>, input: u8, problems: &mut Vec<Problem>) -> Vec<Spec> {
    let mut specs = Vec::new();
    for (line, number) in text.lines() {
        let place = || Place { file: Arc::clone(&text.name), line: number };
        match fields(line) {
            Ok(None) => {}
            Ok(Some((pattern, kind, context))) => {
                specs.push(Spec {
                    pattern: pattern.into(),
                    kind,
                    context: (context != "<<none>>").then(|| context.into()),
                    place: place(),
                    input,
                });
            }
            Err(what) => problems.push(Problem { place: place(), what, refused: true }),
        }
    }
    specs
}

type Fields<'l> = Option<(&'l str, Option<FileKind>, &'l str)>;

/// The fields of a line; `None` for an empty line or a comment. More fields than three are passed over, as there.
fn fields(line: &[u8]) -> Result<Fields<'_>, String> {
    // The line is a C string to libselinux.
    let line = line.split(|b| *b == 0).next().unwrap_or_default();
    let mut fields = line.split(|b| is_space(*b)).filter(|f| !f.is_empty()).take(3);
    let Some(first) = fields.next().filter(|f| !f.starts_with(b"#")) else { return Ok(None) };
    let [first, second, third] =
        [Some(first), fields.next(), fields.next()].map(|f| f.map(ascii).transpose());
    match (first?, second?, third?) {
        (Some(pattern), Some(context), None) => Ok(Some((pattern, None, context))),
        (Some(pattern), Some(kind), Some(context)) => match kind.as_bytes() {
            [b'-', letter] if FileKind::of_letter(*letter).is_some() => {
                Ok(Some((pattern, FileKind::of_letter(*letter), context)))
            }
            _ => Err(format!(
                "expected a file kind (`--`, `-d`, `-l`, `-p`, `-s`, `-b` or `-c`), found `{kind}`"
            )),
        },
        _ => Err("expected a pattern, perhaps a file kind, and a context; found one field".to_owned()),
    }
}

fn ascii(field: &[u8]) -> Result<&str, String> {
    if field.len() >= MAX_FIELD {
        return Err(format!("a field of {} bytes, which libselinux refuses", field.len()));
    }
    match std::str::from_utf8(field) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => {
            Err("a byte that is not ASCII, which libselinux refuses; write `.` for each such byte".to_owned())
        }
    }
}

/// `isspace` of the C locale.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Option<String>, String> {
        let mut problems = Vec::new();
        let specs = read(&Text::new("f", line.as_bytes()), 0, &mut problems);
        match problems.pop() {
            Some(p) => Err(p.to_string()),
            None => Ok(specs.first().map(Spec::to_string)),
        }
    }

    #[test]
    fn lines_are_read_as_libselinux_reads_them() {
        assert_eq!(one("  /a\t--   u:r:t:s0 \r"), Ok(Some("/a  --  u:r:t:s0".into())));
        assert_eq!(one("/a <<none>>"), Ok(Some("/a  <<none>>".into())));
        assert_eq!(one("/a -d u:r:t:s0 more"), Ok(Some("/a  -d  u:r:t:s0".into())));
        assert_eq!(one(" # /a b é"), Ok(None));
        assert_eq!(one(" \t"), Ok(None));
        assert!(one("\n/a").unwrap_err().starts_with("f:2: expected a pattern"));
        assert!(one("/a -x u:r:t").unwrap_err().ends_with("found `-x`"));
        assert!(one("/caf\u{e9} u:r:t").unwrap_err().contains("not ASCII"));
    }
}
