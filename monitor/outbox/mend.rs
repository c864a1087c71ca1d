//! Mending what was saved, at most once.
//!
//! One hook at a time. The order is what holds the promise: the gate, the audit record, the intent, the call, the reading
//! back, the conclusion. An intent without a conclusion is of unknown outcome for ever, and a person must look.

use std::sync::Arc;
use std::time::Duration;

use driftwarden_core::compare::Patch;
use driftwarden_core::decide::Action;
use driftwarden_core::finding::{Finding, Fingerprint};
use driftwarden_core::resource::Scope;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Outbox, tolerated};
use crate::remediate::gate::{self, Facts, Reason, Run, Verdict};
use crate::remediate::{self, Answer, Call, Ended, Hook, Mode, Reading, Switch};
use crate::store::{
    Intent, IntentFilter, IntentId, IntentState, NewIntent, OutboxKind, OutboxRow, Outcome, StoreError,
};
use crate::telemetry::emit;
use crate::telemetry::events::{HookEnded, OutboxFailed};

const LIMIT: u32 = 100;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SOON: SignedDuration = SignedDuration::from_mins(1);
/// The pause between two readings back.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// One saved request to mend.
#[derive(Debug, Clone)]
struct Request {
    row: i64,
    hook: Arc<str>,
    fingerprint: Fingerprint,
    generation: u32,
}

impl Outbox {
    /// Notes that nobody knows what became of the hooks that were running when the daemon ended.
    pub(super) async fn recover(&self, now: Timestamp) -> Result<(), StoreError> {
        let started = IntentFilter { state: Some(IntentState::Started), ..IntentFilter::default() };
        for intent in self.store.intents(&started).await? {
            let detail = "the daemon ended while the hook may have been running; it is not run again";
            self.conclude(intent.id, (IntentState::UnknownOutcome, detail), now).await?;
            let NewIntent { hook, fingerprint, .. } = &intent.new;
            self.log_end(hook, *fingerprint, (IntentState::UnknownOutcome.as_str(), detail), None).await;
        }
        Ok(())
    }

    /// Mends everything that is due, one by one.
    pub(super) async fn mend(&self) -> Result<(), StoreError> {
        for row in self.store.due(OutboxKind::Remediate, self.now(), LIMIT).await? {
            if let Some(request) = Request::of(&row) {
                self.mend_one(&request).await?;
            }
        }
        self.count().await
    }

    async fn mend_one(&self, request: &Request) -> Result<(), StoreError> {
        let Some(finding) = self.store.finding(request.fingerprint).await? else {
            return tolerated(self.store.sent(self.epoch, request.row, self.now()).await);
        };
        let hooks = self.hooks.load_full();
        let Some(hook) = hooks.by_name.get(&request.hook) else {
            return self.refuse(request, &finding, "the hook is not configured any more").await;
        };
        let (verdict, patch) = self.ask(request, hook, &finding).await?;
        match verdict {
            Verdict::Go if hook.mode == Mode::DryRun => {
                self.refuse(request, &finding, &format!("dry run: would {}", hook.describe())).await
            }
            Verdict::Go => self.start(request, hook, (&finding, patch.as_ref())).await,
            Verdict::Refused(reason) => self.refuse(request, &finding, &reason.to_string()).await,
            Verdict::Later(at, reason) => self.put_back(request, at, &reason.to_string()).await,
            Verdict::Reread => self.put_back(request, self.now() + SOON, "the resource was not re-read in time").await,
        }
    }

    /// Asks the gate, and again after a re-read if all but that is fine. The second time everything is looked up anew.
    /// Returns what the re-read says would put the resource back, too.
    async fn ask(
        &self,
        request: &Request,
        hook: &Hook,
        finding: &Finding,
    ) -> Result<(Verdict, Option<Patch>), StoreError> {
        let first = self.ask_with(request, hook, None).await?;
        if first != Verdict::Reread {
            return Ok((first, None));
        }
        let reading = self.peers.reread.reread(finding).await;
        let verdict = self.ask_with(request, hook, Some(&reading)).await?;
        Ok((verdict, reading.patch))
    }

    async fn ask_with(&self, request: &Request, hook: &Hook, reading: Option<&Reading>) -> Result<Verdict, StoreError> {
        let now = self.now();
        let Some(finding) = self.store.finding(request.fingerprint).await? else {
            return Ok(Verdict::Refused(Reason::NotOpen));
        };
        let by_hook =
            IntentFilter { hook: Some(request.hook.to_string()), since: Some(now - HOUR), ..IntentFilter::default() };
        let on_resource = IntentFilter { resource: Some(finding.evidence.resource.clone()), ..IntentFilter::default() };
        let digest = remediate::approval_digest(&request.hook, &finding);
        Ok(gate::decide(&Facts {
            now,
            hook,
            generation: request.generation,
            finding: Some(&finding),
            kill_switch: self.kill_switch.get(),
            approval: self.peers.approvals.approval(&digest).await,
            population: self.population(&finding.scope).await?,
            by_hook: &runs(self.store.intents(&by_hook).await?),
            on_resource: &runs(self.store.intents(&on_resource).await?),
            reading,
        }))
    }

    /// Returns how many resources Git declares in a scope, if its last scan read it to the end.
    async fn population(&self, scope: &Scope) -> Result<Option<u64>, StoreError> {
        let scopes = self.store.scopes().await?;
        let state = scopes.into_iter().find(|state| state.last.scope == *scope);
        Ok(state.filter(|state| state.last.complete).map(|state| state.last.managed))
    }

