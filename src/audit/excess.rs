//! What declared users have beyond their manifests without any file being walked over: ways to root, jobs, keys, code of
//! their own that they can write. And of the whole host, where that is asked for: rules, and what rules run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::escalation::{Chain, Right, Way, World};
use crate::grants::sudoers::IgnoredReason;
use crate::host::Host;
use crate::host::code::code_of;
use crate::host::jobs::{By, Job};
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::report::codes::{excess, polkit, root};
use crate::report::{Class, Code, Finding, Origin};

use super::whole::HOST;

/// The largest authorized_keys that is read.
const LIMIT: u64 = 1 << 20;

/// What concerns the declared users.
pub(super) fn of_users(plan: &Plan, host: &Host, world: &World<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (app, way) in plan.ways_to_tell() {
        let Some(m) = plan.manifests.get(app) else { continue };
        let class = if way.is_declared() { Class::Risk } else { Class::Excess };
        let f = way_finding(class, &m.app.name.value, way);
        found.push(Finding { origin: Some(m.app.user.origin.clone()), ..f });
    }
    for m in &plan.manifests {
        let name = &m.app.user.name.value;
        let Some(user) = host.accounts.user(name) else { continue };
        let own: Vec<&Job> =
            world.facts().jobs.iter().filter(|j| j.user == *name || j.user == user.uid.to_string()).collect();
        found.extend(own.iter().filter_map(|j| job(&plan.manifests, m, j)));
        found.extend(own_code(m, host, &own));
        found.extend(keys(m, host, Path::new(&user.home)));
        found.extend(same_number(m, host));
        found.extend(members(&plan.manifests, m, host));
        found.extend(by_polkit(m, host, world));
    }
    let (_, unread) = world.polkit();
    if let (Some(m), Some(first)) = (plan.manifests.first(), unread.first()) {
        let f = of(m, &polkit::NOT_CHECKABLE, "rules of polkit");
        found.push(
            Finding { class: Class::Unchecked, ..f }
                .is(format!("not known: {first}"), "no rule for a declared user but those declared")
                .remedy("run as root"),
        );
    }
    found
}

fn way_finding(class: Class, app: &str, way: &Way) -> Finding {
    let first = way.steps.first().map_or("", |s| s.code.id);
    let mut f = Finding::new(&root::PATH, class, app, format!("user {}", way.user))
        .is(format!("can become root {}", way.count()), "no way to root")
        .remedy(format!("close one step (perms explain {first}); or accept root::path with the reason"));
    f.steps = way.steps.iter().map(crate::escalation::Step::show).collect();
    f
}

fn of(m: &Manifest, code: Code, place: impl Into<String>) -> Finding {
    let f = Finding::new(code, Class::Excess, &m.app.name.value, place);
    Finding { origin: Some(Origin::clone(&m.app.user.origin)), ..f }
}

/// A job that no manifest of its user names. A service named as an application or its user is the application itself.
fn job(manifests: &[Manifest], m: &Manifest, job: &Job) -> Option<Finding> {
    // Several applications may share an account.
    let own: Vec<&str> = manifests
        .iter()
        .filter(|other| other.app.user.name.value == m.app.user.name.value)
        .map(|other| other.app.name.value.as_str())
        .chain([m.app.user.name.value.as_str()])
        .collect();
    let units: Vec<&str> = manifests
        .iter()
        .filter(|other| other.app.user.name.value == m.app.user.name.value)
        .flat_map(|other| other.app.units.iter().map(|u| u.value.as_str()))
        .collect();
    let named = |n: &str| {
        let bare = n.trim_end_matches(".service").trim_end_matches(".timer");
        let declared = |u: &&str| u.trim_end_matches(".service").trim_end_matches(".timer") == bare;
        units.iter().any(declared)
            || own.iter().any(|own| {
                bare == *own
                    || bare.strip_prefix(own).is_some_and(|rest| rest.starts_with(['-', '@', '.', '_']))
            })
    };
    if job.by != By::Cron && named(&job.name) {
        return None;
    }
    let what = match job.by {
        By::Cron => "a cron job",
        By::Service => "a service",
        By::Timer => "a timer",
    };
    Some(
        of(m, &excess::JOB, job.place.clone())
            .is(
                format!("{what} that runs as {}: {}", job.user, job.command),
                "nothing that runs as it but the application",
            )
            .remedy(match job.by {
                By::Cron => "remove the line; or accept excess::job with the reason".to_owned(),
                _ => format!("systemctl disable --now {}; or accept excess::job with the reason", job.name),
            }),
    )
}

