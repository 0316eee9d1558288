//! Files that differ → lines of the plan and findings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::accounts::finding;
use super::change::Change;
use super::file::{Difference, Reason};
use super::item::{Fix, Item, Sign};
use super::names::Names;
use super::paths::{FileDiff, PathDiffs, PathTrouble, Trouble};
use crate::grants::acl::{Perms, Tag};
use crate::manifest::Manifest;
use crate::report::codes::{acl, label, path as path_codes};
use crate::report::{Class, Code, Finding, Origin};
use crate::sys::Kind;

/// Makes items of what the walk found: one for each rule, and one for each file that is left to a human.
pub(super) fn items(manifests: &[Manifest], diffs: PathDiffs, names: &Names) -> Vec<Item> {
    let mut items = Vec::new();
    for t in diffs.troubles {
        if let Some(m) = manifests.get(t.app) {
            items.push(trouble(m, t));
        }
    }
    let mut groups: BTreeMap<(usize, usize, PathBuf, bool), Vec<FileDiff>> = BTreeMap::new();
    for (_, d) in diffs.files {
        // Labels are declared by rules of their own, which may cross several paths.
        let labels_only =
            d.reasons.iter().all(|r| matches!(r.what, Difference::Label { .. })) && d.before.is_some();
        groups.entry((d.app, d.rule.start, d.top.clone(), labels_only)).or_default().push(d);
    }
    for ((app, _, top, _), files) in groups {
        let Some(m) = manifests.get(app) else { continue };
        let (linked, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|d| d.linked);
        items.extend(linked.iter().map(|d| linked_item(m, d)));
        if !files.is_empty() {
            items.push(rule_item(m, app, &top, files, names));
        }
    }
    items
}

fn rule_item(m: &Manifest, app: usize, top: &std::path::Path, files: Vec<FileDiff>, names: &Names) -> Item {
    let mut details = Vec::new();
    let mut below: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut changes = Vec::new();
    let mut areas = [false; 3];
    let origin = files
        .iter()
        .flat_map(|f| &f.reasons)
        .find_map(|r| r.origin.clone())
        .or_else(|| files.first().map(|f| f.rule.clone()));
    let new = files.iter().any(|f| f.path == top && f.before.is_none());
    for f in files {
        if f.before.is_none() {
            details.push(made(&f, names));
        }
        for r in &f.reasons {
            match r.what {
                Difference::Label { .. } => areas[2] = true,
                Difference::Owner { .. }
                | Difference::Group { .. }
                | Difference::Mode { .. }
                | Difference::OwnerRights { .. } => areas[0] = true,
                _ => areas[1] = true,
            }
            if f.before.is_some() {
                findings.push(file_finding(m, &f, r, names));
                let text = describe(&r.what, names);
                if f.path == top {
                    details.push(text);
                } else {
                    let n = below.entry(text).or_default();
                    if f.kind == Kind::Directory { n.1 += 1 } else { n.0 += 1 }
                }
            }
        }
        if f.before.is_none() {
            findings.push(missing_finding(m, &f));
        }
        changes.push(match f.before {
            Some(before) => Change::State { path: f.path, object: f.object, before, after: f.after },
            None => Change::Make { directory: f.kind == Kind::Directory, path: f.path, state: f.after },
        });
    }
    details.extend(below.into_iter().map(|(text, (files, folders))| {
        let count = |n: usize, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let what: Vec<String> = [count(files, "file", "files"), count(folders, "folder", "folders")]
            .into_iter()
            .flatten()
            .collect();
        format!("{} below: {text}", what.join(", "))
    }));
    Item {
        app,
        sign: if new { Sign::Add } else { Sign::Change },
        area: match areas {
            [false, true, false] => "acl",
            [false, false, true] => "label",
            _ => "path",
        },
        subject: top.display().to_string(),
        origin,
        details,
        findings,
        fix: Fix::Changes(changes),
    }
}

fn made(f: &FileDiff, names: &Names) -> String {
    format!(
        "{} {:04o} {}:{}{}",
        if f.kind == Kind::Directory { "folder" } else { "empty file" },
        f.after.mode,
        names.show_user(f.after.uid),
        names.show_group(f.after.gid),
        if f.after.acl.is_some() { ", with:" } else { "" }
    )
}

fn missing_finding(m: &Manifest, f: &FileDiff) -> Finding {
    let what = if f.kind == Kind::Directory { "a folder" } else { "a file" };
    finding(m, &path_codes::MISSING, Class::Missing, &f.path.display().to_string(), Some(&f.rule))
        .is("not there", what)
        .remedy("perms apply makes it")
}

fn linked_item(m: &Manifest, d: &FileDiff) -> Item {
    let device = matches!(d.kind, Kind::Block | Kind::Character);
    let what = if device { "a device" } else { "a file with another name, which may lie elsewhere" };
    let f =
        finding(m, &path_codes::HARD_LINK, Class::Unchecked, &d.path.display().to_string(), Some(&d.rule))
            .is(what, "a file of its own")
            .why("its rights differ from what is declared, and changing them here would change them there")
            .remedy("remove the other name (find -samefile), or declare this file by its own path");
    Item::attention(d.app, "path", f, Fix::ByHand)
}

