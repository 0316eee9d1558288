//! `perms check` over the manifests in `tests/manifests`: each bad and each risky one against what is said of it, each
//! good one without a word. Found on disk: a new file is a new test. `WRITE_GOLDEN=1` rewrites what is said.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use perms::cli::check;
use perms::manifest;
use perms::report::{Format, Severity, codes};

/// Exit status and output of `perms check PATH`.
fn check(path: &Path, format: Format) -> (u8, String) {
    let mut out = Vec::new();
    let status = check::run(&[path.to_owned()], format, false, &mut out).unwrap();
    (status, String::from_utf8(out).unwrap())
}

/// The cases in a folder: files `NAME.toml`, and folders of several.
fn cases(folder: &str) -> Vec<PathBuf> {
    let dir = Path::new("tests/manifests").join(folder);
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir() || p.extension().is_some_and(|e| e == "toml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn each_bad_manifest_is_told_what_is_wrong_with_it() {
    let cases = cases("bad");
    assert!(cases.len() >= 30);
    for case in cases {
        let (status, text) = check(&case, Format::Human);
        assert_eq!(status, 1, "{}", case.display());
        support::golden(&case.with_extension("stderr"), &text);
    }
}

#[test]
fn each_risky_manifest_is_told_its_risks_and_is_valid() {
    for case in cases("risky") {
        let (status, text) = check(&case, Format::Human);
        assert_eq!(status, 0, "{}", case.display());
        assert!(text.contains("warning["), "{}", case.display());
        support::golden(&case.with_extension("stderr"), &text);
    }
}

#[test]
fn a_good_manifest_is_valid_without_a_word() {
    for case in cases("good") {
        assert_eq!(
            check(&case, Format::Human),
            (0, "1 manifest is valid.\n".to_owned()),
            "{}",
            case.display()
        );
    }
}

#[test]
fn every_code_about_manifests_has_a_manifest_that_shows_it() {
    let mut shown = BTreeSet::new();
    for case in cases("bad").iter().chain(&cases("risky")) {
        shown.extend(manifest::load_all(std::slice::from_ref(case)).diagnostics.iter().map(|d| d.code.id));
    }
    let unshown: Vec<_> =
        codes::manifest::ALL.iter().map(|c| c.id).filter(|id| !shown.contains(id)).collect();
    assert!(unshown.is_empty(), "{unshown:?}");
}

#[test]
fn each_page_has_a_code_and_each_code_a_page() {
    let mut pages = BTreeSet::new();
    for area in std::fs::read_dir("docs/findings").unwrap() {
        let area = area.unwrap().path();
        for page in std::fs::read_dir(&area).unwrap() {
            let page = page.unwrap().path();
            assert_eq!(page.extension().and_then(|e| e.to_str()), Some("md"), "{}", page.display());
            let name = |p: &Path| p.file_stem().unwrap().to_str().unwrap().to_owned();
            pages.insert(format!("{}::{}", name(&area), name(&page)));
        }
    }
    let known: Vec<_> = codes::all().map(|c| c.id.to_owned()).collect();
    let codes: BTreeSet<String> = known.iter().cloned().collect();
    assert_eq!(known.len(), codes.len(), "no code is there twice");
    assert_eq!(pages, codes);
    for code in codes::all() {
        assert!(code.page.trim().len() > 40, "{} says what it is, why it matters, what to do", code.id);
    }
}

#[test]
fn the_plain_form_says_the_same_without_drawing() {
    let (status, text) = check(Path::new("tests/manifests/bad/unknown-key.toml"), Format::Plain);
    assert_eq!(status, 1);
    support::golden(Path::new("tests/manifests/unknown-key.plain"), &text);
    for case in cases("bad").iter().chain(&cases("risky")) {
        let (_, text) = check(case, Format::Plain);
        let loaded = manifest::load_all(std::slice::from_ref(case));
        let said = text.lines().filter(|l| l.starts_with("error ") || l.starts_with("warning ")).count();
        assert_eq!(said, loaded.diagnostics.len(), "{}", case.display());
    }
}

#[test]
fn the_json_form_has_a_version_and_every_finding_with_its_place() {
    let (status, text) = check(Path::new("tests/manifests/bad/unknown-key.toml"), Format::Json);
    assert_eq!(status, 1);
    support::golden(Path::new("tests/manifests/unknown-key.json"), &text);
    for case in cases("bad").iter().chain(&cases("risky")).chain(&cases("good")) {
        let (_, text) = check(case, Format::Json);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["version"], 1);
        for d in report["diagnostics"].as_array().unwrap() {
            assert!(codes::find(d["code"].as_str().unwrap()).is_some());
            assert!(d["line"].as_u64() >= Some(1) && d["column"].as_u64() >= Some(1), "{d}");
            assert!(
                !d["message"].as_str().unwrap().is_empty() && !d["label"].as_str().unwrap().is_empty(),
                "{d}"
            );
        }
    }
}

