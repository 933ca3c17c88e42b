//! The subscribed events, compared with those that HeyGen offers and this version knows.

use std::collections::BTreeSet;

use heygen_api::{Endpoint, EndpointStatus, Subscription};
use heygen_events::EventType;

use super::account::Account;
use super::endpoints::ours;
use super::finding::{Finding, all_skipped};
use super::inputs::Inputs;

pub(super) fn findings(inputs: &Inputs, account: &Account) -> Vec<Finding> {
    let all = account.endpoints();
    let meant = ours(inputs, &all);
    // Where none is ours, those that there are tell more than nothing.
    let meant = if meant.is_empty() { all } else { meant };
    let Ok(catalogue) = &account.catalogue else {
        let why = account.unasked();
        return all_skipped(
            &IDS,
            why.unwrap_or("unknown: HeyGen did not list its event types"),
        );
    };
    vec![
        known(catalogue, &meant),
        offered(catalogue, &meant),
        subscribed(catalogue, &meant),
    ]
}

fn known(catalogue: &[EventType], endpoints: &[&Endpoint]) -> Finding {
    let unknown = names(
        catalogue
            .iter()
            .chain(listed(endpoints))
            .filter(|event_type| !event_type.is_known()),
    );
    if unknown.is_empty() {
        let what = format!(
            "this version knows all {} that HeyGen offers",
            catalogue.len()
        );
        return Finding::ok("events.known", what);
    }
    Finding::warn(
        "events.known",
        "names that this version does not know: such events are stored and dispatched without a type",
        "update heygen-webhooks, if there is a newer version",
    )
    .items(unknown)
}

fn offered(catalogue: &[EventType], endpoints: &[&Endpoint]) -> Finding {
    let gone = names(listed(endpoints).filter(|event_type| !catalogue.contains(event_type)));
    if gone.is_empty() {
        return Finding::ok("events.offered", "HeyGen offers every subscribed event");
    }
    Finding::warn(
        "events.offered",
        "subscribed events that HeyGen does not offer: they may never arrive",
        "correct the subscription with `endpoints update ID --events …`",
    )
    .items(gone)
}

fn subscribed(catalogue: &[EventType], endpoints: &[&Endpoint]) -> Finding {
    const ID: &str = "events.subscribed";
    let live = endpoints
        .iter()
        .filter(|endpoint| endpoint.status != Some(EndpointStatus::Disabled));
    let live: Vec<&Subscription> = live.map(|endpoint| &endpoint.events).collect();
    if live.is_empty() {
        return Finding::skipped(ID, "no endpoint is registered");
    }
    if live.iter().any(|events| events.only().is_none()) {
        return Finding::ok(ID, "to all events, including future ones");
    }
    let missing = names(
        catalogue
            .iter()
            .filter(|event_type| !live.iter().any(|events| events.includes(event_type))),
    );
    let count = catalogue.len() - missing.len();
    let what = format!("to {count} of {} events", catalogue.len());
    match (count, missing.is_empty()) {
        (0, false) => Finding::problem(
            ID,
            "to no event that HeyGen offers: nothing will arrive",
            "subscribe with `endpoints update ID --events all`",
        ),
        (_, true) => Finding::ok(ID, what),
        // A choice, as far as we can tell.
        (_, false) => Finding::ok(
            ID,
            format!("{what}; no endpoint receives these, which may be intended"),
        )
        .items(missing),
    }
}

fn listed<'a>(endpoints: &[&'a Endpoint]) -> impl Iterator<Item = &'a EventType> {
    endpoints
        .iter()
        .filter_map(|endpoint| endpoint.events.only())
        .flatten()
}

/// Each once, in order.
fn names<'a>(event_types: impl Iterator<Item = &'a EventType>) -> Vec<String> {
    let sorted: BTreeSet<_> = event_types.map(EventType::as_str).collect();
    sorted.into_iter().map(str::to_owned).collect()
}

const IDS: [&str; 3] = ["events.known", "events.offered", "events.subscribed"];
