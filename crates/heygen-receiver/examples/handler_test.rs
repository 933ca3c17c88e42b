//! How to test a handler: without a server, a dispatcher or a sleep.
//!
//! `cargo run --example handler_test` runs the checks that would be `#[tokio::test]`s in your
//! crate.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::SystemTime;

use heygen_events::EventType;
use heygen_inbox::{ClaimRequest, Inbox as _, MemoryInbox, NewDelivery, Source};
use heygen_receiver::{Delivery, Disposition};
use heygen_testkit::EventBuilder;

/// The handler under test.
async fn handle(delivery: Delivery) -> Disposition {
    match delivery.event() {
        Ok(event) if event.is_missing_media() => Disposition::retry("no link yet"),
        Ok(_) => Disposition::Ack,
        Err(error) => Disposition::dead_letter(error.to_string()),
    }
}

/// A delivery of this body, as a dispatcher would pass it to a handler.
async fn delivery(body: impl Into<bytes::Bytes>) -> Result<Delivery, Box<dyn std::error::Error>> {
    let (inbox, now) = (MemoryInbox::new(), SystemTime::now());
    let new = NewDelivery::new(now, Source::Webhook, Vec::new(), body.into());
    inbox.append(new).await?;
    let claim = inbox.claim(ClaimRequest::due(1, now)).await?;
    let claimed = claim.deliveries.into_iter().next();
    Ok(claimed.ok_or("nothing is due")?.into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let video = || EventBuilder::new(EventType::AvatarVideoSuccess);

    let finished = delivery(video().body()).await?;
    assert_eq!(handle(finished).await, Disposition::Ack);

    let without_link = delivery(video().null("url").body()).await?;
    let expected = Disposition::retry("no link yet");
    assert_eq!(handle(without_link).await, expected);

    let unreadable = delivery("not JSON").await?;
    let expected = Disposition::dead_letter("body is not JSON");
    assert_eq!(handle(unreadable).await, expected);

    println!("all checks passed");
    Ok(())
}
