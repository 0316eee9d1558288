//! The policy and the specifications that a command judges by, found and read: named, the running kernel's, the store's.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::CliError;
use super::label::load;
use crate::learn::files::Tree;
use crate::learn::{Ground, Labels};
use crate::report::escape;
use crate::report::escape::escape_path;
use crate::selinux::contexts::Sections;
use crate::selinux::policy::{Origin, Policy, locate};
use crate::sys::Root;

/// What a command judges by.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct GroundArgs {
    /// Judge by this policy instead of the running kernel's (else the newest of the store).
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Judge without a policy, by the log alone.
    #[arg(long, conflicts_with = "policy")]
    pub no_policy: bool,
    /// Specifications in this file and in those next to it (.homedirs, .local, .subs, .subs_dist), instead of those of
    /// the store or beside the policy.
    #[arg(long, value_name = "FILE")]
    pub contexts: Option<PathBuf>,
    /// Count this host's files by their labels, to say what a rule would open: always; never; or (auto) for some seconds
    /// and only where the policy is this host's own.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub count_files: CountFiles,
    /// The tree: that of the common option; empty for the host.
    #[arg(skip)]
    pub root: PathBuf,
}

/// When files are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CountFiles {
    /// For some seconds, where the policy is this host's own.
    #[default]
    Auto,
    /// All of them, however long it takes.
    Always,
    /// Not at all: specifications are counted in their place.
    Never,
}

/// How long files are counted unless more is asked for: about a million with a warm cache.
const AUTO: Duration = Duration::from_secs(4);

/// Finds the policy and reads it.
pub(super) fn policy(named: Option<&Path>, root: &Path) -> Result<(Origin, Policy), CliError> {
    let root = (!is_host(root)).then_some(root);
    let origin = locate(named, root).map_err(|e| CliError::new(e.to_string()))?;
    let policy = Policy::open(origin.path()).map_err(|e| CliError::new(e.to_string()))?;
    Ok((origin, policy))
}

fn is_host(root: &Path) -> bool {
    root.as_os_str().is_empty() || root == Path::new("/")
}

/// What there is to judge by: `Ok(None)` where no policy is asked for or found.
///
/// # Errors
/// A policy that was named cannot be read: its text was written to `err`.
pub(super) fn open(args: &GroundArgs, err: &mut dyn Write) -> io::Result<Result<Option<Ground>, ()>> {
    if args.no_policy {
        return Ok(Ok(None));
    }
    let root = (!is_host(&args.root)).then_some(&*args.root);
    let origin = match locate(args.policy.as_deref(), root) {
        Ok(origin) => origin,
        // Logs are read on hosts without SELinux too.
        Err(_) => return Ok(Ok(None)),
    };
    let policy = match Policy::open(origin.path()) {
        Ok(policy) => policy,
        Err(error) => {
            writeln!(err, "error: {}", escape(&error.to_string()))?;
            if args.policy.is_some() {
                return Ok(Err(()));
            }
            writeln!(err, "going on without a policy; --policy names another")?;
            return Ok(Ok(None));
        }
    };
    let (path, reason) = (origin.path().display().to_string(), origin.reason());
    let own = !matches!(origin, Origin::Named(_));
    let (contexts, folder) = (args.contexts.clone(), args.root.clone());
    let labels = move || labels(&origin, contexts.as_deref(), &folder);
    let mut ground = Ground::new(policy, path, reason, Box::new(labels));
    let most = match args.count_files {
        CountFiles::Never => return Ok(Ok(Some(ground))),
        CountFiles::Auto if !own => return Ok(Ok(Some(ground))),
        CountFiles::Auto => Some(AUTO),
        CountFiles::Always => None,
    };
    let tree = root.unwrap_or(Path::new("/"));
    ground.tree = Root::open(tree).ok().and_then(|root| Tree::labelled(root, most));
    if ground.tree.is_none() && args.count_files == CountFiles::Always {
        writeln!(err, "warning: no file is counted: {} has no label that can be read", escape_path(tree))?;
    }
    Ok(Ok(Some(ground)))
}

/// Reads the specifications: those that were named, else those that belong to the policy.
fn labels(origin: &Origin, named: Option<&Path>, root: &Path) -> Result<Labels, String> {
    let beside = || match origin {
        Origin::Named(path) => beside(path).map(Some),
        Origin::Kernel(_) | Origin::Store(_) => Ok(None),
    };
    let file = match named {
        Some(named) => Some(named.to_owned()),
        None => beside()?,
    };
    let root = if root.as_os_str().is_empty() { Path::new("/") } else { root };
    let root = Root::open(root).map_err(|e| e.to_string())?;
    let loaded = load::load_as(&root, file.as_deref(), None, Sections::new).map_err(|e| e.to_string())?;
    let name = match &file {
        Some(file) => file.display().to_string(),
        None => loaded.contexts.first_file().map_or_else(|| "?".to_owned(), |name| name.to_string()),
    };
    let customizable = loaded.customizable.iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect();
    Ok(Labels::new(loaded.contexts, customizable, name))
}

/// The specifications that lie with a policy file: next to it, or where a store has them.
fn beside(policy: &Path) -> Result<PathBuf, String> {
    let folder = policy.parent().unwrap_or(Path::new(""));
    let above = folder.parent().filter(|_| folder.file_name().is_some());
    let mut candidates = vec![folder.join("file_contexts")];
    // As it is written, where that leads there: the same without `..` in what is shown.
    candidates.extend(above.map(|a| a.join("contexts/files/file_contexts")));
    candidates.push(folder.join("../contexts/files/file_contexts"));
    candidates
        .into_iter()
        .find(|c| c.is_file())
        .ok_or_else(|| "none lies beside the policy; --contexts names a file".to_owned())
}
