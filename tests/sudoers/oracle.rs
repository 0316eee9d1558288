//! Generated policies and questions: our decision and that of sudo are the same.

use perms::grants::identity::Identity;
use perms::grants::sudoers::{Behaviour, Outcome, Password, Question, Target, Tree, decide, default_target};

use crate::generate;
use crate::harness::{Random, Real, Sudo, bob, cases, daemon, dep, eve, host, progress, root};

fn account(name: &str) -> Identity {
    match name {
        "dep" => dep(),
        "bob" => bob(),
        "eve" => eve(),
        "daemon" => daemon(),
        _ => root(),
    }
}

/// A target, and how sudo is told of it.
fn target(r: &mut Random, tree: &Tree, who: &Identity) -> (Target, Vec<&'static str>) {
    const GROUPS: &[(&str, u32)] = &[("ops", 2010), ("bob", 2001), ("dep", 2000), ("root", 0)];
    let (group, gid) = GROUPS[r.below(GROUPS.len())];
    match r.below(10) {
        0..=4 => (Target::Default(account(&default_target(tree, who, &host()))), vec![]),
        5 | 6 => {
            let user = r.pick(&["root", "bob", "eve", "daemon", "dep"]);
            (Target::User(account(user), None), vec!["-u", user])
        }
        7 | 8 => {
            let user = r.pick(&["root", "bob", "eve", "dep"]);
            (Target::User(account(user), Some((group.to_owned(), Some(gid)))), vec!["-u", user, "-g", group])
        }
        _ => (Target::Group(group.to_owned(), Some(gid)), vec!["-g", group]),
    }
}

#[test]
fn decisions_are_those_of_sudo() {
    let Some(mut sudo) = Sudo::new() else { return };
    let mut r = Random::new(1);
    let (mut asked, mut allowed) = (0, 0);
    let all = cases(1200);
    while asked < all {
        let text = generate::policy(&mut r);
        sudo.policy(&text);
        let tree = sudo.tree();
        assert_eq!(tree.files[0].print(), text.as_bytes());
        let mut ours = Vec::new();
        for _ in 0..6 {
            let who = [dep(), bob(), eve()][r.below(3)].clone();
            let (target, options) = target(&mut r, &tree, &who);
            let words = generate::asked(&mut r);
            let args: Vec<&[u8]> = words[1..].iter().map(|w| w.as_bytes()).collect();
            let host = host();
            let decision = decide(
                &tree,
                &Question {
                    who: &who,
                    host: &host,
                    target: &target,
                    command: words[0].as_bytes(),
                    args: &args,
                    programs: &Real,
                    behaviour: Behaviour::Sudo1913,
                    now: Some(1_700_000_000),
                },
            );
            if let Outcome::Uncertain(why) = &decision.outcome {
                panic!("nothing here is uncertain: {why:?}\n{text}");
            }
            sudo.ask(&who.name, &options, &words);
            ours.push((who, options, words, decision));
        }
        for (who, options, words, decision) in ours {
            let theirs = sudo.allowed();
            asked += 1;
            allowed += u32::from(theirs);
            assert_eq!(
                decision.allowed(),
                theirs,
                "{} {options:?} {words:?}\nrule {:?}\nproblems {:?}\n{text}",
                who.name,
                decision.rule,
                tree.problems
            );
        }
        progress(asked, allowed);
    }
    assert!(allowed > all / 10 && allowed < all * 9 / 10, "{allowed} of {all}: the cases say little");
}

#[test]
fn passwords_are_asked_for_when_sudo_asks() {
    let Some(mut sudo) = Sudo::new() else { return };
    let mut r = Random::new(2);
    let (mut asked, mut free) = (0, 0);
    let all = cases(1500) / 10;
    while asked < all {
        let text = generate::policy(&mut r);
        sudo.policy(&text);
        let tree = sudo.tree();
        let who = [dep(), bob()][r.below(2)].clone();
        let (target, options) = target(&mut r, &tree, &who);
        let host = host();
        let question = Question {
            who: &who,
            host: &host,
            target: &target,
            command: b"/usr/bin/id",
            args: &[],
            programs: &Real,
            behaviour: Behaviour::Sudo1913,
            now: Some(1_700_000_000),
        };
        let decision = decide(&tree, &question);
        if !decision.allowed() {
            continue;
        }
        asked += 1;
        let theirs = sudo.runs(&who.name, &options, &["/usr/bin/id"]);
        let ours = decision.password != Password::Asked;
        free += u32::from(theirs);
        assert_eq!(
            ours, theirs,
            "{} {options:?} {:?}\n{:?}\n{text}",
            who.name, decision.password, decision.rule
        );
    }
    assert!(free > all / 10, "{free} of {all}: the cases say little");
}

#[test]
fn regular_expressions_and_wildcards_mean_what_they_mean_to_sudo() {
    const PIECES: &[&str] = &[
        "a",
        "b",
        "-",
        ".",
        "*",
        "+",
        "?",
        "(",
        ")",
        "|",
        "[ab]",
        "[^a]",
        "[]a]",
        "[a-c]",
        "[[\\:alpha\\:]]",
        "{2}",
        "{1,2}",
        "{,1}",
        "{",
        "}",
        "\\.",
        "\\(",
        "(ab)",
        "^",
        "[b-]",
        "x",
        "[[.a.]]",
        "[[=b=]]",
        " ",
        "[!a]",
        "\\*",
        "\\[",
        "[",
        "]",
        "[a\\\\]b]",
        "\\?",
    ];
    const SUBJECTS: &[&[&str]] = &[
        &[],
        &["a"],
        &["b"],
        &["ab"],
        &["aab"],
        &["a", "b"],
        &["]"],
        &["-"],
        &["x"],
        &["aa"],
        &["."],
        &["*"],
        &["(ab)"],
        &["a^"],
        &["ba"],
        &["[a"],
        &["[ab]"],
        &["{"],
        &["a{2}"],
        &["\\"],
        &["bb"],
        &["abab"],
        &["!"],
    ];
    let Some(mut sudo) = Sudo::new() else { return };
    let mut r = Random::new(5);
    let (mut matched, mut unsure) = (0, 0);
    let all = cases(1000);
    for _ in 0..all {
        let regex = r.once_in(2);
        let n = 1 + r.below(5);
        let body: String = (0..n).map(|_| r.pick(PIECES)).collect();
        let pattern = if regex { format!("^{}$", body.replace("\\:", ":")) } else { body };
        sudo.policy(format!("root ALL=ALL\ndep ALL=/usr/bin/ls {pattern}\n"));
        let tree = sudo.tree();
        let words = SUBJECTS[r.below(SUBJECTS.len())];
        let args: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        let (who, host, target) = (dep(), host(), Target::Default(root()));
        let question = Question {
            who: &who,
            host: &host,
            target: &target,
            command: b"/usr/bin/ls",
            args: &args,
            programs: &Real,
            behaviour: Behaviour::Sudo1913,
            now: None,
        };
        let decision = decide(&tree, &question);
        if matches!(decision.outcome, Outcome::Uncertain(_)) {
            unsure += 1;
            continue;
        }
        let theirs = sudo.allows("dep", &[], &[&["/usr/bin/ls"], words].concat());
        matched += u32::from(theirs);
        assert_eq!(decision.allowed(), theirs, "{pattern:?} {words:?} {:?}", tree.problems);
    }
    assert!(matched > all / 50 && unsure < all / 4, "{matched} matched and {unsure} unsure of {all}");
}
