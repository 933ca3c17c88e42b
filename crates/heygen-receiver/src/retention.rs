//! [`Retention`]: deletes finished deliveries that are old, or that exceed a size, in small steps.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::{InboxAdmin, InboxError, PruneReport, PruneStep};

use crate::panics::catch_panic;
use crate::setters::setters;

/// How long, or how much of, the finished deliveries (acknowledged or dead-lettered) are kept.
/// Never deletes pending deliveries or those being handled.
///
/// It deletes in small steps with pauses between them, so that appends do not wait. A deleted
/// delivery is not recognised as a duplicate any more: HeyGen retries for 24 hours, so
/// [`keep`](Self::keep) should not be shorter.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::Retention;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let retention = Retention::default().with_keep(Some(Duration::from_secs(30 * 24 * 3600)));
/// // In a task of its own, until the program shuts down:
/// let shutdown = async {};
/// retention.run(MemoryInbox::new(), shutdown).await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Retention {
    /// Delete deliveries stored longer ago than this. Default: `None`, which keeps them for ever.
    pub keep: Option<Duration>,
    /// Delete the oldest deliveries while more bytes than this are in use. Default: `None`, no
    /// limit.
    pub keep_bytes: Option<u64>,
    /// How long after its reception a backfill may store the event of a deleted delivery again. If
    /// [`keep_bytes`](Self::keep_bytes) deletes younger ones, that is logged, once an hour at most.
    /// Default: `None`, there is no backfill.
    pub backfill_reach: Option<Duration>,
    /// How long to wait between checks. Default: 60 s.
    pub every: Duration,
    /// How long to pause after each step. Default: 20 ms.
    pub pause: Duration,
}

