#!/usr/bin/env bash
# One pass over a large labelled tree: `perms audit --all` beside find and setfiles, over the same tree in the same run.
#
#   benches/scan.sh [FILES] [FOLDER]    FILES: how many (1000000 without it); FOLDER: where the tree is made, and removed
#                                       from afterwards (/var/tmp without it)
#
# As root, on a file system with extended attributes (labels are written, SELinux need not be on). Needs find with
# SELinux, setfiles (policycoreutils), python3, time, and a policy's file_contexts (selinux-policy-default).
# Each line is the median of three: seconds of CPU, seconds of wall, MiB of memory. setfiles runs once: libselinux 3.4
# takes minutes.
set -eu -o pipefail
cd "$(dirname "$0")/.."
files=${1:-1000000}
work=$(mktemp -d -p "${2:-/var/tmp}")
trap 'rm -rf "$work"' EXIT
policy=/etc/selinux/default/contexts/files/file_contexts
[ -e target/release/perms ] && [ -n "${PERMS_BUILT:-}" ] || cargo build --release --quiet --bin perms

# A root of its own: accounts, a policy's specifications, and the tree.
root=$work/root
mkdir -p "$root/etc/selinux/default/contexts/files" "$root/usr/share"
cp /etc/passwd /etc/group "$root/etc/"
echo 'SELINUXTYPE=default' >"$root/etc/selinux/config"
cp "$policy"* "$root/etc/selinux/default/contexts/files/"
python3 - "$root" "$files" <<'PY'
import os, sys
root, files = sys.argv[1], int(sys.argv[2])
label = b"system_u:object_r:usr_t:s0\0"
def mark(path): os.setxattr(path, "security.selinux", label)
per, made = 100, 0
top = root + "/usr/share/tree"
os.mkdir(top); mark(top)
while made < files:
    a = f"{top}/d{made // (per * 10):05}"
    os.mkdir(a); mark(a)
    for j in range(10):
        b = f"{a}/s{j}"
        os.mkdir(b); mark(b)
        for k in range(per):
            p = f"{b}/file{k:03}.txt"
            os.close(os.open(p, os.O_CREAT | os.O_WRONLY, 0o644)); mark(p)
        made += per
PY
tree=$root/usr/share/tree

# Median of the runs of a command: CPU, wall, memory.
measure() {
    runs=$1
    shift
    for _ in $(seq "$runs"); do
        /usr/bin/time -f '%U %S %e %M' -o "$work/time" "$@" >/dev/null 2>&1 || true
        tail -n 1 "$work/time" | awk '{ printf "%.2f %.2f %.0f\n", $1 + $2, $3, $4 / 1024 }'
    done | sort -n | awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }'
}
say() { printf '%-44s %8s s CPU %8s s wall %6s MiB\n' "$1" $2; }

echo "$(find "$tree" -printf '.' | wc -c) objects; load $(cut -d' ' -f1 /proc/loadavg)"
measure 1 find "$tree" -printf '' >/dev/null
bare=$(measure 3 find "$tree" -printf '')
stat=$(measure 3 find "$tree" -printf '%m')
label=$(measure 3 find "$tree" -printf '%Z')
ours=$(measure 3 target/release/perms --root "$root" audit --all)
# Without a policy labels are read and not compared: what is left is the look for excess.
mv "$root/etc/selinux" "$work/selinux"
excess=$(measure 3 target/release/perms --root "$root" audit --all)
mv "$work/selinux" "$root/etc/selinux"
say "find -printf '' (names alone)" "$bare"
say "find -printf '%m' (a bare walk with stat)" "$stat"
say "find -printf '%Z' (labels alone)" "$label"
say "perms audit --all (everything)" "$ours"
say "perms audit --all (no policy: excess alone)" "$excess"
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'; }
echo "CPU: everything is $(ratio "${ours%% *}" "${label%% *}") of find '%Z'; excess is $(ratio "${excess%% *}" "${stat%% *}") of a bare walk with stat"
if [ -z "${NO_SETFILES:-}" ] && command -v setfiles >/dev/null; then
    theirs=$(measure 1 setfiles -n -r "$root" "$policy" "$tree")
    say "setfiles -n ($(dpkg-query -W -f '${Version}' libselinux1 2>/dev/null || echo '?'))" "$theirs"
    wall() { echo "$1" | cut -d' ' -f2; }
    echo "wall: 1/$(ratio "$(wall "$theirs")" "$(wall "$ours")") of setfiles"
fi
