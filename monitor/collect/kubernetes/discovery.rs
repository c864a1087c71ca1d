//! What kinds a cluster serves, from aggregated discovery where it is offered and from the older lists elsewhere.
//!
//! A group that cannot say what it serves is remembered with the reason. Which kinds are worth reading is not decided
//! here.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use driftwarden_core::resource::{GapReason, Kind};
use driftwarden_core::schema::openapi::VersionedKind;
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Client, Failure};

/// Aggregated discovery first, and the older form for servers that do not know it.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
const CONCURRENCY: usize = 4;

/// A kind that can be listed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    /// `group/Kind`, or `Kind` in the core group.
    pub(super) kind: Kind,
    /// `Kind` alone, as manifests say it.
    pub(super) kind_name: String,
    /// `group/version`, or `version` in the core group.
    pub(super) api_version: String,
    /// Name in addresses: `deployments`.
    pub(super) plural: String,
    /// Whether its objects live in namespaces.
    pub(super) namespaced: bool,
}

impl Served {
    /// Returns the kind as documents about it name it.
    pub(super) fn versioned(&self) -> VersionedKind {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        VersionedKind { group: group.to_owned(), version: version.to_owned(), kind: self.kind_name.clone() }
    }

    /// Returns the address of the list, in one namespace or everywhere.
    pub(super) fn list_path(&self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        let namespace = namespace.map(|name| format!("/namespaces/{}", super::encoded(name))).unwrap_or_default();
        format!("{root}/{}{namespace}/{}", self.api_version, self.plural)
    }
}

/// Everything that a cluster serves.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    served: BTreeMap<Kind, Served>,
    unlistable: BTreeSet<Kind>,
    failed: BTreeMap<String, Failure>,
}

/// What is known of a kind.
#[derive(Debug)]
pub(super) enum Known<'a> {
    /// It can be listed.
    Served(&'a Served),
    /// It exists only to be created or asked.
    Unlistable,
    /// Its group did not say what it serves.
    Unsure(&'a Failure),
    /// The cluster has no such kind.
    Lacking,
}

impl Discovery {
    /// Returns every kind that can be listed.
    pub(super) fn served(&self) -> impl Iterator<Item = &Served> {
        self.served.values()
    }

    /// Returns the groups that did not say, or not freshly, what they serve.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.failed.iter().map(|(group, failure)| (group.as_str(), failure))
    }

    /// Returns what is known of a kind.
    pub(super) fn find(&self, kind: &Kind) -> Known<'_> {
        let group = kind.as_str().split_once('/').map_or("", |(group, _)| group);
        if let Some(served) = self.served.get(kind) {
            Known::Served(served)
        } else if self.unlistable.contains(kind) {
            Known::Unlistable
        } else if let Some(failure) = self.failed.get(group) {
            Known::Unsure(failure)
        } else {
            Known::Lacking
        }
    }

    /// Takes in one version of a group. Of a kind that several versions serve, the first one counts, so the preferred
    /// version has to come first.
    fn add(&mut self, group: &str, version: &str, resources: Vec<Offer>) {
        for offer in resources {
            let kind = if group.is_empty() {
                Kind::new(offer.kind.as_str())
            } else {
                Kind::new(format!("{group}/{}", offer.kind))
            };
            if offer.listable {
                let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
                let Offer { kind: kind_name, plural, namespaced, .. } = offer;
                let served = Served { kind: kind.clone(), kind_name, api_version, plural, namespaced };
                self.served.entry(kind).or_insert(served);
            } else {
                self.unlistable.insert(kind);
            }
        }
    }
}

/// One resource of one version, in whichever form it was told.
struct Offer {
    kind: String,
    plural: String,
    namespaced: bool,
    listable: bool,
}

/// Asks a cluster what it serves. An error means that nothing is known at all.
pub(super) async fn discover(client: &Client) -> Result<Discovery, Failure> {
    let mut found = Discovery::default();
    for root in ["/api", "/apis"] {
        let body = client.get(root, ACCEPT, client.patience.page).await?;
        match parse::<Root>(root, &body)? {
            Root::Aggregated { items } => items.into_iter().for_each(|group| group.add_to(&mut found)),
            Root::Groups { groups } => {
                let versions = groups
                    .into_iter()
                    .flat_map(|group| group.in_order().into_iter().map(move |v| (group.name.clone(), v)));
                ask_versions(client, versions.collect(), &mut found).await;
            }
            Root::Versions { versions } => {
                ask_versions(client, versions.into_iter().map(|v| (String::new(), v)).collect(), &mut found).await;
            }
        }
    }
    if found.served.is_empty() {
        let unnamed = || Failure::new(GapReason::Malformed, "discovery names no kind at all");
        return Err(found.failed.into_values().next().unwrap_or_else(unnamed));
    }
    Ok(found)
}

