//! A Cloud Control that answers by script, down to the bytes: each fault at each place leaves its gap and no absence.
//!
//! It proves how answers are taken, not that AWS gives them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use driftwarden_core::finding::{Arisen, DriftKind};
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::collect::http::tests::client;
use crate::collect::wire::{self, Request, with};
pub(super) use crate::collect::wire::{Reply, say};
use crate::collect::{Item, Read};

pub(crate) const KIND: &str = "AWS::SQS::Queue";
const PAGES: usize = 3;
/// Stands in credentials and in bodies; must never come out in a gap or an error.
const CANARY: &str = "canary7Qx";
const NOW: &str = "2026-01-02T03:04:05Z";

pub(super) fn refuse(status: u16, code: &str) -> Reply {
    let body = json!({"__type": format!("com.amazon.coral.service#{code}"), "message": CANARY}).to_string();
    with(say(status, body), "x-amzn-errortype", code)
}

pub(super) fn xml(body: &str) -> Reply {
    with(say(200, body), "content-type", "text/xml")
}

#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) operation: String,
    /// The JSON of the request; its parameters in Query and in REST.
    pub(super) input: Value,
    authorization: String,
    pub(super) date: String,
    pub(super) path: String,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts a server that answers by the script, which sees the request and all those before it.
    pub(super) async fn start(script: impl Fn(&Asked, &[Asked]) -> Reply + Send + Sync + 'static) -> Self {
        let log = Arc::<Mutex<Vec<Asked>>>::default();
        let seen = Arc::clone(&log);
        let address = wire::serve(move |request| {
            let mut log = seen.lock();
            log.push(asked(request));
            let (asked, before) = log.split_last().unwrap();
            script(asked, before)
        });
        Self { address: address.await, asked: log }
    }

    pub(super) fn operations(&self) -> Vec<String> {
        self.asked.lock().iter().map(|asked| asked.operation.clone()).collect()
    }
}

/// Reads a request as AWS does.
fn asked(request: &Request) -> Asked {
    // What is read by REST has its parameters in the address, and no body.
    let form = request.query.as_ref().map_or(&*request.body, |query| query.as_bytes());
    let parameters =
        || url::form_urlencoded::parse(form).into_owned().map(|(key, value)| (key, value.into())).collect();
    let input = serde_json::from_slice(&request.body).unwrap_or_else(|_| Value::Object(parameters()));
    let target = request.header("x-amz-target");
    let operation = target.rsplit('.').next().filter(|word| !word.is_empty());
    let rest = request.query.as_ref().map(|_| "GET");
    let operation = operation.or(input["Action"].as_str()).or(rest).unwrap_or_default().to_owned();
    let (authorization, date) = (request.header("authorization"), request.header("x-amz-date"));
    Asked { operation, input, authorization, date, path: request.path.clone() }
}

fn description(name: &str) -> Value {
    json!({"Identifier": name, "Properties": json!({"QueueName": name, "Note": "ü \"quoted\""}).to_string()})
}

/// The page that an honest service sends: two queues each, three pages.
fn page_json(asked: &Asked) -> Value {
    let page = page_of(asked);
    let names = [2 * page, 2 * page + 1].map(|at| format!("queue-{at}"));
    let mut json = json!({"TypeName": KIND, "ResourceDescriptions": names.map(|name| description(&name))});
    if page + 1 < PAGES {
        json["NextToken"] = (page + 1).to_string().into();
    }
    json
}

fn page_of(asked: &Asked) -> usize {
    asked.input["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0)
}

pub(super) fn honest(asked: &Asked) -> Reply {
    match asked.operation.as_str() {
        "ListResources" => say(200, page_json(asked).to_string()),
        "GetResource" => {
            let name = asked.input["Identifier"].as_str().unwrap();
            say(200, json!({"TypeName": KIND, "ResourceDescription": description(name)}).to_string())
        }
        "GetCallerIdentity" => xml(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        "AssumeRole" => xml(&format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>\
             <SecretAccessKey>{CANARY}</SecretAccessKey><SessionToken>{CANARY}</SessionToken>\
             <Expiration>2026-01-02T04:04:05Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )),
        other => refuse(400, if other.is_empty() { "InvalidAction" } else { "UnknownOperationException" }),
    }
}

/// What waits in milliseconds where it can.
pub(crate) fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(2),
        headers: Duration::from_secs(2),
        idle: Duration::from_secs(1),
        deadline: Duration::from_secs(3),
        body: 64 << 10,
        attempts: 3,
        attempts_unanswered: 2,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        slow_services: &[],
    }
}

fn config(value: &Value) -> Config {
    let mut config = json!({"name": "prod", "regions": ["eu-west-1"], "kinds": {"include": [KIND]}, "requests_per_second": 1000.0,
            "direct": {"exclude": ["*"]}});
    config.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

pub(super) fn aws(address: SocketAddr, settings: &Value) -> Aws {
    aws_within(limits(), address, settings)
}

/// Returns a cloud whose every service is at that address, and that waits no longer than the limits say.
pub(crate) fn aws_within(limits: Limits, address: SocketAddr, settings: &Value) -> Aws {
    let mut config = config(settings);
    config.endpoint = Some(format!("http://{address}/").parse().unwrap());
    let aws = Aws::with_client(config, |config| Ok(client("prod", limits, rate(config)))).unwrap();
    let credentials = Credentials::new("AKIABASE", CANARY, Some(CANARY.to_owned()), None, "test");
    let clock: Clock = Arc::new(|| NOW.parse().unwrap());
    let session = aws.session_with((SharedCredentialsProvider::new(credentials), clock), None, None).unwrap();
    assert!(aws.session.set(session).is_ok());
    aws
}

pub(super) fn scope() -> Scope {
    let (account, region) = ("111111111111".into(), "eu-west-1".into());
    Scope { cloud: "prod".into(), provider: Provider::Aws, account, region }
}

fn wanted() -> Wanted {
    Wanted { full: BTreeSet::from([KIND.into(), "apps/Deployment".into()]), ..Wanted::default() }
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) full: Vec<Item>,
    pub(super) partial: Vec<Item>,
    listed: Vec<Item>,
    /// Names of what was not read again; kinds where it is all of them.
    pub(super) kept: Vec<String>,
    pub(super) complete: Vec<String>,
    pub(super) gaps: Vec<(Option<String>, GapReason)>,
}

pub(super) async fn collect_scope(aws: &Aws, scope: &Scope, wanted: &Wanted) -> Seen {
    let (sink, mut reads) = mpsc::channel(100);
    aws.collect(scope, wanted, sink).await;
    let mut seen = Seen::default();
    while let Some(read) = reads.recv().await {
        assert!(!format!("{read:?}").contains(CANARY), "{read:?}");
        match read {
            Read::Page { depth: Depth::Full, items, .. } => seen.full.extend(items),
            Read::Page { depth: Depth::Partial, items, .. } => seen.partial.extend(items),
            Read::Page { depth: Depth::Listed, items, .. } => seen.listed.extend(items),
            Read::Kept { names, .. } => seen.kept.extend(names.iter().map(ToString::to_string)),
            Read::KeptAll { kind, .. } => seen.kept.push(kind.to_string()),
            Read::Complete(kind) => seen.complete.push(kind.to_string()),
            Read::Gap(gap) => seen.gaps.push((gap.kind.map(|kind| kind.to_string()), gap.reason)),
        }
    }
    seen.full.sort_by(|a, b| a.name.cmp(&b.name));
    seen
}

