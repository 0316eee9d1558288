//! The files of a policy as one stream of tokens: includes, include folders and their rules about names, owners and
//! modes.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ast::{Include, Item, ItemKind, Span};
use super::files::{FileText, Files, FilesError};
use super::lexer::{Cooked, Frame, Lexer};
use super::parser::Loc;
use super::token::Token;
use super::tree::{File, Ignored, IgnoredReason, Look, Problem, ProblemKind, Reading, Tree};

/// How deep includes may lie in each other; sudo's own limit.
const DEPTH: usize = 128;
/// How many files are opened at most: two includes of a file in itself would be 2^128 for sudo.
const FILES: usize = 4096;
/// How often one file is read at most: a file that includes itself is opened so often by sudo, too. One that does so twice would
/// be opened 2^128 times.
const TIMES: usize = DEPTH + 1;
/// How many bytes are read at most, files counted each time they are included.
const BYTES: usize = 64 << 20;
/// How many problems are told at most.
const PROBLEMS: usize = 10_000;

/// A file being read, and the files of its folder still to come.
struct Open {
    frame: Frame,
    more: VecDeque<PathBuf>,
}

/// Tokens of all files.
pub(super) struct Stream<'f> {
    files: &'f dyn Files,
    pub(super) lexer: Lexer,
    open: Vec<Open>,
    read: usize,
    /// How often each file was opened.
    times: HashMap<PathBuf, usize>,
    cache: HashMap<PathBuf, Result<FileText, FilesError>>,
    /// For each file of the tree, where its last entry ended.
    done: Vec<usize>,
    pub(super) tree: Tree,
    pub(super) follow: bool,
    /// Who looks at the entries; where there is somebody, they are not kept.
    look: Option<&'f mut Look<'f>>,
}

impl<'f> Stream<'f> {
    pub(super) fn new(files: &'f dyn Files, reading: Reading, look: Option<&'f mut Look<'f>>) -> Self {
        Stream {
            files,
            lexer: Lexer::new(reading.apparmor),
            open: Vec::new(),
            read: 0,
            times: HashMap::new(),
            cache: HashMap::new(),
            done: Vec::new(),
            tree: Tree { reading, ..Tree::default() },
            follow: true,
            look,
        }
    }

    /// Opens the main file. If it cannot be used, the policy cannot.
    pub(super) fn open_main(&mut self, path: &Path) {
        match self.load(path, None) {
            Ok(frame) => self.open.push(Open { frame, more: VecDeque::new() }),
            Err(why) => {
                self.tree.fatal = true;
                self.note(None, path, Span::default(), ProblemKind::Fatal, why.message());
            }
        }
    }

    /// The next token, from whichever file is at hand.
    #[inline]
    pub(super) fn next(&mut self) -> (Token, Loc) {
        loop {
            let Some(top) = self.open.last_mut() else {
                let file = self.tree.files.len().saturating_sub(1);
                let end = self.tree.files.get(file).map_or(0, |f| f.text.len());
                return (Token::End, Loc { file, span: Span::new(end, end) });
            };
            let file = top.frame.file;
            if let Some((token, span)) = self.lexer.next(&mut top.frame) {
                let loc = Loc { file, span };
                if self.lexer.sudoedit_with_path.take().is_some() {
                    let why = "sudoedit should not be specified with a path: sudo takes it, visudo does not";
                    self.problem(loc, ProblemKind::VisudoRefuses, why.to_owned());
                }
                return (token, loc);
            }
            let included_by = self.tree.files.get(file).and_then(|f| f.included_by);
            let mut more = self.open.pop().map(|o| o.more).unwrap_or_default();
            if let Some(frame) = self.load_first(&mut more, included_by) {
                self.open.push(Open { frame, more });
            }
        }
    }

    /// Files an entry of `file` that ended at `end` (`None`: at the end of everything). What it covers.
    pub(super) fn close_item(&mut self, file: usize, kind: ItemKind, end: Option<Loc>) -> Option<Span> {
        let stop = match end {
            Some(loc) if loc.file == file => loc.span.end,
            _ => self.tree.files.get(file).map_or(0, |f| f.text.len()),
        };
        let span = self.cover(file, stop, kind);
        if let Some(loc) = end.filter(|l| l.file != file) {
            self.cover(loc.file, loc.span.end, ItemKind::Tail);
        }
        span
    }