impl Retention {
    /// Whether there is a limit, so that something may be deleted.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.keep.is_some() || self.keep_bytes.is_some()
    }

    /// Checks at once and then at every interval, until `shutdown` resolves.
    pub async fn run<I: InboxAdmin>(self, inbox: I, shutdown: impl Future<Output = ()>) {
        if !self.is_limited() {
            shutdown.await;
            return;
        }
        let mut shutdown = pin!(shutdown);
        let mut reported = Reported::default();
        loop {
            let pass = self.pass(&inbox, &mut reported);
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                ended = pass => if let Err(error) = ended {
                    tracing::error!(%error, "cannot delete old deliveries; retrying");
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
        reported: &mut Reported,
    ) -> Result<(), InboxError> {
        let now = SystemTime::now();
        let mut deleted = 0;
        let mut stays_over = false;
        if let Some(before) = self.keep.and_then(|keep| now.checked_sub(keep)) {
            deleted += self.prune(inbox, before, |_| true).await?.0;
        }
        if let Some(limit) = self.keep_bytes
            && catch_panic(async { inbox.counts().await }).await?.bytes > limit
            // Again without a write-ahead log that waits for a checkpoint: nothing is deleted for
            // that.
            && catch_panic(async { inbox.prune(PruneStep::before(now).limit(0)).await }).await?.bytes > limit
        {
            let is_over = |pruned: &PruneReport| pruned.bytes > limit;
            let reach = self.backfill_reach.and_then(|reach| now.checked_sub(reach));
            let (more, mut bytes) = self.prune(inbox, reach.unwrap_or(now), is_over).await?;
            deleted += more;
            if reach.is_some() && bytes > limit {
                let (young, left) = self.prune(inbox, now, is_over).await?;
                deleted += young;
                bytes = left;
                if young > 0 && reported.is_hour_after_young(Instant::now()) {
                    tracing::warn!(
                        deleted = young,
                        limit,
                        "the size limit deletes deliveries that a backfill still finds in HeyGen's log: their events may be dispatched again; raise --keep-bytes"
                    );
                }
            }
            stays_over = bytes > limit;
            if stays_over && !reported.is_over_bytes {
                tracing::warn!(
                    bytes,
                    limit,
                    "inbox exceeds its size limit and has no finished delivery left to delete"
                );
            }
        }
        reported.is_over_bytes = stays_over;
        if deleted > 0 {
            tracing::info!(deleted, "old deliveries deleted");
        }
        Ok(())
    }

    /// Returns how many were deleted, and how many bytes are in use afterwards.
    async fn prune<I: InboxAdmin>(
        &self,
        inbox: &I,
        before: SystemTime,
        should_continue: impl Fn(&PruneReport) -> bool,
    ) -> Result<(usize, u64), InboxError> {
        let mut step = PruneStep::before(before);
        let mut deleted = 0;
        loop {
            let pruned = catch_panic(async { inbox.prune(step.clone()).await }).await?;
            deleted += pruned.deleted;
            if let Some(first) = pruned.damaged.first() {
                tracing::error!(
                    deliveries = pruned.damaged.len(),
                    %first,
                    "old deliveries on damaged pages cannot be deleted; `inbox check` tells more"
                );
            }
            if pruned.next.is_none() || !should_continue(&pruned) {
                return Ok((deleted, pruned.bytes));
            }
            step = step.after(pruned.next);
            tokio::time::sleep(self.pause).await;
        }
    }
}

/// What the log says already.
#[derive(Debug, Default)]
struct Reported {
    is_over_bytes: bool,
    /// That what a backfill stores again was deleted.
    young_at: Option<Instant>,
}

impl Reported {
    fn is_hour_after_young(&mut self, now: Instant) -> bool {
        let is_early = self.young_at.is_some_and(|at| now - at < HOUR);
        if !is_early {
            self.young_at = Some(now);
        }
        !is_early
    }
}

const HOUR: Duration = Duration::from_secs(3600);

setters! {
    Retention {
        with_keep sets keep: Option<Duration>;
        with_keep_bytes sets keep_bytes: Option<u64>;
        with_backfill_reach sets backfill_reach: Option<Duration>;
        with_every sets every: Duration;
        with_pause sets pause: Duration;
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep: None,
            keep_bytes: None,
            backfill_reach: None,
            every: Duration::from_secs(60),
            pause: Duration::from_millis(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use heygen_inbox::{Inbox as _, MemoryInbox, NewDelivery, Source};

    use super::*;

    #[tokio::test]
    async fn inbox_that_exceeds_its_limit_again_is_reported_again() {
        let inbox = MemoryInbox::new();
        let body = "pending".into();
        let pending = NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body);
        inbox.append(pending).await.expect("room");
        let mut reported = Reported::default();
        for (limit, expected) in [(0, true), (u64::MAX, false), (0, true)] {
            let retention = Retention::default().with_keep_bytes(Some(limit));
            let passed = retention.pass(&inbox, &mut reported).await;
            passed.expect("nothing fails");
            assert_eq!(reported.is_over_bytes, expected, "{limit}");
        }
    }

    #[tokio::test]
    async fn what_a_backfill_stores_again_is_deleted_with_a_warning_each_hour() {
        let inbox = MemoryInbox::new();
        let mut reported = Reported::default();
        for (age, reach, expected) in [(0, None, false), (5, Some(4), false), (3, Some(4), true)] {
            let received_at = SystemTime::now() - age * DAY;
            let body = format!("{age}").into();
            let delivery = NewDelivery::new(received_at, Source::Webhook, Vec::new(), body);
            let id = inbox.append(delivery).await.expect("room").id();
            let given_up = inbox.dead_letter(vec![id], SystemTime::now()).await;
            given_up.expect("it waits");
            let retention = Retention::default()
                .with_keep_bytes(Some(0))
                .with_backfill_reach(reach.map(|days| days * DAY));
            let passed = retention.pass(&inbox, &mut reported).await;
            passed.expect("nothing fails");
            assert!(inbox.get(id).await.expect("an answer").is_none(), "{age}");
            assert_eq!(reported.young_at.is_some(), expected, "{age}");
        }
        let at = reported.young_at.expect("the last one was young");
        assert!(!reported.is_hour_after_young(at + HOUR / 2));
        assert!(reported.is_hour_after_young(at + HOUR));
    }

    const DAY: Duration = Duration::from_secs(24 * 3600);
}
