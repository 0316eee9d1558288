"""The image: a copy of the Debian tree made into the guest, labelled, and packed.

The image is made again when this file, bootstrap.py or guest/ changes (`image_id`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import bootstrap
from .common import CACHE, GUEST, Failure, digest, note, output_of, read_json

USERS = ("alice", "bob")
MODULES = ("virtio_pci", "virtio_blk", "virtio_console")
# Units that only cost time in a machine that lives for a minute.
MASKED = """
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
    e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer
    getty@tty1.service serial-getty@ttyS0.service
    modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service
    modprobe@fuse.service modprobe@loop.service
    systemd-pstore.service systemd-random-seed.service
""".split()
# Installed, but for the tests to start.
DISABLED = ["nginx.service"]
DISK_MIB = 4096


def image_id():
    files = [path.read_bytes() for path in sorted(GUEST.glob("*")) if path.is_file()]
    return digest(bootstrap.root_id(), Path(__file__).read_bytes(), *files)


def is_built():
    return (read_json(CACHE / "image.json") or {}).get("id") == image_id()


def build():
    """Makes image, kernel and initramfs; as root, by itself or through sudo."""
    if os.geteuid():
        build_through_sudo()
        return
    os.umask(0o022)
    bootstrap.install_host_packages()
    started = time.monotonic()
    (CACHE / "image.json").unlink(missing_ok=True)
    shutil.rmtree(CACHE / "snapshot", ignore_errors=True)
    bootstrap.bootstrap()
    note("configuring, labelling and packing the image")
    with copy_of(bootstrap.ROOT) as root:
        configure(root)
        kernel = max((root / "lib/modules").iterdir()).name
        config = (root / f"boot/config-{kernel}").read_text()
        if "CONFIG_SECURITY_SELINUX=y" not in config:
            raise Failure(f"the kernel {kernel} has no SELinux")
        shutil.copyfile(root / f"boot/vmlinuz-{kernel}", CACHE / "vmlinuz")
        initramfs(root, kernel, CACHE / "initramfs")
        label(root)
        pack(root, CACHE / "image.raw")
    seconds = round(time.monotonic() - started, 1)
    facts = {"id": image_id(), "kernel": kernel, "seconds": seconds}
    (CACHE / "image.json").write_text(json.dumps(facts))
    note(f"image ready after {seconds} s")


def build_through_sudo():
    """The cache stays the caller's; image, kernel and tree in it are root's."""
    needs_root = "making the image needs root: it installs Debian and sets security.selinux"
    sudo = shutil.which("sudo")
    if not sudo or subprocess.run([sudo, "-n", "true"], stderr=subprocess.DEVNULL).returncode:
        raise Failure(f"{needs_root}; run this as root, or where sudo asks for no password")
    kept = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("PERMS_VM_")]
    script = GUEST.parent / "selinux-vm"
    command = [sudo, "-n", "env", *kept, f"PERMS_VM_CACHE={CACHE}", script, "image"]
    if subprocess.run(command, stdout=sys.stderr).returncode:
        raise Failure("the image was not made")


@contextlib.contextmanager
def copy_of(tree):
    """The tree stays as Debian made it; what is done to it is done to a copy."""
    copy = CACHE / "guest-root"
    shutil.rmtree(copy, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", tree, copy], check=True, stdout=sys.stderr)
    try:
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def chroot(root, *command):
    subprocess.run(["chroot", root, *command], check=True, stdout=sys.stderr)


def configure(root):
    """Puts into the tree what makes it the guest."""

    def write(path, text):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    write("etc/hostname", "perms-vm\n")
    write("etc/hosts", "127.0.0.1 localhost perms-vm\n::1 localhost\n")
    write("etc/fstab", "")
    # With an empty machine-id every boot would be a "first boot".
    write("etc/machine-id", hashlib.sha256(b"perms-vm").hexdigest()[:32] + "\n")
    write("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=default\n")
    # While no rule is loaded the kernel leaves PATH records out of AVC events.
    write("etc/audit/rules.d/50-path.rules", "-w /etc/shadow -p wa -k shadow\n")

    agent = root / "usr/local/lib/perms-agent"
    agent.mkdir(parents=True, exist_ok=True)
    for name in ("agent.py", "wire.py"):
        shutil.copyfile(GUEST / name, agent / name)
    unit = "perms-agent.service"
    shutil.copyfile(GUEST / unit, root / "etc/systemd/system" / unit)

    for user in USERS:
        chroot(root, "useradd", "--create-home", "--shell", "/bin/bash", user)
    for verb, units in (("mask", MASKED), ("disable", DISABLED), ("enable", [unit])):
        subprocess.run(
            ["chroot", root, "systemctl", "--quiet", verb, *units],
            check=True,
            stdout=sys.stderr,
            stderr=subprocess.DEVNULL,
        )
    for path in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / path, ignore_errors=True)


def label(root):
    """Gives every file the security.selinux attribute the policy asks for."""
    contexts = root / "etc/selinux/default/contexts/files/file_contexts"
    with open(CACHE / "label.log", "w") as log:
        command = ["setfiles", "-F", "-r", root, contexts, root]
        status = subprocess.run(command, stdout=log, stderr=log).returncode
    try:
        attribute = os.getxattr(root / "etc/shadow", "security.selinux").decode()
    except OSError as error:
        attribute = error.strerror
    if status or "shadow_t" not in attribute:
        raise Failure(
            f"labelling failed (see {CACHE / 'label.log'}): setfiles ended with {status}, "
            f"security.selinux of /etc/shadow: {attribute}. Can the file system of "
            f"{CACHE} hold security.selinux? PERMS_VM_CACHE names another place"
        )


def initramfs(root, kernel, target):
    """Makes the few drivers the root disk needs, and the script that loads them."""
    wanted = "".join(
        output_of(
            "chroot", root, "modprobe", "--set-version", kernel, "--show-depends", name
        )
        + "\n"
        for name in MODULES
    )
    paths = [line.split()[1] for line in wanted.splitlines() if line.startswith("insmod")]
    paths = list(dict.fromkeys(paths))
    work = root / "initramfs"
    for folder in ("bin", "dev", "modules", "root"):
        (work / folder).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", work / "bin/busybox")
    shutil.copy(GUEST / "initramfs-init", work / "init")
    (work / "init").chmod(0o755)
    for path in paths:
        shutil.copy(root / path.lstrip("/"), work / "modules")
    order = "".join(f"{os.path.basename(path)}\n" for path in paths)
    (work / "modules/order").write_text(order)
    archive = "cd /initramfs && find . | cpio --create --format=newc --quiet | gzip"
    with open(target, "wb") as file:
        subprocess.run(["chroot", root, "sh", "-c", archive], check=True, stdout=file)
    shutil.rmtree(work)


def pack(root, image):
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(DISK_MIB << 20)
    # A journal would be of no use to a disk that is thrown away.
    make = ["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-d", root, image]
    subprocess.run(make, check=True, stdout=sys.stderr)
