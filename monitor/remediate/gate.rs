//! The gate: whether a hook may begin, decided from facts alone.
//!
//! It looks nothing up and asks no time, so that every refusal can be shown in a table. Where a fact is not known the answer
//! is never "go".

use driftwarden_core::finding::{Cause, Finding, Phase};
use driftwarden_core::resource::ResourceId;
use jiff::{SignedDuration, Timestamp};

use super::config::Mode;
use super::window::Opening;
use super::{Answer, Approval, Hook, Reading, Switch};

/// What a hook must stay within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls in one scope within an hour.
    pub max_actions: u32,
    /// The same, in percent of the resources that Git declares there.
    pub max_percent: u8,
    /// Calls in all scopes within an hour.
    pub max_per_hour: u32,
    /// How long one resource is left alone after a call.
    pub cooldown: SignedDuration,
    /// The pause after one call, then two, then four.
    pub ramp_pause: SignedDuration,
}

/// How an earlier call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// The drift was gone afterwards.
    Verified,
    /// It was not, or the hook failed, or nobody knows.
    Failed,
}

/// An earlier call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// On what.
    pub resource: ResourceId,
    /// When it began.
    pub at: Timestamp,
    /// How it ended.
    pub result: Result,
}

/// Everything that the gate may look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// When.
    pub now: Timestamp,
    /// The hook.
    pub hook: &'a Hook,
    /// Generation of the finding when the hook was decided on.
    pub generation: u32,
    /// The finding as it is stored now.
    pub finding: Option<&'a Finding>,
    /// How the kill switch stands.
    pub kill_switch: Switch,
    /// Whether somebody approved.
    pub approval: Approval,
    /// How many resources Git declares in the scope; nothing if its last scan was not complete.
    pub population: Option<u64>,
    /// Calls of this hook in the last hour, oldest first.
    pub by_hook: &'a [Run],
    /// Calls of any hook on this resource, oldest first.
    pub on_resource: &'a [Run],
    /// The exact re-read, if there was one.
    pub reading: Option<&'a Reading>,
}

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The hook may begin, now.
    Go,
    /// Everything but the re-read is fine: re-read, and ask again.
    Reread,
    /// Never, for this generation.
    Refused(Reason),
    /// Not yet: ask again then.
    Later(Timestamp, Reason),
}

/// Why a hook may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Resolved, never opened, or not known.
    #[error("the finding is not open")]
    NotOpen,
    /// The finding came back or grew.
    #[error("the finding is of another generation now")]
    Generation,
    /// Mode `off`.
    #[error("the hook is off")]
    Off,
    /// Mode `approve`.
    #[error("nobody has approved yet")]
    Unapproved,
    /// Mode `approve`.
    #[error("somebody refused to approve")]
    Denied,
    /// Before or after.
    #[error("outside of the window")]
    Window,
    /// It stands at stop.
    #[error("the kill switch stops all hooks")]
    KillSwitch,
    /// No complete scan of the scope, or an empty one.
    #[error("how many resources the scope has is not known")]
    Population,
    /// The percentage of the population is less than one resource.
    #[error("`max_percent` of the scope is less than one resource")]
    TooSmall,
    /// `max_actions` or `max_percent`.
    #[error("the hook has reached its cap in this scope")]
    Cap,
    /// One, two, four.
    #[error("the hook is still being ramped up")]
    Ramp,
    /// Three calls failed within an hour.
    #[error("too many calls of the hook failed")]
    Failing,
    /// `max_per_hour`.
    #[error("the hook has reached its rate")]
    Rate,
    /// `cooldown`.
    #[error("the resource was mended a moment ago")]
    Cooldown,
    /// Three times within an hour (I22).
    #[error("somebody else keeps changing the resource back")]
    Contested,
    /// Nothing to mend any more.
    #[error("the drift is gone")]
    Gone,
    /// The re-read failed.
    #[error("the resource could not be re-read: {0}")]
    Unread(String),
    /// Git has moved on.
    #[error("Git has a newer revision than the finding")]
    Revision,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How old a re-read may be (I20).
const FRESH_FOR: SignedDuration = SignedDuration::from_secs(60);
/// When to ask again where nobody can say when it will be better.
const SOON: SignedDuration = SignedDuration::from_mins(1);
/// Failed calls within an hour that stop a hook, and calls on one resource that make it contested.
const THREE: usize = 3;

