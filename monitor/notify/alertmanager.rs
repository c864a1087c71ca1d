//! Prometheus Alertmanager, API v2.
//!
//! Alertmanager forgets an alert that is not told again, so everything open is told again and again. It knows an alert
//! by its labels alone: a finding keeps the labels under which it was first told until it is resolved, and what changes
//! meanwhile (priority, cause, actor) is read in the annotations.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::decide::{Notice, Status};
use driftwarden_core::finding::{Finding, Fingerprint, Subject};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use reqwest::{Client, RequestBuilder};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::config::{ConfigError, Settings};
use super::{Batch, Notifier, NotifierType, NotifyError};
use crate::outbound;
use crate::secret::{Secret, SecretError};

pub(super) const TYPE: NotifierType =
    NotifierType { word: "alertmanager", build, schema: AlertmanagerConfig::json_schema };

/// Alerts in one request.
const CHUNK: usize = 500;
/// Changes and characters that one description shows.
const CHANGES_SHOWN: usize = 20;
const VALUE_SHOWN: usize = 160;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AlertmanagerConfig {
    /// Address of Alertmanager, without `/api/v2`.
    url: Url,
    /// Name and password.
    #[serde(default)]
    basic_auth: Option<BasicAuth>,
    /// Bearer token.
    #[serde(default)]
    bearer: Option<Secret>,
    /// How often open findings are told again.
    #[serde(default = "a_minute")]
    #[schemars(with = "String")]
    refresh: SignedDuration,
    /// How long Alertmanager keeps an alert that is not told again: long enough for a restart of this daemon.
    #[serde(default = "a_quarter")]
    #[schemars(with = "String")]
    resolve_after: SignedDuration,
    /// How long one request may take.
    #[serde(default = "ten_seconds")]
    #[schemars(with = "String")]
    timeout: SignedDuration,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BasicAuth {
    username: String,
    password: Secret,
}

const fn a_minute() -> SignedDuration {
    SignedDuration::from_mins(1)
}

const fn a_quarter() -> SignedDuration {
    SignedDuration::from_mins(15)
}

const fn ten_seconds() -> SignedDuration {
    SignedDuration::from_secs(10)
}

type AlertLabels = BTreeMap<String, String>;

struct Alertmanager {
    config: AlertmanagerConfig,
    client: Client,
    alerts_url: Url,
    external_url: Option<Url>,
    /// Labels under which open findings were told. Lost in a restart: if a priority changed since, the older alert
    /// ends by itself after `resolve_after`.
    told: Mutex<HashMap<Fingerprint, AlertLabels>>,
}

/// An alert as `POST /api/v2/alerts` takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: AlertLabels,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<Url>,
}

fn build(settings: &Settings<'_>) -> Result<Arc<dyn Notifier>, ConfigError> {
    let config: AlertmanagerConfig = settings.parse()?;
    if let Some(objection) = outbound::objection(&config.url) {
        return Err(settings.error(objection));
    }
    if config.basic_auth.is_some() && config.bearer.is_some() {
        return Err(settings.error("`basic_auth` and `bearer` exclude each other"));
    }
    let secrets = [("basic_auth", config.basic_auth.is_some()), ("bearer", config.bearer.is_some())];
    for (key, _) in secrets.into_iter().filter(|(_, is_given)| *is_given) {
        settings.keep_secret(key, &config.url)?;
    }
    if config.refresh < SignedDuration::from_secs(1) || config.resolve_after < config.refresh * 3 {
        return Err(settings.error("`refresh` must be at least 1s, and `resolve_after` three times that"));
    }
    Ok(Arc::new(Alertmanager {
        client: settings.client(config.timeout)?,
        alerts_url: outbound::join(&config.url, &["api", "v2", "alerts"]),
        external_url: settings.external_url.cloned(),
        told: Mutex::default(),
        config,
    }))
}

#[async_trait]
impl Notifier for Alertmanager {
    async fn send(&self, batch: &Batch) -> Result<(), NotifyError> {
        for notices in batch.notices.chunks(CHUNK) {
            let alerts: Vec<Alert> = notices.iter().map(|notice| self.alert(notice, batch.now)).collect();
            let request = self.authorized(self.client.post(self.alerts_url.clone())).map_err(NotifyError::for_now)?;
            outbound::deliver(&self.alerts_url, request.json(&alerts), batch.now).await?;
            self.forget_resolved(notices);
        }
        Ok(())
    }

    fn refresh_every(&self) -> Option<SignedDuration> {
        Some(self.config.refresh)
    }
}

