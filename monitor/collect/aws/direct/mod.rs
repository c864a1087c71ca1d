//! Direct paths: kinds that are read by the services' own bulk calls, and become what Cloud Control would say of them.
//!
//! A kind is data: the calls that list it, the calls that read what a list leaves out, and the shape that CloudFormation
//! gives it. One constant in the file of its service and one line in [`DIRECT`] make a direct path; how calls are made,
//! paged and given up is the same for all.

use driftwarden_core::resource::Kind;

use self::shape::Field;

mod acm;
mod apigateway;
mod auto_scaling;
mod cloudfront;
mod cloudtrail;
mod cloudwatch;
mod config;
mod dynamodb;
mod ec2;
mod ecr;
mod ecs;
mod eks;
mod elasticache;
mod elb;
mod guardduty;
mod iam;
mod kms;
mod lambda;
mod logs;
mod network;
mod opensearch;
mod rds;
mod read;
mod route53;
mod s3;
mod secretsmanager;
mod securityhub;
mod service;
pub mod shape;
mod sns;
mod sqs;
mod ssm;
#[cfg(test)]
mod tests;
mod xml;

pub(super) use self::read::{Reader, Register};
pub use self::service::{Protocol, Service};

/// Every direct path.
pub const DIRECT: &[&Direct] = &[
    &apigateway::REST_API,
    &auto_scaling::GROUP,
    &auto_scaling::LAUNCH_CONFIGURATION,
    &acm::CERTIFICATE,
    &cloudfront::DISTRIBUTION,
    &cloudtrail::TRAIL,
    &cloudwatch::ALARM,
    &config::RECORDER,
    &config::RECORDER_STATUS,
    &config::DELIVERY_CHANNEL,
    &dynamodb::TABLE,
    &network::EIP,
    &network::FLOW_LOG,
    &ec2::INSTANCE,
    &network::INTERNET_GATEWAY,
    &ec2::LAUNCH_TEMPLATE,
    &network::NAT_GATEWAY,
    &network::NETWORK_ACL,
    &network::NETWORK_INTERFACE,
    &network::ROUTE_TABLE,
    &network::SECURITY_GROUP,
    &ec2::SNAPSHOT,
    &network::SUBNET,
    &network::VPC,
    &network::VPC_ENDPOINT,
    &ec2::VOLUME,
    &ecr::REPOSITORY,
    &ecs::CLUSTER,
    &ecs::SERVICE,
    &eks::CLUSTER,
    &elasticache::CACHE_CLUSTER,
    &elasticache::REPLICATION_GROUP,
    &elb::LISTENER,
    &elb::LOAD_BALANCER,
    &elb::TARGET_GROUP,
    &guardduty::DETECTOR,
    &iam::ACCESS_KEY,
    &iam::ACCOUNT_PASSWORD_POLICY,
    &iam::ACCOUNT_SUMMARY,
    &iam::CREDENTIAL_REPORT,
    &iam::GROUP,
    &iam::INSTANCE_PROFILE,
    &iam::MANAGED_POLICY,
    &iam::ROLE,
    &iam::USER,
    &kms::ALIAS,
    &kms::KEY,
    &lambda::FUNCTION,
    &lambda::FUNCTION_POLICY,
    &logs::LOG_GROUP,
    &opensearch::DOMAIN,
    &rds::DB_CLUSTER,
    &rds::DB_CLUSTER_SNAPSHOT,
    &rds::DB_INSTANCE,
    &rds::DB_SNAPSHOT,
    &rds::DB_SUBNET_GROUP,
    &route53::HOSTED_ZONE,
    &route53::RECORD_SET,
    &s3::ACCOUNT_PUBLIC_ACCESS_BLOCK,
    &s3::BUCKET,
    &s3::BUCKET_ACL,
    &s3::BUCKET_POLICY,
    &sns::TOPIC,
    &sqs::QUEUE,
    &ssm::PARAMETER,
    &secretsmanager::SECRET,
    &securityhub::HUB,
];

