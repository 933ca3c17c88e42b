//! [`Application`]: what the workers forward to. It remembers every handing-over, and can keep a worker waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use xtask_harness::event::{Events, subject};
use xtask_harness::listener::{Answer, Listener, Request};

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Application {
    listener: Listener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    events: Events,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    handed: Handed,
    /// The worker that gets no answer, as long as it is told so.
    held: Option<usize>,
    /// What that worker waits with.
    waiting: BTreeSet<u64>,
}

/// What was handed over, by the numbers of the events.
#[derive(Clone, Debug, Default)]
pub(super) struct Handed {
    /// With each the id it came under, and when, for as often as it was said to be done.
    pub(super) taken: BTreeMap<u64, Vec<(String, Instant)>>,
    /// When each worker was last told that something is done.
    pub(super) last_by: BTreeMap<usize, Instant>,
    /// Those that were told to come again, each once.
    pub(super) put_off: BTreeSet<u64>,
    /// Bodies that are not what was sent, byte for byte.
    pub(super) altered: u64,
}

impl Application {
    pub(super) fn start(events: &Events) -> Result<Self> {
        let shared = Arc::new(Shared {
            events: events.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let answering = shared.clone();
        let listener = Listener::start(move |request| answering.answer(request))?;
        Ok(Self { listener, shared })
    }

    /// Where a worker forwards to: that tells it from the others.
    pub(super) fn url(&self, worker: usize) -> String {
        format!("http://{}/{worker}", self.listener.address())
    }

    pub(super) fn handed(&self) -> Handed {
        self.shared.state().handed.clone()
    }

    /// Whether this worker was told after `since` that something is done.
    pub(super) fn has_taken_from(&self, worker: usize, since: Instant) -> bool {
        let state = self.shared.state();
        state
            .handed
            .last_by
            .get(&worker)
            .is_some_and(|at| *at > since)
    }

    /// How many of these were never taken.
    pub(super) fn missing<'a>(&self, numbers: impl IntoIterator<Item = &'a u64>) -> usize {
        let state = self.shared.state();
        let is_missing = |number: &&u64| !state.handed.taken.contains_key(number);
        numbers.into_iter().filter(is_missing).count()
    }

    /// From now on this worker gets no answer.
    pub(super) fn hold(&self, worker: usize) {
        let mut state = self.shared.state();
        state.held = Some(worker);
        state.waiting.clear();
    }

    /// How many deliveries the held worker waits with.
    pub(super) fn waiting(&self) -> usize {
        self.shared.state().waiting.len()
    }

    /// Ends that, with nothing taken of what waits; these are the events.
    pub(super) fn let_go(&self) -> BTreeSet<u64> {
        let mut state = self.shared.state();
        state.held = None;
        let waiting = std::mem::take(&mut state.waiting);
        self.shared.changed.notify_all();
        waiting
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Answer {
        let number = self.events.number(&subject(&request.body));
        let worker = request.path.trim_start_matches('/').parse::<usize>();
        let (Some(number), Ok(worker)) = (number, worker) else {
            self.state().handed.altered += 1;
            return Answer::Taken;
        };
        // As a handler does that has something to do.
        thread::sleep(HANDLING);
        let mut state = self.state();
        if request.body != self.events.body(number).as_bytes() {
            state.handed.altered += 1;
        }
        if state.held == Some(worker) {
            state.waiting.insert(number);
            while state.held == Some(worker) {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            return Answer::ComeAgain;
        }
        if number.is_multiple_of(PUT_OFF_EVERY) && state.handed.put_off.insert(number) {
            return Answer::ComeAgain;
        }
        let now = Instant::now();
        let taken = state.handed.taken.entry(number).or_default();
        taken.push((request.id.clone(), now));
        state.handed.last_by.insert(worker, now);
        Answer::Taken
    }

    /// Nothing is left half done by a thread that panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HANDLING: Duration = Duration::from_millis(20);

/// Of the events one in so many is to come again, so that there are second attempts in every fault.
const PUT_OFF_EVERY: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(events: &Events, number: u64, worker: usize) -> Request {
        Request {
            path: format!("/{worker}"),
            id: format!("id-{number}"),
            body: events.body(number).into_bytes(),
        }
    }

    #[test]
    fn every_handing_over_is_remembered() {
        let events = Events::new("a").unwrap();
        let application = Application::start(&events).unwrap();
        let shared = &application.shared;
        let before = Instant::now();
        assert_eq!(shared.answer(&request(&events, 1, 0)), Answer::Taken);
        assert_eq!(shared.answer(&request(&events, 1, 1)), Answer::Taken);
        assert_eq!(shared.answer(&request(&events, 10, 1)), Answer::ComeAgain);
        assert_eq!(shared.answer(&request(&events, 10, 1)), Answer::Taken);
        let mut altered = request(&events, 2, 0);
        altered.body.push(b' ');
        assert_eq!(shared.answer(&altered), Answer::Taken);
        let handed = application.handed();
        let times: Vec<_> = handed
            .taken
            .iter()
            .map(|(number, times)| (*number, times.len()))
            .collect();
        assert_eq!(times, [(1, 2), (2, 1), (10, 1)]);
        assert_eq!(handed.altered, 1);
        assert_eq!(application.missing(&[1, 2, 3]), 1);
        assert!(application.has_taken_from(1, before));
        assert!(!application.has_taken_from(2, before));
    }

    #[test]
    fn a_held_worker_gets_no_answer() {
        let events = Events::new("a").unwrap();
        let application = Application::start(&events).unwrap();
        application.hold(0);
        let shared = application.shared.clone();
        let held = request(&events, 1, 0);
        let answering = thread::spawn(move || shared.answer(&held));
        while application.waiting() == 0 {
            thread::yield_now();
        }
        // Others do.
        let other = application.shared.answer(&request(&events, 2, 1));
        assert_eq!(other, Answer::Taken);
        assert_eq!(application.let_go(), BTreeSet::from([1]));
        assert_eq!(answering.join().unwrap(), Answer::ComeAgain);
        assert_eq!(application.missing(&[1, 2]), 1);
    }
}
