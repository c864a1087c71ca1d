//! Texts, numbers and truth values that mean the same.
//!
//! Each fold is true of a class of values and asks for the looks of both sides: none is true of one kind only (those are
//! marks of [`super::table`]), and none may hide a change that somebody could have made.

use std::borrow::Cow;

use serde_json::Value;

use super::walk::{Place, Walk};
use super::{Class, Flavor, filling, kubernetes, policy, quantity, table, text};
use crate::schema::mark;

/// What can be said about two scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgment {
    /// By this fold.
    Same(&'static str),
    Different,
    /// They would be the same or not, depending on something that was not read.
    Unknown,
    /// The provider shows stars in place of the value.
    Withheld,
}

/// Says whether two scalars mean the same.
pub(super) fn judge(walk: &Walk<'_>, (desired, observed): (&Value, &Value), at: Place) -> Judgment {
    match (desired, observed) {
        _ if desired == observed => Judgment::Same("the same"),
        _ if walk.knows(Class::Canonical) && canonical(desired, observed) => Judgment::Same(Class::Canonical.fold()),
        _ if walk.knows(Class::Precision) && same_in_32_bits(desired, observed) => {
            Judgment::Same(Class::Precision.fold())
        }
        _ if walk.flavor == Flavor::Kubernetes && kubernetes::same_scalar(walk, (desired, observed), at) => {
            Judgment::Same("one quantity or duration, written in two ways")
        }
        _ if rounded(desired, observed, at) => Judgment::Same("rounded down by the service"),
        _ if walk.knows(Class::Epoch) && (same_epoch(desired, observed) || same_epoch(observed, desired)) => {
            Judgment::Same(Class::Epoch.fold())
        }
        _ if walk.is_any_port(desired) && walk.is_any_port(observed) => Judgment::Same(Class::AnyPort.fold()),
        (Value::String(left), Value::String(right)) => texts(walk, (left, right), at),
        _ => Judgment::Different,
    }
}

/// Returns whether a provider wrote stars in place of a value.
fn is_redacted(text: &str) -> bool {
    text.len() >= 3 && text.bytes().all(|b| b == b'*')
}

