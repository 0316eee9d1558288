//! The types, classes and permissions that advice is about. Our own lists: names that policies of the reference
//! family (Debian, Fedora, RHEL, Gentoo) share.

/// Classes of things in a file system.
pub const FILES: &[&str] = &[
    "file",
    "dir",
    "lnk_file",
    "chr_file",
    "blk_file",
    "sock_file",
    "fifo_file",
    "anon_inode",
    "filesystem",
];

/// Types that objects get which nobody labelled for a purpose, or that many programs' objects share.
pub const GENERIC: &[&str] = &[
    "admin_home_t",
    "cifs_t",
    "default_t",
    "device_t",
    "dosfs_t",
    "etc_runtime_t",
    "etc_t",
    "file_t",
    "fusefs_t",
    "home_root_t",
    "mnt_t",
    "nfs_t",
    "root_t",
    "src_t",
    "tmp_t",
    "tmpfs_t",
    "unlabeled_t",
    "user_home_dir_t",
    "user_home_t",
    "user_tmp_t",
    "user_tmpfs_t",
    "usr_t",
    "var_lib_t",
    "var_log_t",
    "var_run_t",
    "var_spool_t",
    "var_t",
];

/// Types of files in somebody's home.
pub const HOMES: &[&str] = &["admin_home_t", "home_root_t", "user_home_dir_t", "user_home_t"];

/// Types of ports that nobody gave a type.
pub const GENERIC_PORTS: &[&str] =
    &["port_t", "reserved_port_t", "hi_reserved_port_t", "unreserved_port_t", "ephemeral_port_t"];

/// The port type that a domain may usually bind or reach, for a suggestion.
pub fn port_type(domain: &str) -> Option<&'static str> {
    Some(match domain {
        "httpd_t" => "http_port_t",
        "sshd_t" => "ssh_port_t",
        "named_t" => "dns_port_t",
        "squid_t" => "squid_port_t",
        "mysqld_t" => "mysqld_port_t",
        "postgresql_t" => "postgresql_port_t",
        "redis_t" => "redis_port_t",
        "memcached_t" => "memcache_port_t",
        "ftpd_t" => "ftp_port_t",
        "dovecot_t" => "pop_port_t",
        "postfix_master_t" => "smtp_port_t",
        "snmpd_t" => "snmp_port_t",
        "syslogd_t" => "syslogd_port_t",
        "openvpn_t" => "openvpn_port_t",
        "tor_t" => "tor_port_t",
        "rsync_t" => "rsync_port_t",
        "smbd_t" => "smbd_port_t",
        "slapd_t" => "ldap_port_t",
        _ => return None,
    })
}

/// Types of files with passwords and private keys.
pub fn is_secret(name: &str) -> bool {
    const SECRETS: &[&str] = &[
        "dnssec_t",
        "gpg_secret_t",
        "ipsec_key_file_t",
        "krb5_keytab_t",
        "samba_secrets_t",
        "shadow_t",
        "ssh_home_t",
        "sshd_key_t",
        "tls_privkey_t",
    ];
    SECRETS.contains(&name) || name.ends_with("_keytab_t") || name.ends_with("_privkey_t")
}

/// Types whose files are run by others, or decide what others run.
pub fn is_run_by_others(name: &str) -> bool {
    const RUN: &[&str] = &[
        "bin_t",
        "boot_t",
        "cron_spool_t",
        "initrc_exec_t",
        "ld_so_cache_t",
        "ld_so_t",
        "lib_t",
        "modules_conf_t",
        "modules_object_t",
        "shell_exec_t",
        "system_cron_spool_t",
        "systemd_unit_t",
        "textrel_shlib_t",
        "udev_rules_t",
        "user_cron_spool_t",
    ];
    RUN.contains(&name)
        || name.ends_with("_exec_t")
        || name.ends_with("_unit_t")
        || name.ends_with("_unit_file_t")
        || name.ends_with("_script_exec_t")
}

/// Types that hold SELinux's own state.
pub fn is_policy(name: &str) -> bool {
    const POLICY: &[&str] = &[
        "default_context_t",
        "file_context_t",
        "policy_config_t",
        "policy_src_t",
        "security_t",
        "selinux_config_t",
        "semanage_store_t",
    ];
    POLICY.contains(&name)
}

/// Permissions that change a file or a folder.
pub const CHANGES: &[&str] = &[
    "add_name",
    "append",
    "create",
    "link",
    "relabelto",
    "remove_name",
    "rename",
    "reparent",
    "rmdir",
    "setattr",
    "unlink",
    "write",
];

/// Permissions that yield what is in a file.
pub const CONTENT: &[&str] = &["append", "map", "read", "write"];
