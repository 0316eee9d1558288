//! The command line: one file a command, and what they share.

mod apply;
mod audit;
mod can;
pub mod check;
mod error;
mod explain;
mod ground;
mod import;
pub mod label;
mod label_show;
pub mod learn;
mod learn_follow;
pub mod learn_input;
mod learn_install;
mod learn_interfaces;
pub mod learn_summary;
mod load;
mod module_files;
pub mod moment;
mod plan;
mod policy;
mod rollback;
mod show_plan;
mod trial;
mod ui;
mod who_can;
pub mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::report::Format;
use error::CliError;
use ui::Ui;

/// Privileges as code: declare what an application may do, make the host so, prove that it is so and no wider
///
/// One manifest per application (TOML, /etc/perms.d/APP.toml) declares its account, its rights on files, the commands it
/// may run as somebody else, and its SELinux labels, booleans and ports.
///
/// Exit status: 0 in accordance; 1 an error stopped the work; 2 wrong usage; for plan and audit the sum of 4 (something is
/// missing or wrong), 8 (something is in excess) and 16 (something could not be checked).
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true, infer_subcommands = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Work on this tree instead of the running host; nothing outside it is read or written
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
    /// The folder of manifests [default: /etc/perms.d beneath the root]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) manifests: Option<PathBuf>,
    /// The form of reports
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(super) format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Audit(audit::AuditArgs),
    Rollback(rollback::RollbackArgs),
    Try(trial::TryArgs),
    Import(import::ImportArgs),
    Can(can::CanArgs),
    WhoCan(who_can::WhoCanArgs),
    Learn(learn::Args),
    Why(why::Args),
    Label(label::Args),
    Policy(policy::PolicyArgs),
    Explain(explain::ExplainArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut ui = Ui::new(cli.common.format);
    let result = match cli.command {
        Command::Check(args) => check::command(&mut ui, &cli.common, args),
        Command::Plan(args) => plan::run(&mut ui, &cli.common, args),
        Command::Apply(args) => apply::run(&mut ui, &cli.common, args),
        Command::Audit(args) => audit::run(&mut ui, &cli.common, args),
        Command::Rollback(args) => rollback::run(&mut ui, &cli.common, args),
        Command::Try(args) => trial::run(&mut ui, args),
        Command::Import(args) => import::run(&mut ui, &cli.common, &args),
        Command::Can(args) => can::run(&mut ui, &cli.common, &args),
        Command::WhoCan(args) => who_can::run(&mut ui, &cli.common, &args),
        Command::Learn(mut args) => {
            work_here_too();
            (args.format, args.paint) = (cli.common.format, Some(ui.paint));
            args.ground.root.clone_from(&cli.common.root);
            load::for_logs(&mut ui, &cli.common)
                .and_then(|m| Ok(learn::run(&args, &m, None, &mut *ui.out, &mut *ui.err)?))
        }
        Command::Why(mut args) => {
            work_here_too();
            (args.format, args.paint) = (cli.common.format, Some(ui.paint));
            args.ground.root.clone_from(&cli.common.root);
            load::for_logs(&mut ui, &cli.common)
                .and_then(|m| Ok(why::run(&args, &m, None, &mut *ui.out, &mut *ui.err)?))
        }
        Command::Policy(args) => policy::run(&mut ui, &cli.common, args),
        Command::Label(mut args) => {
            (args.format, args.root) = (cli.common.format, cli.common.root);
            let progress = ui.progress("files");
            label::run(&args, None, &mut *ui.out, &mut *ui.err, &|more| progress.add(more))
                .map_err(CliError::from)
        }
        Command::Explain(args) => explain::run(&mut ui, args),
    };
    let result = result.and_then(|status| {
        ui.out.flush()?;
        Ok(status)
    });
    match result {
        Ok(status) => ExitCode::from(status),
        // Whoever reads our output has gone away. Nothing to say, but it was no success: what it would have said is lost.
        Err(e) if e.is_broken_pipe() => ExitCode::from(1),
        Err(e) => {
            let _ = ui.out.flush();
            e.show(&mut ui);
            ExitCode::from(1)
        }
    }
}

/// Lets this thread take part in what is done side by side, in place of one more: the C library gives memory to its first
/// thread in larger pieces than to others, and there is one thread less that waits.
fn work_here_too() {
    // Where it cannot be had, others do the work.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    fn look(command: &clap::Command, path: &str) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.contains('\n') && about.len() <= 110, "{path}: what it does, in one line: {about}");
        // A text that keeps its line ends must fit, or it is broken a second time.
        let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        let lines: Vec<&str> = long.lines().collect();
        if lines.windows(2).any(|pair| pair.iter().all(|line| !line.is_empty())) {
            for line in lines {
                let most = if line.starts_with("  ") { 100 } else { 90 };
                assert!(line.chars().count() <= most, "{path}: {line}");
            }
        }
        for sub in command.get_subcommands() {
            look(sub, &format!("{path} {}", sub.get_name()));
        }
    }

    #[test]
    fn help_is_broken_into_lines_once() {
        look(&Cli::command(), "perms");
    }
}
