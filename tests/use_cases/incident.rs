//! Incident response: one incident of one host, handed over in every shape that people have it in, each with that host's policy and
//! without; one command tells, for each application, what was denied, how often, since when, by which program and on which paths,
//! why, and what helps; and it is the same whatever the shape.
//!
//! The records are real ones of `audit-samples`, and one of a virtual machine's level, which those do not have.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::support;
use super::support::tree::run;

const PARTS: [&str; 5] = ["nginx-content", "nginx-ports", "nginx-upstreams", "sshd-logins", "redis-moved"];

const LEVEL: &str = "\
type=AVC msg=audit(1795244400.100:901): avc:  denied  { read } for  pid=901 comm=\"qemu-system-x86\" path=\"/var/lib/libvirt/images/other.img\" dev=\"vda\" ino=77 scontext=system_u:system_r:svirt_t:s0:c1,c2 tcontext=system_u:object_r:svirt_image_t:s0:c3,c4 tclass=file permissive=0
type=SYSCALL msg=audit(1795244400.100:901): arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=55b9cf5972e4 a2=80000 a3=0 items=0 ppid=1 pid=901 auid=4294967295 uid=64055 gid=108 euid=64055 suid=64055 fsuid=64055 egid=108 sgid=108 fsgid=108 tty=(none) ses=4294967295 comm=\"qemu-system-x86\" exe=\"/usr/bin/qemu-system-x86_64\" subj=system_u:system_r:svirt_t:s0:c1,c2 key=(null)
";

/// Numbers of record types: what the kernel writes in place of names.
const NUMBERS: [(&str, u32); 12] = [
    ("AVC", 1400),
    ("SELINUX_ERR", 1401),
    ("MAC_POLICY_LOAD", 1403),
    ("SYSCALL", 1300),
    ("PATH", 1302),
    ("CWD", 1307),
    ("PROCTITLE", 1327),
    ("SOCKADDR", 1306),
    ("EXECVE", 1309),
    ("BPRM_FCAPS", 1321),
    ("SERVICE_START", 1130),
    ("SERVICE_STOP", 1131),
];

/// A record of audit.log.
struct Record<'a> {
    kind: &'a str,
    /// Seconds, milliseconds, serial.
    stamp: &'a str,
    /// As the kernel wrote it: without what auditd adds.
    body: &'a str,
}

impl Record<'_> {
    fn parse(line: &str) -> Record<'_> {
        let (kind, rest) = line.strip_prefix("type=").unwrap().split_once(" msg=audit(").unwrap();
        let (stamp, body) = rest.split_once("): ").unwrap();
        Record { kind, stamp, body: body.split('\u{1d}').next().unwrap() }
    }

    fn serial(&self) -> &str {
        self.stamp.split_once(':').unwrap().1
    }

    fn milliseconds(&self) -> i64 {
        let (seconds, rest) = self.stamp.split_once('.').unwrap();
        seconds.parse::<i64>().unwrap() * 1000 + rest.split_once(':').unwrap().0.parse::<i64>().unwrap()
    }

    fn pid(&self) -> Option<&str> {
        let rest = self.body.strip_prefix("pid=").or_else(|| Some(self.body.split_once(" pid=")?.1))?;
        rest.split(' ').next()
    }
}

/// The incident as auditd wrote it: records of the types above.
fn incident() -> String {
    let mut all = String::new();
    for part in PARTS {
        let log = std::fs::read_to_string(Path::new("audit-samples").join(part).join("log")).unwrap();
        for line in
            log.lines().filter(|l| NUMBERS.iter().any(|(kind, _)| l.starts_with(&format!("type={kind} "))))
        {
            all.push_str(line);
            all.push('\n');
        }
    }
    all + LEVEL
}

