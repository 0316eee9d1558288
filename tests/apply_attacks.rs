//! What an application's user, another run, or a crash can do to `apply` and `rollback`: nothing that they should not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, chown, lchown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use perms::host::Host;
use perms::plan::Plan;
use perms::sys::Root;
use support::tree::{DEPLOYER, Tree, assert_same, run};

/// Owners and accounts can be changed by root alone.
fn root() -> bool {
    (rustix::process::geteuid().is_root() || support::skip("needs root"))
        && support::have("getfacl")
        && support::have("setfacl")
}

fn plan(t: &Tree) -> Plan {
    let loaded = perms::manifest::load_all(&[t.at("etc/perms.d")]);
    let mut host = Host::observe(Root::open(t.root()).unwrap()).unwrap();
    Plan::make(loaded.manifests, &mut host, &|_| ())
}

fn shell(t: &Tree, script: &str) {
    let done = run(Command::new("sh").args(["-ec", script]).current_dir(t.root()));
    assert_eq!(done.status, 0, "{script}: {}", done.err);
}

#[test]
fn roots_own_link_moved_by_the_application_is_not_followed() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.mkdir("srv/app");
    t.manifest("durhack-deployer", &DEPLOYER.replace("/etc/nginx/conf.d", "/srv/app"));
    t.expect(0, &["apply", "--yes"]);
    // Root places a link; the application, which may write the folder by an ACL, gives it the name of a declared path.
    symlink("/etc", t.at("srv/app/conf")).unwrap();
    std::fs::rename(t.at("srv/app/conf"), t.at("srv/app/data")).unwrap();
    t.manifest("durhack-deployer", &DEPLOYER.replace("/etc/nginx/conf.d", "/srv/app/data"));
    let before = t.snapshot();
    let refused = t.expect(1, &["apply", "--yes"]);
    assert!(refused.out.contains("symbolic link"), "{}", refused.out);
    assert_same(&before, &t.snapshot());

    // In a folder further down that is root's own it could have been moved there with the folder.
    t.mkdir("srv/app/roots");
    symlink("/etc", t.at("srv/app/roots/data")).unwrap();
    t.manifest("durhack-deployer", &DEPLOYER.replace("/etc/nginx/conf.d", "/srv/app/roots/data"));
    let before = t.snapshot();
    t.expect(1, &["apply", "--yes"]);
    assert_same(&before, &t.snapshot());
}

#[test]
fn a_link_in_a_folder_that_the_plan_opens_is_refused_at_once() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.mkdir("srv/releases/1");
    symlink("releases/1", t.at("srv/current")).unwrap();
    let text = DEPLOYER.replace("/etc/nginx/conf.d", "/srv/current");
    t.manifest("durhack-deployer", &text);
    t.expect(4, &["plan"]);
    t.manifest(
        "durhack-deployer",
        &format!("{text}\n[[path]]\npath = \"/srv\"\naccess = \"write\"\nrecursive = false\n"),
    );
    let before = t.snapshot();
    let refused = t.expect(1, &["apply", "--yes"]);
    assert!(refused.out.contains("others can replace"), "{}", refused.out);
    assert_same(&before, &t.snapshot());
}

#[test]
fn a_file_that_looks_the_same_is_not_the_same_file() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.write("etc/nginx/conf.d/victim", "server {}\n");
    t.manifest("durhack-deployer", &format!("{DEPLOYER}recursive = false\n\n[[path]]\npath = \"/etc/nginx/conf.d/default.conf\"\naccess = \"write\"\n"));
    let planned = plan(&t);
    // Between plan and apply: another file of root's, of the same mode, takes the name.
    std::fs::rename(t.at("etc/nginx/conf.d/victim"), t.at("etc/nginx/conf.d/default.conf")).unwrap();
    let before = t.snapshot();
    let error = perms::apply::apply(&Root::open(t.root()).unwrap(), &planned).unwrap_err();
    assert!(error.why.contains("another file"), "{error}");
    assert_same(&before, &t.snapshot());

    // And between apply and rollback.
    t.expect(0, &["apply", "--yes"]);
    let file = t.at("etc/nginx/conf.d/default.conf");
    shell(&t, "cp -a etc/nginx/conf.d/default.conf copy; mv copy etc/nginx/conf.d/default.conf");
    let acl = |p: &Path| run(Command::new("getfacl").arg("-ncp").arg(p)).out;
    let is = acl(&file);
    let said = t.expect(1, &["rollback"]);
    assert!(said.err.contains("another file has its name"), "{}", said.err);
    assert_eq!(acl(&file), is);
}

