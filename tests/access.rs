//! The access decision against the kernel's own: generated owners, modes, ACLs, parents, groups and capabilities, laid
//! out in a temporary folder and asked for by processes with those credentials (tests/harness/access.py). Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends at a surprise"
)]

#[path = "support/acl.rs"]
mod acls;
#[path = "support/kernel.rs"]
mod kernel;
mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use acls::{GIDS, UIDS, cases};
use kernel::Kernel;
use perms::grants::access::{
    By, CapSet, Capability, Credentials, Object, change_mode, create, delete, discretionary, permission,
    rights, search,
};
use perms::grants::acl::{Acl, Perms, Tag, XATTR_ACCESS};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// A file or folder to lay out: owner, group, special bits, ACL.
#[derive(Debug, Clone)]
struct Spec {
    uid: u32,
    gid: u32,
    special: u32,
    acl: Acl,
}

/// What the kernel has, read back: the decision is about that.
struct Placed {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
    acl: Option<Acl>,
}

impl Placed {
    fn read(path: &Path) -> Placed {
        let meta = fs::symlink_metadata(path).unwrap();
        let acl = xattr::get(path, XATTR_ACCESS).unwrap().map(|bytes| Acl::parse_xattr(&bytes).unwrap().acl);
        Placed { path: path.to_owned(), uid: meta.uid(), gid: meta.gid(), mode: meta.mode(), acl }
    }

    fn object(&self) -> Object<'_> {
        Object { uid: self.uid, gid: self.gid, mode: self.mode, acl: self.acl.as_ref() }
    }

    fn text(&self) -> String {
        let acl = self.acl.as_ref().map(Acl::to_string).unwrap_or_default();
        format!("{} {:o} {}:{} {acl}", self.path.display(), self.mode, self.uid, self.gid)
    }
}

fn spec() -> impl Strategy<Value = Spec> {
    let owner = prop_oneof![1 => Just(0), 5 => acls::uid()];
    let special = prop_oneof![3 => Just(0), 1 => Just(0o1000)];
    (owner, acls::gid(), special, acls::acl()).prop_map(|(uid, gid, special, acl)| Spec {
        uid,
        gid,
        special,
        acl,
    })
}

/// A folder on the way: mostly open, or few cases would get past it.
fn parent() -> impl Strategy<Value = Spec> {
    (spec(), 0u8..4).prop_map(|(mut spec, open)| {
        if open > 0 {
            spec.acl.chmod(spec.acl.mode_bits() | 0o111);
        }
        spec
    })
}

fn credentials() -> impl Strategy<Value = Credentials> {
    (acls::credentials(), prop_oneof![2 => Just(CapSet::NONE), 1 => acls::capabilities()], 0u8..10).prop_map(
        |(creds, capabilities, root)| {
            let uid = if root == 0 { 0 } else { creds.uid };
            Credentials { uid, capabilities, ..creds }
        },
    )
}

fn place(path: &Path, spec: &Spec, bytes: &[u8]) {
    std::os::unix::fs::lchown(path, Some(spec.uid), Some(spec.gid)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(spec.special | u32::from(spec.acl.mode_bits())))
        .unwrap();
    xattr::set(path, XATTR_ACCESS, bytes).unwrap();
}

