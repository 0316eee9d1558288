//! The one transaction, killed at any moment with all that it started: the policy store is whole, `perms plan` tells what
//! is left, and `perms apply` finishes it. On a copy of this machine's store.
//!
//! `PERMS_CASES` sets at how many moments it is killed (4 without it), spread over the time that a whole run takes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test ends at a surprise")]

mod support;

use std::fmt::Write as _;
use std::time::Instant;

use support::store::{Store, said};

/// What of the transaction is in the store: 50 specifications, 2 ports, a module.
const STATE: &str = "(semanage export | grep -E 'many|tcp 1700[12]'; semodule -lfull | grep '^500') | wc -l";
const WHOLE: &str = "53";

fn store() -> Option<Store> {
    let store = Store::new()?;
    store.write("many.cil", "(type many_content_t)\n(roletype object_r many_content_t)\n");
    let mut manifest = "[app]\nname = \"many\"\nuser = \"www-data\"\n[selinux]\n\
        ports = [{ protocol = \"tcp\", port = 17001, type = \"http_port_t\" }, { protocol = \"tcp\", port = 17002, type = \"http_port_t\" }]\n\
        [[selinux.module]]\ncil = \"many.cil\"\n"
        .to_owned();
    for n in 0..50 {
        write!(
            manifest,
            "[[selinux.label]]\npaths = \"/srv/many/{n}(/.*)?\"\ntype = \"httpd_sys_content_t\"\n"
        )
        .unwrap();
    }
    store.write("many.toml", &manifest);
    Some(store)
}

fn count(store: &Store) -> String {
    String::from_utf8(store.bash(STATE).stdout).unwrap().trim().to_owned()
}

#[test]
fn killed_at_any_moment_the_store_is_whole() {
    let Some(whole) = store() else { return };
    let start = Instant::now();
    let applied = whole.bash("perms apply --yes");
    assert!(applied.status.success(), "{}", said(&applied));
    let takes = start.elapsed().as_secs_f64();
    assert_eq!(count(&whole), WHOLE);
    let moments: u32 = std::env::var("PERMS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    for n in 1..=moments {
        let Some(store) = store() else { return };
        // A process namespace of its own: whoever is in it dies with its first.
        let after = takes * f64::from(n) / f64::from(moments + 1);
        let killed = format!(
            "timeout -s KILL {after:.2} unshare --pid --fork --kill-child bash -c 'perms apply --yes'"
        );
        let killed = store.bash(&killed);
        let there = count(&store);
        let plan = store.bash("perms plan");
        let told = String::from_utf8_lossy(&plan.stdout);
        match (there.as_str(), plan.status.code()) {
            ("0", Some(4)) => assert!(told.contains("+ selinux  module many"), "{}", said(&plan)),
            (WHOLE, Some(0 | 4)) => assert!(!told.contains("module many"), "{}", said(&plan)),
            other => {
                panic!("killed after {after:.1} s: {other:?} in the store\n{}{}", said(&killed), said(&plan))
            }
        }
        eprintln!(
            "killed after {after:.1} of {takes:.1} s: {there} in the store, plan {:?}",
            plan.status.code()
        );
        let finished = store.bash("perms apply --yes && perms plan");
        assert!(finished.status.success(), "{}", said(&finished));
        assert_eq!(count(&store), WHOLE);
    }
}

/// The store has all of it, and the files not yet: what is left is told, and done.
#[test]
fn killed_after_the_store_was_changed_the_files_are_left_to_do() {
    let Some(store) = store() else { return };
    let killed = store.bash(
        r#"mkdir -p /srv/many/7; touch /srv/many/7/{1..2000}
        for f in /srv/many/7 /srv/many/7/*; do setfattr -n security.selinux -v system_u:object_r:var_t:s0 $f || exit 9; done
        unshare --pid --fork --kill-child bash -c 'perms apply --yes' & p=$!
        until grep -qs many/49 /var/lib/selinux/default/active/file_contexts.local; do sleep 0.005; done
        kill -KILL $p; wait $p"#,
    );
    if killed.status.code() == Some(9) {
        support::skip("needs labels to be set");
        return;
    }
    // The module comes by a transaction of its own, before or after.
    let there = count(&store);
    assert!(there == WHOLE || there == "52", "{there}: {}", said(&killed));
    let plan = store.bash("perms plan");
    let told = String::from_utf8_lossy(&plan.stdout);
    assert_eq!(plan.status.code(), Some(4), "{}", said(&plan));
    assert!(told.contains("/srv/many/7") && told.contains("httpd_sys_content_t"), "{}", said(&plan));
    let finished = store.bash("perms apply --yes && perms plan && perms audit");
    assert!(finished.status.success(), "{}", said(&finished));
    assert_eq!(count(&store), WHOLE);
}
