//! Remedies weighed against each other by Debian's policy: booleans by what they open, what was only to be made, files of
//! this host, which mode held, and whose a denial is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::path::Path;

use perms::denials::input::Source;
use perms::denials::{Log, read};
use perms::learn::causes::boolean::MOST_FOR_EACH;
use perms::learn::files::Tree;
use perms::learn::verdict::{Remedy, Verdict};
use perms::learn::{self, Ground, Labels, Lesson, Owner, text};
use perms::manifest::Manifest;
use perms::report::style::Paint;
use perms::report::{Format, Source as Text};
use perms::selinux::contexts::{Files, Precedence, Sections, Text as Specs};
use perms::selinux::policy::Policy;
use perms::sys::Root;

const POLICY: &str = "/etc/selinux/default/policy/policy.33";

fn policy_is_there() -> bool {
    Path::new(POLICY).exists() || support::skip("needs a policy (selinux-policy-default)")
}

/// Debian's policy, and specifications of the test's own.
fn ground(specs: &'static str) -> Ground {
    let load = move || {
        let files = Files::only(Specs::new("specs", specs.as_bytes()));
        let contexts = Sections::new(files, Precedence::Before3_8);
        Ok(Labels::new(contexts, BTreeSet::new(), "specs".to_owned()))
    };
    Ground::new(Policy::open(Path::new(POLICY)).unwrap(), POLICY.to_owned(), "named", Box::new(load))
}

fn log_of(text: &str) -> Log {
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(text.to_owned()));
    read(&[Source::Stdin], Some(stdin), perms::denials::Options::default())
}

fn verdicts<'a>(lesson: &'a Lesson<'_>) -> Vec<&'a Verdict> {
    lesson.groups.iter().flat_map(|g| &g.denials).map(|d| d.verdict.as_deref().unwrap()).collect()
}

fn why(lesson: &Lesson<'_>) -> String {
    // In this form, lines are not broken.
    let look = text::Look { format: Format::Plain, paint: Paint::PLAIN };
    let mut out = Vec::new();
    for denial in lesson.groups.iter().flat_map(|g| &g.denials) {
        learn::why::denial(&mut out, lesson, denial, look).unwrap();
    }
    String::from_utf8(out).unwrap()
}

/// An AVC record.
fn avc(serial: u32, source: &str, target: &str, class: &str, permissions: &str, fields: &str) -> String {
    format!(
        "type=AVC msg=audit(1795243565.012:{serial}): avc:  denied  {{ {permissions} }} for  pid=7 comm=\"a\" {fields} \
         scontext=system_u:system_r:{source}:s0 tcontext=system_u:object_r:{target}:s0 tclass={class} permissive=0\n"
    )
}

#[test]
fn a_boolean_that_opens_far_more_than_is_asked_is_told_as_worse() {
    if !policy_is_there() {
        return;
    }
    let ground = ground("");
    let connect = |serial, port: &str| avc(serial, "httpd_t", port, "tcp_socket", "name_connect", "");
    // Made for the purpose: the boolean. For every port there is: a rule, and the boolean is named with its figure.
    let log = log_of(&(connect(1, "mysqld_port_t") + &connect(2, "unreserved_port_t")));
    let lesson = learn::judge(&log, &[], &learn::Options::default(), Some(&ground));
    let told = why(&lesson);
    assert!(told.contains("setsebool -P httpd_can_network_connect_db on"), "{told}");
    assert!(told.contains("allow httpd_t unreserved_port_t:tcp_socket name_connect;"), "{told}");
    assert!(
        told.contains("not       the boolean httpd_can_network_connect on: it opens 1,3")
            && told.contains("other accesses, and 1 is needed: more than 100 for each"),
        "{told}"
    );
    // What a log asks of it as a whole counts: for many ports the boolean is the smaller fix.
    let policy = &ground.policy;
    let http = policy.type_id("httpd_t").unwrap();
    let class = policy.classes().id("tcp_socket").unwrap();
    let bit = policy.permission(class, "name_connect").unwrap();
    let ports: BTreeSet<_> = policy.object_contexts().ports.iter().map(|p| p.context.ty).collect();
    let denied = ports.iter().filter(|ty| policy.view().allowed_by_rules(http, **ty, class) & bit == 0);
    let all: String = denied
        .enumerate()
        .map(|(i, ty)| connect(u32::try_from(i).unwrap() + 1, policy.types().name(*ty)))
        .collect();
    let log = log_of(&all);
    let lesson = learn::judge(&log, &[], &learn::Options::default(), Some(&ground));
    assert!(lesson.judgement.as_ref().unwrap().booleans.contains_key("httpd_can_network_connect"));
    for verdict in verdicts(&lesson) {
        if let Remedy::Booleans { opens, .. } = &verdict.remedy {
            assert!(*opens <= MOST_FOR_EACH * log.denials.len(), "{verdict:?}");
        }
    }
}

