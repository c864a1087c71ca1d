//! Who did it, by CloudTrail: its record of the last 90 days is looked up, and the events are joined to the deeds.
//!
//! AWS bears two look-ups in a second in one account and region, for everybody. So a few deeds are looked up by the names of
//! their resources, and then, once for all that are not cleared up, everything that wrote in their time is read; never one
//! look-up after another for each of many. Of a record only who, when, the name of the event and its id leave this module.

use std::time::Duration;

use driftwarden_core::finding::Actor;
use driftwarden_core::resource::GapReason;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use self::record::Record;
use self::suspects::Suspects;
use super::call::Caller;
use crate::collect::Deed;
use crate::collect::http::CallError;

mod fit;
mod identity;
mod record;
mod suspects;
#[cfg(test)]
mod tests;
mod written;

pub(super) use self::written::{Touched, Written};

/// How many requests AWS bears in a second.
pub(super) const SLOW: &[(&str, f64)] = &[("cloudtrail", 2.0)];
/// Under which name the log is told.
const SOURCE: &str = "cloudtrail";
/// So many deeds are looked up by name.
const FEW: usize = 3;
/// Look-ups in one look; at two in a second, ten seconds of it. Newest events come first, so those are read.
const MOST_LOOKUPS: usize = 20;
/// How long a scan waits for it.
const LONGEST: Duration = Duration::from_secs(20);
/// How far back everything is read, where no look tells since when something differs.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);
/// By how much the clocks of AWS and of ours may differ, and a reading may lag behind a write.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// Events on one page; AWS gives no more.
const PAGE: u32 = 50;

/// Returns that nobody is known of any of these.
pub(super) fn nobody(deeds: &[Deed]) -> Vec<Actor> {
    deeds.iter().map(|_| Actor::unknown(SOURCE)).collect()
}

/// Returns who did each deed, as far as the log tells, and why not all of it was read.
pub(super) async fn authors(caller: &Caller, deeds: &[Deed]) -> (Vec<Actor>, Option<String>) {
    let mut inquiry = Inquiry { caller, suspects: Suspects::of(deeds), lookups: MOST_LOOKUPS };
    let asked = timeout(LONGEST, inquiry.inquire(deeds)).await;
    // What opens is told without an actor rather than late; it is asked about again.
    let late = || Err(CallError::new(GapReason::Timeout, "CloudTrail takes longer than is waited for"));
    let error = asked.unwrap_or_else(|_| late()).err().map(|error| error.detail);
    (inquiry.suspects.actors(), error)
}

/// The look-ups of one look.
struct Inquiry<'a> {
    caller: &'a Caller,
    suspects: Suspects<'a>,
    /// How many are left.
    lookups: usize,
}

impl Inquiry<'_> {
    /// Asks for all of them, whatever fails; returns what failed first.
    async fn inquire(&mut self, deeds: &[Deed]) -> Result<(), CallError> {
        let mut outcome = Ok(());
        if deeds.len() <= FEW {
            for deed in deeds {
                outcome = outcome.and(self.look_up(&Asked::by_name(deed)).await.map(drop));
            }
        }
        match Asked::in_time_of(&self.suspects.unsettled()) {
            Some(asked) => outcome.and(self.read(asked).await),
            None => outcome,
        }
    }

    /// Reads page by page, newest events first, until nobody is sought any more.
    async fn read(&mut self, mut asked: Asked) -> Result<(), CallError> {
        while self.lookups > 0 {
            let next = self.look_up(&asked).await?.filter(|next| asked.next_token.as_ref() != Some(next));
            if next.is_none() || self.suspects.unsettled().is_empty() {
                return Ok(());
            }
            asked.next_token = next;
        }
        Err(CallError::new(GapReason::Partial, "there are more events than are read"))
    }

    /// Reads one page; returns where the next one is.
    async fn look_up(&mut self, asked: &Asked) -> Result<Option<String>, CallError> {
        self.lookups = self.lookups.saturating_sub(1);
        let page = page(self.caller, asked).await?;
        for event in page.events {
            // One record that is not as it should be hides no other.
            if let Some(record) = Record::of(event) {
                self.suspects.take(&record);
            }
        }
        Ok(page.next_token)
    }
}

/// Reads one page of events.
async fn page(caller: &Caller, asked: &Asked) -> Result<Page, CallError> {
    const OPERATION: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
    let page: Page = caller.json("cloudtrail", OPERATION, asked).await?.json()?;
    Ok(Page { next_token: page.next_token.filter(|token| !token.is_empty()), ..page })
}

/// A look-up. Times are in seconds since 1970.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lookup_attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    end_time: i64,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_key: &'static str,
    attribute_value: String,
}

impl Asked {
    /// Asks for the events with an attribute, if one is given, of that time.
    fn new(attribute: Option<(&'static str, &str)>, start: Option<Timestamp>, end: Timestamp) -> Self {
        let attribute =
            attribute.map(|(attribute_key, value)| Attribute { attribute_key, attribute_value: value.to_owned() });
        Self {
            lookup_attributes: attribute.into_iter().collect(),
            start_time: start.map(Timestamp::as_second),
            // A second has begun, not ended.
            end_time: end.as_second() + 1,
            max_results: PAGE,
            next_token: None,
        }
    }

    fn by_name(deed: &Deed) -> Self {
        let (start, end) = window(deed);
        Self::new(Some(("ResourceName", &deed.resource.name)), start, end)
    }

    /// Asks for everything that wrote while any of these deeds may have been done.
    fn in_time_of(deeds: &[&Deed]) -> Option<Self> {
        let windows = deeds.iter().map(|deed| window(deed));
        let (start, end) = windows
            .map(|(start, end)| (start.unwrap_or_else(|| end.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN)), end))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some(Self::new(Some(("ReadOnly", "false")), Some(start), end))
    }
}

/// Returns when a deed may have been done.
fn window(deed: &Deed) -> (Option<Timestamp>, Timestamp) {
    let before = deed.arisen.before.saturating_add(SLACK).unwrap_or(Timestamp::MAX);
    let after = deed.arisen.after.map(|after| after.saturating_sub(SLACK).unwrap_or(Timestamp::MIN));
    (after, before)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    events: Vec<Event>,
    next_token: Option<String>,
}

/// One event, as it is listed. Has no `Debug`, for it may hold a secret.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "CloudTrailEvent")]
    record: String,
    username: Option<String>,
    #[serde(default)]
    resources: Vec<Named>,
}

/// A resource that the log itself says an event was about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    resource_type: Option<String>,
    resource_name: Option<String>,
}
