//! Programs that are meant to run with more rights than their caller's: our own table, from what Debian, Ubuntu, Fedora
//! and their packages ship, with the reason. Everything else that is set-id or has capabilities is a finding.

/// Why a program has more rights than its caller.
#[derive(Debug)]
struct Known {
    /// File names.
    names: &'static [&'static str],
    /// Owner that it may run as by its bit; empty for none.
    user: &'static str,
    /// Groups that it may run as by its bit.
    groups: &'static [&'static str],
    /// What it needs that for.
    why: &'static str,
}

const fn root(names: &'static [&'static str], why: &'static str) -> Known {
    Known { names, user: "root", groups: &["root"], why }
}

const fn group(names: &'static [&'static str], groups: &'static [&'static str], why: &'static str) -> Known {
    Known { names, user: "", groups, why }
}

static SET_ID: &[Known] = &[
    root(
        &["su", "sudo", "sudoedit", "sudo-rs", "su-rs", "doas", "sudo.ws"],
        "it changes the user, after asking",
    ),
    root(&["passwd", "chsh", "chfn", "gpasswd"], "it changes the caller's own line in the account files"),
    root(&["newgrp", "sg"], "it changes the group, to one that the caller may have"),
    root(
        &["mount", "umount", "umount.nfs", "mount.nfs", "mount.nfs4", "umount.nfs4", "mount.cifs"],
        "it mounts what fstab lets users mount",
    ),
    root(
        &["mount.davfs", "mount.ecryptfs_private", "umount.ecryptfs_private", "ntfs-3g"],
        "it mounts what fstab lets users mount",
    ),
    root(&["fusermount", "fusermount3"], "it mounts the caller's own file systems"),
    root(&["pkexec", "polkit-agent-helper-1"], "polkit asks who may"),
    root(&["dbus-daemon-launch-helper"], "it starts services of the system bus"),
    root(&["ssh-keysign"], "it signs with the host's key"),
    root(
        &["ping", "ping4", "ping6", "traceroute6.iputils", "traceroute", "arping", "mtr-packet", "fping"],
        "it sends raw packets",
    ),
    root(
        &["unix_chkpwd", "pam_timestamp_check", "userhelper"],
        "PAM compares the caller's own password with it",
    ),
    root(&["crontab"], "it writes the caller's own crontab"),
    root(&["chage"], "it shows the caller the age of their own password"),
    root(&["newuidmap", "newgidmap"], "it maps the subordinate ids that /etc/subuid gives the caller"),
    root(&["pppd"], "it sets up a line, for the group dip"),
    root(&["Xorg.wrap", "Xorg"], "it drives the display"),
    root(&["chrome-sandbox", "bwrap", "snap-confine", "cockpit-session", "gamescope"], "it builds a sandbox"),
    root(&["exim4", "sendmail.sendmail"], "it delivers to every user"),
    root(&["at", "batch", "atq", "atrm"], "it queues the caller's own jobs"),
    root(
        &[
            "staprun",
            "abrt-action-install-debuginfo-to-abrt-cache",
            "vmware-user-suid-wrapper",
            "nvidia-modprobe",
        ],
        "it loads a module for its group",
    ),
    root(
        &["grub2-set-bootflag", "usernetctl", "suexec", "lxc-user-nic", "procmail", "virtfs-proxy-helper"],
        "a helper that checks its caller",
    ),
    root(
        &["spice-client-glib-usb-acl-helper", "mullvad-exclude", "firejail", "authbind-helper", "helper"],
        "a helper that checks its caller",
    ),
    Known { names: &["at"], user: "daemon", groups: &["daemon"], why: "it queues the caller's own jobs" },
    Known { names: &["uux", "uucp", "cu"], user: "uucp", groups: &["uucp"], why: "it queues for uucp" },
    Known {
        names: &["man", "mandb"],
        user: "man",
        groups: &["man"],
        why: "it keeps the cache of manual pages",
    },
    group(
        &["unix_chkpwd", "chage", "expiry", "pam_extrausers_chkpwd"],
        &["shadow"],
        "it reads the caller's own line of shadow",
    ),
    group(&["crontab"], &["crontab"], "it writes the caller's own crontab"),
    group(&["ssh-agent"], &["ssh", "_ssh", "nobody", "ssh_keys"], "so that others cannot trace it"),
    group(&["ssh-keysign"], &["ssh_keys"], "it signs with the host's key"),
    group(&["wall", "write", "bsd-write", "write.ul"], &["tty"], "it writes to terminals"),
    group(
        &["plocate", "locate", "mlocate"],
        &["plocate", "mlocate", "slocate"],
        "it reads the index of files and shows what the caller may see",
    ),
    group(
        &[
            "dotlockfile",
            "lockfile",
            "mail-lock",
            "mail-touchlock",
            "mail-unlock",
            "mutt_dotlock",
            "movemail",
            "procmail",
        ],
        &["mail"],
        "it locks mailboxes",
    ),
    group(&["postdrop", "postqueue"], &["postdrop"], "it hands mail to postfix"),
    group(
        &["utempter", "screen", "xterm", "libutempter", "ztelnet"],
        &["utmp", "screen"],
        "it records sessions",
    ),
    group(&["exim4"], &["Debian-exim"], "it queues mail"),
    group(&["sendmail.sendmail", "sendmail"], &["smmsp"], "it queues mail"),
    group(&["camel-lock-helper-1.2"], &["mail"], "it locks mailboxes"),
    group(&["nethack", "slashem", "gnome-mines", "glines", "gnometris"], &["games"], "it keeps the scores"),
];

