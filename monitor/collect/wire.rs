//! A server for tests that answers by a script, down to the bytes: HTTP/1.1 and every way to break it.
//!
//! It proves how answers are taken, not that a cloud gives them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    Say {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Says that the body is longer than it is, and closes or resets the connection.
    Cut {
        body: Vec<u8>,
        reset: bool,
    },
    /// Says nothing at all, or only headers.
    Hang {
        headers: bool,
    },
    /// A byte at a time, for ever.
    Drip,
    /// As much as is taken, of a body that is said to have five gigabytes.
    Flood,
    /// Closes the connection before a word is said.
    Close,
}

/// Answers with JSON as AWS does.
pub(crate) fn say(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    let headers = vec![("content-type", "application/x-amz-json-1.0".to_owned())];
    Reply::Say { status, headers, body: body.into() }
}

/// Sets a header of an answer.
pub(crate) fn with(reply: Reply, name: &'static str, value: &str) -> Reply {
    let Reply::Say { status, mut headers, body } = reply else { return reply };
    headers.retain(|(known, _)| *known != name);
    headers.push((name, value.to_owned()));
    Reply::Say { status, headers, body }
}

/// A body that is a thousand times longer when it is unpacked.
pub(crate) fn gzip_bomb() -> Reply {
    // A deflate block of zeros whose code for 258 more of them is one bit long.
    let head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 237, 193, 1, 1, 0, 0, 0, 130, 32, 255, 175, 110, 72, 64];
    let headers = vec![("content-encoding", "gzip".to_owned())];
    Reply::Say { status: 200, headers, body: [head, vec![0; 50_000]].concat() }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// What is asked for in the address.
    pub(crate) query: Option<String>,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Returns a header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> String {
        header(&self.head, name)
    }

    /// Returns a parameter of the address.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// Starts a server that answers by the script, for as long as the runtime lives.
pub(crate) async fn serve(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, script): (_, Arc<Script>) = (listener.local_addr().unwrap(), Arc::new(script));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&script)));
        }
    });
    address
}

/// Starts a server with that certificate, which answers everything with `{}`.
pub(crate) async fn serve_tls(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust us hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if read_request(&mut stream).await.is_some() {
                    write_reply(&mut stream, say(200, "{}")).await.ok();
                }
            });
        }
    });
    address
}

async fn answer(mut stream: TcpStream, script: Arc<Script>) {
    let Some(request) = read_request(&mut stream).await else { return };
    let reply = script(&request);
    // A client that has seen enough closes; that is no failure of the test.
    write_reply(&mut stream, reply).await.ok();
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut body = Vec::new();
    let head = loop {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
        let Some(end) = body.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(body[..end].to_vec()).unwrap();
        body.drain(..end + 4);
        break head;
    };
    let length: usize = header(&head, "content-length").parse().unwrap_or(0);
    while body.len() < length {
        stream.read_buf(&mut body).await.ok()?;
    }
    let mut words = head.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Some(Request { method, path: path.to_owned(), query: query.map(str::to_owned), head: head.clone(), body })
}

fn header(head: &str, name: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
}

/// A connection, and what can be done to it besides.
trait Connection: AsyncRead + AsyncWrite + Unpin {
    /// Has the connection reset when it is closed.
    fn set_zero_linger(&self) -> std::io::Result<()>;
}

impl Connection for TcpStream {
    fn set_zero_linger(&self) -> std::io::Result<()> {
        Self::set_zero_linger(self)
    }
}

impl Connection for TlsStream<TcpStream> {
    fn set_zero_linger(&self) -> std::io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

async fn write_reply(stream: &mut impl Connection, reply: Reply) -> std::io::Result<()> {
    let head = |length: u64| format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    match reply {
        Reply::Say { status, headers, body } => {
            let mut text = format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                text.extend([name, ": ", &value, "\r\n"]);
            }
            stream.write_all(&[text.as_bytes(), b"\r\n", &body].concat()).await?;
            stream.shutdown().await
        }
        Reply::Cut { body, reset } => {
            stream.write_all(head(2 * body.len() as u64 + 1).as_bytes()).await?;
            stream.write_all(&body).await?;
            if reset {
                stream.set_zero_linger()?;
            }
            Ok(())
        }
        Reply::Hang { headers } => {
            if headers {
                stream.write_all(head(10).as_bytes()).await?;
            }
            std::future::pending().await
        }
        Reply::Drip => {
            stream.write_all(head(1_000_000).as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Reply::Flood => {
            stream.write_all(head(5_000_000_000).as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 1 << 13]).await?;
            }
        }
        Reply::Close => stream.set_zero_linger(),
    }
}
