//! [`Jobs`]: what takes longer than a request may, such as a replay of many deliveries. One at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use maud::{Markup, html};

use crate::problem::Problem;
use crate::words::{number, span};

/// The job that runs, or that ran last.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<Option<Arc<Job>>>);

/// One of them: how far it has come, and how it ended.
#[derive(Debug)]
pub(crate) struct Job {
    /// `None` when no one has counted them.
    total: Option<u64>,
    /// By what came of them, in an order of the job's own.
    counts: [AtomicU64; 3],
    begun_at: Instant,
    is_stopped: AtomicBool,
    ended: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Jobs {
    pub(crate) fn last(&self) -> Option<Arc<Job>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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
            counts: Default::default(),
            begun_at: Instant::now(),
            is_stopped: AtomicBool::new(false),
            ended: Mutex::new(None),
        });
        {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if last.as_ref().is_some_and(|job| job.is_running()) {
                let text = "Another one runs. Wait for its end, or stop it.";
                return Err(Problem::new(StatusCode::CONFLICT, text));
            }
            *last = Some(Arc::clone(&job));
        }
        let work = work(Arc::clone(&job));
        let working = tokio::spawn(async move {
            // A panic ends it too.
            let ended = tokio::spawn(work).await;
            let ended = ended.unwrap_or_else(|error| {
                Err(Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    error.to_string(),
                ))
            });
            let ended = ended.map_err(|problem| problem.text);
            *job.ended.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), ended));
        });
        // It goes on all the same.
        let _ = tokio::time::timeout(SOON, working).await;
        Ok(())
    }

    pub(crate) fn stop(&self) {
        if let Some(job) = self.last() {
            let ended = job.ended.lock().unwrap_or_else(PoisonError::into_inner);
            // What has ended by itself was not stopped.
            if ended.is_none() {
                job.is_stopped.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Job {
    pub(crate) fn add(&self, place: usize, count: usize) {
        self.counts[place].fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> [u64; 3] {
        [0, 1, 2].map(|place| self.counts[place].load(Ordering::Relaxed))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn is_running(&self) -> bool {
        let ended = self.ended.lock();
        ended.unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Waits until so many in a second are no more than were asked for.
    pub(crate) async fn pace(&self, per_second: u32) {
        let done: u64 = self.counts().iter().sum();
        let due = Duration::from_secs_f64(done as f64 / f64::from(per_second.max(1)));
        tokio::time::sleep(due.saturating_sub(self.begun_at.elapsed())).await;
    }

    /// How far it has come, with a button that stops it; or what came of it.
    pub(crate) fn markup(&self, stop: &str, outcome: &Markup) -> Markup {
        let ended = self.ended.lock();
        let ended = ended.unwrap_or_else(PoisonError::into_inner).clone();
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