#[test]
fn no_output_tells_the_terminal_anything() {
    for case in cases("bad").iter().chain(&cases("risky")) {
        for format in [Format::Human, Format::Plain] {
            let (_, text) = check(case, format);
            let bad = text
                .chars()
                .find(|&c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c));
            assert_eq!(bad, None, "{}", case.display());
        }
    }
}

#[test]
fn a_folder_is_read_in_order_and_what_is_no_manifest_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let app = |name: &str| format!("[app]\nname = \"{name}\"\n");
    for (file, text) in [
        ("b.toml", app("b")),
        ("a.toml", app("a")),
        (".hidden.toml", "no".to_owned()),
        ("notes.txt", "no".to_owned()),
        ("c.toml.bak", "no".to_owned()),
    ] {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    let loaded = manifest::load_all(&[dir.path().to_owned(), dir.path().join("a.toml")]);
    let names: Vec<_> = loaded.manifests.iter().map(|m| m.app.name.value.as_str()).collect();
    assert_eq!(names, ["a", "b"], "and a file that is named twice is read once");
    assert!(!loaded.has_errors());
    assert_eq!(check(dir.path(), Format::Human), (0, "2 manifests are valid.\n".to_owned()));
}

#[test]
fn what_cannot_be_read_is_said_and_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (status, text) = check(&dir.path().join("none.toml"), Format::Human);
    assert_eq!(status, 1);
    assert!(text.starts_with("error: cannot read ") && text.contains("none.toml: no such file"), "{text}");
    assert!(text.ends_with("1 error in 1 of 1 manifest. Nothing was changed.\n"), "{text}");

    std::fs::write(dir.path().join("large.toml"), vec![b'#'; 1 << 20 | 1]).unwrap();
    std::fs::create_dir(dir.path().join("folder.toml")).unwrap();
    std::os::unix::fs::symlink("/nowhere", dir.path().join("dangling.toml")).unwrap();
    std::fs::write(dir.path().join("good.toml"), "[app]\nname = \"good\"\n").unwrap();
    let (status, text) = check(dir.path(), Format::Human);
    assert_eq!(status, 1);
    assert!(text.contains("large.toml: larger than 1 MiB"), "{text}");
    assert!(text.contains("folder.toml: not a regular file"), "{text}");
    assert!(text.contains("dangling.toml: no such file"), "{text}");
    assert!(text.ends_with("3 errors in 3 of 4 manifests. Nothing was changed.\n"), "{text}");
}

#[test]
fn an_empty_folder_is_said_to_be_empty() {
    let dir = tempfile::tempdir().unwrap();
    let (status, text) = check(dir.path(), Format::Human);
    assert_eq!((status, text), (0, format!("No manifests in {}.\n", dir.path().display())));
}

#[test]
fn a_manifest_with_errors_is_never_given_out() {
    for case in cases("bad") {
        for file in if case.is_dir() { vec![] } else { vec![case] } {
            let (manifest, diagnostics) = manifest::load(&file).unwrap();
            assert!(diagnostics.iter().any(|d| d.severity == Severity::Error), "{}", file.display());
            assert!(manifest.is_none(), "{}", file.display());
        }
    }
}

#[test]
fn of_very_many_mistakes_the_first_are_shown_and_the_others_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("many.toml");
    let keys: String = (0..200).map(|i| format!("key{i} = 1\n")).collect();
    std::fs::write(&file, format!("[app]\nname = \"many\"\n{keys}")).unwrap();
    let (status, text) = check(&file, Format::Human);
    assert_eq!(status, 1);
    assert!(text.contains("`key99`") && !text.contains("`key100`"));
    assert!(text.contains("= more: 100 more of this file are not shown"), "{text}");
    assert!(text.ends_with("100 errors in 1 of 1 manifest. Nothing was changed.\n"));
}
