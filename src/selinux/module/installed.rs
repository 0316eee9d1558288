//! A module as perms installs it: CIL under a heading that tells for which application, from which sources, and what
//! follows; so that the policy store itself says whether it still is what the sources make.
//!
//! Also what a module's sources define, as far as a look at their words tells, for rules that name what is to come.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

/// The priority of our modules: over a distribution's (100, 200) and those installed by hand (400).
pub const PRIORITY: u16 = 500;

const FIRST: &str = "; perms 1 ";

/// What a heading says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The application.
    pub app: String,
    /// [`digest`] of the sources.
    pub sources: String,
    /// Whether what follows is what followed when it was written.
    pub whole: bool,
}

/// The digest of sources, each its language and its text.
pub fn digest<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    for (language, text) in sources {
        // Lengths, so that no two lists of sources make one text.
        hash.update(format!("{language} {}\n", text.len()));
        hash.update(text);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The text that is installed: `cil` under its heading.
pub fn with_heading(app: &str, sources: &str, cil: &str) -> String {
    let body = format!(
        "; Made by perms for the application {app}. Changes made here are found by `perms audit` and undone by `perms apply`.\n{cil}"
    );
    format!("{FIRST}app={app} sources={sources} body={}\n{body}", hex(&Sha256::digest(&body)))
}

/// The heading of an installed module; none if perms did not install it.
pub fn heading(content: &[u8]) -> Option<Heading> {
    let end = memchr::memchr(b'\n', content)?;
    let first = std::str::from_utf8(content.get(..end)?).ok()?.strip_prefix(FIRST)?;
    let value = |name: &str| {
        first
            .split_ascii_whitespace()
            .find_map(|w| w.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let body = content.get(end + 1..)?;
    Some(Heading {
        app: value("app")?,
        sources: value("sources")?,
        whole: value("body")? == hex(&Sha256::digest(body)),
    })
}

/// The file contexts of a module with `gen_context(user:role:type,level)` written out, which is a macro of the reference
/// policy that nothing expands here.
pub fn plain_contexts(fc: &str, mls: bool) -> String {
    let mut out = String::with_capacity(fc.len());
    let mut rest = fc;
    while let Some((before, after)) = rest.split_once("gen_context(") {
        out.push_str(before);
        let Some((inside, behind)) = after.split_once(')') else {
            out.push_str("gen_context(");
            rest = after;
            continue;
        };
        let mut parts = inside.split(',').map(str::trim);
        out.push_str(parts.next().unwrap_or_default());
        if mls {
            out.push(':');
            out.push_str(parts.next().unwrap_or("s0"));
            for (n, categories) in parts.enumerate() {
                out.push(if n == 0 { ':' } else { ',' });
                out.push_str(categories);
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// The types, aliases and booleans that a source defines. (Blocks of CIL give their names a beginning, which is not
/// followed: what is missed here is refused, and said to be unknown.)
pub fn defined(language: &str, text: &str) -> BTreeSet<String> {
    let words = words(language, text);
    let mut found = BTreeSet::new();
    let mut require = None;
    let mut depth = 0usize;
    let mut statement: Vec<&str> = Vec::new();
    for word in words.iter().map(String::as_str) {
        match word {
            "{" | "(" => depth += 1,
            "}" | ")" => {
                depth = depth.saturating_sub(1);
                if require == Some(depth) {
                    require = None;
                    statement.clear();
                    continue;
                }
            }
            _ => {}
        }
        if language == "cil" {
            statement.push(word);
            if let [.., "(", "type" | "typealias" | "boolean" | "tunable", name] = statement.as_slice() {
                found.insert((*name).to_owned());
            }
            continue;
        }
        if matches!(word, "require" | "optional") && statement.is_empty() {
            require = (word == "require").then_some(depth).or(require);
            continue;
        }
        if word == ";" || matches!(word, "{" | "}") && statement.is_empty() {
            if require.is_none()
                && let [kind @ ("type" | "bool" | "typealias"), names @ ..] = statement.as_slice()
            {
                let names = names.split(|w| *w == ",").next().unwrap_or_default();
                let names = if *kind == "bool" { names.get(..1).unwrap_or_default() } else { names };
                let names = names.iter().filter(|n| !matches!(**n, "alias" | "{" | "}"));
                found.extend(names.map(|n| (*n).to_owned()));
            }
            statement.clear();
        } else {
            statement.push(word);
        }
    }
    found
}

/// The types that a source in the module language requires; those of optional blocks aside, which may be missing.
pub fn required(te: &str) -> BTreeSet<String> {
    let words = words("te", te);
    let mut found = BTreeSet::new();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "optional" => drop(block(&mut words)),
            "require" => {
                for statement in block(&mut words).split(|w| *w == ";") {
                    if let ["type", names @ ..] = statement {
                        found.extend(names.iter().filter(|n| **n != ",").map(|n| (*n).to_owned()));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// The words of the block that begins here, without its braces.
fn block<'w>(words: &mut impl Iterator<Item = &'w str>) -> Vec<&'w str> {
    let mut inside = Vec::new();
    let mut depth = 0usize;
    for word in words {
        match word {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => inside.push(word),
        }
        if depth == 0 {
            break;
        }
    }
    inside
}

/// The words of a source, signs apart, without comments.
fn words(language: &str, text: &str) -> Vec<String> {
    let comment = if language == "cil" { ';' } else { '#' };
    let mut words = Vec::new();
    for line in text.lines() {
        let code = line.split(comment).next().unwrap_or_default();
        let mut word = String::new();
        for c in code.chars() {
            if c.is_ascii_alphanumeric() || "_-.$@".contains(c) {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if "{}();,".contains(c) {
                words.push(c.to_string());
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_tells_what_follows_it() {
        let sources = digest([("te", "module a 1.0;"), ("fc", "")]);
        assert_ne!(sources, digest([("te", "module a 1.0;f")]));
        let text = with_heading("shop", &sources, "(type a_t)\n");
        let read = heading(text.as_bytes());
        assert_eq!(read, Some(Heading { app: "shop".into(), sources, whole: true }));
        let changed = text.replace("a_t", "b_t");
        assert!(heading(changed.as_bytes()).is_some_and(|h| !h.whole));
        assert_eq!(heading(b"(type a_t)\n"), None);
        assert_eq!(heading(b""), None);
    }

    #[test]
    fn contexts_are_written_out() {
        let fc = "/a -- gen_context(system_u:object_r:a_t,s0)\n/b gen_context(u:r:b_t, s0, c1)\n/c u:r:c_t:s0\n/d gen_context(";
        assert_eq!(
            plain_contexts(fc, true),
            "/a -- system_u:object_r:a_t:s0\n/b u:r:b_t:s0:c1\n/c u:r:c_t:s0\n/d gen_context("
        );
        assert!(plain_contexts(fc, false).starts_with("/a -- system_u:object_r:a_t\n"));
    }

    #[test]
    fn what_sources_define() {
        let te = "module a 1.0; # type no_t;\nrequire { type httpd_t; attribute domain; class file { read write }; }\n\
                  type a_t, domain, file_type;\ntype b_t alias { c_t d_t };\nbool a_on false;\n\
                  optional { require { type e_t; } allow a_t e_t:file read; }\nif (a_on) { allow a_t self:process fork; }\n\
                  type f_t;\ntypealias a_t alias g_t;\n";
        let found = defined("te", te);
        let seen: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(seen, ["a_on", "a_t", "b_t", "c_t", "d_t", "f_t", "g_t"]);
        let te = "module a 1.0;\nrequire { type b_t, c_t; class file { read }; type d_t; }\noptional { require { type e_t; } }";
        assert_eq!(required(te).into_iter().collect::<Vec<_>>(), ["b_t", "c_t", "d_t"]);
        let found = defined(
            "cil",
            "(type a_t) ; (type no_t)\n(boolean b true)(typeattributeset x (a_t))(roletype object_r a_t)",
        );
        let seen: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(seen, ["a_t", "b"]);
    }
}
