//! What counts although Git does not declare it: a rule in a security group that nobody wrote, a policy too many.
//!
//! Undeclared values are listed. They are drift where the configuration says so, and where a line of `facts/strict.tsv`
//! does: kind, pointer, what is innocent all the same, reason; parted by tabs, in the order of the kinds. Which
//! declarations stand behind an item is found out in [`crate::siblings`]; nothing here looks at another resource.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::explain::{DEFAULT, NOTHING, READ_ONLY};
use super::ignore::is_below;
use super::walk::{Place, Step, Walk, holds_unresolved, is_empty, pointer};
use super::{ChangeOp, Class, table, undeclared};
use crate::resource::Kind;
use crate::rule::fits;
use crate::scalers::Scaler;
use crate::schema::{Tree, mark};
use crate::siblings::Sibling;

/// The lists that are watched strictly if nobody says otherwise.
const USUAL: &str = include_str!("facts/strict.tsv");

/// Stands for everything that runs pods, with the place of the pod in it.
const POD: &str = "{pod}";

/// What runs pods, and where in it the pod is written.
const WORKLOADS: [(&str, &str); 9] = [
    ("Pod", "/spec"),
    ("ReplicationController", "/spec/template/spec"),
    ("apps/DaemonSet", "/spec/template/spec"),
    ("apps/Deployment", "/spec/template/spec"),
    ("apps/ReplicaSet", "/spec/template/spec"),
    ("apps/StatefulSet", "/spec/template/spec"),
    ("argoproj.io/Rollout", "/spec/template/spec"),
    ("batch/CronJob", "/spec/jobTemplate/spec/template/spec"),
    ("batch/Job", "/spec/template/spec"),
];

/// What a configuration orders about undeclared values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The kinds that it is about; `*` stands for any characters.
    pub kind: String,
    /// Where in them: an RFC 6901 pointer with `*` for each item; everything if empty.
    pub pointer: String,
    /// What becomes of undeclared values there.
    pub watch: Watch,
}

/// What becomes of undeclared values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// They are drift.
    Strict,
    /// They are listed.
    Lenient,
}

/// What of one kind counts although it is not declared.
#[derive(Debug, Default)]
pub struct Strict {
    tree: Tree,
    lines: Vec<Line>,
}

/// One line of the table, or one order.
#[derive(Debug, Clone)]
struct Line {
    kind: Cow<'static, str>,
    pointer: Cow<'static, str>,
    marks: u32,
    innocent: Vec<Innocent>,
    reason: Cow<'static, str>,
}

/// An undeclared value that is nobody's doing.
#[derive(Debug, Clone)]
struct Innocent {
    when: When,
    /// What must not be declared either.
    without: Vec<String>,
    /// What it looks like; anything if not said.
    is: Option<Value>,
}

#[derive(Debug, Clone)]
enum When {
    Always,
    /// Nothing is declared where it is.
    Undeclared,
    /// Something is declared elsewhere in the resource, so that a controller fills this in.
    Declares(String),
    /// Something was read elsewhere in the resource, which says who put this in.
    Shows(String),
}

/// What counts although it is not declared, and what other declarations account for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Strictly<'a> {
    /// What counts; nothing where undeclared values are only listed.
    pub strict: Option<&'a Strict>,
    /// What other declarations put into the lists of this resource.
    pub siblings: &'a [&'a Sibling],
    /// What other declarations move in this resource.
    pub scalers: &'a [&'a Scaler],
    /// Whether something that Git asks for could not be read: whatever is undeclared may be declared there.
    pub is_doubted: bool,
}

impl<'a> Strictly<'a> {
    pub(super) fn tree(self) -> &'a Tree {
        match self.strict {
            Some(strict) => &strict.tree,
            None => table::nothing(),
        }
    }
}

impl Strict {
    /// Returns what counts of a kind if nobody orders otherwise.
    pub fn usual(kind: &Kind) -> Self {
        Self::ordered(kind, &[])
    }

    /// Returns the names of the attributes in which undeclared values may count; nothing if that is any.
    pub fn attributes(&self) -> Option<Vec<&str>> {
        let is_one = |name: &&str| !name.is_empty() && !name.starts_with('*');
        self.lines.iter().map(|line| line.pointer.split('/').nth(1).filter(is_one)).collect()
    }

