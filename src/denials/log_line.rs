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
    // `dmesg -x` has facility and level first.
    let line = match line.strip_prefix(b"kern  :").and_then(|rest| Some((memchr(b':', rest)?, rest))) {
        Some((level @ ..=8, rest)) => rest.get(level + 1..).unwrap_or_default().trim_ascii_start(),
        _ => line,
    };
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
    if let Some(message) = logcat(line) {
        return message;
    }
    if let Some((wall, rest)) = time::of_log_line(line) {
        if starts_like_kernel(rest) && line.first().is_some_and(u8::is_ascii_digit) {
            // `dmesg --time-format iso` has neither host nor tag. (syslog has a host, whichever the message.)
            return kernel(rest, None);
        }
        return match tagged(rest).or_else(|| protocol(line, rest)) {
            Some((host, tag)) => by_tag(Some(host), tag, Some(wall)),
            None => Line::Text(TextLine::Plain),
        };
    }
    // A bare line of the kernel or of an object manager, copied out of its log.
    if line.starts_with(b"avc:") {
        return Line::Record(bare(Kind::UserAvc, line, Channel::Daemon));
    }
    // `journalctl -o cat` of the audit socket.
    if [&b"AVC avc:"[..], b"USER_AVC pid=", b"SELINUX_ERR op="].iter().any(|head| line.starts_with(head)) {
        return journal(None, None, line, None);
    }
    if line.starts_with(b"-- ") || line.starts_with(b"--------- beginning of ") {
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

/// The same in the syslog protocol (RFC 5424), `<PRIORITY>1 TIME HOST TAG PID MESSAGE-ID DATA MESSAGE`, the data being
/// none (`-`). `rest` is what follows the time.
fn protocol<'a>(line: &[u8], rest: &'a [u8]) -> Option<(&'a [u8], Tagged<'a>)> {
    let version = memchr(b'>', line.strip_prefix(b"<")?.get(..4)?)?;
    line.get(version + 2..)?.strip_prefix(b"1 ")?;
    let (host, rest) = split_space(rest)?;
    let (tag, rest) = split_space(rest)?;
    let (pid, rest) = split_space(rest)?;
    let (_, rest) = split_space(rest)?;
    let message = rest.strip_prefix(b"- ")?;
    let message = message.strip_prefix("\u{feff}".as_bytes()).unwrap_or(message);
    Some((host, Tagged { tag, pid: number(pid).and_then(|n| u32::try_from(n).ok()), message }))
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
                let mut record = bare(Kind::UserAvc, message, Channel::Daemon);
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
pub(super) fn bare(kind: Kind, text: &[u8], channel: Channel) -> Record<'_> {
    let (body, enriched) = split_enriched(text);
    Record {
        kind,
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
        let mut record = bare(Kind::UserAvc, message, Channel::Kernel);
        record.kind = Kind::Avc;
        record.node = host;
        return Line::Record(record);
    }
    let lost = [
        &b"audit_lost="[..],
        b"backlog limit exceeded",
        b"rate limit exceeded",
        b"queue overflow",
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

/// What follows `[   12.345678] `, `[Sat Nov 21 …] ` or `<5>[…] `.
fn dmesg_prefix(line: &[u8]) -> Option<&[u8]> {
    let line = match line.strip_prefix(b"<").and_then(|l| Some((memchr(b'>', l)?, l))) {
        Some((end @ 1..=3, l)) => l.get(end + 1..)?,
        _ => line,
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

/// A line of Android's logcat: `[YYYY-]MM-DD HH:MM:SS.mmm PID TID LEVEL TAG: MESSAGE` (threadtime), `… LEVEL/TAG( PID): `
/// (time), and without the time (brief, tag).
///
/// The kernel's own lines reach logcat through auditd; what a manager (of services, of properties) says comes under its
/// tag, which any program may take.
fn logcat(line: &[u8]) -> Option<Line<'_>> {
    let year = line.get(4) == Some(&b'-') && number(line.get(..4)?).is_some();
    let day = if year { line.get(5..)? } else { line };
    let dated = day.get(2) == Some(&b'-')
        && day.get(5) == Some(&b' ')
        && number(day.get(..2)?).is_some()
        && number(day.get(3..5)?).is_some()
        && time::clock_micros(day.get(6..)?).is_some();
    let rest = if dated { day.get(18..)? } else { line };
    let rest = rest.trim_ascii_start();
    let level =
        |text: &[u8]| matches!(text, [b'V' | b'D' | b'I' | b'W' | b'E' | b'F' | b'S', b' ' | b'/', ..]);
    let tagged = if level(rest) && rest.get(1) == Some(&b'/') {
        rest
    } else if dated {
        let (pid, rest) = split_space(rest)?;
        let (tid, rest) = split_space(rest)?;
        (number(pid).is_some() && number(tid).is_some() && level(rest)).then_some(rest)?
    } else {
        return None;
    };
    // The tag holds no `: `; the first one ends it.
    let at = memmem::find(tagged, b": ")?;
    let message = tagged.get(at + 2..)?;
    Some(if message.starts_with(b"type=") {
        audit(message, None, Channel::Kernel)
    } else if message.starts_with(b"avc:") {
        Line::Record(bare(Kind::UserAvc, message, Channel::Daemon))
    } else {
        Line::Text(TextLine::Plain)
    })
}