/// Programs with capabilities, and which at most.
static CAPABILITIES: &[(&[&str], &[&str])] = &[
    (
        &["ping", "arping", "clockdiff", "mtr-packet", "fping", "traceroute6.iputils", "rlogin"],
        &["cap_net_raw"],
    ),
    (&["dumpcap", "nethogs", "iftop"], &["cap_net_raw", "cap_net_admin"]),
    (&["newuidmap"], &["cap_setuid"]),
    (&["newgidmap"], &["cap_setgid"]),
    (&["gst-ptp-helper"], &["cap_net_bind_service", "cap_net_admin", "cap_sys_nice"]),
    (&["gnome-keyring-daemon"], &["cap_ipc_lock"]),
    (&["gnome-shell", "kwin_wayland", "mutter", "sway", "gamescope"], &["cap_sys_nice"]),
    (&["systemd-detect-virt"], &["cap_dac_override", "cap_sys_ptrace"]),
    (&["suexec"], &["cap_setgid", "cap_setuid", "cap_dac_override"]),
    (
        &["sssd_pam", "ldap_child", "krb5_child", "selinux_child", "proxy_child"],
        &["cap_setgid", "cap_setuid", "cap_dac_read_search", "cap_chown"],
    ),
    (&["perf"], &["cap_sys_ptrace", "cap_syslog", "cap_perfmon"]),
    (
        &["snap-confine"],
        &[
            "cap_chown",
            "cap_dac_override",
            "cap_dac_read_search",
            "cap_fowner",
            "cap_setgid",
            "cap_setuid",
            "cap_sys_admin",
            "cap_sys_chroot",
            "cap_sys_ptrace",
            "cap_sys_resource",
            "cap_kill",
            "cap_setpcap",
        ],
    ),
];

/// Folders that packages put programs in.
const PACKAGED: [&str; 9] = [
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/libexec/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib64/",
];

fn name_in_package(path: &str) -> Option<&str> {
    PACKAGED.iter().any(|p| path.starts_with(p)).then(|| path.rsplit('/').next())?
}

/// Why this program may run as this user or group (of its bits; `None` for a bit that is not set), where that is known.
pub fn set_id(path: &str, user: Option<&str>, group: Option<&str>) -> Option<&'static str> {
    let name = name_in_package(path)?;
    // Both bits may have a line of their own.
    let by_user = |k: &&Known| user.is_none_or(|u| u == k.user);
    let by_group = |k: &&Known| group.is_none_or(|g| k.groups.contains(&g));
    let named = || SET_ID.iter().filter(|k| k.names.contains(&name));
    let known_user = named().find(by_user);
    let known_group = named().find(by_group);
    match (user, group) {
        (None, None) => None,
        (Some(_), None) => known_user.map(|k| k.why),
        (None, Some(_)) => known_group.map(|k| k.why),
        (Some(_), Some(_)) => known_user.and(known_group).map(|k| k.why),
    }
}

/// Whether these are the capabilities that this program is known for.
pub fn capabilities(path: &str, held: &[String]) -> bool {
    let Some(name) = name_in_package(path) else { return false };
    CAPABILITIES
        .iter()
        .any(|(names, known)| names.contains(&name) && held.iter().all(|c| known.contains(&c.as_str())))
}

/// Capabilities by number (include/uapi/linux/capability.h).
static NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// The capabilities in `security.capability` (capabilities(7), struct vfs_cap_data), permitted and inheritable together;
/// none for a value of another form.
pub fn parse_capabilities(value: &[u8]) -> Option<Vec<String>> {
    let words: Vec<u32> =
        value.chunks_exact(4).filter_map(|c| Some(u32::from_le_bytes(c.try_into().ok()?))).collect();
    let (low, high) = match (words.first()? >> 24, words.as_slice()) {
        (1, [_, permitted, inheritable]) => (permitted | inheritable, 0),
        (2 | 3, [_, permitted, inheritable, permitted_high, inheritable_high, ..]) => {
            (permitted | inheritable, permitted_high | inheritable_high)
        }
        _ => return None,
    };
    let bits = u64::from(high) << 32 | u64::from(low);
    Some(
        (0..64)
            .filter(|n| bits >> n & 1 == 1)
            .map(|n| NAMES.get(n).map_or_else(|| format!("cap_{n}"), |n| (*n).to_owned()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_program_is_known_where_packages_put_it_and_with_its_own_bits() {
        assert!(set_id("/usr/bin/su", Some("root"), None).is_some());
        assert!(set_id("/usr/bin/at", Some("daemon"), Some("daemon")).is_some());
        assert!(set_id("/usr/sbin/unix_chkpwd", None, Some("shadow")).is_some());
        assert!(set_id("/usr/bin/crontab", None, Some("shadow")).is_none(), "another group's");
        assert!(set_id("/usr/bin/wall", Some("root"), Some("tty")).is_none(), "setuid root as well");
        assert!(set_id("/usr/local/bin/su", Some("root"), None).is_none(), "a copy");
        assert!(set_id("/usr/bin/find", Some("root"), None).is_none());
        assert!(set_id("/usr/bin/su", Some("alice"), None).is_none());
    }

    #[test]
    fn capabilities_are_read_in_all_their_forms() {
        let value = [0x01, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(parse_capabilities(&value).unwrap(), ["cap_net_raw"]);
        assert!(capabilities("/usr/bin/ping", &parse_capabilities(&value).unwrap()));
        assert!(!capabilities("/usr/bin/python3.11", &parse_capabilities(&value).unwrap()));
        assert!(!capabilities("/usr/bin/ping", &["cap_setuid".to_owned()]));
        assert_eq!(parse_capabilities(&[1, 0, 0, 1, 128, 0, 0, 0, 0, 0, 0, 0]).unwrap(), ["cap_setuid"]);
        assert_eq!(parse_capabilities(&[]), None);
        assert_eq!(parse_capabilities(&[9; 8]), None);
    }
}