async fn collect(aws: &Aws) -> Seen {
    collect_scope(aws, &scope(), &wanted()).await
}

fn id(name: &str) -> ResourceId {
    scope().id(&KIND.into(), name)
}

/// Everything that can be wrong with one answer, and the gap that it leaves.
fn faults() -> Vec<(&'static str, Reply, GapReason)> {
    let good = json!({"TypeName": KIND, "ResourceDescriptions": []});
    let cut = good.to_string().get(..20).unwrap().to_owned();
    let bare = |status| with(say(status, CANARY), "content-type", "text/html");
    let slow = |after| with(refuse(429, "TooManyRequestsException"), "retry-after", after);
    let mut with_null = good.clone();
    with_null["ResourceDescriptions"] = Value::Null;
    let broken = json!({"TypeName": KIND, "ResourceDescriptions": [{"Identifier": "a", "Properties": "{\"cut"}]});
    let unnamed = json!({"TypeName": KIND, "ResourceDescriptions": [{"Properties": "{}"}]});
    let list = json!({"TypeName": KIND, "ResourceDescriptions": [{"Identifier": "a", "Properties": "[]"}]});
    vec![
        ("401", refuse(401, "UnrecognizedClientException"), GapReason::Denied),
        ("403", refuse(403, "AccessDenied"), GapReason::Denied),
        ("403 of a proxy", bare(403), GapReason::Denied),
        ("denied with 400", refuse(400, "AccessDeniedException"), GapReason::Denied),
        ("404 for denied", bare(404), GapReason::Malformed),
        ("404 with a word", refuse(404, "ResourceNotFoundException"), GapReason::Partial),
        ("clock", refuse(403, "InvalidSignatureException"), GapReason::Denied),
        ("429", bare(429), GapReason::Throttled),
        ("429 with a pause", slow("0"), GapReason::Throttled),
        ("429 with an absurd pause", slow("4000000000"), GapReason::Throttled),
        ("429 with a pause that is none", slow("-5 minutes"), GapReason::Throttled),
        ("throttled with 400", refuse(400, "ThrottlingException"), GapReason::Throttled),
        ("slow down", refuse(503, "SlowDown"), GapReason::Throttled),
        ("500", bare(500), GapReason::Timeout),
        ("502", bare(502), GapReason::Timeout),
        ("503", bare(503), GapReason::Timeout),
        ("a handler that failed", refuse(400, "GeneralServiceException"), GapReason::Partial),
        ("reset in the body", Reply::Cut { body: cut.clone().into(), reset: true }, GapReason::Partial),
        ("half a body", Reply::Cut { body: cut.clone().into(), reset: false }, GapReason::Partial),
        ("hang", Reply::Hang { headers: false }, GapReason::Timeout),
        ("hang after the headers", Reply::Hang { headers: true }, GapReason::Timeout),
        ("drip", Reply::Drip, GapReason::Timeout),
        ("cut JSON", say(200, cut), GapReason::Malformed),
        ("garbage", say(200, vec![0xff, 0, 0x7b]), GapReason::Malformed),
        ("another content type", with(say(200, good.to_string()), "content-type", "text/plain"), GapReason::Malformed),
        ("login page", with(say(200, "<html>"), "content-type", "text/html"), GapReason::Malformed),
        ("login page that lies", say(200, "<html>"), GapReason::Malformed),
        ("gzip bomb", wire::gzip_bomb(), GapReason::Partial),
        ("cut gzip", with(say(200, vec![0x1f, 0x8b, 8]), "content-encoding", "gzip"), GapReason::Partial),
        ("long body", say(200, vec![b' '; 70_000]), GapReason::Partial),
        ("empty body", say(200, ""), GapReason::Malformed),
        ("204", say(204, ""), GapReason::Malformed),
        ("an object of nothing", say(200, "{}"), GapReason::Malformed),
        ("no list", say(200, with_null.to_string()), GapReason::Malformed),
        ("another kind", say(200, good.to_string().replace(KIND, "AWS::S3::Other")), GapReason::Malformed),
        ("broken attributes", say(200, broken.to_string()), GapReason::Malformed),
        ("no name", say(200, unnamed.to_string()), GapReason::Malformed),
        ("attributes that are a list", say(200, list.to_string()), GapReason::Malformed),
        ("deep nesting", say(200, "[".repeat(60_000)), GapReason::Malformed),
        ("redirect", with(say(307, ""), "location", "http://127.0.0.1:9/"), GapReason::Malformed),
    ]
}

#[tokio::test]
async fn a_clean_listing_is_complete_and_whole() {
    let server = Server::start(|asked, _| honest(asked)).await;
    let seen = collect(&aws(server.address, &json!({}))).await;
    assert_eq!((seen.complete, seen.gaps), (vec![KIND.to_owned()], vec![]));
    let names: Vec<_> = seen.full.iter().map(|item| &*item.name).collect();
    assert_eq!(names, ["queue-0", "queue-1", "queue-2", "queue-3", "queue-4", "queue-5"]);
    let text: Value = serde_json::from_str(&seen.full[5].text).unwrap();
    assert_eq!(text, json!({"QueueName": "queue-5", "Note": "ü \"quoted\""}));
}

#[tokio::test]
async fn each_fault_at_each_page_leaves_its_gap() {
    let cells = faults().into_iter().flat_map(|fault| (0..PAGES).map(move |page| (fault.clone(), page)));
    join_all(cells.map(|((name, reply, reason), at)| async move {
        let server = Server::start(move |asked, _| match asked.operation.as_str() {
            "ListResources" if page_of(asked) == at => reply.clone(),
            _ => honest(asked),
        })
        .await;
        let seen = collect(&aws(server.address, &json!({}))).await;
        assert_eq!(seen.gaps, [(Some(KIND.to_owned()), reason)], "{name} at page {at}");
        assert!(seen.complete.is_empty(), "{name} at page {at}");
        assert_eq!(seen.full.len(), 2 * at, "{name} at page {at}: what was read before is kept");
    }))
    .await;
}

