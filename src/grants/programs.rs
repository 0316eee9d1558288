//! Programs through which the right to run one command becomes the right to run any: our own table.
//!
//! From the programs' manual pages. `how` completes the sentence "because …" and names the argument or key that does
//! it, so that a reader can try it.

/// By which way a program runs other commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Escape {
    /// It is a shell or an interpreter: with arguments of the caller's choice, or with none, it runs what it is told.
    Shell,
    /// An argument makes it run a command, or read or write a file that does: dangerous with any arguments.
    Argument,
    /// It runs commands from within (an editor, a pager): dangerous whatever its arguments.
    Interactive,
}

/// A program of the table.
#[derive(Debug)]
pub struct Program {
    /// Its file name, without a version.
    pub name: &'static str,
    /// The way.
    pub escape: Escape,
    /// What does it: "`--deploy-hook CMD` runs CMD".
    pub how: &'static str,
    /// Arguments that are enough for its usual task, where there are such.
    pub narrower: Option<&'static [&'static str]>,
}

/// The program of this path, if it is in the table; a version at the end of the name (`python3.11`) does not matter.
pub fn find(path: &str) -> Option<&'static Program> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    PROGRAMS
        .iter()
        .find(|p| p.name == name)
        .or_else(|| PROGRAMS.iter().find(|p| !bare.is_empty() && p.name == bare))
}

const fn shell(name: &'static str, how: &'static str) -> Program {
    Program { name, escape: Escape::Shell, how, narrower: None }
}

const fn argument(name: &'static str, how: &'static str) -> Program {
    Program { name, escape: Escape::Argument, how, narrower: None }
}

const fn interactive(name: &'static str, how: &'static str) -> Program {
    Program { name, escape: Escape::Interactive, how, narrower: None }
}