/// A folder that every user gets to, on a file system with ACLs, and root to hand it out; else `None`, aloud.
fn folder() -> Option<(tempfile::TempDir, Kernel)> {
    if !rustix::process::geteuid().is_root() {
        support::skip("needs root, to be other users");
        return None;
    }
    if !support::have("python3") {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let acl: Acl = "u::rwx,u:1:r,g::rx,m::rx,o::rx".parse().unwrap();
    if xattr::set(dir.path(), XATTR_ACCESS, &acl.to_xattr()).is_err() {
        support::skip("needs a temporary folder on a file system with ACLs");
        return None;
    }
    xattr::remove(dir.path(), XATTR_ACCESS).unwrap();
    let nobody = Credentials::of_user(UIDS[3], GIDS[3], vec![]);
    let mut kernel = Kernel::start();
    if kernel.ask(&nobody, &[json!(["access", dir.path(), 5])]) != [0] {
        support::skip("needs a temporary folder that every user gets to");
        return None;
    }
    Some((dir, kernel))
}

/// Lays out one thing and asks one question about it.
fn one(
    kernel: &mut Kernel,
    path: &Path,
    owner: (u32, u32),
    acl: &str,
    creds: &Credentials,
    check: (&str, u32),
) -> i32 {
    let spec = Spec { uid: owner.0, gid: owner.1, special: 0, acl: acl.parse().unwrap() };
    place(path, &spec, &spec.acl.to_xattr());
    kernel.ask(creds, &[json!([check.0, path, check.1])])[0]
}

fn generate<T: std::fmt::Debug>(n: u32, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::default();
    (0..n).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// One laid-out case: folders on the way, and at the end a file, or a folder with somebody's file in it.
struct Tree {
    parents: Vec<Placed>,
    target: Placed,
    victim: Option<Placed>,
}

fn lay_out(base: &Path, i: usize, parents: &[Spec], target: &Spec, folder: bool, victim: &Spec) -> Tree {
    let mut path = base.join(i.to_string());
    let mut paths = Vec::new();
    for _ in parents {
        fs::create_dir(&path).unwrap();
        paths.push(path.clone());
        path.push("sub");
    }
    let mut at_end = None;
    if folder {
        fs::create_dir(&path).unwrap();
        let inner = path.join("victim");
        File::create(&inner).unwrap();
        place(&inner, victim, &victim.acl.to_xattr());
        at_end = Some(inner);
    } else {
        File::create(&path).unwrap();
    }
    place(&path, target, &target.acl.to_xattr());
    for (path, spec) in paths.iter().zip(parents) {
        place(path, spec, &spec.acl.to_xattr());
    }
    Tree {
        parents: paths.iter().map(|p| Placed::read(p)).collect(),
        target: Placed::read(&path),
        victim: at_end.map(|p| Placed::read(&p)),
    }
}

#[test]
fn the_decision_is_the_kernels() {
    let Some((dir, mut kernel)) = folder() else { return };
    // Each process asks about each tree.
    let processes = 30;
    let trees = cases(4_500).div_ceil(processes);
    let strategy = (proptest::collection::vec(parent(), 0..3), spec(), any::<bool>(), spec());
    let trees: Vec<Tree> = generate(trees, strategy)
        .into_iter()
        .enumerate()
        .map(|(i, (parents, target, folder, victim))| {
            assert!(!target.acl.has_named() || target.acl.mask().is_some());
            lay_out(dir.path(), i, &parents, &target, folder, &victim)
        })
        .collect();

    let mut questions = Vec::new();
    let mut expected = Vec::new();
    for creds in generate(processes, credentials()) {
        let (mut checks, mut answers) = (Vec::new(), Vec::new());
        for tree in &trees {
            let parents: Vec<Object<'_>> = tree.parents.iter().map(Placed::object).collect();
            let reached = search(&creds, &parents).is_ok();
            let target = tree.target.object();
            for want in acls::wants() {
                checks.push(json!(["access", tree.target.path, want.bits()]));
                answers.push((reached && permission(&creds, &target, want).allowed, tree));
            }
            if let Some(victim) = &tree.victim {
                checks.push(json!(["open", tree.target.path, 4]));
                answers.push((reached && permission(&creds, &target, Perms::R).allowed, tree));
                checks.push(json!(["create", tree.target.path, 0]));
                answers.push((reached && create(&creds, &target).allowed, tree));
                checks.push(json!(["rename", victim.path, 0]));
                answers.push((reached && delete(&creds, &target, &victim.object()).allowed, tree));
            } else {
                for want in [Perms::R, Perms::W, Perms::RW] {
                    checks.push(json!(["open", tree.target.path, want.bits()]));
                    answers.push((reached && permission(&creds, &target, want).allowed, tree));
                }
            }
        }
        questions.push((creds, checks));
        expected.push(answers);
    }

    let mut granted = 0;
    let mut asked = 0;
    for ((creds, checks), expected) in questions.iter().zip(&expected) {
        let answers = kernel.ask(creds, checks);
        for ((check, errno), (allowed, tree)) in checks.iter().zip(answers).zip(expected) {
            asked += 1;
            granted += u32::from(*allowed);
            let way: Vec<String> = tree.parents.iter().map(Placed::text).collect();
            assert_eq!(
                errno == 0,
                *allowed,
                "{creds:?}\n{check}: errno {errno}\n{}\n{}\nvictim {:?}",
                way.join("\n"),
                tree.target.text(),
                tree.victim.as_ref().map(Placed::text),
            );
            // The sticky bit and nothing else denies with EPERM; all else is EACCES.
            assert!(
                errno == 0 || errno == 13 || (errno == 1 && check[0] == "rename"),
                "{check}: errno {errno}"
            );
        }
    }
    eprintln!("{asked} answers compared, {granted} of them granted");
    assert!(granted * 10 > asked && granted * 10 < asked * 9, "{granted} of {asked} granted: too one-sided");
}

#[test]
fn doubled_and_unsorted_entries_are_read_as_the_kernel_reads_them() {
    let Some((dir, mut kernel)) = folder() else { return };
    let raw_entry = (0usize..4, any::<bool>(), 0u16..8);
    let strategy = (spec(), proptest::collection::vec(raw_entry, 2..8), 1u16..8);
    let mut files = Vec::new();
    let mut odd = 0;
    for (i, (spec, named, mask)) in generate(cases(4_500).div_ceil(30), strategy).into_iter().enumerate() {
        let path = dir.path().join(i.to_string());
        File::create(&path).unwrap();
        let entry = |tag: u16, perms: u16, id: u32| {
            [tag.to_le_bytes().as_slice(), &perms.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let [owner, group, other] = Perms::of_mode(spec.acl.mode_bits()).map(|p| u16::from(p.bits()));
        let mut bytes = vec![2, 0, 0, 0];
        bytes.extend(entry(1, owner, u32::MAX));
        bytes.extend(named.iter().filter(|n| n.1).flat_map(|n| entry(2, n.2, UIDS[n.0])));
        bytes.extend(entry(4, group, u32::MAX));
        bytes.extend(named.iter().filter(|n| !n.1).flat_map(|n| entry(8, n.2, GIDS[n.0])));
        bytes.extend(entry(0x10, mask, u32::MAX));
        bytes.extend(entry(0x20, other, u32::MAX));
        place(&path, &spec, &bytes);
        let stored = xattr::get(&path, XATTR_ACCESS).unwrap().unwrap();
        assert_eq!(stored, bytes, "the kernel keeps them as they are");
        odd += u32::from(!Acl::parse_xattr(&bytes).unwrap().problems.is_empty());
        files.push(Placed::read(&path));
    }
    assert!(odd > 0);
    let questions: Vec<_> = generate(30, acls::credentials())
        .into_iter()
        .map(|creds| {
            let checks =
                files.iter().flat_map(|f| Perms::RWX.singles().map(|p| json!(["access", f.path, p.bits()])));
            (creds, checks.collect::<Vec<_>>())
        })
        .collect();
    for (creds, checks) in &questions {
        let answers = kernel.ask(creds, checks);
        for (file, answers) in files.iter().zip(answers.chunks(3)) {
            let kernel = Perms::RWX.singles().zip(answers).filter(|(_, errno)| **errno == 0);
            let kernel = kernel.fold(Perms::NONE, |all, (p, _)| all | p);
            assert_eq!(rights(creds, &file.object()), kernel, "{creds:?} {}", file.text());
        }
    }
}

fn ours(path: &Path, creds: &Credentials, want: Perms) -> (bool, By) {
    let decision = permission(creds, &Placed::read(path).object(), want);
    (decision.allowed, decision.by)
}

#[test]
fn a_mask_of_nothing_gives_a_named_user_the_right_of_others() {
    let Some((dir, mut kernel)) = folder() else { return };
    let file = dir.path().join("f");
    fs::write(&file, "").unwrap();
    let alice = Credentials::of_user(UIDS[0], GIDS[0], vec![]);
    let acl = format!("u::rw,u:{}:-,g::-,m::-,o::r", alice.uid);
    assert_eq!(one(&mut kernel, &file, (0, 0), &acl, &alice, ("open", 4)), 0);
    assert_eq!(ours(&file, &alice, Perms::R), (true, By::Other));
    let decision = permission(&alice, &Placed::read(&file).object(), Perms::R);
    assert_eq!(decision.to_string(), "other::r-- (the mask is ---, so the kernel looks past the ACL)");
    // As one of the owning group she is not one of the others.
    let member = Credentials::of_user(UIDS[0], 0, vec![]);
    assert_eq!(one(&mut kernel, &file, (0, 0), &acl, &member, ("open", 4)), 13);
    assert!(!ours(&file, &member, Perms::R).0);
    // With any bit in the mask her entry counts.
    let acl = acl.replace("m::-", "m::x");
    assert_eq!(one(&mut kernel, &file, (0, 0), &acl, &alice, ("open", 4)), 13);
    assert_eq!(ours(&file, &alice, Perms::R), (false, By::NamedUser(alice.uid)));
}

#[test]
fn a3_one_group_entry_must_grant_the_whole_request() {
    let Some((dir, mut kernel)) = folder() else { return };
    let file = dir.path().join("f");
    fs::write(&file, "").unwrap();
    let both = Credentials::of_user(UIDS[0], GIDS[0], vec![GIDS[1]]);
    let acl = format!("u::-,g::-,g:{}:r,g:{}:w,m::rw,o::rw", GIDS[0], GIDS[1]);
    assert_eq!(one(&mut kernel, &file, (0, 0), &acl, &both, ("open", 4)), 0);
    assert_eq!(one(&mut kernel, &file, (0, 0), &acl, &both, ("open", 2)), 0);
    assert_eq!(one(&mut kernel, &file, (0, 0), &acl, &both, ("open", 6)), 13);
    let placed = Placed::read(&file);
    assert_eq!(rights(&both, &placed.object()), Perms::RW);
    let decision = permission(&both, &placed.object(), Perms::RW);
    assert!(!decision.allowed);
    assert_eq!(decision.to_string(), format!("group:{}:r--, group:{}:-w-", GIDS[0], GIDS[1]));
    // A match never falls to others, who have rw- here.
    let first = Credentials::of_user(UIDS[0], GIDS[0], vec![]);
    assert_eq!(one(&mut kernel, &file, (0, 0), &acl, &first, ("open", 2)), 13);
    assert!(!ours(&file, &first, Perms::W).0);
}

#[test]
fn root_executes_nothing_without_an_execute_bit() {
    let Some((dir, _kernel)) = folder() else { return };
    let program = dir.path().join("program");
    fs::copy(support::which("true").unwrap(), &program).unwrap();
    let root = Credentials::of_user(0, 0, vec![]);
    let run = || Command::new(&program).status();
    place(
        &program,
        &Spec { uid: UIDS[0], gid: GIDS[0], special: 0, acl: Acl::from_mode(0o644) },
        &Acl::from_mode(0o644).to_xattr(),
    );
    assert_eq!(run().unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    assert!(!ours(&program, &root, Perms::X).0);
    assert!(ours(&program, &root, Perms::RW).0);
    // The x of a named entry counts only as far as the mask lets it show in the mode.
    let acl: Acl = "u::rw,u:1:rwx,g::r,m::r,o::-".parse().unwrap();
    xattr::set(&program, XATTR_ACCESS, &acl.to_xattr()).unwrap();
    assert!(run().is_err() && !ours(&program, &root, Perms::X).0);
    let acl: Acl = "u::rw,g::r,u:1:x,m::x,o::-".parse().unwrap();
    xattr::set(&program, XATTR_ACCESS, &acl.to_xattr()).unwrap();
    assert!(run().unwrap().success());
    assert_eq!(ours(&program, &root, Perms::X), (true, By::Capability(Capability::DacOverride)));
}

#[test]
fn who_may_delete_in_a_sticky_folder() {
    let Some((dir, mut kernel)) = folder() else { return };
    let [owner, of_folder, stranger, _] = UIDS.map(|uid| Credentials::of_user(uid, GIDS[0], vec![]));
    let with_fowner = Credentials { capabilities: CapSet::NONE.with(Capability::Fowner), ..stranger.clone() };
    let cases = [
        (&owner, true, By::FileOwner),
        (&of_folder, true, By::FolderOwner),
        (&stranger, false, By::Sticky),
        (&with_fowner, true, By::Capability(Capability::Fowner)),
    ];
    for (i, (creds, allowed, by)) in cases.into_iter().enumerate() {
        let sticky = dir.path().join(i.to_string());
        fs::create_dir(&sticky).unwrap();
        let file = sticky.join("f");
        fs::write(&file, "").unwrap();
        place(
            &sticky,
            &Spec { uid: of_folder.uid, gid: 0, special: 0o1000, acl: Acl::from_mode(0o777) },
            &Acl::from_mode(0o777).to_xattr(),
        );
        place(
            &file,
            &Spec { uid: owner.uid, gid: 0, special: 0, acl: Acl::from_mode(0) },
            &Acl::from_mode(0).to_xattr(),
        );
        let (folder, object) = (Placed::read(&sticky), Placed::read(&file));
        let decision = delete(creds, &folder.object(), &object.object());
        assert_eq!((decision.allowed, decision.by), (allowed, by));
        let errno = kernel.ask(creds, &[json!(["unlink", file, 0])])[0];
        assert_eq!(errno, if allowed { 0 } else { 1 });
        assert_eq!(file.exists(), !allowed);
    }
}

#[test]
fn who_may_change_the_mode() {
    let Some((dir, mut kernel)) = folder() else { return };
    let file = dir.path().join("f");
    fs::write(&file, "").unwrap();
    for creds in generate(40, credentials()) {
        let errno =
            one(&mut kernel, &file, (UIDS[0], GIDS[0]), "u::rwx,g::rwx,o::rwx", &creds, ("chmod", 0o700));
        let decision = change_mode(&creds, &Placed::read(&file).object());
        assert_eq!(errno == 0, decision.allowed, "{creds:?}");
    }
}

#[test]
fn a_granted_right_is_there_and_a_revoked_one_is_not() {
    // What `apply` does with an ACL, seen from the process that it is for.
    let Some((dir, mut kernel)) = folder() else { return };
    let strategy = (spec(), acls::uid(), acls::perms());
    for (i, (spec, uid, right)) in generate(cases(4_500).div_ceil(30), strategy).into_iter().enumerate() {
        if uid == spec.uid {
            continue;
        }
        let file = dir.path().join(i.to_string());
        fs::write(&file, "").unwrap();
        let mut acl = spec.acl.clone();
        acl.grant(Tag::User(uid), right);
        place(&file, &spec, &acl.to_xattr());
        let creds = Credentials::of_user(uid, GIDS[0], vec![GIDS[1]]);
        let checks: Vec<Value> = acls::wants().map(|w| json!(["access", file, w.bits()])).collect();
        for (want, errno) in acls::wants().zip(kernel.ask(&creds, &checks)) {
            assert_eq!(errno == 0, right.contains(want), "{want} by {acl}");
            assert_eq!(discretionary(&creds, &Placed::read(&file).object(), want).allowed, errno == 0);
        }
    }
}
