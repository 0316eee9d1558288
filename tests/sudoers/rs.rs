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

/// What sudo-rs refuses, which the original takes: both say so, and we say the same of each line.
#[test]
fn s14_what_sudo_rs_leaves_out() {
    let Some(mut sudo) = Sudo::new() else { return };
    if !sudo.with_rs() {
        return;
    }
    let (who, host) = (dep(), ThisHost::named("web1"));
    let mut wrong = Vec::new();
    for (rule, taken) in [
        ("dep ALL=(root) /usr/bin/id", true),
        ("dep ALL=(root) NOPASSWD: /usr/bin/id \"\"", true),
        ("dep ALL=(root) NOEXEC: /usr/bin/id", true),
        ("dep ALL=(root) CWD=/ /usr/bin/id", true),
        ("dep ALL=(root) /usr/bin/id *", true),
        ("dep ALL=(root) /usr/bin/id ^-u$", false),
        ("dep ALL=(root) ^/usr/bin/id$", false),
        (
            "dep ALL=(root) sha256:0123456789012345678901234567890123456789012345678901234567890123 /usr/bin/id",
            false,
        ),
        ("dep ALL=(root) INTERCEPT: /usr/bin/id", false),
        ("dep ALL=(root) ROLE=r TYPE=t /usr/bin/id", false),
        ("dep ALL=(root) TIMEOUT=1h /usr/bin/id", false),
        ("dep ALL=(root) NOTAFTER=20300101000000Z /usr/bin/id", false),
        ("dep ALL=(root) CHROOT=/ /usr/bin/id", false),
        ("dep ALL=(root) LOG_INPUT: /usr/bin/id", false),
        ("dep ALL=(root) FOLLOW: sudoedit /etc/motd", false),
        ("+dep ALL=(root) /usr/bin/id", false),
        ("dep 10.0.0.1=(root) /usr/bin/id", false),
        ("dep ALL=(root) /usr/bin/id * -u", false),
        ("Defaults requiretty", false),
        ("Defaults syslog=auth", false),
    ] {
        sudo.policy(format!("root ALL=(ALL:ALL) ALL\n{rule}\n"));
        let (_, said) = sudo.allows_rs("root", &[], &["/usr/bin/id"]);
        let tree = sudo.tree();
        let policy = RsPolicy::new(&tree, &Real);
        let ours: Vec<String> = policy.problems().iter().map(|p| format!("{p:?}")).collect();
        let complains = said.contains("sudoers");
        if complains == taken || ours.is_empty() != taken {
            wrong.push(format!("{rule}: {taken} expected, sudo-rs: {said}, ours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A last ` *`: the original needs at least a space behind the word, sudo-rs takes none at all.
    sudo.policy("root ALL=(ALL:ALL) ALL\ndep ALL=(root) /usr/bin/id -u *\n");
    for (words, classic, rs) in [
        (&["/usr/bin/id", "-u"][..], false, true),
        (&["/usr/bin/id", "-u", "x"], true, true),
        (&["/usr/bin/id", "-u", "x", "y"], true, true),
        (&["/usr/bin/id"], false, false),
    ] {
        assert_eq!(sudo.allows("dep", &[], words), classic, "{words:?}");
        assert_eq!(sudo.allows_rs("dep", &[], words).0, rs, "{words:?}");
        let tree = sudo.tree();
        let args: Vec<&[u8]> = words[1..].iter().map(|w| w.as_bytes()).collect();
        let question = Question {
            who: &who,
            host: &host,
            target: &Target::Default(root()),
            command: words[0].as_bytes(),
            args: &args,
            programs: &Real,
            behaviour: Behaviour::Sudo1913,
            now: None,
        };
        assert_eq!(RsPolicy::new(&tree, &Real).decide(&question).allowed(), rs, "{words:?}");
        assert_eq!(perms::grants::sudoers::decide(&tree, &question).allowed(), classic, "{words:?}");
    }
}
