#!/bin/sh
# Sets loading, deciding and searching beside libsepol's and setools's: the same policies and questions, on the same
# machine, in turn, with the ratios. Each time is the fastest of several: other load on the machine only adds. On a
# busy machine: `chrt -f 10 benches/policy.sh` after `cargo build --release` and `cargo bench --no-run`.
# Needs: cc, libsepol-dev, setools, selinux-policy-default, selinux-policy-mls.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O2 -o "$dir/sepol" tests/harness/sepol_oracle.c -l:libsepol.a
cargo build --quiet --release
cargo bench --quiet --bench policy > "$dir/ours"

# The column "fastest" of a benchmark of ours for a policy, in microseconds.
ours() {
    awk -v bench="$1" -v policy="$2" '
        / (load|write|decide|decide_as_libsepol|new_context)  / { now = $2 }
        now == bench && index($0, policy) {
            sub(/.*policy\.[0-9]+ +/, "")
            print $1 * ($2 == "ms" ? 1000 : $2 == "s" ? 1000000 : $2 == "ns" ? 0.001 : 1)
            exit
        }' "$dir/ours"
}

# The fastest of seven runs of a command, in microseconds.
fastest() {
    for _ in 1 2 3 4 5 6 7; do
        begin=$(date +%s%N)
        "$@" > /dev/null
        echo $((($(date +%s%N) - begin) / 1000))
    done | sort -n | head -n 1
}

# One line: what, their microseconds, ours, how many times faster.
line() {
    awk -v what="$1" -v theirs="$2" -v ours="$3" \
        'BEGIN { printf "  %-46s %12.2f us %12.2f us %8.1f x\n", what, theirs, ours, theirs / ours }'
}

for policy in /etc/selinux/default/policy/policy.33 /etc/selinux/mls/policy/policy.33; do
    printf '%s, %s bytes%38s %15s %10s\n' "$policy" "$(wc -c < "$policy")" theirs perms ratio
    line 'load (libsepol policydb_read)' "$("$dir/sepol" --time 40 "$policy" | sort -n | head -n 1)" \
        "$(ours load "$policy")"
    for ty in httpd_t sshd_t init_t bin_t etc_t shadow_t; do
        for role in system_r object_r; do
            echo "C system_u:$role:$ty:s0"
        done
    done > "$dir/questions"
    echo 'X 200000' >> "$dir/questions"
    # Seconds for 200,000 decisions, the same for both.
    theirs=$(for _ in 1 2 3; do "$dir/sepol" "$policy" < "$dir/questions" | tail -n 1; done | sort -n |
        awk 'NR == 1 { print $1 * 5 }')
    line 'one decision (libsepol compute_av)' "$theirs" \
        "$(ours decide_as_libsepol "$policy" | awk '{ print $1 / 200000 }')"
    printf '  %-46s %28.2f us %8.0f a second\n' 'one decision of a log being replayed' \
        "$(ours decide "$policy" | awk '{ print $1 / 10000 }')" "$(ours decide "$policy" | awk '{ print 1e10 / $1 }')"
    line 'search -A -s httpd_t -t user_home_t (sesearch)' \
        "$(fastest sesearch -A -s httpd_t -t user_home_t "$policy")" \
        "$(fastest target/release/perms policy --policy "$policy" search -A -s httpd_t -t user_home_t)"
    line 'search -A, every rule (sesearch)' "$(fastest sesearch -A "$policy")" \
        "$(fastest target/release/perms policy --policy "$policy" search -A)"
    line 'info (seinfo)' "$(fastest seinfo "$policy")" \
        "$(fastest target/release/perms policy --policy "$policy" info)"
done