async fn ask_versions(client: &Client, versions: Vec<(String, String)>, found: &mut Discovery) {
    let asked = futures_util::stream::iter(versions).map(|(group, version)| async move {
        let offers = ask_version(client, &group, &version).await;
        (group, version, offers)
    });
    // In order, because the preferred version counts.
    let mut answers = asked.buffered(CONCURRENCY);
    while let Some((group, version, offers)) = answers.next().await {
        match offers {
            Ok(offers) => found.add(&group, &version, offers),
            Err(failure) => drop(found.failed.insert(group, failure)),
        }
    }
}

async fn ask_version(client: &Client, group: &str, version: &str) -> Result<Vec<Offer>, Failure> {
    let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let body = client.get(&path, "application/json", client.patience.page).await?;
    let list: ResourceList = parse(&path, &body)?;
    let whole = list.resources.into_iter().filter(|resource| !resource.name.contains('/'));
    Ok(whole.map(Offer::from).collect())
}

fn parse<T: DeserializeOwned>(path: &str, body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::malformed(&format!("the answer of `{path}`"), &error))
}

/// The answer of `/api` or `/apis`, told apart by its own `kind`.
#[derive(Deserialize)]
#[serde(tag = "kind")]
enum Root {
    #[serde(rename = "APIGroupDiscoveryList")]
    Aggregated { items: Vec<AggregatedGroup> },
    #[serde(rename = "APIGroupList")]
    Groups { groups: Vec<Group> },
    #[serde(rename = "APIVersions")]
    Versions { versions: Vec<String> },
}

#[derive(Deserialize)]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
    #[serde(rename = "preferredVersion")]
    preferred: Option<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

impl Group {
    /// Returns the versions, the preferred one first.
    fn in_order(&self) -> Vec<String> {
        let preferred = self.preferred.iter().map(|v| v.version.as_str());
        let others = self.versions.iter().map(|v| v.version.as_str());
        let others = others.filter(|version| self.preferred.as_ref().is_none_or(|p| p.version != *version));
        preferred.chain(others).map(str::to_owned).collect()
    }
}

#[derive(Deserialize)]
struct ResourceList {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    namespaced: bool,
    #[serde(default)]
    verbs: Option<Vec<String>>,
}

impl From<Resource> for Offer {
    fn from(resource: Resource) -> Self {
        let Resource { name, kind, namespaced, verbs } = resource;
        Self { kind, plural: name, namespaced, listable: can_list(verbs) }
    }
}

fn can_list(verbs: Option<Vec<String>>) -> bool {
    verbs.is_some_and(|verbs| verbs.iter().any(|verb| verb == "list"))
}

#[derive(Deserialize)]
struct AggregatedGroup {
    #[serde(default)]
    metadata: AggregatedName,
    #[serde(default)]
    versions: Vec<AggregatedVersion>,
}

#[derive(Deserialize, Default)]
struct AggregatedName {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct AggregatedVersion {
    version: String,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
    #[serde(default)]
    freshness: Option<String>,
}

#[derive(Deserialize)]
struct AggregatedResource {
    resource: String,
    #[serde(default, rename = "responseKind")]
    response: Option<ResponseKind>,
    scope: String,
    #[serde(default)]
    verbs: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ResponseKind {
    kind: String,
}

impl AggregatedGroup {
    fn add_to(self, found: &mut Discovery) {
        let group = self.metadata.name;
        for version in self.versions {
            // What a stale group once served is still asked for; what it serves besides is not known.
            if version.freshness.as_deref() == Some("Stale") {
                let failure = Failure::new(GapReason::Timeout, "its API server does not answer discovery");
                found.failed.insert(group.clone(), failure);
            }
            let offers = version.resources.into_iter().filter_map(AggregatedResource::into_offer).collect();
            found.add(&group, &version.version, offers);
        }
    }
}

impl AggregatedResource {
    /// A resource without a kind has only subresources.
    fn into_offer(self) -> Option<Offer> {
        let kind = self.response?.kind;
        let listable = can_list(self.verbs);
        Some(Offer { kind, plural: self.resource, namespaced: self.scope == "Namespaced", listable })
    }
}
