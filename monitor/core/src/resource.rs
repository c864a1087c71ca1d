//! The nouns: scope, kind, resource, gap, desired.
//!
//! Only names and values; what they mean to each other is decided in the modules that follow.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

/// Labels (or tags) of a resource, by key.
pub type Labels = BTreeMap<String, String>;

/// The sort of system a cloud is; the scheme of a [`ResourceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
    /// A Kubernetes cluster.
    Kubernetes,
    /// A Terraform workspace.
    Terraform,
    /// An inventory that answers JSON over HTTP.
    Http,
    /// An inventory that a command prints.
    Exec,
    /// An inventory in a file.
    File,
}

impl Provider {
    /// Every provider, in the order of the documentation.
    pub const ALL: [Self; 8] =
        [Self::Aws, Self::Azure, Self::Gcp, Self::Kubernetes, Self::Terraform, Self::Http, Self::Exec, Self::File];

    /// Returns the word used in configuration, ids and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Kubernetes => "kubernetes",
            Self::Terraform => "terraform",
            Self::Http => "http",
            Self::Exec => "exec",
            Self::File => "file",
        }
    }

    /// Returns whether its kinds have names of a form that no other provider's have.
    pub(crate) const fn has_own_kinds(self) -> bool {
        matches!(self, Self::Aws | Self::Azure | Self::Gcp | Self::Kubernetes)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| InvalidId(text.to_owned()))
    }
}

/// What stands in a [`ResourceId`] or [`Scope`] where a part does not apply.
pub const NOT_APPLICABLE: &str = "-";

/// What one credential reads in one go: account and region, subscription, project or cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Name of the configured cloud.
    pub cloud: Arc<str>,
    /// The sort of system.
    pub provider: Provider,
    /// Account, subscription, project or cluster.
    pub account: Arc<str>,
    /// Region, or `-` for global services and systems without regions.
    pub region: Arc<str>,
}

impl Scope {
    /// Returns the id of the resource `kind` `name` in this scope.
    pub fn id(&self, kind: &Kind, name: &str) -> ResourceId {
        ResourceId {
            provider: self.provider,
            account: Arc::clone(&self.account),
            region: Arc::clone(&self.region),
            kind: kind.clone(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.provider, Encoded(&self.account), Encoded(&self.region))
    }
}

/// The provider's own type name: `AWS::S3::Bucket`, `apps/Deployment`, `Pod`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(Arc<str>);

impl Kind {
    /// Returns the kind of that name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the provider's name of the kind.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a provider may have this kind, or one that this pattern fits, by the form of the name. Inventories
    /// and workspaces may have any.
    pub fn may_be_of(&self, provider: Provider) -> bool {
        let name = self.as_str();
        let owner = match name {
            _ if name.contains("::") => Some(Provider::Aws),
            _ if name.starts_with("Microsoft.") => Some(Provider::Azure),
            _ if name.contains(".googleapis.com/") => Some(Provider::Gcp),
            _ if name.contains('*') => None,
            _ => Some(Provider::Kubernetes),
        };
        !provider.has_own_kinds() || owner.is_none_or(|owner| owner == provider)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Kind {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// The name of one resource, unique over all clouds.
///
/// Prints as `provider://account/region/kind/name`, each part percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId {
    /// The sort of system.
    pub provider: Provider,
    /// Account, subscription, project or cluster.
    pub account: Arc<str>,
    /// Region, or `-`.
    pub region: Arc<str>,
    /// The provider's own type name.
    pub kind: Kind,
    /// The provider's primary identifier; `namespace/name` in Kubernetes.
    pub name: Arc<str>,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}/{}/{}/{}",
            self.provider,
            Encoded(&self.account),
            Encoded(&self.region),
            Encoded(self.kind.as_str()),
            Encoded(&self.name)
        )
    }
}

impl FromStr for ResourceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId(text.to_owned());
        let (provider, rest) = text.split_once("://").ok_or_else(invalid)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [account, region, kind, name] = parts.as_slice() else { return Err(invalid()) };
        let decode = |part: &str| decoded(part).ok_or_else(invalid);
        Ok(Self {
            provider: provider.parse()?,
            account: decode(account)?.into(),
            region: decode(region)?.into(),
            kind: Kind::new(decode(kind)?),
            name: decode(name)?.into(),
        })
    }
}

/// A text that is not a resource id.
#[derive(Debug, thiserror::Error)]
#[error("invalid resource id `{0}`: expected provider://account/region/kind/name")]
pub struct InvalidId(String);

