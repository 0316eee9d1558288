//! Places where writing is as good as being root, at once or as soon as a daemon is reloaded: our own table.

use std::path::Path;

/// A daemon that starts as root and can be told by its configuration to run commands or to write files.
#[derive(Debug)]
pub struct Daemon {
    /// Its name.
    pub name: &'static str,
    /// Where its configuration is.
    pub folders: &'static [&'static str],
    /// Its units and init scripts, without `.service`.
    pub units: &'static [&'static str],
    /// Commands of its own that make it read its configuration again: file name of the program, one of the arguments.
    pub reloads: &'static [(&'static str, &'static str)],
    /// What in the configuration does it: "`access_log` names any file".
    pub how: &'static str,
}

/// Verbs of systemctl, service and init scripts upon which a daemon reads its configuration again.
const VERBS: [&str; 9] = [
    "reload",
    "restart",
    "try-restart",
    "condrestart",
    "reload-or-restart",
    "reload-or-try-restart",
    "try-reload-or-restart",
    "force-reload",
    "kill",
];

impl Daemon {
    /// Whether this command makes the daemon read its configuration again. `any`: arguments are the caller's.
    pub fn reloaded_by<'a>(
        &self,
        command: &'a str,
        args: impl Iterator<Item = &'a str> + Clone,
        any: bool,
    ) -> bool {
        let program = command.rsplit('/').next().unwrap_or(command);
        let is_unit = |a: &str| {
            let name = a.strip_suffix(".service").unwrap_or(a);
            self.units.contains(&name)
        };
        let verb = || any || args.clone().any(|a| VERBS.contains(&a));
        let manager = matches!(program, "systemctl" | "service" | "rc-service" | "invoke-rc.d");
        let script = command.starts_with("/etc/init.d/") || command.starts_with("/etc/rc.d/");
        (manager && verb() && (any || args.clone().any(is_unit)))
            || (script && is_unit(program) && verb())
            || self.reloads.iter().any(|(p, arg)| *p == program && (any || args.clone().any(|a| a == *arg)))
    }

    /// The folder of its configuration in which `path` is, or which is below `path`.
    pub fn configured_in(&self, path: &Path) -> Option<&'static str> {
        self.folders.iter().copied().find(|f| path.starts_with(f) || Path::new(f).starts_with(path))
    }
}

/// The daemons.
pub static DAEMONS: &[Daemon] = &[
    Daemon {
        name: "nginx",
        folders: &["/etc/nginx"],
        units: &["nginx"],
        reloads: &[("nginx", "reload")],
        how: "`access_log` names any file, which root opens, and `log_format` what is written to it",
    },
    Daemon {
        name: "apache",
        folders: &["/etc/apache2", "/etc/httpd"],
        units: &["apache2", "httpd"],
        reloads: &[
            ("apachectl", "graceful"),
            ("apachectl", "restart"),
            ("apache2ctl", "graceful"),
            ("apache2ctl", "restart"),
            ("httpd", "graceful"),
            ("httpd", "restart"),
        ],
        how: "`CustomLog \"|CMD\"` runs CMD as root",
    },
    Daemon {
        name: "haproxy",
        folders: &["/etc/haproxy"],
        units: &["haproxy"],
        reloads: &[],
        how: "`program` and `external-check command` run commands",
    },
    Daemon {
        name: "postfix",
        folders: &["/etc/postfix"],
        units: &["postfix"],
        reloads: &[("postfix", "reload"), ("postfix", "start")],
        how: "`master.cf` names programs that are started as root",
    },
    Daemon {
        name: "dovecot",
        folders: &["/etc/dovecot"],
        units: &["dovecot"],
        reloads: &[("doveadm", "reload")],
        how: "a `service` with `executable` and `user = root` runs a program as root",
    },
    Daemon {
        name: "sshd",
        folders: &["/etc/ssh"],
        units: &["ssh", "sshd"],
        reloads: &[],
        how: "`AuthorizedKeysFile` opens root's account to any key",
    },
    Daemon {
        name: "supervisor",
        folders: &["/etc/supervisor", "/etc/supervisord.d"],
        units: &["supervisor", "supervisord"],
        reloads: &[("supervisorctl", "update"), ("supervisorctl", "reload")],
        how: "the `command` of a program runs as root",
    },
    Daemon {
        name: "uwsgi",
        folders: &["/etc/uwsgi"],
        units: &["uwsgi", "emperor.uwsgi"],
        reloads: &[],
        how: "`exec-asap` runs a command before it gives up root",
    },
    Daemon {
        name: "rsyslog",
        folders: &["/etc/rsyslog.conf", "/etc/rsyslog.d"],
        units: &["rsyslog"],
        reloads: &[],
        how: "`omprog` runs a program, and an action names any file",
    },
    Daemon {
        name: "fail2ban",
        folders: &["/etc/fail2ban"],
        units: &["fail2ban"],
        reloads: &[("fail2ban-client", "reload"), ("fail2ban-client", "restart")],
        how: "actions run commands as root",
    },
    Daemon {
        name: "openvpn",
        folders: &["/etc/openvpn"],
        units: &["openvpn"],
        reloads: &[],
        how: "`up CMD` runs CMD as root",
    },
    Daemon {
        name: "samba",
        folders: &["/etc/samba"],
        units: &["smbd", "nmbd", "smb", "nmb", "samba"],
        reloads: &[("smbcontrol", "reload-config")],
        how: "`root preexec = CMD` runs CMD as root",
    },
    Daemon {
        name: "snmpd",
        folders: &["/etc/snmp"],
        units: &["snmpd"],
        reloads: &[],
        how: "`extend` runs commands",
    },
    Daemon {
        name: "monit",
        folders: &["/etc/monit", "/etc/monit.d", "/etc/monitrc"],
        units: &["monit"],
        reloads: &[("monit", "reload")],
        how: "`exec` runs commands as root",
    },
    Daemon {
        name: "docker",
        folders: &["/etc/docker"],
        units: &["docker"],
        reloads: &[],
        how: "`runtimes` names a program that is run as root",
    },
];

