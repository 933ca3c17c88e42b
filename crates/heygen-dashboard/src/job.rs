//! [`Jobs`]: what takes longer than a request may, such as a replay of many deliveries. One at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use maud::{Markup, html};

use crate::problem::Problem;
use crate::words::{number, span};

/// The job that runs, or that ran last.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<Option<Arc<Job>>>);

#[derive(Debug)]
pub(crate) struct Job {
    /// `None` when no one has counted them.
    total: Option<u64>,
    begun_at: Instant,
    progress: Mutex<Progress>,
}

/// How far it has come, and how it ended.
#[derive(Debug, Default)]
struct Progress {
    /// By what came of them, in an order of the job's own.
    counts: [u64; 3],
    is_stopped: bool,
    ended: Option<(Instant, Result<(), String>)>,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn last(&self) -> Option<Arc<Job>> {
        self.lock().clone()
    }

    /// Does this in the background. Returns when it has ended, or soon; fails while another runs.
    pub(crate) async fn start<F>(
        &self,
        total: Option<u64>,
        work: impl FnOnce(Arc<Job>) -> F,
    ) -> Result<(), Problem>
    where
        F: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        let job = Arc::new(Job {
            total,
            begun_at: Instant::now(),
            progress: Mutex::default(),
        });
        {
            let mut last = self.lock();
            if last.as_ref().is_some_and(|job| job.is_running()) {
                let text = "Another one runs. Wait for its end, or stop it.";
                return Err(Problem::new(StatusCode::CONFLICT, text));
            }
            *last = Some(Arc::clone(&job));
        }
        let work = work(Arc::clone(&job));
        let working = tokio::spawn(async move {
            // A panic ends it too.
            let ended = match tokio::spawn(work).await {
                Ok(ended) => ended.map_err(|problem| problem.text),
                Err(panic) => Err(panic.to_string()),
            };
            job.lock().ended = Some((Instant::now(), ended));
        });
        // It goes on all the same.
        let _ = tokio::time::timeout(SOON, working).await;
        Ok(())
    }

    pub(crate) fn stop(&self) {
        if let Some(job) = self.last() {
            let mut progress = job.lock();
            // What has ended by itself was not stopped.
            progress.is_stopped |= progress.ended.is_none();
        }
    }
}

impl Job {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, result: usize, count: usize) {
        self.lock().counts[result] += count as u64;
    }

    pub(crate) fn counts(&self) -> [u64; 3] {
        self.lock().counts
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    pub(crate) fn is_running(&self) -> bool {
        self.lock().ended.is_none()
    }

    /// Waits until so many in a second are no more than were asked for.
    pub(crate) async fn pace(&self, per_second: u32) {
        let done: u64 = self.counts().iter().sum();
        let due = Duration::from_secs_f64(done as f64 / f64::from(per_second.max(1)));
        tokio::time::sleep(due.saturating_sub(self.begun_at.elapsed())).await;
    }

    /// How far it has come, with a button that stops it; or what came of it.
    pub(crate) fn markup(&self, stop: &str, outcome: &Markup) -> Markup {
        let ended = self.lock().ended.clone();
        let done: u64 = self.counts().iter().sum();
        let Some((at, result)) = ended else {
            return html! {
                section.card {
                    p.lead { strong { (number(done)) } @if let Some(total) = self.total { " of " (number(total)) } " done" }
                    @match self.total {
                        Some(total) => progress max=(total.max(1)) value=(done) aria-label="Done" {},
                        None => progress aria-label="Done" {},
                    }
                    form method="post" action=(stop) { button { "Stop" } }
                }
            };
        };
        let when = html! { " " span.hint { (span(at.elapsed())) " ago" } };
        html! {
            @match result {
                Ok(()) => p.notice role="status" { (outcome) @if self.is_stopped() { "; stopped" } "." (when) },
                Err(error) => p.alert role="alert" { (outcome) ", then it failed: " (error) (when) },
            }
        }
    }
}

/// How long a request waits for its end.
const SOON: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_job_runs_at_a_time_and_a_panic_ends_it() {
        let jobs = Jobs::default();
        let panics = jobs.start(Some(1), |job| async move {
            job.add(0, 1);
            assert!(job.is_stopped(), "on purpose");
            Ok(())
        });
        panics.await.unwrap();
        let last = jobs.last().unwrap();
        assert!(!last.is_running());
        assert_eq!(last.counts(), [1, 0, 0]);
        let shown = last.markup("/stop", &html! { "1 done" }).into_string();
        assert!(shown.contains("1 done, then it failed"), "{shown}");
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let waits = jobs.start(None, |_| async move {
            let _ = ended.await;
            Ok(())
        });
        let another = async {
            tokio::task::yield_now().await;
            let refused = jobs.start(Some(1), |_| async { Ok(()) });
            let refused = refused.await.unwrap_err();
            assert_eq!(refused.status, StatusCode::CONFLICT);
            end.send(()).unwrap();
        };
        let (waited, ()) = tokio::join!(waits, another);
        waited.unwrap();
        assert!(!jobs.last().unwrap().is_running());
    }

    #[tokio::test]
    async fn job_that_has_ended_is_not_stopped() {
        let jobs = Jobs::default();
        jobs.start(Some(0), |_| async { Ok(()) }).await.unwrap();
        let last = jobs.last().unwrap();
        assert!(!last.is_running());
        jobs.stop();
        let shown = last.markup("/stop", &html! { "0 done" }).into_string();
        assert!(!shown.contains("stopped"), "{shown}");
    }
}
