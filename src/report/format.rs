//! The form of what is printed.

/// How a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people at a terminal.
    #[default]
    Human,
    /// As `human`, without colours and drawings: for screen readers and mail.
    Plain,
    /// JSON, versioned: for programs.
    Json,
}
