//! [`Tasks`]: what a process consists of. None of it may end before it is told to stop, for
//! whatever reason, without anyone noticing.

use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::failure::Failure;
use crate::process::signals::until_true;

#[derive(Debug)]
pub(crate) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
pub(crate) struct EndedEarly {
    pub(crate) name: &'static str,
    why: String,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            set: JoinSet::new(),
            names: HashMap::new(),
            stop: watch::Sender::new(false),
        }
    }

    /// Resolves when they are to stop.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        until_true(self.stop.subscribe())
    }

    /// One that ends by itself once it is to stop.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let id = self.set.spawn(task).id();
        self.names.insert(id, name);
    }

    /// One that may be dropped at any moment.
    pub(crate) fn spawn_endless(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stopped = self.stopped();
        self.spawn(name, async {
            tokio::select! {
                () = stopped => {}
                () = task => {}
            }
        });
    }

    /// Returns when one ends before it is told to.
    pub(crate) async fn ended_early(&mut self) -> EndedEarly {
        let Some(ended) = self.set.join_next_with_id().await else {
            return pending().await;
        };
        let (name, failed) = self.ended(ended);
        let why = failed.map_or_else(String::new, |error| format!(": {error}"));
        tracing::error!("the {name} ended unexpectedly{why}");
        EndedEarly { name, why }
    }

    /// Tells them to stop and waits for that, so long at the most: what has not ended then is
    /// dropped.
    ///
    /// # Errors
    ///
    /// When one panicked or did not end in time.
    pub(crate) async fn stop(mut self, within: Duration) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let mut panicked = None;
        let all_ended = async {
            while let Some(ended) = self.set.join_next_with_id().await {
                if let (name, Some(error)) = self.ended(ended) {
                    tracing::error!(%error, "the {name} failed at the end");
                    let failure = anyhow::anyhow!("the {name} failed at the end: {error}");
                    panicked.get_or_insert(Failure::from(failure));
                }
            }
        };
        if tokio::time::timeout(within, all_ended).await.is_err() {
            let names: Vec<_> = self.names.values().copied().collect();
            let names = names.join(", ");
            tracing::error!("not waiting any longer than {within:?} for: {names}");
            return Err(anyhow::anyhow!("did not end in time: {names}").into());
        }
        panicked.map_or(Ok(()), Err)
    }

    /// The name of one that has ended, which is not waited for again, and why it failed.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) -> (&'static str, Option<JoinError>) {
        let (id, failed) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        (self.names.remove(&id).unwrap_or("task"), failed)
    }
}

impl From<EndedEarly> for Failure {
    fn from(EndedEarly { name, why }: EndedEarly) -> Self {
        Self::Failed(anyhow::anyhow!("the {name} ended unexpectedly{why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    /// What is said of a task that ends while another goes on.
    async fn check(task: impl Future<Output = ()> + Send + 'static, expected: &str) {
        let mut tasks = Tasks::new();
        tasks.spawn("other part", tasks.stopped());
        tasks.spawn_endless("first part", task);
        let ended = tokio::time::timeout(Duration::from_secs(60), tasks.ended_early()).await;
        let ended = ended.expect("it is noticed");
        assert_eq!(ended.name, "first part");
        let said = Failure::from(ended).to_string();
        assert!(
            said.starts_with("the first part ended") && said.contains(expected),
            "{said}"
        );
        tasks.stop(SOON).await.expect("the other one ends");
    }

    #[tokio::test]
    async fn task_that_ends_early_is_reported() {
        check(async {}, "ended unexpectedly").await;
        check(
            async { panic!("a fault of the test") },
            "a fault of the test",
        )
        .await;
    }

    #[tokio::test]
    async fn tasks_that_go_on_are_not_reported_and_stop_when_told() {
        let mut tasks = Tasks::new();
        let waited = tokio::time::timeout(SOON, tasks.ended_early()).await;
        waited.expect_err("there is none to end");
        tasks.spawn("a", tasks.stopped());
        tasks.spawn_endless("b", pending());
        let waited = tokio::time::timeout(SOON, tasks.ended_early()).await;
        waited.expect_err("none has ended");
        tasks.stop(Duration::from_secs(60)).await.expect("they end");
    }

    #[tokio::test]
    async fn hanging_or_panicking_task_is_a_failure_at_the_end() {
        let mut tasks = Tasks::new();
        tasks.spawn("one that ends", tasks.stopped());
        tasks.spawn("one that hangs", pending());
        let failure = tasks.stop(SOON).await.expect_err("it hangs").to_string();
        assert_eq!(failure, "did not end in time: one that hangs");

        let mut tasks = Tasks::new();
        let stopped = tasks.stopped();
        tasks.spawn("one that panics", async {
            stopped.await;
            panic!("a fault of the test");
        });
        let failure = tasks.stop(Duration::from_secs(60)).await;
        let failure = failure.expect_err("it panicked").to_string();
        assert!(
            failure.contains("one that panics") && failure.contains("a fault of the test"),
            "{failure}"
        );
    }
}
