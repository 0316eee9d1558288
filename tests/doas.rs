//! doas.conf: our reader, decisions and blocks against doas itself, run as the caller.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends at a surprise"
)]

mod support;

use std::path::Path;
use std::process::Command;

use perms::grants::doas::{Action, BlockRule, File, Names, NoNames, block, decide, replace_block, rules_for};
use perms::grants::identity::Identity;
use proptest::prelude::*;

/// Asks doas about a configuration, as an account of this machine.
struct Doas {
    dir: tempfile::TempDir,
}

/// What doas says: whether it takes the file, and the answer.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Answer {
    Nopass,
    Permit,
    Deny,
    Mistake,
}

impl Doas {
    fn new() -> Option<Doas> {
        if !["doas", "setpriv"].iter().all(|t| support::have(t)) {
            return None;
        }
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout != b"0\n" && !support::skip("needs root to become the caller") {
            return None;
        }
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(Doas { dir })
    }

    fn ask(&self, text: &[u8], who: &Identity, target: &str, words: &[&str]) -> Answer {
        let conf = self.dir.path().join("doas.conf");
        std::fs::write(&conf, text).unwrap();
        let gids: Vec<String> = who.groups.iter().map(|g| g.1.unwrap().to_string()).collect();
        let out = Command::new("setpriv")
            .arg(format!("--reuid={}", who.uid.unwrap()))
            .arg(format!("--regid={}", gids[0]))
            .arg(format!("--groups={}", gids.join(",")))
            .args(["doas", "-u", target, "-C"])
            .arg(&conf)
            .args(words)
            .output()
            .unwrap();
        match &*out.stdout {
            b"permit nopass\n" => Answer::Nopass,
            b"permit\n" => Answer::Permit,
            b"deny\n" => Answer::Deny,
            _ => Answer::Mistake,
        }
    }
}

/// The machine's accounts.
struct Machine;

fn number(file: &str, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().find_map(|l| {
        let mut f = l.split(':');
        if f.next()? != name {
            return None;
        }
        f.nth(1)?.parse().ok()
    })
}

impl Names for Machine {
    fn uid(&self, name: &str) -> Option<u32> {
        number("/etc/passwd", name)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        number("/etc/group", name)
    }
}

fn daemon() -> Identity {
    Identity::new("daemon", Some(1))
        .with_group("daemon", Some(1))
        .with_group("adm", Some(4))
        .with_group("tty", Some(5))
}

fn account(name: &str) -> Identity {
    match name {
        "root" => Identity::new("root", Some(0)),
        "bin" => Identity::new("bin", Some(2)),
        _ => Identity::new("daemon", Some(1)),
    }
}

fn ours(text: &[u8], who: &Identity, target: &str, words: &[&str]) -> Answer {
    let file = File::parse("doas.conf", text);
    assert_eq!(file.print(), text);
    if !file.mistakes.is_empty() {
        return Answer::Mistake;
    }
    let args: Vec<&[u8]> = words[1..].iter().map(|w| w.as_bytes()).collect();
    let d = decide(&file, who, &account(target), words[0].as_bytes(), &args, &Machine);
    match (d.allowed, d.nopass) {
        (true, true) => Answer::Nopass,
        (true, false) => Answer::Permit,
        _ => Answer::Deny,
    }
}

/// Both must say the same.
#[track_caller]
fn both(doas: &Doas, text: &str, target: &str, words: &[&str]) -> Answer {
    let theirs = doas.ask(text.as_bytes(), &daemon(), target, words);
    assert_eq!(ours(text.as_bytes(), &daemon(), target, words), theirs, "{text:?} {target} {words:?}");
    theirs
}

#[test]
fn d1_answers_and_mistakes() {
    let Some(d) = Doas::new() else { return };
    assert_eq!(both(&d, "permit nopass daemon\n", "root", &["/bin/ls"]), Answer::Nopass);
    assert_eq!(both(&d, "permit daemon\n", "root", &["/bin/ls"]), Answer::Permit);
    assert_eq!(both(&d, "permit nosuchuser\n", "root", &["/bin/ls"]), Answer::Deny);
    assert_eq!(both(&d, "permit daemon", "root", &["/bin/ls"]), Answer::Mistake);
    assert_eq!(both(&d, "permit nopass persist daemon\n", "root", &["/bin/ls"]), Answer::Mistake);
    assert_eq!(
        both(&d, "permit daemon\nthis\n", "root", &["/bin/ls"]),
        Answer::Mistake,
        "one mistake stops all"
    );
    assert_eq!(both(&d, "", "root", &["/bin/ls"]), Answer::Deny);
}

