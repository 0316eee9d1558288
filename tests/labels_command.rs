//! `perms label` as a user runs it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A tree with a policy of its own.
struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new() -> Tree {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree { dir };
        tree.write("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=mine\n");
        let contexts = tree.path("etc/selinux/mine/contexts/files");
        fs::create_dir_all(&contexts).unwrap();
        for entry in fs::read_dir("tests/labels/traps/contexts").unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), contexts.join(entry.file_name())).unwrap();
        }
        tree.write("etc/selinux/mine/contexts/customizable_types", "public_t\n");
        // As much of a library as tells its version.
        tree.write("usr/lib64/libselinux.so.1", "\x7fELF\0LIBSELINUX_1.0\0LIBSELINUX_3.8\0LIBSELINUX_3.9\0");
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Sets a label; `false` where this needs root, or another file system.
    fn label(&self, path: &str, context: &str) -> bool {
        match xattr::set(self.path(path), "security.selinux", context.as_bytes()) {
            Ok(()) => true,
            Err(e) => support::skip(&format!("needs to set labels: {e}")),
        }
    }

    fn perms(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perms"));
        command.arg("--root").arg(self.dir.path()).arg("label").args(args);
        command
    }

    fn run(&self, args: &[&str]) -> (String, i32) {
        let out = self.perms(args).output().unwrap();
        (shown(&out), out.status.code().unwrap())
    }

    fn pipe(&self, args: &[&str], input: &[u8]) -> Output {
        pipe(self.perms(args), input)
    }
}