/// The same in every shape: a name, and the files.
fn shapes(dir: &Path) -> Vec<(&'static str, Vec<PathBuf>)> {
    let text = incident();
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let raw = write("raw/audit.log", &text);
    let records: Vec<Record<'_>> = text.lines().map(Record::parse).collect();

    // Rotated in the middle of events, the oldest packed.
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let third = lines.len() / 3;
    write("rotated/audit.log", &lines[2 * third..].concat());
    write("rotated/audit.log.1", &lines[third..2 * third].concat());
    let packed = std::fs::File::create(dir.join("rotated/audit.log.2.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
    packed.write_all(lines[..third].concat().as_bytes()).unwrap();
    packed.finish().unwrap();

    let (mut dmesg, mut journal, mut objects) = (String::new(), String::new(), String::new());
    for (i, r) in (1..).zip(&records) {
        let number = NUMBERS.iter().find(|(kind, _)| *kind == r.kind).unwrap().1;
        let Record { kind, stamp, body } = r;
        dmesg.push_str(&format!("[{i:8}.000001] audit: type={number} audit({stamp}): {body}\n"));
        let time = jiff::Timestamp::from_millisecond(r.milliseconds()).unwrap();
        let by = r.pid().map_or_else(|| "audit".to_owned(), |pid| format!("audit[{pid}]"));
        let time_text = time.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00");
        journal.push_str(&format!("{time_text} web {by}: {kind} {body}\n"));
        let object = json!({
            "__CURSOR": format!("s={i}"), "_TRANSPORT": "audit", "_AUDIT_TYPE": number.to_string(), "_HOSTNAME": "web",
            "_AUDIT_TYPE_NAME": kind, "_AUDIT_ID": r.serial(), "MESSAGE": format!("{kind} {body}"),
            "_SOURCE_REALTIME_TIMESTAMP": format!("{}", r.milliseconds() * 1000),
        });
        objects.push_str(&format!("{object}\n"));
    }
    let ausearch = |arguments: &[&str]| {
        let said = run(Command::new("ausearch").args(arguments).arg("-if").arg(&raw).env("TZ", "UTC"));
        assert_eq!(said.status, 0, "{}", said.err);
        said.out
    };
    vec![
        ("rotated", vec![dir.join("rotated")]),
        ("dmesg", vec![write("dmesg", &dmesg)]),
        ("journal", vec![write("journal", &journal)]),
        ("journal -o json", vec![write("journal.json", &objects)]),
        ("ausearch --raw", vec![write("ausearch-raw", &ausearch(&["--raw", "-m", "AVC,SELINUX_ERR"]))]),
        ("ausearch -i", vec![write("ausearch-i", &ausearch(&["-i", "-m", "AVC,SELINUX_ERR"]))]),
        ("raw", vec![raw]),
    ]
}

fn learn(files: &[PathBuf], arguments: &[&str]) -> String {
    // A laptop: nothing of its own is asked, whatever it runs.
    let mut command = Command::new(env!("CARGO_BIN_EXE_perms"));
    command
        .env_clear()
        .env("TZ", "UTC")
        .args(["learn", "--count-files", "never"])
        .args(arguments)
        .args(files);
    let said = run(&mut command);
    assert_eq!((said.status, &*said.err), (0, ""), "{files:?}: {}", said.out);
    said.out
}

/// What a report says that is not of the shape: for each application its denials, remedies, rules and refusals.
fn told(report: &Value) -> BTreeMap<String, Value> {
    let list = |value: &Value, f: &dyn Fn(&Value) -> Value| -> Vec<Value> {
        let mut all: Vec<Value> = value.as_array().unwrap().iter().map(f).collect();
        all.sort_by_key(ToString::to_string);
        all
    };
    let denial = |d: &Value| {
        let names =
            ["source", "target", "class", "permissions", "times", "first", "last", "programs", "objects"];
        let mut told: BTreeMap<&str, Value> = names.into_iter().map(|n| (n, d[n].clone())).collect();
        told.insert("code", d["verdict"]["code"].clone());
        told.insert("cause", d["verdict"]["cause"].clone());
        told.insert("remedy", d["verdict"]["remedy"].clone());
        json!(told)
    };
    let group = |g: &Value| {
        json!({
            "denials": list(&g["denials"], &denial),
            "refusals": list(&g["refusals"], &|r| json!([r["times"], r["first"], r["last"], r["finding"]])),
            "fixes": g["fixes"], "rules": g["rules"], "statements": g["statements"], "types": g["types"], "surplus": g["surplus"],
        })
    };
    report["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| (g["name"].as_str().unwrap().to_owned(), group(g)))
        .collect()
}

/// Asserts that two are the same, and names the innermost that differ.
#[track_caller]
fn same(a: &Value, b: &Value, at: &str) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            x.iter().for_each(|(key, value)| same(value, &y[key], &format!("{at}.{key}")));
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().for_each(|(i, (x, y))| same(x, y, &format!("{at}.{i}")));
        }
        _ => assert_eq!(a, b, "{at}"),
    }
}

