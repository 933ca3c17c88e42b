//! [`Job`]: an entry of the writer's queue. [`Batch`]: the jobs of one transaction. [`Deferred`]:
//! jobs that wait while there are many appends.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::store::{NewRow, Store};
use crate::{Appended, InboxError, InboxErrorKind};

/// An entry of the writer's queue.
pub(super) enum Job {
    Append(Box<Append>),
    Work(Work),
    /// Work that waits, for a limited time, while there are many appends.
    DeferrableWork(Work),
    Close(Reply<()>),
    /// Ends the thread as a panic would.
    #[cfg(test)]
    Die,
}

/// A delivery to store. Those of one transaction are written together.
pub(super) struct Append {
    pub(super) row: NewRow,
    pub(super) reply: Reply<Appended>,
}

/// A request that runs inside a transaction, and is answered after the commit.
pub(super) type Work = Box<dyn Request>;

pub(super) type Reply<T> = oneshot::Sender<Result<T, InboxError>>;

/// A request to the store; it runs again if its transaction is rolled back for another request's
/// sake.
pub(super) trait Request: Send {
    fn run(&mut self, store: &mut Store) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, done: Result<(), InboxError>);
}

struct Call<A, T> {
    run: A,
    answer: Option<T>,
    reply: Reply<T>,
}

impl<A, T> Request for Call<A, T>
where
    A: Fn(&mut Store) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, store: &mut Store) -> rusqlite::Result<()> {
        self.answer = Some((self.run)(store)?);
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
    run: impl Fn(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    reply: Reply<T>,
) -> Work {
    Box::new(Call {
        run,
        answer: None,
        reply,
    })
}

/// The jobs of one transaction. No caller sends a job before its earlier one was answered, so their
/// order in the queue does not matter.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<Append>,
    pub(super) works: Vec<Work>,
}

/// Jobs that wait while there are many appends.
#[derive(Default)]
pub(super) struct Deferred {
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

    /// A caller may be gone. Its append is stored all the same; its claim is recovered by the next
    /// open.
    pub(super) fn answer(self, appended: Vec<Appended>) {
        for (append, appended) in self.appends.into_iter().zip(appended) {
            let _ = append.reply.send(Ok(appended));
        }
        for work in self.works {
            work.answer(Ok(()));
        }
    }

    /// A single request gets the error with its cause.
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

    /// One batch for each request.
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

impl Deferred {
    /// Releases the deferred jobs, unless there are many appends and they have not waited for long.
    pub(super) fn release_into(&mut self, works: &mut Vec<Work>, appends: usize, now: Instant) {
        if self.works.is_empty() {
            return;
        }
        let since = *self.since.get_or_insert(now);
        if appends < MANY_APPENDS || now.duration_since(since) >= MAX_DEFERRAL {
            works.append(&mut self.works);
            self.since = None;
        }
    }
}

/// A batch has as many only at thousands of appends a second.
const MANY_APPENDS: usize = 16;

/// Dispatch continues under any load, more slowly.
const MAX_DEFERRAL: Duration = Duration::from_millis(50);

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
        let mut deferred = Deferred::default();
        let released = |deferred: &mut Deferred, appends, now| {
            let mut works = Vec::new();
            deferred.release_into(&mut works, appends, now);
            works.len()
        };
        deferred.works.push(claim());
        assert_eq!(released(&mut deferred, MANY_APPENDS - 1, start), 1);
        deferred.works.push(claim());
        assert_eq!(released(&mut deferred, MANY_APPENDS, start), 0);
        assert_eq!(
            released(&mut deferred, MANY_APPENDS, start + MAX_DEFERRAL / 2),
            0
        );
        deferred.works.push(claim());
        assert_eq!(
            released(&mut deferred, MANY_APPENDS, start + MAX_DEFERRAL),
            2
        );
        // The next starts to wait.
        deferred.works.push(claim());
        assert_eq!(
            released(&mut deferred, MANY_APPENDS, start + MAX_DEFERRAL),
            0
        );
        assert_eq!(released(&mut deferred, 0, start + MAX_DEFERRAL), 1);
    }
}
