//! Use case 1, whole, on a real host: the deployer is declared, applied, does its work and no more, is audited, drifts
//! in each way there is, and is taken back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::BTreeSet;

use support::vm::{Output, RunSpec, Vm};

/// The template's manifest, in place before anything runs.
fn spec() -> RunSpec {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/policy-templates/deployer/manifest.toml");
    RunSpec::argv([]).put(manifest, "/etc/perms.d/durhack-deployer.toml")
}

/// What the host has before perms comes: nginx with a site of somebody else's, in a folder below too, and a stand-in
/// for certbot that says who runs it with what.
const HOST: &str = r##"set -e
printf '#!/bin/sh\necho "uid $(id -u):" "$@"\n' > /usr/bin/certbot
chmod 755 /usr/bin/certbot
echo '# shop' > /etc/nginx/conf.d/shop.conf
install -d /etc/nginx/conf.d/more
echo '# more' > /etc/nginx/conf.d/more/more.conf
systemctl start nginx
"##;

const APPLY: &str = "perms apply --yes";
const AUDIT: &str = "perms audit";

/// Everything that perms might touch, as it is: accounts, rights, labels, and every text.
const STATE: &str = r##"
getent passwd durhack-deployer; getent group durhack-deployer; id durhack-deployer
for f in passwd group shadow gshadow sudoers; do sha256sum /etc/$f; done
sha256sum /etc/sudoers.d/*
getfacl --recursive --absolute-names /etc/nginx/conf.d /etc/sudoers.d /etc/nginx
find /etc/nginx /etc/sudoers.d /home -printf '%p %m %U %G %Z\n' | sort
"##;

/// As `STATE`, and each file's inode and time of change: whether anything was even touched.
const TOUCHED: &str = r##"
find /etc/nginx /etc/sudoers.d /home /etc/passwd /etc/group /etc/shadow /etc/sudoers /etc/perms.d -printf '%p %i %C@\n'
find /var/lib/perms -printf '%p %i %C@\n' 2>/dev/null | sort
"##;

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

#[test]
fn declared_applied_and_used() {
    let Some(vm) = Vm::get() else { return };
    // Each line: what the deployer tries, and `yes` or `no`. The reload is seen to have happened: other workers.
    let work = r##"
as() { runuser -u durhack-deployer -- "$@"; }
try() { if as "$@" >/tmp/said 2>&1; then echo "yes $*"; else echo "no $*"; fi; }
workers() { pgrep -u www-data nginx | sort | tr '\n' ' '; }
before=$(workers)
try sudo -n systemctl reload nginx
for _ in $(seq 50); do now=$(workers); [ -n "$now" ] && [ "$now" != "$before" ] && break; sleep 0.2; done
[ "$now" != "$before" ] && echo reloaded
try sudo -n systemctl reboot
try sudo -n systemctl reload cron
try sudo -n systemctl reload nginx --now
try sudo -n -u www-data systemctl reload nginx
try sudo -n id
try sudo -n certbot renew --deploy-hook 'two words'
cat /tmp/said
"##;
    let files = r##"
as() { runuser -u durhack-deployer -- sh -c "$1" 2>/dev/null && echo "yes $1" || echo "no $1"; }
cd /etc/nginx/conf.d
as 'echo "# mine" > /etc/nginx/conf.d/mine.conf'
as 'echo "# mine" >> /etc/nginx/conf.d/shop.conf'
as 'echo "# mine" >> /etc/nginx/conf.d/more/more.conf'
as 'echo "# mine" > /etc/nginx/conf.d/more/mine.conf'
echo '# of root' > root.conf; mkdir new; echo '# of root' > new/root.conf
as 'echo "# mine" >> /etc/nginx/conf.d/root.conf'
as 'ls /etc/nginx/conf.d/new && echo "# mine" >> /etc/nginx/conf.d/new/root.conf'
as 'echo "# mine" > /etc/nginx/conf.d/new/mine.conf && rm /etc/nginx/conf.d/new/mine.conf'
as 'echo "# mine" >> /etc/nginx/nginx.conf'
as 'cat /etc/shadow'
stat -c '%U %n' . mine.conf shop.conf
nginx -t -q && echo nginx agrees
"##;
    let [host, first, applied, after, touched, again, untouched, audit, work, files, last] = vm.steps(
        spec(),
        [HOST, "perms plan", APPLY, "perms plan", TOUCHED, APPLY, TOUCHED, AUDIT, work, files, AUDIT],
    );
    host.expect(0);
    assert_eq!(first.status, 4, "everything is missing, nothing is in excess: {first}");
    for named in ["durhack-deployer", "/etc/nginx/conf.d", "/etc/sudoers.d/durhack-deployer"] {
        assert!(first.stdout.contains(named), "the plan does not name {named}: {first}");
    }
    applied.expect(0);
    after.expect(0);
    again.expect(0);
    assert_eq!(touched.stdout, untouched.stdout, "the second apply touched something: {again}");
    in_accordance(&audit);

    let expected = "yes sudo -n systemctl reload nginx
reloaded
no sudo -n systemctl reboot
no sudo -n systemctl reload cron
no sudo -n systemctl reload nginx --now
no sudo -n -u www-data systemctl reload nginx
no sudo -n id
yes sudo -n certbot renew --deploy-hook two words
uid 0: renew --deploy-hook two words
";
    assert_eq!(work.stdout, expected, "{work}");
    let refused = ["/etc/nginx/nginx.conf", "/etc/shadow"];
    for line in files.stdout.lines().filter(|l| l.starts_with("yes ") || l.starts_with("no ")) {
        assert_eq!(
            line.starts_with("no "),
            refused.iter().any(|path| line.contains(path)),
            "{line}\n{files}"
        );
    }
    let expected = "root .\ndurhack-deployer mine.conf\nroot shop.conf\nnginx agrees\n";
    assert!(files.stdout.ends_with(expected), "{files}");
    in_accordance(&last);
}

#[test]
fn every_drift_is_found_and_put_right() {
    let Some(vm) = Vm::get() else { return };
    let rule = "durhack-deployer ALL=(root) NOPASSWD: /usr/bin/apt";
    // What somebody did, the code it is found by, the bits of the exit status, and how it is undone by hand.
    let drifts = [
        (
            format!("echo '{rule}' > /etc/sudoers.d/99-tmp; chmod 440 /etc/sudoers.d/99-tmp"),
            "sudo::undeclared-rule",
            8,
            "rm /etc/sudoers.d/99-tmp",
        ),
        (
            format!("echo '{rule}' > /etc/sudoers.d/web.admin; chmod 440 /etc/sudoers.d/web.admin"),
            "sudo::ignored-fragment",
            8,
            "rm /etc/sudoers.d/web.admin",
        ),
        (
            "chmod 644 /etc/nginx/conf.d/shop.conf".to_owned(),
            "acl::masked",
            4,
            "setfacl -m m::rw /etc/nginx/conf.d/shop.conf",
        ),
        (
            "echo '# moved' > /root/moved.conf; mv /root/moved.conf /etc/nginx/conf.d/more/".to_owned(),
            "acl::missing-entry",
            4,
            "rm /etc/nginx/conf.d/more/moved.conf",
        ),
        (
            "usermod -aG adm durhack-deployer".to_owned(),
            "account::undeclared-group",
            8,
            "gpasswd -d durhack-deployer adm",
        ),
    ];
    let all = drifts.each_ref().map(|(make, ..)| make.as_str()).join("\n");
    let found =
        drifts.each_ref().map(|(make, _, _, undo)| format!("{make}; perms audit; s=$?; {undo} >&2; exit $s"));
    let [host, applied, one, two, three, four, five, clean, made, wrong, plan, mended, right, audit] = vm
        .steps(
            spec(),
            [
                HOST,
                APPLY,
                &found[0],
                &found[1],
                &found[2],
                &found[3],
                &found[4],
                AUDIT,
                &all,
                AUDIT,
                "perms plan",
                APPLY,
                "perms plan",
                AUDIT,
            ],
        );
    host.expect(0);
    applied.expect(0);
    for ((make, code, bits, _), audit) in drifts.iter().zip([&one, &two, &three, &four, &five]) {
        assert_eq!((codes(audit), audit.status), (BTreeSet::from([*code]), *bits), "after `{make}`: {audit}");
        assert!(audit.stdout.contains("durhack-deployer"), "the application is not named: {audit}");
    }
    in_accordance(&clean);

    made.expect(0);
    let every: BTreeSet<&str> = drifts.iter().map(|(_, code, ..)| *code).collect();
    assert_eq!((codes(&wrong), wrong.status), (every, 12), "{wrong}");
    plan.expect(12);
    mended.expect(0);
    right.expect(0);
    in_accordance(&audit);
}

#[test]
fn rollback_restores() {
    let Some(vm) = Vm::get() else { return };
    let [host, before, applied, between, back, after, plan] =
        vm.steps(spec(), [HOST, STATE, APPLY, STATE, "perms rollback", STATE, "perms plan"]);
    host.expect(0);
    applied.expect(0);
    assert_ne!(before.stdout, between.stdout, "apply changed nothing: {applied}");
    back.expect(0);
    assert_eq!(before.stdout, after.stdout, "what rollback left behind: {back}");
    plan.expect(4);
}
