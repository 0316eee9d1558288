//! `[[selinux.label]]` × the labels on files, merged with what `[[path]]` found about the same files.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};

use super::accounts::finding;
use super::file::{Difference, Reason};
use super::item::{Fix, Item, Sign};
use super::label_rules::{Asker, Decides, Rule, Rules};
use super::paths::{FileDiff, PathDiffs, PathTrouble, Trouble};
use crate::host::selinux::{Selinux, Store};
use crate::host::{FileState, Host};
use crate::manifest::Manifest;
use crate::report::Class;
use crate::report::codes::label as codes;
use crate::selinux::contexts::Spec;
use crate::sys::Kind;
use crate::sys::walk::{Entry, walk};

/// Looks at every file under a label rule and adds what is wrong to `diffs`; what is declared under a path by which
/// SELinux does not look files up is returned.
pub(super) fn compare_labels(
    manifests: &[Manifest],
    host: &Host,
    selinux: &Selinux,
    diffs: &mut PathDiffs,
    tick: &dyn Fn(),
) -> Vec<Item> {
    let Some(rules) = Rules::new(manifests, host, selinux) else { return Vec::new() };
    let mut asker = rules.asker();
    let mut others = Others::default();
    label_new_files(&mut asker, diffs);
    let rules = &rules.all;
    let mut items: Vec<Item> =
        rules.iter().filter(|c| !c.of_module).filter_map(|c| aliased(c, manifests, host, selinux)).collect();
    let mut stems: Vec<&Path> = rules.iter().map(|r| r.stem.as_path()).collect();
    stems.sort_unstable();
    stems.dedup();
    let all = stems.clone();
    stems.retain(|s| !all.iter().any(|o| o != s && s.starts_with(o)));
    for stem in stems {
        let Some(first) = rules.iter().find(|r| r.stem == stem) else { continue };
        let trouble = |what: String| PathTrouble {
            app: first.app,
            origin: first.rule.paths.origin.clone(),
            path: stem.to_owned(),
            trouble: Trouble::Unreadable(what),
        };
        if stem == Path::new("/") {
            let what =
                "the pattern does not begin with a folder, the whole file system would have to be read";
            diffs.troubles.push(trouble(what.to_owned()));
            continue;
        }
        match host.root.resolve(stem) {
            Ok(r) => {
                let failures = RefCell::new(Vec::new());
                walk(
                    &r.path.clone(),
                    r.handle,
                    &mut |entry| {
                        tick();
                        diffs.seen += 1;
                        match asker.ask(&entry.path, entry.meta.kind) {
                            None => {}
                            Some(Decides::Declared(rule)) => {
                                if let Err(e) = compare(entry, rule, diffs) {
                                    failures.borrow_mut().push((entry.path.clone(), e));
                                }
                            }
                            Some(other) => others.add(other, &entry.path),
                        }
                        true
                    },
                    &mut |path, e| failures.borrow_mut().push((path.to_owned(), e)),
                );
                for (path, e) in failures.into_inner() {
                    let what = Trouble::UnreadableBelow(e.to_string());
                    diffs.troubles.push(PathTrouble { path, trouble: what, ..trouble(String::new()) });
                }
            }
            // A pattern may well speak of what is not there yet.
            Err(e) if e.is_not_found() => {}
            Err(e) => diffs.troubles.push(trouble(e.to_string())),
        }
    }
    items.extend(others.items(manifests, selinux));
    items
}