/// An event of a program that was to make something in a folder.
fn event(serial: u32, avc: &str, folder: &str) -> String {
    format!(
        "{avc}type=SYSCALL msg=audit(1795243565.012:{serial}): arch=c000003e syscall=257 success=no exit=-13 pid=7 uid=33 comm=\"a\" exe=\"/usr/sbin/nginx\" key=(null)\n\
         type=CWD msg=audit(1795243565.012:{serial}): cwd=\"/\"\n\
         type=PATH msg=audit(1795243565.012:{serial}): item=0 name=\"{folder}\" inode=5 dev=fe:00 mode=040755 ouid=0 ogid=0 nametype=PARENT\n\
         type=PROCTITLE msg=audit(1795243565.012:{serial}): proctitle=\"nginx\"\n"
    )
}

const SPECS: &str = "/srv(/.*)?  system_u:object_r:var_t:s0\n\
    /srv/logs(/.*)?  system_u:object_r:httpd_log_t:s0\n\
    /srv/app/out\\.log  --  system_u:object_r:httpd_log_t:s0\n";

#[test]
fn what_was_to_be_made_is_judged_by_its_folder() {
    if !policy_is_there() {
        return;
    }
    let ground = ground(SPECS);
    let of = |avc: &str, folder: &str| {
        let log = log_of(&event(1, avc, folder));
        let lesson = learn::judge(&log, &[], &learn::Options::default(), Some(&ground));
        let replay = &lesson.judgement.as_ref().unwrap().replay;
        assert_eq!((replay.asked, replay.allowed), (1, 1), "{}", why(&lesson));
        why(&lesson)
    };
    let create = |name: &str| avc(1, "httpd_t", "var_t", "file", "create", &format!("name=\"{name}\""));
    // The folder lost its label: restored, new files get the right one.
    let told = of(&create("access.log"), "/srv/logs/");
    assert!(told.contains("on file /srv/logs/access.log (var_t)"), "{told}");
    assert!(told.contains("wrong label of the folder"), "{told}");
    assert!(told.contains("fix       restorecon -v /srv/logs\n"), "{told}");
    // An entry is added to a folder: the folder is the object.
    let told = of(&avc(1, "httpd_t", "etc_t", "dir", "add_name", "name=\"access.log\""), "/srv/logs/");
    assert!(
        told.contains("on dir /srv/logs (etc_t)") && told.contains("restorecon -v /srv/logs\n"),
        "{told}"
    );
    assert!(told.contains("asked for /srv/logs/access.log"), "{told}");
    // The folder is right, and the specification is for the file alone: it has to be there first.
    let told = of(&create("out.log"), "/srv/app/");
    assert!(told.contains("what is made there gets var_t from its folder, and not httpd_log_t"), "{told}");
    assert!(told.contains("restorecon -v /srv/app/out.log"), "{told}");
    assert!(told.contains("type_transition httpd_t var_t:file httpd_log_t"), "{told}");
    // Nothing is specified: the folder gets a type.
    let told = of(&create("cache.db"), "/srv/app/");
    assert!(told.contains("semanage fcontext -a -t") && told.contains("'/srv/app(/.*)?'"), "{told}");
    // Nothing tells where: a rule, as before.
    let log = log_of(&create("out.log"));
    let told = why(&learn::judge(&log, &[], &learn::Options::default(), Some(&ground)));
    assert!(told.contains("allow httpd_t var_t:file create;"), "{told}");
}

