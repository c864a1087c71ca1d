//! HTTP/1.1 in both directions on plain sockets: a client that asks once, a server that answers as a function says.
//!
//! By hand, because the server must be able to lie: cut a body, answer garbage, say nothing. No TLS, no keep-alive.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

/// What came back from a server.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    /// Reads the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

/// Asks with GET.
pub fn get(url: &str) -> Result<Response, String> {
    ask("GET", url, &[], "")
}

/// Sends a JSON body with POST.
pub fn post(url: &str, body: &Value) -> Result<Response, String> {
    ask("POST", url, &[("content-type", "application/json")], &body.to_string())
}

/// Asks a server on the loopback once, and reads its answer to the end.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Response, String> {
    exchange(method, url, headers, body).map_err(|error| format!("failed to {method} {url}: {error}"))
}

fn exchange(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<Response> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    write!(stream, "{method} /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n")?;
    write_headers(&mut stream, headers, body.len())?;
    stream.write_all(body.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let (first, headers) = read_head(&mut reader)?;
    let status = first.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let body = String::from_utf8_lossy(&read_body(&mut reader, &headers, Until::Closed)?).into_owned();
    Ok(Response { status, headers, body })
}

/// What a client sent.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns a header by its lowercase name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a server of ours sends back.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    sent: usize,
    waits: Duration,
}

impl Answer {
    /// Makes an answer with these bytes.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
            sent: usize::MAX,
            waits: Duration::ZERO,
        }
    }

    /// Makes a JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Makes an answer without a type of its own, for headers that come from elsewhere.
    pub fn bare(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, body, sent: usize::MAX, waits: Duration::ZERO }
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Announces the whole body, sends this many bytes of it and hangs up.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.sent = bytes;
        self
    }

    /// Lets the client wait first.
    pub fn after(mut self, wait: Duration) -> Self {
        self.waits = wait;
        self
    }

    fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        std::thread::sleep(self.waits);
        write!(stream, "HTTP/1.1 {} Scripted\r\nconnection: close\r\n", self.status)?;
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        write_headers(stream, &headers, self.body.len())?;
        stream.write_all(&self.body[..self.sent.min(self.body.len())])?;
        stream.flush()
    }
}

/// A server on the loopback; one thread a connection, gone with its value.
pub struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    /// Serves what `handler` says.
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (log, end, handler) = (seen.clone(), over.clone(), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (log, handler) = (log.clone(), handler.clone());
                std::thread::spawn(move || serve(stream, &log, &*handler).ok());
            }
        });
        Self { port, seen, over }
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns what was asked so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The listener blocks in accept: one last caller wakes it.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    handler: &(dyn Fn(&Request) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (first, headers) = read_head(&mut reader)?;
    if headers.iter().any(|(name, value)| name == "expect" && value == "100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let body = read_body(&mut reader, &headers, Until::Announced)?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request { method, path: path.to_owned(), query: query.to_owned(), headers, body };
    log.lock().unwrap().push(request.clone());
    handler(&request).send(&mut stream)
}

fn write_headers(stream: &mut TcpStream, headers: &[(&str, &str)], length: usize) -> std::io::Result<()> {
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "content-length: {length}\r\n\r\n")
}

pub(super) fn read_head(reader: &mut impl BufRead) -> std::io::Result<(String, Vec<(String, String)>)> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok((first.trim_end().to_owned(), headers))
}

/// What ends a body that announces neither length nor chunks.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// It has none: a request.
    Announced,
    /// The connection closes: a response.
    Closed,
}

pub(super) fn read_body(
    reader: &mut impl BufRead,
    headers: &[(String, String)],
    until: Until,
) -> std::io::Result<Vec<u8>> {
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return read_chunks(reader);
    }
    let mut body = Vec::new();
    match (header("content-length").and_then(|value| value.parse::<u64>().ok()), until) {
        (Some(length), _) => reader.take(length).read_to_end(&mut body)?,
        (None, Until::Closed) => reader.read_to_end(&mut body)?,
        (None, Until::Announced) => 0,
    };
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16).unwrap_or(0);
        reader.by_ref().take(length).read_to_end(&mut body)?;
        reader.read_line(&mut String::new())?;
        if length == 0 {
            return Ok(body);
        }
    }
}
