//! A proxy in front of an AWS endpoint that counts calls by service and operation, and can make each of them slower.
//!
//! It keeps connections open on both sides, one thread for each, so that a delay holds up one call and no other: it passes thousands of
//! calls a second. Signatures stay valid, since the `host` that was signed is passed on. Not its business: breaking calls.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::harness::http;
use crate::harness::http::Until;

/// A call that was passed on.
#[derive(Debug, Clone)]
pub struct Call {
    /// As the signature names it: `ec2`, `s3`, `monitoring`.
    pub service: String,
    /// The operation, or what a REST API has in place of one: `GET /*?policy`.
    pub operation: String,
    /// The region that it was signed for.
    pub region: String,
    pub status: u16,
    /// When it came in.
    pub at: Instant,
}

struct State {
    upstream: String,
    delay: AtomicU64,
    names_actions: AtomicBool,
    over: AtomicBool,
    calls: Mutex<Vec<Call>>,
}

/// A running proxy, gone with its value.
pub struct Recorder {
    port: u16,
    state: Arc<State>,
}

impl Recorder {
    /// Starts it in front of `upstream`, a URL of the loopback; no call is delayed yet.
    pub fn in_front_of(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream: upstream.trim_start_matches("http://").trim_end_matches('/').to_owned(),
            delay: AtomicU64::new(0),
            names_actions: AtomicBool::new(false),
            over: AtomicBool::new(false),
            calls: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || pass_on(&client, &state).ok());
            }
        });
        Self { port, state }
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets each call take this much longer from now on.
    pub fn delay(&self, by: Duration) {
        self.state.delay.store(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Has the action of a form stand in the address, too, from now on: the emulator's log looks for it only there, and takes
    /// what it finds nowhere for a write. Nobody may check signatures then.
    pub fn name_actions(&self) {
        self.state.names_actions.store(true, Ordering::Relaxed);
    }

    /// Returns the calls since the last time that they were taken.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.state.calls.lock().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // The listener blocks in accept: one last caller wakes it.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

/// Counts calls as `service operation`.
pub fn counted(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(format!("{} {}", call.service, call.operation)).or_default() += 1;
    }
    counts
}

/// A request or a response, read to its end.
struct Message {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Sends it in one piece; the connection stays open whatever the other end said.
    fn send(&self, mut to: &TcpStream) -> std::io::Result<()> {
        let mut bytes = format!("{}\r\n", self.first).into_bytes();
        for (name, value) in &self.headers {
            if !["connection", "keep-alive", "transfer-encoding", "content-length", "expect"].contains(&name.as_str()) {
                write!(bytes, "{name}: {value}\r\n")?;
            }
        }
        write!(bytes, "content-length: {}\r\n\r\n", self.body.len())?;
        bytes.extend_from_slice(&self.body);
        to.write_all(&bytes)
    }
}

#[expect(clippy::disallowed_methods, reason = "when a call came in is what is recorded")]
fn pass_on(client: &TcpStream, state: &State) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut from_client = BufReader::new(client);
    let mut upstream = None;
    loop {
        let (first, headers) = http::read_head(&mut from_client)?;
        if first.is_empty() {
            return Ok(());
        }
        let mut to_client = client;
        if headers.iter().any(|(name, _)| name == "expect") {
            to_client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = http::read_body(&mut from_client, &headers, Until::Announced)?;
        let mut request = Message { first, headers, body };
        if state.names_actions.load(Ordering::Relaxed) && request.first.starts_with("POST / ") {
            let action = action(&request.body).map(|action| format!("POST /?Action={action} "));
            request.first = action.map_or(request.first.clone(), |begin| request.first.replacen("POST / ", &begin, 1));
        }
        let at = Instant::now();
        std::thread::sleep(Duration::from_millis(state.delay.load(Ordering::Relaxed)));
        let answer = answer(&request, &mut upstream, state)?;
        let status = answer.first.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        state.calls.lock().unwrap().push(named(&request, status, at));
        answer.send(client)?;
    }
}

/// Asks upstream on the connection that there is, and on a new one if it was closed meanwhile.
fn answer(request: &Message, upstream: &mut Option<BufReader<TcpStream>>, state: &State) -> std::io::Result<Message> {
    if let Some(kept) = upstream
        && let Ok(answer) = exchange(request, kept)
    {
        return Ok(answer);
    }
    let stream = TcpStream::connect(&state.upstream)?;
    stream.set_nodelay(true)?;
    let answer = exchange(request, upstream.insert(BufReader::new(stream)));
    if !answer.as_ref().is_ok_and(stays_open) {
        *upstream = None;
    }
    answer
}

fn exchange(request: &Message, upstream: &mut BufReader<TcpStream>) -> std::io::Result<Message> {
    request.send(upstream.get_ref())?;
    let (first, headers) = http::read_head(upstream)?;
    if first.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let has_body = !request.first.starts_with("HEAD ") && !first.contains(" 204 ") && !first.contains(" 304 ");
    let body = if has_body { http::read_body(upstream, &headers, Until::Closed)? } else { Vec::new() };
    let first = first.replacen("HTTP/1.0", "HTTP/1.1", 1);
    Ok(Message { first, headers, body })
}

fn stays_open(answer: &Message) -> bool {
    !answer.header("connection").eq_ignore_ascii_case("close")
}

fn named(request: &Message, status: u16, at: Instant) -> Call {
    // AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …
    let scope = request.header("authorization").split("Credential=").nth(1).unwrap_or_default();
    let mut parts = scope.split('/').skip(2).map(str::to_owned);
    let region = parts.next().unwrap_or_default();
    let service = parts.next().unwrap_or_default();
    Call { service, operation: operation(request), region, status, at }
}

fn operation(request: &Message) -> String {
    let target = request.header("x-amz-target");
    if let Some((_, operation)) = target.rsplit_once('.') {
        return operation.to_owned();
    }
    let mut words = request.first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    action(query.as_bytes()).or_else(|| action(&request.body)).unwrap_or_else(|| rest(method, path, query))
}

/// Returns the action of a form.
fn action(form: &[u8]) -> Option<String> {
    url::form_urlencoded::parse(form).find(|(name, _)| name == "Action").map(|(_, action)| action.into_owned())
}

/// Names a REST call by its method, its path less the names in it, and the first word of its query.
fn rest(method: &str, path: &str, query: &str) -> String {
    let is_fixed = |at: usize, part: &str| {
        at == 0 && (part.starts_with("20") || part == "v2") || at == 1 && path.starts_with("/20")
    };
    let parts: Vec<_> = path.split('/').skip(1).collect();
    let parts =
        parts.iter().enumerate().map(|(at, part)| if is_fixed(at, part) || part.is_empty() { *part } else { "*" });
    let word =
        query.split(['=', '&']).next().filter(|word| !word.is_empty()).map_or(String::new(), |word| format!("?{word}"));
    format!("{method} /{}{word}", parts.collect::<Vec<_>>().join("/"))
}
