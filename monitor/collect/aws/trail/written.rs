//! What was written since a time, as the log tells it: whatever that is not about is as it was.
//!
//! The log is taken at its word only where it is alive and was read whole. Whoever reads an account leaves events in it, so a
//! log without any is one that nobody keeps. An event that names nothing that is known may have changed any of it.

use std::collections::{HashMap, HashSet};

use driftwarden_core::resource::{GapReason, Kind};
use jiff::Timestamp;
use serde_json::Value;

use super::fit::{Naming, makes, naming, short};
use super::record::{Record, is_service};
use super::{Asked, MOST_LOOKUPS, PAGE, page};
use crate::collect::aws::call::Caller;
use crate::collect::http::CallError;

/// Events that write nothing of what is read, and come all day: the source, and the name.
const NOISE: &[(&str, &str)] = &[("logs", "CreateLogStream")];
/// Deploys what it wants by the services' own calls, in its own time.
const STACKS: &str = "cloudformation";

/// What was written in one account and region.
pub(in crate::collect::aws) struct Written {
    records: Vec<Record>,
}

/// What of a kind may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::collect::aws) enum Touched {
    /// Nothing.
    Nothing,
    /// Of those that are known, these; and there may be others.
    These(HashSet<Box<str>>),
    /// Any of it.
    Any,
}

impl Written {
    /// Asks the log what was written from `start` to `end`. Where it does not show that it tells everything, and shows nothing
    /// since `alive`, that is an error.
    pub(in crate::collect::aws) async fn between(
        caller: &Caller,
        (start, end): (Timestamp, Timestamp),
        alive: Timestamp,
    ) -> Result<Self, CallError> {
        expect_life(caller, (alive, end)).await?;
        let mut asked = Asked::new(Some(("ReadOnly", "false")), Some(start), end);
        let mut records = Vec::new();
        for _ in 0..MOST_LOOKUPS {
            let page = page(caller, &asked).await?;
            let is_full = page.events.len() >= PAGE as usize;
            for event in page.events {
                let unread = || CallError::new(GapReason::Malformed, "an event in CloudTrail cannot be understood");
                records.push(Record::of(event).ok_or_else(unread)?);
            }
            let Some(next) = page.next_token else {
                if is_full {
                    return Err(CallError::new(GapReason::Partial, "a full page of CloudTrail says of none after it"));
                }
                records.retain(|record| record.may_have_written() && !is_noise(record));
                return Ok(Self { records });
            };
            if asked.next_token.as_ref() == Some(&next) {
                return Err(CallError::new(GapReason::Partial, "a page of CloudTrail was offered twice"));
            }
            asked.next_token = Some(next);
        }
        Err(CallError::new(GapReason::Partial, "CloudTrail has more events than are read"))
    }

    /// Returns what may have changed of a kind, of which these names are known.
    pub(in crate::collect::aws) fn of<'n>(&self, kind: &Kind, known: impl Iterator<Item = &'n str>) -> Touched {
        let mut concerning = self.records.iter().filter(|record| concerns(record, kind)).peekable();
        if concerning.peek().is_none() {
            return Touched::Nothing;
        }
        let index = index(known);
        let mut these = HashSet::new();
        for record in concerning {
            let named = named(record, kind, &index);
            let is_sure = named.iter().any(|(_, naming)| *naming == Naming::Id);
            if !is_sure && !makes(record, kind) {
                return Touched::Any;
            }
            these.extend(named.into_iter().map(|(name, _)| name.into()));
        }
        Touched::These(these)
    }
}

/// Takes a log that shows no event at all, not even of our own readings, for one that nobody keeps.
async fn expect_life(caller: &Caller, (start, end): (Timestamp, Timestamp)) -> Result<(), CallError> {
    let asked = Asked { max_results: 1, ..Asked::new(None, Some(start), end) };
    let is_alive = !page(caller, &asked).await?.events.is_empty();
    let dead = || CallError::new(GapReason::Partial, "CloudTrail shows no event at all");
    is_alive.then_some(()).ok_or_else(dead)
}

fn is_noise(record: &Record) -> bool {
    NOISE.contains(&(record.source(), &record.name))
}

/// Returns whether an event may have changed something of a kind.
fn concerns(record: &Record, kind: &Kind) -> bool {
    let source = record.source();
    if record.is_of_cloud_control() || record.is_of_tagging() {
        return record.serves(kind) && (!record.is_of_tagging() || is_tagged(record, kind));
    }
    source == STACKS || is_service(source, kind)
}

/// Returns whether an event of tagging has an ARN of the service of a kind.
fn is_tagged(record: &Record, kind: &Kind) -> bool {
    let mut texts = Vec::new();
    record.told().into_iter().for_each(|told| collect_texts(told, &mut texts));
    let services = texts.into_iter().filter_map(|text| text.strip_prefix("arn:")?.split(':').nth(1));
    services.into_iter().any(|service| is_service(service, kind))
}

/// Known names, by each way in which an event may spell them.
type Index<'n> = HashMap<&'n str, Vec<&'n str>>;

fn index<'n>(known: impl Iterator<Item = &'n str>) -> Index<'n> {
    let mut index = Index::new();
    for name in known {
        let parts = name.split('|').filter(|part| !part.is_empty());
        let spellings = [name].into_iter().chain(parts.flat_map(|part| [part].into_iter().chain(short(part))));
        for spelling in spellings {
            let names = index.entry(spelling).or_default();
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
    }
    index
}

