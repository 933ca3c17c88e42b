//! [`Record`]: state and attempts of an event, as stored.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::message::{Pairs, Stored, from_pairs, to_pairs};
use crate::completion::Completion;
use crate::dedup::rule::{Candidate, Link as DedupLink, RecordIdentity};
use crate::dedup::{BodyDigest, DedupKey};
use crate::delivery::{Header, NewDelivery};
use crate::record::{Attempt, AttemptOutcome, Redeliveries, SignedPost, State};
use crate::time::{from_micros, to_micros};

/// State and attempts of an event. An event without one was never dispatched, or is in its first
/// attempt.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Record {
    pub(super) state: RecordState,
    /// When its event was received, in microseconds since 1970; 0 where that is not known.
    ///
    /// If the stream of events is deleted, or restored from a backup, and its records are not, another
    /// event gets the same sequence, and nothing here holds for that one.
    #[serde(default)]
    pub(super) received_at: i64,
    /// When its next attempt is due, in microseconds since 1970.
    #[serde(default)]
    pub(super) due_at: i64,
    /// How often it was dispatched so far.
    #[serde(default, rename = "handed_out")]
    pub(super) dispatched: u32,
    #[serde(default = "one")]
    pub(super) first_attempt: u32,
    /// How much of the time for retries the current round has used, in microseconds.
    #[serde(default)]
    pub(super) elapsed: u64,
    /// How many attempts of the current round do not count.
    #[serde(default)]
    pub(super) uncounted: u32,
    /// The newest reference; older ones are not followed.
    #[serde(default)]
    pub(super) generation: u32,
    /// The sequence of its copy in the stream of dead letters; 0 when there is none.
    #[serde(default)]
    pub(super) dead_sequence: u64,
    #[serde(default)]
    pub(super) attempts: Vec<AttemptRecord>,
    #[serde(default, alias = "repeats")]
    pub(super) redeliveries: RedeliveriesRecord,
    /// The record of HeyGen's log that a POST was matched with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matched: Option<MatchedRecord>,
    /// The POST that came after its record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed: Option<SignedRecord>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct MatchedRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    body_digest: String,
}

