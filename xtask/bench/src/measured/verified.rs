//! Verified and parsed, but not kept: everything `serve` does to a request, with [`Nowhere`] in place of the inbox file.

use std::future::pending;
use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::{Context, Result};
use heygen_inbox::{
    Appended, Claim, ClaimRequest, Completion, DeliveryId, Inbox, InboxError, NewDelivery,
};
use heygen_receiver::{Metrics, Receiver, ReceiverOptions, Secret, Server};
use xtask_harness::event::SECRET;

/// Listens until the process is ended.
#[tokio::main]
pub(super) async fn run(address: SocketAddr) -> Result<()> {
    let secret = Secret::new(SECRET).context("a secret")?;
    let mut options = ReceiverOptions::default();
    options.observers.add(Metrics::new(SystemTime::now()));
    let receiver = Receiver::with(secret, Nowhere, options);
    let server = Server::bind(address).await.context("listen")?;
    // On a task as in `serve`, so that accepting is done by the same threads.
    tokio::spawn(server.serve(receiver, pending()))
        .await
        .context("serve")
}

/// Says that it has kept everything, and keeps nothing.
#[derive(Clone, Copy, Debug)]
struct Nowhere;

impl Inbox for Nowhere {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        // What it was read into is thrown away here, and not by the compiler.
        drop(std::hint::black_box(delivery));
        Ok(Appended::New(DeliveryId::new(1, 1)))
    }

    async fn claim(&self, _: ClaimRequest) -> Result<Claim, InboxError> {
        Ok(Claim::default())
    }

    async fn complete(&self, _: Completion) -> Result<(), InboxError> {
        Ok(())
    }

    async fn wait_for_append(&self) {
        pending::<()>().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        Ok(())
    }
}
