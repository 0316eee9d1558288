//! The look at one object: owner, mode, ACL, capabilities and label together.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use super::labels::{LabelCheck, Labels};
use super::secrets;
use super::sights::{KindWord, Sight, Sights};
use crate::grants::access::{Credentials, Object, rights};
use crate::grants::acl::{Acl, Perms};
use crate::grants::daemons::root_place;
use crate::grants::set_id;
use crate::host::Host;
use crate::sys::mounts::{Class, Mount, Mounts};
use crate::sys::scan::{Pass, Seen, Visit};
use crate::sys::{Kind, Meta};

/// An application's user, and what is its own.
#[derive(Debug)]
pub(super) struct AppUser {
    pub(super) app: usize,
    pub(super) creds: Credentials,
    /// Paths that it may write, with what is below them.
    pub(super) own: Vec<PathBuf>,
}

/// What every look needs to know.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) host: &'a Host,
    pub(super) users: Vec<AppUser>,
    /// Declared paths, with what is below them: their ACLs are looked at by the plan.
    pub(super) declared: Vec<PathBuf>,
    pub(super) labels: Option<Labels<'a>>,
    pub(super) mounts: Mounts,
    /// `dpkg-statoverride`: path and mode.
    pub(super) overrides: Vec<(Vec<u8>, u16)>,
    /// Trees that are left out.
    pub(super) left_out: &'a [&'a str],
}

/// Where everybody puts things for a while.
const TEMPORARY: [&[u8]; 5] = [b"/tmp/", b"/var/tmp/", b"/dev/shm/", b"/run/user/", b"/run/lock/"];
/// Where systemd and udev make ACL entries by themselves (tmpfiles.d, uaccess).
const MANAGED_ENTRIES: [&[u8]; 3] = [b"/var/log/journal", b"/run/log/journal", b"/dev/"];

/// Parts of root's places that a service owns by design: what it keeps there is its own, or its own decision.
const KEPT_BY_SERVICES: [(&str, &str); 3] = [
    ("/var/spool/cron/atjobs", "daemon"),
    ("/var/spool/cron/atspool", "daemon"),
    ("/etc/polkit-1/rules.d", "polkitd"),
];

impl Scope<'_> {
    /// Whether anybody but root is in the group, by /etc/group or as their primary group.
    fn has_members(&self, gid: u32) -> bool {
        let accounts = &self.host.accounts;
        accounts.users().iter().any(|u| u.gid == gid && u.uid != 0)
            || accounts.groups().iter().any(|g| g.gid == gid && g.members.iter().any(|m| m != "root"))
    }
}

/// What one thread saw.
pub(super) struct Look<'a> {
    scope: &'a Scope<'a>,
    pub(super) sights: Sights,
    /// Mounts that were not entered, and why.
    pub(super) not_entered: Vec<(PathBuf, String)>,
    labels: Option<LabelCheck<'a>>,
    /// By mount: objects with a label, and without.
    pub(super) labelled: FxHashMap<u64, (u64, u64)>,
    pub(super) seen: u64,
    pub(super) failed: u64,
    /// The folder looked at last, and the root place that it is in.
    folder: Vec<u8>,
    place: Option<&'static str>,
}

