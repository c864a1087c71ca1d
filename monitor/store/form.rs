//! How findings and actions are written down: the store's own form, so that the model can change and old rows still load.
//!
//! Nothing is left out: what is read back equals what was written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use driftwarden_core::compare::{Change, ChangeOp};
use driftwarden_core::decide::{Action, Notice, Status};
use driftwarden_core::finding::{
    Actor, ActorKind, Arisen, Cause, Confidence, DriftKind, Evidence, Finding, Fingerprint, Phase, Proof, Severity,
    Subject,
};
use driftwarden_core::resource::{GapReason, Kind, Origin, Scope, Touched};
use driftwarden_core::schema::{Compiled, Schema};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Revision, StoreError, Unit, UnitGap};

/// Something that is kept as a JSON text.
pub(super) trait Form: Sized {
    /// Its written form.
    type Written: Serialize + DeserializeOwned;
    /// What it is called in an error.
    const WHAT: &'static str;

    /// Writes it down.
    fn written(&self) -> Self::Written;

    /// Reads it back, or says what is wrong with it.
    fn read(written: Self::Written) -> Result<Self, String>;
}

/// Returns the JSON text of `value`.
pub(super) fn to_text<T: Form>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(&value.written()).map_err(|error| StoreError::Row { what: T::WHAT, why: error.to_string() })
}

/// Returns the value of a JSON text.
pub(super) fn from_text<T: Form>(text: &str) -> Result<T, StoreError> {
    let invalid = |why| StoreError::Row { what: T::WHAT, why };
    let written = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    T::read(written).map_err(invalid)
}

fn word<T>(found: Option<T>, text: &str) -> Result<T, String> {
    found.ok_or_else(|| format!("unknown word `{text}`"))
}

#[derive(Serialize, Deserialize)]
pub(super) struct ScopeForm {
    cloud: Arc<str>,
    provider: String,
    account: Arc<str>,
    region: Arc<str>,
}

impl Form for Scope {
    type Written = ScopeForm;
    const WHAT: &'static str = "scope";

    fn written(&self) -> ScopeForm {
        let Self { cloud, provider, account, region } = self.clone();
        ScopeForm { cloud, provider: provider.as_str().to_owned(), account, region }
    }

