//! The configuration: the sum of what the parts want to know, loaded, checked and never half in force.
//!
//! Each part owns the meaning of its section; here are only their places, and the checks between sections.

mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftwarden_core::finding::Hold;
use driftwarden_core::priority::Weights;
use jiff::SignedDuration;
use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::collect::{COLLECTORS, CloudConfig};
use crate::scan::Policy;
use crate::telemetry::chain;
use crate::{api, audit, desired, notify, outbox, remediate, rulebook, store, telemetry};
pub use yaml::{Complaint, Position};
use yaml::{Document, nearest};

/// Where the configuration is looked for if nobody says.
pub const DEFAULT_PATH: &str = "driftwarden.yaml";

/// A whole, checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The memory.
    pub store: store::Config,
    /// The audit chain.
    pub audit: audit::Config,
    /// Who may ask over HTTP.
    pub auth: api::auth::Config,
    /// Logs and traces.
    pub telemetry: telemetry::Config,
    /// What metrics say of resources.
    pub metrics: telemetry::labels::Config,
    /// What is scanned.
    pub clouds: Vec<Arc<dyn CloudConfig>>,
    /// What is asked for.
    pub desired: Vec<desired::Config>,
    /// What is checked.
    pub rules: Vec<rulebook::Config>,
    /// How findings are judged.
    pub policy: Policy,
    /// Who is told.
    pub notify: notify::Receivers,
    /// How patient telling is.
    pub outbox: outbox::Config,
    /// Who mends.
    pub remediate: remediate::Hooks,
    /// Whether every hook is stopped.
    pub kill_switch: remediate::Switch,
}

/// What is wrong with a configuration file: everything, not only the first.
#[derive(Debug)]
pub struct ConfigError {
    path: PathBuf,
    complaints: Vec<Complaint>,
}

impl ConfigError {
    /// Returns what is wrong.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration")?;
        for complaint in &self.complaints {
            write!(f, "\n{}", self.path.display())?;
            if let Some(Position { line, column }) = complaint.position {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": ")?;
            if !complaint.path.is_empty() {
                write!(f, "{}: ", complaint.path)?;
            }
            write!(f, "{}", complaint.message)?;
            if let Some(hint) = &complaint.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// How long a finding must be seen before it opens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct HoldSection {
    /// In that many scans in a row.
    scans: u32,
    /// And for at least that long.
    #[serde(rename = "for")]
    #[schemars(with = "String")]
    for_: SignedDuration,
    /// How long a commit may take to arrive in the clouds before it counts as not applied.
    #[schemars(with = "String")]
    rollout: SignedDuration,
}

impl Default for HoldSection {
    fn default() -> Self {
        Self { scans: 2, for_: SignedDuration::from_mins(5), rollout: SignedDuration::from_mins(15) }
    }
}

/// What raises and lowers a priority.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct PrioritySection {
    /// Labels that name an environment.
    environment_labels: Vec<String>,
    /// Their values that mean production.
    production_values: Vec<String>,
    /// Age from which an open finding is raised.
    #[schemars(with = "String")]
    old_after: SignedDuration,
}

impl Default for PrioritySection {
    fn default() -> Self {
        let Weights { environment_labels, production_values, old_after } = Weights::default();
        Self { environment_labels, production_values, old_after }
    }
}

/// Every section, in the order of the documentation.
const SECTIONS: [&str; 14] = [
    "listen",
    "store",
    "audit",
    "auth",
    "telemetry",
    "metrics",
    "clouds",
    "desired",
    "rules",
    "hold",
    "priority",
    "notify",
    "outbox",
    "remediate",
];

