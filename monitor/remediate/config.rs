//! What the section `remediate` of the configuration says, and why it may be wrong.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use driftwarden_core::decide::HookRule;
use driftwarden_core::matcher::Matcher;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::exec::Exec;
use super::gate::Limits;
use super::webhook::Webhook;
use super::window::Window;
use super::{Effect, Hook, Hooks};
use crate::outbound;
use crate::secret::Secret;

/// What is called to mend.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The hooks.
    #[serde(default)]
    pub hooks: Vec<HookConfig>,
    /// Stops every hook that has not begun.
    #[serde(default)]
    pub kill_switch: bool,
}

/// Says why a hook cannot wait for an approval.
const NOBODY_APPROVES: &str = "`mode: approve` is not possible yet, for nobody can approve; hint: `dry_run` records what would be \
                               called, `apply` calls it within the limits and the window";

/// How far a hook may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nowhere.
    Off,
    /// Everything but the call itself: what would be called is recorded.
    #[default]
    DryRun,
    /// It is called when somebody approved. Not possible yet: such a hook is refused.
    Approve,
    /// It is called.
    Apply,
}

impl Mode {
    /// Returns the word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DryRun => "dry_run",
            Self::Approve => "approve",
            Self::Apply => "apply",
        }
    }
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Matchers, all of which a finding must fulfill.
    #[serde(rename = "match")]
    pub match_: Vec<String>,
    /// A command to run.
    #[serde(default)]
    pub exec: Option<ExecConfig>,
    /// An address to post to.
    #[serde(default)]
    pub webhook: Option<WebhookConfig>,
    /// How far it may go.
    #[serde(default)]
    pub mode: Mode,
    /// When it may begin: a cron expression of five, six (seconds first) or seven (year last) fields. Weekdays are 0 to 7
    /// with Sunday at both ends, or names. Always, if not said.
    #[serde(default)]
    pub window: Option<String>,
    /// Time zone of the window, as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// How long the window stays open.
    #[serde(default = "an_hour")]
    #[schemars(with = "String")]
    pub window_for: SignedDuration,
    /// How long a call may take.
    #[serde(default = "five_minutes")]
    #[schemars(with = "String")]
    pub timeout: SignedDuration,
    /// How long one resource is left alone after a call.
    #[serde(default = "ten_minutes")]
    #[schemars(with = "String")]
    pub cooldown: SignedDuration,
    /// Calls in one scope within an hour, at most.
    #[serde(default = "five")]
    pub max_actions: u32,
    /// The same, as a part of all resources that Git declares in the scope; nothing is called while that is not known.
    #[serde(default = "ten")]
    pub max_percent: u8,
    /// Calls in all scopes within an hour, at most.
    #[serde(default = "twenty")]
    pub max_per_hour: u32,
    /// After one call a pause of this length, then two calls, a pause, four, and so on.
    #[serde(default = "five_minutes")]
    #[schemars(with = "String")]
    pub ramp_pause: SignedDuration,
    /// How long the drift may take to go after a call.
    #[serde(default = "two_minutes")]
    #[schemars(with = "String")]
    pub verify_for: SignedDuration,
}

/// A command. It gets the finding as JSON on its standard input; nothing of a finding is ever part of the command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    /// Program, by its whole path, and arguments.
    pub command: Vec<String>,
    /// Names of environment variables that it may see; `PATH` is fixed.
    #[serde(default)]
    pub env: Vec<String>,
    /// Where it runs: a private empty folder, if not said.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// What it may use.
    #[serde(default)]
    pub limits: ExecLimits,
}

/// What a command, and all that it starts, may use. Beyond that it is refused, or ended by the system. What runs as
/// another user, by `sudo` for one, is not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecLimits {
    /// Address space of each process, in MiB. Some run times reserve far more than they use.
    pub memory_mib: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Processes and threads of the user that runs it, those of others included. It does not bind root.
    pub processes: u64,
    /// Size of each file that it writes, in MiB.
    pub file_size_mib: u64,
}

impl Default for ExecLimits {
    fn default() -> Self {
        Self { memory_mib: 4096, open_files: 1024, processes: 1024, file_size_mib: 1024 }
    }
}

/// An address that is posted to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The address.
    pub url: Url,
    /// Key of the signature: base64, with or without `whsec_` before it.
    pub secret: Secret,
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn an_hour() -> SignedDuration {
    SignedDuration::from_hours(1)
}

const fn two_minutes() -> SignedDuration {
    SignedDuration::from_mins(2)
}

const fn five_minutes() -> SignedDuration {
    SignedDuration::from_mins(5)
}

const fn ten_minutes() -> SignedDuration {
    SignedDuration::from_mins(10)
}

const fn five() -> u32 {
    5
}

const fn ten() -> u8 {
    10
}

const fn twenty() -> u32 {
    20
}

