//! The changes that mend a host: data, written to the journal as they are, each with what was there before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::FileState;
use crate::report::lossless;
use crate::selinux::module::installed;

/// One change. What was there is in it, so that it can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A group is made.
    Group {
        /// Name.
        name: String,
        /// Group id.
        gid: u32,
    },
    /// A user is made (`before` is none) or changed.
    User {
        /// Name.
        name: String,
        /// What it was.
        before: Option<UserState>,
        /// What it becomes.
        after: UserState,
    },
    /// A file or folder is made, empty.
    Make {
        /// Its path below the root, free of links.
        #[serde(with = "lossless::path")]
        path: PathBuf,
        /// A folder, else a regular file.
        directory: bool,
        /// What it becomes.
        state: FileState,
    },
    /// Owner, mode, ACLs or label of what exists are changed.
    State {
        /// Its path below the root, free of links.
        #[serde(with = "lossless::path")]
        path: PathBuf,
        /// Its inode number: what has the name later need not be the same file.
        object: u64,
        /// What it was.
        before: FileState,
        /// What it becomes.
        after: FileState,
    },
    /// A file's whole content is replaced, or it is made, or deleted.
    Content {
        /// Its path below the root, free of links.
        #[serde(with = "lossless::path")]
        path: PathBuf,
        /// What it was.
        before: Option<Image>,
        /// What it becomes.
        after: Option<Image>,
    },
    /// The SELinux policy store is changed, in one transaction.
    Store {
        /// What becomes different in it.
        edits: Vec<StoreEdit>,
    },
}

/// One thing of the policy store that becomes different: which `semanage` command that takes depends on what is there
/// when it is done (or undone), so the commands are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum StoreEdit {
    /// A boolean, in the store and in the running kernel.
    Boolean {
        /// Name.
        name: String,
        /// Its running value before.
        running: bool,
        /// Its value in the store before; none where the policy's own counted.
        local: Option<bool>,
        /// What it becomes.
        value: bool,
    },
    /// A port definition.
    Port {
        /// `tcp`, `udp` …
        protocol: String,
        /// First port.
        low: u16,
        /// Last port.
        high: u16,
        /// The context of the local definition before; none where there was none.
        before: Option<String>,
        /// The type that it gets.
        setype: String,
    },
    /// A file-context specification.
    Context {
        /// The regular expression.
        pattern: String,
        /// The kind's letter; none for any.
        files: Option<char>,
        /// The context of the local specification before, `<<none>>` too; none where there was none.
        before: Option<String>,
        /// The type that it gets.
        setype: String,
        /// The level that it gets; unless told, it keeps its own, and a new one gets `s0`.
        level: Option<String>,
        /// It is there and others that are there decide in its place: it is put after them.
        last: bool,
    },
    /// The type of a net or a host.
    Node {
        /// `ipv4` or `ipv6`.
        protocol: String,
        /// Address.
        address: String,
        /// Mask, in full.
        mask: String,
        /// The context of the local definition before; none where there was none.
        before: Option<String>,
        /// The type that it gets.
        setype: String,
    },
    /// The type of a network interface.
    Interface {
        /// Its name.
        name: String,
        /// The context of the local definition before; none where there was none.
        before: Option<String>,
        /// The type that it gets.
        setype: String,
    },
    /// The SELinux user that somebody becomes by logging in.
    Login {
        /// A user's name, or `%GROUP`.
        name: String,
        /// User and range of the local one before; none where there was none.
        before: Option<(String, String)>,
        /// The SELinux user that it gets.
        user: String,
        /// The range that it gets; unless told, it keeps its own.
        range: Option<String>,
    },
    /// Whether SELinux only reports what a domain does.
    Permissive {
        /// The domain.
        domain: String,
        /// What it becomes; it was the other.
        value: bool,
    },
    /// Whether denials that the policy calls harmless are kept out of the log.
    Dontaudit {
        /// What it becomes; it was the other.
        value: bool,
    },
    /// What the store holds is installed and loaded anew: a change of it was cut off.
    Rebuild,
    /// A module that was disabled is enabled.
    Enable {
        /// Its name.
        module: String,
    },
    /// A module at our priority is installed, replaced or removed.
    Module {
        /// Its name.
        name: String,
        /// What was there.
        before: Option<ModuleImage>,
        /// What is to be there.
        after: Option<ModuleBuild>,
    },
}

/// An installed module, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleImage {
    /// Its language, `cil` or `pp`.
    pub language: String,
    /// What was installed.
    #[serde(with = "lossless::bytes")]
    pub content: Vec<u8>,
}

/// A module that is to be built and installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleBuild {
    /// The application.
    pub app: String,
    /// Languages (`te`, `fc`, `cil`) and texts.
    pub sources: Vec<(String, String)>,
    /// What came of it, with its heading; none until it is built, which is before the journal is written.
    pub built: Option<String>,
}

impl ModuleBuild {
    /// The digest of the sources, which the heading of what is installed names.
    pub fn digest(&self) -> String {
        installed::digest(self.sources.iter().map(|(language, text)| (language.as_str(), text.as_str())))
    }
}

/// The kind of file of a specification as `semanage fcontext -f` takes it.
pub fn kind_option(files: Option<char>) -> char {
    match files {
        None => 'a',
        Some('-') => 'f',
        Some(c) => c,
    }
}

/// A user's account as far as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// User id.
    pub uid: u32,
    /// Primary group's id.
    pub gid: u32,
    /// Home folder.
    pub home: String,
    /// Shell.
    pub shell: String,
    /// Supplementary groups.
    pub groups: BTreeSet<String>,
    /// No password opens it.
    pub locked: bool,
    /// Whether its id is from the system range (it then gets no subordinate ids).
    #[serde(default)]
    pub system: bool,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Content.
    #[serde(with = "lossless::bytes")]
    pub content: Vec<u8>,
    /// Owner, mode, ACLs, label.
    pub state: FileState,
}

impl Change {
    /// The file it is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Change::Make { path, .. } | Change::State { path, .. } | Change::Content { path, .. } => {
                Some(path)
            }
            Change::Group { .. } | Change::User { .. } | Change::Store { .. } => None,
        }
    }

    /// Its place in the order: accounts first (files name them), grants last (what they grant is then in place),
    /// the policy store before the labels that it explains.
    pub fn rank(&self) -> u8 {
        match self {
            Change::Group { .. } => 0,
            Change::User { .. } => 1,
            Change::Store { .. } => 2,
            Change::Make { .. } => 3,
            Change::State { .. } => 4,
            Change::Content { .. } => 5,
        }
    }

    /// One line for messages.
    pub fn describe(&self) -> String {
        match self {
            Change::Group { name, .. } => format!("group {name}"),
            Change::User { name, .. } => format!("user {name}"),
            Change::Make { path, .. } => format!("making {}", path.display()),
            Change::State { path, .. } => format!("owner, mode, ACL or label of {}", path.display()),
            Change::Content { path, after: None, .. } => format!("deleting {}", path.display()),
            Change::Content { path, .. } => format!("writing {}", path.display()),
            Change::Store { .. } => "the SELinux policy store".to_owned(),
        }
    }
}