/// How one kind is read.
#[derive(Debug)]
pub struct Direct {
    /// Its name.
    pub kind: &'static str,
    /// Who is asked.
    pub service: &'static Service,
    /// Finds out which there are. Each call but the first is made for every thing that the one before found.
    pub list: &'static [Call],
    /// The same for one whose name is known; nothing if it must be looked for in the list.
    pub named: &'static [Call],
    /// What asks the service for one of a name, where only a list tells all of it.
    pub probe: Option<Probe>,
    /// Which of those that are found belong to the kind.
    pub keep: Option<fn(&serde_json::Value) -> bool>,
    /// How to know in which region a thing is, if the first call lists those of all.
    pub home: Option<Home>,
    /// What makes up CloudFormation's identifier; several are joined by `|`. One that ends in `?` may be missing.
    pub name: &'static [&'static str],
    /// The attributes that the list shows.
    pub shape: &'static [Field],
    /// What the list leaves out.
    pub parts: &'static [Part],
    /// Words of the service for something that does not exist.
    pub gone: &'static [&'static str],
}

/// Asks for one of a name: a list alone would confirm what it says by saying it again.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Asks for it.
    pub call: Call,
    /// The attributes that the answer shows as the list does.
    pub tells: &'static [&'static str],
    /// Names that begin so are not asked for.
    pub unless: Option<&'static str>,
}

/// How to know in which region a thing is.
#[derive(Debug, Clone, Copy)]
pub struct Home {
    /// Where the list says so.
    pub says: &'static str,
    /// What to ask where it does not, and how to understand the answer.
    pub asks: Option<(Call, Understand)>,
}

/// Returns the region that an answer tells.
pub type Understand = fn(&serde_json::Value) -> Option<String>;

/// One call of a service.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its name, or method and path.
    pub operation: &'static str,
    /// What it is given.
    pub with: &'static [(&'static str, Arg)],
    /// What the answer is called, in XML that is asked for by paths; without it, the answer is JSON.
    pub root: Option<&'static str>,
    /// Where in the answer the things are; the answer itself if empty.
    pub items: &'static str,
    /// The argument that asks for the next page, and where an answer says what to give it.
    pub pages: Option<(&'static str, &'static str)>,
    /// What is asked and said with it, where a page begins after a name of several parts.
    pub along: &'static [(&'static str, &'static str)],
    /// Brings each thing into the form in which the others name it.
    pub mend: Option<fn(&mut serde_json::Value)>,
    /// How many things of the call before are asked for together.
    pub batch: usize,
    /// Words of the service for: there is nothing of this.
    pub none: &'static [&'static str],
    /// Whether the service leaves the list out when it is empty.
    pub may_be_silent: bool,
    /// The action that must be allowed, if it is not called as the operation.
    pub action: Option<&'static str>,
}

/// What a call is given.
#[derive(Debug, Clone, Copy)]
pub enum Arg {
    /// Always the same text.
    Text(&'static str),
    /// Always the same number.
    Int(u32),
    /// Always true.
    Yes,
    /// Always false.
    No,
    /// Always the same texts.
    Texts(&'static [&'static str]),
    /// What the thing has at that path.
    Of(&'static str),
    /// What each of the things that are asked for together has at that path.
    Each(&'static str),
    /// An ARN in this account and region, of what follows `arn:aws:` and of what the thing has at the path.
    Arn(&'static str, &'static str),
    /// The sought name, or a part of it between `|`, counted from 0.
    Name(usize),
    /// A filter that lets only the sought name pass, by its key.
    Filter(&'static str),
    /// What comes after the last `/` of the sought name.
    NameEnd,
    /// The sought name or part, as a list of one.
    Names(usize),
    /// The account.
    Account,
}

/// What a list leaves out and another call shows.
#[derive(Debug)]
pub struct Part {
    /// Reads it.
    pub call: Call,
    /// Which of the things it is about; all if not said.
    pub when: Option<fn(&serde_json::Value) -> bool>,
    /// Where the answer's items and the thing say the same, where many things are read by one call.
    pub join: Option<(&'static str, &'static str)>,
    /// How many items there are about one thing.
    pub count: Count,
    /// The attributes that it shows.
    pub shape: &'static [Field],
}

/// How many items of a joined call are about one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Any number: the attributes are made of a list.
    Any,
    /// None, which says that nothing is set, or one.
    AtMostOne,
    /// One: without it nothing is known.
    One,
}

/// Returns a call that lists what is at `items`.
const fn call(operation: &'static str, items: &'static str) -> Call {
    let none: &[&str] = &[];
    let (root, pages, along, mend, action) = (None, None, &[], None, None);
    Call { operation, with: &[], root, items, pages, along, mend, batch: 0, none, may_be_silent: false, action }
}

impl Call {
    /// Gives it arguments.
    const fn with(mut self, with: &'static [(&'static str, Arg)]) -> Self {
        self.with = with;
        self
    }

