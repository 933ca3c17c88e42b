//! [`Readiness`]: whether the inbox commits, found out at most once a second however many ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use heygen_inbox::{Inbox, InboxError, InboxErrorKind};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

pub(super) struct Readiness<I> {
    inbox: Arc<I>,
    /// Held while somebody finds out; the others wait for what that one finds.
    check: Mutex<Check>,
}

#[derive(Default)]
struct Check {
    last: Option<(Instant, Verdict)>,
    /// A question that was not answered in time, or whose asker went away. It is not asked again meanwhile: an inbox that
    /// hangs must not be buried in questions.
    under_way: Option<Question>,
}

type Question = JoinHandle<Result<(), InboxError>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Ok,
    Busy,
    Failed,
    TimedOut,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
        }
    }
}

impl<I: Inbox> Readiness<I> {
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
            && at.elapsed() < BETWEEN_QUESTIONS
        {
            return verdict;
        }
        // One that has ended since says how it was, and not how it is.
        let is_open = |question: &Question| !question.is_finished();
        let open = check.under_way.take().filter(is_open);
        let question = check
            .under_way
            .insert(open.unwrap_or_else(|| self.question()));
        let verdict = match tokio::time::timeout(QUESTION_TIME, question).await {
            Ok(Ok(Ok(()))) => Verdict::Ok,
            Ok(Ok(Err(error))) if error.kind() == InboxErrorKind::Busy => Verdict::Busy,
            Ok(Ok(Err(_)) | Err(_)) => Verdict::Failed,
            Err(_) => Verdict::TimedOut,
        };
        check.last = Some((Instant::now(), verdict));
        verdict
    }

    fn question(&self) -> Question {
        let inbox = Arc::clone(&self.inbox);
        tokio::spawn(async move { inbox.ready().await })
    }
}

const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
const QUESTION_TIME: Duration = Duration::from_secs(2);
