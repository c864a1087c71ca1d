//! The memory of a drift or violation, and what one more look makes of it.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::compare::Change;
use crate::resource::{Labels, Origin, ResourceId, Scope};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Nice to know.
    Info,
    /// Some day.
    Low,
    /// Soon.
    Medium,
    /// Today.
    High,
    /// Now.
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns the word used in configuration, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Returns the severity of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == word)
    }
}

/// In which way a resource has left what Git says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DriftKind {
    /// Git declares it and it is not there.
    Missing,
    /// It is there and different.
    Changed,
    /// It is there and Git does not declare it.
    Unmanaged,
}

impl DriftKind {
    /// Every kind of drift.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Changed, Self::Unmanaged];

    /// Returns the word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Unmanaged => "unmanaged",
        }
    }

    /// Returns the kind of drift of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a finding is about: a drift, or a violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The resource left what Git says.
    Drift(DriftKind),
    /// The resource fails the rule of that id.
    Violation(Arc<str>),
}

impl Subject {
    /// Returns `drift` or `violation`.
    pub const fn type_str(&self) -> &'static str {
        match self {
            Self::Drift(_) => "drift",
            Self::Violation(_) => "violation",
        }
    }

    /// Returns the kind of drift as a word, or an empty text for a violation.
    pub const fn drift_str(&self) -> &'static str {
        match self {
            Self::Drift(kind) => kind.as_str(),
            Self::Violation(_) => "",
        }
    }

    /// Returns the id of the violated rule, or an empty text for drift.
    pub fn rule_str(&self) -> &str {
        match self {
            Self::Drift(_) => "",
            Self::Violation(rule) => rule,
        }
    }
}

/// Identity of a finding over its whole life: what it is about, and on which resource.
///
/// The paths of a change are not part of it: a drift that grows is the same drift, and saying that the smaller one was
/// resolved would be a lie. A growth raises the generation instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Returns the fingerprint of `subject` on `resource`.
    pub fn of(resource: &ResourceId, subject: &Subject) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [resource.to_string().as_str(), subject.type_str(), subject.drift_str(), subject.rule_str()] {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }

    /// Returns the fingerprint that prints as `text` (32 hexadecimal digits), if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Where in its life a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Seen, but not yet for long enough, or not yet confirmed.
    Pending,
    /// Held and confirmed.
    Open,
    /// Looked for in a complete scan and not there any more.
    Resolved,
}

impl Phase {
    /// Every phase, in the order of life.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Open, Self::Resolved];

    /// Returns the word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the phase of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }
}

/// Why reality and Git differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Somebody changed the cloud without Git.
    OutOfBand,
    /// Reality is what an earlier commit said: the newer one was never applied.
    UnappliedCommit,
    /// As `UnappliedCommit`, but the commit is so young that it may still be on its way.
    RollingOut,
    /// Two writers fight over the value.
    Contested,
    /// Nothing tells.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 5] =
        [Self::OutOfBand, Self::UnappliedCommit, Self::RollingOut, Self::Contested, Self::Unknown];

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfBand => "out_of_band",
            Self::UnappliedCommit => "unapplied_commit",
            Self::RollingOut => "rolling_out",
            Self::Contested => "contested",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the cause of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}

/// What sort of somebody changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// Somebody who typed or clicked.
    Person,
    /// A program that works for people: infrastructure as code, a pipeline.
    Automation,
    /// The cloud itself.
    Service,
    /// Somebody who has a name, and nothing tells a person from a program.
    Unclear,
    /// Nobody that the log knows.
    Unknown,
}

impl ActorKind {
    /// Every sort.
    pub const ALL: [Self; 5] = [Self::Person, Self::Automation, Self::Service, Self::Unclear, Self::Unknown];

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Automation => "automation",
            Self::Service => "service",
            Self::Unclear => "unclear",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the sort of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How sure it is that somebody did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// A hint.
    Low,
    /// More likely than not.
    Medium,
    /// As sure as a log can be.
    High,
}

impl Confidence {
    /// Every confidence, least first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Returns the confidence of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|confidence| confidence.as_str() == word)
    }

    /// Returns the confidence one step below.
    #[must_use]
    pub const fn lowered(self) -> Self {
        match self {
            Self::Low | Self::Medium => Self::Low,
            Self::High => Self::Medium,
        }
    }
}

