//! Rules of others: JavaScript (`*.rules`, since polkit 0.106) and the older `.pkla`. A program is not run, so this reads what it
//! names: users, groups, actions, and what it looks at of an action. What it cannot tell apart it takes for the wider.

use super::MANAGE_UNITS;

/// Actions that are as good as root when nothing about them is compared, with what `lookup` would have to narrow.
const ROOT_ACTIONS: [(&str, &[&str]); 5] = [
    // A transient unit runs any command as root (systemd#39676).
    (MANAGE_UNITS, &["unit"]),
    ("org.freedesktop.policykit.exec", &["program", "command_line"]),
    ("org.freedesktop.systemd1.set-environment", &[]),
    ("org.freedesktop.packagekit.package-install-untrusted", &[]),
    ("org.freedesktop.machine1.host-shell", &[]),
];

/// One `polkit.addRule`, or one section of a `.pkla`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Where it begins, from 1.
    pub line: usize,
    /// Every string in it, with its line: users among them.
    strings: Vec<(String, usize)>,
    /// Groups whose members it is for.
    groups: Vec<(String, usize)>,
    /// What of an action it compares with what: `unit`, `nginx.service`.
    compared: Vec<(String, String)>,
    /// What of an action it looks at, compared or not.
    looked_at: Vec<String>,
    /// It may say yes, or yes upon the user's own password.
    pub grants: bool,
    /// It may say yes without any password.
    pub free: bool,
}

/// By what a rule names an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The line.
    pub line: usize,
    /// The group, where it is by one.
    pub group: Option<String>,
}

impl Rule {
    /// Takes a word for an answer, if it is one.
    fn answer(&mut self, word: &str) {
        self.free |= word == "yes";
        self.grants |= matches!(word, "yes" | "auth_self" | "auth_self_keep");
    }

    /// How it names a user who is in these groups; `None` if it does not.
    pub fn names(&self, user: &str, groups: &[&str]) -> Option<Named> {
        let own = self.strings.iter().find(|(s, _)| s == user || s.strip_prefix("unix-user:") == Some(user));
        if let Some((_, line)) = own {
            return Some(Named { line: *line, group: None });
        }
        let of = self.groups.iter().find(|(g, _)| groups.contains(&g.as_str()));
        of.map(|(g, line)| Named { line: *line, group: Some(g.clone()) })
    }

    /// The actions that it names.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        let dots = |s: &str| s.bytes().filter(|b| *b == b'.').count();
        let action = move |s: &&str| {
            dots(s) >= 2 && !s.contains(['/', ' ', ':']) && !s.ends_with(".service") && !s.starts_with('.')
        };
        self.strings.iter().map(|(s, _)| s.as_str()).filter(action)
    }

    /// What it lets one do to which unit, as far as it says both.
    pub fn jobs(&self) -> Vec<(String, String)> {
        if !self.grants {
            return Vec::new();
        }
        let of = |key: &'static str| self.compared.iter().filter(move |(k, _)| k == key).map(|(_, v)| v);
        of("unit").flat_map(|u| of("verb").map(|v| (u.clone(), v.clone()))).collect()
    }

    /// Whether whom it names is root by it.
    pub fn is_root(&self) -> bool {
        if !self.grants {
            return false;
        }
        let free = |keys: &[&str]| !keys.iter().any(|k| self.looked_at.iter().any(|l| l == k));
        let mut any = true;
        for action in self.actions() {
            any = false;
            // `action.id.indexOf("org.freedesktop.systemd1.") == 0` is for all that begin so.
            let begins = action.ends_with('.');
            for (root, keys) in ROOT_ACTIONS {
                if (root == action || (begins && root.starts_with(action))) && free(keys) {
                    return true;
                }
            }
        }
        any && self.looked_at.is_empty()
    }
}

/// A word of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    Name(String),
    Mark(u8),
}