/// Prints a part of an id with everything but unreserved characters and `:` percent-encoded.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                    fmt::Write::write_char(f, char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// Returns the text with `%XX` replaced, or nothing if an escape is cut or the bytes are not UTF-8.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Why something was not read to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapReason {
    /// The provider refused the credential.
    Denied,
    /// The provider, or our own budget for it, asked us to stop.
    Throttled,
    /// No answer within the deadline, or no connection.
    Timeout,
    /// The answer could not be understood.
    Malformed,
    /// The answer, or its last page, was cut short.
    Partial,
}

impl GapReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Denied, Self::Throttled, Self::Timeout, Self::Malformed, Self::Partial];

    /// Returns the word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Partial => "partial",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind, or everything in a scope, that was not read to the end. Its absences prove nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The kind, or nothing where the whole scope could not be read.
    pub kind: Option<Kind>,
    /// Why.
    pub reason: GapReason,
    /// What happened, for people; never a secret and never a response body.
    pub detail: String,
}

/// One thing that a cloud holds, after normalization.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Its name.
    pub id: ResourceId,
    /// Its labels or tags.
    pub labels: Labels,
    /// Everything the provider said about it, normalized.
    pub attributes: Value,
    /// Whether all attributes were read, or only those that a listing shows.
    pub depth: Depth,
}

/// How much of a resource was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every readable attribute: an attribute that is not here is not set.
    Full,
    /// Every readable attribute but those that have [`unread`] in place of a value.
    Partial,
    /// What the listing showed: an attribute that is not here was not read (I2).
    Listed,
}

/// Key of the object that stands for a value nobody read.
pub(crate) const UNREAD: &str = "$unread";

/// Returns what stands in place of a value that was not read. It counts only where [`Depth::Partial`] announces it, and is
/// no text: a tag may have any name.
pub fn unread() -> Value {
    Value::Object([(UNREAD.to_owned(), Value::Bool(true))].into_iter().collect())
}

/// Returns whether this stands for a value that was not read.
pub fn is_unread(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.len() == 1 && map.get(UNREAD) == Some(&Value::Bool(true)))
}

/// Where a desired resource is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Name of the configured source.
    pub source: Arc<str>,
    /// The commit that was read.
    pub revision: Arc<str>,
    /// Path inside the repository.
    pub file: Arc<str>,
    /// Line of the resource's first key, from 1.
    pub line: u32,
    /// The last commit that touched these lines, and who wrote it, when that is known.
    pub touched: Option<Touched>,
}

/// The last commit that touched a resource in Git.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Touched {
    /// The commit id.
    pub commit: Arc<str>,
    /// `Name <address>` of its author.
    pub author: Arc<str>,
    /// When it was committed.
    pub at: jiff::Timestamp,
}

/// One resource that Git asks for, in one scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The sort of system.
    pub provider: Provider,
    /// Account or cluster that it must be in; any of the source's clouds if not said.
    pub account: Option<Arc<str>>,
    /// Region that it must be in; any if not said.
    pub region: Option<Arc<str>>,
    /// The provider's own type name.
    pub kind: Kind,
    /// The primary identifier or a human name; nothing where Git cannot know it yet (an unresolved logical id).
    pub name: Option<Arc<str>>,
    /// Labels that the manifest itself gives (not the provider's tags).
    pub labels: Labels,
    /// What is declared, and only that. An unresolved value is `{"$unknown": true}`.
    pub attributes: Value,
    /// Where it is written.
    pub origin: Origin,
}

impl Desired {
    /// Returns whether this resource can live in `scope`.
    pub fn belongs_to(&self, scope: &Scope) -> bool {
        let fits = |want: &Option<Arc<str>>, have: &Arc<str>| want.as_ref().is_none_or(|want| want == have);
        self.provider == scope.provider && fits(&self.account, &scope.account) && fits(&self.region, &scope.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, kind: &str, name: &str) {
        let id: ResourceId = text.parse().unwrap();
        assert_eq!((id.kind.as_str(), &*id.name), (kind, name));
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn an_id_prints_as_it_is_read() {
        check("aws://123456789012/eu-west-1/AWS::S3::Bucket/logs", "AWS::S3::Bucket", "logs");
        check("kubernetes://prod/-/apps%2FDeployment/shop%2Fcart", "apps/Deployment", "shop/cart");
        check("file://lab/-/host/%C3%BC%20%25", "host", "ü %");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in
            ["", "aws://", "aws://a/b/c", "aws://a/b/c/d/e", "moon://a/b/c/d", "aws://a/b/c/%4", "aws://a/b/c/%ff"]
        {
            assert!(text.parse::<ResourceId>().is_err(), "{text}");
        }
    }
}
