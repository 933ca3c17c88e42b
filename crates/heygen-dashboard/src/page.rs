//! [`Page`]: the frame around every page.

use axum::response::{IntoResponse as _, Response};
use heygen_events::text::visible;
use maud::{DOCTYPE, Markup, html};

use crate::asset::{ICON, SCRIPT, STYLE};
use crate::live;
use crate::site::Site;

/// A page, before the site frames it.
pub(crate) struct Page {
    title: String,
    content: Markup,
    current: &'static str,
    has_menu: bool,
}

impl Page {
    pub(crate) fn new(title: impl Into<String>, content: Markup) -> Self {
        Self {
            title: title.into(),
            content,
            current: "",
            has_menu: true,
        }
    }

    /// Which entry of the menu it belongs to.
    pub(crate) fn under(mut self, current: &'static str) -> Self {
        self.current = current;
        self
    }

    pub(crate) fn without_menu(mut self) -> Self {
        self.has_menu = false;
        self
    }

    pub(crate) fn of(self, site: &Site) -> Response {
        let asset = |name: &str| site.path(&format!("/assets/{name}"));
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · HeyGen webhooks" }
                    link rel="icon" href=(asset(&ICON.name));
                    link rel="stylesheet" href=(asset(&STYLE.name));
                    script src=(asset(&SCRIPT.name)) defer {}
                }
                body data-changes=[self.has_menu.then(|| site.path("/changes"))] data-seen=[live::seen()] {
                    a.skip href="#content" { "Skip to the content" }
                    header.bar {
                        a.brand href=(site.path("/")) { img src=(asset(&ICON.name)) alt="" width="20" height="20"; "HeyGen webhooks" }
                        @if self.has_menu { (self.menu(site)) }
                    }
                    main #content tabindex="-1" { (self.content) }
                }
            }
        };
        markup.into_response()
    }

    fn menu(&self, site: &Site) -> Markup {
        html! {
            nav aria-label="Pages" {
                @for (path, name) in MENU.into_iter().filter(|(path, _)| site.has_page(path)) {
                    a href=(site.path(path)) aria-current=[(path == self.current).then_some("page")] { (name) }
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

/// Names of headers, and what is kept of their values.
pub(crate) fn headers<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Markup {
    let rows = headers.into_iter().map(|(name, value)| {
        let value = match value {
            Some(value) => html! { (visible(value)) },
            None => html! { span.hint { "not kept" } },
        };
        vec![html! { code { (visible(name)) } }, value]
    });
    table(
        "Headers",
        "headers",
        &[("Name", "key"), ("Value", "value")],
        rows,
    )
}

const MENU: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/deliveries", "Deliveries"),
    ("/rejected", "Rejected"),
    ("/drift", "Drift"),
    ("/sandbox", "Sandbox"),
];
