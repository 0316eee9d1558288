//! A finding: one thing about a host that is not as declared.

use super::{Code, Origin};

/// What kind of difference a finding is; it decides the exit status of `plan` and `audit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Declared and not there.
    Missing,
    /// There, and not as declared.
    Wrong,
    /// There, and not declared.
    Excess,
    /// As declared, and dangerous.
    Risk,
    /// Could not be checked.
    Unchecked,
}

impl Class {
    /// The bit it adds to the exit status of `plan` and `audit` (a risk adds none).
    pub fn exit_bit(self) -> u8 {
        match self {
            Class::Missing | Class::Wrong => 4,
            Class::Excess => 8,
            Class::Risk => 0,
            Class::Unchecked => 16,
        }
    }

    /// The word it is shown by.
    pub fn word(self) -> &'static str {
        match self {
            Class::Missing => "missing",
            Class::Wrong => "wrong",
            Class::Excess => "excess",
            Class::Risk => "risk",
            Class::Unchecked => "unchecked",
        }
    }
}

/// One finding about a host. The texts may hold untrusted bytes; renderers escape them.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The stable code, explained by `perms explain CODE`.
    pub code: Code,
    /// The kind of difference.
    pub class: Class,
    /// The application whose manifest it concerns.
    pub app: String,
    /// Where it is on the host: a path, `FILE:LINE`, `user NAME`.
    pub place: String,
    /// What was declared, if a manifest line caused it.
    pub origin: Option<Origin>,
    /// What is there.
    pub is: String,
    /// What should be there.
    pub should: String,
    /// Why it matters, where that is not plain from `is` and `should`.
    pub why: Option<String>,
    /// Steps that lead there, in order, each with what makes it possible.
    pub steps: Vec<String>,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// A finding of an application (its name), to be filled in.
    pub fn new(code: Code, class: Class, app: impl Into<String>, place: impl Into<String>) -> Self {
        Finding {
            code,
            class,
            app: app.into(),
            place: place.into(),
            origin: None,
            is: String::new(),
            should: String::new(),
            why: None,
            steps: Vec::new(),
            remedy: String::new(),
        }
    }

    /// Says what is there and what should be.
    #[must_use]
    pub fn is(mut self, is: impl Into<String>, should: impl Into<String>) -> Self {
        self.is = is.into();
        self.should = should.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Says why it matters.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
}
