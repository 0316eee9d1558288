//! Policy modules and the other local changes of a policy store on a real SELinux host: declared, built, installed in one
//! transaction, found where they drift, removed when undeclared; and the store read as `semanage export` reads it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::BTreeSet;

use support::vm::{Output, RunSpec, Vm};

fn spec() -> RunSpec {
    RunSpec::argv([]).timeout(std::time::Duration::from_secs(1500))
}

/// The guest has no /etc/protocols, which semanage needs for ports and nodes. The manifest declares one of everything, and
/// a label of a type that only its module brings.
const SET_UP: &str = r##"set -e
printf 'tcp 6 TCP\nudp 17 UDP\nipv6 41 IPv6\n' > /etc/protocols
mkdir -p /srv/wsgi /srv/late /etc/perms.d; touch /srv/late/x; restorecon -R /srv
cat > /etc/perms.d/wsgi.te <<'X'
module wsgi 1.0;
require {
    type httpd_t;
    attribute file_type;
    class process execmem;
}
type wsgi_content_t, file_type;
bool wsgi_execmem false;
if (wsgi_execmem) { allow httpd_t self:process execmem; }
X
echo '/srv/wsgi(/.*)?  gen_context(system_u:object_r:wsgi_content_t,s0)' > /etc/perms.d/wsgi.fc
cat > /etc/perms.d/shop.toml <<'X'
[app]
name = "shop"
user = "www-data"
[selinux]
domain = "httpd_t"
nodes = [{ address = "10.1.0.0/16", type = "node_t" }, { address = "fd00::/8", type = "node_t" }]
interfaces = [{ name = "eth7", type = "netif_t" }]
logins = [{ name = "alice", user = "staff_u" }]
permissive = ["ftpd_t"]
dontaudit = true
booleans = { httpd_can_network_connect = true, wsgi_execmem = true }
ports = [{ protocol = "tcp", port = 2003, type = "http_port_t" }]
[[selinux.label]]
paths = "/srv/late(/.*)?"
type = "wsgi_content_t"
[[selinux.module]]
te = "wsgi.te"
fc = "wsgi.fc"
X
semanage export | cat
"##;

const AUDIT: &str = "perms audit";

/// What an administrator does by hand, in one go: another module over ours, the same one at a priority above, and local
/// changes that touch the application.
const DRIFT: &str = r##"
cat > /root/wsgi.cil <<'X'
(type wsgi_content_t)
(typeattributeset file_type (wsgi_content_t))
(boolean wsgi_execmem false)
(typepermissive httpd_t)
X
cp /root/wsgi.cil /root/other.cil; sed -i 's/.*/;/; $a (typeattributeset cil_gen_require httpd_t)' /root/other.cil
cat > /root/drift <<'X'
module -P 500 -a /root/wsgi.cil
module -P 600 -a /root/wsgi.cil
module -P 500 -a /root/other.cil
port -a -t http_port_t -p udp 2004-2010
login -a -s user_u www-data
boolean -m -1 httpd_enable_cgi
boolean -m -1 ftp_home_dir
dontaudit off
X
cat /root/drift | semanage import
"##;

fn codes(audit: &Output) -> BTreeSet<&str> {
    let inside = audit.stdout.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    inside.filter(|code| code.contains("::")).collect()
}

#[test]
fn a_module_is_built_installed_found_and_removed() {
    let Some(vm) = Vm::get() else { return };
    let broken = "sed -i 's/^bool.*/bool/' /etc/perms.d/wsgi.te; perms apply --yes; s=$?; sed -i 's/^bool.*/bool wsgi_execmem false;/' /etc/perms.d/wsgi.te; exit $s";
    let [before, bad, applied, audit, export, modules, labels, older, drifted, found, mended, left, undeclared, gone, back, after] =
        vm.steps(
            spec(),
            [
                SET_UP,
                broken,
                "perms apply --yes | tee /run/applied",
                AUDIT,
                "semanage export | cat",
                "semodule -lfull | grep -E '^(500|400)'; ls /var/lib/perms",
                "restorecon -R /srv/wsgi; stat -c %C /srv/wsgi /srv/late /srv/late/x; getsebool wsgi_execmem",
                "sed -i 's/1.0;/1.1;/' /etc/perms.d/wsgi.te; perms audit; s=$?; sed -i 's/1.1;/1.0;/' /etc/perms.d/wsgi.te; exit $s",
                DRIFT,
                AUDIT,
                "(cat <<'X'\nmodule -P 600 -r wsgi\nmodule -P 500 -r other\nport -d -p udp 2004-2010\nlogin -d www-data\nboolean -m -0 httpd_enable_cgi\nX\n) | semanage import; perms apply --yes",
                AUDIT,
                "sed -i '/^.*selinux.label/,$d; s/, wsgi_execmem = true//' /etc/perms.d/shop.toml; printf 'fcontext -d /srv/late(/.*)?\nboolean -D\nboolean -m -1 httpd_can_network_connect\n' | semanage import; perms apply --yes",
                "semodule -lfull | grep -E '^500'; perms audit",
                r"for r in 1 2 3; do perms rollback; done",
                "semanage export | cat; semodule -lfull | grep -E '^500'",
            ],
        );
    before.expect(0);
    assert!(
        bad.status == 1 && bad.stderr.contains("checkmodule refuses it: wsgi.te") && bad.stderr.contains("nothing was changed"),
        "{bad}"
    );
    applied.expect(0);
    assert!(audit.status == 0 && audit.stdout.is_empty(), "{applied}{audit}");
    let declared = "\
boolean -m -1 httpd_can_network_connect
boolean -m -1 wsgi_execmem
login -a -s staff_u -r 's0-s0:c0.c1023' alice
interface -a -t netif_t -r 's0' eth7
port -a -t http_port_t -r 's0' -p tcp 2003
node -a -M 255.255.0.0 -p ipv4 -t node_t -r 's0' 10.1.0.0
node -a -M ff00:: -p ipv6 -t node_t -r 's0' fd00::
fcontext -a -f a -t wsgi_content_t -r 's0' '/srv/late(/.*)?'
permissive -a ftpd_t
";
    let added: Vec<&str> = export.stdout.lines().filter(|l| !before.stdout.lines().any(|b| b == *l)).collect();
    assert_eq!(added.join("\n") + "\n", declared, "{export}");
    assert!(modules.stdout.contains("500 wsgi") && !modules.stdout.contains("build-"), "{modules}");
    assert_eq!(labels.stdout.matches(":wsgi_content_t:").count(), 3, "{labels}");
    assert!(labels.stdout.contains("wsgi_execmem --> on"), "{labels}");
    assert_eq!((codes(&older), older.status), (BTreeSet::from(["module::older"]), 4), "{older}");
    drifted.expect(0);
    let every = [
        "module::altered",
        "module::hidden",
        "module::undeclared",
        "label::undeclared-change",
        "label::dontaudit",
        "label::permissive-domain",
    ];
    assert_eq!((codes(&found), found.status), (BTreeSet::from(every), 12), "{found}");
    for named in ["udp 2004-2010", "login www-data", "boolean httpd_enable_cgi", "module other"] {
        assert!(found.stdout.contains(named), "{named}: {found}");
    }
    assert!(!found.stdout.contains("ftp_home_dir"), "it opens nothing to httpd_t: {found}");
    mended.expect(0);
    assert!(left.status == 0 && left.stdout.is_empty(), "{mended}{left}");
    undeclared.expect(0);
    assert!(gone.status == 0 && gone.stdout.is_empty(), "{undeclared}{gone}");
    let _ = (back, after);
}
