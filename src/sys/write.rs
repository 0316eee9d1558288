//! Everything that changes a file system, on handles. `audit` has no way here.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};

use super::handle::{ACL_ACCESS, ACL_DEFAULT, LABEL};
use super::{Handle, Kind, Root};

/// Sets owner and owning group. The kernel takes setuid and setgid bits away when it does so; set the mode after.
pub fn chown(handle: &Handle, uid: u32, gid: u32) -> io::Result<()> {
    if let Some(b) = handle.beside().filter(|b| b.owners) {
        b.set_owner(handle.meta()?.id, uid, gid);
        return Ok(());
    }
    rustix::fs::chownat(
        handle.fd(),
        "",
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(gid)),
        AtFlags::EMPTY_PATH,
    )?;
    Ok(())
}

/// Sets the twelve permission bits (where there is an ACL, the group's three are its mask).
pub fn chmod(handle: &Handle, mode: u16) -> io::Result<()> {
    if handle.meta()?.kind == Kind::Link {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link has no mode"));
    }
    std::fs::set_permissions(handle.proc_path(), std::fs::Permissions::from_mode(u32::from(mode)))
}

/// Sets or removes the access ACL.
pub fn set_access_acl(handle: &Handle, acl: Option<&[u8]>) -> io::Result<()> {
    set_xattr(handle, ACL_ACCESS, acl)
}

/// Sets or removes the default ACL.
pub fn set_default_acl(handle: &Handle, acl: Option<&[u8]>) -> io::Result<()> {
    set_xattr(handle, ACL_DEFAULT, acl)
}

/// Sets or removes the SELinux context (given without a final NUL, stored with one, as libselinux does).
pub fn set_label(handle: &Handle, label: Option<&[u8]>) -> io::Result<()> {
    if let Some(b) = handle.beside().filter(|b| b.labels) {
        b.set_label(handle.meta()?.id, label.map(<[u8]>::to_vec));
        return Ok(());
    }
    let stored = label.map(|l| [l, b"\0"].concat());
    set_xattr(handle, LABEL, stored.as_deref()).map_err(|e| match label {
        // selinux_inode_setxattr(): a context that the loaded policy does not have needs more than being root.
        Some(label) if e.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
            let label = String::from_utf8_lossy(label);
            let what = format!(
                "the running kernel's policy does not have the label {label}, and sets it for nobody without SELinux's \
                 mac_admin; label it where SELinux is off or permissive"
            );
            io::Error::new(io::ErrorKind::InvalidInput, what)
        }
        _ => e,
    })
}

fn set_xattr(handle: &Handle, name: &str, value: Option<&[u8]>) -> io::Result<()> {
    match value {
        Some(value) => xattr::set_deref(handle.proc_path(), name, value),
        None if handle.xattr(name)?.is_none() => Ok(()),
        None => xattr::remove_deref(handle.proc_path(), name),
    }
}

/// Owner, mode and label of a file that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks<'a> {
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u16,
    /// Access ACL.
    pub acl: Option<&'a [u8]>,
    /// Default ACL, of a folder.
    pub default_acl: Option<&'a [u8]>,
    /// Label; `None` leaves what the kernel gives a new file.
    pub label: Option<&'a [u8]>,
}

/// Puts `content` in the place of the file `name` in `folder`, so that at each moment the old or the new is there:
/// written to a new file, synced, renamed, and the folder synced. The temporary name holds a dot and ends in `~`,
/// which is what sudo skips in an include folder.
pub fn replace(folder: &Handle, name: &OsStr, content: &[u8], looks: &Looks<'_>) -> io::Result<()> {
    put(folder, name, content, looks, RenameFlags::empty())
}

/// Makes a file with this content. It is an error if the name is taken.
pub fn make_file(folder: &Handle, name: &OsStr, content: &[u8], looks: &Looks<'_>) -> io::Result<()> {
    put(folder, name, content, looks, RenameFlags::NOREPLACE)
}

fn put(
    folder: &Handle,
    name: &OsStr,
    content: &[u8],
    looks: &Looks<'_>,
    flags: RenameFlags,
) -> io::Result<()> {
    let temporary = temporary_name(name);
    let result = write_new(folder, &temporary, content, looks).and_then(|()| {
        rustix::fs::renameat_with(folder.fd(), &temporary, folder.fd(), name, flags)?;
        Ok(())
    });
    if result.is_err() {
        let _ = rustix::fs::unlinkat(folder.fd(), &temporary, AtFlags::empty());
    }
    result?;
    sync(folder)
}

fn temporary_name(name: &OsStr) -> std::ffi::OsString {
    let mut t = std::ffi::OsString::from(".");
    t.push(name);
    t.push(format!(".perms-{}~", std::process::id()));
    t
}

