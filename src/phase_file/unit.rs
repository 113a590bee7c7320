//! Durations, shares and numbers as people write them, each by one parser.
//!
//! It does not know what is measured.

use std::time::Duration;

use super::error::{Fault, Place, excerpt};
use crate::judge::condition::Share;

/// Ten years: no rollout lasts longer, and every clock can add it.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// A whole number and its unit: `500ms`, `90s`, `30m`, `48h`, `7d`.
pub fn duration(text: &str, place: Place) -> Result<Duration, Fault> {
    let fault = || {
        Fault::new(place, format!("`{}` is not a duration", excerpt(text))).label("write 500ms, 90s, 30m, 48h or 7d")
    };
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(fault()),
    };
    if digits.is_empty() {
        return Err(fault());
    }
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds));
    match number.map(Duration::from_millis) {
        Some(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(Fault::new(place, format!("`{}` is too long", excerpt(text))).label("3650d at most")),
    }
}

/// A duration above zero.
pub fn positive_duration(text: &str, place: Place, what: &str) -> Result<Duration, Fault> {
    let duration = duration(text, place)?;
    if duration.is_zero() {
        return Err(Fault::new(place, format!("{what} of zero")).label("more than zero"));
    }
    Ok(duration)
}

/// A share above 0 % and below 100 %: `1%`, `0.5%`.
pub fn percent(text: &str, place: Place) -> Result<f64, Fault> {
    let percent = any_percent(text, place)?;
    if percent > 0.0 && percent < 100.0 {
        Ok(percent)
    } else {
        Err(Fault::new(place, format!("`{}` is out of range", excerpt(text))).label("more than 0% and less than 100%"))
    }
}

fn any_percent(text: &str, place: Place) -> Result<f64, Fault> {
    text.strip_suffix('%').and_then(decimal).ok_or_else(|| {
        Fault::new(place, format!("`{}` is not a percentage", excerpt(text))).label("write it like 1% or 0.5%")
    })
}

/// How much more: `20%` is 0.2, `150%` is 1.5.
pub fn growth(text: &str, place: Place) -> Result<f64, Fault> {
    let percent = any_percent(text, place)?;
    if percent > 0.0 && percent <= 10_000.0 {
        return Ok(percent / 100.0);
    }
    Err(Fault::new(place, format!("`{}` is out of range", excerpt(text))).label("more than 0%, at most 10000%"))
}

/// How many times as much: `10%` more is 1.1, `1.5x` is 1.5.
pub fn factor(text: &str, place: Place) -> Result<f64, Fault> {
    let out_of_range =
        |range: &str| Fault::new(place, format!("`{}` is out of range", excerpt(text))).label(range.to_owned());
    if let Some(times) = text.strip_suffix('x').and_then(decimal) {
        let valid = (1.0..=100.0).contains(&times).then_some(times);
        return valid.ok_or_else(|| out_of_range("from 1x to 100x"));
    }
    let Some(percent) = text.strip_suffix('%').and_then(decimal) else {
        let fault = Fault::new(place, format!("`{}` is no distance from a baseline", excerpt(text)));
        return Err(fault.label("write it like 10% or 1.5x"));
    };
    // From 100 % on, some would mean as much again and others the same.
    let valid = (percent > 0.0 && percent < 100.0).then_some(1.0 + percent / 100.0);
    valid.ok_or_else(|| out_of_range("more than 0% and less than 100%, or a factor such as 2x"))
}

/// The same as a share of one.
pub fn share(text: &str, place: Place) -> Result<Share, Fault> {
    Share::new(percent(text, place)? / 100.0)
        .ok_or_else(|| Fault::new(place, format!("`{}` is too near to 0% or 100%", excerpt(text))))
}

/// A number that is neither NaN nor infinite.
pub fn number(text: &str, place: Place) -> Result<f64, Fault> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    decimal(unsigned).map(|value| if text.starts_with('-') { -value } else { value }).ok_or_else(|| {
        Fault::new(place, format!("`{}` is not a number", excerpt(text))).label("write it like 3 or 0.5")
    })
}

/// A whole number within `range`.
pub fn whole(text: &str, place: Place, range: std::ops::RangeInclusive<u64>) -> Result<u64, Fault> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text);
    digits.and_then(|digits| digits.parse().ok()).filter(|number| range.contains(number)).ok_or_else(|| {
        Fault::new(place, format!("`{}` is not a whole number in range", excerpt(text))).label(format!(
            "from {} to {}",
            range.start(),
            range.end()
        ))
    })
}

/// Digits with at most one point in between; no exponent, no sign.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bounded = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    (plain && bounded).then_some(text)?.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place::START;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("500ms", 0.5), ("90s", 90.0), ("30m", 1_800.0), ("48h", 172_800.0), ("7d", 604_800.0), ("0s", 0.0)]
        {
            assert_eq!(duration(text, PLACE), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in
            ["", "30", "m", "30 m", "1h30m", "1.5h", "-5m", "5M", "5min", "3651d", "99999999999999999999d", "٣m"]
        {
            assert!(duration(text, PLACE).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_windows_are_refused() {
        assert!(positive_duration("0s", PLACE, "a window").is_err());
        assert!(positive_duration("1ms", PLACE, "a window").is_ok());
    }

    #[test]
    fn shares() {
        assert_eq!(share("1%", PLACE).map(Share::get), Ok(0.01));
        assert_eq!(share("0.5%", PLACE).map(Share::get), Ok(0.005));
        for text in ["0%", "100%", "1", "0.01", "%", "1 %", "-1%", "1e1%", "nan%", ".5%", "1.%", "1..2%"] {
            assert!(share(text, PLACE).is_err(), "{text}");
        }
    }

    #[test]
    fn growths_and_factors() {
        assert_eq!(growth("20%", PLACE), Ok(0.2));
        assert_eq!(growth("150%", PLACE), Ok(1.5));
        for text in ["0%", "10001%", "20", "-1%", "1.5x"] {
            assert!(growth(text, PLACE).is_err(), "{text}");
        }
        assert_eq!(factor("10%", PLACE), Ok(1.1));
        assert_eq!(factor("1.5x", PLACE), Ok(1.5));
        assert_eq!(factor("1x", PLACE), Ok(1.0));
        for text in ["0%", "100%", "0.9x", "101x", "x", "1.5", "1.5 x", "nanx", "-2x"] {
            assert!(factor(text, PLACE).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number("3", PLACE), Ok(3.0));
        assert_eq!(number("-0.5", PLACE), Ok(-0.5));
        for text in ["", "inf", "NaN", "1e999", "0x10", "--1", "1_000"] {
            assert!(number(text, PLACE).is_err(), "{text}");
        }
        assert_eq!(whole("3", PLACE, 1..=10), Ok(3));
        for text in ["0", "11", "+3", "3.0", ""] {
            assert!(whole(text, PLACE, 1..=10).is_err(), "{text}");
        }
    }
}
