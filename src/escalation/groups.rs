//! Groups whose members are as good as root: our own table.

/// Name, and what makes its members root.
static GROUPS: &[(&str, &str)] = &[
    ("docker", "`docker run -v /:/host` mounts the host's own files, as root"),
    ("podman", "its socket starts containers as root"),
    ("lxd", "`lxc config device add … source=/` gives a container the host's own files, as root"),
    ("incus-admin", "`incus config device add … source=/` gives a container the host's own files, as root"),
    ("microk8s", "a pod is given the host's own files, as root"),
    ("disk", "it reads and writes the disks themselves, past all rights of files"),
    ("kmem", "it reads and writes the kernel's memory"),
    ("libvirt", "a virtual machine is given the host's own disks"),
    ("libvirtd", "a virtual machine is given the host's own disks"),
];

/// What makes the members of a group root, if anything does.
pub fn as_good_as_root(group: &str) -> Option<&'static str> {
    GROUPS.iter().find(|(name, _)| *name == group).map(|(_, how)| *how)
}
