//! Names of policy capabilities: what kernel behaviour a policy asks for.

/// By number, as the kernel counts them (security/selinux/include/policycap_names.h).
const NAMES: [&str; 15] = [
    "network_peer_controls",
    "open_perms",
    "extended_socket_class",
    "always_check_network",
    "cgroup_seclabel",
    "nnp_nosuid_transition",
    "genfs_seclabel_symlinks",
    "ioctl_skip_cloexec",
    "userspace_initial_context",
    "netlink_xperm",
    "netif_wildcard",
    "genfs_seclabel_wildcard",
    "functionfs_seclabel",
    "memfd_class",
    "bpf_token_perms",
];

/// The name of a capability's number; `None` for one newer than this program.
pub fn capability_name(number: u32) -> Option<&'static str> {
    NAMES.get(number as usize).copied()
}
