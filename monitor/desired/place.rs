//! Where a declaration lives: in the scope that it names, or in the only one that it can mean.
//!
//! One that may mean several scopes is compared wherever it is found and is missing nowhere: which of them it means is
//! never guessed. No cloud is asked here.

use driftwarden_core::region;
use driftwarden_core::resource::{Desired, NOT_APPLICABLE, Provider, Scope};

/// The scopes that a source speaks for, of one sort of system.
#[derive(Debug, Clone, Default)]
pub struct Places {
    scopes: Vec<Scope>,
    extent: Extent,
}

/// Whether all scopes are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// They are.
    #[default]
    Whole,
    /// Some cloud did not say yet which it has.
    Partial,
}

/// Where a declaration lives, seen from one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Here.
    Here,
    /// Here or in another scope, and why nobody knows; the reason is said in one of these scopes only.
    HereOrElsewhere(Option<String>),
    /// In another scope.
    Elsewhere,
    /// In no scope that is read, which is said in this one.
    Nowhere(String),
}

impl Places {
    /// Returns these scopes, as far as they are known.
    pub fn new(mut scopes: Vec<Scope>, extent: Extent) -> Self {
        scopes.sort();
        Self { scopes, extent }
    }

    /// Returns the place of a resource that is declared as it is, seen from `here`.
    pub(super) fn of(&self, desired: &Desired, here: &Scope) -> Place {
        if fits(desired, here) {
            return self.here_or_elsewhere(desired, here);
        }
        if desired.provider != here.provider || self.extent == Extent::Partial {
            return Place::Elsewhere;
        }
        let is_read = self.scopes.iter().any(|scope| fits(desired, scope));
        let account = desired.account.as_deref();
        if is_read || self.spokesman(account) != Some(here) {
            return Place::Elsewhere;
        }
        Place::Nowhere(unread(account, desired.region.as_deref()))
    }

    fn here_or_elsewhere(&self, desired: &Desired, here: &Scope) -> Place {
        // Each cluster gets its own copy of a manifest; a region or an account does not.
        let is_copied = desired.provider == Provider::Kubernetes;
        let is_said = desired.account.is_some() && (desired.region.is_some() || region::is_global(&desired.kind));
        if is_copied || is_said {
            return Place::Here;
        }
        let candidates = self.candidates(|scope| fits(desired, scope));
        self.among(&candidates, here, "write its `metadata.account` and `metadata.region`")
    }

    /// Returns the place of what may be in any of `candidates`, `here` being one of them.
    pub(super) fn among(&self, candidates: &[&Scope], here: &Scope, hint: &str) -> Place {
        let is_first = candidates.first().is_some_and(|first| is_same_place(first, here));
        match (candidates.len(), self.extent) {
            (0 | 1, Extent::Whole) => Place::Here,
            (0 | 1, Extent::Partial) => Place::HereOrElsewhere(
                is_first.then(|| format!("it may be in a cloud that has not answered; hint: {hint}")),
            ),
            (count, _) => Place::HereOrElsewhere(
                is_first.then(|| format!("it may be in any of {count} accounts and regions; hint: {hint}")),
            ),
        }
    }

    /// Returns the scopes that fit, each place once: two clouds may read one account.
    pub(super) fn candidates(&self, fits: impl Fn(&Scope) -> bool) -> Vec<&Scope> {
        let mut candidates: Vec<&Scope> = Vec::new();
        for scope in self.scopes.iter().filter(|scope| fits(scope)) {
            if !candidates.iter().any(|other| is_same_place(other, scope)) {
                candidates.push(scope);
            }
        }
        candidates
    }

    /// Returns the scope that speaks for what is in none: the first one of its account, or the first one.
    pub(super) fn spokesman(&self, account: Option<&str>) -> Option<&Scope> {
        let of_account = self.scopes.iter().find(|scope| account.is_some_and(|account| account == &*scope.account));
        of_account.or(self.scopes.first())
    }

    /// Returns whether some scope may be unknown.
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }
}

/// Returns whether two scopes are one account and region.
pub(super) fn is_same_place(a: &Scope, b: &Scope) -> bool {
    (a.provider, &a.account, &a.region) == (b.provider, &b.account, &b.region)
}

/// Says that something is in an account and region that nobody reads.
pub(super) fn unread(account: Option<&str>, region: Option<&str>) -> String {
    let named = |what: &str, name: Option<&str>| name.map(|name| format!("{what} `{name}`"));
    let place: Vec<String> = [named("account", account), named("region", region)].into_iter().flatten().collect();
    format!("no cloud of its source reads {}; hint: have it read, or keep it out of `path`", place.join(", "))
}

