//! What visudo refuses or warns of beyond the grammar: Defaults that do not exist or take no such value, commands that
//! are no regular expression, aliases that are not defined or stand inside themselves.
//!
//! The parameters are those of sudo 1.9.13 to 1.9.17; their kinds were found by asking visudo.

use std::collections::HashMap;

use super::ast::{
    Alias, AliasKind, Bytes, Change, Command, Item, ItemKind, MayBeAlias, Member, Members, Scope, Setting,
    Span,
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
    let mut check = Check::default();
    tree.look(&mut |tree, file, item| check.entry(tree, file, item));
    check.finish(tree)
}

/// [`check`], entry by entry: for a policy whose entries are not kept ([`Tree::look_through`]).
#[derive(Debug, Default)]
pub struct Check {
    /// How many entries were seen.
    seen: usize,
    /// What is wrong by itself, with the entry's number.
    found: Vec<(usize, Problem)>,
    /// Names of aliases that were not defined yet, with the entry's number and the file's.
    open: Vec<(usize, usize, AliasKind, Bytes, Span)>,
}

impl Check {
    /// Looks at the next entry: of the file of this number in `tree`.
    pub fn entry(&mut self, tree: &Tree, file: usize, item: &Item) {
        self.seen += 1;
        let mut named = Named { check: self, tree, file };
        match &item.kind {
            ItemKind::Defaults(d) => {
                match &d.scope {
                    Scope::All => {}
                    Scope::Users(l) => named.aliases(AliasKind::User, l),
                    Scope::Runas(l) => named.aliases(AliasKind::Runas, l),
                    Scope::Hosts(l) => named.aliases(AliasKind::Host, l),
                    Scope::Commands(l) => named.commands(l),
                }
                for s in &d.settings {
                    if let Some(why) = setting(s) {
                        named.wrong(s.span, ProblemKind::Defaults, why);
                    }
                }
            }
            ItemKind::Aliases(list) => {
                for a in list {
                    match &a.members {
                        Members::Users(l) => named.aliases(a.kind, l),
                        Members::Hosts(l) => named.aliases(AliasKind::Host, l),
                        Members::Commands(l) => named.commands(l),
                    }
                }
            }
            ItemKind::UserSpec(spec) => {
                named.aliases(AliasKind::User, &spec.users);
                for p in &spec.privileges {
                    named.aliases(AliasKind::Host, &p.hosts);
                    for c in &p.commands {
                        named.commands(std::slice::from_ref(&c.command));
                        if let Some(runas) = &c.written.runas {
                            named.aliases(AliasKind::Runas, &runas.users);
                            named.aliases(AliasKind::Runas, &runas.groups);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// All that was found, the last entry having been seen: by entry, after them aliases that lead to themselves.
    pub fn finish(mut self, tree: &Tree) -> Vec<Problem> {
        for (entry, file, kind, name, span) in self.open {
            if tree.alias(kind, &name).is_none() {
                let why = format!("{} `{}` referenced but not defined", kind.word(), name.lossy());
                self.found.extend(problem(tree, file, span, ProblemKind::Warning, why).map(|p| (entry, p)));
            }
        }
        self.found.sort_by_key(|(entry, _)| *entry);
        self.found.into_iter().map(|(_, p)| p).chain(cycles(tree)).collect()
    }
}

/// Something that is wrong in a file.
fn problem(tree: &Tree, number: usize, span: Span, kind: ProblemKind, message: String) -> Option<Problem> {
    let file = tree.files.get(number)?;
    let (line, column) = file.position(span.start);
    Some(Problem { file: Some(number), path: file.path.clone(), span, line, column, kind, message })
}

/// What one entry names: aliases, and patterns of commands.
struct Named<'a> {
    check: &'a mut Check,
    tree: &'a Tree,
    file: usize,
}

impl Named<'_> {
    fn wrong(&mut self, span: Span, kind: ProblemKind, why: String) {
        let found = problem(self.tree, self.file, span, kind, why).map(|p| (self.check.seen, p));
        self.check.found.extend(found);
    }

    /// It may be defined below.
    fn alias(&mut self, kind: AliasKind, name: &Bytes, span: Span) {
        if self.tree.alias(kind, name).is_none() {
            self.check.open.push((self.check.seen, self.file, kind, name.clone(), span));
        }
    }

    fn aliases(&mut self, kind: AliasKind, list: &[Member<impl MayBeAlias>]) {
        for m in list {
            if let Some(name) = m.value.alias() {
                self.alias(kind, name, m.span);
            }
        }
    }

    fn commands(&mut self, list: &[Member<Command>]) {
        self.aliases(AliasKind::Command, list);
        for m in list {
            if let Command::Path(c) = &m.value
                && c.path.first() == Some(&b'^')
                && ere::compile(&c.path).is_err_and(|e| e == Refusal::Invalid)
            {
                let why = "not a regular expression: it matches nothing".to_owned();
                self.wrong(m.span, ProblemKind::VisudoRefuses, why);
            }
        }
    }
}

/// An alias by its kind and name.
type Key<'t> = (AliasKind, &'t Bytes);

/// The aliases that stand in an alias.
fn inside(alias: &Alias) -> Vec<Key<'_>> {
    fn names<T: MayBeAlias>(kind: AliasKind, list: &[Member<T>]) -> Vec<Key<'_>> {
        list.iter().filter_map(|m| Some((kind, m.value.alias()?))).collect()
    }
    match &alias.members {
        Members::Users(l) => names(alias.kind, l),
        Members::Hosts(l) => names(alias.kind, l),
        Members::Commands(l) => names(alias.kind, l),
    }
}

/// Aliases that stand inside themselves, or lead to such.
fn cycles(tree: &Tree) -> Vec<Problem> {
    // One that names no other leads nowhere, and most name none. Those that name only such lead nowhere either: they are
    // taken away until none is left to take, each once.
    let mut open: HashMap<Key, usize> = HashMap::new();
    let mut named_by: HashMap<Key, Vec<Key>> = HashMap::new();
    for placed in tree.aliases() {
        let from = (placed.alias.kind, &placed.alias.name);
        for to in inside(&placed.alias).into_iter().filter(|(kind, name)| tree.alias(*kind, name).is_some()) {
            *open.entry(from).or_default() += 1;
            named_by.entry(to).or_default().push(from);
        }
    }
    let mut ends: Vec<Key> = named_by.keys().filter(|k| !open.contains_key(*k)).copied().collect();
    while let Some(end) = ends.pop() {
        for from in named_by.get(&end).into_iter().flatten() {
            if let Some(left) = open.get_mut(from) {
                *left -= 1;
                if *left == 0 {
                    open.remove(from);
                    ends.push(*from);
                }
            }
        }
    }
    let mut out = Vec::new();
    for placed in tree.aliases().filter(|p| open.contains_key(&(p.alias.kind, &p.alias.name))) {
        let why = format!("{} `{}` leads to itself", placed.alias.kind.word(), placed.alias.name.lossy());
        out.extend(problem(tree, placed.file, placed.alias.name_span, ProblemKind::Warning, why));
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
