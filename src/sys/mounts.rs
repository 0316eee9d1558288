//! What is mounted where (proc_pid_mountinfo(5)), so that a walk can tell one file system from another.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number, as `stx_mnt_id` of statx(2).
    pub id: u64,
    /// Device number of what is mounted.
    pub device: u64,
    /// The folder of that file system that is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Its options (`ro`, `nosuid` …), then those of its file system (`seclabel` …).
    pub options: Vec<String>,
    /// The kind of file system: `ext4`, `nfs4` …
    pub kind: String,
    /// What is mounted: a device, a server, or a word.
    pub source: String,
}

/// What a file system is worth looking through for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Its files are this host's own.
    Local,
    /// The kernel makes its files up as they are asked for.
    Pseudo,
    /// Its files are another host's, or a program's of some user.
    Remote,
}

/// File systems whose files the kernel makes up, and that are nobody's store.
const PSEUDO: &[&str] = &[
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "pipefs",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sockfs",
    "sysfs",
    "tracefs",
];

/// File systems that are served by another host, or by a program.
const REMOTE: &[&str] = &[
    "9p", "afs", "ceph", "cifs", "coda", "fuse", "gfs2", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "virtiofs",
];

impl Mount {
    /// What it is worth looking through for.
    pub fn class(&self) -> Class {
        let kind = self.kind.as_str();
        if PSEUDO.contains(&kind) {
            return Class::Pseudo;
        }
        if kind != "fuseblk" && (REMOTE.contains(&kind) || kind.starts_with("fuse.")) {
            return Class::Remote;
        }
        Class::Local
    }

    /// Whether it was mounted with one SELinux context for all that is in it (mount(8), `context=`).
    pub fn one_label(&self) -> bool {
        self.options.iter().any(|o| o.starts_with("context="))
    }

    /// Whether its objects have labels of their own. Where the running kernel has a policy loaded (`active`) file systems
    /// say so themselves.
    pub fn keeps_labels(&self, active: bool) -> bool {
        !self.one_label() && (!active || self.has("seclabel"))
    }

    /// Whether it has this option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// All mounts of this process's view.
#[derive(Debug, Clone, Default)]
pub struct Mounts {
    list: Vec<Mount>,
    by_id: HashMap<u64, usize>,
}

impl Mounts {
    /// Reads those of the running kernel.
    pub fn read() -> io::Result<Mounts> {
        Ok(Mounts::parse(&std::fs::read("/proc/self/mountinfo")?))
    }

    /// Reads the text of a mountinfo; lines that are none are left out.
    pub fn parse(text: &[u8]) -> Mounts {
        let list: Vec<Mount> = text.split(|b| *b == b'\n').filter_map(parse_line).collect();
        let by_id = list.iter().enumerate().map(|(n, m)| (m.id, n)).collect();
        Mounts { list, by_id }
    }

    /// The mount with this number; where the kernel tells no numbers (before Linux 5.8: 0), the last with this device.
    pub fn find(&self, id: u64, device: u64) -> Option<&Mount> {
        match id {
            0 => self.list.iter().rev().find(|m| m.device == device),
            id => self.list.get(*self.by_id.get(&id)?),
        }
    }

    /// The mount that shows the same files as `mount` elsewhere: mounted before it, and its folder in it.
    pub fn shown_before(&self, mount: &Mount) -> Option<&Mount> {
        let before = self.list.iter().take_while(|m| m.id != mount.id);
        before.into_iter().find(|m| m.device == mount.device && mount.root.starts_with(&m.root))
    }

    /// All of them, in the order in which they were mounted.
    pub fn all(&self) -> &[Mount] {
        &self.list
    }

    /// The mount that a path lies on, by its text.
    pub fn of_path(&self, path: &Path) -> Option<&Mount> {
        let on = self.list.iter().enumerate().filter(|(_, m)| path.starts_with(&m.point));
        on.max_by_key(|(n, m)| (m.point.components().count(), *n)).map(|(_, m)| m)
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|b| *b == b' ');
    let text = |w: &[u8]| String::from_utf8_lossy(w).into_owned();
    let id = text(words.next()?).parse().ok()?;
    let _parent = words.next()?;
    let device = text(words.next()?);
    let (major, minor) = device.split_once(':')?;
    let device = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
    let root = unescape(words.next()?);
    let point = unescape(words.next()?);
    let mut options: Vec<String> = text(words.next()?).split(',').map(str::to_owned).collect();
    // Optional fields end with a dash.
    let _ = words.by_ref().find(|w| *w == b"-")?;
    let kind = text(words.next()?);
    let source = String::from_utf8_lossy(unescape(words.next()?).as_os_str().as_encoded_bytes()).into_owned();
    options.extend(text(words.next().unwrap_or_default()).split(',').map(str::to_owned));
    Some(Mount { id, device, root, point, options, kind, source })
}

/// Blanks and backslashes are written as `\040`.
fn unescape(word: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&b, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|d| b == b'\\' && d.iter().all(|c| (b'0'..=b'7').contains(c)));
        let code =
            octal.and_then(|d| u8::try_from(d.iter().fold(0u32, |n, c| n * 8 + u32::from(c - b'0'))).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(b);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        23 22 0:21 / /proc rw,nosuid - proc proc rw\nnonsense\n\
        30 22 0:40 / /mnt/a\\040b rw,nosuid,nodev master:3 propagate_from:2 - fuse.sshfs u@h:/x rw\n\
        31 22 254:0 /srv /var/srv rw - ext4 /dev/vda rw\n";

    #[test]
    fn mounts_are_read_with_blanks_in_their_names() {
        let mounts = Mounts::parse(TEXT);
        assert_eq!(mounts.all().len(), 4);
        let odd = mounts.find(30, 0).unwrap();
        assert_eq!(
            (odd.point.as_path(), odd.class(), odd.has("nosuid")),
            (Path::new("/mnt/a b"), Class::Remote, true)
        );
        assert_eq!(mounts.find(23, 0).unwrap().class(), Class::Pseudo);
        assert_eq!(mounts.find(22, 0).unwrap().class(), Class::Local);
        assert_eq!(mounts.of_path(Path::new("/proc/1")).unwrap().id, 23);
        assert_eq!(mounts.of_path(Path::new("/procx")).unwrap().id, 22);
    }

    #[test]
    fn a_second_view_of_the_same_files_is_known() {
        let mounts = Mounts::parse(TEXT);
        let second = mounts.find(31, 0).unwrap();
        assert_eq!(mounts.shown_before(second).unwrap().id, 22);
        assert!(mounts.shown_before(mounts.find(22, 0).unwrap()).is_none());
    }

    #[test]
    fn the_running_kernel_has_a_root() {
        let mounts = Mounts::read().unwrap();
        assert!(mounts.all().iter().any(|m| m.point == Path::new("/")));
    }
}
