//! Somebody who changes something every few seconds, and colleagues who put it back when it gets too much.

use serde_json::{Value, json};

use super::estate::{Asset, Cloud, Key, stranger};
use super::world::World;

/// Confirmed changes that may pile up before a colleague puts the oldest back.
const PILE: usize = 8;

/// One sort of mischief.
struct Move {
    cloud: Cloud,
    kind: &'static str,
    what: &'static str,
    act: Act,
}

enum Act {
    Set(&'static str, fn() -> Value),
    Delete,
    Add,
}

const fn aws(kind: &'static str, what: &'static str, act: Act) -> Move {
    Move { cloud: Cloud::Aws, kind, what, act }
}

const fn kubernetes(kind: &'static str, what: &'static str, act: Act) -> Move {
    Move { cloud: Cloud::Kubernetes, kind, what, act }
}

/// In the order in which they are made; then again with other resources.
const MOVES: &[Move] = &[
    kubernetes("apps/Deployment", "scales to zero", Act::Set("/spec/replicas", || json!(0))),
    aws(
        "AWS::S3::Bucket",
        "opens to the public",
        Act::Set("/PublicAccessBlockConfiguration", || {
            json!({"BlockPublicAcls": false, "BlockPublicPolicy": false, "IgnorePublicAcls": false,
                "RestrictPublicBuckets": false})
        }),
    ),
    aws("AWS::SQS::Queue", "deletes", Act::Delete),
    aws(
        "AWS::EC2::SecurityGroup",
        "opens to the internet",
        Act::Set("/SecurityGroupIngress/0/CidrIp", || json!("0.0.0.0/0")),
    ),
    kubernetes("apps/Deployment", "starts, undeclared,", Act::Add),
    kubernetes("ConfigMap", "turns on debug logs in", Act::Set("/data/LOG_LEVEL", || json!("debug"))),
    aws(
        "AWS::IAM::Role",
        "lets everybody assume",
        Act::Set("/AssumeRolePolicyDocument/Statement/0/Principal", || json!({"AWS": "*"})),
    ),
    kubernetes(
        "apps/Deployment",
        "swaps the image of",
        Act::Set("/spec/template/spec/containers/0/image", || json!("docker.io/evil/shop:latest")),
    ),
    aws("AWS::KMS::Key", "stops the rotation of", Act::Set("/EnableKeyRotation", || json!(false))),
    kubernetes("networking.k8s.io/NetworkPolicy", "deletes", Act::Delete),
    aws(
        "AWS::Lambda::Function",
        "redirects",
        Act::Set("/Environment/Variables/API_URL", || json!("https://evil.example")),
    ),
    kubernetes("rbac.authorization.k8s.io/Role", "widens", Act::Set("/rules/0/resources", || json!(["*"]))),
    aws("AWS::DynamoDB::Table", "unprotects", Act::Set("/DeletionProtectionEnabled", || json!(false))),
    kubernetes("Service", "deletes", Act::Delete),
];

/// The intruder, with a memory of what came next.
pub(super) struct Intruder {
    assets: Vec<Asset>,
    made: usize,
}

impl Intruder {
    pub(super) fn new(assets: Vec<Asset>) -> Self {
        Self { assets, made: 0 }
    }

    /// Changes one more thing, if anything is left that was not touched.
    pub(super) fn act(&mut self, world: &World) {
        if let Some(key) = world.ledger(|ledger| ledger.overdue(PILE)) {
            world.restore(&key);
        }
        let Some(next) = MOVES.get(self.made % MOVES.len()) else { return };
        let round = self.made / MOVES.len();
        self.made += 1;
        if matches!(next.act, Act::Add) {
            self.add(world, next, round);
        } else if let Some(asset) = self.victim(world, next, round) {
            let what = format!("{} {} {}", next.what, short(next.kind), asset.human);
            world.plant(&asset.key, vec![asset.human.clone()], &what, |before| changed(before, &next.act));
        }
    }

    fn add(&self, world: &World, next: &Move, round: usize) {
        let spaces: Vec<_> = self.assets.iter().filter(|asset| asset.key.kind == "Namespace").collect();
        let Some(space) = spaces.get(round % spaces.len().max(1)) else { return };
        let (key, value) = stranger(&space.human, &format!("miner-{}", self.made));
        let what = format!("{} {} {}", next.what, short(next.kind), key.name);
        world.plant(&key, Vec::new(), &what, |_| Some(value));
    }

    /// Returns a resource of the kind that nobody has touched; a different one each time.
    fn victim(&self, world: &World, next: &Move, round: usize) -> Option<&Asset> {
        let own: Vec<&Asset> =
            self.assets.iter().filter(|asset| asset.key.cloud == next.cloud && asset.key.kind == next.kind).collect();
        let start = self.made * 5 + round;
        let order = (0..own.len()).filter_map(|step| own.get((start + step) % own.len()).copied());
        order.into_iter().find(|asset| is_untouched(world, &asset.key))
    }
}

fn is_untouched(world: &World, key: &Key) -> bool {
    world.get(key).is_some() && !world.ledger(|ledger| ledger.is_touched(key))
}

fn changed(before: Option<Value>, act: &Act) -> Option<Value> {
    let mut value = before?;
    match act {
        Act::Set(pointer, new) => {
            if let Some(place) = value.pointer_mut(pointer) {
                *place = new();
            }
            Some(value)
        }
        Act::Delete => None,
        Act::Add => Some(value),
    }
}

fn short(kind: &str) -> &str {
    kind.rsplit(['/', ':']).next().unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::demo::estate::estate;
    use crate::demo::ledger::Story;

    fn world() -> (World, Intruder) {
        let assets = estate();
        (World::new(&assets, || jiff::Timestamp::UNIX_EPOCH), Intruder::new(assets))
    }

    #[test]
    fn every_move_changes_something_and_no_two_the_same() {
        let (world, mut intruder) = world();
        let mut told = BTreeSet::new();
        let assets = estate();
        for number in 0..MOVES.len() * 3 {
            let before: Vec<_> = assets.iter().map(|asset| world.get(&asset.key)).collect();
            intruder.act(&world);
            let stories = world.ledger(|ledger| ledger.observe(&[]));
            let [Story::Planted(what)] = stories.as_slice() else { panic!("move {number}: {stories:?}") };
            assert!(told.insert(what.clone()), "{what}");
            let after: Vec<_> = assets.iter().map(|asset| world.get(&asset.key)).collect();
            assert!(before != after || what.contains("miner"), "{what}");
        }
    }

    #[test]
    fn what_a_colleague_puts_back_is_as_it_was() {
        let (world, mut intruder) = world();
        intruder.act(&world);
        let asset = estate().into_iter().find(|asset| world.ledger(|ledger| ledger.is_touched(&asset.key))).unwrap();
        assert_ne!(world.get(&asset.key), Some(asset.observed()));
        world.restore(&asset.key);
        assert_eq!(world.get(&asset.key), Some(asset.observed()));
        assert!(!world.ledger(|ledger| ledger.is_touched(&asset.key)));
    }
}
