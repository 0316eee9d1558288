//! The hardened WSGI service: secrets that only root reads, code and static files that nobody writes, state of its own, a socket
//! for nginx alone, a unit that nobody changes, the management command for those who are named, a database by peer
//! authentication (the account is the credential).
//!
//! What the unit's sandbox has in force (`systemctl show`, what the kernel does) is not looked at: a manifest has no key for it, so
//! that nobody is told that it was (`h1_h3_h7_what_cannot_be_checked_cannot_be_declared` of tests/facts_host.rs).

use std::os::unix::net::UnixListener;
use std::process::Command;

use super::support;
use super::support::tree::{Tree, run};
use super::{Drift, found_and_put_right, root};

const SERVICE: &str = r#"[app]
name = "wsgi-talks"
user = { uid = 990, home = "/var/lib/wsgi-talks", login = "none", system = true, groups = [] }
units = ["talks.service"]

# EnvironmentFile= of the unit.
[[path]]
path = "/etc/wsgi-talks/keys"
kind = "file"
owner = "root"
group = "root"
mode = "0400"
acl = []

[[path]]
path = "/etc/systemd/system/talks.service"
kind = "file"
owner = "root"
group = "root"
mode = "0644"
acl = []

[[path]]
path = "/opt/wsgi-talks"
kind = "directory"
access = "read"
owner = "root"
group = "root"
mode = "u=rwX,g=rX,o=rX"
recursive = true

[[path]]
path = "/var/lib/wsgi-talks/state"
kind = "directory"
create = true
owner = "wsgi-talks"
group = "wsgi-talks"
mode = "0700"
acl = []

[[path]]
path = "/run/wsgi-talks"
kind = "directory"
create = true
owner = "wsgi-talks"
group = "www-data"
mode = "0710"
acl = []

[[path]]
path = "/run/wsgi-talks/web.sock"
owner = "wsgi-talks"
group = "www-data"
mode = "0660"
acl = []
"#;

const NGINX: &str = r#"[app]
name = "talks-nginx"
user = "www-data"

[[path]]
path = "/opt/wsgi-talks/static"
kind = "directory"
access = "read"
"#;

const MANAGERS: &str = r#"[app]
name = "talks-managers"
user = "olga"

[[command]]
run = ["/usr/local/sbin/manage-talks", "migrate"]
nopasswd = true

[[command]]
run = ["/usr/local/sbin/manage-talks", "collectstatic", "--noinput"]
nopasswd = true
"#;

const APP: u32 = 990;
const WWW: u32 = 33;
const OLGA: u32 = 1001;
const BOB: u32 = 1002;

/// The host as its administrator left it: installed and running, nothing declared yet.
fn host() -> Tree {
    let t = Tree::new();
    std::fs::remove_file(t.at("etc/perms.d/durhack-deployer.toml")).unwrap();
    t.chmod("etc/sudoers.d", 0o755);
    for (name, id, shell) in
        [("www-data", WWW, "/usr/sbin/nologin"), ("olga", OLGA, "/bin/sh"), ("bob", BOB, "/bin/sh")]
    {
        t.write("etc/passwd", &format!("{}{name}:x:{id}:{id}::/:{shell}\n", t.read("etc/passwd")));
        t.write("etc/group", &format!("{}{name}:x:{id}:\n", t.read("etc/group")));
        t.write("etc/shadow", &format!("{}{name}:!:19000:0:99999:7:::\n", t.read("etc/shadow")));
        t.write("etc/gshadow", &format!("{}{name}:!::\n", t.read("etc/gshadow")));
    }
    t.write("etc/wsgi-talks/keys", "SECRET_KEY=abc\nDB_NAME=talks\n");
    t.chmod("etc/wsgi-talks/keys", 0o600);
    t.write(
        "etc/systemd/system/talks.service",
        "[Service]\nUser=wsgi-talks\nEnvironmentFile=/etc/wsgi-talks/keys\nNoNewPrivileges=yes\n\
         ExecStart=/opt/wsgi-talks/venv/bin/gunicorn --bind unix:/run/wsgi-talks/web.sock talks\n",
    );
    t.write("opt/wsgi-talks/talks.py", "application = None\n");
    t.write("opt/wsgi-talks/static/site.css", "p {}\n");
    t.write("opt/wsgi-talks/venv/pyvenv.cfg", "home = /usr/bin\n");
    t.write("opt/wsgi-talks/venv/lib/python3.11/site-packages/django.py", "x\n");
    for (program, text) in [
        ("opt/wsgi-talks/venv/bin/python", ""),
        ("opt/wsgi-talks/venv/bin/gunicorn", "#!/opt/wsgi-talks/venv/bin/python\n"),
        ("usr/local/sbin/manage-talks", "#!/bin/sh\necho \"$(id -un) $*\"\n"),
    ] {
        t.write(program, text);
        t.chmod(program, 0o755);
    }
    t.mkdir("var/lib");
    t.mkdir("run/wsgi-talks");
    // A listener leaves its socket behind.
    drop(UnixListener::bind(t.at("run/wsgi-talks/web.sock")).unwrap());
    for (name, text) in [("wsgi-talks", SERVICE), ("talks-nginx", NGINX), ("talks-managers", MANAGERS)] {
        t.manifest(name, text);
    }
    t
}

