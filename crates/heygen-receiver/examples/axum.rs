//! The receiver in an axum application: a handler with a database handle, and a graceful shutdown.
//!
//! ```sh
//! HEYGEN_WEBHOOK_SECRET=whsec_test cargo run --example axum
//! ```
//!
//! It listens on 127.0.0.1:8080 (or on its argument) and stores deliveries in `heygen-inbox.db`.
//! Ctrl-C ends it after the requests and handlers in progress.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::HashMap;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use heygen_inbox::Inbox as _;
use heygen_inbox::sqlite::SqliteInbox;
use heygen_receiver::{Delivery, Dispatcher, Disposition, Handler, Receiver, Secret};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// In the place of your database: clones share the data.
#[derive(Clone, Default)]
struct Database {
    links: Arc<Mutex<HashMap<String, String>>>,
}

impl Database {
    fn save(&self, video: &str, url: &str) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        // A delivery can be dispatched twice, so saving it twice must be harmless.
        links.insert(video.to_owned(), url.to_owned());
    }

    fn count(&self) -> usize {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.len()
    }
}

struct SaveLinks {
    database: Database,
}

impl Handler for SaveLinks {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let event = match delivery.event() {
            Ok(event) => event,
            Err(error) => return Disposition::dead_letter(error.to_string()),
        };
        println!("{} {}", event.event_name(), delivery.id());
        if let (Some(video), Some(url)) = (event.subject_id(), event.media_url()) {
            self.database.save(video, url);
        }
        Disposition::Ack
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let secret = Secret::new(env::var("HEYGEN_WEBHOOK_SECRET")?)?;
    let inbox = SqliteInbox::open("heygen-inbox.db")?;
    let database = Database::default();

    let handler = SaveLinks {
        database: database.clone(),
    };
    let (stop, mut stopping) = watch::channel(false);
    let dispatcher = tokio::spawn(Dispatcher::new(inbox.clone(), handler).run(async move {
        // An error means that `stop` is gone, which is the end too.
        let _ = stopping.wait_for(|stop| *stop).await;
    }));

    let count = async |State(database): State<Database>| format!("{} links\n", database.count());
    let app = Router::new()
        .route("/", get(count))
        .with_state(database)
        .route_service("/hooks/video", Receiver::mounted(secret, inbox.clone()));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/hooks/video", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;

    // After the server, so that the dispatcher sees everything that was stored.
    stop.send(true)?;
    dispatcher.await?;
    inbox.close().await?;
    println!("stopped");
    Ok(())
}
