//! Another AWS to read, which other people wrote: moto. What is true of it and of ministack is hardly an accident of either.
//!
//! Traps: it bears one writer at a time; a key says nothing about the account, so that another is entered by `AssumeRole`, for which no
//! role needs to be there; it checks neither signatures nor policies; `ListBuckets` with a limit cuts the list and tells no token;
//! what its JSON is, `moto_server.py` has to say for it.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::aws;
use crate::harness::http;
use crate::harness::peers;
use crate::harness::process;
use crate::harness::process::Process;

/// The account that a caller is in who assumed no role.
pub const ACCOUNT: &str = "123456789012";

/// A running moto.
pub struct Moto {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Moto {
    /// Starts empty accounts.
    pub fn start() -> Option<Self> {
        peers::available("moto", Self::try_start())
    }

    fn try_start() -> Result<Self, String> {
        let folder = process::folder();
        let port = process::free_port();
        let mut command = Command::new(peers::moto_python()?);
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/moto_server.py"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            // Else each account owns a thousand snapshots of images that nobody made.
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TMPDIR", folder.path())
            .current_dir(folder.path());
        let health = format!("http://127.0.0.1:{port}/moto-api/data.json");
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let process = process.ready(60, || http::get(&health).ok().filter(|answer| answer.status == 200))?;
        Ok(Self { process, port, folder })
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls operations one after another, which must succeed; returns their answers.
    pub fn calls(&self, calls: &[(&str, &str, Value)]) -> Vec<Value> {
        let answers = aws::calls_at(&self.url(), aws::REGION, &aws::Key::of_the_account(), calls);
        answers.into_iter().map(Result::unwrap).collect()
    }

    /// Returns what it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