/// Says whether two texts at a place, the declared one first, mean the same.
type TextFold = fn(&Walk<'_>, (&str, &str), Place) -> bool;

/// The folds of texts, the cheap ones first.
const TEXTS: [(Class, TextFold); 19] = [
    (Class::Blanks, |_, (left, right), _| text::same_but_for_blanks(left, right)),
    (Class::Pem, |_, (left, right), _| text::same_pem(left, right)),
    (Class::Decimal, |walk, (left, right), _| text::same_decimal(walk.name(), left, right)),
    (Class::Network, |_, (left, right), _| text::same_network(left, right)),
    (Class::Protocol, |walk, (left, right), _| text::same_protocol(walk.name(), left, right)),
    (Class::Url, |walk, (left, right), _| {
        text::same_url(|is| walk.knowledge.lists(&text::URLS, |word| is(walk.name(), word)), left, right)
    }),
    (Class::Encoded, |_, (left, right), _| text::is_encoded(left, right)),
    (Class::HeaderCase, |walk, pair, at| same_but_for_case(pair) && is_header(walk, at)),
    (Class::PlainCase, |walk, pair, at| same_but_for_case(pair) && is_plain(walk, pair.0, at)),
    (Class::LoweredName, |walk, pair, at| same_but_for_case(pair) && is_lowered(walk, pair.1, at)),
    (Class::Word, |walk, pair, at| same_but_for_case(pair) && is_word(walk, at, pair)),
    (Class::Dash, |walk, pair, at| same_but_for_dashes(pair) && is_vocabulary(walk, at)),
    (Class::Host, |walk, pair, _| same_host(walk, pair)),
    (Class::Time, |_, (left, right), _| same_time(left, right)),
    (Class::Span, |_, (left, right), _| same_span(left, right)),
    (Class::PublicKey, |_, (left, right), _| same_public_key(left, right)),
    (Class::Version, |walk, (left, right), _| is_version_of(walk.name(), left, right)),
    (Class::AccessList, |_, (left, right), _| same_access_list(left, right)),
    (Class::Azure, |walk, (left, right), _| walk.flavor == Flavor::Azure && azure(walk, left, right)),
];

fn texts(walk: &Walk<'_>, pair: (&str, &str), at: Place) -> Judgment {
    if pair.0.contains(filling::OPEN) {
        // A document is compared part by part. Elsewhere a service may give back another name of the same thing.
        let differs = filling::is_document(pair.0) || walk.is_document() && !filling::fits(pair.0, pair.1);
        return if differs { Judgment::Different } else { Judgment::Unknown };
    }
    if walk.knows(Class::Withheld) && is_redacted(pair.1) {
        return Judgment::Withheld;
    }
    if let Some(fold) = said_by_table(pair, at) {
        return Judgment::Same(fold);
    }
    // A server of Kubernetes keeps every text as it came; what it writes anew was asked before.
    let mut known = TEXTS.iter().filter(|(class, _)| walk.flavor != Flavor::Kubernetes && walk.knows(*class));
    if let Some((class, _)) = known.find(|(class, same)| !is_kept(walk, *class, at) && same(walk, pair, at)) {
        return Judgment::Same(class.fold());
    }
    match walk.flavor {
        Flavor::Aws => amazon(walk, pair, at),
        Flavor::Gcp if walk.knows(Class::Google) => google(walk, pair),
        _ => Judgment::Different,
    }
}

/// Returns whether a service keeps texts letter by letter where they mean nothing to it: in maps whose keys people invent
/// and in values that only programs of theirs read.
fn is_kept(walk: &Walk<'_>, class: Class, at: Place) -> bool {
    matches!(class, Class::Decimal | Class::Encoded)
        && (at.marks & mark::FREE_FORM != 0 || walk.name() == "Value" || walk.inside(|name| name == "Variables"))
}

/// Returns why two texts mean the same, if the table says so.
fn said_by_table((left, right): (&str, &str), at: Place) -> Option<&'static str> {
    let has = |wanted: u32| at.marks & wanted != 0;
    match () {
        () if has(mark::CASELESS) && left.eq_ignore_ascii_case(right) => Some("case means nothing in this attribute"),
        () if has(mark::CUSTOM_PREFIX) && right.strip_prefix("custom:") == Some(left) => {
            Some("given back with `custom:` before it")
        }
        () => None,
    }
}

/// Returns whether two scalars are the same when written the same way: `"5"` and `5`, `"true"` and `true`.
pub(super) fn canonical(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => same_number(a.as_f64(), b.as_f64()) && same_integer(left, right),
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            looks_numeric(text)
                && (number.to_string() == *text
                    || same_number(number.as_f64(), text.parse().ok()) && number.to_string().len() < 16)
        }
        (Value::Bool(truth), Value::String(text)) | (Value::String(text), Value::Bool(truth)) => {
            let words = if *truth { ["true", "enabled"] } else { ["false", "disabled"] };
            words.iter().any(|word| text.eq_ignore_ascii_case(word))
        }
        (Value::String(a), Value::String(b)) => is_truth(a) && a.eq_ignore_ascii_case(b),
        _ => false,
    }
}

fn is_truth(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

fn looks_numeric(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.len() < 32
}

#[expect(clippy::float_cmp, reason = "two ways to write one number parse to the same bits")]
fn same_number(left: Option<f64>, right: Option<f64>) -> bool {
    matches!((left, right), (Some(left), Some(right)) if left == right)
}

/// Returns whether one number is the other as 32 bits hold it: `0.1` and `0.10000000149011612`.
fn same_in_32_bits(left: &Value, right: &Value) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "what a service cut off is what is looked for")]
    let cut = |number: f64| f64::from(number as f32);
    let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else { return false };
    let whole = |number: f64| number.rem_euclid(1.0) <= 0.0;
    // Whole numbers are counts and identifiers, which no service rounds.
    !(whole(left) && whole(right))
        && (same_number(Some(cut(left)), Some(right)) || same_number(Some(left), Some(cut(right))))
}

/// Two integers beyond the precision of a float are only the same digit by digit.
fn same_integer(left: &Value, right: &Value) -> bool {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left == right,
        _ => true,
    }
}

