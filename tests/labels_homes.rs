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

use perms::selinux::contexts::homes::{Homes, Person, SelinuxUser};

/// SELinux users by login, and their prefixes, from the policy store.
fn homes(store: &Path) -> Homes {
    let read = |name: &str| std::fs::read_to_string(store.join(name)).unwrap();
    let (seusers, extra) = (read("seusers"), read("users_extra"));
    let prefix = |user: &str| {
        let line = extra.lines().find(|l| l.starts_with(&format!("user {user} prefix ")));
        line.and_then(|l| l.split_whitespace().nth(3)).map_or("user", |p| p.trim_end_matches(';')).to_owned()
    };
    let user = |name: &str| SelinuxUser {
        name: name.to_owned(),
        prefix: prefix(name),
        level: Some("s0".to_owned()),
        prefix_is_role: false,
    };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let mut homes = Homes { roots: vec!["/home".into()], ..Homes::default() };
    let mut lines: Vec<Vec<&str>> = seusers.lines().map(|l| l.splitn(3, ':').collect()).collect();
    lines.sort();
    for fields in lines {
        if fields[0] == "__default__" {
            homes.fallback = Some(user(fields[1]));
        } else if let Some(line) = passwd.lines().find(|l| l.starts_with(&format!("{}:", fields[0]))) {
            let account: Vec<&str> = line.split(':').collect();
            homes.people.push(Person {
                name: fields[0].to_owned(),
                uid: account[2].to_owned(),
                home: account[5].to_owned(),
                selinux: user(fields[1]),
            });
        }
    }
    homes
}

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
        let ours: Vec<String> = homes(&store).expand(&template).into_iter().map(|(_, line)| line).collect();
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{policy}");
        }
        assert_eq!(ours.len(), theirs.len());
    }
}