#[tokio::test]
async fn a_resource_that_cannot_be_read_is_still_listed() {
    // A word for "not found" is no fault here: see the next test.
    let cells = faults().into_iter().filter(|(name, ..)| *name != "404 with a word");
    join_all(cells.map(|(name, reply, reason)| async move {
        let server = Server::start(move |asked, _| match asked.input["Identifier"].as_str() {
            Some("queue-3") => reply.clone(),
            _ => honest(asked),
        })
        .await;
        let aws = aws(server.address, &json!({}));
        let seen = collect(&aws).await;
        assert_eq!(seen.gaps, [(Some(KIND.to_owned()), reason)], "{name}");
        assert!(seen.complete.is_empty(), "{name}");
        assert_eq!((seen.full.len(), seen.listed.len()), (5, 1), "{name}");
        let error = aws.read(&id("queue-3"), &Wanted::default()).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{name}");
        assert!(!format!("{error:?} {}", told(&error)).contains(CANARY), "{name}");
    }))
    .await;
}

fn without(name: &'static str) -> impl Fn(&Asked) -> Reply + Clone {
    move |asked| match asked.input["Identifier"].as_str() {
        Some(found) if found == name => refuse(400, "ResourceNotFoundException"),
        _ => honest(asked),
    }
}

#[tokio::test]
async fn a_resource_that_goes_while_it_is_listed_is_not_reported() {
    let server = Server::start(|asked, before| match asked.operation.as_str() {
        "ListResources" if before.iter().any(|asked| asked.input["Identifier"] == "queue-3") => {
            let mut page = page_json(asked);
            page["ResourceDescriptions"].as_array_mut().unwrap().retain(|item| item["Identifier"] != "queue-3");
            say(200, page.to_string())
        }
        _ => without("queue-3")(asked),
    })
    .await;
    let seen = collect(&aws(server.address, &json!({}))).await;
    assert_eq!((seen.full.len(), seen.listed.len(), seen.complete.len()), (5, 0, 1));
}

#[tokio::test]
async fn a_resource_that_is_listed_and_never_found_is_a_gap() {
    let server = Server::start(|asked, _| without("queue-3")(asked)).await;
    let seen = collect(&aws(server.address, &json!({}))).await;
    assert_eq!((seen.full.len(), seen.gaps), (5, vec![(Some(KIND.to_owned()), GapReason::Partial)]));
}

#[tokio::test]
async fn absence_needs_a_listing_of_the_same_kind() {
    let server = Server::start(|asked, _| without("gone")(asked)).await;
    assert_eq!(aws(server.address, &json!({})).read(&id("gone"), &Wanted::default()).await.unwrap(), Reading::Absent);
    assert_eq!(server.operations(), ["GetResource", "ListResources", "ListResources", "ListResources"]);
    // Listed and not found at once, wherever it is listed: one of the two is wrong.
    for name in ["queue-0", "queue-5"] {
        let server = Server::start(move |asked, _| without(name)(asked)).await;
        assert_eq!(
            aws(server.address, &json!({})).read(&id(name), &Wanted::default()).await.unwrap_err().reason(),
            GapReason::Partial
        );
    }
}

#[tokio::test]
async fn what_people_call_so_is_not_absent_because_it_is_no_identifier() {
    let renamed = |asked: &Asked| match &*asked.operation {
        "ListResources" => {
            let url = "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs";
            let listed = json!({"Identifier": url, "Properties": json!({"QueueName": "jobs"}).to_string()});
            say(200, json!({"TypeName": KIND, "ResourceDescriptions": [listed]}).to_string())
        }
        _ => refuse(400, "ResourceNotFoundException"),
    };
    let server = Server::start(move |asked, _| renamed(asked)).await;
    let aws = aws(server.address, &json!({}));
    let wanted = |by_any_name| Wanted { by_any_name, ..Wanted::default() };
    assert_eq!(aws.read(&id("jobs"), &wanted(true)).await.unwrap_err().reason(), GapReason::Partial);
    assert_eq!(aws.read(&id("jobs"), &wanted(false)).await.unwrap(), Reading::Absent);
    assert_eq!(aws.read(&id("other"), &wanted(true)).await.unwrap(), Reading::Absent);
}

/// Checks how many of these looks at things that are gone read a list; each says since when one may have been read.
async fn check_lists(settings: &Value, (kind, operation): (&str, &str), sinces: &[Option<i64>], expected: usize) {
    let server = Server::start(|asked, _| match &*asked.operation {
        "GetResource" => refuse(400, "ResourceNotFoundException"),
        "GetRole" => refuse(404, "NoSuchEntity"),
        "GetAccountAuthorizationDetails" => {
            xml("<GetAccountAuthorizationDetailsResponse><GetAccountAuthorizationDetailsResult><RoleDetailList/>\
             </GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>")
        }
        _ => honest(asked),
    })
    .await;
    let aws = aws(server.address, settings);
    let scope = Scope { region: if kind == KIND { "eu-west-1" } else { "-" }.into(), ..scope() };
    for since in sinces {
        let since = since.map(|second| Timestamp::from_second(second).unwrap());
        let wanted = Wanted { since, ..Wanted::default() };
        let looks = ["a", "b", "c"].map(|name| scope.id(&kind.into(), name));
        let looks = join_all(looks.iter().map(|id| aws.read(id, &wanted))).await;
        assert!(looks.iter().all(|look| matches!(look, Ok(Reading::Absent))), "{looks:?}");
    }
    let lists = server.operations().iter().filter(|asked| *asked == operation).count();
    assert_eq!(lists, expected, "{kind} {sinces:?}");
}

#[tokio::test]
async fn the_exact_looks_of_one_pass_share_a_list() {
    let cloud_control = (KIND, "ListResources");
    check_lists(&json!({}), cloud_control, &[Some(5)], 3).await;
    check_lists(&json!({}), cloud_control, &[Some(5), Some(5), Some(4)], 3).await;
    check_lists(&json!({}), cloud_control, &[Some(5), Some(6)], 6).await;
    check_lists(&json!({}), cloud_control, &[None, None], 18).await;
    let direct = json!({"direct": {}, "kinds": {"include": ["AWS::IAM::Role"]}});
    let role = ("AWS::IAM::Role", "GetAccountAuthorizationDetails");
    check_lists(&direct, role, &[Some(5), Some(5)], 1).await;
    check_lists(&direct, role, &[None], 3).await;
}

#[tokio::test]
async fn absence_is_not_believed_while_the_listing_fails() {
    join_all(faults().into_iter().map(|(name, reply, reason)| async move {
        let server = Server::start(move |asked, _| match asked.operation.as_str() {
            "ListResources" => reply.clone(),
            _ => without("gone")(asked),
        })
        .await;
        let reading = aws(server.address, &json!({})).read(&id("gone"), &Wanted::default()).await;
        assert_eq!(reading.unwrap_err().reason(), reason, "{name}");
    }))
    .await;
}

