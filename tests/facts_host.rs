//! Facts about what a host reports and `perms` must not misread, by their numbers: doas, groups, set-id programs, secrets, exit
//! statuses. Those of sudoers are in tests/sudoers/facts.rs, of ACLs in tests/acl.rs and tests/access.rs, of doas in
//! tests/doas.rs, of polkit (H5) in tests/polkit.rs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::os::unix::fs::chown;
use std::process::Command;

use perms::grants::doas;
use support::tree::{Said, Tree, run};

fn root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root")
}

const APP: &str =
    "[app]\nname = \"app\"\n\n[app.user]\nlogin = \"none\"\nhome = \"/var/lib/app\"\ngroups = []\n";

/// A host with an application's user as declared.
fn host(manifest: &str) -> Tree {
    let t = Tree::with_app(manifest, "docker:x:99:\n");
    t.write("etc/shadow", &format!("{}app:!:19000:0:99999:7:::\n", t.read("etc/shadow")));
    t.write("etc/gshadow", &format!("{}app:!::\ndocker:!::\n", t.read("etc/gshadow")));
    t.mkdir("var/lib/app");
    chown(t.at("var/lib/app"), Some(990), Some(990)).unwrap();
    t.chmod("etc/sudoers.d", 0o755);
    t
}

/// `perms` within a mount namespace, after a shell line there; `$R` is the tree.
fn in_namespace(t: &Tree, line: &str, args: &str) -> Said {
    run(Command::new("unshare")
        .args(["-m", "sh", "-c", &format!("{line} && exec \"$PERMS\" --root \"$R\" {args}")])
        .env("R", t.root())
        .env("PERMS", env!("CARGO_BIN_EXE_perms")))
}

/// Neither OpenDoas nor `perms` knows an include, and a file system without ACLs gets no declaration of one.
#[test]
fn d6_doas_includes_nothing_and_a_file_system_without_acls_is_refused() {
    for line in ["include /etc/doas.d\n", "@include /etc/doas.d\n", "@includedir /etc/doas.d\n"] {
        assert!(!doas::File::parse("doas.conf", line.as_bytes().to_vec()).mistakes.is_empty(), "{line}");
        if support::have("doas") {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("doas.conf");
            std::fs::write(&file, line).unwrap();
            assert_ne!(run(Command::new("doas").arg("-C").arg(&file)).status, 0, "{line}");
        }
    }
    if !root() || !support::have("unshare") {
        return;
    }
    let t = host(&format!("{APP}\n[[path]]\npath = \"/srv/plain/x\"\nacl = [\"user:app:rw\"]\n"));
    t.mkdir("srv/plain");
    let mount = "mount -t ramfs none \"$R/srv/plain\" && echo x > \"$R/srv/plain/x\"";
    let said = in_namespace(&t, mount, "apply --yes");
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains("ACL") || said.err.to_lowercase().contains("not supported"), "{}", said.err);
}

/// What `perms` has no means to see in force (a unit's address filter, a packet filter, pledge) is no key of a manifest: nobody
/// is told that it was checked.
#[test]
fn h1_h3_h7_what_cannot_be_checked_cannot_be_declared() {
    for key in
        ["[service]\nip_address_deny = \"any\"\n", "[network]\nlisten = [2003]\n", "[unveil]\n", "[pledge]\n"]
    {
        let t = Tree::new();
        t.manifest(
            "durhack-deployer",
            &format!("[app]\nname = \"durhack-deployer\"\nuser = \"alice\"\n\n{key}"),
        );
        let said = t.expect(1, &["plan"]);
        assert!(said.err.contains("manifest::unknown-key"), "{}", said.err);
    }
}

