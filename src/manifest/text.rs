//! The small texts in a manifest, each read into its type: names, paths, modes, ACL entries, ports, SELinux names.

use std::path::{Component, Path, PathBuf};

use super::model::{AclEntry, AclPerms, AclWho, ModeSpec};
use super::tree::Flaw;
use crate::report::codes::manifest as codes;

/// The longest name of an account that Linux tools take (`LOGIN_NAME_MAX` is greater; utmp and useradd take 32).
const LONGEST_NAME: usize = 32;

/// A string as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Refuses characters that no line of sudoers, doas.conf or a log can hold safely: NUL, newline and other controls.
pub(super) fn no_control(text: &str) -> Result<(), Flaw> {
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(c) => {
            let name = match c {
                '\0' => "a NUL byte".to_owned(),
                '\n' => "a newline".to_owned(),
                '\t' => "a tab".to_owned(),
                c => format!("the control character U+{:04X}", c as u32),
            };
            Err(Flaw::new(&codes::CONTROL_CHARACTER, format!("this holds {name}"), format!("{name} in here"))
                .note(
                    "why",
                    "rules, logs and lists of files are read line by line: it would end one or forge another",
                ))
        }
    }
}

/// What a name may be.
struct NameRule {
    what: &'static str,
    says: &'static str,
    longest: usize,
    first: fn(char) -> bool,
    rest: fn(char) -> bool,
}

const APP_NAME: NameRule = NameRule {
    what: "an application's name",
    says: "lower-case letters, digits, `-` and `_`, a letter first",
    longest: LONGEST_NAME,
    first: |c| c.is_ascii_lowercase(),
    rest: |c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'),
};

/// Of what is there already: what useradd takes, and capitals, `.` and `@`, which directory services use.
const NAME: NameRule = NameRule {
    what: "the name of a user or group",
    says: "letters, digits, `-`, `_`, `.` and `@`, a letter or `_` first",
    longest: 256,
    first: |c| c.is_ascii_alphabetic() || c == '_',
    rest: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'),
};

/// Of what is to be made: what useradd and groupadd take everywhere.
const NEW_NAME: NameRule = NameRule {
    what: "the name of a user or group that is made",
    says: "lower-case letters, digits, `-` and `_`, a letter or `_` first",
    longest: LONGEST_NAME,
    first: |c| c.is_ascii_lowercase() || c == '_',
    rest: |c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'),
};

impl NameRule {
    fn read(&self, text: &str, body: &str) -> Result<String, Flaw> {
        let label = match body.chars().next() {
            None => "empty".to_owned(),
            Some(_) if text.len() > self.longest => format!("{} bytes", text.len()),
            Some(c) if !(self.first)(c) => format!("begins with `{c}`"),
            Some(_) => match body.chars().find(|&c| !(self.rest)(c)) {
                None => return Ok(text.to_owned()),
                Some(' ') => "a space in it".to_owned(),
                Some(c) => format!("`{c}` in it"),
            },
        };
        let message = format!("{} has {}; at most {} bytes", self.what, self.says, self.longest);
        Err(Flaw::new(&codes::BAD_NAME, message, label))
    }
}

/// `[app]` `name`.
pub(super) fn app_name(text: &str) -> Result<String, Flaw> {
    APP_NAME.read(text, text).map_err(|flaw| match text.contains('.') {
        true => flaw
            .note("why", "it names a file in /etc/sudoers.d, and sudo skips those with a dot in their names"),
        false => flaw,
    })
}

/// The name of a systemd unit.
const UNIT_NAME: NameRule = NameRule {
    what: "a unit's name",
    says: "letters, digits and `:-_.\\@`, and ends in `.service` or the like",
    longest: 255,
    first: |c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\'),
    rest: |c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@'),
};

