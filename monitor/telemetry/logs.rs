//! Where logs and traces go.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Logs and traces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Traces over OTLP.
    pub otlp: Option<Otlp>,
    /// Logs on standard error.
    pub log: Log,
}

/// Where traces are sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// `http://host:4317` for gRPC, `http://host:4318` for HTTP.
    pub endpoint: String,
    /// How OTLP is spoken; by default HTTP if the endpoint has port 4318 or a path, gRPC otherwise.
    #[serde(default)]
    pub protocol: Option<Protocol>,
}

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP; `/v1/traces` is added to an endpoint without a path.
    Http,
}

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` for people, `json` for programs.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,driftwarden::collect=debug`.
    pub level: Cow<'static, str>,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Text, level: Cow::Borrowed("info") }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is no filter.
    #[error(
        "invalid log level `{level}`: expected error, warn, info, debug, trace or a filter such as info,driftwarden::collect=debug"
    )]
    Level {
        /// What was configured.
        level: String,
        /// Why it is no filter.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The endpoint cannot be used.
    #[error("failed to set up traces to `{endpoint}`")]
    Otlp {
        /// What was configured.
        endpoint: String,
        /// Why it cannot be used.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Somebody else was first.
    #[error("failed to set up logging")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Running telemetry; spans that wait are sent when it is shut down.
#[derive(Debug, Default)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

// A library that is used to send telemetry must not be traced itself, or it feeds itself.
const QUIET: &str = "h2=off,hyper=off,hyper_util=off,tonic=off,tower=off,reqwest=off,opentelemetry=error,opentelemetry_sdk=error,opentelemetry_otlp=error,rustls=warn,sqlx=warn,gix=warn";
// What a cluster refuses is told as a gap, with its scope and reason: it need not be told twice.
const TOLD: &str = "kube_client=off";

impl Config {
    /// Checks what can be checked without contacting anybody.
    pub fn validate(&self) -> Result<(), TelemetryError> {
        self.filter().map(drop)
    }

    fn filter(&self) -> Result<EnvFilter, TelemetryError> {
        filter_at(&self.log.level)
    }

    /// Returns what is traced: what is logged, and always enough for a whole trace.
    fn trace_filter(&self) -> Result<EnvFilter, TelemetryError> {
        let at_least_info = |word| if ["off", "error", "warn"].contains(&word) { "info" } else { word };
        let words: Vec<&str> = self.log.level.split(',').map(str::trim).map(at_least_info).collect();
        filter_at(&words.join(","))
    }

    /// Starts telemetry for the whole process, with logs on standard error. To be called within the run time, once.
    pub fn start(&self) -> Result<Telemetry, TelemetryError> {
        self.start_with(io::stderr)
    }

    /// Starts telemetry with logs on standard error by way of `writer`.
    pub fn start_with<W>(&self, writer: W) -> Result<Telemetry, TelemetryError>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let traces = self.otlp.as_ref().map(Otlp::provider).transpose()?;
        let spans = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("driftwarden"))
                .with_location(false)
                .with_threads(false)
        });
        let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
        let lines = match self.log.format {
            Format::Json => lines.json().flatten_event(true).with_span_list(false).map_event_format(WithTrace).boxed(),
            Format::Text => lines.with_target(false).map_event_format(WithTrace).boxed(),
        };
        tracing_subscriber::registry()
            .with(spans.with_filter(self.trace_filter()?))
            .with(lines.with_filter(self.filter()?))
            .try_init()
            .map_err(TelemetryError::Twice)?;
        Ok(Telemetry { traces })
    }
}

/// Returns the filter that a level asks for.
fn filter_at(level: &str) -> Result<EnvFilter, TelemetryError> {
    let wrong = |source| TelemetryError::Level { level: level.to_string(), source };
    // A filter takes a misspelled level for the name of a module and then logs nothing at all.
    let words = level.split(',').map(str::trim).filter(|word| !word.contains(['=', '[']));
    for word in words {
        word.parse::<LevelFilter>().map_err(|error| wrong(error.into()))?;
    }
    EnvFilter::try_new(format!("{QUIET},{TOLD},{level}")).map_err(|error| wrong(error.into()))
}

impl Otlp {
    fn is_http(&self) -> bool {
        let rest = self.endpoint.split_once("://").map_or(&*self.endpoint, |(_, rest)| rest);
        self.protocol
            .map_or(rest.contains(":4318") || rest.trim_end_matches('/').contains('/'), |p| p == Protocol::Http)
    }

    fn provider(&self) -> Result<SdkTracerProvider, TelemetryError> {
        let patience = Duration::from_secs(5);
        let exporter = if self.is_http() {
            SpanExporter::builder().with_http().with_endpoint(self.traces_url()).with_timeout(patience).build()
        } else {
            SpanExporter::builder().with_tonic().with_endpoint(&self.endpoint).with_timeout(patience).build()
        };
        let exporter = exporter.map_err(|source| TelemetryError::Otlp { endpoint: self.endpoint.clone(), source })?;
        let resource = Resource::builder()
            .with_service_name("driftwarden")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
    }

    fn traces_url(&self) -> String {
        let base = self.endpoint.trim_end_matches('/');
        if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
    }
}

impl Telemetry {
    /// Sends what waits and stops. Blocks for a few seconds at most.
    pub fn shutdown(self) {
        if let Some(Err(error)) = self.traces.map(|traces| traces.shutdown()) {
            tracing::warn!(%error, "failed to send the last traces");
        }
    }
}

/// Returns the id of the trace that the current span belongs to, if it is sampled.
pub fn trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
}

/// Adds the trace id to every line that is written within a trace.
struct WithTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let Some(trace) = trace_id() else { return self.0.format_event(context, writer, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match line.strip_suffix('}').filter(|_| line.starts_with('{')) {
            Some(object) => writeln!(writer, r#"{object},"trace_id":"{trace}"}}"#),
            None => writeln!(writer, "{line} trace_id={trace}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, url: Option<&str>) {
        let otlp = Otlp { endpoint: endpoint.to_owned(), protocol: None };
        assert_eq!(otlp.is_http().then(|| otlp.traces_url()).as_deref(), url, "{endpoint}");
    }

    #[test]
    fn the_endpoint_tells_how_otlp_is_spoken() {
        check("http://127.0.0.1:4317", None);
        check("http://127.0.0.1:4318", Some("http://127.0.0.1:4318/v1/traces"));
        check("https://otlp.example/v1/traces", Some("https://otlp.example/v1/traces"));
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        let log = |level: &'static str| Config { otlp: None, log: Log { level: level.into(), ..Log::default() } };
        assert!(log("info,driftwarden::collect=debug").validate().is_ok());
        assert!(log("verbose").validate().is_err());
    }
}
