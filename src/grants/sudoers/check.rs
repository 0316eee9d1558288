//! What visudo refuses or warns of beyond the grammar: Defaults that do not exist or take no such value, commands that
//! are no regular expression, aliases that are not defined or stand inside themselves.
//!
//! The parameters are those of sudo 1.9.13 to 1.9.17; their kinds were found by asking visudo.

use std::collections::{HashMap, HashSet};

use super::ast::{
    Alias, AliasKind, Bytes, Change, Command, Host, ItemKind, Member, Members, Scope, Setting, Span, User,
};
use super::ere::{self, Refusal};
use super::tree::{Problem, ProblemKind, Tree};
use super::values;

/// What a Defaults parameter takes. `off`: whether `!NAME` is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Text {
        off: bool,
    },
    /// An absolute path.
    Path {
        off: bool,
    },
    /// An absolute path, one below `~`, or `*`.
    Folder,
    /// A number, at least this.
    Number {
        off: bool,
        least: i64,
    },
    Octal {
        off: bool,
    },
    Duration,
    /// Minutes, perhaps a fraction, perhaps negative.
    Minutes,
    Limit,
    List,
    /// One of these words. `on`: whether `NAME` alone is allowed.
    Word {
        words: &'static [&'static str],
        on: bool,
    },
}

const FLAGS: &str = "always_query_group_plugin always_set_home authenticate case_insensitive_group \
    case_insensitive_user closefrom_override compress_io env_editor env_reset exec_background fast_glob fqdn \
    ignore_audit_errors ignore_dot ignore_iolog_errors ignore_local_sudoers ignore_logfile_errors \
    ignore_unknown_defaults insults intercept intercept_allow_setid intercept_authenticate intercept_verify \
    iolog_flush log_allowed log_denied log_exit_status log_host log_input log_output log_passwords \
    log_server_keepalive log_server_verify log_stderr log_stdin log_stdout log_subcmds log_ttyin log_ttyout log_year \
    long_otp_prompt mail_all_cmnds mail_always mail_badpass mail_no_host mail_no_perms mail_no_user \
    match_group_by_gid netgroup_tuple noexec noninteractive_auth pam_acct_mgmt pam_rhost pam_ruser pam_session \
    pam_setcred pam_silent passprompt_override path_info preserve_groups pwfeedback requiretty root_sudo rootpw \
    runas_allow_unknown_id runas_check_shell runaspw selinux set_home set_logname set_utmp setenv shell_noargs \
    stay_setuid sudoedit_checkdir sudoedit_follow syslog_pid targetpw tty_tickets umask_override use_loginclass \
    use_netgroups use_pty user_command_timeouts utmp_runas visiblepw";
const TEXTS: &str = "apparmor_profile authfail_message badpass_message cmddenial_message group_plugin iolog_file \
    limitprivs mailsub maxseq pam_askpass_service pam_login_service pam_service passprompt privs role runas_default \
    sudoers_locale timestampowner type";
const TEXTS_OFF: &str = "exempt_group iolog_group iolog_user mailerflags mailfrom mailto secure_path";
const PATHS: &str = "editor iolog_dir lecture_status_dir timestampdir";
const PATHS_OFF: &str = "env_file lecture_file log_server_cabundle log_server_peer_cert log_server_peer_key logfile \
    mailerpath restricted_env_file";
const LIMITS: &str = "rlimit_as rlimit_core rlimit_cpu rlimit_data rlimit_fsize rlimit_locks rlimit_memlock \
    rlimit_nofile rlimit_nproc rlimit_rss rlimit_stack";
const LISTS: &str = "env_check env_delete env_keep log_servers passprompt_regex";
const FACILITIES: &[&str] = &[
    "authpriv", "auth", "daemon", "user", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
];
const PRIORITIES: &[&str] = &["alert", "crit", "debug", "emerg", "err", "info", "notice", "warning", "none"];

