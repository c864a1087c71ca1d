//! The aliases of KMS keys: one list for each account and region.

use std::collections::BTreeMap;

use driftwarden_core::resource::GapReason;
use serde::{Deserialize, Serialize};

use super::call::Caller;
use crate::collect::http::CallError;

/// Pages that are read at most, of up to 100 aliases each.
const MAX_PAGES: usize = 100;
const PAGE: u32 = 100;

/// Returns the key that each alias stands for. Those that AWS keeps for keys which are not made yet stand for none.
pub(super) async fn targets(caller: &Caller) -> Result<BTreeMap<String, String>, CallError> {
    let mut targets = BTreeMap::new();
    let mut marker: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let asked = Asked { limit: PAGE, marker: marker.as_deref() };
        let page: Page = caller.json("kms", "TrentService.ListAliases", &asked).await?.json()?;
        targets.extend(page.aliases.into_iter().filter_map(|alias| Some((alias.name, alias.target?))));
        if !page.is_truncated {
            return Ok(targets);
        }
        match page.next {
            Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
            _ => break,
        }
    }
    Err(CallError::new(GapReason::Partial, "the list of aliases does not end"))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Asked<'a> {
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<&'a str>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "Aliases")]
    aliases: Vec<Alias>,
    #[serde(rename = "Truncated", default)]
    is_truncated: bool,
    #[serde(rename = "NextMarker")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Alias {
    #[serde(rename = "AliasName")]
    name: String,
    #[serde(rename = "TargetKeyId")]
    target: Option<String>,
}
