//! What other declarations put into the lists of a resource: a rule that is declared beside its security group, a policy
//! that attaches itself.
//!
//! Only says what is declared where; whether an item that was read is one of them is found out in [`crate::compare`].

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::normalize;
use crate::resource::{Desired, Kind};

/// An item that another declaration puts into a list of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Sibling {
    /// The items of the list, as a pointer that ends in `*`; or what else it may have made.
    pub pointer: &'static str,
    /// The item; `{"$unknown": true}` for what of it is not known.
    pub item: Value,
    /// Whether it is known that the declaration is about this resource.
    pub is_sure: bool,
}

/// One way in which declarations of one kind put items into the lists of another.
struct Giver {
    kind: &'static str,
    pointer: &'static str,
    from: &'static str,
    owner: Owner,
    gives: Gives,
}

/// Where a declaration says which resource it is about.
enum Owner {
    /// In one of its attributes, or in each item of one.
    In(&'static [&'static str]),
    /// In its own name, which begins with that of the resource.
    Parent,
}

/// What a declaration gives.
enum Gives {
    /// Its attributes but these.
    AllBut(&'static [&'static str]),
    /// These of its attributes.
    Only(&'static [&'static str]),
    /// The value of one of its attributes.
    One(&'static str),
    /// Each item of a list in it.
    Each(&'static str),
    /// Its name.
    Name,
    /// The last part of its name as `name`, and its attributes.
    Child,
    /// Something that cannot be told.
    Something,
}

const fn giver(kind: &'static str, pointer: &'static str, from: &'static str, owner: Owner, gives: Gives) -> Giver {
    Giver { kind, pointer, from, owner, gives }
}

use Gives::{AllBut, Child, Each, Name, One, Only, Something};
use Owner::{In, Parent};

const GROUP: Owner = In(&["GroupId", "GroupName"]);
const RULE: Gives = AllBut(&["GroupId", "GroupName"]);
const INLINE: Gives = Only(&["PolicyName", "PolicyDocument"]);

/// Who gives what to whom, in the order of those who are given.
#[rustfmt::skip]
const GIVERS: &[Giver] = &[
    giver("AWS::EC2::SecurityGroup", "/SecurityGroupEgress/*", "AWS::EC2::SecurityGroupEgress", GROUP, RULE),
    giver("AWS::EC2::SecurityGroup", "/SecurityGroupIngress/*", "AWS::EC2::SecurityGroupIngress", GROUP, RULE),
    giver("AWS::ElasticLoadBalancingV2::Listener", "/Certificates/*", "AWS::ElasticLoadBalancingV2::ListenerCertificate", In(&["ListenerArn"]), Each("Certificates")),
    giver("AWS::Events::EventBus", "/Policy", "AWS::Events::EventBusPolicy", In(&["EventBusName"]), Something),
    giver("AWS::IAM::Group", "/ManagedPolicyArns/*", "AWS::IAM::ManagedPolicy", In(&["Groups"]), Name),
    giver("AWS::IAM::Group", "/Policies/*", "AWS::IAM::GroupPolicy", In(&["GroupName"]), INLINE),
    giver("AWS::IAM::Group", "/Policies/*", "AWS::IAM::Policy", In(&["Groups"]), INLINE),
    giver("AWS::IAM::ManagedPolicy", "/Groups/*", "AWS::IAM::Group", In(&["ManagedPolicyArns"]), Name),
    giver("AWS::IAM::ManagedPolicy", "/Roles/*", "AWS::IAM::Role", In(&["ManagedPolicyArns"]), Name),
    giver("AWS::IAM::ManagedPolicy", "/Users/*", "AWS::IAM::User", In(&["ManagedPolicyArns"]), Name),
    giver("AWS::IAM::Role", "/ManagedPolicyArns/*", "AWS::IAM::ManagedPolicy", In(&["Roles"]), Name),
    giver("AWS::IAM::Role", "/Policies/*", "AWS::IAM::Policy", In(&["Roles"]), INLINE),
    giver("AWS::IAM::Role", "/Policies/*", "AWS::IAM::RolePolicy", In(&["RoleName"]), INLINE),
    giver("AWS::IAM::User", "/Groups/*", "AWS::IAM::UserToGroupAddition", In(&["Users"]), One("GroupName")),
    giver("AWS::IAM::User", "/ManagedPolicyArns/*", "AWS::IAM::ManagedPolicy", In(&["Users"]), Name),
    giver("AWS::IAM::User", "/Policies/*", "AWS::IAM::Policy", In(&["Users"]), INLINE),
    giver("AWS::IAM::User", "/Policies/*", "AWS::IAM::UserPolicy", In(&["UserName"]), INLINE),
    giver("AWS::SNS::Topic", "/Subscription/*", "AWS::SNS::Subscription", In(&["TopicArn"]), Only(&["Endpoint", "Protocol"])),
    giver("Microsoft.KeyVault/vaults", "/properties/accessPolicies/*", "Microsoft.KeyVault/vaults/accessPolicies", Parent, Each("properties/accessPolicies")),
    giver("Microsoft.Network/networkSecurityGroups", "/properties/securityRules/*", "Microsoft.Network/networkSecurityGroups/securityRules", Parent, Child),
    giver("Microsoft.Network/virtualNetworks", "/properties/virtualNetworkPeerings/*", "Microsoft.Network/virtualNetworks/virtualNetworkPeerings", Parent, Child),
];

/// Returns the kinds whose declarations may put something into a resource of `kind`.
pub(crate) fn givers_of(kind: &Kind) -> impl Iterator<Item = Kind> {
    GIVERS.iter().filter(|giver| giver.kind == kind.as_str()).map(|giver| Kind::from(giver.from))
}

/// What other declarations say of the resources of one kind, by the names of these.
#[derive(Debug)]
pub(crate) struct Beside<T> {
    by_owner: HashMap<String, Vec<T>>,
    /// That of which it is not known for whom it is.
    of_somebody: Vec<T>,
}

impl<T> Default for Beside<T> {
    fn default() -> Self {
        Self { by_owner: HashMap::new(), of_somebody: Vec::new() }
    }
}

/// What other declarations put into the lists of resources.
pub(crate) type Siblings = Beside<Sibling>;

impl<T: Clone + PartialEq> Beside<T> {
    /// Adds what is said of the resource of that name; of any one, where it is not known.
    pub(crate) fn put(&mut self, owner: Option<&str>, said: T) {
        match owner {
            Some(owner) => keys(owner).for_each(|key| self.by_owner.entry(key).or_default().push(said.clone())),
            None => self.of_somebody.push(said),
        }
    }

    /// Returns what is declared elsewhere of the resource that has these names.
    pub(crate) fn about<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<&T> {
        if self.by_owner.is_empty() && self.of_somebody.is_empty() {
            return Vec::new();
        }
        let own = names.flat_map(keys).filter_map(|key| self.by_owner.get(&key)).flatten();
        let mut found: Vec<&T> = own.chain(&self.of_somebody).collect();
        found.dedup();
        found
    }
}

impl Siblings {
    /// Returns what `declared`, by kind, puts into resources of `kind`.
    pub(crate) fn of<'d, I>(kind: &Kind, declared: impl Fn(&Kind) -> I) -> Self
    where
        I: IntoIterator<Item = &'d Desired>,
    {
        let mut siblings = Self::default();
        for giver in GIVERS.iter().filter(|giver| giver.kind == kind.as_str()) {
            for desired in declared(&Kind::from(giver.from)) {
                siblings.add(giver, desired);
            }
        }
        siblings
    }

    fn add(&mut self, giver: &Giver, desired: &Desired) {
        let owners = giver.owner.names(desired);
        for item in giver.gives.items(desired) {
            for owner in &owners {
                let sibling = Sibling { pointer: giver.pointer, item: item.clone(), is_sure: owner.is_some() };
                self.put(owner.as_deref(), sibling);
            }
        }
    }
}

/// Returns the texts under which a name is found: itself, and the last part of an ARN or address.
pub(crate) fn keys(name: &str) -> impl Iterator<Item = String> {
    [Some(name), normalize::tail(name)].into_iter().flatten().map(str::to_lowercase)
}

impl Owner {
    /// Returns the names of the resources that a declaration is about; nothing for one that is not known.
    fn names(&self, desired: &Desired) -> Vec<Option<String>> {
        match self {
            In(names) => {
                let values = names.iter().filter_map(|name| desired.attributes.get(*name));
                let items =
                    values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
                items.filter(|item| !item.is_null()).map(known).collect()
            }
            Parent => vec![desired.name.as_deref().and_then(parent).map(ToOwned::to_owned)],
        }
    }
}

/// Returns the text of a value, if all of it is known.
fn known(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.contains("resolve:")).map(ToOwned::to_owned)
}

