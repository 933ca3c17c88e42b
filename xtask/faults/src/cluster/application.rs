//! [`Application`]: what the workers forward to. It can keep a worker waiting.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::event::{Events, subject};
use xtask_harness::listener::{Listener, Request, lock};

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) sink: Listener,
    events: Events,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The events that were put off, each once.
    pub(super) put_off: BTreeSet<u64>,
    /// Bodies that are not what was sent, byte for byte.
    pub(super) altered: u64,
    /// The path of the worker that gets no answer.
    held: Option<String>,
    /// The events that this worker waits with.
    pub(super) waiting: BTreeSet<u64>,
}

impl Application {
    pub(super) fn start(events: &Events) -> Result<Self> {
        let state = Arc::<Mutex<State>>::default();
        let answering = (state.clone(), events.clone());
        let sink = Listener::start(move |request| answer(&answering.0, &answering.1, request))?;
        Ok(Self {
            sink,
            events: events.clone(),
            state,
        })
    }

    /// Where a worker forwards to: that tells it from the others.
    pub(super) fn url(&self, worker: usize) -> String {
        format!("{}{worker}", self.sink.url())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether this worker handed something over after `since`.
    pub(super) fn has_taken_from(&self, worker: usize, since: Instant) -> bool {
        let (seen, path) = (self.sink.seen(), path(worker));
        let newest = seen.taken.iter().rev();
        let mut newest = newest.take_while(|taken| taken.at > since);
        newest.any(|taken| taken.path == path)
    }

    /// How many of these were never taken.
    pub(super) fn missing(&self, numbers: &BTreeSet<u64>) -> usize {
        let seen = self.sink.seen();
        let subjects = seen.taken.iter().map(|taken| &*taken.subject);
        let taken = subjects.filter_map(|subject| self.events.number(subject));
        numbers.difference(&taken.collect()).count()
    }

    /// From now on this worker gets no answer.
    pub(super) fn hold(&self, worker: usize) {
        self.state().held = Some(path(worker));
    }

    /// Ends that, with nothing taken of what waits; these are the events.
    pub(super) fn let_go(&self) -> BTreeSet<u64> {
        let mut state = self.state();
        state.held = None;
        std::mem::take(&mut state.waiting)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn path(worker: usize) -> String {
    format!("/{worker}")
}

fn answer(state: &Mutex<State>, events: &Events, request: &Request) -> u16 {
    let Some(number) = events.number(&subject(&request.body)) else {
        lock(state).altered += 1;
        return 200;
    };
    // As a handler does that has something to do.
    thread::sleep(HANDLING);
    let is_held = |state: &State| state.held.as_ref() == Some(&request.path);
    let mut now = lock(state);
    now.altered += u64::from(request.body != events.body(number).as_bytes());
    if is_held(&now) {
        now.waiting.insert(number);
        drop(now);
        while is_held(&lock(state)) {
            thread::sleep(HANDLING);
        }
        return 503;
    }
    match number.is_multiple_of(PUT_OFF_EVERY) && now.put_off.insert(number) {
        true => 503,
        false => 200,
    }
}

const HANDLING: Duration = Duration::from_millis(20);

/// Of the events one in so many is to come again, so that there are second attempts in every fault.
const PUT_OFF_EVERY: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_once_more_altered_or_of_a_held_worker_is_told_apart() {
        let events = Events::new("a").unwrap();
        let application = Application::start(&events).unwrap();
        let request = |number, worker, end: &str| Request {
            path: path(worker),
            body: (events.body(number) + end).into_bytes(),
        };
        let answer = |request| answer(&application.state, &events, &request);
        assert_eq!(answer(request(1, 0, "")), 200);
        assert_eq!(answer(request(10, 1, "")), 503);
        assert_eq!(answer(request(10, 1, "")), 200);
        assert_eq!(application.state().altered, 0);
        assert_eq!(answer(request(2, 0, " ")), 200);
        assert_eq!(application.state().altered, 1);
        application.hold(0);
        thread::scope(|scope| {
            let held = scope.spawn(|| answer(request(3, 0, "")));
            while application.state().waiting.is_empty() {
                thread::yield_now();
            }
            // Others get an answer.
            assert_eq!(answer(request(4, 1, "")), 200);
            assert_eq!(application.let_go(), BTreeSet::from([3]));
            assert_eq!(held.join().unwrap(), 503);
        });
    }
}