/// What a unit's name may end in (systemd.unit(5)).
const UNIT_KINDS: &[&str] = &[
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// `[app]` `units`.
pub(super) fn unit(text: &str) -> Result<String, Flaw> {
    let name = UNIT_NAME.read(text, text)?;
    match text.rsplit_once('.') {
        Some((_, kind)) if UNIT_KINDS.contains(&kind) => Ok(name),
        _ => Err(Flaw::new(
            &codes::BAD_NAME,
            "a unit's name ends in its kind, such as `.service`",
            format!("`{text}.service`?"),
        )),
    }
}

/// The name of an account or group that is there already. A `$` at the end is for machine accounts.
pub(super) fn name(text: &str) -> Result<String, Flaw> {
    NAME.read(text, text.strip_suffix('$').unwrap_or(text))
}

/// The name of an account or group to be made.
pub(super) fn new_name(text: &str) -> Result<String, Flaw> {
    NEW_NAME.read(text, text.strip_suffix('$').unwrap_or(text))
}

/// A name, or a number, as chown takes it.
pub(super) fn name_or_number(text: &str) -> Result<String, Flaw> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return name(text);
    }
    match text.parse::<u32>() {
        Ok(n) if n <= super::keys::MAX_ID => Ok(n.to_string()),
        _ => Err(Flaw::new(
            &codes::BAD_ID,
            format!("`{text}` is no user or group number"),
            "greater than 4294967294",
        )),
    }
}

/// `u32` from TOML's digits.
pub(super) fn number(integer: &toml::de::DeInteger<'_>) -> Option<u32> {
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A user or group number for an account that is made: not root's, not those with a meaning of their own.
pub(super) fn id(integer: &toml::de::DeInteger<'_>) -> Result<u32, Flaw> {
    let flaw = |label: &str| {
        Flaw::new(&codes::BAD_ID, format!("`{integer}` cannot be the number of an account"), label)
    };
    match number(integer) {
        Some(0) => Err(flaw("0 is root")),
        Some(65535) => Err(flaw("65535 is -1 to old programs: \"no change\"")),
        Some(65534) => Err(flaw("65534 is nobody")),
        Some(n) if n <= super::keys::MAX_ID => Ok(n),
        _ => Err(flaw("it is from 1 to 4294967294")),
    }
}

/// An absolute path without `.` and `..`, and not `/`. Double and final slashes are taken away.
pub(super) fn path(text: &str) -> Result<PathBuf, Flaw> {
    no_control(text)?;
    if !text.starts_with('/') {
        let label = match text {
            "" => "empty",
            t if t.starts_with('~') => "`~` is the shell's: write the folder itself",
            _ => "it does not begin with `/`",
        };
        return Err(Flaw::new(&codes::RELATIVE_PATH, "a path must be absolute", label)
            .note("why", "what a relative path means depends on where `perms` is started"));
    }
    if text.split('/').any(|c| c == "." || c == "..") {
        return Err(Flaw::new(
            &codes::PATH_WITH_DOTS,
            "a path must not hold `.` or `..`",
            "write the path that is meant",
        )
        .note("why", "`..` after a symbolic link is not the folder that it looks like"));
    }
    let path: PathBuf = Path::new(text).components().filter(|c| *c != Component::CurDir).collect();
    if path == Path::new("/") {
        return Err(Flaw::new(
            &codes::BAD_PATH,
            "`/` belongs to no application",
            "name the folder that it needs",
        ));
    }
    Ok(path)
}

/// `mode` in a string.
pub(super) fn mode(text: &str) -> Result<ModeSpec, Flaw> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return octal(text);
    }
    symbolic(text).ok_or_else(|| {
        bad_mode(text, "neither octal nor `u=…,g=…,o=…`").note(
            "help",
            "all three of `u=`, `g=` and `o=` are written, each once, with any of `r`, `w`, `x`, `X`",
        )
    })
}

/// `mode` as a number.
pub(super) fn mode_number(integer: &toml::de::DeInteger<'_>) -> Result<ModeSpec, Flaw> {
    let written = integer.to_string();
    if integer.radix() != 8 {
        let flaw = bad_mode(&written, "a number that is not octal");
        let octal = written.bytes().all(|b| matches!(b, b'0'..=b'7')) && written.len() <= 4;
        return Err(if octal {
            flaw.note("help", format!("write `\"0{written}\"` or `0o{written}`"))
        } else {
            flaw.note("help", "write it in octal: `\"0640\"` or `0o640`")
        });
    }
    match number(integer).and_then(|n| u16::try_from(n).ok()) {
        Some(bits) if bits <= 0o7777 => Ok(ModeSpec::Octal(bits)),
        _ => Err(bad_mode(&written, "it has more than twelve bits")),
    }
}

fn octal(text: &str) -> Result<ModeSpec, Flaw> {
    match u16::from_str_radix(text, 8) {
        // Two digits are a slip more often than a mode for group and others.
        Ok(bits) if bits <= 0o7777 && text.len() >= 3 => Ok(ModeSpec::Octal(bits)),
        Ok(bits) if bits <= 0o7777 => Err(bad_mode(text, "three digits at least: owner, group, others")),
        _ if text.bytes().any(|b| b > b'7') => Err(bad_mode(text, "a digit greater than 7")),
        _ => Err(bad_mode(text, "it has more than twelve bits")),
    }
}

