//! The terminal: where output goes, whether it is coloured, questions, progress.

use std::io::{self, BufRead as _, IsTerminal as _, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::Format;
use crate::report::style::Paint;

/// Where a command writes, and how.
pub(super) struct Ui {
    /// Standard output.
    pub(super) out: Box<dyn Write>,
    /// Standard error.
    pub(super) err: Box<dyn Write>,
    /// The form of reports.
    pub(super) format: Format,
    /// Colour on standard output.
    pub(super) paint: Paint,
    /// Colour on standard error.
    pub(super) err_paint: Paint,
}

impl Ui {
    /// The process's own.
    pub(super) fn new(format: Format) -> Self {
        let wants = |choice: anstream::ColorChoice| {
            format == Format::Human && !matches!(choice, anstream::ColorChoice::Never)
        };
        let out = anstream::AutoStream::choice(&io::stdout());
        let err = anstream::AutoStream::choice(&io::stderr());
        Ui {
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            format,
            paint: Paint { colour: wants(out) },
            err_paint: Paint { colour: wants(err) },
        }
    }

    /// Asks a yes-or-no question; anything but yes is no. `None` if there is nobody to ask.
    pub(super) fn ask(&mut self, question: &str) -> io::Result<Option<bool>> {
        // Who does not see the question cannot answer it.
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(None);
        }
        write!(self.out, "{question} [y/N] ")?;
        self.out.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
    }

    /// A counter of things looked at, which shows itself on a terminal when the work takes over a second.
    pub(super) fn progress(&self, what: &'static str) -> Progress {
        if self.format != Format::Human || !io::stderr().is_terminal() {
            return Progress { bar: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg} ({per_sec})") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Progress { bar: Some((bar, std::time::Instant::now(), std::cell::Cell::new(false))) }
    }
}

/// See [`Ui::progress`].
pub(super) struct Progress {
    bar: Option<(ProgressBar, std::time::Instant, std::cell::Cell<bool>)>,
}

impl Progress {
    /// So many more.
    pub(super) fn add(&self, more: u64) {
        let Some((bar, since, shown)) = &self.bar else { return };
        bar.inc(more);
        if !shown.get() && (more > 1 || bar.position() % 1024 == 0) && since.elapsed().as_millis() > 1000 {
            shown.set(true);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((bar, _, _)) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
