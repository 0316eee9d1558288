//! A hostile policy file is an error or a valid policy, never a panic, and never much memory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::path::Path;

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

#[test]
fn truncations_of_a_whole_policy_are_errors() {
    if !Path::new(DEBIAN).exists() {
        support::skip("needs selinux-policy-mls");
        return;
    }
    let bytes = std::fs::read(DEBIAN).unwrap();
    for len in (0..bytes.len()).step_by(bytes.len() / 150) {
        assert!(!read(&bytes[..len]), "cut to {len} bytes");
    }
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