impl Config {
    /// Reads and checks a file. Contacts nobody. Paths in it are relative to its folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.to_owned(),
            complaints: vec![Complaint {
                position: None,
                path: String::new(),
                message: format!("failed to read the file: {error}"),
                hint: Some("name it with --config FILE, or see `driftwarden demo` for a working one".to_owned()),
            }],
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).map_err(|complaints| ConfigError { path: path.to_owned(), complaints })
    }

    /// Checks a text. Returns everything that is wrong with it.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Complaint>> {
        let document = Document::parse(text).map_err(|complaint| vec![complaint])?;
        Reader { document: &document, folder, complaints: Vec::new() }.read()
    }

    /// Returns the JSON schema of a configuration file.
    pub fn schema() -> Value {
        let mut generator = SchemaGenerator::default();
        let clouds: Vec<Value> = COLLECTORS
            .iter()
            .map(|cloud| {
                let mut schema = (cloud.schema)(&mut generator).to_value();
                if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                    properties.insert("type".to_owned(), json_schema!({"const": cloud.word}).to_value());
                }
                schema
            })
            .collect();
        let section = |name: &str, schema: schemars::Schema| (name.to_owned(), schema.to_value());
        let properties: Map<String, Value> = Map::from_iter([
            section("listen", json_schema!({"type": "string", "default": "127.0.0.1:9465"})),
            section("store", generator.subschema_for::<store::Config>()),
            section("audit", generator.subschema_for::<audit::Config>()),
            section("auth", generator.subschema_for::<api::auth::Config>()),
            section("telemetry", generator.subschema_for::<telemetry::Config>()),
            section("metrics", generator.subschema_for::<telemetry::labels::Config>()),
            section("clouds", json_schema!({"type": "array", "items": {"oneOf": clouds}})),
            section("desired", generator.subschema_for::<Vec<desired::Config>>()),
            section("rules", generator.subschema_for::<Vec<rulebook::Config>>()),
            section("hold", generator.subschema_for::<HoldSection>()),
            section("priority", generator.subschema_for::<PrioritySection>()),
            section("notify", generator.subschema_for::<notify::Config>()),
            section("outbox", generator.subschema_for::<outbox::Config>()),
            section("remediate", generator.subschema_for::<remediate::Config>()),
        ]);
        serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "driftwarden configuration",
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
            "$defs": generator.definitions(),
        })
    }
}

