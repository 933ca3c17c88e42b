//! In what events differ from what this version knows.

use std::time::SystemTime;

use axum::extract::State;
use heygen_events::text::visible;
use heygen_inbox::{DriftCount, DriftKind, InboxAdmin as _, InboxErrorKind};
use maud::{Markup, html};

use crate::body::without_links;
use crate::page::{self, page};
use crate::site::{Answer, Shared, Site};
use crate::words::{self, number};

pub(crate) async fn show(State(site): Shared) -> Answer {
    let now = SystemTime::now();
    let drift = match site.inbox.drift().await {
        Ok(drift) => Some(drift),
        Err(error) if error.kind() == InboxErrorKind::Unsupported => None,
        Err(error) => return Err(error.into()),
    };
    let content = html! {
        h1 { "Drift" }
        p.hint { "Event names, fields and data that this version does not know. All of it is stored and dispatched all the same." }
        div #drift data-live {
            @match drift {
                None => div.card.empty { p { "This kind of inbox does not count it." } },
                Some(drift) if drift.is_empty() => div.card.empty { p { "Every event so far is as this version knows it." } },
                Some(drift) => (table(&site, &drift, now)),
            }
        }
    };
    Ok(page(&site, Some("/drift"), "Drift", &content))
}

fn table(site: &Site, drift: &[DriftCount], now: SystemTime) -> Markup {
    let columns = [
        ("What", ""),
        ("Name", "key wrap"),
        ("Event", "wrap"),
        ("Deliveries", "number"),
        ("Last (UTC)", "when"),
        ("Example", ""),
    ];
    let rows = drift.iter().map(|count| {
        let example = site.path(&format!("/deliveries/{}", count.example));
        vec![
            kind(count.drift.kind),
            html! { code { (visible(&without_links(&count.drift.name))) } },
            html! { (visible(&without_links(&count.drift.event_type))) },
            html! { (number(count.count)) },
            words::time_ago(count.last_at, now),
            html! { a href=(example) { code { (count.example) } } },
        ]
    });
    page::table("Drift", "listed labelled", &columns, rows)
}

fn kind(kind: DriftKind) -> Markup {
    let (class, word) = match kind {
        DriftKind::UnknownEvent => ("warn", "new event"),
        DriftKind::UnknownField => ("warn", "new field"),
        DriftKind::Malformed => ("bad", "does not match"),
        _ => ("warn", kind.as_str()),
    };
    html! { span.tag.(class) { (word) } }
}
