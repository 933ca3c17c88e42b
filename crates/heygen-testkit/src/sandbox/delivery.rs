//! Deliveries: one task per event and address, signed, retried and recorded.

use std::{mem, sync::Arc, time::Duration};

use heygen_signature::HEYGEN_SIGNATURE;
use serde_json::Value;

use super::{
    clock,
    endpoint::ENABLED,
    misbehaviour::Misbehaviour,
    outgoing::Outgoing,
    planned_delivery::{PlannedDelivery, Target},
    record::{Delivery, DeliveryAttempt, DeliveryState},
    shared::Shared,
    state::LogRecord,
};
use crate::{
    json::Json,
    sender::{Attempt, RetryPolicy, Sender},
};

/// The result of sending an event.
pub(super) struct Sent {
    pub(super) event_id: String,
    /// The number of addresses.
    pub(super) deliveries: usize,
}

impl Shared {
    /// Plays the renderer: logs an event and delivers it to every subscriber.
    pub(super) fn send(self: &Arc<Self>, outgoing: &Outgoing) -> Sent {
        let mut body = outgoing.builder.build();
        let subscribed_as = text(body.field("event_type"));
        if let Some(url) = &outgoing.callback_url {
            echo_callback_url(&mut body, url);
        }

        let mut state = self.state();
        let misbehaviour = state.misbehaviour.clone();
        misbehaviour.shape(&mut body);
        let bytes = misbehaviour.bytes(&body);
        let event_type = text(body.field("event_type"));
        let event_id = match text(body.field("event_id")) {
            id if id.is_empty() => format!("evt_{}", clock::new_id()),
            id => id,
        };
        let event_position = state.next_position();
        state.add_to_log(LogRecord {
            event_id: event_id.clone(),
            event_type: event_type.clone(),
            event_data: body.field("event_data").cloned().unwrap_or(Json::object()),
            created_at: format!("{}Z", clock::now()),
            entity_id: outgoing.entity_id.clone(),
            position: event_position,
            delivered: false,
        });

        let entity_id = outgoing.entity_id.as_deref();
        let endpoints = state.endpoints.iter();
        let wanting = endpoints.filter(|endpoint| endpoint.wants(&subscribed_as, entity_id));
        let to_endpoints = wanting.map(|endpoint| {
            let secret = misbehaviour.old_secret.then(|| endpoint.secret.clone());
            (Target::Endpoint(endpoint.endpoint_id.clone()), secret)
        });
        let callback = outgoing.callback_url.clone();
        let to_callback = callback.map(|url| (Target::Callback(url), None));
        let targets: Vec<_> = to_endpoints.chain(to_callback).collect();

        let mut planned_deliveries = Vec::new();
        for (target, old_secret) in targets {
            let delivery_id = state.next_position();
            let (endpoint_id, retry, faults) = match &target {
                Target::Endpoint(id) => (
                    Some(id.clone()),
                    self.settings.retry_policy(),
                    misbehaviour.clone(),
                ),
                Target::Callback(_) => (None, RetryPolicy::once(), Misbehaviour::default()),
            };
            state.add_delivery(Delivery {
                delivery_id,
                event_id: event_id.clone(),
                event_type: event_type.clone(),
                endpoint_id,
                state: DeliveryState::Held,
                attempts: Vec::new(),
                body: bytes.clone(),
            });
            planned_deliveries.push(PlannedDelivery {
                delivery_id,
                event_position,
                event_id: event_id.clone(),
                target,
                body: bytes.clone(),
                after: Vec::new(),
                delay: Duration::from_millis(misbehaviour.delay_ms),
                retry,
                faults,
                old_secret,
            });
        }
        let deliveries = planned_deliveries.len();
        if deliveries > 0 {
            state.held.push(planned_deliveries);
        }
        let complete = state.held.len() >= misbehaviour.reorder;
        drop(state);
        if complete {
            self.release();
        }
        self.changed();
        Sent {
            event_id,
            deliveries,
        }
    }

    /// Releases held events: the newest first, each after the one before was attempted.
    pub(super) fn release(self: &Arc<Self>) {
        let mut state = self.state();
        let held = mem::take(&mut state.held);
        for planned in held.iter().flatten() {
            state.set_delivery(planned.delivery_id, DeliveryState::Pending);
        }
        drop(state);
        let mut before = Vec::new();
        for event in held.into_iter().rev() {
            let ids = event.iter().map(|planned| planned.delivery_id).collect();
            for mut planned in event {
                planned.after.clone_from(&before);
                self.spawn(run(self.clone(), planned));
            }
            before = ids;
        }
    }

    /// Waits until every delivery has ended. Held events are released, including those sent
    /// meanwhile: the group may never be complete.
    pub(super) async fn settled(self: &Arc<Self>) {
        let mut changes = self.changes();
        loop {
            self.release();
            if self.state().settled() {
                return;
            }
            changes.next().await;
        }
    }

    pub(super) fn misbehave(self: &Arc<Self>, misbehaviour: Misbehaviour) {
        self.state().misbehaviour = misbehaviour;
        // Afterwards: nothing may stay held under the old settings.
        self.release();
    }

