//! A handle on one file system object, opened with `O_PATH`: it can be looked at and changed, and
//! stays the same object whatever happens to its names.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::Beside;

/// The name of the attribute that holds an access ACL (xattr(7)).
pub const ACL_ACCESS: &str = "system.posix_acl_access";
/// The name of the attribute that holds a folder's default ACL.
pub const ACL_DEFAULT: &str = "system.posix_acl_default";
/// The name of the attribute that holds the SELinux context.
pub const LABEL: &str = "security.selinux";

/// What kind of object it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A block device.
    Block,
    /// A character device.
    Character,
}

impl Kind {
    /// The kind in the type bits of a mode; what has none is taken for a file.
    pub fn of_mode(mode: u32) -> Kind {
        match mode & 0o170_000 {
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Link,
            0o010_000 => Kind::Pipe,
            0o140_000 => Kind::Socket,
            0o060_000 => Kind::Block,
            0o020_000 => Kind::Character,
            _ => Kind::File,
        }
    }

    /// The letter that file_contexts and `ls` use; a regular file is `-`.
    pub fn letter(self) -> char {
        match self {
            Kind::File => '-',
            Kind::Directory => 'd',
            Kind::Link => 'l',
            Kind::Pipe => 'p',
            Kind::Socket => 's',
            Kind::Block => 'b',
            Kind::Character => 'c',
        }
    }
}

/// What `stat` says, as far as `perms` uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Kind of object.
    pub kind: Kind,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// The twelve permission bits.
    pub mode: u16,
    /// Number of names.
    pub links: u64,
    /// Device and inode number.
    pub id: (u64, u64),
    /// Size in bytes.
    pub size: u64,
}

impl Meta {
    /// Whether somebody else than root owns it, or may write it by the mode. (That of a link says nothing.)
    pub fn is_open(&self) -> bool {
        self.uid != 0 || (self.kind != Kind::Link && self.mode & 0o022 != 0)
    }
}

/// How a file system is mounted, as far as it decides on access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mount {
    /// Nothing can be changed.
    pub read_only: bool,
    /// Nothing can be executed.
    pub no_exec: bool,
    /// Devices cannot be opened.
    pub no_devices: bool,
    /// A server or another program has the last word on access.
    pub decides_itself: bool,
}

/// What a file system says of an object beside mode and ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// It cannot be changed, by root neither (`chattr +i`).
    pub immutable: bool,
    /// It can only be added to (`chattr +a`).
    pub append_only: bool,
    /// Something is mounted here.
    pub mount_point: bool,
}

/// A handle on one object.
#[derive(Debug)]
pub struct Handle {
    // One descriptor for all handles that are made of this one: most are for the way to somewhere, and to duplicate and close
    // them took half of all system calls.
    fd: Arc<OwnedFd>,
    beside: Option<Arc<Beside>>,
}