fn pipe(mut command: Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may stop reading where the input is bad.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn shown(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn a_file_is_shown_with_what_decided() {
    let tree = Tree::new();
    tree.write("srv/app/static/x", "");
    if !tree.label("srv/app/static/x", "system_u:object_r:user_home_t:s0") {
        return;
    }
    let (text, status) = tree.run(&["/srv/app/static/x"]);
    assert_eq!(status, 4, "{text}");
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    assert_eq!(lines[0], "/srv/app/static/x  (file)");
    assert_eq!(lines[1], "expected  system_u:object_r:local_static_t:s0");
    assert_eq!(lines[2], "on disk   system_u:object_r:user_home_t:s0  (wrong type)");
    assert_eq!(
        lines[3],
        "decided   /etc/selinux/mine/contexts/files/file_contexts.local:5  /srv/app/static/.*  \
         system_u:object_r:local_static_t:s0"
    );
    assert!(
        lines[4].starts_with("matched   /etc/selinux/mine/contexts/files/file_contexts.local:6"),
        "{text}"
    );

    let (text, status) = tree.run(&["--format", "json", "/srv/app/static/x"]);
    assert_eq!(status, 4);
    let json = support::schema::report(&text);
    let file = &json["files"][0];
    assert_eq!(file["comparison"], "wrong");
    assert_eq!(file["decided_by"]["line"], 5);
    assert_eq!(json["counts"]["wrong"], 1);
    assert_eq!(json["rules"], "libselinux since 3.9");
}

#[test]
fn types_decide_unless_whole_contexts_are_asked_for() {
    let tree = Tree::new();
    for (path, context) in [
        ("srv/app/a", "system_u:object_r:app_t:s0"),
        ("srv/app/b", "unconfined_u:object_r:app_t:s0"),
        ("srv/app/c", "system_u:object_r:public_t:s0"),
    ] {
        tree.write(path, "");
        if !tree.label(path, context) {
            return;
        }
    }
    assert_eq!(tree.run(&["/srv/app/a"]).1, 0);
    assert_eq!(tree.run(&["/srv/app/b"]).1, 0);
    assert_eq!(tree.run(&["/srv/app/c"]).1, 0);
    assert_eq!(tree.run(&["--full", "/srv/app/b"]).1, 4);
    assert_eq!(tree.run(&["--full", "/srv/app/c"]).1, 4);
    tree.label("srv/app", "system_u:object_r:local_srv_dir_t:s0");
    let (text, status) = tree.run(&["-R", "/srv/app"]);
    assert_eq!(status, 0, "{text}");
    assert_eq!(
        text,
        "4 files; 1 differ in user, role or level only; 1 of a type chosen by an administrator\n"
    );
    tree.write("srv/app/new", "");
    let (text, status) = tree.run(&["-R", "/srv/app"]);
    assert_eq!(status, 4);
    assert!(
        text.starts_with("/srv/app/new\tnone\t-> system_u:object_r:app_t:s0\n5 files; 1 without a label"),
        "{text}"
    );
}

/// setfiles -n is asked what it would change, on a tree whose labels are wrong in many ways.
#[test]
fn what_is_wrong_in_a_tree_is_what_setfiles_would_change() {
    let Some(setfiles) = support::have("setfiles").then(|| support::which("setfiles").unwrap()) else {
        return;
    };
    let tree = Tree::new();
    let contexts = tree.path("etc/selinux/mine/contexts/files/file_contexts");
    fs::remove_dir_all(contexts.parent().unwrap()).unwrap();
    // setfiles refuses the others: it wants no pattern twice.
    tree.write(
        "etc/selinux/mine/contexts/files/file_contexts",
        "/.* system_u:object_r:default_t:s0\n/srv/app(/.*)? system_u:object_r:app_t:s0\n\
         /srv/app/.*\\.py -- system_u:object_r:app_exec_t:s0\n/srv/app/log(/.*)? <<none>>\n\
         /srv/app/data/f1.* -- system_u:object_r:data_t:s0\n",
    );
    let labels =
        ["system_u:object_r:app_t:s0", "system_u:object_r:data_t:s0", "user_u:object_r:app_t:s0", "-"];
    for i in 0..60 {
        let path =
            format!("srv/app/{}/f{i}{}", ["data", "log", "static", "x"][i % 4], [".py", "", ".so"][i % 3]);
        tree.write(&path, "");
        if labels[i / 4 % 4] != "-" && !tree.label(&path, labels[i / 4 % 4]) {
            return;
        }
    }
    let out = Command::new(setfiles)
        .args(["-n", "-v", "-r"])
        .arg(tree.dir.path())
        .arg(&contexts)
        .arg(tree.path("srv"))
        .output()
        .unwrap();
    let text = shown(&out);
    let prefix = tree.dir.path().to_str().unwrap();
    let mut theirs: Vec<String> = text
        .lines()
        .filter_map(|l| l.strip_prefix("Would relabel "))
        .map(|l| l.split(" from ").next().unwrap().strip_prefix(prefix).unwrap().to_owned())
        .collect();
    assert!(theirs.len() > 30, "{text}");
    // setfiles looks by the rules of the library that it is linked with.
    let library = ["/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"]
        .iter()
        .map(|d| Path::new(d).join("libselinux.so.1"));
    fs::copy(library.into_iter().find(|p| p.exists()).unwrap(), tree.path("usr/lib64/libselinux.so.1"))
        .unwrap();
    let (text, _) = tree.run(&["-R", "/srv"]);
    let mut ours: Vec<String> = text
        .lines()
        .filter(|l| l.contains("\t-> "))
        .map(|l| l.split('\t').next().unwrap().to_owned())
        .collect();
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs);
    let Some(matchpathcon) = support::have("matchpathcon").then(|| support::which("matchpathcon").unwrap())
    else {
        return;
    };
    let asked = Command::new(matchpathcon)
        .arg("-f")
        .arg(&contexts)
        .args(["-m", "file"])
        .args(ours.iter().filter(|p| tree.path(&p[1..]).is_file()))
        .output()
        .unwrap();
    let expected: Vec<(String, String)> = text
        .lines()
        .filter(|l| l.contains("\t-> "))
        .map(|l| (l.split('\t').next().unwrap().to_owned(), l.split("-> ").nth(1).unwrap().to_owned()))
        .filter(|(path, _)| tree.path(&path[1..]).is_file())
        .collect();
    let theirs = String::from_utf8(asked.stdout).unwrap();
    let theirs: Vec<(String, String)> = theirs
        .lines()
        .map(|l| l.split_once('\t').unwrap())
        .map(|(p, c)| (p.to_owned(), c.to_owned()))
        .collect();
    let sorted = |mut list: Vec<(String, String)>| {
        list.sort();
        list
    };
    assert_eq!(sorted(expected), sorted(theirs));
}

/// A specification without metacharacters decides before a declared pattern, wherever it stands: that is said, with what to
/// declare, and what was declared so is in accordance.
#[test]
fn a_literal_of_the_policy_that_decides_before_the_declared_pattern_is_told() {
    let tree = Tree::new();
    fs::remove_dir_all(tree.path("etc/selinux/mine/contexts/files")).unwrap();
    tree.write(
        "etc/selinux/mine/contexts/files/file_contexts",
        "/srv/shop/special -- system_u:object_r:special_t:s0\n/.* system_u:object_r:default_t:s0\n",
    );
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nshop:x:990:990::/:/usr/sbin/nologin\n");
    tree.write("etc/group", "root:x:0:\nshop:x:990:\n");
    let rule = |paths: &str, more: &str| {
        format!("[[selinux.label]]\npaths = \"{paths}\"\n{more}type = \"shop_t\"\n")
    };
    let declared = format!("[app]\nname = \"shop\"\nuser = \"shop\"\n{}", rule("/srv/shop(/.*)?", ""));
    tree.write("etc/perms.d/shop.toml", &declared);
    for (path, ty) in
        [("srv/shop/other", "shop_t"), ("srv/shop/special", "special_t"), ("srv/shop", "shop_t")]
    {
        if path != "srv/shop" {
            tree.write(path, "");
        }
        if !tree.label(path, &format!("system_u:object_r:{ty}:s0")) {
            return;
        }
    }
    let audit = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perms"));
        let out =
            command.arg("--root").arg(tree.dir.path()).args(["--format", "plain", "audit"]).output().unwrap();
        shown(&out)
    };
    let text = audit();
    assert!(text.contains("label::outranked"), "{text}");
    assert!(text.contains("file_contexts:1") && text.contains("paths = \"/srv/shop/special\""), "{text}");
    assert!(!text.contains("label::wrong"), "{text}");

    let files = "files = \"file\"\n";
    tree.write("etc/perms.d/shop.toml", &format!("{declared}{}", rule("/srv/shop/special", files)));
    let text = audit();
    assert!(!text.contains("label::outranked") && text.contains("label::wrong"), "{text}");
    tree.label("srv/shop/special", "system_u:object_r:shop_t:s0");
    let text = audit();
    assert!(!text.contains("label::outranked") && !text.contains("label::wrong"), "{text}");
}

