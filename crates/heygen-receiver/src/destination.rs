//! [`Destinations`]: concurrency, backlog share and pauses of each destination.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use heygen_inbox::{DeliveryId, Room};
use tokio::time::Instant;

use crate::panics::locked;

/// The load and the limits of each destination.
#[derive(Debug)]
pub(crate) struct Destinations {
    concurrency: usize,
    all: Mutex<Vec<Destination>>,
    /// How many slots wait for long until their result is recorded.
    unrecorded: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Destination {
    live: usize,
    backlog: usize,
    /// How many live deliveries were dispatched since the last one of the backlog, up to one less
    /// than [`BACKLOG_TURN`].
    since_backlog: usize,
    paused_until: Option<Instant>,
    /// How many deliveries are dispatched at a time: one after a refusal, then gradually more.
    window: usize,
    /// How many attempts ended without a pause since the window last grew.
    answered: usize,
    /// How many deliveries were acknowledged.
    acknowledged: u64,
    /// What `acknowledged` was when each of these deliveries last met a request for a pause.
    refused: HashMap<DeliveryId, u64>,
}

/// The slot of a delivery at its destination, freed on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    destinations: Arc<Destinations>,
    destination: usize,
    is_live: bool,
}

/// A slot whose result has waited for long to be recorded.
#[derive(Debug)]
pub(crate) struct Unrecorded<'s>(&'s AtomicUsize);

impl Destinations {
    pub(crate) fn new(count: usize, concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        let destination = Destination {
            live: 0,
            backlog: 0,
            since_backlog: 0,
            paused_until: None,
            window: concurrency,
            answered: 0,
            acknowledged: 0,
            refused: HashMap::new(),
        };
        Self {
            concurrency,
            all: Mutex::new(vec![destination; count.max(1)]),
            unrecorded: AtomicUsize::new(0),
        }
    }

    /// The free capacity of each.
    pub(crate) fn room(&self) -> Vec<Room> {
        let now = Instant::now();
        let all = self.all();
        all.iter()
            .map(|destination| destination.room(now))
            .collect()
    }

    /// How long until the next pause ends; `None` without a pause.
    pub(crate) fn resumes_in(&self) -> Option<Duration> {
        let now = Instant::now();
        let all = self.all();
        let pauses = all.iter().filter_map(|destination| destination.pause(now));
        pauses.min()
    }

    /// How many slots wait for long until their result is recorded.
    pub(crate) fn unrecorded(&self) -> usize {
        self.unrecorded.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(self: &Arc<Self>, destination: usize, is_live: bool) -> Slot {
        let mut all = self.all();
        let destination = destination.min(all.len() - 1);
        let entered = &mut all[destination];
        if is_live {
            entered.live += 1;
            entered.since_backlog = (entered.since_backlog + 1).min(BACKLOG_TURN - 1);
        } else {
            entered.backlog += 1;
            entered.since_backlog = entered.since_backlog.saturating_sub(BACKLOG_TURN - 1);
        }
        Slot {
            destinations: Arc::clone(self),
            destination,
            is_live,
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Destination>> {
        // Plain numbers: a panic leaves them consistent.
        locked(&self.all)
    }
}

impl Destination {
    fn room(&self, now: Instant) -> Room {
        if self.pause(now).is_some() {
            return Room::default();
        }
        let free = self.window.saturating_sub(self.live + self.backlog);
        let most_backlog = self.window - self.window / LIVE_SHARE;
        let backlog = most_backlog.saturating_sub(self.backlog);
        let turns = self.since_backlog.saturating_add(free) / BACKLOG_TURN;
        Room::new(free, backlog, turns)
    }

    fn pause(&self, now: Instant) -> Option<Duration> {
        let left = self.paused_until?.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }
}

impl Slot {
    /// The result has waited for long to be recorded, and does while this lives.
    pub(crate) fn unrecorded(&self) -> Unrecorded<'_> {
        let count = &self.destinations.unrecorded;
        count.fetch_add(1, Ordering::Relaxed);
        Unrecorded(count)
    }

    /// How long the pause of the destination still lasts.
    pub(crate) fn pause_left(&self) -> Option<Duration> {
        self.destinations.all()[self.destination].pause(Instant::now())
    }

    /// A delivery met a request for a pause: nothing is dispatched to the destination meanwhile, and
    /// then one delivery at a time. Returns whether it was not paused before.
    ///
    /// A delivery that meets one again after others were acknowledged is the only one to wait: the
    /// destination refuses it alone, and would otherwise be silent for as long as it is retried. If
    /// it refuses others as well, they find that out one at a time.
    pub(crate) fn pause(&self, id: DeliveryId, pause: Duration) -> bool {
        let destination = &mut self.destinations.all()[self.destination];
        let acknowledged = destination.acknowledged;
        if destination.refused.len() >= MAX_REFUSED {
            destination.refused.clear();
        }
        let before = destination.refused.insert(id, acknowledged);
        destination.window = 1;
        destination.answered = 0;
        if before.is_some_and(|before| before < acknowledged) {
            return false;
        }
        let now = Instant::now();
        let is_new = destination.pause(now).is_none();
        let until = now + pause;
        let longest = destination
            .paused_until
            .map_or(until, |known| known.max(until));
        destination.paused_until = Some(longest);
        is_new
    }

    /// The destination acknowledged this delivery.
    pub(crate) fn acknowledged(&self, id: DeliveryId) {
        {
            let destination = &mut self.destinations.all()[self.destination];
            destination.acknowledged += 1;
            destination.refused.remove(&id);
        }
        self.answered();
    }

    /// An attempt ended without asking for a pause.
    pub(crate) fn answered(&self) {
        let most = self.destinations.concurrency;
        let destination = &mut self.destinations.all()[self.destination];
        if destination.window < most {
            destination.answered += 1;
            if destination.answered >= ANSWERS_TO_WIDEN {
                destination.window += 1;
                destination.answered = 0;
            }
        }
    }
}

impl Drop for Unrecorded<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let destination = &mut self.destinations.all()[self.destination];
        match self.is_live {
            true => destination.live -= 1,
            false => destination.backlog -= 1,
        }
    }
}

