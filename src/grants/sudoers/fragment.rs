//! Rules of our own as a sudoers fragment: every word escaped so that sudo takes exactly it, or refused.
//!
//! sudo joins a command's arguments with spaces before it compares them, and compares them as a wildcard pattern. So
//! each argument is written with the escapes of both levels, and what cannot be told apart after joining is either
//! refused (an argument that is empty and alone looks like none at all) or known by [`joins_ambiguously`].

use std::path::Path;

use super::ast::{Command, CommandPath, Digest, DigestKind, ItemKind, User};
use super::command::{Behaviour, NoPrograms};
use super::decide::{Password, Question, Target};
use super::matching::ThisHost;
use super::rs::{Dialect, RsPolicy};
use super::tree::{Reading, Tree};
use crate::grants::identity::Identity;

/// A rule to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentRule {
    /// Who may: a user's name.
    pub user: String,
    /// As whom: a user's name, or `ALL` for anybody.
    pub runas: String,
    /// Without a password. Without this `PASSWD:` is written, which asks for one whatever the Defaults say.
    pub nopasswd: bool,
    /// The command's absolute path, then its arguments.
    pub command: Vec<String>,
    /// Which arguments.
    pub args: FragmentArgs,
    /// A digest that the command's file must have, as sudoers writes it: `sha256:…`.
    pub digest: Option<String>,
}

/// Which arguments a [`FragmentRule`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FragmentArgs {
    /// Exactly those in the command.
    Exact,
    /// Any.
    Any,
}

/// Why something cannot be written to sudoers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` cannot be written in sudoers: {why}")]
pub struct FragmentError {
    /// Number of the rule; `None` for what concerns the whole.
    pub rule: Option<usize>,
    /// Number of the word in the rule's command; `None` for a user or the whole.
    pub part: Option<usize>,
    /// The word.
    pub word: String,
    /// Why not.
    pub why: String,
}

impl FragmentError {
    fn new(part: Option<usize>, word: &str, why: impl Into<String>) -> Self {
        FragmentError { rule: None, part, word: word.to_owned(), why: why.into() }
    }
}

/// Whether sudo would read a file of this name in an include folder.
pub fn is_read_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '/', '\0']) && !name.ends_with('~')
}

/// Whether other vectors than this one are accepted too, because sudo compares arguments joined by spaces: with two
/// or more arguments, or with a space inside one.
pub fn joins_ambiguously(args: &[String]) -> bool {
    args.len() > 1 || args.iter().any(|a| a.contains(' '))
}

/// A fragment: a comment from `header`, then one line a rule.
///
/// # Errors
/// Everything that has no exact spelling in sudoers, all at once. `app` must be a name that sudo reads.
pub fn fragment(app: &str, header: &str, rules: &[FragmentRule]) -> Result<String, Vec<FragmentError>> {
    fragment_for(Dialect::Classic, app, header, rules)
}

/// As [`fragment`], for one sudo or the other.
///
/// # Errors
/// As those of [`fragment`].
pub fn fragment_for(
    dialect: Dialect,
    app: &str,
    header: &str,
    rules: &[FragmentRule],
) -> Result<String, Vec<FragmentError>> {
    let mut errors = Vec::new();
    if !is_read_name(app) {
        let why = "sudo passes over files whose name holds a dot or ends in `~`";
        errors.push(FragmentError::new(None, app, why));
    }
    let mut text = String::new();
    for line in header.lines() {
        // A NUL would end the line for sudo; other control characters have no business in it.
        let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        text.push_str(format!("# {line}").trim_end());
        text.push('\n');
    }
    for (n, rule) in rules.iter().enumerate() {
        let written = match dialect {
            Dialect::Classic => {
                line(rule).and_then(|l| if proves(&l, rule) { Ok(l) } else { Err(unproven(rule)) })
            }
            Dialect::Rs => {
                line_rs(rule).and_then(|l| if proves_rs(&l, rule) { Ok(l) } else { Err(unproven(rule)) })
            }
        };
        match written {
            Ok(l) => {
                text.push_str(&l);
                text.push('\n');
            }
            Err(e) => errors.push(FragmentError { rule: Some(n), ..e }),
        }
    }
    if errors.is_empty() { Ok(text) } else { Err(errors) }
}

