//! Generated manifests: hostile ones break nothing, and valid ones are read as they were meant.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

use std::path::Path;

use perms::manifest::{AclEntry, AclPerms, AclWho, Manifest, ModeSpec, load, parse};
use perms::report::{Diagnostic, Severity, Source, render_diagnostic};
use proptest::collection::vec;
use proptest::prelude::*;

/// All texts under `tests/manifests`, bad and good.
fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    let mut todo = vec![Path::new("tests/manifests").to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("toml") => {
                    texts.push(String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned())
                }
                _ if path.is_dir() => todo.push(path),
                _ => {}
            }
        }
    }
    texts.sort();
    assert!(texts.len() > 60);
    texts
}

/// What holds of every answer, whatever the text.
fn sound(text: &str, manifest: Option<&Manifest>, diagnostics: &[Diagnostic]) {
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    assert_eq!(
        manifest.is_some(),
        errors == 0,
        "a manifest is there if and only if nothing is wrong with it"
    );
    for d in diagnostics {
        let (line, column) = d.origin.source.position(d.origin.start);
        assert!(line <= text.lines().count() + 1 && column >= 1);
        for shown in [render_diagnostic::human(d, false), render_diagnostic::plain(d)] {
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
            assert!(shown.lines().count() < 20, "{shown}");
        }
        render_diagnostic::human(d, true);
        render_diagnostic::json(d).to_string();
    }
}

fn parses_soundly(text: &str) {
    let (manifest, diagnostics) = parse(&Source::new("m.toml", text));
    sound(text, manifest.as_ref(), &diagnostics);
}

/// What mistakes are made of.
const PIECES: [&str; 40] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "#",
    " ",
    "\u{0}",
    "\u{1b}[2J",
    "\u{202e}",
    "é",
    "\u{feff}",
    "0",
    "0640",
    "-1",
    "1e9",
    "true",
    "nan",
    "1979-05-27",
    "[[path]]\n",
    "[app]\n",
    "path = \"/a\"\n",
    "accept = {}",
    "\"any\"",
    "run = []",
    "99999999999999999999",
    "0x",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..400)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let (manifest, diagnostics) = load(file.path()).unwrap();
        sound(&String::from_utf8_lossy(&bytes), manifest.as_ref(), &diagnostics);
    }

    #[test]
    fn any_heap_of_pieces_is_answered(pieces in vec(0..PIECES.len(), 0..60)) {
        parses_soundly(&pieces.iter().map(|&i| PIECES[i]).collect::<String>());
    }

    #[test]
    fn any_broken_manifest_is_answered(
        which in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), 0..12_usize, 0..PIECES.len() + 8), 1..6),
    ) {
        let texts = texts();
        let mut text: Vec<char> = which.get(&texts).chars().collect();
        for (at, removed, piece) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            let piece = PIECES.get(piece).copied().unwrap_or_default();
            text.splice(at..end, piece.chars());
        }
        parses_soundly(&text.into_iter().collect::<String>());
    }

    #[test]
    fn what_is_written_is_what_is_read(
        arguments in vec("[^\\x00-\\x1f\\x7f-\\x9f]{0,12}", 0..5),
        path in vec("[^/\\x00-\\x1f\\x7f-\\x9f]{1,8}", 1..5),
        bits in 0..=0o7777_u16,
        letters in vec(any::<(bool, bool, bool, bool)>(), 3),
        ids in proptest::collection::btree_set(0..=u32::MAX - 1, 0..5),
    ) {
        prop_assume!(path.iter().all(|p| p != "." && p != ".."));
        let quoted = |s: &str| serde_json::to_string(s).unwrap();
        let run: Vec<String> = std::iter::once("/bin/x".to_owned()).chain(arguments).collect();
        let path = format!("/{}", path.join("/"));
        let perms: Vec<AclPerms> = letters
            .iter()
            .map(|&(read, write, execute, execute_if_any)| AclPerms { read, write, execute, execute_if_any })
            .collect();
        let written = |p: &AclPerms| {
            let letters = [(p.read, 'r'), (p.write, 'w'), (p.execute, 'x'), (p.execute_if_any, 'X')];
            letters.iter().filter(|(set, _)| *set).map(|(_, c)| c).collect::<String>()
        };
        let acl: Vec<String> = ids.iter().map(|id| format!("\"user:{id}:{}-\"", written(&perms[0]))).collect();
        let text = format!(
            "[app]\nname = \"x\"\n[[path]]\npath = {}\nmode = \"{bits:04o}\"\nacl = [{}]\n\
             [[path]]\npath = \"/b\"\nmode = 0o{bits:o}\n[[path]]\npath = \"/c\"\nmode = \"u={},g={},o={}\"\n\
             [[command]]\nwith = \"doas\"\nrun = [{}]\n",
            quoted(&path),
            acl.join(", "),
            written(&perms[0]), written(&perms[1]), written(&perms[2]),
            run.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(","),
        );
        let (manifest, diagnostics) = parse(&Source::new("m.toml", text.as_str()));
        prop_assume!(!["/b", "/c"].contains(&path.as_str()));
        let manifest = manifest.unwrap_or_else(|| panic!("{text}\n{diagnostics:?}"));
        let [first, second, third] = manifest.paths.as_slice() else { panic!("three paths") };
        prop_assert_eq!(&first.path.value, Path::new(&path));
        prop_assert_eq!(first.mode.as_ref().unwrap().value, ModeSpec::Octal(bits));
        prop_assert_eq!(second.mode.as_ref().unwrap().value, ModeSpec::Octal(bits));
        let symbolic = ModeSpec::Symbolic { user: perms[0], group: perms[1], other: perms[2] };
        prop_assert_eq!(third.mode.as_ref().unwrap().value, symbolic);
        let entries: Vec<_> = first.acl.as_ref().unwrap().value.iter().map(|e| e.value.clone()).collect();
        let meant: Vec<_> = ids
            .iter()
            .map(|id| AclEntry { who: AclWho::User(id.to_string()), perms: perms[0] })
            .collect();
        prop_assert_eq!(entries, meant);
        let vector: Vec<_> = manifest.commands[0].run.value.iter().map(|a| a.value.clone()).collect();
        prop_assert_eq!(vector, run);
        // Each value knows where it was written.
        let place = &manifest.commands[0].run.value[0].origin;
        prop_assert_eq!(&text[place.span()], "\"/bin/x\"");
    }
}