#[test]
fn files_of_this_host_are_counted() {
    if !policy_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let label = |path: &str, ty: &str| {
        let path = dir.path().join(path);
        let value = format!("system_u:object_r:{ty}:s0\0");
        xattr::set(path, "security.selinux", value.as_bytes())
    };
    if label("", "root_t").is_err() {
        support::skip("needs a file system with labels");
        return;
    }
    std::fs::create_dir_all(dir.path().join("srv/logs/old")).unwrap();
    for (path, ty) in [("srv", "var_t"), ("srv/logs", "httpd_log_t"), ("srv/logs/old", "httpd_log_t")] {
        label(path, ty).unwrap();
    }
    for (path, ty) in [
        ("srv/logs/a", "user_home_t"),
        ("srv/logs/b", "user_home_t"),
        ("srv/logs/old/c", "user_home_t"),
        ("srv/logs/right", "httpd_log_t"),
        ("srv/other", "user_home_t"),
    ] {
        std::fs::write(dir.path().join(path), "").unwrap();
        label(path, ty).unwrap();
    }
    let mut ground = ground(SPECS);
    ground.tree = Tree::labelled(Root::open(dir.path()).unwrap(), None);
    assert!(ground.tree.is_some());
    let log =
        log_of(&avc(1, "httpd_t", "user_home_t", "file", "append", "path=\"/srv/logs/a\" dev=\"vda\" ino=9"));
    let lesson = learn::judge(&log, &[], &learn::Options::default(), Some(&ground));
    let told = why(&lesson);
    assert!(told.contains("restorecon -v /srv/logs/a\n"), "{told}");
    assert!(
        told.contains("3 files are wrong below /srv/logs on this host: restorecon -Rv /srv/logs"),
        "{told}"
    );
    assert!(told.contains("everything labelled user_home_t (4 files)"), "{told}");
    let (seen, whole) = lesson.judgement.as_ref().unwrap().files.unwrap();
    assert!(seen >= 9 && whole, "{seen}");
    let report = serde_json::to_value(learn::json::report("why", &lesson, &[])).unwrap();
    support::schema::check(&support::schema::read("learn"), &report, "counted files");
    let below = &report["groups"][0]["denials"][0]["verdict"]["remedy"]["below"];
    assert_eq!(below["wrong"], 3, "{below}");
    // A tree without labels is not counted: its figures would say that nothing is opened.
    let bare = tempfile::tempdir().unwrap();
    std::fs::create_dir(bare.path().join("etc")).unwrap();
    let unlabelled = xattr::get(bare.path(), "security.selinux").ok().flatten().is_none();
    assert!(!unlabelled || Tree::labelled(Root::open(bare.path()).unwrap(), None).is_none());
}

#[test]
fn the_mode_that_held_is_told() {
    let denial = |serial: u32, class: &str, mode: &str| {
        let text = avc(serial, "httpd_t", "etc_t", class, "read", "");
        text.replace(" permissive=0", mode)
    };
    let mode = |time: u32, enforcing: u8| {
        format!(
            "type=MAC_STATUS msg=audit({time}.000:9): enforcing={enforcing} old_enforcing={} auid=0 ses=1 enabled=1 old-enabled=1 lsm=selinux res=1\n",
            1 - enforcing
        )
    };
    let told = |text: &str| {
        let log = log_of(text);
        let lesson = learn::learn(&log, &[], &learn::Options::default());
        why(&lesson)
    };
    let before = 1_795_243_000;
    for (text, expected, head) in [
        (denial(1, "file", " permissive=0"), "mode      enforcing: stopped", "was denied"),
        (
            denial(1, "file", " permissive=1"),
            "mode      permissive, the domain or all of SELinux: let through",
            "would be",
        ),
        (
            mode(before, 1) + &denial(1, "file", " permissive=1"),
            "mode      permissive, the domain alone while SELinux was enforcing: let through",
            "would be",
        ),
        (
            mode(before, 0) + &denial(1, "file", " permissive=1"),
            "mode      permissive, all of SELinux: let through",
            "would be",
        ),
        (
            denial(1, "file", " permissive=1") + &denial(2, "file", " permissive=0"),
            "mode      both: let through 1 time, stopped 1 time",
            "sometimes permissive",
        ),
        (denial(1, "file", ""), "mode      the record does not say whether it was stopped", "was denied"),
        (
            mode(before, 0) + &denial(1, "file", ""),
            "mode      permissive, by the log's changes of mode",
            "would be",
        ),
        (
            mode(before, 1) + &denial(1, "file", ""),
            "mode      enforcing, by the log's changes of mode",
            "was denied",
        ),
    ] {
        let told = told(&text);
        assert!(told.contains(expected) && told.contains(head), "{text}\n{told}");
    }
}