/// The kind of a parameter; `None` if there is none of that name.
fn kind(name: &str) -> Option<Kind> {
    let among = |list: &str| list.split_ascii_whitespace().any(|n| n == name);
    Some(match name {
        "admin_flag" | "runchroot" | "runcwd" => Kind::Folder,
        "closefrom" => Kind::Number { off: false, least: i64::from(i32::MIN) },
        "passwd_tries" | "syslog_maxlen" => Kind::Number { off: false, least: 0 },
        "loglinelen" => Kind::Number { off: true, least: 0 },
        "umask" => Kind::Octal { off: true },
        "iolog_mode" => Kind::Octal { off: false },
        "command_timeout" | "log_server_timeout" => Kind::Duration,
        "passwd_timeout" | "timestamp_timeout" => Kind::Minutes,
        "fdexec" => Kind::Word { words: &["never", "digest_only", "always"], on: true },
        "lecture" => Kind::Word { words: &["never", "once", "always"], on: true },
        "listpw" | "verifypw" => Kind::Word { words: &["never", "any", "all", "always"], on: true },
        "intercept_type" => Kind::Word { words: &["dso", "trace"], on: false },
        "log_format" => Kind::Word { words: &["sudo", "json", "json_compact", "json_pretty"], on: false },
        "timestamp_type" => Kind::Word { words: &["global", "ppid", "tty", "kernel"], on: false },
        "syslog" => Kind::Word { words: FACILITIES, on: true },
        "syslog_goodpri" | "syslog_badpri" => Kind::Word { words: PRIORITIES, on: false },
        _ if among(FLAGS) => Kind::Flag,
        _ if among(TEXTS) => Kind::Text { off: false },
        _ if among(TEXTS_OFF) => Kind::Text { off: true },
        _ if among(PATHS) => Kind::Path { off: false },
        _ if among(PATHS_OFF) => Kind::Path { off: true },
        _ if among(LIMITS) => Kind::Limit,
        _ if among(LISTS) => Kind::List,
        _ => return None,
    })
}

/// What is wrong with a setting; sudo passes over it, visudo refuses the file.
pub fn setting(s: &Setting) -> Option<String> {
    let name = String::from_utf8_lossy(&s.name);
    let Some(kind) = kind(&name) else { return Some(format!("unknown defaults entry `{name}`")) };
    let value = String::from_utf8_lossy(&s.value);
    let missing = || Some(format!("no value specified for `{name}`"));
    match s.change {
        Change::On | Change::Off => {
            let on = s.change == Change::On;
            return match kind {
                Kind::Flag => None,
                Kind::Word { on: true, .. } => None,
                _ if on => missing(),
                Kind::Text { off } | Kind::Path { off } | Kind::Number { off, .. } | Kind::Octal { off }
                    if !off =>
                {
                    missing()
                }
                _ => None,
            };
        }
        Change::Add | Change::Remove if kind != Kind::List => {
            let sign = if s.change == Change::Add { "+=" } else { "-=" };
            return Some(format!("invalid operator `{sign}` for `{name}`"));
        }
        _ => {}
    }
    let fits = match kind {
        Kind::Flag => return Some(format!("option `{name}` does not take a value")),
        Kind::Text { .. } | Kind::List => true,
        Kind::Path { .. } if !value.starts_with('/') => {
            return Some(format!("values for `{name}` must start with a `/`"));
        }
        Kind::Folder if !value.starts_with(['/', '~']) && value != "*" => {
            return Some(format!("values for `{name}` must start with a `/`, `~`, or `*`"));
        }
        Kind::Path { .. } | Kind::Folder => true,
        Kind::Number { least, .. } => {
            let most = if least < 0 { i64::from(i32::MAX) } else { i64::from(u32::MAX) };
            value.trim_start().parse().is_ok_and(|n: i64| n >= least && n <= most)
        }
        Kind::Octal { .. } => {
            value.bytes().all(|c| (b'0'..=b'7').contains(&c))
                && u32::from_str_radix(&value, 8).is_ok_and(|n| n <= 0o777)
        }
        Kind::Duration => values::timeout(&s.value).is_ok(),
        Kind::Minutes => minutes(&value),
        Kind::Limit => limit(&value),
        Kind::Word { words, .. } => words.contains(&&*value),
    };
    if fits { None } else { Some(format!("value `{value}` is invalid for option `{name}`")) }
}

