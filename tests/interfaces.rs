//! `perms learn --interfaces`: the headers of the reference policy as the host has them, m4 as oracle for what they expand
//! to, and modules through the headers' own Makefile.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Parser as _;
use perms::cli::learn as learn_command;
use perms::selinux::interfaces::{DOMAIN, HeaderFile, Headers, statements};
use support::commands::Learn;

const FOLDER: &str = "/usr/share/selinux/devel/include";
const POLICY: &str = "/etc/selinux/default/policy/policy.33";

fn headers_are_there() -> bool {
    Path::new(FOLDER).is_dir() || support::skip("needs the policy's headers (selinux-policy-dev)")
}

fn policy_is_there() -> bool {
    Path::new(POLICY).exists() || support::skip("needs a policy (selinux-policy-default)")
}

/// The headers' files.
fn files() -> Vec<HeaderFile> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(FOLDER) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(FOLDER).unwrap().to_str().unwrap().to_owned();
        if path.ends_with(".if") || path.ends_with(".spt") || path == "build.conf" {
            files.push(HeaderFile { path, text: std::fs::read(entry.path()).unwrap() });
        }
    }
    files
}

/// What m4 itself makes of the calls, as the headers' Makefile runs it: name → text.
fn by_m4(names: &[&str]) -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut calls = String::new();
    for name in names {
        calls.push_str(&format!("\n@@@ `{name}'\n{name}({DOMAIN})\n"));
    }
    let calls_file = dir.path().join("calls");
    std::fs::write(&calls_file, calls).unwrap();
    let sorted = |pattern: &str| -> Vec<String> {
        let mut all: Vec<String> = walkdir::WalkDir::new(FOLDER)
            .into_iter()
            .map(|e| e.unwrap().path().display().to_string())
            .filter(|p| p.ends_with(pattern))
            .collect();
        all.sort();
        all
    };
    // As the Makefile does: first the interfaces are made definitions, then these are read with the calls.
    let m4 = |files: &[String], options: &[&str]| {
        let out = Command::new("m4").args(options).args(files).stderr(Stdio::null()).output().unwrap();
        assert!(out.status.success());
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let support: Vec<String> = sorted(".spt").into_iter().filter(|p| !p.ends_with("divert.m4")).collect();
    let definitions = m4(&[support.clone(), sorted(".if")].concat(), &[]).replace("dollarsstar", "$*");
    let definitions_file = dir.path().join("definitions");
    std::fs::write(&definitions_file, format!("divert(-1)\n{definitions}\ndivert\n")).unwrap();
    let conf = std::fs::read_to_string(format!("{FOLDER}/build.conf")).unwrap();
    let mut options: Vec<&str> =
        vec!["-D", "mls_num_sens=16", "-D", "mls_num_cats=1024", "-D", "mcs_num_cats=1024"];
    for (line, option) in [
        ("TYPE ?= mcs", "enable_mcs"),
        ("DISTRO ?= debian", "distro_debian"),
        ("SYSTEMD ?= y", "init_systemd"),
        ("DIRECT_INITRC ?= y", "direct_sysadm_daemon"),
        ("override UBAC := y", "enable_ubac"),
    ] {
        if conf.contains(line) {
            options.extend(["-D", option]);
        }
    }
    let last = [definitions_file, calls_file].map(|p| p.display().to_string());
    let text = m4(&[support, last.to_vec()].concat(), &options);
    let mut all = BTreeMap::new();
    for part in text.split("@@@ ").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap();
        all.insert(name.to_owned(), rest.to_owned());
    }
    all
}

