//! A command, run with nothing that it was not given (I23).
//!
//! No shell, no part of a finding in the arguments, an empty environment but for the names that are allowed, a private
//! folder, limits on what it may use, and an end for all that it started. What it prints is read to a limit and shown to nobody but
//! for one line of an error.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::Ended;
use super::config::{ExecConfig, ExecLimits};
use super::confine;
use crate::secret::{Secret, SecretError};
use crate::telemetry::chain;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What is kept of each output.
const KEPT: usize = 64 * 1024;
/// What is shown of an error.
const LINE_SHOWN: usize = 200;
/// How long a process that could not be ended may keep an output open.
const GRACE: Duration = Duration::from_secs(1);

/// A command.
#[derive(Debug)]
pub(super) struct Exec {
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, Secret)>,
    dir: Option<PathBuf>,
    limits: ExecLimits,
    timeout: Duration,
}

/// What a command left.
#[derive(Debug)]
struct Left {
    status: ExitStatus,
    stderr: Vec<u8>,
}

/// Why a command did not come to its own end.
#[derive(Debug, thiserror::Error)]
enum ExecError {
    #[error("failed to read the environment")]
    Environment(#[source] SecretError),
    #[error("failed to start `{0}`")]
    Start(String, #[source] std::io::Error),
    #[error("failed to limit what `{0}` may use")]
    Confine(String, #[source] std::io::Error),
    #[error("failed to wait for `{0}`")]
    Wait(String, #[source] std::io::Error),
    #[error("`{0}` was killed: it took longer than {1:?}")]
    Timeout(String, Duration),
}

/// A folder of our own, empty at first, that does not outlive this value.
struct Private(PathBuf);

impl Private {
    fn create() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("driftwarden-hook-{}", Uuid::now_v7()));
        // Not to be read by others, and an error if somebody was there first.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Everything that a command starts: its process group, and whoever left that. It does not outlive this value.
struct Group {
    leader: Option<Pid>,
    /// What stands in the environment of all of them, and of nobody else.
    mark: Vec<u8>,
}

impl Group {
    fn of(child: &Child, private: &Private) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { leader, mark: format!("HOME={}", private.0.display()).into_bytes() }
    }

    fn confine(&self, limits: ExecLimits) -> std::io::Result<()> {
        self.leader.map_or(Ok(()), |leader| confine::confine(leader, &self.mark, limits))
    }

    /// Ends the group at once; who left it must be looked for.
    fn kill(&mut self) -> Option<Pid> {
        let leader = self.leader.take()?;
        // The group being gone already is what is wanted.
        kill_process_group(leader, Signal::Kill).ok();
        Some(leader)
    }

    /// Ends the group and whoever left it.
    async fn end(mut self) {
        let Some(leader) = self.kill() else { return };
        let mark = std::mem::take(&mut self.mark);
        // Only looks and kills; what goes wrong with that was told by nobody.
        tokio::task::spawn_blocking(move || confine::end_all(leader, &mark)).await.ok();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.kill() {
            confine::end_all(leader, &self.mark);
        }
    }
}

/// Something that is read in the background, until its end or ours.
struct Reader(JoinHandle<Vec<u8>>);

impl Reader {
    fn of(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        Self(tokio::spawn(read(pipe)))
    }

    /// Returns what was read. A process that nobody could end does not keep us waiting.
    async fn kept(mut self) -> Vec<u8> {
        timeout(GRACE, &mut self.0).await.ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Exec {
    pub(super) fn new(config: &ExecConfig, timeout: Duration) -> Result<Self, String> {
        let Some((program, arguments)) = config.command.split_first() else {
            return Err("`command` names no program".to_owned());
        };
        let dirs = config.dir.iter().map(PathBuf::as_path);
        if let Some(relative) = dirs.chain([program.as_ref()]).find(|path| !path.is_absolute()) {
            return Err(format!("`{}` must be a whole path", relative.display()));
        }
        let variable = |name: &String| {
            let secret = Secret::parse(&format!("${{env:{name}}}")).ok().filter(|_| is_variable(name));
            secret.map(|secret| (name.clone(), secret)).ok_or_else(|| format!("`{name}` names no environment variable"))
        };
        Ok(Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            environment: config.env.iter().map(variable).collect::<Result<_, _>>()?,
            dir: config.dir.clone(),
            limits: config.limits,
            timeout,
        })
    }

    pub(super) fn describe(&self) -> String {
        format!("run {:?}", [std::slice::from_ref(&self.program), &self.arguments].concat())
    }

    /// Runs the command with `input` on its standard input, and waits for its end.
    pub(super) async fn run(&self, input: Vec<u8>) -> Ended {
        let environment = match self.environment() {
            Ok(environment) => environment,
            Err(error) => return Ended::Badly(chain(&ExecError::Environment(error))),
        };
        match self.left(input, &environment).await {
            Ok(left) if left.status.success() => Ended::Well("exit code 0".to_owned()),
            Ok(left) => Ended::Badly(complaint(&left, &environment)),
            Err(error) => Ended::Badly(chain(&error)),
        }
    }

    fn environment(&self) -> Result<Vec<(&str, SecretString)>, SecretError> {
        self.environment.iter().map(|(name, secret)| Ok((name.as_str(), secret.read()?))).collect()
    }

    async fn left(&self, input: Vec<u8>, environment: &[(&str, SecretString)]) -> Result<Left, ExecError> {
        let start = |error| ExecError::Start(self.program.clone(), error);
        let private = Private::create().map_err(start)?;
        let mut child = self.command(&private, environment).spawn().map_err(start)?;
        let group = Group::of(&child, &private);
        group.confine(self.limits).map_err(|error| ExecError::Confine(self.program.clone(), error))?;
        let writer = tokio::spawn(feed(child.stdin.take(), input));
        let (stdout, stderr) = (Reader::of(child.stdout.take()), Reader::of(child.stderr.take()));
        let waited = timeout(self.timeout, child.wait()).await;
        group.end().await;
        writer.abort();
        if waited.is_err() {
            // Reaps the leader, which the lines above have ended.
            timeout(GRACE, child.wait()).await.ok();
        }
        let (_, stderr) = tokio::join!(stdout.kept(), stderr.kept());
        let status = waited
            .map_err(|_| ExecError::Timeout(self.program.clone(), self.timeout))?
            .map_err(|error| ExecError::Wait(self.program.clone(), error))?;
        Ok(Left { status, stderr })
    }

    fn command(&self, private: &Private, environment: &[(&str, SecretString)]) -> Command {
        let dir = self.dir.as_deref().unwrap_or(&private.0);
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(dir).process_group(0).kill_on_drop(true).env_clear();
        command.env("PATH", PATH).env("HOME", &private.0).env("TMPDIR", &private.0);
        for (name, value) in environment {
            command.env(name, value.expose_secret());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name != "PATH" && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Writes the input. A command that does not read it is free not to.
async fn feed(pipe: Option<impl AsyncWriteExt + Unpin>, input: Vec<u8>) {
    if let Some(mut pipe) = pipe {
        pipe.write_all(&input).await.ok();
    }
}

/// Reads an output to its end, so that nobody waits for us, and keeps the end of it.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut pipe) = pipe else { return Vec::new() };
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 8 * 1024]);
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        kept.extend(buffer.iter().take(count));
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    kept
}

/// Returns how a command failed, with the last line of its error output. The values that it was given are taken out.
fn complaint(left: &Left, environment: &[(&str, SecretString)]) -> String {
    let mut text = String::from_utf8_lossy(&left.stderr).into_owned();
    for (_, value) in environment.iter().filter(|(_, value)| !value.expose_secret().is_empty()) {
        text = text.replace(value.expose_secret(), "***");
    }
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(LINE_SHOWN).collect();
    if line.is_empty() { left.status.to_string() } else { format!("{}: {line}", left.status) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Runs a shell script that gets the path of a folder as `$1`.
    async fn run(script: &str, folder: &Path, input: &str, timeout: Duration) -> Ended {
        let folder = folder.display().to_string();
        let command = ["/bin/sh", "-c", script, "hook", &folder].map(str::to_owned).to_vec();
        let exec = Exec::new(&config(command, ExecLimits::default()), timeout).unwrap();
        exec.run(input.as_bytes().to_vec()).await
    }

    fn config(command: Vec<String>, limits: ExecLimits) -> ExecConfig {
        // Cargo sets this one for every test.
        let env = vec!["CARGO_PKG_NAME".to_owned()];
        ExecConfig { command, env, dir: None, limits }
    }

    /// Runs a script that waits for its input, and with it for its limits, in a shell that is nobody's where that is
    /// possible: root may start as many processes as it likes.
    async fn confined(script: &str, folder: &Path, limits: ExecLimits) -> Ended {
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let drops = rustix::process::getuid().is_root() && Path::new("/usr/bin/setpriv").exists();
        let as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --";
        let outer = format!("read -r _; exec {} sh -c \"$1\" hook \"$2\"", if drops { as_nobody } else { "env" });
        let command = ["/bin/sh", "-c", &outer, "hook", script, &folder.display().to_string()];
        let command = command.map(str::to_owned).to_vec();
        let exec = Exec::new(&config(command, limits), Duration::from_secs(5)).unwrap();
        exec.run(b"go\n".to_vec()).await
    }

    async fn said(script: &str, input: &str) -> (Ended, String) {
        let folder = tempfile::tempdir().unwrap();
        let ended = run(&format!("{{ {script}; }} > $1/out"), folder.path(), input, Duration::from_secs(20)).await;
        (ended, std::fs::read_to_string(folder.path().join("out")).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_command_sees_its_input_and_nothing_else() {
        let (ended, out) = said("cat; echo; pwd; env", "finding $(whoami)").await;
        assert_eq!(ended, Ended::Well("exit code 0".to_owned()));
        let mut lines = out.lines();
        assert_eq!(lines.next(), Some("finding $(whoami)"));
        let cwd = lines.next().unwrap();
        assert!(cwd.contains("driftwarden-hook-") && !Path::new(cwd).exists(), "{cwd}");
        let mut names: Vec<&str> = lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        // The shell itself adds the last ones.
        names.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
        assert_eq!(names, ["CARGO_PKG_NAME", "HOME", "PATH", "TMPDIR"]);
    }

    #[tokio::test]
    async fn a_failure_says_its_last_line_without_what_was_given() {
        let (ended, _) = said("echo one >&2; echo \"no $CARGO_PKG_NAME\" >&2; exit 3", "").await;
        assert_eq!(ended, Ended::Badly("exit status: 3: no ***".to_owned()));
    }

    #[tokio::test]
    async fn a_flood_of_output_stops_nobody() {
        let (ended, _) = said("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero", "").await;
        assert_eq!(ended, Ended::Well("exit code 0".to_owned()));
    }

    #[tokio::test]
    async fn an_input_that_nobody_reads_stops_nobody() {
        let (ended, _) = said("true", &"x".repeat(1_000_000)).await;
        assert_eq!(ended, Ended::Well("exit code 0".to_owned()));
    }

    #[tokio::test]
    async fn at_the_timeout_the_whole_group_ends() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 300 & echo $! > $1/pid; wait";
        let ended = run(script, folder.path(), "", Duration::from_millis(500)).await;
        assert!(matches!(&ended, Ended::Badly(why) if why.contains("was killed")), "{ended:?}");
        ended_soon(folder.path()).await;
    }

    #[tokio::test]
    async fn what_a_command_leaves_behind_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let ended = run("sleep 300 & echo $! > $1/pid", folder.path(), "", Duration::from_secs(20)).await;
        assert_eq!(ended, Ended::Well("exit code 0".to_owned()));
        ended_soon(folder.path()).await;
    }

    /// Checks that what the script does for five minutes is ended at its timeout, and soon.
    async fn check_ended(script: &str) {
        let folder = tempfile::tempdir().unwrap();
        let begun = tokio::time::Instant::now();
        let ended = run(script, folder.path(), "", Duration::from_millis(500)).await;
        assert!(begun.elapsed() < Duration::from_millis(2500), "{script}: {:?}", begun.elapsed());
        assert!(matches!(&ended, Ended::Badly(why) if why.contains("was killed")), "{script}: {ended:?}");
        ended_soon(folder.path()).await;
    }

    #[tokio::test]
    async fn nothing_that_a_command_does_keeps_it_alive() {
        check_ended("echo $$ > $1/pid; trap '' TERM INT HUP; sleep 300; sleep 300").await;
        check_ended("echo $$ > $1/pid; exec >&- 2>&- <&-; sleep 300").await;
        check_ended("setsid sh -c 'echo $$ > $0/pid; sleep 300' $1 & sleep 300").await;
        check_ended("(setsid sh -c 'echo $$ > $0/pid; exec sleep 300' $1 &) ; sleep 300").await;
    }

    #[tokio::test]
    async fn a_grandchild_that_left_the_group_holds_no_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let begun = tokio::time::Instant::now();
        let script = "setsid sh -c 'echo $$ > $0/pid; sleep 300' $1 & while [ ! -s $1/pid ]; do :; done";
        let ended = run(script, folder.path(), "", Duration::from_secs(20)).await;
        assert_eq!(ended, Ended::Well("exit code 0".to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        ended_soon(folder.path()).await;
    }

    #[tokio::test]
    async fn a_command_has_its_limits_when_it_gets_its_input() {
        let folder = tempfile::tempdir().unwrap();
        let limits = ExecLimits { memory_mib: 512, open_files: 64, processes: 77, file_size_mib: 3 };
        let ended = confined("{ ulimit -v; ulimit -n; ulimit -f; ulimit -c; } > $1/out", folder.path(), limits).await;
        assert_eq!(ended, Ended::Well("exit code 0".to_owned()));
        let out = std::fs::read_to_string(folder.path().join("out")).unwrap();
        // Address space in KiB, files in blocks of 512 bytes.
        assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["524288", "64", "6144", "0"]);
    }

    #[tokio::test]
    async fn what_goes_beyond_a_limit_fails() {
        let few = ExecLimits { memory_mib: 100, processes: 30, file_size_mib: 1, ..ExecLimits::default() };
        let folder = tempfile::tempdir().unwrap();
        let hog = "x=$(head -c 200000000 /dev/zero | tr '\\0' a)";
        let ended = confined(hog, folder.path(), few).await;
        assert!(matches!(ended, Ended::Badly(_)), "{ended:?}");
        let ended = confined("head -c 10000000000 /dev/zero > $1/big", folder.path(), few).await;
        assert!(matches!(ended, Ended::Badly(_)), "{ended:?}");
        assert_eq!(std::fs::metadata(folder.path().join("big")).unwrap().len(), 1 << 20);
        let bomb = "n=0; while [ $n -lt 100 ]; do sleep 300 & echo $! > $1/pid; n=$((n+1)); echo $n > $1/n; done";
        let ended = confined(bomb, folder.path(), few).await;
        let started = std::fs::read_to_string(folder.path().join("n"));
        let started: u32 = started.unwrap_or_else(|_| panic!("{ended:?}")).trim().parse().unwrap();
        let binds = !rustix::process::getuid().is_root() || Path::new("/usr/bin/setpriv").exists();
        assert!(!binds || started <= 30 && matches!(ended, Ended::Badly(_)), "{started}: {ended:?}");
        ended_soon(folder.path()).await;
    }

    /// Waits until the process of which the id was written is gone or a zombie; the signal is on its way.
    async fn ended_soon(folder: &Path) {
        let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
        let path = format!("/proc/{}/stat", pid.trim());
        let is_over = || std::fs::read_to_string(&path).map_or(true, |stat| stat.contains(") Z "));
        let waiting = async {
            while !is_over() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), waiting).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_fails() {
        let command = vec!["/nowhere/at/all".to_owned()];
        let config = config(command, ExecLimits::default());
        let ended = Exec::new(&config, Duration::from_secs(1)).unwrap().run(Vec::new()).await;
        assert!(matches!(&ended, Ended::Badly(why) if why.starts_with("failed to start")), "{ended:?}");
    }
}