/// One rule as a line, without the newline.
///
/// # Errors
/// [`FragmentError`] for what has no exact spelling.
pub fn line(rule: &FragmentRule) -> Result<String, FragmentError> {
    let tag = if rule.nopasswd { "NOPASSWD" } else { "PASSWD" };
    let command = command(&rule.command, rule.args)?;
    // `ALL` as a target is every user, said aloud in the manifest; as a name it could not be told from that.
    let runas = if rule.runas == "ALL" { rule.runas.clone() } else { user(&rule.runas)? };
    let digest = match &rule.digest {
        Some(digest) => format!("{} ", self::digest(digest)?),
        None => String::new(),
    };
    Ok(format!("{} ALL=({runas}) {tag}: {digest}{command}", user(&rule.user)?))
}

/// A digest as sudoers spells it.
///
/// # Errors
/// [`FragmentError`] for what is none.
pub fn digest(text: &str) -> Result<String, FragmentError> {
    let kinds = [DigestKind::Sha224, DigestKind::Sha256, DigestKind::Sha384, DigestKind::Sha512];
    let found = text.split_once(':').and_then(|(word, value)| {
        let kind = kinds.into_iter().find(|k| k.word() == word)?;
        Digest { kind, text: value.as_bytes().into() }.bytes()
    });
    match found {
        Some(_) => Ok(text.to_owned()),
        None => Err(FragmentError::new(
            Some(0),
            text,
            "a digest is `sha256:` and 64 hexadecimal digits, or base64",
        )),
    }
}

/// One rule as a line for sudo-rs: it knows few escapes, no digests, and parts arguments at every blank.
fn line_rs(rule: &FragmentRule) -> Result<String, FragmentError> {
    let tag = if rule.nopasswd { "NOPASSWD" } else { "PASSWD" };
    let runas = if rule.runas == "ALL" { rule.runas.clone() } else { user(&rule.runas)? };
    if let Some(digest) = &rule.digest {
        return Err(FragmentError::new(Some(0), digest, "sudo-rs knows no digests"));
    }
    let Some((path, args)) = rule.command.split_first() else {
        return Err(FragmentError::new(None, "", "a rule needs a command"));
    };
    if path.contains([' ', '\t']) {
        return Err(FragmentError::new(Some(0), path, "sudo-rs takes a blank in a path for its end"));
    }
    let mut command = command_path(path)?;
    match rule.args {
        FragmentArgs::Any => {}
        FragmentArgs::Exact if args.is_empty() => command.push_str(" \"\""),
        FragmentArgs::Exact => {
            for (n, arg) in args.iter().enumerate() {
                let why = if arg.is_empty() || arg.contains(char::is_whitespace) {
                    "sudo-rs parts arguments at every blank, and knows no empty one"
                } else if arg.contains(['*', '?']) {
                    "sudo-rs takes no `*` or `?` in arguments, escaped neither"
                } else if n == 0 && arg.starts_with('^') {
                    "sudo-rs takes a first argument that begins with `^` for a regular expression"
                } else if n + 1 == args.len() && arg == "\"\"" {
                    "two quotes at the end mean that there are no further arguments"
                } else if arg.chars().any(char::is_control) {
                    "a control character has no spelling there"
                } else {
                    ""
                };
                if !why.is_empty() {
                    return Err(FragmentError::new(Some(n + 1), arg, why));
                }
                command.push(' ');
                for c in arg.chars() {
                    if matches!(c, '\\' | ',' | ':' | '=' | '#') {
                        command.push('\\');
                    }
                    command.push(c);
                }
            }
        }
    }
    Ok(format!("{} ALL=({runas}) {tag}: {command}", user(&rule.user)?))
}

/// Reads a line back as sudo-rs does, and asks it.
fn proves_rs(line: &str, rule: &FragmentRule) -> bool {
    let tree = Tree::read_text(Path::new("/fragment"), format!("{line}\n").as_bytes(), &Reading::default());
    let policy = RsPolicy::new(&tree, &NoPrograms);
    let Some((path, args)) = rule.command.split_first() else { return false };
    let asked = |args: &[&[u8]]| {
        let target = if rule.runas == "ALL" { "root" } else { &rule.runas };
        let question = Question {
            who: &Identity::new(rule.user.clone(), Some(1)),
            host: &ThisHost::named("h"),
            target: &Target::User(Identity::new(target, Some(2)).with_group("g", Some(3)), None),
            command: path.as_bytes(),
            args,
            programs: &NoPrograms,
            behaviour: Behaviour::default(),
            now: None,
        };
        policy.decide(&question)
    };
    let vector: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
    let more = [&vector[..], &[b"more"]].concat();
    let any = rule.args == FragmentArgs::Any;
    let yes = asked(&vector);
    let password = if rule.nopasswd { Password::Tag } else { Password::Asked };
    policy.problems().is_empty()
        && tree.specs().count() == 1
        && yes.allowed()
        && yes.password == password
        && asked(&more).allowed() == any
}

