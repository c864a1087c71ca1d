//! Looking again: what nobody wrote is not read again, what somebody wrote is, and what is said tells as of when.

use std::thread::sleep;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::aws::{ACCOUNT, Checks, Key, Ministack, REGION};
use crate::harness::daemon::Daemon;
use crate::harness::process::eventually;
use crate::harness::recorder::Recorder;

const KIND: &str = "AWS::S3::Bucket";
const BUCKETS: usize = 20;

/// An account with buckets, all versioned but the last, with something in front of it that counts, and a daemon that looks at
/// it every two seconds.
struct World {
    aws: Ministack,
    recorder: Recorder,
    daemon: Daemon,
}

impl World {
    /// Starts it all; the log is as that leaves it.
    fn start(rescan: &str, log: impl FnOnce(&Ministack)) -> Option<Self> {
        let aws = Ministack::start(Checks::Nothing)?;
        // What was made long ago is in no log.
        aws.record_calls(false);
        let made = (0..BUCKETS).map(|at| {
            let place = json!({"LocationConstraint": REGION});
            ("s3", "create_bucket", json!({"Bucket": name(at), "CreateBucketConfiguration": place}))
        });
        aws.calls(&made.collect::<Vec<_>>()).into_iter().for_each(|made| drop(made.unwrap()));
        for at in 0..BUCKETS {
            version(&aws, at, if at + 1 == BUCKETS { "Suspended" } else { "Enabled" });
        }
        log(&aws);
        let recorder = Recorder::in_front_of(&aws.url());
        let mut cloud = json!({
            "name": "c", "type": "aws", "endpoint": recorder.url(), "accounts": [{"id": ACCOUNT}], "regions": [REGION],
            "kinds": {"include": [KIND]}, "requests_per_second": 1000, "every": "2s",
        });
        // Of whoever orders nothing, the lists are read.
        if rescan != "lists" {
            cloud["rescan"] = rescan.into();
        }
        let config = format!("clouds: [{cloud:#}]\nrules: [{{path: rules}}]\nhold: {{scans: 1, for: 0s}}\n");
        let key = Key::of_the_account();
        let environment = [("AWS_ACCESS_KEY_ID", &*key.id), ("AWS_SECRET_ACCESS_KEY", &*key.secret)];
        let mut daemon = Daemon::prepare(&config, &environment);
        let rules = daemon.dir().join("rules");
        std::fs::create_dir(&rules).unwrap();
        let rule = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/aws/s3_bucket_versioning.yaml");
        std::fs::copy(rule, rules.join("versioning.yaml")).unwrap();
        daemon.restart();
        Some(Self { aws, recorder, daemon })
    }

    /// Waits until exactly these buckets have an open finding.
    fn await_open(&self, buckets: &[usize]) {
        let expected: Vec<String> = buckets.iter().map(|at| name(*at)).collect();
        eventually(&format!("{expected:?} are open"), 60, || (self.open() == expected).then_some(()));
    }

    fn open(&self) -> Vec<String> {
        let answer = self.daemon.api("/api/v1/findings?phase=open&limit=100").json();
        let names = answer["findings"].as_array().unwrap().iter().map(|it| it["resource"]["name"].as_str().unwrap());
        let mut names: Vec<_> = names.map(ToOwned::to_owned).collect();
        names.sort();
        names
    }

    /// Returns how many calls there are to S3 in so many seconds, in which there are some looks.
    fn calls(&self, seconds: u64) -> usize {
        self.recorder.take();
        sleep(Duration::from_secs(seconds));
        self.recorder.take().iter().filter(|call| call.service == "s3").count()
    }

    /// Returns by how much what is said of the region is older than the scan that says it.
    fn age(&self) -> SignedDuration {
        let scan = self.last_scan();
        assert_eq!(scan["complete"], true, "{scan:#}");
        time(&scan, "started_at").duration_since(time(&scan, "as_of"))
    }

    fn last(&self, key: &str) -> Timestamp {
        time(&self.last_scan(), key)
    }

    fn last_scan(&self) -> Value {
        let scopes = self.daemon.api("/api/v1/scopes").json();
        let scans = scopes["scopes"].as_array().unwrap().iter().map(|scope| &scope["last_scan"]);
        scans.into_iter().find(|scan| scan["scope"].as_str().unwrap().ends_with(REGION)).unwrap().clone()
    }

    /// Returns as of which second the metric says that it is so.
    fn metric(&self) -> i64 {
        let series =
            format!("driftwarden_scope_as_of_timestamp_seconds{{cloud=\"c\",scope=\"aws://{ACCOUNT}/{REGION}\"}} ");
        let metrics = self.daemon.metrics();
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
        value.split('.').next().unwrap().parse().unwrap()
    }
}

fn time(scan: &Value, key: &str) -> Timestamp {
    scan[key].as_str().unwrap().parse().unwrap()
}

fn name(at: usize) -> String {
    format!("bucket-{at:02}")
}

fn version(aws: &Ministack, at: usize, status: &str) {
    let arguments = json!({"Bucket": name(at), "VersioningConfiguration": {"Status": status}});
    aws.call("s3", "put_bucket_versioning", arguments);
}

#[test]
fn a_look_again_reads_what_was_written_and_says_as_of_when() {
    for (rescan, most_calls) in [("lists", 4), ("events", 0)] {
        let Some(world) = World::start(rescan, |aws| aws.record_calls(true)) else { return };
        world.await_open(&[19]);
        eventually("a second look", 30, || (world.age() == SignedDuration::from_mins(15)).then_some(()));
        assert!(
            (world.last("as_of").as_second() - world.metric()).abs() < 30,
            "{rescan}: the metric says another time"
        );
        let calls = world.calls(5);
        assert!(calls <= most_calls, "{rescan}: {calls} calls to read {BUCKETS} buckets several times");
        assert_eq!(world.open(), [name(19)], "nothing opens, nothing is resolved");
        version(&world.aws, 3, "Suspended");
        world.await_open(&[3, 19]);
        version(&world.aws, 19, "Enabled");
        world.await_open(&[3]);
        world.aws.call("s3", "delete_bucket", json!({"Bucket": name(3)}));
        world.await_open(&[]);
        assert_eq!(world.age(), SignedDuration::from_mins(15));
    }
}

#[test]
fn without_a_log_everything_is_read_every_time() {
    let Some(world) = World::start("events", |_| ()) else { return };
    world.await_open(&[19]);
    assert!(world.calls(5) >= 2 * BUCKETS);
    version(&world.aws, 3, "Suspended");
    world.await_open(&[3, 19]);
    assert_eq!(world.age(), SignedDuration::ZERO);
}

#[test]
fn a_scan_says_how_much_it_asked() {
    let Some(mut world) = World::start("all", |_| ()) else { return };
    world.await_open(&[19]);
    world.daemon.stop();
    world.recorder.take();
    let (_, document) = world.daemon.scan_json();
    let asked = world.recorder.take().len();
    assert!(asked > 2 * BUCKETS);
    assert_eq!(document["requests"], json!([{"cloud": "c", "made": asked, "throttled": 0}]));
    let config = world.daemon.config();
    let (_, shown, error) = world.daemon.cli(&["scan", "--config", config.to_str().unwrap()]);
    assert!(shown.contains(&format!("c: {} requests\n", world.recorder.take().len())), "{shown}{error}");
}