#[test]
fn a_run_that_comes_too_late_takes_nothing_of_the_other_back() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.manifest(
        "durhack-deployer",
        &format!(
            "{DEPLOYER}\n[[path]]\npath = \"/srv\"\nkind = \"directory\"\ncreate = true\nmode = \"0750\"\n"
        ),
    );
    let (first, second) = (plan(&t), plan(&t));
    let root = Root::open(t.root()).unwrap();
    perms::apply::apply(&root, &first).unwrap();
    let applied = t.snapshot();
    let error = perms::apply::apply(&root, &second).unwrap_err();
    assert!(error.remedy.clone().unwrap_or_default().contains("the host is as it was"), "{error:?}");
    assert_same(&applied, &t.snapshot());
    t.audit(0);
}

#[test]
fn a_journal_that_others_could_have_written_is_not_carried_out() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    let after = t.snapshot();
    let journal = t.at("var/lib/perms/journal");
    let file = std::fs::read_dir(&journal)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "jsonl"))
        .unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(&journal).unwrap().mode() & 0o7777, 0o700);
    let acts: [(&str, &dyn Fn(bool)); 2] = [
        ("owner of the file", &|evil| chown(&file, Some(if evil { 1001 } else { 0 }), None).unwrap()),
        ("mode of the folder", &|evil| t.chmod("var/lib/perms/journal", if evil { 0o777 } else { 0o700 })),
    ];
    for (what, act) in acts {
        act(true);
        let refused = t.expect(1, &["rollback"]);
        assert!(refused.err.contains("others could have written"), "{what}: {}", refused.err);
        assert_same(&after, &t.snapshot());
        act(false);
    }
    // One that cannot be read does not hide the others.
    std::fs::write(journal.join("2000-01-01T00:00:00-0000.jsonl"), "{").unwrap();
    let list = t.expect(1, &["rollback", "--list"]);
    assert_eq!(list.out.lines().count(), 2, "{}", list.out);
    t.expect(0, &["rollback"]);
}

#[test]
fn links_of_a_tree_lead_nowhere_outside() {
    if !root() {
        return;
    }
    let t = Tree::new();
    let outside = tempfile::tempdir().unwrap();
    for (name, text) in [("passwd", "root:x:0:0::/:/bin/sh\n"), ("group", "root:x:0:\n")] {
        std::fs::write(outside.path().join(name), text).unwrap();
    }
    let untouched = || -> BTreeMap<String, Vec<u8>> {
        std::fs::read_dir(outside.path())
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap()))
            .collect()
    };
    let before = untouched();
    // The same absolute path is there inside and outside: each tool has to take the one inside.
    let inside = t.at(outside.path().to_str().unwrap());
    std::fs::create_dir_all(inside.parent().unwrap()).unwrap();
    std::fs::rename(t.at("etc"), &inside).unwrap();
    symlink(outside.path(), t.at("etc")).unwrap();
    t.mkdir("var/lib");
    symlink(outside.path(), t.at("var/lib/perms")).unwrap();
    for above in inside.ancestors().take_while(|p| *p != t.root()) {
        std::fs::set_permissions(above, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let manifests = inside.join("perms.d");
    let said = t.perms(&["--manifests", manifests.to_str().unwrap(), "apply", "--yes"]);
    assert_eq!(before, untouched(), "{}\n{}", said.out, said.err);
    assert_eq!(said.status, 0, "{}\n{}", said.out, said.err);
    let passwd = std::fs::read_to_string(inside.join("passwd")).unwrap();
    assert!(passwd.contains("durhack-deployer"), "{passwd}");
}

#[test]
fn what_cannot_be_shown_is_not_done() {
    if !root() {
        return;
    }
    let t = Tree::new();
    let before = t.snapshot();
    for args in [&["apply", "--yes"][..], &["plan"], &["audit"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = Command::new(env!("CARGO_BIN_EXE_perms"))
            .arg("--root")
            .arg(t.root())
            .args(args)
            .stdout(writer)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(1), "perms {args:?} into a closed pipe");
        assert_same(&before, &t.snapshot());
    }
}

#[test]
fn a_folder_too_deep_to_look_at_does_not_stop_the_rest() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    // By the application, in its own folder: without this, nothing could ever be taken from it again.
    let mut here = t.at("etc/nginx/conf.d");
    let start = std::env::current_dir().unwrap();
    let deep = run(Command::new("sh")
        .args(["-ec", "for i in $(seq 600); do mkdir d; cd d; done"])
        .current_dir(&here));
    assert_eq!(deep.status, 0, "{}", deep.err);
    here.push("default.conf");
    shell(&t, "setfacl -m u:1000:rw etc/nginx/conf.d/default.conf");
    let said = t.expect(16, &["apply", "--yes"]);
    assert!(said.out.contains("levels deep"), "{}", said.out);
    let acl = run(Command::new("getfacl").arg("-ncp").arg(&here)).out;
    assert!(!acl.contains("user:1000"), "{acl}");
    std::env::set_current_dir(start).unwrap();
}

