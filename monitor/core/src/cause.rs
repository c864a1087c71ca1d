//! Why reality and Git differ: an earlier commit that was never followed by an apply looks like tampering, and is not.

use jiff::{SignedDuration, Timestamp};

use crate::finding::{Cause, DriftKind};
use crate::resource::Desired;

/// What an earlier revision said of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// When that revision was replaced by the one after it.
    pub until: Timestamp,
    /// The declaration, or nothing if that revision had none.
    pub desired: Option<Desired>,
}

/// Returns the cause of a drift. `earlier` is newest first; `equals` says whether what was read is just what a
/// declaration asks for.
///
/// A drift whose state some earlier revision asked for was not applied yet, or is just being applied if the change in
/// Git is younger than `rollout`. Everything else was done without Git.
pub fn cause(
    drift: DriftKind,
    earlier: &[Earlier],
    equals: impl Fn(&Desired) -> bool,
    (rollout, now): (SignedDuration, Timestamp),
) -> Cause {
    let asked_for_this = |then: &&Earlier| match (&then.desired, drift) {
        (None, DriftKind::Missing) => true,
        (Some(desired), DriftKind::Changed | DriftKind::Unmanaged) => equals(desired),
        _ => false,
    };
    match earlier.iter().find(asked_for_this) {
        None => Cause::OutOfBand,
        Some(then) if now.duration_since(then.until) < rollout => Cause::RollingOut,
        Some(_) => Cause::UnappliedCommit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Labels, Origin, Provider};
    use serde_json::json;

    fn desired(value: u64) -> Desired {
        Desired {
            provider: Provider::Aws,
            account: None,
            region: None,
            kind: "AWS::S3::Bucket".into(),
            name: Some("a".into()),
            labels: Labels::new(),
            attributes: json!(value),
            origin: Origin::default(),
        }
    }

    /// Each earlier revision is a value, or nothing where it did not declare the resource; each ended ten minutes
    /// before the one after it, the newest `age` minutes ago.
    fn check(drift: DriftKind, observed: u64, earlier: &[Option<u64>], age: i64, want: Cause) {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000);
        let past: Vec<Earlier> = (0..)
            .zip(earlier)
            .map(|(back, value)| Earlier {
                until: now - SignedDuration::from_mins(age + 10 * back),
                desired: value.map(desired),
            })
            .collect();
        let equals = |desired: &Desired| desired.attributes == observed;
        assert_eq!(cause(drift, &past, equals, (SignedDuration::from_mins(15), now)), want);
    }

    #[test]
    fn what_an_earlier_commit_asked_for_is_not_tampering() {
        check(DriftKind::Changed, 1, &[Some(1)], 60, Cause::UnappliedCommit);
        check(DriftKind::Changed, 1, &[Some(2), Some(1)], 60, Cause::UnappliedCommit);
        check(DriftKind::Missing, 0, &[None], 60, Cause::UnappliedCommit);
        check(DriftKind::Unmanaged, 1, &[Some(1)], 60, Cause::UnappliedCommit);
    }

    #[test]
    fn what_no_commit_ever_asked_for_is_out_of_band() {
        check(DriftKind::Changed, 9, &[Some(1), Some(2)], 60, Cause::OutOfBand);
        check(DriftKind::Missing, 0, &[Some(1)], 60, Cause::OutOfBand);
        check(DriftKind::Unmanaged, 9, &[None, Some(1)], 60, Cause::OutOfBand);
        check(DriftKind::Changed, 9, &[], 60, Cause::OutOfBand);
    }

    #[test]
    fn a_young_commit_may_still_be_on_its_way() {
        check(DriftKind::Changed, 1, &[Some(1)], 5, Cause::RollingOut);
    }
}
