//! Apply, plan, audit and rollback on a tree, with the host's own tools as witnesses.

mod support;

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;

use support::tree::{DEPLOYER, Tree, assert_same, run};

/// Codes and places of findings.
type Found<'a> = &'a [(&'a str, &'a str)];

/// Owners and accounts can be changed by root alone.
fn root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root")
}

#[test]
fn applied_twice_the_second_changes_nothing_and_rollback_brings_all_back() {
    if !root() || !support::have("getfacl") {
        return;
    }
    let t = Tree::new();
    let before = t.snapshot();
    let plan = t.expect(4, &["plan"]);
    assert!(plan.out.contains("+ user:durhack-deployer:rwx"), "{}", plan.out);
    assert_same(&before, &t.snapshot());

    let applied = t.expect(0, &["apply", "--yes"]);
    assert!(applied.out.contains("Undo: perms rollback"), "{}", applied.out);
    let after = t.snapshot();
    let second = t.expect(0, &["apply", "--yes"]);
    assert!(second.out.contains("nothing to change"), "{}", second.out);
    assert_same(&after, &t.snapshot());
    assert_eq!(t.expect(0, &["plan", "--format", "plain"]).out, "");
    assert_eq!(t.expect(0, &["audit"]).out, "", "audit is silent when all is well");

    t.expect(0, &["rollback"]);
    assert_same(&before, &t.snapshot());
    let again = t.expect(1, &["rollback"]);
    assert!(again.err.contains("no run to undo"), "{}", again.err);
}

#[test]
fn the_user_can_really_do_what_was_declared() {
    if !root() || !support::have("setpriv") {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    let as_user = |script: &str| {
        run(Command::new("setpriv")
            .args(["--reuid=1001", "--regid=1001", "--clear-groups", "sh", "-ec", script])
            .current_dir(t.at("etc/nginx/conf.d")))
    };
    let all = as_user(
        "cat default.conf secret.conf sub/more.conf; echo x >>secret.conf; echo y >new.conf; mkdir d; rm d -r",
    );
    assert_eq!(all.status, 0, "{}", all.err);
    // What others make there later is usable too: a file with the usual mode, and a new folder.
    std::fs::write(t.at("etc/nginx/conf.d/roots.conf"), "z").unwrap();
    std::fs::create_dir(t.at("etc/nginx/conf.d/later")).unwrap();
    let later = as_user("echo x >>roots.conf; echo x >later/x; cat later/x");
    assert_eq!(later.status, 0, "{}", later.err);
    t.audit(0);
}

#[test]
fn each_drift_is_found_and_put_right() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    let conf = "/etc/nginx/conf.d";
    let cases: &[(&str, i32, Found)] = &[
        ("chmod 644 etc/nginx/conf.d/default.conf", 4, &[("acl::masked", "/etc/nginx/conf.d/default.conf")]),
        ("chmod 600 etc/nginx/conf.d/default.conf", 4, &[("acl::masked", "/etc/nginx/conf.d/default.conf")]),
        (
            "echo x >etc/moved; mv etc/moved etc/nginx/conf.d/",
            4,
            &[("acl::missing-entry", "/etc/nginx/conf.d/moved")],
        ),
        (
            "install -m 644 /dev/null etc/nginx/conf.d/inst",
            4,
            &[("acl::missing-entry", "/etc/nginx/conf.d/inst")],
        ),
        (
            "setfacl -m u:1000:rw etc/nginx/conf.d/default.conf",
            8,
            &[("acl::undeclared-entry", "/etc/nginx/conf.d/default.conf")],
        ),
        ("setfacl -d -m g:27:rwx etc/nginx/conf.d", 8, &[("acl::undeclared-entry", conf)]),
        ("setfacl -m u:1001:r etc/nginx/conf.d/sub", 4, &[("acl::wrong-entry", "/etc/nginx/conf.d/sub")]),
        (
            "setfacl -m u:1001:rwx etc/nginx/conf.d/default.conf",
            8,
            &[("acl::wider-entry", "/etc/nginx/conf.d/default.conf")],
        ),
        ("setfacl -k etc/nginx/conf.d/sub", 4, &[("acl::missing-entry", "/etc/nginx/conf.d/sub")]),
        ("chmod 700 etc/nginx", 4, &[("path::no-search", "/etc/nginx")]),
        (
            "sed -i 's/^adm:x:4:/&durhack-deployer/' etc/group",
            8,
            &[("account::undeclared-group", "user durhack-deployer")],
        ),
        (
            "sed -i 's/^durhack-deployer:x:1001:1001/durhack-deployer:x:1001:4/' etc/passwd",
            8,
            &[("account::undeclared-group", "user durhack-deployer")],
        ),
        (
            "sed -i 's/^durhack-deployer:!:/durhack-deployer:$y$abc:/' etc/shadow",
            8,
            &[("account::unlocked", "user durhack-deployer")],
        ),
        ("chmod 777 home/durhack-deployer", 4, &[("path::wrong-mode", "/home/durhack-deployer")]),
        (
            "chgrp 4 home/durhack-deployer; chmod 770 home/durhack-deployer",
            4,
            &[("path::wrong-mode", "/home/durhack-deployer")],
        ),
    ];
    for (script, status, expected) in cases {
        let done = run(Command::new("sh").args(["-ec", script]).current_dir(t.root()));
        assert_eq!(done.status, 0, "{script}: {}", done.err);
        let found = t.audit(*status);
        let expected: Vec<_> = expected.iter().map(|(c, p)| ((*c).to_owned(), (*p).to_owned())).collect();
        assert_eq!(found, expected, "after {script}");
        t.expect(0, &["apply", "--yes"]);
        t.audit(0);
    }
}

