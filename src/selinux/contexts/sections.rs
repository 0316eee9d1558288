//! Specifications for whoever asks about few paths: only those that could decide about such paths are compiled.
//!
//! A pattern mostly begins with a text that whatever it matches begins with, too (`/var/log/` of `/var/log/.*\.gz`). A
//! section is made of the specifications whose beginnings agree with a path's first two folders, when the first path
//! in these is asked about. It answers as all of them together do.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::database::{FileContexts, Files, Text};
use super::lookup::{Answer, Lookups};
use super::precedence::Precedence;
use super::spec::{self, FileKind, Line, Problem};
use super::subs::{self, Substitutions};

/// So many sections are made; paths elsewhere are asked of all specifications together.
const MOST: usize = 24;

/// The specifications of a host.
#[derive(Debug)]
pub struct Sections {
    precedence: Precedence,
    /// file_contexts, .homedirs and .local: what is taken from them is made of them when it is asked for.
    texts: [Option<Text<'static>>; 3],
    /// The lines that hold specifications, of one text after the other.
    lines: Vec<Begun>,
    local: Substitutions,
    dist: Substitutions,
    problems: Vec<Problem>,
    made: [OnceLock<(Box<[u8]>, FileContexts)>; MOST],
    whole: OnceLock<FileContexts>,
}

/// A line of a text.
#[derive(Debug, Clone, Copy)]
struct Begun {
    line: Line,
    /// How much of its pattern its paths surely begin with.
    len: u16,
    /// Which text.
    input: u8,
}

impl Sections {
    /// Reads the files.
    pub fn new(files: Files<'_>, precedence: Precedence) -> Sections {
        let (mut problems, mut of_subs, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        let [local, dist] = files.substitutions(precedence, &mut of_subs);
        let texts = [files.main, files.homedirs, files.local].map(|t| t.map(Text::into_owned));
        for (text, input) in texts.iter().zip(0..) {
            let Some(text) = text else { continue };
            spec::each(text, &mut problems, |line| {
                let len = u16::try_from(beginning(line.pattern(text)).len()).unwrap_or(0);
                lines.push(Begun { line, len, input });
            });
        }
        problems.append(&mut of_subs);
        let (made, whole) = Default::default();
        Sections { precedence, texts, lines, local, dist, problems, made, whole }
    }

    fn text(&self, input: u8) -> Option<&Text<'static>> {
        self.texts.get(usize::from(input)).and_then(Option::as_ref)
    }

    /// The name of the file that the first specification is in.
    pub fn first_file(&self) -> Option<Arc<str>> {
        self.lines.first().and_then(|begun| self.text(begun.input)).map(Text::name)
    }

    /// The contexts that specifications give, in the order of the files.
    pub fn contexts(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.lines.iter().filter_map(|begun| Some(begun.line.context(self.text(begun.input)?)));
        all.filter(|context| *context != spec::NONE)
    }

    /// All specifications.
    pub fn whole(&self) -> &FileContexts {
        self.whole.get_or_init(|| self.made_of(|_, _| true))
    }

    /// Somebody to ask.
    pub fn lookups(&self) -> SectionLookups<'_> {
        SectionLookups { sections: self, open: FxHashMap::default(), last: None }
    }

    /// Specifications that answer for paths in these folders as all of them do, and a number for them.
    fn about(&self, folders: &[u8]) -> (usize, &FileContexts) {
        for (number, slot) in self.made.iter().enumerate() {
            let (known, section) = slot.get_or_init(|| (folders.into(), self.section(folders)));
            if **known == *folders {
                return (number, section);
            }
        }
        (MOST, self.whole())
    }

    fn section(&self, folders: &[u8]) -> FileContexts {
        self.made_of(|pattern, len| {
            let len = len.min(folders.len());
            pattern.get(..len) == folders.get(..len)
        })
    }

    /// Those whose pattern is wanted, by it and by how much of it paths surely begin with.
    fn made_of(&self, wanted: impl Fn(&[u8], usize) -> bool) -> FileContexts {
        let specs = self.lines.iter().filter_map(|begun| {
            let text = self.text(begun.input)?;
            let is_wanted = wanted(begun.line.pattern(text), begun.len.into());
            is_wanted.then(|| begun.line.spec(text, begun.input))
        });
        let subs = [self.local.clone(), self.dist.clone()];
        FileContexts::of(specs.collect(), subs, self.precedence, self.problems.clone())
    }
}

