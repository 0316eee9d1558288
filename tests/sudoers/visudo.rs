//! Right and wrong texts: what visudo takes we take, and what is left of a wrong one is what sudo makes of it.

use perms::grants::sudoers::{Behaviour, Outcome, ProblemKind, Question, Target, check, decide};

use crate::generate;
use crate::harness::{Random, Real, Sudo, cases, daemon, dep, host};

/// Whether visudo would refuse the policy, by our reading.
fn refused(sudo: &Sudo) -> Vec<String> {
    let tree = sudo.tree();
    let stops = |k: ProblemKind| !matches!(k, ProblemKind::Warning);
    let all = tree.problems.iter().cloned().chain(check(&tree));
    all.filter(|p| stops(p.kind)).map(|p| format!("{}:{}: {}", p.line, p.column, p.message)).collect()
}

#[test]
fn visudo_and_we_agree_on_what_is_valid() {
    let Some(mut sudo) = Sudo::new() else { return };
    let mut r = Random::new(3);
    let all = cases(800);
    let mut valid = 0;
    for n in 0..all {
        let text = generate::policy(&mut r);
        let text = if n % 4 == 0 { text.into_bytes() } else { generate::mutated(&mut r, &text) };
        sudo.policy(&text);
        let tree = sudo.tree();
        assert!(tree.files.is_empty() || tree.files[0].print() == text, "print is not the text");
        let (ok, said) = sudo.visudo();
        valid += u32::from(ok);
        let ours = refused(&sudo);
        assert_eq!(ours.is_empty(), ok, "{ours:?}\n{said}\n{}", String::from_utf8_lossy(&text));
    }
    assert!(valid > all / 4 && valid < all * 9 / 10, "{valid} of {all}: the cases say little");
}

#[test]
fn what_is_left_of_a_broken_policy_is_what_sudo_makes_of_it() {
    let Some(mut sudo) = Sudo::new() else { return };
    let mut r = Random::new(4);
    for _ in 0..cases(800) {
        let text = generate::policy(&mut r);
        let text = generate::mutated(&mut r, &text);
        // In a file of its own, so that the last line stands; sometimes in two, so that an entry may run over.
        sudo.policy(b"root ALL=ALL\n@includedir /etc/sudoers.d\n\nDefaults listpw=never\n");
        let cut = if r.once_in(4) { r.below(text.len() + 1) } else { text.len() };
        sudo.file("/etc/sudoers.d/a", &text[..cut]);
        sudo.file("/etc/sudoers.d/b", &text[cut..]);
        let tree = sudo.tree();
        let words = generate::asked(&mut r);
        let args: Vec<&[u8]> = words[1..].iter().map(|w| w.as_bytes()).collect();
        let (who, host, target) = (dep(), host(), Target::User(daemon(), None));
        let question = Question {
            who: &who,
            host: &host,
            target: &target,
            command: words[0].as_bytes(),
            args: &args,
            programs: &Real,
            behaviour: Behaviour::Sudo1913,
            now: Some(1_700_000_000),
        };
        let decision = decide(&tree, &question);
        if matches!(decision.outcome, Outcome::Uncertain(_)) {
            continue;
        }
        sudo.ask("dep", &["-u", "daemon"], &words);
        let theirs = sudo.allowed();
        assert_eq!(
            decision.allowed(),
            theirs,
            "{words:?} {:?}\n{:?}\n{}",
            decision.rule,
            tree.problems,
            String::from_utf8_lossy(&text)
        );
    }
}