#[test]
fn a_wider_mask_gives_nobody_else_more() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let t = Tree::new();
    let file = t.at("etc/nginx/conf.d/default.conf");
    // alice's entry says rw, and the mask leaves r: that is what she has, and must keep.
    for args in [["-m", "u:1000:rw"], ["-m", "m::r"]] {
        assert!(Command::new("setfacl").args(args).arg(&file).status().unwrap().success());
    }
    t.manifest(
        "durhack-deployer",
        &format!("{DEPLOYER}accept = {{ \"acl::undeclared-entry\" = \"alice too\" }}\n"),
    );
    t.expect(0, &["apply", "--yes"]);
    let acl = run(Command::new("getfacl").args(["-ncE"]).arg(&file)).out;
    assert!(
        acl.contains("user:1000:r--") && acl.contains("user:1001:rw-") && acl.contains("mask::rw-"),
        "{acl}"
    );
}

#[test]
fn what_cannot_be_done_leaves_everything_as_it_was() {
    if !root() || !support::have("getfacl") {
        return;
    }
    let path = |p: &str| DEPLOYER.replace("/etc/nginx/conf.d", p);
    let cases = [
        ("a missing folder", path("/etc/nginx/no-such"), "/etc/nginx/no-such"),
        ("an unknown user", format!("{DEPLOYER}owner = \"nobody-of-that-name\"\n"), "nobody-of-that-name"),
        (
            "an unknown group",
            DEPLOYER.replace("groups = []", "groups = [\"no-such-group\"]"),
            "no-such-group",
        ),
        (
            "an account that is not there",
            DEPLOYER.replace(
                "user = { home = \"/home/durhack-deployer\", login = \"locked\", groups = [] }",
                "user = \"www-data\"",
            ),
            "www-data",
        ),
        (
            "a target that is not there",
            deployer_with_commands().replace("as = \"root\"", "as = \"flame\""),
            "flame",
        ),
        (
            "a home in a folder that is not there",
            DEPLOYER.replace("/home/durhack-deployer", "/no/such/home"),
            "/no/such",
        ),
    ];
    for (what, manifest, said) in cases {
        let t = Tree::new();
        t.manifest("durhack-deployer", &manifest);
        let before = t.snapshot();
        let refused = t.expect(1, &["apply", "--yes"]);
        assert!(refused.out.contains(said), "{what}: {}\n{}", refused.out, refused.err);
        assert!(refused.err.contains("nothing was changed"), "{what}: {}", refused.err);
        assert_same(&before, &t.snapshot());
        assert_ne!(t.perms(&["audit"]).status & 4, 0, "{what} is a finding too");
    }
}

