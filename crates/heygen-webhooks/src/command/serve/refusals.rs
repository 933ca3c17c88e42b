//! Keeps `doctor` informed of what the receiver refuses.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use heygen_inbox::sqlite::SqliteInbox;
use heygen_receiver::Receiver;

use crate::refusal_file::{RefusalFile, Refused};

/// Writes the receiver's notes down whenever there are new ones, until `stop` resolves. What an earlier process noted is
/// kept before them.
pub(super) async fn write_down(
    receiver: Receiver<SqliteInbox>,
    file: RefusalFile,
    stop: impl Future<Output = ()>,
) {
    let before = file.read().unwrap_or_default();
    let mut written = Vec::new();
    let mut stop = pin!(stop);
    let mut is_last = false;
    while !is_last {
        tokio::select! {
            () = &mut stop => is_last = true,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let notes: Vec<Refused> = receiver.refusals().iter().map(Refused::from).collect();
        if notes == written {
            continue;
        }
        let all = [before.as_slice(), &notes].concat();
        if let Err(error) = file.write(&all) {
            tracing::warn!("what was refused could not be noted for `doctor`: {error:#}");
        }
        written = notes;
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(500);
