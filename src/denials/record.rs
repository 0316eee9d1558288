//! A line of a log → its envelope: which audit record it holds, of which event, and how it came into the log.
//!
//! | channel | shape |
//! |---|---|
//! | auditd | `[node=H ]type=T msg=audit(SEC.MS:SERIAL): BODY` (also `host=`, also `ausearch` raw and `-i`) |
//! | kernel log | `[SYSLOG-PREFIX kernel: ][\[ TIME\] ][audit: ]type=1400 audit(SEC.MS:SERIAL): BODY` |
//! | journal | `SYSLOG-PREFIX audit[PID]: TYPE BODY`, and `journalctl -o json` |
//! | user bus | `SYSLOG-PREFIX dbus-daemon[PID]: avc:  denied …`, with no audit header at all |
//!
//! An envelope is recognised only where it belongs: at the start of the line or right after the syslog tag. A
//! program that logs the text of a record in the middle of its own message is not believed.

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::Finder;

pub use super::kind::Kind;
use super::log_line::log_line;
use super::time::{self, When};

/// How a record came into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Written by auditd, or printed by ausearch.
    Auditd,
    /// The kernel's own log.
    Kernel,
    /// The journal's audit socket, as text.
    Journal,
    /// A daemon's own log line.
    Daemon,
}

impl Channel {
    /// Whether any local user can write such a line (with `logger`), so that it proves little.
    pub fn forgeable(self) -> bool {
        matches!(self, Channel::Journal | Channel::Daemon)
    }
}

/// Which event a record is of. Two records with the same id are of the same event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Milliseconds since 1970; of the wall clock of an unknown zone where the log tells no more.
    pub time: u64,
    /// The serial number; 0 where the log has none.
    pub serial: u64,
    /// A hash of the host's name, 0 if the line has none.
    pub node: u64,
}

/// A record in its envelope.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// What it is.
    pub kind: Kind,
    /// The way it came.
    pub channel: Channel,
    /// The host, if the line names it.
    pub node: Option<&'a [u8]>,
    /// The event.
    pub id: Option<EventId>,
    /// When.
    pub when: When,
    /// The fields as the kernel or the program wrote them.
    pub body: &'a [u8],
    /// What auditd added after byte 0x1D: the same in names.
    pub enriched: &'a [u8],
    /// Whether `ausearch -i` turned the values into names, losing the quotes.
    pub interpreted: bool,
    /// The process that the syslog tag names.
    pub tag_pid: Option<u32>,
}

/// What a line is.
#[derive(Debug, Clone)]
pub enum Line<'a> {
    /// Nothing, or a mark that `ausearch` prints between events.
    Separator,
    /// An audit record.
    Record(Record<'a>),
    /// A line of a log that holds no audit record.
    Text(TextLine),
    /// None of these: the reason.
    Unread(&'static str),
}

/// What is worth knowing of a line without an audit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextLine {
    /// Nothing.
    Plain,
    /// The kernel says that audit records were lost or held back.
    Lost,
    /// An object manager says something of SELinux that is no denial.
    Notice,
}

/// Reads the envelope of `line`, which has no line end.
pub fn line(line: &[u8]) -> Line<'_> {
    let line = trim(line);
    if let [b' ' | b'\t', ..] = line {
        // A record pasted with its indentation; or a message of several lines going on.
        return match self::line(line.trim_ascii_start()) {
            Line::Unread(_) => Line::Text(TextLine::Plain),
            other => other,
        };
    }
    if line.is_empty() || line == b"----" || line.starts_with(b"time->") {
        return Line::Separator;
    }
    if line.starts_with(b"type=") {
        return audit(line, None, Channel::Auditd);
    }
    for key in [&b"node="[..], b"host="] {
        if let Some(rest) = line.strip_prefix(key) {
            let Some((node, rest)) = split_space(rest) else {
                return Line::Unread("a host name and nothing after it");
            };
            if rest.starts_with(b"type=") {
                return audit(rest, Some(node), Channel::Auditd);
            }
            return Line::Unread("no `type=` after the host name");
        }
    }
    if line.starts_with(b"{") {
        // The journal as JSON needs storage of its own; `scan` turns it into a line first.
        return Line::Unread("JSON that is not the journal's");
    }
    log_line(line)
}

