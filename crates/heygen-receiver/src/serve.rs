//! [`serve`]: everything in one call.

use std::convert::Infallible;
use std::future::pending;
use std::io;

use heygen_inbox::Inbox;
use tokio::net::ToSocketAddrs;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::dispatcher::Dispatcher;
use crate::handler::Handler;
use crate::secrets::ActiveSecrets;
use crate::server::Server;
use crate::service::Receiver;

/// Listens on `address`, keeps what HeyGen sends to `/webhooks/heygen` in `inbox`, and gives it to `handler` until that says
/// done. Runs until the server fails or the future is dropped; for a graceful end put [`Server`] and [`Dispatcher`] together
/// yourself, as this function does.
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
    let server = Server::bind(address).await?;
    let receiver = Receiver::new(secrets, inbox.clone());
    let (server_is_up, is_down) = oneshot::channel::<Infallible>();
    let dispatcher = Dispatcher::new(inbox, handler).run(async {
        // Nothing is ever sent: this resolves when the server's side is gone, dropped in the middle or not.
        let _ = is_down.await;
    });
    let mut dispatcher = tokio::spawn(dispatcher);
    // Its shutdown never comes: should it end all the same, the dispatcher does too.
    let mut server = AbortOnDrop(tokio::spawn(server.serve(receiver, pending())));
    let (part, ended) = tokio::select! {
        ended = &mut server.0 => ("server", ended),
        ended = &mut dispatcher => ("dispatcher", ended),
    };
    drop(server_is_up);
    Err(match ended {
        Ok(()) => io::Error::other(format!("the {part} ended")),
        Err(error) => io::Error::other(format!("the {part} ended: {error}")),
    })
}

/// The server ends with the future of [`serve`].
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
