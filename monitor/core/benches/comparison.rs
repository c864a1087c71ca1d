//! One full comparison of a resource of 1.5 KB with its provider's schema, over and over.
//!
//! Prints comparisons per second of one core, and beside it what parsing the same two texts costs: a resource must be
//! parsed before it can be compared, so nothing is gained once a comparison costs far less than that. Compare figures of
//! one run with each other, not with those of another machine.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops where it stands")]
#![expect(clippy::indexing_slicing, reason = "what is made here has what is looked for")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::time::Instant;

use driftwarden_core::compare::{Context, Facts, MaskKey, Strictly, compare};
use driftwarden_core::resource::{Depth, Kind};
use driftwarden_core::schema::Schema;
use serde_json::{Value, json};

const ROUNDS: usize = 20_000;

fn declared() -> Value {
    json!({
        "FunctionName": "checkout-settlement-worker", "Handler": "settlement.handler", "Runtime": "python3.13",
        "Description": "settles what was paid and tells the ledger", "MemorySize": 512, "Timeout": 30, "PackageType": "Zip",
        "Role": "arn:aws:iam::123456789012:role/checkout-settlement-worker",
        "Layers": ["arn:aws:lambda:eu-west-1:123456789012:layer:telemetry:17"],
        "Architectures": ["arm64"], "TracingConfig": {"Mode": "Active"}, "EphemeralStorage": {"Size": 512},
        "Environment": {"Variables": {"LEDGER_URL": "https://ledger.internal.example/v2", "REGION": "eu-west-1",
            "QUEUE": "https://sqs.eu-west-1.amazonaws.com/123456789012/settlements", "BATCH": "25"}},
        "VpcConfig": {"SecurityGroupIds": ["sg-0a1b2c3d4e5f60718", "sg-1b2c3d4e5f6071829"],
            "SubnetIds": ["subnet-0a1b2c3d4e5f60718", "subnet-1b2c3d4e5f6071829", "subnet-2c3d4e5f607182930"]},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/aws/lambda/checkout-settlement-worker"},
        "Tags": [{"Key": "team", "Value": "payments"}, {"Key": "env", "Value": "prod"}, {"Key": "cost-center", "Value": "4711"}]
    })
}

/// Returns what is read: the same in another order, with what the service adds.
fn observed() -> Value {
    let mut value = declared();
    let added = json!({
        "Arn": "arn:aws:lambda:eu-west-1:123456789012:function:checkout-settlement-worker", "RecursiveLoop": "Terminate",
        "RuntimeManagementConfig": {"UpdateRuntimeOn": "Auto"}, "SnapStartResponse": {"ApplyOn": "None"}
    });
    value.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
    for list in ["/VpcConfig/SubnetIds", "/VpcConfig/SecurityGroupIds", "/Tags"] {
        value.pointer_mut(list).unwrap().as_array_mut().unwrap().reverse();
    }
    value["Tags"].as_array_mut().unwrap().push(json!({"Key": "aws:cloudformation:stack-name", "Value": "checkout"}));
    value
}

fn schema() -> Schema {
    let all = |pointers: &[&str]| pointers.iter().map(ToString::to_string).collect();
    Schema {
        read_only: all(&["/Arn", "/SnapStartResponse", "/SnapStartResponse/ApplyOn"]),
        write_only: all(&["/Code/ZipFile", "/Code/S3Bucket", "/Code/S3Key", "/SnapStart"]),
        create_only: all(&["/FunctionName", "/PackageType"]),
        unordered: all(&["/Tags", "/VpcConfig/SubnetIds", "/VpcConfig/SecurityGroupIds"]),
        free_form: all(&["/Environment/Variables"]),
        ..Schema::default()
    }
}

/// Returns how often a second the work can be done: the best of five.
fn rate(mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let begun = Instant::now();
        (0..ROUNDS).for_each(|_| work());
        ROUNDS as f64 / begun.elapsed().as_secs_f64()
    };
    (0..5).map(round).fold(0.0, f64::max)
}

fn print(what: &str, rate: f64, parsing: f64) {
    println!(
        "{what:44} {rate:>12.0} a second {:>8.2} us each {:>6.1} times as fast as parsing",
        1e6 / rate,
        rate / parsing
    );
}

fn main() {
    let (declared, observed, schema) = (declared(), observed(), schema());
    let mut drifted = observed.clone();
    drifted["MemorySize"] = json!(1024);
    let (kind, context, mask) = (Kind::from("AWS::Lambda::Function"), Context::default(), MaskKey::new([7; 32]));
    let facts = Facts {
        kind: &kind,
        schema: &schema,
        context: &context,
        depth: Depth::Full,
        mask: &mask,
        strictly: Strictly::default(),
    };
    assert!(
        compare(&declared, &observed, facts).changes.is_empty()
            && compare(&declared, &drifted, facts).changes.len() == 1
    );

    let text = observed.to_string();
    println!("a resource of {} bytes against {} declared, one core", text.len(), declared.to_string().len());
    let parsing = rate(|| drop(black_box(serde_json::from_str::<Value>(black_box(&text)).unwrap())));
    print("parse what was read, and nothing else", parsing, parsing);
    let same = rate(|| drop(black_box(compare(black_box(&declared), black_box(&observed), facts))));
    print("compare, in sync", same, parsing);
    let changed = rate(|| drop(black_box(compare(black_box(&declared), black_box(&drifted), facts))));
    print("compare, one value drifted", changed, parsing);
}
