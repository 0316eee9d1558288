//! One line of a plan: what differs, the findings behind it, and the changes that mend it.

use super::change::Change;
use crate::report::{Finding, Origin};

/// Something that differs from what was declared.
#[derive(Debug, Clone)]
pub struct Item {
    /// Index of the manifest.
    pub app: usize,
    /// Added, changed or removed.
    pub sign: Sign,
    /// What it is about, in one word: `user`, `path`, `acl`, `sudo` …
    pub area: &'static str,
    /// What it is: a name, a path.
    pub subject: String,
    /// The manifest line that wants it; none for what is undeclared.
    pub origin: Option<Origin>,
    /// Lines under it.
    pub details: Vec<String>,
    /// The findings that `audit` reports for it.
    pub findings: Vec<Finding>,
    /// What mends it.
    pub fix: Fix,
}

impl Item {
    /// Something that `apply` does not mend: named and placed as its finding is, which is told under it.
    pub fn attention(app: usize, area: &'static str, f: Finding, fix: Fix) -> Item {
        let mut details = vec![format!("is {}; should be {}", f.is, f.should)];
        details.extend(f.why.clone());
        details.push(f.remedy.clone());
        Item {
            app,
            sign: Sign::Attention,
            area,
            subject: f.place.clone(),
            origin: f.origin.clone(),
            details,
            findings: vec![f],
            fix,
        }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, subject: impl Into<String>) -> Item {
        Item { subject: subject.into(), ..self }
    }

    /// The same, marked as what no manifest declares.
    #[must_use]
    pub fn undeclared(self) -> Item {
        Item { origin: None, ..self }
    }
}

/// How a line of a plan is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// `+`.
    Add,
    /// `~`.
    Change,
    /// `-`.
    Remove,
    /// `!`: perms does not change it.
    Attention,
}

impl Sign {
    /// The mark.
    pub fn mark(self) -> char {
        match self {
            Sign::Add => '+',
            Sign::Change => '~',
            Sign::Remove => '-',
            Sign::Attention => '!',
        }
    }
}

/// What mends an item.
#[derive(Debug, Clone)]
pub enum Fix {
    /// These changes.
    Changes(Vec<Change>),
    /// A file's whole content, rewritten once for all items about it (`Plan::contents`).
    Content,
    /// A human: perms cannot without touching what is others'.
    ByHand,
    /// Nothing, and until it is mended `apply` changes nothing at all.
    Blocked,
}