/// A tmpfs mounted for one test.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: &std::path::Path, options: &str) -> Option<Self> {
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(at).status().ok()?;
        done.success().then(|| Tmpfs(at.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_file_system_leave_everything_as_it_was() {
    if !root() || !support::have("getfacl") {
        return;
    }
    let mount = tempfile::tempdir().unwrap();
    let Some(_mounted) = Tmpfs::mount(mount.path(), "size=2m,nr_inodes=500") else {
        support::skip("needs to mount a tmpfs");
        return;
    };
    let t = Tree::within(tempfile::tempdir_in(mount.path()).unwrap());
    let before = t.snapshot();
    // Full but for less than a journal needs.
    let filler = mount.path().join("filler");
    let _ = std::fs::write(&filler, vec![0u8; 4 << 20]);
    let refused = t.expect(1, &["apply", "--yes"]);
    assert!(refused.err.contains("No space left"), "{}", refused.err);
    assert_same(&before, &t.snapshot());

    std::fs::remove_file(&filler).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(mount.path()).status().unwrap();
    assert!(remounted.success());
    let refused = t.expect(1, &["apply", "--yes"]);
    assert!(refused.err.to_lowercase().contains("read-only"), "{}", refused.err);
    assert_same(&before, &t.snapshot());
    let remounted = Command::new("mount").args(["-o", "remount,rw"]).arg(mount.path()).status().unwrap();
    assert!(remounted.success());
    t.expect(0, &["apply", "--yes"]);
}

#[test]
fn nobody_leads_root_astray_with_links() {
    if !root() || !support::have("getfacl") {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("shadow"), "hash").unwrap();
    let shadow = t.at("etc/shadow");
    let conf = t.at("etc/nginx/conf.d");
    // The deployer may write conf.d: links to a file and a folder, and a second name of one.
    symlink("/etc/shadow", conf.join("link.conf")).unwrap();
    symlink(outside.path(), conf.join("folder")).unwrap();
    std::os::unix::fs::lchown(conf.join("link.conf"), Some(1001), Some(1001)).unwrap();
    std::fs::hard_link(&shadow, conf.join("hard.conf")).unwrap();
    let before = (t.snapshot(), std::fs::metadata(outside.path().join("shadow")).unwrap().mode());
    let found = t.audit(16);
    assert_eq!(found, [("path::hard-link".to_owned(), "/etc/nginx/conf.d/hard.conf".to_owned())]);
    t.expect(16, &["apply", "--yes"]);
    assert_same(&before.0, &t.snapshot());
    assert_eq!(before.1, std::fs::metadata(outside.path().join("shadow")).unwrap().mode());

    // A declared path that leads through a link which somebody else could have placed is not followed.
    t.manifest("durhack-deployer", &DEPLOYER.replace("/etc/nginx/conf.d", "/etc/nginx/conf.d/folder"));
    std::os::unix::fs::lchown(conf.join("folder"), Some(1001), Some(1001)).unwrap();
    let refused = t.expect(1, &["apply", "--yes"]);
    assert!(refused.out.contains("symbolic link"), "{}", refused.out);
    assert_same(
        &before.0.keys().map(|k| (k.clone(), String::new())).collect(),
        &t.snapshot().keys().map(|k| (k.clone(), String::new())).collect(),
    );
}

/// Whether a process has the tree's path among its arguments.
fn still_at_work(root: &std::path::Path) -> bool {
    let root = root.as_os_str().as_encoded_bytes();
    std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok).any(|p| {
        let arguments = std::fs::read(p.path().join("cmdline")).unwrap_or_default();
        arguments.split(|b| *b == 0).any(|a| a == root)
    })
}

#[test]
fn a_home_of_somebody_else_is_found_and_left_to_a_human() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    let home = t.at("home/durhack-deployer");
    let wrong = |code: &str| vec![(code.to_owned(), "/home/durhack-deployer".to_owned())];
    std::os::unix::fs::chown(&home, Some(1000), None).unwrap();
    assert_eq!(t.audit(4), wrong("path::wrong-owner"));
    t.expect(4, &["apply", "--yes"]);
    assert_eq!(std::fs::metadata(&home).unwrap().uid(), 1000);
    // Root's is nobody's, and the group that is the user's alone lets nobody in.
    std::os::unix::fs::chown(&home, Some(0), Some(1001)).unwrap();
    t.chmod("home/durhack-deployer", 0o775);
    t.audit(0);
    std::os::unix::fs::chown(&home, Some(1001), Some(1001)).unwrap();
    assert!(Command::new("setfacl").args(["-m", "o::rwx"]).arg(&home).status().unwrap().success());
    assert!(Command::new("setfacl").args(["-m", "u:1000:r"]).arg(&home).status().unwrap().success());
    assert_eq!(t.audit(4), wrong("path::wrong-mode"));
    // With an ACL the mode is not the whole truth: perms does not guess.
    t.expect(4, &["apply", "--yes"]);
}