fn rounded(desired: &Value, observed: &Value, at: Place) -> bool {
    let hourly = |left: i64, right: i64| right % 3600 == 0 && (0..3600).contains(&(left - right));
    at.marks & mark::HOURLY != 0
        && matches!((desired.as_i64(), observed.as_i64()), (Some(left), Some(right)) if left >= 0 && right >= 0 && hourly(left, right))
}

fn same_but_for_case((left, right): (&str, &str)) -> bool {
    left.len() == right.len() && left.eq_ignore_ascii_case(right)
}

/// Returns whether a text is the name of a header field, or of an argument that firewalls look for in any case.
fn is_header(walk: &Walk<'_>, at: Place) -> bool {
    at.marks & mark::FREE_FORM == 0 && walk.inside(|name| name.contains("Header") || name == "SingleQueryArgument")
}

/// Returns whether a text is an action of a policy, a weekly window or a mail address.
fn is_plain(walk: &Walk<'_>, text: &str, at: Place) -> bool {
    let name = walk.name();
    (at.policy && matches!(name, "Action" | "NotAction")) || name.ends_with("Window") || is_address(name, text)
}

/// Returns whether a text was read as the name that the service keeps in lower case. A name that cannot be changed
/// was not changed by anybody.
fn is_lowered(walk: &Walk<'_>, read: &str, at: Place) -> bool {
    !read.bytes().any(|b| b.is_ascii_uppercase()) && (at.marks & mark::CREATE_ONLY != 0 || is_lowered_name(walk))
}

/// Returns whether a text is a mail address, which reaches the same person in any case.
fn is_address(name: &str, text: &str) -> bool {
    text.contains('@') && !text.contains([' ', '/', ':']) && (name.contains("mail") || name.contains("Recipient"))
}

fn is_lowered_name(walk: &Walk<'_>) -> bool {
    let name = walk.name();
    let service = walk.facts.kind.as_str().split("::").nth(1);
    walk.knowledge.lists(&table::LOWERS_NAMES, |word| Some(word) == service)
        && ["Name", "Names", "Identifier", "Identifiers", "Family", "Id", "Ids", "Engine"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Returns whether two texts are one word of a fixed vocabulary, which an API takes in any case and gives back in its own.
fn is_word(walk: &Walk<'_>, at: Place, (left, right): (&str, &str)) -> bool {
    let one_case =
        |text: &str| !text.bytes().any(|b| b.is_ascii_lowercase()) || !text.bytes().any(|b| b.is_ascii_uppercase());
    let first_upper = |text: &str| text.get(1..).is_some_and(|rest| !rest.bytes().any(|b| b.is_ascii_uppercase()));
    is_plain_word(left)
        && (one_case(right) || first_upper(right))
        && (one_case(left) || first_upper(left) || one_case(right))
        && is_vocabulary(walk, at)
}

fn is_plain_word(text: &str) -> bool {
    text.len() < 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Returns whether the attribute at hand takes words of a fixed vocabulary: nothing that people name or write themselves.
fn is_vocabulary(walk: &Walk<'_>, at: Place) -> bool {
    const FREE: [&str; 17] = [
        "Name",
        "Id",
        "Value",
        "Key",
        "Description",
        "Comment",
        "Prefix",
        "Path",
        "Content",
        "Body",
        "Label",
        "Title",
        "Pattern",
        "String",
        "Handler",
        "Username",
        "Text",
    ];
    let name = walk.name();
    !matches!(walk.flavor, Flavor::Kubernetes | Flavor::Other)
        // A document is kept as it was written, and what it is compared with at work is told from it by case.
        && !at.whole
        && !walk.is_document()
        && at.marks & mark::FREE_FORM == 0
        && !FREE.iter().any(|end| name.ends_with(end) || name.eq_ignore_ascii_case(end))
        && !walk.inside(|name| {
            super::list::is_tags(name) || name == "Parameters" || name == "Variables" || name == "Environment"
        })
}

/// Returns whether two words are the same with dashes for underscores, as `RSA_2048` and `RSA-2048` are.
fn same_but_for_dashes((left, right): (&str, &str)) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte };
    left.len() == right.len()
        && left.bytes().any(|b| b.is_ascii_uppercase())
        && is_plain_word(left)
        && left.bytes().map(plain).eq(right.bytes().map(plain))
}

/// Attributes that hold host names, by a part of their name.
pub(super) const HOSTS: [&str; 10] =
    ["DNS", "Dns", "dns", "Domain", "domain", "Host", "host", "Aliases", "CNAME", "AlternativeNames"];

/// A host name means the same in any case, with a dot at its end, and with its star written as a number.
fn same_host(walk: &Walk<'_>, (left, right): (&str, &str)) -> bool {
    let (left, right) = (bare_host(left), bare_host(right));
    left.eq_ignore_ascii_case(&right)
        && is_host(&left)
        && (walk.facts.kind.as_str().contains("Route53")
            || walk.inside(|name| walk.knowledge.lists(&HOSTS, |word| name.contains(word))))
}

fn bare_host(text: &str) -> Cow<'_, str> {
    let text = text.trim_end_matches('.');
    text.strip_prefix("\\052").map_or(Cow::Borrowed(text), |rest| Cow::Owned(format!("*{rest}")))
}

