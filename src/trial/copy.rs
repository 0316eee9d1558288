//! Copying what the manifests name.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use super::accounts;
use crate::host::{Accounts, FileState};
use crate::manifest::{FileKind, Manifest, PathRule};
use crate::plan::label_stem;
use crate::sys::walk::walk;
use crate::sys::write::{self, Looks};
use crate::sys::{Handle, Kind, Resolved, Root};

/// Files of one declared tree beyond this many are not copied.
const MOST_FILES: usize = 5_000;
/// Content beyond this many bytes is not copied; rights do not depend on it.
const MOST_BYTES: u64 = 1 << 20;
/// Looks of what stands in for something of root's.
const FOLDER: Looks<'static> =
    Looks { uid: 0, gid: 0, mode: 0o755, acl: None, default_acl: None, label: None };
const FILE: Looks<'static> = Looks { mode: 0o644, ..FOLDER };
const SECRET: Looks<'static> = Looks { mode: 0o440, ..FOLDER };

/// What stands in for sudoers where only root may read the host's.
const PLAIN_SUDOERS: &str =
    "Defaults\tenv_reset\nroot\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n";

pub(super) struct Copy<'a> {
    host: &'a Root,
    root: &'a Root,
    notes: Vec<String>,
}

impl<'a> Copy<'a> {
    pub(super) fn new(host: &'a Root, root: &'a Root, notes: Vec<String>) -> Self {
        Copy { host, root, notes }
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// The account files, sudoers and doas.conf.
    pub(super) fn etc(&mut self, manifests: &[Manifest]) -> io::Result<()> {
        for folder in ["/etc", "/etc/sudoers.d", "/home", "/tmp", "/usr", "/usr/bin"] {
            write::make_directories(self.root, Path::new(folder), &FOLDER)?;
        }
        let read = |file: &str| {
            self.host.read(Path::new(file), 64 << 20).map(|b| String::from_utf8_lossy(&b).into_owned())
        };
        let mut passwd = read("/etc/passwd").unwrap_or_else(|_| "root:x:0:0:root:/root:/bin/sh\n".into());
        let mut group = read("/etc/group").unwrap_or_else(|_| "root:x:0:\n".into());
        let accounts = Accounts::parse(&passwd, &group, None);
        let missing = accounts::missing(manifests, &accounts);
        let mut taken = Vec::new();
        for (names, is_user) in [(&missing.groups, false), (&missing.users, true)] {
            for name in names {
                let Some(id) = accounts.next_uid(true, &taken) else { continue };
                taken.push(id);
                if is_user {
                    passwd.push_str(&format!("{name}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin\n"));
                }
                group.push_str(&format!("{name}:x:{id}:\n"));
                let what = if is_user { "user" } else { "group" };
                self.notes.push(format!("{what} {name} is not on this host: a stand-in was made"));
            }
        }
        self.put("/etc/passwd", &passwd, &FILE)?;
        self.put("/etc/group", &group, &FILE)?;
        let shadow: String = accounts
            .users()
            .iter()
            .map(|u| u.name.as_str())
            .chain(missing.users.iter().map(String::as_str))
            .map(|n| format!("{n}:*:19000:0:99999:7:::\n"))
            .collect();
        // Password hashes have no business in a temporary folder.
        self.put("/etc/shadow", &shadow, &Looks { mode: 0o600, ..FOLDER })?;
        if let Ok(defs) = read("/etc/login.defs") {
            self.put("/etc/login.defs", &defs, &FILE)?;
        }
        if let Ok(name) = read("/etc/hostname") {
            self.put("/etc/hostname", &name, &FILE)?;
        }
        self.sudoers()?;
        if let Ok(text) = read("/etc/doas.conf") {
            self.put("/etc/doas.conf", &text, &SECRET)?;
        }
        Ok(())
    }

    fn sudoers(&mut self) -> io::Result<()> {
        let main = Path::new("/etc/sudoers");
        match self.host.read(main, 64 << 20) {
            Ok(text) => {
                self.put("/etc/sudoers", &String::from_utf8_lossy(&text), &SECRET)?;
                let folder = Path::new("/etc/sudoers.d");
                for name in self.host.names(folder).unwrap_or_default() {
                    let path = folder.join(&name);
                    if let Ok(text) = self.host.read(&path, 64 << 20) {
                        self.put(&path.to_string_lossy(), &String::from_utf8_lossy(&text), &SECRET)?;
                    }
                }
            }
            Err(e) => {
                let why = if e.is_not_found() {
                    "there is none on this host"
                } else {
                    "only root may read this host's"
                };
                self.notes.push(format!("sudoers: {why}, a plain one stands in"));
                self.put("/etc/sudoers", PLAIN_SUDOERS, &SECRET)?;
            }
        }
        Ok(())
    }

    fn put(&self, path: &str, text: &str, looks: &Looks<'_>) -> io::Result<()> {
        let path = Path::new(path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let folder = self.root.resolve(folder)?.handle;
        write::replace(&folder, name, text.as_bytes(), looks)
    }

    /// What one manifest names.
    pub(super) fn manifest(&mut self, m: &Manifest) -> io::Result<()> {
        for p in &m.paths {
            let create = p.create.as_ref().is_some_and(|c| c.value);
            self.path(&p.path.value, Some(p), create)?;
        }
        for l in m.selinux.iter().flat_map(|s| &s.labels) {
            let stem = label_stem(&l.paths.value);
            if stem != Path::new("/") {
                self.path(&stem, None, false)?;
            }
        }
        for c in &m.commands {
            if let Some(command) = c.run.value.first() {
                self.stand_in_file(Path::new(&command.value), 0o755)?;
            }
        }
        if let Some(parent) = m.app.user.home.as_ref().and_then(|h| h.value.parent()) {
            write::make_directories(self.root, parent, &FOLDER)?;
        }
        Ok(())
    }

    fn path(&mut self, path: &Path, rule: Option<&PathRule>, create: bool) -> io::Result<()> {
        if self.root.resolve(path).is_ok() {
            return Ok(());
        }
        match self.host.resolve(path) {
            Ok(found) => self.tree(path, found),
            Err(_) if create => {
                if let Some(parent) = path.parent() {
                    self.parents(parent)?;
                }
                Ok(())
            }
            Err(e) => {
                let why = if e.is_not_found() { "is not on this host" } else { "cannot be read" };
                let file = rule.is_some_and(|r| r.kind.as_ref().is_some_and(|k| k.value == FileKind::File));
                if file {
                    self.notes.push(format!("{} {why}: an empty file stands in", path.display()));
                    return self.stand_in_file(path, 0o644);
                }
                self.notes.push(format!("{} {why}: a folder with two files stands in", path.display()));
                write::make_directories(self.root, path, &FOLDER)?;
                for name in ["default.conf", "shop.conf"] {
                    self.stand_in_file(&path.join(name), 0o644)?;
                }
                Ok(())
            }
        }
    }

    fn stand_in_file(&self, path: &Path, mode: u16) -> io::Result<()> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        if self.root.resolve(path).is_ok() {
            return Ok(());
        }
        write::make_directories(self.root, folder, &FOLDER)?;
        let folder = self.root.resolve(folder)?.handle;
        write::replace(&folder, name, b"", &Looks { mode, ..FOLDER })
    }

    /// The folders down to `path`, as they are on the host where they are there.
    fn parents(&self, path: &Path) -> io::Result<()> {
        let mut all: Vec<&Path> = path.ancestors().collect();
        all.pop();
        for p in all.into_iter().rev() {
            if self.root.resolve(p).is_ok() {
                continue;
            }
            write::make_directories(self.root, p, &FOLDER)?;
            if let Ok(found) = self.host.resolve(p)
                && let Ok(state) = FileState::read(&found.handle, &found.meta)
            {
                self.dress(p, &state)?;
            }
        }
        Ok(())
    }

    fn dress(&self, path: &Path, state: &FileState) -> io::Result<()> {
        let made = self.root.resolve(path)?;
        set(&made.handle, state)
    }

    /// A declared path and what is below it.
    fn tree(&mut self, path: &Path, found: Resolved) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            self.parents(parent)?;
        }
        let mut copied = 0usize;
        let mut first_error = None;
        let left_out = Cell::new(0usize);
        let canonical = found.path.clone();
        let (root, to) = (self.root, path.to_owned());
        walk(
            &canonical,
            found.handle,
            &mut |entry| {
                if copied >= MOST_FILES {
                    left_out.set(left_out.get() + 1);
                    return false;
                }
                copied += 1;
                let below = entry.path.strip_prefix(&canonical).unwrap_or(Path::new(""));
                let target: PathBuf = if below.as_os_str().is_empty() { to.clone() } else { to.join(below) };
                match copy_one(root, &target, &entry.handle, entry.meta.kind) {
                    Ok(()) => entry.meta.kind == Kind::Directory,
                    Err(e) => {
                        first_error.get_or_insert((target, e));
                        false
                    }
                }
            },
            &mut |_, _| left_out.set(left_out.get() + 1),
        );
        if let Some((path, e)) = first_error {
            return Err(io::Error::new(e.kind(), format!("copying {}: {e}", path.display())));
        }
        let left_out = left_out.get();
        if left_out > 0 {
            self.notes
                .push(format!("{}: {left_out} files or folders were left out of the copy", path.display()));
        }
        Ok(())
    }
}

