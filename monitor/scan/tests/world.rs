//! Two clouds with known contents, and every way in which an answer of theirs can be wrong.

use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;

use super::services::{self, Service};
use super::*;
use crate::collect::http::Limits;
use crate::collect::wire::{self, Reply, Request, say, with};
use crate::collect::{aws, kubernetes};

/// Items on a page, whatever is asked for.
pub(super) const PAGE: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cloud {
    Aws,
    Kubernetes,
    /// A kind of AWS by its service's own calls; others by Cloud Control.
    Direct(Service),
}

/// The mode of each item, by name.
pub(super) type Names = BTreeMap<String, &'static str>;
/// What is really there.
pub(super) type Truth = Arc<Mutex<Names>>;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// A page of the list.
    Page(usize),
    /// One item.
    Get(String),
    /// What is there to be listed, or who may.
    Other(String),
}

/// An answer as it should be.
#[derive(Clone)]
pub(super) struct Answer {
    cloud: Cloud,
    pub(super) content: Content,
}

#[derive(Clone)]
pub(super) enum Content {
    Page {
        /// The last item of the page before.
        before: Option<Item>,
        items: Vec<Item>,
        next: Option<String>,
    },
    Item(Item),
    Text {
        status: u16,
        media: &'static str,
        body: String,
    },
}

#[derive(Clone)]
pub(super) struct Item {
    pub(super) name: String,
    /// What its one attribute is, or nothing where it is not said.
    pub(super) mode: Option<Value>,
}

impl Item {
    pub(super) fn new(name: &str, mode: &str) -> Self {
        Self { name: name.to_owned(), mode: Some(mode.into()) }
    }
}

impl Cloud {
    pub(super) const BOTH: [Self; 2] = [Self::Aws, Self::Kubernetes];

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Aws => aws::tests::KIND.into(),
            Self::Kubernetes => "ConfigMap".into(),
            Self::Direct(service) => service.kind(),
        }
    }

    /// Declares items with mode `on`.
    pub(super) fn declared(self, names: &[&str]) -> Vec<(Kind, String, Value)> {
        let declare = |name: &&str| match self {
            Self::Aws => (self.kind(), (*name).to_owned(), json!({"QueueName": name, "Mode": "on"})),
            Self::Kubernetes => {
                let metadata = json!({"name": name, "namespace": "shop"});
                let object =
                    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mode": "on"}});
                (self.kind(), format!("shop/{name}"), object)
            }
            Self::Direct(service) => (self.kind(), (*name).to_owned(), service.declared(name)),
        };
        names.iter().map(declare).collect()
    }

    /// Returns an item's name as a finding says it.
    pub(super) fn name(self, name: &str) -> String {
        match self {
            Self::Aws | Self::Direct(_) => name.to_owned(),
            Self::Kubernetes => format!("shop/{name}"),
        }
    }

    /// Starts the cloud; `spoil` gets each answer as it should be and returns what is sent.
    pub(super) async fn start(
        self,
        truth: Truth,
        spoil: impl Fn(&Call, Answer) -> Reply + Send + Sync + 'static,
    ) -> SocketAddr {
        wire::serve(move |request| {
            let (call, content) = match self {
                Self::Aws => aws_answer(request, &truth.lock()),
                Self::Kubernetes => kubernetes_answer(request, &truth.lock()),
                Self::Direct(service) => direct_answer(service, request, &truth.lock()),
            };
            spoil(&call, Answer { cloud: self, content })
        })
        .await
    }

    /// Returns what reads the cloud at that address, and waits no longer than `patience` for an answer.
    pub(super) fn collector(self, address: SocketAddr, patience: Duration) -> Box<dyn Collector> {
        match self {
            Self::Aws | Self::Direct(_) => {
                let (headers, idle, deadline) = (patience, patience, patience);
                let limits = Limits { headers, idle, deadline, ..aws::tests::limits() };
                let accounts = json!([{"id": "111111111111", "role": "Reader"}]);
                let mut settings = json!({"accounts": accounts, "max_pages": 20});
                if let Self::Direct(service) = self {
                    settings["kinds"] = json!({"include": [service.kind().as_str(), service.other().as_str()]});
                    settings["direct"] = json!({"exclude": [service.other().as_str()]});
                }
                Box::new(aws::tests::aws_within(limits, address, &settings))
            }
            Self::Kubernetes => Box::new(kubernetes::tests::hasty(patience, &format!("http://{address}"))),
        }
    }
}

