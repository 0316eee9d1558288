//! The part of doas.conf that belongs to one application, between two marker lines.
//!
//! OpenDoas reads one file and has no include, so our rules live in a block of it that can be found again.

use super::lexer::{KEYWORDS, WORD_MAX};
use super::parse::File;

/// A rule to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRule {
    /// Who may.
    pub user: String,
    /// As whom; `ALL` for anybody.
    pub runas: String,
    /// Without a password.
    pub nopass: bool,
    /// The command as the caller types it (a path), then its arguments.
    pub command: Vec<String>,
    /// Any arguments at all instead of exactly those.
    pub any_args: bool,
}

/// Why something cannot be written to doas.conf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A word that doas.conf has no spelling for.
    #[error("`{word}` cannot be written in doas.conf: {why}")]
    Word {
        /// The word.
        word: String,
        /// Why not.
        why: &'static str,
    },
    /// A rule without a command.
    #[error("a rule needs a command")]
    NoCommand,
    /// Markers that do not pair.
    #[error("line {line}: `{marker}` without its counterpart; put doas.conf right by hand")]
    Markers {
        /// The line, from 1.
        line: usize,
        /// The marker.
        marker: String,
    },
}

/// A word as doas.conf spells it: plain where that is safe, else in quotes.
///
/// # Errors
/// [`BlockError::Word`] for what no quoting expresses: a newline, a NUL, a word too long for doas.
pub fn quote(word: &str) -> Result<String, BlockError> {
    let fail = |why| Err(BlockError::Word { word: word.to_owned(), why });
    if word.contains('\n') {
        return fail("it holds a line break");
    }
    if word.contains('\0') {
        return fail("it holds a NUL");
    }
    if word.len() >= WORD_MAX {
        return fail("it is longer than doas reads, 1023 bytes");
    }
    let plain = !word.is_empty()
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@%+=,-^~".contains(c))
        && !KEYWORDS.iter().any(|(k, _)| *k == word.as_bytes());
    if plain {
        return Ok(word.to_owned());
    }
    Ok(format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// One rule as a line, without the newline.
///
/// # Errors
/// [`BlockError`] if it cannot be written so that doas takes exactly this.
pub fn line(rule: &BlockRule) -> Result<String, BlockError> {
    if rule.user.starts_with(':') {
        return Err(BlockError::Word {
            word: rule.user.clone(),
            why: "a user's name that begins with a colon would be a group",
        });
    }
    let (command, args) = rule.command.split_first().ok_or(BlockError::NoCommand)?;
    let mut text = String::from("permit ");
    if rule.nopass {
        text.push_str("nopass ");
    }
    text += &quote(&rule.user)?;
    // `ALL` is every target user, which doas says by naming none.
    if rule.runas != "ALL" {
        text += &format!(" as {}", quote(&rule.runas)?);
    }
    text += &format!(" cmd {}", quote(command)?);
    if !rule.any_args {
        text.push_str(" args");
        for a in args {
            text.push(' ');
            text.push_str(&quote(a)?);
        }
    }
    Ok(text)
}

/// The block of an application, markers and final newline included.
///
/// # Errors
/// All rules that cannot be written.
pub fn block(app: &str, rules: &[BlockRule]) -> Result<String, Vec<BlockError>> {
    let mut errors = Vec::new();
    let mut text = format!("{}\n", begin(app));
    for r in rules {
        match line(r) {
            Ok(l) => {
                text.push_str(&l);
                text.push('\n');
            }
            Err(e) => errors.push(e),
        }
    }
    text += &format!("{}\n", end(app));
    if errors.is_empty() { Ok(text) } else { Err(errors) }
}

fn begin(app: &str) -> String {
    format!("# BEGIN perms {app}")
}

fn end(app: &str) -> String {
    format!("# END perms {app}")
}

/// The bytes of the application's block in `text`, markers included.
///
/// # Errors
/// [`BlockError::Markers`] if there is one marker without the other, or more than one pair.
pub fn find_block(text: &[u8], app: &str) -> Result<Option<std::ops::Range<usize>>, BlockError> {
    let (begin, end) = (begin(app), end(app));
    let mut offset = 0;
    let mut open: Option<(usize, usize)> = None;
    let mut found: Option<std::ops::Range<usize>> = None;
    let wrong = |line: usize, marker: &str| BlockError::Markers { line, marker: marker.to_owned() };
    for (n, line) in text.split_inclusive(|&c| c == b'\n').enumerate() {
        let bare = line.trim_ascii();
        if bare == begin.as_bytes() {
            if open.is_some() || found.is_some() {
                return Err(wrong(n + 1, &begin));
            }
            open = Some((offset, n + 1));
        } else if bare == end.as_bytes() {
            match open.take() {
                Some((start, _)) => found = Some(start..offset + line.len()),
                None => return Err(wrong(n + 1, &end)),
            }
        }
        offset += line.len();
    }
    match open {
        Some((_, line)) => Err(wrong(line, &begin)),
        None => Ok(found),
    }
}

/// The applications that have a beginning of a block, in order.
pub fn block_names(text: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.split(|&c| c == b'\n') {
        let name =
            line.trim_ascii().strip_prefix(b"# BEGIN perms ").and_then(|n| std::str::from_utf8(n).ok());
        if let Some(name) = name.filter(|n| !names.iter().any(|o: &String| o == n)) {
            names.push(name.to_owned());
        }
    }
    names
}

/// `text` with the application's block put in the place of its old one, or at the end: the last rule that matches
/// decides, so that what stands before cannot take our rules away.
///
/// # Errors
/// [`BlockError::Markers`].
pub fn replace_block(text: &[u8], app: &str, block: &str) -> Result<Vec<u8>, BlockError> {
    let mut out = Vec::with_capacity(text.len() + block.len() + 1);
    match find_block(text, app)? {
        Some(range) => {
            out.extend_from_slice(text.get(..range.start).unwrap_or(&[]));
            out.extend_from_slice(block.as_bytes());
            out.extend_from_slice(text.get(range.end..).unwrap_or(&[]));
        }
        None => {
            out.extend_from_slice(text);
            if out.last().is_some_and(|&c| c != b'\n') {
                out.push(b'\n');
            }
            out.extend_from_slice(block.as_bytes());
        }
    }
    Ok(out)
}

/// `text` without the application's block; unchanged if it has none.
///
/// # Errors
/// [`BlockError::Markers`].
pub fn remove_block(text: &[u8], app: &str) -> Result<Vec<u8>, BlockError> {
    match find_block(text, app)? {
        None => Ok(text.to_vec()),
        Some(range) => {
            let mut out = text.get(..range.start).unwrap_or(&[]).to_vec();
            out.extend_from_slice(text.get(range.end..).unwrap_or(&[]));
            Ok(out)
        }
    }
}

impl File {
    /// The numbers of the items that lie in the application's block.
    ///
    /// # Errors
    /// [`BlockError::Markers`].
    pub fn items_of(&self, app: &str) -> Result<Vec<usize>, BlockError> {
        let range = find_block(&self.text, app)?.unwrap_or(0..0);
        let inside =
            |s: &std::ops::Range<usize>| s.start >= range.start && s.end <= range.end && !range.is_empty();
        Ok(self.items.iter().enumerate().filter(|(_, i)| inside(&i.span)).map(|(n, _)| n).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(command: &[&str]) -> BlockRule {
        BlockRule {
            user: "dep".into(),
            runas: "root".into(),
            nopass: true,
            command: command.iter().map(|s| (*s).to_owned()).collect(),
            any_args: false,
        }
    }

    #[test]
    fn a_block_is_put_replaced_and_taken_out() {
        let b = block("web", &[rule(&["/bin/systemctl", "reload", "a b", ""]), rule(&["/bin/ls"])]).unwrap();
        assert_eq!(
            b,
            "# BEGIN perms web\npermit nopass dep as root cmd /bin/systemctl args reload \"a b\" \"\"\n\
             permit nopass dep as root cmd /bin/ls args\n# END perms web\n"
        );
        let with = replace_block(b"permit a", "web", &b).unwrap();
        assert!(with.starts_with(b"permit a\n# BEGIN"));
        assert_eq!(File::parse("d", with.clone()).mistakes, []);
        let again = replace_block(&with, "web", &block("web", &[]).unwrap()).unwrap();
        assert_eq!(remove_block(&again, "web").unwrap(), b"permit a\n");
        assert_eq!(remove_block(&with, "other").unwrap(), with);
        assert_eq!(File::parse("d", with).items_of("web").unwrap().len(), 4);
    }

    #[test]
    fn broken_markers_are_not_guessed_at() {
        for text in [
            "# END perms web\n",
            "# BEGIN perms web\n",
            "# BEGIN perms web\n# BEGIN perms web\n# END perms web\n",
        ] {
            assert!(replace_block(text.as_bytes(), "web", "").is_err(), "{text}");
        }
    }

    #[test]
    fn what_doas_cannot_say_is_refused() {
        assert!(quote("a\nb").is_err() && quote("a\0").is_err() && quote(&"x".repeat(1024)).is_err());
        assert!(quote(&"x".repeat(1023)).is_ok());
        assert_eq!(quote("args").unwrap(), "\"args\"");
        assert_eq!(quote("a\\\"b").unwrap(), "\"a\\\\\\\"b\"");
    }
}
