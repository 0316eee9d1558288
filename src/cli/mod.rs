//! Commands.

pub mod learn;
pub mod why;

/// Runs.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
