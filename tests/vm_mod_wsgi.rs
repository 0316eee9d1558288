//! Use case 2 on a real SELinux host: a project's labels, booleans and port are declared, applied in one transaction,
//! used by a confined server, audited, drift in each way there is, and are taken back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::BTreeSet;

use support::vm::{Output, RunSpec, Vm};

/// The template's manifest and module, in place before anything runs; and a WSGI daemon that tries what it may not.
fn spec() -> RunSpec {
    let here = |path: &str| format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    RunSpec::argv([])
        .put(here("policy-templates/mod_wsgi/manifest.toml"), "/etc/perms.d/projectname.toml")
        .put(here("policy-templates/mod_wsgi/projectname_wsgi.te"), "/etc/perms.d/projectname_wsgi.te")
        .put(here("policy-templates/mod_wsgi/projectname_wsgi.fc"), "/etc/perms.d/projectname_wsgi.fc")
        .put(here("tests/vm/lab/wsgi-daemon"), "/usr/local/bin/projectname-wsgi")
        .timeout(std::time::Duration::from_secs(3000))
}

/// What the host has before perms comes: the project in a home, a file of the same home outside of it, the
/// application on a port, and nginx (httpd_t, as Apache is) to serve the one and pass on to the other.
const HOST: &str = r##"set -e
useradd --create-home --home-dir /home/projectname projectname
install -d /home/projectname/live/static /home/projectname/media /home/projectname/private
echo live > /home/projectname/live/index.html
echo deep > /home/projectname/live/static/deep.html
echo private > /home/projectname/private/index.html
restorecon -R /home/projectname
chmod 755 /home/projectname
cat > /etc/nginx/conf.d/project.conf <<'X'
server {
    listen 127.0.0.1:2003;
    location / { root /home/projectname/live; }
    location /private { root /home/projectname; }
    location /app { proxy_pass http://127.0.0.1:3999/; }
    location /wsgi { proxy_pass http://unix:/run/projectname/wsgi.sock:/; }
}
X
chmod 755 /usr/local/bin/projectname-wsgi
cat > /etc/systemd/system/projectname-wsgi.service <<'X'
[Service]
ExecStart=/usr/local/bin/projectname-wsgi
User=www-data
RuntimeDirectory=projectname
X
systemctl daemon-reload
mkdir /srv/app; echo app > /srv/app/index.html
systemd-run --quiet --unit=app python3 -m http.server -b 127.0.0.1 -d /srv/app 3999
"##;

/// The guest has no /etc/protocols, as many small installations: semanage cannot do ports there.
const PROTOCOLS: &str = "printf 'tcp 6 TCP\nudp 17 UDP\n' > /etc/protocols; ";

/// What an administrator had set before: of other things, and of the same with other values. One boolean runs with
/// another value than it is stored with.
const BEFORE: &str = r##"set -e
cat > /run/before <<'X'
boolean -m -1 samba_enable_home_dirs
boolean -m -1 ftp_home_dir
port -a -t ssh_port_t -p udp 2004-2010
fcontext -a -f a -t usr_t /opt/other(/.*)?
fcontext -a -f a -t var_t -r s0 /home/projectname/media(/.*)?
X
cat /run/before | semanage import
setsebool samba_enable_home_dirs off
"##;

/// The policy store's local state, running booleans, and labels.
const STATE: &str = r##"
semanage export | cat
getsebool -a
find /home/projectname -printf '%p %m %U %G %Z\n' | sort
getfacl --recursive --absolute-names /home/projectname
"##;

/// Whether a transaction took place: each makes the store anew.
const STORE: &str =
    r##"stat -c '%i %y' /var/lib/selinux/default/active /etc/selinux/default/policy/policy.*"##;

const AUDIT: &str = "perms audit";
const APPLY: &str = "perms apply --yes";

/// The codes in brackets of an audit's findings.
fn codes(audit: &Output) -> BTreeSet<&str> {
    let inside = audit.stdout.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    inside.filter(|code| code.contains("::")).collect()
}

#[track_caller]
fn in_accordance(audit: &Output) {
    assert!(
        audit.status == 0 && audit.stdout.is_empty() && audit.stderr.is_empty(),
        "an audit in accordance is silent: {audit}"
    );
}

/// Starts the daemons and asks nginx for what it serves and passes on.
const USE: &str = r##"
systemctl restart projectname-wsgi
for n in $(seq 50); do [ -S /run/projectname/wsgi.sock ] && break; sleep 0.2; done
systemctl restart nginx 2>/dev/null && echo started || echo not started
for path in index.html static/deep.html private/index.html app wsgi; do
    python3 - $path <<'X'
import sys, urllib.request, urllib.error
try: print(sys.argv[1], urllib.request.urlopen('http://127.0.0.1:2003/' + sys.argv[1]).read().decode().strip())
except urllib.error.HTTPError as e: print(sys.argv[1], e.code)
except OSError: print(sys.argv[1], 'nobody answers')
X
done
"##;

#[test]
fn applied_in_one_transaction_used_and_taken_back() {
    let Some(vm) = Vm::get() else { return };
    let protocols_then_apply = format!("{PROTOCOLS}set -o pipefail; {APPLY} | tee /run/applied");
    // Drift that needs no transaction: what is done, what it is found by, and what takes it back.
    let drifts = [
        (
            "echo x > /home/projectname/moved; mv /home/projectname/moved /home/projectname/live/",
            "label::wrong",
            "rm /home/projectname/live/moved",
        ),
        (
            "chcon -t user_home_t /home/projectname/live/index.html",
            "label::wrong",
            "restorecon /home/projectname/live/index.html",
        ),
        ("setsebool httpd_enable_homedirs off", "label::boolean", "setsebool httpd_enable_homedirs on"),
        (
            "chcon -t bin_t /usr/local/bin/projectname-wsgi",
            "label::wrong",
            "restorecon /usr/local/bin/projectname-wsgi",
        ),
        (
            "sed -i.old s/1.0/1.1/ /etc/perms.d/projectname_wsgi.te",
            "module::older",
            "mv /etc/perms.d/projectname_wsgi.te.old /etc/perms.d/projectname_wsgi.te",
        ),
        ("setenforce 0", "label::not-enforcing", "setenforce 1"),
        (
            "sed -i.old s/^SELINUX=.*/SELINUX=permissive/ /etc/selinux/config",
            "label::not-enforcing",
            "mv /etc/selinux/config.old /etc/selinux/config; restorecon /etc/selinux/config",
        ),
    ];
    let drift = drifts.map(|(make, _, undo)| format!("{make}; {AUDIT}; s=$?; {undo} >&2; exit $s"));
    let [
        host,
        set,
        before,
        refused_use,
        plan,
        unprepared,
        unchanged,
        applied,
        planned,
        audit,
        store,
        again,
        same,
        used,
        one,
        two,
        three,
        four,
        five,
        six,
        seven,
        off,
        mended,
        untouched,
        back,
        after,
    ] = vm.steps(
        spec(),
        [
            HOST,
            &format!("{PROTOCOLS}{BEFORE}rm /etc/protocols"),
            STATE,
            USE,
            "perms plan",
            &format!("{STORE} >&2; {APPLY}"),
            STORE,
            &protocols_then_apply,
            "perms plan",
            AUDIT,
            STORE,
            APPLY,
            STORE,
            USE,
            &drift[0],
            &drift[1],
            &drift[2],
            &drift[3],
            &drift[4],
            &drift[5],
            &drift[6],
            "setsebool httpd_can_network_connect off; chcon -t var_t /home/projectname/live; perms apply --yes; perms audit",
            "getsebool httpd_can_network_connect; stat -c %C /home/projectname/live",
            STORE,
            // The first run: the second one put right what had been broken on purpose.
            r"systemctl stop projectname-wsgi; rm /home/projectname/media/upload; perms rollback $(sed -n 's/^Run \(.*\)\. Undo.*/\1/p' /run/applied)",
            STATE,
        ],
    );
    host.expect(0);
    set.expect(0);
    assert!(refused_use.stdout.starts_with("not started\n"), "the port needs a label: {refused_use}");
    assert_eq!(plan.status, 4, "{plan}");
    for named in [
        "module projectname_wsgi",
        "httpd_can_network_connect",
        "tcp 2003",
        "/home/projectname/live(/.*)?",
        "httpd_sys_rw_content_t",
    ] {
        assert!(plan.stdout.contains(named), "the plan does not name {named}: {plan}");
    }
    assert!(
        unprepared.status == 1 && unprepared.stderr.contains("/etc/protocols"),
        "what semanage lacks is said first: {unprepared}"
    );
    assert!(unprepared.stderr.contains(&unchanged.stdout), "something was changed: {unprepared}{unchanged}");
    applied.expect(0);
    planned.expect(0);
    in_accordance(&audit);
    again.expect(0);
    assert_eq!(store.stdout, same.stdout, "the second apply took a transaction: {again}");
    let expected = "started\nindex.html live\nstatic/deep.html deep\nprivate/index.html 403\napp app\n\
        wsgi domain projectname_wsgi_t\nlive live\nupload written\ncode Permission denied\n\
        private Permission denied\npasswd Permission denied\nprogram Permission denied\nnetwork Permission denied\n";
    assert_eq!(used.stdout, expected, "{used}");
    for ((make, code, _), audit) in drifts.iter().zip([&one, &two, &three, &four, &five, &six, &seven]) {
        assert_eq!((codes(audit), audit.status), (BTreeSet::from([*code]), 4), "after `{make}`: {audit}");
    }
    off.expect(0);
    assert!(mended.stdout.starts_with("httpd_can_network_connect --> on\n"), "{off}{mended}");
    assert!(mended.stdout.contains(":httpd_sys_content_t:"), "{off}{mended}");
    assert_eq!(same.stdout, untouched.stdout, "a running value and a label need no transaction: {off}");
    back.expect(0);
    assert_eq!(before.stdout, after.stdout, "what rollback left behind: {back}");
}

/// A manifest in which every name is one that the policy does not have, every path one that SELinux does not look up,
/// and a range of ports overlaps one that is defined.
const WRONG: &str = r##"
cat > /run/wrong.toml <<'X'
[app]
name = "wrong"
user = "www-data"
[selinux]
domain = "nosuch_t"
booleans = { httpd_can_network_conect = true }
ports = [
    { protocol = "tcp", port = "2000-2010", type = "http_port_t" },
    { protocol = "tcp", port = 4444, type = "httpd_t" },
]
[[selinux.label]]
paths = "/var/run/wsgi.*"
type = "httpd_var_run_t"
[[selinux.label]]
paths = "/srv/link/x(/.*)?"
type = "usr_t"
[[selinux.label]]
paths = "/srv/a(/.*)?"
type = "httpd_sys_contnt_t"
[[selinux.label]]
paths = "/srv/b(/.*)?"
type = "httpd_sys_content_t"
level = "s7:c5"
X
mkdir -p /srv/real; ln -s real /srv/link
perms apply --yes /run/wrong.toml
"##;

/// Another application, with a type under its older name, and a narrower rule after a wider one.
const SECOND: &str = r##"
cat > /etc/perms.d/second.toml <<'X'
[app]
name = "second"
user = "www-data"
[selinux]
[[selinux.label]]
paths = "/run/wsgi.*"
type = "httpd_var_run_t"
[[selinux.label]]
paths = "/srv/app(/.*)?"
type = "httpd_sys_content_t"
[[selinux.label]]
paths = "/srv/app/cgi(/.*)?"
type = "httpd_sys_script_exec_t"
X
mkdir -p /srv/app/cgi; touch /srv/app/cgi/a /run/wsgi.sock
# The narrower one is there already: it has to end up after the wider.
echo "fcontext -a -f a -t httpd_sys_script_exec_t /srv/app/cgi(/.*)?" | semanage import
perms apply --yes
"##;

const STORE_DRIFT: &str = r##"
cat > /run/drift <<'X'
fcontext -d -f a /home/projectname/live(/.*)?
fcontext -a -f a -t usr_t /home/projectname/media/sub(/.*)?
boolean -m -0 httpd_can_network_connect
port -m -t ssh_port_t -p tcp 2003
permissive -a httpd_t
X
cat /run/drift | semanage import
"##;

#[test]
fn the_store_drifts_and_mistakes_are_said_first() {
    let Some(vm) = Vm::get() else { return };
    let no_tool =
        "mv /usr/sbin/semanage /root/; perms apply --yes; s=$?; mv /root/semanage /usr/sbin/; exit $s";
    let [host, applied, plan, looked_up, store, wrong, same, drifted, audit, untold, mended, left] = vm.steps(
        spec(),
        [
            HOST,
            &format!("{PROTOCOLS}{SECOND}"),
            "perms plan",
            "matchpathcon -V /srv/app/cgi/a /srv/app/index.html /home/projectname/live/index.html /run/wsgi.sock",
            STORE,
            WRONG,
            STORE,
            STORE_DRIFT,
            AUDIT,
            no_tool,
            APPLY,
            AUDIT,
        ],
    );
    host.expect(0);
    applied.expect(0);
    plan.expect(0);
    looked_up.expect(0);

    assert_eq!(wrong.status, 1, "{wrong}");
    for said in [
        "domain",
        "did you mean `httpd_can_network_connect`?",
        "semanage port -d -p tcp 2003",
        "type httpd_t",
        "declare `/run/wsgi.*`",
        "declare `/srv/real/x(/.*)?`",
        "did you mean `httpd_sys_content_t`?",
        "level s7:c5",
    ] {
        assert!(wrong.stdout.contains(said), "it does not say {said}: {wrong}");
    }
    assert_eq!(store.stdout, same.stdout, "something was changed: {wrong}");

    drifted.expect(0);
    let by_hand = "label::undeclared";
    let mended_by_apply = ["label::live-only", "label::boolean", "label::port", "label::permissive-domain"];
    let every: BTreeSet<&str> = mended_by_apply.into_iter().chain([by_hand]).collect();
    assert_eq!((codes(&audit), audit.status), (every, 12), "{audit}");
    assert!(untold.status == 1 && untold.stderr.contains("`semanage` is not installed"), "{untold}");
    mended.expect(8);
    assert_eq!((codes(&left), left.status), (BTreeSet::from([by_hand]), 8), "{left}");
}
