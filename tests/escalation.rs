//! Ways to root, each made on a small host and found with its steps, by `plan` and by `audit`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::os::unix::fs::chown;

use support::tree::{Tree, run};

fn root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root")
}

const APP: &str = "[app]\nname = \"app\"\nuser = \"app\"\n";

/// A host with an application's user, two people and a service account.
fn host(manifest: &str) -> Tree {
    let t = Tree::new();
    std::fs::remove_file(t.at("etc/perms.d/durhack-deployer.toml")).unwrap();
    t.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n\
         app:x:990:990::/var/lib/app:/usr/sbin/nologin\nworker:x:991:991::/var/lib/worker:/usr/sbin/nologin\n",
    );
    t.write(
        "etc/group",
        "root:x:0:\nsudo:x:27:alice\ndocker:x:99:\nalice:x:1000:\nbob:x:1001:\napp:x:990:\nworker:x:991:\n",
    );
    t.chmod("etc/sudoers.d", 0o755);
    t.mkdir("etc/nginx/conf.d");
    t.manifest("app", manifest);
    t
}

/// The steps by which the application's user becomes root, from `plan --format json`: what, and the line or place.
fn steps(t: &Tree) -> Vec<String> {
    let said = t.perms(&["plan", "--format", "json"]);
    let report = support::schema::report(&said.out);
    let ways = report["ways"].as_array().unwrap();
    assert!(ways.len() <= 1);
    let step = |s: &serde_json::Value| {
        let place = match (&s["manifest"]["line"], &s["place"]) {
            (serde_json::Value::Number(line), _) => format!("line {line}"),
            (_, place) => place.as_str().unwrap_or("").to_owned(),
        };
        format!("{} [{}] ({place})", s["what"].as_str().unwrap(), s["code"].as_str().unwrap())
    };
    ways.iter().flat_map(|w| w["steps"].as_array().unwrap().iter().map(step)).collect()
}

fn give(t: &Tree, path: &str, uid: u32) {
    chown(t.at(path), Some(uid), None).unwrap();
}

#[test]
fn the_deployer_becomes_root_in_two_steps_and_by_certbots_hooks_in_one() {
    if !root() {
        return;
    }
    let two = format!(
        "{APP}\n[[path]]\npath = \"/etc/nginx/conf.d\"\naccess = \"write\"\n\n[[command]]\n\
         run = [\"/usr/bin/systemctl\", \"reload\", \"nginx\"]\nnopasswd = true\n"
    );
    let t = host(&two);
    let found = steps(&t);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("writes /etc/nginx/conf.d: `access_log` names any file"), "{found:?}");
    assert!(found[0].ends_with("[path::daemon-config-and-reload] (line 6)"), "{found:?}");
    assert!(found[1].starts_with("runs /usr/bin/systemctl reload nginx as root: nginx reads"), "{found:?}");
    assert!(found[1].ends_with("(line 10)"), "{found:?}");
    let said = t.perms(&["plan"]);
    assert!(
        said.out.contains("app can become root in 2 steps\n       1. writes /etc/nginx/conf.d"),
        "{}",
        said.out
    );

    let one = format!("{two}\n[[command]]\nrun = [\"/usr/bin/certbot\"]\nargs = \"any\"\nnopasswd = true\n");
    t.manifest("app", &one);
    let found = steps(&t);
    assert_eq!(found.len(), 1, "the shortest way is told: {found:?}");
    assert!(
        found[0]
            .starts_with("runs /usr/bin/certbot with any arguments as root: `--deploy-hook CMD` runs CMD")
    );
    // Accepted, it is the other way's turn; when that is accepted too, there is none.
    let accepted = format!("{one}accept = {{ \"sudo::hook-runner\" = \"meant\" }}\n");
    t.manifest("app", &accepted);
    assert_eq!(steps(&t).len(), 2);
    t.manifest(
        "app",
        &accepted.replace(
            "access = \"write\"",
            "access = \"write\"\naccept = { \"path::daemon-config-and-reload\" = \"meant\" }",
        ),
    );
    assert_eq!(steps(&t), Vec::<String>::new());
}

#[test]
fn narrow_rights_are_no_way() {
    if !root() {
        return;
    }
    let t = host(&format!(
        "{APP}\n[[path]]\npath = \"/etc/nginx/conf.d\"\naccess = \"read\"\n\n[[command]]\n\
         run = [\"/usr/bin/systemctl\", \"reload\", \"nginx\"]\nnopasswd = true\n\n[[command]]\n\
         run = [\"/usr/bin/certbot\", \"renew\", \"--quiet\"]\nnopasswd = true\n"
    ));
    assert_eq!(steps(&t), Vec::<String>::new());
}

