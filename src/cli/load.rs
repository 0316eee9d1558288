//! Manifests and host, read for a command.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Common;
use super::error::CliError;
use super::ui::Ui;
use crate::apply;
use crate::host::Host;
use crate::manifest::{self, Manifest};
use crate::report::{Diagnostic, Format, Severity, escape, render_diagnostic};
use crate::sys::Root;

/// What a command works with.
pub(super) struct Loaded {
    /// Valid manifests.
    pub(super) manifests: Vec<Manifest>,
    /// What is risky in them.
    pub(super) warnings: Vec<Diagnostic>,
    /// The host.
    pub(super) host: Host,
}

/// Reads the manifests (`named`, else all of the folder) and looks at the host. Mistakes in manifests are shown, all of
/// them, and end the command.
pub(super) fn load(ui: &mut Ui, common: &Common, named: &[PathBuf]) -> Result<Loaded, CliError> {
    let root = root(common)?;
    let paths = if named.is_empty() { vec![folder(common)?] } else { named.to_vec() };
    let (manifests, warnings) = load_manifests(ui, &paths)?;
    if root.is_host() && rustix::process::geteuid().is_root() {
        for m in &manifests {
            trusted(&m.source.path)?;
            for source in m.selinux.iter().flat_map(|s| &s.modules).flat_map(|m| &m.sources) {
                trusted(&source.path)?;
            }
        }
    }
    // Who may not read the journal is not told of it, and is not the one who would go on.
    if let Ok(Some(run)) = apply::journal::cut_off(&root) {
        let digits = run.rsplit_once('-').map_or(run.as_str(), |(_, d)| d);
        writeln!(
            ui.err,
            "{}: run {} was cut off: perms rollback {} brings back what was there, perms apply goes on from here",
            ui.err_paint.change("warning"),
            escape(&run),
            escape(digits)
        )?;
    }
    let host = Host::observe(root)?;
    Ok(Loaded { manifests, warnings, host })
}

/// Whether there is any manifest in the usual folder.
pub(super) fn has_manifests(common: &Common) -> Result<bool, CliError> {
    let folder = folder(common)?;
    let toml = |e: std::io::Result<std::fs::DirEntry>| {
        e.is_ok_and(|e| e.path().extension().is_some_and(|x| x == "toml"))
    };
    Ok(common.manifests.is_some() || std::fs::read_dir(&folder).is_ok_and(|mut d| d.any(toml)))
}

/// Whether these are all the manifests of the host, so that what was written for any other application is left over. Those
/// of another folder are not: who keeps several has others in each.
pub(super) fn is_all(common: &Common, named: &[PathBuf]) -> bool {
    named.is_empty() && common.manifests.is_none()
}

/// The host, for what needs no manifests.
pub(super) fn without_manifests(common: &Common) -> Result<Loaded, CliError> {
    Ok(Loaded { manifests: Vec::new(), warnings: Vec::new(), host: Host::observe(root(common)?)? })
}

/// Refuses a file beside the manifests that others can write, as a manifest is refused.
pub(super) fn trusted_on_host(common: &Common, path: &Path) -> Result<(), CliError> {
    if root(common)?.is_host() && rustix::process::geteuid().is_root() { trusted(path) } else { Ok(()) }
}

/// Who can write a manifest is root by way of it: on the running host only root may be able to, the file and every folder
/// above it.
fn trusted(manifest: &Path) -> Result<(), CliError> {
    let path = std::fs::canonicalize(manifest)?;
    for p in path.ancestors() {
        let meta = std::fs::metadata(p)?;
        let sticky_folder = meta.is_dir() && meta.mode() & 0o1000 != 0;
        let who = match (meta.uid(), meta.mode() & 0o022, meta.gid()) {
            (uid, _, _) if uid != 0 => format!("it belongs to uid {uid}"),
            (_, mode, gid) if mode & 0o020 != 0 && gid != 0 && !sticky_folder => {
                format!("gid {gid} may write it")
            }
            (_, mode, _) if mode & 0o002 != 0 && !sticky_folder => "everybody may write it".to_owned(),
            _ => continue,
        };
        return Err(CliError::new(format!("{} is not to be trusted: {} {who}", manifest.display(), p.display()))
            .hint("whoever writes a manifest decides what root does: chown root, chmod go-w; perms check and perms try work as they are"));
    }
    Ok(())
}

/// The tree that a command works on.
pub(super) fn root(common: &Common) -> Result<Root, CliError> {
    Root::open(&common.root).map_err(|e| CliError::new(format!("--root {}: {e}", common.root.display())))
}

/// The folder of manifests.
pub(super) fn folder(common: &Common) -> Result<PathBuf, CliError> {
    match &common.manifests {
        Some(folder) => Ok(folder.clone()),
        None => Ok(root(common)?.outside(Path::new("/etc/perms.d"))),
    }
}

/// Reads manifests; mistakes are shown and end the command.
pub(super) fn load_manifests(
    ui: &mut Ui,
    paths: &[PathBuf],
) -> Result<(Vec<Manifest>, Vec<Diagnostic>), CliError> {
    let loaded = manifest::load_all(paths);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        loaded.diagnostics.into_iter().partition(|d| d.severity == Severity::Error);
    for d in &errors {
        let text = match ui.format {
            Format::Human => render_diagnostic::human(d, ui.err_paint.colour),
            _ => render_diagnostic::plain(d),
        };
        writeln!(ui.err, "{text}")?;
    }
    for (path, e) in &loaded.unreadable {
        let error = CliError::new(format!("{}: {}", path.display(), super::check::reason(e)));
        match e.kind() {
            std::io::ErrorKind::NotFound => error.hint("name the manifests, or put them there").show(ui),
            _ => error.show(ui),
        }
    }
    if !errors.is_empty() || !loaded.unreadable.is_empty() {
        if !errors.is_empty() {
            let n = errors.len();
            writeln!(ui.err, "{n} error{}. Nothing was changed.", if n == 1 { "" } else { "s" })?;
        }
        return Err(CliError::said());
    }
    if loaded.manifests.is_empty() {
        let list: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        return Err(CliError::new(format!("no manifest in {}", list.join(", ")))
            .hint("a manifest is a file NAME.toml; perms explain manifest tells how to write one"));
    }
    Ok((loaded.manifests, warnings))
}

/// The manifests that tell which denials belong to which application: those that are asked for, else the usual ones
/// where they are there. Logs are read on other hosts too, which have none.
pub(super) fn for_logs(ui: &mut Ui, common: &Common) -> Result<Vec<Manifest>, CliError> {
    let folder = folder(common)?;
    if common.manifests.is_none() && std::fs::read_dir(&folder).map_or(true, |mut d| d.next().is_none()) {
        return Ok(Vec::new());
    }
    Ok(load_manifests(ui, &[folder])?.0)
}
