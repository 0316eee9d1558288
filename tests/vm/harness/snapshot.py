"""The snapshot: a machine that has booted already, stored with its memory."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import time
from pathlib import Path

from . import machine
from .common import CACHE, Failure, deadline, digest, note, read_json, work_folder
from .image import image_id
from .machine import BOOT_S, Machine, overlay, qemu_version

import wire


def snapshot_id(accelerator):
    how = Path(machine.__file__).read_bytes()
    return digest(image_id(), accelerator, qemu_version(), how)


def has_snapshot(accelerator):
    facts = read_json(CACHE / "snapshot" / "facts.json")
    return bool(facts) and facts["id"] == snapshot_id(accelerator)


def make_snapshot(accelerator):
    """Boots once and stores disk and memory, so that a run resumes in a second."""
    started = time.monotonic()
    note(f"booting once with {accelerator['accel']} to store the booted machine")
    final = CACHE / "snapshot"
    shutil.rmtree(final, ignore_errors=True)
    target = CACHE / "snapshot.new"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with work_folder() as work:
        disk = target / "disk.qcow2"
        overlay(CACHE / "image.raw", disk)
        monitor = work / "monitor"
        with Machine(accelerator, work, disk, monitor=monitor) as guest:
            try:
                hello = guest.wait_for_hello()
                with deadline(BOOT_S, "settling"):
                    settle = "systemctl is-system-running --wait >/dev/null; sync"
                    guest.ask(["sh", "-c", settle])
                    guest.expect(wire.ACCEPTED)
                    guest.upload()
                    guest.stream()
                    wire.TarSource(guest.channel).end()
                    guest.finish()
                    save_state(monitor, target / "state")
            except (Failure, wire.Closed, OSError) as error:
                what = str(error) or "QEMU ended"
                raise Failure(what + guest.post_mortem()) from error
    seconds = round(time.monotonic() - started, 1)
    facts = {"id": snapshot_id(accelerator), "seconds": seconds, "guest": hello}
    (target / "facts.json").write_text(json.dumps(facts))
    target.rename(final)
    note(f"booted and stored after {seconds} s; SELinux is enforcing")


def save_state(monitor, target):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(monitor))
        lines = connection.makefile("rw")

        def ask(execute, **arguments):
            request = {"execute": execute, "arguments": arguments}
            lines.write(json.dumps(request) + "\n")
            lines.flush()
            while True:
                answer = json.loads(lines.readline())
                if "error" in answer:
                    raise Failure(f"{execute}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]

        lines.readline()  # the greeting
        ask("qmp_capabilities")
        ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        ask("migrate", uri=f"exec:cat > {shlex.quote(str(target))}")
        while True:
            state = ask("query-migrate")
            if state["status"] == "completed":
                break
            if state["status"] == "failed":
                raise Failure(f"storing the machine: {state.get('error-desc')}")
            time.sleep(0.1)
        ask("quit")
