//! What AWS states of its kinds: one document each, by CloudFormation's `DescribeType`.
//!
//! What a document says is read in the core crate.

use std::sync::atomic::{AtomicUsize, Ordering};

use driftwarden_core::resource::{GapReason, Kind};
use driftwarden_core::schema::{Schema, cloudformation};
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::call::Caller;
use super::unread;
use crate::collect::Described;
use crate::collect::http::CallError;

/// How long a document is good for.
pub(super) const LIFE: SignedDuration = SignedDuration::from_hours(24);
/// Documents that are read at the same time.
const AT_ONCE: usize = 8;
/// After that many failures nobody is asked for the other kinds: they would fail too.
const FAILURES_BORNE: usize = 5;

/// Asks for each of these kinds, and tells `sink` what came of it.
pub(super) async fn describe(caller: &Caller, kinds: &[Kind], sink: &mpsc::Sender<Described>) {
    let failures = &AtomicUsize::new(0);
    let reads = kinds.iter().cloned().map(|kind| async move {
        let schema = match failures.load(Ordering::Relaxed) {
            FAILURES_BORNE.. => Err(CallError::new(GapReason::Partial, "too many others failed before")),
            _ => read(caller, &kind).await,
        };
        // That one kind is unknown says nothing about the others.
        if schema.as_ref().is_err_and(|error| !error.is(&["TypeNotFoundException"])) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
        let schema = schema.map_err(|error| unread(format!("the schema of {kind}"), error));
        Described { kind, schema }
    });
    let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
    while let Some(described) = reads.next().await {
        if sink.send(described).await.is_err() {
            return;
        }
    }
}

/// Returns the document of a kind.
pub(super) async fn document(caller: &Caller, kind: &Kind) -> Result<Value, CallError> {
    let parameters = [("Type", "RESOURCE"), ("TypeName", kind.as_str())];
    let answer = caller.query("cloudformation", "DescribeType", &parameters).await?;
    let text = answer.xml::<DescribedAnswer>()?.result.schema;
    serde_json::from_str(&text).map_err(|error| CallError::not_json(&error))
}

async fn read(caller: &Caller, kind: &Kind) -> Result<Schema, CallError> {
    let document = document(caller, kind).await?;
    let malformed = |why: String| CallError::new(GapReason::Malformed, why);
    let (described, schema) = cloudformation::read(&document).map_err(|error| malformed(error.to_string()))?;
    if described != *kind {
        return Err(malformed("the answer is about another kind".to_owned()));
    }
    Ok(schema)
}

#[derive(Deserialize)]
struct DescribedAnswer {
    #[serde(rename = "DescribeTypeResult")]
    result: DescribedResult,
}

#[derive(Deserialize)]
struct DescribedResult {
    #[serde(rename = "Schema")]
    schema: String,
}
