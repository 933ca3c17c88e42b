//! Stores what HeyGen's event log has and an inbox lacks: `cargo run --example backfill --
//! inbox.db`, with the key in `HEYGEN_API_KEY`. It may run beside the server that fills the inbox.

use heygen_api::{Client, Credentials};
use heygen_connect::{Backfill, BackfillOutcome, BackfillProgress};
use heygen_inbox::sqlite::SqliteInbox;

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example for the command line"
)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name the inbox")?;
    let client = Client::new(Credentials::api_key(std::env::var("HEYGEN_API_KEY")?))?;
    let inbox = SqliteInbox::open_beside(path)?;

    let mut backfill = Backfill::new(client, inbox);
    let mut new = 0;
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let on_progress = |progress: &BackfillProgress| {
        new = progress.new;
        eprintln!(
            "page {}: {new} new, {} known",
            progress.pages, progress.known
        );
    };
    match backfill.run(stop, on_progress).await? {
        BackfillOutcome::Complete => println!("stored {new} missed events"),
        _ => println!("stopped after {new} missed events; the next run continues"),
    }
    Ok(())
}
