//! [`Record`]: what became of an event, kept beside it, the newest word under a subject of its own.
//!
//! It is changed by reading, changing and writing under the condition that nobody wrote meanwhile, so any number of workers and
//! commands may do so.

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use serde::{Deserialize, Serialize};

use super::link::Link;
use crate::dedup::rule::{Candidate, Link as DedupLink, RecordIdentity};
use crate::dedup::{BodyDigest, DedupKey};
use crate::time::{from_micros, to_micros};
use crate::{
    Attempt, AttemptResult, Completion, Header, InboxError, InboxErrorKind, NewDelivery, Repeats,
    SignedPost, State,
};

/// What became of an event. An event without one was never handed out, or is in the hands of the first that got it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Record {
    pub(super) state: Word,
    /// When it is to be handed out again, in microseconds since 1970.
    #[serde(default)]
    pub(super) due_at: i64,
    /// How often it was handed out so far.
    #[serde(default)]
    pub(super) handed_out: u32,
    #[serde(default = "one")]
    pub(super) first_attempt: u32,
    /// How much of the time for retries the present round has used, in microseconds.
    #[serde(default)]
    pub(super) elapsed: u64,
    /// How many attempts of the present round do not count.
    #[serde(default)]
    pub(super) uncounted: u32,
    /// Which reference is to be followed; an older one is not.
    #[serde(default)]
    pub(super) generation: u32,
    /// Where its copy among the dead letters is; 0 when there is none.
    #[serde(default)]
    pub(super) dead_sequence: u64,
    #[serde(default)]
    pub(super) attempts: Vec<AttemptRecord>,
    #[serde(default)]
    pub(super) repeats: RepeatsRecord,
    /// With which record of HeyGen's log a POST was found to be one.
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

/// Only what is JSON is found to be the same event as a record, so the body is text.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct SignedRecord {
    received_at: i64,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    #[default]
    Pending,
    Claimed,
    Done,
    Dead,
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
pub(super) struct RepeatsRecord {
    count: u64,
    #[serde(default)]
    last_at: Option<i64>,
    #[serde(default)]
    last_headers: Vec<(String, String)>,
}

