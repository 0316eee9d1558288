//! `perms can` and `perms who-can`: against the kernel's own answers over generated trees, and as a reader sees them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

#[path = "support/acl.rs"]
mod acls;
#[path = "support/kernel.rs"]
mod kernel;
mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use acls::cases;
use kernel::Kernel;
use perms::grants::access::{CapSet, Credentials};
use perms::grants::acl::{Acl, XATTR_ACCESS};
use perms::host::Host;
use perms::rights::{Action, Asker, Verdict, may};
use perms::sys::Root;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use support::tree::{Tree, run};

/// What is laid out: an object, what it is, and where.
#[derive(Debug, Clone)]
struct Thing {
    /// Which of the folders made before it is in.
    folder: usize,
    kind: u8,
    uid: u32,
    gid: u32,
    special: u32,
    acl: Acl,
    /// Of a link: which of the things made before it leads to.
    target: usize,
}

fn thing() -> impl Strategy<Value = Thing> {
    let owner = prop_oneof![1 => Just(0), 6 => acls::uid()];
    let special = prop_oneof![3 => Just(0), 1 => Just(0o1000)];
    let open = prop_oneof![3 => Just(0o555), 2 => Just(0o777), 3 => Just(0)];
    (any::<usize>(), 0u8..8, owner, acls::gid(), special, acls::acl(), open, any::<usize>()).prop_map(
        |(folder, kind, uid, gid, special, mut acl, open, target)| {
            acl.chmod(acl.mode_bits() | open);
            Thing { folder, kind, uid, gid, special, acl, target }
        },
    )
}

/// Makes them; the paths that can be asked about.
fn lay_out(base: &Path, things: &[Thing]) -> Vec<PathBuf> {
    let mut folders = vec![base.to_owned()];
    let mut all = vec![base.join("missing")];
    let mut made: Vec<(PathBuf, &Thing)> = Vec::new();
    for (i, t) in things.iter().enumerate() {
        let folder = folders[t.folder % folders.len()].clone();
        let path = folder.join(format!("t{i}"));
        match t.kind {
            0..3 => {
                fs::create_dir(&path).unwrap();
                folders.push(path.clone());
                all.push(path.join("missing"));
                all.push(path.join("..").join(format!("t{i}")));
                made.push((path.clone(), t));
            }
            3..6 => {
                File::create(&path).unwrap();
                all.push(path.join("below-a-file"));
                made.push((path.clone(), t));
            }
            _ => {
                let to = &all[t.target % all.len()];
                // By absolute path, and by what is relative to the folder (which itself leaves nothing: no link's text).
                let text = match to.strip_prefix(&folder) {
                    Ok(near) if t.kind == 6 && !near.as_os_str().is_empty() => near.to_owned(),
                    _ => to.clone(),
                };
                std::os::unix::fs::symlink(text, &path).unwrap();
                std::os::unix::fs::lchown(&path, Some(t.uid), Some(t.gid)).unwrap();
                all.push(path.join("through"));
            }
        }
        all.push(path);
    }
    for (path, t) in made {
        std::os::unix::fs::lchown(&path, Some(t.uid), Some(t.gid)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(t.special | u32::from(t.acl.mode_bits()))).unwrap();
        xattr::set(&path, XATTR_ACCESS, &t.acl.to_xattr()).unwrap();
    }
    all
}

