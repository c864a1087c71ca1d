//! Who of those that the log names did it: the events that may be a deed, and the one that most likely is.
//!
//! The rules are closed. An event may be a deed if it wrote, is a call to what serves the kind, names the resource, and is of the
//! time in which the deed was done. Whoever writes chooses their user agent and how their session is called, so nobody is left
//! out for those; driftwarden itself writes nothing. Of those events, what says that it did just that comes before what does
//! not, then what has the resource's id before what has its name, then what is newer. How sure that is:
//!
//! | the event | confidence |
//! |---|---|
//! | has the id and says that it did just that | `high` |
//! | has the id | `medium` |
//! | has the name among its parameters | `low` |
//! | and others, that are as likely, are of somebody else | one step lower |
//! | does not say that it did just that, and it is not known since when it differs | `low` |
//! | does not say that it made or deleted what is unmanaged or missing | `low` |

use driftwarden_core::finding::{Actor, ActorKind, Confidence, DriftKind};
use jiff::Timestamp;

use super::fit::{Fit, Naming, fit, naming};
use super::identity::who;
use super::record::Record;
use super::{SOURCE, window};
use crate::collect::Deed;

/// The events that may be each deed.
pub(super) struct Suspects<'a> {
    deeds: Vec<(&'a Deed, Vec<Suspect>)>,
}

/// Who may have done it.
#[derive(Debug)]
struct Suspect {
    fit: Fit,
    naming: Naming,
    at: Timestamp,
    /// Id of the record.
    id: String,
    event: String,
    name: String,
    kind: ActorKind,
}

impl Suspect {
    fn likelihood(&self) -> (Fit, Naming) {
        (self.fit, self.naming)
    }
}

impl<'a> Suspects<'a> {
    /// Returns that nobody is suspected yet.
    pub(super) fn of(deeds: &'a [Deed]) -> Self {
        Self { deeds: deeds.iter().map(|deed| (deed, Vec::new())).collect() }
    }

    /// Takes notice of a record; the same one may come again.
    pub(super) fn take(&mut self, record: &Record) {
        if !record.wrote() {
            return;
        }
        for (deed, suspects) in &mut self.deeds {
            if suspects.iter().all(|known| known.id != record.id) {
                suspects.extend(suspect(record, deed));
            }
        }
    }

    /// Returns the deeds of which another event may say more.
    pub(super) fn unsettled(&self) -> Vec<&'a Deed> {
        let is_settled = |suspects: &[Suspect]| suspects.iter().any(|it| it.likelihood() == (Fit::Exact, Naming::Id));
        self.deeds.iter().filter(|(_, suspects)| !is_settled(suspects)).map(|(deed, _)| *deed).collect()
    }

    /// Returns who did each deed.
    pub(super) fn actors(&self) -> Vec<Actor> {
        let actor = |(deed, suspects): &(&Deed, Vec<Suspect>)| actor(deed, suspects);
        self.deeds.iter().map(|it| actor(it).unwrap_or_else(|| Actor::unknown(SOURCE))).collect()
    }
}

fn suspect(record: &Record, deed: &Deed) -> Option<Suspect> {
    let (after, before) = window(deed);
    if record.at > before || after.is_some_and(|after| record.at < after) || !record.serves(&deed.resource.kind) {
        return None;
    }
    let naming = naming(record, &deed.resource.kind, &deed.resource.name)?;
    let fit = fit(record, deed)?;
    let (name, kind) = who(record)?;
    let (id, event) = (plain(&record.id), plain(&record.name));
    Some(Suspect { fit, naming, at: record.at, id, event, name, kind })
}

/// Returns what is printable of a word of a record.
fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(100).collect()
}

fn actor(deed: &Deed, suspects: &[Suspect]) -> Option<Actor> {
    let likeliest = suspects.iter().max_by_key(|suspect| (suspect.likelihood(), suspect.at))?;
    let rivals = suspects.iter().filter(|other| other.likelihood() == likeliest.likelihood());
    let has_rival = rivals.into_iter().any(|rival| rival.name != likeliest.name);
    let confidence = match likeliest.likelihood() {
        (Fit::Possible, _) if deed.drift != DriftKind::Changed || deed.arisen.after.is_none() => Confidence::Low,
        (Fit::Exact, Naming::Id) => Confidence::High,
        (Fit::Possible, Naming::Id) => Confidence::Medium,
        (_, Naming::Name) => Confidence::Low,
    };
    Some(Actor {
        name: likeliest.name.clone(),
        kind: likeliest.kind,
        at: Some(likeliest.at),
        source: SOURCE.to_owned(),
        event: Some(format!("{} ({})", likeliest.event, likeliest.id)),
        confidence: if has_rival { confidence.lowered() } else { confidence },
    })
}
