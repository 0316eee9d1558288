//! Times in logs: stamps of audit records, and the wall clocks of syslog, the journal and `ausearch -i`.
//!
//! A wall clock names no zone, or no year. What it means is told by a [`Clock`]: lines without a zone are taken to be
//! of this host's, and lines without a year of the last year in which they are not in the future.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use memchr::memchr;

use super::record::{number, split_space};

/// When something was written, as far as its line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing is told.
    Unknown,
    /// Milliseconds since 1970.
    Exact(u64),
    /// A wall clock.
    Wall(Wall),
}

/// A reading of a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// `None` in the traditional form of syslog.
    year: Option<u16>,
    month: u8,
    day: u8,
    /// Microseconds since midnight.
    micros: u64,
    /// Seconds east of Greenwich, if the line says so.
    offset: Option<i32>,
}

/// What wall clocks are read by.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Now: milliseconds since 1970.
    pub now: u64,
    /// The zone of lines that name none.
    pub zone: TimeZone,
}

impl Default for Clock {
    fn default() -> Self {
        let now = jiff::Timestamp::now().as_millisecond();
        Clock { now: u64::try_from(now).unwrap_or(0), zone: TimeZone::system() }
    }
}

/// How far into the future a line may be before its year is taken to be the last one.
const AHEAD: u64 = 24 * 3600 * 1000;

impl Clock {
    /// Milliseconds since 1970.
    pub fn millis(&self, when: When) -> Option<u64> {
        match when {
            When::Unknown => None,
            When::Exact(ms) => Some(ms),
            When::Wall(wall) => match wall.year {
                Some(year) => self.in_year(&wall, i16::try_from(year).ok()?),
                None => {
                    let now = jiff::Timestamp::from_millisecond(i64::try_from(self.now).ok()?).ok()?;
                    let year = now.to_zoned(self.zone.clone()).year();
                    // Eight years back there is a 29 February in any case.
                    let mut years = (0..=8).filter_map(|back| self.in_year(&wall, year.checked_sub(back)?));
                    years.find(|ms| *ms <= self.now.saturating_add(AHEAD))
                }
            },
        }
    }

    fn in_year(&self, wall: &Wall, year: i16) -> Option<u64> {
        let small = |n: u64| i8::try_from(n).ok();
        let seconds = wall.micros / 1_000_000;
        let civil = DateTime::new(
            year,
            i8::try_from(wall.month).ok()?,
            i8::try_from(wall.day).ok()?,
            small(seconds / 3600)?,
            small(seconds / 60 % 60)?,
            small(seconds % 60)?,
            i32::try_from(wall.micros % 1_000_000 * 1000).ok()?,
        )
        .ok()?;
        let zone = match wall.offset {
            Some(seconds) => Offset::from_seconds(seconds).ok()?.to_time_zone(),
            None => self.zone.clone(),
        };
        u64::try_from(civil.to_zoned(zone).ok()?.timestamp().as_millisecond()).ok()
    }
}

impl Wall {
    /// Microseconds since 1970 as if in UTC (and in 1970, if there is no year): it tells which lines belong together.
    pub fn key(&self) -> u64 {
        // Days since 1970, as if a year began in March.
        let (year, month) = (u64::from(self.year.unwrap_or(1970)), u64::from(self.month));
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days =
            year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + u64::from(self.day);
        let days = days.saturating_sub(719_469);
        days * 86_400_000_000 + self.micros
    }
}

/// `SEC.MS:SERIAL`, or what `ausearch -i` makes of it, `11/21/26 06:49:56.744:2285`: the time as a number that tells
/// events apart (milliseconds), the serial number, and when that was.
pub(super) fn stamp(text: &[u8]) -> Option<(u64, u64, When)> {
    let colon = memchr::memrchr(b':', text)?;
    let serial = number(text.get(colon + 1..)?)?;
    let time = text.get(..colon)?;
    let dot = memchr::memrchr(b'.', time)?;
    let (whole, ms) = (time.get(..dot)?, time.get(dot + 1..)?);
    if ms.len() > 3 {
        return None;
    }
    let ms = number(ms)?;
    if let Some(seconds) = number(whole) {
        let time = seconds.checked_mul(1000)?.checked_add(ms)?;
        // Android's logcat writes 0.0.
        return Some((time, serial, if time == 0 { When::Unknown } else { When::Exact(time) }));
    }
    let wall = human(whole, ms)?;
    Some((wall.key() / 1000, serial, When::Wall(wall)))
}