fn generate<T: std::fmt::Debug>(n: u32, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::default();
    (0..n).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn credentials() -> impl Strategy<Value = Credentials> {
    (acls::credentials(), prop_oneof![2 => Just(CapSet::NONE), 1 => acls::capabilities()], 0u8..10).prop_map(
        |(creds, capabilities, root)| {
            let uid = if root == 0 { 0 } else { creds.uid };
            Credentials { uid, capabilities, ..creds }
        },
    )
}

/// What of the question the kernel can be asked without changing anything; none where it cannot.
fn check(action: Action, path: &Path) -> Option<Value> {
    let about = fs::metadata(path);
    let folder = about.as_ref().is_ok_and(fs::Metadata::is_dir);
    let itself = fs::symlink_metadata(path).ok();
    Some(match action {
        Action::Read => json!(["open", path, 4]),
        Action::Write if folder => json!(["access", path, 3]),
        Action::Write => json!(["open", path, 2]),
        Action::Execute if folder => return None,
        Action::Execute => json!(["access", path, 1]),
        Action::Search if folder => json!(["access", path, 1]),
        Action::Search => json!(["access", path.join("."), 0]),
        // What makes a folder answers for what makes a file; a path that is there and no folder is an error here.
        Action::Create if itself.as_ref().is_some_and(fs::Metadata::is_dir) => json!(["create", path, 0]),
        Action::Create => json!(["mkdir", path, 0]),
        Action::Delete => {
            let full = itself.as_ref().is_some_and(fs::Metadata::is_dir)
                && fs::read_dir(path).is_ok_and(|mut d| d.next().is_some());
            if full || path.components().any(|c| c.as_os_str() == "..") {
                return None;
            }
            json!(["rename", path, 0])
        }
        Action::Chmod => json!(["chmod", path, about.map_or(0o700, |m| m.permissions().mode() & 0o7777)]),
    })
}

#[test]
fn generated_trees_are_answered_as_the_kernel_answers() {
    if !rustix::process::geteuid().is_root() {
        support::skip("needs root, to be other users");
        return;
    }
    if !support::have("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let acl: Acl = "u::rwx,u:1:r,g::rx,m::rx,o::rx".parse().unwrap();
    if xattr::set(dir.path(), XATTR_ACCESS, &acl.to_xattr()).is_err() {
        support::skip("needs a temporary folder on a file system with ACLs");
        return;
    }
    xattr::remove(dir.path(), XATTR_ACCESS).unwrap();
    let host = Host::observe(Root::open(Path::new("/")).unwrap()).unwrap();
    let mut kernel = Kernel::start();
    let protected = fs::read_to_string("/proc/sys/fs/protected_symlinks").unwrap();
    let (mut asked, mut yes) = (0, 0);
    let wanted = cases(6_000);
    let mut round = 0;
    while asked < wanted {
        let base = dir.path().join(round.to_string());
        round += 1;
        fs::create_dir(&base).unwrap();
        fs::set_permissions(&base, Permissions::from_mode(0o755)).unwrap();
        let things = generate(1, proptest::collection::vec(thing(), 12)).remove(0);
        let paths = lay_out(&base, &things);
        for creds in generate(6, credentials()) {
            let asker = Asker { name: "them".into(), credentials: creds.clone() };
            let (mut checks, mut ours) = (Vec::new(), Vec::new());
            for path in &paths {
                for action in Action::ALL {
                    let Some(check) = check(action, path) else { continue };
                    checks.push(check);
                    ours.push((may(&host, &asker, action, path, None), action, path));
                }
            }
            for ((answer, action, path), errno) in ours.iter().zip(kernel.ask(&creds, &checks)) {
                // EEXIST: what is created is there; the rest of the answer is the same.
                assert_ne!(answer.verdict, Verdict::Unknown, "{action:?} {}: {answer:#?}", path.display());
                assert_eq!(
                    answer.verdict == Verdict::Yes,
                    errno == 0,
                    "{action:?} {} as {creds:?}: errno {errno}, protected_symlinks {protected}{:#?}",
                    path.display(),
                    answer.steps
                );
                asked += 1;
                yes += u32::from(errno == 0);
            }
        }
        fs::remove_dir_all(&base).unwrap();
    }
    assert!(yes > asked / 10 && yes < asked - asked / 10, "{yes} of {asked} are yes: the cases say little");
}

/// A host with two applications and an administrator.
fn host() -> Tree {
    let t = Tree::new();
    t.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\n\
         deploy:x:1001:1001::/home/deploy:/bin/sh\nflame:x:1002:1002::/home/flame:/bin/sh\n\
         bar:x:1003:1003::/home/bar:/bin/sh\n",
    );
    t.write(
        "etc/group",
        "root:x:0:\nsudo:x:27:alice\nalice:x:1000:\ndeploy:x:1001:\nflame:x:1002:\nbar:x:1003:\nweb:x:1010:deploy,flame\n",
    );
    t.write("etc/hostname", "web1\n");
    t.mkdir("usr/bin");
    for program in ["systemctl", "tee", "cat", "ls"] {
        t.write(&format!("usr/bin/{program}"), "x");
        t.chmod(&format!("usr/bin/{program}"), 0o755);
    }
    t.mkdir("bin");
    t.write("bin/sh", "x");
    t.write("home/bar/db.sqlite3", "x");
    t.chmod("home/bar", 0o700);
    for (path, uid, gid) in [("home/bar", 1003, 1003), ("home/bar/db.sqlite3", 1003, 1003)] {
        std::os::unix::fs::lchown(t.at(path), Some(uid), Some(gid)).unwrap();
    }
    t.write("etc/sudoers.d/deploy", "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl reload nginx\n");
    t
}

/// Whether this process may lay out the files of others.
fn is_root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root, to make files of others")
}

