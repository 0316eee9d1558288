//! The forms in which everything is said.

/// How to write what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For reading on a terminal: the line itself, and where in it
    #[default]
    Human,
    /// For screen readers and grep: the same in sentences, without drawing
    Plain,
    /// For programs: one JSON object
    Json,
}