/// Where writing is being root without anything else, and why.
static ROOT_PLACES: &[(&str, &str)] = &[
    ("/etc/sudoers", "sudo reads it"),
    ("/etc/sudoers.d", "sudo reads it"),
    ("/etc/doas.conf", "doas reads it"),
    ("/etc/perms.d", "perms applies what it says"),
    ("/etc/crontab", "cron runs what it says as root"),
    ("/etc/cron.d", "cron runs what it says as root"),
    ("/etc/cron.hourly", "cron runs it as root"),
    ("/etc/cron.daily", "cron runs it as root"),
    ("/etc/cron.weekly", "cron runs it as root"),
    ("/etc/cron.monthly", "cron runs it as root"),
    ("/etc/anacrontab", "anacron runs what it says as root"),
    ("/var/spool/cron", "cron runs what it says as its owner"),
    ("/etc/systemd", "units run as root unless they say otherwise"),
    ("/usr/lib/systemd", "units run as root unless they say otherwise"),
    ("/usr/local/lib/systemd", "units run as root unless they say otherwise"),
    ("/run/systemd/system", "units run as root unless they say otherwise"),
    ("/run/systemd/system.control", "units run as root unless they say otherwise"),
    ("/run/systemd/system.attached", "units run as root unless they say otherwise"),
    ("/run/systemd/transient", "units run as root unless they say otherwise"),
    ("/run/systemd/generator", "units run as root unless they say otherwise"),
    ("/run/systemd/generator.early", "units run as root unless they say otherwise"),
    ("/run/systemd/generator.late", "units run as root unless they say otherwise"),
    ("/etc/init.d", "it is run as root at boot"),
    ("/etc/rc.local", "it is run as root at boot"),
    ("/etc/rc.d", "it is run as root at boot"),
    ("/etc/pam.d", "it decides who logs in, and what runs as they do"),
    ("/etc/security", "PAM reads it"),
    ("/etc/passwd", "it says who is root"),
    ("/etc/shadow", "it holds root's password"),
    ("/etc/group", "it says who is in which group"),
    ("/etc/gshadow", "it says who is in which group"),
    ("/etc/ld.so.preload", "every program loads what it names"),
    ("/etc/ld.so.conf", "every program loads libraries from where it says"),
    ("/etc/ld.so.conf.d", "every program loads libraries from where it says"),
    ("/etc/profile", "root's shell runs it"),
    ("/etc/profile.d", "root's shell runs it"),
    ("/etc/bash.bashrc", "root's shell runs it"),
    ("/etc/environment", "it is the environment of every session, PATH too"),
    ("/etc/logrotate.conf", "`postrotate` runs commands as root"),
    ("/etc/logrotate.d", "`postrotate` runs commands as root"),
    ("/etc/udev", "rules run commands as root"),
    ("/etc/modprobe.d", "`install` runs commands as root"),
    ("/etc/apt", "`Pre-Invoke` runs commands as root"),
    ("/etc/yum.repos.d", "packages run scripts as root"),
    ("/etc/polkit-1", "its rules say who may act as root"),
    ("/etc/letsencrypt/renewal-hooks", "certbot runs it as root"),
    ("/etc/NetworkManager/dispatcher.d", "NetworkManager runs it as root"),
    ("/root", "it is root's home, with its keys and start-up files"),
    ("/boot", "it holds the kernel"),
    ("/usr/bin", "root runs what is in it"),
    ("/usr/sbin", "root runs what is in it"),
    ("/usr/local/bin", "root runs what is in it"),
    ("/usr/local/sbin", "root runs what is in it"),
    ("/usr/lib", "root's programs load what is in it"),
    ("/usr/lib64", "root's programs load what is in it"),
    ("/usr/local/lib", "root's programs load what is in it"),
    ("/bin", "root runs what is in it"),
    ("/sbin", "root runs what is in it"),
    ("/lib", "root's programs load what is in it"),
    ("/lib64", "root's programs load what is in it"),
    ("/var/lib/dpkg", "scripts of packages are in it"),
    ("/var/lib/docker", "whole systems are in it"),
    ("/dev", "the disks are in it"),
];

