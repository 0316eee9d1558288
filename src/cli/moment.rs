//! Points in time as users write them.

use jiff::{Span, Timestamp, civil};

use crate::denials::time::Clock;

/// A point in time.
#[derive(Debug, Clone)]
pub enum Moment {
    /// Milliseconds since 1970.
    At(u64),
    /// So long ago.
    Ago(Span),
    /// A day of so many days ago, or a moment of it.
    Day(i64, Option<civil::Time>),
    /// A day, or a moment of it, by the wall clock.
    Wall(civil::Date, Option<civil::Time>),
    /// The last start of the host.
    Boot,
    /// The last load of the policy.
    PolicyLoad,
}

/// Reads what follows `--since` and `--until`.
pub fn moment(text: &str) -> Result<Moment, String> {
    let text = text.trim();
    match text {
        "now" => return Ok(Moment::Ago(Span::new())),
        "today" => return Ok(Moment::Day(0, None)),
        "yesterday" => return Ok(Moment::Day(1, None)),
        "boot" => return Ok(Moment::Boot),
        "policy-load" => return Ok(Moment::PolicyLoad),
        _ => {}
    }
    // `1795243565.012`, as in the records.
    if let Some(seconds) = text.strip_prefix('@').unwrap_or(text).parse::<f64>().ok().filter(|s| *s >= 1e9) {
        let stamp = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
        return Ok(Moment::At(u64::try_from(stamp.as_millis()).unwrap_or(0)));
    }
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Ok(Moment::At(u64::try_from(stamp.as_millisecond()).unwrap_or(0)));
    }
    if let Ok(date) = text.parse::<civil::Date>()
        && text.len() == 10
    {
        return Ok(Moment::Wall(date, None));
    }
    if let Ok(at) = text.parse::<civil::DateTime>() {
        return Ok(Moment::Wall(at.date(), Some(at.time())));
    }
    if text.contains(':')
        && let Ok(time) = text.parse::<civil::Time>()
    {
        return Ok(Moment::Day(0, Some(time)));
    }
    let ago = text.strip_suffix("ago").unwrap_or(text).trim();
    if let Ok(span) = ago.parse::<Span>()
        && !span.is_negative()
        && !ago.starts_with(['P', 'p'])
    {
        return Ok(Moment::Ago(span));
    }
    Err("a time is `06:50`, `2026-11-21`, `2026-11-21 06:50`, `2026-11-21T06:50:00Z`, `@1795243565`, `2h` (ago), `today`, \
         `yesterday`, `now`, `boot` or `policy-load`"
        .to_owned())
}

impl Moment {
    /// Milliseconds since 1970; of a whole day its first, or (for `--until`) its last. `None` if it is not a time by
    /// itself.
    pub(super) fn millis(&self, clock: &Clock, last: bool) -> Option<u64> {
        let now =
            Timestamp::from_millisecond(i64::try_from(clock.now).ok()?).ok()?.to_zoned(clock.zone.clone());
        let wall = |date: civil::Date, time: Option<civil::Time>| {
            let time =
                time.unwrap_or(if last { civil::time(23, 59, 59, 999_000_000) } else { civil::Time::MIN });
            Some(date.to_datetime(time).to_zoned(clock.zone.clone()).ok()?.timestamp())
        };
        let stamp = match self {
            Moment::At(ms) => return Some(*ms),
            Moment::Ago(span) => now.checked_sub(*span).ok()?.timestamp(),
            Moment::Day(days, time) => wall(now.date().checked_sub(Span::new().days(*days)).ok()?, *time)?,
            Moment::Wall(date, time) => wall(*date, *time)?,
            Moment::Boot | Moment::PolicyLoad => return None,
        };
        u64::try_from(stamp.as_millisecond()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::{Offset, TimeZone};

    #[test]
    fn every_form() {
        // 2026-11-21 12:00 UTC, 13:00 there.
        let clock = Clock { now: 1_795_262_400_000, zone: TimeZone::fixed(Offset::constant(1)) };
        let hour = 3_600_000;
        let midnight = clock.now - 13 * hour;
        for (text, at) in [
            ("now", clock.now),
            ("2h", clock.now - 2 * hour),
            ("90 minutes ago", clock.now - hour * 3 / 2),
            ("1d", clock.now - 24 * hour),
            ("today", midnight),
            ("yesterday", midnight - 24 * hour),
            ("06:50", midnight + 6 * hour + 50 * 60_000),
            ("2026-11-21", midnight),
            ("2026-11-21 06:50", midnight + 6 * hour + 50 * 60_000),
            ("2026-11-21T05:50:00Z", midnight + 6 * hour + 50 * 60_000),
            ("@1795243565", 1_795_243_565_000),
            ("1795243565.012", 1_795_243_565_012),
        ] {
            assert_eq!(moment(text).unwrap().millis(&clock, false), Some(at), "{text}");
        }
        assert_eq!(moment("today").unwrap().millis(&clock, true), Some(midnight + 24 * hour - 1));
        assert!(matches!(moment("boot"), Ok(Moment::Boot)));
        for bad in ["", "soon", "-2h", "25:00", "2026-13-01", "12", "P1D"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
