#!/usr/bin/env python3
"""What the running kernel decides by the SELinux policy that it has loaded, asked through /sys/fs/selinux.

    selinuxfs.py ask < QUESTIONS     a question a line, fields parted by tabs, and an answer a line:
        A SOURCE TARGET CLASS        CLASS is the policy's number. Answers: allowed, auditallow and auditdeny
                                     (hexadecimal), 1 where the source is permissive
        N SOURCE TARGET CLASS NAME   the contexts of `create` (of NAME, if it is not empty), `member` and `relabel`,
                                     `-` where the kernel refuses
        V CONTEXT                    the context as the kernel writes it, or `-`
        T OLD NEW CLASS PROCESS      `yes` or `no`: validatetrans
    selinuxfs.py state               what the kernel says of itself, as JSON
    selinuxfs.py load FILE           loads a policy, as load_policy does
"""

import json
import os
import sys

FS = "/sys/fs/selinux/"


def ask(node, question):
    """The node's answer, or None where the kernel refuses. An open file takes one question."""
    file = os.open(FS + node, os.O_RDWR)
    try:
        os.write(file, question.encode())
        return os.read(file, 8192).rstrip(b"\0\n").decode()
    except OSError as e:
        # EINVAL: no such context; EACCES: the context that would be made is invalid. The rest is no answer.
        if e.errno in (22, 13):
            return None
        raise
    finally:
        os.close(file)


def decide(*about):
    allowed, _, audit_allow, audit_deny, _, flags = ask("access", "%s %s %s" % about).split()
    words = ["%08x" % int(v, 16) for v in (allowed, audit_allow, audit_deny)]
    return " ".join(words + ["%d" % (int(flags, 16) & 1)])


def new(source, target, number, name):
    about = "%s %s %s" % (source, target, number)
    made = [ask("create", about + (" " + name if name else "")), ask("member", about), ask("relabel", about)]
    return " ".join(m or "-" for m in made)


def may_change(question):
    file = os.open(FS + "validatetrans", os.O_WRONLY)
    try:
        os.write(file, question.encode())
        return "yes"
    except PermissionError:
        return "no"
    finally:
        os.close(file)


def answer(fields):
    kind, rest = fields[0], fields[1:]
    if kind == "A":
        return decide(*rest)
    if kind == "N":
        return new(*rest)
    if kind == "V":
        return ask("context", rest[0]) or "-"
    if kind == "T":
        return may_change(" ".join(rest))
    raise ValueError(kind)


def read(*path):
    with open(os.path.join(FS, *path), "rb") as file:
        return file.read().rstrip(b"\0\n").decode()


def names(*path):
    return sorted(os.listdir(os.path.join(FS, *path)))


def state():
    # The inode's number holds the SID's.
    sid = lambda name: os.stat(FS + "initial_contexts/" + name).st_ino & 0xFFFFFF
    return {
        "classes": {
            c: {
                "index": int(read("class", c, "index")),
                "permissions": {p: int(read("class", c, "perms", p)) for p in names("class", c, "perms")},
            }
            for c in names("class")
        },
        "booleans": {b: read("booleans", b).split()[0] == "1" for b in names("booleans")},
        "initial_sids": {sid(n): read("initial_contexts", n) for n in names("initial_contexts")},
        "capabilities": {c: read("policy_capabilities", c) == "1" for c in names("policy_capabilities")},
        "deny_unknown": read("deny_unknown") == "1",
        "reject_unknown": read("reject_unknown") == "1",
        "mls": read("mls") == "1",
    }


def load(path):
    with open(path, "rb") as file:
        policy = file.read()
    file = os.open(FS + "load", os.O_RDWR)
    try:
        # In one write: the kernel takes no parts.
        if os.write(file, policy) != len(policy):
            sys.exit("the kernel took only a part")
    finally:
        os.close(file)


def main():
    if sys.argv[1] == "ask":
        for line in sys.stdin:
            print(answer(line.rstrip("\n").split("\t")))
    elif sys.argv[1] == "state":
        print(json.dumps(state()))
    else:
        load(sys.argv[2])


if __name__ == "__main__":
    main()
