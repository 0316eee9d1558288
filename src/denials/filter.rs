//! Which denials are wanted. What is left out is counted all the same.

use super::Context;
use super::event::Facts;

/// Conditions that a denial must meet, all of them; of several values of one, any. An empty filter leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not before this (milliseconds since 1970). A line that tells no time meets it.
    pub since: Option<u64>,
    /// Not after this.
    pub until: Option<u64>,
    /// Types of the process.
    pub domains: Vec<String>,
    /// Types of the object.
    pub targets: Vec<String>,
    /// Classes of the object.
    pub classes: Vec<String>,
    /// Programs: a path, or its last name, or the short name (`comm`).
    pub programs: Vec<String>,
    /// Objects: a path, and all below it.
    pub paths: Vec<String>,
    /// Only what was let through (true) or was stopped.
    pub permissive: Option<bool>,
}

impl Filter {
    /// Whether anything is asked.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// Whether contexts and class are wanted.
    pub(super) fn key(&self, source: &Context, target: &Context, class: &str) -> bool {
        let any = |list: &[String], value: &str| list.is_empty() || list.iter().any(|v| v == value);
        any(&self.domains, source.kind.as_str())
            && any(&self.targets, target.kind.as_str())
            && any(&self.classes, class)
    }

    /// Whether the time is wanted.
    pub(super) fn time(&self, time: Option<u64>) -> bool {
        time.is_none_or(|t| self.since.is_none_or(|s| t >= s) && self.until.is_none_or(|u| t <= u))
    }

    /// Whether it is wanted as let through or stopped.
    pub(super) fn mode(&self, permissive: bool) -> bool {
        self.permissive.is_none_or(|wanted| wanted == permissive)
    }

    /// Whether program or object matter.
    pub(super) fn asks_facts(&self) -> bool {
        !(self.programs.is_empty() && self.paths.is_empty())
    }

    /// Whether program and object are wanted. `comm` is the short name.
    pub(super) fn facts(&self, facts: &Facts<'_>) -> bool {
        self.program(facts) && self.path(facts)
    }

    fn program(&self, facts: &Facts<'_>) -> bool {
        if self.programs.is_empty() {
            return true;
        }
        let program = facts.program.as_deref().unwrap_or_default();
        let last = program.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let comm = facts.comm.as_deref().unwrap_or_default();
        self.programs.iter().map(String::as_bytes).any(|p| p == program || p == last || p == comm)
    }

    fn path(&self, facts: &Facts<'_>) -> bool {
        if self.paths.is_empty() {
            return true;
        }
        let below = |path: &[u8]| {
            self.paths.iter().any(|wanted| {
                let wanted = wanted.trim_end_matches('/').as_bytes();
                path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            })
        };
        [&facts.object, &facts.wanted].into_iter().flatten().any(|path| below(path))
    }
}