    /// An item from where the file's last one ended up to `stop`.
    fn cover(&mut self, file: usize, stop: usize, kind: ItemKind) -> Option<Span> {
        let done = self.done.get_mut(file)?;
        let span = Span::new(*done, stop);
        *done = stop;
        let item = Item { span, kind };
        if let Some(look) = &mut self.look {
            look(&self.tree, file, &item);
            return Some(span);
        }
        let number = self.tree.files.get(file)?.items.len();
        match item.kind {
            ItemKind::UserSpec(_) => self.tree.specs.push((file, number)),
            ItemKind::Defaults(_) => self.tree.defaults.push((file, number)),
            _ => {}
        }
        self.tree.files.get_mut(file)?.items.push(item);
        Some(span)
    }

    /// The tree, its files covered to their ends.
    pub(super) fn finish(mut self) -> Tree {
        for file in 0..self.tree.files.len() {
            let end = self.tree.files.get(file).map_or(0, |f| f.text.len());
            if self.done.get(file).is_some_and(|&d| d < end) {
                self.cover(file, end, ItemKind::Blank);
            }
        }
        self.tree
    }

    /// Reports something at a token.
    pub(super) fn problem(&mut self, at: Loc, kind: ProblemKind, message: String) {
        let path = self.tree.files.get(at.file).map(|f| f.path.clone()).unwrap_or_default();
        self.note(Some(at.file), &path, at.span, kind, message);
    }

    fn note(&mut self, file: Option<usize>, path: &Path, span: Span, kind: ProblemKind, message: String) {
        let (line, column) =
            file.and_then(|f| self.tree.files.get(f)).map_or((0, 0), |f| f.position(span.start));
        if self.tree.problems.len() >= PROBLEMS && kind != ProblemKind::Fatal {
            return;
        }
        self.tree.problems.push(Problem { file, path: path.to_owned(), span, line, column, kind, message });
    }

    /// Follows an include of `file`, the entry there.
    pub(super) fn follow_include(&mut self, file: usize, include: &Include, span: Span) {
        if !self.follow {
            return;
        }
        let at = Loc { file, span: include.path_span };
        let base = self.tree.files.get(file).map(|f| f.path.clone()).unwrap_or_default();
        let Some(path) = expand(&include.path, &base, &self.tree.reading.host) else {
            self.problem(at, ProblemKind::Include, "an include needs a path".to_owned());
            return;
        };
        if self.open.len() > DEPTH {
            let why = format!("`{}`: too many levels of includes", path.display());
            self.problem(at, ProblemKind::Include, why);
            return;
        }
        if include.dir {
            let mut more = self.folder(&path, at);
            if let Some(frame) = self.load_first(&mut more, Some((file, span))) {
                self.open.push(Open { frame, more });
            }
            return;
        }
        match self.load(&path, Some((file, span))) {
            Ok(frame) => self.open.push(Open { frame, more: VecDeque::new() }),
            Err(why) => {
                let message = format!("`{}`: {}", path.display(), why.message());
                self.problem(at, why.kind(), message);
                if let Some(reason) = why.reason() {
                    self.ignore(path, reason);
                }
            }
        }
    }

    /// The files of an include folder that sudo reads, sorted as sudo sorts them; the others are noted.
    fn folder(&mut self, dir: &Path, at: Loc) -> VecDeque<PathBuf> {
        let folder = match self.files.list(dir) {
            Ok(f) => f,
            Err(FilesError::NotFound) => return VecDeque::new(),
            Err(e) => {
                self.problem(at, ProblemKind::Include, format!("`{}`: {e}", dir.display()));
                return VecDeque::new();
            }
        };
        if let Some(reason) = untrusted(folder.uid, folder.gid, folder.mode) {
            let why = format!("`{}` and all in it is passed over: {reason}", dir.display());
            self.problem(at, ProblemKind::Untrusted, why);
            return VecDeque::new();
        }
        let mut names = folder.names;
        names.sort_unstable();
        let mut paths = VecDeque::new();
        for name in names {
            let path = dir.join(OsStr::from_bytes(&name));
            if name.last() == Some(&b'~') {
                self.ignore(path, IgnoredReason::Tilde);
            } else if name.contains(&b'.') {
                self.ignore(path, IgnoredReason::Dot);
            } else {
                paths.push_back(path);
            }
        }
        paths
    }

    /// Opens the first of `more` that can be opened; those that cannot are noted and passed over, as by sudo.
    fn load_first(&mut self, more: &mut VecDeque<PathBuf>, by: Option<(usize, Span)>) -> Option<Frame> {
        while let Some(path) = more.pop_front() {
            match self.load(&path, by) {
                Ok(frame) => return Some(frame),
                Err(why) => {
                    // A folder among the fragments is nothing to speak of.
                    if why.reason() != Some(IgnoredReason::NotRegular) {
                        let at = by.map_or(Loc { file: 0, span: Span::default() }, |(file, span)| Loc {
                            file,
                            span,
                        });
                        self.problem(at, why.kind(), format!("`{}`: {}", path.display(), why.message()));
                    }
                    if let Some(reason) = why.reason() {
                        self.ignore(path, reason);
                    }
                }
            }
        }
        None
    }

