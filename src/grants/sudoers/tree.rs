//! A whole sudoers policy: the main file and everything it includes, in the order in which sudo reads it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::ast::{Alias, AliasKind, Bytes, Defaults, Item, ItemKind, Member, Span, User, UserSpec};
use super::files::Files;
use super::parser::Parser;
use crate::report::{Origin, Source};

/// Whoever looks at an entry as it is read: the tree so far, the number of the file, the entry.
pub type Look<'a> = dyn FnMut(&Tree, usize, &Item) + 'a;

/// What reading needs to know about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The short host name, which `%h` in an include stands for.
    pub host: Vec<u8>,
    /// Whether sudo was built with AppArmor (Ubuntu's is, Debian 12's is not): else `APPARMOR_PROFILE=` is a mistake.
    pub apparmor: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Reading { host: b"localhost".to_vec(), apparmor: true }
    }
}

/// A sudoers policy as read. What could not be understood is in [`problems`](Tree::problems); the rest stands, as it
/// does for sudo.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Every file, in the order of opening. A file that is included twice is there twice.
    pub files: Vec<File>,
    /// Files that are there and that sudo does not read.
    pub ignored: Vec<Ignored>,
    /// All that is wrong, in the order of reading.
    pub problems: Vec<Problem>,
    /// Whether sudo refuses to work at all with this policy: then nobody may do anything.
    pub fatal: bool,
    /// The user specifications in the order in which sudo reads them: file and item number.
    pub(super) specs: Vec<(usize, usize)>,
    /// The Defaults lines likewise.
    pub(super) defaults: Vec<(usize, usize)>,
    /// The aliases that hold.
    pub(super) aliases: HashMap<(AliasKind, Bytes), PlacedAlias, RandomState>,
    /// Short host name, from [`Reading`].
    pub(super) reading: Reading,
}

/// An alias and the file that defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedAlias {
    /// Number of the file in [`Tree::files`].
    pub file: usize,
    /// The definition.
    pub alias: Arc<Alias>,
}

/// One file of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path that sudo opens.
    pub path: PathBuf,
    /// The text, as it is.
    pub text: Arc<Vec<u8>>,
    /// Its entries; they lie end to end and cover the text.
    pub items: Vec<Item>,
    /// The file and the include that led here; none for the main file.
    pub included_by: Option<(usize, Span)>,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Made when something is found.
    source: OnceLock<Arc<Source>>,
}

impl File {
    /// A file without entries yet. `keep`: it gets some.
    pub(super) fn new(
        path: PathBuf,
        text: super::files::FileText,
        included_by: Option<(usize, Span)>,
        keep: bool,
    ) -> File {
        // An entry for each line, and no more than the text is long.
        let entries = if keep { memchr::memchr_iter(b'\n', &text.bytes).count() + 1 } else { 0 };
        File {
            path,
            items: Vec::with_capacity(entries),
            source: OnceLock::new(),
            text: text.bytes,
            included_by,
            uid: text.uid,
            gid: text.gid,
            mode: text.mode,
        }
    }

    /// The text put together again from its entries. It is the text itself; edits stand on that.
    pub fn print(&self) -> Vec<u8> {
        self.items.iter().flat_map(|i| self.bytes(i.span)).copied().collect()
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.text.get(span.range()).unwrap_or(&[])
    }

    /// The text of a span, for people: bytes that are no UTF-8 become U+FFFD.
    pub fn show(&self, span: Span) -> String {
        String::from_utf8_lossy(self.bytes(span)).into_owned()
    }

    /// Line and column, from 1, of a byte offset; columns count bytes, as sudo's do.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let (line, start) = self.source().line_of(offset);
        (line, offset - start + 1)
    }

    /// The file as a text that a finding can cite. Bytes that are no UTF-8 are shown as `?`, one for one, so that
    /// offsets hold.
    pub fn source(&self) -> &Arc<Source> {
        // Once for all findings: each of thousands keeps it.
        self.source.get_or_init(|| {
            let text = &self.text;
            let shown = std::str::from_utf8(text).map_or_else(|_| with_marks(text), str::to_owned);
            Source::new(self.path.clone(), shown)
        })
    }

    /// A span as the place of a finding.
    pub fn origin(&self, span: Span) -> Origin {
        Origin::new(self.source(), span.range())
    }
}

/// A file that sudo passes over, though somebody put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub reason: IgnoredReason,
    /// Whom its user specifications name: what would hold if it were read.
    pub users: Vec<Member<User>>,
    /// Its text, if it could be read.
    pub text: Option<Arc<Vec<u8>>>,
}

