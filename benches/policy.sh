#!/bin/sh
# Sets loading and deciding beside libsepol's on the same policies, on the same machine, in turn.
# Needs: cc, libsepol-dev, selinux-policy-default, selinux-policy-mls. Times are the fastest of several: other load on
# the machine only adds.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O2 -o "$dir/sepol" tests/harness/sepol_oracle.c -l:libsepol.a
for policy in /etc/selinux/default/policy/policy.33 /etc/selinux/mls/policy/policy.33; do
    echo "$policy: $(wc -c < "$policy") bytes"
    printf '  libsepol policydb_read: %s us (fastest of 40)\n' \
        "$("$dir/sepol" --time 40 "$policy" | sort -n | head -n 1)"
    for ty in httpd_t sshd_t init_t bin_t etc_t shadow_t; do
        for role in system_r object_r; do
            echo "C system_u:$role:$ty:s0"
        done
    done > "$dir/questions"
    echo 'X 200000' >> "$dir/questions"
    printf '  libsepol compute_av: %s s for 200,000 (seconds, checksum)\n' \
        "$("$dir/sepol" "$policy" < "$dir/questions" | tail -n 1)"
done
echo 'perms (divan; the column "fastest" is to be compared):'
cargo bench --quiet --bench policy
