//! The valid manifest: what one application may do, every value with its place.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::grants::programs::Table;
use crate::report::{Code, Origin, Source, Spanned};

/// A valid manifest: one application's privileges, all of them.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The text it was read from.
    pub source: Arc<Source>,
    /// `[app]`.
    pub app: App,
    /// `[[group]]`: groups of the application's own, made if they are not there.
    pub groups: Vec<GroupRule>,
    /// `[[path]]`.
    pub paths: Vec<PathRule>,
    /// `[[command]]`.
    pub commands: Vec<CommandRule>,
    /// `[[rule]]`.
    pub rules: Vec<KeptRule>,
    /// `[selinux]`.
    pub selinux: Option<SelinuxRules>,
    /// What is known of programs where the manifest is used: the built-in table and that of its folder.
    pub programs: Arc<Table>,
}

/// `[app]`: the application and the account it runs as.
#[derive(Debug, Clone)]
pub struct App {
    /// The header's place.
    pub origin: Origin,
    /// `name`: lower-case letters, digits, `-` and `_`, a letter first, at most 32 bytes. It names the sudoers
    /// fragment, which sudo would skip if it held a dot.
    pub name: Spanned<String>,
    /// `user`.
    pub user: UserRule,
    /// `units`: systemd units that are the application's.
    pub units: Vec<Spanned<String>>,
    /// `executables`: absolute paths of programs that are the application's own.
    pub executables: Vec<Spanned<PathBuf>>,
    /// `accept`: risks of the application as a whole that were acknowledged, with the reason.
    pub accept: Vec<Acceptance>,
}

/// One `"code" = "reason"` of an `accept` table.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// The code that is accepted.
    pub code: Code,
    /// Why; never empty.
    pub reason: String,
    /// Place of the code.
    pub origin: Origin,
}

/// `user`: a name alone (an account that exists and is not managed) or a table (an account that is).
#[derive(Debug, Clone)]
pub struct UserRule {
    /// Place of the whole value.
    pub origin: Origin,
    /// The account's name; the application's name unless told.
    pub name: Spanned<String>,
    /// Whether the account is made and kept as declared (the table form).
    pub managed: bool,
    /// `uid`; the next free one unless told.
    pub uid: Option<Spanned<u32>>,
    /// `group`: the primary group's name; one named as the user unless told.
    pub group: Option<Spanned<String>>,
    /// `home`.
    pub home: Option<Spanned<PathBuf>>,
    /// `shell`.
    pub shell: Option<Spanned<PathBuf>>,
    /// `login`.
    pub login: Option<Spanned<Login>>,
    /// `groups`: the exact supplementary groups; empty unless told. Not looked at for an account that is not managed.
    pub groups: Vec<Spanned<String>>,
    /// Place of the `groups` value, else of the whole.
    pub groups_origin: Origin,
    /// `system`: take the uid from the system range.
    pub system: bool,
}

/// `login`: how the account may be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Login {
    /// `"locked"`: no password opens it; ssh keys and sudo to it still work.
    Locked,
    /// `"none"`: locked, and its shell is nologin.
    None,
    /// `"password"`: a password may be set; perms leaves it alone.
    Password,
}

/// `[[group]]`.
#[derive(Debug, Clone)]
pub struct GroupRule {
    /// The header's place.
    pub origin: Origin,
    /// `name`.
    pub name: Spanned<String>,
    /// `gid`.
    pub gid: Option<Spanned<u32>>,
    /// `system`: take the gid from the system range.
    pub system: bool,
}

/// `[[path]]`: rights on a file or a tree.
#[derive(Debug, Clone)]
pub struct PathRule {
    /// The header's place.
    pub origin: Origin,
    /// `path`: absolute, without `.` and `..`.
    pub path: Spanned<PathBuf>,
    /// `access`: what the application's user can do, by whatever it takes.
    pub access: Option<Spanned<Access>>,
    /// `kind`: what the path is; found out unless told.
    pub kind: Option<Spanned<FileKind>>,
    /// `create`: make it (a file or a folder, by `kind`, which is then told, as is `mode`) if it is not there.
    pub create: Option<Spanned<bool>>,
    /// `recursive`: all of this rule for everything below, too, or nothing of it. Unless told, `access` holds below (and
    /// with it the ACLs), owner, group and mode do not: what lies in a folder may well belong to others.
    pub recursive: Option<Spanned<bool>>,
    /// `owner`: a user's name or a number in a string.
    pub owner: Option<Spanned<String>>,
    /// `group`: a group's name or a number in a string.
    pub group: Option<Spanned<String>>,
    /// `mode`.
    pub mode: Option<Spanned<ModeSpec>>,
    /// `acl`: exactly these named entries (beside those that `access` adds).
    pub acl: Option<Spanned<Vec<Spanned<AclEntry>>>>,
    /// `default_acl`: the same for the default ACL of folders.
    pub default_acl: Option<Spanned<Vec<Spanned<AclEntry>>>>,
    /// `accept`.
    pub accept: Vec<Acceptance>,
}

