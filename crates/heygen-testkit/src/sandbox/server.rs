//! The socket: connections in, [`answer`] for each request.

use std::{pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{service::answer, shared::Shared};

/// Serves until the sandbox stops, and then until what was begun is answered.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(shared.clone(), stream));
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
    while connections.join_next().await.is_some() {}
}

async fn serve_connection(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(|request| answer(shared.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
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

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
