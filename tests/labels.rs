//! Look-ups of file contexts, against answers that libselinux gave.
//!
//! Each folder of tests/labels with a `contexts` folder in it is a set of specifications; each
//! `answers.libselinux-VERSION.tsv` beside that what that version answers: kind, path (bytes that are not printable
//! ASCII as `\xNN`), context.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use perms::selinux::contexts::{Answer, FileContexts, FileKind, Files, Precedence, Text};

/// The sets, by folder.
fn sets() -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir("tests/labels")
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("contexts").is_dir())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn load(folder: &Path, precedence: Precedence) -> FileContexts {
    let bytes = |name: &str| {
        let path = folder.join("contexts").join(name);
        std::fs::read(&path).ok().map(|b| (Arc::<str>::from(name), b))
    };
    let names =
        ["", ".homedirs", ".local", ".subs", ".subs_dist"].map(|s| bytes(&format!("file_contexts{s}")));
    let [main, homedirs, local, subs, subs_dist] =
        names.each_ref().map(|f| f.as_ref().map(|(name, bytes)| Text::new(Arc::clone(name), bytes)));
    FileContexts::new(Files { main, homedirs, local, subs, subs_dist }, precedence)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.extend(before.bytes());
        out.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    out.extend(rest.bytes());
    out
}

fn kind(word: &str) -> Option<FileKind> {
    Some(match word {
        "file" => FileKind::File,
        "dir" => FileKind::Directory,
        "link" => FileKind::Link,
        "socket" => FileKind::Socket,
        "pipe" => FileKind::Pipe,
        "char" => FileKind::Character,
        "block" => FileKind::Block,
        "any" => return None,
        _ => panic!("{word}"),
    })
}

#[test]
fn every_answer_is_that_of_its_version_of_libselinux() {
    for set in sets() {
        let mut versions = 0;
        for entry in std::fs::read_dir(&set).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(version) = name.strip_prefix("answers.libselinux-").and_then(|n| n.strip_suffix(".tsv"))
            else {
                continue;
            };
            versions += 1;
            let contexts = load(&set, Precedence::of_version_text(version).unwrap());
            let mut lookups = contexts.lookups();
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let fields: Vec<&str> = line.split('\t').collect();
                let answer = lookups.lookup(&unescape(fields[1]), kind(fields[0]));
                if let Answer::Undecided(spec) = answer {
                    let what = spec.map(ToString::to_string).unwrap_or_default();
                    assert!(
                        contexts.problems().iter().any(|p| Some(&p.place) == spec.map(|s| &s.place)),
                        "{line}: undecided for {what}, of which no problem is told"
                    );
                    continue;
                }
                let ours = answer.context().unwrap_or("<<none>>");
                assert_eq!(ours, fields[2], "{}: {line}, by {:?}", path.display(), answer.spec());
            }
        }
        assert!(versions > 1, "{} has answers of {versions} versions", set.display());
    }
}

#[test]
fn what_decided_and_what_else_matched_is_told_with_its_line() {
    let contexts = load(Path::new("tests/labels/traps"), Precedence::Since3_9);
    assert_eq!(contexts.problems(), []);
    let mut lookups = contexts.lookups();
    let why = lookups.explain(b"/data//static/x", Some(FileKind::File));
    assert_eq!(why.path, b"/srv/app/static/x");
    assert_eq!(why.substitutions.len(), 1);
    assert_eq!(why.substitutions[0].place.to_string(), "file_contexts.subs:2");
    assert_eq!(why.answer.spec().unwrap().place.to_string(), "file_contexts.local:5");
    let places: Vec<String> = why.matching.iter().map(|s| s.place.to_string()).collect();
    assert_eq!(
        places,
        [
            "file_contexts:1",
            "file_contexts:2",
            "file_contexts:3",
            "file_contexts:4",
            "file_contexts:6",
            "file_contexts.local:5",
            "file_contexts.local:6"
        ]
    );
}

/// A pattern that is not understood is told, and decides nothing.
#[test]
fn no_answer_is_given_where_a_pattern_that_is_not_understood_could_decide() {
    let text = b"/srv(/.*)? u:r:srv_t:s0\n/srv/app/(?!x).* u:r:app_t:s0\n/srv/app/known/.* u:r:known_t:s0\n";
    for precedence in [Precedence::Before3_8, Precedence::V3_8, Precedence::Since3_9] {
        let contexts = FileContexts::new(Files::only(Text::new("fc", text)), precedence);
        assert_eq!(
            contexts.problems()[0].to_string(),
            "fc:2: `/srv/app/(?!x).*`: look-ahead at byte 10; where this line could decide, no answer is given"
        );
        let mut lookups = contexts.lookups();
        let mut ask = |path: &str| lookups.lookup(path.as_bytes(), None);
        assert_eq!(ask("/srv/a").context(), Some("u:r:srv_t:s0"));
        assert_eq!(ask("/srv/app/known/x").context(), Some("u:r:known_t:s0"));
        assert!(matches!(ask("/srv/app/y"), Answer::Undecided(Some(s)) if s.place.line == 2));
        assert_eq!(ask("/other"), Answer::Unspecified);
    }
}

/// Since 3.8 a `<<none>>` deep in the tree ends the search, also where a later line matches from further up.
#[test]
fn a_none_in_a_deeper_folder_ends_the_search_since_3_8() {
    let text = b"/srv/app/.* <<none>>\n/srv(/.*)? u:r:srv_t:s0\n";
    let ask = |precedence| {
        let contexts = FileContexts::new(Files::only(Text::new("fc", text)), precedence);
        contexts.lookups().lookup(b"/srv/app/x", None).context().map(str::to_owned)
    };
    assert_eq!(ask(Precedence::Before3_8).as_deref(), Some("u:r:srv_t:s0"));
    assert_eq!(ask(Precedence::Since3_9), None);
}

#[test]
fn hostile_specifications_cost_little() {
    let many = (0..2000).fold(String::new(), |mut s, i| {
        s.push_str(&format!("/x/(a{{1,60}}|b*){{1,60}}{i} u:r:t:s0\n"));
        s
    });
    let deep = format!("/{}a{} u:r:t:s0\n", "(".repeat(240), ")*".repeat(240));
    let huge = format!("/{} u:r:t:s0\n", "[^/]*x".repeat(5000));
    for text in [many, deep, huge, "\0\n/".to_owned(), "(\n".repeat(1000)] {
        let contexts =
            FileContexts::new(Files::only(Text::new("fc", text.as_bytes())), Precedence::Before3_8);
        let mut lookups = contexts.lookups();
        let path = [b"/x/".to_vec(), b"ab".repeat(2000)].concat();
        let _ = lookups.lookup(&path, None);
    }
}
