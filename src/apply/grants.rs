//! sudoers and doas.conf, checked as a whole off to the side before they are touched, and again after.
//!
//! A mistake in either locks everybody out, so nothing is put in place that the host's own visudo and doas have not
//! read, and nobody who could run everything as root before may be unable to after.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ApplyError;
use crate::grants::sudoers::check_copy::rewritten_for_check;
use crate::grants::sudoers::survivors::full_root_identities;
use crate::grants::sudoers::{FileText, ProblemKind, Reading, Tree};
use crate::host::grants::{DOAS_CONF, HostFiles, SUDOERS};
use crate::host::polkit::RULES_D;
use crate::plan::{Change, Image, Plan};
use crate::sys::write::{Looks, make_directories, replace};
use crate::sys::{Root, run};

/// What must still hold after the changes.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// `visudo -c` was content with the host as it was.
    visudo_content: bool,
    /// sudoers is touched at all.
    sudoers: bool,
}

/// Checks what the plan makes of sudoers and doas.conf. Says what was checked.
pub(super) fn check(root: &Root, plan: &Plan) -> Result<(Vec<String>, Before), ApplyError> {
    let mut said = Vec::new();
    let mut before = Before::default();
    let contents: Vec<(&Path, Option<&Image>)> = plan
        .contents
        .values()
        .filter_map(|c| match c {
            // polkit has no tool that reads rules without using them; it leaves out a file that it cannot read.
            Change::Content { path, .. } if path.starts_with(RULES_D) => None,
            Change::Content { path, after, .. } => Some((path.as_path(), after.as_ref())),
            _ => None,
        })
        .collect();
    let doas_conf = root.resolve(Path::new(DOAS_CONF)).map_or_else(|_| PathBuf::from(DOAS_CONF), |r| r.path);
    let (doas, sudo): (Vec<_>, Vec<_>) = contents.into_iter().partition(|(path, _)| *path == doas_conf);
    if !sudo.is_empty() {
        before.sudoers = true;
        said.push(check_sudoers(root, plan, &sudo)?);
        before.visudo_content = root.is_host() && visudo(&["-c"]).is_ok();
    }
    if let Some((_, Some(image))) = doas.first() {
        said.push(check_doas(&image.content)?);
    }
    Ok((said, before))
}

/// The same sudoers, with visudo, when it is in place.
pub(super) fn check_after(root: &Root, before: &Before) -> Result<(), ApplyError> {
    if before.sudoers && before.visudo_content && root.is_host() {
        visudo(&["-c"]).map_err(|why| ApplyError::new("checking sudoers in place", why))?;
    }
    Ok(())
}

fn check_sudoers(
    root: &Root,
    plan: &Plan,
    changed: &[(&Path, Option<&Image>)],
) -> Result<String, ApplyError> {
    let what = "checking sudoers in a copy";
    let reading = Reading { apparmor: false, ..Reading::default() };
    let now = Tree::read(&HostFiles::new(root), Path::new(SUDOERS), &reading);
    let mut files = HostFiles::new(root);
    for (path, image) in changed {
        files.instead(path.to_path_buf(), image.map(|i| FileText::trusted(i.content.clone())));
    }
    let then = Tree::read(&files, Path::new(SUDOERS), &reading);
    let wrong: Vec<String> = then
        .problems
        .iter()
        .filter(|p| !matches!(p.kind, ProblemKind::VisudoRefuses | ProblemKind::Untrusted))
        .map(|p| format!("{}:{}:{}: {}", p.path.display(), p.line, p.column, p.message))
        .collect();
    if !wrong.is_empty() {
        return Err(
            ApplyError::new(what, wrong.join("; ")).remedy("nothing was changed; mend it with visudo")
        );
    }
    let who = |t: &Tree| full_root_identities(t).into_iter().map(|f| f.who).collect::<BTreeSet<_>>();
    // A declared account loses what its manifest does not declare: that is what was asked for. Unless it is the account
    // that asks: whoever takes their own way back must do so by hand.
    let asking = std::env::var("SUDO_USER").ok().filter(|_| root.is_host());
    let declared =
        |w: &str| plan.manifests.iter().any(|m| m.app.user.name.value == w) && asking.as_deref() != Some(w);
    let lost: Vec<String> = who(&now).difference(&who(&then)).filter(|w| !declared(w)).cloned().collect();
    if !lost.is_empty() {
        return Err(ApplyError::new(
            what,
            format!("{} could no longer run everything as root", lost.join(", ")),
        )
        .remedy("nothing was changed; if that is meant, take the rule out with visudo"));
    }
    if run::find("visudo").is_none() {
        if root.is_host() {
            return Err(
                ApplyError::new(what, "visudo is not installed").remedy("nothing was changed; install sudo")
            );
        }
        return Ok("sudoers read by perms itself (visudo is not installed here)".to_owned());
    }
    let folder =
        tempfile::Builder::new().prefix("perms-sudoers-").tempdir().map_err(|e| ApplyError::new(what, e))?;
    let copy = write_copy(&then, folder.path()).map_err(|e| ApplyError::new(what, e))?;
    visudo(&["-c".as_ref(), "-f".as_ref(), copy.as_os_str()]).map_err(|why| {
        // What visudo says of the copy is said of the files that it stands for.
        let why = why.replace(&folder.path().display().to_string(), "");
        ApplyError::new(what, why).remedy("nothing was changed")
    })?;
    Ok("sudoers checked with visudo, whoever was root by sudo still is".to_owned())
}

