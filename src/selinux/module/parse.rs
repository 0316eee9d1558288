//! A `.te` module as this room writes it, read back, so that rules can be added to it without losing any.
//!
//! Only what [`super::te::te`] writes is understood: anything else ends the reading with its line, for what is not
//! understood cannot be kept.

use std::collections::BTreeSet;

use super::te::Form;
use super::{Content, Name, Rule, Statement, Target};

/// A module that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its form.
    pub form: Form,
    /// What it says.
    pub content: Content,
}

/// Why a module cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}; what is not understood cannot be kept")]
pub struct ParseError {
    /// From 1 on.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a module.
///
/// # Errors
/// The first line that is not as `perms learn` writes it.
pub fn te(text: &str) -> Result<Module, ParseError> {
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(text.lines()) {
        reader.line(line.trim()).map_err(|what| ParseError { line: number, what })?;
    }
    let missing =
        || ParseError { line: text.lines().count(), what: "there is no `module NAME VERSION;`".to_owned() };
    let (name, version, form) = reader.head.ok_or_else(missing)?;
    Ok(Module { name, version, form, content: reader.content })
}

#[derive(Default)]
struct Reader {
    head: Option<(Name, String, Form)>,
    in_require: bool,
    /// Comments since the last statement: remarks on the next rule.
    remarks: Vec<String>,
    content: Content,
}

type Result1 = Result<(), String>;

impl Reader {
    fn line(&mut self, line: &str) -> Result1 {
        if let Some(remark) = line.strip_prefix('#') {
            // An `allowxperm` that is only told stays told: it is made anew from the log.
            if self.head.is_some()
                && !remark.trim_start().starts_with("allowxperm")
                && !remark.contains(") allowxperm")
            {
                self.remarks.push(remark.trim().to_owned());
            }
            return Ok(());
        }
        if line.is_empty() {
            self.remarks.clear();
            return Ok(());
        }
        if self.in_require {
            // What is required follows from what the module says.
            self.in_require = !matches!(line, "}" | "')" | "};");
            return Ok(());
        }
        if self.head.is_none() {
            return self.module(line);
        }
        if matches!(line, "require {" | "gen_require(`") {
            self.in_require = true;
            return Ok(());
        }
        let statement = line.strip_suffix(';').ok_or_else(|| format!("`{line}` does not end in `;`"))?;
        let words: Vec<&str> = statement.split_whitespace().collect();
        let remarks = std::mem::take(&mut self.remarks);
        match words.as_slice() {
            ["allow", from, to] if !to.contains(':') => {
                let (from, to) = (name(from)?, name(to)?);
                self.content.statements.insert(Statement::RoleAllow { from, to });
                Ok(())
            }
            [kind @ ("allow" | "dontaudit"), source, about, permissions @ ..] => {
                let rule = rule(source, about)?;
                let set = if *kind == "allow" { &mut self.content.rules } else { &mut self.content.silent };
                let grant = set.grant(rule);
                for permission in braced(permissions)? {
                    grant.permissions.insert(name(permission)?);
                }
                grant.remarks.extend(remarks);
                Ok(())
            }
            ["allowxperm", source, about, operation, numbers @ ..] => {
                let grant = self.content.rules.grant(rule(source, about)?);
                let set = match *operation {
                    "ioctl" => &mut grant.ioctls,
                    "nlmsg" => &mut grant.nlmsgs,
                    other => return Err(format!("`{other}` is no operation of allowxperm")),
                };
                for number in braced(numbers)? {
                    range(number, set)?;
                }
                grant.filtered = true;
                Ok(())
            }
            ["typeattribute", ty, attribute] => {
                let (ty, attribute) = (name(ty)?, name(attribute)?);
                self.content.statements.insert(Statement::TypeAttribute { ty, attribute });
                Ok(())
            }
            ["role", role, "types", ty] => {
                let (role, ty) = (name(role)?, name(ty)?);
                self.content.statements.insert(Statement::RoleTypes { role, ty });
                Ok(())
            }
            ["type", ..] => {
                let mut parts = statement.trim_start_matches("type").split(',').map(str::trim);
                let ty = name(parts.next().unwrap_or_default())?;
                let attributes: Result<BTreeSet<Name>, String> = parts.map(name).collect();
                self.content.types.entry(ty).or_default().extend(attributes?);
                Ok(())
            }
            _ => Err(format!("`{line}` is not a statement that perms learn writes")),
        }
    }

