//! What if: statements of the policy language laid over the policy, and booleans set, for one question.

use clap::Args;
use serde_json::{Value, json};

use super::super::error::CliError;
use super::{boolean, class, permissions, ty, unknown};
use crate::report::escape;
use crate::selinux::policy::{
    BooleanId, ClassId, Overlay, OverlayError, Policy, RoleId, RuleKind, Symbol as _, TypeId,
};

/// Options of the questions that can be asked of another policy than the one that is there.
#[derive(Debug, Args)]
#[command(next_help_heading = "What if")]
pub(in crate::cli) struct WhatIf {
    /// As if the policy had this statement too, in the policy language
    ///
    /// May be given several times; a statement may use types that one before it declares, which every role may have.
    /// Statements: allow, auditallow, dontaudit, allowxperm, auditallowxperm, dontauditxperm, type_transition (by
    /// name too), type_member, type_change, type, attribute, typeattribute, bool, permissive, and the role forms
    /// `role ROLE types TYPE` and `allow ROLE ROLE`. Sets in braces, `self`, and `*` for all permissions are
    /// understood. The policy itself stays as it is.
    #[arg(long = "with", value_name = "STATEMENT")]
    statements: Vec<String>,
    /// As if a boolean were on or off
    #[arg(long, value_name = "BOOLEAN=on|off")]
    set: Vec<String>,
}

impl WhatIf {
    /// The policy with the statements, if there are any.
    pub(super) fn policy(&self, policy: Policy) -> Result<Policy, CliError> {
        if self.statements.is_empty() {
            return Ok(policy);
        }
        let mut overlay = policy.overlay();
        for statement in &self.statements {
            let mut words = Words::new(statement);
            add(&mut overlay, &mut words).map_err(|e| match e {
                Wrong::Language(what) => {
                    CliError::new(format!("`{statement}` is no statement: {what}")).hint(EXAMPLE)
                }
                Wrong::Overlay(e) => CliError::new(format!("`{statement}` cannot be added: {e}")),
                Wrong::Name(e) => e,
            })?;
        }
        overlay.finish().map_err(|e| CliError::new(e.to_string()))
    }

    /// The booleans to set, by the names that the policy (with the statements) has.
    pub(super) fn booleans(&self, policy: &Policy) -> Result<Vec<(BooleanId, bool)>, CliError> {
        let one = |set: &String| match set.split_once('=') {
            Some((name, "on" | "1" | "true")) => Ok((boolean(policy, name)?, true)),
            Some((name, "off" | "0" | "false")) => Ok((boolean(policy, name)?, false)),
            _ => Err(CliError::new(format!("`{set}` is not BOOLEAN=on or BOOLEAN=off"))),
        };
        self.set.iter().map(one).collect()
    }

    /// What is supposed, a line each, escaped.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let with = self.statements.iter().map(|s| format!("with {}", escape(s)));
        with.chain(self.set.iter().map(|s| format!("with {}", escape(s))))
    }

    /// The same for programs; `None` where nothing is supposed.
    pub(super) fn json(&self) -> Option<Value> {
        let none = self.statements.is_empty() && self.set.is_empty();
        (!none).then(|| json!({ "statements": self.statements, "booleans": self.set }))
    }
}

const EXAMPLE: &str = "for example: --with 'allow httpd_t shadow_t:file { read open };'";

/// Why a statement is not added.
enum Wrong {
    /// It is not of the language, or not of the part of it that is understood.
    Language(String),
    /// The policy lacks a name.
    Name(CliError),
    /// The policy cannot hold it.
    Overlay(OverlayError),
}

impl From<CliError> for Wrong {
    fn from(e: CliError) -> Self {
        Wrong::Name(e)
    }
}

impl From<OverlayError> for Wrong {
    fn from(e: OverlayError) -> Self {
        Wrong::Overlay(e)
    }
}

type Result<T, E = Wrong> = std::result::Result<T, E>;

