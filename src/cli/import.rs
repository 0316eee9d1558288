//! `perms import`: the manifest for what a user or service has today.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Common;
use super::error::CliError;
use super::ui::Ui;
use crate::grants::acl::{Acl, Tag};
use crate::grants::doas;
use crate::grants::programs::Table;
use crate::grants::sudoers::{ThisHost, rules_for};
use crate::host::grants::DOAS_CONF;
use crate::host::{FileState, Host, Password, User};
use crate::manifest::load::programs_of;
use crate::plan::Plan;
use crate::report::{Diagnostic, Source, escape};
use crate::rights::lint_doas;
use crate::rights::lint_sudo;
use crate::rights::run::{doas_conf, sudoers};

/// Where ACL entries for the user are looked for.
const ROOTS: [&str; 4] = ["/etc", "/srv", "/opt", "/var"];

/// Write the manifest that describes what a user or service has today
///
/// Account, groups, rules of sudo and doas as they stand, and ACL entries below
/// /etc, /srv, /opt and /var (--under names other folders). What is risky is
/// marked with a comment. The plan of the manifest is empty: that is tried before
/// it is written, and what differs all the same is said.
///
/// Exit status: 0, or 4 where the plan of the manifest would not be empty.
///
/// Examples:
///   perms import deploy > /etc/perms.d/deploy.toml
///   perms import --unit shop.service
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ImportArgs {
    /// The account
    #[arg(required_unless_present = "unit")]
    user: Option<String>,
    /// The account that this unit runs as
    #[arg(long, value_name = "NAME", conflicts_with = "user")]
    unit: Option<String>,
    /// Look for ACL entries below this folder, instead of the usual ones
    #[arg(long, value_name = "DIR")]
    under: Vec<PathBuf>,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: &ImportArgs) -> Result<u8, CliError> {
    let mut host = Host::observe(super::load::root(common)?)?;
    let (user, app) = match (&args.user, &args.unit) {
        (Some(user), _) => (user.clone(), user.clone()),
        (None, Some(unit)) => (user_of_unit(&host, unit)?, unit.trim_end_matches(".service").to_owned()),
        (None, None) => return Err(CliError::new("a user or --unit is needed")),
    };
    host.accounts.look_elsewhere_for_user(&user);
    let Some(account) = host.accounts.user(&user).cloned() else {
        return Err(CliError::new(format!("there is no account `{user}`")));
    };
    if account.uid == 0 {
        return Err(CliError::new("root needs no manifest: it may do everything"));
    }
    let programs = programs_of(&super::load::folder(common)?)?;
    let under = if args.under.is_empty() { ROOTS.map(PathBuf::from).to_vec() } else { args.under.clone() };
    let text = write(&host, &account, &app, &programs, &under)
        .map_err(|e| CliError::new(format!("the manifest cannot be written: {e}")))?;
    let source = Source::new("import", text.clone());
    let (manifest, diagnostics) = crate::manifest::parse(&source);
    let Some(manifest) = manifest else {
        let why: Vec<String> = diagnostics.iter().map(|d| d.message.clone()).collect();
        return Err(CliError::new(format!("what is there cannot be declared: {}", why.join("; "))));
    };
    let risks: Vec<&Diagnostic> = diagnostics.iter().collect();
    for d in risks {
        writeln!(ui.out, "# risk: {} ({})", one_line(&d.message), d.code.id)?;
    }
    write!(ui.out, "{text}")?;
    let plan = Plan::make(vec![manifest], &mut host, &|_| ());
    let left: Vec<String> = plan
        .items
        .iter()
        .flat_map(|i| i.findings.iter().map(|f| format!("{}: {} ({})", i.subject, f.is, f.code.id)))
        .collect();
    for line in &left {
        writeln!(ui.err, "not as it is written: {}", escape(line))?;
    }
    Ok(if left.is_empty() { 0 } else { 4 })
}

