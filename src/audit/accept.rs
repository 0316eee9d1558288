//! What is accepted on a host, by place: `accepted.table` beside the manifests.
//!
//! A line is `CODE PLACE | REASON`; blank lines and lines that begin with `#` are passed over. `PLACE` is the place of a
//! finding as it is reported, or a folder with a slash at its end for all below it, or `*` for every place. What concerns
//! an application is accepted in its manifest.

use std::path::Path;

use crate::report::Finding;
use crate::report::codes::{self, Code};

/// Name of the file in the folder of manifests.
pub const ACCEPTED: &str = "accepted.table";

/// One line.
#[derive(Debug, Clone)]
struct Line {
    number: usize,
    code: Code,
    place: String,
}

/// What is accepted.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    lines: Vec<Line>,
}

/// A line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct AcceptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it, and what would be right.
    pub what: String,
}

impl Accepted {
    /// Reads the text of a table.
    ///
    /// # Errors
    /// Every line that is none: an unknown code, no place, no reason.
    pub fn parse(text: &str) -> Result<Accepted, Vec<AcceptError>> {
        let (mut lines, mut errors) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parse_line(number, line) {
                Ok(line) => lines.push(line),
                Err(what) => errors.push(AcceptError { line: number, what }),
            }
        }
        if errors.is_empty() { Ok(Accepted { lines }) } else { Err(errors) }
    }

    /// Whether a finding is accepted.
    pub fn accepts(&self, f: &Finding) -> bool {
        self.lines.iter().any(|l| l.accepts(f))
    }

    /// Lines that accept nothing of these findings (all there were, accepted or not).
    pub fn unused(&self, findings: &[Finding]) -> Vec<usize> {
        let unused = self.lines.iter().filter(|l| !findings.iter().any(|f| l.accepts(f)));
        unused.map(|l| l.number).collect()
    }
}

impl Line {
    fn accepts(&self, f: &Finding) -> bool {
        if self.code.id != f.code.id {
            return false;
        }
        // `FILE:LINE` is a place in a file.
        let file =
            f.place.rsplit_once(':').filter(|(_, n)| n.bytes().all(|b| b.is_ascii_digit())).map(|(f, _)| f);
        self.place == "*"
            || self.place == f.place
            || file == Some(&self.place)
            || (self.place.ends_with('/') && Path::new(&f.place).starts_with(&self.place))
    }
}

fn parse_line(number: usize, line: &str) -> Result<Line, String> {
    let (what, reason) = line.split_once('|').ok_or("expected `CODE PLACE | REASON`: there is no `|`")?;
    if reason.trim().is_empty() {
        return Err(
            "a reason is missing after `|`: whoever reads this in a year must be able to judge it".to_owned()
        );
    }
    let (id, place) = what
        .trim()
        .split_once(char::is_whitespace)
        .ok_or("a place is missing after the code; `*` is every place")?;
    let code = codes::find(id)
        .ok_or_else(|| format!("no finding has the code `{id}` (perms explain lists them)"))?;
    Ok(Line { number, code, place: place.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Class;

    fn finding(place: &str) -> Finding {
        Finding::new(&codes::excess::SET_ID, Class::Excess, "host", place)
    }

    #[test]
    fn a_line_accepts_its_place_and_what_is_below_a_folder() {
        let text = "# ours\nexcess::set-id /opt/x/ | vendor\nexcess::set-id /srv/a b | needed\nexcess::rule /etc/s | x\n";
        let accepted = Accepted::parse(text).unwrap();
        for (place, yes) in [
            ("/opt/x/bin/y", true),
            ("/opt/xy", false),
            ("/srv/a b", true),
            ("/srv/a", false),
            ("/etc/s:3", false),
        ] {
            assert_eq!(accepted.accepts(&finding(place)), yes, "{place}");
        }
        let rule = Finding { code: &codes::excess::RULE, ..finding("/etc/s:3") };
        assert!(accepted.accepts(&rule));
        assert_eq!(accepted.unused(&[finding("/opt/x/1")]), [3, 4]);
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_line_by_line() {
        let errors = Accepted::parse(
            "excess::set-id /x\nexcess::set-id /x |\nexcess::sid /x | r\nexcess::set-id | r\n",
        );
        let lines: Vec<usize> = errors.unwrap_err().iter().map(|e| e.line).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
    }
}