    /// Calls the listener without holding the state, because the listener may read it.
    fn report_attempt(&self, planned: &PlannedDelivery) {
        let Some(on_attempt) = &self.settings.on_attempt else {
            return;
        };
        let delivery = self.state().deliveries.get(&planned.delivery_id).cloned();
        if let Some(delivery) = delivery {
            on_attempt(&delivery);
        }
    }

    /// The sender for the next attempt. `None` if the endpoint no longer gets deliveries.
    ///
    /// `before` is the number of attempts before it.
    fn sender_for(&self, planned: &PlannedDelivery, before: u32) -> Option<(String, Sender)> {
        let faults = &planned.faults;
        let sender = if before < faults.drop_answers {
            &self.hanging_up
        } else {
            &self.sender
        };
        let (url, secret) = match &planned.target {
            Target::Callback(url) => return Some((url.clone(), sender.clone().to(url))),
            Target::Endpoint(id) => {
                let state = self.state();
                let endpoint = state.endpoint(id);
                let endpoint = endpoint.filter(|endpoint| endpoint.status == ENABLED)?;
                (endpoint.url.clone(), endpoint.secret.clone())
            }
        };
        let secret = planned.old_secret.clone().unwrap_or(secret);
        let mut sender = sender.clone().to(&url).secret(secret);
        if before < faults.truncate {
            sender = sender.truncated();
        } else if faults.slow_ms > 0 {
            sender = sender.slow(Duration::from_millis(faults.slow_ms));
        }
        if faults.doubled_signature {
            sender = sender.doubled_signature();
        }
        if faults.mid_2026_headers {
            sender = sender
                .header_name(HEYGEN_SIGNATURE)
                .header(TIMESTAMP, clock::unix_seconds().to_string())
                .header(EVENT_ID, &planned.event_id);
        }
        Some((url, sender))
    }
}

async fn run(shared: Arc<Shared>, planned: PlannedDelivery) {
    let mut end = End {
        shared: &shared,
        delivery_id: planned.delivery_id,
        state: DeliveryState::Cancelled,
    };
    end.state = deliver(&shared, &planned).await;
}

/// Records how a delivery ended when it is dropped: also after a panic of the listener, or a test
/// that waits for the end would wait for ever.
struct End<'a> {
    shared: &'a Shared,
    delivery_id: u64,
    state: DeliveryState,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.set_delivery(self.delivery_id, self.state);
        drop(state);
        self.shared.changed();
    }
}

async fn deliver(shared: &Shared, planned: &PlannedDelivery) -> DeliveryState {
    shared
        .until(|state| planned.after.iter().all(|id| state.attempted(*id)))
        .await;
    let mut delays = planned.retry.delays();
    let mut wait = planned.delay;
    let mut attempts = 0;
    loop {
        if !shared.pause(wait).await {
            return DeliveryState::Cancelled;
        }
        let Some(sender) = shared.sender_for(planned, attempts) else {
            return DeliveryState::Cancelled;
        };
        if attempt(shared, planned, sender, false).await {
            break;
        }
        attempts += 1;
        match delays.next() {
            Some(delay) => wait = delay,
            None => return DeliveryState::GivenUp,
        }
    }
    for _ in 0..planned.faults.duplicates {
        if shared.is_stopping() {
            break;
        }
        let Some(sender) = shared.sender_for(planned, u32::MAX) else {
            break;
        };
        attempt(shared, planned, sender, true).await;
    }
    DeliveryState::Delivered
}

/// Sends and records one request. Whether it was accepted.
async fn attempt(
    shared: &Shared,
    planned: &PlannedDelivery,
    (url, sender): (String, Sender),
    duplicate: bool,
) -> bool {
    let (attempt, error) = match sender.deliver(planned.body.clone()).await {
        Ok(report) => (report.into_attempt(), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let outcome = attempt.as_ref().map(|attempt| attempt.result.as_ref());
    let failure = outcome.and_then(|result| result.err().map(ToString::to_string));
    let attempt = DeliveryAttempt {
        url,
        status: attempt
            .as_ref()
            .and_then(Attempt::status)
            .map(|status| status.as_u16()),
        error: error.or(failure),
        duplicate,
        duration: attempt.map(|attempt| attempt.duration).unwrap_or_default(),
    };
    let accepted = attempt.accepted();
    shared.state().add_attempt(planned, attempt);
    shared.report_attempt(planned);
    shared.changed();
    accepted
}

/// Only the data of some events has a `callback_url`.
fn echo_callback_url(body: &mut Json, url: &str) {
    let data = body.field("event_data");
    if data.is_some_and(|data| data.field(CALLBACK_URL).is_some()) {
        let data = body.field_mut("event_data");
        *data.field_mut(CALLBACK_URL) = Json::Scalar(url.into());
    }
}

fn text(json: Option<&Json>) -> String {
    match json {
        Some(Json::Scalar(Value::String(text))) => text.clone(),
        Some(Json::Scalar(_) | Json::Object(_) | Json::Array(_)) | None => String::new(),
    }
}

const CALLBACK_URL: &str = "callback_url";
const TIMESTAMP: &str = "heygen-timestamp";
const EVENT_ID: &str = "heygen-event-id";
