//! `[[command]]` with doas × doas.conf.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accounts::finding;
use super::change::Change;
use super::grant_files::{Items, content_change, diff, identity};
use super::item::{Fix, Item, Sign};
use super::names::Names;
use crate::grants::doas::{self, Action, BlockRule, File, Rule};
use crate::grants::sudoers::{Files as _, FilesError};
use crate::host::Host;
use crate::host::grants::{DOAS_CONF, HostFiles};
use crate::manifest::{Args, CommandRule, Grantor, Manifest};
use crate::report::Class;
use crate::report::codes::doas as codes;

/// Accounts as doas looks them up.
struct Lookup<'a>(&'a Names);

impl doas::Names for Lookup<'_> {
    fn uid(&self, name: &str) -> Option<u32> {
        self.0.uid(name)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.0.gid(name)
    }
}

fn commands(m: &Manifest) -> impl Iterator<Item = &CommandRule> {
    m.commands.iter().filter(|c| c.with == Grantor::Doas)
}

/// Compares what is declared with doas.conf.
pub(super) fn compare(
    manifests: &[Manifest],
    host: &Host,
    names: &Names,
) -> (Vec<Item>, BTreeMap<PathBuf, Change>) {
    let mut c = Comparison { items: Items::of("doas") };
    let declared = manifests.iter().any(|m| commands(m).next().is_some());
    let before = match HostFiles::new(&host.root).read(Path::new(DOAS_CONF)) {
        Ok(text) => text.bytes.to_vec(),
        Err(FilesError::NotFound) if declared => Vec::new(),
        Err(FilesError::NotFound) => return (Vec::new(), BTreeMap::new()),
        Err(e) => {
            for (app, m) in manifests.iter().enumerate() {
                let origin = commands(m).next().map_or(&m.app.origin, |c| &c.origin);
                let f = finding(m, &codes::NOT_CHECKABLE, Class::Unchecked, DOAS_CONF, Some(origin))
                    .is(format!("not known: {e}"), "no rule for the application's user but those declared")
                    .remedy("run as root");
                c.items.attention(app, DOAS_CONF.to_owned(), Some(origin), f, Fix::Blocked);
            }
            return (c.items.list, BTreeMap::new());
        }
    };
    let file = File::parse(DOAS_CONF, before.clone());
    if let Some(mistake) = file.mistakes.first() {
        for (app, m) in manifests.iter().enumerate() {
            let origin = commands(m).next().map(|c| c.origin.clone());
            let place = format!("{DOAS_CONF}:{}:{}", mistake.line, mistake.column);
            let f = finding(m, &codes::BROKEN, Class::Wrong, &place, origin.as_ref())
                .is(mistake.message.clone(), "a doas.conf that parses")
                .why("doas does nothing for anybody while the file holds a mistake")
                .remedy("mend it by hand");
            let fix = if origin.is_some() { Fix::Blocked } else { Fix::ByHand };
            c.items.attention(app, place, origin.as_ref(), f, fix);
        }
        return (c.items.list, BTreeMap::new());
    }
    let mut text = c.undeclared(manifests, host, names, before.clone());
    for (app, m) in manifests.iter().enumerate() {
        c.block(app, m, &mut text);
    }
    let mut contents = BTreeMap::new();
    if text != before {
        contents.extend(content_change(host, PathBuf::from(DOAS_CONF), Some(text)));
    }
    (c.items.list, contents)
}

struct Comparison {
    items: Items,
}

impl Comparison {
    /// Takes out rules that name an application's user and stand outside all blocks of perms.
    fn undeclared(&mut self, manifests: &[Manifest], host: &Host, names: &Names, text: Vec<u8>) -> Vec<u8> {
        let original = File::parse(DOAS_CONF, text.clone());
        let outside = |file: &File, m: &Manifest| -> Vec<(usize, Rule)> {
            let ours: Vec<usize> =
                manifests.iter().flat_map(|m| file.items_of(&m.app.name.value).unwrap_or_default()).collect();
            let who = identity(m, host, names);
            doas::rules_for(file, &who, &Lookup(names))
                .into_iter()
                .filter(|(n, r)| r.action == Action::Permit && !ours.contains(n))
                .filter(|(n, _)| !m.rules.iter().any(|k| k.is(&file.path, &file.show(*n))))
                .map(|(n, r)| (n, r.clone()))
                .collect()
        };
        for (app, m) in manifests.iter().enumerate() {
            for (n, rule) in outside(&original, m) {
                let group = rule.identity.strip_prefix(b":").map(|g| String::from_utf8_lossy(g).into_owned());
                self.undeclared_rule(app, m, &original.show(n), &rule, group.as_deref());
            }
        }
        for (app, m) in manifests.iter().enumerate() {
            let who = identity(m, host, names);
            let there = doas::rules_for(&original, &who, &Lookup(names));
            for rule in m.rules.iter().filter(|r| r.file.value == Path::new(DOAS_CONF)) {
                if there.iter().any(|(n, _)| rule.is(&original.path, &original.show(*n))) {
                    continue;
                }
                let f = finding(m, &codes::MISSING_RULE, Class::Missing, DOAS_CONF, Some(&rule.text.origin))
                    .is("not there", format!("the rule `{}`", rule.text.value))
                    .remedy("put it back by hand, take it out of the manifest, or declare a [[command]]");
                self.items.attention(app, DOAS_CONF.to_owned(), Some(&rule.origin), f, Fix::ByHand);
            }
        }
        let mut text = text;
        loop {
            let file = File::parse(DOAS_CONF, text.clone());
            let next = manifests
                .iter()
                .flat_map(|m| outside(&file, m))
                .find(|(_, r)| !r.identity.starts_with(b":"))
                .and_then(|(n, _)| file.without(n));
            match next {
                Some(shorter) if shorter.len() < text.len() => text = shorter,
                _ => return text,
            }
        }
    }

