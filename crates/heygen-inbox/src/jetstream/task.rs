//! [`keep_running`]: background tasks of an inbox.

use std::time::Duration;

/// Runs a background task to its end, and restarts it when it panics: without it the inbox would
/// only seem healthy.
pub(super) fn keep_running<F>(name: &'static str, task: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Err(error) = tokio::spawn(task()).await {
            if error.is_cancelled() {
                return;
            }
            tracing::error!(%error, task = name, "a background task of the inbox panicked; restarting it");
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    });
}

const RESTART_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn task_that_panics_is_restarted_and_one_that_ends_is_not() {
        let started = Arc::new(AtomicUsize::new(0));
        let ours = Arc::clone(&started);
        keep_running("test", move || {
            let number = ours.fetch_add(1, Ordering::Relaxed);
            async move { assert!(number >= 2, "a fault of the test") }
        });
        tokio::time::sleep(RESTART_PAUSE * 10).await;
        assert_eq!(started.load(Ordering::Relaxed), 3);
    }
}