/// Code that the user runs by itself and can change.
fn own_code(m: &Manifest, host: &Host, jobs: &[&Job]) -> Vec<Finding> {
    let Some(who) = host.accounts.credentials(&m.app.user.name.value) else { return Vec::new() };
    let mut found: Vec<Finding> = Vec::new();
    for job in jobs {
        for program in &job.runs {
            for at in code_of(&host.root, program) {
                let Some(writer) = Chain::follow(&host.root, &at).and_then(|c| c.writer(&who)) else {
                    continue;
                };
                let place = writer.at.display().to_string();
                if found.iter().any(|f| f.place == place) {
                    continue;
                }
                let by = if job.name.is_empty() { &job.place } else { &job.name };
                found.push(
                    of(m, &excess::OWN_CODE, place)
                        .is(
                            format!("code that {by} runs as {}, who {} it", job.user, writer.how),
                            "another user's, and not writable by who runs it",
                        )
                        .why(format!("on the way to {}", at.display()))
                        .remedy(
                            "chown -R root, chmod -R g-w,o-w; or accept excess::own-code with the reason",
                        ),
                );
            }
        }
    }
    found
}

/// Rules of polkit that somebody else wrote for the user.
fn by_polkit(m: &Manifest, host: &Host, world: &World<'_>) -> Vec<Finding> {
    let who = host.accounts.identity(&m.app.user.name.value);
    let groups: Vec<&str> = who.groups.iter().map(|(g, _)| g.as_str()).collect();
    let mut found = Vec::new();
    for file in world.polkit().0 {
        for rule in file.rules.iter().filter(|r| r.grants) {
            let Some(named) = rule.names(&who.name, &groups) else { continue };
            let by = named.group.map_or_else(String::new, |g| format!(", as one of {g}"));
            let what: Vec<&str> = rule.actions().collect();
            let what = if what.is_empty() { "whatever is asked for".to_owned() } else { what.join(", ") };
            let f = of(m, &polkit::UNDECLARED_RULE, format!("{}:{}", file.path.display(), named.line));
            let f = f.is(
                format!("polkit may allow {} {what}{by}", who.name),
                "no such rule: the manifest declares nothing of the kind",
            );
            let f = f.remedy(
                "take it out by hand; or declare [[command]] with = \"polkit\"; or accept polkit::undeclared-rule with the reason",
            );
            found.push(if rule.is_root() { f.why("that is root") } else { f });
        }
    }
    found
}

/// Keys that open the account.
fn keys(m: &Manifest, host: &Host, home: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in [".ssh/authorized_keys", ".ssh/authorized_keys2"] {
        let path = home.join(file);
        let text = match host.root.read(&path, LIMIT) {
            Ok(text) => text,
            Err(e) if e.is_not_found() => continue,
            Err(e) => {
                let f = of(m, &excess::UNREAD, path.display().to_string());
                let f = Finding { class: Class::Unchecked, ..f };
                found.push(
                    f.is(format!("not known: {e}"), "no key that nobody declared").remedy("run as root"),
                );
                continue;
            }
        };
        for (n, line) in (1..).zip(String::from_utf8_lossy(&text).lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let whose = line.split_whitespace().last().filter(|w| w.len() < 64).unwrap_or("a key");
            found.push(
                of(m, &excess::SSH_KEY, format!("{}:{n}", path.display()))
                    .is(format!("a key that opens the account: {whose}"), "no key that nobody declared")
                    .why("a locked password does not stop ssh")
                    .remedy("remove the line; or accept excess::ssh-key with whose it is"),
            );
        }
    }
    found
}