/// One thing on the host that makes the application's user root, and the step that tells it.
#[test]
fn each_way_on_the_host_is_found() {
    if !root() || !support::have("setfacl") {
        return;
    }
    let acl = |t: &Tree, spec: &str, path: &str| {
        assert_eq!(run(std::process::Command::new("setfacl").args(["-m", spec]).arg(t.at(path))).status, 0);
    };
    type Make<'a> = Box<dyn Fn(&Tree) + 'a>;
    let cases: Vec<(Make<'_>, &str, &str)> = vec![
        (
            Box::new(|t| {
                t.write("etc/group", &t.read("etc/group").replace("docker:x:99:", "docker:x:99:app"))
            }),
            "is in group docker",
            "(/etc/group, docker)",
        ),
        (
            // The primary group counts, too.
            Box::new(|t| {
                t.write("etc/passwd", &t.read("etc/passwd").replace("app:x:990:990:", "app:x:990:99:"))
            }),
            "is in group docker",
            "primary group)",
        ),
        (
            Box::new(|t| {
                t.write("etc/cron.d/job", "* * * * * root /srv/job\n");
                give(t, "etc/cron.d/job", 990);
            }),
            "owns /etc/cron.d/job: cron runs what it says as root",
            "(/etc/cron.d/job)",
        ),
        (
            Box::new(|t| {
                t.write("srv/jobs/run", "x");
                t.write("etc/cron.d/job", "* * * * * root /srv/jobs/run\n");
                acl(t, "u:990:rwx", "srv/jobs");
            }),
            "may write /srv/jobs, on the way to /srv/jobs/run: cron runs it as root (/etc/cron.d/job:1)",
            "(/srv/jobs)",
        ),
        (
            Box::new(|t| {
                t.write("srv/daemon.py", "#!/opt/py/bin/python3\n");
                t.write("opt/py/bin/python3", "x");
                t.write("etc/systemd/system/d.service", "[Service]\nExecStart=/srv/daemon.py --x\n");
                give(t, "opt/py/bin", 990);
            }),
            "owns /opt/py/bin, on the way to /opt/py/bin/python3: d.service runs it as root",
            "(/opt/py/bin)",
        ),
        (
            Box::new(|t| {
                t.mkdir("usr/local/bin");
                chown(t.at("usr/local/bin"), None, Some(990)).unwrap();
                t.chmod("usr/local/bin", 0o775);
            }),
            "may write /usr/local/bin: root runs what is in it",
            "(/usr/local/bin)",
        ),
        (
            Box::new(|t| {
                t.write("etc/sudoers.d/x", "app ALL=(root) NOPASSWD: /usr/bin/vim /etc/motd\n");
                t.chmod("etc/sudoers.d/x", 0o440);
            }),
            "runs /usr/bin/vim as root: ",
            "(/etc/sudoers.d/x:1)",
        ),
        (
            Box::new(|t| {
                t.write("etc/doas.conf", "permit nopass app as root cmd /usr/bin/less\n");
                t.chmod("etc/doas.conf", 0o400);
            }),
            "runs /usr/bin/less with any arguments as root: ",
            "(/etc/doas.conf:1)",
        ),
        (
            Box::new(|t| {
                t.write("etc/sudoers.d/x", "app ALL=(root) NOPASSWD: /srv/tool fixed\n");
                t.chmod("etc/sudoers.d/x", 0o440);
                t.write("srv/tool", "x");
                give(t, "srv/tool", 990);
            }),
            "owns /srv/tool, and may run /srv/tool as root",
            "(/etc/sudoers.d/x:1)",
        ),
        (
            // What a granted script loads: a package of its environment that another installed.
            Box::new(|t| {
                t.write("etc/sudoers.d/x", "app ALL=(root) NOPASSWD: /srv/deploy now\n");
                t.chmod("etc/sudoers.d/x", 0o440);
                t.write("srv/deploy", "#!/srv/venv/bin/python3\nimport tools\n");
                t.write("srv/venv/bin/python3", "x");
                t.write("srv/venv/pyvenv.cfg", "home = /usr/bin\n");
                t.write("srv/venv/lib/python3.11/site-packages/tools/__init__.py", "");
                give(t, "srv/venv/lib/python3.11/site-packages/tools", 990);
            }),
            "owns /srv/venv/lib/python3.11/site-packages/tools, and may run /srv/deploy as root",
            "(/etc/sudoers.d/x:1)",
        ),
        (
            Box::new(|t| {
                t.write("etc/cron.d/x", "0 3 * * * root /srv/nightly\n");
                t.write("usr/bin/bash", "x");
                t.write("srv/nightly", "#!/usr/bin/env bash\nset -e\n. /srv/settings.sh\n");
                t.write("srv/settings.sh", "A=1\n");
                give(t, "srv/settings.sh", 990);
            }),
            "owns /srv/settings.sh: cron runs it as root",
            "(/srv/settings.sh)",
        ),
        (
            Box::new(|t| {
                t.mkdir("root/.ssh");
                give(t, "root/.ssh", 990);
            }),
            "owns /root/.ssh",
            "(/root/.ssh)",
        ),
        (
            Box::new(|t| {
                t.write(
                    "etc/sudoers.d/x",
                    "app ALL=(root) NOPASSWD: sudoedit /etc/motd, sudoedit /etc/cron.d/x\n",
                );
                t.chmod("etc/sudoers.d/x", 0o440);
            }),
            "may edit /etc/cron.d/x as root (sudoedit): cron runs what it says as root",
            "(/etc/sudoers.d/x:1)",
        ),
        (
            Box::new(|t| {
                t.write("etc/sudoers.d/x", "app ALL=(root) NOPASSWD: sudoedit /srv/*\n");
                t.chmod("etc/sudoers.d/x", 0o440);
            }),
            "may edit any file as root (sudoedit)",
            "(/etc/sudoers.d/x:1)",
        ),
        (
            Box::new(|t| {
                t.write(
                    "etc/polkit-1/rules.d/10-x.rules",
                    "polkit.addRule(function(action, subject) {\n if (action.id == \"org.freedesktop.systemd1.manage-units\" &&\n\
                     subject.user == \"app\") return polkit.Result.YES;\n});\n",
                );
            }),
            "polkit allows org.freedesktop.systemd1.manage-units, about whatever",
            "(/etc/polkit-1/rules.d/10-x.rules:3)",
        ),
        (
            Box::new(|t| {
                // A fragment of a unit, one folder deeper, which an ACL lets it write.
                t.write("etc/systemd/system/web.service.d/more.conf", "[Service]\n");
                acl(t, "u:990:rw-", "etc/systemd/system/web.service.d/more.conf");
            }),
            "may write /etc/systemd/system/web.service.d/more.conf: units run as root",
            "(/etc/systemd/system/web.service.d/more.conf)",
        ),
        (
            Box::new(|t| {
                t.write("etc/systemd/system/web.timer", "[Timer]\n");
                acl(t, "g:990:rw-", "etc/systemd/system/web.timer");
            }),
            "may write /etc/systemd/system/web.timer: units run as root",
            "(/etc/systemd/system/web.timer)",
        ),
        (
            Box::new(|t| {
                t.mkdir("run");
                let listener = std::os::unix::net::UnixListener::bind(t.at("run/docker.sock")).unwrap();
                drop(listener);
                t.chmod("run/docker.sock", 0o660);
                chown(t.at("run/docker.sock"), None, Some(990)).unwrap();
            }),
            "may write /run/docker.sock: docker starts containers",
            "(/run/docker.sock)",
        ),
        (
            Box::new(|t| {
                t.write("usr/bin/find", "x");
                t.chmod("usr/bin/find", 0o4755);
            }),
            "runs /usr/bin/find, which runs as its owner root: ",
            "(/usr/bin/find)",
        ),
    ];
    for (make, what, place) in cases {
        let t = host(APP);
        assert_eq!(steps(&t), Vec::<String>::new(), "before");
        make(&t);
        let found = steps(&t);
        assert!(
            found.len() == 1 && found[0].starts_with(what) && found[0].ends_with(place),
            "{what}: {found:?}"
        );
    }
}

