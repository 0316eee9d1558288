//! Audit logs for measuring, as long as they are asked for: records of the shapes that auditd 3 writes with
//! `log_format = ENRICHED`, with types of Debian's policy, so that every denial goes all the way through the analysis.

use std::fmt::Write as _;

/// A small generator of numbers (xorshift), so that every run makes the same log.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

const DOMAINS: [&str; 20] = [
    "httpd_t",
    "sshd_t",
    "named_t",
    "crond_t",
    "cupsd_t",
    "dovecot_t",
    "ftpd_t",
    "mysqld_t",
    "ntpd_t",
    "postgresql_t",
    "redis_t",
    "rsync_t",
    "slapd_t",
    "smbd_t",
    "snmpd_t",
    "squid_t",
    "syslogd_t",
    "logrotate_t",
    "openvpn_t",
    "tor_t",
];

const TARGETS: [&str; 50] = [
    "aide_log_t",
    "aisexec_var_lib_t",
    "alsa_etc_t",
    "alsa_runtime_t",
    "amanda_log_t",
    "amavis_var_lib_t",
    "apt_lock_t",
    "aptcacher_conf_t",
    "asterisk_etc_t",
    "asterisk_spool_t",
    "asterisk_var_lib_t",
    "auditd_log_t",
    "avahi_var_lib_t",
    "awstats_tmp_t",
    "bacula_spool_t",
    "bluetooth_conf_t",
    "certbot_runtime_t",
    "djbdns_tinydns_conf_t",
    "dmrc_home_t",
    "exim_keytab_t",
    "ftpd_keytab_t",
    "fwupd_runtime_t",
    "glance_log_t",
    "httpd_tmp_t",
    "initrc_lock_t",
    "irc_log_home_t",
    "iscsi_log_t",
    "iscsi_var_lib_t",
    "logwatch_cache_t",
    "lvm_var_lib_t",
    "monit_var_lib_t",
    "mozilla_tmp_t",
    "mrtg_runtime_t",
    "mysqld_db_t",
    "ntop_var_lib_t",
    "nut_conf_t",
    "pads_runtime_t",
    "prelink_cache_t",
    "samhain_db_t",
    "shibboleth_etc_t",
    "smbd_tmp_t",
    "squid_tmp_t",
    "staff_cron_spool_t",
    "ulogd_etc_t",
    "virt_content_t",
    "watchdog_log_t",
    "xen_lock_t",
    "xkb_var_lib_t",
    "zarafa_var_lib_t",
    "user_home_t",
];

const CLASSES: [&str; 5] = ["file", "dir", "lnk_file", "fifo_file", "sock_file"];

const PERMISSIONS: [&str; 7] =
    ["read", "write", "open", "getattr", "read open", "setattr", "read write open"];

/// Writes logs.
pub(crate) struct Generator {
    dice: Dice,
    serial: u64,
    percent: u64,
    triples: u64,
    sets: u64,
}

impl Generator {
    /// Of the events, `percent` in a hundred are denials, of `triples` triples of domain, type and class, each with up to
    /// `sets` sets of permissions: so many distinct denials there are at the most.
    pub(crate) fn new(percent: u64, triples: u64, sets: u64) -> Self {
        Generator { dice: Dice(0x9e37_79b9_7f4a_7c15), serial: 1000, percent, triples, sets }
    }

    /// Writes one event to the end of `text`; how many lines it has.
    pub(crate) fn event(&mut self, text: &mut String) -> usize {
        self.serial += 1;
        let serial = self.serial;
        let id = format!("audit({}.{:03}:{serial})", 1_795_243_565 + serial / 100, serial % 1000);
        let pid = 300 + self.dice.below(30_000);
        let denied = self.dice.below(100) < self.percent;
        let mut lines = 0;
        if denied {
            let kind = self.dice.below(self.triples);
            let pick = |list: &[&'static str], n: u64| {
                list.iter()
                    .cycle()
                    .nth(usize::try_from(n).unwrap_or(0) % list.len())
                    .copied()
                    .unwrap_or_default()
            };
            let (domain, target) = (pick(&DOMAINS, kind / 5), pick(&TARGETS, kind / 100));
            let (class, permission) = (pick(&CLASSES, kind), pick(&PERMISSIONS, self.dice.below(self.sets)));
            // Beyond these, levels make denials distinct.
            let level = kind / 5000;
            let level = if level == 0 { String::new() } else { format!(":c{level}") };
            let _ = writeln!(
                text,
                "type=AVC msg={id}: avc:  denied  {{ {permission} }} for  pid={pid} comm=\"worker-{}\" name=\"f{}\" \
                 dev=\"vda\" ino={pid} scontext=system_u:system_r:{domain}:s0 tcontext=system_u:object_r:{target}:s0{level} \
                 tclass={class} permissive=0",
                kind % 9,
                self.dice.below(100_000),
            );
            lines += 1;
        } else if self.dice.below(4) == 0 {
            let user = 1000 + self.dice.below(50);
            let what = [
                ("USER_AUTH", "PAM:authentication"),
                ("USER_ACCT", "PAM:accounting"),
                ("CRED_ACQ", "PAM:setcred"),
                ("USER_START", "PAM:session_open"),
                ("USER_END", "PAM:session_close"),
            ];
            for (kind, op) in what {
                let _ = writeln!(
                    text,
                    "type={kind} msg={id}: pid={pid} uid=0 auid={user} ses=3 subj=system_u:system_r:crond_t:s0-s0:c0.c1023 \
                     msg='op={op} grantors=pam_permit acct=\"user{user}\" exe=\"/usr/sbin/cron\" hostname=? addr=? \
                     terminal=cron res=success'\x1dUID=\"root\" AUID=\"user{user}\""
                );
                self.serial += 1;
            }
            return what.len();
        }
        let (success, exit) = if denied { ("no", "-13") } else { ("yes", "3") };
        let _ = writeln!(
            text,
            "type=SYSCALL msg={id}: arch=c000003e syscall=257 success={success} exit={exit} a0=ffffff9c a1=564d8601b2e4 \
             a2=7fff397606e0 a3=0 items=1 ppid=486 pid={pid} auid=4294967295 uid=33 gid=33 euid=33 suid=33 fsuid=33 \
             egid=33 sgid=33 fsgid=33 tty=(none) ses=4294967295 comm=\"worker\" exe=\"/usr/sbin/worker\" \
             subj=system_u:system_r:httpd_t:s0 key=(null)\x1dARCH=x86_64 SYSCALL=openat AUID=\"unset\" UID=\"www-data\" \
             GID=\"www-data\" EUID=\"www-data\" SUID=\"www-data\" FSUID=\"www-data\" EGID=\"www-data\" SGID=\"www-data\" \
             FSGID=\"www-data\"\ntype=CWD msg={id}: cwd=\"/\"\ntype=PATH msg={id}: item=0 name=\"/srv/data/f{pid}\" \
             inode={pid} dev=fe:00 mode=0100644 ouid=0 ogid=0 rdev=00:00 obj=system_u:object_r:var_t:s0 nametype=NORMAL \
             cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\x1dOUID=\"root\" OGID=\"root\"\ntype=PROCTITLE msg={id}: \
             proctitle=6E67696E783A20776F726B65722070726F63657373"
        );
        lines + 4
    }
}