/// A path's first two folders, by which its section is found.
fn folders(path: &[u8]) -> &[u8] {
    let (mut end, mut slashes) = (0, 0);
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        (end, slashes) = (at + 1, slashes + 1);
        if slashes == 3 {
            break;
        }
    }
    path.get(..end).unwrap_or_default()
}

/// Somebody to ask, who asks a path's section.
#[derive(Debug)]
pub struct SectionLookups<'s> {
    sections: &'s Sections,
    /// By section.
    open: FxHashMap<usize, Lookups<'s>>,
    /// The folders that were asked about last, and their section: the next path mostly lies there too.
    last: Option<(Vec<u8>, usize)>,
}

impl<'s> SectionLookups<'s> {
    /// As [`Lookups::lookup`].
    pub fn lookup(&mut self, path: &[u8], kind: Option<FileKind>) -> Answer<'s> {
        let sections = self.sections;
        let path = subs::prepare(path, &sections.local, &sections.dist, |_| ());
        let folders = folders(&path);
        let last = self.last.as_ref().filter(|(last, _)| *last == folders);
        if let Some(lookups) = last.and_then(|(_, number)| self.open.get_mut(number)) {
            return lookups.answer(&path, kind);
        }
        let (number, section) = sections.about(folders);
        self.last = Some((folders.to_vec(), number));
        self.open.entry(number).or_insert_with(|| section.lookups()).answer(&path, kind)
    }
}

/// What every path begins with that a pattern matches. Nothing for a pattern that might not be valid: that decides about
/// any path.
fn beginning(pattern: &[u8]) -> &[u8] {
    let mut len = pattern.iter().take_while(|b| is_literal(**b)).count();
    if !is_plain_after(pattern, len) {
        return b"";
    }
    // What follows may be about the last byte.
    if pattern.get(len).is_some_and(|b| matches!(b, b'?' | b'*' | b'+')) {
        len = len.saturating_sub(1);
    }
    pattern.get(..len).unwrap_or_default()
}

fn is_literal(byte: u8) -> bool {
    LITERAL.get(usize::from(byte)).copied().unwrap_or(false)
}

/// For each byte whether a pattern that has it means just it.
const LITERAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        let others = matches!(byte, b'/' | b'_' | b'-' | b',' | b':' | b'@' | b'%' | b'=' | b'~');
        if let Some((_, [slot, ..])) = table.split_at_mut_checked(byte as usize) {
            *slot = others || byte.is_ascii_alphanumeric();
        }
        byte += 1;
    }
    table
};

/// Whether a pattern is of the plain sort that all but a few are: literals, `.`, escaped punctuation, simple sets, groups
/// with alternatives, and `?`, `*` or `+` once after any of these.
///
/// `literal` is how many literals it begins with.
fn is_plain_after(pattern: &[u8], literal: usize) -> bool {
    let mut depth = 0usize;
    // Whether what is before can be repeated.
    let mut atom = literal > 0;
    let mut rest = pattern.get(literal..).unwrap_or_default();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'.' => atom = true,
            b'\\' => match tail {
                [b, tail @ ..] if b.is_ascii_punctuation() => (atom, rest) = (true, tail),
                _ => return false,
            },
            b'?' | b'*' | b'+' if atom => atom = false,
            b'(' if !tail.starts_with(b"?") && !tail.starts_with(b"*") && depth < 20 => {
                (atom, depth) = (false, depth + 1);
            }
            b'|' if depth > 0 => atom = false,
            b')' if depth > 0 => (atom, depth) = (true, depth - 1),
            b'[' => {
                let set = tail.strip_prefix(b"^").unwrap_or(tail);
                let simple = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'.');
                let len = set.iter().take_while(simple).count();
                // A range of digits or of letters is the only one taken.
                let ranged = [&b"0-9]"[..], b"a-z]", b"A-Z]"].iter().find_map(|r| set.strip_prefix(*r));
                match (ranged, set.get(len..)) {
                    (Some(tail), _) => rest = tail,
                    (None, Some([b']', tail @ ..])) if len > 0 => rest = tail,
                    _ => return false,
                }
                atom = true;
            }
            b if is_literal(*b) => {
                let more = tail.iter().take_while(|b| is_literal(**b)).count();
                (atom, rest) = (true, tail.get(more..).unwrap_or_default());
            }
            _ => return false,
        }
    }
    depth == 0 && pattern.len() < LONGEST
}