#[test]
fn every_interface_expands_to_what_m4_makes_of_it() {
    if !headers_are_there() || !support::have("m4") {
        return;
    }
    let headers = Headers::new(FOLDER.to_owned(), files(), Vec::new());
    assert!(headers.unread.is_empty(), "{:?}", headers.unread);
    assert!(headers.interfaces > 5000 && headers.usable.len() > 4000, "{}", headers.usable.len());
    // Those that cannot be used call what no header defines, or are meant for other places.
    assert!(headers.flawed.len() * 50 < headers.interfaces, "{:#?}", headers.flawed);
    let names: Vec<&str> = headers.usable.iter().map(|i| i.name.as_str()).collect();
    let theirs = by_m4(&names);
    let mut wrong = Vec::new();
    for interface in &headers.usable {
        let theirs = statements::parse(theirs[&interface.name].as_bytes());
        if theirs.as_ref() != Ok(&interface.statements) {
            wrong.push(format!("{}: ours {:#?}\nm4's {theirs:#?}", interface.name, interface.statements));
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {}", wrong.len(), names.len(), wrong[0]);
}

fn learn(arguments: &[&str], log: &str) -> (String, String, u8) {
    let args = Learn::try_parse_from(["learn", "--policy", POLICY].iter().chain(arguments)).unwrap().args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdin: Box<dyn Read + Send> = Box::new(Cursor::new(log.to_owned()));
    let status = learn_command::run(&args, &[], Some(stdin), &mut out, &mut err).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
}

fn record(serial: usize, source: &str, target: &str, class: &str, permissions: &str) -> String {
    format!(
        "type=AVC msg=audit(1795243565.012:{serial}): avc:  denied  {{ {permissions} }} for  pid=7 comm=\"a\" \
         scontext=system_u:system_r:{source}:s0 tcontext=system_u:object_r:{target}:s0 tclass={class} permissive=0\n"
    )
}

#[test]
fn interfaces_stand_for_rules_and_the_module_builds_with_the_makefile() {
    if !headers_are_there() || !policy_is_there() {
        return;
    }
    let log = [
        record(1, "dmesg_t", "httpd_sys_content_t", "file", "open read"),
        record(2, "dmesg_t", "httpd_sys_content_t", "dir", "search"),
        record(3, "dmesg_t", "smtp_port_t", "tcp_socket", "name_connect"),
        record(4, "dmesg_t", "shadow_t", "file", "read"),
        record(5, "dmesg_t", "httpd_t", "unix_stream_socket", "connectto"),
    ]
    .concat();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let (said, err, status) = learn(&["--interfaces", "--prove", "-o", folder, "-"], &log);
    assert_eq!(status, 0, "{said}{err}");
    assert!(!err.contains("error") && !err.contains("warning"), "{err}");
    let te = std::fs::read_to_string(dir.path().join("dmesg_t.te")).unwrap();
    for call in ["apache_read_sys_content(dmesg_t)", "corenet_tcp_connect_smtp_port(dmesg_t)"] {
        assert!(te.contains(call), "{call}\n{te}\n{said}");
    }
    // What is dangerous is seen as a rule.
    assert!(te.contains("allow dmesg_t shadow_t:file read;"), "{te}");
    assert!(!te.contains("httpd_sys_content_t:file"), "{te}");
    assert!(said.contains("5 of 5 distinct denials"), "{said}");
    let all = te.lines().filter(|l| l.ends_with("(dmesg_t)")).count();
    let noun = if all == 1 { "interface" } else { "interfaces" };
    assert!(said.contains(&format!("and without {all} of {all} {noun}")), "{said}");
    let built = Command::new("make")
        .args(["-f", "/usr/share/selinux/devel/Makefile", "dmesg_t.pp"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(
        built.status.success() && dir.path().join("dmesg_t.pp").exists(),
        "{}\n{}\n{te}",
        String::from_utf8_lossy(&built.stdout),
        String::from_utf8_lossy(&built.stderr)
    );
}

#[test]
fn the_bound_refuses_what_opens_much_more() {
    if !policy_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put(
        "support/macros.spt",
        "define(`read_perms',`{ getattr open read }')\ndefine(`gen_require',`require { $1 }')\n",
    );
    put(
        "kernel/files.if",
        "## <summary>All.</summary>\ninterface(`files_read_everything',`\n\tgen_require(`attribute file_type;')\n\
         \tallow $1 file_type:file read_perms;\n')\n\
         interface(`files_write_too',`\n\tgen_require(`type httpd_sys_content_t;')\n\tallow $1 httpd_sys_content_t:file { read write };\n')\n\
         interface(`files_becomes',`\n\tgen_require(`type httpd_sys_content_t; attribute domain;')\n\ttypeattribute $1 domain;\n\tallow $1 httpd_sys_content_t:file read;\n')\n\
         interface(`files_sometimes',`\n\tif (a) { allow $1 httpd_sys_content_t:file read; }\n')\n\
         interface(`files_needs_more',`\n\tgen_require(`type nobody_has_this_t;')\n\tallow $1 httpd_sys_content_t:file read;\n')\n",
    );
    let log = record(1, "dmesg_t", "httpd_sys_content_t", "file", "read");
    let option = format!("--interfaces={}", dir.path().display());
    let (said, err, status) = learn(&[&option, "-"], &log);
    assert!(status == 0 && err.is_empty(), "{err}");
    assert!(said.contains("allow dmesg_t httpd_sys_content_t:file read;"), "{said}");
    assert!(said.contains("not files_read_everything(dmesg_t): it would open"), "{said}");
    assert!(said.contains("not files_write_too(dmesg_t): it would open 1 other access for 1 needed, and let files be changed"), "{said}");
    for never in ["files_becomes", "files_sometimes", "files_needs_more"] {
        assert!(!said.contains(never), "{said}");
    }
    // The narrow one among them is taken.
    put(
        "kernel/more.if",
        "interface(`files_just_this',`\n\toptional {\n\tgen_require(`type nobody_has_this_t;')\n\tallow $1 self:process execmem;\n\t}\n\
         \tallow $1 httpd_sys_content_t:file read_perms;\n')\n",
    );
    let (said, _, _) = learn(&[&option, "-"], &log);
    assert!(said.contains("files_just_this(dmesg_t)  (opens 2 other accesses)"), "{said}");
    assert!(!said.contains("allow dmesg_t"), "{said}");
}

#[test]
fn headers_that_cannot_be_read_are_told_and_rules_are_written() {
    if !policy_is_there() {
        return;
    }
    let log = record(1, "dmesg_t", "httpd_sys_content_t", "file", "read");
    let (said, err, status) = learn(&["--interfaces=/nonexistent", "-"], &log);
    assert!(status == 0 && err.contains("warning: no interfaces: /nonexistent"), "{err}");
    assert!(said.contains("allow dmesg_t httpd_sys_content_t:file read;"), "{said}");
    // Hostile ones: that never end, that grow, that are no text.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("support")).unwrap();
    std::fs::create_dir(dir.path().join("kernel")).unwrap();
    let knots: [&[u8]; 6] = [
        b"define(`x',`x x')x",
        b"define(`y',`y(y(y))')y",
        b"interface(`a',`a($1)')interface(`b',`allow $1 ~{ $1 }:file *;')",
        b"interface(`c',`allow $1",
        b"\xff\xfe`((((\x00''''''",
        b"interface(`\x1b[2J',`allow $1 etc_t:file read;')interface(`d',`\xff $1')",
    ];
    for (i, text) in knots.iter().enumerate() {
        std::fs::write(dir.path().join(format!("support/{i}.spt")), text).unwrap();
        std::fs::write(dir.path().join(format!("kernel/{i}.if")), text).unwrap();
    }
    let (said, err, status) = learn(&[&format!("--interfaces={}", dir.path().display()), "-"], &log);
    assert!(status == 0 && !err.contains('\u{1b}') && err.contains("warning"), "{err}");
    assert!(said.contains("allow dmesg_t httpd_sys_content_t:file read;"), "{said}");
}

/// Headers with bytes changed, cut and doubled: answered, in bounded time, whatever they say.
#[test]
fn mutated_headers_are_answered() {
    if !headers_are_there() {
        return;
    }
    let mut random = support::policy::Random::new();
    let all = files();
    let support: Vec<&HeaderFile> = all.iter().filter(|f| f.path.ends_with(".spt")).collect();
    let small: Vec<&HeaderFile> =
        all.iter().filter(|f| f.path.ends_with(".if") && f.text.len() < 4000).collect();
    let cases = std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    for _ in 0..cases {
        let mut files: Vec<HeaderFile> = support.iter().map(|f| (*f).clone()).collect();
        files.push((*random.pick(&small)).clone());
        for _ in 0..1 + random.below(4) {
            let at = random.below(files.len());
            let text = &mut files[at].text;
            let place = random.below(text.len().max(1));
            match random.below(4) {
                0 => text.truncate(place),
                1 => text.insert(place.min(text.len()), b"`'(),$#{}"[random.below(9)]),
                2 => {
                    let part = text[place.min(text.len())..].to_vec();
                    text.extend(part);
                }
                _ => {
                    if let Some(byte) = text.get_mut(place) {
                        *byte = u8::try_from(random.below(256)).unwrap();
                    }
                }
            }
        }
        let headers = Headers::new("x".to_owned(), files, Vec::new());
        assert!(headers.usable.len() + headers.flawed.len() <= headers.interfaces);
    }
}
