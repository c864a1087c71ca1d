//! Why two sides that are written differently mean the same, for people who ask.
//!
//! Decides nothing: each fold is noted where it is made, and only while somebody listens.

use std::borrow::Cow;

use serde_json::Value;

use super::walk::{Place, Walk, pointer};
use super::{ChangeOp, table};

pub(super) const READ_ONLY: &str = "read-only: only the provider sets it";
pub(super) const TEMPLATE: &str = "part of the template, and none of the resource";
pub(super) const NOTHING: &str = "says nothing, as its absence does";
pub(super) const DEFAULT: &str = "default value";
pub(super) const MOVED: &str = "given back at another place, and the same there";
pub(super) const BOOKKEEPING: &str = "the server's own bookkeeping";

/// Two sides that differ in writing and not in meaning, or something that was read and does not count.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// RFC 6901 pointer into the declared value; into the observed one for what is not declared.
    pub path: String,
    /// What makes the difference count for nothing.
    pub fold: &'static str,
    /// Why that is so of this attribute, where a reviewed fact about it says more.
    pub reason: Option<Cow<'static, str>>,
    /// What Git says; null for what is not declared.
    pub desired: Value,
    /// What was read; null for what was not.
    pub observed: Value,
    /// Whether both values were replaced by digests.
    pub sensitive: bool,
}

impl Walk<'_> {
    /// Returns the same walk with an ear for its folds.
    pub(super) fn listening(mut self) -> Self {
        self.folds = Some(Vec::new());
        self
    }

    /// Notes why a difference at the place at hand counts for nothing.
    #[inline]
    pub(super) fn fold(&mut self, fold: &'static str, both: (&Value, &Value), at: Place) {
        if self.folds.is_some() && !self.probes() {
            self.note_fold(fold, both, at);
        }
    }

    #[cold]
    fn note_fold(&mut self, fold: &'static str, both: (&Value, &Value), at: Place) {
        let path = pointer(&self.path);
        let (desired, observed, sensitive) = self.shown(both, at);
        let reason = table::reason(self.facts.kind.as_str(), &path).map(Cow::Borrowed);
        if let Some(folds) = &mut self.folds {
            folds.push(Fold { path, fold, reason, desired, observed, sensitive });
        }
    }
}

/// Returns why a difference counts where nothing more special is known.
pub(super) fn because(op: ChangeOp, at: Place) -> &'static str {
    match op {
        ChangeOp::Changed => {
            "declared, and read back as something else: no default, nothing that only the provider sets, no other \
             spelling of the same"
        }
        ChangeOp::Removed => "declared and not there any more: not a default, and it could have been read",
        ChangeOp::Added if at.whole => {
            "part of a policy document, which decides about everything: what nobody declared counts too"
        }
        ChangeOp::Added => "nobody declared it",
    }
}

