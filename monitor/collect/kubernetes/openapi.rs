//! What the API server states of its kinds: OpenAPI of version 3, a document for each version of a group, or the one document
//! of version 2 where the server is older.
//!
//! A document is compiled as it arrives and dropped; the address of one carries the digest of what it holds, so that it is
//! fetched again only when it says something new. What the facts mean is not known here.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use driftwarden_core::resource::{GapReason, Kind};
use driftwarden_core::schema::Schema;
use driftwarden_core::schema::openapi::{self, VersionedKind};
use parking_lot::Mutex;
use serde::Deserialize;

use super::client::{Client, Failure};
use super::discovery::Served;

/// Longest document that is read; that of version 2 has some 4 MB, and some more for each custom resource.
const CAP: usize = 64 << 20;
const ACCEPT: &str = "application/json";
const INDEX: &str = "/openapi/v3";
const OLD: &str = "/openapi/v2";

/// The kinds that were compiled, each with the address of the document that stated it.
#[derive(Default)]
pub(super) struct Statements(Mutex<BTreeMap<Kind, (String, Schema)>>);

/// Schemas, or why they could not be had, by kind.
pub(super) type Answers = Vec<(Kind, Result<Schema, Failure>)>;

impl Statements {
    /// Asks for the schemas of these kinds.
    pub(super) async fn ask(&self, client: &Client, kinds: &[Served]) -> Answers {
        match index(client).await {
            Ok(Some(index)) => self.by_version(client, &index, kinds).await,
            Ok(None) => {
                let document = client.get(OLD, ACCEPT, CAP).await;
                compile(document, kinds.iter().collect()).await
            }
            Err(failure) => all(kinds.iter(), &failure),
        }
    }

    async fn by_version(&self, client: &Client, index: &Index, kinds: &[Served]) -> Answers {
        let mut answers = Answers::new();
        let versions: BTreeSet<&str> = kinds.iter().map(|served| served.api_version.as_str()).collect();
        for version in versions {
            let asked = kinds.iter().filter(|served| served.api_version == version);
            match index.address(version) {
                None => answers.extend(all(asked, &unstated())),
                Some(address) => answers.extend(self.by_document(client, address, asked.collect()).await),
            }
        }
        answers
    }

    /// Fetches a document for those kinds of which it has not told yet.
    async fn by_document(&self, client: &Client, address: &str, kinds: Vec<&Served>) -> Answers {
        let (mut answers, mut lacking) = (Answers::new(), Vec::new());
        for served in kinds {
            match self.0.lock().get(&served.kind).filter(|(known, _)| known == address) {
                Some((_, schema)) => answers.push((served.kind.clone(), Ok(schema.clone()))),
                None => lacking.push(served),
            }
        }
        if lacking.is_empty() {
            return answers;
        }
        let fresh = compile(client.get(address, ACCEPT, CAP).await, lacking).await;
        let stated = fresh.iter().filter_map(|(kind, schema)| Some((kind, schema.as_ref().ok()?)));
        self.0.lock().extend(stated.map(|(kind, schema)| (kind.clone(), (address.to_owned(), schema.clone()))));
        answers.extend(fresh);
        answers
    }
}

/// Returns which documents there are, or nothing from a server that knows only the older one.
async fn index(client: &Client) -> Result<Option<Index>, Failure> {
    match client.get(INDEX, ACCEPT, CAP).await {
        Ok(body) => {
            serde_json::from_slice(&body).map(Some).map_err(|error| Failure::malformed("the index of OpenAPI", &error))
        }
        Err(failure) if failure.is_missing() => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[derive(Deserialize)]
struct Index {
    paths: BTreeMap<String, Document>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "serverRelativeURL")]
    address: String,
}

impl Index {
    fn address(&self, api_version: &str) -> Option<&str> {
        let root = if api_version.contains('/') { "apis" } else { "api" };
        let document = self.paths.get(&format!("{root}/{api_version}"))?;
        // An address is the server's word: it must not lead anywhere else.
        Some(document.address.as_str()).filter(|address| address.starts_with("/openapi/"))
    }
}

/// Compiles a document for these kinds, aside: megabytes of JSON would hold up everything else.
async fn compile(document: Result<Bytes, Failure>, kinds: Vec<&Served>) -> Answers {
    let document = match document {
        Ok(document) => document,
        Err(failure) => return all(kinds.into_iter(), &failure),
    };
    let wanted: BTreeMap<VersionedKind, Kind> =
        kinds.iter().map(|served| (served.versioned(), served.kind.clone())).collect();
    let work = move || {
        let stated = openapi::compile(&document, |kind| wanted.contains_key(kind));
        stated.map(|mut stated| {
            let answer = |(version, kind)| (kind, stated.remove(&version).ok_or_else(unstated));
            wanted.into_iter().map(answer).collect::<Answers>()
        })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => all(kinds.into_iter(), &Failure::new(GapReason::Malformed, error.to_string())),
        Err(_) => all(kinds.into_iter(), &Failure::new(GapReason::Timeout, "interrupted while compiling a schema")),
    }
}

fn all<'a>(kinds: impl Iterator<Item = &'a Served>, failure: &Failure) -> Answers {
    kinds.map(|served| (served.kind.clone(), Err(failure.clone()))).collect()
}

fn unstated() -> Failure {
    Failure::new(GapReason::Partial, "the API server states no schema of it")
}