#[test]
fn d2_the_command_is_compared_as_typed() {
    let Some(d) = Doas::new() else { return };
    let text = "permit daemon cmd systemctl\npermit daemon cmd /bin/ls\n";
    assert_eq!(both(&d, text, "root", &["systemctl"]), Answer::Permit);
    assert_eq!(both(&d, text, "root", &["/usr/bin/systemctl"]), Answer::Deny);
    assert_eq!(both(&d, text, "root", &["/usr/bin/ls"]), Answer::Deny);
}

#[test]
fn d3_arguments_are_the_exact_vector() {
    let Some(d) = Doas::new() else { return };
    let text = "permit daemon cmd /bin/ls args -l \"a b\"\n";
    assert_eq!(both(&d, text, "root", &["/bin/ls", "-l", "a b"]), Answer::Permit);
    assert_eq!(both(&d, text, "root", &["/bin/ls", "-l", "a", "b"]), Answer::Deny);
    assert_eq!(both(&d, text, "root", &["/bin/ls", "-l"]), Answer::Deny);
    assert_eq!(both(&d, "permit daemon cmd /bin/ls args\n", "root", &["/bin/ls", ""]), Answer::Deny);
    assert_eq!(
        both(&d, "permit daemon cmd /bin/ls\n", "bin", &["/bin/ls", "x"]),
        Answer::Permit,
        "any target"
    );
    assert_eq!(both(&d, "permit daemon as root\n", "bin", &["/bin/ls"]), Answer::Deny);
}

#[test]
fn d4_the_last_rule_replaces_all_options() {
    let Some(d) = Doas::new() else { return };
    let text = "permit nopass daemon\npermit :adm cmd /bin/ls\ndeny 1 cmd /bin/id\n";
    assert_eq!(both(&d, text, "root", &["/bin/ls"]), Answer::Permit);
    assert_eq!(both(&d, text, "root", &["/bin/cat"]), Answer::Nopass);
    assert_eq!(both(&d, text, "root", &["/bin/id"]), Answer::Deny);
}

#[test]
fn d5_keepenv_is_told() {
    let file = File::parse(
        "d",
        "permit keepenv setenv { PATH -LANG A=b } daemon cmd python3\npermit keepenv daemon\n",
    );
    let rules = rules_for(&file, &daemon(), &NoNames);
    assert!(rules.iter().all(|(_, r)| r.options.keepenv && r.action == Action::Permit));
    assert_eq!(rules[0].1.options.setenv.as_ref().unwrap().len(), 3);
    assert_eq!((rules[0].1.command.is_some(), rules[1].1.command.is_none()), (true, true));
}

/// How many generated cases: `PERMS_CASES`, else what fits into a quick run.
fn cases(quick: u32) -> u32 {
    std::env::var("PERMS_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(quick)
}

/// Pieces of doas.conf, right and wrong.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "permit",
        "permit",
        "permit",
        "deny",
        "nopass",
        "persist",
        "keepenv",
        "nolog",
        "setenv { A B=c }",
        "setenv",
        "{",
        "}",
        "daemon",
        "daemon",
        "daemon",
        "root",
        ":adm",
        ":tty",
        ":4",
        ":99",
        "1",
        "2",
        "as root",
        "as bin",
        "as 2",
        "as",
        "cmd /bin/ls",
        "cmd /bin/ls",
        "cmd ls",
        "cmd \"/bin/ls\"",
        "cmd",
        "args",
        "args -l",
        "args -l \"a b\"",
        "args \"\"",
        "args as",
        "\"args\"",
        "\n",
        "\n",
        "\n",
        "# c\n",
        "\\\n",
        "\\",
        "\"",
        "\"\"",
        "\\ ",
        "a\\\"b",
        "#",
        "\t",
        "x{y",
        "\0",
        "pe\\rmit",
        "\"permit\"",
        "per\"mit\"",
    ])
}

