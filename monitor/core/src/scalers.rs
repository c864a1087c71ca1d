//! What Git says about numbers that move by themselves: who moves them, and between which bounds.
//!
//! Only says what is declared; whether a number that was read is one that its scaler may have set is found out in
//! [`crate::compare`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::resource::{Desired, Kind};
use crate::siblings::Beside;

/// Something that moves a number of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    /// The number, as a pointer with `[name=value]` for the items that have it.
    pub pointer: String,
    /// Where it moves it: inside one of these.
    pub ranges: Vec<Range>,
    /// Attributes that tell the resource from others of its name.
    pub holds: Vec<(&'static str, String)>,
    /// Who it is, for people.
    pub who: String,
    /// Why it is not known to move the number, if it is not.
    pub doubt: Option<&'static str>,
}

/// Between which bounds a number moves, these included.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// The lower one.
    pub least: Bound,
    /// The upper one.
    pub most: Bound,
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// This number; one that is not known where it is none.
    Is(Value),
    /// What the resource itself says there.
    Own(&'static str),
}

/// Doubt about a declaration of which a part is not known.
const UNRESOLVED: &str = "unresolved";

const TARGET: &str = "AWS::ApplicationAutoScaling::ScalableTarget";
const GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";
const SCHEDULE: &str = "AWS::AutoScaling::ScheduledAction";

/// What Application Auto Scaling scales: the kind, the dimension, what its `ResourceId` looks like, and the number. In a
/// `ResourceId`, `{name}` is the resource, a part with a capital an attribute of it, and any other goes into the pointer.
#[rustfmt::skip]
const DIMENSIONS: &[(&str, &str, &str, &str)] = &[
    ("AWS::AppStream::Fleet", "appstream:fleet:DesiredCapacity", "fleet/{name}", "/ComputeCapacity/DesiredInstances"),
    ("AWS::Cassandra::Table", "cassandra:table:ReadCapacityUnits", "keyspace/{KeyspaceName}/table/{name}", "/BillingMode/ProvisionedThroughput/ReadCapacityUnits"),
    ("AWS::Cassandra::Table", "cassandra:table:WriteCapacityUnits", "keyspace/{KeyspaceName}/table/{name}", "/BillingMode/ProvisionedThroughput/WriteCapacityUnits"),
    ("AWS::DynamoDB::Table", "dynamodb:index:ReadCapacityUnits", "table/{name}/index/{index}", "/GlobalSecondaryIndexes/[IndexName={index}]/ProvisionedThroughput/ReadCapacityUnits"),
    ("AWS::DynamoDB::Table", "dynamodb:index:WriteCapacityUnits", "table/{name}/index/{index}", "/GlobalSecondaryIndexes/[IndexName={index}]/ProvisionedThroughput/WriteCapacityUnits"),
    ("AWS::DynamoDB::Table", "dynamodb:table:ReadCapacityUnits", "table/{name}", "/ProvisionedThroughput/ReadCapacityUnits"),
    ("AWS::DynamoDB::Table", "dynamodb:table:WriteCapacityUnits", "table/{name}", "/ProvisionedThroughput/WriteCapacityUnits"),
    ("AWS::EC2::SpotFleet", "ec2:spot-fleet-request:TargetCapacity", "spot-fleet-request/{name}", "/SpotFleetRequestConfigData/TargetCapacity"),
    ("AWS::ECS::Service", "ecs:service:DesiredCount", "service/{Cluster}/{name}", "/DesiredCount"),
    ("AWS::ElastiCache::ReplicationGroup", "elasticache:replication-group:NodeGroups", "replication-group/{name}", "/NumNodeGroups"),
    ("AWS::ElastiCache::ReplicationGroup", "elasticache:replication-group:Replicas", "replication-group/{name}", "/ReplicasPerNodeGroup"),
    ("AWS::Lambda::Alias", "lambda:function:ProvisionedConcurrency", "function/{FunctionName}/{name}", "/ProvisionedConcurrencyConfig/ProvisionedConcurrentExecutions"),
    ("AWS::MSK::Cluster", "kafka:broker-storage:VolumeSize", "{name}", "/BrokerNodeGroupInfo/StorageInfo/EBSStorageInfo/VolumeSize"),
];