/// Whether the kernel lets a process of this account do it: `-r`, `-w`, `-x` of test(1), which asks access(2).
fn may(t: &Tree, uid: u32, what: &str, path: &str) -> bool {
    let line = format!("test {what} '{}'", t.at(path).display());
    let ids = [format!("--reuid={uid}"), format!("--regid={uid}")];
    run(Command::new("setpriv").args(ids).args(["--clear-groups", "sh", "-c", &line])).status == 0
}

/// What the real sudo says to olga, or to another: the tree's accounts, rules and program in the place of this host's.
fn by_sudo(t: &Tree, uid: u32, command: &str) -> (i32, String) {
    let line = format!(
        "mount --make-rprivate / && cd \"$R\" && for f in passwd group shadow gshadow sudoers sudoers.d; do \
         mount --bind etc/$f /etc/$f; done && mount --bind usr/local/sbin /usr/local/sbin && cd / && \
         exec setpriv --reuid={uid} --regid={uid} --init-groups sudo -n {command}"
    );
    let said = run(Command::new("unshare").args(["-m", "sh", "-c", &line]).env("R", t.root()));
    (said.status, said.out)
}

#[test]
fn a_hardened_wsgi_service() {
    let tools = ["setpriv", "setfacl", "sudo", "visudo", "unshare"];
    if !root() || !tools.iter().all(|tool| support::have(tool)) {
        return;
    }
    let t = host();
    t.expect(0, &["apply", "--yes"]);
    t.audit(0);
    let all = t.expect(0, &["audit", "--all"]);
    assert!(!all.out.contains("excess["), "{}", all.out);
    assert!(t.expect(0, &["apply", "--yes"]).out.contains("nothing to change"));

    // What the kernel does, and what perms says of it.
    let (keys, css, sock) =
        ("/etc/wsgi-talks/keys", "/opt/wsgi-talks/static/site.css", "/run/wsgi-talks/web.sock");
    let code = "/opt/wsgi-talks/talks.py";
    let state = "/var/lib/wsgi-talks/state";
    let unit = "/etc/systemd/system/talks.service";
    let accounts = [("wsgi-talks", APP), ("www-data", WWW), ("olga", OLGA), ("bob", BOB)];
    for (path, readers, writers) in [
        (keys, vec![], vec![]),
        (unit, vec![APP, WWW, OLGA, BOB], vec![]),
        (code, vec![APP, WWW, OLGA, BOB], vec![]),
        (css, vec![APP, WWW, OLGA, BOB], vec![]),
        (state, vec![APP], vec![APP]),
        (sock, vec![], vec![APP, WWW]),
    ] {
        for (name, uid) in accounts {
            for (flag, action, who) in [("-r", "read", &readers), ("-w", "write", &writers)] {
                // A socket is connected to, which takes the right to write it.
                if path == sock && action == "read" {
                    continue;
                }
                let yes = who.contains(&uid);
                assert_eq!(may(&t, uid, flag, path), yes, "{name} {action} {path}");
                t.expect(if yes { 0 } else { 4 }, &["can", name, action, path]);
            }
        }
    }
    for (uid, command, answer) in [
        (OLGA, "/usr/local/sbin/manage-talks migrate", Some("root migrate\n")),
        (
            OLGA,
            "/usr/local/sbin/manage-talks collectstatic --noinput",
            Some("root collectstatic --noinput\n"),
        ),
        (OLGA, "/usr/local/sbin/manage-talks", None),
        (OLGA, "/usr/local/sbin/manage-talks shell", None),
        (OLGA, "/usr/local/sbin/manage-talks migrate --fake", None),
        (OLGA, "/usr/local/sbin/manage-talks 'migrate --noinput'", None),
        (OLGA, "-u wsgi-talks /usr/local/sbin/manage-talks migrate", None),
        (BOB, "/usr/local/sbin/manage-talks migrate", None),
        (APP, "/usr/local/sbin/manage-talks migrate", None),
        (WWW, "/usr/local/sbin/manage-talks migrate", None),
    ] {
        let (status, out) = by_sudo(&t, uid, command);
        assert_eq!(
            (status == 0, (status == 0).then_some(&*out)),
            (answer.is_some(), answer),
            "{uid} {command}"
        );
    }

    drifts_of_the_service(&t);
    drifts_of_those_around_it(&t);
    drifts_that_concern_the_host(&t);
}

