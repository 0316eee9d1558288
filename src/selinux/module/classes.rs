//! The object classes and their permissions: those that kernels and the user-space object managers of the field
//! (systemd, dbus, passwd, nscd, X, PostgreSQL, Android's services) are known to check.
//!
//! Where no policy file is read, this is what tells a name cut short or garbled from a true one. The names are the
//! kernel's own (security/selinux/include/classmap.h) and those that the object managers declare; classes and
//! permissions of older kernels are kept, because old logs are read too.

use crate::report::nearest;

/// A set of permissions that several classes share.
type Common = &'static [&'static str];

/// A class: its name, the permissions that it shares with others, and its own.
type Class = (&'static str, Common, &'static [&'static str]);

const CAPABILITY: Common = &[
    "audit_control",
    "audit_write",
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "ipc_lock",
    "ipc_owner",
    "kill",
    "lease",
    "linux_immutable",
    "mknod",
    "net_admin",
    "net_bind_service",
    "net_broadcast",
    "net_raw",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_admin",
    "sys_boot",
    "sys_chroot",
    "sys_module",
    "sys_nice",
    "sys_pacct",
    "sys_ptrace",
    "sys_rawio",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
];
const CAPABILITY2: Common = &[
    "audit_read",
    "block_suspend",
    "bpf",
    "checkpoint_restore",
    "epolwakeup",
    "mac_admin",
    "mac_override",
    "perfmon",
    "syslog",
    "wake_alarm",
];
const DATABASE: Common = &["create", "drop", "getattr", "relabelfrom", "relabelto", "setattr"];
const FILE: Common = &[
    "append",
    "audit_access",
    "create",
    "execmod",
    "execute",
    "getattr",
    "ioctl",
    "link",
    "lock",
    "map",
    "mounton",
    "open",
    "quotaon",
    "read",
    "relabelfrom",
    "relabelto",
    "rename",
    "setattr",
    "swapon",
    "unlink",
    "watch",
    "watch_mount",
    "watch_reads",
    "watch_sb",
    "watch_with_perm",
    "write",
];
const IPC: Common =
    &["associate", "create", "destroy", "getattr", "read", "setattr", "unix_read", "unix_write", "write"];
const SOCKET: Common = &[
    "accept",
    "append",
    "bind",
    "connect",
    "create",
    "getattr",
    "getopt",
    "ioctl",
    "listen",
    "lock",
    "map",
    "name_bind",
    "read",
    "recv_msg",
    "recvfrom",
    "relabelfrom",
    "relabelto",
    "send_msg",
    "sendto",
    "setattr",
    "setopt",
    "shutdown",
    "write",
];
const X_DEVICE: Common = &[
    "add",
    "bell",
    "create",
    "destroy",
    "force_cursor",
    "freeze",
    "get_property",
    "getattr",
    "getfocus",
    "grab",
    "list_property",
    "manage",
    "read",
    "remove",
    "set_property",
    "setattr",
    "setfocus",
    "use",
    "write",
];
const NONE: Common = &[];

/// All classes, sorted by name.
static CLASSES: &[Class] = &[
    ("alg_socket", SOCKET, &[]),
    ("anon_inode", FILE, &[]),
    ("appletalk_socket", SOCKET, &[]),
    ("association", NONE, &["polmatch", "recvfrom", "sendto", "setcontext"]),
    ("atmpvc_socket", SOCKET, &[]),
    ("atmsvc_socket", SOCKET, &[]),
    ("ax25_socket", SOCKET, &[]),
    ("binder", NONE, &["call", "impersonate", "set_context_mgr", "transfer"]),
    ("blk_file", FILE, &[]),
    ("bluetooth_socket", SOCKET, &[]),
    (
        "bpf",
        NONE,
        &["map_create", "map_create_as", "map_read", "map_write", "prog_load", "prog_load_as", "prog_run"],
    ),
    ("caif_socket", SOCKET, &[]),
    ("can_socket", SOCKET, &[]),
    ("cap2_userns", CAPABILITY2, &[]),
    ("cap_userns", CAPABILITY, &[]),
    ("capability", CAPABILITY, &[]),
    ("capability2", CAPABILITY2, &[]),
    ("chr_file", FILE, &[]),
    ("context", NONE, &["contains", "unused_perm"]),
    ("db_blob", DATABASE, &["export", "import", "read", "write"]),
    ("db_column", DATABASE, &["insert", "select", "update"]),
    ("db_database", DATABASE, &["access", "get_param", "install_module", "load_module", "set_param"]),
    ("db_datatype", DATABASE, &["use"]),
    ("db_exception", DATABASE, &["use"]),
    ("db_language", DATABASE, &["execute", "implement"]),
    ("db_procedure", DATABASE, &["entrypoint", "execute", "install"]),
    ("db_schema", DATABASE, &["add_name", "remove_name", "search"]),
    ("db_sequence", DATABASE, &["get_value", "next_value", "set_value"]),
    ("db_table", DATABASE, &["delete", "insert", "lock", "select", "update"]),
    ("db_tuple", NONE, &["delete", "insert", "relabelfrom", "relabelto", "select", "update", "use"]),
    ("db_view", DATABASE, &["expand"]),
    ("dbus", NONE, &["acquire_svc", "send_msg"]),
    ("dccp_socket", SOCKET, &["name_connect", "node_bind"]),
    ("debuggerd", NONE, &["dump_backtrace", "dump_tombstone"]),
    ("decnet_socket", SOCKET, &[]),
    ("diced", NONE, &["demote", "demote_self", "derive", "get_attestation_chain", "use_seal", "use_sign"]),
    ("dir", FILE, &["add_name", "remove_name", "reparent", "rmdir", "search"]),
    (
        "drmservice",
        NONE,
        &[
            "closeDecryptSession",
            "consumeRights",
            "decrypt",
            "finalizeDecryptUnit",
            "initializeDecryptUnit",
            "openDecryptSession",
            "pread",
            "setPlaybackStatus",
        ],
    ),
    ("fd", NONE, &["use"]),
    ("fifo_file", FILE, &[]),
    ("file", FILE, &["entrypoint", "execute_no_trans"]),
    (
        "filesystem",
        NONE,
        &[
            "associate",
            "getattr",
            "mount",
            "quotaget",
            "quotamod",
            "relabelfrom",
            "relabelto",
            "remount",
            "transition",
            "unmount",
            "watch",
        ],
    ),
    ("hwservice_manager", NONE, &["add", "find", "list"]),
    ("icmp_socket", SOCKET, &["node_bind"]),
    ("ieee802154_socket", SOCKET, &[]),
    ("infiniband_endport", NONE, &["manage_subnet"]),
    ("infiniband_pkey", NONE, &["access"]),
    ("io_uring", NONE, &["allowed", "cmd", "override_creds", "sqpoll"]),
    ("ipc", IPC, &[]),
    ("ipx_socket", SOCKET, &[]),
    ("irda_socket", SOCKET, &[]),
    ("isdn_socket", SOCKET, &[]),
    ("iucv_socket", SOCKET, &[]),
    ("kcm_socket", SOCKET, &[]),
    ("kernel_service", NONE, &["create_files_as", "use_as_override"]),
    ("key", NONE, &["create", "link", "read", "search", "setattr", "view", "write"]),
    ("key_socket", SOCKET, &[]),
    (
        "keystore2",
        NONE,
        &[
            "add_auth",
            "change_password",
            "change_user",
            "clear_ns",
            "clear_uid",
            "delete_all_keys",
            "early_boot_ended",
            "get_attestation_key",
            "get_auth_token",
            "get_last_auth_time",
            "get_state",
            "list",
            "lock",
            "pull_metrics",
            "report_off_body",
            "reset",
            "unlock",
        ],
    ),
    (
        "keystore2_key",
        NONE,
        &[
            "convert_storage_key_to_ephemeral",
            "delete",
            "gen_unique_id",
            "get_info",
            "grant",
            "manage_blob",
            "rebind",
            "req_forced_op",
            "update",
            "use",
            "use_dev_id",
        ],
    ),
    (
        "keystore_key",
        NONE,
        &[
            "add_auth",
            "clear_uid",
            "delete",
            "duplicate",
            "exist",
            "gen_unique_id",
            "get",
            "get_state",
            "grant",
            "insert",
            "is_empty",
            "list",
            "lock",
            "password",
            "reset",
            "sign",
            "unlock",
            "user_changed",
            "verify",
        ],
    ),
    ("llc_socket", SOCKET, &[]),
    ("lnk_file", FILE, &[]),
    ("lockdown", NONE, &["confidentiality", "integrity"]),
    ("mctp_socket", SOCKET, &[]),
    ("memfd_file", FILE, &["entrypoint", "execute_no_trans"]),
    ("memprotect", NONE, &["mmap_zero"]),
    ("msg", NONE, &["receive", "send"]),
    ("msgq", IPC, &["enqueue"]),
    (
        "netif",
        NONE,
        &[
            "dccp_recv",
            "dccp_send",
            "egress",
            "ingress",
            "rawip_recv",
            "rawip_send",
            "tcp_recv",
            "tcp_send",
            "udp_recv",
            "udp_send",
        ],
    ),
    (
        "netlink_audit_socket",
        SOCKET,
        &["nlmsg", "nlmsg_read", "nlmsg_readpriv", "nlmsg_relay", "nlmsg_tty_audit", "nlmsg_write"],
    ),
    ("netlink_connector_socket", SOCKET, &["nlmsg"]),
    ("netlink_crypto_socket", SOCKET, &["nlmsg"]),
    ("netlink_dnrt_socket", SOCKET, &["nlmsg"]),
    ("netlink_fib_lookup_socket", SOCKET, &["nlmsg"]),
    ("netlink_generic_socket", SOCKET, &["nlmsg"]),
    ("netlink_iscsi_socket", SOCKET, &["nlmsg"]),
    ("netlink_kobject_uevent_socket", SOCKET, &["nlmsg"]),
    ("netlink_netfilter_socket", SOCKET, &["nlmsg"]),
    ("netlink_nflog_socket", SOCKET, &["nlmsg"]),
    ("netlink_rdma_socket", SOCKET, &["nlmsg"]),
    ("netlink_route_socket", SOCKET, &["nlmsg", "nlmsg_read", "nlmsg_write"]),
    ("netlink_scsitransport_socket", SOCKET, &["nlmsg"]),
    ("netlink_selinux_socket", SOCKET, &["nlmsg"]),
    ("netlink_socket", SOCKET, &["nlmsg"]),
    ("netlink_tcpdiag_socket", SOCKET, &["nlmsg", "nlmsg_read", "nlmsg_write"]),
    ("netlink_xfrm_socket", SOCKET, &["nlmsg", "nlmsg_read", "nlmsg_write"]),
    ("netrom_socket", SOCKET, &[]),
    ("nfc_socket", SOCKET, &[]),
    (
        "node",
        NONE,
        &[
            "dccp_recv",
            "dccp_send",
            "enforce_dest",
            "rawip_recv",
            "rawip_send",
            "recvfrom",
            "sendto",
            "tcp_recv",
            "tcp_send",
            "udp_recv",
            "udp_send",
        ],
    ),
    (
        "nscd",
        NONE,
        &[
            "admin",
            "getgrp",
            "gethost",
            "getpwd",
            "getserv",
            "getstat",
            "shmemgrp",
            "shmemhost",
            "shmempwd",
            "shmemserv",
        ],
    ),
    ("obsolete_netlink_firewall_socket", SOCKET, &["nlmsg_read", "nlmsg_write"]),
    ("obsolete_netlink_ip6fw_socket", SOCKET, &["nlmsg_read", "nlmsg_write"]),
    ("packet", NONE, &["flow_in", "flow_out", "forward_in", "forward_out", "recv", "relabelto", "send"]),
    ("packet_socket", SOCKET, &[]),
    ("passwd", NONE, &["chfn", "chsh", "crontab", "passwd", "rootok"]),
    ("peer", NONE, &["recv"]),
    ("perf_event", NONE, &["cpu", "kernel", "open", "read", "tracepoint", "write"]),
    ("phonet_socket", SOCKET, &[]),
    ("pppox_socket", SOCKET, &[]),
    (
        "process",
        NONE,
        &[
            "dyntransition",
            "execheap",
            "execmem",
            "execstack",
            "fork",
            "getattr",
            "getcap",
            "getpgid",
            "getrlimit",
            "getsched",
            "getsession",
            "noatsecure",
            "ptrace",
            "rlimitinh",
            "setcap",
            "setcurrent",
            "setexec",
            "setfscreate",
            "setkeycreate",
            "setpgid",
            "setrlimit",
            "setsched",
            "setsockcreate",
            "share",
            "sigchld",
            "siginh",
            "sigkill",
            "signal",
            "signull",
            "sigstop",
            "transition",
        ],
    ),
    ("process2", NONE, &["nnp_transition", "nosuid_transition"]),
    ("property_service", NONE, &["set"]),
    ("proxy", NONE, &["read"]),
    ("qipcrtr_socket", SOCKET, &[]),
    ("rawip_socket", SOCKET, &["node_bind"]),
    ("rds_socket", SOCKET, &[]),
    ("rose_socket", SOCKET, &[]),
    ("rxrpc_socket", SOCKET, &[]),
    ("sctp_socket", SOCKET, &["association", "name_connect", "node_bind"]),
    (
        "security",
        NONE,
        &[
            "check_context",
            "compute_av",
            "compute_create",
            "compute_member",
            "compute_relabel",
            "compute_user",
            "load_policy",
            "read_policy",
            "setbool",
            "setcheckreqprot",
            "setenforce",
            "setsecparam",
            "validate_trans",
        ],
    ),
    ("sem", IPC, &[]),
    ("service", NONE, &["disable", "enable", "reload", "start", "status", "stop"]),
    ("service_manager", NONE, &["add", "find", "list"]),
    ("shm", IPC, &["lock"]),
    ("smc_socket", SOCKET, &[]),
    ("sock_file", FILE, &[]),
    ("socket", SOCKET, &[]),
    (
        "system",
        NONE,
        &[
            "disable",
            "enable",
            "firmware_load",
            "halt",
            "ipc_info",
            "kexec_image_load",
            "kexec_initramfs_load",
            "module_load",
            "module_request",
            "policy_load",
            "reboot",
            "reload",
            "start",
            "status",
            "stop",
            "syslog_console",
            "syslog_mod",
            "syslog_read",
            "x509_certificate_load",
        ],
    ),
    ("tcp_socket", SOCKET, &["acceptfrom", "connectto", "name_connect", "newconn", "node_bind"]),
    ("tipc_socket", SOCKET, &[]),
    ("tun_socket", SOCKET, &["attach_queue"]),
    ("udp_socket", SOCKET, &["node_bind"]),
    ("unix_dgram_socket", SOCKET, &[]),
    ("unix_stream_socket", SOCKET, &["acceptfrom", "connectto", "newconn"]),
    ("user_namespace", NONE, &["create"]),
    ("vsock_socket", SOCKET, &[]),
    ("x25_socket", SOCKET, &[]),
    ("x_application_data", NONE, &["copy", "paste", "paste_after_confirm"]),
    ("x_client", NONE, &["destroy", "getattr", "manage", "setattr"]),
    (
        "x_colormap",
        NONE,
        &[
            "add_color",
            "create",
            "destroy",
            "getattr",
            "install",
            "read",
            "remove_color",
            "uninstall",
            "use",
            "write",
        ],
    ),
    ("x_cursor", NONE, &["create", "destroy", "getattr", "read", "setattr", "use", "write"]),
    ("x_device", X_DEVICE, &[]),
    (
        "x_drawable",
        NONE,
        &[
            "add_child",
            "blend",
            "create",
            "destroy",
            "get_property",
            "getattr",
            "hide",
            "list_child",
            "list_property",
            "manage",
            "override",
            "read",
            "receive",
            "remove_child",
            "send",
            "set_property",
            "setattr",
            "show",
            "write",
        ],
    ),
    ("x_event", NONE, &["receive", "send"]),
    ("x_extension", NONE, &["query", "use"]),
    ("x_font", NONE, &["add_glyph", "create", "destroy", "getattr", "remove_glyph", "use"]),
    ("x_gc", NONE, &["create", "destroy", "getattr", "setattr", "use"]),
    ("x_keyboard", X_DEVICE, &[]),
    ("x_pointer", X_DEVICE, &[]),
    ("x_property", NONE, &["append", "create", "destroy", "getattr", "read", "setattr", "write"]),
    ("x_resource", NONE, &["read", "write"]),
    (
        "x_screen",
        NONE,
        &[
            "getattr",
            "hide_cursor",
            "saver_getattr",
            "saver_hide",
            "saver_setattr",
            "saver_show",
            "setattr",
            "show_cursor",
        ],
    ),
    ("x_selection", NONE, &["getattr", "read", "setattr", "write"]),
    ("x_server", NONE, &["debug", "getattr", "grab", "manage", "record", "setattr"]),
    ("x_synthetic_event", NONE, &["receive", "send"]),
    ("xdp_socket", SOCKET, &[]),
];

/// Whether such a class is known.
pub fn is_class(class: &str) -> bool {
    lookup(class).is_some()
}

/// Whether the known class `class` has the permission `permission`.
pub fn has_permission(class: &str, permission: &str) -> bool {
    permissions(class).any(|p| p == permission)
}

/// The permissions of a class; none if it is not known. Those that classes share come first.
pub fn permissions(class: &str) -> impl Iterator<Item = &'static str> {
    lookup(class).into_iter().flat_map(|(_, common, own)| common.iter().chain(own.iter()).copied())
}

/// The class whose name is nearest to `class`, if any is near.
pub fn nearest_class(class: &str) -> Option<&'static str> {
    nearest(class, CLASSES.iter().map(|c| c.0))
}

