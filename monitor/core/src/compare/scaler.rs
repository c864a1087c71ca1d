//! Numbers that move by themselves: one inside of what Git declares for its scaler is no drift, one outside is.
//!
//! Nothing says who moved a number: an autoscaler signs nothing. So it is only taken for the scaler's doing where Git itself
//! declares both the scaler and the range, and a number that somebody else set inside of the range is what the scaler
//! starts from next. Where the scaler, or what it is about, is not known for sure, the number is unknown.

use std::borrow::Cow;

use serde_json::Value;

use super::ignore::selects;
use super::{Change, ChangeOp, Comparison, Facts, Fold, Unknown};
use crate::scalers::{self, Bound, Range, Scaler};
use crate::siblings::keys;

/// Takes out the changes that a declared scaler accounts for: returns why.
pub(super) fn settle(out: &mut Comparison, facts: Facts<'_>, sides: [&Value; 2]) -> Vec<Fold> {
    let own = scalers::of_itself(facts.kind, sides[0]);
    let scalers: Vec<&Scaler> = facts.strictly.scalers.iter().copied().chain(&own).collect();
    let (mut folds, unknown) = (Vec::new(), &mut out.unknown);
    out.changes.retain(|change| match account(change, &scalers, sides) {
        Some(Account { scaler, doubt: None }) => {
            folds.push(Fold {
                path: change.path.clone(),
                fold: "a declared scaler moves it, and it is inside of the declared range",
                reason: Some(Cow::Owned(scaler.who.clone())),
                desired: change.desired.clone(),
                observed: change.observed.clone(),
                sensitive: change.sensitive,
            });
            false
        }
        Some(Account { doubt: Some(reason), .. }) => {
            unknown.push(Unknown { path: change.path.clone(), reason });
            false
        }
        None => true,
    });
    folds
}

/// A scaler that may have moved a number, and why it is not known that it did.
struct Account<'a> {
    scaler: &'a Scaler,
    doubt: Option<&'static str>,
}

/// Returns the scaler that accounts for a change, the surest one.
fn account<'a>(change: &Change, scalers: &[&'a Scaler], sides: [&Value; 2]) -> Option<Account<'a>> {
    let read = number(&change.observed)?;
    let side = match change.op {
        ChangeOp::Added => sides[1],
        ChangeOp::Changed | ChangeOp::Removed => sides[0],
    };
    let moves = |scaler: &&&Scaler| selects(&scaler.pointer, &change.path, side);
    let accounts = scalers.iter().filter(moves).filter_map(|scaler| {
        let sure = holds(scaler, sides)? & within(scaler, read, sides)?;
        Some(Account { scaler, doubt: scaler.doubt.or((!sure).then_some("unresolved")) })
    });
    accounts.min_by_key(|account| account.doubt.is_some())
}

/// Returns whether it is known that a resource is the one that a scaler is about; nothing if it is another one.
fn holds(scaler: &Scaler, sides: [&Value; 2]) -> Option<bool> {
    let mut sure = true;
    for (name, wanted) in &scaler.holds {
        let said = sides.iter().find_map(|side| side.get(*name).filter(|value| value.is_string()));
        match said.and_then(Value::as_str) {
            Some(said) if keys(said).any(|key| key == wanted.to_lowercase()) => {}
            Some(_) => return None,
            // A service without a cluster is in the one that is called `default`.
            None => sure &= wanted == "default" && sides.iter().all(|side| side.get(*name).is_none()),
        }
    }
    Some(sure)
}

/// Returns whether it is known that a number is inside of a scaler's ranges; nothing if it is outside of all.
fn within(scaler: &Scaler, read: f64, sides: [&Value; 2]) -> Option<bool> {
    scaler.ranges.iter().filter_map(|range| inside(range, read, sides)).max()
}

fn inside(Range { least, most }: &Range, read: f64, sides: [&Value; 2]) -> Option<bool> {
    let bound = |bound: &Bound| match bound {
        Bound::Is(value) => number(value),
        // What nobody declares is as it was read.
        Bound::Own(pointer) => {
            number(sides.iter().find_map(|side| side.pointer(pointer).filter(|said| !said.is_null()))?)
        }
    };
    let (least, most) = (bound(least), bound(most));
    let outside = least.is_some_and(|least| read < least) || most.is_some_and(|most| read > most);
    (!outside).then_some(least.is_some() && most.is_some())
}

