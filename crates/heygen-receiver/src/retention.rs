//! [`Retention`]: deletes what is finished and old, or more than there is room for, a little at a time.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use heygen_inbox::{InboxAdmin, InboxError, PruneReport, PruneStep};

use crate::caught::caught;

/// How long, or how much of, what is finished (done or dead) is kept. Never deletes what is pending or being handled.
///
/// It deletes in small steps with pauses between them, so that appends do not wait for it. What was deleted is no longer
/// known as a duplicate: HeyGen tries a delivery again for 24 hours, so [`keep`](Self::keep) should not be shorter.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::Retention;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let mut retention = Retention::default();
/// retention.keep = Some(Duration::from_secs(30 * 24 * 3600));
/// // Beside the dispatcher, until the program is to end:
/// let end = async {};
/// retention.run(MemoryInbox::new(), end).await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Retention {
    /// Delete what was kept longer ago than this. Default: `None`, which keeps it for ever.
    pub keep: Option<Duration>,
    /// Delete the oldest while more than so many bytes are in use. Default: `None`, no limit.
    pub keep_bytes: Option<u64>,
    /// How long to wait between looking whether there is something to delete. Default: 60 s.
    pub every: Duration,
    /// How long to pause after each step. Default: 20 ms.
    pub pause: Duration,
}

impl Retention {
    /// Whether there is anything to see to.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.keep.is_some() || self.keep_bytes.is_some()
    }

    /// Looks at once and then at every interval, until `shutdown` resolves; ends after the step under way.
    pub async fn run<I: InboxAdmin>(self, inbox: I, shutdown: impl Future<Output = ()>) {
        if !self.is_limited() {
            shutdown.await;
            return;
        }
        let mut shutdown = pin!(shutdown);
        let mut is_over_bytes = false;
        loop {
            let pass = self.pass(&inbox, &mut is_over_bytes);
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                ended = pass => if let Err(error) = ended {
                    tracing::error!(%error, "nothing could be pruned; trying again");
                },
            }
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    async fn pass<I: InboxAdmin>(
        &self,
        inbox: &I,
        is_over_bytes: &mut bool,
    ) -> Result<(), InboxError> {
        let now = SystemTime::now();
        let mut deleted = 0;
        if let Some(before) = self.keep.and_then(|keep| now.checked_sub(keep)) {
            deleted += self.prune(inbox, before, |_| true).await?.0;
        }
        if let Some(limit) = self.keep_bytes
            && caught(async { inbox.counts().await }).await?.bytes > limit
            // Without a log that only waits to be brought in: nothing is deleted for that.
            && caught(async { inbox.prune(PruneStep::before(now).limit(0)).await }).await?.bytes > limit
        {
            let is_over = |pruned: &PruneReport| pruned.bytes > limit;
            let (more, bytes) = self.prune(inbox, now, is_over).await?;
            deleted += more;
            let stays_over = bytes > limit;
            if stays_over && !*is_over_bytes {
                tracing::warn!(
                    bytes,
                    limit,
                    "the inbox takes up more than it should, and nothing finished is left to delete"
                );
            }
            *is_over_bytes = stays_over;
        }
        if deleted > 0 {
            tracing::info!(deleted, "pruned");
        }
        Ok(())
    }

    /// How many were deleted, and how many bytes are in use then.
    async fn prune<I: InboxAdmin>(
        &self,
        inbox: &I,
        before: SystemTime,
        is_to_go_on: impl Fn(&PruneReport) -> bool,
    ) -> Result<(usize, u64), InboxError> {
        let mut step = PruneStep::before(before);
        let mut deleted = 0;
        loop {
            let pruned = caught(async { inbox.prune(step.clone()).await }).await?;
            deleted += pruned.deleted;
            if pruned.next.is_none() || !is_to_go_on(&pruned) {
                return Ok((deleted, pruned.bytes));
            }
            step = step.after(pruned.next);
            tokio::time::sleep(self.pause).await;
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep: None,
            keep_bytes: None,
            every: Duration::from_secs(60),
            pause: Duration::from_millis(20),
        }
    }
}
