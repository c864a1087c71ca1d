//! A hook at the other end of a signed request.
//!
//! Sent once. An answer that never came proves nothing: the request may have been acted on.

use std::time::Duration;

use reqwest::Client;

use super::config::WebhookConfig;
use super::{Call, Ended};
use crate::outbound;

/// An address that is posted to.
#[derive(Debug)]
pub(super) struct Webhook {
    config: WebhookConfig,
    client: Client,
}

impl Webhook {
    pub(super) fn new(config: WebhookConfig, timeout: Duration) -> reqwest::Result<Self> {
        Ok(Self { config, client: outbound::client(timeout)? })
    }

    pub(super) fn describe(&self) -> String {
        format!("post to {}", self.config.url.host_str().unwrap_or_default())
    }

    pub(super) async fn post(&self, body: Vec<u8>, call: Call<'_>) -> Ended {
        let secret = match self.config.secret.read() {
            Ok(secret) => secret,
            Err(error) => return Ended::Badly(error.to_string()),
        };
        let request = self.client.post(self.config.url.clone());
        let request = match outbound::sign(request, call.key, call.now, body, Some(&secret)) {
            Ok(request) => request,
            Err(error) => return Ended::Badly(error.to_string()),
        };
        match outbound::deliver(&self.config.url, request, call.now).await {
            Ok(()) => Ended::Well("accepted".to_owned()),
            Err(error) if error.may_have_acted() => Ended::Unknown(error.to_string()),
            Err(error) => Ended::Badly(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::outbound::peer::Peer;
    use crate::outbound::samples;
    use crate::secret::Secret;

    async fn post(code: u16) -> (Ended, Peer) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "whsec_c2VjcmV0").unwrap();
        let peer = Peer::answering(&[code]).await;
        let secret = Secret::parse(&format!("${{file:{}}}", path.display())).unwrap();
        let webhook = Webhook::new(WebhookConfig { url: peer.url.clone(), secret }, Duration::from_secs(5)).unwrap();
        let finding = samples::finding("logs");
        let call = Call { key: "k1", finding: &finding, patch: None, now: samples::at("2026-01-01T02:00:00Z") };
        (webhook.post(b"{}".to_vec(), call).await, peer)
    }

    #[tokio::test]
    async fn only_an_answer_says_how_it_went() {
        assert_eq!(post(202).await.0, Ended::Well("accepted".to_owned()));
        assert!(matches!(post(403).await.0, Ended::Badly(_)));
        assert!(matches!(post(502).await.0, Ended::Unknown(_)));
    }

    #[tokio::test]
    async fn the_request_is_signed_and_can_be_told_from_a_repetition() {
        let (_, peer) = post(200).await;
        let [request] = peer.seen().try_into().unwrap();
        assert_eq!(request.header("webhook-id"), "k1");
        assert!(request.header("webhook-signature").starts_with("v1,"));
    }
}
