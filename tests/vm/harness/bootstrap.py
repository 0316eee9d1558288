"""The Debian tree that the image is made of: which packages, and from where.

The tree is made again when this file changes (`root_id`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from .common import CACHE, Failure, digest, note, read_json

PACKAGES = """
    systemd systemd-sysv udev dbus libpam-systemd linux-image-cloud-amd64
    selinux-policy-default selinux-utils policycoreutils policycoreutils-python-utils
    checkpolicy semodule-utils setools auditd
    sudo opendoas acl attr passwd cron
    nginx-light python3 gunicorn
    busybox-static cpio kmod procps iproute2 curl netcat-openbsd
""".split()
EXTRA_PACKAGES = os.environ.get("PERMS_VM_EXTRA_PACKAGES", "").replace(",", " ").split()

# Where Debian comes from if this host's apt does not take it from anywhere.
DEBIAN = "http://deb.debian.org/debian"
DEBIAN_SECURITY = "http://deb.debian.org/debian-security"

ROOT = CACHE / "root"

# What has to be on the host, and the Debian package that has it.
TO_RUN = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}
TO_BUILD = {
    **TO_RUN,
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "setfiles": "policycoreutils",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def missing_packages(needs):
    """The Debian packages that this host lacks of `needs`, a program each."""
    missing = [package for program, package in needs.items() if not shutil.which(program)]
    if needs is TO_BUILD and not KEYRING.exists():
        missing.append("debian-archive-keyring")
    return missing


def install_host_packages():
    missing = missing_packages(TO_BUILD)
    if not missing:
        return
    names = " ".join(missing)
    if not shutil.which("apt-get"):
        raise Failure(f"the build needs what Debian packages as {names}; install it")
    note(f"installing {names}")
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            [*apt, *words], env=environment, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        if done.returncode:
            tail = "".join(f"\n  {line}" for line in done.stdout.splitlines()[-10:])
            raise Failure(f"apt-get {words[0]} failed; the build needs {names}:{tail}")


def apt_site(codename):
    """The address that this host's own apt takes a Debian suite from, or None."""
    try:
        lines = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(CODENAME) $(SITE)"],
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    sites = dict(line.split(" ", 1) for line in reversed(lines) if " " in line)
    site = sites.get(codename, "")
    # A list of mirrors in a file, or a disk, is of no use inside the new tree.
    return site if site.startswith(("http://", "https://")) else None


def sources():
    mirror = os.environ.get("PERMS_VM_MIRROR") or apt_site("bookworm") or DEBIAN
    security = (
        os.environ.get("PERMS_VM_SECURITY_MIRROR")
        or apt_site("bookworm-security")
        or DEBIAN_SECURITY
    )
    return [
        f"deb {mirror} bookworm main",
        f"deb {mirror} bookworm-updates main",
        f"deb {security} bookworm-security main",
    ]


def root_id():
    # Not the mirror: the same packages come from any.
    return digest(Path(__file__).read_bytes(), sorted(EXTRA_PACKAGES))


def bootstrap():
    """Makes the tree, or leaves it if it is the one that this file describes."""
    marker = CACHE / "root.json"
    if (read_json(marker) or {}).get("id") == root_id():
        return
    marker.unlink(missing_ok=True)
    note("installing Debian 12 into a folder (a minute or two)")
    shutil.rmtree(ROOT, ignore_errors=True)
    leave_out = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"]
    with open(CACHE / "bootstrap.log", "w") as log:
        done = subprocess.run(
            [
                "mmdebstrap",
                "--mode=root",
                "--variant=minbase",
                "--architectures=amd64",
                f"--keyring={KEYRING}",
                '--aptopt=APT::Install-Recommends "false"',
                '--aptopt=Acquire::Retries "3"',
                *(f"--dpkgopt=path-exclude={path}" for path in leave_out),
                f"--include={','.join(PACKAGES + EXTRA_PACKAGES)}",
                "bookworm",
                str(ROOT),
                *sources(),
            ],
            # No initramfs of Debian's: the image has a smaller one of its own.
            env={**os.environ, "INITRD": "No"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    if done.returncode:
        tail = (CACHE / "bootstrap.log").read_text(errors="replace").splitlines()[-15:]
        raise Failure(
            "mmdebstrap failed (is a Debian mirror within reach? PERMS_VM_MIRROR and "
            "PERMS_VM_SECURITY_MIRROR name others):\n  " + "\n  ".join(tail)
        )
    marker.write_text(json.dumps({"id": root_id()}))