#[test]
fn what_may_only_be_read_cannot_be_changed_by_its_reader_in_any_way() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let t = Tree::new();
    let manifest =
        |more: &str| format!("{DEPLOYER}\n[[path]]\npath = \"/srv/app/code\"\naccess = \"read\"\n{more}");
    t.manifest("durhack-deployer", &manifest(""));
    t.write("srv/app/code/main.py", "");
    t.write("srv/app/code/lib/a.py", "");
    t.write("srv/app/code/lib/b.py", "");
    t.expect(0, &["apply", "--yes"]);
    let chown = |path: &str, uid: u32| std::os::unix::fs::chown(t.at(path), Some(uid), Some(0)).unwrap();
    let sh = |script: &str| {
        let done = run(Command::new("sh").args(["-ec", script]).current_dir(t.root()));
        assert_eq!(done.status, 0, "{script}: {}", done.err);
    };
    let found = |status, code: &str, place: &str| {
        assert_eq!(t.audit(status), [(code.to_owned(), place.to_owned())]);
    };
    // What a group gives is taken back by an entry of the user's own.
    sh("chgrp 1001 srv/app/code/main.py; chmod 664 srv/app/code/main.py");
    t.audit(4);
    t.expect(0, &["apply", "--yes"]);
    t.audit(0);
    // What he owns he can change; the first is named, the others counted.
    chown("srv/app/code/lib", 1001);
    chown("srv/app/code/lib/b.py", 1001);
    found(8, "path::owned-by-reader", "/srv/app/code/lib");
    assert!(t.perms(&["audit"]).out.contains("and 1 more below"));
    t.manifest("durhack-deployer", &manifest("owner = \"root\"\nrecursive = true\n"));
    t.expect(0, &["apply", "--yes"]);
    t.audit(0);
    t.manifest("durhack-deployer", &manifest(""));
    // A folder above: his own, one that he may write, a sticky one, one further up.
    chown("srv/app", 1001);
    found(8, "path::replaceable", "/srv/app/code");
    chown("srv/app", 0);
    sh("setfacl -m u:1001:rwx srv/app");
    found(8, "path::replaceable", "/srv/app/code");
    sh("setfacl -b srv/app; chmod 1777 srv/app");
    t.audit(0);
    sh("chmod 777 srv; chmod 755 srv/app");
    found(8, "path::replaceable", "/srv/app/code");
    t.manifest("durhack-deployer", &manifest("accept = { \"path::replaceable\" = \"a test\" }\n"));
    t.audit(0);
}

/// The runs as `rollback --list` tells programs.
fn runs(t: &Tree) -> Vec<serde_json::Value> {
    let said = t.perms(&["rollback", "--list", "--format", "json"]);
    support::schema::report(&said.out).get("runs").and_then(|r| r.as_array()).cloned().unwrap_or_default()
}

#[test]
fn killed_at_any_moment_each_file_is_old_or_new_and_rollback_brings_all_back() {
    if !root() || !support::have("getfacl") {
        return;
    }
    for delay in [0u64, 3, 6, 10, 15, 25, 40] {
        let t = Tree::new();
        for i in 0..400 {
            t.write(&format!("etc/nginx/conf.d/{}/{i}.conf", i % 7), "x");
        }
        let before = t.snapshot();
        let mut child = Command::new(env!("CARGO_BIN_EXE_perms"))
            .arg("--root")
            .arg(t.root())
            .args(["apply", "--yes"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay * 4));
        let _ = child.kill();
        let _ = child.wait();
        // A tool that was running goes on by itself, and is better left to end.
        while still_at_work(t.root()) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        // A run that was cut off is said by whatever looks next, and only then.
        let runs = runs(&t);
        let cut_off = runs.last().is_some_and(|r| r.get("end").is_some_and(serde_json::Value::is_null));
        assert_eq!(t.perms(&["plan"]).err.contains("was cut off: perms rollback"), cut_off);
        let status = t.perms(&["rollback"]);
        assert!(!t.perms(&["plan"]).err.contains("was cut off"));
        assert!(status.status == 0 || status.err.contains("no run to undo"), "{delay}: {}", status.err);
        assert_same(&before, &t.snapshot());
        t.expect(0, &["apply", "--yes"]);
        t.audit(0);
    }
}

#[test]
fn rollback_leaves_alone_what_somebody_changed_since() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    let file = t.at("etc/nginx/conf.d/default.conf");
    assert!(Command::new("setfacl").args(["-m", "u:1000:rw"]).arg(&file).status().unwrap().success());
    let report = t.expect(1, &["rollback"]);
    assert!(report.err.contains("default.conf") && report.err.contains("changed"), "{}", report.err);
    let acl = run(Command::new("getfacl").arg("-nc").arg(&file)).out;
    assert!(acl.contains("user:1000:rw-"), "{acl}");
}