/// Returns the name of what a part belongs to: `web` of `web/rule`, and the same of a whole identifier.
fn parent(name: &str) -> Option<&str> {
    let (above, _) = name.rsplit_once('/')?;
    if name.starts_with('/') { above.rsplit_once('/').map(|(above, _)| above) } else { Some(above) }
}

impl Gives {
    fn items(&self, desired: &Desired) -> Vec<Value> {
        let attributes = desired.attributes.as_object();
        let picked = |is_wanted: &dyn Fn(&str) -> bool| -> Value {
            let pairs = attributes.into_iter().flatten().filter(|(name, _)| is_wanted(name));
            Value::Object(pairs.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        let own_name = || desired.name.as_deref().map_or_else(unknown, Value::from);
        match self {
            AllBut(names) => vec![picked(&|name| !names.contains(&name))],
            Only(names) => vec![picked(&|name| names.contains(&name))],
            One(name) => vec![desired.attributes.get(name).cloned().unwrap_or_else(unknown)],
            Each(path) => match desired.attributes.pointer(&format!("/{path}")) {
                Some(Value::Array(items)) => items.clone(),
                _ => vec![unknown()],
            },
            Name => vec![own_name()],
            Child => {
                let mut child: Map<String, Value> = attributes.cloned().unwrap_or_default();
                child.retain(|name, _| name == "properties");
                let last =
                    own_name().as_str().and_then(|name| name.rsplit('/').next()).map_or_else(unknown, Value::from);
                child.insert("name".to_owned(), last);
                vec![Value::Object(child)]
            }
            Something => vec![unknown()],
        }
    }
}

fn unknown() -> Value {
    json!({"$unknown": true})
}

/// Returns a declaration, for tests.
#[cfg(test)]
pub(crate) fn declared(kind: &str, name: Option<&str>, attributes: Value) -> Desired {
    Desired {
        provider: crate::resource::Provider::Aws,
        account: None,
        region: None,
        kind: kind.into(),
        name: name.map(Into::into),
        labels: crate::resource::Labels::new(),
        attributes,
        origin: crate::resource::Origin::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks what `others` put into the resource of these names; answers with `pointer item` and `?` where it may be
    /// another's.
    fn check(kind: &str, names: &[&str], others: &[Desired], expected: &[&str]) {
        let of = |wanted: &Kind| others.iter().filter(|it| it.kind == *wanted).collect::<Vec<_>>();
        let siblings = Siblings::of(&Kind::from(kind), of);
        let found = siblings.about(names.iter().copied());
        let word = |it: &&Sibling| format!("{} {}{}", it.pointer, it.item, if it.is_sure { "" } else { " ?" });
        assert_eq!(found.iter().map(word).collect::<Vec<_>>(), expected, "{kind}");
    }

    #[test]
    fn a_rule_beside_its_group_is_put_into_it() {
        let rule =
            |group: Value| declared("AWS::EC2::SecurityGroupIngress", None, json!({"GroupId": group, "FromPort": 1}));
        let group = "AWS::EC2::SecurityGroup";
        let item = r#"/SecurityGroupIngress/* {"FromPort":1}"#;
        check(group, &["sg-1", "web"], &[rule(json!("sg-1")), rule(json!("sg-2"))], &[item]);
        check(group, &["sg-3"], &[rule(json!("sg-1"))], &[]);
        check(group, &["sg-3"], &[rule(json!({"$unknown": true}))], &[&format!("{item} ?")]);
    }

    #[test]
    fn policies_attach_themselves() {
        let policy = |name| declared("AWS::IAM::ManagedPolicy", name, json!({"Roles": ["app", "web"]}));
        let role = "AWS::IAM::Role";
        let arn = "arn:aws:iam::1:policy/p";
        check(role, &["app"], &[policy(Some(arn))], &[r#"/ManagedPolicyArns/* "arn:aws:iam::1:policy/p""#]);
        check(role, &["app"], &[policy(None)], &[r#"/ManagedPolicyArns/* {"$unknown":true}"#]);
        let inline =
            declared("AWS::IAM::Policy", None, json!({"PolicyName": "x", "PolicyDocument": {}, "Roles": ["app"]}));
        check(role, &["app"], &[inline], &[r#"/Policies/* {"PolicyDocument":{},"PolicyName":"x"}"#]);
        let attached = declared(role, Some("app"), json!({"ManagedPolicyArns": [arn]}));
        check("AWS::IAM::ManagedPolicy", &[arn], &[attached], &[r#"/Roles/* "app""#]);
    }

    #[test]
    fn a_part_names_what_it_belongs_to() {
        let kind = "Microsoft.Network/networkSecurityGroups/securityRules";
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/web";
        let rule = |name: &str| declared(kind, Some(name), json!({"properties": {"priority": 1}}));
        let item = r#"/properties/securityRules/* {"name":"ssh","properties":{"priority":1}}"#;
        let group = "Microsoft.Network/networkSecurityGroups";
        check(group, &["web"], &[rule("web/ssh"), rule("api/ssh")], &[item]);
        check(group, &[id], &[rule(&format!("{id}/securityRules/ssh"))], &[item]);
    }

    #[test]
    fn what_cannot_be_told_may_be_anything() {
        let policy = declared("AWS::Events::EventBusPolicy", None, json!({"EventBusName": "main", "StatementId": "x"}));
        check("AWS::Events::EventBus", &["main"], &[policy], &[r#"/Policy {"$unknown":true}"#]);
    }

    #[test]
    fn givers_are_in_the_order_of_those_who_are_given() {
        let names: Vec<_> = GIVERS.iter().map(|giver| (giver.kind, giver.pointer, giver.from)).collect();
        assert!(names.is_sorted_by(|a, b| a < b));
    }
}