/// The words and marks of a statement.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.trim().trim_end_matches(';').trim_end() }
    }

    /// The next word or mark, without taking it; empty at the end.
    fn peek(&self) -> &'a str {
        let rest = self.rest.trim_start();
        let mut marks = rest.char_indices();
        let len = match marks.next() {
            None => 0,
            Some((_, '"')) => marks.find(|(_, c)| *c == '"').map_or(rest.len(), |(at, _)| at + 1),
            Some((_, c)) if is_mark(c) => c.len_utf8(),
            Some(_) => {
                let end = |c: char| c.is_whitespace() || is_mark(c) || c == '"';
                rest.find(end).unwrap_or(rest.len())
            }
        };
        rest.get(..len).unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let word = self.peek();
        self.rest = self.rest.trim_start().get(word.len()..).unwrap_or_default();
        word
    }

    /// Takes a mark if it is next.
    fn take(&mut self, mark: &str) -> bool {
        let there = self.peek() == mark;
        if there {
            self.next();
        }
        there
    }

    fn mark(&mut self, mark: &str) -> Result<()> {
        match self.next() {
            found if found == mark => Ok(()),
            "" => Err(Wrong::Language(format!("expected `{mark}` at its end"))),
            found => Err(Wrong::Language(format!("expected `{mark}`, found `{found}`"))),
        }
    }

    fn name(&mut self, what: &str) -> Result<&'a str> {
        match self.next() {
            "" => Err(Wrong::Language(format!("expected {what} at its end"))),
            word if word.chars().next().is_some_and(|c| is_mark(c) || c == '"') => {
                Err(Wrong::Language(format!("expected {what}, found `{word}`")))
            }
            word => Ok(word),
        }
    }

    /// A name, or several in braces.
    fn names(&mut self, what: &str) -> Result<Vec<&'a str>> {
        if !self.take("{") {
            return Ok(vec![self.name(what)?]);
        }
        let mut names = Vec::new();
        while !self.take("}") {
            names.push(self.name(what)?);
        }
        Ok(names)
    }

    fn end(&self) -> Result<()> {
        match self.peek() {
            "" => Ok(()),
            more => Err(Wrong::Language(format!("`{more}` is too much"))),
        }
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, '{' | '}' | ':' | ',' | ';' | '~' | '*' | '(' | ')')
}

/// Adds one statement.
fn add(overlay: &mut Overlay, words: &mut Words<'_>) -> Result<()> {
    use RuleKind::{AllowX, AuditAllow, AuditAllowX, Change, DontAudit, DontAuditX, Member, Transition};
    match words.next() {
        "allow" => allow(overlay, words)?,
        "auditallow" => rule(overlay, words, AuditAllow)?,
        "dontaudit" => rule(overlay, words, DontAudit)?,
        "allowxperm" => commands(overlay, words, AllowX)?,
        "auditallowxperm" => commands(overlay, words, AuditAllowX)?,
        "dontauditxperm" => commands(overlay, words, DontAuditX)?,
        "type_transition" => transition(overlay, words, Transition)?,
        "type_member" => transition(overlay, words, Member)?,
        "type_change" => transition(overlay, words, Change)?,
        "type" => {
            let new = overlay.add_type(words.name("a type")?)?;
            let roles: Vec<RoleId> = overlay.so_far().roles().iter().map(|r| r.id).collect();
            roles.into_iter().for_each(|role| overlay.give_role(role, new));
            if words.take(",") {
                attributes(overlay, words, new)?;
            }
        }
        "attribute" => {
            overlay.add_attribute(words.name("an attribute")?)?;
        }
        "typeattribute" => {
            let given = ty(overlay.so_far(), words.name("a type")?)?;
            attributes(overlay, words, given)?;
        }
        "bool" => {
            let name = words.name("a boolean")?;
            let state = match words.name("true or false")? {
                "true" => true,
                "false" => false,
                other => return Err(Wrong::Language(format!("expected true or false, found `{other}`"))),
            };
            overlay.add_boolean(name, state)?;
        }
        "permissive" => {
            let ty = ty(overlay.so_far(), words.name("a type")?)?;
            overlay.make_permissive(ty);
        }
        "role" => {
            let role = role(overlay.so_far(), words.name("a role")?)?;
            if words.name("`types`")? != "types" {
                return Err(Wrong::Language("expected `role ROLE types TYPE`".to_owned()));
            }
            for name in words.names("a type")? {
                let ty = ty(overlay.so_far(), name)?;
                overlay.give_role(role, ty);
            }
        }
        "" => return Err(Wrong::Language("it is empty".to_owned())),
        other => return Err(Wrong::Language(format!("`{other}` is not among those that can be added"))),
    }
    words.end()
}

fn attributes(overlay: &mut Overlay, words: &mut Words<'_>, given: TypeId) -> Result<()> {
    loop {
        let attribute = ty(overlay.so_far(), words.name("an attribute")?)?;
        overlay.give_attribute(given, attribute)?;
        if !words.take(",") {
            return Ok(());
        }
    }
}

fn role(policy: &Policy, name: &str) -> Result<RoleId, CliError> {
    let known = || policy.roles().iter().map(|r| r.name());
    policy.roles().id(name).ok_or_else(|| unknown("role", name, known()))
}

/// `SOURCE TARGET:CLASS`, each of which may be several.
type Between = Vec<(TypeId, TypeId, ClassId)>;

/// Sources, targets and classes as they are written.
fn between(overlay: &Overlay, words: &mut Words<'_>) -> Result<Between> {
    let sources = words.names("a source type")?;
    after_source(overlay, words, &sources)
}

