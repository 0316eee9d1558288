//! `[[command]]` with sudo × the sudoers tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accounts::finding;
use super::change::Change;
use super::grant_files::{Items, MODE, OwnFile, content_change, header, identity, whole_header};
use super::item::{Fix, Item, Sign};
use super::names::Names;
use super::polkit;
use crate::grants::programs;
use crate::grants::sudoers::edit::remove_entries;
use crate::grants::sudoers::fragment::{FragmentArgs, FragmentRule, fragment_for};
use crate::grants::sudoers::grants::user_word;
use crate::grants::sudoers::{
    FileText, Files as _, FilesError, Grant, Ignored, IgnoredReason, Problem, ProblemKind, Reading, ThisHost,
    Tree, rules_for,
};
use crate::host::Host;
use crate::host::grants::{DOAS_CONF, HostFiles, SUDOERS, SUDOERS_D};
use crate::host::polkit::{Sort, sort};
use crate::host::sudo::{Dialect, Sudo};
use crate::manifest::{Args, CommandRule, Grantor, Manifest};
use crate::report::codes::sudo as codes;
use crate::report::{Class, Finding, Origin};

/// Compares what is declared with the sudoers tree.
pub(super) fn compare(
    manifests: &[Manifest],
    host: &Host,
    names: &Names,
) -> (Vec<Item>, BTreeMap<PathBuf, Change>) {
    let files = HostFiles::new(&host.root);
    let declared = manifests.iter().any(|m| commands(m).next().is_some());
    // The program is read only where something is to be written for it.
    let sudo = if declared { Sudo::find(&host.root) } else { None };
    let dialect = sudo.map_or(Dialect::default(), |s| s.dialect);
    let mut c = Comparison {
        manifests,
        host,
        names,
        files,
        dialect,
        polkit: declared && sort(&host.root) == Some(Sort::Rules),
        new: BTreeMap::new(),
        items: Items::of("sudo"),
    };
    match c.files.read(Path::new(SUDOERS)) {
        Ok(_) => c.compare(),
        Err(FilesError::NotFound) if !declared => {}
        Err(e) => c.unreadable(&e),
    }
    let Comparison { items, new, host, .. } = c;
    (items.list, new.into_iter().filter_map(|(path, text)| content_change(host, path, text)).collect())
}

/// The reading of sudoers on a host: Debian and Fedora build sudo without AppArmor.
pub fn reading(host: &Host) -> Reading {
    Reading { host: ThisHost::named(&host.name).short.into_bytes(), apparmor: false }
}

/// The rules of a manifest that sudo grants.
fn commands(m: &Manifest) -> impl Iterator<Item = &CommandRule> {
    m.commands.iter().filter(|c| c.with == Grantor::Sudo)
}

struct Comparison<'a> {
    manifests: &'a [Manifest],
    host: &'a Host,
    names: &'a Names,
    files: HostFiles<'a>,
    /// The sudo that fragments are written for.
    dialect: Dialect,
    /// polkit could grant what is about one unit.
    polkit: bool,
    /// New contents; none for a file that goes.
    new: BTreeMap<PathBuf, Option<Vec<u8>>>,
    items: Items,
}