#[test]
fn exact_forms_are_made_and_kept() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let t = Tree::new();
    t.write("srv/app/run.sh", "#!/bin/sh\n");
    t.chmod("srv/app/run.sh", 0o755);
    t.write("srv/app/data", "d");
    t.manifest(
        "app",
        r#"[app]
name = "app"
user = { home = "/srv/app", shell = "/bin/sh", login = "none", groups = ["web"], system = true }

[[group]]
name = "web"
system = true

[[path]]
path = "/srv/app"
owner = "app"
group = "web"
mode = "u=rwX,g=rX,o="
recursive = true
acl = ["user:alice:r-X"]
default_acl = ["user:alice:r-X"]

[[path]]
path = "/srv/state"
kind = "directory"
create = true
owner = "app"
mode = "2750"
"#,
    );
    std::fs::remove_file(t.at("etc/perms.d/durhack-deployer.toml")).unwrap();
    let bad = t.perms(&["plan"]);
    // `login = "none"` with a shell is a contradiction that check finds.
    if bad.status == 1 {
        let text = t.read("etc/perms.d/app.toml").replace("shell = \"/bin/sh\", ", "");
        t.manifest("app", &text);
    }
    t.expect(0, &["apply", "--yes"]);
    t.audit(0);
    let meta = |p: &str| std::fs::metadata(t.at(p)).unwrap();
    let passwd = t.read("etc/passwd");
    let line = passwd.lines().find(|l| l.starts_with("app:")).unwrap();
    assert!(line.ends_with("/usr/sbin/nologin"), "{line}");
    let uid: u32 = line.split(':').nth(2).unwrap().parse().unwrap();
    assert_eq!(meta("srv/app/run.sh").uid(), uid);
    assert_eq!(meta("srv/app/run.sh").mode() & 0o7707, 0o0700);
    let acl = |p: &str| run(Command::new("getfacl").arg("-ncE").arg(t.at(p))).out;
    assert!(acl("srv/app/run.sh").contains("user:1000:r-x"), "{}", acl("srv/app/run.sh"));
    assert!(acl("srv/app/data").contains("user:1000:r--"), "{}", acl("srv/app/data"));
    assert!(acl("srv/app/data").contains("user::rw-\n"), "{}", acl("srv/app/data"));
    assert!(acl("srv/app").contains("default:user:1000:r-x"), "{}", acl("srv/app"));
    assert_eq!(meta("srv/state").mode() & 0o7777, 0o2750);
    assert_eq!(meta("srv/state").uid(), uid);
}

#[test]
fn an_owner_beside_access_is_of_the_folder_alone() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let t = Tree::new();
    t.manifest("durhack-deployer", &format!("{DEPLOYER}owner = \"root\"\nmode = \"0755\"\n"));
    t.expect(0, &["apply", "--yes"]);
    let mine = t.at("etc/nginx/conf.d/mine.conf");
    std::fs::write(&mine, "x").unwrap();
    std::os::unix::fs::chown(&mine, Some(1001), Some(1001)).unwrap();
    t.audit(0);
    t.chmod("etc/nginx/conf.d", 0o777);
    assert_eq!(t.audit(8), [("path::wrong-mode".to_owned(), "/etc/nginx/conf.d".to_owned())]);
    t.expect(0, &["apply", "--yes"]);
    std::os::unix::fs::chown(t.at("etc/nginx/conf.d"), Some(1001), None).unwrap();
    assert_eq!(t.audit(4), [("path::wrong-owner".to_owned(), "/etc/nginx/conf.d".to_owned())]);
    t.expect(0, &["apply", "--yes"]);
    t.audit(0);
}

