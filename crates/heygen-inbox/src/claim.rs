//! [`ClaimRequest`]: what a dispatcher has room for. [`Recent`]: which deliveries came in lately and were never claimed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{Claim, Order};

/// What a dispatcher has room for: each destination has its own.
///
/// Live deliveries, which came in lately and wait for their first attempt, go before the backlog: retries, replays, imports,
/// backfills, and what waited when the process started. Where a store cannot tell them apart, all of it is backlog.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The time by which deliveries are due.
    pub now: SystemTime,
    /// In which order they are claimed.
    pub order: Order,
    /// What each destination has room for.
    pub room: Vec<Room>,
    route: Route,
}

/// How many deliveries one destination can take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Room {
    /// How many at the most.
    pub free: usize,
    /// How many of them may be of the backlog.
    pub backlog: usize,
    /// How many of the backlog go before what is live, so that the backlog is never held up for good.
    pub backlog_first: usize,
}

type Route = Arc<dyn Fn(Option<&str>) -> usize + Send + Sync>;

impl ClaimRequest {
    /// A request for as much as `room` says. `route` names the destination of an event by its type, as a place in `room`; the
    /// type of a body that is not an event is `None`.
    pub fn new(
        now: SystemTime,
        order: Order,
        room: Vec<Room>,
        route: impl Fn(Option<&str>) -> usize + Send + Sync + 'static,
    ) -> Self {
        Self {
            now,
            order,
            room,
            route: Arc::new(route),
        }
    }

    /// The destination of an event of that type, as a place in [`room`](Self::room).
    #[must_use]
    pub fn destination(&self, event_type: Option<&str>) -> usize {
        (self.route)(event_type).min(self.room.len().saturating_sub(1))
    }

    /// How many deliveries there is room for.
    #[must_use]
    pub fn limit(&self) -> usize {
        let free = self.room.iter().map(|room| room.free);
        free.fold(0, usize::saturating_add)
    }
}

impl Room {
    /// Room for `free` deliveries, of which `backlog` may be of the backlog and `backlog_first` go before what is live.
    #[must_use]
    pub fn new(free: usize, backlog: usize, backlog_first: usize) -> Self {
        Self {
            free,
            backlog: backlog.min(free),
            backlog_first: backlog_first.min(backlog).min(free),
        }
    }
}

impl fmt::Debug for ClaimRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimRequest")
            .field("now", &self.now)
            .field("order", &self.order)
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

/// What is claimed one after the other, so that neither the live deliveries nor the backlog wait for all of the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// What of the backlog goes before the live deliveries.
    BacklogFirst,
    Live,
    Backlog,
    /// Whatever is due, without regard to where it comes from.
    Due,
}

/// The room that is left while a request is answered.
#[derive(Clone, Debug)]
pub(crate) struct RoomLeft(Vec<Room>);

impl RoomLeft {
    pub(crate) fn of(request: &ClaimRequest) -> Self {
        Self(request.room.clone())
    }

    pub(crate) fn in_turn(&self, destination: usize, turn: Turn) -> usize {
        let Some(room) = self.0.get(destination) else {
            return 0;
        };
        match turn {
            Turn::BacklogFirst => room.backlog_first,
            Turn::Live | Turn::Due => room.free,
            Turn::Backlog => room.backlog,
        }
    }

    pub(crate) fn total(&self, turn: Turn) -> usize {
        let rooms = (0..self.0.len()).map(|destination| self.in_turn(destination, turn));
        rooms.fold(0, usize::saturating_add)
    }

    pub(crate) fn take(&mut self, destination: usize, is_live: bool) {
        let Some(room) = self.0.get_mut(destination) else {
            return;
        };
        room.free = room.free.saturating_sub(1);
        if !is_live {
            room.backlog = room.backlog.saturating_sub(1);
            room.backlog_first = room.backlog_first.saturating_sub(1);
        }
        room.backlog = room.backlog.min(room.free);
        room.backlog_first = room.backlog_first.min(room.backlog);
    }
}

impl Claim {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.deliveries.len()
    }
}

/// Which deliveries came in lately and were never claimed, oldest first for each event type. It is bounded, and lives in memory: what
/// it does not know is backlog. The clock has no say in it.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    by_type: HashMap<Option<Box<str>>, VecDeque<u64>>,
    keys: HashSet<u64>,
}

impl Recent {
    pub(crate) fn add(&mut self, event_type: Option<&str>, key: u64) {
        self.insert(event_type, key, VecDeque::push_back);
    }