/// What is wrong with a hook.
#[derive(Debug, thiserror::Error)]
#[error("invalid hook `{hook}`: {why}")]
pub struct ConfigError {
    hook: Arc<str>,
    why: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Config {
    /// Returns the hooks that this says. Calls none.
    pub fn build(&self) -> Result<Hooks, ConfigError> {
        let mut hooks = Hooks::default();
        for config in &self.hooks {
            hooks.rules.push(HookRule { hook: Arc::clone(&config.name), matchers: config.matchers()? });
            if hooks.by_name.insert(Arc::clone(&config.name), Arc::new(config.build()?)).is_some() {
                return Err(config.error("another one has the same name"));
            }
        }
        Ok(hooks)
    }
}

impl HookConfig {
    fn error(&self, why: impl Into<String>) -> ConfigError {
        ConfigError { hook: Arc::clone(&self.name), why: why.into(), source: None }
    }

    fn because(&self, why: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConfigError {
        ConfigError { source: Some(source.into()), ..self.error(why) }
    }

    fn matchers(&self) -> Result<Vec<Matcher>, ConfigError> {
        if self.match_.is_empty() {
            return Err(self.error("`match` must say which findings it mends"));
        }
        let parse = |text: &String| Matcher::parse(text).map_err(|error| self.because("bad `match`", error));
        self.match_.iter().map(parse).collect()
    }

    fn build(&self) -> Result<Hook, ConfigError> {
        if self.mode == Mode::Approve {
            return Err(self.error(NOBODY_APPROVES));
        }
        let window = self
            .window
            .as_deref()
            .map(|cron| Window::parse(cron, &self.timezone, self.window_for))
            .transpose()
            .map_err(|error| self.because("bad `window`", error))?;
        Ok(Hook {
            name: Arc::clone(&self.name),
            mode: self.mode,
            limits: self.limits()?,
            verify_for: self.verify_for,
            window,
            effect: self.effect()?,
        })
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        if !(1..=100).contains(&self.max_percent) {
            return Err(self.error("`max_percent` must be 1 to 100"));
        }
        Ok(Limits {
            max_actions: self.max_actions,
            max_percent: self.max_percent,
            max_per_hour: self.max_per_hour,
            cooldown: self.cooldown,
            ramp_pause: self.ramp_pause,
        })
    }

    fn effect(&self) -> Result<Effect, ConfigError> {
        let timeout = Duration::try_from(self.timeout).ok().filter(|timeout| !timeout.is_zero());
        let timeout = timeout.ok_or_else(|| self.error("`timeout` must be longer than nothing"))?;
        match (&self.exec, &self.webhook) {
            (Some(exec), None) => Exec::new(exec, timeout).map(Effect::Exec).map_err(|why| self.error(why)),
            (None, Some(webhook)) => match outbound::objection(&webhook.url) {
                Some(objection) => Err(self.error(objection)),
                None => Webhook::new(webhook.clone(), timeout)
                    .map(Effect::Webhook)
                    .map_err(|error| self.because("no HTTP client can be made", error)),
            },
            _ => Err(self.error("it must have either `exec` or `webhook`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(more: &Value, complaint: &str) {
        let mut hook = json!({"name": "h", "match": ["type=drift"], "exec": {"command": ["/bin/true"]}});
        hook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config = Config::deserialize(json!({"hooks": [hook]})).unwrap();
        let found = config.build().map_or_else(|error| error.to_string(), |_| String::new());
        assert!(found.contains(complaint) && found.is_empty() == complaint.is_empty(), "{more}: {found}");
    }

    #[test]
    fn a_hook_that_could_do_harm_is_refused() {
        check(&json!({}), "");
        check(&json!({"match": []}), "which findings");
        check(&json!({"match": ["kimd=x"]}), "bad `match`");
        check(&json!({"exec": null}), "either `exec` or `webhook`");
        check(&json!({"exec": {"command": []}}), "no program");
        check(&json!({"exec": {"command": ["reapply"]}}), "whole path");
        check(&json!({"exec": {"command": ["/bin/true"], "dir": "x"}}), "whole path");
        check(&json!({"exec": {"command": ["/bin/true"], "env": ["A=b"]}}), "`A=b`");
        check(&json!({"mode": "approve"}), "hint: `dry_run`");
        check(&json!({"max_percent": 0}), "max_percent");
        check(&json!({"timeout": "0s"}), "timeout");
        check(&json!({"window": "often"}), "bad `window`");
        check(&json!({"window": "0 2 * * *", "timezone": "Mars/Olympus"}), "bad `window`");
    }

    #[test]
    fn without_a_word_a_hook_runs_dry() {
        let hook = json!({"name": "h", "match": ["type=drift"], "exec": {"command": ["/bin/true"]}});
        let hooks = Config::deserialize(json!({"hooks": [hook]})).unwrap().build().unwrap();
        assert_eq!(hooks.by_name["h"].mode, Mode::DryRun);
    }
}
