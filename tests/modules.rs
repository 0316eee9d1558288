//! Policy modules and other local changes of the policy store, on a copy of this machine's: declared, built, installed in
//! one transaction, found where they drift, removed when undeclared, taken back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::collections::BTreeSet;
use std::process::Output;

use support::store::{Store, said};

const TE: &str = "module wsgi 1.0;\nrequire {\n    type httpd_t;\n    attribute file_type;\n    class process execmem;\n}\n\
    type wsgi_content_t, file_type;\nallow httpd_t self:process execmem;\n";

/// One of everything, and a label of a type that only its module brings.
const MANIFEST: &str = r##"
[app]
name = "shop"
user = "www-data"
[selinux]
domain = "httpd_t"
nodes = [{ address = "10.1.0.0/16", type = "node_t" }, { address = "fd00::/8", type = "node_t" }]
interfaces = [{ name = "eth7", type = "netif_t" }]
logins = [{ name = "%daemon", user = "staff_u" }]
permissive = ["ftpd_t"]
dontaudit = true
ports = [{ protocol = "tcp", port = 2003, type = "http_port_t" }]
[[selinux.label]]
paths = "/srv/late(/.*)?"
type = "wsgi_content_t"
[[selinux.module]]
te = "wsgi.te"
fc = "wsgi.fc"
"##;

