//! sudo-rs itself against our reading of its dialect.

use perms::grants::identity::Identity;
use perms::grants::sudoers::fragment::{FragmentArgs, FragmentRule, fragment_for};
use perms::grants::sudoers::{Behaviour, Dialect, Question, RsPolicy, Target, ThisHost};

use crate::generate;
use crate::harness::{Random, Real, Sudo, bob, cases, daemon, dep, eve, progress, root};

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
fn target(r: &mut Random) -> (Target, Vec<&'static str>) {
    const GROUPS: &[(&str, u32)] = &[("ops", 2010), ("bob", 2001), ("dep", 2000), ("root", 0)];
    let (group, gid) = GROUPS[r.below(GROUPS.len())];
    match r.below(10) {
        0..=4 => (Target::Default(root()), vec![]),
        5..=7 => {
            let user = r.pick(&["root", "bob", "eve", "daemon", "dep"]);
            (Target::User(account(user), None), vec!["-u", user])
        }
        _ => {
            let user = r.pick(&["root", "bob", "eve", "dep"]);
            (Target::User(account(user), Some((group.to_owned(), Some(gid)))), vec!["-u", user, "-g", group])
        }
    }
}

#[test]
fn decisions_are_those_of_sudo_rs() {
    let Some(mut sudo) = Sudo::new() else { return };
    if !sudo.with_rs() {
        return;
    }
    let mut r = Random::new(21);
    let (mut asked, mut allowed) = (0, 0);
    let all = cases(1500);
    let host = ThisHost::named("web1");
    while asked < all {
        let text = generate::policy_for_rs(&mut r);
        sudo.policy(&text);
        let tree = sudo.tree();
        let policy = RsPolicy::new(&tree, &Real);
        for _ in 0..6 {
            let who = [dep(), bob(), eve()][r.below(3)].clone();
            let (target, options) = target(&mut r);
            let words = generate::asked(&mut r);
            let args: Vec<&[u8]> = words[1..].iter().map(|w| w.as_bytes()).collect();
            let decision = policy.decide(&Question {
                who: &who,
                host: &host,
                target: &target,
                command: words[0].as_bytes(),
                args: &args,
                programs: &Real,
                behaviour: Behaviour::default(),
                now: None,
            });
            asked += 1;
            let (theirs, said) = sudo.allows_rs(&who.name, &options, &words);
            allowed += u32::from(theirs);
            assert_eq!(
                decision.allowed(),
                theirs,
                "{} {options:?} {words:?}\nrule {:?}\nproblems {:?}\n{said}\n{text}",
                who.name,
                decision.rule,
                policy.problems(),
            );
        }
        progress(asked, allowed);
    }
    assert!(allowed > all / 25 && allowed < all * 9 / 10, "{allowed} of {all}: the cases say little");
}

#[test]
fn fragments_for_sudo_rs_are_read_as_they_were_meant() {
    let Some(mut sudo) = Sudo::new() else { return };
    if !sudo.with_rs() {
        return;
    }
    const WORDS: &[&str] =
        &["-l", "a,b", "a=b", "c:d", "e#f", "g\\h", "[i]", "^j", "k$", "\"\"", "l\"m", "!n", "%o", "@p", "ü"];
    let mut r = Random::new(22);
    let mut written = 0;
    while written < cases(60) {
        let mut command = vec!["/usr/bin/id".to_owned()];
        command.extend((0..r.below(4)).map(|_| r.pick(WORDS).to_owned()));
        let rule = FragmentRule {
            user: "dep".into(),
            runas: "root".into(),
            nopasswd: true,
            command: command.clone(),
            args: FragmentArgs::Exact,
            digest: None,
        };
        let Ok(text) = fragment_for(Dialect::Rs, "web", "declared", &[rule]) else { continue };
        written += 1;
        sudo.policy(format!("root ALL=(ALL:ALL) ALL\n{text}"));
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let (allowed, said) = sudo.allows_rs("dep", &[], &words);
        assert!(allowed, "{text}{said}");
        // No other vector, and no complaint.
        assert!(!said.contains("sudoers"), "{text}{said}");
        for other in [[&words[..], &["more"]].concat(), vec![words[0], &words[1..].join(" ")]] {
            if other != words && !(other.len() == 2 && other[1].is_empty()) {
                assert!(!sudo.allows_rs("dep", &[], &other).0, "{text}{other:?}");
            }
        }
    }
}
