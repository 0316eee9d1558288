//! May a user do this to that path? Every layer is asked, in the kernel's order, and also those behind one that denies.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::answer::{Answer, Layer, Object, Step, Verdict};
use super::domain::{Domain, Wanted};
use super::explain::{decided, mode_text};
use super::walk::{End, Passed, Seen, Way, walk};
use crate::grants::access::{self, CapSet, Capability, Credentials};
use crate::grants::acl::{Acl, Perms};
use crate::host::code::first_line;
use crate::host::{Accounts, Host};
use crate::sys::Kind;
use crate::sys::mounts::Mounts;

/// What may be done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Open a file for reading; list a folder.
    Read,
    /// Open a file for writing; make and remove names in a folder.
    Write,
    /// Execute a file.
    Execute,
    /// Pass through a folder.
    Search,
    /// Make a file of that name; where the path is a folder, anything in it.
    Create,
    /// Remove the name; a folder must be empty for that.
    Delete,
    /// Change mode and ACL.
    Chmod,
}

impl Action {
    /// All.
    pub const ALL: [Action; 7] = [
        Action::Read,
        Action::Write,
        Action::Execute,
        Action::Search,
        Action::Create,
        Action::Delete,
        Action::Chmod,
    ];

    /// Its word: `read`.
    pub const fn word(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Write => "write",
            Action::Execute => "execute",
            Action::Search => "search",
            Action::Create => "create",
            Action::Delete => "delete",
            Action::Chmod => "chmod",
        }
    }

    /// The action of this word.
    pub fn of(word: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|a| a.word() == word)
    }

    /// Whether a link at the end of the path is followed.
    pub(super) const fn follows(self) -> bool {
        !matches!(self, Action::Create | Action::Delete)
    }
}

/// Who asks: what the kernel goes by of a process.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The account's name.
    pub name: String,
    /// uid, gid, groups, capabilities.
    pub credentials: Credentials,
}

impl Asker {
    /// A session of this account, as login(1) makes it; `None` if there is no such account.
    pub fn of_user(accounts: &Accounts, name: &str) -> Option<Asker> {
        Some(Asker { name: name.to_owned(), credentials: accounts.credentials(name)? })
    }
}

/// Answers. With a domain, capabilities count only as far as the policy gives them to it, as for the kernel.
pub fn may(host: &Host, asker: &Asker, action: Action, path: &Path, domain: Option<&Domain<'_>>) -> Answer {
    may_on(host, asker, action, &walk(&host.root, path, action.follows()), domain)
}

/// As [`may`], with the way walked already.
pub(super) fn may_on(
    host: &Host,
    asker: &Asker,
    action: Action,
    way: &Way,
    domain: Option<&Domain<'_>>,
) -> Answer {
    let mut credentials = asker.credentials.clone();
    if let Some(domain) = domain {
        credentials.capabilities = domain.capabilities(credentials.capabilities);
    }
    let mut q = Asking { host, asker, credentials, action, domain, steps: Vec::new() };
    for passed in &way.passed {
        match passed {
            Passed::Folder(folder) => q.pass(folder),
            Passed::Link(link, folder) => {
                q.protected(link, folder.mode, folder.uid);
                q.selinux(link, &Wanted::new("lnk_file", &["read"]));
            }
        }
    }
    let resolved = match &way.end {
        End::Found(object, _) => Some(object.path.clone()),
        End::Missing(at, _) => Some(at.clone()),
        _ => None,
    };
    q.end(&way.end);
    Answer::all(q.steps, resolved)
}

struct Asking<'a> {
    host: &'a Host,
    asker: &'a Asker,
    /// With the capabilities that the domain leaves.
    credentials: Credentials,
    action: Action,
    domain: Option<&'a Domain<'a>>,
    steps: Vec<Step>,
}

