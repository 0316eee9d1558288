//! `[[selinux.label]]` × the labels on files, merged with what `[[path]]` found about the same files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};

use super::accounts::finding;
use super::item::{Fix, Item, Sign};
use super::label_rules::{Asker, Decides, Rule, Rules};
use super::look::Top;
use super::paths::{PathDiffs, PathTrouble, Trouble};
use crate::host::Host;
use crate::host::selinux::{Selinux, Store};
use crate::manifest::Manifest;
use crate::report::Class;
use crate::report::codes::label as codes;
use crate::selinux::contexts::Spec;
use crate::sys::HIDDEN;

/// Where the walk for labels begins: the folders that the patterns begin with, without links, sorted and none in another,
/// each with a rule; and their handles.
pub(super) fn tops<'a, 'm>(
    rules: Option<&'a Rules<'m>>,
    host: &Host,
    troubles: &mut Vec<PathTrouble>,
) -> (Vec<(PathBuf, &'a Rule<'m>)>, Vec<Top>) {
    let mut by_stem: BTreeMap<&Path, &Rule<'m>> = BTreeMap::new();
    for rule in rules.iter().flat_map(|r| &r.all) {
        by_stem.entry(&rule.stem).or_insert(rule);
    }
    let mut stems: BTreeMap<PathBuf, &Rule<'m>> = BTreeMap::new();
    let mut tops = Vec::new();
    for (stem, rule) in by_stem {
        let mut trouble = |what: String| {
            troubles.push(PathTrouble {
                app: rule.app,
                origin: rule.rule.paths.origin.clone(),
                path: stem.to_owned(),
                trouble: Trouble::Unreadable(what),
            });
        };
        if stem == Path::new("/") {
            let what =
                "the pattern does not begin with a folder, the whole file system would have to be read";
            trouble(what.to_owned());
            continue;
        }
        match host.root.resolve(stem) {
            Ok(r) => {
                stems.entry(r.path.clone()).or_insert(rule);
                tops.push(Top { path: r.path, handle: r.handle, deep: true });
            }
            // A pattern may well speak of what is not there yet.
            Err(e) if e.is_not_found() => {}
            Err(e) => trouble(e.to_string()),
        }
    }
    let mut whole: Vec<(PathBuf, &Rule<'m>)> = Vec::new();
    for (stem, rule) in stems {
        if !whole.last().is_some_and(|(last, _)| stem.starts_with(last)) {
            whole.push((stem, rule));
        }
    }
    (whole, tops)
}

/// What is declared of labels and decided by something else: a path by which SELinux does not look files up, a
/// specification that comes first.
pub(super) fn items(
    rules: &Rules<'_>,
    others: &Others<'_, '_>,
    manifests: &[Manifest],
    host: &Host,
    selinux: &Selinux,
) -> Vec<Item> {
    let own = rules.all.iter().filter(|c| !c.of_module);
    let mut items: Vec<Item> = own.filter_map(|c| aliased(c, manifests, host, selinux)).collect();
    items.extend(others.items(manifests, selinux));
    items
}

/// Files of which a declared rule speaks, and something else decides: one for each rule and what decides in its place.
#[derive(Default)]
pub(super) struct Others<'r, 'm> {
    found: Vec<Outranked<'r, 'm>>,
}

/// One of them.
struct Outranked<'r, 'm> {
    rule: &'r Rule<'m>,
    /// What decides.
    spec: Option<&'r Spec>,
    why: Why,
    /// The first of the files.
    path: PathBuf,
    count: usize,
}

/// Why the rule is not what is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// A specification decides before it.
    Outranked,
    /// A specification could decide, and is not understood.
    Unknown,
    /// The label that the file has is not told.
    Hidden,
}

impl<'r, 'm> Others<'r, 'm> {
    /// A file of which the rule decides, and whose label the kernel does not tell.
    pub(super) fn add_hidden(&mut self, rule: &'r Rule<'m>, path: &Path) {
        self.put(Outranked { rule, spec: None, why: Why::Hidden, path: path.to_owned(), count: 1 });
    }

    pub(super) fn add(&mut self, decides: Decides<'r, 'm>, path: &Path) {
        let (rule, spec, why) = match decides {
            Decides::Declared(_) => return,
            Decides::Other(rule, spec) => (rule, Some(spec), Why::Outranked),
            Decides::Unknown(rule, spec) => (rule, spec, Why::Unknown),
        };
        self.put(Outranked { rule, spec, why, path: path.to_owned(), count: 1 });
    }

    /// Those that another thread saw too.
    pub(super) fn merge(&mut self, more: Others<'r, 'm>) {
        more.found.into_iter().for_each(|o| self.put(o));
    }

