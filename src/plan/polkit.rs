//! `[[command]]` with polkit × the rules file of the application.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accounts::finding;
use super::change::Change;
use super::grant_files::{Items, OwnFile, RULES_MODE, content_change, header, whole_header};
use super::item::{Fix, Item};
use crate::grants::polkit::{Rights, UnitJob, rules_file};
use crate::grants::sudoers::Files as _;
use crate::host::Host;
use crate::host::grants::HostFiles;
use crate::host::jobs::unit_link;
use crate::host::polkit::{RULES_D, Sort, own_path, sort};
use crate::manifest::{Args, CommandRule, Grantor, Manifest};
use crate::report::Class;
use crate::report::codes::polkit as codes;

/// The rules of a manifest that polkit grants.
fn commands(m: &Manifest) -> impl Iterator<Item = &CommandRule> {
    m.commands.iter().filter(|c| c.with == Grantor::Polkit)
}

/// What a command asks systemd for, if it is nothing else.
fn job(c: &CommandRule) -> Option<UnitJob> {
    let vector: Vec<&str> = c.run.value.iter().map(|w| w.value.as_str()).collect();
    UnitJob::of(&vector).ok().filter(|_| c.args == Args::Exact && c.runas.value == "root")
}

/// What is said of a command by sudo that polkit could grant by itself.
pub fn offer(c: &CommandRule) -> Option<String> {
    let job = job(c).filter(|_| c.with == Grantor::Sudo && c.digest.is_none())?;
    Some(format!(
        "polkit could grant this alone, without a program run as root: with = \"polkit\", then `systemctl {} {}`",
        job.typed(),
        job.unit
    ))
}

/// Compares what is declared with the rules files of the applications.
pub(super) fn compare(manifests: &[Manifest], host: &Host) -> (Vec<Item>, BTreeMap<PathBuf, Change>) {
    let mut items = Items::of("polkit");
    let mut contents = BTreeMap::new();
    for (app, m) in manifests.iter().enumerate() {
        let path = own_path(&m.app.name.value);
        let first = commands(m).next();
        if let Some(first) = first
            && let Some((is, should, remedy)) = unsupported(host)
        {
            let f = finding(m, &codes::UNSUPPORTED, Class::Missing, RULES_D, Some(&first.origin))
                .is(is, should)
                .remedy(remedy);
            items.attention(app, RULES_D, Some(&first.origin), f, Fix::Blocked);
            continue;
        }
        let mut rights = Vec::new();
        for c in commands(m) {
            let Some(job) = job(c) else { continue };
            // systemd tells polkit a unit's own name, whatever it was called by.
            if let Some(own) = unit_link(&host.root, &job.unit) {
                let place = path.display().to_string();
                let f = finding(m, &codes::WRONG_RULES, Class::Wrong, &place, Some(&c.run.origin))
                    .is(format!("{} is another name of {own}", job.unit), "the unit's own name")
                    .why("polkit is asked for the unit by its own name: the rule would never apply")
                    .remedy(format!("run = [\"systemctl\", \"{}\", \"{own}\"]", job.typed()));
                items.attention(app, place, Some(&c.run.origin), f, Fix::Blocked);
            }
            rights.push(Rights { user: m.app.user.name.value.clone(), job, free: c.nopasswd });
        }
        let text = rules_file(&whole_header(&m.app.name.value), &rights).into_bytes();
        let header = format!("// {}", header(&m.app.name.value));
        let own = OwnFile {
            path: &path,
            mode: RULES_MODE,
            header: &header,
            wanted: first.map(|c| (&c.origin, text)),
            what: "rules",
            by: "polkit",
            missing: &codes::MISSING_RULE,
            wrong: &codes::WRONG_RULES,
            left_over: &codes::LEFT_OVER,
            not_checkable: &codes::NOT_CHECKABLE,
        };
        let is = HostFiles::new(&host.root).read(&path);
        if let Some(text) = items.own_file(app, m, is, own) {
            contents.extend(content_change(host, path, text));
        }
    }
    (items.list, contents)
}

/// Why a host's polkit cannot be used: what is there, what should be, and what to do.
fn unsupported(host: &Host) -> Option<(&'static str, &'static str, &'static str)> {
    match sort(&host.root) {
        Some(Sort::Rules) if host.root.resolve(Path::new(RULES_D)).is_err_and(|e| e.is_not_found()) => {
            Some(("not there", "polkit's folder of rules", "install polkitd anew, or make the folder"))
        }
        Some(Sort::Rules) => None,
        Some(Sort::Pkla) => Some((
            "a polkit before 0.106, which knows .pkla files alone",
            "one whose rules compare the unit and the verb",
            "with = \"sudo\": by a .pkla the user could manage every unit, which is root",
        )),
        None => Some((
            "no polkit",
            "one whose rules compare the unit and the verb",
            "install polkitd, or with = \"sudo\"",
        )),
    }
}
