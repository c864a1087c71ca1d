//! S3: buckets, of which a list says little more than the names. What else there is of one is a call each.

use serde_json::{Value, json};

use super::read::PARENT;
use super::service::{S3, S3_CONTROL};
use super::shape::{Field, all, each, flag, int, made, object, scalar, tags, text, texts, untold};
use super::{Arg, Call, Direct, Home, Part, call, part};

const GONE: &[&str] = &["NoSuchBucket"];

const BUCKETS: Call = call("GET /", "Buckets.Bucket")
    .root("ListAllMyBucketsResult")
    .with(&[("max-buckets", Arg::Int(1000))])
    .pages("continuation-token", "ContinuationToken")
    .action("s3:ListAllMyBuckets");

const ONE_BUCKET: Call = call("GET /", "Buckets.Bucket")
    .root("ListAllMyBucketsResult")
    .with(&[("max-buckets", Arg::Int(1000)), ("prefix", Arg::Name(0))])
    .pages("continuation-token", "ContinuationToken")
    .action("s3:ListAllMyBuckets");

const HOME: Home = Home { says: "BucketRegion", asks: Some((LOCATION, location)) };

const LOCATION: Call = call("GET /{Bucket}?location", "")
    .root("LocationConstraint")
    .with(&[("Bucket", Arg::Of("Name"))])
    .action("s3:GetBucketLocation");

