//! The socket: connections in, the router for each request.

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

/// Serves until the sandbox stops, and then until what was begun is answered.
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
                // Out of file descriptors, for instance: whoever waits is still there afterwards.
                Err(_) => {
                    shared.pause(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = shared.stopped() => break,
        }
    }
    drop(listener);
    // A body that never comes, or an answer that nobody reads, would keep us for ever.
    let last = shared.settings.probe_timeout + LAST_ANSWERS;
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

/// How much longer than a probe, which an answer may have to wait for, what was asked before the stop may take.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
