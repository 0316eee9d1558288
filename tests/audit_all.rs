//! `audit --all` on a small host: every kind of excess is planted and found where it is, and nothing else is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::os::unix::fs::{chown, symlink};

use support::tree::{Said, Tree, run};

fn root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root")
}

/// Codes and places of `audit --all`, sorted, but for those that `perms audit` alone has.
#[track_caller]
fn all(t: &Tree, args: &[&str]) -> Vec<(String, String)> {
    let said = t.perms(&[&["audit", "--all", "--format", "json"], args].concat());
    let report = support::schema::report(&said.out);
    let text = |f: &serde_json::Value, key: &str| f[key].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap();
    let mut found: Vec<_> = findings.iter().map(|f| (text(f, "code"), text(f, "place"))).collect();
    found.sort();
    found
}

/// A host with an application whose manifest says little.
fn host() -> Tree {
    let t = Tree::new();
    std::fs::remove_file(t.at("etc/perms.d/durhack-deployer.toml")).unwrap();
    t.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n\
         app:x:990:990::/var/lib/app:/usr/sbin/nologin\n",
    );
    t.write(
        "etc/group",
        "root:x:0:\nsudo:x:27:alice\nshadow:x:42:\nalice:x:1000:\nbob:x:1001:\napp:x:990:\n",
    );
    t.chmod("etc/sudoers.d", 0o755);
    t.manifest(
        "app",
        "[app]\nname = \"app\"\nuser = \"app\"\n\n[[path]]\npath = \"/var/lib/app\"\naccess = \"write\"\n",
    );
    t.mkdir("var/lib/app");
    chown(t.at("var/lib/app"), Some(990), Some(990)).unwrap();
    t.mkdir("tmp");
    t.chmod("tmp", 0o1777);
    t
}

fn program(t: &Tree, path: &str, mode: u32) {
    t.write(path, "x");
    t.chmod(path, mode);
}

#[test]
fn a_plain_host_has_no_findings_and_says_what_was_looked_at() {
    if !root() {
        return;
    }
    let t = host();
    for (path, mode) in [("usr/bin/su", 0o4755), ("usr/bin/passwd", 0o4755)] {
        program(&t, path, mode);
    }
    program(&t, "usr/sbin/unix_chkpwd", 0o755);
    chown(t.at("usr/sbin/unix_chkpwd"), None, Some(42)).unwrap();
    t.chmod("usr/sbin/unix_chkpwd", 0o2755);
    assert_eq!(all(&t, &[]), []);
    let said = t.expect(0, &["audit", "--all"]);
    assert!(said.out.contains("files looked at."), "{}", said.out);
    assert!(
        said.out.contains("Administrators, who may run anything as root: alice (/etc/sudoers:3)."),
        "{}",
        said.out
    );
    assert_eq!(t.expect(0, &["audit"]).out, "", "without --all it is silent");
}