#[test]
fn nothing_is_too_deep_or_too_much() {
    let key = vec!["a"; 79].join(".");
    let large = |line: &str| line.repeat((1 << 20) / line.len());
    for text in [
        vec!["a"; 500_000].join("."),
        format!("[{}]", vec!["a"; 500_000].join(".")),
        format!("x = {}", "[".repeat(1 << 20)),
        format!("x = {}", "{a=".repeat(300_000)),
        format!("[{key}]\nx = {}1{}", format!("{{{key} = ").repeat(79), "}".repeat(79)),
        large("=\n"),
        large("[[path]]\n"),
        large("[[path]]\npath='/etc/nginx'\nacl=['u:a:r','u:a:r']\n"),
        large("[[command]]\nrun=['/bin/systemctl','reload','nginx']\n"),
        large("[[selinux.label]]\npaths='/(a{700}){2}'\ntype='a'\n"),
        format!("a = {{{}}}", large("k=1,")),
        format!("[app]\nname = 1\nuser = {{ groups = [{}] }} x", large("'a',")),
        large("[app]\n"),
        large("x = [\n"),
    ] {
        let start = std::time::Instant::now();
        let (manifest, diagnostics) = parse(&Source::new("m.toml", &text[..text.len().min(1 << 20)]));
        assert!(manifest.is_none());
        assert!(!diagnostics.is_empty() && diagnostics.len() <= 100);
        let taken = start.elapsed();
        println!("{:>7.1?} {:.40}", taken, text.escape_debug().to_string());
        assert!(taken.as_secs() < 60, "{taken:?} for {:.60}", text);
    }
}

#[test]
fn a_large_valid_manifest_takes_no_time() {
    let mut text = "[app]\nname = \"large\"\nuser = \"large\"\n".to_owned();
    for i in 0..5_000 {
        text += &format!("[[path]]\npath = \"/etc/nginx/conf.d/{i}\"\naccess = \"write\"\n");
        text += &format!("[[command]]\nrun = [\"/usr/bin/systemctl\", \"reload\", \"nginx\", \"{i}\"]\n");
    }
    let start = std::time::Instant::now();
    let (manifest, diagnostics) = parse(&Source::new("m.toml", text.as_str()));
    assert_eq!(manifest.unwrap().paths.len(), 5_000);
    assert_eq!(diagnostics.len(), 100);
    println!("{:?} for {} bytes", start.elapsed(), text.len());
    assert!(start.elapsed().as_secs() < 20);
}
