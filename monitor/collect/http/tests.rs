//! What the client makes of single answers. Faults of whole listings are tried where listings are read.

use std::convert::Infallible;
use std::sync::OnceLock;

use tokio::time::Instant;

use super::*;
use crate::collect::wire;

/// Returns a client with connections of its own and the certificates of all others: reading these takes long.
pub(crate) fn client(cloud: &str, limits: Limits, rate: (f64, u64)) -> Client {
    Client::over(shared(), cloud, limits, rate)
}

/// Returns the connections that all clients of tests share.
pub(super) fn shared() -> reqwest::Client {
    static TRANSPORT: OnceLock<reqwest::Client> = OnceLock::new();
    TRANSPORT.get_or_init(|| transport(Duration::from_secs(2)).unwrap()).clone()
}

/// Returns connections that are made in another way than all others.
pub(super) fn settled(change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> reqwest::Client {
    change(settings(Duration::from_secs(2))).build().unwrap()
}

/// What tries again within milliseconds.
pub(super) fn limits() -> Limits {
    Limits { first_pause: Duration::from_millis(1), longest_pause: Duration::from_millis(5), ..Limits::default() }
}

/// Asks once over these connections; returns the outcome, and in how many attempts it came about.
pub(super) async fn said(http: reqwest::Client, url: &str) -> (Result<Answer, CallError>, usize) {
    let noting = Noting::default();
    let outcome = Client::over(http, "c", limits(), (1000.0, u64::MAX)).send(&get(url.parse().unwrap()), &noting).await;
    let attempts = noting.0.lock().len();
    (outcome, attempts)
}

fn get(url: Url) -> Request {
    let target = Target { account: "1".into(), region: "r".into(), service: "s" };
    Request { target, method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), media: Media::Json }
}

fn check(status: u16, code: &str, reason: GapReason) {
    let status = StatusCode::from_u16(status).unwrap();
    let code = Code::new(code).filter(|code| !code.as_str().is_empty());
    assert_eq!(classify(status, code.as_ref()), reason, "{status} {code:?}");
}

#[test]
fn each_refusal_leaves_its_gap() {
    for (status, code, reason) in [
        (401, "", GapReason::Denied),
        (403, "", GapReason::Denied),
        (400, "AccessDeniedException", GapReason::Denied),
        (404, "UnauthorizedOperation", GapReason::Denied),
        (429, "", GapReason::Throttled),
        (400, "ThrottlingException", GapReason::Throttled),
        (403, "RequestLimitExceeded", GapReason::Throttled),
        (503, "SlowDown", GapReason::Throttled),
        (400, "TooManyRequestsException", GapReason::Throttled),
        (503, "", GapReason::Timeout),
        (500, "InternalFailure", GapReason::Timeout),
        (400, "GeneralServiceException", GapReason::Partial),
        (404, "ResourceNotFoundException", GapReason::Partial),
        (404, "", GapReason::Malformed),
        (302, "", GapReason::Malformed),
    ] {
        check(status, code, reason);
    }
}