/// What moves the desired capacity of a scaling group, where it names the group, and what must not be off.
const GROUPED: &[(&str, &str, Option<&str>)] = &[
    ("AWS::AutoScaling::ScalingPolicy", "/AutoScalingGroupName", None),
    (
        "AWS::ECS::CapacityProvider",
        "/AutoScalingGroupProvider/AutoScalingGroupArn",
        Some("/AutoScalingGroupProvider/ManagedScaling/Status"),
    ),
];

/// A number that a service moves inside of what its own resource declares.
struct Own {
    kind: &'static str,
    pointer: &'static str,
    bounds: [&'static str; 2],
    who: &'static str,
    doubt: Option<&'static str>,
}

/// Numbers of which the resource itself says between which bounds they move. Without the upper bound they do not.
const OWN: &[Own] = &[
    Own {
        kind: "AWS::Batch::ComputeEnvironment",
        pointer: "/ComputeResources/DesiredvCpus",
        bounds: ["/ComputeResources/MinvCpus", "/ComputeResources/MaxvCpus"],
        who: "the service follows its job queues",
        doubt: None,
    },
    Own {
        kind: "AWS::EKS::Nodegroup",
        pointer: "/ScalingConfig/DesiredSize",
        bounds: ["/ScalingConfig/MinSize", "/ScalingConfig/MaxSize"],
        who: "a cluster autoscaler finds every managed node group by its tags",
        // Whether one runs in the cluster is not told by the node group.
        doubt: Some("autoscaled"),
    },
    Own {
        kind: "AWS::RDS::DBInstance",
        pointer: "/AllocatedStorage",
        bounds: ["/AllocatedStorage", "/MaxAllocatedStorage"],
        who: "storage autoscaling adds storage, and never takes any away",
        doubt: None,
    },
];

/// What other declarations move, by the names of the resources.
pub(crate) type Scalers = Beside<Scaler>;

/// Returns the kinds whose declarations may move a number of a resource of `kind`.
pub(crate) fn givers_of(kind: &Kind) -> impl Iterator<Item = Kind> {
    let target = DIMENSIONS.iter().any(|(scaled, ..)| *scaled == kind.as_str()).then_some(TARGET);
    let group = GROUPED.iter().map(|(from, ..)| *from).chain([SCHEDULE]).filter(|_| kind.as_str() == GROUP);
    target.into_iter().chain(group.collect::<Vec<_>>()).map(Kind::from)
}

impl Beside<Scaler> {
    /// Returns what `declared`, by kind, moves in resources of `kind`.
    pub(crate) fn of<'d, I>(kind: &Kind, declared: impl Fn(&Kind) -> I) -> Self
    where
        I: IntoIterator<Item = &'d Desired>,
    {
        let mut scalers = Self::default();
        for from in givers_of(kind) {
            for desired in declared(&from) {
                let giver = Giver { desired };
                for (owner, scaler) in giver.scalers(kind) {
                    scalers.put(owner.as_deref(), scaler);
                }
            }
        }
        scalers
    }
}

/// One declaration that may move numbers of others.
#[derive(Clone, Copy)]
struct Giver<'d> {
    desired: &'d Desired,
}

/// The name of the resource, if it is known, and what moves in it.
type Owned = (Option<String>, Scaler);