/// All places where writing is being root, each with its reason.
pub fn root_places() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROOT_PLACES.iter().copied()
}

/// The place where writing is being root that `path` is in or above, and why it is; the nearest if there are several.
pub fn root_place(path: &Path) -> Option<(&'static str, &'static str)> {
    let inside = ROOT_PLACES.iter().filter(|(p, _)| path.starts_with(p)).max_by_key(|(p, _)| p.len());
    inside.or_else(|| ROOT_PLACES.iter().find(|(p, _)| Path::new(p).starts_with(path))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nginx(command: &str, args: &[&str], any: bool) -> bool {
        DAEMONS[0].reloaded_by(command, args.iter().copied(), any)
    }

    #[test]
    fn a_reload_is_known_in_each_of_its_forms() {
        assert!(nginx("/usr/bin/systemctl", &["reload", "nginx"], false));
        assert!(nginx("/bin/systemctl", &["--no-block", "try-restart", "nginx.service"], false));
        assert!(nginx("/usr/bin/systemctl", &[], true));
        assert!(nginx("/usr/sbin/service", &["nginx", "reload"], false));
        assert!(nginx("/etc/init.d/nginx", &["restart"], false));
        assert!(nginx("/usr/sbin/nginx", &["-s", "reload"], false));
        assert!(!nginx("/usr/bin/systemctl", &["status", "nginx"], false));
        assert!(!nginx("/usr/bin/systemctl", &["reload", "postfix"], false));
        assert!(!nginx("/usr/sbin/nginx", &["-t"], false));
        assert!(!nginx("/usr/bin/certbot", &[], true));
    }

    #[test]
    fn a_folder_counts_with_what_is_below_it_and_above() {
        assert_eq!(root_place(Path::new("/etc/cron.d/app")).unwrap().0, "/etc/cron.d");
        assert_eq!(root_place(Path::new("/var/spool")).unwrap().0, "/var/spool/cron");
        assert!(root_place(Path::new("/etc")).is_some());
        assert!(root_place(Path::new("/etc/cron.daily-not")).is_none());
        assert!(root_place(Path::new("/var/www")).is_none());
        assert_eq!(DAEMONS[0].configured_in(Path::new("/etc/nginx/conf.d")), Some("/etc/nginx"));
        assert_eq!(DAEMONS[0].configured_in(Path::new("/etc")), Some("/etc/nginx"));
        assert_eq!(DAEMONS[0].configured_in(Path::new("/etc/nginx.d")), None);
    }
}