/// The table, by kind and name.
pub static PROGRAMS: &[Program] = &[
    shell("ash", "it is a shell"),
    shell("bash", "it is a shell"),
    shell("csh", "it is a shell"),
    shell("dash", "it is a shell"),
    shell("fish", "it is a shell"),
    shell("ksh", "it is a shell"),
    shell("sh", "it is a shell"),
    shell("tcsh", "it is a shell"),
    shell("zsh", "it is a shell"),
    shell("busybox", "`busybox sh` is a shell"),
    shell("gdb", "its `shell CMD` runs CMD"),
    shell("irb", "it is an interpreter: `system(\"sh\")`"),
    shell("lua", "it is an interpreter: `os.execute(\"sh\")`"),
    shell("node", "it is an interpreter: `child_process`"),
    shell("perl", "it is an interpreter: `-e 'exec \"sh\"'`"),
    shell("php", "it is an interpreter: `-r 'system(\"sh\");'`"),
    shell("python", "it is an interpreter: `-c 'import os; os.system(\"sh\")'`"),
    shell("ruby", "it is an interpreter: `-e 'exec \"sh\"'`"),
    shell("su", "it is a shell as anybody"),
    shell("tclsh", "it is an interpreter: `exec sh`"),
    Program {
        name: "certbot",
        escape: Escape::Argument,
        how: "`--deploy-hook CMD` runs CMD",
        narrower: Some(&["renew", "--quiet"]),
    },
    Program {
        name: "apt-get",
        escape: Escape::Argument,
        how: "`-o APT::Update::Pre-Invoke::=CMD` runs CMD, and packages run scripts",
        narrower: Some(&["update"]),
    },
    Program {
        name: "apt",
        escape: Escape::Argument,
        how: "`-o APT::Update::Pre-Invoke::=CMD` runs CMD, and packages run scripts",
        narrower: Some(&["update"]),
    },
    argument("aptitude", "packages run scripts, and its screen has a shell"),
    argument("awk", "`BEGIN { system(\"CMD\") }` runs CMD"),
    argument("gawk", "`BEGIN { system(\"CMD\") }` runs CMD"),
    argument("mawk", "`BEGIN { system(\"CMD\") }` runs CMD"),
    argument("chmod", "it makes any file writable, or setuid"),
    argument("chown", "it gives any file away"),
    argument("chroot", "`chroot / CMD` runs CMD"),
    argument("cp", "it writes any file, such as /etc/sudoers"),
    argument("crontab", "it installs jobs that run as their owner"),
    argument("curl", "`-o FILE` writes any file, and `file://` reads any"),
    argument("dd", "`of=FILE` writes any file"),
    argument("dnf", "packages run scripts, and plugins are code"),
    argument("docker", "`run -v /:/host` mounts the root folder"),
    argument("dpkg", "packages run scripts"),
    argument("ed", "`!CMD` runs CMD"),
    argument("env", "`env CMD` runs CMD"),
    argument("find", "`-exec CMD` runs CMD"),
    argument("flock", "`flock FILE CMD` runs CMD"),
    argument("git", "`-c core.pager=CMD`, aliases and hooks run commands"),
    argument("gem", "packages run code as they are installed"),
    argument("install", "it writes any file, with any mode"),
    argument("ip", "`netns exec NAME CMD` runs CMD"),
    argument("journalctl", "its pager runs commands where systemd is older than 247"),
    argument("kubectl", "`exec` runs commands, and plugins are code"),
    argument("ln", "it replaces any file by another"),
    argument("logrotate", "a configuration of one's own runs commands"),
    argument("make", "`--eval` and a Makefile of one's own run commands"),
    argument("mount", "it puts a file system of one's own over any folder"),
    argument("mv", "it replaces any file"),
    argument("mysql", "`\\! CMD` runs CMD"),
    argument("nice", "`nice CMD` runs CMD"),
    argument("nmap", "`--script FILE` runs code"),
    argument("nohup", "`nohup CMD` runs CMD"),
    argument("nsenter", "`nsenter CMD` runs CMD"),
    argument("npm", "packages run code as they are installed"),
    argument("openssl", "`-engine FILE` loads code, and `enc -out` writes any file"),
    argument("pacman", "packages run scripts"),
    argument("pip", "packages run code as they are installed"),
    argument("podman", "`run -v /:/host` mounts the root folder"),
    argument("psql", "`\\! CMD` runs CMD"),
    argument("rpm", "packages run scripts"),
    argument("rsync", "`-e CMD` runs CMD, and it writes any file"),
    argument("scp", "`-S CMD` runs CMD"),
    argument("sed", "`1e CMD` runs CMD, and `w FILE` writes any file"),
    argument("service", "`../../tmp/x` names a program anywhere"),
    argument("setfacl", "it opens any file to anybody"),
    argument("snap", "packages run hooks"),
    argument("socat", "`EXEC:CMD` runs CMD"),
    argument("sqlite3", "`.shell CMD` runs CMD"),
    argument("ssh", "`-o ProxyCommand=CMD` runs CMD"),
    argument("strace", "`strace CMD` runs CMD"),
    argument("systemctl", "`edit`, `link` and `set-property` make units that run as root"),
    argument("systemd-run", "it runs commands"),
    argument("tar", "`--checkpoint-action=exec=CMD` runs CMD"),
    argument("taskset", "`taskset 1 CMD` runs CMD"),
    argument("tcpdump", "`-z CMD` runs CMD after each file"),
    argument("tee", "it writes any file"),
    argument("time", "`time CMD` runs CMD"),
    argument("timeout", "`timeout 1 CMD` runs CMD"),
    argument("unshare", "`unshare CMD` runs CMD"),
    argument("unzip", "it writes any file"),
    argument("watch", "it runs a command again and again"),
    argument("wget", "`--use-askpass=CMD` runs CMD, and `-O FILE` writes any file"),
    argument("xargs", "it runs a command"),
    argument("yum", "packages run scripts, and plugins are code"),
    argument("zip", "`-T --unzip-command CMD` runs CMD"),
    argument("zypper", "packages run scripts"),
    interactive("emacs", "it runs commands: `M-x shell`"),
    interactive("ftp", "its `!CMD` runs CMD"),
    interactive("joe", "it opens a shell: `^K Z`"),
    interactive("less", "its `!CMD` runs CMD"),
    interactive("man", "its pager runs commands: `!CMD`"),
    interactive("more", "its `!CMD` runs CMD"),
    interactive("mutt", "its `!CMD` runs CMD"),
    interactive("nano", "it runs commands: `^R ^X`"),
    interactive("nvim", "its `:!CMD` runs CMD"),
    interactive("screen", "every window is a shell"),
    interactive("tmux", "every window is a shell"),
    interactive("top", "it reads a configuration that runs commands"),
    interactive("vi", "its `:!CMD` runs CMD"),
    interactive("view", "its `:!CMD` runs CMD"),
    interactive("vim", "its `:!CMD` runs CMD"),
    interactive("visudo", "its editor writes sudoers"),
    interactive("vipw", "its editor writes /etc/passwd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_file_name_whatever_its_version() {
        assert_eq!(find("/usr/bin/python3.11").unwrap().name, "python");
        assert_eq!(find("/opt/x/bin/perl5.36.0").unwrap().name, "perl");
        assert_eq!(find("/usr/bin/sqlite3").unwrap().name, "sqlite3");
        assert_eq!(find("/usr/bin/certbot").unwrap().escape, Escape::Argument);
        assert!(find("/usr/bin/true").is_none());
        assert!(find("/usr/bin/").is_none());
        assert!(find("/usr/bin/7").is_none());
    }

    #[test]
    fn no_program_is_listed_twice() {
        let mut names: Vec<_> = PROGRAMS.iter().map(|p| p.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