/// A record as it stands in the stream.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) record: Record,
    /// Its place in the stream of records, by which the next write knows that nobody wrote meanwhile.
    pub(super) revision: u64,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            first_attempt: 1,
            ..Self::default()
        }
    }

    pub(super) fn state(&self) -> State {
        match self.state {
            Word::Pending => State::Pending,
            Word::Claimed => State::Claimed,
            Word::Done => State::Done,
            Word::Dead => State::Dead,
        }
    }

    /// Whether anything was said about handing it out; otherwise it only tells of repeats.
    pub(super) fn is_begun(&self) -> bool {
        self.handed_out > 0
            || !self.attempts.is_empty()
            || self.state != Word::Pending
            || self.generation > 0
    }

    /// Takes down an end. One that comes late, after the delivery was handed out anew, is recorded; what became of the delivery
    /// meanwhile stays, unless the late word is done.
    pub(super) fn end(&mut self, finish: &Completion) {
        let is_current = self.state == Word::Claimed && self.handed_out == finish.attempt;
        if finish.is_released {
            if is_current {
                self.due_at = to_micros(finish.due_at);
                self.elapsed = micros(finish.elapsed);
                self.state = Word::Pending;
                self.handed_out -= 1;
                self.generation += 1;
            }
            return;
        }
        if is_current || finish.result == AttemptResult::Done {
            self.due_at = to_micros(finish.due_at);
            self.elapsed = micros(finish.elapsed);
            self.state = match finish.result {
                AttemptResult::Done => Word::Done,
                AttemptResult::Dead => Word::Dead,
                AttemptResult::Retry | AttemptResult::Interrupted => {
                    self.generation += 1;
                    Word::Pending
                }
            };
        }
        if is_current && (!finish.is_counted || finish.result == AttemptResult::Interrupted) {
            self.uncounted += 1;
        }
        self.take_down(AttemptRecord {
            number: finish.attempt,
            started_at: to_micros(finish.started_at),
            micros: micros(finish.duration),
            result: finish.result.as_str().to_owned(),
            detail: finish.detail.clone(),
        });
    }

    /// The place of a copy among the dead letters of what is done after all.
    pub(super) fn take_obsolete_letter(&mut self) -> Option<u64> {
        let is_obsolete = self.state == Word::Done && self.dead_sequence > 0;
        is_obsolete.then(|| std::mem::take(&mut self.dead_sequence))
    }

    /// When the handler was last called, by the clock of its machine.
    pub(super) fn last_started_at(&self) -> Option<i64> {
        self.attempts.last().map(|attempt| attempt.started_at)
    }

    /// How many of the attempts before this one, of its round, ended without a result, and how many of them nobody has recorded yet.
    pub(super) fn interrupted(&self, first_attempt: u32, attempt: u32) -> (u32, u32) {
        let of_round = |number: &u32| (first_attempt..attempt).contains(number);
        let unknown = self.unknown(attempt).filter(of_round).count();
        let interrupted = self.attempts.iter().filter(|known| {
            of_round(&known.number) && known.result == AttemptResult::Interrupted.as_str()
        });
        let interrupted = interrupted.count() + unknown;
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        (number(interrupted), number(unknown))
    }

    /// The attempts before this one of which there is no record; those of long ago are not kept for ever.
    fn unknown(&self, attempt: u32) -> impl Iterator<Item = u32> {
        let first = attempt.saturating_sub(MAX_ATTEMPTS as u32 - 1).max(1);
        (first..attempt).filter(|number| self.attempts.iter().all(|known| known.number != *number))
    }

    /// Begins the next attempt; what was begun before and has no end was interrupted.
    pub(super) fn begin(&mut self, attempt: u32, now: i64) {
        let unknown: Vec<u32> = self.unknown(attempt).collect();
        for number in unknown {
            self.uncounted += u32::from(number >= self.first_attempt);
            self.take_down(AttemptRecord {
                number,
                started_at: now,
                micros: 0,
                result: AttemptResult::Interrupted.as_str().to_owned(),
                detail: None,
            });
        }
        self.state = Word::Claimed;
        self.handed_out = attempt;
    }

    /// Makes it due at `now`, with as many attempts before it as a new delivery has.
    pub(super) fn replay(&mut self, now: i64) {
        self.state = Word::Pending;
        self.due_at = now;
        self.first_attempt = self.handed_out + 1;
        self.elapsed = 0;
        self.uncounted = 0;
        self.generation += 1;
        self.dead_sequence = 0;
    }

    pub(super) fn repeat(&mut self, at: std::time::SystemTime, headers: &[Header]) {
        self.repeats.count += 1;
        self.repeats.last_at = Some(to_micros(at));
        self.repeats.last_headers = pairs(headers);
    }

    /// What it adds to what is known of its event.
    pub(super) fn add_to(&self, candidate: &mut Candidate) {
        candidate.matched = self.matched.as_ref().map(|matched| RecordIdentity {
            event_id: matched.event_id.as_deref().map(Box::from),
            body: BodyDigest::from_hex(&matched.body_digest).unwrap_or(BodyDigest([0; 32])),
        });
        let signed = self.signed.as_ref();
        candidate.signed = signed.map(|post| DedupKey::of(post.body.as_bytes()).body());
    }

    /// Stores what a delivery adds that is the same event. `false` where it cannot be stored.
    pub(super) fn link(&mut self, link: DedupLink, delivery: &NewDelivery) -> bool {
        match link {
            DedupLink::Record => self.set_matched(&delivery.record_identity()),
            DedupLink::Post => match std::str::from_utf8(delivery.body()) {
                Ok(body) => {
                    self.signed = Some(SignedRecord {
                        received_at: to_micros(delivery.received_at()),
                        headers: pairs(delivery.headers()),
                        body: body.to_owned(),
                    });
                }
                Err(_) => return false,
            },
        }
        true
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
            headers: headers(&post.headers),
            body: post.body.clone().into(),
        })
    }

    /// How long it is in its stream.
    pub(super) fn len(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |text| text.len())
    }

    pub(super) fn set_repeats(&mut self, repeats: &Repeats) {
        self.repeats = RepeatsRecord {
            count: repeats.count,
            last_at: repeats.last_at.map(to_micros),
            last_headers: pairs(&repeats.last_headers),
        };
    }

    pub(super) fn set_attempts(&mut self, attempts: &[Attempt]) {
        for attempt in attempts {
            self.take_down(AttemptRecord {
                number: attempt.number,
                started_at: to_micros(attempt.started_at),
                micros: micros(attempt.duration),
                result: attempt.result.as_str().to_owned(),
                detail: attempt.detail.clone(),
            });
        }
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.state = match state {
            State::Pending | State::Claimed | State::Interrupted => Word::Pending,
            State::Done => Word::Done,
            State::Dead => Word::Dead,
        };
    }

    pub(super) fn repeats(&self) -> Repeats {
        Repeats {
            count: self.repeats.count,
            last_at: self.repeats.last_at.map(from_micros),
            last_headers: headers(&self.repeats.last_headers),
        }
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.iter().map(AttemptRecord::read).collect()
    }

    fn take_down(&mut self, mut attempt: AttemptRecord) {
        attempt.detail = attempt.detail.map(bounded);
        self.attempts.retain(|known| known.number != attempt.number);
        self.attempts.push(attempt);
        self.attempts.sort_by_key(|attempt| attempt.number);
        let surplus = self.attempts.len().saturating_sub(MAX_ATTEMPTS);
        self.attempts.drain(..surplus);
    }
}

