//! The sessions in README.md, run: what they show is what `perms` says.
//!
//! `# COMMAND` lines of the console blocks are run one after the other, as root, on a small host in a folder whose paths are
//! put in the place of the host's; what follows is the output, with names of runs made equal. `WRITE_GOLDEN=1` writes
//! what came out into README.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::path::Path;
use std::process::Command;

use support::tree::{Tree, run};

/// Runs one command line on the tree and gives what it printed, as it would look on a host.
fn session(t: &Tree, command: &str) -> String {
    let root = t.root().display().to_string();
    let script = command.replace(" /etc/", &format!(" {root}/etc/"));
    let script = format!("perms() {{ {} --root {root} \"$@\"; }}\n{script}", env!("CARGO_BIN_EXE_perms"));
    let said = run(Command::new("sh").args(["-c", &script]).current_dir(t.at("root")));
    let text = format!("{}{}", said.out, said.err).replace(&root, "");
    let run_name = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-[0-9a-f]{4}").unwrap();
    let digits = regex::Regex::new(r"rollback [0-9a-f]{4}\b").unwrap();
    let text = run_name.replace_all(&text, "2026-11-21T10:04:11-7f3a");
    digits.replace_all(&text, "rollback 7f3a").into_owned()
}

/// The command on a line of a session, if it is one: output may begin with the same sign.
fn command(line: &str) -> Option<&str> {
    let command = line.strip_prefix("# ")?;
    ["perms", "echo", "chmod", "cat"].contains(&command.split(' ').next()?).then_some(command)
}

fn block(lines: &mut std::iter::Peekable<std::str::Lines<'_>>) -> String {
    let mut text = String::new();
    while let Some(line) = lines.next_if(|l| *l != "```") {
        text.push_str(line);
        text.push('\n');
    }
    lines.next();
    text
}

#[test]
fn the_sessions_in_the_readme_are_true() {
    if !rustix::process::geteuid().is_root() {
        support::skip("needs root");
        return;
    }
    if !support::have("visudo") {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let t = Tree::new();
    std::fs::remove_dir_all(t.at("etc/nginx/conf.d")).unwrap();
    t.write("etc/nginx/conf.d/shop.conf", "server {}\n");
    t.write("etc/nginx/conf.d/default.conf", "server {}\n");
    t.write("root/audit.log", include_str!("../audit-samples/wsgi-host-prefix/log"));
    let mut lines = readme.lines().peekable();
    let mut now = String::new();
    while let Some(line) = lines.next() {
        now.push_str(line);
        now.push('\n');
        if line == "```toml" {
            let manifest = block(&mut lines);
            t.manifest("durhack-deployer", &manifest);
            now.push_str(&manifest);
            now.push_str("```\n");
        } else if line == "```console" {
            let session_text = block(&mut lines);
            for command in session_text.lines().filter_map(command) {
                now.push_str(&format!("# {command}\n{}", session(&t, command)));
            }
            now.push_str("```\n");
        }
    }
    support::golden(&path, &now);
}
