//! [`Work`]: hands out what is in the inbox and prunes what is finished, until it is told to end.

use std::time::Duration;

use heygen_inbox::{AttemptResult, BoxInbox, Inbox as _};
use heygen_receiver::{DispatchOptions, Dispatcher, ObservedAttempt, Observer, Retention};

use crate::dispatch::handing_out::Built;
use crate::failure::Failure;
use crate::output::tame;
use crate::process::tasks::Tasks;

/// What goes on beside whatever fills the inbox.
pub(crate) struct Work {
    pub(crate) tasks: Tasks,
    built: Built,
}

impl Work {
    pub(crate) fn start(
        inbox: &BoxInbox,
        built: Built,
        mut options: DispatchOptions,
        retention: &Retention,
    ) -> Self {
        let mut work = Self::prune(inbox, built, retention);
        options.observers.add(Teller);
        let dispatcher = Dispatcher::with(inbox.clone(), work.built.handler.clone(), options);
        let stopped = work.tasks.stopped();
        work.tasks.spawn("dispatcher", dispatcher.run(stopped));
        work
    }

    /// Hands out nothing: others do.
    pub(crate) fn prune(inbox: &BoxInbox, built: Built, retention: &Retention) -> Self {
        let mut tasks = Tasks::new();
        let pruning = retention.clone().run(inbox.clone(), tasks.stopped());
        tasks.spawn("retention", pruning);
        tasks.spawn_endless("inbox", inbox.closed());
        Self { tasks, built }
    }

    /// What is in a handler's hands may end; what was not handed out is handed out after the next start.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        let ended = self.tasks.stop(STOP_TIME).await;
        self.built.end().await;
        ended
    }
}

/// More than the dispatcher takes, which waits for a claim and for handlers, ten seconds each.
const STOP_TIME: Duration = Duration::from_secs(30);

/// Tells the log of attempts that did not end well.
struct Teller;

impl Observer for Teller {
    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        let event_type = attempt.event_type.map(tame);
        let event_type = event_type.as_deref().unwrap_or("(unreadable)");
        match attempt.result {
            AttemptResult::Retry => tracing::warn!(
                delivery = %attempt.id,
                attempt = attempt.number,
                event_type,
                "not handled, to be tried again {}: {}",
                when_again(attempt),
                tame(attempt.detail.unwrap_or_default())
            ),
            AttemptResult::Dead => tracing::error!(
                delivery = %attempt.id,
                attempt = attempt.number,
                event_type,
                "given up; `inbox replay {}` hands it out anew: {}",
                attempt.id,
                tame(attempt.detail.unwrap_or_default())
            ),
            _ => tracing::debug!(
                delivery = %attempt.id,
                attempt = attempt.number,
                event_type,
                result = attempt.result.as_str(),
                "handled"
            ),
        }
    }
}

/// `in 10s (attempt 2 of 15)`.
fn when_again(attempt: &ObservedAttempt<'_>) -> String {
    let wait = attempt.retry_in.unwrap_or_default();
    let step: u128 = if wait < Duration::from_secs(10) {
        100
    } else {
        1000
    };
    let millis = (wait.as_millis() + step / 2) / step * step;
    let wait = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    let which = match (attempt.counted, attempt.max_attempts) {
        (Some(number), Some(most)) => format!("attempt {number} of {most}"),
        (Some(number), None) => format!("attempt {number}"),
        (None, _) => "this attempt does not count".to_owned(),
    };
    format!("in {wait:?} ({which})")
}

#[cfg(test)]
mod tests {
    use heygen_inbox::sqlite::SqliteInbox;

    use super::*;

    /// What is noticed when the thread that writes the inbox ends.
    async fn check(start: impl FnOnce(&BoxInbox, Built) -> Work) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = SqliteInbox::open(folder.path().join("inbox.db")).expect("an inbox");
        let inbox = BoxInbox::new(inbox);
        let mut work = start(&inbox, Built::ignoring());
        let waited = tokio::time::timeout(Duration::from_millis(50), work.tasks.ended_early());
        waited.await.expect_err("all goes well");
        inbox.close().await.expect("closed");
        let ended = tokio::time::timeout(Duration::from_secs(60), work.tasks.ended_early());
        assert_eq!(ended.await.expect("it is noticed").name, "inbox");
        work.end().await.expect("the rest ends");
    }

    #[tokio::test]
    async fn end_of_the_writer_is_noticed() {
        let retention = Retention::default();
        check(|inbox, built| Work::prune(inbox, built, &retention)).await;
        let options = DispatchOptions::default();
        check(|inbox, built| Work::start(inbox, built, options, &retention)).await;
    }
}
