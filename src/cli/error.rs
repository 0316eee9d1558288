//! An error that ends a command, with what to do about it.

use std::io;

use super::ui::Ui;
use crate::apply::ApplyError;
use crate::report::escape;
use crate::sys::ResolveError;

/// Why a command stopped.
#[derive(Debug)]
pub(super) struct CliError {
    message: String,
    hints: Vec<String>,
    broken_pipe: bool,
    said: bool,
}

impl CliError {
    /// An error with this message.
    pub(super) fn new(message: impl Into<String>) -> Self {
        CliError { message: message.into(), hints: Vec::new(), broken_pipe: false, said: false }
    }

    /// Everything has been said already; only the exit status is left.
    pub(super) fn said() -> Self {
        CliError { said: true, ..Self::new("") }
    }

    /// Adds what to do.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The reader of our output has gone away, which is no error of ours.
    pub(super) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// Writes it to standard error.
    pub(super) fn show(&self, ui: &mut Ui) {
        if self.said {
            return;
        }
        let head = ui.err_paint.bad("error");
        let _ = writeln!(ui.err, "{head}: {}", escape(&self.message));
        for h in &self.hints {
            let _ = writeln!(ui.err, "  {}", escape(h));
        }
    }
}

impl From<io::Error> for CliError {
    fn from(e: io::Error) -> Self {
        CliError { broken_pipe: e.kind() == io::ErrorKind::BrokenPipe, ..Self::new(e.to_string()) }
    }
}

impl From<ApplyError> for CliError {
    fn from(e: ApplyError) -> Self {
        let error = CliError::new(format!("{}: {}", e.what, e.why));
        match e.remedy {
            Some(r) => error.hint(r),
            None => error,
        }
    }
}

impl From<ResolveError> for CliError {
    fn from(e: ResolveError) -> Self {
        let denied = e.is_denied();
        let error = CliError::new(e.to_string());
        if denied { error.hint("run as root") } else { error }
    }
}
