//! The daemon as its users have it: a process, a configuration file, an address.
//!
//! It is killed on drop. Not its business: what is in the configuration, except where it listens and what it stores.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::http;
use crate::harness::http::Response;
use crate::harness::process;
use crate::harness::process::Process;

/// A folder with a configuration file, and the daemon that runs on it.
pub struct Daemon {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
    environment: Vec<(String, String)>,
}

impl Daemon {
    /// Starts `driftwarden run` and waits until it is ready.
    ///
    /// `config` is YAML without `listen` and `store`; `{dir}` in it becomes the folder of this daemon.
    pub fn start(config: &str, environment: &[(&str, &str)]) -> Self {
        let mut daemon = Self::prepare(config, environment);
        daemon.restart();
        daemon
    }

    /// Writes the configuration and starts nothing yet.
    pub fn prepare(config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = process::folder();
        let port = process::free_port();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let daemon = Self { process: None, folder, port, environment };
        daemon.configure(config);
        daemon
    }

    /// Replaces the configuration file in one step.
    pub fn configure(&self, config: &str) {
        let own = format!(
            "listen: 127.0.0.1:{}\nstore: {{url: \"sqlite://{}\"}}\n",
            self.port,
            self.dir().join("driftwarden.db").display()
        );
        let text = own + &config.replace("{dir}", &self.dir().display().to_string());
        let draft = self.dir().join("driftwarden.yaml.new");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.config()).unwrap();
    }

    /// Starts it again, on what is on disk.
    pub fn restart(&mut self) {
        self.launch();
        let ready = format!("{}/readyz", self.url());
        let process = self.process.take().unwrap();
        let process = process.ready(60, || http::get(&ready).ok().filter(|answer| answer.status == 200));
        self.process = Some(process.unwrap_or_else(|why| panic!("the daemon is {why}")));
    }

    /// Starts it and does not wait.
    pub fn launch(&mut self) {
        let mut command = self.command();
        command.arg("run").arg("--config").arg(self.config());
        self.process = Some(Process::start(&mut command, &self.dir().join("daemon.log")).unwrap());
    }

    /// Takes its power away.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end, and returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.process.take().and_then(|mut process| process.terminate())
    }

    /// Returns the folder that holds its configuration, database and log.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir().join("driftwarden.yaml")
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns `127.0.0.1:PORT`, as Prometheus names a target.
    pub fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns its metrics as text.
    pub fn metrics(&self) -> String {
        http::get(&format!("{}/metrics", self.url())).unwrap().body
    }

    /// Asks its API, which needs no token from this machine while none is configured; `path` begins with `/api/v1/`.
    pub fn api(&self, path: &str) -> Response {
        self.request("GET", path, "")
    }

    /// Sends JSON to its API.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Response {
        http::ask(method, &format!("{}{path}", self.url()), &[("content-type", "application/json")], body).unwrap()
    }

    /// Returns what it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("daemon.log")).unwrap_or_default()
    }

    /// Runs another command of the binary in its folder; exit code, standard output, standard error.
    pub fn cli(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command().args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Runs `scan -o json` once; exit code and document.
    pub fn scan_json(&self) -> (i32, Value) {
        self.scan_json_with(&[])
    }

    /// The same, with more arguments.
    pub fn scan_json_with(&self, more: &[&str]) -> (i32, Value) {
        let config = self.config().display().to_string();
        let (code, output, complaint) = self.cli(&[&["scan", "--config", &config, "-o", "json"], more].concat());
        let document = serde_json::from_str(&output);
        (code, document.unwrap_or_else(|error| panic!("exit {code}, not JSON ({error}): {output}\n{complaint}")))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftwarden"));
        command
            .current_dir(self.dir())
            .env("HOME", self.dir())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Writes a configuration, scans once, and returns the exit code and the document.
pub fn scan_json(config: &str, environment: &[(&str, &str)]) -> (i32, Value) {
    Daemon::prepare(config, environment).scan_json()
}
