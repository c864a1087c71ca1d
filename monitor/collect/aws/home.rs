//! In which region a resource is, for the few kinds that AWS lists in every region, wherever each resource is.
//!
//! S3 says it of buckets, in one call for all of them; else the attributes do. What says neither is where it was read: AWS
//! always says it, emulators do not.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use driftwarden_core::resource::{GapReason, Kind};
use serde::Deserialize;
use serde_json::Value;

use super::call::Caller;
use crate::collect::Item;
use crate::collect::http::CallError;

/// Buckets asked for in one page.
const PAGE: &str = "1000";
/// Pages that are read at most; an account has no more buckets.
const MAX_PAGES: usize = 1000;

/// What says in which region a resource of a kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    /// The list of buckets, and the bucket's own address.
    Buckets,
    /// The ARN.
    Arn,
}

/// The kinds that are listed in every region.
const LISTED_EVERYWHERE: &[(&str, Witness)] = &[
    ("AWS::CloudTrail::Trail", Witness::Arn),
    ("AWS::S3::Bucket", Witness::Buckets),
    ("AWS::S3::BucketPolicy", Witness::Buckets),
];

/// Whether a resource is in the region that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// It is.
    Here,
    /// It is in another one.
    Elsewhere,
    /// That its attributes say, if anything does.
    Unsaid,
}

/// Whose regions are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sought<'a> {
    All,
    Named(&'a str),
}

/// In which region the resources of one kind are.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// Nothing for the many kinds that are listed where they are.
    witness: Option<Witness>,
    region: Arc<str>,
    /// Regions by the names of the buckets.
    said: BTreeMap<String, String>,
}

impl Homes {
    /// Asks in which region the resources of a kind are, if it is one of those that are listed everywhere.
    pub(super) async fn ask(caller: &Caller, kind: &Kind, sought: Sought<'_>) -> Result<Self, CallError> {
        let entry = LISTED_EVERYWHERE.iter().find(|(known, _)| *known == kind.as_str());
        let witness = entry.map(|(_, witness)| *witness);
        let said = match witness {
            Some(Witness::Buckets) => buckets(caller, sought).await?,
            _ => BTreeMap::new(),
        };
        Ok(Self { witness, region: Arc::clone(&caller.region), said })
    }

    /// Returns where a resource is, as far as that is known without reading it.
    pub(super) fn of(&self, name: &str) -> Home {
        match (self.witness, self.said.get(name)) {
            (None, _) => Home::Here,
            (_, Some(region)) if **region == *self.region => Home::Here,
            (_, Some(_)) => Home::Elsewhere,
            (_, None) => Home::Unsaid,
        }
    }

    /// Returns whether a resource that was read is here.
    pub(super) fn has(&self, item: &Item) -> bool {
        if self.of(&item.name) != Home::Unsaid {
            return true;
        }
        let attributes: Value = serde_json::from_str(&item.text).unwrap_or_default();
        let text = |key: &str| attributes.get(key).and_then(Value::as_str);
        let region = match self.witness {
            // `NAME.s3.REGION.amazonaws.com`; names may have dots, too.
            Some(Witness::Buckets) => text("RegionalDomainName")
                .and_then(|address| address.strip_prefix(&*item.name)?.strip_prefix(".s3.")?.split('.').next()),
            Some(Witness::Arn) => text("Arn").and_then(|arn| arn.split(':').nth(3)),
            None => None,
        };
        region.is_none_or(|region| *region == *self.region)
    }
}

/// Returns the region of each bucket, or of none if S3 does not say: who may list buckets by Cloud Control may do so
/// here, but an emulator need not know how.
async fn buckets(caller: &Caller, sought: Sought<'_>) -> Result<BTreeMap<String, String>, CallError> {
    match list(caller, sought).await {
        Err(error) if matches!(error.reason, GapReason::Throttled | GapReason::Timeout) => Err(error),
        Err(error) => {
            let region = &*caller.region;
            tracing::debug!(region, error = error.detail, "failed to ask for the regions of the buckets");
            Ok(BTreeMap::new())
        }
        listed => listed,
    }
}

async fn list(caller: &Caller, sought: Sought<'_>) -> Result<BTreeMap<String, String>, CallError> {
    let (mut said, mut tokens) = (BTreeMap::new(), HashSet::new());
    let mut token: Option<String> = None;
    while tokens.len() < MAX_PAGES {
        let mut parameters = vec![("max-buckets", PAGE)];
        if let Sought::Named(name) = sought {
            parameters.push(("prefix", name));
        }
        parameters.extend(token.as_deref().map(|token| ("continuation-token", token)));
        let answer: ListedBuckets = caller.get("s3", &parameters).await?.xml()?;
        let regions = answer.buckets.unwrap_or_default().buckets.into_iter();
        said.extend(regions.filter_map(|bucket| Some((bucket.name, bucket.region?))));
        let Some(next) = answer.next.filter(|token| !token.is_empty()) else { break };
        if !tokens.insert(next.clone()) {
            break;
        }
        token = Some(next);
    }
    // A list that was cut short says nothing wrong: of a bucket that is not in it, the attributes are asked.
    Ok(said)
}

#[derive(Deserialize)]
struct ListedBuckets {
    #[serde(rename = "Buckets")]
    buckets: Option<Buckets>,
    #[serde(rename = "ContinuationToken")]
    next: Option<String>,
}

#[derive(Default, Deserialize)]
struct Buckets {
    #[serde(rename = "Bucket", default)]
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "BucketRegion")]
    region: Option<String>,
}
