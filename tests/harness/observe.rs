//! Who watches the daemon: Alertmanager, Prometheus with promtool, and rotel for OpenTelemetry.
//!
//! Each starts empty, on the loopback, and is asked through its own public API or tool.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::http;
use crate::harness::peers;
use crate::harness::process;
use crate::harness::process::Process;

/// A running Alertmanager that tells nobody.
pub struct Alertmanager {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Alertmanager {
    /// Starts it without an alert.
    pub fn start() -> Option<Self> {
        peers::available("prometheus-alertmanager", Self::try_start())
    }

    fn try_start() -> Result<Self, String> {
        let folder = process::folder();
        let config = folder.path().join("alertmanager.yml");
        let text = json!({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}).to_string();
        std::fs::write(&config, text).map_err(|error| error.to_string())?;
        let port = process::free_port();
        let mut command = Command::new(peers::debian()?.join("usr/bin/prometheus-alertmanager"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .current_dir(peers::debian()?.join(peers::ALERTMANAGER_SHARE));
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let process = process.ready(60, || is_ready(&format!("http://127.0.0.1:{port}/-/ready")))?;
        Ok(Self { process, port, folder })
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the alerts that fire now.
    pub fn alerts(&self) -> Vec<Value> {
        let answer = http::get(&format!("{}/api/v2/alerts", self.url())).unwrap().json();
        answer.as_array().cloned().unwrap_or_default()
    }
}

/// A running Prometheus that scrapes one target every second.
pub struct Prometheus {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Prometheus {
    /// Starts it on `target` (`127.0.0.1:PORT`) with these rule files.
    pub fn start(target: &str, rules: &[PathBuf]) -> Option<Self> {
        peers::available("prometheus", Self::try_start(target, rules))
    }

    fn try_start(target: &str, rules: &[PathBuf]) -> Result<Self, String> {
        let folder = process::folder();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "driftwarden", "static_configs": [{"targets": [target]}]}],
        });
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config.to_string()).map_err(|error| error.to_string())?;
        let port = process::free_port();
        let mut command = Command::new(peers::debian()?.join("usr/bin/prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--enable-feature=exemplar-storage");
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let process = process.ready(60, || is_ready(&format!("http://127.0.0.1:{port}/-/ready")))?;
        Ok(Self { process, port, folder })
    }

    /// Evaluates an expression now; the error is Prometheus' own.
    pub fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("query", expression).finish();
        let answer = http::ask("POST", &url, &form, &body)?.json();
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// Returns what it knows of its targets.
    pub fn targets(&self) -> Vec<Value> {
        let answer = http::get(&format!("http://127.0.0.1:{}/api/v1/targets", self.port)).unwrap().json();
        answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default()
    }

    /// Returns what it has logged; a scrape it did not like is in there.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Runs promtool.
pub fn promtool(arguments: &[&str], folder: &Path, input: Option<&str>) -> Result<String, String> {
    let mut command = Command::new(peers::debian()?.join("usr/bin/promtool"));
    process::run(command.args(arguments).current_dir(folder), input)
}

/// A running receiver of OpenTelemetry that prints what it gets.
pub struct Rotel {
    process: Process,
    grpc: u16,
    http: u16,
    folder: TempDir,
}

impl Rotel {
    /// Starts it for both transports.
    pub fn start() -> Option<Self> {
        peers::available("rotel", Self::try_start())
    }

    fn try_start() -> Result<Self, String> {
        let folder = process::folder();
        let (grpc, http) = (process::free_port(), process::free_port());
        let mut command = Command::new(peers::rotel_agent()?);
        command
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .current_dir(folder.path());
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let listens = |port| std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        let process = process.ready(60, || listens(grpc).and(listens(http)))?;
        Ok(Self { process, grpc, http, folder })
    }

    /// Returns the endpoint for gRPC.
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// Returns the endpoint for HTTP, without the path of a signal.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Tells whether it has printed this text.
    pub fn saw(&self, text: &str) -> bool {
        self.process.log().contains(text)
    }

    /// Returns everything it has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn is_ready(url: &str) -> Option<()> {
    http::get(url).ok().filter(|answer| answer.status == 200).map(drop)
}