    async fn start(
        &self,
        request: &Request,
        hook: &Hook,
        (finding, patch): (&Finding, Option<&Patch>),
    ) -> Result<(), StoreError> {
        let subject = format!("{} {} {}", request.hook, finding.fingerprint, finding.evidence.resource);
        let audited = self.peers.audit.append("hook.started", &subject, &hook.describe()).await;
        if let Err(error) = audited {
            emit(&OutboxFailed { what: "write the audit record of a hook", error: format!("{error:#}") });
            return self.put_back(request, self.now() + SOON, "the audit log cannot be written").await;
        }
        if self.kill_switch.get() == Switch::Stop {
            return self.put_back(request, self.now() + SOON, &Reason::KillSwitch.to_string()).await;
        }
        if let Some(intent) = self.store.intend(self.epoch, &request.intent(finding, self.now())).await? {
            self.carry_out(intent, hook, (finding, patch)).await?;
        }
        tolerated(self.store.sent(self.epoch, request.row, self.now()).await)
    }

    async fn carry_out(
        &self,
        intent: IntentId,
        hook: &Hook,
        (finding, patch): (&Finding, Option<&Patch>),
    ) -> Result<(), StoreError> {
        let key = remediate::call_key(&hook.name, finding);
        let call = Call { key: &key, finding, patch, now: self.now() };
        let span = tracing::info_span!("hook", hook = %hook.name, fingerprint = %finding.fingerprint, key);
        let began = Instant::now();
        let ended = hook.call(call).instrument(span).await;
        let seconds = began.elapsed().as_secs_f64();
        let (state, detail) = self.judge(ended, hook, finding).await;
        self.conclude(intent, (state, &detail), self.now()).await?;
        self.log_end(&hook.name, finding.fingerprint, (state.as_str(), &detail), Some(seconds)).await;
        Ok(())
    }

    /// Returns what became of a call: what the hook says of itself counts only against it.
    async fn judge(&self, ended: Ended, hook: &Hook, finding: &Finding) -> (IntentState, String) {
        let said = match ended {
            Ended::Badly(why) => return (IntentState::Failed, why),
            Ended::Well(said) | Ended::Unknown(said) => said,
        };
        match self.read_back(hook, finding).await {
            Answer::Gone => (IntentState::Verified, said),
            Answer::StillThere => (IntentState::Failed, format!("{said}; the drift is still there")),
            Answer::Unknown(why) => (IntentState::UnknownOutcome, format!("{said}; failed to read back: {why}")),
        }
    }

    async fn read_back(&self, hook: &Hook, finding: &Finding) -> Answer {
        let patience = Duration::try_from(hook.verify_for).unwrap_or_default();
        let began = Instant::now();
        loop {
            let answer = self.peers.reread.reread(finding).await.answer;
            if answer == Answer::Gone || began.elapsed() >= patience {
                return answer;
            }
            tokio::time::sleep(LOOK_EVERY.min(patience)).await;
        }
    }

    /// Notes for ever that the hook is not called for this generation.
    async fn refuse(&self, request: &Request, finding: &Finding, why: &str) -> Result<(), StoreError> {
        let now = self.now();
        if let Some(intent) = self.store.intend(self.epoch, &request.intent(finding, now)).await? {
            self.conclude(intent, (IntentState::Refused, why), now).await?;
            let result = if why.starts_with("dry run") { "dry_run" } else { IntentState::Refused.as_str() };
            emit(&HookEnded {
                hook: &request.hook,
                fingerprint: request.fingerprint,
                result,
                seconds: None,
                detail: why,
            });
        }
        tolerated(self.store.sent(self.epoch, request.row, now).await)
    }

    async fn put_back(&self, request: &Request, at: Timestamp, why: &str) -> Result<(), StoreError> {
        tolerated(self.store.retry(self.epoch, &[request.row], at, why).await)
    }

    async fn conclude(
        &self,
        id: IntentId,
        (state, detail): (IntentState, &str),
        at: Timestamp,
    ) -> Result<(), StoreError> {
        tolerated(self.store.conclude(self.epoch, id, Outcome { state, detail, at }).await)
    }

    /// Logs the end of a hook. It has happened: an audit log that cannot be written now changes nothing about it.
    async fn log_end(
        &self,
        hook: &str,
        fingerprint: Fingerprint,
        (result, detail): (&'static str, &str),
        seconds: Option<f64>,
    ) {
        emit(&HookEnded { hook, fingerprint, result, seconds, detail });
        let subject = format!("{hook} {fingerprint}");
        if let Err(error) = self.peers.audit.append("hook.ended", &subject, &format!("{result}: {detail}")).await {
            emit(&OutboxFailed { what: "write the audit record of a hook", error: format!("{error:#}") });
        }
    }
}

impl Request {
    fn of(row: &OutboxRow) -> Option<Self> {
        let Action::Remediate { hook, fingerprint, generation } = &row.action else { return None };
        Some(Self { row: row.id, hook: Arc::clone(hook), fingerprint: *fingerprint, generation: *generation })
    }

    fn intent(&self, finding: &Finding, at: Timestamp) -> NewIntent {
        NewIntent {
            hook: self.hook.to_string(),
            fingerprint: self.fingerprint,
            generation: self.generation,
            resource: finding.evidence.resource.clone(),
            at,
        }
    }
}

/// Returns the calls among intents. What is not known to have gone well counts against the hook.
fn runs(intents: Vec<Intent>) -> Vec<Run> {
    let run = |intent: Intent| {
        let result = match intent.state {
            IntentState::Refused => return None,
            IntentState::Verified => gate::Result::Verified,
            IntentState::Started | IntentState::Failed | IntentState::UnknownOutcome => gate::Result::Failed,
        };
        Some(Run { resource: intent.new.resource, at: intent.new.at, result })
    };
    intents.into_iter().filter_map(run).collect()
}
