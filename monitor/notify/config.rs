//! What the section `notify` of the configuration says, and why it may be wrong.
//!
//! The settings of one type of receiver are its own file's; here they are only found by the word under `type`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use driftwarden_core::decide::Route;
use driftwarden_core::group::Spacing;
use driftwarden_core::matcher::{self, Matcher, MatcherError};
use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::{NOTIFIERS, NotifierType, Receivers};
use crate::outbound;

/// Who is told of what.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Named destinations.
    #[serde(default)]
    pub receivers: Vec<ReceiverConfig>,
    /// Which findings go where.
    #[serde(default)]
    pub route: Option<RouteConfig>,
    /// Address under which people reach this daemon, for links in notifications.
    #[serde(default)]
    pub external_url: Option<Url>,
}

/// A named destination; what it takes besides name and type depends on the type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ReceiverConfig {
    /// The name that routes use.
    pub name: Arc<str>,
    /// A word of [`NOTIFIERS`].
    #[serde(rename = "type")]
    pub type_: String,
    /// Everything else.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// One node of the tree of routes. What it does not say, it has from its parent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Name of a receiver.
    #[serde(default)]
    pub receiver: Option<String>,
    /// Matchers, all of which must hold: `priority<=2`, `label.team=web`.
    #[serde(default, rename = "match")]
    pub match_: Vec<String>,
    /// Keys of a finding; those that agree on all of them become one notification.
    #[serde(default)]
    pub group_by: Option<Vec<String>>,
    /// How long a notification waits for company.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub group_wait: Option<SignedDuration>,
    /// How long news of a group waits after a notification; 5m unless it is said. Not for receivers that are told everything
    /// that is open again and again, such as Alertmanager, which has intervals of its own.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub group_interval: Option<SignedDuration>,
    /// After how long what is still open is told again; 4h unless it is said. Looked at once in each `group_interval`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub repeat_interval: Option<SignedDuration>,
    /// Whether later siblings are tried after this one.
    #[serde(default, rename = "continue")]
    pub continue_: bool,
    /// More special routes.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
}

/// What is wrong in the section `notify`.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ConfigError {
    what: String,
    hint: Option<String>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ConfigError {
    pub(super) fn new(what: String) -> Self {
        Self { what, hint: None, source: None }
    }

    fn hint_at(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Returns what to do about it, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// What the builder of a notifier may look at.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub(super) receiver: &'a ReceiverConfig,
    pub(super) external_url: Option<&'a Url>,
}

impl Settings<'_> {
    /// Returns the settings as the type understands them.
    pub(super) fn parse<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, ConfigError> {
        let schema = schemars::schema_for!(T);
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        if let Some(key) = self.receiver.settings.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(self.error(&format!("unknown key `{key}`")).hint_at(suggestion(key, &known)));
        }
        T::deserialize(Value::Object(self.receiver.settings.clone()))
            .map_err(|error| self.error("a setting does not fit").because(error))
    }

    /// Returns a client that gives up after `timeout`.
    pub(super) fn client(&self, timeout: SignedDuration) -> Result<reqwest::Client, ConfigError> {
        let timeout = Duration::try_from(timeout).ok().filter(|timeout| !timeout.is_zero());
        let timeout = timeout.ok_or_else(|| self.error("`timeout` must be longer than nothing"))?;
        outbound::client(timeout).map_err(|error| self.error("no HTTP client can be made").because(error))
    }

    /// Refuses to send the secret that stands at `key` to where it could be read on its way.
    pub(super) fn keep_secret(&self, key: &str, url: &Url) -> Result<(), ConfigError> {
        if !outbound::is_clear_text(url) {
            return Ok(());
        }
        let error = self.error(&format!("`{key}` would be sent in clear text"));
        Err(error.hint_at(Some(outbound::CLEAR_TEXT_HINT.to_owned())))
    }

    pub(super) fn error(&self, why: &str) -> ConfigError {
        ConfigError::new(format!("invalid receiver `{}`: {why}", self.receiver.name))
    }
}

impl Config {
    /// Returns the receivers and routes that this says. Contacts nobody.
    pub fn build(&self) -> Result<Receivers, ConfigError> {
        let mut receivers = Receivers::default();
        for receiver in &self.receivers {
            let notifier =
                (type_of(receiver)?.build)(&Settings { receiver, external_url: self.external_url.as_ref() })?;
            if receivers.by_name.insert(Arc::clone(&receiver.name), notifier).is_some() {
                return Err(ConfigError::new(format!("invalid receivers: two are called `{}`", receiver.name)));
            }
        }
        receivers.route = self.route.as_ref().map(|route| self.root(route)).transpose()?;
        match (&receivers.route, self.receivers.first()) {
            (None, Some(first)) => Err(ConfigError::new("invalid receivers: no route leads to any".to_owned())
                .hint_at(Some(format!("add `route: {{receiver: {}}}`", first.name)))),
            _ => Ok(receivers),
        }
    }