/// Reads a document and collects what is wrong with it.
struct Reader<'a> {
    document: &'a Document,
    folder: &'a Path,
    complaints: Vec<Complaint>,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Config, Vec<Complaint>> {
        self.check_sections();
        let listen = self.listen();
        let mut store: store::Config = self.section("store");
        store.url = self.store_url(&store.url);
        if store.retention_days == 0 {
            let hint = "write a number of days, such as 90".to_owned();
            self.complain("/store/retention_days", "nothing would be kept", Some(hint));
        }
        let audit = self.section("audit");
        let auth = self.section("auth");
        let telemetry = self.telemetry();
        let metrics = self.metrics();
        let clouds = self.clouds();
        let desired = self.desired(&clouds);
        let rules = self.rules();
        let HoldSection { scans, for_, rollout } = self.section("hold");
        let PrioritySection { environment_labels, production_values, old_after } = self.section("priority");
        let notify_section: notify::Config = self.section("notify");
        let notify = self
            .built("notify", notify_section.build().map_err(|error| (chain(&error), error.hint().map(str::to_owned))));
        let outbox = self.section("outbox");
        let remediate_section: remediate::Config = self.section("remediate");
        let kill_switch = if remediate_section.kill_switch { remediate::Switch::Stop } else { remediate::Switch::Run };
        let remediate = self.built("remediate", remediate_section.build().map_err(|error| (chain(&error), None)));
        let (Some(notify), Some(remediate), true) = (notify, remediate, self.complaints.is_empty()) else {
            return Err(self.complaints);
        };
        let policy = Policy {
            hold: Hold { scans: scans.max(1), for_ },
            weights: Weights { environment_labels, production_values, old_after },
            rollout,
            route: notify.route.clone(),
            hooks: remediate.rules.clone(),
        };
        Ok(Config {
            listen,
            store,
            audit,
            auth,
            telemetry,
            metrics,
            clouds,
            desired,
            rules,
            policy,
            notify,
            outbox,
            remediate,
            kill_switch,
        })
    }

    fn complain(&mut self, pointer: &str, message: impl Into<String>, hint: Option<String>) {
        self.complaints.push(self.document.complain(pointer, message, hint));
    }

    fn check_sections(&mut self) {
        let Some(sections) = self.document.value.as_object() else {
            let hint = "start with `clouds:`; `driftwarden demo` prints a working configuration".to_owned();
            return self.complain("", "expected a mapping of sections", Some(hint));
        };
        for key in sections.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
            let hint = nearest(key, SECTIONS.into_iter()).map_or_else(
                || format!("known keys are {}", SECTIONS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.complain(&format!("/{key}"), format!("unknown key `{key}`"), Some(hint));
        }
        if self.document.value.get("clouds").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            let hint = "add one, such as `clouds: [{name: shop, type: kubernetes}]`".to_owned();
            self.complain("/clouds", "no cloud is configured", Some(hint));
        }
    }

    /// Reads a section; what is wrong with it is noted and its default goes on.
    fn section<T: serde::de::DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let pointer = format!("/{name}");
        if self.document.value.get(name).is_none_or(Value::is_null) {
            return T::default();
        }
        self.document.part(&pointer).unwrap_or_else(|complaint| {
            self.complaints.push(complaint);
            T::default()
        })
    }

    /// Notes why a section could not be built, at the place of the first word that the reason quotes.
    fn built<T>(&mut self, section: &str, result: Result<T, (String, Option<String>)>) -> Option<T> {
        result
            .map_err(|(message, hint)| {
                let pointer = self.document.locate(&format!("/{section}"), &message);
                self.complain(&pointer, message, hint);
            })
            .ok()
    }

    fn listen(&mut self) -> SocketAddr {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9465));
        match self.document.value.get("listen") {
            None => default,
            Some(value) => value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
                let hint = "write an address and a port, such as 127.0.0.1:9465".to_owned();
                self.complain("/listen", "not an address", Some(hint));
                default
            }),
        }
    }

    /// Returns the address of the store with its path relative to the configuration's folder.
    fn store_url(&mut self, url: &str) -> String {
        match url.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() => format!("sqlite://{}", self.folder.join(path).display()),
            _ => {
                let hint = "write a path, such as sqlite://./driftwarden.db".to_owned();
                self.complain("/store/url", "unknown sort of store", Some(hint));
                url.to_owned()
            }
        }
    }

    fn telemetry(&mut self) -> telemetry::Config {
        let telemetry: telemetry::Config = self.section("telemetry");
        if let Err(error) = telemetry.validate() {
            self.complain("/telemetry/log/level", chain(&error), None);
        }
        telemetry
    }

    fn metrics(&mut self) -> telemetry::labels::Config {
        let metrics: telemetry::labels::Config = self.section("metrics");
        self.built("metrics", metrics.validate().map_err(|error| (error.to_string(), Some(error.hint().to_owned()))));
        metrics
    }

    fn clouds(&mut self) -> Vec<Arc<dyn CloudConfig>> {
        let entries = self.document.value.get("clouds").and_then(Value::as_array).map_or(0, Vec::len);
        let mut clouds: Vec<Arc<dyn CloudConfig>> = Vec::new();
        for at in 0..entries {
            let pointer = format!("/clouds/{at}");
            let Some(cloud) = self.cloud(&pointer) else { continue };
            if clouds.iter().any(|other| other.name() == cloud.name()) {
                let message = format!("two clouds are called `{}`", cloud.name());
                self.complain(&format!("{pointer}/name"), message, Some("give each its own name".to_owned()));
            }
            if cloud.every().is_some_and(|every| every < SignedDuration::from_secs(1)) {
                let hint = Some("write a duration of a second or more, such as 10m".to_owned());
                self.complain(&format!("{pointer}/every"), "too short", hint);
            }
            clouds.push(cloud);
        }
        clouds
    }

    fn cloud(&mut self, pointer: &str) -> Option<Arc<dyn CloudConfig>> {
        let mut entry = self.document.value.pointer(pointer)?.clone();
        let words: Vec<&str> = COLLECTORS.iter().map(|cloud| cloud.word).collect();
        let Some(word) = entry.as_object_mut().and_then(|entry| entry.remove("type")) else {
            self.complain(pointer, "missing key `type`", Some(format!("expected one of {}", words.join(", "))));
            return None;
        };
        let Some(cloud) = COLLECTORS.iter().find(|cloud| word == cloud.word) else {
            let hint = nearest(word.as_str().unwrap_or_default(), words.iter().copied()).map_or_else(
                || format!("expected one of {}", words.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.complain(&format!("{pointer}/type"), format!("unknown type of cloud {word}"), Some(hint));
            return None;
        };
        let config = match (cloud.parse)(&entry) {
            Ok(config) => config,
            Err(error) => {
                self.complaints.push(self.document.explain(pointer, error));
                return None;
            }
        };
        if let Err(error) = config.build() {
            let message = chain(&error);
            let at = self.document.locate(pointer, &message);
            self.complain(&at, message, None);
        }
        Some(config)
    }

    fn desired(&mut self, clouds: &[Arc<dyn CloudConfig>]) -> Vec<desired::Config> {
        let mut sources: Vec<desired::Config> = self.section("desired");
        let known: BTreeSet<&str> = clouds.iter().map(|cloud| cloud.name()).collect();
        let mut names = BTreeSet::new();
        for (at, source) in sources.iter_mut().enumerate() {
            if !names.insert(Arc::clone(&source.name)) {
                let message = format!("two sources are called `{}`", source.name);
                self.complain(&format!("/desired/{at}/name"), message, Some("give each its own name".to_owned()));
            }
            for (nth, cloud) in source.clouds.iter().enumerate().filter(|(_, cloud)| !known.contains(&***cloud)) {
                let hint = nearest(cloud, known.iter().copied())
                    .map_or_else(|| "name one of `clouds`".to_owned(), |near| format!("did you mean `{near}`?"));
                let message = format!("unknown cloud `{cloud}`");
                self.complain(&format!("/desired/{at}/clouds/{nth}"), message, Some(hint));
            }
            source.git.url = relative_url(&source.git.url, self.folder);
            if let Err(error) = desired::Source::open(source.clone(), self.folder) {
                let message = chain(&error);
                let at = self.document.locate(&format!("/desired/{at}"), &message);
                self.complain(&at, message, error.hint().map(str::to_owned));
            }
        }
        sources
    }

    fn rules(&mut self) -> Vec<rulebook::Config> {
        let mut packs: Vec<rulebook::Config> = self.section("rules");
        for (at, pack) in packs.iter_mut().enumerate() {
            pack.path = self.folder.join(&pack.path);
            if !pack.path.is_dir() {
                let message = format!("no folder `{}`", pack.path.display());
                let hint = "paths are relative to the folder of this file".to_owned();
                self.complain(&format!("/rules/{at}/path"), message, Some(hint));
            }
        }
        packs
    }
}

/// Returns the address of a repository, with a relative path made relative to the configuration's folder.
fn relative_url(url: &str, folder: &Path) -> String {
    // `host:path` is how ssh has always been written.
    let is_path = !url.contains("://") && !url.split('/').next().is_some_and(|first| first.contains(':'));
    if is_path { folder.join(url).display().to_string() } else { url.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUDS: &str = "clouds:\n- {name: shop, type: kubernetes, server: \"http://127.0.0.1:1\"}\n";

    /// Checks that exactly one thing is wrong with a text, on that line, said with these words, and with a hint.
    fn check(text: &str, line: u64, words: &str) {
        let complaints = Config::parse(text, Path::new("/nowhere")).unwrap_err();
        let [complaint] = complaints.as_slice() else { panic!("{text}\n{complaints:#?}") };
        assert_eq!(complaint.position.map(|at| at.line), Some(line), "{text}\n{complaint:?}");
        assert!(complaint.message.contains(words), "{text}\n{complaint:?}");
        assert!(complaint.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{text}\n{complaint:?}");
    }

    /// The same for something that follows a configuration that is fine.
    fn check_after(text: &str, line: u64, words: &str) {
        check(&format!("{CLOUDS}{text}"), line + 2, words);
    }

    #[test]
    fn a_small_configuration_is_enough() {
        let config = Config::parse(CLOUDS, Path::new("/nowhere")).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:9465");
        assert_eq!(config.policy.hold, Hold { scans: 2, for_: SignedDuration::from_mins(5) });
    }

    #[test]
    fn mistakes_of_form_name_their_line() {
        check("[]", 1, "expected a mapping");
        check("clouds: [\n", 1, "unclosed");
        check(&format!("{CLOUDS}{CLOUDS}"), 3, "duplicate key `clouds`");
        check("listen: 127.0.0.1:1\n", 1, "no cloud is configured");
        check_after("hodl: {scans: 2}\n", 1, "unknown key `hodl`");
        check_after("lisen: 127.0.0.1:1\n", 1, "unknown key `lisen`");
        check_after("listen: here\n", 1, "not an address");
        check_after("store:\n  url: postgres://db\n", 2, "unknown sort of store");
        check_after("store: {path: x}\n", 1, "unknown key `path`");
        check_after("store:\n  retention_days: 0\n", 2, "nothing would be kept");
        check_after("store: {retention_days: 90d}\n", 1, "invalid type");
        check_after("telemetry:\n  log: {level: loud}\n", 2, "invalid log level `loud`");
        check_after("telemetry:\n  log:\n    format: xml\n", 3, "unknown value `xml`");
        check_after("hold: {scans: two}\n", 1, "invalid type");
        check_after("hold:\n  for: a while\n", 2, "");
        check_after("priority: {old: 7d}\n", 1, "unknown key `old`");
    }

    #[test]
    fn mistakes_in_metrics_name_their_line() {
        check_after("metrics:\n  resource_labels:\n  - team\n  - Name\n", 4, "it names the resource");
        check_after("metrics:\n  resource_labels: [team,\n    phase]\n", 3, "findings have a label of that name");
        check_after("metrics:\n  resource_labels: [a-b,\n    a.b]\n", 3, "the same name");
        check_after("metrics:\n  max_values: 0\n", 2, "would fold every value");
        check_after("metrics:\n  max_values: many\n", 2, "invalid type");
        check_after("metrics: {labels: [team]}\n", 1, "unknown key `labels`");
    }

    #[test]
    fn mistakes_in_clouds_name_their_line() {
        check("clouds:\n- {name: shop}\n", 2, "missing key `type`");
        check("clouds:\n- name: shop\n  type: kubernets\n", 3, "unknown type of cloud");
        check("clouds:\n- type: kubernetes\n", 2, "missing key `name`");
        check("clouds:\n- type: kubernetes\n  name: shop\n  contxt: shop\n", 4, "unknown key `contxt`");
        check("clouds:\n- type: kubernetes\n  name: shop\n  every: 10\n", 4, "");
        check("clouds:\n- type: kubernetes\n  name: shop\n  every: 1ms\n", 4, "too short");
        check("clouds:\n- type: kubernetes\n  name: shop\n  requests_per_second: 0\n", 4, "requests_per_second");
        check("clouds:\n- type: kubernetes\n  name: shop\n  kinds:\n    include: ['a[']\n", 4, "kinds");
        check(&format!("{CLOUDS}- {{name: shop, type: kubernetes}}\n"), 3, "two clouds are called `shop`");
    }

    #[test]
    fn mistakes_in_desired_state_and_rules_name_their_line() {
        check_after("desired:\n- {name: infra}\n", 2, "missing key `git`");
        check_after("desired:\n- name: infra\n  git: {url: x}\n  clouds: [shopp]\n", 4, "unknown cloud `shopp`");
        check_after("desired:\n- name: infra\n  git: {url: \"ftp://x/y\"}\n", 3, "not allowed");
        check_after("desired:\n- name: infra\n  git: {url: x, password: hunter2}\n", 3, "invalid secret");
        check_after("desired:\n- name: infra\n  git: {url: x}\n  unmanaged: maybe\n", 4, "unknown value `maybe`");
        check_after(
            "desired:\n- {name: infra, git: {url: x}}\n- {name: infra, git: {url: y}}\n",
            3,
            "two sources are called `infra`",
        );
        check_after("rules:\n- {path: nowhere}\n", 2, "no folder");
    }

    #[test]
    fn mistakes_in_telling_and_mending_name_their_line() {
        let receiver = "notify:\n  receivers: [{name: oncall, type: webhook, url: \"http://127.0.0.1:1\"}]\n";
        check_after(&format!("{receiver}  route: {{receiver: oncal}}\n"), 3, "unknown receiver `oncal`");
        check_after(&format!("{receiver}  route: {{receiver: oncall, match: ['prio<2']}}\n"), 3, "unknown key `prio`");
        let route = |rest: &str| format!("{receiver}  route:\n    receiver: oncall\n    {rest}\n");
        check_after(&route("repeat_interval: 0s"), 5, "out of bounds");
        check_after(&route("group_interval: soon"), 5, "");
        check_after("notify:\n  receivers: [{name: oncall, type: pager}]\n", 2, "pager");
        check_after("notify:\n  receivers: [{name: oncall}]\n", 2, "missing key `type`");
        let hook = |rest: &str| format!("remediate:\n  hooks:\n  - name: mend\n    match: ['type=drift']\n{rest}");
        check_after(&hook(""), 3, "mend");
        let exec = "    exec: {command: [\"/bin/true\"]}\n";
        check_after(&hook(&format!("{exec}    mode: aply\n")), 6, "unknown value `aply`");
        check_after(&hook(&format!("{exec}    window: \"at night\"\n")), 6, "bad `window`");
    }

    #[test]
    fn a_secret_that_would_be_sent_in_clear_text_names_its_line() {
        let words = "would be sent in clear text";
        let git = |secret: &str| {
            format!("desired:\n- name: infra\n  git:\n    url: \"http://git.example/a\"\n    {secret}\n")
        };
        check_after(&git("token: \"${env:T}\""), 5, words);
        check_after(&git("password: \"${env:T}\""), 5, words);
        let receiver = |secret: &str| {
            format!(
                "notify:\n  route: {{receiver: oncall}}\n  receivers:\n  - name: oncall\n    type: alertmanager\n    url: \
                 \"http://am.example\"\n    {secret}\n"
            )
        };
        check_after(&receiver("bearer: \"${env:T}\""), 7, words);
        check_after(&receiver("basic_auth: {username: u, password: \"${env:T}\"}"), 7, words);
        check(
            "clouds:\n- type: kubernetes\n  name: shop\n  context: shop\n  server: \"http://10.0.0.1\"\n",
            5,
            "in clear text",
        );
    }

    #[test]
    fn a_secret_value_is_not_repeated() {
        let text = format!("{CLOUDS}desired:\n- name: infra\n  git: {{url: x, password: hunter2}}\n");
        let complaints = Config::parse(&text, Path::new("/nowhere")).unwrap_err();
        assert!(!format!("{complaints:?}").contains("hunter2"));
    }

    #[test]
    fn the_schema_knows_every_section() {
        let schema = Config::schema();
        assert!(SECTIONS.iter().all(|section| schema["properties"].get(section).is_some()));
    }
}
