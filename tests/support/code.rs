//! Reads src/ as text for tests/architecture.rs: code without comments, strings and unit tests, and the paths in it.

use std::path::{Path, PathBuf};

/// A file of src/: its text, and its code with comments, strings and unit tests blanked out (lines keep their number).
pub(crate) struct SourceFile {
    /// `src/ROOM/…`.
    pub(crate) path: PathBuf,
    /// The folder below src/; empty for main.rs and lib.rs.
    pub(crate) room: String,
    /// As it is.
    pub(crate) text: String,
    /// With blanks.
    pub(crate) code: String,
}

impl SourceFile {
    /// A file at `path` (below the project's folder).
    pub(crate) fn new(path: PathBuf, text: String) -> Self {
        let code = without_unit_tests(&blanked(&text));
        let room = if path.iter().count() > 2 { path.iter().nth(1) } else { None };
        let room = room.map_or(String::new(), |room| room.to_str().unwrap().to_owned());
        Self { path, room, text, code }
    }

    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    pub(crate) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path.display(), self.line_of(at))
    }

    /// The module that the file is, below its room: `["atomic"]` for src/sys/atomic.rs, none for src/sys/mod.rs.
    pub(crate) fn module(&self) -> Vec<String> {
        let below = self.path.strip_prefix("src").unwrap().with_extension("");
        let parts = below.iter().skip(1).map(|p| p.to_str().unwrap().to_owned());
        parts.filter(|p| p != "mod").collect()
    }
}

pub(crate) fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(root.join("src")).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().to_owned();
        let tests_only = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
        if path.extension().is_none_or(|e| e != "rs") || tests_only {
            continue;
        }
        files.push(SourceFile::new(path, std::fs::read_to_string(entry.path()).unwrap()));
    }
    assert!(files.len() > 5, "src/ was not found");
    files
}

/// The text with comments, strings and characters turned into spaces; lines stay where they are.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (this, next) = (chars[at], chars.get(at + 1));
        let end = if let Some(end) = raw_string_end(&chars, at) {
            end
        } else if this == '/' && next == Some(&'/') {
            (at..chars.len()).find(|&n| chars[n] == '\n').unwrap_or(chars.len())
        } else if this == '/' && next == Some(&'*') {
            comment_end(&chars, at)
        } else if this == '"' || this == '\'' && (next == Some(&'\\') || chars.get(at + 2) == Some(&'\'')) {
            quoted_end(&chars, at)
        } else {
            out.push(chars[at]);
            at += 1;
            continue;
        };
        out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

/// Where a quoted thing that begins at `at` is over; a backslash takes the next character with it.
fn quoted_end(chars: &[char], at: usize) -> usize {
    let mut n = at + 1;
    while n < chars.len() && chars[n] != chars[at] {
        n += if chars[n] == '\\' { 2 } else { 1 };
    }
    (n + 1).min(chars.len())
}

/// Where a raw string is over, if one begins at `at`.
fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let after_name =
        at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') && chars[at - 1] != 'b';
    if chars[at] != 'r' || after_name {
        return None;
    }
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |n: &usize| {
        chars[*n] == '"' && chars[n + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((open + 1..chars.len()).find(closes).map_or(chars.len(), |n| n + 1 + hashes))
}

/// Where a block comment that begins at `at` is over; they nest.
fn comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut n) = (0, at);
    while n < chars.len() {
        match (chars[n], chars.get(n + 1)) {
            ('/', Some('*')) => (depth, n) = (depth + 1, n + 2),
            ('*', Some('/')) => (depth, n) = (depth - 1, n + 2),
            _ => n += 1,
        }
        if depth == 0 {
            return n;
        }
    }
    chars.len()
}

/// Cuts off from the first `#[cfg(test)]` of a module on: unit tests stand at the end.
fn without_unit_tests(code: &str) -> String {
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let rest = code[from + found + "#[cfg(test)]".len()..].trim_start();
        if rest.starts_with("mod ") && rest.find('{').is_some_and(|b| rest.find(';').is_none_or(|s| b < s)) {
            return code[..from + found].to_owned();
        }
        from += found + 1;
    }
    code.to_owned()
}

/// Every path that begins with `crate::`, written out (`use crate::a::{b, c::d}` is two), and where it stands.
pub(crate) fn crate_paths(file: &SourceFile) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (at, _) in file.code.match_indices("crate::") {
        if file.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let mut found = Vec::new();
        expand(file.code[at + "crate::".len()..].trim_start(), "", &mut found);
        paths.extend(found.into_iter().map(|path| (at, path)));
    }
    paths
}

/// Writes out one use tree (or plain path) at the start of `text` and gives what follows it.
pub(crate) fn expand<'a>(text: &'a str, prefix: &str, out: &mut Vec<String>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([' ', '\n', ',']);
            if rest.is_empty() || rest.starts_with('}') {
                return rest.get(1..).unwrap_or("");
            }
            let after = expand(rest, prefix, out);
            rest = if after.len() == rest.len() {
                &rest[rest.chars().next().unwrap().len_utf8()..]
            } else {
                after
            };
        }
    }
    let length = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(text.len());
    let path =
        if prefix.is_empty() { text[..length].to_owned() } else { format!("{prefix}::{}", &text[..length]) };
    let rest = text[length..].trim_start();
    match rest.strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => expand(rest.trim_start(), &path, out),
        _ => {
            out.push(path);
            // `a as b` inside a group: the new name is no path.
            let renamed = rest.strip_prefix("as ");
            renamed.map_or(rest, |r| r.trim_start_matches(|c: char| c != ',' && c != '}'))
        }
    }
}

pub(crate) fn within(path: &str, allowed: &str) -> bool {
    path == allowed || path.strip_prefix(allowed).is_some_and(|rest| rest.starts_with("::"))
}