#[test]
fn paths_on_standard_input_need_not_exist() {
    let tree = Tree::new();
    let out = tree.pipe(
        &["--stdin", "--kind", "file"],
        b"/srv/app/m.py\n/srv/app/static/secret\n/srv/app/a\\b\n/srv/app/caf\xe9.py\n\nrelative",
    );
    assert_eq!(
        shown(&out),
        "/srv/app/m.py\tsystem_u:object_r:app_exec_t:s0\n/srv/app/static/secret\t<<none>>\n\
         /srv/app/a\\\\b\tsystem_u:object_r:app_t:s0\n/srv/app/caf\\xe9.py\tsystem_u:object_r:app_exec_t:s0\n\
         \t<<none>>\nrelative\t<<none>>\n"
    );
    assert_eq!(out.status.code(), Some(0));
    let out = tree.pipe(&["--stdin", "-0", "--kind", "dir"], b"/srv/a\nb\0/srv/app/exact\0");
    assert_eq!(
        out.stdout,
        b"/srv/a\nb\tsystem_u:object_r:local_srv_dir_t:s0\0/srv/app/exact\tsystem_u:object_r:exact_dir_t:s0\0"
    );
    let out = tree.pipe(&["--stdin"], &b"x".repeat(1 << 17));
    assert_eq!(out.status.code(), Some(1));
    assert!(shown(&out).contains("longer than 65536 bytes"), "{}", shown(&out));
}

#[test]
fn the_rules_are_those_of_the_version_found_or_asked_for() {
    let tree = Tree::new();
    let ask = |args: &[&str]| shown(&tree.pipe(&[&["--stdin"], args].concat(), b"/srv/app/exact\n"));
    assert!(ask(&[]).ends_with("exact_t:s0\n"));
    assert!(ask(&["--precedence", "3.4"]).ends_with("exact_dir_t:s0\n"));
    tree.write("usr/lib64/libselinux.so.1", "\x7fELF\0LIBSELINUX_1.0\0");
    assert!(ask(&[]).ends_with("exact_dir_t:s0\n"));
    fs::remove_file(tree.path("usr/lib64/libselinux.so.1")).unwrap();
    let (text, status) = tree.run(&["/etc"]);
    assert!(text.contains("note: no libselinux was found beneath the root"), "{text}");
    assert_eq!(status, 4, "{text}");
}

#[test]
fn other_specifications_can_be_named_and_templates_in_them_are_expanded() {
    let tree = Tree::new();
    let file = tree.path("mine.fc");
    let text =
        "/srv/(?!x)y u:r:look_t:s0\nHOME_DIR/\\.ssh(/.*)? u:r:ssh_t:s0\n/run/%{USERID}/x -- <<none>>\nbad\n";
    fs::write(&file, text).unwrap();
    let out = tree.pipe(
        &["--stdin", "--contexts", file.to_str().unwrap()],
        b"/home/anna/.ssh/key\n/run/1000/x\n/srv/y\n/etc\n",
    );
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "/home/anna/.ssh/key\tu:r:ssh_t:s0\n/run/1000/x\t<<none>>\n/srv/y\t<<unknown>>\n/etc\t<<none>>\n"
    );
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(errors.contains("mine.fc:1: `/srv/(?!x)y`: look-ahead at byte 6"), "{errors}");
    assert!(errors.contains("mine.fc:4: expected a pattern"), "{errors}");
    assert!(errors.contains("libselinux refuses a file with such a line whole"), "{errors}");
    assert_eq!(out.status.code(), Some(16));
}

#[test]
fn what_cannot_be_answered_is_said() {
    let tree = Tree::new();
    let (text, status) = tree.run(&["/srv/app/none"]);
    assert_eq!(status, 16);
    assert!(text.contains("expected  system_u:object_r:local_srv_dir_t:s0"), "{text}");
    assert!(text.contains("`/srv` does not exist  (not compared)"), "{text}");
    fs::write(tree.path("etc/selinux/config"), "").unwrap();
    let (text, status) = tree.run(&["/srv"]);
    assert_eq!(status, 1);
    assert!(text.contains("names no policy"), "{text}");
}
