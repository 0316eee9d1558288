//! Any bytes are a doas.conf: every byte is in one entry, a mistake grants nothing, blocks go in and come out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perms::grants::doas::{Action, File, NoNames, decide, find_block, remove_block, replace_block, rules_for};
use perms::grants::identity::Identity;

fuzz_target!(|input: &[u8]| {
    let (text, asked) = match input.iter().position(|b| *b == 0xff) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[][..]),
    };
    let file = File::parse("/etc/doas.conf", text);
    let mut end = 0;
    for item in &file.items {
        assert_eq!(item.span.start, end);
        end = item.span.end;
    }
    assert_eq!(end, file.text.len());
    let dep = Identity::new("dep", Some(2000)).with_group("dep", Some(2000)).with_group("ops", Some(7));
    let root = Identity::new("root", Some(0)).with_group("root", Some(0));
    let mut words = asked.split(|b| *b == b' ');
    let command = words.next().unwrap_or_default();
    let args: Vec<&[u8]> = words.collect();
    let decision = decide(&file, &dep, &root, command, &args, &NoNames);
    assert!(!decision.allowed || file.mistakes.is_empty());
    if let Some((_, rule)) = decision.rule {
        assert_eq!(decision.allowed, rule.action == Action::Permit);
    }
    rules_for(&file, &dep, &NoNames);
    let _ = find_block(text, "web");
    let _ = remove_block(text, "web");
    let _ = replace_block(text, "web", "");
});