    /// Returns what counts of a kind under these orders, of which later ones overrule earlier ones.
    pub fn ordered(kind: &Kind, orders: &[Order]) -> Self {
        let mut lines: Vec<Line> = usual().iter().filter(|line| is_of(&line.kind, kind)).cloned().collect();
        for order in orders.iter().filter(|order| is_of(&order.kind, kind)) {
            lines.retain(|line| order.watch == Watch::Strict || !is_below(&line.pointer, &order.pointer));
            lines.push(Line::of_order(order));
        }
        let mut tree = Tree::default();
        for line in &lines {
            tree.add(&line.pointer, line.marks, None);
        }
        tree.close();
        Self { tree, lines }
    }

    /// Returns the lines about the value at `path`, a later order before an earlier one and before the table.
    fn about<'s>(&'s self, path: &'s str) -> impl Iterator<Item = &'s Line> {
        self.lines.iter().rev().filter(move |line| is_below(path, &line.pointer))
    }
}

/// Returns whether a pattern means a kind. Azure does not tell letters from capitals.
fn is_of(pattern: &str, kind: &Kind) -> bool {
    fits(pattern, kind.as_str()) || pattern.starts_with("Microsoft.") && pattern.eq_ignore_ascii_case(kind.as_str())
}

impl Line {
    fn of_order(order: &Order) -> Self {
        let marks = match order.watch {
            Watch::Strict if order.pointer.is_empty() => mark::DEEP,
            Watch::Strict => mark::STRICT | mark::DEEP,
            Watch::Lenient => mark::LAX,
        };
        Self {
            kind: Cow::Owned(order.kind.clone()),
            pointer: Cow::Owned(order.pointer.clone()),
            marks,
            innocent: Vec::new(),
            reason: "the configuration watches it strictly".into(),
        }
    }

    fn read(text: &'static str) -> Vec<Self> {
        let mut fields = text.split('\t');
        let mut field = || fields.next().unwrap_or_default();
        let (kind, pointer, innocent, reason) = (field(), field(), field(), field());
        let innocent: Vec<Value> = serde_json::from_str(innocent).unwrap_or_default();
        let line = |kind: &'static str, pointer: Cow<'static, str>| Self {
            kind: kind.into(),
            pointer,
            marks: mark::STRICT,
            innocent: innocent.iter().filter_map(Innocent::read).collect(),
            reason: reason.into(),
        };
        if kind == POD {
            return WORKLOADS.iter().map(|(kind, pod)| line(kind, format!("{pod}{pointer}").into())).collect();
        }
        vec![line(kind, pointer.into())]
    }
}

impl Innocent {
    fn read(value: &Value) -> Option<Self> {
        let elsewhere = || Some(value.get("pointer")?.as_str()?.to_owned());
        let when = match value.get("when")?.as_str()? {
            "always" => When::Always,
            "undeclared" => When::Undeclared,
            "declares" => When::Declares(elsewhere()?),
            "shows" => When::Shows(elsewhere()?),
            _ => return None,
        };
        let without = value.get("without").and_then(Value::as_array).into_iter().flatten();
        let without = without.filter_map(|pointer| pointer.as_str().map(ToOwned::to_owned)).collect();
        Some(Self { when, without, is: value.get("is").cloned() })
    }

    fn excuses(&self, walk: &Walk<'_>, value: &Value) -> bool {
        let Some((desired, observed)) = walk.roots() else { return false };
        let holds = |root: &Map<String, Value>, pointer: &str| at(root, pointer).is_some_and(|found| !is_empty(found));
        let applies = match &self.when {
            When::Always => true,
            When::Undeclared => !walk.is_said(),
            When::Declares(pointer) => holds(desired, pointer),
            When::Shows(pointer) => holds(observed, pointer),
        };
        applies
            && !self.without.iter().any(|pointer| holds(desired, pointer))
            && self.is.as_ref().is_none_or(|is| looks_like(is, value, &walk.facts.context.account))
    }
}

/// Returns the value at a pointer below a map.
fn at<'v>(root: &'v Map<String, Value>, pointer: &str) -> Option<&'v Value> {
    let mut steps = pointer.split('/').skip(1).map(crate::schema::unescaped);
    let first = root.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(&step))
}