fn trouble(m: &Manifest, t: PathTrouble) -> Item {
    let place = t.path.display().to_string();
    let f = |code: Code, class| finding(m, code, class, &place, Some(&t.origin));
    let (f, fix) = match t.trouble {
        Trouble::Missing(at) => {
            let is =
                if at == t.path { "not there".to_owned() } else { format!("{} is not there", at.display()) };
            let f = f(&path_codes::MISSING, Class::Missing)
                .is(is, "there")
                .remedy("install what brings it; or, if it is the application's own: create = true, with kind and mode");
            (f, Fix::Blocked)
        }
        Trouble::Kind { is } => {
            let f = f(&path_codes::WRONG_KIND, Class::Wrong)
                .is(kind_word(is), "as `kind` says")
                .remedy("see what it is; mend the path or the manifest");
            (f, Fix::Blocked)
        }
        Trouble::Untrusted(e) => {
            let f = f(&path_codes::UNTRUSTED_LINK, Class::Unchecked)
                .is(e.to_string(), "reached without such a link")
                .remedy("declare the path that it points to");
            (f, Fix::Blocked)
        }
        Trouble::Unreadable(what) => {
            let f = f(&path_codes::UNREADABLE, Class::Unchecked)
                .is(format!("not known: {what}"), "as declared")
                .remedy("run as root");
            (f, Fix::Blocked)
        }
        Trouble::UnreadableBelow(what) => {
            let f = f(&path_codes::UNREADABLE, Class::Unchecked)
                .is(format!("not known: {what}"), "as declared")
                .remedy("run as root; if that was root, see what lies there (findmnt -T, ls -la)");
            (f, Fix::ByHand)
        }
        Trouble::OwnedByReader { files } => {
            let user = &m.app.user.name.value;
            let more = match files {
                1 => String::new(),
                n => format!(", and {} more below", n - 1),
            };
            let f = f(&path_codes::OWNED_BY_READER, Class::Excess)
                .is(format!("of {user} itself{more}"), format!("of another: {user} may only read it"))
                .why("an owner changes the mode and the ACL whatever they say")
                .remedy("owner = \"root\" in the manifest, with recursive = true for all below; or access = \"write\"");
            (f, Fix::ByHand)
        }
        Trouble::Replaceable { folder } => {
            let user = &m.app.user.name.value;
            let f = f(&path_codes::REPLACEABLE, Class::Excess)
                .is(
                    format!("{user} may write {}", folder.display()),
                    format!("reached through folders that {user} cannot write"),
                )
                .why("who may write a folder may rename what lies in it, and put his own in its place")
                .remedy("take the right on that folder away, or move what must not change out of it");
            (f, Fix::ByHand)
        }
        Trouble::UnknownName { what, name } => {
            let code: Code = if what == "user" {
                &crate::report::codes::account::MISSING_USER
            } else {
                &crate::report::codes::account::MISSING_GROUP
            };
            let f = f(code, Class::Missing)
                .is(format!("no {what} `{name}`"), "there")
                .remedy(format!("make the {what} first, or mend the name"));
            (f, Fix::Blocked)
        }
    };
    Item::attention(t.app, "path", f, fix)
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Directory => "a folder",
        Kind::Link => "a symbolic link",
        Kind::Pipe => "a pipe",
        Kind::Socket => "a socket",
        Kind::Block | Kind::Character => "a device",
    }
}

/// An entry as in getfacl's text.
fn entry(default: bool, tag: Tag, perms: Perms, names: &Names) -> String {
    let prefix = if default { "default:" } else { "" };
    let (what, name) = match tag {
        Tag::User(uid) => ("user", names.show_user(uid)),
        Tag::Group(gid) => ("group", names.show_group(gid)),
        Tag::UserObj => ("user", String::new()),
        Tag::GroupObj => ("group", String::new()),
        Tag::Mask => ("mask", String::new()),
        Tag::Other => ("other", String::new()),
    };
    format!("{prefix}{what}:{name}:{perms}")
}

