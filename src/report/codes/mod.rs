//! The codes of all findings and diagnostics, one file an area.
//!
//! A code never changes its meaning. Its page is `docs/findings/AREA/NAME.md`, which
//! `perms explain AREA::NAME` prints; a test holds that each page has a code and each code a page.

use std::fmt;

pub mod account;
pub mod acl;
pub mod doas;
pub mod excess;
pub mod label;
pub mod log;
pub mod manifest;
pub mod module;
pub mod path;
pub mod polkit;
pub mod root;
pub mod rule;
pub mod sudo;

/// How bad a diagnostic is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The text cannot be used.
    Error,
    /// The text can be used, and should not be as it is.
    Warning,
}

/// What is fixed about a code.
#[derive(PartialEq, Eq, Hash)]
pub struct CodeInfo {
    /// `area::name`.
    pub id: &'static str,
    /// Severity as a diagnostic.
    pub severity: Severity,
    /// One line.
    pub summary: &'static str,
    /// The page behind it, in Markdown.
    pub page: &'static str,
}

impl fmt::Debug for CodeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// A stable code.
pub type Code = &'static CodeInfo;

/// Defines the codes of one area: `CONST => severity, "name", "summary";` each with its page in docs/findings.
macro_rules! codes {
    ($area:literal; $($(#[$meta:meta])* $const:ident => $severity:ident, $name:literal, $summary:literal;)*) => {
        $(
            #[doc = $summary]
            $(#[$meta])*
            pub static $const: $crate::report::codes::CodeInfo = $crate::report::codes::CodeInfo {
                id: concat!($area, "::", $name),
                severity: $crate::report::codes::Severity::$severity,
                summary: $summary,
                page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings/", $area, "/", $name, ".md")),
            };
        )*
        /// All codes of this area.
        pub static ALL: &[$crate::report::codes::Code] = &[$(&$const),*];
    };
}
pub(crate) use codes;

/// Every code there is.
pub fn all() -> impl Iterator<Item = Code> {
    [
        account::ALL,
        acl::ALL,
        doas::ALL,
        excess::ALL,
        label::ALL,
        log::ALL,
        manifest::ALL,
        module::ALL,
        path::ALL,
        polkit::ALL,
        root::ALL,
        rule::ALL,
        sudo::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The code with this id.
pub fn find(id: &str) -> Option<Code> {
    all().find(|c| c.id == id)
}