#[test]
fn labels_are_set_where_the_file_system_has_them() {
    if !root() || !support::have("getfacl") {
        return;
    }
    let t = Tree::new();
    let probe = t.at("probe");
    std::fs::write(&probe, "").unwrap();
    if xattr::set(&probe, "security.selinux", b"system_u:object_r:etc_t:s0\0").is_err() {
        support::skip("needs CAP_SYS_ADMIN to set labels");
        return;
    }
    std::fs::remove_file(&probe).unwrap();
    t.write("etc/passwd", &format!("{}www:x:33:33::/:/usr/sbin/nologin\n", t.read("etc/passwd")));
    t.write("home/projectname/live/index.html", "x");
    t.write("home/projectname/live/sub/page.html", "x");
    let moved = t.at("home/projectname/live/sub/page.html");
    xattr::set(&moved, "security.selinux", b"staff_u:object_r:user_home_t:s0:c1\0").unwrap();
    t.manifest(
        "durhack-deployer",
        "[app]\nname = \"projectname\"\nuser = \"www\"\n\n[[selinux.label]]\npaths = \"/home/projectname/live(/.*)?\"\ntype = \"httpd_sys_content_t\"\n",
    );
    let before = t.snapshot();
    // The tree has no policy store: that is said, and the labels on files are set all the same.
    t.expect(16 | 4, &["plan"]);
    t.expect(16, &["apply", "--yes"]);
    let label =
        |p: &std::path::Path| String::from_utf8(xattr::get(p, "security.selinux").unwrap().unwrap()).unwrap();
    assert_eq!(label(&t.at("home/projectname/live")), "system_u:object_r:httpd_sys_content_t:s0\0");
    assert_eq!(
        label(&moved),
        "staff_u:object_r:httpd_sys_content_t:s0:c1\0",
        "user, role and level are kept"
    );
    t.expect(0, &["rollback"]);
    assert_same(&before, &t.snapshot());
}

/// The deployer with its commands, without asking for acceptance of what they lead to.
fn deployer_with_commands() -> String {
    format!(
        "{DEPLOYER}accept = {{ \"path::daemon-config-and-reload\" = \"this test is about sudo\" }}\n\n\
         [[command]]\nrun = [\"/usr/bin/systemctl\", \"reload\", \"nginx\"]\nas = \"root\"\nnopasswd = true\n"
    )
}

#[test]
fn sudo_rules_are_written_checked_and_kept_narrow() {
    if !root() || !support::have("visudo") || !support::have("getfacl") {
        return;
    }
    let t = Tree::new();
    t.manifest("durhack-deployer", &deployer_with_commands());
    let before = t.snapshot();
    let applied = t.expect(0, &["apply", "--yes"]);
    assert!(applied.out.contains("checked with visudo"), "{}", applied.out);
    let fragment = "etc/sudoers.d/durhack-deployer";
    assert!(
        t.read(fragment).contains("durhack-deployer ALL=(root) NOPASSWD: /usr/bin/systemctl reload nginx\n")
    );
    assert_eq!(std::fs::metadata(t.at(fragment)).unwrap().mode() & 0o7777, 0o440);
    t.audit(0);

    let user = "durhack-deployer";
    let cases: &[(&str, &str, i32, Found)] = &[
        (
            "etc/sudoers.d/99-tmp",
            "durhack-deployer ALL=(root) /usr/bin/apt\n",
            8,
            &[("sudo::undeclared-rule", "/etc/sudoers.d/99-tmp:1")],
        ),
        (
            "etc/sudoers.d/99-tmp",
            "# note\nalice, durhack-deployer ALL=(ALL) ALL\n",
            8,
            &[("sudo::undeclared-rule", "/etc/sudoers.d/99-tmp:2")],
        ),
        (
            "etc/sudoers.d/web.admin",
            "durhack-deployer ALL=(ALL) ALL\n",
            8,
            &[("sudo::ignored-fragment", "/etc/sudoers.d/web.admin")],
        ),
        (
            fragment,
            "durhack-deployer ALL=(ALL) NOPASSWD: ALL\n",
            8,
            &[("sudo::wrong-fragment", "/etc/sudoers.d/durhack-deployer")],
        ),
        (
            fragment,
            "durhack-deployer ALL=(root) NOPASSWD: /usr/bin/syst",
            8,
            &[("sudo::wrong-fragment", "/etc/sudoers.d/durhack-deployer")],
        ),
    ];
    for (file, text, status, expected) in cases {
        t.write(file, text);
        t.chmod(file, 0o440);
        let expected: Vec<_> = expected.iter().map(|(c, p)| ((*c).to_owned(), (*p).to_owned())).collect();
        assert_eq!(t.audit(*status), expected, "{text}");
        t.expect(0, &["apply", "--yes"]);
        t.audit(0);
        let left = std::fs::read_to_string(t.at(file)).unwrap_or_default();
        assert!(file == &fragment || !left.contains(user), "{left}");
        if text.contains("alice") {
            assert_eq!(left, "# note\nalice ALL=(ALL) ALL\n", "what is alice's stays");
        }
        let _ = (file != &fragment).then(|| std::fs::remove_file(t.at(file)));
    }
    std::fs::remove_file(t.at(fragment)).unwrap();
    assert_eq!(t.audit(4), [("sudo::missing-rule".to_owned(), format!("/{fragment}"))]);
    t.expect(0, &["apply", "--yes"]);
    // What is no longer declared does not outlive its declaration.
    t.manifest("durhack-deployer", DEPLOYER);
    assert_eq!(
        t.audit(8),
        [
            // With its rule and the declared folder, that is: root in two steps.
            ("root::path".to_owned(), "user durhack-deployer".to_owned()),
            ("sudo::left-over".to_owned(), format!("/{fragment}")),
        ]
    );
    t.expect(0, &["apply", "--yes"]);
    assert!(!t.at(fragment).exists());
    t.audit(0);
    // One run after the other, back to where it was.
    while t.perms(&["rollback"]).status == 0 {}
    let mut after = t.snapshot();
    after.retain(|p, _| before.contains_key(p));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
}