/// Who changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Person, role or automation.
    pub name: String,
    /// What sort of somebody.
    pub kind: ActorKind,
    /// When, by the source's clock.
    pub at: Option<Timestamp>,
    /// Which log said so.
    pub source: String,
    /// What that log calls the deed, and the id of its record.
    pub event: Option<String>,
    /// How sure it is.
    pub confidence: Confidence,
}

impl Actor {
    /// Returns what is said when that log was asked and names nobody.
    pub fn unknown(source: &str) -> Self {
        Self {
            name: ActorKind::Unknown.as_str().to_owned(),
            kind: ActorKind::Unknown,
            at: None,
            source: source.to_owned(),
            event: None,
            confidence: Confidence::Low,
        }
    }

    /// Returns whether somebody is named.
    pub fn is_known(&self) -> bool {
        self.kind != ActorKind::Unknown
    }
}

impl fmt::Display for Actor {
    /// Says it as people read it: `ann, a person, by PutBucketTagging (1f2e) of cloudtrail, high confidence`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, source, confidence, .. } = self;
        let sort = match kind {
            ActorKind::Unknown => return write!(f, "unknown: {source} names nobody"),
            ActorKind::Person => ", a person",
            ActorKind::Automation => ", automation",
            ActorKind::Service => ", a service",
            ActorKind::Unclear => "",
        };
        write!(f, "{name}{sort}")?;
        if let Some(at) = self.at {
            write!(f, " at {at}")?;
        }
        let event = self.event.as_ref().map(|event| format!("{event} of ")).unwrap_or_default();
        write!(f, " by {event}{source}, {} confidence", confidence.as_str())
    }
}

/// When a difference came to be, as far as looks tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arisen {
    /// A look that began then did not see it; nothing where nobody looked before.
    pub after: Option<Timestamp>,
    /// The first look that saw it ended then.
    pub before: Timestamp,
}

/// How sure it is that a difference is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proof {
    /// It was seen in a listing.
    #[default]
    Listed,
    /// The resource was read again, exactly.
    Reread,
    /// The same, and the provider could not be asked what writing the declaration would change, for that reason.
    RereadOnly(String),
    /// The provider itself said that writing the declaration would change it.
    Rehearsed,
}

impl Proof {
    /// Returns the word used in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Reread | Self::RereadOnly(_) => "reread",
            Self::Rehearsed => "rehearsed",
        }
    }

    /// Returns how much it says; of two that say as much, either will do.
    const fn weight(&self) -> u8 {
        match self {
            Self::Listed => 0,
            Self::Reread | Self::RereadOnly(_) => 1,
            Self::Rehearsed => 2,
        }
    }

    /// Returns why there was no better one, for people; empty where nothing better was tried.
    pub fn note(&self) -> &str {
        match self {
            Self::RereadOnly(why) => why,
            Self::Listed | Self::Reread | Self::Rehearsed => "",
        }
    }

    /// Returns the proof of that word and note.
    pub fn parse(word: &str, note: &str) -> Option<Self> {
        match (word, note) {
            ("listed", _) => Some(Self::Listed),
            ("reread", "") => Some(Self::Reread),
            ("reread", why) => Some(Self::RereadOnly(why.to_owned())),
            ("rehearsed", _) => Some(Self::Rehearsed),
            _ => None,
        }
    }
}

/// What one look saw of a drift or violation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The resource.
    pub resource: ResourceId,
    /// What it is about.
    pub subject: Subject,
    /// Labels of the resource, Git's over the cloud's.
    pub labels: Labels,
    /// How bad it is.
    pub severity: Severity,
    /// One line for people.
    pub message: String,
    /// The differences, for changed resources.
    pub changes: Vec<Change>,
    /// Where Git declares it.
    pub origin: Option<Origin>,
    /// Why.
    pub cause: Cause,
    /// Who; nothing as long as nobody was asked.
    pub actor: Option<Actor>,
    /// When it came to be as it is.
    pub arisen: Option<Arisen>,
    /// How sure it is.
    pub proof: Proof,
}

