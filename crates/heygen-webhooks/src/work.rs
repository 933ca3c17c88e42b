//! [`Work`]: hands out what is in the inbox and prunes what is finished, until it is told to end.

use heygen_inbox::AttemptResult;
use heygen_receiver::{DispatchOptions, Dispatcher, ObservedAttempt, Observer, Retention};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::handing_out::Built;
use crate::output::tame;
use crate::signals::until_true;
use crate::store::Store;

/// What goes on beside whatever fills the inbox.
pub(crate) struct Work {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    built: Built,
}

impl Work {
    pub(crate) fn start(
        inbox: &Store,
        built: Built,
        mut options: DispatchOptions,
        retention: &Retention,
    ) -> Self {
        let mut work = Self::prune(inbox, built, retention);
        options.observers.add(Teller);
        let dispatcher = Dispatcher::with(inbox.clone(), work.built.handler.clone(), options);
        let stopped = until_true(work.stopped());
        work.tasks.push(tokio::spawn(dispatcher.run(stopped)));
        work
    }

    /// Hands out nothing: others do.
    pub(crate) fn prune(inbox: &Store, built: Built, retention: &Retention) -> Self {
        let (stop, stopped) = watch::channel(false);
        let pruning = retention.clone().run(inbox.clone(), until_true(stopped));
        Self {
            tasks: vec![tokio::spawn(pruning)],
            stop,
            built,
        }
    }

    /// Becomes true when it is told to end: for what is to end with it.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// What is in a handler's hands may end; what was not handed out is handed out after the next start.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        let _ = self.stop.send(true);
        for task in self.tasks {
            task.await?;
        }
        self.built.end().await;
        Ok(())
    }
}

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
                "not handled, to be tried again: {}",
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
