//! Any HTTP receiver, signed as Standard Webhooks asks.
//!
//! One request per batch whatever its size: the worst findings in full, the rest as a number, to be had from the API.

use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::decide::{Notice, Status};
use jiff::SignedDuration;
use reqwest::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::config::{ConfigError, Settings};
use super::{Batch, Notifier, NotifierType, NotifyError};
use crate::outbound;
use crate::secret::Secret;
use crate::view::FindingView;

pub(super) const TYPE: NotifierType = NotifierType { word: "webhook", build, schema: WebhookConfig::json_schema };

/// Findings that one request shows in full.
const SHOWN: usize = 500;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebhookConfig {
    /// Where to post.
    url: Url,
    /// Key of the signature: base64, with or without `whsec_` before it.
    #[serde(default)]
    secret: Option<Secret>,
    /// How long one request may take.
    #[serde(default = "ten_seconds")]
    #[schemars(with = "String")]
    timeout: SignedDuration,
}

const fn ten_seconds() -> SignedDuration {
    SignedDuration::from_secs(10)
}

struct Webhook {
    config: WebhookConfig,
    client: Client,
}

#[derive(Debug, Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    receiver: &'a str,
    group: &'a str,
    firing: usize,
    resolved: usize,
    /// Findings that are not shown.
    omitted: usize,
    findings: Vec<Told>,
}

#[derive(Debug, Serialize)]
struct Told {
    status: &'static str,
    #[serde(flatten)]
    finding: FindingView,
}

fn build(settings: &Settings<'_>) -> Result<Arc<dyn Notifier>, ConfigError> {
    let config: WebhookConfig = settings.parse()?;
    if let Some(objection) = outbound::objection(&config.url) {
        return Err(settings.error(objection));
    }
    Ok(Arc::new(Webhook { client: settings.client(config.timeout)?, config }))
}

#[async_trait]
impl Notifier for Webhook {
    async fn send(&self, batch: &Batch) -> Result<(), NotifyError> {
        let body = serde_json::to_vec(&payload(batch)).map_err(|error| NotifyError::GiveUp { source: error.into() })?;
        let secret = self.config.secret.as_ref().map(Secret::read).transpose().map_err(NotifyError::for_now)?;
        let request = self.client.post(self.config.url.clone());
        let request =
            outbound::sign(request, &batch.dedup, batch.now, body, secret.as_ref()).map_err(NotifyError::for_now)?;
        Ok(outbound::deliver(&self.config.url, request, batch.now).await?)
    }
}

fn payload(batch: &Batch) -> Payload<'_> {
    let firing = batch.notices.iter().filter(|notice| notice.status == Status::Firing).count();
    let resolved = batch.notices.len() - firing;
    let mut worst_first: Vec<&Notice> = batch.notices.iter().collect();
    worst_first.sort_by_key(|notice| (notice.finding.priority, notice.finding.fingerprint));
    Payload {
        type_: match (firing, resolved) {
            (_, 0) => "findings.firing",
            (0, _) => "findings.resolved",
            _ => "findings.mixed",
        },
        timestamp: batch.now.to_string(),
        data: Data {
            receiver: &batch.receiver,
            group: &batch.group,
            firing,
            resolved,
            omitted: batch.notices.len().saturating_sub(SHOWN),
            findings: worst_first.into_iter().take(SHOWN).map(told).collect(),
        },
    }
}

fn told(notice: &Notice) -> Told {
    Told { status: notice.status.as_str(), finding: FindingView::from(&notice.finding) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::notify::{Config, ReceiverConfig, RouteConfig, batch};
    use crate::outbound::peer::Peer;
    use crate::outbound::samples::{finding, firing, resolved};

    fn notifier(peer: &Peer, secret: &str) -> Arc<dyn Notifier> {
        let receiver = json!({"name": "chat", "type": "webhook", "url": peer.url, "secret": secret});
        let route = Some(RouteConfig { receiver: Some("chat".to_owned()), ..Default::default() });
        let receivers = vec![ReceiverConfig::deserialize(receiver).unwrap()];
        let built = Config { receivers, route, external_url: None }.build().unwrap();
        Arc::clone(built.by_name.values().next().unwrap())
    }

    #[tokio::test]
    async fn a_batch_is_posted_signed_under_its_dedup_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "whsec_c2VjcmV0").unwrap();
        let peer = Peer::answering(&[503]).await;
        let notifier = notifier(&peer, &format!("${{file:{}}}", path.display()));
        let batch = batch(vec![firing(finding("a")), resolved(finding("b"))]);
        assert!(matches!(notifier.send(&batch).await, Err(NotifyError::Retry { .. })));
        notifier.send(&batch).await.unwrap();
        let [first, second] = peer.seen().try_into().unwrap();
        assert_eq!(first.header("webhook-id"), "d1");
        assert_eq!(first.header("webhook-timestamp"), "1767232800");
        assert!(first.header("webhook-signature").starts_with("v1,"));
        assert_eq!(first.headers.get("webhook-signature"), second.headers.get("webhook-signature"));
        let told = first.json();
        assert_eq!((&told["type"], &told["data"]["firing"]), (&json!("findings.mixed"), &json!(1)));
        assert_eq!(told["data"]["findings"].as_array().unwrap().len(), 2);
        assert_eq!(told["data"]["findings"][0]["resource"]["kind"], "AWS::S3::Bucket");
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_sends_nothing_and_is_tried_again() {
        let peer = Peer::answering(&[]).await;
        let outcome = notifier(&peer, "${file:/nowhere/at/all}").send(&batch(vec![firing(finding("a"))])).await;
        assert!(matches!(outcome, Err(NotifyError::Retry { .. })));
        assert!(peer.seen().is_empty());
    }

    #[test]
    fn of_very_many_findings_the_worst_are_shown() {
        let mut notices: Vec<Notice> = (0..2000).map(|n| firing(finding(&format!("b{n}")))).collect();
        notices[1999].finding.priority = 1;
        let batch = batch(notices);
        let payload = payload(&batch);
        assert_eq!((payload.data.firing, payload.data.omitted, payload.data.findings.len()), (2000, 1500, SHOWN));
        assert_eq!(payload.data.findings[0].finding.priority, 1);
    }
}
