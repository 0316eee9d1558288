//! Lines of syslog, the journal, dmesg and logcat that hold an audit record.
//!
//! An envelope is recognised only where it belongs: at the start of the line or right after the syslog tag. A
//! program that logs the text of a record in the middle of its own message is not believed.

use memchr::{memchr, memmem};

use super::kind::Kind;
use super::record::{
    Channel, EventId, Line, Record, TextLine, audit, hash, number, split_enriched, split_space,
};
use super::time::{self, Wall, When};

/// A line of syslog, the journal, dmesg or logcat.
pub(super) fn log_line(line: &[u8]) -> Line<'_> {
    if let Some(message) = dmesg_prefix(line) {
        // `journalctl -o short-monotonic` has host and tag after the time.
        if let Some((host, tag)) = tagged(message)
            && !starts_like_kernel(message)
        {
            return by_tag(Some(host), tag, None);
        }
        return kernel(message, None);
    }
    if starts_like_kernel(line) {
        return kernel(line, None);
    }
    if let Some((wall, rest)) = time::of_log_line(line) {
        return match tagged(rest) {
            Some((host, tag)) => by_tag(Some(host), tag, Some(wall)),
            None => Line::Text(TextLine::Plain),
        };
    }
    if let Some(rest) = logcat_prefix(line) {
        if rest.starts_with(b"type=") {
            return audit(rest, None, Channel::Kernel);
        }
        return Line::Text(TextLine::Plain);
    }
    // A bare line of the kernel or of an object manager, copied out of its log.
    if line.starts_with(b"avc:") {
        return Line::Record(bare(line, Channel::Daemon));
    }
    if line.starts_with(b"-- ") {
        return Line::Text(TextLine::Plain);
    }
    Line::Unread("no audit record and no log line that is known")
}

/// The tag of a syslog line, its process, and its message.
struct Tagged<'a> {
    tag: &'a [u8],
    pid: Option<u32>,
    message: &'a [u8],
}

/// `HOST TAG[PID]: MESSAGE`.
fn tagged(line: &[u8]) -> Option<(&[u8], Tagged<'_>)> {
    let (host, rest) = split_space(line)?;
    let end = memchr(b' ', rest).unwrap_or(rest.len());
    let word = rest.get(..end)?.strip_suffix(b":")?;
    let message = rest.get(end..)?;
    let message = message.strip_prefix(b" ").unwrap_or(message);
    let (tag, pid) = match word.strip_suffix(b"]").and_then(|w| {
        let open = memchr(b'[', w)?;
        Some((w.get(..open)?, w.get(open + 1..)?))
    }) {
        Some((tag, pid)) => (tag, number(pid).and_then(|n| u32::try_from(n).ok())),
        None => (word, None),
    };
    Some((host, Tagged { tag, pid, message }))
}

fn by_tag<'a>(host: Option<&'a [u8]>, tagged: Tagged<'a>, wall: Option<Wall>) -> Line<'a> {
    let Tagged { tag, pid, message } = tagged;
    match tag {
        b"kernel" => {
            let message = dmesg_prefix(message).unwrap_or(message);
            kernel(message, host)
        }
        b"audit" => journal(host, pid, message, wall),
        b"auditd" | b"audispd" | b"audisp-syslog" => embedded(message, host),
        _ => {
            if message.starts_with(b"avc:") {
                let mut record = bare(message, Channel::Daemon);
                record.node = host;
                record.tag_pid = pid;
                record.when = wall.map_or(When::Unknown, When::Wall);
                return Line::Record(record);
            }
            Line::Text(TextLine::Plain)
        }
    }
}

/// A record without a header.
fn bare(text: &[u8], channel: Channel) -> Record<'_> {
    let (body, enriched) = split_enriched(text);
    Record {
        kind: Kind::UserAvc,
        channel,
        node: None,
        id: None,
        when: When::Unknown,
        body,
        enriched,
        interpreted: false,
        tag_pid: None,
    }
}

