//! polkit as a host has it: which of its two sorts of rules it reads, and the rules that are there.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::grants::polkit::{Rule, pkla, rules};
use crate::sys::Root;

/// Where an administrator's rules are.
pub const RULES_D: &str = "/etc/polkit-1/rules.d";

/// The rules file of an application. What is read first decides: it comes before those of packages, which begin with 50.
pub fn own_path(app: &str) -> PathBuf {
    Path::new(RULES_D).join(format!("49-perms-{app}.rules"))
}

/// Folders of rules. Of files of one name the first decides; all are read, in the order of their names.
const FOLDERS: [&str; 4] =
    [RULES_D, "/run/polkit-1/rules.d", "/usr/local/share/polkit-1/rules.d", "/usr/share/polkit-1/rules.d"];
/// Folders below which sections of the older sort are.
const PKLA_FOLDERS: [&str; 2] = ["/etc/polkit-1/localauthority", "/var/lib/polkit-1/localauthority"];
/// Where the daemon is.
const DAEMONS: [&str; 4] = [
    "/usr/lib/polkit-1/polkitd",
    "/usr/libexec/polkit-1/polkitd",
    "/usr/libexec/polkitd",
    "/usr/lib/policykit-1/polkitd",
];
/// Largest file of rules, and largest daemon, that is read.
const LIMIT: u64 = 16 << 20;

/// Which rules a host's polkit reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// JavaScript, since 0.106.
    Rules,
    /// `.pkla` alone, which know no unit and no verb: 0.105, of Debian 11 and Ubuntu 22.04.
    Pkla,
}

/// Which polkit a host has; `None` if it has none. The daemon names the folder that it reads.
pub fn sort(root: &Root) -> Option<Sort> {
    let daemon = DAEMONS.iter().find_map(|path| root.read(Path::new(path), LIMIT).ok())?;
    let rules = memchr::memmem::find(&daemon, b"rules.d").is_some();
    Some(if rules { Sort::Rules } else { Sort::Pkla })
}

/// A file of rules.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub rules: Vec<Rule>,
}

/// All rules of a host, and what could not be read.
pub fn all(root: &Root) -> (Vec<RuleFile>, Vec<String>) {
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    for folder in FOLDERS {
        read_folder(root, Path::new(folder), b".rules", &mut files, &mut unread);
    }
    for folder in PKLA_FOLDERS {
        for name in root.names(Path::new(folder)).unwrap_or_default() {
            read_folder(root, &Path::new(folder).join(name), b".pkla", &mut files, &mut unread);
        }
    }
    (files, unread)
}

fn read_folder(
    root: &Root,
    folder: &Path,
    ending: &[u8],
    files: &mut Vec<RuleFile>,
    unread: &mut Vec<String>,
) {
    let names = match root.names(folder) {
        Ok(names) => names,
        Err(e) if e.is_not_found() => return,
        Err(e) => return unread.push(format!("{}: {e}", folder.display())),
    };
    for name in names.iter().filter(|n| n.as_bytes().ends_with(ending)) {
        let path = folder.join(name);
        match root.read(&path, LIMIT) {
            Ok(text) => {
                let rules = if ending == b".pkla" { pkla(&text) } else { rules(&text) };
                files.push(RuleFile { path, rules });
            }
            Err(e) => unread.push(format!("{}: {e}", path.display())),
        }
    }
}
