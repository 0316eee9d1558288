//! `with = "polkit"`: planned, written, kept and taken back, decided as polkitd itself decides; and rules of others found.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use perms::grants::polkit::{Rights, UnitJob, rules, rules_file};
use support::tree::Tree;

fn root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root")
}

const APP: &str = "[app]\nname = \"app\"\nuser = \"app\"\n";
const RELOAD: &str = "\n[[command]]\nrun = [\"/usr/bin/systemctl\", \"reload\", \"nginx\"]\nwith = \"polkit\"\nnopasswd = true\n";
const OWN: &str = "etc/polkit-1/rules.d/49-perms-app.rules";

/// A host with a polkit of now.
fn host(manifest: &str) -> Tree {
    let t = Tree::with_app(manifest, "ops:x:991:app\n");
    t.write("usr/lib/polkit-1/polkitd", "\0/etc/polkit-1/rules.d\0");
    t.mkdir("etc/polkit-1/rules.d");
    t.chmod("etc/polkit-1/rules.d", 0o700);
    t
}

#[test]
fn a_rule_is_written_kept_exact_taken_out_and_rolled_back() {
    if !root() {
        return;
    }
    let t = host(&format!("{APP}{RELOAD}"));
    let plan = t.perms(&["plan"]);
    assert!(plan.out.contains("+ polkit  /etc/polkit-1/rules.d/49-perms-app.rules"), "{}", plan.out);
    t.expect(0, &["apply", "--yes"]);
    assert_eq!(
        t.read(OWN),
        "// perms: app. Written by perms apply; what is changed here is undone by the next.\n\
         polkit.addRule(function(action, subject) {\n    \
         if (action.id === \"org.freedesktop.systemd1.manage-units\" &&\n            \
         subject.user === \"app\" &&\n            \
         action.lookup(\"unit\") === \"nginx.service\" &&\n            \
         action.lookup(\"verb\") === \"reload\") {\n        \
         return polkit.Result.YES;\n    }\n});\n"
    );
    let meta = t.at(OWN).metadata().unwrap();
    assert_eq!(
        (meta.uid(), meta.gid(), meta.mode() & 0o7777),
        (0, 0, 0o644),
        "polkit reads it as a user of its own"
    );
    t.expect(0, &["audit"]);
    assert!(t.perms(&["plan"]).out.contains("nothing to change"));
    let said = t.expect(4, &["can", "app", "run", "--", "/usr/bin/systemctl", "reload", "nginx"]);
    let note = format!("without sudo, polkit lets app do it: /{OWN}:4");
    assert!(said.out.contains(&note), "{}", said.out);
    assert!(
        !t.perms(&["can", "app", "run", "--", "/usr/bin/systemctl", "restart", "nginx"])
            .out
            .contains("polkit")
    );

    // Each drift is found and put right.
    let text = t.read(OWN);
    type Drift<'a> = Box<dyn Fn() + 'a>;
    let drifts: [(Drift<'_>, i32, &str); 4] = [
        (
            Box::new(|| t.write(OWN, &text.replace("=== \"nginx.service\"", "!== \"\""))),
            8,
            "polkit::wrong-rules",
        ),
        (
            Box::new(|| t.write(OWN, &text.replace("return polkit", "// return polkit"))),
            8,
            "polkit::wrong-rules",
        ),
        (Box::new(|| t.chmod(OWN, 0o666)), 4, "polkit::wrong-rules"),
        (Box::new(|| std::fs::remove_file(t.at(OWN)).unwrap()), 4, "polkit::missing-rule"),
    ];
    for (drift, status, code) in drifts {
        drift();
        assert_eq!(t.audit(status)[0].0, code);
        t.expect(0, &["apply", "--yes"]);
        assert_eq!(t.read(OWN), text);
        assert_eq!(t.audit(0), []);
    }

    // What is not declared any more goes.
    t.manifest("app", APP);
    assert_eq!(t.audit(8)[0].0, "polkit::left-over");
    t.expect(0, &["apply", "--yes"]);
    assert!(!t.at(OWN).exists());
    t.expect(0, &["rollback"]);
    assert_eq!(t.read(OWN), text);

    let t = host(&format!("{APP}{RELOAD}"));
    let before = t.snapshot();
    t.expect(0, &["apply", "--yes"]);
    t.expect(0, &["rollback"]);
    assert_eq!(t.snapshot(), before);
}

#[test]
fn a_polkit_that_cannot_is_refused_with_the_reason() {
    if !root() {
        return;
    }
    type Make<'a> = Box<dyn Fn(&Tree) + 'a>;
    let cases: [(Make<'_>, &str); 4] = [
        (Box::new(|t| t.write("usr/lib/polkit-1/polkitd", "localauthority")), "before 0.106"),
        (Box::new(|t| std::fs::remove_file(t.at("usr/lib/polkit-1/polkitd")).unwrap()), "no polkit"),
        (Box::new(|t| std::fs::remove_dir(t.at("etc/polkit-1/rules.d")).unwrap()), "not there"),
        (
            Box::new(|t| {
                t.mkdir("etc/systemd/system");
                std::os::unix::fs::symlink(
                    "/lib/systemd/system/web.service",
                    t.at("etc/systemd/system/nginx.service"),
                )
                .unwrap();
            }),
            "nginx.service is another name of web.service",
        ),
    ];
    for (make, reason) in cases {
        let t = host(&format!("{APP}{RELOAD}"));
        make(&t);
        let said = t.perms(&["plan"]);
        assert_eq!(said.status, 4, "{}", said.out);
        assert!(said.out.contains(reason), "{reason}: {}", said.out);
        assert_eq!(t.perms(&["apply", "--yes"]).status, 1);
        assert!(!t.at(OWN).exists());
    }
}

#[test]
fn it_is_offered_where_sudo_grants_what_polkit_could() {
    if !root() {
        return;
    }
    let sudo = format!("{APP}{}", RELOAD.replace("with = \"polkit\"\n", ""));
    let t = host(&sudo);
    let manifest = t.at("etc/perms.d/app.toml");
    let offer = "polkit could grant this alone, without a program run as root: with = \"polkit\", then `systemctl reload nginx.service`";
    assert!(t.perms(&["check", manifest.to_str().unwrap()]).out.contains(offer));
    assert!(t.perms(&["plan"]).out.contains(offer));
    // Not of what polkit cannot grant, and not where there is none.
    t.manifest("app", &sudo.replace("reload", "enable"));
    assert!(!t.perms(&["plan"]).out.contains("polkit"));
    t.manifest("app", &sudo);
    std::fs::remove_file(t.at("usr/lib/polkit-1/polkitd")).unwrap();
    assert!(!t.perms(&["plan"]).out.contains("polkit"));
    assert!(!t.perms(&["check", manifest.to_str().unwrap()]).out.contains("polkit"));
}

#[test]
fn rules_of_others_for_a_declared_user_are_excess() {
    if !root() {
        return;
    }
    let t = host(APP);
    assert_eq!(t.audit(0), []);
    let rule = |what: &str| {
        format!(
            "// app\npolkit.addRule(function(action, subject) {{\n    if ({what}) return polkit.Result.YES;\n}});\n"
        )
    };
    let place = "/etc/polkit-1/rules.d/10-x.rules";
    for (what, root) in [
        ("action.id == \"org.freedesktop.login1.reboot\" && subject.user == \"app\"", false),
        ("action.id == \"org.freedesktop.login1.reboot\" && subject.isInGroup(\"ops\")", false),
        ("action.id == \"org.freedesktop.systemd1.manage-units\" && subject.user == \"app\"", true),
        ("subject.user == 'app'", true),
    ] {
        t.write(place, &rule(what));
        let found = t.audit(8);
        let own = found.iter().find(|(code, _)| code == "polkit::undeclared-rule").unwrap();
        assert_eq!(own.1, format!("{place}:3"), "{what}");
        assert_eq!(found.iter().any(|(code, _)| code == "root::path"), root, "{what}: {found:?}");
    }
    // Of another user, or of nobody.
    t.write(place, &rule("subject.user == \"alice\""));
    assert_eq!(t.audit(0), []);
    t.manifest("app", &format!("{APP}accept = {{ \"polkit::undeclared-rule\" = \"reboots\" }}\n"));
    t.write(place, &rule("action.id == \"org.freedesktop.login1.reboot\" && subject.user == \"app\""));
    assert_eq!(t.audit(0), []);
    // The older sort.
    let old = "var/lib/polkit-1/localauthority/10-vendor.d/x.pkla";
    t.manifest("app", APP);
    std::fs::remove_file(t.at(place)).unwrap();
    t.write(old, "[x]\nIdentity=unix-user:app\nAction=org.freedesktop.login1.*\nResultAny=yes\n");
    assert_eq!(t.audit(8), [("polkit::undeclared-rule".to_owned(), format!("/{old}:2"))]);
}

/// polkitd on a bus of its own, with its folders of rules in a temporary one.
struct Polkit {
    dir: tempfile::TempDir,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Polkit {
    fn start(text: &str) -> Option<Polkit> {
        if !root() || !["pkcheck", "dbus-daemon", "unshare", "setpriv"].iter().all(|t| support::have(t)) {
            return None;
        }
        let daemon = "/usr/lib/polkit-1/polkitd";
        if !Path::new(daemon).exists() && !support::skip("needs polkitd") {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for folder in ["etc", "share"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        std::fs::write(at("etc/49-perms-app.rules"), text).unwrap();
        std::fs::write(
            at("bus.conf"),
            format!(
                "<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
                 <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
                 <allow own=\"*\"/><allow user=\"*\"/></policy></busconfig>",
                at("bus").display()
            ),
        )
        .unwrap();
        // It says that it is there by its name on the bus.
        let script = format!(
            "mount --make-rprivate / && mount --bind \"$0/etc\" /etc/polkit-1/rules.d && \
             mount --bind \"$0/share\" /usr/share/polkit-1/rules.d && export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$0/bus && \
             {{ dbus-daemon --config-file=$0/bus.conf --nofork --nopidfile & }} && \
             n=0; while [ ! -S $0/bus ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done; {{ {daemon} --no-debug & }}; \
             n=0; while [ $n -lt 600 ]; do \
             pkcheck --action-id org.freedesktop.systemd1.manage-units --process $$ 2>&1 | grep -q -i 'error checking' || break; \
             sleep 0.1; n=$((n + 1)); done; exec sh"
        );
        let mut child = Command::new("unshare")
            .args(["-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c", &script])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Polkit { dir, child, input, output })
    }

    /// What is answered for a process of this user: 0 yes, 2 a password first, 1 no.
    fn ask(&mut self, user: &str, action: &str, unit: &str, verb: &str) -> i32 {
        let quoted = |t: &str| format!("'{}'", t.replace('\'', "'\\''"));
        let details = format!("--detail unit {} --detail verb {}", quoted(unit), quoted(verb));
        writeln!(
            self.input,
            "setpriv --reuid={user} --regid=daemon --clear-groups sleep 60 >/dev/null & p=$!; \
             until [ \"$(stat -c %U /proc/$p)\" = {user} ]; do :; done; \
             pkcheck --action-id {action} --process $p {details} >/dev/null 2>&1; echo \"answer $?\"; kill $p"
        )
        .unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        while !line.starts_with("answer ") {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the shell has ended");
        }
        line.trim_start_matches("answer ").trim().parse().unwrap()
    }
}

impl Drop for Polkit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.dir.path();
    }
}

/// What is written lets through what was declared and nothing near it, says polkitd.
#[test]
fn h5_polkit_itself_decides_as_declared() {
    let units = ["nginx.service", r"dev-disk\x2dby.swap", "a@b:c.service"];
    let verbs = ["reload", "restart", "reload-or-try-restart"];
    let rights: Vec<Rights> = units
        .iter()
        .zip(verbs)
        .map(|(unit, verb)| Rights {
            user: "games".into(),
            job: UnitJob { unit: (*unit).to_owned(), verb },
            free: verb != "restart",
        })
        .collect();
    let text = rules_file("perms: app. \"*/ \\ x", &rights);
    assert_eq!(rules(text.as_bytes()).len(), 3);
    let Some(mut polkit) = Polkit::start(&text) else { return };
    let manage = "org.freedesktop.systemd1.manage-units";
    for user in ["games", "daemon"] {
        for unit in
            units.iter().chain(&["nginx", "nginx.service ", "", "xnginx.service", r"dev-disk\\x2dby.swap"])
        {
            for verb in verbs.iter().chain(&["start", "", "reload "]) {
                let declared =
                    rights.iter().find(|r| r.user == user && r.job.unit == *unit && r.job.verb == *verb);
                // Without a rule of ours, and where the user's own password is asked: a challenge.
                let expected = if declared.is_some_and(|r| r.free) { 0 } else { 2 };
                assert_eq!(polkit.ask(user, manage, unit, verb), expected, "{user} {verb} {unit}");
            }
        }
        assert_eq!(
            polkit.ask(user, "org.freedesktop.systemd1.manage-unit-files", "nginx.service", "reload"),
            2
        );
    }
}

#[test]
fn the_fresh_host_has_rules_for_nobody() {
    // What Debian's packages bring: administrators by their password, systemd's own services.
    let share = Path::new("/usr/share/polkit-1/rules.d");
    if !share.is_dir() {
        support::skip("needs polkitd");
        return;
    }
    for entry in std::fs::read_dir(share).unwrap() {
        let path = entry.unwrap().path();
        for rule in rules(&std::fs::read(&path).unwrap()) {
            assert!(!rule.is_root() && rule.names("app", &["app"]).is_none(), "{}: {rule:?}", path.display());
        }
    }
}
