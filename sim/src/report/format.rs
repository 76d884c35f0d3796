//! Figures and times as people read them.

/// 1234567 → "1,234,567".
pub fn integer(value: u64) -> String {
    grouped(&value.to_string())
}

/// 1234.5 → "1,234.50".
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    // WHY: a value that rounds to zero has no sign.
    let negative = value < 0.0 && text.bytes().any(|digit| matches!(digit, b'1'..=b'9'));
    let sign = if negative { "-" } else { "" };
    format!("{sign}{}{fraction}", grouped(whole))
}

/// Dollars and cents.
pub fn usd(value: f64) -> String {
    let text = fixed(value, 2);
    text.strip_prefix('-').map_or_else(|| format!("${text}"), |text| format!("-${text}"))
}

/// Dollars without cents.
pub fn usd_whole(value: f64) -> String {
    let text = usd(value.round());
    text.trim_end_matches(".00").into()
}

/// Dollars for an axis: `$1.25M`, `$950k`, `$12.5`. All labels of an axis share the unit of the
/// greatest and the decimals that tell steps apart.
pub fn usd_axis(value: f64, step: f64, greatest: f64) -> String {
    if value == 0.0 {
        return "$0".into();
    }
    let (unit, suffix) = match greatest {
        1e9.. => (1e9, "B"),
        1e6.. => (1e6, "M"),
        1e4.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}${}{suffix}", fixed(value.abs() / unit, decimals_of(step / unit)))
}

/// A price for an axis: never abbreviated.
pub fn price_axis(value: f64, step: f64) -> String {
    format!("${}", fixed(value, decimals_of(step)))
}

/// Decimals needed to write multiples of a step.
pub fn decimals_of(step: f64) -> usize {
    let exact = |decimals: &usize| {
        let scaled = step * 10f64.powi(*decimals as i32);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    };
    (0..8).find(exact).unwrap_or(8)
}

/// "20:50"
pub fn clock(unix_seconds: i64) -> String {
    let second = unix_seconds.rem_euclid(86_400);
    format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
}

/// "20:50:07"
pub fn clock_seconds(unix_seconds: i64) -> String {
    format!("{}:{:02}", clock(unix_seconds), unix_seconds.rem_euclid(60))
}

/// "2025-10-10"
pub fn date(unix_seconds: i64) -> String {
    // Days from 1 March of year 0, so that a leap day ends its year.
    let days = unix_seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// "3 h 0 min", "12 min 5 s", "4.2 s"
pub fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", integer(whole / 3_600), whole / 60 % 60),
    }
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(integer), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1_234.5, -0.004, -12_000.0].map(usd), ["$1,234.50", "$0.00", "-$12,000.00"]);
        assert_eq!(usd_axis(750_000.0, 250_000.0, 1_250_000.0), "$0.75M");
        assert_eq!(usd_axis(-50_000.0, 25_000.0, 75_000.0), "-$50k");
        assert_eq!(usd_axis(0.0, 2e6, 4e6), "$0");
        assert_eq!(usd_whole(-84_213_552.78), "-$84,213,553");
        assert_eq!(price_axis(117_500.0, 2_500.0), "$117,500");
        assert_eq!(price_axis(0.15, 0.05), "$0.15");
    }

    #[test]
    fn times() {
        assert_eq!(date(1_760_129_400), "2025-10-10");
        assert_eq!([0, 951_782_400, 1_709_164_800].map(date), ["1970-01-01", "2000-02-29", "2024-02-29"]);
        assert_eq!((clock(1_760_129_400), clock_seconds(1_760_129_407)), ("20:50".into(), "20:50:07".into()));
        assert_eq!([4.25, 725.0, 10_800.0].map(duration), ["4.2 s", "12 min 5 s", "3 h 0 min"]);
    }
}