fn manifest(text: &str) -> Manifest {
    let source = Text::new("/etc/perms.d/app.toml", text);
    let (manifest, diagnostics) = perms::manifest::load::parse(&source);
    manifest.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

#[test]
fn applications_are_known_by_unit_user_and_executable() {
    let manifests = [
        manifest(
            "[app]\nname = \"shop\"\nuser = \"shop\"\nunits = [\"shop.service\", \"shop-worker@.service\"]\n[selinux]\ndomain = \"httpd_t\"\n",
        ),
        manifest(
            "[app]\nname = \"blog\"\nuser = \"blog\"\nexecutables = [\"/srv/blog/venv/bin/gunicorn\"]\n[selinux]\ndomain = \"httpd_t\"\n",
        ),
        manifest("[app]\nname = \"feed\"\nuser = \"feed\"\nunits = [\"feed.service\"]\n"),
    ];
    let joined = |serial: u32, target: &str, uid: &str, exe: &str| {
        avc(serial, "httpd_t", target, "file", "read", "name=\"x\"")
            + &format!(
                "type=SYSCALL msg=audit(1795243565.012:{serial}): arch=c000003e syscall=257 success=no exit=-13 pid=7 uid=33 comm=\"a\" exe=\"{exe}\" key=(null)\u{1d}ARCH=x86_64 SYSCALL=openat UID=\"{uid}\"\n"
            )
    };
    // As systemd's message in the journal's JSON: the unit is the journal's word.
    let in_unit = |target: &str, source: &str, unit: &str| {
        format!(
            "{{\"_SYSTEMD_UNIT\":\"{unit}\",\"_TRANSPORT\":\"audit\",\"_SOURCE_REALTIME_TIMESTAMP\":\"1795243565012000\",\"_AUDIT_TYPE\":\"1400\",\"_AUDIT_TYPE_NAME\":\"AVC\",\"_AUDIT_ID\":\"77\",\"MESSAGE\":\"AVC avc:  denied  {{ read }} for  pid=7 comm=\\\"a\\\" name=\\\"x\\\" scontext=system_u:system_r:{source}:s0 tcontext=system_u:object_r:{target}:s0 tclass=file permissive=0\"}}\n"
        )
    };
    let audit = joined(1, "a_t", "shop", "/usr/bin/python3")
        + &joined(2, "b_t", "www-data", "/srv/blog/venv/bin/gunicorn")
        + &joined(3, "c_t", "www-data", "/usr/bin/python3");
    let journal = in_unit("d_t", "httpd_t", "shop-worker@3.service")
        + &in_unit("e_t", "initrc_t", "feed.service")
        + &in_unit("f_t", "initrc_t", "feed.service.evil.service");
    let groups = |text: &str| -> Vec<(Owner, String)> {
        let log = log_of(text);
        let lesson = learn::learn(&log, &manifests, &learn::Options::default());
        let rules = |g: &learn::Group<'_>| -> Vec<String> {
            g.te.rules.iter().map(|(rule, _)| rule.target_text().to_owned()).collect()
        };
        lesson.groups.iter().map(|g| (g.owner.clone(), rules(g).join(" "))).collect()
    };
    let app = |name: &str, rules: &str| (Owner::App(name.to_owned()), rules.to_owned());
    let found = groups(&audit);
    assert_eq!(found[..2], [app("blog", "b_t"), app("shop", "a_t")]);
    assert_eq!(found[2].1, "c_t");
    let found = groups(&journal);
    assert_eq!(found[..2], [app("feed", "e_t"), app("shop", "d_t")], "{found:?}");
    assert_eq!(found[2].1, "f_t");
}