/// Returns whether a resource may be in a scope. Global kinds of AWS live in the scope without a region, whatever
/// region is written, and the others never do.
fn fits(desired: &Desired, scope: &Scope) -> bool {
    if desired.provider != Provider::Aws {
        return desired.belongs_to(scope);
    }
    let is_global_scope = &*scope.region == NOT_APPLICABLE;
    if region::is_global(&desired.kind) {
        let account = desired.account.as_ref().is_none_or(|account| *account == scope.account);
        return is_global_scope && account && scope.provider == Provider::Aws;
    }
    !is_global_scope && desired.belongs_to(scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftwarden_core::resource::{Labels, Origin};
    use serde_json::Value;

    fn scope(text: &str) -> Scope {
        let (provider, rest) = text.split_once("://").unwrap();
        let (account, region) = rest.split_once('/').unwrap();
        Scope { cloud: "c".into(), provider: provider.parse().unwrap(), account: account.into(), region: region.into() }
    }

    fn desired(provider: Provider, kind: &str, account: &str, region: &str) -> Desired {
        let said = |text: &str| (!text.is_empty()).then(|| text.into());
        Desired {
            provider,
            account: said(account),
            region: said(region),
            kind: kind.into(),
            name: Some("n".into()),
            labels: Labels::new(),
            attributes: Value::Null,
            origin: Origin::default(),
        }
    }

    /// Says for each scope where the declaration is: `!` here, `?` perhaps, `-` elsewhere, `0` nowhere; a capital letter
    /// (`Q`) where the doubt is told.
    fn check(desired: &Desired, scopes: &[&str], extent: Extent, want: &str) {
        let scopes: Vec<Scope> = scopes.iter().map(|text| scope(text)).collect();
        let places = Places::new(scopes.clone(), extent);
        let letter = |here: &Scope| match places.of(desired, here) {
            Place::Here => '!',
            Place::HereOrElsewhere(None) => '?',
            Place::HereOrElsewhere(Some(_)) => 'Q',
            Place::Elsewhere => '-',
            Place::Nowhere(_) => '0',
        };
        assert_eq!(scopes.iter().map(letter).collect::<String>(), want, "{desired:?}");
    }

    const ONE: [&str; 2] = ["aws://1/-", "aws://1/eu"];
    const TWO: [&str; 3] = ["aws://1/-", "aws://1/eu", "aws://1/us"];
    const ACCOUNTS: [&str; 4] = ["aws://1/-", "aws://1/eu", "aws://2/-", "aws://2/eu"];

    #[test]
    fn what_can_be_in_one_scope_only_is_there() {
        let queue = |account, region| desired(Provider::Aws, "AWS::SQS::Queue", account, region);
        check(&queue("", ""), &ONE, Extent::Whole, "-!");
        check(&queue("", "us"), &TWO, Extent::Whole, "--!");
        check(&queue("", ""), &["aws://1/eu", "aws://1/eu"], Extent::Whole, "!!");
        check(&queue("1", "eu"), &TWO, Extent::Partial, "-!-");
        let role = |account| desired(Provider::Aws, "AWS::IAM::Role", account, "eu");
        check(&role(""), &TWO, Extent::Whole, "!--");
        check(&role("2"), &ACCOUNTS, Extent::Whole, "--!-");
    }

    #[test]
    fn what_may_be_in_several_scopes_is_expected_in_none() {
        let queue = |account, region| desired(Provider::Aws, "AWS::SQS::Queue", account, region);
        check(&queue("", ""), &TWO, Extent::Whole, "-Q?");
        check(&queue("", "eu"), &ACCOUNTS, Extent::Whole, "-Q-?");
        check(&queue("", ""), &ONE, Extent::Partial, "-Q");
        check(&desired(Provider::Aws, "AWS::IAM::Role", "", ""), &ACCOUNTS, Extent::Whole, "Q-?-");
    }

    #[test]
    fn what_is_in_no_scope_is_told_in_one() {
        let queue = |account, region| desired(Provider::Aws, "AWS::SQS::Queue", account, region);
        check(&queue("", "us"), &ONE, Extent::Whole, "0-");
        check(&queue("2", "us"), &ACCOUNTS, Extent::Whole, "--0-");
        check(&queue("3", "eu"), &ACCOUNTS, Extent::Whole, "0---");
        check(&queue("", "us"), &ONE, Extent::Partial, "--");
        check(&queue("", "us"), &["kubernetes://a/-"], Extent::Whole, "-");
    }

    #[test]
    fn each_cluster_gets_its_own_copy() {
        let clusters = ["kubernetes://a/-", "kubernetes://b/-"];
        check(&desired(Provider::Kubernetes, "Pod", "", ""), &clusters, Extent::Whole, "!!");
        check(&desired(Provider::Kubernetes, "Pod", "b", ""), &clusters, Extent::Whole, "-!");
        check(&desired(Provider::Kubernetes, "Pod", "c", ""), &clusters, Extent::Whole, "0-");
    }
}
