//! Texts that mean the same to everybody, whatever attribute they stand in.

use std::net::IpAddr;

/// Returns whether two texts differ in nothing but line ends, blanks at their end and, in schedules, between words.
pub(super) fn same_but_for_blanks(left: &str, right: &str) -> bool {
    let (left, right) = (left.trim_end(), right.trim_end());
    if left.is_empty() || right.is_empty() {
        return false;
    }
    let schedule = |text: &str| text.starts_with("cron(") || text.starts_with("rate(");
    left == right
        || ((left.contains('\r') || right.contains('\r')) && left.lines().eq(right.lines()))
        || (schedule(left) && schedule(right) && words(left).eq(words(right)))
}

/// Returns the words of a schedule: `rate(1 hours)` is `rate(1 hour)`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let rate = text.starts_with("rate(");
    text.trim_end_matches(')').split_whitespace().map(move |word| if rate { word.trim_end_matches('s') } else { word })
}

/// Returns whether two texts are one decimal number. A version is none.
pub(super) fn same_decimal(name: &str, left: &str, right: &str) -> bool {
    let decimal = |text: &str| -> Option<(String, String)> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let plain = !whole.is_empty() && digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0'));
        plain.then(|| (whole.to_owned(), fraction.trim_end_matches('0').to_owned()))
    };
    (left.contains('.') || right.contains('.'))
        && !name.contains("ersion")
        && !name.contains("Tag")
        && matches!((decimal(left), decimal(right)), (Some(left), Some(right)) if left == right)
}

/// Returns whether two texts are one network: `10.0.0.5/16` is `10.0.0.0/16`, `1.2.3.4` is `1.2.3.4/32`.
pub(super) fn same_network(left: &str, right: &str) -> bool {
    let looks =
        |text: &str| text.len() < 50 && text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'/'));
    looks(left) && looks(right) && matches!((network(left), network(right)), (Some(left), Some(right)) if left == right)
}

/// Returns the bits of a network above its host part, its width and its prefix.
fn network(text: &str) -> Option<(u128, u32, u32)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (bits, width) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let prefix = prefix.unwrap_or(width);
    let host = width.checked_sub(prefix)?;
    Some((bits.checked_shr(host).unwrap_or(0), width, prefix))
}

/// Returns whether two texts are one protocol of the internet: by its name or by its number.
pub(super) fn same_protocol(name: &str, left: &str, right: &str) -> bool {
    let number = |text: &str| match text.to_ascii_lowercase().as_str() {
        "-1" | "all" => Some(-1),
        "1" | "icmp" => Some(1),
        "6" | "tcp" => Some(6),
        "17" | "udp" => Some(17),
        "58" | "icmpv6" => Some(58),
        _ => None,
    };
    name.contains("rotocol") && matches!((number(left), number(right)), (Some(left), Some(right)) if left == right)
}

/// Returns whether two texts are one address of the web: a slash at the end of a host says nothing, nor does a missing
/// `https://` where nothing else is possible.
pub(super) fn same_url(name: &str, left: &str, right: &str) -> bool {
    const URLS: [&str; 7] = ["Url", "URL", "Uri", "URI", "Issuer", "Endpoint", "Provider"];
    if left.strip_prefix("s3://") == Some(right) || right.strip_prefix("s3://") == Some(left) {
        return true;
    }
    if !URLS.iter().any(|word| name.contains(word)) {
        return false;
    }
    let bare = |text: &str| -> String {
        let rest = text.strip_prefix("https://").unwrap_or(text);
        if rest.matches('/').count() == 1 { rest.trim_end_matches('/').to_owned() } else { rest.to_owned() }
    };
    (left.starts_with("https://") || right.starts_with("https://")) && bare(left) == bare(right)
}

/// Returns whether one text is the other in base 64, as user data is given back.
pub(super) fn is_encoded(left: &str, right: &str) -> bool {
    let (plain, encoded) = if left.len() < right.len() { (left, right) } else { (right, left) };
    plain.len() >= 8 && encoded.len() == plain.len().div_ceil(3) * 4 && base64(plain.as_bytes()) == encoded
}

/// Returns bytes in base 64.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| (group << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS.get(((group >> (18 - 6 * place)) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(same: impl Fn(&str, &str) -> bool, left: &str, right: &str, expected: bool) {
        assert_eq!((same(left, right), same(right, left)), (expected, expected), "{left} {right}");
    }

    #[test]
    fn one_meaning_has_many_spellings() {
        check(same_but_for_blanks, "a\r\nb", "a\nb\n", true);
        check(same_but_for_blanks, "a b", "a  b", false);
        check(same_but_for_blanks, "rate(1 hours)", "rate(1  hour)", true);
        check(|a, b| same_decimal("Amount", a, b), "5", "5.00", true);
        check(|a, b| same_decimal("Amount", a, b), "5", "5.01", false);
        check(|a, b| same_decimal("EngineVersion", a, b), "5.0", "5.00", false);
        check(same_network, "10.0.0.5/16", "10.0.0.0/16", true);
        check(same_network, "2001:DB8::/32", "2001:db8:0::/32", true);
        check(same_network, "1.2.3.4", "1.2.3.4/32", true);
        check(same_network, "10.0.0.0/16", "10.0.0.0/17", false);
        check(same_network, "10.0.0.0/99", "10.0.0.0/99", false);
        check(same_network, "0.0.0.0/0", "::/0", false);
        check(|a, b| same_protocol("IpProtocol", a, b), "tcp", "6", true);
        check(|a, b| same_protocol("IpProtocol", a, b), "tcp", "17", false);
        check(|a, b| same_url("Url", a, b), "https://a.b", "a.b/", true);
        check(|a, b| same_url("Url", a, b), "https://a.b/c", "https://a.b/c/", false);
        check(|a, b| same_url("Name", a, b), "https://a.b", "a.b", false);
        check(is_encoded, "#!/bin/sh\necho", &base64(b"#!/bin/sh\necho"), true);
    }
}