    /// Opens a file if sudo would.
    fn load(&mut self, path: &Path, included_by: Option<(usize, Span)>) -> Result<Frame, Refused> {
        let text = match self.fetch(path) {
            Ok(t) => t,
            Err(e) => return Err(Refused::Missing(e)),
        };
        if let Some(reason) = untrusted(text.uid, text.gid, text.mode) {
            return Err(Refused::Untrusted(reason));
        }
        self.read = self.read.saturating_add(text.bytes.len());
        let times = self.times.entry(path.to_owned()).or_default();
        *times += 1;
        if *times > TIMES || self.tree.files.len() >= FILES || self.read > BYTES {
            return Err(Refused::Limit);
        }
        let number = self.tree.files.len();
        let frame = Frame::new(number, Cooked::new(Arc::clone(&text.bytes)));
        let keep = self.look.is_none();
        self.tree.files.push(File::new(path.to_owned(), text, included_by, keep));
        self.done.push(0);
        Ok(frame)
    }

    fn fetch(&mut self, path: &Path) -> Result<FileText, FilesError> {
        let files = self.files;
        self.cache.entry(path.to_owned()).or_insert_with(|| files.read(path)).clone()
    }

    /// Notes a file that sudo passes over, and whom it names.
    fn ignore(&mut self, path: PathBuf, reason: IgnoredReason) {
        if self.tree.ignored.iter().any(|i| i.path == path) {
            return;
        }
        let text = self.fetch(&path).ok().map(|t| t.bytes);
        if text.is_none() && matches!(reason, IgnoredReason::Dot | IgnoredReason::Tilde) {
            // A folder, a dangling link: nobody takes it for a fragment.
            return;
        }
        let mut users = Vec::new();
        if let Some(text) = &text {
            let alone = Tree::read_text(&path, text, &self.tree.reading);
            users.extend(alone.specs().flat_map(|(_, _, s)| s.users.iter().cloned()));
        }
        self.tree.ignored.push(Ignored { path, reason, users, text });
    }
}

/// Why a file is not read.
enum Refused {
    Missing(FilesError),
    Untrusted(IgnoredReason),
    Limit,
}

impl Refused {
    fn kind(&self) -> ProblemKind {
        match self {
            Refused::Missing(_) => ProblemKind::Include,
            Refused::Untrusted(_) => ProblemKind::Untrusted,
            Refused::Limit => ProblemKind::Limit,
        }
    }

    fn message(&self) -> String {
        match self {
            Refused::Missing(e) => e.to_string(),
            Refused::Untrusted(r) => format!("sudo does not read it: {r}"),
            Refused::Limit => {
                format!("more than {FILES} files or {} MiB: includes that include each other?", BYTES >> 20)
            }
        }
    }

    fn reason(&self) -> Option<IgnoredReason> {
        match self {
            Refused::Missing(FilesError::WrongKind) => Some(IgnoredReason::NotRegular),
            Refused::Missing(FilesError::Other(_)) => Some(IgnoredReason::Unreadable),
            Refused::Untrusted(r) => Some(*r),
            Refused::Missing(FilesError::NotFound) | Refused::Limit => None,
        }
    }
}

/// sudo trusts only what root owns and no one else may write (sudo_secure_path in its sources).
fn untrusted(uid: u32, gid: u32, mode: u32) -> Option<IgnoredReason> {
    if uid != 0 {
        Some(IgnoredReason::Owner(uid))
    } else if mode & 0o002 != 0 {
        Some(IgnoredReason::WorldWritable)
    } else if mode & 0o020 != 0 && gid != 0 {
        Some(IgnoredReason::GroupWritable(gid))
    } else {
        None
    }
}

/// The path of an include: `%h` replaced, relative to the folder of the file that names it.
pub(super) fn expand(path: &[u8], base: &Path, host: &[u8]) -> Option<PathBuf> {
    let path = match path {
        [b'"', inner @ .., b'"'] => inner,
        p => p,
    };
    if path.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    let mut rest = path;
    while let Some((&c, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"%h") {
            out.extend_from_slice(host);
            rest = after;
        } else {
            out.push(c);
            rest = after;
        }
    }
    let path = PathBuf::from(OsStr::from_bytes(&out));
    if path.is_absolute() {
        return Some(path);
    }
    Some(base.parent().map_or(path.clone(), |dir| dir.join(&path)))
}