fn drifts_of_the_service(t: &Tree) {
    let keys = "/etc/wsgi-talks/keys";
    let unit = "/etc/systemd/system/talks.service";
    let code = "/opt/wsgi-talks/talks.py";
    let css = "/opt/wsgi-talks/static/site.css";
    let (run, sock) = ("/run/wsgi-talks", "/run/wsgi-talks/web.sock");
    let state = "/var/lib/wsgi-talks/state";
    let packages = "/opt/wsgi-talks/venv/lib/python3.11/site-packages";
    let drifts: &[Drift<'_>] = &[
        // The secret, made readable in every way there is.
        ("chmod 444 etc/wsgi-talks/keys", "", 8, &[("path::wrong-mode", keys)]),
        ("chown 990 etc/wsgi-talks/keys", "", 4, &[("path::wrong-owner", keys)]),
        (
            "chgrp 33 etc/wsgi-talks/keys; chmod 440 etc/wsgi-talks/keys",
            "",
            12,
            &[("path::wrong-mode", keys), ("path::wrong-owner", keys)],
        ),
        ("setfacl -m u:990:r etc/wsgi-talks/keys", "", 8, &[("acl::undeclared-entry", keys)]),
        ("setfacl -m g:33:r etc/wsgi-talks/keys", "", 8, &[("acl::undeclared-entry", keys)]),
        ("cd etc/wsgi-talks; cp keys new; chmod 644 new; mv new keys", "", 8, &[("path::wrong-mode", keys)]),
        // Replaced by the service, which decides then what root puts into its environment.
        ("chown 990 etc/wsgi-talks", "chown 0 etc/wsgi-talks", 8, &[("path::replaceable", keys)]),
        ("chmod 777 etc/wsgi-talks", "chmod 755 etc/wsgi-talks", 8, &[("path::replaceable", keys)]),
        // The unit.
        ("chmod 666 etc/systemd/system/talks.service", "", 8, &[("path::wrong-mode", unit)]),
        ("chown 990 etc/systemd/system/talks.service", "", 4, &[("path::wrong-owner", unit)]),
        ("setfacl -m u:990:rw etc/systemd/system/talks.service", "", 8, &[("acl::undeclared-entry", unit)]),
        (
            "mkdir -m 777 etc/systemd/system/talks.service.d",
            "rmdir etc/systemd/system/talks.service.d",
            8,
            &[("root::path", "user wsgi-talks")],
        ),
        (
            "chown 990 etc/systemd/system",
            "chown 0 etc/systemd/system",
            8,
            &[("root::path", "user wsgi-talks"), ("path::replaceable", unit)],
        ),
        // The code, made writable by who runs it.
        ("chown 990 opt/wsgi-talks/talks.py", "", 4, &[("path::wrong-owner", code)]),
        ("chmod o+w opt/wsgi-talks/talks.py", "", 8, &[("path::wrong-mode", code)]),
        (
            "chgrp 990 opt/wsgi-talks/talks.py; chmod g+w opt/wsgi-talks/talks.py",
            "",
            12,
            &[("path::wrong-mode", code), ("path::wrong-owner", code)],
        ),
        ("setfacl -m u:990:rw opt/wsgi-talks/talks.py", "", 8, &[("acl::wider-entry", code)]),
        ("setfacl -m g:990:rw opt/wsgi-talks/talks.py", "", 8, &[("acl::undeclared-entry", code)]),
        (
            "chown 990 opt/wsgi-talks/venv/lib/python3.11/site-packages",
            "",
            12,
            &[("excess::own-code", packages), ("path::wrong-owner", packages)],
        ),
        (
            "chmod 777 opt",
            "chmod 755 opt",
            8,
            &[("path::replaceable", "/opt/wsgi-talks"), ("path::replaceable", "/opt/wsgi-talks/static")],
        ),
        // Static files, written by nginx.
        ("chown 33 opt/wsgi-talks/static/site.css", "", 4, &[("path::wrong-owner", css)]),
        (
            "chgrp 33 opt/wsgi-talks/static/site.css; chmod g+w opt/wsgi-talks/static/site.css",
            "",
            12,
            &[("path::wrong-mode", css), ("path::wrong-owner", css)],
        ),
        ("setfacl -m u:33:rw opt/wsgi-talks/static/site.css", "", 8, &[("acl::wider-entry", css)]),
        (
            "setfacl -m g:33:rwx opt/wsgi-talks/static",
            "",
            8,
            &[("acl::undeclared-entry", "/opt/wsgi-talks/static")],
        ),
        // The socket, opened to others than nginx.
        ("chmod 666 run/wsgi-talks/web.sock", "", 8, &[("path::wrong-mode", sock)]),
        ("setfacl -m u:1002:rw run/wsgi-talks/web.sock", "", 8, &[("acl::undeclared-entry", sock)]),
        ("chown 1002 run/wsgi-talks/web.sock", "", 4, &[("path::wrong-owner", sock)]),
        ("chmod 755 run/wsgi-talks", "", 8, &[("path::wrong-mode", run)]),
        ("chmod 770 run/wsgi-talks", "", 8, &[("path::wrong-mode", run)]),
        // State that others come to.
        ("chmod 755 var/lib/wsgi-talks/state", "", 8, &[("path::wrong-mode", state)]),
        ("setfacl -m u:33:rwx var/lib/wsgi-talks/state", "", 8, &[("acl::undeclared-entry", state)]),
        ("chmod 777 var/lib/wsgi-talks", "", 4, &[("path::wrong-mode", "/var/lib/wsgi-talks")]),
        ("rmdir var/lib/wsgi-talks/state", "", 4, &[("path::missing", state)]),
    ];
    found_and_put_right(t, drifts);
}