/// Only JSON matches a record, so the body is text.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct SignedRecord {
    received_at: i64,
    headers: Pairs,
    body: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RecordState {
    #[default]
    Pending,
    Claimed,
    #[serde(alias = "done")]
    Acknowledged,
    #[serde(alias = "dead")]
    DeadLettered,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct AttemptRecord {
    number: u32,
    started_at: i64,
    micros: u64,
    result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct RedeliveriesRecord {
    count: u64,
    #[serde(default)]
    last_at: Option<i64>,
    #[serde(default)]
    last_headers: Pairs,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            first_attempt: 1,
            ..Self::default()
        }
    }

    /// Itself, or a new record if it is that of another event.
    pub(super) fn of(self, event: &Stored) -> Self {
        let record = if self.is_of(event) { self } else { Self::new() };
        Self {
            received_at: to_micros(event.received_at),
            ..record
        }
    }

    pub(super) fn is_of(&self, event: &Stored) -> bool {
        is_of(self.received_at, to_micros(event.received_at))
    }

    pub(super) fn state(&self) -> State {
        match self.state {
            RecordState::Pending => State::Pending,
            RecordState::Claimed => State::Claimed,
            RecordState::Acknowledged => State::Acknowledged,
            RecordState::DeadLettered => State::DeadLettered,
        }
    }

    /// Whether it was ever dispatched or finished; otherwise it only counts redeliveries.
    pub(super) fn is_begun(&self) -> bool {
        self.dispatched > 0
            || !self.attempts.is_empty()
            || self.state != RecordState::Pending
            || self.generation > 0
    }

    /// Records a completion. A late one, of a delivery that was dispatched again, is added to the
    /// attempts and changes nothing else, unless it acknowledges.
    pub(super) fn end(&mut self, completion: &Completion) {
        let is_current =
            self.state == RecordState::Claimed && self.dispatched == completion.attempt;
        if completion.is_released {
            if is_current {
                self.due_at = to_micros(completion.due_at);
                self.elapsed = micros(completion.elapsed);
                self.state = RecordState::Pending;
                self.dispatched -= 1;
                self.generation += 1;
            }
            return;
        }
        if is_current || completion.result == AttemptOutcome::Acknowledged {
            self.due_at = to_micros(completion.due_at);
            self.elapsed = micros(completion.elapsed);
            self.set_state(completion.result.state());
            self.generation += u32::from(self.state == RecordState::Pending);
        }
        if is_current
            && (!completion.is_counted || completion.result == AttemptOutcome::Interrupted)
        {
            self.uncounted += 1;
        }
        self.add_attempt(&completion.to_attempt());
    }

    /// Takes the sequence of the dead letter of an event that was acknowledged after all; 0 when
    /// there is none.
    pub(super) fn take_obsolete_letter(&mut self) -> u64 {
        match self.state {
            RecordState::Acknowledged => std::mem::take(&mut self.dead_sequence),
            RecordState::Pending | RecordState::Claimed | RecordState::DeadLettered => 0,
        }
    }

    /// When the handler was last called, by the clock of its machine.
    pub(super) fn last_started_at(&self) -> Option<i64> {
        self.attempts.last().map(|attempt| attempt.started_at)
    }

    /// How many of the attempts before this one, of its round, ended without a result, and how many
    /// have no record yet. A first one without a record may never have been begun, and must not be the
    /// last of a delivery that may have one only.
    pub(super) fn interrupted(&self, first_attempt: u32, attempt: u32) -> (u32, u32) {
        let of_round = |number: &u32| (first_attempt..attempt).contains(number);
        let unknown = self.unknown(attempt).filter(of_round).count();
        let interrupted = self.attempts.iter().filter(|known| {
            of_round(&known.number) && known.result == AttemptOutcome::Interrupted.as_str()
        });
        let begun = if self.is_begun() { unknown } else { 0 };
        let interrupted = interrupted.count() + begun;
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        (number(interrupted), number(unknown))
    }

    /// The attempts before this one that are not recorded. Only the newest are kept.
    fn unknown(&self, attempt: u32) -> impl Iterator<Item = u32> {
        let first = attempt.saturating_sub(MAX_ATTEMPTS as u32 - 1).max(1);
        (first..attempt).filter(|number| self.attempts.iter().all(|known| known.number != *number))
    }

    /// Begins the next attempt; attempts before it without a result were interrupted.
    pub(super) fn begin(&mut self, attempt: u32, now: i64) {
        let unknown: Vec<u32> = self.unknown(attempt).collect();
        for number in unknown {
            self.uncounted += u32::from(number >= self.first_attempt);
            let (at, result) = (from_micros(now), AttemptOutcome::Interrupted);
            self.add_attempt(&Attempt::new(number, at, Duration::ZERO, result));
        }
        self.state = RecordState::Claimed;
        self.dispatched = attempt;
    }

    /// Makes it due at `now`, with as many attempts as a new delivery has.
    pub(super) fn replay(&mut self, now: i64) {
        self.state = RecordState::Pending;
        self.due_at = now;
        self.first_attempt = self.dispatched + 1;
        self.elapsed = 0;
        self.uncounted = 0;
        self.generation += 1;
        self.dead_sequence = 0;
    }

    pub(super) fn count_redelivery(&mut self, at: SystemTime, headers: &[Header]) {
        self.redeliveries.count += 1;
        self.redeliveries.last_at = Some(to_micros(at));
        self.redeliveries.last_headers = to_pairs(headers);
    }

    /// Adds what it knows to the candidate of its event.
    pub(super) fn add_to(&self, candidate: &mut Candidate) {
        candidate.matched = self.matched.as_ref().map(|matched| RecordIdentity {
            event_id: matched.event_id.as_deref().map(Box::from),
            body: BodyDigest::from_hex(&matched.body_digest).unwrap_or(BodyDigest([0; 32])),
        });
        let signed = self.signed.as_ref();
        candidate.signed = signed.map(|post| DedupKey::of(post.body.as_bytes()).body());
    }

    /// Stores what a delivery of the same event adds. `false` where it cannot be stored.
    pub(super) fn link(&mut self, link: DedupLink, delivery: &NewDelivery) -> bool {
        if link == DedupLink::Record {
            self.set_matched(&delivery.record_identity());
            return true;
        }
        let body = std::str::from_utf8(delivery.body()).ok();
        self.signed = body.map(|body| SignedRecord {
            received_at: to_micros(delivery.received_at()),
            headers: to_pairs(delivery.headers()),
            body: body.to_owned(),
        });
        self.signed.is_some()
    }

    pub(super) fn set_matched(&mut self, record: &RecordIdentity) {
        self.matched = Some(MatchedRecord {
            event_id: record.event_id.as_deref().map(str::to_owned),
            body_digest: record.body.to_hex(),
        });
    }

    pub(super) fn matched_id(&self) -> Option<&str> {
        self.matched.as_ref()?.event_id.as_deref()
    }

    pub(super) fn signed(&self) -> Option<SignedPost> {
        let post = self.signed.as_ref()?;
        Some(SignedPost {
            received_at: from_micros(post.received_at),
            headers: from_pairs(&post.headers),
            body: post.body.clone().into(),
        })
    }

    /// How many bytes it takes.
    pub(super) fn len(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |text| text.len())
    }

    pub(super) fn set_redeliveries(&mut self, redeliveries: &Redeliveries) {
        self.redeliveries = RedeliveriesRecord {
            count: redeliveries.count,
            last_at: redeliveries.last_at.map(to_micros),
            last_headers: to_pairs(&redeliveries.last_headers),
        };
    }

    pub(super) fn set_attempts(&mut self, attempts: &[Attempt]) {
        for attempt in attempts {
            self.add_attempt(attempt);
        }
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.state = match state {
            State::Pending | State::Claimed | State::Interrupted => RecordState::Pending,
            State::Acknowledged => RecordState::Acknowledged,
            State::DeadLettered => RecordState::DeadLettered,
        };
    }

    pub(super) fn redeliveries(&self) -> Redeliveries {
        Redeliveries {
            count: self.redeliveries.count,
            last_at: self.redeliveries.last_at.map(from_micros),
            last_headers: from_pairs(&self.redeliveries.last_headers),
        }
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        let read = |known: &AttemptRecord| {
            // A later version may know other results: the attempt ended in any case.
            let result = known.result.parse().unwrap_or(AttemptOutcome::Interrupted);
            let started_at = from_micros(known.started_at);
            let duration = Duration::from_micros(known.micros);
            let mut attempt = Attempt::new(known.number, started_at, duration, result);
            attempt.detail.clone_from(&known.detail);
            attempt
        };
        self.attempts.iter().map(read).collect()
    }

    fn add_attempt(&mut self, attempt: &Attempt) {
        self.attempts.retain(|known| known.number != attempt.number);
        self.attempts.push(AttemptRecord {
            number: attempt.number,
            started_at: to_micros(attempt.started_at),
            micros: micros(attempt.duration),
            result: attempt.result.as_str().to_owned(),
            detail: attempt.detail.clone().map(bounded),
        });
        self.attempts.sort_by_key(|attempt| attempt.number);
        let surplus = self.attempts.len().saturating_sub(MAX_ATTEMPTS);
        self.attempts.drain(..surplus);
    }
}

