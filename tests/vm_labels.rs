//! Labels on a real SELinux host: what is wrong in a broken tree is what restorecon, setfiles and matchpathcon say; and an
//! image of another distribution, whose types the running kernel does not know, is labelled and verified.

#![allow(clippy::unwrap_used, reason = "a test ends at a surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::vm::{RunSpec, Vm};

/// Folders that several specifications speak of, with labels moved about: types, whole contexts, none, a customizable one.
const BREAK: &str = r##"set -e
mkdir -p /var/www/shop/{cgi-bin,logs} /srv/ftp/pub /home/alice/public_html
touch /var/www/shop/{a.html,b.php,c.html,cgi-bin/run} /srv/ftp/pub/x /home/alice/public_html/index.html /etc/nginx/conf.d/own.conf
ln -s a.html /var/www/shop/link; mkfifo /var/www/shop/pipe
restorecon -R /var/www /srv /home/alice /etc/nginx
chcon -t user_home_t /var/www/shop/a.html /etc/nginx/conf.d/own.conf
chcon -ht etc_t /var/www/shop/link
chcon -u unconfined_u /var/www/shop/b.php
chcon -t public_content_t /var/www/shop/c.html
chcon -t var_t /var/www/shop/cgi-bin /var/www/shop/pipe
setfattr -x security.selinux /var/www/shop/logs || chcon -t tmp_t /var/www/shop/logs
chcon -t httpd_sys_content_t /home/alice/public_html
"##;
const TREES: &str = "/var/www /srv /home/alice /etc/nginx";

#[test]
fn what_is_wrong_is_what_the_systems_own_tools_would_change() {
    let Some(vm) = Vm::get() else { return };
    let [broken, restorecon, setfiles, ours, whole, verified, one] = vm.steps(
        RunSpec::argv([]),
        [
            BREAK,
            &format!("restorecon -nvR {TREES}"),
            &format!("setfiles -nv /etc/selinux/default/contexts/files/file_contexts {TREES}"),
            &format!("perms label -R {TREES}"),
            &format!("perms --format plain label -R --full {TREES}; restorecon -nvFR {TREES}"),
            &format!("find {TREES} -print0 | xargs -0 matchpathcon -V"),
            "find /var/www /home/alice | while read -r f; do perms --format plain label \"$f\" | sed -n 's/^\\(.*\\): expected /\\1\\t/p'; matchpathcon \"$f\" | sed 's/^/=/'; done",
        ],
    );
    broken.expect(0);
    let would = |text: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|l| l.strip_prefix("Would relabel "));
        lines
            .map(|l| {
                let (path, contexts) = l.split_once(" from ").unwrap();
                (path.to_owned(), contexts.split_once(" to ").unwrap().1.to_owned())
            })
            .collect()
    };
    let type_of = |context: &str| context.split(':').nth(2).unwrap().to_owned();
    let types = |found: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        found.iter().map(|(path, context)| (path.clone(), type_of(context))).collect()
    };
    let told: BTreeMap<String, String> = ours
        .stdout
        .lines()
        .filter_map(|l| l.split_once('\t'))
        .map(|(path, rest)| (path.to_owned(), rest.split_once("-> ").unwrap().1.to_owned()))
        .collect();
    let theirs = would(&restorecon.stdout);
    assert!(theirs.len() >= 7, "{broken}{restorecon}");
    assert_eq!(types(&told), types(&theirs), "{restorecon}{ours}");
    assert_eq!(types(&told), types(&would(&setfiles.stdout)), "{setfiles}{ours}");
    assert_eq!(ours.status, 4, "{ours}");
    // With the whole context restorecon -F changes these, and perms counts them with --full.
    let forced = would(&whole.stdout);
    let full: BTreeSet<&str> = whole.stdout.lines().filter_map(|l| Some(l.split_once('\t')?.0)).collect();
    assert_eq!(full, forced.keys().map(String::as_str).collect(), "{whole}");
    // matchpathcon -V looks at the type alone, and knows no customizable ones.
    let denied: BTreeSet<&str> =
        verified.stdout.lines().filter_map(|l| Some(l.split_once(" has context ")?.0)).collect();
    let mut expected: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    expected.insert("/var/www/shop/c.html");
    assert!(denied.is_superset(&expected), "{verified}{ours}");
    let mut mine = "";
    let mut compared = 0;
    for line in one.stdout.lines() {
        match line.strip_prefix('=') {
            None => mine = line,
            Some(theirs) => {
                assert_eq!(mine, theirs, "{one}");
                compared += 1;
            }
        }
    }
    assert!(compared > 15, "{one}");
}

