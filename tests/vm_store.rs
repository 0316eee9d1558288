//! The one transaction on a real policy store: killed at any moment, the store is whole, `perms plan` tells what is left,
//! and `perms apply` finishes it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use support::vm::{RunSpec, Vm};

/// Some of everything; a module among it, so that the policy is linked anew.
const SET_UP: &str = r##"set -e
printf 'tcp 6 TCP\nudp 17 UDP\n' > /etc/protocols
mkdir -p /etc/perms.d /srv/many
echo '(type many_content_t) (roletype object_r many_content_t) (typeattributeset file_type (many_content_t))' > /etc/perms.d/many.cil
{
    printf '[app]\nname = "many"\nuser = "www-data"\n[selinux]\nbooleans = { httpd_can_network_connect = true, httpd_can_sendmail = true }\n'
    printf 'ports = [{ protocol = "tcp", port = 7001, type = "http_port_t" }, { protocol = "tcp", port = 7002, type = "http_port_t" }]\n'
    printf '[[selinux.module]]\ncil = "many.cil"\n'
    for n in $(seq 50); do printf '[[selinux.label]]\npaths = "/srv/many/%s(/.*)?"\ntype = "httpd_sys_content_t"\n' $n; done
} > /etc/perms.d/many.toml
cat > /root/state <<'X'
semanage export | grep -E 'http|many'
semodule -lfull | grep '^500'
X
"##;

/// Runs `perms apply`, kills it and all that it started after some seconds, and looks: the store must still be read
/// by semanage, hold the transaction whole or not at all, and the plan must say what is left.
const KILL: &str = r##"
setsid bash -c 'perms apply --yes > /run/applied 2>&1' &
sleep SECONDS
for p in $(ps -eo pid=,comm= | awk '$2 ~ /^(perms|semanage|semodule|load_policy|setfiles|setsebool|pp|checkmodule)$/ { print $1 }'); do kill -9 $p; done
wait
# Whole, or not at all: all of these are in one transaction.
n=$(bash /root/state | wc -l)
perms plan > /run/plan 2>&1; s=$?
echo "after SECONDS s: $n in the store, plan $s: $(grep -c selinux /run/plan) selinux"
case $n/$s in 0/4) grep -q 'module many' /run/plan ;; 55/0|55/4) ;; *) cat /run/plan; false ;; esac
"##;

#[test]
fn killed_at_any_moment_the_store_is_whole() {
    let Some(vm) = Vm::get() else { return };
    let kill = |seconds: &str| KILL.replace("SECONDS", seconds);
    let [set_up, first, second, third, fourth, finished, planned, state] = vm.steps(
        RunSpec::argv([]).timeout(std::time::Duration::from_secs(2400)),
        [
            SET_UP,
            &kill("0.5"),
            &kill("8"),
            // Where the transaction ends differs from machine to machine: from the middle of it on, later and later.
            &r##"for t in 16 24 32 40 48; do (KILL) || exit 1; [ "$(bash /root/state | wc -l)" = 0 ] || break; done"##
                .replace("KILL", &KILL.replace("SECONDS", "$t")),
            "ls -d /var/lib/selinux/default/*; perms rollback; s=$?; bash /root/state; exit $s",
            "perms apply --yes",
            "perms plan",
            "bash /root/state | wc -l",
        ],
    );
    set_up.expect(0);
    for killed in [&first, &second, &third] {
        killed.expect(0);
    }
    assert!(fourth.stdout.lines().all(|l| !l.contains("many") || l.starts_with('/')), "{third}{fourth}");
    finished.expect(0);
    planned.expect(0);
    assert_eq!(state.stdout.trim(), "55", "{state}");
}