/// The user in a unit's file or in what is dropped in beside it; the last that is said counts.
fn user_of_unit(host: &Host, unit: &str) -> Result<String, CliError> {
    let name = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
    if name.contains('/') {
        return Err(CliError::new(format!("`{unit}` is no name of a unit")));
    }
    let folders =
        ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let mut texts = Vec::new();
    let main = folders.iter().find_map(|f| host.root.read(&Path::new(f).join(&name), 1 << 20).ok());
    texts.push(main.ok_or_else(|| CliError::new(format!("there is no unit `{name}`")))?);
    for folder in folders.iter().rev() {
        let folder = Path::new(folder).join(format!("{name}.d"));
        let names = host.root.names(&folder).unwrap_or_default();
        let drop_ins = names.iter().filter(|n| Path::new(n).extension().is_some_and(|e| e == "conf"));
        texts.extend(drop_ins.filter_map(|n| host.root.read(&folder.join(n), 1 << 20).ok()));
    }
    let mut user = None;
    for text in texts {
        for line in String::from_utf8_lossy(&text).lines() {
            match line.split_once('=').map(|(k, v)| (k.trim(), v.trim())) {
                Some(("User", v)) => user = Some(v.to_owned()).filter(|v| !v.is_empty()),
                Some(("DynamicUser", "yes" | "true" | "1" | "on")) => {
                    return Err(CliError::new(format!(
                        "`{name}` has a user that exists only while it runs (DynamicUser)"
                    )));
                }
                _ => {}
            }
        }
    }
    let user = user.ok_or_else(|| CliError::new(format!("`{name}` names no User: it runs as root")))?;
    // A number stands for its account.
    let known = user.parse::<u32>().ok().and_then(|uid| host.accounts.users().iter().find(|u| u.uid == uid));
    Ok(known.map_or(user.clone(), |u| u.name.clone()))
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().map(|i| quoted(&i)).collect();
    format!("[{}]", items.join(", "))
}

/// What others wrote, in a comment of ours.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The name of an application, made of any name.
fn app_name(name: &str) -> String {
    let mut out: String = name
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .take(32)
        .collect();
    if !out.starts_with(|c: char| c.is_ascii_lowercase()) {
        out = format!("app-{out}").chars().take(32).collect();
    }
    out
}

fn write(
    host: &Host,
    account: &User,
    app: &str,
    programs: &Table,
    under: &[PathBuf],
) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let app = app_name(app);
    writeln!(out, "[app]\nname = {}", quoted(&app))?;
    let groups = host.accounts.supplementary(&account.name);
    let group = host.accounts.group_name(account.gid);
    if !std::iter::once(&account.name).chain([&group]).chain(&groups).all(|n| plain(n)) {
        writeln!(out, "# a name of it is none that perms would make: the account is left as it is")?;
        writeln!(out, "user = {}", quoted(&account.name))?;
        rules(&mut out, host, account, programs)?;
        paths(&mut out, host, account, under)?;
        return Ok(out);
    }
    writeln!(out, "\n[app.user]")?;
    if app != account.name {
        writeln!(out, "name = {}", quoted(&account.name))?;
    }
    writeln!(out, "uid = {}", account.uid)?;
    if group != account.name {
        writeln!(out, "group = {}", quoted(&group))?;
    }
    writeln!(out, "home = {}", quoted(&account.home))?;
    let nologin = account.shell.ends_with("/nologin") || account.shell.ends_with("/false");
    if !account.shell.is_empty() {
        writeln!(out, "shell = {}", quoted(&account.shell))?;
    }
    match host.accounts.password(&account.name) {
        Password::Locked if !nologin => writeln!(out, "login = \"locked\"")?,
        Password::Set => writeln!(out, "login = \"password\"")?,
        Password::Empty => writeln!(out, "# risk: the empty password opens this account")?,
        Password::Locked | Password::Unknown => {}
    }
    for g in groups.iter().filter(|g| ROOT_GROUPS.contains(&g.as_str())) {
        writeln!(out, "# risk: members of {} can become root", one_line(g))?;
    }
    writeln!(out, "groups = {}", list(groups))?;
    rules(&mut out, host, account, programs)?;
    paths(&mut out, host, account, under)?;
    Ok(out)
}

/// Whether an account or group of this name can be declared as one that is made.
fn plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && name.len() <= 32
}

/// Groups whose members are root in a step or two.
const ROOT_GROUPS: [&str; 11] =
    ["sudo", "wheel", "admin", "docker", "lxd", "incus-admin", "disk", "shadow", "kmem", "libvirt", "root"];