fn bad_mode(text: &str, label: &str) -> Flaw {
    Flaw::new(&codes::BAD_MODE, format!("`{text}` is no mode"), label)
}

fn symbolic(text: &str) -> Option<ModeSpec> {
    let (mut user, mut group, mut other) = (None, None, None);
    for part in text.split(',') {
        let (who, letters) = part.split_once('=')?;
        let slot = match who {
            "u" => &mut user,
            "g" => &mut group,
            "o" => &mut other,
            _ => return None,
        };
        if slot.replace(letters_of(letters, false)?).is_some() {
            return None;
        }
    }
    Some(ModeSpec::Symbolic { user: user?, group: group?, other: other? })
}

/// `rwxX` in any order, each once; `-` anywhere where `dashes` are allowed.
fn letters_of(text: &str, dashes: bool) -> Option<AclPerms> {
    let mut perms = AclPerms::default();
    for c in text.chars() {
        let bit = match c {
            'r' => &mut perms.read,
            'w' => &mut perms.write,
            'x' => &mut perms.execute,
            'X' => &mut perms.execute_if_any,
            '-' if dashes => continue,
            _ => return None,
        };
        if std::mem::replace(bit, true) {
            return None;
        }
    }
    Some(perms)
}

/// An element of `acl` or `default_acl`.
pub(super) fn acl_entry(text: &str) -> Result<AclEntry, Flaw> {
    let bad = |label: &str| {
        Flaw::new(&codes::BAD_ACL_ENTRY, format!("`{text}` is no ACL entry"), label).note(
            "help",
            "an entry is `user:NAME:PERMS` or `group:NAME:PERMS`, with any of `r`, `w`, `x`, `X`, `-`",
        )
    };
    no_control(text)?;
    let fields: Vec<&str> = text.split(':').collect();
    match fields.as_slice() {
        ["d" | "default", ..] => Err(bad("a default entry belongs in `default_acl`, without `default:`")),
        ["o" | "other", ..] => {
            Err(not_named(text, "the rights of others are the last digit of `mode`, or its `o=`"))
        }
        ["m" | "mask", ..] => Err(not_named(text, "the mask is worked out, so that no entry is cut by it")),
        ["u" | "user", "", _] => {
            Err(not_named(text, "the owner's rights are the first digit of `mode`, or its `u=`"))
        }
        ["g" | "group", "", _] => {
            Err(not_named(text, "the owning group's rights are the middle digit of `mode`, or its `g=`"))
        }
        [tag @ ("u" | "user" | "g" | "group"), who, perms] => {
            let who = name_or_number(who).map_err(|_| bad("no name, and no number, between the colons"))?;
            let perms = match letters_of(perms, true) {
                Some(letters) if !perms.is_empty() => letters,
                _ if !perms.is_empty() && perms.bytes().all(|b| matches!(b, b'0'..=b'7')) => {
                    return Err(bad("write the rights in letters"));
                }
                _ => return Err(bad("the rights are any of `r`, `w`, `x`, `X`, each once, or `-`")),
            };
            let who = if tag.starts_with('u') { AclWho::User(who) } else { AclWho::Group(who) };
            Ok(AclEntry { who, perms })
        }
        ["u" | "user" | "g" | "group", ..] => Err(bad("three fields, with two colons between them")),
        [_, _, _] => Err(bad("it begins with neither `user:` nor `group:`")),
        _ => Err(bad("it is three fields, with two colons between them")),
    }
}

fn not_named(text: &str, where_it_belongs: &str) -> Flaw {
    Flaw::new(
        &codes::ACL_NOT_NAMED,
        format!("`{text}` is not the entry of a named user or group"),
        where_it_belongs,
    )
    .note("why", "`acl` holds named entries alone; the others are the mode, which has its own key")
}

/// `port` in a string: a number, or two with a dash between them.
pub(super) fn ports(text: &str) -> Result<(u16, u16), Flaw> {
    let bad =
        |label: &str| Flaw::new(&codes::BAD_PORT, format!("`{text}` is no port or range of ports"), label);
    let one = |t: &str| t.parse::<u16>().ok().filter(|&n| n > 0 && !t.starts_with('+'));
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.trim(), high.trim());
    match (one(low), one(high)) {
        (Some(low), Some(high)) if low <= high => Ok((low, high)),
        (Some(_), Some(_)) => Err(bad("the first is greater than the last")),
        _ if text.bytes().any(|b| b.is_ascii_alphabetic()) => {
            Err(bad("a number, or two with `-` between them"))
        }
        _ => Err(bad("ports are from 1 to 65535")),
    }
}

