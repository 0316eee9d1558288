//! The policy store's local state, read from its files, against `semanage export`: on a copy of this machine's store that
//! semanage has changed in every way there is.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends at a surprise")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use perms::host::policy_store::context_field;
use perms::host::selinux::Selinux;
use perms::plan::change::kind_option;
use perms::sys::Root;

/// Every kind of local change, with ranges, levels, kinds of files, characters that need quotes.
fn changes() -> String {
    let mut lines = String::new();
    for (n, kind) in "afdlspcb".chars().enumerate() {
        writeln!(lines, "fcontext -a -f {kind} -t httpd_sys_content_t '/srv/kind{n}(/.*)?'").unwrap();
    }
    for n in 0..20 {
        writeln!(
            lines,
            "fcontext -a -f a -t httpd_sys_rw_content_t -r s0:c{n} '/srv/[a-z]{{1,{}}}/{n}'",
            n + 1
        )
        .unwrap();
        writeln!(lines, "port -a -t http_port_t -p tcp {}", 17000 + n).unwrap();
    }
    lines += "fcontext -a -f a -t '<<none>>' /srv/none\n\
        port -a -t http_port_t -p udp 18000-18010\nport -a -t ssh_port_t -r s0:c1 -p sctp 18020\nport -m -t http_port_t -p tcp 22\n\
        node -a -M 255.255.0.0 -p ipv4 -t node_t 10.1.0.0\nnode -a -M ff00:: -p ipv6 -t node_t fd00::\n\
        interface -a -t netif_t eth7\ninterface -a -t netif_t -r s0:c3 br-0.1\n\
        boolean -m -1 httpd_can_network_connect\nboolean -m -0 httpd_enable_homedirs\nboolean -m -1 ftp_home_dir\n\
        login -m -s staff_u root\nlogin -a -s user_u -r s0 %daemon\n\
        permissive -a ftpd_t\npermissive -a httpd_t\nmodule -d zebra\n";
    lines
}

/// The lines that `semanage export` has for what was read.
fn exported(s: &Selinux) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let typed =
        |context: &str| format!("-t {} -r '{}'", context_field(context, 2), context_field(context, 3));
    for (name, value) in s.local_booleans() {
        out.insert(format!("boolean -m -{} {name}", u8::from(*value)));
    }
    for p in s.local_ports() {
        let range = if p.low == p.high { p.low.to_string() } else { format!("{}-{}", p.low, p.high) };
        out.insert(format!("port -a {} -p {} {range}", typed(&p.context), p.protocol));
    }
    for n in s.local_nodes() {
        out.insert(format!("node -a -M {} -p {} {} {}", n.mask, n.protocol, typed(&n.context), n.address));
    }
    for i in s.local_interfaces() {
        out.insert(format!("interface -a {} {}", typed(&i.context), i.name));
    }
    for l in s.local_logins() {
        out.insert(format!("login -a -s {} -r '{}' {}", l.user, l.range, l.name));
    }
    for c in s.local_contexts() {
        let typed = c.context.as_deref().map_or_else(|| "-t '<<none>>'".to_owned(), &typed);
        out.insert(format!("fcontext -a -f {} {typed} '{}'", kind_option(c.files), c.pattern));
    }
    for m in s.modules() {
        if let Some(domain) = m.name.strip_prefix("permissive_") {
            out.insert(format!("permissive -a {domain}"));
        }
        if m.disabled {
            out.insert(format!("module -d {}", m.name));
        }
    }
    out
}

#[test]
fn the_store_is_read_as_semanage_exports_it() {
    if !support::have("semanage") || !support::have("unshare") {
        return;
    }
    if !rustix::process::geteuid().is_root() || !Path::new("/var/lib/selinux/default/active").exists() {
        support::skip("needs root and selinux-policy-default");
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    let script = format!(
        "set -e; cd {0}; mkdir -p etc var/lib; cp -a /etc/selinux etc/; cp -a /var/lib/selinux var/lib/
         mount --bind etc/selinux /etc/selinux; mount --bind var/lib/selinux /var/lib/selinux
         semanage import -N < changes >&2; semanage export",
        tree.path().display()
    );
    std::fs::write(tree.path().join("changes"), changes()).unwrap();
    let out = Command::new("unshare").args(["-m", "bash", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    if said.contains("Operation not permitted") {
        support::skip("needs a mount namespace");
        return;
    }
    assert!(out.status.success(), "{said}");
    let theirs: BTreeSet<String> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .filter(|l| !l.ends_with(" -D"))
        .map(str::to_owned)
        .collect();
    assert!(theirs.len() > 60, "{theirs:?}");
    let read = Selinux::observe(&Root::open(tree.path()).unwrap());
    let ours = exported(&read);
    // docs/reference-quirks.md
    let quirk = "fcontext -a -f a -t '<<none>>' '/srv/none'";
    let only_ours: Vec<&String> = ours.difference(&theirs).collect();
    let only_theirs: Vec<&String> = theirs.difference(&ours).collect();
    assert_eq!((only_ours, only_theirs), (vec![&quirk.to_owned()], vec![]));
    eprintln!("{} local changes read as semanage exports them", theirs.len());
}