#[test]
fn set_id_programs_and_capabilities() {
    if !root() {
        return;
    }
    let t = host();
    program(&t, "usr/local/bin/sh2", 0o4755);
    program(&t, "usr/bin/find", 0o4755);
    program(&t, "usr/bin/python3", 0o755);
    program(&t, "usr/bin/ping", 0o755);
    program(&t, "opt/tool", 0o2755);
    // Known, but another owner's.
    program(&t, "usr/bin/mount", 0o755);
    chown(t.at("usr/bin/mount"), Some(1001), None).unwrap();
    t.chmod("usr/bin/mount", 0o4755);
    // Where only root comes, and with the bit that means something else.
    program(&t, "root/sh", 0o4755);
    t.chmod("root", 0o700);
    program(&t, "srv/locked", 0o2644);
    program(&t, "srv/vendor", 0o4711);
    t.write("var/lib/dpkg/statoverride", "root root 4711 /srv/vendor\n");
    let cap = |bit: u32| [&[1, 0, 0, 2][..], &(1u32 << bit).to_le_bytes(), &[0; 12]].concat();
    let set = |path: &str, bit| xattr::set(t.at(path), "security.capability", &cap(bit));
    if set("usr/bin/ping", 13).is_err() {
        support::skip("needs file capabilities");
        return;
    }
    set("usr/bin/python3", 7).unwrap();
    let pair = |c: &str, p: &str| (c.to_owned(), p.to_owned());
    assert_eq!(
        all(&t, &[]),
        [
            pair("excess::capability", "/usr/bin/python3"),
            pair("excess::root-place", "/usr/bin/mount"),
            pair("excess::set-id", "/opt/tool"),
            pair("excess::set-id", "/usr/bin/find"),
            pair("excess::set-id", "/usr/bin/mount"),
            pair("excess::set-id", "/usr/local/bin/sh2"),
            // By find, which runs as root for everybody.
            pair("root::path", "user app"),
            pair("root::path", "user bob"),
        ]
    );
    t.write(
        "etc/perms.d/accepted.table",
        "# the vendor's\nexcess::set-id /opt/ | its installer says so\nexcess::set-id /usr/bin/find | a test\n",
    );
    let left = all(&t, &[]);
    assert!(!left.iter().any(|(_, p)| p == "/opt/tool" || p == "/usr/bin/find"), "{left:?}");
    let said = t.perms(&["audit", "--all"]);
    assert!(said.out.contains("2 findings accepted"), "{}", said.out);
    t.write("etc/perms.d/accepted.table", "excess::set-id /opt/\nnonsense::x /y | z\n");
    let said = t.expect(1, &["audit", "--all"]);
    assert!(said.err.contains("accepted.table:1") && said.err.contains("accepted.table:2"), "{}", said.err);
}

#[test]
fn what_everybody_can_write_or_read() {
    if !root() {
        return;
    }
    let t = host();
    t.mkdir("srv/open");
    t.chmod("srv/open", 0o777);
    t.mkdir("srv/drop");
    t.chmod("srv/drop", 0o1777);
    t.mkdir("srv/bobs");
    chown(t.at("srv/bobs"), Some(1001), None).unwrap();
    t.chmod("srv/bobs", 0o1777);
    program(&t, "srv/f", 0o666);
    program(&t, "srv/closed/f", 0o666);
    t.chmod("srv/closed", 0o700);
    symlink("/etc/passwd", t.at("srv/link")).unwrap();
    t.write("srv/site.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n");
    t.write("srv/id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n");
    t.chmod("srv/id_rsa", 0o600);
    t.write("srv/ca.pem", "-----BEGIN CERTIFICATE-----\n");
    t.write("srv/app/.env", "DB_PASSWORD=x\n");
    t.write("etc/shadow-", "root:$y$j9T$abc$def:1:0:99999:7:::\n");
    for i in 0..30 {
        program(&t, &format!("srv/many/f{i:02}"), 0o602);
    }
    let pair = |c: &str, p: &str| (c.to_owned(), p.to_owned());
    assert_eq!(
        all(&t, &[]),
        [
            pair("excess::secret", "/etc/shadow-"),
            pair("excess::secret", "/srv/app/.env"),
            pair("excess::secret", "/srv/site.key"),
            pair("excess::world-writable", "/srv"),
            pair("excess::world-writable", "/srv/bobs"),
            pair("excess::world-writable", "/srv/open"),
            // Who reads root's hash can guess root's password.
            pair("root::path", "user app"),
            pair("root::path", "user bob"),
        ]
    );
    let said = t.expect(8, &["audit", "--all"]);
    assert!(
        said.out.contains("31 of them below, the first: /srv/f, /srv/many/f00, /srv/many/f01"),
        "{}",
        said.out
    );
}