/// A user's name as sudoers spells it.
///
/// # Errors
/// [`FragmentError`] for a name that would be taken for something else.
pub fn user(name: &str) -> Result<String, FragmentError> {
    let fail = |why: &str| Err(FragmentError::new(None, name, why));
    if name.is_empty() {
        return fail("a user needs a name");
    }
    if name.starts_with(['%', '+', '#', '!']) {
        return fail("its first character gives it another meaning");
    }
    if name.contains(['"', '\\']) || name.chars().any(char::is_control) {
        return fail("quotes, backslashes and control characters have no safe spelling there");
    }
    let mut bytes = name.bytes();
    let plain = bytes.next().is_some_and(|c| c.is_ascii_lowercase() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || b"_-.$".contains(&c));
    // Words that the scanner knows by themselves, and upper-case ones, which could be aliases.
    let taken = ["sudoedit", "sha224", "sha256", "sha384", "sha512"].contains(&name);
    Ok(if plain && !taken { name.to_owned() } else { format!("\"{name}\"") })
}

/// A command and its arguments as sudoers spells them.
///
/// # Errors
/// [`FragmentError`] for what has no exact spelling.
pub fn command(argv: &[String], args: FragmentArgs) -> Result<String, FragmentError> {
    let Some((path, rest)) = argv.split_first() else {
        return Err(FragmentError::new(None, "", "a rule needs a command"));
    };
    let path = command_path(path)?;
    match args {
        FragmentArgs::Any => Ok(path),
        FragmentArgs::Exact if rest.is_empty() => Ok(format!("{path} \"\"")),
        FragmentArgs::Exact => Ok(format!("{path} {}", arguments(rest)?)),
    }
}

