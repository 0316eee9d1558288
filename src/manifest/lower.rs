//! From the spanned tree to a [`Manifest`]: the application, its account and its groups. The other tables are in
//! `lower_path`, `lower_command` and `lower_selinux`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::keys;
use super::model::{Acceptance, App, GroupRule, KeptRule, Login, Manifest, UserRule};
use super::text;
use super::tree::{Reader, Sink};
use super::{lower_command, lower_path, lower_selinux};
use crate::grants::programs::Table;
use crate::report::codes::{self, manifest as code};
use crate::report::nearest;
use crate::report::{Diagnostic, Origin, Spanned};

/// Reads the whole manifest. What is returned is valid only if the sink holds no error afterwards.
pub(super) fn manifest(sink: &mut Sink, root: &DeTable<'_>, programs: &Arc<Table>) -> Option<Manifest> {
    let root = Reader::new(root, &keys::ROOT, 0..0);
    let app = root.table("app", &keys::APP).and_then(|t| app(sink, &t));
    let groups = groups(sink, &root);
    let user = app.as_ref().map(|a| a.user.name.value.as_str());
    let paths = lower_path::paths(sink, &root, user);
    let commands = lower_command::commands(sink, &root);
    let rules = root.tables("rule", &keys::RULE).iter().filter_map(|t| kept_rule(sink, t)).collect();
    let selinux = root.table("selinux", &keys::SELINUX).map(|t| lower_selinux::selinux(sink, &t));
    Some(Manifest {
        source: sink.source.clone(),
        app: app?,
        groups,
        paths,
        commands,
        rules,
        selinux,
        programs: Arc::clone(programs),
    })
}

fn kept_rule(sink: &mut Sink, table: &Reader<'_>) -> Option<KeptRule> {
    let file = table.text("file").and_then(|(t, span)| sink.value(span, text::path(t)));
    let text =
        table.text("text").and_then(|(t, span)| sink.value(span, text::no_control(t).map(|()| t.to_owned())));
    Some(KeptRule { origin: sink.origin(table.span.clone()), file: file?, text: text? })
}

fn app(sink: &mut Sink, table: &Reader<'_>) -> Option<App> {
    let name = table.text("name").and_then(|(t, span)| sink.value(span, text::app_name(t)));
    let user = user(sink, table, name.as_ref());
    let texts = |key| table.texts(key).map_or_else(Vec::new, |(all, _)| all);
    let units: Vec<_> =
        texts("units").into_iter().filter_map(|(t, span)| sink.value(span, text::unit(t))).collect();
    let executables: Vec<_> =
        texts("executables").into_iter().filter_map(|(t, span)| sink.value(span, text::path(t))).collect();
    let accept = acceptances(sink, table);
    Some(App {
        origin: sink.origin(table.span.clone()),
        name: name?,
        user: user?,
        units,
        executables,
        accept,
    })
}

fn user(sink: &mut Sink, app: &Reader<'_>, app_name: Option<&Spanned<String>>) -> Option<UserRule> {
    let Some(value) = app.value("user") else {
        let name = app_name?.clone();
        refuse_root(sink, &name);
        return Some(unmanaged(name));
    };
    if let DeValue::String(found) = value.get_ref() {
        let name = sink.value(value.span(), text::name(found))?;
        refuse_root(sink, &name);
        return Some(unmanaged(name));
    }
    let table = app.table("user", &keys::USER_TABLE)?;
    let name = match table.text("name") {
        Some((t, span)) => sink.value(span, text::new_name(t)),
        None => app_name.cloned(),
    };
    if let Some(name) = &name {
        refuse_root(sink, name);
    }
    let uid = id(sink, &table, "uid");
    let group = table.text("group").and_then(|(t, span)| sink.value(span, text::name(t)));
    let home = table.text("home").and_then(|(t, span)| sink.value(span, text::path(t)));
    let shell = table.text("shell").and_then(|(t, span)| sink.value(span, text::path(t)));
    let login = table.text("login").and_then(|(t, span)| {
        let login = match t {
            "locked" => Login::Locked,
            "none" => Login::None,
            "password" => Login::Password,
            _ => return None,
        };
        Some(Spanned::new(login, sink.origin(span)))
    });
    if let (Some(login), Some(shell)) = (&login, &shell) {
        check_shell(sink, login, &shell.value, &shell.origin);
    }
    let (groups, groups_origin) = match table.texts("groups") {
        Some((names, span)) => (names, sink.origin(span)),
        None => (Vec::new(), sink.origin(table.span.clone())),
    };
    let groups: Vec<_> = groups.into_iter().filter_map(|(t, span)| sink.value(span, text::name(t))).collect();
    refuse_twice(sink, &groups, "the group", &code::DUPLICATE_GROUP);
    let system = table.flag("system").is_some_and(|(b, _)| b);
    let origin = sink.origin(table.span.clone());
    Some(UserRule {
        origin,
        name: name?,
        managed: true,
        uid,
        group,
        home,
        shell,
        login,
        groups,
        groups_origin,
        system,
    })
}

