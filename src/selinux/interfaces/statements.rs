//! Policy statements as interfaces expand to them: rules, what they require, and what is optional or conditional.

use super::m4::MOST_DEPTH;

/// A list of names as a rule has it, sets flattened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    /// Names.
    pub names: Vec<String>,
    /// Those after a `-`.
    pub without: Vec<String>,
    /// `*` or `~`: whatever there is, or all but these.
    pub wide: bool,
}

/// An `allow` rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The domains.
    pub source: Set,
    /// The objects' types; `self` is a name here.
    pub target: Set,
    /// The classes.
    pub class: Set,
    /// The permissions.
    pub permissions: Set,
}

/// What is required to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// `type`, `attribute`, `role`, `bool`, `class` …
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Statements in their order, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements {
    /// `allow` rules.
    pub allows: Vec<Allow>,
    /// What is required.
    pub needs: Vec<Need>,
    /// `optional` blocks: in force where all is there that they require.
    pub optional: Vec<Statements>,
    /// Both branches of `if`: in force by the state of booleans.
    pub conditional: Vec<Statements>,
    /// First words of other statements that do something (`type_transition`, `typeattribute` …).
    pub others: Vec<String>,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A macro that the headers do not define.
    #[error("`{0}` is called and not defined")]
    Unknown(String),
    /// Something else.
    #[error("`{0}` is no policy here")]
    Unexpected(String),
    /// It ends too early.
    #[error("it ends too early")]
    Unfinished,
}

