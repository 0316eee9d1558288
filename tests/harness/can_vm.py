#!/usr/bin/env python3
"""In the virtual machine: random files with owners, modes, ACLs and labels, and processes of several users in several
domains that try to use them, under enforcing. What they could is compared with what `perms can` says.

    can_vm.py COUNT SEED      COUNT attempts; prints how many were made and allowed, and each answer that is not the kernel's
"""

import ctypes
import os
import random
import struct
import subprocess
import sys

BASE = "/srv/perms-can"
DOMAINS = 5
LABELS = 6
USERS = ["alice", "bob", "root"]
libc = ctypes.CDLL(None, use_errno=True)

# A program that ends at once: exit(0), without libraries.
PROGRAM = (
    b"\x7fELF\x02\x01\x01" + bytes(9)
    + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 0x84, 0x84, 0x1000)
    + b"\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05" + bytes(3)
)
DIR = ["search", "read", "open", "write", "add_name", "remove_name", "rmdir", "setattr", "getattr"]
FILE = ["read", "open", "write", "create", "unlink", "setattr", "getattr", "execute", "execute_no_trans"]
CAPABILITIES = ["dac_override", "dac_read_search", "fowner"]


def policy(r, here):
    """A module with domains and labels, and random rules between them."""
    domain = here.split(":")[2]
    lines = ["module permscan 1.0;", "require {", "type %s; attribute domain; attribute file_type;" % domain]
    lines += ["role %s; type root_t; type var_t; type fs_t;" % here.split(":")[1]]
    lines += ["class dir { %s };" % " ".join(DIR), "class file { %s entrypoint };" % " ".join(FILE)]
    lines += ["class lnk_file { read getattr }; class fd use; class fifo_file { read write getattr };"]
    lines += ["class process { dyntransition setcurrent sigchld fork signal };"]
    lines += ["class capability { %s };" % " ".join(CAPABILITIES), "}"]
    labels = ["canf%d_t" % n for n in range(LABELS)]
    for label in labels:
        lines += ["type %s; typeattribute %s file_type;" % (label, label)]
    for n in range(DOMAINS):
        d = "cand%d_t" % n
        lines += ["type %s; typeattribute %s domain;" % (d, d), "role %s types %s;" % (here.split(":")[1], d)]
        lines += ["allow %s %s:process { dyntransition signal };" % (domain, d), "allow %s %s:process sigchld;" % (d, domain)]
        lines += ["allow %s self:fifo_file { read write getattr };" % d]
        lines += ["allow %s self:process { fork setcurrent };" % d, "allow %s %s:fd use;" % (d, domain)]
        lines += ["allow %s %s:fifo_file { read write getattr };" % (d, domain)]
        lines += ["allow %s { root_t var_t }:dir search;" % d]
        some = [c for c in CAPABILITIES if r.random() < 0.5]
        if some:
            lines += ["allow %s self:capability { %s };" % (d, " ".join(some))]
        for label in labels:
            chance = r.choice([0, 0.6, 0.9, 1])
            for kind, names in (("dir", DIR), ("file", FILE)):
                rights = [p for p in names if r.random() < chance]
                if rights:
                    lines += ["allow %s %s:%s { %s };" % (d, label, kind, " ".join(rights))]
    return "\n".join(lines) + "\n"


