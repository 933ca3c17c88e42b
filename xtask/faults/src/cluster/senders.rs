//! [`Senders`]: a steady load on two receivers, by somebody who sends again what had no 2xx, as HeyGen does.

use std::array;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use xtask_harness::audit::Ledger;
use xtask_harness::client::Client;
use xtask_harness::event::Events;

use super::RECEIVERS;

/// Connections that deliver, each to one receiver, until they are told to end.
#[derive(Debug)]
pub(super) struct Senders {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// One POST and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub(super) number: u64,
    pub(super) receiver: usize,
    /// Whether it was sent before.
    pub(super) is_again: bool,
    pub(super) sent_at: Instant,
    pub(super) answered_at: Instant,
    /// `None` without an answer.
    pub(super) status: Option<u16>,
}

impl Post {
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

#[derive(Debug)]
struct Shared {
    events: Events,
    addresses: [Mutex<SocketAddr>; RECEIVERS],
    next: AtomicU64,
    /// What is to be sent again, to each receiver, and when.
    again: [Mutex<VecDeque<(Instant, u64)>>; RECEIVERS],
    sent: Mutex<(Vec<Post>, Ledger)>,
    sends_new: AtomicBool,
    stop: AtomicBool,
}

impl Senders {
    /// Starts so many connections to each of these receivers.
    pub(super) fn start(
        addresses: [SocketAddr; RECEIVERS],
        connections: usize,
        events: &Events,
    ) -> Self {
        let shared = Arc::new(Shared {
            events: events.clone(),
            addresses: addresses.map(Mutex::new),
            next: AtomicU64::new(0),
            again: array::from_fn(|_| Mutex::default()),
            sent: Mutex::default(),
            sends_new: AtomicBool::new(true),
            stop: AtomicBool::new(false),
        });
        let threads = (0..connections * RECEIVERS)
            .map(|connection| {
                let shared = shared.clone();
                thread::spawn(move || shared.deliver(connection % RECEIVERS))
            })
            .collect();
        Self { shared, threads }
    }

    /// A receiver listens elsewhere now.
    pub(super) fn redirect(&self, receiver: usize, address: SocketAddr) {
        *lock(&self.shared.addresses[receiver]) = address;
    }

    /// Whether this receiver answered 2xx to something that was sent after `since`.
    pub(super) fn were_taken_by(&self, receiver: usize, since: Instant) -> bool {
        let sent = lock(&self.shared.sent);
        // Answers are noted as they come, so the newest are at the end.
        let newest = sent
            .0
            .iter()
            .rev()
            .take_while(|post| post.answered_at > since);
        let mut newest = newest.filter(|post| post.sent_at > since);
        newest.any(|post| post.is_taken() && post.receiver == receiver)
    }

    /// Every POST so far, in the order of their answers.
    pub(super) fn posts(&self) -> Vec<Post> {
        lock(&self.shared.sent).0.clone()
    }

    /// Sends nothing new any more, and waits until all had a 2xx; gives up after some time.
    pub(super) fn end(&mut self) -> Result<(Vec<Post>, Ledger)> {
        self.shared.sends_new.store(false, Ordering::Relaxed);
        let started = Instant::now();
        while !lock(&self.shared.sent).1.unanswered().is_empty() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(100));
        }
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a sender panicked"))?;
        }
        Ok(lock(&self.shared.sent).clone())
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn deliver(&self, receiver: usize) {
        let mut address = *lock(&self.addresses[receiver]);
        let mut client = Client::new(address);
        while !self.stop.load(Ordering::Relaxed) {
            let now = *lock(&self.addresses[receiver]);
            if now != address {
                address = now;
                client = Client::new(address);
            }
            if let Some((number, is_again)) = self.take(receiver) {
                let sent_at = Instant::now();
                let status = client.exchange(&self.events.request(number));
                let post = Post {
                    number,
                    receiver,
                    is_again,
                    sent_at,
                    answered_at: Instant::now(),
                    status: status.as_ref().ok().copied(),
                };
                let mut sent = lock(&self.sent);
                sent.0.push(post);
                sent.1.note(number, &status);
                drop(sent);
                self.plan(&post);
            }
            thread::sleep(PAUSE);
        }
    }

    /// What this receiver is sent now.
    fn take(&self, receiver: usize) -> Option<(u64, bool)> {
        let mut again = lock(&self.again[receiver]);
        let due = again
            .front()
            .copied()
            .filter(|(due, _)| *due <= Instant::now());
        if let Some((_, number)) = due {
            again.pop_front();
            return Some((number, true));
        }
        drop(again);
        let sends_new = self.sends_new.load(Ordering::Relaxed);
        sends_new.then(|| (self.next.fetch_add(1, Ordering::Relaxed), false))
    }

    /// What had no 2xx goes to the next receiver, and so does some that had: its answer may have been lost on the way.
    fn plan(&self, post: &Post) {
        let is_unheard = !post.is_again && post.number.is_multiple_of(UNHEARD_EVERY);
        if !post.is_taken() || is_unheard {
            let other = (post.receiver + 1) % RECEIVERS;
            lock(&self.again[other]).push_back((Instant::now() + SENT_AGAIN_AFTER, post.number));
        }
    }
}

/// Nothing is left half done by a thread that panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between an answer and the next POST of the same connection.
const PAUSE: Duration = Duration::from_millis(100);
const SENT_AGAIN_AFTER: Duration = Duration::from_secs(1);
const UNHEARD_EVERY: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_harness::listener::{Answer, Listener};

    #[test]
    fn what_one_refuses_goes_to_the_other() {
        let events = Events::new("a").unwrap();
        let refusing = Listener::start(|_| Answer::ComeAgain).unwrap();
        let taking = Listener::start(|_| Answer::Taken).unwrap();
        let before = Instant::now();
        let mut senders = Senders::start([refusing.address(), taking.address()], 1, &events);
        while !senders.were_taken_by(1, before) || senders.posts().iter().all(Post::is_taken) {
            thread::yield_now();
        }
        let (posts, ledger) = senders.end().unwrap();
        assert!(ledger.unanswered().is_empty());
        assert!(ledger.refused[&503] > 0);
        let refused = posts.iter().find(|post| !post.is_taken()).unwrap();
        assert_eq!(refused.receiver, 0);
        let number = refused.number;
        let again = posts
            .iter()
            .find(|post| post.number == number && post.is_taken());
        assert_eq!(again.unwrap().receiver, 1);
        assert!(again.unwrap().is_again);
    }
}