fn is_host(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'*'))
}

/// Returns whether two texts are the same moment.
fn same_time(left: &str, right: &str) -> bool {
    let dated =
        |text: &str| text.len() >= 10 && text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(7) == Some(&b'-');
    dated(left)
        && dated(right)
        && matches!((moment(left), moment(right)), (Some(left), Some(right)) if same_moment(left, right))
}

/// Returns whether two moments are the same, as far as the coarser one goes: services cut fractions of a second off.
fn same_moment(left: jiff::Timestamp, right: jiff::Timestamp) -> bool {
    let cut = |moment: jiff::Timestamp, to: i32| moment.subsec_nanosecond() / to * to;
    left.as_second() == right.as_second()
        && [1, 1_000, 1_000_000, 1_000_000_000].into_iter().any(|to| {
            let (short, long) = (cut(left, to), cut(right, to));
            short == long && (short == left.subsec_nanosecond() || long == right.subsec_nanosecond())
        })
}

/// Returns whether a number of seconds is the moment that a text names.
fn same_epoch(seconds: &Value, date: &Value) -> bool {
    let seconds = match seconds {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if looks_numeric(text) && text.len() >= 9 => text.parse().ok(),
        _ => None,
    };
    let Some(seconds) = seconds.filter(|seconds| *seconds > 1e8) else { return false };
    let named = date.as_str().filter(|text| text.contains('-')).and_then(moment);
    named.is_some_and(|moment| same_number(Some(seconds), Some(moment.as_duration().as_secs_f64())))
}

fn moment(text: &str) -> Option<jiff::Timestamp> {
    if text.len() == 10 {
        return format!("{text}T00:00:00Z").parse().ok();
    }
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// Returns whether two texts are the same span of time: `PT1H` and `PT60M`.
fn same_span(left: &str, right: &str) -> bool {
    left != right && matches!((span(left), span(right)), (Some(left), Some(right)) if left == right)
}

/// Returns the seconds of a span in the notation of ISO 8601. Months and years are of no fixed length.
fn span(text: &str) -> Option<u64> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = rest.split_once('T').unwrap_or((rest, ""));
    let part = |text: &str, units: &[(char, u64)]| -> Option<u64> {
        let mut total = 0_u64;
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, tail) = rest.split_at_checked(end)?;
            let unit = tail.chars().next()?;
            let factor = units.iter().find(|(known, _)| *known == unit)?.1;
            total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
            rest = tail.get(1..)?;
        }
        Some(total)
    };
    let days = part(date, &[('W', 604_800), ('D', 86_400)])?;
    let seconds = part(time, &[('H', 3_600), ('M', 60), ('S', 1)])?;
    (date.len() + time.len() > 0).then(|| days.saturating_add(seconds))
}

