//! `perms check` of sudoers and doas.conf as they are on hosts: each risk with its line, and what accepts it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use support::tree::Tree;

/// A host with the commands that the rules name.
fn host() -> Tree {
    let t = Tree::new();
    t.write("etc/hostname", "web1\n");
    for name in
        ["systemctl", "head", "certbot", "env", "uptime", "cat", "tee", "deploy", "python3", "bash", "app"]
    {
        t.write(&format!("usr/bin/{name}"), "x");
        t.chmod(&format!("usr/bin/{name}"), 0o755);
    }
    t
}

/// The line and code of each diagnostic.
#[track_caller]
fn found(t: &Tree, status: i32, args: &[&str]) -> Vec<(u64, String)> {
    let said = t.expect(status, &[&["--format", "json", "check"], args].concat());
    let report = support::schema::report(&said.out);
    let list = report["diagnostics"].as_array().unwrap();
    list.iter().map(|d| (d["line"].as_u64().unwrap(), d["code"].as_str().unwrap().to_owned())).collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root() || support::skip("needs root: sudoers belong to it")
}

#[test]
fn each_risk_of_sudoers_is_found_at_its_line() {
    if !is_root() {
        return;
    }
    let t = host();
    t.mkdir("srv/open");
    t.chmod("srv/open", 0o777);
    t.write("srv/open/tool", "x");
    t.write("srv/script", "#!/srv/open/tool\n");
    t.chmod("srv/script", 0o755);
    t.write("srv/sourcing", "#!/usr/bin/bash\n. /srv/open/lib.sh\n");
    t.chmod("srv/sourcing", 0o755);
    let rules: &[(&str, &[&str])] = &[
        ("root ALL=(ALL:ALL) ALL", &[]),
        ("alice ALL=(root) /usr/bin/systemctl reload nginx", &[]),
        // S1: no arguments are any arguments.
        ("alice ALL=(root) /usr/bin/uptime", &["any-arguments"]),
        ("alice ALL=(root) /usr/bin/uptime \"\"", &[]),
        ("alice ALL=(root) /usr/bin/certbot", &["hook-runner"]),
        ("alice ALL=(root) /usr/bin/certbot renew --quiet", &[]),
        ("alice ALL=(root) /usr/bin/head", &["file-reader"]),
        ("alice ALL=(root) /usr/bin/tee", &["file-writer"]),
        ("alice ALL=(root) /usr/bin/bash", &["shell"]),
        ("alice ALL=(root) /usr/bin/python3 /usr/bin/app", &[]),
        ("alice ALL=(root) /usr/bin/systemctl status nginx", &["interactive-escape"]),
        ("alice ALL=(root) /usr/bin/systemctl --no-pager status nginx", &[]),
        // S3: a wildcard takes further arguments.
        ("alice ALL=(root) /usr/bin/cat /var/log/messages*", &["file-reader", "wildcard-arguments"]),
        ("alice ALL=(root) /usr/bin/uptime \\*", &[]),
        // S6: `!` is no fence.
        ("alice ALL=(root) ALL, !/usr/bin/bash", &["negated-command"]),
        ("alice ALL=(ALL) /usr/bin/uptime \"\"", &["any-target"]),
        // S11: unknown names.
        ("nosuch ALL=(root) /usr/bin/uptime \"\"", &["unknown-name"]),
        ("alice ALL=(nosuch) /usr/bin/uptime \"\"", &["unknown-name"]),
        ("%nosuch ALL=(root) /usr/bin/uptime \"\"", &["unknown-name"]),
        ("alice ALL=(root) /usr/bin/none \"\"", &["missing-command"]),
        // S12: not only the word NOPASSWD.
        ("Defaults:alice !authenticate", &["no-authentication"]),
        ("alice ALL=(root) SETENV: /usr/bin/uptime \"\"", &["setenv"]),
        ("Defaults setenv", &["setenv"]),
        ("alice ALL=(root) /srv/open/tool \"\"", &["writable-command"]),
        ("alice ALL=(root) /srv/script \"\"", &["writable-command"]),
        ("alice ALL=(root) /srv/sourcing \"\"", &["writable-command"]),
        // S4: a regular expression must be the whole of the arguments. S5: a comma parts the rule.
        ("alice ALL=(root) /usr/bin/systemctl reload ^nginx(\\.service)?$", &["broken"]),
        ("alice ALL=(root) /usr/bin/env C,D", &["broken"]),
        // Accepted, with the reason; without one it is not.
        ("# perms: accept sudo::any-arguments: it only tells the time", &[]),
        ("alice ALL=(root) /usr/bin/uptime", &[]),
        ("# perms: accept sudo::any-arguments:", &[]),
        ("alice ALL=(root) /usr/bin/uptime", &["any-arguments"]),
    ];
    let text: String = rules.iter().map(|(line, _)| format!("{line}\n")).collect();
    t.write("etc/sudoers", &text);
    t.chmod("etc/sudoers", 0o440);
    let expected: Vec<(u64, String)> = rules
        .iter()
        .zip(1..)
        .flat_map(|((_, codes), n)| codes.iter().map(move |c| (n, format!("sudo::{c}"))))
        .collect();
    let mut all = found(&t, 1, &["/etc/sudoers"]);
    all.sort();
    all.dedup();
    assert_eq!(all, expected);
    // And mistakes alone, for an editor's or a pipeline's question whether sudo takes it.
    let mistakes: Vec<_> = expected.into_iter().filter(|(_, code)| code == "sudo::broken").collect();
    assert_eq!(found(&t, 1, &["--no-risks", "/etc/sudoers"]), mistakes);
}