/// Known set-id programs ask, other narrow things are none.
#[test]
fn what_is_narrow_or_known_is_no_way() {
    if !root() {
        return;
    }
    let t = host(APP);
    for known in ["usr/bin/sudo", "usr/bin/su", "usr/bin/mount", "usr/bin/passwd"] {
        t.write(known, "x");
        t.chmod(known, 0o4755);
    }
    // Only for a group that it is not in.
    t.write("usr/bin/vim", "x");
    t.chmod("usr/bin/vim", 0o4750);
    t.write(
        "etc/sudoers.d/x",
        "app ALL=(root) NOPASSWD: sudoedit /etc/motd\napp ALL=(worker) NOPASSWD: sudoedit /etc/cron.d/x\n",
    );
    t.chmod("etc/sudoers.d/x", 0o440);
    t.write(
        "etc/polkit-1/rules.d/10-x.rules",
        "polkit.addRule(function(action, subject) {\n if (action.id == \"org.freedesktop.systemd1.manage-units\" &&\n\
         action.lookup(\"unit\") == \"web.service\" && subject.user == \"app\") return polkit.Result.YES;\n});\n",
    );
    assert_eq!(steps(&t), Vec::<String>::new());
}

/// A service account that another becomes by its set-id program, hashes that can be read, and a reload by polkit.
#[test]
fn steps_by_set_id_programs_hashes_and_polkit() {
    if !root() {
        return;
    }
    let t = host(APP);
    t.write("usr/local/bin/python3", "x");
    chown(t.at("usr/local/bin/python3"), Some(991), Some(991)).unwrap();
    t.chmod("usr/local/bin/python3", 0o4755);
    t.write("etc/sudoers.d/x", "worker ALL=(root) NOPASSWD: /usr/bin/bash\n");
    t.chmod("etc/sudoers.d/x", 0o440);
    let found = steps(&t);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("runs /usr/local/bin/python3, which runs as its owner worker: "),
        "{found:?}"
    );
    assert!(found[1].starts_with("runs /usr/bin/bash with any arguments as root"), "{found:?}");

    let t = host(APP);
    t.write("etc/group", &format!("{}shadow:x:42:app\n", t.read("etc/group")));
    chown(t.at("etc/shadow"), None, Some(42)).unwrap();
    let found = steps(&t);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("may read /etc/shadow: the password of alice can be guessed"), "{found:?}");
    assert!(found[1].starts_with("may run anything as root"), "{found:?}");
    // Where no password opens anything, there is nothing to guess.
    t.write("etc/shadow", "root:*:19000:0:99999:7:::\nalice:!:19000:0:99999:7:::\n");
    assert_eq!(steps(&t), Vec::<String>::new());

    let t = host(&format!("{APP}\n[[path]]\npath = \"/etc/nginx/conf.d\"\naccess = \"write\"\n"));
    assert_eq!(steps(&t), Vec::<String>::new());
    t.write(
        "etc/polkit-1/rules.d/10-x.rules",
        "polkit.addRule(function(action, subject) {\n if (action.id == \"org.freedesktop.systemd1.manage-units\" &&\n\
         action.lookup(\"unit\") == \"nginx.service\" && action.lookup(\"verb\") == \"reload\" &&\n\
         subject.user == \"app\") return polkit.Result.YES;\n});\n",
    );
    let found = steps(&t);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("writes /etc/nginx/conf.d"), "{found:?}");
    assert!(found[1].starts_with("runs systemctl reload nginx.service as root: nginx reads"), "{found:?}");
    assert!(found[1].ends_with("(/etc/polkit-1/rules.d/10-x.rules:4)"), "{found:?}");
}