/// One difference as a line of the plan.
fn describe(d: &Difference, names: &Names) -> String {
    match d {
        Difference::Owner { is, should } => {
            format!("owner {} → {}", names.show_user(*is), names.show_user(*should))
        }
        Difference::Group { is, should } => {
            format!("group {} → {}", names.show_group(*is), names.show_group(*should))
        }
        Difference::Mode { is, should } => format!("mode {is:04o} → {should:04o}"),
        Difference::OwnerRights { is, should } => format!("owner's rights {is} → {}", *is | *should),
        Difference::MissingEntry { default, tag, should } => {
            format!("+ {}", entry(*default, *tag, *should, names))
        }
        Difference::Masked { default, tag, is, should } => {
            format!("mask widened: {} has only {is}", entry(*default, *tag, *should, names))
        }
        Difference::WrongEntry { default, tag, is, should }
        | Difference::WiderEntry { default, tag, is, should } => {
            format!("{} → {should}", entry(*default, *tag, *is, names))
        }
        Difference::UndeclaredEntry { default, tag, is } => {
            format!("- {} (undeclared)", entry(*default, *tag, *is, names))
        }
        Difference::NoSearch { uid } => {
            format!("+ {} (to pass through)", entry(false, Tag::User(*uid), Perms::X, names))
        }
        Difference::Label { is, should } => format!(
            "label {} → {}",
            is.as_deref().map_or_else(|| "none".to_owned(), |l| String::from_utf8_lossy(l).into_owned()),
            String::from_utf8_lossy(should)
        ),
    }
}

/// One difference of one file as a finding.
fn file_finding(m: &Manifest, file: &FileDiff, reason: &Reason, names: &Names) -> Finding {
    let origin: Option<&Origin> = reason.origin.as_ref();
    let place = file.path.display().to_string();
    let f = |code: Code, class| finding(m, code, class, &place, origin);
    let which = |default: &bool, tag: &Tag| {
        let who = match tag {
            Tag::User(uid) => format!("user {}", names.show_user(*uid)),
            Tag::Group(gid) => format!("group {}", names.show_group(*gid)),
            _ => "the owning group".to_owned(),
        };
        if *default { format!("default entry of {who}") } else { format!("entry of {who}") }
    };
    match &reason.what {
        Difference::Owner { is, should } => f(&path_codes::WRONG_OWNER, Class::Wrong)
            .is(format!("owner {}", names.show_user(*is)), format!("owner {}", names.show_user(*should)))
            .remedy("perms apply"),
        Difference::Group { is, should } => f(&path_codes::WRONG_OWNER, Class::Wrong)
            .is(format!("group {}", names.show_group(*is)), format!("group {}", names.show_group(*should)))
            .remedy("perms apply"),
        Difference::Mode { is, should } => {
            let class = if is & !should != 0 { Class::Excess } else { Class::Wrong };
            f(&path_codes::WRONG_MODE, class)
                .is(format!("mode {is:04o}"), format!("mode {should:04o}"))
                .remedy("perms apply")
        }
        Difference::OwnerRights { is, should } => f(&path_codes::NO_ACCESS, Class::Missing)
            .is(format!("the owner has {is}"), format!("at least {should}"))
            .remedy("perms apply"),
        Difference::MissingEntry { default, tag, should } => f(&acl::MISSING_ENTRY, Class::Missing)
            .is(format!("no {}", which(default, tag)), entry(*default, *tag, *should, names))
            .remedy("perms apply"),
        Difference::Masked { default, tag, is, should } => f(&acl::MASKED, Class::Wrong)
            .is(
                format!("{} effective {is}: the mask is {}", which(default, tag), mask_of(file, *default)),
                format!("{should}"),
            )
            .why("as after `chmod`, or a file made with a narrow mode")
            .remedy("perms apply"),
        Difference::WrongEntry { default, tag, is, should } => f(&acl::WRONG_ENTRY, Class::Wrong)
            .is(format!("{} {is}", which(default, tag)), format!("{should}"))
            .remedy("perms apply"),
        Difference::WiderEntry { default, tag, is, should } => f(&acl::WIDER_ENTRY, Class::Excess)
            .is(format!("{} {is}", which(default, tag)), format!("{should}"))
            .remedy("perms apply"),
        Difference::UndeclaredEntry { default, tag, is } => {
            finding(m, &acl::UNDECLARED_ENTRY, Class::Excess, &place, Some(&file.rule))
                .is(entry(*default, *tag, *is, names), "no such entry")
                .remedy("perms apply removes it; or declare it: acl = [\"…\"]")
        }
        Difference::NoSearch { uid } => f(&path_codes::NO_SEARCH, Class::Missing)
            .is(format!("{} cannot pass through", names.show_user(*uid)), "search permission (x)")
            .remedy("perms apply adds an entry for this user alone"),
        Difference::Label { is, should } => match is {
            Some(is) => f(&label::WRONG, Class::Wrong)
                .is(String::from_utf8_lossy(is), String::from_utf8_lossy(should))
                .remedy("perms apply"),
            None => f(&label::MISSING, Class::Missing)
                .is("no label", String::from_utf8_lossy(should))
                .remedy("perms apply"),
        },
    }
}

fn mask_of(file: &FileDiff, default: bool) -> Perms {
    let state = file.before.as_ref();
    let mask = if default {
        state.and_then(|s| s.default_acl.as_ref()).and_then(crate::grants::acl::Acl::mask)
    } else {
        state.map(crate::host::FileState::full_acl).and_then(|a| a.mask())
    };
    mask.unwrap_or(Perms::RWX)
}