    fn undeclared_rule(&mut self, app: usize, m: &Manifest, shown: &str, rule: &Rule, group: Option<&str>) {
        let user = &m.app.user.name.value;
        let place = format!("{DOAS_CONF}:{}", rule.line);
        let word = |w: &Option<Vec<u8>>, any: &str| {
            w.as_deref().map_or_else(|| any.to_owned(), |w| String::from_utf8_lossy(w).into_owned())
        };
        let through = group.map_or_else(String::new, |g| format!(" (by group {g})"));
        let f = finding(m, &codes::UNDECLARED_RULE, Class::Excess, &place, Some(&m.app.user.origin))
            .is(
                format!(
                    "{user} may run {} as {}{through}",
                    word(&rule.command, "any command"),
                    word(&rule.target, "anybody")
                ),
                "no such rule: the manifest declares nothing of the kind",
            )
            .remedy(match group {
                None => "perms apply removes it; or declare it with [[command]] with = \"doas\"".to_owned(),
                Some(g) if m.app.user.managed && !m.app.user.groups.iter().any(|d| d.value == g) => {
                    format!("perms apply takes {user} out of group {g}")
                }
                Some(_) => "others share the rule: change it by hand".to_owned(),
            });
        let subject = format!("{place} `{shown}`");
        if group.is_some() {
            self.items.attention(app, subject, None, f, Fix::ByHand);
        } else {
            self.items.content(app, Sign::Remove, subject, None, Vec::new(), f);
        }
    }

    /// The application's own block.
    fn block(&mut self, app: usize, m: &Manifest, text: &mut Vec<u8>) {
        let name = &m.app.name.value;
        let place = format!("{DOAS_CONF}, block of {name}");
        let first = commands(m).next().map(|c| c.origin.clone());
        let is = match doas::find_block(text, name) {
            Ok(range) => range.map(|r| text.get(r).unwrap_or_default().to_vec()),
            Err(e) => {
                let f = finding(m, &codes::BROKEN, Class::Wrong, &place, first.as_ref())
                    .is(e.to_string(), "two marker lines")
                    .remedy("put the marker lines right by hand");
                return self.items.attention(app, place, first.as_ref(), f, Fix::Blocked);
            }
        };
        let Some(first) = first else {
            if let Some(is) = is {
                let f = finding(m, &codes::LEFT_OVER, Class::Excess, &place, Some(&m.app.origin))
                    .is("there", "not there: the manifest declares no command for doas")
                    .remedy("perms apply removes it");
                self.items.content(app, Sign::Remove, place, Some(&m.app.origin), diff(&is, b""), f);
                if let Ok(new) = doas::remove_block(text, name) {
                    *text = new;
                }
            }
            return;
        };
        let rules: Vec<BlockRule> = commands(m)
            .map(|c| BlockRule {
                user: m.app.user.name.value.clone(),
                runas: c.runas.value.clone(),
                nopass: c.nopasswd,
                command: c.run.value.iter().map(|a| a.value.clone()).collect(),
                any_args: c.args == Args::Any,
            })
            .collect();
        let block = match doas::block(name, &rules) {
            Ok(block) => block,
            Err(errors) => {
                let why: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let f = finding(m, &codes::WRONG_BLOCK, Class::Wrong, &place, Some(&first))
                    .is("cannot be written", "the declared commands")
                    .why(why.join("; "))
                    .remedy("declare a command that doas.conf can hold");
                return self.items.attention(app, place, Some(&first), f, Fix::Blocked);
            }
        };
        if is.as_deref() == Some(block.as_bytes()) {
            return;
        }
        let details = diff(is.as_deref().unwrap_or_default(), block.as_bytes());
        let (code, class, sign): (crate::report::Code, _, _) = match &is {
            None => (&codes::MISSING_RULE, Class::Missing, Sign::Add),
            Some(_) if details.iter().any(|l| l.starts_with("- ")) => {
                (&codes::WRONG_BLOCK, Class::Excess, Sign::Change)
            }
            Some(_) => (&codes::WRONG_BLOCK, Class::Wrong, Sign::Change),
        };
        let f = finding(m, code, class, &place, Some(&first))
            .is(if is.is_none() { "not there" } else { "changed" }, "exactly the declared commands")
            .remedy("perms apply writes it");
        self.items.content(app, sign, place, Some(&first), details, f);
        if let Ok(new) = doas::replace_block(text, name, &block) {
            *text = new;
        }
    }
}