/// A process names itself, in every way that it can, as another application's program: it stays with its own domain.
#[test]
fn nobody_names_himself_into_an_application() {
    let manifests = [
        manifest("[app]\nname = \"shop\"\nuser = \"shop\"\nexecutables = [\"/srv/shop/run\"]\n"),
        manifest(
            "[app]\nname = \"blog\"\nuser = \"blog\"\nexecutables = [\"/srv/blog/run\"]\n[selinux]\ndomain = \"httpd_t\"\n",
        ),
    ];
    let tail =
        "scontext=user_u:user_r:user_t:s0 tcontext=system_u:object_r:shadow_t:s0 tclass=file permissive=0";
    let avc = |comm: &str| {
        format!(
            "type=AVC msg=audit(1795243565.012:1): avc:  denied  {{ read }} for  pid=7 comm={comm} name=\"x\" {tail}\n"
        )
    };
    let call = |uid: u32, comm: &str, exe: &str| {
        format!(
            "type=SYSCALL msg=audit(1795243565.012:1): arch=c000003e syscall=257 success=no exit=-13 pid=7 auid=1000 uid={uid} comm={comm} exe={exe} subj=user_u:user_r:user_t:s0 key=(null)\n"
        )
    };
    let interpreted = |uid: &str, comm: &str, exe: &str| {
        let stamp = "msg=audit(11/21/26 06:46:05.012:1)";
        format!(
            "type=SYSCALL {stamp} : arch=x86_64 syscall=openat success=no exit=EACCES(Permission denied) pid=7 auid=mallory uid={uid} comm={comm} exe={exe} subj=user_u:user_r:user_t:s0 key=(null) \n\
             type=AVC {stamp} : avc:  denied  {{ read }} for  pid=7 comm={comm} name=x {tail} \n"
        )
    };
    let manager = |fields: &str| {
        format!(
            "type=USER_AVC msg=audit(1795243565.012:1): pid=1 uid=0 auid=4294967295 ses=4294967295 subj=system_u:system_r:init_t:s0 msg='avc:  denied  {{ start }} for auid=1000 uid=1000 gid=1000 path=\"/x\" cmdline=\"{fields}\" function=\"f\" {} exe=\"/usr/lib/systemd/systemd\" sauid=0 hostname=? addr=? terminal=?'\n",
            tail.replace("tclass=file permissive=0", "tclass=service permissive=0")
        )
    };
    let owners = |text: &str| -> Vec<Owner> {
        let log = log_of(text);
        let lesson = learn::learn(&log, &manifests, &learn::Options::default());
        lesson.groups.iter().map(|g| g.owner.clone()).collect()
    };
    let app = |name: &str| vec![Owner::App(name.to_owned())];
    // What is so is believed.
    assert_eq!(owners(&(avc("\"run\"") + &call(1000, "\"run\"", "\"/srv/shop/run\""))), app("shop"));
    assert_eq!(owners(&interpreted("shop", "run", "/x")), app("shop"));
    assert_eq!(owners(&interpreted("mallory", "run", "/srv/shop/run")), app("shop"));
    for (what, text) in [
        ("a short name alone", avc("\"/srv/shop/run\"")),
        ("the same in hexadecimal", avc("2F7372762F73686F702F72756E")),
        ("beside the file", avc("\"/srv/shop/run\"") + &call(1000, "\"/srv/shop/run\"", "\"/home/m/x\"")),
        ("interpreted", interpreted("mallory", "/srv/shop/run", "/home/m/x")),
        ("a user in a short name", interpreted("mallory", "a uid=shop", "/home/m/x")),
        ("a login and a user", interpreted("mallory", "auid=a uid=shop", "/home/m/x")),
        ("a file in a file's name", interpreted("mallory", "a", "/home/m/x exe=/srv/shop/run")),
        ("a user in a file's name", interpreted("mallory", "a", "/home/m/x uid=shop")),
        ("a user in a command line", manager("a\" uid=shop \"")),
        (
            "a domain's application, in a namespace",
            avc("\"run\"") + &call(1000, "\"run\"", "\"/srv/blog/run\""),
        ),
    ] {
        let found = owners(&text);
        assert!(
            matches!(&found[..], [Owner::Domain(d)] if d.as_str() == "user_t"),
            "{what}: {found:?}\n{text}"
        );
    }
}

