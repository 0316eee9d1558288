//! `[[selinux.label]]` × the labels on files, merged with what `[[path]]` found about the same files.

use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};

use super::file::{Difference, Reason};
use super::paths::{FileDiff, PathDiffs, PathTrouble, Trouble};
use crate::host::{FileState, Host};
use crate::manifest::{LabelRule, Manifest};
use crate::sys::Kind;
use crate::sys::walk::{Entry, walk};

/// A rule made ready.
struct Compiled<'m> {
    app: usize,
    rule: &'m LabelRule,
    regex: Regex,
    stem: PathBuf,
}

/// Looks at every file under a label rule and adds what is wrong to `diffs`.
pub(super) fn compare_labels(manifests: &[Manifest], host: &Host, diffs: &mut PathDiffs, tick: &dyn Fn()) {
    let mut rules = Vec::new();
    for (app, m) in manifests.iter().enumerate() {
        for rule in m.selinux.iter().flat_map(|s| &s.labels) {
            // As libselinux compiles them: bytes, `.` takes a newline too, anchored at both ends without a group.
            let regex = RegexBuilder::new(&format!("^{}$", rule.paths.value))
                .unicode(false)
                .dot_matches_new_line(true)
                .size_limit(1 << 22)
                .build();
            let Ok(regex) = regex else { continue };
            rules.push(Compiled { app, rule, regex, stem: stem(&rule.paths.value) });
        }
    }
    label_new_files(&rules, diffs);
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
                let canonical = r.path.clone();
                walk(
                    &canonical,
                    r.handle,
                    &mut |entry| {
                        tick();
                        diffs.seen += 1;
                        // Patterns speak of the path as declared, links on the way to the stem not resolved.
                        let below = entry.path.strip_prefix(&canonical).unwrap_or(Path::new(""));
                        let logical =
                            if below.as_os_str().is_empty() { stem.to_owned() } else { stem.join(below) };
                        if let Some(c) = deciding(&rules, &logical, entry.meta.kind)
                            && let Err(e) = compare(entry, c, diffs)
                        {
                            failures.borrow_mut().push((entry.path.clone(), e));
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
}

/// The rule that decides: the last that matches, as in file_contexts.
fn deciding<'c, 'm>(rules: &'c [Compiled<'m>], path: &Path, kind: Kind) -> Option<&'c Compiled<'m>> {
    rules.iter().rev().find(|c| {
        c.rule.files.as_ref().is_none_or(|f| f.value == kind.letter())
            && c.regex.is_match(path.as_os_str().as_bytes())
    })
}

fn compare(entry: &Entry, c: &Compiled<'_>, diffs: &mut PathDiffs) -> std::io::Result<()> {
    let is = entry.handle.label(&entry.meta)?;
    let should = wanted(is.as_deref(), c.rule);
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
fn label_new_files(rules: &[Compiled<'_>], diffs: &mut PathDiffs) {
    for diff in diffs.files.values_mut().filter(|d| d.before.is_none()) {
        if let Some(c) = deciding(rules, &diff.path, diff.kind) {
            diff.after.label = Some(wanted(None, c.rule));
        }
    }
}

/// The context a file should have: as restorecon without `-F`, the type (and the level, if one is declared) is changed
/// and user and role are kept.
fn wanted(is: Option<&[u8]>, rule: &LabelRule) -> Vec<u8> {
    let level = rule.level.as_ref().map(|l| l.value.as_str());
    let parts = is.and_then(|l| {
        let mut fields = l.splitn(4, |b| *b == b':');
        Some((fields.next()?, fields.next()?, fields.next().map(|_| ()).and(fields.next())))
    });
    let (user, role, old_level) =
        parts.unwrap_or((b"system_u".as_slice(), b"object_r".as_slice(), Some(b"s0".as_slice())));
    let mut out = [user, role, rule.setype.value.as_bytes()].join(&b':');
    if let Some(level) = level.map(str::as_bytes).or(old_level) {
        out.push(b':');
        out.extend_from_slice(level);
    }
    out
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