    fn put(&mut self, new: Outranked<'r, 'm>) {
        let same = |o: &&mut Outranked<'_, '_>| {
            std::ptr::eq(o.rule, new.rule) && o.spec == new.spec && o.why == new.why
        };
        match self.found.iter_mut().find(same) {
            Some(found) => {
                found.count += new.count;
                if new.path < found.path {
                    found.path = new.path;
                }
            }
            None => self.found.push(new),
        }
    }

    fn items(&self, manifests: &[Manifest], selinux: &Selinux) -> Vec<Item> {
        let mut items = Vec::new();
        let mut found: Vec<&Outranked<'_, '_>> = self.found.iter().collect();
        found.sort_by_key(|o| &o.path);
        for Outranked { rule, spec, why, path, count } in found {
            // A local one that nobody declared is told of with the store.
            let local = spec.is_some_and(|s| s.input == LOCAL) && selinux.store == Store::Ready;
            let Some(m) = manifests.get(rule.app).filter(|_| !local || *why != Why::Outranked) else {
                continue;
            };
            let place = path.display().to_string();
            let origin = &rule.rule.paths.origin;
            let by = spec.map_or_else(|| "the specifications".to_owned(), |s| format!("{}: `{s}`", s.place));
            let more = if *count > 1 { format!(" (and of {} more files)", count - 1) } else { String::new() };
            let rules = match &selinux.library {
                Some((rules, library)) => format!("by the rules of {rules}, found in {}", library.display()),
                None => format!("by the rules of {}: no libselinux was found here", selinux.precedence()),
            };
            let new = |code, class| finding(m, code, class, &place, Some(origin));
            let f = match why {
                Why::Hidden => new(&codes::UNCHECKED, Class::Unchecked)
                    .is(format!("not known{more}: {HIDDEN}"), rule.setype.clone())
                    .remedy("run perms where SELinux is off or permissive"),
                Why::Unknown => new(&codes::UNCHECKED, Class::Unchecked)
                    .is(
                        format!("not known{more}: {by} could decide, and is not understood here"),
                        rule.setype.clone(),
                    )
                    .remedy(
                        "perms label tells what is not understood; write that specification in another way",
                    ),
                Why::Outranked => {
                    let is = spec.and_then(|s| s.context.as_deref()).unwrap_or("<<none>>");
                    new(&codes::OUTRANKED, Class::Wrong)
                        .is(
                            format!("{is} by the policy{more}: {by} decides before the declared one"),
                            rule.setype.clone(),
                        )
                        .why(if rule.of_module {
                            format!("it stands in a module, so among the policy's own; {rules}")
                        } else {
                            format!("one without metacharacters comes before all that have some, {rules}")
                        })
                        .remedy(format!(
                            "declare it by itself too: paths = \"{}\"",
                            spec.map_or("", |s| &s.pattern)
                        ))
                }
            };
            items.push(Item::attention(rule.app, "label", f, Fix::ByHand));
        }
        items
    }
}

/// The rank of file_contexts.local.
const LOCAL: u8 = 2;

/// A rule on a path by which SELinux does not look its files up: restorecon resolves links and puts the policy's
/// equivalences in, so that the specification would never decide, or semanage would not take it.
fn aliased(c: &Rule<'_>, manifests: &[Manifest], host: &Host, selinux: &Selinux) -> Option<Item> {
    let m = manifests.get(c.app)?;
    let looked_up = looked_up_elsewhere(&c.stem, host, selinux)?;
    let pattern = &c.rule.paths.value;
    let written = c.stem.to_str().filter(|s| *s != "/").and_then(|s| pattern.strip_prefix(s));
    let remedy = match (written, looked_up.to_str()) {
        (Some(rest), Some(path)) => format!("declare `{}{rest}`", regex::escape(path)),
        _ => format!("declare it below {}", looked_up.display()),
    };
    let origin = &c.rule.paths.origin;
    let f = finding(m, &codes::ALIASED, Class::Wrong, pattern, Some(origin))
        .is(
            format!("{} is looked up as {}", c.stem.display(), looked_up.display()),
            "the path that SELinux looks up",
        )
        .why("links are resolved and the policy's equivalences put in first")
        .remedy(remedy);
    Some(Item {
        app: c.app,
        sign: Sign::Attention,
        area: "label",
        subject: pattern.clone(),
        origin: Some(origin.clone()),
        details: vec![f.is.clone(), f.remedy.clone()],
        findings: vec![f],
        fix: Fix::Blocked,
    })
}

