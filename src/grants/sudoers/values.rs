//! Values inside sudoers entries that have a form of their own: durations and points in time.

use super::ast::Moment;

/// A duration as `TIMEOUT=` takes it: numbers with `d`, `h`, `m`, `s` in this order, the last perhaps without a
/// letter (seconds). In seconds.
///
/// # Errors
/// What is wrong with it, as sudo names it.
pub fn timeout(text: &[u8]) -> Result<u32, &'static str> {
    const UNITS: [(u8, u64); 4] = [(b'd', 86_400), (b'h', 3_600), (b'm', 60), (b's', 1)];
    const TOO_LARGE: &str = "timeout value too large";
    let mut total: u64 = 0;
    let mut unit = 0;
    let mut rest = text;
    loop {
        rest = rest.strip_prefix(b"+").unwrap_or(rest);
        let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
        let (number, after) = rest.split_at_checked(digits).unwrap_or((rest, &[]));
        if number.is_empty() {
            return Err("invalid timeout value");
        }
        let mut value: u64 = 0;
        for c in number {
            value = value * 10 + u64::from(c - b'0');
            if value > i32::MAX as u64 {
                return Err(TOO_LARGE);
            }
        }
        rest = after;
        if let Some((letter, after)) = rest.split_first() {
            let letter = letter.to_ascii_lowercase();
            let found = UNITS.iter().skip(unit).position(|u| u.0 == letter).ok_or("invalid timeout value")?;
            unit += found;
            value *= UNITS.get(unit).map_or(1, |u| u.1);
            rest = after;
        }
        total += value;
        if total > i32::MAX as u64 {
            return Err(TOO_LARGE);
        }
        if rest.is_empty() {
            return u32::try_from(total).map_err(|_| TOO_LARGE);
        }
    }
}

/// A point in time as `NOTBEFORE=` takes it: LDAP's generalized time, `YYYYMMDDHH[MM[SS]][.F][Z|±HH[MM]]`.
pub fn moment(text: &[u8]) -> Option<Moment> {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let number = |from: usize, len: usize| -> Option<i64> {
        text.get(from..from + len)?
            .iter()
            .try_fold(0i64, |v, c| c.is_ascii_digit().then(|| v * 10 + i64::from(c - b'0')))
    };
    let (minute, second, unit) = match digits {
        10 => (0, 0, 3600),
        12 => (number(10, 2)?, 0, 60),
        14 => (number(10, 2)?, number(12, 2)?, 1),
        _ => return None,
    };
    let mut seconds = days(number(0, 4)?, number(4, 2)?, number(6, 2)?) * 86_400
        + number(8, 2)? * 3_600
        + minute * 60
        + second;
    let mut rest = text.get(digits..)?;
    if let Some(after) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
        let n = after.iter().take_while(|c| c.is_ascii_digit()).count();
        if n > 0 {
            let tenths = after.first().map_or(0, |c| i64::from(c - b'0'));
            seconds += tenths * unit / 10;
            rest = after.get(n..)?;
        }
    }
    let (sign, zone) = match rest.split_first() {
        None => return Some(Moment { seconds, local: true }),
        Some((b'Z', [])) => return Some(Moment { seconds, local: false }),
        Some((b'+', zone)) => (1, zone),
        Some((b'-', zone)) => (-1, zone),
        Some(_) => return None,
    };
    let value =
        zone.iter().try_fold(0i64, |v, c| c.is_ascii_digit().then(|| v * 10 + i64::from(c - b'0')))?;
    let offset = match zone.len() {
        2 => value * 3_600,
        4 => (value / 100) * 3_600 + (value % 100) * 60,
        _ => return None,
    };
    Some(Moment { seconds: seconds - sign * offset, local: false })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; a month or day out of range runs over, as in mktime(3).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    // Years begin in March, so that the leap day is the last of its year.
    let y = if month <= 2 { year - 1 } else { year };
    let m = (month + 9) % 12;
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * m + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(timeout(b"1d2h"), Ok(93_600));
        assert_eq!(timeout(b"30"), Ok(30));
        assert_eq!(timeout(b"1H30"), Ok(3_630));
        assert!(timeout(b"1m2h").is_err() && timeout(b"").is_err() && timeout(b"x").is_err());
        assert_eq!(timeout(b"99999999999999999999d"), Err("timeout value too large"));
        assert_eq!(timeout(b"99999d"), Err("timeout value too large"));
    }

    #[test]
    fn moments() {
        let utc = |s| Some(Moment { seconds: s, local: false });
        assert_eq!(moment(b"19700101000000Z"), utc(0));
        assert_eq!(moment(b"20200301000000Z"), utc(1_583_020_800));
        assert_eq!(moment(b"2020030101+0100"), utc(1_583_020_800));
        assert_eq!(moment(b"202003010130+0130"), utc(1_583_020_800));
        assert_eq!(moment(b"2020030100"), Some(Moment { seconds: 1_583_020_800, local: true }));
        assert_eq!(moment(b"2020030100.5Z"), utc(1_583_022_600));
        assert_eq!(moment(b"2020"), None);
        assert_eq!(moment(b"20200301000000Zx"), None);
    }
}