/// Other accounts with the number of the application's: to the kernel they are it.
fn same_number(m: &Manifest, host: &Host) -> Vec<Finding> {
    let name = &m.app.user.name.value;
    let Some(uid) = host.accounts.user(name).map(|u| u.uid) else { return Vec::new() };
    let others = host.accounts.users().iter().filter(|u| u.uid == uid && u.name != *name);
    others
        .map(|other| {
            of(m, &excess::SHARED_UID, format!("user {}", other.name))
                .is(format!("uid {uid}, as {name} has"), "a number of its own")
                .why("the kernel knows numbers only: whoever enters the one account is the other")
                .remedy(format!(
                    "userdel {0}, or usermod -u UID {0}; or accept excess::shared-uid with the reason",
                    other.name
                ))
        })
        .collect()
}

/// Members of the application's own groups whom no manifest puts there, by list and by primary group.
fn members(manifests: &[Manifest], m: &Manifest, host: &Host) -> Vec<Finding> {
    let user = &m.app.user;
    let own = user.group.as_ref().is_none_or(|g| g.value == user.name.value);
    let groups = m.groups.iter().map(|g| &g.name).chain((user.managed && own).then_some(&user.name));
    let mut found: Vec<Finding> = Vec::new();
    for group in groups {
        let Some(gid) = host.accounts.group(&group.value).map(|g| g.gid) else { continue };
        let declared = |who: &str| {
            who == user.name.value
                || manifests
                    .iter()
                    .map(|o| &o.app.user)
                    .filter(|u| u.managed && u.name.value == who)
                    .any(|u| u.groups.iter().chain(&u.group).any(|g| g.value == group.value))
        };
        // Several lines may give one number several names.
        let listed = host.accounts.groups().iter().filter(|g| g.gid == gid).flat_map(|g| &g.members);
        let primary = host.accounts.users().iter().filter(|u| u.gid == gid).map(|u| &u.name);
        let all: BTreeMap<&String, bool> =
            listed.map(|name| (name, false)).chain(primary.map(|name| (name, true))).collect();
        for (who, primary) in all {
            let place = format!("group {}, member {who}", group.value);
            if declared(who) || found.iter().any(|f| f.place == place) {
                continue;
            }
            let (is, out) = match primary {
                true => ("it is the primary group", format!("usermod -g GROUP {who}")),
                false => ("a member", format!("gpasswd -d {who} {}", group.value)),
            };
            let f = of(m, &excess::MEMBER, place).is(is, "nobody whom no manifest names: the group is the application's own").remedy(format!(
                "{out}; or groups = [\"{}\", …] in the manifest of {who}; or accept excess::member with the reason",
                group.value
            ));
            found.push(Finding { origin: Some(group.origin.clone()), ..f });
        }
    }
    found
}

/// What concerns the whole host: ways of all other accounts, rules of nobody's manifest, and what rules run.
pub(super) fn of_host(manifests: &[Manifest], host: &Host, world: &World<'_>) -> HostExcess {
    let ways = world.of_all();
    let declared = |name: &str| manifests.iter().any(|m| m.app.user.name.value == name);
    let mut found: Vec<Finding> = ways
        .ways
        .iter()
        .filter(|w| !declared(&w.user))
        .map(|w| way_finding(Class::Excess, HOST, w))
        .collect();
    for user in host.accounts.users().iter().filter(|u| u.uid == 0 && u.name != "root") {
        let f = Finding::new(&root::PATH, Class::Excess, HOST, format!("user {}", user.name));
        found.push(
            f.is("uid 0: it is root", "one account with uid 0")
                .remedy("userdel, or give it a uid of its own"),
        );
    }
    for user in host.accounts.users().iter().filter(|u| u.uid != 0) {
        let administrator = ways.administrators.iter().any(|(name, _)| *name == user.name);
        if !declared(&user.name) && !administrator {
            found.extend(world.rights(&user.name).iter().map(|r| rule(host, &user.name, r)));
        }
    }
    found.extend(commands(host, world));
    for i in
        world.tree.ignored.iter().filter(|i| matches!(i.reason, IgnoredReason::Dot | IgnoredReason::Tilde))
    {
        // Packages leave a README here.
        if i.users.is_empty() {
            continue;
        }
        found.push(
            Finding::new(&excess::IGNORED_FRAGMENT, Class::Excess, HOST, i.path.display().to_string())
                .is(format!("rules that sudo skips: {}", i.reason), "not there, or in force")
                .why("visudo -c says nothing of it; they are in force as soon as somebody renames it")
                .remedy("rename it without the dot, or delete it"),
        );
    }
    for what in &world.facts().unread {
        found.push(
            Finding::new(&excess::UNREAD, Class::Unchecked, HOST, "jobs")
                .is(format!("not known: {what}"), "looked at")
                .remedy("run as root"),
        );
    }
    HostExcess { findings: found, administrators: ways.administrators }
}