/// An SSH public key is its type and its bytes; the comment after them is not kept. Each line of a list of keys counts.
fn same_public_key(left: &str, right: &str) -> bool {
    let known = |text: &str| text.starts_with("ssh-") || text.starts_with("ecdsa-");
    let essence = |text: &str| text.split_whitespace().take(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    let one_line = |text: &str| !text.trim_end().contains(['\n', '\r']);
    [left, right].into_iter().all(|text| known(text) && one_line(text))
        && essence(left).len() == 2
        && essence(left) == essence(right)
}

/// Returns whether a version is one of those that a shorter one stands for: `8.0.45` of `8.0`, `1.4.0` of `LATEST`. Where
/// it is written `$LATEST`, it is read so: a number was put in its place by somebody.
fn is_version_of(name: &str, wanted: &str, found: &str) -> bool {
    let version = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if !name.ends_with("Version") || !version(found) {
        return false;
    }
    let moving = wanted.eq_ignore_ascii_case("latest");
    let wanted = wanted.strip_suffix(".x").unwrap_or(wanted);
    let longer = version(wanted) && found.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'));
    moving || longer
}

/// Returns whether two texts are one access list of Redis, whose engine puts `-@all` before the rules.
fn same_access_list(left: &str, right: &str) -> bool {
    let is_list = |text: &str| text.starts_with("on ") || text.starts_with("off ");
    is_list(left) && is_list(right) && without_reset(left).eq(without_reset(right))
}

/// Returns the words of a Redis access control list without the reset that everybody begins with. After a grant, the
/// same word takes everything away.
fn without_reset(text: &str) -> impl Iterator<Item = &str> {
    let mut granted = false;
    text.split_whitespace().filter(move |word| {
        granted |= word.starts_with('+') || *word == "allcommands";
        granted || *word != "-@all"
    })
}

/// Folds of Amazon's names: an ARN for a name, an alias for a key, an account for its root.
fn amazon(walk: &Walk<'_>, (left, right): (&str, &str), at: Place) -> Judgment {
    if let Some(judgment) = key_alias(walk, left, right).filter(|_| walk.knows(Class::KeyAlias)) {
        return judgment;
    }
    match () {
        () if walk.knows(Class::ArnForName) && (names(walk, (left, right), at) || names(walk, (right, left), at)) => {
            Judgment::Same(Class::ArnForName.fold())
        }
        () if !at.whole
            && walk.knows(Class::ArnSuffix)
            && (same_but_for_suffix(left, right) || same_but_for_suffix(right, left)) =>
        {
            Judgment::Same(Class::ArnSuffix.fold())
        }
        () if at.policy && walk.knows(Class::Principal) && policy::same_account(left, right) => {
            Judgment::Same(Class::Principal.fold())
        }
        () if at.policy && walk.knows(Class::ArnForName) && policy::is_shorthand(left, right) => {
            Judgment::Same(Class::ArnForName.fold())
        }
        () if walk.knows(Class::Garbled) && is_garbled(left, right) => Judgment::Unknown,
        () => Judgment::Different,
    }
}

/// Returns whether what was declared lost its letters on the way: templates keep `?` for what is not ASCII.
fn is_garbled(wanted: &str, found: &str) -> bool {
    wanted.contains('?')
        && !found.is_ascii()
        && wanted.chars().count() == found.chars().count()
        && wanted.chars().zip(found.chars()).all(|(left, right)| left == right || (left == '?' && !right.is_ascii()))
}

/// Returns whether an ARN names what a name, or an ARN that says less, names in the same account and region.
fn names(walk: &Walk<'_>, (text, name): (&str, &str), at: Place) -> bool {
    let Some(arn) = Arn::of(text).filter(|arn| !name.is_empty() && is_here(walk, arn)) else { return false };
    if let Some(other) = Arn::of(name) {
        return is_here(walk, &other) && arn.says_no_other_than(&other);
    }
    let ends = |resource: &str| {
        resource == name
            || resource
                .strip_suffix(name)
                .is_some_and(|before| before.ends_with(['/', ':']) || (name.starts_with('/') && !before.is_empty()))
    };
    if let Some(role) = name.strip_prefix("IamRole(") {
        return role.trim_end_matches(')').split("iamRoleArn=").nth(1) == Some(text);
    }
    ends(arn.resource)
        || !at.whole && without_letters(&arn).is_some_and(ends)
        || url_names(name, arn.account, arn.resource)
}

/// Returns whether an ARN is of the account and region at hand, or of those of everybody.
fn is_here(walk: &Walk<'_>, arn: &Arn<'_>) -> bool {
    let context = walk.facts.context;
    is_at(arn.region, &context.region) && (is_at(arn.account, &context.account) || arn.account == "aws")
}

/// Returns whether a part of an ARN is what it is here, as far as both are known.
fn is_at(part: &str, here: &str) -> bool {
    part.is_empty() || part == here || here.is_empty() || here == "-"
}

/// Returns the name in a secret's ARN, without the dash and the six letters that the service adds.
fn without_letters<'a>(arn: &Arn<'a>) -> Option<&'a str> {
    let (name, letters) = arn.resource.rsplit_once('-')?;
    (arn.service == "secretsmanager" && is_six_letters(letters)).then_some(name)
}

