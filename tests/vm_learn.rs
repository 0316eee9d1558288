//! Denials provoked on a real SELinux host, learnt from, mended, and provoked again under enforcing: what the
//! application needs works, and of a hundred other operations nothing does that was denied before, but what the
//! report said would be opened.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use support::vm::{RunSpec, Vm};

/// What the application of the test does, each the case of another remedy: relabel, a specification with a label of the
/// domain's own family, port, boolean, and a rule.
const NEEDS: &[&str] =
    &["read /var/www/html/site/page", "append /srv/state/log", "bind 31337", "connect 5432", "syslog"];

/// What may pass afterwards and is none of the needs: the boolean opens all databases' ports, and the report says so.
const OPENED_BESIDE: &[&str] = &["connect 3306"];

const SETUP: &str = r##"set -e
lab=/usr/local/lib/perms-lab
restorecon -R $lab
mkdir -p /srv/state /home/alice/site /tmp/lab /srv/empty
echo page > /home/alice/site/page
mv /home/alice/site /var/www/html/site
chmod -R a+rX /var/www
chmod 777 /srv/state /tmp/lab
touch /tmp/lab/file
cp /usr/bin/python3 /usr/local/sbin/app
chcon -t httpd_exec_t /usr/local/sbin/app
# semanage needs it for ports, and the guest has none.
printf 'tcp 6 TCP\nudp 17 UDP\n' > /etc/protocols
cat > /usr/local/sbin/in-httpd <<'X'
#!/bin/bash
# in-httpd NAME OPERATION…: one operation, or all, in httpd_t
name=$1; shift
systemd-run --wait --collect --quiet -u "$name" /usr/local/sbin/app /usr/local/lib/perms-lab/probe.py "$@"
sleep 0.2
journalctl -u "$name" -o cat --no-pager | sed -n 's/^\(.*[^ ]\)  \+\([^ ].*\)$/RESULT\t\1\t\2/p'
X
chmod 755 /usr/local/sbin/in-httpd
"##;

fn needs(name: &str) -> String {
    NEEDS.iter().enumerate().map(|(i, need)| format!("in-httpd {name}-{i} {need}\n")).collect()
}

/// `OPERATION → RESULT` of the lines that `in-httpd` wrote.
fn results(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|l| l.strip_prefix("RESULT\t")?.split_once('\t'));
    lines.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn denied(results: &BTreeMap<String, String>) -> BTreeSet<String> {
    let refused = |r: &String| r == "Permission denied" || r == "Operation not permitted";
    results.iter().filter(|(_, r)| refused(r)).map(|(op, _)| op.clone()).collect()
}

#[test]
fn what_was_learnt_lets_the_application_work_and_nothing_else() {
    let Some(vm) = Vm::get() else { return };
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm/lab");
    let spec = RunSpec::argv([]).put(lab, "/usr/local/lib/perms-lab").timeout(Duration::from_secs(1800));
    let before = needs("before");
    let after = needs("after");
    // All that is needed shows only where nothing is held back; then the log is learnt from, and all is enforced again.
    let provoke = format!(
        ": > /var/log/audit/audit.log\nsetenforce 0\n{}setenforce 1\nsleep 1\ncp /var/log/audit/audit.log /root/needs.log",
        needs("loose")
    );
    let learn = "perms learn --prove --install --yes --format json -o /root/fixes /root/needs.log > /root/report.json; \
                 echo status $?; cat /root/report.json";
    let mend = r#"python3 - <<'X' > /root/mend
import json
for group in json.load(open("/root/report.json"))["groups"]:
    for fix in group["fixes"]:
        print(*fix["steps"], sep="\n")
X
cat /root/mend; sh -e /root/mend; getenforce"#;
    let again = ": > /var/log/audit/audit.log; sleep 0.5";
    let leftover = "sleep 1; perms learn --no-policy --format json /var/log/audit/audit.log";
    let steps = [
        SETUP,
        &before,
        "in-httpd battery-1 all",
        &provoke,
        learn,
        mend,
        again,
        &after,
        leftover,
        "in-httpd battery-2 all",
    ];
    let [setup, first, battery, provoked, learnt, mended, _, second, left, last] = vm.steps(spec, steps);
    setup.expect(0);
    provoked.expect(0);

    let first = results(&first.stdout);
    assert_eq!(first.len(), NEEDS.len(), "{first:?}");
    assert_eq!(denied(&first).len(), NEEDS.len(), "everything is denied at first: {first:?}");

    assert!(learnt.stdout.contains("status 0"), "{learnt}");
    let report: serde_json::Value =
        serde_json::from_str(learnt.stdout.split_once("status 0\n").unwrap().1).unwrap();
    let replay = &report["replay"];
    assert_eq!(replay["asked"], replay["allowed"], "{replay}");
    let proofs = report["proofs"].as_array().unwrap();
    assert!(!proofs.is_empty() && proofs.iter().all(|p| p["returns"].is_u64()), "{proofs:?}");
    let fixes = report["groups"].as_array().unwrap().iter().flat_map(|g| g["fixes"].as_array().unwrap());
    let kinds: BTreeSet<&str> = fixes.map(|f| f["remedy"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["boolean", "fcontext", "port", "relabel"]), "{report:#}");
    mended.expect(0);
    assert!(mended.stdout.trim_end().ends_with("Enforcing"), "{mended}");

    let second = results(&second.stdout);
    assert_eq!(denied(&second), BTreeSet::new(), "{second:?}\n{}", left.stdout);
    assert_eq!(second.len(), NEEDS.len(), "{second:?}");

    // The battery: what passes now and did not before was needed, or was said to be opened.
    let (one, two) = (results(&battery.stdout), results(&last.stdout));
    assert!(one.len() > 80 && one.len() == two.len(), "{} and {} results", one.len(), two.len());
    let opened: BTreeSet<String> = denied(&one).difference(&denied(&two)).cloned().collect();
    let expected: BTreeSet<String> = NEEDS.iter().chain(OPENED_BESIDE).map(|n| (*n).to_owned()).collect();
    let more: Vec<&String> = opened.difference(&expected).collect();
    assert!(more.is_empty(), "passes now and was not to: {more:?}");
}
