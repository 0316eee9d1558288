//! Untrusted text made fit for a terminal and for one line of output.
//!
//! File names, labels, log fields and sudoers lines are written by others. Control characters (an
//! escape sequence could rewrite what the reader sees), bytes that are not UTF-8, and characters
//! that reorder text are shown as escapes; everything else is left as it is.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Escapes a text: `\n`, `\t`, `\xNN` for other control characters, `\u{…}` for characters that
/// hide or reorder text, and `\\` for a backslash that would otherwise read as an escape.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_str(&mut out, text);
    out
}

/// Escapes bytes: as [`escape`], with `\xNN` for each byte that is not UTF-8.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_str(&mut out, chunk.valid());
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

/// Escapes a path.
pub fn escape_path(path: &Path) -> String {
    escape_bytes(path.as_os_str().as_bytes())
}

fn push_str(out: &mut String, text: &str) {
    push_with(out, text, |out, c| {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            _ => return false,
        }
        true
    });
}

/// Adds a text made harmless. `own` is asked first about tabs, line ends and backslashes: whether it has written them in its own
/// way. Stretches of plain text, which is nearly all there is, are copied whole.
pub(super) fn push_with(out: &mut String, text: &str, own: impl Fn(&mut String, char) -> bool) {
    // No `&&`, and all bytes are asked, so that the compiler can ask sixteen at a time.
    let plain = |b: u8| (b.wrapping_sub(b' ') < 0x5f) & (b != b'\\');
    if text.bytes().map(|b| u8::from(!plain(b))).fold(0, |odd, b| odd | b) == 0 {
        out.push_str(text);
        return;
    }
    let mut rest = text;
    loop {
        let safe = rest.bytes().take_while(|b| plain(*b)).count();
        let (safe, odd) = rest.split_at(safe);
        out.push_str(safe);
        let mut chars = odd.chars();
        let Some(c) = chars.next() else { return };
        rest = chars.as_str();
        if matches!(c, '\n' | '\t' | '\r' | '\\') && own(out, c) {
            continue;
        }
        if (c as u32) < 0x20 || c as u32 == 0x7f {
            let _ = write!(out, "\\x{:02x}", c as u32);
        } else if hides(c) {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
}

/// C1 controls, and characters that are invisible or change the direction of what follows.
fn hides(c: char) -> bool {
    matches!(c as u32,
        0x80..=0x9f | 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
        | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_never_told_what_to_do() {
        assert_eq!(escape("a\x1b[2Jb"), "a\\x1b[2Jb");
        assert_eq!(escape("a\u{9b}2J"), "a\\u{9b}2J");
        assert_eq!(escape("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(escape_bytes(b"caf\xe9\n"), "caf\\xe9\\n");
        assert_eq!(escape("grün \\ ok"), "grün \\\\ ok");
    }
}