#[test]
fn what_stops_somebody_is_named_with_its_place() {
    if !is_root() {
        return;
    }
    let t = host();
    let said = t.expect(4, &["can", "deploy", "write", "/home/bar/db.sqlite3"]);
    let line = |path: &str, rest: &str| format!("  {path:20}  {rest}\n");
    let expected = [
        "no\n".to_owned(),
        line("/home/bar", "drwx------ bar bar  search: denied: other::---"),
        line("/home/bar/db.sqlite3", "-rw-r--r-- bar bar  write: denied: other::r--"),
    ];
    assert_eq!(said.out, expected.concat());
    let said = t.expect(0, &["can", "bar", "write", "/home/bar/db.sqlite3"]);
    assert!(
        said.out.starts_with("yes\n  /home/bar/db.sqlite3  -rw-r--r-- bar bar  write: owner user::rw-\n")
    );
    let said = t.expect(0, &["can", "bar", "write", "/home/bar/db.sqlite3", "--all"]);
    assert!(
        said.out.contains("/home/bar             drwx------ bar bar    search: owner user::rwx"),
        "{}",
        said.out
    );
    let said = t.expect(4, &["can", "bar", "read", "/home/bar/none"]);
    assert!(said.out.contains("/home/bar/none") && said.out.contains("does not exist"));
    // A capability, as of a service: the file's own bits no longer matter.
    t.expect(0, &["can", "deploy", "write", "/home/bar/db.sqlite3", "--capability", "CAP_DAC_OVERRIDE"]);
    t.expect(4, &["can", "deploy", "write", "/home/bar/db.sqlite3", "--capability", "dac_read_search"]);
    let said = t.expect(1, &["can", "deplov", "read", "/"]);
    assert!(said.err.contains("did you mean `deploy`?"), "{}", said.err);
    for wrong in [
        &["can", "deploy", "eat", "/"][..],
        &["can", "deploy", "read", "etc"],
        &["can", "deploy", "read", "/", "--as", "root"],
    ] {
        t.expect(1, wrong);
    }
}

#[test]
fn the_mask_and_the_entry_that_decide_are_named() {
    if !is_root() {
        return;
    }
    let t = host();
    let set = |acl: &str, path: &str| {
        let acl: Acl = acl.parse().unwrap();
        xattr::set(t.at(path), XATTR_ACCESS, &acl.to_xattr()).unwrap();
    };
    set("u::rw-,u:1001:rw-,g::r--,m::r--,o::---", "/home/bar/db.sqlite3");
    t.chmod("home/bar", 0o711);
    let said = t.expect(4, &["can", "deploy", "write", "/home/bar/db.sqlite3"]);
    assert!(
        said.out
            .contains("-rw-r-----+ bar bar  write: denied: user:deploy:rw-, of which the mask leaves r--"),
        "{}",
        said.out
    );
    set("u::rw-,u:1001:rw-,g::r--,m::---,o::rw-", "/home/bar/db.sqlite3");
    let said = t.expect(0, &["can", "deploy", "write", "/home/bar/db.sqlite3"]);
    assert!(said.out.contains("the mask is ---, so the kernel passes over the whole ACL"), "{}", said.out);
    set("u::rw-,g::---,g:1001:r--,g:1010:-w-,m::rwx,o::---", "/home/bar/db.sqlite3");
    t.expect(0, &["can", "deploy", "write", "/home/bar/db.sqlite3"]);
    t.expect(0, &["can", "deploy", "read", "/home/bar/db.sqlite3"]);
}