/// Blocks of CIL give types names with dots, which a `.te` cannot write: judged by a policy that has them, compiled with it,
/// and the policy that comes out allows what was denied.
#[test]
fn cil_modules_judged_by_a_policy_compile_with_it_and_help() {
    if !support::have("secilc") {
        return;
    }
    let base = "(class file (read write open))(class process (execmem))(classorder (file process))(sid kernel)(sidorder (kernel))\
        (user system_u)(role system_r)(role object_r)(type httpd_t)(userrole system_u system_r)(userrole system_u object_r)\
        (roletype system_r httpd_t)(sensitivity s0)(sensitivityorder (s0))(level l (s0))(levelrange lr (l l))\
        (userlevel system_u l)(userrange system_u lr)(sidcontext kernel (system_u system_r httpd_t lr))\
        (type var_t)(roletype object_r var_t)\
        (block box (type process)(type data)(roletype system_r process)(roletype object_r data)\
         (allow process data (file (read))))";
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let compile = |files: &[&str], to: &str| {
        let out = std::process::Command::new(support::which("secilc").unwrap())
            .current_dir(dir.path())
            .args(["-M", "1", "-c", "33", "-f", "/dev/null", "-o", to])
            .args(files)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Policy::open(&dir.path().join(to)).unwrap()
    };
    put("base.cil", base);
    let policy = compile(&["base.cil"], "before");
    let log = [
        avc(1, "box.process", "box.data", "file", "write", ""),
        avc(2, "box.process", "var_t", "file", "open read", ""),
        avc(3, "httpd_t", "box.data", "file", "read", ""),
        avc(4, "httpd_t", "httpd_t", "process", "execmem", "")
            .replace("object_r:httpd_t", "system_r:httpd_t"),
    ];
    let load = || Err("none".to_owned());
    let ground = Ground::new(policy, "before".to_owned(), "named", Box::new(load));
    let log = log_of(&log.concat());
    let options = learn::Options { prove: true, ..learn::Options::default() };
    let lesson = learn::judge(&log, &[], &options, Some(&ground));
    let judgement = lesson.judgement.as_ref().unwrap();
    assert_eq!((judgement.replay.asked, judgement.replay.allowed), (4, 4), "{}", why(&lesson));
    assert!(judgement.proofs.as_ref().unwrap().iter().all(|p| p.returns.is_some()));
    let mut files = vec!["base.cil".to_owned()];
    for group in &lesson.groups {
        for file in
            learn::module::files(&lesson, group, &options).into_iter().filter(|f| f.name.ends_with(".cil"))
        {
            put(&file.name, &file.text);
            files.push(file.name);
        }
    }
    assert!(files.len() >= 3, "{files:?}");
    let after = compile(&files.iter().map(String::as_str).collect::<Vec<_>>(), "after");
    for (source, target, permission) in [
        ("box.process", "box.data", "write"),
        ("box.process", "var_t", "open"),
        ("httpd_t", "box.data", "read"),
    ] {
        let class = after.classes().id("file").unwrap();
        let bit = after.permission(class, permission).unwrap();
        let [s, t] = [source, target].map(|n| after.type_id(n).unwrap());
        assert!(after.view().allowed_by_rules(s, t, class) & bit != 0, "{source} {target} {permission}");
    }
}
