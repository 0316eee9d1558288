//! SELinux as a host has it: whether it is on, what its policy knows, and what its store holds of local changes.
//!
//! Everything is read from files, as `semanage` would write them; no tool is run, so that an audit takes milliseconds
//! and works where semanage is not installed. Fields of the files: libsemanage's `*_file.c`, semanage.conf(5).

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::contexts::{self, ContextFiles};
use super::policy_store::{
    LocalContext, LocalInterface, LocalLogin, LocalNode, LocalPort, parse_boolean_names, parse_booleans,
    parse_contexts, parse_interfaces, parse_logins, parse_nodes, parse_ports,
};
use super::store_modules::{self, StoreModule};
use crate::selinux::contexts::{FileContexts, Precedence};
use crate::selinux::policy::{NEWEST, OLDEST, Policy, TypeKind};
use crate::sys::Root;

const LIMIT: u64 = 64 << 20;
const CONFIG: &str = "/etc/selinux";

/// SELinux on a host. What takes time (the policy, its file contexts) is read when it is first asked for.
#[derive(Debug, Default)]
pub struct Selinux {
    /// The running kernel has a policy loaded (and the tree that is looked at is its own).
    pub active: bool,
    /// Whether the running kernel enforces; none where it is not active.
    pub enforcing: Option<bool>,
    /// `SELINUX` of /etc/selinux/config: the mode after the next boot.
    pub configured: Option<String>,
    /// `SELINUXTYPE` of /etc/selinux/config.
    pub policy_type: Option<String>,
    /// Whether the policy store can be looked at.
    pub store: Store,
    booleans: Vec<(String, bool)>,
    ports: Vec<LocalPort>,
    contexts: Vec<LocalContext>,
    /// Specifications of files.
    pub context_files: ContextFiles,
    /// The rules by which libselinux looks them up, and the library that was found.
    pub library: Option<(Precedence, PathBuf)>,
    /// `file_contexts.subs` and `.subs_dist`.
    substitutions: Option<FileContexts>,
    boolean_names: Vec<(String, String)>,
    nodes: Vec<LocalNode>,
    interfaces: Vec<LocalInterface>,
    logins: Vec<LocalLogin>,
    /// All logins: the policy's own, and the local ones over them.
    all_logins: Vec<LocalLogin>,
    modules: Vec<StoreModule>,
    /// `semodule -DB` was last said: all denials are logged.
    pub no_dontaudit: bool,
    folder: PathBuf,
    linked: OnceCell<Option<Policy>>,
    base: OnceCell<Vec<LocalContext>>,
    policy: OnceCell<Result<Policy, String>>,
}

/// Whether the policy store can be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Store {
    /// It can.
    Ready,
    /// There is none that belongs to a running kernel.
    #[default]
    Absent,
    /// It is there and cannot be read.
    Unreadable(String),
}

/// Whether a kernel with a policy loaded runs, and this is its host.
pub fn is_active(root: &Root) -> bool {
    root.is_host() && Path::new("/sys/fs/selinux/enforce").exists()
}

fn read_text(root: &Root, path: &Path) -> String {
    String::from_utf8_lossy(&root.read(path, LIMIT).unwrap_or_default()).into_owned()
}