/// `port` as a number.
pub(super) fn port_number(integer: &toml::de::DeInteger<'_>) -> Result<(u16, u16), Flaw> {
    match number(integer).and_then(|n| u16::try_from(n).ok()) {
        Some(port) if port > 0 => Ok((port, port)),
        _ => {
            let message = format!("`{integer}` is no port");
            Err(Flaw::new(&codes::BAD_PORT, message, "ports are from 1 to 65535"))
        }
    }
}

/// An identifier of the policy language: letters, digits, `_`, `-` and single dots, a letter first.
pub(super) fn selinux_name(text: &str, what: &str) -> Result<String, Flaw> {
    let good = text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.contains("..")
        && !text.ends_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if good {
        return Ok(text.to_owned());
    }
    let mut flaw = Flaw::new(
        &codes::BAD_SELINUX_NAME,
        format!("`{text}` is not the name of an SELinux {what}"),
        "letters, digits, `_`, `-` and `.`, a letter first",
    );
    let fields: Vec<&str> = text.split(':').collect();
    if let [_, _, setype, ..] = fields.as_slice() {
        flaw = flaw.note("help", format!("this is a whole context; its type is `{setype}`"));
    }
    Err(flaw)
}

/// A level or a range of levels: `s0`, `s0:c1,c3.c5`, `s0-s0:c0.c1023`.
pub(super) fn level(text: &str) -> Result<String, Flaw> {
    let good = text.split('-').count() <= 2 && text.split('-').all(is_level);
    if good {
        return Ok(text.to_owned());
    }
    let flaw = Flaw::new(
        &codes::BAD_LEVEL,
        format!("`{text}` is no SELinux level"),
        "a level is a sensitivity and its categories, such as `s0` or `s0:c1,c3.c5`",
    );
    Err(if text.starts_with(|c: char| c.is_ascii_uppercase()) {
        flaw.note("help", "names such as `SystemLow` are translations; `chcat -L` lists what they stand for")
    } else {
        flaw
    })
}

fn is_level(text: &str) -> bool {
    let numbered = |t: &str, letter: char| -> Option<u16> {
        let digits = t.strip_prefix(letter)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (sensitivity, categories) = match text.split_once(':') {
        Some((s, c)) => (s, Some(c)),
        None => (text, None),
    };
    numbered(sensitivity, 's').is_some()
        && categories.is_none_or(|c| {
            c.split(',').all(|range| match range.split_once('.') {
                Some((low, high)) => matches!(
                    (numbered(low, 'c'), numbered(high, 'c')),
                    (Some(low), Some(high)) if low < high
                ),
                None => numbered(range, 'c').is_some(),
            })
        })
}

/// `paths`: a regular expression that matches whole paths, in linear time.
pub(super) fn label_paths(text: &str) -> Result<String, Flaw> {
    /// Of the compiled expression; a specification of the largest policies takes a few kilobytes.
    const LARGEST: usize = 64 << 10;
    no_control(text)?;
    let bad =
        |label: String| Flaw::new(&codes::BAD_REGEX, format!("`{text}` is no specification of paths"), label);
    if !text.starts_with('/') {
        let label = if text.starts_with('^') {
            "it matches whole paths already: leave `^` out"
        } else {
            "it does not begin with `/`"
        };
        return Err(bad(label.to_owned()));
    }
    if text.contains(' ') || text.contains('\t') {
        return Err(bad("file_contexts separates its fields by spaces: write `\\s` or `.`".to_owned()));
    }
    let anchored = format!("^{text}$");
    let built = regex::bytes::RegexBuilder::new(&anchored)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(LARGEST)
        .nest_limit(32)
        .build();
    match built {
        Ok(_) => Ok(text.to_owned()),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err(bad("too large: write its repetitions out less".to_owned()))
        }
        Err(error) => {
            // The engine draws the pattern over several lines; the reason is the last.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            let flaw = bad(reason.to_owned());
            Err(match reason.contains("look-around") || reason.contains("backreference") {
                true => flaw.note("why", "look-around and back-references can take for ever to match"),
                false => flaw,
            })
        }
    }
}
