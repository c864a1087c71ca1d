//! Which regions are read: those that the configuration names, and of those that an account has enabled the ones that a
//! pattern of it fits.

use driftwarden_core::resource::GapReason;
use serde::Deserialize;

use super::call::Caller;
use crate::collect::http::CallError;
use crate::collect::selection::{Selected, Selection};

/// The word for every region that is enabled.
const ALL: &str = "all";

/// Returns whether this is the name of a region, or a pattern of such names.
pub(super) fn is_region(region: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*' | b'?');
    !region.is_empty() && region.bytes().all(is_part)
}

/// Returns the patterns among these regions.
pub(super) fn patterns(regions: &[String]) -> Vec<String> {
    let pattern = |region: &String| match region.as_str() {
        ALL => Some("*".to_owned()),
        region => region.contains(['*', '?']).then(|| region.to_owned()),
    };
    regions.iter().filter_map(pattern).collect()
}

/// Returns the regions among these that are named.
pub(super) fn named(regions: &[String]) -> impl Iterator<Item = &str> {
    regions.iter().map(String::as_str).filter(|region| *region != ALL && !region.contains(['*', '?']))
}

/// Returns the regions of the caller's account that are enabled and fit one of the patterns.
pub(super) async fn enabled(caller: &Caller, patterns: &[String]) -> Result<Vec<String>, CallError> {
    let selection = Selection { include: patterns.to_vec(), ..Selection::default() };
    let malformed = |why: String| CallError::new(GapReason::Malformed, why);
    let selected = Selected::new(&selection).map_err(|error| malformed(format!("`regions`: {error}")))?;
    let answer: Described = caller.query("ec2", "DescribeRegions", &[]).await?.xml()?;
    if answer.regions.items.is_empty() {
        return Err(malformed("ec2 says that there are no regions".to_owned()));
    }
    let enabled = answer.regions.items.into_iter().filter(|region| region.opt_in.as_deref() != Some("not-opted-in"));
    Ok(enabled.map(|region| region.name).filter(|name| selected.takes(name)).collect())
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "regionInfo")]
    regions: Items,
}

#[derive(Deserialize)]
struct Items {
    #[serde(rename = "item", default)]
    items: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    #[serde(rename = "regionName")]
    name: String,
    #[serde(rename = "optInStatus")]
    opt_in: Option<String>,
}
