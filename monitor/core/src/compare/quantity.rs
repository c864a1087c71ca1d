//! Amounts and durations as Kubernetes writes them.
//!
//! Exact: an amount is compared as a count of nano-units, never as a float. What does not parse is no amount.

use serde_json::Value;

/// Returns an amount in nano-units: `2` and `2000m`, `1.25G` and `1250M`.
pub(super) fn of(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => parse(&number.to_string()),
        _ => None,
    }
}

fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let scale = scale(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.len() > 20
        || fraction.len() > 9
        || (whole.is_empty() && fraction.is_empty())
        || fraction.contains(['-', '+'])
    {
        return None;
    }
    let negative = whole.starts_with('-');
    let whole: i128 = if matches!(whole, "" | "-" | "+") { 0 } else { whole.parse().ok()? };
    let padded: i128 = format!("{fraction:0<9}").parse().ok()?;
    let nano = whole.checked_mul(1_000_000_000)?.checked_add(if negative { -padded } else { padded })?;
    match scale {
        Scale::Times(factor) => nano.checked_mul(factor),
        Scale::Over(divisor) => (nano % divisor == 0).then_some(nano / divisor),
    }
}

enum Scale {
    Times(i128),
    Over(i128),
}

fn scale(suffix: &str) -> Option<Scale> {
    Some(match suffix {
        "" => Scale::Times(1),
        "n" => Scale::Over(1_000_000_000),
        "u" => Scale::Over(1_000_000),
        "m" => Scale::Over(1000),
        "k" => Scale::Times(1000),
        "M" => Scale::Times(1_000_000),
        "G" => Scale::Times(1_000_000_000),
        "T" => Scale::Times(1_000_000_000_000),
        "P" => Scale::Times(1_000_000_000_000_000),
        "E" => Scale::Times(1_000_000_000_000_000_000),
        "Ki" => Scale::Times(1 << 10),
        "Mi" => Scale::Times(1 << 20),
        "Gi" => Scale::Times(1 << 30),
        "Ti" => Scale::Times(1 << 40),
        "Pi" => Scale::Times(1 << 50),
        "Ei" => Scale::Times(1 << 60),
        _ => return exponent(suffix),
    })
}

fn exponent(suffix: &str) -> Option<Scale> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    Some(if power < 0 { Scale::Over(factor) } else { Scale::Times(factor) })
}

/// Returns a duration in nanoseconds: `8760h` and `8760h0m0s`. A bare number is none.
pub(super) fn duration(text: &str) -> Option<i128> {
    let mut rest = text;
    let mut total = 0_i128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(letters)?;
        let factor: i128 = match unit {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            "ms" => return parse(&format!("{number}m")).map(|nano| total + nano),
            _ => return None,
        };
        total = total.checked_add(parse(number)?.checked_mul(factor)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, same: bool) {
        assert_eq!(parse(left) == parse(right) && parse(left).is_some(), same, "{left} {right}");
    }

    #[test]
    fn one_amount_has_many_spellings() {
        for (left, right) in
            [("2000m", "2"), ("1.25G", "1250M"), ("0.2", "200m"), ("1Ki", "1024"), ("1e3", "1k"), ("-1", "-1000m")]
        {
            check(left, right, true);
        }
        for (left, right) in
            [("0.2", "0.1"), ("1Ki", "1k"), ("invalid", "invalid"), ("", ""), ("1.2.3", "1.2.3"), ("5x", "5x")]
        {
            check(left, right, false);
        }
    }

    #[test]
    fn one_duration_has_many_spellings() {
        assert_eq!(duration("8760h"), duration("8760h0m0s"));
        assert_eq!(duration("90s"), duration("1m30s"));
        assert_eq!(duration("5"), None);
        assert_eq!(duration("1.5.h"), None);
    }
}
