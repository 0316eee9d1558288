#!/usr/bin/env bash
# Look-ups of file contexts by perms and by the installed libselinux, over the same paths of this machine.
#
#   benches/labels.sh [PATHS]        PATHS: how many (20000 without it; libselinux 3.4 does some 6,000 a second)
#
# Needs selinux-policy-default, libselinux1-dev and a C compiler. The answers are compared too.
set -eu -o pipefail
cd "$(dirname "$0")/.."
count=${1:-20000}
file=/etc/selinux/default/contexts/files/file_contexts
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --release --quiet --bin perms
cc -O2 -o "$work/oracle" tests/harness/selabel_oracle.c -lselinux
find /etc /usr /var -xdev -print0 2>/dev/null | head -z -n "$count" >"$work/paths" || true
sed -z 's/^/-/' <"$work/paths" >"$work/questions"

echo "libselinux: seconds to open, look-ups, seconds for them"
"$work/oracle" --time "$file" <"$work/questions"
echo "perms, the whole program, the same paths once:"
time target/release/perms label --contexts "$file" --stdin -0 --kind file <"$work/paths" >"$work/ours"
echo "perms, the same paths 50 times:"
for _ in $(seq 50); do cat "$work/paths"; done >"$work/many"
time target/release/perms label --contexts "$file" --stdin -0 --kind file <"$work/many" >/dev/null

"$work/oracle" "$file" <"$work/questions" >"$work/theirs"
tr '\0' '\n' <"$work/ours" | sed 's/.*\t//' | cmp - "$work/theirs" && echo "answers equal"
