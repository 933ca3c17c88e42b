//! The server: accepts connections and serves the router.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use super::{routes, shared::Shared};

/// Serves until the sandbox stops, and then until pending requests are answered.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let router = routes::router(&shared);
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(shared.clone(), router.clone(), stream));
                }
                // For example out of file descriptors: the client still waits after the pause.
                Err(_) => {
                    shared.pause(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = shared.stopped() => break,
        }
    }
    drop(listener);
    // Limited: a client may never complete its body or read its answer.
    let last = shared.settings.probe_timeout.saturating_add(LAST_ANSWERS);
    let _all_ended = timeout(last, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn serve_connection(shared: Arc<Shared>, router: Router, stream: TcpStream) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // A connection that breaks is for the client to notice.
    tokio::select! {
        _result = connection.as_mut() => {}
        () = shared.stopped() => {
            connection.as_mut().graceful_shutdown();
            let _result = connection.await;
        }
    }
}

/// The time for pending answers after the stop, in addition to that of a probe, which they may wait
/// for.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