fn drifts_of_those_around_it(t: &Tree) {
    let user = "user wsgi-talks";
    let drifts: &[Drift<'_>] = &[
        // The management command, widened.
        (
            "sed -i 's/ migrate/ */' etc/sudoers.d/talks-managers",
            "",
            8,
            &[("sudo::wrong-fragment", "/etc/sudoers.d/talks-managers")],
        ),
        (
            "sed -i 's/ migrate//' etc/sudoers.d/talks-managers",
            "",
            8,
            &[("sudo::wrong-fragment", "/etc/sudoers.d/talks-managers")],
        ),
        (
            "sed -i 's/(root)/(ALL)/' etc/sudoers.d/talks-managers",
            "",
            8,
            &[("sudo::wrong-fragment", "/etc/sudoers.d/talks-managers")],
        ),
        (
            "echo 'olga ALL=(root) NOPASSWD: /usr/local/sbin/manage-talks shell' >etc/sudoers.d/x; chmod 440 etc/sudoers.d/x",
            "",
            8,
            &[("sudo::undeclared-rule", "/etc/sudoers.d/x:1")],
        ),
        (
            "echo 'wsgi-talks ALL=(root) /usr/local/sbin/manage-talks migrate' >etc/sudoers.d/y; chmod 440 etc/sudoers.d/y",
            "",
            8,
            &[("sudo::undeclared-rule", "/etc/sudoers.d/y:1")],
        ),
        (
            "chown 1001 usr/local/sbin/manage-talks",
            "chown 0 usr/local/sbin/manage-talks",
            8,
            &[("root::path", "user olga")],
        ),
        ("chmod 777 usr/local/sbin", "chmod 755 usr/local/sbin", 8, &[("root::path", "user olga")]),
        (
            "sed -i 's/^sudo:x:27:alice/&,olga/' etc/group",
            "sed -i 's/,olga//' etc/group",
            8,
            &[("sudo::undeclared-rule", "/etc/sudoers:3")],
        ),
        // The account, which is the credential at the database.
        ("sed -i 's/^www-data:x:33:/&wsgi-talks/' etc/group", "", 8, &[("account::undeclared-group", user)]),
        ("sed -i 's/^wsgi-talks:!/wsgi-talks:$y$j9T$x/' etc/shadow", "", 8, &[("account::unlocked", user)]),
        (
            "sed -i 's,^\\(wsgi-talks.*\\):/usr/sbin/nologin,\\1:/bin/sh,' etc/passwd",
            "",
            4,
            &[("account::wrong-user", user)],
        ),
        (
            "echo eve:x:990:1002::/:/bin/sh >>etc/passwd",
            "sed -i /^eve/d etc/passwd",
            8,
            &[("excess::shared-uid", "user eve")],
        ),
        (
            "sed -i 's/^wsgi-talks:x:990:/&bob/' etc/group",
            "sed -i 's/^wsgi-talks:x:990:bob/wsgi-talks:x:990:/' etc/group",
            8,
            &[("excess::member", "group wsgi-talks, member bob")],
        ),
        (
            "sed -i 's/^bob:x:1002:1002/bob:x:1002:990/' etc/passwd",
            "sed -i 's/^bob:x:1002:990/bob:x:1002:1002/' etc/passwd",
            8,
            &[("excess::member", "group wsgi-talks, member bob")],
        ),
        (
            "mkdir -m 700 var/lib/wsgi-talks/.ssh; echo 'ssh-ed25519 AAAA bob@x' >var/lib/wsgi-talks/.ssh/authorized_keys",
            "rm -r var/lib/wsgi-talks/.ssh",
            8,
            &[("excess::ssh-key", "/var/lib/wsgi-talks/.ssh/authorized_keys:1")],
        ),
        (
            "printf '[Service]\nUser=wsgi-talks\nExecStart=/usr/bin/true\n' >etc/systemd/system/other.service",
            "rm etc/systemd/system/other.service",
            8,
            &[("excess::job", "/etc/systemd/system/other.service")],
        ),
    ];
    found_and_put_right(t, drifts);
}