/// A secret is root's alone: read by everybody, by an ACL entry, or replaceable in its folder it is found.
#[test]
fn h2_secrets_that_others_can_read() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let secret = "etc/app/secret.env";
    let make = |mode: u32| {
        let t = host(APP);
        t.write(secret, "DB_PASSWORD=x\n");
        t.chmod(secret, mode);
        t
    };
    let codes = |t: &Tree| -> Vec<String> {
        let said = t.perms(&["audit", "--all", "--format", "json"]);
        let report = support::schema::report(&said.out);
        let findings = report["findings"].as_array().unwrap();
        let of = findings.iter().filter(|f| f["place"].as_str().unwrap().starts_with("/etc/app"));
        of.map(|f| f["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes(&make(0o400)), Vec::<String>::new());
    assert_eq!(codes(&make(0o644)), ["excess::secret"]);
    let t = make(0o400);
    assert_eq!(run(Command::new("setfacl").args(["-m", "u:990:r"]).arg(t.at(secret))).status, 0);
    assert_eq!(codes(&t), ["excess::acl-entry"]);
    let t = make(0o400);
    chown(t.at("etc/app"), Some(990), None).unwrap();
    assert_eq!(codes(&t), ["excess::writable"]);
}

/// Members by primary group are members.
#[test]
fn h4_the_primary_group_counts() {
    if !root() {
        return;
    }
    let t = host(APP);
    assert_eq!(t.audit(0), []);
    t.write("etc/passwd", &t.read("etc/passwd").replace("app:x:990:990:", "app:x:990:99:"));
    let found = t.audit(8);
    assert!(found.contains(&("account::undeclared-group".into(), "user app".into())), "{found:?}");
    let said = t.perms(&["plan"]);
    assert!(said.out.contains("primary group docker → app"), "{}", said.out);
}

/// One walk finds set-id bits and capabilities alike; a mount with nosuid has neither in force.
#[test]
fn h6_set_id_is_looked_for_where_it_counts() {
    if !root() || !support::have("unshare") {
        return;
    }
    let t = host(APP);
    for folder in ["srv/suid", "srv/nosuid"] {
        t.mkdir(folder);
    }
    let line = "mount -t tmpfs -o mode=755 none \"$R/srv/suid\" && mount -t tmpfs -o nosuid,mode=755 none \"$R/srv/nosuid\" && \
                for d in suid nosuid; do cp /bin/true \"$R/srv/$d/set\"; chmod 4755 \"$R/srv/$d/set\"; \
                cp /bin/true \"$R/srv/$d/cap\"; setcap cap_net_admin+ep \"$R/srv/$d/cap\"; done";
    if !support::have("setcap") {
        return;
    }
    let said = in_namespace(&t, line, "audit --all --format json");
    let report = support::schema::report(&said.out);
    let mut found: Vec<(String, String)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["code"].as_str().unwrap().to_owned(), f["place"].as_str().unwrap().to_owned()))
        .filter(|(_, place)| place.starts_with("/srv"))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            ("excess::capability".to_owned(), "/srv/suid/cap".to_owned()),
            ("excess::set-id".to_owned(), "/srv/suid/set".to_owned()),
        ]
    );
}

/// 0 clean; 4 missing or wrong, 8 excess, 16 not checkable, added up; 1 error, 2 usage. And an audit changes nothing.
#[test]
fn h8_exit_statuses_add_up() {
    if !root() {
        return;
    }
    let t = host(APP);
    let before = t.snapshot();
    t.expect(0, &["audit"]);
    t.expect(2, &["audit", "--no-such-option"]);
    t.expect(1, &["audit", "/no/such/manifest.toml"]);
    assert_eq!(before, t.snapshot());
    t.manifest("app", &format!("{APP}\n[[path]]\npath = \"/srv/app\"\naccess = \"write\"\n"));
    let before = t.snapshot();
    t.expect(4, &["audit"]);
    t.write("etc/sudoers.d/x", "app ALL=(root) NOPASSWD: /usr/bin/id\n");
    t.chmod("etc/sudoers.d/x", 0o440);
    t.expect(12, &["audit"]);
    // A shadow that nobody can read as one: whether the password is locked is not known.
    std::fs::remove_file(t.at("etc/shadow")).unwrap();
    t.expect(28, &["audit"]);
    assert_eq!(
        before.get(std::path::Path::new("etc/passwd")),
        t.snapshot().get(std::path::Path::new("etc/passwd"))
    );
}
