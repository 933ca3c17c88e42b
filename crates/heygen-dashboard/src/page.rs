//! [`Page`]: the frame around every page.

use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use crate::asset::{ICON, SCRIPT, STYLE};
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
                body data-changes=[self.has_menu.then(|| site.path("/changes"))] {
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

const MENU: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/deliveries", "Deliveries"),
    ("/rejected", "Rejected"),
    ("/drift", "Drift"),
    ("/sandbox", "Sandbox"),
];
