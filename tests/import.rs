//! `perms import`: the plan of what it writes is empty, on real cases and on generated ones.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

#[path = "support/acl.rs"]
mod acls;
mod support;

use perms::grants::acl::{Acl, XATTR_ACCESS, XATTR_DEFAULT};
use proptest::prelude::*;
use support::tree::Tree;

fn is_root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root: sudoers belong to it")
}

/// A host with an account `deploy` in some groups.
fn host() -> Tree {
    let t = Tree::new();
    t.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\n\
         deploy:x:1001:1001::/home/deploy:/bin/bash\n_Svc.1:x:900:900::/var/lib/svc:/usr/sbin/nologin\n",
    );
    t.write("etc/group", "root:x:0:\nsudo:x:27:alice\nadm:x:4:deploy\ndocker:x:998:deploy\nalice:x:1000:\ndeploy:x:1001:\nsvc:x:900:\n");
    t.write(
        "etc/shadow",
        "root:*:19000:0:99999:7:::\nalice:$y$j9T$x:19000:0:99999:7:::\ndeploy:!:19000:0:99999:7:::\n_Svc.1:!:19000::::::\n",
    );
    t.write(
        "etc/gshadow",
        "root:*::\nsudo:*::alice\nadm:*::deploy\ndocker:*::deploy\nalice:!::\ndeploy:!::\nsvc:!::\n",
    );
    t.write("etc/hostname", "web1\n");
    t.mkdir("home/deploy");
    std::os::unix::fs::lchown(t.at("home/deploy"), Some(1001), Some(1001)).unwrap();
    t.mkdir("var/lib/svc");
    std::os::unix::fs::lchown(t.at("var/lib/svc"), Some(900), Some(900)).unwrap();
    std::fs::remove_dir_all(t.at("etc/perms.d")).unwrap();
    t.mkdir("etc/perms.d");
    t
}

fn set(t: &Tree, path: &str, name: &str, acl: &str) {
    let acl: Acl = acl.parse().unwrap();
    xattr::set(t.at(path), name, &acl.to_xattr()).unwrap();
}

/// Imports, puts the manifest in place, and sees that its plan is empty.
#[track_caller]
fn round(t: &Tree, args: &[&str]) -> String {
    let said = t.expect(0, &[&["import"], args].concat());
    assert_eq!(said.err, "", "{}", said.out);
    t.manifest("it", &said.out);
    let plan = t.perms(&["plan"]);
    assert_eq!(plan.status, 0, "{}\n{}{}", said.out, plan.out, plan.err);
    // What is declared is in accordance; that it is a way to root is a risk, and said.
    let audit = t.expect(0, &["audit", "--format", "plain"]).out;
    assert!(audit.lines().all(|l| l.contains(": risk root::path ")), "{audit}");
    said.out
}