#[test]
fn what_an_application_can_write_beyond_its_manifest() {
    if !root() {
        return;
    }
    let t = host();
    program(&t, "var/lib/app/state", 0o644);
    chown(t.at("var/lib/app/state"), Some(990), Some(990)).unwrap();
    program(&t, "srv/code/owned.py", 0o444);
    chown(t.at("srv/code/owned.py"), Some(990), None).unwrap();
    program(&t, "srv/code/group.py", 0o664);
    chown(t.at("srv/code/group.py"), None, Some(990)).unwrap();
    program(&t, "srv/code/readable.py", 0o640);
    chown(t.at("srv/code/readable.py"), None, Some(990)).unwrap();
    program(&t, "tmp/its-own", 0o600);
    chown(t.at("tmp/its-own"), Some(990), Some(990)).unwrap();
    program(&t, "srv/code/acl.py", 0o644);
    let entry = |spec: &str, path: &str| {
        let out = run(std::process::Command::new("setfacl").args(["-m", spec]).arg(t.at(path)));
        assert_eq!(out.status, 0, "{}", out.err);
    };
    if !support::have("setfacl") {
        return;
    }
    entry("u:990:rw", "srv/code/acl.py");
    entry("u:1001:r", "srv/code/readable.py");
    t.mkdir("srv/shared");
    entry("d:g:1001:rwx", "srv/shared");
    let pair = |c: &str, p: &str| (c.to_owned(), p.to_owned());
    assert_eq!(
        all(&t, &[]),
        [
            pair("excess::acl-entry", "/srv/code/acl.py"),
            pair("excess::acl-entry", "/srv/code/readable.py"),
            pair("excess::acl-entry", "/srv/shared"),
            pair("excess::writable", "/srv/code/acl.py"),
            pair("excess::writable", "/srv/code/group.py"),
            pair("excess::writable", "/srv/code/owned.py"),
        ]
    );
}

#[test]
fn what_runs_as_a_declared_user_and_opens_its_account() {
    if !root() {
        return;
    }
    let t = host();
    t.write(
        "etc/cron.d/left-over",
        "PATH=/usr/bin\n*/5 * * * * app /srv/old/job\n17 * * * * root /usr/bin/true\n",
    );
    t.write("etc/cron.d/skipped.by-cron", "* * * * * app /srv/old/job\n");
    t.write(
        "etc/systemd/system/app.service",
        "[Service]\nUser=app\nExecStart=/srv/app/venv/bin/python /srv/app/run.py\n",
    );
    t.write("etc/systemd/system/other.service", "[Service]\nUser=990\nExecStart=/usr/bin/true\n");
    t.write("srv/app/venv/bin/python", "x");
    t.write("srv/app/venv/pyvenv.cfg", "home = /usr/bin\n");
    t.mkdir("srv/app/venv/lib/python3.11/site-packages");
    chown(t.at("srv/app/venv/lib/python3.11/site-packages"), Some(990), None).unwrap();
    t.write("srv/app/run.py", "x");
    t.write("var/lib/app/.ssh/authorized_keys", "# old\n\nssh-ed25519 AAAA intruder@example\n");
    for path in ["var/lib/app/.ssh", "var/lib/app/.ssh/authorized_keys"] {
        chown(t.at(path), Some(990), Some(990)).unwrap();
    }
    let expected = [
        ("excess::job", "/etc/cron.d/left-over:2"),
        ("excess::job", "/etc/systemd/system/other.service"),
        ("excess::own-code", "/srv/app/venv/lib/python3.11/site-packages"),
        ("excess::ssh-key", "/var/lib/app/.ssh/authorized_keys:3"),
    ];
    let expected: Vec<_> = expected.map(|(c, p)| (c.to_owned(), p.to_owned())).to_vec();
    assert_eq!(t.audit(8), expected, "without --all");
    t.manifest(
        "app",
        "[app]\nname = \"app\"\nuser = \"app\"\n[app.accept]\n\"excess::job\" = \"kept\"\n\"excess::own-code\" = \"kept\"\n\
         \"excess::ssh-key\" = \"kept\"\n\n[[path]]\npath = \"/var/lib/app\"\naccess = \"write\"\n",
    );
    assert_eq!(t.audit(0), []);
}