/// Whether a record with this time is that of the event that was received then.
pub(super) fn is_of(of_record: i64, received_at: i64) -> bool {
    of_record == 0 || of_record == received_at
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn one() -> u32 {
    1
}

/// Details of handlers are for people, and a message has a limit: what counts is their length in
/// JSON.
fn bounded(mut text: String) -> String {
    let mut len = 0;
    let end = text.char_indices().find_map(|(index, char)| {
        len += match char {
            '\0'..' ' => "\\u0000".len(),
            '"' | '\\' => 2,
            _ => char.len_utf8(),
        };
        (len > MAX_DETAIL).then_some(index)
    });
    if let Some(end) = end {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The newest attempts are kept. Each takes some hundred bytes, and a message has a limit.
const MAX_ATTEMPTS: usize = 100;
const MAX_DETAIL: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, count: usize, expected: usize) {
        let found = bounded(text.repeat(count));
        let json = serde_json::to_string(&found).expect("text is JSON");
        assert!(json.len() <= MAX_DETAIL + "\"…\"".len(), "{}", json.len());
        let is_whole = expected == count * text.len();
        assert_eq!(found.strip_suffix('…').unwrap_or(&found).len(), expected);
        assert_eq!(found.ends_with('…'), !is_whole);
    }

    #[test]
    fn details_are_bounded_by_their_length_in_json() {
        check("a", MAX_DETAIL, MAX_DETAIL);
        check("a", MAX_DETAIL + 1, MAX_DETAIL);
        check("é", MAX_DETAIL, MAX_DETAIL);
        check("\u{1}", MAX_DETAIL, MAX_DETAIL / 6);
        check("\"", MAX_DETAIL, MAX_DETAIL / 2);
    }
}
