//! Sights → findings: each kind with its reason and its remedy, few lines for many files.

use std::path::Path;

use rustc_hash::FxHashMap;

use super::HOST;
use super::look::{Scope, as_path};
use super::secrets;
use super::sights::{Group, SHOWN, Sight};
use crate::grants::acl::Tag;
use crate::manifest::Manifest;
use crate::report::codes::{acl, excess, label};
use crate::report::numbers::thousands as number;
use crate::report::{Class, Code, Finding};

/// Of many objects so many are named.
const NAMED: usize = 3;
/// The beginning of a file that is enough to tell a secret by.
const HEAD: u64 = 1 << 14;

pub(super) fn findings(
    scope: &Scope<'_>,
    manifests: &[Manifest],
    sights: super::sights::Sights,
    labelled: &FxHashMap<u64, (u64, u64)>,
) -> Vec<Finding> {
    let mut teller = Teller { scope, manifests, found: Vec::new(), bare: bare_mounts(scope, labelled) };
    for (sight, group) in sights.into_iter() {
        teller.tell(&sight, &group);
    }
    teller.unlabelled();
    teller.found.sort_by(|a, b| (&a.app, a.code.id, &a.place).cmp(&(&b.app, b.code.id, &b.place)));
    teller.found
}

/// The mounts on which next to nothing has a label, with how many objects have none.
fn bare_mounts(scope: &Scope<'_>, labelled: &FxHashMap<u64, (u64, u64)>) -> Vec<(String, u64, u64)> {
    let bare = labelled.iter().filter(|(_, (with, without))| with.saturating_mul(100) < *without);
    let mut list: Vec<_> = bare
        .map(|(id, (with, without))| {
            let mount = scope.mounts.all().iter().find(|m| m.id == *id);
            let point = mount.map_or_else(|| "/".to_owned(), |m| m.point.display().to_string());
            (point, *without, with + without)
        })
        .collect();
    list.sort();
    list
}

struct Teller<'a> {
    scope: &'a Scope<'a>,
    manifests: &'a [Manifest],
    found: Vec<Finding>,
    /// Mounts with next to no labels.
    bare: Vec<(String, u64, u64)>,
}

