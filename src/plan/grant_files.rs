//! What sudoers, doas.conf and polkit's rules have in common: whose rules, files of our own, and the change of a whole file.

use std::path::{Path, PathBuf};

use super::accounts::finding;
use super::change::{Change, Image};
use super::item::{Fix, Item, Sign};
use super::names::Names;
use crate::grants::identity::Identity;
use crate::grants::sudoers::{FileText, FilesError};
use crate::host::grants::SUDOERS_D;
use crate::host::polkit::RULES_D;
use crate::host::{FileState, Host};
use crate::manifest::Manifest;
use crate::report::{Class, Code, Finding, Origin};

/// The items of one sort of grant file.
pub(super) struct Items {
    area: &'static str,
    pub(super) list: Vec<Item>,
}

impl Items {
    /// None yet.
    pub(super) fn of(area: &'static str) -> Self {
        Items { area, list: Vec::new() }
    }

    /// What `apply` does not mend.
    pub(super) fn attention(
        &mut self,
        app: usize,
        subject: impl Into<String>,
        origin: Option<&Origin>,
        f: Finding,
        fix: Fix,
    ) {
        let item = Item::attention(app, self.area, f, fix).named(subject);
        self.list.push(Item { origin: origin.cloned(), ..item });
    }

    /// What a file's new content mends.
    pub(super) fn content(
        &mut self,
        app: usize,
        sign: Sign,
        subject: impl Into<String>,
        origin: Option<&Origin>,
        details: Vec<String>,
        f: Finding,
    ) {
        self.list.push(Item {
            app,
            sign,
            area: self.area,
            subject: subject.into(),
            origin: origin.cloned(),
            details,
            findings: vec![f],
            fix: Fix::Content,
        });
    }
}

/// A file that is `perms`'s own, whole: what one application has in it.
pub(super) struct OwnFile<'a> {
    /// Where it is.
    pub(super) path: &'a Path,
    /// Its mode; its owner is root.
    pub(super) mode: u16,
    /// What its first line begins with.
    pub(super) header: &'a str,
    /// The first manifest line that wants it, and its text; none if nothing is declared for it.
    pub(super) wanted: Option<(&'a Origin, Vec<u8>)>,
    /// What it is: "a fragment".
    pub(super) what: &'static str,
    /// For what: "sudo".
    pub(super) by: &'static str,
    pub(super) missing: Code,
    pub(super) wrong: Code,
    pub(super) left_over: Code,
    pub(super) not_checkable: Code,
}

impl Items {
    /// Compares an own file with what is there. The new content comes back where it is another: none within for a file that
    /// goes.
    pub(super) fn own_file(
        &mut self,
        app: usize,
        m: &Manifest,
        is: Result<FileText, FilesError>,
        own: OwnFile<'_>,
    ) -> Option<Option<Vec<u8>>> {
        let place = own.path.display().to_string();
        let Some((first, text)) = own.wanted else {
            // Only what perms wrote: a file that somebody else gave this name is a matter of its rules.
            let is = is.ok().filter(|t| t.bytes.starts_with(own.header.as_bytes()))?;
            let f = finding(m, own.left_over, Class::Excess, &place, Some(&m.app.origin))
                .is("there", format!("not there: the manifest declares no command for {}", own.by))
                .remedy("perms apply removes it");
            self.content(app, Sign::Remove, place, Some(&m.app.origin), diff(&is.bytes, b""), f);
            return Some(None);
        };
        let should = format!("{} with the declared commands", own.what);
        match is {
            Err(FilesError::NotFound) => {
                let f = finding(m, own.missing, Class::Missing, &place, Some(first))
                    .is("not there", should)
                    .remedy("perms apply writes it");
                let details =
                    diff(b"", &text).into_iter().map(|l| l.trim_start_matches("+ ").to_owned()).collect();
                self.content(app, Sign::Add, place, Some(first), details, f);
            }
            Err(e) => {
                let f = finding(m, own.not_checkable, Class::Unchecked, &place, Some(first))
                    .is(format!("not known: {e}"), should)
                    .remedy("run as root");
                self.attention(app, place, Some(first), f, Fix::Blocked);
                return None;
            }
            Ok(is) => {
                let mode = is.mode & 0o7777;
                let looks = (is.uid, is.gid, mode) == (0, 0, u32::from(own.mode));
                if *is.bytes == *text && looks {
                    return None;
                }
                let mut details = diff(&is.bytes, &text);
                let wider = details
                    .iter()
                    .any(|l| l.starts_with("- ") && !l.starts_with("- #") && !l.starts_with("- //"));
                let what = if *is.bytes == *text {
                    details
                        .push(format!("owner {}:{} mode {mode:04o} → 0:0 {:04o}", is.uid, is.gid, own.mode));
                    format!("owner {}:{}, mode {mode:04o}", is.uid, is.gid)
                } else {
                    details.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
                };
                let class = if wider { Class::Excess } else { Class::Wrong };
                let f = finding(m, own.wrong, class, &place, Some(first))
                    .is(
                        format!("changed: {what}"),
                        format!("exactly the declared commands, root's, {:04o}", own.mode),
                    )
                    .remedy("perms apply writes it anew");
                self.content(app, Sign::Change, place, Some(first), details, f);
            }
        }
        Some(Some(text))
    }
}

