//! Mending: hooks, and the gate before them.
//!
//! A hook is called with a finding and told nothing else. Whether it may be called is decided by [`gate`], a pure function;
//! that it is called once is held by the outbox. A hook is never retried here, and nothing here writes to a cloud.

mod config;
mod confine;
mod exec;
pub mod gate;
mod webhook;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use driftwarden_core::compare::Patch;
use driftwarden_core::decide::HookRule;
use driftwarden_core::finding::Finding;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

pub use config::{Config, ConfigError, ExecConfig, HookConfig, Mode, WebhookConfig};

use crate::view::FindingView;
use exec::Exec;
use gate::Limits;
use webhook::Webhook;
use window::Window;

/// The configured hooks.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// By name.
    pub by_name: BTreeMap<Arc<str>, Arc<Hook>>,
    /// Which findings each may mend.
    pub rules: Vec<HookRule>,
}

/// One hook.
#[derive(Debug)]
pub struct Hook {
    /// Its name.
    pub name: Arc<str>,
    /// How far it may go.
    pub mode: Mode,
    /// What it must stay within.
    pub limits: Limits,
    /// How long the drift may take to go after the hook ended well.
    pub verify_for: SignedDuration,
    window: Option<Window>,
    effect: Effect,
}

#[derive(Debug)]
enum Effect {
    Exec(Exec),
    Webhook(Webhook),
}

/// What a hook is called with.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Same for one hook and one generation of a finding, for ever: whoever is called can tell a repetition.
    pub key: &'a str,
    /// The finding.
    pub finding: &'a Finding,
    /// What puts the resource back to what Git declares, by the re-read before the call.
    pub patch: Option<&'a Patch>,
    /// When.
    pub now: Timestamp,
}

/// How a call ended, as far as the hook itself can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It says that it did its work.
    Well(String),
    /// It says that it did not, or it never began.
    Badly(String),
    /// Nobody can say whether it did.
    Unknown(String),
}

/// The JSON on the standard input of a command, and in the body of a webhook.
#[derive(Debug, Serialize)]
struct Payload<'a> {
    hook: &'a str,
    mode: Mode,
    generation: u32,
    key: &'a str,
    timestamp: String,
    finding: FindingView,
    /// Operations of RFC 6902 that write what drifted and nothing else; null where there is nothing to patch.
    patch: Option<&'a [Value]>,
    /// Pointers of changes that the patch leaves out, because a secret would have to be shown or what was read has moved.
    withheld: &'a [String],
}

impl Hook {
    /// Calls the hook and waits for its end, at most for as long as the configuration says.
    pub async fn call(&self, call: Call<'_>) -> Ended {
        let payload = match serde_json::to_vec(&self.payload(call)) {
            Ok(payload) => payload,
            Err(error) => return Ended::Badly(format!("failed to write the finding: {error}")),
        };
        match &self.effect {
            Effect::Exec(exec) => exec.run(payload).await,
            Effect::Webhook(webhook) => webhook.post(payload, call).await,
        }
    }

    /// Returns what a call would do, for people.
    pub fn describe(&self) -> String {
        match &self.effect {
            Effect::Exec(exec) => exec.describe(),
            Effect::Webhook(webhook) => webhook.describe(),
        }
    }

    fn payload<'a>(&'a self, call: Call<'a>) -> Payload<'a> {
        Payload {
            hook: &self.name,
            mode: self.mode,
            generation: call.finding.generation,
            key: call.key,
            timestamp: call.now.to_string(),
            finding: FindingView::from(call.finding),
            patch: call.patch.map(|patch| &*patch.operations),
            withheld: call.patch.map(|patch| &*patch.withheld).unwrap_or_default(),
        }
    }
}

/// Returns the key of one hook's one call for one generation of a finding.
pub fn call_key(hook: &str, finding: &Finding) -> String {
    digest(&[hook, &finding.fingerprint.to_string(), &finding.generation.to_string()])
}

/// Returns what an approval approves: this hook, for this finding, with exactly these changes. If the finding grows or the
/// values move, the approval is for something else (I20).
pub fn approval_digest(hook: &str, finding: &Finding) -> String {
    let changes: Vec<String> = finding
        .evidence
        .changes
        .iter()
        .map(|change| format!("{} {} {}", change.path, change.desired, change.observed))
        .collect();
    digest(&[&call_key(hook, finding), &changes.join("\n")])
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().as_str().get(..32).unwrap_or_default().to_owned()
}

/// Stops every hook that has not begun. Shared by whoever may pull it.
#[derive(Debug, Default)]
pub struct KillSwitch(AtomicBool);

impl KillSwitch {
    /// Stops hooks, or allows them again.
    pub fn set(&self, to: Switch) {
        self.0.store(to == Switch::Stop, Ordering::SeqCst);
    }

    /// Returns how it stands.
    pub fn get(&self) -> Switch {
        if self.0.load(Ordering::SeqCst) { Switch::Stop } else { Switch::Run }
    }
}

/// How the kill switch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Hooks may run.
    Run,
    /// No hook begins.
    Stop,
}

/// Whether somebody approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Nobody has said anything.
    Awaited,
    /// Somebody approved exactly this.
    Given,
    /// Somebody refused exactly this.
    Denied,
}

/// Who knows the approvals.
#[async_trait]
pub trait Approvals: Send + Sync {
    /// Returns what was said about the thing of that digest ([`approval_digest`]).
    async fn approval(&self, digest: &str) -> Approval;
}

/// What an exact re-read of a finding's resource said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The drift or violation is still there.
    StillThere,
    /// It is gone, and that was read completely.
    Gone,
    /// It could not be read, for that reason.
    Unknown(String),
}

/// An exact re-read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What it said.
    pub answer: Answer,
    /// When.
    pub at: Timestamp,
    /// The commit of the finding's source that it was compared with, where Git declares the resource.
    pub revision: Option<Arc<str>>,
    /// What would put the resource back, where something differs.
    pub patch: Option<Patch>,
}

/// Who can re-read.
#[async_trait]
pub trait Reread: Send + Sync {
    /// Reads the resource of a finding exactly and freshly, and compares it with the commit that is in force now.
    async fn reread(&self, finding: &Finding) -> Reading;
}