/// One delivery in this many is taken from the backlog, however many live ones wait.
const BACKLOG_TURN: usize = 10;

/// One slot in this many is reserved for live deliveries.
const LIVE_SHARE: usize = 8;

/// How many attempts without a pause widen the window by one. A destination that accepts 20 a
/// second then rejects one in 21, and one that was down is back to 16 at a time after 480.
const ANSWERS_TO_WIDEN: usize = 32;

/// How many refused deliveries are remembered. When they are forgotten, each may cause a pause once
/// more.
const MAX_REFUSED: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backlog_leaves_room_for_live_deliveries_and_has_its_turn() {
        let destinations = Arc::new(Destinations::new(2, 16));
        assert_eq!(destinations.room(), [Room::new(16, 14, 1); 2]);
        let backlog: Vec<_> = (0..14).map(|_| destinations.enter(1, false)).collect();
        assert_eq!(
            destinations.room(),
            [Room::new(16, 14, 1), Room::new(2, 0, 0)]
        );
        drop(backlog);
        for round in 0..3 {
            for _ in 0..9 {
                assert_eq!(turns(&destinations, 15), 0, "{round}");
                drop(destinations.enter(0, true));
            }
            assert_eq!(turns(&destinations, 15), 1);
            drop(destinations.enter(0, false));
        }
    }

    /// How many of the backlog go first while this many are in progress.
    fn turns(destinations: &Arc<Destinations>, under_way: usize) -> usize {
        let mut all = destinations.all();
        let destination = &mut all[0];
        destination.live += under_way;
        let turns = destination.room(Instant::now()).backlog_first;
        destination.live -= under_way;
        turns
    }

    #[test]
    fn backlog_has_its_turn_at_concurrency_one() {
        let destinations = Arc::new(Destinations::new(1, 1));
        let mut first = Vec::new();
        for _ in 0..20 {
            let is_backlog = destinations.room()[0].backlog_first > 0;
            first.push(is_backlog);
            drop(destinations.enter(0, !is_backlog));
        }
        let turns: Vec<_> = (0..20).filter(|turn| first[*turn]).collect();
        assert_eq!(turns, [9, 19]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_one_at_a_time_is_dispatched() {
        let destinations = Arc::new(Destinations::new(2, 3));
        let slot = destinations.enter(0, true);
        assert!(slot.pause(id(0), Duration::from_secs(5)));
        assert!(!slot.pause(id(1), Duration::from_secs(2)));
        assert_eq!(slot.pause_left(), Some(Duration::from_secs(5)));
        assert_eq!(destinations.resumes_in(), Some(Duration::from_secs(5)));
        drop(slot);
        let free = || {
            destinations
                .room()
                .iter()
                .map(|room| room.free)
                .collect::<Vec<_>>()
        };
        assert_eq!(free(), [0, 3], "the other continues");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(destinations.resumes_in(), None);
        for window in [1, 2, 3, 3] {
            assert_eq!(free(), [window, 3]);
            for _ in 0..ANSWERS_TO_WIDEN {
                destinations.enter(0, true).answered();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn delivery_that_is_refused_alone_does_not_pause_the_others_again() {
        const PAUSE: Duration = Duration::from_secs(3600);
        let destinations = Arc::new(Destinations::new(1, 16));
        let slot = || destinations.enter(0, false);
        for refused in [0, 1] {
            assert!(slot().pause(id(refused), PAUSE), "the first time");
            tokio::time::advance(PAUSE).await;
        }
        slot().answered();
        assert!(slot().pause(id(0), PAUSE), "nothing was acknowledged since");
        tokio::time::advance(PAUSE).await;
        slot().acknowledged(id(2));
        for refused in [0, 1, 0] {
            assert!(!slot().pause(id(refused), PAUSE));
            assert_eq!(destinations.resumes_in(), None);
            slot().acknowledged(id(3));
        }
        slot().acknowledged(id(0));
        assert!(slot().pause(id(0), PAUSE), "it was acknowledged meanwhile");
    }

    #[tokio::test(start_paused = true)]
    async fn delivery_that_is_refused_again_narrows_the_window() {
        const PAUSE: Duration = Duration::from_secs(60);
        let destinations = Arc::new(Destinations::new(1, 2));
        let slot = || destinations.enter(0, false);
        slot().pause(id(0), PAUSE);
        tokio::time::advance(PAUSE).await;
        for number in 0..ANSWERS_TO_WIDEN {
            assert_eq!(destinations.room()[0].free, 1, "{number}");
            slot().acknowledged(id(1));
        }
        assert_eq!(destinations.room()[0].free, 2);
        assert!(!slot().pause(id(0), PAUSE), "it is refused alone");
        assert_eq!(destinations.resumes_in(), None);
        assert_eq!(destinations.room()[0].free, 1);
    }

    fn id(number: u64) -> DeliveryId {
        DeliveryId::new(1_790_000_000_000_000 + number, 0)
    }
}