/// What auditd's syslog plugin passes on: the record as in audit.log.
fn embedded<'a>(message: &'a [u8], host: Option<&'a [u8]>) -> Line<'a> {
    let (node, rest) = match message.strip_prefix(b"node=").and_then(split_space) {
        Some((node, rest)) => (Some(node), rest),
        None => (host, message),
    };
    if rest.starts_with(b"type=") {
        return match audit(rest, node, Channel::Daemon) {
            Line::Unread(_) => Line::Text(TextLine::Plain),
            other => other,
        };
    }
    Line::Text(TextLine::Plain)
}

fn starts_like_kernel(message: &[u8]) -> bool {
    message.starts_with(b"audit: ") || message.starts_with(b"type=") || message.starts_with(b"avc:")
}

/// A message of the kernel's log.
fn kernel<'a>(message: &'a [u8], host: Option<&'a [u8]>) -> Line<'a> {
    // CONFIG_PRINTK_CALLER adds `[    T1]`.
    let message = dmesg_prefix(message).unwrap_or(message);
    let message = message.strip_prefix(b"audit: ").unwrap_or(message);
    if message.starts_with(b"type=") {
        return audit(message, host, Channel::Kernel);
    }
    if message.starts_with(b"avc:") {
        let mut record = bare(message, Channel::Kernel);
        record.kind = Kind::Avc;
        record.node = host;
        return Line::Record(record);
    }
    let lost = [
        &b"audit_lost="[..],
        b"audit: backlog limit exceeded",
        b"backlog limit exceeded",
        b"callbacks suppressed",
    ]
    .iter()
    .any(|needle| memmem::find(message, needle).is_some());
    Line::Text(if lost { TextLine::Lost } else { TextLine::Plain })
}

/// A line of the journal's audit socket: `AVC avc:  denied …`. It has no serial number; records of one event carry
/// the same time to the microsecond.
fn journal<'a>(host: Option<&'a [u8]>, pid: Option<u32>, message: &'a [u8], wall: Option<Wall>) -> Line<'a> {
    if message.starts_with(b"type=") {
        return audit(message, host, Channel::Journal);
    }
    let (name, body) = split_space(message).unwrap_or((message, b""));
    let Some(kind) = Kind::by_name(name) else { return Line::Text(TextLine::Plain) };
    Line::Record(Record {
        kind,
        channel: Channel::Journal,
        node: host,
        id: wall.map(|wall| EventId { time: wall.key(), serial: 0, node: host.map_or(0, hash) }),
        when: wall.map_or(When::Unknown, When::Wall),
        body,
        enriched: b"",
        interpreted: false,
        tag_pid: pid,
    })
}

/// What follows `[   12.345678] `, `[Sat Nov 21 …] ` or `<5>[…] ` (also `kern  :notice: [`).
fn dmesg_prefix(line: &[u8]) -> Option<&[u8]> {
    let line = match line.strip_prefix(b"<").and_then(|l| Some((memchr(b'>', l)?, l))) {
        Some((end @ 1..=3, l)) => l.get(end + 1..)?,
        _ => line,
    };
    let line = match line.strip_prefix(b"kern  :") {
        Some(rest) => rest.get(memchr(b'[', rest)?..)?,
        None => line,
    };
    let inner = line.strip_prefix(b"[")?;
    let end = memchr(b']', inner)?;
    let time = inner.get(..end)?;
    let plausible = time.len() <= 40
        && time.iter().any(u8::is_ascii_digit)
        && time
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'.' | b':' | b'+' | b'-' | b'@'));
    if !plausible {
        return None;
    }
    let rest = inner.get(end + 1..)?;
    Some(rest.strip_prefix(b" ").unwrap_or(rest))
}

/// What follows the tag of Android's `MM-DD HH:MM:SS.mmm PID TID LEVEL TAG: `.
fn logcat_prefix(line: &[u8]) -> Option<&[u8]> {
    let plausible = line.get(2) == Some(&b'-')
        && line.get(5) == Some(&b' ')
        && number(line.get(..2)?).is_some()
        && number(line.get(3..5)?).is_some()
        && time::clock_micros(line.get(6..)?).is_some();
    if !plausible {
        return None;
    }
    // The tag holds no `: `; the first one ends it.
    let at = memmem::find(line.get(18..)?, b": ")?;
    line.get(18 + at + 2..)
}
