//! A hostile policy file is an error or a valid policy, never a panic, and never much memory.
//!
//! `PERMS_CASES` sets how many truncations and changes of a whole policy are tried (150 of each without it), `PERMS_POLICY`
//! of which (Debian's for MLS without it).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use perms::selinux::policy::{Command, New, Package, Policy, Query};

const SMALL: [&str; 3] = [
    "tests/policies/features.24",
    "tests/policies/features-nomls.33",
    "tests/policies/features-conditional-xperms.35",
];
const DEBIAN: &str = "/etc/selinux/mls/policy/policy.33";

/// Asks a policy a bit of everything, so that what it refers to is followed.
fn use_it(policy: &Policy, bytes: &[u8]) {
    assert!(policy.write() == bytes, "a policy that is read is written back as it was");
    policy.search(&Query::default()).len();
    let view = policy.view();
    let contexts: Vec<_> = policy.object_contexts().initial_sids.iter().map(|s| &s.context).collect();
    for s in &contexts {
        let text = policy.context_text(s);
        let _ = policy.parse_context(&text);
        for t in &contexts {
            for class in policy.classes().iter() {
                let access = view.access(s, t, class.id);
                policy.permission_names(class.id, access.allowed);
                view.may_relabel(s, t, s, class.id);
                view.extended_access(s, t, class.id, Command::Ioctl(0x5401));
                for new in [New::Created, New::Member, New::Changed] {
                    let made = view.new_context(new, s, t, class.id, Some(b"logs"));
                    let _ = policy.check_context(&made);
                }
            }
        }
    }
    for ty in policy.types().iter() {
        policy.expand(ty.id);
    }
}

fn read(bytes: &[u8]) -> bool {
    match Policy::read(bytes) {
        Ok(policy) => {
            use_it(&policy, bytes);
            true
        }
        Err(e) => {
            assert!(e.offset <= bytes.len(), "{e}");
            assert!(e.to_string().len() < 400, "{e}");
            false
        }
    }
}

#[test]
fn every_truncation_of_a_small_policy_is_an_error() {
    for path in SMALL {
        let bytes = std::fs::read(path).unwrap();
        for len in 0..bytes.len() {
            assert!(!read(&bytes[..len]), "{path} cut to {len} bytes");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(!read(&longer), "{path} with a byte more");
    }
}

/// How many cases of a whole policy are tried.
fn cases(default: usize) -> usize {
    std::env::var("PERMS_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(default)
}

/// A whole policy's path.
fn whole() -> String {
    std::env::var("PERMS_POLICY").unwrap_or_else(|_| DEBIAN.to_owned())
}

fn whole_bytes() -> Option<Vec<u8>> {
    if !Path::new(&whole()).exists() {
        support::skip("needs selinux-policy-mls");
        return None;
    }
    Some(std::fs::read(whole()).unwrap())
}

/// Does it for each number below `n`, on all processors.
fn each_below(n: usize, call: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= n {
                        break;
                    }
                    call(i);
                }
            });
        }
    });
}

/// All of them with `PERMS_CASES` as great as the file; else so many at equal distances.
#[test]
fn truncations_of_a_whole_policy_are_errors() {
    let Some(bytes) = whole_bytes() else { return };
    let count = cases(150).min(bytes.len());
    each_below(count, |i| {
        let len = (i as u128 * bytes.len() as u128 / count as u128) as usize;
        assert!(!read(&bytes[..len]), "cut to {len} bytes");
    });
    eprintln!("{count} truncations of {}", whole());
}

/// `PERMS_CASES` changes of one byte each, anywhere.
#[test]
fn no_single_byte_of_a_whole_policy_brings_the_reader_down() {
    let Some(bytes) = whole_bytes() else { return };
    let count = cases(150);
    let valid = AtomicUsize::new(0);
    each_below(count, |i| {
        // Each place by a number that has nothing to do with the one before (SplitMix64).
        let mut random = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^= random >> 31;
        let mut changed = bytes.clone();
        changed[(random >> 8) as usize % bytes.len()] ^= (random as u8).max(1);
        match Policy::read(&changed) {
            Ok(policy) => {
                valid.fetch_add(1, Ordering::Relaxed);
                assert!(policy.write() == changed, "case {i}: a policy is written back as it was read");
                let view = policy.view();
                let sids = &policy.object_contexts().initial_sids;
                for class in policy.classes().iter() {
                    view.access(&sids[0].context, &sids[i % sids.len()].context, class.id);
                }
            }
            Err(e) => assert!(e.offset <= changed.len() && e.to_string().len() < 400, "case {i}: {e}"),
        }
    });
    eprintln!("{count} changed policies, {} of them valid", valid.into_inner());
}

#[test]
fn no_single_byte_brings_the_reader_down() {
    for path in SMALL {
        let bytes = std::fs::read(path).unwrap();
        let mut valid = 0;
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                valid += usize::from(read(&changed));
            }
        }
        eprintln!("{path}: {valid} of {} changed policies are valid", bytes.len() * 3);
    }
}

/// Counts of four bytes set to the greatest number, wherever they may stand: refused without asking for that memory.
#[test]
fn no_count_sizes_an_allocation() {
    for path in SMALL {
        let bytes = std::fs::read(path).unwrap();
        for at in 0..bytes.len() - 4 {
            for value in [u32::MAX, 0x7fff_ffff, 0x0100_0000, 0x0001_0000] {
                let mut changed = bytes.clone();
                changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
                read(&changed);
            }
        }
    }
}

#[test]
fn packages_cut_or_changed_are_errors_or_packages() {
    let path = "/usr/share/selinux/default/apache.pp.bz2";
    if !Path::new(path).exists() {
        support::skip("needs selinux-policy-default");
        return;
    }
    let bytes = perms::selinux::policy::read_file(Path::new(path)).unwrap();
    let package = Package::read(&bytes).unwrap();
    assert_eq!((&*package.module.name, &*package.module.version), ("apache", "1"));
    assert!(package.file_contexts.starts_with(b"HOME_DIR"), "{:?}", package.file_contexts.get(..40));
    let error = Policy::read(&bytes).unwrap_err().to_string();
    assert!(error.starts_with("expected a kernel policy, found a policy package (.pp)"), "{error}");
    for at in 0..120 {
        assert!(Package::read(&bytes[..at]).is_err());
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let _ = Package::read(&changed);
        }
    }
}