def acl(r, uids, gids):
    """Bytes of system.posix_acl_access."""
    entries = [(1, r.randrange(8), -1)]
    entries += [(2, r.randrange(8), u) for u in sorted(r.sample(uids, r.randrange(len(uids))))]
    entries += [(4, r.randrange(8), -1)]
    entries += [(8, r.randrange(8), g) for g in sorted(r.sample(gids, r.randrange(len(gids))))]
    entries += [(16, r.choice([0, 4, 5, 7, 7, 7]), -1), (32, r.choice([0, 4, 5, 7]), -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", t, p, i) for t, p, i in entries)


class Thing:
    """A file or folder as it is to be."""

    def __init__(self, r, path, folder, owners, label):
        self.path, self.folder, self.label = path, folder, label
        self.uid, self.gid = r.choice(owners[0]), r.choice(owners[1])
        self.mode = r.choice([0o755, 0o777, 0o750, 0o700, 0o711, 0o1777, 0o644, 0o640, r.randrange(0o1000)])
        self.acl = acl(r, owners[0], owners[1]) if r.random() < 0.3 else None

    def place(self):
        if self.folder:
            os.makedirs(self.path, exist_ok=True)
        elif not os.path.exists(self.path):
            with open(self.path, "wb") as f:
                f.write(PROGRAM)
        os.chown(self.path, self.uid, self.gid)
        os.chmod(self.path, self.mode)
        if self.acl:
            os.setxattr(self.path, "system.posix_acl_access", self.acl)
        os.setxattr(self.path, "security.selinux", self.label.encode() + b"\0")


def attempt(action, path):
    """0, or the errno."""
    try:
        folder = KINDS.get(path, False)
        if action == "read":
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        elif action == "write" and folder:
            return 0 if os.access(path, os.W_OK | os.X_OK, effective_ids=True) else 13
        elif action == "write":
            os.close(os.open(path, os.O_WRONLY))
        elif action == "search":
            return 0 if os.access(path, os.X_OK, effective_ids=True) else 13
        elif action == "create":
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        elif action == "delete":
            (os.rmdir if KINDS[path] else os.unlink)(path)
        elif action == "chmod":
            os.chmod(path, MODES[path])
        elif action == "execute":
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    os.execv(path, [path])
                except OSError as e:
                    os.write(writer, b"%d" % e.errno)
                finally:
                    os._exit(1)
            os.close(writer)
            said = os.read(reader, 16)
            os.close(reader)
            os.waitpid(pid, 0)
            return int(said or b"0")
        return 0
    except OSError as e:
        return e.errno


KINDS, MODES = {}, {}


def ask(user, context, questions):
    """What a process of that user in that domain can do, one attempt after the other."""
    import pwd

    p = pwd.getpwnam(user)
    groups = os.getgrouplist(user, p.pw_gid)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setgroups(groups)
        os.setresgid(p.pw_gid, p.pw_gid, p.pw_gid)
        os.setresuid(p.pw_uid, p.pw_uid, p.pw_uid)
        libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: /proc/self stays ours
        with open("/proc/self/attr/current", "w") as f:
            f.write(context)
        for action, path in questions:
            os.write(writer, b"%d\n" % attempt(action, path))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as f:
        answers = [int(line) for line in f]
    os.waitpid(pid, 0)
    assert len(answers) == len(questions), (user, context, len(answers), len(questions))
    return answers


def main():
    count, r = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    here = open("/proc/self/attr/current").read().rstrip("\0\n")
    os.makedirs("/root/permscan", exist_ok=True)
    with open("/root/permscan/permscan.te", "w") as f:
        f.write(policy(r, here))
    for command in (
        "checkmodule -M -m -o permscan.mod permscan.te",
        "semodule_package -o permscan.pp -m permscan.mod",
        "semodule -X 400 -i permscan.pp",
    ):
        subprocess.run(command.split(), cwd="/root/permscan", check=True, stdout=subprocess.DEVNULL)
    assert open("/sys/fs/selinux/enforce").read() == "1"
    import pwd

    uids = [pwd.getpwnam(u).pw_uid for u in USERS]
    gids = [pwd.getpwnam(u).pw_gid for u in USERS]
    parts = here.split(":", 3)
    labels = ["system_u:object_r:canf%d_t:s0" % n for n in range(LABELS)]
    contexts = [":".join([parts[0], parts[1], "cand%d_t" % n, parts[3]]) for n in range(DOMAINS)]
    os.makedirs(BASE, exist_ok=True)
    os.chmod(BASE, 0o755)
    os.setxattr(BASE, "security.selinux", b"system_u:object_r:var_t:s0\0")
    lines, theirs, batch = [], [], 0
    while len(lines) < count:
        batch += 1
        top = "%s/%d" % (BASE, batch)
        things, folders = [], [top]
        for n in range(14):
            folder = n == 0 or r.random() < 0.4
            path = top if n == 0 else "%s/t%d" % (r.choice(folders), n)
            things.append(Thing(r, path, folder, (uids, gids), r.choice(labels)))
            if folder:
                folders.append(path)
            things[-1].place()
            KINDS[path] = folder
        for t in things:
            t.place()
            MODES[t.path] = os.stat(t.path).st_mode & 0o7777
        user, context = r.choice(USERS), r.choice(contexts)
        questions = []
        for t in things:
            for action in ("read", "write", "search" if t.folder else "execute", "chmod"):
                questions.append((action, t.path))
            if t.folder:
                questions.append(("create", t.path + "/new"))
        # What is deleted comes last, the deepest first, and full folders not at all; what it takes is the same before.
        answers = ask(user, context, questions)
        made = [p for (a, p), e in zip(questions, answers) if a == "create" and e == 0]
        for p in made:
            os.unlink(p)
        bare = [t for t in things if not (t.folder and os.listdir(t.path))]
        for t in bare:
            lines.append("\t".join([user, "delete", t.path, context]))
        lines += ["\t".join([user, action, path, context]) for action, path in questions]
        # The answers of perms are for the files as they are now: it is asked before anything goes.
        ours = say(lines[-len(bare) - len(questions):])
        gone = ask(user, context, [("delete", t.path) for t in bare])
        theirs += list(zip(ours, gone + answers, lines[-len(bare) - len(questions):]))
        for t in bare:
            t.place()
    wrong = [(o, e, q) for o, e, q in theirs if (o == "yes") != (e == 0)]
    allowed = sum(1 for _, e, _ in theirs if e == 0)
    print("%d attempts, %d allowed, %d answered otherwise" % (len(theirs), allowed, len(wrong)))
    for ours, errno, question in wrong[:20]:
        fields = question.split("\t")
        print(ours, os.strerror(errno) if errno else "allowed", question)
        more = ["perms", "can", fields[0], fields[1], fields[2], "--domain", fields[3], "--all"]
        print(subprocess.run(more, capture_output=True, text=True).stdout)
        print(subprocess.run(["ls", "-ldZ", fields[2]], capture_output=True, text=True).stdout)


PERMS = None


def say(lines):
    """The verdicts of perms, which reads questions from a pipe for as long as it lasts."""
    global PERMS
    if PERMS is None:
        command = ["perms", "can", "--from", "-", "--format", "plain"]
        PERMS = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    answers = []
    for line in lines:
        PERMS.stdin.write(line + "\n")
        PERMS.stdin.flush()
        answers.append(PERMS.stdout.readline().split("\t")[0])
    return answers


if __name__ == "__main__":
    main()