impl Comparison<'_> {
    fn unreadable(&mut self, e: &FilesError) {
        for (app, m) in self.manifests.iter().enumerate() {
            let first = commands(m).next();
            let origin = first.map_or(&m.app.origin, |c| &c.origin);
            let (f, fix) = match e {
                FilesError::NotFound if first.is_some() => (
                    finding(m, &codes::NOT_INCLUDED, Class::Missing, SUDOERS, Some(origin))
                        .is("not there", "there, with @includedir /etc/sudoers.d")
                        .remedy("install sudo"),
                    Fix::Blocked,
                ),
                FilesError::NotFound => continue,
                e => (
                    finding(m, &codes::NOT_CHECKABLE, Class::Unchecked, SUDOERS, Some(origin))
                        .is(
                            format!("not known: {e}"),
                            "no rule for the application's user but those declared",
                        )
                        .remedy("run as root"),
                    Fix::Blocked,
                ),
            };
            self.items.attention(app, SUDOERS.to_owned(), Some(origin), f, fix);
        }
    }

    fn put(&mut self, path: PathBuf, text: Option<Vec<u8>>) {
        self.files.instead(path.clone(), text.clone().map(FileText::trusted));
        self.new.insert(path, text);
    }

    fn tree(&self) -> Tree {
        Tree::read(&self.files, Path::new(SUDOERS), &reading(self.host))
    }

    fn compare(&mut self) {
        let before = self.tree();
        for (app, m) in self.manifests.iter().enumerate() {
            self.fragment(app, m);
        }
        let own: Vec<PathBuf> = self.manifests.iter().map(fragment_path).collect();
        self.undeclared(&before, &own);
        self.kept(&before);
        self.ignored(&before);
        let after = self.tree();
        for (app, m) in self.manifests.iter().enumerate() {
            if let Some(first) = commands(m).next()
                && !after.files.iter().any(|f| f.path == fragment_path(m))
            {
                let f = finding(m, &codes::NOT_INCLUDED, Class::Missing, SUDOERS, Some(&first.origin))
                    .is("no @includedir /etc/sudoers.d", "one, so that the fragment is read")
                    .remedy("add the line `@includedir /etc/sudoers.d` with visudo");
                self.items.attention(app, SUDOERS.to_owned(), Some(&first.origin), f, Fix::Blocked);
            }
        }
        self.broken(&after);
    }

    /// The application's own fragment.
    fn fragment(&mut self, app: usize, m: &Manifest) {
        let path = fragment_path(m);
        let first = commands(m).next().map(|c| &c.origin);
        let wanted = match first.map(|first| (first, text_of(m, self.dialect))) {
            None => None,
            Some((first, Ok(text))) => Some((first, text.into_bytes())),
            Some((_, Err((origin, why)))) => {
                let place = path.display().to_string();
                let f = finding(m, &codes::WRONG_FRAGMENT, Class::Wrong, &place, Some(&origin))
                    .is("cannot be written", "the declared commands")
                    .why(why)
                    .remedy("declare a command that sudoers can hold");
                return self.items.attention(app, place, Some(&origin), f, Fix::Blocked);
            }
        };
        let header = format!("# {}", header(&m.app.name.value));
        let own = OwnFile {
            path: &path,
            mode: MODE,
            header: &header,
            wanted,
            what: "a fragment",
            by: "sudo",
            missing: &codes::MISSING_RULE,
            wrong: &codes::WRONG_FRAGMENT,
            left_over: &codes::LEFT_OVER,
            not_checkable: &codes::NOT_CHECKABLE,
        };
        let Some(text) = self.items.own_file(app, m, self.files.read(&path), own) else { return };
        if text.is_some()
            && self.polkit
            && let Some(item) = self.items.list.last_mut()
        {
            item.details.extend(commands(m).filter_map(polkit::offer));
        }
        self.put(path, text);
    }

    /// Rules for the applications' users that stand elsewhere.
    fn undeclared(&mut self, before: &Tree, own: &[PathBuf]) {
        let here = ThisHost::named(&self.host.name);
        let others = |tree: &Tree, m: &Manifest| -> Vec<Grant> {
            let who = identity(m, self.host, self.names);
            rules_for(tree, &who, &here)
                .into_iter()
                .filter(|g| !g.negated && !own.contains(&g.path))
                .filter(|g| !m.rules.iter().any(|r| r.is(&g.path, &g.text)))
                .collect()
        };
        let found: Vec<(usize, Vec<Grant>)> =
            self.manifests.iter().enumerate().map(|(app, m)| (app, others(before, m))).collect();
        let mut texts: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
        let with = |texts: &BTreeMap<PathBuf, Vec<u8>>| {
            let mut files = HostFiles::new(&self.host.root);
            for (path, text) in texts {
                files.instead(path.clone(), Some(FileText::trusted(text.clone())));
            }
            Tree::read(&files, Path::new(SUDOERS), &reading(self.host))
        };
        // One application after the other, each on the tree that the one before left.
        for m in self.manifests {
            let tree = with(&texts);
            let certain: Vec<Grant> = others(&tree, m)
                .into_iter()
                .filter(|g| g.matched.doubt.is_none() && g.host.doubt.is_none())
                .collect();
            texts.extend(remove_entries(&tree, &certain).texts);
        }
        let after = with(&texts);
        for (app, grants) in found {
            let Some(m) = self.manifests.get(app) else { continue };
            let mut left: Vec<(PathBuf, String)> =
                others(&after, m).into_iter().map(|g| (g.path, g.command_text)).collect();
            for g in grants {
                let kept = left.iter().position(|l| *l == (g.path.clone(), g.command_text.clone()));
                if let Some(i) = kept {
                    left.swap_remove(i);
                }
                self.undeclared_rule(app, m, &g, kept.is_some());
            }
        }
        for (path, text) in texts {
            // A fragment that holds nothing any more goes; the main file never does.
            let empty = text.trim_ascii().is_empty() && path != Path::new(SUDOERS);
            self.put(path, (!empty).then_some(text));
        }
    }

    /// Kept rules that are not there (any more). Only who wrote them can put them back.
    fn kept(&mut self, before: &Tree) {
        let here = ThisHost::named(&self.host.name);
        for (app, m) in self.manifests.iter().enumerate() {
            let grants = rules_for(before, &identity(m, self.host, self.names), &here);
            let of_sudo = m.rules.iter().filter(|r| r.file.value != Path::new(DOAS_CONF));
            for rule in of_sudo.filter(|r| !grants.iter().any(|g| r.is(&g.path, &g.text))) {
                let place = rule.file.value.display().to_string();
                let f = finding(m, &codes::MISSING_RULE, Class::Missing, &place, Some(&rule.text.origin))
                    .is("not there", format!("the rule `{}`", rule.text.value))
                    .remedy(
                        "put it back by hand (visudo), take it out of the manifest, or declare a [[command]]",
                    );
                self.items.attention(app, place, Some(&rule.origin), f, Fix::ByHand);
            }
        }
    }

    fn undeclared_rule(&mut self, app: usize, m: &Manifest, g: &Grant, by_hand: bool) {
        let user = &m.app.user.name.value;
        let place = format!("{}:{}", g.path.display(), g.line);
        let commands: Vec<String> =
            g.commands.iter().map(|c| format!("{}{}", if c.negated { "!" } else { "" }, c.show())).collect();
        let runas = runas_words(g);
        let what = format!("{user} may run {} as {runas}", commands.join(", "));
        let through = g.matched.by.last().filter(|_| !g.matched.personal);
        let mut f = finding(m, &codes::UNDECLARED_RULE, Class::Excess, &place, Some(&m.app.user.origin)).is(
            match through {
                Some(w) => format!("{what} (by {w})"),
                None => what.clone(),
            },
            "no such rule: the manifest declares nothing of the kind",
        );
        if let Some(doubt) = g.matched.doubt.or(g.host.doubt) {
            f = Finding { class: Class::Unchecked, code: &codes::NOT_CHECKABLE, ..f };
            f.why = Some(format!("whether it applies is not certain: {doubt}"));
        } else if let Some((program, way)) =
            g.commands.iter().filter(|c| !c.negated).find_map(|c| c.way(&m.programs))
        {
            f.why = Some(match way.class {
                programs::Class::Read => format!("{} {}: as {runas}", program.name, way.how),
                _ => format!("{} {}: as {runas}, that is {runas} itself", program.name, way.how),
            });
        }
        let group = through
            .and_then(|w| w.strip_prefix('%'))
            .filter(|g| m.app.user.managed && !m.app.user.groups.iter().any(|d| d.value == **g));
        f.remedy = match (by_hand, group) {
            (false, _) => "perms apply removes it; or declare it with [[command]]".to_owned(),
            (true, Some(group)) => format!("perms apply takes {user} out of group {group}"),
            (true, None) if through.is_some() => {
                "others share the rule: change it by hand (visudo), or declare it with [[command]]".to_owned()
            }
            (true, None) => "take it out by hand (visudo), or declare it with [[command]]".to_owned(),
        };
        let subject = format!("{place} gives {user} `{}`", g.command_text.trim());
        if by_hand {
            self.items.attention(app, subject, None, f, Fix::ByHand);
        } else {
            let why = f.why.clone().into_iter().collect();
            self.items.content(app, Sign::Remove, subject, None, why, f);
        }
    }

    /// Files that sudo skips and that name one of the applications' users.
    fn ignored(&mut self, tree: &Tree) {
        for i in &tree.ignored {
            for (app, m) in self.manifests.iter().enumerate() {
                let user = &m.app.user.name.value;
                let named = i.users.iter().any(|u| user_word(u).trim_start_matches('!') == user.as_str());
                if !named {
                    continue;
                }
                let place = i.path.display().to_string();
                let f = finding(m, &codes::IGNORED_FRAGMENT, Class::Excess, &place, Some(&m.app.user.origin))
                    .is(format!("a file with rules for {user} that sudo skips: {}", i.reason), "not there")
                    .why("its rules would be in force as soon as somebody mends that");
                match self.without_user(i, m) {
                    Some(text) => {
                        let f = f.remedy("perms apply removes the rules; or declare them with [[command]]");
                        let details = vec![format!("rules for {user}, which sudo skips: {}", i.reason)];
                        self.items.content(app, Sign::Remove, place, None, details, f);
                        let empty = text.trim_ascii().is_empty();
                        self.put(i.path.clone(), (!empty).then_some(text));
                    }
                    None => {
                        let f = f.remedy("delete it; or declare what it grants with [[command]]");
                        self.items.attention(app, place, None, f, Fix::ByHand);
                    }
                }
            }
        }
    }

    /// The text of a file that sudo skips without the rules for an application's user; `None` if that cannot be had
    /// without touching others' rules.
    fn without_user(&self, i: &Ignored, m: &Manifest) -> Option<Vec<u8>> {
        if !matches!(i.reason, IgnoredReason::Dot | IgnoredReason::Tilde) {
            return None;
        }
        let text = match self.new.get(&i.path) {
            Some(text) => text.clone()?,
            None => i.text.as_ref()?.to_vec(),
        };
        let alone = Tree::read_text(&i.path, &text, &reading(self.host));
        let here = ThisHost::named(&self.host.name);
        let grants = rules_for(&alone, &identity(m, self.host, self.names), &here);
        let removal = remove_entries(&alone, &grants);
        if !removal.left.is_empty() {
            return None;
        }
        removal.texts.into_iter().next().map(|(_, text)| text)
    }

    /// Mistakes that would be in the tree when the plan is carried out.
    fn broken(&mut self, after: &Tree) {
        let bad = |p: &&Problem| !matches!(p.kind, ProblemKind::VisudoRefuses | ProblemKind::Untrusted);
        let Some(p) = after.problems.iter().find(bad) else { return };
        let writes = !self.new.is_empty();
        let place = format!("{}:{}:{}", p.path.display(), p.line, p.column);
        for (app, m) in self.manifests.iter().enumerate() {
            let concerned = commands(m).next().map(|c| c.origin.clone());
            if concerned.is_none() && !writes {
                continue;
            }
            let f = finding(m, &codes::BROKEN, Class::Wrong, &place, concerned.as_ref())
                .is(p.message.clone(), "a sudoers that parses")
                .why("sudo drops what it cannot read and goes on without it")
                .remedy("mend it with visudo; perms changes nothing in a tree that is broken");
            let fix = if writes { Fix::Blocked } else { Fix::ByHand };
            self.items.attention(app, place.clone(), concerned.as_ref(), f, fix);
        }
    }
}

