//! Worlds that change while their clouds err at random: nothing is said that is not true, what was not read is said to be
//! so in the same cycle, and all is known as soon as the clouds are honest again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::world::{Call, Cloud, FAULTS, Fault, Hits, Truth};
use super::*;

const WORLDS: u64 = 40;
const CYCLES: u64 = 50;
/// So many of a hundred answers are spoilt, in cycles that have faults.
const SPOILT: u64 = 6;
/// What takes longer is lost, as is what a busy machine delays.
const PATIENCE: Duration = Duration::from_millis(400);
const NAMES: [&str; 7] = ["a0", "a1", "b2", "b3", "c4", "c5", "d6"];
/// The others are unmanaged where they are.
const DECLARED: [&str; 5] = ["a0", "a1", "b2", "c4", "d6"];
/// No faults in these.
const HONEST: u64 = u64::MAX;

fn chance(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Spoils answers by what is asked for, when, and for which time: never by the order in which others are asked for.
#[derive(Default)]
struct Spoiler {
    seed: u64,
    cycle: AtomicU64,
    asked: Mutex<HashMap<Call, u64>>,
}

impl Spoiler {
    fn begin(&self, cycle: u64) {
        self.cycle.store(cycle, Ordering::Relaxed);
        self.asked.lock().clear();
    }

    fn fault(&self, call: &Call) -> Option<&'static Fault> {
        let cycle = self.cycle.load(Ordering::Relaxed);
        let nth = *self.asked.lock().entry(call.clone()).and_modify(|nth| *nth += 1).or_default();
        let chance = chance((self.seed, cycle, call, nth));
        let fault = FAULTS.get(usize::try_from(chance >> 32).unwrap() % FAULTS.len())?;
        let is_rare = fault.hits == Hits::AllSlowly && !chance.is_multiple_of(3);
        (cycle != HONEST && chance % 100 < SPOILT && fault.hits(call) && !is_rare).then_some(fault)
    }
}

/// Makes, removes or changes one thing.
fn change(truth: &Truth, chance: u64) {
    let name = NAMES[usize::try_from(chance % 7).unwrap()].to_owned();
    let mut truth = truth.lock();
    match chance / 7 % 4 {
        0 => drop(truth.remove(&name)),
        1 => drop(truth.insert(name, "off")),
        2 => drop(truth.insert(name, "on")),
        _ => {}
    }
}

/// Returns everything that is not as declared, as words.
fn drift(cloud: Cloud, truth: &Truth) -> BTreeSet<String> {
    let truth = truth.lock();
    let drift = NAMES.iter().filter_map(|name| {
        let drift = match (truth.get(*name), DECLARED.contains(name)) {
            (None, true) => "missing",
            (Some(_), false) => "unmanaged",
            (Some(&"off"), true) => "changed",
            _ => return None,
        };
        Some(format!("{} {drift}", cloud.name(name)))
    });
    drift.collect()
}

/// What happened in a world, so that it is seen to be no quiet one.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    gaps: usize,
    opened: usize,
    resolved: usize,
}

/// Says of what one cycle found what is not true.
fn contradictions(cloud: Cloud, truth: &Truth, report: &Report) -> Vec<String> {
    let drift = drift(cloud, truth);
    let is_wrong = |step: &&Step| match step.transition {
        Some(Transition::Opened) => !drift.contains(&word(&step.finding)),
        Some(Transition::Resolved) => drift.contains(&word(&step.finding)),
        _ => false,
    };
    report.steps.iter().filter(is_wrong).map(|step| format!("{} {:?}", word(&step.finding), step.transition)).collect()
}

async fn live(seed: u64, cloud: Cloud) -> Tally {
    let truth = Truth::default();
    truth.lock().extend(NAMES.map(|name| (name.to_owned(), "on")));
    let spoiler = Arc::new(Spoiler { seed, ..Spoiler::default() });
    let spoils = Arc::clone(&spoiler);
    let address = cloud.start(Arc::clone(&truth), move |call, answer| match spoils.fault(call) {
        Some(fault) => (fault.reply)(answer),
        None => answer.honest(),
    });
    let mut watcher = Watcher::new(cloud.collector(address.await, PATIENCE), cloud.declared(&DECLARED)).await;
    let (mut tally, mut known) = (Tally::default(), BTreeSet::<String>::new());
    for cycle in 0..CYCLES {
        change(&truth, chance((seed, cycle)));
        spoiler.begin(cycle);
        let report = watcher.scan().await;
        let at = format!("{cloud:?}, world {seed}, cycle {cycle}: {:?}", report.sights.gaps);
        assert_eq!(contradictions(cloud, &truth, &report), [] as [String; 0], "{at}");
        let count = |wanted| report.steps.iter().filter(|step| step.transition == Some(wanted)).count();
        tally.opened += count(Transition::Opened);
        tally.resolved += count(Transition::Resolved);
        if report.sights.is_complete() {
            // What was known before and is there still has been seen again.
            let there: BTreeSet<String> = truth.lock().keys().cloned().collect();
            let seen = report.sights.kinds.get(&cloud.kind()).copied().unwrap_or(0);
            assert!(seen >= there.intersection(&known).count(), "{at}: saw {seen} of {there:?}");
            known = there;
        } else {
            tally.gaps += 1;
        }
    }
    spoiler.begin(HONEST);
    for _ in 0..3 {
        watcher.scan().await;
    }
    assert_eq!(watcher.open(), drift(cloud, &truth), "{cloud:?}, world {seed}: honest again");
    tally
}

#[tokio::test]
async fn two_thousand_cycles_say_nothing_that_is_not_true() {
    // An account costs twice what a cluster costs.
    let cloud = |seed| if seed % 3 == 0 { Cloud::Aws } else { Cloud::Kubernetes };
    let worlds = (0..WORLDS).map(|seed| live(seed, cloud(seed)));
    let tallies = stream::iter(worlds).buffer_unordered(20).collect::<Vec<_>>().await;
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (gaps, opened, resolved) = (sum(|tally| tally.gaps), sum(|tally| tally.opened), sum(|tally| tally.resolved));
    assert!(gaps > 300 && opened > 200 && resolved > 200, "{gaps} cycles with gaps, {opened} opened, {resolved} over");
}
