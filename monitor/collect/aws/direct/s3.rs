//! S3: buckets, of which a list says little more than the names.

use super::service::S3;
use super::shape::{flag, object, tags, text};
use super::{Arg, Direct, call, part};

pub(super) const BUCKET: Direct = Direct {
    list: &[call("GET /", "Buckets.Bucket")
        .with(&[("max-buckets", Arg::Int(1000))])
        .pages("continuation-token", "ContinuationToken")
        .action("s3:ListAllMyBuckets")],
    region: Some("BucketRegion"),
    gone: &["NoSuchBucket"],
    shape: &[text("BucketName", "Name")],
    parts: &[
        part(
            call("GET /{Bucket}?publicAccessBlock", "")
                .with(&[("Bucket", Arg::Of("Name"))])
                .none(&["NoSuchPublicAccessBlockConfiguration"])
                .action("s3:GetBucketPublicAccessBlock"),
            &[object(
                "PublicAccessBlockConfiguration",
                "",
                &[
                    flag("BlockPublicAcls", "BlockPublicAcls"),
                    flag("BlockPublicPolicy", "BlockPublicPolicy"),
                    flag("IgnorePublicAcls", "IgnorePublicAcls"),
                    flag("RestrictPublicBuckets", "RestrictPublicBuckets"),
                ],
            )],
        ),
        part(
            call("GET /{Bucket}?tagging", "")
                .with(&[("Bucket", Arg::Of("Name"))])
                .none(&["NoSuchTagSet"])
                .action("s3:GetBucketTagging"),
            &[tags("TagSet.Tag")],
        ),
    ],
    ..Direct::new("AWS::S3::Bucket", &S3, &["Name"])
};
