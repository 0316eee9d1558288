//! Fragments that we write: sudo accepts exactly the vectors declared, and nothing near them.

use std::path::Path;

use perms::grants::sudoers::ast::Command;
use perms::grants::sudoers::{FragmentArgs, FragmentRule, Reading, Tree, fragment, joins_ambiguously};
use proptest::prelude::*;

use crate::harness::{Random, Sudo, cases};

fn rule(user: &str, command: &[String]) -> FragmentRule {
    FragmentRule {
        user: user.to_owned(),
        runas: "root".to_owned(),
        nopasswd: true,
        command: command.to_vec(),
        args: FragmentArgs::Exact,
        digest: None,
    }
}

/// Characters that mean something to sudoers, to wildcards, to the shell, or to people.
const NASTY: &[&str] = &[
    "a",
    "b",
    "-",
    "/",
    "*",
    "?",
    "[",
    "]",
    "!",
    "^",
    "$",
    "\\",
    ",",
    ":",
    "=",
    "#",
    " ",
    "\t",
    "\"",
    "'",
    "(",
    ")",
    "%",
    "+",
    "@",
    ">",
    "{",
    "}",
    "~",
    ".",
    "ü",
    "|",
    "&",
    ";",
    "\u{7f}",
    "\u{1}",
    "ALL",
    "\"\"",
    "NOPASSWD:",
    "0",
    "\\x41",
];

fn word(r: &mut Random) -> String {
    (0..r.below(5)).map(|_| r.pick(NASTY)).collect()
}

#[test]
fn sudo_accepts_what_is_declared_and_nothing_near_it() {
    let Some(mut sudo) = Sudo::new() else { return };
    let mut r = Random::new(11);
    let (mut written, mut refused, mut near) = (0, 0, 0);
    while written < cases(120) {
        let n = r.below(4);
        let mut command = vec!["/usr/bin/ls".to_owned()];
        command.extend((0..n).map(|_| word(&mut r)));
        let text = match fragment("web", "declared", &[rule("dep", &command)]) {
            Ok(text) => text,
            Err(e) => {
                refused += 1;
                assert!(e.iter().all(|e| e.part.is_some()), "{e:?}");
                continue;
            }
        };
        written += 1;
        sudo.policy("root ALL=ALL\n@includedir /etc/sudoers.d\n");
        sudo.file("/etc/sudoers.d/web", &text);
        let (ok, said) = sudo.visudo();
        assert!(ok, "{said}\n{text}");
        let as_words = |c: &[String]| c.to_vec();
        let ask = |sudo: &mut Sudo, c: &[String]| {
            let words: Vec<&str> = c.iter().map(String::as_str).collect();
            sudo.allows("dep", &[], &words)
        };
        assert!(ask(&mut sudo, &command), "{command:?}\n{text}");
        // Near misses: one word more, one fewer, one changed, two joined.
        let mut others: Vec<Vec<String>> = Vec::new();
        let mut more = as_words(&command);
        more.push(["x", "", "--now", "*"][r.below(4)].to_owned());
        others.push(more);
        if n > 0 {
            others.push(command[..n].to_vec());
            let mut changed = as_words(&command);
            let at = 1 + r.below(n);
            changed[at] = word(&mut r);
            others.push(changed);
            let mut longer = as_words(&command);
            longer[at].push('x');
            others.push(longer);
        }
        for other in others {
            let same = other[1..].join(" ") == command[1..].join(" ") && other.len() > 1 && command.len() > 1;
            near += 1;
            // Joined by spaces they may be the same words: sudo cannot tell, and we say so.
            assert!(
                !same
                    || other == command
                    || joins_ambiguously(&command[1..])
                    || joins_ambiguously(&other[1..])
            );
            assert_eq!(ask(&mut sudo, &other), same, "{command:?} {other:?}\n{text}");
        }
    }
    assert!(refused > 0 && near > written, "{refused} {near}");
}

#[test]
fn names_are_taken_as_names() {
    let Some(mut sudo) = Sudo::new() else { return };
    for name in [
        "FOO",
        "sudoedit",
        "sha256",
        "web-1.x",
        "10.0.0.1",
        "Defaults",
        "list",
        "User_Alias",
        "fe80::1",
        "a b",
    ] {
        let passwd = std::fs::read_to_string(sudo.real("/etc/passwd")).unwrap();
        std::fs::write(
            sudo.real("/etc/passwd"),
            format!("{passwd}{}:x:3000:3000::/:/bin/sh\n", name.replace(':', "_")),
        )
        .unwrap();
        let text = fragment("web", "", &[rule(name, &["/usr/bin/id".to_owned()])]).unwrap();
        sudo.policy(format!("root ALL=ALL\n{text}"));
        let (ok, said) = sudo.visudo();
        assert!(ok, "{name}: {said}");
        if !name.contains([':', ' ']) {
            assert!(sudo.allows(name, &[], &["/usr/bin/id"]), "{name}\n{text}");
        }
        assert!(!sudo.allows("dep", &[], &["/usr/bin/id"]), "{name}");
        std::fs::write(sudo.real("/etc/passwd"), passwd).unwrap();
    }
}

#[test]
fn a_path_with_wildcard_characters_is_that_path_alone() {
    let Some(mut sudo) = Sudo::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for name in ["a*b", "a[b]", "a?b", "a,b:c=d", "a b", "a#b", "axb", "ab"] {
        std::fs::copy("/usr/bin/true", path(name)).unwrap();
    }
    for name in ["a*b", "a[b]", "a?b", "a,b:c=d", "a b", "a#b"] {
        let text = fragment("web", "", &[rule("dep", &[path(name)])]).unwrap();
        sudo.policy(format!("root ALL=ALL\n{text}"));
        assert!(sudo.allows("dep", &[], &[&path(name)]), "{text}");
        for other in ["axb", "ab"] {
            assert!(!sudo.allows("dep", &[], &[&path(other)]), "{text}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was_meant(
        user in "[ -~]{1,8}",
        args in prop::collection::vec("[ -~\\t]{0,6}", 0..5),
        any in any::<bool>(),
        nopasswd in any::<bool>(),
        path in "/[ -~]{1,12}",
    ) {
        let mut command = vec![path];
        command.extend(args);
        let rule = FragmentRule {
            user,
            runas: "root".to_owned(),
            nopasswd,
            command,
            args: if any { FragmentArgs::Any } else { FragmentArgs::Exact },
            digest: None,
        };
        if let Ok(text) = fragment("web", "made by a test", std::slice::from_ref(&rule)) {
            let tree = Tree::read_text(Path::new("/f"), text.as_bytes(), &Reading::default());
            prop_assert!(tree.problems.is_empty());
            prop_assert_eq!(tree.files[0].print(), text.as_bytes());
            let (_, _, spec) = tree.specs().next().unwrap();
            let one = &spec.privileges[0].commands[0];
            prop_assert_eq!(one.settings.tags.nopasswd, Some(nopasswd));
            let Command::Path(c) = &one.command.value else { panic!() };
            prop_assert_eq!(c.args.is_none(), any);
        }
    }
}
