//! The table itself: read from text, looked up by path.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Class, Program, Way};

/// Programs, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    programs: HashMap<String, Program, RandomState>,
}

/// A line that could not be understood. The others of its text stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TableError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it, and what would be right.
    pub what: String,
}

impl Table {
    /// The program that this path names: by the whole path, by the file name, by the file name without a version.
    pub fn find(&self, path: &str) -> Option<&Program> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
        [path, name, bare].into_iter().filter(|n| !n.is_empty()).find_map(|n| self.programs.get(n))
    }

    /// All programs, in no order.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        self.programs.values()
    }

    /// This table and the lines of a text of the same form. What the text says of a program is added to what the table
    /// says.
    ///
    /// # Errors
    /// Every line that could not be understood.
    pub fn extended(&self, text: &str) -> Result<Table, Vec<TableError>> {
        let mut table = self.clone();
        table.read(text).map(|()| table)
    }

    /// Adds the lines of a text; what is in it already stays.
    pub(super) fn read(&mut self, text: &str) -> Result<(), Vec<TableError>> {
        let mut errors = Vec::new();
        let mut class = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let mut wrong = |what: String| errors.push(TableError { line: number + 1, what });
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(word) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                class = Class::ALL.into_iter().find(|c| c.word() == word);
                if class.is_none() {
                    let known: Vec<&str> = Class::ALL.iter().map(|c| c.word()).collect();
                    wrong(format!("`{word}` is no class; there are {}", known.join(", ")));
                }
                continue;
            }
            let Some(class) = class else {
                wrong("a line needs a class above it, such as [shell]".to_owned());
                continue;
            };
            if let Err(what) = self.line(class, line) {
                wrong(what);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn line(&mut self, class: Class, line: &str) -> Result<(), String> {
        let mut parts = line.split(" | ");
        let mut words = parts.next().unwrap_or_default().split_whitespace();
        let name = words.next().unwrap_or_default();
        let how = parts.next().map(str::trim).filter(|h| !h.is_empty());
        let how = how.ok_or("`NAME | HOW` is expected: what does it give, and by which argument?")?;
        let narrower = parts.next().unwrap_or_default().split_whitespace();
        if parts.next().is_some() {
            return Err("there are more than three parts: NAME | HOW | ARGUMENTS".to_owned());
        }
        if name.contains('/') && !name.starts_with('/') || name.ends_with('/') {
            return Err(format!("`{name}` is neither a file name nor an absolute path"));
        }
        let (without, words): (Vec<&str>, Vec<&str>) = words.partition(|w| w.starts_with('!'));
        let way = Way {
            class,
            words: words.into_iter().map(str::to_owned).collect(),
            without: without.into_iter().map(|w| w.trim_start_matches('!').to_owned()).collect(),
            how: how.to_owned(),
        };
        let program = self.programs.entry(name.to_owned()).or_insert_with(|| Program {
            name: name.to_owned(),
            ways: Vec::new(),
            narrower: Vec::new(),
        });
        program.narrower.extend(narrower.map(str::to_owned));
        // What needs no certain argument first; behind those of the same class, so that the first that was said is told.
        let rank = |w: &Way| (!w.words.is_empty() || !w.without.is_empty(), w.class);
        let at = program.ways.partition_point(|w| rank(w) <= rank(&way));
        program.ways.insert(at, way);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Arguments, built_in};
    use super::*;

    #[test]
    fn a_site_adds_its_own_programs() {
        let text = "# ours\n[hook]\n/opt/shop/bin/deploy | `--after CMD` runs CMD | status\n\n[read]\ncertbot | `certificates` prints\n";
        let table = built_in().extended(text).unwrap();
        let deploy = table.find("/opt/shop/bin/deploy").unwrap();
        assert_eq!((deploy.ways[0].class, &*deploy.narrower), (Class::Hook, &["status".to_owned()][..]));
        assert!(table.find("/usr/bin/deploy").is_none() && built_in().find("/opt/shop/bin/deploy").is_none());
        let classes: Vec<Class> =
            table.find("/usr/bin/certbot").unwrap().open(Arguments::Any).map(|w| w.class).collect();
        assert_eq!(classes, [Class::Hook, Class::Read]);
    }

    #[test]
    fn each_line_that_is_not_understood_is_told() {
        let errors = built_in()
            .extended("x | y\n[no]\n[read]\nlone\na/b | c\na | b | c | d\ngood | it is\n")
            .unwrap_err();
        let lines: Vec<usize> = errors.iter().map(|e| e.line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 6]);
    }
}