#[test]
fn only_plain_words_are_codes() {
    for code in ["AccessDenied", "EC2ThrottledException", "InvalidParameter.NotFound"] {
        assert_eq!(Code::new(code).unwrap().as_str(), code);
    }
    for text in ["", "access denied", "<html>", "AKIA1234567890", "wJalrXUtnFEMI/K7MDENG", &"a".repeat(65)] {
        assert_eq!(Code::new(text), None, "{text}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date_by_the_clouds_own_clock() {
    let asked = |retry_after: &str| {
        let date = (DATE, "Fri, 02 Jan 2026 03:04:05 GMT".parse().unwrap());
        super::retry_after(&HeaderMap::from_iter([date, (RETRY_AFTER, retry_after.parse().unwrap())]))
    };
    assert_eq!(asked("7"), Some(Duration::from_secs(7)));
    assert_eq!(asked("Fri, 02 Jan 2026 03:05:05 GMT"), Some(Duration::from_mins(1)));
    for text in ["Fri, 02 Jan 2026 03:00:00 GMT", "-1", "soon", "99999999999999999999999"] {
        assert_eq!(asked(text), None, "{text}");
    }
}

#[test]
fn what_is_asked_for_and_how_often_is_bounded() {
    let client = client("c", Limits::default(), (10.0, u64::MAX));
    let wait = Some(Duration::from_secs(4_000_000_000));
    let asked = CallError { again: Again::After(wait), ..CallError::new(GapReason::Throttled, "") };
    assert_eq!(client.pause(&asked, 1), Some(client.limits.longest_pause));
    assert_eq!(client.pause(&asked, client.limits.attempts), None);
    let silent = CallError::passing(GapReason::Timeout, "");
    assert_eq!(client.pause(&silent, client.limits.attempts_unanswered), None);
    assert_eq!(client.pause(&CallError::new(GapReason::Denied, ""), 1), None);
}

#[test]
fn media_types_are_told_apart() {
    for (media_type, json, xml) in [
        ("application/json; charset=utf-8", true, false),
        ("application/x-amz-json-1.1", true, false),
        ("application/problem+json", true, false),
        ("text/xml;charset=UTF-8", false, true),
        ("text/html", false, false),
        ("", false, false),
    ] {
        assert_eq!((Media::Json.is(media_type), Media::Xml.is(media_type)), (json, xml), "{media_type}");
    }
}

/// Signs nothing, and notes when it was asked to.
#[derive(Default)]
struct Noting(Mutex<Vec<Instant>>);

#[async_trait]
impl Protocol for Noting {
    async fn sign(&self, _: &mut http::Request<Bytes>) -> Result<(), CallError> {
        self.0.lock().push(Instant::now());
        Ok(())
    }

    fn code(&self, _: &HeaderMap, _: &[u8]) -> Option<Code> {
        None
    }
}

#[tokio::test]
async fn the_pace_is_kept_by_all_who_ask_and_halves_at_once() {
    const RATE: usize = 40;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let address = wire::serve(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        nth if nth == RATE => wire::say(429, "{}"),
        _ => wire::say(200, "{}"),
    });
    let url: Url = format!("http://{}/", address.await).parse().unwrap();
    let client = client("c", Limits::default(), (40.0, u64::MAX));
    let (noting, request) = (Noting::default(), get(url));
    let ask = async || {
        for _ in 0..8 {
            client.send(&request, &noting).await.unwrap();
        }
    };
    futures_util::future::join_all((0..8).map(|_| ask())).await;
    let sent = noting.0.lock().clone();
    assert_eq!(sent.len(), 65, "64 requests, one of them again");
    for (at, first) in sent.iter().enumerate() {
        let within = sent[at..].iter().filter(|other| **other - *first < Duration::from_secs(1)).count();
        // A machine that is busy may note late what was sent in time.
        assert!(within <= RATE + 4, "{within} requests within a second");
    }
    // Those that were under way when the answer came may still follow it.
    let after = sent[RATE + 1..].iter().filter(|at| **at - sent[RATE] < Duration::from_secs(1)).count();
    assert!(after <= RATE / 2 + 8, "{after} requests in the second after a throttle");
}

async fn read(pieces: Vec<Result<&'static [u8], std::io::Error>>, cap: usize) -> Result<Bytes, GapReason> {
    let pieces = futures_util::stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from_static)));
    read_capped(pieces, cap, Duration::from_secs(1)).await.map_err(|error| error.reason)
}

#[tokio::test]
async fn a_part_of_a_body_is_no_body() {
    assert_eq!(read(vec![Ok(b"ab"), Ok(b"cd")], 4).await.unwrap(), "abcd");
    assert_eq!(read(vec![Ok(b"ab"), Ok(b"cde")], 4).await, Err(GapReason::Partial));
    assert_eq!(read(vec![Ok(b"ab"), Err(std::io::Error::other("reset"))], 4).await, Err(GapReason::Partial));
    let silent = futures_util::stream::pending::<Result<Bytes, Infallible>>();
    let stalled = read_capped(silent, 4, Duration::from_millis(5)).await.unwrap_err();
    assert_eq!(stalled.reason, GapReason::Timeout);
}

#[test]
fn a_service_that_bears_less_gets_less() {
    let limits = Limits { slow_services: &[("slow", 2.0)], ..Limits::default() };
    let rate = |service, per_second| {
        let target = Target { account: "1".into(), region: "r".into(), service };
        client("prod", limits, (per_second, u64::MAX)).budget(&target).rate()
    };
    let rates = [rate("slow", 10.0), rate("slow", 0.5), rate("other", 10.0)];
    assert_eq!(rates.map(|rate| format!("{rate}")), ["2", "0.5", "10"]);
}