impl Alertmanager {
    fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, SecretError> {
        Ok(match (&self.config.basic_auth, &self.config.bearer) {
            (Some(basic), _) => request.basic_auth(&basic.username, Some(basic.password.read()?.expose_secret())),
            (None, Some(bearer)) => request.bearer_auth(bearer.read()?.expose_secret()),
            (None, None) => request,
        })
    }

    fn alert(&self, notice: &Notice, now: Timestamp) -> Alert {
        let finding = &notice.finding;
        let ends_at = match notice.status {
            Status::Firing => now + self.config.resolve_after,
            Status::Resolved => finding.resolved_at.unwrap_or(now),
        };
        let findings = ["api", "v1", "findings", &finding.fingerprint.to_string()];
        Alert {
            labels: self.told.lock().entry(finding.fingerprint).or_insert_with(|| labels(finding)).clone(),
            annotations: annotations(finding),
            starts_at: finding.opened_at.unwrap_or(finding.first_seen).to_string(),
            ends_at: ends_at.to_string(),
            generator_url: self.external_url.as_ref().map(|base| outbound::join(base, &findings)),
        }
    }

    fn forget_resolved(&self, notices: &[Notice]) {
        let mut told = self.told.lock();
        for notice in notices.iter().filter(|notice| notice.status == Status::Resolved) {
            told.remove(&notice.finding.fingerprint);
        }
    }
}

