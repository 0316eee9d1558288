//! What users of sudo get wrong, each seen in sudo itself and decided likewise by us.

use std::os::unix::fs::PermissionsExt as _;

use perms::grants::sudoers::ast::Setenv;
use perms::grants::sudoers::{
    Behaviour, IgnoredReason, MatchedUser, Password, ProblemKind, Question, Target, check, decide,
    full_root_identities, rules_for,
};

use crate::harness::{Real, Sudo, dep, host, root};

/// Sets a policy for dep, and asks us and sudo the same.
struct Case {
    sudo: Sudo,
}

impl Case {
    fn new() -> Option<Case> {
        Some(Case { sudo: Sudo::new()? })
    }

    fn policy(&mut self, rule: &str) {
        self.sudo.policy(format!("root ALL=(ALL:ALL) ALL\n{rule}\n"));
    }

    /// Whether dep may run this as root. Both must say the same.
    #[track_caller]
    fn may(&mut self, words: &[&str]) -> bool {
        let theirs = self.sudo.allows("dep", &[], words);
        let tree = self.sudo.tree();
        let args: Vec<&[u8]> = words[1..].iter().map(|w| w.as_bytes()).collect();
        let (who, host, target) = (dep(), host(), Target::Default(root()));
        let question = Question {
            who: &who,
            host: &host,
            target: &target,
            command: words[0].as_bytes(),
            args: &args,
            programs: &Real,
            behaviour: Behaviour::Sudo1913,
            now: None,
        };
        assert_eq!(decide(&tree, &question).allowed(), theirs, "{words:?} {:?}", tree.problems);
        theirs
    }
}

#[test]
fn s1_no_arguments_in_the_rule_means_any() {
    let Some(mut c) = Case::new() else { return };
    c.policy("dep ALL=/usr/bin/head");
    assert!(c.may(&["/usr/bin/head", "-c", "5", "/etc/shadow"]));
    c.policy("dep ALL=/usr/bin/ls \"\"");
    assert!(c.may(&["/usr/bin/ls"]));
    assert!(!c.may(&["/usr/bin/ls", "-l"]));
    assert!(!c.may(&["/usr/bin/ls", ""]));
}

#[test]
fn s2_arguments_are_joined_before_they_are_compared() {
    let Some(mut c) = Case::new() else { return };
    c.policy("dep ALL=/usr/bin/ls reload nginx");
    assert!(c.may(&["/usr/bin/ls", "reload", "nginx"]));
    assert!(c.may(&["/usr/bin/ls", "reload nginx"]));
    assert!(!c.may(&["/usr/bin/ls", "reload", "nginx.service"]));
    assert!(!c.may(&["/usr/bin/ls", "reload", "nginx", "--now"]));
}

#[test]
fn s3_wildcards_in_arguments_match_spaces_and_slashes() {
    let Some(mut c) = Case::new() else { return };
    c.policy("dep ALL=/usr/bin/cat /var/log/messages*, /usr/bin/l*");
    assert!(c.may(&["/usr/bin/cat", "/var/log/messages.1", "/etc/shadow"]));
    assert!(c.may(&["/usr/bin/cat", "/var/log/messages/../../../etc/shadow"]));
    assert!(c.may(&["/usr/bin/ls"]));
    c.policy("dep ALL=/usr/*s");
    assert!(!c.may(&["/usr/bin/ls"]));
}

#[test]
fn s4_a_regular_expression_spans_all_arguments() {
    let Some(mut c) = Case::new() else { return };
    c.policy("dep ALL=/usr/bin/ls ^reload nginx(\\.service)?$");
    assert!(c.may(&["/usr/bin/ls", "reload", "nginx.service"]));
    assert!(!c.may(&["/usr/bin/ls", "reload", "nginxxservice"]));
    c.policy("dep ALL=/usr/bin/ls reload ^nginx(\\.service)?$");
    assert!(c.sudo.tree().problems.iter().any(|p| p.kind == ProblemKind::Syntax));
    assert!(!c.sudo.visudo().0);
    assert!(!c.may(&["/usr/bin/ls", "reload", "nginx"]));
    c.policy("dep ALL=/usr/bin/ls ^-n [0-9]+$");
    assert!(c.may(&["/usr/bin/ls", "-n 5"]));
    // It sees the joined text, too: it cannot tell one argument with a space from two.
    for rule in ["/usr/bin/ls ^a b$", "/usr/bin/ls ^a[ ]b$", "/usr/bin/ls ^a\\ b$", "/usr/bin/ls a\\ b"] {
        c.policy(&format!("dep ALL={rule}"));
        let one = c.may(&["/usr/bin/ls", "a b"]);
        assert_eq!(c.may(&["/usr/bin/ls", "a", "b"]), one, "{rule}");
    }
    // More than 1024 characters match nothing.
    c.policy(&format!("dep ALL=/usr/bin/ls ^x{}$", "x?".repeat(600)));
    assert!(!c.may(&["/usr/bin/ls", "x"]));
}