impl<'a> Look<'a> {
    pub(super) fn new(scope: &'a Scope<'a>) -> Look<'a> {
        Look {
            scope,
            sights: Sights::default(),
            not_entered: Vec::new(),
            labels: scope.labels.as_ref().map(Labels::check),
            labelled: FxHashMap::default(),
            seen: 0,
            failed: 0,
            folder: Vec::new(),
            place: None,
        }
    }

    /// What can be told from owner and mode alone, and what those give reason to look at.
    fn rights(&mut self, seen: &Seen<'_>) {
        let Meta { kind, uid, gid, mode, .. } = seen.meta;
        let owner = (uid, mode);
        match kind {
            Kind::Link | Kind::Socket | Kind::Pipe | Kind::Character => return,
            Kind::Block => {
                if mode & 0o006 != 0 {
                    self.sights.add(Sight::OpenDisk, seen.path, owner);
                }
                return;
            }
            Kind::File | Kind::Directory => {}
        }
        // What only root can come to gives nobody else anything.
        if seen.pass == Pass::Root {
            return;
        }
        let public = seen.pass == Pass::Everybody;
        let nosuid = || seen.mount.is_some_and(|m| m.has("nosuid"));
        if kind == Kind::File && mode & 0o6000 != 0 && !nosuid() {
            self.set_id(seen);
        }
        if let Some(value) = seen.attributes.capability().filter(|_| kind == Kind::File && !nosuid()) {
            let held = set_id::parse_capabilities(value);
            let path = String::from_utf8_lossy(seen.path);
            if !held.as_ref().is_some_and(|held| set_id::capabilities(&path, held)) {
                self.sights.add(Sight::Capability(held), seen.path, owner);
            }
        }
        let world = mode & 0o002 != 0;
        if world && public && !(kind == Kind::Directory && mode & 0o1000 != 0 && uid == 0) {
            self.sights.add(Sight::WorldWritable(KindWord::of(kind)), seen.path, owner);
        }
        let acl = seen.attributes.access_acl();
        if acl.is_some() || seen.attributes.default_acl().is_some() {
            self.entries(seen);
        }
        // Everybody's right is told already.
        if !world {
            let group = mode & 0o020 != 0 && gid != 0;
            if uid != 0 || group || acl.is_some() {
                self.root_place(seen, group);
                self.writable(seen, acl);
            }
        }
        if kind == Kind::File
            && mode & 0o004 != 0
            && public
            && let Some(secret) = secrets::by_name(seen.path)
        {
            self.sights.add(Sight::Secret(secret), seen.path, owner);
        }
    }

    fn set_id(&mut self, seen: &Seen<'_>) {
        let Meta { uid, gid, mode, .. } = seen.meta;
        let user = (mode & 0o4000 != 0).then_some(uid);
        // Without the group's x bit it says something else: locks are mandatory.
        let group = (mode & 0o2010 == 0o2010).then_some(gid);
        if user.is_none() && group.is_none() {
            return;
        }
        let names = &self.scope.host.accounts;
        let path = String::from_utf8_lossy(seen.path);
        let (user_name, group_name) = (user.map(|u| names.user_name(u)), group.map(|g| names.group_name(g)));
        let known = set_id::set_id(&path, user_name.as_deref(), group_name.as_deref()).is_some();
        let overridden = self.scope.overrides.iter().any(|(p, m)| p == seen.path && *m == mode);
        if !known && !overridden {
            self.sights.add(Sight::SetId { user, group }, seen.path, (uid, mode));
        }
    }

    fn entries(&mut self, seen: &Seen<'_>) {
        if MANAGED_ENTRIES.iter().any(|p| seen.path.starts_with(p)) {
            return;
        }
        let path = as_path(seen.path);
        let acls = [(false, seen.attributes.access_acl()), (true, seen.attributes.default_acl())];
        for (default, value) in acls {
            let Some(value) = value else { continue };
            let owner = (seen.meta.uid, seen.meta.mode);
            let Ok(parsed) = Acl::parse_xattr(value) else {
                self.sights.add(Sight::BadAcl, seen.path, owner);
                continue;
            };
            if self.scope.declared.iter().any(|d| path.starts_with(d)) {
                continue;
            }
            for entry in parsed.acl.named() {
                let perms = parsed.acl.effective(entry.tag).unwrap_or(entry.perms);
                // What gives nothing is no privilege.
                if !perms.is_empty() {
                    self.sights.add(Sight::Entry { default, tag: entry.tag, perms }, seen.path, owner);
                }
            }
        }
    }

    fn root_place(&mut self, seen: &Seen<'_>, group: bool) {
        let end = seen.path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        let folder = seen.path.get(..end).unwrap_or_default();
        if folder != self.folder {
            folder.clone_into(&mut self.folder);
            self.place = root_place(as_path(folder))
                .filter(|(p, _)| Path::new(p) != Path::new("/dev"))
                .and_then(|(place, _)| folder.starts_with(place.as_bytes()).then_some(place));
        }
        let Some(place) = self.place else { return };
        let Meta { uid, gid, mode, .. } = seen.meta;
        // A group that nobody is in gives nobody anything: `crontab` is only the program's.
        let group = group && self.scope.has_members(gid);
        if KEPT_BY_SERVICES.iter().any(|(p, owner)| {
            seen.path.starts_with(p.as_bytes()) && self.scope.host.accounts.user_name(uid) == *owner
        }) {
            return;
        }
        // Owners may give themselves the right; a service's own folder that only it uses is not root's to act on.
        if uid != 0 || group {
            let gid = if group { gid } else { 0 };
            self.sights.add(Sight::RootPlace { place, uid, gid, mode: mode & 0o070 }, seen.path, (uid, mode));
        }
    }

    fn writable(&mut self, seen: &Seen<'_>, acl: Option<&[u8]>) {
        let Meta { kind, uid, gid, mode, .. } = seen.meta;
        let mut parsed = None;
        for user in &self.scope.users {
            let own = user.creds.uid == uid;
            let group = mode & 0o020 != 0 && user.creds.in_group(gid);
            if !own && !group && acl.is_none() {
                continue;
            }
            let may = own || {
                let acl = acl.map(|a| parsed.get_or_insert_with(|| Acl::parse_xattr(a).ok().map(|p| p.acl)));
                let type_bits = if kind == Kind::Directory { 0o040_000 } else { 0o100_000 };
                let object =
                    Object { uid, gid, mode: type_bits | u32::from(mode), acl: acl.and_then(|a| a.as_ref()) };
                rights(&user.creds, &object).contains(Perms::W)
            };
            let path = as_path(seen.path);
            if may
                && !user.own.iter().any(|o| path.starts_with(o))
                && !TEMPORARY.iter().any(|t| seen.path.starts_with(t))
            {
                self.sights.add(Sight::Writable { app: user.app }, seen.path, (uid, mode));
            }
        }
    }

    fn label(&mut self, seen: &Seen<'_>) {
        let Some(check) = &mut self.labels else { return };
        if !seen.attributes.supported() || !check.on(seen.mount) {
            return;
        }
        let label = seen.attributes.label();
        let counts = self.labelled.entry(seen.mount.map_or(0, |m| m.id)).or_default();
        match label {
            Some(_) => counts.0 += 1,
            None => counts.1 += 1,
        }
        if let Some(sight) = check.look(seen.path, seen.meta.kind, label) {
            self.sights.add(sight, seen.path, (seen.meta.uid, seen.meta.mode));
        }
    }
}

impl Visit for Look<'_> {
    fn see(&mut self, seen: &Seen<'_>) -> bool {
        self.seen += 1;
        self.rights(seen);
        self.label(seen);
        !self.scope.left_out.iter().any(|l| l.as_bytes() == seen.path)
    }

    fn enter(&mut self, path: &[u8], mount: Option<&Mount>) -> bool {
        let why = match mount {
            None => "it was mounted while this ran".to_owned(),
            Some(m) => match m.class() {
                Class::Pseudo => format!("{}, which the kernel makes up", m.kind),
                Class::Remote => format!("{}, another host's or a program's", m.kind),
                Class::Local => match self.scope.mounts.shown_before(m) {
                    Some(before) if before.root == m.root || before.point != Path::new("/") => {
                        format!("the same files as {}", before.point.display())
                    }
                    Some(_) => format!("the same files as {}", m.root.display()),
                    None => return true,
                },
            },
        };
        self.not_entered.push((as_path(path).to_owned(), why));
        false
    }

    fn failed(&mut self, path: &[u8], error: io::Error) {
        self.failed += 1;
        self.sights.add(Sight::Unread(error.to_string()), path, (0, 0));
    }
}

pub(super) fn as_path(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}