/// Returns whether a value is what a pattern describes: `*` in a text is any characters, `"*": true` in a map any other
/// attributes, of which there is otherwise none that says anything.
fn looks_like(pattern: &Value, value: &Value, account: &str) -> bool {
    match (pattern, value) {
        (Value::String(pattern), Value::String(text)) => fits(&pattern.replace("{account}", account), text),
        (Value::String(_) | Value::Object(_), Value::Array(items)) => {
            matches!(items.as_slice(), [only] if looks_like(pattern, only, account))
        }
        (Value::Object(wanted), Value::Object(found)) => {
            let is_open = wanted.contains_key("*");
            let wanted_is_there = wanted
                .iter()
                .filter(|(name, _)| *name != "*")
                .all(|(name, wanted)| found.get(name).is_some_and(|value| looks_like(wanted, value, account)));
            wanted_is_there
                && found.iter().all(|(name, value)| is_open || wanted.contains_key(name) || says_nothing(value))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len()
                && found.iter().all(|value| wanted.iter().any(|wanted| looks_like(wanted, value, account)))
        }
        _ => pattern == value,
    }
}

/// A port of a rule for every protocol is given back as -1.
fn says_nothing(value: &Value) -> bool {
    is_empty(value) || value.as_i64() == Some(-1)
}

fn usual() -> &'static [Line] {
    static LINES: LazyLock<Vec<Line>> = LazyLock::new(|| USUAL.lines().flat_map(Line::read).collect());
    &LINES
}

/// Notes what of an undeclared value counts. Returns whether nothing more need be said of it.
pub(super) fn undeclared<'a>(walk: &mut Walk<'a>, value: &'a Value, at: Place) -> bool {
    visit(walk, value, at);
    // Where each item is watched, nothing is left to say of all of them.
    (at.marks | walk.item(at).marks) & mark::STRICT != 0
}

fn visit<'a>(walk: &mut Walk<'a>, value: &'a Value, at: Place) {
    match value {
        _ if at.strict.is_none() => {}
        _ if at.marks & mark::STRICT != 0 => one(walk, value, at),
        Value::Object(map) => {
            for (name, inner) in map {
                let place = walk.named(at, name);
                walk.below(Step::Name(name), |walk| visit(walk, inner, place));
            }
        }
        Value::Array(items) => {
            let place = walk.item(at);
            for (index, inner) in items.iter().enumerate() {
                walk.below(Step::Item(index), |walk| visit(walk, inner, place));
            }
        }
        _ => {}
    }
}

/// Notes an undeclared value that counts, unless nobody put it there or somebody else declares it.
fn one<'a>(walk: &mut Walk<'a>, value: &'a Value, at: Place) {
    match weigh(walk, value, at) {
        Weight::Nothing(why) => walk.fold(why, (&Value::Null, value), at),
        Weight::Unknown => walk.unknown("unresolved"),
        Weight::Drift => added(walk, value, at),
    }
}

/// Reports an undeclared value as drift.
pub(super) fn added(walk: &mut Walk<'_>, value: &Value, at: Place) {
    let path = pointer(&walk.path);
    let reason = walk.facts.strictly.strict.and_then(|strict| strict.about(&path).next().map(|line| &line.reason));
    let reason = reason.map_or("the configuration watches it strictly", |reason| reason);
    let reason = format!("nobody declares it, and here that counts: {reason}");
    walk.report_because(ChangeOp::Added, (&Value::Null, value), at, reason);
}

enum Weight {
    Nothing(&'static str),
    Unknown,
    Drift,
}

fn weigh<'a>(walk: &mut Walk<'a>, value: &'a Value, at: Place) -> Weight {
    // An empty item may say a lot: as a rule, that everything is let in. So may a zero: as a user, that it is root.
    let is_item = matches!(walk.path.last(), Some(Step::Item(_)));
    let is_whole = is_item || !(value.is_object() || value.is_array());
    if walk.is_read_only(value, at) {
        return Weight::Nothing(READ_ONLY);
    } else if value.is_null() || !is_item && is_empty(value) || !is_whole && undeclared::is_silent(value) {
        return Weight::Nothing(NOTHING);
    } else if walk.is_default(value, at) || is_innocent(walk, value) {
        return Weight::Nothing(DEFAULT);
    }
    match account(walk, value, at) {
        Some(Account::Sure) => Weight::Nothing(Class::Sibling.fold()),
        Some(Account::Possible) => Weight::Unknown,
        None if walk.facts.strictly.is_doubted => Weight::Unknown,
        None => Weight::Drift,
    }
}