/// The rules of a `*.rules`. What stands outside of them (lists of users, functions) is taken to be in each.
pub fn rules(text: &[u8]) -> Vec<Rule> {
    let tokens = tokens(text);
    let mut rules: Vec<Rule> = Vec::new();
    let mut outside = Rule { line: 1, ..Rule::default() };
    let mut depth: u32 = 0;
    // The depth of parentheses at which the present rule ends; whether it is one of administrators (whose password is asked).
    let mut inside: Option<(u32, bool)> = None;
    for (n, (token, line)) in tokens.iter().enumerate() {
        let at = |d: usize| tokens.get(n + d).map(|(t, _)| t);
        match token {
            Token::Mark(b'(') => depth = depth.saturating_add(1),
            Token::Mark(b')') => {
                depth = depth.saturating_sub(1);
                if inside.is_some_and(|(end, _)| depth <= end) {
                    inside = None;
                }
            }
            Token::Name(name) if inside.is_none() && matches!(name.as_str(), "addRule" | "addAdminRule") => {
                let admin = name == "addAdminRule";
                inside = Some((depth, admin));
                if !admin {
                    rules.push(Rule { line: *line, ..Rule::default() });
                }
                continue;
            }
            _ => {}
        }
        if inside.is_some_and(|(_, admin)| admin) {
            continue;
        }
        let rule = match (inside, rules.last_mut()) {
            (Some(_), Some(rule)) => rule,
            _ => &mut outside,
        };
        match token {
            Token::Name(name) if name == "isInGroup" => {
                if let (Some(Token::Mark(b'(')), Some(Token::Text(group))) = (at(1), at(2)) {
                    rule.groups.push((group.clone(), *line));
                }
            }
            Token::Name(name) if name == "lookup" => {
                if let (Some(Token::Mark(b'(')), Some(Token::Text(key))) = (at(1), at(2)) {
                    rule.looked_at.push(key.clone());
                    let value = (4..8).find(|d| !matches!(at(*d), Some(Token::Mark(b'='))));
                    let equal = matches!(at(4), Some(Token::Mark(b'=')));
                    if let Some(Token::Text(value)) = value.filter(|_| equal).and_then(at) {
                        rule.compared.push((key.clone(), value.clone()));
                    }
                }
            }
            Token::Name(name) => rule.answer(&name.to_ascii_lowercase()),
            Token::Text(text) => {
                rule.answer(text);
                rule.strings.push((text.clone(), *line));
            }
            _ => {}
        }
    }
    for rule in &mut rules {
        rule.strings.extend(outside.strings.iter().cloned());
        rule.groups.extend(outside.groups.iter().cloned());
        rule.looked_at.extend(outside.looked_at.iter().cloned());
        rule.grants |= outside.grants;
        rule.free |= outside.free;
    }
    rules
}

/// The words of a program, with their lines. A string that the line ends is one; comments are none.
fn tokens(text: &[u8]) -> Vec<(Token, usize)> {
    let mut out = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some((&b, after)) = rest.split_first() {
        let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || *b >= 0x80;
        rest = match (b, after.first()) {
            (b'\n', _) => {
                line += 1;
                after
            }
            (b'/', Some(b'/')) => {
                let end = after.iter().position(|b| *b == b'\n').unwrap_or(after.len());
                after.get(end..).unwrap_or_default()
            }
            (b'/', Some(b'*')) => {
                let body = after.get(1..).unwrap_or_default();
                let end = body.windows(2).position(|w| w == b"*/").map_or(body.len(), |p| p + 2);
                let (comment, tail) = body.split_at(end.min(body.len()));
                line += comment.iter().filter(|b| **b == b'\n').count();
                tail
            }
            (b'"' | b'\'' | b'`', _) => {
                let (text, tail) = quoted(after, b);
                out.push((Token::Text(text), line));
                line += after.len().checked_sub(tail.len()).map_or(0, |n| {
                    after.get(..n).unwrap_or_default().iter().filter(|b| **b == b'\n').count()
                });
                tail
            }
            _ if name(&b) => {
                let end = rest.iter().position(|b| !name(b)).unwrap_or(rest.len());
                let (word, tail) = rest.split_at(end);
                out.push((Token::Name(String::from_utf8_lossy(word).into_owned()), line));
                tail
            }
            _ => {
                if !b.is_ascii_whitespace() {
                    out.push((Token::Mark(b), line));
                }
                after
            }
        };
    }
    out
}