fn minutes(value: &str) -> bool {
    let v = value.strip_prefix(['-', '+']).unwrap_or(value);
    let (whole, part) = v.split_once('.').unwrap_or((v, ""));
    let digits = |t: &str| t.bytes().all(|c| c.is_ascii_digit());
    digits(whole) && digits(part) && !v.is_empty() && whole.len() < 10
}

fn limit(value: &str) -> bool {
    let one = |t: &str| t == "infinity" || t.parse::<u64>().is_ok();
    match value.split_once(',') {
        Some((soft, hard)) => one(soft) && one(hard),
        None => matches!(value, "default" | "user") || one(value),
    }
}

/// What visudo says beyond the problems of reading: [`ProblemKind::Defaults`] and [`ProblemKind::VisudoRefuses`] make
/// it refuse the file, [`ProblemKind::Warning`] does not.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut out = Vec::new();
    for (number, file) in tree.files.iter().enumerate() {
        let mut say = |span: Span, kind: ProblemKind, message: String| {
            let (line, column) = file.position(span.start);
            let path = file.path.clone();
            out.push(Problem { file: Some(number), path, span, line, column, kind, message });
        };
        // The memory of both is used again for each entry.
        let mut names = Names::default();
        let mut commands = Vec::new();
        for item in &file.items {
            match &item.kind {
                ItemKind::Defaults(d) => {
                    match &d.scope {
                        Scope::All => {}
                        Scope::Users(l) => names.users(l, AliasKind::User),
                        Scope::Runas(l) => names.users(l, AliasKind::Runas),
                        Scope::Hosts(l) => names.hosts(l),
                        Scope::Commands(l) => names.commands(l, &mut commands),
                    }
                    for s in &d.settings {
                        if let Some(why) = setting(s) {
                            say(s.span, ProblemKind::Defaults, why);
                        }
                    }
                }
                ItemKind::Aliases(list) => {
                    for a in list {
                        names.alias(a, &mut commands);
                    }
                }
                ItemKind::UserSpec(spec) => {
                    names.users(&spec.users, AliasKind::User);
                    for p in &spec.privileges {
                        names.hosts(&p.hosts);
                        for c in &p.commands {
                            names.commands(std::slice::from_ref(&c.command), &mut commands);
                            if let Some(runas) = &c.written.runas {
                                names.users(&runas.users, AliasKind::Runas);
                                names.users(&runas.groups, AliasKind::Runas);
                            }
                        }
                    }
                }
                _ => {}
            }
            for (path, span) in commands.drain(..) {
                if path.first() == Some(&b'^') && ere::compile(path).is_err_and(|e| e == Refusal::Invalid) {
                    let why = "not a regular expression: it matches nothing".to_owned();
                    say(span, ProblemKind::VisudoRefuses, why);
                }
            }
            for (kind, name, span) in names.0.drain(..) {
                if tree.alias(kind, name).is_none() {
                    let name = String::from_utf8_lossy(name);
                    let why = format!("{} `{name}` referenced but not defined", kind.word());
                    say(span, ProblemKind::Warning, why);
                }
            }
        }
    }
    out.extend(cycles(tree));
    out
}

/// The aliases that something names.
#[derive(Default)]
struct Names<'t>(Vec<(AliasKind, &'t Bytes, Span)>);

impl<'t> Names<'t> {
    fn users(&mut self, list: &'t [Member<User>], kind: AliasKind) {
        self.0.extend(list.iter().filter_map(|m| match &m.value {
            User::Alias(n) => Some((kind, n, m.span)),
            _ => None,
        }));
    }

