//! The frame around every page, and what stands in more than one.

use axum::response::{IntoResponse as _, Response};
use heygen_events::text::visible;
use heygen_inbox::Header;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use crate::asset::address;
use crate::live;
use crate::site::Site;

/// A page in its frame, with the menu at an entry; without a menu for those who are not logged in.
pub(crate) fn page(site: &Site, menu: Option<&str>, title: &str, content: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · HeyGen webhooks" }
                link rel="icon" href=(address(site, "icon.svg"));
                link rel="stylesheet" href=(address(site, "style.css"));
                script src=(address(site, "script.js")) defer {}
            }
            body data-changes=[menu.map(|_| site.path("/changes"))] data-seen=[live::seen()] {
                a.skip href="#content" { "Skip to the content" }
                header.bar {
                    a.brand href=(site.path("/")) { img src=(address(site, "icon.svg")) alt="" width="20" height="20"; "HeyGen webhooks" }
                    @if let Some(current) = menu { (self::menu(site, current)) }
                }
                main #content tabindex="-1" { (content) }
            }
        }
    };
    markup.into_response()
}

fn menu(site: &Site, current: &str) -> Markup {
    html! {
        nav aria-label="Pages" {
            @for (path, name) in MENU.into_iter().filter(|(path, _)| site.has_page(path)) {
                a href=(site.path(path)) aria-current=[(path == current).then_some("page")] { (name) }
            }
        }
        div.tools {
            @if site.is_read_only { span.tag { "read-only" } }
            button.live.needs-script type="button" aria-pressed="true" title="Pages change by themselves while this is on" {
                span.dot aria-hidden="true" {} "Live"
            }
            @if site.gate.is_some() {
                form method="post" action=(site.path("/logout")) { button.plain { "Log out" } }
            }
        }
    }
}

/// A table that scrolls by itself where it is too wide, and becomes a list of cards on a telephone. Each column has a name and a
/// class; that of the class `key` names its row.
pub(crate) fn table(
    label: &str,
    class: &str,
    columns: &[(&str, &str)],
    rows: impl IntoIterator<Item = Vec<Markup>>,
) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table.(class) {
                thead { tr { @for (name, class) in columns { th.(class) scope="col" { (name) } } } }
                tbody {
                    @for cells in rows {
                        tr {
                            @for ((name, class), cell) in columns.iter().zip(cells) {
                                @if class.starts_with("key") { th.(class) scope="row" data-label=(name) { (cell) } }
                                @else { td.(class) data-label=(name) { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Headers, and names of those whose values are not stored.
pub(crate) fn headers<'a>(stored: &[Header], others: impl IntoIterator<Item = &'a str>) -> Markup {
    let stored = stored.iter();
    let stored = stored.map(|header| (&*header.name, html! { (visible(&header.value)) }));
    let others = others.into_iter();
    let others = others.map(|name| (name, html! { span.hint { "not stored" } }));
    let rows = stored.chain(others);
    let rows: Vec<_> = rows
        .map(|(name, value)| vec![html! { code { (visible(name)) } }, value])
        .collect();
    match rows.is_empty() {
        true => html! { p.hint { "None are stored." } },
        false => table(
            "Headers",
            "headers",
            &[("Name", "key"), ("Value", "value")],
            rows,
        ),
    }
}

/// What an address says besides its path; all of it may be left out.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct View {
    /// Which time span the overview shows.
    pub(crate) span: String,
    /// `shown`: links with the queries that give access.
    pub(crate) links: String,
    /// What was just done.
    pub(crate) done: String,
    /// Of which event the sandbox shows a sample.
    pub(crate) event: String,
    /// Which media of a delivery.
    pub(crate) number: usize,
    /// What the page that opens a stream shows at least.
    pub(crate) seen: String,
}

impl View {
    /// What was done, in a sentence.
    pub(crate) fn notice(&self) -> Markup {
        let said = match self.done.as_str() {
            "replayed" => "Replayed: it is due now, and its attempts appear below.",
            "dead-lettered" => "Given up: it is not dispatched again unless it is replayed.",
            "acknowledged" => "It was acknowledged meanwhile, and stays so.",
            "claimed" => "A handler has it right now, so it stays as it is.",
            "sent" => "Sent. Its attempts appear below.",
            "misbehaves" => "Deliveries that are sent from now on go so.",
            _ => return html! {},
        };
        html! { p.notice role="status" { (said) } }
    }

    pub(crate) fn shows_links(&self) -> bool {
        self.links == "shown"
    }
}

const MENU: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/deliveries", "Deliveries"),
    ("/rejected", "Rejected"),
    ("/drift", "Drift"),
    ("/sandbox", "Sandbox"),
];
