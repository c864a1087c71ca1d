//! An estate of AWS that is sown, told and changed by a script that knows nothing of driftwarden (`aws_estate/`): what driftwarden reads is
//! held against what Amazon's own client returns.
//!
//! Not its business: what driftwarden makes of it, and where an emulator is known to be wrong.

use std::process::Command;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::harness::peers;
use crate::harness::process;

/// The accounts: the one that everybody is born into at moto, and another.
pub const ACCOUNTS: [&str; 2] = ["123456789012", "222222222222"];

/// The regions that the estate lies in.
pub const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// The size of the estate in tests: about 300 resources, in seconds. At 1.0 there are about 2,100 and what comes with them.
pub const SMALL: f64 = 0.07;

/// How many the emulator lets write at once.
#[derive(Debug, Clone, Copy)]
pub enum Writers {
    One,
    Four,
}

/// A call that an emulator did not serve, and how often.
#[derive(Debug, Clone, Deserialize)]
pub struct Unserved {
    pub call: String,
    pub why: String,
    pub times: u64,
}

/// What was sown.
#[derive(Debug, Clone, Deserialize)]
pub struct Sown {
    /// How many of each kind.
    pub made: Map<String, Value>,
    pub calls: u64,
    pub seconds: f64,
    pub unserved: Vec<Unserved>,
}

/// A thing that is there, as Amazon's own client tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Told {
    pub account: String,
    /// `-` for what is global.
    pub region: String,
    pub kind: String,
    /// The primary identifier, as CloudFormation names it.
    pub id: String,
    /// The same wherever the estate is sown, unless it was not sown: then it is the identifier.
    pub name: String,
    /// A part of its attributes, in CloudFormation's words; null is not set.
    pub attributes: Map<String, Value>,
}

/// A change behind everybody's back.
#[derive(Debug, Clone, Deserialize)]
pub struct Planted {
    pub name: String,
    pub kind: String,
    pub account: String,
    pub region: String,
    pub id: String,
    /// `changed`, `missing` or `unmanaged`.
    pub drift: String,
    /// The attribute that differs, where one does.
    pub attribute: Option<String>,
}

/// An estate at an endpoint.
pub struct AwsEstate {
    endpoint: String,
    places: Vec<String>,
}

impl AwsEstate {
    /// Speaks of two accounts and two regions behind an endpoint.
    pub fn at(endpoint: &str) -> Self {
        let places = ACCOUNTS.iter().flat_map(|account| REGIONS.map(|region| format!("{account}/{region}")));
        Self { endpoint: endpoint.to_owned(), places: places.collect() }
    }

    /// Speaks of the first account in the first region only.
    pub fn in_one_place(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), places: vec![format!("{}/{}", ACCOUNTS[0], REGIONS[0])] }
    }

    /// Sows it: the same at each call, but for what the cloud numbers itself.
    pub fn sow(&self, scale: f64, writers: Writers) -> Sown {
        let writers = match writers {
            Writers::One => "1",
            Writers::Four => "4",
        };
        let output = self.run(&["seed", "--scale", &scale.to_string(), "--writers", writers]);
        serde_json::from_str(&output).unwrap()
    }

    /// Returns everything that is there of some kinds, and which calls were not served; no kind is every kind.
    pub fn truth(&self, kinds: &[&str]) -> (Vec<Told>, Vec<Unserved>) {
        lines(&self.run(&["truth", "--kinds", &kinds.join(",")]))
    }

    /// Makes the changes of `drift.py` to some kinds; no kind is every kind.
    pub fn drift(&self, kinds: &[&str]) -> (Vec<Planted>, Vec<Unserved>) {
        lines(&self.run(&["drift", "--kinds", &kinds.join(",")]))
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(peers::python().unwrap().join("python"));
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/aws_estate"))
            .args(["--endpoint", &self.endpoint, "--places", &self.places.join(",")])
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        process::run(&mut command, None).unwrap()
    }
}

/// Reads JSON lines, the last of which tells what was not served.
fn lines<T: for<'a> Deserialize<'a>>(output: &str) -> (Vec<T>, Vec<Unserved>) {
    let mut lines: Vec<&str> = output.lines().collect();
    let last: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    let found = lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")));
    (found.collect(), serde_json::from_value(last["unserved"].clone()).unwrap())
}
