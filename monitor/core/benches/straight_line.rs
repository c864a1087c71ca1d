//! The pure part of the straight line over 100,000 resources of 1.5 KB: pages are split, hashed, compared and judged.
//!
//! Prints resources per second of one core, what splitting the pages alone costs (nothing can be faster than that), and
//! the resident memory that each remembered resource takes: measured first, page by page, while the heap holds nothing
//! that was freed and could be used again. Compare figures of one run with each other, not with those of another machine.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops where it stands")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use driftwarden_core::compare::MaskKey;
use driftwarden_core::expected::{Expected, Unmanaged};
use driftwarden_core::related::Related;
use driftwarden_core::resource::{Depth, Desired, Kind, Labels, Origin, Provider, Scope};
use driftwarden_core::rule::RuleSet;
use driftwarden_core::schema::Schemas;
use driftwarden_core::snapshot::{ItemText, Lens, Look, Sights, Snapshot};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const RESOURCES: usize = 100_000;
const PAGE: usize = 1_000;
const KIND: &str = "AWS::EC2::SecurityGroup";

/// Returns a resource of about 1.5 KB; `version` is what may change.
fn resource(number: usize, version: usize) -> Value {
    let rules: Vec<Value> = (0..6)
        .map(|rule| {
            json!({
                "CidrIp": format!("10.{}.{rule}.0/24", number % 250), "Description": format!("rule {rule} of {number}"),
                "FromPort": 8000 + rule, "ToPort": 8000 + rule, "IpProtocol": "tcp",
                "SourceSecurityGroupId": format!("sg-{number:012x}")
            })
        })
        .collect();
    let tags: Vec<Value> = ["team", "env", "service", "cost-center"]
        .map(|key| json!({"Key": key, "Value": format!("{key}-{}", number % 17)}))
        .into();
    json!({
        "GroupId": format!("sg-{number:017x}"), "GroupName": format!("service-{number}"),
        "GroupDescription": format!("traffic of service {number}, version {version}"), "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SecurityGroupIngress": rules, "SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}], "Tags": tags
    })
}

fn name(number: usize) -> String {
    format!("sg-{number:017x}")
}

/// Returns the estate as the pages of a listing; every `changed_every`-th resource has another version.
fn pages(changed_every: Option<usize>) -> Vec<String> {
    (0..RESOURCES / PAGE).map(|number| page(number, changed_every)).collect()
}

fn page(number: usize, changed_every: Option<usize>) -> String {
    let version = |number: usize| usize::from(changed_every.is_some_and(|every| number.is_multiple_of(every)));
    let item = |number| json!({"name": name(number), "attributes": resource(number, version(number))});
    Value::Array((number * PAGE..(number + 1) * PAGE).map(item).collect()).to_string()
}

/// Half of the estate is declared, and is as declared.
fn expected() -> Expected {
    let desired = |number| Desired {
        provider: Provider::Aws,
        account: None,
        region: None,
        kind: KIND.into(),
        name: Some(name(number).into()),
        labels: Labels::new(),
        attributes: resource(number, 0),
        origin: Origin::default(),
    };
    Expected::new((0..RESOURCES).step_by(2).map(desired).collect(), Some(Unmanaged::Ignore))
}

#[derive(serde::Deserialize)]
struct Item<'a> {
    name: &'a str,
    #[serde(borrow)]
    attributes: &'a RawValue,
}

fn look<P: AsRef<str>>(pages: impl IntoIterator<Item = P>, lens: Lens<'_>, snapshot: &mut Snapshot) -> Sights {
    let kind = Kind::from(KIND);
    let mut look = Look::begin(lens, snapshot, jiff::Timestamp::UNIX_EPOCH);
    for page in pages {
        let items: Vec<Item<'_>> = serde_json::from_str(page.as_ref()).unwrap();
        let texts = items.iter().map(|i| ItemText { name: i.name, text: i.attributes.get(), depth: Depth::Full });
        look.take(&kind, texts);
    }
    look.complete(&kind);
    look.finish()
}

/// Returns how many bytes stay resident for each resource after a look at the whole estate.
fn held(lens: Lens<'_>) -> usize {
    let mut snapshot = Snapshot::default();
    // The first page makes the heap as large as one page needs.
    drop(black_box(page(0, None)));
    let before = resident();
    drop(black_box(look((0..RESOURCES / PAGE).map(|number| page(number, None)), lens, &mut snapshot)));
    let held = resident().saturating_sub(before) / RESOURCES;
    assert_eq!(snapshot.len(), RESOURCES);
    held
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn print(what: &str, took: Duration) -> f64 {
    let rate = RESOURCES as f64 / took.as_secs_f64();
    println!("{what:42} {rate:>12.0} resources/s {:>8.2} us each", took.as_secs_f64() * 1e6 / RESOURCES as f64);
    rate
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed(), result)
}

/// Returns the shortest of five: what the work costs when nothing else is going on.
fn best(mut work: impl FnMut()) -> Duration {
    (0..5).map(|_| timed(&mut work).0).min().unwrap_or_default()
}

fn main() {
    let expected = expected();
    let scope = Scope { cloud: "bench".into(), provider: Provider::Aws, account: "1".into(), region: "r".into() };
    let (rules, mask) = (RuleSet::default(), MaskKey::new([7; 32]));
    let schemas = Schemas::default();
    let lens = Lens {
        scope: &scope,
        expected: &expected,
        rules: &rules,
        schemas: &schemas,
        related: &Related::default(),
        mask: &mask,
    };

    let held = held(lens);
    let same = pages(None);
    let size = same.iter().map(String::len).sum::<usize>() / RESOURCES;
    println!("{RESOURCES} resources of {size} bytes, half of them declared, one core");
    let split = best(|| {
        for page in &same {
            black_box(serde_json::from_str::<Vec<Item<'_>>>(page).unwrap());
        }
    });
    let limit = print("split the pages and nothing else", split);
    let tree = best(|| {
        for page in &same {
            black_box(serde_json::from_str::<Value>(page).unwrap());
        }
    });
    print("parse the pages into trees of values", tree);

    let mut snapshot = Snapshot::default();
    let (first, sights) = timed(|| look(&same, lens, &mut snapshot));
    assert!(sights.evidence.is_empty(), "a clean estate shows no drift: {:?}", sights.evidence.first());
    print("first scan", first);
    let again = best(|| drop(black_box(look(&same, lens, &mut snapshot))));
    let rate = print("rescan, nothing changed", again);
    let (changed, unchanged) = (pages(Some(1_000)), pages(None));
    let mut turn = false;
    let some = best(|| {
        turn = !turn;
        drop(black_box(look(if turn { &unchanged } else { &changed }, lens, &mut snapshot)));
    });
    print("rescan, 0.1 % changed", some);
    println!(
        "{held} bytes resident for each resource held; a rescan runs at {:.0} % of the limit",
        100.0 * rate / limit
    );
}
