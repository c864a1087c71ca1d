//! ECR: repositories of a registry.

use super::service::ECR;
use super::shape::{each, flag, json, object, tags, text};
use super::{Arg, Direct, call, part};

pub(super) const REPOSITORY: Direct = Direct {
    list: &[call("DescribeRepositories", "repositories")
        .with(&[("maxResults", Arg::Int(1000))])
        .pages("nextToken", "nextToken")],
    named: &[call("DescribeRepositories", "repositories").with(&[("repositoryNames", Arg::Names(0))])],
    gone: &["RepositoryNotFoundException"],
    shape: &[
        text("Arn", "repositoryArn"),
        object(
            "EncryptionConfiguration",
            "encryptionConfiguration",
            &[text("EncryptionType", "encryptionType"), text("KmsKey", "kmsKey")],
        ),
        object("ImageScanningConfiguration", "imageScanningConfiguration", &[flag("ScanOnPush", "scanOnPush")]),
        text("ImageTagMutability", "imageTagMutability"),
        each(
            "ImageTagMutabilityExclusionFilters",
            "imageTagMutabilityExclusionFilters",
            &[
                text("ImageTagMutabilityExclusionFilterType", "filterType"),
                text("ImageTagMutabilityExclusionFilterValue", "filter"),
            ],
        ),
        text("RepositoryName", "repositoryName"),
        text("RepositoryUri", "repositoryUri"),
    ],
    parts: &[
        part(
            call("GetLifecyclePolicy", "")
                .with(&[("repositoryName", Arg::Of("repositoryName"))])
                .none(&["LifecyclePolicyNotFoundException"]),
            &[object(
                "LifecyclePolicy",
                "",
                &[text("LifecyclePolicyText", "lifecyclePolicyText"), text("RegistryId", "registryId")],
            )],
        ),
        part(
            call("GetRepositoryPolicy", "")
                .with(&[("repositoryName", Arg::Of("repositoryName"))])
                .none(&["RepositoryPolicyNotFoundException"]),
            &[json("RepositoryPolicyText", "policyText")],
        ),
        part(call("ListTagsForResource", "").with(&[("resourceArn", Arg::Of("repositoryArn"))]), &[tags("tags")]),
    ],
    ..Direct::new("AWS::ECR::Repository", &ECR, &["repositoryName"])
};
