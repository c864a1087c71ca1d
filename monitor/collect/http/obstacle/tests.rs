//! Servers that cannot be reached, are not who they should be, or hang up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use driftwarden_core::resource::GapReason;
use h2::Reason;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::Obstacle;
use crate::collect::http::tests::{limits, said, settled, shared};
use crate::collect::wire::{self, say};

/// Who issues certificates, and is trusted by whom these tests let.
struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        crate::collect::http::install_crypto();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { root, issuer: Issuer::new(params, key) }
    }

    /// Starts a server with a certificate for that name, valid in the years from the one to the other.
    async fn serve(&self, name: &str, (from, to): (i32, i32)) -> SocketAddr {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        wire::serve_tls(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into())).await
    }

    fn trusting(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_der(&self.root).unwrap();
        settled(|settings| settings.tls_certs_only([root]))
    }
}

/// Returns where a server is whose certificate nobody has reason to trust.
pub(in crate::collect) async fn untrusted() -> String {
    format!("https://localhost:{}", Authority::new().serve("localhost", (2000, 2100)).await.port())
}

async fn check(client: reqwest::Client, url: &str, expected: Obstacle) {
    let (outcome, attempts) = said(client, url).await;
    let error = outcome.err().unwrap();
    assert_eq!((error.detail, error.reason), (expected.to_string(), GapReason::Timeout), "{url}");
    let most = if expected.is_lasting() { 1 } else { limits().attempts_unanswered as usize };
    assert_eq!(attempts, most, "{url}");
}

#[tokio::test]
async fn who_is_not_who_it_should_be_is_not_asked() {
    let authority = Authority::new();
    let at = |address: SocketAddr| format!("https://localhost:{}/", address.port());
    let good = at(authority.serve("localhost", (2000, 2100)).await);
    assert!(said(authority.trusting(), &good).await.0.is_ok(), "else nothing below is proven");
    let expired = at(authority.serve("localhost", (2000, 2001)).await);
    check(authority.trusting(), &expired, Obstacle::Expired).await;
    let early = at(authority.serve("localhost", (2099, 2100)).await);
    check(authority.trusting(), &early, Obstacle::NotValidYet).await;
    let other = at(authority.serve("other.example", (2000, 2100)).await);
    check(authority.trusting(), &other, Obstacle::OtherName).await;
    // By all that a real client trusts.
    check(shared(), &good, Obstacle::UnknownIssuer).await;
    let plain = at(serve_plainly().await);
    check(authority.trusting(), &plain, Obstacle::NotTls).await;
}

#[tokio::test]
async fn who_cannot_be_reached_is_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    check(shared(), &format!("http://{free}/"), Obstacle::Refused).await;
    check(shared(), "http://nobody.invalid/", Obstacle::Unresolved).await;
    // It waits for the end of a greeting that it does not understand.
    let mute = wire::serve(|_| say(200, "{}")).await;
    let hasty = settled(|settings| settings.connect_timeout(Duration::from_millis(50)));
    check(hasty, &format!("https://{mute}/"), Obstacle::Silent).await;
}

/// Starts a server that answers a greeting of TLS as one of HTTP does.
async fn serve_plainly() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.ok();
            // What is not read would reset the connection.
            stream.read_buf(&mut Vec::new()).await.ok();
        }
    });
    address
}

/// Knows no name the first time.
struct Flapping(SocketAddr, AtomicUsize);

impl Resolve for Flapping {
    fn resolve(&self, _: Name) -> Resolving {
        let nth = self.1.fetch_add(1, Ordering::Relaxed);
        let address = self.0;
        Box::pin(async move {
            let found: Addrs = Box::new(std::iter::once(address));
            if nth == 0 { Err("no such name".into()) } else { Ok(found) }
        })
    }
}

#[tokio::test]
async fn a_name_that_is_known_again_is_found() {
    let address = wire::serve(|_| say(200, "{}")).await;
    let flapping = Arc::new(Flapping(address, AtomicUsize::default()));
    let client = settled(|settings| settings.dns_resolver(flapping));
    let (outcome, attempts) = said(client, &format!("http://cloud.example:{}/", address.port())).await;
    assert_eq!((outcome.is_ok(), attempts), (true, 2));
}

/// Starts a server of HTTP/2 that answers one request of each connection and says goodbye with that reason: to the next
/// request, or as soon as it can.
async fn serve_one_each(reason: Reason, connections: Arc<AtomicUsize>, answered: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                for _ in 0..answered {
                    let Some(Ok((_, mut respond))) = connection.accept().await else { return };
                    let head = http::Response::builder().header("content-type", "application/json").body(()).unwrap();
                    respond.send_response(head, false).unwrap().send_data("{}".into(), true).unwrap();
                }
                if reason == Reason::NO_ERROR {
                    connection.graceful_shutdown();
                } else if let Some(Ok(_asked)) = connection.accept().await {
                    connection.abrupt_shutdown(reason);
                }
                while connection.accept().await.is_some() {}
            });
        }
    });
    address
}

#[tokio::test]
async fn a_connection_that_says_goodbye_is_made_again() {
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM, Reason::INTERNAL_ERROR] {
        let connections = Arc::<AtomicUsize>::default();
        let url = format!("http://{}/", serve_one_each(reason, Arc::clone(&connections), 1).await);
        let client = settled(reqwest::ClientBuilder::http2_prior_knowledge);
        for page in 0..4 {
            let (outcome, _) = said(client.clone(), &url).await;
            assert!(outcome.is_ok(), "{reason:?}, page {page}: {:?}", outcome.err());
        }
        assert_eq!(connections.load(Ordering::Relaxed), 4, "{reason:?}");
    }
}

#[tokio::test]
async fn who_only_says_goodbye_is_given_up() {
    let connections = Arc::<AtomicUsize>::default();
    let address = serve_one_each(Reason::ENHANCE_YOUR_CALM, Arc::clone(&connections), 0).await;
    let client = settled(reqwest::ClientBuilder::http2_prior_knowledge);
    let (outcome, attempts) = said(client, &format!("http://{address}/")).await;
    let error = outcome.err().unwrap();
    assert_eq!((error.reason, &*error.detail), (GapReason::Timeout, "the connection was lost before the answer"));
    let most = limits().attempts_unanswered as usize;
    assert_eq!((attempts, connections.load(Ordering::Relaxed)), (most, most));
}
