"""One running QEMU: how it is started, and what is asked of the agent inside."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from .common import CACHE, Failure, deadline, digest, note, output_of, read_json

import wire  # in guest/, which both sides import

MEMORY_MIB = 1024
CPUS = 2
# On this kernel SELinux is built in but AppArmor goes first: security= picks it.
# The rest is for speed, above all under emulation.
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 security=selinux enforcing=1 audit=1 "
    "audit_backlog_limit=8192 mitigations=off no5lvl net.ifnames=0 "
    "systemd.show_status=false random.trust_cpu=1"
)
TCG = {"accel": "tcg,thread=multi,tb-size=512", "cpu": "max,la57=off"}
KVM = (
    {"accel": "kvm", "cpu": "host"},
    {"accel": "kvm", "cpu": "host,-arch-capabilities"},
    {"accel": "kvm", "cpu": "qemu64"},
)
PROBE_S = 8
BOOT_S = 240


def qemu_version():
    return output_of("qemu-system-x86_64", "--version").splitlines()[0]


def base_command(accelerator):
    return [
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "pc", "-accel", accelerator["accel"], "-cpu", accelerator["cpu"]),
        *("-smp", str(CPUS), "-m", str(MEMORY_MIB)),
        *("-kernel", str(CACHE / "vmlinuz")),
    ]


def accelerator(probe=True):
    """The fastest accelerator that boots the kernel here, asked once per host boot;
    None where it has not been asked yet and `probe` is false.

    /dev/kvm being there proves little: a nested one may refuse a register or
    leave a stock kernel hanging, so the kernel itself is the test.
    """
    forced = os.environ.get("PERMS_VM_ACCEL")
    if forced == "tcg":
        return TCG
    if forced not in (None, "", "kvm"):
        raise Failure(f"PERMS_VM_ACCEL is either kvm or tcg, not {forced!r}")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        if forced:
            raise Failure("PERMS_VM_ACCEL is kvm, but /dev/kvm is not usable")
        return TCG
    answer = read_json(CACHE / "accelerator.json")
    if not answer or answer["host"] != host_id():
        if not probe:
            return None
        note("finding out whether KVM can boot the kernel")
        answer = remember_accelerator(next(filter(kvm_boots, KVM), TCG))
    if forced and answer["choice"] == TCG:
        raise Failure("PERMS_VM_ACCEL is kvm, but KVM does not boot the kernel here")
    return answer["choice"]


def host_id():
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return digest(boot, qemu_version())


def remember_accelerator(choice):
    answer = {"host": host_id(), "choice": choice}
    (CACHE / "accelerator.json").write_text(json.dumps(answer))
    return answer


def kvm_boots(candidate):
    command = base_command(candidate) + ["-serial", "stdio"]
    # Without a root file system the kernel panics, and so QEMU ends, at once.
    command += ["-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_S,
        )
        return b"Linux version" in done.stdout and b"VFS:" in done.stdout
    except subprocess.TimeoutExpired:
        return False


class Machine:
    """One running QEMU; the agent's port is its standard input and output."""

    def __init__(self, accelerator, work, disk, incoming=None, monitor=None):
        self.console = work / "console.log"
        command = base_command(accelerator)
        command += ["-initrd", str(CACHE / "initramfs"), "-append", KERNEL_ARGUMENTS]
        command += [
            *("-drive", f"file={disk},format=qcow2,if=virtio,cache=unsafe"),
            *("-device", "virtio-serial", "-chardev", "stdio,id=agent,signal=off"),
            *("-device", "virtserialport,chardev=agent,name=perms.agent"),
            *("-serial", f"file:{self.console}"),
        ]
        if incoming:
            command += ["-incoming", f"exec:cat {shlex.quote(str(incoming))}"]
        if monitor:
            command += ["-qmp", f"unix:{monitor},server=on,wait=off"]
        self.errors = open(work / "qemu.log", "w+")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            preexec_fn=die_with_parent,
        )
        self.channel = wire.Channel(
            self.process.stdout.fileno(), self.process.stdin.fileno()
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def expect(self, wanted):
        kind, payload = self.channel.receive()
        if kind != wanted:
            raise Failure(f"the agent sent {kind!r}: {payload.decode(errors='replace')}")
        return payload

    def wait_for_hello(self):
        with deadline(BOOT_S, "booting"):
            hello = json.loads(self.expect(wire.HELLO))
        if not hello["enforcing"]:
            raise Failure(f"SELinux is not enforcing in the VM: {hello}")
        return hello

    def post_mortem(self):
        self.errors.seek(0)
        lines = self.errors.read().splitlines()[-5:]
        if self.console.exists():
            lines += self.console.read_text(errors="replace").splitlines()[-15:]
        return "".join(f"\n  {line}" for line in lines)

    def ask(self, argv, environment=None, stdin="", timeout_s=600, get=()):
        """Hands a request over; its answers are for the caller to read."""
        request = {
            "argv": argv,
            "environment": environment or {},
            "stdin": stdin,
            "timeout_s": timeout_s,
            "get": list(get),
            "time": time.time(),
        }
        self.channel.send_json(wire.REQUEST, request)

    def upload(self, puts=()):
        sink = wire.TarSink(self.channel)
        with sink.open() as archive:
            for source, target in puts:
                archive.add(source, arcname=target.lstrip("/"), filter=owned_by_root)
        sink.end()

    def stream(self):
        """Passes the command's output on and returns its exit status."""
        outputs = {wire.STDOUT: sys.stdout.buffer, wire.STDERR: sys.stderr.buffer}
        while True:
            kind, payload = self.channel.receive()
            if kind == wire.EXIT:
                return json.loads(payload)
            if kind not in outputs:
                raise Failure(payload.decode(errors="replace"))
            outputs[kind].write(payload)
            outputs[kind].flush()

    def download(self, targets, work):
        source = wire.TarSource(self.channel)
        received = work / "get"
        received.mkdir()
        with source.open() as archive:
            for member in archive:
                archive.extract(member, received)
        source.end()
        for number, target in enumerate(targets):
            place(received / str(number), target)

    def finish(self):
        """Reads to the end of the request; returns whether all of it was done."""
        done = True
        while True:
            kind, payload = self.channel.receive()
            if kind == wire.DONE:
                return done
            note(payload.decode(errors="replace"))
            done = False


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    os.setsid()  # a Ctrl-C is for this program to handle


def owned_by_root(member):
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def place(received, target):
    if not os.path.lexists(received):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if received.is_dir() and not received.is_symlink():
        shutil.copytree(received, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(received, target, follow_symlinks=False)


def overlay(disk, target):
    form = "raw" if disk.suffix == ".raw" else "qcow2"
    # Inside the cache a relative name, so that the cache can be moved.
    below = os.path.relpath(disk, target.parent) if CACHE in target.parents else disk
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", below, target]
    subprocess.run(create, check=True, stdout=sys.stderr)