#[test]
fn the_rule_that_lets_a_command_run_or_does_not_is_named() {
    if !is_root() {
        return;
    }
    let t = host();
    let run = |status, words: &[&str]| {
        let said = t.expect(status, &[&["can", "deploy", "run"], words].concat());
        said.out
    };
    let out = run(0, &["--", "/usr/bin/systemctl", "reload", "nginx"]);
    assert!(out.contains("/etc/sudoers.d/deploy:1  run as root by sudo: deploy ALL=(root) NOPASSWD: /usr/bin/systemctl reload nginx"), "{out}");
    assert!(out.contains("no password: NOPASSWD"), "{out}");
    let out = run(0, &["--", "/usr/bin/systemctl", "reload nginx"]);
    assert!(out.contains("sudo joins the arguments"), "{out}");
    let out = run(4, &["--", "/usr/bin/systemctl", "reload", "nginx", "--now"]);
    assert!(out.contains("the rule takes the arguments `reload` `nginx` and no others"), "{out}");
    let out = run(4, &["--as", "flame", "--", "/usr/bin/systemctl", "reload", "nginx"]);
    assert!(out.contains("the rule is for the targets (root), not for flame"), "{out}");
    let out = run(4, &["--", "/usr/bin/none"]);
    assert!(out.contains("there is no such command"), "{out}");
    let out = run(4, &["--", "/usr/bin/cat", "/etc/shadow"]);
    assert!(out.contains("no rule gives deploy this"), "{out}");
    // doas compares the command as it is typed.
    t.write("etc/doas.conf", "permit nopass deploy as flame cmd cat args /x\n");
    let out = run(0, &["--as", "flame", "--", "cat", "/x"]);
    assert!(
        out.contains("/etc/doas.conf:1  run as flame by doas: permit nopass deploy as flame cmd cat args /x"),
        "{out}"
    );
    let out = run(4, &["--as", "flame", "--", "/usr/bin/cat", "/x"]);
    assert!(out.contains("doas compares the command as it is typed"), "{out}");
    // A rule that depends on the network: not knowable.
    t.write("etc/sudoers.d/net", "+netgroup ALL=(root) /usr/bin/cat\n");
    assert!(run(16, &["--", "/usr/bin/cat"]).contains("netgroups are not looked up"));
    // A host of another name.
    t.write("etc/sudoers.d/net", "deploy db1=(root) /usr/bin/cat\n");
    run(4, &["--", "/usr/bin/cat"]);
    run(0, &["--host", "db1", "--", "/usr/bin/cat"]);
}