impl Asking<'_> {
    fn look(&self, seen: &Seen, acl: bool) -> Object {
        Object {
            mode: mode_text(seen.full_mode(), acl),
            owner: self.host.accounts.user_name(seen.meta.uid),
            group: self.host.accounts.group_name(seen.meta.gid),
        }
    }

    /// The ACL, or a step that says why it is not known.
    fn acl(&mut self, seen: &Seen) -> Option<Acl> {
        seen.acl().unwrap_or_else(|e| {
            self.failed(&seen.path, "access ACL", &e);
            None
        })
    }

    fn failed(&mut self, at: &Path, what: &str, error: &io::Error) {
        let at = at.display().to_string();
        let why = format!("cannot be looked at: {error}");
        self.steps.push(Step::new(Layer::Object, at, what, Verdict::Unknown, why));
    }

    /// Asks owner, mode, ACL and capabilities by one of the rules of [`access`].
    fn access(
        &mut self,
        seen: &Seen,
        what: &str,
        rule: impl FnOnce(&Credentials, &access::Object<'_>) -> access::Decision,
    ) -> bool {
        let acl = self.acl(seen);
        let object = access::Object {
            uid: seen.meta.uid,
            gid: seen.meta.gid,
            mode: seen.full_mode(),
            acl: acl.as_ref(),
        };
        let decision = rule(&self.credentials, &object);
        let layer = if decision.by == access::By::Sticky { Layer::Sticky } else { Layer::Access };
        let (by, notes) = decided(&decision, &self.host.accounts, self.asker, &self.credentials);
        let verdict = Verdict::of(decision.allowed);
        let mut step = Step::new(layer, seen.path.display().to_string(), what, verdict, by);
        step.object = Some(self.look(seen, acl.is_some()));
        step.notes = notes;
        self.steps.push(step);
        decision.allowed
    }

    /// A folder on the way.
    fn pass(&mut self, folder: &Seen) {
        self.access(folder, "search", |c, o| access::permission(c, o, Perms::X));
        self.selinux(folder, &Wanted::new("dir", &["search"]));
        self.own_server(folder);
    }

    /// File systems on which a server or a program decides.
    fn own_server(&mut self, seen: &Seen) {
        if seen.handle.mount().is_ok_and(|m| m.decides_itself) {
            let at = seen.path.display().to_string();
            if self.steps.iter().any(|s| s.layer == Layer::Mount && s.verdict == Verdict::Unknown) {
                return;
            }
            let why = "a file system whose server (or program) has the last word";
            self.steps.push(Step::new(Layer::Mount, at, self.action.word(), Verdict::Unknown, why));
        }
    }

    /// The kernel follows a link in a sticky folder that all may write only for the link's owner, or if it is the
    /// folder's owner's (`fs.protected_symlinks`).
    fn protected(&mut self, link: &Seen, folder_mode: u16, folder_uid: u32) {
        let open = folder_mode & 0o1002 == 0o1002;
        if !open || link.meta.uid == self.credentials.uid || link.meta.uid == folder_uid {
            return;
        }
        let setting = if self.host.root.is_host() {
            std::fs::read_to_string("/proc/sys/fs/protected_symlinks").ok()
        } else {
            None
        };
        let verdict = match setting.as_deref().map(str::trim) {
            Some("0") => return,
            Some(_) => Verdict::No,
            None => Verdict::Unknown,
        };
        let by = format!(
            "fs.protected_symlinks: a link of {}'s in a sticky folder that all may write",
            self.host.accounts.user_name(link.meta.uid)
        );
        let at = link.path.display().to_string();
        let mut step = Step::new(Layer::Link, at, "follow", verdict, by);
        step.object = Some(self.look(link, false));
        self.steps.push(step);
    }

    fn selinux(&mut self, seen: &Seen, wanted: &Wanted<'_>) {
        if let Some(domain) = self.domain {
            self.steps.extend(domain.ask(&seen.path, &seen.handle, &seen.meta, wanted));
        }
    }

    fn end(&mut self, end: &End) {
        let action = self.action;
        match end {
            End::Broken(at, why) => self.object(at, Verdict::No, why),
            End::Failed(at, error) => self.failed(at, action.word(), error),
            End::Missing(at, folder) if action == Action::Create => {
                self.make_in(folder, at.file_name().map(OsStrExt::as_bytes));
            }
            End::Missing(at, _) => self.object(at, Verdict::No, "does not exist"),
            End::Found(object, folder) => match action {
                Action::Create if object.meta.kind == Kind::Directory => self.make_in(object, None),
                Action::Create => self.object(&object.path, Verdict::No, "exists already"),
                Action::Delete => self.delete(object, folder.as_ref()),
                Action::Chmod => self.chmod(object),
                Action::Read | Action::Write => self.open(object),
                Action::Execute => self.execute(object),
                Action::Search => self.search(object),
            },
        }
    }

    fn object(&mut self, at: &Path, verdict: Verdict, why: &str) {
        let at = at.display().to_string();
        self.steps.push(Step::new(Layer::Object, at, self.action.word(), verdict, why));
    }

    /// Immutable and append-only, which stop root too.
    fn attributes(&mut self, seen: &Seen, what: &str, append_too: bool) {
        let Ok(attributes) = seen.handle.attributes() else { return };
        let (by, letter) = match (attributes.immutable, attributes.append_only && append_too) {
            (true, _) => ("immutable", 'i'),
            (_, true) => ("append-only", 'a'),
            _ => return,
        };
        let at = seen.path.display().to_string();
        let mut step = Step::new(Layer::Attribute, at, what, Verdict::No, by);
        if self.credentials.uid == 0 {
            step = step.note(format!("root can take that away: chattr -{letter}"));
        }
        self.steps.push(step);
    }

    /// Whether anything can be changed on this file system.
    fn writable(&mut self, seen: &Seen, what: &str) {
        if seen.handle.mount().is_ok_and(|m| m.read_only) {
            let at = seen.path.display().to_string();
            self.steps.push(Step::new(Layer::Mount, at, what, Verdict::No, "mounted read-only"));
        }
    }

    fn open(&mut self, object: &Seen) {
        let writes = self.action == Action::Write;
        let folder = object.meta.kind == Kind::Directory;
        let special = matches!(object.meta.kind, Kind::Block | Kind::Character | Kind::Pipe | Kind::Socket);
        let socket = object.meta.kind == Kind::Socket;
        let what = match (writes, object.meta.kind) {
            (true, Kind::Directory) => "write in",
            // What connecting to one takes: unix(7).
            (true, Kind::Socket) => "connect to",
            _ => self.action.word(),
        };
        if writes && !special {
            self.writable(object, what);
        }
        if writes {
            self.attributes(object, what, !folder && !socket);
        }
        let device = matches!(object.meta.kind, Kind::Block | Kind::Character);
        if device && object.handle.mount().is_ok_and(|m| m.no_devices) {
            let at = object.path.display().to_string();
            self.steps.push(Step::new(Layer::Mount, at, what, Verdict::No, "mounted nodev"));
        }
        let want = match (writes, folder) {
            (true, true) => Perms::WX,
            (true, false) => Perms::W,
            _ => Perms::R,
        };
        self.access(object, what, |c, o| access::permission(c, o, want));
        let class = class(object.meta.kind);
        let wanted = match (writes, folder) {
            (true, true) => Wanted::new(class, &["write", "search"]),
            (true, false) if socket => Wanted::new(class, &["write"]),
            (true, false) => Wanted::new(class, &["write", "open"]),
            _ => Wanted::new(class, &["read", "open"]),
        };
        if socket && !writes {
            self.object(&object.path, Verdict::No, "is a socket, which is connected to and not opened");
        }
        self.selinux(object, &wanted);
        self.own_server(object);
    }

    fn search(&mut self, object: &Seen) {
        if object.meta.kind != Kind::Directory {
            return self.object(&object.path, Verdict::No, "is not a folder");
        }
        self.pass(object);
    }

    fn execute(&mut self, object: &Seen) {
        if !self.executable(object) {
            return;
        }
        if let Some(domain) = self.domain {
            self.steps.extend(domain.execute(&object.path, &object.handle, &object.meta));
        }
        self.own_server(object);
        let mut script = interpreter(object);
        // The interpreter of a script opens it as the user.
        if script.is_some() {
            self.access(object, "read, as its interpreter does", |c, o| access::permission(c, o, Perms::R));
        }
        for _ in 0..MOST_INTERPRETERS {
            let Some(path) = script.take() else { return };
            let way = walk(&self.host.root, &path, true);
            for passed in &way.passed {
                match passed {
                    Passed::Folder(folder) => self.pass_once(folder),
                    Passed::Link(link, folder) => {
                        self.protected(link, folder.mode, folder.uid);
                        self.selinux(link, &Wanted::new("lnk_file", &["read"]));
                    }
                }
            }
            match &way.end {
                End::Found(program, _) => {
                    if !self.executable(program) {
                        return;
                    }
                    self.selinux(program, &Wanted::new("file", &["execute", "open"]));
                    script = interpreter(program);
                }
                End::Missing(at, _) => {
                    return self.object(
                        at,
                        Verdict::No,
                        "does not exist: the script names it as its interpreter",
                    );
                }
                End::Broken(at, why) => return self.object(at, Verdict::No, why),
                End::Failed(at, error) => return self.failed(at, "execute", error),
            }
        }
        if let Some(at) = script {
            self.object(&at, Verdict::No, "is one interpreter too many: the kernel follows five");
        }
    }

    /// A folder on the way, unless it was passed already.
    fn pass_once(&mut self, folder: &Seen) {
        let at = folder.path.display().to_string();
        if !self.steps.iter().any(|s| s.at == at && s.what == "search") {
            self.pass(folder);
        }
    }

    /// Whether the file may be executed, by its kind, its mount, its mode and ACL.
    fn executable(&mut self, object: &Seen) -> bool {
        if object.meta.kind != Kind::File {
            self.object(&object.path, Verdict::No, "is not a regular file");
            return false;
        }
        let no_exec = object.handle.mount().is_ok_and(|m| m.no_exec);
        if no_exec {
            let at = object.path.display().to_string();
            self.steps.push(Step::new(Layer::Mount, at, "execute", Verdict::No, "mounted noexec"));
        }
        self.access(object, "execute", |c, o| access::permission(c, o, Perms::X)) && !no_exec
    }

    /// The kind of file system that it is on, of the running host: an image's need not be that of the host it is for.
    fn file_system(&self, seen: &Seen) -> Option<String> {
        let mounts = self.host.root.is_host().then(|| Mounts::read().ok())??;
        let mount = mounts.of_path(&seen.path)?;
        // Where a context was given with the mount, the file system's own is not known from the policy.
        let given = mount.options.iter().any(|o| o.starts_with("context=") || o.starts_with("fscontext="));
        (!given).then(|| mount.kind.clone())
    }

    fn make_in(&mut self, folder: &Seen, name: Option<&[u8]>) {
        if folder.meta.kind != Kind::Directory {
            return self.object(&folder.path, Verdict::No, "is not a folder");
        }
        self.writable(folder, "create in");
        self.attributes(folder, "create in", false);
        self.access(folder, "create in", access::create);
        self.selinux(folder, &Wanted::new("dir", &["write", "search", "add_name"]));
        if let Some(domain) = self.domain {
            let kind = self.file_system(folder);
            self.steps.extend(domain.create(
                &folder.path,
                &folder.handle,
                &folder.meta,
                name,
                kind.as_deref(),
            ));
        }
        self.own_server(folder);
    }

    fn delete(&mut self, object: &Seen, folder: Option<&Seen>) {
        let Some(folder) = folder else {
            return self.object(&object.path, Verdict::No, "is the root folder");
        };
        if object.handle.attributes().is_ok_and(|a| a.mount_point) {
            self.object(&object.path, Verdict::No, "is a mount point: it is in use");
        }
        self.writable(folder, "delete in");
        self.attributes(folder, "delete in", true);
        self.attributes(object, "delete", true);
        let acl = self.acl(object);
        let target = access::Object {
            uid: object.meta.uid,
            gid: object.meta.gid,
            mode: object.full_mode(),
            acl: acl.as_ref(),
        };
        self.access(folder, "delete in", |c, o| access::delete(c, o, &target));
        self.selinux(folder, &Wanted::new("dir", &["write", "search", "remove_name"]));
        let class = class(object.meta.kind);
        let permission = if object.meta.kind == Kind::Directory { "rmdir" } else { "unlink" };
        self.selinux(object, &Wanted::new(class, &[permission]));
        if object.meta.kind == Kind::Directory && object.handle.names().is_ok_and(|n| !n.is_empty()) {
            self.object(&object.path, Verdict::No, "is a folder that is not empty");
        }
        self.own_server(folder);
    }

    fn chmod(&mut self, object: &Seen) {
        self.writable(object, "chmod");
        self.attributes(object, "chmod", true);
        self.access(object, "chmod", access::change_mode);
        self.selinux(object, &Wanted::new(class(object.meta.kind), &["setattr"]));
        self.own_server(object);
    }
}

