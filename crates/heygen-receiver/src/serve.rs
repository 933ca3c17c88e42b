//! [`serve`]: everything in one call.

use std::convert::Infallible;
use std::future::pending;
use std::io;

use heygen_inbox::Inbox;
use tokio::net::ToSocketAddrs;
use tokio::sync::oneshot;

use crate::{ActiveSecrets, Dispatcher, Handler, Receiver, Server};

/// Listens on `address`, keeps what HeyGen sends to `/webhooks/heygen` in `inbox`, and gives it to `handler` until that says
/// done. Runs until the server fails or the future is dropped; for a graceful end put [`Server`] and [`Dispatcher`] together
/// yourself, as this function does.
///
/// # Errors
///
/// When `address` cannot be listened on.
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
    let server = Server::bind(address).await?;
    let receiver = Receiver::new(secrets, inbox.clone());
    let (server_is_up, is_down) = oneshot::channel::<Infallible>();
    let dispatcher = tokio::spawn(Dispatcher::new(inbox, handler).run(async {
        // Nothing is ever sent: this resolves when the server's side is gone, dropped in the middle or not.
        let _ = is_down.await;
    }));
    server.serve(receiver, pending()).await;
    // Not reached while the server is up: its shutdown never comes.
    drop(server_is_up);
    dispatcher.await.map_err(io::Error::other)
}
