//! Taking a rule out changes nothing for anybody else.

use std::path::Path;

use perms::grants::identity::Identity;
use perms::grants::sudoers::ast::Tags;
use perms::grants::sudoers::{
    Behaviour, MemoryFiles, NoPrograms, Outcome, Password, Question, Target, Tree, decide, remove_entries,
    rewritten_for_check, rules_for,
};

use crate::generate;
use crate::harness::{Random, Sudo, bob, cases, daemon, dep, eve, host, reading, root};

fn read(text: &[u8]) -> Tree {
    Tree::read(&MemoryFiles::new().with("/etc/sudoers", text), Path::new("/etc/sudoers"), &reading())
}

fn answers(tree: &Tree, who: &Identity) -> Vec<(Outcome, Option<Tags>, Password)> {
    let mut out = Vec::new();
    for command in ["/usr/bin/ls", "/usr/bin/id", "/usr/bin/head", "sudoedit", "/usr/bin/systemctl"] {
        for args in [&[][..], &[&b"-l"[..]], &[b"reload", b"nginx"], &[b"/etc/motd"]] {
            for target in [root(), bob(), daemon()] {
                let target = Target::User(target, None);
                let host = host();
                let question = Question {
                    who,
                    host: &host,
                    target: &target,
                    command: command.as_bytes(),
                    args,
                    programs: &NoPrograms,
                    behaviour: Behaviour::Sudo1913,
                    now: Some(1_700_000_000),
                };
                let d = decide(tree, &question);
                out.push((d.outcome, d.settings.map(|s| s.tags), d.password));
            }
        }
    }
    out
}

#[test]
fn nobody_else_notices() {
    let mut r = Random::new(21);
    let (mut removed, mut left) = (0, 0);
    for _ in 0..cases(1500) {
        let text = generate::policy(&mut r);
        let tree = read(text.as_bytes());
        let me = dep();
        let grants: Vec<_> =
            rules_for(&tree, &me, &host()).into_iter().filter(|g| !g.negated && !r.once_in(3)).collect();
        let removal = remove_entries(&tree, &grants);
        left += removal.left.len();
        removed += grants.len() - removal.left.len();
        let Some((_, after)) = removal.texts.first() else { continue };
        let now = read(after);
        assert_eq!(now.problems, [], "{text}\n{}", String::from_utf8_lossy(after));
        let strangers = [bob(), eve(), root(), daemon(), Identity::new("nobody", Some(65534))];
        for who in strangers {
            assert_eq!(
                answers(&tree, &who),
                answers(&now, &who),
                "{}\n{text}\n{}",
                who.name,
                String::from_utf8_lossy(after)
            );
        }
        // The one whose rules were taken out has fewer, by exactly those.
        let count = |t: &Tree| rules_for(t, &me, &host()).len();
        assert_eq!(
            count(&tree) - count(&now),
            grants.len() - removal.left.len(),
            "{text}\n{}",
            String::from_utf8_lossy(after)
        );
    }
    assert!(removed > 100 && left > 100, "{removed} taken out, {left} left: the cases say little");
}

#[test]
fn the_copy_is_checked_by_visudo_as_the_policy_is() {
    let Some(mut sudo) = Sudo::new() else { return };
    let mut r = Random::new(22);
    for n in 0..cases(60) {
        let text = generate::policy(&mut r);
        let text = if n % 2 == 0 { text.into_bytes() } else { generate::mutated(&mut r, &text) };
        sudo.policy("root ALL=ALL\n@include sudoers.more\n@includedir /etc/sudoers.d\n");
        sudo.file("/etc/sudoers.more", "Defaults env_reset\n");
        sudo.file("/etc/sudoers.d/a", &text);
        let (ok, said) = sudo.visudo();
        let into = tempfile::tempdir().unwrap();
        let map = |p: &Path| into.path().join("a copy").join(p.strip_prefix("/").unwrap());
        let copy = rewritten_for_check(&sudo.tree(), &map).unwrap();
        for file in copy {
            std::fs::create_dir_all(file.copy.parent().unwrap()).unwrap();
            std::fs::write(&file.copy, &file.text).unwrap();
        }
        let main = map(Path::new("/etc/sudoers"));
        // Not below the copied /etc: what the copy includes is in the copy.
        let out = std::process::Command::new("visudo").args(["-c", "-f"]).arg(main).output().unwrap();
        assert_eq!(out.status.success(), ok, "{said}\n{out:?}\n{}", String::from_utf8_lossy(&text));
    }
}
