//! The rules file of an application.

use std::fmt::Write as _;

use super::{MANAGE_UNITS, UnitJob};

/// What a user may have systemd do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The user.
    pub user: String,
    /// What.
    pub job: UnitJob,
    /// No password is asked for; else the user's own is.
    pub free: bool,
}

/// The text of a rules file. `header` is its first line, without the marks of a comment; it holds no line break.
pub fn rules_file(header: &str, rights: &[Rights]) -> String {
    let header: String = header.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut text = format!("// {header}\n");
    for r in rights {
        let _ = write!(
            text,
            "polkit.addRule(function(action, subject) {{\n    \
             if (action.id === {} &&\n            \
             subject.user === {} &&\n            \
             action.lookup(\"unit\") === {} &&\n            \
             action.lookup(\"verb\") === {}) {{\n        \
             return polkit.Result.{};\n    }}\n}});\n",
            string(MANAGE_UNITS),
            string(&r.user),
            string(&r.job.unit),
            string(r.job.verb),
            if r.free { "YES" } else { "AUTH_SELF" }
        );
    }
    text
}

/// A string of JavaScript: everything but printable ASCII by its number, so that no text ends it.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b @ (b'"' | b'\\')) => {
                out.push('\\');
                out.push(char::from(b));
            }
            Ok(b @ b' '..=b'~') => out.push(char::from(b)),
            _ => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_string_before_its_end() {
        assert_eq!(string("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(string("\n\u{2028}é😀"), r#""\u000a\u2028\u00e9\ud83d\ude00""#);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let job = UnitJob { unit: r"dev-disk\x2dby.swap".into(), verb: "stop" };
        let text = rules_file("perms: web.\nx", &[Rights { user: "dep".into(), job, free: true }]);
        assert!(text.starts_with("// perms: web. x\n"));
        let rules = super::super::rules(text.as_bytes());
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].jobs(), [(r"dev-disk\x2dby.swap".to_owned(), "stop".to_owned())]);
        assert!(rules[0].grants && !rules[0].is_root());
    }
}
