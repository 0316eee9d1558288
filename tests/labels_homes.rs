//! Templates of home directories, against the files that libsemanage wrote for Debian's policies on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::path::Path;

use perms::host::homes::homes;
use perms::sys::Root;

#[test]
fn homes_are_expanded_as_libsemanage_expanded_them() {
    for policy in ["default", "mls"] {
        let store = Path::new("/var/lib/selinux").join(policy).join("active");
        let Ok(template) = std::fs::read_to_string(store.join("homedir_template")) else {
            support::skip(&format!("needs to read {}", store.display()));
            continue;
        };
        let written = std::fs::read_to_string(store.join("file_contexts.homedirs")).unwrap();
        let theirs: Vec<&str> = written.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        let ours: Vec<String> = homes(&Root::open(Path::new("/")).unwrap(), policy)
            .expand(&template)
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{policy}");
        }
        assert_eq!(ours.len(), theirs.len());
    }
}
