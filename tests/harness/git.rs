//! A Git server that asks for a name and a password: Git's own `http-backend` behind our HTTP server.
//!
//! Commits are made by Git too, in a clone beside it. Not its business: reading anything back as the daemon does.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use base64::Engine;
use tempfile::TempDir;

use crate::harness::http::Answer;
use crate::harness::http::Request;
use crate::harness::http::Server;
use crate::harness::peers;
use crate::harness::process;

/// One bare repository `infra.git`, served over HTTP, and a clone to commit in.
pub struct GitServer {
    server: Server,
    folder: TempDir,
}

impl GitServer {
    /// Serves an empty repository to whoever knows the password.
    pub fn start(user: &str, password: &str) -> Option<Self> {
        peers::available("git", Self::try_start(user, password))
    }

    /// Serves an empty repository to whoever shows the token.
    pub fn start_with_token(token: &str) -> Option<Self> {
        peers::available("git", Self::start_for(&format!("Bearer {token}")))
    }

    fn try_start(user: &str, password: &str) -> Result<Self, String> {
        let ticket = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self::start_for(&format!("Basic {ticket}"))
    }

    fn start_for(expected: &str) -> Result<Self, String> {
        let expected = expected.to_owned();
        let folder = process::folder();
        let bare = folder.path().join("infra.git");
        process::run(peers::git()?.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&bare), None)?;
        process::run(peers::git()?.arg("-C").arg(&bare).args(["config", "http.receivepack", "true"]), None)?;
        let clone = folder.path().join("clone");
        process::run(peers::git()?.args(["init", "--quiet", "--initial-branch=main"]).arg(&clone), None)?;
        process::run(peers::git()?.arg("-C").arg(&clone).args(["remote", "add", "origin"]).arg(&bare), None)?;
        let root = folder.path().to_path_buf();
        let server = Server::start(move |request| {
            if request.header("authorization") == Some(&expected) {
                backend(&root, request).unwrap_or_else(|why| Answer::new(500, "text/plain", why))
            } else {
                Answer::new(401, "text/plain", "who are you?").with("www-authenticate", "Basic realm=\"git\"")
            }
        });
        Ok(Self { server, folder })
    }

    /// Returns the address of the repository, without the password.
    pub fn url(&self) -> String {
        format!("{}/infra.git", self.server.url())
    }

    /// Returns what clients asked for.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Writes these files (path, content), commits everything as `author`, pushes, and returns the commit.
    pub fn commit(&self, author: &str, message: &str, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            let path = self.clone().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.push(author, message)
    }

    /// Removes these files, commits, pushes, and returns the commit.
    pub fn remove(&self, author: &str, message: &str, files: &[&str]) -> String {
        for path in files {
            std::fs::remove_file(self.clone().join(path)).unwrap();
        }
        self.push(author, message)
    }

    /// Runs any Git command in the clone.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = peers::git().unwrap();
        process::run(command.arg("-C").arg(self.clone()).args(arguments), None).unwrap()
    }

    fn push(&self, author: &str, message: &str) -> String {
        let name = format!("user.name={author}");
        let mail = format!("user.email={author}@example.org");
        self.git(&["add", "--all"]);
        self.git(&["-c", &name, "-c", &mail, "commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["push", "--quiet", "--force", "origin", "main"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn clone(&self) -> PathBuf {
        self.folder.path().join("clone")
    }
}

/// Asks Git's CGI program.
fn backend(root: &Path, request: &Request) -> Result<Answer, String> {
    let mut command: Command = peers::git()?;
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding").unwrap_or_default())
        .env("REMOTE_USER", "tester")
        .env("REMOTE_ADDR", "127.0.0.1");
    if let Some(protocol) = request.header("git-protocol") {
        command.env("GIT_PROTOCOL", protocol).env("HTTP_GIT_PROTOCOL", protocol);
    }
    let output = pipe(&mut command, &request.body).map_err(|error| error.to_string())?;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").ok_or("git http-backend said nothing")?;
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let status = headers.iter().find(|(name, _)| name == "status");
    let status = status.and_then(|(_, value)| value.split(' ').next()?.parse().ok()).unwrap_or(200);
    let headers = headers.into_iter().filter(|(name, _)| name != "status").collect();
    Ok(Answer::bare(status, headers, output[end + 4..].to_vec()))
}

fn pipe(command: &mut Command, input: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output()?.stdout;
    writer.join().ok();
    Ok(output)
}
