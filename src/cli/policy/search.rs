//! `perms policy search`: rules that fit.

use std::cell::RefCell;
use std::io::{self, BufWriter, Write};

use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};

use crate::report::Format;
use crate::selinux::policy::{Found, Party, Policy, Query, RuleKind};

use super::super::error::CliError;
use super::listing::{Condition, Listing, Row};
use super::what_if::WhatIf;
use super::{Asked, boolean, class, ty, unknown};

/// Find rules
///
/// Shows each rule that fits everything that is given. A type stands for itself
/// and for the attributes that it has, an attribute for the types that have it;
/// --direct takes rules only as they are written.
///
/// Examples:
///   perms policy search -A -s httpd_t -t shadow_t
///   perms policy search --kind allow -s httpd_t -c tcp_socket -p name_connect
///   perms policy search -b httpd_can_network_connect
///   perms policy search --kind type_transition -s init_t --new httpd_t
///   perms policy search --with 'type app_t, domain' -s app_t
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct SearchArgs {
    /// Kinds of rules; all where none is given
    #[arg(long, value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Allow rules, as in sesearch: --kind allow
    #[arg(short = 'A', long, conflicts_with = "kind")]
    allow: bool,
    /// Type or attribute that acts
    #[arg(short, long, value_name = "TYPE")]
    source: Option<String>,
    /// Type or attribute that is acted upon
    #[arg(short, long, value_name = "TYPE")]
    target: Option<String>,
    /// Object classes, any of them
    #[arg(short, long, value_delimiter = ',')]
    class: Vec<String>,
    /// Permissions, any of them
    #[arg(short, long, value_delimiter = ',', value_name = "PERMISSION")]
    permission: Vec<String>,
    /// Only rules with all of the permissions
    #[arg(long)]
    all_permissions: bool,
    /// Type that the rule gives to what is made
    #[arg(long, value_name = "TYPE")]
    new: Option<String>,
    /// Booleans, any of which decides whether the rule holds
    #[arg(short, long, value_delimiter = ',')]
    boolean: Vec<String>,
    /// Ioctl command or message type, or a range of them: 0x5401, 0x8900-0x89ff
    #[arg(short = 'x', long, value_name = "COMMAND")]
    command: Option<String>,
    /// Take source and target as they are written in rules, attributes not expanded
    #[arg(long)]
    direct: bool,
    /// Only rules that hold with the booleans as the policy has them, or as --set says
    #[arg(long)]
    enabled: bool,
    /// One line for each pair of types, attributes expanded
    #[arg(long)]
    expand: bool,
    #[command(flatten)]
    pub(super) what_if: WhatIf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Allow,
    Auditallow,
    Dontaudit,
    TypeTransition,
    TypeMember,
    TypeChange,
    Allowxperm,
    Auditallowxperm,
    Dontauditxperm,
}

impl Kind {
    fn rule(self) -> RuleKind {
        match self {
            Kind::Allow => RuleKind::Allow,
            Kind::Auditallow => RuleKind::AuditAllow,
            Kind::Dontaudit => RuleKind::DontAudit,
            Kind::TypeTransition => RuleKind::Transition,
            Kind::TypeMember => RuleKind::Member,
            Kind::TypeChange => RuleKind::Change,
            Kind::Allowxperm => RuleKind::AllowX,
            Kind::Auditallowxperm => RuleKind::AuditAllowX,
            Kind::Dontauditxperm => RuleKind::DontAuditX,
        }
    }
}

pub(super) fn run(asked: &Asked<'_>, args: &SearchArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let policy = &asked.policy;
    let query = query(policy, args)?;
    let view = asked.view();
    let holds: Vec<bool> = policy.conditionals().iter().map(|c| view.is_true(c)).collect();
    let mut rows = Vec::new();
    for found in policy.search(&query) {
        if let Found::Rule(_, Some((i, branch))) = found
            && args.enabled
            && holds.get(i).is_none_or(|state| *state != branch)
        {
            continue;
        }
        each_row(policy, found, args.expand, &query, |row| rows.push(row));
    }
    let json = asked.format == Format::Json;
    let (mut listing, order) = Listing::new(&view, &rows, !json);
    let mut out = BufWriter::with_capacity(1 << 16, out);
    if json {
        let rules = RefCell::new(listing);
        let answer = Answer {
            kind: "policy-search",
            policy: asked.head_json(),
            rules: Rules { rows: &rows, order: &order, listing: &rules },
            version: super::JSON_VERSION,
        };
        serde_json::to_writer_pretty(&mut out, &answer).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(out.flush()?);
    }
    asked.head(&mut out)?;
    let mut line = String::new();
    for row in order.iter().filter_map(|i| rows.get(*i as usize)) {
        line.clear();
        listing.write(row, &mut line);
        if let Some(Condition { text, when, holds }) = listing.condition(row) {
            let now = if holds { "on" } else { "off" };
            line.push_str(&format!("  [ {text} ]:{when}, {now} now"));
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    let s = if rows.len() == 1 { "" } else { "s" };
    writeln!(out, "{} rule{s}", rows.len())?;
    Ok(out.flush()?)
}

/// The answer for programs, written as it is made.
#[derive(Serialize)]
struct Answer<'a, 'p> {
    kind: &'static str,
    policy: serde_json::Value,
    rules: Rules<'a, 'p>,
    version: u32,
}

struct Rules<'a, 'p> {
    rows: &'a [Row<'p>],
    order: &'a [u32],
    listing: &'a RefCell<Listing<'p>>,
}

#[derive(Serialize)]
struct JsonRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    holds: bool,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<bool>,
}

