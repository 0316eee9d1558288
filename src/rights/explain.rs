//! Words for what decided: entries by the names of users and groups, modes as `ls` shows them.

use super::files::Asker;
use crate::grants::access::{By, Credentials, Decision};
use crate::grants::acl::{Entry, Perms, Tag};
use crate::host::Accounts;

/// `drwxr-x---`, a `+` after it where there is an ACL.
pub(super) fn mode_text(mode: u32, acl: bool) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o010_000 => 'p',
        0o140_000 => 's',
        0o060_000 => 'b',
        0o020_000 => 'c',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    if acl {
        text.push('+');
    }
    text
}

/// An entry with names: `user:bob:rw-`.
fn entry(e: Entry, mask: Option<Perms>, accounts: &Accounts) -> String {
    let text = match e.tag {
        Tag::User(uid) => format!("user:{}:{}", accounts.user_name(uid), e.perms),
        Tag::Group(gid) => format!("group:{}:{}", accounts.group_name(gid), e.perms),
        _ => e.to_string(),
    };
    match mask {
        Some(mask) if !mask.contains(e.perms) => {
            format!("{text}, of which the mask leaves {}", e.perms & mask)
        }
        _ => text,
    }
}

/// What decided, and what else is to be known.
pub(super) fn decided(
    decision: &Decision,
    accounts: &Accounts,
    asker: &Asker,
    credentials: &Credentials,
) -> (String, Vec<String>) {
    let mut notes = Vec::new();
    let one = |e: Option<Entry>| e.map_or_else(String::new, |e| entry(e, decision.mask, accounts));
    let by = match &decision.by {
        By::Nothing => "nothing is asked for".to_owned(),
        By::Capability(c) => c.name().to_owned(),
        By::Owner => format!("owner {}", one(decision.entry)),
        By::NamedUser(_) => one(decision.entry),
        By::Group(found) => {
            let words: Vec<String> = found
                .iter()
                .map(|m| {
                    let text = entry(m.entry, decision.mask, accounts);
                    match m.entry.tag {
                        Tag::GroupObj => format!("group {} {text}", accounts.group_name(m.gid)),
                        _ => text,
                    }
                })
                .collect();
            if words.len() > 1 && !decision.allowed {
                notes.push(
                    "one entry must grant all that is asked; entries of several groups do not add up"
                        .to_owned(),
                );
            }
            words.join(", ")
        }
        By::Other => one(decision.entry),
        By::FileOwner if decision.allowed => "the owner".to_owned(),
        By::FileOwner => "neither the owner nor CAP_FOWNER".to_owned(),
        By::FolderOwner => "the owner of the sticky folder".to_owned(),
        By::Sticky => "sticky: only the owner of the file or of the folder, or CAP_FOWNER".to_owned(),
    };
    if decision.acl_skipped {
        notes.push("the mask is ---, so the kernel passes over the whole ACL".to_owned());
    }
    if !decision.allowed && asker.credentials.capabilities != credentials.capabilities {
        notes.push("the domain may not use the capability that would allow it".to_owned());
    }
    (by, notes)
}

#[cfg(test)]
mod tests {
    use super::mode_text;

    #[test]
    fn modes_are_shown_as_ls_shows_them() {
        for (mode, text) in [
            (0o040_755, "drwxr-xr-x"),
            (0o041_777, "drwxrwxrwt"),
            (0o041_776, "drwxrwxrwT"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o140_000, "s---------"),
        ] {
            assert_eq!(mode_text(mode, false), text);
        }
        assert_eq!(mode_text(0o100_640, true), "-rw-r-----+");
    }
}