/// Returns the labels of a finding. Alertmanager takes an empty label for none, so empty ones are left out.
fn labels(finding: &Finding) -> AlertLabels {
    let evidence = &finding.evidence;
    let id = &evidence.resource;
    let name = match evidence.subject {
        Subject::Drift(_) => "Drift",
        Subject::Violation(_) => "Violation",
    };
    let own = [
        ("alertname", name.to_owned()),
        ("fingerprint", finding.fingerprint.to_string()),
        ("cloud", finding.scope.cloud.to_string()),
        ("provider", id.provider.to_string()),
        ("account", id.account.to_string()),
        ("region", id.region.to_string()),
        ("kind", id.kind.to_string()),
        ("name", id.name.to_string()),
        ("severity", evidence.severity.as_str().to_owned()),
        ("priority", finding.priority.to_string()),
        ("type", evidence.subject.type_str().to_owned()),
        ("drift", evidence.subject.drift_str().to_owned()),
        ("rule", evidence.subject.rule_str().to_owned()),
        ("cause", evidence.cause.as_str().to_owned()),
    ];
    let of_resource = evidence.labels.iter().map(|(key, value)| (format!("label_{}", sanitized(key)), value.clone()));
    own.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .chain(of_resource)
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn sanitized(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn annotations(finding: &Finding) -> BTreeMap<&'static str, String> {
    let evidence = &finding.evidence;
    let mut annotations = BTreeMap::from([
        ("summary", summary(finding)),
        ("description", description(finding)),
        ("priority", format!("P{}: {}", finding.priority, finding.priority_reasons.join("; "))),
        ("cause", evidence.cause.as_str().to_owned()),
        ("generation", finding.generation.to_string()),
    ]);
    if let Some(origin) = &evidence.origin {
        annotations
            .insert("desired", format!("{}:{}:{} at {}", origin.source, origin.file, origin.line, origin.revision));
        if let Some(touched) = &origin.touched {
            annotations.insert("commit", touched.commit.to_string());
            annotations.insert("author", touched.author.to_string());
        }
    }
    if let Some(actor) = &evidence.actor {
        annotations.insert("actor", actor.to_string());
    }
    annotations
}

fn summary(finding: &Finding) -> String {
    let evidence = &finding.evidence;
    let id = &evidence.resource;
    match &evidence.subject {
        Subject::Drift(kind) => format!("{} {} is {}", id.kind, id.name, kind.as_str()),
        Subject::Violation(rule) => format!("{} {} violates {rule}", id.kind, id.name),
    }
}

/// Returns the message and the changes, line by line. Sensitive values are digests already.
fn description(finding: &Finding) -> String {
    let evidence = &finding.evidence;
    let mut text = evidence.message.clone();
    for change in evidence.changes.iter().take(CHANGES_SHOWN) {
        let (desired, observed) = (shown(&change.desired), shown(&change.observed));
        write!(text, "\n{} {}: {desired} -> {observed}", change.path, change.op.as_str()).ok();
    }
    if let Some(more) = evidence.changes.len().checked_sub(CHANGES_SHOWN).filter(|more| *more > 0) {
        write!(text, "\nand {more} more").ok();
    }
    text
}

fn shown(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_SHOWN).and_then(|(at, _)| text.get(..at)) {
        Some(start) => format!("{start}…"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    use crate::notify::{Config, ReceiverConfig, batch};
    use crate::outbound::peer::Peer;
    use crate::outbound::samples::{finding, firing, resolved};

    fn notifier(peer: &Peer, more: &Value) -> Arc<dyn Notifier> {
        let mut receiver = json!({"name": "oncall", "type": "alertmanager", "url": peer.url});
        receiver.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let receiver = ReceiverConfig::deserialize(receiver).unwrap();
        let external_url = Some(Url::parse("https://drift.example/").unwrap());
        let route = Some(crate::notify::RouteConfig { receiver: Some("oncall".to_owned()), ..Default::default() });
        let built = Config { receivers: vec![receiver], route, external_url }.build().unwrap();
        Arc::clone(built.by_name.values().next().unwrap())
    }

    #[tokio::test]
    async fn an_alert_says_what_where_and_since_when() {
        let peer = Peer::answering(&[]).await;
        notifier(&peer, &json!({})).send(&batch(vec![firing(finding("logs"))])).await.unwrap();
        let request = &peer.seen()[0];
        assert_eq!(request.path, "/api/v2/alerts");
        let alert = &request.json()[0];
        let print = finding("logs").fingerprint.to_string();
        assert_eq!(
            alert["labels"],
            json!({
                "alertname": "Drift", "fingerprint": print, "cloud": "prod", "provider": "aws", "account": "1",
                "region": "eu-west-1", "kind": "AWS::S3::Bucket", "name": "logs", "severity": "high",
                "priority": "2", "type": "drift", "drift": "changed", "cause": "out_of_band",
                "label_app_example_team_name": "data",
            })
        );
        assert_eq!(alert["annotations"]["desired"], "infra:prod/logs.yaml:7 at abc123");
        assert_eq!(
            alert["annotations"]["description"],
            "bucket differs from Git\n/Versioning changed: \"Enabled\" -> \"Suspended\""
        );
        assert_eq!(alert["startsAt"], "2026-01-01T00:05:00Z");
        assert_eq!(alert["endsAt"], "2026-01-01T02:15:00Z");
        assert_eq!(alert["generatorURL"], format!("https://drift.example/api/v1/findings/{print}"));
    }

    #[tokio::test]
    async fn a_finding_keeps_its_labels_until_it_is_resolved() {
        let peer = Peer::answering(&[]).await;
        let notifier = notifier(&peer, &json!({}));
        let mut worse = finding("logs");
        worse.priority = 1;
        for notice in [firing(finding("logs")), firing(worse.clone()), resolved(worse.clone()), firing(worse)] {
            notifier.send(&batch(vec![notice])).await.unwrap();
        }
        let told: Vec<String> =
            peer.seen().iter().map(|request| request.json()[0]["labels"]["priority"].to_string()).collect();
        assert_eq!(told, [r#""2""#, r#""2""#, r#""2""#, r#""1""#]);
        assert_eq!(peer.seen()[2].json()[0]["endsAt"], "2026-01-01T01:00:00Z");
        assert!(peer.seen()[1].json()[0]["annotations"]["priority"].to_string().contains("P1"));
    }

    #[tokio::test]
    async fn many_alerts_go_in_chunks() {
        let peer = Peer::answering(&[]).await;
        let notices = (0..1201).map(|n| firing(finding(&format!("b{n}")))).collect();
        notifier(&peer, &json!({})).send(&batch(notices)).await.unwrap();
        let sizes: Vec<usize> = peer.seen().iter().map(|request| request.json().as_array().unwrap().len()).collect();
        assert_eq!(sizes, [500, 500, 201]);
    }

    #[tokio::test]
    async fn credentials_come_from_references() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "t0ken\n").unwrap();
        let secret = format!("${{file:{}}}", path.display());
        let peer = Peer::answering(&[]).await;
        let one = batch(vec![firing(finding("logs"))]);
        notifier(&peer, &json!({"bearer": secret})).send(&one).await.unwrap();
        notifier(&peer, &json!({"basic_auth": {"username": "u", "password": secret}})).send(&one).await.unwrap();
        let seen = peer.seen();
        assert_eq!(seen[0].header("authorization"), "Bearer t0ken");
        assert_eq!(seen[1].header("authorization"), "Basic dTp0MGtlbg==");
    }

    #[tokio::test]
    async fn only_what_may_pass_is_tried_again() {
        for (code, again) in [(503, true), (429, true), (400, false), (401, false), (302, false)] {
            let peer = Peer::answering(&[code]).await;
            let outcome = notifier(&peer, &json!({})).send(&batch(vec![firing(finding("logs"))])).await;
            assert_eq!(matches!(outcome, Err(NotifyError::Retry { .. })), again, "{code}");
        }
    }
}
