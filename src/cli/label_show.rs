//! How `perms label` shows a file.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::label::load::{InStore, Loaded, verdict};
use crate::report::escape::escape_path;
use crate::report::{Format, escape, escape_bytes};
use crate::selinux::contexts::{Answer, Comparison, Explanation, FileContexts, FileKind, Lookups, Spec};

/// Counts over a tree.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Files looked at.
    pub(crate) files: u64,
    /// No answer could be given.
    pub(crate) undecided: u64,
    /// No specification, or `<<none>>`.
    pub(crate) unspecified: u64,
    wrong: u64,
    missing: u64,
    type_only: u64,
    customized: u64,
    /// Files shown.
    pub(crate) shown: u64,
}

impl Tally {
    /// Counts how a file compares; whether that is wrong.
    pub(crate) fn count(&mut self, verdict: Option<Comparison>, full: bool) -> bool {
        let (counter, wrong) = match verdict {
            None => (&mut self.missing, true),
            Some(Comparison::Wrong) => (&mut self.wrong, true),
            Some(Comparison::TypeOnly) => (&mut self.type_only, full),
            Some(Comparison::Customized) => (&mut self.customized, full),
            Some(Comparison::Equal) => return false,
        };
        *counter += 1;
        wrong
    }

    /// Adds what another thread counted.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.files += other.files;
        self.undecided += other.undecided;
        self.unspecified += other.unspecified;
        self.wrong += other.wrong;
        self.missing += other.missing;
        self.type_only += other.type_only;
        self.customized += other.customized;
        self.shown += other.shown;
    }

    /// The last line.
    pub(crate) fn text(&self) -> String {
        let mut parts = vec![format!("{} file{}", self.files, if self.files == 1 { "" } else { "s" })];
        for (count, what) in [
            (self.wrong, "of a wrong type"),
            (self.missing, "without a label"),
            (self.type_only, "differ in user, role or level only"),
            (self.customized, "of a type chosen by an administrator"),
            (self.unspecified, "of which no specification speaks"),
            (self.undecided, "could not be decided"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if parts.len() == 1 {
            parts.push("all as expected".to_owned());
        }
        parts.join("; ")
    }

    /// The same as members of an object.
    pub(crate) fn json(&self) -> String {
        format!(
            "\"counts\":{{\"files\":{},\"wrong\":{},\"missing\":{},\"type_only\":{},\"customized\":{},\"unspecified\":{},\
             \"undecided\":{}}}",
            self.files,
            self.wrong,
            self.missing,
            self.type_only,
            self.customized,
            self.unspecified,
            self.undecided
        )
    }
}

/// A file with all that is known of its label.
pub(crate) struct Shown<'p, 'c> {
    path: &'p Path,
    kind: Option<FileKind>,
    /// The label on disk; an error where it could not be read.
    label: Result<Option<Vec<u8>>, String>,
    why: Explanation<'c>,
    /// What the policy store says, where it says something else or cannot be asked.
    in_store: Option<Result<String, String>>,
    verdict: Option<Comparison>,
}

impl<'p, 'c> Shown<'p, 'c> {
    /// A file that is there.
    pub(crate) fn of(
        path: &'p Path,
        kind: FileKind,
        label: Option<Vec<u8>>,
        lookups: &mut Lookups<'c>,
        loaded: &Loaded,
    ) -> Self {
        let why = lookups.explain(path.as_os_str().as_bytes(), Some(kind));
        let should = why.answer.context().unwrap_or_default().as_bytes();
        let verdict = verdict(label.as_deref(), should, &loaded.customizable);
        let in_store = in_store(path, Some(kind), &why.answer, loaded);
        Shown { path, kind: Some(kind), label: Ok(label), why, in_store, verdict }
    }

    /// A file that is not there, or cannot be reached.
    pub(crate) fn absent(path: &'p Path, error: &str, lookups: &mut Lookups<'c>, loaded: &Loaded) -> Self {
        let why = lookups.explain(path.as_os_str().as_bytes(), None);
        let in_store = in_store(path, None, &why.answer, loaded);
        Shown { path, kind: None, label: Err(error.to_owned()), why, in_store, verdict: None }
    }

    fn expected(&self) -> &str {
        answer_text(&self.why.answer)
    }

    /// What the policy store says, in words.
    fn stored(&self) -> String {
        match &self.in_store {
            None => "not there".to_owned(),
            Some(Err(why)) => format!("not known: {}", escape(why)),
            Some(Ok(context)) if context == self.expected() => "the same".to_owned(),
            Some(Ok(context)) => {
                format!("{}  (the next change of the policy makes this the expected one)", escape(context))
            }
        }
    }

    /// What the comparison comes to, in words.
    fn comparison(&self) -> &'static str {
        match (&self.why.answer, &self.label, self.verdict) {
            (Answer::Undecided(_), ..) => "cannot be told: the line that could decide is not understood",
            (Answer::Unspecified, ..) => "no specification speaks of it: it is left as it is",
            (Answer::LeaveAlone(_), ..) => "it is left as it is",
            (_, Err(_), _) => "not compared",
            (_, _, None) => "missing",
            (_, _, Some(Comparison::Equal)) => "as expected",
            (_, _, Some(Comparison::TypeOnly)) => "the type is as expected, user, role or level differ",
            (_, _, Some(Comparison::Customized)) => "another type, one that an administrator may choose",
            (_, _, Some(Comparison::Wrong)) => "wrong type",
        }
    }

    /// Why a specification was not asked.
    fn other_kind(&self, spec: &Spec) -> &'static str {
        let other = spec.kind.is_some() && self.kind.is_some() && spec.kind != self.kind;
        if other { "  (another kind of file)" } else { "" }
    }

    fn on_disk(&self) -> String {
        match &self.label {
            Ok(Some(label)) => escape_bytes(label),
            Ok(None) => "none".to_owned(),
            Err(error) => escape(error),
        }
    }

    /// In full, in the form asked for.
    pub(crate) fn write(&self, out: &mut dyn Write, format: Format, tally: &mut Tally) -> io::Result<()> {
        let first = tally.shown == 0;
        tally.shown += 1;
        match format {
            Format::Human => {
                if !first {
                    writeln!(out)?;
                }
                self.human(out)
            }
            Format::Plain => self.plain(out),
            Format::Json => write!(out, "{}{}", if first { "" } else { "," }, self.json()),
        }
    }

    /// On one line, in a list of what is wrong.
    pub(crate) fn line(&self) -> String {
        let path = escape_path(self.path);
        match self.why.answer {
            Answer::Undecided(_) => format!("{path}\t{}", self.comparison()),
            _ => format!("{path}\t{}\t-> {}", self.on_disk(), self.expected()),
        }
    }

    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let kind = self.kind.map(|k| format!("  ({})", word(k))).unwrap_or_default();
        writeln!(out, "{}{kind}", escape_path(self.path))?;
        writeln!(out, "  expected  {}", escape(self.expected()))?;
        writeln!(out, "  on disk   {}  ({})", self.on_disk(), self.comparison())?;
        if self.in_store.is_some() {
            writeln!(out, "  in store  {}", self.stored())?;
        }
        let deciding = self.why.answer.spec();
        if let Some(spec) = deciding {
            writeln!(out, "  decided   {}  {}", escape(&spec.place.to_string()), escape(&spec.to_string()))?;
        }
        let mut head = "matched";
        for spec in self.why.matching.iter().rev().filter(|s| Some(**s) != deciding) {
            let place = escape(&spec.place.to_string());
            writeln!(out, "  {head:<8}  {place}  {}{}", escape(&spec.to_string()), self.other_kind(spec))?;
            head = "";
        }
        for sub in &self.why.substitutions {
            writeln!(
                out,
                "  as if at  {}  ({} {} -> {})",
                escape_bytes(&self.why.path),
                escape(&sub.place.to_string()),
                escape_bytes(&sub.source),
                escape_bytes(&sub.target)
            )?;
        }
        Ok(())
    }

    fn plain(&self, out: &mut dyn Write) -> io::Result<()> {
        let path = escape_path(self.path);
        writeln!(out, "{path}: expected {}", escape(self.expected()))?;
        writeln!(out, "{path}: on disk {}: {}", self.on_disk(), self.comparison())?;
        if self.in_store.is_some() {
            writeln!(out, "{path}: in the policy store: {}", self.stored())?;
        }
        if let Some(spec) = self.why.answer.spec() {
            writeln!(
                out,
                "{path}: decided by {}: {}",
                escape(&spec.place.to_string()),
                escape(&spec.to_string())
            )?;
        }
        for spec in self.why.matching.iter().rev().filter(|s| Some(**s) != self.why.answer.spec()) {
            let place = escape(&spec.place.to_string());
            writeln!(
                out,
                "{path}: also matches {place}: {}{}",
                escape(&spec.to_string()),
                self.other_kind(spec)
            )?;
        }
        if !self.why.substitutions.is_empty() {
            writeln!(out, "{path}: looked up as {}", escape_bytes(&self.why.path))?;
        }
        Ok(())
    }

    /// As an object.
    pub(crate) fn json(&self) -> Value {
        let spec = |s: &Spec| {
            json!({
                "file": &*s.place.file, "line": s.place.line, "pattern": &*s.pattern,
                "kind": s.kind.map(word), "context": s.context.as_deref(),
            })
        };
        let text = crate::report::lossless::encode;
        json!({
            "path": text(self.path.as_os_str().as_bytes()),
            "kind": self.kind.map(word),
            "expected": self.why.answer.context(),
            "on_disk": self.label.as_ref().ok().and_then(|l| l.as_deref()).map(text),
            "in_store": self.in_store.as_ref().and_then(|s| s.as_ref().ok()),
            "error": self.label.as_ref().err(),
            "comparison": match (&self.why.answer, &self.label, self.verdict) {
                (Answer::Undecided(_), ..) => "undecided",
                (Answer::Unspecified | Answer::LeaveAlone(_), ..) => "unspecified",
                (_, Err(_), _) => "unread",
                (_, _, None) => "missing",
                (_, _, Some(Comparison::Equal)) => "equal",
                (_, _, Some(Comparison::TypeOnly)) => "type-only",
                (_, _, Some(Comparison::Customized)) => "customized",
                (_, _, Some(Comparison::Wrong)) => "wrong",
            },
            "decided_by": self.why.answer.spec().map(spec),
            "matching": self.why.matching.iter().map(|s| spec(s)).collect::<Vec<_>>(),
            "looked_up_as": text(&self.why.path),
        })
    }
}

/// What the policy store says of a file.
fn in_store(
    path: &Path,
    kind: Option<FileKind>,
    installed: &Answer<'_>,
    loaded: &Loaded,
) -> Option<Result<String, String>> {
    let path = path.as_os_str().as_bytes();
    let answer = |contexts: &FileContexts| answer_text(&contexts.lookups().lookup(path, kind)).to_owned();
    match &loaded.store {
        InStore::Absent => None,
        InStore::Unreadable(why) => Some(Err(why.clone())),
        InStore::Same => Some(Ok(answer_text(installed).to_owned())),
        InStore::Other(contexts) => Some(Ok(answer(contexts))),
    }
}

fn answer_text<'c>(answer: &Answer<'c>) -> &'c str {
    match answer {
        Answer::Context(spec) => spec.context.as_deref().unwrap_or_default(),
        Answer::LeaveAlone(_) | Answer::Unspecified => "<<none>>",
        Answer::Undecided(_) => "<<unknown>>",
    }
}

fn word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Link => "link",
        FileKind::Socket => "socket",
        FileKind::Pipe => "pipe",
        FileKind::Character => "character device",
        FileKind::Block => "block device",
    }
}