impl Giver<'_> {
    fn scalers(self, kind: &Kind) -> Vec<Owned> {
        match self.desired.kind.as_str() {
            TARGET => DIMENSIONS.iter().filter(|line| line.0 == kind.as_str()).filter_map(|l| self.target(l)).collect(),
            SCHEDULE => self.schedule(),
            from => GROUPED.iter().filter(|line| line.0 == from).filter_map(|line| self.grouped(line)).collect(),
        }
    }

    /// Returns what a scalable target moves, if it is one of that dimension.
    fn target(self, (_, dimension, shape, pointer): &(&str, &str, &'static str, &str)) -> Option<Owned> {
        if self.text("/ScalableDimension").is_some_and(|said| said != *dimension) {
            return None;
        }
        let id = self.text("/ResourceId");
        let parts = match id {
            Some(id) => parts(shape, id)?,
            None => BTreeMap::new(),
        };
        let mut pointer = (*pointer).to_owned();
        let mut holds = Vec::new();
        for (name, part) in &parts {
            if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                holds.push((*name, part.clone()));
            }
            pointer = pointer.replace(&format!("{{{name}}}"), &part.replace('~', "~0").replace('/', "~1"));
        }
        // An index that is not known may be any.
        let pointer = pointer.replace("[IndexName={index}]", "*");
        let scaler = Scaler { pointer, ranges: target_ranges(&self.desired.attributes), holds, ..self.scaler(id) };
        Some((parts.get("name").cloned(), scaler))
    }

    /// Returns that something moves the capacity of a group between the bounds of the group.
    fn grouped(self, (_, owner, switch): &(&str, &str, Option<&str>)) -> Option<Owned> {
        let switch = switch.map(|pointer| self.desired.attributes.pointer(pointer));
        if let Some(status) = switch {
            // A switch that is not known may be on.
            status.filter(|status| !status.is_string() || *status == "ENABLED")?;
        }
        let is_unknown = switch.flatten().is_some_and(|status| !status.is_string());
        let owner = self.text(owner);
        let mut scaler = Scaler { pointer: CAPACITY.to_owned(), ranges: vec![OF_GROUP], ..self.scaler(owner) };
        scaler.doubt = scaler.doubt.or(is_unknown.then_some(UNRESOLVED));
        Some((owner.map(ToOwned::to_owned), scaler))
    }

    /// Returns what a scheduled action sets: the bounds of the group, and with them the capacity.
    fn schedule(self) -> Vec<Owned> {
        let owner = self.text("/AutoScalingGroupName");
        let said = |name: &str| self.desired.attributes.pointer(name).cloned().map(Bound::Is);
        let (least, most) = (said("/MinSize"), said("/MaxSize"));
        let capacity =
            Range { least: least.clone().unwrap_or(OF_GROUP.least), most: most.clone().unwrap_or(OF_GROUP.most) };
        let exactly = |bound: Bound| Range { least: bound.clone(), most: bound };
        let moved = [("/MinSize", least.map(exactly)), ("/MaxSize", most.map(exactly)), (CAPACITY, Some(capacity))];
        let scaler = |(pointer, range): (&str, Option<Range>)| {
            let scaler = Scaler { pointer: pointer.to_owned(), ranges: vec![range?], ..self.scaler(owner) };
            Some((owner.map(ToOwned::to_owned), scaler))
        };
        moved.into_iter().filter_map(scaler).collect()
    }

    /// Returns a scaler that moves nothing yet; in doubt if it is not known what it is about.
    fn scaler(self, about: Option<&str>) -> Scaler {
        let Desired { kind, origin, .. } = self.desired;
        let named = about.map(|about| format!(" of `{about}`")).unwrap_or_default();
        let placed =
            if origin.file.is_empty() { String::new() } else { format!(" in {}:{}", origin.file, origin.line) };
        Scaler {
            pointer: String::new(),
            ranges: Vec::new(),
            holds: Vec::new(),
            who: format!("{kind}{named}{placed}"),
            doubt: about.is_none().then_some(UNRESOLVED),
        }
    }

    /// Returns a text in the declaration, if all of it is known.
    fn text(&self, pointer: &str) -> Option<&str> {
        self.desired.attributes.pointer(pointer)?.as_str().filter(|text| !text.contains("resolve:"))
    }
}

const CAPACITY: &str = "/DesiredCapacity";

/// The bounds of a scaling group.
const OF_GROUP: Range = Range { least: Bound::Own("/MinSize"), most: Bound::Own("/MaxSize") };