/// The path that SELinux looks up instead of a declared stem; none if it is the same.
pub(super) fn looked_up_elsewhere(stem: &Path, host: &Host, selinux: &Selinux) -> Option<PathBuf> {
    // What is there of the way counts: the rest may be made later.
    let mut there = stem;
    let resolved = loop {
        match host.root.resolve(there) {
            Ok(r) => break r.path,
            Err(e) if e.is_not_found() => there = there.parent()?,
            Err(_) => return None,
        }
    };
    let rest = stem.strip_prefix(there).ok()?;
    let real = if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) };
    let looked_up = selinux.look_up_path(&real);
    (looked_up != stem).then_some(looked_up)
}

/// Files that are to be made get their label at once.
pub(super) fn label_new_files(asker: &mut Asker<'_, '_>, diffs: &mut PathDiffs) {
    for diff in diffs.files.values_mut().filter(|d| d.before.is_none()) {
        if let Some(Decides::Declared(c)) = asker.ask(&diff.path, diff.kind) {
            diff.after.label = Some(wanted(None, c));
        }
    }
}

/// The context a file should have: as restorecon without `-F`, the type (and the level, if one is declared) is changed
/// and user and role are kept.
pub(super) fn wanted(is: Option<&[u8]>, c: &Rule<'_>) -> Vec<u8> {
    let level = c.rule.level.as_ref().map(|l| l.value.as_str());
    let parts = is.and_then(|l| {
        let mut fields = l.splitn(4, |b| *b == b':');
        Some((fields.next()?, fields.next()?, fields.next().map(|_| ()).and(fields.next())))
    });
    let (user, role, old_level) =
        parts.unwrap_or((b"system_u".as_slice(), b"object_r".as_slice(), Some(b"s0".as_slice())));
    let mut out = [user, role, c.setype.as_bytes()].join(&b':');
    if let Some(level) = level.map(str::as_bytes).or(old_level) {
        out.push(b':');
        out.extend_from_slice(level);
    }
    out
}

/// A specification ready to match: as libselinux compiles them, bytes, `.` takes a newline too, anchored at both ends
/// without a group. None for what this engine cannot do (look-around, back-references).
pub(super) fn matcher(pattern: &str) -> Option<Regex> {
    let anchored = format!("^{pattern}$");
    let builder =
        RegexBuilder::new(&anchored).unicode(false).dot_matches_new_line(true).size_limit(1 << 22).build();
    builder.ok()
}

/// Whether a specification has no metacharacter, by which it decides before all that have one.
pub(super) fn literal(pattern: &str) -> bool {
    let mut escaped = false;
    !pattern.chars().any(|c| {
        let meta = !escaped && matches!(c, '.' | '^' | '$' | '?' | '*' | '+' | '|' | '[' | '(' | '{');
        escaped = c == '\\' && !escaped;
        meta
    })
}

/// The folder that a pattern begins with: everything before its first metacharacter, up to the last `/`.
pub fn stem(pattern: &str) -> PathBuf {
    let mut literal = String::new();
    let mut chars = pattern.chars().peekable();
    let mut whole = true;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped) if !escaped.is_ascii_alphanumeric() => literal.push(escaped),
                _ => {
                    whole = false;
                    break;
                }
            },
            '.' | '^' | '$' | '?' | '*' | '+' | '|' | '[' | '(' | '{' => {
                // A quantifier takes the character before it away, `(/.*)?` leaves what is before it whole.
                if matches!(c, '?' | '*' | '{') {
                    literal.pop();
                }
                whole = c == '('
                    && pattern.ends_with("(/.*)?")
                    && literal.len() + "(/.*)?".len() >= pattern.len();
                break;
            }
            c => literal.push(c),
        }
    }
    if whole {
        return PathBuf::from(literal);
    }
    match literal.rfind('/') {
        Some(0) | None => PathBuf::from("/"),
        Some(i) => PathBuf::from(literal.get(..i).unwrap_or("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_without_metacharacters_is_literal() {
        for (pattern, expected) in [
            ("/srv/a", true),
            ("/srv/a\\.b", true),
            ("/srv/a.b", false),
            ("/a\\\\.", false),
            ("/a(/.*)?", false),
        ] {
            assert_eq!(literal(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn the_walk_starts_where_the_pattern_leaves_off() {
        for (pattern, expected) in [
            ("/home/projectname/live(/.*)?", "/home/projectname/live"),
            ("/var/run/wsgi.*", "/var/run"),
            ("/srv/a\\.b/c", "/srv/a.b/c"),
            ("/srv/x+/y", "/srv"),
            ("/srv/xy?", "/srv"),
            ("/.*\\.pem", "/"),
            ("/a|/b", "/"),
            ("/srv/\\d+", "/srv"),
        ] {
            assert_eq!(stem(pattern), PathBuf::from(expected), "{pattern}");
        }
    }
}
