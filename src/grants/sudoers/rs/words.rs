//! Words as sudo-rs reads them: which characters, which escapes, what length.

use super::glob::Glob;
use crate::grants::sudoers::command::Programs;

/// Why a word is not taken: one line, lower case, no period.
pub(super) type Refused = String;

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Name(String),
    Id(u32),
}

/// Which arguments a command takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Args {
    /// These, and any more.
    Prefix(Vec<String>),
    /// These.
    Exact(Vec<String>),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) path: Glob,
    pub(super) args: Args,
}

/// A user's or group's name, or `#` and a number.
pub(super) fn name(value: &[u8], raw: &[u8]) -> Result<Name, Refused> {
    let text = std::str::from_utf8(value).map_err(|_| "a name that is not UTF-8".to_owned())?;
    if let Some(digits) = text.strip_prefix('#') {
        let number = digits.len() <= 10 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let id = if number { digits.parse().ok() } else { None };
        return id.map(Name::Id).ok_or_else(|| format!("`{text}` is no number of a user or group"));
    }
    let plain = |c: char| c.is_alphanumeric() || ".-_@$".contains(c);
    let escapable = |c: char| "\\\",:=!() ".contains(c);
    let quoted = raw.contains(&b'"');
    let fine = text.chars().all(|c| plain(c) || escapable(c) && (quoted || raw.contains(&b'\\')));
    let escapes = quoted || only_escapes(raw, escapable);
    let dollar = text.strip_suffix('$').unwrap_or(text).contains('$');
    if text.is_empty() || text.starts_with('@') || !fine || !escapes || dollar || text.len() > 255 {
        return Err(format!("`{text}` is no name that sudo-rs can read"));
    }
    Ok(Name::Name(text.to_owned()))
}

/// Whether each backslash stands before a character that may be escaped (or the end of a line).
fn only_escapes(raw: &[u8], escapable: impl Fn(char) -> bool) -> bool {
    let mut bytes = raw.iter();
    while let Some(b) = bytes.next() {
        if *b == b'\\' && !bytes.next().is_some_and(|n| *n == b'\n' || escapable(char::from(*n))) {
            return false;
        }
    }
    true
}

/// A host's name.
pub(super) fn host(value: &[u8], raw: &[u8]) -> Result<String, Refused> {
    let text = String::from_utf8_lossy(value).into_owned();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b".-_".contains(b);
    let parts: Vec<&str> = text.split('.').collect();
    let number = |p: &&str| !p.is_empty() && p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit());
    if parts.len() == 4 && parts.iter().all(number) {
        return Err("hosts cannot be given by address".to_owned());
    }
    if value.is_empty()
        || value.len() > 255
        || !value.iter().all(plain)
        || raw.contains(&b'\\')
        || raw.contains(&b'"')
    {
        return Err(format!("`{text}` is no host that sudo-rs can read"));
    }
    Ok(text)
}

/// The characters of a command and its arguments, escapes resolved.
fn unescape(raw: &[u8]) -> Result<String, Refused> {
    let text = std::str::from_utf8(raw).map_err(|_| "a command that is not UTF-8".to_owned())?;
    let escapable = |c: char| "\\,:=# ".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(n) if escapable(n) => out.push(n),
                Some('\n') => out.push(' '),
                _ => return Err("an escape that sudo-rs does not know".to_owned()),
            },
            '=' | ' ' | '\t' => out.push(c),
            c if escapable(c) || c.is_control() => return Err(format!("{c:?} in a command")),
            c => out.push(c),
        }
    }
    if out.len() > 1024 {
        return Err("a command of more than 1024 bytes".to_owned());
    }
    Ok(out)
}

/// A command as it stands in the file, without what negates it.
pub(super) fn command(raw: &[u8], programs: &dyn Programs) -> Result<Command, Refused> {
    let text = unescape(raw)?;
    let mut words = text.split_whitespace();
    let path = words.next().unwrap_or_default();
    let mut args: Vec<String> = words.map(str::to_owned).collect();
    let glob = path_pattern(path, programs)?;
    let args = if args.is_empty() {
        Args::Prefix(args)
    } else {
        if args.first().is_some_and(|a| a.starts_with('^')) {
            return Err("regular expressions are not supported".to_owned());
        }
        let any = args.last().is_some_and(|a| a == "*");
        if any || args.last().is_some_and(|a| a == "\"\"") {
            args.pop();
        }
        if args.iter().any(|a| a.contains(['*', '?'])) {
            return Err("wildcards are not allowed in arguments, but for a `*` at the end".to_owned());
        }
        if any { Args::Prefix(args) } else { Args::Exact(args) }
    };
    if path == "list" && args != Args::Prefix(Vec::new()) {
        return Err("`list` takes no arguments".to_owned());
    }
    Ok(Command { path: glob, args })
}

fn path_pattern(path: &str, programs: &dyn Programs) -> Result<Glob, Refused> {
    let pattern = match path {
        "list" | "sudoedit" => path.to_owned(),
        _ if path.starts_with("sha") => return Err("digests are not supported".to_owned()),
        _ if path.starts_with('^') => return Err("regular expressions are not supported".to_owned()),
        _ if !path.starts_with('/') => return Err(format!("`{path}` is no absolute path")),
        _ => {
            let (bare, folder) = match path.strip_suffix('/') {
                Some(bare) => (bare, true),
                None => (path, false),
            };
            let mut real = canonical(bare.as_bytes(), programs)
                .and_then(|p| String::from_utf8(p).ok())
                .unwrap_or_else(|| bare.to_owned());
            if folder {
                real.push_str("/*");
            }
            real
        }
    };
    Glob::new(&pattern).ok_or_else(|| format!("`{path}` is no pattern"))
}

/// The path with the links of its folder resolved, not its own; `None` if it is not there.
pub(super) fn canonical(path: &[u8], programs: &dyn Programs) -> Option<Vec<u8>> {
    programs.identity(path)?;
    let at = path.iter().rposition(|b| *b == b'/')?;
    let (folder, name) = (path.get(..at)?, path.get(at + 1..)?);
    if name.is_empty() || name == b".." || name == b"." {
        return programs.canonical(path);
    }
    let mut real = programs.canonical(if folder.is_empty() { b"/" } else { folder })?;
    if real != b"/" {
        real.push(b'/');
    }
    real.extend_from_slice(name);
    Some(real)
}