fn policy_type(config: &str) -> Option<String> {
    setting(config, "SELINUXTYPE")
        .filter(|t| t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
}

impl Selinux {
    /// The type of policy that is configured beneath `root`, for whoever needs to know no more.
    pub fn policy_type(root: &Root) -> Option<String> {
        policy_type(&read_text(root, &Path::new(CONFIG).join("config")))
    }

    /// Looks at SELinux beneath `root`.
    pub fn observe(root: &Root) -> Self {
        let read = |path: &Path| read_text(root, path);
        let config = read(&Path::new(CONFIG).join("config"));
        let policy_type = policy_type(&config);
        let active = is_active(root);
        let enforcing = active.then(|| read(Path::new("/sys/fs/selinux/enforce")).trim() == "1");
        let configured = setting(&config, "SELINUX").map(|s| s.to_ascii_lowercase());
        let mut s = Selinux { active, enforcing, configured, policy_type, ..Selinux::default() };
        let Some(ty) = s.policy_type.clone() else { return s };
        s.context_files = ContextFiles::read(root, &ty);
        s.library = contexts::library(root);
        s.substitutions = Some(FileContexts::new(s.context_files.substitutions(), s.precedence()));
        s.boolean_names = parse_boolean_names(&read(&Path::new(CONFIG).join(&ty).join("booleans.subs_dist")));
        s.read_store(root, &ty);
        if !active {
            // It can be looked at, and is nothing that a run could change.
            s.store = Store::Absent;
        }
        s
    }

    fn read_store(&mut self, root: &Root, ty: &str) {
        // The second is where it lay before policycoreutils 2.4 (RHEL 7).
        let folders = [Path::new("/var/lib/selinux"), Path::new(CONFIG)].map(|f| f.join(ty).join("active"));
        let found = folders.iter().find_map(|f| match root.names(f) {
            Err(e) if e.is_not_found() => None,
            Err(e) => Some(Err(e)),
            Ok(_) => Some(Ok(f)),
        });
        let folder = match found {
            // libsemanage renames `active` to `previous` and then the new one to `active`.
            None if root.names(&Path::new("/var/lib/selinux").join(ty).join("previous")).is_ok() => {
                let cut = format!(
                    "a change was cut off between two renames: /var/lib/selinux/{ty}/previous is to be `active` again"
                );
                self.store = Store::Unreadable(cut);
                return;
            }
            None => return,
            Some(Err(e)) => {
                self.store = Store::Unreadable(e.to_string());
                return;
            }
            Some(Ok(f)) => f,
        };
        let mut failed = None;
        let mut text = |name: &str| match root.read(&folder.join(name), LIMIT) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) => {
                // No such file: nothing was ever changed of that kind.
                if !e.is_not_found() {
                    failed = Some(e.to_string());
                }
                String::new()
            }
        };
        self.booleans = parse_booleans(&text("booleans.local"));
        self.ports = parse_ports(&text("ports.local"));
        self.contexts = parse_contexts(&text("file_contexts.local"));
        self.nodes = parse_nodes(&text("nodes.local"));
        self.interfaces = parse_interfaces(&text("interfaces.local"));
        self.logins = parse_logins(&text("seusers.local"));
        self.all_logins = parse_logins(&text("seusers"));
        self.no_dontaudit = root.resolve(&folder.join("disable_dontaudit")).is_ok();
        match store_modules::list(root, folder) {
            Ok(modules) => self.modules = modules,
            Err(e) => failed = Some(e.to_string()),
        }
        self.folder.clone_from(folder);
        self.store = failed.map_or(Store::Ready, Store::Unreadable);
    }

    /// Where the policy store is.
    pub fn store_folder(&self) -> Option<&Path> {
        Some(self.folder.as_path()).filter(|f| !f.as_os_str().is_empty())
    }

    /// The policy as it was built last, local changes in it, which the next boot will load; else why it cannot be read.
    pub fn policy(&self, root: &Root) -> Result<&Policy, &str> {
        self.policy.get_or_init(|| self.read_policy(root)).as_ref().map_err(String::as_str)
    }

    fn read_policy(&self, root: &Root) -> Result<Policy, String> {
        let ty = self.policy_type.as_ref().ok_or("/etc/selinux/config names no SELINUXTYPE")?;
        let folder = Path::new(CONFIG).join(ty).join("policy");
        let names = root.names(&folder).map_err(|e| e.to_string())?;
        let versions = names.iter().filter_map(|n| n.to_str()?.strip_prefix("policy.")?.parse::<u32>().ok());
        let newest = versions.filter(|v| (OLDEST..=NEWEST).contains(v)).max();
        let newest = newest.ok_or_else(|| format!("`{}` has no policy.N", folder.display()))?;
        let path = folder.join(format!("policy.{newest}"));
        let bytes = root.read(&path, LIMIT).map_err(|e| e.to_string())?;
        Policy::read_owned(bytes).map_err(|e| format!("`{}`: {e}", path.display()))
    }

    /// The name of a type under which files and the store have it: a policy's other names (`typealias`) stand for one.
    pub fn real_type(&self, root: &Root, name: &str) -> String {
        let policy = self.policy_type.as_ref().and_then(|_| self.policy(root).ok());
        let found = policy.and_then(|p| p.types().find(name).map(|t| (p, t)));
        match found {
            Some((p, t)) if t.kind == TypeKind::Alias => p.types().name(t.id).to_owned(),
            _ => name.to_owned(),
        }
    }

    /// The name of a boolean in the policy: some have an older one too (`booleans.subs_dist`).
    pub fn real_boolean<'a>(&'a self, name: &'a str) -> &'a str {
        self.boolean_names.iter().find(|(old, _)| old == name).map_or(name, |(_, new)| new)
    }

    /// The running value of a boolean.
    pub fn running_boolean(&self, root: &Root, name: &str) -> Option<bool> {
        let path = Path::new("/sys/fs/selinux/booleans").join(name);
        let text = root.read(&path, 64).ok()?;
        match text.first() {
            Some(b'1') => Some(true),
            Some(b'0') => Some(false),
            _ => None,
        }
    }

    /// Booleans that were ever set in the store.
    pub fn local_booleans(&self) -> &[(String, bool)] {
        &self.booleans
    }

    /// The value that the store has for a boolean, if it was ever set there.
    pub fn local_boolean(&self, name: &str) -> Option<bool> {
        self.booleans.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    /// Local port definitions.
    pub fn local_ports(&self) -> &[LocalPort] {
        &self.ports
    }

    /// The local definition of exactly these ports.
    pub fn local_port(&self, protocol: &str, low: u16, high: u16) -> Option<&LocalPort> {
        self.ports.iter().find(|p| p.protocol == protocol && p.low == low && p.high == high)
    }

    /// Local definitions of nodes.
    pub fn local_nodes(&self) -> &[LocalNode] {
        &self.nodes
    }

    /// Local definitions of interfaces.
    pub fn local_interfaces(&self) -> &[LocalInterface] {
        &self.interfaces
    }

    /// Local logins.
    pub fn local_logins(&self) -> &[LocalLogin] {
        &self.logins
    }

    /// The login of this name, local or the policy's own.
    pub fn login(&self, name: &str) -> Option<&LocalLogin> {
        self.all_logins.iter().find(|l| l.name == name)
    }

    /// The modules of the store, of all priorities.
    pub fn modules(&self) -> &[StoreModule] {
        &self.modules
    }

    /// The module of this name and priority.
    pub fn module(&self, name: &str, priority: u16) -> Option<&StoreModule> {
        self.modules.iter().find(|m| m.name == name && m.priority == priority)
    }

    /// The module by which `semanage permissive` made a domain permissive.
    pub fn permissive_module(&self, domain: &str) -> Option<&StoreModule> {
        self.modules.iter().find(|m| m.name.strip_prefix("permissive_") == Some(domain) && !m.disabled)
    }

    /// What a boolean would be if it had never been set: its value in the policy as the modules make it.
    pub fn default_boolean(&self, root: &Root, name: &str) -> Option<bool> {
        let linked = self.linked.get_or_init(|| {
            let bytes = root.read(&self.folder.join("policy.linked"), LIMIT).ok()?;
            Policy::read(&bytes).ok()
        });
        linked.as_ref()?.booleans().find(name).map(|b| b.state)
    }

    /// Local specifications, the oldest first; of those that fit a file, the last decides.
    pub fn local_contexts(&self) -> &[LocalContext] {
        &self.contexts
    }

    /// The local specification with this pattern and kind.
    pub fn local_context(&self, pattern: &str, files: Option<char>) -> Option<&LocalContext> {
        self.contexts.iter().rev().find(|c| c.pattern == pattern && c.files == files)
    }

    /// The policy's own specification with this pattern and kind, which semanage wants modified and not added.
    pub fn base_context(&self, root: &Root, pattern: &str, files: Option<char>) -> Option<&LocalContext> {
        let base = self.base.get_or_init(|| {
            let in_store = root.read(&self.folder.join("file_contexts"), LIMIT).ok();
            let in_store = in_store.filter(|_| !self.folder.as_os_str().is_empty());
            let bytes = in_store.as_deref().unwrap_or_else(|| self.context_files.main());
            parse_contexts(&String::from_utf8_lossy(bytes))
        });
        base.iter().rev().find(|c| c.pattern == pattern && c.files == files)
    }

    /// The rules by which libselinux looks specifications up.
    pub fn precedence(&self) -> Precedence {
        self.library.as_ref().map(|(rules, _)| *rules).unwrap_or_default()
    }

    /// The path under which specifications are looked up for a file: one of the aliases of file_contexts.subs and one
    /// of file_contexts.subs_dist may take the place of its beginning.
    pub fn look_up_path(&self, path: &Path) -> PathBuf {
        let Some(substitutions) = &self.substitutions else { return path.to_owned() };
        let looked_up = substitutions.looked_up(path.as_os_str().as_bytes());
        PathBuf::from(OsStr::from_bytes(&looked_up))
    }
}