    fn hosts(&mut self, list: &'t [Member<Host>]) {
        self.0.extend(list.iter().filter_map(|m| match &m.value {
            Host::Alias(n) => Some((AliasKind::Host, n, m.span)),
            _ => None,
        }));
    }

    fn commands(&mut self, list: &'t [Member<Command>], paths: &mut Vec<(&'t Bytes, Span)>) {
        for m in list {
            match &m.value {
                Command::Alias(n) => self.0.push((AliasKind::Command, n, m.span)),
                Command::Path(c) => paths.push((&c.path, m.span)),
                Command::All(_) => {}
            }
        }
    }

    fn alias(&mut self, a: &'t Alias, paths: &mut Vec<(&'t Bytes, Span)>) {
        match &a.members {
            Members::Users(l) => self.users(l, a.kind),
            Members::Hosts(l) => self.hosts(l),
            Members::Commands(l) => self.commands(l, paths),
        }
    }
}

/// Aliases that stand inside themselves.
fn cycles(tree: &Tree) -> Vec<Problem> {
    type Key<'t> = (AliasKind, &'t Bytes);
    let mut inside: HashMap<Key, Vec<Key>> = HashMap::new();
    for placed in tree.aliases() {
        let mut names = Names::default();
        names.alias(&placed.alias, &mut Vec::new());
        inside.insert((placed.alias.kind, &placed.alias.name), names.0.iter().map(|n| (n.0, n.1)).collect());
    }
    // An alias that is in no cycle leads, in the end, only to such: take those away until none is left to take.
    loop {
        let free: HashSet<Key> = inside
            .iter()
            .filter(|(_, to)| to.iter().all(|k| !inside.contains_key(k)))
            .map(|(k, _)| *k)
            .collect();
        if free.is_empty() {
            break;
        }
        inside.retain(|k, _| !free.contains(k));
    }
    let mut out = Vec::new();
    for placed in tree.aliases().filter(|p| inside.contains_key(&(p.alias.kind, &p.alias.name))) {
        let Some(file) = tree.files.get(placed.file) else { continue };
        let span = placed.alias.name_span;
        let (line, column) = file.position(span.start);
        let name = String::from_utf8_lossy(&placed.alias.name);
        out.push(Problem {
            file: Some(placed.file),
            path: file.path.clone(),
            span,
            line,
            column,
            kind: ProblemKind::Warning,
            message: format!("{} `{name}` leads to itself", placed.alias.kind.word()),
        });
    }
    out.sort_by_key(|p| (p.file, p.span.start));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::sudoers::Reading;
    use std::path::Path;

    fn said(text: &str) -> Vec<String> {
        let tree = Tree::read_text(Path::new("/etc/sudoers"), text.as_bytes(), &Reading::default());
        assert_eq!(tree.problems, [], "{text}");
        check(&tree).into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn settings_are_known_by_name_and_kind() {
        assert_eq!(
            said(
                "Defaults env_reset, !lecture, secure_path=\"/bin\", env_keep += \"A B\", umask=027, !umask, \
                  timestamp_timeout=-1, rlimit_core=\"0,infinity\", lecture, !logfile\n"
            ),
            Vec::<String>::new()
        );
        for (text, part) in [
            ("nope", "unknown"),
            ("authenticate=1", "does not take"),
            ("passwd_tries", "no value"),
            ("!passwd_tries", "no value"),
            ("logfile=x", "must start"),
            ("umask=8", "invalid for"),
            ("secure_path+=x", "invalid operator"),
            ("lecture=maybe", "invalid for"),
        ] {
            let said = said(&format!("Defaults {text}\n"));
            assert!(said.len() == 1 && said[0].contains(part), "{text}: {said:?}");
        }
    }

    #[test]
    fn aliases_that_lead_nowhere_or_to_themselves() {
        assert_eq!(said("User_Alias A=B:B=A:C=A,x\nC D=E\n").len(), 2 + 3);
        assert_eq!(said("User_Alias A=A\n").len(), 1);
        assert_eq!(said("u ALL=^/bin/(a$\n").len(), 1);
    }
}