/// `access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// `"read"`: read files, list and enter folders; `r-X`.
    Read,
    /// `"write"`: also change, create and delete; `rwX`.
    Write,
}

/// `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// `"file"`.
    File,
    /// `"directory"`.
    Directory,
}

/// `mode`: rights of owner, owning group and others. Where a file has an ACL, `stat` shows the mask in the group's
/// place; the declared value is of the owning group itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModeSpec {
    /// `"0640"` or `0o640`: all twelve bits.
    Octal(u16),
    /// `"u=rwX,g=rX,o="`: exact for each of the three; `X` is `x` on folders and on files with any execute bit.
    /// setuid, setgid and sticky bits are left as they are.
    Symbolic {
        /// Owner.
        user: AclPerms,
        /// Owning group.
        group: AclPerms,
        /// Others.
        other: AclPerms,
    },
}

/// Rights of one ACL entry as written: `rwx`, `-`, and `X`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AclPerms {
    /// `r`.
    pub read: bool,
    /// `w`.
    pub write: bool,
    /// `x`.
    pub execute: bool,
    /// `X`: `x` on folders, and on files that have any execute bit already.
    pub execute_if_any: bool,
}

impl AclPerms {
    /// The three bits (r 4, w 2, x 1) for a folder, or for a file that has (`executable`) an execute bit already.
    pub fn bits(self, folder_or_executable: bool) -> u8 {
        let execute = self.execute || (self.execute_if_any && folder_or_executable);
        u8::from(self.read) * 4 + u8::from(self.write) * 2 + u8::from(execute)
    }
}

/// Whom a named ACL entry is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AclWho {
    /// `user:NAME` or `user:UID`.
    User(String),
    /// `group:NAME` or `group:GID`.
    Group(String),
}

/// `"user:alice:rwX"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AclEntry {
    /// For whom.
    pub who: AclWho,
    /// Which rights.
    pub perms: AclPerms,
}

/// `[[command]]`: a command that the application's user may run as somebody else.
#[derive(Debug, Clone)]
pub struct CommandRule {
    /// The header's place.
    pub origin: Origin,
    /// `run`: the command's absolute path, then its arguments.
    pub run: Spanned<Vec<Spanned<String>>>,
    /// `args = "any"` if said, else exactly those of `run`.
    pub args: Args,
    /// `as`: the target user; root unless told.
    pub runas: Spanned<String>,
    /// `with`: sudo unless told.
    pub with: Grantor,
    /// `digest`: what the command's file must hash to, as sudoers writes it.
    pub digest: Option<Spanned<String>>,
    /// `nopasswd`: no password is asked for; false unless told.
    pub nopasswd: bool,
    /// `accept`.
    pub accept: Vec<Acceptance>,
}

/// `[[rule]]`: a rule of sudo or doas that somebody else wrote and that is kept.
#[derive(Debug, Clone)]
pub struct KeptRule {
    /// The header's place.
    pub origin: Origin,
    /// `file`: where it stands.
    pub file: Spanned<PathBuf>,
    /// `text`: the whole entry.
    pub text: Spanned<String>,
}

impl KeptRule {
    /// Whether an entry of a file is this rule. Blanks count as one, continued lines as one line.
    pub fn is(&self, file: &std::path::Path, text: &str) -> bool {
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace().filter(|w| *w != "\\").map(str::to_owned).collect()
        };
        self.file.value == file && words(&self.text.value) == words(text)
    }
}

/// Which arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Args {
    /// Exactly the vector in `run` (which may be the command alone: no arguments).
    Exact,
    /// Any at all.
    Any,
}

/// `with`: what grants the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grantor {
    /// A sudoers fragment.
    Sudo,
    /// A block in doas.conf.
    Doas,
    /// A rule of polkit.
    Polkit,
}

/// `[selinux]`.
#[derive(Debug, Clone)]
pub struct SelinuxRules {
    /// The header's place.
    pub origin: Origin,
    /// `domain`: the type of the application's processes.
    pub domain: Option<Spanned<String>>,
    /// `booleans`.
    pub booleans: Vec<BooleanRule>,
    /// `ports`.
    pub ports: Vec<PortRule>,
    /// `[[selinux.label]]`.
    pub labels: Vec<LabelRule>,
    /// `nodes`.
    pub nodes: Vec<NodeRule>,
    /// `interfaces`.
    pub interfaces: Vec<InterfaceRule>,
    /// `logins`.
    pub logins: Vec<LoginRule>,
    /// `permissive`.
    pub permissive: Vec<Spanned<String>>,
    /// `dontaudit`.
    pub dontaudit: Option<Spanned<bool>>,
    /// `[[selinux.module]]`.
    pub modules: Vec<ModuleRule>,
}

