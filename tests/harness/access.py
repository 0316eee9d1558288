#!/usr/bin/env python3
"""What the kernel answers: asks it, as processes with given credentials, for access to given paths.

Runs as root. Reads one JSON object a line:
    {"uid": 1, "gid": 2, "groups": [3], "caps": 6, "checks": [["access", "/path", 4], ...]}
forks a child for each, which takes on exactly these credentials (caps: the effective set's bits), and prints one JSON
list a line: for each check 0, or the errno.

Checks:
    ["access", PATH, RWX]   faccessat2(2) with effective ids; r 4, w 2, x 1
    ["open", PATH, RW]      open(2) and close; r 4, w 2, both 6
    ["create", FOLDER, 0]   mkdir(2) of a new name in FOLDER, and rmdir(2) of it
    ["mkdir", PATH, 0]      mkdir(2) of PATH, and rmdir(2) of it
    ["rename", PATH, 0]     rename(2) to another name in the same folder, and back
    ["unlink", PATH, 0]     unlink(2)
    ["chmod", PATH, MODE]   chmod(2)
"""

import ctypes
import json
import os
import struct
import sys

PR_SET_KEEPCAPS = 8
CAPABILITY_VERSION_3 = 0x20080522
libc = ctypes.CDLL(None, use_errno=True)


def become(uid, gid, groups, caps):
    if libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    low, high = caps & 0xFFFFFFFF, caps >> 32
    data = struct.pack("6I", low, low, 0, high, high, 0)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def check(kind, path, argument):
    try:
        if kind == "access":
            # os.access answers without the errno; that will do.
            return 0 if os.access(path, argument, effective_ids=True) else 13
        if kind == "open":
            flags = {4: os.O_RDONLY, 2: os.O_WRONLY, 6: os.O_RDWR}[argument]
            os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))
        elif kind == "create":
            new = os.path.join(path, "created")
            os.mkdir(new)
            os.rmdir(new)
        elif kind == "mkdir":
            os.mkdir(path)
            os.rmdir(path)
        elif kind == "rename":
            os.rename(path, path + ".renamed")
            os.rename(path + ".renamed", path)
        elif kind == "unlink":
            os.unlink(path)
        elif kind == "chmod":
            os.chmod(path, argument)
        else:
            raise ValueError(kind)
        return 0
    except OSError as e:
        return e.errno


def main():
    for line in sys.stdin:
        case = json.loads(line)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(reader)
                become(case["uid"], case["gid"], case["groups"], case["caps"])
                answers = [check(*c) for c in case["checks"]]
                with os.fdopen(writer, "w") as out:
                    json.dump(answers, out)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader) as answers:
            text = answers.read()
        _, status = os.waitpid(pid, 0)
        if status != 0:
            sys.exit("the child failed: %r" % (case,))
        print(text, flush=True)


if __name__ == "__main__":
    main()
