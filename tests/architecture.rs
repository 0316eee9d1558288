//! The house stays as it was drawn: which room may use which, who may write to the host, and how big a file may be.
//!
//! Everything here is read off the text of src/, so that a message can name the line. Unit tests at the end of a
//! file are not looked at.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test ends at a surprise"
)]

#[path = "support/code.rs"]
mod code;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use code::{SourceFile, crate_paths, expand, source_files, within};

/// The rooms of src/, and what each may name of the others. An entry may be narrower than a room: `report::escape`
/// is that and what is below it. The order is that of the layers: a room uses only rooms above it, so there is no
/// circle. (`host` knows nothing of manifests, `plan` brings the two together; `audit` and `learn` change nothing.)
const ARROWS: &[(&str, &[&str])] = &[
    ("report", &[]),
    ("sys", &["report::escape"]),
    ("selinux", &["report", "sys"]),
    ("grants", &["report", "sys"]),
    // Of the policy language only what a name is: a log's may be anything.
    ("denials", &["report", "sys", "selinux::module"]),
    ("manifest", &["report", "grants"]),
    ("host", &["report", "sys", "grants", "selinux"]),
    ("rights", &["report", "sys", "grants", "selinux", "host"]),
    // What accounts can become, declared or not.
    ("escalation", &["report", "sys", "grants", "manifest", "host"]),
    ("plan", &["report", "sys", "grants", "selinux", "manifest", "host", "escalation"]),
    ("apply", &["report", "sys", "grants", "selinux", "host", "plan"]),
    ("audit", &["report", "sys", "grants", "selinux", "manifest", "host", "escalation", "plan"]),
    ("learn", &["report", "sys", "grants", "selinux", "denials", "manifest"]),
    ("trial", &["report", "sys", "grants", "selinux", "manifest", "host", "plan", "apply", "audit"]),
    (
        "cli",
        &[
            "report",
            "sys",
            "grants",
            "selinux",
            "denials",
            "manifest",
            "host",
            "rights",
            "escalation",
            "plan",
            "apply",
            "audit",
            "learn",
            "trial",
        ],
    ),
];

/// The rooms that change the host or write files. All others only read.
const WRITERS: &[&str] = &["sys", "apply", "trial", "cli"];

/// The rooms that run other programs (`host` asks getent, the others change the host by its own tools).
const RUNNERS: &[&str] = &["sys", "host", "apply", "trial", "cli"];

/// Rooms whose promise is that nothing is written: they may not even name the parts of sys that write.
const NEVER_WRITE: &[&str] = &[
    "host",
    "rights",
    "escalation",
    "plan",
    "audit",
    "denials",
    "learn",
    "grants",
    "selinux",
    "manifest",
    "report",
];

/// What writes, of std and of the crates for system calls, wherever it is called through a module's name.
const WRITING_CALLS: &str = "
    fs::write fs::remove_file fs::remove_dir fs::remove_dir_all fs::rename fs::create_dir
    fs::create_dir_all fs::copy fs::hard_link fs::set_permissions fs::symlink File::create
    File::create_new DirBuilder::new fs::mkdirat fs::unlinkat fs::renameat fs::renameat_with fs::linkat
    fs::symlinkat fs::mknodat fs::chmod fs::chmodat fs::fchmod fs::chown fs::chownat fs::fchown
    fs::fsetxattr fs::setxattr fs::lsetxattr fs::fremovexattr fs::removexattr fs::lremovexattr
    fs::ftruncate fs::utimensat fs::futimens fs::copy_file_range xattr::set xattr::set_deref xattr::remove xattr::remove_deref
    mount::mount mount::mount_bind mount::unmount
    unix::fs::chown unix::fs::fchown unix::fs::lchown
";

/// The longest a file may be, and what most (three in four) stay under.
const LONGEST: usize = 900;
const MOST: usize = 300;
/// A mod.rs says what its folder is for and what is public; work is done in files with a name.
const LONGEST_MOD: usize = 150;

/// Fails with all complaints at once.
#[track_caller]
fn none(complaints: Vec<String>, what_to_do: &str) {
    let mut text = String::new();
    for complaint in &complaints {
        writeln!(text, "  {complaint}").unwrap();
    }
    assert!(complaints.is_empty(), "{what_to_do}\n{text}");
}