/// A tree with specifications and a policy type of its own, none of which this kernel has heard of.
const IMAGE: &str = r##"set -e
mkdir -p /srv/image/etc/selinux/elsewhere/contexts/files /srv/image/etc/perms.d /srv/image/opt/shop/data
printf 'SELINUX=enforcing\nSELINUXTYPE=elsewhere\n' > /srv/image/etc/selinux/config
cat > /srv/image/etc/selinux/elsewhere/contexts/files/file_contexts <<'X'
/.* system_u:object_r:elsewhere_t:s0
/opt/shop(/.*)? system_u:object_r:shop_exotic_t:s0
X
printf 'root:x:0:0::/root:/bin/sh\nshop:x:990:990::/:/usr/sbin/nologin\n' > /srv/image/etc/passwd
printf 'root:x:0:\nshop:x:990:\n' > /srv/image/etc/group
touch /srv/image/opt/shop/data/f
cat > /srv/image/etc/perms.d/shop.toml <<'X'
[app]
name = "shop"
user = "shop"
[[selinux.label]]
paths = "/opt/shop/data(/.*)?"
type = "shop_data_exotic_t"
X
"##;

/// An enforcing kernel neither sets nor tells a label that its policy does not have; a permissive one does. What cannot be
/// known is said so, never taken for wrong.
#[test]
fn an_image_with_types_that_the_kernel_does_not_know_is_labelled_and_verified() {
    let Some(vm) = Vm::get() else { return };
    let [made, plan, refused, same, applied, on_disk, audit, shown, wrong, hidden, hidden_too, whole] = vm.steps(
        RunSpec::argv([]),
        [
            IMAGE,
            "perms --root /srv/image plan",
            "perms --root /srv/image apply --yes",
            "stat -c %C /srv/image/opt/shop/data",
            "setenforce 0; perms --root /srv/image apply --yes",
            "getfattr --absolute-names -hn security.selinux --only-values /srv/image/opt/shop/data/f | tr -d '\\0'; echo",
            "perms --root /srv/image audit",
            "perms --root /srv/image --format plain label /opt/shop/data/f",
            "f=/srv/image/opt/shop/data/f; setfattr -n security.selinux -v system_u:object_r:other_exotic_t:s0 $f
             perms --root /srv/image audit; s=$?; perms --root /srv/image apply --yes >&2; setenforce 1; exit $s",
            "perms --root /srv/image audit",
            "perms --root /srv/image label /opt/shop/data/f",
            "perms --root /srv/image audit --all",
        ],
    );
    made.expect(0);
    // 4 for the labels; 16 as the image has no policy store to ask.
    assert_eq!(plan.status, 20, "{plan}");
    assert!(plan.stdout.contains("shop_data_exotic_t"), "{plan}");
    assert!(
        refused.status == 1 && refused.stderr.contains("where SELinux is off or permissive"),
        "{refused}"
    );
    assert!(same.stdout.contains(":var_t:"), "{refused}{same}");
    applied.expect(16);
    assert!(on_disk.stdout.ends_with(":object_r:shop_data_exotic_t:s0\n"), "{applied}{on_disk}");
    audit.expect(16);
    assert!(shown.stdout.contains(":shop_data_exotic_t:s0: "), "{shown}");
    assert_eq!(wrong.status, 20, "{wrong}");
    assert!(wrong.stdout.contains("other_exotic_t"), "{wrong}");
    assert!(hidden.status == 16 && hidden.stdout.contains("mac_admin"), "{hidden}");
    assert!(whole.stdout.contains("mac_admin") && !whole.stdout.contains("unlabeled_t"), "{whole}");
    assert!(hidden_too.status == 16 && hidden_too.stderr.contains("mac_admin"), "{hidden_too}");
}
