//! `--follow`: each new denial is told of as it comes.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::learn_input::InputArgs;
use crate::denials::live::Live;
use crate::denials::{DenialKey, Log, input};
use crate::report::escape;

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(250);

/// Most distinct denials that are known to have been told.
const MOST_TOLD: usize = 1_000_000;

/// Follows the logs of `args` until they end (streams) or for ever (files). `tell` is called with all that was found so
/// far, whenever a denial or refusal came that was not there before: the log holds only what is new, the other log all.
///
/// # Errors
/// What `tell` gives.
pub(super) fn follow(
    args: &InputArgs,
    stdin: Option<Box<dyn Read + Send>>,
    err: &mut dyn Write,
    mut tell: impl FnMut(&Log, &Log) -> io::Result<()>,
) -> io::Result<u8> {
    let (sources, errors) = input::sources(&args.logs);
    for error in &errors {
        writeln!(err, "error: {}", escape(&error.to_string()))?;
    }
    let stdin = stdin.unwrap_or_else(|| Box::new(io::stdin()));
    let mut live = Live::new(&sources, Some(stdin), args.options());
    let mut told: BTreeSet<DenialKey> = BTreeSet::new();
    let mut all = Log::default();
    loop {
        let ended = live.ended();
        let (mut new, more) = live.poll();
        all.add(&new);
        new.denials.retain(|denial| {
            told.len() < MOST_TOLD && !told.contains(&denial.key) && told.insert(denial.key.clone())
        });
        if !new.denials.is_empty() || !new.refusals.is_empty() {
            tell(&new, &all)?;
        }
        if ended {
            return Ok(u8::from(!errors.is_empty()));
        }
        if !more {
            std::thread::sleep(PAUSE);
        }
    }
}