/// An account that is there already.
fn unmanaged(name: Spanned<String>) -> UserRule {
    UserRule {
        origin: name.origin.clone(),
        groups_origin: name.origin.clone(),
        name,
        managed: false,
        uid: None,
        group: None,
        home: None,
        shell: None,
        login: None,
        groups: Vec::new(),
        system: false,
    }
}

fn refuse_root(sink: &mut Sink, name: &Spanned<String>) {
    if name.value == "root" {
        let message = "an application does not run as root";
        sink.push(
            Diagnostic::new(&code::ROOT_USER, message, name.origin.clone(), "root may do everything already")
                .note("help", "give it an account of its own, and declare what it needs"),
        );
    }
}

fn check_shell(sink: &mut Sink, login: &Spanned<Login>, shell: &Path, origin: &Origin) {
    let closed = shell.file_name().is_some_and(|n| n == "nologin" || n == "false");
    if login.value == Login::None && !closed {
        let message = "`login = \"none\"` gives the account a shell that lets nobody in";
        sink.push(
            Diagnostic::new(&code::LOGIN_AND_SHELL, message, origin.clone(), "and this is another shell")
                .note(
                    "help",
                    "leave `shell` out, or write `login = \"locked\"`: no password, but this shell",
                ),
        );
    }
}

fn id(sink: &mut Sink, table: &Reader<'_>, key: &str) -> Option<Spanned<u32>> {
    let value = table.value(key)?;
    match value.get_ref() {
        DeValue::Integer(n) => sink.value(value.span(), text::id(n)),
        _ => None,
    }
}

fn groups(sink: &mut Sink, root: &Reader<'_>) -> Vec<GroupRule> {
    let mut rules = Vec::new();
    for table in root.tables("group", &keys::GROUP_TABLE) {
        let name = table.text("name").and_then(|(t, span)| sink.value(span, text::new_name(t)));
        let gid = id(sink, &table, "gid");
        let system = table.flag("system").is_some_and(|(b, _)| b);
        let Some(name) = name else { continue };
        rules.push(GroupRule { origin: sink.origin(table.span.clone()), name, gid, system });
    }
    let names: Vec<_> = rules.iter().map(|r| r.name.clone()).collect();
    refuse_twice(sink, &names, "the group", &code::DUPLICATE_GROUP);
    rules
}

/// Reports each name that was there before.
pub(super) fn refuse_twice(sink: &mut Sink, names: &[Spanned<String>], what: &str, code: codes::Code) {
    let mut seen: HashMap<&str, &Origin> = HashMap::new();
    for name in names {
        match seen.get(name.value.as_str()) {
            Some(first) => {
                let message = format!("{what} `{}` is named twice", name.value);
                let d = Diagnostic::new(code, message, name.origin.clone(), "named again");
                let line = sink.line(first);
                sink.push(d.note("first", line));
            }
            None => {
                seen.insert(&name.value, &name.origin);
            }
        }
    }
}

/// `accept` of a table.
pub(super) fn acceptances(sink: &mut Sink, table: &Reader<'_>) -> Vec<Acceptance> {
    let mut accepted = Vec::new();
    for (id, span, value) in table.entries("accept") {
        let origin = sink.origin(span);
        let Some(code) = codes::find(id) else {
            let near =
                nearest(id, codes::all().filter(|c| acceptable(c)).map(|c| c.id)).or_else(|| same_name(id));
            let label = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "no finding has this code".to_owned(),
            };
            let message = format!("unknown finding code `{id}`");
            sink.push(Diagnostic::new(&code::UNKNOWN_CODE, message, origin, label));
            continue;
        };
        if !acceptable(code) {
            let message = format!("`{id}` cannot be accepted");
            sink.push(
                Diagnostic::new(&code::UNACCEPTABLE_CODE, message, origin, "a mistake, not a risk")
                    .note("help", "put right what it is about"),
            );
            continue;
        }
        let Some(reason) = value.get_ref().as_str() else { continue };
        if reason.trim().is_empty() {
            let message = format!("`{id}` is accepted without a reason");
            sink.push(
                Diagnostic::new(&code::EMPTY_REASON, message, sink.origin(value.span()), "say why")
                    .note("why", "whoever reads this in a year must be able to tell whether it still holds"),
            );
            continue;
        }
        accepted.push(Acceptance { code, reason: reason.to_owned(), origin });
    }
    accepted
}

/// Whether a manifest may accept the code: mistakes in manifests it may not.
fn acceptable(code: codes::Code) -> bool {
    !code.id.starts_with("manifest::")
}

/// The code of another area with the same name, where the area was left out or mistaken.
fn same_name(id: &str) -> Option<&'static str> {
    let name = id.rsplit("::").next()?;
    codes::all().filter(|c| acceptable(c)).map(|c| c.id).find(|c| c.rsplit("::").next() == Some(name))
}