#[test]
fn rooms_use_only_what_they_may() {
    let allowed = |room: &str| ARROWS.iter().find(|(name, _)| *name == room).map(|(_, may)| *may);
    let mut complaints = BTreeSet::new();
    for file in source_files().iter().filter(|f| !f.room.is_empty()) {
        let Some(may) = allowed(&file.room) else {
            complaints.insert(format!(
                "{}: the room `{}` has no line in ARROWS",
                file.path.display(),
                file.room
            ));
            continue;
        };
        for (at, path) in crate_paths(file) {
            let target = path.split("::").next().unwrap();
            let known = allowed(target).is_some();
            if known && target != file.room && !may.iter().any(|arrow| within(&path, arrow)) {
                complaints.insert(format!("{}: {} names crate::{path}", file.place(at), file.room));
            }
        }
    }
    none(
        complaints.into_iter().collect(),
        "these cross the house where no arrow leads (ARROWS in tests/architecture.rs). Move the code to the room that \
         may know both, or hand in what it needs from above; a new arrow needs a reason in the house's design",
    );
}

/// `super::super::…` that climbs out of its room would be an arrow that the test above does not see.
#[test]
fn rooms_are_left_by_name() {
    let mut complaints = Vec::new();
    for file in source_files().iter().filter(|f| !f.room.is_empty()) {
        let steps_out = file.module().len() + 1;
        let climb = "super::".repeat(steps_out);
        complaints.extend(file.code.match_indices(&climb).map(|(at, _)| file.place(at)));
    }
    none(complaints, "these leave their room by `super::`; say `crate::ROOM::` instead");
}

#[test]
fn the_arrows_make_no_circle() {
    for (number, (room, may)) in ARROWS.iter().enumerate() {
        for arrow in *may {
            let target = arrow.split("::").next().unwrap();
            let above = ARROWS[..number].iter().any(|(name, _)| *name == target);
            assert!(above, "ARROWS: `{room}` uses `{arrow}`, which is no room above it: sort the layers");
        }
    }
    let rooms: BTreeSet<String> =
        source_files().into_iter().map(|f| f.room).filter(|r| !r.is_empty()).collect();
    for (room, _) in ARROWS {
        assert!(rooms.contains(*room), "ARROWS: there is no src/{room}/ any more: take its line out");
        let listed = WRITERS.contains(room) != NEVER_WRITE.contains(room);
        assert!(listed, "`{room}` is to stand in one of WRITERS and NEVER_WRITE");
    }
}

/// Where the code calls something that writes.
fn writing_calls(file: &SourceFile) -> Vec<(usize, &'static str)> {
    let mut calls = Vec::new();
    for call in WRITING_CALLS.split_whitespace() {
        for (at, _) in file.code.match_indices(call) {
            let name = |c: char| c.is_alphanumeric() || c == '_';
            if !file.code[..at].ends_with(name) && !file.code[at + call.len()..].starts_with(name) {
                calls.push((at, call));
            }
        }
    }
    calls
}

#[test]
fn only_writers_write() {
    let mut complaints = Vec::new();
    for file in source_files().iter().filter(|f| !WRITERS.contains(&f.room.as_str())) {
        for (at, call) in writing_calls(file) {
            complaints.push(format!("{}: {call}", file.place(at)));
        }
        for import in ["use std::fs::OpenOptions", "OpenOptions::new().write", ".set_permissions("] {
            complaints.extend(
                file.code.match_indices(import).map(|(at, _)| format!("{}: {import}", file.place(at))),
            );
        }
    }
    none(
        complaints,
        &format!(
            "only {} write. Let the room say what is to be done, as data, and apply or cli do it",
            WRITERS.join(", ")
        ),
    );
}

/// The modules of sys that write, found by what they call, and the names that sys/mod.rs lends of them.
fn writing_names_of_sys(files: &[SourceFile]) -> BTreeSet<String> {
    let sys: Vec<&SourceFile> = files.iter().filter(|f| f.room == "sys").collect();
    let mut writing: BTreeSet<String> = sys
        .iter()
        .filter(|f| !writing_calls(f).is_empty() && !f.module().is_empty())
        .map(|f| f.module().join("::"))
        .collect();
    for root in sys.iter().filter(|f| f.module().is_empty()) {
        for (at, _) in root.code.match_indices("pub use ") {
            let mut lent = Vec::new();
            expand(
                root.code[at + "pub use ".len()..].trim_start().trim_start_matches("self::"),
                "",
                &mut lent,
            );
            for path in lent {
                if writing.iter().any(|module| within(&path, module)) {
                    writing.insert(path.rsplit("::").next().unwrap().to_owned());
                }
            }
        }
    }
    writing
}

#[test]
fn readers_cannot_reach_what_writes() {
    let files = source_files();
    let writing = writing_names_of_sys(&files);
    assert!(writing.contains("write"), "src/sys/write.rs is not seen to write: WRITING_CALLS has gone stale");
    let mut complaints = Vec::new();
    for file in files.iter().filter(|f| NEVER_WRITE.contains(&f.room.as_str())) {
        for (at, path) in crate_paths(file) {
            let Some(name) = path.strip_prefix("sys::") else { continue };
            if writing.iter().any(|w| within(name, w)) {
                complaints.push(format!(
                    "{}: {} names crate::sys::{name}, which writes",
                    file.place(at),
                    file.room
                ));
            }
            if name == "*" {
                complaints.push(format!("{}: name what you take of crate::sys, not `*`", file.place(at)));
            }
        }
    }
    none(
        complaints,
        "`perms audit` has no way to write, by structure: its rooms may use only the modules of sys that read. Where one \
         module does both, split it",
    );
}