pub(super) fn page(truth: &Names, token: Option<&str>) -> (Call, Content) {
    // A token may have been made up: only its beginning counts.
    let from = token.and_then(|token| token.split('-').next()?.parse().ok()).unwrap_or(0);
    let items = truth.iter().skip(from).take(PAGE).map(|(name, mode)| Item::new(name, mode)).collect();
    let next = (from + PAGE < truth.len()).then(|| (from + PAGE).to_string());
    let before = from.checked_sub(1).and_then(|at| truth.iter().nth(at)).map(|(name, mode)| Item::new(name, mode));
    (Call::Page(from / PAGE), Content::Page { before, items, next })
}

pub(super) fn item(truth: &Names, name: &str, absent: Content) -> (Call, Content) {
    let found = truth.get(name).map(|mode| Content::Item(Item::new(name, mode)));
    (Call::Get(name.to_owned()), found.unwrap_or(absent))
}

pub(super) fn text(status: u16, media: &'static str, body: impl Into<String>) -> Content {
    Content::Text { status, media, body: body.into() }
}

fn aws_answer(request: &Request, truth: &Names) -> (Call, Content) {
    let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let target = request.header("x-amz-target");
    match target.rsplit('.').next().unwrap_or_default() {
        "ListResources" => page(truth, input["NextToken"].as_str()),
        "GetResource" => {
            let absent = text(400, "application/json", json!({"__type": "ResourceNotFoundException"}).to_string());
            item(truth, input["Identifier"].as_str().unwrap_or_default(), absent)
        }
        _ => {
            let role = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s\
                </SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-01-02T04:04:05Z</Expiration></Credentials>\
                </AssumeRoleResult></AssumeRoleResponse>";
            (Call::Other("sts".to_owned()), text(200, "text/xml", role))
        }
    }
}

/// Answers for a service, and as Cloud Control for everything else, in which nothing ever changes.
fn direct_answer(service: Service, request: &Request, truth: &Names) -> (Call, Content) {
    let batch = if service == Service::Clusters { services::batch(request, truth) } else { None };
    let answer = batch.or_else(|| service.answer(request, truth));
    answer.unwrap_or_else(|| {
        let (call, content) = aws_answer(request, &Names::from([("other".to_owned(), "off")]));
        let answer = Answer { cloud: Cloud::Aws, content };
        match call {
            Call::Other(_) => (call, answer.content),
            _ => (Call::Other("another kind".to_owned()), text(200, "application/json", answer.body())),
        }
    })
}

fn kubernetes_answer(request: &Request, truth: &Names) -> (Call, Content) {
    let json = "application/json";
    let other = |status, body: Value| (Call::Other(request.path.clone()), text(status, json, body.to_string()));
    let verbs = json!(["get", "list"]);
    match (request.method.as_str(), request.path.as_str()) {
        // A dry run that shows the object as it is would say that applying the declaration changes nothing.
        ("PATCH", _) => other(405, json!({"kind": "Status", "reason": "MethodNotAllowed"})),
        (_, "/api") => other(200, json!({"kind": "APIVersions", "versions": ["v1"]})),
        (_, "/apis") => other(200, json!({"kind": "APIGroupList", "groups": []})),
        (_, "/api/v1") => {
            let maps = json!({"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": verbs});
            other(200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [maps]}))
        }
        (_, "/api/v1/configmaps" | "/api/v1/namespaces/shop/configmaps") => {
            page(truth, request.parameter("continue").as_deref())
        }
        (_, path) => {
            let name = path.strip_prefix("/api/v1/namespaces/shop/configmaps/").unwrap_or_default();
            item(truth, name, text(404, json, json!({"kind": "Status", "reason": "NotFound"}).to_string()))
        }
    }
}

impl Answer {
    /// Returns the answer as it should be.
    pub(super) fn honest(&self) -> Reply {
        match &self.content {
            Content::Text { status, media, body } => with(say(*status, body.clone()), "content-type", media),
            _ => with(say(200, self.body()), "content-type", self.media()),
        }
    }