/// What was found of a whole host.
#[derive(Debug)]
pub(super) struct HostExcess {
    pub(super) findings: Vec<Finding>,
    /// Accounts that may run everything as root, and by what.
    pub(super) administrators: Vec<(String, String)>,
}

fn rule(host: &Host, user: &str, right: &Right) -> Finding {
    let target = right.target.map_or_else(|| "anybody".to_owned(), |uid| host.accounts.user_name(uid));
    Finding::new(&excess::RULE, Class::Excess, HOST, right.place.clone().unwrap_or_default())
        .is(format!("{user} may run {} as {target}", shown(right)), "no rule that no manifest declares")
        .remedy("declare it: [[command]] in a manifest; or accept excess::rule here, or remove it (visudo)")
}

fn shown(right: &Right) -> String {
    let command = right.command.as_deref().unwrap_or("anything");
    match &right.arguments {
        crate::escalation::Arguments::Any => command.to_owned(),
        crate::escalation::Arguments::Exact(args) => {
            [&[command.to_owned()], args.as_slice()].concat().join(" ")
        }
    }
}

/// Commands of all rules that are not there, or that somebody could replace.
fn commands(host: &Host, world: &World<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for holder in host.accounts.users() {
        for right in world.rights(&holder.name) {
            let Some(command) = right.command.as_deref().filter(|c| c.starts_with('/')) else { continue };
            // A pattern or a folder names many.
            if command.contains(['*', '?', '[', '^']) || command.ends_with('/') {
                continue;
            }
            let place = right.place.clone().unwrap_or_else(|| {
                right
                    .origin
                    .as_ref()
                    .map_or_else(String::new, |o| format!("{}:{}", o.path().display(), o.line()))
            });
            let known =
                |f: &Finding, code: Code| f.code.id == code.id && f.place == place && f.is.contains(command);
            let Some(chain) = Chain::follow(&host.root, Path::new(command)) else { continue };
            if !chain.exists() && !found.iter().any(|f| known(f, &excess::MISSING_COMMAND)) {
                found.push(
                    Finding::new(&excess::MISSING_COMMAND, Class::Excess, HOST, place.clone())
                        .is(format!("a rule for {command}, which is not there"), "a rule for what is there")
                        .why("whoever can make it decides what is run")
                        .remedy("take the rule out (visudo), or install the program"),
                );
            }
            let target = right.target.unwrap_or(0);
            for part in code_of(&host.root, Path::new(command)) {
                let Some(chain) = Chain::follow(&host.root, &part).filter(|c| !c.is_closed()) else {
                    continue;
                };
                for user in host.accounts.users().iter().filter(|u| u.uid != 0 && u.uid != target) {
                    let Some(writer) = host.accounts.credentials(&user.name).and_then(|c| chain.writer(&c))
                    else {
                        continue;
                    };
                    let is =
                        format!("a rule for {command}: {} {} {}", user.name, writer.how, writer.at.display());
                    if found.iter().any(|f| f.place == place && f.is == is) {
                        continue;
                    }
                    found.push(
                        Finding::new(&excess::WEAK_COMMAND, Class::Excess, HOST, place.clone())
                            .is(is, "a program that only root and its target can change")
                            .remedy(format!("chown root and chmod go-w {}", writer.at.display())),
                    );
                }
            }
        }
    }
    found
}
