//! [`timeout`]: limits how long something takes while this process runs.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::error::Elapsed;

/// As [`tokio::time::timeout`], but time in which the process was stopped (SIGSTOP, a paused
/// container or machine) does not count: what is awaited may have ended meanwhile, or was stopped
/// too.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut left = limit;
    loop {
        let step = left.min(STEP);
        let begun_at = Instant::now();
        let elapsed = match tokio::time::timeout(step, &mut future).await {
            Ok(output) => return Ok(output),
            Err(elapsed) => elapsed,
        };
        if begun_at.elapsed() < step + MAX_DELAY {
            left -= step;
        }
        if left.is_zero() {
            return Err(elapsed);
        }
    }
}

const STEP: Duration = Duration::from_secs(1);

/// A timer that is later than this was stopped; a busy machine delays it less.
const MAX_DELAY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn limit_ends_what_takes_longer() {
        for limit in [0, 10, 999, 1000, 2500, 60_000] {
            let limit = Duration::from_millis(limit);
            let begun_at = tokio::time::Instant::now();
            assert!(timeout(limit, pending::<()>()).await.is_err());
            // The clock has milliseconds.
            let late = begun_at.elapsed().checked_sub(limit).expect("not before");
            assert!(
                late < Duration::from_millis(100),
                "{late:?} after {limit:?}"
            );
        }
        let soon = tokio::time::sleep(Duration::from_millis(2400));
        assert!(timeout(Duration::from_millis(2500), soon).await.is_ok());
    }

    /// The runtime is blocked as a stopped process is, and the result comes right after that.
    #[tokio::test]
    async fn time_in_which_the_process_was_stopped_does_not_count() {
        let (result, waits) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            std::thread::sleep(MAX_DELAY + 2 * STEP);
            tokio::time::sleep(Duration::from_millis(10)).await;
            result.send(()).expect("still awaited");
        });
        assert!(timeout(STEP, waits).await.is_ok());
    }
}
