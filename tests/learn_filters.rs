//! What of logs is read and wanted: filters, moments, several sources at once, told apart; through the command.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// One denial with the records of its event.
struct Event {
    second: u32,
    domain: &'static str,
    target: &'static str,
    class: &'static str,
    program: &'static str,
    path: &'static str,
    permissive: bool,
}

impl Event {
    fn text(&self) -> String {
        let Event { second, domain, target, class, program, path, permissive } = self;
        let id = format!("audit({}.012:{second})", 1_795_243_000 + second);
        let comm = program.rsplit('/').next().unwrap();
        let (success, exit) = if *permissive { ("yes", "3") } else { ("no", "-13") };
        format!(
            "type=AVC msg={id}: avc:  denied  {{ getattr }} for  pid=7 comm=\"{comm}\" path=\"{path}\" dev=\"vda\" \
             ino={second} scontext=system_u:system_r:{domain}:s0 tcontext=system_u:object_r:{target}:s0 tclass={class} \
             permissive={}\ntype=SYSCALL msg={id}: arch=c000003e syscall=262 success={success} exit={exit} a0=1 a1=2 \
             a2=3 a3=0 items=1 ppid=1 pid=7 auid=4294967295 uid=33 comm=\"{comm}\" exe=\"{program}\" key=(null)\n\
             type=PROCTITLE msg={id}: proctitle=\"{comm}\"\n",
            u8::from(*permissive),
        )
    }
}

/// Seconds 10 to 60, a policy load at 25, a boot at 45.
fn log() -> String {
    let e = |second, domain, target, class, program, path, permissive| Event {
        second,
        domain,
        target,
        class,
        program,
        path,
        permissive,
    };
    let events = [
        e(10, "httpd_t", "var_t", "file", "/usr/sbin/nginx", "/srv/site/a", false),
        e(20, "httpd_t", "user_home_t", "dir", "/usr/sbin/nginx", "/home/one", true),
        e(30, "httpd_t", "etc_t", "lnk_file", "/usr/sbin/apache2", "/srv/site2/b", false),
        e(40, "named_t", "var_t", "dir", "/usr/sbin/named", "/srv/site/zones", false),
        e(50, "sshd_t", "usr_t", "file", "/usr/sbin/sshd", "/opt/x", true),
        e(60, "sshd_t", "tmp_t", "sock_file", "/usr/lib/openssh/sftp-server", "/tmp/s", false),
    ];
    let mut text: Vec<(u32, String)> = events.iter().map(|e| (e.second, e.text())).collect();
    text.push((
        25,
        "type=MAC_POLICY_LOAD msg=audit(1795243025.000:25): auid=0 ses=3 lsm=selinux res=1\n".to_owned(),
    ));
    text.push((
        45,
        "type=SYSTEM_BOOT msg=audit(1795243045.000:45): pid=200 uid=0 auid=4294967295 ses=4294967295 \
         subj=system_u:system_r:init_t:s0 msg=' comm=\"systemd-update-utmp\" exe=\"/lib/systemd/systemd-update-utmp\" \
         hostname=? addr=? terminal=? res=success'\n"
            .to_owned(),
    ));
    text.sort();
    text.into_iter().map(|(_, text)| text).collect()
}

struct Ended {
    out: String,
    err: String,
    status: i32,
}

fn run(arguments: &[&str], stdin: Option<&str>) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_perms"))
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Some(text) = stdin {
        let mut pipe = child.stdin.take().unwrap();
        let text = text.to_owned();
        std::thread::spawn(move || pipe.write_all(text.as_bytes()));
    }
    let done = child.wait_with_output().unwrap();
    Ended {
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
        status: done.status.code().unwrap(),
    }
}

/// The target types of the denials that a report in JSON has, and how many were left out.
fn wanted(arguments: &[&str], stdin: Option<&str>) -> (BTreeSet<String>, u64) {
    let mut all = vec!["why", "--no-policy", "--format", "json"];
    all.extend(arguments);
    let ended = run(&all, stdin);
    assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.err);
    let report: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let mut types = BTreeSet::new();
    collect_targets(&report, &mut types);
    (types, report["lines"]["left_out"].as_u64().unwrap_or_else(|| panic!("{report:#}")))
}

