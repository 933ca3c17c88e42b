//! [`ClaimRequest`]: what a dispatcher has room for. [`Claim`], [`ClaimedDelivery`]: the answer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::delivery::{Header, NewDelivery};
use crate::id::DeliveryId;
use crate::source::Source;

/// What a dispatcher has room for: each destination has its own.
///
/// Live deliveries, which are recent and wait for their first attempt, go before the backlog:
/// retries, replays, imports, backfills, and what waited when the process started. If a store
/// cannot distinguish them, all of it is backlog.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The time by which deliveries are due.
    pub now: SystemTime,
    /// In which order they are claimed.
    pub order: DispatchOrder,
    /// What each destination has room for.
    pub room: Vec<Room>,
    route: Route,
    turns: &'static [Turn],
}

/// In which order deliveries are claimed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DispatchOrder {
    /// The longest due first, whatever they are about.
    #[default]
    Unordered,
    /// Deliveries about one subject (video id and so on) and of one [`Source`](crate::Source) one
    /// at a time, in the order in which they were stored: the next is claimed when its predecessor
    /// is acknowledged or dead-lettered. Other subjects do not wait, nor deliveries without a
    /// subject, nor those of another source: a callback can name any subject.
    PerSubject,
}

/// How many deliveries one destination can take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Room {
    /// How many at most.
    pub free: usize,
    /// How many of them may be of the backlog.
    pub backlog: usize,
    /// How many of the backlog go before live deliveries, so that the backlog never starves.
    pub backlog_first: usize,
}

type Route = Arc<dyn Fn(Option<&str>) -> usize + Send + Sync>;

impl ClaimRequest {
    /// A request for up to `limit` deliveries that are due at `now`, the longest due first,
    /// whatever their destination. It does not correct due times.
    #[must_use]
    pub fn due(limit: usize, now: SystemTime) -> Self {
        Self {
            now,
            order: DispatchOrder::Unordered,
            room: vec![Room::new(limit, limit, 0)],
            route: Arc::new(|_| 0),
            turns: &[Turn::Unordered],
        }
    }

    /// The same in another order.
    #[must_use]
    pub fn order(mut self, order: DispatchOrder) -> Self {
        self.order = order;
        self
    }

    /// A request for as much as `room` says. `route` returns the destination of an event by its
    /// type, as an index into `room`; the type of a body that is not an event is `None`.
    pub fn new(
        now: SystemTime,
        order: DispatchOrder,
        room: Vec<Room>,
        route: impl Fn(Option<&str>) -> usize + Send + Sync + 'static,
    ) -> Self {
        Self {
            now,
            order,
            room,
            route: Arc::new(route),
            turns: &[Turn::BacklogFirst, Turn::Live, Turn::Backlog],
        }
    }

    /// The parts of the claim, in order.
    pub(crate) fn turns(&self) -> &'static [Turn] {
        self.turns
    }

    /// The destination of an event of that type, as an index into [`room`](Self::room).
    #[must_use]
    pub fn destination(&self, event_type: Option<&str>) -> usize {
        (self.route)(event_type).min(self.room.len().saturating_sub(1))
    }

    /// Whether a pending delivery with this due time is due, whose last attempt began at `last`. A
    /// dispatcher's request also takes what only a wrong clock postponed: a delivery that no
    /// attempt before now has postponed.
    #[must_use]
    pub fn is_due(&self, due_at: SystemTime, last: Option<SystemTime>) -> bool {
        let corrects_times = self.turns != [Turn::Unordered];
        due_at <= self.now || corrects_times && last.is_none_or(|last| last > self.now)
    }

    /// Picks what there is room for, live deliveries and backlog by turns. `due` gives the
    /// deliveries that are due, the longest due first, each with its event type and whether it is
    /// live.
    pub fn pick<'a, T>(&self, due: impl IntoIterator<Item = (T, Option<&'a str>, bool)>) -> Vec<T> {
        let mut waiting: Vec<_> = due.into_iter().map(Some).collect();
        let mut left = RoomLeft::of(self);
        let mut picked = Vec::new();
        for turn in self.turns {
            for slot in &mut waiting {
                let Some((_, event_type, is_live)) = slot.as_ref() else {
                    continue;
                };
                let (event_type, is_live) = (*event_type, *is_live);
                let is_of_turn = match turn {
                    Turn::Live => is_live,
                    Turn::BacklogFirst | Turn::Backlog => !is_live,
                    Turn::Unordered => true,
                };
                let destination = self.destination(event_type);
                if is_of_turn && left.in_turn(destination, *turn) > 0 {
                    left.take(destination, is_live);
                    picked.extend(slot.take().map(|(delivery, ..)| delivery));
                }
            }
        }
        picked
    }

    /// How many deliveries there is room for.
    #[must_use]
    pub fn limit(&self) -> usize {
        let free = self.room.iter().map(|room| room.free);
        free.fold(0, usize::saturating_add)
    }
}