fn write_new(folder: &Handle, name: &OsStr, content: &[u8], looks: &Looks<'_>) -> io::Result<()> {
    // What an earlier run that was killed left behind under this name.
    match rustix::fs::unlinkat(folder.fd(), name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let fd = rustix::fs::openat(
        folder.fd(),
        name,
        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o600),
    )?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    // By the descriptor that made it: whoever may write the folder could have put another file under the name by now.
    let handle = Handle::new(file.try_clone()?.into(), folder.beside().cloned());
    set_access_acl(&handle, None)?;
    chown(&handle, looks.uid, looks.gid)?;
    chmod(&handle, looks.mode)?;
    if looks.acl.is_some() {
        set_access_acl(&handle, looks.acl)?;
    }
    if let Some(label) = looks.label {
        set_label(&handle, Some(label))?;
    }
    file.sync_all()
}

/// Makes a folder with exactly these looks.
pub fn make_directory(parent: &Handle, name: &OsStr, looks: &Looks<'_>) -> io::Result<()> {
    rustix::fs::mkdirat(parent.fd(), name, Mode::from_raw_mode(0o700))?;
    let handle = parent.open_child(name)?;
    still_the_new_folder(&handle)?;
    // A default ACL of the parent would add entries that were not asked for.
    set_access_acl(&handle, None)?;
    set_default_acl(&handle, looks.default_acl)?;
    chown(&handle, looks.uid, looks.gid)?;
    chmod(&handle, looks.mode)?;
    if looks.acl.is_some() {
        set_access_acl(&handle, looks.acl)?;
    }
    if let Some(label) = looks.label {
        set_label(&handle, Some(label))?;
    }
    sync(parent)
}

/// `mkdir` gives no descriptor, so whoever may write the parent could have moved something else under the name before it
/// was opened. What is ours and empty is no loss if it was.
fn still_the_new_folder(handle: &Handle) -> io::Result<()> {
    let st = rustix::fs::fstat(handle.fd())?;
    let ours = st.st_uid == rustix::process::geteuid().as_raw();
    if Kind::of_mode(st.st_mode) == Kind::Directory && ours && handle.names()?.is_empty() {
        return Ok(());
    }
    Err(io::Error::other("it was replaced while it was being made"))
}

/// Opens (or makes, private) the file `name` in `folder` to be locked. No link is followed.
pub fn open_lock_file(folder: &Handle, name: &OsStr) -> io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::openat(folder.fd(), name, flags, Mode::from_raw_mode(0o600))?)
}

/// Deletes a file.
pub fn remove_file(folder: &Handle, name: &OsStr) -> io::Result<()> {
    forget(folder, name);
    rustix::fs::unlinkat(folder.fd(), name, AtFlags::empty())?;
    sync(folder)
}

/// Deletes an empty folder.
pub fn remove_directory(folder: &Handle, name: &OsStr) -> io::Result<()> {
    forget(folder, name);
    rustix::fs::unlinkat(folder.fd(), name, AtFlags::REMOVEDIR)?;
    sync(folder)
}

fn forget(folder: &Handle, name: &OsStr) {
    if let Some(b) = folder.beside()
        && let Ok(meta) = folder.open_child(name).and_then(|h| h.meta())
    {
        b.forget(meta.id);
    }
}

/// Makes the folder's names durable.
pub fn sync(folder: &Handle) -> io::Result<()> {
    let fd = rustix::fs::openat(
        folder.fd(),
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    match rustix::fs::fsync(fd) {
        // Some file systems cannot sync a folder; there is nothing more to do there.
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Makes a folder with these looks, and its missing parents as root's and 0755; what exists is left as it is.
pub fn make_directories(root: &Root, path: &Path, looks: &Looks<'_>) -> io::Result<()> {
    const PARENT: Looks<'static> =
        Looks { uid: 0, gid: 0, mode: 0o755, acl: None, default_acl: None, label: None };
    let mut missing: Vec<&Path> = Vec::new();
    let mut at = Some(path);
    let mut base = None;
    while let Some(p) = at {
        match root.resolve(p) {
            Ok(r) => {
                base = Some(r.handle);
                break;
            }
            Err(e) if e.is_not_found() => missing.push(p),
            Err(e) => return Err(e.into()),
        }
        at = p.parent();
    }
    let mut here = base.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    for p in missing.iter().rev() {
        let name = p.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        make_directory(&here, name, if *p == path { looks } else { &PARENT })?;
        here = here.open_child(name)?;
    }
    Ok(())
}

/// Deletes what [`replace`] left in a folder when it was killed. Only for who holds the lock: nobody else is at work then.
pub fn sweep(folder: &Handle) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    for name in folder.names()? {
        let bytes = name.as_bytes();
        let ours =
            bytes.starts_with(b".") && bytes.ends_with(b"~") && bytes.windows(7).any(|w| w == b".perms-");
        if ours && folder.open_child(&name)?.meta()?.kind == Kind::File {
            remove_file(folder, &name)?;
        }
    }
    Ok(())
}
