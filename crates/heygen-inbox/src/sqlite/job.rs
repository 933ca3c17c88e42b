//! [`Job`]: what stands in the writer's queue. [`Batch`]: what shares one transaction. [`Held`]: what waits for a moment with
//! fewer appends.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::store::{NewRow, Store};
use crate::{Appended, InboxError, InboxErrorKind};

/// What stands in the writer's queue.
pub(super) enum Job {
    Append(Box<Append>),
    Work(Work),
    /// Work that many appends go before, for a while.
    LateWork(Work),
    Close(Reply<()>),
    /// Ends the thread as a panic would.
    #[cfg(test)]
    Die,
}

/// A delivery to be kept. Those of one transaction are written together.
pub(super) struct Append {
    pub(super) row: NewRow,
    pub(super) reply: Reply<Appended>,
}

/// Something to be done inside a transaction, and answered after it.
pub(super) type Work = Box<dyn Request>;

pub(super) type Reply<T> = oneshot::Sender<Result<T, InboxError>>;

/// A question to the store, which may have to be asked again.
pub(super) trait Request: Send {
    fn run(&mut self, store: &mut Store) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, done: Result<(), InboxError>);
}

struct Question<A, T> {
    ask: A,
    answer: Option<T>,
    reply: Reply<T>,
}

impl<A, T> Request for Question<A, T>
where
    A: Fn(&mut Store) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, store: &mut Store) -> rusqlite::Result<()> {
        self.answer = Some((self.ask)(store)?);
        Ok(())
    }

    fn answer(self: Box<Self>, done: Result<(), InboxError>) {
        let Self { answer, reply, .. } = *self;
        if let Some(answer) = done.map(|()| answer).transpose() {
            let _ = reply.send(answer);
        }
    }
}

pub(super) fn work<T: Send + 'static>(
    ask: impl Fn(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    reply: Reply<T>,
) -> Work {
    Box::new(Question {
        ask,
        answer: None,
        reply,
    })
}

/// What shares one transaction. No caller sends a job before its earlier one was answered, so the order in which
/// they stood in the queue need not be kept.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<Append>,
    pub(super) works: Vec<Work>,
}

/// What waits for a moment with fewer appends.
#[derive(Default)]
pub(super) struct Held {
    pub(super) works: Vec<Work>,
    since: Option<Instant>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.appends.len() + self.works.len()
    }

    pub(super) fn run(&mut self, store: &mut Store) -> rusqlite::Result<Vec<Appended>> {
        let appended = store.append(self.appends.iter().map(|append| &append.row))?;
        self.works.iter_mut().try_for_each(|work| work.run(store))?;
        Ok(appended)
    }

    /// The caller may be gone. An append is stored all the same; a claim is taken up by the next open.
    pub(super) fn answer(self, appended: Vec<Appended>) {
        for (append, appended) in self.appends.into_iter().zip(appended) {
            let _ = append.reply.send(Ok(appended));
        }
        for work in self.works {
            work.answer(Ok(()));
        }
    }

    /// One that is alone gets the error with its cause.
    pub(super) fn refuse(self, error: InboxError) {
        let message = error.to_string();
        let mut whole = Some(error).filter(|_| self.len() == 1);
        let mut refusal = || {
            let again = || InboxError::new(InboxErrorKind::Storage, message.as_str());
            whole.take().unwrap_or_else(again)
        };
        for append in self.appends {
            let _ = append.reply.send(Err(refusal()));
        }
        for work in self.works {
            work.answer(Err(refusal()));
        }
    }

    /// Each of them by itself.
    pub(super) fn into_single(self) -> impl Iterator<Item = Self> {
        let appends = self.appends.into_iter().map(|append| Self {
            appends: vec![append],
            works: Vec::new(),
        });
        let works = self.works.into_iter().map(|work| Self {
            appends: Vec::new(),
            works: vec![work],
        });
        appends.chain(works)
    }
}

impl Held {
    /// Lets go what was held back, unless there are many appends and it has not waited for long.
    pub(super) fn release_into(&mut self, works: &mut Vec<Work>, appends: usize, now: Instant) {
        if self.works.is_empty() {
            return;
        }
        let since = *self.since.get_or_insert(now);
        if appends < MANY_APPENDS || now.duration_since(since) >= LONGEST_HOLD {
            works.append(&mut self.works);
            self.since = None;
        }
    }
}

/// As many in one batch as come only when they come by the thousand a second.
const MANY_APPENDS: usize = 16;

/// Dispatch goes on under any load, though slowly.
const LONGEST_HOLD: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Work {
        let (reply, _) = oneshot::channel::<Result<(), _>>();
        work(|_| Ok(()), reply)
    }

    #[test]
    fn claims_wait_for_many_appends_and_not_for_ever() {
        let start = Instant::now();
        let mut held = Held::default();
        let released = |held: &mut Held, appends, now| {
            let mut works = Vec::new();
            held.release_into(&mut works, appends, now);
            works.len()
        };
        held.works.push(claim());
        assert_eq!(released(&mut held, MANY_APPENDS - 1, start), 1);
        held.works.push(claim());
        assert_eq!(released(&mut held, MANY_APPENDS, start), 0);
        assert_eq!(
            released(&mut held, MANY_APPENDS, start + LONGEST_HOLD / 2),
            0
        );
        held.works.push(claim());
        assert_eq!(released(&mut held, MANY_APPENDS, start + LONGEST_HOLD), 2);
        // The next waits anew.
        held.works.push(claim());
        assert_eq!(released(&mut held, MANY_APPENDS, start + LONGEST_HOLD), 0);
        assert_eq!(released(&mut held, 0, start + LONGEST_HOLD), 1);
    }
}