/// Date and time in a locale's form (`%x %X`). Months come first unless that cannot be.
fn human(text: &[u8], ms: u64) -> Option<Wall> {
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
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let micros = ((hour * 60 + minute) * 60 + second.min(59)) * 1_000_000 + ms * 1000;
    date(Some(year), month, day, micros, None)
}

fn date(year: Option<u64>, month: u64, day: u64, micros: u64, offset: Option<i32>) -> Option<Wall> {
    let year = match year {
        Some(year) => Some(u16::try_from(year).ok().filter(|y| (1970..=9999).contains(y))?),
        None => None,
    };
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then_some(Wall {
        year,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        micros,
        offset,
    })
}

/// The time that begins a line of syslog or the journal, and what follows it.
///
/// `Nov 21 06:54:40`, `2026-11-21T06:54:40.855+01:00` (syslog's and the journal's forms of ISO 8601),
/// `Sat 2026-11-21 06:54:40 UTC` and `2026-11-21 06:54:40` (`journalctl -o short-full`), `1795244080.855000` (`-o
/// short-unix`), each also after `<PRIORITY>`, and after it the version of RFC 5424.
pub(super) fn of_log_line(line: &[u8]) -> Option<(Wall, &[u8])> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let line = match line.strip_prefix(b"<").and_then(|l| Some((memchr(b'>', l)?, l))) {
        // The priority of the syslog protocol.
        Some((end @ 1..=3, l)) => {
            let rest = l.get(end + 1..)?;
            rest.strip_prefix(b"1 ").unwrap_or(rest)
        }
        _ => line,
    };
    let first = line.get(..3)?;
    if let Some(month) = MONTHS.iter().position(|m| *m == first) {
        let rest = line.get(3..)?.strip_prefix(b" ")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (day, rest) = split_space(rest)?;
        let (clock, rest) = split_space(rest)?;
        let (micros, _) = clock_micros(clock)?;
        return Some((date(None, u64::try_from(month).ok()? + 1, number(day)?, micros, None)?, rest));
    }
    if let Some((seconds, after)) = split_space(line)
        && let Some(wall) = since_1970(seconds)
    {
        return Some((wall, after));
    }
    let (text, mut rest) = match split_space(line)? {
        (b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun", rest) => split_space(rest)?,
        other => other,
    };
    let (year, month, day) = (number(text.get(..4)?)?, number(text.get(5..7)?)?, number(text.get(8..10)?)?);
    if text.get(4) != Some(&b'-') || text.get(7) != Some(&b'-') {
        return None;
    }
    let (clock, mut offset) = match text.get(10) {
        Some(b'T') => clock_micros(text.get(11..)?)?,
        None => {
            let (clock, after) = split_space(rest)?;
            rest = after;
            clock_micros(clock)?
        }
        Some(_) => return None,
    };
    if text.len() == 10
        && let Some((zone, after)) = split_space(rest)
        && !zone.is_empty()
        && zone.len() <= 6
        && (zone.iter().all(u8::is_ascii_uppercase) || offset_of(zone).is_some())
    {
        offset = if zone == b"UTC" || zone == b"GMT" { Some(0) } else { offset_of(zone) };
        rest = after;
    }
    Some((date(Some(year), month, day, clock, offset)?, rest))
}

/// `1795244080.855000`: seconds since 1970, with microseconds.
fn since_1970(text: &[u8]) -> Option<Wall> {
    let (seconds, fraction) = text.split_at_checked(memchr(b'.', text)?)?;
    let micros = fraction.strip_prefix(b".").filter(|f| f.len() == 6).and_then(number)?;
    let seconds = i64::try_from(number(seconds)?).ok()?;
    let civil = Offset::UTC.to_datetime(jiff::Timestamp::from_second(seconds).ok()?);
    let part = |n: i8| u64::try_from(n).ok();
    let (hour, minute, second) = (part(civil.hour())?, part(civil.minute())?, part(civil.second())?);
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    let year = u64::try_from(civil.year()).ok()?;
    date(Some(year), part(civil.month())?, part(civil.day())?, micros, Some(0))
}

