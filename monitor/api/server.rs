//! The listener: connections with deadlines and caps, before anybody has shown a token (I29).
//!
//! HTTP/1.1 only: nobody who reads this interface needs more, and HTTP/2 brings its own floods.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ApiError;

const MOST_CONNECTIONS: usize = 1_024;
const MOST_HEADERS: usize = 64;
const LARGEST_HEAD: usize = 16 << 10;
/// For the head of a request, also of the next one on the same connection.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// For a whole connection: whoever reads too slowly must not hold it for ever.
const CONNECTION_DEADLINE: Duration = Duration::from_mins(10);
const FAREWELL: Duration = Duration::from_secs(5);
/// After `accept` failed, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop, then lets requests that have begun end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let (connections, places) = (TaskTracker::new(), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    while let Some(stream) = stop.run_until_cancelled(accept(&listener)).await {
        // Whoever comes when all places are taken is hung up on at once, rather than kept waiting.
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let (router, stop) = (router.clone(), stop.clone());
            connections.spawn(async move {
                timeout(CONNECTION_DEADLINE, connection(stream, router, stop)).await.unwrap_or_default();
                drop(place);
            });
        }
    }
    drop(listener);
    connections.close();
    timeout(FAREWELL, connections.wait()).await.unwrap_or_default();
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| answer(router.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_headers(MOST_HEADERS)
        .max_header_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // What a peer does wrong on its connection ends that connection and is nobody else's business.
    tokio::select! {
        ended = connection.as_mut() => drop(ended),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

async fn answer(router: TowerToHyperService<Router>, request: Request<Incoming>) -> Result<Response, Infallible> {
    match timeout(ANSWER_DEADLINE, router.call(request)).await {
        Ok(answer) => answer,
        Err(_) => Ok(ApiError::timeout().into_response()),
    }
}