fn collect_targets(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            if let (Some(target), Some(_)) =
                (map.get("target").and_then(|t| t.as_str()), map.get("permissions"))
            {
                into.insert(target.split(':').nth(2).unwrap_or(target).to_owned());
            }
            map.values().for_each(|v| collect_targets(v, into));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| collect_targets(v, into)),
        _ => {}
    }
}

#[track_caller]
fn check(file: &str, filter: &[&str], expected: &[&str]) {
    let mut arguments = filter.to_vec();
    arguments.push(file);
    let (types, left_out) = wanted(&arguments, None);
    let expected: BTreeSet<String> = expected.iter().map(|t| (*t).to_owned()).collect();
    assert_eq!(types, expected, "{filter:?}");
    assert_eq!(left_out, 6 - u64::try_from(expected.len()).unwrap(), "{filter:?}");
    // The same through a pipe.
    let mut arguments = filter.to_vec();
    arguments.push("-");
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(wanted(&arguments, Some(&text)).0, expected, "{filter:?} on standard input");
}

#[test]
fn filters_leave_just_what_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.log");
    std::fs::write(&file, log()).unwrap();
    let file = file.to_str().unwrap();
    let all = ["var_t", "user_home_t", "etc_t", "usr_t", "tmp_t"];
    let (types, left_out) = wanted(&[file], None);
    assert_eq!((types, left_out), (all.iter().map(|t| (*t).to_owned()).collect(), 0));
    // Of one kind alone.
    check(file, &["--domain", "sshd_t"], &["usr_t", "tmp_t"]);
    check(file, &["--domain", "sshd_t", "--domain", "named_t"], &["usr_t", "tmp_t", "var_t"]);
    check(file, &["--target", "etc_t"], &["etc_t"]);
    check(file, &["--class", "lnk_file", "--class", "sock_file"], &["etc_t", "tmp_t"]);
    check(file, &["--program", "/usr/sbin/apache2"], &["etc_t"]);
    check(file, &["--program", "sftp-server"], &["tmp_t"]);
    check(file, &["--path", "/home"], &["user_home_t"]);
    check(file, &["--path", "/opt/x", "--path", "/tmp/"], &["usr_t", "tmp_t"]);
    // A path is one of whole components.
    check(file, &["--path", "/srv/site2"], &["etc_t"]);
    check(file, &["--permissive"], &["user_home_t", "usr_t"]);
    // Of several kinds: all of them.
    check(file, &["--domain", "httpd_t", "--class", "lnk_file"], &["etc_t"]);
    check(file, &["--domain", "httpd_t", "--permissive"], &["user_home_t"]);
    check(file, &["--domain", "httpd_t", "--target", "tmp_t"], &[]);
    // Moments.
    check(file, &["--since", "@1795243050"], &["usr_t", "tmp_t"]);
    check(file, &["--since", "2026-11-21 06:37:30"], &["usr_t", "tmp_t"]);
    check(file, &["--until", "@1795243010.012"], &["var_t"]);
    check(file, &["--until", "2026-11-21 06:36:51"], &["var_t"]);
    check(file, &["--since", "@1795243020", "--until", "@1795243031"], &["user_home_t", "etc_t"]);
    check(file, &["--boot"], &["usr_t", "tmp_t"]);
    check(file, &["--since", "boot"], &["usr_t", "tmp_t"]);
    check(file, &["--since", "policy-load", "--domain", "httpd_t"], &["etc_t"]);
    check(file, &["--since", "policy-load", "--until", "@1795243035"], &["etc_t"]);
}

