//! Random policies and questions, made of the pieces in which policies go wrong.

use crate::harness::Random;

/// User list members.
const USERS: &[&str] = &[
    "dep",
    "bob",
    "eve",
    "DEP",
    "#2000",
    "#2001",
    "%dep",
    "%ops",
    "%#2010",
    "%mixedcase",
    "ALL",
    "nobody",
    "UA",
    "UB",
    "\"dep\"",
    "d\\x65p",
    "%nosuch",
    "#99999",
    "root",
    "UNDEFINED",
    "\"%ops\"",
];
const RUNAS: &[&str] =
    &["root", "ALL", "bob", "#0", "#2001", "%ops", "RA", "RB", "daemon", "eve", "dep", "%#2000", "UNDEFINED"];
const RUNAS_GROUPS: &[&str] = &["ops", "ALL", "#2010", "bob", "RA", "GA", "root", "dep"];
const HOSTS: &[&str] = &[
    "ALL",
    "ALL",
    "ALL",
    "ALL",
    "web1",
    "WEB1",
    "web1.example.org",
    "web?",
    "*.example.org",
    "db",
    "HA",
    "HB",
];
/// Commands and arguments of rules.
const COMMANDS: &[&str] = &[
    "/usr/bin/ls",
    "/bin/ls",
    "/usr/bin/id",
    "/usr/bin/head",
    "/usr/bin/",
    "/usr/bin/l?",
    "/usr/bin/*",
    "/*/bin/id",
    "/bin/[a-i]*",
    "ALL",
    "ALL",
    "CA",
    "CB",
    "/usr/bin/systemctl",
    "sudoedit",
    "/usr/bin/../bin/ls",
    "/usr/*/ls",
    "^/usr/bin/(ls|id)$",
    "^/bin/.*$",
    "list",
    "/usr/local/bin/",
    "/usr/bin/nosuch",
];
const ARGS: &[&str] = &[
    "",
    "",
    "",
    "",
    " \"\"",
    " -l",
    " -l /etc",
    " *",
    " -l *",
    " reload nginx",
    " ^-l( /etc)?$",
    " ^reload [a-z]+$",
    " /etc/motd",
    " /etc/*",
    " a\\,b",
    " [a-c]x",
    " -?",
    " \\*",
    " a\\\\\\\\b",
    " ^[[:alpha:]-]+$",
    " x=y",
    " a\\ b",
    " *a*b*",
    " [!a]*",
    " [[\\:digit\\:]]",
];
const TAGS: &[&str] = &[
    "",
    "",
    "",
    "",
    "NOPASSWD: ",
    "PASSWD: ",
    "NOPASSWD:SETENV: ",
    "NOEXEC: ",
    "LOG_INPUT: ",
    "TIMEOUT=1h ",
    "CWD=/tmp ",
];
/// Questions.
const ASKED: &[&str] =
    &["/usr/bin/ls", "/bin/ls", "/usr/bin/id", "/usr/bin/head", "/bin/id", "/usr/bin/../bin/id"];
const ASKED_ARGS: &[&[&str]] = &[
    &[],
    &["-l"],
    &["-l", "/etc"],
    &["reload", "nginx"],
    &["reload nginx"],
    &["-l", "a", "b"],
    &[""],
    &["a,b"],
    &["bx"],
    &["*"],
    &["a\\b"],
    &["/etc/motd"],
    &["/etc/x/y"],
    &["x=y"],
    &["a b"],
    &["a", "b"],
    &["7"],
    &["-l /etc"],
];

fn list(r: &mut Random, of: &[&str], most: usize, negate: usize) -> String {
    let n = 1 + r.below(most);
    let one = |r: &mut Random| {
        let word = r.pick(of);
        if negate > 0 && r.once_in(negate) { format!("!{word}") } else { word.to_owned() }
    };
    (0..n).map(|_| one(r)).collect::<Vec<_>>().join(if r.once_in(3) { "," } else { ", " })
}

fn command(r: &mut Random) -> String {
    let c = r.pick(COMMANDS);
    let alias = c.chars().all(|c| c.is_ascii_uppercase());
    let args = if alias || c.ends_with('/') || c == "list" { "" } else { r.pick(ARGS) };
    format!("{c}{args}")
}

fn command_list(r: &mut Random, most: usize) -> String {
    let n = 1 + r.below(most);
    let commands: Vec<String> =
        (0..n).map(|_| format!("{}{}", if r.once_in(4) { "!" } else { "" }, command(r))).collect();
    commands.join(", ")
}

fn privilege(r: &mut Random) -> String {
    let mut text = format!("{} = ", list(r, HOSTS, 2, 8));
    for n in 0..1 + r.below(3) {
        if n > 0 {
            text += ", ";
        }
        match r.below(8) {
            0 | 1 => text += &format!("({}) ", list(r, RUNAS, 3, 5)),
            2 => text += &format!("({} : {}) ", list(r, RUNAS, 2, 5), list(r, RUNAS_GROUPS, 2, 5)),
            3 if r.once_in(2) => text += &format!("(: {}) ", list(r, RUNAS_GROUPS, 2, 5)),
            3 if r.once_in(2) => text += "() ",
            _ => {}
        }
        text += r.pick(TAGS);
        text += &format!("{}{}", if r.once_in(4) { "!" } else { "" }, command(r));
    }
    text
}

