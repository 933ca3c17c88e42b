//! [`Blocking`]: an inbox on streams, for commands that ask one thing after the other.

use std::fmt;
use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use heygen_inbox::jetstream::{Address, JetStreamInbox};
use heygen_inbox::{Inbox as _, InboxError, InboxErrorKind};
use tokio::runtime::{Builder, Runtime};

use crate::store::nats::Nats;

/// An inbox on streams with a runtime of its own. Asking blocks the thread for as long as the servers take, also where that thread
/// runs other tasks, as asking a file does.
pub(crate) struct Blocking {
    /// Taken away at the end alone.
    runtime: Option<Runtime>,
    inbox: JetStreamInbox,
}

/// Whether it is made where there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    Make,
    Refuse,
}

impl Blocking {
    pub(super) fn open(
        address: &Address,
        nats: &Nats,
        missing: Missing,
    ) -> Result<Self, InboxError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| {
                InboxError::new(InboxErrorKind::Storage, "cannot start a thread").with_source(error)
            })?;
        let (address, mut options) = (address.clone(), nats.options.clone());
        options.connect_time = CONNECT_TIME;
        let inbox = wait(&runtime, async move {
            match missing {
                Missing::Make => JetStreamInbox::open(&address, options).await,
                Missing::Refuse => JetStreamInbox::open_existing(&address, options).await,
            }
        })?;
        Ok(Self {
            runtime: Some(runtime),
            inbox,
        })
    }

    /// What the inbox answers.
    pub(super) fn ask<T, F>(
        &self,
        question: impl FnOnce(JetStreamInbox) -> F,
    ) -> Result<T, InboxError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InboxError>> + Send + 'static,
    {
        match &self.runtime {
            Some(runtime) => wait(runtime, question(self.inbox.clone())),
            None => Err(ended()),
        }
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        // What was said last is on its way to the servers.
        let _ = self.ask(|inbox| async move { inbox.close().await });
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads is not allowed where other tasks run.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking")
            .field("inbox", &self.inbox)
            .finish_non_exhaustive()
    }
}

fn wait<T, F>(runtime: &Runtime, future: F) -> Result<T, InboxError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, InboxError>> + Send + 'static,
{
    let (answer, answered) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Whoever asked waits for it.
        let _ = answer.send(future.await);
    });
    answered.recv().unwrap_or_else(|_| Err(ended()))
}

/// Somebody waits, and can call the command again.
const CONNECT_TIME: Duration = Duration::from_secs(3);

fn ended() -> InboxError {
    InboxError::new(InboxErrorKind::Closed, "the connection to the inbox ended")
}
