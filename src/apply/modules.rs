//! Policy modules: built from their sources by the tools of the host, all before the first change is made.

use std::path::{Path, PathBuf};

use super::lock::{STATE, state_folder};
use super::{ApplyError, only_the_host};
use crate::host::selinux::Selinux;
use crate::plan::{Change, ModuleBuild, ModuleImage, StoreEdit};
use crate::selinux::module::installed;
use crate::sys::write::set_label;
use crate::sys::{Root, run};

/// Where policycoreutils has what turns a `.pp` into CIL.
const PP: [&str; 2] = ["/usr/libexec/selinux/hll/pp", "/usr/lib/selinux/hll/pp"];

/// Builds the modules among the changes.
///
/// # Errors
/// What the tools say of the sources.
pub(super) fn build(root: &Root, changes: &mut [Change]) -> Result<(), ApplyError> {
    let edits =
        changes.iter_mut().filter_map(|c| if let Change::Store { edits } = c { Some(edits) } else { None });
    let mut mls = None;
    for edit in edits.flatten() {
        let StoreEdit::Module { name, after: Some(after), .. } = edit else { continue };
        only_the_host(root)?;
        let mls = *mls.get_or_insert_with(|| Selinux::observe(root).policy(root).is_ok_and(|p| p.mls()));
        let cil =
            cil(root, name, after, mls).map_err(|e| ApplyError { what: format!("module {name}"), ..e })?;
        after.built = Some(installed::with_heading(&after.app, &after.digest(), &cil));
    }
    Ok(())
}

/// The module in CIL.
fn cil(root: &Root, name: &str, module: &ModuleBuild, mls: bool) -> Result<String, ApplyError> {
    let source = |language: &str| module.sources.iter().find(|(l, _)| l == language).map(|(_, text)| text);
    if let Some(text) = source("cil") {
        return Ok(text.clone());
    }
    let work = Work::new(root)?;
    let te = work.write(&format!("{name}.te"), source("te").map_or("", String::as_str).as_bytes())?;
    let (compiled, package) = (work.path(&format!("{name}.mod")), work.path(&format!("{name}.pp")));
    let mut args = vec!["-m", "-o", &compiled, &te];
    if mls {
        args.insert(0, "-M");
    }
    tool("checkmodule", &args, b"", "checkpolicy")?;
    let mut args = vec!["-o", &package, "-m", &compiled];
    let contexts = match source("fc") {
        Some(fc) => Some(work.write(&format!("{name}.fc"), installed::plain_contexts(fc, mls).as_bytes())?),
        None => None,
    };
    if let Some(fc) = &contexts {
        args.extend(["-f", fc]);
    }
    tool("semodule_package", &args, b"", "semodule-utils (Debian) or policycoreutils")?;
    let pp = PP.into_iter().find(|p| Path::new(p).exists()).unwrap_or(PP[0]);
    let packed = std::fs::read(&package).map_err(|e| ApplyError::new(&package, e))?;
    let said = tool(pp, &[], &packed, "policycoreutils")?;
    String::from_utf8(said).map_err(|_| ApplyError::new(pp, "it gave bytes that are no text"))
}

/// Runs a tool; what it says if it fails, without the name of our folder.
fn tool(tool: &str, args: &[&str], input: &[u8], package: &str) -> Result<Vec<u8>, ApplyError> {
    let ended = run::run(tool, args, input)
        .map_err(|e| ApplyError::new("", e).remedy(format!("nothing was changed; install {package}")))?;
    if ended.success {
        return Ok(ended.stdout);
    }
    let said = ended.said();
    let folder = Path::new(args.last().copied().unwrap_or_default()).parent().map(Path::to_string_lossy);
    let said = folder.map_or(said.clone(), |f| said.replace(&format!("{f}/"), ""));
    Err(ApplyError::new("", format!("{tool} refuses it: {said}"))
        .remedy("nothing was changed; mend the source"))
}

/// A folder of our own, for as long as it lives.
pub(super) struct Work(tempfile::TempDir);

impl Work {
    /// Makes it.
    pub(super) fn new(root: &Root) -> Result<Work, ApplyError> {
        let error = |e: std::io::Error| ApplyError::new(format!("making a folder in {STATE}"), e);
        only_the_host(root)?;
        state_folder(root, Path::new(STATE)).map_err(error)?;
        // What a killed run left behind.
        for old in std::fs::read_dir(STATE).map_err(error)?.flatten() {
            if old.file_name().to_string_lossy().starts_with(BUILD) {
                let _ = std::fs::remove_dir_all(old.path());
            }
        }
        tempfile::Builder::new().prefix(BUILD).tempdir_in(STATE).map(Work).map_err(error)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Writes a file; its path.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<String, ApplyError> {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).map_err(|e| ApplyError::new(path.display().to_string(), e))?;
        Ok(path.display().to_string())
    }
}

const BUILD: &str = "build-";

/// Gives a file the type of semanage's own: it maps modules into memory, which it may not do with files of /var/lib.
pub(super) fn for_semanage(root: &Root, host: &Selinux, path: &str) -> Result<(), ApplyError> {
    let Ok(policy) = host.policy(root) else { return Ok(()) };
    if !host.active || policy.types().find(SEMANAGES_OWN).is_none() {
        return Ok(());
    }
    let level = if policy.mls() { ":s0" } else { "" };
    let label = format!("system_u:object_r:{SEMANAGES_OWN}{level}");
    let error = |e: &dyn ToString| ApplyError::new(format!("labelling {path}"), e.to_string());
    let (handle, _) = root.open_exact(Path::new(path)).map_err(|e| error(&e))?;
    set_label(&handle, Some(label.as_bytes())).map_err(|e| error(&e))
}

/// The type of semanage's temporary files, in the reference policy and in Fedora's.
const SEMANAGES_OWN: &str = "semanage_tmp_t";

/// The module of this name at our priority, as it is installed.
pub(super) fn there(root: &Root, host: &Selinux, name: &str) -> Option<ModuleImage> {
    let module = host.module(name, installed::PRIORITY)?;
    let (language, content) = module.content(root).ok()?;
    Some(ModuleImage { language, content })
}

/// Whether an installed module is what a build made.
pub(super) fn is_made(image: Option<&ModuleImage>, build: Option<&ModuleBuild>) -> bool {
    match (image, build) {
        (None, None) => true,
        (Some(image), Some(build)) => {
            installed::heading(&image.content).is_some_and(|h| h.whole && h.sources == build.digest())
        }
        _ => false,
    }
}
