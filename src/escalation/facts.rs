//! Paths by which whoever writes them becomes somebody: root's places, what jobs and services run, homes, and the
//! configuration of daemons. Only those that somebody else than root could change at all are kept: on most hosts none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::chain::Chain;
use crate::grants::daemons::{DAEMONS, Daemon, root_places};
use crate::grants::set_id;
use crate::host::code::code_of;
use crate::host::jobs::{By, Job};
use crate::host::{Accounts, User};
use crate::report::Code;
use crate::report::codes::{excess, path};
use crate::sys::walk::walk;
use crate::sys::{Kind, Root};

/// Objects of a daemon's configuration that are looked at.
const MOST: usize = 20_000;
/// Levels below a daemon's folder that are looked at: no configuration lies deeper, and whoever may write there could
/// make a tree of any depth.
const DEEPEST: usize = 16;
/// Files that a shell or sshd reads in a home.
const HOME_FILES: [&str; 7] =
    [".ssh/authorized_keys", ".profile", ".bash_profile", ".bash_login", ".bashrc", ".zshrc", ".zshenv"];
/// Shells that let nobody in.
const NO_SHELLS: [&str; 4] = ["nologin", "false", "sync", "true"];

/// One path, and what it makes of who writes it.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Who can write it is asked of this.
    pub chain: Chain,
    /// The account that its writer becomes.
    pub to: String,
    /// Why: "cron runs it as root".
    pub why: String,
    /// The daemon that must read it again first.
    pub daemon: Option<&'static Daemon>,
    /// The risk.
    pub code: Code,
}

/// Sockets of services that do as root what they are told, each with what that is.
const SOCKETS: [(&str, &str); 8] = [
    ("/run/docker.sock", "docker starts containers with the host's own files, as root"),
    ("/run/podman/podman.sock", "podman starts containers with the host's own files, as root"),
    ("/run/containerd/containerd.sock", "containerd starts containers with the host's own files, as root"),
    ("/run/crio/crio.sock", "cri-o starts containers with the host's own files, as root"),
    ("/var/lib/lxd/unix.socket", "lxd gives a container the host's own files, as root"),
    ("/var/snap/lxd/common/lxd/unix.socket", "lxd gives a container the host's own files, as root"),
    ("/var/lib/incus/unix.socket", "incus gives a container the host's own files, as root"),
    ("/run/libvirt/libvirt-sock", "a virtual machine is given the host's own disks"),
];
/// Where the hashes of passwords are.
const SHADOW: [&str; 2] = ["/etc/shadow", "/etc/shadow-"];
/// Folders whose programs are looked at for a set-user-ID bit.
const PROGRAMS: [&str; 6] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];

/// All of a host.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Files with hashes of passwords.
    pub hashes: Vec<Chain>,
    /// Programs that run as their owner and are not known to need it.
    pub set_uid: Vec<Chain>,
    /// Those that somebody else than root could use.
    pub open: Vec<Fact>,
    /// What runs by itself.
    pub jobs: Vec<Job>,
    /// What could not be looked at.
    pub unread: Vec<String>,
}