/// `type=T msg=audit(…): BODY`, or the kernel's `type=1400 audit(…): BODY`.
pub(super) fn audit<'a>(line: &'a [u8], node: Option<&'a [u8]>, channel: Channel) -> Line<'a> {
    let Some((name, rest)) = line.strip_prefix(b"type=").and_then(split_space) else {
        return Line::Unread("a record type and nothing after it");
    };
    let Some(kind) = Kind::by_name(name) else {
        return Line::Unread("`type=` is followed by no record type");
    };
    let rest = rest.strip_prefix(b"msg=").unwrap_or(rest);
    let Some((stamp, rest)) = rest.strip_prefix(b"audit(").and_then(|r| {
        let end = memchr(b')', r)?;
        Some((r.get(..end)?, r.get(end + 1..)?))
    }) else {
        return Line::Unread("no `audit(TIME:SERIAL)`");
    };
    let Some((time, serial, when)) = time::stamp(stamp) else {
        return Line::Unread("no time and serial number in `audit(…)`");
    };
    let (interpreted, rest) = match rest.strip_prefix(b" :") {
        Some(rest) => (true, rest),
        None => match rest.strip_prefix(b":") {
            Some(rest) => (matches!(when, When::Wall(_)), rest),
            None => return Line::Unread("no `:` after `audit(…)`"),
        },
    };
    let body = rest.strip_prefix(b" ").unwrap_or(rest);
    let (body, enriched) = split_enriched(body);
    Line::Record(Record {
        kind,
        channel,
        node,
        id: Some(EventId { time, serial, node: node.map_or(0, hash) }),
        when,
        body,
        enriched,
        interpreted,
        tag_pid: None,
    })
}

/// What stands before that which auditd added.
pub(super) const PARTS: u8 = 0x1d;

static SCONTEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"scontext="));

/// The body, and what auditd appended to it after byte 0x1D: upper-case keys. A program's message may hold such a byte,
/// too, to have its own end cut off: then what follows is not of that form.
pub(super) fn split_enriched(body: &[u8]) -> (&[u8], &[u8]) {
    if let Some(at) = memchr::memrchr(PARTS, body)
        && let (Some(before), Some(after)) = (body.get(..at), body.get(at + 1..))
        && after.first().is_none_or(u8::is_ascii_uppercase)
        && SCONTEXT.find(after).is_none()
    {
        return (before, after);
    }
    (body, b"")
}

/// The word before the first space, and what follows the spaces.
pub(super) fn split_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b' ', text)?;
    let rest = text.get(at..)?;
    Some((text.get(..at)?, rest.trim_ascii_start()))
}