/// Reads the statements of an expanded text.
///
/// # Errors
/// It is no policy, or calls what is not defined.
pub fn parse(text: &[u8]) -> Result<Statements, StatementError> {
    let mut reader = Reader { text, at: 0 };
    let statements = reader.block(0, false)?;
    Ok(statements)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next word or mark, not taken.
    fn peek(&mut self) -> Option<&'a str> {
        loop {
            match self.text.get(self.at)? {
                b if b.is_ascii_whitespace() => self.at += 1,
                b'#' => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        let rest = self.text.get(self.at..)?;
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$');
        let mut len = rest.iter().take_while(|b| is_word(b)).count();
        if len == 0 {
            // One mark; of what is not ASCII the whole run.
            len = rest.iter().take_while(|b| !b.is_ascii()).count().max(1);
        }
        Some(std::str::from_utf8(rest.get(..len)?).unwrap_or("?"))
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek()?;
        self.at += if token == "?" { 1 } else { token.len() };
        Some(token)
    }

    fn expect(&mut self, mark: &str) -> Result<(), StatementError> {
        match self.next() {
            Some(found) if found == mark => Ok(()),
            Some(found) => Err(StatementError::Unexpected(found.to_owned())),
            None => Err(StatementError::Unfinished),
        }
    }

    /// Statements up to the end, or up to a closing brace.
    fn block(&mut self, depth: usize, braced: bool) -> Result<Statements, StatementError> {
        if depth >= MOST_DEPTH {
            return Err(StatementError::Unfinished);
        }
        let mut all = Statements::default();
        loop {
            let Some(word) = self.next() else {
                return if braced { Err(StatementError::Unfinished) } else { Ok(all) };
            };
            match word {
                "}" if braced => return Ok(all),
                ";" => {}
                "allow" => match self.allow()? {
                    Some(rule) => all.allows.push(rule),
                    None => all.others.push("role allow".to_owned()),
                },
                // Nothing is opened by these.
                "dontaudit" | "auditallow" | "neverallow" | "dontauditxperm" | "auditallowxperm" => {
                    self.skip_statement()?;
                }
                "require" => {
                    self.expect("{")?;
                    self.needs(&mut all.needs)?;
                }
                "optional" => {
                    self.expect("{")?;
                    all.optional.push(self.block(depth + 1, true)?);
                    if self.peek() == Some("else") {
                        self.next();
                        self.expect("{")?;
                        all.conditional.push(self.block(depth + 1, true)?);
                    }
                }
                "if" => {
                    self.expect("(")?;
                    self.skip_parentheses()?;
                    self.expect("{")?;
                    all.conditional.push(self.block(depth + 1, true)?);
                    if self.peek() == Some("else") {
                        self.next();
                        self.expect("{")?;
                        all.conditional.push(self.block(depth + 1, true)?);
                    }
                }
                word if word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                    if self.peek() == Some("(") {
                        return Err(StatementError::Unknown(word.to_owned()));
                    }
                    all.others.push(word.to_owned());
                    self.skip_statement()?;
                }
                other => return Err(StatementError::Unexpected(other.to_owned())),
            }
        }
    }

    /// After `allow`; `None` for a rule about roles.
    fn allow(&mut self) -> Result<Option<Allow>, StatementError> {
        let (source, target) = (self.set()?, self.set()?);
        match self.next() {
            Some(";") => return Ok(None),
            Some(":") => {}
            Some(other) => return Err(StatementError::Unexpected(other.to_owned())),
            None => return Err(StatementError::Unfinished),
        }
        let (class, permissions) = (self.set()?, self.set()?);
        self.expect(";")?;
        Ok(Some(Allow { source, target, class, permissions }))
    }

    fn set(&mut self) -> Result<Set, StatementError> {
        let mut set = Set::default();
        let (mut depth, mut minus) = (0usize, false);
        loop {
            match self.next().ok_or(StatementError::Unfinished)? {
                "{" => depth += 1,
                "}" => {
                    depth = depth.checked_sub(1).ok_or_else(|| StatementError::Unexpected("}".to_owned()))?;
                }
                "~" | "*" => {
                    set.wide = true;
                    // `~` stands before a set or a name, `*` alone.
                    if self.text.get(self.at.saturating_sub(1)) == Some(&b'~') {
                        continue;
                    }
                }
                "-" => {
                    minus = true;
                    continue;
                }
                name if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) => {
                    let list = if std::mem::take(&mut minus) { &mut set.without } else { &mut set.names };
                    list.push(name.to_owned());
                }
                other => return Err(StatementError::Unexpected(other.to_owned())),
            }
            if depth == 0 {
                return Ok(set);
            }
        }
    }

    /// What stands in a `require` block.
    fn needs(&mut self, into: &mut Vec<Need>) -> Result<(), StatementError> {
        loop {
            let kind = match self.next().ok_or(StatementError::Unfinished)? {
                "}" => return Ok(()),
                ";" => continue,
                kind => kind.to_owned(),
            };
            loop {
                match self.next().ok_or(StatementError::Unfinished)? {
                    ";" => break,
                    "," => {}
                    // The permissions of a class.
                    "{" => while self.next().ok_or(StatementError::Unfinished)? != "}" {},
                    "}" => return Ok(()),
                    name => {
                        into.push(Need { kind: kind.clone(), name: name.to_owned() });
                        if kind == "class" {
                            // `class NAME PERMISSION;`
                            match self.peek() {
                                Some("{" | ";" | ",") | None => {}
                                Some(_) => {
                                    self.next();
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn skip_statement(&mut self) -> Result<(), StatementError> {
        while self.next().ok_or(StatementError::Unfinished)? != ";" {}
        Ok(())
    }

    /// After an opening parenthesis: past the closing one.
    fn skip_parentheses(&mut self) -> Result<(), StatementError> {
        let mut depth = 1usize;
        while depth > 0 {
            match self.next().ok_or(StatementError::Unfinished)? {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: &Set) -> String {
        set.names.join(" ")
    }

    #[test]
    fn rules_requirements_and_blocks() {
        let text = b"require { type a_t, b_t; attribute x; class file { read }; class dir search; }\n\
            # a comment; with { marks\nallow a_t { b_t { c_t } -d_t }:{ file dir } { read { open } };\n;\n\
            dontaudit a_t self:process *;\noptional { require { type q_t; } allow a_t q_t:file read; } # end\n\
            if (on && (off)) { allow a_t self:process execmem; } else { allow a_t b_t:file write; }\n\
            type_transition a_t b_t:file c_t;\nallow r1 r2;\n";
        let all = parse(text).unwrap();
        assert_eq!(
            all.needs.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(),
            ["a_t", "b_t", "x", "file", "dir"]
        );
        let [rule] = all.allows.as_slice() else { panic!("{all:?}") };
        assert_eq!((names(&rule.source), names(&rule.target)), ("a_t".into(), "b_t c_t".into()));
        assert_eq!(rule.target.without, ["d_t"]);
        assert_eq!((names(&rule.class), names(&rule.permissions)), ("file dir".into(), "read open".into()));
        assert_eq!((all.optional.len(), all.conditional.len()), (1, 2));
        assert_eq!(all.others, ["type_transition", "role allow"]);
    }

    #[test]
    fn what_is_no_policy_is_refused_and_never_more() {
        for bad in [
            &b"allow a_t"[..],
            b"foo(a_t)",
            b"allow a b:c { d",
            b"} }",
            b"require { type",
            b"\xff\xfe;",
            b"if (",
        ] {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(parse(&b"optional {".repeat(10_000)).is_err());
        assert!(parse(b"allow a_t { * }:file *;").unwrap().allows[0].target.wide);
        assert!(parse(b"allow a_t b_t:file ~{ read };").unwrap().allows[0].permissions.wide);
    }
}