impl Facts {
    /// Looks at a host.
    pub fn of(root: &Root, accounts: &Accounts) -> Facts {
        let (jobs, unread) = crate::host::jobs::jobs(root);
        let mut facts = Facts { jobs, unread, ..Facts::default() };
        facts.hashes = SHADOW.iter().filter_map(|p| Chain::follow(root, Path::new(p))).collect();
        facts.set_uid = set_uid(root, accounts);
        let mut known: BTreeSet<(PathBuf, String)> = BTreeSet::new();
        let mut add = |open: &mut Vec<Fact>, fact: Fact| {
            // By its own way: `/bin` leads to `/usr/bin`.
            if !fact.chain.is_closed() && known.insert((fact.chain.real().to_owned(), fact.to.clone())) {
                open.push(fact);
            }
        };
        for (place, why) in root_places().filter(|(p, _)| *p != "/dev") {
            for at in weak_in(root, Path::new(place)) {
                if let Some(chain) = Chain::follow(root, &at) {
                    let (to, code): (_, Code) = ("root".to_owned(), &path::WRITE_IS_ROOT);
                    add(&mut facts.open, Fact { chain, to, why: why.to_owned(), daemon: None, code });
                }
            }
        }
        // Fragments of units (`NAME.service.d`) lie one folder deeper.
        for folder in ["/etc/systemd/system", "/run/systemd/system"] {
            for at in weak_below(root, Path::new(folder)) {
                if let Some(chain) = Chain::follow(root, &at) {
                    let why = "units run as root unless they say otherwise".to_owned();
                    let code: Code = &path::WRITE_IS_ROOT;
                    add(&mut facts.open, Fact { chain, to: "root".to_owned(), why, daemon: None, code });
                }
            }
        }
        for (socket, why) in SOCKETS {
            // Only who may write the socket itself: who can put another there has the place, and not the service.
            let Some(chain) = Chain::follow(root, Path::new(socket)).filter(Chain::exists) else { continue };
            let (why, code): (_, Code) = (why.to_owned(), &path::WRITE_IS_ROOT);
            add(&mut facts.open, Fact { chain, to: "root".to_owned(), why, daemon: None, code });
        }
        for job in &facts.jobs {
            let Some(user) = accounts.user(&job.user).or_else(|| by_number(accounts, &job.user)) else {
                continue;
            };
            for at in job.runs.iter().flat_map(|p| code_of(root, p)) {
                let Some(chain) = Chain::follow(root, &at) else { continue };
                let what = match job.by {
                    By::Cron => format!("cron runs it as {} ({})", user.name, job.place),
                    By::Service | By::Timer => format!("{} runs it as {}", job.name, user.name),
                };
                let code: Code = if user.uid == 0 { &path::WRITE_IS_ROOT } else { &excess::OWN_CODE };
                add(&mut facts.open, Fact { chain, to: user.name.clone(), why: what, daemon: None, code });
            }
        }
        for user in accounts.users().iter().filter(|u| logs_in(u)) {
            for file in HOME_FILES {
                let at = Path::new(&user.home).join(file);
                let Some(chain) = Chain::follow(root, &at) else { continue };
                let why = if file.starts_with(".ssh") {
                    format!("a key in it opens the account {}", user.name)
                } else {
                    format!("{}'s shell runs it", user.name)
                };
                let code: Code = &path::WRITE_IS_ROOT;
                add(&mut facts.open, Fact { chain, to: user.name.clone(), why, daemon: None, code });
            }
        }
        for daemon in DAEMONS {
            for folder in daemon.folders {
                for at in weak_below(root, Path::new(folder)) {
                    let Some(chain) = Chain::follow(root, &at) else { continue };
                    let (why, code): (_, Code) = (daemon.how.to_owned(), &path::DAEMON_CONFIG_AND_RELOAD);
                    add(
                        &mut facts.open,
                        Fact { chain, to: "root".to_owned(), why, daemon: Some(daemon), code },
                    );
                }
            }
        }
        facts
    }
}

/// Programs with a set-user-ID bit that are not known to need it.
fn set_uid(root: &Root, accounts: &Accounts) -> Vec<Chain> {
    let mut found: Vec<Chain> = Vec::new();
    for folder in PROGRAMS {
        let Ok(folder) = root.resolve(Path::new(folder)) else { continue };
        for name in folder.handle.names().unwrap_or_default() {
            let Ok(meta) = folder.handle.open_child(&name).and_then(|h| h.meta()) else { continue };
            if meta.kind != Kind::File || meta.mode & 0o4000 == 0 {
                continue;
            }
            let path = folder.path.join(&name);
            let owner = accounts.user_name(meta.uid);
            let known = set_id::set_id(&path.to_string_lossy(), Some(&owner), None).is_some();
            if !known && !found.iter().any(|c| c.real() == path) {
                found.extend(Chain::follow(root, &path));
            }
        }
    }
    found
}

fn by_number<'a>(accounts: &'a Accounts, text: &str) -> Option<&'a User> {
    let uid: u32 = text.parse().ok()?;
    accounts.users().iter().find(|u| u.uid == uid)
}

/// Whether the account can be logged in to by a key or a password.
fn logs_in(user: &User) -> bool {
    let shell = user.shell.rsplit('/').next().unwrap_or_default();
    !NO_SHELLS.contains(&shell)
        && user.home.starts_with('/')
        && user.home != "/"
        && user.home != "/nonexistent"
}

/// The place itself, and of what lies directly in it, what somebody else than root could write.
fn weak_in(root: &Root, place: &Path) -> Vec<PathBuf> {
    let Ok(found) = root.resolve(place) else { return vec![place.to_owned()] };
    let mut weak = vec![place.to_owned()];
    if found.meta.kind != Kind::Directory {
        return weak;
    }
    for name in found.handle.names().unwrap_or_default() {
        let Ok(meta) = found.handle.open_child(&name).and_then(|h| h.meta()) else { continue };
        if meta.is_open() && matches!(meta.kind, Kind::File | Kind::Directory | Kind::Link) {
            weak.push(found.path.join(&name));
        }
    }
    weak
}

/// The same of everything below.
fn weak_below(root: &Root, folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = root.resolve(folder) else { return Vec::new() };
    let mut weak = vec![found.path.clone()];
    let mut seen = 0;
    walk(
        &found.path.clone(),
        found.handle,
        &mut |entry| {
            seen += 1;
            if entry.meta.is_open()
                && entry.depth > 0
                && matches!(entry.meta.kind, Kind::File | Kind::Directory)
            {
                weak.push(entry.path.clone());
            }
            seen < MOST && entry.depth < DEEPEST
        },
        &mut |_, _| {},
    );
    weak
}
