//! Each fault at each place of each reading, between two honest looks: nothing begins, nothing ends, no hook is asked, and
//! the gap says why.

use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::services::Service;
use super::world::{Answer, Call, Cloud, FAULTS, Fault, Leaves, Truth};
use super::*;
use crate::collect::wire::Reply;

/// What is really there: three pages. `a0`, `b2` and `c5` are as declared; `a1` and `c4` are not, and `b3` is not declared.
const ITEMS: [(&str, &str); 6] = [("a0", "on"), ("a1", "off"), ("b2", "on"), ("b3", "on"), ("c4", "off"), ("c5", "on")];
/// What is declared; there is no `z6`.
const DECLARED: [&str; 6] = ["a0", "a1", "b2", "c4", "c5", "z6"];
const OPEN: [(&str, &str); 4] = [("a1", "changed"), ("b3", "unmanaged"), ("c4", "changed"), ("z6", "missing")];
/// Much longer than any answer takes that is not meant to be late.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which answers a cell spoils.
#[derive(Debug, Clone)]
enum Place {
    /// A page of the list.
    Page(usize),
    /// An item that the list lacks.
    Unlisted(&'static str),
    /// What is asked below an item that the list lacks, when that is read by name.
    Below(&'static str, &'static str),
    /// What is asked before anything is listed, or of what was.
    Besides(&'static str),
}

impl Place {
    fn spoil(&self, fault: &Fault, call: &Call, answer: Answer) -> Reply {
        match (self, call) {
            (Self::Page(at), Call::Page(page)) if at == page => (fault.reply)(answer),
            (Self::Unlisted(name), Call::Get(asked)) if name == asked => (fault.reply)(answer),
            (Self::Unlisted(name) | Self::Below(name, _), Call::Page(_)) => answer.without(name),
            (Self::Besides(what) | Self::Below(_, what), Call::Other(asked) | Call::Get(asked)) if what == asked => {
                (fault.reply)(answer)
            }
            _ => answer.honest(),
        }
    }

    fn is_hit_by(&self, fault: &Fault) -> bool {
        match self {
            Self::Page(_) => true,
            Self::Unlisted(name) => fault.hits(&Call::Get((*name).to_owned())),
            Self::Besides(what) | Self::Below(_, what) => fault.hits(&Call::Other((*what).to_owned())),
        }
    }
}

/// What is spoilt at present, and where.
type Spoilt = Arc<Mutex<Option<Fault>>>;

/// Looks before, during and after each of these faults at one place; says what is not as it should be.
async fn check(cloud: Cloud, (place, faults): (Place, Vec<&Fault>)) -> Vec<String> {
    let (truth, spoilt) = (Truth::default(), Spoilt::default());
    truth.lock().extend(ITEMS.map(|(name, mode)| (name.to_owned(), mode)));
    let (fault, at) = (Arc::clone(&spoilt), place.clone());
    let address = cloud.start(truth, move |call, answer| match *fault.lock() {
        Some(fault) => at.spoil(&fault, call, answer),
        None => answer.honest(),
    });
    let address = address.await;
    let mut declared = cloud.declared(&DECLARED);
    let mut open: BTreeSet<String> = OPEN.iter().map(|(name, drift)| format!("{} {drift}", cloud.name(name))).collect();
    if let Cloud::Direct(service) = cloud {
        let others = Cloud::Aws.declared(&["other"]);
        declared.extend(others.into_iter().map(|(_, name, attributes)| (service.other(), name, attributes)));
        open.insert("other changed".to_owned());
    }
    let mut watcher = Watcher::new(cloud.collector(address, PATIENCE), declared).await;
    let report = watcher.scan().await;
    assert_eq!(watcher.open(), open, "{cloud:?}: {:?}", report.sights.gaps);

    let mut wrong = Vec::new();
    for fault in faults {
        let mut expect = |step: &str, found: String, expected: &str| {
            if found != expected {
                wrong.push(format!("{cloud:?}: {} at {place:?}, {step}: {found}, not {expected}", fault.name));
            }
        };
        *spoilt.lock() = Some(*fault);
        // One that has asked for nothing yet, and has all its retries.
        watcher.collector = cloud.collector(address, PATIENCE);
        let report = watcher.scan().await;
        expect("during", format!("{:?} {}", moved(&report), watcher.to_be_mended(&report)), "[] 0");
        expect("gap", gap(&report, &cloud.kind()), &left(fault.leaves(cloud), &place));
        if let Cloud::Direct(service) = cloud {
            expect("another kind", gap(&report, &service.other()), "");
        }

        *spoilt.lock() = None;
        let report = watcher.scan().await;
        expect("after", format!("{:?} {}", moved(&report), gap(&report, &cloud.kind())), "[] ");
        expect("after", format!("{:?}", watcher.open()), &format!("{open:?}"));
    }
    wrong
}

/// Returns the reason for which a kind was not read to the end, if it was not.
fn gap(report: &Report, kind: &Kind) -> String {
    let of = report.sights.gaps.iter().find(|gap| gap.kind.as_ref().is_none_or(|of| of == kind));
    of.map(|gap| gap.reason.to_string()).unwrap_or_default()
}

/// Returns the reason that a fault should leave.
fn left(leaves: Leaves, place: &Place) -> String {
    match (leaves, place) {
        (Leaves::Gap(reason), _) => reason.to_string(),
        // It was read, and so the list was short of it.
        (Leaves::Nothing, Place::Unlisted(_)) => GapReason::Partial.to_string(),
        (Leaves::Nothing, _) => String::new(),
    }
}

fn places(cloud: Cloud) -> Vec<Place> {
    let (besides, below): (&[_], &[_]) = match cloud {
        Cloud::Aws => (&["sts"], &[]),
        Cloud::Kubernetes => (&["/api", "/api/v1"], &[]),
        Cloud::Direct(service) => (service.places(), service.below()),
    };
    let unlisted = ["a1", "b3", "c4"].map(Place::Unlisted);
    let below = below.iter().map(|what| Place::Below("a1", what));
    (0..3).map(Place::Page).chain(unlisted).chain(besides.iter().copied().map(Place::Besides)).chain(below).collect()
}

/// Returns the places of a cloud, with the faults that are tried at each.
fn cells(cloud: Cloud, extent: Extent) -> Vec<(Place, Vec<&'static Fault>)> {
    let mut cells: Vec<_> = places(cloud).into_iter().map(|place| (place, Vec::new())).collect();
    for (nth, fault) in FAULTS.iter().enumerate() {
        let hit: Vec<_> = cells.iter_mut().filter(|(place, _)| place.is_hit_by(fault)).collect();
        let (first, step) = match extent {
            Extent::Whole => (0, 1),
            Extent::Sample(salt) => ((nth + salt) % hit.len(), hit.len()),
        };
        hit.into_iter().skip(first).step_by(step).for_each(|(_, faults)| faults.push(fault));
    }
    cells
}

/// How much of the grid of a cloud is tried.
#[derive(Clone, Copy)]
enum Extent {
    Whole,
    /// Each fault at one place, which is another for another number.
    Sample(usize),
}

async fn check_all(clouds: impl IntoIterator<Item = (Cloud, Extent)>) {
    let cells =
        clouds.into_iter().flat_map(|(cloud, extent)| cells(cloud, extent).into_iter().map(move |cell| (cloud, cell)));
    let wrong = join_all(cells.map(|(cloud, cell)| check(cloud, cell))).await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn no_fault_anywhere_is_an_absence_or_an_end() {
    check_all(Cloud::BOTH.map(|cloud| (cloud, Extent::Whole))).await;
}

#[tokio::test]
async fn no_fault_of_a_service_is_an_absence_or_an_end() {
    // Thousands of cells, of up to two hundred requests each, take minutes.
    let is_whole = std::env::var_os("DRIFTWARDEN_GRID").is_some_and(|extent| extent == "whole");
    let extent = |salt| if is_whole { Extent::Whole } else { Extent::Sample(salt) };
    check_all(Service::ALL.into_iter().enumerate().map(|(nth, service)| (Cloud::Direct(service), extent(nth)))).await;
}
