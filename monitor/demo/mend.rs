//! The demo's hook: puts back what Git declares, through the simulated clouds' own APIs.
//!
//! It is given a finding, as every hook is, and sends the smallest patch. It is no tool for real clouds.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use url::Url;

use super::{kubernetes, patch};

/// Where the clouds are.
#[derive(Debug, Clone)]
pub struct Clouds {
    /// The simulated AWS.
    pub aws: Url,
    /// The simulated API server.
    pub kubernetes: Url,
}

/// Mends what a finding is about; `input` is what a hook gets on its standard input. Returns what was done.
pub async fn mend(input: &Value, clouds: &Clouds) -> anyhow::Result<String> {
    let finding = input.get("finding").unwrap_or(input);
    let text = |pointer: &str| {
        let found = finding.pointer(pointer).and_then(Value::as_str);
        found.with_context(|| format!("invalid finding: nothing at `{pointer}`"))
    };
    let changes = finding.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let patch = patch::putting_back(changes).context("the finding does not say what to put back")?;
    let (kind, name) = (text("/resource/kind")?, text("/resource/name")?);
    match text("/resource/cloud")? {
        "aws" => update_aws(&clouds.aws, kind, name, &patch).await?,
        "kubernetes" => patch_kubernetes(&clouds.kubernetes, kind, name, &patch).await?,
        other => bail!("the demo has no cloud `{other}`"),
    }
    Ok(format!("put back {patch} of {kind} {name}"))
}

async fn update_aws(endpoint: &Url, kind: &str, name: &str, patch: &Value) -> anyhow::Result<()> {
    let input = json!({"TypeName": kind, "Identifier": name, "PatchDocument": patch.to_string()});
    let request = client()?
        .post(endpoint.clone())
        .header(CONTENT_TYPE, "application/x-amz-json-1.0")
        .header("x-amz-target", "CloudApiService.UpdateResource")
        .body(input.to_string());
    send(request).await
}

async fn patch_kubernetes(server: &Url, kind: &str, name: &str, patch: &Value) -> anyhow::Result<()> {
    let path = kubernetes::path(kind, name).with_context(|| format!("the demo has no kind `{kind}`"))?;
    let url = server.join(&path).context("invalid address of the API server")?;
    let request = client()?.patch(url).header(CONTENT_TYPE, "application/json-patch+json").body(patch.to_string());
    send(request).await
}

pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing this race is as good as winning it.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5));
    builder.build().context("failed to set up the client")
}

async fn send(request: reqwest::RequestBuilder) -> anyhow::Result<()> {
    let answer = request.send().await.context("failed to reach the simulated cloud")?;
    ensure!(answer.status().is_success(), "the simulated cloud answered {}", answer.status().as_u16());
    Ok(())
}
