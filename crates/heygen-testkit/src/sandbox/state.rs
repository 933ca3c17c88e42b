//! [`State`]: the state of the sandbox, in memory and bounded.

use std::collections::{BTreeMap, VecDeque};

use indexmap::IndexMap;
use serde::Serialize;

use super::{
    answers::Answers,
    api_error::ApiError,
    endpoint::Endpoint,
    job::{Job, Stage},
    misbehaviour::Misbehaviour,
    planned_delivery::PlannedDelivery,
    record::{Delivery, DeliveryAttempt, DeliveryState},
};
use crate::json::Json;

/// The mutable state. v1 and v3 share endpoints, which is assumed of HeyGen.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order in which they were created.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) answers: Answers,
    pub(super) misbehaviour: Misbehaviour,
    /// Deliveries that are held for reordering, by event.
    pub(super) held: Vec<Vec<PlannedDelivery>>,
    pub(super) deliveries: BTreeMap<u64, Delivery>,
    /// By id, in the order in which they were started.
    pub(super) jobs: IndexMap<String, Job>,
    /// The oldest first.
    log: VecDeque<LogRecord>,
    notes: VecDeque<String>,
    next_position: u64,
}

/// An event that was sent.
///
/// # Source
///
/// HeyGen's API reference, `WebhookEventResponse`: documented.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LogRecord {
    pub(super) event_id: String,
    pub(super) event_type: String,
    pub(super) event_data: Json,
    pub(super) created_at: String,
    #[serde(skip)]
    pub(super) entity_id: Option<String>,
    #[serde(skip)]
    pub(super) position: u64,
    /// Whether any address accepted it.
    #[serde(skip)]
    pub(super) delivered: bool,
}

impl State {
    pub(super) fn new(misbehaviour: Misbehaviour) -> Self {
        Self {
            misbehaviour,
            ..Self::default()
        }
    }

    /// The next position. It grows forever, even after a reset.
    pub(super) fn next_position(&mut self) -> u64 {
        self.next_position += 1;
        self.next_position
    }

    /// Removes everything except the position counter: an old token or a running delivery must not
    /// match a new item.
    pub(super) fn reset(&mut self, misbehaviour: Misbehaviour) {
        *self = Self {
            next_position: self.next_position,
            ..Self::new(misbehaviour)
        };
    }

    pub(super) fn endpoint(&self, id: &str) -> Option<&Endpoint> {
        let mut endpoints = self.endpoints.iter();
        endpoints.find(|endpoint| endpoint.endpoint_id == id)
    }

    pub(super) fn endpoint_mut(&mut self, id: &str) -> Result<&mut Endpoint, ApiError> {
        let mut endpoints = self.endpoints.iter_mut();
        endpoints
            .find(|endpoint| endpoint.endpoint_id == id)
            .ok_or(ApiError::NoSuchEndpoint)
    }

    pub(super) fn delete_endpoint(&mut self, id: &str) -> Result<(), ApiError> {
        let before = self.endpoints.len();
        self.endpoints.retain(|endpoint| endpoint.endpoint_id != id);
        if self.endpoints.len() == before {
            return Err(ApiError::NoSuchEndpoint);
        }
        Ok(())
    }

    /// The visible log, newest first.
    pub(super) fn log(&self) -> impl Iterator<Item = &LogRecord> {
        let all = !self.misbehaviour.log_delivered_only;
        let newest_first = self.log.iter().rev();
        newest_first.filter(move |record| all || record.delivered)
    }

    pub(super) fn add_to_log(&mut self, record: LogRecord) {
        push_bounded(&mut self.log, record, MAX_RECORDS);
    }

    pub(super) fn add_delivery(&mut self, delivery: Delivery) {
        if self.deliveries.len() >= MAX_RECORDS {
            let mut ended = self.deliveries.iter().filter(|(_, old)| old.ended());
            if let Some(oldest) = ended.next().map(|(id, _)| *id) {
                self.deliveries.remove(&oldest);
            }
        }
        self.deliveries.insert(delivery.delivery_id, delivery);
    }

    pub(super) fn add_attempt(&mut self, planned: &PlannedDelivery, attempt: DeliveryAttempt) {
        if attempt.accepted() {
            let mut log = self.log.iter_mut();
            if let Some(record) = log.find(|record| record.position == planned.event_position) {
                record.delivered = true;
            }
        }
        if let Some(delivery) = self.deliveries.get_mut(&planned.delivery_id) {
            delivery.attempts.push(attempt);
        }
    }

    pub(super) fn set_delivery(&mut self, id: u64, state: DeliveryState) {
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.state = state;
        }
    }

    /// Whether a delivery was attempted, or never will be.
    pub(super) fn attempted(&self, id: u64) -> bool {
        let delivery = self.deliveries.get(&id);
        delivery.is_none_or(|delivery| delivery.ended() || !delivery.attempts.is_empty())
    }

    /// Whether every delivery has ended, and every job has sent its event.
    pub(super) fn settled(&self) -> bool {
        let jobs_ended = self.jobs.values().all(|job| job.is_announced);
        jobs_ended && self.deliveries.values().all(Delivery::ended)
    }

    pub(super) fn add_job(&mut self, job: Job) {
        if self.jobs.len() >= MAX_RECORDS
            && let Some(oldest) = self.jobs.values().position(|job| job.is_announced)
        {
            self.jobs.shift_remove_index(oldest);
        }
        self.jobs.insert(job.id.clone(), job);
    }

    pub(super) fn set_stage(&mut self, id: &str, stage: Stage) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.stage = stage;
        }
    }

    pub(super) fn note(&mut self, text: String) {
        push_bounded(&mut self.notes, text, MAX_NOTES);
    }

    pub(super) fn notes(&self) -> &VecDeque<String> {
        &self.notes
    }

    pub(super) fn log_len(&self) -> usize {
        self.log.len()
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// The largest number of events and of deliveries. The oldest are removed first, deliveries only
/// after they have ended.
pub(super) const MAX_RECORDS: usize = 10_000;

const MAX_NOTES: usize = 100;
