//! [`Readiness`]: whether the inbox commits, and whether dispatch is paused, checked at most once a
//! second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use heygen_inbox::{InboxAdmin, InboxError, InboxErrorKind};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::panics::catch_panic;

pub(super) struct Readiness<I> {
    inbox: Arc<I>,
    /// Locked during a check; concurrent requests wait for its result.
    check: Mutex<Check>,
}

#[derive(Default)]
struct Check {
    last: Option<(Instant, Verdict)>,
    /// A call that did not return in time, or whose request was dropped. No other is made
    /// meanwhile, so that calls do not pile up at an inbox that hangs.
    pending: Option<ReadyCall>,
}

type ReadyCall = JoinHandle<Result<(), InboxError>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Ok,
    /// It commits, and an operator paused dispatch: what is received is stored.
    Paused,
    Opening,
    Busy,
    Failed,
    TimedOut,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok | Self::Paused => "ok",
            Self::Opening => "opening",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
        }
    }
}

impl<I: InboxAdmin> Readiness<I> {
    pub(super) fn new(inbox: I) -> Self {
        Self {
            inbox: Arc::new(inbox),
            check: Mutex::default(),
        }
    }

    #[cfg(feature = "metrics")]
    pub(super) fn inbox(&self) -> &I {
        &self.inbox
    }

    pub(super) async fn verdict(&self) -> Verdict {
        let mut check = self.check.lock().await;
        if let Some((at, verdict)) = check.last
            && at.elapsed() < BETWEEN_CHECKS
        {
            return verdict;
        }
        // The result of one that has ended meanwhile is outdated.
        let is_open = |call: &ReadyCall| !call.is_finished();
        let open = check.pending.take().filter(is_open);
        let call = check.pending.insert(open.unwrap_or_else(|| self.call()));
        let verdict = match tokio::time::timeout(READY_TIMEOUT, call).await {
            Ok(Ok(Ok(()))) => match self.is_paused().await {
                true => Verdict::Paused,
                false => Verdict::Ok,
            },
            Ok(Ok(Err(error))) => match error.kind() {
                InboxErrorKind::Opening => Verdict::Opening,
                InboxErrorKind::Busy => Verdict::Busy,
                _ => Verdict::Failed,
            },
            Ok(Err(_)) => Verdict::Failed,
            Err(_) => Verdict::TimedOut,
        };
        check.last = Some((Instant::now(), verdict));
        verdict
    }

    fn call(&self) -> ReadyCall {
        let inbox = Arc::clone(&self.inbox);
        tokio::spawn(async move { inbox.ready().await })
    }

    /// For the text alone: it waits behind other reads, and says nothing about whether the inbox commits.
    async fn is_paused(&self) -> bool {
        let asking = catch_panic(async { self.inbox.paused().await });
        let asked = tokio::time::timeout(PAUSED_TIMEOUT, asking).await;
        matches!(asked, Ok(Ok(Some(_))))
    }
}

const BETWEEN_CHECKS: Duration = Duration::from_secs(1);
const READY_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSED_TIMEOUT: Duration = Duration::from_millis(250);
