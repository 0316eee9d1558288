//! `audit --all`: the whole host, looked at once, by all processors.
//!
//! | file | what it does |
//! |---|---|
//! | `look` | one object: owner, mode, ACL, capabilities, label together |
//! | `labels` | the label beside the one that the specifications want |
//! | `secrets` | what is a secret |
//! | `sights` | what was seen, gathered and counted |
//! | `tell` | sights → findings |

mod labels;
mod look;
mod secrets;
mod sights;
mod tell;

use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::manifest::{Access, Manifest};
use crate::report::Finding;
use crate::sys::mounts::Mounts;
use crate::sys::scan::{Options, Start, scan};
use crate::sys::{ResolveError, Root};

pub use labels::Labels;
use look::{AppUser, Look, Scope};

/// Under this name stand the findings that concern no application.
pub const HOST: &str = "host";

/// Trees that hold other systems' files, which nobody reaches by their paths here: images and layers of containers, and
/// other versions of the system. Each is named in the report if it is there.
const LEFT_OUT: [&str; 6] = [
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/containerd",
    "/var/lib/machines",
    "/sysroot",
    "/nix/store",
];

/// What the look at a whole host came to.
#[derive(Debug, Default)]
pub struct Whole {
    /// Findings, sorted.
    pub findings: Vec<Finding>,
    /// Objects looked at.
    pub seen: u64,
    /// Objects that could not be looked at.
    pub unread: u64,
    /// Mounts and trees that were left out, and why.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Looks at everything below the root.
///
/// # Errors
/// The root itself cannot be looked at.
pub fn look_at_all(
    manifests: &[Manifest],
    host: &Host,
    labels: Option<Labels<'_>>,
    tick: &dyn Fn(u64),
) -> Result<Whole, ResolveError> {
    let scope = Scope {
        host,
        users: users(manifests, host),
        declared: declared(manifests, &host.root),
        labels,
        mounts: Mounts::read().unwrap_or_default(),
        overrides: overrides(&host.root),
        left_out: &LEFT_OUT,
    };
    let start = Start { path: PathBuf::from("/"), handle: host.root.resolve(Path::new("/"))?.handle };
    let options = Options { labels: scope.labels.is_some(), ..Options::default() };
    let mut looks = scan(vec![start], options, &|| Look::new(&scope), tick).into_iter();
    let Some(mut all) = looks.next() else { return Ok(Whole::default()) };
    for look in looks {
        all.sights.merge(look.sights);
        all.not_entered.extend(look.not_entered);
        all.seen += look.seen;
        all.failed += look.failed;
        for (mount, (with, without)) in look.labelled {
            let counts = all.labelled.entry(mount).or_default();
            *counts = (counts.0 + with, counts.1 + without);
        }
    }
    let trees = LEFT_OUT.iter().filter(|p| host.root.resolve(Path::new(p)).is_ok());
    let mut left_out = all.not_entered;
    left_out
        .extend(trees.map(|p| (PathBuf::from(p), "files of containers, or of another version".to_owned())));
    left_out.sort();
    let (seen, unread) = (all.seen, all.failed);
    let findings = tell::findings(&scope, manifests, all.sights, &all.labelled);
    Ok(Whole { findings, seen, unread, left_out })
}

/// The applications' users, each with what is declared as its own.
fn users(manifests: &[Manifest], host: &Host) -> Vec<AppUser> {
    let mut users = Vec::new();
    for (app, m) in manifests.iter().enumerate() {
        let name = &m.app.user.name.value;
        let Some(user) = host.accounts.user(name) else { continue };
        let Some(creds) = host.accounts.credentials(name) else { continue };
        let mut own: Vec<PathBuf> = Vec::new();
        for rule in &m.paths {
            let writes = rule.access.as_ref().is_some_and(|a| a.value == Access::Write)
                || rule.owner.as_ref().is_some_and(|o| o.value == *name)
                || rule.group.is_some()
                || rule.acl.is_some()
                || rule.mode.is_some();
            if writes {
                own.push(real(&host.root, &rule.path.value));
            }
        }
        // A home of its own. Many service accounts have a folder of the system's as their home.
        let home = Path::new(&user.home);
        let its_own = host.root.resolve(home).is_ok_and(|r| r.meta.uid == user.uid);
        if its_own && home.components().count() > 2 {
            own.push(real(&host.root, home));
        }
        own.extend(
            ["/var/mail", "/var/spool/mail", "/var/spool/cron", "/var/spool/cron/crontabs"]
                .map(|f| Path::new(f).join(name)),
        );
        users.push(AppUser { app, creds, own });
    }
    users
}

fn declared(manifests: &[Manifest], root: &Root) -> Vec<PathBuf> {
    manifests.iter().flat_map(|m| &m.paths).map(|r| real(root, &r.path.value)).collect()
}

/// The path without links, by which the walk comes to it.
fn real(root: &Root, path: &Path) -> PathBuf {
    root.resolve(path).map_or_else(|_| path.to_owned(), |r| r.path)
}

/// What an administrator told dpkg to keep so: `USER GROUP MODE PATH` (dpkg-statoverride(1)).
fn overrides(root: &Root) -> Vec<(Vec<u8>, u16)> {
    let text = root.read(Path::new("/var/lib/dpkg/statoverride"), 1 << 20).unwrap_or_default();
    let line = |line: &[u8]| {
        let text = std::str::from_utf8(line).ok()?;
        let mut words = text.splitn(4, ' ');
        let mode = u16::from_str_radix(words.nth(2)?, 8).ok()?;
        Some((words.next()?.as_bytes().to_vec(), mode))
    };
    text.split(|b| *b == b'\n').filter_map(line).collect()
}