/// The two oldest regions have no name here, or an older one.
fn location(answer: &Value) -> Option<String> {
    match answer {
        Value::Null => Some("us-east-1".to_owned()),
        Value::String(text) if text == "EU" => Some("eu-west-1".to_owned()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// Returns a part of a bucket: its path and what the answer is called, the action that must be allowed, the words for
/// "not set", and the attributes.
const fn of_bucket(
    (operation, root): (&'static str, &'static str),
    action: &'static str,
    none: &'static [&'static str],
    shape: &'static [Field],
) -> Part {
    part(call(operation, "").with(&[("Bucket", Arg::Of("Name"))]).root(root).none(none).action(action), shape)
}

const BLOCKS: &[Field] = &[
    flag("BlockPublicAcls", "BlockPublicAcls"),
    flag("BlockPublicPolicy", "BlockPublicPolicy"),
    flag("IgnorePublicAcls", "IgnorePublicAcls"),
    flag("RestrictPublicBuckets", "RestrictPublicBuckets"),
];

pub(super) const BUCKET: Direct = Direct {
    list: &[BUCKETS],
    named: &[ONE_BUCKET],
    home: Some(HOME),
    gone: GONE,
    shape: &[
        text("BucketName", "Name"),
        untold("Arn"),
        untold("AbacStatus"),
        untold("AnalyticsConfigurations"),
        untold("BucketNamePrefix"),
        untold("BucketNamespace"),
        untold("DomainName"),
        untold("DualStackDomainName"),
        untold("IntelligentTieringConfigurations"),
        untold("InventoryConfigurations"),
        untold("MetadataConfiguration"),
        untold("MetadataTableConfiguration"),
        untold("MetricsConfigurations"),
        untold("RegionalDomainName"),
        untold("WebsiteURL"),
    ],
    parts: &[
        of_bucket(
            ("GET /{Bucket}?publicAccessBlock", "PublicAccessBlockConfiguration"),
            "s3:GetBucketPublicAccessBlock",
            &["NoSuchPublicAccessBlockConfiguration"],
            &[object("PublicAccessBlockConfiguration", "", BLOCKS)],
        ),
        of_bucket(
            ("GET /{Bucket}?tagging", "Tagging"),
            "s3:GetBucketTagging",
            &["NoSuchTagSet"],
            &[tags("TagSet.Tag")],
        ),
        of_bucket(
            ("GET /{Bucket}?encryption", "ServerSideEncryptionConfiguration"),
            "s3:GetEncryptionConfiguration",
            &["ServerSideEncryptionConfigurationNotFoundError"],
            &[object(
                "BucketEncryption",
                "",
                &[each(
                    "ServerSideEncryptionConfiguration",
                    "Rule",
                    &[
                        flag("BucketKeyEnabled", "BucketKeyEnabled"),
                        object(
                            "ServerSideEncryptionByDefault",
                            "ApplyServerSideEncryptionByDefault",
                            &[text("SSEAlgorithm", "SSEAlgorithm"), text("KMSMasterKeyID", "KMSMasterKeyID")],
                        ),
                        object(
                            "BlockedEncryptionTypes",
                            "BlockedEncryptionTypes",
                            &[texts("EncryptionType", "EncryptionType")],
                        ),
                    ],
                )],
            )],
        ),
        of_bucket(
            ("GET /{Bucket}?versioning", "VersioningConfiguration"),
            "s3:GetBucketVersioning",
            &[],
            &[object("VersioningConfiguration", "", &[text("Status", "Status")])],
        ),
        of_bucket(
            ("GET /{Bucket}?logging", "BucketLoggingStatus"),
            "s3:GetBucketLogging",
            &[],
            &[object(
                "LoggingConfiguration",
                "LoggingEnabled",
                &[
                    text("DestinationBucketName", "TargetBucket"),
                    text("LogFilePrefix", "TargetPrefix"),
                    made("TargetObjectKeyFormat", "TargetObjectKeyFormat", key_format),
                ],
            )],
        ),
        of_bucket(
            ("GET /{Bucket}?lifecycle", "LifecycleConfiguration"),
            "s3:GetLifecycleConfiguration",
            &["NoSuchLifecycleConfiguration"],
            &[object(
                "LifecycleConfiguration",
                "",
                &[each("Rules", "Rule", LIFECYCLE_RULE), untold("TransitionDefaultMinimumObjectSize")],
            )],
        ),
        of_bucket(
            ("GET /{Bucket}?ownershipControls", "OwnershipControls"),
            "s3:GetBucketOwnershipControls",
            &["OwnershipControlsNotFoundError"],
            &[object("OwnershipControls", "", &[each("Rules", "Rule", &[text("ObjectOwnership", "ObjectOwnership")])])],
        ),
        of_bucket(
            ("GET /{Bucket}?notification", "NotificationConfiguration"),
            "s3:GetBucketNotification",
            &[],
            &[made("NotificationConfiguration", "", notifications)],
        ),
        of_bucket(
            ("GET /{Bucket}?cors", "CORSConfiguration"),
            "s3:GetBucketCORS",
            &["NoSuchCORSConfiguration"],
            &[object(
                "CorsConfiguration",
                "",
                &[each(
                    "CorsRules",
                    "CORSRule",
                    &[
                        text("Id", "ID"),
                        texts("AllowedHeaders", "AllowedHeader"),
                        texts("AllowedMethods", "AllowedMethod"),
                        texts("AllowedOrigins", "AllowedOrigin"),
                        texts("ExposedHeaders", "ExposeHeader"),
                        int("MaxAge", "MaxAgeSeconds"),
                    ],
                )],
            )],
        ),
        of_bucket(
            ("GET /{Bucket}?website", "WebsiteConfiguration"),
            "s3:GetBucketWebsite",
            &["NoSuchWebsiteConfiguration"],
            &[object("WebsiteConfiguration", "", WEBSITE)],
        ),
        of_bucket(
            ("GET /{Bucket}?accelerate", "AccelerateConfiguration"),
            "s3:GetAccelerateConfiguration",
            // There is none in some regions, and none for names with dots.
            &["MethodNotAllowed", "UnsupportedArgument"],
            &[object("AccelerateConfiguration", "", &[text("AccelerationStatus", "Status")])],
        ),
        of_bucket(
            ("GET /{Bucket}?replication", "ReplicationConfiguration"),
            "s3:GetReplicationConfiguration",
            &["ReplicationConfigurationNotFoundError"],
            &[object("ReplicationConfiguration", "", &[text("Role", "Role"), each("Rules", "Rule", REPLICATION_RULE)])],
        ),
        of_bucket(
            ("GET /{Bucket}?object-lock", "ObjectLockConfiguration"),
            "s3:GetBucketObjectLockConfiguration",
            &["ObjectLockConfigurationNotFoundError"],
            &[
                made("ObjectLockEnabled", "ObjectLockEnabled", |said| Some(json!(said == "Enabled"))),
                object(
                    "ObjectLockConfiguration",
                    "",
                    &[
                        text("ObjectLockEnabled", "ObjectLockEnabled"),
                        object(
                            "Rule",
                            "Rule",
                            &[object(
                                "DefaultRetention",
                                "DefaultRetention",
                                &[
                                    text("Mode", "Mode"),
                                    int("Days", "Days"),
                                    int("Years", "Years"),
                                    untold("DefaultEventHold"),
                                ],
                            )],
                        ),
                    ],
                ),
            ],
        ),
    ],
    ..Direct::new("AWS::S3::Bucket", &S3, &["Name"])
};

/// The policy of a bucket, for those that have one.
pub(super) const BUCKET_POLICY: Direct = Direct {
    list: &[BUCKETS, POLICY],
    named: &[ONE_BUCKET, POLICY],
    home: Some(HOME),
    gone: GONE,
    shape: &[text("Bucket", "^.Name"), made("PolicyDocument", "", policy)],
    ..Direct::new("AWS::S3::BucketPolicy", &S3, &["^.Name"])
};

/// The answer is the policy itself.
fn policy(answer: &Value) -> Option<Value> {
    let mut policy = answer.as_object()?.clone();
    policy.remove(PARENT);
    Some(policy.into())
}

const POLICY: Call = call("GET /{Bucket}?policy", "")
    .with(&[("Bucket", Arg::Of("Name"))])
    .none(&["NoSuchBucketPolicy"])
    .action("s3:GetBucketPolicy");

/// Who else may use a bucket and its objects by the means that policies replaced. Our own kind: CloudFormation can set a
/// canned list, but never shows what is set.
pub(super) const BUCKET_ACL: Direct = Direct {
    list: &[BUCKETS, ACL],
    named: &[ONE_BUCKET, ACL],
    home: Some(HOME),
    gone: GONE,
    shape: &[
        text("Bucket", "^.Name"),
        text("Owner", "Owner.ID"),
        each(
            "Grants",
            "AccessControlList.Grant",
            &[text("GranteeId", "Grantee.ID"), text("GranteeUri", "Grantee.URI"), text("Permission", "Permission")],
        ),
    ],
    ..Direct::new("AWS::S3::BucketAcl", &S3, &["^.Name"])
};

const ACL: Call = call("GET /{Bucket}?acl", "")
    .root("AccessControlPolicy")
    .with(&[("Bucket", Arg::Of("Name"))])
    .action("s3:GetBucketAcl");

/// What is blocked for all buckets of an account. Our own kind: CloudFormation has none.
pub(super) const ACCOUNT_PUBLIC_ACCESS_BLOCK: Direct = Direct {
    list: &[call("GET /v20180820/configuration/publicAccessBlock", "")
        .root("PublicAccessBlockConfiguration")
        .none(&["NoSuchPublicAccessBlockConfiguration"])
        .action("s3:GetAccountPublicAccessBlock")],
    shape: BLOCKS,
    ..Direct::new("AWS::S3::AccountPublicAccessBlock", &S3_CONTROL, &[])
};

const LIFECYCLE_RULE: &[Field] = &[
    text("Id", "ID"),
    text("Status", "Status"),
    text("Prefix", "Prefix"),
    text("Prefix", "Filter.Prefix"),
    text("Prefix", "Filter.And.Prefix"),
    made("TagFilters", "Filter", tag_filters),
    text("ObjectSizeGreaterThan", "Filter.ObjectSizeGreaterThan"),
    text("ObjectSizeGreaterThan", "Filter.And.ObjectSizeGreaterThan"),
    text("ObjectSizeLessThan", "Filter.ObjectSizeLessThan"),
    text("ObjectSizeLessThan", "Filter.And.ObjectSizeLessThan"),
    int("ExpirationInDays", "Expiration.Days"),
    text("ExpirationDate", "Expiration.Date"),
    flag("ExpiredObjectDeleteMarker", "Expiration.ExpiredObjectDeleteMarker"),
    each(
        "Transitions",
        "Transition",
        &[text("StorageClass", "StorageClass"), int("TransitionInDays", "Days"), text("TransitionDate", "Date")],
    ),
    each(
        "NoncurrentVersionTransitions",
        "NoncurrentVersionTransition",
        &[
            text("StorageClass", "StorageClass"),
            int("TransitionInDays", "NoncurrentDays"),
            int("NewerNoncurrentVersions", "NewerNoncurrentVersions"),
        ],
    ),
    object(
        "NoncurrentVersionExpiration",
        "NoncurrentVersionExpiration",
        &[int("NoncurrentDays", "NoncurrentDays"), int("NewerNoncurrentVersions", "NewerNoncurrentVersions")],
    ),
    object(
        "AbortIncompleteMultipartUpload",
        "AbortIncompleteMultipartUpload",
        &[int("DaysAfterInitiation", "DaysAfterInitiation")],
    ),
];

const REPLICATION_RULE: &[Field] = &[
    text("Id", "ID"),
    text("Status", "Status"),
    text("Prefix", "Prefix"),
    int("Priority", "Priority"),
    object("DeleteMarkerReplication", "DeleteMarkerReplication", &[text("Status", "Status")]),
    object(
        "Destination",
        "Destination",
        &[
            text("Bucket", "Bucket"),
            text("Account", "Account"),
            text("StorageClass", "StorageClass"),
            object("AccessControlTranslation", "AccessControlTranslation", &[text("Owner", "Owner")]),
            object("EncryptionConfiguration", "EncryptionConfiguration", &[text("ReplicaKmsKeyID", "ReplicaKmsKeyID")]),
            object(
                "Metrics",
                "Metrics",
                &[text("Status", "Status"), object("EventThreshold", "EventThreshold", MINUTES)],
            ),
            object("ReplicationTime", "ReplicationTime", &[text("Status", "Status"), object("Time", "Time", MINUTES)]),
        ],
    ),
    object(
        "Filter",
        "Filter",
        &[
            text("Prefix", "Prefix"),
            object("TagFilter", "Tag", TAG),
            object("And", "And", &[text("Prefix", "Prefix"), each("TagFilters", "Tag", TAG)]),
        ],
    ),
    object(
        "SourceSelectionCriteria",
        "SourceSelectionCriteria",
        &[
            object("ReplicaModifications", "ReplicaModifications", &[text("Status", "Status")]),
            object("SseKmsEncryptedObjects", "SseKmsEncryptedObjects", &[text("Status", "Status")]),
        ],
    ),
];

const MINUTES: &[Field] = &[int("Minutes", "Minutes")];
const TAG: &[Field] = &[text("Key", "Key"), text("Value", "Value")];

const WEBSITE: &[Field] = &[
    text("IndexDocument", "IndexDocument.Suffix"),
    text("ErrorDocument", "ErrorDocument.Key"),
    object(
        "RedirectAllRequestsTo",
        "RedirectAllRequestsTo",
        &[text("HostName", "HostName"), text("Protocol", "Protocol")],
    ),
    each(
        "RoutingRules",
        "RoutingRules.RoutingRule",
        &[
            object(
                "RedirectRule",
                "Redirect",
                &[
                    text("HostName", "HostName"),
                    text("HttpRedirectCode", "HttpRedirectCode"),
                    text("Protocol", "Protocol"),
                    text("ReplaceKeyPrefixWith", "ReplaceKeyPrefixWith"),
                    text("ReplaceKeyWith", "ReplaceKeyWith"),
                ],
            ),
            object(
                "RoutingRuleCondition",
                "Condition",
                &[
                    text("HttpErrorCodeReturnedEquals", "HttpErrorCodeReturnedEquals"),
                    text("KeyPrefixEquals", "KeyPrefixEquals"),
                ],
            ),
        ],
    ),
];

/// The kind of key is an element without content, in both forms.
fn key_format(said: &Value) -> Option<Value> {
    let of = |name: &str| said.get(name);
    if let Some(partitioned) = of("PartitionedPrefix") {
        let source = partitioned.get("PartitionDateSource").and_then(scalar);
        return Some(
            json!({"PartitionedPrefix": source.map(|source| json!({"PartitionDateSource": source})).unwrap_or(json!({}))}),
        );
    }
    of("SimplePrefix").map(|_| json!({"SimplePrefix": {}}))
}

fn tag_filters(filter: &Value) -> Option<Value> {
    let found = all(filter, "Tag").into_iter().chain(all(filter, "And.Tag"));
    let tags: Vec<Value> = found.cloned().collect();
    (!tags.is_empty()).then(|| tags.into())
}

/// Where CloudFormation has one event, S3 has a list.
fn notifications(said: &Value) -> Option<Value> {
    let mut made = serde_json::Map::new();
    for (to, from, whom, of_theirs) in [
        ("LambdaConfigurations", "CloudFunctionConfiguration", "Function", "CloudFunction"),
        ("QueueConfigurations", "QueueConfiguration", "Queue", "Queue"),
        ("TopicConfigurations", "TopicConfiguration", "Topic", "Topic"),
    ] {
        let told = all(said, from).into_iter().flat_map(|one| {
            all(one, "Event").into_iter().map(move |event| notification(one, (whom, of_theirs), event))
        });
        let told: Vec<Value> = told.collect();
        if !told.is_empty() {
            made.insert(to.to_owned(), told.into());
        }
    }
    if said.get("EventBridgeConfiguration").is_some() {
        made.insert("EventBridgeConfiguration".to_owned(), json!({"EventBridgeEnabled": true}));
    }
    (!made.is_empty()).then(|| made.into())
}

fn notification(one: &Value, (whom, of_theirs): (&str, &str), event: &Value) -> Value {
    let mut made = json!({"Event": event, whom: one.get(of_theirs)});
    let rule = |rule: &Value| {
        let part = |name: &str| rule.get(name).and_then(scalar).unwrap_or_default().into_owned();
        json!({"Name": part("Name"), "Value": part("Value")})
    };
    let rules: Vec<Value> = all(one, "Filter.S3Key.FilterRule").into_iter().map(rule).collect();
    if let Some(map) = made.as_object_mut().filter(|_| !rules.is_empty()) {
        map.insert("Filter".to_owned(), json!({"S3Key": {"Rules": rules}}));
    }
    made
}