#[test]
fn what_is_there_is_declared_and_its_risks_are_marked() {
    if !is_root() {
        return;
    }
    let t = host();
    t.write(
        "etc/sudoers.d/old",
        "Cmnd_Alias WEB = /usr/bin/systemctl reload nginx, \\\n    /usr/bin/cat /var/log/nginx/*\n\
         deploy ALL=(root) NOPASSWD: WEB, \\\n    /usr/bin/certbot\n%adm ALL = (ALL) /usr/bin/journalctl\n",
    );
    t.chmod("etc/sudoers.d/old", 0o440);
    t.write("etc/doas.conf", "permit nopass keepenv deploy as alice cmd app\n");
    set(&t, "etc/nginx/conf.d", XATTR_ACCESS, "u::rwx,u:1001:rwx,g::r-x,g:4:r-x,m::rwx,o::r-x");
    set(&t, "etc/nginx/conf.d", XATTR_DEFAULT, "u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-x");
    set(&t, "etc/nginx/conf.d/default.conf", XATTR_ACCESS, "u::rw-,u:1001:rw-,g::r--,m::r--,o::r--");
    let text = round(&t, &["deploy"]);
    for part in [
        "name = \"deploy\"",
        "login = \"locked\"",
        "groups = [\"adm\", \"docker\"]",
        "# risk: members of docker can become root",
        "text = \"deploy ALL=(root) NOPASSWD: WEB, /usr/bin/certbot\"",
        "(sudo::hook-runner)",
        "(sudo::wildcard-arguments)",
        "# it is for %adm, not for this account alone",
        "text = \"permit nopass keepenv deploy as alice cmd app\"",
        "(doas::keepenv)",
        "acl = [\"user:deploy:rwx\", \"group:adm:r-x\"]",
        "default_acl = [\"user:deploy:rwx\"]",
        "# not declared: the mask takes from user:1001:rw- at /etc/nginx/conf.d/default.conf",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // A rule that is changed, and one that goes, is found.
    t.write("etc/doas.conf", "permit nopass keepenv deploy as alice\n");
    let found: Vec<String> = t.audit(12).into_iter().map(|(code, _)| code).collect();
    assert_eq!(found, ["doas::missing-rule", "doas::undeclared-rule", "root::path"]);
}

/// With an empty mask the kernel does not look at an ACL: that is no difference where it names nobody but who has nothing
/// anyway, and no declaration where others have something.
#[test]
fn an_acl_with_an_empty_mask_is_imported_as_what_it_does() {
    if !is_root() {
        return;
    }
    for (acl, part) in [
        ("u::rw-,u:1001:---,g::---,m::---,o::---", "acl = [\"user:deploy:---\"]"),
        ("u::rw-,u:1001:---,g::---,m::---,o::r--", "# not declared: the mask takes from user:1001:---"),
        ("u::rw-,u:1001:rw-,g::r--,m::---,o::---", "# not declared: the mask takes from user:1001:rw-"),
    ] {
        let t = host();
        t.write("srv/some/file", "x");
        set(&t, "srv/some/file", XATTR_ACCESS, acl);
        let text = round(&t, &["deploy"]);
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_service_is_imported_by_its_unit() {
    if !is_root() {
        return;
    }
    let t = host();
    t.write("usr/lib/systemd/system/shop.service", "[Service]\nUser=alice\nExecStart=/x\n");
    t.write("etc/systemd/system/shop.service.d/user.conf", "[Service]\nUser=_Svc.1\n");
    let text = round(&t, &["--unit", "shop"]);
    assert!(text.contains("name = \"shop\"") && text.contains("user = \"_Svc.1\""), "{text}");
    for (unit, why) in [("none", "there is no unit"), ("../x", "no name of a unit")] {
        assert!(t.expect(1, &["import", "--unit", unit]).err.contains(why));
    }
    t.write("etc/systemd/system/dyn.service", "[Service]\nDynamicUser=yes\n");
    assert!(t.expect(1, &["import", "--unit", "dyn"]).err.contains("DynamicUser"));
    assert!(t.expect(1, &["import", "root"]).err.contains("root"));
}

/// Rules of any kind, of which some apply to the account.
const RULES: [&str; 9] = [
    "deploy ALL=(root) NOPASSWD: /usr/bin/a \"\", !/usr/bin/b, /usr/bin/c x\\,y",
    "%adm, alice ALL = /usr/bin/a * : web1 = (alice) /usr/bin/b",
    "#1001 ALL=(ALL:ALL) ALL",
    "User_Alias WE = deploy, alice\nWE ALL=(root) /usr/bin/a ^x( y)?$",
    "\"deploy\" ALL=(root) \\\n   \\\n  /usr/bin/a",
    "ALL ALL=(alice) SETENV: sudoedit /etc/motd # why",
    "alice ALL=(root) /usr/bin/a",
    "deploy db1=(root) /usr/bin/a",
    "Defaults:deploy !authenticate",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: acls::cases(12), ..ProptestConfig::default() })]
    #[test]
    fn the_plan_of_what_is_imported_is_empty(
        rules in proptest::sample::subsequence(RULES.to_vec(), 0..=4),
        paths in proptest::collection::vec((acls::acl(), any::<bool>()), 0..4),
        doas in any::<bool>(),
        groups in proptest::sample::subsequence(vec!["sudo", "adm", "docker"], 0..=3),
    ) {
        if !is_root() {
            return Ok(());
        }
        let t = host();
        t.write("etc/sudoers.d/some", &format!("{}\n", rules.join("\n")));
        t.chmod("etc/sudoers.d/some", 0o440);
        if doas {
            t.write("etc/doas.conf", "permit deploy as root cmd /usr/bin/a args 'x  y'\npermit :adm\ndeny alice\n");
        }
        let member = |g: &str| if groups.contains(&g) { "deploy" } else { "" };
        let text = format!(
            "root:x:0:\nsudo:x:27:{}\nadm:x:4:{}\ndocker:x:998:{}\nalice:x:1000:\ndeploy:x:1001:\nsvc:x:900:\n",
            member("sudo"), member("adm"), member("docker"),
        );
        t.write("etc/group", &text);
        for (n, (acl, folder)) in paths.iter().enumerate() {
            // The generated ids stand for the host's.
            let text = acl.to_string().replace("51000", "1001").replace("51001", "1000").replace("52000", "4").replace("52001", "27");
            let acl: Acl = text.parse().unwrap();
            let path = format!("srv/some/p{n}");
            if *folder { t.mkdir(&path) } else { t.write(&path, "x") }
            xattr::set(t.at(&path), XATTR_ACCESS, &acl.to_xattr()).unwrap();
            if *folder {
                xattr::set(t.at(&path), XATTR_DEFAULT, &acl.to_xattr()).unwrap();
            }
        }
        round(&t, &["deploy"]);
    }
}
