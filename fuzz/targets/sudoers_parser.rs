//! Any bytes are a sudoers file: every byte is in one entry, decisions end, and what is taken out leaves the rest.
//!
//! The input is cut at `0xff` into /etc/sudoers, two fragments, and a command line to ask about.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use perms::grants::identity::Identity;
use perms::grants::sudoers::ast::Item;
use perms::grants::sudoers::{
    Behaviour, Check, MemoryFiles, NoPrograms, Problem, Question, Reading, Target, ThisHost, Tree, check, decide,
    full_root_identities, remove_entries, rules_for,
};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(4, |b| *b == 0xff);
    let mut part = || parts.next().unwrap_or_default();
    let (main, first, second, asked) = (part(), part(), part(), part());
    let files = MemoryFiles::new()
        .with("/etc/sudoers", main)
        .with("/etc/sudoers.d/a", first)
        .with("/etc/sudoers.d/b", second);
    let tree = Tree::read(&files, Path::new("/etc/sudoers"), &Reading::default());
    for file in &tree.files {
        assert_eq!(file.print(), *file.text);
    }
    let host = ThisHost::named("web1.example.org");
    let dep = Identity::new("dep", Some(2000)).with_group("dep", Some(2000)).with_group("ops", None);
    let root = Identity::new("root", Some(0)).with_group("root", Some(0));
    let mut words = asked.split(|b| *b == b' ');
    let command = words.next().unwrap_or_default();
    let args: Vec<&[u8]> = words.collect();
    let target = Target::Default(root);
    for behaviour in [Behaviour::Sudo1913, Behaviour::Sudo1914] {
        let question = Question {
            who: &dep,
            host: &host,
            target: &target,
            command,
            args: &args,
            programs: &NoPrograms,
            behaviour,
            now: None,
        };
        decide(&tree, &question);
    }
    // What is wrong is the same where no entry is kept.
    let mut entries = Check::default();
    let mut look = |tree: &Tree, file: usize, item: &Item| entries.entry(tree, file, item);
    let past = Tree::look_through(&files, Path::new("/etc/sudoers"), &Reading::default(), &mut look);
    assert_eq!(past.problems, tree.problems);
    let sorted = |mut all: Vec<Problem>| {
        all.sort_by(|a, b| (a.file, a.span.start, &a.message).cmp(&(b.file, b.span.start, &b.message)));
        all
    };
    assert_eq!(sorted(entries.finish(&past)), sorted(check(&tree)));
    full_root_identities(&tree);
    let grants = rules_for(&tree, &dep, &host);
    let removal = remove_entries(&tree, &grants);
    for (path, text) in &removal.texts {
        let again = Tree::read_text(path, text, &Reading::default());
        assert_eq!(again.files[0].print(), *text);
    }
});
