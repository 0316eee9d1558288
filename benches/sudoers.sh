#!/usr/bin/env bash
# A sudoers of 10,000 rules, on the host it is for: checked by `visudo -c` and by `perms check`, whole commands in turn, the fastest
# and the middle of 21; within a process what visudo does (read, and find what it refuses) and what `perms check` does (every risk too);
# decisions, a second. Within a process the memory is the process's already, and is not given back, as in the command.
# Needs: visudo (Debian's sudo), root (visudo wants the file to be root's).
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/root/etc"
SUDOERS_OUT=$dir/root/etc/sudoers cargo bench --quiet --bench sudoers text_to_file > /dev/null
cargo build --quiet --release
chown 0:0 "$dir/root/etc/sudoers"
chmod 440 "$dir/root/etc/sudoers"
# The host that the rules are for: 1,000 users and groups, 100 applications with theirs.
awk 'BEGIN {
    print "root:x:0:0::/root:/bin/sh"
    for (n = 0; n < 1000; n++) printf "user%d:x:%d:100::/home/user%d:/bin/sh\n", n, 2000 + n, n
    for (n = 0; n < 100; n++) printf "app%d:x:%d:100::/opt/app%d:/bin/false\n", n, 4000 + n, n
}' > "$dir/root/etc/passwd"
awk 'BEGIN { print "root:x:0:"; for (n = 0; n < 1000; n++) printf "group%d:x:%d:\n", n, 2000 + n }' > "$dir/root/etc/group"
mkdir -p "$dir/root/usr/bin"
install -m 755 /bin/true "$dir/root/usr/bin/id"
for program in systemctl cat tail; do ln "$dir/root/usr/bin/id" "$dir/root/usr/bin/$program"; done
for n in $(seq 0 99); do
    mkdir -p "$dir/root/opt/app$n/bin"
    for program in manage run stop; do ln "$dir/root/usr/bin/id" "$dir/root/opt/app$n/bin/$program"; done
done
chmod 755 "$dir/root"
SUDOERS_ROOT=$dir/root cargo bench --quiet --bench sudoers > "$dir/ours"

# Runs commands (each a name of a function) in turn, 21 times, and says for each the fastest and the middle time in microseconds,
# by the shell's own clock: a program that tells the time would take some of it. The status does not matter.
compare() {
    local round name begin
    for round in {1..21}; do
        for name; do
            begin=${EPOCHREALTIME/[.,]/}
            "$name" > /dev/null 2>&1 || true
            echo $((${EPOCHREALTIME/[.,]/} - begin)) >> "$dir/$name.times"
        done
    done
    for name; do sort -n "$dir/$name.times" | sed -n '1p;11p' | paste -s -d ' '; done
}

perms="${CARGO_TARGET_DIR:-target}/release/perms"
visudo_c() { visudo -c -f "$dir/root/etc/sudoers"; }
mistakes() { "$perms" --root "$dir/root" --format plain check --no-risks /etc/sudoers; }
risks() { "$perms" --root "$dir/root" --format plain check /etc/sudoers; }
compare visudo_c mistakes risks > "$dir/commands"
{
    read -r theirs middle_theirs
    read -r alike middle_alike
    read -r ours middle_ours
} < "$dir/commands"
# What the benchmark says of a name, in microseconds.
within() {
    awk -v name="$1" 'index($0, name) { sub(".*" name " +", "")
        print int($1 * ($2 == "s" ? 1000000 : $2 == "ms" ? 1000 : 1)); exit }' "$dir/ours"
}
read=$(within read_and_check)
lint=$(within read_and_lint)
awk -v t="$theirs" -v o="$ours" -v a="$alike" -v r="$read" -v l="$lint" -v d="$(within decide_10000)" \
    -v mt="$middle_theirs" -v ma="$middle_alike" -v mo="$middle_ours" 'BEGIN {
    printf "                                      fastest            middle\n"
    printf "visudo -c                            %8d us        %8d us\n", t, mt
    printf "perms check --no-risks               %8d us  %4.1f  %8d us  %4.1f times as fast\n", a, t / a, ma, mt / ma
    printf "perms check, all risks, as text      %8d us  %4.1f  %8d us  %4.1f times as fast\n", o, t / o, mo, mt / mo
    printf "perms, reading and checking as it    %8d us  %4.1f times as fast\n", r, t / r
    printf "perms, reading and all risks         %8d us  %4.1f times as fast\n", l, t / l
    printf "decisions                            %8d a second\n", 10000 / d * 1000000
}'