/// How many interpreters the kernel follows, a script's own being the first (fs/exec.c).
const MOST_INTERPRETERS: usize = 5;

/// The interpreter that a script's first line names; `None`: it is no script.
fn interpreter(seen: &Seen) -> Option<PathBuf> {
    first_line(&seen.handle.read_start(256).ok()?).map(|(name, _)| PathBuf::from(name))
}

/// The policy's class of a kind of object.
pub(super) const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "dir",
        Kind::Link => "lnk_file",
        Kind::Pipe => "fifo_file",
        Kind::Socket => "sock_file",
        Kind::Block => "blk_file",
        Kind::Character => "chr_file",
    }
}

/// Capabilities by name, as `capsh` and units write them: `CAP_DAC_OVERRIDE`, in any case, the prefix left out or not.
pub fn capability(name: &str) -> Option<Capability> {
    let name = name.to_ascii_uppercase();
    let all = [Capability::DacOverride, Capability::DacReadSearch, Capability::Fowner];
    all.into_iter().find(|c| c.name() == name || c.name().strip_prefix("CAP_") == Some(&*name))
}

/// Adds capabilities.
pub fn with_capabilities(set: CapSet, more: &[Capability]) -> CapSet {
    more.iter().fold(set, |set, c| set.with(*c))
}