#[test]
fn rules_that_others_share_are_found_and_left_to_a_human() {
    if !root() || !support::have("visudo") {
        return;
    }
    let t = Tree::new();
    t.manifest("durhack-deployer", &deployer_with_commands().replace("groups = []", "groups = [\"adm\"]"));
    t.expect(0, &["apply", "--yes"]);
    t.write("etc/sudoers.d/adm", "%adm ALL=(root) /usr/bin/journalctl\n");
    t.chmod("etc/sudoers.d/adm", 0o440);
    assert_eq!(t.audit(8), [("sudo::undeclared-rule".to_owned(), "/etc/sudoers.d/adm:1".to_owned())]);
    t.expect(8, &["apply", "--yes"]);
    assert_eq!(t.read("etc/sudoers.d/adm"), "%adm ALL=(root) /usr/bin/journalctl\n");
    // Through a group that is not declared, it is the membership that goes.
    t.manifest("durhack-deployer", &deployer_with_commands());
    let found = t.audit(8);
    assert_eq!(
        found.iter().map(|(c, _)| c.as_str()).collect::<Vec<_>>(),
        ["account::undeclared-group", "sudo::undeclared-rule"]
    );
    let applied = t.perms(&["apply", "--yes"]);
    assert!(applied.out.contains("takes durhack-deployer out of group adm"), "{}", applied.out);
    t.audit(0);
}

#[test]
fn a_broken_sudoers_changes_nothing() {
    if !root() || !support::have("visudo") || !support::have("getfacl") {
        return;
    }
    let broken = [
        ("etc/sudoers.d/other", "alice ALL=(root) NOPASSWD: /usr/bin/systemctl reload\nalice ALL=(root\n"),
        ("etc/sudoers", "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL\n@includedir /etc/sudoers.d\n"),
        ("etc/sudoers", "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n"),
    ];
    for (file, text) in broken {
        let t = Tree::new();
        t.manifest("durhack-deployer", &deployer_with_commands());
        t.write(file, text);
        t.chmod(file, 0o440);
        let before = t.snapshot();
        let refused = t.expect(1, &["apply", "--yes"]);
        assert!(refused.out.contains(&format!("/{file}")), "{text}: {}", refused.out);
        assert_same(&before, &t.snapshot());
    }
}

#[test]
fn doas_rules_are_written_checked_and_kept_narrow() {
    if !root() || !support::have("doas") || !support::have("getfacl") {
        return;
    }
    let t = Tree::new();
    let text = "permit persist :sudo\npermit nopass alice as root cmd /usr/bin/true\n";
    t.write("etc/doas.conf", text);
    t.chmod("etc/doas.conf", 0o400);
    let manifest = deployer_with_commands().replace("as = \"root\"", "as = \"root\"\nwith = \"doas\"");
    t.manifest("durhack-deployer", &manifest);
    let before = t.snapshot();
    let applied = t.expect(0, &["apply", "--yes"]);
    assert!(applied.out.contains("checked with doas -C"), "{}", applied.out);
    let conf = t.read("etc/doas.conf");
    assert!(conf.starts_with(text), "{conf}");
    assert!(
        conf.contains("permit nopass durhack-deployer as root cmd /usr/bin/systemctl args reload nginx\n"),
        "{conf}"
    );
    t.audit(0);
    t.write("etc/doas.conf", &format!("{conf}permit nopass durhack-deployer\n"));
    assert_eq!(t.audit(8)[0].0, "doas::undeclared-rule");
    t.expect(0, &["apply", "--yes"]);
    assert_eq!(t.read("etc/doas.conf"), conf);
    t.write("etc/doas.conf", &conf.replace("reload nginx", "reload"));
    assert_eq!(t.audit(8)[0].0, "doas::wrong-block");
    t.expect(0, &["apply", "--yes"]);
    // What was changed by hand between the runs is a state of its own; each rollback starts from what its run left.
    t.expect(0, &["rollback"]);
    t.write("etc/doas.conf", &conf);
    t.expect(0, &["rollback"]);
    t.write("etc/doas.conf", &conf);
    t.expect(0, &["rollback"]);
    assert_same(&before, &t.snapshot());
    // doas refuses to work with a file that it cannot read, so perms does not touch one.
    t.write("etc/doas.conf", "permit nopass\n");
    let broken = t.snapshot();
    t.expect(1, &["apply", "--yes"]);
    assert_same(&broken, &t.snapshot());
}