/// What other accounts have: no manifest speaks of them, so that the look at the whole host finds it.
fn drifts_that_concern_the_host(t: &Tree) {
    for (rule, place) in [
        ("bob ALL=(root) NOPASSWD: /usr/local/sbin/manage-talks migrate", "/etc/sudoers.d/z:1"),
        ("bob ALL=(wsgi-talks) NOPASSWD: /usr/bin/psql", "/etc/sudoers.d/z:1"),
    ] {
        t.write("etc/sudoers.d/z", &format!("{rule}\n"));
        t.chmod("etc/sudoers.d/z", 0o440);
        let said = t.expect(8, &["audit", "--all", "--format", "plain"]);
        assert!(said.out.contains(&format!("excess excess::rule {place}: ")), "{rule}: {}", said.out);
        std::fs::remove_file(t.at("etc/sudoers.d/z")).unwrap();
    }
    // A copy of the secret that an editor left.
    std::fs::copy(t.at("etc/wsgi-talks/keys"), t.at("etc/wsgi-talks/keys.env")).unwrap();
    t.chmod("etc/wsgi-talks/keys.env", 0o644);
    let said = t.expect(8, &["audit", "--all", "--format", "plain"]);
    assert!(said.out.contains("excess excess::secret /etc/wsgi-talks/keys.env: "), "{}", said.out);
    std::fs::remove_file(t.at("etc/wsgi-talks/keys.env")).unwrap();
}