/// The last value of a setting in /etc/selinux/config; none if it is empty.
fn setting(config: &str, name: &str) -> Option<String> {
    let values = config.lines().filter_map(|l| l.trim().strip_prefix(name)?.trim_start().strip_prefix('='));
    values.map(|v| v.trim().to_owned()).next_back().filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selinux::contexts::{Files, Text};

    #[test]
    fn settings_are_read_as_libselinux_reads_them() {
        let config = "# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE = mls \n";
        assert_eq!(setting(config, "SELINUX").as_deref(), Some("enforcing"));
        assert_eq!(setting(config, "SELINUXTYPE").as_deref(), Some("mls"));
        assert_eq!(setting("SELINUX=\n", "SELINUX"), None);
    }

    #[test]
    fn aliases_replace_whole_components_once() {
        let files = Files {
            subs: Some(Text::new("subs", b"/site /var/run/site\n")),
            subs_dist: Some(Text::new("subs_dist", b"/run /x\n/var/run /run\n")),
            ..Files::default()
        };
        let substitutions = Some(FileContexts::new(files, Precedence::default()));
        let s = Selinux { substitutions, ..Selinux::default() };
        for (path, looked_up) in [
            ("/var/run/wsgi.sock", "/run/wsgi.sock"),
            ("/var/run", "/run"),
            ("/var/runner", "/var/runner"),
            ("/site/a", "/run/site/a"),
            ("/srv", "/srv"),
        ] {
            assert_eq!(s.look_up_path(Path::new(path)), Path::new(looked_up), "{path}");
        }
    }
}