#[test]
fn a_fresh_debian_has_nothing_to_say() {
    if !is_root() {
        return;
    }
    let t = host();
    t.write(
        "etc/sudoers",
        "Defaults\tenv_reset\nDefaults\tmail_badpass\n\
         Defaults\tsecure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\nDefaults\tuse_pty\n\
         root\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
    );
    t.chmod("etc/sudoers", 0o440);
    assert!(found(&t, 0, &["/etc/sudoers"]).is_empty());
    let said = t.expect(0, &["check", "/etc/sudoers"]);
    assert_eq!(said.out, "1 file is valid.\n");
    // S8: a name with a dot is passed over, by visudo -c too.
    t.write("etc/sudoers.d/old.rules", "alice ALL=ALL\n");
    assert_eq!(found(&t, 0, &["/etc/sudoers"]), [(1, "sudo::ignored-fragment".to_owned())]);
}

#[test]
fn what_sudo_rs_leaves_out_is_said() {
    if !is_root() {
        return;
    }
    let t = host();
    // S14.
    let rules = [
        ("alice ALL=(root) /usr/bin/systemctl reload nginx", false),
        ("alice ALL=(root) /usr/bin/uptime \"\"", false),
        ("alice ALL=(root) CWD=/tmp NOEXEC: /usr/bin/uptime \"\"", false),
        ("alice ALL=(root) /usr/bin/systemctl ^reload nginx$", true),
        (
            "alice ALL=(root) sha224:d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f /usr/bin/uptime \"\"",
            true,
        ),
        ("alice ALL=(root) TIMEOUT=1h /usr/bin/uptime \"\"", true),
        ("alice ALL=(root) LOG_INPUT: /usr/bin/uptime \"\"", true),
        ("+net ALL=(root) /usr/bin/uptime \"\"", true),
        ("alice 10.0.0.1=(root) /usr/bin/uptime \"\"", true),
        ("alice ALL=(root) /usr/bin/uptime a* b", true),
        ("Defaults requiretty, env_reset", true),
        ("Defaults logfile=/var/log/sudo.log", true),
        ("Defaults use_pty, secure_path=/usr/bin", false),
    ];
    let text: String = rules.iter().map(|(line, _)| format!("{line}\n")).collect();
    t.write("etc/sudoers", &text);
    t.chmod("etc/sudoers", 0o440);
    let lines = |args: &[&str]| -> Vec<u64> {
        let all = found(&t, 0, args);
        all.into_iter().filter(|(_, code)| code == "sudo::sudo-rs").map(|(line, _)| line).collect()
    };
    let expected: Vec<u64> = rules.iter().zip(1..).filter(|((_, out), _)| *out).map(|(_, n)| n).collect();
    assert_eq!(lines(&["--sudo", "sudo-rs", "/etc/sudoers"]), expected);
    assert!(lines(&["--sudo", "classic", "/etc/sudoers"]).is_empty());
    // The dialect of the host is found.
    t.write("usr/bin/sudo", "/x/sudo-rs-0.2.15/src/lib.rs: a program");
    assert_eq!(lines(&["/etc/sudoers"]), expected);
    assert_eq!(lines(&["--no-risks", "--sudo", "sudo-rs", "/etc/sudoers"]), expected);
    // And it decides by it.
    let run = |args: &[&str], status| t.expect(status, &[&["can", "alice", "run"], args].concat());
    run(&["--sudo", "classic", "--", "/usr/bin/systemctl", "reload nginx"], 0);
    run(&["--", "/usr/bin/systemctl", "reload nginx"], 4);
    assert!(run(&["--", "/usr/bin/systemctl", "reload", "nginx"], 0).out.contains("by sudo-rs"));
}