impl Serialize for Rules<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.order.iter().filter_map(|i| self.rows.get(*i as usize));
        serializer.collect_seq(rows.map(|row| {
            let mut listing = self.listing.borrow_mut();
            let mut rule = String::new();
            listing.write(row, &mut rule);
            match listing.condition(row) {
                Some(c) => JsonRule { condition: Some(c.text), holds: c.holds, rule, when: Some(c.when) },
                None => JsonRule { condition: None, holds: true, rule, when: None },
            }
        }))
    }
}

fn query(policy: &Policy, args: &SearchArgs) -> Result<Query, CliError> {
    let ty = |name: &str| ty(policy, name);
    let party = |name: &Option<String>| match name {
        None => Ok(None),
        Some(name) if args.direct => ty(name).map(|t| Some(Party::Written(t))),
        Some(name) => ty(name).map(|t| Some(Party::About(t))),
    };
    let mut classes = Vec::new();
    for name in &args.class {
        classes.push(class(policy, name)?);
    }
    for name in &args.permission {
        let all =
            || policy.classes().iter().map(|c| c.id).filter(|c| classes.is_empty() || classes.contains(c));
        if !all().any(|c| policy.permission(c, name).is_some()) {
            return Err(unknown(
                "permission",
                name,
                all().flat_map(|c| policy.permissions(c)).map(|p| &*p.name),
            ));
        }
    }
    let mut booleans = Vec::new();
    for name in &args.boolean {
        booleans.push(boolean(policy, name)?);
    }
    Ok(Query {
        kinds: if args.allow { vec![RuleKind::Allow] } else { args.kind.iter().map(|k| k.rule()).collect() },
        source: party(&args.source)?,
        target: party(&args.target)?,
        classes,
        permissions: args.permission.clone(),
        all_permissions: args.all_permissions,
        new_type: args.new.as_deref().map(ty).transpose()?,
        booleans,
        commands: args.command.as_deref().map(commands).transpose()?,
    })
}

/// `0x5401` or `0x8900-0x89ff`; decimal numbers too.
pub(super) fn commands(text: &str) -> Result<(u16, u16), CliError> {
    let number = |t: &str| match t.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => t.parse().ok(),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(CliError::new(format!("`{text}` is no command of 16 bits, nor a range of them"))),
    }
}

/// Calls for a rule; for each pair of types that it stands for where it is to be expanded.
fn each_row<'p>(
    policy: &'p Policy,
    found: Found<'p>,
    expand: bool,
    query: &Query,
    mut call: impl FnMut(Row<'p>),
) {
    let rule = match found {
        Found::Name(rule, source, _) => return call(Row { found, source, target: rule.target }),
        Found::Rule(rule, _) => rule,
    };
    let (Some(source), Some(target)) = (rule.source(), rule.target()) else { return };
    if !expand {
        return call(Row { found, source, target });
    }
    let of = |written, party: Option<Party>| {
        let all = policy.expand(written).into_iter();
        let wanted = move |t: &_| match party {
            Some(Party::About(asked)) => policy.covers(asked, *t),
            _ => true,
        };
        all.filter(wanted).collect::<Vec<_>>()
    };
    let targets = of(target, query.target);
    for source in of(source, query.source) {
        for target in &targets {
            call(Row { found, source, target: *target });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_number_or_a_range() {
        assert_eq!(commands("0x5401").unwrap(), (0x5401, 0x5401));
        assert_eq!(commands("0x8900-0x89ff").unwrap(), (0x8900, 0x89ff));
        assert_eq!(commands("16").unwrap(), (16, 16));
        for wrong in ["", "x", "0x12345", "5-3", "-"] {
            assert!(commands(wrong).is_err(), "{wrong}");
        }
    }
}