    fn root(&self, config: &RouteConfig) -> Result<Route, ConfigError> {
        let Some(receiver) = config.receiver.as_deref() else {
            return Err(ConfigError::new("invalid route: the outermost one names no receiver".to_owned()));
        };
        let above = Route {
            place: String::new(),
            matchers: Vec::new(),
            receiver: receiver.into(),
            group_by: Vec::new(),
            spacing: Spacing {
                wait: SignedDuration::from_secs(30),
                interval: SignedDuration::from_mins(5),
                repeat: SignedDuration::from_hours(4),
            },
            continue_: false,
            routes: Vec::new(),
        };
        self.route(config, &above)
    }

    fn route(&self, config: &RouteConfig, above: &Route) -> Result<Route, ConfigError> {
        let mut route = Route {
            place: format!("{}{{{}}}", above.place, config.match_.join(",")),
            matchers: config
                .match_
                .iter()
                .map(|text| Matcher::parse(text))
                .collect::<Result<_, _>>()
                .map_err(in_route)?,
            receiver: match &config.receiver {
                Some(name) => self.known(name)?,
                None => Arc::clone(&above.receiver),
            },
            group_by: config.group_by.clone().unwrap_or_else(|| above.group_by.clone()),
            spacing: spacing(config, above.spacing)?,
            continue_: config.continue_,
            routes: Vec::new(),
        };
        route.group_by.iter().try_for_each(|key| check_key(key))?;
        route.routes = config.routes.iter().map(|child| self.route(child, &route)).collect::<Result<_, _>>()?;
        Ok(route)
    }

    fn known(&self, name: &str) -> Result<Arc<str>, ConfigError> {
        let names: Vec<&str> = self.receivers.iter().map(|receiver| &*receiver.name).collect();
        match self.receivers.iter().find(|receiver| &*receiver.name == name) {
            Some(receiver) => Ok(Arc::clone(&receiver.name)),
            None => {
                Err(ConfigError::new(format!("invalid route: unknown receiver `{name}`"))
                    .hint_at(suggestion(name, &names)))
            }
        }
    }
}

/// Returns how a route spaces its notifications. What would tell without a pause, or never, is refused.
fn spacing(config: &RouteConfig, above: Spacing) -> Result<Spacing, ConfigError> {
    let (shortest, longest) = (SignedDuration::from_secs(1), SignedDuration::from_hours(24 * 365));
    let set = [("group_interval", config.group_interval), ("repeat_interval", config.repeat_interval)];
    for (key, value) in set {
        if value.is_some_and(|value| value < shortest || value > longest) {
            return Err(ConfigError::new(format!("invalid route: `{key}` is out of bounds"))
                .hint_at(Some("write a duration from 1s to 8760h, such as 5m".to_owned())));
        }
    }
    Ok(Spacing {
        wait: config.group_wait.unwrap_or(above.wait).clamp(SignedDuration::ZERO, longest),
        interval: config.group_interval.unwrap_or(above.interval),
        repeat: config.repeat_interval.unwrap_or(above.repeat),
    })
}

fn in_route(error: MatcherError) -> ConfigError {
    ConfigError::new("invalid route".to_owned()).because(error)
}

fn check_key(key: &str) -> Result<(), ConfigError> {
    if matcher::KEYS.contains(&key) || key.strip_prefix("label.").is_some_and(|name| !name.is_empty()) {
        return Ok(());
    }
    Err(ConfigError::new(format!("invalid route: unknown key `{key}` in `group_by`"))
        .hint_at(suggestion(key, &matcher::KEYS)))
}

fn type_of(receiver: &ReceiverConfig) -> Result<&'static NotifierType, ConfigError> {
    NOTIFIERS.iter().find(|known| known.word == receiver.type_).ok_or_else(|| {
        let words: Vec<&str> = NOTIFIERS.iter().map(|known| known.word).collect();
        ConfigError::new(format!("invalid receiver `{}`: unknown type `{}`", receiver.name, receiver.type_))
            .hint_at(suggestion(&receiver.type_, &words))
    })
}

/// Returns the hint for a misspelled word: the nearest known one, or all of them.
fn suggestion(word: &str, known: &[&str]) -> Option<String> {
    let nearest = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(word, candidate))?;
    if strsim::damerau_levenshtein(word, nearest) <= nearest.len().div_ceil(3) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    Some(format!("known: {}", known.join(", ")))
}

impl JsonSchema for ReceiverConfig {
    fn schema_name() -> Cow<'static, str> {
        "Receiver".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let types: Vec<Schema> = NOTIFIERS.iter().map(|known| schema_of(known, generator)).collect();
        json_schema!({ "oneOf": types })
    }
}

