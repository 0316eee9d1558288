//! `perms learn --summary` and `--merge`: a fleet's denials, host by host, put together in one place.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::learn_input::{InputArgs, say_errors};
use crate::denials::{Log, input, summary};
use crate::report::escape;

/// Summaries, written and read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SummaryArgs {
    /// Write the distinct denials with counts and samples to FILE (`-`: standard output), and nothing else: what --merge
    /// reads.
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// The LOGs are summaries: go on from all of them, in any order, as if their logs were read together.
    #[arg(
        long,
        conflicts_with_all = ["since", "until", "boot", "program", "path", "permissive", "enforced", "follow"]
    )]
    pub merge: bool,
}

/// Reads summaries.
pub(super) fn read(
    args: &InputArgs,
    stdin: Option<Box<dyn Read + Send>>,
    err: &mut dyn Write,
) -> io::Result<Option<(Log, u8)>> {
    let (sources, mut failed) = input::sources(&args.logs);
    let options = args.options();
    let mut stdin = Some(stdin.unwrap_or_else(|| Box::new(io::stdin())));
    let mut logs = Vec::new();
    let mut status = 0;
    for source in &sources {
        let name = source.name();
        let reader: Box<dyn Read> = match source {
            input::Source::Stdin => match stdin.take() {
                Some(stdin) => stdin,
                None => continue,
            },
            input::Source::File(path) => match File::open(path) {
                Ok(file) => Box::new(file),
                Err(error) => {
                    failed.push(input::InputError::Open { path: path.clone(), error });
                    continue;
                }
            },
        };
        let (log, errors) = summary::read(&name, reader, options.keep_set_aside);
        for error in &errors {
            writeln!(err, "error: {}", escape(&error.to_string()))?;
            status = 1;
        }
        logs.push(log);
    }
    let mut log = Log::merged(logs, options.keep_set_aside);
    log.errors = failed;
    log.leave_out(&options.filter);
    let said = say_errors(&log, err)?;
    Ok(Some((log, status.max(said))))
}

/// Writes a summary of `log`.
pub(super) fn write(log: &Log, to: &Path, out: &mut dyn Write) -> io::Result<()> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if to == Path::new("-") {
        return summary::write(log, &host, out);
    }
    let put = |file: &mut File| {
        let mut buffered = io::BufWriter::new(file);
        summary::write(log, &host, &mut buffered)?;
        buffered.flush()
    };
    // A pipe or a device is written into: root who named /dev/null would put a file in its place for the whole host.
    if std::fs::metadata(to).is_ok_and(|there| !there.is_file()) {
        put(&mut File::options().write(true).open(to)?)?;
    } else {
        let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".perms-").tempfile_in(folder)?;
        put(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(to).map_err(|e| e.error)?;
    }
    writeln!(
        out,
        "{} lines, {} denials, {} distinct: written to {}",
        log.tally.lines,
        log.tally.denials,
        log.denials.len(),
        escape(&to.display().to_string())
    )
}