/// Returns the parts of an identifier that a shape names, if it has that shape.
fn parts(shape: &'static str, id: &str) -> Option<BTreeMap<&'static str, String>> {
    const SEPARATORS: [char; 2] = ['/', ':'];
    let name = |wanted: &'static str| wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    // One that is all of it may have any separators inside.
    if let Some(name) = name(shape) {
        return Some([(name, id.to_owned())].into());
    }
    let (wanted, found): (Vec<_>, Vec<_>) = (shape.split('/').collect(), id.split(SEPARATORS).collect());
    let mut parts = BTreeMap::new();
    for (wanted, found) in wanted.iter().zip(&found) {
        match name(wanted) {
            Some(name) => drop(parts.insert(name, (*found).to_owned())),
            None if wanted == found => {}
            None => return None,
        }
    }
    (wanted.len() == found.len()).then_some(parts)
}

/// Returns the ranges of a scalable target: its own, and those that its scheduled actions make it.
fn target_ranges(attributes: &Value) -> Vec<Range> {
    let said = |from: &Value, name: &str| from.get(name).filter(|value| !value.is_null()).cloned();
    let [least, most] = ["MinCapacity", "MaxCapacity"].map(|name| said(attributes, name).unwrap_or_default());
    let within = |action: &Value| Range {
        least: Bound::Is(said(action, "MinCapacity").unwrap_or_else(|| least.clone())),
        most: Bound::Is(said(action, "MaxCapacity").unwrap_or_else(|| most.clone())),
    };
    std::iter::once(attributes).chain(actions(attributes)).map(within).collect()
}

/// Returns what the scheduled actions of a scalable target do.
fn actions(attributes: &Value) -> impl Iterator<Item = &Value> {
    let actions = attributes.get("ScheduledActions").and_then(Value::as_array).into_iter().flatten();
    actions.filter_map(|action| action.get("ScalableTargetAction"))
}

/// Returns what moves in a resource of `kind` by what the resource itself declares.
pub(crate) fn of_itself(kind: &Kind, declared: &Value) -> Vec<Scaler> {
    let scaler = |pointer: &str, ranges, who: &str, doubt| Scaler {
        pointer: pointer.to_owned(),
        ranges,
        holds: Vec::new(),
        who: who.to_owned(),
        doubt,
    };
    let own = OWN
        .iter()
        .filter(|own| own.kind == kind.as_str() && declared.pointer(own.bounds[1]).is_some_and(|most| !most.is_null()));
    let mut scalers: Vec<_> = own
        .map(|own| {
            let [least, most] = own.bounds.map(Bound::Own);
            scaler(own.pointer, vec![Range { least, most }], own.who, own.doubt)
        })
        .collect();
    if kind.as_str() == GROUP && is_tagged(declared) {
        scalers.push(scaler(CAPACITY, vec![OF_GROUP], "the tags of the group name a cluster autoscaler", None));
    }
    if kind.as_str() == TARGET {
        for name in ["MinCapacity", "MaxCapacity"] {
            let set = actions(declared).filter_map(|action| action.get(name).cloned().map(Bound::Is));
            let ranges = set.map(|bound| Range { least: bound.clone(), most: bound }).collect();
            scalers.push(scaler(&format!("/{name}"), ranges, "its scheduled actions set it", None));
        }
    }
    scalers
}

/// Returns whether a group declares the tag by which a cluster autoscaler finds it.
fn is_tagged(declared: &Value) -> bool {
    let tags = declared.get("Tags").and_then(Value::as_array).into_iter().flatten();
    let key = |tag: &Value| tag.get("Key").and_then(Value::as_str) == Some("k8s.io/cluster-autoscaler/enabled");
    let on = |tag: &Value| tag.get("Value").is_none_or(|value| value != "false");
    tags.into_iter().any(|tag| key(tag) && on(tag))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::siblings::declared;

    /// Asks what `others` move in the resource of these names; answers with `pointer least..most`, what it must hold, and
    /// why it may not be so.
    fn check(kind: &str, names: &[&str], others: &[Desired], expected: &[&str]) {
        let of = |wanted: &Kind| others.iter().filter(|it| it.kind == *wanted).collect::<Vec<_>>();
        let scalers = Scalers::of(&Kind::from(kind), of);
        let bound = |bound: &Bound| match bound {
            Bound::Is(value) => value.to_string(),
            Bound::Own(pointer) => (*pointer).to_owned(),
        };
        let word = |it: &&Scaler| {
            let ranges: Vec<_> =
                it.ranges.iter().map(|range| format!(" {}..{}", bound(&range.least), bound(&range.most))).collect();
            let holds: Vec<_> = it.holds.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let doubt = it.doubt.map(|doubt| format!(" {doubt}")).unwrap_or_default();
            format!("{}{}{}{doubt}", it.pointer, ranges.concat(), holds.concat())
        };
        assert_eq!(scalers.about(names.iter().copied()).iter().map(word).collect::<Vec<_>>(), expected, "{kind}");
    }

    fn target(dimension: &str, id: &Value) -> Desired {
        let attributes = json!({"ScalableDimension": dimension, "ResourceId": id, "MinCapacity": 1, "MaxCapacity": 5});
        declared(TARGET, None, attributes)
    }

    #[test]
    fn a_scalable_target_moves_what_it_names() {
        let (kind, count) = ("AWS::ECS::Service", "ecs:service:DesiredCount");
        let service = |id: &str| [target(count, &json!(id))];
        check(kind, &["web"], &service("service/prod/web"), &["/DesiredCount 1..5 Cluster=prod"]);
        check(kind, &["api"], &service("service/prod/web"), &[]);
        check(kind, &["web"], &service("table/web"), &[]);
        check("AWS::DynamoDB::Table", &["web"], &service("service/prod/web"), &[]);
        check(kind, &["api"], &[target(count, &json!({"$unknown": true}))], &["/DesiredCount 1..5 unresolved"]);
        let index = "/GlobalSecondaryIndexes/[IndexName=by~1day]/ProvisionedThroughput/ReadCapacityUnits 1..5";
        let reads = "dynamodb:index:ReadCapacityUnits";
        check(
            "AWS::DynamoDB::Table",
            &["t"],
            &[target(reads, &json!("table/t/index/by-day"))],
            &[&index.replace("~1", "-")],
        );
        let any = "/GlobalSecondaryIndexes/*/ProvisionedThroughput/ReadCapacityUnits 1..5 unresolved";
        check("AWS::DynamoDB::Table", &["t"], &[target(reads, &json!({"$unknown": true}))], &[any]);
        let alias = target("lambda:function:ProvisionedConcurrency", &json!("function:pay:live"));
        let moved = "/ProvisionedConcurrencyConfig/ProvisionedConcurrentExecutions 1..5 FunctionName=pay";
        check("AWS::Lambda::Alias", &["live"], &[alias], &[moved]);
        let arn = "arn:aws:kafka:eu-west-1:1:cluster/logs/u-1";
        let storage = target("kafka:broker-storage:VolumeSize", &json!(arn));
        let moved = "/BrokerNodeGroupInfo/StorageInfo/EBSStorageInfo/VolumeSize 1..5";
        check("AWS::MSK::Cluster", &[arn], &[storage], &[moved]);
    }

    #[test]
    fn a_scheduled_action_moves_the_bounds_too() {
        let mut scheduled = target("ecs:service:DesiredCount", &json!("service/prod/web"));
        scheduled.attributes["ScheduledActions"] = json!([{"ScalableTargetAction": {"MaxCapacity": 20}}]);
        check("AWS::ECS::Service", &["web"], &[scheduled], &["/DesiredCount 1..5 1..20 Cluster=prod"]);
        let night = declared(SCHEDULE, None, json!({"AutoScalingGroupName": "g", "MinSize": 0, "DesiredCapacity": 0}));
        check(GROUP, &["g"], &[night], &["/MinSize 0..0", "/DesiredCapacity 0../MaxSize"]);
    }

    #[test]
    fn a_group_is_moved_by_its_policies_and_by_a_provider_that_is_on() {
        let policy = declared("AWS::AutoScaling::ScalingPolicy", None, json!({"AutoScalingGroupName": "g"}));
        check(GROUP, &["g"], &[policy], &["/DesiredCapacity /MinSize../MaxSize"]);
        let arn = "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:u:autoScalingGroupName/g";
        let provider = |scaling: Value| {
            let provider = json!({"AutoScalingGroupArn": arn, "ManagedScaling": scaling});
            [declared("AWS::ECS::CapacityProvider", None, json!({"AutoScalingGroupProvider": provider}))]
        };
        check(GROUP, &["g"], &provider(json!({"Status": "ENABLED"})), &["/DesiredCapacity /MinSize../MaxSize"]);
        check(GROUP, &["g"], &provider(json!({"Status": "DISABLED"})), &[]);
        check(GROUP, &["g"], &provider(json!({})), &[]);
        let unknown = provider(json!({"Status": {"$unknown": true}}));
        check(GROUP, &["g"], &unknown, &["/DesiredCapacity /MinSize../MaxSize unresolved"]);
    }
}
