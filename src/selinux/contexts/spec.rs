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
    each(text, problems, |line| specs.push(line.spec(text, input)));
    specs
}

/// A line that holds a specification: where its fields lie in the text, none of them longer than a `u16` tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// Where the pattern begins.
    at: usize,
    /// Where the context begins.
    context: usize,
    /// The line's number.
    number: u32,
    pattern_len: u16,
    context_len: u16,
    kind: Option<FileKind>,
}

impl Line {
    pub(super) fn pattern<'t>(&self, text: &'t Text<'_>) -> &'t [u8] {
        field(text, self.at, self.pattern_len)
    }

    /// The context, which may be `<<none>>`.
    pub(super) fn context<'t>(&self, text: &'t Text<'_>) -> &'t [u8] {
        field(text, self.context, self.context_len)
    }

    /// The specification, in the file of this rank.
    pub(super) fn spec(&self, text: &Text<'_>, input: u8) -> Spec {
        let shared = |field| std::str::from_utf8(field).unwrap_or_default().into();
        let context = self.context(text);
        Spec {
            pattern: shared(self.pattern(text)),
            kind: self.kind,
            context: (context != NONE).then(|| shared(context)),
            place: Place { file: Arc::clone(&text.name), line: self.number },
            input,
        }
    }
}

/// What stands for the context of files that are to be left as they are.
pub(super) const NONE: &[u8] = b"<<none>>";

/// A field of a text; those that were taken are ASCII.
fn field<'t>(text: &'t Text<'_>, at: usize, len: u16) -> &'t [u8] {
    text.bytes.get(at..at + usize::from(len)).unwrap_or_default()
}

/// Calls for each line that holds a specification.
pub(super) fn each(text: &Text<'_>, problems: &mut Vec<Problem>, mut call: impl FnMut(Line)) {
    for (start, line, number) in text.lines() {
        match fields(line) {
            Ok(None) => {}
            Ok(Some(((at, pattern), kind, (context_at, context)))) => call(Line {
                at: start + at,
                context: start + context_at,
                number,
                pattern_len: len(pattern),
                context_len: len(context),
                kind,
            }),
            Err(what) => {
                let place = Place { file: Arc::clone(&text.name), line: number };
                problems.push(Problem { place, what, refused: true });
            }
        }
    }
}

/// The length of a field that was taken: less than [`MAX_FIELD`].
fn len(field: &[u8]) -> u16 {
    u16::try_from(field.len()).unwrap_or(u16::MAX)
}

/// A field with where it begins.
type Field<'l> = (usize, &'l [u8]);

type Fields<'l> = Option<(Field<'l>, Option<FileKind>, Field<'l>)>;

/// The fields of a line; `None` for an empty line or a comment. More fields than three are passed over, as there.
fn fields(line: &[u8]) -> Result<Fields<'_>, String> {
    // The line is a C string to libselinux.
    let line = memchr::memchr(0, line).and_then(|end| line.get(..end)).unwrap_or(line);
    let mut at = 0;
    let mut next = || -> Option<Field<'_>> {
        at += line.get(at..)?.iter().position(|b| !is_space(*b))?;
        let rest = line.get(at..)?;
        // Blanks and tabs part fields; where there is other space, it is looked for byte by byte.
        let quick = memchr::memchr2(b' ', b'\t', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
        let field = match quick.iter().fold(false, |space, b| space | is_space(*b)) {
            false => quick,
            true => quick.split(|b| is_space(*b)).next().unwrap_or_default(),
        };
        let start = at;
        at += field.len();
        Some((start, field))
    };
    let Some(first) = next().filter(|(_, f)| !f.starts_with(b"#")) else { return Ok(None) };
    let (second, third) = (next(), next());
    for (_, field) in [Some(first), second, third].into_iter().flatten() {
        ascii(field)?;
    }
    match (Some(first), second, third) {
        (Some(pattern), Some(context), None) => Ok(Some((pattern, None, context))),
        (Some(pattern), Some((_, kind)), Some(context)) => match kind {
            [b'-', letter] if FileKind::of_letter(*letter).is_some() => {
                Ok(Some((pattern, FileKind::of_letter(*letter), context)))
            }
            _ => Err(format!(
                "expected a file kind (`--`, `-d`, `-l`, `-p`, `-s`, `-b` or `-c`), found `{}`",
                String::from_utf8_lossy(kind)
            )),
        },
        _ => Err("expected a pattern, perhaps a file kind, and a context; found one field".to_owned()),
    }
}

fn ascii(field: &[u8]) -> Result<(), String> {
    if field.len() >= MAX_FIELD {
        return Err(format!("a field of {} bytes, which libselinux refuses", field.len()));
    }
    if !field.is_ascii() {
        return Err(
            "a byte that is not ASCII, which libselinux refuses; write `.` for each such byte".to_owned()
        );
    }
    Ok(())
}

/// `isspace` of the C locale.
#[inline]
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