/// The remembered record of a drift or violation.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Identity.
    pub fingerprint: Fingerprint,
    /// Counts how often it (re)appeared or grew; only ever grows.
    pub generation: u32,
    /// Where in its life it is.
    pub phase: Phase,
    /// Scope it was seen in.
    pub scope: Scope,
    /// What was last seen.
    pub evidence: Evidence,
    /// 1 (worst) to 5.
    pub priority: u8,
    /// Why this priority.
    pub priority_reasons: Vec<String>,
    /// Start of this generation.
    pub first_seen: Timestamp,
    /// Last complete look that saw it.
    pub last_seen: Timestamp,
    /// When it opened.
    pub opened_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Looks in a row that saw it.
    pub sightings: u32,
}

/// How long it must be seen, without a break, before it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// In that many looks in a row.
    pub scans: u32,
    /// And for at least that long.
    pub for_: SignedDuration,
}

/// What one look says about one finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting {
    /// It is there.
    Seen(Box<Evidence>),
    /// It was looked for, completely, and is not there.
    Clear,
    /// It could not be looked for. Neither opens nor resolves (I1, I2).
    Unknown,
}

/// Whether an exact, authoritative re-read saw the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// It did.
    Confirmed,
    /// It did not, could not, or was not asked.
    Unconfirmed,
}

/// A change of phase or generation that somebody may want to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// First seen, or seen again after it was resolved.
    Appeared,
    /// Held and confirmed.
    Opened,
    /// Open, and now about more than before.
    Grew,
    /// Gone before it ever opened.
    Vanished,
    /// Gone.
    Resolved,
}

impl Transition {
    /// Returns the word used in the history and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Opened => "opened",
            Self::Grew => "grew",
            Self::Vanished => "vanished",
            Self::Resolved => "resolved",
        }
    }
}

/// What one look made of a finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The finding as it is now.
    pub finding: Finding,
    /// What somebody may want to hear of.
    pub transition: Option<Transition>,
}

/// Returns whether `known` would open on this sighting if an exact re-read confirmed it: who is asked to confirm.
pub fn awaits_confirmation(known: Option<&Finding>, hold: Hold, now: Timestamp) -> bool {
    let (sightings, first_seen, phase) = match known {
        Some(known) if known.phase != Phase::Resolved => (known.sightings + 1, known.first_seen, known.phase),
        _ => (1, now, Phase::Pending),
    };
    phase == Phase::Pending && sightings >= hold.scans && now.duration_since(first_seen) >= hold.for_
}

/// Returns whether an open finding is seen to be about more than before, or otherwise than the provider itself said. Only
/// what is confirmed, and proven as well as what is known, takes its place.
pub fn is_news(known: &Finding, evidence: &Evidence) -> bool {
    let before = &known.evidence;
    known.phase == Phase::Open
        && (has_grown(before, evidence) || before.proof == Proof::Rehearsed && before.changes != evidence.changes)
}

/// Advances one finding by one look. Returns nothing where there was nothing and is nothing.
pub fn advance(
    known: Option<Finding>,
    sighting: Sighting,
    confirmation: Confirmation,
    hold: Hold,
    (scope, now): (&Scope, Timestamp),
) -> Option<Step> {
    match (known, sighting) {
        (None, Sighting::Clear | Sighting::Unknown) => None,
        (None, Sighting::Seen(evidence)) => {
            let finding = appear(*evidence, 1, scope, now);
            Some(open_if_held(finding, confirmation, hold, now, Some(Transition::Appeared)))
        }
        (Some(known), Sighting::Seen(evidence)) if known.phase == Phase::Resolved => {
            let finding = appear(*evidence, known.generation + 1, scope, now);
            Some(open_if_held(finding, confirmation, hold, now, Some(Transition::Appeared)))
        }
        (Some(known), Sighting::Seen(evidence))
            if is_news(&known, &evidence) && !is_proven(&known, &evidence, confirmation) =>
        {
            Some(Step { finding: known, transition: None })
        }
        (Some(known), Sighting::Seen(evidence)) => Some(see_again(known, *evidence, confirmation, hold, now)),
        (Some(known), Sighting::Clear) => Some(clear(known, now)),
        (Some(known), Sighting::Unknown) => Some(Step { finding: known, transition: None }),
    }
}

/// Returns how long it took from the change, by the cloud's log, until the finding was open, where both are known. A change
/// after the opening is not the one that opened it.
pub fn detection_delay(finding: &Finding) -> Option<SignedDuration> {
    let changed_at = finding.evidence.actor.as_ref()?.at?;
    let opened_at = finding.opened_at.filter(|_| finding.phase == Phase::Open)?;
    Some(opened_at.duration_since(changed_at)).filter(|delay| !delay.is_negative())
}