fn copy_one(root: &Root, target: &Path, from: &Handle, kind: Kind) -> io::Result<()> {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else { return Ok(()) };
    let meta = from.meta()?;
    let state = FileState::read(from, &meta)?;
    let folder = root.resolve(folder)?.handle;
    match kind {
        Kind::Directory => write::make_directory(&folder, name, &FOLDER)?,
        Kind::File => {
            let content =
                if meta.size <= MOST_BYTES { from.read(MOST_BYTES).unwrap_or_default() } else { Vec::new() };
            write::replace(&folder, name, &content, &FILE)?;
        }
        // Links may point out of the copy, and the rest has no rights to try.
        _ => return Ok(()),
    }
    set(&folder.open_child(name)?, &state)
}

fn set(handle: &Handle, state: &FileState) -> io::Result<()> {
    write::chown(handle, state.uid, state.gid)?;
    // The copy is ours to walk and throw away, whatever the original's owner may do with it.
    let is_folder = handle.meta()?.kind == Kind::Directory;
    let mode = state.mode | if is_folder { 0o700 } else { 0o600 };
    write::chmod(handle, mode & 0o1777)?;
    if let Some(acl) = &state.acl {
        write::set_access_acl(handle, Some(&acl.to_xattr()))?;
    }
    if let Some(acl) = &state.default_acl {
        write::set_default_acl(handle, Some(&acl.to_xattr()))?;
    }
    if state.label.is_some() {
        write::set_label(handle, state.label.as_deref())?;
    }
    Ok(())
}