impl Room {
    /// Room for `free` deliveries, of which `backlog` may be of the backlog and `backlog_first` go
    /// before live ones.
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

/// The answer to a claim.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Claim {
    /// What the caller now has to dispatch and to [`complete`](crate::Inbox::complete).
    pub deliveries: Vec<ClaimedDelivery>,
    /// When the next delivery falls due, where nothing more is due now.
    pub next_due: Option<SystemTime>,
    /// Dispatch is [paused](crate::InboxAdmin::pause), so nothing was claimed.
    pub is_paused: bool,
}

impl Claim {
    /// Nothing, because dispatch is [paused](crate::InboxAdmin::pause).
    #[must_use]
    pub fn paused() -> Self {
        Self {
            is_paused: true,
            ..Self::default()
        }
    }

    /// These deliveries, and when the next falls due, where nothing more is due now.
    #[must_use]
    pub fn new(deliveries: Vec<ClaimedDelivery>, next_due: Option<SystemTime>) -> Self {
        Self {
            deliveries,
            next_due,
            is_paused: false,
        }
    }
}

impl ClaimedDelivery {
    /// A delivery claimed for the attempt of that number, the first of its round, due since it came
    /// in.
    #[must_use]
    pub fn new(id: DeliveryId, delivery: &NewDelivery, attempt: u32) -> Self {
        Self {
            id,
            received_at: delivery.received_at(),
            source: delivery.source(),
            attempt,
            first_attempt: attempt,
            uncounted: 0,
            interrupted: 0,
            elapsed: Duration::ZERO,
            due_at: delivery.received_at(),
            is_live: false,
            event_type: delivery.event_type().map(str::to_owned),
            headers: delivery.headers().to_vec(),
            body: delivery.body().clone(),
        }
    }
}

/// A delivery on its way to a handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimedDelivery {
    /// The inbox's own id of the delivery.
    pub id: DeliveryId,
    /// When it was received, by the receiver's clock.
    pub received_at: SystemTime,
    /// How it was received.
    pub source: Source,
    /// Counts over the delivery's whole life; the first attempt is 1.
    pub attempt: u32,
    /// With which attempt the present round began: 1, or the first after the last replay.
    pub first_attempt: u32,
    /// How many attempts of the present round do not count: those that ended with their process,
    /// and those that asked for a [pause](crate::Completion::is_counted).
    pub uncounted: u32,
    /// How many of them ended with their process, without a result.
    pub interrupted: u32,
    /// How much of the time for retries the present round has used: attempts, and the waits between
    /// them.
    pub elapsed: Duration,
    /// Since when it was due.
    pub due_at: SystemTime,
    /// Whether it is live: recent, and this is its first attempt.
    pub is_live: bool,
    /// The event's type; `None` when the body is not an event.
    pub event_type: Option<String>,
    /// Its headers. HeyGen signs none of them.
    pub headers: Vec<Header>,
    /// The bytes received.
    pub body: Bytes,
}

/// The parts of a claim, so that neither live deliveries nor the backlog wait for all of the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// The part of the backlog that goes before live deliveries.
    BacklogFirst,
    Live,
    Backlog,
    /// All that is due, live or backlog.
    Unordered,
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
            Turn::Live | Turn::Unordered => room.free,
            Turn::Backlog => room.backlog,
        }
    }

    #[cfg(any(feature = "sqlite", feature = "jetstream"))]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_up_by_turns() {
        let request = ClaimRequest::new(
            SystemTime::UNIX_EPOCH,
            DispatchOrder::Unordered,
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