/// The permission of `class` whose name is nearest to `permission`, if any is near.
pub fn nearest_permission(class: &str, permission: &str) -> Option<&'static str> {
    nearest(permission, permissions(class))
}

/// Whether a longer class name begins with `class`: then a line that ends in it may have been cut.
pub fn may_be_cut(class: &str) -> bool {
    CLASSES.iter().any(|c| c.0.len() > class.len() && c.0.starts_with(class))
}

fn lookup(class: &str) -> Option<&'static Class> {
    let at = CLASSES.binary_search_by(|c| c.0.cmp(class)).ok()?;
    CLASSES.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_without_repetition() {
        assert!(CLASSES.windows(2).all(|w| w[0].0 < w[1].0));
        for (name, _, _) in CLASSES {
            let mut all: Vec<_> = permissions(name).collect();
            let n = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), n, "{name} repeats a permission");
            assert!(n <= 64 || name.is_empty(), "{name}");
        }
    }

    #[test]
    fn names_cut_or_misspelt_find_their_neighbour() {
        assert_eq!(nearest_class("fil"), Some("file"));
        assert_eq!(nearest_class("tcp_sock"), Some("tcp_socket"));
        assert_eq!(nearest_class("nosuchclass"), None);
        assert_eq!(nearest_permission("file", "raed"), Some("read"));
        assert_eq!(nearest_permission("file", "exceute"), Some("execute"));
        assert_eq!(nearest_permission("process", "execme"), Some("execmem"));
        assert!(may_be_cut("process") && may_be_cut("fil") && !may_be_cut("tcp_socket"));
        assert!(has_permission("process", "execmem") && !has_permission("file", "execmem"));
    }
}
