//! In what events differ from what this version knows.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use heygen_events::text::visible;
use heygen_inbox::{DriftCount, DriftKind, InboxAdmin as _, InboxErrorKind};
use maud::{Markup, html};

use crate::page::Page;
use crate::problem::Problem;
use crate::site::Site;
use crate::words::{self, ago, number};

pub(crate) async fn show(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
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
    Ok(Page::new("Drift", content).under("/drift").of(&site))
}

fn table(site: &Site, drift: &[DriftCount], now: SystemTime) -> Markup {
    html! {
        div.scroll role="region" aria-label="Drift" tabindex="0" {
            table.listed {
                thead { tr {
                    th scope="col" { "What" }
                    th scope="col" { "Name" }
                    th scope="col" { "Event" }
                    th.number scope="col" { "Deliveries" }
                    th scope="col" { "Last (UTC)" }
                    th scope="col" { "Example" }
                } }
                tbody {
                    @for count in drift {
                        tr {
                            td { (kind(count.drift.kind)) }
                            th.wrap scope="row" { code { (visible(&count.drift.name)) } }
                            td { (visible(&count.drift.event_type)) }
                            td.number { (number(count.count)) }
                            td { (words::time(count.last_at)) " " span.hint { (ago(count.last_at, now)) } }
                            td { a href=(site.path(&format!("/deliveries/{}", count.example))) { code { (count.example) } } }
                        }
                    }
                }
            }
        }
    }
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