#[test]
fn the_json_is_as_the_schema_says() {
    if !is_root() {
        return;
    }
    let t = host();
    for (status, words) in [
        (4, &["can", "deploy", "write", "/home/bar/db.sqlite3"][..]),
        (0, &["can", "deploy", "run", "--", "/usr/bin/systemctl", "reload", "nginx"]),
        (4, &["can", "deploy", "run", "--as", "flame", "--", "/usr/bin/none"]),
        (0, &["who-can", "write", "/home/bar/db.sqlite3"]),
        (0, &["who-can", "read", "/etc/passwd"]),
        (4, &["who-can", "read", "/none"]),
    ] {
        let said = t.expect(status, &[&["--format", "json"], words].concat());
        support::schema::report(&said.out);
    }
    t.write(
        "questions",
        "deploy\tread\t/etc/passwd\nbar\twrite\t/home/bar/db.sqlite3\ndeploy\tread\t/home/bar/db.sqlite3\n",
    );
    let questions = t.at("questions").display().to_string();
    let said = t.expect(4, &["can", "--from", &questions, "--format", "json"]);
    let verdicts: Vec<Value> =
        said.out.lines().map(|l| support::schema::report(l)["verdict"].clone()).collect();
    assert_eq!(verdicts, ["yes", "yes", "no"]);
    let said = t.expect(4, &["can", "--from", &questions]);
    assert!(
        said.out.starts_with("yes\tdeploy\\tread\\t/etc/passwd\t/etc/passwd: other::r--\n"),
        "{}",
        said.out
    );
}

#[test]
fn everybody_who_can_is_listed_with_a_reason() {
    if !is_root() {
        return;
    }
    let t = host();
    t.chmod("home/bar", 0o750);
    std::os::unix::fs::lchown(t.at("home/bar"), Some(1003), Some(1010)).unwrap();
    t.write("etc/sudoers.d/tee", "flame ALL=(bar) /usr/bin/tee /home/bar/db.sqlite3\n");
    let said = t.expect(0, &["who-can", "write", "/home/bar/db.sqlite3"]);
    let lines: Vec<String> =
        said.out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "root CAP_DAC_OVERRIDE",
            "bar owner user::rw-",
            "alice by sudo as root: (ALL:ALL) ALL, /etc/sudoers:3",
            "flame by sudo as bar: (bar) /usr/bin/tee /home/bar/db.sqlite3, /etc/sudoers.d/tee:1",
        ]
    );
    // Reading: by the group's way in and the others' bit.
    let said = t.expect(0, &["who-can", "read", "/home/bar/db.sqlite3"]);
    for line in ["deploy", "flame", "%web"] {
        assert!(said.out.lines().any(|l| l.starts_with(line)), "{line}: {}", said.out);
    }
    assert!(said.out.contains("(deploy, flame)"), "{}", said.out);
    let said = t.expect(0, &["who-can", "search", "/etc"]);
    assert_eq!(said.out.split_whitespace().next(), Some("everybody"), "{}", said.out);
    let said = t.expect(4, &["who-can", "read", "/none"]);
    assert!(said.out.starts_with("nobody  /none: does not exist"), "{}", said.out);
    // doas.
    t.write("etc/doas.conf", "permit deploy as bar cmd cat\n");
    t.chmod("home/bar", 0o700);
    let said = t.expect(0, &["who-can", "read", "/home/bar/db.sqlite3"]);
    assert!(said.out.contains("by doas as bar: cat, /etc/doas.conf:1"), "{}", said.out);
}

#[test]
fn mounts_and_attributes_stop_root_too() {
    if !["unshare", "mount", "chattr"].iter().all(|t| support::have(t)) || !is_root() {
        return;
    }
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let script = r#"
        set -e
        cd "$1"; P=$2
        can() { want=$1; shift; s=0; "$P" can root "$@" > out || s=$?; [ $s = $want ] || { echo "$@: $s"; cat out; exit 1; }; }
        mkdir ro noexec plain
        echo x > ro/file; cp /bin/true noexec/true; echo x > plain/file
        mount --make-rprivate /
        mount --bind ro ro; mount -o remount,ro,bind ro
        mount --bind noexec noexec; mount -o remount,noexec,bind noexec
        D=$PWD
        can 0 read $D/ro/file
        can 4 write $D/ro/file; grep -q 'mounted read-only' out
        can 4 create $D/ro/new; can 4 delete $D/ro/file; can 4 chmod $D/ro/file
        ! echo y 2>/dev/null > ro/file
        can 4 execute $D/noexec/true; grep -q 'mounted noexec' out
        ! noexec/true 2>/dev/null
        can 4 delete $D/ro; grep -q 'mount point' out
        if chattr +i plain/file 2>/dev/null; then
            can 4 write $D/plain/file; grep -q 'immutable' out; grep -q 'chattr -i' out
            can 4 delete $D/plain/file; can 4 chmod $D/plain/file; can 0 read $D/plain/file
            ! rm -f plain/file 2>/dev/null
            chattr -i plain/file; chattr +a plain
            can 0 create $D/plain/new; can 4 delete $D/plain/file; grep -q 'append-only' out
            ! rm -f plain/file 2>/dev/null
            chattr -a plain
        fi
        can 0 delete $D/plain/file
    "#;
    let said = run(Command::new("unshare")
        .args(["-m", "bash", "-c", script, "-"])
        .arg(dir.path())
        .arg(env!("CARGO_BIN_EXE_perms")));
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
}