/// `HH:MM:SS[.FRACTION][ZONE]`: microseconds since midnight, and the zone.
pub(super) fn clock_micros(clock: &[u8]) -> Option<(u64, Option<i32>)> {
    let (h, m, s) = (number(clock.get(..2)?)?, number(clock.get(3..5)?)?, number(clock.get(6..8)?)?);
    if clock.get(2) != Some(&b':') || clock.get(5) != Some(&b':') || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let mut micros = 0;
    let mut rest = clock.get(8..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        let mut scale = 100_000;
        for b in fraction.iter().take(digits.min(6)) {
            micros += u64::from(b - b'0') * scale;
            scale /= 10;
        }
        rest = fraction.get(digits..).unwrap_or_default();
    }
    Some((((h * 60 + m) * 60 + s.min(59)) * 1_000_000 + micros, offset_of(rest)))
}

/// `Z`, `+01:00`, `-0530`, `+01`: seconds east of Greenwich.
fn offset_of(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        b"Z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let hours = number(digits.get(..2)?)?;
    let minutes = match digits.get(2..)? {
        b"" => 0,
        rest => number(rest.strip_prefix(b":").unwrap_or(rest)).filter(|_| rest.len() <= 3)?,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    i32::try_from(hours * 3600 + minutes * 60).ok().map(|s| sign * s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_same_moment() {
        // Saturday, 21 November 2026, 12:00 UTC.
        let clock = Clock { now: 1_795_262_400_000, zone: TimeZone::fixed(Offset::constant(1)) };
        let at = |line: &str| {
            let (wall, rest) = of_log_line(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(rest, b"host app: x", "{line}");
            clock.millis(When::Wall(wall))
        };
        for line in [
            "Nov 21 07:54:40.855 host app: x",
            "<13>Nov 21 07:54:40.855 host app: x",
            "2026-11-21T07:54:40.855+01:00 host app: x",
            "2026-11-21T06:54:40.855000Z host app: x",
            "<86>1 2026-11-21T06:54:40.855Z host app: x",
            "2026-11-21T06:54:40,855+0000 host app: x",
            "2026-11-21T01:24:40.855-05:30 host app: x",
            "2026-11-21T07:54:40.855 host app: x",
            "Sat 2026-11-21 06:54:40.855 UTC host app: x",
            "Sat 2026-11-21 07:54:40.855 CET host app: x",
            "2026-11-21 07:54:40.855 host app: x",
            "1795244080.855000 host app: x",
        ] {
            assert_eq!(at(line), Some(1_795_244_080_855), "{line}");
        }
        // Not yet this year: so last year.
        assert_eq!(at("Dec  1 01:00:00 host app: x"), Some(1_764_547_200_000));
        assert!(at("Feb 29 01:00:00 host app: x").is_some());
        for bad in
            ["Nov 99 06:54:40 h a: x", "2026-13-21T06:54:40Z h a: x", "2026-11-21T26:54:40Z h a: x", "Nov"]
        {
            assert!(of_log_line(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_ausearch_makes_of_a_stamp() {
        let clock = Clock { now: 0, zone: TimeZone::UTC };
        for text in
            ["11/21/26 06:49:56.744:2285", "21/11/26 06:49:56.744:2285", "2026-11-21 06:49:56.744:2285"]
        {
            let (_, serial, when) = stamp(text.as_bytes()).unwrap();
            assert_eq!((serial, clock.millis(when)), (2285, Some(1_795_243_796_744)), "{text}");
        }
        assert_eq!(stamp(b"1.002:3"), Some((1002, 3, When::Exact(1002))));
        assert_eq!(stamp(b"0.0:3").unwrap().2, When::Unknown);
        for bad in [&b""[..], b":", b"1:", b".:1", b"99999999999999999999.000:1", b"1.0000:1", b"x.1:1"] {
            assert!(stamp(bad).is_none());
        }
    }
}
