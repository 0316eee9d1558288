//! Who may run everything as root: to be compared before and after a change, so that nobody is locked out by it.

use std::path::PathBuf;

use super::grants::{expand, host_word, user_word};
use super::matching::{Matcher, Rules, ThisHost};
use super::tree::Tree;
use crate::grants::identity::Identity;

/// One member of a user list that may run everything as root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullRoot {
    /// The member as in sudoers: a name, `%group`, an alias, `ALL`.
    pub who: String,
    /// The hosts on which, as in sudoers.
    pub hosts: Vec<String>,
    /// Whether without a password, by tag; `None` where nothing is said.
    pub nopasswd: Option<bool>,
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// Every member of a user list whose entry gives `ALL` as root. Entries that later ones take back are there too: this
/// tells what changed, [`decide`](super::decide()) tells what holds.
pub fn full_root_identities(tree: &Tree) -> Vec<FullRoot> {
    let mut out = Vec::new();
    if tree.fatal {
        return out;
    }
    let host = ThisHost::default();
    let matcher = Matcher::new(tree, &host, Rules::default());
    let root = Identity::new("root", Some(0)).with_group("root", Some(0));
    for (file, item, spec) in tree.specs() {
        let Some(file) = tree.files.get(file) else { continue };
        for privilege in &spec.privileges {
            let full = privilege.commands.iter().rev().find(|c| {
                let all = expand(tree, &c.command).iter().any(|e| e.command.is_none() && !e.negated);
                let runas = &c.settings.runas;
                all && !c.command.negated
                    && c.settings.options.chroot.is_none()
                    && runas.as_ref().is_none_or(|r| matcher.runas_users(&r.users, &root).is_allow())
            });
            let Some(full) = full else { continue };
            out.extend(spec.users.iter().filter(|m| !m.negated).map(|m| FullRoot {
                who: user_word(m),
                hosts: privilege.hosts.iter().map(host_word).collect(),
                nopasswd: full.settings.tags.nopasswd,
                path: file.path.clone(),
                line: file.position(item.span.start).0,
            }));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::sudoers::Reading;
    use std::path::Path;

    #[test]
    fn who_may_everything() {
        let text = "Cmnd_Alias E=ALL\nRunas_Alias O=root,bob\nroot ALL=(ALL:ALL) ALL\n%sudo,!x ALL=(ALL,!bob) NOPASSWD: ALL\n\
                    a ALL=E\nb ALL=(O) E\nno1 ALL=(bob) ALL\nno2 ALL=/bin/ls\nno3 ALL=!ALL\nno4 ALL=(ALL,!root) ALL\n";
        let tree = Tree::read_text(Path::new("/etc/sudoers"), text.as_bytes(), &Reading::default());
        assert_eq!(tree.problems, []);
        let who: Vec<_> = full_root_identities(&tree).into_iter().map(|f| (f.who, f.line)).collect();
        assert_eq!(who, [("root".into(), 3), ("%sudo".into(), 4), ("a".into(), 5), ("b".into(), 6)]);
    }
}