/// A script is executed by way of its interpreter: the kernel says the same, run as the user.
#[test]
fn a_script_needs_its_interpreter() {
    if !is_root() || !["unshare", "mount", "setpriv"].iter().all(|t| support::have(t)) {
        return;
    }
    let t = Tree::new();
    t.chmod("", 0o755);
    t.mkdir("opt/x");
    std::fs::copy("/bin/true", t.at("opt/x/true")).unwrap();
    t.chmod("opt/x/true", 0o755);
    t.mkdir("opt/noexec");
    let top = t.root().to_str().unwrap().to_owned();
    type Make<'a> = Box<dyn Fn() + 'a>;
    let script = |line: &str| {
        t.write("opt/x/script", &format!("#!{line}\n"));
        t.chmod("opt/x/script", 0o755);
    };
    let cases: [(Make<'_>, &str); 8] = [
        (Box::new(|| script(&format!("{top}/opt/x/true"))), ""),
        (Box::new(|| script(&format!(" \t{top}/opt/x/true -x y"))), ""),
        (Box::new(|| script(&format!("{top}/opt/x/none"))), "the script names it as its interpreter"),
        (Box::new(|| script("")), "no script"),
        (
            Box::new(|| {
                script(&format!("{top}/opt/x/locked"));
                std::fs::copy("/bin/true", t.at("opt/x/locked")).unwrap();
                t.chmod("opt/x/locked", 0o700);
            }),
            "/opt/x/locked",
        ),
        (
            Box::new(|| {
                script(&format!("{top}/opt/x/second"));
                t.write("opt/x/second", &format!("#!{top}/opt/x/true\n"));
                t.chmod("opt/x/second", 0o755);
            }),
            "",
        ),
        (
            Box::new(|| {
                script(&format!("{top}/opt/x/true"));
                t.chmod("opt/x/script", 0o711);
            }),
            "read, as its interpreter does",
        ),
        (Box::new(|| script(&format!("{top}/opt/noexec/true"))), "mounted noexec"),
    ];
    for (make, why) in cases {
        make();
        if why == "no script" {
            continue;
        }
        let path = format!("{top}/opt/x/script");
        // In a namespace with a noexec mount, as alice's number, which is games here.
        let line = format!(
            "mount -t tmpfs -o noexec,mode=755 none {top}/opt/noexec && cp /bin/true {top}/opt/noexec/true && \
             {{ \"$PERMS\" --format plain can games execute {path}; echo \"ours $?\"; \
             setpriv --reuid=games --regid=games --clear-groups sh -c 'exec {path}' >/dev/null 2>&1; echo \"kernel $?\"; }}"
        );
        let said = run(Command::new("unshare")
            .args(["-m", "sh", "-c", &line])
            .env("PERMS", env!("CARGO_BIN_EXE_perms")));
        // The kernel starts the interpreter, which then cannot read the script (`true` does not try).
        let kernel = said.out.contains("kernel 0") && why != "read, as its interpreter does";
        assert_eq!(said.out.contains("ours 0"), kernel, "{why}: {}{}", said.out, said.err);
        assert!(said.out.contains(why), "{why}: {}", said.out);
        assert_eq!(why.is_empty(), said.out.contains("ours 0"), "{why}: {}", said.out);
    }
}
