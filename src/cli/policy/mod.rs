//! `perms policy …`: questions to an SELinux policy.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Common;
use super::error::CliError;
use super::ui::Ui;
use crate::report::Format;
use crate::report::escape::escape_path;
use crate::selinux::policy::{BooleanId, Origin, Policy, View};
use names::{boolean, class, conditioned_json, conditioned_text, permissions, ty, unknown, wrapped};
use what_if::WhatIf;

mod diff;
mod info;
mod listing;
mod names;
mod reach;
mod search;
mod what_if;
mod who_can;
mod why;

/// Ask the SELinux policy
///
/// The policy is the file that --policy names, else the running kernel's, else the newest of the type that
/// /etc/selinux/config configures (of --root, the latter only); the first line of the answer says which. A file may be
/// compressed by bzip2 or gzip.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// The policy to ask instead of the running kernel's
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) policy: Option<PathBuf>,
    /// The question
    #[command(subcommand)]
    pub(super) command: PolicyCommand,
}

/// The questions.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Show what the policy is and how much it holds
    Info,
    Search(search::SearchArgs),
    WhoCan(who_can::WhoCanArgs),
    Reach(reach::ReachArgs),
    Why(why::WhyArgs),
    Diff(diff::DiffArgs),
}

impl PolicyCommand {
    /// What the question supposes, where it may suppose something.
    fn what_if(&self) -> Option<&WhatIf> {
        match self {
            PolicyCommand::Search(args) => Some(&args.what_if),
            PolicyCommand::WhoCan(args) => Some(&args.what_if),
            PolicyCommand::Reach(args) => Some(&args.what_if),
            PolicyCommand::Why(args) => Some(&args.what_if),
            PolicyCommand::Info | PolicyCommand::Diff(_) => None,
        }
    }
}

/// Runs it: 0 where the question has an answer, were it an empty one.
pub(super) fn run(ui: &mut Ui, common: &Common, args: PolicyArgs) -> Result<u8, CliError> {
    if let PolicyCommand::Diff(args) = &args.command {
        // Two policies of its own, and none that would have to be found.
        return diff::run(args, ui.format == Format::Json, &mut ui.out);
    }
    let (origin, mut policy) = super::ground::policy(args.policy.as_deref(), &common.root)?;
    let what_if = args.command.what_if();
    let mut booleans = Vec::new();
    if let Some(what_if) = what_if {
        policy = what_if.policy(policy)?;
        booleans = what_if.booleans(&policy)?;
    }
    let asked = Asked { origin, policy, what_if, booleans, format: ui.format };
    match &args.command {
        PolicyCommand::Info => info::run(&asked, &mut ui.out)?,
        PolicyCommand::Search(args) => search::run(&asked, args, &mut ui.out)?,
        PolicyCommand::WhoCan(args) => who_can::run(&asked, args, &mut ui.out)?,
        PolicyCommand::Reach(args) => reach::run(&asked, args, &mut ui.out)?,
        PolicyCommand::Diff(_) => {}
        PolicyCommand::Why(args) => return why::run(&asked, args, &mut ui.out),
    }
    Ok(0)
}

/// Version of the JSON forms, which docs/schema/policy-*.schema.json describe.
const JSON_VERSION: u32 = 1;

fn write_json(out: &mut dyn Write, kind: &str, mut answer: serde_json::Value) -> Result<(), CliError> {
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("version".to_owned(), JSON_VERSION.into());
        answer.insert("kind".to_owned(), kind.into());
    }
    serde_json::to_writer_pretty(&mut *out, &answer).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// What every question is asked of.
struct Asked<'a> {
    origin: Origin,
    /// With what is supposed.
    policy: Policy,
    what_if: Option<&'a WhatIf>,
    /// Booleans in supposed states.
    booleans: Vec<(BooleanId, bool)>,
    format: Format,
}

impl Asked<'_> {
    /// The policy with its booleans as they are supposed to be.
    fn view(&self) -> View<'_> {
        let mut view = self.policy.view();
        for (boolean, state) in &self.booleans {
            view.set_boolean(*boolean, *state);
        }
        view
    }

    /// The lines that say which policy speaks, and what is supposed.
    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let path = escape_path(self.origin.path());
        writeln!(out, "policy {path} ({}), version {}", self.origin.reason(), self.policy.version())?;
        self.what_if.into_iter().flat_map(WhatIf::lines).try_for_each(|line| writeln!(out, "  {line}"))
    }

    /// The same for programs.
    fn head_json(&self) -> serde_json::Value {
        let path = self.origin.path().to_string_lossy();
        let mut head = serde_json::json!({ "path": path, "reason": self.origin.reason(), "version": self.policy.version() });
        if let (Some(head), Some(supposed)) = (head.as_object_mut(), self.what_if.and_then(WhatIf::json)) {
            head.insert("with".to_owned(), supposed);
        }
        head
    }

    /// Writes the answer of a question as docs/schema/KIND.schema.json says, with which policy speaks.
    fn json(&self, out: &mut dyn Write, kind: &str, answer: serde_json::Value) -> Result<(), CliError> {
        let mut answer = answer;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("policy".to_owned(), self.head_json());
        }
        write_json(out, kind, answer)
    }
}