/// A string up to its end, and what comes after.
fn quoted(text: &[u8], quote: u8) -> (String, &[u8]) {
    let mut units: Vec<u8> = Vec::new();
    let mut rest = text;
    while let Some((&b, after)) = rest.split_first() {
        match b {
            b'\n' if quote != b'`' => break,
            b'\\' => {
                let Some((&c, tail)) = after.split_first() else { break };
                rest = tail;
                let number = |n: usize| {
                    let digits = std::str::from_utf8(tail.get(..n)?).ok()?;
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
                };
                let (length, c) = match c {
                    b'x' => (2, number(2)),
                    b'u' => (4, number(4)),
                    b'n' => (0, Some('\n')),
                    b't' => (0, Some('\t')),
                    b'\n' => (0, None),
                    other => (0, Some(char::from(other))),
                };
                if let Some(c) = c {
                    rest = tail.get(length..).unwrap_or_default();
                    units.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                continue;
            }
            b if b == quote => return (String::from_utf8_lossy(&units).into_owned(), after),
            b => units.push(b),
        }
        rest = after;
    }
    (String::from_utf8_lossy(&units).into_owned(), rest)
}

/// The sections of a `.pkla` (pklocalauthority(8)).
pub fn pkla(text: &[u8]) -> Vec<Rule> {
    let text = String::from_utf8_lossy(text);
    let mut rules: Vec<Rule> = Vec::new();
    for (n, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.starts_with('[') {
            rules.push(Rule { line: n, ..Rule::default() });
            continue;
        }
        let (Some((key, value)), Some(rule)) = (line.split_once('='), rules.last_mut()) else { continue };
        let values = || value.split(';').map(str::trim).filter(|v| !v.is_empty());
        match key.trim() {
            "Identity" => {
                for v in values() {
                    match v.strip_prefix("unix-group:") {
                        Some(group) => rule.groups.push((group.to_owned(), n)),
                        None => rule.strings.push((v.to_owned(), n)),
                    }
                }
            }
            // `org.freedesktop.*` is for all that begin so.
            "Action" => rule.strings.extend(values().map(|v| (v.trim_end_matches('*').to_owned(), n))),
            "ResultAny" | "ResultInactive" | "ResultActive" => {
                rule.answer(value.trim());
            }
            _ => {}
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_rule_names_and_what_it_lets_them_do() {
        let text = br#"
            // subject.user == "nobody"
            /* "bob" */
            polkit.addAdminRule(function(action, subject) { return ["unix-group:sudo"]; });
            polkit.addRule(function(action, subject) {
                if (action.id == 'org.freedesktop.systemd1.manage-units' && subject.user == "dep") {
                    if (action.lookup("unit") == "a.service") { return polkit.Result.YES; }
                }
            });
            polkit.addRule(function(action, subject) {
                if (action.id.indexOf("org.freedesktop.systemd1.") == 0 && subject.isInGroup("ops")) return "yes";
            });
            polkit.addRule(function(action, subject) { if (subject.user == "x\x41") return polkit.Result.NO; });
        "#;
        let rules = rules(text);
        assert_eq!(rules.len(), 3);
        assert_eq!(rules[0].names("dep", &[]), Some(Named { line: 6, group: None }));
        assert_eq!(rules[1].names("ann", &["x", "ops"]).unwrap().group.as_deref(), Some("ops"));
        assert_eq!(rules[2].names("xA", &[]).unwrap().line, 13);
        for user in ["nobody", "bob", "sudo"] {
            assert!(rules.iter().all(|r| r.names(user, &["sudo"]).is_none()), "{user}");
        }
        assert_eq!(rules.iter().map(|r| r.grants).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(rules.iter().map(Rule::is_root).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_rule_without_any_action_is_for_all() {
        let text = b"var users = ['bob'];\npolkit.addRule(function(a, s) {\n if (users.indexOf(s.user) >= 0) return polkit.Result.YES });";
        let rules = rules(text);
        assert!(rules[0].is_root());
        assert_eq!(rules[0].names("bob", &[]).unwrap().line, 1);
    }

    #[test]
    fn sections_of_a_pkla() {
        let text = b"[x]\nIdentity=unix-user:bob;unix-group:ops\nAction=org.freedesktop.systemd1.*\nResultAny=yes\n[y]\nIdentity=unix-user:eve\nAction=org.freedesktop.login1.reboot\nResultAny=no\n";
        let rules = pkla(text);
        assert!(rules[0].is_root() && !rules[1].grants);
        assert_eq!(rules[0].names("bob", &[]).unwrap().line, 2);
        assert!(rules[0].names("ann", &["ops"]).is_some());
    }

    #[test]
    fn any_bytes_are_read() {
        for text in [
            &b"\"\\"[..],
            b"'\\x4",
            b"'\\u00",
            b"/*",
            b"addRule(",
            b"polkit.addRule(lookup(\"unit\")===",
            b"`\n\n",
            b"\\\xff\xfe",
            b"/",
            b"[=;",
        ] {
            rules(text);
            pkla(text);
        }
    }
}