impl Handle {
    pub(super) fn new(fd: OwnedFd, beside: Option<Arc<Beside>>) -> Self {
        Handle { fd: Arc::new(fd), beside }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn beside(&self) -> Option<&Arc<Beside>> {
        self.beside.as_ref()
    }

    /// The path of this descriptor in `/proc`, through which calls that refuse `O_PATH` reach the object.
    pub(super) fn proc_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    /// Looks at the object.
    pub fn meta(&self) -> io::Result<Meta> {
        let st = rustix::fs::fstat(&self.fd)?;
        let id = (st.st_dev, st.st_ino);
        let (uid, gid) = match &self.beside {
            Some(b) if b.owners => b.get(id).owner.unwrap_or((st.st_uid, st.st_gid)),
            _ => (st.st_uid, st.st_gid),
        };
        Ok(Meta {
            kind: Kind::of_mode(st.st_mode),
            uid,
            gid,
            mode: u16::try_from(st.st_mode & 0o7777).unwrap_or(0),
            links: st.st_nlink,
            id,
            size: u64::try_from(st.st_size).unwrap_or(0),
        })
    }

    /// An extended attribute, `None` where there is none or the file system has no such attributes.
    pub fn xattr(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match xattr::get_deref(self.proc_path(), name) {
            Err(e) if no_such_attributes(&e) => Ok(None),
            other => other,
        }
    }

    /// The access ACL as stored, `None` where the mode says all.
    pub fn access_acl(&self) -> io::Result<Option<Vec<u8>>> {
        self.xattr(ACL_ACCESS)
    }

    /// The default ACL as stored.
    pub fn default_acl(&self) -> io::Result<Option<Vec<u8>>> {
        self.xattr(ACL_DEFAULT)
    }

    /// The SELinux context as stored, without a final NUL. `meta` is that of this handle.
    pub fn label(&self, meta: &Meta) -> io::Result<Option<Vec<u8>>> {
        if let Some(b) = self.beside.as_ref().filter(|b| b.labels) {
            return Ok(b.get(meta.id).label);
        }
        let mut label = self.xattr(LABEL)?;
        if let Some(l) = &mut label
            && l.last() == Some(&0)
        {
            l.pop();
        }
        Ok(label)
    }

    /// Opens a name in this folder, without following a link.
    pub fn open_child(&self, name: &OsStr) -> io::Result<Handle> {
        if name.as_bytes().contains(&b'/') || name == ".." {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let fd = rustix::fs::openat(
            &self.fd,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Handle::new(fd, self.beside.clone()))
    }

    /// A second handle on the same object.
    pub fn duplicate(&self) -> Handle {
        Handle { fd: Arc::clone(&self.fd), beside: self.beside.clone() }
    }

    /// The text of a symbolic link.
    pub fn link_target(&self) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, "", Vec::new())?.into_bytes())
    }

    /// The names in this folder, without `.` and `..`, sorted by bytes so that output does not depend on the disk.
    pub fn names(&self) -> io::Result<Vec<std::ffi::OsString>> {
        let fd = rustix::fs::openat(
            &self.fd,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens the object for reading. Only regular files are opened: a device or a pipe may act on being opened.
    pub fn open_file(&self) -> io::Result<std::fs::File> {
        self.open_sized().map(|(file, _)| file)
    }

    /// The same, and how many bytes it says it has.
    fn open_sized(&self) -> io::Result<(std::fs::File, u64)> {
        let meta = self.meta()?;
        if meta.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((std::fs::File::open(self.proc_path())?, meta.size))
    }

    /// The content of a regular file of at most `limit` bytes.
    pub fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        use std::io::Read as _;
        let (file, size) = self.open_sized()?;
        // What it says of its size spares growing, and no more: it may be wrong, and memory that nothing is put in costs nothing.
        let mut content = Vec::new();
        content.try_reserve(usize::try_from(size.min(limit)).unwrap_or_default().saturating_add(1))?;
        file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
        }
        Ok(content)
    }

    /// Whether the file system is mounted read-only.
    pub fn read_only(&self) -> io::Result<bool> {
        Ok(self.mount()?.read_only)
    }

    /// How the file system is mounted here.
    pub fn mount(&self) -> io::Result<Mount> {
        use rustix::fs::StatVfsMountFlags as Flags;
        let flags = rustix::fs::fstatvfs(&self.fd)?.f_flag;
        // Servers and programs that decide themselves: NFS, CIFS and SMB, 9P, Ceph, AFS (two), FUSE.
        const OWN: [u32; 9] = [
            0x6969,
            0xff53_4d42,
            0xfe53_4d42,
            0x517b,
            0x0102_1997,
            0x00c3_6400,
            0x5346_414f,
            0x6b41_4653,
            0x6573_5546,
        ];
        let magic = u32::try_from(rustix::fs::fstatfs(&self.fd)?.f_type & 0xffff_ffff).unwrap_or(0);
        Ok(Mount {
            read_only: flags.contains(Flags::RDONLY),
            no_exec: flags.contains(Flags::NOEXEC),
            no_devices: flags.contains(Flags::NODEV),
            decides_itself: OWN.contains(&magic),
        })
    }

    /// What the file system says of the object beside mode and ACL.
    pub fn attributes(&self) -> io::Result<Attributes> {
        use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
        let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
        let found = rustix::fs::statx(&self.fd, "", flags, StatxFlags::empty())?.stx_attributes;
        Ok(Attributes {
            immutable: found.contains(StatxAttributes::IMMUTABLE),
            append_only: found.contains(StatxAttributes::APPEND),
            mount_point: found.contains(StatxAttributes::MOUNT_ROOT),
        })
    }

    /// The first bytes of a regular file, at most `most`.
    pub fn read_start(&self, most: u64) -> io::Result<Vec<u8>> {
        use std::io::Read as _;
        // With room for a first line, so that one read gets it.
        let mut start = Vec::with_capacity(256);
        self.open_file()?.take(most).read_to_end(&mut start)?;
        Ok(start)
    }
}

/// ENODATA: no such attribute; EOPNOTSUPP: none here at all (also on links).
fn no_such_attributes(e: &io::Error) -> bool {
    matches!(
        e.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
        Some(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP)
    )
}
