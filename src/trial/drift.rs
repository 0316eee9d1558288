//! Things that go wrong on real hosts, done to the copy.

use std::io;
use std::path::PathBuf;

use crate::host::FileState;
use crate::host::accounts::Accounts;
use crate::manifest::{Access, Grantor, Manifest, PathRule};
use crate::sys::walk::walk;
use crate::sys::write::{self, Looks};
use crate::sys::{Kind, Resolved, Root};

/// One thing that was done.
#[derive(Debug)]
pub struct Drift {
    /// As an administrator would have typed it.
    pub command: String,
    /// What it is, or why it could not be done.
    pub what: String,
    /// It was done.
    pub done: bool,
}

/// Breaks the copy: an undeclared rule, a mask, a file without its entry; and, where manifests fix them, a mode and an
/// owner.
pub fn make_drift(root: &Root, manifests: &[Manifest]) -> io::Result<Vec<Drift>> {
    let mut all =
        vec![undeclared_rule(root, manifests)?, masked(root, manifests)?, without_entry(root, manifests)?];
    all.extend(opened(root, manifests)?);
    all.extend(given_away(root, manifests)?);
    Ok(all)
}

/// The first declared path that is there and that `wanted` picks.
fn declared<'m>(
    root: &Root,
    manifests: &'m [Manifest],
    wanted: impl Fn(&PathRule) -> bool,
) -> Option<(&'m Manifest, &'m PathRule, Resolved)> {
    manifests
        .iter()
        .flat_map(|m| m.paths.iter().map(move |p| (m, p)))
        .filter(|(_, p)| wanted(p))
        .find_map(|(m, p)| Some((m, p, root.resolve(&p.path.value).ok()?)))
}

/// A declared mode, widened in a hurry.
fn opened(root: &Root, manifests: &[Manifest]) -> io::Result<Option<Drift>> {
    let plain = |p: &PathRule| p.mode.is_some() && p.acl.as_ref().is_none_or(|a| a.value.is_empty());
    let Some((_, rule, found)) = declared(root, manifests, plain) else { return Ok(None) };
    write::chmod(&found.handle, found.meta.mode | 0o006)?;
    Ok(Some(Drift {
        command: format!("chmod o+rw {}", rule.path.value.display()),
        what: "a declared mode, opened to everybody".into(),
        done: true,
    }))
}

/// What root owns, given to the user that may only read it: as `chown -R` of a whole deployment does.
fn given_away(root: &Root, manifests: &[Manifest]) -> io::Result<Option<Drift>> {
    let read_only =
        |p: &PathRule| p.access.as_ref().is_some_and(|a| a.value == Access::Read) && p.owner.is_some();
    let Some((m, rule, found)) = declared(root, manifests, read_only) else { return Ok(None) };
    let user = &m.app.user.name.value;
    let Some(uid) = Accounts::read(root)?.user(user).map(|u| u.uid) else { return Ok(None) };
    write::chown(&found.handle, uid, found.meta.gid)?;
    Ok(Some(Drift {
        command: format!("chown {user} {}", rule.path.value.display()),
        what: "code that the user who runs it owns".into(),
        done: true,
    }))
}

fn undeclared_rule(root: &Root, manifests: &[Manifest]) -> io::Result<Drift> {
    let Some(m) = manifests.first() else {
        return Ok(not_done("an undeclared rule", "there is no manifest"));
    };
    let user = &m.app.user.name.value;
    if m.commands.iter().any(|c| c.with == Grantor::Doas)
        && !m.commands.iter().any(|c| c.with == Grantor::Sudo)
    {
        let folder = root.resolve(std::path::Path::new("/etc"))?.handle;
        let mut text = root.read(std::path::Path::new("/etc/doas.conf"), 1 << 20).unwrap_or_default();
        text.extend_from_slice(format!("permit nopass {user} as root cmd /usr/bin/apt\n").as_bytes());
        let looks = Looks { uid: 0, gid: 0, mode: 0o400, acl: None, default_acl: None, label: None };
        write::replace(&folder, "doas.conf".as_ref(), &text, &looks)?;
        return Ok(Drift {
            command: format!("echo 'permit nopass {user} as root cmd /usr/bin/apt' >> /etc/doas.conf"),
            what: "a doas rule that no manifest declares".into(),
            done: true,
        });
    }
    let folder = root.resolve(std::path::Path::new("/etc/sudoers.d"))?.handle;
    let rule = format!("{user} ALL=(root) NOPASSWD: /usr/bin/apt");
    let looks = Looks { uid: 0, gid: 0, mode: 0o440, acl: None, default_acl: None, label: None };
    write::replace(&folder, "99-tmp".as_ref(), format!("{rule}\n").as_bytes(), &looks)?;
    Ok(Drift {
        command: format!("echo '{rule}' > /etc/sudoers.d/99-tmp"),
        what: "a sudo rule that no manifest declares".into(),
        done: true,
    })
}

/// A file, else a folder, with named entries at or below a declared path.
fn masked(root: &Root, manifests: &[Manifest]) -> io::Result<Drift> {
    let mut found: Option<(PathBuf, bool)> = None;
    for p in manifests.iter().flat_map(|m| &m.paths) {
        let Ok(start) = root.resolve(&p.path.value) else { continue };
        walk(
            &p.path.value,
            start.handle,
            &mut |e| {
                let named = FileState::read(&e.handle, &e.meta).is_ok_and(|s| s.acl.is_some());
                let folder = e.meta.kind == Kind::Directory;
                if named && found.as_ref().is_none_or(|(_, was_folder)| *was_folder && !folder) {
                    found = Some((e.path.clone(), folder));
                }
                true
            },
            &mut |_, _| {},
        );
    }
    let Some((path, folder)) = found else {
        return Ok(not_done("a chmod that masks an ACL", "no declared path has a named entry"));
    };
    let mode = if folder { 0o755 } else { 0o644 };
    write::chmod(&root.resolve(&path)?.handle, mode)?;
    Ok(Drift {
        command: format!("chmod {mode:o} {}", path.display()),
        what: "a chmod, which narrows the mask of the ACL".into(),
        done: true,
    })
}

fn without_entry(root: &Root, manifests: &[Manifest]) -> io::Result<Drift> {
    // What lies in a folder is under its rule only where that goes on below.
    let deep = |p: &&PathRule| p.recursive.as_ref().map_or(p.access.is_some(), |r| r.value);
    for p in manifests.iter().flat_map(|m| &m.paths).filter(deep) {
        let Ok(r) = root.resolve(&p.path.value) else { continue };
        let has_default = FileState::read(&r.handle, &r.meta).is_ok_and(|s| s.default_acl.is_some());
        if r.meta.kind != Kind::Directory || !has_default {
            continue;
        }
        // As `mv` from another folder does: the file keeps its own rights, the folder's default ACL is not looked at.
        let looks = Looks { uid: 0, gid: 0, mode: 0o644, acl: None, default_acl: None, label: None };
        write::replace(&r.handle, "moved.conf".as_ref(), b"", &looks)?;
        return Ok(Drift {
            command: format!("mv /root/moved.conf {}/", p.path.value.display()),
            what: "a file that was moved in, and has no entry".into(),
            done: true,
        });
    }
    Ok(not_done("a file without its entry", "no declared folder has a default ACL"))
}

fn not_done(what: &str, why: &str) -> Drift {
    Drift { command: String::new(), what: format!("{what}: {why}"), done: false }
}