    /// It was claimed, and never reached the handler: it goes before those that came after it.
    pub(crate) fn put_back(&mut self, event_type: Option<&str>, key: u64) {
        self.insert(event_type, key, VecDeque::push_front);
    }

    fn insert(&mut self, event_type: Option<&str>, key: u64, push: fn(&mut VecDeque<u64>, u64)) {
        let name = event_type.map(Box::from);
        if self.by_type.len() >= MAX_TYPES && !self.by_type.contains_key(&name) {
            self.by_type.retain(|_, keys| !keys.is_empty());
            if self.by_type.len() >= MAX_TYPES {
                return;
            }
        }
        let keys = self.by_type.entry(name).or_default();
        push(keys, key);
        self.keys.insert(key);
        if keys.len() > MAX_KEYS
            && let Some(oldest) = keys.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    /// Forgets one that was claimed, whichever way; says whether it was known.
    pub(crate) fn remove(&mut self, key: u64) -> bool {
        self.keys.remove(&key)
    }

    /// Takes the oldest of the types that are wanted.
    pub(crate) fn take(
        &mut self,
        is_wanted: impl Fn(Option<&str>) -> bool,
    ) -> Option<(Option<Box<str>>, u64)> {
        let known = &self.keys;
        let wanted = self.by_type.iter_mut();
        let wanted = wanted.filter(|(event_type, _)| is_wanted(event_type.as_deref()));
        let oldest = wanted.filter_map(|(event_type, keys)| {
            // Those that were claimed another way.
            while keys.front().is_some_and(|key| !known.contains(key)) {
                keys.pop_front();
            }
            Some((*keys.front()?, event_type, keys))
        });
        let (key, event_type, keys) = oldest.min_by_key(|(key, ..)| *key)?;
        keys.pop_front();
        let event_type = event_type.clone();
        self.keys.remove(&key);
        Some((event_type, key))
    }
}

/// Of each event type.
const MAX_KEYS: usize = 4096;

/// Events of more types than that at a time are backlog.
const MAX_TYPES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_deliveries_are_taken_oldest_first_and_once() {
        let mut recent = Recent::default();
        for key in [1, 2, 3] {
            recent.add(Some("a"), key);
        }
        recent.add(None, 4);
        assert!(recent.remove(2) && !recent.remove(2));
        recent.add(Some("b"), 5);
        recent.put_back(Some("a"), 0);
        let taken: Vec<_> = std::iter::from_fn(|| recent.take(|name| name.is_some())).collect();
        let taken: Vec<_> = taken.into_iter().map(|(_, key)| key).collect();
        assert_eq!(taken, [0, 1, 3, 5]);
        assert_eq!(recent.take(|_| true), Some((None, 4)));
        assert_eq!(recent.take(|_| true), None);
    }

    #[test]
    fn recent_deliveries_are_bounded() {
        let mut recent = Recent::default();
        for key in 0..2 * MAX_KEYS as u64 {
            recent.add(Some("a"), key);
        }
        assert_eq!(recent.keys.len(), MAX_KEYS);
        assert_eq!(
            recent.take(|_| true).map(|(_, key)| key),
            Some(MAX_KEYS as u64),
            "the oldest make room"
        );
        for name in 0..2 * MAX_TYPES {
            recent.add(Some(&name.to_string()), 0);
        }
        assert_eq!(recent.by_type.len(), MAX_TYPES);
    }

    #[test]
    fn room_is_used_up_by_turns() {
        let request = ClaimRequest::new(
            SystemTime::UNIX_EPOCH,
            Order::Due,
            vec![Room::new(3, 2, 1), Room::new(0, 5, 5)],
            |event_type| usize::from(event_type == Some("b")),
        );
        assert_eq!(request.limit(), 3);
        assert_eq!(
            [Some("a"), Some("b"), None].map(|name| request.destination(name)),
            [0, 1, 0]
        );
        let mut left = RoomLeft::of(&request);
        let turns = [Turn::BacklogFirst, Turn::Live, Turn::Backlog];
        let rooms = |left: &RoomLeft| turns.map(|turn| left.in_turn(0, turn));
        assert_eq!(rooms(&left), [1, 3, 2]);
        assert_eq!(turns.map(|turn| left.in_turn(1, turn)), [0, 0, 0]);
        left.take(0, false);
        assert_eq!(rooms(&left), [0, 2, 1]);
        left.take(0, true);
        assert_eq!(rooms(&left), [0, 1, 1]);
        left.take(0, true);
        assert_eq!(rooms(&left), [0, 0, 0]);
    }
}