#[tokio::test]
async fn a_list_that_does_not_end_is_a_gap() {
    let token = |text: fn(usize) -> String| {
        move |asked: &Asked, before: &[Asked]| {
            let mut page = page_json(asked);
            page["NextToken"] = text(before.len()).into();
            say(200, page.to_string())
        }
    };
    let listed = Wanted::default();
    let endless = Server::start(token(|nth| format!("t{nth}"))).await;
    let seen = collect_scope(&aws(endless.address, &json!({"max_pages": 7})), &scope(), &listed).await;
    assert_eq!((seen.gaps, endless.operations().len()), (vec![(Some(KIND.to_owned()), GapReason::Partial)], 7));
    let repeating = Server::start(token(|_| "same".to_owned())).await;
    let seen = collect_scope(&aws(repeating.address, &json!({})), &scope(), &listed).await;
    assert_eq!((seen.gaps, repeating.operations().len()), (vec![(Some(KIND.to_owned()), GapReason::Partial)], 2));
    assert_eq!(seen.listed.len(), 2, "what comes twice is said once");
}

#[tokio::test]
async fn a_passing_fault_is_tried_again_and_signed_anew() {
    for reply in [say(500, ""), refuse(400, "ThrottlingException"), Reply::Cut { body: b"{".to_vec(), reset: true }] {
        let server = Server::start(move |asked, before| if before.len() == 1 { reply.clone() } else { honest(asked) });
        let server = server.await;
        let seen = collect(&aws(server.address, &json!({}))).await;
        assert_eq!((seen.complete.len(), seen.gaps), (1, vec![]));
    }
}

#[tokio::test]
async fn a_wrong_clock_is_set_by_the_clouds() {
    let server = Server::start(|asked, _| {
        let early = || with(refuse(403, "InvalidSignatureException"), "date", "Fri, 02 Jan 2026 05:04:05 GMT");
        if asked.date.starts_with("20260102T0504") { honest(asked) } else { early() }
    });
    let server = server.await;
    let aws = aws(server.address, &json!({}));
    assert!(matches!(aws.read(&id("queue-0"), &Wanted::default()).await, Ok(Reading::Found(..))));
    assert!(matches!(aws.read(&id("queue-1"), &Wanted::default()).await, Ok(Reading::Found(..))));
    assert_eq!(server.operations().len(), 3, "it stays set");
}

#[tokio::test]
async fn retries_are_not_for_ever() {
    let server = Server::start(|_, _| refuse(400, "ThrottlingException")).await;
    let aws = aws(server.address, &json!({}));
    for _ in 0..30 {
        assert_eq!(aws.read(&id("queue-0"), &Wanted::default()).await.unwrap_err().reason(), GapReason::Throttled);
        tokio::task::yield_now().await;
    }
    let asked = server.operations().len();
    assert!((40..=43).contains(&asked), "30 requests, 10 retries in hand and 3 earned: {asked}");
}

#[tokio::test]
async fn accounts_are_entered_by_their_roles() {
    let accounts = json!([{"id": "222222222222", "role": "Reader"}, {"id": "333333333333"}]);
    let server = Server::start(|asked, _| honest(asked)).await;
    let aws = aws(server.address, &json!({"accounts": accounts, "external_id": "x1"}));
    let scopes: Vec<_> = aws.scopes().await.unwrap().iter().map(ToString::to_string).collect();
    let expected = [
        "aws://222222222222/eu-west-1",
        "aws://222222222222/-",
        "aws://333333333333/eu-west-1",
        "aws://333333333333/-",
    ];
    assert_eq!(scopes, expected);
    let other = Scope { account: "222222222222".into(), ..scope() };
    assert_eq!(collect_scope(&aws, &other, &Wanted::default()).await.complete, [KIND]);
    let asked = server.asked.lock().clone();
    assert_eq!(asked[0].input["RoleArn"], "arn:aws:iam::222222222222:role/Reader");
    assert_eq!(asked[0].input["ExternalId"], "x1");
    assert!(asked[0].authorization.contains("Credential=AKIABASE/20260102/eu-west-1/sts/"));
    let by_role =
        |asked: &Asked| asked.authorization.contains("Credential=ASIAROLE/20260102/eu-west-1/cloudcontrolapi/");
    assert!(asked[1..].iter().all(by_role), "assumed once, used for all");
    assert!(!format!("{aws:?}").contains(CANARY));
}

#[tokio::test]
async fn an_account_that_cannot_be_entered_is_one_gap() {
    let server = Server::start(|asked, _| match asked.operation.as_str() {
        "AssumeRole" => refuse(403, "AccessDenied"),
        _ => honest(asked),
    });
    let server = server.await;
    let aws = aws(server.address, &json!({"role": "arn:aws:iam::111111111111:role/Reader"}));
    let seen = collect(&aws).await;
    assert_eq!((seen.gaps, seen.complete.len()), (vec![(None, GapReason::Denied)], 0));
}

/// The accounts of an organization, on pages of two; one page is empty.
fn organization(asked: &Asked) -> Reply {
    let account = |digit: &str, name: &str, state: &str| json!({"Id": digit.repeat(12), "Name": name, "State": state});
    let (accounts, next) = match asked.input["NextToken"].as_str() {
        None => (vec![account("1", "main", "ACTIVE"), account("2", "shop", "ACTIVE")], Some("a")),
        Some("a") => (vec![], Some("b")),
        Some(_) => (vec![account("3", "old", "SUSPENDED"), account("4", "sandbox-1", "ACTIVE")], None),
    };
    let mut page = json!({"Accounts": accounts});
    if let Some(next) = next {
        page["NextToken"] = next.into();
    }
    say(200, page.to_string())
}

fn enabled(asked: &Asked) -> Reply {
    let item = |name: &str, opt_in: &str| {
        format!("<item><regionName>{name}</regionName><optInStatus>{opt_in}</optInStatus></item>")
    };
    let south = if asked.authorization.contains("AKIABASE") { "opted-in" } else { "not-opted-in" };
    let regions = [item("eu-west-1", "opt-in-not-required"), item("eu-south-1", south), item("us-east-1", "opted-in")];
    let regions = regions.concat();
    xml(&format!("<DescribeRegionsResponse><regionInfo>{regions}</regionInfo></DescribeRegionsResponse>"))
}

fn of_the_organization(asked: &Asked) -> Reply {
    match asked.operation.as_str() {
        "ListAccounts" => organization(asked),
        "DescribeRegions" => enabled(asked),
        _ => honest(asked),
    }
}

