//! The forms that output comes in.

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people: aligned, coloured on a terminal
    #[default]
    Human,
    /// For screen readers and grep: one thing a line, no drawing, no colour
    Plain,
    /// For programs: stable and versioned
    Json,
}
