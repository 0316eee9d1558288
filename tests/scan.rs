//! The walk by many threads: it sees what `find` sees, follows nothing, and keeps its bounds in trees made to break it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use perms::sys::mounts::Mount;
use perms::sys::scan::{Options, Seen, Start, Visit, scan};
use perms::sys::{Meta, Root};

/// What is kept of an object: what it is, its label, its access ACL.
type Looks = (Meta, Option<Vec<u8>>, Option<Vec<u8>>);

/// Keeps everything.
#[derive(Default)]
struct Keep {
    seen: BTreeMap<Vec<u8>, Looks>,
    twice: Vec<Vec<u8>>,
    failed: Vec<(Vec<u8>, String)>,
    mounts: Vec<Vec<u8>>,
    /// It stays on its mount, and goes no further down than this.
    shallow: Option<usize>,
}

impl Visit for Keep {
    fn see(&mut self, seen: &Seen<'_>) -> bool {
        let a = seen.attributes;
        let owned = |v: Option<&[u8]>| v.map(<[u8]>::to_vec);
        let entry = (seen.meta, owned(a.label()), owned(a.access_acl()));
        if self.seen.insert(seen.path.to_vec(), entry).is_some() {
            self.twice.push(seen.path.to_vec());
        }
        self.shallow.is_none_or(|most| seen.depth < most)
    }

    fn enter(&mut self, path: &[u8], _: Option<&Mount>) -> bool {
        self.mounts.push(path.to_vec());
        self.shallow.is_none()
    }

    fn failed(&mut self, path: &[u8], error: io::Error) {
        self.failed.push((path.to_vec(), error.to_string()));
    }
}

fn options(threads: usize, open: usize, own_folder: bool) -> Options {
    Options { threads: NonZeroUsize::new(threads), open, own_folder, labels: true }
}

fn walk_with(path: &Path, options: Options, make: fn() -> Keep) -> Keep {
    let handle = Root::open(path).unwrap().resolve(Path::new("/")).unwrap().handle;
    let counted = std::cell::Cell::new(0);
    let tick = |n: u64| counted.set(counted.get() + n);
    let all = scan(vec![Start { path: path.to_owned(), handle }], options, &make, &tick);
    let mut sum = Keep::default();
    for one in all {
        for (path, entry) in one.seen {
            if sum.seen.insert(path.clone(), entry).is_some() {
                sum.twice.push(path);
            }
        }
        sum.failed.extend(one.failed);
        sum.mounts.extend(one.mounts);
    }
    assert_eq!(sum.twice, Vec::<Vec<u8>>::new(), "nothing is looked at twice");
    assert_eq!(
        usize::try_from(counted.get()).unwrap(),
        sum.seen.len() + sum.failed.len(),
        "the count is that of the objects"
    );
    sum
}

fn walk(path: &Path, options: Options) -> Keep {
    walk_with(path, options, Keep::default)
}

/// Owner, mode and names as `find` tells them.
fn by_find(path: &Path) -> BTreeMap<Vec<u8>, String> {
    let out = Command::new("find").arg(path).args(["-printf", "%p\\t%U %G %m %y %i %n\\0"]).output().unwrap();
    assert!(out.status.success());
    out.stdout
        .split(|b| *b == 0)
        .filter(|l| !l.is_empty())
        .map(|l| {
            let tab = l.iter().rposition(|b| *b == b'\t').unwrap();
            (l[..tab].to_vec(), String::from_utf8_lossy(&l[tab + 1..]).into_owned())
        })
        .collect()
}

fn told(keep: &Keep) -> BTreeMap<Vec<u8>, String> {
    let line = |m: &Meta| {
        let kind = match m.kind.letter() {
            '-' => 'f',
            k => k,
        };
        format!("{} {} {:o} {kind} {} {}", m.uid, m.gid, m.mode, m.id.1, m.links)
    };
    keep.seen.iter().map(|(p, (m, ..))| (p.clone(), line(m))).collect()
}

#[test]
fn it_sees_what_find_sees() {
    if !support::have("find") {
        return;
    }
    // A tree that nobody changes while this runs.
    let tree = Path::new("/usr/share/doc");
    let expected = by_find(tree);
    for (threads, open, own) in [(1, 256, true), (2, 1, true), (4, 0, false), (6, 0, true), (7, 256, false)] {
        let keep = walk(tree, options(threads, open, own));
        assert_eq!(keep.failed, [], "{threads} threads");
        assert!(told(&keep) == expected, "{threads} threads, {open} open, own folder: {own}");
    }
}

#[test]
fn one_large_folder_is_shared_and_seen_whole() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..5000 {
        std::fs::write(dir.path().join(format!("file {i}")), "").unwrap();
        if i % 3 == 0 {
            std::fs::create_dir(dir.path().join(format!("folder {i}"))).unwrap();
            std::fs::write(dir.path().join(format!("folder {i}/x")), "").unwrap();
        }
    }
    let expected = by_find(dir.path());
    for (threads, open, own) in [(1, 256, true), (2, 256, true), (8, 2, true), (3, 0, false)] {
        assert!(told(&walk(dir.path(), options(threads, open, own))) == expected, "{threads} {open} {own}");
    }
}