/// Why sudo does not read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IgnoredReason {
    /// Its name holds a dot.
    Dot,
    /// Its name ends in `~`.
    Tilde,
    /// It does not belong to root: the owner it has.
    Owner(u32),
    /// Everybody may write to it.
    WorldWritable,
    /// A group other than root's may write to it: the group.
    GroupWritable(u32),
    /// It is a folder or something else that is no regular file.
    NotRegular,
    /// It cannot be read.
    Unreadable,
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IgnoredReason::Dot => f.write_str("its name holds a dot"),
            IgnoredReason::Tilde => f.write_str("its name ends in `~`"),
            IgnoredReason::Owner(uid) => write!(f, "it is owned by uid {uid}, not by root"),
            IgnoredReason::WorldWritable => f.write_str("everybody may write to it"),
            IgnoredReason::GroupWritable(gid) => write!(f, "it is writable by its group, gid {gid}"),
            IgnoredReason::NotRegular => f.write_str("it is not a regular file"),
            IgnoredReason::Unreadable => f.write_str("it cannot be read"),
        }
    }
}

/// The text, with `?` for each byte that is no UTF-8.
fn with_marks(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        shown.extend(chunk.invalid().iter().map(|_| '?'));
    }
    shown
}

/// Something that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Number of the file in [`Tree::files`]; `None` if it could not be opened.
    pub file: Option<usize>,
    /// The file's path.
    pub path: PathBuf,
    /// Where in the file.
    pub span: Span,
    /// Line, from 1 (0 if the file could not be opened).
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What kind of thing.
    pub kind: ProblemKind,
    /// What exactly: one line, lower case, no period. It may quote untrusted text.
    pub message: String,
}

/// What kind of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// sudo drops the entry.
    Syntax,
    /// An included file or folder cannot be used.
    Include,
    /// Owner or mode are such that sudo will not trust the file.
    Untrusted,
    /// An alias is defined twice.
    Alias,
    /// sudo takes it, visudo does not.
    VisudoRefuses,
    /// A Defaults parameter that sudo passes over and visudo refuses.
    Defaults,
    /// Nothing that stops sudo or visudo.
    Warning,
    /// sudo refuses to run for anybody.
    Fatal,
    /// The limits of this reader: more files or bytes than any real policy has.
    Limit,
}

impl Tree {
    /// Reads the policy that begins at `main`, usually `/etc/sudoers`.
    pub fn read(files: &dyn Files, main: &Path, reading: &Reading) -> Tree {
        Parser::new(files, reading.clone(), None).read(main)
    }

    /// Reads the policy as [`read`](Self::read) does, but keeps no entry: `look` sees each, in the order of reading, with the
    /// files and aliases so far. What comes back has files without [`items`](File::items), and all else: a policy of any
    /// length is looked at in little memory.
    pub fn look_through<'a>(
        files: &'a dyn Files,
        main: &Path,
        reading: &Reading,
        look: &'a mut Look<'a>,
    ) -> Tree {
        Parser::new(files, reading.clone(), Some(look)).read(main)
    }

    /// Looks at each entry that was kept, file by file.
    pub fn look(&self, look: &mut Look<'_>) {
        for (number, file) in self.files.iter().enumerate() {
            file.items.iter().for_each(|item| look(self, number, item));
        }
    }

    /// Reads one text by itself; its includes are not followed.
    pub fn read_text(path: &Path, text: &[u8], reading: &Reading) -> Tree {
        let files = Single { path: path.to_owned(), text: Arc::new(text.to_vec()) };
        Parser::new(&files, reading.clone(), None).alone().read(path)
    }

    /// The user specifications in the order of reading, each with the number of its file and its item.
    pub fn specs(&self) -> impl DoubleEndedIterator<Item = (usize, &Item, &UserSpec)> {
        self.specs.iter().filter_map(|&(file, item)| {
            let item = self.files.get(file)?.items.get(item)?;
            match &item.kind {
                ItemKind::UserSpec(spec) => Some((file, item, &**spec)),
                _ => None,
            }
        })
    }

    /// The Defaults lines in the order of reading, each with the number of its file and its item.
    pub fn defaults(&self) -> impl Iterator<Item = (usize, &Item, &Defaults)> {
        self.defaults.iter().filter_map(|&(file, item)| {
            let item = self.files.get(file)?.items.get(item)?;
            match &item.kind {
                ItemKind::Defaults(d) => Some((file, item, &**d)),
                _ => None,
            }
        })
    }

    /// The alias of this kind and name, if it is defined.
    pub fn alias(&self, kind: AliasKind, name: &[u8]) -> Option<&PlacedAlias> {
        // The map's key owns its bytes; a policy has few aliases, so the copy does not matter.
        self.aliases.get(&(kind, Bytes::from(name)))
    }

    /// Every alias that holds, in no order.
    pub fn aliases(&self) -> impl Iterator<Item = &PlacedAlias> {
        self.aliases.values()
    }

    /// The first file with this path.
    pub fn file(&self, path: &Path) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }
}

/// One text as the only file.
struct Single {
    path: PathBuf,
    text: Arc<Vec<u8>>,
}

impl Files for Single {
    fn read(&self, path: &Path) -> Result<super::files::FileText, super::files::FilesError> {
        if path == self.path {
            Ok(super::files::FileText { bytes: Arc::clone(&self.text), uid: 0, gid: 0, mode: 0o440 })
        } else {
            Err(super::files::FilesError::NotFound)
        }
    }

    fn list(&self, _: &Path) -> Result<super::files::Folder, super::files::FilesError> {
        Err(super::files::FilesError::NotFound)
    }
}
