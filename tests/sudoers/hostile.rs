//! Any bytes at all: nothing panics, nothing takes long, and the text is kept.

use std::path::Path;

use perms::grants::sudoers::ast::Item;
use perms::grants::sudoers::{
    Behaviour, Check, MemoryFiles, NoPrograms, Problem, ProblemKind, Question, Target, Tree, check, decide,
    full_root_identities, remove_entries, rewritten_for_check, rules_for,
};
use proptest::prelude::*;

use crate::generate;
use crate::harness::{Random, dep, host, reading, root};

/// What is wrong is the same where no entry is kept.
fn as_entry_by_entry(files: &MemoryFiles, tree: &Tree) {
    let mut entries = Check::default();
    let mut look = |tree: &Tree, file: usize, item: &Item| entries.entry(tree, file, item);
    let past = Tree::look_through(files, Path::new("/etc/sudoers"), &reading(), &mut look);
    assert_eq!((&past.problems, &past.ignored, past.fatal), (&tree.problems, &tree.ignored, tree.fatal));
    let sorted = |mut all: Vec<Problem>| {
        all.sort_by(|a, b| (a.file, a.span.start, &a.message).cmp(&(b.file, b.span.start, &b.message)));
        all
    };
    assert_eq!(sorted(entries.finish(&past)), sorted(check(tree)));
}

/// Does all that can be done with a policy.
fn exercise(files: &MemoryFiles) -> Tree {
    let tree = Tree::read(files, Path::new("/etc/sudoers"), &reading());
    for file in &tree.files {
        assert_eq!(file.print(), *file.text, "{}", file.path.display());
        let mut at = 0;
        for item in &file.items {
            assert_eq!(item.span.start, at, "entries lie end to end");
            at = item.span.end;
        }
        assert_eq!(at, file.text.len());
    }
    as_entry_by_entry(files, &tree);
    full_root_identities(&tree);
    let grants = rules_for(&tree, &dep(), &host());
    for g in &grants {
        assert!(g.line > 0 && !g.text.is_empty());
    }
    remove_entries(&tree, &grants);
    let _ = rewritten_for_check(&tree, &|p| Path::new("/tmp").join(p.strip_prefix("/").unwrap_or(p)));
    let (who, host, target) = (dep(), host(), Target::Default(root()));
    let args: &[&[u8]] = &[b"-l"];
    let (programs, behaviour) = (&NoPrograms, Behaviour::Sudo1914);
    decide(
        &tree,
        &Question {
            who: &who,
            host: &host,
            target: &target,
            command: b"/bin/ls",
            args,
            programs,
            behaviour,
            now: None,
        },
    );
    tree
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), more in prop::collection::vec(any::<u8>(), 0..100)) {
        exercise(&MemoryFiles::new().with("/etc/sudoers", bytes.clone()));
        // The same cut in two, so that entries run over the end of a file.
        let main = b"@include /etc/a\n@include b\n".to_vec();
        exercise(&MemoryFiles::new().with("/etc/sudoers", main).with("/etc/a", bytes).with("/etc/b", more));
    }

    #[test]
    fn nearly_policies(seed in any::<u64>(), cut in any::<prop::sample::Index>()) {
        let mut r = Random::new(seed);
        let text = generate::policy(&mut r);
        let text = generate::mutated(&mut r, &text);
        let cut = cut.index(text.len() + 1);
        let main = b"@includedir /etc/sudoers.d\n".to_vec();
        let (a, b) = (text[..cut].to_vec(), text[cut..].to_vec());
        exercise(&MemoryFiles::new().with("/etc/sudoers", main).with("/etc/sudoers.d/a", a).with("/etc/sudoers.d/b", b));
    }
}

#[test]
fn what_would_take_sudo_forever_takes_us_no_time() {
    let began = std::time::Instant::now();
    let twice = "@include /etc/sudoers\n".repeat(2);
    let tree = exercise(&MemoryFiles::new().with("/etc/sudoers", twice));
    assert!(tree.problems.iter().any(|p| p.kind == ProblemKind::Limit), "includes that include each other");
    assert!(tree.files.len() <= 129, "a file is read as often as sudo may lay it into itself");
    let lines = "dep ALL=(ALL) /bin/x\nbad line\n".repeat(20_000);
    exercise(&MemoryFiles::new().with("/etc/sudoers", lines));
    let mut list = String::from("dep ALL=(root,bob) NOPASSWD: /bin/a");
    for i in 0..5_000 {
        list += &format!(", /bin/{i} x");
    }
    exercise(&MemoryFiles::new().with("/etc/sudoers", list + "\n"));
    for open in ["(", "!", "\"", "\\\n", "^", "sha224:", ",", "A=", "User_Alias A=", "@include ", "[[:"] {
        exercise(&MemoryFiles::new().with("/etc/sudoers", open.repeat(50_000)));
        exercise(
            &MemoryFiles::new().with("/etc/sudoers", format!("dep ALL=/bin/ls {}\n", open.repeat(20_000))),
        );
    }
    let mut aliases = String::from("Cmnd_Alias A0=/bin/ls,/bin/id\n");
    for i in 1..300 {
        aliases += &format!("Cmnd_Alias A{i}=A{p},!A{p},A{p}\n", p = i - 1);
    }
    exercise(&MemoryFiles::new().with("/etc/sudoers", aliases + "dep ALL=A150,A299\n"));
    // Each leads to the next; those of the second lead round.
    for last in ["/bin/ls", "A0"] {
        let mut chain = String::new();
        for i in 0..20_000 {
            chain += &format!("Cmnd_Alias A{i}=A{}\n", i + 1);
        }
        exercise(&MemoryFiles::new().with("/etc/sudoers", chain + "Cmnd_Alias A20000=" + last + "\n"));
    }
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
}
