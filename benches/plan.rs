//! A plan over a tree of 100,000 files, all of them in accordance, and none of them: `cargo bench --bench plan`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a benchmark ends at a surprise")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use perms::host::Host;
use perms::manifest::{self, Manifest};
use perms::plan::Plan;
use perms::report::Source;
use perms::sys::Root;

const FILES: usize = 100_000;

struct Tree {
    dir: tempfile::TempDir,
}

static TREE: OnceLock<Tree> = OnceLock::new();

fn main() {
    divan::main();
}

fn tree() -> &'static Path {
    TREE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        std::fs::write(etc.join("passwd"), "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n")
            .unwrap();
        std::fs::write(etc.join("group"), "root:x:0:\nalice:x:1000:\n").unwrap();
        for i in 0..FILES {
            let folder: PathBuf = dir.path().join(format!("srv/{}/{}", i % 10, i % 1000));
            if i < 1000 {
                std::fs::create_dir_all(&folder).unwrap();
            }
            std::fs::write(folder.join(i.to_string()), "").unwrap();
        }
        Tree { dir }
    })
    .dir
    .path()
}

fn plan(keys: &str) -> usize {
    let text = format!(
        "[app]\nname = \"a\"\nuser = \"alice\"\n\n[[path]]\npath = \"/srv\"\nrecursive = true\n{keys}\n"
    );
    let (manifest, _) = manifest::parse(&Source::new("bench.toml", text));
    let manifest: Manifest = manifest.expect("the manifest of the benchmark");
    let mut host = Host::observe(Root::open(tree()).unwrap()).unwrap();
    let plan = Plan::make(vec![manifest], &mut host, &|_| ());
    assert!(plan.seen > FILES);
    plan.changes().len()
}

/// Everything is as declared: what `audit` does from cron.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn in_accordance() {
    let mode = "mode = \"u=rwX,g=rX,o=rX\"";
    tree();
    assert_eq!(divan::black_box(plan(mode)), 0);
}

/// Every file lacks an entry: the first plan.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn nothing_in_accordance() {
    tree();
    assert!(divan::black_box(plan("access = \"write\"")) > FILES);
}
