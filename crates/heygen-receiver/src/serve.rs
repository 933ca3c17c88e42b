//! [`serve`] and [`serve_until`]: receiver, server and dispatcher in one call.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::pin::pin;

use heygen_inbox::Inbox;
use tokio::net::ToSocketAddrs;
use tokio::sync::oneshot;
use tokio::task::JoinError;

use crate::dispatcher::{AbortOnDrop, Dispatcher};
use crate::handler::Handler;
use crate::secrets::ActiveSecrets;
use crate::server::Server;
use crate::service::Receiver;

/// Listens on `address`, stores what HeyGen sends to `/webhooks/heygen` in `inbox`, and dispatches
/// it to `handler` until that acknowledges it.
///
/// Runs until the server fails or the future is dropped. [`serve_until`] ends gracefully.
///
/// # Errors
///
/// When `address` cannot be listened on, and when the server or the dispatcher ends, which they do
/// only by a panic.
pub async fn serve<I, H>(
    address: impl ToSocketAddrs,
    secrets: impl Into<ActiveSecrets>,
    inbox: I,
    handler: H,
) -> io::Result<()>
where
    I: Inbox + Clone,
    H: Handler,
{
    serve_until(address, secrets, inbox, handler, pending()).await
}

/// Does what [`serve`] does until `shutdown` resolves, and then ends gracefully.
///
/// First the server: it accepts nothing new and answers the requests that are being received, for
/// up to 20 s. Then the dispatcher: it waits for running handlers for up to 10 s; the deliveries of
/// handlers that take longer are dispatched again after the next start. Last it closes the inbox.
///
/// # Errors
///
/// As [`serve`], and when the inbox cannot be closed.
///
/// # Examples
///
/// ```no_run
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::{Delivery, Secret, serve_until};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = Secret::new(std::env::var("HEYGEN_WEBHOOK_SECRET")?)?;
/// let handler = async |delivery: Delivery| println!("{}", delivery.id());
/// let shutdown = async {
///     // Ends at once if the signal cannot be waited for.
///     let _ = tokio::signal::ctrl_c().await;
/// };
/// serve_until("127.0.0.1:8080", secret, MemoryInbox::new(), handler, shutdown).await?;
/// # Ok(())
/// # }
/// ```
pub async fn serve_until<I, H>(
    address: impl ToSocketAddrs,
    secrets: impl Into<ActiveSecrets>,
    inbox: I,
    handler: H,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    I: Inbox + Clone,
    H: Handler,
{
    let server = Server::bind(address).await?;
    let receiver = Receiver::new(secrets, inbox.clone());
    let dispatcher = Dispatcher::new(inbox.clone(), handler);
    // Each part stops when its sender is dropped, also when this future is dropped.
    let (stop_server, server_stops) = oneshot::channel::<Infallible>();
    let (stop_dispatcher, dispatcher_stops) = oneshot::channel::<Infallible>();
    let mut dispatcher = tokio::spawn(dispatcher.run(async {
        let _ = dispatcher_stops.await;
    }));
    let mut server = AbortOnDrop(tokio::spawn(server.serve(receiver, async {
        let _ = server_stops.await;
    })));
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => {}
        ended = &mut server.0 => return Err(ended_early("server", ended)),
        ended = &mut dispatcher => return Err(ended_early("dispatcher", ended)),
    }
    drop(stop_server);
    let server = (&mut server.0).await;
    // Only now, so that what the server stored last is dispatched too.
    drop(stop_dispatcher);
    let dispatcher = dispatcher.await;
    server.and(dispatcher).map_err(io::Error::other)?;
    inbox.close().await.map_err(io::Error::other)
}

fn ended_early(part: &str, ended: Result<(), JoinError>) -> io::Error {
    io::Error::other(match ended {
        Ok(()) => format!("the {part} ended"),
        Err(error) => format!("the {part} ended: {error}"),
    })
}
