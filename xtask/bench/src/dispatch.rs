//! Dispatching: how fast a backlog is given to a handler that does nothing, and to the default one of `serve`, which prints.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Counts, Inbox as _, InboxAdmin as _};
use heygen_receiver::{Delivery, DispatchOptions, Dispatcher};
use xtask_harness::report::Report;
use xtask_harness::server::Output;

use crate::backlog;
use crate::ground::{Ground, kept};
use crate::rounds::{self, Column, Measured, Rows};

pub(super) const WHAT: &str =
    "deliveries dispatched of a backlog and recorded as done, by how many are dispatched at a time";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let filled = backlog::filled(ground, ground.size(1_000_000, 200_000))?;
    let home = ground.home("dispatch")?;
    let mut rows = Rows::new(1, &["handler", "at a time"], &COLUMNS);
    for concurrency in CONCURRENCIES {
        let (filled, file) = (&filled, home.inbox());
        rows.add(&["does nothing", concurrency], move || {
            // The first begins each round with a full backlog, and the others go on with what it leaves.
            if concurrency == CONCURRENCIES[0] {
                backlog::copy(filled, &file)?;
            }
            let seconds = ground.size(2.0, 0.5);
            Ok(vec![(
                DONE,
                dispatch(&file, concurrency.parse()?, seconds)?,
            )])
        });
    }
    rows.add(&["`serve`, printing to a file", "16"], || {
        print_all(ground, &filled)
    });
    let mut report = rounds::report(ground.options.rounds(), &mut [rows]);
    report.note("done is what the file says is done; nothing is received meanwhile");
    Ok(report)
}

/// Dispatches for so many seconds to a handler that does nothing. What is counted is what the file says was done, not how often the
/// handler was called.
#[tokio::main]
async fn dispatch(file: &Path, concurrency: usize, seconds: f64) -> Result<f64> {
    let inbox = SqliteInbox::open(file).context("open the inbox")?;
    let before = inbox.counts().await.context("count")?;
    let mut options = DispatchOptions::default();
    options.concurrency = concurrency;
    let handler = |_: Delivery| std::future::ready(());
    let clock = Instant::now();
    let over = tokio::time::sleep(Duration::from_secs_f64(seconds));
    // On a task, as in `serve`.
    tokio::spawn(Dispatcher::with(inbox.clone(), handler, options).run(over))
        .await
        .context("dispatch")?;
    let took = clock.elapsed();
    let after = inbox.counts().await.context("count")?;
    inbox.close().await.context("close the inbox")?;
    if after.pending == 0 {
        bail!("the backlog was too small: it came to its end while it was measured");
    }
    let left = |counts: Counts| counts.pending + counts.claimed;
    let done = left(before).saturating_sub(left(after));
    Ok(done as f64 / took.as_secs_f64())
}

/// `serve` on a backlog, with its default handler.
fn print_all(ground: &Ground, filled: &Path) -> Measured {
    let home = ground.home("print")?;
    backlog::copy(filled, &home.inbox())?;
    let serve = ["serve", "--listen"];
    let server = home.begin(home.command(), serve, home.inbox(), &[], Output::Kept)?;
    let clock = Instant::now();
    thread::sleep(ground.size(Duration::from_secs(3), Duration::from_millis(500)));
    let took = clock.elapsed();
    drop(server);
    if kept(&home, home.inbox(), &["pending"])? == 0 {
        bail!("the backlog was too small: it came to its end while it was measured");
    }
    let done = kept(&home, home.inbox(), &["acknowledged"])?;
    Ok(vec![(DONE, done as f64 / took.as_secs_f64())])
}

const CONCURRENCIES: [&str; 4] = ["1", "16", "64", "256"];
const DONE: &str = "done/s";
const COLUMNS: [Column; 1] = [Column::Median(DONE, 0)];

#[cfg(test)]
mod tests {
    use tokio::runtime::Runtime;

    use super::*;

    #[test]
    fn what_is_recorded_done_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inbox.db");
        backlog::fill(&file, 0..50).unwrap();
        // No time at all: what the first claim took is dispatched, and the rest stays.
        let rate = dispatch(&file, 4, 0.0).unwrap();
        let inbox = SqliteInbox::open(&file).unwrap();
        let counts = Runtime::new().unwrap().block_on(inbox.counts()).unwrap();
        assert!((1..=50).contains(&counts.pending), "{counts:?}");
        assert_eq!(rate > 0.0, counts.pending < 50);
    }
}