    fn media(&self) -> &'static str {
        match (self.cloud, &self.content) {
            (_, Content::Text { media, .. }) => media,
            (Cloud::Direct(service), _) => service.media(),
            _ => "application/json",
        }
    }

    /// Returns other bytes as if they were the answer.
    fn instead(&self, bytes: impl Into<Vec<u8>>) -> Reply {
        with(say(200, bytes), "content-type", self.media())
    }

    fn body(&self) -> String {
        match &self.content {
            Content::Page { items, next, .. } => match self.cloud {
                Cloud::Direct(service) => service.page(items, next.as_deref().unwrap_or_default()),
                _ => self.page(items, next.as_deref()).to_string(),
            },
            Content::Item(item) if self.cloud == Cloud::Aws => {
                json!({"ResourceDescription": self.item(item)}).to_string()
            }
            Content::Item(item) => match self.cloud {
                Cloud::Direct(service) => service.item(item),
                _ => self.item(item).to_string(),
            },
            Content::Text { body, .. } => body.clone(),
        }
    }

    fn page(&self, items: &[Item], next: Option<&str>) -> Value {
        let items: Vec<_> = items.iter().map(|item| self.item(item)).collect();
        let next = next.unwrap_or_default();
        match self.cloud {
            Cloud::Aws | Cloud::Direct(_) => json!({"ResourceDescriptions": items, "NextToken": next}),
            Cloud::Kubernetes => json!({"kind": "ConfigMapList", "metadata": {"continue": next}, "items": items}),
        }
    }

    fn item(&self, Item { name, mode }: &Item) -> Value {
        let mut attributes = json!({});
        let key = if self.cloud == Cloud::Aws { "Mode" } else { "mode" };
        if let Some(mode) = mode {
            attributes[key] = mode.clone();
        }
        match self.cloud {
            Cloud::Aws | Cloud::Direct(_) => {
                attributes["QueueName"] = name.as_str().into();
                json!({"Identifier": name, "Properties": attributes.to_string()})
            }
            Cloud::Kubernetes => {
                let metadata = json!({"name": name, "namespace": "shop", "resourceVersion": format!("{mode:?}")});
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": attributes})
            }
        }
    }

    /// Returns the answer with its items and its token changed; one item is a page that does not end.
    fn changed(mut self, change: impl FnOnce(&mut Vec<Item>, &mut Option<String>)) -> Reply {
        match &mut self.content {
            Content::Page { items, next, .. } => change(items, next),
            Content::Item(item) => {
                let mut items = vec![item.clone()];
                change(&mut items, &mut None);
                *item = items.remove(0);
            }
            Content::Text { .. } => {}
        }
        self.honest()
    }

    /// Returns the answer with what was said before, and everything in it twice.
    fn with_those_before(self) -> Reply {
        let before = match &self.content {
            Content::Page { before, .. } => before.clone(),
            _ => None,
        };
        self.changed(|items, _| items.extend(items.clone().into_iter().chain(before)))
    }

    /// Returns the answer with that attribute of all of its items.
    fn saying(self, mode: Option<&Value>) -> Reply {
        self.changed(|items, _| items.iter_mut().for_each(|item| item.mode = mode.cloned()))
    }

    /// Returns the answer without that item.
    pub(super) fn without(self, name: &str) -> Reply {
        self.changed(|items, _| items.retain(|item| item.name != name))
    }
}

/// What a fault leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    Gap(GapReason),
    /// It is seen through, and all is known.
    Nothing,
}

/// A way in which an answer is wrong.
#[derive(Clone, Copy)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) reply: fn(Answer) -> Reply,
    pub(super) aws: Leaves,
    pub(super) kubernetes: Leaves,
    pub(super) hits: Hits,
}

/// Which answers a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hits {
    /// Any.
    All,
    /// Any, and the client must lose patience with it.
    AllSlowly,
    /// Pages and items.
    Attributes,
    /// Pages.
    Pages,
}

impl Fault {
    pub(super) fn leaves(&self, cloud: Cloud) -> Leaves {
        match cloud {
            Cloud::Aws | Cloud::Direct(_) => self.aws,
            Cloud::Kubernetes => self.kubernetes,
        }
    }

    pub(super) fn hits(&self, call: &Call) -> bool {
        match call {
            Call::Page(_) => true,
            Call::Get(_) => self.hits != Hits::Pages,
            Call::Other(_) => matches!(self.hits, Hits::All | Hits::AllSlowly),
        }
    }
}

fn bare(status: u16) -> Reply {
    with(say(status, "<html>no</html>"), "content-type", "text/html")
}

fn patient(after: &str) -> Reply {
    with(bare(429), "retry-after", after)
}

fn half(answer: &Answer) -> Vec<u8> {
    let body = answer.body();
    body.as_bytes()[..body.len() / 2].to_vec()
}

const fn fault(name: &'static str, reply: fn(Answer) -> Reply, reason: GapReason) -> Fault {
    Fault { name, reply, aws: Leaves::Gap(reason), kubernetes: Leaves::Gap(reason), hits: Hits::All }
}

/// A fault with other consequences for Kubernetes.
const fn kubernetes(kubernetes: Leaves, fault: Fault) -> Fault {
    Fault { kubernetes, ..fault }
}

const fn hitting(hits: Hits, fault: Fault) -> Fault {
    Fault { hits, ..fault }
}