/// Writes the tree into a folder that only we can read, and returns the main file's path there.
fn write_copy(tree: &Tree, folder: &Path) -> std::io::Result<PathBuf> {
    let inside = |p: &Path| folder.join(p.strip_prefix("/").unwrap_or(p));
    let copies = rewritten_for_check(tree, &inside).map_err(std::io::Error::other)?;
    let root = Root::open(folder)?;
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let looks = |mode| Looks { uid: me.0, gid: me.1, mode, acl: None, default_acl: None, label: None };
    let mut main = None;
    for c in copies {
        let Ok(below) = c.copy.strip_prefix(folder) else { continue };
        let path = Path::new("/").join(below);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        make_directories(&root, parent, &looks(0o700))?;
        replace(&root.resolve(parent)?.handle, name, &c.text, &looks(0o440))?;
        if c.original == Path::new(SUDOERS) {
            main = Some(c.copy);
        }
    }
    main.ok_or_else(|| std::io::Error::other("there is no main file"))
}

fn visudo<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Result<(), String> {
    match run::run("visudo", args, b"") {
        Ok(e) if e.success => Ok(()),
        Ok(e) => Err(e.said()),
        Err(e) => Err(e.to_string()),
    }
}

fn check_doas(text: &[u8]) -> Result<String, ApplyError> {
    let what = "checking doas.conf in a copy";
    let file = crate::grants::doas::File::parse(DOAS_CONF, text.to_vec());
    if let Some(m) = file.mistakes.first() {
        return Err(ApplyError::new(what, format!("{DOAS_CONF}:{}:{}: {}", m.line, m.column, m.message)));
    }
    if run::find("doas").is_none() {
        return Ok("doas.conf read by perms itself (doas is not installed here)".to_owned());
    }
    let folder =
        tempfile::Builder::new().prefix("perms-doas-").tempdir().map_err(|e| ApplyError::new(what, e))?;
    let root = Root::open(folder.path()).map_err(|e| ApplyError::new(what, e))?;
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let looks = Looks { uid: me.0, gid: me.1, mode: 0o400, acl: None, default_acl: None, label: None };
    let here = root.resolve(Path::new("/")).map_err(|e| ApplyError::new(what, e))?.handle;
    replace(&here, "doas.conf".as_ref(), text, &looks).map_err(|e| ApplyError::new(what, e))?;
    let copy = folder.path().join("doas.conf");
    let ended =
        run::run("doas", &["-C".as_ref(), copy.as_os_str()], b"").map_err(|e| ApplyError::new(what, e))?;
    if ended.success {
        Ok("doas.conf checked with doas -C".to_owned())
    } else {
        Err(ApplyError::new(what, ended.said()).remedy("nothing was changed"))
    }
}