fn is_proven(known: &Finding, evidence: &Evidence, confirmation: Confirmation) -> bool {
    confirmation == Confirmation::Confirmed && evidence.proof.weight() >= known.evidence.proof.weight()
}

fn appear(evidence: Evidence, generation: u32, scope: &Scope, now: Timestamp) -> Finding {
    Finding {
        fingerprint: Fingerprint::of(&evidence.resource, &evidence.subject),
        generation,
        phase: Phase::Pending,
        scope: scope.clone(),
        evidence,
        priority: 5,
        priority_reasons: Vec::new(),
        first_seen: now,
        last_seen: now,
        opened_at: None,
        resolved_at: None,
        sightings: 1,
    }
}

fn see_again(known: Finding, evidence: Evidence, confirmation: Confirmation, hold: Hold, now: Timestamp) -> Step {
    let grew = known.phase == Phase::Open && has_grown(&known.evidence, &evidence);
    let finding = Finding {
        generation: known.generation + u32::from(grew),
        sightings: known.sightings.saturating_add(1),
        last_seen: now,
        evidence,
        ..known
    };
    match finding.phase {
        Phase::Pending => open_if_held(finding, confirmation, hold, now, None),
        _ => Step { finding, transition: grew.then_some(Transition::Grew) },
    }
}

/// Returns whether a path changed that had not changed before.
fn has_grown(before: &Evidence, after: &Evidence) -> bool {
    after.changes.iter().any(|change| before.changes.iter().all(|known| known.path != change.path))
}

fn open_if_held(
    mut finding: Finding,
    confirmation: Confirmation,
    hold: Hold,
    now: Timestamp,
    otherwise: Option<Transition>,
) -> Step {
    let held = finding.sightings >= hold.scans && now.duration_since(finding.first_seen) >= hold.for_;
    if held && confirmation == Confirmation::Confirmed {
        finding.phase = Phase::Open;
        finding.opened_at = Some(now);
        return Step { finding, transition: Some(Transition::Opened) };
    }
    Step { finding, transition: otherwise }
}

