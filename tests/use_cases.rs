//! Whole use cases, each declared, applied, used by real processes and the real tools, and each drift found and put right: many
//! applications on one host here, the hardened WSGI service and the incident below. (The deployer is in tests/apply.rs and
//! tests/vm_deployer.rs, mod_wsgi in tests/vm_mod_wsgi.rs, what may not change while it runs in tests/apply.rs.)

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

#[path = "use_cases/hardened_wsgi.rs"]
mod hardened_wsgi;
#[path = "use_cases/incident.rs"]
mod incident;

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use support::tree::{Tree, run};

fn root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root")
}

/// What is done to a host, what takes it back (nothing: `perms apply`), the audit's exit status, and findings that it must have.
type Drift<'a> = (&'a str, &'a str, i32, &'a [(&'a str, &'a str)]);

/// Makes each drift, looks for what must be found, and for nothing being left once it is put right.
#[track_caller]
fn found_and_put_right(t: &Tree, drifts: &[Drift<'_>]) {
    let shell = |script: &str| {
        let done = run(Command::new("sh").args(["-ec", script]).current_dir(t.root()));
        assert_eq!(done.status, 0, "{script}: {}", done.err);
    };
    for (script, back, status, expected) in drifts {
        shell(script);
        let found = t.audit(*status);
        for (code, place) in *expected {
            assert!(found.iter().any(|(c, p)| c == code && p == place), "after {script}: {found:?}");
        }
        if back.is_empty() {
            t.expect(0, &["apply", "--yes"]);
        } else {
            shell(back);
        }
        assert_eq!(t.audit(0), [], "after {script}");
    }
}

const BIGWEBSITE: &str = r#"[app]
name = "bigwebsite"

[app.user]
home = "/home/bigwebsite"
login = "locked"

[[path]]
path = "/home/bigwebsite"
mode = "0710"
recursive = false

[[path]]
path = "/home/bigwebsite/media"
group = "bigwebsite"
mode = "u=rwX,g=rX,o="
recursive = true
"#;

const SEARCHENGINE: &str = r#"[app]
name = "searchengine"

[app.user]
home = "/home/searchengine"
login = "locked"
groups = ["bigwebsite"]
"#;

const BORNHACK: &str = r#"[app]
name = "bornhack"

[app.user]
home = "/home/bornhack"
login = "locked"

[[path]]
path = "/home/bornhack/db.sqlite3"
kind = "file"
mode = "0600"

[[command]]
run = ["/home/flame/bin/flame", "move_to_speaker_tent"]
as = "flame"
with = "doas"
nopasswd = true

[[command]]
run = ["/home/flame/bin/flame", "move_to_bar"]
as = "flame"
with = "doas"
nopasswd = true
"#;

/// The host before: accounts with their homes, code that is there, doas without a rule.
fn host() -> Tree {
    let t = Tree::new();
    std::fs::remove_file(t.at("etc/perms.d/durhack-deployer.toml")).unwrap();
    let names =
        [("bornhack", 2003), ("bar", 2002), ("flame", 2068), ("bigwebsite", 2100), ("searchengine", 2101)];
    for (name, id) in names {
        t.write("etc/passwd", &format!("{}{name}:x:{id}:{id}::/home/{name}:/bin/sh\n", t.read("etc/passwd")));
        t.write("etc/group", &format!("{}{name}:x:{id}:\n", t.read("etc/group")));
        t.write("etc/shadow", &format!("{}{name}:!:19000:0:99999:7:::\n", t.read("etc/shadow")));
        t.write("etc/gshadow", &format!("{}{name}:!::\n", t.read("etc/gshadow")));
        let home = format!("home/{name}");
        t.mkdir(&home);
        t.chmod(&home, 0o700);
        chown(t.at(&home), Some(id), Some(id)).unwrap();
    }
    for (file, id) in [
        ("home/bornhack/db.sqlite3", 2003),
        ("home/flame/bin/flame", 2068),
        ("home/bigwebsite/media/a/picture", 2100),
        ("home/bigwebsite/private", 2100),
    ] {
        t.write(file, "x");
        chown(t.at(file), Some(id), Some(id)).unwrap();
    }
    for folder in ["home/bigwebsite/media", "home/bigwebsite/media/a", "home/flame/bin"] {
        let id = if folder.contains("flame") { 2068 } else { 2100 };
        chown(t.at(folder), Some(id), Some(id)).unwrap();
    }
    t.chmod("home/bigwebsite/private", 0o600);
    t.chmod("home/bornhack/db.sqlite3", 0o600);
    t.chmod("home/flame/bin/flame", 0o755);
    t.write("etc/doas.conf", "permit root\n");
    t.chmod("etc/doas.conf", 0o400);
    for (name, text) in [("bigwebsite", BIGWEBSITE), ("searchengine", SEARCHENGINE), ("bornhack", BORNHACK)] {
        t.manifest(name, text);
    }
    t
}

/// Whether a process of this account, in these groups, reads a file of the tree.
fn reads(t: &Tree, uid: u32, groups: &str, path: &str) -> bool {
    let ids = format!("--reuid={uid}");
    let gid = format!("--regid={uid}");
    let groups = format!("--groups={groups}");
    // By way of a shell: setpriv itself keeps its capabilities until it executes something.
    let line = format!("cat '{}'", t.at(path).display());
    run(Command::new("setpriv").args([&*ids, &gid, &groups, "sh", "-c", &line])).status == 0
}

#[test]
fn many_applications_separated_by_user() {
    if !root() || !["setpriv", "setfacl", "doas"].iter().all(|t| support::have(t)) {
        return;
    }
    let t = host();
    t.expect(0, &["apply", "--yes"]);
    t.audit(0);

    // One reads another's media by its group, and nothing else; the others nothing.
    assert!(reads(&t, 2101, "2100", "home/bigwebsite/media/a/picture"));
    assert!(!reads(&t, 2101, "2100", "home/bigwebsite/private"));
    assert!(!reads(&t, 2003, "2003", "home/bigwebsite/media/a/picture"));
    assert!(!reads(&t, 2002, "2002", "home/bornhack/db.sqlite3"));
    for (user, path, status) in [
        ("searchengine", "/home/bigwebsite/media/a/picture", 0),
        ("bornhack", "/home/bigwebsite/media/a/picture", 4),
        ("bar", "/home/bornhack/db.sqlite3", 4),
        ("bornhack", "/home/bornhack/db.sqlite3", 0),
    ] {
        t.expect(status, &["can", user, "read", path]);
    }

    // doas lets bornhack do the two things as flame, and nothing near them. `-C` asks for who calls.
    let conf = t.root().parent().unwrap().join(format!("doas-{}.conf", std::process::id()));
    let doas = |words: &str| {
        std::fs::copy(t.at("etc/doas.conf"), &conf).unwrap();
        std::fs::set_permissions(&conf, PermissionsExt::from_mode(0o644)).unwrap();
        // The accounts are the tree's own: daemon stands for bornhack, root for flame, whose numbers this host knows.
        let text = std::fs::read_to_string(&conf).unwrap();
        std::fs::write(&conf, text.replace("bornhack as flame", "daemon as root")).unwrap();
        let line = format!("doas -C {} {words}", conf.display());
        run(Command::new("setpriv").args([
            "--reuid=daemon",
            "--regid=daemon",
            "--clear-groups",
            "sh",
            "-c",
            &line,
        ]))
        .out
    };
    let flame = "/home/flame/bin/flame";
    assert_eq!(doas(&format!("{flame} move_to_bar")), "permit nopass\n");
    assert_eq!(doas(&format!("-u root {flame} move_to_speaker_tent")), "permit nopass\n");
    for not in [
        flame.to_owned(),
        format!("{flame} move_to_bar now"),
        format!("{flame} 'move_to_bar '"),
        format!("{flame} burn"),
        format!("-u games {flame} move_to_bar"),
        "/bin/sh".to_owned(),
    ] {
        assert_eq!(doas(&not), "deny\n", "{not}");
    }
    let _ = std::fs::remove_file(&conf);
    assert!(!t.read("etc/doas.conf").contains("keepenv"), "PYTHONPATH would be the caller's");

    let db = "home/bornhack/db.sqlite3";
    let drifts: &[Drift<'_>] = &[
        ("chmod 644 home/bornhack/db.sqlite3", "", 8, &[("path::wrong-mode", "/home/bornhack/db.sqlite3")]),
        (
            "setfacl -m u:2002:r home/bornhack/db.sqlite3",
            "",
            8,
            &[("acl::undeclared-entry", "/home/bornhack/db.sqlite3")],
        ),
        ("chmod 700 home/bigwebsite", "", 4, &[("path::wrong-mode", "/home/bigwebsite")]),
        (
            "chmod g-r home/bigwebsite/media/a/picture",
            "",
            4,
            &[("path::wrong-mode", "/home/bigwebsite/media/a/picture")],
        ),
        (
            "sed -i 's/^bigwebsite:x:2100:searchengine/&,bornhack/' etc/group",
            "",
            8,
            &[("account::undeclared-group", "user bornhack")],
        ),
        (
            "sed -i 's/^bigwebsite:x:2100:searchengine/bigwebsite:x:2100:/' etc/group",
            "",
            4,
            &[("account::missing-membership", "user searchengine")],
        ),
        (
            "sed -i 's/permit nopass bornhack as flame cmd \\(.*\\) args move_to_bar/permit nopass keepenv bornhack as flame cmd \\1/' etc/doas.conf",
            "",
            8,
            &[("doas::wrong-block", "/etc/doas.conf, block of bornhack")],
        ),
        (
            "echo 'permit nopass bornhack as root cmd /bin/sh' >>etc/doas.conf",
            "",
            8,
            &[("doas::undeclared-rule", "/etc/doas.conf:6")],
        ),
    ];
    found_and_put_right(&t, drifts);
    assert!(t.at(db).exists());
}
