//! The receiver in a plain hyper server, next to a page of the application.
//!
//! ```sh
//! HEYGEN_WEBHOOK_SECRET=whsec_test cargo run --example hyper
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::convert::Infallible;
use std::env;

use bytes::Bytes;
use heygen_inbox::MemoryInbox;
use heygen_receiver::{Delivery, Dispatcher, Receiver, Secret};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

async fn route(
    request: Request<Incoming>,
    receiver: Receiver<MemoryInbox>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = match request.uri().path() {
        // Probes and deliveries: the receiver answers every method.
        "/hooks/video" | "/hooks/video/" => return Ok(receiver.receive(request).await),
        "/" => Response::new(Full::from("hello\n")),
        _ => Response::new(Full::default()),
    };
    if request.uri().path() != "/" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let secret = Secret::new(env::var("HEYGEN_WEBHOOK_SECRET")?)?;
    // Loses deliveries when the process ends; `heygen_inbox::sqlite::SqliteInbox` does not.
    let inbox = MemoryInbox::new();
    let receiver = Receiver::mounted(secret, inbox.clone());
    let handler = async |delivery: Delivery| {
        println!("{} {}", delivery.event_type().unwrap_or("?"), delivery.id());
    };
    tokio::spawn(Dispatcher::new(inbox, handler).run(std::future::pending()));

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/hooks/video", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let receiver = receiver.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| route(request, receiver.clone()));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                eprintln!("{error}");
            }
        });
    }
}
