//! A world whose log is late, looked at by what the log says: nothing is said that is not true, and when the log has told all,
//! all is known.

use std::time::Duration;

use jiff::ToSpan;
use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::collect::aws::tests::{KIND, aws_within, limits};
use crate::collect::http::Limits;
use crate::collect::wire::{self, Reply, Request, say};

const WORLDS: u64 = 12;
const CYCLES: u64 = 60;
/// Minutes from look to look.
const EVERY: i64 = 5;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// The other is unmanaged where it is.
const DECLARED: [&str; 4] = ["a", "b", "c", "d"];

/// What is really there, and what was written when, and is in the log from which minute on.
#[derive(Default)]
struct World {
    truth: BTreeMap<String, &'static str>,
    log: Vec<Event>,
    reads: usize,
}

struct Event {
    at: i64,
    seen: i64,
    record: Value,
}

fn minute() -> i64 {
    NOW.get().as_second() / 60
}

fn chance(of: impl std::hash::Hash) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl World {
    /// Makes, removes or changes one thing, and has the log tell of it some minutes later.
    fn change(&mut self, chance: u64) {
        let name = NAMES[usize::try_from(chance % 5).unwrap()].to_owned();
        let event = match chance / 5 % 4 {
            0 if self.truth.remove(&name).is_some() => "DeleteQueue",
            1 if self.truth.insert(name.clone(), "off").is_none() => "CreateQueue",
            2 if self.truth.insert(name.clone(), "on").is_none() => "CreateQueue",
            1 | 2 => "SetQueueAttributes",
            _ => return,
        };
        let late = i64::try_from(chance / 20 % 15).unwrap();
        let record = json!({
            "eventID": self.log.len().to_string(), "eventTime": NOW.get().to_string(), "eventName": event,
            "eventSource": "sqs.amazonaws.com", "requestParameters": {"queueName": name}, "readOnly": false,
        });
        self.log.push(Event { at: minute(), seen: minute() + late, record });
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match request.header("x-amz-target").rsplit('.').next().unwrap_or_default() {
            "ListResources" => {
                let listed =
                    |name: &String| json!({"Identifier": name, "Properties": json!({"QueueName": name}).to_string()});
                let listed: Vec<_> = self.truth.keys().map(listed).collect();
                say(200, json!({"TypeName": KIND, "ResourceDescriptions": listed}).to_string())
            }
            "GetResource" => {
                self.reads += 1;
                let name = input["Identifier"].as_str().unwrap();
                let Some(mode) = self.truth.get(name) else {
                    return say(400, json!({"__type": "ResourceNotFoundException"}).to_string());
                };
                let properties = json!({"QueueName": name, "Mode": mode}).to_string();
                let description = json!({"Identifier": name, "Properties": properties});
                say(200, json!({"TypeName": KIND, "ResourceDescription": description}).to_string())
            }
            "LookupEvents" => say(200, self.events(&input).to_string()),
            other => say(400, json!({"__type": other}).to_string()),
        }
    }

    /// Returns the events of the time that is asked for, as far as the log tells of them yet; of our own readings, always one.
    fn events(&self, input: &Value) -> Value {
        let since = input["StartTime"].as_i64().unwrap_or(0) / 60;
        if input.get("LookupAttributes").is_none() {
            return json!({"Events": [{"CloudTrailEvent": json!({"eventID": "x", "eventTime": NOW.get().to_string(),
                "eventName": "ListResources", "eventSource": "cloudcontrolapi.amazonaws.com"}).to_string()}]});
        }
        let told = self.log.iter().filter(|event| event.at >= since && event.seen <= minute());
        let told: Vec<_> = told.map(|event| json!({"CloudTrailEvent": event.record.to_string()})).collect();
        json!({"Events": told})
    }

    fn drift(&self) -> BTreeSet<String> {
        let drift = NAMES.iter().filter_map(|name| match (self.truth.get(*name), DECLARED.contains(name)) {
            (None, true) => Some(format!("{name} missing")),
            (Some(_), false) => Some(format!("{name} unmanaged")),
            (Some(&"off"), true) => Some(format!("{name} changed")),
            _ => None,
        });
        drift.collect()
    }
}