fn rules(out: &mut String, host: &Host, account: &User, programs: &Table) -> std::fmt::Result {
    let who = host.accounts.identity(&account.name);
    let here = ThisHost::named(&host.name);
    let tree = sudoers(host, &here.short);
    let lints = lint_sudo::sudoers(host, &tree, programs, None);
    let mut seen = BTreeSet::new();
    for g in rules_for(&tree, &who, &here).iter().filter(|g| !g.negated) {
        let text: Vec<&str> = g.text.split_whitespace().filter(|w| *w != "\\").collect();
        let text = text.join(" ");
        if !seen.insert((g.path.clone(), text.clone())) {
            continue;
        }
        writeln!(out, "\n[[rule]]")?;
        if let Some(by) = g.matched.by.last().filter(|_| !g.matched.personal) {
            writeln!(out, "# it is for {}, not for this account alone", one_line(by))?;
        }
        if g.commands.iter().any(|c| c.command.is_none() && !c.negated) {
            writeln!(out, "# risk: any command")?;
        }
        let of_entry =
            |d: &&Diagnostic| d.origin.path() == g.path && g.span.range().contains(&d.origin.start);
        let mut told = BTreeSet::new();
        for d in lints.iter().filter(of_entry) {
            if told.insert((d.code.id, d.message.clone())) {
                writeln!(out, "# risk: {} ({})", one_line(&d.message), d.code.id)?;
            }
        }
        writeln!(out, "file = {}\ntext = {}", quoted(&g.path.to_string_lossy()), quoted(&text))?;
    }
    let Some(Ok(file)) = doas_conf(host) else { return Ok(()) };
    let lints = lint_doas::doas(host, Path::new(DOAS_CONF), &file.text, programs);
    for (n, rule) in doas::rules_for(&file, &who, &host.accounts) {
        if rule.action != doas::Action::Permit {
            continue;
        }
        let text: Vec<String> =
            file.show(n).split_whitespace().filter(|w| *w != "\\").map(str::to_owned).collect();
        writeln!(out, "\n[[rule]]")?;
        let span = file.items.get(n).map(|i| i.span.clone()).unwrap_or_default();
        for d in lints.iter().filter(|d| span.contains(&d.origin.start)) {
            writeln!(out, "# risk: {} ({})", one_line(&d.message), d.code.id)?;
        }
        writeln!(out, "file = {}\ntext = {}", quoted(DOAS_CONF), quoted(&text.join(" ")))?;
    }
    Ok(())
}

/// Files and folders whose ACL names the user.
fn paths(out: &mut String, host: &Host, account: &User, under: &[PathBuf]) -> std::fmt::Result {
    let mut found = Vec::new();
    let mut failed = Vec::new();
    for start in under {
        let Ok(at) = host.root.resolve(start) else { continue };
        let device = at.meta.id.0;
        crate::sys::walk::walk(
            &at.path,
            at.handle,
            &mut |entry| {
                if let Ok(state) = FileState::read(&entry.handle, &entry.meta) {
                    let named = |acl: &Option<Acl>| {
                        acl.as_ref().is_some_and(|a| a.get(Tag::User(account.uid)).is_some())
                    };
                    if named(&state.acl) || named(&state.default_acl) {
                        found.push((entry.path.clone(), state));
                    }
                }
                entry.meta.id.0 == device
            },
            &mut |path, e| failed.push(format!("{}: {e}", path.display())),
        );
    }
    let entries = |acl: &Acl| {
        let named = acl.entries().iter().filter_map(|e| match e.tag {
            Tag::User(uid) => Some(format!("user:{}:{}", host.accounts.user_name(uid), e.perms)),
            Tag::Group(gid) => Some(format!("group:{}:{}", host.accounts.group_name(gid), e.perms)),
            _ => None,
        });
        list(named.collect::<Vec<_>>())
    };
    for (path, state) in found {
        let Some(text) = path.to_str() else {
            writeln!(
                out,
                "\n# not declared: {}, whose name is not UTF-8",
                one_line(&path.to_string_lossy())
            )?;
            continue;
        };
        // A declared entry is one in effect; what the mask takes away of it has no form in a manifest.
        let cut = |acl: &Acl| {
            let named = |e: &&crate::grants::acl::Entry| matches!(e.tag, Tag::User(_) | Tag::Group(_));
            acl.entries().iter().filter(named).find(|e| acl.effective(e.tag) != Some(e.perms)).copied()
        };
        let cut = [&state.acl, &state.default_acl].into_iter().flatten().find_map(cut);
        // An entry that gives nothing, and is not looked at: others' rights hold for whom it names.
        let idle = state
            .acl
            .as_ref()
            .filter(|acl| !acl.in_force() && acl.get(Tag::Other).is_some_and(|p| !p.is_empty()));
        let idle = idle.and_then(|acl| acl.named().next());
        if let Some(e) = cut.or(idle) {
            writeln!(out, "\n# not declared: the mask takes from {e} at {}", one_line(text))?;
            continue;
        }
        writeln!(out, "\n[[path]]\npath = {}\nrecursive = false", quoted(text))?;
        if let Some(acl) = &state.acl {
            writeln!(out, "acl = {}", entries(acl))?;
        }
        if let Some(acl) = &state.default_acl {
            writeln!(out, "default_acl = {}", entries(acl))?;
        }
    }
    for line in failed {
        writeln!(out, "\n# not looked at: {}", one_line(&line))?;
    }
    Ok(())
}