#[test]
fn s5_escapes() {
    let Some(mut c) = Case::new() else { return };
    // A comma that is not escaped ends the command; what follows is an alias that nobody defined.
    c.policy("dep ALL=/usr/bin/env C,D");
    assert!(c.sudo.visudo().0);
    assert_eq!(check(&c.sudo.tree()).len(), 1, "the alias that is not defined");
    assert!(c.may(&["/usr/bin/env", "C"]) && !c.may(&["/usr/bin/env", "C,D"]));
    c.policy("dep ALL=/usr/bin/env a:b");
    assert!(!c.sudo.visudo().0 && !c.may(&["/usr/bin/env", "a:b"]));
    c.policy("dep ALL=/usr/bin/env a=b");
    assert!(c.may(&["/usr/bin/env", "a=b"]));
    c.policy("dep ALL=/usr/bin/env E\\\\\\\\F, /usr/bin/head a#b, /usr/bin/tail \"x y\"");
    assert!(c.may(&["/usr/bin/env", "E\\F"]));
    assert!(c.may(&["/usr/bin/head", "a"]) && !c.may(&["/usr/bin/head", "a#b"]), "the rest was a comment");
    c.policy("dep ALL=/usr/bin/tail \"x y\"");
    assert!(c.may(&["/usr/bin/tail", "\"x", "y\""]) && !c.may(&["/usr/bin/tail", "x y"]));
}

#[test]
fn s6_the_last_match_decides() {
    let Some(mut c) = Case::new() else { return };
    c.policy("dep ALL=!/usr/bin/tail, /usr/bin/tail");
    assert!(c.may(&["/usr/bin/tail"]));
    c.policy("Cmnd_Alias W=!/usr/bin/who\ndep ALL=/usr/bin/who, W");
    assert!(!c.may(&["/usr/bin/who"]));
    // A copy under another name is another command.
    c.policy("dep ALL=ALL, !/usr/bin/id");
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("my-id");
    std::fs::copy("/usr/bin/id", &copy).unwrap();
    assert!(!c.may(&["/usr/bin/id"]));
    assert!(c.may(&[copy.to_str().unwrap()]));
}

#[test]
fn s7_the_same_command_is_the_same_name_and_file() {
    let Some(mut c) = Case::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let at = |p: &str| dir.path().join(p).to_str().unwrap().to_owned();
    for d in ["bin", "bin/sub", "other"] {
        std::fs::create_dir(at(d)).unwrap();
    }
    for f in ["bin/tool", "bin/sub/deep"] {
        std::fs::copy("/usr/bin/true", at(f)).unwrap();
    }
    std::os::unix::fs::symlink(at("bin/tool"), at("bin/soft")).unwrap();
    std::fs::hard_link(at("bin/tool"), at("bin/hard")).unwrap();
    std::os::unix::fs::symlink(at("bin/tool"), at("other/tool")).unwrap();
    c.policy(&format!("dep ALL={}", at("bin/tool")));
    assert!(c.may(&[&at("bin/tool")]));
    assert!(c.may(&[&at("bin/../bin/tool")]));
    assert!(c.may(&[&at("other/tool")]), "another folder, the same name and file");
    assert!(!c.may(&[&at("bin/soft")]) && !c.may(&[&at("bin/hard")]));
    c.policy(&format!("dep ALL={}/", at("bin")));
    assert!(c.may(&[&at("bin/tool")]) && c.may(&[&at("bin/hard")]));
    assert!(!c.may(&[&at("bin/sub/deep")]));
}

