"""What the parts of the harness share: the cache and its locks, failures, notes, digests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GUEST = HERE.parent / "guest"
sys.path.insert(0, str(GUEST))

CACHE = Path(
    os.environ.get("PERMS_VM_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perms-vm"
).absolute()

TIMED_OUT = 124
HARNESS_FAILED = 125


class Failure(Exception):
    """Something the user has to know of; ends the program with status 125."""


def note(text):
    print(f"selinux-vm: {text}", file=sys.stderr, flush=True)


def output_of(*command):
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def digest(*parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else json.dumps(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def deadline(seconds, what):
    """Raises Failure where the block takes longer than that."""

    def expire(*_):
        raise Failure(f"{what} took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.alarm(int(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def work_folder():
    with tempfile.TemporaryDirectory(prefix="perms-vm-") as folder:
        yield Path(folder)


# ---------------------------------------------------------------------------
# Locks.  A build has the cache to itself; a run shares it with other runs, of
# which only so many go on at once: each has a CPU or two busy.
# ---------------------------------------------------------------------------


def open_lock(name):
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        # Reading is enough to lock, also where somebody else made the file.
        return open(os.open(CACHE / name, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise Failure(f"the cache cannot be used: {error} (PERMS_VM_CACHE says where)")


@contextlib.contextmanager
def cache_lock(exclusive):
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    with open_lock("lock") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            note("waiting for another selinux-vm to leave the cache")
            fcntl.flock(file, kind)
        yield


def slots():
    """How many machines may run at once."""
    told = os.environ.get("PERMS_VM_SLOTS") or "2"
    if not told.isdigit() or not int(told):
        raise Failure(f"PERMS_VM_SLOTS is a number of machines, not {told!r}")
    return int(told)


@contextlib.contextmanager
def machine_slot():
    """Waits until fewer machines than `slots` are running, and counts as one."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open_lock(f"slot.{n}")) for n in range(slots())]
        while True:
            for file in files:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield
                return
            time.sleep(0.1)