type Check = fn(&Facts<'_>) -> Option<Verdict>;

/// The checks in the order in which they are made.
const CHECKS: &[Check] = &[
    finding_is_open,
    generation_is_the_same,
    mode_allows,
    window_is_open,
    kill_switch_allows,
    blast_radius_is_kept,
    ramp_is_kept,
    hook_does_not_fail,
    rate_is_kept,
    resource_has_rested,
    resource_is_not_contested,
    drift_is_still_there,
    revision_is_the_same,
];

/// Returns whether the hook may begin: the first objection, or go.
pub fn decide(facts: &Facts<'_>) -> Verdict {
    CHECKS.iter().find_map(|check| check(facts)).unwrap_or(Verdict::Go)
}

fn finding_is_open(facts: &Facts<'_>) -> Option<Verdict> {
    let is_open = facts.finding.is_some_and(|finding| finding.phase == Phase::Open && finding.opened_at.is_some());
    (!is_open).then_some(Verdict::Refused(Reason::NotOpen))
}

fn generation_is_the_same(facts: &Facts<'_>) -> Option<Verdict> {
    let is_same = facts.finding.is_some_and(|finding| finding.generation == facts.generation);
    (!is_same).then_some(Verdict::Refused(Reason::Generation))
}

fn mode_allows(facts: &Facts<'_>) -> Option<Verdict> {
    match (facts.hook.mode, facts.approval) {
        (Mode::Off, _) => Some(Verdict::Refused(Reason::Off)),
        (Mode::Approve, Approval::Denied) => Some(Verdict::Refused(Reason::Denied)),
        (Mode::Approve, Approval::Awaited) => later(facts, SOON, Reason::Unapproved),
        (Mode::Approve, Approval::Given) | (Mode::DryRun | Mode::Apply, _) => None,
    }
}

fn window_is_open(facts: &Facts<'_>) -> Option<Verdict> {
    match facts.hook.window.as_ref()?.opening(facts.now) {
        Opening::Open => None,
        Opening::At(at) => Some(Verdict::Later(at, Reason::Window)),
        Opening::Never => Some(Verdict::Refused(Reason::Window)),
    }
}

fn kill_switch_allows(facts: &Facts<'_>) -> Option<Verdict> {
    (facts.kill_switch == Switch::Stop).then(|| Verdict::Later(facts.now + SOON, Reason::KillSwitch))
}

fn blast_radius_is_kept(facts: &Facts<'_>) -> Option<Verdict> {
    let limits = facts.hook.limits;
    let Some(population) = facts.population.filter(|population| *population > 0) else {
        return later(facts, SOON, Reason::Population);
    };
    let share = population.saturating_mul(limits.max_percent.into()) / 100;
    let cap = share.min(limits.max_actions.into());
    if cap == 0 {
        return Some(Verdict::Refused(if share == 0 { Reason::TooSmall } else { Reason::Cap }));
    }
    let recent = in_scope(facts);
    let cap = usize::try_from(cap).unwrap_or(usize::MAX);
    (recent.len() >= cap).then(|| Verdict::Later(hour_after(&recent, recent.len() - cap, facts.now), Reason::Cap))
}

/// One call, a pause, two calls, a pause, four: after the pause as many as were verified before, and one more.
fn ramp_is_kept(facts: &Facts<'_>) -> Option<Verdict> {
    let pause = facts.hook.limits.ramp_pause;
    let (wave, before): (Vec<&Run>, Vec<&Run>) =
        in_scope(facts).into_iter().partition(|run| facts.now.duration_since(run.at) < pause);
    let proven = before.iter().rev().take_while(|run| run.result == Result::Verified).count();
    let first = wave.first().filter(|_| wave.len() > proven)?;
    Some(Verdict::Later(first.at + pause, Reason::Ramp))
}

fn hook_does_not_fail(facts: &Facts<'_>) -> Option<Verdict> {
    let failed: Vec<&Run> = recent(facts).into_iter().filter(|run| run.result == Result::Failed).collect();
    let too_many = failed.len().checked_sub(THREE)?;
    Some(Verdict::Later(hour_after(&failed, too_many, facts.now), Reason::Failing))
}

fn rate_is_kept(facts: &Facts<'_>) -> Option<Verdict> {
    let recent = recent(facts);
    let limit = usize::try_from(facts.hook.limits.max_per_hour).unwrap_or(usize::MAX);
    if limit == 0 {
        return Some(Verdict::Refused(Reason::Rate));
    }
    let over = recent.len().checked_sub(limit)?;
    Some(Verdict::Later(hour_after(&recent, over, facts.now), Reason::Rate))
}

fn resource_has_rested(facts: &Facts<'_>) -> Option<Verdict> {
    let rested = facts.on_resource.last()?.at + facts.hook.limits.cooldown;
    (rested > facts.now).then_some(Verdict::Later(rested, Reason::Cooldown))
}

/// A fight is three calls within any hour since Git last changed the resource; a person's approval ends it, too.
fn resource_is_not_contested(facts: &Facts<'_>) -> Option<Verdict> {
    if facts.approval == Approval::Given {
        return None;
    }
    let evidence = &facts.finding?.evidence;
    let declared = evidence.origin.as_ref().and_then(|origin| origin.touched.as_ref()).map(|touched| touched.at);
    let since: Vec<&Run> =
        facts.on_resource.iter().filter(|run| declared.is_none_or(|declared| run.at > declared)).collect();
    let is_fight = |runs: &[&Run]| matches!(runs, [first, .., last] if last.at.duration_since(first.at) < HOUR);
    let contested = evidence.cause == Cause::Contested || since.windows(THREE).any(is_fight);
    contested.then_some(Verdict::Refused(Reason::Contested))
}

fn drift_is_still_there(facts: &Facts<'_>) -> Option<Verdict> {
    let fresh = |reading: &&Reading| {
        let age = facts.now.duration_since(reading.at);
        age < FRESH_FOR && age >= SignedDuration::ZERO
    };
    match &facts.reading.filter(fresh).map(|reading| &reading.answer) {
        None => Some(Verdict::Reread),
        Some(Answer::StillThere) => None,
        Some(Answer::Gone) => Some(Verdict::Refused(Reason::Gone)),
        Some(Answer::Unknown(why)) => later(facts, SOON, Reason::Unread(why.clone())),
    }
}

fn revision_is_the_same(facts: &Facts<'_>) -> Option<Verdict> {
    let of_finding = facts.finding?.evidence.origin.as_ref().map(|origin| &origin.revision);
    let now = facts.reading?.revision.as_ref();
    if of_finding == now { None } else { later(facts, SOON, Reason::Revision) }
}

#[expect(clippy::unnecessary_wraps, reason = "it is the last word of checks")]
fn later(facts: &Facts<'_>, wait: SignedDuration, reason: Reason) -> Option<Verdict> {
    Some(Verdict::Later(facts.now + wait, reason))
}

fn recent<'a>(facts: &Facts<'a>) -> Vec<&'a Run> {
    facts.by_hook.iter().filter(|run| facts.now.duration_since(run.at) < HOUR).collect()
}