fn runas_words(g: &Grant) -> String {
    let Some(runas) = &g.settings.runas else { return "root".to_owned() };
    let words: Vec<String> = runas.users.iter().map(user_word).collect();
    match words.join(", ").as_str() {
        "" => "itself, with other groups".to_owned(),
        "ALL" => "anybody".to_owned(),
        words => words.to_owned(),
    }
}

/// The path of an application's fragment. The name of an application holds no dot, so sudo reads it.
pub fn fragment_path(m: &Manifest) -> PathBuf {
    Path::new(SUDOERS_D).join(&m.app.name.value)
}

/// The text of an application's fragment.
fn text_of(m: &Manifest, dialect: Dialect) -> Result<String, (Origin, String)> {
    let rules: Vec<FragmentRule> = commands(m)
        .map(|c| FragmentRule {
            user: m.app.user.name.value.clone(),
            runas: c.runas.value.clone(),
            nopasswd: c.nopasswd,
            command: c.run.value.iter().map(|a| a.value.clone()).collect(),
            args: match c.args {
                Args::Exact => FragmentArgs::Exact,
                Args::Any => FragmentArgs::Any,
            },
            digest: c.digest.as_ref().map(|d| d.value.clone()),
        })
        .collect();
    fragment_for(dialect, &m.app.name.value, &whole_header(&m.app.name.value), &rules).map_err(|errors| {
        let first = errors.first();
        let origin =
            first.and_then(|e| commands(m).nth(e.rule?)).map_or(&m.app.origin, |c| &c.origin).clone();
        (origin, errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })
}