fn organized(address: SocketAddr, settings: &Value) -> Aws {
    let accounts = json!({"organization": true, "role": "Reader", "exclude": ["sandbox-*"]});
    let mut all = json!({"accounts": accounts, "external_id": "x1", "session_name": "drift@prod"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    aws(address, &all)
}

async fn scopes(aws: &Aws) -> Vec<String> {
    aws.scopes().await.unwrap().iter().map(|scope| scope.to_string().replace("aws://", "")).collect()
}

/// Reads the kind in a scope of that account; the words for what came out.
async fn outcome(aws: &Aws, account: &str, region: &str) -> String {
    let scope = Scope { account: account.into(), region: region.into(), ..scope() };
    let seen = collect_scope(aws, &scope, &Wanted::default()).await;
    match seen.gaps.first() {
        Some((None, reason)) => reason.to_string(),
        _ => format!("{} complete", seen.complete.len()),
    }
}

#[tokio::test]
async fn the_accounts_of_an_organization_are_read_to_the_last_page() {
    let server = Server::start(|asked, _| of_the_organization(asked)).await;
    let aws = organized(server.address, &json!({}));
    let [one, two, three] = ["1", "2", "3"].map(|digit| digit.repeat(12));
    let expected = [&one, &two, &three].map(|id| [format!("{id}/eu-west-1"), format!("{id}/-")]);
    assert_eq!(scopes(&aws).await, expected.concat());
    assert_eq!(outcome(&aws, &one, "eu-west-1").await, "1 complete");
    assert_eq!(outcome(&aws, &two, "eu-west-1").await, "1 complete");
    assert_eq!(outcome(&aws, &three, "eu-west-1").await, "denied", "it is suspended");
    let asked = server.asked.lock().clone();
    let listed = asked.iter().find(|asked| asked.operation == "ListAccounts").unwrap();
    assert!(listed.authorization.contains("/us-east-1/organizations/"), "{listed:?}");
    let entered: Vec<_> =
        asked.iter().filter(|asked| asked.operation == "AssumeRole").map(|asked| &asked.input).collect();
    assert_eq!(entered.len(), 1, "the account of the credentials and the suspended one are not entered: {entered:?}");
    assert_eq!(entered[0]["RoleArn"], format!("arn:aws:iam::{two}:role/Reader"));
    assert_eq!((&entered[0]["ExternalId"], &entered[0]["RoleSessionName"]), (&json!("x1"), &json!("drift@prod")));
}

#[tokio::test]
async fn an_account_that_cannot_be_entered_stops_no_other() {
    let server = Server::start(|asked, _| match asked.operation.as_str() {
        "AssumeRole" => refuse(403, "AccessDenied"),
        _ => of_the_organization(asked),
    });
    let server = server.await;
    for regions in [json!(["eu-west-1"]), json!(["all"])] {
        let aws = organized(server.address, &json!({"regions": regions}));
        let scopes = scopes(&aws).await;
        let [one, two] = ["1", "2"].map(|digit| digit.repeat(12));
        assert!([&one, &two].iter().all(|id| scopes.contains(&format!("{id}/eu-west-1"))), "{scopes:?}");
        assert_eq!(outcome(&aws, &one, "eu-west-1").await, "1 complete");
        assert_eq!(outcome(&aws, &two, "eu-west-1").await, "denied");
        let error = told(&aws.contact().await.unwrap_err());
        assert!(error.contains(&two), "{error}");
    }
}

#[tokio::test]
async fn a_list_of_accounts_that_fails_is_no_shorter_list() {
    join_all(faults().into_iter().map(|(name, reply, reason)| async move {
        let server = Server::start(move |asked, _| match (&*asked.operation, asked.input["NextToken"].as_str()) {
            ("ListAccounts", Some("b")) => reply.clone(),
            _ => of_the_organization(asked),
        })
        .await;
        let error = organized(server.address, &json!({})).scopes().await.unwrap_err();
        assert_eq!(error.reason(), reason, "{name}");
    }))
    .await;
    let endless = Server::start(|asked, _| match asked.operation.as_str() {
        "ListAccounts" => say(200, json!({"Accounts": [], "NextToken": "same"}).to_string()),
        _ => honest(asked),
    });
    let error = organized(endless.await.address, &json!({})).scopes().await.unwrap_err();
    assert_eq!(error.reason(), GapReason::Partial);
    let server = Server::start(|asked, _| of_the_organization(asked)).await;
    let none = json!({"organization": true, "role": "Reader", "include": ["9*"]});
    let error = organized(server.address, &json!({"accounts": none})).scopes().await.unwrap_err();
    assert!(told(&error).contains("every account"), "{}", told(&error));
}

#[tokio::test]
async fn a_pattern_means_the_regions_that_each_account_has_enabled() {
    let server = Server::start(|asked, _| of_the_organization(asked)).await;
    let [one, two] = ["1", "2"].map(|digit| digit.repeat(12));
    for (regions, of_one, of_two) in [
        (json!(["eu-*"]), "eu-south-1 eu-west-1 -", "eu-west-1 -"),
        (json!(["all"]), "eu-south-1 eu-west-1 us-east-1 -", "eu-west-1 us-east-1 -"),
        (json!(["ap-east-1", "us-*"]), "ap-east-1 us-east-1 -", "ap-east-1 us-east-1 -"),
    ] {
        let scopes = scopes(&organized(server.address, &json!({"regions": regions}))).await;
        let of = |id: &str| -> Vec<String> {
            let own = scopes.iter().filter_map(|scope| scope.split_once('/').filter(|(account, _)| *account == id));
            own.map(|(_, region)| region.to_owned()).collect()
        };
        assert_eq!((of(&one).join(" "), of(&two).join(" ")), (of_one.to_owned(), of_two.to_owned()));
    }
    let error = organized(server.address, &json!({"regions": ["mars-*"]})).scopes().await.unwrap_err();
    assert!(told(&error).contains("fits no region"), "{}", told(&error));
}

#[tokio::test]
async fn an_account_whose_regions_are_not_told_keeps_them_as_gaps() {
    let server = Server::start(|asked, _| match asked.operation.as_str() {
        "DescribeRegions" if asked.authorization.contains("ASIAROLE") => xml_refusal(403, "UnauthorizedOperation"),
        _ => of_the_organization(asked),
    });
    let aws = organized(server.await.address, &json!({"regions": ["eu-*"]}));
    let (one, two) = ("1".repeat(12), "2".repeat(12));
    let scopes = scopes(&aws).await;
    for region in ["eu-south-1", "eu-west-1", "-"] {
        assert!(scopes.contains(&format!("{two}/{region}")), "{scopes:?}");
        assert_eq!(outcome(&aws, &two, region).await, "denied");
    }
    assert_eq!(outcome(&aws, &one, "eu-south-1").await, "1 complete");
    let server = Server::start(|asked, _| match asked.operation.as_str() {
        "DescribeRegions" => xml_refusal(403, "UnauthorizedOperation"),
        _ => of_the_organization(asked),
    });
    let error = organized(server.await.address, &json!({"regions": ["eu-*"]})).scopes().await.unwrap_err();
    assert_eq!(error.reason(), GapReason::Denied, "nothing is known of any account");
}

#[tokio::test]
async fn kinds_are_in_their_region_or_in_none() {
    let types = |asked: &Asked| match (asked.operation.as_str(), asked.input["ProvisioningType"].as_str()) {
        ("ListTypes", Some("FULLY_MUTABLE")) => xml(
            "<ListTypesResponse><ListTypesResult><TypeSummaries><member><TypeName>AWS::IAM::Role</TypeName></member>\
             <member><TypeName>AWS::SQS::Queue</TypeName></member></TypeSummaries></ListTypesResult></ListTypesResponse>",
        ),
        ("ListTypes", _) => xml(
            "<ListTypesResponse><ListTypesResult><TypeSummaries><member><TypeName>AWS::Odd::Child</TypeName></member>\
             </TypeSummaries><NextToken></NextToken></ListTypesResult></ListTypesResponse>",
        ),
        _ if asked.input["TypeName"] == "AWS::Odd::Child" => refuse(400, "InvalidRequestException"),
        _ => say(200, json!({"TypeName": asked.input["TypeName"], "ResourceDescriptions": []}).to_string()),
    };
    let server = Server::start(move |asked, _| types(asked)).await;
    let aws = aws(server.address, &json!({"kinds": {"exclude": ["AWS::Never::*"]}}));
    let global = Scope { region: NOT_APPLICABLE.into(), ..scope() };
    assert_eq!(collect_scope(&aws, &global, &Wanted::default()).await.complete, ["AWS::IAM::Role"]);
    let seen = collect_scope(&aws, &scope(), &Wanted::default()).await;
    assert_eq!((seen.complete, seen.gaps), (vec!["AWS::SQS::Queue".to_owned()], vec![]), "nobody asked for the child");
    let full = BTreeSet::from(["AWS::Odd::Child".into(), "AWS::Never::Ever".into()]);
    let wanted = Wanted { full, ..Wanted::default() };
    let gaps = collect_scope(&aws, &scope(), &wanted).await.gaps;
    assert_eq!(gaps, [(Some("AWS::Odd::Child".to_owned()), GapReason::Partial)]);
    let regions: BTreeSet<_> =
        server.asked.lock().iter().map(|asked| asked.authorization.split('/').nth(2).unwrap().to_owned()).collect();
    assert_eq!(regions.into_iter().collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);
}

/// A Cloud Control that lists three buckets in every region, and an S3 that says where all but `new` are.
fn buckets(asked: &Asked) -> Reply {
    let bucket = |name: &str| {
        let region = if name == "here" { "eu-west-1" } else { "us-east-1" };
        let address = format!("{name}.s3.{region}.amazonaws.com");
        json!({"Identifier": name, "Properties": json!({"RegionalDomainName": address}).to_string()})
    };
    let listed = |name: &str| json!({"Identifier": name, "Properties": "{}"});
    let member =
        |name: &str, region: &str| format!("<Bucket><Name>{name}</Name><BucketRegion>{region}</BucketRegion></Bucket>");
    match (asked.operation.as_str(), asked.input["Identifier"].as_str()) {
        ("ListResources", _) => {
            let resources = ["here", "there", "new"].map(listed);
            say(200, json!({"ResourceDescriptions": resources}).to_string())
        }
        ("GetResource", Some(name)) => say(200, json!({"ResourceDescription": bucket(name)}).to_string()),
        _ => {
            let members = [member("here", "eu-west-1"), member("there", "us-east-1")].concat();
            xml(&format!("<ListAllMyBucketsResult><Buckets>{members}</Buckets></ListAllMyBucketsResult>"))
        }
    }
}

/// Reads the buckets of two regions; checks in which each is told, and the gap in both.
async fn check_buckets(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static, told: [&[&str]; 2], gap: &str) {
    let server = Server::start(move |asked, _| script(asked)).await;
    let aws = aws(server.address, &json!({"kinds": {"include": [BUCKET]}}));
    for (region, told) in ["eu-west-1", "us-east-1"].into_iter().zip(told) {
        let scope = Scope { region: region.into(), ..scope() };
        for full in [BTreeSet::from([BUCKET.into()]), BTreeSet::new()] {
            let seen = collect_scope(&aws, &scope, &Wanted { full, ..Wanted::default() }).await;
            let names: BTreeSet<_> = seen.full.iter().chain(&seen.listed).map(|item| &*item.name).collect();
            assert_eq!(names, told.iter().copied().collect(), "{region}");
            let gaps: String = seen.gaps.iter().map(|(_, reason)| reason.as_str()).collect();
            assert_eq!((gaps.as_str(), seen.complete.len()), (gap, usize::from(gap.is_empty())), "{region}");
        }
    }
}

const BUCKET: &str = "AWS::S3::Bucket";

#[tokio::test]
async fn a_bucket_that_every_region_lists_is_told_in_its_own() {
    check_buckets(buckets, [&["here"], &["there", "new"]], "").await;
    let denied = |asked: &Asked| match asked.operation.as_str() {
        "GET" => xml_refusal(403, "AccessDenied"),
        _ => buckets(asked),
    };
    check_buckets(denied, [&["here"], &["there", "new"]], "").await;
}

#[tokio::test]
async fn a_bucket_of_which_nobody_says_the_region_is_a_gap() {
    let unread = |asked: &Asked| match asked.input["Identifier"].as_str() {
        Some("new") => refuse(400, "GeneralServiceException"),
        _ => buckets(asked),
    };
    check_buckets(unread, [&["here"], &["there"]], "partial").await;
    let throttled = |asked: &Asked| match asked.operation.as_str() {
        "GET" => with(xml_refusal(503, "SlowDown"), "content-type", "application/xml"),
        _ => buckets(asked),
    };
    check_buckets(throttled, [&[], &[]], "throttled").await;
}

#[tokio::test]
async fn a_bucket_of_another_region_is_absent_here() {
    let server = Server::start(|asked, _| buckets(asked)).await;
    let aws = aws(server.address, &json!({}));
    let read = async |name: &str| aws.read(&scope().id(&BUCKET.into(), name), &Wanted::default()).await.unwrap();
    assert!(matches!(read("here").await, Reading::Found(..)));
    assert_eq!((read("there").await, read("new").await), (Reading::Absent, Reading::Absent));
    assert!(server.asked.lock().iter().all(|asked| asked.input["Identifier"] != "there"), "it is not asked for here");
}

#[tokio::test]
async fn a_stack_is_read_with_all_its_pages() {
    let stacks = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackId>arn:stack</StackId><Parameters>\
        <member><ParameterKey>Size</ParameterKey><ParameterValue>3</ParameterValue></member>\
        <member><ParameterKey>Hidden</ParameterKey><ParameterValue>****</ParameterValue></member>\
        <member><ParameterKey>Image</ParameterKey><ParameterValue>/path</ParameterValue><ResolvedValue>ami-1</ResolvedValue>\
        </member></Parameters></member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
    let server = Server::start(move |asked, _| {
        let of = |list: &str, inner: &str, token: &str| {
            let operation = &asked.operation;
            let next = format!("<NextToken>{token}</NextToken>");
            let next = if token.is_empty() { "" } else { &next };
            let result = format!("<{list}><member>{inner}</member></{list}>{next}");
            xml(&format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"))
        };
        let resource = |logical: &str, physical: &str| {
            let logical = format!("<LogicalResourceId>{logical}</LogicalResourceId>");
            format!("{logical}<PhysicalResourceId>{physical}</PhysicalResourceId>")
        };
        match (asked.operation.as_str(), asked.input["NextToken"].as_str()) {
            ("DescribeStacks", _) if asked.input["StackName"] == "shop" => xml(stacks),
            ("DescribeStacks", _) => with(
                say(400, "<ErrorResponse><Error><Code>ValidationError</Code></Error></ErrorResponse>"),
                "content-type",
                "text/xml",
            ),
            ("ListStackResources", None) => of("StackResourceSummaries", &resource("A", "a-1"), "more"),
            ("ListStackResources", _) => of("StackResourceSummaries", &resource("B", "b-1"), ""),
            _ => of("Exports", "<Name>Vpc</Name><Value>vpc-1</Value>", ""),
        }
    })
    .await;
    let aws = aws(server.address, &json!({}));
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let expected = Stack {
        resources: pairs(&[("A", "a-1"), ("B", "b-1")]),
        parameters: pairs(&[("Size", "3"), ("Image", "ami-1")]),
        exports: pairs(&[("Vpc", "vpc-1")]),
        id: "arn:stack".to_owned(),
    };
    assert_eq!(aws.stack(&scope(), "shop").await.unwrap(), Some(expected));
    assert_eq!(aws.stack(&scope(), "other").await.unwrap(), None);
}

/// Has schemas asked for and returns what came of it as words: the read-only pointers, or the reason why not.
async fn described(aws: &Aws, kinds: &[&str]) -> Vec<String> {
    let (sink, mut said) = mpsc::channel(64);
    let kinds: Vec<Kind> = kinds.iter().map(|kind| (*kind).into()).collect();
    let (scope, mut words) = (scope(), Vec::new());
    let take = async {
        while let Some(Described { kind, schema }) = said.recv().await {
            let word = schema.map(|schema| schema.read_only.join(" "));
            let word = word.unwrap_or_else(|error| format!("{} {}", error.reason(), told(&error)));
            assert!(!word.contains(CANARY), "{word}");
            words.push(format!("{kind}: {word}"));
        }
    };
    tokio::join!(aws.describe(&scope, &kinds, sink), take);
    words.sort();
    words
}

fn schema_answer(kind: &str) -> Reply {
    let schema = json!({"typeName": kind, "description": "<&>", "properties": {"Arn": {}},
        "readOnlyProperties": ["/properties/Arn"]});
    let escaped = schema.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    xml(&format!(
        "<DescribeTypeResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeTypeResult>\
         <Type>RESOURCE</Type><Schema>{escaped}</Schema></DescribeTypeResult></DescribeTypeResponse>"
    ))
}

fn xml_refusal(status: u16, code: &str) -> Reply {
    let body = format!("<ErrorResponse><Error><Code>{code}</Code><Message>{CANARY}</Message></Error></ErrorResponse>");
    with(say(status, body), "content-type", "text/xml")
}

#[tokio::test]
async fn a_schema_is_read_or_it_is_said_why_not() {
    let server = Server::start(|asked, _| match asked.input["TypeName"].as_str().unwrap_or_default() {
        "AWS::A::Good" => schema_answer("AWS::A::Good"),
        "AWS::B::Other" => schema_answer("AWS::B::Another"),
        "AWS::C::Html" => xml("<html>"),
        "AWS::D::Gone" => xml_refusal(404, "TypeNotFoundException"),
        _ => xml_refusal(403, "AccessDenied"),
    })
    .await;
    let aws = aws(server.address, &json!({}));
    let kinds = ["AWS::A::Good", "AWS::B::Other", "AWS::C::Html", "AWS::D::Gone", "AWS::E::Denied"];
    let words = described(&aws, &kinds).await;
    for (word, expected) in words.iter().zip(["/Arn", "malformed", "malformed", "partial", "denied"]) {
        assert!(word.contains(&format!(": {expected}")), "{words:?}");
    }
    assert_eq!(words.len(), kinds.len());
}

#[tokio::test]
async fn who_may_not_ask_for_schemas_is_not_asked_for_all_of_them() {
    let server = Server::start(|_, _| xml_refusal(403, "AccessDenied")).await;
    let kinds: Vec<String> = (0..100).map(|at| format!("AWS::X::Y{at}")).collect();
    let aws = aws(server.address, &json!({}));
    let words = described(&aws, &kinds.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(words.len(), 100);
    assert!(server.operations().len() < 40, "{}", server.operations().len());
}

#[tokio::test]
async fn a_schema_of_awss_own_holds_in_every_account_and_region_of_a_partition() {
    let aws = Aws::new(config(&json!({"endpoint": "http://localhost"}))).unwrap();
    let realm = |account: &str, region: &str, kind: &str| realm(&aws, account, region, kind);
    let here = realm("1", "eu-west-1", KIND);
    assert!(here.is_some());
    assert_eq!(here, realm("2", "us-east-1", KIND));
    assert_ne!(here, realm("1", "cn-north-1", KIND));
    assert_ne!(realm("1", "eu-west-1", "Acme::Db::Table"), realm("2", "eu-west-1", "Acme::Db::Table"));
    assert_eq!(realm("1", "eu-west-1", "apps/Deployment"), None);
}

fn realm(aws: &Aws, account: &str, region: &str, kind: &str) -> Option<String> {
    let scope = Scope { account: account.into(), region: region.into(), ..scope() };
    aws.validity(&scope, &kind.into()).map(|validity| validity.realm.to_string())
}

#[tokio::test]
async fn before_the_session_a_schema_holds_where_the_configuration_says_or_nowhere() {
    let here = |settings: Value, region: &str| {
        realm(&Aws::new(config(&settings)).unwrap(), "1", region, KIND).unwrap_or_default()
    };
    assert_eq!(here(json!({}), "eu-west-1"), "");
    let endpoint = "http://localhost:4566/";
    assert_eq!(
        here(json!({"endpoint": endpoint, "regions": ["cn-*", "cn-north-1"]}), "-"),
        format!("aws-cn at {endpoint}")
    );
    assert_eq!(here(json!({"endpoint": endpoint, "regions": []}), "-"), "");
    // It is the same when the session was entered.
    let server = Server::start(|_, _| xml_refusal(403, "AccessDenied")).await;
    let entered = aws(server.address, &json!({}));
    let endpoint = format!("http://{}/", server.address);
    assert_eq!(realm(&entered, "1", "-", KIND), Some(here(json!({"endpoint": endpoint}), "-")));
}

fn aliases_answer(aliases: &Value, rest: &Value) -> Reply {
    let mut body = json!({"Aliases": aliases});
    body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    with(say(200, body.to_string()), "content-type", "application/x-amz-json-1.1")
}

#[tokio::test]
async fn every_page_of_aliases_is_read() {
    let server = Server::start(|asked, _| match asked.input["Marker"].as_str() {
        None => aliases_answer(
            &json!([{"AliasName": "alias/a", "TargetKeyId": "k1"}, {"AliasName": "alias/aws/ebs"}]),
            &json!({"Truncated": true, "NextMarker": "m"}),
        ),
        Some("m") => {
            aliases_answer(&json!([{"AliasName": "alias/b", "TargetKeyId": "k2"}]), &json!({"Truncated": false}))
        }
        Some(_) => refuse(400, "InvalidMarkerException"),
    })
    .await;
    let targets = aws(server.address, &json!({})).key_aliases(&scope()).await.unwrap();
    let expected = [("alias/a", "k1"), ("alias/b", "k2")].map(|(alias, key)| (alias.to_owned(), key.to_owned()));
    assert_eq!(targets, BTreeMap::from(expected));
    assert_eq!(server.operations(), ["ListAliases", "ListAliases"]);
}

#[tokio::test]
async fn aliases_that_were_not_read_to_the_end_are_not_known() {
    let page = |rest: &Value| aliases_answer(&json!([]), rest);
    for (reply, reason) in [
        (refuse(400, "AccessDeniedException"), GapReason::Denied),
        (page(&json!({"Truncated": true})), GapReason::Partial),
        (page(&json!({"Truncated": true, "NextMarker": "m"})), GapReason::Partial),
        (with(say(200, "[]"), "content-type", "application/x-amz-json-1.1"), GapReason::Malformed),
    ] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let error = aws(server.address, &json!({})).key_aliases(&scope()).await.unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(!told(&error).contains(CANARY), "{}", told(&error));
    }
}

#[test]
fn a_wrong_configuration_is_refused() {
    for (settings, why) in [
        (json!({"requests_per_second": 0}), "requests_per_second"),
        (json!({"max_pages": 0}), "max_pages"),
        (json!({"regions": ["eu west"]}), "no region"),
        (json!({"regions": ["x.evil.example/"]}), "no region"),
        (json!({"accounts": [{"id": "12"}]}), "12 digits"),
        (json!({"accounts": [{"id": "111111111111"}, {"id": "111111111111"}]}), "twice"),
        (json!({"role": "Reader"}), "ARN"),
        (json!({"accounts": {"organization": false, "role": "Reader"}}), "organization"),
        (json!({"accounts": {"organization": true, "role": "arn:aws:iam::1:role/Reader"}}), "name of a role"),
        (json!({"accounts": {"organization": true, "role": "Reader", "exclude": ["["]}}), "accounts"),
        (json!({"session_name": "a b"}), "session_name"),
        (json!({"kinds": {"include": ["["]}}), "kinds"),
    ] {
        let error = Aws::new(config(&settings)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

/// Returns that many buckets that differ, of which nobody knows since when.
fn deeds(number: usize) -> Vec<Deed> {
    let arisen = Arisen { after: None, before: NOW.parse().unwrap() };
    let bucket = |at| scope().id(&"AWS::S3::Bucket".into(), &format!("bucket-{at}"));
    let deed = |resource| Deed { resource, drift: DriftKind::Missing, paths: Vec::new(), arisen };
    (0..number).map(bucket).map(deed).collect()
}

/// Returns the event of ann deleting a bucket.
fn deleted(name: &str) -> Value {
    let record = json!({"eventID": name, "eventTime": NOW, "eventName": "DeleteBucket", "eventSource": "s3.amazonaws.com",
        "readOnly": false, "userIdentity": {"type": "IAMUser", "userName": "ann"},
        "requestParameters": {"bucketName": name, "secret": CANARY}});
    json!({"EventId": name, "Resources": [], "CloudTrailEvent": record.to_string()})
}

/// Asks who deleted so many buckets, where the log tells by name what `named` answers and by time what `timed` does.
/// Checks who is named and by what was looked up: `n`ame or `t`ime.
async fn check_authors(number: usize, log: [fn(&Asked) -> Reply; 2], names: &str, lookups: &str) {
    let [named, timed] = log;
    let is_by_name = |asked: &Asked| asked.input["LookupAttributes"][0]["AttributeKey"] == "ResourceName";
    let server = Server::start(move |asked, _| if is_by_name(asked) { named(asked) } else { timed(asked) }).await;
    let actors = aws(server.address, &json!({})).authors(&scope(), &deeds(number)).await;
    assert!(!format!("{actors:?}").contains(CANARY), "{actors:?}");
    assert_eq!(actors.iter().map(|actor| &*actor.name).collect::<Vec<_>>().join(" "), names);
    let asked = server.asked.lock().clone();
    assert!(
        asked.iter().all(|asked| asked.operation == "LookupEvents" && asked.input["EndTime"].is_i64()),
        "{asked:?}"
    );
    assert_eq!(asked.iter().map(|asked| if is_by_name(asked) { 'n' } else { 't' }).collect::<String>(), lookups);
}

fn events(events: &[Value], next: Option<&str>) -> Reply {
    say(200, json!({"Events": events, "NextToken": next}).to_string())
}

#[tokio::test]
async fn few_deeds_are_looked_up_by_name_and_many_by_their_time() {
    let nobody: fn(&Asked) -> Reply = |_| events(&[], None);
    let by_name: fn(&Asked) -> Reply =
        |asked| events(&[deleted(asked.input["LookupAttributes"][0]["AttributeValue"].as_str().unwrap())], None);
    check_authors(2, [by_name, nobody], "ann ann", "nn").await;
    let first: fn(&Asked) -> Reply = |_| events(&[deleted("bucket-0")], None);
    let second: fn(&Asked) -> Reply = |_| events(&[json!({"CloudTrailEvent": "{"}), deleted("bucket-1")], None);
    check_authors(2, [first, second], "ann ann", "nnt").await;
    check_authors(2, [first, nobody], "ann unknown", "nnt").await;
    let paged: fn(&Asked) -> Reply = |asked| match page_of(asked) {
        page @ 0..4 => events(&[deleted(&format!("bucket-{page}"))], Some(&(page + 1).to_string())),
        _ => events(&[], None),
    };
    check_authors(4, [nobody, paged], "ann ann ann ann", "tttt").await;
    check_authors(5, [nobody, paged], "ann ann ann ann unknown", "ttttt").await;
}

#[tokio::test]
async fn a_log_that_cannot_be_read_names_nobody_and_is_not_asked_on_and_on() {
    let refused: fn(&Asked) -> Reply = |_| refuse(400, "AccessDeniedException");
    check_authors(2, [refused, refused], "unknown unknown", "nnt").await;
    check_authors(9, [refused, refused], &["unknown"; 9].join(" "), "t").await;
    let endless: fn(&Asked) -> Reply = |asked| events(&[deleted("bucket-3")], Some(&(page_of(asked) + 1).to_string()));
    check_authors(4, [endless, endless], "unknown unknown unknown ann", &"t".repeat(20)).await;
    let both: fn(&Asked) -> Reply = |_| events(&[deleted("bucket-0"), deleted("bucket-1")], None);
    check_authors(2, [refused, both], "ann ann", "nnt").await;
    let circular: fn(&Asked) -> Reply = |_| events(&[], Some("1"));
    check_authors(4, [circular, circular], "unknown unknown unknown unknown", "tt").await;
}
