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

use memchr::{memchr, memmem};

/// What a record is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// 1400, kernel.
    Avc,
    /// 1107, an object manager in user space.
    UserAvc,
    /// 1401 and 1122.
    SelinuxErr,
    /// 1300.
    Syscall,
    /// 1302.
    Path,
    /// 1307.
    Cwd,
    /// 1327; the last record of an event.
    Proctitle,
    /// 1306.
    Sockaddr,
    /// 1309.
    Execve,
    /// 1402: the path of an AVC, in old kernels.
    AvcPath,
    /// 1403 and 2310.
    PolicyLoad,
    /// 1404.
    Status,
    /// 1405.
    Boolean,
    /// 1420 and its like: IPE's, of no interest here.
    Ipe,
    /// Any other audit record.
    Other,
}

impl Kind {
    fn by_name(name: &[u8]) -> Option<Kind> {
        Some(match name {
            b"AVC" => Kind::Avc,
            b"USER_AVC" => Kind::UserAvc,
            b"SELINUX_ERR" | b"USER_SELINUX_ERR" => Kind::SelinuxErr,
            b"SYSCALL" => Kind::Syscall,
            b"PATH" => Kind::Path,
            b"CWD" => Kind::Cwd,
            b"PROCTITLE" | b"EOE" => Kind::Proctitle,
            b"SOCKADDR" => Kind::Sockaddr,
            b"EXECVE" => Kind::Execve,
            b"AVC_PATH" => Kind::AvcPath,
            b"MAC_POLICY_LOAD" | b"USER_MAC_POLICY_LOAD" => Kind::PolicyLoad,
            b"MAC_STATUS" => Kind::Status,
            b"MAC_CONFIG_CHANGE" => Kind::Boolean,
            b"IPE_ACCESS" | b"IPE_CONFIG_CHANGE" | b"IPE_POLICY_LOAD" => Kind::Ipe,
            _ => {
                let inner = name.strip_prefix(b"UNKNOWN[").and_then(|n| n.strip_suffix(b"]"));
                if let Some(number) = number(inner.unwrap_or(name)) {
                    return Some(Kind::by_number(number));
                }
                let plausible = name.len() >= 2
                    && name.len() <= 40
                    && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
                return plausible.then_some(Kind::Other);
            }
        })
    }

    fn by_number(number: u64) -> Kind {
        match number {
            1107 => Kind::UserAvc,
            1122 | 1401 => Kind::SelinuxErr,
            1300 => Kind::Syscall,
            1302 => Kind::Path,
            1306 => Kind::Sockaddr,
            1307 => Kind::Cwd,
            1309 => Kind::Execve,
            1320 | 1327 => Kind::Proctitle,
            1400 => Kind::Avc,
            1402 => Kind::AvcPath,
            1403 | 2310 => Kind::PolicyLoad,
            1404 => Kind::Status,
            1405 => Kind::Boolean,
            1420..=1422 => Kind::Ipe,
            _ => Kind::Other,
        }
    }
}

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
    /// When, if the line tells: milliseconds since 1970.
    pub time: Option<u64>,
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
fn audit<'a>(line: &'a [u8], node: Option<&'a [u8]>, channel: Channel) -> Line<'a> {
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
    let Some((time, serial, human)) = stamp_of(stamp) else {
        return Line::Unread("no time and serial number in `audit(…)`");
    };
    let (interpreted, rest) = match rest.strip_prefix(b" :") {
        Some(rest) => (true, rest),
        None => match rest.strip_prefix(b":") {
            Some(rest) => (human, rest),
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
        // Android's logcat writes 0.0.
        time: (time != 0).then_some(time),
        body,
        enriched,
        interpreted,
        tag_pid: None,
    })
}

