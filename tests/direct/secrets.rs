//! The kinds of Secrets Manager, Systems Manager and Certificate Manager. What is secret is never asked for.

use serde_json::json;

use super::read;
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

const CANARY: &str = "canary-of-a-secret";

#[test]
fn parameters_and_secrets_are_read_without_what_is_secret() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let asked = json!({"Name": "db", "SecretString": CANARY, "Description": "the database", "Tags": tags});
    let secret = aws.call("secretsmanager", "create_secret", asked);
    let gone = aws.call("secretsmanager", "create_secret", json!({"Name": "old", "SecretString": CANARY}));
    aws.call("secretsmanager", "delete_secret", json!({"SecretId": gone["ARN"]}));
    let found = read(&aws.url(), "AWS::SecretsManager::Secret").unwrap();
    let arn = secret["ARN"].as_str().unwrap();
    let expected = json!({"Id": arn, "Name": "db", "Description": "the database", "Tags": tags});
    assert_eq!((found.len(), &found[arn]), (1, &expected));

    let parameter = |n: u32| {
        let asked = json!({"Name": format!("/app/{n}z"), "Value": format!("v{n}"), "Type": "String"});
        ("ssm", "put_parameter", asked)
    };
    aws.calls(&(0..11).map(parameter).collect::<Vec<_>>());
    let asked = json!({"Name": "/app/token", "Value": CANARY, "Type": "SecureString", "Tags": tags});
    aws.call("ssm", "put_parameter", asked);
    let found = read(&aws.url(), "AWS::SSM::Parameter").unwrap();
    assert_eq!((found.len(), &found["/app/10z"]["Value"]), (12, &json!("v10")), "more than are asked for together");
    let token = &found["/app/token"];
    let said = (&token["Type"], token.get("Value"), &token["Tags"], &token["Arn"]);
    let arn = json!(format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/app/token"));
    assert_eq!(said, (&json!("SecureString"), None, &json!({"team": "data"}), &arn));
    assert!(!json!(found).to_string().contains(CANARY));
    let log = aws.log();
    assert!(!log.contains("GetSecretValue"), "{log}");
}

#[test]
fn a_certificate_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let asked = json!({"DomainName": "example.org", "SubjectAlternativeNames": ["www.example.org"],
        "ValidationMethod": "DNS", "Tags": tags});
    let certificate = aws.call("acm", "request_certificate", asked);
    let arn = certificate["CertificateArn"].as_str().unwrap();
    let found = read(&aws.url(), "AWS::CertificateManager::Certificate").unwrap();
    let expected = json!({"CertificateArn": arn, "DomainName": "example.org", "KeyAlgorithm": "RSA_2048",
        "SubjectAlternativeNames": ["example.org", "www.example.org"], "Tags": tags,
        "DomainValidationOptions": [{"DomainName": "example.org"}, {"DomainName": "www.example.org"}]});
    assert_eq!((found.len(), &found[arn]), (1, &expected));
}