    /// Takes no other answer than one of that name.
    const fn root(mut self, root: &'static str) -> Self {
        self.root = Some(root);
        self
    }

    /// Has it go on as long as the answer holds what the next call is to be given.
    const fn pages(mut self, asks: &'static str, says: &'static str) -> Self {
        self.pages = Some((asks, says));
        self
    }

    /// Has it take along more than one value from page to page.
    const fn along(mut self, values: &'static [(&'static str, &'static str)]) -> Self {
        self.along = values;
        self
    }

    /// Mends each thing that it finds.
    const fn mend(mut self, mend: fn(&mut serde_json::Value)) -> Self {
        self.mend = Some(mend);
        self
    }

    /// Has it ask for so many things together.
    const fn batch(mut self, most: usize) -> Self {
        self.batch = most;
        self
    }

    /// Takes these refusals to say that nothing of it is set.
    const fn none(mut self, codes: &'static [&'static str]) -> Self {
        self.none = codes;
        self
    }

    /// Takes an answer without the list to be an empty list.
    const fn may_be_silent(mut self) -> Self {
        self.may_be_silent = true;
        self
    }

    /// Says which action must be allowed.
    const fn action(mut self, action: &'static str) -> Self {
        self.action = Some(action);
        self
    }
}

/// Returns a part that is read thing by thing.
const fn part(call: Call, shape: &'static [Field]) -> Part {
    Part { call, when: None, join: None, count: Count::Any, shape }
}

impl Part {
    /// Returns whether it is read of all things at once.
    fn is_bulk(&self) -> bool {
        self.join.is_some() && !self.call.with.iter().any(|(_, arg)| matches!(arg, Arg::Each(_)))
    }

    /// Matches the items of the answer (`theirs`) to the things (`ours`).
    const fn join(mut self, theirs: &'static str, ours: &'static str) -> Self {
        self.join = Some((theirs, ours));
        self
    }

    /// Says how many items of a joined call are about one thing.
    const fn count(mut self, count: Count) -> Self {
        self.count = count;
        self
    }

    /// Reads it only of some of the things.
    const fn when(mut self, is_read: fn(&serde_json::Value) -> bool) -> Self {
        self.when = Some(is_read);
        self
    }
}

impl Direct {
    /// Returns the direct path of a kind with nothing but what every path needs.
    const fn new(kind: &'static str, service: &'static Service, name: &'static [&'static str]) -> Self {
        let gone: &[&str] = &[];
        let (list, named, shape, parts): (&[Call], &[Call], &[Field], &[Part]) = (&[], &[], &[], &[]);
        Self { kind, service, list, named, probe: None, keep: None, home: None, name, shape, parts, gone }
    }

    /// Returns the actions that must be allowed to read the kind.
    pub(super) fn actions(&self) -> impl Iterator<Item = String> {
        let own = self
            .list
            .iter()
            .chain(self.named)
            .chain(self.probe.iter().map(|probe| &probe.call))
            .map(|call| (self.service, call));
        let parts = self.parts.iter().map(|part| (self.service, &part.call));
        let home = self.home.and_then(|home| home.asks).map(|(call, _)| (self.service, call));
        let calls = own.chain(parts).map(|(service, call)| (service, *call)).chain(home);
        calls.map(|(service, call)| match call.action {
            Some(action) => action.to_owned(),
            None => format!("{}:{}", service.prefix, call.operation),
        })
    }
}

/// Returns the direct path of a kind, if there is one.
pub(super) fn of(kind: &Kind) -> Option<&'static Direct> {
    DIRECT.iter().find(|direct| direct.kind == kind.as_str()).copied()
}