/// The body, and what auditd appended to it after byte 0x1D: upper-case keys. A program's message may hold such a byte,
/// too, to have its own end cut off: then what follows is not of that form.
fn split_enriched(body: &[u8]) -> (&[u8], &[u8]) {
    if let Some(at) = memchr::memrchr(0x1d, body)
        && let (Some(before), Some(after)) = (body.get(..at), body.get(at + 1..))
        && after.first().is_none_or(u8::is_ascii_uppercase)
        && memmem::find(after, b"scontext=").is_none()
    {
        return (before, after);
    }
    (body, b"")
}

/// A line of syslog, the journal, dmesg or logcat.
fn log_line(line: &[u8]) -> Line<'_> {
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
    if let Some((time, rest)) = syslog_time(line) {
        return match tagged(rest) {
            Some((host, tag)) => by_tag(Some(host), tag, time),
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

fn by_tag<'a>(host: Option<&'a [u8]>, tagged: Tagged<'a>, time: Option<u64>) -> Line<'a> {
    let Tagged { tag, pid, message } = tagged;
    match tag {
        b"kernel" => {
            let message = dmesg_prefix(message).unwrap_or(message);
            kernel(message, host)
        }
        b"audit" => journal(host, pid, message, time),
        b"auditd" | b"audispd" | b"audisp-syslog" => embedded(message, host),
        _ => {
            if message.starts_with(b"avc:") {
                let mut record = bare(message, Channel::Daemon);
                record.node = host;
                record.tag_pid = pid;
                return Line::Record(record);
            }
            Line::Text(TextLine::Plain)
        }
    }
}

/// A record without a header.
fn bare(body: &[u8], channel: Channel) -> Record<'_> {
    Record {
        kind: Kind::UserAvc,
        channel,
        node: None,
        id: None,
        time: None,
        body,
        enriched: b"",
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
fn journal<'a>(host: Option<&'a [u8]>, pid: Option<u32>, message: &'a [u8], time: Option<u64>) -> Line<'a> {
    if message.starts_with(b"type=") {
        return audit(message, host, Channel::Journal);
    }
    let (name, body) = split_space(message).unwrap_or((message, b""));
    let Some(kind) = Kind::by_name(name) else { return Line::Text(TextLine::Plain) };
    Line::Record(Record {
        kind,
        channel: Channel::Journal,
        node: host,
        id: time.map(|time| EventId { time, serial: 0, node: host.map_or(0, hash) }),
        time: None,
        body,
        enriched: b"",
        interpreted: false,
        tag_pid: pid,
    })
}

/// `SEC.MS:SERIAL`, or what `ausearch -i` makes of it, `11/21/26 06:49:56.744:2285`: time, serial, whether the
/// latter.
fn stamp_of(stamp: &[u8]) -> Option<(u64, u64, bool)> {
    let colon = memchr::memrchr(b':', stamp)?;
    let serial = number(stamp.get(colon + 1..)?)?;
    let time = stamp.get(..colon)?;
    let dot = memchr::memrchr(b'.', time)?;
    let (whole, ms) = (time.get(..dot)?, time.get(dot + 1..)?);
    if ms.len() > 3 {
        return None;
    }
    let ms = number(ms)?;
    if let Some(seconds) = number(whole) {
        return Some((seconds.checked_mul(1000)?.checked_add(ms)?, serial, false));
    }
    let seconds = human_time(whole)?;
    Some((seconds.checked_mul(1000)?.checked_add(ms)?, serial, true))
}

/// Date and time in a locale's form (`%x %X`), as if in UTC: seconds since 1970. Months come first unless that
/// cannot be.
fn human_time(text: &[u8]) -> Option<u64> {
    let mut n = [0u64; 6];
    let mut slots = n.iter_mut();
    let mut first_len = 0;
    for (i, part) in text.split(|b| !b.is_ascii_digit()).filter(|p| !p.is_empty()).enumerate() {
        if i == 0 {
            first_len = part.len();
        }
        match slots.next() {
            Some(slot) => *slot = number(part)?,
            None => break,
        }
    }
    let [a, b, c, hour, minute, second] = n;
    let (year, month, day) = match (first_len, a, b) {
        (4, ..) => (a, b, c),
        (_, 13.., _) => (c, b, a),
        _ => (c, a, b),
    };
    let year = if year < 100 { year + 2000 } else { year };
    civil(year, month, day, hour, minute, second).map(|ms| ms / 1000)
}

/// Milliseconds since 1970 of a date and time taken as UTC.
fn civil(year: u64, month: u64, day: u64, hour: u64, minute: u64, second: u64) -> Option<u64> {
    let small = |n: u64| i8::try_from(n).ok();
    let date = jiff::civil::DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        0,
    )
    .ok()?;
    let stamp = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    u64::try_from(stamp.as_millisecond()).ok()
}

/// The time that begins a line of syslog or the journal, and what follows it. The time is in microseconds, of an
/// unknown year and zone: it only tells which lines belong together.
fn syslog_time(line: &[u8]) -> Option<(Option<u64>, &[u8])> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let line = match line.strip_prefix(b"<").and_then(|l| Some((memchr(b'>', l)?, l))) {
        // The priority of the syslog protocol.
        Some((end @ 1..=3, l)) => l.get(end + 1..)?,
        _ => line,
    };
    let first = line.get(..3)?;
    if let Some(month) = MONTHS.iter().position(|m| *m == first) {
        let rest = line.get(3..)?.strip_prefix(b" ")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (day, rest) = split_space(rest)?;
        let (clock, rest) = split_space(rest)?;
        let day = number(day).filter(|d| *d <= 31)?;
        let month = u64::try_from(month).ok()?;
        let clock = clock_micros(clock)?;
        return Some((Some((month * 32 + day) * 86_400_000_000 + clock), rest));
    }
    // `2026-11-21T06:54:40.855000+01:00 …` and `Sat 2026-11-21 06:54:40 UTC …`.
    let (date, mut rest) = match split_space(line)? {
        (b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun", rest) => split_space(rest)?,
        other => other,
    };
    let (year, month, day) = (number(date.get(..4)?)?, number(date.get(5..7)?)?, number(date.get(8..10)?)?);
    if date.get(4) != Some(&b'-') || date.get(7) != Some(&b'-') {
        return None;
    }
    let clock = match date.get(10) {
        Some(b'T') => date.get(11..)?,
        None => {
            let (clock, after) = split_space(rest)?;
            let (_zone, after) = split_space(after)?;
            rest = after;
            clock
        }
        Some(_) => return None,
    };
    let micros = clock_micros(clock)?;
    Some((Some(((year * 12 + month) * 32 + day) * 86_400_000_000 + micros), rest))
}

/// `HH:MM:SS[.FRACTION][ZONE]` in microseconds.
fn clock_micros(clock: &[u8]) -> Option<u64> {
    let (h, m, s) = (number(clock.get(..2)?)?, number(clock.get(3..5)?)?, number(clock.get(6..8)?)?);
    if clock.get(2) != Some(&b':') || clock.get(5) != Some(&b':') || h > 24 || m > 60 || s > 60 {
        return None;
    }
    let mut micros = 0;
    if let Some(fraction) = clock.get(8..).and_then(|f| f.strip_prefix(b".").or_else(|| f.strip_prefix(b",")))
    {
        let mut scale = 100_000;
        for b in fraction.iter().take(6).take_while(|b| b.is_ascii_digit()) {
            micros += u64::from(b - b'0') * scale;
            scale /= 10;
        }
    }
    Some(((h * 60 + m) * 60 + s) * 1_000_000 + micros)
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
        && clock_micros(line.get(6..)?).is_some();
    if !plausible {
        return None;
    }
    // The tag holds no `: `; the first one ends it.
    let at = memmem::find(line.get(18..)?, b": ")?;
    line.get(18 + at + 2..)
}

/// The word before the first space, and what follows the spaces.
fn split_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b' ', text)?;
    let rest = text.get(at..)?;
    Some((text.get(..at)?, rest.trim_ascii_start()))
}

fn trim(line: &[u8]) -> &[u8] {
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
fn hash(bytes: &[u8]) -> u64 {
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