#[test]
fn s15_a_version_with_holes_is_told_where_a_rule_opens_them() {
    if !is_root() {
        return;
    }
    let t = host();
    let program =
        |version: &str| t.write("usr/bin/sudo", &format!("x\0{version}\0and a tail of some length"));
    t.write(
        "etc/sudoers",
        "alice db1=(root) /usr/bin/uptime \"\"\nalice ALL=(ALL, !root) /usr/bin/uptime \"\"\nalice ALL=(root) sudoedit /etc/motd\n",
    );
    t.chmod("etc/sudoers", 0o440);
    let holes = || {
        let said = t.expect(0, &["check", "/etc/sudoers"]);
        let mut all: Vec<String> = said
            .out
            .split_whitespace()
            .filter(|w| w.starts_with("CVE-"))
            .map(|w| w.trim_end_matches(',').to_owned())
            .collect();
        all.sort();
        all.dedup();
        all
    };
    program("1.8.27");
    assert_eq!(holes(), ["CVE-2019-14287", "CVE-2021-3156", "CVE-2023-22809", "CVE-2025-32462"]);
    program("1.9.16");
    assert_eq!(holes(), ["CVE-2025-32462", "CVE-2025-32463"]);
    program("1.9.17p1");
    assert!(holes().is_empty());
}

#[test]
fn each_risk_of_doas_is_found_at_its_line() {
    if !is_root() {
        return;
    }
    let t = host();
    let rules: &[(&str, &[&str])] = &[
        ("permit nopass alice as root cmd /usr/bin/systemctl args reload nginx", &[]),
        ("permit alice as root cmd systemctl args reload nginx", &["doas::relative-command"]),
        ("permit alice as root cmd /usr/bin/uptime", &["doas::any-arguments"]),
        ("permit alice as root cmd /usr/bin/uptime args", &[]),
        ("permit alice cmd /usr/bin/uptime args x", &["doas::any-target"]),
        ("permit keepenv alice as root cmd /usr/bin/app args", &["doas::keepenv"]),
        ("permit alice as root cmd /usr/bin/bash", &["sudo::shell"]),
        ("permit nosuch as root cmd /usr/bin/uptime args y", &["doas::unknown-name"]),
        ("permit :sudo as root", &["doas::any-command"]),
        ("permit persist alice as root cmd /usr/bin/env args x", &[]),
        ("permit alice as root cmd /usr/bin/env args x", &["doas::lost-options"]),
        ("deny alice cmd /usr/bin/su", &["doas::denied-command"]),
        ("permit root", &[]),
        ("# perms: accept doas::any-arguments: it only tells the time", &[]),
        ("permit alice as root cmd /usr/bin/uptime", &[]),
    ];
    let text: String = rules.iter().map(|(line, _)| format!("{line}\n")).collect();
    t.write("etc/doas.conf", &text);
    let expected: Vec<(u64, String)> = rules
        .iter()
        .zip(1..)
        .flat_map(|((_, codes), n)| codes.iter().map(move |c| (n, (*c).to_owned())))
        .collect();
    assert_eq!(found(&t, 0, &["/etc/doas.conf"]), expected);
    t.write("etc/doas.conf", "permit alice\npermit nopass persist alice\n");
    let all = found(&t, 1, &["/etc/doas.conf", "/etc/sudoers"]);
    assert!(all.iter().any(|(line, code)| (*line, code.as_str()) == (2, "doas::broken")), "{all:?}");
}
