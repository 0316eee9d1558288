//! Answers: a verdict, and every step that led to it.

use std::path::PathBuf;

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Yes.
    Yes,
    /// No.
    No,
    /// That cannot be known from here.
    Unknown,
}

impl Verdict {
    /// `yes`, `no`, `not knowable`.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Yes => "yes",
            Verdict::No => "no",
            Verdict::Unknown => "not knowable",
        }
    }

    /// Exit status: 0 yes, 4 no, 16 not knowable.
    pub const fn status(self) -> u8 {
        match self {
            Verdict::Yes => 0,
            Verdict::No => 4,
            Verdict::Unknown => 16,
        }
    }

    /// Yes or no.
    pub const fn of(yes: bool) -> Verdict {
        if yes { Verdict::Yes } else { Verdict::No }
    }

    /// What holds where both must: no before not knowable before yes.
    #[must_use]
    pub fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::No, _) | (_, Verdict::No) => Verdict::No,
            (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
            _ => Verdict::Yes,
        }
    }

    /// What holds where one of both is enough: yes before not knowable before no.
    #[must_use]
    pub fn or(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Yes, _) | (_, Verdict::Yes) => Verdict::Yes,
            (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
            _ => Verdict::No,
        }
    }
}

/// Which part of the system decides a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Whether the object is there and of the right kind.
    Object,
    /// Owner, mode, ACL, mask, capabilities.
    Access,
    /// The sticky bit of a folder.
    Sticky,
    /// `protected_symlinks`.
    Link,
    /// How the file system is mounted, and what it is.
    Mount,
    /// Immutable and append-only files.
    Attribute,
    /// The SELinux policy.
    Selinux,
    /// sudoers.
    Sudo,
    /// doas.conf.
    Doas,
}

impl Layer {
    /// Its word: `access`, `selinux`.
    pub const fn word(self) -> &'static str {
        match self {
            Layer::Object => "object",
            Layer::Access => "access",
            Layer::Sticky => "sticky",
            Layer::Link => "link",
            Layer::Mount => "mount",
            Layer::Attribute => "attribute",
            Layer::Selinux => "selinux",
            Layer::Sudo => "sudo",
            Layer::Doas => "doas",
        }
    }
}

/// How an object looks, for a line about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// As `ls -l` shows it: `drwxr-x---+`.
    pub mode: String,
    /// Owner, by name where it has one.
    pub owner: String,
    /// Owning group.
    pub group: String,
}

/// One thing that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who decides.
    pub layer: Layer,
    /// Of what: a path, or the place of a rule (`/etc/sudoers:27`).
    pub at: String,
    /// What was asked: `search`, `write`.
    pub what: String,
    /// The outcome.
    pub verdict: Verdict,
    /// What decides: `other::r-x`, `user:1000:rw- #effective:r--`, `allow httpd_t etc_t:file { … };`.
    pub by: String,
    /// The object, where it is one.
    pub object: Option<Object>,
    /// What else is to be known: how it could be otherwise, or what it takes.
    pub notes: Vec<String>,
}

impl Step {
    pub(super) fn new(
        layer: Layer,
        at: impl Into<String>,
        what: impl Into<String>,
        verdict: Verdict,
        by: impl Into<String>,
    ) -> Step {
        let (at, what, by) = (at.into(), what.into(), by.into());
        Step { layer, at, what, verdict, by, object: None, notes: Vec::new() }
    }

    #[must_use]
    pub(super) fn note(mut self, note: impl Into<String>) -> Step {
        self.notes.push(note.into());
        self
    }
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Yes, no, or not knowable.
    pub verdict: Verdict,
    /// In the order in which they are asked.
    pub steps: Vec<Step>,
    /// The path that was asked about, links resolved; `None` where that is no path.
    pub path: Option<PathBuf>,
}

impl Answer {
    /// All steps must hold.
    pub(super) fn all(steps: Vec<Step>, path: Option<PathBuf>) -> Answer {
        let verdict = steps.iter().fold(Verdict::Yes, |v, s| v.and(s.verdict));
        Answer { verdict, steps, path }
    }

    /// The step that decides: the first that denies, else the first that is not knowable, else the last.
    pub fn deciding(&self) -> Option<&Step> {
        let first = |v: Verdict| self.steps.iter().find(|s| s.verdict == v);
        match self.verdict {
            Verdict::Yes => self.steps.iter().rev().find(|s| s.layer == Layer::Access).or(self.steps.last()),
            v => first(v),
        }
    }
}