/// A world in which all is as it should be, and who watches it.
async fn watched(rescan: &str) -> (Arc<Mutex<World>>, Watcher) {
    let world = Arc::new(Mutex::new(World::default()));
    world.lock().truth.extend(NAMES.map(|name| (name.to_owned(), "on")));
    let answering = Arc::clone(&world);
    let address = wire::serve(move |request| answering.lock().answer(request)).await;
    let settings = json!({"accounts": [{"id": "111111111111"}], "rescan": rescan, "rescan_all_every": "24h"});
    let limits = Limits { headers: Duration::from_secs(10), ..limits() };
    let declare = |name: &str| (KIND.into(), name.to_owned(), json!({"QueueName": name, "Mode": "on"}));
    let watcher = Watcher::new(Box::new(aws_within(limits, address, &settings)), DECLARED.map(declare).to_vec()).await;
    (world, watcher)
}

/// Lives through a world; returns how much was read, and what everything would have been.
async fn live(seed: u64, rescan: &str) -> (usize, usize) {
    let (world, mut watcher) = watched(rescan).await;
    let mut all = 0;
    for cycle in 0..CYCLES {
        NOW.set(NOW.get() + EVERY.minutes());
        // Now and then nobody does anything for longer than the log is late.
        let is_quiet = cycle % 15 >= 10;
        if !is_quiet {
            world.lock().change(chance((seed, cycle)));
        }
        let report = watcher.scan().await;
        let world = world.lock();
        let drift = world.drift();
        let at = format!("{rescan}, world {seed}, cycle {cycle}: {:?} of {drift:?}", moved(&report));
        assert!(report.sights.is_complete(), "{at}: {:?}", report.sights.gaps);
        for step in &report.steps {
            match step.transition {
                Some(Transition::Opened) => assert!(drift.contains(&word(&step.finding)), "{at}"),
                Some(Transition::Resolved) => assert!(!drift.contains(&word(&step.finding)), "{at}"),
                _ => {}
            }
        }
        if cycle % 15 == 14 {
            assert_eq!(watcher.open(), drift, "{at}");
        }
        all += world.truth.len();
    }
    let reads = world.lock().reads;
    (reads, all)
}

#[tokio::test]
async fn what_is_kept_by_a_late_log_is_true_and_what_it_tells_late_is_found() {
    let (mut reads, mut all) = (0, 0);
    for seed in 0..WORLDS {
        let (read, of) = live(seed, if seed % 2 == 0 { "lists" } else { "events" }).await;
        reads += read;
        all += of;
    }
    assert!(reads * 4 < all * 3, "{reads} of {all} readings were made");
}

/// Looks at `a` in each of these modes, of which the log tells nothing; returns after each look its phase and what is observed.
async fn look_at_a(rescan: &str, modes: [&'static str; 3]) -> Vec<String> {
    let (world, mut watcher) = watched(rescan).await;
    watcher.policy.hold.scans = 2;
    let mut seen = Vec::new();
    for mode in modes {
        NOW.set(NOW.get() + EVERY.minutes());
        world.lock().truth.insert("a".to_owned(), mode);
        watcher.scan().await;
        let of_a = watcher.findings.values().find(|finding| word(finding) == "a changed").unwrap();
        let observed = format!("{:?}", of_a.evidence.changes.first().map(|change| &change.observed));
        let observed = ["off", "odd"].into_iter().find(|mode| observed.contains(mode)).unwrap_or_default();
        seen.push(format!("{} {observed}", of_a.phase.as_str()));
    }
    seen
}

#[tokio::test]
async fn what_an_exact_look_contradicts_is_kept_no_longer() {
    for rescan in ["lists", "events"] {
        let mended = look_at_a(rescan, ["off", "on", "on"]).await;
        assert_eq!(mended, ["pending off", "pending off", "resolved off"], "{rescan}");
        let changed = look_at_a(rescan, ["off", "odd", "odd"]).await;
        assert_eq!(changed, ["pending off", "open odd", "open odd"], "{rescan}");
    }
}