#[test]
fn rules_and_what_they_run() {
    if !root() {
        return;
    }
    let t = host();
    t.write(
        "etc/sudoers.d/site",
        "bob ALL=(root) NOPASSWD: /usr/local/bin/deploy now\nbob ALL=(alice) /usr/bin/gone\n%adm ALL=(root) /usr/bin/true\n",
    );
    t.chmod("etc/sudoers.d/site", 0o440);
    t.write("etc/sudoers.d/old.rules", "bob ALL=(ALL) ALL\n");
    t.write("usr/local/bin/deploy", "#!/opt/python/bin/python3\n");
    t.chmod("usr/local/bin/deploy", 0o755);
    t.write("opt/python/bin/python3", "x");
    chown(t.at("opt/python"), Some(1001), None).unwrap();
    t.write("usr/bin/true", "x");
    let pair = |c: &str, p: &str| (c.to_owned(), p.to_owned());
    assert_eq!(
        all(&t, &[]),
        [
            pair("excess::ignored-fragment", "/etc/sudoers.d/old.rules"),
            pair("excess::missing-command", "/etc/sudoers.d/site:2"),
            pair("excess::rule", "/etc/sudoers.d/site:1"),
            pair("excess::rule", "/etc/sudoers.d/site:2"),
            pair("excess::weak-command", "/etc/sudoers.d/site:1"),
            pair("root::path", "user bob"),
        ]
    );
}

#[test]
fn labels_are_compared_with_the_specifications() {
    if !root() {
        return;
    }
    let t = host();
    t.write("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=mini\n");
    t.write(
        "etc/selinux/mini/contexts/files/file_contexts",
        "/.*  system_u:object_r:default_t:s0\n/srv(/.*)?  system_u:object_r:srv_t:s0\n/srv/none  <<none>>\n",
    );
    t.write("etc/selinux/mini/contexts/customizable_types", "public_t\n");
    let label = |path: &std::path::Path, text: &str| {
        xattr::set(path, "security.selinux", format!("{text}\0").as_bytes())
    };
    if label(t.root(), "system_u:object_r:default_t:s0").is_err() {
        support::skip("needs a file system with labels");
        return;
    }
    for (path, what) in [
        ("srv/right", "system_u:object_r:srv_t:s0"),
        ("srv/other-user", "staff_u:object_r:srv_t:s0"),
        ("srv/custom", "system_u:object_r:public_t:s0"),
        ("srv/wrong", "system_u:object_r:tmp_t:s0"),
        ("srv/none", "system_u:object_r:tmp_t:s0"),
    ] {
        t.write(path, "");
        label(&t.at(path), what).unwrap();
    }
    t.write("srv/missing", "");
    for entry in walkdir::WalkDir::new(t.root()) {
        let entry = entry.unwrap();
        if xattr::get(entry.path(), "security.selinux").unwrap().is_none()
            && !entry.path().ends_with("missing")
        {
            let ty = if entry.path().starts_with(t.at("srv")) { "srv_t" } else { "default_t" };
            label(entry.path(), &format!("system_u:object_r:{ty}:s0")).unwrap();
        }
    }
    let pair = |c: &str, p: &str| (c.to_owned(), p.to_owned());
    assert_eq!(all(&t, &[]), [pair("label::missing", "/srv/missing"), pair("label::wrong", "/srv/wrong")]);
    assert_eq!(
        all(&t, &["--full-labels"]),
        [
            pair("label::missing", "/srv/missing"),
            pair("label::wrong", "/srv/custom"),
            pair("label::wrong", "/srv/other-user"),
            pair("label::wrong", "/srv/wrong"),
        ]
    );
}

#[test]
fn what_cannot_be_read_is_counted_and_said() {
    if !root() || !support::have("setpriv") {
        return;
    }
    let t = host();
    t.write("srv/shut/f", "");
    t.chmod("srv/shut", 0o700);
    let said: Said = run(std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_perms"), "--root"])
        .arg(t.root())
        .args(["audit", "--all"]));
    if said.err.contains("Permission denied") {
        support::skip("needs a build that others can run");
        return;
    }
    assert_eq!(said.status & 16, 16, "{}{}", said.out, said.err);
    assert!(said.out.contains("unchecked[excess::unread]  /srv/shut\n"), "{}", said.out);
    assert!(said.out.contains(" could not be"), "{}", said.out);
}

#[test]
fn a_host_without_manifests_can_be_looked_at() {
    let t = host();
    std::fs::remove_dir_all(t.at("etc/perms.d")).unwrap();
    program(&t, "srv/f", 0o666);
    let said = t.perms(&["audit", "--all"]);
    assert!(said.out.contains("excess[excess::world-writable]  /srv/f"), "{}{}", said.out, said.err);
    // Without --all there is nothing to verify.
    t.expect(1, &["audit"]);
}