/// Returns the known names that an event may be about, and how it names each.
fn named<'n>(record: &Record, kind: &Kind, index: &Index<'n>) -> Vec<(&'n str, Naming)> {
    let mut texts: Vec<&str> = record.resources.iter().filter_map(|named| named.resource_name.as_deref()).collect();
    record.told().into_iter().for_each(|told| collect_texts(told, &mut texts));
    let ends = |text: &'_ str| -> Vec<usize> { text.match_indices(['/', ':']).map(|(at, _)| at + 1).collect() };
    let spellings = texts.into_iter().flat_map(|text| {
        let ends = ends(text).into_iter().filter_map(|at| text.get(at..));
        [text].into_iter().chain(ends).collect::<Vec<_>>()
    });
    let suspected: HashSet<&'n str> = spellings.filter_map(|text| index.get(text)).flatten().copied().collect();
    suspected.into_iter().map(|name| (name, naming(record, kind, name).unwrap_or(Naming::Name))).collect()
}

fn collect_texts<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, into)),
        Value::Object(members) => members.values().for_each(|member| collect_texts(member, into)),
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::collect::aws::direct::DIRECT;

    fn record(source: &str, name: &str, parameters: &Value) -> Record {
        let record = json!({
            "eventID": "1", "eventTime": "2026-01-01T00:00:00Z", "eventName": name,
            "eventSource": format!("{source}.amazonaws.com"), "requestParameters": parameters,
        });
        serde_json::from_value(record).unwrap()
    }

    /// Checks what may have changed, as words: of the buckets `logs` and `media`, or of whatever else is of that kind.
    fn check(kind: &str, (source, name): (&str, &str), parameters: &Value, expected: &str) {
        let written = Written { records: vec![record(source, name, parameters)] };
        let touched = match written.of(&kind.into(), ["logs", "media"].into_iter()) {
            Touched::Nothing => "nothing".to_owned(),
            Touched::Any => "any".to_owned(),
            Touched::These(names) => {
                let mut names: Vec<_> = names.into_iter().collect();
                names.sort();
                names.join(" ")
            }
        };
        assert_eq!(touched, expected, "{kind} {source} {name} {parameters}");
    }

    const BUCKET: &str = "AWS::S3::Bucket";

    #[test]
    fn what_an_event_names_may_have_changed_and_nothing_else_of_the_kind() {
        let named = json!({"bucketName": "logs"});
        check(BUCKET, ("s3", "PutBucketPolicy"), &named, "logs");
        check("AWS::S3::BucketPolicy", ("s3", "PutBucketPolicy"), &named, "logs");
        check(
            BUCKET,
            ("s3", "PutBucketReplication"),
            &json!({"bucketName": "logs", "to": "arn:aws:s3:::media"}),
            "logs media",
        );
        check(BUCKET, ("kms", "PutKeyPolicy"), &json!({"keyId": "logs"}), "nothing");
        check(BUCKET, ("sns", "SetTopicAttributes"), &named, "nothing");
    }

    #[test]
    fn an_event_that_surely_names_nothing_known_may_have_changed_anything() {
        check(BUCKET, ("s3", "PutBucketPolicy"), &json!({"bucketName": "other"}), "any");
        check(BUCKET, ("s3", "PutBucketPolicy"), &json!({"bucketName": "other", "status": "logs"}), "any");
        check(BUCKET, ("s3", "PutBucketPolicy"), &Value::Null, "any");
        check(BUCKET, ("s3", "CreateBucket"), &json!({"bucketName": "other"}), "");
        check(BUCKET, ("cloudformation", "UpdateStack"), &json!({"stackName": "web"}), "any");
    }

    #[test]
    fn writes_through_others_count() {
        let patch = |kind: &str, name: &str| json!({"typeName": kind, "identifier": name});
        check(BUCKET, ("cloudcontrolapi", "UpdateResource"), &patch(BUCKET, "logs"), "logs");
        check(BUCKET, ("cloudcontrolapi", "UpdateResource"), &patch("AWS::SNS::Topic", "logs"), "nothing");
        let tagged = |arn: &str| json!({"resourceARNList": [arn]});
        check(BUCKET, ("tagging", "TagResources"), &tagged("arn:aws:s3:::logs"), "logs");
        check(BUCKET, ("tagging", "TagResources"), &tagged("arn:aws:sns:eu-west-1:1:logs"), "nothing");
    }

    #[test]
    fn an_error_is_no_refusal_by_itself() {
        let check = |code: &str, may_have: bool| {
            let record: Record = serde_json::from_value(json!({
                "eventID": "1", "eventTime": "2026-01-01T00:00:00Z", "eventName": "PutBucketPolicy",
                "eventSource": "s3.amazonaws.com", "errorCode": code,
            }))
            .unwrap();
            assert_eq!((record.may_have_written(), record.wrote()), (may_have, false), "{code}");
        };
        check("InternalError", true);
        check("ServiceUnavailable", true);
        check("Client.UnauthorizedOperation", false);
        check("AccessDenied", false);
        check("NoSuchBucket", false);
    }

    #[test]
    fn events_of_every_service_that_we_call_are_known_by_what_it_is_signed_as() {
        for direct in DIRECT {
            assert!(is_service(direct.service.signed_as, &direct.kind.into()), "{}", direct.kind);
        }
    }
}