impl AttemptRecord {
    fn read(&self) -> Attempt {
        // A word of a later version is not known here: what is certain is that the attempt ended.
        let result = self.result.parse().unwrap_or(AttemptResult::Interrupted);
        let mut attempt = Attempt::new(
            self.number,
            from_micros(self.started_at),
            std::time::Duration::from_micros(self.micros),
            result,
        );
        attempt.detail.clone_from(&self.detail);
        attempt
    }
}

impl Link {
    /// As the stream's leader has it.
    pub(super) async fn record(&self, sequence: u64) -> Result<Option<Found>, InboxError> {
        self.check_connected()?;
        let subject = self.names.record(sequence);
        match self.records.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(Found {
                record: self.read_record(&message.payload)?,
                revision: message.sequence,
            })),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.cannot("read from", error)),
        }
    }

    pub(super) fn read_record(&self, payload: &[u8]) -> Result<Record, InboxError> {
        serde_json::from_slice(payload).map_err(|error| {
            let message = "a record of what became of a delivery cannot be read: another version wrote it, or another program";
            InboxError::new(InboxErrorKind::Version, message).with_source(error)
        })
    }

    /// Writes it unless somebody else wrote since `revision` (0: since ever); `None` tells that somebody did.
    pub(super) async fn write_record(
        &self,
        sequence: u64,
        record: &Record,
        revision: u64,
    ) -> Result<Option<u64>, InboxError> {
        self.check_connected()?;
        let text = serde_json::to_vec(record).map_err(|error| self.cannot("write to", error))?;
        let message = PublishMessage::build()
            .payload(text.into())
            .expected_stream(self.names.records())
            .expected_last_subject_sequence(revision);
        let subject = self.names.record(sequence);
        match self.publish(subject, message).await {
            Ok(acknowledgement) => Ok(Some(acknowledgement.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(self.cannot("write to", error)),
        }
    }

    /// Reads, changes and writes, as often as it takes; `change` may say that there is nothing to write.
    pub(super) async fn change_record(
        &self,
        sequence: u64,
        mut change: impl FnMut(Option<Record>) -> Option<Record>,
    ) -> Result<Option<Record>, InboxError> {
        loop {
            let found = self.record(sequence).await?;
            let revision = found.as_ref().map_or(0, |found| found.revision);
            let Some(changed) = change(found.map(|found| found.record)) else {
                return Ok(None);
            };
            let written = self.write_record(sequence, &changed, revision).await?;
            if written.is_some() {
                return Ok(Some(changed));
            }
        }
    }
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn one() -> u32 {
    1
}

fn pairs(headers: &[Header]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|header| (header.name.clone(), header.value.clone()))
        .collect()
}

fn headers(pairs: &[(String, String)]) -> Vec<Header> {
    pairs
        .iter()
        .map(|(name, value)| Header::new(name, value.as_bytes()))
        .collect()
}

/// What a handler said is for people; a message of the stream has its limits.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_DETAIL {
        let end = (0..=MAX_DETAIL)
            .rev()
            .find(|place| text.is_char_boundary(*place))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Of each event so many attempts are kept, the newest. Each takes some hundred bytes, and a message has its limits.
const MAX_ATTEMPTS: usize = 100;
const MAX_DETAIL: usize = 4096;
