#!/usr/bin/env bash
# 50 fcontext rules, 10 ports and 10 booleans: one `perms apply`, beside single `semanage` calls.
#
#   benches/store.sh [CALLS]       CALLS: how many single calls of each kind are timed (2 without it)
#
# Runs in the virtual machine of tests/vm (built if need be). A single call takes as long whatever it sets, so a few of
# each kind are timed and their mean taken for all 70.
set -eu -o pipefail
cd "$(dirname "$0")/.."
calls=${1:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --release --quiet --bin perms

{
    printf '[app]\nname = "many"\nuser = "www-data"\n[selinux]\nbooleans = { '
    sep=
    for b in httpd_can_network_connect httpd_can_network_connect_db httpd_can_sendmail httpd_enable_cgi \
        httpd_enable_homedirs httpd_use_nfs httpd_use_cifs httpd_can_network_relay httpd_execmem httpd_setrlimit; do
        printf '%s%s = true' "$sep" "$b"; sep=', '
    done
    printf ' }\nports = ['
    for p in $(seq 7001 7010); do printf '{ protocol = "tcp", port = %s, type = "http_port_t" }, ' "$p"; done
    printf ']\n'
    for n in $(seq 50); do
        printf '[[selinux.label]]\npaths = "/srv/many/%s(/.*)?"\ntype = "httpd_sys_content_t"\n' "$n"
    done
} >"$work/many.toml"

cat >"$work/time.sh" <<'X'
printf 'tcp 6 TCP\nudp 17 UDP\n' > /etc/protocols
now() { date +%s.%N; }
start=$(now); perms apply --yes /etc/perms.d/many.toml >/dev/null; one=$(echo "$start $(now)" | awk '{print $2-$1}')
perms plan /etc/perms.d/many.toml >/dev/null && echo "one transaction: $one s; nothing is left to do"
start=$(now)
for n in $(seq "$1"); do
    semanage fcontext -a -t httpd_sys_content_t "/srv/single/$n(/.*)?"
    semanage port -a -t http_port_t -p tcp $((7100 + n))
    semanage boolean -m $([ $((n % 2)) = 1 ] && echo --off || echo --on) httpd_execmem
done 2>/dev/null
echo "$start $(now) $1 $one" | awk '{each = ($2-$1)/(3*$3); printf "a single call: %.1f s; 70 of them: %.0f s; ratio %.0f\n", each, 70*each, 70*each/$4}'
X
tests/vm/selinux-vm run --timeout 3000 --put target/release/perms:/usr/local/bin/perms \
    --put "$work/many.toml:/etc/perms.d/many.toml" --put "$work/time.sh:/root/time.sh" -- bash /root/time.sh "$calls"
