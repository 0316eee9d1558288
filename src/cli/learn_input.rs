//! What `perms learn` and `perms why` read: logs, and which of their denials are wanted.

use std::io::{self, IsTerminal as _, Read, Seek as _, Write};
use std::path::PathBuf;

use super::moment::{Moment, moment};
use crate::denials::input::{self, Source};
use crate::denials::time::Clock;
use crate::denials::{self, Filter};
use crate::learn::text;
use crate::report::escape;

/// Logs, and which of their denials are wanted.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct InputArgs {
    /// Logs, folders of logs, or `-` for standard input.
    #[arg(value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// Only what happened at TIME or later: `06:50`, `yesterday`, `2026-11-21 06:50`, `2h` (ago), `@1795243565`, `boot`
    /// (the last one in the logs), `policy-load` (likewise).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Only what happened at TIME or before.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// The same as --since boot.
    #[arg(long, conflicts_with = "since")]
    pub boot: bool,
    /// Only processes in this domain (may be repeated, as all of these; any of the values does).
    #[arg(long, value_name = "TYPE")]
    pub domain: Vec<String>,
    /// Only objects of this type.
    #[arg(long, value_name = "TYPE")]
    pub target: Vec<String>,
    /// Only objects of this class.
    #[arg(long, value_name = "CLASS")]
    pub class: Vec<String>,
    /// Only this program: its path, its last name, or the name of the thread.
    #[arg(long, value_name = "PROGRAM")]
    pub program: Vec<String>,
    /// Only this object and what is below it.
    #[arg(long, value_name = "PATH")]
    pub path: Vec<String>,
    /// Only what was logged and let through.
    #[arg(long, conflicts_with = "enforced")]
    pub permissive: bool,
    /// Only what was stopped.
    #[arg(long)]
    pub enforced: bool,
    /// Show all lines that could not be read, not only the first ones.
    #[arg(long)]
    pub show_unread: bool,
    /// Go on reading as the logs grow, over rotations, and tell of each new denial.
    #[arg(long)]
    pub follow: bool,
    /// What wall clocks in logs are read by, if not this host's.
    #[arg(skip)]
    pub clock: Option<Clock>,
}

/// Most lines that are kept to be shown with --show-unread.
const ALL_UNREAD: usize = 1_000_000;

impl InputArgs {
    /// The clock.
    pub(super) fn clock(&self) -> Clock {
        self.clock.clone().unwrap_or_default()
    }

    /// How the logs are to be read, but for what only the logs tell.
    pub(super) fn options(&self) -> denials::Options {
        let clock = self.clock();
        let defaults = denials::Options::default();
        denials::Options {
            keep_set_aside: if self.show_unread { ALL_UNREAD } else { defaults.keep_set_aside },
            filter: Filter {
                since: self.since.as_ref().and_then(|m| m.millis(&clock, false)),
                until: self.until.as_ref().and_then(|m| m.millis(&clock, true)),
                domains: self.domain.clone(),
                targets: self.target.clone(),
                classes: self.class.clone(),
                programs: self.program.clone(),
                paths: self.path.clone(),
                permissive: match (self.permissive, self.enforced) {
                    (true, _) => Some(true),
                    (_, true) => Some(false),
                    _ => None,
                },
            },
            clock,
        }
    }

    /// Which moment of the logs themselves is asked for, if one is.
    fn mark(&self) -> Option<&'static str> {
        match self.since {
            Some(Moment::Boot) => Some("boot"),
            Some(Moment::PolicyLoad) => Some("policy load"),
            _ if self.boot => Some("boot"),
            _ => None,
        }
    }
}

/// Reads the logs for `learn` and `why`; `None` for wrong usage. The number is the exit status so far.
pub(super) fn read(
    args: &InputArgs,
    stdin: Option<Box<dyn Read + Send>>,
    err: &mut dyn Write,
) -> io::Result<Option<(denials::Log, u8)>> {
    if args.logs.is_empty() && stdin.is_none() && io::stdin().is_terminal() {
        writeln!(
            err,
            "error: no log was named; `-` reads standard input, /var/log/audit/audit.log is the usual one"
        )?;
        return Ok(None);
    }
    let (sources, mut errors) = input::sources(&args.logs);
    let mut stdin = stdin.unwrap_or_else(|| Box::new(io::stdin()));
    let mut options = args.options();
    if let Some(what) = args.mark() {
        // The moment is known only when all was read; so standard input is kept for the second time.
        let mut kept = None;
        if sources.contains(&Source::Stdin) {
            let mut copy = tempfile::tempfile()?;
            io::copy(&mut stdin, &mut copy)?;
            copy.rewind()?;
            kept = Some(copy);
        }
        let first = kept.as_ref().map(std::fs::File::try_clone).transpose()?;
        let log = denials::read(&sources, first.map(|f| Box::new(f) as _), options.clone());
        let seen = if what == "boot" { &log.changes.boots } else { &log.changes.policy_loads };
        let Some(last) = seen.last else {
            writeln!(
                err,
                "error: no {what} is in these logs; name older logs too, or a time (`--since '2h'`)"
            )?;
            return Ok(Some((denials::Log { errors, ..denials::Log::default() }, 1)));
        };
        options.filter.since = Some(last);
        if let Some(mut copy) = kept {
            copy.rewind()?;
            stdin = Box::new(copy);
        }
    }
    let mut log = denials::read(&sources, Some(stdin), options);
    errors.append(&mut log.errors);
    log.errors = errors;
    let status = say_errors(&log, err)?;
    Ok(Some((log, status)))
}

/// Says what could not be read; the exit status.
pub(super) fn say_errors(log: &denials::Log, err: &mut dyn Write) -> io::Result<u8> {
    let mut status = 0;
    for error in &log.errors {
        writeln!(err, "error: {}", escape(&error.to_string()))?;
        status = 1;
    }
    if text::nothing_understood(&log.tally) {
        writeln!(
            err,
            "error: nothing in the input could be understood: it holds no audit record and no log line that is known"
        )?;
        status = 1;
    }
    Ok(status)
}