fn is_six_letters(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Returns whether a longer ARN says the same: of a log group with all its streams, of the newest version of a function,
/// of a secret with the six letters that the service adds.
fn same_but_for_suffix(short: &str, long: &str) -> bool {
    let Some(rest) = long.strip_prefix(short).filter(|rest| !rest.is_empty()) else {
        return long.strip_prefix("/hostedzone/") == Some(short) && !short.is_empty();
    };
    let service = short.split(':').nth(2).filter(|_| short.starts_with("arn:"));
    match service {
        Some("logs") => rest == ":*",
        Some("lambda") => rest == ":$LATEST",
        Some("secretsmanager") => rest.strip_prefix('-').is_some_and(is_six_letters),
        _ => false,
    }
}

/// The parts of an ARN.
pub(super) struct Arn<'a> {
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    pub(super) account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let mut part = || parts.next();
        Some(Self { partition: part()?, service: part()?, region: part()?, account: part()?, resource: part()? })
    }

    /// Returns whether two ARNs name the same, where one of them may leave region and account out.
    fn says_no_other_than(&self, other: &Self) -> bool {
        let agree = |left: &str, right: &str| left == right || left.is_empty() || right.is_empty();
        (self.partition, self.service, self.resource) == (other.partition, other.service, other.resource)
            && agree(self.region, other.region)
            && agree(self.account, other.account)
    }
}

/// Returns whether a URL ends in the account and the name of a resource, as those of queues do.
fn url_names(url: &str, account: &str, resource: &str) -> bool {
    url.starts_with("https://")
        && url
            .split_once(account)
            .is_some_and(|(_, rest)| !account.is_empty() && rest.strip_prefix('/') == Some(resource))
}

/// Says whether an alias stands for a key, if one of the two is an alias and the other is not.
fn key_alias(walk: &Walk<'_>, left: &str, right: &str) -> Option<Judgment> {
    let (alias, key) = match (alias_of(left), alias_of(right)) {
        (Some(_), None) => (left, right),
        (None, Some(_)) => (right, left),
        _ => return None,
    };
    let id = key.rsplit('/').next().unwrap_or(key);
    match target_of(walk, alias) {
        Some(target) if target.rsplit('/').next() == Some(id) => Some(Judgment::Same(Class::KeyAlias.fold())),
        Some(_) => Some(Judgment::Different),
        None if is_key_id(id) && may_stand_for(walk, alias, key) => Some(Judgment::Unknown),
        None if is_key_id(id) => Some(Judgment::Different),
        None => None,
    }
}

/// Returns the key that an alias of this account and region stands for, where that was read.
fn target_of<'a>(walk: &Walk<'a>, alias: &str) -> Option<&'a str> {
    let context = walk.facts.context;
    let is_here = |arn: Arn<'_>| arn.region == context.region && arn.account == context.account;
    let targets = context.related.get("kmsAliasTargets").filter(|_| Arn::of(alias).is_none_or(is_here))?;
    targets.get(alias_of(alias)?)?.as_str()
}

fn alias_of(text: &str) -> Option<&str> {
    let resource = Arn::of(text).map_or(text, |arn| arn.resource);
    resource.starts_with("alias/").then_some(resource)
}

/// Returns whether an alias and a key are of one account and region. A replica has a region of its own.
fn may_stand_for(walk: &Walk<'_>, alias: &str, key: &str) -> bool {
    let context = walk.facts.context;
    let Some(key) = Arn::of(key) else { return true };
    let (region, account) =
        Arn::of(alias).map_or((&*context.region, &*context.account), |alias| (alias.region, alias.account));
    is_at(key.account, account) && (is_at(key.region, region) || walk.inside(|name| name.starts_with("Replica")))
}