/// A line without what a crash or a copy put around it.
pub(super) fn trim(line: &[u8]) -> &[u8] {
    let mut line = line;
    // A crash leaves blocks of NUL bytes before the next record; CR and spaces end lines in copies.
    while let [b'\0' | b'\r', rest @ ..] = line {
        line = rest;
    }
    while let [rest @ .., b'\0' | b'\r' | b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

/// A decimal number.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// FNV-1a: for telling hosts apart within one log, where a collision could only mix evidence.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &[u8]) -> Record<'_> {
        match line(text) {
            Line::Record(r) => r,
            other => panic!("{}: {other:?}", String::from_utf8_lossy(text)),
        }
    }

    #[test]
    fn every_envelope_leads_to_the_same_body() {
        for (text, channel) in [
            ("type=AVC msg=audit(1795243796.744:2285): avc:  denied", Channel::Auditd),
            ("node=web type=AVC msg=audit(1795243796.744:2285): avc:  denied", Channel::Auditd),
            ("host=web type=AVC msg=audit(1795243796.744:2285): avc:  denied", Channel::Auditd),
            ("type=1400 msg=audit(1795243796.744:2285): avc:  denied", Channel::Auditd),
            ("type=UNKNOWN[1400] msg=audit(1795243796.744:2285): avc:  denied", Channel::Auditd),
            ("type=AVC msg=audit(11/21/26 06:49:56.744:2285) : avc:  denied", Channel::Auditd),
            ("type=AVC msg=audit(21/11/26 06:49:56.744:2285) : avc:  denied", Channel::Auditd),
            ("type=AVC msg=audit(2026-11-21 06:49:56.744:2285) : avc:  denied", Channel::Auditd),
            ("audit: type=1400 audit(1795243796.744:2285): avc:  denied", Channel::Kernel),
            ("[   12.000001] audit: type=1400 audit(1795243796.744:2285): avc:  denied", Channel::Kernel),
            ("[   12.000001] type=1400 audit(1795243796.744:2285): avc:  denied", Channel::Kernel),
            (
                "[Sat Nov 21 06:54:40 2026] audit: type=1400 audit(1795243796.744:2285): avc:  denied",
                Channel::Kernel,
            ),
            ("<5>[   12.0] audit: type=1400 audit(1795243796.744:2285): avc:  denied", Channel::Kernel),
            (
                "Nov 21 06:54:41 web kernel: [   12.0] audit: type=1400 audit(1795243796.744:2285): avc:  denied",
                Channel::Kernel,
            ),
            (
                "2026-11-21T06:54:41.1+01:00 web kernel: audit: type=1400 audit(1795243796.744:2285): avc:  denied",
                Channel::Kernel,
            ),
            (
                "Nov  1 06:54:41 web audispd: node=web type=AVC msg=audit(1795243796.744:2285): avc:  denied",
                Channel::Daemon,
            ),
            (
                "11-21 06:49:56.744  1234  1234 W auditd  : type=1400 audit(1795243796.744:2285): avc:  denied",
                Channel::Kernel,
            ),
        ] {
            let r = record(text.as_bytes());
            assert_eq!((r.kind, r.channel, r.body), (Kind::Avc, channel, &b"avc:  denied"[..]), "{text}");
            let id = r.id.unwrap();
            assert_eq!((id.time, id.serial), (1_795_243_796_744, 2285), "{text}");
        }
        let r = record(b"Nov 21 06:54:47.351000 perms-vm audit[863]: AVC avc:  denied");
        assert_eq!((r.kind, r.channel, r.tag_pid), (Kind::Avc, Channel::Journal, Some(863)));
        let r = record(b"Sat 2026-11-21 06:54:47 UTC vm dbus-daemon[34]: avc:  denied");
        assert_eq!((r.kind, r.channel, r.tag_pid), (Kind::UserAvc, Channel::Daemon, Some(34)));
    }

    #[test]
    fn a_record_inside_another_programs_message_is_not_believed() {
        for text in [
            "Nov 21 06:54:41 web app[7]: kernel: audit: type=1400 audit(1.000:2): avc:  denied",
            "Nov 21 06:54:41 web app[7]: type=AVC msg=audit(1.000:2): avc:  denied",
            "Nov 21 06:54:41 web app: said audit[1]: AVC avc:  denied",
        ] {
            assert!(matches!(line(text.as_bytes()), Line::Text(_)), "{text}");
        }
    }

    #[test]
    fn hostile_bytes_around_a_record() {
        let r = record(b"\0\0\0type=AVC msg=audit(1.002:3): avc: denied\r");
        assert_eq!((r.id.unwrap().time, r.body), (1002, &b"avc: denied"[..]));
        let r = record(b"type=AVC msg=audit(1.002:3): a=1\x1dUID=\"root\"");
        assert_eq!((r.body, r.enriched), (&b"a=1"[..], &b"UID=\"root\""[..]));
        for bad in [
            &b"type=AVC"[..],
            b"type=AVC msg=audit(",
            b"type=AVC msg=audit(99999999999999999999.000:1): x",
            b"type=AVC msg=audit(1.1:x): y",
            b"type=avc; msg=audit(1.000:1): y",
            b"node=",
            b"\xff\xfe\x00",
            b"hello",
            b"Nov 9999999999999999999 06:54:41 web kernel: x",
        ] {
            assert!(matches!(line(bad), Line::Unread(_)), "{bad:?}");
        }
    }
}