const fn harmless(hits: Hits, fault: Fault) -> Fault {
    Fault { hits, aws: Leaves::Nothing, kubernetes: Leaves::Nothing, ..fault }
}

use GapReason::{Denied, Malformed, Partial, Throttled, Timeout};

/// Every way that is known, with the gap that it leaves.
pub(super) const FAULTS: &[Fault] = &[
    fault("401", |_| bare(401), Denied),
    fault("403", |_| bare(403), Denied),
    // Somebody before the service said so: the service has words for it.
    kubernetes(Leaves::Gap(Partial), fault("404 for denied", |_| bare(404), Malformed)),
    fault("429", |_| bare(429), Throttled),
    fault("429 with a pause", |_| patient("0"), Throttled),
    fault("429 with an absurd pause", |_| patient("4000000000"), Throttled),
    fault("429 with a pause that is none", |_| patient("-5 minutes"), Throttled),
    fault("500", |_| bare(500), Timeout),
    fault("502", |_| bare(502), Timeout),
    fault("503", |_| bare(503), Timeout),
    fault("the connection is refused", |_| Reply::Close, Timeout),
    fault("reset in the body", |answer| Reply::Cut { body: half(&answer), reset: true }, Partial),
    fault("closed after the headers", |_| Reply::Cut { body: Vec::new(), reset: false }, Partial),
    fault("closed in the body", |answer| Reply::Cut { body: half(&answer), reset: false }, Partial),
    hitting(Hits::AllSlowly, fault("hang", |_| Reply::Hang { headers: false }, Timeout)),
    hitting(Hits::AllSlowly, fault("hang after the headers", |_| Reply::Hang { headers: true }, Timeout)),
    hitting(Hits::AllSlowly, fault("a byte at a time", |_| Reply::Drip, Timeout)),
    fault("cut in its middle", |answer| answer.instead(half(&answer)), Malformed),
    fault("garbage", |answer| answer.instead([0xff, 0, 0x7b]), Malformed),
    // What is JSON and says that it is the list is the list, in a cluster.
    kubernetes(
        Leaves::Nothing,
        hitting(
            Hits::Attributes,
            fault("another content type", |answer| with(answer.honest(), "content-type", "text/plain"), Malformed),
        ),
    ),
    fault("gzip bomb", |_| wire::gzip_bomb(), Partial),
    fault("five gigabytes", |_| Reply::Flood, Partial),
    hitting(Hits::Pages, fault("an answer that says nothing", |answer| answer.instead("{}"), Malformed)),
    fault("empty body", |answer| answer.instead(""), Malformed),
    fault("login page", |_| bare(200), Malformed),
    fault("login page that lies", |answer| answer.instead("<html>no</html>"), Malformed),
    fault("redirect", |_| with(say(307, ""), "location", "http://127.0.0.1:9/"), Malformed),
    kubernetes(
        Leaves::Gap(Denied),
        fault("the clock is wrong", |_| say(403, r#"{"__type": "RequestTimeTooSkewed"}"#), Denied),
    ),
    hitting(Hits::Pages, fault("endless token", |answer| answer.changed(again), Partial)),
    hitting(
        Hits::Pages,
        fault("repeating token", |answer| answer.changed(|_, next| *next = Some("0-same".to_owned())), Partial),
    ),
    hitting(Hits::Pages, fault("an empty list", |answer| answer.changed(end), Partial)),
    hitting(Hits::Pages, fault("an item moves to a page that was read", |answer| answer.changed(lose_one), Partial)),
    // What it shows is gone, and what it does not is there.
    hitting(Hits::Pages, fault("a stale replica", |answer| answer.changed(stale), Partial)),
    harmless(Hits::Pages, fault("items on two pages", Answer::with_those_before, Partial)),
    harmless(Hits::Attributes, fault("attribute omitted", |answer| answer.saying(None), Partial)),
    harmless(Hits::Attributes, fault("attribute null", |answer| answer.saying(Some(&Value::Null)), Partial)),
];

fn again(_: &mut Vec<Item>, next: &mut Option<String>) {
    static ASKED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let nth = ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    *next = Some(format!("0-{nth}"));
}

/// The list ends here, whatever it was to go on with.
fn end(items: &mut Vec<Item>, next: &mut Option<String>) {
    items.clear();
    *next = None;
}

fn lose_one(items: &mut Vec<Item>, _: &mut Option<String>) {
    items.remove(0);
}

fn stale(items: &mut Vec<Item>, _: &mut Option<String>) {
    items.pop();
    items.push(Item::new("ghost", "on"));
}