impl SelinuxRules {
    /// Whether anything of it lies in the policy store.
    pub fn in_store(&self) -> bool {
        !(self.booleans.is_empty()
            && self.ports.is_empty()
            && self.labels.is_empty()
            && self.nodes.is_empty()
            && self.interfaces.is_empty()
            && self.logins.is_empty()
            && self.permissive.is_empty()
            && self.dontaudit.is_none()
            && self.modules.is_empty())
    }
}

/// One of `nodes`.
#[derive(Debug, Clone)]
pub struct NodeRule {
    /// `address`, the bits that the mask leaves out cleared.
    pub address: Spanned<IpAddr>,
    /// Length of the mask.
    pub prefix: u8,
    /// `type`.
    pub setype: Spanned<String>,
}

impl NodeRule {
    /// The mask, in full.
    pub fn mask(&self) -> IpAddr {
        mask(self.address.value, self.prefix)
    }
}

/// The mask of a length for addresses such as this one.
pub fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    let left = |width: u32| width.saturating_sub(u32::from(prefix));
    match address {
        IpAddr::V4(_) => IpAddr::V4(u32::MAX.checked_shl(left(32)).unwrap_or(0).into()),
        IpAddr::V6(_) => IpAddr::V6(u128::MAX.checked_shl(left(128)).unwrap_or(0).into()),
    }
}

/// One of `interfaces`.
#[derive(Debug, Clone)]
pub struct InterfaceRule {
    /// `name`.
    pub name: Spanned<String>,
    /// `type`.
    pub setype: Spanned<String>,
}

/// One of `logins`.
#[derive(Debug, Clone)]
pub struct LoginRule {
    /// `name`: a user's, or `%GROUP`.
    pub name: Spanned<String>,
    /// `user`: the SELinux user.
    pub user: Spanned<String>,
    /// `range`; unless told, what is there is kept.
    pub range: Option<Spanned<String>>,
}

/// `[[selinux.module]]`: a policy module and its sources.
#[derive(Debug, Clone)]
pub struct ModuleRule {
    /// The header's place.
    pub origin: Origin,
    /// Its name, which is its file's, with the place of that.
    pub name: Spanned<String>,
    /// `te`, then `fc`; or `cil`.
    pub sources: Vec<ModuleSource>,
}

/// A source of a module.
#[derive(Debug, Clone)]
pub struct ModuleSource {
    /// Its language.
    pub language: ModuleLanguage,
    /// As it is named in the manifest.
    pub file: Spanned<String>,
    /// Where it is.
    pub path: PathBuf,
    /// What it says. Empty in a manifest that was read from a text and not from a file.
    pub text: String,
}

/// What a module's source is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModuleLanguage {
    /// `te`: the module language.
    Te,
    /// `fc`: file contexts.
    Fc,
    /// `cil`.
    Cil,
}

impl ModuleLanguage {
    /// The key, and the ending of its files.
    pub fn word(self) -> &'static str {
        match self {
            ModuleLanguage::Te => "te",
            ModuleLanguage::Fc => "fc",
            ModuleLanguage::Cil => "cil",
        }
    }
}

/// One `NAME = true|false` of `booleans`.
#[derive(Debug, Clone)]
pub struct BooleanRule {
    /// The name, with its place.
    pub name: Spanned<String>,
    /// The value.
    pub value: bool,
}

/// One of `ports`.
#[derive(Debug, Clone)]
pub struct PortRule {
    /// Place of the whole.
    pub origin: Origin,
    /// `protocol`.
    pub protocol: PortProtocol,
    /// First port.
    pub low: u16,
    /// Last port, equal to `low` for one.
    pub high: u16,
    /// `type`.
    pub setype: Spanned<String>,
}

/// `protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortProtocol {
    /// `"tcp"`.
    Tcp,
    /// `"udp"`.
    Udp,
    /// `"sctp"`.
    Sctp,
    /// `"dccp"`.
    Dccp,
}

/// `[[selinux.label]]`: a file-context specification.
#[derive(Debug, Clone)]
pub struct LabelRule {
    /// The header's place.
    pub origin: Origin,
    /// `paths`: a regular expression over whole paths, as in file_contexts.
    pub paths: Spanned<String>,
    /// `files`: the kind it is for; `None` for any. The letter is that of file_contexts (`-`, `d`, `l`, `s`, `p`,
    /// `c`, `b`).
    pub files: Option<Spanned<char>>,
    /// `type`.
    pub setype: Spanned<String>,
    /// `level`, for example `s0:c1`; unless told, a file's own is kept and a new one is `s0`.
    pub level: Option<Spanned<String>>,
}
