//! `perms try`: everything on a throw-away copy.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use super::ui::Ui;
use super::{load, plan, show_plan};
use crate::host::Host;
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::report::{Diagnostic, escape, findings};
use crate::sys::{Beside, Root};
use crate::{apply, audit, trial};

/// Plan, apply and audit on a throw-away copy of what the manifests name
///
/// Needs no root and changes nothing on this host. What the host does not have gets a stand-in, what an unprivileged user
/// cannot really do (give a file away, set a label) is kept beside the copy; both are said.
#[derive(Debug, Args)]
pub(super) struct TryArgs {
    /// Manifests, or folders of them
    #[arg(value_name = "MANIFEST", required = true)]
    pub(super) named: Vec<PathBuf>,
    /// Then break the copy in three ways, find each, and put it right
    #[arg(long)]
    pub(super) with_drift: bool,
    /// Leave the copy there, and say where
    #[arg(long)]
    pub(super) keep: bool,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, args: TryArgs) -> Result<u8, CliError> {
    let (manifests, warnings) = load::load_manifests(ui, &args.named)?;
    let folder = tempfile::Builder::new().prefix("perms-try-").tempdir()?;
    let made = trial::make(&Root::open(Path::new("/"))?, &manifests, folder.path())?;
    let mut session = Session { ui, root: made.root, manifests, warnings, step: 0 };
    session.heading(&format!("A copy of what the manifests name, in {}", folder.path().display()))?;
    for n in &made.notes {
        session.line(&format!("  {}", escape(n)))?;
    }
    let status = session.play(args.with_drift);
    if args.keep {
        let path = folder.keep();
        session.line(&format!("\nThe copy is kept in {}", path.display()))?;
    }
    status
}

struct Session<'a> {
    ui: &'a mut Ui,
    root: Root,
    manifests: Vec<Manifest>,
    warnings: Vec<Diagnostic>,
    step: usize,
}

impl Session<'_> {
    fn line(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.ui.out, "{text}")?;
        Ok(())
    }

    fn heading(&mut self, text: &str) -> Result<(), CliError> {
        self.step += 1;
        let gap = if self.step > 1 { "\n" } else { "" };
        let text = self.ui.paint.bold(&format!("{}. {text}", self.step));
        self.line(&format!("{gap}{text}"))
    }

    fn host(&self) -> Result<Host, CliError> {
        let beside: Option<std::sync::Arc<Beside>> = self.root.share_beside();
        Ok(Host::observe(Root::with_beside(self.root.path(), beside)?)?)
    }

    fn play(&mut self, with_drift: bool) -> Result<u8, CliError> {
        self.heading("The plan")?;
        let plan = Plan::make(self.manifests.clone(), &mut self.host()?, &|_| ());
        let warnings = std::mem::take(&mut self.warnings);
        plan::show(self.ui, &plan, &warnings)?;
        self.line(&format!("Plan: {}.", show_plan::counts(&plan)))?;
        self.heading("Applied to the copy")?;
        self.apply(&plan)?;
        self.heading("Audited")?;
        let mut well = self.audit(false)?;
        if with_drift {
            self.heading("Broken")?;
            for d in trial::make_drift(&self.root, &self.manifests)? {
                if d.done {
                    self.line(&format!("  $ {}\n    {}", escape(&d.command), escape(&d.what)))?;
                } else {
                    self.line(&format!("  not done: {}", escape(&d.what)))?;
                }
            }
            self.heading("Audited again")?;
            well &= !self.audit(true)?;
            self.heading("Put right")?;
            let plan = Plan::make(self.manifests.clone(), &mut self.host()?, &|_| ());
            plan::show(self.ui, &plan, &[])?;
            self.apply(&plan)?;
            self.heading("Audited at last")?;
            well &= self.audit(false)?;
        }
        Ok(u8::from(!well))
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), CliError> {
        let done = apply::apply(&self.root, plan)?;
        for c in &done.checked {
            self.line(&format!("  {}", escape(c)))?;
        }
        let good = self.ui.paint.good("done");
        self.line(&format!(
            "  {good} {}, journalled as run {}",
            super::apply::changed(done.changes),
            done.run
        ))
    }

    /// Audits the copy and shows what was found; says whether it is in accordance.
    fn audit(&mut self, expected: bool) -> Result<bool, CliError> {
        let report = audit::audit(
            self.manifests.clone(),
            false,
            &mut self.host()?,
            &audit::Accepted::default(),
            &|_| (),
        );
        let list = report.findings();
        findings::human(&mut *self.ui.out, &list, self.ui.paint)?;
        // What could not be checked is said above, and is no fault of the host.
        let in_accordance = report.status() & 12 == 0;
        let text = match (in_accordance, expected) {
            (true, _) => "  in accordance: `perms audit` prints nothing and exits with 0".to_owned(),
            (false, _) => format!("\n  `perms audit` exits with {}", report.status()),
        };
        let text = if in_accordance && report.status() != 0 {
            format!(
                "\n  in accordance as far as it can be checked here: `perms audit` exits with {}",
                report.status()
            )
        } else {
            text
        };
        self.line(&text)?;
        Ok(in_accordance)
    }
}