fn store() -> Option<Store> {
    let store = Store::new()?;
    store.write("wsgi.te", TE);
    store.write("wsgi.fc", "/srv/wsgi(/.*)?  gen_context(system_u:object_r:wsgi_content_t,s0)\n");
    store.write("shop.toml", MANIFEST);
    Some(store)
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[track_caller]
fn ends(out: &Output, status: i32) {
    assert_eq!(out.status.code(), Some(status), "{}", said(out));
}

/// The codes in brackets of an audit's findings.
fn codes(audit: &Output) -> BTreeSet<String> {
    let text = text(audit);
    let inside = text.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    inside.filter(|code| code.contains("::")).map(str::to_owned).collect()
}

#[track_caller]
fn in_accordance(store: &Store) {
    let audit = store.bash("perms audit");
    assert!(
        audit.status.code() == Some(0) && audit.stdout.is_empty() && audit.stderr.is_empty(),
        "{}",
        said(&audit)
    );
}

#[track_caller]
fn finds(store: &Store, what: &[&str], status: i32) -> String {
    let audit = store.bash("perms audit");
    let expected: BTreeSet<String> = what.iter().map(|c| (*c).to_owned()).collect();
    assert_eq!((codes(&audit), audit.status.code()), (expected, Some(status)), "{}", said(&audit));
    text(&audit)
}

const EXPORT: &str = "semanage export | grep -v 'module -d'";

#[test]
fn declared_installed_and_taken_back() {
    let Some(store) = store() else { return };
    let before = store.bash(EXPORT);
    let bad = store.bash("sed -i 's/^allow/alow/' /etc/perms.d/wsgi.te; perms apply --yes");
    assert!(
        bad.status.code() == Some(1) && said(&bad).contains("checkmodule refuses it: wsgi.te:8:ERROR"),
        "{}",
        said(&bad)
    );
    store.write("wsgi.te", TE);
    // A type that nobody has is named.
    let link = store.bash("echo 'allow httpd_t nosuch_t:file read;' >> /etc/perms.d/wsgi.te; sed -i 's/^require {/require { type nosuch_t; class file read;/' /etc/perms.d/wsgi.te; perms apply --yes");
    assert!(
        link.status.code() == Some(1) && text(&link).contains("! selinux  module wsgi: type nosuch_t"),
        "{}",
        said(&link)
    );
    // What only the linker sees is refused by the transaction as a whole.
    let link = store.bash("sed -i 's/type nosuch_t;//; s/class file read;/role nosuch_r; class file read;/; /nosuch_t:file/d' /etc/perms.d/wsgi.te; perms apply --yes");
    assert!(
        link.status.code() == Some(1) && said(&link).contains("the host is as it was"),
        "{}",
        said(&link)
    );
    assert_eq!(text(&store.bash(EXPORT)), text(&before), "{}", said(&link));
    store.write("wsgi.te", TE);

    let applied = store.bash("mkdir -p /srv/late /srv/wsgi; touch /srv/late/x; perms apply --yes");
    ends(&applied, 0);
    in_accordance(&store);
    let declared = "\
login -a -s staff_u -r 's0-s0:c0.c1023' %daemon
interface -a -t netif_t -r 's0' eth7
port -a -t http_port_t -r 's0' -p tcp 2003
node -a -M 255.255.0.0 -p ipv4 -t node_t -r 's0' 10.1.0.0
node -a -M ff00:: -p ipv6 -t node_t -r 's0' fd00::
fcontext -a -f a -t wsgi_content_t -r 's0' '/srv/late(/.*)?'
permissive -a ftpd_t
";
    let now = text(&store.bash(EXPORT));
    let was = text(&before);
    let added: Vec<&str> = now.lines().filter(|l| !was.lines().any(|b| b == *l)).collect();
    assert_eq!(added.join("\n") + "\n", declared);
    let looked = store.bash(
        "semodule -lfull | grep '^500'; ls /var/lib/perms; semodule -X 500 --cil -E wsgi >/dev/null; cat wsgi.cil; rm wsgi.cil; matchpathcon -n /srv/wsgi/x /srv/late
         getfattr --only-values -h -n security.selinux /srv/late/x /srv/wsgi | tr '\\0' '\\n'",
    );
    let seen = text(&looked);
    assert!(
        seen.starts_with("500 wsgi              cil")
            && seen.contains("\njournal\nlock\n; perms 1 app=shop "),
        "{seen}"
    );
    assert_eq!(seen.matches(":wsgi_content_t:s0").count(), 4, "in the store and on disk: {seen}");
    // Installed again, nothing is done.
    let commit = "cat /var/lib/selinux/default/active/commit_num | tr -d '\\0' | od -c; ls -i /var/lib/selinux/default";
    let first = text(&store.bash(commit));
    ends(&store.bash("perms apply --yes"), 0);
    assert_eq!(first, text(&store.bash(commit)));

    ends(&store.bash("perms rollback"), 0);
    assert_eq!(text(&store.bash(EXPORT)), was);
    assert!(text(&store.bash("semodule -lfull | grep '^500'")).is_empty());
}

#[test]
fn drift_of_modules_is_found_and_put_right() {
    let Some(store) = store() else { return };
    ends(&store.bash("perms apply --yes"), 0);
    store.write("wsgi.te", &TE.replace("1.0", "1.1"));
    finds(&store, &["module::older"], 4);
    let applied = store.bash("perms apply --yes");
    ends(&applied, 0);
    assert!(text(&applied).contains("~ selinux  module wsgi"), "{}", said(&applied));
    in_accordance(&store);

    // By hand: another module over ours, the same one above it, one beside it; and changes that touch the application.
    let drift = store.bash(
        r##"cat > /root/wsgi.cil <<'X'
(type wsgi_content_t)
(typeattributeset cil_gen_require file_type)
(typeattributeset file_type (wsgi_content_t))
(typepermissive httpd_t)
X
printf '(typeattributeset cil_gen_require httpd_t)\n' > /root/other.cil
semanage import <<'X'
module -P 500 -a /root/wsgi.cil
module -P 600 -a /root/wsgi.cil
module -P 500 -a /root/other.cil
port -a -t http_port_t -p udp 2004-2010
login -a -s user_u www-data
boolean -m -1 httpd_enable_cgi
boolean -m -1 ftp_home_dir
fcontext -a -f a -t var_t /srv/late/sub(/.*)?
dontaudit off
X"##,
    );
    ends(&drift, 0);
    let found = finds(
        &store,
        &[
            "module::altered",
            "module::hidden",
            "module::undeclared",
            "label::undeclared",
            "label::undeclared-change",
            "label::dontaudit",
            "label::permissive-domain",
        ],
        12,
    );
    for named in
        ["udp 2004-2010", "login www-data", "boolean httpd_enable_cgi", "module other", "/srv/late/sub"]
    {
        assert!(found.contains(named), "{named}: {found}");
    }
    assert!(!found.contains("ftp_home_dir"), "it opens nothing to httpd_t: {found}");
    let taken_back = store.bash(
        r##"semanage import <<'X'
module -P 600 -r wsgi
module -P 500 -r other
port -d -p udp 2004-2010
login -d www-data
boolean -m -0 httpd_enable_cgi
fcontext -d -f a /srv/late/sub(/.*)?
X
"##,
    );
    ends(&taken_back, 0);
    finds(&store, &["module::altered", "label::dontaudit", "label::permissive-domain"], 4);
    // The domain is made permissive by the module that is replaced: by hand, as far as the plan can tell.
    ends(&store.bash("perms apply --yes"), 4);
    in_accordance(&store);

    // Undeclared, it goes; a rollback brings it back as it was.
    let module = "bzcat /var/lib/selinux/default/active/modules/500/wsgi/cil";
    let installed = text(&store.bash(module));
    assert!(installed.starts_with("; perms 1 app=shop"), "{installed}");
    let (rest, module_rule) = MANIFEST.split_once("[[selinux.label]]").unwrap();
    let (_, module_rule) = module_rule.split_once("[[selinux.module]]").unwrap();
    store.write("shop.toml", &format!("{rest}[[selinux.module]]{module_rule}"));
    ends(&store.bash("semanage fcontext -d '/srv/late(/.*)?' && semodule -d wsgi"), 0);
    finds(&store, &["module::disabled"], 4);
    ends(&store.bash("perms apply --yes"), 0);
    in_accordance(&store);
    store.write("shop.toml", rest);
    finds(&store, &["module::undeclared"], 8);
    ends(&store.bash("perms apply --yes"), 0);
    in_accordance(&store);
    assert!(text(&store.bash("semodule -lfull | grep '^500'")).is_empty());
    ends(&store.bash("perms rollback"), 0);
    assert_eq!(text(&store.bash(module)), installed);
}

/// A module of ours whose manifest is gone is found and removed with it, and comes back; others' are theirs.
#[test]
fn modules_that_deleted_manifests_left() {
    let Some(store) = store() else { return };
    // A second application, so that there is a manifest left.
    store.write("blog.toml", "[app]\nname = \"blog\"\nuser = \"games\"\n[selinux]\ndomain = \"ftpd_t\"\n");
    let (rest, module) = MANIFEST.split_once("[[selinux.label]]").unwrap();
    let module = module.split_once("[[selinux.module]]").unwrap().1;
    let rest = rest.split_once("nodes =").unwrap().0;
    store.write("shop.toml", &format!("{rest}[[selinux.module]]{module}"));
    ends(&store.bash("perms apply --yes"), 0);
    in_accordance(&store);
    // By hand, at our priority, and with our heading but for its first word: not ours.
    let by_hand = store.bash(
        r##"printf '(typeattributeset cil_gen_require daemon)\n' > /root/theirs.cil
printf '; perhaps 1 app=shop sources=0\n(typeattributeset cil_gen_require daemon)\n' > /root/likewise.cil
semodule -X 500 -i /root/theirs.cil -i /root/likewise.cil"##,
    );
    ends(&by_hand, 0);
    let installed = "bzcat /var/lib/selinux/default/active/modules/500/wsgi/cil";
    let content = text(&store.bash(installed));
    assert!(content.starts_with("; perms 1 app=shop"), "{content}");

    ends(&store.bash("mv /etc/perms.d/shop.toml /etc/shop.toml"), 0);
    // Named alone, or from a folder, manifests say nothing of others.
    ends(&store.bash("perms audit /etc/perms.d/blog.toml"), 0);
    ends(&store.bash("mkdir /etc/d; cp /etc/perms.d/blog.toml /etc/d; perms --manifests /etc/d audit"), 0);
    let found = finds(&store, &["module::undeclared"], 8);
    assert!(
        found.contains("module wsgi") && !found.contains("theirs") && !found.contains("likewise"),
        "{found}"
    );
    let plan = store.bash("perms plan");
    let shown = text(&plan);
    assert!(shown.contains("shop  (its manifest is gone)") && shown.contains("- module"), "{}", said(&plan));
    ends(&store.bash("perms apply --yes"), 0);
    in_accordance(&store);
    let left = text(&store.bash("semodule -lfull | grep '^500' | awk '{print $2}' | sort | tr '\\n' ' '"));
    assert_eq!(left, "likewise theirs ");
    ends(&store.bash("perms rollback"), 0);
    assert_eq!(text(&store.bash(installed)), content);
    finds(&store, &["module::undeclared"], 8);

    // All manifests gone: there is nothing that a plan could be made of, and nothing is removed.
    ends(&store.bash("mv /etc/perms.d/blog.toml /etc/blog.toml; perms apply --yes"), 1);
    assert_eq!(text(&store.bash(installed)), content);
    // It is back: no finding, nothing to do.
    ends(&store.bash("mv /etc/shop.toml /etc/blog.toml /etc/perms.d/; perms plan"), 0);
    in_accordance(&store);
}

#[test]
fn what_would_harm_is_refused_first() {
    let Some(store) = store() else { return };
    store.write("apache.cil", "(type shop_t)\n");
    store.write(
        "shop.toml",
        "[app]\nname = \"shop\"\nuser = \"www-data\"\n[selinux]\n\
         logins = [{ name = \"nobody-has-this\", user = \"staff_u\" }, { name = \"%daemon\", user = \"stuff_u\" }]\n\
         interfaces = [{ name = \"eth7\", type = \"httpd_t\" }]\n\
         [[selinux.module]]\ncil = \"apache.cil\"\n[[selinux.label]]\npaths = \"/srv/late\"\ntype = \"wsgi_content_t\"\n",
    );
    let before = text(&store.bash(EXPORT));
    let refused = store.bash("perms apply --yes");
    ends(&refused, 1);
    for said_so in [
        "the policy has a module of this name (priority 100)",
        "no account of that name",
        "did you mean `staff_u`?",
        "a type of another sort",
        "unknown to the policy",
    ] {
        assert!(text(&refused).contains(said_so), "{said_so}: {}", said(&refused));
    }
    assert_eq!(text(&store.bash(EXPORT)), before);
}
