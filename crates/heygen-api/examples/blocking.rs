//! Lists the endpoints from a program that is not async.
//!
//! `HEYGEN_API_KEY=… cargo run -p heygen-api --example blocking`, with `HEYGEN_BASE_URL` for
//! another server.
//!
//! A runtime on the calling thread is all that is needed: keep one, and wrap each operation in
//! `block_on`.

use std::error::Error;

use heygen_api::{Client, Credentials};

#[expect(clippy::print_stdout, reason = "it is a program")]
fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut builder = Client::builder(Credentials::api_key(std::env::var("HEYGEN_API_KEY")?));
    if let Ok(base_url) = std::env::var("HEYGEN_BASE_URL") {
        builder = builder.base_url(base_url);
    }
    let client = builder.build()?;

    let endpoints = runtime.block_on(client.v3().endpoints_stream().try_collect())?;
    for endpoint in endpoints {
        println!("{} {}", endpoint.endpoint_id, endpoint.url);
    }
    Ok(())
}
