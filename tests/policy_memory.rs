//! How much memory a policy takes: at most four times its file, the file's bytes included.
//!
//! A test binary of its own: what it measures is the whole process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::path::Path;

use perms::selinux::policy::Policy;

const POLICIES: [&str; 2] = ["/etc/selinux/default/policy/policy.33", "/etc/selinux/mls/policy/policy.33"];

/// The most memory that this process ever had at once, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_policy_takes_at_most_four_times_its_file() {
    for path in POLICIES.map(Path::new) {
        let Ok(file) = std::fs::metadata(path) else {
            support::skip(&format!("needs {}", path.display()));
            continue;
        };
        // The peak starts anew at what is in use.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = peak();
        let policy = Policy::open(path).unwrap();
        let used = peak() - before;
        eprintln!("{}: {} bytes, {used} at the peak", path.display(), file.len());
        assert!(used <= 4 * file.len(), "{}: {used} of {} bytes", path.display(), file.len());
        drop(policy);
    }
}