/// Longer patterns may be refused.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::Text;
    use super::super::pattern;
    use super::*;

    /// Each path's section answers as all specifications together, also where some are broken.
    #[test]
    fn a_section_answers_as_the_whole() {
        let lines = [
            "/.* u:r:default:s0",
            "/[^/]+ u:r:root:s0",
            "/srv(/.*)? u:r:srv:s0",
            "/srv/app(/.*)? u:r:app:s0",
            "/srv/app/x -- u:r:x:s0",
            "/srv/app/x\\.y -- u:r:xy:s0",
            "/srv/a.* <<none>>",
            "/srv/?b u:r:b:s0",
            "/var/(a|b)/c.* -d u:r:c:s0",
            "/var/a/c|/srv/q u:r:loose:s0",
            "/var/a/[0-9]+/x u:r:n:s0",
            "/var/a/x{1,2} u:r:count:s0",
            "/var/b/(?<=x)y u:r:behind:s0",
            "/(var|srv)/z u:r:z:s0",
            "/ u:r:top:s0",
        ];
        let mut dice = 7u32;
        let mut next = |n: usize| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 8) as usize % n
        };
        let mut asked = 0;
        for round in 0..40 {
            let mut list: Vec<&str> = lines.iter().copied().filter(|_| round == 0 || next(3) > 0).collect();
            if round % 2 == 1 {
                list.push("/var/broken( u:r:t:s0");
            }
            let text = list.join("\n");
            for precedence in [Precedence::Before3_8, Precedence::V3_8, Precedence::Since3_9] {
                let files = || Files {
                    main: Some(Text::new("main", text.as_bytes())),
                    subs: Some(Text::new("subs", b"/opt /srv/app\n/usr/var /var")),
                    ..Files::default()
                };
                let (sections, whole) =
                    (Sections::new(files(), precedence), FileContexts::new(files(), precedence));
                for _ in 0..60 {
                    let parts =
                        ["srv", "var", "app", "a", "b", "c", "x", "x.y", "z", "12", "q", "opt", "usr", "xx"];
                    let depth = next(5);
                    let path: String = (0..depth).map(|_| format!("/{}", parts[next(parts.len())])).collect();
                    let path = if path.is_empty() { "/".to_owned() } else { path };
                    let kind = [None, Some(FileKind::File), Some(FileKind::Directory)][next(3)];
                    let mine = sections.lookups().lookup(path.as_bytes(), kind);
                    assert_eq!(
                        mine,
                        whole.lookups().lookup(path.as_bytes(), kind),
                        "{path} {precedence:?}\n{text}"
                    );
                    asked += 1;
                }
            }
        }
        assert_eq!(asked, 40 * 3 * 60);
    }

    #[test]
    fn beginnings_of_patterns() {
        for (pattern, expected) in [
            ("/srv/app/.*", "/srv/app/"),
            ("/srv(/.*)?", "/srv"),
            ("/srv/?x", "/srv"),
            ("/srv/a|/b", ""),
            ("/srv/(a|b)/c", "/srv/"),
            ("/usr/lib(64)?/x\\.so", "/usr/lib"),
            ("/srv/x[0-9]+", "/srv/x"),
            ("/srv/x{2}", ""),
            ("/srv/x**", ""),
            ("/srv/(?i)x", ""),
            ("/srv/(", ""),
            ("/srv/x\\d", ""),
            ("[/]srv", ""),
        ] {
            assert_eq!(beginning(pattern.as_bytes()), expected.as_bytes(), "{pattern}");
        }
    }

    /// Nothing that counts as plain is refused, and what it matches begins as it is told.
    #[test]
    fn what_is_plain_is_taken_over() {
        let mut dice = 7u32;
        let mut plain = 0;
        for _ in 0..60_000 {
            let mut next = || {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (dice >> 8) as usize
            };
            let text: Vec<u8> = (0..next() % 12).map(|_| b"/ab.*?+()|[]^-09\\{$"[next() % 19]).collect();
            let text = [b"/", &*text].concat();
            if is_plain_after(&text, 0) {
                plain += 1;
                let read = pattern::read(&text).unwrap_or_else(|e| panic!("{}: {e:?}", text.escape_ascii()));
                let text = String::from_utf8(text).unwrap();
                assert!(!read.loose && text.as_bytes().starts_with(beginning(text.as_bytes())));
                let regex = regex::bytes::Regex::new(&format!("(?s-u)^(?:{})$", read.regex)).unwrap();
                for _ in 0..20 {
                    let path: Vec<u8> = (0..next() % 6).map(|_| b"/ab.{$"[next() % 6]).collect();
                    let path = [b"/", &*path].concat();
                    let begins = path.starts_with(beginning(text.as_bytes()));
                    assert!(begins || !regex.is_match(&path), "{text} {}", path.escape_ascii());
                }
            }
        }
        assert!(plain > 500, "{plain}");
    }
}