/// Files of which a declared rule speaks, and something else decides: one for each rule and what decides in its place.
#[derive(Default)]
struct Others<'r, 'm> {
    found: Vec<(&'r Rule<'m>, Option<&'r Spec>, bool, PathBuf, usize)>,
}

impl<'r, 'm> Others<'r, 'm> {
    fn add(&mut self, decides: Decides<'r, 'm>, path: &Path) {
        let (rule, spec, unknown) = match decides {
            Decides::Declared(_) => return,
            Decides::Other(rule, spec) => (rule, Some(spec), false),
            Decides::Unknown(rule, spec) => (rule, spec, true),
        };
        let same = |f: &&mut (&Rule<'_>, Option<&Spec>, bool, PathBuf, usize)| {
            std::ptr::eq(f.0, rule) && f.1 == spec && f.2 == unknown
        };
        match self.found.iter_mut().find(same) {
            Some(found) => found.4 += 1,
            None => self.found.push((rule, spec, unknown, path.to_owned(), 1)),
        }
    }

    fn items(&self, manifests: &[Manifest], selinux: &Selinux) -> Vec<Item> {
        let mut items = Vec::new();
        for (rule, spec, unknown, path, count) in &self.found {
            // A local one that nobody declared is told of with the store.
            let local = spec.is_some_and(|s| s.input == LOCAL) && selinux.store == Store::Ready;
            let Some(m) = manifests.get(rule.app).filter(|_| !local || *unknown) else { continue };
            let place = path.display().to_string();
            let origin = &rule.rule.paths.origin;
            let by = spec.map_or_else(|| "the specifications".to_owned(), |s| format!("{}: `{s}`", s.place));
            let more = if *count > 1 { format!(" (and of {} more files)", count - 1) } else { String::new() };
            let rules = match &selinux.library {
                Some((rules, library)) => format!("by the rules of {rules}, found in {}", library.display()),
                None => format!("by the rules of {}: no libselinux was found here", selinux.precedence()),
            };
            let f = if *unknown {
                finding(m, &codes::UNCHECKED, Class::Unchecked, &place, Some(origin))
                    .is(
                        format!("not known{more}: {by} could decide, and is not understood here"),
                        rule.setype.clone(),
                    )
                    .remedy(
                        "perms label tells what is not understood; write that specification in another way",
                    )
            } else {
                let is = spec.and_then(|s| s.context.as_deref()).unwrap_or("<<none>>");
                finding(m, &codes::OUTRANKED, Class::Wrong, &place, Some(origin))
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

fn compare(entry: &Entry, c: &Rule<'_>, diffs: &mut PathDiffs) -> std::io::Result<()> {
    let is = entry.handle.label(&entry.meta)?;
    let should = wanted(is.as_deref(), c);
    if is.as_deref() == Some(should.as_slice()) {
        return Ok(());
    }
    let reason = Reason {
        origin: Some(c.rule.setype.origin.clone()),
        what: Difference::Label { is, should: should.clone() },
    };
    if let Some(diff) = diffs.files.get_mut(&entry.path) {
        diff.reasons.push(reason);
        diff.after.label = Some(should);
        return Ok(());
    }
    let before = FileState::read(&entry.handle, &entry.meta)?;
    let after = FileState { label: Some(should), ..before.clone() };
    diffs.files.insert(
        entry.path.clone(),
        FileDiff {
            app: c.app,
            rule: c.rule.origin.clone(),
            top: c.stem.clone(),
            path: entry.path.clone(),
            kind: entry.meta.kind,
            object: entry.meta.id.1,
            reasons: vec![reason],
            before: Some(before),
            after,
            linked: entry.meta.kind != Kind::Directory && entry.meta.links > 1 && entry.depth > 0,
        },
    );
    Ok(())
}

/// Files that are to be made get their label at once.
fn label_new_files(asker: &mut Asker<'_, '_>, diffs: &mut PathDiffs) {
    for diff in diffs.files.values_mut().filter(|d| d.before.is_none()) {
        if let Some(Decides::Declared(c)) = asker.ask(&diff.path, diff.kind) {
            diff.after.label = Some(wanted(None, c));
        }
    }
}

/// The context a file should have: as restorecon without `-F`, the type (and the level, if one is declared) is changed
/// and user and role are kept.
fn wanted(is: Option<&[u8]>, c: &Rule<'_>) -> Vec<u8> {
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