#[test]
fn decisions_are_those_of_doas() {
    let Some(doas) = Doas::new() else { return };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: cases(1500),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    // Mostly whole rules, so that there is something to decide; then some of anything.
    let good = (
        prop::sample::select(vec![
            "permit",
            "permit nopass",
            "permit persist nolog",
            "deny",
            "permit keepenv",
        ]),
        prop::sample::select(vec!["daemon", ":adm", ":4", "1", "bin", ":bin", "\"daemon\"", "nobody"]),
        prop::sample::select(vec!["", " as root", " as bin", " as 2", " as nosuch"]),
        prop::sample::select(vec![
            "",
            "",
            " cmd /bin/ls",
            " cmd ls",
            " cmd /bin/ls args",
            " cmd /bin/ls args -l \"a b\"",
            " cmd \"/bin/ls\" args \"\"",
            " cmd /bin/ls \\\n args \\-l",
        ]),
        prop::sample::select(vec!["\n", "\n", "\n\n", " # c\n", "#\n"]),
    )
        .prop_map(|(a, b, c, d, e)| format!("{a} {b}{c}{d}{e}"));
    let text = (
        prop::collection::vec(good, 0..5).prop_map(|v| v.concat()),
        prop_oneof![3 => Just(String::new()), 1 => prop::collection::vec(piece(), 0..8).prop_map(|v| v.join(" "))],
        any::<bool>(),
    )
        .prop_map(|(a, b, first)| if first { format!("{b}{a}") } else { format!("{a}{b}") });
    let asked = prop::sample::select(vec![
        vec!["/bin/ls"],
        vec!["ls"],
        vec!["/bin/ls", "-l"],
        vec!["/bin/ls", "-l", "a b"],
        vec!["/bin/ls", ""],
        vec!["/usr/bin/ls", "as"],
    ]);
    let target = prop::sample::select(vec!["root", "bin", "daemon"]);
    let mut seen = std::collections::HashMap::new();
    let all = (text, asked, target);
    runner
        .run(&all, |(text, words, target)| {
            let theirs = doas.ask(text.as_bytes(), &daemon(), target, &words);
            prop_assert_eq!(ours(text.as_bytes(), &daemon(), target, &words), theirs, "{:?}", text);
            Ok(())
        })
        .unwrap();
    for text in ["permit nopass daemon\n", "permit daemon\n", "deny daemon\n", "x\n"] {
        *seen.entry(format!("{:?}", both(&doas, text, "root", &["/bin/ls"]))).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 4, "each answer can be told from the others");
}

#[test]
fn doas_accepts_what_is_declared_and_nothing_near_it() {
    let Some(doas) = Doas::new() else { return };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: cases(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let word = "[ -~\\t\\u{e4}]{0,6}";
    runner
        .run(&(prop::collection::vec(word, 0..4), word, any::<prop::sample::Index>()), |(args, other, at)| {
            let mut command = vec!["/usr/bin/some tool".to_owned()];
            command.extend(args);
            let rule = BlockRule {
                user: "daemon".into(),
                runas: "bin".into(),
                nopass: true,
                command: command.clone(),
                any_args: false,
            };
            let text = replace_block(b"deny daemon", "web", &block("web", &[rule]).unwrap()).unwrap();
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            prop_assert_eq!(
                doas.ask(&text, &daemon(), "bin", &words),
                Answer::Nopass,
                "{:?}",
                String::from_utf8_lossy(&text)
            );
            prop_assert_eq!(ours(&text, &daemon(), "bin", &words), Answer::Nopass);
            let mut near = vec![[&words[..], &[&other]].concat(), words[..words.len() - 1].to_vec()];
            if words.len() > 1 {
                let mut changed = words.clone();
                changed[1 + at.index(words.len() - 1)] = &other;
                near.push(changed);
                near.push(vec![words[0], "joined"]);
            }
            for n in near.into_iter().filter(|n| !n.is_empty() && *n != words) {
                prop_assert_eq!(doas.ask(&text, &daemon(), "bin", &n), Answer::Deny, "{:?} {:?}", n, words);
            }
            prop_assert_eq!(doas.ask(&text, &daemon(), "root", &words), Answer::Deny);
            Ok(())
        })
        .unwrap();
}

proptest! {
    #[test]
    fn any_text_is_read_and_kept(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = File::parse(Path::new("d"), bytes.clone());
        prop_assert_eq!(file.print(), bytes);
    }

    #[test]
    fn removing_a_rule_leaves_the_others(n in 1usize..6, gone in any::<prop::sample::Index>()) {
        let rule = |i: usize| format!("# {i}\npermit u{i} cmd \\\n x{i} args # why\n\n");
        let text: String = (0..n).map(rule).collect();
        let file = File::parse("d", text.clone());
        let items: Vec<usize> = file.rules().map(|(i, _)| i).collect();
        prop_assert_eq!(items.len(), n);
        let gone = gone.index(n);
        let after = File::parse("d", file.without(items[gone]).unwrap());
        prop_assert!(after.mistakes.is_empty());
        let left: Vec<_> = after.rules().map(|(_, r)| r.identity.clone()).collect();
        let expected: Vec<_> = (0..n).filter(|i| *i != gone).map(|i| format!("u{i}").into_bytes()).collect();
        prop_assert_eq!(left, expected);
    }
}
