//! [`Senders`]: a steady load on two receivers, which sends again what had no 2xx, as HeyGen does.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use xtask_harness::audit::Ledger;
use xtask_harness::client::Client;
use xtask_harness::event::Events;
use xtask_harness::listener::lock;

use super::RECEIVERS;

/// Connections that deliver, each to one receiver, until they are stopped.
#[derive(Debug)]
pub(super) struct Senders {
    state: Arc<Mutex<State>>,
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
struct State {
    /// Of the receivers; meaningless until they are set.
    addresses: [SocketAddr; RECEIVERS],
    sends_new: bool,
    is_over: bool,
    /// The number of the next new event.
    next: u64,
    /// What is to be sent again: from when on, to which receiver.
    again: VecDeque<(Instant, usize, u64)>,
    /// In the order of their answers.
    posts: Vec<Post>,
}

impl Senders {
    /// Starts so many connections to each receiver, which send nothing yet.
    pub(super) fn start(connections: usize, events: &Events) -> Self {
        let state = Arc::new(Mutex::new(State {
            addresses: [(Ipv4Addr::LOCALHOST, 1).into(); RECEIVERS],
            sends_new: false,
            is_over: false,
            next: 0,
            again: VecDeque::new(),
            posts: Vec::new(),
        }));
        let threads = (0..connections * RECEIVERS)
            .map(|connection| {
                let (state, events) = (state.clone(), events.clone());
                thread::spawn(move || deliver(&state, &events, connection % RECEIVERS))
            })
            .collect();
        Self { state, threads }
    }

    /// A receiver listens elsewhere now.
    pub(super) fn redirect(&self, receiver: usize, address: SocketAddr) {
        lock(&self.state).addresses[receiver] = address;
    }

    /// All receivers listen: new events may be sent.
    pub(super) fn begin(&self) {
        lock(&self.state).sends_new = true;
    }

    /// Whether this receiver answered 2xx to something that was sent after `since`.
    pub(super) fn were_taken_by(&self, receiver: usize, since: Instant) -> bool {
        let state = lock(&self.state);
        let newest = state.posts.iter().rev();
        let mut newest = newest.take_while(|post| post.answered_at > since);
        newest.any(|post| post.is_taken() && post.receiver == receiver && post.sent_at > since)
    }

    /// Every POST so far, in the order of their answers.
    pub(super) fn posts(&self) -> Vec<Post> {
        lock(&self.state).posts.clone()
    }

    /// Sends nothing new any more, and waits until all had a 2xx; gives up after some time.
    pub(super) fn end(&mut self) -> Result<(Vec<Post>, Ledger)> {
        lock(&self.state).sends_new = false;
        let started = Instant::now();
        while !ledger(&self.posts()).unanswered().is_empty() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(100));
        }
        lock(&self.state).is_over = true;
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a sender panicked"))?;
        }
        let posts = self.posts();
        let ledger = ledger(&posts);
        Ok((posts, ledger))
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        lock(&self.state).is_over = true;
    }
}

fn ledger(posts: &[Post]) -> Ledger {
    let mut ledger = Ledger::default();
    for post in posts {
        let status = post.status.ok_or_else(|| io::Error::other("no answer"));
        ledger.note(post.number, &status);
    }
    ledger
}

fn deliver(state: &Mutex<State>, events: &Events, receiver: usize) {
    let mut address = lock(state).addresses[receiver];
    let mut client = Client::new(address);
    loop {
        let mut now = lock(state);
        if now.is_over {
            return;
        }
        if now.addresses[receiver] != address {
            address = now.addresses[receiver];
            client = Client::new(address);
        }
        let chosen = now.choose(receiver);
        drop(now);
        if let Some((number, is_again)) = chosen {
            let sent_at = Instant::now();
            let status = client.exchange(&events.request(number)).ok();
            lock(state).note(Post {
                number,
                receiver,
                is_again,
                sent_at,
                answered_at: Instant::now(),
                status,
            });
        }
        thread::sleep(PAUSE);
    }
}

impl State {
    /// What this receiver is sent now, and whether that was sent before.
    fn choose(&mut self, receiver: usize) -> Option<(u64, bool)> {
        let now = Instant::now();
        let is_due = |(due, to, _): &(Instant, usize, u64)| *to == receiver && *due <= now;
        if let Some(index) = self.again.iter().position(is_due) {
            let (_, _, number) = self.again.remove(index)?;
            return Some((number, true));
        }
        let number = self.next;
        self.next += u64::from(self.sends_new);
        self.sends_new.then_some((number, false))
    }

    /// What had no 2xx goes to the next receiver, and so does some that had: its answer may have been lost on the way.
    fn note(&mut self, post: Post) {
        self.posts.push(post);
        let is_unheard = !post.is_again && post.number.is_multiple_of(UNHEARD_EVERY);
        if !post.is_taken() || is_unheard {
            let other = (post.receiver + 1) % RECEIVERS;
            let due = Instant::now() + SENT_AGAIN_AFTER;
            self.again.push_back((due, other, post.number));
        }
    }
}

/// Between an answer and the next POST of the same connection.
const PAUSE: Duration = Duration::from_millis(100);
const SENT_AGAIN_AFTER: Duration = Duration::from_secs(1);
const UNHEARD_EVERY: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);