fn after_source(overlay: &Overlay, words: &mut Words<'_>, sources: &[&str]) -> Result<Between> {
    let targets = words.names("a target type")?;
    words.mark(":")?;
    let classes = words.names("a class")?;
    let policy = overlay.so_far();
    let mut pairs = Vec::new();
    for source in sources {
        let source = ty(policy, source)?;
        for target in &targets {
            match *target {
                // The binary format knows no `self`: a rule of an attribute stands there for each of its types.
                "self" => pairs.extend(policy.expand(source).into_iter().map(|t| (t, t))),
                name => pairs.push((source, ty(policy, name)?)),
            }
        }
    }
    let mut out = Between::new();
    for name in classes {
        let class = class(policy, name)?;
        out.extend(pairs.iter().map(|(source, target)| (*source, *target, class)));
    }
    Ok(out)
}

fn allow(overlay: &mut Overlay, words: &mut Words<'_>) -> Result<()> {
    let sources = words.names("a source type")?;
    let rest = words.rest;
    let targets = words.names("a target")?;
    // Without a class it is about roles.
    if words.peek().is_empty() {
        for source in &sources {
            for target in &targets {
                let (source, target) = (role(overlay.so_far(), source)?, role(overlay.so_far(), target)?);
                overlay.allow_role(source, target);
            }
        }
        return Ok(());
    }
    words.rest = rest;
    let between = after_source(overlay, words, &sources)?;
    add_permissions(overlay, words, RuleKind::Allow, between)
}

fn rule(overlay: &mut Overlay, words: &mut Words<'_>, kind: RuleKind) -> Result<()> {
    let between = between(overlay, words)?;
    add_permissions(overlay, words, kind, between)
}

fn add_permissions(
    overlay: &mut Overlay,
    words: &mut Words<'_>,
    kind: RuleKind,
    between: Between,
) -> Result<()> {
    let all = words.take("*");
    let except = !all && words.take("~");
    let names = if all { Vec::new() } else { words.names("a permission")? };
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    for (source, target, class) in between {
        let every = overlay.so_far().all_permissions(class);
        let named = permissions(overlay.so_far(), class, &names)?;
        let vector = if all || except { every & !named } else { named };
        overlay.add_rule(kind, source, target, class, vector)?;
    }
    Ok(())
}

fn commands(overlay: &mut Overlay, words: &mut Words<'_>, kind: RuleKind) -> Result<()> {
    let between = between(overlay, words)?;
    let netlink = match words.name("`ioctl` or `nlmsg`")? {
        "ioctl" => false,
        "nlmsg" => true,
        other => return Err(Wrong::Language(format!("expected `ioctl` or `nlmsg`, found `{other}`"))),
    };
    let except = words.take("~");
    let named = words.names("a number or a range of them")?;
    let mut ranges = named.into_iter().map(super::search::commands).collect::<Result<Vec<_>, _>>()?;
    if except {
        ranges = complement(ranges);
    }
    for about in between {
        overlay.add_commands(kind, about, netlink, &ranges)?;
    }
    Ok(())
}

/// All numbers that none of these ranges has.
fn complement(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut out = Vec::new();
    let mut next = Some(0u16);
    for (first, last) in ranges {
        let Some(start) = next else { break };
        if let Some(before) = first.checked_sub(1).filter(|before| *before >= start) {
            out.push((start, before));
        }
        next = last.max(start.saturating_sub(1)).checked_add(1);
    }
    out.extend(next.map(|start| (start, u16::MAX)));
    out
}

fn transition(overlay: &mut Overlay, words: &mut Words<'_>, kind: RuleKind) -> Result<()> {
    let between = between(overlay, words)?;
    let new = ty(overlay.so_far(), words.name("a type")?)?;
    let name = words.peek().strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    if name.is_some() {
        if kind != RuleKind::Transition {
            return Err(Wrong::Language("only type_transition may be for a name".to_owned()));
        }
        words.next();
    }
    for about in between {
        overlay.add_transition(kind, about, new, name.map(str::as_bytes))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_by_spaces_and_marks() {
        let mut words = Words::new(" allow a {b c}:file{ read}  \"a b\";; ");
        let mut all = Vec::new();
        while !words.peek().is_empty() {
            all.push(words.next());
        }
        assert_eq!(all, ["allow", "a", "{", "b", "c", "}", ":", "file", "{", "read", "}", "\"a b\""]);
    }

    #[test]
    fn a_complement_has_what_is_not_there() {
        assert_eq!(complement(vec![]), [(0, u16::MAX)]);
        assert_eq!(complement(vec![(0, u16::MAX)]), []);
        assert_eq!(complement(vec![(5, 5), (0, 2), (1, 3)]), [(4, 4), (6, u16::MAX)]);
        assert_eq!(complement(vec![(1, u16::MAX)]), [(0, 0)]);
        assert_eq!(complement(vec![(10, 20), (12, 14)]), [(0, 9), (21, u16::MAX)]);
    }
}