/// Makes `depth` folders in one another, each with a second folder beside the next; deeper than any path may be long.
fn deep(top: &Path, depth: usize) {
    let script = "import os,sys\nos.chdir(sys.argv[1])\n\
        for i in range(int(sys.argv[2])):\n os.mkdir('a')\n os.mkdir('z')\n os.mkdir('m')\n open('z/f','w')\n os.chdir('m')\n";
    assert!(
        Command::new("python3")
            .arg("-c")
            .arg(script)
            .arg(top)
            .arg(depth.to_string())
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn depth_is_not_bounded_and_few_folders_are_open() {
    if !support::have("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let depth = 3000;
    deep(dir.path(), depth);
    for (threads, open) in [(1, 0), (2, 5), (3, 256)] {
        let keep = walk(dir.path(), options(threads, open, true));
        assert_eq!(keep.failed, []);
        assert_eq!(keep.seen.len(), 1 + 4 * depth, "{threads} threads, {open} open");
        let longest = keep.seen.keys().map(Vec::len).max().unwrap();
        assert!(longest > 2 * depth);
    }
    // The test's own folder is too deep for what deletes it.
    assert!(Command::new("rm").arg("-rf").arg(dir.path()).status().unwrap().success());
}

#[test]
fn links_are_seen_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "").unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("zero")).unwrap();
    let keep = walk(dir.path(), Options::default());
    assert_eq!(keep.seen.len(), 3);
    assert!(keep.seen.values().all(|(m, ..)| m.kind != perms::sys::Kind::File));
}

#[test]
fn attributes_are_those_of_the_object_itself() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, "").unwrap();
    let acl: &[u8] = &[
        2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
        16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
    ];
    if xattr::set(&file, "system.posix_acl_access", acl).is_err() {
        support::skip("needs a file system with ACLs");
        return;
    }
    let label = b"system_u:object_r:tmp_t:s0".to_vec();
    let labelled = xattr::set(&file, "security.selinux", &[&label[..], b"\0"].concat()).is_ok();
    // A list of names longer than the usual room.
    for i in 0..40 {
        let _ = xattr::set(&file, format!("user.{i:0200}"), b"x");
    }
    std::os::unix::fs::symlink(&file, dir.path().join("l")).unwrap();
    for own in [true, false] {
        let keep = walk(dir.path(), options(2, 10, own));
        assert_eq!(keep.failed, []);
        let of = |name: &str| &keep.seen[dir.path().join(name).as_os_str().as_bytes()];
        assert_eq!(of("f").2.as_deref(), Some(acl));
        assert_eq!(of("f").1, labelled.then(|| label.clone()));
        assert_eq!(of("l").2, None, "a link has no ACL, and what it leads to is another object");
        let keep = walk(dir.path(), Options { labels: false, ..options(2, 10, own) });
        let of = |name: &str| &keep.seen[dir.path().join(name).as_os_str().as_bytes()];
        assert_eq!(
            (of("f").1.as_deref(), of("f").2.as_deref()),
            (None, Some(acl)),
            "labels alone are left out"
        );
    }
}

/// A tree whose owner swaps folders for links and other folders while it is walked: what lies outside is never seen.
#[test]
fn a_tree_that_changes_leads_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    for i in 0..50 {
        std::fs::write(outside.path().join(format!("outside {i}")), "").unwrap();
    }
    let tree = dir.path().join("tree");
    for i in 0..40 {
        std::fs::create_dir_all(tree.join(format!("d{i}/x/y"))).unwrap();
        std::fs::write(tree.join(format!("d{i}/x/y/f")), "").unwrap();
    }
    let stop = AtomicBool::new(false);
    let rounds: usize = std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0usize;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                let (here, there) =
                    (tree.join(format!("d{}", n % 40)), tree.join(format!("moved{}", n % 40)));
                std::fs::rename(&here, &there).unwrap();
                std::os::unix::fs::symlink(outside.path(), &here).unwrap();
                std::thread::yield_now();
                std::fs::remove_file(&here).unwrap();
                std::fs::rename(&there, &here).unwrap();
            }
        });
        let mut names = BTreeSet::new();
        for round in 0..rounds {
            let keep = walk_changing(&tree, options(1 + round % 3, round % 4, round % 2 == 0));
            names.extend(keep.seen.into_keys());
        }
        stop.store(true, Ordering::Relaxed);
        let stray: Vec<_> = names.iter().filter(|n| n.windows(7).any(|w| w == b"outside")).collect();
        assert!(stray.is_empty(), "{stray:?}");
        assert!(names.len() > 100);
    });
}

fn walk_changing(path: &Path, options: Options) -> Keep {
    let handle = Root::open(path).unwrap().resolve(Path::new("/")).unwrap().handle;
    let all = scan(vec![Start { path: path.to_owned(), handle }], options, &Keep::default, &|_| ());
    let mut sum = Keep::default();
    for one in all {
        sum.seen.extend(one.seen);
    }
    sum
}

#[test]
fn mounts_are_asked_about_and_left_alone() {
    // /proc is mounted below /, everywhere.
    let shallow = || Keep { shallow: Some(1), ..Keep::default() };
    let handle = Root::open(Path::new("/")).unwrap().resolve(Path::new("/")).unwrap().handle;
    let all = scan(vec![Start { path: "/".into(), handle }], options(2, 64, true), &shallow, &|_| ());
    assert!(all.iter().flat_map(|k| &k.mounts).any(|p| p == b"/proc"));
    assert!(!all.iter().flat_map(|k| k.seen.keys()).any(|p| p.starts_with(b"/proc")));
}