impl Teller<'_> {
    /// One finding for each path, or one for all where they are many. `make` gets `FILE` or `N files, the first FILE`.
    fn each(&mut self, group: &Group, make: impl Fn(&Self, &str, Option<(&Path, u32, u16)>) -> Finding) {
        if group.count > SHOWN as u64 {
            let folder = group.folder().display().to_string();
            let mut f = make(self, &folder, None);
            let first: Vec<String> =
                group.first.keys().take(NAMED).map(|p| as_path(p).display().to_string()).collect();
            f.is =
                format!("{}. {} of them below, the first: {}", f.is, number(group.count), first.join(", "));
            self.found.push(f);
            return;
        }
        for (path, (uid, mode)) in &group.first {
            let path = as_path(path);
            let f = make(self, &path.display().to_string(), Some((path, *uid, *mode)));
            self.found.push(f);
        }
    }

    fn user(&self, uid: u32) -> String {
        self.scope.host.accounts.user_name(uid)
    }

    fn group(&self, gid: u32) -> String {
        self.scope.host.accounts.group_name(gid)
    }

    fn tell(&mut self, sight: &Sight, group: &Group) {
        match sight {
            Sight::SetId { user, group: gid } => self.each(group, |t, place, _| {
                let whom: Vec<String> = [
                    user.map(|u| format!("user {}", t.user(u))),
                    gid.map(|g| format!("group {}", t.group(g))),
                ]
                .into_iter()
                .flatten()
                .collect();
                Finding::new(&excess::SET_ID, Class::Excess, HOST, place)
                    .is(format!("runs as {}, whoever starts it", whom.join(" and ")), "a program that runs as its caller")
                    .why("it is not among the programs that are known to need it")
                    .remedy("chmod u-s,g-s; see first where it comes from (dpkg -S, rpm -qf)")
            }),
            Sight::Capability(held) => self.each(group, |_, place, _| {
                let is = match held {
                    Some(held) if held.is_empty() => "an empty set of capabilities: it runs as root with none".to_owned(),
                    Some(held) => held.join(", "),
                    None => "capabilities that cannot be read".to_owned(),
                };
                Finding::new(&excess::CAPABILITY, Class::Excess, HOST, place)
                    .is(is, "no capabilities")
                    .why("whoever starts it has them; it is not among the programs that are known to need them")
                    .remedy("setcap -r; a service is given them by its unit (AmbientCapabilities=)")
            }),
            Sight::WorldWritable(kind) => self.each(group, |t, place, one| {
                let sticky = one.is_some_and(|(_, _, mode)| mode & 0o1000 != 0);
                let why = match (kind, one) {
                    (super::sights::KindWord::Folder, Some((_, uid, _))) if sticky => {
                        format!("it is sticky, but {} owns it and may delete what others put there", t.user(uid))
                    }
                    (super::sights::KindWord::Folder, _) if !sticky => {
                        "everybody may delete and replace what others put there".to_owned()
                    }
                    _ => "everybody can come to it".to_owned(),
                };
                let mode = one.map_or_else(String::new, |(_, _, m)| format!(", mode {m:04o}"));
                Finding::new(&excess::WORLD_WRITABLE, Class::Excess, HOST, place)
                    .is(format!("a {} that everybody may write{mode}", kind.word()), "written by those who need to")
                    .why(why)
                    .remedy("chmod o-w; for a folder that is shared: chmod +t, and root as its owner")
            }),
            Sight::OpenDisk => self.each(group, |_, place, one| {
                let mode = one.map_or_else(String::new, |(_, _, m)| format!(", mode {m:04o}"));
                Finding::new(&excess::OPEN_DISK, Class::Excess, HOST, place)
                    .is(format!("a disk that everybody may use{mode}"), "root's and group disk's")
                    .why("all files on it can be read or changed past their own rights")
                    .remedy("chmod o-rw, and mend the udev rule that gave it")
            }),
            Sight::Writable { app } => {
                let Some(m) = self.manifests.get(*app) else { return };
                let (name, user) = (m.app.name.value.clone(), m.app.user.name.value.clone());
                self.each(group, |t, place, one| {
                    let how = match one {
                        Some((_, uid, mode)) if t.user(uid) == user => format!("{user} owns it, mode {mode:04o}"),
                        Some((_, _, mode)) => format!("{user} may write it by its group or ACL, mode {mode:04o}"),
                        None => format!("{user} may write it"),
                    };
                    let mut f = Finding::new(&excess::WRITABLE, Class::Excess, &name, place)
                        .is(how, "nothing that it can write but what is declared")
                        .remedy("take the right away (chown, chmod, setfacl -x); or declare it: [[path]] with access = \"write\"");
                    f.origin = Some(m.app.user.origin.clone());
                    f
                });
            }
            Sight::Entry { default, tag, perms } => self.each(group, |t, place, _| {
                let who = match tag {
                    Tag::User(uid) => format!("user:{}", t.user(*uid)),
                    Tag::Group(gid) => format!("group:{}", t.group(*gid)),
                    _ => "mask".to_owned(),
                };
                let prefix = if *default { "default:" } else { "" };
                Finding::new(&excess::ACL_ENTRY, Class::Excess, HOST, place)
                    .is(format!("{prefix}{who}:{perms}"), "no entry that nobody declared")
                    .remedy(format!("setfacl {}-x {who}; or declare it: acl = [\"…\"]", if *default { "-d " } else { "" }))
            }),
            Sight::BadAcl => self.each(group, |_, place, _| {
                Finding::new(&acl::WRONG_ENTRY, Class::Unchecked, HOST, place)
                    .is("an ACL that setfacl would refuse (unsorted, or twice the same)", "an ACL")
                    .why("the kernel goes by its first entry that fits, and tools show another")
                    .remedy("setfacl -b, and set it anew")
            }),
            Sight::Secret(secret) => self.secret(*secret, group),
            Sight::RootPlace { place, uid, gid, .. } => self.each(group, |t, at, one| {
                let why = crate::grants::daemons::root_place(Path::new(place)).map_or("", |(_, why)| why);
                let mut by = Vec::new();
                if *uid != 0 {
                    by.push(format!("user {} owns it", t.user(*uid)));
                }
                if *gid != 0 {
                    by.push(format!("group {} may write it", t.group(*gid)));
                }
                let mode = one.map_or_else(String::new, |(_, _, m)| format!(", mode {m:04o}"));
                Finding::new(&excess::ROOT_PLACE, Class::Excess, HOST, at)
                    .is(format!("{}{mode}", by.join(", ")), "root's, and closed to others")
                    .why(format!("{place}: {why}"))
                    .remedy("chown root, chmod g-w")
            }),
            Sight::Label { is, should, user_and_level } => self.label(is.as_deref(), should, *user_and_level, group),
            Sight::Undecided => self.each(group, |_, place, _| {
                Finding::new(&label::UNCHECKED, Class::Unchecked, HOST, place)
                    .is("a label that cannot be judged", "one that the specifications decide")
                    .why("a pattern that could decide it is not understood; perms label PATH names it")
                    .remedy("perms label PATH")
            }),
            Sight::Unread(error) => self.each(group, |_, place, _| {
                Finding::new(&excess::UNREAD, Class::Unchecked, HOST, place)
                    .is(format!("not known: {error}"), "looked at")
                    .remedy("run as root; if that was root, see what it is (findmnt -T, ls -la)")
            }),
            Sight::Other => self.each(group, |_, place, _| {
                Finding::new(&excess::UNREAD, Class::Unchecked, HOST, place)
                    .is("wrong in more ways than are kept apart", "looked at")
                    .remedy("mend what is told, and run it again")
            }),
        }
    }

    /// A secret is one by its content, too. Of many, the first are looked at.
    fn secret(&mut self, secret: secrets::Secret, group: &Group) {
        for (path, (_, mode)) in &group.first {
            let path = as_path(path);
            let read =
                self.scope.host.root.open_exact(path).map_err(std::io::Error::from).and_then(|(h, _)| {
                    use std::io::Read as _;
                    let mut head = Vec::new();
                    h.open_file()?.take(HEAD).read_to_end(&mut head)?;
                    Ok(head)
                });
            if read.is_ok_and(|head| !secrets::confirmed(secret, &head)) {
                continue;
            }
            self.found.push(
                Finding::new(&excess::SECRET, Class::Excess, HOST, path.display().to_string())
                    .is(
                        format!("{}, mode {mode:04o}: everybody may read it", secret.words()),
                        "read by those who need it",
                    )
                    .remedy("chmod o-r, and change the secret: it may be known"),
            );
        }
        if group.count > group.first.len() as u64 {
            let more = number(group.count - group.first.len() as u64);
            self.found.push(
                Finding::new(&excess::SECRET, Class::Unchecked, HOST, group.folder().display().to_string())
                    .is(format!("{more} more files with names of {}", secret.words()), "looked at")
                    .remedy("see to those that are told, and run it again"),
            );
        }
    }

    fn label(&mut self, is: Option<&[u8]>, should: &[u8], rest: bool, group: &Group) {
        // Nothing on the file system has one: told once, below.
        if is.is_none() && !self.bare.is_empty() {
            let folder = group.folder();
            let on = self.scope.mounts.of_path(&folder).map(|m| m.point.display().to_string());
            // Paths beneath another root say nothing of this host's mounts.
            let elsewhere = !self.scope.host.root.is_host();
            if elsewhere || on.is_none_or(|on| self.bare.iter().any(|(p, ..)| *p == on)) {
                return;
            }
        }
        let text = |l: &[u8]| String::from_utf8_lossy(l).into_owned();
        self.each(group, |_, place, one| {
            let deep = if one.is_none() { "-R " } else { "" };
            let force = if rest { "-F " } else { "" };
            let code: Code = if is.is_some() { &label::WRONG } else { &label::MISSING };
            let class = if is.is_some() { Class::Wrong } else { Class::Missing };
            let f = Finding::new(code, class, HOST, place)
                .is(is.map_or_else(|| "no label".to_owned(), text), text(should))
                .remedy(format!("restorecon {deep}{force}-v {place}; why: perms label {place}"));
            if rest {
                f.why("the type is right, or one that may be chosen; user, role or level differ")
            } else {
                f
            }
        });
    }

    fn unlabelled(&mut self) {
        for (point, without, all) in std::mem::take(&mut self.bare) {
            let point = if self.scope.host.root.is_host() { point } else { "/".to_owned() };
            self.found.push(
                Finding::new(&excess::UNLABELLED, Class::Unchecked, HOST, point)
                    .is(
                        format!("{} of {} objects have no label", number(without), number(all)),
                        "labelled as the policy says",
                    )
                    .why("SELinux was off when they were made")
                    .remedy("touch /.autorelabel and reboot, where SELinux is to be used"),
            );
        }
    }
}
