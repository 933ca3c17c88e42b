//! [`keep_running`]: the tasks beside an inbox.

use std::time::Duration;

/// Runs a task beside the inbox to its end, and starts it again where it panics: without it the
/// inbox would only seem well.
pub(super) fn keep_running<F>(name: &'static str, task: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Err(error) = tokio::spawn(task()).await {
            if error.is_cancelled() {
                return;
            }
            tracing::error!(%error, task = name, "a task of the inbox panicked; starting it again");
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
    async fn task_that_panics_is_started_again_and_one_that_ends_is_not() {
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