/// The modules that were written, by name.
fn modules(dir: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    files
        .map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&p).unwrap()))
        .collect()
}

/// The rules alone: the first lines name the log.
fn rules(modules: &BTreeMap<String, String>) -> Vec<(&str, Vec<&str>)> {
    modules.iter().map(|(n, t)| (n.as_str(), t.lines().filter(|l| !l.starts_with('#')).collect())).collect()
}

#[test]
fn an_incident_is_told_the_same_from_every_shape() {
    let from = "/etc/selinux/default";
    if !Path::new(from).join("policy/policy.33").exists() && !support::skip("needs selinux-policy-default") {
        return;
    }
    if !["ausearch", "checkmodule", "semodule_package"].iter().all(|t| support::have(t)) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // What was copied from the host beside its log.
    let host = dir.path().join("host");
    assert_eq!(run(Command::new("cp").args(["-r", from]).arg(&host)).status, 0);
    let policy = host.join("policy/policy.33");
    let policy = ["--policy", policy.to_str().unwrap()];
    let shapes = shapes(dir.path());

    for judged in [&policy[..], &["--no-policy"]] {
        let ask = |name: &str, files: &[PathBuf]| {
            let to = dir.path().join(name);
            let _ = std::fs::remove_dir_all(&to);
            let more = ["--format", "json", "-o", to.to_str().unwrap()];
            let report: Value = serde_json::from_str(&learn(files, &[judged, &more].concat())).unwrap();
            assert_eq!(report["lines"]["set_aside"], 0, "{name}");
            (told(&report), to)
        };
        let (_, raw) = shapes.last().unwrap();
        let (expected, to) = ask("raw-te", raw);
        assert_eq!(expected.len(), 9, "{:?}", expected.keys());
        let written = modules(&to);
        assert!(written.len() >= 5, "{:?}", written.keys());
        for te in written.keys().filter(|n| n.ends_with(".te")) {
            support::compile_te(&to.join(te));
        }
        for (name, files) in shapes.iter().filter(|(name, _)| *name != "raw") {
            let (told, to) = ask("te", files);
            assert!(told.keys().eq(expected.keys()), "{name}: {:?}", told.keys());
            for (app, expected) in &expected {
                same(expected, &told[app], &format!("{name}: {app}"));
            }
            assert_eq!(rules(&modules(&to)), rules(&written), "{name}");
        }
    }

    // What somebody reads: each question with its answer.
    let (_, rotated) = shapes.first().unwrap();
    let read = learn(rotated, &policy);
    let part = |app: &str| {
        let text = read.split("\n\n").find(|p| p.starts_with(&format!("{app} (domain)")));
        text.unwrap_or_else(|| panic!("{app}: {read}")).to_owned()
    };
    for (app, answers) in [
        (
            "httpd_t",
            &[
                "18 distinct, 27 times, 2026-11-21 06:46:05 to 06:46:40 UTC",
                "file getattr (4)",
                "/usr/sbin/nginx",
                "/var/www/html/site/index.html",
                "relabel   4 paths to httpd_sys_content_t",
                "restorecon -v /srv/www/index.html",
                "semanage port -a -t http_port_t -p tcp 31337",
                "setsebool -P httpd_can_network_connect_db on",
                "allow httpd_t redis_port_t:tcp_socket name_connect;",
            ][..],
        ),
        ("sshd_t", &["/usr/sbin/sshd", "semanage port -a -t ssh_port_t -p tcp 2222"]),
        ("svirt_t", &["rule::level", "s0:c1,c2 may not read s0:c3,c4", "/var/lib/libvirt/images/other.img"]),
        ("user_t", &["rule::constraint", "`u1 == u2` fails", "rule::bounded-transition"]),
        ("redis_t", &["/usr/bin/redis-check-rdb", "allow redis_t gatekeeper_port_t:tcp_socket name_bind;"]),
    ] {
        let text = part(app);
        for answer in answers {
            assert!(text.contains(answer), "{app}: {answer}\n{text}");
        }
    }
}