/// What was written for a manifest that is deleted goes with it, and comes back with rollback.
#[test]
fn what_deleted_manifests_left_is_found_and_removed() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.write("usr/lib/polkit-1/polkitd", "\0/etc/polkit-1/rules.d\0");
    t.mkdir("etc/polkit-1/rules.d");
    t.write("etc/doas.conf", "permit root\n");
    t.chmod("etc/doas.conf", 0o400);
    let command = |with: &str| {
        format!(
            "\n[[command]]\nrun = [\"/usr/bin/systemctl\", \"reload\", \"web\"]\nnopasswd = true\nwith = \"{with}\"\n"
        )
    };
    t.write(
        "etc/passwd",
        &format!("{}svc:x:900:900::/nonexistent:/usr/sbin/nologin\n", t.read("etc/passwd")),
    );
    t.write("etc/group", &format!("{}svc:x:900:\n", t.read("etc/group")));
    t.manifest(
        "gone",
        &format!(
            "[app]\nname = \"gone\"\nuser = \"svc\"\n{}{}{}",
            command("sudo"),
            command("doas"),
            command("polkit")
        ),
    );
    t.expect(0, &["apply", "--yes"]);
    let applied = t.snapshot();
    // Others' files with such names, or with such a first line under another name, are theirs.
    t.write("etc/sudoers.d/other", "# ours\n");
    t.chmod("etc/sudoers.d/other", 0o440);
    t.write("etc/sudoers.d/copy", "# perms: gone. Written by perms apply; …\n");
    t.chmod("etc/sudoers.d/copy", 0o440);
    let manifest = t.at("etc/perms.d/gone.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    // A plan of one manifest says nothing of others.
    let one = t.at("etc/perms.d/durhack-deployer.toml");
    t.expect(0, &["plan", one.to_str().unwrap()]);
    t.expect(0, &["audit", one.to_str().unwrap()]);
    // Nor does one of another folder: there are more manifests than those in it.
    let folder = t.at("etc/others.d");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&one, folder.join("durhack-deployer.toml")).unwrap();
    t.expect(0, &["--manifests", folder.to_str().unwrap(), "plan"]);
    t.expect(0, &["--manifests", folder.to_str().unwrap(), "audit"]);
    std::fs::remove_dir_all(&folder).unwrap();
    let left: Vec<_> = t.audit(8).into_iter().collect();
    assert_eq!(
        left,
        [
            ("doas::left-over".to_owned(), "/etc/doas.conf, block of gone".to_owned()),
            ("polkit::left-over".to_owned(), "/etc/polkit-1/rules.d/49-perms-gone.rules".to_owned()),
            ("sudo::left-over".to_owned(), "/etc/sudoers.d/gone".to_owned()),
        ]
    );
    let plan = t.perms(&["plan"]);
    assert!(
        plan.out.contains("gone  (its manifest is gone)") && plan.out.contains("3 to remove"),
        "{}",
        plan.out
    );
    t.expect(0, &["apply", "--yes"]);
    assert_eq!(t.audit(0), []);
    assert_eq!(t.read("etc/doas.conf"), "permit root\n");
    for path in ["etc/sudoers.d/gone", "etc/polkit-1/rules.d/49-perms-gone.rules"] {
        assert!(!t.at(path).exists(), "{path}");
    }
    assert!(t.at("etc/sudoers.d/other").exists() && t.at("etc/sudoers.d/copy").exists());
    t.expect(0, &["rollback"]);
    for path in ["etc/sudoers.d/other", "etc/sudoers.d/copy"] {
        std::fs::remove_file(t.at(path)).unwrap();
    }
    std::fs::write(&manifest, text).unwrap();
    assert_eq!(t.snapshot(), applied);
}