#[test]
fn few_run_programs() {
    let mut complaints = Vec::new();
    for file in source_files().iter().filter(|f| !RUNNERS.contains(&f.room.as_str())) {
        for call in ["process::Command", "Command::new"] {
            complaints
                .extend(file.code.match_indices(call).map(|(at, _)| format!("{}: {call}", file.place(at))));
        }
        let paths = crate_paths(file).into_iter().filter(|(_, path)| within(path, "sys::run"));
        complaints.extend(paths.map(|(at, path)| format!("{}: crate::{path}", file.place(at))));
    }
    none(
        complaints,
        &format!("a program may do anything, so only {} run one (by crate::sys::run)", RUNNERS.join(", ")),
    );
}

#[test]
fn files_are_of_a_size_to_read() {
    let files = source_files();
    let mut sizes: Vec<(usize, &Path)> =
        files.iter().map(|f| (f.text.lines().count(), f.path.as_path())).collect();
    sizes.sort();
    let over = sizes.iter().filter(|(lines, _)| *lines > LONGEST);
    none(
        over.map(|(lines, path)| format!("{}: {lines} lines", path.display())).collect(),
        &format!("no file is longer than {LONGEST} lines: split by what a reader looks for"),
    );
    let heavy = files.iter().filter(|f| f.path.ends_with("mod.rs")).filter_map(|file| {
        let lines = file.code.lines().filter(|line| !line.trim().is_empty()).count();
        (lines > LONGEST_MOD).then(|| format!("{}: {lines} lines of code", file.path.display()))
    });
    none(
        heavy.collect(),
        &format!(
            "no mod.rs has more than {LONGEST_MOD} lines of code: it is the map of its folder; move the work to a \
             file with a name"
        ),
    );
    let three_quarters = sizes[sizes.len() * 3 / 4];
    assert!(
        three_quarters.0 <= MOST,
        "three files in four stay under {MOST} lines; now one in four is as long as {} ({} lines) or longer",
        three_quarters.1.display(),
        three_quarters.0
    );
}

#[test]
fn files_say_what_they_are_for() {
    let mut complaints = Vec::new();
    for file in source_files() {
        let head = file.text.lines().take_while(|l| l.starts_with("//!"));
        let head: String = head.map(|l| l.trim_start_matches("//!").trim()).collect::<Vec<_>>().join(" ");
        // A file that is still empty has nothing to explain.
        let sentence = head.split_whitespace().count() >= 3 && head.contains(['.', ':']);
        if head.is_empty() || !sentence && file.text.lines().count() > 10 {
            complaints.push(file.path.display().to_string());
        }
    }
    none(complaints, "each file begins with `//!` and a sentence that says what it is for");
}

#[test]
fn every_page_of_findings_is_reachable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings");
    let mut pages = 0;
    let mut complaints = Vec::new();
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        pages += 1;
        let below = entry.path().strip_prefix(&root).unwrap();
        let id = below.with_extension("").to_str().unwrap().replace('/', "::");
        let markdown = below.extension().is_some_and(|e| e == "md");
        if !markdown || perms::report::codes::find(&id).is_none_or(|code| code.id != id) {
            complaints.push(format!("docs/findings/{}: there is no code `{id}`", below.display()));
        }
    }
    assert!(pages > 0, "docs/findings was not found");
    none(
        complaints,
        "`perms explain CODE` shows a page by its code. Add the code to src/report/codes/AREA.rs (and the area to all()), \
         or take the page out",
    );
}

#[test]
fn this_test_reads_code_as_it_is() {
    let text = "//! crate::a
let s = \"crate::b // \\\" x\"; /* crate::c /* */ crate::d */ let c = '\"'; let r = r#\"crate::e\"#;
fn f<'a>(x: &'a crate::f::G) {}
use crate::{h::{I, j}, k as l};
#[cfg(test)]
mod tests { use crate::m; }";
    let file = SourceFile::new(PathBuf::from("src/room/file.rs"), text.to_owned());
    let found = crate_paths(&file);
    let found: Vec<(usize, &str)> =
        found.iter().map(|(at, path)| (file.line_of(*at), path.as_str())).collect();
    assert_eq!(found, [(3, "f::G"), (4, "h::I"), (4, "h::j"), (4, "k")]);
}