/// Returns a number, which services often write as a text.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Context, MaskKey, Strictly, explain};
    use super::*;
    use crate::resource::{Depth, Desired, Kind};
    use crate::scalers::Scalers;
    use crate::schema::Schema;
    use crate::siblings::declared;

    /// Compares a resource of these names beside `others`; answers with the changes, with what is unknown and why, and with
    /// what is folded for a scaler.
    fn compared(kind: &str, others: &[Desired], (desired, observed): (&Value, &Value)) -> String {
        let (kind, schema, mask, context) =
            (Kind::from(kind), Schema::default(), MaskKey::new([5; 32]), Context::default());
        let of = |wanted: &Kind| others.iter().filter(|it| it.kind == *wanted).collect::<Vec<_>>();
        let scalers = Scalers::of(&kind, of);
        let strictly = Strictly { scalers: &scalers.about(["web"].into_iter()), ..Strictly::default() };
        let facts =
            Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
        let (found, folds) = explain(desired, observed, facts);
        let changes = found.changes.iter().map(|change| format!("!{}", change.path));
        let unknown = found.unknown.iter().map(|unknown| format!("?{} {}", unknown.path, unknown.reason));
        let folds = folds.iter().filter(|fold| fold.fold.contains("scaler")).map(|fold| format!("={}", fold.path));
        changes.chain(unknown).chain(folds).collect::<Vec<_>>().join(" ")
    }

    fn check(kind: &str, others: &[Desired], desired: &Value, cases: &[(Value, &str)]) {
        for (observed, expected) in cases {
            assert_eq!(compared(kind, others, (desired, observed)), *expected, "{kind} {desired} {observed}");
        }
    }

    fn target(attributes: Value) -> Desired {
        let mut target = declared("AWS::ApplicationAutoScaling::ScalableTarget", None, attributes);
        target.attributes["ScalableDimension"] = json!("ecs:service:DesiredCount");
        target
    }

    #[test]
    fn a_service_is_scaled_inside_of_its_targets_range_and_nowhere_else() {
        let service = |count: i64| json!({"DesiredCount": count, "Cluster": "arn:aws:ecs:r:1:cluster/prod"});
        let scaled = |min: Value, id: Value| [target(json!({"ResourceId": id, "MinCapacity": min, "MaxCapacity": 10}))];
        let cases = [
            (service(2), ""),
            (service(1), "=/DesiredCount"),
            (service(10), "=/DesiredCount"),
            (service(0), "!/DesiredCount"),
            (service(11), "!/DesiredCount"),
            (json!({"Cluster": "prod"}), "!/DesiredCount"),
            (json!({"DesiredCount": "many", "Cluster": "prod"}), "!/DesiredCount"),
        ];
        let id = json!("service/prod/web");
        check("AWS::ECS::Service", &scaled(json!(1), id.clone()), &service(2), &cases);
        check("AWS::ECS::Service", &[], &service(2), &[(service(3), "!/DesiredCount")]);
        let elsewhere = scaled(json!(1), json!("service/test/web"));
        check("AWS::ECS::Service", &elsewhere, &service(2), &[(service(3), "!/DesiredCount")]);
        let unknown = json!({"$unknown": true});
        let doubt = "?/DesiredCount unresolved";
        let cases = [(service(3), doubt), (service(11), "!/DesiredCount")];
        check("AWS::ECS::Service", &scaled(unknown.clone(), id), &service(2), &cases);
        check("AWS::ECS::Service", &scaled(json!(1), unknown), &service(2), &cases);
    }

    #[test]
    fn an_index_is_scaled_by_its_name() {
        let units = |reads: i64| json!({"ReadCapacityUnits": reads, "WriteCapacityUnits": 1});
        let table = |day: i64, night: i64| {
            json!({"GlobalSecondaryIndexes": [{"IndexName": "day", "ProvisionedThroughput": units(day)},
                {"IndexName": "night", "ProvisionedThroughput": units(night)}], "ProvisionedThroughput": units(5)})
        };
        let mut scaler = target(json!({"ResourceId": "table/web/index/night", "MinCapacity": 5, "MaxCapacity": 9}));
        scaler.attributes["ScalableDimension"] = json!("dynamodb:index:ReadCapacityUnits");
        let reads = |index: u8| format!("/GlobalSecondaryIndexes/{index}/ProvisionedThroughput/ReadCapacityUnits");
        let cases = [
            (table(5, 9), format!("={}", reads(1))),
            (table(6, 5), format!("!{}", reads(0))),
            (table(5, 10), format!("!{}", reads(1))),
        ];
        let cases: Vec<_> = cases.iter().map(|(table, expected)| (table.clone(), expected.as_str())).collect();
        check("AWS::DynamoDB::Table", &[scaler], &table(5, 5), &cases);
    }

    #[test]
    fn a_group_moves_inside_of_its_own_bounds_if_something_moves_it() {
        let group =
            |min: &str, capacity: &str, max: &str| json!({"MinSize": min, "DesiredCapacity": capacity, "MaxSize": max});
        let kind = "AWS::AutoScaling::AutoScalingGroup";
        let policy = declared("AWS::AutoScaling::ScalingPolicy", None, json!({"AutoScalingGroupName": "web"}));
        let declared_group = group("1", "2", "4");
        let cases = [
            (group("1", "4", "4"), "=/DesiredCapacity"),
            (group("1", "5", "5"), "!/DesiredCapacity !/MaxSize"),
            (group("0", "0", "4"), "!/DesiredCapacity !/MinSize"),
        ];
        check(kind, &[policy], &declared_group, &cases);
        check(kind, &[], &declared_group, &[(group("1", "4", "4"), "!/DesiredCapacity")]);
        let tag = |value: &str| json!([{"Key": "k8s.io/cluster-autoscaler/enabled", "Value": value}]);
        for (value, expected) in [("true", "=/DesiredCapacity"), ("false", "!/DesiredCapacity")] {
            let (mut desired, mut observed) = (declared_group.clone(), group("1", "3", "4"));
            (desired["Tags"], observed["Tags"]) = (tag(value), tag(value));
            check(kind, &[], &desired, &[(observed, expected)]);
        }
        let night = json!({"AutoScalingGroupName": "web", "MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0});
        let night = declared("AWS::AutoScaling::ScheduledAction", None, night);
        let cases = [
            (group("0", "0", "0"), "=/DesiredCapacity =/MaxSize =/MinSize"),
            (group("0", "0", "4"), "=/DesiredCapacity =/MinSize"),
            (group("1", "2", "3"), "!/MaxSize"),
        ];
        check(kind, &[night], &declared_group, &cases);
    }

    #[test]
    fn what_a_resource_says_of_itself_is_enough_where_its_service_moves_it() {
        let storage = |now: &str, most: Option<i64>| json!({"AllocatedStorage": now, "MaxAllocatedStorage": most});
        let cases = [
            (storage("150", Some(200)), "=/AllocatedStorage"),
            (storage("99", Some(200)), "!/AllocatedStorage"),
            (storage("201", Some(200)), "!/AllocatedStorage"),
        ];
        check("AWS::RDS::DBInstance", &[], &storage("100", Some(200)), &cases);
        check("AWS::RDS::DBInstance", &[], &storage("100", None), &[(storage("150", None), "!/AllocatedStorage")]);
        let nodes = |size: i64| json!({"ScalingConfig": {"MinSize": 1, "DesiredSize": size, "MaxSize": 5}});
        let path = "/ScalingConfig/DesiredSize";
        let cases = [(nodes(5), format!("?{path} autoscaled")), (nodes(6), format!("!{path}"))];
        let cases: Vec<_> = cases.iter().map(|(nodes, expected)| (nodes.clone(), expected.as_str())).collect();
        check("AWS::EKS::Nodegroup", &[], &nodes(2), &cases);
        let target = |min: i64| {
            json!({"MinCapacity": min, "MaxCapacity": 9, "ScheduledActions": [{"ScheduledActionName": "night",
                "ScalableTargetAction": {"MinCapacity": 0}}]})
        };
        let cases = [(target(0), "=/MinCapacity"), (target(2), "!/MinCapacity")];
        check("AWS::ApplicationAutoScaling::ScalableTarget", &[], &target(1), &cases);
    }
}