/// A path. Wildcard characters can be escaped in arguments but not here, so they are put in brackets.
fn command_path(path: &str) -> Result<String, FragmentError> {
    let fail = |why: &str| Err(FragmentError::new(Some(0), path, why));
    if !path.starts_with('/') || path.len() < 2 {
        return fail("a command needs an absolute path");
    }
    if path.ends_with('/') {
        return fail("a path that ends in `/` means every file in that folder");
    }
    if path.ends_with("/sudoedit") {
        return fail("sudo takes a path to sudoedit for its built-in editing of files");
    }
    if path.len() >= 4096 {
        return fail("it is longer than a path can be");
    }
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            ',' | ':' | '=' | ' ' | '\t' | '#' => out.extend(['\\', c]),
            '*' | '?' | '[' | ']' => out.extend(['[', c, ']']),
            '\\' => return fail("a backslash in a path has no spelling there"),
            '\n' | '\r' | '\0' => return fail("a line break or NUL has no spelling there"),
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// Arguments: what stands between two of them is a plain space, where the scanner does not swallow it; else, and
/// inside an argument, an escaped one.
fn arguments(args: &[String]) -> Result<String, FragmentError> {
    if args.len() == 1 && args.first().is_some_and(String::is_empty) {
        let why = "sudo cannot tell a single empty argument from no arguments at all";
        return Err(FragmentError::new(Some(1), "", why));
    }
    let mut out = String::new();
    for (n, arg) in args.iter().enumerate() {
        if n > 0 {
            out.push_str(if out.is_empty() || arg.is_empty() { "\\ " } else { " " });
        }
        for c in arg.chars() {
            match c {
                '*' | '?' | '[' | ']' | '^' | ',' | ':' | '=' | '#' | ' ' | '\t' => out.extend(['\\', c]),
                // Once for the scanner, and each of those two once for the pattern.
                '\\' => out.push_str("\\\\\\\\"),
                '\n' | '\r' | '\0' => {
                    let why = "a line break or NUL has no spelling there";
                    return Err(FragmentError::new(Some(n + 1), arg, why));
                }
                _ => out.push(c),
            }
        }
    }
    // A backslash, blanks and the end of the line would go on with the next line.
    for blank in [" ", "\t"] {
        if let Some(before) = out.strip_suffix(&format!("\\{blank}")) {
            out = format!("{before}[\\{blank}]");
            break;
        }
    }
    // Two quotes alone mean "no arguments"; a bracket around the first keeps them what they are.
    if out == "\"\"" {
        out = "[\"]\"".to_owned();
    }
    Ok(out)
}

/// Reads a line back and compares: nothing is written that would be read otherwise.
fn proves(line: &str, rule: &FragmentRule) -> bool {
    let tree = Tree::read_text(Path::new("/fragment"), format!("{line}\n").as_bytes(), &Reading::default());
    if !tree.problems.is_empty() || tree.specs().count() != 1 {
        return false;
    }
    let Some((_, item, spec)) = tree.specs().next() else { return false };
    let word = |list: &[super::ast::Member<User>], name: &str| match list {
        [m] => !m.negated && m.value == User::Word(name.as_bytes().into()),
        _ => false,
    };
    let target = |list: &[super::ast::Member<User>]| match list {
        [m] if rule.runas == "ALL" => !m.negated && m.value == User::All,
        _ => word(list, &rule.runas),
    };
    let [privilege] = &*spec.privileges else { return false };
    let [one] = &*privilege.commands else { return false };
    let Command::Path(c) = &one.command.value else { return false };
    let runas = one.settings.runas.as_ref().is_some_and(|r| r.groups.is_empty() && target(&r.users));
    matches!(item.kind, ItemKind::UserSpec(_))
        && word(&spec.users, &rule.user)
        && runas
        && !one.command.negated
        && one.settings.tags.nopasswd == Some(rule.nopasswd)
        && says(c, rule)
}

/// Whether a command as read accepts the rule's own vector and, where it is exact, is a pattern without wildcards.
fn says(c: &CommandPath, rule: &FragmentRule) -> bool {
    let Some((path, args)) = rule.command.split_first() else { return false };
    let path_matches = if super::matching::has_meta(&c.path) {
        super::fnmatch::fnmatch(
            &c.path,
            path.as_bytes(),
            super::fnmatch::Flags { pathname: true, ..super::fnmatch::Flags::default() },
        )
    } else {
        c.path == path.as_bytes()
    };
    let args_match = match (&c.args, rule.args) {
        (None, FragmentArgs::Any) => true,
        (Some(a), FragmentArgs::Exact) if args.is_empty() => a == b"\"\"",
        (Some(a), FragmentArgs::Exact) => {
            a != b"\"\""
                && !(a.starts_with(b"^") && a.ends_with(b"$"))
                && super::fnmatch::fnmatch(a, args.join(" ").as_bytes(), super::fnmatch::Flags::default())
        }
        _ => false,
    };
    let digests: Vec<String> =
        c.digests.iter().map(|d| format!("{}:{}", d.kind.word(), String::from_utf8_lossy(&d.text))).collect();
    path_matches && args_match && digests.iter().eq(rule.digest.iter())
}

fn unproven(rule: &FragmentRule) -> FragmentError {
    FragmentError::new(None, &rule.command.join(" "), "it would be read as something else")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(command: &[&str]) -> FragmentRule {
        FragmentRule {
            user: "dep".into(),
            runas: "root".into(),
            nopasswd: true,
            command: command.iter().map(|s| (*s).to_owned()).collect(),
            args: FragmentArgs::Exact,
            digest: None,
        }
    }

    fn written(command: &[&str]) -> String {
        let text = fragment("web", "", &[rule(command)]).unwrap();
        text.strip_prefix("dep ALL=(root) NOPASSWD: ").unwrap().trim_end_matches('\n').to_owned()
    }

    #[test]
    fn every_special_character_has_its_escape() {
        assert_eq!(written(&["/usr/bin/systemctl", "reload", "nginx"]), "/usr/bin/systemctl reload nginx");
        assert_eq!(written(&["/bin/ls"]), "/bin/ls \"\"");
        assert_eq!(written(&["/bin/x", "C,D:e=f#g"]), "/bin/x C\\,D\\:e\\=f\\#g");
        assert_eq!(written(&["/bin/x", "E\\F"]), "/bin/x E\\\\\\\\F");
        assert_eq!(written(&["/bin/x", "^a b$"]), "/bin/x \\^a\\ b$");
        assert_eq!(written(&["/bin/x", "*", "[a]?"]), "/bin/x \\* \\[a\\]\\?");
        assert_eq!(written(&["/bin/x", "\"\""]), "/bin/x [\"]\"");
        assert_eq!(written(&["/bin/x", "a", "", "b"]), "/bin/x a\\  b");
        assert_eq!(written(&["/bin/x", "", "b"]), "/bin/x \\ b");
        assert_eq!(written(&["/bin/x", "a", ""]), "/bin/x a[\\ ]");
        assert_eq!(written(&["/opt/a b/c,d[1]"]), "/opt/a\\ b/c\\,d[[]1[]] \"\"");
    }

    #[test]
    fn what_sudoers_cannot_say_is_refused_and_all_of_it_at_once() {
        let bad: Vec<FragmentRule> = [
            &["/bin/x", "a\nb"][..],
            &["/bin/x", ""],
            &["x"],
            &["/bin/"],
            &["/a\\b"],
            &["/usr/bin/sudoedit", "/etc/motd"],
            &[],
        ]
        .into_iter()
        .map(rule)
        .collect();
        let errors = fragment("web.conf", "", &bad).unwrap_err();
        assert_eq!(errors.len(), bad.len() + 1);
        assert_eq!(errors[1].rule, Some(0));
        assert_eq!(errors[1].part, Some(1));
        for name in ["%wheel", "#0", "a\"b", "", "a\\b", "+n"] {
            assert!(user(name).is_err(), "{name}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_quoted() {
        for name in ["ALL", "sudoedit", "FOO", "a b", "10.0.0.1", "Defaults", "@include", "grün", "sha256"] {
            assert_eq!(user(name).unwrap(), format!("\"{name}\""));
            assert!(
                fragment("x", "", &[FragmentRule { user: name.into(), ..rule(&["/bin/ls"]) }]).is_ok(),
                "{name}"
            );
        }
        assert_eq!(user("web-deploy.2$").unwrap(), "web-deploy.2$");
        assert_eq!(user("xab").unwrap(), "xab");
    }

    #[test]
    fn sudo_rs_is_written_what_it_can_read() {
        let written = |command: &[&str]| fragment_for(Dialect::Rs, "web", "", &[rule(command)]);
        assert_eq!(
            written(&["/usr/bin/x", "a=b,c:d", "e#f", "g\\h", "[i]^"]).unwrap(),
            "dep ALL=(root) NOPASSWD: /usr/bin/x a\\=b\\,c\\:d e\\#f g\\\\h [i]^\n"
        );
        assert_eq!(written(&["/usr/bin/x"]).unwrap(), "dep ALL=(root) NOPASSWD: /usr/bin/x \"\"\n");
        for bad in [
            &["/a", "b c"][..],
            &["/a", ""],
            &["/a", "*"],
            &["/a", "b?"],
            &["/a", "^b"],
            &["/a", "\"\""],
            &["/a b"],
        ] {
            assert!(written(bad).is_err(), "{bad:?}");
        }
        let any = FragmentRule { args: FragmentArgs::Any, ..rule(&["/a"]) };
        assert_eq!(fragment_for(Dialect::Rs, "web", "", &[any]).unwrap(), "dep ALL=(root) NOPASSWD: /a\n");
    }

    #[test]
    fn a_digest_stands_before_the_command() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        let with = |digest: &str| FragmentRule { digest: Some(digest.to_owned()), ..rule(&["/bin/x"]) };
        let text = fragment("web", "", &[with(&digest)]).unwrap();
        assert_eq!(text, format!("dep ALL=(root) NOPASSWD: {digest} /bin/x \"\"\n"));
        for bad in ["sha256:00", "md5:00", "0f", "sha256:0f /bin/y"] {
            assert!(fragment("web", "", &[with(bad)]).is_err(), "{bad}");
        }
        assert!(fragment_for(Dialect::Rs, "web", "", &[with(&digest)]).is_err());
    }

    #[test]
    fn a_header_cannot_become_a_rule() {
        let text = fragment("web", "include /x\nincludedir /y\0z\rw \\\n", &[]).unwrap();
        let tree = Tree::read_text(Path::new("/f"), text.as_bytes(), &Reading::default());
        assert!(tree.problems.is_empty() && tree.files[0].items.iter().all(|i| i.kind == ItemKind::Blank));
    }
}
