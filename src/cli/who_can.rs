//! `perms who-can`: everybody who may do something to a path, with the shortest reason each.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::can::{Selinuxed, absolute, action_of};
use super::error::CliError;
use super::ui::Ui;
use crate::host::Host;
use crate::manifest::load::programs_of;
use crate::report::Format;
use crate::report::escape;
use crate::report::style::Paint;
use crate::rights::who::{Entry, Who, who_can};

/// Version of the JSON form, which docs/schema/who-can.schema.json describes.
const JSON_VERSION: u32 = 1;
/// Domains that are named; of more the number is said.
const DOMAINS: usize = 12;

/// List who can do something to a path, each with the shortest reason
///
/// Users and groups by mode and ACL, users who become one of them by a rule of
/// sudo or doas, and, where there is an SELinux policy, the domains that it lets.
///
/// Exit status: 0 somebody can, 4 nobody can, 16 that is not knowable.
///
/// Examples:
///   perms who-can write /etc/nginx/conf.d
///   perms who-can read /etc/shadow --policy policy.33
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct WhoCanArgs {
    /// read, write, execute, search, create, delete or chmod
    action: String,
    /// The path
    path: PathBuf,
    /// The SELinux policy to ask instead of the running kernel's
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Name every domain
    #[arg(long)]
    all: bool,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: &WhoCanArgs) -> Result<u8, CliError> {
    let host = Host::observe(super::load::root(common)?)?;
    let action = action_of(&args.action)?;
    let path = absolute(common, Path::new(&args.path))?;
    let selinux = match Selinuxed::load(common, &host.root, args.policy.as_deref()) {
        Ok(found) => Some(found),
        // A policy that was named must be there; that a host has none is no mistake.
        Err(e) if args.policy.is_some() => return Err(e),
        Err(_) => None,
    };
    let folder = super::load::folder(common)?;
    let programs = programs_of(&folder).map_err(|e| {
        CliError::new(format!("{}: {e}", folder.join(crate::manifest::load::PROGRAMS).display()))
    })?;
    let labels = selinux.as_ref().map(Selinuxed::labels);
    let who = who_can(&host, action, &path, &programs, labels.as_ref());
    match ui.format {
        Format::Json => {
            let report = json!({
                "version": JSON_VERSION,
                "kind": "who-can",
                "action": action.word(),
                "path": path.to_string_lossy(),
                "everybody": who.everybody,
                "users": entries(&who.users, false),
                "except": entries(&who.excepted, false),
                "groups": entries(&who.groups, true),
                "routes": entries(&who.routes, false),
                "domains": labels.as_ref().map(|_| entries(&who.domains, false)),
                "unknown": who.unknown,
                "nobody": who.nobody,
            });
            serde_json::to_writer_pretty(&mut *ui.out, &report).map_err(io::Error::from)?;
            writeln!(ui.out)?;
        }
        Format::Human | Format::Plain => text(&mut *ui.out, &who, args.all, ui.paint)?,
    }
    Ok(match (who.everybody.is_some() || !who.users.is_empty(), who.unknown.is_empty()) {
        (true, _) => 0,
        (false, false) => 16,
        (false, true) => 4,
    })
}

fn entries(list: &[Entry], members: bool) -> Vec<Value> {
    let one = |e: &Entry| {
        let mut value = json!({ "name": e.name, "reason": e.reason });
        if let (true, Some(map)) = (members, value.as_object_mut()) {
            map.insert("members".to_owned(), json!(e.members));
        }
        value
    };
    list.iter().map(one).collect()
}

fn text(out: &mut dyn Write, who: &Who, all: bool, paint: Paint) -> io::Result<()> {
    let names = [&who.users, &who.excepted, &who.groups, &who.routes].into_iter().flatten();
    let domains = if all { who.domains.len() } else { DOMAINS };
    let names = names.map(|e| &e.name).chain(who.domains.iter().take(domains).map(|e| &e.name));
    let width = names.map(|n| escape(n).chars().count() + 2).max().unwrap_or(0).max(9);
    let line = |out: &mut dyn Write, name: &str, reason: &str| {
        writeln!(out, "{:width$}  {}", escape(name), escape(reason))
    };
    if let Some(why) = &who.everybody {
        line(out, "everybody", why)?;
    }
    for e in &who.excepted {
        line(out, &format!("not {}", e.name), &e.reason)?;
    }
    for e in &who.users {
        line(out, &e.name, &e.reason)?;
    }
    for e in &who.routes {
        line(out, &e.name, &e.reason)?;
    }
    for e in &who.groups {
        let members = if e.members.is_empty() { "no members".to_owned() } else { e.members.join(", ") };
        line(out, &format!("%{}", e.name), &format!("{} ({members})", e.reason))?;
    }
    if let Some(why) = &who.nobody {
        writeln!(out, "{}  {}", paint.bad("nobody"), escape(why))?;
    }
    for why in &who.unknown {
        writeln!(out, "{}  {}", paint.change("not knowable"), escape(why))?;
    }
    if !who.domains.is_empty() {
        let more = who.domains.len().saturating_sub(domains);
        writeln!(out, "domains by the SELinux policy, which asks as well:")?;
        for e in who.domains.iter().take(domains) {
            writeln!(out, "  {:width$}{}", escape(&e.name), escape(&e.reason))?;
        }
        if more > 0 {
            writeln!(out, "  and {more} more: --all, or perms policy who-can")?;
        }
    }
    Ok(())
}