fn is_innocent(walk: &Walk<'_>, value: &Value) -> bool {
    let path = pointer(&walk.path);
    let lines = walk.facts.strictly.strict.into_iter().flat_map(|strict| strict.about(&path));
    lines.flat_map(|line| &line.innocent).any(|innocent| innocent.excuses(walk, value))
}

/// How sure it is that another declaration put an item where it is.
#[derive(PartialEq, Eq)]
enum Account {
    Sure,
    /// It could be, but part of the declaration is not known.
    Possible,
}

fn account<'a>(walk: &mut Walk<'a>, value: &'a Value, at: Place) -> Option<Account> {
    let path = pointer(&walk.path);
    let mut best = None;
    for sibling in walk.facts.strictly.siblings.iter().filter(|sibling| table::names(sibling.pointer, &path)) {
        if !walk.same(&sibling.item, value, at) {
            continue;
        }
        if sibling.is_sure && !holds_unresolved(&sibling.item) {
            return Some(Account::Sure);
        }
        best = Some(Account::Possible);
    }
    best
}

/// Leaves of the items that nobody declared in a strict list those that count, and notes why the others do not.
pub(super) fn counting<'a>(walk: &mut Walk<'a>, left: Vec<usize>, observed: &'a [Value], place: Place) -> Vec<usize> {
    let mut counting = Vec::new();
    for (index, item) in left.into_iter().filter_map(|index| Some((index, observed.get(index)?))) {
        walk.below(Step::Item(index), |walk| match weigh(walk, item, place) {
            Weight::Nothing(why) => walk.fold(why, (&Value::Null, item), place),
            Weight::Unknown => walk.unknown("unresolved"),
            Weight::Drift => counting.push(index),
        });
    }
    counting
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Comparison, Context, Facts, MaskKey, compare};
    use super::*;
    use crate::resource::Depth;
    use crate::schema::Schema;

    fn compared(kind: &str, (desired, observed): (&Value, &Value), strictly: Strictly<'_>) -> Comparison {
        let (kind, schema, mask) = (Kind::from(kind), Schema::default(), MaskKey::new([5; 32]));
        let context = Context { account: "123456789012".to_owned(), region: "r".to_owned(), ..Context::default() };
        let facts =
            Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
        compare(desired, observed, facts)
    }

    /// Answers with `op path` of each change, then `?path` of what is unknown.
    fn words(found: &Comparison) -> Vec<String> {
        let changes = found.changes.iter().map(|change| format!("{} {}", change.op.as_str(), change.path));
        changes.chain(found.unknown.iter().map(|unknown| format!("?{}", unknown.path))).collect()
    }

    fn check(kind: &str, desired: &Value, observed: &Value, expected: &[&str]) {
        let strict = Strict::usual(&Kind::from(kind));
        let strictly = Strictly { strict: Some(&strict), ..Strictly::default() };
        let found = compared(kind, (desired, observed), strictly);
        assert_eq!(words(&found), expected, "{kind} {desired} {observed}");
        let lenient = compared(kind, (desired, observed), Strictly::default());
        assert!(lenient.changes.len() <= found.changes.len(), "strict sees more, never less");
    }

    #[test]
    fn every_line_has_a_reason_and_is_in_its_order() {
        for line in USUAL.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [kind, pointer, innocent, reason] = fields.as_slice() else { panic!("{line}") };
            assert!(!kind.is_empty() && pointer.starts_with('/') && reason.len() > 15, "{line}");
            let read = Line::read(line);
            let patterns = serde_json::from_str::<Vec<Value>>(innocent).map_or(0, |patterns| patterns.len());
            assert!((*innocent == "-") == (patterns == 0), "{line}");
            assert!(read.iter().all(|line| line.innocent.len() == patterns), "{line}");
        }
        let names: Vec<_> = USUAL.lines().map(|line| line.split('\t').take(2).collect::<Vec<_>>()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{:?}", names.windows(2).find(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn a_rule_that_nobody_wrote_is_drift() {
        let kind = "AWS::EC2::SecurityGroup";
        let open = json!({"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22});
        let https = json!({"CidrIp": "10.0.0.0/8", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443});
        let ingress = |rules: &[&Value]| json!({"SecurityGroupIngress": rules});
        check(kind, &json!({}), &ingress(&[&open]), &["added /SecurityGroupIngress/0"]);
        check(kind, &ingress(&[&https]), &ingress(&[&open, &https]), &["added /SecurityGroupIngress/0"]);
        check(kind, &ingress(&[&https]), &ingress(&[&https]), &[]);
        check(kind, &json!({}), &ingress(&[]), &[]);
    }

    #[test]
    fn what_a_provider_itself_puts_there_is_not() {
        let kind = "AWS::EC2::SecurityGroup";
        let all =
            json!({"SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1", "FromPort": -1, "ToPort": -1}]});
        let some =
            json!({"SecurityGroupEgress": [{"CidrIp": "10.0.0.0/8", "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}]});
        let both = json!({"SecurityGroupEgress": [all["SecurityGroupEgress"][0], some["SecurityGroupEgress"][0]]});
        check(kind, &json!({}), &all, &[]);
        check(kind, &some, &both, &["added /SecurityGroupEgress/0"]);
        let own = |principal: &str| {
            json!({"KeyPolicy": {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [
            {"Sid": "x", "Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": principal}}]}})
        };
        check("AWS::KMS::Key", &json!({}), &own("arn:aws:iam::123456789012:root"), &[]);
        check("AWS::KMS::Key", &json!({}), &own("arn:aws:iam::999999999999:root"), &["added /KeyPolicy"]);
        let cidrs = |cidr: &str| json!({"ResourcesVpcConfig": {"PublicAccessCidrs": [cidr]}});
        check("AWS::EKS::Cluster", &json!({}), &cidrs("0.0.0.0/0"), &[]);
        check(
            "AWS::EKS::Cluster",
            &json!({}),
            &cidrs("1.2.3.4/32"),
            &["added /ResourcesVpcConfig/PublicAccessCidrs/0"],
        );
    }

    #[test]
    fn strict_overrules_an_open_list() {
        let arn = |name: &str| format!("arn:aws:iam::123456789012:policy/{name}");
        let role =
            |names: &[&str]| json!({"ManagedPolicyArns": names.iter().map(|name| arn(name)).collect::<Vec<_>>()});
        check("AWS::IAM::Role", &role(&["a"]), &role(&["b", "a"]), &["added /ManagedPolicyArns/0"]);
        check("AWS::IAM::Role", &role(&["a"]), &role(&["b"]), &["changed /ManagedPolicyArns"]);
        check("AWS::IAM::Role", &json!({}), &json!({"Policies": [{"PolicyName": "x"}]}), &["added /Policies/0"]);
    }

    #[test]
    fn what_a_pod_may_do_is_watched_wherever_pods_are_written() {
        let pod = |extra: Value| {
            let mut spec = json!({"containers": [{"name": "app", "image": "a"}]});
            spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json!({"spec": {"template": {"spec": spec}}})
        };
        let kind = "apps/Deployment";
        let two = json!({"containers": [{"name": "app", "image": "a"}, {"name": "miner", "image": "b"}]});
        check(kind, &pod(json!({})), &pod(two), &["added /spec/template/spec/containers/1"]);
        check(kind, &pod(json!({})), &pod(json!({"hostNetwork": true})), &["added /spec/template/spec/hostNetwork"]);
        check(kind, &pod(json!({})), &pod(json!({"hostNetwork": false, "dnsPolicy": "Default"})), &[]);
        let rights = |rights: Value| json!({"containers": [{"name": "app", "image": "a", "securityContext": rights}]});
        let base = "added /spec/template/spec/containers/0/securityContext";
        check(kind, &pod(json!({})), &pod(rights(json!({"privileged": true}))), &[&format!("{base}/privileged")]);
        let add = json!({"capabilities": {"add": ["SYS_ADMIN"]}});
        check(kind, &pod(json!({})), &pod(rights(add)), &[&format!("{base}/capabilities/add/0")]);
        check(kind, &pod(json!({})), &pod(rights(json!({"readOnlyRootFilesystem": true}))), &[]);
    }

    #[test]
    fn what_an_injector_left_its_mark_on_is_not() {
        let pod = json!({"spec": {"containers": [{"name": "app"}], "volumes": [{"name": "data"}]}});
        let injected = |annotations: Value| {
            json!({"metadata": {"annotations": annotations}, "spec": {
                "containers": [{"name": "app"}, {"name": "istio-proxy", "image": "istio/proxyv2"}],
                "volumes": [{"name": "data"}]}})
        };
        check("Pod", &pod, &injected(json!({"sidecar.istio.io/status": "{}"})), &[]);
        check("Pod", &pod, &injected(json!({})), &["added /spec/containers/1"]);
    }

    #[test]
    fn a_volume_of_the_server_is_told_by_what_it_holds() {
        let account = json!({"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}});
        let roots = json!({"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}});
        let field = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
        let space = json!({"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}});
        let spec = |sources: &[&Value]| {
            let projected = json!({"defaultMode": 420, "sources": sources});
            json!({"volumes": [{"name": "kube-api-access-x7", "projected": projected}]})
        };
        let pod = |spec: Value| json!({"spec": spec});
        let template = |spec: Value| json!({"spec": {"template": {"spec": spec}}});
        let (own, secret) = (spec(&[&account, &roots, &space]), json!({"secret": {"name": "db"}}));
        check("Pod", &json!({"spec": {}}), &pod(own.clone()), &[]);
        let other = pod(spec(&[&account, &roots, &secret]));
        check("Pod", &json!({"spec": {}}), &other, &["added /spec/volumes/0"]);
        let at = ["added /spec/template/spec/volumes/0"];
        check("apps/Deployment", &template(json!({})), &template(own), &at);
    }

    #[test]
    fn an_empty_rule_lets_everything_in() {
        let kind = "networking.k8s.io/NetworkPolicy";
        check(kind, &json!({"spec": {}}), &json!({"spec": {"ingress": [{}]}}), &["added /spec/ingress/0"]);
        let role = json!({"aggregationRule": {"clusterRoleSelectors": [{}]}});
        let rules = json!({"aggregationRule": role["aggregationRule"], "rules": [{"verbs": ["get"]}]});
        check("rbac.authorization.k8s.io/ClusterRole", &role, &rules, &[]);
        check(
            "rbac.authorization.k8s.io/ClusterRole",
            &json!({}),
            &json!({"rules": rules["rules"]}),
            &["added /rules/0"],
        );
    }

    #[test]
    fn azure_and_google_are_watched_too() {
        let rules = |names: &[&str]| json!({"properties": {"securityRules": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()}});
        let kind = "microsoft.network/networksecuritygroups";
        check(kind, &rules(&["a"]), &rules(&["a", "b"]), &["added /properties/securityRules/1"]);
        let ranges = |range: &str| json!({"sourceRanges": [range]});
        let kind = "compute.googleapis.com/Firewall";
        check(kind, &json!({}), &ranges("0.0.0.0/0"), &[]);
        check(
            kind,
            &json!({"sourceTags": ["web"]}),
            &json!({"sourceTags": ["web"], "sourceRanges": ["0.0.0.0/0"]}),
            &["added /sourceRanges/0"],
        );
        let bindings =
            |role: &str, member: &str| json!({"iamPolicy": {"bindings": [{"role": role, "members": [member]}]}});
        let agent = "serviceAccount:service-1@compute-system.iam.gserviceaccount.com";
        check("storage.googleapis.com/Bucket", &json!({}), &bindings("roles/compute.serviceAgent", agent), &[]);
        let stranger = "serviceAccount:service-1@stranger.iam.gserviceaccount.com";
        let found = ["added /iamPolicy/bindings/0"];
        check("storage.googleapis.com/Bucket", &json!({}), &bindings("roles/compute.serviceAgent", stranger), &found);
        check(
            "storage.googleapis.com/Bucket",
            &json!({}),
            &bindings("roles/owner", "user:x"),
            &["added /iamPolicy/bindings/0"],
        );
    }

    #[test]
    fn what_a_sibling_declares_is_accounted_for() {
        let strict = Strict::usual(&Kind::from("AWS::EC2::SecurityGroup"));
        let rule = json!({"CidrIp": "10.0.0.0/8", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22});
        let check = |item: Value, is_sure: bool, is_doubted: bool, expected: &[&str]| {
            let sibling = Sibling { pointer: "/SecurityGroupIngress/*", item, is_sure };
            let strictly = Strictly { strict: Some(&strict), siblings: &[&sibling], scalers: &[], is_doubted };
            let observed = json!({"SecurityGroupIngress": [rule]});
            let found = compared("AWS::EC2::SecurityGroup", (&json!({}), &observed), strictly);
            assert_eq!(words(&found), expected);
        };
        let mut unresolved = rule.clone();
        unresolved["CidrIp"] = json!({"$unknown": true});
        let mut other = rule.clone();
        other["ToPort"] = json!(23);
        check(rule.clone(), true, false, &[]);
        check(rule.clone(), false, false, &["?/SecurityGroupIngress/0"]);
        check(unresolved, true, false, &["?/SecurityGroupIngress/0"]);
        check(other.clone(), true, false, &["added /SecurityGroupIngress/0"]);
        check(other, true, true, &["?/SecurityGroupIngress/0"]);
    }

    #[test]
    fn what_is_made_good_is_drift_no_more() {
        let rule = |port: u16| json!({"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": port, "ToPort": port});
        let kind = "AWS::EC2::SecurityGroup";
        let strict = Strict::usual(&Kind::from(kind));
        let strictly = Strictly { strict: Some(&strict), ..Strictly::default() };
        for desired in [json!({}), json!({"SecurityGroupIngress": [rule(1)]}), json!({"SecurityGroupIngress": []})] {
            let observed = json!({"SecurityGroupIngress": (1..13).map(rule).collect::<Vec<_>>()});
            let found = compared(kind, (&desired, &observed), strictly);
            assert!(found.changes.len() > 10, "{desired}");
            let mended = super::super::apply(&found.changes, &desired, &observed);
            assert_eq!(
                words(&compared(kind, (&desired, &mended), strictly)),
                Vec::<String>::new(),
                "{desired} {mended}"
            );
            assert_eq!(words(&compared(kind, (&observed, &observed), strictly)), Vec::<String>::new());
        }
    }

    #[test]
    fn a_configuration_may_order_more_or_less() {
        let order =
            |kind: &str, pointer: &str, watch| Order { kind: kind.to_owned(), pointer: pointer.to_owned(), watch };
        let check = |orders: &[Order], expected: &[&str]| {
            let kind = "AWS::IAM::Role";
            let strict = Strict::ordered(&Kind::from(kind), orders);
            let strictly = Strictly { strict: Some(&strict), ..Strictly::default() };
            let observed =
                json!({"Policies": [{"PolicyName": "x"}], "Description": "by hand", "MaxSessionDuration": 7200});
            let found = compared(kind, (&json!({}), &observed), strictly);
            assert_eq!(words(&found), expected, "{orders:?}");
        };
        check(&[], &["added /Policies/0"]);
        check(&[order("AWS::IAM::*", "/Policies", Watch::Lenient)], &[]);
        check(&[order("AWS::S3::*", "/Policies", Watch::Lenient)], &["added /Policies/0"]);
        check(&[order("AWS::IAM::*", "/Description", Watch::Strict)], &["added /Description", "added /Policies/0"]);
        let all = order("AWS::*", "", Watch::Strict);
        check(std::slice::from_ref(&all), &["added /Description", "added /MaxSessionDuration", "added /Policies/0"]);
        check(&[all, order("*", "/Description", Watch::Lenient)], &["added /MaxSessionDuration", "added /Policies/0"]);
        check(&[order("*", "", Watch::Lenient)], &[]);
    }

    #[test]
    fn an_order_about_any_attribute_asks_for_all() {
        let asked = |pointer: &str| {
            let order = Order { kind: "*".to_owned(), pointer: pointer.to_owned(), watch: Watch::Strict };
            let strict = Strict::ordered(&Kind::from("AWS::Some::Thing"), &[order]);
            strict.attributes().map(|names| names.join(" "))
        };
        assert_eq!(asked("/Rules/*/Weight").as_deref(), Some("Rules"));
        for pointer in ["", "/*", "/*/Weight", "/**/Weight"] {
            assert_eq!(asked(pointer), None, "{pointer}");
        }
    }
}
