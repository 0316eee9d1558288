//! `perms why`: the story of each denial.

use std::io::{self, Read, Write};

use super::ground::GroundArgs;
use super::learn_follow;
use super::learn_input::{self, InputArgs};
use crate::learn::text::Look;
use crate::learn::{self, Options, json, text, why};
use crate::manifest::Manifest;
use crate::report::Format;
use crate::report::style::Paint;

/// Explain each denial in audit logs
///
/// Who, what, how often, when, by which program, on which path, why, and what
/// next.
///
/// LOG is as for `perms learn`. A single record can be pasted on standard input.
///
/// Exit status: 0 when the logs were read (also if there is no denial in them,
/// which is said), 1 when nothing in the input could be understood or a log could
/// not be opened, 2 for wrong usage.
///
/// Examples:
///   ausearch -m avc -ts recent | perms why
///   perms why /var/log/audit/audit.log
///   perms why --follow --since now /var/log/audit/audit.log
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// What is judged by.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// Form of the report: that of the common option.
    #[arg(skip)]
    pub format: Format,
    /// Colours of the report, where it has any.
    #[arg(skip)]
    pub paint: Option<Paint>,
}

/// Runs the command. `stdin` stands for standard input; `None` is the process's own.
///
/// # Errors
/// Only what writing to `out` and `err` gives; everything else is reported there and in the exit status.
pub fn run(
    args: &Args,
    manifests: &[Manifest],
    stdin: Option<Box<dyn Read + Send>>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let look = Look { format: args.format, paint: args.paint.unwrap_or(Paint::PLAIN) };
    if args.input.follow {
        let Ok(ground) = super::ground::open(&args.ground, err)? else { return Ok(1) };
        return learn_follow::follow(&args.input, stdin, err, |new, _| {
            let lesson = learn::judge(new, manifests, &Options::default(), ground.as_ref());
            if args.format == Format::Json {
                serde_json::to_writer(&mut *out, &json::report("why", &lesson, &[]))?;
                writeln!(out)?;
            } else {
                stories(&lesson, look, out)?;
            }
            out.flush()
        });
    }
    let Some((log, status)) = learn_input::read(&args.input, stdin, err)? else {
        return Ok(2);
    };
    let Ok(ground) = super::ground::open(&args.ground, err)? else { return Ok(1) };
    let lesson = learn::judge(&log, manifests, &Options::default(), ground.as_ref());
    if args.format == Format::Json {
        serde_json::to_writer_pretty(&mut *out, &json::report("why", &lesson, &[]))?;
        writeln!(out)?;
        return Ok(status);
    }
    text::opening(out, &lesson, args.format)?;
    stories(&lesson, look, out)?;
    text::unread(out, &lesson, "perms why")?;
    if log.denials.is_empty() && status == 0 {
        writeln!(out, "No denial was found.")?;
    }
    Ok(status)
}

/// The story of each denial and refusal.
fn stories(lesson: &learn::Lesson<'_>, look: Look, out: &mut dyn Write) -> io::Result<()> {
    for group in &lesson.groups {
        for learned in &group.denials {
            why::denial(out, lesson, learned, look)?;
        }
        text::refusals(out, &group.refusals, look.format)?;
    }
    text::refusals(out, &lesson.other_refusals, look.format)
}