fn clear(known: Finding, now: Timestamp) -> Step {
    let transition = match known.phase {
        Phase::Resolved => return Step { finding: known, transition: None },
        Phase::Pending => Transition::Vanished,
        Phase::Open => Transition::Resolved,
    };
    let finding = Finding { phase: Phase::Resolved, resolved_at: Some(now), sightings: 0, ..known };
    Step { finding, transition: Some(transition) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Kind, Provider};
    use serde_json::json;

    fn scope() -> Scope {
        Scope { cloud: "prod".into(), provider: Provider::Aws, account: "1".into(), region: "r".into() }
    }

    fn evidence(paths: &[&str]) -> Box<Evidence> {
        let change = |path: &&str| Change {
            path: (*path).to_owned(),
            op: crate::compare::ChangeOp::Changed,
            desired: json!(1),
            observed: json!(2),
            sensitive: false,
            reason: "".into(),
            owner: None,
        };
        Box::new(Evidence {
            resource: scope().id(&Kind::from("AWS::S3::Bucket"), "logs"),
            subject: Subject::Drift(DriftKind::Changed),
            labels: Labels::new(),
            severity: Severity::Medium,
            message: String::new(),
            changes: paths.iter().map(change).collect(),
            origin: None,
            cause: Cause::OutOfBand,
            actor: None,
            arisen: None,
            proof: Proof::Reread,
        })
    }

    /// Plays one scan a minute with a hold of two scans and two minutes. `!` sees the bucket's drift, `+` sees more of
    /// it, `~` sees it and the re-read does not, `.` does not see it, `?` could not look.
    /// Returns the phase after each (`p`ending, `o`pen, `r`esolved, `-` none) and the generation at the end.
    fn play(scans: &str) -> (String, u32) {
        let hold = Hold { scans: 2, for_: SignedDuration::from_mins(2) };
        let mut known: Option<Finding> = None;
        let mut phases = String::new();
        for (minute, scan) in (0..).zip(scans.chars()) {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
            let sighting = match scan {
                '.' => Sighting::Clear,
                '?' => Sighting::Unknown,
                '+' => Sighting::Seen(evidence(&["/A", "/B"])),
                _ => Sighting::Seen(evidence(&["/A"])),
            };
            let confirmation = if scan == '~' { Confirmation::Unconfirmed } else { Confirmation::Confirmed };
            known = advance(known, sighting, confirmation, hold, (&scope(), now)).map(|step| step.finding);
            phases.push(known.as_ref().map_or('-', |f| f.phase.as_str().chars().next().unwrap()));
        }
        (phases, known.map_or(0, |f| f.generation))
    }

    fn check(scans: &str, phases: &str) {
        assert_eq!(play(scans).0, phases, "{scans}");
    }

    #[test]
    fn a_gap_neither_opens_nor_resolves() {
        check("!!!??!", "ppoooo");
        check("!?", "pp");
        check("?", "-");
    }

    #[test]
    fn opening_needs_the_hold_and_a_confirming_reread() {
        check("!!!", "ppo");
        check("!!~!", "pppo");
        check("!.!!!", "prppo");
    }

    #[test]
    fn clear_resolves_once() {
        check("!!!..", "pporr");
        check("..", "--");
    }

    #[test]
    fn the_generation_grows_with_each_return_and_each_growth() {
        assert_eq!(play("!!!.!!!").1, 2);
        assert_eq!(play("!!!++").1, 2);
        assert_eq!(play("!!!").1, 1);
    }

    #[test]
    fn an_open_finding_grows_only_by_what_is_proven_as_well() {
        let (hold, now) = (Hold { scans: 1, for_: SignedDuration::ZERO }, Timestamp::UNIX_EPOCH);
        let see = |known, paths: &[&str], proof, confirmation| {
            let seen = Sighting::Seen(Box::new(Evidence { proof, ..*evidence(paths) }));
            advance(known, seen, confirmation, hold, (&scope(), now)).unwrap()
        };
        let check = |before: Proof, after: Proof, confirmation, grows: bool| {
            let open = see(None, &["/A"], before, Confirmation::Confirmed).finding;
            let step = see(Some(open.clone()), &["/A", "/B"], after, confirmation);
            assert_eq!(step.transition, grows.then_some(Transition::Grew));
            assert_eq!(step.finding == open, !grows);
        };
        let refused = || Proof::RereadOnly("refused".to_owned());
        check(Proof::Rehearsed, Proof::Rehearsed, Confirmation::Confirmed, true);
        check(Proof::Rehearsed, refused(), Confirmation::Confirmed, false);
        check(Proof::Rehearsed, Proof::Listed, Confirmation::Unconfirmed, false);
        check(refused(), Proof::Reread, Confirmation::Confirmed, true);
        check(Proof::Reread, Proof::Listed, Confirmation::Unconfirmed, false);
        // What the provider itself said was wrong is not mended because a listing no longer shows it.
        let open = see(None, &["/A"], Proof::Rehearsed, Confirmation::Confirmed).finding;
        let step = see(Some(open.clone()), &["/B"], refused(), Confirmation::Confirmed);
        assert_eq!(step, Step { finding: open, transition: None });
    }

    #[test]
    fn a_delay_is_from_the_change_to_the_opening() {
        let hold = Hold { scans: 1, for_: SignedDuration::ZERO };
        let at = |second| Timestamp::from_second(second).unwrap();
        let opened = |changed_at| {
            let actor = Actor { at: changed_at, kind: ActorKind::Person, ..Actor::unknown("cloudtrail") };
            let seen = Sighting::Seen(Box::new(Evidence { actor: Some(actor), ..*evidence(&["/A"]) }));
            advance(None, seen, Confirmation::Confirmed, hold, (&scope(), at(100))).unwrap().finding
        };
        let check = |finding: &Finding, seconds: Option<i64>| {
            assert_eq!(detection_delay(finding).map(|delay| delay.as_secs()), seconds);
        };
        check(&opened(Some(at(40))), Some(60));
        check(&opened(Some(at(101))), None);
        check(&opened(None), None);
        check(&Finding { phase: Phase::Pending, ..opened(Some(at(40))) }, None);
        check(&Finding { phase: Phase::Resolved, ..opened(Some(at(40))) }, None);
    }

    #[test]
    fn a_fingerprint_prints_as_it_is_read() {
        let evidence = evidence(&[]);
        let print = Fingerprint::of(&evidence.resource, &evidence.subject);
        assert_eq!(Fingerprint::parse(&print.to_string()), Some(print));
        assert_eq!(Fingerprint::parse("+123"), None);
    }
}
