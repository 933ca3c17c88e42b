//! Deliveries: one task for each event and address, signed, tried again, recorded.

use std::{mem, sync::Arc, time::Duration};

use heygen_signature::HEYGEN_SIGNATURE;
use serde_json::Value;

use super::{
    clock,
    endpoint::ENABLED,
    misbehaviour::Misbehaviour,
    outgoing::Outgoing,
    plan::{Plan, To},
    record::{Delivery, DeliveryAttempt, DeliveryState},
    shared::Shared,
    state::LogRecord,
};
use crate::{
    json::Json,
    sender::{Attempt, RetryPolicy, Sender},
};

/// What became of an event.
pub(super) struct Sent {
    pub(super) event_id: String,
    /// How many addresses it goes to.
    pub(super) deliveries: usize,
}

impl Shared {
    /// Plays the renderer: logs an event and delivers it to everybody who wants it.
    pub(super) fn send(self: &Arc<Self>, outgoing: &Outgoing) -> Sent {
        let mut body = outgoing.builder.build();
        let subscribed_as = text(body.field("event_type"));
        if let Some(url) = &outgoing.callback_url {
            echo_callback_url(&mut body, url);
        }

        let mut state = self.state();
        let misbehaviour = state.misbehaviour.clone();
        misbehaviour.shape(&mut body);
        let bytes = if misbehaviour.spaced {
            body.spaced()
        } else {
            body.compact()
        };
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
            (To::Endpoint(endpoint.endpoint_id.clone()), secret)
        });
        let callback = outgoing.callback_url.clone();
        let to_callback = callback.map(|url| (To::Callback(url), None));
        let targets: Vec<_> = to_endpoints.chain(to_callback).collect();

        let mut plans = Vec::new();
        for (to, old_secret) in targets {
            let delivery_id = state.next_position();
            let (endpoint_id, retry, duplicates, drop_answers) = match &to {
                To::Endpoint(id) => (
                    Some(id.clone()),
                    self.settings.retry_policy(),
                    misbehaviour.duplicates,
                    misbehaviour.drop_answers,
                ),
                To::Callback(_) => (None, RetryPolicy::once(), 0, 0),
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
            plans.push(Plan {
                delivery_id,
                event_position,
                event_id: event_id.clone(),
                to,
                body: bytes.clone(),
                after: Vec::new(),
                delay: Duration::from_millis(misbehaviour.delay_ms),
                retry,
                duplicates,
                drop_answers,
                mid_2026_headers: misbehaviour.mid_2026_headers,
                old_secret,
            });
        }
        let deliveries = plans.len();
        if deliveries > 0 {
            state.held.push(plans);
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

    /// Lets go what is held back: the newest event first, each one when the one before was tried.
    pub(super) fn release(self: &Arc<Self>) {
        let mut state = self.state();
        let held = mem::take(&mut state.held);
        for plan in held.iter().flatten() {
            state.set_delivery(plan.delivery_id, DeliveryState::Pending);
        }
        drop(state);
        let mut before = Vec::new();
        for event in held.into_iter().rev() {
            let ids = event.iter().map(|plan| plan.delivery_id).collect();
            for mut plan in event {
                plan.after.clone_from(&before);
                self.spawn(run(self.clone(), plan));
            }
            before = ids;
        }
    }

    /// Waits until every delivery has ended. What is held back is let go, and also what is held back meanwhile: no more of
    /// it may come to complete the group.
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
        // Afterwards, so that nothing is held back under the old one any more.
        self.release();
    }

    /// Calls whoever wants to know, without holding the state: the listener may look at it.
    fn tell_of_attempt(&self, plan: &Plan) {
        let Some(on_attempt) = &self.settings.on_attempt else {
            return;
        };
        let delivery = self.state().deliveries.get(&plan.delivery_id).cloned();
        if let Some(delivery) = delivery {
            on_attempt(&delivery);
        }
    }

    /// The sender for the next attempt; `None` when the endpoint no longer takes deliveries.
    fn sender_for(&self, plan: &Plan, hangs_up: bool) -> Option<(String, Sender)> {
        let sender = if hangs_up {
            &self.hanging_up
        } else {
            &self.sender
        };
        let (url, secret) = match &plan.to {
            To::Callback(url) => return Some((url.clone(), sender.clone().to(url))),
            To::Endpoint(id) => {
                let state = self.state();
                let endpoint = state.endpoint(id);
                let endpoint = endpoint.filter(|endpoint| endpoint.status == ENABLED)?;
                (endpoint.url.clone(), endpoint.secret.clone())
            }
        };
        let secret = plan.old_secret.clone().unwrap_or(secret);
        let mut sender = sender.clone().to(&url).secret(secret);
        if plan.mid_2026_headers {
            sender = sender
                .header_name(HEYGEN_SIGNATURE)
                .header(TIMESTAMP, clock::unix_seconds().to_string())
                .header(EVENT_ID, &plan.event_id);
        }
        Some((url, sender))
    }
}

async fn run(shared: Arc<Shared>, plan: Plan) {
    let end = deliver(&shared, &plan).await;
    shared.state().set_delivery(plan.delivery_id, end);
    shared.changed();
}

async fn deliver(shared: &Shared, plan: &Plan) -> DeliveryState {
    shared
        .until(|state| plan.after.iter().all(|id| state.tried(*id)))
        .await;
    let mut delays = plan.retry.delays();
    let mut wait = plan.delay;
    let mut attempts = 0;
    loop {
        if !shared.pause(wait).await {
            return DeliveryState::Cancelled;
        }
        let Some(sender) = shared.sender_for(plan, attempts < plan.drop_answers) else {
            return DeliveryState::Cancelled;
        };
        if attempt(shared, plan, sender, false).await {
            break;
        }
        attempts += 1;
        match delays.next() {
            Some(delay) => wait = delay,
            None => return DeliveryState::GivenUp,
        }
    }
    for _ in 0..plan.duplicates {
        if shared.is_stopping() {
            break;
        }
        let Some(sender) = shared.sender_for(plan, false) else {
            break;
        };
        attempt(shared, plan, sender, true).await;
    }
    DeliveryState::Delivered
}

/// One request, recorded; whether it was accepted.
async fn attempt(
    shared: &Shared,
    plan: &Plan,
    (url, sender): (String, Sender),
    duplicate: bool,
) -> bool {
    let (attempt, error) = match sender.deliver(plan.body.clone()).await {
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
    shared.state().add_attempt(plan, attempt);
    shared.tell_of_attempt(plan);
    shared.changed();
    accepted
}

/// Only the data of some events says which address the job asked for.
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
