//! Child processes that never outlive the tests: a log file each, their own process group, killed on drop.
//!
//! A test process that is itself killed cannot drop anything, so a reaper, a shell at the other end of a pipe, ends the
//! groups that are left once the pipe closes. Not its business: what is started, and when it counts as ready.

use std::collections::HashSet;
use std::fs::File;
use std::hash::BuildHasher;
use std::hash::Hasher;
use std::hash::RandomState;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdin;
use std::process::Command;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

/// A running child and everything it started.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in a process group of its own; both of its outputs go to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let file = File::options().create(true).append(true).open(log).map_err(|error| error.to_string())?;
        let twin = file.try_clone().map_err(|error| error.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(twin)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("failed to start {}: {error}", command.get_program().display()))?;
        reap_later(child.id());
        Ok(Self { child, log: log.to_path_buf() })
    }

    /// Waits until `probe` answers, and gives up early when the process has ended.
    pub fn ready<T>(mut self, seconds: u32, mut probe: impl FnMut() -> Option<T>) -> Result<Self, String> {
        for _ in 0..seconds * 20 {
            if probe().is_some() {
                return Ok(self);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended with {status} before it was ready:\n{}", self.tail()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("not ready after {seconds} s:\n{}", self.tail()))
    }

    /// Returns all that the process has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Returns the process id, which is the id of its group too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells whether it is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the whole group, as a power cut would.
    pub fn kill(&mut self) {
        signal("KILL", self.child.id());
        self.child.wait().ok();
    }

    /// Asks it to end, waits, and returns the exit code; `None` if a signal ended it.
    pub fn terminate(&mut self) -> Option<i32> {
        signal("TERM", self.child.id());
        self.child.wait().ok()?.code()
    }

    /// Waits for the end, and returns the exit code; `None` if a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().ok()?.code()
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        tell_reaper('-', self.child.id());
    }
}

fn signal(name: &str, group: u32) {
    let script = format!("kill -s {name} -- -{group}");
    Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().ok();
}

/// Reads `+ID` and `-ID` until the tests are gone, then kills what is still on the list.
const REAPER: &str = r#"
ids=
while read -r line; do
    case $line in
    +*) ids="$ids ${line#+}" ;;
    -*) kept=; for id in $ids; do [ "$id" = "${line#-}" ] || kept="$kept $id"; done; ids=$kept ;;
    esac
done
for id in $ids; do kill -s KILL -- "-$id" 2>/dev/null; done
"#;

static REAPING: LazyLock<Mutex<Option<ChildStdin>>> = LazyLock::new(|| {
    let child =
        Command::new("sh").args(["-c", REAPER]).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn();
    Mutex::new(child.ok().and_then(|mut child| child.stdin.take()))
});

fn reap_later(id: u32) {
    tell_reaper('+', id);
}

fn tell_reaper(sign: char, id: u32) {
    if let Some(pipe) = REAPING.lock().unwrap().as_mut() {
        writeln!(pipe, "{sign}{id}").ok();
    }
}

/// Polls twenty times a second until `probe` answers; panics with `what` when it never does.
pub fn eventually<T>(what: &str, seconds: u32, mut probe: impl FnMut() -> Option<T>) -> T {
    for _ in 0..seconds * 20 {
        if let Some(found) = probe() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not within {seconds} s: {what}");
}

/// Returns a random number, for seeds that are printed.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Returns a port of the loopback that nobody listens on.
///
/// It lies below the range from which the kernel takes the ports of outgoing connections, so none of those takes it
/// between this look and the use.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap();
    let given = given.get_or_insert_default();
    loop {
        let port = u16::try_from(15_000 + random() % 17_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
}

/// Makes a folder that is gone with its value.
pub fn folder() -> TempDir {
    tempfile::Builder::new().prefix("driftwarden-test-").tempdir().unwrap()
}

/// Runs a command to its end; its standard output on success, both outputs on failure.
pub fn run(command: &mut Command, input: Option<&str>) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("failed to start {}: {error}", command.get_program().display()))?;
    let mut pipe = child.stdin.take().unwrap();
    let input = input.unwrap_or_default().to_owned();
    // A child that never reads must not block a parent that never stops writing.
    let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()).ok());
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    writer.join().ok();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} ended with {}: {text}{complaint}", command.get_program().display(), output.status))
}