#[test]
fn what_the_logs_cannot_tell_is_said() {
    let text = Event {
        second: 1,
        domain: "a_t",
        target: "b_t",
        class: "file",
        program: "/bin/x",
        path: "/x",
        permissive: false,
    }
    .text();
    for (option, word) in [("boot", "boot"), ("policy-load", "policy load")] {
        let ended = run(&["why", "--no-policy", "--since", option, "-"], Some(&text));
        assert_eq!(ended.status, 1);
        assert!(ended.err.contains(&format!("no {word} is in these logs")), "{}", ended.err);
    }
    assert_eq!(run(&["why", "--since", "the day before", "-"], Some("")).status, 2);
}

fn packed(name: &str, text: &str, dir: &Path) {
    let path = dir.join(name);
    let file = std::fs::File::create(path).unwrap();
    match name.rsplit('.').next().unwrap() {
        "gz" => {
            let mut e = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            e.write_all(text.as_bytes()).unwrap();
            e.finish().unwrap();
        }
        "bz2" => {
            let mut e = bzip2::write::BzEncoder::new(file, bzip2::Compression::fast());
            e.write_all(text.as_bytes()).unwrap();
            e.finish().unwrap();
        }
        _ => (&file).write_all(text.as_bytes()).unwrap(),
    }
}

#[test]
fn files_folders_and_standard_input_at_once_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("rotated");
    std::fs::create_dir(&folder).unwrap();
    // Each with one line that cannot be read, at another place.
    let part = |n: usize, second: u32, target: &'static str| {
        let event = Event {
            second,
            domain: "httpd_t",
            target,
            class: "file",
            program: "/bin/x",
            path: "/x",
            permissive: false,
        };
        format!("{}this is no record\n{}", "\n".repeat(n), event.text())
    };
    packed("audit.log.2.gz", &part(1, 10, "one_t"), &folder);
    packed("audit.log.1.bz2", &part(2, 20, "two_t"), &folder);
    packed("audit.log", &part(3, 30, "three_t"), &folder);
    packed("other.log", &part(4, 40, "four_t"), dir.path());
    let (folder, other) = (folder.to_str().unwrap(), dir.path().join("other.log"));
    let ended =
        run(&["learn", "--no-policy", other.to_str().unwrap(), folder, "-"], Some(&part(5, 50, "five_t")));
    assert_eq!(ended.status, 0, "{}", ended.err);
    for expected in [
        format!("{folder}/audit.log.2.gz:2: "),
        format!("{folder}/audit.log.1.bz2:3: "),
        format!("{folder}/audit.log:4: "),
        format!("{}:5: ", other.display()),
        "standard input:6: ".to_owned(),
        "5 denials, 5 distinct".to_owned(),
        "5 lines could not be read".to_owned(),
    ] {
        assert!(ended.out.contains(&expected), "{expected} in\n{}", ended.out);
    }
    // Named in another order, or the folder's files one by one: the same report.
    let files = ["audit.log.1.bz2", "audit.log", "audit.log.2.gz"].map(|n| format!("{folder}/{n}"));
    let mut arguments = vec!["learn", "--no-policy", "-"];
    arguments.extend(files.iter().map(String::as_str));
    arguments.push(other.to_str().unwrap());
    assert_eq!(run(&arguments, Some(&part(5, 50, "five_t"))).out, ended.out);
}

#[test]
fn what_is_packed_otherwise_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for (head, name, tool) in
        [(&b"\xfd7zXZ\0\0\x04"[..], "a.xz", "xzcat"), (b"\x28\xb5\x2f\xfd\x24\0\0\0", "a.zst", "zstdcat")]
    {
        let path = dir.path().join(name);
        std::fs::write(&path, head).unwrap();
        let ended = run(&["why", "--no-policy", path.to_str().unwrap()], None);
        assert_eq!(ended.status, 1);
        assert!(ended.err.contains(&format!("`{tool} {} | perms", path.display())), "{}", ended.err);
        // In a pipe, too.
        let mut child = Command::new(env!("CARGO_BIN_EXE_perms"))
            .args(["why", "--no-policy", "-"])
            .stdin(std::fs::File::open(&path).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}