/// Leaves the folds at whose place, or below it, nothing differs; in the order of the paths.
pub(super) fn settled(mut folds: Vec<Fold>, changed: &[super::Change]) -> Vec<Fold> {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    folds.retain(|fold| !changed.iter().any(|change| within(&fold.path, &change.path)));
    folds.sort_by(|a, b| (&a.path, a.fold).cmp(&(&b.path, b.fold)));
    folds.dedup_by(|a, b| a.path == b.path && a.fold == b.fold);
    folds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{Context, Facts, MaskKey, Strictly, compare, explain};
    use super::*;
    use crate::resource::{Depth, Kind};
    use crate::schema::Schema;

    fn explained(kind: &str, desired: &Value, observed: &Value) -> (super::super::Comparison, Vec<Fold>) {
        let schema = Schema { read_only: vec!["/Arn".to_owned()], ..Schema::default() };
        let (kind, context, mask) = (Kind::from(kind), Context::default(), MaskKey::new([3; 32]));
        let strictly = Strictly::default();
        let facts =
            Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
        let answer = explain(desired, observed, facts);
        assert_eq!(answer.0, compare(desired, observed, facts), "to listen must change nothing");
        answer
    }

    /// Asks why the two are the same; the answer must begin so, at that path.
    fn check(kind: &str, desired: &Value, observed: &Value, (path, fold): (&str, &str)) {
        let (found, folds) = explained(kind, desired, observed);
        assert_eq!(found.changes, vec![], "{desired} {observed}");
        assert!(folds.iter().any(|it| it.path == path && it.fold.starts_with(fold)), "{path} {fold}: {folds:?}");
    }

    #[test]
    fn every_fold_has_a_name() {
        let aws = "AWS::Some::Thing";
        for (desired, observed, expected) in [
            (json!({"A": "5"}), json!({"A": 5}), ("/A", "one number")),
            (json!({"Arn": "a"}), json!({"Arn": "b"}), ("/Arn", "read-only")),
            (json!({"A": []}), json!({}), ("/A", "says nothing")),
            (json!({"Ids": ["a", "b"]}), json!({"Ids": ["b", "a"]}), ("/Ids", "order means nothing")),
            (json!({"R": "arn:aws:iam::1:role/x"}), json!({"R": "x"}), ("/R", "ARN, URL or identifier")),
            (json!({"A": "{\"b\": 1}"}), json!({"A": {"b": 1}}), ("/A", "the same document")),
            (json!({"Cidr": "10.0.0.1/8"}), json!({"Cidr": "10.0.0.0/8"}), ("/Cidr", "one network")),
            (json!({"Level": "ALL"}), json!({"level": "ALL"}), ("/Level", "read under another spelling")),
            (json!({}), json!({"Arn": "x"}), ("/Arn", "read-only")),
            (json!({}), json!({"Special": "x"}), ("/Special", "nobody declares it")),
            (json!({"E": ["a", "b"]}), json!({"E": "b, a"}), ("/E", "the same words")),
            (
                json!({"Tags": [{"Key": "a", "Value": "1"}]}),
                json!({"Tags": [{"Key": "aws:x", "Value": "2"}, {"Key": "a", "Value": "1"}]}),
                ("/Tags/0", "a tag of the provider"),
            ),
        ] {
            check(aws, &desired, &observed, expected);
        }
        let limits = |cpu: Value| json!({"spec": {"limits": {"cpu": cpu}}, "status": {}});
        check("Pod", &limits(json!("1000m")), &limits(json!(1)), ("/spec/limits/cpu", "one quantity"));
    }

    #[test]
    fn a_reviewed_fact_gives_its_reason() {
        let (_, folds) =
            explained("AWS::AppSync::ApiKey", &json!({"Expires": 1_784_632_175}), &json!({"Expires": 1_784_631_600}));
        assert_eq!(
            folds.first().and_then(|fold| fold.reason.as_deref()),
            Some("rounded down to the hour when it is stored")
        );
    }

    #[test]
    fn a_change_says_why_it_counts() {
        let (found, folds) = explained("AWS::X::Y", &json!({"A": 1, "B": ["x"]}), &json!({"A": 2, "B": ["x", "y"]}));
        let reasons: Vec<&str> = found.changes.iter().map(|change| &*change.reason).collect();
        assert!(reasons[0].starts_with("declared, and read back as something else"), "{reasons:?}");
        assert_eq!(reasons[1], "1 item read that nobody declared, in a list that is one value");
        assert_eq!(folds, vec![], "what differs is not folded");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_fold_shows_a_secret(secret in "[a-z]{12,20}") {
            let desired = json!({"Password": format!("{secret} "), "E": {"DB_TOKEN": 1}});
            let observed = json!({"Password": secret, "E": {"DB_TOKEN": "1"}, "ApiKey": secret});
            let (_, folds) = explained("AWS::X::Y", &desired, &observed);
            prop_assert!(folds.iter().filter(|fold| fold.sensitive).count() >= 2, "{folds:?}");
            prop_assert!(!format!("{folds:?}").contains(&secret), "{folds:?}");
        }
    }
}
