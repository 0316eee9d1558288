//! How fast specifications are made ready and asked: `cargo bench --bench labels`. `benches/labels.sh` sets it beside
//! libselinux.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

use std::hint::black_box;
use std::os::unix::ffi::OsStrExt as _;

use divan::Bencher;
use divan::counter::ItemsCount;
use perms::selinux::contexts::{FileContexts, FileKind, Files, Precedence, Text};

const FILE: &str = "/etc/selinux/default/contexts/files/file_contexts";
const RULES: [Precedence; 2] = [Precedence::Before3_8, Precedence::Since3_9];

fn main() {
    divan::main();
}

fn bytes() -> Vec<Vec<u8>> {
    let read = |suffix| std::fs::read(format!("{FILE}{suffix}")).unwrap_or_default();
    let all = ["", ".homedirs", ".subs_dist"].map(read).to_vec();
    assert!(!all[0].is_empty(), "{FILE}: install selinux-policy-default");
    all
}

fn contexts(bytes: &[Vec<u8>], precedence: Precedence) -> FileContexts {
    let [main, homedirs, subs_dist] = bytes else { panic!("three files") };
    let files = Files {
        main: Some(Text::new("file_contexts", main)),
        homedirs: Some(Text::new("homedirs", homedirs)),
        subs_dist: Some(Text::new("subs_dist", subs_dist)),
        ..Files::default()
    };
    FileContexts::new(files, precedence)
}

/// Paths of this machine.
fn paths() -> Vec<(Vec<u8>, Option<FileKind>)> {
    let walk = |top: &str| walkdir::WalkDir::new(top).sort_by_file_name().into_iter().filter_map(Result::ok);
    let kind = |t: std::fs::FileType| match t {
        t if t.is_dir() => FileKind::Directory,
        t if t.is_symlink() => FileKind::Link,
        _ => FileKind::File,
    };
    ["/etc", "/usr", "/var"]
        .into_iter()
        .flat_map(|top| walk(top).take(40_000))
        .map(|e| (e.path().as_os_str().as_bytes().to_vec(), Some(kind(e.file_type()))))
        .collect()
}

/// From bytes to the first answer.
#[divan::bench(args = RULES, sample_count = 20)]
fn ready(bencher: Bencher<'_, '_>, precedence: Precedence) {
    let bytes = bytes();
    bencher.bench(|| {
        let contexts = contexts(&bytes, precedence);
        black_box(contexts.lookups().lookup(b"/etc/shadow", None).context().map(str::len))
    });
}

/// Once all states are made.
#[divan::bench(args = RULES)]
fn warm(bencher: Bencher<'_, '_>, precedence: Precedence) {
    let bytes = bytes();
    let contexts = contexts(&bytes, precedence);
    let paths = paths();
    let mut lookups = contexts.lookups();
    let mut all = || {
        paths.iter().filter(|(path, kind)| black_box(lookups.lookup(path, *kind)).context().is_some()).count()
    };
    all();
    bencher.counter(ItemsCount::new(paths.len())).bench_local(all);
}

/// The first walk over a machine: states are made on the way.
#[divan::bench(args = RULES, sample_count = 10)]
fn cold(bencher: Bencher<'_, '_>, precedence: Precedence) {
    let bytes = bytes();
    let contexts = contexts(&bytes, precedence);
    let paths = paths();
    bencher.counter(ItemsCount::new(paths.len())).bench(|| {
        let mut lookups = contexts.lookups();
        paths.iter().filter(|(path, kind)| lookups.lookup(path, *kind).context().is_some()).count()
    });
}