#[test]
fn an_entry_that_takes_away_is_left_and_one_that_gives_is_cut_to_what_it_takes() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.expect(0, &["apply", "--yes"]);
    let file = t.at("etc/nginx/conf.d/default.conf");
    let entry = || {
        let acl = run(Command::new("getfacl").arg("-ncpE").arg(&file)).out;
        acl.lines().find(|l| l.starts_with("user:1000:")).unwrap_or("none").to_owned()
    };
    // Others may read the file; alice may not, and must not be able to after.
    for (is, status, becomes) in [("---", 0, "---"), ("-w-", 8, "---"), ("rw-", 8, "none")] {
        shell(&t, &format!("setfacl -m u:1000:{is} etc/nginx/conf.d/default.conf"));
        t.audit(status);
        t.expect(0, &["apply", "--yes"]);
        assert_eq!(entry(), format!("user:1000:{becomes}").replace("user:1000:none", "none"), "{is}");
        t.audit(0);
    }
}

#[test]
fn folders_are_made_in_their_order_whatever_the_manifests() {
    if !root() {
        return;
    }
    let t = Tree::new();
    t.manifest(
        "durhack-deployer",
        r#"[app]
name = "durhack-deployer"
user = { home = "/home/durhack-deployer", login = "locked", groups = [] }

[[path]]
path = "/home/durhack-deployer/logs"
kind = "directory"
create = true
owner = "durhack-deployer"
mode = "0750"

[[path]]
path = "/srv/app/data"
kind = "directory"
create = true
access = "write"
mode = "0750"

[[path]]
path = "/srv/app"
kind = "directory"
create = true
mode = "0700"
"#,
    );
    t.mkdir("srv");
    let before = t.snapshot();
    t.expect(0, &["apply", "--yes"]);
    t.audit(0);
    let as_user = run(Command::new("setpriv")
        .args(["--reuid=1001", "--regid=1001", "--clear-groups", "sh", "-ec", "echo x >data/x"])
        .current_dir(t.at("srv/app")));
    assert!(!support::have("setpriv") || as_user.status == 0, "{}", as_user.err);
    std::fs::remove_file(t.at("srv/app/data/x")).unwrap_or_default();
    t.expect(0, &["rollback"]);
    assert_same(&before, &t.snapshot());
}

#[test]
fn oddities_of_the_account_files_give_nobody_anything() {
    if !root() {
        return;
    }
    // A second line of a name does not count, a password in passwd does, and what is left of an account that is gone
    // (a line of shadow, memberships) is not the new one's.
    let t = Tree::new();
    t.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\nalice:x:0:0::/:/bin/sh\n",
    );
    shell(
        &t,
        "sed -i 's/^adm:x:4:/&durhack-deployer/' etc/group; echo 'durhack-deployer:$y$old:1::::::' >>etc/shadow",
    );
    t.manifest("durhack-deployer", &format!("{DEPLOYER}acl = [\"user:alice:rX\"]\n"));
    t.expect(0, &["apply", "--yes"]);
    let acl = run(Command::new("getfacl").arg("-ncpE").arg(t.at("etc/nginx/conf.d"))).out;
    assert!(acl.contains("user:1000:r-x") && !acl.contains("user:0:"), "{acl}");
    let shadow = t.read("etc/shadow");
    let lines: Vec<&str> = shadow.lines().filter(|l| l.starts_with("durhack-deployer:")).collect();
    assert!(matches!(lines.as_slice(), [one] if one.starts_with("durhack-deployer:!")), "{lines:?}");
    assert!(t.read("etc/group").contains("adm:x:4:\n"));
    t.audit(0);
    shell(&t, "sed -i 's/^durhack-deployer:x:/durhack-deployer::/' etc/passwd");
    assert_eq!(t.audit(8), [("account::unlocked".to_owned(), "user durhack-deployer".to_owned())]);
    t.expect(0, &["apply", "--yes"]);
    assert!(t.read("etc/passwd").contains("durhack-deployer:!:"), "{}", t.read("etc/passwd"));
    t.audit(0);
}

#[test]
fn names_reach_no_terminal_raw() {
    if !root() {
        return;
    }
    use std::os::unix::ffi::OsStrExt as _;
    let t = Tree::new();
    for name in [&b"\x1b]0;title\x07"[..], b"two\nlines", b"\xff\xfe", b"-rf", &[b'n'; 255]] {
        std::fs::write(t.at("etc/nginx/conf.d").join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    std::os::unix::fs::symlink("/x\x1b[2J", t.at("etc/nginx/conf.d/link")).unwrap();
    lchown(t.at("etc/nginx/conf.d/link"), Some(4711), Some(4711)).unwrap();
    for args in [
        &["plan"][..],
        &["audit"],
        &["plan", "--format", "plain"],
        &["apply", "--yes"],
        &["audit"],
        &["rollback"],
    ] {
        let said = t.perms(args);
        let raw = |s: &str| s.chars().any(|c| c.is_control() && c != '\n');
        assert!(!raw(&said.out) && !raw(&said.err), "{args:?}: {:?} {:?}", said.out, said.err);
        assert!(said.status != 1, "{args:?}: {}", said.err);
    }
}