#[test]
fn a_way_through_other_accounts_is_told_step_by_step() {
    if !root() {
        return;
    }
    let t = host(APP);
    // app → worker, whose code it can write; worker → alice, whose shell reads a file of its; alice → root.
    t.write("srv/worker/run", "x");
    give(&t, "srv/worker", 990);
    t.write("etc/systemd/system/w.service", "[Service]\nUser=worker\nExecStart=/srv/worker/run\n");
    t.write("home/alice/.profile", "x");
    give(&t, "home/alice", 1000);
    give(&t, "home/alice/.profile", 991);
    let found = steps(&t);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("owns /srv/worker, on the way to /srv/worker/run: w.service runs it as worker")
    );
    assert!(found[1].starts_with("owns /home/alice/.profile: alice's shell runs it"), "{found:?}");
    assert!(found[2].starts_with("may run anything as root [excess::rule] (/etc/sudoers:3)"), "{found:?}");
    let said = t.perms(&["audit"]);
    assert!(said.out.contains("excess[root::path]  user app"), "{}", said.out);
    assert!(
        said.out.contains("\n    3. may run anything as root (/etc/sudoers:3)\n  remedy: "),
        "{}",
        said.out
    );
    assert_eq!(said.status, 8);
    t.manifest("app", &format!("{APP}[app.accept]\n\"root::path\" = \"a test\"\n"));
    t.expect(0, &["audit"]);
}

#[test]
fn what_is_declared_alone_is_a_risk_and_no_excess() {
    if !root() {
        return;
    }
    let t = host(&format!("{APP}\n[[path]]\npath = \"/etc/cron.d\"\naccess = \"write\"\n"));
    t.mkdir("etc/cron.d");
    t.expect(0, &["apply", "--yes"]);
    let said = t.expect(0, &["audit"]);
    assert!(said.out.contains("risk[root::path]  user app"), "{}", said.out);
    assert!(
        said.out.contains("1. may write /etc/cron.d: cron runs what it says as root (line 6)")
            || said.out.contains("1. writes /etc/cron.d: cron runs what it says as root (line 6)"),
        "{}",
        said.out
    );
}
