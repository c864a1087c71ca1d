//! Certificate Manager: certificates.

use serde_json::Value;

use super::service::ACM;
use super::shape::{each, made, tags, text, texts, untold};
use super::{Arg, Direct, call, part};

/// All there are; without them only some are listed.
const KEYS: &[&str] =
    &["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"];

pub(super) const CERTIFICATE: Direct = Direct {
    list: &[call("ListCertificates", "CertificateSummaryList")
        .with(&[("Includes.keyTypes", Arg::Texts(KEYS)), ("MaxItems", Arg::Int(1000))])
        .pages("NextToken", "NextToken")],
    named: &[call("DescribeCertificate", "Certificate").with(&[("CertificateArn", Arg::Name(0))])],
    gone: &["ResourceNotFoundException"],
    shape: &[text("CertificateArn", "CertificateArn"), text("DomainName", "DomainName"), untold("Id")],
    parts: &[
        part(
            call("DescribeCertificate", "").with(&[("CertificateArn", Arg::Of("CertificateArn"))]),
            &[
                text("CertificateAuthorityArn", "Certificate.CertificateAuthorityArn"),
                text("CertificateExport", "Certificate.Options.Export"),
                text(
                    "CertificateTransparencyLoggingPreference",
                    "Certificate.Options.CertificateTransparencyLoggingPreference",
                ),
                each(
                    "DomainValidationOptions",
                    "Certificate.DomainValidationOptions",
                    &[text("DomainName", "DomainName"), text("ValidationDomain", "ValidationDomain")],
                ),
                made("KeyAlgorithm", "Certificate.KeyAlgorithm", algorithm),
                texts("SubjectAlternativeNames", "Certificate.SubjectAlternativeNames"),
            ],
        ),
        part(
            call("ListTagsForCertificate", "").with(&[("CertificateArn", Arg::Of("CertificateArn"))]),
            &[tags("Tags")],
        ),
    ],
    ..Direct::new("AWS::CertificateManager::Certificate", &ACM, &["CertificateArn"])
};

/// Descriptions of certificates spell it otherwise than requests for them.
fn algorithm(said: &Value) -> Option<Value> {
    Some(said.as_str()?.replace('-', "_").into())
}