/// A policy: aliases, Defaults, user specifications.
pub(crate) fn policy(r: &mut Random) -> String {
    // Everybody may ask what they may do.
    let mut lines = vec!["root ALL=(ALL:ALL) ALL".to_owned(), "Defaults listpw=never".to_owned()];
    for (kind, names, of) in [
        ("User_Alias", ["UA", "UB"], USERS),
        ("Runas_Alias", ["RA", "RB"], RUNAS),
        ("Host_Alias", ["HA", "HB"], HOSTS),
    ] {
        for name in names {
            if !r.once_in(4) {
                lines.push(format!("{kind} {name} = {}", list(r, of, 3, 5)));
            }
        }
    }
    for name in ["CA", "CB"] {
        if !r.once_in(4) {
            lines.push(format!("Cmnd_Alias {name} = {}", command_list(r, 3)));
        }
    }
    for _ in 0..r.below(3) {
        lines.push(
            r.pick(&[
                "Defaults !authenticate",
                "Defaults authenticate",
                "Defaults:dep !authenticate",
                "Defaults:UA !authenticate",
                "Defaults!CA !authenticate",
                "Defaults!/usr/bin/id !authenticate",
                "Defaults>bob !authenticate",
                "Defaults@web1 !authenticate",
                "Defaults !case_insensitive_user",
                "Defaults !case_insensitive_group",
                "Defaults fast_glob",
                "Defaults runas_default=bob",
                "Defaults exempt_group=ops",
                "Defaults:dep runas_default=daemon",
                "Defaults:bob,!dep authenticate=false",
            ])
            .to_owned(),
        );
    }
    for _ in 0..1 + r.below(4) {
        let mut line = format!("{} {}", list(r, USERS, 3, 6), privilege(r));
        if r.once_in(5) {
            line += &format!(" : {}", privilege(r));
        }
        if r.once_in(6) {
            line += " # why";
        }
        lines.push(line);
    }
    // Sometimes the order is another one.
    if r.once_in(5) {
        let n = lines.len();
        let (a, b) = (r.below(n), r.below(n));
        lines.swap(a, b);
    }
    let mut text = String::new();
    for line in lines {
        if r.once_in(12) {
            text += &line.replacen(' ', " \\\n\t", 1);
        } else {
            text += &line;
        }
        text += if r.once_in(20) { "\n\n" } else { "\n" };
    }
    text
}

/// The same, mostly without what sudo-rs leaves out. Without continued lines: of an entry that it leaves out, it takes
/// what stands on the next line for an entry of its own.
pub(crate) fn policy_for_rs(r: &mut Random) -> String {
    let mut text = policy(r).replace(" \\\n\t", " ");
    if r.once_in(4) {
        return text;
    }
    for (not, instead) in [
        ("^/usr/bin/(ls|id)$", "/usr/bin/id"),
        ("^/bin/.*$", "/bin/*"),
        (" ^-l( /etc)?$", " -l /etc"),
        (" ^reload [a-z]+$", " reload *"),
        (" ^[[:alpha:]-]+$", " -l"),
        (" /etc/*", " /etc/motd *"),
        (" *a*b*", " a b"),
        (" [!a]*", " *"),
        (" -?", " -l"),
        (" \\*", " *"),
        ("[[\\:digit\\:]]", "[a-c]x"),
        ("d\\x65p", "dep"),
        ("web?", "web1"),
        ("*.example.org", "db"),
        ("TIMEOUT=1h ", ""),
        ("sudoedit", "/usr/bin/ls"),
    ] {
        text = text.replace(not, instead);
    }
    text
}

/// A command and arguments to ask about.
pub(crate) fn asked(r: &mut Random) -> Vec<&'static str> {
    let mut words = vec![r.pick(ASKED)];
    words.extend(r.pick(ASKED_ARGS));
    words
}

/// Small changes of a text: what a hand, a bad script or an attacker does.
pub(crate) fn mutated(r: &mut Random, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + r.below(3) {
        let at = r.below(bytes.len().max(1));
        let piece: &[u8] = r.pick(&[
            &b","[..],
            b":",
            b"=",
            b"!",
            b"\\",
            b"\"",
            b"#",
            b"(",
            b")",
            b" ",
            b"\t",
            b"\n",
            b"\r\n",
            b"\\\n",
            b"ALL",
            b"%",
            b"+",
            b"@include ",
            b"Defaults",
            b"Defaults:",
            b"Defaults!",
            b"User_Alias X=",
            b"NOPASSWD",
            b"NOPASSWD:",
            b"^",
            b"$",
            b"sha224:",
            b"sudoedit",
            b"\0",
            b"\xff",
            b"1.2.3.4",
            b"::1",
            b"TIMEOUT=",
            b"CWD=/x ",
            b"*",
            b"-",
            b"#1000",
            b"\\x41",
            b"list",
            b"sha256:",
            b"#include /x",
            b"ROLE=r ",
            b"CHROOT=* ",
            b"NOTBEFORE=20200101000000Z ",
        ]);
        match r.below(4) {
            0 if at < bytes.len() => {
                bytes.remove(at);
            }
            1 => {
                let end = (at + 1 + r.below(6)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}