fn in_scope<'a>(facts: &Facts<'a>) -> Vec<&'a Run> {
    let Some(finding) = facts.finding else { return Vec::new() };
    let here = &finding.evidence.resource;
    let is_here = |run: &&Run| {
        let there = &run.resource;
        (there.provider, &there.account, &there.region) == (here.provider, &here.account, &here.region)
    };
    recent(facts).into_iter().filter(is_here).collect()
}

/// Returns when the run at `index` is an hour old.
fn hour_after(runs: &[&Run], index: usize, now: Timestamp) -> Timestamp {
    runs.get(index).map_or(now, |run| run.at) + HOUR
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::outbound::samples;
    use crate::remediate::config::ExecConfig;
    use crate::remediate::exec::Exec;
    use crate::remediate::window::Window;
    use crate::remediate::{Effect, Hook};

    /// Facts that one can change one at a time.
    struct World {
        hook: Hook,
        generation: u32,
        finding: Option<Finding>,
        kill_switch: Switch,
        approval: Approval,
        population: Option<u64>,
        by_hook: Vec<Run>,
        on_resource: Vec<Run>,
        reading: Option<Reading>,
    }

    const NOON: &str = "2026-03-02T12:00:00Z";

    fn noon() -> Timestamp {
        samples::at(NOON)
    }

    fn ago(minutes: i64) -> Timestamp {
        noon() - SignedDuration::from_mins(minutes)
    }

    fn run(minutes: i64, result: Result) -> Run {
        Run { resource: samples::finding("logs").evidence.resource, at: ago(minutes), result }
    }

    fn good(minutes: i64) -> Run {
        run(minutes, Result::Verified)
    }

    fn bad(minutes: i64) -> Run {
        run(minutes, Result::Failed)
    }

    fn elsewhere(minutes: i64) -> Run {
        let mut run = good(minutes);
        run.resource.region = "us-east-1".into();
        run
    }

    fn reading(answer: Answer) -> Reading {
        Reading { answer, at: noon(), revision: Some("abc123".into()), patch: None }
    }

    /// Returns a world in which the hook may begin.
    fn world() -> World {
        let exec = ExecConfig {
            command: vec!["/bin/true".to_owned()],
            env: Vec::new(),
            dir: None,
            limits: crate::remediate::config::ExecLimits::default(),
        };
        World {
            hook: Hook {
                name: "h".into(),
                mode: Mode::Apply,
                limits: Limits {
                    max_actions: 5,
                    max_percent: 10,
                    max_per_hour: 20,
                    cooldown: SignedDuration::from_mins(10),
                    ramp_pause: SignedDuration::from_mins(5),
                },
                verify_for: SignedDuration::ZERO,
                window: None,
                effect: Effect::Exec(Exec::new(&exec, Duration::from_secs(1)).unwrap()),
            },
            generation: 1,
            finding: Some(samples::finding("logs")),
            kill_switch: Switch::Run,
            approval: Approval::Awaited,
            population: Some(100),
            by_hook: Vec::new(),
            on_resource: Vec::new(),
            reading: Some(reading(Answer::StillThere)),
        }
    }

    fn check(change: impl FnOnce(&mut World), verdict: &Verdict) {
        let mut world = world();
        change(&mut world);
        let facts = Facts {
            now: noon(),
            hook: &world.hook,
            generation: world.generation,
            finding: world.finding.as_ref(),
            kill_switch: world.kill_switch,
            approval: world.approval,
            population: world.population,
            by_hook: &world.by_hook,
            on_resource: &world.on_resource,
            reading: world.reading.as_ref(),
        };
        assert_eq!(decide(&facts), *verdict);
    }

    fn refused(reason: Reason) -> Verdict {
        Verdict::Refused(reason)
    }

    fn in_minutes(minutes: i64, reason: Reason) -> Verdict {
        Verdict::Later(ago(-minutes), reason)
    }

    fn open(world: &mut World) -> &mut Finding {
        world.finding.as_mut().unwrap()
    }

    #[test]
    fn nothing_stands_against_it() {
        check(|_| (), &Verdict::Go);
        check(|w| w.hook.mode = Mode::DryRun, &Verdict::Go);
    }

    #[test]
    fn only_an_open_finding_of_the_same_generation_is_mended() {
        check(|w| w.finding = None, &refused(Reason::NotOpen));
        check(|w| open(w).phase = Phase::Pending, &refused(Reason::NotOpen));
        check(|w| open(w).phase = Phase::Resolved, &refused(Reason::NotOpen));
        check(|w| open(w).opened_at = None, &refused(Reason::NotOpen));
        check(|w| open(w).generation = 2, &refused(Reason::Generation));
        check(|w| w.generation = 2, &refused(Reason::Generation));
    }

    #[test]
    fn the_mode_is_obeyed() {
        check(|w| w.hook.mode = Mode::Off, &refused(Reason::Off));
        check(|w| w.hook.mode = Mode::Approve, &in_minutes(1, Reason::Unapproved));
        let approve = |approval| {
            move |w: &mut World| {
                w.hook.mode = Mode::Approve;
                w.approval = approval;
            }
        };
        check(approve(Approval::Denied), &refused(Reason::Denied));
        check(approve(Approval::Given), &Verdict::Go);
    }

    #[test]
    fn a_hook_begins_in_its_window_only() {
        let window = |cron: &'static str| {
            move |w: &mut World| {
                let window = Window::parse(cron, "UTC", SignedDuration::from_hours(1)).unwrap();
                w.hook.window = Some(window);
            }
        };
        check(window("30 11 * * *"), &Verdict::Go);
        check(window("0 14 * * *"), &in_minutes(120, Reason::Window));
        check(window("0 0 2 * * * 2020"), &refused(Reason::Window));
    }

    #[test]
    fn the_kill_switch_stops_what_has_not_begun() {
        check(|w| w.kill_switch = Switch::Stop, &in_minutes(1, Reason::KillSwitch));
    }

    #[test]
    fn nothing_is_mended_in_a_population_that_is_not_known() {
        check(|w| w.population = None, &in_minutes(1, Reason::Population));
        check(|w| w.population = Some(0), &in_minutes(1, Reason::Population));
        check(|w| w.population = Some(9), &refused(Reason::TooSmall));
        check(|w| w.population = Some(10), &Verdict::Go);
        check(|w| w.hook.limits.max_actions = 0, &refused(Reason::Cap));
    }

    #[test]
    fn the_cap_is_the_smaller_of_count_and_percent() {
        let runs = || vec![good(50), good(40), good(30)];
        check(|w| w.by_hook = runs(), &Verdict::Go);
        let percent = |w: &mut World| (w.population, w.by_hook) = (Some(30), runs());
        check(percent, &in_minutes(10, Reason::Cap));
        let count = |w: &mut World| (w.hook.limits.max_actions, w.by_hook) = (2, runs());
        check(count, &in_minutes(20, Reason::Cap));
        let others = |w: &mut World| (w.hook.limits.max_actions, w.by_hook) = (1, vec![elsewhere(50), good(60)]);
        check(others, &Verdict::Go);
    }

    #[test]
    fn one_then_two_then_four() {
        let ramp = |runs: Vec<Run>| {
            move |w: &mut World| {
                w.hook.limits.max_actions = 100;
                w.population = Some(10_000);
                w.by_hook = runs;
            }
        };
        check(ramp(vec![good(1)]), &in_minutes(4, Reason::Ramp));
        check(ramp(vec![good(6)]), &Verdict::Go);
        check(ramp(vec![good(6), good(1)]), &Verdict::Go);
        check(ramp(vec![good(7), good(2), good(1)]), &in_minutes(3, Reason::Ramp));
        check(ramp(vec![good(12), good(7), good(6), good(3), good(2), good(1)]), &Verdict::Go);
        check(ramp(vec![good(12), bad(7), good(1)]), &in_minutes(4, Reason::Ramp));
    }

    #[test]
    fn a_failing_hook_is_stopped() {
        check(|w| w.by_hook = vec![bad(50), bad(40)], &Verdict::Go);
        check(|w| w.by_hook = vec![bad(50), bad(40), bad(30)], &in_minutes(10, Reason::Failing));
        check(|w| w.by_hook = vec![bad(70), bad(40), bad(30)], &Verdict::Go);
    }

    #[test]
    fn the_rate_counts_every_scope() {
        let rate = |w: &mut World| (w.hook.limits.max_per_hour, w.by_hook) = (2, vec![elsewhere(50), good(30)]);
        check(rate, &in_minutes(10, Reason::Rate));
        check(|w| w.hook.limits.max_per_hour = 0, &refused(Reason::Rate));
    }

    #[test]
    fn a_resource_rests_after_it_was_mended() {
        check(|w| w.on_resource = vec![good(9)], &in_minutes(1, Reason::Cooldown));
        check(|w| w.on_resource = vec![good(10)], &Verdict::Go);
    }

    #[test]
    fn a_fight_ends_with_a_commit_or_a_person() {
        let fight = || vec![good(300), good(290), good(241)];
        check(|w| w.on_resource = fight(), &refused(Reason::Contested));
        check(|w| w.on_resource = vec![good(300), good(290), good(239)], &Verdict::Go);
        let person = |w: &mut World| (w.approval, w.on_resource) = (Approval::Given, fight());
        check(person, &Verdict::Go);
        let commit = |w: &mut World| {
            w.on_resource = fight();
            open(w).evidence.origin.as_mut().unwrap().touched.as_mut().unwrap().at = ago(280);
        };
        check(commit, &Verdict::Go);
        check(|w| open(w).evidence.cause = Cause::Contested, &refused(Reason::Contested));
    }

    #[test]
    fn the_drift_was_seen_within_the_last_minute() {
        check(|w| w.reading = None, &Verdict::Reread);
        check(|w| w.reading.as_mut().unwrap().at = ago(1), &Verdict::Reread);
        check(|w| w.reading.as_mut().unwrap().at = ago(-1), &Verdict::Reread);
        check(|w| w.reading = Some(reading(Answer::Gone)), &refused(Reason::Gone));
        let unread = |w: &mut World| w.reading = Some(reading(Answer::Unknown("denied".to_owned())));
        check(unread, &in_minutes(1, Reason::Unread("denied".to_owned())));
    }

    #[test]
    fn git_has_not_moved_on() {
        let revision =
            |to: Option<&'static str>| move |w: &mut World| w.reading.as_mut().unwrap().revision = to.map(Arc::from);
        check(revision(Some("def456")), &in_minutes(1, Reason::Revision));
        check(revision(None), &in_minutes(1, Reason::Revision));
        let undeclared = |w: &mut World| {
            open(w).evidence.origin = None;
            w.reading.as_mut().unwrap().revision = None;
        };
        check(undeclared, &Verdict::Go);
    }

    #[test]
    fn the_first_objection_in_the_order_of_the_gate_is_named() {
        let everything = |w: &mut World| {
            w.finding = None;
            w.hook.mode = Mode::Off;
            w.kill_switch = Switch::Stop;
            w.population = None;
            w.reading = None;
        };
        check(everything, &refused(Reason::NotOpen));
        let rest = |w: &mut World| {
            w.kill_switch = Switch::Stop;
            w.population = None;
            w.reading = None;
        };
        check(rest, &in_minutes(1, Reason::KillSwitch));
    }
}
