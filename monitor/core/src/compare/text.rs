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

/// Returns whether two texts are one network: `1.2.3.4` is `1.2.3.4/32`, and a declared `10.0.0.5/16` is read as
/// `10.0.0.0/16`. Where the host's part is read back, it is an address and counts.
pub(super) fn same_network(left: &str, right: &str) -> bool {
    let looks =
        |text: &str| text.len() < 50 && text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'/'));
    let same = |left: Network, right: Network| {
        left == right || (left.width, left.prefix) == (right.width, right.prefix) && left.base() == Some(right.bits)
    };
    looks(left)
        && looks(right)
        && matches!((network(left), network(right)), (Some(left), Some(right)) if same(left, right))
}

#[derive(PartialEq, Clone, Copy)]
struct Network {
    bits: u128,
    width: u32,
    prefix: u32,
}

impl Network {
    /// Returns the bits with those of the host at zero.
    fn base(self) -> Option<u128> {
        let host = self.width.checked_sub(self.prefix)?;
        Some(self.bits.checked_shr(host).unwrap_or(0).checked_shl(host).unwrap_or(0))
    }
}

fn network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (bits, width) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let prefix = prefix.unwrap_or(width);
    (prefix <= width).then_some(Network { bits, width, prefix })
}

/// Returns what is seen of a text at a glance: a network by its numbers, an ARN by what it names, any other without its
/// case.
pub(super) fn at_a_glance(text: &str) -> String {
    if let Some(network) = network(text).filter(|network| network.prefix <= network.width) {
        return format!("{:x}/{}", network.base().unwrap_or(network.bits), network.prefix);
    }
    let named = if text.starts_with("arn:") { text.rsplit([':', '/']).next().unwrap_or(text) } else { text };
    named.trim_end().trim_end_matches('.').to_ascii_lowercase()
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
pub(super) fn same_url(is_url: impl Fn(fn(&str, &str) -> bool) -> bool, left: &str, right: &str) -> bool {
    if let (Some(_), _) | (_, Some(_)) = (bucket(left), bucket(right)) {
        return bucket(left).unwrap_or(left) == bucket(right).unwrap_or(right);
    }
    let bare = |text: &str| -> String {
        let rest = text.strip_prefix("https://").unwrap_or(text);
        if rest.matches('/').count() == 1 { rest.trim_end_matches('/').to_owned() } else { rest.to_owned() }
    };
    (left.starts_with("https://") || right.starts_with("https://"))
        && is_url(|name, word| name.contains(word))
        && bare(left) == bare(right)
}

/// Returns bucket and key of an address in S3, whose scheme Hadoop writes as `s3n`.
fn bucket(text: &str) -> Option<&str> {
    ["s3://", "s3n://", "s3a://"].iter().find_map(|scheme| text.strip_prefix(scheme))
}

/// Attributes that hold addresses of the web, by a part of their name.
pub(super) const URLS: [&str; 7] = ["Url", "URL", "Uri", "URI", "Issuer", "Endpoint", "Provider"];

/// Returns whether two texts are the same certificate or key, with its lines broken elsewhere.
pub(super) fn same_pem(left: &str, right: &str) -> bool {
    let pem = |text: &str| text.trim_start().starts_with("-----BEGIN ");
    pem(left)
        && pem(right)
        && left.split_whitespace().flat_map(str::bytes).eq(right.split_whitespace().flat_map(str::bytes))
}

/// Returns whether one text is the other with percent signs, as in addresses, or in base 64, as user data is given back.
pub(super) fn is_encoded(left: &str, right: &str) -> bool {
    if left.contains("~1") && left.replace("~1", "/") == right {
        return true;
    }
    if left.contains('%') != right.contains('%') {
        let (plain, encoded) = if left.contains('%') { (right, left) } else { (left, right) };
        return decoded(encoded).is_some_and(|text| text == plain.as_bytes());
    }
    let (plain, encoded) = if left.len() < right.len() { (left, right) } else { (right, left) };
    plain.len() >= 8 && encoded.len() == plain.len().div_ceil(3) * 4 && base64(plain.as_bytes()) == encoded
}

/// Returns the bytes of a text in which bytes are written as `%2F`.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        out.extend_from_slice(rest.as_bytes());
    }
    Some(out)
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
        assert!(same_network("10.0.0.5/16", "10.0.0.0/16") && !same_network("10.0.0.0/16", "10.0.0.5/16"));
        check(same_network, "10.0.0.5/16", "10.0.0.6/16", false);
        check(same_network, "2001:DB8::/32", "2001:db8:0::/32", true);
        check(same_network, "1.2.3.4", "1.2.3.4/32", true);
        check(same_network, "10.0.0.0/16", "10.0.0.0/17", false);
        check(same_network, "10.0.0.0/99", "10.0.0.0/99", false);
        check(same_network, "0.0.0.0/0", "::/0", false);
        check(|a, b| same_protocol("IpProtocol", a, b), "tcp", "6", true);
        check(|a, b| same_protocol("IpProtocol", a, b), "tcp", "17", false);
        check(|a, b| same_url(|_| true, a, b), "https://a.b", "a.b/", true);
        check(|a, b| same_url(|_| true, a, b), "https://a.b/c", "https://a.b/c/", false);
        check(|a, b| same_url(|_| false, a, b), "https://a.b", "a.b", false);
        check(is_encoded, "#!/bin/sh\necho", &base64(b"#!/bin/sh\necho"), true);
        check(is_encoded, "{\"a\": 1}", "%7B%22a%22%3A%201%7D", true);
        check(is_encoded, "50% of it", "50 of it", false);
        check(
            same_pem,
            "-----BEGIN X-----\nab\ncd\n-----END X-----",
            "-----BEGIN X-----\nabcd\n-----END X-----\n",
            true,
        );
        check(same_pem, "-----BEGIN X-----\nab", "-----BEGIN X-----\nac", false);
    }
}
