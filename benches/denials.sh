#!/usr/bin/env bash
# Reads generated audit logs with perms, with the policy loaded and every denial analysed, and beside it with those who
# only filter (ausearch, rg), only copy (cat), or do what perms does (audit2allow), in turn, with the ratios.
#
#   benches/denials.sh [LINES]        LINES: of the long log (1000000 without it; 10000000 needs 2.4 GB in TMPDIR)
#
# Needs: auditd (ausearch), ripgrep, policycoreutils-python-utils (audit2allow), selinux-policy-default, time.
# Each time is the fastest of five (of one, for audit2allow, on 100,000 lines): other load on the machine only adds.
set -eu -o pipefail
cd "$(dirname "$0")/.."
lines=${1:-1000000}
policy=/etc/selinux/default/policy/policy.33
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --quiet --release --bin perms
perms=$PWD/target/release/perms
log() { cargo bench --quiet --bench audit_log -- "$@"; }

# measure TIMES COMMAND…: seconds by the clock, seconds of processor, megabytes at the peak.
measure() {
    local times=$1
    shift
    for _ in $(seq "$times"); do
        /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" >/dev/null 2>&1 || true
        tail -n 1 "$work/time"
    done | awk '{ cpu = $2 + $3 }
        NR == 1 || $1 < wall { wall = $1 } NR == 1 || cpu < least { least = cpu } $4 > peak { peak = $4 }
        END { printf "%.2f %.2f %.0f\n", wall, least, peak / 1024 }'
}

# row NAME TIMES COMMAND…: measures, prints, and leaves the numbers in $got.
row() {
    local name=$1
    shift
    got=$(measure "$@")
    printf '  %-34s %8s s %8s s CPU %6s MB\n' "$name" $got
}

for shape in '1 50' '1 5000' '20 50' '20 5000' '100 50' '100 5000'; do
    read -r percent distinct <<<"$shape"
    log "$lines" "$percent" "$distinct" >"$work/log"
    printf '%s lines, %s bytes, %s %% of events denials, %s distinct\n' "$lines" "$(stat -c %s "$work/log")" "$percent" "$distinct"
    row cat 5 cat "$work/log"
    row "rg -c 'avc: +denied'" 5 rg -c 'avc: +denied' "$work/log"
    rg=${got%% *}
    row 'ausearch -m avc --raw' 1 ausearch -m avc --raw -if "$work/log"
    ausearch=${got%% *}
    row 'perms learn, policy, all analysed' 5 "$perms" learn --policy "$policy" "$work/log"
    ours=${got%% *}
    row 'perms learn --summary' 5 "$perms" learn --summary - "$work/log"
    awk -v o="$ours" -v r="$rg" -v a="$ausearch" \
        'BEGIN { printf "  by the clock: %.1f times rg, ausearch takes %.1f times as long\n", o / r, a / o }'
done

log 100000 100 5000 >"$work/log"
echo '100000 lines, 100 % of events denials, 5000 distinct'
row 'audit2allow -p' 1 audit2allow -p "$policy" -i "$work/log"
theirs=$(cut -d ' ' -f 2 <<<"$got")
row 'perms learn, policy, all analysed' 5 "$perms" learn --policy "$policy" "$work/log"
awk -v t="$theirs" -v o="$(cut -d ' ' -f 2 <<<"$got")" 'BEGIN { printf "  audit2allow takes %.0f times the CPU\n", t / o }'

log 500000 100 20000 >"$work/log"
echo '500000 lines, 100 % of events denials, 20000 distinct'
row 'perms learn, policy, all analysed' 1 "$perms" learn --policy "$policy" "$work/log"
row 'perms learn --summary' 1 "$perms" learn --summary - "$work/log"