#[test]
fn s8_names_owners_and_modes_of_fragments() {
    let Some(mut c) = Case::new() else { return };
    c.policy("@includedir /etc/sudoers.d");
    for (n, name) in ["dotted.conf", "backup~", "plain"].into_iter().enumerate() {
        let command = ["/usr/bin/id", "/usr/bin/ls", "/usr/bin/head"][n];
        c.sudo.file(&format!("/etc/sudoers.d/{name}"), format!("dep ALL={command}\n"));
    }
    assert!(c.sudo.visudo().0, "visudo passes over them too, and says nothing");
    assert!(!c.may(&["/usr/bin/id"]) && !c.may(&["/usr/bin/ls"]) && c.may(&["/usr/bin/head"]));
    let tree = c.sudo.tree();
    let ignored: Vec<_> =
        tree.ignored.iter().map(|i| (i.path.file_name().unwrap().to_str().unwrap(), i.reason)).collect();
    assert_eq!(ignored, [("backup~", IgnoredReason::Tilde), ("dotted.conf", IgnoredReason::Dot)]);
    assert!(tree.ignored.iter().all(|i| i.users.len() == 1), "and whom they name");

    c.policy("@includedir /etc/sudoers.d");
    c.sudo.file("/etc/sudoers.d/f", "dep ALL=/usr/bin/id\n");
    let file = c.sudo.real("/etc/sudoers.d/f");
    for (mode, uid, gid, read) in [
        (0o440, 0, 0, true),
        (0o644, 0, 0, true),
        (0o600, 0, 0, true),
        (0o000, 0, 0, true),
        (0o660, 0, 0, true),
        (0o646, 0, 0, false),
        (0o440, 2000, 0, false),
        (0o660, 0, 2000, false),
        (0o640, 0, 2000, true),
    ] {
        std::os::unix::fs::chown(&file, Some(uid), Some(gid)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(c.may(&["/usr/bin/id"]), read, "{mode:o} {uid}:{gid}");
        assert_eq!(c.sudo.tree().ignored.is_empty(), read, "{mode:o} {uid}:{gid}");
    }
}

#[test]
fn s9_a_bad_line_drops_itself_alone() {
    let Some(mut c) = Case::new() else { return };
    c.policy("dep ALL=/usr/bin/id\ndep ALL=oops\ndep ALL=/usr/bin/ls\n@includedir /etc/sudoers.d");
    c.sudo.file("/etc/sudoers.d/a", "this is (no entry\ndep ALL=/usr/bin/head\n");
    c.sudo.file("/etc/sudoers.d/b", "dep ALL=/usr/bin/tail\n");
    for command in ["/usr/bin/id", "/usr/bin/ls", "/usr/bin/head", "/usr/bin/tail"] {
        assert!(c.may(&[command]), "{command}");
    }
    let at: Vec<_> = c.sudo.tree().problems.iter().map(|p| (p.path.clone(), p.line)).collect();
    assert_eq!(at, [("/etc/sudoers".into(), 3), ("/etc/sudoers.d/a".into(), 1)]);
}

#[test]
fn s9_a_fragment_that_ends_in_a_backslash_eats_the_next_one() {
    let Some(mut c) = Case::new() else { return };
    c.policy("@includedir /etc/sudoers.d");
    c.sudo.file("/etc/sudoers.d/a", "dep ALL=/usr/bin/id, \\");
    c.sudo.file("/etc/sudoers.d/b", "/usr/bin/ls\ndep ALL=/usr/bin/head\n");
    for command in ["/usr/bin/id", "/usr/bin/ls", "/usr/bin/head"] {
        assert!(c.may(&[command]), "{command}");
    }
    // At the very end of the policy nobody can use sudo any more.
    c.policy("dep ALL=/usr/bin/id\ndep ALL=/usr/bin/ls \\");
    assert!(!c.may(&["/usr/bin/id"]));
    let tree = c.sudo.tree();
    assert!(tree.fatal && tree.problems.iter().any(|p| p.kind == ProblemKind::Fatal));
    assert_eq!(full_root_identities(&tree), []);
}

#[test]
fn s10_every_rule_has_its_file_and_line() {
    let Some(mut c) = Case::new() else { return };
    c.policy("User_Alias A=bob,dep\nCmnd_Alias C=/usr/bin/id, D\nCmnd_Alias D=!/usr/bin/ls\n\n%ops ALL=\\\n  C\nA db=ALL\n@includedir /etc/sudoers.d");
    c.sudo.file("/etc/sudoers.d/x", "# c\n#2000 web1=(bob) NOPASSWD: ALL\n");
    let grants = rules_for(&c.sudo.tree(), &dep(), &host());
    let said: Vec<_> = grants.iter().map(|g| (g.path.to_str().unwrap(), g.line, &*g.text)).collect();
    assert_eq!(
        said,
        [("/etc/sudoers", 6, "%ops ALL=\\\n  C"), ("/etc/sudoers.d/x", 2, "#2000 web1=(bob) NOPASSWD: ALL")]
    );
    let commands: Vec<_> =
        grants[0].commands.iter().map(|c| (c.negated, c.show(), c.via.join(">"))).collect();
    assert_eq!(
        commands,
        [
            (false, "/usr/bin/id".to_owned(), "C".to_owned()),
            (true, "/usr/bin/ls".to_owned(), "C>D".to_owned())
        ]
    );
    assert_eq!(
        grants[0].matched,
        MatchedUser { member: 0, personal: false, by: vec!["%ops".into()], doubt: None }
    );
    assert!(grants[1].matched.personal && !grants[1].host.all);
}

#[test]
fn s11_visudo_takes_users_and_commands_that_are_not_there() {
    let Some(mut c) = Case::new() else { return };
    c.policy("nosuchuser ALL=(nosuchtarget) /nosuch/command");
    assert!(c.sudo.visudo().0);
    assert_eq!(check(&c.sudo.tree()), []);
}

#[test]
fn s12_tags_are_handed_on() {
    let Some(mut c) = Case::new() else { return };
    c.policy("Defaults:dep !authenticate\ndep ALL=/usr/bin/env, NOPASSWD: /usr/bin/date, /usr/bin/tty, PASSWD: /usr/bin/id, ALL, /usr/bin/ls");
    let tree = c.sudo.tree();
    let grants = rules_for(&tree, &dep(), &host());
    let nopasswd: Vec<_> = grants.iter().map(|g| g.settings.tags.nopasswd).collect();
    assert_eq!(nopasswd, [None, Some(true), Some(true), Some(false), Some(false), Some(false)]);
    let setenv: Vec<_> = grants.iter().map(|g| g.settings.tags.setenv).collect();
    assert_eq!(setenv[4..], [Setenv::Implied, Setenv::Unset], "ALL implies it for itself alone");
    for (command, password) in [
        ("/usr/bin/env", Password::Defaults),
        ("/usr/bin/date", Password::Tag),
        ("/usr/bin/tty", Password::Tag),
        ("/usr/bin/id", Password::Asked),
    ] {
        let rule = format!(
            "dep ALL={}{command}",
            match password {
                Password::Tag => "NOPASSWD: ",
                Password::Asked => "PASSWD: ",
                _ => "",
            }
        );
        c.policy(&format!("Defaults:dep !authenticate\n{rule}"));
        let (who, host, target) = (dep(), host(), Target::Default(root()));
        let question = Question {
            who: &who,
            host: &host,
            target: &target,
            command: command.as_bytes(),
            args: &[],
            programs: &Real,
            behaviour: Behaviour::Sudo1913,
            now: None,
        };
        assert_eq!(decide(&c.sudo.tree(), &question).password, password, "{rule}");
        let ran = c.sudo.runs("dep", &[], &[command]) || command == "/usr/bin/tty";
        assert_eq!(ran, password != Password::Asked, "{rule}");
    }
}

#[test]
fn s13_what_visudo_refuses() {
    let Some(mut c) = Case::new() else { return };
    for (rule, valid) in [
        ("Defaults!/usr/bin/id noexec", true),
        ("Defaults!/usr/bin/id -u noexec", false),
        ("dep ALL=/usr/bin/sudoedit /etc/motd", false),
        ("dep ALL=sudoedit /etc/motd", true),
        ("dep ALL=APPARMOR_PROFILE=x /usr/bin/id", false),
        ("dep ALL=ROLE=r TYPE=t /usr/bin/id", true),
        ("dep ALL=NOPASSWD: (root) /usr/bin/id", false),
        ("User_Alias ALL=dep", false),
        ("User_Alias A=dep\nUser_Alias A=bob", false),
        ("User_Alias A=dep\nCmnd_Alias A=/usr/bin/id", true),
        ("dep ALL=ALL\r", true),
        ("dep ALL=/usr/bin/id\r", false),
    ] {
        c.policy(rule);
        assert_eq!(c.sudo.visudo().0, valid, "{rule}");
        let tree = c.sudo.tree();
        let stops = tree.problems.iter().chain(&check(&tree)).any(|p| p.kind != ProblemKind::Warning);
        assert_eq!(!stops, valid, "{rule} {:?}", tree.problems);
    }
    // sudo itself takes the path to sudoedit for its built-in.
    c.policy("dep ALL=/usr/bin/sudoedit /etc/motd");
    let grants = rules_for(&c.sudo.tree(), &dep(), &host());
    assert_eq!(grants[0].commands[0].show(), "sudoedit /etc/motd");
}

#[test]
fn digests_are_asked_of_the_file() {
    let Some(mut c) = Case::new() else { return };
    let out = std::process::Command::new("sha256sum").arg("/usr/bin/id").output().unwrap();
    let sum = String::from_utf8(out.stdout).unwrap();
    let hex = sum.split(' ').next().unwrap();
    c.policy(&format!("dep ALL=sha256:{hex} /usr/bin/id, sha256:{hex} /usr/bin/ls"));
    assert!(c.may(&["/usr/bin/id"]));
    assert!(!c.may(&["/usr/bin/ls"]));
    c.policy(&format!("dep ALL=sha224:{} , sha256:{hex} ALL", "0".repeat(56)));
    assert!(c.may(&["/usr/bin/id", "-u"]) && !c.may(&["/usr/bin/ls"]));
}