    fn module(&mut self, line: &str) -> Result1 {
        let bad = || format!("`{line}` is not `module NAME VERSION;`");
        let (rest, form) = match line.strip_prefix("policy_module(") {
            Some(rest) => (rest.trim_end_matches(';').strip_suffix(')').ok_or_else(bad)?, Form::PolicyModule),
            None => {
                let rest = line.strip_prefix("module ").ok_or_else(bad)?;
                (rest.strip_suffix(';').ok_or_else(bad)?, Form::Module)
            }
        };
        let mut words = rest.split([' ', ',']).filter(|w| !w.is_empty());
        let (Some(module), Some(version), None) = (words.next(), words.next(), words.next()) else {
            return Err(bad());
        };
        let plain = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !plain {
            return Err(format!("`{version}` is no version"));
        }
        self.head = Some((name(module)?, version.to_owned(), form));
        self.remarks.clear();
        Ok(())
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).ok_or_else(|| format!("`{text}` is no name"))
}

/// `SOURCE TARGET:CLASS`
fn rule(source: &str, about: &str) -> Result<Rule, String> {
    let (target, class) = about.split_once(':').ok_or_else(|| format!("`{about}` is not TARGET:CLASS"))?;
    let target = match target {
        "self" => Target::Itself,
        other => Target::Type(name(other)?),
    };
    Ok(Rule { source: name(source)?, target, class: name(class)? })
}

/// One word, or several in braces.
fn braced<'a>(words: &'a [&'a str]) -> Result<&'a [&'a str], String> {
    match words {
        ["{", inner @ .., "}"] if !inner.is_empty() => Ok(inner),
        [one] if !one.contains(['{', '}']) => Ok(words),
        _ => Err("expected one word, or several in braces".to_owned()),
    }
}

/// `0x5401` or `0x5401-0x5403`
fn range(text: &str, into: &mut BTreeSet<u16>) -> Result1 {
    let bad = || format!("`{text}` is no command");
    let number = |t: &str| u16::from_str_radix(t.strip_prefix("0x").unwrap_or(t), 16).map_err(|_| bad());
    match text.split_once('-') {
        Some((first, last)) => into.extend(number(first)?..=number(last)?),
        None => {
            into.insert(number(text)?);
        }
    }
    Ok(())
}

/// The version after `version`: its last number, one greater.
pub fn next_version(version: &str) -> String {
    let (front, last) = version.rsplit_once('.').unwrap_or((version, "0"));
    match last.parse::<u32>().ok().and_then(|n| n.checked_add(1)) {
        Some(next) => format!("{front}.{next}"),
        None => format!("{version}.1"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::te;
    use super::*;

    fn any_name() -> impl Strategy<Value = Name> {
        prop::sample::select(vec!["a_t", "b_t", "c-d_t", "file", "dir", "read", "write", "ioctl", "r_r"])
            .prop_map(|n| Name::new(n).unwrap())
    }

    fn content() -> impl Strategy<Value = Content> {
        let names = || prop::collection::btree_set(any_name(), 1..4);
        let grants = || prop::collection::vec((any_name(), any_name(), any_name(), names()), 0..5);
        let pairs = || prop::collection::vec((any_name(), any_name(), 0..3u8), 0..4);
        let numbers = prop::collection::btree_set(any::<u16>(), 0..6);
        let types = prop::collection::btree_map(any_name(), names(), 0..3);
        (grants(), grants(), pairs(), numbers, types).prop_map(|(allow, silent, pairs, numbers, types)| {
            let mut content = Content { types, ..Content::default() };
            for (s, t, c, p) in allow {
                let grant = content.rules.grant(Rule::new(s, t, c));
                grant.permissions.extend(p);
                grant.ioctls.extend(&numbers);
                grant.filtered = !numbers.is_empty();
                grant.remarks.insert("rule::x: a remark".to_owned());
            }
            for (s, t, c, p) in silent {
                content.silent.add(Rule::new(s, t, c), p);
            }
            content.statements.extend(pairs.into_iter().map(|(a, b, kind)| match kind {
                0 => Statement::RoleTypes { role: a, ty: b },
                1 => Statement::RoleAllow { from: a, to: b },
                _ => Statement::TypeAttribute { ty: a, attribute: b },
            }));
            content
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(content in content(), policy_module in any::<bool>()) {
            let form = if policy_module { Form::PolicyModule } else { Form::Module };
            let style = te::Style {
                name: Name::new("m").unwrap(),
                version: "1.4".into(),
                head: vec!["Head.".into()],
                form,
                xperms: true,
            };
            let text = te::te(&style, &content);
            let read = super::te(&text).unwrap();
            prop_assert_eq!(&read.content, &content, "{}", text);
            prop_assert_eq!((read.name.as_str(), read.version.as_str(), read.form), ("m", "1.4", form));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let text = "module a 1.0;\nrequire {\n\ttype x;\n}\noptional {\n";
        assert_eq!(super::te(text).unwrap_err().line, 5);
        assert_eq!(super::te("allow a b:c d;").unwrap_err().line, 1);
        assert!(super::te("module a 1.0;\nallow a b:c { d;\n").is_err());
        assert_eq!(next_version("1.0"), "1.1");
        assert_eq!(next_version("2"), "2.1");
    }
}