/// What the first line of an own file begins with, after the marks of a comment.
pub(super) fn header(app: &str) -> String {
    format!("perms: {app}. Written by perms apply")
}

/// The first line of an own file, after the marks of a comment.
pub(super) fn whole_header(app: &str) -> String {
    format!("{}; what is changed here is undone by the next.", header(app))
}

/// Looks of a sudoers fragment, as sudo and visudo want them.
pub(super) const MODE: u16 = 0o440;
/// Looks of a file of polkit's rules.
pub(super) const RULES_MODE: u16 = 0o644;

/// The account of an application as the grant files see it now (its groups are those it has, declared or not), or as it
/// will be if it is to be made.
pub(super) fn identity(m: &Manifest, host: &Host, names: &Names) -> Identity {
    let name = &m.app.user.name.value;
    if host.accounts.user(name).is_some() {
        return host.accounts.identity(name);
    }
    let mut who = Identity::new(name.clone(), names.uid(name));
    if let Some(creds) = names.credentials(name) {
        for gid in std::iter::once(creds.gid).chain(creds.groups) {
            who = who.with_group(names.show_group(gid), Some(gid));
        }
    }
    who
}

/// The mode of what perms writes into a folder of fragments. polkit reads its rules as a user of its own.
fn own_mode(path: &Path) -> Option<u16> {
    if path.starts_with(SUDOERS_D) {
        Some(MODE)
    } else if path.starts_with(RULES_D) {
        Some(RULES_MODE)
    } else {
        None
    }
}

/// A difference of two texts as lines with `+` and `-`.
pub(super) fn diff(before: &[u8], after: &[u8]) -> Vec<String> {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    similar::TextDiff::from_lines(before.as_ref(), after.as_ref())
        .iter_all_changes()
        .filter_map(|c| {
            let sign = match c.tag() {
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
                similar::ChangeTag::Equal => return None,
            };
            Some(format!("{sign} {}", c.value().trim_end()))
        })
        .filter(|l| l.len() > 2 && !l.starts_with("+ #") && !l.starts_with("+ //"))
        .collect()
}

/// A change of a whole file; none if it cannot be looked at (which is said elsewhere).
pub(super) fn content_change(host: &Host, path: PathBuf, text: Option<Vec<u8>>) -> Option<(PathBuf, Change)> {
    let found = host.root.resolve(&path).ok();
    // The change is made to what the path leads to, not to a link on the way.
    let real = match &found {
        Some(r) => r.path.clone(),
        None => {
            let folder = host.root.resolve(path.parent()?).ok()?.path;
            folder.join(path.file_name()?)
        }
    };
    let before = match found {
        Some(r) => {
            let state = FileState::read(&r.handle, &r.meta).ok()?;
            Some(Image { content: r.handle.read(64 << 20).ok()?, state })
        }
        None => None,
    };
    let own = own_mode(&real);
    let state = match &before {
        Some(b) => FileState {
            uid: 0,
            gid: 0,
            mode: own.unwrap_or(b.state.mode),
            acl: if own.is_some() { None } else { b.state.acl.clone() },
            ..b.state.clone()
        },
        None => FileState {
            uid: 0,
            gid: 0,
            mode: own.unwrap_or(0o400),
            acl: None,
            default_acl: None,
            label: None,
        },
    };
    let after = text.map(|content| Image { content, state });
    Some((real.clone(), Change::Content { path: real, before, after }))
}
