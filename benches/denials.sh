#!/usr/bin/env bash
# Reads generated audit logs with perms, with the policy loaded and every denial analysed, and beside it with those who
# only filter (ausearch, rg), only copy (cat), or do what perms does (audit2allow), in turn, with the ratios.
#
#   benches/denials.sh [LINES [SHAPE…]]   LINES: of the long log (1000000 without it; 10000000 needs 2.4 GB in TMPDIR)
#                                         SHAPE: 'PERCENT TRIPLES', of the events that are denials (all six without it)
#   A2A='100000' benches/denials.sh …     lengths of the logs for audit2allow (100000 and 1000000 without it)
#
# Needs: auditd (ausearch), ripgrep, policycoreutils-python-utils (audit2allow), selinux-policy-default, time.
# Each time is the fastest of five, all commands in turn (of one, for ausearch and audit2allow): other load on the machine
# only adds. Each triple of domain, type and class is denied with up to seven sets of permissions.
set -eu -o pipefail
cd "$(dirname "$0")/.."
lines=${1:-1000000}
shift || true
[[ $# -gt 0 ]] || set -- '1 50' '1 5000' '20 50' '20 5000' '100 50' '100 5000'
policy=/etc/selinux/default/policy/policy.33
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --quiet --release --bin perms
perms=${CARGO_TARGET_DIR:-$PWD/target}/release/perms
log() { cargo bench --quiet --bench audit_log -- "$@"; }

# once NAME: adds seconds by the clock, seconds of processor, megabytes at the peak to what was measured of it.
once() {
    local command
    case $1 in
    cat) command=(cat "$work/log") ;;
    rg) command=(rg -c 'avc: +denied' "$work/log") ;;
    ausearch) command=(ausearch -m avc --raw -if "$work/log") ;;
    perms) command=("$perms" learn --policy "$policy" "$work/log") ;;
    summary) command=("$perms" learn --summary - "$work/log") ;;
    audit2allow) command=(audit2allow -p "$policy" -i "$work/log") ;;
    esac
    /usr/bin/time -f '%e %U %S %M' -o "$work/time" "${command[@]}" >/dev/null 2>&1 || true
    tail -n 1 "$work/time" >>"$work/$1.times"
}

# row NAME TEXT: prints the least of what was measured, and leaves the numbers in $got.
row() {
    got=$(awk '{ cpu = $2 + $3 }
        NR == 1 || $1 < wall { wall = $1 } NR == 1 || cpu < least { least = cpu } $4 > peak { peak = $4 }
        END { printf "%.2f %.2f %.0f\n", wall, least, peak / 1024 }' "$work/$1.times")
    printf '  %-34s %8s s %8s s CPU %6s MiB\n' "$2" $got
    rm "$work/$1.times"
}

for shape in "$@"; do
    read -r percent triples <<<"$shape"
    log "$lines" "$percent" "$triples" 7 >"$work/log"
    printf '%s lines, %s bytes, %s %% of events denials, %s triples\n' "$lines" "$(stat -c %s "$work/log")" "$percent" "$triples"
    once ausearch
    for _ in 1 2 3 4 5; do
        for name in cat rg perms summary; do once "$name"; done
    done
    row cat cat
    row rg "rg -c 'avc: +denied'"
    rg=${got%% *}
    row ausearch 'ausearch -m avc --raw'
    ausearch=${got%% *}
    row perms 'perms learn, policy, all analysed'
    ours=${got%% *}
    row summary 'perms learn --summary'
    awk -v o="$ours" -v r="$rg" -v a="$ausearch" \
        'BEGIN { printf "  by the clock: %.1f times rg, ausearch takes %.1f times as long\n", o / r, a / o }'
done

for length in ${A2A-100000 1000000}; do
    log "$length" 100 5000 7 >"$work/log"
    echo "$length lines, 100 % of events denials, 5000 triples"
    once audit2allow
    for _ in 1 2 3 4 5; do once perms; done
    row audit2allow 'audit2allow -p'
    theirs=$(cut -d ' ' -f 2 <<<"$got")
    row perms 'perms learn, policy, all analysed'
    awk -v t="$theirs" -v o="$(cut -d ' ' -f 2 <<<"$got")" 'BEGIN { printf "  audit2allow takes %.0f times the CPU\n", t / o }'
done

log 500000 100 20000 1 >"$work/log"
echo '500000 lines, 100 % of events denials, 20000 distinct'
once perms
once summary
row perms 'perms learn, policy, all analysed'
row summary 'perms learn --summary'