    fn read(written: ScopeForm) -> Result<Self, String> {
        let ScopeForm { cloud, provider, account, region } = written;
        let provider = provider.parse().map_err(|_| format!("unknown word `{provider}`"))?;
        Ok(Self { cloud, provider, account, region })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SchemaForm {
    read_only: Vec<String>,
    write_only: Vec<String>,
    create_only: Vec<String>,
    defaults: BTreeMap<String, Value>,
    unordered: Vec<String>,
    #[serde(default)]
    partial: Vec<String>,
    free_form: Vec<String>,
    #[serde(default)]
    keys: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    sets: Vec<String>,
    #[serde(default)]
    atomic: Vec<String>,
    #[serde(default)]
    quantities: Vec<String>,
    #[serde(default)]
    durations: Vec<String>,
    #[serde(default)]
    encoded: Vec<String>,
    #[serde(default)]
    unstated: Vec<String>,
}

impl Form for Schema {
    type Written = SchemaForm;
    const WHAT: &'static str = "schema";

    fn written(&self) -> SchemaForm {
        let Self {
            read_only,
            write_only,
            create_only,
            defaults,
            unordered,
            partial,
            free_form,
            keys,
            sets,
            atomic,
            quantities,
            durations,
            encoded,
            unstated,
            compiled: _,
        } = self.clone();
        SchemaForm {
            read_only,
            write_only,
            create_only,
            defaults,
            unordered,
            partial,
            free_form,
            keys,
            sets,
            atomic,
            quantities,
            durations,
            encoded,
            unstated,
        }
    }

    fn read(written: SchemaForm) -> Result<Self, String> {
        let SchemaForm {
            read_only,
            write_only,
            create_only,
            defaults,
            unordered,
            partial,
            free_form,
            keys,
            sets,
            atomic,
            quantities,
            durations,
            encoded,
            unstated,
        } = written;
        Ok(Self {
            read_only,
            write_only,
            create_only,
            defaults,
            unordered,
            partial,
            free_form,
            keys,
            sets,
            atomic,
            quantities,
            durations,
            encoded,
            unstated,
            compiled: Compiled::default(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct FindingForm {
    fingerprint: String,
    generation: u32,
    phase: String,
    scope: ScopeForm,
    evidence: EvidenceForm,
    priority: u8,
    priority_reasons: Vec<String>,
    first_seen: Timestamp,
    last_seen: Timestamp,
    opened_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
    sightings: u32,
}

impl Form for Finding {
    type Written = FindingForm;
    const WHAT: &'static str = "finding";

    fn written(&self) -> FindingForm {
        let Self {
            fingerprint,
            generation,
            phase,
            scope,
            evidence,
            priority,
            priority_reasons,
            first_seen,
            last_seen,
            opened_at,
            resolved_at,
            sightings,
        } = self;
        FindingForm {
            fingerprint: fingerprint.to_string(),
            generation: *generation,
            phase: phase.as_str().to_owned(),
            scope: scope.written(),
            evidence: evidence.written(),
            priority: *priority,
            priority_reasons: priority_reasons.clone(),
            first_seen: *first_seen,
            last_seen: *last_seen,
            opened_at: *opened_at,
            resolved_at: *resolved_at,
            sightings: *sightings,
        }
    }

    fn read(written: FindingForm) -> Result<Self, String> {
        let FindingForm {
            fingerprint,
            generation,
            phase,
            scope,
            evidence,
            priority,
            priority_reasons,
            first_seen,
            last_seen,
            opened_at,
            resolved_at,
            sightings,
        } = written;
        Ok(Self {
            fingerprint: word(Fingerprint::parse(&fingerprint), &fingerprint)?,
            generation,
            phase: word(Phase::parse(&phase), &phase)?,
            scope: Scope::read(scope)?,
            evidence: Evidence::read(evidence)?,
            priority,
            priority_reasons,
            first_seen,
            last_seen,
            opened_at,
            resolved_at,
            sightings,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct EvidenceForm {
    resource: String,
    subject: SubjectForm,
    labels: BTreeMap<String, String>,
    severity: String,
    message: String,
    changes: Vec<ChangeForm>,
    origin: Option<OriginForm>,
    cause: String,
    actor: Option<ActorForm>,
    #[serde(default)]
    arisen: Option<ArisenForm>,
    /// Not there in rows that are older than proofs.
    #[serde(default = "listed")]
    proof: String,
    #[serde(default)]
    proof_note: String,
}

fn listed() -> String {
    Proof::default().as_str().to_owned()
}

impl Form for Evidence {
    type Written = EvidenceForm;
    const WHAT: &'static str = "evidence";

    fn written(&self) -> EvidenceForm {
        let Self { resource, subject, labels, severity, message, changes, origin, cause, actor, arisen, proof } = self;
        EvidenceForm {
            resource: resource.to_string(),
            subject: subject.written(),
            labels: labels.clone(),
            severity: severity.as_str().to_owned(),
            message: message.clone(),
            changes: changes.iter().map(Form::written).collect(),
            origin: origin.as_ref().map(Form::written),
            cause: cause.as_str().to_owned(),
            actor: actor.as_ref().map(Form::written),
            arisen: arisen.map(|Arisen { after, before }| ArisenForm { after, before }),
            proof: proof.as_str().to_owned(),
            proof_note: proof.note().to_owned(),
        }
    }

    fn read(written: EvidenceForm) -> Result<Self, String> {
        let EvidenceForm {
            resource,
            subject,
            labels,
            severity,
            message,
            changes,
            origin,
            cause,
            actor,
            arisen,
            proof,
            proof_note,
        } = written;
        Ok(Self {
            resource: resource.parse().map_err(|error: driftwarden_core::resource::InvalidId| error.to_string())?,
            subject: Subject::read(subject)?,
            labels,
            severity: word(Severity::parse(&severity), &severity)?,
            message,
            changes: changes.into_iter().map(Change::read).collect::<Result<_, _>>()?,
            origin: origin.map(Origin::read).transpose()?,
            cause: word(Cause::parse(&cause), &cause)?,
            actor: actor.map(Actor::read).transpose()?,
            arisen: arisen.map(|ArisenForm { after, before }| Arisen { after, before }),
            proof: word(Proof::parse(&proof, &proof_note), &proof)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SubjectForm {
    Drift(String),
    Violation(Arc<str>),
}

impl Form for Subject {
    type Written = SubjectForm;
    const WHAT: &'static str = "subject";

    fn written(&self) -> SubjectForm {
        match self {
            Self::Drift(kind) => SubjectForm::Drift(kind.as_str().to_owned()),
            Self::Violation(rule) => SubjectForm::Violation(Arc::clone(rule)),
        }
    }

    fn read(written: SubjectForm) -> Result<Self, String> {
        match written {
            SubjectForm::Drift(kind) => word(DriftKind::parse(&kind), &kind).map(Self::Drift),
            SubjectForm::Violation(rule) => Ok(Self::Violation(rule)),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct ChangeForm {
    path: String,
    op: String,
    desired: Value,
    observed: Value,
    sensitive: bool,
    /// Not there in rows that are older than reasons.
    #[serde(default)]
    reason: Cow<'static, str>,
    #[serde(default)]
    owner: Option<String>,
}

impl Form for Change {
    type Written = ChangeForm;
    const WHAT: &'static str = "change";

    fn written(&self) -> ChangeForm {
        let Self { path, op, desired, observed, sensitive, reason, owner } = self.clone();
        ChangeForm { path, op: op.as_str().to_owned(), desired, observed, sensitive, reason, owner }
    }

    fn read(written: ChangeForm) -> Result<Self, String> {
        let ChangeForm { path, op, desired, observed, sensitive, reason, owner } = written;
        let known = [ChangeOp::Changed, ChangeOp::Removed, ChangeOp::Added].into_iter().find(|it| it.as_str() == op);
        Ok(Self { path, op: word(known, &op)?, desired, observed, sensitive, reason, owner })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct OriginForm {
    source: Arc<str>,
    revision: Arc<str>,
    file: Arc<str>,
    line: u32,
    touched: Option<TouchedForm>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TouchedForm {
    commit: Arc<str>,
    author: Arc<str>,
    at: Timestamp,
}

impl Form for Origin {
    type Written = OriginForm;
    const WHAT: &'static str = "origin";

    fn written(&self) -> OriginForm {
        let Self { source, revision, file, line, touched } = self.clone();
        let touched = touched.map(|Touched { commit, author, at }| TouchedForm { commit, author, at });
        OriginForm { source, revision, file, line, touched }
    }

    fn read(written: OriginForm) -> Result<Self, String> {
        let OriginForm { source, revision, file, line, touched } = written;
        let touched = touched.map(|TouchedForm { commit, author, at }| Touched { commit, author, at });
        Ok(Self { source, revision, file, line, touched })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct ActorForm {
    name: String,
    /// Not there in rows that are older than sorts of actors.
    #[serde(default = "unclear")]
    kind: String,
    at: Option<Timestamp>,
    source: String,
    #[serde(default)]
    event: Option<String>,
    confidence: String,
}

fn unclear() -> String {
    ActorKind::Unclear.as_str().to_owned()
}

#[derive(Serialize, Deserialize)]
struct ArisenForm {
    after: Option<Timestamp>,
    before: Timestamp,
}

impl Form for Actor {
    type Written = ActorForm;
    const WHAT: &'static str = "actor";

    fn written(&self) -> ActorForm {
        let Self { name, kind, at, source, event, confidence } = self.clone();
        let (kind, confidence) = (kind.as_str().to_owned(), confidence.as_str().to_owned());
        ActorForm { name, kind, at, source, event, confidence }
    }

    fn read(written: ActorForm) -> Result<Self, String> {
        let ActorForm { name, kind, at, source, event, confidence } = written;
        let kind = word(ActorKind::parse(&kind), &kind)?;
        let confidence = word(Confidence::parse(&confidence), &confidence)?;
        Ok(Self { name, kind, at, source, event, confidence })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionForm {
    Notify { receiver: Arc<str>, group: String, dedup: String, not_before: Timestamp, notices: Vec<NoticeForm> },
    Remediate { hook: Arc<str>, fingerprint: String, generation: u32 },
}

#[derive(Serialize, Deserialize)]
pub(super) struct NoticeForm {
    status: String,
    finding: FindingForm,
}

impl Form for Action {
    type Written = ActionForm;
    const WHAT: &'static str = "action";

    fn written(&self) -> ActionForm {
        match self {
            Self::Notify { receiver, group, dedup, not_before, notices } => ActionForm::Notify {
                receiver: Arc::clone(receiver),
                group: group.clone(),
                dedup: dedup.clone(),
                not_before: *not_before,
                notices: notices.iter().map(Form::written).collect(),
            },
            Self::Remediate { hook, fingerprint, generation } => ActionForm::Remediate {
                hook: Arc::clone(hook),
                fingerprint: fingerprint.to_string(),
                generation: *generation,
            },
        }
    }

    fn read(written: ActionForm) -> Result<Self, String> {
        match written {
            ActionForm::Notify { receiver, group, dedup, not_before, notices } => {
                let notices = notices.into_iter().map(Notice::read).collect::<Result<_, _>>()?;
                Ok(Self::Notify { receiver, group, dedup, not_before, notices })
            }
            ActionForm::Remediate { hook, fingerprint, generation } => {
                let fingerprint = word(Fingerprint::parse(&fingerprint), &fingerprint)?;
                Ok(Self::Remediate { hook, fingerprint, generation })
            }
        }
    }
}

impl Form for Notice {
    type Written = NoticeForm;
    const WHAT: &'static str = "notice";

    fn written(&self) -> NoticeForm {
        let Self { status, finding } = self;
        NoticeForm { status: status.as_str().to_owned(), finding: finding.written() }
    }

    fn read(written: NoticeForm) -> Result<Self, String> {
        let NoticeForm { status, finding } = written;
        let known = [Status::Firing, Status::Resolved].into_iter().find(|it| it.as_str() == status);
        Ok(Self { status: word(known, &status)?, finding: Finding::read(finding)? })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct UnitForm {
    kind: Option<Arc<str>>,
    resources: u64,
    gap: Option<GapForm>,
    #[serde(default)]
    lacks_schema: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_of: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct GapForm {
    reason: String,
    detail: String,
}

impl Form for Unit {
    type Written = UnitForm;
    const WHAT: &'static str = "unit";

    fn written(&self) -> UnitForm {
        let Self { kind, resources, gap, lacks_schema, as_of } = self;
        let gap = gap.clone().map(|UnitGap { reason, detail }| GapForm { reason: reason.as_str().to_owned(), detail });
        let kind = kind.as_ref().map(|kind| kind.as_str().into());
        UnitForm { kind, resources: *resources, gap, lacks_schema: *lacks_schema, as_of: *as_of }
    }

    fn read(written: UnitForm) -> Result<Self, String> {
        let UnitForm { kind, resources, gap, lacks_schema, as_of } = written;
        let gap = gap.map(|GapForm { reason, detail }| {
            let known = GapReason::ALL.into_iter().find(|it| it.as_str() == reason);
            word(known, &reason).map(|reason| UnitGap { reason, detail })
        });
        Ok(Self { kind: kind.map(Kind::new), resources, gap: gap.transpose()?, lacks_schema, as_of })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct RevisionForm {
    source: String,
    revision: String,
}

impl Form for Revision {
    type Written = RevisionForm;
    const WHAT: &'static str = "revision";

    fn written(&self) -> RevisionForm {
        let Self { source, revision } = self.clone();
        RevisionForm { source, revision }
    }

    fn read(written: RevisionForm) -> Result<Self, String> {
        let RevisionForm { source, revision } = written;
        Ok(Self { source, revision })
    }
}

impl<T: Form> Form for Vec<T> {
    type Written = Vec<T::Written>;
    const WHAT: &'static str = T::WHAT;

    fn written(&self) -> Self::Written {
        self.iter().map(Form::written).collect()
    }

    fn read(written: Self::Written) -> Result<Self, String> {
        written.into_iter().map(T::read).collect()
    }
}