/// Returns the schema of the type's own settings with name and type added.
fn schema_of(known: &NotifierType, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = (known.schema)(generator);
    let object = schema.ensure_object();
    let properties = object.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("name".to_owned(), serde_json::json!({"type": "string"}));
        properties.insert("type".to_owned(), serde_json::json!({"const": known.word}));
    }
    let required = object.entry("required").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(required) = required.as_array_mut() {
        required.extend(["name".into(), "type".into()]);
    }
    object.insert("additionalProperties".to_owned(), Value::Bool(false));
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::outbound::samples;
    use driftwarden_core::decide::routes_of;

    fn build(config: Value) -> Result<Receivers, ConfigError> {
        Config::deserialize(config).unwrap().build()
    }

    fn oncall() -> Value {
        json!({"name": "oncall", "type": "alertmanager", "url": "http://127.0.0.1:9093"})
    }

    #[test]
    fn a_mistake_is_named_and_the_nearest_word_offered() {
        let route = json!({"receiver": "oncall"});
        for (config, what, hint) in [
            (
                json!({"receivers": [{"name": "x", "type": "alertmanger", "url": "http://h"}], "route": route}),
                "unknown type `alertmanger`",
                "did you mean `alertmanager`?",
            ),
            (
                json!({"receivers": [{"name": "x", "type": "webhook", "ur1": "http://h"}], "route": route}),
                "unknown key `ur1`",
                "did you mean `url`?",
            ),
            (json!({"receivers": [oncall()], "route": {"receiver": "onkall"}}), "`onkall`", "did you mean `oncall`?"),
            (json!({"receivers": [oncall()], "route": {}}), "names no receiver", ""),
            (json!({"receivers": [oncall()]}), "no route", "add `route: {receiver: oncall}`"),
            (json!({"receivers": [oncall(), oncall()], "route": route}), "two are called `oncall`", ""),
            (
                json!({"receivers": [oncall()], "route": {"receiver": "oncall", "group_by": ["sevrity"]}}),
                "unknown key `sevrity`",
                "did you mean `severity`?",
            ),
            (json!({"receivers": [oncall()], "route": {"receiver": "oncall", "match": ["x"]}}), "invalid route", ""),
            (
                json!({"receivers": [oncall()], "route": {"receiver": "oncall", "group_interval": "0s"}}),
                "`group_interval` is out of bounds",
                "write a duration from 1s to 8760h, such as 5m",
            ),
            (
                json!({"receivers": [{"name": "x", "type": "webhook", "url": "http://a:b@h"}], "route": route}),
                "a password does not belong into an address",
                "",
            ),
        ] {
            let error = build(config.clone()).unwrap_err();
            assert!(error.to_string().contains(what), "{config}: {error}");
            assert_eq!(error.hint().unwrap_or_default(), hint, "{config}");
        }
    }

    #[test]
    fn what_a_route_does_not_say_it_has_from_its_parent() {
        let config = json!({
            "receivers": [oncall(), {"name": "chat", "type": "webhook", "url": "http://127.0.0.1:1"}],
            "route": {
                "receiver": "chat", "group_by": ["kind"], "group_wait": "5s", "group_interval": "2m",
                "routes": [
                    {"match": ["priority<=2"], "receiver": "oncall", "repeat_interval": "1h", "continue": true},
                    {"group_by": ["cloud"]},
                ],
            },
        });
        let route = build(config).unwrap().route.unwrap();
        let taken: Vec<_> = routes_of(&route, &samples::finding("logs"))
            .iter()
            .map(|route| (route.receiver.to_string(), route.group_by.join(","), route.spacing))
            .collect();
        let spacing = |repeat| Spacing {
            wait: SignedDuration::from_secs(5),
            interval: SignedDuration::from_mins(2),
            repeat: SignedDuration::from_hours(repeat),
        };
        let expected = [("oncall", "kind", spacing(1)), ("chat", "cloud", spacing(4))];
        assert_eq!(taken, expected.map(|(receiver, by, spacing)| (receiver.to_owned(), by.to_owned(), spacing)));
    }

    /// Returns the groups in which one finding is told under the `routes` below one that leads to the same receiver.
    fn groups(routes: &Value) -> Vec<String> {
        let route = json!({"receiver": "oncall", "group_by": ["kind"], "routes": routes});
        let route = build(json!({"receivers": [oncall()], "route": route})).unwrap().route.unwrap();
        let finding = samples::finding("logs");
        routes_of(&route, &finding).iter().map(|route| route.group_of(&finding)).collect()
    }

    #[test]
    fn routes_to_one_receiver_share_no_group_and_one_that_is_added_moves_none() {
        let drift = json!({"match": ["type=drift"], "continue": true});
        let all = json!({"match": ["name=~.*"]});
        let before = groups(&json!([drift, all]));
        assert_eq!(before.len(), 2);
        assert_ne!(before[0], before[1]);
        assert_eq!(groups(&json!([{"match": ["cloud=other"]}, drift, all])), before);
    }

    #[test]
    fn the_schema_knows_every_type_and_its_keys() {
        let schema = schemars::schema_for!(Config).to_value().to_string();
        for known in NOTIFIERS {
            assert!(schema.contains(&format!(r#"{{"const":"{}"}}"#, known.word)), "{schema}");
        }
    }
}