fn is_key_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().filter(|b| *b == b'-').count() == 4 || text.starts_with("mrk-")
}

/// Returns whether two texts of Azure are the same: an identifier or a kind in any case, a place with or without its
/// blanks.
fn azure(walk: &Walk<'_>, left: &str, right: &str) -> bool {
    let name = walk.name();
    if name == "type" && walk.path.len() == 1 {
        return left.eq_ignore_ascii_case(right);
    }
    if ["ocation", "ocations", "ocationName"].iter().any(|end| name.ends_with(end)) {
        let place = |text: &str| text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_lowercase()).collect::<String>();
        return place(left) == place(right);
    }
    is_azure_id(left)
        && is_azure_id(right)
        && left.trim_end_matches('/').eq_ignore_ascii_case(right.trim_end_matches('/'))
}

/// Returns whether a text is the identifier of a resource, and no path in a web site or a file system.
fn is_azure_id(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.starts_with('/') && (text.contains("/subscriptions/") || text.contains("/providers/"))
}

/// Says whether two texts of Google Cloud are the same: a name with or without what leads to it, a span of time.
fn google(walk: &Walk<'_>, (left, right): (&str, &str)) -> Judgment {
    let span = |text: &str| text.ends_with('s').then(|| quantity::duration(text)).flatten();
    let (left_path, right_path) = (without_host(left), without_host(right));
    let (long, short) =
        if left_path.len() < right_path.len() { (right_path, left_path) } else { (left_path, right_path) };
    let is_tail = !short.is_empty() && long.strip_suffix(short).is_some_and(|before| before.ends_with('/'));
    match long.strip_prefix("projects/").and_then(|rest| rest.split('/').next()) {
        _ if long == short => Judgment::Same(Class::Google.fold()),
        Some(project) if is_tail => of_project(walk, project),
        _ if matches!((span(left), span(right)), (Some(left), Some(right)) if left == right) => {
            Judgment::Same(Class::Google.fold())
        }
        _ => Judgment::Different,
    }
}

/// Says whether a name that stands alone is the one in a project: it is if that is the project at hand, and may be if the
/// project is told by its number.
fn of_project(walk: &Walk<'_>, project: &str) -> Judgment {
    let here = &*walk.facts.context.account;
    match project {
        _ if is_at(project, here) => Judgment::Same(Class::Google.fold()),
        number if number.bytes().all(|b| b.is_ascii_digit()) => Judgment::Unknown,
        _ => Judgment::Different,
    }
}

/// Returns what follows one of Google's own hosts in a name.
fn without_host(text: &str) -> &str {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("//")).unwrap_or(text);
    let is_google = |host: &str| host == "googleapis.com" || host.ends_with(".googleapis.com");
    match rest.split_once('/') {
        Some((host, path)) if is_google(host) => path.find("projects/").and_then(|at| path.get(at..)).unwrap_or(text),
        _ => text,
    }
}

/// Returns the JSON document that a value holds as text.
pub(super) fn document(value: &Value) -> Option<Value> {
    document_in(value.as_str()?)
}

/// Returns the JSON document in a text, which may have gaps in place of values.
pub(super) fn document_in(text: &str) -> Option<Value> {
    let trimmed = text.trim_ascii();
    let framed =
        (trimmed.starts_with('{') && trimmed.ends_with('}')) || (trimmed.starts_with('[') && trimmed.ends_with(']'));
    // One gap looks like an object, and holds itself.
    if !framed || trimmed.starts_with(filling::OPEN) {
        return None;
    }
    let quoted =
        if trimmed.contains(filling::OPEN) { Cow::Owned(filling::quoted(trimmed)) } else { Cow::Borrowed(trimmed) };
    serde_json::from_str(&quoted).ok()
}

/// Returns whether two texts are the same amount.
pub(super) fn same_quantity(left: &Value, right: &Value) -> bool {
    matches!((quantity::of(left), quantity::of(right)), (Some(left), Some(right)) if left == right)
}
